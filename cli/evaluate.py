"""`emo evaluate`: scores of a trained model on labelled clips, from cached features."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emo.cli.accept_option import DEGRADED, accept_option
from emo.cli.console import print_json, quieten_transformers, voice
from emo.cli.contend import ask_contender, contender_options, is_contender, refuse_unknown
from emo.cli.labelled import of_split
from emo.cli.leak_option import leaks_of
from emo.cli.model_options import loaded, model_options, note_unknown
from emo.cli.sections import Sectioned
from emo.cli.study_options import json_option, manifest_option
from emo.errors import ConfigError

if TYPE_CHECKING:
    from emo.clip import Clip
    from emo.pipeline.evaluation import Evaluation, Groups, Reproduction


PREDICTIONS = "predictions:"
FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(cls=Sectioned)
@model_options
@accept_option()
@contender_options
@manifest_option()
@click.option("--split", help="Split to score; `all` takes every clip.  [default: test; all with --recipe]")
@click.option("--recipe", help="Ask again what a published figure asked: a name or a YAML file.")
@click.option(
    "--abstain-below",
    type=click.FloatRange(0, 1),
    default=0.0,
    metavar="P",
    help="Also score only what is answered with probability P or more.",
)
@click.option("--group", help="Column of declared groups, for UAR by group and the worst gap.")
@click.option("--group-file", type=FILE, help="Table with that column.  [default: the manifest]")
@click.option("--out", type=click.Path(file_okay=False), help="Folder for report.html and its figures.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap.")
@json_option()
@click.pass_context
def evaluate(
    ctx: click.Context,
    model: str,
    cache: str,
    force: bool,
    accept: str | None,
    loading: dict[str, Any],
    asking: dict[str, Any],
    manifest: str,
    split: str | None,
    recipe: str | None,
    abstain_below: float,
    group: str | None,
    group_file: Path | None,
    out: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Score a trained model: weighted F1, UAR and WAR with n, invalid answers and an interval.

    The interval is a bootstrap over speakers. Clips that training saw, by media, id, recording, speaker or
    data set, are told, with the scores without them. Answers that name no label count as wrong. Recipes:
    mer2023-semi, mer2024-noise, dfew-zero-shot. `--system predictions:FILE` scores answers that another
    system wrote; `emo score` has every metric for those. `--system hf:FOLDER`, `hf:OWNER/NAME@COMMIT`
    (Video-LLaVA, LLaVA-NeXT, Qwen2-Audio) and `service:MODEL` ask the media itself; docs/evaluation.md.

    \b
    emo evaluate --model runs/llm --manifest clips/manifest.jsonl --out runs/llm/test
    emo evaluate --system predictions:valley.csv --manifest clips/manifest.jsonl
    emo evaluate --system hf:models/qwen2-audio --manifest clips/manifest.jsonl --out runs/qwen2
    emo evaluate --recipe mer2023-semi --model runs/released --manifest mer2023-semi.csv
    """
    from emo.corpora.manifest import clips_in

    if model.startswith(PREDICTIONS) or is_contender(model):
        if recipe or abstain_below:
            raise ConfigError("--recipe and --abstain-below are of our own models. Leave them out.")
        if is_contender(model):
            asked = of_split(manifest, clips_in(Path(manifest))[0], split or "test")
            answers = ask_contender(voice(ctx), model, asked, cache, loading, asking, out)
        else:
            answers = Path(model.removeprefix(PREDICTIONS))
        _score_predictions(ctx, answers, manifest, split, group, group_file, out, seed, as_json)
        return

    refuse_unknown(model)
    from emo.cache import open_cache
    from emo.corpora.declared import declared_rights, write_rights
    from emo.evaluation.own_results import FILE as SCORES
    from emo.evaluation.published import load_published
    from emo.pipeline.evaluation import evaluate as run
    from emo.pipeline.evaluation import reproduce
    from emo.pipeline.evaluation_report import write_evaluation, write_reproduction
    from emo.pipeline.leak_scores import leak_scores
    from emo.pipeline.predict import spaces_of
    from emo.rights import united
    from emo.run_data import read_run_data

    quieten_transformers()
    if recipe and (abstain_below or group):
        raise ConfigError("a published figure knows no abstaining and no groups. Leave out --recipe.")
    if group_file and not group:
        raise ConfigError("--group-file needs --group, the name of the column.")
    published = load_published(recipe) if recipe else None
    chosen = split or ("all" if published else "test")
    clips = of_split(manifest, clips_in(Path(manifest))[0], chosen)
    system = loaded(model, loading, force=force)
    spaces = spaces_of(system, open_cache(cache, accept_degraded=accept == DEGRADED), force=force)
    note_unknown(voice(ctx), system, spaces)
    leaks = leaks_of(model, clips, spaces)
    data = united(read_run_data(Path(model)).data, declared_rights(Path(manifest), clips))
    title, how = f"{model} on {chosen}", " ".join(["emo", *sys.argv[1:]])
    if published:
        found = reproduce(system, published, clips, spaces, seed=seed)
        beside = leak_scores(leaks, clips, found.strict.predicted, published.labels, seed=seed)
        lines, result = [*_compared(found, model), *beside.lines()], found.to_json()
        if out:
            write_reproduction(found, f"{model}: {published.name}", how, Path(out))
    else:
        groups = _groups(clips, manifest, group, group_file) if group else None
        scored = run(system, clips, spaces, abstain_below=abstain_below, groups=groups, seed=seed)
        beside = leak_scores(leaks, clips, scored.scored.predicted, system.labels, seed=seed)
        lines, result = [*_scored(scored, title), *beside.lines()], scored.to_json()
        if out:
            write_evaluation(scored, system, title, how, Path(out))
    if out and data:
        write_rights(Path(out) / SCORES, data)
    if as_json:
        print_json(
            {
                "model": model,
                "split": chosen,
                **result,
                "leaks": beside.to_json(),
                "data": [record.to_json() for record in data],
            }
        )
    else:
        click.echo("\n".join(lines))


