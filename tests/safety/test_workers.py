"""Limited workers: answers come back, and whatever a worker does costs its own answer and no other."""

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from emo.errors import CheckpointError
from emo.safety.limits import Limits
from emo.safety.messages import Message
from emo.safety.workers import Ended, LimitedWorkers

CHORES = """
import os, resource, signal, socket, time
from pathlib import Path
from emo.errors import CheckpointError
from emo.safety.messages import Message

def do(order, buffers):
    return globals()[order["do"]](order, buffers)

def double(order, buffers):
    return Message({"pid": os.getpid()}, [bytes(buffer) * 2 for buffer in buffers])

def eat(order, buffers):
    return Message(len(bytearray(order["size"])))

def spin(order, buffers):
    while True:
        pass

def wait(order, buffers):
    if "mark" in order:
        os.mkdir(order["mark"])
    time.sleep(60)

def signalled(order, buffers):
    os.kill(os.getpid(), getattr(signal, order["signal"]))
    time.sleep(60)

def leave(order, buffers):
    os._exit(3)

def fail(order, buffers):
    raise ValueError("no such thing")

def refuse(order, buffers):
    raise CheckpointError("not these weights")

def write(order, buffers):
    Path(order["path"]).write_text("x")

def call_out(order, buffers):
    socket.create_connection(("127.0.0.1", order["port"]), timeout=5)

def once(order, buffers):
    if os.path.exists(order["path"]):
        return Message("at last")
    os.mkdir(order["path"])
    os.kill(os.getpid(), signal.SIGKILL)

def lie(order, buffers):
    return Message("x" * (80 << 20))
"""
LIMITS = Limits(memory_bytes=256 << 20, cpu_seconds=1, wall_seconds=60.0, file_bytes=0, open_files=64)


@pytest.fixture
def make_workers(tmp_path, monkeypatch):
    (tmp_path / "worker_chores.py").write_text(CHORES)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    made = []

    def make(**limits):
        made.append(LimitedWorkers("worker_chores:do", replace(LIMITS, **limits)))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def workers(make_workers):
    return make_workers()


def body(answer):
    assert isinstance(answer, Message), answer
    return answer.body


def test_answers_and_buffers_come_back_from_one_process_after_another_task(workers):
    sent = np.arange(1 << 20, dtype=np.uint8).tobytes()
    first, second = (workers.call({"do": "double"}, [sent, b""]) for _ in range(2))
    assert [bytes(buffer) for buffer in first.buffers] == [sent * 2, b""]
    assert body(first)["pid"] == body(second)["pid"] != os.getpid()


@pytest.mark.parametrize(
    ("order", "how", "words"),
    [
        ({"do": "spin"}, "timeout", "processor"),
        ({"do": "eat", "size": 8 << 30}, "out_of_memory", "memory"),
        ({"do": "signalled", "signal": "SIGSEGV"}, "crashed", "SIGSEGV"),
        ({"do": "signalled", "signal": "SIGABRT"}, "crashed", "SIGABRT"),
        ({"do": "signalled", "signal": "SIGKILL"}, "out_of_memory", "memory"),
        ({"do": "leave"}, "crashed", "exit status 3"),
        ({"do": "fail"}, "crashed", "ValueError: no such thing"),
        ({"do": "lie"}, "crashed", "nonsense"),
    ],
)
def test_a_bad_end_is_told_and_the_next_task_is_done(workers, order, how, words):
    ended = workers.call(order, tries=1)
    assert isinstance(ended, Ended)
    assert ended.how == how
    assert words in ended.reason
    assert bytes(workers.call({"do": "double"}, [b"a"]).buffers[0]) == b"aa"


def test_a_worker_that_only_waits_is_ended_too(make_workers):
    workers = make_workers(wall_seconds=0.5)
    assert workers.call({"do": "wait"}, tries=1) == Ended("timeout", "no answer after 0.5 s")


def test_an_error_of_emo_is_raised_here(workers):
    with pytest.raises(CheckpointError, match="not these weights"):
        workers.call({"do": "refuse"})


def test_work_that_was_killed_for_its_memory_is_tried_once_more(workers, tmp_path):
    assert body(workers.call({"do": "once", "path": str(tmp_path / "tried")})) == "at last"


def test_a_worker_writes_no_file(workers, tmp_path):
    assert workers.call({"do": "write", "path": str(tmp_path / "left")}).how == "crashed"
    assert (tmp_path / "left").stat().st_size == 0


def test_a_worker_reaches_no_network_where_the_kernel_allows_that(workers):
    import socket

    if workers.guards().network != "cut":
        pytest.skip("this kernel lets no unprivileged process leave the network")
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = workers.call({"do": "call_out", "port": server.getsockname()[1]})
    assert ended.how == "crashed"


def test_several_threads_get_workers_of_their_own(workers):
    pids = []
    together = threading.Barrier(3)

    def ask():
        together.wait()
        pids.append(body(workers.call({"do": "double"}))["pid"])

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids) == 3


def test_closing_ends_what_is_at_work_and_a_later_call_starts_anew(workers, tmp_path):
    raised = []
    mark = tmp_path / "at work"

    def ask():
        try:
            workers.call({"do": "wait", "mark": str(mark)})
        except Exception as error:
            raised.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    while not mark.exists():
        time.sleep(0.01)
    workers.close()
    thread.join(timeout=10)
    assert raised == ["the limited workers were closed while they worked."]
    assert bytes(workers.call({"do": "double"}, [b"a"]).buffers[0]) == b"aa"


def test_workers_end_when_the_process_that_asked_is_killed(tmp_path, monkeypatch):
    (tmp_path / "worker_chores.py").write_text(
        CHORES + "\ndef tell(order, buffers):\n    return Message(0)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    code = (
        "import os, threading, signal\n"
        "from emo.safety.limits import Limits\n"
        "from emo.safety.workers import LimitedWorkers\n"
        "workers = LimitedWorkers('worker_chores:do', Limits(wall_seconds=100, file_bytes=0))\n"
        "print(workers.call({'do': 'double'}).body['pid'], flush=True)\n"
        "threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()\n"
        "workers.call({'do': 'spin'})\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    pid = int(ran.stdout)
    deadline = time.monotonic() + 20
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not os.path.exists(f"/proc/{pid}")
