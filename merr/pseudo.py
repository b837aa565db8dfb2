"""Labels of a trained head for clips whose features are in the cache.

Reads features, extracts none. Knows no media.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emo.cache import open_cache
from emo.clip import Clip
from emo.errors import CacheMiss


def labels_of_run(run: Path, cache: Path, clips: Sequence[Clip]) -> dict[str, str]:
    """The head's label of each clip, by id; a clip without any feature has none.

    CheckpointError where `run` holds no head, CacheMiss where the cache lacks the features it was trained on.
    """
    from emo.heads.loader import load_features
    from emo.heads.trained import TrainedHead

    head = TrainedHead.load(run)
    store = open_cache(cache)
    absent = [source.spec for source in head.sources.values() if source.spec not in store]
    if absent:
        names = ",".join(spec.encoder for spec in absent)
        raise CacheMiss(
            f"{cache} lacks the features that {run} was trained on: {names}. "
            f"Run: emo extract --encoder {names} --preset {absent[0].preset} --cache {cache}"
        )
    spaces = {name: store.space(source.spec) for name, source in head.sources.items()}
    arrays = {name: source.array for name, source in head.sources.items()}
    batch = load_features(spaces, [clip.clip_id for clip in clips], arrays, missing_ok=True)
    labels = head.predict(batch)
    return {
        clip.clip_id: label
        for place, (clip, label) in enumerate(zip(clips, labels, strict=True))
        if any(bool(mask[place]) for mask in batch.masks.values())
    }
