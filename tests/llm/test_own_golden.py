"""Our own small golden vectors, recorded after parity with the official ones: they travel with the tests."""

import importlib.util
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch.testing import assert_close

TOLERANCES = {
    "inputs_embeds": 2e-5,
    "attention_mask": 0,
    "labels": 0,
    "loss": 1e-5,
    "logits": 1e-4,
    "gradient_norms": 1e-4,
    "label_log_likelihoods": 1e-4,
    "greedy": 0,
}


@pytest.fixture(scope="module")
def recorded():
    """The script that recorded them, its tensors, and the model's outputs now."""
    from transformers import AutoTokenizer

    where = importlib.util.spec_from_file_location(
        "record_golden", Path(__file__).with_name("record_golden.py")
    )
    script = importlib.util.module_from_spec(where)
    where.loader.exec_module(script)
    tensors = load_file(script.TENSORS)
    model = script.build(AutoTokenizer.from_pretrained(script.TOKENIZER))
    weights = {name.removeprefix("weights."): value for name, value in tensors.items() if "weights." in name}
    model.load_state_dict(weights, strict=True)
    return tensors, script.outputs(model, script.features_of(tensors))


@pytest.mark.parametrize("name", TOLERANCES)
def test_outputs_are_those_recorded(recorded, name):
    tensors, now = recorded
    assert_close(now[name], tensors[f"outputs.{name}"], rtol=1e-5, atol=TOLERANCES[name])
