"""The page about recipes against the code: every key with its default, every recipe, the example."""

import json
import re
import textwrap
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path

import pytest
import yaml

from emo.config.llm import LlmConfig, LoraSettings, StageConfig
from emo.llm.prompts import TASKS, TEMPLATES
from emo.llm.recipe import config_from, recipe_names

PAGE = (Path(__file__).parents[2] / "docs/recipes.md").read_text(encoding="utf-8")


def rows_under(heading):
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.*?) \| .+ \|$", section, flags=re.MULTILINE))


def written(field):
    """The default of a field as the page has it."""
    if field.default is MISSING and field.default_factory is MISSING:
        return "needed"
    value = field.default if field.default is not MISSING else field.default_factory()
    return "see below" if is_dataclass(value) else f"`{json.dumps(value)}`"


@pytest.mark.parametrize(
    ("heading", "kind"),
    [("Keys of a recipe", LlmConfig), ("Keys of `lora`", LoraSettings), ("Keys of a stage", StageConfig)],
)
def test_every_key_stands_there_with_its_default(heading, kind):
    assert rows_under(heading) == {field.name: written(field) for field in fields(kind)}


def test_every_recipe_task_and_template_is_named():
    table = re.findall(r"^\| `([\w-]+)` \| .+ \| .+ \| .+ \|$", PAGE, flags=re.MULTILINE)
    assert sorted(table) == recipe_names()
    assert not [name for name in (*TASKS, *TEMPLATES) if f"`{name}`" not in PAGE]


def test_the_example_is_a_recipe():
    section = PAGE.partition("## A recipe of your own\n")[2].partition("\n## ")[0]
    block = textwrap.dedent("\n".join(line for line in section.splitlines() if line.startswith("    ")))
    config = config_from(yaml.safe_load(block), "docs/recipes.md")
    assert asdict(config)["stages"]["warm"]["frozen"] == ("lora",)
