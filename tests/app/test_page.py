"""The page as its visitors use it: a browser that uploads, reads and asks; a program that does the same."""

import http.client
import json
import re
import sys
from pathlib import Path

import pytest

from emo.app.api import api_of
from emo.app.browse import Browser
from emo.app.page import page_of
from emo.app.refusals import Refused
from emo.app.serving import Address
from emo.app.session import Session
from emo.cache import open_cache
from emo.cli.app import _wanted
from emo.cli.app import app as app_command
from emo.cli.main import exit_code
from emo.corpora import clips_in
from emo.errors import MissingDependency

pytest.importorskip("gradio", reason="Gradio is not installed: pip install 'emo-toolkit[app]'")
CHROMIUM = Path("/usr/bin/chromium")
SECONDS = 120_000  # milliseconds that a browser waits for what a slow machine does


@pytest.fixture(scope="module")
def page(models, small, served, study):
    cache = open_cache(study / "features.zarr")
    clips = clips_in(study / "manifest.jsonl")[0]
    session = Session(models, small, cache=cache)
    with served(page_of(session, Address(), browser=Browser(cache, clips), clips=clips), small) as place:
        yield f"http://{place[0]}:{place[1]}/", session
    session.close()


def sent(url, path):
    place = url.split("/")[2]
    connection = http.client.HTTPConnection(place, timeout=60)
    connection.request("POST", "/clips", path.read_bytes(), {"Content-Type": "video/mp4"})
    return json.loads(connection.getresponse().read())


def session_spaces(client):
    """The choices of the page's list of spaces, as its own description gives them."""
    shown = next(one for one in client.config["components"] if one["props"].get("elem_id") == "emo-space")
    return [choice[0] for choice in shown["props"]["choices"]]


def test_a_program_uploads_asks_for_an_answer_and_goes_on_asking(page, study):
    from gradio_client import Client

    url, session = page
    client = Client(url, verbose=False, analytics_enabled=False)
    try:
        told = sent(url, study / "new.mp4")
        assert told["seconds"] == pytest.approx(0.48, abs=0.1)
        steps = list(client.submit(told["clip"], None, "We saw the door.", api_name="/answer"))
        drop, status, llm, head, note, _, plot, shots = steps[-1][:8]
        assert (drop, status) == ("", "")
        for label in (llm, head):
            assert {one["label"] for one in label["confidences"]} == {"happy", "sad"}
        assert "Features used: hubert, mae. Nothing is missing." in note
        assert plot["plot"].startswith("data:image/") and shots.count("<figure") >= 3
        assert session.folder.places() == []
        again = client.predict(told["clip"], None, "", api_name="/answer")
        assert "not here any more" in again[1] and re.search(r"\(id [0-9a-f]{8}\)", again[1])
        mae = next(title for title in session_spaces(client) if title.startswith("mae"))
        _, near = client.predict(mae, "c1", api_name="/neighbours")
        assert len(near["data"]) == 6
    finally:
        client.close()


def test_neighbours_and_maps_are_of_the_cache(page, study):
    clips = clips_in(study / "manifest.jsonl")[0]
    browser = Browser(open_cache(study / "features.zarr"), clips)
    assert [row[:3] for row in browser.table()][:2] == [["c0", "happy", "train"], ["c1", "sad", "train"]]
    assert {status for row in browser.table() for status in row[3:]} == {"ok"}
    (mae,) = [title for title in browser.spaces if title.startswith("mae@tiny")]
    near = browser.neighbours(mae, "c3")
    assert len(near) == 6 and "c3" not in [one[0] for one in near]
    assert [one[2] for one in near] == sorted((one[2] for one in near), reverse=True)
    assert len(browser.map(mae).axes[0].collections) == 2
    for wrong in (("nothing", "c1"), (mae, "c99")):
        with pytest.raises(Refused):
            browser.neighbours(*wrong)


