"""Twelve rendered clips, two a class, a built set of them, and a server on loopback that behaves badly."""

import json
import re
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


def data_of(request):
    """The fenced data of a question."""
    text = next(each["content"] for each in request["messages"] if each["role"] == "user")
    return json.loads(re.fullmatch(r"```json\n(.*)\n```", text, re.DOTALL)[1])


def sensible(request):
    """An answer as asked for: every face clue is true, the voice is not."""
    data = data_of(request)
    face = [name for name in data["clues"] if name != "voice"]
    shown = " and ".join(data["clues"][name] for name in face) or "nothing that moves"
    return json.dumps({
        "label": data["label"],
        "seems": data["label"],
        "true_clues": face,
        "false_clues": [name for name in data["clues"] if name == "voice"],
        "reason": f"The face of the person shows {shown} in such a moment. Words: {data['subtitle']}",
    })  # fmt: skip


@pytest.fixture
def chat_servers(chat_servers):
    """Starts servers that answer sensibly what is asked about a case."""

    def start():
        server = chat_servers()
        server.answer = server.sensible = sensible
        server.data_of = data_of
        return server

    return start
