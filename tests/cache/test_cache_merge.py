"""Merge: records of several caches by id, one for each input, conflicts listed, nothing forgotten revived."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from emo.cache import open_cache, verify_cache
from emo.cache.forget import forget
from emo.cache.merge import merge
from emo.cli.cache import cache as command
from emo.errors import StaleCache
from emo.records import RETRACTED, Record


@pytest.fixture
def node(tmp_path, make_spec, fill):
    """A cache with these records."""

    def make(name, records, spec=None):
        cache = open_cache(tmp_path / f"{name}.zarr", "a")
        fill(cache.create(spec or make_spec(), shard_bytes=800), records)
        return cache

    return make


def test_two_nodes_become_one_cache(node, path, make_records, assert_holds, make_spec):
    records = make_records(20)
    first, second = node("a", records[:12]), node("b", records[8:])
    other = node("c", records[:3], make_spec("mae"))
    target = open_cache(path, "a")
    merged = merge([first, second, other], target)
    assert (merged.stored, merged.same, merged.conflicts) == (23, 4, [])
    assert_holds(open_cache(path)["hubert"], records)
    assert_holds(open_cache(path)["mae"], records[:3])
    assert merge([first, second], target).stored == 0
    assert verify_cache(path).bad == []


def test_other_media_under_one_id_are_listed_and_the_first_stays(node, path, make_records, assert_holds):
    records, others = make_records(5), make_records(5, seed=1)
    merged = merge([node("a", records), node("b", others[:2])], open_cache(path, "a"))
    assert [conflict.clip_id for conflict in merged.conflicts] == [item.clip_id for item in others[:2]]
    assert_holds(open_cache(path)["hubert"], records)


def test_a_record_that_tells_more_of_one_input_wins(node, path, make_records):
    (whole,) = make_records(1)
    failed = Record(clip_id=whole.clip_id, status="failed:timeout", input_sha256=whole.input_sha256)
    part = Record(
        clip_id=whole.clip_id,
        arrays={"utterance": whole.arrays["utterance"]},
        input_sha256=whole.input_sha256,
    )
    for number, order in enumerate(([failed, part, whole], [whole, part, failed])):
        sources = [node(f"{number}{step}", [item]) for step, item in enumerate(order)]
        target = open_cache(path.with_name(f"{number}.zarr"), "a")
        merge(sources, target)
        assert set(target["hubert"].info(whole.clip_id).arrays) == set(whole.arrays)


def test_what_one_node_forgot_is_forgotten_in_all(node, path, make_records):
    records = make_records(4)
    first, second = node("a", records), node("b", records)
    forget(second, [records[0].clip_id])
    target = open_cache(path, "a")
    merge([first, second], target)
    assert target["hubert"].info(records[0].clip_id).status == RETRACTED
    assert verify_cache(path).bad == []
    merge([first], target)
    assert target["hubert"].info(records[0].clip_id).status == RETRACTED


def test_two_ids_of_one_input_stay_one_piece_of_data(node, path, make_records):
    source = node("a", make_records(3))
    with source["hubert"].writer("none") as writer:
        writer.alias("clip/000 é", "again")
    target = open_cache(path, "a")
    merge([source], target)
    index = target["hubert"].index
    assert index.place(index.current["again"], "frames") == index.place(index.current["clip/000 é"], "frames")


def test_canaries_that_differ_stop_a_merge_before_it_stores(node, path, make_records):
    first, second = node("a", make_records(2)), node("b", make_records(2))
    first["hubert"].write_canary({"frames": np.ones((2, 6))})
    second["hubert"].write_canary({"frames": np.full((2, 6), 1.02)})
    target = open_cache(path, "a")
    with pytest.raises(StaleCache, match="canary"):
        merge([first, second], target)
    assert target.spaces() == []
    merge([first], target)
    np.testing.assert_array_equal(target["hubert"].read_canary()["frames"], np.ones((2, 6)))
    with pytest.raises(StaleCache, match="canary"):
        merge([second], target)


def test_the_command_exits_3_where_clips_are_in_conflict(node, path, make_records):
    first, second = node("a", make_records(3)), node("b", make_records(1, seed=1))
    arguments = ["merge", str(first.path), str(second.path), "--into", str(path)]
    result = CliRunner().invoke(command, [*arguments, "--json"])
    assert result.exit_code == 3
    found = json.loads(result.output)
    assert (found["stored"], found["same"], len(found["conflicts"])) == (3, 0, 1)
    assert "clip/000 é: other media" in CliRunner().invoke(command, arguments).output
    assert CliRunner().invoke(command, ["merge", str(path), "--into", str(path)]).exit_code == 2
