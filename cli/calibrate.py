"""`emo calibrate`: probabilities that mean what they say, fitted on validation clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from emo.cli.accept_option import DEGRADED, accept_option
from emo.cli.console import print_json, quieten_transformers
from emo.cli.labelled import refuse_unlabelled
from emo.cli.model_options import loaded, model_options
from emo.cli.sections import Sectioned
from emo.cli.study_options import json_option


@click.command(cls=Sectioned)
@model_options
@accept_option()
@click.option(
    "--manifest", default=".", show_default=True, type=click.Path(), help="What the model was trained on."
)
@click.option("--bias", is_flag=True, help="One figure a label besides the temperature.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap.")
@json_option()
def calibrate(
    model: str,
    cache: str,
    force: bool,
    accept: str | None,
    loading: dict[str, Any],
    manifest: str,
    bias: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Fit the temperature of a trained model on its validation clips, and store it beside the weights.

    The clips are those that training held out to choose on; test clips are never taken. `emo predict` and
    `emo evaluate` use the figures from then on.

    \b
    emo calibrate --model runs/llm --manifest clips/manifest.jsonl
    emo calibrate --model runs/head --manifest clips/ --bias --json
    """
    from emo.cache import open_cache
    from emo.corpora.manifest import clips_in
    from emo.pipeline.calibrate import calibrate as run
    from emo.pipeline.calibration import FILE, write_calibration
    from emo.pipeline.predict import spaces_of

    clips, _ = clips_in(Path(manifest))
    refuse_unlabelled(manifest, clips)
    quieten_transformers()
    system = loaded(model, loading, force=force, calibrated=False)
    spaces = spaces_of(system, open_cache(cache, accept_degraded=accept == DEGRADED), force=force)
    fitted = run(system, clips, spaces, bias=bias, seed=seed)
    write_calibration(Path(model), fitted.calibration, system.labels, fitted.to_json())
    if as_json:
        print_json({"model": model, "temperature": fitted.calibration.temperature, **fitted.to_json()})
        return
    before, after = fitted.before, fitted.after
    click.echo(
        f"{model}: temperature {fitted.calibration.temperature:.3f} from {before.n} validation clips, "
        f"in {Path(model) / FILE}"
    )
    click.echo(f"  log loss {before.nll.point:.3f} -> {after.nll.point:.3f} on those clips")
    click.echo(f"  ECE {before.ece.point:.3f} -> {after.ece.point:.3f} on those clips")
