"""`emo score`: files of answers against a file of truths, whatever system wrote them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emo.cli.console import SCHEMA_VERSION, print_json, voice
from emo.cli.sections import Sectioned
from emo.cli.study_options import json_option
from emo.errors import ConfigError

if TYPE_CHECKING:
    from emo.evaluation.groups import GroupScores
    from emo.evaluation.scoring import FileScores

FILE = click.Path(dir_okay=False, path_type=Path)
PLACE = click.Path(path_type=Path)


@click.command(cls=Sectioned)
@click.argument("predictions", nargs=-1, required=True, type=PLACE)
@click.option("--truth", required=True, type=PLACE, help="Manifest, its folder, or a table of true values.")
@click.option("--metric", default="labels", show_default=True, help="See the list above.")
@click.option("--against", multiple=True, type=PLACE, help="Answers of another system: a paired test.")
@click.option("--labels", default="", help="Label set (mer2023, merr, dfew), or labels with commas.")
@click.option("--truth-column", help="Column of the true value.  [default: by the metric]")
@click.option("--column", help="Column of the answer.  [default: by the metric]")
@click.option("--cluster", help="Column of the truth that is resampled.  [default: speaker, or dialogue]")
@click.option("--group", help="Column of declared groups, for scores by group and the worst gap.")
@click.option("--group-file", type=PLACE, help="Table with that column.  [default: --truth]")
@click.option("--split", default="all", show_default=True, help="Rows of the truth that are scored.")
@click.option("--synonyms", type=FILE, help="mer2024-ov: groups of words that mean the same.")
@click.option("--wheel-data", type=click.Path(path_type=Path), help="Folder of the wheels' vocabulary.")
@click.option("--fetch-wheel", is_flag=True, help="Fetch that vocabulary from its public repository.")
@click.option("--encoding", default="utf-8", show_default=True, help="Of every table.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for scores.json, which emo report reads."
)
@json_option()
@click.pass_context
def score(
    ctx: click.Context,
    predictions: tuple[Path, ...],
    truth: Path,
    metric: str,
    against: tuple[Path, ...],
    labels: str,
    truth_column: str | None,
    column: str | None,
    cluster: str | None,
    group: str | None,
    group_file: Path | None,
    split: str,
    synonyms: Path | None,
    wheel_data: Path | None,
    fetch_wheel: bool,
    encoding: str,
    seed: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Score PREDICTIONS, .csv, .jsonl or -openset.npz with a clip a row, against the truth.

    A folder of `emo evaluate --out` stands for its answers.jsonl. Several files are runs of one system with
    other seeds. Intervals are bootstraps by speaker; a clip without an answer counts as invalid. Metrics:
    labels, mer2023, valence, mosi (and MOSEI), sims, mer2024-ov, ew-2025, ew-2026, hit-rate-2025,
    hit-rate-2026.

    \b
    emo score answers.jsonl --truth clips/ --group gender
    emo score ours.csv --truth gt.csv --metric ew-2026 --fetch-wheel --against theirs.csv
    """
    from emo.corpora.declared import rights_of, write_rights
    from emo.corpora.manifest import manifest_of
    from emo.evaluation.measures import Settings
    from emo.evaluation.own_results import FILE as SCORES
    from emo.evaluation.own_results import answers_in
    from emo.evaluation.scoring import score_files

    if group_file and not group:
        raise ConfigError("--group-file needs --group, the name of the column.")
    if fetch_wheel:
        wheel_data = _fetched(metric, wheel_data)
    truth = manifest_of(truth)
    found = score_files(
        metric,
        truth,
        [answers_in(place) for place in predictions],
        against=[answers_in(place) for place in against],
        settings=Settings(
            labels=labels,
            truth_column=truth_column,
            column=column,
            wheel_data=wheel_data,
            synonyms=synonyms,
        ),
        cluster=cluster,
        group=group,
        group_file=manifest_of(group_file) if group_file else None,
        split=split,
        encoding=encoding,
        seed=seed,
    )
    data = rights_of(truth, found.datasets)
    result = {**found.to_json(), "data": [record.to_json() for record in data]}
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"schema_version": SCHEMA_VERSION, **result}, ensure_ascii=False, indent=1)
        (out / SCORES).write_text(text + "\n", encoding="utf-8")
        if data:
            write_rights(out / SCORES, data)
    if as_json:
        print_json(result)
        return
    click.echo("\n".join(_lines(found)))
    for note in (*found.notes, *found.runs[0].notes):
        voice(ctx).note(f"note: {note}")


def _fetched(metric: str, folder: Path | None) -> Path:
    from emo.evaluation.wheel_files import fetch_vocabulary, wheel_home

    version = metric.replace("hit-rate-", "ew-")
    return fetch_vocabulary(version, folder or wheel_home(version))


def _lines(found: FileScores) -> Iterator[str]:
    for path, run in zip(found.files, found.runs, strict=True):
        by = f", {run.clusters} by {found.cluster}" if found.cluster else ""
        yield f"{path}: {found.metric}, n {run.n}{by}, invalid {run.invalid_rate:.1%}"
        yield from (f"  {each.metric:<18} {each}" for each in run.scores)
    if found.calibration:
        yield f"  {'ECE':<18} {found.calibration.ece}, n {found.calibration.n}, of the first file"
    if found.seeds:
        yield f"over runs: mean ± standard deviation, {_counts(found)}"
        yield from (f"  {each.metric:<18} {each}" for each in found.seeds)
    if found.against:
        yield f"difference to the other system, paired, {_counts(found)}"
        for each in found.against:
            yield (
                f"  {each.metric:<18} {each.value:+.3f} [{each.low:+.3f}, {each.high:+.3f}], "
                f"p {each.p_value:.3g}"
            )
    if found.groups:
        yield from group_lines(found.groups)


def _counts(found: FileScores) -> str:
    """n and the rate of invalid answers over the runs."""
    invalid = sum(run.invalid_rate for run in found.runs) / len(found.runs)
    return f"n {found.runs[0].n}, invalid {invalid:.1%}"


def group_lines(groups: GroupScores) -> Iterator[str]:
    """Scores by group and the worst gap, for people."""
    yield f"{groups.gap.metric} by {groups.column}, worst first"
    for one in groups.groups:
        yield (
            f"  {one.group:<18} {one.score}, n {one.n}, {one.score.clusters} speakers or clips, "
            f"invalid {one.invalid_rate:.1%}"
        )
    yield f"  worst gap          {groups.gap}, p {groups.p_value:.3g} by shuffling groups"
    yield from (f"  note: {note}" for note in groups.notes)
    if groups.undeclared:
        yield f"  {groups.undeclared} clips declare no {groups.column}"
