"""Other systems asked about clips: tiny random peers in their real format, a server that is shown frames."""

import base64
import io
import json
import os
import shutil
import subprocess
import sys
import wave

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from emo.cache import open_cache
from emo.cli.main import emo as command
from emo.cli.main import exit_code
from emo.corpora import clips_in
from emo.corpora.declared import load_rights
from emo.errors import CheckpointError, ConfigError, RightsError, ServiceDown
from emo.labels import MER2023
from emo.merr.models.media import Shown
from emo.pipeline.contender_media import shown
from emo.pipeline.contenders import question, run_digest
from emo.pipeline.peers import peer
from emo.testing import drawn_face, tone, write_clip
from emo.views import ViewProblem

LABELS = ["--labels", "mer2023"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Three clips with picture and sound of two speakers, one of them mute."""
    folder = tmp_path_factory.mktemp("clips")
    rows = []
    for number, label in enumerate(("happy", "sad", "angry")):
        face = np.roll(drawn_face(64, 48), number, axis=1)
        write_clip(folder / f"{number}.mp4", [face] * 12, None if number == 2 else tone(0.5))
        rows.append(
            {
                "clip_id": f"c{number}",
                "path": f"{number}.mp4",
                "label": label,
                "text": 'He said "sad".' if number == 0 else "",
                "speaker": f"s{number % 2}",
                "split": "test",
            }
        )
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def typed(place, system, out, *more):
    where = ["--manifest", str(place), "--out", str(out), "--cache", str(out / "none.zarr"), "--json"]
    return CliRunner().invoke(command, ["-q", "evaluate", "--system", system, *where, *LABELS, *more])


def rows_of(out):
    return [json.loads(line) for line in (out / "answers.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "look"),
    [("video_llava", "video"), ("video_llava", "image"), ("llava_next", "image"), ("qwen2_audio", "audio")],
)
def test_a_peer_answers_for_the_same_clips_and_what_names_no_label_is_invalid(
    name, look, place, tmp_path, request
):
    folder = request.getfixturevalue(name)
    ran = typed(place, f"hf:{folder}", tmp_path, "--look", look, "--frames", "4")
    assert ran.exit_code == 0, (ran.output, ran.exception)
    told, rows = json.loads(ran.stdout), rows_of(tmp_path)
    assert (told["n"], told["clusters"]) == (3, 2)
    assert told["invalid_rate"] == pytest.approx(sum(row["label"] is None for row in rows) / 3)
    assert all("neutral, angry, happy, sad, worried, surprise" in row["asked"] for row in rows)
    assert rows[0]["asked"].startswith('The person says: "He said \\"sad\\"."')
    assert [row["problem"].partition(":")[0] for row in rows] == [
        "",
        "",
        "missing" if look == "audio" else "",
    ]
    before = (tmp_path / "answers.jsonl").read_text()
    lines = before.splitlines(keepends=True)
    (tmp_path / "answers.jsonl").write_text("".join(lines[:1]) + lines[1][:30])  # a kill tore the second line
    assert typed(place, f"hf:{folder}", tmp_path, "--look", look, "--frames", "4").exit_code == 0
    assert (tmp_path / "answers.jsonl").read_text() == before


def test_a_peer_is_asked_greedily_whatever_its_folder_says_of_sampling(video_llava, tmp_path):
    sampling = tmp_path / "sampling"
    shutil.copytree(video_llava, sampling)
    told = json.loads((video_llava / "generation_config.json").read_text())
    hot = {"do_sample": True, "temperature": 50.0, "top_k": 0}
    (sampling / "generation_config.json").write_text(json.dumps(told | hot))
    seen = Shown(frames=np.stack([drawn_face(64, 48)] * 4))
    greedy, asked = (peer(str(folder)) for folder in (video_llava, sampling))
    expected = greedy.ask("Which of these emotions?", seen, MER2023)
    with torch.random.fork_rng(devices=[]):
        for seed in range(3):
            torch.manual_seed(seed)
            assert asked.ask("Which of these emotions?", seen, MER2023) == expected


def test_only_safetensors_of_a_known_type_are_loaded_and_the_hub_at_a_commit(qwen2_audio, tmp_path):
    pickled = tmp_path / "pickled"
    shutil.copytree(qwen2_audio, pickled)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"no \*\.safetensors"):
        peer(str(pickled))
    config = json.loads((qwen2_audio / "config.json").read_text())
    (pickled / "config.json").write_text(json.dumps(config | {"model_type": "own_code"}))
    with pytest.raises(CheckpointError, match="own_code"):
        peer(str(pickled))
    with pytest.raises(ConfigError, match="a branch moves"):
        peer("Qwen/Qwen2-Audio-7B-Instruct@main")
    with pytest.raises(ConfigError, match="is shown audio, not video"):
        peer(str(qwen2_audio), look="video")


def test_frames_are_spread_over_the_clip_and_a_cut_begins_where_it_says(tmp_path):
    from emo.clip import Clip

    pictures = [np.full((48, 64, 3), 10 * number, np.uint8) for number in range(20)]
    write_clip(tmp_path / "a.mp4", pictures, None)
    rate = 25
    whole = shown(Clip(clip_id="a", path=tmp_path / "a.mp4"), "video", 4)
    assert np.allclose(whole.frames.mean(axis=(1, 2, 3)), [20, 70, 120, 170], atol=12)
    half = Clip(clip_id="a", path=tmp_path / "a.mp4", start=10 / rate, end=20 / rate)
    assert np.allclose(shown(half, "video", 2).frames.mean(axis=(1, 2, 3)), [125, 175], atol=12)
    assert isinstance(shown(half, "audio", 1), ViewProblem)


def test_a_server_gets_frames_and_the_labels_and_is_not_asked_twice(place, server, tmp_path):
    pytest.importorskip("openai")
    said = iter(['{"label": "happy"}', "I cannot say.", '{"label": "angry"}'])
    server.answer = lambda request: next(said)
    words = ["--url", server.url, "--frames", "3"]
    ran = typed(place, "service:gpt", tmp_path, *words)
    assert ran.exit_code == 0, (ran.output, ran.exception)
    assert json.loads(ran.stdout)["invalid_rate"] == pytest.approx(1 / 3)
    assert {request["model"] for request in server.requests} == {"gpt"}
    content = server.requests[0]["messages"][1]["content"]
    assert [part["type"] for part in content] == ["image_url"] * 3 + ["text"]
    data = content[0]["image_url"]["url"].removeprefix("data:image/jpeg;base64,")
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (64, 48)
    schema = server.requests[0]["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["label"]["enum"] == list(MER2023)
    (tmp_path / "answers.jsonl").unlink()
    assert typed(place, "service:gpt", tmp_path, *words).exit_code == 0  # answered from what was paid for
    assert len(server.requests) == 3


def test_a_server_that_is_to_listen_gets_the_sound_as_wav(place, server, tmp_path):
    pytest.importorskip("openai")
    server.answer = lambda request: '{"label": "sad"}'
    ran = typed(place, "service:gpt-audio", tmp_path, "--url", server.url, "--look", "audio")
    assert ran.exit_code == 0, (ran.output, ran.exception)
    assert [row["problem"].partition(":")[0] for row in rows_of(tmp_path)] == ["", "", "missing"]
    assert len(server.requests) == 2  # the mute clip is not asked about
    told, asked = server.requests[0]["messages"]
    assert "hear the sound" in told["content"] and "frames" not in told["content"]
    assert [part["type"] for part in asked["content"]] == ["input_audio", "text"]
    sent = asked["content"][0]["input_audio"]
    assert sent["format"] == "wav"
    with wave.open(io.BytesIO(base64.b64decode(sent["data"]))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        heard = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32767
    whole = shown(clips_in(place)[0][0], "audio", 1).sound
    np.testing.assert_allclose(heard, np.clip(whole, -1, 1), atol=1 / 32767)


def test_a_budget_and_a_dead_server_leave_what_is_answered(place, server, tmp_path):
    pytest.importorskip("openai")
    server.answer = lambda request: '{"label": "sad"}'
    spent = typed(place, "service:gpt", tmp_path, "--url", server.url, "--most-requests", "1")
    assert isinstance(spent.exception, ConfigError)
    assert "2 clips wait: the budget of 1 requests is spent" in str(spent.exception)
    assert len(rows_of(tmp_path)) == 1
    server.answer = lambda request: 401
    refused = typed(place, "service:gpt", tmp_path, "--url", server.url)
    assert isinstance(refused.exception, ConfigError | ServiceDown)
    server.answer = lambda request: '{"label": "sad"}'
    assert typed(place, "service:gpt", tmp_path, "--url", server.url).exit_code == 0


def test_pictures_leave_this_machine_only_where_host_and_rights_allow_it(place, tmp_path):
    away = ["--url", "http://models.example/v1"]
    unnamed = typed(place, "service:gpt", tmp_path, *away)
    assert "add --send-media-to models.example" in str(unnamed.exception)
    forbidden = typed(
        place, "service:gpt", tmp_path, *away, "--send-media-to", "models.example", "--rights", "mer2023"
    )
    assert isinstance(forbidden.exception, RightsError)
    assert exit_code(forbidden.exception) == 9
    heard = typed(place, "service:gpt", tmp_path, *away, "--look", "audio")
    assert "the sound of people would go to models.example" in str(heard.exception)
    assert not (tmp_path / "answers.jsonl").exists()


@pytest.mark.parametrize("dataset", ["meld", "one nobody describes"])
def test_a_data_set_that_the_manifest_names_is_not_sent_unless_its_owner_allows_it(place, tmp_path, dataset):
    rows = [json.loads(line) for line in (place / "manifest.jsonl").read_text().splitlines()]
    whole = [{**row, "path": str(place / row["path"]), "dataset": dataset} for row in rows]
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, whole)))
    away = ["--url", "http://models.example/v1", "--send-media-to", "models.example"]
    ran = typed(tmp_path, "service:gpt", tmp_path / "out", *away)
    assert isinstance(ran.exception, RightsError) and "--rights NAME|FILE" in str(ran.exception)


def test_the_question_holds_the_label_set_and_the_words_as_data(place):
    clip = clips_in(place)[0][0]
    asked = question(clip, ["happy", "sad"])
    assert asked == (
        'The person says: "He said \\"sad\\"." Which of these emotions does the person express: happy, sad? '
        "Answer with one word of this list."
    )


def test_what_the_cache_knows_of_its_data_forbids_sending_too(place, tmp_path):
    open_cache(tmp_path / "none.zarr", "a").unite([load_rights("mer2023")])
    words = ["--url", "http://models.example/v1", "--send-media-to", "models.example"]
    ran = typed(place, "service:gpt", tmp_path, *words)
    assert isinstance(ran.exception, RightsError)
    assert "mer2023 (EULA: research only, no passing on): may not be sent to models.example" in str(
        ran.exception
    )


def test_a_peer_of_the_hub_is_fetched_at_its_commit_without_code_and_pickles(qwen2_audio, hub, tmp_path):
    repository = hub.make("me/tiny", kind="models")
    for path in qwen2_audio.iterdir():
        repository.add(path.name, path.read_bytes(), large=path.suffix == ".safetensors")
    repository.add("modeling_own.py", b"raise SystemExit('code ran')")
    repository.add("pytorch_model.bin", b"pickle")
    commit = repository.branches["main"]
    code = (
        "import json; from emo.merr.models.source import source_of; "
        f"found = source_of('me/tiny@{commit}'); "
        "print(json.dumps([found.name, found.origin, sorted(p.name for p in found.folder.iterdir())]))"
    )
    environment = {**os.environ, **hub.environment, "HF_HOME": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=240
    )
    assert ran.returncode == 0, ran.stderr
    name, origin, names = json.loads(ran.stdout.splitlines()[-1])
    assert name == f"me/tiny at {commit} on this machine, random weights"
    assert origin == {"repo": "me/tiny", "commit": commit}
    assert "model.safetensors" in names
    assert not {"modeling_own.py", "pytorch_model.bin"} & set(names)


def test_a_run_is_of_whom_is_asked_among_which_labels_and_what_is_shown():
    class Known:
        look, at_once = "video", 1

        def __init__(self, weights="a"):
            self.identity = {"weights": weights}

    one = run_digest(Known(), ("happy", "sad"), 8)
    assert one == run_digest(Known(), ("happy", "sad"), 8)
    others = [run_digest(Known(), ("happy", "angry"), 8), run_digest(Known(), ("happy", "sad"), 1)]
    assert len({one, *others, run_digest(Known("b"), ("happy", "sad"), 8)}) == 4
