"""Every reader makes a manifest of its documented layout, and says what is missing or wrong."""

import json
import os
import pickle
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from emo.cli.main import emo, exit_code
from emo.corpora import read_manifest
from emo.corpora.comparison import catalogue
from emo.corpora.datasets import READERS, reader
from emo.corpora.datasets.writing import read_dataset, write_dataset
from emo.corpora.declared import declared_rights
from emo.corpora.manifest import manifest_rows
from emo.errors import ConfigError
from emo.frames import frames_in


def clips_of(name, folder, **options):
    rows, _ = read_dataset(name, folder, options)
    return {row.clip.clip_id: row for row in rows}


def typed(*arguments):
    done = CliRunner().invoke(emo, ["corpus", *map(str, arguments)])
    if done.exception and not isinstance(done.exception, SystemExit):
        return exit_code(done.exception), str(done.exception)
    return done.exit_code, done.stdout


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
@pytest.mark.parametrize("name", READERS)
def test_every_reader_goes_to_a_manifest_and_back(name, suffix, tree_of, make, tmp_path):
    folder = tree_of(name)
    rows, rights = read_dataset(name, folder, {})
    out = tmp_path / "out" / f"manifest{suffix}"
    written = write_dataset(rows, out, rights)
    assert not written.missing and len(rows) == make.trees[name][1]
    found = read_manifest(out)
    assert [clip.clip_id for clip in found] == [row.clip.clip_id for row in rows]
    for clip, row in zip(found, rows, strict=True):
        assert clip.path.resolve() == row.clip.path.resolve() and clip.path.is_file()
        for field in ("start", "end", "text", "label", "speaker", "split", "group", "dataset", "region"):
            assert getattr(clip, field) == getattr(row.clip, field), field
    assert declared_rights(out, found) == (() if rights is None else (rights,))


def test_every_reader_of_the_catalogue_names_its_data_set_and_its_rights(tree_of):
    keys = {one.key for one in catalogue()}
    assert keys & set(READERS) == set(READERS) - {"own", "mer-factory"}
    rows, rights = read_dataset("dfew", tree_of("dfew"), {})
    assert {row.clip.dataset for row in rows} == {"dfew"}
    assert rights.may_share_features is False and "2008.05924" in rights.citation


@pytest.mark.parametrize("name", [name for name in READERS if name not in ("own", "mer-factory")])
def test_an_empty_folder_is_told_with_what_was_expected_and_where_it_is_to_be_had(name, tmp_path):
    with pytest.raises(ConfigError) as refused:
        read_dataset(name, tmp_path, {})
    facts = next(one for one in catalogue() if one.key == name)
    assert facts.name in str(refused.value) and str(tmp_path) in str(refused.value)
    assert (facts.eula_url or facts.source) in str(refused.value)


@pytest.mark.parametrize("name", READERS)
def test_an_option_that_there_is_not_is_told_with_the_known_ones(name, tmp_path):
    with pytest.raises(ConfigError, match="there is no option 'fould'"):
        read_dataset(name, tmp_path, {"fould": "1"})
    for option in reader(name).options:
        with pytest.raises(ConfigError, match="known are"):
            read_dataset(name, tmp_path, {option: "something else"})


def test_ravdess_folds_leave_four_actors_out_and_choose_sound_or_picture(tree_of):
    clips = clips_of("ravdess", tree_of("ravdess"))
    assert {row.clip.speaker: row.clip.split for row in clips.values()} == {
        "actor_01": "test",
        "actor_02": "test",
        "actor_05": "train",
    }
    one = clips["01-01-03-01-02-01-02"]
    assert (one.clip.label, one.clip.text) == ("happy", "Dogs are sitting by the door.")
    assert one.more["gender"] == "female"
    assert {row.more["gender"] for row in clips.values() if row.clip.speaker == "actor_01"} == {"male"}
    heard = clips_of("ravdess", tree_of("ravdess"), modality="audio", fold="none")
    assert all(row.clip.path.suffix == ".wav" and row.clip.split is None for row in heard.values())
    assert list(clips_of("ravdess", tree_of("ravdess"), channel="song")) == ["01-02-03-01-01-01-01"]


