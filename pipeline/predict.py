"""The predict service: clips in, answers out, through the same extraction and cache as training.

Features that are not stored yet are extracted with the recipe the model was trained on, and stay cached.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from emo.cache import FeatureCache, Space, open_cache
from emo.clip import Clip
from emo.config.extract import DEFAULTS, MediaLimits
from emo.corpora.manifest import clips_in
from emo.errors import ConfigError, StaleCache
from emo.heads.batches import Source
from emo.pipeline.answers import Answer
from emo.pipeline.extract import extract
from emo.pipeline.faces import unusual_faces
from emo.pipeline.people import with_person
from emo.pipeline.progress import ExtractProgress
from emo.pipeline.systems import System, answer_all, load_system


@dataclass(frozen=True, slots=True)
class Prepared:
    """A loaded system, the clips it is to answer for, and the spaces where their features now are."""

    system: System
    clips: Sequence[Clip]
    spaces: Mapping[str, Space]


def predict(
    clips: str | os.PathLike[str] | Sequence[str | os.PathLike[str] | Clip],
    model: str | os.PathLike[str],
    cache: str | os.PathLike[str] = "features.zarr",
    *,
    text: str = "",
    reasons: bool = True,
    abstain_below: float = 0.0,
    accept_degraded: bool = False,
    head: str | None = None,
    jobs: int = 0,
    limits: MediaLimits = DEFAULTS,
    on_progress: Callable[[ExtractProgress], None] | None = None,
) -> Iterator[Answer]:
    """Answers of the trained `model` (a folder of `emo train-head` or `emo train-llm`) for clips.

    `clips` are media files, folders, manifests or Clips; `text` is what is said in a single clip. Features
    go to and come from `cache`; `limits` is what media may claim and cost. A clip without a feature is
    answered without it, and says so. An answer whose probability is below `abstain_below` is withheld.
    Features of damaged media are used only with `accept_degraded`. A head whose class is your own is imported
    only where `head` names it as `module:Class`.

    Raises CheckpointError where the folder cannot be loaded, ConfigError where there is nothing to answer
    for, StaleCache where this installation's encoder makes other features than the model was trained on.

    >>> (answer,) = emo.predict("clips/clip1.wav", "runs/head", "features.zarr", jobs=1)
    >>> answer.label in answer.probabilities, answer.features, answer.missing
    (True, ('hubert',), ())
    """
    system = load_system(Path(model), head=head)
    ready = prepare(
        system,
        clips_named(clips, text),
        cache,
        accept_degraded=accept_degraded,
        jobs=jobs,
        limits=limits,
        on_progress=on_progress,
    )
    for answer in answer_all(system, ready.clips, ready.spaces, reasons=reasons):
        yield answer.unless_below(abstain_below)


def prepare(
    system: System,
    clips: Sequence[Clip],
    cache: str | os.PathLike[str],
    *,
    force: bool = False,
    accept_degraded: bool = False,
    jobs: int = 0,
    faces: Mapping[str, str] = MappingProxyType({}),
    aligned_faces: str | os.PathLike[str] | None = None,
    person: str = "",
    limits: MediaLimits = DEFAULTS,
    on_people: Callable[[int, int, str], None] | None = None,
    on_progress: Callable[[ExtractProgress], None] | None = None,
) -> Prepared:
    """Extract what `system` needs of `clips` and is not stored yet. `force` and errors as `spaces_of`.

    Encoders look at faces as those of the training features did, but for what `faces` says: that makes other
    features, which are taken with `force` alone. `aligned_faces` and `limits` are as `extract` takes them.
    `person` is whose face counts in clips that name nobody, see `with_person`: they are answered for under
    the name that a manifest gives such a row, `<clip>#<person>`.
    Features of damaged media count as missing, unless `accept_degraded`.

    Features whose recipe is not known, as of converted weights, are taken from the cache as they are.
    """
    clips = with_person(clips, person, named=True, limits=limits, jobs=jobs, on_progress=on_people)
    for (preset, settings), names in recipes_of(system.sources).items():
        extract(
            clips,
            names,
            cache,
            preset=preset,
            faces={**dict(settings), **faces},
            aligned_faces=aligned_faces,
            jobs=jobs,
            limits=limits,
            on_progress=on_progress,
        )
    read = open_cache(cache, accept_degraded=accept_degraded)
    return Prepared(system, clips, spaces_of(system, read, force=force))


def spaces_of(system: System, cache: FeatureCache, *, force: bool = False) -> dict[str, Space]:
    """The spaces with exactly the features that `system` was trained on.

    Where their recipe is not known, the only space of that encoder; with `force` wherever the right one is
    not there. StaleCache where the cache holds that encoder's features only by another recipe or of another
    size, CacheMiss and AmbiguousSpace where there is none or no single one.
    """
    spaces = {}
    for name, array in system.arrays.items():
        source = system.sources.get(name)
        if source is not None and source.spec in cache:
            spaces[name] = cache.space(source.spec)
            continue
        if source is not None and not force:
            there = [space.name for space in cache.spaces() if space.spec.encoder == name]
            raise StaleCache(
                f"the model was trained on {name}/{source.spec.short} (preset {source.spec.preset}); "
                f"the cache holds {', '.join(there) or f'no {name} features'}. "
                f"Run: emo extract --encoder {name} --preset {source.spec.preset}"
            )
        spaces[name] = _fitting(cache.space(name), name, array, system.dims[name])
    return spaces


def _fitting(space: Space, name: str, array: str, dim: int) -> Space:
    """`space`, where it has the array in the size that a model takes; StaleCache where not."""
    stored, _, pooling = array.partition(":")
    layout = space.spec.arrays.get(stored)
    if layout is None or (not pooling and layout.dim != dim):
        has = ", ".join(f"{key} of {value.dim}" for key, value in space.spec.arrays.items())
        raise StaleCache(
            f"{name}: the model takes {stored} of {dim} numbers, {space.name} has {has}. "
            f"Extract with the encoder it was trained on."
        )
    return space


def clips_named(
    clips: str | os.PathLike[str] | Sequence[str | os.PathLike[str] | Clip], text: str = ""
) -> list[Clip]:
    """The clips of media files, folders, manifests or Clips; `text` is what is said in the only one.

    ConfigError where there is none, or more than one for `text`.
    """
    given = [clips] if isinstance(clips, str | os.PathLike) else list(clips)
    found: list[Clip] = []
    for each in given:
        found += [each] if isinstance(each, Clip) else clips_in(Path(each))[0]
    if not found:
        raise ConfigError("no clips to answer for. Name a media file, a folder or a manifest.")
    if text and len(found) > 1:
        raise ConfigError(f"--text is what is said in one clip, but there are {len(found)}. Use a manifest.")
    if text:
        found = [replace(found[0], text=text)]
    return found


def recipes_of(sources: Mapping[str, Source]) -> dict[tuple[str, tuple[tuple[str, str], ...]], list[str]]:
    """Names of encoders by their preset and by what differs from its usual faces: each is one extraction."""
    grouped: dict[tuple[str, tuple[tuple[str, str], ...]], list[str]] = {}
    for name, source in sources.items():
        settings = unusual_faces(source.spec)
        grouped.setdefault((source.spec.preset, tuple(settings.items())), []).append(name)
    return grouped
