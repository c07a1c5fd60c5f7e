"""Measures of discrimination, stability and probability that risk officers ask for.

``y_true`` is 1 for bad, and a higher ``y_score`` is riskier. Nothing here draws.
"""

from __future__ import annotations

from numbers import Number
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    log_loss,
    roc_auc_score,
    roc_curve,
)

from rfmrisk.histories.parameters import at_least, check_parameters
from rfmrisk.woe.binary_target import check_target, check_weight, mean_weight
from rfmrisk.woe.binning import psi_by_bin, psi_of
from rfmrisk.woe.bins import MISSING, UNSEEN, interval_labels, quoted_label
from rfmrisk.woe.encoder import WOEEncoder
from rfmrisk.woe.inputs import as_levels, as_numbers, column_kind

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "gini",
    "information_value",
    "ks_statistic",
    "population_stability_index",
    "psi_reading",
    "risk_report",
    "segment_report",
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


@overload
def population_stability_index(
    expected: ArrayLike,
    actual: ArrayLike,
    *,
    bins: int | ArrayLike = ...,
    expected_weight: ArrayLike | None = ...,
    actual_weight: ArrayLike | None = ...,
    by_bin: Literal[False] = ...,
) -> float: ...
@overload
def population_stability_index(
    expected: ArrayLike,
    actual: ArrayLike,
    *,
    bins: int | ArrayLike = ...,
    expected_weight: ArrayLike | None = ...,
    actual_weight: ArrayLike | None = ...,
    by_bin: Literal[True],
) -> pd.DataFrame: ...
def population_stability_index(
    expected: ArrayLike,
    actual: ArrayLike,
    *,
    bins: int | ArrayLike = 10,
    expected_weight: ArrayLike | None = None,
    actual_weight: ArrayLike | None = None,
    by_bin: bool = False,
) -> float | pd.DataFrame:
    """Compute the population stability index of a score or a column against a reference.

    PSI is the sum over bins of (actual share - expected share) * ln(actual / expected share)
    (Siddiqi 2006, chapter 9). The bins are those of the reference: for numbers its quantiles, or
    its values where they are few, and a value that fills more than a bin is one by itself; for
    text, categories and booleans its categories. Missing values, and categories that the
    reference lacks, have bins of their own. Under 0.1 is read as stable, over 0.25 as shifted. A
    bin that one sample lacks counts as half a row of mean weight.

    Parameters
    ----------
    expected : array-like of shape (n,)
        The reference, such as the training sample.
    actual : array-like of shape (m,)
        The new sample.
    bins : int or array-like of shape (b - 1,), default=10
        Number of quantile bins of the reference, or the cut points themselves, ascending; a bin
        begins at its cut. Not used for text.
    expected_weight : array-like of shape (n,) or None, default=None
        Weights of the reference, in any unit.
    actual_weight : array-like of shape (m,) or None, default=None
        Weights of the new sample, in any unit.
    by_bin : bool, default=False
        Whether to return the table of the bins in place of the index.

    Returns
    -------
    float or DataFrame of shape (b, 4)
        The index, zero or more. By bin: the columns bin, expected and actual (shares), and psi,
        which adds up to the index.

    Raises
    ------
    ValueError
        If a sample is empty or holds infinite values, a weight is negative, or cut points are
        not finite and ascending.
    TypeError
        If one sample holds numbers and the other text.

    Examples
    --------
    >>> import numpy as np
    >>> from rfmrisk.metrics import population_stability_index
    >>> reference = np.arange(1000.0)
    >>> population_stability_index(reference, reference)
    0.0
    >>> round(population_stability_index(reference, reference + 200), 2)
    1.27
    >>> population_stability_index([0] * 9 + [1], [0, 1], by_bin=True).round(2)
            bin  expected  actual   psi
    0    [0, 0]       0.9     0.5  0.24
    1  [1, inf)       0.1     0.5  0.64
    """
    check_parameters("population_stability_index", bins=(bins, [at_least(2), "array-like"]))
    before, after = _series(expected), _series(actual)
    if not len(before) or not len(after):
        raise ValueError(f"both samples need rows; got {len(before)} and {len(after)}")
    weights = (
        check_weight(expected_weight, len(before)),
        check_weight(actual_weight, len(after)),
    )
    numbers = _as_numbers(before, after)
    if numbers:
        cuts = stability_cuts(numbers[0], weights[0], bins) if np.ndim(bins) == 0 else _cuts(bins)
        labels = [*interval_labels(cuts), MISSING]
        codes = [
            np.where(np.isnan(x), len(cuts) + 1, np.searchsorted(cuts, x, side="right"))
            for x in numbers
        ]
    else:
        (first, categories), (second, new_categories) = (
            as_levels(before, "expected"),
            as_levels(after, "actual"),
        )
        labels = [*map(quoted_label, categories), MISSING, UNSEEN]
        place = {category: k for k, category in enumerate(categories)}
        renumber = [place.get(category, len(place) + 1) for category in new_categories]
        codes = [
            np.where(first < 0, len(place), first),
            np.array([*renumber, len(place)])[second],
        ]
    counts = [
        np.bincount(c, weights=w, minlength=len(labels))
        for c, w in zip(codes, weights, strict=True)
    ]
    units = mean_weight(weights[0]), mean_weight(weights[1])
    if not by_bin:
        return psi_of(counts[0], counts[1], units)
    shares = [count / count.sum() for count in counts]
    table = pd.DataFrame(
        {
            "bin": labels,
            "expected": shares[0],
            "actual": shares[1],
            "psi": psi_by_bin(counts[0], counts[1], units),
        }
    )
    return table[(shares[0] > 0) | (shares[1] > 0)].reset_index(drop=True)


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
    check_parameters("stability_report", bins=(bins, [at_least(2)]))
    expected, actual = (
        table.to_pandas() if isinstance(table, pa.Table) else table for table in (expected, actual)
    )
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
        Rows with this probability or more are predicted bad.
    sample_weight : array-like of shape (n,) or None, default=None
        Weights of the rows.

    Returns
    -------
    dict of str to float
        Under the names accuracy, precision, recall, f1, roc_auc, pr_auc, ks, gini, brier,
        log_loss, and the weight of tn, fp, fn and tp. Precision is 0 where no row is predicted
        bad.

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


