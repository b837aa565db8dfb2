"""Untrained models taught to tell two kinds of media apart: real format, real road, two sentences."""

import pytest

STEPS, RATE = 100, 1e-2


@pytest.fixture(scope="session")
def teach():
    """Save a copy of the media model in `folder` that, after `words`, answers each media with its answer.

    `pairs` are (what the processor is given, answer).
    """
    import torch

    from emo.merr.models.media import MediaModel
    from emo.merr.models.source import source_of

    def taught(folder, out, words, pairs):
        asked = MediaModel(source_of(str(folder)))
        processor, model = asked._ready()
        prompt, end = asked._prompt(processor, words), processor.tokenizer.eos_token_id
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            steps = torch.optim.Adam(model.parameters(), lr=RATE)
            for step in range(STEPS):
                media, answer = pairs[step % len(pairs)]
                batch = processor(text=prompt, **media, return_tensors="pt")
                tail = [*processor.tokenizer(answer, add_special_tokens=False)["input_ids"], end]
                batch["input_ids"] = torch.cat([batch["input_ids"], torch.tensor([tail])], dim=1)
                batch["attention_mask"] = torch.ones_like(batch["input_ids"])
                scores = model(**batch).logits[0, -len(tail) - 1 : -1]
                torch.nn.functional.cross_entropy(scores, torch.tensor(tail)).backward()
                steps.step()
                steps.zero_grad()
        model.save_pretrained(out)
        processor.save_pretrained(out)
        return out

    return taught
