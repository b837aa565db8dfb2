"""`emo merr`: emotion-reasoning data from raw clips."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emo.cli.console import Voice, print_json, quieten_transformers, voice
from emo.cli.device_option import device_option, refuse_absent
from emo.cli.merr_exchange import check_command, export_command, import_command
from emo.cli.sections import Sectioned
from emo.cli.study_options import json_option
from emo.config.merr import AU, GIVEN, LOCAL, TEMPLATE, TEMPLATE_NAME, MerrConfig, ServiceConfig
from emo.labels import LABEL_SETS

if TYPE_CHECKING:
    from emo.clip import Clip
    from emo.config.merr import PeakRule, RuleTable
    from emo.merr.built import Built
    from emo.merr.cases import Explainer, Teller

EXIT_PARTIAL = 3
MOST_LISTED = 20
DEFAULTS, SERVICE = MerrConfig(), ServiceConfig()


@click.group("merr")
def merr() -> None:
    """Build, check and export emotion-reasoning data.

    \b
    emo merr build clips/ --out merr
    emo train-llm --manifest clips/manifest.jsonl --merr merr --base tiny-base
    """


@merr.command("build", cls=Sectioned)
@click.argument("clips", required=False, type=click.Path())
@click.option("--out", type=click.Path(file_okay=False), default="merr", show_default=True)
@click.option(
    "--labels",
    type=click.Choice(sorted(LABEL_SETS)),
    default="merr",
    show_default=True,
    help="The label set.",
)
@click.option(
    "--labels-from",
    default=AU,
    show_default=True,
    metavar="au|given|RUN",
    help="The action units alone, the manifest, or the folder of a head trained on the cache.",
)
@click.option(
    "--cache", type=click.Path(), default="features.zarr", show_default=True, help="Features for RUN."
)
@click.option(
    "--rules",
    type=click.Choice(["mer-factory", "paper-copy"]),
    default=DEFAULTS.rules,
    show_default=True,
    help="Which units speak for which label.",
)
@click.option(
    "--peak",
    type=click.Choice(["emotion", "frequent", "overall"]),
    default=DEFAULTS.peak,
    show_default=True,
    help="Units whose sum finds the peak: the label's, the most frequent, all.",
)
@click.option(
    "--least-intensity", type=click.FloatRange(0, 5), default=DEFAULTS.least_intensity, show_default=True
)
@click.option("--least-share", type=click.FloatRange(0, 1), default=DEFAULTS.least_share, show_default=True)
@click.option("--per-label", type=click.IntRange(min=0), default=0, show_default=True, help="Most; 0: all.")
@click.option(
    "--explain",
    default=TEMPLATE,
    show_default=True,
    metavar="template|none|local:MODEL|URL",
    help="Who writes the reasons: rules, nobody, a model here (a folder or OWNER/NAME@COMMIT), or an "
    "OpenAI-compatible server.",
)
@click.option("--model", default="", help="The server's model for --explain.")
@click.option(
    "--describe", default="", metavar="local:MODEL|URL", help="A vision model that says what pictures show."
)
@click.option("--describe-model", default="", help="The server's model for --describe.")
@click.option(
    "--listen",
    default="",
    metavar="local:MODEL|URL",
    help="An audio model that says how voices sound; without one their measures do.",
)
@click.option("--listen-model", default="", help="The server's model for --listen.")
@device_option()
@click.option(
    "--rights", metavar="NAME|FILE", help="Whose data the clips are: what forbids a server is obeyed."
)
@click.option("--send-media-to", default="", metavar="HOST", help="Another machine that media may go to.")
@click.option(
    "--key-env", default=SERVICE.key_env, show_default=True, help="Environment variable with the key."
)
@click.option("--concurrency", type=click.IntRange(1, 64), default=SERVICE.concurrency, show_default=True)
@click.option("--timeout", type=click.FloatRange(min=0.1), default=SERVICE.timeout_s, show_default=True)
@click.option("--tries", type=click.IntRange(min=1), default=SERVICE.tries, show_default=True)
@click.option("--most-requests", type=click.IntRange(min=0), default=0, help="Budget, earlier runs included.")
@click.option("--most-tokens", type=click.IntRange(min=0), default=0, help="Budget, earlier runs included.")
@click.option("--review", type=click.Path(), help="Verdicts from review.html.  [default: OUT/review.json]")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--jobs", type=int, default=0, show_default=True, help="Reading processes; 0 is one a core.")
@click.option("--dry-run", is_flag=True, help="Say what there is and what would be asked, and stop.")
@json_option()
@click.pass_context
def build_command(
    ctx: click.Context,
    clips: str | None,
    out: str,
    labels: str,
    labels_from: str,
    cache: str,
    rules: RuleTable,
    peak: PeakRule,
    least_intensity: float,
    least_share: float,
    per_label: int,
    explain: str,
    model: str,
    describe: str,
    describe_model: str,
    listen: str,
    listen_model: str,
    device: str,
    rights: str | None,
    send_media_to: str,
    key_env: str,
    concurrency: int,
    timeout: float,
    tries: int,
    most_requests: int,
    most_tokens: int,
    review: str | None,
    seed: int,
    jobs: int,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Build a MERR set of CLIPS (a folder, a manifest; default: here): clues, captions, reasons.

    What was seen, heard and answered is kept; stop with Ctrl-C and run the same command to go on.

    \b
    emo merr build clips/ --out merr
    emo merr build clips/ --labels-from runs/head --explain http://127.0.0.1:8000/v1 --model NAME
    """
    from emo.corpora.declared import declared_rights, load_rights
    from emo.corpora.manifest import clips_in
    from emo.merr.build import build
    from emo.merr.explainers import describer_for, explainer_for, ledger_for, listener_for

    config = MerrConfig(
        labels=LABEL_SETS[labels],
        labels_from=labels_from,
        rules=rules,
        peak=peak,
        least_intensity=least_intensity,
        least_share=least_share,
        per_label=per_label,
        seed=seed,
    )
    service = ServiceConfig(
        explain=explain,
        model=model,
        describe=describe,
        describe_model=describe_model,
        listen=listen,
        listen_model=listen_model,
        device=device,
        key_env=key_env,
        concurrency=concurrency,
        timeout_s=timeout,
        tries=tries,
        most_requests=most_requests,
        most_tokens=most_tokens,
        send_media_to=send_media_to,
    )
    refuse_absent(device)
    if any(each.startswith(LOCAL) for each in (explain, describe, listen)):
        quieten_transformers()
    ledger = ledger_for(Path(out), service)
    found, ignored = clips_in(Path(clips or "."))
    speaker = voice(ctx)
    declared = [load_rights(rights)] if rights else list(declared_rights(Path(clips or "."), found))
    explainer = explainer_for(service, config, ledger, declared)
    tellers = (describer_for(service, config, ledger, declared), listener_for(service, ledger, declared))
    if dry_run:
        return _show_plan(found, explainer, tellers, ledger.requests, service.attempts, as_json=as_json)
    speaker.note(f"{len(found)} clips{f', {ignored} other files ignored' if ignored else ''}")
    with speaker.steps() as steps:
        built = build(
            found,
            Path(out),
            config,
            explainer,
            labels=_labels(labels_from, Path(cache), found),
            describer=tellers[0],
            listener=tellers[1],
            rights=declared,
            concurrency=concurrency,
            review=Path(review) if review else None,
            jobs=jobs,
            on_progress=lambda each: steps.show(each.step, each.done, each.total, each.clip_id),
        )
    if as_json:
        print_json(dict(built.to_json()))
    else:
        _show(speaker, built)
    if built.failed or built.waiting:
        sys.exit(EXIT_PARTIAL)
    return None


