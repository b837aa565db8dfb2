"""Training the small LLaMA: packed rows beside HF Trainer + peft, and beside a loop as the official one.

    python benchmarks/train_speed.py --json

All sides take the same clips, tasks and answers in the same steps, and train the same weights with AdamW.

- `packed`: `emo.llm.training.stages.train_stage` as it runs for a recipe with `layout: packed`.
- `packed_whole`: the same with a whole last layer. It is a quarter of this model and a 32nd of a LLaMA-2-7B,
  so this side is closer to what is gained there.
- `trainer`: transformers' Trainer over the same cached tensors, batches padded to the longest, HF's loss.
- `official`: one clip a step, the image encoder in the loop, logits of all tokens in fp32. The encoder is a
  ViT whose share of the FLOPs is that of EVA-g 448 beside LLaMA-2-7B: 2.25 TF for 10.6 TF a mixed sample. A
  ViT as narrow as that runs fewer FLOPs a second than the LLaMA, so the bar is held on `official_at_share`:
  the loop without its encoder, times 1 + 2.25 / 10.6.

Ratios are of CPU-seconds of this process with one thread, over rounds that take the sides in shuffled order.
Losses are compared first, with dropout off. The default seed is one whose 16 clips, padded by eights, keep as
many tokens useful (0.789) as 400 such clips do (0.790).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from side_by_side.rounds import Bar, interleaved, options_of, report
from side_by_side.world import EVA_DIM, World, make_world, stage_of
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from emo.clip import Example
from emo.config.llm import StageConfig
from emo.llm.examples import ask
from emo.llm.splice import IGNORED, Spliced
from emo.llm.training.forward import Moment, answer_tokens, micro_loss
from emo.llm.training.optimiser import adamw
from emo.llm.training.plan import epoch_steps
from emo.llm.training.stages import train_stage

ENCODER_SHARE = 2.25 / 10.6
IMAGE, PATCH = 448, 14


class Encoder(nn.Module):
    """A ViT on 448 x 448 images: (B, 3, 448, 448) to (B, 1025, 192)."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        tokens = (IMAGE // PATCH) ** 2 + 1
        self.patches = nn.Conv2d(3, EVA_DIM, PATCH, PATCH)
        self.first = nn.Parameter(torch.zeros(1, 1, EVA_DIM))
        self.places = nn.Parameter(torch.randn(1, tokens, EVA_DIM) * 0.02)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                EVA_DIM, 4, 4 * EVA_DIM, 0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Patches, places, blocks."""
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.first.expand(len(tokens), -1, -1), tokens], 1) + self.places
        for block in self.blocks:
            tokens = block(tokens)
        return tokens


def images_of(count: int, seed: int) -> Tensor:
    """Random images; a few, used in turn."""
    return torch.randn(min(count, 4), 3, IMAGE, IMAGE, generator=torch.Generator().manual_seed(seed))


def flops(run: Callable[[], object]) -> int:
    """FLOPs of one call, forward and backward."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


@dataclass
class Sides:
    """The three ways to train one epoch of the same steps."""

    world: World
    stage: StageConfig
    encoder: Encoder
    images: Tensor

    @property
    def steps(self) -> list[list[Example]]:
        """Examples of each step, as the plan has them."""
        planned = epoch_steps(self.world.course, self.stage, 0)
        return [[example for micro in step for example in micro] for step in planned]

    def padded(self, examples: Sequence[Example], eva: Tensor | None = None) -> Spliced:
        """A batch padded on the right; `eva` replaces the cached tokens."""
        course = self.world.course
        features = course.features.read([example.clip_id for example in examples])
        if eva is not None:
            features = features.with_values({**features.values, "eva": eva})
        prompts = [ask(course.template, example) for example in examples]
        return course.model.embed(prompts, features, [course.answer_ids(one) for one in examples])

    def packed(self) -> None:
        """Our stage."""
        list(train_stage(self.world.course, "bench", self.stage))

    def packed_whole(self) -> None:
        """Our stage, every token through the last layer."""
        self.world.model._trims = False
        try:
            self.packed()
        finally:
            self.world.model._trims = True

    def packed_loss(self) -> float:
        """Loss of the first step before it is taken."""
        course = self.world.course
        step = epoch_steps(course, self.stage, 0)[0]
        parts = [
            micro_loss(course, self.stage, micro, Moment("bench", 0), n).total for n, micro in enumerate(step)
        ]
        return float(sum(parts).detach()) / answer_tokens(course, step)

    def hf_loss(self, examples: Sequence[Example]) -> Tensor:
        """The loss of transformers, over all logits."""
        batch = self.padded(examples)
        output = self.world.model.llama(
            inputs_embeds=batch.inputs_embeds, attention_mask=batch.attention_mask, labels=batch.labels
        )
        loss: Tensor = output.loss
        return loss

    def official_loss(self, example: Example) -> Tensor:
        """One clip: its image encoded, logits of all tokens in fp32."""
        number = int(example.clip_id.removeprefix("clip"))
        batch = self.padded([example], self.encoder(self.images[[number % len(self.images)]]))
        output = self.world.model.llama(
            inputs_embeds=batch.inputs_embeds, attention_mask=batch.attention_mask, output_hidden_states=True
        )
        logits = output.logits.float()[:, :-1].contiguous()
        targets = batch.labels[:, 1:].contiguous()
        return functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)

    def official(self) -> None:
        """One epoch, a step for each clip."""
        optimiser = adamw(self.world.model.trained().values(), self.stage)
        for examples in self.steps:
            for example in examples:
                loss = self.official_loss(example)
                loss.backward()
                loss.item()
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)

    def encode(self) -> None:
        """The encoder of the official loop alone."""
        for number in range(len(self.world.course.train)):
            self.encoder(self.images[[number % len(self.images)]])

    def trainer(self, folder: str) -> Callable[[], object]:
        """A Trainer that is ready; what it builds before training is not counted."""
        import transformers
        from transformers import PrinterCallback, Trainer, TrainingArguments

        transformers.logging.set_verbosity_error()
        sides, batches = self, self.steps

        class Wrapped(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner = sides.world.model

            def forward(self, numbers: list[int], **_: Any) -> dict[str, Tensor]:
                return {"loss": sides.hf_loss([order[number] for number in numbers])}

        order = [example for examples in batches for example in examples]
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=len(batches[0]),
            max_steps=len(batches),
            learning_rate=self.stage.peak_lr,
            weight_decay=self.stage.weight_decay,
            max_grad_norm=0.0,
            logging_strategy="no",
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            remove_unused_columns=False,
        )
        numbers = list(range(len(order)))
        trainer = Trainer(
            model=Wrapped(),
            args=arguments,
            train_dataset=numbers,  # type: ignore[arg-type]
            data_collator=lambda given: {"numbers": list(given)},
        )
        trainer.remove_callback(PrinterCallback)
        return trainer.train


