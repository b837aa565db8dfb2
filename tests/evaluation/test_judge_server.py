"""`emo judge` against `transformers serve` with an untrained model: its answers are held to the form."""

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from emo.cli.main import emo
from emo.errors import ConfigError
from emo.labels import MER2023
from emo.llm.tiny.tokenizer import train_tokenizer

pytest.importorskip("openai", reason="the openai package is not installed")
pytest.importorskip("fastapi", reason="transformers serve needs fastapi and uvicorn")
pytest.importorskip("uvicorn", reason="transformers serve needs fastapi and uvicorn")

START_S = 240  # importing torch on a busy core
TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}assistant:"
)


@pytest.fixture
def model(tmp_path, save_llama):
    """A folder with an untrained LLaMA that has a chat template."""
    tokenizer = train_tokenizer(["She frowns and looks away."], MER2023, vocabulary=400, positions=4096)
    tokenizer.chat_template = TEMPLATE
    return save_llama(tmp_path / "model", tokenizer, positions=4096)


@pytest.fixture
def served(model, tmp_path):
    """The address of the server, which is stopped afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["serve", str(model), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    command = [str(Path(sys.executable).with_name("transformers")), *words]
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_S
        while not _healthy(port):
            assert process.poll() is None, (tmp_path / "server.log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "server.log").read_text()
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


def _healthy(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as reply:
            return reply.status == 200
    except (urllib.error.URLError, OSError):
        return False


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_an_untrained_model_judges_nothing_and_nothing_breaks(served, model, tmp_path):
    (tmp_path / "gt.csv").write_text('name,reason\nc1,"Her brow is furrowed and she is anxious."\n')
    (tmp_path / "a.csv").write_text('name,text\nc1,"She frowns."\n')
    files = [str(tmp_path / "a.csv"), "--truth", str(tmp_path / "gt.csv"), "--out", str(tmp_path / "out")]
    ran = CliRunner().invoke(emo, ["judge", *files, "--url", served, "--model", str(model), "--json"])
    assert isinstance(ran.exception, ConfigError), (
        ran.output,
        ran.exception,
    )  # a server that is down is none
    assert "gave no sound score for any of 1 clips" in str(ran.exception)
    assert not (tmp_path / "out/scores.json").exists()
