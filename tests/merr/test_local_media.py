"""Models on this machine look at peaks and listen to voices: tiny ones in the real format, taught or not."""

import json
import shutil
import wave

import numpy as np
import pytest
from PIL import Image

from emo.corpora import write_manifest
from emo.corpora.merr_files import read_entries
from emo.errors import CheckpointError, ConfigError, RightsError
from emo.labels import MER2023
from emo.merr.asking import Ledger
from emo.merr.cases import Pending
from emo.merr.describing import TONES, ModelTeller, picture_task, voice_task
from emo.merr.explainers import describer_for, ledger_for, listener_for
from emo.merr.folder import BuildFolder
from emo.merr.models.source import source_of
from emo.merr.sounds import read_wav, wav_bytes
from emo.seeds import generator
from emo.services import Reply

RATE = 16_000


def picture(level):
    return np.full((96, 128, 3), level, np.uint8)


def hum(hertz):
    return (0.3 * np.sin(np.arange(2 * RATE) * 2 * np.pi * hertz / RATE)).astype(np.float32)


def hiss(number):
    return generator("hiss", number).normal(0, 0.1, 2 * RATE).astype(np.float32)


@pytest.fixture(scope="session")
def eyes(teach, llava_next, tmp_path_factory):
    """Says "Dark walls." of dark pictures and "Light walls." of light ones."""
    task = picture_task(MER2023)
    pairs = [({"images": picture(0)}, "Dark walls."), ({"images": picture(255)}, "Light walls.")]
    return teach(llava_next, tmp_path_factory.mktemp("taught") / "eyes", task.told + task.in_words, pairs)


@pytest.fixture(scope="session")
def ears(teach, qwen2_audio, tmp_path_factory):
    """Says "angry" of a hiss and "calm" of a hum."""
    task = voice_task()
    pairs = [
        ({"audio": [sound], "sampling_rate": RATE}, tone)
        for sound, tone in ((hiss(0), "angry"), (hum(210), "calm"))
    ]
    return teach(qwen2_audio, tmp_path_factory.mktemp("taught") / "ears", task.told + task.in_words, pairs)


@pytest.fixture(scope="session")
def three(clips, built, tmp_path_factory):
    """A manifest of three clips whose face bears their label out."""
    kept = read_entries(built / "MERR_coarse_grained.json")
    path = tmp_path_factory.mktemp("three") / "manifest.jsonl"
    write_manifest(path, [clip for clip in clips if clip.clip_id in kept][:3])
    return path


@pytest.fixture
def few(three, typed, tmp_path):
    """Build the three."""

    def run(*words):
        fixed = ("--out", few_out, "--labels", "mer2023", "--jobs", "1", "--json")
        return typed("build", three, *fixed, *words)

    few_out = run.out = tmp_path / "few"
    return run


def captions(out):
    return [str(entry["caption"]) for entry in read_entries(out / "MERR_coarse_grained.json").values()]


def kept(out, kind):
    return sorted(path for path in (out / kind).rglob("*") if path.is_file())


def test_a_model_here_is_shown_the_very_picture_and_played_the_very_sound(eyes, ears, tmp_path):
    from emo.config.merr import MerrConfig, ServiceConfig

    service = ServiceConfig(describe=f"local:{eyes}", listen=f"local:{ears}")
    ledger = ledger_for(tmp_path / "out", service)
    look, listen = describer_for(service, MerrConfig(), ledger), listener_for(service, ledger)
    for level, word in ((20, "Dark walls."), (235, "Light walls.")):
        Image.fromarray(picture(level)).save(tmp_path / "p.jpg")
        assert look.tell(tmp_path / "p.jpg") == word
    for sound, word in ((hiss(7), "angry"), (hum(215), "calm")):
        (tmp_path / "s.wav").write_bytes(wav_bytes(sound, RATE))
        assert listen.tell(tmp_path / "s.wav") == word


