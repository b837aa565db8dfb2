"""A cache without emo: Zarr and NumPy are enough, by docs/cache-format.md.

    python read_without_emo.py features.zarr hubert clip-1

Zarr knows no record's checksum: damaged bytes are served as they are. `emo cache verify` finds them, and
`emo.open` checks each record as it reads it.
"""

import json
import sys

import numpy as np
import zarr


def space_of(path, encoder):
    """The only feature space of an encoder; each lies under <encoder>/<fingerprint>."""
    (space,) = [group for _, group in zarr.open_group(path, mode="r")[encoder].groups()]
    return space


def read(space, clip_id, array="frames"):
    """An array of one clip and the seconds of its rows (None where none are noted).

    The last row of the index that names a clip is the current one. KeyError for a clip without such values.
    """
    rows = np.flatnonzero(space["clip_id"][:] == clip_id)
    if not len(rows) or space["status"][rows[-1]] != "ok" or not space[f"{array}_rows"][rows[-1]]:
        raise KeyError(f"no {array} of {clip_id!r}")
    row = rows[-1]
    start, count = int(space[f"{array}_start"][row]), int(space[f"{array}_rows"][row])
    values = space[array][start : start + count]
    if space[array].attrs.get("emo:dtype") == "bfloat16":  # stored as uint16
        values = (values.astype(np.uint32) << 16).view(np.float32)
    if space[array].attrs["emo:kind"] != "frames":
        values = values[0]
    noted = json.loads(str(space["meta"][row])).get(array, {})
    times = noted.get("times")
    if "dt" in noted:
        times = noted["t0"] + noted["dt"] * np.arange(count)
    return values, times


if __name__ == "__main__":
    path, encoder, clip_id = sys.argv[1:]
    values, times = read(space_of(path, encoder), clip_id)
    print(f"{values.shape} {values.dtype}, from {times[0]:.2f} to {times[-1]:.2f} s")
