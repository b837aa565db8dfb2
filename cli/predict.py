"""`emo predict`: a label and its reasons for each clip."""

from __future__ import annotations

import json

import click

from emo.cli.console import SCHEMA_VERSION, quieten_transformers, voice


@click.command()
@click.argument("clips", nargs=-1, required=True, type=click.Path())
@click.option("--model", required=True, type=click.Path(), help="Folder of a trained head or LLaMA stage.")
@click.option(
    "--cache", type=click.Path(), default="features.zarr", show_default=True, help="The feature store."
)
@click.option("--text", default="", help="What is said, for a single clip without a manifest.")
@click.option("--no-reasons", is_flag=True, help="Labels only.")
@click.option("--jobs", type=int, default=0, show_default=True, help="Decoding processes; 0 is one a core.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a clip on stdout.")
@click.pass_context
def predict(
    ctx: click.Context,
    clips: tuple[str, ...],
    model: str,
    cache: str,
    text: str,
    no_reasons: bool,
    jobs: int,
    as_json: bool,
) -> None:
    """Answer for CLIPS (media files, folders or manifests) with a trained model.

    The label is perceived expression, not what the person feels; see docs/responsible-use.md.

    \b
    emo predict clip.mp4 --model runs/llm
    emo predict clips/ --model runs/head --json > answers.jsonl
    """
    from emo.pipeline.predict import predict as run

    quieten_transformers()
    with voice(ctx).meter("extract") as meter:
        answers = run(
            clips,
            model,
            cache,
            text=text,
            reasons=not no_reasons,
            jobs=jobs,
            on_progress=lambda event: meter.update(event.done, event.total, event.clip_id),
        )
        answers = iter(list(answers))
    for answer in answers:
        if as_json:
            click.echo(json.dumps({"schema_version": SCHEMA_VERSION, **answer.to_json()}, ensure_ascii=False))
            continue
        share = answer.probabilities.get(answer.label or "", 0.0)
        lacks = f"  (without {', '.join(answer.missing)})" if answer.missing else ""
        click.echo(f"{answer.clip_id}: {answer.label or 'no label'} {share:.2f}{lacks}")
        if answer.text:
            click.echo(f"  {answer.text}")
