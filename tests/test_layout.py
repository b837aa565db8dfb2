"""The tree is what pyproject.toml says, and rooms import only what architecture allows."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAPPING = PROJECT["tool"]["setuptools"]["package-dir"]
PACKAGES = PROJECT["tool"]["setuptools"]["packages"]

ALLOWED = {
    "cache": {"cache"},
    "extractors": {"extractors"},
    "corpora": {"corpora"},
    "evaluation": {"evaluation"},
    "heads": {"heads", "cache", "evaluation"},
    "llm": {"llm", "cache", "heads", "evaluation"},
    "merr": {"merr", "corpora", "cache", "extractors", "heads", "evaluation"},
    "pipeline": {"pipeline", "cache", "extractors", "corpora", "evaluation", "heads", "llm", "merr"},
    "app": {"app", "pipeline", "cache", "extractors", "corpora", "evaluation", "heads", "llm", "merr"},
    "cli": {"cli", "app", "pipeline", "cache", "extractors", "corpora", "evaluation", "heads", "llm", "merr"},
}
MEDIA_ONLY = {"emo.extractors.reading", "emo.extractors.action_units", "emo.extractors.container"}
TORCH_FREE = ("cache", "corpora", "evaluation", "src/emo")


def folder(package: str) -> Path:
    best = max((name for name in MAPPING if package == name or package.startswith(name + ".")), key=len)
    return ROOT / MAPPING[best] / package.removeprefix(best).lstrip(".").replace(".", "/")


def imports(tree: ast.AST) -> list[tuple[str, int]]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.module, node.lineno))
    return found


def test_packages_list_names_every_folder_with_an_init():
    rooms = [ROOT / where for where in MAPPING.values()]
    on_disk = {init.parent for room in rooms for init in room.rglob("__init__.py")}
    assert {folder(package) for package in PACKAGES} == on_disk


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_room_imports_only_the_rooms_below_it(room):
    wrong = []
    for path in (ROOT / room).rglob("*.py"):
        for name, line in imports(ast.parse(path.read_text())):
            parts = name.split(".")
            if parts[0] in ALLOWED:
                wrong.append(f"{path.name}:{line} imports {name} past the emo package")
            if parts[0] == "emo" and len(parts) > 1 and parts[1] in ALLOWED and parts[1] not in ALLOWED[room]:
                wrong.append(f"{path.name}:{line} imports {name}")
    assert not wrong


def test_merr_reads_media_and_knows_no_encoder():
    wrong = []
    for path in (ROOT / "merr").rglob("*.py"):
        for name, line in imports(ast.parse(path.read_text())):
            if name.startswith("emo.extractors") and name not in MEDIA_ONLY:
                wrong.append(f"{path.name}:{line} imports {name}")
    assert not wrong


def test_vocabulary_imports_no_room():
    wrong = []
    for path in (ROOT / "src/emo").rglob("*.py"):
        if path == ROOT / "src/emo/__init__.py":
            continue
        for name, line in imports(ast.parse(path.read_text())):
            parts = name.split(".")
            if parts[0] == "emo" and len(parts) > 1 and parts[1] in ALLOWED:
                wrong.append(f"{path.name}:{line} imports {name}")
    assert not wrong


@pytest.mark.parametrize("room", TORCH_FREE)
def test_room_never_imports_torch(room):
    wrong = []
    for path in (ROOT / room).rglob("*.py"):
        for name, line in imports(ast.parse(path.read_text())):
            if name.split(".")[0] in {"torch", "timm", "transformers", "peft", "torchvision"}:
                wrong.append(f"{path}:{line} imports {name}")
    assert not wrong
