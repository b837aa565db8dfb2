"""What a model says of the pictures or the voices of a build's clips. Knows no models and no captions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emo.merr.cases import Pending, Teller
from emo.merr.in_order import answered


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """Words by clip id; which clips' answers could not be used; which wait for an answer, and why."""

    words: Mapping[str, str] = field(default_factory=dict)
    unusable: tuple[str, ...] = ()
    waiting: Mapping[str, str] = field(default_factory=dict)


def tell_all(
    files: Mapping[str, Path],
    teller: Teller | None,
    *,
    concurrency: int = 1,
    on_done: Callable[[int, int, str], None] = lambda done, total, clip_id: None,
) -> Told:
    """Ask about each clip's file; nothing where there is nobody to ask."""
    if teller is None:
        return Told()
    words, waiting, unusable = {}, {}, []
    answers = answered(list(files.items()), lambda item: teller.tell(item[1]), concurrency)
    for done, ((clip_id, _), answer) in enumerate(answers, start=1):
        if isinstance(answer, Pending):
            waiting[clip_id] = answer.detail
        elif answer:
            words[clip_id] = answer
        else:
            unusable.append(clip_id)
        on_done(done, len(files), clip_id)
    return Told(words=words, unusable=tuple(unusable), waiting=waiting)