def _show_plan(
    clips: Sequence[Clip],
    explainer: Explainer | None,
    tellers: Sequence[Teller | None],
    answered: int,
    attempts: int,
    *,
    as_json: bool,
) -> None:
    """What a build would look at and ask at most; reads no media and asks nobody."""
    with_units = sum(clip.au_path is not None for clip in clips)
    models = [each.name for each in (explainer, *tellers) if each and each.name != TEMPLATE_NAME]
    asking = explainer is not None and explainer.name != TEMPLATE_NAME
    most = with_units * (attempts * asking + sum(each is not None for each in tellers))
    if as_json:
        print_json(
            {
                "clips": len(clips),
                "with_action_units": with_units,
                "models": models,
                "most_questions": most,
                "answers_kept": answered,
            }
        )
    else:
        click.echo(f"{len(clips)} clips, {with_units} with action units")
        asked = f"at most {most} questions to {' and '.join(models)}" if models else "no model is asked"
        click.echo(f"{asked}; {answered} answers are kept from before")


def _labels(source: str, cache: Path, clips: list[Clip]) -> dict[str, str]:
    """The label of each clip by the named source; none for `au`, which is asked clip by clip."""
    if source == AU:
        return {}
    if source == GIVEN:
        return {clip.clip_id: clip.label for clip in clips if clip.label}
    from emo.merr.pseudo import labels_of_run

    return labels_of_run(Path(source), cache, clips)


def _show(speaker: Voice, built: Built) -> None:
    told = built.to_json()
    click.echo(
        f"{built.out}: {told['coarse']} coarse and {told['fine']} fine entries of {told['clips']} clips"
    )
    for stage in ("coarse", "fine"):
        labels = told[f"{stage}_labels"]
        assert isinstance(labels, dict)
        click.echo(f"  {stage}: {_counts(labels) or 'none'}")
    dropped = told["dropped"]
    assert isinstance(dropped, dict)
    for stage, counts in dropped.items():
        assert isinstance(counts, dict)
        if counts:
            click.echo(f"  left out, {stage}: {_counts(counts)}")
    for drop in built.failed[:MOST_LISTED]:
        click.echo(f"  failed: {drop.clip_id}: {drop.detail}")
    if built.waiting:
        click.echo(f"  {len(built.waiting)} clips wait for an answer; run the same command again")
    speaker.note(f"card in {built.out}/README.md, figures in quality.json, what was left out in drops.jsonl")


def _counts(counts: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


merr.add_command(check_command)
merr.add_command(export_command)
merr.add_command(import_command)
