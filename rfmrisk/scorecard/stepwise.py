"""Stepwise search of characteristics, as pure functions of WoE columns.

Sums, squares and products of the columns are all that a search needs: those of a fold are taken
from those of the whole, and those of a bootstrap sample are added up from blocks of rows. The
columns are looked at once, however many searches follow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import chdtrc, chdtri, expit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SINGULAR = 1e-9


class Rows(NamedTuple):
    """Rows of WoE columns of shape (n, f), which of them are bad, and their weights."""

    columns: Floats
    bad: NDArray[np.bool_]
    weight: Floats

    def at(self, positions: NDArray[np.intp]) -> Rows:
        """Return some of the rows."""
        return Rows(self.columns[positions], self.bad[positions], self.weight[positions])

    def moments(self) -> Floats:
        """Return the weighted sums of products of the columns, the target and a column of ones.

        The target is last but one and 1 for a good, so that a right coefficient is positive; the
        ones are last. Moments of parts of a sample, of shape (f + 2, f + 2), add up.
        """
        wide = np.column_stack([self.columns, ~self.bad, np.ones(len(self.bad))])
        return wide.T @ (wide * self.weight[:, None])


class Limits(NamedTuple):
    """What a characteristic must satisfy to be taken."""

    max_features: int
    max_correlation: float
    max_vif: float
    alpha: float


class Step(NamedTuple):
    """A step of the search: what was added, how significant it was, and what is in after it."""

    added: int
    p_value: float
    chosen: list[int]


class Standing(NamedTuple):
    """How each column stands beside those that are chosen; arrays of shape (f,)."""

    correlation: Floats  # the largest with a chosen column, in absolute value
    closest: NDArray[np.intp]  # which chosen column that is
    vif: Floats  # the largest of all, were the column added
    slope: Floats  # its standardised coefficient, were it added
    statistic: Floats  # its score statistic, chi-squared with one degree of freedom


class Search:
    """Forward and backward steps on the moments of one sample.

    A step adds the characteristic with the greatest score statistic of a linear model of the
    target, n r^2 with r the partial correlation; it is the score test of logistic regression
    where probabilities differ little. Then those that have lost their sign, or their
    significance by the same statistic, are dropped for good.

    Parameters
    ----------
    products : ndarray of shape (f + 2, f + 2)
        The moments.
    limits : Limits
    quantities : ndarray of int, shape (f,)
        Columns with the same number are windows of the same quantity: a second one is taken
        only where its p-value is below the square of ``alpha``.
    share : float, default=1
        How large the sample is, of that for which ``alpha`` is meant: a part of it, in which a
        statistic is smaller in proportion, is searched as the whole would be.
    """

    def __init__(
        self, products: Floats, limits: Limits, quantities: NDArray[np.intp], share: float = 1.0
    ) -> None:
        self.limits, self.quantities = limits, quantities
        self._first, self._second = share * chdtri(1, [limits.alpha, limits.alpha**2])
        self.n = products[-1, -1]
        mean = products[-1, :-1] / self.n
        covariance = products[:-1, :-1] / self.n - np.outer(mean, mean)
        variance = np.diag(covariance)
        size = np.diag(products)[:-1] / self.n
        self.varies = (variance > SINGULAR * np.maximum(size, SINGULAR))[:-1]
        spread = np.sqrt(np.where(variance > SINGULAR * size, variance, 1.0))
        self.mean, self.spread = mean, spread
        together = covariance / np.outer(spread, spread)
        self.r, self.c = together[:-1, :-1], together[:-1, -1]

    def run(self) -> list[Step]:
        """Return the steps; one at least, so that there is always a characteristic."""
        steps: list[Step] = []
        chosen: list[int] = []
        tried = ~self.varies
        while len(chosen) < self.limits.max_features and self.n > len(chosen) + 2:
            standing = self.standing(chosen)
            statistic = np.where(self.allowed(standing, chosen) & ~tried, standing.statistic, -1.0)
            added = int(statistic.argmax())
            if statistic[added] < self.needed(chosen)[added]:
                break
            tried[added] = True
            chosen = self._backward([*chosen, added])
            steps.append(Step(added, float(chdtrc(1, statistic[added])), list(chosen)))
        if not steps:
            best = int(np.where(self.varies, self.c, -1.0).argmax())
            statistic = self.standing([]).statistic
            steps.append(Step(best, float(chdtrc(1, statistic[best])), [best]))
        return steps

    def needed(self, chosen: list[int]) -> Floats:
        """Return the statistic that each column needs beside those chosen."""
        taken = np.zeros(self.quantities.max() + 1, dtype=bool)
        taken[self.quantities[chosen]] = True
        return np.where(taken[self.quantities], self._second, self._first)

    def allowed(self, standing: Standing, chosen: list[int]) -> NDArray[np.bool_]:
        """Return which columns may be added, significant or not."""
        allowed = (
            self.varies
            & (standing.correlation <= self.limits.max_correlation)
            & (standing.vif <= self.limits.max_vif)
            & (standing.slope > 0)
            & (standing.statistic >= self.needed(chosen))
        )
        allowed[chosen] = False
        return allowed

    def standing(self, chosen: list[int]) -> Standing:
        """Return how each column stands beside the chosen ones."""
        if not chosen:
            zero = np.zeros(len(self.c))
            statistic = self.n * np.clip(self.c, 0, None) ** 2
            return Standing(zero, zero.astype(np.intp), zero + 1.0, self.c, statistic)
        across = self.r[chosen]
        inverse = _inverse(across[:, chosen])
        slopes = inverse @ across  # of each column on the chosen ones
        own = np.maximum(1 - (across * slopes).sum(axis=0), SINGULAR)
        coefficients = inverse @ self.c[chosen]
        slope = (self.c - coefficients @ across) / own
        unexplained = max(1 - self.c[chosen] @ coefficients, SINGULAR)
        vif = np.maximum(1 / own, (np.diag(inverse)[:, None] + slopes**2 / own).max(axis=0))
        nearest = np.abs(across).argmax(axis=0)
        return Standing(
            np.abs(across).max(axis=0),
            np.array(chosen)[nearest],
            vif,
            slope,
            self.n * slope**2 * own / unexplained,
        )

    def p_values(self, chosen: list[int]) -> list[float]:
        """Return the p-value of each column, were it added to the chosen ones."""
        return chdtrc(1, self.standing(chosen).statistic).tolist()

    def coefficients(self, chosen: list[int]) -> Floats:
        """Return the slopes of the linear model of the target, for a ranking by the chosen."""
        standard = _inverse(self.r[np.ix_(chosen, chosen)]) @ self.c[chosen]
        return standard / self.spread[:-1][chosen]

    def _backward(self, chosen: list[int]) -> list[int]:
        while len(chosen) > 1:
            inverse = _inverse(self.r[np.ix_(chosen, chosen)])
            slope = inverse @ self.c[chosen]
            unexplained = max(1 - self.c[chosen] @ slope, SINGULAR)
            statistic = self.n * slope * np.abs(slope) / np.diag(inverse) / unexplained
            worst = int(statistic.argmin())  # a wrong sign is worse than no significance
            if statistic[worst] >= self._first:
                break
            chosen = chosen[:worst] + chosen[worst + 1 :]
        return chosen


def _inverse(correlations: Floats) -> Floats:
    """Invert correlations, those of columns that say the same included."""
    singular = SINGULAR * np.eye(len(correlations))
    return np.asarray(np.linalg.inv(correlations + singular), dtype=np.float64)


def of_size(steps: list[Step], size: int) -> list[int]:
    """Return the last set of at most ``size`` characteristics that a search was at."""
    return [step.chosen for step in steps if len(step.chosen) <= size][-1]


def ranked(search: Search, sets: Sequence[list[int]], held_out: Rows) -> Floats:
    """Return the AUC on held-out rows of each set of columns, weighed by the search's sample.

    A tie counts half.
    """
    columns, bad, weight = held_out
    weights = np.zeros((columns.shape[1], len(sets)))
    for k, chosen in enumerate(sets):
        weights[chosen, k] = search.coefficients(chosen)
    return auc(columns @ weights, bad, weight)


def auc(scores: Floats, bad: NDArray[np.bool_], weight: Floats) -> Floats:
    """Return the AUC of each column of scores of shape (n, m), where higher is safer."""
    goods, bads = np.where(bad, 0.0, weight), np.where(bad, weight, 0.0)
    pairs = goods.sum() * bads.sum()
    found = np.empty(scores.shape[1])
    for k, score in enumerate(scores.T):
        order = score.argsort()
        ordered = score[order]
        ends = np.append(np.flatnonzero(np.diff(ordered) > 0), len(order) - 1)
        below = np.append(0.0, bads[order].cumsum()[ends])
        good = np.diff(np.append(0.0, goods[order].cumsum()[ends]))
        found[k] = good @ (below[:-1] + below[1:]) / 2 / pairs
    return found


def logistic(
    columns: Floats, bad: NDArray[np.bool_], weight: Floats, start: Floats | None = None
) -> tuple[Floats, float]:
    """Fit a logistic regression by Newton's method.

    Where the columns separate the classes, the steps end once the deviance hardly falls.

    Returns
    -------
    coefficients : ndarray of shape (k + 1,)
        Log-odds of being bad; the intercept is last.
    deviance : float
        Twice the negative logarithm of the likelihood.
    """
    design = np.column_stack([columns, np.ones(len(bad))])
    theta = np.zeros(design.shape[1]) if start is None else start
    sign = np.where(bad, -1.0, 1.0)

    def deviance_at(theta: Floats) -> float:
        return 2 * float(weight @ np.logaddexp(0, sign * (design @ theta)))

    deviance = deviance_at(theta)
    for _ in range(25):
        probability = expit(design @ theta)
        spread = weight * probability * (1 - probability)
        information = design.T @ (design * spread[:, None])
        information[np.diag_indices_from(information)] += SINGULAR * max(1.0, weight.sum())
        step = np.linalg.solve(information, design.T @ (weight * (bad - probability)))
        after = deviance_at(theta + step)
        while after > deviance + SINGULAR and np.abs(step).max() > SINGULAR:
            step = step / 2
            after = deviance_at(theta + step)
        fallen, theta, deviance = deviance - after, theta + step, after
        if fallen < 1e-6:
            break
    return theta, deviance


def confirmed(rows: Rows, chosen: list[int], alpha: float) -> tuple[list[int], dict[int, float]]:
    """Drop what logistic regression does not confirm: a wrong sign, then p above ``alpha``.

    Significance is that of the likelihood-ratio test of leaving one out, which holds where the
    classes are separated too.

    Returns
    -------
    kept : list of int
        One at least.
    p_values : dict of int to float
        Of those kept, and of those dropped when they were.
    """
    columns, bad, weight = rows
    kept = list(chosen)
    p_values: dict[int, float] = {}
    while True:
        theta, deviance = logistic(columns[:, kept], bad, weight)
        rises = np.empty(len(kept))
        for k in range(len(kept)):
            others = np.delete(theta, k)
            _, without = logistic(np.delete(columns[:, kept], k, axis=1), bad, weight, others)
            rises[k] = max(without - deviance, 0.0)
        p_values |= dict(zip(kept, chdtrc(1, rises).tolist(), strict=True))
        worst = int(np.where(theta[:-1] >= 0, -1.0 - rises, rises).argmin())
        if len(kept) == 1 or (theta[worst] < 0 and p_values[kept[worst]] <= alpha):
            return kept, p_values
        kept.pop(worst)