def test_crema_d_says_who_the_actor_is_and_calls_a_git_lfs_pointer_missing(tree_of, tmp_path):
    folder = tree_of("crema-d")
    one = clips_of("crema-d", folder)["1001_DFA_ANG_XX"]
    assert one.more == {
        "level": "unspecified",
        "age": "51",
        "gender": "male",
        "race": "Caucasian",
        "ethnicity": "Not Hispanic",
    }
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
    (folder / "VideoFlash/1040_ITH_SAD_X.flv").write_bytes(pointer)
    code, said = typed("read", "crema-d", folder, "--out", tmp_path / "m.jsonl")
    assert code == 3 and "1 media files are not there" in said
    assert "1040_ITH_SAD_X" in (tmp_path / "m.jsonl.missing.txt").read_text()
    assert [clip.clip_id for clip in read_manifest(tmp_path / "m.jsonl")] == ["1001_DFA_ANG_XX"]
    assert typed("read", "crema-d", folder, "--out", tmp_path / "m.jsonl", "--keep-missing")[0] == 0
    assert len(read_manifest(tmp_path / "m.jsonl")) == 2


def blocks_of_actors(name, folder, folds):
    """Speakers of the test of each fold; the rest is trained on."""
    found = []
    for fold in range(1, folds + 1):
        clips = [row.clip for row in clips_of(name, folder, fold=str(fold)).values()]
        assert {clip.split for clip in clips} == {"train", "test"}
        found.append([clip.speaker for clip in clips if clip.split == "test"])
    return found


def test_the_folds_of_the_acted_sets_are_blocks_of_actors_in_their_order(make, tmp_path):
    for actor in range(1, 25):
        make.films(tmp_path / "r", f"Actor_{actor:02d}/01-01-03-01-01-01-{actor:02d}.mp4")
    found = blocks_of_actors("ravdess", tmp_path / "r", 6)
    assert found == [[f"actor_{4 * fold + place:02d}" for place in range(1, 5)] for fold in range(6)]
    for actor in range(1001, 1092):
        make.films(tmp_path / "c", f"VideoFlash/{actor}_DFA_ANG_XX.flv")
    found = blocks_of_actors("crema-d", tmp_path / "c", 5)
    assert [len(each) for each in found] == [18, 18, 18, 18, 19]
    assert [actor for each in found for actor in each] == [str(actor) for actor in range(1001, 1092)]


def test_mer2023_has_three_tests_valence_words_faces_and_a_pool(tree_of):
    clips = clips_of("mer2023", tree_of("mer2023"), pool="yes")
    assert [row.clip.split for row in clips.values()] == ["train", "test1", "test2", "test3", "pool"]
    semi = clips["samplenew_00000001"]
    assert semi.clip.text == "我不知道" and semi.more == {} and semi.clip.faces_path.is_file()
    assert clips["samplenew_00000002"].clip.label is None
    assert next(iter(clips.values())).more == {"valence": 2.5}


def test_mer2023_as_mertools_writes_it_is_opened_without_running_anything(make, tmp_path):
    make.mer2023_npz(tmp_path)
    clips = clips_of("mer2023", tmp_path)
    assert (clips["a"].clip.label, clips["a"].more) == ("happy", {"valence": 1.5})
    assert (clips["b"].clip.split, clips["b"].more) == ("test3", {})


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_a_label_file_that_would_run_something_is_refused(make, tmp_path):
    touched = tmp_path / "touched"
    make.films(tmp_path, "video/a.mp4")
    np.savez(tmp_path / "label-6way.npz", train_corpus=np.array({"a": Hostile(touched)}, dtype=object))
    with pytest.raises(ConfigError, match=r"system, which is not given to it"):
        read_dataset("mer2023", tmp_path, {})
    assert not touched.exists()
    (tmp_path / "label-6way.npz").write_bytes(b"no zip")
    with pytest.raises(ConfigError, match="no npz of labels"):
        read_dataset("mer2023", tmp_path, {})


