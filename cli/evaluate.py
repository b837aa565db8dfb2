"""`emo evaluate`: scores of a trained model on labelled clips, from cached features."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emo.cli.accept_option import DEGRADED, accept_option
from emo.cli.console import print_json, quieten_transformers, voice
from emo.cli.contend import ask_contender, contender_options, is_contender, refuse_unknown
from emo.cli.evaluate_show import evaluation_lines
from emo.cli.labelled import of_split
from emo.cli.model_options import abstain_option, loaded, model_options, note_unknown
from emo.cli.sections import Sectioned
from emo.cli.study_options import json_option, manifest_option
from emo.errors import ConfigError

if TYPE_CHECKING:
    from emo.pipeline.evaluation_run import Labelled


PREDICTIONS = "predictions:"
FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(cls=Sectioned)
@model_options
@accept_option()
@contender_options
@manifest_option()
@click.option("--split", help="Split to score; `all` takes every clip.  [default: test; all with --recipe]")
@click.option("--recipe", help="Ask again what a published figure asked: a name or a YAML file.")
@abstain_option("Also score only what is answered with probability P or more.")
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
    from emo.corpora.manifest import refuse_missing

    if model.startswith(PREDICTIONS) or is_contender(model):
        if recipe or abstain_below or loading["head"]:
            raise ConfigError("--recipe, --abstain-below and --head are of our own models. Leave them out.")
        answers = _answers_of(ctx, model, manifest, split, cache, loading, asking, out)
        _score_predictions(ctx, answers, manifest, split, group, group_file, out, seed, as_json)
        return
    refuse_missing(Path(manifest))
    refuse_unknown(model)
    if recipe and (abstain_below or group):
        raise ConfigError("a published figure knows no abstaining and no groups. Leave out --recipe.")
    if group_file and not group:
        raise ConfigError("--group-file needs --group, the name of the column.")
    from emo.cache import open_cache
    from emo.evaluation.published import load_published
    from emo.pipeline.evaluation_run import run_evaluation
    from emo.pipeline.predict import spaces_of

    quieten_transformers()
    published = load_published(recipe) if recipe else None
    asked = _labelled(manifest, split or ("all" if published else "test"))
    groups = asked.groups(group, group_file) if group else None
    system = loaded(model, loading, force=force)
    spaces = spaces_of(system, open_cache(cache, accept_degraded=accept == DEGRADED), force=force)
    note_unknown(voice(ctx), system, spaces)
    run = run_evaluation(
        Path(model),
        system,
        asked,
        spaces,
        recipe=published,
        abstain_below=abstain_below,
        groups=groups,
        seed=seed,
    )
    if out:
        run.write(" ".join(["emo", *sys.argv[1:]]), Path(out))
    if as_json:
        print_json(run.to_json())
    else:
        click.echo("\n".join(evaluation_lines(run)))


def _labelled(manifest: str, split: str) -> Labelled:
    from emo.corpora.manifest import clips_in
    from emo.pipeline.evaluation_run import Labelled

    every, _ = clips_in(Path(manifest))
    return Labelled(place=Path(manifest), every=every, clips=of_split(manifest, every, split), split=split)


def _answers_of(
    ctx: click.Context,
    system: str,
    manifest: str,
    split: str | None,
    cache: str,
    loading: dict[str, Any],
    asking: dict[str, Any],
    out: str | None,
) -> Path:
    """The file of answers of a system that is not of emo; one that is asked is asked first."""
    if not is_contender(system):
        return Path(system.removeprefix(PREDICTIONS))
    clips = _labelled(manifest, split or "test").clips
    return ask_contender(voice(ctx), system, list(clips), manifest, cache, loading, asking, out)


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
