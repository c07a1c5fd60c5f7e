"""A classifier of histories that derives its own target from what came after."""

import datetime as dt
import warnings
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from rfmrisk.aggregation import RFMAggregator
from rfmrisk.histories import flatten, rewind_rows
from rfmrisk.proxy.labeler import ProxyLabeler
from rfmrisk.proxy.outcome import suggest_outcome


def _has(method: str) -> Any:
    def check(self: "ProxyTargetClassifier") -> bool:
        return hasattr(getattr(self, "classifier_", self.classifier), method)

    return check


class ProxyTargetClassifier(ClassifierMixin, BaseEstimator):
    """Train on the past, label by what followed, predict from all that is known.

    `fit` rewinds the histories by ``outcome``, lets the classifier see what was known then, and
    takes as its target the proxy label over the outcome window. No feature sees anything after
    the cut-off.

    Parameters
    ----------
    classifier : estimator
        From histories to a probability, such as
        ``make_pipeline(customer_features(), WOEEncoder(), LogisticRegression())``.
    labeler : estimator or None, default=None
        A labeler of the RFM over the outcome window, `ProxyLabeler` by default; or a Pipeline
        from histories to labels, which then looks after its own windows.
    outcome : str, timedelta or "auto", default="30D"
        Length of the outcome window; "auto" takes that of `suggest_outcome`.

    Attributes
    ----------
    classifier_ : estimator
        The fitted classifier.
    labeler_ : Pipeline
        The fitted pipeline from histories to labels.
    outcome_ : str or timedelta
        The outcome window that was used.
    classes_ : ndarray of shape (2,)
        ``[0, 1]``; 1 is high-risk.
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from rfmrisk import ProxyTargetClassifier, WOEEncoder, customer_features, to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> histories = to_histories(make_transactions(n_customers=300, random_state=0))
    >>> model = make_pipeline(customer_features(), WOEEncoder(), LogisticRegression())
    >>> risk = ProxyTargetClassifier(model, outcome="30D").fit(histories)
    >>> risk.predict_proba(histories).shape
    (300, 2)
    """

    def __init__(
        self, classifier: Any, labeler: Any = None, outcome: str | dt.timedelta = "30D"
    ) -> None:
        self.classifier = classifier
        self.labeler = labeler
        self.outcome = outcome

    def fit(self, histories: pd.DataFrame, y: Any = None) -> Self:
        """Derive the target from the outcome window and fit the classifier on what came before.

        Parameters
        ----------
        histories : DataFrame of shape (n_customers, 2)
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
            Everybody bought in the outcome window, or ``y`` is given.
        """
        if y is not None:
            warnings.warn(
                "y is not used: ProxyTargetClassifier derives its own target. To train on y, "
                "fit the classifier itself",
                UserWarning,
                stacklevel=2,
            )
        self.outcome_ = suggest_outcome(histories) if self.outcome == "auto" else self.outcome
        past, rows = rewind_rows(histories, self.outcome_)
        present = histories.iloc[rows]
        self._check_outcome(past, present)

        labeler = ProxyLabeler() if self.labeler is None else clone(self.labeler)
        if not isinstance(labeler, Pipeline):
            labeler = make_pipeline(RFMAggregator(window=self.outcome_), labeler)
        self.labeler_ = labeler.fit(histories)
        target = self.labeler_.predict(present)
        if len(np.unique(target)) < 2:
            raise ValueError(
                f"all {len(target):,} customers known {self.outcome_} earlier have the label "
                f"{target[0]}: the outcome window must tell them apart; try another outcome"
            )
        self.classifier_ = clone(self.classifier).fit(past, target)
        self.classes_ = self.classifier_.classes_
        self.n_features_in_ = histories.shape[1]
        self.feature_names_in_ = np.array([str(name) for name in histories.columns], dtype=object)
        return self

    def predict(self, histories: pd.DataFrame) -> np.ndarray:
        """Return the predicted label of each customer, from all that is known.

        Parameters
        ----------
        histories : DataFrame of shape (n_customers, 2)

        Returns
        -------
        ndarray of int of shape (n_customers,)
        """
        check_is_fitted(self)
        return self.classifier_.predict(histories)

    @available_if(_has("predict_proba"))
    def predict_proba(self, histories: pd.DataFrame) -> np.ndarray:
        """Return the probability of each class, from all that is known.

        Parameters
        ----------
        histories : DataFrame of shape (n_customers, 2)

        Returns
        -------
        ndarray of shape (n_customers, 2)
        """
        check_is_fitted(self)
        return self.classifier_.predict_proba(histories)

    @available_if(_has("decision_function"))
    def decision_function(self, histories: pd.DataFrame) -> np.ndarray:
        """Return the decision value of each customer, from all that is known.

        Parameters
        ----------
        histories : DataFrame of shape (n_customers, 2)

        Returns
        -------
        ndarray of shape (n_customers,)
        """
        check_is_fitted(self)
        return self.classifier_.decision_function(histories)

    def score(self, histories: pd.DataFrame, y: Any = None, sample_weight: Any = None) -> float:
        """Return the ROC-AUC against labels derived from these histories' own outcome window.

        Parameters
        ----------
        histories : DataFrame of shape (n_customers, 2)
        y : array-like of shape (n_customers,) or None
            Given, it is the target to compare with and nothing is derived.
        sample_weight : array-like or None
            Only with ``y``.

        Returns
        -------
        float
        """
        check_is_fitted(self)
        if y is None:
            histories, y = self._past_and_target(histories)
        if hasattr(self, "predict_proba"):
            risk = self.predict_proba(histories)[:, 1]
        else:
            risk = self.decision_function(histories)
        return float(roc_auc_score(y, risk, sample_weight=sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags

    def _past_and_target(self, histories: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
        past, rows = rewind_rows(histories, self.outcome_)
        return past, self.labeler_.predict(histories.iloc[rows])

    def _check_outcome(self, past: pd.DataFrame, present: pd.DataFrame) -> None:
        before, after = flatten(past), flatten(present)
        bought = (after.ends - after.starts) > (before.ends - before.starts)
        if not bought.any():
            raise ValueError(
                f"none of the {len(bought):,} customers known {self.outcome_} earlier bought in "
                "the outcome window: a label would repeat what was known before it. Take a longer "
                "outcome (suggest_outcome)"
            )
        if bought.all():
            warnings.warn(
                f"all {len(bought):,} customers known {self.outcome_} earlier bought in the "
                "outcome window: nobody stayed away, and the label tells only who bought least. "
                "A shorter outcome tells more (suggest_outcome)",
                UserWarning,
                stacklevel=3,
            )
