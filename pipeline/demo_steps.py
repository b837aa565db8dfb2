"""Steps that the demo and the ablation share: clips, features, the tiny base and a LLaMA stage on it.

What is rendered, extracted or made under the folder already is kept. Scores nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from emo.cache import Space, open_cache
from emo.clip import Clip
from emo.config.corpus import CorpusConfig
from emo.config.demo import DemoConfig
from emo.config.llm import LlmConfig
from emo.corpora.manifest import read_manifest
from emo.corpora.rendered.corpus import render_corpus
from emo.extractors import make_encoder
from emo.labels import MER2023
from emo.llm.examples import ClipTexts
from emo.llm.tiny.base import make_tiny_base
from emo.llm.training.events import StageEvent, StepDone
from emo.llm.training.runs import Manner, RunStarted, run_llm
from emo.pipeline.extract import extract
from emo.pipeline.merr_texts import read_texts
from emo.pipeline.score import score_answers
from emo.pipeline.systems import System, answer_all

OnEvent = Callable[[str, float, float, str], None]
CLIPS, STORE, BASE = "clips", "features.zarr", "base"


def rendered_clips(out: Path, config: DemoConfig, jobs: int, say: OnEvent) -> list[Clip]:
    """The corpus under `out`."""
    train, val, test = config.shares
    corpus = CorpusConfig(clips=config.clips, seed=config.seed, train=train, val=val, test=test)
    for done, _ in enumerate(render_corpus(out / CLIPS, corpus, jobs=jobs), start=1):
        say("render", done, config.clips, "")
    return read_manifest(out / CLIPS / "manifest.jsonl")


def extracted_spaces(
    out: Path, clips: Sequence[Clip], config: DemoConfig, jobs: int, say: OnEvent
) -> dict[str, Space]:
    """The features of `clips`, by encoder."""
    extract(
        clips,
        config.encoders,
        out / STORE,
        preset=config.preset,
        jobs=jobs,
        on_progress=lambda event: say("extract", event.done, event.total, event.clip_id),
    )
    cache = open_cache(out / STORE)
    return {name: cache.space(make_encoder(name, preset=config.preset).spec) for name in config.encoders}


def texts_and_base(
    out: Path, clips: Sequence[Clip], config: DemoConfig, say: OnEvent
) -> tuple[list[ClipTexts], str]:
    """The texts of `clips`, and the folder of a base that has read those of the training clips."""
    texts = read_texts(out / CLIPS, clips)
    seen = {clip.clip_id for clip in clips if clip.split == "train"}
    own = [text for text in texts if text.clip_id in seen]
    base = replace(config.base, seed=config.seed)
    for progress in make_tiny_base(own, MER2023, out / BASE, base):
        say(f"base: {progress.phase}", progress.done, progress.total, "")
    return texts, str(out / BASE)


def train_on_base(
    clips: Sequence[Clip],
    texts: Sequence[ClipTexts],
    spaces: Mapping[str, Space],
    base: str,
    recipe: LlmConfig,
    run: Path,
    *,
    seed: int,
    say: OnEvent,
) -> Iterator[StageEvent]:
    """The events of a LLaMA stage that reads `spaces`, trained from the start and saved as `run`."""
    over = Manner(fresh=True)
    for event in run_llm(clips, texts, spaces, base, recipe, run, seed=seed, manner=over):
        if isinstance(event, RunStarted):
            continue
        if isinstance(event, StepDone):
            say(f"llm: {event.stage}", event.step, event.steps, f"loss {event.loss:.3f}")
        yield event


def shuffled_f1(
    system: System, clips: Sequence[Clip], spaces: Mapping[str, Space], *, permutations: int
) -> float:
    """Mean weighted F1 with every clip's features taken from another clip."""
    own = {name: spaces[name] for name in system.arrays}
    scores = []
    for seed in range(permutations):
        answers = list(answer_all(system, clips, own, reasons=False, shuffle_seed=seed))
        scores.append(score_answers(clips, answers, system.labels).scores.weighted_f1)
    return sum(scores) / len(scores)
