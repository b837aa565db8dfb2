"""Embeddings of a LLaMA stage as a feature space of their own, so that heads and maps read them as any other.

The space is `emotion-llama` with two arrays of H numbers: `utterance`, the vector that predicts the answer,
and `prefix`, the mean over the multimodal prefix. Its fingerprint holds the trained weights, the LLaMA, the
prompt and the features that went in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from emo.cache import FeatureCache, Space
from emo.canonical import Json
from emo.clip import Clip
from emo.llm.embeddings import prompt_embeddings
from emo.pipeline.answer_identity import clip_digest
from emo.pipeline.calibration import weight_digests
from emo.pipeline.systems import LlamaSystem, batches
from emo.records import Record
from emo.spec import ArrayLayout, FeatureSpec

ENCODER = "emotion-llama"
RECIPE_VERSION = 1


def embeddings_spec(system: LlamaSystem, folder: Path, spaces: Mapping[str, Space]) -> FeatureSpec:
    """The recipe of the embeddings that the LLaMA stage in `folder` makes of the features in `spaces`."""
    weights = {name.partition(".")[0]: digest for name, digest in weight_digests(folder).items()}
    features: dict[str, Json] = {
        name: f"{space.spec.fingerprint}:{system.arrays[name]}" for name, space in spaces.items()
    }
    words = next(system.model.words.parameters())
    layout = ArrayLayout(kind="utterance", dim=words.shape[1], dtype="float32")
    return FeatureSpec(
        encoder=ENCODER,
        weights=weights,
        recipe={
            "template": system.template.name,
            "task": "emotion",
            "labels": list(system.labels),
            "layer": "last, after the final norm",
            "features": features,
        },
        recipe_version=RECIPE_VERSION,
        arrays={"utterance": layout, "prefix": layout},
        precision=str(words.dtype).removeprefix("torch."),
    )


def store_embeddings(
    system: LlamaSystem,
    folder: Path,
    clips: Sequence[Clip],
    spaces: Mapping[str, Space],
    cache: FeatureCache,
) -> Iterator[str]:
    """Store the embeddings of `clips` in `cache`, yielding the id of each clip once it is handed over.

    A clip whose embedding is there, made of the same words and features, is not read again.
    """
    space = cache.create(embeddings_spec(system, folder, spaces))
    inputs = {clip.clip_id: bytes.fromhex(clip_digest(clip, spaces)) for clip in clips}
    missing = [clip for clip in clips if not _stored(space, clip.clip_id, inputs[clip.clip_id])]
    with space.writer() as sink:
        for part, batch in batches(system, missing, spaces):
            found = prompt_embeddings(system.model, system.template, system.questions(part), batch)
            prefix, answer = found.prefix.cpu().numpy(), found.answer.cpu().numpy()
            for row, clip in enumerate(part):
                arrays = {"utterance": answer[row], "prefix": prefix[row]}
                sink.put(Record(clip_id=clip.clip_id, arrays=arrays, input_sha256=inputs[clip.clip_id]))
                yield clip.clip_id


def _stored(space: Space, clip_id: str, made_of: bytes) -> bool:
    info = space.info(clip_id)
    return info is not None and info.input_sha256 == made_of
