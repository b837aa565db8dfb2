"""Recipes of published results are read strictly: every mistake at once, near misses named."""

import pytest

from emo.errors import ConfigError
from emo.evaluation.published import load_published, published_names

RECIPE = """\
name: mine
abuot: a set of mine
labels: [sad, happy]
asked: sad
template: emotion
reading: strict
max_new_tokens: many
expected: [{metrik: accuracy, value: 0.5, weights: none, source: nowhere}]
"""


def test_all_mistakes_are_told_at_once(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(RECIPE)
    with pytest.raises(ConfigError) as told:
        load_published(str(file))
    text = "\n".join(told.value.mistakes)
    assert f"{file}: abuot: unknown; did you mean `about`?" in text
    assert f"{file}: expected: metrik: unknown; did you mean `metric`?" in text
    for place in ("about", "asked", "max_new_tokens", "expected.0.metric"):
        assert f"{file}: {place}: " in text


def test_a_name_that_is_nothing_is_answered_with_the_names(tmp_path):
    with pytest.raises(ConfigError, match=published_names()[0]):
        load_published("nowhere")
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(ConfigError, match="holds list"):
        load_published(str(tmp_path / "list.yaml"))
