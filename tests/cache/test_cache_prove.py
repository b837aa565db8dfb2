"""doctor --prove: says of this disk what is tried by hand here, and of a broken one what fails."""

import errno
import json
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from emo.cache import fsops
from emo.cache.prove import prove
from emo.cli.doctor import doctor


def test_a_sound_disk_is_proved_and_left_as_it_was(tmp_path):
    result = CliRunner().invoke(doctor, ["--prove", str(tmp_path), "--json"])
    found = json.loads(result.output)
    assert (result.exit_code, found["safe"]) == (0, True)
    assert {proof["name"] for proof in found["proofs"]} >= {"rename", "sync", "locks", "kill", "link"}
    assert list(tmp_path.iterdir()) == []


def refused(*_, **__):
    raise OSError(errno.ENOLCK, "No locks available")


def torn(path, data, scratch, *, durable):
    path.write_bytes(bytes(data)[:10])
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("broken", "instead", "name"),
    [
        ("flock", refused, "locks"),
        ("replace_file", torn, "rename"),
        ("fdatasync", refused, "sync"),
    ],
)
def test_a_disk_without_what_records_need_is_not_safe(tmp_path, monkeypatch, broken, instead, name):
    monkeypatch.setattr("emo.cache.prove.KILLS", 1)
    monkeypatch.setattr(fsops, broken, instead)
    assert name in {proof.name for proof in prove(tmp_path) if proof.needed and not proof.holds}
    result = CliRunner().invoke(doctor, ["--prove", str(tmp_path)])
    assert result.exit_code == 2
    assert "not safe" in result.output


def test_a_disk_without_links_or_exchange_is_safe_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("emo.cache.prove.KILLS", 1)
    monkeypatch.setattr(fsops, "link", lambda source, target: False)
    monkeypatch.setattr(fsops, "exchange", lambda one, other: False)
    failed = [proof for proof in prove(tmp_path) if not proof.holds]
    assert [(proof.name, proof.needed) for proof in failed] == [("link", False), ("exchange", False)]


def test_a_proof_that_fails_leaves_no_process_behind(tmp_path, monkeypatch):
    started = []

    class Noted(subprocess.Popen):
        def __init__(self, *args, **settings):
            super().__init__(*args, **settings)
            started.append(self)

    monkeypatch.setattr("emo.cache.prove.KILLS", 1)
    monkeypatch.setattr(subprocess, "Popen", Noted)
    monkeypatch.setattr(fsops, "flock", refused)
    assert [proof.holds for proof in prove(tmp_path)].count(False) > 0
    assert len(started) == 2
    assert [child.returncode for child in started if child.returncode is None] == []


@pytest.mark.parametrize("what", ["hold", "write"])
def test_a_killed_proof_leaves_no_process_behind(tmp_path, what):
    code = f"""
        from pathlib import Path
        from emo.cache.prove import child_process
        with child_process({what!r}, Path({str(tmp_path / "a")!r})) as (child, output):
            output.readline()
            print(child.pid, flush=True)
            child.wait()
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    with parent:
        child = int(parent.stdout.readline())
        assert runs(child)
        parent.kill()
    until = time.monotonic() + 30
    while runs(child) and time.monotonic() < until:
        time.sleep(0.05)
    assert not runs(child)


def runs(pid):
    """Whether there is a process of this number that has not ended."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"
