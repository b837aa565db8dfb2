"""How long `emo merr build` takes without a model, clips to review page, and again where all is kept.

    python benchmarks/merr_build.py --json > benchmarks/results/merr_build.json

A rendered corpus (seed 1) is built in a fresh folder as a user types it, `--rounds` times; then once more in
the last folder. Wall seconds, CPU-seconds of the command and all its processes, and the load of the machine
before each round: on a busy one the wall says little. Checks that all rounds wrote the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from side_by_side.processor import adopt_orphans, orphans

from emo.config.corpus import CorpusConfig
from emo.corpora.rendered.corpus import render_corpus

BAR_S = 120.0


def build(clips: Path, out: Path, jobs: int) -> dict[str, object]:
    """One build: what it took, and what it made."""
    words = ["-q", "merr", "build", str(clips), "--out", str(out), "--labels", "mer2023", "--json"]
    load, began = os.getloadavg()[0], time.perf_counter()
    with tempfile.TemporaryFile() as told_to:
        subprocess.Popen([sys.executable, "-m", "emo", *words, "--jobs", str(jobs)], stdout=told_to)
        used = list(orphans())
        told_to.seek(0)
        told = json.loads(told_to.read())
    wall = time.perf_counter() - began
    return {
        "load_before": round(load, 1),
        "wall_s": round(wall, 1),
        "cpu_s": round(sum(each.ru_utime + each.ru_stime for each in used), 1),
        "clips": told["clips"],
        "coarse": told["coarse"],
        "fine": told["fine"],
        "dropped": told["dropped"],
        "sha256": digest(out),
    }


def digest(out: Path) -> str:
    """SHA-256 over every file of a build, its working folder left out."""
    whole = hashlib.sha256()
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        if path.is_file() and not name.startswith(".work/"):
            whole.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def main() -> None:
    """Measure, and print a JSON object or lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--corpus", type=Path, help="a rendered corpus that is there already")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    adopt_orphans()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        corpus = options.corpus or place / "clips"
        if options.corpus is None:
            list(render_corpus(corpus, CorpusConfig(clips=options.clips, seed=1), jobs=options.jobs))
        rows = [build(corpus, place / f"merr{number}", options.jobs) for number in range(options.rounds)]
        again = build(corpus, place / f"merr{options.rounds - 1}", options.jobs)
    found: dict[str, object] = {
        "benchmark": "merr_build",
        "settings": {"clips": rows[0]["clips"], "jobs": options.jobs, "cores": os.cpu_count()},
        "rounds": rows,
        "again_where_all_is_kept": again,
        "same_bytes": len({str(row["sha256"]) for row in [*rows, again]}) == 1,
        "bar_wall_s": BAR_S,
        "held": all(float(str(row["wall_s"])) <= BAR_S for row in rows),
    }
    lines = [f"{name}: {value}" for name, value in found.items()]
    print(json.dumps(found, indent=1) if options.json else "\n".join(lines))


if __name__ == "__main__":
    main()