def test_mer2024_takes_tests_from_the_references_and_no_neutral_of_unlabelled_clips(tree_of, make, tmp_path):
    clips = clips_of("mer2024", tree_of("mer2024"), pool="yes")
    told = {name: (row.clip.split, row.clip.label) for name, row in clips.items()}
    assert told == {
        "sample_1": ("train", "neutral"),
        "samplenew3_1": ("semi", "sad"),
        "samplenew3_2": ("pool", None),
    }
    other = tmp_path / "processed"
    label_parts = {"train_corpus": {"a": {"emo": "sad"}}, "test1_corpus": {"b": {"emo": "neutral"}}}
    make.label_npz(other / "label-6way.npz", **label_parts)
    make.films(other, "video/a.mp4", "video/b.mp4")
    assert {row.clip.label for row in clips_of("mer2024", other, pool="yes").values()} == {"sad", None}


def test_the_later_years_have_word_lists_reasons_and_pairs(tree_of):
    folder = tree_of("mer2025")
    assert clips_of("mer2025", folder, language="english")["a"].clip.text == "Good."
    words = clips_of("mer2025", folder, part="ovmerd")["b"]
    assert words.more == {"openset": ["joyful", "calm"], "reason": "He smiles."}
    pairs = clips_of("mer2026", tree_of("mer2026"), part="emoprefer")
    assert list(pairs) == ["a/pair1", "a/pair2"] and {row.clip.group for row in pairs.values()} == {"a"}


def test_meld_groups_by_dialogue_and_keeps_ids_of_mertools(tree_of):
    clips = clips_of("meld", tree_of("meld"))
    one = clips["val_dia0_utt0"]
    assert (one.clip.label, one.clip.speaker, one.clip.group) == ("surprise", "Joey", "val_dia0")
    assert one.more == {"sentiment": "negative"} and one.clip.text == "Oh, no\u2019 way!"


def test_dfew_keeps_the_ten_votes(tree_of, tmp_path):
    clips = clips_of("dfew", tree_of("dfew"))
    assert {name: (row.clip.label, row.clip.split) for name, row in clips.items()} == {
        "1": ("happy", "train"),
        "2": ("sad", "train"),
        "3": ("neutral", "test"),
    }
    assert clips["1"].more == {"votes": {"happy": 8, "neutral": 2}} and clips["2"].more == {}
    with pytest.raises(ConfigError, match=r"set_2\.csv is no file"):
        read_dataset("dfew", tmp_path / "dfew", {"fold": "2"})
    write_dataset(read_dataset("dfew", tmp_path / "dfew", {})[0], tmp_path / "m.csv", None)
    assert json.loads(manifest_rows(tmp_path / "m.csv")[0]["votes"]) == {"happy": 8, "neutral": 2}


@pytest.mark.parametrize(("name", "films"), [("dfew", "Clip/original"), ("mafw", "data/clips")])
def test_frames_are_read_where_there_are_no_films(tree_of, make, tmp_path, name, films):
    folder = tree_of(name)
    make.frames_of[name](folder)
    told = clips_of(name, folder)
    assert all(row.clip.path.suffix == ".mp4" for row in told.values())  # films go before frames
    shutil.rmtree(folder / films)
    rows, _ = read_dataset(name, folder, {})
    assert [row.clip.clip_id for row in rows] == list(told)
    written = write_dataset(rows, tmp_path / "m.jsonl", None)
    assert not written.missing
    assert [path.name for path in frames_in(read_manifest(tmp_path / "m.jsonl")[0].path)] == [
        "1.jpg",
        "2.jpg",
    ]
    for file in frames_in(rows[0].clip.path):
        file.unlink()
    assert [row.clip.clip_id for row in write_dataset(rows, tmp_path / "m.jsonl", None).missing] == [
        rows[0].clip.clip_id
    ]


def test_media_whose_names_say_nothing_are_counted_and_told(tree_of, make, tmp_path):
    make.films(tree_of("ravdess"), "Actor_01/01-01-09-01-01-01-01.mp4")  # there is no ninth emotion
    code, said = typed("read", "ravdess", tmp_path / "ravdess", "--out", tmp_path / "m.jsonl", "--json")
    assert code == 0 and json.loads(said)["passed_over"] == 2
    done = CliRunner().invoke(
        emo, ["corpus", "read", "ravdess", str(tmp_path / "ravdess"), "--out", str(tmp_path / "m.jsonl")]
    )
    assert "2 media files passed over" in done.stderr and "01-01-09-01-01-01-01, notes" in done.stderr
    make.films(tree_of("crema-d"), "VideoFlash/1001_DFA_ZZZ_XX.flv", "VideoFlash/trailer.flv")
    code, said = typed("read", "crema-d", tmp_path / "crema-d", "--out", tmp_path / "m.jsonl", "--json")
    assert json.loads(said)["passed_over"] == 2
    code, said = typed("read", "dfew", tree_of("dfew"), "--out", tmp_path / "m.jsonl", "--json")
    assert json.loads(said)["passed_over"] == 0


