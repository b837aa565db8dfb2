"""Signals end a command by an exception that can be told, wherever Python is when they come."""

import subprocess
import sys

import pytest

SIGNAL = "import os, signal; os.kill(os.getpid(), signal.{name})"
COMMAND = """
import sys
from emo.cli.interrupts import signals_interrupt
try:
    with signals_interrupt():
        {inside}
except KeyboardInterrupt as error:
    print(error)
    {after}
    sys.exit(75)
"""


@pytest.fixture
def ended(tmp_path):
    """How a module ends that is run as `python -m`, the way in which CPython minds where the signal came."""

    def run(inside, after="pass"):
        (tmp_path / "typed.py").write_text(COMMAND.format(inside=inside, after=after))
        command = [sys.executable, "-m", "typed"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
        return done.returncode, done.stdout.strip()

    return run


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1"])
def test_a_signal_within_a_text_that_is_executed_is_an_interruption_like_any_other(name, ended):
    assert ended(f"exec({SIGNAL.format(name=name)!r})") == (75, name)


def test_a_ctrl_c_after_the_first_signal_ends_the_process_at_once(ended):
    first, second = SIGNAL.format(name="SIGTERM"), SIGNAL.format(name="SIGINT")
    inside = f"exec({f'try: {first}' + chr(10) + f'finally: {second}'!r})"
    assert ended(inside) == (-2, "")


def test_signals_do_what_they_did_before_when_the_command_has_ended(ended):
    inside = f"exec({SIGNAL.format(name='SIGINT')!r})"
    assert ended(inside, after=SIGNAL.format(name="SIGTERM"))[0] == -15
