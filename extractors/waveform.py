"""Arithmetic of encoders that read raw samples: how long a frame hears, how many there are, who shares a
batch. Knows no model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

MOST_PADDING = 1.08  # a batch's longest clip over its shortest
LONGEST_S = 60  # attention costs the square of the length: longer sounds are heard in pieces
MOST_SAMPLES = LONGEST_S * 16_000  # samples in a batch: what a small GPU holds


def receptive_field(kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Samples that one feature frame sees: the shortest sound that gives a frame."""
    field, jump = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        field += (kernel - 1) * jump
        jump *= stride
    return field


def frame_count(samples: int, kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Feature frames of a sound of `samples` samples."""
    for kernel, stride in zip(kernels, strides, strict=True):
        samples = (samples - kernel) // stride + 1
    return samples


def zero_mean_unit_variance(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """(x - mean) / sqrt(var + 1e-7) over the whole clip, as Wav2Vec2FeatureExtractor does."""
    return cast(
        "NDArray[np.float32]", ((sound - sound.mean()) / np.sqrt(sound.var() + 1e-7)).astype(np.float32)
    )


def buckets(lengths: Sequence[int], *, padded: bool) -> Iterator[list[int]]:
    """Rows that run together: of nearly one length where they may be `padded`, else of exactly one; and not
    more than the memory holds."""
    most = MOST_PADDING if padded else 1.0
    rows: list[int] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        longest = lengths[row]
        if rows and not (longest <= most * lengths[rows[0]] and longest * (len(rows) + 1) <= MOST_SAMPLES):
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows
