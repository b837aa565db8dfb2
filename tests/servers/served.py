"""`transformers serve` on loopback: a real OpenAI-compatible server with whatever model is asked for."""

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

START_S = 240  # importing torch on a busy core
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}assistant:"
)


@pytest.fixture
def chat_template():
    """For tokenizers that have none: a line for each message."""
    return CHAT_TEMPLATE


@pytest.fixture
def served(tmp_path):
    """Start a server of the language model in a folder, and get its address; it is stopped afterwards."""
    pytest.importorskip("fastapi", reason="transformers serve needs fastapi and uvicorn")
    pytest.importorskip("uvicorn", reason="transformers serve needs fastapi and uvicorn")
    running = []

    def start(model):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        words = ["serve", str(model), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
        command = [str(Path(sys.executable).with_name("transformers")), *words]
        log = tmp_path / f"server-{port}.log"
        with log.open("wb") as stream:
            running.append(subprocess.Popen(command, stdout=stream, stderr=stream))
        deadline = time.monotonic() + START_S
        while not _healthy(port):
            assert running[-1].poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        return f"http://127.0.0.1:{port}/v1"

    yield start
    for process in running:
        process.kill()
        process.wait()


def _healthy(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as reply:
            return reply.status == 200
    except (urllib.error.URLError, OSError):
        return False
