"""Which features are asked for, and how they are computed: names and settings, made into encoders.

It is plain data, so that it can travel to another machine. Knows no clips and no storage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from emo.extractors import make_encoder
from emo.extractors.augment import Augmented, parse_augmentation
from emo.extractors.running import Precision, Running
from emo.pipeline.faces import alignment_notes, with_faces
from emo.views import Encoder, FacesView


@dataclass(frozen=True, slots=True)
class FeatureChoice:
    """Encoders by name, with what `emo.extract` takes for them."""

    encoders: tuple[str, ...]
    preset: str = "base"
    layers: tuple[int, ...] = ()
    views: tuple[str, ...] = ()
    faces: Mapping[str, str] = field(default_factory=dict)
    running: Running = field(default_factory=Running)

    def with_precision(self, precision: Precision) -> FeatureChoice:
        """The same features, computed otherwise."""
        return replace(self, running=replace(self.running, precision=precision))

    def made(self) -> tuple[list[Encoder], list[str]]:
        """The encoders, each followed by its augmented versions, and notes: what changes nothing, and whose
        weights expect other faces.

        ConfigError for names and settings that are none, CheckpointError where weights are missing.
        """
        asked = [self._made(name) for name in self.encoders]
        encoders, notes = augmented_too(asked, self.views)
        return encoders, [*notes, *alignment_notes(asked)]

    def _made(self, name: str) -> Encoder:
        """The encoder, looking at other faces than its preset's where it looks at faces."""
        options = asdict(self.running)
        encoder = make_encoder(name, preset=self.preset, layers=self.layers, **options)
        usual = next((view for view in encoder.needs if isinstance(view, FacesView)), None)
        if not self.faces or usual is None:
            return encoder
        faces = with_faces(usual, self.faces)
        return make_encoder(name, preset=self.preset, layers=self.layers, faces=faces, **options)


def augmented_too(encoders: Sequence[Encoder], names: Sequence[str]) -> tuple[list[Encoder], list[str]]:
    """The encoders, each followed by its augmented versions, and a note for each that would change nothing.

    ConfigError for an augmentation that is none.
    """
    augmentations = {str(one): one for one in map(parse_augmentation, names)}.values()
    found: list[Encoder] = []
    notes = []
    for encoder in encoders:
        found.append(encoder)
        for augmentation in augmentations:
            if any(augmentation.changes(view) for view in encoder.needs):
                found.append(Augmented(encoder, augmentation))
            else:
                notes.append(f"{encoder.spec.encoder} reads nothing that {augmentation} changes: left out.")
    return found, notes