def test_iemocap_finds_the_speakers_half_and_leaves_a_session_out(tree_of):
    clips = clips_of("iemocap", tree_of("iemocap"))
    first, excited = clips["Ses01F_impro01_F000"], clips["Ses05F_impro01_F000"]
    assert (first.clip.start, first.clip.end) == (6.2901, 8.2357) and first.clip.group == "Ses01"
    assert (first.clip.label, excited.clip.label) == ("happy", "happy")
    assert (first.clip.split, excited.clip.split) == ("train", "test")
    six = clips_of("iemocap", tree_of("iemocap"), labels="6way", fold="1")
    angry = six["Ses01F_impro01_M000"]
    assert (angry.clip.label, angry.clip.split, angry.clip.speaker) == ("frustrated", "test", "Ses01M")
    assert (angry.clip.region, first.clip.region) == ("right-half", "left-half")
    assert six["Ses05F_impro01_F000"].clip.label == "excited" and first.more["arousal"] == 3.0


def test_iemocap_of_mertools_has_whole_pictures_unless_they_were_cut(make, tmp_path):
    make.iemocap_npz(tmp_path)
    clips = clips_of("iemocap", tmp_path, labels="6way")
    assert clips["Ses05M_script01_1_M001"].clip.label == "excited"
    assert clips["Ses05M_script01_1_M001"].clip.region == "left-half"
    make.films(tmp_path, *(f"subvideo-tgt/{name}.avi" for name in clips))
    assert all(row.clip.region is None for row in clips_of("iemocap", tmp_path, labels="6way").values())


def test_sentiment_is_a_number_with_a_sign_whatever_file_it_is_in(tree_of, make, tmp_path):
    make.sentiment_npz(tmp_path / "npz")
    raw = tmp_path / "raw"
    make.films(raw, *(f"Raw/Video/Segmented/{name}.mp4" for name in ("v1_0", "v1_1", "v2_3")))
    names = {"v1": ["v1_0"], "v3": ["v1_1"], "v2": ["v2_3"]}
    labels = {"v1": np.array([1.6]), "v3": [-0.4], "v2": [0.0]}
    said = {"v1": ["It is fine."], "v3": ["No."], "v2": ["So."]}
    held = (names, labels, {"v1": np.zeros((2, 3))}, said, {"v1"}, {"v3"}, {"v2"})
    (raw / "CMUMOSI_features_raw_2way.pkl").write_bytes(pickle.dumps(held, protocol=2))
    for folder in (tree_of("cmu-mosi"), tmp_path / "npz", raw):
        clips = clips_of("cmu-mosi", folder)
        told = [(row.clip.label, row.clip.split, row.more["valence"]) for _, row in sorted(clips.items())]
        assert told == [("positive", "train", 1.6), ("negative", "val", -0.4), ("neutral", "test", 0.0)]
        assert clips["v1_0"].clip.text == "It is fine."
        assert {row.clip.group for row in clips.values()} == {"v1", "v2"}


def test_mosei_as_released_is_cut_by_the_times_of_the_transcript(make, tmp_path):
    make.films(tmp_path, "Videos/Full/Combined/v1.mp4")
    make.table(tmp_path / "Transcript/Segmented/Combined/v1.txt", "v1___0___0.5___3.25___It is fine.\n")
    one = ({"v1": ["v1_0"]}, {"v1": [1.0]}, {}, {"v1": ["It is fine."]}, {"v1"}, set(), set())
    (tmp_path / "CMUMOSEI_features_raw_2way.pkl").write_bytes(pickle.dumps(one, protocol=2))
    clip = clips_of("cmu-mosei", tmp_path)["v1_0"].clip
    assert (clip.start, clip.end, clip.path.name) == (0.5, 3.25, "v1.mp4")


