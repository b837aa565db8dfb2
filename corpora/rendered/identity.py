"""Identities: who is drawn and heard. Skin, age look and kind of voice go round with the number, so any
run of consecutive numbers is balanced; everything else is drawn.

Knows nothing of clips, labels or expressions. The values are invented for drawing, measured on nobody.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from emo.canonical import Json
from emo.corpora.rendered.drawing import Colour, mixed, tinted
from emo.corpora.rendered.tone import Tone
from emo.seeds import generator

AgeLook = Literal["young", "middle", "older"]
Presentation = Literal["feminine", "masculine"]
HairStyle = Literal["crop", "parted", "fringe", "long", "bob", "curls", "bald", "scarf"]

SKIN_TONES: tuple[Colour, ...] = (
    (246, 214, 190),
    (236, 196, 166),
    (224, 177, 142),
    (205, 152, 114),
    (176, 122, 86),
    (142, 96, 68),
    (104, 70, 52),
)
AGE_LOOKS: tuple[AgeLook, ...] = ("young", "middle", "older")
DARK_HAIR: tuple[Colour, ...] = ((28, 24, 24), (58, 38, 28))
FAIR_HAIR: tuple[Colour, ...] = ((96, 62, 38), (150, 108, 62), (206, 172, 110), (120, 50, 30))
GREY_HAIR: Colour = (168, 168, 170)
DARK_IRIS: tuple[Colour, ...] = ((60, 40, 28), (40, 32, 28), (84, 60, 36))
LIGHT_IRIS: tuple[Colour, ...] = ((64, 84, 64), (70, 100, 130))
STYLES: dict[Presentation, tuple[HairStyle, ...]] = {
    "feminine": ("parted", "fringe", "long", "bob", "curls", "scarf"),
    "masculine": ("crop", "crop", "fringe", "parted", "curls", "bald"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class FaceShape:
    """Geometry in face units (half a face width, see `drawing`); levels are v coordinates."""

    half_width: float
    half_height: float
    jaw_taper: float
    eye_spacing: float
    eye_width: float
    eye_height: float
    eye_level: float
    brow_level: float
    brow_thickness: float
    brow_arch: float
    nose_width: float
    nose_tip: float
    mouth_level: float
    mouth_width: float
    lip_height: float
    wrinkles: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """Colours (RGB 0..255) and what is worn; `pattern` seeds the background and the curls."""

    skin: Colour
    hair: Colour
    iris: Colour
    lips: Colour
    shirt: Colour
    backdrop: tuple[Colour, Colour, Colour]
    backdrop_kind: int
    hair_style: HairStyle
    beard: float
    glasses: bool
    pattern: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Voice:
    """The speaker's own voice: `habit` is how they sound when calm, `formant_scale` the vocal tract
    relative to an average man's, `breath` the share of noise."""

    habit: Tone
    formant_scale: float
    breath: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """One invented person. `skin_group` runs from 1 (lightest) to 7 (darkest)."""

    namespace: str
    seed: int
    number: int
    skin_group: int
    age_look: AgeLook
    presentation: Presentation
    shape: FaceShape
    look: Look
    voice: Voice

    @property
    def feminine(self) -> bool:
        """Whether the person is drawn and heard with feminine proportions and pitch."""
        return self.presentation == "feminine"

    def declared(self) -> dict[str, Json]:
        """What a corpus says about the speaker: groups to report by, and the voice's own tone."""
        return {
            "skin_group": self.skin_group,
            "age_look": self.age_look,
            "presentation": self.presentation,
            "hair": self.look.hair_style,
            "glasses": self.look.glasses,
            "voice": {name: round(value, 4) for name, value in asdict(self.voice.habit).items()},
            "formant_scale": round(self.voice.formant_scale, 4),
        }


def draw_identity(namespace: str, seed: int, number: int) -> Identity:
    """Person `number` of `namespace` under `seed`; namespaces and seeds share no generator."""
    rng = generator(namespace, seed, "identity", number)
    offset = int(generator(namespace, seed, "offset").integers(0, 42))
    place = number + offset
    presentation: Presentation = "feminine" if place % 2 else "masculine"
    age, group = AGE_LOOKS[place % 3], place % 7
    return Identity(
        namespace=namespace,
        seed=seed,
        number=number,
        skin_group=group + 1,
        age_look=age,
        presentation=presentation,
        shape=_shape(rng, presentation, age),
        look=_look(rng, presentation, age, group),
        voice=_voice(rng, presentation, age),
    )


