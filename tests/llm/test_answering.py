"""A trained folder answers: predict, calibrate and evaluate from cached features, as a user types them."""

import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file
from torch.testing import assert_close

from emo.cache import open_cache
from emo.cli.calibrate import calibrate
from emo.cli.evaluate import evaluate
from emo.cli.llm import llm as cli_llm
from emo.cli.predict import predict
from emo.clip import Clip
from emo.config.decoding import Decoding
from emo.config.heads import HeadConfig
from emo.config.llm import StageConfig
from emo.corpora import write_manifest
from emo.corpora.manifest import read_manifest
from emo.errors import CheckpointError, ConfigError, MissingDependency, StaleCache
from emo.evaluation.published import load_published, published_names
from emo.heads.runs import run_head
from emo.labels import MER2023, parse_label
from emo.llm.base import load_base
from emo.llm.build import assemble
from emo.llm.checkpoint import Card, save_checkpoint
from emo.llm.embeddings import prompt_embeddings
from emo.llm.generation import generate
from emo.llm.merge import merge_checkpoint
from emo.llm.official.text import official_label
from emo.llm.serving import prompt_vectors, read_prompts, vllm_answers
from emo.pipeline import predict as predicting
from emo.pipeline.answers import Answer
from emo.pipeline.calibration import FILE, read_calibration
from emo.pipeline.embeddings import embeddings_spec, store_embeddings
from emo.pipeline.evaluation import reproduce
from emo.pipeline.predict import spaces_of
from emo.pipeline.systems import LlamaSystem, answer_all, batches, load_system
from emo.records import Record

ABSENT = 7  # a clip without MAE


@pytest.fixture
def place(base, batch, texts, config, kit, tmp_path):
    """A folder with a run, a base, a cache and a manifest; the weights are random but not at rest."""
    base.llama.save_pretrained(tmp_path / "base")
    base.tokenizer.save_pretrained(tmp_path / "base")
    loaded = load_base(str(tmp_path / "base"))
    taught = replace(config, stages={"fine": StageConfig(tasks={"emotion": 1.0, "explain": 1.0})})
    model = assemble(loaded, kit.dims, taught, None, seed=3)
    with torch.no_grad():
        for value in model.trained().values():
            value.add_(torch.randn(value.shape, generator=torch.Generator().manual_seed(5)) * 0.05)
    card = Card(config=taught, dims=kit.dims, sources=batch.sources, base=loaded.reference,
                base_digest=loaded.digest)  # fmt: skip
    save_checkpoint(model, card, tmp_path / "run")
    save_checkpoint(model, replace(card, sources={}), tmp_path / "unknown")
    fill(open_cache(tmp_path / "features.zarr", "a"), batch, texts)
    splits = ["train"] * 12 + ["val"] * 12 + ["test"] * 12
    write_manifest(
        tmp_path / "manifest.jsonl",
        [
            Clip(clip_id=text.clip_id, path=tmp_path / f"{text.clip_id}.mp4", text=text.text,
                 label=text.label, speaker=text.speaker, split=split)
            for text, split in zip(texts, splits, strict=True)
        ],
    )  # fmt: skip
    return tmp_path


def fill(cache, batch, texts):
    for name, source in batch.sources.items():
        with cache.create(source.spec).writer("none") as sink:
            for row, text in enumerate(texts):
                values = batch.values[name][row].numpy().astype("float16")
                record = Record(clip_id=text.clip_id, arrays={source.array: values})
                absent = name == "mae" and row == ABSENT
                sink.put(replace(record, status="missing:no_face", arrays={}) if absent else record)


def opened(place, run="run", **options):
    system = load_system(place / run, decoding=Decoding(max_new_tokens=8), **options)
    force = options.get("force", False)
    clips = read_manifest(place / "manifest.jsonl")
    return system, clips, spaces_of(system, open_cache(place / "features.zarr"), force=force)


def typed(command, place, *words, run="run"):
    fixed = ["--model", str(place / run), "--cache", str(place / "features.zarr")]
    if command is predict:
        fixed += ["--max-new-tokens", "8"]
    else:
        fixed += ["--manifest", str(place / "manifest.jsonl")]
    return CliRunner().invoke(command, [*words, *fixed], catch_exceptions=False)


