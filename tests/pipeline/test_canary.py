"""The canary: written once, compared before every further write, and a difference stops the run."""

import numpy as np
import pytest

from emo.cache import open_cache
from emo.errors import StaleCache
from emo.extractors.hubert import Hubert
from emo.pipeline.extract import extract


def run(folder, cache, **options):
    return extract(folder, ("hubert",), cache, preset="tiny", jobs=1, **options)


def test_the_first_record_brings_a_canary_and_the_same_machine_passes(folder, tmp_path):
    run(folder, tmp_path / "f.zarr")
    stored = open_cache(tmp_path / "f.zarr")["hubert"].read_canary()
    assert set(stored) == {"frames", "utterance"}
    assert run(folder, tmp_path / "f.zarr", redo=True).stored == 2


def test_an_encoder_that_computes_otherwise_writes_nothing(folder, tmp_path, monkeypatch):
    run(folder, tmp_path / "f.zarr")
    before = len(open_cache(tmp_path / "f.zarr")["hubert"].index)
    sound = Hubert.encode

    def drifted(self, batch):
        return [{name: array + np.float32(0.1) for name, array in one.items()} for one in sound(self, batch)]

    monkeypatch.setattr(Hubert, "encode", drifted)
    with pytest.raises(StaleCache, match="canary"):
        run(folder, tmp_path / "f.zarr", redo=True)
    assert len(open_cache(tmp_path / "f.zarr")["hubert"].index) == before