def _shape(rng: np.random.Generator, presentation: Presentation, age: AgeLook) -> FaceShape:
    feminine, draw = presentation == "feminine", rng.uniform
    return FaceShape(
        half_width=draw(0.86, 0.98),
        half_height=draw(1.24, 1.40),
        jaw_taper=draw(0.10, 0.24) + 0.05 * feminine,
        eye_spacing=draw(0.39, 0.45),
        eye_width=draw(0.19, 0.235),
        eye_height=draw(0.078, 0.105),
        eye_level=draw(-0.14, -0.06),
        brow_level=draw(-0.40, -0.34),
        brow_thickness=draw(0.045, 0.072) * (0.8 if feminine else 1.15),
        brow_arch=draw(0.03, 0.10),
        nose_width=draw(0.15, 0.22),
        nose_tip=draw(0.30, 0.40),
        mouth_level=draw(0.70, 0.78),
        mouth_width=draw(0.30, 0.37),
        lip_height=draw(0.07, 0.10) * (1.12 if feminine else 0.92),
        wrinkles={"young": 0.0, "middle": draw(0.15, 0.35), "older": draw(0.6, 1.0)}[age],
    )


def _look(rng: np.random.Generator, presentation: Presentation, age: AgeLook, group: int) -> Look:
    feminine = presentation == "feminine"
    neighbour = SKIN_TONES[min(group + 1, len(SKIN_TONES) - 1)]
    skin = mixed(SKIN_TONES[group], neighbour, rng.uniform(0, 0.45))
    hair_colours = DARK_HAIR + (FAIR_HAIR if group < 4 else ())
    hair = hair_colours[int(rng.integers(len(hair_colours)))]
    grey = {"young": 0.0, "middle": rng.uniform(0, 0.25), "older": rng.uniform(0.5, 0.95)}[age]
    irises = DARK_IRIS + (LIGHT_IRIS if group < 3 else ())
    styles = STYLES[presentation]
    return Look(
        skin=skin,
        hair=tinted(mixed(hair, GREY_HAIR, grey), rng.uniform(0.85, 1.1)),
        iris=irises[int(rng.integers(len(irises)))],
        lips=tinted(skin, 0.84, 0.50, 0.52) if feminine else tinted(skin, 0.84, 0.62, 0.62),
        shirt=_muted(rng, 40, 205, 0.55),
        backdrop=(_muted(rng, 70, 215, 0.3), _muted(rng, 70, 215, 0.3), _muted(rng, 70, 215, 0.3)),
        backdrop_kind=int(rng.integers(4)),
        hair_style=styles[int(rng.integers(len(styles)))],
        beard=0.0 if feminine else float(rng.choice([0.0, 0.0, 0.25, 0.5])),
        glasses=bool(rng.random() < 0.12),
        pattern=int(rng.integers(1 << 31)),
    )


def _voice(rng: np.random.Generator, presentation: Presentation, age: AgeLook) -> Voice:
    feminine, older = presentation == "feminine", age == "older"
    habit = Tone(
        pitch=rng.uniform(9.0, 15.0) if feminine else rng.uniform(-1.5, 6.5),
        melody=rng.uniform(0.5, 1.3),
        energy=rng.normal(0, 2.0),
        tempo=rng.uniform(3.3, 4.8) - 0.3 * older,
        jitter=rng.uniform(0.004, 0.012) + 0.006 * older,
        tilt=rng.normal(-9.0, 1.3),
        rise=rng.normal(0, 0.8),
        tremor=rng.uniform(0.0, 0.2) + 0.2 * older,
    )
    scale = rng.uniform(1.08, 1.20) if feminine else rng.uniform(0.92, 1.05)
    return Voice(habit=habit, formant_scale=scale, breath=rng.uniform(0.008, 0.02))


def _muted(rng: np.random.Generator, low: float, high: float, chroma: float) -> Colour:
    """A colour between grey (`chroma` 0) and whatever comes (1)."""
    grey = rng.uniform(low, high)
    red, green, blue = (float(value) for value in rng.uniform(low, high, 3))
    return mixed((grey, grey, grey), (red, green, blue), chroma)
