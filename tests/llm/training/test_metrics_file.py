"""metrics.jsonl is cut back to where a state was saved, whoever goes on from there."""

from emo.llm.training.events import Validated
from emo.llm.training.metrics import METRICS, Metrics


def validated(step):
    return Validated("coarse", step, 1.0, 0.5, best=True)


def test_a_run_that_goes_on_cuts_what_came_after_its_state(tmp_path):
    with Metrics(tmp_path, 0) as metrics:
        metrics.write(validated(1))
        saved_at = metrics.length
        metrics.write(validated(2))
        metrics.write(validated(3))
    whole = (tmp_path / METRICS).read_bytes()
    with Metrics(tmp_path, saved_at) as metrics:
        assert (tmp_path / METRICS).read_bytes() == whole[:saved_at]
        metrics.write(validated(2))
    assert (tmp_path / METRICS).read_bytes() == whole[: metrics.length]
    assert metrics.length < len(whole)
