"""`emo predict`: a label and its reasons for each clip."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emo.cli.accept_option import DEGRADED, accept_option
from emo.cli.console import SCHEMA_VERSION, Steps, quieten_transformers, voice
from emo.cli.extract_options import media_options
from emo.cli.model_options import abstain_option, loaded, model_options, note_unknown
from emo.cli.sections import Sectioned
from emo.cli.serve_options import serve_options
from emo.errors import ConfigError

if TYPE_CHECKING:
    from emo.clip import Clip
    from emo.pipeline.answers import Answer
    from emo.pipeline.predict import Prepared
    from emo.pipeline.systems import LlamaSystem, System

NEARLY = 0.85  # likeness from which on a name is taken for a mistyped one


@click.command(cls=Sectioned)
@click.argument("clips", nargs=-1, type=click.Path())
@model_options
@media_options
@accept_option()
@click.option("--text", default="", help="What is said, for a single clip without a manifest.")
@click.option("--no-reasons", is_flag=True, help="Labels only.")
@click.option("--stream", is_flag=True, help="Show each reason while it is generated.")
@abstain_option()
@click.option("--max-new-tokens", type=int, default=120, show_default=True, help="Of a reason.")
@click.option("--temperature", type=float, default=0.0, show_default=True, help="0 is greedy.")
@click.option("--top-p", type=float, default=1.0, show_default=True, help="Nucleus that is drawn from.")
@click.option("--repetition-penalty", type=float, default=1.0, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Of drawn reasons.")
@click.option("--jobs", type=int, default=0, show_default=True, help="Decoding processes; 0 is one a core.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a clip on stdout.")
@click.option("--out", type=click.Path(dir_okay=False), help="Write the objects to a file, and go on there.")
@click.option("--embeddings", type=click.Path(), metavar="CACHE", help="Store embeddings of the clips too.")
@click.pass_context
@serve_options
def predict(
    ctx: click.Context,
    /,
    clips: tuple[str, ...],
    model: str,
    cache: str,
    force: bool,
    accept: str | None,
    loading: dict[str, Any],
    media: dict[str, Any],
    text: str,
    no_reasons: bool,
    stream: bool,
    abstain_below: float,
    jobs: int,
    as_json: bool,
    out: str | None,
    embeddings: str | None,
    **decoding: Any,
) -> None:
    """Answer for CLIPS (media files, folders or manifests) with a trained model.

    The label is perceived expression, not what the person feels; see docs/responsible-use.md.

    \b
    emo predict clip.mp4 --model runs/llm --stream
    emo predict clips/ --model runs/head --out answers.jsonl --abstain-below 0.5
    emo predict clips/ --model runs/llm --temperature 0.2 --top-p 0.9 --repetition-penalty 1.05
    emo predict --serve --model runs/llm
    """
    from emo.corpora.manifest import refuse_missing

    for place in clips:  # before what is slow to import
        refuse_missing(Path(place))
    from emo.config.decoding import Decoding
    from emo.pipeline.answer_file import AnswerFile
    from emo.pipeline.answering import answering
    from emo.pipeline.people import crowd_note, crowded
    from emo.pipeline.predict import clips_named, prepare

    if stream and (as_json or out or no_reasons or embeddings):
        raise ConfigError(
            "--stream is for reading along. Leave out --json, --out, --no-reasons and --embeddings."
        )
    quieten_transformers()
    chosen: Sequence[Clip] = clips_named(clips, text)
    system = loaded(model, loading, force=force, decoding=Decoding(**decoding))
    if stream or embeddings:
        _llama(system, model)
    if not Path(cache).exists():
        voice(ctx).note(_new_cache(Path(cache)))
    with AnswerFile(Path(out)) if out else nullcontext() as file, voice(ctx).steps() as steps:
        ready = prepare(
            system,
            chosen,
            cache,
            force=force,
            accept_degraded=accept == DEGRADED,
            jobs=jobs,
            **media,
            on_people=lambda done, total, note: steps.show("who is it", done, total, note),
            on_progress=lambda event: steps.show("extract", event.done, event.total, event.clip_id),
        )
        steps.close()
        chosen = ready.clips
        note_unknown(voice(ctx), system, ready.spaces)
        several = crowded(chosen, ready.spaces)
        for line in crowd_note(len(several), "clips", several):
            voice(ctx).note(line)
        if stream:
            _read_along(ready, abstain_below)
            return
        work = answering(
            ready,
            Path(model),
            loading,
            file,
            force=force,
            abstain_below=abstain_below,
            reasons=not no_reasons,
            **decoding,
        )
        if done := len(chosen) - len(work.todo):
            voice(ctx).note(f"{done} of {len(chosen)} clips are answered in {out}")
        answers = work.rows(reasons=not no_reasons, abstain_below=abstain_below)
        for number, (answer, told) in enumerate(answers, start=1):
            row = {"schema_version": SCHEMA_VERSION, **told}
            if file is not None:
                file.write(row)
                steps.show("answers", number, len(work.todo), answer.clip_id)
            if as_json:
                click.echo(json.dumps(row, ensure_ascii=False))
            elif file is None:
                click.echo("\n".join(_lines(answer)))
        if embeddings:
            _store(steps, ready, chosen, Path(model), embeddings)


def _new_cache(cache: Path) -> str:
    """What is said of a cache that will be made; ConfigError where its name is nearly that of another."""
    beside = {path.stem: path for path in sorted(cache.parent.glob("*.zarr"))}
    if near := get_close_matches(cache.stem, beside, n=1, cutoff=NEARLY):
        raise ConfigError(
            f"there is no cache at {cache}; did you mean {beside[near[0]]}? If a new one is meant, make it "
            f"first: emo extract CLIPS --cache {cache}"
        )
    others = f" Beside it: {', '.join(map(str, beside.values()))}." if beside else ""
    return f"there is no cache at {cache}: the clips' features go into a new one.{others}"


def _lines(answer: Answer) -> Iterator[str]:
    label = answer.label or ("abstained" if answer.abstained else "no label")
    valence = "" if answer.valence is None else f", valence {answer.valence:+.2f}"
    lacks = f"  (without {', '.join(answer.missing)})" if answer.missing else ""
    yield f"{answer.clip_id}: {label} {answer.confidence:.2f}{valence}{lacks}"
    if answer.text:
        yield f"  {answer.text}"


def _read_along(ready: Prepared, abstain_below: float) -> None:
    """Each clip's label, then its reason piece by piece."""
    from emo.pipeline.systems import LlamaSystem, batches

    for clips, batch in batches(ready.system, ready.clips, ready.spaces, size=1):
        (answer,) = ready.system.answers(clips, batch, reasons=False)
        shown = answer.unless_below(abstain_below)
        click.echo("\n".join(_lines(shown)))
        if isinstance(ready.system, LlamaSystem) and not shown.abstained:
            click.echo("  ", nl=False)
            for piece in ready.system.reason_pieces(clips[0], batch, answer):
                click.echo(piece, nl=False)
            click.echo()


def _llama(system: System, model: str) -> LlamaSystem:
    from emo.pipeline.systems import LlamaSystem

    if not isinstance(system, LlamaSystem):
        raise ConfigError(f"{model} is a head: only a LLaMA stage has reasons to --stream and --embeddings.")
    return system


def _store(steps: Steps, ready: Prepared, clips: Sequence[Clip], model: Path, target: str) -> None:
    from emo.cache import open_cache
    from emo.pipeline.embeddings import store_embeddings

    system = _llama(ready.system, str(model))
    stored = store_embeddings(system, model, clips, ready.spaces, open_cache(target, "a"))
    for number, clip_id in enumerate(stored, start=1):
        steps.show("embeddings", number, len(clips), clip_id)
