"""Tiny bases of each LLaMA family, saved as the real ones are: loaded, trained, scored, generated, saved."""

import json
from dataclasses import dataclass, replace

import pytest
import torch

from emo.config.decoding import Decoding
from emo.config.llm import LoraSettings
from emo.labels import MER2023
from emo.llm.base import load_base
from emo.llm.build import assemble
from emo.llm.checkpoint import load_checkpoint
from emo.llm.examples import ask, question
from emo.llm.features import HeldFeatures
from emo.llm.generation import generate
from emo.llm.prompts import TEMPLATES
from emo.llm.scoring import label_log_likelihoods
from emo.llm.tokens import TextCodec
from emo.llm.training.events import StepDone
from emo.llm.training.runs import run_stages

SIZE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "initializer_range": 0.15,
}

GROUPED = {"num_key_value_heads": 2}


@dataclass(frozen=True)
class Family:
    """How a family differs: its classes, its attention, its tokenizer and the tokens that open and close."""

    kind: str
    settings: dict
    sentencepiece: bool
    bos: str | None
    eos: str
    marks: tuple[str, ...] = ()


FAMILIES = {
    "llama-2": Family("Llama", {"num_key_value_heads": 4}, True, "<s>", "</s>"),
    "llama-3": Family(
        "Llama",
        {
            "num_key_value_heads": 2,
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 500000.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 128,
            },
        },
        False,
        "<|begin_of_text|>",
        "<|eot_id|>",
        ("<|start_header_id|>", "<|end_header_id|>"),
    ),
    "qwen2.5": Family(
        "Qwen2",
        GROUPED | {"tie_word_embeddings": True},
        False,
        None,
        "<|im_end|>",
        ("<|im_start|>",),
    ),
    "qwen3": Family(
        "Qwen3",
        GROUPED | {"head_dim": 16, "tie_word_embeddings": True},
        False,
        None,
        "<|im_end|>",
        ("<|im_start|>",),
    ),
    "mistral": Family("Mistral", {"num_key_value_heads": 2, "sliding_window": None}, True, "<s>", "</s>"),
    "mistral-window": Family(
        "Mistral", {"num_key_value_heads": 2, "sliding_window": 24}, True, "<s>", "</s>"
    ),
}


