"""Help of commands with many options: under headings by what they are about, the same in every command.

Knows names of options and no command. What stands in no section is shown under "Other".
"""

from __future__ import annotations

import click

_NAMES = {
    "What is read": """
        --cache --manifest --merr --list --truth --truth-column --column --encoding --labels
        --labels-from --split --soft-labels --text --pool --accept --aligned-faces --faces
        --person --media-limit --strict-root --rights --allow-leak --clip --speaker --dataset --expired --runs
        --remote --review --group --group-file --cluster --against --synonyms --wheel-data
        --fetch-wheel --recipe --task --shard
    """,
    "Features": """
        --encoder --preset --layers --views --features --array --augment --peak --rules
        --per-label --least-share --least-intensity --look --frames
    """,
    "Model": """
        --model --base --head --fusion --projector --projectors --init-from --force --system
        --bias --temperature --top-p --repetition-penalty --max-new-tokens --no-reasons
        --abstain-below --stream --metric
    """,
    "Training": """
        --stage --epochs --seed --seeds --folds --sweep --vat --valence --controls --vary
        --pretrain --rounds --least-clips --set --fresh --save-every --track --checkpointing
        --strategy
    """,
    "Servers": """
        --serve --host --port --auth --url --explain --describe --describe-model --listen
        --listen-model --key-env --send-media-to --concurrency
        --timeout --tries --most-requests --most-tokens
    """,
    "Machine": """
        --device --dtype --precision --bits --gpus --threads --jobs --batch --compile --backend
        --scheduler --durability
    """,
    "What is done again": """
        --redo --retry-failed --replace-changed --rehash
    """,
    "Results": """
        --out --json --dry-run --yes --embeddings --take-over --squash-history
    """,
}
SECTIONS: dict[str, frozenset[str]] = {name: frozenset(names.split()) for name, names in _NAMES.items()}
OTHER = "Other"


class Sectioned(click.Command):
    """A command whose options are listed by section, in the order of SECTIONS."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a list of options for each section that has some."""
        rows: dict[str, list[tuple[str, str]]] = {name: [] for name in (*SECTIONS, OTHER)}
        for option in self.get_params(ctx):
            if (record := option.get_help_record(ctx)) is not None:
                rows[section_of(option)].append(record)
        for name, some in rows.items():
            if some:
                with formatter.section(name):
                    formatter.write_dl(some)


def section_of(option: click.Parameter) -> str:
    """The heading an option stands under."""
    return next((name for name, known in SECTIONS.items() if known & set(option.opts)), OTHER)
