"""Where published weights come from, what may be done with them, what stands in where they are not public.

A table row, no more: fetching is `emo weights get`, reading is `emo.extractors.weights`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from emo.canonical import Json
from emo.spec import Licence


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One set of published weights.

    `repo` is a hub id, empty where the weights are not on the hub; `note` then says where they are and
    what to do. `substitute` is a public model of the same shapes whose features are off-distribution for
    projectors trained on the original. A `revision` that is not a commit is resolved when fetched; what
    identifies weights in a FeatureSpec is always the digest of their bytes. `random` is the config of a
    model whose weights are random, made by emo. `also` names further files that decide values, such as a
    tokenizer's. `library` is the package that holds the weights, where it is not emo. `aligned` marks weights
    that were trained on faces which OpenFace aligned and cut.
    """

    repo: str = ""
    revision: str = "main"
    licence: Licence = field(default_factory=Licence)
    paper: str = ""
    note: str = ""
    substitute: Source | None = None
    random: Mapping[str, Json] | None = None
    also: tuple[str, ...] = ()
    library: str = ""
    aligned: bool = False

    @property
    def public(self) -> bool:
        """Whether `emo weights get` can fetch it."""
        return bool(self.repo)


TINY = Source(
    licence=Licence(name="MIT", source="emo.extractors.tiny"),
    note="The tiny preset is shipped with emo; there is nothing to fetch.",
)
