"""What an encoder is called: `hubert`, `hubert@paper`, `hubert@merbench`, `eva@paper+pool64`.

Behind the @ stand a preset, variants, or a preset and variants joined by +. A variant changes what is made of
the same weights. Encoders of the hub are named `hf:owner/name` and `timm:name` and stored as `hf+owner+name`
and `timm+name`, because a store's names hold no : and no /. Knows no encoder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from emo.errors import ConfigError

MARKS = ("-substitute", "-random")  # what a spec adds to the name of a preset
LAYERS = re.compile(r"layers(\d+(?:\.\d+)*)")
_HUB = re.compile(r"hf:([A-Za-z0-9_.-]+)/([A-Za-z0-9_.-]+)|timm:([A-Za-z0-9_.-]+)")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A preset and what is made of it: `variants` by name, `options` as the encoder's class takes them."""

    preset: str
    variants: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


def split_name(name: str) -> tuple[str, str]:
    """The encoder and what stands behind the @, `""` where nothing does."""
    encoder, _, choice = name.partition("@")
    return encoder, choice


def stored_name(encoder: str) -> str:
    """`hf:owner/name` and `timm:name` as a store names them; every other name is itself.

    Raises ConfigError where what stands behind the colon is no such name.
    """
    if ":" not in encoder:
        return encoder
    match = _HUB.fullmatch(encoder)
    if match is None:
        raise ConfigError(f"{encoder!r} names no encoder. Write hf:owner/name or timm:name.")
    owner, name, timm = match.groups()
    return f"timm+{timm}" if timm else f"hf+{owner}+{name}"


def hub_name(encoder: str) -> str:
    """What `stored_name` was given: `hf+owner+name` back to `hf:owner/name`."""
    kind, plus, rest = encoder.partition("+")
    if not plus or kind not in ("hf", "timm"):
        return encoder
    return f"{kind}:{rest.replace('+', '/')}"


def wanted(
    encoder: str, choice: str, preset: str, presets: Mapping[str, object], variants: Mapping[str, Any]
) -> Wanted:
    """What `choice` (behind the @) asks of an encoder, with `preset` for what it does not say.

    `preset` may be a whole label of a spec, such as `tiny-random+merbench`. Raises ConfigError, with the
    known names, for a variant that is none.
    """
    default, *usual = preset.split("+")
    told = [part for part in choice.split("+") if part]
    named = bool(told) and _plain(told[0]) in presets
    first = told.pop(0) if named else default
    chosen = told if choice else usual
    options: dict[str, Any] = {}
    for variant in chosen:
        match = LAYERS.fullmatch(variant)
        if match:
            options["layers"] = tuple(int(layer) for layer in match[1].split("."))
        elif variant in variants:
            options |= variants[variant]
        else:
            raise ConfigError(
                f"{encoder} has no preset and no variant {variant!r}. Presets: {', '.join(presets)}. "
                f"Variants: {', '.join([*variants, 'layersN.N']) or 'none'}."
            )
    return Wanted(_plain(first), tuple(chosen), options)


def label(preset: str, variants: tuple[str, ...]) -> str:
    """How a spec is labelled: the preset and its variants, joined by +."""
    return "+".join([preset, *variants])


def layers_variant(layers: tuple[int, ...]) -> str:
    """The variant that stands for a choice of layers."""
    return f"layers{'.'.join(map(str, layers))}"


def _plain(preset: str) -> str:
    for mark in MARKS:
        preset = preset.removesuffix(mark)
    return preset
