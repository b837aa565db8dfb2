"""MELD: utterances of dialogues of a television series, in seven emotions.

Layout: `train_sent_emo.csv`, `dev_sent_emo.csv`, `test_sent_emo.csv` (Dialogue_ID, Utterance_ID, Utterance,
Speaker, Emotion, Sentiment, ...) and films `dia<D>_utt<U>.mp4` in a folder a split: as the archive unpacks
(`train_splits`, `dev_splits_complete`, `output_repeated_splits_test`) or as MERTools calls them (`train`,
`dev`, `test`). Ids are MERTools' (`train_dia0_utt0`). The main speakers are in all splits: a score is none of
new people. Some films of the archive are missing or damaged. Source: arXiv:1810.02508; MERTools,
preprocess/meld.py at commit 89120b7.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from emo.clip import Clip
from emo.corpora.datasets.reading import Mistakes, Reader, Row, Tree

EMOTIONS = ("anger", "joy", "sadness", "neutral", "disgust", "fear", "surprise")
COLUMNS = ("Dialogue_ID", "Utterance_ID", "Utterance", "Speaker", "Emotion", "Sentiment")
FOLDERS = {
    "train": ("train_splits", "train/train_splits", "train"),
    "dev": ("dev_splits_complete", "dev/dev_splits_complete", "dev"),
    "test": ("output_repeated_splits_test", "test/output_repeated_splits_test", "test"),
}
SPLITS = {"train": "train", "dev": "val", "test": "test"}


def _read(tree: Tree, _: Mapping[str, str]) -> Iterator[Row]:
    mistakes = Mistakes()
    for part, split in SPLITS.items():
        path = tree.file(f"{part}_sent_emo.csv", f"{part}/{part}_sent_emo.csv")
        folder = tree.folder(*FOLDERS[part])
        for number, row in tree.table(path, *COLUMNS):
            emotion = row["Emotion"].lower()
            if not mistakes.one_of(path, number, "Emotion", emotion, EMOTIONS):
                continue
            name = f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}"
            clip = Clip(
                clip_id=f"{split}_{name}",
                path=folder / f"{name}.mp4",
                text=row["Utterance"],
                label=emotion,
                speaker=row["Speaker"],
                split=split,
                group=f"{split}_dia{row['Dialogue_ID']}",
            )
            yield Row(clip=clip, more={"sentiment": row["Sentiment"].lower()})
    mistakes.refuse()


READER = Reader(
    layout="{train,dev,test}_sent_emo.csv, films dia<D>_utt<U>.mp4 in a folder a split", read=_read
)
