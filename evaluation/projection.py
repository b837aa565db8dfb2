"""Features of many clips laid out on a plane, by principal components or UMAP.

Knows numbers; no caches, no pictures.

Axes: N clips, D feature dim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from emo.errors import ConfigError, MissingDependency

Method = Literal["pca", "umap"]
LEAST_CLIPS = 3
NEIGHBOURS = 15


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Plane:
    """Places (N, 2) and what each axis is. `explained` is the share of variance by axis; empty for UMAP."""

    places: NDArray[np.float64]
    axes: tuple[str, str]
    explained: tuple[float, ...] = ()


def on_a_plane(values: NDArray[Any], method: Method = "pca", *, seed: int = 0) -> Plane:
    """`values` (N, D) on a plane. PCA is of the centred values; its signs are fixed, so it repeats.

    Distances between far groups mean nothing in a UMAP. ConfigError for fewer than three clips or features
    that do not differ, MissingDependency where UMAP is not installed.
    """
    points = np.asarray(values, dtype=np.float64)
    if len(points) < LEAST_CLIPS:
        raise ConfigError(f"{len(points)} clips have this feature. A map needs {LEAST_CLIPS} or more.")
    if not np.ptp(points, axis=0).any():
        raise ConfigError(f"the features of all {len(points)} clips are the same: there is nothing to map.")
    return _pca(points) if method == "pca" else _umap(points, seed)


def _pca(points: NDArray[np.float64]) -> Plane:
    from sklearn.decomposition import PCA

    fitted = PCA(n_components=min(2, points.shape[1]), svd_solver="full").fit(points)
    places = fitted.transform(points)
    if places.shape[1] < 2:
        places = np.column_stack([places, np.zeros(len(places))])
    signs = np.sign(places[np.abs(places).argmax(axis=0), [0, 1]])
    explained = (*(float(share) for share in fitted.explained_variance_ratio_), 0.0)[:2]
    names = (f"component {at}: {share:.1%} of the variance" for at, share in enumerate(explained, start=1))
    first, second = names
    return Plane(places=places * np.where(signs == 0, 1, signs), axes=(first, second), explained=explained)


def _umap(points: NDArray[np.float64], seed: int) -> Plane:
    try:
        from umap import UMAP
    except ImportError as error:
        raise MissingDependency(
            "umap-learn is not installed. Run: pip install 'emo-toolkit[viz]', or leave out --method umap."
        ) from error
    neighbours = min(NEIGHBOURS, len(points) - 1)
    places = UMAP(n_neighbors=neighbours, random_state=seed, n_jobs=1).fit_transform(points)
    return Plane(places=np.asarray(places, dtype=np.float64), axes=("UMAP 1", "UMAP 2"))
