"""Import of the features that the Emotion-LLaMA authors give out: three folders, a .npy file a clip.

(1024,) or (1, 1024) each, under the names that the four-feature models read. They say nothing of how they
were made: whether the MAE rows are class tokens or means is not known. Folder names: Emotion-LLaMA at
commit 4ee28d2, minigpt4/datasets/datasets/first_face.py, and its issues 2 and 8. Knows no other format.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from emo.cache.exchange.incoming import Origin, Taken, take_in
from emo.cache.exchange.mertools import clip_files
from emo.cache.store import FeatureCache
from emo.errors import ConfigError

TOOL = "Emotion-LLaMA"
FEATURES = {
    "mae_340_UTT": "mae",
    "mae_340_23_UTT": "mae",
    "maeV_399_UTT": "videomae",
    "maeVideo_399_23_UTT": "videomae",
    "HL-UTT": "hubert",
    "HL_23_UTT": "hubert",
}


def import_emotion_llama(cache: FeatureCache, root: Path, *, append: bool = False) -> Iterator[Taken]:
    """Store the authors' folders in `root`, or the one that `root` is, as mae, videomae and hubert.

    ConfigError where there is none, or two of one feature. See `take_in`.
    """
    root = root.resolve()
    folders = [root] if root.name in FEATURES else sorted(path for path in root.iterdir() if path.is_dir())
    found: dict[str, Path] = {}
    for folder in folders:
        feature = FEATURES.get(folder.name)
        if feature in found:
            raise ConfigError(f"{found[feature]} and {folder} are both {feature}. Import one of them.")
        if feature is not None:
            found[feature] = folder
    if not found:
        raise ConfigError(f"{root} holds none of {', '.join(FEATURES)}.")
    for feature, folder in found.items():
        items = clip_files(folder, "utterance")
        yield from take_in(cache, feature, Origin(TOOL, folder.name), items, append=append)
