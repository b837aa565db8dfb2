"""emo doctor without a disk to try: the guards of decoding and the weights that are here."""

import json

import pytest
from click.testing import CliRunner

from emo.cli.doctor import doctor
from emo.config.extract import DEFAULTS
from emo.extractors import inventory, reading
from emo.extractors.weights import CARD
from emo.safety.workers import Guards


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """HuBERT whole, an MAE in place of another, RoBERTa without its tokenizer, a model of the hub."""
    monkeypatch.setenv("EMO_WEIGHTS", str(tmp_path))
    for name in ("hubert/base", "mae/paper", "roberta/base", "hf+owner+model/base"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").touch()
    (tmp_path / "mae/paper" / CARD).write_text('{"substitute": true, "licence": {"name": "CC-BY-NC-4.0"}}')
    return tmp_path


def told(monkeypatch, network):
    monkeypatch.setattr(reading, "guards", lambda: Guards(network=network, address_space=1 << 30))
    plain, machine = CliRunner().invoke(doctor, []), CliRunner().invoke(doctor, ["--json"])
    assert plain.exit_code == machine.exit_code == 0
    return plain.output, json.loads(machine.output)


def test_the_guards_are_those_of_a_worker_that_runs():
    found = json.loads(CliRunner().invoke(doctor, ["--json"]).output)["decoding"]
    guards = reading.guards()
    assert found["network"] == guards.network
    assert found["address_space"] == guards.address_space + DEFAULTS.most_memory


@pytest.mark.parametrize(
    ("network", "said"), [("cut", "network        cut"), ("open", "network        OPEN")]
)
def test_a_network_that_cannot_be_cut_is_said_aloud(monkeypatch, weights, network, said):
    plain, machine = told(monkeypatch, network)
    assert said in plain
    assert "at most 5 GiB a worker, 4 GiB of them for media" in plain
    assert machine["decoding"] == {"network": network, "address_space": 5 << 30}
    assert "safe" not in machine  # no disk was tried


def test_weights_are_told_with_what_is_the_matter_with_them(monkeypatch, weights):
    plain, machine = told(monkeypatch, "cut")
    found = {f"{one['encoder']}@{one['preset']}": one for one in machine["weights"]}
    presence = {name: one["presence"] for name, one in found.items()}
    assert presence["hubert@base"] == presence["hf:owner/model@base"] == "here"
    assert (presence["hubert@tiny"], presence["clip@tiny"]) == ("shipped", "random")
    assert (presence["mae@paper"], found["mae@paper"]["licence"]) == ("substitute", "CC-BY-NC-4.0")
    assert presence["roberta@base"] == "damaged"
    assert found["roberta@base"]["why"] == "lacks tokenizer.json: fetch them again"
    assert found["hubert@base"]["folder"] == str(weights / "hubert" / "base")
    assert "emo weights get --encoder eva --preset base" in plain
    assert "not public" in found["eva@paper"]["why"]


def test_every_preset_of_every_encoder_is_told_once(weights):
    names = [(one.encoder, one.preset) for one in inventory.held_weights()]
    assert len(names) == len(set(names))
    assert {("opensmile", "base"), ("videomae", "paper"), ("macbert", "large")} <= set(names)
