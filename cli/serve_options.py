"""The options of verbs that serve: where they listen and who may ask; and the serving itself.

`emo predict` with `--serve` answers over HTTP instead of for CLIPS, with the model and the device that its
other options name.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from emo.cli.console import Voice, quieten_transformers, voice

if TYPE_CHECKING:
    from emo.app.guard import Asgi
    from emo.app.serving import Address
    from emo.app.session import Session

HOST = click.option(
    "--host", default="127.0.0.1", show_default=True, help="Where to listen; others need --auth."
)
PORT = click.option("--port", type=click.IntRange(0, 65535), default=7860, show_default=True)
AUTH = click.option(
    "--auth", metavar="USER:ENVVAR", help="Who may ask; the environment variable has the password."
)
SERVE = click.option(
    "--serve", is_flag=True, help="Answer over HTTP instead: uploads only, this machine only, docs/page.md."
)

SERVED = {
    *(
        "--serve",
        "--host",
        "--port",
        "--auth",
        "--model",
        "--base",
        "--labels",
        "--head",
        "--device",
        "--dtype",
    ),
    *("--bits", "--force", "--max-new-tokens", "--temperature", "--top-p", "--repetition-penalty", "--seed"),
}


def serve_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--serve`, `--host`, `--port` and `--auth` to `emo predict`. Without `--serve` CLIPS is needed."""

    @wraps(command)
    def either(
        ctx: click.Context, /, *, serve: bool, host: str, port: int, auth: str | None, **others: Any
    ) -> None:
        if not serve:
            if not others["clips"]:
                raise click.MissingParameter(ctx=ctx, param=ctx.command.params[0])
            command(ctx, **others)
            return
        if others["clips"]:
            raise click.UsageError("--serve takes no CLIPS: they are uploaded.", ctx)
        _refuse_others(ctx)
        _serve_api(ctx, host, port, auth, **others)

    for option in reversed((SERVE, HOST, PORT, AUTH)):
        either = option(either)
    return either


def _refuse_others(ctx: click.Context) -> None:
    """UsageError for typed options that say nothing to a server: its limits and its store are its own."""
    typed = {
        param.opts[0]
        for param in ctx.command.params
        if param.name and ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE
    }
    if deaf := sorted(typed - SERVED):
        raise click.UsageError(f"--serve has its own limits and store. Leave out {', '.join(deaf)}.", ctx)


def _serve_api(
    ctx: click.Context,
    host: str,
    port: int,
    auth: str | None,
    *,
    model: str,
    loading: dict[str, Any],
    force: bool,
    **others: Any,
) -> None:
    from emo.app.api import api_of
    from emo.app.models import Models
    from emo.app.serving import Address, credentials_of
    from emo.app.session import Session
    from emo.cli.model_options import loaded
    from emo.config.decoding import Decoding

    address = Address(host=host, port=port, credentials=credentials_of(auth))
    names = ("max_new_tokens", "temperature", "top_p", "repetition_penalty", "seed")
    decoding = Decoding(**{name: others[name] for name in names})
    quieten_transformers()
    system = loaded(model, loading, force=force, decoding=decoding)
    session = Session(Models({Path(model).resolve().name: system}))
    try:
        serve_until_stopped(voice(ctx), api_of(session, address), session, address, "POST /predict")
    finally:
        session.close()


def serve_until_stopped(speaker: Voice, app: Asgi, session: Session, address: Address, what: str) -> None:
    """Warm the session up, say where it listens, and serve until a signal. What strangers are not told goes
    to stderr, under the id that they are."""
    from emo.app.serving import Address, listening, server_of

    server = server_of(app, session.limits.head_seconds)
    with listening(address) as listener:
        session.warm()
        logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.WARNING)
        host, port = listener.getsockname()[:2]
        url = Address(host=host, port=port, credentials=address.credentials).url
        speaker.note(f"{what} at {url} - Ctrl-C ends it. {session.limits.sentence()}.")
        server.run(sockets=[listener])
