"""Projectors aligned with the words of a LLaMA: clips, features, texts and word vectors put together.

Chooses on validation speakers and scores test speakers once. Neither trains a LLaMA nor loads one.

Axes: B batch, H hidden size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from emo.clip import Clip
from emo.config.llm import LlmConfig
from emo.config.projector import ProjectorConfig
from emo.errors import ConfigError
from emo.evaluation.metrics import Scores, majority_scores
from emo.evaluation.scored import Scored, score
from emo.heads.aligned import AlignedProjectors, Receiver, alignment
from emo.heads.aligning import Clips, align
from emo.heads.alignment import UNKNOWN, Told
from emo.heads.batches import FeatureBatch
from emo.heads.loader import FeatureSpace
from emo.heads.provenance import code_commit
from emo.heads.splits import Splits, split_clips
from emo.heads.standardise import Standardiser
from emo.heads.trained import EpochMetrics
from emo.llm.build import STANDARDISER_CLIPS, spread_over
from emo.llm.examples import ClipTexts
from emo.llm.features import Features, open_features, slot_arrays
from emo.llm.training.split import has_features
from emo.llm.word_vectors import WordVectors, load_word_vectors

READ_CLIPS = 64  # clips whose features are held at once, before they are condensed


@dataclass(frozen=True, kw_only=True, slots=True)
class ProjectorRun:
    """Trained projectors and their scores as a label scorer on `scored_split`: test, or val without one.

    `captions` are the training clips that have one. `unasked` clips of that split have another label than
    the label set, and are not scored.
    """

    trained: AlignedProjectors
    splits: Splits
    captions: int
    scored_split: str
    predicted: Mapping[str, str]
    result: Scored
    majority: Scores
    unasked: int

    def to_json(self) -> dict[str, object]:
        """Plain JSON of the run."""
        trained = self.trained
        return {
            "slots": list(trained.model.projectors),
            "kinds": dict(trained.config.kinds),
            "fusion": trained.config.fusion,
            "labels": list(trained.labels),
            "features": {name: source.spec.fingerprint for name, source in trained.sources.items()},
            "base_digest": trained.receiver.digest,
            "clips": {
                "train": len(self.splits.train),
                "val": len(self.splits.val),
                "test": len(self.splits.test),
            },
            "captions": self.captions,
            "best_epoch": trained.best_epoch,
            "epochs": len(trained.history),
            "scored_split": self.scored_split,
            "unasked": self.unasked,
            "result": self.result.to_json(),
            "majority_weighted_f1": self.majority.weighted_f1,
            "seed": trained.config.seed,
            "commit": trained.commit,
        }


def train_projectors(
    clips: Sequence[Clip],
    texts: Sequence[ClipTexts],
    spaces: Mapping[str, FeatureSpace],
    base: str,
    labels: Sequence[str],
    recipe: LlmConfig,
    config: ProjectorConfig,
    *,
    on_epoch: Callable[[EpochMetrics], None] | None = None,
) -> ProjectorRun:
    """Train on the clips' train split, choose on val, score once on test.

    The split, slots, arrays and z-scores are those that `emo train-llm` has with this `recipe` and seed.
    Clips without any feature are left out. Raises what `split_clips`, `load_features`, `load_word_vectors`
    and `align` raise, and ConfigError for fewer than two labels.
    """
    if len(set(labels)) < 2 or len(set(labels)) < len(labels):
        raise ConfigError(f"labels {', '.join(labels) or 'none'}: name two or more, each once.")
    config = replace(config, kinds={**recipe.projectors, **config.kinds}, val_share=recipe.val_share)
    usable = [clip for clip in clips if has_features(clip, spaces)]
    splits = split_clips(usable, val_share=config.val_share, seed=config.seed)
    scored_split, asked = ("test", splits.test) if splits.test else ("val", splits.val)
    ids = [clip.clip_id for part in (splits.train, splits.val, splits.test) for clip in part]
    features = open_features(spaces, ids, slot_arrays(tuple(spaces), recipe.arrays), missing_ok=True)
    words = load_word_vectors(base)
    fresh = _untrained(features, splits.train, words, labels, recipe, config)
    by_id = {text.clip_id: text for text in texts}
    train, val = (_clips(fresh, features, part, by_id, words) for part in (splits.train, splits.val))
    course = align(fresh.model, train, val, fresh.words - fresh.centre, labels, config, on_epoch=on_epoch)
    fresh.model.rescale(train.batch, config.scale * words.spread)
    trained = replace(
        fresh, history=course.history, best_epoch=course.best_epoch, sources=dict(features.sources)
    )
    scored = [clip for clip in asked if clip.label in labels]
    predicted = _answers(trained, features, scored)
    truth = [str(clip.label) for clip in scored]
    return ProjectorRun(
        trained=trained,
        splits=splits,
        captions=int(train.told.captioned.sum()),
        scored_split=scored_split,
        predicted={clip.clip_id: label for clip, label in zip(scored, predicted, strict=True)},
        result=score(truth, predicted, labels, [clip.speaker for clip in scored], seed=config.seed),
        majority=majority_scores(
            [str(clip.label) for clip in splits.train if clip.label in labels], truth, labels
        ),
        unasked=len(asked) - len(scored),
    )


def other_labels(
    trained: AlignedProjectors, labels: Sequence[str], base: str | None, *, force: bool = False
) -> AlignedProjectors:
    """`trained` before labels it was never trained on, told by the words of its LLaMA at `base`, or where it
    was in training. ConfigError where that is another LLaMA, unless `force` and it has as many numbers."""
    words = load_word_vectors(base or trained.receiver.reference)
    if words.digest != trained.receiver.digest and not force:
        raise ConfigError(
            f"the projectors know the words of a LLaMA with digest {trained.receiver.digest[:16]}, "
            f"{words.reference} has {words.digest[:16]}. Give the right one with --base, or force it."
        )
    return trained.relabelled(labels, words.of(labels))


def _untrained(
    features: Features,
    train: Sequence[Clip],
    words: WordVectors,
    labels: Sequence[str],
    recipe: LlmConfig,
    config: ProjectorConfig,
) -> AlignedProjectors:
    """Fresh projectors for what the features are; the standardiser is fitted as emo.llm.build does."""
    known = [clip.clip_id for clip in train]
    sample = features.read(spread_over(known, STANDARDISER_CLIPS if recipe.standardise else 1))
    hidden = words.matrix.shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = alignment(recipe.slots, sample.dims, hidden, config)
    vectors = words.of(labels)
    return AlignedProjectors(
        model=model,
        slots=tuple(model.projectors),
        labels=tuple(labels),
        words=vectors,
        centre=vectors.mean(dim=0),
        dims=sample.dims,
        sources=dict(features.sources),
        standardiser=Standardiser.fit(sample) if recipe.standardise else None,
        receiver=Receiver(reference=words.reference, digest=words.digest, hidden=hidden),
        config=config,
        commit=code_commit(),
    )


def _clips(
    trained: AlignedProjectors,
    features: Features,
    clips: Sequence[Clip],
    texts: Mapping[str, ClipTexts],
    words: WordVectors,
) -> Clips:
    """Condensed features of the clips, and what is told of them."""
    places = {label: place for place, label in enumerate(trained.labels)}
    captions = [texts[clip.clip_id].caption if clip.clip_id in texts else "" for clip in clips]
    written = sorted({caption for caption in captions if caption.strip()})
    numbers = {caption: number for number, caption in enumerate(written)}
    known = torch.tensor([numbers.get(caption, -1) for caption in captions])
    vectors = words.of(written)
    if written:
        vectors = vectors - vectors.mean(dim=0)  # what all captions share tells no clip from another
    spread = words.matrix.new_zeros(len(clips), words.matrix.shape[1])
    spread[known >= 0] = vectors[known[known >= 0]]
    told = Told(
        labels=torch.tensor([places.get(str(clip.label), UNKNOWN) for clip in clips]),
        captions=spread,
        captioned=known >= 0,
        texts=known,
    )
    return Clips(_condensed(trained, features, [clip.clip_id for clip in clips]), told)


def _condensed(trained: AlignedProjectors, features: Features, ids: Sequence[str]) -> FeatureBatch:
    """What is read of the clips, some clips at a time."""
    with torch.no_grad():
        parts = [
            trained.condensed(features.read(ids[start : start + READ_CLIPS]))
            for start in range(0, len(ids), READ_CLIPS)
        ]
    return FeatureBatch(
        tuple(ids),
        {name: torch.cat([part.values[name] for part in parts]) for name in parts[0].names},
        {name: torch.cat([part.masks[name] for part in parts]) for name in parts[0].names},
    )


def _answers(trained: AlignedProjectors, features: Features, clips: Sequence[Clip]) -> list[str]:
    found: list[Tensor] = []
    for start in range(0, len(clips), READ_CLIPS):
        ids = [clip.clip_id for clip in clips[start : start + READ_CLIPS]]
        found.append(trained.logits(features.read(ids)).argmax(dim=1))
    return [trained.labels[place] for part in found for place in part.tolist()]
