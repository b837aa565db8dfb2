"""Origin: where a converted checkpoint came from, and what its file does not say.

An official file names no feature recipe, only shapes. What is written here about its features is what its
authors declare. Source: Emotion-LLaMA at commit 4ee28d2, README and minigpt4/datasets; issues 2, 8 and 53
of that repository.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DECLARED: Mapping[str, str] = {
    "mae": "MAE ViT-L trained on MER2023 faces (mae_340_UTT)",
    "videomae": "VideoMAE ViT-L trained on MER2023 faces (maeV_399_UTT)",
    "hubert": "chinese-hubert-large, last layer, mean over time (HL-UTT)",
    "eva": "EVA-ViT-g/14 at 448 px, first frame",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """The file a checkpoint was converted from.

    `kind` is the name of its model, `fresh` the slots of Emotion-LLaMA that the file has no projector for:
    such a checkpoint is a start for training and answers nothing by itself.
    """

    kind: str
    file: str
    sha256: str
    fresh: tuple[str, ...] = ()

    def caution(self, dims: Mapping[str, int]) -> str:
        """What to know before features of any recipe are given to it. `dims` is D by feature."""
        declared = "; ".join(f"{name} {dim} of {DECLARED[name]}" for name, dim in dims.items())
        return (
            f"converted from {self.file} ({self.kind}, SHA-256 {self.sha256[:16]}), which does not say by "
            f"which recipe its features were made: features of any recipe are taken. Declared: {declared}. "
            "Features of another encoder fit in shape and not in meaning."
        )
