"""What stands beside a run: run.json says what it is made of, recipe.json how it was set, and how it went.

A run is known by its identity: recipe, seed, LLaMA, features, clips and their texts. A folder holds one run;
its stages may be trained by one command or by several. Knows no model and no tensors.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path
from typing import Any, cast

import torch

from emo.cache import fsops
from emo.canonical import Json, sha256_json
from emo.config.llm import LlmConfig
from emo.errors import ConfigError
from emo.heads.batches import Source
from emo.heads.provenance import code_commit
from emo.llm.examples import ClipTexts
from emo.llm.recipe import config_to_json

RECORD, SETTINGS, LOCK = "run.json", "recipe.json", "run.lock"
FORMAT = 1
RUNNING, STOPPED, FINISHED, FAILED = "running", "stopped", "finished", "failed"
BRIEF = 40  # characters of a value in a message
PACKAGES = ("emo-toolkit", "transformers", "peft", "safetensors")


def identity(
    config: LlmConfig,
    *,
    seed: int,
    base_digest: str,
    sources: Mapping[str, Source],
    train: Sequence[ClipTexts],
    valid: Sequence[ClipTexts],
    start: str | None,
    projectors: str | None = None,
    augmented: Sequence[Mapping[str, Source]] = (),
) -> dict[str, Json]:
    """What two runs must share to be one. The stages are left out: they are compared one by one.

    `start` is the digest of a checkpoint from elsewhere that the run began with, `projectors` that of
    projectors that were aligned before, `augmented` the sources of augmented features, one mapping a version;
    without any there is no such key, as there was none in older records.
    """
    recipe = config_to_json(config)
    if not recipe["projectors"]:  # as in the records of releases that knew the official kinds alone
        del recipe["projectors"]
    versions = [source.spec.fingerprint for each in augmented for source in each.values()]
    drawn: dict[str, Json] = {"augmented": [*versions]} if versions else {}
    return {
        "recipe": {key: value for key, value in recipe.items() if key not in ("stages", "aims_at")},
        "seed": seed,
        "base_digest": base_digest,
        "features": {
            name: {"fingerprint": source.spec.fingerprint, "array": source.array}
            for name, source in sources.items()
        },
        "train": _clips(train),
        "valid": _clips(valid),
        "start": start,
        **({} if projectors is None else {"projectors": projectors}),
        **drawn,
    }


def _clips(clips: Sequence[ClipTexts]) -> dict[str, Json]:
    ordered = sorted(clips, key=lambda clip: clip.clip_id)
    texts = [asdict(clip) | {"sets": sorted(clip.sets)} for clip in ordered]
    return {
        "clips": len(ordered),
        "ids_sha256": sha256_json([clip.clip_id for clip in ordered]),
        "texts_sha256": sha256_json(texts),
    }


def versions() -> dict[str, Json]:
    """What computes: versions of Python and of the packages that decide the numbers."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        **{name: version(name) for name in PACKAGES},
    }


