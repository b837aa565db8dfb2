"""Words for clips whose manifest has none: their sound is read as any media is and given to whoever hears.

What the manifest says is never changed. Every clip heard is written to a journal beside the result at once,
so a run that was stopped goes on. Knows no speech model.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emo.clip import Clip
from emo.config.extract import DEFAULTS, MediaLimits
from emo.corpora.manifest import clips_in, read_manifest
from emo.corpora.texts import manifest_of, write_texts
from emo.digests import StatCache
from emo.errors import ConfigError
from emo.extractors.reading import Asked, Reading, read_ahead
from emo.pipeline.inputs import InputDigests
from emo.records import NO_INPUT
from emo.views import AudioView, ViewData, ViewProblem

Hears: TypeAlias = Callable[[NDArray[np.float32]], str]
SOUND = AudioView(rate=16_000)


@dataclass(frozen=True, kw_only=True, slots=True)
class Unheard:
    """A clip whose sound could not be had, and why."""

    clip_id: str
    status: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TranscribeResult:
    """Counts of clips: given + heard + silent + len(unheard) = clips. `silent` have a sound without words."""

    clips: int
    given: int
    heard: int
    silent: int
    unheard: tuple[Unheard, ...]
    manifest: str

    def to_json(self) -> dict[str, Any]:
        """The object that `emo transcribe --json` prints."""
        return asdict(self)


def transcribe(
    place: Path,
    out: Path,
    hears: Callable[[], Hears],
    *,
    who: str,
    jobs: int = 0,
    limits: MediaLimits = DEFAULTS,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> TranscribeResult:
    """Write the clips at `place` (a manifest, a folder or a media file) to the manifest `out`, with words.

    Words that `place` gives win, then those that `out` holds already. `hears` makes what turns a sound (S,)
    into words, and is called only if one has to be heard; `who` is its name and settings: what another heard
    is not taken from the journal. `out` may be the manifest at `place` itself.

    Raises ConfigError where there are no clips or the folder of `out` is missing.
    """
    source = manifest_of(place)
    clips, _ = clips_in(place)
    if not clips:
        raise ConfigError(f"no media found in {place}. Name a folder of clips, a manifest or a media file.")
    if not out.absolute().parent.is_dir():
        raise ConfigError(f"{out.parent} is no folder. Make it, or name another --out.")
    known = _said_in(out)
    clips = [clip if clip.text.strip() else _saying(clip, known.get(clip.clip_id, "")) for clip in clips]
    open_ones = [clip for clip in clips if not clip.text.strip()]
    journal = Journal(out.with_name(out.name + ".heard.jsonl"), open_ones, who)
    unheard = _hear(open_ones, journal, hears, jobs, limits, on_progress)
    write_texts(source, out, [_saying(clip, journal.texts.get(clip.clip_id, clip.text)) for clip in clips])
    heard = sum(bool(text) for text in journal.texts.values())
    return TranscribeResult(
        clips=len(clips),
        given=len(clips) - len(open_ones),
        heard=heard,
        silent=len(journal.texts) - heard,
        unheard=tuple(unheard),
        manifest=os.fspath(out),
    )


class Journal:
    """What was heard in which sound, one JSON line each, written at once; `texts` by clip id.

    Lines of other sounds and of others who heard are passed over, and so is one torn by a kill.
    """

    def __init__(self, path: Path, clips: Sequence[Clip], who: str) -> None:
        self._path, self._who = path, who
        digests = InputDigests(clips, StatCache(None)).of({SOUND})
        self._inputs = {clip_id: digest.hex() for clip_id, digest in digests.items() if digest != NO_INPUT}
        heard = self._read()
        self.texts = {clip_id: heard[digest] for clip_id, digest in self._inputs.items() if digest in heard}

    def _read(self) -> dict[str, str]:
        if not self._path.exists():
            return {}
        found = {}
        for line in self._path.read_text("utf-8", errors="replace").splitlines():
            try:
                digest, who, text = json.loads(line)
            except ValueError:
                continue
            if who == self._who:
                found[str(digest)] = str(text)
        return found

    def add(self, clip_id: str, text: str) -> None:
        """Keep what was heard in a clip."""
        self.texts[clip_id] = text
        line = json.dumps([self._inputs.get(clip_id, ""), self._who, text], ensure_ascii=False)
        with self._path.open("a", encoding="utf-8", newline="\n") as stream:
            stream.write(f"\n{line}\n")  # behind a line that may be torn


def _hear(
    clips: Sequence[Clip],
    journal: Journal,
    hears: Callable[[], Hears],
    jobs: int,
    limits: MediaLimits,
    on_progress: Callable[[int, int, str], None] | None,
) -> list[Unheard]:
    to_do = [clip for clip in clips if clip.clip_id not in journal.texts]
    if not to_do:
        return []
    words, unheard = hears(), []
    asked = (Asked(key=None, clip=clip, views=frozenset({SOUND})) for clip in to_do)
    before = len(clips) - len(to_do)
    with closing(read_ahead(asked, limits, jobs=jobs)) as readings:
        for done, read in enumerate(readings, start=before + 1):
            problem = _listened(read, words, journal)
            if problem is not None:
                unheard.append(
                    Unheard(clip_id=read.clip.clip_id, status=problem.status, reason=problem.reason)
                )
            if on_progress:
                on_progress(done, len(clips), read.clip.clip_id)
    return unheard


def _listened(read: Reading[None], words: Hears, journal: Journal) -> ViewProblem | None:
    found = read.views[SOUND]
    if isinstance(found, ViewData):
        journal.add(read.clip.clip_id, "" if "silent" in found.flags else words(found.array))
        return None
    return found


def _saying(clip: Clip, text: str) -> Clip:
    return replace(clip, text=text)


def _said_in(out: Path) -> dict[str, str]:
    if not out.exists():
        return {}
    return {clip.clip_id: clip.text for clip in read_manifest(out)}