@pytest.fixture
def stored(place, monkeypatch):
    """`emo predict` finds every feature stored: nothing is decoded, as there are no media."""
    monkeypatch.setattr(predicting, "extract", lambda *_, **__: None)
    return place


def test_batches_answer_as_one_and_say_what_is_missing(place):
    system, clips, spaces = opened(place)
    together = list(answer_all(system, clips[:9], spaces))
    alone = [next(iter(answer_all(system, [clip], spaces))) for clip in clips[:9]]
    assert [one.text for one in together] == [one.text for one in alone]
    for one, other in zip(together, alone, strict=True):
        assert one.label == other.label and one.missing == other.missing
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
        assert one.confidence == (one.probabilities[one.label] if one.label else 0)
    assert together[ABSENT].missing == ("mae",) and not together[0].missing


def test_the_shuffled_control_moves_features_and_not_words(place):
    system, clips, spaces = opened(place)
    (part, mixed), *_ = batches(system, clips, spaces, shuffle_seed=1)
    (_, own), *_ = batches(system, clips, spaces)
    assert mixed.clip_ids == own.clip_ids == tuple(clip.clip_id for clip in part)
    assert not torch.equal(mixed.values["hubert"], own.values["hubert"])


def test_calibration_is_fitted_on_validation_clips_and_used(place):
    system, clips, spaces = opened(place)
    raw = [answer.probabilities for answer in answer_all(system, clips, spaces, reasons=False)]
    told = json.loads(typed(calibrate, place, "--json").stdout)
    assert told["n"] == 12
    assert told["nll"][1] < told["nll"][0]
    stored = json.loads((place / "run" / FILE).read_text())
    assert stored["fitted"]["split"] == "validation" and stored["bias"] == {}
    again, clips, spaces = opened(place)
    temperature = again.calibration.temperature
    assert temperature == pytest.approx(told["temperature"]) != 1
    for answer, before in zip(answer_all(again, clips, spaces, reasons=False), raw, strict=True):
        powers = np.array([before[label] for label in MER2023]) ** (1 / temperature)
        assert_close(list(answer.probabilities.values()), list(powers / powers.sum()), rtol=1e-3, atol=1e-5)


def test_test_clips_do_not_change_the_calibration(place):
    typed(calibrate, place)
    before = (place / "run" / FILE).read_text()
    clips = read_manifest(place / "manifest.jsonl")
    flipped = [replace(clip, label="sad") if clip.split == "test" else clip for clip in clips]
    write_manifest(place / "manifest.jsonl", flipped)
    typed(calibrate, place)
    assert (place / "run" / FILE).read_text() == before
    flipped = [replace(clip, label="sad") if clip.split == "val" else clip for clip in clips]
    write_manifest(place / "manifest.jsonl", flipped)
    typed(calibrate, place)
    assert (place / "run" / FILE).read_text() != before


def test_calibration_of_other_weights_is_refused(place):
    typed(calibrate, place, "--bias")
    assert len(read_calibration(place / "run", MER2023).bias) == len(MER2023)
    (place / "unknown" / FILE).write_text((place / "run" / FILE).read_text())
    stored = json.loads((place / "run" / FILE).read_text())
    stored["weights"]["projectors.safetensors"] = "0" * 64
    (place / "run" / FILE).write_text(json.dumps(stored))
    with pytest.raises(CheckpointError, match="emo calibrate"):
        load_system(place / "run")
    (place / "run" / FILE).write_text("{}")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_system(place / "run")
    typed(calibrate, place)
    load_system(place / "run")


@pytest.fixture
def headed(stored):
    """Beside the LLaMA stage a trained head, whose every answer is a label."""
    _, clips, spaces = opened(stored)
    arrays = {"hubert": "utterance", "mae": "utterance", "videomae": "utterance", "eva": "tokens:mean"}
    run = run_head(clips, spaces, MER2023, HeadConfig(head="concat", epochs=2, arrays=arrays))
    run.trained.save(stored / "head")
    return stored


