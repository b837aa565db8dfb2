"""A head and a LLaMA stage of one step each, trained on clips drawn here, and servers of them on loopback."""

import json
import threading
import time
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from emo.app.serving import Address, listening, server_of
from emo.cli.main import emo
from emo.config.app import AppLimits
from emo.config.decoding import Decoding
from emo.testing import drawn_face, tone, write_clip

RECIPE = """
labels: [happy, sad]
standardise: true
projector_scale: 0.1
stages:
  only: {tasks: {emotion: 1.0}, steps: 1, batch_size: 2, warmup_steps: 1, peak_lr: 1.0e-3}
"""
# Small enough that every limit is met by a file that a test makes in a moment.
SMALL = AppLimits(
    most_bytes=400_000, most_seconds=3.0, most_pixels=50_000, queue=2, head_seconds=1.0, body_seconds=1.5
)
SPLITS = ["train"] * 5 + ["val"] * 2


def typed(*words):
    result = CliRunner().invoke(emo, ["-q", *words])
    assert result.exit_code == 0, (result.output, result.exception)


@pytest.fixture(scope="session")
def small():
    return SMALL


@pytest.fixture(scope="session")
def study(tmp_path_factory, save_llama):
    """Seven clips, `features.zarr`, `runs/head`, `runs/llm`, and `new.mp4` that nothing was trained on."""
    from emo.llm.tiny.tokenizer import train_tokenizer

    folder = tmp_path_factory.mktemp("study")
    rows = []
    for number, split in enumerate(SPLITS):
        faces = [drawn_face(160, 120, mouth=number / 8)] * 6
        write_clip(folder / f"c{number}.mp4", faces, tone(0.24, hertz=200 + 40 * number))
        label = ["happy", "sad"][number % 2]
        rows.append({"path": f"c{number}.mp4", "label": label, "split": split, "speaker": f"s{number}"})
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "recipe.yaml").write_text(RECIPE)
    write_clip(folder / "new.mp4", [drawn_face(160, 120, mouth=n / 12) for n in range(12)], tone(0.48))
    tokenizer = train_tokenizer(["We saw the door."], ("happy", "sad"), vocabulary=300, positions=512)
    save_llama(folder / "base", tokenizer, 512)
    study = ["--manifest", str(folder / "manifest.jsonl"), "--cache", str(folder / "features.zarr")]
    study += ["--features", "mae,hubert"]
    typed("extract", study[1], "-e", "mae,hubert", "--preset", "tiny", "--jobs", "1", *study[2:4])
    typed("train-head", *study, "--epochs", "1", "--labels", "happy,sad", "--out", str(folder / "runs/head"))
    typed(
        *("train-llm", *study, "--recipe", str(folder / "recipe.yaml"), "--base", str(folder / "base")),
        *("--out", str(folder / "runs/llm")),
    )
    return folder


@pytest.fixture(scope="session")
def models(study):
    """The LLaMA stage and the head; reasons are of eight tokens."""
    from emo.app.models import Models
    from emo.pipeline.systems import load_system

    decoding = Decoding(max_new_tokens=8)
    names = ("llm", "head")
    return Models({name: load_system(study / "runs" / name, decoding=decoding) for name in names})


@pytest.fixture(scope="session")
def served():
    """A context that serves an ASGI app on loopback and gives its address."""

    @contextmanager
    def serve(app, limits):
        with listening(Address(port=0)) as listener:
            server = server_of(app, limits.head_seconds)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
            thread.start()
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.01)
            try:
                yield listener.getsockname()[:2]
            finally:
                server.should_exit = True
                thread.join(10)

    return serve
