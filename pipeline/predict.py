"""The predict service: clips in, answers out, through the same extraction and cache as training.

Features that are not stored yet are extracted with the recipe the model was trained on, and stay cached.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from emo.cache import FeatureCache, Space, open_cache
from emo.clip import Clip
from emo.corpora.manifest import clips_in
from emo.errors import ConfigError, StaleCache
from emo.heads.batches import Source
from emo.pipeline.extract import ExtractProgress, extract
from emo.pipeline.systems import Answer, System, answer_all, load_system

SUBSTITUTE = "-substitute"  # how a spec marks that another checkpoint stood in for a preset's own


def predict(
    clips: str | os.PathLike[str] | Sequence[str | os.PathLike[str] | Clip],
    model: str | os.PathLike[str],
    cache: str | os.PathLike[str] = "features.zarr",
    *,
    text: str = "",
    reasons: bool = True,
    jobs: int = 0,
    on_progress: Callable[[ExtractProgress], None] | None = None,
) -> Iterator[Answer]:
    """Answers of the trained `model` (a folder of `emo train-head` or `emo train-llm`) for clips.

    `clips` are media files, folders, manifests or Clips; `text` is what is said in a single clip. Features
    go to and come from `cache`. A clip without a feature is answered without it, and says so.

    Raises ConfigError where there is nothing to answer for, StaleCache where this installation's encoder
    makes other features than the model was trained on.
    """
    chosen = _clips(clips, text)
    system = load_system(Path(model))
    for preset, names in _by_preset(system.sources).items():
        extract(chosen, names, cache, preset=preset, jobs=jobs, on_progress=on_progress)
    spaces = spaces_of(system, open_cache(cache))
    yield from answer_all(system, chosen, spaces, reasons=reasons)


def spaces_of(system: System, cache: FeatureCache) -> dict[str, Space]:
    """The spaces with exactly the features that `system` was trained on.

    StaleCache where the cache holds that encoder's features only by another recipe.
    """
    spaces = {}
    for name, source in system.sources.items():
        if source.spec not in cache:
            there = [space.name for space in cache.spaces() if space.spec.encoder == name]
            raise StaleCache(
                f"the model was trained on {name}/{source.spec.short} (preset {source.spec.preset}); "
                f"the cache holds {', '.join(there) or f'no {name} features'}. "
                f"Run: emo extract --encoder {name} --preset {source.spec.preset}"
            )
        spaces[name] = cache.space(source.spec)
    return spaces


def _clips(clips: str | os.PathLike[str] | Sequence[str | os.PathLike[str] | Clip], text: str) -> list[Clip]:
    given = [clips] if isinstance(clips, str | os.PathLike) else list(clips)
    found: list[Clip] = []
    for each in given:
        found += [each] if isinstance(each, Clip) else clips_in(Path(each))[0]
    if not found:
        raise ConfigError("no clips to answer for. Name a media file, a folder or a manifest.")
    if text and len(found) > 1:
        raise ConfigError(f"--text is what is said in one clip, but there are {len(found)}. Use a manifest.")
    if text:
        only = found[0]
        found = [
            Clip(
                clip_id=only.clip_id,
                path=only.path,
                start=only.start,
                end=only.end,
                text=text,
                au_path=only.au_path,
            )
        ]
    return found


def _by_preset(sources: Mapping[str, Source]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, source in sources.items():
        preset = source.spec.preset.removesuffix(SUBSTITUTE)
        grouped.setdefault(preset, []).append(name)
    return grouped
