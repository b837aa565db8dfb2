"""Tensors that are sharded over ranks (FSDP2), and their full forms. Plain tensors pass through as they are.

Knows no model and starts no process.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor


def is_sharded(tensor: Tensor) -> bool:
    """Whether this rank holds a slice of it only."""
    if not torch.distributed.is_available():
        return False
    from torch.distributed.tensor import DTensor

    return isinstance(tensor, DTensor)


def local(tensor: Tensor) -> Tensor:
    """The part of a tensor that is on this rank, as a plain tensor that shares its memory."""
    return cast(Tensor, cast(Any, tensor).to_local()) if is_sharded(tensor) else tensor


def whole(tensor: Tensor) -> Tensor:
    """The full tensor. Where it is sharded every rank has to ask, for the same ones in the same order."""
    return cast(Tensor, cast(Any, tensor).full_tensor()) if is_sharded(tensor) else tensor


def laid_out_as(like: Tensor, full: Tensor) -> Tensor:
    """`full`, or this rank's slice of it where `like` is sharded: the inverse of `whole`."""
    if not is_sharded(like):
        return full
    from torch.distributed.tensor import distribute_tensor

    sharded = cast(Any, like)
    given = full.to(device=like.device)
    return distribute_tensor(given, sharded.device_mesh, sharded.placements, src_data_rank=None)
