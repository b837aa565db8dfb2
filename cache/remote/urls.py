"""URLs of remote caches: which there are and what they point at, never a credential. Knows no store."""

from __future__ import annotations

import re
from dataclasses import dataclass

from emo.errors import ConfigError

_BUCKET = re.compile(r"s3:/{1,2}([^/?#@:]+)/([^?#]*)")
_HUB = re.compile(
    r"hf:/{1,2}(?P<owner>[\w.-]+)/(?P<name>[\w.-]+)(?:@(?P<revision>[\w.-]+))?(?:/(?P<path>[^?#@]*))?", re.A
)
_HUB_KINDS = {"datasets", "models", "spaces"}
_LOOKS_REMOTE = re.compile(r"[a-z][a-z0-9+]+:/", re.I)


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """Where `s3://bucket/path` points."""

    bucket: str
    path: str

    @property
    def url(self) -> str:
        """The URL as it is written, without anything secret."""
        return f"s3://{self.bucket}/{self.path}"


@dataclass(frozen=True, slots=True)
class HubPlace:
    """Where `hf://owner/name@revision/path` points: a dataset repository of the Hub, and a folder in it.

    `path` is empty for the repository itself, `revision` for its main branch.
    """

    repo: str
    path: str = ""
    revision: str = ""

    @property
    def url(self) -> str:
        """The URL as it is written."""
        revision = f"@{self.revision}" if self.revision else ""
        return f"hf://{self.repo}{revision}" + (f"/{self.path}" if self.path else "")


def is_remote(path: str) -> bool:
    """Whether a path that a user gave is a URL. `s3:/x` is one too: pathlib folds the two slashes."""
    return _LOOKS_REMOTE.match(path) is not None


def parse_url(url: str) -> BucketPlace | HubPlace:
    """The place that a URL names; ConfigError where it names none, without repeating what may be a key."""
    place = _bucket_place(url) or _hub_place(url)
    if place is None or {"", ".", ".."} & set(f"x/{place.path}".rstrip("/").split("/")):
        raise ConfigError(
            "a remote cache is s3://BUCKET/PATH, such as s3://lab/features.zarr, or "
            "hf://OWNER/NAME[@REVISION][/PATH], a dataset repository, such as hf://lab/features, without "
            "'..' and without credentials: those come from the environment (AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY; HF_TOKEN or `hf auth login`)."
        )
    return place


def _bucket_place(url: str) -> BucketPlace | None:
    fits = _BUCKET.fullmatch(url)
    path = fits[2].strip("/") if fits else ""
    return BucketPlace(fits[1], path) if fits and path else None


def _hub_place(url: str) -> HubPlace | None:
    fits = _HUB.fullmatch(url)
    if fits is None or fits["owner"] in _HUB_KINDS or {fits["owner"], fits["name"]} & {".", ".."}:
        return None
    return HubPlace(
        f"{fits['owner']}/{fits['name']}", (fits["path"] or "").strip("/"), fits["revision"] or ""
    )
