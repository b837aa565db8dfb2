"""Work in a limited process: answers come back, limits hold, the parent survives everything."""

import pytest

from emo.canonical import sha256_json
from emo.errors import CheckpointError
from emo.safety.limited import run_limited
from emo.safety.limits import Limits

CHORES = """
import os, pathlib, signal, sys, time

def eat(size):
    return len(bytearray(size))

def spin():
    while True:
        pass

def wait():
    time.sleep(60)

def write(path, size):
    pathlib.Path(path).write_bytes(bytes(size))
    return os.path.getsize(path)

def crash():
    os.kill(os.getpid(), signal.SIGSEGV)

def chat():
    print("a library talks on standard output")
    return "still answered"

def unanswerable():
    return object()
"""


@pytest.fixture(autouse=True)
def chores(tmp_path, monkeypatch):
    (tmp_path / "chores.py").write_text(CHORES)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def run(name, limits=None, **arguments):
    return run_limited(f"chores:{name}", arguments, limits=limits, failure=CheckpointError)


def test_the_answer_comes_back():
    assert run_limited("emo.canonical:sha256_json", {"value": [1, "é"]}) == sha256_json([1, "é"])


def test_what_a_library_prints_is_no_answer():
    assert run("chat") == "still answered"


def test_an_error_in_the_function_becomes_the_named_error():
    with pytest.raises(CheckpointError, match="unexpected keyword"):
        run("spin", nonsense=1)


def test_an_answer_that_is_no_json_is_an_error():
    with pytest.raises(CheckpointError, match="not JSON serializable"):
        run("unanswerable")


def test_memory_is_limited_beyond_what_the_code_itself_takes():
    limits = Limits(memory_bytes=200 << 20)
    assert run("eat", limits, size=50 << 20) == 50 << 20
    with pytest.raises(CheckpointError, match="MemoryError"):
        run("eat", limits, size=400 << 20)


def test_an_endless_loop_ends_at_the_processor_limit():
    with pytest.raises(CheckpointError, match="ended with status -"):
        run("spin", Limits(cpu_seconds=1))


def test_a_process_that_waits_is_stopped():
    with pytest.raises(CheckpointError, match="longer than 1 s"):
        run("wait", Limits(wall_seconds=1.0))


def test_no_file_grows_beyond_its_limit(tmp_path):
    limits = Limits(file_bytes=1000)
    assert run("write", limits, path=str(tmp_path / "a"), size=900) == 900
    with pytest.raises(CheckpointError, match="too large"):
        run("write", limits, path=str(tmp_path / "b"), size=2000)


def test_a_crash_is_an_error_and_no_crash_of_ours():
    with pytest.raises(CheckpointError, match="status -11"):
        run("crash")
