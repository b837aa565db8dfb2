"""An ablation as bars: a bar a cell over all seeds with its interval, a point a seed, the control.

Takes the JSON of `emo ablate` or of benchmarks/ablation.py; measures nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from emo.evaluation.figures import GRID, INK, LINES, MUTED

BAR = 0.62
WHOLE_COLOUR, CELL_COLOUR = "#9db6fa", "#dbe4fd"


def ablation_figure(result: Mapping[str, Any]) -> Figure:
    """Weighted F1 by cell: `pooled` with its 95 % interval, `rows` as points. A cell that the others are
    compared with, one that has no entry in `gains`, is darker and drawn through as a line."""
    names = list(result["pooled"])
    points = np.array([result["pooled"][name]["weighted_f1"] for name in names])
    bounds = np.array([result["pooled"][name]["ci"] for name in names])
    places = np.arange(len(names))
    figure = Figure(figsize=(6.4, 1.3 + 0.34 * len(names)), layout="constrained")
    axes = figure.subplots()
    whole = [name for name in names if name not in result.get("gains", names)]
    colours = [WHOLE_COLOUR if name in whole else CELL_COLOUR for name in names]
    axes.barh(places, points, height=BAR, color=colours)
    errors = np.abs(bounds.T - points)
    axes.errorbar(points, places, xerr=errors, fmt="none", ecolor=INK, elinewidth=1.2, capsize=3)
    for name in whole:
        at = points[names.index(name)]
        axes.axvline(at, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label=name)
    for row in result["rows"]:
        height = names.index(row["set"]) + 0.18
        axes.plot(row["weighted_f1"], height, ".", color=LINES[0], markersize=6)
    controls = [
        (row["shuffled_weighted_f1"], names.index(row["set"]))
        for row in result["rows"]
        if row.get("shuffled_weighted_f1") is not None
    ]
    if controls:
        axes.plot(*zip(*controls, strict=True), "|", color=LINES[1], markersize=14, label="features shuffled")
    if result["rows"]:
        axes.plot([], [], ".", color=LINES[0], label="one seed")
    axes.plot([], [], "-", color=INK, linewidth=1.2, label="95 % interval over speakers")
    axes.set_yticks(places, names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.set_xlabel("weighted F1", color=MUTED)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color(GRID)
    axes.tick_params(colors=INK, labelsize=9, length=0)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9, labelcolor=INK)
    return figure
