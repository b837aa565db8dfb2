"""answers.jsonl: a torn answer is cut off, and the bytes of another file are never touched."""

import pytest

from emo.errors import ConfigError
from emo.pipeline.answer_file import AnswerFile

RUN = "a" * 16
INPUTS = {"a": "1" * 16, "b": "2" * 16}


def row(clip_id):
    return {"schema_version": 1, "run": RUN, "input": INPUTS[clip_id], "clip_id": clip_id}


@pytest.fixture
def file(tmp_path):
    """Two answers."""
    with AnswerFile(tmp_path / "answers.jsonl") as answers:
        answers.write(row("a"))
        answers.write(row("b"))
    return tmp_path / "answers.jsonl"


def test_a_torn_answer_is_cut_off_and_asked_again(file):
    file.write_bytes(file.read_bytes()[:-4])
    with AnswerFile(file) as answers:
        assert answers.go_on(RUN, INPUTS) == {"a"}
        answers.write(row("b"))
    with AnswerFile(file) as answers:
        assert answers.go_on(RUN, {}) == {"a", "b"}


@pytest.mark.parametrize(
    ("run", "inputs", "told"),
    [("b" * 16, INPUTS, "line 1 is of other weights"), (RUN, {**INPUTS, "b": "3" * 16}, "line 2: .* 'b'")],
)
def test_answers_to_something_else_are_left_as_they_are(run, inputs, told, file):
    file.write_bytes(file.read_bytes() + b'{"schema')
    before = file.read_bytes()
    with AnswerFile(file) as answers, pytest.raises(ConfigError, match=told):
        answers.go_on(run, inputs)
    assert file.read_bytes() == before


def test_two_never_write_at_once(file):
    before = file.read_bytes()
    with AnswerFile(file), pytest.raises(ConfigError, match="another process"):
        AnswerFile(file)
    with AnswerFile(file) as answers:
        assert answers.go_on(RUN, INPUTS) == {"a", "b"}
    assert file.read_bytes() == before


@pytest.mark.parametrize("content", ["notes on one line", "two lines\nand no end", '{"weights": 1}'])
def test_a_file_of_something_else_keeps_its_bytes(content, tmp_path):
    file = tmp_path / "notes.md"
    file.write_text(content)
    with pytest.raises(ConfigError, match="no answer"):
        AnswerFile(file)
    assert file.read_text() == content