def _score_predictions(
    ctx: click.Context,
    answers: Path,
    manifest: str,
    split: str | None,
    group: str | None,
    group_file: Path | None,
    out: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """`emo score` with the manifest as truth."""
    from emo.cli.score import score
    from emo.corpora.manifest import manifest_in

    ctx.invoke(
        score,
        predictions=(answers,),
        truth=manifest_in(Path(manifest)),
        split=split or "test",
        group=group,
        group_file=group_file,
        out=Path(out) if out else None,
        seed=seed,
        as_json=as_json,
    )


def _groups(clips: Sequence[Clip], manifest: str, column: str, file: Path | None) -> Groups:
    """What the manifest, or the table beside it, declares of the clips in a column."""
    from emo.corpora.manifest import manifest_in
    from emo.evaluation.answers_table import read_table, text_of
    from emo.pipeline.evaluation import Groups

    table = read_table(file or manifest_in(Path(manifest)))
    named = table.column((column,), "groups")
    return Groups(named, [text_of(table.rows.get(clip.clip_id, {}).get(named)) for clip in clips])


def _scored(found: Evaluation, title: str) -> Iterator[str]:
    scores = found.scored.scores
    yield (
        f"{title}: weighted F1 {found.scored.interval}, UAR {scores.uar:.3f}, WAR {scores.war:.3f}, "
        f"n {scores.n}, invalid {scores.invalid_rate:.1%}"
    )
    yield f"  calibration: ECE {found.calibration.ece}, log loss {found.calibration.nll}"
    yield f"  answering only when sure: area under risk by coverage {found.risk.aurc}"
    if found.groups:
        from emo.cli.score import group_lines

        yield from (f"  {line}" for line in group_lines(found.groups))
    if found.answered is not None:
        yield (
            f"  at least {found.threshold:.2f} sure: {found.coverage:.1%} of clips, "
            f"weighted F1 {found.answered.interval}, WAR {found.answered.scores.war:.3f}"
        )


def _compared(found: Reproduction, model: str) -> Iterator[str]:
    yield f"{model}, {found.recipe.about}: n {found.strict.scores.n}"
    for each in found.compared:
        expected, got = each.expected, each.got
        verdict = "inside" if each.inside else "outside"
        yield f"  {expected.metric} expected {expected.value:.4f} ({expected.weights}; {expected.source})"
        yield f"    got {got.point:.4f} [{got.low:.4f}, {got.high:.4f}]: expected is {verdict} the interval"
    yield (
        f"  strict reading: weighted F1 {found.strict.interval}, "
        f"no label in {found.strict.scores.invalid_rate:.1%} of answers"
    )
    for note in found.notes:
        yield f"  note: {note}"
