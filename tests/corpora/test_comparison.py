"""`emo corpus compare`: every data set with size, labels, licence and source, and one's own on top."""

import json

import pytest
from click.testing import CliRunner

from emo.cli.main import emo
from emo.corpora.comparison import catalogue, counted
from emo.errors import ConfigError, RightsError
from emo.merr.sending import check_sending
from emo.rights import check_sharing, strictest, strictness


def run(*arguments):
    done = CliRunner().invoke(emo, ["corpus", "compare", *map(str, arguments)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


def test_every_data_set_says_all_and_where_that_is_from():
    sets = catalogue()
    assert len({one.name for one in sets}) == len(sets) >= 20
    for one in sets:
        assert all(one.cells()) and one.source
    sizes = {one.name: one.clips for one in sets}
    assert (sizes["MERR coarse"], sizes["MERR fine"], sizes["DFEW"]) == (28618, 4487, 11697)


def test_what_is_unknown_means_ask_and_never_free():
    asked = {one.key: one for one in catalogue() if one.licence.startswith("unknown")}
    assert {"meld", "cmu-mosi", "cmu-mosei", "ch-sims", "ch-sims-v2"} <= asked.keys()
    for one in catalogue():
        said = one.rights
        if one.key in asked:
            assert one.licence_source and not said.may_share_features and not said.may_send_to_cloud
            assert strictest([one.licence, "EULA: research only", "CC BY-NC 4.0"]) == one.licence
        if not said.may_share_features:
            assert strictness(one.licence) >= 4, one.key
            with pytest.raises(RightsError, match=one.key):
                check_sharing([said], consent=False)
        if not said.may_send_to_cloud:
            with pytest.raises(RightsError, match=one.key):
                check_sending("models.example", [said], media=False, send_media_to="models.example")
    told = CliRunner().invoke(emo, ["corpus", "list", "meld"]).stdout
    assert "may_send_to_cloud: nobody said: ask the owner" in told and "license: gpl-3.0" in told


def test_the_table_has_a_row_each_and_the_sources_below():
    shown = run()
    for one in catalogue():
        assert f"| {one.name} " in shown and f"- {one.name}: {one.source}" in shown
    few = json.loads(run("--only", "MER20", "--json"))["datasets"]
    assert [one["name"] for one in few] == ["MER2023", "MER2024", "MER2025", "MER2026"]
    with pytest.raises(ConfigError, match="Known: MER2023"):
        run("--only", "nothing of the kind")


def test_ones_own_manifest_is_counted_and_stands_on_top(tmp_path):
    manifest = tmp_path / "mine.csv"
    manifest.write_text("path,label,speaker,text\na.mp4,sad,x,No.\nb.mp4,sad,y,\nc.mp4,,y,\n")
    row = counted("mine", manifest)
    assert row.cells()[:4] == ("mine", "3", "1: sad", "words")
    assert "2 speakers, 2 clips with a label" in row.source
    out = tmp_path / "table.md"
    run(f"ours|x={manifest}", "--only", "dfew", "--out", out)
    assert out.read_text().splitlines()[2].startswith("| ours\\|x ")
