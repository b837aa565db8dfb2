"""answers.jsonl: a torn answer is cut off, and the bytes of another file are never touched."""

import pytest

from emo.errors import ConfigError
from emo.pipeline.answer_file import AnswerFile

RUN = "a" * 16


def row(clip_id):
    return {"schema_version": 1, "run": RUN, "clip_id": clip_id}


def test_a_torn_answer_is_cut_off_and_asked_again(tmp_path):
    file = tmp_path / "answers.jsonl"
    with AnswerFile(file, RUN) as answers:
        answers.write(row("a"))
        answers.write(row("b"))
    file.write_bytes(file.read_bytes()[:-4])
    with AnswerFile(file, RUN) as answers:
        assert answers.done == {"a"}
        answers.write(row("b"))
    with AnswerFile(file, RUN) as answers:
        assert answers.done == {"a", "b"}


@pytest.mark.parametrize("content", ["notes on one line", "two lines\nand no end", '{"weights": 1}'])
def test_a_file_of_something_else_keeps_its_bytes(content, tmp_path):
    file = tmp_path / "notes.md"
    file.write_text(content)
    with pytest.raises(ConfigError, match="no answer"):
        AnswerFile(file, RUN)
    assert file.read_text() == content
