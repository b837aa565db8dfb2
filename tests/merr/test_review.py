"""A reviewer's verdicts are honoured by the next build, wherever they were given."""

import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from emo.corpora.merr_files import read_entries
from emo.merr.verdicts import text_digest


@pytest.fixture
def entries():
    return lambda out, name="coarse": read_entries(out / f"MERR_{name}_grained.json")


def verdict_on(out, entries, clip_id, word, **more):
    caption = entries(out)[clip_id]["caption"]
    reason = entries(out, "fine").get(clip_id, {}).get("smp_reason_caption", "")
    return {"verdict": word, "text": text_digest(caption, reason), "note": "hand over the face", **more}


def write(path, verdicts):
    path.write_text(json.dumps({"schema_version": 1, "verdicts": verdicts}))
    return path


def drops(out):
    return [json.loads(line) for line in (out / "drops.jsonl").read_text().splitlines()]


class Page(HTMLParser):
    """Attributes of every element, by tag."""

    def __init__(self, text):
        super().__init__()
        self.found = {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.setdefault(tag, []).append(dict(attrs))


def test_a_rejected_clip_is_in_neither_set(again, entries):
    chosen = next(iter(entries(again.out, "fine")))
    write(again.out / "review.json", {chosen: verdict_on(again.out, entries, chosen, "reject")})
    assert again().code == 0
    assert chosen not in entries(again.out) and chosen not in entries(again.out, "fine")
    dropped = next(drop for drop in drops(again.out) if drop["clip_id"] == chosen)
    assert (dropped["reason"], dropped["detail"]) == ("rejected_by_reviewer", "hand over the face")


def test_a_verdict_on_another_text_does_not_count(again, entries):
    chosen = next(iter(entries(again.out)))
    write(again.out / "review.json", {chosen: {"verdict": "reject", "text": text_digest("Another caption.")}})
    again()
    assert chosen in entries(again.out)


def test_an_accepted_reason_stays_where_a_filter_would_take_it_out(again, entries, server):
    pytest.importorskip("openai")
    server.answer = lambda request: json.dumps(
        {**json.loads(server.sensible(request)), "reason": "One cannot say why, but one can tell so."}
    )
    words = ("--explain", server.url, "--model", "tiny")
    again(*words)
    twin = next(drop["clip_id"] for drop in drops(again.out) if drop["reason"] == "duplicate")
    assert twin not in entries(again.out, "fine")
    caption = entries(again.out)[twin]["caption"]
    for reason, there in (("Another reason.", False), (None, True)):
        if reason is None:
            label = entries(again.out)[twin]["pseu_emotion"]
            reasons = [
                f"One cannot say why, but one can tell so. {end.format(label=label)}"
                for end in ("So the emotion is {label}.", "The emotion is therefore {label}.")
            ]
        else:
            reasons = [reason]
        kept = []
        for text in reasons:
            verdict = {"verdict": "accept", "text": text_digest(caption, text)}
            write(again.out / "review.json", {twin: verdict})
            again(*words)
            kept.append(twin in entries(again.out, "fine"))
        assert any(kept) is there


def test_a_file_of_verdicts_that_is_none_is_told(again, tmp_path):
    for text in ("[]", '{"verdicts": {"a": {"verdict": "maybe"}}}', "no"):
        (tmp_path / "bad.json").write_text(text)
        assert "review.html" in str(again("--review", tmp_path / "bad.json").error)


def test_the_page_plays_clips_by_relative_path_and_fetches_nothing(built, corpus, entries):
    page = Page((built / "review.html").read_text())
    videos = [video["src"] for video in page.found["video"]]
    assert len(videos) == len(entries(built))
    for video in page.found["video"]:
        assert (built / video["src"]).resolve().is_file()
        assert (built / video["poster"]).resolve().is_file()
    text = (built / "review.html").read_text()
    assert "http" not in text.replace("http-equiv", "")
    assert "default-src 'none'" in page.found["meta"][-1]["content"]
    assert len(page.found["polyline"]) >= len(videos)


def test_nothing_a_clip_says_becomes_markup(again, clips, tmp_path):
    from dataclasses import replace

    from emo.corpora import write_manifest

    hostile = '</script><img src=x onerror="alert(1)">'
    write_manifest(tmp_path / "manifest.jsonl", [replace(clip, text=hostile) for clip in clips])
    again(clips=tmp_path / "manifest.jsonl")
    write(again.out / "review.json", {"</script><b>": {"verdict": "accept", "note": hostile}})
    again(clips=tmp_path / "manifest.jsonl")
    text = (again.out / "review.html").read_text()
    assert "<img" not in text
    assert text.count("</script>") == 2, "the page's own"
    embedded = re.search(r'id="verdicts">(.*?)</script>', text, re.DOTALL)[1]
    assert json.loads(embedded)["</script><b>"]["note"] == hostile


def test_choices_of_label_studio_come_back_as_verdicts(again, corpus, entries, typed, tmp_path):
    run = typed(
        "export", again.out, tmp_path / "tasks.json", "--to", "label-studio", "--manifest", corpus, "--json"
    )
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    assert run.told["entries"] == len(tasks) == len(entries(again.out))
    assert (tmp_path / tasks[0]["data"]["video"]).resolve().is_file()
    assert '<Choices name="verdict"' in (tmp_path / "tasks.xml").read_text()
    for number, task in enumerate(tasks):
        choice = {"from_name": "verdict", "value": {"choices": ["reject" if number < 2 else "accept"]}}
        note = {"from_name": "note", "value": {"text": ["blurred"]}}
        task["annotations"] = [{"result": [choice, note]}, {"was_cancelled": True, "result": []}]
    tasks[2]["annotations"] = []
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    assert typed("import", tmp_path / "export.json", "--from", "label-studio", "--out", again.out).code == 0
    again()
    gone = {drop["clip_id"] for drop in drops(again.out) if drop["reason"] == "rejected_by_reviewer"}
    assert gone == {task["data"]["clip_id"] for task in tasks[:2]}
    verdicts = json.loads((again.out / "review.json").read_text())["verdicts"]
    assert len(verdicts) == len(tasks) - 1


def test_a_file_that_is_no_export_of_label_studio_is_told(again, typed, tmp_path):
    (tmp_path / "x.json").write_text('{"a": 1}')
    run = typed("import", tmp_path / "x.json", "--from", "label-studio", "--out", again.out)
    assert "Label Studio" in str(run.error)


@pytest.mark.slow
def test_verdicts_that_are_clicked_survive_a_reload_and_are_honoured(again, entries):
    browser = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium here")
    clip_id = next(iter(entries(again.out, "fine")))
    with browser.sync_playwright() as started:
        chrome = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = chrome.new_page()
        foreign, faults = [], []
        page.on("request", lambda asked: None if asked.url.startswith("file:") else foreign.append(asked.url))
        page.on("pageerror", lambda fault: faults.append(str(fault)))
        page.goto((again.out / "review.html").as_uri())
        item = page.locator(f'[data-clip="{clip_id}"]')
        item.get_by_role("button", name="Reject").click()
        item.get_by_role("textbox").fill("hand over the face")
        page.reload()
        assert page.locator("#told").inner_text().startswith("0 accepted, 1 rejected")
        with page.expect_download() as saved:
            page.get_by_role("button", name="Download review.json").click()
        saved.value.save_as(again.out / "review.json")
        assert again().code == 0
        assert clip_id not in entries(again.out)
        dropped = next(drop for drop in drops(again.out) if drop["clip_id"] == clip_id)
        assert (dropped["reason"], dropped["detail"]) == ("rejected_by_reviewer", "hand over the face")
        page.goto((again.out / "review.html").as_uri())
        assert page.locator("#told").inner_text().startswith("0 accepted, 0 rejected"), (
            "it is gone from the page"
        )
        chrome.close()
    assert (foreign, faults) == ([], [])
