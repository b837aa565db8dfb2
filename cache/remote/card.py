"""The data set card of a cache: licences, whose data, which encoders, how to read it, what it is not for.

Markdown with the YAML front matter that the Hub reads. Made of metadata and counts: no clip id, no value of a
feature and no credential is in it. Knows no store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from emo.cache.index import Index
from emo.cache.state import created_by
from emo.records import OK
from emo.rights import UNDECLARED, DataRights, strictest
from emo.spec import FeatureSpec

HUB_LICENCES = {
    "mit", "apache-2.0", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0",
    "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-4.0", "gpl-3.0", "llama2", "unknown",
}  # fmt: skip


def card(spaces: Sequence[Index], data: Sequence[DataRights], where: str) -> str:
    """The card of these spaces, as they are read at `where`."""
    data = data or (UNDECLARED,)
    licence = strictest(_licences(spaces, data))
    first = spaces[0].paths.name if spaces else "hubert"
    parts = [
        f"---\n{yaml.safe_dump(_front_matter(spaces, data, licence), sort_keys=True, allow_unicode=True)}---",
        "# Features of clips of people",
        f"Features that encoders made of audio and video clips, written by {created_by()}. No pictures, no "
        "sound. Each record is checked against its checksum when it is read.",
        "## Licence",
        f"The strictest of the licences below holds for the whole: **{licence}**. Licences of data sets "
        "hold for features made of them, licences of weights for what they made; this card gives no right "
        "that those do not.",
        _table(("data set", "licence", "features may be shared", "terms"), map(_data_row, data)),
        "## Spaces",
        _table(
            (
                "space",
                "encoder preset",
                "fingerprint of the recipe",
                "licence of the weights",
                "where that is said",
            ),
            (_space_row(index.state.spec) for index in spaces),
        ),
        *(_counts(index) for index in spaces),
        "## Read it",
        f'```python\nimport emo\n\ncache = emo.open("{where}")   # pip install "emo-toolkit[remote]"\n'
        f'space = cache["{first}"]\nfeature = space[next(iter(space))]\nfeature.values, feature.status\n```\n'
        "Each clip is one ranged request. The layout is Zarr v3 (format 1 of emo): any Zarr reader opens it; "
        "the root's attribute `spaces` names the groups that count.",
        "## Limits",
        "Features of voices and faces are personal data: persons can be recognised from them. Emotion labels "
        "and predictions made of them are guesses about how people appear, not what they feel. Not for "
        "decisions about persons (work, school, credit, police, borders), nor for finding out who somebody "
        "is. Whoever holds a copy has to follow requests to forget a person: `emo cache forget`.",
        "## Citation",
        "\n".join(f"- {record.name}: {record.citation or 'none declared'}" for record in data),
    ]
    return "\n\n".join(parts) + "\n"


def _licences(spaces: Sequence[Index], data: Sequence[DataRights]) -> list[str]:
    return [*(index.state.spec.licence.name for index in spaces), *(record.licence for record in data)]


def _front_matter(spaces: Sequence[Index], data: Sequence[DataRights], licence: str) -> dict[str, Any]:
    named = licence.lower() if licence.lower() in HUB_LICENCES else "other"
    found: dict[str, Any] = {
        "license": named,
        "pretty_name": "Features of clips of people",
        "tags": ["emotion-recognition", "multimodal", "features", "zarr", "emo-toolkit"],
        "source_datasets": [record.name for record in data],
        "emo": {
            "encoders": sorted({index.state.spec.encoder for index in spaces}),
            "fingerprints": {index.paths.name: index.state.spec.fingerprint for index in spaces},
        },
    }
    if named == "other":
        found["license_name"] = licence
    return found


def _data_row(record: DataRights) -> tuple[str, ...]:
    shared = {True: "yes", False: "no", None: "not declared"}[record.may_share_features]
    return record.name, record.licence, shared, record.eula_url or "-"


def _space_row(spec: FeatureSpec) -> tuple[str, ...]:
    name = f"{spec.encoder}/{spec.short}"
    return name, spec.preset or "-", spec.fingerprint, spec.licence.name, spec.licence.source or "-"


def _counts(index: Index) -> str:
    """How many clips of each status a space has, and the shapes of its arrays."""
    status = index.column("status")
    counts = Counter(status[row] for _, row in index.live())
    told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "no clips"
    arrays = [
        f"`{name}` ({layout.kind}, {layout.dtype}, {' x '.join(map(str, _shape(index, name)))})"
        for name, layout in index.state.spec.arrays.items()
    ]
    usable = f"{counts[OK] / max(1, sum(counts.values())):.1%} of its clips have features without a remark."
    return f"`{index.paths.name}`: {told}. Arrays: {', '.join(arrays)}. {usable}"


def _shape(index: Index, array: str) -> tuple[int, ...]:
    return int(index.column(f"{array}_rows").sum()), *index.state.geometry(array).row_shape


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    """Text that stays in its cell, whatever a spec or a declaration holds."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
