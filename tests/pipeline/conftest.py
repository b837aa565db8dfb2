"""Clips made by code, some with every kind of trouble; features that tell labels; an untrained LLaMA."""

import numpy as np
import pytest

from emo.cache import open_cache
from emo.clip import Clip
from emo.corpora import write_manifest
from emo.extractors import make_encoder
from emo.extractors.augment import Augmented, parse_augmentation
from emo.labels import MER2023
from emo.records import Record
from emo.testing import drawn_face, tone, write_clip


@pytest.fixture
def folder(tmp_path):
    """Three sound clips: `a`, `b`, and `mute` without a sound track."""
    clips = tmp_path / "clips"
    clips.mkdir()
    face = drawn_face(160, 120)
    for name, hertz in (("a", 220.0), ("b", 330.0)):
        write_clip(clips / f"{name}.mp4", [face] * 13, tone(0.5, hertz=hertz))
    write_clip(clips / "mute.mp4", [np.roll(face, 2, axis=1)] * 13, None)
    return clips


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory, save_llama):
    """A folder with an untrained LLaMA of one layer and its tokenizer."""
    from emo.labels import MER2023
    from emo.llm.tiny.tokenizer import train_tokenizer

    tokenizer = train_tokenizer(
        ["We saw the door. The face is still."], MER2023, vocabulary=400, positions=512
    )
    return save_llama(tmp_path_factory.mktemp("llama"), tokenizer, positions=512)


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """72 clips of nine speakers: `manifest.jsonl`, and in `f.zarr` features of the four tiny encoders, which
    tell the label, those under `noise@0dB` and `blur@4px` less well."""
    folder = tmp_path_factory.mktemp("study")
    splits = ["train"] * 5 + ["val"] * 2 + ["test"] * 2
    clips = [
        Clip(
            clip_id=f"c{number}",
            path=folder / f"c{number}.mp4",
            text="I saw the door.",
            label=MER2023[number % 6],
            speaker=f"s{number // 8}",
            split=splits[number // 8],
        )
        for number in range(72)
    ]
    write_manifest(folder / "manifest.jsonl", clips)
    cache = open_cache(folder / "f.zarr", "a")
    for name in ("hubert", "mae", "videomae", "eva"):
        encoder, view = make_encoder(name, preset="tiny"), "noise@0dB" if name == "hubert" else "blur@4px"
        put(cache, encoder.spec, clips, signal=1.0)
        put(cache, Augmented(encoder, parse_augmentation(view)).spec, clips, signal=0.2)
    return folder


def put(cache, spec, clips, *, signal):
    """Records whose arrays are the label's own direction times `signal` plus noise."""
    rng = np.random.default_rng(0)
    with cache.create(spec).writer("none") as sink:
        for clip in clips:
            arrays = {}
            for key, layout in spec.arrays.items():
                rows = {"utterance": (), "frames": (3,), "tokens": (layout.tokens,)}[layout.kind]
                meant = np.random.default_rng(MER2023.index(clip.label)).standard_normal(layout.dim)
                values = signal * meant + rng.standard_normal((*rows, layout.dim))
                arrays[key] = values.astype(layout.dtype)
            sink.put(Record(clip_id=clip.clip_id, arrays=arrays))
