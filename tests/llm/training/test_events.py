"""Rows of metrics.jsonl: plain JSON, whatever the numbers."""

import json
from math import inf, nan

from emo.llm.training.events import StepDone, as_row


def test_numbers_that_json_has_not_become_null():
    row = as_row(StepDone("coarse", 1, 2, nan, 1e-4, inf, 7, refused=("clip0",)))
    assert (row["loss"], row["gradient_norm"], row["learning_rate"]) == (None, None, 1e-4)
    assert row["refused"] == ("clip0",)
    json.dumps(row, allow_nan=False)
