"""What the page shows of an answer: the timeline as a figure, faces and peak as pictures inside the page.

Everything is escaped, and nothing is a file. Knows no server.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from emo.app.models import Answered
from emo.app.timeline import Course, Timeline
from emo.evaluation.figures import GRID, INK, LINES, MUTED

MOST_FACES = 8
RULES = {
    "peak:au": "by its action units",
    "peak:face_change": "where the face is farthest from its usual look",
    "middle:no_face": "the middle: no face was found",
}


def timeline_figure(timeline: Timeline) -> Figure:
    """Loudness and the face's course over the same seconds, with the peak marked."""
    courses = [course for course in (timeline.energy, timeline.face) if course is not None]
    figure = Figure(figsize=(8.4, 1.5 + 1.35 * len(courses)), layout="constrained")
    panels = figure.subplots(max(1, len(courses)), 1, sharex=True, squeeze=False)[:, 0]
    for axes, course, colour in zip(panels, courses, LINES, strict=False):
        _course(axes, course, colour)
        if timeline.peak_time is not None and timeline.peak_rule != "middle:no_face":
            axes.axvline(timeline.peak_time, color=LINES[4], linewidth=1.2, linestyle=(0, (4, 3)))
    if timeline.peak_time is not None and courses and timeline.peak_rule != "middle:no_face":
        panels[0].set_title("dashed: the peak", loc="right", color=LINES[4], fontsize=9)
    if not courses:
        panels[0].text(0.5, 0.5, "neither sound nor a face", ha="center", color=MUTED)
        panels[0].set_axis_off()
    panels[-1].set_xlabel("seconds", color=MUTED)
    return figure


def _course(axes: object, course: Course, colour: str) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    low = float(course.values.min()) if len(course.values) else 0.0
    axes.plot(course.times, course.values, color=colour, linewidth=1.6)
    axes.fill_between(course.times, course.values, min(low, 0.0), color=colour, alpha=0.14)
    axes.set_title(course.of, loc="left", color=INK, fontsize=10, fontweight="bold")
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(colors=INK, labelsize=9, length=0)


def stills(timeline: Timeline) -> str:
    """The peak frame and some of the faces, as HTML."""
    parts = []
    if timeline.peak is not None and timeline.peak_time is not None:
        rule = RULES.get(timeline.peak_rule, timeline.peak_rule)
        words = f"Peak at {timeline.peak_time:.2f} s, {rule}"
        parts.append(_figure(timeline.peak, words, "emo-peak"))
    count = len(timeline.faces)
    places = np.linspace(0, count - 1, min(count, MOST_FACES)).round().astype(int) if count else ()
    parts += [
        _figure(timeline.faces[place], f"{timeline.face_times[place]:.2f} s", "emo-face") for place in places
    ]
    return f'<div class="emo-stills">{"".join(parts)}</div>' if parts else ""


def missing_note(answered: Sequence[Answered]) -> str:
    """What the models had to do without, as HTML; that nothing is missing is said too."""
    lacks = {one.feature: one.reason for each in answered for one in each.missing}
    used = sorted({name for each in answered for name in each.answer.features})
    rows = [
        f"<li><b>{html.escape(name)}</b> is missing: {html.escape(why)}</li>" for name, why in lacks.items()
    ]
    said = f"Features used: {html.escape(', '.join(used))}." if used else ""
    if not rows:
        return f'<p class="emo-note">{said} Nothing is missing.</p>'
    return f'<div class="emo-missing"><ul>{"".join(rows)}</ul></div><p class="emo-note">{said}</p>'


def alert(words: str) -> str:
    """An error as HTML."""
    return f'<div class="emo-alert" role="alert">{html.escape(words)}</div>'


def _figure(picture: NDArray[np.uint8], words: str, kind: str) -> str:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="JPEG", quality=85)
    data = base64.b64encode(stream.getvalue()).decode()
    said = html.escape(words)
    source = f"data:image/jpeg;base64,{data}"
    return f'<figure class="{kind}"><img src="{source}" alt="{said}"><figcaption>{said}</figcaption></figure>'
