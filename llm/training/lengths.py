"""Lengths of examples as the model will see them: text, slots that are filled, and the answer.

Counts tokens; reads no feature.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from emo.clip import Example
from emo.heads.projectors import Projector
from emo.llm.examples import ask
from emo.llm.packing.tree import tree_length
from emo.llm.prompts import Slot
from emo.llm.splice import Piece, feature_of, pieces_of
from emo.llm.training.course import Course


class Ruler:
    """Measures groups of examples about one clip of `clip_ids`.

    Modality dropout is not known to it: with dropout a row may be shorter than measured, never longer.
    """

    def __init__(self, course: Course, clip_ids: Sequence[str]) -> None:
        self._course = course
        self._there = course.features.present(clip_ids)
        self._rows = {clip_id: row for row, clip_id in enumerate(clip_ids)}
        self._shapes = course.features.shapes

    def __call__(self, group: Sequence[Example]) -> int:
        """Tokens of the group in a packed row, where what its prompts begin with stands once."""
        lines, prompts = [], []
        for example in group:
            prompt = self._line(self._pieces(example))
            prompts.append(len(prompt))
            lines.append([*prompt, *self._course.answer_ids(example)])
        return tree_length(lines, prompts)

    def _pieces(self, example: Example) -> list[Piece]:
        row = self._rows[example.clip_id]

        def present(slot: str) -> bool:
            name = feature_of(slot)
            return name in self._there and bool(self._there[name][row])

        return pieces_of(self._course.model.codec, ask(self._course.template, example), present)

    def _line(self, pieces: Sequence[Piece]) -> list[int | str]:
        """Token ids, and for each token of a slot the slot's name."""
        line: list[int | str] = []
        for piece in pieces:
            line += self._slot(piece.name) if isinstance(piece, Slot) else piece
        return line

    def _slot(self, name: str) -> list[str]:
        projector = cast(Projector, self._course.model.projectors[name])
        return [name] * projector.tokens(self._shapes[feature_of(name)])
