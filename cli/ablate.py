"""`emo ablate`: what encoders, stages and texts are worth, cell by cell, against the whole system."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emo.cli.accept_option import DEGRADED, accept_option
from emo.cli.console import SCHEMA_VERSION, print_json, quieten_transformers, voice
from emo.cli.device_option import device_option, dtype_option, refuse_absent
from emo.cli.labelled import refuse_unlabelled
from emo.cli.llm import TINY_BASE, merr_folder
from emo.cli.sections import Sectioned
from emo.cli.study_options import (
    base_option,
    cache_option,
    features_option,
    json_option,
    manifest_option,
    merr_option,
    out_option,
    recipe_option,
)
from emo.config.heads import HeadConfig
from emo.errors import ConfigError

if TYPE_CHECKING:
    from emo.cache import Space
    from emo.clip import Clip
    from emo.config.llm import LlmConfig
    from emo.llm.training.stopping import Stop
    from emo.pipeline.ablation_cells import Cell, Kind
    from emo.pipeline.ablation_runs import CellResult
    from emo.pipeline.ablation_study import Study

HEAD, LLM = "head", "llm"
DEFAULTS = HeadConfig()
VARIED = {HEAD: "subsets", LLM: "emotion-encoders,stages"}
JSON_NAME, TABLE_NAME, FIGURE_NAME = "ablation.json", "ablation.md", "ablation.png"


@click.command(cls=Sectioned)
@click.option("--system", type=click.Choice([HEAD, LLM]), default=HEAD, show_default=True)
@click.option(
    "--vary",
    default="",
    metavar="AXIS[,AXIS...]",
    help="emotion-encoders, subsets, stages, pretraining.  [default: subsets; llm: emotion-encoders,stages]",
)
@click.option("--seeds", default="0,1,2", show_default=True, help="Of training; every cell has them all.")
@cache_option()
@manifest_option("Clips with labels and a test split, or their folder.")
@features_option()
@accept_option()
@click.option("--labels", default="", help="Of a head: a set, or LABEL,LABEL...  [default: what fits]")
@click.option("--head", default=DEFAULTS.head, show_default=True, help="Which head.")
@click.option(
    "--epochs", type=click.IntRange(1), default=DEFAULTS.epochs, show_default=True, help="Of a head."
)
@base_option("Of llm: ")
@recipe_option("Of llm: a recipe's name or a YAML file.")
@merr_option("Of llm: ")
@click.option(
    "--pretrain",
    "others",
    multiple=True,
    metavar="NAME=FOLDER",
    help="With --vary pretraining: other MERR-shaped texts of these clips; repeatable.",
)
@device_option(trains=True)
@dtype_option()
@out_option("runs/ablation")
@click.option("--dry-run", is_flag=True, help="Say which cells there are and what is left to train.")
@json_option()
@click.pass_context
def ablate(
    ctx: click.Context,
    system: Kind,
    vary: str,
    seeds: str,
    cache: str,
    manifest: str,
    features: str,
    accept: str | None,
    labels: str,
    head: str,
    epochs: int,
    base: str,
    recipe: str,
    merr: str | None,
    others: tuple[str, ...],
    device: str,
    dtype: str,
    out: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train the system without some of what it has, several seeds each, and score all on the same test clips.

    Finished cells are kept under --out and not trained again. Writes ablation.json, .md and .png.

    \b
    emo ablate --manifest clips --vary subsets --dry-run
    emo ablate --system llm --base tiny-base --manifest clips --vary stages,pretraining
    """
    from emo.cache import open_cache
    from emo.cli.train_head import spaces_named
    from emo.corpora import clips_in
    from emo.llm.training.stopping import stop_signals
    from emo.pipeline.ablation_cells import cells_by_axis, whole_cell

    if not dry_run:
        refuse_absent(device)
    names = [name.strip() for name in (vary or VARIED[system]).split(",") if name.strip()]
    _refuse_contradictions(system, names, others)
    folders = _folders(others)
    clips, _ = clips_in(Path(manifest))
    refuse_unlabelled(manifest, clips)
    spaces = spaces_named(open_cache(Path(cache), accept_degraded=accept == DEGRADED), features)
    with stop_signals(lambda name: voice(ctx).note(f"{name}: saving; Ctrl-C now ends at once")) as stop:
        if system == LLM:
            study, plan = _llm_study(
                ctx, clips, spaces, recipe, base, merr_folder(manifest, merr), folders, device, dtype, stop
            )
        else:
            study, plan = _head_study(clips, spaces, labels, head, epochs, stop), None
        axes = cells_by_axis(names, tuple(spaces), system, recipe=plan, other_texts=tuple(folders))
        whole = whole_cell(tuple(spaces))
        cells = list(dict.fromkeys([whole, *(cell for few in axes.values() for cell in few)]))
        if dry_run:
            _show_plan(study, cells, _seeds(seeds), Path(out), as_json=as_json)
        else:
            _run(ctx, study, system, axes, cells, _seeds(seeds), Path(out), as_json=as_json)


