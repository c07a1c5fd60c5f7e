"""A classifier of histories that derives its own target from what came after."""

import datetime as dt
import warnings
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from rfmrisk.histories.parameters import Constraints, at_least
from rfmrisk.proxy.target import (
    N_CUTOFFS,
    OUTCOMES,
    OutcomeWindow,
    ProxyTarget,
    derive_target,
    label_again,
    without_history,
)

# The decision value of a customer without any history: above whatever a classifier gives.
_RISKIEST = float(np.finfo(np.float64).max)


def _has(method: str) -> Any:
    def check(self: "ProxyTargetClassifier") -> bool:
        return hasattr(getattr(self, "classifier_", self.classifier), method)

    return check


class ProxyTargetClassifier(ClassifierMixin, BaseEstimator):
    """Train on the past, label by what followed, predict from all that is known.

    `fit` rewinds the histories to several cut-offs, lets the classifier see what was known then,
    and takes as its target the proxy labels over the outcome windows that followed. No feature
    sees anything after its cut-off.

    Parameters
    ----------
    classifier : estimator
        From histories to a probability, such as
        ``make_pipeline(customer_features(), WOEEncoder(), LogisticRegression())``. Of a Pipeline,
        the first step is computed once for each cut-off.
    labeler : estimator or None, default=None
        A labeler of the RFM over the outcome window, `ProxyLabeler` by default; or a Pipeline
        from histories to labels, which then looks after its own windows.
    outcome : str, timedelta, "auto", None or sequence of durations, default=("30D", "60D", "90D")
        Length of the outcome window, or several, whose samples are stacked; "auto" takes that of
        `suggest_outcome`; None labels by the same histories that the features see, for
        comparison only. Lengths that the log is too short for are left out (``left_out_``).
    n_cutoffs : int, default=3
        The most cut-offs of each length: its windows follow one another back from ``as_of``.

    Attributes
    ----------
    classifier_ : estimator
        The fitted classifier.
    windows_ : list of dict
        One per outcome window, the latest of the shortest length first: its ``outcome``, where
        it opens (``back``, in its lengths before ``as_of``), the fitted ``labeler`` from
        histories to labels, ``n_customers``, their ``high_risk_share``, and in ``rule`` the one
        threshold that gives the labels, as text, where K-Means decides nothing; None elsewhere.
    labeler_ : Pipeline
        The labeler of the first window.
    outcome_ : str, timedelta, list of these or None
        The lengths that were used: a list where several were asked for.
    left_out_ : list of str
        The windows that do not fit, each with the reason.
    classes_ : ndarray of shape (2,)
        ``[0, 1]``; 1 is high-risk.
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    Notes
    -----
    In one window of 30 days most customers of many lenders are merely not due, and its label is
    a flag of absence. Several lengths separate the late from the lost, and several cut-offs do not
    depend on what one month was like. Windows that flag more than 60 % or less than 1 % of the
    customers are left out where there are others. A customer is in as many samples as there are
    windows before which it was known; a whole number (or None) for ``cv`` inside the classifier
    stands for that many folds of customers.

    A customer without any history is no sample, and is riskiest: its probability is 1. Whether
    that is right only outcomes can show (`OutcomeUpdatedClassifier`).

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from rfmrisk import ProxyTargetClassifier, WOEEncoder, customer_features, to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> histories = to_histories(make_transactions(n_customers=300, random_state=0))
    >>> model = make_pipeline(customer_features(), WOEEncoder(), LogisticRegression(max_iter=500))
    >>> risk = ProxyTargetClassifier(model, outcome=("30D", "60D"), n_cutoffs=2).fit(histories)
    >>> [(window["outcome"], window["back"]) for window in risk.windows_]
    [('30D', 1), ('30D', 2), ('60D', 1), ('60D', 2)]
    >>> risk.predict_proba(histories).shape
    (300, 2)
    """

    _parameter_constraints: ClassVar[Constraints] = {
        "classifier": [HasMethods(["fit"])],
        "labeler": [HasMethods(["fit"]), None],
        "n_cutoffs": [at_least(1)],
    }

    def __init__(
        self,
        classifier: Any,
        labeler: Any = None,
        outcome: str | dt.timedelta | Sequence[str | dt.timedelta] | None = OUTCOMES,
        n_cutoffs: int = N_CUTOFFS,
    ) -> None:
        self.classifier = classifier
        self.labeler = labeler
        self.outcome = outcome
        self.n_cutoffs = n_cutoffs

    def fit(self, histories: pd.DataFrame, y: Any = None) -> Self:
        """Derive the target from the outcome windows and fit the classifier on what came before.

        Parameters
        ----------
        histories : DataFrame of shape (n_customers, n_columns)
            As made by `to_histories`.
        y : None
            Not used: the target is derived. To train on a target of your own, fit the
            classifier itself.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Nobody was known before the outcome window, nobody bought in it, or all have one
            label.

        Warns
        -----
        UserWarning
            The label is degenerate, everybody bought in a single window, or ``y`` is given.
        """
        self._validate_params()
        if y is not None:
            warnings.warn(
                "y is not used: ProxyTargetClassifier derives its own target. To train on y, "
                "fit the classifier itself",
                UserWarning,
                stacklevel=2,
            )
        target = derive_target(
            histories, outcome=self.outcome, n_cutoffs=self.n_cutoffs, labeler=self.labeler
        )
        self.outcome_, self.labeler_ = target.outcome, target.labeler
        self.windows_ = [
            {**vars(window), "rule": window.rule and window.rule.text} for window in target.windows
        ]
        self.left_out_ = target.left_out
        self.classifier_ = _fitted(clone(self.classifier), target)
        self.classes_ = self.classifier_.classes_
        self.n_features_in_ = histories.shape[1]
        self.feature_names_in_ = np.array([str(name) for name in histories.columns], dtype=object)
        return self

    def predict(self, histories: pd.DataFrame) -> np.ndarray:
        """Return the predicted label of each customer, from all that is known.

        Parameters
        ----------
        histories : DataFrame of shape (n_customers, n_columns)

        Returns
        -------
        ndarray of int of shape (n_customers,)
        """
        check_is_fitted(self)
        predicted = self.classifier_.predict(histories)
        return np.where(without_history(histories), self.classes_[1], predicted)

    @available_if(_has("predict_proba"))
    def predict_proba(self, histories: pd.DataFrame) -> np.ndarray:
        """Return the probability of each class, from all that is known.

        Parameters
        ----------
        histories : DataFrame of shape (n_customers, n_columns)

        Returns
        -------
        ndarray of shape (n_customers, 2)
            1 for class 1 where there is no history.
        """
        check_is_fitted(self)
        known = self.classifier_.predict_proba(histories)
        return np.where(without_history(histories)[:, None], [0.0, 1.0], known)

    @available_if(_has("decision_function"))
    def decision_function(self, histories: pd.DataFrame) -> np.ndarray:
        """Return the decision value of each customer, from all that is known.

        Parameters
        ----------
        histories : DataFrame of shape (n_customers, n_columns)

        Returns
        -------
        ndarray of shape (n_customers,)
            The largest number that there is where there is no history.
        """
        check_is_fitted(self)
        known = self.classifier_.decision_function(histories)
        return np.where(without_history(histories), _RISKIEST, known)

    def score(self, histories: pd.DataFrame, y: Any = None, sample_weight: Any = None) -> float:
        """Return the ROC-AUC against labels derived from these histories' own outcome windows.

        Parameters
        ----------
        histories : DataFrame of shape (n_customers, n_columns)
        y : array-like of shape (n_customers,) or None
            Given, it is the target to compare with and nothing is derived.
        sample_weight : array-like or None
            Only with ``y``.

        Returns
        -------
        float
        """
        check_is_fitted(self)
        samples = np.arange(len(histories))
        if y is None:
            target = self._labelled_again(histories)
            histories, y, samples = target.past, target.y, target.samples
        if hasattr(self, "predict_proba"):
            risk = self.predict_proba(histories)[:, 1]
        else:
            risk = self.decision_function(histories)
        return float(roc_auc_score(y, risk[samples], sample_weight=sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags

    def _labelled_again(self, histories: pd.DataFrame) -> ProxyTarget:
        windows = [OutcomeWindow(**{**window, "rule": None}) for window in self.windows_]
        return label_again(histories, windows)


def _fitted(classifier: Any, target: ProxyTarget) -> Any:
    """Fit a classifier to the samples; the first step of a Pipeline computes each cut-off once."""
    if len(target.windows) == 1 and target.past.index.is_unique:
        return classifier.fit(target.past, target.y)
    last = classifier[-1] if isinstance(classifier, Pipeline) else classifier
    cv = last.get_params(deep=False).get("cv", "none")
    if cv is None or isinstance(cv, int):
        folds = StratifiedGroupKFold(cv or 5)
        last.set_params(cv=list(folds.split(target.samples, target.y, target.customers)))
    if isinstance(classifier, Pipeline) and len(classifier) > 1:
        first, rest = classifier[0], classifier[1:]
        table = first.fit(target.past).transform(target.past)
        rest.fit(_safe_indexing(table, target.samples), target.y)
        classifier.steps[1:] = rest.steps
    else:
        classifier.fit(target.past.iloc[target.samples], target.y)
    if cv != "none":
        last.set_params(cv=cv)
    return classifier
