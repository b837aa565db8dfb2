"""Released weights of others into a checkpoint folder: the pickle read in a limited process, then converted.

Knows which part does what; names of tensors are known in emo.llm.official.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from emo.digests import sha256_file
from emo.extractors.fetch import unpickle
from emo.llm.card import Card
from emo.llm.official.convert import convert, fresh_slots
from emo.llm.official.origin import Origin
from emo.llm.weight_files import read_tensors


def convert_released(kind: str, file: Path, out: Path, *, base: str = "", alpha: int | None = None) -> Card:
    """The checkpoint in `file`, of `kind` emotion-llama or minigpt-v2, as a folder `out`; its card.

    Nothing in `file` is executed. Raises CheckpointError where it is no such checkpoint or would run code.
    """
    origin = Origin(kind=kind, file=file.name, sha256=sha256_file(file), fresh=fresh_slots(kind))
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent, prefix=".unpickled-") as scratch:
        state = read_tensors(unpickle(file, Path(scratch)))
        return convert(state, origin, out, base=base, alpha=alpha)
