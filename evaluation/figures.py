"""Figures of results: confusion matrix, calibration and curves, drawn by matplotlib without a display.

Each function returns a Figure of its own; nothing global is touched. Knows numbers and names only.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from emo.evaluation.calibration import CalibrationScores
from emo.evaluation.metrics import Scores
from emo.evaluation.selective import RiskCoverage

INK, MUTED, GRID = "#1d2433", "#667085", "#e4e7ec"
LINES = ("#2f5bea", "#e2711d", "#0f9d76", "#a03ec0", "#c2293d")
BLUES = LinearSegmentedColormap.from_list("emo_blues", ["#f5f7fb", "#c9d7fb", "#6d8ff3", "#1f3fae"])
DPI = 150
SMOOTHED_POINTS = 200  # curves with more points get a running mean over a faint raw line


def confusion_figure(scores: Scores, title: str = "") -> Figure:
    """The confusion matrix with counts and, as colour, the share of the true class.

    Answers without a label are a last column, where there are any.
    """
    columns = list(scores.labels)
    counts = scores.confusion
    if scores.invalid.any():
        columns.append("no label")
        counts = np.column_stack([counts, scores.invalid])
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 0.62 * len(columns) + 2.2
    figure = Figure(figsize=(size + 0.4, 0.62 * len(scores.labels) + 2.0), layout="constrained")
    axes = figure.subplots()
    axes.imshow(share, cmap=BLUES, vmin=0, vmax=1, aspect="equal")
    for row, column in np.ndindex(*counts.shape):
        colour = "white" if share[row, column] > 0.55 else (INK if counts[row, column] else "#b8bfcc")
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=10)
    axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(scores.labels)), list(scores.labels))
    axes.set_xlabel("answered", color=MUTED)
    axes.set_ylabel("true", color=MUTED)
    axes.set_xticks(np.arange(1, len(columns)) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, len(scores.labels)) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    _plain(axes, title)
    axes.tick_params(which="both", length=0, colors=INK, labelsize=10)
    axes.spines[:].set_visible(False)
    return figure


def curves_figure(
    curves: Mapping[str, Sequence[tuple[float, float]]],
    *,
    x_label: str,
    y_label: str,
    title: str = "",
    mark_x: float | None = None,
    mark_label: str = "",
) -> Figure:
    """Named curves of (x, y) points; long ones as a running mean over the raw line.

    `mark_x` draws a vertical line, such as at the epoch that was kept.
    """
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for (name, points), colour in zip(curves.items(), LINES * (len(curves) // len(LINES) + 1), strict=False):
        x, y = np.asarray(points, dtype=np.float64).reshape(-1, 2).T
        if len(x) > SMOOTHED_POINTS:
            axes.plot(x, y, color=colour, alpha=0.22, linewidth=0.8)
            y = _running_mean(y, max(2, len(y) // 50))
        axes.plot(x, y, color=colour, linewidth=1.8, label=name)
    if mark_x is not None:
        axes.axvline(mark_x, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label=mark_label or None)
    axes.set_xlabel(x_label, color=MUTED)
    axes.set_ylabel(y_label, color=MUTED)
    _open(axes)
    if len(curves) > 1 or mark_label:
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    _plain(axes, title)
    return figure


def reliability_figure(scores: CalibrationScores, title: str = "") -> Figure:
    """Accuracy by confidence in the bins of the calibration error, with the clips in each bin below.

    A mark shows the mean confidence of a bin; the line from it to the bar is the bin's gap.
    """
    figure = Figure(figsize=(4.8, 4.9), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=(4, 1), sharex=True)
    filled = [each for each in scores.bins if each.clips]
    middle = [(each.low + each.high) / 2 for each in filled]
    width = 0.92 / len(scores.bins)
    accuracy, confidence = [each.accuracy for each in filled], [each.confidence for each in filled]
    above.bar(middle, accuracy, width=width, color=LINES[0], label="accuracy")
    left, right = [place - width / 2 for place in middle], [place + width / 2 for place in middle]
    above.hlines(confidence, left, right, LINES[1], linewidth=2.5, label="confidence")
    above.vlines(middle, accuracy, confidence, LINES[1], linewidth=1)
    above.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    above.set_ylim(0, 1)
    above.set_ylabel("accuracy", color=MUTED)
    above.legend(frameon=False, fontsize=9, labelcolor=INK, loc="upper left")
    below.bar(middle, [each.clips for each in filled], width=width, color=MUTED)
    below.set_xlim(0, 1)
    below.set_xlabel("largest probability", color=MUTED)
    below.set_ylabel("clips", color=MUTED)
    for axes in (above, below):
        _open(axes)
    _plain(above, title)
    _plain(below, "")
    return figure


def risk_figure(
    curve: RiskCoverage, title: str = "", *, coverage: float | None = None, mark_label: str = ""
) -> Figure:
    """Error rate among the answered clips by the share answered; `coverage` draws a vertical line."""
    figure = Figure(figsize=(4.8, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.plot(curve.coverage, curve.risk, color=LINES[0], linewidth=1.8, label="surest first")
    axes.axhline(curve.risk[-1], color=MUTED, linewidth=1, linestyle=(0, (1, 2)), label="at random")
    if coverage is not None:
        axes.axvline(coverage, color=LINES[1], linewidth=1, linestyle=(0, (4, 3)), label=mark_label or None)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, max(0.05, 1.08 * float(curve.risk.max())))
    axes.set_xlabel("share of clips answered", color=MUTED)
    axes.set_ylabel("error rate", color=MUTED)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    _open(axes)
    _plain(axes, title)
    return figure


def png_bytes(figure: Figure) -> bytes:
    """The figure as PNG; equal figures give equal bytes."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
    return stream.getvalue()


def save_figure(figure: Figure, path: Path) -> Path:
    """Write the figure as PNG or SVG, by the suffix of `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)
    return path


def _open(axes: Axes) -> None:
    """Horizontal lines, and no frame but the bottom."""
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GRID)


def _plain(axes: Axes, title: str) -> None:
    axes.tick_params(colors=INK, labelsize=9, length=0)
    if title:
        axes.set_title(title, loc="left", color=INK, fontsize=11, fontweight="bold", pad=10)


def _running_mean(
    values: np.ndarray[tuple[int, ...], np.dtype[np.float64]], width: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Mean over the last `width` values; over fewer at the beginning, so that no point looks ahead."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    stop = np.arange(1, len(values) + 1)
    start = np.maximum(stop - width, 0)
    return np.asarray((sums[stop] - sums[start]) / (stop - start))
