"""Reading and re-running are light: no torch ever, no zarr on the way."""

import subprocess
import sys

SCRIPT = """
import sys
import emo.cache
assert not {"torch", "pandas", "zarr", "h5py"} & set(sys.modules), sorted(sys.modules)
space = emo.cache.open_cache(sys.argv[1], "a")["hubert"]
wanted = {clip_id: info.input_sha256 for clip_id, info in space.infos().items()}
assert len(wanted) == 9
assert space.missing(wanted, ["frames"]) == []
assert all(len(feature.values) for feature in space.values())
assert not {"torch", "pandas", "zarr", "h5py"} & set(sys.modules), sorted(sys.modules)
"""


def test_a_re_run_and_every_read_leave_torch_and_zarr_unloaded(path, space, make_records, fill):
    fill(space, make_records(9))
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
