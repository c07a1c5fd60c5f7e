"""The usual customer features, as one transformer."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Literal, Self

import pandas as pd
from sklearn.pipeline import FeatureUnion

from rfmrisk.aggregation.application import ApplicationColumns
from rfmrisk.aggregation.base import FieldType, HistoryAggregator
from rfmrisk.aggregation.category import CategoryAggregator
from rfmrisk.aggregation.rfm import RFMAggregator
from rfmrisk.aggregation.spend import SpendAggregator
from rfmrisk.aggregation.temporal import TemporalAggregator
from rfmrisk.histories.flat import flatten


class CustomerFeatures(FeatureUnion):
    """A FeatureUnion of aggregators that opens the histories once for all of them.

    It can be saved with skops after it has made frames: scikit-learn's keeps the pandas Index
    of each part's last output, in case a part cannot name its features; ours can, and skops has
    no form for an Index.

    Made by `customer_features`.

    Parameters
    ----------
    transformer_list : list of (str, transformer)
        The parts, as for FeatureUnion.
    n_jobs : int or None, default=None
        As for FeatureUnion.
    transformer_weights : dict or None, default=None
        As for FeatureUnion.
    verbose : bool, default=False
        As for FeatureUnion.
    verbose_feature_names_out : bool, default=True
        Whether the names of features begin with that of their part.

    Examples
    --------
    >>> from rfmrisk import RFMAggregator, to_histories
    >>> from rfmrisk.aggregation.union import CustomerFeatures
    >>> from rfmrisk.datasets import make_transactions
    >>> histories = to_histories(make_transactions(n_customers=50, random_state=0))
    >>> features = CustomerFeatures([("rfm", RFMAggregator()), ("late", RFMAggregator("7D"))])
    >>> list(features.set_output(transform="pandas").fit_transform(histories).columns[2:5])
    ['rfm__monetary', 'late__recency', 'late__frequency']
    """

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Fit all parts to the histories.

        Parameters
        ----------
        X : DataFrame of shape (n_customers, 2)
            As made by `to_histories`.
        y : None
            Ignored.
        **params
            Passed on to the parts.

        Returns
        -------
        self
        """
        return super().fit(self._opened(X), y, **params)

    def fit_transform(self, X: Any, y: Any = None, **params: Any) -> pd.DataFrame:
        """Fit all parts to the histories and compute their features.

        Parameters
        ----------
        X : DataFrame of shape (n_customers, 2)
            As made by `to_histories`.
        y : None
            Ignored.
        **params
            Passed on to the parts.

        Returns
        -------
        DataFrame of shape (n_customers, n_features)
        """
        return super().fit_transform(self._opened(X), y, **params)

    def transform(self, X: Any, **params: Any) -> pd.DataFrame:
        """Compute the features of all parts.

        Parameters
        ----------
        X : DataFrame of shape (n_customers, 2)
            As made by `to_histories`.
        **params
            Passed on to the parts.

        Returns
        -------
        DataFrame of shape (n_customers, n_features)
        """
        return super().transform(self._opened(X), **params)

    def _opened(self, histories: Any) -> Any:
        ours = all(isinstance(part, HistoryAggregator) for _, part in self.transformer_list)
        return flatten(histories) if ours else histories

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what no part of ours needs and no file can hold."""
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name != _LAST_NAMES}


_LAST_NAMES = "_transformers_feature_names_out"


def needed_fields(step: Any) -> dict[str, FieldType]:
    """Name the fields of a transaction that an aggregator, or a union of such, looks at.

    Parameters
    ----------
    step : transformer
        Fitted; what is no aggregator of histories, nor a union, names none.

    Returns
    -------
    dict of str to {"number", "category", "date"}
        Each field beside time and amount, and what its values are read as.
    """
    if isinstance(step, HistoryAggregator):
        return step.needed_fields()
    fields: dict[str, FieldType] = {}
    for _, part in getattr(step, "transformer_list", ()):
        fields |= needed_fields(part)
    return fields


def customer_features(
    *,
    monetary: Literal["gross", "net"] = "gross",
    numbers: Sequence[str] = (),
    windows: Sequence[str | dt.timedelta | None] = ("7D", "30D", "90D", None),
    categories: Sequence[str] | None = None,
) -> CustomerFeatures:
    """Make the union of the aggregators, with pandas output.

    Parameters
    ----------
    monetary : {"gross", "net"}, default="gross"
        See `RFMAggregator`.
    numbers : sequence of str, default=()
        Numeric fields of the log beside the amount, or durations between its dates, such as
        ``"closed-due"``: columns of `SpendAggregator`.
    windows : sequence
        See `SpendAggregator`.
    categories : sequence of str or None, default=None
        The columns of `CategoryAggregator`; None lets it choose.

    Returns
    -------
    CustomerFeatures
        A FeatureUnion of ``rfm``, ``spend``, ``category``, ``temporal`` and ``application``;
        features are called ``rfm__recency``, ``spend__amount_sum_30D`` and so on. Any parameter
        of a part can be set, and so searched over, as ``spend__windows``. The last part has no
        features where the histories have no columns of their own beside ``as_of``.

    Examples
    --------
    >>> from rfmrisk import customer_features, to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> histories = to_histories(make_transactions(n_customers=50, random_state=0))
    >>> features = customer_features().fit_transform(histories)
    >>> list(features.columns[:4])
    ['rfm__recency', 'rfm__frequency', 'rfm__monetary', 'spend__amount_sum_7D']
    """
    union = CustomerFeatures(
        [
            ("rfm", RFMAggregator(monetary=monetary)),
            ("spend", SpendAggregator(columns=("amount", *numbers), windows=windows)),
            ("category", CategoryAggregator(columns=categories)),
            ("temporal", TemporalAggregator()),
            ("application", ApplicationColumns()),
        ]
    )
    return union.set_output(transform="pandas")
