"""What tells answers apart: the weights and settings that gave them, and what they were given about a clip.

Knows digests; loads no model and answers nothing. The device is left out: it moves the last bits alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from emo.cache import Space
from emo.canonical import Json, sha256_json
from emo.clip import Clip
from emo.llm.base import directory_digest
from emo.llm.card import CARD, read_card
from emo.pipeline.calibration import FILE, weight_digests

DIGITS = 16


def run_digest(
    model: Path, spaces: Mapping[str, Space], *, base: str | None, force: bool, **settings: Json
) -> str:
    """Of the trained folder `model` with its calibration, the features in `spaces` and `settings`; 16 hex.

    `base` and `force` are as `load_system` takes them: with `force` the LLaMA may be another than the one
    that the weights name.
    """
    calibrated = (model / FILE).read_text(encoding="utf-8") if (model / FILE).exists() else ""
    decides: dict[str, Json] = {
        **settings,
        "weights": dict(weight_digests(model)),
        "calibration": calibrated,
        "features": {name: space.spec.fingerprint for name, space in spaces.items()},
        "other_base": _forced_base(model, base) if force else None,
    }
    return sha256_json(decides)[:DIGITS]


def clip_digest(clip: Clip, spaces: Mapping[str, Space]) -> str:
    """Of a clip's words and of what its features were made of: 64 hex digits."""
    infos = {name: space.info(clip.clip_id) for name, space in spaces.items()}
    used: dict[str, Json] = {
        name: [info.status, info.input_sha256.hex()] for name, info in infos.items() if info is not None
    }
    return sha256_json({"text": clip.text, "features": used})


def _forced_base(model: Path, base: str | None) -> str | None:
    """Digest of the LLaMA under `model`, or its name where it is not on this machine; None for a head."""
    if not (model / CARD).exists():
        return None
    reference = base or read_card(model).base
    return directory_digest(Path(reference)) if Path(reference).is_dir() else reference
