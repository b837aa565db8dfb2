"""Which encoders can run on this machine: weights that are shipped, fetched or still to be fetched.

Looks at names of files alone: nothing is digested, loaded or fetched. Knows no features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from emo.errors import EmoError
from emo.extractors.names import hub_name
from emo.extractors.registry import encoder_class, known_encoders, presets_of
from emo.extractors.sources import Source
from emo.extractors.weights import CARD, read_json, weights_folder

Presence = Literal["shipped", "random", "here", "substitute", "damaged", "missing"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """The weights of one preset. `shipped` and `random` come with emo; `substitute` stands in for what is not
    public; `damaged` is a folder that lacks files. `why` says what is the matter, or where they can be had.
    """

    encoder: str
    preset: str
    presence: Presence
    folder: Path | None = None
    licence: str = ""
    why: str = ""

    @property
    def usable(self) -> bool:
        """Whether the preset can be used as it is."""
        return self.presence not in ("damaged", "missing")


def held_weights() -> Iterator[Held]:
    """Every preset of every encoder by name, then the models of the hub that were fetched."""
    for name in known_encoders():
        try:
            presets = presets_of(encoder_class(name))
        except (EmoError, ImportError, AttributeError) as error:
            yield Held(encoder=name, preset="", presence="damaged", why=f"cannot be imported: {error}")
            continue
        for preset, settings in presets.items():
            yield _held(name, preset, getattr(settings, "source", Source()))
    root = weights_folder("-", "-").parent.parent
    for config in sorted([*root.glob("hf+*/*/config.json"), *root.glob("timm+*/*/config.json")]):
        folder = config.parent
        yield _in_folder(hub_name(folder.parent.name), folder.name, folder, Source())


def _held(name: str, preset: str, source: Source) -> Held:
    licence = source.licence.name
    if source.library:
        return _of_a_library(name, preset, source)
    if source.random is not None:
        return Held(encoder=name, preset=preset, presence="random", licence=licence)
    if preset == "tiny":
        return Held(encoder=name, preset=preset, presence="shipped", licence=licence)
    return _in_folder(name, preset, weights_folder(name, preset), source)


def _of_a_library(name: str, preset: str, source: Source) -> Held:
    here = find_spec(source.library) is not None
    presence: Presence = "here" if here else "missing"
    why = "" if here else f"pip install 'emo-toolkit[{source.library}]'"
    return Held(encoder=name, preset=preset, presence=presence, licence=source.licence.name, why=why)


def _in_folder(name: str, preset: str, folder: Path, source: Source) -> Held:
    licence = source.licence.name
    if not (folder / "config.json").exists():
        why = f"emo weights get --encoder {name} --preset {preset}"
        if not source.public:
            why = f"not public: {why} says where they are"
        return Held(encoder=name, preset=preset, presence="missing", licence=licence, why=why)
    lacks = [also for also in source.also if not (folder / also).exists()]
    if not any(folder.glob("*.safetensors")):
        lacks.insert(0, "safetensors")
    try:
        card = read_json(folder / CARD)
    except EmoError as error:
        card, lacks = {}, [str(error)]
    presence: Presence = "substitute" if card.get("substitute") else "here"
    told = card.get("licence")
    licence = str(told.get("name", licence)) if isinstance(told, dict) else licence
    why = f"lacks {', '.join(lacks)}: fetch them again" if lacks else ""
    return Held(
        encoder=name,
        preset=preset,
        presence="damaged" if lacks else presence,
        folder=folder,
        licence=licence,
        why=why,
    )
