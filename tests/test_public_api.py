"""`import emo`: a small, flat, typed interface; what its docstrings show is what happens."""

import ast
import doctest
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import emo

OPTIONAL = {"to_dataset": "datasets", "to_xarray": "xarray"}


def test_all_is_sorted_and_is_what_there_is():
    assert emo.__all__ == sorted(emo.__all__, key=lambda name: (name[0].islower(), name))
    for name in emo.__all__:
        assert getattr(emo, name) is not None
    source = ast.parse(Path(emo.__file__).read_text())
    (typed,) = [node for node in source.body if isinstance(node, ast.If)]
    for_checkers = {
        alias.asname or alias.name
        for node in ast.walk(typed)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert for_checkers == set(emo._LAZY)
    assert set(dir(emo)) == {*emo.__all__, "__version__"}


def test_a_name_that_is_none_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'exract'"):
        emo.exract  # noqa: B018


def test_what_reads_leaves_torch_unloaded():
    light = ["open", "Space", "Feature", "FeatureCache", "read_manifest", "to_xarray", "to_dataset"]
    code = f"import sys, emo\nfor name in {light}: getattr(emo, name)\nsys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", emo.__all__)
def test_every_public_object_says_what_it_takes_and_shows_it(name, study, monkeypatch):
    if name in OPTIONAL:
        pytest.importorskip(OPTIONAL[name])
    monkeypatch.chdir(study)
    one = getattr(emo, name)
    assert inspect.getdoc(one)
    examples = [test for test in doctest.DocTestFinder(recurse=False).find(one, name) if test.examples]
    assert examples, f"{name} shows no example"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for test in examples:
        test.globs = {"emo": emo}
        runner.run(test)
    assert not runner.summarize(verbose=False).failed