class WeightedReport:
    """The figures of `risk_report` but the counts, for one weighing of the rows after another.

    What does not depend on the weights is done once, which makes a bootstrap cheap.

    Parameters
    ----------
    bad : ndarray of bool of shape (n,)
    score : ndarray of shape (n,)
        Probabilities of being bad.
    threshold : float
    """

    def __init__(
        self, bad: NDArray[np.bool_], score: NDArray[np.float64], threshold: float
    ) -> None:
        self._order = np.argsort(-score, kind="stable")
        self._bad = bad[self._order].astype(np.float64)
        falling = score[self._order]
        # The last row of each distinct score, the riskiest first.
        self._ends = np.append(np.flatnonzero(np.diff(falling)), len(score) - 1)
        self._n_predicted = int(np.sum(falling >= threshold))
        self._squares = (falling - self._bad) ** 2
        smallest = np.finfo(np.float64).eps
        clipped = np.clip(falling, smallest, 1 - smallest)
        self._losses = -np.log(np.where(self._bad == 1, clipped, 1 - clipped))

    def figures(self, weight: NDArray[np.float64]) -> dict[str, float]:
        """Return the figures under weights of the rows, of which both classes have some."""
        weight = weight[self._order]
        bads, goods = np.cumsum(weight * self._bad), np.cumsum(weight * (1 - self._bad))
        n_bad, n_good = bads[-1], goods[-1]
        predicted = self._n_predicted - 1
        tp, fp = (bads[predicted], goods[predicted]) if self._n_predicted else (0.0, 0.0)
        bads, goods = bads[self._ends], goods[self._ends]
        new_bads, new_goods = np.diff(bads, prepend=0.0), np.diff(goods, prepend=0.0)
        auc = float(new_bads @ (n_good - goods + new_goods / 2) / (n_bad * n_good))
        seen = bads + goods
        precision = np.divide(bads, seen, out=np.zeros_like(bads), where=seen > 0)
        total = n_bad + n_good
        return {
            "accuracy": float((tp + n_good - fp) / total),
            "precision": float(tp / (tp + fp)) if tp + fp else 0.0,
            "recall": float(tp / n_bad),
            "f1": float(2 * tp / (tp + fp + n_bad)),
            "roc_auc": auc,
            "pr_auc": float(new_bads @ precision / n_bad),
            "ks": float(np.max(np.abs(bads / n_bad - goods / n_good))),
            "gini": 2 * auc - 1,
            "brier": float(weight @ self._squares / total),
            "log_loss": float(weight @ self._losses / total),
        }


