"""The trained systems of a server, and the encoders they need, loaded once and kept.

A clip goes through the same views, encoders and cache as in training; the cache is a private one that lasts
as long as the job. Knows no queue, no web library and no place but those it is given.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emo.app.refusals import Refused, said_of
from emo.cache import FeatureCache, Space, Turn, open_cache
from emo.clip import Clip
from emo.digests import StatCache
from emo.errors import ConfigError, StaleCache
from emo.extractors.media import ReadViews
from emo.extractors.reading import Reading
from emo.extractors.running import running_on
from emo.heads.batches import FeatureBatch
from emo.heads.loader import load_features
from emo.llm.prefix import KeptPrefix
from emo.pipeline.answers import Answer
from emo.pipeline.canary import canary_views
from emo.pipeline.choice import FeatureChoice
from emo.pipeline.encoding import records_of
from emo.pipeline.plan import make_plan
from emo.pipeline.predict import recipes_of, spaces_of
from emo.pipeline.systems import LlamaSystem, System
from emo.records import usable
from emo.views import Encoder, View

STORE = "features.zarr"


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """A feature that a clip could not give: its name, the record's status and words for it."""

    feature: str
    status: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """What the model called `model` says of the clip, without reasons, and what it had to do without."""

    model: str
    answer: Answer
    missing: tuple[Missing, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """The next piece of the reasons."""

    text: str


@dataclass(frozen=True, slots=True)
class Talk:
    """What is remembered of a clip to go on talking about it: keys and values, and no media."""

    system: LlamaSystem
    prefix: KeptPrefix
    clip: Clip

    def ask(self, question: str) -> Generator[Piece, None, None]:
        """The answer to `question` in pieces."""
        yield from map(Piece, self.system.answer_after(self.prefix, self.clip, question))


class Models:
    """Systems by the names they are shown under, with their encoders.

    ConfigError where there is none, more than one LLaMA stage, or one whose features have no known recipe;
    StaleCache where this installation's encoders make other features than a system was trained on.
    """

    def __init__(self, systems: Mapping[str, System]) -> None:
        if not systems:
            raise ConfigError("no model to answer with. Give --model FOLDER.")
        self.systems = dict(systems)
        self._encoders = _encoders_of(self.systems)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the first system."""
        return next(iter(self.systems.values())).labels

    @property
    def talks(self) -> bool:
        """Whether one of the systems gives reasons."""
        return any(isinstance(system, LlamaSystem) for system in self.systems.values())

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that are read of a clip."""
        return tuple(encoder.spec.encoder for encoder in self._encoders)

    @property
    def checks_only(self) -> bool:
        """Whether an encoder is of the tiny preset, which makes no claim about emotion."""
        return any(encoder.spec.preset.startswith("tiny") for encoder in self._encoders)

    def warm(self) -> None:
        """Load the encoders' weights, by encoding the canary."""
        for encoder in self._encoders:
            encoder.encode([canary_views(encoder.needs)])

    @property
    def needs(self) -> frozenset[View]:
        """The views that the encoders ask of a clip."""
        return frozenset[View]().union(*(encoder.needs for encoder in self._encoders))

    def extracted(self, clip: Clip, place: Path, views: ReadViews) -> FeatureCache:
        """The clip's features, from the views that are needed, in a cache in the folder `place`."""
        cache = open_cache(place / STORE, "a")
        plan = make_plan([clip], self._encoders, cache, StatCache(None))
        turn = Turn(clip.clip_id, frozenset(part.space.name for part in plan.parts))
        reading = Reading(key=turn, clip=clip, views=views, seconds=0.0)
        for part in plan.parts:
            with part.space.writer(durability="none") as writer:
                for record in records_of(part, [reading]):
                    writer.put(record)
        return open_cache(place / STORE)

    def held(self, clip: Clip, cache: FeatureCache) -> bool:
        """Whether a cache has something to say of the clip in every space that a system reads."""
        specs = [source.spec for system in self.systems.values() for source in system.sources.values()]
        return all(spec in cache and cache.space(spec).info(clip.clip_id) is not None for spec in specs)

    def answers(
        self, clip: Clip, cache: FeatureCache, *, reasons: bool = True
    ) -> Generator[Answered | Piece | Talk, None, None]:
        """Each system's answer; the LLaMA stage's is followed by its reasons and what is needed to go on.

        Refused where no feature of the clip can be used.
        """
        for name, system in self.systems.items():
            spaces = spaces_of(system, cache)
            batch = load_features(spaces, [clip.clip_id], system.arrays, missing_ok=True)
            missing = _missing(clip, spaces, batch)
            if len(missing) == len(spaces):
                why = sorted({one.reason for one in missing})
                raise Refused(422, "no_features", f"Nothing of the clip can be used. {' '.join(why)}")
            (answer,) = system.answers([clip], batch, reasons=False)
            yield Answered(model=name, answer=answer, missing=missing)
            if reasons and isinstance(system, LlamaSystem):
                prefix = system.prefix(batch)
                yield from map(Piece, system.reason_after(prefix, clip, answer))
                yield Talk(system, prefix, clip)


def _encoders_of(systems: Mapping[str, System]) -> Sequence[Encoder]:
    """The encoders of every feature that a system was trained on, each once."""
    found: dict[str, Encoder] = {}
    talking = [name for name, system in systems.items() if isinstance(system, LlamaSystem)]
    if len(talking) > 1:
        raise ConfigError(f"{' and '.join(talking)} are both LLaMA stages. Serve one of them.")
    for shown, system in systems.items():
        if unknown := sorted(set(system.arrays) - set(system.sources)):
            raise ConfigError(
                f"{shown} does not say which {', '.join(unknown)} features it was trained on, so they cannot "
                "be made of a new clip. Serve a model that emo trained."
            )
        made: list[Encoder] = []
        for (preset, faces), names in recipes_of(system.sources).items():
            choice = FeatureChoice(
                tuple(names), preset, faces=dict(faces), running=running_on("auto", "auto")
            )
            made += choice.made()[0]
        fingerprints = {encoder.spec.fingerprint for encoder in made}
        for name, source in system.sources.items():
            if source.spec.fingerprint not in fingerprints:
                raise StaleCache(
                    f"{shown} was trained on {name}/{source.spec.short} (preset {source.spec.preset}), which "
                    "this installation's encoder does not make. Train it again, or install what it was "
                    "trained with."
                )
        found |= {encoder.spec.fingerprint: encoder for encoder in made}
    return list(found.values())


def _missing(clip: Clip, spaces: Mapping[str, Space], batch: FeatureBatch) -> tuple[Missing, ...]:
    """What the clip has no usable feature of, and why."""
    found = []
    for name, space in spaces.items():
        info = space.info(clip.clip_id)
        if not bool(batch.masks[name][0]):
            status = "failed:empty" if info is None or usable(info.status) else info.status
            found.append(Missing(feature=name, status=status, reason=said_of(status)))
    return tuple(found)
