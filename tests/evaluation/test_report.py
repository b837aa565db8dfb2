"""The report is one page that needs nothing else and shows every text as text."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from emo.evaluation.calibration import calibration_scores
from emo.evaluation.figures import (
    confusion_figure,
    curves_figure,
    png_bytes,
    reliability_figure,
    risk_figure,
    save_figure,
)
from emo.evaluation.intervals import bootstrap_interval
from emo.evaluation.metrics import classification_scores
from emo.evaluation.report import Answer, Report, data_uri
from emo.evaluation.selective import risk_coverage
from emo.evaluation.tables import HEADERS, Result, markdown_table, result_rows, results_markdown

NASTY = '<script src="https://evil.example/x.js">alert("1")</script> & \'quoted\''
MP4 = b"\x00\x00\x00\x18ftypmp42" + bytes(16)
LABELS = ("neutral", "angry")


@pytest.fixture(scope="module")
def png() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (4, 3), "red").save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def scores():
    return classification_scores(["neutral", "angry", "angry"], ["neutral", "angry", None], LABELS)


@pytest.fixture(scope="module")
def page(png, scores) -> str:
    report = Report(NASTY, NASTY, [NASTY])
    report.section(NASTY, NASTY).text(NASTY).note(NASTY).code(NASTY).numbers({NASTY: NASTY})
    report.table([NASTY], [[NASTY]], NASTY).images((png, NASTY))
    report.answers(
        [
            Answer(
                clip_id=NASTY,
                truth=NASTY,
                predicted=NASTY + "!",
                text=NASTY,
                video=MP4,
                image=png,
                details={NASTY: NASTY},
            ),
            Answer(clip_id="b", truth="happy", predicted=None, image=png),
        ]
    )
    return report.html()


def test_no_text_becomes_markup(page):
    assert "<script" not in page
    assert page.count("&lt;script") >= 15
    assert not re.search(r"""<[^>]*\son\w+\s*=""", page)


def test_nothing_is_fetched_from_elsewhere(page):
    for attribute, target in re.findall(r"""(src|href|poster|action|data)="([^"]*)\"""", page):
        assert target.startswith(("data:image/", "data:video/mp4;base64,", "#s")), (attribute, target[:40])
    assert not re.search(r"url\(|@import|<link|<iframe|<object", page)
    assert "default-src 'none'" in page


def test_clips_and_verdicts_are_in_the_page(page):
    assert page.count("<video") == 1 and page.count("<article") == 2
    assert "no label" in page and ">happy<" in page


def test_pieces_without_a_section_open_one():
    assert "<h2>Summary</h2>" in Report("t").text("x").html()


def test_write_makes_the_folder(tmp_path):
    path = Report("t").text("häppy").write(tmp_path / "new" / "report.html")
    assert "häppy" in path.read_text(encoding="utf-8")


def test_unknown_media_are_refused():
    with pytest.raises(ValueError, match="no PNG, JPEG or MP4"):
        data_uri(b"<svg onload=alert(1)>")


def test_the_confusion_figure_shows_counts_and_a_column_of_invalid_answers(scores):
    figure = confusion_figure(scores, "test")
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["neutral", "angry", "no label"]
    assert [text.get_text() for text in axes.texts] == ["1", "0", "0", "0", "1", "1"]


def test_the_reliability_figure_shows_only_bins_with_clips():
    shares = [[0.9, 0.1], [0.9, 0.1], [0.6, 0.4]]
    figure = reliability_figure(calibration_scores(shares, ["neutral", "angry", "neutral"], LABELS, bins=10))
    above, below = figure.axes
    assert [bar.get_height() for bar in above.patches] == [1.0, 0.5]
    assert [bar.get_height() for bar in below.patches] == [1, 2]


def test_the_risk_figure_marks_the_threshold_beside_the_blind_rate():
    curve = risk_coverage([0.9, 0.8, 0.7, 0.6], [False, False, True, True])
    axes = risk_figure(curve, coverage=0.5, mark_label="p >= 0.80").axes[0]
    line, blind, mark = axes.lines
    assert line.get_ydata().tolist() == pytest.approx(curve.risk.tolist())
    assert list(blind.get_ydata()) == [0.5, 0.5] and list(mark.get_xdata()) == [0.5, 0.5]


def test_equal_figures_give_equal_png_bytes(scores):
    first, second = (png_bytes(confusion_figure(scores)) for _ in range(2))
    assert first == second
    assert np.asarray(Image.open(io.BytesIO(first)).convert("L")).std() > 5


def test_long_curves_are_smoothed_without_looking_ahead(tmp_path):
    step = [(float(x), 0.0 if x < 300 else 1.0) for x in range(600)]
    figure = curves_figure({"training": step}, x_label="step", y_label="loss")
    raw, smooth = figure.axes[0].lines
    assert np.array_equal(raw.get_ydata(), [y for _, y in step])
    assert smooth.get_ydata()[299] == 0 and 0 < smooth.get_ydata()[300] < 1
    assert save_figure(figure, tmp_path / "a" / "loss.svg").read_text().startswith("<?xml")


def test_a_results_table_has_n_the_interval_and_the_invalid_rate(scores):
    interval = bootstrap_interval(["neutral", "angry"], ["neutral", "angry"], LABELS)
    rows = result_rows([Result("head", scores, interval), Result("majority", scores)])
    assert rows[0][:4] == ("head", "3", "0.778", "1.000 to 1.000")
    assert rows[1][3] == "-" and rows[0][-1] == "33.3 %"
    assert results_markdown([Result("head", scores)]).splitlines()[0].startswith("| system")
    assert len(HEADERS) == len(rows[0])


def test_markdown_cells_cannot_break_the_table():
    table = markdown_table(["a", "b"], [["x|y", "line\nbreak"]])
    assert table.splitlines()[2] == "| x\\|y | line break |"