def test_what_models_here_say_gets_into_captions_and_clues_and_the_card_says_who(few, eyes, ears, contents):
    words = ("--describe", f"local:{eyes}", "--listen", f"local:{ears}")
    run = few(*words)
    assert (run.code, run.told["coarse"]) == (0, 3), run.said
    assert run.told["answers"]["pictures"] == run.told["answers"]["voices"] == {"usable": 3, "unusable": 0}
    for entry in read_entries(few.out / "MERR_coarse_grained.json").values():
        assert str(entry["caption"]).startswith(("Dark walls. ", "Light walls. "))
        assert entry["audio_prior_list"] in ("speaks in an angry tone", "speaks in a calm tone")
        assert str(entry["audio_prior_list"]).split()[-2] in str(entry["caption"])
    card = (few.out / "README.md").read_text()
    for folder, task in ((eyes, picture_task(MER2023)), (ears, voice_task())):
        assert f"| {source_of(str(folder)).name} | 3 | 0 |" in card
        assert task.told + task.in_words in card
    assert "random weights" not in card
    before = {**contents(few.out)}
    written = [path.stat().st_mtime_ns for path in kept(few.out, "answers")]
    assert len(written) == 6
    assert few(*words, "--most-requests", "6").code == 0
    assert contents(few.out) == before
    assert [path.stat().st_mtime_ns for path in kept(few.out, "answers")] == written


def test_untrained_models_are_called_so_and_nothing_they_say_is_used(few, llava_next, qwen2_audio):
    plain = few()
    without = captions(few.out)
    run = few("--describe", f"local:{llava_next}", "--listen", f"local:{qwen2_audio}")
    assert (plain.code, run.code) == (0, 0), run.said
    assert run.told["answers"]["pictures"] == run.told["answers"]["voices"] == {"usable": 0, "unusable": 3}
    assert captions(few.out) == without, "the voice is described from its sound instead"
    assert (few.out / "README.md").read_text().count(", random weights) | 0 | 3 |") == 2


def test_no_more_of_a_sound_is_kept_than_a_model_hears(few, ears, monkeypatch):
    monkeypatch.setattr("emo.merr.clues.LONGEST_S", 0.25)
    assert few("--listen", f"local:{ears}").code == 0
    with wave.open(str(kept(few.out, "sounds")[0])) as file:
        assert file.getnframes() == RATE // 4


def test_sounds_are_kept_only_while_somebody_listens(few, ears):
    assert few("--listen", f"local:{ears}").code == 0
    sounds = kept(few.out, "sounds")
    assert len(sounds) == 3
    with wave.open(str(sounds[0])) as file:
        assert (file.getframerate(), file.getnchannels()) == (RATE, 1)
        assert 0.5 < file.getnframes() / RATE <= 30
    sounds[0].unlink()
    assert few("--listen", f"local:{ears}").code == 0 and len(kept(few.out, "sounds")) == 3
    assert few().code == 0 and kept(few.out, "sounds") == []


def test_a_sound_comes_back_from_its_file_and_is_cut_where_it_is_too_loud():
    sound = np.array([0.0, 0.5, -0.5, 1.0, -1.0, 3.0], np.float32)
    np.testing.assert_allclose(read_wav(wav_bytes(sound, RATE)), np.clip(sound, -1, 1), atol=1e-4)