def test_chinese_sets_have_sentiment_by_modality_and_zeros_that_spreadsheets_cut(tree_of):
    first = clips_of("ch-sims", tree_of("ch-sims"), language="english")["video_0001_0001"]
    assert first.more == {"valence": 0.8, "valence_words": -0.2} and first.clip.text == "Good."
    second = clips_of("ch-sims-v2", tree_of("ch-sims-v2"))
    assert set(second) == {"video_0001_0001", "aqgy3_00007"}
    assert second["aqgy3_00007"].more["valence_sound"] == -1


def test_questions_and_reasons_are_kept(tree_of):
    asked = clips_of("emobench-m", tree_of("emobench-m"))
    assert asked["MELD/0"].clip.label == "joy" and asked["MELD/0"].more["question"] == "Which?"
    assert asked["smile/4"].clip.label is None and asked["smile/4"].more["answer"] == "Because he fell."
    reasons = clips_of("emer", tree_of("emer"))["sample_1"].more
    assert reasons == {"reason": "He smiles, and speaks softly.", "openset": ["happy", "calm"]}
    fine = clips_of("merr-fine", tree_of("merr-fine"))["samplenew_1"]
    assert fine.more["reason"].endswith("so she is happy.") and fine.clip.text == "Good."
    assert clips_of("mer-factory", tree_of("mer-factory"))["one"].more == {"reason": "He is happy."}


def test_ones_own_table_is_mapped_and_columns_that_are_not_there_are_named(make, tmp_path):
    make.films(tmp_path, "films/a.mp4")
    make.table(tmp_path / "t.csv", "name,emotion,who,years\na,sad,x,34\n", "gb18030")
    wanted = {"clip_id": "name", "path": "films/{name}.mp4", "label": "emotion", "age": "years"}
    rows, rights = read_dataset("own", tmp_path / "t.csv", {}, columns=wanted)
    assert rights is None and rows[0].clip.label == "sad" and rows[0].more == {"age": "34"}
    with pytest.raises(ConfigError, match="no column 'emotoin'; it has name, emotion, who, years"):
        read_dataset("own", tmp_path, {}, columns={"label": "emotoin"})
    with pytest.raises(ConfigError, match=r"row 2: no path\."):
        read_dataset("own", tmp_path, {}, columns={"label": "emotion"})
    make.table(tmp_path / "t.jsonl", '{"name": "a", "from": 1.5, "to": 3}\n')
    times = {"clip_id": "name", "path": "films/{name}.mp4", "start": "from", "end": "to"}
    row = read_dataset("own", tmp_path / "t.jsonl", {}, columns=times)[0][0]
    assert (row.clip.start, row.clip.end) == (1.5, 3.0)
    with pytest.raises(ConfigError, match=r"one \.csv or \.jsonl is needed"):
        read_dataset("own", tmp_path, {})


def test_a_manifest_that_could_not_be_read_is_not_written(make, tmp_path):
    make.films(tmp_path, "a.mp4")
    out = tmp_path / "out" / "m.csv"
    make.table(tmp_path / "t.csv", "path,start,end,kind\na.mp4,5,1,x\n")
    for columns, told in (
        ({}, "end 1.0 is not after start 5.0"),
        ({"labels": "kind"}, "did you mean 'label'"),
    ):
        rows, _ = read_dataset("own", tmp_path / "t.csv", {}, columns=columns)
        with pytest.raises(ConfigError, match=f"m.csv to be written, row 2: .*{told}|{told}"):
            write_dataset(rows, out, None)
    assert not any(out.parent.iterdir())


def test_bytes_of_another_encoding_are_told_with_row_and_byte(tree_of, make, tmp_path):
    folder = tree_of("mer2023")
    make.table(folder / "transcription.csv", "name,sentence\nsamplenew_00000001,我不知道\n", "gb18030")
    code, said = typed("read", "mer2023", folder, "--out", tmp_path / "m.jsonl")
    assert code == 2 and "transcription.csv, row 2: byte 33 (0xce) is not utf-8" in said
    assert "try --encoding gb18030" in said
    code, _ = typed("read", "mer2023", folder, "--out", tmp_path / "m.jsonl", "--encoding", "gb18030")
    assert code == 0 and read_manifest(tmp_path / "m.jsonl")[-1].text == "我不知道"
    make.table(folder / "transcription.csv", "\ufeffname,sentence\nsamplenew_00000001,是\n")
    assert clips_of("mer2023", folder)["samplenew_00000001"].clip.text == "是"


