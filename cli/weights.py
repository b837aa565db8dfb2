"""`emo weights`: weights onto this machine, from the hub or from files of the original authors, and back."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from emo.cli.console import print_json, quieten_transformers, voice
from emo.cli.study_options import json_option

EXIT_NOT_FETCHED = 2
ENCODERS = ("eva", "mae", "videomae")
STAGES = ("emotion-llama", "minigpt-v2")


@click.group()
def weights() -> None:
    """Fetch, convert, export and merge weights of encoders and of the LLaMA stage."""


@weights.command()
@click.option("--encoder", "-e", default="hubert,mae,videomae,eva", show_default=True, help="NAME[,NAME...]")
@click.option(
    "--preset", default="base", metavar="[paper|base|large]", show_default=True, help="For names without @."
)
@click.option("--substitute", is_flag=True, help="A public stand-in where the weights are not public.")
@click.option("--dry-run", is_flag=True, help="Say what would be fetched, under which licence, and stop.")
@json_option()
@click.pass_context
def get(
    ctx: click.Context, encoder: str, preset: str, substitute: bool, dry_run: bool, as_json: bool
) -> None:
    """Fetch the weights of a preset; what is not public is said, with what stands in for it.

    Downloads go on where they stopped. Pickles are converted to safetensors in a limited process.

    \b
    emo weights get --encoder hubert --preset base
    emo weights get --encoder mae,videomae --preset paper --substitute
    emo weights get --encoder wavlm@large,timm:vit_small_patch14_dinov2,hf:facebook/dinov2-small
    """
    from emo.errors import CheckpointError
    from emo.extractors.fetch import fetch, why_not
    from emo.extractors.registry import preset_source, weights_of

    speaker = voice(ctx)
    fetched: list[dict[str, object]] = []
    refused: list[dict[str, object]] = []
    for asked in [part.strip() for part in encoder.split(",") if part.strip()]:
        source = preset_source(asked, preset)
        name, own = weights_of(asked, preset)
        chosen = source.substitute if substitute and source.substitute else source
        if not chosen.public:
            refused.append({"encoder": name, "reason": why_not(name, own, source)})
            continue
        speaker.note(f"{name} {own}: {chosen.repo}, licence {chosen.licence.name}, {chosen.licence.source}")
        row: dict[str, object] = {"encoder": name, "repo": chosen.repo, "licence": chosen.licence.name}
        if not dry_run:
            try:
                got = fetch(name, own, source, substitute=substitute)
            except CheckpointError as error:
                refused.append({"encoder": name, "reason": str(error)})
                continue
            row |= {"folder": str(got.folder), "commit": got.commit, "sha256": dict(got.files)}
        fetched.append(row)
    _report(fetched, refused, as_json=as_json, dry_run=dry_run)


@weights.command()
@click.argument("kind", type=click.Choice([*ENCODERS, *STAGES]))
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.argument("out", required=False, type=click.Path(file_okay=False))
@click.option("--base", default="", help="LLaMA-2-chat under emotion-llama and minigpt-v2, directory or id.")
@click.option("--alpha", type=click.IntRange(1), help="LoRA alpha of those two.  [default: rank / 4]")
@json_option()
@click.pass_context
def convert(
    ctx: click.Context, kind: str, file: str, out: str | None, base: str, alpha: int | None, as_json: bool
) -> None:
    """Convert FILE, a .pth of the original code, into a folder OUT. Nothing in FILE is executed.

    An encoder becomes weights of the paper preset, by default where those are looked for. emotion-llama
    becomes a checkpoint that answers, minigpt-v2 one to start training from.

    \b
    emo weights convert eva eva_vit_g.pth
    emo weights convert emotion-llama checkpoint_best.pth runs/released --base models/llama-2-7b-chat
    emo weights convert minigpt-v2 minigptv2_checkpoint.pth runs/minigpt --base models/llama-2-7b-chat
    """
    if kind in ENCODERS:
        if base or alpha:
            raise click.UsageError(f"--base and --alpha are of {' and '.join(STAGES)}; {kind} has no LLaMA.")
        folder, files = _encoder(kind, Path(file), out)
        notes: dict[str, object] = {}
    else:
        if out is None:
            raise click.UsageError(f"OUT is missing: the folder that {kind} is converted to.")
        folder = Path(out)
        files, notes = _stage(ctx, kind, Path(file), folder, base, alpha)
    if as_json:
        print_json({"kind": kind, "folder": str(folder), "sha256": files, **notes})
        return
    for name, digest in files.items():
        click.echo(f"{folder / name}  sha256 {digest}")


def _encoder(kind: str, file: Path, out: str | None) -> tuple[Path, dict[str, str]]:
    from emo.extractors.fetch import convert as run
    from emo.extractors.registry import preset_source
    from emo.extractors.weights import weights_folder

    folder = Path(out) if out else weights_folder(kind, "paper")
    return folder, run(kind, file, folder, preset_source(kind, "paper"))


def _stage(
    ctx: click.Context, kind: str, file: Path, folder: Path, base: str, alpha: int | None
) -> tuple[dict[str, str], dict[str, object]]:
    from emo.pipeline.released import convert_released

    quieten_transformers()
    card = convert_released(kind, file, folder, base=base, alpha=alpha)
    origin, lora = card.origin, card.config.lora
    assert origin is not None
    speaker = voice(ctx)
    speaker.note(origin.caution(card.dims))
    speaker.note(f"LoRA rank {lora.rank}, alpha {lora.alpha}; LLaMA {card.base}")
    if not card.base_digest:
        speaker.note(
            "its bytes are not known here: whatever LLaMA is given later is taken. --base names one."
        )
    if origin.fresh:
        speaker.note(f"no projectors for {', '.join(origin.fresh)}: start with emo train-llm --init-from")
    notes: dict[str, object] = {
        "source_sha256": origin.sha256,
        "rank": lora.rank,
        "alpha": lora.alpha,
        "fresh": list(origin.fresh),
    }
    return dict(card.files), notes


@weights.command()
@click.argument("kind", type=click.Choice(["emotion-llama", "eva"]))
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.argument("file", type=click.Path(dir_okay=False))
@json_option()
@click.pass_context
def export(ctx: click.Context, kind: str, folder: str, file: str, as_json: bool) -> None:
    """Write FILE, a .pth under the names of the original code, from FOLDER.

    FOLDER is a checkpoint of the LLaMA stage for emotion-llama, converted weights for eva.

    \b
    emo weights export emotion-llama runs/llm emotion_llama.pth
    emo weights export eva weights/eva eva_vit_g.pth
    """
    from emo.digests import sha256_file

    if kind == "eva":
        from emo.extractors.eva_convert import export as export_eva

        export_eva(Path(folder), Path(file))
    else:
        from emo.llm.official.export import export as export_stage

        lora = export_stage(Path(folder), Path(file)).config.lora
        voice(ctx).note(f"in the official YAML: lora_r: {lora.rank}, lora_alpha: {lora.alpha}")
    digest = sha256_file(Path(file))
    if as_json:
        print_json({"kind": kind, "file": file, "sha256": digest})
    else:
        click.echo(f"{file}  sha256 {digest}")


@weights.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.argument("out", type=click.Path(file_okay=False))
@click.option("--base", help="Where the LLaMA is now.  [default: where it was in training]")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
    help="Of the sum. Half precision takes half the room and rounds.",
)
@json_option()
@click.pass_context
def merge(ctx: click.Context, folder: str, out: str, base: str | None, dtype: str, as_json: bool) -> None:
    """Merge the adapter of the checkpoint FOLDER into its LLaMA: OUT/llama loads as any LLaMA does.

    OUT itself is a checkpoint that answers as FOLDER does. The calibration goes along, except in half
    precision, whose sums are rounded: there, fit it again with emo calibrate.

    \b
    emo weights merge runs/llm runs/merged
    emo weights merge runs/llm runs/merged --dtype bfloat16
    """
    from emo.llm.card import read_card
    from emo.llm.merge import merge_checkpoint
    from emo.pipeline.calibration import FILE, carry_calibration

    quieten_transformers()
    llama = merge_checkpoint(Path(folder), Path(out), base=base, dtype=dtype)
    carried = dtype == "float32" and carry_calibration(
        Path(folder), Path(out), read_card(Path(folder)).config.labels
    )
    if not carried and (Path(folder) / FILE).exists():
        voice(ctx).note(f"{FILE} is not carried over: {dtype} rounds. Fit it: emo calibrate --model {out}")
    if as_json:
        print_json({"folder": out, "llama": str(llama), "dtype": dtype, "calibrated": carried})
    else:
        click.echo(f"{llama}: a plain LLaMA. {out}: emo predict CLIP --model {out}")


def _report(
    fetched: list[dict[str, object]], refused: list[dict[str, object]], *, as_json: bool, dry_run: bool
) -> None:
    if as_json:
        print_json({"dry_run": dry_run, "fetched": fetched, "not_fetched": refused})
    else:
        for row in fetched:
            click.echo(f"{row['encoder']}: {row.get('folder', 'would be fetched from ' + str(row['repo']))}")
        for row in refused:
            click.echo(str(row["reason"]))
    if refused:
        sys.exit(EXIT_NOT_FETCHED)
