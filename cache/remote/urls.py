"""URLs of remote caches: which there are and what they point at, never a credential. Knows no store."""

from __future__ import annotations

import re
from dataclasses import dataclass

from emo.errors import ConfigError

_URL = re.compile(r"s3:/{1,2}([^/?#]+)/([^?#]*)")
_LOOKS_REMOTE = re.compile(r"[a-z][a-z0-9+]+:/", re.I)


@dataclass(frozen=True, slots=True)
class Place:
    """Where `s3://bucket/path` points."""

    bucket: str
    path: str

    @property
    def url(self) -> str:
        """The URL as it is written, without anything secret."""
        return f"s3://{self.bucket}/{self.path}"


def is_remote(path: str) -> bool:
    """Whether a path that a user gave is a URL. `s3:/x` is one too: pathlib folds the two slashes."""
    return _LOOKS_REMOTE.match(path) is not None


def parse_url(url: str) -> Place:
    """The place that a URL names; ConfigError where it names none, without repeating what may be a key."""
    fits = _URL.fullmatch(url)
    path = fits[2].strip("/") if fits else ""
    if fits is None or not path or "@" in fits[1] or ":" in fits[1] or ".." in path.split("/"):
        raise ConfigError(
            "a remote cache is s3://BUCKET/PATH, such as s3://lab/features.zarr, without '..' and without "
            "credentials: those come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)."
        )
    return Place(fits[1], path)
