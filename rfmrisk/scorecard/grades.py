"""A master scale: grades of a score, with expected and observed bad rates."""

from __future__ import annotations

from numbers import Real
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from scipy.special import betainc
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from rfmrisk.histories.parameters import Constraints, NumberInterval, at_least
from rfmrisk.scorecard.scale import score_to_probability
from rfmrisk.woe.binary_target import check_target, check_weight, mean_weight
from rfmrisk.woe.binning import cut_numbers
from rfmrisk.woe.program import Rules

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

__all__ = ["Grades"]


class Grades(BaseEstimator):
    """Bands of a score, from the safest, A, to the riskiest.

    Parameters
    ----------
    method : {"exact", "odds", "edges"}, default="exact"
        "exact" finds the bands with the greatest information value of which each is large enough
        and has a lower bad rate than the next riskier one; "odds" makes bands over which the odds
        grow by ``odds_step``; "edges" takes ``edges``.
    n_grades : int, default=8
        The most grades, of "exact" and "odds".
    edges : sequence of float or None, default=None
        Of "edges": ascending scores, each the least of a band; below the first is one more.
    odds_step : float, default=2
        Of "odds": how many times the odds of a band's least score are those of the next riskier
        band's.
    min_size : float, default=0.05
        Of "exact": the least share of customers in a grade.
    min_bads : float, default=5
        Of "exact": the least number of goods, and of bads, in a grade (in units of the mean
        weight).
    names : sequence of str or None, default=None
        From the safest on; None is A, B, C and so on.
    scale : mapping or None, default=None
        The ``base_score``, ``base_odds`` and ``pdo`` of the score, such as ``card.scale_``; None
        is 600, 50 and 20.

    Attributes
    ----------
    edges_ : ndarray of shape (g - 1,)
        Ascending scores; a score at an edge is in the safer grade.
    names_ : list of str
        From the riskiest grade to the safest, as scores ascend.

    Notes
    -----
    The exact bands are those of the dynamic program that bins a column (`WOEEncoder`), with bad
    rates that fall as the score rises.

    Examples
    --------
    >>> import numpy as np
    >>> from rfmrisk import Grades
    >>> rng = np.random.default_rng(0)
    >>> score = rng.normal(500, 30, size=5_000).round()
    >>> y = rng.random(5_000) < 1 / (1 + np.exp((score - 470) / 20))
    >>> grades = Grades(n_grades=4).fit(score, y)
    >>> grades.predict([420, 480, 560]).tolist()
    ['D', 'C', 'A']
    >>> grades.table(score, y)["observed_rate"].is_monotonic_increasing
    True
    """

    _parameter_constraints: ClassVar[Constraints] = {
        "method": [StrOptions({"exact", "odds", "edges"})],
        "n_grades": [at_least(2)],
        "edges": ["array-like", None],
        "odds_step": [NumberInterval(Real, 1, None, closed="neither")],
        "min_size": [NumberInterval(Real, 0, 0.5, closed="left")],
        "min_bads": [NumberInterval(Real, 0, None, closed="left")],
        "names": ["array-like", None],
        "scale": [dict, None],
    }

    def __init__(
        self,
        method: Literal["exact", "odds", "edges"] = "exact",
        *,
        n_grades: int = 8,
        edges: Sequence[float] | None = None,
        odds_step: float = 2,
        min_size: float = 0.05,
        min_bads: float = 5,
        names: Sequence[str] | None = None,
        scale: Mapping[str, float] | None = None,
    ) -> None:
        self.method = method
        self.n_grades = n_grades
        self.edges = edges
        self.odds_step = odds_step
        self.min_size = min_size
        self.min_bads = min_bads
        self.names = names
        self.scale = scale

    def fit(
        self,
        score: ArrayLike | None = None,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Find the bands.

        Parameters
        ----------
        score : array-like of shape (n,) or None, default=None
            Scores, higher is safer. "edges" needs none.
        y : array-like of shape (n,) or None, default=None
            0 is good, 1 is bad; "exact" needs it.
        sample_weight : array-like of shape (n,) or None, default=None
            Weights of the customers.

        Returns
        -------
        Grades
            Fitted.

        Raises
        ------
        ValueError
            If a parameter is out of range, what the method needs is missing, or there are more
            grades than names.
        """
        self.check()
        if self.method == "edges":
            edges = _checked_edges(self.edges)
        else:
            scores = _one_score_each(score)
            weight = check_weight(sample_weight, len(scores))
            edges = self._odds(scores) if self.method == "odds" else self._exact(scores, y, weight)
        self.edges_ = edges
        self.names_ = _names(self.names, len(edges) + 1)
        return self

    def check(self) -> Self:
        """Raise on parameters with which no grades can be found, whatever the scores.

        Returns
        -------
        Grades
            As it is.

        Raises
        ------
        ValueError
            As `fit`.
        """
        self._validate_params()
        if (self.method == "edges") != (self.edges is not None):
            raise ValueError("edges must be given with method='edges', and with no other")
        if self.method == "edges":
            edges = _checked_edges(self.edges)
            _names(self.names, len(edges) + 1)
        return self

    def _odds(self, score: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return edges a step of the odds apart, as many as the scores reach."""
        scale = self._scale()
        width = scale["pdo"] * np.log2(self.odds_step)
        first = np.floor((score.min() - scale["base_score"]) / width) + 1
        last = np.ceil((score.max() - scale["base_score"]) / width) - 1
        steps = np.arange(first, last + 1)
        middle = (np.median(score) - scale["base_score"]) / width
        kept = np.sort(np.argsort(np.abs(steps - middle), kind="stable")[: self.n_grades - 1])
        return scale["base_score"] + width * steps[kept]

    def _exact(
        self,
        score: NDArray[np.float64],
        y: ArrayLike | None,
        weight: NDArray[np.float64] | None,
    ) -> NDArray[np.float64]:
        """Return the edges of the greatest information value that the constraints allow."""
        if y is None:
            raise ValueError("method='exact' needs y; 'odds' needs scores alone")
        bad = check_target(y, len(score))
        if weight is not None:
            counts = weight > 0
            score, bad, weight = score[counts], bad[counts], weight[counts]
        size = np.ones(len(bad)) if weight is None else weight
        unit = mean_weight(weight)
        rules = Rules(
            max_bins=self.n_grades,
            min_size=self.min_size * float(size.sum()),
            min_events=self.min_bads * unit,
            max_prebins=64,
            total_goods=float(size[~bad].sum()),
            total_bads=float(size[bad].sum()),
            smoothing=0.0,
        )
        return cut_numbers(score, bad, weight, "descending", rules)

    def _scale(self) -> dict[str, float]:
        return {"base_score": 600.0, "base_odds": 50.0, "pdo": 20.0} | dict(self.scale or {})

    def predict(self, score: ArrayLike) -> NDArray[np.object_]:
        """Return the grade of each score.

        Parameters
        ----------
        score : array-like of shape (n,)
            Higher is safer.

        Returns
        -------
        ndarray of str, shape (n,)

        Raises
        ------
        ValueError
            If a score is missing.
        """
        check_is_fitted(self)
        bands = np.searchsorted(self.edges_, _one_score_each(score), side="right")
        return np.array(self.names_, dtype=object)[bands]

    def table(
        self,
        score: ArrayLike,
        y: ArrayLike | None = None,
        probability: ArrayLike | None = None,
    ) -> pd.DataFrame:
        """Lay out the grades, safest first, with a test of each.

        Parameters
        ----------
        score : array-like of shape (n,)
            Higher is safer.
        y : array-like of shape (n,) or None, default=None
            0 is good, 1 is bad, NaN not known yet.
        probability : array-like of shape (n,) or None, default=None
            Of being bad, as the model says; None is what ``scale`` makes of the scores.

        Returns
        -------
        DataFrame
            Indexed by ``grade``: ``score_from`` and ``score_below``, ``n``, ``share`` and
            ``expected_rate``, the mean probability (of a grade without customers that of its
            edges). With ``y`` also ``known`` outcomes, ``bads``, ``observed_rate`` (NaN where
            none is known), ``p_value``, small where more are bad than expected (Jeffreys [1]_),
            and ``verdict``: "as expected", or "too many bads" or "too few bads" where it is below
            0.05 or above 0.95, and "no outcome".

        References
        ----------
        .. [1] European Central Bank, Instructions for reporting the validation results of internal
           models, 2019, section 2.5.3.1.
        """
        check_is_fitted(self)
        scores = _one_score_each(score)
        scale = self._scale()
        expected = (
            score_to_probability(scores, **scale)
            if probability is None
            else np.asarray(probability, dtype=np.float64)
        )
        if expected.shape != scores.shape or not ((expected >= 0) & (expected <= 1)).all():
            raise ValueError("probability must have one value from 0 to 1 for each score")
        band = np.searchsorted(self.edges_, scores, side="right")
        g = len(self.names_)
        n = np.bincount(band, minlength=g)
        ends = np.concatenate([[-np.inf], self.edges_, [np.inf]])
        inside = np.clip(ends, *(self.edges_[[0, -1]] if g > 1 else scores[[0, 0]]))
        at_edges = score_to_probability((inside[1:] + inside[:-1]) / 2, **scale)
        sums = np.bincount(band, expected, minlength=g)
        rate = np.divide(sums, n, out=at_edges, where=n > 0)
        table = pd.DataFrame(
            {
                "score_from": ends[:-1],
                "score_below": ends[1:],
                "n": n,
                "share": n / len(scores),
                "expected_rate": rate,
            },
            index=pd.Index(self.names_, name="grade"),
        )
        if y is not None:
            outcome = np.asarray(y, dtype=np.float64)
            if outcome.shape != scores.shape:
                raise ValueError(f"y must have shape {scores.shape}; got {outcome.shape}")
            known = ~np.isnan(outcome)
            if not np.isin(outcome[known], (0, 1)).all():
                raise ValueError("y must be 0 (good), 1 (bad) or NaN (not known yet)")
            judged = np.bincount(band[known], minlength=g)
            bads = np.bincount(band[known], outcome[known], minlength=g)
            said = np.bincount(band[known], expected[known], minlength=g)
            asked = np.divide(said, judged, out=rate.copy(), where=judged > 0)
            p_value = betainc(bads + 0.5, judged - bads + 0.5, asked)
            table["known"] = judged
            table["bads"] = bads.astype(int)
            table["observed_rate"] = np.divide(
                bads, judged, out=np.full(g, np.nan), where=judged > 0
            )
            table["p_value"] = p_value
            table["verdict"] = np.select(
                [judged == 0, p_value < 0.05, p_value > 0.95],
                ["no outcome", "too many bads", "too few bads"],
                "as expected",
            )
        return table[::-1]

    def to_dict(self) -> dict[str, Any]:
        """Return edges and names as plain values, for JSON.

        Returns
        -------
        dict
            ``edges``, ascending, and ``names``, from the riskiest on.
        """
        check_is_fitted(self)
        return {"edges": self.edges_.tolist(), "names": list(self.names_)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make fitted grades of what `to_dict` returned.

        Parameters
        ----------
        values : mapping
            ``edges`` and ``names``.

        Returns
        -------
        Grades
            Fitted.
        """
        names = list(values["names"])
        return cls("edges", edges=list(values["edges"]), names=names[::-1]).fit()


def _one_score_each(score: Any) -> NDArray[np.float64]:
    if score is None:
        raise ValueError("score must be given")
    scores = np.asarray(score, dtype=np.float64)
    if scores.ndim != 1 or not len(scores) or not np.isfinite(scores).all():
        raise ValueError("score must hold one finite score a customer, and none may be missing")
    return scores


def _checked_edges(edges: Any) -> NDArray[np.float64]:
    found = np.asarray(edges, dtype=np.float64)
    if found.ndim != 1 or not np.isfinite(found).all() or (np.diff(found) <= 0).any():
        raise ValueError(f"edges must be finite scores in ascending order; got {edges!r}")
    return found


def _names(names: Sequence[str] | None, n: int) -> list[str]:
    """Return n names, from the riskiest grade on."""
    if names is None:
        letters = list(ascii_uppercase) if n <= len(ascii_uppercase) else []
        return (letters or [f"G{k:03d}" for k in range(1, n + 1)])[:n][::-1]
    found = list(names)
    if len(set(found)) < len(found) or not all(isinstance(name, str) for name in found):
        raise ValueError(f"names must be different texts; got {names!r}")
    if len(found) < n:
        raise ValueError(f"{n} grades need as many names; got {len(found)}: {found}")
    return found[:n][::-1]
