"""Where a model is from: a folder, or OWNER/NAME@COMMIT of the hub, which is fetched once.

Knows files and digests, no layouts of models.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from emo.canonical import Json, sha256_json
from emo.digests import StatCache
from emo.errors import CheckpointError, ConfigError
from emo.merr.folder import read_keyed

HUB_FILES = ("*.json", "*.jinja", "*.model", "*.safetensors", "*.txt")
DECIDES = (".json", ".jinja", ".model", ".safetensors", ".txt")
DIGITS = 16
_PINNED = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)@(?P<commit>[0-9a-f]{40})")


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A folder with a model, and `origin`: the repository and commit it is of, or the digest of its files."""

    folder: Path
    origin: Mapping[str, Json]

    @property
    def kind(self) -> str:
        """Its model type by config.json, "" where there is none."""
        return str((read_keyed(self.folder / "config.json") or {}).get("model_type") or "")

    @property
    def name(self) -> str:
        """Its name and revision, or the first digits of its digest; random weights are called so."""
        random = ", random weights" if self.untrained else ""
        if "repo" in self.origin:
            return f"{self.origin['repo']} at {self.origin['commit']} on this machine{random}"
        return f"{self.folder.name} on this machine (sha256 {str(self.origin['sha256'])[:DIGITS]}{random})"

    @property
    def untrained(self) -> bool:
        """Whether every norm still scales by exactly one, as before the first step of any training."""
        import torch
        from safetensors import safe_open

        seen = False
        for path in sorted(self.folder.glob("*.safetensors")):
            with safe_open(path, framework="pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118 - no mapping
                    if "norm" in name and name.endswith("weight"):
                        seen = True
                        found = tensors.get_tensor(name)
                        if not torch.equal(found, torch.ones_like(found)):
                            return False
        return seen

    def refuse_other_formats(self) -> None:
        """CheckpointError where there are no safetensors, or no config.json that says of which type it is."""
        if not any(self.folder.glob("*.safetensors")):
            raise CheckpointError(
                f"{self.folder}: holds no *.safetensors. Weights in other formats are not opened."
            )
        if not self.kind:
            raise CheckpointError(
                f"{self.folder}: has no config.json that names a model_type. Name a model's folder."
            )


def source_of(named: str) -> ModelSource:
    """The model in a folder, or OWNER/NAME@COMMIT of the hub.

    ConfigError where the name is neither, or the hub's without a commit; CheckpointError where it cannot be
    fetched.
    """
    folder = Path(named)
    if folder.is_dir():
        return ModelSource(folder, {"sha256": _digest(folder)})
    pinned = _PINNED.fullmatch(named)
    if pinned is None:
        raise ConfigError(
            f"{named!r} is no folder and no OWNER/NAME@COMMIT of the hub (40 hex digits: a branch moves)."
        )
    return ModelSource(_fetched(**pinned.groupdict()), {"repo": pinned["repo"], "commit": pinned["commit"]})


def _digest(folder: Path) -> str:
    """SHA-256 over the names and digests of all files that may decide what is said."""
    files = sorted(path for path in folder.iterdir() if path.suffix in DECIDES)
    memory = StatCache(None)
    return sha256_json({path.name: memory.sha256(path) for path in files})


def _fetched(repo: str, commit: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repo, revision=commit, allow_patterns=list(HUB_FILES)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise CheckpointError(f"{repo}@{commit[:12]}: cannot be fetched: {error}") from error
