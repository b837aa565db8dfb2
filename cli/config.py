"""Loads `emo.yaml` strictly and hands its values to the verbs as click defaults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from emo.config.strict import checked, parse, unknown_keys
from emo.config.workspace import Workspace
from emo.errors import ConfigError

CACHE_VERBS = (
    "info", "ls", "verify", "forget", "gc", "seal", "card", "pull", "push", "rights", "map", "privacy",
)  # fmt: skip
CACHE_FORMATS = {
    "export": ("h5", "lhotse", "npy", "safetensors", "parquet", "zarr", "mmsa"),
    "import": ("h5", "mertools", "emotion-llama", "npy", "safetensors", "mmsa", "csd", "exported"),
}


SETTINGS = "emo.settings"  # where click's context holds them


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The workspace in force, the file that it was read from, and the keys that came with `--set`."""

    workspace: Workspace
    file: Path | None = None
    set_keys: frozenset[str] = frozenset()

    def source(self, key: str) -> str:
        """Where a key's value comes from, in a word or two."""
        if key in self.set_keys:
            return "--set"
        changed = getattr(self.workspace, key) != getattr(Workspace(), key)
        return str(self.file) if changed else "default"


def read_settings(file: Path | None, assignments: Sequence[str]) -> Settings:
    """The workspace of `file`, or the defaults, with each `KEY=VALUE` of `assignments` put over it.

    ConfigError with every mistake at once.
    """
    workspace = load_workspace(file) if file else Workspace()
    changes: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set {assignment}: takes KEY=VALUE, as in `--set seed=3`.")
        changes |= parse(f"{key}: {value}", f"--set {assignment}")
    merged = asdict(workspace) | changes
    workspace = checked(Workspace, merged, "--set", unknown_keys(merged, Workspace, "--set"))
    return Settings(workspace=workspace, file=file, set_keys=frozenset(changes))


def load_workspace(path: Path) -> Workspace:
    """The workspace written in `path`; ConfigError with every mistake at once."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}. `emo init` writes a fresh one.") from error
    data = parse(text, str(path))
    return checked(Workspace, data, str(path), unknown_keys(data, Workspace, str(path)))


def default_map(workspace: Workspace, root: Path) -> dict[str, Any]:
    """Defaults of each verb, by click parameter name; paths are taken from the workspace's folder."""
    clips, cache = str(root / workspace.clips), str(root / workspace.cache)
    encoders, runs = ",".join(workspace.encoders), root / workspace.runs
    merr = str(root / workspace.merr) if workspace.merr else None
    store = {"cache_path": cache}
    return {
        "extract": {"clips": clips, "cache": cache, "encoder": encoders, "preset": workspace.preset},
        "cache": {
            **dict.fromkeys(CACHE_VERBS, store),
            **{group: dict.fromkeys(formats, store) for group, formats in CACHE_FORMATS.items()},
        },
        "llm": {
            "tiny-base": {"merr": merr, "manifest": clips, "labels": workspace.labels},
            "export-prompts": {"cache": cache},
        },
        "merr": {
            "build": {
                "clips": clips,
                "cache": cache,
                "labels": workspace.labels,
                "out": merr or str(root / "merr"),
                "seed": workspace.seed,
            },
            "check": {"folder": merr or str(root / "merr"), "labels": workspace.labels},
        },
        "train-head": {
            "cache": cache,
            "manifest": clips,
            "features": encoders,
            "labels": workspace.labels,
            "head": workspace.head,
            "out": str(runs / "head"),
            "seed": workspace.seed,
        },
        "train-head projector": {
            "cache": cache,
            "manifest": clips,
            "features": encoders,
            "merr": merr,
            "labels": workspace.labels,
            "base": _base(workspace, root),
            "recipe": workspace.recipe,
            "out": str(runs / "projectors"),
            "seed": workspace.seed,
        },
        "train-llm": {
            "cache": cache,
            "manifest": clips,
            "features": encoders,
            "merr": merr,
            "base": _base(workspace, root),
            "recipe": workspace.recipe,
            "out": str(runs / "llm"),
            "seed": workspace.seed,
        },
        "ablate": {
            "cache": cache,
            "manifest": clips,
            "features": encoders,
            "labels": workspace.labels,
            "head": workspace.head,
            "merr": merr,
            "base": _base(workspace, root),
            "recipe": workspace.recipe,
            "out": str(runs / "ablation"),
        },
        "pseudo-label": {
            "cache": cache,
            "manifest": clips,
            "features": encoders,
            "head": workspace.head,
            "merr": merr,
            "base": _base(workspace, root),
            "recipe": workspace.recipe,
            "out": str(runs / "pseudo"),
            "seed": workspace.seed,
        },
        "robustness": {"cache": cache, "manifest": clips, "model": _first_run(runs)},
        "predict": {"cache": cache, "model": _first_run(runs)},
        "timeline": {"cache": cache, "model": _first_run(runs)},
        "app": {"cache": cache, "manifest": clips, "models": [run] if (run := _first_run(runs)) else None},
        "evaluate": {"cache": cache, "manifest": clips, "model": _first_run(runs)},
        "calibrate": {"cache": cache, "manifest": clips, "model": _first_run(runs)},
    }


def _base(workspace: Workspace, root: Path) -> str | None:
    if not workspace.base:
        return None
    local = root / workspace.base
    return str(local) if local.exists() else workspace.base


def _first_run(runs: Path) -> str | None:
    return next((str(runs / name) for name in ("llm", "head") if (runs / name).exists()), None)
