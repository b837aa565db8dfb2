"""Store: the few things that a remote cache asks of a place where objects lie under names.

A name that was read is never looked for in a listing: a listing may be stale. Knows no cache.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from emo.cache.remote.urls import BucketPlace, parse_url
from emo.config.remote import DEFAULTS, RemoteSettings
from emo.errors import CacheError, ConfigError


class StoreError(CacheError):
    """The store refused or could not be reached; the message holds no credentials."""


class NotThere(StoreError):
    """There is no object of this name."""


class Passing(StoreError):
    """A failure that may be over when it is tried again: a 5xx, a timeout, half a body."""


class ChangedMeanwhile(StoreError):
    """The object is not the one that was to be replaced: somebody else was quicker."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A version of one object: what a conditional replacement names."""

    value: str


class Store(Protocol):
    """Objects by name, below one place. Every method tries again what fails in passing."""

    where: str  # the place as a user writes it
    has_history: bool  # whether it keeps older versions that `squash` can remove
    remains: str  # what may still hold bytes that were removed or replaced, for people

    @property
    def snapshot(self) -> str:
        """The URL by which another process reads what this one does, as far as the store can."""

    def get(self, name: str) -> bytes:
        """The whole object; NotThere where there is none."""

    def get_tagged(self, name: str) -> tuple[bytes, Tag]:
        """The object and its version."""

    def get_range(self, name: str, start: int, length: int) -> bytes:
        """Exactly these bytes, by one request; NotThere where there is no such object."""

    def holds(self, name: str, data: bytes) -> bool:
        """Whether the object is there with exactly these bytes."""

    def put(self, name: str, data: bytes) -> None:
        """Make or replace the object, and check what arrived."""

    def put_first(self, name: str, data: bytes) -> None:
        """Make the object; ChangedMeanwhile where there is one."""

    def put_over(self, name: str, data: bytes, tag: Tag) -> None:
        """Replace this version of the object; ChangedMeanwhile where it is another by now."""

    def delete(self, names: Collection[str]) -> None:
        """Remove objects, and check that they are gone; nothing where they are gone already."""

    def listed(self) -> list[str]:
        """Names of objects below the place, as far as the store tells: may lack new ones, may have old."""

    def settle(self) -> None:
        """Make what was put and deleted count, all of it in one step; nothing where each did at once.

        ChangedMeanwhile where somebody else was quicker; nothing was changed then.
        """

    def squash(self) -> None:
        """Remove older versions for good; ConfigError where the store has none that it can."""


def check_squash(store: Store) -> None:
    """ConfigError where `squash` cannot do anything, before anything else is done."""
    if not store.has_history:
        raise ConfigError(f"{store.where} has no history that emo can squash. {store.remains}")


def open_store(url: str, settings: RemoteSettings = DEFAULTS) -> Store:
    """The store at a URL. MissingDependency where the package that speaks to it is not installed."""
    place = parse_url(url)
    if isinstance(place, BucketPlace):
        from emo.cache.remote.s3 import S3Store

        return S3Store(place, settings)
    from emo.cache.remote.hub import HubStore

    return HubStore(place, settings)
