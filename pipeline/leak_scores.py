"""Scores of an evaluation without the clips that training saw, beside those with them. Asks no model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from emo.clip import Clip
from emo.evaluation.leaks import Kind, Leaks
from emo.evaluation.scored import Scored, score

SEEN: tuple[Kind, ...] = ("media", "id", "dataset", "group")


@dataclass(frozen=True, kw_only=True, slots=True)
class LeakScores:
    """What of the test was in training. `unseen` are scores without clips or recordings that training saw,
    `new_people` without those of its speakers too; None where no clip is left."""

    leaks: Leaks
    unseen: Scored | None
    new_people: Scored | None

    def lines(self) -> Iterator[str]:
        """What people are told; nothing where nothing leaked."""
        if not self.leaks.found:
            return
        yield from self.leaks.lines()
        if self.leaks.clips(*SEEN):
            yield f"  without clips or recordings that training saw: {_told(self.unseen)}"
        if self.leaks.clips("speaker"):
            yield f"  without its speakers too: {_told(self.new_people)}"

    def to_json(self) -> dict[str, object]:
        """Counts by kind, and both scores."""
        return {
            **self.leaks.to_json(),
            "without_seen": self.unseen.to_json() if self.unseen else None,
            "without_seen_and_speakers": self.new_people.to_json() if self.new_people else None,
        }


def leak_scores(
    leaks: Leaks,
    clips: Sequence[Clip],
    predicted: Sequence[str | None],
    labels: Sequence[str],
    *,
    seed: int = 0,
) -> LeakScores:
    """Scores of answers to `clips`, in their order, without what leaked; `seed` is the bootstrap's."""
    seen = leaks.clips(*SEEN)
    return LeakScores(
        leaks=leaks,
        unseen=_without(seen, clips, predicted, labels, seed),
        new_people=_without(seen | leaks.clips("speaker"), clips, predicted, labels, seed),
    )


def _without(
    left_out: set[str],
    clips: Sequence[Clip],
    predicted: Sequence[str | None],
    labels: Sequence[str],
    seed: int,
) -> Scored | None:
    kept = [place for place, clip in enumerate(clips) if clip.clip_id not in left_out]
    if not kept:
        return None
    truth = [str(clips[place].label) for place in kept]
    speakers = [clips[place].speaker for place in kept]
    return score(truth, [predicted[place] for place in kept], labels, speakers, seed=seed)


def _told(scored: Scored | None) -> str:
    if scored is None:
        return "no clip is left"
    scores = scored.scores
    return (
        f"weighted F1 {scored.interval}, UAR {scores.uar:.3f}, WAR {scores.war:.3f}, n {scores.n}, "
        f"invalid {scores.invalid_rate:.1%}"
    )
