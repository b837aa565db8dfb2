"""A cache in a dataset repository of the Hub: pushed as one commit, read in place, pulled, erased."""

import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

import emo as package
from emo.cache import open_cache
from emo.cache.compact import compact
from emo.cache.remote.erase import known_there
from emo.cache.remote.pull import Pull
from emo.cache.remote.push import Push
from emo.cache.remote.store import ChangedMeanwhile, StoreError, open_store
from emo.cli.cache import cache as command
from emo.errors import CacheMiss, ConfigError
from emo.records import Record

URL = "hf://lab/features"
TOKEN = "hf_emoFakeTokenNeverToBeSeen"  # that of conftest.py
WHO = "secret/anna_042"
ROW = np.float16(42.42).tobytes() * 6

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def lab(hub, monkeypatch, tmp_path):
    """The repository lab/features at the local Hub, to which this process speaks."""
    from huggingface_hub import constants
    from huggingface_hub.utils import close_session

    for name in list(os.environ):
        if name.startswith("HF_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, value in (hub.environment | {"HF_TOKEN": TOKEN, "HF_HOME": str(tmp_path / "hf")}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # read when the library was imported
    close_session()
    yield hub.make("lab/features")
    close_session()


def call(*arguments):
    return CliRunner().invoke(command, list(map(str, arguments)))


def only(name, fault, times=1):
    """A fault of the first requests whose method and path fit."""
    left = [times]

    def spoil(method, path, number):
        if left[0] and re.search(name, f"{method} {path}"):
            left[0] -= 1
            return fault
        return None

    return spoil


def test_what_was_pushed_is_one_commit_read_in_place_and_pulled_as_it_was_stored(
    path, filled, lab, push, make_records, assert_holds, tmp_path
):
    push(path, URL)
    assert len(lab.commits) == 2
    files = lab.head()
    assert {"README.md", "zarr.json", f"{filled.name}/zarr.json"} < set(files)
    assert files[f"{filled.name}/frames/c/0/0"].large and not files["zarr.json"].large
    assert not any("journal" in name for name in files)
    found = package.open(URL)["hubert"]
    assert_holds(found, make_records(24))
    np.testing.assert_array_equal(found.read_canary()["frames"], np.ones((2, 6)))
    assert call("pull", URL, "--cache", tmp_path / "copy.zarr").exit_code == 0
    assert_holds(open_cache(tmp_path / "copy.zarr")["hubert"], make_records(24))
    assert push(path, URL) == [] and len(lab.commits) == 2


def test_each_clip_is_exactly_one_ranged_get_once_the_hub_said_where_a_shard_lies(
    path, filled, lab, push, hub
):
    push(path, URL)
    space = package.open(URL)["hubert"]
    clips = list(space)
    for _ in range(2):
        hub.seen.clear()
        for clip_id in clips:
            assert space[clip_id].values.shape[1] == 6
    assert len(hub.seen) == len(clips)
    for method, address, span, token in hub.seen:
        assert (method, token) == ("GET", None) and address.startswith("/large/") and span
    hub.fault = only("GET /large/", "expired")
    assert space[clips[0]].values.any()


def test_a_space_read_in_another_process_is_of_the_same_commit(
    path, filled, lab, push, make_records, assert_holds, fill
):
    import pickle

    push(path, URL)
    old = package.open(URL)["hubert"]
    fill(open_cache(path, "a")["hubert"], make_records(6, seed=1))
    compact(open_cache(path, "a")["hubert"].paths)
    push(path, URL)
    assert_holds(pickle.loads(pickle.dumps(old)), make_records(24))  # its objects are gone from the head
    assert_holds(package.open(f"{URL}@main")["hubert"], [*make_records(24), *make_records(6, seed=1)][6:])
    pinned = f"{URL}@{next(iter(list(lab.commits)[1:]))}"
    assert_holds(package.open(pinned)["hubert"], make_records(24))
    with pytest.raises(ConfigError, match="names a commit"):
        push(path, pinned)


def test_a_folder_of_a_repository_holds_a_cache_beside_other_files(
    path, filled, lab, push, make_records, assert_holds
):
    lab.add("theirs.csv", b"a,b")
    lab.commit(dict(lab.head()), "draft")
    push(path, f"{URL}@draft/deep/features.zarr")
    assert set(lab.head("main")) == {".gitattributes", "theirs.csv"}
    assert {"theirs.csv", "README.md", "deep/features.zarr/zarr.json"} < set(lab.head("draft"))
    assert_holds(package.open(f"{URL}@draft/deep/features.zarr")["hubert"], make_records(24))
    with pytest.raises(CacheMiss):
        open_cache(URL)


@pytest.mark.parametrize(
    ("where", "fault"),
    [
        ("POST .*/preupload/", "500"),
        ("PUT /large/", "lost"),
        ("POST .*/commit/", "500"),
        ("POST .*/commit/", "lost"),
        ("GET .*/tree/", "half"),
    ],
)
def test_a_push_survives_what_fails_in_passing(
    where, fault, path, filled, lab, push, hub, make_records, assert_holds
):
    hub.fault = only(where, fault)
    push(path, URL)
    assert_holds(package.open(URL)["hubert"], make_records(24))
    assert len(lab.commits) == 2


@pytest.mark.parametrize("fault", ["500", "half", "drop"])
def test_reading_survives_what_fails_in_passing(
    fault, path, filled, lab, push, hub, make_records, assert_holds
):
    push(path, URL)
    hub.fault = lambda method, path, number: fault if number % 7 == 0 else None
    assert_holds(package.open(URL)["hubert"], make_records(24))


def test_a_hub_that_hangs_is_asked_again(
    path, filled, lab, push, hub, monkeypatch, make_records, assert_holds
):
    from emo.cache.remote import store
    from emo.config.remote import RemoteSettings

    push(path, URL)
    impatient = RemoteSettings(tries=3, first_wait_s=0.001, request_s=0.7, connect_s=1.0)
    monkeypatch.setattr(store.open_store, "__defaults__", (impatient,))
    hub.fault = only("GET /large/", "hang")
    assert_holds(package.open(URL)["hubert"], make_records(24))


def test_killed_before_the_commit_a_push_leaves_the_old_snapshot_and_goes_on_with_what_it_sent(
    path, filled, lab, push, hub, make_records, assert_holds, fill
):
    push(path, URL)
    fill(open_cache(path, "a")["hubert"], make_records(24, seed=1))
    arguments = ["cache", "push", URL, "--cache", str(path), "--i-have-rights"]
    process = subprocess.Popen(
        [sys.executable, "-m", "emo", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def kill(method, address, number):
        if "/commit/" in address:
            process.send_signal(signal.SIGKILL)
            return "drop"
        return None

    hub.fault = kill
    assert process.wait() == -signal.SIGKILL
    hub.fault = lambda method, address, number: None
    assert len(lab.commits) == 2 and len(lab.objects) > len({f.large for f in lab.head().values()}) - 1
    assert_holds(package.open(URL)["hubert"], make_records(24))
    hub.seen.clear()
    push(path, URL)
    assert not [address for method, address, *_ in hub.seen if method == "PUT"]
    assert_holds(package.open(URL)["hubert"], make_records(24, seed=1))


def test_of_two_pushes_at_once_the_second_is_told_and_changes_nothing(path, filled, lab, push):
    with Push(open_cache(path), open_store(URL)) as slow:
        steps = slow.run(consent=True)
        next(steps)
        lab.commit(dict(lab.head()))
        with pytest.raises(ChangedMeanwhile, match="same command again"):
            list(steps)
    assert set(lab.head()) == {".gitattributes"}
    push(path, URL)


def test_rights_are_asked_and_the_card_is_the_repository_s(path, filled, lab):
    refused = call("push", URL, "--cache", path)
    assert "--i-have-rights" in str(refused.exception) and len(lab.commits) == 1
    done = call("push", URL, "--cache", path, "--i-have-rights", "--json")
    assert done.exit_code == 0 and json.loads(done.stdout)["sent"] > 30
    text = lab.head()["README.md"].data.decode()
    assert yaml.safe_load(text.split("---\n")[1])["emo"]["encoders"] == ["hubert"]
    assert f'emo.open("{URL}")' in text and "clip/" not in text and TOKEN not in text


def test_before_a_push_it_is_told_how_well_speakers_are_recognised_or_how_to_be_told(
    path, filled, lab, tmp_path, fill, make_records
):
    without = call("push", URL, "--cache", path, "--dry-run", "--i-have-rights")
    assert without.exit_code == 0 and "Add --manifest" in without.output
    fill(filled, make_records(24, first=24))
    lines = [
        {"clip_id": clip_id, "path": f"{number}.mp4", "speaker": f"s{number % 9}"}
        for number, clip_id in enumerate(filled)
    ]
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    told = call("push", URL, "--cache", path, "--dry-run", "--i-have-rights", "--manifest", manifest)
    assert told.exit_code == 0, told.exception
    assert "with 9 speakers" in told.output.lower() and "Add --manifest" not in told.output
    assert len(lab.commits) == 1


@pytest.fixture
def with_anna(filled, fill):
    arrays = {"frames": np.full((5, 6), 42.42, np.float32), "utterance": np.full(6, 77.0, np.float32)}
    fill(filled, [Record(clip_id=WHO, arrays=arrays, input_sha256=b"s" * 32)])
    return filled


def told_of_anna(lab):
    from emo.cache.columns import Column, decode_chunk

    chunks = [
        (lab.holds(name, sha))
        for sha, files in lab.commits.items()
        for name in files
        if "/clip_id/c/" in name
    ]
    ids = [data for data in chunks if WHO.encode() in decode_chunk(Column("x"), data, 20)]
    return [*ids, *(data for data in lab.everything() if ROW in data or WHO.encode() in data)]


def test_forgotten_at_the_hub_it_stays_in_old_commits_until_the_history_is_squashed(
    path, with_anna, lab, push, make_records, assert_holds
):
    push(path, URL)
    done = call("forget", "--clip", WHO, "--remote", URL, "--yes")
    assert done.exit_code == 0 and "Older commits" in done.output and "--squash-history" in done.output
    assert known_there(open_store(URL), [WHO]).known == {} and told_of_anna(lab)
    done = call("forget", "--clip", WHO, "--remote", URL, "--yes", "--squash-history")
    assert done.exit_code == 0 and "squashed" in done.output
    assert told_of_anna(lab) == [] and len(lab.commits) == 1
    assert_holds(package.open(URL)["hubert"], make_records(24))


def test_a_push_after_compaction_says_what_remains_and_takes_it_away_when_told(path, with_anna, lab, push):
    push(path, URL)
    assert call("forget", "--clip", WHO, "--cache", path, "--yes").exit_code == 0
    assert call("gc", "--compact", "--yes", "--cache", path).exit_code == 0
    done = call("push", URL, "--cache", path, "--i-have-rights")
    assert "Older commits" in done.output and told_of_anna(lab)
    done = call("push", URL, "--cache", path, "--i-have-rights", "--squash-history", "--json")
    assert json.loads(done.stdout)["remains"] == "" and told_of_anna(lab) == []


def test_a_repository_that_is_not_there_or_not_open_is_told_without_the_token(
    path, filled, lab, hub, push, caplog
):
    with pytest.raises(StoreError, match="no such dataset repository"):
        push(path, "hf://lab/other")
    push(path, URL)
    hub.needs_token = True
    assert package.open(URL)["hubert"]
    os.environ["HF_TOKEN"] = "hf_wrongAndNeverToBeSeen"
    with caplog.at_level("DEBUG"), pytest.raises(StoreError, match="HF_TOKEN") as told:
        open_cache(URL)
    said = caplog.text + str(told.value) + repr(told.value.__context__)
    assert "NeverToBeSeen" not in said and "signature" not in said


@pytest.mark.parametrize(
    "url",
    ["hf://lab", "hf://datasets/lab/features", "hf://lab/features/../x", "hf://hf_key@lab/features", "hf://../x",
     "hf://lab/features@a@b", "hf://lab/features?token=hf_key", "hf://lab/fea tures", "hf://lab/features/a//x"],
)  # fmt: skip
def test_urls_that_name_no_repository_are_refused_and_not_repeated(url):
    with pytest.raises(ConfigError, match="hf://OWNER/NAME") as told:
        open_cache(url)
    assert "hf_key" not in str(told.value)


def test_pulled_by_the_folded_url_that_a_path_makes(
    path, filled, lab, push, tmp_path, assert_holds, make_records
):
    push(path, URL)
    list(Pull(open_store("hf:/lab/features"), tmp_path / "copy.zarr").run())
    assert_holds(open_cache(tmp_path / "copy.zarr")["hubert"], make_records(24))
