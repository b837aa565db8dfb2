"""The contact sheet: peak frames of a corpus on one page, each with its label, speaker and voice.

Draws the frames anew instead of decoding clips, so it shows what was planned. For people to look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from emo.corpora.rendered.face import FaceRenderer, Frame
from emo.corpora.rendered.performance import Condition, pose_at, units_at
from emo.corpora.rendered.planning import NAMESPACE, PlannedClip
from emo.corpora.rendered.voice import synthesise
from emo.seeds import generator

COLUMNS = 6
PICTURE = 196  # pixels a side
STRIP, CAPTION, GAP, MARGIN, HEAD = 30, 40, 14, 28, 74
PAPER, INK, FAINT, NOTE = (250, 249, 246), (32, 33, 36), (122, 124, 128), (176, 82, 32)
COLOURS = {
    "neutral": (120, 124, 130),
    "angry": (196, 58, 48),
    "happy": (214, 148, 26),
    "sad": (62, 98, 168),
    "worried": (120, 84, 158),
    "surprise": (22, 140, 136),
    "fear": (72, 72, 96),
    "contempt": (120, 132, 52),
    "doubt": (158, 104, 76),
}
NOTES: dict[Condition, str] = {
    "agree": "",
    "face_weak": "weak face",
    "voice_weak": "weak voice",
    "face_differs": "face: {face}",
    "voice_differs": "voice: {voice}",
}


def write_contact_sheet(path: Path, clips: Sequence[PlannedClip], *, seed: int, title: str) -> None:
    """Write a PNG of `clips`, six in a row; `seed` is the corpus' and gives its frames."""
    rows = -(-len(clips) // COLUMNS)
    columns = min(COLUMNS, len(clips))
    cell_width, cell_height = PICTURE + GAP, PICTURE + STRIP + CAPTION + GAP
    size = (2 * MARGIN + columns * cell_width - GAP, MARGIN + HEAD + rows * cell_height)
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, 20), title, INK, ImageFont.load_default(24))
    about = "frame at the peak, wave of the whole clip; drawn people, planted expressions"
    draw.text((MARGIN, 50), about, FAINT, ImageFont.load_default(14))
    for place, planned in enumerate(clips):
        row, column = divmod(place, COLUMNS)
        _draw_cell(sheet, planned, seed, MARGIN + column * cell_width, MARGIN // 2 + HEAD + row * cell_height)
    sheet.save(path, "PNG")


def _draw_cell(sheet: Image.Image, planned: PlannedClip, seed: int, left: int, top: int) -> None:
    rng = generator(NAMESPACE, seed, "render", planned.role.number)
    plan, role = planned.performance, planned.role
    wave = synthesise(planned.identity, plan.tone, plan.duration, rng, plan.syllables)
    renderer = FaceRenderer(planned.identity, rng, 320, 240)
    frame, box = renderer.frame(units_at(plan, plan.peak), pose_at(plan, plan.peak))
    sheet.paste(_portrait(frame, (box[0] + box[2]) / 2), (left, top))
    draw, colour = ImageDraw.Draw(sheet), COLOURS[role.label]
    middle = top + PICTURE + STRIP // 2 + 2
    for step, level in enumerate(_levels(wave, PICTURE // 3)):
        half = 1 + level * (STRIP / 2 - 2)
        draw.line([(left + 3 * step, middle - half), (left + 3 * step, middle + half)], colour, 2)
    under = top + PICTURE + STRIP
    draw.text((left, under + 2), role.label, colour, ImageFont.load_default(18))
    draw.text((left, under + 23), role.speaker_id.replace("_", " "), FAINT, ImageFont.load_default(12))
    note = NOTES[role.condition].format(face=plan.face, voice=plan.voice)
    small = ImageFont.load_default(13)
    draw.text((left + PICTURE - draw.textlength(note, small), under + 6), note, NOTE, small)


def _portrait(frame: Frame, centre: float) -> Image.Image:
    """The square of the frame around the face."""
    height, width = frame.shape[:2]
    left = min(max(0, round(centre - height / 2)), width - height)
    square = Image.fromarray(frame[:, left : left + height])
    return square.resize((PICTURE, PICTURE), Image.Resampling.LANCZOS)


def _levels(wave: np.ndarray, count: int) -> list[float]:
    """Loudness of `count` equal parts, relative to a fixed level so that clips compare."""
    parts = np.array_split(wave.astype(np.float64), count)
    return [min(1.0, float(np.sqrt(np.mean(part * part))) / 0.3) for part in parts]
