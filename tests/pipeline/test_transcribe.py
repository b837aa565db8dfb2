"""emo transcribe: words of the manifest win, what is heard is kept at once, nothing else of a row changes."""

import csv
import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from emo.cli.main import emo as command
from emo.cli.main import exit_code
from emo.corpora.manifest import read_manifest
from emo.errors import CheckpointError, ConfigError, MissingDependency
from emo.pipeline.transcribe import transcribe
from emo.testing import write_clip


def pitch(sound):
    """Hears the pitch of a tone: words that belong to the sound, by a hearer that runs here."""
    spectrum = np.abs(np.fft.rfft(sound))
    return f"{round(spectrum.argmax() * 16_000 / len(sound), -1):.0f} hertz"


def never():
    raise AssertionError("nothing has to be heard")


@pytest.fixture
def manifest(folder):
    """Rows: `a` with words, `b` (330 Hz) and `still` without, `mute` without a sound, and no media."""
    write_clip(folder / "still.mp4", [np.zeros((64, 64, 3), np.uint8)] * 5, np.zeros(8000, np.float32))
    (folder / "bad.mp4").write_bytes(b"no media")
    rows = [
        {"path": "a.mp4", "text": "given", "mine": {"kept": 1}},
        {"path": "b.mp4", "text": ""},
        {"clip_id": "quiet", "path": "still.mp4"},
        {"path": "mute.mp4"},
        {"path": "bad.mp4"},
    ]
    path = folder / "manifest.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def heard(place, out, hears=lambda: pitch, **options):
    return transcribe(place, out, hears, who=options.pop("who", "pitch"), jobs=1, **options)


def texts(path):
    return {clip.clip_id: clip.text for clip in read_manifest(path)}


def test_given_words_win_silence_is_no_words_and_trouble_is_listed(manifest, tmp_path):
    result = heard(manifest, tmp_path / "out.jsonl")
    assert (result.clips, result.given, result.heard, result.silent) == (5, 1, 1, 1)
    assert [(one.clip_id, one.status) for one in result.unheard] == [
        ("mute", "missing:no_audio"),
        ("bad", "failed:unreadable"),
    ]
    assert texts(tmp_path / "out.jsonl") == {
        "a": "given",
        "b": "330 hertz",
        "quiet": "",
        "mute": "",
        "bad": "",
    }
    assert read_manifest(tmp_path / "out.jsonl")[1].path.samefile(manifest.parent / "b.mp4")
    assert texts(manifest)["b"] == ""


def test_in_place_every_other_key_stays(manifest):
    heard(manifest, manifest)
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    assert rows[0] == {"path": "a.mp4", "text": "given", "mine": {"kept": 1}}
    assert rows[1] == {"path": "b.mp4", "text": "330 hertz"}
    assert rows[2] == {"clip_id": "quiet", "path": "still.mp4"}


def test_csv_stays_csv(manifest):
    manifest.unlink()
    table = manifest.with_suffix(".csv")
    table.write_text('path,remark\nb.mp4,"a, b"\na.mp4,\n', encoding="utf-8")
    heard(table, table)
    with table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[0] == {"path": "b.mp4", "remark": "a, b", "text": "330 hertz"}
    assert rows[1]["text"] == "220 hertz"


