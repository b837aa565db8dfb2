"""What is asked of a decoding process and what it answers, as plain JSON and buffers of bytes.

The answer comes from a process that decodes files nobody trusts: its shapes, types and sizes are checked, and
nothing in it is ever run. Knows no decoder and no processes.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emo.canonical import Json
from emo.clip import Clip
from emo.config.extract import MediaLimits
from emo.safety.messages import BrokenMessage, Buffer, Message
from emo.views import (
    AudioView,
    ChangeView,
    FacesView,
    FrameView,
    LevelView,
    MediaView,
    MomentView,
    PeopleView,
    ViewData,
    ViewProblem,
)

Outcome: TypeAlias = "ViewData | ViewProblem"
KINDS: dict[str, type[MediaView]] = {
    kind.__name__: kind
    for kind in (AudioView, LevelView, FacesView, FrameView, MomentView, ChangeView, PeopleView)
}
TYPES: dict[str, np.dtype[Any]] = {name: np.dtype(name) for name in ("|u1", "<f4", "<f8")}
PATHS = ("path", "au_path", "faces_path", "root")


def order_of(clip: Clip, views: Sequence[MediaView], limits: MediaLimits) -> Json:
    """What is asked: these views of this clip within these limits."""
    return {
        "clip": _plain(asdict(clip)),
        "views": [[type(view).__name__, asdict(view)] for view in views],
        "limits": _plain(asdict(limits)),
    }


def read_order(order: Any) -> tuple[Clip, list[MediaView], MediaLimits]:
    """The other way round, in the decoding process."""
    views = [KINDS[kind](**values) for kind, values in order["views"]]
    return Clip(**_with_paths(order["clip"])), views, MediaLimits(**_with_paths(order["limits"]))


def answer_of(outcomes: Collection[Outcome]) -> Message:
    """What was found, in the order of the views; two buffers for each view that could be had."""
    found: list[Json] = []
    buffers: list[Buffer] = []
    for outcome in outcomes:
        if isinstance(outcome, ViewProblem):
            found.append({"status": outcome.status, "reason": outcome.reason})
            continue
        arrays = [np.ascontiguousarray(array) for array in (outcome.array, outcome.times)]
        buffers += [array.reshape(-1).view(np.uint8).data for array in arrays]
        found.append(
            {
                "arrays": [[array.dtype.str, list(array.shape)] for array in arrays],
                "meta": dict(outcome.meta),
                "flags": list(outcome.flags),
                "degraded": outcome.degraded,
                "media_seconds": outcome.media_seconds,
            }
        )
    return Message(found, buffers)


def read_answer(answer: Message, count: int) -> list[Outcome]:
    """The outcomes of `count` views. BrokenMessage where the answer is none of that kind."""
    buffers = iter(answer.buffers)
    try:
        told: Any = answer.body
        outcomes = [_outcome(one, buffers) for one in told]
    except (KeyError, TypeError, ValueError, StopIteration) as error:
        raise BrokenMessage(f"{type(error).__name__}: {error}") from error
    if len(outcomes) != count:
        raise BrokenMessage(f"{len(outcomes)} views, {count} were asked for")
    return outcomes


def _outcome(told: Any, buffers: Iterator[Buffer]) -> Outcome:
    if "status" in told:
        return ViewProblem(status=str(told["status"]), reason=str(told["reason"]))
    array, times = (_array(kind, shape, next(buffers)) for kind, shape in told["arrays"])
    return ViewData(
        array=array,
        times=times,
        meta=dict(told["meta"]),
        flags=tuple(str(flag) for flag in told["flags"]),
        degraded=None if told["degraded"] is None else str(told["degraded"]),
        media_seconds=None if told["media_seconds"] is None else float(told["media_seconds"]),
    )


def _array(kind: str, shape: Sequence[int], buffer: Buffer) -> NDArray[Any]:
    if math.prod(shape) * TYPES[kind].itemsize != len(buffer) or min(shape, default=0) < 0:
        raise ValueError(f"{shape} of {kind} are not {len(buffer)} bytes")
    array: NDArray[Any] = np.frombuffer(buffer, TYPES[kind]).reshape(shape)
    return array


def _plain(values: dict[str, Any]) -> dict[str, Json]:
    """Paths become absolute: the decoding process may have started in another folder."""
    return {
        name: str(value.absolute()) if isinstance(value, Path) else value for name, value in values.items()
    }


def _with_paths(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: Path(value) if name in PATHS and value is not None else value for name, value in values.items()
    }
