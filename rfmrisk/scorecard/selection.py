"""Selection of the few characteristics that a scorecard needs."""

from __future__ import annotations

import re
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from scipy.special import stdtrit
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.model_selection import StratifiedKFold, check_cv
from sklearn.utils import ClassifierTags, check_random_state
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from rfmrisk.histories.parameters import SHARE, Constraints, NumberInterval, at_least
from rfmrisk.scorecard.stepwise import (
    Limits,
    Rows,
    Search,
    Standing,
    Step,
    confirmed,
    of_size,
    ranked,
)
from rfmrisk.woe.binary_target import check_target, check_weight

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

__all__ = ["StepwiseSelector"]

# How long a window is, in a name: spend_sum_30D, spend_12m_max, 90 days late.
WINDOW = re.compile(
    r"[_ ]?(?<![a-z0-9.])\d+(\.\d+)?[_ ]?"
    r"(s|min|m|mo|h|d|w|y|(second|minute|hour|day|week|month|year)s?)(?![a-z0-9])",
    re.IGNORECASE,
)
N_BLOCKS = 50
# Few rows have a large standard error, within which much AUC would be given away.
NEGLIGIBLE = 0.002


class StepwiseSelector(SelectorMixin, BaseEstimator):
    """Select the WoE columns that earn their place in a scorecard.

    Forward, the column with the greatest score statistic is added, if its coefficient has the
    right sign and it is neither too correlated with those inside nor inflates a variance too
    much; backward, those that have lost their sign or their significance are dropped [1]_. The
    size is the smallest whose out-of-fold AUC is at most one standard error (of their
    difference, fold by fold) [2]_, and at most 0.002, below the best; each fold searches for
    itself. What is chosen is confirmed by likelihood-ratio tests of a logistic regression.

    Parameters
    ----------
    max_features : int, default=12
        Most columns to select.
    max_correlation : float, default=0.8
        Largest absolute correlation between two selected columns.
    alpha : float, default=0.01
        Largest p-value. A second window of the same quantity (``spend_sum_30D`` beside
        ``spend_sum_60D``) must be below its square.
    cv : int, cross-validation splitter or iterable, default=5
        Folds that choose the size; a number is that of stratified, shuffled folds.
    max_vif : float, default=5
        Largest variance inflation among the selected columns.
    n_bootstraps : int, default=25
        Bootstrap samples in which the search is done again, for ``report_``. They are drawn
        from 50 random blocks of rows.
    random_state : int, RandomState instance or None, default=0
        Of the folds and the blocks.

    Attributes
    ----------
    support_ : ndarray of bool, shape (f,)
        Which columns are selected.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str, shape (f,)
        Column names, where the input had them.

    See Also
    --------
    rfmrisk.Scorecard : Takes the selector as ``selector``.

    Notes
    -----
    The columns are WoE with positive for the safe, so the right sign is that of more goods. That
    the bins were chosen on the same rows is in neither the p-values nor the AUC. There is always
    one column: the best, where none is significant.

    References
    ----------
    .. [1] N. Siddiqi, Credit Risk Scorecards, Wiley, 2006, chapter 6.
    .. [2] L. Breiman, J. Friedman, R. Olshen and C. Stone, Classification and Regression Trees,
       Wadsworth, 1984, section 3.4.3.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from rfmrisk import StepwiseSelector
    >>> rng = np.random.default_rng(0)
    >>> risk, age = rng.normal(size=(2, 1000))
    >>> X = pd.DataFrame({"risk": risk, "again": risk + 0.1 * rng.normal(size=1000), "age": age})
    >>> y = rng.random(1000) < 1 / (1 + np.exp(1 + risk + age))
    >>> selector = StepwiseSelector().fit(X, y)
    >>> selector.get_feature_names_out().tolist()
    ['risk', 'age']
    >>> selector.report_.loc["again", "reason"]
    'correlated 0.99 with risk, which is stronger'
    """

    _parameter_constraints: ClassVar[Constraints] = {
        "max_features": [at_least(1)],
        "max_correlation": [NumberInterval(Real, 0, 1, closed="both")],
        "alpha": [SHARE],
        "cv": [at_least(2), HasMethods(["split"]), "array-like"],
        "max_vif": [NumberInterval(Real, 1, None, closed="left")],
        "n_bootstraps": [at_least(1)],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        max_features: int = 12,
        max_correlation: float = 0.8,
        alpha: float = 0.01,
        cv: Any = 5,
        *,
        max_vif: float = 5,
        n_bootstraps: int = 25,
        random_state: Any = 0,
    ) -> None:
        self.max_features = max_features
        self.max_correlation = max_correlation
        self.alpha = alpha
        self.cv = cv
        self.max_vif = max_vif
        self.n_bootstraps = n_bootstraps
        self.random_state = random_state

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Select columns.

        Parameters
        ----------
        X : frame or array-like of shape (n, f)
            WoE columns, without missing values.
        y : array-like of shape (n,)
            0 is good, 1 is bad.
        sample_weight : array-like of shape (n,) or None, default=None
            Weights of the rows, in any unit. They count as (sum w)^2 / sum w^2 rows (Kish).

        Returns
        -------
        StepwiseSelector
            Fitted.

        Raises
        ------
        ValueError
            If a parameter is out of range, y is not binary, or a fold lacks goods or bads.
        """
        self._validate_params()
        columns = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        bad = check_target(y, len(columns))
        weight = check_weight(sample_weight, len(bad))
        if weight is None:
            weight = np.ones(len(bad))
        counts = weight > 0
        columns, bad, weight = columns[counts], bad[counts], weight[counts]
        centre = weight @ columns / weight.sum()
        rows = Rows(columns - centre, bad, weight * (weight.sum() / (weight @ weight)))
        names = list(_check_feature_names_in(self))
        bare = [WINDOW.sub("", name).strip("_ ") for name in names]
        quantities = np.unique(bare, return_inverse=True)[1]
        limits = Limits(self.max_features, self.max_correlation, self.max_vif, self.alpha)
        rng = check_random_state(self.random_state)
        folds = [rows.at(test) for test in self._folds(rows, rng)]
        blocks = _blocks(rows, rng)
        products = blocks.sum(axis=0)

        whole = Search(products, limits, quantities)
        steps = whole.run()
        searches = []
        for fold in folds:
            rest = products - fold.moments()
            searches.append(Search(rest, limits, quantities, rest[-1, -1] / whole.n))
        by_fold = _by_size(searches, folds, max(len(step.chosen) for step in steps))
        size = _smallest(by_fold)
        found = of_size(steps, size)
        chosen, p_values = confirmed(rows, found, self.alpha)

        self.support_ = np.zeros(len(names), dtype=bool)
        self.support_[chosen] = True
        self._path = _path(steps, by_fold, found, names)
        self._report = {
            "selected": self.support_.tolist(),
            "p_value": [p_values.get(j, p) for j, p in enumerate(whole.p_values(chosen))],
            **_costs(searches, folds, chosen, len(names)),
            "share_of_bootstraps": self._shares(blocks, whole, size, rng),
            "reason": _reasons(whole, chosen, found, p_values, names),
        }
        return self

    @property
    def path_(self) -> pd.DataFrame:
        """The steps of the search, numbered from 1.

        Columns: what was ``added`` and ``dropped``, the ``p_value`` of what was added, the
        ``size`` after the step, the mean out-of-fold ``auc`` of that size with its
        ``std_error``, and whether the set is ``selected``.
        """
        check_is_fitted(self)
        index = pd.RangeIndex(1, len(self._path["added"]) + 1, name="step")
        return pd.DataFrame(self._path, index=index)

    @property
    def report_(self) -> pd.DataFrame:
        """Why each column is in or out, indexed by its name.

        Columns: ``selected``; ``p_value`` beside the selected ones; ``cost``, what leaving it out
        costs in out-of-fold AUC, paired by fold, and its 95 % interval ``cost_low`` to
        ``cost_high``; ``share_of_bootstraps`` in which it is selected; the ``reason``.
        """
        check_is_fitted(self)
        names = pd.Index(list(_check_feature_names_in(self)), name="feature")
        return pd.DataFrame(self._report, index=names)

    def _get_support_mask(self) -> NDArray[np.bool_]:
        check_is_fitted(self)
        return self.support_

    def _folds(self, rows: Rows, rng: np.random.RandomState) -> list[NDArray[np.intp]]:
        """Return the positions of the held-out rows of each fold."""
        cv, bad = self.cv, rows.bad
        if isinstance(cv, Integral):
            rarer = int(min(bad.sum(), (~bad).sum()))
            if rarer < 2:
                raise ValueError(
                    "selection compares folds and needs 2 goods and 2 bads at least "
                    f"(n_samples={len(bad)}); got {int((~bad).sum())} and {int(bad.sum())}"
                )
            cv = StratifiedKFold(min(int(cv), rarer), shuffle=True, random_state=rng)
        tests = [test for _, test in check_cv(cv, bad, classifier=True).split(rows.columns, bad)]
        if len(tests) < 2 or any(bad[test].all() or not bad[test].any() for test in tests):
            raise ValueError("cv must have 2 folds at least, each with goods and bads")
        return tests

    def _shares(
        self, blocks: NDArray[np.float64], whole: Search, size: int, rng: np.random.RandomState
    ) -> list[float]:
        """Return in which share of bootstrap samples of blocks each column is selected."""
        n = len(blocks)
        chosen = np.zeros(len(whole.quantities))
        for times in rng.multinomial(n, np.full(n, 1 / n), size=self.n_bootstraps):
            products = np.tensordot(times, blocks, axes=1)
            search = Search(products, whole.limits, whole.quantities)
            chosen[of_size(search.run(), size)] += 1
        return (chosen / self.n_bootstraps).tolist()

    def __sklearn_tags__(self) -> Any:
        """Describe the selector to scikit-learn: it needs a binary target."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.classifier_tags = ClassifierTags(multi_class=False)
        return tags


