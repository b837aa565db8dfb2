"""A MERR build from clips to files: clues, coarse set, fine set, quality, card, review page.

Everything is made in the order of the clips from (clips, settings, answers) alone, so a build that was killed
and started again ends in the same bytes. Draws nothing and asks no model itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import joblib

from emo.clip import Clip
from emo.config.merr import MerrConfig
from emo.corpora import merr_files
from emo.corpora.merr_files import json_text, list_text
from emo.digests import StatCache
from emo.errors import ConfigError
from emo.merr.built import Built, ModelUse, Role
from emo.merr.cases import Explainer, Teller
from emo.merr.clues import ClipClues, ClueJob, find_clues
from emo.merr.coarse import Draft, capped, refused, write_draft
from emo.merr.drops import Drop
from emo.merr.fine import FineSet, explain_all
from emo.merr.folder import CLUES, PICTURES, SOUNDS, BuildFolder
from emo.merr.rules import label_by_rules
from emo.merr.told import Told, tell_all
from emo.merr.verdicts import REJECT, REVIEW, Verdict, of_kind, read_verdicts
from emo.merr.voice import habits, tone_of
from emo.rights import DataRights

FEW_CLIPS = 6  # starting worker processes costs more than reading these
NO_MEDIA = "0" * 64  # the digest of a file that cannot be read
DROPS, QUALITY, CARD, PAGE = "drops.jsonl", "quality.json", "README.md", "review.html"
NOTHING_FINE = FineSet(written=(), drops=(), pending={}, findings={}, refused=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a step of the build is; steps are clues, pictures, voices, reasons."""

    step: str
    done: int
    total: int
    clip_id: str


