"""SIGKILL at any instant: the same command again ends in the bytes of a build that nobody stopped."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("openai")


def start(corpus, out, words):
    command = [sys.executable, "-m", "emo", "-q", "merr", "build", str(corpus), "--out", str(out)]
    return subprocess.Popen(
        [*command, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def kill_at(process, progress, target):
    """Kill the build and its reading processes once `progress` is there; whether it was still at work."""
    while process.poll() is None and progress() < target:
        time.sleep(0.001)
    if process.poll() is not None:
        return False
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return True


@pytest.mark.parametrize(
    ("kills", "jobs"),
    [
        pytest.param(1, 1, marks=pytest.mark.slow),
        pytest.param(20, 2, marks=[pytest.mark.soak, pytest.mark.timeout(1500)]),
    ],
)
def test_a_build_killed_at_random_instants_ends_in_the_same_bytes(
    kills, jobs, corpus, contents, server, typed, tmp_path
):
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    words = ["--explain", server.url, "--model", "tiny", "--concurrency", "2", "--labels", "mer2023"]
    words += ["--jobs", str(jobs)]
    assert typed("build", corpus, "--out", whole, *words).code == 0
    paid = len(server.requests)
    server.requests.clear()

    def progress():
        return len(server.requests) + sum(1 for _ in (torn / "clues").rglob("*.json"))

    rng = random.Random(kills)
    targets = sorted(rng.uniform(0, 12 + paid) for _ in range(kills))
    struck = sum(kill_at(start(corpus, torn, words), progress, target) for target in targets)
    assert start(corpus, torn, words).wait() == 0
    assert struck >= kills / 2
    assert contents(torn) == contents(whole)
    asked = [json.dumps(request["messages"]) for request in server.requests]
    assert len(asked) - len(set(asked)) <= 2 * struck, "only what was under way is asked again"
    assert len(set(asked)) == paid
    assert not any((torn / ".work" / "partial").glob("*"))
