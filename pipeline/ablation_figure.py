"""The modality ablation as bars: a bar a set over all seeds with its interval, a point a seed, the control.

Takes the JSON of benchmarks/ablation.py; measures nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from emo.evaluation.figures import GRID, INK, LINES, MUTED


def ablation_figure(result: Mapping[str, Any]) -> Figure:
    """Weighted F1 by set of modalities: `pooled` with its 95 % interval, `rows` as points."""
    names = list(result["pooled"])
    points = np.array([result["pooled"][name]["weighted_f1"] for name in names])
    bounds = np.array([result["pooled"][name]["ci"] for name in names])
    figure = Figure(figsize=(5.6, 3.4), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(names))
    errors = np.abs(bounds.T - points)
    axes.bar(places, points, width=0.56, color="#c9d7fb", label="all seeds, 95 % interval")
    axes.errorbar(places, points, yerr=errors, fmt="none", ecolor=INK, elinewidth=1.2, capsize=3)
    for row in result["rows"]:
        axes.plot(names.index(row["set"]) + 0.17, row["weighted_f1"], ".", color=LINES[0], markersize=6)
    controls = [
        (names.index(row["set"]), row["shuffled_weighted_f1"])
        for row in result["rows"]
        if row["shuffled_weighted_f1"] is not None
    ]
    if controls:
        axes.plot(*zip(*controls, strict=True), "_", color=LINES[1], markersize=16, label="features shuffled")
    axes.plot([], [], ".", color=LINES[0], label="one seed")
    axes.set_xticks(places, names)
    axes.set_ylim(0, 1)
    axes.set_ylabel("weighted F1", color=MUTED)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(colors=INK, labelsize=9, length=0)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK, loc="upper left")
    return figure