def test_answers_below_the_threshold_are_withheld(headed):
    words = [str(headed / "manifest.jsonl"), "--json"]

    def rows(*more):
        return [
            json.loads(line) for line in typed(predict, headed, *words, *more, run="head").stdout.splitlines()
        ]

    free = rows()
    limit = sorted(row["confidence"] for row in free)[18]
    held = rows("--abstain-below", str(limit))
    for one, other in zip(free, held, strict=True):
        assert other["abstained"] is (one["confidence"] < limit)
        assert other["label"] == (None if other["abstained"] else one["label"])
    assert sum(row["abstained"] for row in held) == 18
    plain = typed(predict, headed, str(headed / "manifest.jsonl"), "--abstain-below", str(limit), run="head")
    assert plain.stdout.count(": abstained ") == 18


def test_a_withheld_answer_gives_no_reason_and_no_label_is_no_abstention():
    sure = Answer(
        clip_id="a", label="sad", probabilities={"sad": 0.4, "happy": 0.6}, confidence=0.4, text="So sad."
    )
    assert sure.unless_below(0.4) is sure
    held = sure.unless_below(0.5)
    assert (held.label, held.text, held.abstained, held.confidence) == (None, "", True, 0.4)
    invalid = replace(sure, label=None, confidence=0.0)
    assert invalid.unless_below(0.5) is invalid


def test_a_head_is_calibrated_evaluated_and_has_no_embeddings(headed):
    told = json.loads(typed(calibrate, headed, "--bias", "--json", run="head").stdout)
    assert told["nll"][1] < told["nll"][0]
    told = json.loads(typed(evaluate, headed, "--json", "--abstain-below", "0.3", run="head").stdout)
    withheld = told["abstain_below"]
    assert withheld["scores"]["n"] == round(withheld["coverage"] * 12) > 0
    for asked in (["--embeddings", str(headed / "e.zarr")], ["--stream"]):
        with pytest.raises(ConfigError, match="only a LLaMA stage"):
            typed(predict, headed, str(headed / "manifest.jsonl"), *asked, run="head")
    with pytest.raises(ConfigError, match="a head gives none"):
        typed(evaluate, headed, "--recipe", "mer2023-semi", run="head")


def test_an_answer_file_goes_on_where_it_stopped(stored):
    manifest, out = str(stored / "manifest.jsonl"), stored / "answers.jsonl"
    typed(predict, stored, manifest, "--out", str(out))
    whole = out.read_bytes()
    lines = whole.splitlines(keepends=True)
    assert len(lines) == 36
    out.write_bytes(b"".join(lines[:20]) + lines[20][:30])
    told = typed(predict, stored, manifest, "--out", str(out))
    assert out.read_bytes() == whole
    assert "20 of 36 clips are answered" in told.stderr
    with pytest.raises(ConfigError, match="other weights, settings or features"):
        typed(predict, stored, manifest, "--out", str(out), "--temperature", "0.5")
    out.write_bytes(b"{}\n" + whole)
    with pytest.raises(ConfigError, match="line 1 is no answer"):
        typed(predict, stored, manifest, "--out", str(out))


def test_an_answer_file_is_of_one_precision_llama_and_words_and_of_the_same_features(stored, batch):
    write_manifest(stored / "few.jsonl", read_manifest(stored / "manifest.jsonl")[:3])
    manifest, out = str(stored / "few.jsonl"), str(stored / "answers.jsonl")

    def answer(*words):
        return typed(predict, stored, manifest, "--out", out, "--no-reasons", *words)

    answer()
    with pytest.raises(ConfigError, match="other weights, settings or features"):
        answer("--dtype", "bfloat16")
    shutil.copytree(stored / "base", stored / "other")
    config = json.loads((stored / "other" / "config.json").read_text())
    (stored / "other" / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-3}))
    with pytest.raises(ConfigError, match="other weights, settings or features"):
        answer("--base", str(stored / "other"), "--force")
    assert "3 of 3 clips are answered" in answer().stderr
    clips = read_manifest(stored / "few.jsonl")
    write_manifest(stored / "few.jsonl", [*clips[:2], replace(clips[2], text="Other words.")])
    with pytest.raises(ConfigError, match=f"line 3: .*{clips[2].clip_id}"):
        answer()
    write_manifest(stored / "few.jsonl", clips)
    store = open_cache(stored / "features.zarr", "a")
    source = batch.sources["hubert"]
    with store.space(source.spec).writer("none") as sink:
        values = batch.values["hubert"][1].numpy().astype("float16")
        sink.put(Record(clip_id=clips[0].clip_id, arrays={source.array: values}, input_sha256=b"1" * 32))
    with pytest.raises(ConfigError, match=f"line 1: .*{clips[0].clip_id}"):
        answer()


