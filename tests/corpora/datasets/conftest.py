"""Small folders of data sets in their documented layouts, made by code. A media file is a few zero bytes."""

import json
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

FILM = b"\0" * 300


def films(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(FILM)


def table(path, text, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))


def label_npz(path, **parts):
    """As np.savez_compressed writes dicts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **{name: np.array(held, dtype=object) for name, held in parts.items()})


def sheet(path, rows):
    """An .xlsx with text in the shared table and numbers as they are."""
    texts = list(dict.fromkeys(cell for row in rows for cell in row if isinstance(cell, str)))
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    lines = []
    for number, row in enumerate(rows, start=1):
        cells = [
            f'<c r="{chr(65 + place)}{number}" t="s"><v>{texts.index(cell)}</v></c>'
            if isinstance(cell, str)
            else f'<c r="{chr(65 + place)}{number}"><v>{cell}</v></c>'
            for place, cell in enumerate(row)
        ]
        lines.append(f'<row r="{number}">{"".join(cells)}</row>')
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        shared = "".join(f"<si><t>{text}</t></si>" for text in texts)
        archive.writestr("xl/sharedStrings.xml", f"<sst {main}>{shared}</sst>")
        archive.writestr(
            "xl/worksheets/sheet1.xml",
            f"<worksheet {main}><sheetData>{''.join(lines)}</sheetData></worksheet>",
        )


def ravdess(root):
    for actor in (1, 2, 5):
        for emotion in (1, 3):
            for modality, suffix in (("01", "mp4"), ("03", "wav")):
                films(root, f"Actor_{actor:02d}/{modality}-01-0{emotion}-01-02-01-{actor:02d}.{suffix}")
    films(root, "Actor_01/01-02-03-01-01-01-01.mp4", "Actor_01/notes.mp4")


def crema_d(root):
    films(
        root,
        "VideoFlash/1001_DFA_ANG_XX.flv",
        "VideoFlash/1040_ITH_SAD_X.flv",
        "AudioWAV/1091_IEO_HAP_HI.wav",
    )
    table(
        root / "VideoDemographics.csv",
        '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,"Male","Caucasian","Not Hispanic"\n',
    )


def mer2023(root):
    for split, label in (("train", "happy,2.5"), ("test1", "angry,-1"), ("test2", "worried,-2")):
        name = f"sample_0000000{len(split)}_{split}"
        table(root / f"{split}-label.csv", f"name,discrete,valence\n{name},{label}\n")
        films(root, f"{split}/{name}.avi")
    table(root / "test3-label.csv", "name,discrete\nsamplenew_00000001,sad\n")
    films(root, "test3/samplenew_00000001.mp4", "test3/samplenew_00000002.mp4")
    table(root / "transcription.csv", "name,sentence\nsamplenew_00000001,我不知道\n")
    films(root, "openface_face/samplenew_00000001/samplenew_00000001.npy")


def mer2023_npz(root):
    label_npz(
        root / "label-6way.npz",
        train_corpus={"a": {"emo": "happy", "val": 1.5}},
        test3_corpus={"b": {"emo": "sad", "val": -10}},
    )
    films(root, "video/a.mp4", "video/b.mp4")


def mer2024(root):
    table(root / "label-disdim.csv", "name,discrete,valence\nsample_1,neutral,0\n")
    table(root / "label-transcription.csv", "name,sentence\nsample_1,好\n")
    table(root / "reference-semi.csv", "name,discrete\nsamplenew3_1,sad\n")
    films(root, "video-labeled/sample_1.mp4")
    pool = "video-unlabeled-with-test2noise"
    films(root, f"{pool}/samplenew3_1.mp4", f"{pool}/samplenew3_2.mp4")


def mer2025(root):
    films(root, "video/a.mp4", "video/b.mp4")
    table(root / "subtitle_chieng.csv", "name,chinese,english\na,好,Good.\nb,,\n")
    table(root / "track1_train_disdim.csv", "name,discrete,valence\na,happy,1\n")
    table(root / "track2_train_ovmerd.csv", "name,openset\nb,\"['joyful', 'calm']\"\n")
    table(root / "track3_train_ovmerd.csv", "name,reason\nb,He smiles.\n")


def mer2026(root):
    films(root, "video/a.mp4", "video/b.mp4")
    table(root / "track1_train.csv", "name,discrete\na,happy\nb,sad\n")
    table(root / "track2_train_human.csv", "name,openset\nb,\"['joyful']\"\n")
    pairs = 'name,a1,a2,preference\na,He smiles.,He frowns.,a1\na,He smiles.,"He waits, still.",a1\n'
    table(root / "track3_emoprefer.csv", pairs)


def meld(root):
    header = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season\n"
    for part, folder in (
        ("train", "train_splits"),
        ("dev", "dev_splits_complete"),
        ("test", "output_repeated_splits_test"),
    ):
        rows = '1,"Oh, no\u2019 way!",Joey,surprise,negative,0,0,8\n2,Fine.,Monica,neutral,neutral,0,1,8\n'
        table(root / f"{part}_sent_emo.csv", header + rows)
        films(root, f"{folder}/dia0_utt0.mp4", f"{folder}/dia0_utt1.mp4")


def dfew(root):
    for part, names in (("train", (1, 2)), ("test", (3,))):
        rows = "".join(f"{name},{name}\n" for name in names)
        table(root / f"EmoLabel_DataSplit/{part}(single-labeled)/set_1.csv", f"video_name,label\n{rows}")
    films(root, "Clip/original/1.mp4", "Clip/original/2.mp4", "Clip/original/3.mp4")
    header = ["order", "1happy", "2sad", "3neutral", "4angry", "5surprise", "6disgust", "7fear", "annotation"]
    sheet(
        root / "Annotation/annotation.xlsx",
        [header, [1, 8, 0, 2, 0, 0, 0, 0, 1], [3, 0, 1, 7, 0, 0, 0, 2, 3]],
    )


def dfew_frames(root):
    for clip in (1, 2, 3):
        films(root, f"Clip/jpg_256/{clip:05d}/2.jpg", f"Clip/jpg_256/{clip:05d}/1.jpg")


def mafw_frames(root):
    for clip in (1, 2, 3):
        films(root, f"data/frames/{clip:05d}/2.jpg", f"data/frames/{clip:05d}/1.jpg")


def mafw(root):
    folder = root / "split/single/no_caption/set_1"
    table(folder / "train.txt", "00001.mp4 anger\n00002.mp4 helplessness A woman waits.\n")
    table(folder / "test.txt", "00003.mp4 contempt\n")
    films(root, "data/clips/00001.mp4", "data/clips/00002.mp4", "data/clips/00003.mp4")


def iemocap(root):
    for session, code in (("1", "hap"), ("5", "exc")):
        dialogue = f"Ses0{session}F_impro01"
        dialog = root / f"Session{session}" / "dialog"
        table(
            dialog / "transcriptions" / f"{dialogue}.txt",
            f"{dialogue}_F000 [006.2901-008.2357]: Excuse me.\n{dialogue}_M000 [10.0100-11.3925]: Yes.\n"
            f"M: not an utterance\n{dialogue}_M001 [12.0-13.5]: Hm.\n",
        )
        table(
            dialog / "EmoEvaluation" / f"{dialogue}.txt",
            "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n"
            f"[6.2901 - 8.2357]\t{dialogue}_F000\t{code}\t[2.5000, 3.0000, 2.0000]\n"
            "C-E2:\tNeutral;\t()\n"
            f"[10.0100 - 11.3925]\t{dialogue}_M000\tfru\t[1.5000, 3.5000, 2.5000]\n"
            f"[12.0000 - 13.5000]\t{dialogue}_M001\txxx\t[2.5000, 2.5000, 2.5000]\n",
        )
        films(dialog, f"avi/DivX/{dialogue}.avi")


def iemocap_npz(root):
    labels = {"Ses01F_impro01_M000": {"emo": 5, "val": -10}, "Ses05M_script01_1_M001": {"emo": 4, "val": -10}}
    label_npz(root / "label_6way.npz", whole_corpus=labels)
    films(root, *(f"subvideo/{name}.mp4" for name in labels))


MMSA = "video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode\n"


def mmsa(root):
    table(
        root / "label.csv",
        MMSA
        + "v1,0,It is fine.,1.6,,,,Positive,train\nv1,1,No.,-0.4,,,,Negative,valid\nv2,3,So.,0,,,,,test\n",
    )
    films(root, "Raw/v1/0.mp4", "Raw/v1/1.mp4", "Raw/v2/3.mp4")


def ch_sims_v2(root):
    rows = "video_0001,1,好,0.8,0.6,1.0,0.4,Positive,train\naqgy3,7,不,-0.6,-0.2,-1,0,Negative,test\n"
    table(root / "meta.csv", MMSA + rows)
    films(root, "Raw/video_0001/0001.mp4", "Raw/aqgy3/00007.mp4")


def ch_sims(root):
    head = "video_id,clip_id,label\n"
    table(
        root / "metadata/sentiment/label_M.csv", head + "video_0001,1,0.8\nvideo_0001,2,0\nvideo_0002,1,-1\n"
    )
    table(root / "metadata/sentiment/label_T.csv", head + "video_0001,1,-0.2\n")
    for split, place in (("train", 0), ("val", 1), ("test", 2)):
        table(root / f"metadata/{split}_index.csv", f"index\n{place}\n")
    table(root / "metadata/Translation.csv", "video_id,clip_id,Chinese,English\nvideo_0001,1,好,Good.\n")
    films(root, "Raw/video_0001/0001.mp4", "Raw/video_0001/0002.mp4", "Raw/video_0002/0001.mp4")


def sentiment_npz(root):
    label_npz(
        root / "label.npz",
        train_corpus={"v1_0": {"emo": 0, "val": np.float64(1.6)}},
        val_corpus={"v1_1": {"emo": 0, "val": -0.4}},
        test_corpus={"v2_3": {"emo": 0, "val": 0.0}},
    )
    table(root / "transcription-engchi-polish.csv", "name,chinese,english\nv1_0,,It is fine.\n")
    films(root, "subvideo/v1_0.mp4", "subvideo/v1_1.mp4", "subvideo/v2_3.mp4")


def emer(root):
    table(
        root / "gt-eng.csv",
        'names,emotions,subtitles,reasons\nsample_1,"happy, calm",Good.,"He smiles, and speaks softly."\n',
    )
    films(root, "video/sample_1.mp4")


def ov_merd(root):
    table(root / "ovlabel.csv", "name,openset\nsamplenew3_1,\"['happy', 'calm']\"\n")
    table(root / "subtitle_chieng.csv", "name,chinese,english\nsamplenew3_1,好,Good.\n")
    films(root, "video/samplenew3_1.mp4")


def emobench_m(root):
    def question(number, video, answer):
        turns = [{"from": "human", "value": "<video>\nWhich?"}, {"from": "gpt", "value": answer}]
        return {"id": str(number), "video": video, "conversations": turns}

    files = {
        "MELD": question(0, "videos/MELD/a.mp4", "joy"),
        "SIMS": question(0, "videos/SIMS/b.mp4", "negative"),
    }
    files["smile"] = question(4, "videos/SMILE/c.mp4", "Because he fell.")
    for name, asked in files.items():
        table(root / f"benchmark_json/{name}.json", json.dumps([asked]))
    films(root, "dataset/MELD/videos/MELD/a.mp4", "dataset/SIMS_test/videos/SIMS/b.mp4")
    films(root, "dataset/smile/videos/SMILE/c.mp4")


def merr(root):
    coarse = {"pseu_emotion": "happy", "caption": "She smiles.", "peak_index": "3"}
    table(root / "MERR_coarse_grained.json", json.dumps({"samplenew_1": coarse}))
    fine = coarse | {"text": "Good.", "smp_reason_caption": "She smiles, so she is happy."}
    table(root / "MERR_fine_grained.json", json.dumps({"samplenew_1": fine}))
    films(root, "video/samplenew_1.mp4")


def mer_factory(root):
    data = {
        "source_path": "films/one.mp4",
        "overall_peak_frame_info": {"frame_number": 5, "top_aus_intensities": {}},
        "coarse_descriptions_at_peak": {"visual_expression": "smiles"},
        "final_summary": "He is happy.",
        "ground_truth_label": "happy",
    }
    table(root / "one/one_merr_data.json", json.dumps(data))
    films(root, "films/one.mp4")


def own(root):
    table(root / "clips.csv", "clip_id,path,label,speaker\na,films/a.mp4,sad,x\nb,films/b.mp4,happy,y\n")
    films(root, "films/a.mp4", "films/b.mp4")


# Each reader's tree: how it is made, and how many clips are in it.
TREES = {
    "ravdess": (ravdess, 6),
    "crema-d": (crema_d, 2),
    "mer2023": (mer2023, 4),
    "mer2024": (mer2024, 2),
    "mer2025": (mer2025, 1),
    "mer2026": (mer2026, 2),
    "meld": (meld, 6),
    "dfew": (dfew, 3),
    "mafw": (mafw, 3),
    "iemocap": (iemocap, 2),
    "cmu-mosi": (mmsa, 3),
    "cmu-mosei": (mmsa, 3),
    "ch-sims": (ch_sims, 3),
    "ch-sims-v2": (ch_sims_v2, 2),
    "emer": (emer, 1),
    "ov-merd": (ov_merd, 1),
    "emobench-m": (emobench_m, 3),
    "merr-coarse": (merr, 1),
    "merr-fine": (merr, 1),
    "mer-factory": (mer_factory, 1),
    "own": (own, 2),
}


@pytest.fixture
def make():
    """What trees are made of."""
    return SimpleNamespace(
        films=films,
        table=table,
        label_npz=label_npz,
        sheet=sheet,
        mer2023_npz=mer2023_npz,
        iemocap_npz=iemocap_npz,
        sentiment_npz=sentiment_npz,
        trees=TREES,
        frames_of={"dfew": dfew_frames, "mafw": mafw_frames},
    )


@pytest.fixture
def tree_of(tmp_path):
    """Makes the folder of a data set."""

    def made(name):
        TREES[name][0](tmp_path / name)
        return tmp_path / name

    return made
