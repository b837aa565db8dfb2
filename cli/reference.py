"""Pages that say what the program itself says: every command's help, and the table of encoders.

`make reference` writes `docs/cli.md`, `docs/api.md` and the table in `docs/encoders.md`; a test compares.
Knows no command and no encoder by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from emo.cli.api_reference import api_page
from emo.cli.main import emo
from emo.extractors.registry import ENCODERS, encoder_class, presets_of
from emo.extractors.sources import Source

WIDTH = 100
CLI_PAGE, API_PAGE, ENCODERS_PAGE = Path("docs/cli.md"), Path("docs/api.md"), Path("docs/encoders.md")
START, END = "<!-- encoders -->\n", "<!-- /encoders -->"
HEAD = """\
# Commands

Written by `make reference` from the commands themselves; `emo COMMAND --help` prints the same.
Exit codes: [exit-codes.md](exit-codes.md). Defaults of a folder: `emo init`, `emo config show`.
"""


def commands_page() -> str:
    """Every command's help in Markdown, one section a command, groups before what they hold."""
    with click.Context(emo, info_name="emo", terminal_width=WIDTH, **emo.context_settings) as root:
        return HEAD + "".join(_section(context) for context in _contexts(root))


def encoders_table() -> str:
    """Encoders and their presets but `tiny`: where the weights come from, and under which licence."""
    rows = ["| encoder and preset | weights | licence | source |", "|---|---|---|---|"]
    for name in ENCODERS:
        presets = {preset: one for preset, one in presets_of(encoder_class(name)).items() if preset != "tiny"}
        rows += [f"| `{name}@{preset}` | {_row(chosen.source)} |" for preset, chosen in presets.items()]
    return "\n".join(rows) + "\n"


def with_table(text: str) -> str:
    """The page `text` with the table of encoders between its marks."""
    before, _, rest = text.partition(START)
    return f"{before}{START}{encoders_table()}{END}{rest.partition(END)[2]}"


def _row(source: Source) -> str:
    weights = f"`{source.repo}`" if source.repo else source.note
    if source.substitute is not None:
        weights += f" Stand-in: `{source.substitute.repo}`."
    return f"{weights} | {source.licence.name} | {source.paper}"


def _section(context: click.Context) -> str:
    return f"\n## {context.command_path}\n\n```text\n{context.command.get_help(context).rstrip()}\n```\n"


def _contexts(context: click.Context) -> Iterator[click.Context]:
    """A context for the command and for each one below it, in the order in which help lists them."""
    yield context
    command = context.command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                inner = click.Context(below, info_name=name, parent=context, terminal_width=WIDTH)
                yield from _contexts(inner)


if __name__ == "__main__":
    CLI_PAGE.write_text(commands_page(), encoding="utf-8")
    API_PAGE.write_text(api_page(), encoding="utf-8")
    ENCODERS_PAGE.write_text(with_table(ENCODERS_PAGE.read_text(encoding="utf-8")), encoding="utf-8")