def segment_report(
    y_true: ArrayLike,
    y_score: ArrayLike,
    segment: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
) -> pd.DataFrame:
    """Compute how a probability does in each segment.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        1 is bad.
    y_score : array-like of shape (n,)
        Probability of being bad, or any score where higher is riskier.
    segment : array-like of shape (n,)
        The name of the segment that each row is in.
    sample_weight : array-like of shape (n,) or None, default=None
        Weights of the rows, for all but ``n``.

    Returns
    -------
    DataFrame
        Indexed by segment, in the order of their names: ``n``, ``bad_share``,
        ``mean_score`` and ``roc_auc``, which is missing where a segment has one class.

    Raises
    ------
    ValueError
        If y_true is not binary, or lengths differ.

    Examples
    --------
    >>> from rfmrisk.metrics import segment_report
    >>> segment_report([0, 1, 0, 1], [0.1, 0.4, 0.3, 0.2], ["new", "new", "old", "old"])
             n  bad_share  mean_score  roc_auc
    segment
    new      2        0.5        0.25      1.0
    old      2        0.5        0.25      0.0
    """
    bad, score, weight = _check_scores(y_true, y_score, sample_weight)
    names = np.asarray(segment)
    if names.shape != bad.shape:
        raise ValueError(
            f"segment must have one name for each of the {len(bad):,} rows; got {names.shape}"
        )
    rows = {}
    for name in np.unique(names):
        own = names == name
        both = 0 < bad[own].sum() < own.sum()
        w = None if weight is None else weight[own]
        rows[str(name)] = {
            "n": int(own.sum()),
            "bad_share": float(np.average(bad[own], weights=w)),
            "mean_score": float(np.average(score[own], weights=w)),
            "roc_auc": float(roc_auc_score(bad[own], score[own], sample_weight=w))
            if both
            else np.nan,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("segment")


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


def _as_numbers(before: pd.Series, after: pd.Series) -> list[NDArray[np.float64]] | None:
    """Return two samples as numbers, None where both hold categories.

    Beside numbers, booleans and categories of numbers are numbers, and beside categories of
    numbers so are booleans. Where one sample is in 32 bits, both are rounded to them.
    """
    samples = {"expected": before, "actual": after}
    kinds = {name: _kind(sample, name) for name, sample in samples.items()}
    found = set(kinds.values()) - {"empty"}
    if "text" in found:
        if "numeric" in found:
            (name,) = [name for name, kind in kinds.items() if kind == "text"]
            raise TypeError(
                f"both samples must hold numbers, or both text; {name} holds text, such as "
                f"{samples[name].dropna().iloc[0]!r}"
            )
        return None
    if found in ({"boolean"}, {"codes"}):
        return None
    numbers = []
    for name, sample in samples.items():
        numbers.append(
            as_numbers(sample, name)
            if kinds[name] == "numeric"
            else sample.astype(object).to_numpy(dtype=np.float64, na_value=np.nan)
        )
    if any(str(sample.dtype).lower().startswith(_SHORT) for sample in samples.values()):
        numbers = [x.astype(np.float32).astype(np.float64) for x in numbers]
    return numbers


# Names of floats of 16 and 32 bits in NumPy, pandas and Arrow.
_SHORT = ("float32", "float16", "float[", "halffloat")


def _kind(sample: pd.Series, name: str) -> str:
    """Return numeric, boolean, codes (numbers as categories), text, or empty."""
    if column_kind(sample, name) == "numeric":
        return "numeric"
    present = pd.unique(sample.dropna())
    if not len(present):
        return "empty"
    if all(isinstance(value, bool | np.bool_) for value in present):
        return "boolean"
    return "codes" if all(isinstance(value, Number) for value in present) else "text"


def _cuts(bins: ArrayLike) -> NDArray[np.float64]:
    try:
        cuts = np.asarray(bins, dtype=np.float64)
    except (TypeError, ValueError):
        cuts = np.array(np.nan)
    if not cuts.size or cuts.ndim != 1 or not np.isfinite(cuts).all() or (np.diff(cuts) <= 0).any():
        raise ValueError(f"the cut points of bins must be finite and ascending; got {bins!r}")
    return cuts


def stability_cuts(
    x: NDArray[np.float64], weight: NDArray[np.float64] | None, n_bins: Any
) -> NDArray[np.float64]:
    """Return the cuts of a sample's bins for a stability index; a bin begins at its cut.

    They are quantiles. Of a sample with no more values than bins each value begins a bin; and a
    value that weighs more than a bin has one that ends right behind it.
    """
    present = ~np.isnan(x)
    w = np.ones(len(x)) if weight is None else weight
    present &= w > 0
    values, codes = np.unique(x[present], return_inverse=True)
    if not len(values):
        return np.empty(0)
    sizes = np.bincount(codes, weights=w[present])
    share = sizes.sum() / n_bins
    alone = values[sizes > share * (1 + 1e-9)]
    if len(values) <= n_bins:
        cuts = values
    else:
        reached = np.cumsum(sizes)
        wanted = np.arange(1, n_bins) * share
        cuts = values[np.searchsorted(reached, wanted * (1 + 1e-12), side="right")]
    return np.unique(np.concatenate([cuts, alone, np.nextafter(alone, np.inf)]))