def tokenizer_of(family, words):
    """A trained tokenizer in the class that the family's own repositories name."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    special = [token for token in ("<unk>", family.bos, family.eos, *family.marks) if token]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=family.sentencepiece))
    if family.sentencepiece:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        alphabet = []
        special += [f"<0x{byte:02X}>" for byte in range(256)]
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(words, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    merges = [tuple(pair) for pair in model["merges"]]
    cls = transformers.LlamaTokenizer if family.sentencepiece else transformers.Qwen2Tokenizer
    extra = {"additional_special_tokens": list(family.marks)} if family.marks else {}
    return cls(
        vocab=model["vocab"], merges=merges, unk_token="<unk>", bos_token=family.bos, eos_token=family.eos,
        pad_token=None, **extra,
    )  # fmt: skip


@pytest.fixture(scope="module", params=FAMILIES)
def saved(request, texts, tmp_path_factory):
    """The family and a directory of it."""
    import transformers

    family = FAMILIES[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    words = [f"{text.caption} {text.reason} {text.label}" for text in texts]
    tokenizer = tokenizer_of(family, words)
    config = getattr(transformers, f"{family.kind}Config")(
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **SIZE,
        **family.settings,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        llama = getattr(transformers, f"{family.kind}ForCausalLM")(config)
    llama.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return family, folder


@pytest.fixture
def family(saved):
    return saved[0]


@pytest.fixture
def codec(saved):
    return TextCodec(load_base(str(saved[1])).tokenizer)


@pytest.fixture
def built(saved, kit, config):
    return assemble(load_base(str(saved[1])), kit.dims, config, None, seed=0).eval()


def asked(texts):
    return [ask(TEMPLATES["emo"], question(text, "emotion", MER2023)) for text in texts]


def test_prompts_and_answers_open_and_close_as_the_tokenizer_says(codec, family):
    tokenizer = codec.tokenizer
    assert codec.bos == ((tokenizer.convert_tokens_to_ids(family.bos),) if family.bos else ())
    assert codec.answer("happy")[-1] == codec.eos == tokenizer.convert_tokens_to_ids(family.eos)
    assert codec.bos != (codec.eos,)
    for piece in ("[INST] <video>", "so it is", "happy"):
        assert not {codec.eos, *codec.bos}.intersection(codec.segment(piece))


def test_an_answer_is_the_same_words_as_in_the_middle_of_a_text(codec):
    for label in MER2023:
        ids = codec.answer(label, end=False)
        assert codec.segment(f"so it is {label}")[-len(ids) :] == ids
        assert codec.text(codec.answer(label)) == label


def test_marks_of_chat_models_are_single_tokens(codec, family):
    for mark in family.marks:
        assert len(codec.segment(mark)) == 1


def test_adapters_sit_on_queries_and_values_of_every_layer(built):
    adapters = [name for name in built.trained() if "lora_" in name]
    assert len(adapters) == 2 * 2 * 2
    assert all(("q_proj" in name) != ("v_proj" in name) for name in adapters)


@torch.no_grad()
def test_scores_are_those_of_reading_each_label_by_itself(built, texts, batch):
    rows = batch.take([0, 1, 2])
    prompts = asked(texts[:3])
    scores = label_log_likelihoods(built, prompts, rows, MER2023)
    whole = any(len(built.codec.answer(label, end=False)) > 1 for label in MER2023)
    for column, label in enumerate(MER2023):
        for row, prompt in enumerate(prompts):
            answer = built.codec.answer(label, end=whole)
            loss = built.answer_loss(built.embed([prompt], rows.take([row]), [answer]))
            assert float(scores[row, column]) == pytest.approx(-float(loss.total), abs=2e-4)


@torch.no_grad()
def test_greedy_generation_takes_the_likeliest_token_of_a_whole_forward(built, texts, batch):
    rows, prompts = batch.take([0, 1]), asked(texts[:2])
    together = generate(built, prompts, rows, Decoding(max_new_tokens=6))
    for row, prompt in enumerate(prompts):
        ids = []
        while len(ids) < 6 and (not ids or ids[-1] != built.codec.eos):
            spliced = built.embed([prompt], rows.take([row]), [ids])
            ids.append(int(built.logits(built.hidden(spliced)[0, -1]).argmax()))
        assert together[row] == built.codec.text(ids)


def trained(saved, kit, config, texts, layout, out):
    """Losses of two steps that each see every clip with both of its tasks; the checkpoint is in `out`."""
    stage = replace(config.stages["coarse"], tasks_per_clip=2, batch_size=24, layout=layout, warmup_lr=1e-3)
    settings = replace(
        config, lora=LoraSettings(rank=4, alpha=2, dropout=0.0), stages={"only": stage}, standardise=False
    )
    features = HeldFeatures(kit.features(texts))
    events = list(run_stages(load_base(str(saved[1])), features, texts[:12], [], settings, out, seed=0))
    return [event.loss for event in events if isinstance(event, StepDone)]


def test_two_steps_are_the_same_packed_and_padded_and_are_loaded_again(
    saved, family, kit, config, texts, batch, tmp_path
):
    padded = trained(saved, kit, config, texts, "padded", tmp_path / "padded")
    assert len(padded) == 2
    prompts, rows = asked(texts[:2]), batch.take([0, 1])
    scores = label_log_likelihoods(load_checkpoint(tmp_path / "padded").model, prompts, rows, MER2023)
    packed = trained(saved, kit, config, texts, "packed", tmp_path / "packed")
    assert packed == pytest.approx(padded, rel=1e-4)
    again = label_log_likelihoods(load_checkpoint(tmp_path / "packed").model, prompts, rows, MER2023)
    assert torch.allclose(scores, again, atol=1e-3)
