"""`emo judge` against `transformers serve` with an untrained model: its answers are held to the form."""

import pytest
from click.testing import CliRunner

from emo.cli.main import emo
from emo.errors import ConfigError
from emo.labels import MER2023
from emo.llm.tiny.tokenizer import train_tokenizer

pytest.importorskip("openai", reason="the openai package is not installed")


@pytest.fixture
def model(tmp_path, save_llama, chat_template):
    """A folder with an untrained LLaMA that has a chat template."""
    tokenizer = train_tokenizer(["She frowns and looks away."], MER2023, vocabulary=400, positions=4096)
    tokenizer.chat_template = chat_template
    return save_llama(tmp_path / "model", tokenizer, positions=4096)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_an_untrained_model_judges_nothing_and_nothing_breaks(served, model, tmp_path):
    (tmp_path / "gt.csv").write_text('name,reason\nc1,"Her brow is furrowed and she is anxious."\n')
    (tmp_path / "a.csv").write_text('name,text\nc1,"She frowns."\n')
    files = [str(tmp_path / "a.csv"), "--truth", str(tmp_path / "gt.csv"), "--out", str(tmp_path / "out")]
    asked = ["--url", served(model), "--model", str(model), "--json"]
    ran = CliRunner().invoke(emo, ["judge", *files, *asked])
    assert isinstance(ran.exception, ConfigError), (
        ran.output,
        ran.exception,
    )  # a server that is down is none
    assert "gave no sound score for any of 1 clips" in str(ran.exception)
    assert not (tmp_path / "out/scores.json").exists()
