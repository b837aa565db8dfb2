"""Open-vocabulary labels: lists of words in a cell, as the MER challenges write them.

Source of the form: MERTools, string_to_list: a Python list as text, such as "['happy', 'calm']", or words
with commas.
"""

from __future__ import annotations

import re

from emo.canonical import Json


def words_of(cell: str) -> list[Json]:
    """The words of a cell, in their order; none of an empty one."""
    inner = cell.strip().removeprefix("[").removesuffix("]")
    return [word.strip() for word in re.split(r"""['",，、]""", inner) if word.strip()]
