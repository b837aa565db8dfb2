"""`emo merr build` against `transformers serve`: a real server, a tiny model taught one answer."""

import json

import pytest
import torch

from emo.corpora import write_manifest
from emo.corpora.merr_files import faults, read_entries
from emo.labels import MER2023
from emo.llm.tiny.tokenizer import train_tokenizer

pytest.importorskip("openai", reason="the openai package is not installed")
KEY = "sk-secret-0123456789abcdef"
STEPS, RATE = 150, 5e-3


def taught(folder, tokenizer, questions, answer):
    """Save a LLaMA that answers `answer` to these questions."""
    from transformers import LlamaConfig, LlamaForCausalLM

    end = tokenizer.eos_token_id
    tail = [*tokenizer(answer, add_special_tokens=False)["input_ids"], end]
    asked = [
        tokenizer.apply_chat_template(each, add_generation_prompt=True, tokenize=True)["input_ids"]
        for each in questions
    ]
    shape = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=4096,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=end, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    torch.manual_seed(0)
    model = LlamaForCausalLM(shape)
    steps = torch.optim.Adam(model.parameters(), lr=RATE)
    for step in range(STEPS):
        ids = torch.tensor([[*asked[step % len(asked)], *tail]])
        scores = model(input_ids=ids).logits[0, -len(tail) - 1 : -1]
        torch.nn.functional.cross_entropy(scores, torch.tensor(tail)).backward()
        steps.step()
        steps.zero_grad()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def chosen(built, clips, tmp_path):
    """A label, and a manifest of clips of the coarse set that have it and of two that have another."""
    found = read_entries(built / "MERR_coarse_grained.json")
    labels = {clip_id: str(entry["pseu_emotion"]) for clip_id, entry in found.items()}
    shown = [label for label in labels.values() if label != "neutral"]
    label = max(shown, key=shown.count)
    own = [clip for clip in clips if labels.get(clip.clip_id) == label]
    others = [clip for clip in clips if labels.get(clip.clip_id, label) not in (label, "neutral")]
    write_manifest(tmp_path / "manifest.jsonl", [*own, *others[:2]])
    return label, tmp_path / "manifest.jsonl"


@pytest.fixture
def model(chosen, typed, server, chat_template, tmp_path):
    """A folder with a model that was taught to give the chosen label to whatever is asked."""
    label, manifest = chosen
    words = ("--explain", server.url, "--model", "m", "--labels", "mer2023", "--jobs", "1")
    assert typed("build", manifest, "--out", tmp_path / "asked", *words).code == 0
    questions = [request["messages"] for request in server.requests]
    answer = json.dumps(
        {
            "label": label,
            "seems": label,
            "true_clues": [],
            "false_clues": ["voice"],
            "reason": "All that is shown here speaks for it.",
        }
    )
    texts = [answer] * 8 + [str(message["content"]) for each in questions for message in each]
    tokenizer = train_tokenizer(texts, MER2023, vocabulary=900, positions=4096)
    tokenizer.chat_template = chat_template
    return taught(tmp_path / "model", tokenizer, questions, answer)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_real_server_writes_reasons_and_changes_no_label(
    model, chosen, served, typed, contents, monkeypatch, tmp_path
):
    monkeypatch.setenv("EMO_TEST_KEY", KEY)
    label, manifest = chosen
    out = tmp_path / "merr"
    words = ["--explain", served(model), "--model", str(model), "--key-env", "EMO_TEST_KEY", "--json"]
    words += ["--labels", "mer2023", "--jobs", "1"]
    run = typed("build", manifest, "--out", out, *words)
    assert run.code == 0, run.said
    coarse = read_entries(out / "MERR_coarse_grained.json")
    fine = read_entries(out / "MERR_fine_grained.json")
    drops = [json.loads(line) for line in (out / "drops.jsonl").read_text().splitlines()]
    assert fine, drops
    assert {str(entry["pseu_emotion"]) for entry in fine.values()} == {label}
    assert all(faults(entry, fine=True, labels=MER2023) == [] for entry in fine.values())
    why = {drop["clip_id"]: drop["reason"] for drop in drops if drop["stage"] == "fine"}
    assert {*fine, *why} == set(coarse)
    others = {name for name, entry in coarse.items() if entry["pseu_emotion"] != label}
    assert others and {why[name] for name in others} <= {"label_changed", "bad_answer"}
    said = [json.loads(path.read_text())["text"] for path in (out / "answers").rglob("*.json")]
    tried = sum(text.startswith(f'{{"label": "{label}"') for text in said)
    assert tried == len(coarse), "it gave this label to the others as well"
    assert not [path for path in out.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert KEY not in run.said
    before = contents(out)
    assert typed("build", manifest, "--out", out, *words, "--most-requests", "1").code == 0
    assert contents(out) == before, "every answer was kept"
