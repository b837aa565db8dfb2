"""How long features may be kept: said in the cache, told afterwards, and kept to by forgetting."""

import json
from datetime import date, timedelta

import pytest
from click.testing import CliRunner

from emo.cache import open_cache
from emo.cli.cache import cache as command
from emo.errors import ConfigError
from emo.rights import DataRights

PAST = (date.today() - timedelta(days=1)).isoformat()


@pytest.fixture
def run(path, space, make_records, fill):
    fill(space, make_records(5))

    def run(*words, code=0):
        done = CliRunner().invoke(command, [*map(str, words), "--cache", str(path)])
        assert done.exit_code == code, (done.output, done.exception)
        return done.output if code == 0 else str(done.exception)

    return run


def test_days_become_the_last_day_and_travel_with_the_rights(run, path):
    last = (date.today() + timedelta(days=30)).isoformat()
    assert f"to be forgotten after {last}" in run("rights", "--retain", 30)
    (record,) = open_cache(path).data
    assert record.keep_until == last and not record.expired(date.today())
    assert record.expired(date.today() + timedelta(days=31))
    assert DataRights.from_json(record.to_json()) == record
    assert f"Nothing has expired; the first last day is {last}" in run("forget", "--expired", "--yes")
    assert len(open_cache(path)["hubert"]) == 5


def test_what_may_stay_no_longer_is_told_and_forgotten(run, path):
    open_cache(path, "a").declare([DataRights(name="them", keep_until=PAST)])
    assert "emo cache forget --expired" in run("gc")
    assert json.loads(run("forget", "--expired", "--json"))["done"] is False
    assert len(open_cache(path)["hubert"]) == 5
    run("forget", "--expired", "--yes")
    assert len(open_cache(path)["hubert"]) == 0


def test_of_several_data_sets_only_the_expired_one_goes(run, path, tmp_path):
    open_cache(path, "a").declare([DataRights(name="them", keep_until=PAST), DataRights(name="us")])
    assert "Name a --manifest" in run("forget", "--expired", code=1)
    rows = [
        {"clip_id": clip_id, "path": "x.wav", "dataset": "us" if place else "them"}
        for place, clip_id in enumerate(open_cache(path)["hubert"])
    ]
    (tmp_path / "m.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    run("forget", "--expired", "--manifest", tmp_path / "m.jsonl", "--yes")
    assert len(open_cache(path)["hubert"]) == 4


def test_clips_of_no_named_data_set_are_those_that_nobody_declared(run, path, tmp_path):
    open_cache(path, "a").declare([DataRights(name="undeclared", keep_until=PAST), DataRights(name="us")])
    rows = [
        {"clip_id": clip_id, "path": "x.wav", "dataset": "" if place else "us"}
        for place, clip_id in enumerate(open_cache(path)["hubert"])
    ]
    (tmp_path / "m.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    run("forget", "--expired", "--manifest", tmp_path / "m.jsonl", "--yes")
    assert len(open_cache(path)["hubert"]) == 1


def test_a_day_that_is_none_is_refused():
    for wrong in ("tomorrow", "2027-1-1", "20270101", 5):
        with pytest.raises(ConfigError, match="keep_until"):
            DataRights.from_json({"name": "them", "keep_until": wrong})
    assert "keep_until" not in DataRights(name="them").to_json()
