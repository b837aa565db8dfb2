"""`emo weights get` against a small hub on this machine: what arrives, what is resumed, what is refused."""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
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


class Hub(http.server.ThreadingHTTPServer):
    """Files of one repository, spoken the way huggingface_hub asks."""

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Answers)
        self.files = files
        self.told_digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        self.cut_after = None
        self.ranges = []


class Answers(http.server.BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, *, body):
        path = self.path.split("?")[0]
        if path.startswith("/api/models/"):
            return self.send(
                json.dumps(self.listing(path)).encode(), {"Content-Type": "application/json"}, body
            )
        name = path.rsplit("/", 1)[-1]
        if name not in self.server.files:
            return self.send_error(404)
        data, digest = self.server.files[name], self.server.told_digests[name]
        headers = {"ETag": f'"{digest}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        asked = self.headers.get("Range")
        if body and asked:
            self.server.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").split("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            return self.send(data[start:], headers, body, status=206)
        return self.send(data, headers, body)

    def listing(self, path):
        files = [
            {
                "type": "file",
                "path": name,
                "rfilename": name,
                "size": len(data),
                "oid": "0" * 40,
                "lfs": {"sha256": digest, "oid": digest, "size": len(data), "pointerSize": 100},
            }
            for (name, data), digest in zip(
                self.server.files.items(), self.server.told_digests.values(), strict=True
            )
        ]
        return files if "/tree/" in path else {"id": REPO, "sha": COMMIT, "siblings": files}

    def send(self, data, headers, body, status=200):
        self.send_response(status)
        for key, value in (headers | {"Content-Length": str(len(data))}).items():
            self.send_header(key, value)
        self.end_headers()
        if not body:
            return
        cut = self.server.cut_after
        if cut is not None and len(data) > cut:
            self.server.cut_after = None
            self.wfile.write(data[:cut])
            self.wfile.flush()
            self.connection.close()
        else:
            self.wfile.write(data)


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
def hub(tmp_path, request):
    files = checkpoint(tmp_path, pickled=getattr(request, "param", False))
    files["config.json"] = json.dumps(CONFIG).encode()
    files["preprocessor_config.json"] = b'{"do_normalize": true}'
    files["README.md"] = b"not asked for"
    with Hub(files) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def get(hub, tmp_path, *arguments):
    """Run the command; its exit code, its JSON, its standard error."""
    environment = {
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "EMO_WEIGHTS": str(tmp_path / "weights"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    command = [sys.executable, "-m", "emo", "weights", "get", "-e", "hubert", "--preset", "paper", "--json"]
    done = subprocess.run(
        [*command, *arguments], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def spec(tmp_path):
    """The weights of the spec that an encoder makes of what was fetched."""
    code = (
        "import json; from emo.extractors import make_encoder\n"
        "print(json.dumps(dict(make_encoder('hubert', 'paper').spec.weights)))"
    )
    environment = {"EMO_WEIGHTS": str(tmp_path / "weights"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("hub", [False, True], indirect=True, ids=["safetensors", "pickle"])
def test_what_is_fetched_is_what_the_encoder_names(hub, tmp_path):
    code, told, said = get(hub, tmp_path)
    assert code == 0, said
    (row,) = told["fetched"]
    assert row["commit"] == COMMIT
    assert "licence MIT" in said
    folder = Path(row["folder"])
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "emo-weights.json",
        "model.safetensors",
        "preprocessor_config.json",
    ]
    assert spec(tmp_path)["model"] == row["sha256"]["model.safetensors"]
    assert json.loads((folder / "emo-weights.json").read_text())["commit"] == COMMIT


def test_a_download_that_breaks_off_goes_on_where_it_stopped(hub, tmp_path):
    data = hub.files["model.safetensors"] = bytes(LARGE)
    hub.told_digests["model.safetensors"] = hashlib.sha256(data).hexdigest()
    hub.cut_after = LARGE - 1000
    code, told, said = get(hub, tmp_path)
    if code:
        code, told, said = get(hub, tmp_path)
    assert code == 0, said
    assert hub.ranges, "the second request asked for the whole file again"
    assert int(hub.ranges[0].removeprefix("bytes=").rstrip("-")) > 0
    assert told["fetched"][0]["sha256"]["model.safetensors"] == hashlib.sha256(data).hexdigest()


def test_bytes_that_are_not_those_the_hub_names_are_removed_and_refused(hub, tmp_path):
    hub.told_digests["model.safetensors"] = "f" * 64
    code, told, _ = get(hub, tmp_path)
    assert code == 2
    assert "arrived damaged" in told["not_fetched"][0]["reason"]
    assert not list((tmp_path / "weights").rglob("*.safetensors"))


def test_a_repository_without_weights_is_refused(hub, tmp_path):
    del hub.files["model.safetensors"], hub.told_digests["model.safetensors"]
    code, told, _ = get(hub, tmp_path)
    assert code == 2
    assert "neither model.safetensors nor pytorch_model.bin" in told["not_fetched"][0]["reason"]
