"""Scoring nine labels from one pass over the prompt, beside a forward for each label and the prompt alone.

    python benchmarks/label_scoring.py --json

The small LLaMA with a vocabulary of 32,000, a prompt of 350 tokens, nine labels of two to four tokens (the
end token among them), one clip at a time. CPU-seconds with one thread.

- `scored`: `emo.llm.scoring.label_log_likelihoods`.
- `forwards`: prompt and label through the whole model once for each label, logits of all tokens, as the
  official `multi_select` does.
- `prefill`: the prompt alone, logits of its last token.
"""

from __future__ import annotations

import numpy as np
import torch
from side_by_side.rounds import Bar, interleaved, options_of, report
from side_by_side.world import World, make_world, words
from torch import Tensor

from emo.heads.batches import FeatureBatch
from emo.llm.prompts import TEMPLATES, Prompt
from emo.llm.scoring import label_log_likelihoods
from emo.llm.splice import IGNORED

LABEL_WORDS = (1, 1, 1, 1, 2, 1, 1, 3, 2)  # and an end token each
PROMPT_TOKENS = 350


def prompt_of(world: World, features: FeatureBatch, vocabulary: int, seed: int) -> Prompt:
    """A question about a clip that takes 350 tokens."""
    rng = np.random.default_rng(seed)
    template = TEMPLATES["emo"]
    bare = template.prompt(text="", tag="emotion", instruction="")
    taken = int(world.model.embed([bare], features).lengths[0])
    asked = words(rng, PROMPT_TOKENS - taken, vocabulary)
    return template.prompt(text="", tag="emotion", instruction=asked)


@torch.inference_mode()
def forwards(world: World, prompt: Prompt, features: FeatureBatch, labels: list[str]) -> Tensor:
    """log P of each label, each from a forward of its own; (1, K)."""
    model, scores = world.model, []
    for label in labels:
        batch = model.embed([prompt], features, [model.codec.answer(label)])
        logits = model.logits(model.hidden(batch))[:, :-1].log_softmax(-1)
        targets = batch.labels[:, 1:]
        known = targets != IGNORED
        scores.append(logits[known].gather(-1, targets[known][:, None]).sum())
    return torch.stack(scores)[None]


@torch.inference_mode()
def prefill(world: World, prompt: Prompt, features: FeatureBatch) -> Tensor:
    """Logits of the first answer token."""
    return world.model.logits(world.model.hidden(world.model.embed([prompt], features))[:, -1])


def main() -> None:
    """Compare log-probabilities, then time the three."""
    options = options_of(__doc__, rounds=5, clips=4, vocabulary=32_000)
    torch.set_num_threads(1)
    world = make_world(options.clips, vocabulary=options.vocabulary, dropout=0.0, seed=options.seed)
    world.model.eval()
    clips = [world.course.features.read([clip.clip_id]) for clip in world.course.train]
    prompt = prompt_of(world, clips[0], options.vocabulary, options.seed)
    rng = np.random.default_rng(options.seed)
    labels = [words(rng, count, options.vocabulary) for count in LABEL_WORDS]
    apart = max(
        float(
            (
                label_log_likelihoods(world.model, [prompt], clip, labels)
                - forwards(world, prompt, clip, labels)
            )
            .abs()
            .max()
        )
        for clip in clips
    )
    rows = interleaved(
        {
            "scored": lambda: [label_log_likelihoods(world.model, [prompt], clip, labels) for clip in clips],
            "forwards": lambda: [forwards(world, prompt, clip, labels) for clip in clips],
            "prefill": lambda: [prefill(world, prompt, clip) for clip in clips],
        },
        options.rounds,
        options.seed,
    )
    facts = {
        "prompt_tokens": int(world.model.embed([prompt], clips[0]).lengths[0]),
        "largest_difference_of_log_p": apart,
    }
    bars = {
        "a forward for each label / scored": Bar("forwards", "scored", at_least=8.0, aim=12.0),
        "scored / prompt alone": Bar("scored", "prefill", at_most=1.3, aim=1.15),
    }
    report("label_scoring", options, rows, bars, facts, {"log p to 1e-4": apart <= 1e-4})


if __name__ == "__main__":
    main()
