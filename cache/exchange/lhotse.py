"""Export for lhotse: frames as .npy files, with manifests of features, supervisions and recordings.

Layout: https://lhotse.readthedocs.io/en/latest/features.html (storage type `numpy_files`) and corpus.html. A
recording is what one clip was cut from and has the clip's id. lhotse's features are evenly spaced frames, so
what has no step of its own (tokens, utterances, faces at uneven moments) stays out. Needs no lhotse and opens
no media but the headers of WAV files.
"""

from __future__ import annotations

import wave
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emo.cache.exchange.names import file_names
from emo.cache.exchange.outgoing import current_infos, file_stem, new_folder
from emo.cache.space import Space
from emo.canonical import canonical_json
from emo.clip import Clip

RATE = 16_000  # Hz: what a step is counted in where it is a whole number of samples
SAME_STEP = 1e-3  # of a step: times that stray less are evenly spaced

Line = dict[str, Any]


def export_lhotse(spaces: Sequence[Space], out: Path, clips: Sequence[Clip] = ()) -> Iterator[str]:
    """Write evenly spaced frames to the new folder `out`; yields `<space> <clip id>` for each record.

    `features-<space>.jsonl` is a manifest a space; with `clips` there are `supervisions.jsonl` (text, speaker
    and, as custom fields, label and split) and `recordings.jsonl` (of clips that are WAV files). Where a
    clip begins and ends in its recording follows from `clips`, else the clip is all of it. The manifests
    name the arrays under `out` as it was given.
    """
    known = {clip.clip_id: clip for clip in clips}
    lengths: dict[str, float] = {}
    with new_folder(out) as folder:
        for space in spaces:
            lines = []
            for line in _features(space, out, folder, known):
                lengths[line["recording_id"]] = max(
                    line["duration"], lengths.get(line["recording_id"], 0.0), _seconds(space, line)
                )
                lines.append(line)
                yield f"{space.name} {line['recording_id']}"
            if lines:
                _write(folder / f"features-{file_stem(space)}.jsonl", lines)
        if clips:
            _write(folder / "supervisions.jsonl", _supervisions(clips, lengths))
            _write(folder / "recordings.jsonl", _recordings(clips))


def _features(space: Space, out: Path, folder: Path, known: dict[str, Clip]) -> Iterator[Line]:
    infos = [info for info in current_infos(space) if "frames" in info.rows and info.clip_id in space]
    names = file_names(info.clip_id for info in infos)
    stem = file_stem(space)
    for info in infos:
        feature = space[info.clip_id]
        step = _step(feature.times) if feature.primary == "frames" else None
        counted = None if step is None else _counted(step)
        if step is None or counted is None:
            continue
        (folder / stem).mkdir(exist_ok=True)
        values = feature.values.astype(np.float32)
        np.save(folder / stem / f"{names[info.clip_id]}.npy", values, allow_pickle=False)
        clip = known.get(info.clip_id)
        yield {
            "type": f"emo-{space.spec.encoder}",
            "num_frames": len(values),
            "num_features": values.shape[1],
            "frame_shift": step,
            "sampling_rate": counted,
            "start": (clip.start if clip else None) or 0.0,
            "duration": round(len(values) * step, 6),
            "storage_type": "numpy_files",
            "storage_path": str(out / stem),
            "storage_key": f"{names[info.clip_id]}.npy",
            "recording_id": info.clip_id,
            "channels": 0,
        }


def _step(times: NDArray[np.float64] | None) -> float | None:
    """Seconds from frame to frame; None where that is not one number."""
    if times is None or len(times) < 2:
        return None
    steps = np.diff(times)
    step = float(steps.mean())
    return round(step, 9) if step > 0 and np.abs(steps - step).max() <= SAME_STEP * step else None


def _counted(step: float) -> int | None:
    """The rate, in Hz, at which a step is a whole number of samples, as lhotse wants it; None for none."""
    for rate in (RATE, round(1 / step)):
        if rate > 0 and round(step * rate, 6) == round(step * rate) > 0:
            return rate
    return None


def _seconds(space: Space, line: Line) -> float:
    """How long the clip is by what its record notes; 0 where it says nothing."""
    noted = space.meta(line["recording_id"]).get("media_seconds")
    return float(noted) if isinstance(noted, int | float) else 0.0


def _supervisions(clips: Sequence[Clip], lengths: dict[str, float]) -> Iterator[Line]:
    for clip in clips:
        start = clip.start or 0.0
        length = clip.end - start if clip.end is not None else lengths.get(clip.clip_id)
        if length is None:
            continue  # nothing says how long it is
        custom = {"label": clip.label, "split": clip.split, "group": clip.group}
        line = {
            "id": clip.clip_id,
            "recording_id": clip.clip_id,
            "start": start,
            "duration": round(length, 6),
            "channel": 0,
            "text": clip.text or None,
            "speaker": clip.speaker,
            "custom": {name: value for name, value in custom.items() if value},
        }
        yield {name: value for name, value in line.items() if value not in (None, {})}


def _recordings(clips: Sequence[Clip]) -> Iterator[Line]:
    for clip in clips:
        if clip.path.suffix.lower() != ".wav":
            continue
        try:
            with wave.open(str(clip.path), "rb") as sound:
                rate, samples, channels = sound.getframerate(), sound.getnframes(), sound.getnchannels()
        except (OSError, EOFError, wave.Error):
            continue  # no PCM, or nothing at all: lhotse would not be told the truth
        if rate and samples:
            source = {"type": "file", "channels": list(range(channels)), "source": str(clip.path)}
            yield {
                "id": clip.clip_id,
                "sources": [source],
                "sampling_rate": rate,
                "num_samples": samples,
                "duration": samples / rate,
            }


def _write(path: Path, lines: Sequence[Line] | Iterator[Line]) -> None:
    with path.open("xb") as stream:
        for line in lines:
            stream.write(canonical_json(line) + b"\n")
