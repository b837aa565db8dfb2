"""The corpus: a cast list rendered in parallel, and described in files next to the clips.

    manifest.jsonl               clips with text, label, speaker, split, data set and action-unit file
    clips/000/sample_00000000.mp4, au/000/sample_00000000.csv
    MERR_coarse_grained.json|txt, MERR_fine_grained.json|txt
    truth.jsonl                  what was planted in each clip: never an input to a model
    speakers.json                skin group, age look and voice of every speaker
    corpus.json                  settings and shares
    contact_sheet.png

Every clip depends on (settings, number) alone, so an interrupted run goes on where it stopped. Knows
nothing of encoders or features.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import joblib

from emo.canonical import Json
from emo.clip import Clip
from emo.config.corpus import CorpusConfig
from emo.corpora.manifest import write_manifest
from emo.corpora.merr_files import json_text
from emo.corpora.rendered.cast import Role, cast_corpus
from emo.corpora.rendered.contact_sheet import write_contact_sheet
from emo.corpora.rendered.film import frame_times, render_clip
from emo.corpora.rendered.merr import Annotation, write_merr
from emo.corpora.rendered.openface import write_unit_csv
from emo.corpora.rendered.planning import NAMESPACE, PlannedClip, plan_clip
from emo.corpora.rendered.truth import corpus_shares, planted_truth, speaker_records
from emo.errors import ConfigError
from emo.seeds import generator

RECIPE_VERSION = 1  # raise it whenever the same settings give other frames, waves or words
ON_SHEET = 24
DATASET = "rendered"  # its entry in corpora/catalogue.yaml says whose clips these are and what may be done
DISCLAIMER = "Drawn people with planted expressions and tones: for checking software, no claim about emotion."


def render_corpus(folder: Path, config: CorpusConfig, *, jobs: int = 0) -> Iterator[str]:
    """Render the corpus into `folder`, yielding the id of each clip once it is there.

    `jobs` processes render; 0 is one a core. Clips that an earlier run with the same settings finished
    are kept; the descriptions are written after the last clip. ConfigError where the settings are
    impossible or the folder holds something else.
    """
    roles = cast_corpus(config)
    _claim(folder, config)
    if jobs == 1:
        yield from (_render(folder, config, role) for role in roles)
    else:
        pool = joblib.Parallel(n_jobs=jobs or -1, return_as="generator")
        yield from pool(joblib.delayed(_render)(folder, config, role) for role in roles)
    _describe(folder, config, [plan_clip(config, role) for role in roles])


def _render(folder: Path, config: CorpusConfig, role: Role) -> str:
    planned = plan_clip(config, role)
    film, units = folder / planned.film, folder / planned.units
    if not units.exists():
        units.parent.mkdir(parents=True, exist_ok=True)
        write_unit_csv(units, planned.performance, frame_times(planned.performance))
    if not film.exists():
        film.parent.mkdir(parents=True, exist_ok=True)
        rng = generator(NAMESPACE, config.seed, "render", role.number)
        who, plan = planned.identity, planned.performance
        render_clip(film, who, plan, rng, width=config.width, height=config.height)
    return role.clip_id


def _claim(folder: Path, config: CorpusConfig) -> None:
    """Mark `folder` as this corpus, or refuse where it is something else."""
    record = folder / "corpus.json"
    if record.exists():
        found = json.loads(record.read_text(encoding="utf-8"))
        differing = [
            f"{name} was {found.get(name)!r} and is {value!r}"
            for name, value in _settings(config).items()
            if found.get(name) != value
        ]
        if differing:
            raise ConfigError(
                f"{folder} holds a corpus of other settings: {'; '.join(differing)}. Name another folder."
            )
    elif (folder / "manifest.jsonl").exists():
        raise ConfigError(f"{folder} has a manifest of other clips. Name another folder.")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        record.write_text(json_text(_settings(config)), encoding="utf-8")


def _settings(config: CorpusConfig) -> dict[str, Json]:
    """What must be equal for clips to be equal, as JSON gives it back."""
    settings: dict[str, Json] = json.loads(json.dumps(asdict(config)))
    return {"recipe_version": RECIPE_VERSION, **settings}


def _describe(folder: Path, config: CorpusConfig, clips: Sequence[PlannedClip]) -> None:
    write_merr(folder, (_annotation(planned) for planned in clips))
    truth = (json.dumps(planted_truth(planned)) + "\n" for planned in clips)
    (folder / "truth.jsonl").write_text("".join(truth), encoding="utf-8")
    (folder / "speakers.json").write_text(json_text(speaker_records(clips)), encoding="utf-8")
    shown = clips[:: max(1, len(clips) // ON_SHEET)][:ON_SHEET]
    title = f"{len(clips)} rendered clips, seed {config.seed}"
    write_contact_sheet(folder / "contact_sheet.png", shown, seed=config.seed, title=title)
    shares: dict[str, Json] = {"shares": corpus_shares(clips), "note": DISCLAIMER}
    (folder / "corpus.json").write_text(json_text(_settings(config) | shares), encoding="utf-8")
    write_manifest(folder / "manifest.jsonl", (_manifest_row(folder, planned) for planned in clips))


def _annotation(planned: PlannedClip) -> Annotation:
    return Annotation(
        clip_id=planned.role.clip_id,
        frames=planned.frames,
        peak_frame=planned.peak_frame,
        performance=planned.performance,
        texts=planned.texts,
    )


def _manifest_row(folder: Path, planned: PlannedClip) -> Clip:
    role = planned.role
    return Clip(
        clip_id=role.clip_id,
        path=folder / planned.film,
        text=planned.texts.subtitle,
        label=role.label,
        speaker=role.speaker_id,
        split=role.split,
        dataset=DATASET,
        au_path=folder / planned.units,
    )
