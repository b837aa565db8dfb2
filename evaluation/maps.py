"""A map of clips: a scatter plot coloured by group, as a figure and as one page that needs nothing else.

The page is an SVG whose points say on hovering which clip they are; it has no script. Knows places and names.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from emo.evaluation.figures import INK, LINES, MUTED
from emo.evaluation.projection import Plane

NOBODY = "not named"
MOST_GROUPS = 12  # more colours than that cannot be told apart
OTHERS = "others"
PALETTE = (*LINES, "#8a6d1d", "#17879c", "#5b5f97", "#d45087", "#6b8f23", "#7a4a2b", "#444c5c")
GREY = "#aab2bf"
WIDTH, HEIGHT, EDGE = 760, 560, 48


def groups_of(names: Sequence[str | None]) -> list[str]:
    """The group of each clip: its name, `not named`, or `others` beyond the twelve most frequent."""
    counts: dict[str, int] = {}
    for name in names:
        if name:
            counts[name] = counts.get(name, 0) + 1
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    kept = set(ranked if len(ranked) <= MOST_GROUPS else ranked[: MOST_GROUPS - 1])
    return [NOBODY if not name else name if name in kept else OTHERS for name in names]


def map_figure(plane: Plane, groups: Sequence[str], title: str) -> Figure:
    """The map as a figure, with n in the legend."""
    figure = Figure(figsize=(7.6, 5.2), layout="constrained")
    axes = figure.subplots()
    for group, colour in _colours(groups).items():
        rows = np.array([one == group for one in groups])
        label = f"{group} ({int(rows.sum())})".replace("$", r"\$")
        x, y = plane.places[rows].T
        axes.scatter(x, y, s=26, color=colour, alpha=0.8, linewidths=0, label=label)
    axes.set_xlabel(plane.axes[0], color=MUTED)
    axes.set_ylabel(plane.axes[1], color=MUTED)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title.replace("$", r"\$"), loc="left", color=INK, fontsize=11, fontweight="bold")
    axes.legend(frameon=False, fontsize=9, labelcolor=INK, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def map_page(plane: Plane, groups: list[str], clip_ids: Sequence[str], title: str, note: str) -> str:
    """The map as one HTML page; every name in it is escaped."""
    colours = _colours(groups)
    points = "\n".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colours[group]}">'
        f"<title>{html.escape(clip_id)} - {html.escape(group)}</title></circle>"
        for (x, y), group, clip_id in zip(_pixels(plane.places), groups, clip_ids, strict=True)
    )
    legend = "".join(
        f'<li><span style="background:{colour}"></span>{html.escape(group)} ({groups.count(group)})</li>'
        for group, colour in colours.items()
    )
    head, said = html.escape(title), html.escape(note)
    across, up = (html.escape(axis) for axis in plane.axes)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{head}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
body {{ font: 15px system-ui, sans-serif; color: {INK}; margin: 2rem; }}
h1 {{ font-size: 1.2rem; }} p, text {{ color: {MUTED}; fill: {MUTED}; font-size: 13px; }}
main {{ display: flex; gap: 2rem; flex-wrap: wrap; }} ul {{ list-style: none; padding: 0; }}
li span {{ display: inline-block; width: 11px; height: 11px; border-radius: 6px; margin-right: 8px; }}
circle {{ opacity: .8; }} circle:hover {{ opacity: 1; stroke: {INK}; stroke-width: 2; }}
</style></head><body>
<h1>{head}</h1><p>{said}</p><main>
<svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{head}">
<path d="M{EDGE} 8V{HEIGHT - EDGE}H{WIDTH - 8}" fill="none" stroke="{GREY}"/>
<text x="{WIDTH / 2}" y="{HEIGHT - 16}" text-anchor="middle">{across}</text>
<text transform="translate(20 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">{up}</text>
{points}
</svg><ul>{legend}</ul></main></body></html>
"""


def _colours(groups: Sequence[str]) -> dict[str, str]:
    """Named groups by name, then the rest in grey."""
    rest = [name for name in (OTHERS, NOBODY) if name in groups]
    named = sorted(set(groups) - {OTHERS, NOBODY})
    return {**dict(zip(named, PALETTE, strict=False)), **dict.fromkeys(rest, GREY)}


def _pixels(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places in the picture, y downwards, each axis filling it."""
    low, span = places.min(axis=0), np.maximum(np.ptp(places, axis=0), 1e-12)
    share = (places - low) / span
    x = EDGE + 16 + share[:, 0] * (WIDTH - EDGE - 40)
    y = 24 + (1 - share[:, 1]) * (HEIGHT - EDGE - 48)
    return np.column_stack([x, y])
