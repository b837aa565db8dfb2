"""A server on one address: uvicorn, with the patience that it lacks. Knows no models and no routes.

uvicorn waits for the head of a request without end; here a connection that does not bring a whole head in
time is closed, however it dribbles.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

from emo.app.guard import Credentials
from emo.errors import ConfigError, MissingDependency

if TYPE_CHECKING:
    from uvicorn import Server

    from emo.app.guard import Asgi

INSTALL = "pip install 'emo-toolkit[serve]'"
LEAST_PASSWORD = 8
MOST_CONNECTIONS = 256
MOST_HEAD = 16 << 10  # bytes
IDLE_S = 5  # between two requests of one connection
STOPPING_S = 3  # for what is under way when the server is to stop


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """Where a server listens, and who may ask. ConfigError where others can and nobody is named."""

    host: str = "127.0.0.1"
    port: int = 7860
    credentials: Credentials | None = None

    def __post_init__(self) -> None:
        if not self.local and self.credentials is None:
            raise ConfigError(
                f"--host {self.host} lets other machines in. Say who may ask: --auth USER:ENVVAR, where the "
                "environment variable ENVVAR holds the password."
            )

    @property
    def local(self) -> bool:
        """Whether only this machine reaches it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def url(self) -> str:
        """The address as a browser takes it."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def credentials_of(auth: str | None) -> Credentials | None:
    """The credentials that `USER:ENVVAR` names; the password is in the environment alone.

    ConfigError where it is not, or is short.
    """
    if not auth:
        return None
    user, colon, variable = auth.partition(":")
    if not (user and colon and variable.isidentifier()):
        raise ConfigError("--auth takes USER:ENVVAR: a name, and the environment variable with the password.")
    password = os.environ.get(variable, "")
    if len(password) < LEAST_PASSWORD:
        raise ConfigError(
            f"the environment variable {variable} of --auth has {len(password)} letters. Set it to a "
            f"password of {LEAST_PASSWORD} or more."
        )
    return Credentials(user=user, password=password)


def listening(address: Address) -> socket.socket:
    """A socket that listens at the address; port 0 is any free one. ConfigError where it cannot."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
    except OSError as error:
        listener.close()
        raise ConfigError(f"{address.url} cannot be used: {error.strerror}. Give another --port.") from error
    listener.listen(MOST_CONNECTIONS)
    return listener


def server_of(app: Asgi, head_seconds: float) -> Server:
    """A uvicorn server of `app`; `run(sockets=[...])` serves until a signal or `should_exit`.

    MissingDependency where uvicorn is not installed.
    """
    try:
        import uvicorn
        from uvicorn.protocols.http.h11_impl import H11Protocol
    except ImportError as error:
        raise MissingDependency(f"uvicorn is not installed. Run: {INSTALL}") from error

    class Impatient(H11Protocol):
        """HTTP/1.1 whose heads have to come in time."""

        _patience: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            self._rest()
            super().connection_lost(exc)

        def _watch(self) -> None:
            """Wait for a head that is not whole; not while a request is being answered."""
            cycle: Any = self.cycle
            if cycle is not None and not cycle.response_complete:
                self._rest()
            elif self._patience is None:
                self._patience = self.loop.call_later(head_seconds, self._give_up)

        def _rest(self) -> None:
            if self._patience is not None:
                self._patience.cancel()
                self._patience = None

        def _give_up(self) -> None:
            self._patience = None
            cycle: Any = self.cycle
            if cycle is None or cycle.response_complete:
                self.transport.close()

    class Quiet(uvicorn.Server):
        """A server that ends at a signal without raising it again: that is how it is meant to end."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            if threading.current_thread() is not threading.main_thread():
                yield
                return

            def stop(number: int, frame: FrameType | None) -> None:
                self.handle_exit(number, frame)

            before = {one: signal.signal(one, stop) for one in (signal.SIGINT, signal.SIGTERM)}
            try:
                yield
            finally:
                for one, handler in before.items():
                    signal.signal(one, handler)

    config = uvicorn.Config(
        app,
        http=Impatient,
        ws="none",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        h11_max_incomplete_event_size=MOST_HEAD,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=STOPPING_S,
    )
    return Quiet(config)
