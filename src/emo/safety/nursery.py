"""The other side of `emo.safety.workers`: a process that imports once and is forked into limited workers.

It opens no file that is not trusted and decodes nothing; its children do, under their limits. Ends, and ends
its children, when the process that started it is gone. Knows nothing of what the workers run.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NoReturn, TypeAlias

from emo.canonical import Json
from emo.errors import EmoError
from emo.safety.limits import (
    Limits,
    address_space,
    allow_cpu,
    be_killed_first,
    close_limits,
    leave_network,
)
from emo.safety.messages import Message, receive, send

EXIT_MEMORY = 12  # a worker that could not even say that memory is full
MOST_ORDER = 4 << 30  # bytes of one piece of work
NO_MEMORY = ("can't allocate memory", "Cannot allocate memory", "bad_alloc")  # as libraries say it
Job: TypeAlias = Callable[[Json, Any], Message]


@dataclass(frozen=True, slots=True)
class Nursery:
    """What a worker needs to know: the function it runs and under which limits."""

    job: Job
    limits: Limits


def main() -> None:
    """Read the first order on the socket that argument 1 names, import, say so, then fork when asked."""
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asks decides when to stop
    order = json.loads(control.recv(1 << 20))
    network = "cut" if leave_network() else "open"  # before any import starts a thread
    try:
        for module in order["preload"]:
            import_module(module)
        module, name = order["function"].split(":")
        nursery = Nursery(getattr(import_module(module), name), Limits(**order["limits"]))
    except Exception as error:  # the edge of the process: the one that asks tells people
        control.send(json.dumps({"error": f"{type(error).__name__}: {error}"[:2000]}).encode())
        return
    gc.collect()
    gc.freeze()  # the workers share these pages as long as nobody writes on them
    control.send(json.dumps({"network": network, "address_space": address_space()}).encode())
    children: set[int] = set()
    try:
        _serve(control, nursery, children)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)


def _serve(control: socket.socket, nursery: Nursery, children: set[int]) -> None:
    """Fork a worker for each socket that arrives, tell how a worker ended; until the other side closes."""
    while True:
        text, descriptors, _, _ = socket.recv_fds(control, 4096, 1)
        if not text:
            return
        order = json.loads(text)
        if order["do"] == "fork":
            child = os.fork()
            if child == 0:
                control.close()
                _be_worker(socket.socket(fileno=descriptors[0]), nursery)
            os.close(descriptors[0])
            children.add(child)
            answer: dict[str, int] = {"pid": child}
        else:
            child = order["pid"]
            _, status = os.waitpid(child, 0)
            children.discard(child)
            answer = {"status": os.waitstatus_to_exitcode(status)}
        control.send(json.dumps(answer).encode())


def _be_worker(connection: socket.socket, nursery: Nursery) -> NoReturn:
    """Do one piece of work after the other, and end without a word when nobody listens any more."""
    try:
        nobody = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nobody, descriptor)
        sys.dont_write_bytecode = True
        be_killed_first()
        close_limits(nursery.limits)
        goes_on = True
        while goes_on:
            order = receive(connection, MOST_ORDER)
            allow_cpu(nursery.limits.cpu_seconds)
            answer = _answer(nursery.job, order)
            send(connection, answer)
            goes_on = isinstance(answer.body, Mapping) and "result" in answer.body
    except MemoryError:
        os._exit(EXIT_MEMORY)
    finally:
        os._exit(0)


def _answer(job: Job, order: Message) -> Message:
    """What the job gives, or how it failed; the edge of the process, so nothing gets past it."""
    try:
        done = job(order.body, order.buffers)
        return Message({"result": done.body}, done.buffers)
    except MemoryError as error:
        return Message({"out_of_memory": str(error)})
    except EmoError as error:
        return Message({"error": type(error).__name__, "said": str(error)})
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        short_of_memory = any(words in said for words in NO_MEMORY)
        return Message({"out_of_memory" if short_of_memory else "raised": said[:500]})


if __name__ == "__main__":
    main()