def _blocks(rows: Rows, rng: np.random.RandomState) -> NDArray[np.float64]:
    """Return the moments of random blocks of rows, with goods and bads spread over all."""
    order = rng.permutation(len(rows.bad))
    order = order[np.argsort(rows.bad[order], kind="stable")]
    n = min(N_BLOCKS, len(order))
    return np.stack([rows.at(order[k::n]).moments() for k in range(n)])


def _by_size(searches: list[Search], folds: list[Rows], largest: int) -> NDArray[np.float64]:
    """Return the out-of-fold AUC by fold and size, each fold having searched for itself."""
    by_fold = []
    for search, fold in zip(searches, folds, strict=True):
        steps = search.run()
        sets = [of_size(steps, size) for size in range(1, largest + 1)]
        by_fold.append(ranked(search, sets, fold))
    return np.array(by_fold)


def _smallest(by_fold: NDArray[np.float64]) -> int:
    """Return the smallest size that is hardly below the best; see `StepwiseSelector`."""
    behind = by_fold[:, [by_fold.mean(axis=0).argmax()]] - by_fold
    error = behind.std(axis=0, ddof=1) / np.sqrt(len(by_fold))
    return int(np.flatnonzero(behind.mean(axis=0) <= np.minimum(error, NEGLIGIBLE))[0]) + 1


