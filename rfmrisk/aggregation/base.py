"""The common part of the aggregators: histories in, one row of features per customer out.

It holds what every aggregator shares and nothing else: those of the package and those of a user
are made of the same three methods.
"""

from collections.abc import Collection
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from rfmrisk.histories.flat import FlatHistories, flatten
from rfmrisk.histories.parameters import Constraints

FieldType = Literal["number", "category", "date"]
"""What a field is read as, by whatever reads transactions for a fitted aggregator."""


class HistoryAggregator(TransformerMixin, BaseEstimator):
    """Base class of the aggregators, and of those of one's own.

    A subclass stores its parameters in ``__init__`` and has `compute`, which turns flat arrays
    into features; `learn`, where parameters are to be checked or something is to be remembered;
    and `needed_fields`, where it looks at more than times and amounts. It is then a transformer
    like all others: it is searched over, saved, served, and run in parts and on Spark.

    Attributes
    ----------
    feature_names_out_ : list of str
        The names that `compute` gives its features.

    Notes
    -----
    `compute` sees some customers at a time, so a feature may depend on the customer's own
    history, ``as_of`` and other columns alone. Remembered state is numbers, text, lists, dicts
    and NumPy arrays, which a model file can hold.

    Examples
    --------
    >>> from rfmrisk import to_histories
    >>> from rfmrisk.aggregation import HistoryAggregator
    >>> from rfmrisk.datasets import make_transactions
    >>> class Refunds(HistoryAggregator):
    ...     def compute(self, flat, wanted=None):
    ...         return {"refunds": flat.segments.sum((flat.numbers("amount") < 0).astype(int))}
    >>> histories = to_histories(make_transactions(n_customers=50, random_state=0))
    >>> Refunds().fit_transform(histories).columns.tolist()
    ['refunds']
    """

    _parameter_constraints: ClassVar[Constraints] = {}

    def fit(self, histories: pd.DataFrame, y: Any = None) -> Self:
        """Check the parameters against the histories.

        Parameters
        ----------
        histories : DataFrame of shape (n_customers, 2)
            As made by `to_histories`.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        self._validate_params()
        flat = flatten(histories)
        self.learn(flat)
        self.n_features_in_ = len(flat.columns)
        self.feature_names_in_ = np.array(flat.columns, dtype=object)
        self.feature_names_out_ = list(self.compute(flat.rows(slice(1))))
        return self

    def fit_transform(self, histories: pd.DataFrame, y: Any = None) -> pd.DataFrame:
        """Fit to the histories and compute their features.

        Parameters
        ----------
        histories : DataFrame of shape (n_customers, 2)
            As made by `to_histories`.
        y : None
            Ignored.

        Returns
        -------
        DataFrame of shape (n_customers, n_features_out)
            With the index of the histories.
        """
        flat: Any = flatten(histories)
        return self.fit(flat).transform(flat)

    def transform(self, histories: pd.DataFrame) -> pd.DataFrame:
        """Compute the features of each customer.

        Parameters
        ----------
        histories : DataFrame of shape (n_customers, 2)
            As made by `to_histories`.

        Returns
        -------
        DataFrame of shape (n_customers, n_features_out)
            With the index of the histories.
        """
        check_is_fitted(self)
        flat = flatten(histories)
        parts = [self.compute(block) for block in flat.blocks()]
        features = {name: _concatenated([part[name] for part in parts]) for name in parts[0]}
        return pd.DataFrame(features, index=flat.index, columns=self.get_feature_names_out())

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the features.

        Parameters
        ----------
        input_features : None
            Ignored: the names follow from the parameters.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        return np.array(self.feature_names_out_, dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags

    def learn(self, flat: FlatHistories) -> None:
        """Check the parameters, and remember what is needed of the training histories.

        Parameters
        ----------
        flat : FlatHistories
            The training histories as flat arrays.
        """

    def compute(self, flat: FlatHistories, wanted: Collection[str] | None = None) -> dict[str, Any]:
        """Compute the features of some customers.

        Parameters
        ----------
        flat : FlatHistories
            Their histories as flat arrays.
        wanted : collection of str or None, default=None
            Names of features that will be used; others may be left out where this saves work.

        Returns
        -------
        dict of str to array of shape (n_customers,)
            The features by name, always in the same order.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method compute")

    def needed_fields(self, wanted: Collection[str] | None = None) -> dict[str, FieldType]:
        """Name the fields of a transaction, beside time and amount, that `compute` looks at.

        Parameters
        ----------
        wanted : collection of str or None, default=None
            Names of features that will be used; None stands for all.

        Returns
        -------
        dict of str to {"number", "category", "date"}
            Each field, and what its values are read as.
        """
        return {}

    def needed_columns(self, wanted: Collection[str] | None = None) -> dict[str, FieldType]:
        """Name the columns of the decision, beside ``as_of``, that `compute` looks at.

        Parameters
        ----------
        wanted : collection of str or None, default=None
            Names of features that will be used; None stands for all.

        Returns
        -------
        dict of str to {"number", "category"}
            Each column, and what its values are read as.
        """
        return {}


def _concatenated(parts: list[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    return pd.concat([pd.Series(part) for part in parts]).array
