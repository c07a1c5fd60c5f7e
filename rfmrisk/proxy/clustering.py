"""K-Means that gives the same clusters whatever the seed and the order of the rows."""

import warnings
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # ships no types

from rfmrisk.histories.segments import Floats, Ints


def cluster_centres(
    scaled: Floats, risk: Floats, n_clusters: int, *, one_step: bool, random_state: Any
) -> Floats:
    """Return the centres of the clusters, safest first.

    Parameters
    ----------
    scaled : ndarray of shape (n, n_dimensions)
        What is clustered.
    risk : ndarray of shape (n,)
        The average rank, which gives the start and the order of the clusters.
    n_clusters : int
    one_step : bool
        Take a single step of K-Means from equal parts of the range of the risk, instead of
        running from equal parts of the ranking to convergence.
    random_state : int, RandomState instance or None

    Returns
    -------
    ndarray of shape (n_clusters, n_dimensions)

    Notes
    -----
    A risk without gaps has no natural clusters, and the objective of K-Means is then so flat that
    its optimum follows the noise of the sample: further steps double the share of customers
    whose label flips under a bootstrap. Where one step leaves a cluster empty, it runs on.
    """
    # Rows are sorted, and one thread adds up in one order: no sum depends on the input's order.
    order = np.lexsort((*scaled.T, risk))
    scaled, risk = scaled[order], risk[order]
    if one_step:
        edges = np.linspace(risk[0], risk[-1], n_clusters + 1)[1:-1]
        parts = np.split(scaled, np.searchsorted(risk, edges))
        if all(len(part) for part in parts):
            centres = np.array([part.mean(axis=0) for part in parts])
            if len(np.unique(nearest(scaled, centres))) == n_clusters:
                return centres
    start = np.array([part.mean(axis=0) for part in np.array_split(scaled, n_clusters)])
    with threadpool_limits(limits=1, user_api="openmp"), warnings.catch_warnings():
        # A cluster that stays empty is said by the labeler, with what to do.
        warnings.filterwarnings("ignore", message="Number of distinct clusters")
        kmeans = KMeans(
            n_clusters, init=start, n_init=1, tol=1e-6, max_iter=1_000, random_state=random_state
        ).fit(scaled)
    sizes = np.bincount(kmeans.labels_, minlength=n_clusters)
    total = np.bincount(kmeans.labels_, weights=risk, minlength=n_clusters)
    return kmeans.cluster_centers_[np.argsort(total / np.maximum(sizes, 1), kind="stable")]


def nearest(scaled: Floats, centres: Floats) -> Ints:
    """Return the number of the nearest centre of each row, the first where two are as near."""
    distances = np.stack([((scaled - centre) ** 2).sum(axis=1) for centre in centres])
    return np.argmin(distances, axis=0)


def threshold_for(risk: Floats, n_flagged: float) -> float:
    """Return the risk from which on about ``n_flagged`` customers are flagged; ties stay whole."""
    levels, counts = np.unique(risk, return_counts=True)
    flagged = np.concatenate((np.cumsum(counts[::-1])[::-1], [0]))  # from each level on
    place = int(np.argmin(np.abs(flagged - n_flagged)))
    if place == len(levels):
        return float("inf")
    return float(levels[place] if place == 0 else (levels[place - 1] + levels[place]) / 2)
