"""Official checkpoints to ours and back, on tiny random weights in the real formats."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from emo.config.llm import LoraSettings
from emo.digests import sha256_file
from emo.errors import CheckpointError
from emo.heads.batches import Source
from emo.llm.base import load_base
from emo.llm.build import assemble
from emo.llm.checkpoint import load_checkpoint, load_weights
from emo.llm.official.convert import convert, fit
from emo.llm.official.export import export
from emo.llm.official.keys import PROJECTORS, put_together
from emo.llm.official.origin import Origin
from emo.pipeline.released import convert_released

KEYS = Path(__file__).parents[3] / "../shared/golden/processors/official_checkpoint_keys.json"
RANK, HIDDEN = 8, 32
LAYER = "llama_model.base_model.model.model.layers"


def with_the_dead(state):
    return state | {
        "attention.fc_out.weight": torch.zeros(6, 128),
        f"{LAYER}.0.self_attn.rotary_emb.inv_freq": torch.zeros(4),
    }


def minigpt(state):
    return {name: value for name, value in state.items() if "lora_" in name or name.startswith("llama_proj")}


def container(state):
    return {"model": state, "optimizer": {"state": {}}, "config": {"run": {}}, "scaler": None, "epoch": 29}


SPELLINGS = {
    "peft 0.2.0": container,
    "flat": lambda state: state,
    "newer peft": lambda state: container(
        {
            name.replace("A.weight", "A.default.weight").replace("B.weight", "B.default.weight"): v
            for name, v in state.items()
        }
    ),
    "DDP": lambda state: container({f"module.{name}": value for name, value in state.items()}),
}


@pytest.mark.parametrize(
    "spelling",
    [pytest.param(name, marks=() if name in ("flat", "DDP") else pytest.mark.soak) for name in SPELLINGS],
)
def test_every_spelling_comes_back_bit_for_bit(state, base_folder, tmp_path, spelling):
    file, out = tmp_path / "checkpoint_best.pth", tmp_path / "converted"
    torch.save(SPELLINGS[spelling](with_the_dead(state)), file)
    card = convert_released("emotion-llama", file, out, base=str(base_folder))
    assert card.origin.sha256 == sha256_file(file)
    assert card.files == {name: sha256_file(out / name) for name in card.files}
    export(out, tmp_path / "back.pth")
    back = torch.load(tmp_path / "back.pth", weights_only=True)
    assert back.keys() == {"model", "optimizer", "config", "scaler", "epoch"}
    assert back["model"].keys() == state.keys()
    assert all(torch.equal(back["model"][name], value) for name, value in state.items())


def test_a_converted_checkpoint_is_the_model_that_was_trained(state, base_folder, tmp_path, kit):
    convert(
        state, Origin(kind="emotion-llama", file="x.pth", sha256="0"), tmp_path / "c", base=str(base_folder)
    )
    model, card = load_checkpoint(tmp_path / "c")
    assert card.config.lora == LoraSettings(rank=RANK, alpha=2)
    assert (card.config.template, dict(card.dims)) == ("official-eval", kit.dims)
    query = model.causal.model.layers[1].self_attn.q_proj
    delta = (
        state[f"{LAYER}.1.self_attn.q_proj.lora_B.weight"]
        @ state[f"{LAYER}.1.self_attn.q_proj.lora_A.weight"]
    )
    values = torch.randn(3, HIDDEN, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(query(values), query.base_layer(values) + 0.25 * values @ delta.T)
    for name, slot in PROJECTORS.items():
        assert torch.equal(model.projectors[slot].linear.weight, state[f"{name}.weight"])


def test_features_of_any_recipe_are_taken_with_a_caution(state, base_folder, tmp_path, batch, kit):
    origin = Origin(kind="emotion-llama", file="checkpoint_best.pth", sha256="ab" * 32)
    convert(state, origin, tmp_path / "c", base=str(base_folder))
    for version in (1, 2):
        sources = {name: Source(kit.spec(name, version=version), "utterance") for name in kit.dims}
        card = load_checkpoint(tmp_path / "c", sources=sources).card
    caution = card.origin.caution(card.dims)
    assert "checkpoint_best.pth" in caution and "any recipe" in caution
    assert "hubert 12 of chinese-hubert-large" in caution


def test_every_missing_and_every_unknown_tensor_is_named(state, base_folder, tmp_path):
    lost = [f"{LAYER}.1.self_attn.v_proj.lora_B.weight", "feats_llama_proj2.bias", "cls_tk_llama_proj.weight"]
    kept = {name: value for name, value in state.items() if name not in lost}
    origin, out = Origin(kind="emotion-llama", file="part.pth", sha256="0"), tmp_path / "c"
    with pytest.raises(CheckpointError) as caught:
        convert(kept, origin, out, base=str(base_folder))
    assert all(f"{name} is missing" in str(caught.value) for name in lost)
    strangers = {"flux.weight": torch.zeros(1), "llama_proj2.bias": torch.zeros(1)}
    with pytest.raises(CheckpointError, match=r"flux.weight, llama_proj2.bias"):
        convert(state | strangers, origin, out, base=str(base_folder))
    with pytest.raises(CheckpointError, match=r"layers.2.self_attn.q_proj.lora_A.weight belongs nowhere"):
        convert(state | {f"{LAYER}.2.self_attn.q_proj.lora_A.weight": torch.zeros(8, 32)}, origin, out,
                base=str(base_folder))  # fmt: skip
    with pytest.raises(CheckpointError, match=r"feats_llama_proj3.bias is \(3,\), not \(32,\)"):
        convert(state | {"feats_llama_proj3.bias": torch.zeros(3)}, origin, out, base=str(base_folder))
    assert not out.exists()


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ({f"module.{LAYER}.0.self_attn.q_proj.lora_A.default.weight": torch.zeros(8, 32)}, "a second"),
        ({"ln_vision.weight": torch.full((6,), 1.5)}, "ln_vision.weight is trained"),
        ({"llama_model.base_model.model.lm_head.0.weight": torch.zeros(2, 32)}, "lm_head.weight"),
    ],
)
def test_what_would_be_lost_silently_is_refused(state, base_folder, tmp_path, extra, told):
    origin = Origin(kind="emotion-llama", file="odd.pth", sha256="0")
    with pytest.raises(CheckpointError, match=told):
        convert(state | extra, origin, tmp_path / "c", base=str(base_folder))


class Canary:
    """A pickle that would write a file when loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_code_in_a_checkpoint_is_never_run(state, base_folder, tmp_path):
    canary, file = tmp_path / "canary", tmp_path / "evil.pth"
    torch.save({**container(state), "config": Canary(canary)}, file)
    with pytest.raises(CheckpointError, match=r"evil\.pth"):
        convert_released("emotion-llama", file, tmp_path / "out", base=str(base_folder))
    assert not canary.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"base", "evil.pth"}