class RunRecord:
    """run.json of a folder, written anew with every change; only in memory where it `writes` not."""

    def __init__(self, folder: Path, *, writes: bool = True) -> None:
        """ConfigError where the folder's run.json cannot be read."""
        self.folder = folder
        self._writes = writes
        self._data: dict[str, Any] = {}
        file = folder / RECORD
        if file.exists():
            try:
                self._data = json.loads(file.read_text(encoding="utf-8"))
            except ValueError as error:
                raise ConfigError(f"{file}: cannot be read: {error}. --fresh starts over.") from error

    @property
    def stages(self) -> dict[str, dict[str, Any]]:
        """By name and in the order of training: `settings`, and once it is over `done`."""
        return cast(dict[str, dict[str, Any]], self._data.get("stages", {}))

    @property
    def done(self) -> dict[str, dict[str, Any]]:
        """The stages that are over: kept step, weighted F1, length of metrics.jsonl in bytes."""
        return {name: stage["done"] for name, stage in self.stages.items() if "done" in stage}

    @property
    def is_new(self) -> bool:
        """Whether nothing is known of a run here."""
        return not self._data

    @property
    def is_finished(self) -> bool:
        """Whether all stages are over and the last one's weights stand in the folder itself."""
        return bool(self._data.get("status") == FINISHED)

    def steps_before(self, stage: str) -> int:
        """Steps of the stages that are over and came before this one."""
        return sum(self.stages[name]["settings"]["steps"] for name in self.done if name != stage)

    def refuse_another(self, mine: Mapping[str, Json], stages: Mapping[str, Any]) -> None:
        """ConfigError where the folder holds another run than `mine`, or one with all `stages` finished."""
        if not self._data:
            return
        changed = list(_differences(self._data["identity"], mine, ""))
        for name in stages.keys() & self.stages.keys():
            changed += _differences(self.stages[name]["settings"], stages[name], f"stages.{name}.")
        if changed:
            said = "; ".join(f"{key} is {theirs} there and {here} here" for key, theirs, here in changed)
            raise ConfigError(
                f"{self.folder} holds another run: {said}. Give another --out, or --fresh to start over."
            )
        unsaved = self._data["status"] != FINISHED and self.done.keys() == self.stages.keys()
        if stages.keys() <= self.done.keys() and not unsaved:
            raise ConfigError(
                f"{self.folder} holds this run already, with {', '.join(stages)} finished. Give another "
                "--out, or --fresh to train it again."
            )

    def start_over(self, mine: Mapping[str, Json], names: Sequence[str]) -> None:
        """Forget the stages of these names and all that came after; with another identity, everything."""
        same = bool(self._data) and not list(_differences(self._data["identity"], mine, ""))
        kept = list(takewhile(lambda name: same and name not in names, self.stages))
        self._data = {**self._data, "stages": {name: self.stages[name] for name in kept}} if kept else {}

    def begin(
        self,
        mine: Mapping[str, Json],
        config: LlmConfig,
        circumstances: Mapping[str, Json],
        options: Mapping[str, Json],
    ) -> list[str]:
        """Note that a process starts, and write recipe.json. The lines returned say which circumstances are
        others than before, so that results may differ in their last bits."""
        before = self._data.get("circumstances")
        now = {**circumstances, "versions": versions(), "commit": code_commit()}
        settings = config_to_json(config)
        new = cast(dict[str, Json], settings["stages"])
        stages = {**self.stages, **{name: {"settings": new[name]} for name in new if name not in self.stages}}
        self._data = {
            "format": FORMAT,
            "status": RUNNING,
            "identity": dict(mine),
            "circumstances": now,
            "options": dict(options),
            "stages": stages,
            "sessions": [*self._data.get("sessions", []), {"started": _now(), "status": RUNNING}],
        }
        recipe = {**settings, "stages": {name: stage["settings"] for name, stage in stages.items()}}
        self._write()
        if self._writes:
            _write_json(self.folder / SETTINGS, recipe)
        changed = _differences(before or now, now, "")
        return [f"{key} was {then} before and is {here} now" for key, then, here in changed]

    def stage_done(self, name: str, kept_step: int, weighted_f1: float | None, metrics_bytes: int) -> None:
        """Note that a stage is over and its checkpoint stands."""
        self.stages[name]["done"] = {
            "step": kept_step,
            "weighted_f1": weighted_f1,
            "metrics_bytes": metrics_bytes,
        }
        self._write()

    def end(self, status: str) -> None:
        """Note how the process ended."""
        self._data["status"] = status
        self._data["sessions"][-1] |= {"ended": _now(), "status": status}
        self._write()

    def _write(self) -> None:
        if self._writes:
            _write_json(self.folder / RECORD, self._data)


def run_name(folder: Path) -> str:
    """A name for the run in a folder that stays the same until it starts over: for services that want one."""
    data = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    return f"{folder.name}-{sha256_json([str(folder.resolve()), data['sessions'][0]['started']])[:12]}"


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder for the length of the block; ConfigError where another process holds it."""
    fsops.make_folder(folder)
    descriptor = fsops.open_lock(folder / LOCK)
    try:
        if not fsops.flock(descriptor, wait=False):
            raise ConfigError(
                f"{folder}: another process is training here. Wait for it, or give another --out."
            )
        yield
    finally:
        fsops.close(descriptor)


def _differences(theirs: Any, mine: Any, where: str) -> Iterator[tuple[str, str, str]]:
    """Where two pieces of JSON differ, and what they say there."""
    if isinstance(theirs, Mapping) and isinstance(mine, Mapping):
        for key in dict.fromkeys((*theirs, *mine)):
            yield from _differences(theirs.get(key), mine.get(key), f"{where}{key}.")
    elif theirs != mine:
        yield where.rstrip("."), _brief(theirs), _brief(mine)


def _brief(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= BRIEF else f"{text[:BRIEF]}..."


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _write_json(file: Path, value: object) -> None:
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    fsops.replace_file(file, text.encode(), file.with_name(f"{file.name}.part"), durable=True)
    fsops.sync_folder(file.parent)