def _refuse_contradictions(system: str, axes: Sequence[str], others: Sequence[str]) -> None:
    mistakes = []
    if system == HEAD and others:
        mistakes.append("--pretrain is of a LLaMA stage. Add --system llm.")
    if others and "pretraining" not in axes:
        mistakes.append("--pretrain gives cells of --vary pretraining. Add that axis.")
    if mistakes:
        raise ConfigError(*mistakes)


def _seeds(given: str) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(int(seed) for seed in given.split(",")))
    except ValueError as error:
        raise ConfigError(f"--seeds {given}: not whole numbers with commas, such as 0,1,2.") from error


def _folders(given: Sequence[str]) -> dict[str, Path]:
    from emo.corpora.merr_files import COARSE, FINE
    from emo.pipeline.ablation_cells import LABELS_ONLY, MERR

    found: dict[str, Path] = {}
    for value in given:
        name, _, folder = value.partition("=")
        if not name or not folder or name in (MERR, LABELS_ONLY, *found):
            raise ConfigError(f"--pretrain {value}: not NAME=FOLDER, or the name {name!r} is taken.")
        if not any((Path(folder) / file).is_file() for file in (COARSE, FINE)):
            raise ConfigError(f"--pretrain {value}: {folder} holds neither {COARSE} nor {FINE}.")
        found[name] = Path(folder)
    return found


def _head_study(
    clips: Sequence[Clip], spaces: Mapping[str, Space], labels: str, head: str, epochs: int, stop: Stop
) -> Study:
    from emo.cli.train_head import label_set
    from emo.pipeline.ablation_study import HeadStudy

    config = replace(DEFAULTS, head=head, epochs=epochs)
    return HeadStudy(clips, spaces, label_set(labels, clips), config, stop=stop)


def _llm_study(
    ctx: click.Context,
    clips: Sequence[Clip],
    spaces: Mapping[str, Space],
    recipe: str,
    base: str,
    merr: Path,
    others: Mapping[str, Path],
    device: str,
    dtype: Any,
    stop: Stop,
) -> tuple[Study, LlmConfig]:
    from emo.config.hardware import HardwareConfig
    from emo.llm.base import NO_BASE
    from emo.llm.recipe import load_recipe
    from emo.pipeline.ablation_cells import LABELS_ONLY, MERR
    from emo.pipeline.ablation_study import LlmStudy
    from emo.pipeline.clip_lists import refuse_missing_lists
    from emo.pipeline.merr_texts import labels_only, read_texts

    if not base and Path(TINY_BASE).is_dir():
        base = TINY_BASE
        voice(ctx).note(f"base: {TINY_BASE}, the small LLaMA of `emo llm tiny-base`")
    if not base:
        raise ConfigError(NO_BASE)
    quieten_transformers()
    config = load_recipe(recipe)
    refuse_missing_lists(config.stages, {})
    texts = {
        MERR: read_texts(merr, clips),
        LABELS_ONLY: labels_only(clips),
        **{name: read_texts(folder, clips) for name, folder in others.items()},
    }
    hardware = HardwareConfig(device=device, dtype=dtype)
    return LlmStudy(clips, spaces, texts, base, config, hardware=hardware, stop=stop), config


