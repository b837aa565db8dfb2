"""Three tasks of a clip as a prefix tree beside the same three as rows of their own, both packed.

    python benchmarks/train_tree.py --json

Label, caption and reason of a clip begin with the same 260 visual tokens and its subtitle. Both sides run
forward, backward and AdamW over the same clips, answers and weights; one lays a clip's tasks out as a tree
and projects its features once, the other repeats them. The bar is on CPU-seconds with one thread; the ratio
of tokens says how much there is to gain. Gradients are compared first, with dropout off.
"""

from __future__ import annotations

import torch
from side_by_side.rounds import Bar, interleaved, options_of, report
from side_by_side.world import World, gradients, make_world, stage_of
from torch import Tensor

from emo.clip import Example
from emo.llm.examples import ask
from emo.llm.splice import Spliced
from emo.llm.training.optimiser import adamw
from emo.llm.training.plan import epoch_steps

TASKS = {"emotion": 1.0, "caption": 1.0, "reason": 1.0}
GRADIENT_ERROR = 1e-5


def steps_of(world: World, clips: int, batch: int) -> list[list[Example]]:
    """Examples of each step, a clip's three side by side."""
    planned = epoch_steps(world.course, stage_of(clips, batch, tasks=TASKS, tasks_per_clip=3), 0)
    return [[example for micro in step for example in micro] for step in planned]


def lay_out(world: World, examples: list[Example], *, tree: bool) -> Spliced:
    """One packed row; without `tree` every example is a clip of its own."""
    course = world.course
    names = [example.clip_id for example in examples]
    clips = list(dict.fromkeys(names)) if tree else names
    rows = [clips.index(name) for name in names] if tree else list(range(len(names)))
    prompts = [ask(course.template, example) for example in examples]
    answers = [course.answer_ids(example) for example in examples]
    return world.model.pack(prompts, course.features.read(clips), answers, rows)


def loss_of(world: World, examples: list[Example], *, tree: bool) -> Tensor:
    """Loss per supervised token."""
    return world.model.answer_loss(lay_out(world, examples, tree=tree)).mean


def train(world: World, steps: list[list[Example]], *, tree: bool) -> None:
    """One epoch."""
    optimiser = adamw(world.model.trained().values(), stage_of(len(steps), 1))
    for examples in steps:
        loss_of(world, examples, tree=tree).backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)


def main() -> None:
    """Compare gradients with dropout off, then time both layouts."""
    options = options_of(__doc__, rounds=5, clips=8, batch=4)
    torch.set_num_threads(1)
    still = make_world(options.clips, dropout=0.0, seed=options.seed)
    steps = steps_of(still, options.clips, options.batch)
    tokens, found = {}, {}
    for name, tree in (("tree", True), ("rows", False)):
        tokens[name] = sum(lay_out(still, examples, tree=tree).labels.shape[1] for examples in steps)
        loss_of(still, steps[0], tree=tree).backward()
        found[name] = gradients(still.model)
    error = float((found["tree"] - found["rows"]).norm() / found["rows"].norm())
    world = make_world(options.clips, seed=options.seed)
    rows = interleaved(
        {"tree": lambda: train(world, steps, tree=True), "rows": lambda: train(world, steps, tree=False)},
        options.rounds,
        options.seed,
    )
    ratio = tokens["rows"] / tokens["tree"]
    rows["rows_by_tokens"] = [round(one / ratio, 4) for one in rows["rows"]]
    facts = {"tokens": tokens, "token_ratio": round(ratio, 4), "relative_gradient_error": error}
    bars = {
        "rows / tree": Bar("rows", "tree", at_least=1.5, aim=1.9),
        "gain / token ratio": Bar("rows_by_tokens", "tree", at_least=0.75, aim=0.95),
    }
    report("train_tree", options, rows, bars, facts, {"gradients to 1e-5": error <= GRADIENT_ERROR})


if __name__ == "__main__":
    main()
