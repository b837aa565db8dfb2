"""A timeline as a picture: shares of the labels over time, above the level of the sound with voice and shots.

Takes what timeline.json holds and the course of the sound; measures nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from emo.evaluation.figures import GRID, INK, LINES, MUTED
from emo.extractors.voiced import decibels
from emo.pipeline.timeline import Divided

MORE = ("#8a93a6", "#c9a227", "#4bb3d3", "#7a4b2b")
VOICED, QUIETEST = "#dbe4fd", -80.0
MOST_POINTS = 2000  # of the sound's level; more are drawn as the loudest of each
NAMED = 40  # segments, above which there is no room for their labels
NARROW = 0.06  # of the width, below which a label does not fit


def timeline_figure(whole: Divided, told: dict[str, Any]) -> Figure:
    """The picture of a timeline; `told` is its JSON."""
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    seconds = told["seconds"]
    _draw_shares(top, told)
    _draw_sound(bottom, whole)
    for axes in (top, bottom):
        for cut in told["shots"]:
            axes.axvline(cut, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
        axes.set_xlim(0, seconds)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(GRID)
        axes.tick_params(colors=INK, labelsize=9, length=0)
    bottom.xaxis.set_major_formatter(FuncFormatter(lambda at, _: _minutes(at)))
    bottom.set_xlabel("minutes:seconds; labels are perceived expression, not what one feels", color=MUTED)
    if told["shots"]:
        bottom.plot([], [], color=INK, linewidth=0.9, linestyle=(0, (4, 3)), label="a new shot")
    top.set_title(whole.video.clip_id, loc="left", color=INK, fontsize=11, pad=20)
    figure.legend(loc="outside right upper", frameon=False, fontsize=9, labelcolor=INK)
    return figure


def _draw_shares(axes: Axes, told: dict[str, Any]) -> None:
    """Shares of the labels on top of each other, one step a segment; a gap where there is no answer."""
    rows = told["segments"]
    labels = list(dict.fromkeys(label for row in rows for label in row["probabilities"] or ()))
    colours = dict(zip(labels, (LINES + MORE) * (1 + len(labels) // 9), strict=False))
    below = np.zeros(len(rows))
    starts = [row["start"] for row in rows]
    widths = [row["end"] - row["start"] for row in rows]
    for label in labels:
        shares = np.array([(row["probabilities"] or {}).get(label, 0.0) for row in rows])
        axes.bar(
            starts,
            shares,
            widths,
            below,
            align="edge",
            color=colours[label],
            alpha=0.85,
            linewidth=0,
            label=label,
        )
        below += shares
    for row, width in zip(rows, widths, strict=True):
        if len(rows) <= NAMED and row["label"] and width > NARROW * told["seconds"]:
            middle = row["start"] + width / 2
            axes.text(middle, 1.03, row["label"], ha="center", fontsize=8, color=INK)
    axes.set_ylim(0, 1)
    axes.set_ylabel("share of each label", color=MUTED)


def _draw_sound(axes: Axes, whole: Divided) -> None:
    values, times = whole.survey.levels
    for number, (start, end) in enumerate(whole.voice):
        axes.axvspan(start, end, color=VOICED, linewidth=0, label="" if number else "voice")
    if len(values):
        at, loudness = _thinned(times, np.maximum(decibels(values), QUIETEST))
        axes.plot(at, loudness, color=LINES[0], linewidth=0.8, label="level of the sound")
    else:
        axes.text(0.5, 0.5, "no sound", transform=axes.transAxes, ha="center", color=MUTED)
    axes.set_ylim(QUIETEST, 0)
    axes.set_ylabel("dB of full scale", color=MUTED)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def _thinned(
    times: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """At most MOST_POINTS, each the loudest of as many in a row."""
    step = max(1, -(-len(values) // MOST_POINTS))
    starts = np.arange(0, len(values), step)
    return times[starts], np.maximum.reduceat(values, starts)


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{int(minutes)}:{rest:04.1f}" if rest % 1 else f"{int(minutes)}:{int(rest):02}"