def _show_plan(
    study: Study, cells: Sequence[Cell], seeds: Sequence[int], out: Path, *, as_json: bool
) -> None:
    """Every cell with the seeds that are left to train and what they would take."""
    from emo.pipeline.ablation_runs import cell_folder, kept_result

    rows: list[dict[str, object]] = []
    lines: list[str] = []
    left, seconds, unknown = 0, 0.0, 0
    planned: set[Path] = set()  # two cells that are decided by the same are trained once
    kept_seconds: list[float] = []
    for cell in cells:
        kept = [found for seed in seeds if (found := kept_result(study, cell, seed, out))]
        kept_seconds += [one.seconds for one in kept]
        folders = {seed: cell_folder(study, cell, seed, out) for seed in seeds}
        there = {one.seed for one in kept}
        todo = [seed for seed in seeds if seed not in there and folders[seed] not in planned]
        planned |= {folders[seed] for seed in todo}
        each = study.seconds(cell) if todo else None
        left += len(todo)
        seconds += (each or 0.0) * len(todo)
        unknown += len(todo) if each is None else 0
        rows.append({"cell": cell.name, **cell.to_json(), "to_train": todo, "seconds_each": each})
        took = f", about {each:.0f} s each" if each else ""
        none = "none, kept" if len(kept) == len(seeds) else "none, the same as a cell above"
        lines.append(f"{cell.name}: seeds to train: {', '.join(map(str, todo)) or none}{took}")
    if unknown and kept_seconds:
        seconds, unknown = seconds + unknown * sum(kept_seconds) / len(kept_seconds), 0
    expected = None if unknown else round(seconds, 1)
    if as_json:
        print_json({"cells": rows, "trainings": left, "seconds": expected})
        return
    click.echo("\n".join(lines))
    cost = "their time is known after the first" if unknown else f"about {seconds:.0f} s of training"
    click.echo(f"{len(cells)} cells x {len(seeds)} seeds, {left} left to train: {cost if left else 'none'}")


def _run(
    ctx: click.Context,
    study: Study,
    system: str,
    axes: Mapping[str, Sequence[Cell]],
    cells: Sequence[Cell],
    seeds: Sequence[int],
    out: Path,
    *,
    as_json: bool,
) -> None:
    from emo.evaluation.figures import save_figure
    from emo.heads.provenance import code_commit
    from emo.pipeline.ablation_figure import ablation_figure
    from emo.pipeline.ablation_result import ablation_markdown, ablation_scores
    from emo.pipeline.ablation_runs import cell_folder, run_cells

    speaker = voice(ctx)
    results: list[CellResult] = []
    total = len(cells) * len(seeds)
    with speaker.meter("ablate") as meter:

        def told(cell: Cell, seed: int, done: float, of: float, words: str) -> None:
            note = f"{cell.name}, seed {seed}{f': {words}' if words else ''}"
            meter.update(len(results), total, note, share=(len(results) + done / of) / total)

        for result in run_cells(study, cells, seeds, out, on_step=told):
            results.append(result)
            meter.update(len(results), total, f"{result.cell.name}, seed {result.seed}")
    trained = {cell_folder(study, one.cell, one.seed, out) for one in results if not one.kept}
    folders = {cell_folder(study, one.cell, one.seed, out) for one in results}
    same = f", {alike} are the same as others" if (alike := len(results) - len(folders)) else ""
    speaker.note(f"{len(trained)} cells trained, {len(folders - trained)} kept from before{same}")
    found = ablation_scores(system, study.test, study.labels, results, axes)
    payload = {"schema_version": SCHEMA_VERSION, "commit": code_commit(), **found.to_json()}
    out.mkdir(parents=True, exist_ok=True)
    (out / JSON_NAME).write_text(json.dumps(payload, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (out / TABLE_NAME).write_text(ablation_markdown(found), encoding="utf-8")
    save_figure(ablation_figure(payload), out / FIGURE_NAME)
    if as_json:
        print_json({key: value for key, value in payload.items() if key != "schema_version"})
    else:
        click.echo(ablation_markdown(found), nl=False)
        speaker.note(f"written to {out}: {JSON_NAME}, {TABLE_NAME}, {FIGURE_NAME}")
