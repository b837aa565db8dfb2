"""README.md of what was trained: a Hugging Face model card with data, licences, uses, scores and limits.

Markdown under the YAML front matter that the Hub reads. A model inherits the rights of its clips, and the
licences of the weights behind its features. Knows no head, no adapter and no cache.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emo.canonical import Json
from emo.rights import UNDECLARED, DataRights, strictest
from emo.spec import Licence

CARD = "README.md"
HUB_LICENCES = frozenset(
    {
        *("mit", "apache-2.0", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0"),
        *("cc-by-nc-sa-4.0", "llama2", "unknown"),
    }
)
INTENDED = (
    "Research on perceived expression, annotation that a person checks, and tools that people use on their "
    "own recordings, within the licences above."
)
FORBIDDEN = (
    "Not for hiring, appraisal, policing, border control, credit, insurance, lie detection, diagnosis, or "
    "any decision about a person who has not agreed to it, and not for inferring emotions of people at work "
    "or in education (EU AI Act, Regulation 2024/1689, Art. 5(1)(f); verify in the Official Journal; not "
    "legal advice). People who are exposed to such a system have to be told."
)
LIMITS = (
    "A label is how somebody looks and sounds in a clip to an observer, not what that person feels. Errors "
    "are not spread evenly over groups of people: where groups are declared, "
    "`emo evaluate --model THIS_FOLDER --group COLUMN --out THIS_FOLDER/test` writes the score of each into "
    "this card, with its rate of answers that could not be read, and the worst gap, with intervals."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCard:
    """What a card says. `scores` is Markdown, with n, intervals and the rate of answers that could not be
    read; `weights` are the licences of what the features and the model were made with, by name; `data` are
    the rights of the clips, undeclared where empty; `sections` are further ones, by heading."""

    title: str
    about: str
    scores: str
    weights: Mapping[str, Licence]
    data: Sequence[DataRights]
    tags: Sequence[str] = ()
    base_model: str = ""
    sections: Mapping[str, str] | None = None

    @property
    def licence(self) -> str:
        """The strictest of all that hold."""
        names = [record.licence for record in self.data or [UNDECLARED]]
        return strictest([*names, *(licence.name for licence in self.weights.values())])

    def markdown(self) -> str:
        """The card.

        >>> from emo.model_card import ModelCard
        >>> card = ModelCard(title="Head", about="Answers.", scores="n = 8", weights={}, data=())
        >>> card.licence
        'unknown'
        """
        data = list(self.data) or [UNDECLARED]
        cited = [f"- {record.citation}" for record in data if record.citation]
        parts = [
            f"---\n{self._front_matter()}---",
            f"# {self.title}",
            self.about,
            *(f"## {heading}\n\n{text}" for heading, text in (self.sections or {}).items()),
            f"## Scores\n\n{self.scores.strip()}",
            f"## Data\n\nTrained on clips under: {strictest(record.licence for record in data)}. "
            "What holds for the data holds for this model:",
            "\n".join(f"- {record.sentence}" for record in data),
            *(["Cite:", "\n".join(cited)] if cited else []),
            f"## Licence\n\nThe strictest of all that it was made of holds: **{self.licence}**.",
            "\n".join(f"- {name}: {_told(licence)}" for name, licence in sorted(self.weights.items())),
            f"## Intended use\n\n{INTENDED}",
            f"## Forbidden use\n\n{FORBIDDEN}",
            f"## Limits\n\n{LIMITS}",
            "## Use\n\n    emo predict CLIP --model THIS_FOLDER",
        ]
        return "\n\n".join(part for part in parts if part) + "\n"

    def _front_matter(self) -> str:
        """YAML, each value written as JSON: JSON is YAML."""
        named = self.licence.lower().replace(" ", "-")
        known = named if named in HUB_LICENCES else "other"
        found: dict[str, Json] = {"license": known}
        if known == "other":
            found["license_name"] = self.licence
        if self.base_model:
            found["base_model"] = self.base_model
        found["library_name"] = "emo-toolkit"
        found["tags"] = ["emotion-recognition", *self.tags]
        found["datasets_used"] = [record.name for record in self.data or [UNDECLARED]]
        return "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in found.items())


def with_results(card: str, of: str, results: str) -> str:
    """The card with `results`, Markdown, under a heading of their own before its data; those that it had
    `of` the same are replaced.

    >>> from emo.model_card import with_results
    >>> print(with_results("## Scores\\n\\n## Data\\n", "test", "n = 8"))
    ## Scores
    <BLANKLINE>
    <!-- results: test -->
    ## Measured: test
    <BLANKLINE>
    n = 8
    <!-- /results -->
    <BLANKLINE>
    ## Data
    <BLANKLINE>
    """
    begin, end = f"<!-- results: {of} -->\n", "<!-- /results -->\n\n"
    if begin in card:
        before, _, rest = card.partition(begin)
        card = before + rest.partition(end)[2]
    before, heading, rest = card.partition("## Data\n")
    return f"{before}{begin}## Measured: {of}\n\n{results.strip()}\n{end}{heading}{rest}"


def _told(licence: Licence) -> str:
    return f"{licence.name} ({licence.source})" if licence.source else licence.name
