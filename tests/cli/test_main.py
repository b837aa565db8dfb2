"""The command's edge: verbs, exit codes, start-up."""

import errno
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from emo import errors
from emo.cli.main import VERBS, emo, exit_code, main


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_of_the_table_exists_and_its_help_says_what_the_table_says(verb):
    command = emo.get_command(click.Context(emo), verb)
    assert command is not None
    result = CliRunner().invoke(emo, [verb, "--help"])
    assert result.exit_code == 0, result.output
    assert max(map(len, result.output.splitlines())) <= 100


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.DamagedCache("x"), 4),
        (errors.StaleCache("x"), 6),
        (errors.NonFiniteLoss("x"), 7),
        (errors.Interrupted("x"), 75),
        (errors.ServiceDown("x"), 75),
        (errors.MissingDependency("x"), 8),
        (errors.RightsError("x"), 9),
        (errors.CacheMiss("x"), 2),
        (errors.ConfigError("x"), 2),
        (OSError(errno.ENOSPC, "full"), 5),
        (ValueError("x"), 1),
    ],
)
def test_each_error_has_its_promised_exit_code(error, code):
    assert exit_code(error) == code


def test_unknown_verb_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as left:
        main(["exract"])
    assert left.value.code == 2
    assert "extract" in capsys.readouterr().err


def test_a_damaged_cache_ends_with_four_and_no_traceback(monkeypatch, capsys):
    @click.command()
    def broken():
        raise errors.DamagedCache("clip 'a' is damaged. Run: emo cache verify")

    monkeypatch.setitem(VERBS, "broken", ("unused:unused", "x"))
    monkeypatch.setattr(type(emo), "get_command", lambda self, ctx, name: broken)
    with pytest.raises(SystemExit) as left:
        main(["broken"])
    said = capsys.readouterr().err
    assert left.value.code == 4
    assert "emo cache verify" in said
    assert "Traceback" not in said


def test_interrupt_says_that_stored_records_are_safe(monkeypatch, capsys):
    @click.command()
    def stopped():
        raise KeyboardInterrupt

    monkeypatch.setitem(VERBS, "stopped", ("unused:unused", "x"))
    monkeypatch.setattr(type(emo), "get_command", lambda self, ctx, name: stopped)
    with pytest.raises(SystemExit) as left:
        main(["stopped"])
    assert left.value.code == 75
    assert "safe" in capsys.readouterr().err


def test_help_and_the_vocabulary_leave_torch_unloaded():
    code = (
        "import sys\n"
        "import emo\n"
        "from emo.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy'} & set(sys.modules)\n"
        "import emo.cache\n"
        "heavy |= {'torch', 'transformers', 'zarr', 'pydantic', 'rich'} & set(sys.modules)\n"
        "sys.exit(','.join(sorted(heavy)) or 0)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
