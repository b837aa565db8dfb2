"""Planned clips: a role with the person, the performance and the words that follow from it.

A plan takes about 2 ms and depends on (settings, number) alone, so any clip can be planned by itself, in
any process. Draws nothing, writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from emo.config.corpus import CorpusConfig
from emo.corpora.rendered.cast import Role
from emo.corpora.rendered.film import FRAMES_PER_SECOND, frame_times
from emo.corpora.rendered.identity import Identity, draw_identity
from emo.corpora.rendered.performance import Performance, plan_performance
from emo.corpora.rendered.texts import ClipTexts, write_texts
from emo.seeds import generator

NAMESPACE = "corpus"
SHARD = 1000  # clips a folder


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedClip:
    """One clip before it is rendered."""

    role: Role
    identity: Identity
    performance: Performance
    texts: ClipTexts

    @property
    def frames(self) -> int:
        """Length in frames."""
        return len(frame_times(self.performance))

    @property
    def peak_frame(self) -> int:
        """The frame, from 0, that shows the expression best."""
        return min(self.frames - 1, round(self.performance.peak * FRAMES_PER_SECOND))

    @property
    def film(self) -> str:
        """Where the clip lies below the corpus' folder."""
        return f"clips/{self.role.number // SHARD:03d}/{self.role.clip_id}.mp4"

    @property
    def units(self) -> str:
        """Where its action units lie below the corpus' folder."""
        return f"au/{self.role.number // SHARD:03d}/{self.role.clip_id}.csv"


def plan_clip(config: CorpusConfig, role: Role) -> PlannedClip:
    """Everything about one clip of the corpus but its frames and its wave."""
    identity = _identity(config.seed, role.speaker)
    performance = plan_performance(
        generator(NAMESPACE, config.seed, "plan", role.number),
        identity,
        role.label,
        role.condition,
        others=config.labels,
        short=role.short,
    )
    rng = generator(NAMESPACE, config.seed, "words", role.number)
    texts = write_texts(performance, identity.voice.habit, rng)
    return PlannedClip(role=role, identity=identity, performance=performance, texts=texts)


@lru_cache(maxsize=256)
def _identity(seed: int, speaker: int) -> Identity:
    return draw_identity(NAMESPACE, seed, speaker)
