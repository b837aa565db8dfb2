"""Pages hold: links lead somewhere, commands exist with the options they are shown with, Python parses."""

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from emo.cli.api_reference import api_page
from emo.cli.main import emo
from emo.cli.reference import with_table

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ROOMS = (
    "app", "benchmarks", "cache", "cli", "corpora", "evaluation", "extractors", "heads", "llm", "merr",
    "pipeline",
)  # fmt: skip
WRITTEN = [path for path in PAGES if path.name not in ("cli.md", "api.md")]  # by hand
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
TYPED = re.compile(r"^ *(?:\$ )?(emo .*)$", re.MULTILINE)
NAMED = re.compile(r"docs/[\w./-]+\.(?:md|png)")
INLINE = re.compile(r"`(emo [^`]+)`")
OPEN_END = ("...", "…", "|", "[", "<")  # what stands for something else on a line that nobody types as it is


def named(path):
    return str(path.relative_to(ROOT))


def anchors(path):
    """The anchors that a page's headings get where it is shown."""
    found = re.findall(r"^#+ +(.*)$", FENCE.sub("", path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def code_lines(text):
    """Commands of a page: in fences, in indented lines, and between backticks."""
    bare = FENCE.sub("", text)
    blocks = [body for _, body in FENCE.findall(text)]
    indented = "\n".join(line for line in bare.splitlines() if line.startswith("    "))
    joined = "\n".join([*blocks, indented]).replace("\\\n", " ")
    return [*TYPED.findall(joined), *INLINE.findall(bare)]


def test_pages_named_in_code_are_there():
    rooms = [ROOT / "src", *(ROOT / room for room in ROOMS)]
    named = {
        (path.name, page)
        for room in rooms
        for path in room.rglob("*.py")
        for page in NAMED.findall(path.read_text(encoding="utf-8"))
    }
    assert len(named) > 5
    assert not {(name, page) for name, page in named if not (ROOT / page).exists()}


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_links_lead_to_a_page_and_a_heading_that_are_there(path):
    broken = []
    for link in (one or other for one, other in LINK.findall(FENCE.sub("", path.read_text()))):
        if "://" in link or link.startswith("mailto:"):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


def mistakes(line):
    """What is wrong with a command as it is typed: a verb or an option that is none."""
    command, context, words = emo, click.Context(emo, info_name="emo"), shlex.split(line, comments=True)[1:]
    while True:
        names = [name for option in command.params for name in (*option.opts, *option.secondary_opts)]
        takes = {
            name
            for option in command.params
            if isinstance(option, click.Option) and not (option.is_flag or option.count)
            for name in option.opts
        }
        below = None
        while words:
            word = words.pop(0)
            name = word.partition("=")[0]
            if word.startswith("-") and not re.fullmatch(r"-+[\d.]*", word):
                if name not in (*names, "--help", "--version", "-h") and not re.fullmatch("-[qv]+", name):
                    return f"{command.name} has no {name}"
                if name in takes and "=" not in word and words:
                    words.pop(0)
            elif isinstance(command, click.Group):
                two = " ".join([word, *words[:1]])
                below = two if two in command.list_commands(context) else word
                words = words[1:] if below != word else words
                break
        if below is None:
            return None
        if not re.fullmatch("[a-z][a-z0-9 -]*", below):
            return None  # a placeholder
        found = command.get_command(context, below)
        if found is None:
            return f"{command.name} has no {below}"
        command, context = found, click.Context(found, info_name=below, parent=context)


@pytest.mark.parametrize("path", WRITTEN, ids=named)
def test_commands_are_there_with_the_options_that_they_are_shown_with(path):
    lines = [line for line in code_lines(path.read_text()) if not any(sign in line for sign in OPEN_END)]
    wrong = {line: told for line in lines if (told := mistakes(line))}
    assert not wrong


@pytest.mark.parametrize("path", WRITTEN, ids=named)
def test_python_in_pages_parses(path):
    for language, body in FENCE.findall(path.read_text()):
        if language == "python":
            ast.parse(body)


@pytest.mark.parametrize(
    "line", ["emo exract clips/", "emo extract --enocder x", "emo cache verfy", "emo -z init"]
)
def test_a_command_that_is_none_would_be_found(line):
    assert mistakes(line)


def test_pages_from_the_program_are_what_the_program_says():
    encoders = (ROOT / "docs" / "encoders.md").read_text()
    # In a process of its own: a command that a test called without `emo` keeps another help option.
    code = "from emo.cli.reference import commands_page; print(commands_page(), end='')"
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=240)
    assert (ROOT / "docs" / "cli.md").read_text() == fresh.stdout.decode(), "run: make reference"
    assert (ROOT / "docs" / "api.md").read_text() == api_page(), "run: make reference"
    assert encoders == with_table(encoders), "run: make reference"


def test_every_package_that_emo_needs_is_in_the_notices():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "THIRD_PARTY_NOTICES.md").read_text().splitlines()
    named = {line.split(" | ")[0].removeprefix("| ") for line in lines if line.startswith("| ")}
    needed = {re.split(r"[<>=]", line)[0] for line in project["dependencies"]}
    assert needed <= named, "run: make notices"


def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="mkdocs is not installed")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path / "site"), strict=True))
    assert (tmp_path / "site" / "start" / "index.html").is_file()


def test_the_site_has_every_page_and_no_other():
    held = set(re.findall(r"[\w./-]+\.md$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    there = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert held == there
