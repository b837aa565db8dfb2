"""The clues of one clip: action units, the frame of the peak with its picture, the voice.

What was decoded is kept under the digest of everything that decided it, so a build goes on where it was
stopped. A clip that cannot give a clue says why. Knows no captions and no other clips.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

from emo.canonical import sha256_json
from emo.clip import Clip
from emo.config.merr import AU, MerrConfig
from emo.errors import MediaError
from emo.extractors.action_units import UnitTable, read_units
from emo.extractors.container import Span
from emo.extractors.reading import read_views_limited
from emo.merr.folder import CLUES, PICTURES, SOUNDS, BuildFolder, read_keyed
from emo.merr.rules import Evidence, evidence, label_by_rules, peak_row, units_at, units_seen
from emo.merr.sounds import wav_bytes
from emo.merr.voice import VoiceMeasures, measure_voice
from emo.records import OK, usable
from emo.views import AudioView, MomentView, ViewData, ViewProblem

RECIPE_VERSION = 1  # raise it whenever the same media gives other measures or another picture
SOUND = AudioView(16_000)
ASSUMED_RATE = 25.0  # frames a second, for action-unit files without timestamps
JPEG_QUALITY = 90
LONGEST_S = 30.0  # of a sound that is kept: as much as Qwen2-Audio hears
NO_UNITS = "missing:no_action_units"


@dataclass(frozen=True, kw_only=True, slots=True)
class Face:
    """What the action units say.

    `units` (0..5, strongest first) are present at the peak, `seen` in any frame. `peak_frame` counts from 0,
    `peak_time` is in seconds from the video's start, `frames` is the clip's length.
    """

    label: str | None
    evidence: Mapping[str, Evidence]
    peak_frame: int
    peak_time: float
    frames: int
    units: Mapping[int, float]
    seen: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipClues:
    """Everything found in one clip. `problem` says why there is no face to go by, `OK` where there is one;
    `sound` and `picture` are statuses of the media. `key` names the kept files."""

    clip_id: str
    problem: str = OK
    face: Face | None = None
    voice: VoiceMeasures | None = None
    sound: str = OK
    picture: str = OK
    key: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClueJob:
    """One clip to look into; picklable. `label` None lets the rules decide; `media` is the file's digest.
    `listened`: somebody will be played the sound, so it is kept."""

    clip: Clip
    label: str | None
    media: str
    config: MerrConfig
    root: Path
    listened: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class _Decoded:
    """What lies in a clue file."""

    voice: Mapping[str, float] | None
    sound: str
    picture: str
    recipe: int = field(default=RECIPE_VERSION)


def find_clues(job: ClueJob) -> ClipClues:
    """The clues of a clip, from the kept files where they are there. Raises nothing for a bad clip."""
    clip = job.clip
    if clip.au_path is None:
        return ClipClues(clip_id=clip.clip_id, problem=f"{NO_UNITS}: the manifest names no au_path")
    try:
        table = read_units(clip.au_path, _cut(clip), ASSUMED_RATE)
    except MediaError as error:
        return ClipClues(clip_id=clip.clip_id, problem=str(error))
    face = _face(table, job)
    folder = BuildFolder(job.root)
    moment = round(face.peak_time, 6)
    key = sha256_json(
        {"recipe": RECIPE_VERSION, "media": job.media, "cut": [clip.start, clip.end], "moment": moment}
    )
    decoded = _kept(folder, key, job.listened) or _decode(folder, key, job, moment)
    return ClipClues(
        clip_id=clip.clip_id,
        face=face,
        voice=VoiceMeasures(**decoded.voice) if decoded.voice else None,
        sound=decoded.sound,
        picture=decoded.picture,
        key=key,
    )


def unit_table(clip: Clip) -> UnitTable:
    """The action units of a clip that has a file of them. MediaError failed:bad_au_file."""
    assert clip.au_path is not None
    return read_units(clip.au_path, _cut(clip), ASSUMED_RATE)


def _cut(clip: Clip) -> Span:
    return Span(start=clip.start or 0.0, end=float("inf") if clip.end is None else clip.end)


def _face(table: UnitTable, job: ClueJob) -> Face:
    found = evidence(table, job.config)
    label = label_by_rules(found, job.config) if job.config.labels_from == AU else job.label
    row = peak_row(table, label or "", job.config)
    return Face(
        label=label,
        evidence=found,
        peak_frame=int(table.frames[row]),
        peak_time=float(table.times[row]),
        frames=table.length,
        units=units_at(table, row),
        seen=tuple(units_seen(table)),
    )


def _kept(folder: BuildFolder, key: str, listened: bool) -> _Decoded | None:
    value = read_keyed(folder.keyed(CLUES, key, ".json"))
    if value is None or not {"voice", "sound", "picture"} <= set(value):
        return None
    seen, heard = (
        usable(str(value[kind]).partition(": ")[0], accept_degraded=True) for kind in ("picture", "sound")
    )
    if seen and not folder.keyed(PICTURES, key, ".jpg").is_file():
        return None
    if heard and listened and not folder.keyed(SOUNDS, key, ".wav").is_file():
        return None
    return _Decoded(
        voice=cast("Mapping[str, float] | None", value["voice"]),
        sound=str(value["sound"]),
        picture=str(value["picture"]),
    )


def _decode(folder: BuildFolder, key: str, job: ClueJob, moment: float) -> _Decoded:
    """Read the media once; picture and sound are written before the file that says that they are there."""
    view = MomentView(moment)
    views = read_views_limited(job.clip, (SOUND, view))
    heard, seen = views[SOUND], views[view]
    voice = measure_voice(heard.array, SOUND.rate) if isinstance(heard, ViewData) else None
    if isinstance(seen, ViewData):
        folder.write(folder.keyed(PICTURES, key, ".jpg"), _jpeg(seen))
    if isinstance(heard, ViewData) and job.listened:
        played = heard.array[: round(LONGEST_S * SOUND.rate)]
        folder.write(folder.keyed(SOUNDS, key, ".wav"), wav_bytes(played, SOUND.rate))
    decoded = _Decoded(voice=asdict(voice) if voice else None, sound=_status(heard), picture=_status(seen))
    text = json.dumps(asdict(decoded), sort_keys=True, ensure_ascii=False)
    folder.write(folder.keyed(CLUES, key, ".json"), text.encode())
    return decoded


def _status(view: ViewData | ViewProblem) -> str:
    if isinstance(view, ViewProblem):
        return f"{view.status}: {view.reason}"
    return view.degraded or OK


def _jpeg(view: ViewData) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(view.array).save(stream, "JPEG", quality=JPEG_QUALITY)
    return stream.getvalue()