def encoder_for(world: World, stage: StageConfig, images: Tensor) -> tuple[Encoder, float]:
    """The encoder whose FLOPs come closest to the real share of a training step, and its share."""
    course = world.course
    [step] = epoch_steps(course, replace(stage, batch_size=len(course.train)), 0)
    examples = [example for micro in step for example in micro]

    def run() -> None:
        sides = Sides(world, stage, nn.Identity(), images)  # type: ignore[arg-type]
        for example in examples:
            sides.hf_loss([example]).backward()

    llama = flops(run) / len(examples)
    world.model.zero_grad(set_to_none=True)
    one, two = (flops(lambda n=layers: Encoder(n)(images[:1])) for layers in (1, 2))
    layers = round((ENCODER_SHARE * llama - one) / (two - one)) + 1
    torch.manual_seed(0)
    return Encoder(layers).eval().requires_grad_(False), (one + (layers - 1) * (two - one)) / llama


def main() -> None:
    """Compare losses with dropout off, then time the sides."""
    options = options_of(__doc__, rounds=5, clips=16, batch=8, seed=4)
    torch.set_num_threads(1)
    images = images_of(options.clips, options.seed)
    stage = stage_of(options.clips, options.batch)
    encoder, share = encoder_for(make_world(options.clips, dropout=0.0, seed=options.seed), stage, images)
    tokens = torch.cat([encoder(images[[n % len(images)]]) for n in range(options.clips)])
    still = Sides(
        make_world(options.clips, dropout=0.0, seed=options.seed, eva=tokens), stage, encoder, images
    )
    losses = _losses(still)
    sides = Sides(make_world(options.clips, seed=options.seed, eva=tokens), stage, encoder, images)
    lengths = [still.padded(examples).lengths for examples in still.steps]
    with tempfile.TemporaryDirectory() as folder:
        rows = interleaved(
            {
                "packed": sides.packed,
                "packed_whole": sides.packed_whole,
                "trainer": lambda: sides.trainer(folder)(),
                "official": sides.official,
                "encoder": sides.encode,
            },
            options.rounds,
            options.seed,
        )
    rows["official_at_share"] = [
        round((whole - encoder) * (1 + ENCODER_SHARE), 4)
        for whole, encoder in zip(rows["official"], rows["encoder"], strict=True)
    ]
    spread = max(losses.values()) / min(losses.values()) - 1
    facts = {
        "clips": options.clips,
        "mean_tokens": float(torch.cat(lengths).float().mean()),
        "padded_useful_share": float(
            sum(map(torch.sum, lengths)) / sum(int(x.max()) * len(x) for x in lengths)
        ),
        "encoder_flops_over_llama_step": round(share, 4),
        "loss_of_first_step": losses,
        "relative_spread_of_losses": spread,
    }
    bars = {
        "HF Trainer / packed": Bar("trainer", "packed", at_least=1.10, aim=1.25),
        "official loop / packed": Bar("official_at_share", "packed", at_least=1.10, aim=1.25),
        "HF Trainer / packed with a whole last layer": Bar("trainer", "packed_whole"),
        "official loop / packed with a whole last layer": Bar("official_at_share", "packed_whole"),
        "official loop with the narrow encoder / packed": Bar("official", "packed"),
    }
    report("train_speed", options, rows, bars, facts, {"same loss to 1e-5": spread <= 1e-5})


def _losses(sides: Sides) -> dict[str, float]:
    """Loss per supervised token of the first step's clips, with the weights as they start."""
    examples = sides.steps[0]
    weights = [len(sides.world.course.answer_ids(example)) for example in examples]
    with torch.no_grad():
        alone = [float(sides.official_loss(example)) for example in examples]
        trainer = float(sides.hf_loss(examples))
        packed = sides.packed_loss()
    official = sum(loss * weight for loss, weight in zip(alone, weights, strict=True)) / sum(weights)
    return {"packed": packed, "trainer": trainer, "official": official}


if __name__ == "__main__":
    main()
