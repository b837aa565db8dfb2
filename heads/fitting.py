"""Whether features are those that a model was trained on: the same recipe, and the same array of it.

Knows no model and reads no tensor.
"""

from __future__ import annotations

from collections.abc import Mapping

from emo.errors import StaleCache
from emo.heads.batches import Source


def refuse_other_features(
    trained: Mapping[str, Source], given: Mapping[str, Source], *, whole: bool = False
) -> None:
    """StaleCache where a feature was made by another recipe than the model was `trained` on.

    A feature that is not given is let be, or with `whole` refused too: its origin is not known then.
    """
    for name, known in trained.items():
        found = given.get(name)
        if found is None:
            if whole:
                raise StaleCache(
                    f"{name}: the model was trained on {known.spec.short}, the batch does not say how "
                    f"its features were made. Load it with load_features, or pass force=True."
                )
            continue
        if (found.spec.fingerprint, found.array) != (known.spec.fingerprint, known.array):
            raise StaleCache(
                f"{name}: the model was trained on {known.spec.short} ({known.array}), "
                f"these features are {found.spec.short} ({found.array}). "
                f"Different: {', '.join(_differences(known, found))}. "
                "Extract with the same recipe, train again, or force it."
            )


def _differences(trained: Source, given: Source) -> list[str]:
    before, after = trained.spec.to_json(), given.spec.to_json()
    changed = [key for key in before if key not in ("preset", "licence") and before[key] != after[key]]
    return changed + (["array"] if trained.array != given.array else [])
