"""Recency, frequency and monetary value of each customer."""

import datetime as dt
from collections.abc import Collection
from typing import ClassVar, Literal

import numpy as np
from sklearn.utils._param_validation import StrOptions

from rfmrisk.aggregation.base import FieldType, HistoryAggregator
from rfmrisk.histories.flat import FlatHistories
from rfmrisk.histories.parameters import Constraints
from rfmrisk.histories.segments import Segments, first_at_or_after
from rfmrisk.histories.timestamps import DAY, parse_duration


class RFMAggregator(HistoryAggregator):
    """Recency, frequency and monetary value.

    Parameters
    ----------
    window : str, timedelta or None, default=None
        Restrict frequency and monetary to this long before ``as_of``, such as ``"30D"``: the
        transactions at or after ``as_of - window``. Recency always looks at the whole history.
    monetary : {"gross", "net"}, default="gross"
        Sum of the absolute amounts, or of the signed amounts.

    Attributes
    ----------
    by_order_ : bool
        Whether orders are counted.
    feature_names_out_ : list of str
        ``["recency", "frequency", "monetary"]``.

    Notes
    -----
    Recency is in days (float) from the last transaction to ``as_of``, and missing for an empty
    history; frequency counts transactions, or orders where the log named them, an order being of
    the window that its first line is in; monetary is in the log's currency and never rounded. The
    terms are those of database marketing [1]_.

    References
    ----------
    .. [1] A. M. Hughes, "Strategic Database Marketing", McGraw-Hill, 1994.

    Examples
    --------
    >>> import pandas as pd
    >>> from rfmrisk import RFMAggregator, to_histories
    >>> log = pd.DataFrame(
    ...     {
    ...         "CustomerId": ["ann", "bob", "ann"],
    ...         "TransactionStartTime": ["2024-05-01", "2024-05-02T12:00:00", "2024-05-03"],
    ...         "Amount": [10.0, 5.0, -2.5],
    ...     }
    ... )
    >>> RFMAggregator().fit_transform(to_histories(log))
              recency  frequency  monetary
    customer
    ann           1.0          2      12.5
    bob           1.5          1       5.0
    """

    _parameter_constraints: ClassVar[Constraints] = {
        "monetary": [StrOptions({"gross", "net"})],
    }

    def __init__(
        self,
        window: str | dt.timedelta | None = None,
        monetary: Literal["gross", "net"] = "gross",
    ) -> None:
        self.window = window
        self.monetary = monetary

    def learn(self, flat: FlatHistories) -> None:
        if self.window is not None:
            parse_duration(self.window, "window")
        self.by_order_ = "order" in flat.field_names

    def compute(
        self, flat: FlatHistories, wanted: Collection[str] | None = None
    ) -> dict[str, np.ndarray]:
        known = flat.ends > flat.starts
        recency = np.full(len(known), np.nan)
        recency[known] = (flat.as_of[known] - flat.times[flat.ends[known] - 1]) / DAY
        starts, segments = flat.starts, flat.segments
        if self.window is not None:
            opening = flat.as_of - parse_duration(self.window, "window")
            starts = first_at_or_after(flat.times, flat.starts, flat.ends, opening)
            segments = Segments(starts, flat.ends)
        amounts = flat.numbers("amount")
        if self.monetary == "gross":
            amounts = np.abs(amounts)
        return {
            "recency": recency,
            "frequency": self._frequency(flat) if self.by_order_ else flat.ends - starts,
            "monetary": segments.sum(amounts),
        }

    def _frequency(self, flat: FlatHistories) -> np.ndarray:
        orders = flat.by_order()
        if self.window is None:
            return orders.ends - orders.starts
        opening = flat.as_of - parse_duration(self.window, "window")
        return orders.ends - first_at_or_after(orders.times, orders.starts, orders.ends, opening)

    def needed_fields(self, wanted: Collection[str] | None = None) -> dict[str, FieldType]:
        counted = self.by_order_ and (wanted is None or "frequency" in wanted)
        return {"order": "category"} if counted else {}
