"""Which clips a LLaMA stage is trained on and validated on. Reads no feature, only whether there is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from emo.clip import Clip
from emo.config.llm import LlmConfig
from emo.errors import ConfigError
from emo.heads.splits import split_clips
from emo.llm.examples import ClipTexts
from emo.records import usable

if TYPE_CHECKING:
    from emo.heads.loader import FeatureSpace


def texts_by_split(
    clips: Sequence[Clip],
    texts: Sequence[ClipTexts],
    spaces: Mapping[str, FeatureSpace],
    config: LlmConfig,
    *,
    seed: int,
) -> tuple[list[ClipTexts], list[ClipTexts]]:
    """Texts of the clips to train on and to validate on, those with a usable feature."""
    if not spaces and not config.text:
        raise ConfigError(
            "no features and no text: nothing to read in a clip. Give --features, or text: true."
        )
    usable_clips = [clip for clip in clips if has_features(clip, spaces)]
    if clips and not usable_clips:
        raise ConfigError(
            f"none of {len(clips)} clips has features of {', '.join(spaces)}. Check --cache and the clips' "
            "ids, or run: emo extract"
        )
    splits = split_clips(usable_clips, val_share=config.val_share, seed=seed)
    by_id = {text.clip_id: text if config.text else replace(text, text="") for text in texts}
    train = [by_id[clip.clip_id] for clip in splits.train if clip.clip_id in by_id]
    return train, [by_id[clip.clip_id] for clip in splits.val if clip.clip_id in by_id]


def has_features(clip: Clip, spaces: Mapping[str, FeatureSpace]) -> bool:
    """Whether any of the spaces has a usable record of the clip; True where there are no spaces to ask."""
    infos = [space.info(clip.clip_id) for space in spaces.values()]
    return not spaces or any(info is not None and usable(info.status) for info in infos)
