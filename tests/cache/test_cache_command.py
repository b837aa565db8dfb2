"""`emo cache`: JSON for scripts, words for people, exit codes for both."""

import json
import re

import click
import pytest
from click.testing import CliRunner

from emo.cache import open_cache
from emo.cli.cache import cache as command


@pytest.fixture
def run(path):
    def run(*arguments, code=0):
        result = CliRunner().invoke(command, [*arguments, "--cache", str(path)])
        assert result.exit_code == code, result.output
        return result.output

    return run


@pytest.fixture(autouse=True)
def filled(space, make_records, fill):
    fill(space, make_records(8))


def test_info_lists_the_spaces(run, space):
    found = json.loads(run("info", "--json"))
    (entry,) = found["spaces"]
    assert found["schema_version"] == 1
    assert (entry["encoder"], entry["fingerprint"], entry["records"]) == ("hubert", space.spec.fingerprint, 8)
    assert entry["statuses"] == {"missing:no_face": 1, "ok": 7}
    rows = entry["arrays"]["frames"][0]
    assert entry["arrays"] == {"frames": [rows, 6], "tokens": [7, 3, 4], "utterance": [7, 6]}
    assert entry["bytes"] == rows * 12 + 7 * 24 + 7 * 24
    assert "hubert@tiny" in run("info")


def test_ls_lists_clips_and_failed_only_those_without_features(run, space):
    assert len(json.loads(run("ls", "--json"))["clips"]) == 8
    (clip,) = json.loads(run("ls", "--failed", "--json"))["clips"]
    assert clip == {
        "clip_id": "clip/006 é",
        "space": space.name,
        "status": "missing:no_face",
        "reason": "0 of 16 frames",
        "rows": {},
    }
    assert run("ls", "--failed").split("\t")[1:] == ["clip/006 é", "missing:no_face", "0 of 16 frames\n"]


def test_verify_says_what_it_read(run):
    assert json.loads(run("verify", "--json", "--turn", "3")) == {
        "schema_version": 1,
        "records": 8,
        "share": 1.0,
        "bad": [],
        "orphans": [],
        "turn": 3,
        "requeued": [],
    }
    assert "8 records sound, 0 things damaged" in run("verify")


def test_verify_reads_a_share_and_says_which(run):
    found = [
        json.loads(run("verify", "--json", "--read-data-subset", "25%", "--turn", str(turn)))
        for turn in range(4)
    ]
    assert sum(one["records"] for one in found) == 8
    assert [one["share"] for one in found] == [one["records"] / 8 for one in found]
    share = f"{found[2]['records'] / 8:.1%}"
    assert f"{share} of the records read: turn 2" in run("verify", "--read-data-subset", "25%", "--turn", "2")
    today = json.loads(run("verify", "--json", "--read-data-subset", "25%"))
    assert today["records"] == found[today["turn"] % 4]["records"]


@pytest.mark.parametrize("share", ["0%", "101%", "some", "nan"])
def test_verify_refuses_a_share_that_is_none(path, share):
    result = CliRunner().invoke(command, ["verify", "--cache", str(path), "--read-data-subset", share])
    assert result.exit_code != 0


def test_verify_exits_4_and_names_the_damage(run, path, space):
    file = path / space.name / "utterance/c/0/0"
    data = bytearray(file.read_bytes())
    data[0] ^= 1
    file.write_bytes(data)
    (bad,) = json.loads(run("verify", "--json", code=4))["bad"]
    assert set(bad) == {"clip_id", "encoder", "file", "problem"}
    assert bad["clip_id"] == "clip/000 é"
    assert f"clip clip/000 é  {file}" in run("verify", code=4)


def test_export_and_import_count_their_records(run, path, tmp_path):
    out = tmp_path / "out.h5"
    assert json.loads(run("export", "h5", str(out), "--json"))["records"] == 8
    assert "exists" in run("export", "h5", str(out), code=2)
    result = CliRunner().invoke(
        command, ["import", "h5", str(out), "--cache", str(tmp_path / "in.zarr"), "--json"]
    )
    assert json.loads(result.output)["records"] == 8
    assert len(open_cache(tmp_path / "in.zarr")["hubert"]) == 7


def leaves(group, prefix=()):
    for name, child in group.commands.items():
        if isinstance(child, click.Group):
            yield from leaves(child, (*prefix, name))
        else:
            yield (*prefix, name)


@pytest.mark.parametrize("verb", list(leaves(command)))
def test_help_has_two_examples_or_more_that_parse(verb):
    text = CliRunner().invoke(command, [*verb, "--help"], terminal_width=80).output
    examples = re.findall(r"^ +emo cache (.+)$", text, re.MULTILINE)
    assert len(examples) >= 2
    assert max(map(len, text.splitlines())) <= 80
    for example in examples:
        words = example.split()
        assert tuple(words[: len(verb)]) == verb
        leaf = command
        for word in verb:
            leaf = leaf.commands[word]
        arguments = [word for word in words[len(verb) :] if not word.endswith(".h5")]
        known = {option for parameter in leaf.params for option in parameter.opts}
        assert {word for word in arguments if word.startswith("--")} <= known