def test_minigpt_v2_is_a_start_for_training_and_answers_nothing(state, base_folder, tmp_path, config, kit):
    file, out = tmp_path / "minigptv2_checkpoint.pth", tmp_path / "minigpt"
    torch.save(container(minigpt(state)), file)
    card = convert_released("minigpt-v2", file, out, base=str(base_folder))
    assert card.origin.fresh == ("mae", "videomae", "hubert", "eva_class")
    with pytest.raises(CheckpointError, match="--init-from"):
        load_checkpoint(out)
    settings = {"lora": LoraSettings(rank=RANK, alpha=2), "standardise": False}
    model = assemble(load_base(str(base_folder)), kit.dims, replace(config, **settings), None, seed=0)
    before = {name: value.clone() for name, value in model.projectors.state_dict().items()}
    assert load_weights(model, out) == ("mae", "videomae", "hubert", "eva_class")
    after = model.projectors.state_dict()
    assert torch.equal(after["eva_patches.linear.weight"], state["llama_proj.weight"])
    for name in before:
        assert torch.equal(after[name], before[name]) != name.startswith("eva_patches")


def test_a_file_of_the_other_kind_is_refused(state, base_folder, tmp_path):
    origin = Origin(kind="minigpt-v2", file="best.pth", sha256="0")
    with pytest.raises(CheckpointError, match=r"feats_llama_proj1.weight belongs nowhere"):
        convert(state, origin, tmp_path / "c", base=str(base_folder))
    origin = Origin(kind="emotion-llama", file="mini.pth", sha256="0")
    with pytest.raises(CheckpointError, match=r"cls_tk_llama_proj.bias is missing"):
        convert(minigpt(state), origin, tmp_path / "c", base=str(base_folder))


def test_every_key_of_a_full_size_checkpoint_finds_its_place():
    if not KEYS.exists():
        pytest.skip(f"no key list at {KEYS}")
    listed = json.loads(KEYS.read_text())
    used, dead = listed["checkpoint_model_keys"], listed["dead_module_keys_also_in_checkpoint"]
    state = {name: torch.empty(shape, device="meta") for name, shape in (used | dead).items()}
    fitted = fit(state, Origin(kind="emotion-llama", file="checkpoint_best.pth", sha256="0"))
    assert fitted.card.config.lora == LoraSettings(rank=64, alpha=16)
    assert (fitted.card.base, fitted.card.base_digest) == ("meta-llama/Llama-2-7b-chat-hf", "")
    again = put_together(fitted.adapter.tensors, fitted.projectors)
    assert {name: list(value.shape) for name, value in again.items()} == used
    assert len(used) == 138
    assert sum(value.numel() for value in again.values()) == listed["n_params_used"]
