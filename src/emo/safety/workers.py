"""Limited worker processes for files that are not trusted: a crash, a hang or a full memory costs one answer.

Workers are forks of a process that has imported what they need, so that one starts in hundredths of a second.
They have limits on memory, processor time, files and open files, and no network where the kernel allows that.
What they answer is plain JSON and bytes. Knows nothing of what is run: that is named `module:function`.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from emo import errors
from emo.canonical import Json
from emo.errors import EmoError
from emo.safety.limits import Limits
from emo.safety.messages import BrokenMessage, Buffer, Message, receive, send
from emo.safety.nursery import EXIT_MEMORY

START_SECONDS = 300.0  # importing torch from a slow network disk
TASKS_A_WORKER = 200  # a library that leaks is given back to the system now and then
LEAST_ROOM = 64 << 20  # bytes of an answer that are always allowed
ALONE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
NO_DEVICE = {"CUDA_VISIBLE_DEVICES": ""}
Ending = Literal["timeout", "out_of_memory", "crashed"]


@dataclass(frozen=True, slots=True)
class Ended:
    """A piece of work that gave no answer: how it ended, and one line for people."""

    how: Ending
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Guards:
    """What holds for the workers on this machine. `network` is `cut` or `open`, `address_space` in bytes."""

    network: str
    address_space: int


Answer: TypeAlias = "Message | Ended"


class LimitedWorkers:
    """As many workers as there are calls at once. `preload` names the modules that they share.

    May be called from several threads. `close` ends every process; a call in another thread then raises.
    """

    def __init__(self, function: str, limits: Limits, preload: Sequence[str] = ()) -> None:
        self._limits = limits
        self._first_order: dict[str, Json] = {
            "function": function,
            "limits": asdict(limits),
            "preload": list(preload),
        }
        self._nursery: _Nursery | None = None
        self._starting = threading.Lock()
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        self._closed = False

    def call(self, order: Json, buffers: Sequence[Buffer] = (), *, tries: int = 2) -> Answer:
        """What the function answers; how it ended where it gave no answer in `tries` tries.

        Work that ran out of time or memory is tried again in a new process: the machine may have been short
        of either. Raises the EmoError that the function raised.
        """
        for _ in range(tries):
            answer = self._once(Message(order, buffers))
            if isinstance(answer, Message) or answer.how == "crashed":
                break
        return answer

    def guards(self) -> Guards:
        """Which limits hold; starts the process that workers are forked from."""
        return self._started().guards

    def close(self) -> None:
        """End every process; the one that they are forked from takes those at work with it."""
        self._closed = True
        with self._starting:
            if self._nursery is not None:
                self._nursery.close()
            self._nursery = None
        while not self._idle.empty():
            self._idle.get_nowait().hang_up()

    def start(self) -> _Nursery:
        """Begin to start the process that workers are forked from, without waiting for it."""
        with self._starting:
            if self._nursery is None or not self._nursery.lives:
                self._nursery = _Nursery(self._first_order)
                self._closed = False
            return self._nursery

    def _started(self) -> _Nursery:
        nursery = self.start()
        nursery.wait()
        return nursery

    def _once(self, order: Message) -> Answer:
        try:
            worker = self._idle.get_nowait()
        except queue.Empty:
            worker = _Worker(self._started())
        answer: Answer | None = None
        try:
            answer = worker.work(order, self._limits)
        finally:
            if isinstance(answer, Message) and worker.tasks < TASKS_A_WORKER and not self._closed:
                self._idle.put(worker)
            else:
                worker.hang_up()
        if self._closed:
            raise EmoError("the limited workers were closed while they worked.")
        return answer


class _Nursery:
    """The process that workers are forked from; it is their parent, so it knows how they end."""

    def __init__(self, first_order: dict[str, Json]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-P", "-m", "emo.safety.nursery", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=os.environ | ALONE | NO_DEVICE,
                start_new_session=True,  # Ctrl-C is for us; that we are gone they see at the socket
            )
        self._control = ours
        self._control.settimeout(START_SECONDS)
        self._talking = threading.Lock()
        self._closed = False
        self._guards: Guards | None = None
        self._control.send(json.dumps(first_order).encode())

    @property
    def guards(self) -> Guards:
        """What the process told of itself; `wait` first."""
        assert self._guards is not None
        return self._guards

    def wait(self) -> None:
        """Return when the process has imported everything. Raises EmoError where it cannot."""
        with self._talking:
            if self._guards is None:
                self._guards = Guards(**self._hear())

    def fork(self) -> tuple[int, socket.socket]:
        """A new worker: its process id, and the socket to talk to it."""
        ours, theirs = socket.socketpair()
        with self._talking, theirs:
            socket.send_fds(self._control, [json.dumps({"do": "fork"}).encode()], [theirs.fileno()])
            return int(self._hear()["pid"]), ours

    def end(self, pid: int) -> int:
        """Kill a worker where it still lives; how it ended: its exit status, negative for a signal."""
        with self._talking:
            if not self.lives:
                raise EmoError("the process that decoding runs in is gone.")
            os.kill(pid, signal.SIGKILL)  # a pid stays ours until the nursery is asked to wait for it
            self._control.send(json.dumps({"do": "end", "pid": pid}).encode())
            return int(self._hear()["status"])

    @property
    def lives(self) -> bool:
        """Whether it is there to be asked."""
        return not self._closed and self._process.poll() is None

    def close(self) -> None:
        """End the process and with it the workers."""
        self._closed = True
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)  # wakes whoever waits for an answer
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _hear(self) -> Any:
        try:
            text = self._control.recv(1 << 16)
        except OSError:
            text = b""
        heard = json.loads(text) if text else {"error": "It is gone."}
        if "error" in heard:
            raise EmoError(f"the process that decoding runs in did not start or ended. {heard['error']}")
        return heard


class _Worker:
    """One process that does one piece of work after the other."""

    def __init__(self, nursery: _Nursery) -> None:
        self._nursery = nursery
        self._pid, self._connection = nursery.fork()
        self._ended = False
        self.tasks = 0

    def work(self, order: Message, limits: Limits) -> Answer:
        """The answer, or how the process ended instead of giving one; it is gone then."""
        self.tasks += 1
        deadline = time.monotonic() + limits.wall_seconds
        try:
            send(self._connection, order, deadline)
            answer = receive(self._connection, max(limits.memory_bytes, LEAST_ROOM), deadline)
        except TimeoutError:
            self._end()
            return Ended("timeout", f"no answer after {limits.wall_seconds:g} s")
        except BrokenMessage as error:
            self._end()
            return Ended("crashed", f"the decoding process answered nonsense: {error}")
        except (EOFError, OSError):
            return _told_by(self._end(), limits)
        return self._opened(answer)

    def hang_up(self) -> None:
        """End the process, now."""
        self._end()
        self._connection.close()

    def _opened(self, answer: Message) -> Answer:
        body = answer.body
        if not isinstance(body, dict):
            self._end()
            return Ended("crashed", "the decoding process answered nonsense")
        if "result" in body:
            return Message(body["result"], answer.buffers)
        self._end()
        if "error" in body:
            kind = getattr(errors, str(body["error"]), EmoError)
            raise kind(str(body["said"]))
        if "out_of_memory" in body:
            return Ended("out_of_memory", f"more memory than allowed. {body['out_of_memory']}".strip())
        return Ended("crashed", str(body.get("raised", "no reason given")))

    def _end(self) -> int | None:
        """How the process ended, which is now; None where that was told before or nobody knows."""
        if self._ended:
            return None
        self._ended = True
        with suppress(EmoError, OSError):
            return self._nursery.end(self._pid)
        return None


def _told_by(status: int | None, limits: Limits) -> Ended:
    """How a process ended that gave no answer."""
    if status is None:
        return Ended("crashed", "the decoding process is gone")
    if status == EXIT_MEMORY:
        return Ended("out_of_memory", "more memory than allowed")
    if status == -signal.SIGXCPU:
        return Ended("timeout", f"more than {limits.cpu_seconds} s of processor time")
    if status == -signal.SIGKILL:
        return Ended("out_of_memory", "killed by the system, as when memory is full")
    name = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    return Ended("crashed", f"the decoding process ended with {name}")
