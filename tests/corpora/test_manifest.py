"""Manifests and folders become clips, or an error that says which row is wrong."""

import json
from pathlib import Path

import pytest

from emo.clip import Clip
from emo.corpora import clips_in, read_manifest, write_manifest
from emo.errors import ConfigError


def write_rows(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def mistakes_of(path, **options):
    with pytest.raises(ConfigError) as caught:
        read_manifest(path, **options)
    return caught.value.mistakes


def test_what_is_written_is_read_back(tmp_path):
    clips = [
        Clip(
            clip_id="a/1",
            path=tmp_path / "films" / "a.mp4",
            start=0.5,
            end=2.25,
            text="Zwölf 我",
            label="sad",
        ),
        Clip(
            clip_id="b",
            path=tmp_path.parent / "b.wav",
            speaker="s1",
            split="test",
            au_path=tmp_path / "b.csv",
        ),
    ]
    write_manifest(tmp_path / "manifest.jsonl", clips)
    found = read_manifest(tmp_path / "manifest.jsonl")
    assert [clip.path.resolve() for clip in found] == [clip.path.resolve() for clip in clips]
    assert found[0].start == 0.5 and found[0].end == 2.25 and found[0].text == "Zwölf 我"
    assert found[1].speaker == "s1" and found[1].split == "test" and found[1].label is None


def test_a_written_manifest_names_files_relative_to_itself(tmp_path):
    write_manifest(tmp_path / "manifest.jsonl", [Clip(clip_id="a", path=tmp_path / "films" / "a.mp4")])
    assert str(tmp_path) not in (tmp_path / "manifest.jsonl").read_text(encoding="utf-8")


def test_csv_with_byte_order_mark_and_line_breaks_in_cells_is_read(tmp_path):
    path = tmp_path / "clips.csv"
    path.write_bytes(
        '\ufeffclip_id,path,text,start\r\na,a.mp4,"one\ntwo, three",\r\nb,b.mp4,,1.5\r\n'.encode()
    )
    first, second = read_manifest(path)
    assert first.clip_id == "a" and first.text == "one\ntwo, three" and first.start is None
    assert second.path == tmp_path / "b.mp4" and second.start == 1.5


def test_a_row_without_an_id_is_named_by_its_path(tmp_path):
    path = write_rows(tmp_path / "m.jsonl", {"path": "x/y.mp4"})
    assert read_manifest(path)[0].clip_id == "x/y"


def test_both_rows_of_a_repeated_id_are_named(tmp_path):
    path = write_rows(
        tmp_path / "m.jsonl",
        {"clip_id": "a", "path": "1.mp4"},
        {"clip_id": "b", "path": "2.mp4"},
        {"clip_id": "a", "path": "3.mp4"},
    )
    (mistake,) = mistakes_of(path)
    assert "rows 1 and 3" in mistake and "'a'" in mistake


def test_ids_that_differ_only_in_unicode_form_are_the_same_id(tmp_path):
    path = write_rows(
        tmp_path / "m.jsonl", {"clip_id": "é", "path": "1.mp4"}, {"clip_id": "é", "path": "2.mp4"}
    )
    assert "rows 1 and 2" in mistakes_of(path)[0]


def test_bytes_of_another_encoding_are_refused_with_row_and_byte(tmp_path):
    path = tmp_path / "clips.csv"
    start = b"clip_id,path,text\na,a.mp4,ok\nb,b.mp4,"
    path.write_bytes(start + "你好".encode("gb18030") + b"\n")
    (mistake,) = mistakes_of(path)
    assert "row 3" in mistake and f"byte {len(start)}" in mistake and "gb18030" in mistake
    assert read_manifest(path, encoding="gb18030")[1].text == "你好"


def test_every_wrong_row_is_listed_at_once(tmp_path):
    path = tmp_path / "m.jsonl"
    rows = ['{"path": "a.mp4", "start": "soon"}', "[1]", "{", '{"text": "no path"}']
    rows += ['{"path": "b.mp4", "start": 3, "end": 2}', '{"path": "c.mp4", "lable": "sad"}']
    rows += ['{"path": "d.mp4", "text": ["x"]}', '{"path": "e.mp4", "clip_id": "a\\u0000b"}']
    path.write_text("\n".join(rows), encoding="utf-8")
    found = mistakes_of(path)
    assert len(found) == len(rows)
    assert [f"row {number}" in mistake for number, mistake in enumerate(found, start=1)] == [True] * len(rows)
    assert "did you mean 'label'" in found[5]


def test_a_long_list_of_mistakes_is_cut_with_its_count(tmp_path):
    path = write_rows(tmp_path / "m.jsonl", *({"text": "no path"} for _ in range(50)))
    found = mistakes_of(path)
    assert len(found) == 21 and "30 more" in found[-1]


def test_a_table_without_a_path_column_is_told_once_with_the_columns_there_are(tmp_path):
    table = tmp_path / "m.csv"
    table.write_text("file,emotion,subject\n" + "a.mp4,sad,anna\n" * 30)
    with pytest.raises(ConfigError) as told:
        read_manifest(table)
    (mistake,) = told.value.mistakes
    assert "no column is called `path`; there are file, emotion, subject" in mistake
    table.write_text("path;label\na.mp4;sad\n")
    with pytest.raises(ConfigError, match="divided by ';'"):
        read_manifest(table)


def test_columns_of_other_programs_are_passed_over(tmp_path):
    path = write_rows(tmp_path / "m.jsonl", {"path": "a.mp4", "valence": -1.5, "annotators": ["x", "y"]})
    assert read_manifest(path)[0].clip_id == "a"


@pytest.mark.parametrize("row", ["a,a.mp4", "a,a.mp4,x,y"])
def test_a_csv_row_of_another_length_is_refused(tmp_path, row):
    path = tmp_path / "m.csv"
    path.write_text(f"clip_id,path,text\n{row}\n", encoding="utf-8")
    assert "row 2" in mistakes_of(path)[0]


def test_a_folder_gives_media_files_in_order_and_counts_the_rest(tmp_path):
    for name in ("b.mp4", "a/one.WAV", "notes.txt", ".hidden.mp4", ".git/x.mp4", "cache.zarr/c/x.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    clips, ignored = clips_in(tmp_path)
    assert [clip.clip_id for clip in clips] == ["a/one", "b"]
    assert ignored == 2


def test_files_that_differ_in_the_suffix_alone_keep_it(tmp_path):
    for name in ("a.mp4", "a.wav", "b.mp4"):
        (tmp_path / name).touch()
    assert [clip.clip_id for clip in clips_in(tmp_path)[0]] == ["a.mp4", "a.wav", "b"]


def test_a_folder_with_a_manifest_is_what_the_manifest_says(tmp_path):
    (tmp_path / "stray.mp4").touch()
    write_rows(tmp_path / "manifest.jsonl", {"clip_id": "only", "path": "a.mp4"})
    clips, ignored = clips_in(tmp_path)
    assert [clip.clip_id for clip in clips] == ["only"] and ignored == 0
    assert clips_in(tmp_path / "manifest.jsonl")[0] == clips


def test_a_single_media_file_is_one_clip(tmp_path):
    (tmp_path / "talk.mov").touch()
    assert clips_in(tmp_path / "talk.mov") == ([Clip(clip_id="talk", path=tmp_path / "talk.mov")], 0)


def test_a_place_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        clips_in(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_manifest(Path(tmp_path / "none.jsonl"))


def test_a_row_may_name_the_person_it_is_about(tmp_path):
    path = tmp_path / "manifest.jsonl"
    path.write_text('{"path": "a.mp4", "person": 1}\n{"path": "a.mp4", "person": "2"}\n{"path": "a.mp4"}\n')
    clips = read_manifest(path)
    assert [(clip.clip_id, clip.person) for clip in clips] == [("a#1", 1), ("a#2", 2), ("a", None)]
    write_manifest(tmp_path / "again.jsonl", clips)
    assert read_manifest(tmp_path / "again.jsonl") == clips


def test_a_row_may_name_the_half_of_the_picture_it_is_about(tmp_path):
    path = tmp_path / "manifest.csv"
    path.write_text("path,region,person\na.mp4,left-half,\na.mp4,right-half,2\na.mp4,,\n")
    clips = read_manifest(path)
    assert [(clip.clip_id, clip.region) for clip in clips] == [
        ("a#left-half", "left-half"),
        ("a#right-half#2", "right-half"),
        ("a", None),
    ]
    write_manifest(tmp_path / "again.jsonl", clips)
    assert read_manifest(tmp_path / "again.jsonl") == clips
    path.write_text("path,region\na.mp4,left\n")
    with pytest.raises(ConfigError, match="row 2: region is 'left', not left-half or right-half"):
        read_manifest(path)


@pytest.mark.parametrize("person", ["0", "9", "-1", "one", "1.5"])
def test_a_person_that_is_no_small_number_is_refused(tmp_path, person):
    path = tmp_path / "manifest.jsonl"
    path.write_text(f'{{"path": "a.mp4", "person": "{person}"}}\n')
    with pytest.raises(ConfigError, match="person is"):
        read_manifest(path)


def test_empty_lines_of_a_csv_count_as_rows_but_are_none(tmp_path):
    path = tmp_path / "clips.csv"
    path.write_text("clip_id,path\na,a.mp4\n\nb\n")
    assert mistakes_of(path) == (f"{path}, row 4: does not have the 2 cells of the header.",)
    path.write_text("clip_id,path\na,a.mp4\n\nb,b.mp4\n")
    assert [clip.clip_id for clip in read_manifest(path)] == ["a", "b"]


def test_every_cut_of_a_film_names_the_same_file_and_a_zero_character_is_refused_in_each(tmp_path):
    rows = [{"clip_id": f"cut{n}", "path": "film.mp4", "start": n} for n in range(3)]
    clips = read_manifest(write_rows(tmp_path / "m.jsonl", *rows))
    assert {clip.path for clip in clips} == {tmp_path / "film.mp4"}
    zero = [{"clip_id": f"cut{n}", "path": "film\0.mp4"} for n in range(2)]
    assert len(mistakes_of(write_rows(tmp_path / "zero.jsonl", *zero))) == 2


@pytest.mark.parametrize("letter", ["\n", "\x1f", "\x7f", "\x85"])
def test_an_id_with_a_control_character_is_refused_with_its_row(tmp_path, letter):
    rows = [{"clip_id": "a", "path": "a.mp4"}, {"clip_id": f"b{letter}b", "path": "b.mp4"}]
    (mistake,) = mistakes_of(write_rows(tmp_path / "m.jsonl", *rows))
    assert "row 2" in mistake and "control" in mistake
