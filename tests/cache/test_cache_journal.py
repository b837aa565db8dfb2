"""A journal line torn by a kill is no damage; every other line that is not as written is."""

import json

import pytest

from emo.cache import open_cache
from emo.cache.journal import Mark, decode_line, encode_line, journals, read_tail
from emo.errors import DamagedCache


@pytest.fixture
def left_behind(space, make_records, monkeypatch):
    """The journal of a writer that stored five records and never published, as after a kill."""
    writer = space.writer("record")
    for item in make_records(5):
        writer.put(item)
    monkeypatch.setattr("emo.cache.writer.publish", lambda *args, **settings: False)
    writer.close()
    monkeypatch.undo()
    (journal,) = journals(space._paths)
    return journal


def tail(space, journal, mark=Mark()):  # noqa: B008 - a Mark is frozen
    return read_tail(journal, space.spec.fingerprint, mark)


def test_a_reader_sees_what_only_the_journal_knows(path, space, left_behind, make_records, assert_holds):
    reader = open_cache(path)["hubert"]
    assert_holds(reader, make_records(5))
    assert left_behind.exists()


def test_opening_to_write_publishes_what_a_killed_writer_left(
    path, space, left_behind, make_records, plain_records
):
    assert plain_records(path) == {}
    writable = open_cache(path, "a")["hubert"]
    wanted = {item.clip_id: item.input_sha256 for item in make_records(6)}
    assert writable.missing(wanted) == ["clip/005 é"]
    assert len(plain_records(path)) == 15
    assert not left_behind.exists()


def test_a_torn_last_line_was_never_acknowledged(path, space, left_behind, make_records, assert_holds):
    whole = left_behind.read_bytes()
    last_line = whole.rstrip(b"\n").rfind(b"\n") + 1
    for cut in range(last_line, len(whole), 17):
        left_behind.write_bytes(whole[:cut])
        assert_holds(open_cache(path)["hubert"], make_records(4))


def test_every_flipped_byte_of_a_whole_line_is_damage(space, left_behind):
    whole = left_behind.read_bytes()
    for place in range(0, len(whole), 29):
        if whole[place : place + 1] == b"\n" or place > whole.rstrip(b"\n").rfind(b"\n"):
            continue
        changed = bytearray(whole)
        changed[place] ^= 4
        left_behind.write_bytes(changed)
        with pytest.raises(DamagedCache, match=left_behind.name):
            tail(space, left_behind)


def test_a_missing_line_is_damage_and_is_named(path, space, left_behind):
    lines = left_behind.read_bytes().splitlines(keepends=True)
    left_behind.write_bytes(b"".join(lines[:2] + lines[3:]))
    with pytest.raises(DamagedCache, match=r"line 2 is damaged \(it is numbered 3\)"):
        open_cache(path)["hubert"].infos()


def test_a_journal_of_another_space_is_damage(space, left_behind):
    with pytest.raises(DamagedCache, match="it is of the space"):
        read_tail(left_behind, "0" * 64, Mark())


def test_cut_at_a_line_end_or_deleted_clips_are_only_missing(path, space, left_behind, make_records):
    wanted = {item.clip_id: item.input_sha256 for item in make_records(5)}
    lines = left_behind.read_bytes().splitlines(keepends=True)
    left_behind.write_bytes(b"".join(lines[:3]))
    assert len(open_cache(path)["hubert"].missing(wanted)) == 3
    left_behind.unlink()
    assert open_cache(path)["hubert"].missing(wanted) == list(wanted)


def test_a_damaged_journal_is_not_published(path, space, left_behind, plain_records):
    data = bytearray(left_behind.read_bytes())
    data[len(data) // 2] ^= 1
    left_behind.write_bytes(data)
    with pytest.raises(DamagedCache, match="delete it"):
        open_cache(path, "a")["hubert"].infos()
    assert plain_records(path) == {}
    assert left_behind.exists()


def test_only_what_is_new_is_read_again(space, left_behind, make_records):
    rows, mark = tail(space, left_behind)
    assert [row.clip_id for row in rows] == [item.clip_id for item in make_records(5)]
    assert tail(space, left_behind, mark) == ([], mark)
    assert mark == Mark(left_behind.stat().st_size, 6)
    left_behind.write_bytes(left_behind.read_bytes()[:-50])
    with pytest.raises(DamagedCache, match="bytes are left of at least"):
        tail(space, left_behind, mark)


def test_a_live_writers_journal_is_published_from_where_it_was(path, space, make_records, assert_holds):
    records = make_records(12)
    with space.writer("none") as writer:
        for number, item in enumerate(records):
            writer.put(item)
            if number % 5 == 4:
                writer.publish()
                (journal,) = journals(space._paths)
                document = json.loads((path / space.name / "zarr.json").read_text())
                marks = document["attributes"]["emo:journals"]
                assert marks[journal.name]["bytes"] == journal.stat().st_size
    assert_holds(open_cache(path)["hubert"], records)
    assert journals(space._paths) == []
    assert len(space.index) == 12


def test_lines_are_canonical_json_after_their_checksum():
    line = encode_line({"b": "é", "a": 1})
    assert line[8:] == ' {"a":1,"b":"é"}\n'.encode()
    assert decode_line(line[:-1]) == {"a": 1, "b": "é"}


def test_a_line_that_holds_no_object_is_none():
    with pytest.raises(ValueError, match="no object"):
        decode_line(encode_line([1, 2])[:-1])


def test_a_newline_that_became_a_zero_was_never_synced_and_another_byte_there_is_damage(
    path, space, left_behind, make_records, assert_holds
):
    whole = left_behind.read_bytes()
    left_behind.write_bytes(whole[:-1] + b"\0")
    assert_holds(open_cache(path)["hubert"], make_records(4))
    for byte in (b"\1", b"\x0b"):
        left_behind.write_bytes(whole[:-1] + byte)
        with pytest.raises(DamagedCache, match="it does not end as it did"):
            tail(space, left_behind)


def test_a_journal_shorter_than_what_the_index_took_of_it_is_damage(space, left_behind):
    _, mark = tail(space, left_behind)
    assert tail(space, left_behind, mark) == ([], mark)
    left_behind.write_bytes(left_behind.read_bytes()[:-1])
    with pytest.raises(
        DamagedCache, match=rf"line 6 is damaged \({mark.bytes - 1} bytes are left of at least"
    ):
        tail(space, left_behind, mark)


def test_a_journal_that_is_gone_has_no_tail(space, left_behind):
    left_behind.unlink()
    assert tail(space, left_behind, Mark(10, 2)) == ([], Mark(10, 2))


@pytest.mark.parametrize("text", [b"[1]", b'"text"', b"7"])
def test_a_line_that_holds_no_object_is_no_line(text):
    from crc32c import crc32c

    with pytest.raises(ValueError, match="no object"):
        decode_line(b"%08x %s" % (crc32c(text), text))
