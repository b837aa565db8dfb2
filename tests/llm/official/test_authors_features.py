"""The authors' own feature folders, imported, give the figure of a converted checkpoint."""

import numpy as np
import torch
from click.testing import CliRunner

from emo.cache import open_cache
from emo.cli.cache import cache as cache_command
from emo.cli.evaluate import evaluate
from emo.clip import Clip
from emo.corpora import write_manifest
from emo.pipeline.released import convert_released
from emo.records import Record

FOLDERS = {"mae": "mae_340_23_UTT", "videomae": "maeVideo_399_23_UTT", "hubert": "HL_23_UTT"}


def test_imported_features_answer_the_published_question(state, base_folder, texts, batch, tmp_path):
    torch.save({"model": state}, tmp_path / "best.pth")
    convert_released("emotion-llama", tmp_path / "best.pth", tmp_path / "run", base=str(base_folder))
    clips = [
        Clip(clip_id=text.clip_id, path=tmp_path / "x.mp4", text=text.text, label=text.label)
        for text in texts[:8]
    ]
    (tmp_path / "x.mp4").touch()
    write_manifest(tmp_path / "manifest.jsonl", clips)
    for name, folder in FOLDERS.items():
        (tmp_path / "features" / folder).mkdir(parents=True)
        for row, clip in enumerate(clips):
            np.save(tmp_path / "features" / folder / f"{clip.clip_id}.npy", batch.values[name][row][None])
    place = str(tmp_path / "official.zarr")
    done = CliRunner().invoke(
        cache_command, ["import", "emotion-llama", str(tmp_path / "features"), "--cache", place]
    )
    assert done.exit_code == 0, done.output
    store = open_cache(place, "a")
    np.testing.assert_array_equal(
        store["hubert"].read(clips[3].clip_id, "utterance"), batch.values["hubert"][3].numpy()
    )
    eva = batch.sources["eva"]
    with store.create(eva.spec).writer("none") as sink:
        for row, clip in enumerate(clips):
            values = batch.values["eva"][row].numpy()
            sink.put(Record(clip_id=clip.clip_id, arrays={eva.array: values}))
    arguments = ["--recipe", "mer2023-semi", "--model", str(tmp_path / "run"), "--cache", place]
    found = CliRunner().invoke(
        evaluate, [*arguments, "--manifest", str(tmp_path / "manifest.jsonl")], catch_exceptions=False
    )
    assert "expected 0.9036" in found.stdout
    for name in (*FOLDERS, "eva"):
        assert f"{name}/" in found.stderr
