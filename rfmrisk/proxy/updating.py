"""The proxy, updated by the outcomes that are known so far."""

from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.validation import check_is_fitted

from rfmrisk.histories.matching import outcomes_of
from rfmrisk.histories.parameters import Constraints, at_least
from rfmrisk.histories.segments import Floats, Ints
from rfmrisk.proxy.target import without_history

PRIOR = 0.3
"""What a standard deviation of the proxy's log-odds is taken to add to those of default."""
PRECISION = 20.0
"""How sure the prior is of this weight of the proxy, and of none for the supervised model."""
ENOUGH = 10
"""Outcomes of customers without a history, of either class, from which on their risk is learned."""

_SUREST = 1e-6


class OutcomeUpdatedClassifier(ClassifierMixin, BaseEstimator):
    """A proxy model, updated by real outcomes as they become known.

    With no outcome it is the proxy, with many it is the supervised model, and in between a
    weighing of both that the outcomes themselves decide.

    Parameters
    ----------
    proxy : estimator
        From histories alone to a probability, such as `ProxyTargetClassifier`; fitted to all
        histories. One that is fitted already is taken as it is in a
        `sklearn.frozen.FrozenEstimator`.
    classifier : estimator
        From histories to a probability, fitted to the outcomes that are known.
    cv : int, default=5
        Folds for the supervised model's out-of-fold answers, of customers; as many as there are
        bads or goods where these are fewer. With fewer than three of either there is no
        such model, for each fold has to leave two.

    Attributes
    ----------
    proxy_ : estimator
        The fitted proxy.
    classifier_ : estimator or None
        The fitted supervised model; None where the outcomes are too few for one.
    weights_ : ndarray of shape (2,) or None
        What one unit of the proxy's and of the supervised model's log-odds adds to the log-odds
        of default; None where no outcome of either class is known, and the answer is the proxy's.
    intercept_ : float
    no_history_ : float or None
        What having no history adds to the log-odds in place of the proxy's; None where the
        outcomes of too few such customers are known, who then are riskiest.
    n_outcomes_, n_bad_ : int
        How many outcomes are known, and how many of them are bad.
    classes_ : ndarray of shape (2,)
        ``[0, 1]``; 1 is bad.
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    Notes
    -----
    The log-odds of default are a linear function of those of the two models, those of the
    supervised one out-of-fold (stacking [1]_, with weights that are not negative [2]_). The prior
    on the weights, per standard deviation, is normal: 0.3 for the proxy, which is what an AUC of
    about 0.58 amounts to, and 0 for the supervised model, with a precision of 20. That is as much
    as some 120 outcomes say where one in five is bad; it fades as outcomes come in.

    References
    ----------
    .. [1] D. H. Wolpert, "Stacked generalization", Neural Networks 5, 1992.
    .. [2] L. Breiman, "Stacked regressions", Machine Learning 24, 1996.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from rfmrisk import OutcomeUpdatedClassifier, ProxyTargetClassifier, RFMAggregator
    >>> from rfmrisk import to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> log, defaults = make_transactions(n_customers=300, random_state=0, return_defaults=True)
    >>> histories = to_histories(log)
    >>> y = defaults.loc[histories.index].astype(float)
    >>> y.iloc[100:] = np.nan  # not known yet
    >>> model = make_pipeline(RFMAggregator(), StandardScaler(), LogisticRegression())
    >>> updated = OutcomeUpdatedClassifier(ProxyTargetClassifier(model), model).fit(histories, y)
    >>> updated.n_outcomes_, (updated.weights_ >= 0).all()
    (100, np.True_)
    """

    _parameter_constraints: ClassVar[Constraints] = {
        "proxy": [HasMethods(["fit"])],
        "classifier": [HasMethods(["fit"])],
        "cv": [at_least(2)],
    }

    def __init__(self, proxy: Any, classifier: Any, cv: int = 5) -> None:
        self.proxy = proxy
        self.classifier = classifier
        self.cv = cv

    def fit(self, histories: pd.DataFrame, y: Any) -> Self:
        """Fit the proxy to all histories and weigh it by the outcomes that are known.

        Parameters
        ----------
        histories : DataFrame of shape (n_rows, n_columns)
            As made by `to_histories`, known at the decisions that ``y`` judges.
        y : array-like of shape (n_rows,)
            1 is bad, 0 good, NaN not known yet; it may be NaN throughout. By position: a Series
            with the same customers in another order is refused.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            ``y`` has another length, order or other values, or a model cannot be fitted.
        """
        self._validate_params()
        empty = without_history(histories)
        y = outcomes_of(y, histories.index)
        known = np.flatnonzero(~np.isnan(y))
        bad = y[known].astype(np.int64)
        self.n_outcomes_, self.n_bad_ = len(known), int(bad.sum())
        self.classes_ = np.array([0, 1])
        self.n_features_in_ = histories.shape[1]
        self.feature_names_in_ = np.array([str(name) for name in histories.columns], dtype=object)
        self.proxy_ = clone(self.proxy).fit(histories, None)
        self.classifier_: Any = None
        self.weights_: Any = None
        self.no_history_: float | None = None
        self.intercept_ = 0.0
        if 0 < self.n_bad_ < len(known):
            self._weigh(histories.iloc[known], bad, empty[known])
        return self

    def _weigh(self, histories: pd.DataFrame, bad: Ints, empty: NDArray[np.bool_]) -> None:
        of_empty = bad[empty]
        learned = min(of_empty.sum(), (1 - of_empty).sum()) >= ENOUGH
        if not learned:
            histories, bad, empty = histories[~empty], bad[~empty], empty[~empty]
        n_rarer = int(min(bad.sum(), (1 - bad).sum()))
        if not n_rarer:
            return
        margins = np.zeros((len(bad), 2))
        if not empty.all():
            margins[~empty, 0] = log_odds(self.proxy_.predict_proba(histories[~empty])[:, 1])
        if n_rarer > 2:
            self.classifier_ = clone(self.classifier).fit(histories, bad)
            margins[:, 1] = self._out_of_fold(histories, bad, min(self.cv, n_rarer))
        of_both = (margins[~empty, 0] if not empty.all() else np.zeros(1), margins[:, 1])
        centre = np.array([values.mean() for values in of_both])
        spread = np.array([values.std() for values in of_both])
        spread[spread == 0] = 1.0
        standard = (margins - centre) / spread
        standard[empty, 0] = 0.0
        weights, intercept, added = _most_likely(standard, empty.astype(np.float64), bad)
        self.weights_ = weights / spread
        self.intercept_ = intercept - float(self.weights_ @ centre)
        if learned:
            self.no_history_ = added + float(self.weights_[0] * centre[0])

    def _out_of_fold(self, histories: pd.DataFrame, bad: Ints, n_folds: int) -> Floats:
        repeated = not histories.index.is_unique
        kind = StratifiedGroupKFold if repeated else StratifiedKFold
        folds = kind(n_folds, shuffle=True, random_state=0)
        found = np.zeros(len(bad))
        for train, test in folds.split(bad, bad, histories.index if repeated else None):
            fitted = clone(self.classifier).fit(histories.iloc[train], bad[train])
            found[test] = log_odds(fitted.predict_proba(histories.iloc[test])[:, 1])
        return found

    def decision_function(self, histories: pd.DataFrame) -> np.ndarray:
        """Return the log-odds of default, at most 13.8: one in a million is not.

        Parameters
        ----------
        histories : DataFrame of shape (n_rows, n_columns)

        Returns
        -------
        ndarray of shape (n_rows,)
        """
        return log_odds(self.predict_proba(histories)[:, 1])

    def predict_proba(self, histories: pd.DataFrame) -> np.ndarray:
        """Return the probabilities of good and bad.

        Parameters
        ----------
        histories : DataFrame of shape (n_rows, n_columns)

        Returns
        -------
        ndarray of shape (n_rows, 2)
            1 for bad where there is no history and too little is known of such customers.
        """
        check_is_fitted(self)
        if self.weights_ is None:
            return self.proxy_.predict_proba(histories)
        empty = without_history(histories)
        margins = np.zeros((2, len(empty)))
        for margin, model, rows in zip(
            margins, (self.proxy_, self.classifier_), self.rated(empty), strict=True
        ):
            if rows.any() and model is not None:
                margin[rows] = log_odds(model.predict_proba(histories[rows])[:, 1])
        bad = self.weighed(margins, empty)
        return np.column_stack([1 - bad, bad])

    def rated(self, empty: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return of whom the proxy and the supervised model are asked.

        Parameters
        ----------
        empty : ndarray of bool of shape (n,)
            Who has no history.

        Returns
        -------
        of_proxy : ndarray of bool of shape (n,)
        of_known : ndarray of bool of shape (n,)
        """
        return ~empty, ~empty if self.no_history_ is None else np.ones(len(empty), dtype=bool)

    def weighed(self, margins: Floats, empty: NDArray[np.bool_]) -> Floats:
        """Return the probability of being bad, given the log-odds of the two models it weighs.

        Parameters
        ----------
        margins : ndarray of shape (2, n)
            Of the proxy and of the supervised model; 0 where a model is not asked.
        empty : ndarray of bool of shape (n,)
            Who has no history.

        Returns
        -------
        ndarray of shape (n,)
        """
        margin = self.intercept_ + self.weights_[0] * margins[0] + self.weights_[1] * margins[1]
        margin[empty] = np.inf if self.no_history_ is None else margin[empty] + self.no_history_
        return np.asarray(expit(margin))

    def predict(self, histories: pd.DataFrame) -> np.ndarray:
        """Return those who are more likely bad than good as 1.

        Parameters
        ----------
        histories : DataFrame of shape (n_rows, n_columns)

        Returns
        -------
        ndarray of int of shape (n_rows,)
        """
        return (self.predict_proba(histories)[:, 1] > 0.5).astype(np.int64)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.classifier_tags.multi_class = False
        tags.no_validation = True
        return tags


def log_odds(probability: Floats) -> Floats:
    """Return the log-odds of being bad, none surer than one in a million."""
    bounded = np.clip(np.asarray(probability, dtype=np.float64), _SUREST, 1 - _SUREST)
    return np.asarray(logit(bounded), np.float64)


def _most_likely(standard: Floats, no_history: Floats, bad: Ints) -> tuple[Floats, float, float]:
    """Return the weights that are most likely, the intercept, and what no history adds."""
    design = np.column_stack([standard, no_history, np.ones(len(bad))])
    sign = np.where(bad == 1, 1.0, -1.0)
    mean, precision = np.array([PRIOR, 0.0, 0.0, 0.0]), np.array([PRECISION, PRECISION, 1.0, 0.0])

    def loss(theta: Floats) -> tuple[float, Floats]:
        margin = sign * (design @ theta)
        off = theta - mean
        value = np.logaddexp(0, -margin).sum() + precision @ off**2 / 2
        return value, precision * off - design.T @ (sign * expit(-margin))

    # A proxy that ranks the wrong way round is ignored, but never quite: it breaks ties.
    bounds = [(1e-3, None), (0.0, None), (None, None), (None, None)]
    start = np.append(mean[:3], logit(bad.mean()))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, tol=1e-10).x
    return found[:2], float(found[3]), float(found[2])
