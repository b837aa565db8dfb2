"""What an extraction says of itself while it runs and when it has ended. Knows no clips and no encoders."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from emo.pipeline.plan import Failure


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtractProgress:
    """After each clip: pairs done and asked for in this run, and what failed.

    `elsewhere` counts the pairs among those done that another process stored in the meantime. `share` is how
    much of the work is done, by seconds of media; None while that is not known. `bytes` of features were
    stored so far; `crowded` of the clips showed several people, of whom nobody said whom they are about.
    """

    done: int
    total: int
    clip_id: str
    failures: tuple[Failure, ...] = ()
    elsewhere: int = 0
    share: float | None = None
    bytes: int = 0
    crowded: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtractResult:
    """Counts of clip and encoder pairs; stored + already + len(failed) = clips x encoders.

    `seconds` is where the time went; `notes` are lines for people, such as the error of a half precision.

    >>> emo.ExtractResult(clips=2, stored=1, already=1, failed=()).to_json()["stored"]
    1
    """

    clips: int
    stored: int
    already: int
    failed: tuple[Failure, ...]
    bytes: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The object that `emo extract --json` prints."""
        return asdict(self)
