"""The page: Gradio before a session, behind the same guard as the HTTP API.

Gradio carries words and numbers only. A clip comes in by a route of our own, pictures go out inside the page,
and what Gradio has for files - uploads, downloads, addresses to fetch - is closed. Knows sessions and a cache
to look into.
"""

from __future__ import annotations

import html
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from emo.app.api import received
from emo.app.browse import Browser
from emo.app.browse_tab import browse_tab
from emo.app.drawing import alert, missing_note, stills, timeline_figure
from emo.app.guard import HEALTH, Asgi, Guard, Route
from emo.app.models import Answered, Piece
from emo.app.refusals import Refused, refusal_of
from emo.app.serving import Address
from emo.app.session import Event, Session, Waiting
from emo.app.timeline import Timeline
from emo.app.words import TINY, TITLE, beside
from emo.clip import Clip
from emo.errors import MissingDependency

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

INSTALL = "pip install 'emo-toolkit[app]'"
MEDIA_TYPES = {
    ".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/mp4", ".webm": "video/webm",
    ".mkv": "video/webm", ".wav": "audio/wav", ".mp3": "audio/mpeg", ".flac": "audio/flac",
    ".ogg": "audio/ogg", ".m4a": "audio/mp4",
}  # fmt: skip
FILE = r"(?:[\w@-][\w.@-]*/)*[\w@-][\w.@-]*"
ROUTES = (
    Route(path="/"),
    Route(path=HEALTH),
    Route(path="/clips", methods=("POST",), clip=True),
    Route(path=r"/media/\d{1,9}"),
    Route(path=rf"/(?:assets|static)/{FILE}"),
    Route(path=r"/(?:theme\.css|favicon\.ico|manifest\.json|config)"),
    Route(path=r"/gradio_api/(?:info|theme\.css|startup-events|queue/data|app_id)"),
    Route(path=r"/gradio_api/heartbeat/\w{1,64}"),
    Route(path=r"/gradio_api/queue/join", methods=("POST",)),
)


def page_of(
    session: Session, address: Address, *, browser: Browser | None = None, clips: Sequence[Clip] = ()
) -> Asgi:
    """The page of a session; `browser` gives it a second tab, and `clips` of a manifest can be picked.

    MissingDependency where Gradio is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(session.folder.root / "gradio")
    try:
        import gradio as gr
        from fastapi import FastAPI
    except ImportError as error:
        raise MissingDependency(f"Gradio is not installed. Run: {INSTALL}") from error
    _close_files()
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    _add_routes(app, session, clips)
    blocks = _blocks(session, browser, clips)
    blocks.queue(max_size=session.limits.queue, api_open=False)
    gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        show_error=False,
        allowed_paths=[],
        max_file_size=session.limits.most_bytes,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        run_history=False,
        footer_links=[],
        css=beside("page.css"),
        theme=gr.themes.Base(
            primary_hue="indigo",
            neutral_hue="slate",
            font=["system-ui", "sans-serif"],
            font_mono=["ui-monospace", "monospace"],
        ),
    )
    return Guard(app, ROUTES, session.limits, local=address.local, credentials=address.credentials)


def _close_files() -> None:
    """Let Gradio take no file and no address out of a request: it would look on this disk, or fetch."""
    from gradio import processing_utils

    usual = processing_utils.async_move_files_to_cache

    async def without_files(data: Any, block: Any, postprocess: bool = False, **others: Any) -> Any:
        if not postprocess and _names_file(data):
            raise Refused(422, "no_files", "Files are not taken here.")
        return await usual(data, block, postprocess=postprocess, **others)

    if usual.__name__ != without_files.__name__:
        processing_utils.async_move_files_to_cache = without_files


def _names_file(data: Any) -> bool:
    """Whether some JSON speaks of a file, as Gradio does."""
    if isinstance(data, dict):
        return "path" in data or "url" in data or any(map(_names_file, data.values()))
    return isinstance(data, list) and any(map(_names_file, data))


def _add_routes(app: FastAPI, session: Session, clips: Sequence[Clip]) -> None:
    from fastapi import Request
    from fastapi.responses import FileResponse, JSONResponse

    async def take(request: Request) -> Any:
        try:
            upload = await received(session, request)
        except Exception as error:  # the edge of the server: every error becomes words
            refusal = refusal_of(error)
            return JSONResponse(refusal.to_json(), refusal.status)
        assert upload.probed is not None
        token = session.uploads.keep(upload)
        return JSONResponse({"clip": token, "seconds": round(upload.probed.seconds, 3)})

    async def media(number: int) -> Any:
        kind = MEDIA_TYPES.get(clips[number].path.suffix.lower()) if number < len(clips) else None
        if kind is None or not clips[number].path.is_file():
            refusal = refusal_of(Refused(404, "not_found", "There is no media of this clip here."))
            return JSONResponse(refusal.to_json(), refusal.status)
        return FileResponse(clips[number].path, media_type=kind, headers={"cache-control": "no-store"})

    take.__annotations__["request"] = Request
    app.post("/clips", response_model=None)(take)
    app.get("/media/{number}", response_model=None)(media)
    app.get(HEALTH)(lambda: {"status": "ok", "jobs": session.jobs})


def _blocks(session: Session, browser: Browser | None, clips: Sequence[Clip]) -> Any:
    import gradio as gr

    with gr.Blocks(title="emo", analytics_enabled=False, delete_cache=(60, 600)) as blocks:
        gr.HTML(_head(session), elem_classes="emo-head")
        with gr.Column() as notice:
            gr.Markdown(beside("responsible.md").format(limits=session.limits.sentence()))
            read = gr.Button("I have read this", variant="primary", elem_id="emo-read")
        with gr.Column(visible=False) as rest, gr.Tabs():
            with gr.Tab("A clip"):
                _clip_tab(session, clips)
            if browser is not None:
                browse_tab(browser, clips)
        read.click(
            lambda: (gr.update(visible=False), gr.update(visible=True)),
            outputs=[notice, rest],
            api_visibility="private",
        )
    return blocks


def _head(session: Session) -> str:
    tiny = f"<p>{TINY}</p>" if session.models.checks_only else ""
    shown = html.escape(", ".join(session.models.systems))
    return f"<h1>{TITLE}</h1><p>Models: {shown}. Features: {', '.join(session.models.features)}.</p>{tiny}"


def _clip_tab(session: Session, clips: Sequence[Clip]) -> None:
    import gradio as gr

    names = {clip.clip_id: clip for clip in clips}
    limits = session.limits
    with gr.Row():
        with gr.Column(scale=5):
            drop = gr.HTML(
                value="",
                html_template=beside("drop.html"),
                js_on_load=beside("drop.js"),
                elem_id="emo-drop",
                limits=limits.sentence(),
                most=limits.most_bytes,
            )
            picked = gr.Dropdown(
                [*names],
                value=None,
                label="or a clip of the manifest",
                visible=bool(names),
                elem_id="emo-pick",
            )
            words = gr.Textbox(label="What is said in it, if you know", max_length=limits.most_letters)
            go = gr.Button("Answer", variant="primary", elem_id="emo-answer")
            status = gr.HTML(elem_id="emo-status")
        with gr.Column(scale=6):
            labels = {
                name: gr.Label(label=f"Perceived expression: {name}", num_top_classes=len(system.labels))
                for name, system in session.models.systems.items()
            }
            note = gr.HTML(elem_id="emo-note")
            reasons = gr.Textbox(
                label="Reasons, as the model gives them",
                lines=4,
                interactive=False,
                visible=session.models.talks,
                elem_id="emo-reasons",
            )
    plot = gr.Plot(show_label=False, elem_id="emo-timeline")
    shots = gr.HTML(elem_id="emo-shots")
    talk = gr.State("")
    outputs = [drop, status, *labels.values(), note, reasons, plot, shots, talk]

    def answer(token: str, clip_id: str | None, said: str) -> Iterator[dict[Any, Any]]:
        shown: dict[Any, Any] = dict.fromkeys((*labels.values(), plot))
        shown |= {status: "<p>Looking at the clip.</p>", note: "", reasons: "", shots: "", talk: ""}
        yield shown
        answered: list[Answered] = []
        shown[status] = ""
        try:
            for event in _events(session, token, names.get(clip_id or ""), said):
                new: dict[Any, Any]
                if isinstance(event, Waiting):
                    new = {status: f"<p>{event.ahead} before this one.</p>"}
                elif isinstance(event, Timeline):
                    new = {plot: timeline_figure(event), shots: stills(event), status: "<p>Answering.</p>"}
                elif isinstance(event, Answered):
                    answered.append(event)
                    new = {
                        labels[event.model]: dict(event.answer.probabilities),
                        note: missing_note(answered),
                    }
                elif isinstance(event, Piece):
                    new = {reasons: shown[reasons] + event.text}
                else:
                    new = {talk: event.token}
                shown |= new
                yield new
        except Exception as error:  # the edge of the page: every error becomes words
            yield shown | {drop: "", status: alert(refusal_of(error).sentence())}
        else:
            yield shown | {drop: "", status: ""}

    picked.input(lambda: "", outputs=drop, api_visibility="private")
    go.click(answer, [drop, picked, words], outputs, api_name="answer", show_progress="minimal")
    if session.models.talks:
        _chat(session, talk, go)


def _events(session: Session, token: str, clip: Clip | None, said: str) -> Iterator[Event]:
    if token:
        return session.answer(session.uploads.take(str(token)), str(said or ""), timeline=True)
    if clip is not None:
        return session.answer_of_ours(clip)
    raise Refused(422, "no_clip", "Upload a clip first, or pick one.")


def _chat(session: Session, talk: Any, go: Any) -> None:
    """Questions about the clip that was answered for last."""
    import gradio as gr

    talked = gr.Chatbot(label="Ask about this clip", height=260, buttons=["copy"], elem_id="emo-talk")
    asked = gr.Textbox(
        label="Each question is asked by itself, as in training; earlier answers are not shown to the model",
        max_length=session.limits.most_letters,
        placeholder="What does the voice add?",
        elem_id="emo-ask",
    )

    def ask(
        token: str, question: str, before: list[dict[str, Any]] | None
    ) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        said = [*(before or []), {"role": "user", "content": str(question)}]
        text = ""
        try:
            for event in session.ask(str(token), str(question)):
                if isinstance(event, Piece):
                    text += event.text
                    yield "", [*said, {"role": "assistant", "content": text}]
        except Exception as error:  # the edge of the page: every error becomes words
            yield "", [*said, {"role": "assistant", "content": refusal_of(error).sentence()}]

    asked.submit(ask, [talk, asked, talked], [asked, talked], api_name="ask")
    go.click(list, outputs=talked, api_visibility="private")
