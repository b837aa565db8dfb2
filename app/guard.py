"""What stands before every request: who may ask, for which paths, how much, how slowly.

An ASGI layer of a few rules around FastAPI and Gradio. What a rule refuses never reaches them. Every reply
carries headers that keep a browser from loading anything from elsewhere. Knows no models and no routes but
those it is given.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from emo.app.refusals import Refusal, Refused, refusal_of
from emo.config.app import AppLimits

Scope: TypeAlias = MutableMapping[str, Any]
Event: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Send: TypeAlias = Callable[[Event], Awaitable[None]]
Asgi: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers: TypeAlias = "list[tuple[bytes, bytes]]"

MOST_QUERY = 8192  # bytes
MOST_FORM = 1 << 18  # bytes of a request that is no clip
HEALTH = "/health"
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; connect-src 'self' blob:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
ALWAYS: Headers = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """A path that may be asked for, as a pattern of the whole of it, and by which methods. `clip` takes a
    media file of any size that is allowed; everything else a few hundred kilobytes."""

    path: str
    methods: tuple[str, ...] = ("GET", "HEAD")
    clip: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """Who may ask where not everybody may: HTTP's basic scheme."""

    user: str
    password: str

    def fit(self, header: str) -> bool:
        """Whether an Authorization header is theirs, in a time that does not tell how much of it is."""
        scheme, _, value = header.partition(" ")
        try:
            given = base64.b64decode(value.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        wanted = f"{self.user}:{self.password}".encode()
        return scheme.lower() == "basic" and hmac.compare_digest(given, wanted)


class Guard:
    """`app` behind the rules. `local` says that only this machine can ask: then only its names are served,
    so that no page of another site reaches the server under a name of its own."""

    def __init__(
        self,
        app: Asgi,
        routes: Sequence[Route],
        limits: AppLimits,
        *,
        local: bool = True,
        credentials: Credentials | None = None,
    ) -> None:
        self._app, self._limits = app, limits
        self._routes = [(re.compile(route.path), route) for route in routes]
        self._local, self._credentials = local, credentials

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        try:
            route = self._allowed(scope, headers)
        except Refused as refused:
            await _refuse(send, refusal_of(refused))
            return
        body = _Body(receive, self._limits, self._limits.most_bytes if route.clip else MOST_FORM)
        answer = _Answer(send, body)
        try:
            await self._app(scope, body.receive, answer.send)
        except Exception as error:  # the edge of the server: whatever it is becomes an answer without a trace
            if body.verdict is None and not answer.begun:
                await _refuse(send, refusal_of(error))
            elif body.verdict is None:
                refusal_of(error)
                raise
        if body.verdict is not None and not answer.begun:
            await _refuse(send, refusal_of(body.verdict))

    def _allowed(self, scope: Scope, headers: dict[str, str]) -> Route:
        """The route of a request; Refused where a rule is against it."""
        host = headers.get("host", "")
        if self._local and _name(host) not in LOCAL_NAMES:
            raise Refused(421, "wrong_host", "This server answers under the names of this machine alone.")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            raise Refused(403, "wrong_origin", "Pages of other sites may not ask this server.")
        path, method = scope["path"], scope["method"]
        if (
            self._credentials is not None
            and path != HEALTH
            and not self._credentials.fit(headers.get("authorization", ""))
        ):
            raise Refused(401, "no_credentials", "A name and a password are needed here.")
        route = next((route for pattern, route in self._routes if pattern.fullmatch(path)), None)
        if route is None:
            raise Refused(404, "not_found", "There is nothing at this address.")
        if method not in route.methods:
            raise Refused(405, "wrong_method", f"Ask by {' or '.join(route.methods)}.")
        if len(scope.get("query_string", b"")) > MOST_QUERY:
            raise Refused(414, "too_long", f"At most {MOST_QUERY} bytes behind the question mark.")
        most = self._limits.most_bytes if route.clip else MOST_FORM
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > most:
            raise _too_much(most)
        return route


class _Body:
    """The body of a request as it comes: counted, and not waited for without end. `verdict` says why it was
    not taken."""

    def __init__(self, receive: Receive, limits: AppLimits, most: int) -> None:
        self._receive, self._seconds, self._most = receive, limits.body_seconds, most
        self._ends = asyncio.get_running_loop().time() + limits.body_seconds
        self._bytes, self._whole = 0, False
        self.verdict: Refused | None = None

    async def receive(self) -> Event:
        """The next event, or that the other side is gone where it sends too much or too slowly."""
        if self.verdict is not None:
            return {"type": "http.disconnect"}
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._ends):
                event = await self._receive()
        except TimeoutError:
            words = f"The request was not there after {self._seconds:.0f} s."
            self.verdict = Refused(408, "too_slow", words)
            return {"type": "http.disconnect"}
        self._bytes += len(event.get("body", b""))
        self._whole = event["type"] != "http.request" or not event.get("more_body", False)
        if self._bytes > self._most:
            self.verdict = _too_much(self._most)
            return {"type": "http.disconnect"}
        return event


class _Answer:
    """What is sent: nothing once the body was refused before anything was begun."""

    def __init__(self, send: Send, body: _Body) -> None:
        self._send, self._body = send, body
        self.begun = False

    async def send(self, event: Event) -> None:
        """Pass an event on, with the headers that every reply has."""
        if self._body.verdict is not None and not self.begun:
            return
        if event["type"] == "http.response.start":
            self.begun = True
            ours = {name for name, _ in ALWAYS}
            kept = [one for one in event.get("headers", []) if one[0].lower() not in ours]
            event = {**event, "headers": [*kept, *ALWAYS]}
        await self._send(event)


def _name(host: str) -> str:
    """A Host header without its port."""
    return f"{host.partition(']')[0]}]" if host.startswith("[") else host.partition(":")[0]


def _too_much(most: int) -> Refused:
    return Refused(413, "too_large", f"At most {most / 1e6:.3g} MB may be sent here.")


async def _refuse(send: Send, refusal: Refusal) -> None:
    body = json.dumps(refusal.to_json()).encode()
    headers: Headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
        *ALWAYS,
    ]
    if refusal.status == 401:
        headers.append((b"www-authenticate", b'Basic realm="emo", charset="UTF-8"'))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
