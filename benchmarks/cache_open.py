"""Opening, listing and planning on indexes of 30 thousand, 300 thousand and 1 million records.

    python benchmarks/cache_open.py --json
    python benchmarks/cache_open.py --largest 300000 --repeats 5

The records name no data. `plan` is the start of an extraction again: a manifest of as many rows, cut from
`--films` files, every one stored by one made-up encoder. `ls` is the command in its own process. Seconds,
wall and CPU of this process; wall means something on a quiet machine only.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cache_world.clips import new_space, spec_of
from cache_world.paired import Hold, options_of, report

from emo.cache import Space, open_cache
from emo.cache.columns import append_values, index_columns
from emo.cache.describe import cache_info
from emo.cache.format import stamped
from emo.cache.publish import column_values
from emo.cache.rows import Place, Row
from emo.cache.state import grown, load_state, write_state
from emo.corpora.manifest import clips_in
from emo.digests import StatCache
from emo.pipeline.inputs import InputDigests
from emo.pipeline.plan import make_plan
from emo.views import AudioView

SIZES = (30_000, 300_000, 1_000_000)
MILLION = SIZES[-1]
NEEDS = frozenset({AudioView()})  # so that the digest of a clip is that of its media and cut
HOLDS = {
    f"open {SIZES[0]}": Hold(at_most=0.1),
    f"open {SIZES[1]}": Hold(at_most=0.6),
    f"open {MILLION}": Hold(at_most=2.0),
    f"ls {MILLION}": Hold(at_most=5.0),
    f"info {MILLION}": Hold(at_most=5.0),
    f"plan {MILLION}": Hold(at_most=15.0),
}


def write_manifest(folder: Path, rows: int, films: int) -> Path:
    """Cuts of two seconds of some small files."""
    for number in range(films):
        (folder / f"film{number}.mp4").write_bytes(b"film %d" % number)
    lines = [
        f"talk/{number:08d},film{number % films}.mp4,{number // films * 2},{number // films * 2 + 2}\n"
        for number in range(rows)
    ]
    (folder / "manifest.csv").write_text("clip_id,path,start,end\n" + "".join(lines))
    return folder / "manifest.csv"


def write_index(space: Space, inputs: dict[str, bytes]) -> None:
    """An index with a row for each clip, without data."""
    paths, state = space.paths, load_state(space.paths)
    rows: Sequence[Row] = [
        Row(
            clip_id=clip_id,
            status="ok",
            reason="",
            meta="{}",
            input_sha256=digest,
            places={"frames": Place(number, 1, 0)},
        )
        for number, (clip_id, digest) in enumerate(inputs.items())
    ]
    digests = {
        column.name: append_values(
            paths, column, state.digests[column.name], column_values(column, rows), durable=False
        )
        for column in index_columns(["frames"])
    }
    grew = grown(state, dict.fromkeys([*digests, "frames"], len(rows)))
    write_state(paths, type(state)(state.spec, grew.members, digests), durable=False)
    for name in [*digests, "frames"]:
        (paths.folder / name / "zarr.json").write_bytes(stamped(grew.members[name]))


def listed(path: Path) -> None:
    """`emo cache ls` into nothing."""
    command = [sys.executable, "-c", "from emo.cli.main import main; main()", "cache", "ls", "--cache", path]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def timed(work: Callable[[], object], repeats: int) -> dict[str, list[float]]:
    """Wall and CPU seconds of each repeat."""
    wall, cpu = [], []
    for _ in range(repeats):
        start, used = time.perf_counter(), time.process_time()
        work()
        wall.append(round(time.perf_counter() - start, 4))
        cpu.append(round(time.process_time() - used, 4))
    return {"wall": wall, "cpu": cpu}


def main() -> None:
    """Size by size."""
    options = options_of(__doc__, largest=MILLION, repeats=3, films=1000)
    rows: dict[str, Any] = {}
    for size in [size for size in SIZES if size <= options.largest] or [options.largest]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            manifest, path = write_manifest(folder, size, options.films), folder / "cache.zarr"
            clips, memory = clips_in(manifest)[0], folder / "digests.jsonl"
            write_index(new_space(path, 8), InputDigests(clips, StatCache(memory)).of(NEEDS))
            encoder: Any = SimpleNamespace(spec=spec_of(8), needs=NEEDS)
            last = clips[-1].clip_id
            del clips

            def plan(manifest=manifest, path=path, memory=memory, encoder=encoder) -> None:  # type: ignore[no-untyped-def]
                found = make_plan(clips_in(manifest)[0], [encoder], open_cache(path, "a"), StatCache(memory))
                if found.to_do:
                    raise SystemExit(f"{found.to_do} clips are planned again")

            def opened(path=path, last=last) -> None:  # type: ignore[no-untyped-def]
                if open_cache(path)["bench"].info(last) is None:
                    raise SystemExit("the last record is not in the index")

            def told(path=path) -> object:  # type: ignore[no-untyped-def]
                return cache_info(open_cache(path))

            rows[f"open {size}"] = timed(opened, options.repeats)
            rows[f"info {size}"] = timed(told, options.repeats)
            rows[f"ls {size}"] = timed(lambda path=path: listed(path), options.repeats)  # type: ignore[misc]
            rows[f"plan {size}"] = timed(plan, 1)
    seconds = {
        title: {"p25": min(one["wall"]), "p50": statistics.median(one["wall"]), "p75": max(one["wall"])}
        for title, one in rows.items()
    }
    report(
        "cache_open", options, seconds, HOLDS, rows, unit="seconds; p25 and p75 are the least and the most"
    )


if __name__ == "__main__":
    main()
