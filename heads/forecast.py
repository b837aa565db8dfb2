"""What training heads would take: clips, what is read of each feature, parameters and steps. Reads no array.

Knows clips and feature spaces, nothing of manifests.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emo.heads.grid import Cell
from emo.heads.loaded import arrays_for
from emo.heads.loader import FeatureSpace, row_shapes
from emo.heads.models import head_reads, make_head
from emo.heads.ranking import RANKED
from emo.heads.splits import Splits
from emo.heads.trained import output_count


@dataclass(frozen=True, slots=True)
class HeadForecast:
    """One head to be trained: `reads` is the array by feature with its shape a clip, `steps` at most.

    `parameters` are those over all features; a head that keeps the best of them has fewer.
    """

    cell: Cell
    reads: Mapping[str, tuple[str, tuple[int, ...]]]
    parameters: int
    steps: int

    def to_json(self) -> dict[str, object]:
        """Plain JSON."""
        return {
            "cell": self.cell.name,
            "head": self.cell.config.head,
            "reads": {
                name: {"array": array, "shape": list(shape)} for name, (array, shape) in self.reads.items()
            },
            "parameters": self.parameters,
            "steps": self.steps,
        }

    def lines(self) -> list[str]:
        """Lines for people."""
        read = ", ".join(
            f"{name} {array} {'x'.join(map(str, shape))}" for name, (array, shape) in self.reads.items()
        )
        config = self.cell.config
        most = f"at most {self.parameters:,}" if config.head == RANKED else f"{self.parameters:,}"
        name = self.cell.name or config.head
        return [f"{name}: {most} parameters, at most {self.steps:,} steps; reads {read}"]


def forecast(
    cell: Cell, splits: Splits, spaces: Mapping[str, FeatureSpace], labels: Sequence[str]
) -> HeadForecast:
    """What a cell would take. Raises what `row_shapes` and `make_head` raise."""
    config = cell.config
    arrays = arrays_for(spaces, config.arrays, head_reads(config.head))
    shapes = row_shapes(spaces, arrays)
    dims = {name: shape[-1] for name, shape in shapes.items()}
    head = make_head(config.head, dims, output_count(labels, config), **config.options)
    return HeadForecast(
        cell,
        {name: (arrays[name], shape) for name, shape in shapes.items()},
        sum(parameter.numel() for parameter in head.parameters()),
        math.ceil(len(splits.train) / config.batch_size) * config.epochs,
    )
