"""Word tables of the sentences that rendered people say: everyday, and drawn without regard to the class.

How faces, voices and reasons are put into words is in emo.wording.
"""

from __future__ import annotations

SUBJECTS: tuple[str, ...] = ("I", "We", "They", "My friend", "My sister", "The teacher", "The driver")
ACTIONS: tuple[str, ...] = (
    "called",
    "came back",
    "left the house",
    "opened the door",
    "read the letter",
    "found the key",
    "bought the tickets",
    "moved the table",
    "waited",
    "talked about the plan",
)
PLACES: tuple[str, ...] = (
    "",
    " at the station",
    " in the kitchen",
    " near the school",
    " at work",
    " in town",
)
TIMES: tuple[str, ...] = (
    "",
    " today",
    " last night",
    " this morning",
    " on Monday",
    " an hour ago",
    " again",
)