def _path(
    steps: list[Step], by_fold: NDArray[np.float64], selected: list[int], names: list[str]
) -> dict[str, list]:
    before = [[], *(step.chosen for step in steps)]
    dropped = [
        ", ".join(names[j] for j in chosen if j not in step.chosen)
        for chosen, step in zip(before, steps, strict=False)
    ]
    sizes = [len(step.chosen) for step in steps]
    error = by_fold.std(axis=0, ddof=1) / np.sqrt(len(by_fold))
    return {
        "added": [names[step.added] for step in steps],
        "dropped": dropped,
        "p_value": [step.p_value for step in steps],
        "size": sizes,
        "auc": [float(by_fold[:, size - 1].mean()) for size in sizes],
        "std_error": [float(error[size - 1]) for size in sizes],
        "selected": [step.chosen == selected for step in steps],
    }


def _costs(
    searches: list[Search], folds: list[Rows], chosen: list[int], n_columns: int
) -> dict[str, list[float]]:
    """Return by how much the AUC is higher with each column than without, by Student's t."""
    others = [
        [j for j in chosen if j != column] if column in chosen else [*chosen, column]
        for column in range(n_columns)
    ]
    aucs = np.array(
        [
            ranked(search, [chosen, *others], fold)
            for search, fold in zip(searches, folds, strict=True)
        ]
    )
    costs = (aucs[:, :1] - aucs[:, 1:]) * np.where(np.isin(range(n_columns), chosen), 1, -1)
    mean, n = costs.mean(axis=0), len(costs)
    half = stdtrit(n - 1, 0.975) * costs.std(axis=0, ddof=1) / np.sqrt(n)
    return {
        "cost": mean.tolist(),
        "cost_low": (mean - half).tolist(),
        "cost_high": (mean + half).tolist(),
    }


def _reasons(
    search: Search, chosen: list[int], step: list[int], p_values: dict[int, float], names: list[str]
) -> list[str]:
    standing = search.standing(chosen)
    return [
        _reason_in(chosen.index(j), p_values[j])
        if j in chosen
        else f"lost its significance or its sign in the logistic regression (p = {p_values[j]:.2g})"
        if j in step
        else _reason_out(search, standing, chosen, j, names)
        for j in range(len(names))
    ]


def _reason_in(position: int, p_value: float) -> str:
    place = {0: "first", 1: "second", 2: "third"}.get(position, f"{position + 1}th")
    return f"selected {place} (p = {p_value:.2g})"


def _reason_out(
    search: Search, standing: Standing, chosen: list[int], j: int, names: list[str]
) -> str:
    limits, close = search.limits, int(standing.closest[j])
    needed, statistic = search.needed(chosen)[j], standing.statistic[j]
    p_value = search.p_values(chosen)[j]
    if not search.varies[j]:
        return "has one value only"
    if standing.correlation[j] > limits.max_correlation:
        than = "stronger" if search.c[close] >= search.c[j] else "selected before it"
        return f"correlated {standing.correlation[j]:.2f} with {names[close]}, which is {than}"
    if standing.vif[j] > limits.max_vif:
        return (
            f"would inflate a variance {standing.vif[j]:.3g} times; {limits.max_vif:g} is allowed"
        )
    if needed > search.needed([])[j] and (statistic < needed or standing.slope[j] <= 0):
        (other, *_) = [k for k in chosen if search.quantities[k] == search.quantities[j]]
        return f"another window of {names[other]}, which adds too little (p = {p_value:.2g})"
    if standing.slope[j] <= 0:
        return "would have the wrong sign beside those selected"
    if statistic < needed:
        return f"adds nothing significant (p = {p_value:.2g})"
    if len(chosen) >= limits.max_features:
        return f"{limits.max_features} are selected already"
    return "more characteristics do not rank better out of fold by a standard error"