def test_a_stream_reads_as_the_answers_do(stored):
    write_manifest(stored / "two.jsonl", read_manifest(stored / "manifest.jsonl")[:2])
    told = typed(predict, stored, str(stored / "two.jsonl"))
    streamed = typed(predict, stored, str(stored / "two.jsonl"), "--stream")
    assert streamed.stdout == told.stdout
    with pytest.raises(ConfigError, match="--stream"):
        typed(predict, stored, str(stored / "two.jsonl"), "--stream", "--json")


def test_sampled_reasons_repeat_with_their_seed(stored):
    def reasons(*words):
        rows = typed(predict, stored, str(stored / "manifest.jsonl"), "--json", *words).stdout.splitlines()
        return [json.loads(row)["text"] for row in rows]

    drawn = ("--temperature", "1.5", "--top-p", "0.9")
    assert reasons(*drawn) == reasons(*drawn) != reasons(*drawn, "--seed", "1")


def test_embeddings_become_a_space_that_heads_can_read(place, config):
    system, clips, spaces = opened(place)
    target = open_cache(place / "embeddings.zarr", "a")
    made = list(store_embeddings(system, place / "run", clips[:5], spaces, target))
    assert made == [clip.clip_id for clip in clips[:5]]
    space = open_cache(place / "embeddings.zarr").space("emotion-llama")
    ((part, batch),) = batches(system, clips[:5], spaces)
    found = prompt_embeddings(system.model, system.template, system.questions(part), batch)
    for row, clip in enumerate(clips[:5]):
        np.testing.assert_array_equal(space[clip.clip_id].arrays["utterance"], found.answer[row].numpy())
        np.testing.assert_array_equal(space[clip.clip_id].arrays["prefix"], found.prefix[row].numpy())
    assert not list(store_embeddings(system, place / "run", clips[:5], spaces, target))
    changed = [replace(clips[0], text="Other words.")]
    assert list(store_embeddings(system, place / "run", changed, spaces, target)) == [clips[0].clip_id]
    assert space.spec == embeddings_spec(system, place / "run", spaces)


def test_the_prefix_is_that_of_the_features_and_the_answer_that_of_the_question(place):
    system, clips, spaces = opened(place)
    ((part, batch),) = batches(system, clips[6:8], spaces)
    prompts = system.questions(part)
    both = prompt_embeddings(system.model, system.template, prompts, batch)
    swapped = prompt_embeddings(system.model, system.template, prompts[::-1], batch)
    assert_close(both.prefix, swapped.prefix, rtol=0, atol=1e-5)
    assert not torch.allclose(both.answer, swapped.answer, atol=1e-3)
    for row in range(2):
        own = prompt_embeddings(system.model, system.template, prompts[row : row + 1], batch.take([row]))
        assert_close(own.prefix[0], both.prefix[row], rtol=0, atol=1e-5)
        assert_close(own.answer[0], both.answer[row], rtol=0, atol=1e-5)
        spliced = system.model.embed(prompts[row : row + 1], batch.take([row]))
        count = int(system.model.embed([system.template.head], batch.take([row])).lengths)
        with torch.no_grad():
            hidden = system.model.hidden(spliced)[0]
        assert_close(own.prefix[0], hidden[:count].mean(0), rtol=0, atol=1e-5)


