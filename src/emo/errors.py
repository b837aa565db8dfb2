"""Every error that emo raises on purpose.

EmoError
 ├─ ConfigError          a setting, a manifest or a command is wrong           (exit 2)
 ├─ MediaError           a media file cannot give a view                       (a status, never an exit)
 ├─ CacheError           the feature store
 │   ├─ CacheMiss        a record that was asked for is not there              (exit 2)
 │   ├─ AmbiguousSpace   one encoder name, several feature spaces              (exit 2)
 │   ├─ StaleCache       features made by another recipe than the one asked    (exit 6)
 │   ├─ FormatError      a store of another format version                     (exit 2)
 │   └─ DamagedCache     bytes that are not what was written                   (exit 4)
 ├─ CheckpointError      weights, adapters or projectors do not fit            (exit 2)
 ├─ NonFiniteLoss        training stopped on NaN or Inf                        (exit 7)
 ├─ Interrupted          asked to stop; what is done is saved                  (exit 75)
 ├─ ServiceDown          a server did not answer; asking later may help         (exit 75)
 ├─ MissingDependency    an extra is not installed                             (exit 8)
 └─ RightsError          a licence forbids it                                  (exit 9)

A message says what happened, with the id and the numbers, and what to do about it.
This module knows no exit codes: `cli/` turns errors into those.
"""

import difflib
from collections.abc import Collection


class EmoError(Exception):
    """Root of the tree; catch it to catch everything emo raises on purpose.

    >>> try:
    ...     emo.open("nowhere.zarr")
    ... except emo.EmoError as error:
    ...     print(error)
    there is no feature cache at nowhere.zarr. Run: emo extract --cache nowhere.zarr
    """


class ConfigError(EmoError):
    """A setting, a manifest row or a command-line value is wrong; lists every mistake found."""

    def __init__(self, *mistakes: str) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class MediaError(EmoError):
    """A media file cannot give a view; carries the status word that the cache records."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason


class CacheError(EmoError):
    """The feature store refused or failed."""


class CacheMiss(CacheError, KeyError):
    """A record that was asked for is not in the store; the message names the command that fills it."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class AmbiguousSpace(CacheError):
    """One encoder name stands for several feature spaces; name a fingerprint or a preset."""


class StaleCache(CacheError):
    """Features made by one recipe were asked for under another; shows the fields that differ."""


class FormatError(CacheError):
    """The store was written in a format version that this release cannot read."""


class DamagedCache(CacheError):
    """Bytes owned by a record, an index, a journal or a metadata file are not what was written."""


class CheckpointError(EmoError):
    """Weights, adapters or projectors are missing, superfluous or of the wrong shape."""


class NonFiniteLoss(EmoError):
    """Training met NaN or Inf more often than it may and stopped before stepping on it."""


class Interrupted(EmoError):
    """A signal asked the work to stop; what is done is saved and the same command goes on."""


class ServiceDown(EmoError):
    """A server did not answer, however often it was asked; asking later may help."""


class MissingDependency(EmoError):
    """An optional package is needed; the message holds the line that installs it."""


class RightsError(EmoError):
    """A licence forbids what was asked."""


def hint(name: str, known: Collection[str]) -> str:
    """The nearest known name, or all of them where none is near."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean `{near[0]}`?" if near else f"known: {', '.join(known)}."
