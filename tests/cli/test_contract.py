"""What every command owes its users: examples, --json, a dry run where it writes, defaults and order in help.

A new command is held to all of it; what is let off stands here with the reason.
"""

import os
import re
import subprocess
import sys

import click
import pytest

from emo.cli.main import emo
from emo.cli.sections import OTHER, Sectioned, section_of

MANY = 10  # options: more are shown in sections
TERMINAL = 80
NO_JSON = {
    "emo init": "writes one file and names it",
    "emo config schema": "prints JSON as it is",
    "emo cache card": "prints Markdown",
    "emo app": "opens a page and answers there",
}
READS = "writes nothing but what --out names"
ONE_NEW = "writes one new file or folder, which it names, and nothing over another"
ADDS = "adds records, which can be forgotten, and changes none that is there"
MADE_HERE = "makes something to try things on, in a folder of its own"
NO_DRY_RUN = {
    **dict.fromkeys(
        (
            *("emo config schema", "emo config show", "emo doctor", "emo corpus compare", "emo corpus list"),
            *("emo corpus read", "emo cache card", "emo cache diff", "emo cache info", "emo cache ls"),
            *("emo cache privacy", "emo cache verify", "emo evaluate", "emo judge", "emo merr check"),
            *("emo app", "emo people", "emo predict", "emo report", "emo robustness", "emo score"),
        ),
        READS,
    ),
    **dict.fromkeys(
        (
            *("emo init", "emo submit", "emo llm export-prompts", "emo merr export", "emo merr import"),
            *(f"emo cache export {kind}" for kind in ("h5", "lhotse", "mmsa", "npy", "parquet")),
            *("emo cache export safetensors", "emo cache export zarr", "emo cache map"),
            *("emo weights convert", "emo weights export", "emo weights merge"),
        ),
        ONE_NEW,
    ),
    **dict.fromkeys(
        (
            *(f"emo cache import {kind}" for kind in ("csd", "emotion-llama", "exported", "h5", "mertools")),
            *(f"emo cache import {kind}" for kind in ("mmsa", "npy", "safetensors")),
            "emo cache merge",
        ),
        ADDS,
    ),
    **dict.fromkeys(("emo demo", "emo corpus render", "emo llm tiny-base"), MADE_HERE),
    "emo cache rights": "shows; what it declares replaces a line and can be declared again",
    "emo cache seal": "changes no value, and the next writer undoes it",
    "emo calibrate": "writes a number beside the model, which a second run replaces",
    "emo train-head projector": "minutes, into a folder of its own; --epochs 1 is the trial",
    "emo transcribe": "writes a new manifest unless --in-place asks for the old one",
}


def below(context):
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            yield from below(click.Context(command, info_name=name, parent=context))
    else:
        yield context


ROOT = click.Context(emo, info_name="emo", terminal_width=TERMINAL, **emo.context_settings)
COMMANDS = {context.command_path: context for context in below(ROOT)}
each = pytest.mark.parametrize("context", COMMANDS.values(), ids=COMMANDS)


def options(context):
    return [one for one in context.command.params if isinstance(one, click.Option)]


def names(context):
    return {name for option in options(context) for name in option.opts}


def examples(context):
    return re.findall(r"^ *(emo .*)$", context.command.help or "", re.MULTILINE)


@each
def test_help_says_what_it_is_for_in_a_line_and_shows_two_examples(context):
    first = context.command.get_short_help_str(limit=200)
    assert first and not first.endswith("...")
    verb = context.command_path.removeprefix("emo ")
    own = [line for line in examples(context) if f" {verb}" in line]
    assert len(own) >= 2, "give two examples"


@each
def test_help_fits_a_terminal(context):
    typed = set(examples(context))
    long = [line for line in context.command.get_help(context).splitlines() if len(line) > TERMINAL]
    assert not [line for line in long if line.strip() not in typed]
    assert max(map(len, typed)) <= 100


@each
def test_it_answers_in_json(context):
    assert ("--json" in names(context)) != (context.command_path in NO_JSON)


@each
def test_it_can_say_what_it_would_do(context):
    dry = {"--dry-run", "--yes"} & names(context)  # without --yes nothing is changed
    assert bool(dry) != (context.command_path in NO_DRY_RUN)


@each
def test_defaults_are_shown(context):
    silent = [
        option.opts[0]
        for option in options(context)
        if isinstance(option.default, str | int | float | os.PathLike)
        and not isinstance(option.default, bool)
        and option.default not in ("", 0)
        and not option.show_default
        and "default" not in (option.help or "")
        and not option.count
    ]
    assert not silent


@each
def test_many_options_stand_in_sections(context):
    if len(options(context)) <= MANY:
        return
    assert isinstance(context.command, Sectioned), "give it cls=Sectioned"
    assert not [option.opts for option in options(context) if section_of(option) == OTHER]
    text = context.command.get_help(context)
    assert all(name in text for option in options(context) for name in option.opts if name.startswith("--"))


def test_what_is_let_off_is_a_command():
    assert {*NO_JSON, *NO_DRY_RUN} <= set(COMMANDS)


def test_settings_and_talkativeness_are_options_of_every_command():
    assert {"--config", "--set", "-q", "--quiet", "-v", "--verbose"} <= {
        name for option in emo.params for name in option.opts
    }


@pytest.mark.parametrize(("shell", "sign"), [("bash", "complete"), ("zsh", "compdef"), ("fish", "complete")])
def test_the_line_of_the_docs_prints_a_completion_script(shell, sign):
    code = "from emo.cli.main import main; main([])"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "_EMO_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert sign in ran.stdout and "_EMO_COMPLETE" in ran.stdout


def test_a_verb_is_completed_without_loading_what_it_does():
    asked = {"_EMO_COMPLETE": "bash_complete", "COMP_WORDS": "emo extr", "COMP_CWORD": "1"}
    code = "from emo.cli.main import main; main([])"
    ran = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )
    assert ran.stdout.split() == ["plain,extract"], ran.stderr


def test_no_color_is_heard(monkeypatch):
    from emo.cli.console import _bar

    monkeypatch.setenv("NO_COLOR", "1")
    assert _bar().console.no_color
