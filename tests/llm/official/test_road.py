"""The whole road of released weights at tiny size: an official .pth in, the official words out.

Needs the recorded vectors of the official classes; the .pth is theirs in the official container.
"""

import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

from emo.config.decoding import Decoding
from emo.llm.checkpoint import load_checkpoint
from emo.llm.examples import ClipTexts, question
from emo.llm.generation import generate
from emo.llm.merge import merge_checkpoint
from emo.llm.official.export import export
from emo.llm.official.keys import take_apart
from emo.llm.prompts import TEMPLATES
from emo.pipeline.released import convert_released


@pytest.fixture
def converted(golden, tmp_path):
    """The official tiny model through its .pth: a base of its own, trained parts in the container."""
    state = load_file(golden.folder / "weights.safetensors")
    llama = LlamaForCausalLM(LlamaConfig(**golden.meta["llama"]))
    llama.load_state_dict(take_apart(state).base, strict=True)
    llama.save_pretrained(tmp_path / "base")
    golden.tokenizer.save_pretrained(tmp_path / "base")
    trained = {name: state[name] for name in golden.meta["trainable"] if name in state}
    torch.save(
        {"model": trained, "optimizer": {}, "config": {}, "scaler": {}, "epoch": 29}, tmp_path / "o.pth"
    )
    convert_released("emotion-llama", tmp_path / "o.pth", tmp_path / "run", base=str(tmp_path / "base"))
    return tmp_path / "run", trained


def answers(golden, folder):
    model, card = load_checkpoint(folder)
    prompts = []
    for number in range(2):
        tag = golden.samples["tasks"][number]
        asked = golden.samples["instruction_input"][number].split(f"[{tag}] ")[1].rstrip()
        template = TEMPLATES[card.config.template]
        prompts.append(template.prompt(text=golden.samples["sentences"][number], tag=tag, instruction=asked))
    return generate(model, prompts, golden.features.take([0, 1]), Decoding(max_new_tokens=16))


def test_a_converted_checkpoint_is_asked_the_official_question(golden, converted):
    folder, _ = converted
    asked = question(ClipTexts(clip_id="x"), "emotion", load_checkpoint(folder).card.config.labels)
    number = golden.samples["tasks"].index("emotion")
    assert f"[emotion] {asked.instruction} " in golden.samples["prompt_formatted"][number]


def test_a_converted_official_checkpoint_says_the_official_words(golden, converted, tmp_path):
    folder, trained = converted
    official = [one.strip() for one in golden.json("generate.json")["answers"]]
    assert answers(golden, folder) == official
    merge_checkpoint(folder, tmp_path / "merged")
    assert answers(golden, tmp_path / "merged") == official
    export(folder, tmp_path / "back.pth")
    back = torch.load(tmp_path / "back.pth", weights_only=True)["model"]
    assert back.keys() == trained.keys()
    assert all(torch.equal(back[name], value) for name, value in trained.items())