def test_a_server_is_played_a_wav_and_says_one_of_ten_tones(few, server):
    pytest.importorskip("openai")
    said = iter(['{"tone": "joyful"}', '{"tone": "bored"}', '{"tone": "calm", "label": "sad"}'])
    server.answer = lambda request: next(said)
    words = ("--listen", server.url, "--listen-model", "ears", "--concurrency", "1")
    run = few(*words)
    assert (run.code, run.told["answers"]["voices"]) == (0, {"usable": 1, "unusable": 2}), run.said
    assert sum("joyful" in caption for caption in captions(few.out)) == 1
    content = server.requests[0]["messages"][1]["content"]
    assert [part["type"] for part in content] == ["input_audio"]
    schema = server.requests[0]["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["tone"]["enum"] == list(TONES)
    assert few(*words).code == 0 and len(server.requests) == 3


def test_a_server_that_is_down_leaves_clips_waiting_and_says_why(few, server):
    pytest.importorskip("openai")
    server.answer = lambda request: 503
    words = ("--listen", server.url, "--listen-model", "ears", "--tries", "1")
    run = few(*words)
    assert run.code == 3 and len(run.told["pending"]) == 3
    assert all("answered 503" in why for why in run.told["pending"].values())
    server.answer = lambda request: '{"tone": "calm"}'
    assert few(*words).code == 0
    assert all("calm" in caption for caption in captions(few.out))


def test_voices_do_not_go_to_another_machine_unasked_nor_against_their_licence(few):
    away = ("--listen", "https://api.example.org/v1", "--listen-model", "ears")
    assert "--send-media-to api.example.org" in str(few(*away).error)
    allowed = few(*away, "--send-media-to", "api.example.org", "--rights", "mer2023")
    assert isinstance(allowed.error, RightsError)
    assert "Name it with --listen-model" in str(few("--listen", "http://127.0.0.1:9/v1").error)


class Sayer:
    """Answers always the same."""

    identity = "sayer"

    def __init__(self, text, whole=True):
        self.reply = Reply(text=text, tokens=1, whole=whole)

    def ask(self, messages, schema, *, most_tokens):
        return self.reply


@pytest.mark.parametrize(
    ("task", "in_words", "text", "heard"),
    [
        (voice_task(), True, "The voice is Calm.", "calm"),
        (voice_task(), True, "calm or joyful", ""),
        (voice_task(), True, "none of them", ""),
        (voice_task(), False, "calm", ""),
        (voice_task(), False, '{"tone": ["calm"]}', ""),
        (voice_task(), False, '[{"tone": "calm"}]', ""),
        (voice_task(), False, '{"tone": "calm"}', "calm"),
        (picture_task(MER2023), True, "A man\nat a desk.", "A man at a desk."),
        (picture_task(MER2023), True, "A sad man at a desk.", ""),
        (picture_task(MER2023), True, "See http://evil.example for it.", ""),
        (picture_task(MER2023), True, "``` a desk", ""),
        (picture_task(MER2023), True, "A man at a desk.</feature> A man.", ""),
        (picture_task(MER2023), True, "j\ufffd\ufffdc at a desk", ""),
        (picture_task(MER2023), True, "(*(*(*(*(* n", ""),
        (picture_task(MER2023), False, '{"description": "A desk.", "label": "x"}', ""),
        (picture_task(MER2023), False, "[" * 100_000, ""),
    ],
)
def test_an_answer_is_read_as_asked_or_says_nothing(task, in_words, text, heard, tmp_path):
    (tmp_path / "media").write_bytes(b"bytes")
    ledger = Ledger(BuildFolder(tmp_path / "out"))
    assert ModelTeller(Sayer(text), ledger, task, in_words=in_words).tell(tmp_path / "media") == heard


def test_a_description_that_was_cut_off_says_nothing_and_a_budget_leaves_it_waiting(tmp_path):
    (tmp_path / "media").write_bytes(b"bytes")
    (tmp_path / "other").write_bytes(b"other bytes")
    ledger = Ledger(BuildFolder(tmp_path / "out"), most_requests=1)
    teller = ModelTeller(Sayer("A man at a", whole=False), ledger, picture_task(MER2023), in_words=True)
    assert teller.tell(tmp_path / "media") == ""
    assert isinstance(teller.tell(tmp_path / "other"), Pending)
    asked = ModelTeller(Sayer("A man."), ledger, picture_task(("happy",)), in_words=False)
    assert isinstance(asked.tell(tmp_path / "media"), Pending), "another task is another question"


def test_models_that_cannot_be_asked_are_told_before_anything_is_read(few, eyes, ears, tmp_path):
    assert "is shown audio, not image" in str(few("--describe", f"local:{ears}").error)
    assert "is shown image, not audio" in str(few("--listen", f"local:{eyes}").error)
    assert isinstance(few("--describe", "local:llava").error, ConfigError)
    mute = shutil.copytree(eyes, tmp_path / "mute")
    config = json.loads((mute / "config.json").read_text())
    (mute / "config.json").write_text(json.dumps(config | {"model_type": "llava_onevision"}))
    found = few("--describe", f"local:{mute}", "--dry-run")
    assert found.code == 0, "of a type that transformers calls image-text-to-text"
    (mute / "config.json").write_text("{}")
    assert isinstance(few("--describe", f"local:{mute}").error, CheckpointError)
    assert not few.out.exists()
