"""The usual customer features, as one transformer."""

import datetime as dt
from collections.abc import Sequence
from typing import Literal

from sklearn.pipeline import FeatureUnion

from rfmrisk.aggregation.category import CategoryAggregator
from rfmrisk.aggregation.rfm import RFMAggregator
from rfmrisk.aggregation.spend import SpendAggregator
from rfmrisk.aggregation.temporal import TemporalAggregator


def customer_features(
    *,
    monetary: Literal["gross", "net"] = "gross",
    columns: Sequence[str] = ("amount",),
    windows: Sequence[str | dt.timedelta | None] = ("7D", "30D", "90D", None),
    categories: Sequence[str] | None = None,
) -> FeatureUnion:
    """Make the union of the four aggregators, with pandas output.

    Parameters
    ----------
    monetary : {"gross", "net"}, default="gross"
        See `RFMAggregator`.
    columns, windows : sequences
        See `SpendAggregator`.
    categories : sequence of str or None, default=None
        The columns of `CategoryAggregator`; None lets it choose.

    Returns
    -------
    FeatureUnion
        Of ``rfm``, ``spend``, ``category`` and ``temporal``; features are called
        ``rfm__recency``, ``spend__amount_sum_30D`` and so on. Any parameter of a part can be
        set, and so searched over, as ``spend__windows``.

    Examples
    --------
    >>> from rfmrisk import customer_features, to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> histories = to_histories(make_transactions(n_customers=50, random_state=0))
    >>> features = customer_features().fit_transform(histories)
    >>> list(features.columns[:4])
    ['rfm__recency', 'rfm__frequency', 'rfm__monetary', 'spend__amount_sum_7D']
    """
    union = FeatureUnion(
        [
            ("rfm", RFMAggregator(monetary=monetary)),
            ("spend", SpendAggregator(columns=columns, windows=windows)),
            ("category", CategoryAggregator(columns=categories)),
            ("temporal", TemporalAggregator()),
        ]
    )
    return union.set_output(transform="pandas")
