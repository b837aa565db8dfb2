"""Files that `emo train-llm` reads, for tests that run it as a process of its own; features in a cache."""

import json
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from emo.cache import open_cache
from emo.clip import Clip
from emo.corpora import write_manifest
from emo.llm.features import CachedFeatures, slot_arrays
from emo.records import Record

RECIPE = """
labels: [neutral, angry, happy, sad, worried, surprise]
lora: {rank: 4, alpha: 4}
standardise: true
projector_scale: 0.1
stages:
  coarse: &stage
    tasks: {emotion: 1.0, caption: 1.0}
    steps: 24
    batch_size: 6
    row_tokens: 200
    warmup_steps: 1
    peak_lr: 1.0e-3
    modality_dropout: 0.2
    validate_every: 8
  fine:
    <<: *stage
    tasks: {explain: 1.0}
    steps: 12
"""


@pytest.fixture(scope="session")
def place(texts, batch, tokenizer, tmp_path_factory):
    """A folder with a manifest, MERR JSON, a cache, an untrained LLaMA and a recipe of two stages."""
    folder = tmp_path_factory.mktemp("place")
    splits = ["train"] * 24 + ["val"] * 6 + ["test"] * 6
    clips = [
        Clip(
            clip_id=text.clip_id,
            path=folder / f"{text.clip_id}.mp4",
            text=text.text,
            label=text.label,
            speaker=text.speaker,
            split=split,
        )
        for text, split in zip(texts, splits, strict=True)
    ]
    write_manifest(folder / "manifest.jsonl", clips)
    coarse = {text.clip_id: {"caption": text.caption} for text in texts}
    fine = {text.clip_id: {"smp_reason_caption": text.reason} for text in texts}
    (folder / "MERR_coarse_grained.json").write_text(json.dumps(coarse))
    (folder / "MERR_fine_grained.json").write_text(json.dumps(fine))
    (folder / "recipe.yaml").write_text(RECIPE)
    cache = open_cache(folder / "features.zarr", "a")
    for name, source in batch.sources.items():
        with cache.create(source.spec).writer("none") as sink:
            for row, text in enumerate(texts):
                values = batch.values[name][row].numpy().astype("float16")
                sink.put(Record(clip_id=text.clip_id, arrays={source.array: values}))
    _save_base(folder / "base", tokenizer)
    return folder


def _save_base(folder, tokenizer):
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(shape).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@pytest.fixture
def command(place):
    """Start `emo train-llm` on those files; wait until it has written so many rows of its metrics."""

    def start(out, *more):
        fixed = ["--recipe", "recipe.yaml", "--base", "base", "--save-every", "1", "--json"]
        return subprocess.Popen(
            [sys.executable, "-m", "emo", "train-llm", *fixed, "--out", str(out), *more],
            cwd=place,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for_rows(process, out, rows):
        metrics = out / "metrics.jsonl"
        while process.poll() is None and (not metrics.exists() or metrics.read_bytes().count(b"\n") < rows):
            time.sleep(0.005)

    def end_of(process):
        said = process.communicate()
        return SimpleNamespace(code=process.returncode, out=said[0], err=said[1])

    def end(process, number):
        process.send_signal(number)
        return end_of(process)

    return SimpleNamespace(start=start, wait_for_rows=wait_for_rows, end=end, end_of=end_of)


@pytest.fixture
def cached(batch, kit, tmp_path):
    """The features in a cache, read by a thread while steps compute."""
    spaces = {}
    cache = open_cache(tmp_path / "cache", "a")
    for name, values in batch.values.items():
        space = cache.create(kit.spec(name))
        array = "tokens" if name == "eva" else "utterance"
        with space.writer("none") as writer:
            for row, clip_id in enumerate(batch.clip_ids):
                writer.put(Record(clip_id=clip_id, arrays={array: values[row].numpy().astype(np.float32)}))
        spaces[name] = space
    return CachedFeatures(spaces, slot_arrays(tuple(spaces)))
