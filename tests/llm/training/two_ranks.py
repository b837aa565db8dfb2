"""A small run by as many ranks as torchrun starts: `two_ranks.py FOLDER`.

Not a test: tests/llm/training/test_distributed.py starts it and compares what it leaves.
"""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import torch

from emo.config.hardware import HardwareConfig
from emo.config.llm import LlmConfig, LoraSettings, StageConfig
from emo.labels import MER2023
from emo.llm.base import load_base
from emo.llm.features import HeldFeatures
from emo.llm.training.distributed import ALONE, assembled
from emo.llm.training.events import StepDone
from emo.llm.training.runs import Manner, run_stages

STAGE = StageConfig(
    tasks={"emotion": 0.5, "caption": 0.5},
    steps=4,
    batch_size=6,
    row_tokens=120,  # several rows a step
    peak_lr=1e-3,
    warmup_steps=1,
    clip_norm=1.0,
    modality_dropout={
        "mae": 0.9,
        "videomae": 0.85,
        "hubert": 0.6,
    },  # in some steps a projector gets no gradient
    validate_every=2,
)
CONFIG = LlmConfig(
    labels=MER2023,
    lora=LoraSettings(rank=3, alpha=3, dropout=0.0),  # 3 rows do not divide by 2 ranks
    standardise=True,
    projector_scale=0.1,
    stages={"coarse": STAGE},
)


def fixtures():
    """The factories of tests/llm/conftest.py."""
    where = importlib.util.spec_from_file_location("factories", Path(__file__).parents[1] / "conftest.py")
    module = importlib.util.module_from_spec(where)
    where.loader.exec_module(module)
    return module


def train(base, out, hardware, crew=ALONE, *, nan_at=None, stop_after=None):
    """The events of a run of CONFIG into `out`; `nan_at` is a clip whose features are not finite."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    factories = fixtures()
    texts = factories.make_texts(30)
    batch = factories.make_features(texts)
    config, manner, found = CONFIG, Manner(save_every=1), []
    if nan_at is not None:
        batch.values["mae"][nan_at] = torch.nan
        stages = {"coarse": replace(STAGE, modality_dropout=0.0)}
        config = replace(CONFIG, standardise=False, stages=stages)
    events = run_stages(
        load_base(str(base)),
        HeldFeatures(batch),
        texts[:24],
        texts[24:],
        config,
        out,
        seed=0,
        hardware=hardware,
        crew=replace(crew, sliced=hardware.strategy == "fsdp2"),
        manner=manner,
    )
    for event in events:
        found.append(event)
        if isinstance(event, StepDone) and event.step == stop_after and not crew.is_first:
            manner.stop.ask("a signal that only one rank got")
    return found


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    whole = HardwareConfig(gpus=2, strategy="ddp")
    sliced = replace(whole, strategy="fsdp2", checkpointing=True)
    with assembled(whole) as crew:
        train(folder / "base", folder / "ddp", whole, crew)
        train(folder / "base", folder / "nan", whole, crew, nan_at=3)
        train(folder / "base", folder / "fsdp2", sliced, crew)
        train(folder / "base", folder / "stopped", sliced, crew, stop_after=2)
