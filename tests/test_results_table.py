"""The README's tables are what their raw rows say, and the road by commands gives that of heads again."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "benchmarks/results_table.py"


@pytest.fixture
def results_table(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import results_table

    return results_table


def test_readme_has_the_tables_of_the_committed_rows(results_table):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert results_table.rendered(readme) == readme, "run: python benchmarks/results_table.py"
    spoilt = readme.replace("| attention ", "| attentive ", 1)
    assert spoilt != readme
    assert results_table.rendered(spoilt) == readme


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_road_gives_the_committed_figures_of_heads_within_their_intervals(results_table, tmp_path):
    committed = {
        (row["head"], row["seed"]): row
        for row in json.loads((results_table.RESULTS / "heads.json").read_text())["rows"]
    }
    found = results_table.measure(tmp_path, [0])
    assert found["placed_by_report"] == len(results_table.HEADS)
    for row in found["rows"]:
        low, high = committed[row["head"], row["seed"]]["ci"]
        assert row["n"] == committed[row["head"], row["seed"]]["n"]
        assert low <= row["weighted_f1"] <= high, row


def test_the_check_fails_where_the_readme_says_something_else(results_table, tmp_path, monkeypatch):
    other = tmp_path / "README.md"
    other.write_text((ROOT / "README.md").read_text(encoding="utf-8").replace("| concat ", "| concatenated "))
    monkeypatch.setattr(results_table, "README", other)
    monkeypatch.setattr(sys, "argv", ["results_table.py", "--check"])
    with pytest.raises(SystemExit, match="is not what"):
        results_table.main()
    monkeypatch.setattr(sys, "argv", ["results_table.py"])
    results_table.main()
    assert other.read_text(encoding="utf-8") == (ROOT / "README.md").read_text(encoding="utf-8")
