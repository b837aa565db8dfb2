"""Twelve rendered clips, two a class, and a built set of them."""

import json
import shutil
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from emo.cli.main import emo
from emo.config.corpus import CorpusConfig
from emo.corpora import clips_in
from emo.corpora.rendered.corpus import render_corpus


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rendered") / "clips"
    list(render_corpus(folder, CorpusConfig(clips=12, seed=8, width=128, height=96), jobs=1))
    return folder


@pytest.fixture(scope="session")
def clips(corpus):
    return clips_in(corpus)[0]


@pytest.fixture(scope="session")
def truth(corpus):
    rows = [json.loads(line) for line in (corpus / "truth.jsonl").read_text().splitlines()]
    return {row["clip_id"]: row for row in rows}


@pytest.fixture(scope="session")
def typed():
    """A command as a user types it: exit code, the JSON it printed, what it said."""

    def run(*words):
        result = CliRunner().invoke(emo, ["-q", "merr", *map(str, words)])
        told = json.loads(result.stdout) if result.exit_code in (0, 3) and "--json" in words else None
        return SimpleNamespace(code=result.exit_code, told=told, said=result.output, error=result.exception)

    return run


@pytest.fixture(scope="session")
def built(corpus, typed, tmp_path_factory):
    out = tmp_path_factory.mktemp("built") / "merr"
    run = typed("build", corpus, "--out", out, "--labels", "mer2023", "--jobs", "1", "--json")
    assert run.code == 0, run.said
    return out


@pytest.fixture
def again(built, corpus, typed, tmp_path):
    """Build once more in a copy of the built set, where nothing has to be decoded again."""
    out = tmp_path / "again"
    shutil.copytree(built, out)

    def run(*words, clips=corpus):
        fixed = ("--out", out, "--labels", "mer2023", "--jobs", "1", "--json")
        return typed("build", clips, *fixed, *words)

    run.out = out
    return run


@pytest.fixture(scope="session")
def contents():
    """Every file of a build but its working folder, by name."""

    def read(out):
        files = sorted(path for path in out.rglob("*") if path.is_file())
        return {
            name: path.read_bytes()
            for path in files
            if not (name := path.relative_to(out).as_posix()).startswith(".work/")
        }

    return read
