"""The other ways to keep clips on disk, each written and read as its own documentation says.

A way that needs a package which is not installed is left out, by name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np
from numpy.typing import NDArray

from cache_world.clips import Clips, as_array
from emo.cache import Space, open_cache

Read: TypeAlias = Callable[[Sequence[int]], None]
Buffer: TypeAlias = NDArray[Any]

CLIPS_IN_FILE = 128  # of safetensors


def write_npy(folder: Path, clips: Clips, numbers: Sequence[int] | None = None) -> None:
    """One file a clip, each under its name by rename."""
    folder.mkdir(exist_ok=True)
    for number in range(len(clips)) if numbers is None else numbers:
        partial = folder / f"part{os.getpid()}"
        with partial.open("wb") as file:
            np.save(file, clips[number])
        partial.rename(folder / f"{number}.npy")


def write_h5(path: Path, clips: Clips) -> None:
    """One dataset a clip."""
    with h5py.File(path, "w") as file:
        for number, clip in enumerate(clips):
            file[str(number)] = clip


def write_zarr(path: Path, clips: Clips) -> None:
    """One group with one array a clip, by zarr-python."""
    import zarr

    root = zarr.open_group(path, mode="w")
    for number, clip in enumerate(clips):
        root.create_group(str(number)).create_array("frames", data=clip, chunks=clip.shape, compressors=None)


def copy(clips: Clips, out: Buffer) -> Read:
    """From memory to memory."""

    def read(batch: Sequence[int]) -> None:
        for row, number in enumerate(batch):
            out[row, : len(clips[number])] = clips[number]

    return read


def ours(space: Space, clips: Clips, out: Buffer) -> Read:
    """This cache."""

    def read(batch: Sequence[int]) -> None:
        outs = [out[row, : len(clips[number])] for row, number in enumerate(batch)]
        space.read_into([str(number) for number in batch], "frames", outs)

    return read


def rows_of(clips: Clips) -> NDArray[np.int64]:
    """First row of each clip where all lie one after the other, and the end."""
    return np.cumsum([0, *map(len, clips)])


def raw_memmap(folder: Path, clips: Clips, out: Buffer) -> Read:
    """One file of all rows, mapped."""
    mapped = np.memmap(_raw(folder / "mapped.bin", clips), np.float16, mode="r").reshape(-1, out.shape[-1])
    first = rows_of(clips)

    def read(batch: Sequence[int]) -> None:
        for row, number in enumerate(batch):
            out[row, : len(clips[number])] = mapped[first[number] : first[number + 1]]

    return read


def raw_preadv(folder: Path, clips: Clips, out: Buffer) -> Read:
    """Such a file, one preadv a clip: another file, as mapped pages cannot be dropped from memory."""
    descriptor = os.open(_raw(folder / "rows.bin", clips), os.O_RDONLY)
    offsets = (rows_of(clips) * out.shape[-1] * out.itemsize).tolist()

    def read(batch: Sequence[int]) -> None:
        for row, number in enumerate(batch):
            os.preadv(descriptor, [out[row, : len(clips[number])].data.cast("B")], offsets[number])

    return read


def _raw(path: Path, clips: Clips) -> Path:
    as_array(clips).tofile(path)
    return path


def npy(folder: Path, clips: Clips, out: Buffer) -> Read:
    """One file a clip."""
    write_npy(folder / "npy", clips)

    def read(batch: Sequence[int]) -> None:
        for row, number in enumerate(batch):
            out[row, : len(clips[number])] = np.load(folder / "npy" / f"{number}.npy")

    return read


def hdf5(folder: Path, clips: Clips, out: Buffer) -> Read:
    """One dataset a clip, read into the buffer without a copy between."""
    if not (folder / "clips.h5").exists():
        write_h5(folder / "clips.h5", clips)
    file = h5py.File(folder / "clips.h5", "r")

    def read(batch: Sequence[int]) -> None:
        for row, number in enumerate(batch):
            file[str(number)].read_direct(out, dest_sel=np.s_[row, : len(clips[number])])

    return read


def zarr_groups(folder: Path, clips: Clips, out: Buffer) -> Read:
    """One zarr group a clip, by zarr-python."""
    import zarr

    write_zarr(folder / "groups.zarr", clips)
    root = zarr.open_group(folder / "groups.zarr", mode="r")

    def read(batch: Sequence[int]) -> None:
        for row, number in enumerate(batch):
            out[row, : len(clips[number])] = root[f"{number}/frames"][:]

    return read


def plain_zarr(space: Space, clips: Clips, out: Buffer) -> Read:
    """zarr-python on the files of this cache."""
    import zarr

    group = zarr.open_group(space.paths.folder, mode="r")
    first = dict(zip(group["clip_id"][:].tolist(), group["frames_start"][:].tolist(), strict=True))
    frames = group["frames"]

    def read(batch: Sequence[int]) -> None:
        for row, number in enumerate(batch):
            start, rows = first[str(number)], len(clips[number])
            out[row, :rows] = frames[start : start + rows]

    return read


def safetensors(folder: Path, clips: Clips, out: Buffer) -> Read:
    """Files of 128 clips, mapped."""
    from safetensors import safe_open
    from safetensors.numpy import save_file

    opened = []
    for start in range(0, len(clips), CLIPS_IN_FILE):
        part = {str(number): clips[number] for number in range(start, min(start + CLIPS_IN_FILE, len(clips)))}
        save_file(part, folder / f"{start}.safetensors")
        opened.append(safe_open(folder / f"{start}.safetensors", "np"))

    def read(batch: Sequence[int]) -> None:
        for row, number in enumerate(batch):
            out[row, : len(clips[number])] = opened[number // CLIPS_IN_FILE].get_tensor(str(number))

    return read


def lmdb(folder: Path, clips: Clips, out: Buffer) -> Read:
    """One value a clip, copied out of the map."""
    import lmdb

    size = 2 * sum(clip.nbytes for clip in clips) + (64 << 20)
    with lmdb.open(str(folder / "lmdb"), map_size=size, sync=False) as store, store.begin(write=True) as put:
        for number, clip in enumerate(clips):
            put.put(str(number).encode(), clip.tobytes())
    store = lmdb.open(str(folder / "lmdb"), readonly=True, lock=False, readahead=False)
    held = store.begin(buffers=True)

    def read(batch: Sequence[int]) -> None:
        for row, number in enumerate(batch):
            stored = np.frombuffer(held.get(str(number).encode()), out.dtype)
            out[row, : len(clips[number])] = stored.reshape(-1, out.shape[-1])

    return read


MADE = {
    "raw memmap": raw_memmap,
    "raw preadv": raw_preadv,
    "npy per clip": npy,
    "h5py per clip": hdf5,
    "zarr group per clip": zarr_groups,
    "safetensors": safetensors,
    "LMDB": lmdb,
}


def ways_to_read(
    folder: Path, space: Space, clips: Clips, out: Buffer, names: Sequence[str] = tuple(MADE)
) -> tuple[dict[str, Read], list[str]]:
    """Every way to read a batch into the padded buffer (B, T, dim), and the packages that are absent."""
    unchecked = open_cache(space.paths.cache.root, check="never")["bench"]
    ways = {
        "copy": copy(clips, out),
        "cache": ours(space, clips, out),
        "cache without crc": ours(unchecked, clips, out),
        "plain zarr, same files": plain_zarr(space, clips, out),
    }
    absent = []
    for name in names:
        try:
            ways[name] = MADE[name](folder, clips, out)
        except ImportError:
            absent.append(name)
    return ways, absent
