"""`emo judge`: clue and label overlap of descriptions, by a model behind an OpenAI-compatible address."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emo.canonical import Json
from emo.cli.console import SCHEMA_VERSION, print_json, voice
from emo.cli.sections import Sectioned
from emo.cli.study_options import json_option

if TYPE_CHECKING:
    from emo.evaluation.answers_table import Table
    from emo.evaluation.judge import Complete
    from emo.rights import DataRights
    from emo.services import ChatService

FILE = click.Path(dir_okay=False, path_type=Path)
MOST_TOKENS = 1024
FILE_NAME, MEMORY_NAME = "scores.json", "judge.jsonl"


@click.command(cls=Sectioned)
@click.argument("answers", type=FILE)
@click.option("--truth", required=True, type=FILE, help="Table with the true descriptions.")
@click.option("--url", required=True, help="Address of the server, such as http://127.0.0.1:8000/v1.")
@click.option("--model", required=True, help="The model that judges; recorded with every score.")
@click.option("--key-env", default="OPENAI_API_KEY", show_default=True, help="Variable with the key.")
@click.option("--rights", metavar="NAME|FILE", help="Whose data it is: may its words go to another machine?")
@click.option("--truth-column", help="Column of the true description.  [default: reason, english, ...]")
@click.option("--column", help="Column of the description.  [default: text, reason]")
@click.option("--cluster", help="Column of the truth that is resampled.  [default: speaker, or dialogue]")
@click.option("--encoding", default="utf-8", show_default=True, help="Of both tables.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for scores and replies.")
@json_option()
@click.pass_context
def judge(
    ctx: click.Context,
    answers: Path,
    truth: Path,
    url: str,
    model: str,
    key_env: str,
    rights: str | None,
    truth_column: str | None,
    column: str | None,
    cluster: str | None,
    encoding: str,
    seed: int,
    out: Path,
    as_json: bool,
) -> None:
    """Score the descriptions in ANSWERS against true ones, 1 to 10, as for EMER.

    The judge sees two texts and no more. To a server on another machine they go only where the data's owner
    allows it: by --rights, by the `dataset` of the rows, or by the .rights.json beside a table. Replies are
    remembered in OUT/judge.jsonl: the same command goes on where it stopped. `emo report OUT --board emer`
    puts the scores beside published ones.

    \b
    emo judge a.jsonl --truth emer.csv --url http://127.0.0.1:8000/v1 --model qwen --out judged
    emo judge a.jsonl --truth emer.csv --url http://127.0.0.1:8000/v1 --model qwen --json
    """
    from emo.evaluation.answers_table import read_table
    from emo.evaluation.judge import Judge
    from emo.evaluation.judged import judge_file
    from emo.merr.sending import check_sending, host_of
    from emo.services import ChatService

    tables = [read_table(table, encoding=encoding) for table in (truth, answers)]
    check_sending(host_of(url), _rights(rights, tables), media=False, send_media_to="")
    service = ChatService(base_url=url, model=model, key_env=key_env)
    asked = Judge(complete=_complete(service), model=model, memory=out / MEMORY_NAME)
    found = judge_file(
        asked,
        truth,
        answers,
        truth_column=truth_column,
        column=column,
        cluster=cluster,
        encoding=encoding,
        seed=seed,
    )
    result = {"metric": "emer", **found.to_json()}
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"schema_version": SCHEMA_VERSION, **result}, ensure_ascii=False, indent=1)
    (out / FILE_NAME).write_text(text + "\n", encoding="utf-8")
    if as_json:
        print_json(result)
        return
    click.echo(f"{answers}: n {found.n}, invalid {found.invalid_rate:.1%}, {asked.asked} questions asked")
    for each in found.scores:
        click.echo(f"  {each.metric:<18} {each}")
    for note in found.notes:
        voice(ctx).note(f"note: {note}")


def _rights(named: str | None, tables: Sequence[Table]) -> list[DataRights]:
    """What is declared of the clips that the texts are about; what nobody declared is not allowed."""
    from emo.corpora.declared import load_rights, rights_of
    from emo.evaluation.answers_table import text_of
    from emo.rights import UNDECLARED, united

    if named:
        return [load_rights(named)]
    found = [
        rights_of(table.path, (name for row in table.rows.values() if (name := text_of(row.get("dataset")))))
        for table in tables
    ]
    return list(united(*found)) or [UNDECLARED]


def _complete(service: ChatService) -> Complete:
    """The service as the judge wants it: a reply that is no JSON object is an empty one, which is refused."""

    def complete(messages: Sequence[Mapping[str, Json]], schema: Mapping[str, Json]) -> Mapping[str, Json]:
        try:
            found = json.loads(service.ask(messages, schema, most_tokens=MOST_TOKENS).text)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    return complete