def build(
    clips: Sequence[Clip],
    out: Path,
    config: MerrConfig,
    explainer: Explainer | None,
    *,
    labels: Mapping[str, str] | None = None,
    describer: Teller | None = None,
    listener: Teller | None = None,
    rights: Sequence[DataRights] = (),
    review: Path | None = None,
    jobs: int = 0,
    concurrency: int = 1,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Built:
    """Build the set of `clips` in `out`, where an earlier run of the same command may have begun.

    `labels` are those of the source that `config.labels_from` names, not asked for `au`. `explainer` None
    makes no fine set; `describer` says what pictures show, `listener` how voices sound. `rights` go into the
    card. `review` is a file of verdicts; else one that lies in `out` counts.

    ConfigError where there are no clips, ids that MERR's lists cannot hold, or another build at work.
    """
    if not clips:
        raise ConfigError("no clips to build from. Name a folder of clips or a manifest.")
    list_text(((clip.clip_id, 0, "") for clip in clips), fine=False)
    verdicts = read_verdicts(review or out / REVIEW)
    folder = BuildFolder(out)

    def step(name: str) -> Callable[[int, int, str], None]:
        return lambda done, total, clip_id: on_progress(
            Progress(step=name, done=done, total=total, clip_id=clip_id)
        )

    with folder.held():
        clues = _clues(clips, folder, config, labels or {}, listener is not None, jobs, on_progress)
        looked_at = [clip.clip_id for clip in clips if refused(clues[clip.clip_id], config) is None]
        pictures = {each: folder.keyed(PICTURES, clues[each].key, ".jpg") for each in looked_at}
        sounds = {each: folder.keyed(SOUNDS, clues[each].key, ".wav") for each in looked_at}
        sounds = {each: path for each, path in sounds.items() if path.is_file()}
        seen = tell_all(pictures, describer, concurrency=concurrency, on_done=step("pictures"))
        heard = tell_all(sounds, listener, concurrency=concurrency, on_done=step("voices"))
        drafts, drops = _coarse(clips, clues, seen.words, heard.words, config, verdicts)
        _write_coarse(folder, drafts)
        fine = NOTHING_FINE
        if explainer is not None:
            fine = explain_all(
                drafts,
                explainer,
                config,
                verdicts,
                concurrency=concurrency,
                on_done=step("reasons"),
            )
        built = Built(
            out=out,
            config=config,
            clips=clips,
            clues=clues,
            drafts=drafts,
            fine=fine,
            drops=_in_order([*drops, *fine.drops], clips),
            source=_source(clues),
            by_rules=_by_rules(clues, config),
            given={clip.clip_id: clip.label for clip in clips if clip.label},
            uses=_uses((describer, seen), (listener, heard), (explainer, fine)),
            rights=rights,
            waiting={**seen.waiting, **heard.waiting, **fine.pending},
        )
        _write_rest(folder, built, verdicts)
    return built


def _clues(
    clips: Sequence[Clip],
    folder: BuildFolder,
    config: MerrConfig,
    labels: Mapping[str, str],
    listened: bool,
    jobs: int,
    on_progress: Callable[[Progress], None],
) -> dict[str, ClipClues]:
    files = StatCache(folder.digests)
    work = (
        ClueJob(
            clip=clip,
            label=labels.get(clip.clip_id),
            media=_media(files, clip),
            config=config,
            root=folder.root,
            listened=listened,
        )
        for clip in clips
    )
    found = {}
    for done, clues in enumerate(_each(work, len(clips), jobs), start=1):
        found[clues.clip_id] = clues
        on_progress(Progress(step="clues", done=done, total=len(clips), clip_id=clues.clip_id))
    folder.keep_only(CLUES, {f"{each.key}.json" for each in found.values()})
    folder.keep_only(PICTURES, {f"{each.key}.jpg" for each in found.values()})
    folder.keep_only(SOUNDS, {f"{each.key}.wav" for each in found.values() if listened})
    return found


def _each(work: Iterator[ClueJob], count: int, jobs: int) -> Iterator[ClipClues]:
    jobs = jobs or os.cpu_count() or 1
    if jobs == 1 or count <= FEW_CLIPS:
        yield from map(find_clues, work)
        return
    pool = joblib.Parallel(n_jobs=jobs, return_as="generator", pre_dispatch="4*n_jobs", batch_size=1)
    yield from pool(joblib.delayed(find_clues)(job) for job in work)


def _media(files: StatCache, clip: Clip) -> str:
    try:
        return files.sha256(clip.path)
    except OSError:
        return NO_MEDIA


def _coarse(
    clips: Sequence[Clip],
    clues: Mapping[str, ClipClues],
    seen: Mapping[str, str],
    heard: Mapping[str, str],
    config: MerrConfig,
    verdicts: Mapping[str, Verdict],
) -> tuple[list[Draft], list[Drop]]:
    measures = {clip_id: each.voice for clip_id, each in clues.items() if each.voice is not None}
    habit = habits(measures, {clip.clip_id: clip.speaker for clip in clips})
    tones = {clip_id: tone_of(each, habit[clip_id]) for clip_id, each in measures.items()} | dict(heard)
    rejected = of_kind(verdicts, REJECT)
    drafts: list[Draft] = []
    drops: list[Drop] = []
    for clip in clips:
        drop = refused(clues[clip.clip_id], config)
        if drop is not None:
            drops.append(drop)
            continue
        tone, picture = tones.get(clip.clip_id, ""), seen.get(clip.clip_id, "")
        draft = write_draft(clip, clues[clip.clip_id], tone, picture, config)
        verdict = rejected.get(clip.clip_id)
        if verdict is not None and verdict.on(draft.caption):
            drops.append(
                Drop(clip_id=clip.clip_id, stage="coarse", reason="rejected_by_reviewer", detail=verdict.note)
            )
            continue
        drafts.append(draft)
    accepted = frozenset(clip_id for clip_id, each in verdicts.items() if each.verdict != REJECT)
    kept, over = capped(drafts, config, accepted)
    return kept, [*drops, *over]


def _write_coarse(folder: BuildFolder, drafts: Sequence[Draft]) -> None:
    rows = [(draft.clip_id, draft.face.frames, draft.label) for draft in drafts]
    folder.write_text(merr_files.COARSE, json_text({draft.clip_id: draft.entry() for draft in drafts}))
    folder.write_text(merr_files.COARSE_LIST, list_text(rows, fine=False))


def _write_rest(folder: BuildFolder, built: Built, verdicts: Mapping[str, Verdict]) -> None:
    from emo.merr.card import card_text
    from emo.merr.figures import quality_figures
    from emo.merr.review_page import review_page

    written = built.fine.written
    if any(use.role == "reasons" for use in built.uses):
        rows = [(each.draft.clip_id, each.draft.face.frames, each.draft.label) for each in written]
        folder.write_text(merr_files.FINE, json_text({each.draft.clip_id: each.entry() for each in written}))
        folder.write_text(merr_files.FINE_LIST, list_text(rows, fine=True))
    else:
        folder.remove(merr_files.FINE)
        folder.remove(merr_files.FINE_LIST)
    lines = (json.dumps(drop.to_json(), ensure_ascii=False) + "\n" for drop in built.drops)
    folder.write_text(DROPS, "".join(lines))
    figures = quality_figures(built)
    folder.write_text(QUALITY, json_text(figures))
    folder.write_text(CARD, card_text(built, figures))
    folder.write_text(PAGE, review_page(built, verdicts))


def _uses(
    describing: tuple[Teller | None, Told],
    listening: tuple[Teller | None, Told],
    explaining: tuple[Explainer | None, FineSet],
) -> list[ModelUse]:
    """Those who were there, with how many of their answers could be used."""
    roles: list[tuple[Role, Teller | Explainer | None, int, int]] = [
        ("pictures", describing[0], len(describing[1].words), len(describing[1].unusable)),
        ("voices", listening[0], len(listening[1].words), len(listening[1].unusable)),
        ("reasons", explaining[0], len(explaining[1].findings), explaining[1].refused),
    ]
    return [
        ModelUse(role=role, name=who.name, told=who.told, usable=usable, unusable=unusable)
        for role, who, usable, unusable in roles
        if who is not None
    ]


def _source(clues: Mapping[str, ClipClues]) -> dict[str, str]:
    labels = {clip_id: each.face.label for clip_id, each in clues.items() if each.face}
    return {clip_id: label for clip_id, label in labels.items() if label}


def _by_rules(clues: Mapping[str, ClipClues], config: MerrConfig) -> dict[str, str]:
    found = {
        clip_id: label_by_rules(each.face.evidence, config) for clip_id, each in clues.items() if each.face
    }
    return {clip_id: label for clip_id, label in found.items() if label}


def _in_order(drops: Sequence[Drop], clips: Sequence[Clip]) -> list[Drop]:
    places = {clip.clip_id: place for place, clip in enumerate(clips)}
    return sorted(drops, key=lambda drop: (places[drop.clip_id], drop.stage))
