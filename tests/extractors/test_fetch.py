"""`emo weights get` against a small hub on this machine: what arrives, what is resumed, what is refused."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from emo.extractors import make_encoder

LARGE = 22 << 20  # the hub's client writes pieces of ten megabytes
REPO = "TencentGameMate/chinese-hubert-large"
CONFIG = {
    "model_type": "hubert",
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": [16] * 7,
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "feat_extract_norm": "layer",
}


def checkpoint(folder, *, pickled):
    import torch
    from safetensors.torch import save
    from transformers import HubertConfig, HubertModel

    torch.manual_seed(0)
    tensors = HubertModel(HubertConfig(**CONFIG)).state_dict()
    if not pickled:
        return {"model.safetensors": save(tensors, metadata={"format": "pt"})}
    torch.save(tensors, folder / "weights.bin")
    return {"pytorch_model.bin": (folder / "weights.bin").read_bytes()}


@pytest.fixture
def weights(hub, tmp_path, request):
    """The repository that the preset names, at the local Hub."""
    files = checkpoint(tmp_path, pickled=getattr(request, "param", False))
    files["config.json"] = json.dumps(CONFIG).encode()
    files["preprocessor_config.json"] = b'{"do_normalize": true}'
    files["README.md"] = b"not asked for"
    repository = hub.make(REPO, "models")
    for name, data in files.items():
        repository.add(name, data, large=True)
    return repository


def get(hub, tmp_path, *arguments):
    """Run the command; its exit code, its JSON, its standard error."""
    environment = hub.environment | {
        "HF_HOME": str(tmp_path / "hf"),
        "EMO_WEIGHTS": str(tmp_path / "weights"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    command = [sys.executable, "-m", "emo", "weights", "get", "-e", "hubert", "--preset", "paper", "--json"]
    done = subprocess.run(
        [*command, *arguments], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


@pytest.mark.parametrize("weights", [False, True], indirect=True, ids=["safetensors", "pickle"])
def test_what_is_fetched_is_what_the_encoder_names(hub, weights, tmp_path, monkeypatch):
    code, told, said = get(hub, tmp_path)
    assert code == 0, said
    (row,) = told["fetched"]
    assert row["commit"] == weights.branches["main"]
    assert "licence MIT" in said
    folder = Path(row["folder"])
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "emo-weights.json",
        "model.safetensors",
        "preprocessor_config.json",
    ]
    monkeypatch.setenv("EMO_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert make_encoder("hubert", "paper").spec.weights["model"] == row["sha256"]["model.safetensors"]
    assert json.loads((folder / "emo-weights.json").read_text())["commit"] == weights.branches["main"]


def test_a_download_that_breaks_off_goes_on_where_it_stopped(hub, weights, tmp_path):
    data = bytes(LARGE)
    weights.add("model.safetensors", data, large=True)
    hub.cut_after = LARGE - 1000
    code, told, said = get(hub, tmp_path)
    if code:
        code, told, said = get(hub, tmp_path)
    assert code == 0, said
    ranges = [span for method, _, span, _ in hub.seen if method == "GET" and span]
    assert ranges, "the second request asked for the whole file again"
    assert int(ranges[0].removeprefix("bytes=").split("-")[0]) > 0
    assert told["fetched"][0]["sha256"]["model.safetensors"] == hashlib.sha256(data).hexdigest()


def test_bytes_that_are_not_those_the_hub_names_are_removed_and_refused(hub, weights, tmp_path):
    data = weights.holds("model.safetensors", weights.branches["main"])
    weights.add("model.safetensors", data, large=True, told="f" * 64)
    code, told, _ = get(hub, tmp_path)
    assert code == 2
    assert "arrived damaged" in told["not_fetched"][0]["reason"]
    assert not list((tmp_path / "weights").rglob("*.safetensors"))


def test_a_repository_without_weights_is_refused(hub, weights, tmp_path):
    del weights.head()["model.safetensors"]
    code, told, _ = get(hub, tmp_path)
    assert code == 2
    assert "neither model.safetensors nor pytorch_model.bin" in told["not_fetched"][0]["reason"]
