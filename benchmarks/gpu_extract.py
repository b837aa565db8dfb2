"""Encoders at their real sizes on one CUDA device: clips a second and the share of the device's own limit.

    python benchmarks/gpu_extract.py --json
    python benchmarks/gpu_extract.py --tiny --device cpu      # does it run; its figures mean nothing

Weights and inputs are random and of the real shapes: HuBERT-large on 3.5 s of sound, MAE ViT-L on 16 faces,
VideoMAE-L on 16 frames, EVA-g at 448. A clip is what `emo extract` shows an encoder. Products are counted
once by torch's counter; MFU is against the best of a few large matrix products measured in this run. Times
are wall times around a synchronised device; decoding is not part of them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from side_by_side.rounds import machine
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from emo.config.hardware import HardwareConfig
from emo.llm.training.forecast import measured_gemm

SECONDS = 3.5
ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Subject:
    """An encoder: how it is made, and the input of a batch of clips."""

    build: Callable[[], nn.Module]
    inputs: Callable[[int], Tensor]
    run: Callable[[nn.Module, Tensor], Any]


def hubert(tiny: bool) -> Subject:
    """HuBERT-large (24 layers of 1024)."""
    from transformers import HubertConfig, HubertModel

    sizes = {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "conv_dim": [32] * 7,
    }
    large = {
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
    }
    config = HubertConfig(
        **(sizes if tiny else large), feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True
    )
    return Subject(
        lambda: HubertModel(config),
        lambda clips: torch.randn(clips, int(SECONDS * 16_000)),
        nn.Module.__call__,
    )


def vit(name: str, side: int, pictures: int, tiny: bool, **build: Any) -> Subject:
    """A timm ViT that looks at so many pictures a clip."""
    import timm

    if tiny:
        name, side, build = "vit_tiny_patch16_224", 32, {"img_size": 32}
    return Subject(
        lambda: timm.create_model(name, num_classes=0, **build),
        lambda clips: torch.randn(clips * pictures, 3, side, side),
        lambda model, pixels: model.forward_features(pixels),
    )


def videomae(tiny: bool) -> Subject:
    """VideoMAE-L (24 layers of 1024) on 16 frames."""
    from transformers import VideoMAEConfig, VideoMAEModel

    small = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 32}
    large = {
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
    }
    config = VideoMAEConfig(**(small if tiny else large))
    side = config.image_size
    return Subject(
        lambda: VideoMAEModel(config), lambda clips: torch.randn(clips, 16, 3, side, side), nn.Module.__call__
    )


def subjects(tiny: bool) -> dict[str, Subject]:
    """The four encoders of Emotion-LLaMA."""
    return {
        "hubert": hubert(tiny),
        "mae": vit("vit_large_patch16_224", 224, 16, tiny),
        "videomae": videomae(tiny),
        "eva": vit("eva_giant_patch14_224", 448, 1, tiny, img_size=448, depth=39),
    }


def measure(subject: Subject, device: str, clips: int, peak: float | None) -> dict[str, float | None]:
    """Clips a second and MFU of one encoder; no MFU where the device's limit was not measured."""
    model = subject.build().eval().requires_grad_(False).to(device)
    batch = subject.inputs(clips).to(device)
    kind = device.partition(":")[0]
    half = torch.autocast(kind, dtype=torch.bfloat16, enabled=kind == "cuda")  # on a CPU halves crawl
    with torch.inference_mode(), half:
        with FlopCounterMode(display=False) as counter:
            subject.run(model, batch)
        for _ in range(2):
            subject.run(model, batch)
        synchronise(kind)
        started = time.perf_counter()
        for _ in range(ROUNDS if kind == "cuda" else 1):
            subject.run(model, batch)
        synchronise(kind)
        seconds = (time.perf_counter() - started) / (ROUNDS if kind == "cuda" else 1)
    flops = counter.get_total_flops()
    return {
        "clips_a_second": round(clips / seconds, 2),
        "tflop_a_clip": round(flops / clips / 1e12, 4),
        "mfu": None if peak is None else round(flops / seconds / peak, 4),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }


def synchronise(kind: str) -> None:
    """Wait for the card."""
    if kind == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """One row an encoder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--tiny", action="store_true", help="tiny shapes, to see that it runs")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--clips", type=int, default=16, help="clips in a batch")
    options = parser.parse_args()
    if options.device != "cpu" and not torch.cuda.is_available():
        print("gpu_extract: no CUDA device here. `--tiny --device cpu` checks that it runs.", file=sys.stderr)
        return
    torch.manual_seed(0)
    # a CPU takes minutes for the large products, and what share of them tiny shapes reach says nothing
    hardware = HardwareConfig(device=options.device, dtype="bfloat16")
    peak = None if options.tiny else measured_gemm(hardware)
    rows = {
        name: measure(subject, options.device, options.clips, peak)
        for name, subject in subjects(options.tiny).items()
    }
    found = {
        "benchmark": "gpu_extract",
        "settings": vars(options),
        "peak_tflops": None if peak is None else round(peak / 1e12, 1),
        "rows": rows,
        "machine": machine(),
    }
    print(json.dumps(found, indent=None if options.json else 1))


if __name__ == "__main__":
    main()
