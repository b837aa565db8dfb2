"""S3Store: objects of S3 and of servers that speak like it, through obstore.

Credentials come from the environment only and are in no message: errors are told in our words, never in the
server's, which repeat access keys. Knows no cache.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from emo.cache.remote.retries import patiently
from emo.cache.remote.store import ChangedMeanwhile, NotThere, Passing, StoreError, Tag, check_squash
from emo.cache.remote.urls import BucketPlace
from emo.config.remote import RemoteSettings
from emo.errors import MissingDependency

if TYPE_CHECKING:
    from obstore.store import S3Store as ObstoreS3

T = TypeVar("T")

_KEYS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


class S3Store:
    """One prefix of one bucket."""

    has_history = False
    remains = (
        "Old versions that the bucket keeps (versioning, replicas, backups) still hold what was removed: its "
        "life-cycle rules are yours to set."
    )

    def __init__(self, place: BucketPlace, settings: RemoteSettings) -> None:
        self.where = place.url
        self._place, self._settings = place, settings
        self._store = _connected(place, settings)

    @property
    def snapshot(self) -> str:
        """The place: a bucket has no snapshots."""
        return self.where

    def get(self, name: str) -> bytes:
        """The whole object; NotThere where there is none."""
        return self.get_tagged(name)[0]

    def get_tagged(self, name: str) -> tuple[bytes, Tag]:
        """The object and its version."""
        import obstore

        def get() -> tuple[bytes, Tag]:
            found = obstore.get(self._store, self._key(name))
            data = bytes(found.bytes())
            if len(data) != found.meta["size"]:
                raise self._half(name, len(data), found.meta["size"])
            return data, Tag(found.meta["e_tag"] or "")

        return self._asked(name, get)

    def get_range(self, name: str, start: int, length: int) -> bytes:
        """Exactly these bytes, by one request; NotThere where there is no such object."""
        import obstore

        def get() -> bytes:
            data = bytes(obstore.get_range(self._store, self._key(name), start=start, length=length))
            if len(data) != length:
                raise self._half(name, len(data), length)
            return data

        return self._asked(name, get)

    def holds(self, name: str, data: bytes) -> bool:
        """Whether the object is there with exactly these bytes: by its MD5 where the store tells it, else
        by reading it."""
        import obstore

        try:
            meta = self._asked(name, lambda: obstore.head(self._store, self._key(name)))
        except NotThere:
            return False
        if meta["size"] != len(data):
            return False
        return self._same(meta["e_tag"], data) or self.get(name) == data

    def put(self, name: str, data: bytes) -> None:
        """Make or replace the object, and check what arrived."""
        import obstore

        part = self._settings.part_bytes
        in_parts = len(data) > part

        def put() -> None:
            key = self._key(name)
            told = obstore.put(self._store, key, data, use_multipart=in_parts, chunk_size=part)
            if not self._same(told["e_tag"], data) and not self.holds(name, data):
                raise Passing(f"{self.where}/{name}: what arrived is not what was sent.")

        self._asked(name, put)

    def put_first(self, name: str, data: bytes) -> None:
        """Make the object; ChangedMeanwhile where there is one."""
        self._put_if(name, data, "create")

    def put_over(self, name: str, data: bytes, tag: Tag) -> None:
        """Replace this version of the object; ChangedMeanwhile where it is another by now."""
        self._put_if(name, data, {"e_tag": tag.value})

    def _put_if(self, name: str, data: bytes, mode: Any) -> None:
        import obstore

        try:
            self._asked(name, lambda: obstore.put(self._store, self._key(name), data, mode=mode))
        except ChangedMeanwhile:
            if not self.holds(name, data):  # an answer that was lost: the first try did it
                raise

    def delete(self, names: Collection[str]) -> None:
        """Remove objects, and check that they are gone; nothing where they are gone already."""
        import obstore

        for name in names:

            def delete(name: str = name) -> None:
                obstore.delete(self._store, self._key(name))
                if self._is_there(name):
                    raise Passing(f"{self.where}/{name}: it is there after it was deleted.")

            self._asked(name, delete)

    def _is_there(self, name: str) -> bool:
        import obstore

        try:
            obstore.head(self._store, self._key(name))
        except FileNotFoundError:
            return False
        return True

    def listed(self) -> list[str]:
        """Names of objects below the place, as far as the store tells."""
        import obstore

        def listed() -> list[str]:
            pages = obstore.list(self._store, prefix=self._place.path)
            return [entry["path"] for page in pages for entry in page]

        begin = f"{self._place.path}/"
        keys = self._asked("", listed)
        return [key.removeprefix(begin) for key in keys if key.startswith(begin)]

    def settle(self) -> None:
        """Nothing: each object counted when it was put."""

    def squash(self) -> None:
        """ConfigError: emo reaches no old versions of a bucket."""
        check_squash(self)

    def _key(self, name: str) -> str:
        """A name that begins with `.` is of an object beside the cache: `<path>.journal/...`."""
        return self._place.path + (name if name.startswith(".") else f"/{name}")

    def _half(self, name: str, found: int, expected: int) -> Passing:
        return Passing(f"{self.where}/{name}: {found} of {expected} bytes arrived.")

    def _same(self, e_tag: str | None, data: bytes) -> bool:
        """Whether what the store says of its bytes is the MD5 of these: no other ETag says anything."""
        return (e_tag or "").strip('"') == self._e_tag(data)

    def _e_tag(self, data: bytes) -> str:
        """The ETag of an object whose store tells plain MD5s, of its parts where it was sent in parts."""
        part, view = self._settings.part_bytes, memoryview(data)
        if len(data) <= part:
            return hashlib.md5(data, usedforsecurity=False).hexdigest()
        parts = [view[start : start + part] for start in range(0, len(data), part)]
        digests = b"".join(hashlib.md5(one, usedforsecurity=False).digest() for one in parts)
        return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"

    def _asked(self, name: str, request: Callable[[], T]) -> T:
        def ask() -> T:
            from obstore.exceptions import BaseError

            try:
                return request()
            except (BaseError, OSError) as error:
                told = self._told(name, error)
            raise told  # outside of the handler: the server's words, which may name keys, are no context

        return patiently(ask, self._settings)

    def _told(self, name: str, error: Exception) -> StoreError:
        """The error in our words."""
        from obstore import exceptions

        said, at = str(error), f"{self.where}/{name}".rstrip("/")
        if "NoSuchBucket" in said:
            return StoreError(
                f"there is no bucket {self._place.bucket!r} at this store. Make it, or correct it."
            )
        if isinstance(error, FileNotFoundError | exceptions.NotFoundError):
            return NotThere(f"{at}: there is no such object.")
        if isinstance(error, exceptions.AlreadyExistsError | exceptions.PreconditionError):
            return ChangedMeanwhile(f"{at}: somebody else wrote it meanwhile. Run the same command again.")
        if isinstance(
            error, exceptions.PermissionDeniedError | exceptions.UnauthenticatedError | PermissionError
        ):
            return StoreError(
                f"{at}: the store refuses these credentials, or there are none. Set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY (and AWS_REGION, AWS_ENDPOINT_URL where they are not the usual ones)."
            )
        if isinstance(error, exceptions.GenericError | OSError):
            return Passing(f"{at}: the store failed or did not answer.")
        return StoreError(f"{at}: the store refuses the request ({type(error).__name__}).")


def _connected(place: BucketPlace, settings: RemoteSettings) -> ObstoreS3:
    try:
        from obstore.store import S3Store as Obstore
    except ImportError:
        raise MissingDependency("s3:// needs obstore. Run: pip install 'emo-toolkit[remote]'") from None
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    found: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
    if not any(os.environ.get(key) for key in _KEYS):
        found["skip_signature"] = True  # a public bucket; without, the client waits for a machine's own role
    return Obstore(
        place.bucket,
        **found,
        client_options={
            "allow_http": bool(endpoint and endpoint.startswith("http://")),
            "timeout": timedelta(seconds=settings.request_s),
            "connect_timeout": timedelta(seconds=settings.connect_s),
        },
        retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=settings.request_s)},
    )
