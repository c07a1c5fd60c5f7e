"""Measures of discrimination, stability and probability that risk officers ask for.

``y_true`` is 1 for bad, and a higher ``y_score`` is riskier. Nothing here draws.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    log_loss,
    roc_auc_score,
    roc_curve,
)

from rfmrisk.woe.binning import psi_of
from rfmrisk.woe.encoder import WOEEncoder
from rfmrisk.woe.inputs import as_levels, as_numbers, column_kind
from rfmrisk.woe.target import check_target, check_weight

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "gini",
    "information_value",
    "ks_statistic",
    "population_stability_index",
    "psi_reading",
    "risk_report",
    "stability_report",
]


def ks_statistic(
    y_true: ArrayLike, y_score: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Compute the Kolmogorov-Smirnov statistic between goods and bads.

    It is the greatest distance between the two cumulative distributions of the score, the
    greatest of true minus false positive rate over all thresholds (Siddiqi 2006, chapter 7).

    Parameters
    ----------
    y_true : array-like of shape (n,)
        1 is bad.
    y_score : array-like of shape (n,)
        Higher is riskier.
    sample_weight : array-like of shape (n,) or None, default=None
        Weights of the rows.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If y_true is not binary, or lengths differ.

    Examples
    --------
    >>> from rfmrisk.metrics import ks_statistic
    >>> ks_statistic([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.5
    """
    bad, score, weight = _check_scores(y_true, y_score, sample_weight)
    false_positive, true_positive, _ = roc_curve(bad, score, sample_weight=weight)
    return float(np.max(np.abs(true_positive - false_positive)))


