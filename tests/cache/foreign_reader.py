"""Reads a cache of format 1 by docs/cache-format.md with NumPy and a zstd decoder: no emo, no Zarr."""

import json
import sys
from pathlib import Path

import numpy as np
from numcodecs.zstd import decompress

TABLE = list(range(256))
for _ in range(8):
    TABLE = [(entry >> 1) ^ 0x82F63B78 * (entry & 1) for entry in TABLE]


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def texts(raw, count, place=4):  # after the number of texts
    for _ in range(count):
        size = int.from_bytes(raw[place : place + 4], "little")
        yield raw[place : place + 4], raw[place + 4 : place + 4 + size]
        place += 4 + size


def column(folder, about, digest):
    kind, tail, body, values = about["data_type"], about["shape"][1:], b"", []
    length = digest["length"]
    for chunk, count in [(first // 65536, min(65536, length - first)) for first in range(0, length, 65536)]:
        packed = folder.joinpath("c", str(chunk), *("0" for _ in tail)).read_bytes()
        assert crc32c(packed[:-4]).to_bytes(4, "little") == packed[-4:], folder
        raw = bytes(decompress(packed[:-4]))
        found = list(texts(raw, count)) if kind == "string" else []
        values += [text.decode() for _, text in found]
        body += b"".join(size + text for size, text in found) or raw[: len(raw) // 65536 * count]
    assert crc32c(body) == digest["crc32c"], folder
    return values if kind == "string" else np.frombuffer(body, np.dtype(kind).newbyteorder("<")).tolist()


def rows_of(folder, about, start, rows, crc):
    shard_rows, *row = about["chunk_grid"]["configuration"]["chunk_shape"]
    dtype = np.dtype(about["data_type"]).newbyteorder("<")
    shard = folder.joinpath("c", str(start // shard_rows), *("0" for _ in row))
    size = int(np.prod(row)) * dtype.itemsize
    data = np.fromfile(shard, np.uint8, rows * size, offset=start % shard_rows * size).tobytes()
    assert crc32c(data) == crc, shard
    values = np.frombuffer(data, dtype).reshape(rows, *row)
    widen = about["attributes"].get("emo:dtype") == "bfloat16"
    return (values.astype(np.uint32) << 16).view(np.float32) if widen else values


def records(folder):
    """(clip id, status, array name, rows) of every published current record and array."""
    group = json.loads((folder / "zarr.json").read_bytes())
    inside, digests = group["consolidated_metadata"]["metadata"], group["attributes"]["emo:index"]
    names = [name for name in digests if not name.startswith("canary/")]
    index = {name: column(folder / name, inside[name], digests[name]) for name in names}
    for clip_id, at in {clip_id: at for at, clip_id in enumerate(index["clip_id"])}.items():
        for name in (name for name in inside if "emo:kind" in inside[name]["attributes"]):
            place = [index[f"{name}_{what}"][at] for what in ("start", "rows", "crc32c")]
            values = rows_of(folder / name, inside[name], *place) if place[1] else None
            yield clip_id, index["status"][at], name, values


if __name__ == "__main__":
    root, out = map(Path, sys.argv[1:])
    spaces = json.loads((root / "zarr.json").read_bytes())["attributes"]["spaces"]
    found = [(space, *record) for space in spaces for record in records(root / space)]
    listed = [[*names, values is not None] for *names, values in found]
    np.savez(out, json.dumps(listed), *(values for *_, values in found if values is not None))
    assert not {"emo", "zarr"} & set(sys.modules)
