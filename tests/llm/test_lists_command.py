"""`emo train-llm --list`: clips without a label anywhere but in a list are trained on, test clips never."""

import json

import pytest
from click.testing import CliRunner

from emo.cache import open_cache
from emo.cli.train_llm import train_llm
from emo.clip import Clip
from emo.corpora import write_manifest
from emo.errors import ConfigError
from emo.records import Record

RECIPE = """
labels: mer2023
lora: {rank: 2, alpha: 2}
stages:
  pseudo:
    {tasks: {emotion: 1.0}, clips: pseudo, labels_from: pseudo, steps: 3, batch_size: 40, warmup_steps: 1}
"""


@pytest.fixture
def place(base, texts, batch, tmp_path):
    """Clips without a label, the last six of the test split, their hubert features, and an untrained base."""
    clips = [
        Clip(
            clip_id=text.clip_id,
            path=tmp_path / f"{text.clip_id}.mp4",
            speaker=text.speaker,
            split="train" if row < 30 else "test",
        )
        for row, text in enumerate(texts)
    ]
    write_manifest(tmp_path / "manifest.jsonl", clips)
    source = batch.sources["hubert"]
    with open_cache(tmp_path / "features.zarr", "a").create(source.spec).writer("none") as sink:
        for row, text in enumerate(texts):
            values = batch.values["hubert"][row].numpy().astype("float16")
            sink.put(Record(clip_id=text.clip_id, arrays={source.array: values}))
    (tmp_path / "pseudo.txt").write_text("".join(f"{text.clip_id} 10 {text.label} 0\n" for text in texts))
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    base.llama.save_pretrained(tmp_path / "base")
    base.tokenizer.save_pretrained(tmp_path / "base")
    return tmp_path


def train(place, *arguments):
    options = {
        "manifest": "manifest.jsonl",
        "cache": "features.zarr",
        "recipe": "recipe.yaml",
        "base": "base",
    }
    fixed = [word for name, file in options.items() for word in (f"--{name}", str(place / file))]
    return CliRunner().invoke(
        train_llm,
        [*fixed, "--features", "hubert", "--out", str(place / "run"), *arguments],
        catch_exceptions=False,
    )


def test_pseudo_labelled_clips_are_trained_on_and_validated(place):
    result = train(place, "--list", f"pseudo={place / 'pseudo.txt'}", "--json")
    kept = json.loads(result.stdout)["stages"]["pseudo"]
    assert 0 <= kept["validation_weighted_f1"] <= 1
    rows = [json.loads(line) for line in (place / "run/metrics.jsonl").read_text().splitlines()]
    tokens = [row["tokens"] for row in rows if "tokens" in row]
    assert tokens == [24 * 2] * 3  # four speakers of five, a label and an end each; no test clip


def test_a_list_that_is_missing_is_named(place):
    with pytest.raises(ConfigError, match="Give it with --list pseudo=FILE"):
        train(place)
