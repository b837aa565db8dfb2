"""Folders of frames: which files are frames, and a digest that a changed, added or renamed one changes."""

import os

import pytest

from emo.digests import StatCache
from emo.frames import frames_in


def write(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(f"picture {name}".encode())
    return folder


def test_frames_come_in_the_order_of_their_numbers(tmp_path):
    folder = write(
        tmp_path / "f", "10.jpg", "9.JPG", "frame_0002.jpeg", "1.jpg", "cover.jpg", "3.png", ".4.jpg"
    )
    assert [path.name for path in frames_in(folder)] == ["1.jpg", "frame_0002.jpeg", "9.JPG", "10.jpg"]
    assert frames_in(folder / "1.jpg") == [] == frames_in(tmp_path / "nowhere")


def test_the_digest_of_a_folder_is_of_its_frames_and_is_remembered(tmp_path):
    folder = write(tmp_path / "f", "1.jpg", "2.jpg")
    files = StatCache(tmp_path / "memory.jsonl")
    before = files.sha256(folder)
    write(folder, "notes.txt")
    assert files.sha256(folder) == before
    for change in (
        lambda: (folder / "2.jpg").write_bytes(b"picture 2.jpf"),
        lambda: write(folder, "3.jpg"),
        lambda: (folder / "3.jpg").rename(folder / "4.jpg"),
        lambda: (folder / "1.jpg").unlink(),
    ):
        last = files.sha256(folder)
        change()
        assert files.sha256(folder) != last


def test_a_folder_that_stands_as_it_was_is_not_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr("emo.digests.SETTLED_NS", 0)
    folder, memory = write(tmp_path / "f", "1.jpg", "2.jpg"), tmp_path / "memory.jsonl"
    digest = StatCache(memory).sha256(folder)
    assert memory.read_text().count("\n") == 1  # a line a folder, not one a frame
    memory.write_text(memory.read_text().replace(digest, "f" * 64))
    assert StatCache(memory).sha256(folder) == "f" * 64
    (folder / "2.jpg").write_bytes(b"picture 2.jpf")
    assert StatCache(memory).sha256(folder) not in (digest, "f" * 64)


def test_a_folder_without_frames_and_a_pipe_among_them_have_no_digest(tmp_path):
    with pytest.raises(OSError, match="no regular file"):
        StatCache(None).sha256(write(tmp_path / "empty"))
    folder = write(tmp_path / "f", "1.jpg")
    os.mkfifo(folder / "2.jpg")
    with pytest.raises(OSError, match="no regular file"):
        StatCache(None).sha256(folder)
