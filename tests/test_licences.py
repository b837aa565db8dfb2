"""Licences and cards: what a model or a cache was made of, and what it is not for."""

import json
import re

import pytest
import yaml
from click.testing import CliRunner

from emo.cli.main import emo as command
from emo.config.llm import LlmConfig
from emo.errors import ConfigError
from emo.heads.trained import TrainedHead
from emo.llm.card import Card, write_card
from emo.llm.run_card import run_card
from emo.model_card import ModelCard
from emo.pipeline.licences import licence_chain
from emo.rights import DataRights
from emo.spec import Licence

OWNED = DataRights(name="them", licence="CC BY-NC 4.0", may_share_features=False, citation="Them 2023")


def parts(text):
    front, body = re.fullmatch(r"---\n(.*?)---\n(.*)", text, re.DOTALL).groups()
    return yaml.safe_load(front), body


def test_the_card_of_a_head_is_one_that_the_hub_reads(study):
    front, body = parts((study / "runs/head/README.md").read_text())
    assert front["license"] == "unknown" and "emotion-recognition" in front["tags"]
    for heading in ("Scores", "Data", "Licence", "Intended use", "Forbidden use", "Limits"):
        assert f"\n## {heading}\n" in body
    assert "lie detection" in body and "Art. 5(1)(f)" in body


def test_the_strictest_licence_holds_for_the_whole():
    weights = {"weights of hubert": Licence(name="MIT"), "weights of mae": Licence(name="CC-BY-4.0")}
    card = ModelCard(title="x", about="y", scores="z", weights=weights, data=[OWNED])
    front, body = parts(card.markdown())
    assert (card.licence, front["license"]) == ("CC BY-NC 4.0", "cc-by-nc-4.0")
    assert "Them 2023" in body and OWNED.sentence in body
    hostile = DataRights(name='a"\nlicense: mit\n#', licence="MIT")
    front, _ = parts(ModelCard(title="x", about="y", scores="z", weights={}, data=[hostile]).markdown())
    assert front["datasets_used"] == [hostile.name]


def test_the_card_of_a_llama_stage_says_who_chose_and_that_nothing_was_tested(study):
    sources = TrainedHead.load(study / "runs/head").sources
    card = Card(config=LlmConfig(), dims={}, sources=sources, base="owner/llama", base_digest="ab" * 32)
    front, body = parts(run_card(card, [OWNED]))
    assert front["base_model"] == "owner/llama"
    assert "no test clip was looked at" in body and "hubert: utterance" in body


def test_the_chain_of_a_cache_and_of_a_head(study):
    cache = licence_chain(study / "features.zarr")
    assert next(link.what for link in cache) == "data set undeclared"
    assert any(link.what.startswith("weights of hubert/") for link in cache)
    head = licence_chain(study / "runs/head")
    assert {link.what for link in head} == {"data set undeclared", "weights of hubert"}
    with pytest.raises(ConfigError, match="neither a cache nor a trained model"):
        licence_chain(study / "clips")


def test_the_llama_under_an_adapter_is_a_link(tmp_path):
    (tmp_path / "llama").mkdir()
    (tmp_path / "llama/README.md").write_text("---\nlanguage: en\nlicense: llama2\n---\n# It\n")
    (tmp_path / "run").mkdir()
    card = Card(config=LlmConfig(), dims={}, sources={}, base=str(tmp_path / "llama"), base_digest="")
    write_card(card, tmp_path / "run")
    assert {link.what: link.licence for link in licence_chain(tmp_path / "run")} == {
        "LLaMA llama": "llama2",
        "data set undeclared": "unknown",
    }


def test_doctor_tells_the_chain(study):
    words = ["doctor", "--licences", str(study / "runs/head")]
    said = CliRunner().invoke(command, words).stdout
    assert "The strictest holds for the whole: unknown" in said and "no legal advice" in said
    told = json.loads(CliRunner().invoke(command, [*words, "--json"]).stdout)
    assert told["strictest"] == "unknown" and len(told["chain"]) == 2
