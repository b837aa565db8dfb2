"""The HTTP API: a clip as the body of a request, the answer as JSON. Knows sessions; FastAPI does the rest.

`POST /predict` takes the file itself, no form, no address and no name of a file. `GET /openapi.json` says all
of it in the usual form.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from emo.app.guard import HEALTH, Asgi, Guard, Route
from emo.app.models import Answered, Piece
from emo.app.refusals import Refused, refusal_of
from emo.app.serving import INSTALL, Address
from emo.app.session import Event, Kept, Session, Waiting
from emo.app.uploads import Upload
from emo.errors import MissingDependency

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

SCHEMA_VERSION = 1
BINARY = "application/octet-stream"
KINDS = ("video/", "audio/", BINARY)
SAID = (
    "The label is perceived expression: what an observer would call a face, a voice and a sentence in one "
    "clip. It is not what the person feels. Not for hiring, work, schools, lie detection or diagnosis."
)
ROUTES = (
    Route(path="/"),
    Route(path=HEALTH),
    Route(path="/openapi.json"),
    Route(path="/predict", methods=("POST",), clip=True),
)


def api_of(session: Session, address: Address) -> Asgi:
    """The API of a session behind its guard. MissingDependency where FastAPI is not installed."""
    app = _bare(session)
    add_predict(app, session)
    return Guard(app, ROUTES, session.limits, local=address.local, credentials=address.credentials)


def _bare(session: Session) -> FastAPI:
    try:
        from fastapi import FastAPI
    except ImportError as error:
        raise MissingDependency(f"FastAPI is not installed. Run: {INSTALL}") from error
    app = FastAPI(
        title="emo", description=f"{SAID} {session.limits.sentence()}.", docs_url=None, redoc_url=None
    )

    @app.get("/")
    def about() -> dict[str, Any]:
        return {
            "schema_version": SCHEMA_VERSION,
            "what": SAID,
            "limits": session.limits.sentence(),
            "predict": "POST /predict with the clip's bytes as the body",
            "schema": "/openapi.json",
        }

    @app.get(HEALTH)
    def health() -> dict[str, Any]:
        return {"status": "ok", "jobs": session.jobs}

    return app


def add_predict(app: FastAPI, session: Session) -> None:
    """Add `POST /predict` to an app."""
    from fastapi import Request
    from fastapi.responses import JSONResponse, StreamingResponse
    from starlette.concurrency import run_in_threadpool

    media = {"schema": {"type": "string", "format": "binary"}}
    body = {"required": True, "content": {BINARY: media, "video/*": media, "audio/*": media}}

    async def predict(request: Request, text: str = "", reasons: bool = True, stream: bool = False) -> Any:
        """Answer for the clip in the body. `text` is what is said in it; `stream` sends JSON lines as they
        come, reasons in pieces."""
        try:
            upload = await received(session, request)
            events = session.answer(upload, text, reasons=reasons)
            if stream:
                first = await run_in_threadpool(next, events, None)
                return StreamingResponse(_lines(first, events), media_type="application/x-ndjson")
            return JSONResponse(await run_in_threadpool(_gathered, events))
        except Exception as error:  # the edge of the server: every error becomes words
            refusal = refusal_of(error)
            return JSONResponse(refusal.to_json(), refusal.status)

    predict.__annotations__["request"] = Request
    app.post(
        "/predict",
        response_model=None,
        openapi_extra={"requestBody": body},
        responses={status: {"description": "refused, with an id"} for status in (408, 413, 415, 422, 429)},
    )(predict)


async def received(session: Session, request: Request) -> Upload:
    """The body of a request as an upload that was looked at. Refused where it is no clip."""
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import ClientDisconnect

    kind = request.headers.get("content-type", BINARY).partition(";")[0].strip().lower()
    if not kind.startswith(KINDS):
        raise Refused(415, "wrong_type", f"Send the clip itself, as video/..., audio/... or {BINARY}.")
    upload = session.uploads.begin()
    try:
        async for piece in request.stream():
            upload.write(piece)
        await run_in_threadpool(upload.finish)
    except ClientDisconnect as error:
        session.uploads.drop(upload)
        raise Refused(400, "broken_off", "The upload was broken off.") from error
    except BaseException:
        session.uploads.drop(upload)
        raise
    return upload


def event_json(event: Event) -> dict[str, Any]:
    """An event as it is streamed."""
    if isinstance(event, Answered):
        missing = [{"feature": one.feature, "reason": one.reason} for one in event.missing]
        told = event.answer.to_json() | {"missing": missing}
        del told["clip_id"], told["text"]
        return {"model": event.model, **told}
    if isinstance(event, Piece):
        return {"piece": event.text}
    if isinstance(event, Waiting):
        return {"ahead": event.ahead}
    return {}


def _gathered(events: Iterator[Event]) -> dict[str, Any]:
    """The answers of every model in one object, with the reasons of the one that gives some."""
    answers: list[dict[str, Any]] = []
    for event in events:
        if isinstance(event, Answered):
            answers.append({**event_json(event), "text": ""})
        elif isinstance(event, Piece):
            answers[-1]["text"] += event.text
    return {"schema_version": SCHEMA_VERSION, "what": SAID, "answers": answers}


def _lines(first: Event | None, events: Iterator[Event]) -> Iterator[str]:
    """JSON lines: what comes, and at the end that it is over or why it broke off."""
    try:
        yield json.dumps({"schema_version": SCHEMA_VERSION, "what": SAID}) + "\n"
        for event in events if first is None else chain([first], events):
            if not isinstance(event, Kept):
                yield json.dumps(event_json(event), ensure_ascii=False) + "\n"
        yield json.dumps({"done": True}) + "\n"
    except Exception as error:  # too late for a status: the line says it
        yield json.dumps(refusal_of(error).to_json()) + "\n"