@pytest.mark.parametrize("name", [name for name in READERS if name != "ravdess"])  # which reads no text
def test_every_text_file_of_every_data_set_is_read_strictly(tree_of, name):
    folder = tree_of(name)
    texts = [path for path in sorted(folder.rglob("*")) if path.suffix in (".csv", ".json", ".jsonl", ".txt")]
    told = 0
    for path in texts:
        whole = path.read_bytes()
        path.write_bytes(whole + b"\n\xff\n")
        try:
            read_dataset(name, folder, {})
        except ConfigError as refused:
            row = whole.count(b"\n") + 2
            assert f"{path}, row {row}: byte {len(whole) + 1} (0xff) is not utf-8" in str(refused)
            told += 1
        path.write_bytes(whole)
    assert told >= 1, "no text file of it was read"


def test_wrong_rows_are_told_together_with_their_numbers(tree_of, make):
    folder = tree_of("mer2023")
    rows = "name,discrete,valence\na,happi,1\nb,sad,much\nc,sad,nan\n"
    make.table(folder / "train-label.csv", rows)
    with pytest.raises(ConfigError) as refused:
        read_dataset("mer2023", folder, {})
    assert [mistake.partition(", ")[2][:6] for mistake in refused.value.mistakes] == [
        "row 2:",
        "row 3:",
        "row 4:",
    ]
    make.table(folder / "train-label.csv", "name,label\na,happy\n")
    with pytest.raises(ConfigError, match="there is no column 'discrete'; there are name, label"):
        read_dataset("mer2023", folder, {})
    make.table(folder / "train-label.csv", "name,discrete\na,happy\nb\n")
    with pytest.raises(ConfigError, match="row 3: not the 2 cells"):
        read_dataset("mer2023", folder, {})


def test_ids_that_repeat_and_media_that_is_nowhere_are_refused(tree_of, make, tmp_path):
    folder = tree_of("mer2026")
    make.table(folder / "track1_train.csv", "name,discrete\nx,happy\nx,sad\n")
    make.table(folder / "track2_train_human.csv", "name,openset\ny,\"['joyful']\"\n")
    read_dataset("mer2026", folder, {})  # one row a name in the table
    make.table(folder / "clips.csv", "clip_id,path\na,a.mp4\na,b.mp4\n")
    with pytest.raises(ConfigError, match="2 rows have the id 'a'"):
        read_dataset("own", folder / "clips.csv", {})
    code, said = typed("read", "mer2026", folder, "--out", tmp_path / "m.jsonl", "--option", "part=human")
    assert code == 2 and "none of the 1 media files is there" in said and "video/y.mp4" in said
    assert not (tmp_path / "m.jsonl").exists()


def test_the_list_names_every_data_set_and_shows_all_of_one():
    code, said = typed("list")
    assert code == 0 and all(f"| {name} " in said for name in READERS)
    code, said = typed("list", "dfew")
    assert "--option fold=1|2|3|4|5" in said and "may_share_features: False" in said
    code, said = typed("list", "afew")
    assert code == 2 and "Known: ravdess" in said
    assert {row["name"] for row in json.loads(typed("list", "--json")[1])["datasets"]} == set(READERS)


def test_what_is_typed_wrong_is_told(tree_of, tmp_path):
    folder = tree_of("ravdess")
    assert typed("read", "ravdess", folder, "--out", tmp_path / "m.txt")[0] == 2
    assert (
        "not NAME=VALUE" in typed("read", "ravdess", folder, "--out", tmp_path / "m.csv", "--option", "1")[1]
    )
    code, said = typed("read", "ravdess", tmp_path / "nowhere", "--out", tmp_path / "m.csv")
    assert code == 2 and "does not exist" in said
    code, said = typed("read", "ravdess", folder, "--out", tmp_path / "m.csv", "--column", "label=x")
    assert code == 2 and "ravdess knows its columns" in said
