"""Published weights onto this machine: fetched from the hub, checked, converted where they are pickles.

Downloads go on where they stopped. What is not public is refused with what stands in for it. Draws nothing;
reaches no host but the hub.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from emo.digests import sha256_file
from emo.errors import CheckpointError
from emo.extractors.sources import Source
from emo.extractors.weights import CARD, CONFIGS, weights_folder
from emo.safety.limited import run_limited

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo

SAFE, PICKLE = "model.safetensors", "pytorch_model.bin"
CONVERTERS = {
    "eva": "emo.extractors.eva_convert:convert",
    "mae": "emo.extractors.mae_convert:convert_mae",
    "videomae": "emo.extractors.mae_convert:convert_videomae",
}
OFF_DISTRIBUTION = (
    "Its features have the same shapes but another distribution: projectors and heads trained on the "
    "original weights do not fit them. Train your own."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """Weights that are now on this machine."""

    folder: Path
    source: Source
    commit: str
    files: Mapping[str, str]
    substitute: bool


def fetch(encoder: str, preset: str, source: Source, *, substitute: bool = False) -> Fetched:
    """Bring a preset's weights, or their substitute, into the folder where `find_weights` looks.

    Raises CheckpointError where the weights are not public, where the hub cannot be reached, or where
    bytes are not those the hub's digests name.
    """
    chosen = source
    if substitute and source.substitute is not None:
        chosen = source.substitute
    stands_in = chosen is not source
    if not chosen.public:
        raise CheckpointError(why_not(encoder, preset, source))
    folder = weights_folder(encoder, preset)
    info = _ask(chosen)
    chosen = _licensed(chosen, info)
    commit = info.sha or chosen.revision
    digests = {file.rfilename: file.lfs.sha256 if file.lfs else None for file in info.siblings or ()}
    model = next((name for name in (SAFE, PICKLE) if name in digests), None)
    if model is None:
        raise CheckpointError(f"{chosen.repo} at {commit[:12]} has neither {SAFE} nor {PICKLE}.")
    wanted = [model, *(name for name in (*CONFIGS, *chosen.also) if name in digests)]
    landing = folder / ".landing"
    _download(chosen, commit, landing, wanted)
    digest = digests[model]
    if digest is not None and sha256_file(landing / model) != digest:
        (landing / model).unlink()
        raise CheckpointError(
            f"{chosen.repo}/{model} arrived damaged and was removed. Run the command again."
        )
    files = settle(landing, folder, model, chosen.also)
    fetched = Fetched(folder=folder, source=chosen, commit=commit, files=files, substitute=stands_in)
    write_card(folder, chosen, files, commit=commit, substitute=fetched.substitute)
    return fetched


def settle(landing: Path, folder: Path, model: str, also: Sequence[str] = ()) -> dict[str, str]:
    """Move fetched files from `landing` into `folder`, converting a pickle; their SHA-256 by name."""
    if model == PICKLE:
        unpickle(landing / model, landing)
    files = {}
    for name in (SAFE, *CONFIGS, *also):
        if (landing / name).exists():
            (landing / name).replace(folder / name)
            files[name] = sha256_file(folder / name)
    shutil.rmtree(landing)
    return files


def unpickle(file: Path, folder: Path) -> Path:
    """The tensors of a pickle-based checkpoint as safetensors in `folder`, names unchanged; the file written.

    Runs in a limited process on `weights_only` loading. Raises CheckpointError where the file is no such
    checkpoint or would run code.
    """
    run_limited(
        "emo.extractors.checkpoints:bin_to_safetensors",
        {"source": str(file.absolute()), "out": str(folder.absolute())},
        imports=["torch"],
        failure=CheckpointError,
    )
    return folder / SAFE


def convert(encoder: str, file: Path, out: Path, source: Source) -> dict[str, str]:
    """A .pth of the original code as a weights folder in `out`; the files' SHA-256 by name.

    Runs in a limited process on `weights_only` loading. Raises CheckpointError where the file is no such
    checkpoint.
    """
    if not file.is_file():
        raise CheckpointError(f"{file} is no file.")
    answer = run_limited(
        CONVERTERS[encoder],
        {"source": str(file.absolute()), "out": str(out.absolute())},
        imports=["torch"],
        failure=CheckpointError,
    )
    assert isinstance(answer, dict)
    files = {name: str(digest) for name, digest in answer.items()}
    write_card(out, source, files, converted_from={file.name: sha256_file(file)})
    return files


def write_card(folder: Path, source: Source, files: Mapping[str, str], **origin: object) -> None:
    """Say beside the weights where they are from, under which licence, with which digests."""
    card = {
        "repo": source.repo,
        "revision": source.revision,
        "paper": source.paper,
        "licence": asdict(source.licence),
        "files": dict(files),
        **origin,
    }
    (folder / CARD).write_text(json.dumps(card, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def why_not(encoder: str, preset: str, source: Source) -> str:
    """Why weights cannot be fetched, what to do, and what stands in for them."""
    lines = [f"{encoder} {preset}: {source.note}"]
    if encoder in CONVERTERS and preset == "paper":
        lines.append(f"With the file at hand: emo weights convert {encoder} FILE.pth")
    if source.substitute is not None:
        lines.append(
            f"Substitute: {source.substitute.repo} ({source.substitute.licence.name}). {OFF_DISTRIBUTION} "
            f"Fetch it with: emo weights get --encoder {encoder} --preset {preset} --substitute"
        )
    return "\n".join(lines)


def _ask(source: Source) -> ModelInfo:
    from huggingface_hub import HfApi

    try:
        return HfApi().model_info(source.repo, revision=source.revision, files_metadata=True)
    except Exception as error:  # the hub's client lets its HTTP library's own errors through
        raise CheckpointError(_unreachable(source, error)) from error


def _licensed(source: Source, info: ModelInfo) -> Source:
    """`source` with the licence that the hub names, where nothing is known of it here."""
    told = getattr(info.card_data, "license", None) if info.card_data else None
    if source.licence.name != "unknown" or not told:
        return source
    return replace(source, licence=replace(source.licence, name=str(told)))


def _download(source: Source, commit: str, landing: Path, names: list[str]) -> None:
    from huggingface_hub import snapshot_download

    landing.mkdir(parents=True, exist_ok=True)
    try:
        snapshot_download(source.repo, revision=commit, local_dir=landing, allow_patterns=names)
    except Exception as error:  # as above
        raise CheckpointError(_unreachable(source, error)) from error


def _unreachable(source: Source, error: BaseException) -> str:
    first = (str(error) or type(error).__name__).splitlines()[0]
    return f"{source.repo} could not be fetched: {first} Run the command again; what has arrived is kept."
