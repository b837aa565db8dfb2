"""HubClient: requests to the Hub that end, are made again, and fail in our words.

The token is the library's affair (HF_TOKEN or a login). The library's own words repeat signed addresses, so
no message and no log has them. Knows no repository.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any, TypeVar

from emo.cache.remote.retries import patiently
from emo.cache.remote.store import ChangedMeanwhile, NotThere, Passing, StoreError
from emo.config.remote import RemoteSettings

T = TypeVar("T")
PASSING = {408, 429, 500, 502, 503, 504}
CHANGED = {409, 412}
TALKATIVE = ("huggingface_hub.utils._http", "httpx", "httpx2")


class HubClient:
    """The library's interface for one place, `where` in messages."""

    def __init__(self, where: str, settings: RemoteSettings) -> None:
        from huggingface_hub import HfApi
        from huggingface_hub.utils import disable_progress_bars

        self._where, self._settings = where, settings
        for name in TALKATIVE:
            logging.getLogger(name).setLevel(logging.ERROR)
        disable_progress_bars()
        self.api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="emo-toolkit")

    def session(self) -> Any:
        """The library's connection, which by itself waits for ever."""
        from huggingface_hub.utils import get_session

        session = get_session()
        session.timeout = self._settings.request_s
        return session

    def asked(self, name: str, request: Callable[[], T], *, once: bool = False) -> T:
        """What the request gives; tried again where it fails in passing, unless the library does that."""

        def ask() -> T:
            from huggingface_hub.errors import HTTPError

            self.session()
            try:
                return request()
            except (HTTPError, OSError, RuntimeError, ValueError) as error:  # all that the library raises
                told = self._told(name, error)
            raise told  # outside of the handler: the library's words are no context

        return ask() if once else patiently(ask, self._settings)

    def changed(self) -> ChangedMeanwhile:
        """What to say where another commit was made."""
        return ChangedMeanwhile(
            f"{self._where}: somebody else wrote it meanwhile. Run the same command again."
        )

    def _told(self, name: str, error: Exception) -> StoreError:
        from huggingface_hub import errors

        at, status = f"{self._where}/{name}".rstrip("/"), _status(error)
        if isinstance(error, errors.OfflineModeIsEnabled):
            return StoreError(f"{at}: HF_HUB_OFFLINE is set. Unset it.")
        if isinstance(error, errors.RemoteEntryNotFoundError | errors.RevisionNotFoundError):
            return NotThere(f"{at}: there is no such object.")
        if isinstance(error, errors.RepositoryNotFoundError) or status in (401, 403, 404):
            return StoreError(
                f"{at}: there is no such dataset repository, or this token may not do that, or there is no "
                "token. Make it on the Hub (hf repos create NAME --type dataset), or set HF_TOKEN or run "
                "hf auth login."
            )
        if status in CHANGED:
            return self.changed()
        if status is None or status in PASSING:
            return Passing(f"{at}: the Hub failed or did not answer.")
        return StoreError(f"{at}: the Hub refuses the request (status {status}).")


def _status(error: BaseException | None) -> int | None:
    """The HTTP status behind an error, however deep the library wrapped it."""
    while error is not None:
        response = getattr(error, "response", None)
        if response is not None:
            return int(response.status_code)
        error = error.__cause__
    return None