def gini(y_true: ArrayLike, y_score: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Compute the Gini coefficient (accuracy ratio), 2 * AUC - 1.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        1 is bad.
    y_score : array-like of shape (n,)
        Higher is riskier.
    sample_weight : array-like of shape (n,) or None, default=None
        Weights of the rows.

    Returns
    -------
    float
        Between -1 (all bads ranked safest) and 1; 0 is chance.

    Raises
    ------
    ValueError
        If y_true is not binary, or lengths differ.

    Examples
    --------
    >>> from rfmrisk.metrics import gini
    >>> gini([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.5
    """
    bad, score, weight = _check_scores(y_true, y_score, sample_weight)
    return float(2 * roc_auc_score(bad, score, sample_weight=weight) - 1)


def information_value(
    x: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = None, **options: Any
) -> float:
    """Compute the information value of one column, over its optimal bins.

    IV is the sum over bins of (share of goods - share of bads) * WoE (Siddiqi 2006, chapter 6).

    Parameters
    ----------
    x : array-like of shape (n,)
        Numbers or levels; missing values have a bin of their own.
    y : array-like of shape (n,)
        1 is bad.
    sample_weight : array-like of shape (n,) or None, default=None
        Weights of the rows.
    **options
        Parameters of `rfmrisk.WOEEncoder`, such as ``max_bins``.

    Returns
    -------
    float
        Zero or more.

    Raises
    ------
    ValueError
        If y is not binary, or lengths differ.

    Examples
    --------
    >>> from rfmrisk.metrics import information_value
    >>> round(information_value([1, 1, 1, 2, 2, 2], [0, 0, 1, 0, 1, 1]), 3)
    0.462
    """
    frame = pd.DataFrame({"x": _series(x)})
    encoder = WOEEncoder(**options).fit(frame, y, sample_weight=sample_weight)
    return float(encoder.information_value_[0])


def population_stability_index(
    expected: ArrayLike,
    actual: ArrayLike,
    *,
    bins: int | ArrayLike = 10,
    expected_weight: ArrayLike | None = None,
    actual_weight: ArrayLike | None = None,
) -> float:
    """Compute the population stability index of a score or a column against a reference.

    PSI is the sum over bins of (actual share - expected share) * ln(actual / expected share)
    (Siddiqi 2006, chapter 9). The bins are those of the reference: its quantiles for numbers,
    its levels for text; missing values, and levels the reference lacks, have bins of their own.
    Under 0.1 is read as stable, over 0.25 as shifted. A share of zero counts as half a row.

    Parameters
    ----------
    expected : array-like of shape (n,)
        The reference, such as the training sample.
    actual : array-like of shape (m,)
        The new sample.
    bins : int or array-like of shape (b - 1,), default=10
        Number of quantile bins of the reference, or the cut points themselves; not used for text.
    expected_weight : array-like of shape (n,) or None, default=None
        Weights of the reference.
    actual_weight : array-like of shape (m,) or None, default=None
        Weights of the new sample.

    Returns
    -------
    float
        Zero or more.

    Raises
    ------
    ValueError
        If a sample is empty or holds infinite values, or a weight is negative.

    Examples
    --------
    >>> import numpy as np
    >>> from rfmrisk.metrics import population_stability_index
    >>> reference = np.arange(1000.0)
    >>> population_stability_index(reference, reference)
    0.0
    >>> round(population_stability_index(reference, reference + 200), 2)
    1.27
    """
    before, after = _series(expected), _series(actual)
    if not len(before) or not len(after):
        raise ValueError(f"Both samples need rows; got {len(before)} and {len(after)}.")
    weights = (
        check_weight(expected_weight, len(before)),
        check_weight(actual_weight, len(after)),
    )
    if column_kind(before, "expected") == "numeric":
        reference, new = as_numbers(before, "expected"), as_numbers(after, "actual")
        cuts = (
            quantile_cuts(reference, weights[0], bins) if np.ndim(bins) == 0 else np.asarray(bins)
        )
        codes = [
            np.where(np.isnan(x), len(cuts) + 1, np.searchsorted(cuts, x, side="right"))
            for x in (reference, new)
        ]
    else:
        (first, levels), (second, new_levels) = (
            as_levels(before, "expected"),
            as_levels(after, "actual"),
        )
        place = {level: k for k, level in enumerate(levels)}
        renumber = [place.get(level, len(levels) + 1) for level in new_levels]
        codes = [
            np.where(first < 0, len(levels), first),
            np.array([*renumber, len(levels)])[second],
        ]
    n_bins = int(max(c.max() for c in codes)) + 1
    counts = [
        np.bincount(c, weights=w, minlength=n_bins) for c, w in zip(codes, weights, strict=True)
    ]
    return psi_of(counts[0], counts[1])


def stability_report(expected: Any, actual: Any, *, bins: int = 10) -> pd.DataFrame:
    """Compare every column of a new sample with a reference, by the population stability index.

    Parameters
    ----------
    expected : DataFrame of shape (n, f)
        The reference, such as the training sample.
    actual : DataFrame of shape (m, f)
        The new sample, with the columns of the reference.
    bins : int, default=10
        Number of quantile bins of the reference for a numeric column.

    Returns
    -------
    DataFrame
        Indexed by feature: psi and reading, see `psi_reading`.

    Raises
    ------
    ValueError
        If the new sample lacks a column.

    Examples
    --------
    >>> import pandas as pd
    >>> from rfmrisk.metrics import stability_report
    >>> reference = pd.DataFrame({"recency": range(100), "channel": list("ab") * 50})
    >>> stability_report(reference, reference.assign(recency=range(50, 150))).round(2)
              psi  reading
    feature
    recency  2.32  shifted
    channel  0.00   stable
    """
    lacking = [name for name in expected.columns if name not in actual.columns]
    if lacking:
        raise ValueError(
            f"The new sample lacks {', '.join(map(str, lacking))}; it has "
            f"{', '.join(map(str, actual.columns))}."
        )
    found = {
        name: population_stability_index(expected[name], actual[name], bins=bins)
        for name in expected.columns
    }
    psi = pd.Series(found, dtype=float).rename_axis("feature")
    return pd.DataFrame({"psi": psi, "reading": psi.map(psi_reading)})


def psi_reading(psi: float) -> str:
    """Read a population stability index (Siddiqi 2006, chapter 9).

    Parameters
    ----------
    psi : float
        The index.

    Returns
    -------
    str
        "stable" under 0.1, "watch" under 0.25, "shifted" from there.

    Examples
    --------
    >>> from rfmrisk.metrics import psi_reading
    >>> [psi_reading(psi) for psi in (0.02, 0.2, 0.7)]
    ['stable', 'watch', 'shifted']
    """
    if psi < 0.1:
        return "stable"
    return "watch" if psi < 0.25 else "shifted"


def risk_report(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    threshold: float = 0.5,
    sample_weight: ArrayLike | None = None,
) -> dict[str, float]:
    """Compute every figure of a model's report at once.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        1 is bad.
    y_score : array-like of shape (n,)
        Probability of being bad.
    threshold : float, default=0.5
        Probabilities from here on are called bad.
    sample_weight : array-like of shape (n,) or None, default=None
        Weights of the rows.

    Returns
    -------
    dict of str to float
        Under the names accuracy, precision, recall, f1, roc_auc, pr_auc, ks, gini, brier,
        log_loss, and the weight of tn, fp, fn and tp. Precision is 0 where nothing is called bad.

    Raises
    ------
    ValueError
        If y_true is not binary, lengths differ, or a probability is outside 0 to 1.

    Examples
    --------
    >>> from rfmrisk.metrics import risk_report
    >>> report = risk_report([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> report["accuracy"], report["roc_auc"], report["fn"]
    (0.75, 0.75, 1.0)
    """
    bad, score, weight = _check_scores(y_true, y_score, sample_weight)
    if score.min() < 0 or score.max() > 1:
        raise ValueError(
            f"y_score must be probabilities between 0 and 1; got {score.min()} to {score.max()}."
        )
    tn, fp, fn, tp = confusion_matrix(
        bad, score >= threshold, labels=[False, True], sample_weight=weight
    ).ravel()
    auc = float(roc_auc_score(bad, score, sample_weight=weight))
    return {
        "accuracy": float((tn + tp) / (tn + fp + fn + tp)),
        "precision": float(tp / (tp + fp)) if tp + fp else 0.0,
        "recall": float(tp / (tp + fn)),
        "f1": float(2 * tp / (2 * tp + fp + fn)),
        "roc_auc": auc,
        "pr_auc": float(average_precision_score(bad, score, sample_weight=weight)),
        "ks": ks_statistic(bad, score, sample_weight=weight),
        "gini": 2 * auc - 1,
        "brier": float(brier_score_loss(bad, score, sample_weight=weight)),
        "log_loss": float(log_loss(bad, score, sample_weight=weight, labels=[False, True])),
        "tn": float(tn),
        "fp": float(fp),
        "fn": float(fn),
        "tp": float(tp),
    }


def _check_scores(
    y_true: ArrayLike, y_score: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64] | None]:
    score = np.asarray(y_score, dtype=np.float64)
    if score.ndim != 1:
        raise ValueError(
            f"y_score must have one number a row, such as predict_proba(X)[:, 1]; got shape "
            f"{score.shape}."
        )
    if not np.isfinite(score).all():
        raise ValueError(f"y_score has {int((~np.isfinite(score)).sum())} non-finite value(s).")
    return check_target(y_true, len(score)), score, check_weight(sample_weight, len(score))


def _series(values: ArrayLike) -> pd.Series:
    return values if isinstance(values, pd.Series) else pd.Series(np.asarray(values))


def quantile_cuts(
    x: NDArray[np.float64], weight: NDArray[np.float64] | None, n_bins: Any
) -> NDArray[np.float64]:
    """Return cuts that divide a sample into bins of equal weight; ties stay together."""
    if n_bins < 2:
        raise ValueError(f"bins must be at least 2, or cut points; got {n_bins}.")
    present = ~np.isnan(x)
    values = x[present]
    w = np.ones(len(values)) if weight is None else weight[present]
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(w[order])
    if not len(reached):
        return np.empty(0)
    wanted = np.arange(1, n_bins) / n_bins * reached[-1]
    return np.unique(values[order][np.searchsorted(reached, wanted, side="right")])
