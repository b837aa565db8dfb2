"""The `emo` command: finds the verb, loads the workspace's defaults, turns errors into exit codes.

Verbs are imported when they are called, so `emo --help` starts in a fraction of a second. Knows no room.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import click

from emo import errors
from emo.cli.interrupts import signals_interrupt

VERBS: dict[str, tuple[str, str]] = {
    "init": ("emo.cli.init:init", "Write a commented emo.yaml for this folder."),
    "config": ("emo.cli.config_command:config", "Show the settings in force, and the schema of emo.yaml."),
    "demo": ("emo.cli.demo:demo", "Render clips, extract, train, answer, and write a report."),
    "corpus": ("emo.cli.corpus:corpus", "Read, fetch and compare data sets; make clips to try things on."),
    "extract": ("emo.cli.extract:extract", "Store features of clips in the cache."),
    "transcribe": ("emo.cli.transcribe:transcribe", "Write what is said in clips into their manifest."),
    "cache": ("emo.cli.cache:cache", "Look into a cache, verify it, move features in and out."),
    "doctor": ("emo.cli.doctor:doctor", "Say what holds here: guards of decoding, weights, your disk."),
    "weights": ("emo.cli.weights:weights", "Fetch and convert encoder weights."),
    "llm": ("emo.cli.llm:llm", "Tools around the LLaMA stage."),
    "merr": ("emo.cli.merr:merr", "Build emotion-reasoning data from raw clips."),
    "train-head": ("emo.cli.train_head:train_head", "Train a classifier head on cached features."),
    "train-head projector": (
        "emo.cli.train_projector:train_projector",
        "Align features with the words of a LLaMA.",
    ),
    "train-llm": ("emo.cli.train_llm:train_llm", "Train the LLaMA stage on cached features."),
    "pseudo-label": (
        "emo.cli.pseudo_label:pseudo_label",
        "Label clips that have no label, where a head and a LLaMA stage agree.",
    ),
    "predict": ("emo.cli.predict:predict", "Answer for clips: a label and its reasons."),
    "people": ("emo.cli.people:people", "Show who is seen in clips, to pick whom they are about."),
    "timeline": ("emo.cli.timeline:timeline", "Divide a long video and answer for each segment."),
    "app": ("emo.cli.app:app", "Open a page: clips in, labels, reasons and a timeline out."),
    "calibrate": ("emo.cli.calibrate:calibrate", "Fit a model's probabilities on validation clips."),
    "evaluate": ("emo.cli.evaluate:evaluate", "Score a trained model on a manifest."),
    "ablate": ("emo.cli.ablate:ablate", "Train a system without some of what it has, and compare."),
    "robustness": (
        "emo.cli.robustness:robustness",
        "Score a model on noisy, blurred and incomplete clips.",
    ),
    "score": ("emo.cli.score:score", "Score files of answers, whatever system wrote them."),
    "judge": ("emo.cli.judge:judge", "Let a model compare descriptions, as for EMER."),
    "submit": ("emo.cli.submit:submit", "Write answers as the file that a MER challenge takes."),
    "report": (
        "emo.cli.report:report",
        "Put your results beside published ones.",
    ),
}

EXIT_BUG, EXIT_USAGE, EXIT_PARTIAL, EXIT_INTERRUPTED = 1, 2, 3, 75
EXIT_CODES: tuple[tuple[type[errors.EmoError], int], ...] = (
    (errors.DamagedCache, 4),
    (errors.StaleCache, 6),
    (errors.NonFiniteLoss, 7),
    (errors.Interrupted, EXIT_INTERRUPTED),
    (errors.ServiceDown, EXIT_INTERRUPTED),
    (errors.MissingDependency, 8),
    (errors.RightsError, 9),
    (errors.EmoError, EXIT_USAGE),
)
NO_SPACE = 28  # errno.ENOSPC
EXIT_NO_SPACE = 5


class LazyVerbs(click.Group):
    """A group whose verbs are imported only when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every verb, in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb's command; None where there is no such verb."""
        if cmd_name not in VERBS:
            return None
        module, attribute = VERBS[cmd_name][0].split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; a verb may be two words, and an unknown one is told with the nearest known one."""
        if " ".join(args[:2]) in VERBS and len(args) > 1:
            args = [" ".join(args[:2]), *args[2:]]
        name = args[0]
        if name not in VERBS:
            near = get_close_matches(name, VERBS, n=1)
            hint = f"Did you mean `emo {near[0]}`?" if near else f"Known: {', '.join(VERBS)}."
            ctx.fail(f"there is no command {name!r}. {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in VERBS.items()])


@click.group(
    cls=LazyVerbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="emo-toolkit", prog_name="emo")
@click.option(
    "--config", type=click.Path(dir_okay=False), help="Workspace file.  [default: emo.yaml, if there]"
)
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="A setting for this call, over emo.yaml."
)
@click.option("-v", "--verbose", count=True, help="More words; twice for tracebacks.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no notes.")
@click.pass_context
def emo(
    ctx: click.Context, config: str | None, assignments: tuple[str, ...], verbose: int, quiet: bool
) -> None:
    """Emotion recognition and reasoning from clips of people, on features that are cached once.

    \b
    emo extract clips/ --encoder hubert,mae,videomae,eva
    emo predict clip.mp4 --model runs/llm
    """
    from emo.cli.console import Voice

    ctx.obj = Voice(verbose=verbose, quiet=quiet)
    path = Path(config) if config else Path("emo.yaml")
    file = path if config or path.exists() else None
    if file or assignments:
        from emo.cli.config import SETTINGS, default_map, read_settings

        settings = ctx.meta[SETTINGS] = read_settings(file, assignments)
        ctx.default_map = default_map(settings.workspace, path.parent)


def exit_code(error: BaseException) -> int:
    """The exit code promised for an error, see docs/exit-codes.md."""
    for kind, code in EXIT_CODES:
        if isinstance(error, kind):
            return code
    if isinstance(error, OSError) and error.errno == NO_SPACE:
        return EXIT_NO_SPACE
    return EXIT_BUG


def fail(error: BaseException, arguments: Sequence[str]) -> NoReturn:
    """Say what happened on stderr and leave with the promised code."""
    verbose = sum(argument.count("v") for argument in arguments if argument in ("-v", "-vv", "--verbose"))
    code = exit_code(error)
    if verbose >= 2:
        traceback.print_exception(error)
    message = str(error) or type(error).__name__
    if code == EXIT_BUG:
        message = f"{type(error).__name__}: {message}\nThis is a bug in emo. `emo -vv ...` shows where."
    click.echo(f"emo: {message}", err=True)
    sys.exit(code)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point of the `emo` command."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads of encoder and decoders share the cores
    try:
        with signals_interrupt():
            code = emo.main(args=given, prog_name="emo", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_USAGE)
    except (click.Abort, KeyboardInterrupt):
        click.echo("emo: interrupted; what is stored is safe. Run the same command to go on.", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except Exception as error:  # the edge: every error becomes a message and a code here
        fail(error, given)
    sys.exit(code if isinstance(code, int) else 0)
