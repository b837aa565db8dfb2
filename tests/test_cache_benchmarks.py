"""Benchmarks of the cache, and of heads on it, run small and say what they hold; no figure is judged."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SMALL = {
    "cache_read": ("--clips", "40", "--dim", "16", "--batches", "2", "--cold-batches", "2"),
    "cache_loader": ("--clips", "40", "--dim", "16", "--rounds", "2"),
    "cache_write": ("--clips", "6", "--dim", "16", "--rounds", "2"),
    "cache_open": ("--largest", "50", "--repeats", "1", "--films", "2"),
    "heads": ("--clips", "40", "--rounds", "2", "--train-clips", "33"),
    "cache_memory": ("--clips", "20", "--dim", "16", "--reads", "100"),
}


IN_SUITE = ("cache_loader", "cache_read")
CASES = [pytest.param(name, marks=() if name in IN_SUITE else pytest.mark.soak) for name in sorted(SMALL)]


@pytest.mark.parametrize("name", CASES)
def test_a_benchmark_of_the_cache_prints_one_object(name):
    command = [sys.executable, ROOT / "benchmarks" / f"{name}.py", *SMALL[name], "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=os.environ)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["benchmark"] == name
    assert found["machine"]["cores"]
    assert found["settings"]["seed"] == 0
    for ratio in found["ratios"].values():
        assert ratio["p25"] <= ratio["p50"] <= ratio["p75"]
        assert "held" in ratio or "at_least" not in ratio
    if name != "cache_open":
        assert any("held" in ratio for ratio in found["ratios"].values())