def test_evaluation_scores_calibrates_and_reports(place):
    told = json.loads(
        typed(evaluate, place, "--json", "--out", str(place / "out"), "--abstain-below", "0.2").stdout
    )
    assert told["n"] == told["calibration"]["n"] == 12
    assert 0 <= told["calibration"]["ece"]["value"] <= 1
    assert told["abstain_below"]["threshold"] == 0.2
    page = (place / "out/report.html").read_text()
    for heading in ("Results", "Calibration", "Answering only when sure", "no calibration was fitted"):
        assert heading.lower() in page.lower()
    assert json.loads((place / "out/scores.json").read_text())["weighted_f1"] == told["weighted_f1"]
    rows = [json.loads(line) for line in (place / "out/answers.jsonl").read_text().splitlines()]
    assert len(rows) == 12 and all("truth" in row for row in rows)


def test_features_of_another_recipe_are_refused_unless_forced(place, batch, texts, kit):
    other = {name: replace(source, spec=kit.spec(name, version=2)) for name, source in batch.sources.items()}
    fill(open_cache(place / "other.zarr", "a"), replace(batch, sources=other), texts)
    cache = open_cache(place / "other.zarr")
    with pytest.raises(StaleCache, match="hubert"):
        spaces_of(load_system(place / "run"), cache)
    assert set(spaces_of(load_system(place / "run", force=True), cache, force=True)) == set(other)


def test_weights_of_unknown_features_answer_with_a_note(stored):
    told = typed(predict, stored, str(stored / "manifest.jsonl"), "--json", run="unknown")
    assert "does not say which features" in told.stderr and "hubert/" in told.stderr
    known = typed(predict, stored, str(stored / "manifest.jsonl"), "--json")
    assert [json.loads(row)["text"] for row in told.stdout.splitlines()] == [
        json.loads(row)["text"] for row in known.stdout.splitlines()
    ]
    assert "does not say" not in known.stderr


def test_unknown_features_of_another_size_are_refused(place, kit, batch, texts):
    system = load_system(place / "unknown")
    system.dims = {**system.dims, "hubert": 1024}
    with pytest.raises(StaleCache, match=r"1024 numbers.*utterance of 12"):
        spaces_of(system, open_cache(place / "features.zarr"))


def test_a_published_recipe_reads_in_both_ways_beside_what_was_expected(place):
    system, clips, spaces = opened(place, "unknown")
    recipe = load_published("mer2023-semi")
    recipe = replace(recipe, max_new_tokens=12)
    found = reproduce(system, recipe, clips, spaces)
    assert found.official.predicted == tuple(official_label(text) for text in found.said)
    assert found.strict.predicted == tuple(parse_label(text, MER2023) for text in found.said)
    assert found.strict.scores.invalid_rate > 0 == found.official.scores.invalid_rate
    assert [each.expected.value for each in found.compared] == [0.9036, 0.9032, 0.9045, 0.81]
    assert found.compared[0].got.point == found.official.scores.weighted_f1
    assert any("36 clips here, 834" in note for note in found.notes)


def test_a_recipe_asks_in_the_official_layout_with_its_labels(place, monkeypatch):
    from emo.pipeline import evaluation

    asked = []
    monkeypatch.setattr(
        evaluation, "generate", lambda _, prompts, *__: asked.extend(prompts) or ["happy"] * len(prompts)
    )
    system, clips, spaces = opened(place)
    reproduce(system, load_published("mer2023-semi"), clips, spaces)
    assert asked[0][0] == "<s>[INST] <video>"
    assert asked[0][-1].endswith("worried, surprise, fear, contempt, doubt.  [/INST]")
    asked.clear()
    reproduce(system, load_published("mer2024-noise"), clips, spaces)
    assert asked[0][-1].endswith("sad, neutral, angry, worried, surprise.  [/INST]")


def test_a_recipe_is_evaluated_as_typed(place):
    out = place / "semi"
    words = ["--recipe", "mer2023-semi", "--split", "test", "--out", str(out)]
    told = typed(evaluate, place, *words, run="unknown").stdout
    assert "expected 0.9036 (checkpoint_best.pth; paper" in told and "got 0." in told
    assert "strict reading" in told
    assert "Expected and got" in (out / "report.html").read_text()
    rows = [json.loads(line) for line in (out / "answers.jsonl").read_text().splitlines()]
    assert len(rows) == 12 and all("said" in row for row in rows)
    with pytest.raises(ConfigError, match="abstain"):
        typed(evaluate, place, *words, "--abstain-below", "0.5")


