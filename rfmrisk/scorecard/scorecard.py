"""A scorecard: Weight of Evidence and a logistic regression, in points."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import copy
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit, logit, ndtr, ndtri
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.validation import check_is_fitted, check_memory

from rfmrisk.histories.parameters import SHARE, Constraints, NumberInterval, check_parameters
from rfmrisk.metrics import psi_reading, stability_cuts
from rfmrisk.scorecard.calibration import (
    odds_moved,
    shift_and_slope,
    shift_to_rate,
)
from rfmrisk.scorecard.scale import check_range
from rfmrisk.scorecard.selection import StepwiseSelector
from rfmrisk.woe.binary_target import check_weight, classes_of, mean_weight
from rfmrisk.woe.binning import psi_of
from rfmrisk.woe.bins import bin_labels, missing_bin
from rfmrisk.woe.encoder import WOEEncoder
from rfmrisk.woe.inputs import as_levels, read_table
from rfmrisk.woe.serialization import encoder_from_plain, encoder_to_plain
from rfmrisk.woe.sql import score_sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from rfmrisk.scorecard.grades import Grades


__all__ = ["Scorecard"]

FORMAT = "rfmrisk scorecard 1"
N_TWENTIETHS = 20
_SCALE = (
    "base_score",
    "base_odds",
    "pdo",
    "rounded",
    "enforce_signs",
    "score_range",
    "spread_base",
    "against",
    "cutoff",
    "codes",
)
_BELOW = {"best": "the best", "average": "the average", "cutoff": "an applicant at the cut-off"}


class Scorecard(ClassifierMixin, BaseEstimator):
    """Classify customers by a scorecard that can be read, argued with, and run in a database.

    Columns are encoded by their Weight of Evidence, a linear classifier weighs them, and its
    log-odds are scaled to points [1]_: the score is the base points plus, for each feature, the
    points of the bin that the customer is in.

    Parameters
    ----------
    encoder : WOEEncoder or None, default=None
        How columns are binned; None is ``WOEEncoder()``.
    classifier : classifier or None, default=None
        Binary and linear, with ``coef_`` and ``intercept_`` in log-odds; None is
        ``LogisticRegression(max_iter=1000)``.
    selector : selector, "passthrough" or None, default="passthrough"
        Which WoE columns the card is made of; ``"passthrough"`` takes all, None is
        ``StepwiseSelector()``, which takes 12 at most.
    base_score : float, default=600
        Score at the base odds, in points.
    base_odds : float, default=50
        Goods to one bad.
    pdo : float, default=20
        Points that double the odds.
    rounded : bool, default=True
        Whether points are whole numbers. The rule: the base points and the points of every bin
        are rounded each (to the nearest, halves to even), and a score is the sum of what is
        rounded, so that it can be added up by hand. Probabilities are never rounded.
    enforce_signs : bool, default=False
        Whether a feature may only count in the direction of its WoE. Features with the wrong
        sign are left out: those that the same regression under that bound leaves out, then the
        worst first, and the rest is fitted again, until none is left.
    score_range : pair of float or None, default=None
        The least and the greatest score that any bins can give, such as ``(300, 850)``, in place
        of ``base_score`` and ``pdo``; ``base_odds`` then only says where ``scale_`` is read.
    spread_base : bool, default=False
        Whether the base points are spread evenly over the features, as on a form without a line
        for them.
    against : {"best", "average", "cutoff"}, default="best"
        What the points of reasons are lost against, wherever the card gives reasons; see
        `reasons`. It may be changed on a fitted card.
    cutoff : float or None, default=None
        The least score that is accepted, for ``against="cutoff"``.
    codes : dict of str to str or None, default=None
        Codes of reasons by feature.
    memory : str, object with the interface of joblib.Memory, or None, default=None
        Where the bins and the selection are kept, by what they are made of, as a Pipeline keeps
        its transformers: a search over ``classifier`` and the scale finds them once a fold.

    Attributes
    ----------
    encoder_ : WOEEncoder
        The fitted encoder.
    classifier_ : classifier
        The fitted classifier.
    selector_ : selector
        The fitted selector, unless it is ``"passthrough"``.
    coef_ : ndarray of shape (f,)
        Log-odds of being bad for one more of WoE; 0 for a feature that was left out. WoE is
        positive for the safe, so a right sign is negative.
    intercept_ : float
        Log-odds of being bad where every WoE is 0.
    used_ : ndarray of int
        Positions of the features that count.
    wrong_sign_ : list of str
        Features with the wrong sign that count all the same.
    base_points_ : int or float
        The points that every customer has; 0 where they are spread.
    scale_ : dict
        The ``base_score``, ``base_odds`` and ``pdo`` of the points, for `score_to_probability`.
    prior_ : float
        The bad rate that the probabilities are made for: that of the training, or 1/2 where the
        classifier weighs both classes the same.
    points_ : list of ndarray
        The points of each bin of each feature.
    profile_ : ndarray of shape (b, f)
        Mean WoE of the training customers in twentieths, from the least score to the greatest.
    covariance_ : ndarray
        Covariance of the intercept and the coefficients of ``used_``.
    score_cuts_, score_counts_ : ndarray
        Cuts between the training scores, and the weights between them (of mean 1), for
        `stability_report`.
    classes_ : ndarray of shape (2,)
        Good and bad.
    feature_names_in_ : ndarray of str, shape (f,)
        Column names, where the input had them.
    n_features_in_ : int
        Number of columns.

    References
    ----------
    .. [1] N. Siddiqi, Credit Risk Scorecards, Wiley, 2006, chapter 6.

    Examples
    --------
    >>> import pandas as pd
    >>> from rfmrisk.scorecard.scorecard import Scorecard
    >>> X = pd.DataFrame({"recency": range(100)})
    >>> y = [int(r % 10 < 1 + r // 20) for r in range(100)]
    >>> model = Scorecard().fit(X, y)
    >>> model.predict_score(pd.DataFrame({"recency": [5, 95]}))
    array([546, 489])
    >>> model.reasons(pd.DataFrame({"recency": [5, 95]}))["reason"].tolist()
    ['recency in [80, inf): 57 points below the best']
    """

    _parameter_constraints: ClassVar[Constraints] = {
        "encoder": [WOEEncoder, None],
        "classifier": [HasMethods(["fit"]), None],
        "selector": [HasMethods(["get_support"]), StrOptions({"passthrough"}), None],
        "base_score": [NumberInterval(Real, None, None, closed="neither")],
        "base_odds": [NumberInterval(Real, 0, None, closed="neither")],
        "pdo": [NumberInterval(Real, 0, None, closed="neither")],
        "rounded": ["boolean"],
        "enforce_signs": ["boolean"],
        "spread_base": ["boolean"],
        "against": [StrOptions({"best", "average", "cutoff"})],
        "cutoff": [NumberInterval(Real, None, None, closed="neither"), None],
        "codes": [Mapping, None],
        "memory": [str, HasMethods(["cache"]), None],
    }

    def __init__(  # noqa: PLR0917 (the encoder, the classifier, the selector, the scale)
        self,
        encoder: WOEEncoder | None = None,
        classifier: Any = None,
        selector: Any = "passthrough",
        base_score: float = 600,
        base_odds: float = 50,
        pdo: float = 20,
        *,
        rounded: bool = True,
        enforce_signs: bool = False,
        score_range: tuple[float, float] | None = None,
        spread_base: bool = False,
        against: Literal["best", "average", "cutoff"] = "best",
        cutoff: float | None = None,
        codes: dict[str, str] | None = None,
        memory: Any = None,
    ) -> None:
        self.encoder = encoder
        self.classifier = classifier
        self.selector = selector
        self.base_score = base_score
        self.base_odds = base_odds
        self.pdo = pdo
        self.rounded = rounded
        self.enforce_signs = enforce_signs
        self.score_range = score_range
        self.spread_base = spread_base
        self.against = against
        self.cutoff = cutoff
        self.codes = codes
        self.memory = memory

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        period: ArrayLike | None = None,
    ) -> Scorecard:
        """Bin the columns, fit the classifier and scale it to points.

        Parameters
        ----------
        X : frame or array-like of shape (n, f)
            Numeric and categorical columns; values may be missing.
        y : array-like of shape (n,)
            0 or False is good, 1 or True is bad (of any two numbers, the greater).
        sample_weight : array-like of shape (n,) or None, default=None
            Weights of the rows, in any unit: the classifier is given weights of mean 1.
        period : array-like of shape (n,) or None, default=None
            In which period each row lies, for bins that keep their order, as `WOEEncoder.fit` has
            it.

        Returns
        -------
        Scorecard
            The fitted scorecard.

        Raises
        ------
        ValueError
            If y is not binary, the scale is not finite and positive, or the encoder refuses the
            columns.
        TypeError
            If the encoder is no `WOEEncoder`, the selector selects no columns, or the classifier
            has no coefficients.
        """
        self._validate_params()
        check_range(self.score_range)
        encoder = WOEEncoder() if self.encoder is None else self.encoder
        bin_and_select = check_memory(self.memory).cache(_bin_and_select)
        self.encoder_, codes, selector, used = bin_and_select(
            clone(encoder), self._new_selector(), X, y, sample_weight, period
        )
        self._copy_names()
        self.__dict__.pop("selector_", None)
        if selector is not None:
            self.selector_ = selector
        self.classes_, bad = classes_of(y, len(codes))
        weight = _of_mean_one(sample_weight, len(bad))
        woe = _woe_of(self.encoder_, codes)
        self._fit_coefficients(woe, bad, weight, used)
        log_odds = self.intercept_ + woe @ self.coef_
        rate = float(np.average(bad, weights=weight))
        own_odds = logit(rate) - shift_to_rate(log_odds, weight, rate)
        self.prior_ = float(expit(own_odds))
        self.profile_ = _profile(woe, log_odds, weight)
        self._scale_points()
        self._remember_scores(codes, weight)
        return self

    def _copy_names(self) -> None:
        """Expect the columns that the encoder expects."""
        self.n_features_in_ = self.encoder_.n_features_in_
        if hasattr(self.encoder_, "feature_names_in_"):
            self.feature_names_in_ = self.encoder_.feature_names_in_
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _new_selector(self) -> Any:
        """Return an unfitted selector; None takes all columns."""
        if isinstance(self.selector, str) and self.selector == "passthrough":
            return None
        return StepwiseSelector() if self.selector is None else clone(self.selector)

    def _fit_coefficients(
        self,
        woe: NDArray[np.float64],
        bad: NDArray[np.bool_],
        weight: NDArray[np.float64] | None,
        used: NDArray[np.intp],
    ) -> None:
        base = LogisticRegression(max_iter=1000) if self.classifier is None else self.classifier
        options = {} if weight is None else {"sample_weight": weight}
        self.coef_ = np.zeros(woe.shape[1])
        while True:
            self.classifier_ = clone(base)
            self.classifier_.fit(woe[:, used], bad.astype(np.intp), **options)
            if not hasattr(self.classifier_, "coef_"):
                raise TypeError(
                    "classifier must be linear, with coef_ and intercept_ once it is fitted; got "
                    f"{type(self.classifier_).__name__}."
                )
            coefficients = np.ravel(self.classifier_.coef_)
            if not self.enforce_signs or len(used) == 1 or coefficients.max() <= 0:
                break
            is_logistic = isinstance(base, LogisticRegression)
            right = _right_signs(woe, bad, weight, used, base.C) if is_logistic else used
            worst = coefficients.argmax()
            used = right if len(right) < len(used) else np.delete(used, worst)
        self.coef_[used] = coefficients
        used, coefficients = used[coefficients != 0], coefficients[coefficients != 0]
        self.intercept_ = float(np.ravel(self.classifier_.intercept_)[0])
        names = self.encoder_.column_names()
        self.wrong_sign_ = [names[j] for j in np.flatnonzero(self.coef_ > 0)]
        self.used_ = used
        probability = expit(self.intercept_ + woe[:, used] @ coefficients)
        weights = probability * (1 - probability) * (1.0 if weight is None else weight)
        self.covariance_ = _covariance(woe[:, used], weights)

    def _scale_points(self) -> None:
        """Turn coefficients into points."""
        log_odds = [
            coefficient * column["woe"]
            for coefficient, column in zip(self.coef_, self.encoder_.bins_, strict=True)
        ]
        factor = self.pdo / np.log(2)
        offset = self.base_score - factor * np.log(self.base_odds)
        self._issue(log_odds, factor, offset)
        if self.score_range is not None:
            riskiest = self.intercept_ + sum(float(each.max()) for each in log_odds)
            safest = self.intercept_ + sum(float(each.min()) for each in log_odds)
            least, most = self.score_range
            if riskiest == safest:
                offset = (least + most) / 2 + factor * self.intercept_
                self._issue(log_odds, factor, offset)
            # What rounding adds at the ends is taken away before it.
            for room in range(len(self.used_) + 2 if riskiest > safest else 0):
                factor = (most - least - 2 * room) / (riskiest - safest)
                if factor <= 0:
                    raise ValueError(
                        f"score_range {self.score_range} has no room for whole points of "
                        f"{len(self.used_)} features; make it wider, or set rounded=False"
                    )
                offset = least + room + factor * riskiest
                self._issue(log_odds, factor, offset)
                lowest = self.base_points_ + sum(each.min() for each in self.points_)
                highest = self.base_points_ + sum(each.max() for each in self.points_)
                if not self.rounded or (least <= lowest and highest <= most):
                    break
        self.scale_ = {
            "base_score": float(offset + factor * np.log(self.base_odds)),
            "base_odds": float(self.base_odds),
            "pdo": float(factor * np.log(2)),
        }

    def _issue(self, log_odds: list[NDArray[np.float64]], factor: float, offset: float) -> None:
        """Give out points for the log-odds of every bin."""
        base = offset - factor * self.intercept_
        points = [-factor * each for each in log_odds]
        if self.spread_base and len(self.used_):
            for j in self.used_.tolist():
                points[j] = points[j] + base / len(self.used_)
            base = 0.0
        self.base_points_ = round(float(base)) if self.rounded else float(base)
        self.points_ = [np.rint(p).astype(np.int64) if self.rounded else p for p in points]

    def calibrate(
        self,
        X: Any = None,
        y: ArrayLike | None = None,
        *,
        prior: float | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Scorecard:
        """Make a new card whose probabilities fit new outcomes, and whose points say so.

        Bins and features stay. The log-odds get a new intercept and one slope for all
        coefficients, by logistic regression of the outcomes on the old log-odds [1]_, and the
        points are issued again on the same scale.

        Parameters
        ----------
        X : frame or array-like of shape (n, f) or None, default=None
            The columns of ``fit``, of customers with new outcomes.
        y : array-like of shape (n,) or None, default=None
            Their outcomes: 0 is good, 1 is bad.
        prior : float or None, default=None
            The bad rate to expect. Alone, it moves the odds from ``prior_`` to this rate; with
            ``X`` and ``y`` it does so from the rate of ``y``, where the new sample has more bads
            than there will be; with ``X`` alone, the mean probability of ``X`` is made this rate.
        sample_weight : array-like of shape (n,) or None, default=None
            Weights of the new customers.

        Returns
        -------
        Scorecard
            Fitted, without ``classifier_``. Standard errors are those of before, by the slope.

        Raises
        ------
        ValueError
            If neither outcomes nor a rate is given, ``y`` is given without ``X``, the rate is not
            between 0 and 1, or the outcomes have no such fit, as where a higher score is no safer.

        References
        ----------
        .. [1] D. R. Cox, Two further applications of a model for binary regression, Biometrika 45
           (1958), 562-565.

        Examples
        --------
        >>> from rfmrisk import Scorecard
        >>> X = [[k] for k in range(100)]
        >>> card = Scorecard().fit(X, [int(k % 10 < 1 + k // 20) for k in range(100)])
        >>> rarer = card.calibrate(prior=0.03)
        >>> float(rarer.prior_), int(card.base_points_), int(rarer.base_points_)
        (0.03, 511, 587)
        """
        check_is_fitted(self)
        check_parameters("Scorecard.calibrate", prior=(prior, [SHARE, None]))
        if X is None and (y is not None or prior is None):
            raise ValueError("calibrate needs X and y, or a prior, or X and a prior")
        shift, slope, rate = 0.0, 1.0, self.prior_
        if X is not None:
            log_odds = self.decision_function(X)
            weight = check_weight(sample_weight, len(log_odds))
            if y is not None:
                _, bad = classes_of(y, len(log_odds))
                shift, slope = shift_and_slope(log_odds, bad, weight)
                rate = float(np.average(bad, weights=weight))
            elif prior is None:
                raise ValueError("calibrate needs y with X, or a prior")
            else:
                shift = shift_to_rate(log_odds, weight, prior)
                rate = prior
        if prior is not None:
            shift += odds_moved(rate, prior)
            rate = prior
        return self.reissued(shift, slope, rate, X, sample_weight)

    def reissued(
        self,
        shift: float,
        slope: float,
        prior: float,
        X: Any = None,
        sample_weight: ArrayLike | None = None,
    ) -> Scorecard:
        """Make a new card of log-odds shift + slope * (those of this one).

        Parameters
        ----------
        shift, slope : float
            The slope is positive.
        prior : float
            The bad rate that the new probabilities are made for.
        X : frame or array-like of shape (n, f) or None, default=None
            Customers with whose scores `stability_report` compares later ones; None is those of
            before.
        sample_weight : array-like of shape (n,) or None, default=None
            Their weights.

        Returns
        -------
        Scorecard
            Fitted, without ``classifier_``.

        Raises
        ------
        ValueError
            If the slope is not positive, or not 1 where ``X`` is None.
        """
        check_is_fitted(self)
        if not (np.isfinite([shift, slope]).all() and slope > 0):
            raise ValueError(
                f"shift and slope must be finite, slope positive; got {shift}, {slope}"
            )
        if X is None and slope != 1:
            raise ValueError(f"a card with another slope needs X; got slope {slope} alone")
        card = copy(self)
        card.__dict__.pop("classifier_", None)
        card.intercept_, card.coef_ = shift + slope * self.intercept_, slope * self.coef_
        card.covariance_ = slope**2 * self.covariance_
        card.prior_ = float(prior)
        card._scale_points()
        if X is not None:
            codes = card._codes(X)
            card._remember_scores(codes, check_weight(sample_weight, len(codes)))
        else:
            j = self.used_[0]
            moved = card.base_points_ - self.base_points_
            if self.spread_base:
                moved = len(self.used_) * (card.points_[j] - self.points_[j]).mean()
            card.score_cuts_ = self.score_cuts_ + moved
        return card

    def _offset(self) -> float:
        """Return the score at even odds."""
        scale = self.scale_
        return float(scale["base_score"] - scale["pdo"] / np.log(2) * np.log(scale["base_odds"]))

    def _remember_scores(self, codes: NDArray[np.intp], weight: NDArray[np.float64] | None) -> None:
        """Keep how scores are distributed, weights being of mean 1."""
        if weight is not None:
            weight = weight / mean_weight(weight)
        score = self._add_up(codes)
        self.score_cuts_ = stability_cuts(score.astype(np.float64), weight, 10)
        self.score_counts_ = self._count_scores(score, weight)

    def _add_up(self, codes: NDArray[np.intp]) -> NDArray:
        score = np.full(len(codes), self.base_points_)
        for j in self.used_.tolist():
            score += self.points_[j][codes[:, j]]
        return score

    def _count_scores(self, score: NDArray, weight: NDArray[np.float64] | None) -> NDArray:
        codes = np.searchsorted(self.score_cuts_, score, side="right")
        return np.bincount(codes, weights=weight, minlength=len(self.score_cuts_) + 1).astype(float)

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Compute the log-odds of being bad.

        Parameters
        ----------
        X : frame or array-like of shape (n, f)
            The columns of ``fit``.

        Returns
        -------
        ndarray of shape (n,)
            Higher is riskier.
        """
        codes = self._codes(X)
        log_odds = np.full(len(codes), self.intercept_)
        for j in self.used_.tolist():
            log_odds += self.coef_[j] * self.encoder_.bins_[j]["woe"][codes[:, j]]
        return log_odds

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Compute the probabilities of being good and of being bad.

        Parameters
        ----------
        X : frame or array-like of shape (n, f)
            The columns of ``fit``.

        Returns
        -------
        ndarray of shape (n, 2)
            In the order of ``classes_``.
        """
        log_odds = self.decision_function(X)
        return np.column_stack([expit(-log_odds), expit(log_odds)])

    def predict(self, X: Any) -> NDArray:
        """Call those bad who are more likely bad than good.

        Parameters
        ----------
        X : frame or array-like of shape (n, f)
            The columns of ``fit``.

        Returns
        -------
        ndarray of shape (n,)
            Labels of ``classes_``.
        """
        bad = self.decision_function(X) > 0
        return self.classes_[bad.astype(np.intp)]

    def predict_score(self, X: Any) -> NDArray:
        """Compute the score: base points plus the points of the customer's bins.

        Parameters
        ----------
        X : frame or array-like of shape (n, f)
            The columns of ``fit``.

        Returns
        -------
        ndarray of shape (n,)
            Higher is safer; whole numbers where ``rounded``.
        """
        return self._add_up(self._codes(X))

    def _codes(self, X: Any) -> NDArray[np.intp]:
        check_is_fitted(self)
        return self.encoder_.bin_numbers(X, self.used_)

    def points_table(self) -> pd.DataFrame:
        """Lay out the scorecard.

        Returns
        -------
        DataFrame
            The columns feature, bin, woe, coefficient and points: the base points first, then
            every bin of every feature that counts, missing and (for levels) unseen included. A
            feature that is itself called "base" is "base (feature)".
        """
        check_is_fitted(self)
        names = self.encoder_.column_names()
        base = {"feature": "base", "bin": "", "woe": 0.0, "coefficient": self.intercept_}
        rows: list[dict[str, Any]] = [{**base, "points": self.base_points_}]
        for j in self.used_.tolist():
            column = self.encoder_.bins_[j]
            rows += [
                {
                    "feature": beside(names[j], "base"),
                    "bin": label,
                    "woe": float(column["woe"][k]),
                    "coefficient": float(self.coef_[j]),
                    "points": self.points_[j][k].item(),
                }
                for k, label in enumerate(bin_labels(column))
            ]
        return pd.DataFrame(rows)

    def feature_points(self, X: Any) -> pd.DataFrame:
        """Return the points of each feature; with the base points they add up to the score.

        Parameters
        ----------
        X : frame or array-like of shape (n, f)
            The columns of ``fit``.

        Returns
        -------
        DataFrame of shape (n, number of features that count)
            With the index of ``X``.
        """
        codes = self._codes(X)
        names = self.encoder_.column_names()
        index = X.index if isinstance(X, pd.DataFrame) else None
        points = {names[j]: self.points_[j][codes[:, j]] for j in self.used_.tolist()}
        return pd.DataFrame(points, index=index)

    def reasons(
        self,
        X: Any,
        n: int = 3,
        against: Literal["best", "average", "cutoff"] | None = None,
        cutoff: float | None = None,
    ) -> pd.DataFrame:
        """List the features that cost each customer the most points.

        Parameters
        ----------
        X : frame or array-like of shape (n, f)
            The columns of ``fit``.
        n : int, default=3
            Most reasons for a customer.
        against : {"best", "average", "cutoff"} or None, default=None
            What points are lost against; None is the card's own ``against``. "best" is the most
            points of any ordinary bin of the feature that training customers were in: to be
            missing, or a special value, is nothing that a customer could attain. "average" is the
            mean points of the training customers, and "cutoff" those of training customers whose
            score is about the cut-off (the mean of each twentieth by score, between two of them in
            proportion).
        cutoff : float or None, default=None
            The least score that is accepted, of "cutoff"; None is the card's own ``cutoff``.

        Returns
        -------
        DataFrame
            Columns rank (from 1), feature, code (that of ``codes``, or the feature's name), bin,
            points, lost (points below the reference) and reason (text), under the index of X, for
            the features that cost something.

        Raises
        ------
        ValueError
            If ``against`` is none of the three, or "cutoff" has no cut-off.

        Notes
        -----
        The official interpretation of Regulation B [1]_ names two methods for the reasons of a
        refusal: the distance to the average of the applicants whose score was at or slightly above
        the minimum passing score ("cutoff"), or to the average of all applicants ("average"). It
        allows others that produce substantially similar results. The training customers stand for
        the applicants here.

        References
        ----------
        .. [1] 12 CFR 1002.9 (Regulation B), official interpretation of paragraph 9(b)(2).
        """
        index = X.index if isinstance(X, pd.DataFrame) else pd.RangeIndex(len(X))
        table = self._reasons(X, n, against, cutoff)
        return table.set_axis(index[table.index])

    def reasons_text(self, X: Any, n: int = 3) -> NDArray[np.object_]:
        """Return the reasons of each customer as one line of text, ``"; "`` between them.

        Parameters
        ----------
        X : frame or array-like of shape (n, f)
            The columns of ``fit``.
        n : int, default=3
            Most reasons for a customer.

        Returns
        -------
        ndarray of str, shape (n,)
            Empty for a customer who loses nothing.
        """
        reasons = self._reasons(X, n)
        lines: list[list[str]] = [[] for _ in range(len(X))]
        for row, reason in zip(reasons.index, reasons["reason"], strict=True):
            lines[row].append(reason)
        return np.array(["; ".join(line) for line in lines], dtype=object)

    def reference_points(
        self, against: str | None = None, cutoff: float | None = None
    ) -> NDArray[Any]:
        """Return the points that reasons are measured against, one for each feature that counts.

        Parameters
        ----------
        against : {"best", "average", "cutoff"} or None, default=None
            As `reasons` takes it.
        cutoff : float or None, default=None
            As `reasons` takes it.

        Returns
        -------
        ndarray of shape (number of features that count,)
            Whole numbers of "best" where ``rounded``; else to two decimals.
        """
        check_is_fitted(self)
        against = self.against if against is None else against
        cutoff = self.cutoff if cutoff is None else cutoff
        used = self.used_.tolist()
        if against == "best":
            return np.array([self.best_points(j) for j in used])
        if against not in ("average", "cutoff"):
            raise ValueError(f"against must be 'best', 'average' or 'cutoff'; got {against!r}")
        factor = self.scale_["pdo"] / np.log(2)
        base = (self._offset() - factor * self.intercept_) if self.spread_base else 0.0
        exact = -factor * self.coef_[used] * self.profile_[:, used] + base / max(len(used), 1)
        if against == "average":
            return exact.mean(axis=0).round(2)
        if cutoff is None or isinstance(cutoff, bool) or not np.isfinite(cutoff):
            raise ValueError(f"against='cutoff' needs a cutoff, a score; got {cutoff!r}")
        # Twentieths ascend by score; some may have the same.
        score = exact.sum(axis=1) + self._offset() - factor * self.intercept_ - base
        score, first = np.unique(score, return_index=True)
        at = [np.interp(cutoff, score, column) for column in exact[first].T]
        return np.array(at).round(2)

    def _reasons(
        self, X: Any, n: int, against: str | None = None, cutoff: float | None = None
    ) -> pd.DataFrame:
        """List the reasons under the positions of the rows."""
        against = self.against if against is None else against
        reference = self.reference_points(against, cutoff)
        codes = self._codes(X)
        table = read_table(self, X, reset=False)
        columns, used = self.encoder_.bins_, self.used_.tolist()
        lost = np.zeros((len(codes), len(used)), dtype=reference.dtype)
        for k, j in enumerate(used):
            lost[:, k] = np.maximum(reference[k] - self.points_[j][codes[:, j]], 0)
        order = np.argsort(-lost, axis=1, kind="stable")[:, :n]
        cost = np.take_along_axis(lost, order, axis=1)
        row, rank = np.nonzero(cost > 0)
        cost, feature = cost[row, rank], self.used_[order[row, rank]]
        text = {name: np.empty(len(row), dtype=object) for name in ("feature", "bin", "reason")}
        points = np.zeros(len(row), dtype=self.points_[0].dtype)
        for j in np.unique(feature).tolist():
            here = feature == j
            name, code = table.names[j], codes[row[here], j]
            labels = np.array(bin_labels(columns[j]), dtype=object)
            text["feature"][here], text["bin"][here] = name, labels[code]
            said = f"{name} in " + labels
            said[missing_bin(columns[j])] = f"{name} missing"
            text["reason"][here] = said[code]
            if columns[j]["kind"] == "categorical":  # a level says more than its group
                level_codes, levels = as_levels(table.read(j), name)
                texts = [*(f"{name} is {level}" for level in levels), f"{name} missing"]
                text["reason"][here] = np.array(texts, dtype=object)[level_codes[row[here]]]
            points[here] = self.points_[j][code]
        amounts, place = np.unique(cost, return_inverse=True)
        below = _BELOW[against]
        tails = np.array([f": {amount:.6g} points below {below}" for amount in amounts.tolist()])
        text["reason"] += tails.astype(object)[place]
        found = {
            "rank": rank + 1,
            "feature": text["feature"],
            "code": [(self.codes or {}).get(name, name) for name in text["feature"]],
            "bin": text["bin"],
            "points": points,
            "lost": cost,
            "reason": text["reason"],
        }
        return pd.DataFrame(found, index=row)

    def best_points(self, j: int) -> float:
        """Return the most points of an ordinary bin of a feature that training customers were in.

        Parameters
        ----------
        j : int
            Position of the feature.

        Returns
        -------
        int or float
            The least points of all bins where training customers were in no ordinary one.
        """
        column, points = self.encoder_.bins_[j], self.points_[j]
        ordinary = points[: column["n_bins"]]
        trained = (column["goods"] + column["bads"] > 0)[: column["n_bins"]]
        return (ordinary[trained].max() if trained.any() else points.min()).item()

    def summary(self, confidence: float = 0.95) -> pd.DataFrame:
        """Lay out the coefficients with their uncertainty.

        Standard errors are Wald's, from the inverse of the information matrix at the fitted
        coefficients; that the bins were chosen on the same data, and a penalty of the
        classifier, are not in them. A feature that others determine has none (NaN).

        Parameters
        ----------
        confidence : float, default=0.95
            Level of the confidence interval.

        Returns
        -------
        DataFrame
            Indexed by feature, intercept first (a feature that is itself called "intercept" is
            "intercept (feature)"): coefficient, std_error, z, p_value, ci_low,
            ci_high, information_value and right_sign.
        """
        check_is_fitted(self)
        check_parameters("Scorecard.summary", confidence=(confidence, [SHARE]))
        names = self.encoder_.column_names()
        coefficient = np.append(self.intercept_, self.coef_[self.used_])
        error = np.sqrt(np.diag(self.covariance_))
        z = coefficient / error
        half = ndtri((1 + confidence) / 2) * error
        return pd.DataFrame(
            {
                "coefficient": coefficient,
                "std_error": error,
                "z": z,
                "p_value": 2 * ndtr(-np.abs(z)),
                "ci_low": coefficient - half,
                "ci_high": coefficient + half,
                "information_value": np.append(
                    np.nan, self.encoder_.information_value_[self.used_]
                ),
                "right_sign": np.append(True, coefficient[1:] <= 0),
            },
            index=pd.Index(
                ["intercept", *(beside(names[j], "intercept") for j in self.used_)],
                name="feature",
            ),
        )

    def stability_report(self, X: Any, sample_weight: ArrayLike | None = None) -> pd.DataFrame:
        """Compare a new sample with the training sample, by the population stability index.

        The bins are those of the scorecard, and for the score those that
        `rfmrisk.metrics.population_stability_index` makes of the training scores.

        Parameters
        ----------
        X : frame or array-like of shape (n, f)
            The new sample.
        sample_weight : array-like of shape (n,) or None, default=None
            Its weights.

        Returns
        -------
        DataFrame
            Indexed by "score" and every feature that counts: psi and reading ("stable" under
            0.1, "watch" to 0.25, "shifted" from there; Siddiqi 2006, chapter 9). A feature that
            is itself called "score" is "score (feature)".
        """
        codes = self._codes(X)
        weight = check_weight(sample_weight, len(codes))
        unit = mean_weight(weight)
        names = self.encoder_.column_names()
        scores = self._count_scores(self._add_up(codes), weight)
        found = {"score": psi_of(self.score_counts_, scores, (1.0, unit))}
        for j in self.used_.tolist():
            column = self.encoder_.bins_[j]
            before = np.append(column["goods"] + column["bads"], 0.0)
            after = np.bincount(codes[:, j], weights=weight, minlength=len(before))
            units = self.encoder_.mean_weight_, unit
            found[beside(names[j], "score")] = psi_of(before, after, units)
        psi = pd.Series(found).rename_axis("feature")
        return pd.DataFrame({"psi": psi, "reading": psi.map(psi_reading)})

    def to_sql(
        self,
        dialect: str = "duckdb",
        *,
        table: str = "customers",
        key: str | Sequence[str] = (),
        grades: Grades | None = None,
        n_reasons: int = 0,
        against: Literal["best", "average", "cutoff"] | None = None,
        cutoff: float | None = None,
    ) -> str:
        """Write the scorecard as one SELECT that gives the same points.

        Missing is NULL (and NaN, where the database has it); an unseen level is scored as in
        Python, or NULL under ``unseen="error"``. Infinite values, an error here, are in the
        first or last bin there.

        Parameters
        ----------
        dialect : {"duckdb", "postgresql", "sqlite"}, default="duckdb"
            The database.
        table : str, default="customers"
            The table that holds the columns of ``fit``.
        key : str or sequence of str, default=()
            Columns to select beside the score.
        grades : Grades or None, default=None
            Fitted: a column ``grade`` beside the score.
        n_reasons : int, default=0
            Columns ``reason_1``, ``reason_2`` and so on: the codes of the features that cost most
            points, NULL where no more cost any.
        against, cutoff : default=None
            What the points are lost against, as in `reasons`.

        Returns
        -------
        str
            The statement, without a semicolon.

        Raises
        ------
        ValueError
            If the dialect is not known.
        """
        check_is_fitted(self)
        names = self.encoder_.column_names()
        columns = [
            (names[j], self.encoder_.bins_[j], self.points_[j].tolist())
            for j in self.used_.tolist()
        ]
        return score_sql(
            columns,
            self.base_points_,
            dialect=dialect,
            table=table,
            key=[key] if isinstance(key, str) else key,
            names=names,
            unseen_is_null=self.encoder_.unseen == "error",
            grades=None if grades is None else (grades.edges_.tolist(), grades.names_),
            n_reasons=n_reasons,
            reference=self.reference_points(against, cutoff).tolist() if n_reasons else (),
            codes=[(self.codes or {}).get(name, name) for name, *_ in columns],
        )

    def to_json(self) -> str:
        """Write the scorecard as JSON, from which `from_json` makes one that scores the same.

        Returns
        -------
        str
            Bins, coefficients and scale; classifier and selector are not in it.
        """
        check_is_fitted(self)
        state = {
            "format": FORMAT,
            "scale": {name: getattr(self, name) for name in _SCALE},
            "prior": self.prior_,
            "profile": self.profile_.tolist(),
            "classes": self.classes_.tolist(),
            "intercept": self.intercept_,
            "coefficients": self.coef_.tolist(),
            "used": self.used_.tolist(),
            "encoder": encoder_to_plain(self.encoder_),
            "covariance": [
                [None if np.isnan(v) else v for v in row] for row in self.covariance_.tolist()
            ],
            "score_cuts": self.score_cuts_.tolist(),
            "score_counts": self.score_counts_.tolist(),
        }
        return json.dumps(state, indent=2, allow_nan=False, default=_number)

    @classmethod
    def from_json(cls, text: str) -> Scorecard:
        """Read a scorecard that `to_json` wrote.

        Parameters
        ----------
        text : str
            The JSON.

        Returns
        -------
        Scorecard
            Fitted, without ``classifier_`` and ``selector_``.

        Raises
        ------
        ValueError
            If the text is not such JSON.
        """
        try:
            state = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"This is not JSON: {error}.") from None
        if not isinstance(state, dict) or state.get("format") != FORMAT:
            raise ValueError(f"This JSON is not a scorecard; its format must be {FORMAT!r}.")
        try:
            return cls._from_state(state)
        except (KeyError, TypeError) as error:
            raise ValueError(f"This scorecard is incomplete: {error!r}.") from None

    @classmethod
    def _from_state(cls, state: dict[str, Any]) -> Scorecard:
        card = cls(**state["scale"])
        if card.score_range is not None:
            least, most = card.score_range
            card.score_range = least, most
        card.encoder_ = encoder_from_plain(state["encoder"])
        card._copy_names()
        card.classes_ = np.array(state["classes"])
        card.intercept_ = float(state["intercept"])
        card.coef_ = np.array(state["coefficients"])
        card.prior_ = float(state["prior"])
        card.profile_ = np.array(state["profile"], dtype=np.float64)
        card.used_ = np.array(state["used"], dtype=np.intp)
        names = card.encoder_.column_names()
        card.wrong_sign_ = [names[j] for j in np.flatnonzero(card.coef_ > 0)]
        card.covariance_ = np.array(state["covariance"], dtype=np.float64)
        card.score_cuts_ = np.array(state["score_cuts"])
        card.score_counts_ = np.array(state["score_counts"])
        card._scale_points()
        return card

    def __sklearn_tags__(self) -> Any:
        """Describe the scorecard to scikit-learn: mixed columns, NaN, binary."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.classifier_tags.multi_class = False
        return tags


def _bin_and_select(  # noqa: PLR0917 (what is fitted, and the rows, as in fit)
    encoder: WOEEncoder,
    selector: Any,
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    period: ArrayLike | None,
) -> tuple[WOEEncoder, NDArray[np.intp], Any, NDArray[np.intp]]:
    """Fit an encoder and a selector.

    Returns
    -------
    encoder : WOEEncoder
        Fitted.
    codes : ndarray of int, shape (n, f)
        The bin of each value.
    selector : selector or None
        Fitted.
    used : ndarray of int
        Positions of the columns that the card may use.
    """
    codes = encoder.fit_bin_numbers(X, y, sample_weight, period)
    codes = codes.astype(np.min_scalar_type(codes.max()))  # a cache holds many of them
    used = np.flatnonzero(encoder.selected_)
    if selector is None:
        return encoder, codes, None, used
    _, bad = classes_of(y, len(codes))
    weight = _of_mean_one(sample_weight, len(bad))
    names = encoder.column_names()
    woe = pd.DataFrame(_woe_of(encoder, codes)[:, used], columns=[names[j] for j in used])
    options = {} if weight is None else {"sample_weight": weight}
    selector.fit(woe, bad.astype(np.intp), **options)
    selected: NDArray[np.intp] = used[selector.get_support()]
    if not len(selected):
        raise ValueError(f"{selector!r} selects no column of {len(used)}")
    return encoder, codes, selector, selected


def _woe_of(encoder: WOEEncoder, codes: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the WoE of each value, given its bin."""
    columns = encoder.bins_
    return np.column_stack([column["woe"][codes[:, j]] for j, column in enumerate(columns)])


def _of_mean_one(sample_weight: ArrayLike | None, n_rows: int) -> NDArray[np.float64] | None:
    weight = check_weight(sample_weight, n_rows)
    return None if weight is None else weight / mean_weight(weight)


def _profile(
    woe: NDArray[np.float64], log_odds: NDArray[np.float64], weight: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Return the mean WoE of customers in twentieths by weight, from the riskiest on."""
    size = np.ones(len(woe)) if weight is None else weight
    order = np.argsort(-log_odds, kind="stable")
    order = order[size[order] > 0]
    size = size[order]
    # Each twentieth has the parts of customers that fall into it.
    ends = size.cumsum()
    cuts = np.linspace(0, ends[-1], min(N_TWENTIETHS, len(order)) + 1)
    sums = np.vstack([np.zeros(woe.shape[1]), (woe[order] * size[:, None]).cumsum(axis=0)])
    before = np.concatenate([[0.0], ends])
    at = np.column_stack([np.interp(cuts, before, column) for column in sums.T])
    profile: NDArray[np.float64] = np.diff(at, axis=0) / np.diff(cuts)[:, None]
    return profile


def beside(name: str, row: str) -> str:
    """Return the name of a feature in a table that has a row of another kind of that name."""
    return f"{name} (feature)" if name == row else name


def _right_signs(
    woe: NDArray[np.float64],
    bad: NDArray[np.bool_],
    weight: NDArray[np.float64] | None,
    used: NDArray[np.intp],
    C: float,
) -> NDArray[np.intp]:
    """Choose the features that count where no coefficient may be positive.

    They are those of the logistic regression with L2 penalty under that bound, a convex problem
    solved at once; fitted again without the bound, they keep their signs.
    """
    design = woe[:, used]
    sign = np.where(bad, 1.0, -1.0)
    weight = np.ones(len(bad)) if weight is None else weight

    def loss(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        intercept, coefficients = theta[0], theta[1:]
        margin = sign * (intercept + design @ coefficients)
        value = C * weight @ np.logaddexp(0, -margin) + coefficients @ coefficients / 2
        pull = -C * weight * sign * expit(-margin)
        return value, np.append(pull.sum(), design.T @ pull + coefficients)

    bounds = [(None, None), *[(None, 0)] * len(used)]
    start = np.zeros(len(used) + 1)
    theta = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    kept = used[theta[1:] < 0]
    return kept if len(kept) else used


def _covariance(woe: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Invert the information matrix; NaN for coefficients that the data do not determine."""
    design = np.column_stack([np.ones(len(woe)), woe])
    information = design.T @ (design * weights[:, None])
    scale = np.sqrt(np.diag(information))
    scale = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(information / np.outer(scale, scale))
    known = values > 1e-10 * values.max()
    inverse = (vectors[:, known] / values[known]) @ vectors[:, known].T / np.outer(scale, scale)
    loose = (np.abs(vectors[:, ~known]) > 1e-6).any(axis=1)
    inverse[loose] = np.nan
    inverse[:, loose] = np.nan
    return inverse


def _number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON.")
