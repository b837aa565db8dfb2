"""Untrained models taught to tell two kinds of media apart: real format, real road, two sentences."""

import pytest

STEPS, RATE = 80, 1e-2


@pytest.fixture(scope="session")
def teach():
    """Save a copy of the media model in `folder` that, after `words`, answers each media with its answer.

    `pairs` are (what the processor is given, answer).
    """
    import torch

    from emo.merr.models.media import MediaModel
    from emo.merr.models.source import source_of

    def lesson(processor, prompt, media, answer):
        batch = processor(text=prompt, **media, return_tensors="pt")
        said = processor.tokenizer(answer, add_special_tokens=False)["input_ids"]
        tail = torch.tensor([*said, processor.tokenizer.eos_token_id])
        batch["input_ids"] = torch.cat([batch["input_ids"], tail[None]], dim=1)
        batch["attention_mask"] = torch.ones_like(batch["input_ids"])
        return batch, tail

    def taught(folder, out, words, pairs):
        asked = MediaModel(source_of(str(folder)))
        processor, model = asked._ready()
        prompt = asked._prompt(processor, words)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            steps = torch.optim.Adam(model.parameters(), lr=RATE)
            lessons = [lesson(processor, prompt, *pair) for pair in pairs]
            for _ in range(STEPS):
                for batch, tail in lessons:
                    scores = model(**batch).logits[0, -len(tail) - 1 : -1]
                    torch.nn.functional.cross_entropy(scores, tail, reduction="sum").backward()
                steps.step()
                steps.zero_grad()
        model.save_pretrained(out)
        processor.save_pretrained(out)
        return out

    return taught