@pytest.mark.parametrize("name", published_names())
def test_every_published_recipe_names_its_source(name):
    recipe = load_published(name)
    assert recipe.expected and all(each.source and each.weights for each in recipe.expected)
    assert recipe.name == name
    assert not recipe.support or sum(recipe.support.values()) == recipe.n


def test_mistakes_in_a_recipe_are_all_named(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text("name: own\nmetrik: uar\nreading: guess\n")
    with pytest.raises(ConfigError) as caught:
        load_published(str(file))
    assert "metrik" in str(caught.value) and "reading" in str(caught.value)


def test_exported_prompts_answer_the_same_in_a_plain_llama(place):
    """Merged weights and embeddings are all that an engine needs: transformers' own generate agrees."""
    from transformers import AutoModelForCausalLM

    llama = merge_checkpoint(place / "run", place / "merged")
    write_manifest(place / "few.jsonl", read_manifest(place / "manifest.jsonl")[5:9])
    out = place / "prompts.safetensors"
    fixed = ["--model", str(place / "merged"), "--cache", str(place / "features.zarr"), "--out", str(out)]
    CliRunner().invoke(cli_llm, ["export-prompts", str(place / "few.jsonl"), *fixed], catch_exceptions=False)
    prompts = read_prompts(out)
    system, clips, spaces = opened(place)
    ((part, batch),) = batches(system, clips[5:9], spaces)
    expected = generate(system.model, system.questions(part), batch, Decoding(max_new_tokens=6))
    plain = AutoModelForCausalLM.from_pretrained(llama).eval()
    assert list(prompts) == [clip.clip_id for clip in part]
    for vector, text in zip(prompts.values(), expected, strict=True):
        ids = plain.generate(
            inputs_embeds=vector[None],
            attention_mask=torch.ones(1, len(vector), dtype=torch.long),
            max_new_tokens=6,
            do_sample=False,
            pad_token_id=0,
        )
        assert system.model.codec.text(ids[0].tolist()) == text


def test_prompts_without_ids_are_refused(tmp_path):
    save_file({"0": torch.zeros(2, 3)}, tmp_path / "x.safetensors")
    with pytest.raises(ConfigError, match="export-prompts"):
        read_prompts(tmp_path / "x.safetensors")


def test_vllm_answers_from_exported_prompts(place):
    pytest.importorskip("vllm", reason="vLLM is not installed: the road to it ends at the exported files")
    llama = merge_checkpoint(place / "run", place / "merged")
    system, clips, spaces = opened(place)
    ((part, batch),) = batches(system, clips[:4], spaces)
    vectors = prompt_vectors(system.model, system.questions(part), batch)
    prompts = {clip.clip_id: vector for clip, vector in zip(part, vectors, strict=True)}
    expected = generate(system.model, system.questions(part), batch, Decoding(max_new_tokens=6))
    told = vllm_answers(llama, prompts, Decoding(max_new_tokens=6), dtype="float32", enforce_eager=True)
    assert list(told.values()) == expected


def test_without_vllm_the_message_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(MissingDependency, match="pip install vllm"):
        vllm_answers(tmp_path, {}, Decoding())


def test_a_model_that_was_never_taught_to_explain_a_label_is_asked_the_open_question(place):
    system, clips, _ = opened(place)
    answer = Answer(clip_id=clips[0].clip_id, label="sad", probabilities={})
    assert "The label is sad" in system._why(clips[0], answer)[-1]
    stages = {"official": StageConfig(tasks={"emotion": 1.0})}
    plain = LlamaSystem(system.model, replace(system.card, config=replace(system.card.config, stages=stages)))
    assert "[reason]" in plain._why(clips[0], answer)[-1] and "sad" not in plain._why(clips[0], answer)[-1]
