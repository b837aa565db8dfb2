"""A contact sheet of the people in clips: a row a clip, a face a person, with the number that picks them.

Knows no media.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from emo.errors import ConfigError
from emo.pipeline.people import Seen

GAP, MARGIN, CAPTION, HEAD = 14, 24, 54, 30
MOST_ROWS = 200
PAPER, INK, FAINT, CHOSEN = (250, 249, 246), (32, 33, 36), (122, 124, 128), (15, 157, 118)
MOST_LETTERS = 48


def write_people_sheet(path: Path, seen: Sequence[Seen]) -> None:
    """Write a PNG of everybody in `seen`; ConfigError where there is nobody, or more than a page takes."""
    shown = [one for one in seen if one.people]
    if not shown:
        raise ConfigError("nobody is seen in these clips: there is nothing to draw. Leave out --sheet.")
    if len(shown) > MOST_ROWS:
        raise ConfigError(f"{len(shown)} clips are too many for a sheet; {MOST_ROWS} at most. Name fewer.")
    side = shown[0].faces.shape[1]
    row_height = HEAD + side + CAPTION
    width = 2 * MARGIN + max(3, *(len(one.people) for one in shown)) * (side + GAP) - GAP
    sheet = Image.new("RGB", (width, 2 * MARGIN + len(shown) * row_height - GAP), PAPER)
    for row, one in enumerate(shown):
        _draw_row(sheet, one, MARGIN + row * row_height)
    part = path.with_name(f"{path.name}.partial")
    sheet.save(part, "PNG")
    part.replace(path)


def _draw_row(sheet: Image.Image, seen: Seen, top: int) -> None:
    draw = ImageDraw.Draw(sheet)
    name = seen.clip.clip_id
    draw.text((MARGIN, top), name[:MOST_LETTERS], INK, ImageFont.load_default(16))
    side = seen.faces.shape[1]
    for number, (face, person) in enumerate(zip(seen.faces, seen.people, strict=True), start=1):
        left, under = MARGIN + (number - 1) * (side + GAP), top + HEAD + side
        sheet.paste(Image.fromarray(face), (left, top + HEAD))
        speaks = person["role"] == "active-speaker"
        if speaks:
            draw.rectangle((left - 3, top + HEAD - 3, left + side + 2, under + 2), outline=CHOSEN, width=3)
        draw.text((left, under + 4), f"{number}", INK, ImageFont.load_default(18))
        for line, words in enumerate(_said(seen, number, person)):
            colour = CHOSEN if speaks and not line else FAINT
            draw.text((left + 20, under + 5 + 16 * line), words, colour, ImageFont.load_default(12))


def _said(seen: Seen, number: int, person: Mapping[str, Any]) -> tuple[str, str]:
    """What a person does, and when they are seen."""
    known = {"active-speaker": "speaks", "listener": "listens"}.get(person["role"], "")
    largest = "largest" if number == seen.largest and len(seen.people) > 1 else ""
    return ", ".join(filter(None, (known, largest))), f"{person['from']:.1f} to {person['to']:.1f} s"