def test_what_is_no_text_in_a_row_is_json_in_a_cell(manifest, tmp_path):
    heard(manifest, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert json.loads(rows[0]["mine"]) == {"kept": 1}


def test_a_folder_without_a_manifest_gets_one(folder, tmp_path):
    result = heard(folder, tmp_path / "out.jsonl")
    assert result.heard == 2
    assert texts(tmp_path / "out.jsonl") == {"a": "220 hertz", "b": "330 hertz", "mute": ""}


def test_a_run_that_was_stopped_goes_on_and_what_was_heard_is_heard_once(folder, tmp_path):
    out = tmp_path / "out.jsonl"

    def stopping():
        calls = []

        def hear(sound):
            calls.append(1)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return pitch(sound)

        return hear

    with pytest.raises(KeyboardInterrupt):
        heard(folder, out, stopping)
    assert not out.exists()
    with (tmp_path / "out.jsonl.heard.jsonl").open("a") as stream:
        stream.write('["torn')
    calls = []
    assert heard(folder, out, lambda: lambda sound: calls.append(1) or pitch(sound)).heard == 2
    assert len(calls) == 1
    out.unlink()
    (folder / "mute.mp4").unlink()
    assert heard(folder, out, never).heard == 2


def test_other_sounds_and_other_hearers_are_heard_anew(folder, tmp_path):
    heard(folder, tmp_path / "out.jsonl")
    (tmp_path / "out.jsonl").unlink()
    (folder / "a.mp4").write_bytes((folder / "b.mp4").read_bytes())
    heard(folder, tmp_path / "out.jsonl")
    assert texts(tmp_path / "out.jsonl")["a"] == "330 hertz"
    (tmp_path / "out.jsonl").unlink()
    heard(folder, tmp_path / "out.jsonl", lambda: lambda sound: "else", who="another")
    assert texts(tmp_path / "out.jsonl")["a"] == "else"


def test_words_corrected_in_the_result_are_kept(folder, tmp_path):
    out = tmp_path / "out.jsonl"
    heard(folder, out)
    out.write_text(out.read_text().replace("220 hertz", "by hand"))
    assert heard(folder, out).given == 2
    assert texts(out)["a"] == "by hand"


def ask(*words):
    return CliRunner().invoke(command, ["transcribe", *map(str, words)])


@pytest.mark.parametrize("words", [[], ["--in-place", "--out", "x.jsonl"]])
def test_it_has_to_be_said_where_the_words_go(manifest, words):
    assert ask(manifest, *words).exit_code == 2


def test_the_manifest_is_not_overwritten_by_the_way(manifest):
    ran = ask(manifest, "--out", manifest)
    assert ran.exit_code == 2
    assert "--in-place" in ran.output


def test_a_missing_extra_and_no_clips_are_told(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    ran = ask(folder, "--out", tmp_path / "out.jsonl")
    assert isinstance(ran.exception, MissingDependency)
    assert exit_code(ran.exception) == 8
    assert "pip install 'emo-toolkit[asr]'" in str(ran.exception)
    assert not (tmp_path / "out.jsonl").exists()
    for place in (tmp_path / "gone", tmp_path / "gone.jsonl"):
        assert isinstance(ask(place, "--out", tmp_path / "out.jsonl").exception, ConfigError)


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    """A tiny Whisper of one language with random weights, in CTranslate2's layout."""
    pytest.importorskip("faster_whisper", reason="the extra asr is not installed")
    from ctranslate2.converters import TransformersConverter
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import (
        PreTrainedTokenizerFast,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
    )

    place = tmp_path_factory.mktemp("whisper")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={letter: at for at, letter in enumerate(letters)}, merges=[]))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    special = ["endoftext", "startoftranscript", "en", "zh", "translate", "transcribe", "startoflm"]
    special += ["startofprev", "nospeech", "notimestamps"]
    made.add_special_tokens([AddedToken(f"<|{name}|>", special=True) for name in special])
    of = {name: made.token_to_id(f"<|{name}|>") for name in special}
    config = WhisperConfig(
        vocab_size=made.get_vocab_size() + 1501,
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        decoder_start_token_id=of["startoftranscript"],
        pad_token_id=of["endoftext"],
        bos_token_id=of["endoftext"],
        eos_token_id=of["endoftext"],
        suppress_tokens=[],
        begin_suppress_tokens=[of["endoftext"]],
    )
    model = WhisperForConditionalGeneration(config)
    model.generation_config.suppress_tokens = []
    model.generation_config.begin_suppress_tokens = [of["endoftext"]]
    model.generation_config.lang_to_id = {f"<|{name}|>": of[name] for name in ("en", "zh")}
    model.save_pretrained(place / "hf")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, unk_token=None, eos_token="<|endoftext|>")
    tokenizer.save_pretrained(place / "hf")
    WhisperFeatureExtractor().save_pretrained(place / "hf")
    copied = ["tokenizer.json", "preprocessor_config.json"]
    TransformersConverter(str(place / "hf"), copy_files=copied).convert(str(place / "ct2"))
    return place / "ct2"


@pytest.mark.parametrize("language", [["--language", "en"], []])
def test_a_whisper_hears_no_words_where_nobody_speaks(whisper, manifest, tmp_path, language):
    words = [manifest, "--out", tmp_path / "out.jsonl", "--model", whisper, "--json", *language]
    ran = ask(*words, "--jobs", 1)
    assert ran.exit_code == 3, (ran.output, ran.exception)
    told = json.loads(ran.stdout)
    assert (told["given"], told["heard"], told["silent"], len(told["unheard"])) == (1, 0, 2, 2)


def test_a_whisper_says_the_same_of_the_same_sound(whisper, monkeypatch):
    from emo.pipeline import speech_to_text

    monkeypatch.setattr(speech_to_text, "NO_SPEECH", 1.0)
    monkeypatch.setattr("faster_whisper.transcribe.get_speech_timestamps", everything)
    hears = speech_to_text.FasterWhisper(str(whisper))
    sound = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) / 10
    first = hears(sound)
    assert first
    assert hears(sound) == first
    monkeypatch.setattr(speech_to_text, "NO_SPEECH", -1.0)
    assert hears(sound) == ""


def everything(sound, *options):
    """Speech from the beginning to the end: noise is none to the real detector."""
    return [{"start": 0, "end": len(sound)}]


def test_models_and_languages_that_are_not_there_are_told(whisper, tmp_path):
    from emo.pipeline.speech_to_text import FasterWhisper

    with pytest.raises(ConfigError, match="no language 'klingon'"):
        FasterWhisper(str(whisper), language="klingon")
    with pytest.raises(CheckpointError, match="no speech model 'no-such-size'"):
        FasterWhisper("no-such-size")
    with pytest.raises(CheckpointError, match=r"no tokenizer\.json"):
        FasterWhisper(str(tmp_path))
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match="no speech model"):
        FasterWhisper(str(tmp_path))
