"""Bytes kept for the backward pass, per token that is trained on: packed rows beside transformers' SDPA.

    python benchmarks/train_memory.py --json

Counts, with `saved_tensors_hooks`, every storage that autograd keeps besides the weights, from the spliced
embeddings to the loss; no timer, the same figures on any machine. `padded` is transformers' own forward and
loss on batches padded to the longest, `alone` the same one clip at a time, so without any padding. Dropout is
on, as in training. Against `alone` the gain is the last layer, a quarter of this model: with more layers it
is a smaller part of the whole.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from side_by_side.rounds import Bar, options_of, report
from side_by_side.world import LAYERS, World, make_world, stage_of
from torch import Tensor

from emo.clip import Example
from emo.llm.examples import ask
from emo.llm.splice import Spliced
from emo.llm.training.plan import epoch_steps


def kept_bytes(world: World, loss: Callable[[], Tensor]) -> int:
    """Bytes of the storages that `loss` keeps; each once, weights and what existed before left out."""
    weights = {value.untyped_storage().data_ptr() for value in world.model.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = tensor  # holding it keeps its address from being used again
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss()
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def padded(world: World, examples: list[Example]) -> Spliced:
    """A batch padded on the right."""
    course = world.course
    features = course.features.read([example.clip_id for example in examples])
    prompts = [ask(course.template, example) for example in examples]
    return course.model.embed(prompts, features, [course.answer_ids(one) for one in examples])


def packed(world: World, examples: list[Example]) -> Spliced:
    """The same examples as one row."""
    course = world.course
    features = course.features.read([example.clip_id for example in examples])
    prompts = [ask(course.template, example) for example in examples]
    answers = [course.answer_ids(one) for one in examples]
    return course.model.pack(prompts, features, answers, list(range(len(examples))))


def theirs(world: World, batch: Spliced) -> int:
    """transformers' forward and loss."""
    return kept_bytes(
        world,
        lambda: (
            world.model.llama(
                inputs_embeds=batch.inputs_embeds, attention_mask=batch.attention_mask, labels=batch.labels
            ).loss
        ),
    )


def main() -> None:
    """Count each way over the same examples."""
    options = options_of(__doc__, clips=16, batch=8, vocabulary=512)
    torch.set_num_threads(1)
    world = make_world(options.clips, vocabulary=options.vocabulary, seed=options.seed)
    planned = epoch_steps(world.course, stage_of(options.clips, options.batch), 0)
    batches = [[example for micro in step for example in micro] for step in planned]
    rows: dict[str, list[float]] = {"packed": [], "padded": [], "alone": []}
    for examples in batches:
        row = packed(world, examples)
        tokens = row.labels.shape[1]
        ours = kept_bytes(world, lambda row=row: world.model.answer_loss(row).total)
        alone = sum(theirs(world, padded(world, [example])) for example in examples)
        rows["packed"].append(round(ours / tokens))
        rows["padded"].append(round(theirs(world, padded(world, examples)) / tokens))
        rows["alone"].append(round(alone / tokens))
    bars = {
        "packed / padded": Bar("packed", "padded", at_most=1.0, aim=0.7),
        "packed / alone": Bar("packed", "alone", at_most=1.0, aim=0.7),
    }
    report("train_memory", options, rows, bars, {"layers": LAYERS}, {}, "bytes per trained token, by step")


if __name__ == "__main__":
    main()