def test_two_models_in_folders_of_one_name_are_both_shown():
    from emo.cli.app import _named

    shown = [("a/head", "a/head"), ("b/head", "b/head"), ("llm", "b/llm")]
    assert _named(("a/head", "b/head", "b/llm")) == shown


def test_a_store_that_only_the_workspace_names_need_not_be_there_yet(tmp_path):
    (tmp_path / "there.zarr").mkdir()

    def context(*words, cache):
        return app_command.make_context(
            "app", ["--model", "m", *words], default_map={"cache": str(tmp_path / cache)}
        )

    assert not _wanted(context(cache="gone.zarr"), "cache", str(tmp_path / "gone.zarr"))
    assert _wanted(context(cache="there.zarr"), "cache", str(tmp_path / "there.zarr"))
    typed = context("--cache", str(tmp_path / "gone.zarr"), cache="there.zarr")
    assert _wanted(typed, "cache", typed.params["cache"])


def test_without_its_packages_a_server_says_how_to_install_them(monkeypatch, models, small):
    session = Session(models, small)
    for package, made, extra in (("gradio", page_of, "app"), ("fastapi", api_of, "serve")):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(MissingDependency, match=rf"pip install 'emo-toolkit\[{extra}\]'") as error:
            made(session, Address())
        assert exit_code(error.value) == 8
        monkeypatch.undo()
    session.close()


@pytest.fixture(scope="module")
def browser_page(page):
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"no {CHROMIUM}: the page is not looked at")
    with api.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        shown = chromium.new_page(viewport={"width": 1240, "height": 1100})
        shown.set_default_timeout(SECONDS)
        shown.asked_for = []
        shown.on("request", lambda request: shown.asked_for.append(request.url))
        yield shown
        chromium.close()


def test_a_visitor_reads_what_it_is_uploads_and_sees_the_answer_and_the_map(browser_page, page, study):
    url, session = page
    shown = browser_page
    shown.goto(url)
    shown.wait_for_selector("#emo-read")
    assert "perceived expression" in shown.inner_text("body") and not shown.query_selector(".emo-file")
    shown.click("#emo-read")
    shown.wait_for_selector(".emo-file")
    assert not shown.query_selector("input[type=url]") and "share" not in shown.inner_text("body").lower()

    shown.set_input_files(".emo-file", str(study / "manifest.jsonl"))
    shown.wait_for_selector(".emo-said.bad")
    assert re.search(r"no clip that can be read here.*\(id [0-9a-f]{8}\)", shown.inner_text(".emo-said"))
    shown.set_input_files(".emo-file", str(study / "new.mp4"))
    shown.wait_for_function("document.querySelector('.emo-said').textContent.includes('ready to answer')")
    shown.click("#emo-answer")
    shown.wait_for_selector("#emo-shots img")
    shown.wait_for_selector("#emo-timeline img")
    shown.wait_for_function("document.body.innerText.includes('Nothing is missing.')")
    shown.wait_for_function("document.querySelector('#emo-status').innerText.trim() === ''")
    assert "%" in shown.inner_text("body")
    assert session.folder.places() == []
    shown.wait_for_function("document.querySelector('.emo-said').textContent.includes('for another answer')")
    shown.fill("#emo-ask textarea", "What does the voice add?")
    shown.press("#emo-ask textarea", "Enter")
    shown.wait_for_function(
        "document.querySelector('#emo-talk').innerText.includes('What does the voice add?')"
    )

    shown.get_by_role("tab", name="The cache").click()
    shown.wait_for_selector("#emo-map img")
    shown.locator("#emo-clips [data-row='2'][data-col='0']").first.click()
    shown.wait_for_selector("#emo-player video")
    shown.wait_for_function("document.querySelector('#emo-near').innerText.includes('c0')")
    foreign = [one for one in shown.asked_for if not one.startswith((url, "data:", "blob:"))]
    assert foreign == []
