"""Pages that are named in code, in the README and in other pages are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = (
    "benchmarks",
    "cache",
    "cli",
    "corpora",
    "evaluation",
    "extractors",
    "heads",
    "llm",
    "merr",
    "pipeline",
    "src",
)
NAMED = re.compile(r"docs/[\w./-]+\.(?:md|png)")
LINKED = re.compile(r"\]\(([\w./-]+\.(?:md|png|py))(?:#[\w-]*)?\)")


@pytest.mark.parametrize("room", ROOMS)
def test_pages_named_in_code_are_there(room):
    named = {
        (path.name, page)
        for path in (ROOT / room).rglob("*.py")
        for page in NAMED.findall(path.read_text(encoding="utf-8"))
    }
    assert not {(name, page) for name, page in named if not (ROOT / page).exists()}


def test_links_between_pages_lead_somewhere():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    links = {(page, link) for page in pages for link in LINKED.findall(page.read_text(encoding="utf-8"))}
    assert not {(page.name, link) for page, link in links if not (page.parent / link).exists()}
