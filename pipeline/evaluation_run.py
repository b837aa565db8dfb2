"""One evaluation as it is asked for: a trained folder on clips, what training saw of them, whose they are.

Puts together what `evaluation` scores, `seen` knows and manifests declare; writes the report. Draws nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from emo.cache import Space
from emo.clip import Clip
from emo.corpora.declared import declared_rights, write_rights
from emo.corpora.manifest import manifest_of
from emo.corpora.ratings import read_ratings
from emo.evaluation.answers_table import read_table, text_of
from emo.evaluation.board_text import markdown
from emo.evaluation.own_results import FILE, read_own
from emo.evaluation.own_tables import group_table, scores_table
from emo.evaluation.published import EvaluationRecipe
from emo.model_card import CARD, with_results
from emo.pipeline.evaluation import Evaluation, Groups, Reproduction, evaluate, reproduce
from emo.pipeline.evaluation_report import write_evaluation, write_reproduction
from emo.pipeline.leak_scores import LeakScores, leak_scores
from emo.pipeline.seen import leaks_of
from emo.pipeline.systems import System
from emo.rights import DataRights, united
from emo.run_data import read_run_data
from emo.text_files import read_text, replace_text


@dataclass(frozen=True, kw_only=True, slots=True)
class Labelled:
    """The clips of a `split` that are scored, of all that the manifest, or its folder, at `place` has."""

    place: Path
    every: Sequence[Clip]
    clips: Sequence[Clip]
    split: str

    def groups(self, column: str, file: Path | None) -> Groups:
        """What the manifest, or the table beside it in `file`, declares of the clips in a column."""
        table = read_table(manifest_of(file or self.place))
        named = table.column((column,), "groups")
        return Groups(named, [text_of(table.rows.get(clip.clip_id, {}).get(named)) for clip in self.clips])

    def valences(self, system: System) -> Mapping[str, float]:
        """The true valence by clip, read only where the system gives one. ConfigError as `read_ratings`."""
        return read_ratings(self.place, self.every)[0] if system.gives_valence else {}


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationRun:
    """What was found of the system in `model`, and without what it was trained on; `data` is what the owners
    of its clips and of those it learnt from allow."""

    model: str
    split: str
    system: System
    found: Evaluation | Reproduction
    leaks: LeakScores
    data: tuple[DataRights, ...]

    @property
    def title(self) -> str:
        """A heading."""
        if isinstance(self.found, Reproduction):
            return f"{self.model}: {self.found.recipe.name}"
        return f"{self.model} on {self.split}"

    def to_json(self) -> dict[str, object]:
        """Every score, what leaked, and whose data it is."""
        return {
            "model": self.model,
            "split": self.split,
            **self.found.to_json(),
            "leaks": self.leaks.to_json(),
            "data": [record.to_json() for record in self.data],
        }

    def write(self, how: str, out: Path) -> None:
        """The page, scores, answers and rights into `out`; `how` is the command.

        Where `out` lies in the model's own folder, its card gets the scores and those of each group.
        """
        if isinstance(self.found, Reproduction):
            write_reproduction(self.found, self.title, how, out)
        else:
            write_evaluation(self.found, self.system, self.title, how, out)
        if self.data:
            write_rights(out / FILE, self.data)
        if out.resolve().parent == Path(self.model).resolve():
            self._write_into_card(out)

    def _write_into_card(self, out: Path) -> None:
        """The scores with their groups into the card of the model that `out` lies in."""
        card = Path(self.model) / CARD
        if not card.is_file():
            return
        within = Path(out.name) / FILE  # a card goes to others, and paths of this machine do not
        own = [replace(result, path=within) for result in read_own(f"{out.name}={out}")]
        columns = dict.fromkeys(group.column for result in own for group in result.groups)
        tables = [scores_table(own), *(group_table(own, column) for column in columns)]
        results = markdown(tables, level=3)
        replace_text(card, with_results(read_text(card), out.name, results))


def run_evaluation(
    model: Path,
    system: System,
    asked: Labelled,
    spaces: Mapping[str, Space],
    *,
    recipe: EvaluationRecipe | None = None,
    abstain_below: float = 0.0,
    groups: Groups | None = None,
    seed: int = 0,
) -> EvaluationRun:
    """Score the `system` that was loaded from `model`; a published `recipe` is asked again instead.

    `seed` is the bootstraps'. Errors as `evaluate` and `reproduce`.
    """
    found: Evaluation | Reproduction
    if recipe:
        found = reproduce(system, recipe, asked.clips, spaces, seed=seed)
        predicted, labels = found.strict.predicted, recipe.labels
    else:
        found = evaluate(
            system,
            asked.clips,
            spaces,
            abstain_below=abstain_below,
            groups=groups,
            valences=asked.valences(system),
            seed=seed,
        )
        predicted, labels = found.scored.predicted, system.labels
    leaks = leaks_of(model, asked.clips, spaces)
    return EvaluationRun(
        model=str(model),
        split=asked.split,
        system=system,
        found=found,
        leaks=leak_scores(leaks, asked.clips, predicted, labels, seed=seed),
        data=united(read_run_data(model).data, declared_rights(asked.place, asked.clips)),
    )
