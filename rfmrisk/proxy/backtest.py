"""Back-test in time: train on decisions up to a date, test on the next."""

import datetime as dt
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline, make_pipeline

from rfmrisk._showing import progress
from rfmrisk.aggregation import RFMAggregator
from rfmrisk.histories.flat import flatten
from rfmrisk.histories.matching import outcomes_of
from rfmrisk.histories.nesting import rewind, rewind_rows
from rfmrisk.histories.parameters import at_least, check_parameters
from rfmrisk.histories.timestamps import DAY, parse_duration
from rfmrisk.proxy.auc import ENOUGH, has_enough
from rfmrisk.proxy.labeler import ProxyLabeler

Split = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True, repr=False, eq=False)
class RollingOrigin:
    """Decisions of several dates, with the splits between them; what `rolling_origin` returns.

    Pass it as ``cv`` to whatever of scikit-learn takes a splitter.

    Attributes
    ----------
    histories : DataFrame of shape (n_rows, 2)
        One row per customer and decision.
    y : ndarray of shape (n_rows,) or None
        The outcomes that were given, NaN where not known; otherwise the proxy label over the
        outcome window after each decision, or None where decisions were given without outcomes.
    splits : list of (train, test)
        Positions of rows, the earliest test date first.
    outcome : str
        Length of the outcome window.
    """

    histories: pd.DataFrame
    y: NDArray[Any] | None
    splits: list[Split]
    outcome: str

    @property
    def table(self) -> pd.DataFrame:
        """One row per split: the dates, the rows, and the bad rate of the test part."""
        as_of = self.histories["as_of"]
        rows = [
            {
                "train_from": as_of.iloc[train].min(),
                "train_to": as_of.iloc[train].max(),
                "test_from": as_of.iloc[test].min(),
                "test_to": as_of.iloc[test].max(),
                "n_train": len(train),
                "n_test": len(test),
                "n_bad": np.nan if self.y is None else int(self.y[test].sum()),
                "bad_rate": np.nan if self.y is None else float(self.y[test].mean()),
            }
            for train, test in self.splits
        ]
        return pd.DataFrame(rows).rename_axis("split")

    @property
    def too_small(self) -> list[int]:
        """The splits whose test part has under 20 customers of either class."""
        if self.y is None:
            return []
        customers = self.histories.index
        return [
            place
            for place, (_, test) in enumerate(self.splits)
            if not has_enough(customers[test], self.y[test])
        ]

    def split(self, X: Any = None, y: Any = None, groups: Any = None) -> Iterator[Split]:
        """Yield the training and test rows of each split.

        Parameters
        ----------
        X : DataFrame of shape (n_rows, ...) or None
            Must have the rows of ``histories``.
        y, groups : None
            Ignored.

        Yields
        ------
        train, test : ndarrays of int
        """
        if X is not None and len(X) != len(self.histories):
            raise ValueError(
                f"the splits are of {len(self.histories):,} rows (the attribute histories); "
                f"got {len(X):,}"
            )
        yield from self.splits

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits.

        Parameters
        ----------
        X, y, groups : None
            Ignored.

        Returns
        -------
        int
        """
        return len(self.splits)

    def __len__(self) -> int:
        return len(self.splits)

    def __iter__(self) -> Iterator[Split]:
        return iter(self.splits)

    def __repr__(self) -> str:
        return (
            f"{len(self.splits)} splits by time of {len(self.histories):,} decisions, outcome "
            f"window {self.outcome}\n{self.table.to_string()}"
        )


def rolling_origin(
    histories: pd.DataFrame,
    outcome: str | dt.timedelta = "30D",
    n: int = 6,
    *,
    y: Any = None,
    labeler: Any = None,
) -> RollingOrigin:
    """Split decisions by time, so that no training label knows anything after the test date.

    A decision is in training only if its outcome window has closed by the date of the test.

    Parameters
    ----------
    histories : DataFrame of shape (n_rows, 2)
        As made by `to_histories`. Where all rows have one ``as_of``, earlier decisions are made
        by rewinding it and labelled by what followed; the last test date lies one outcome window
        before it. Where there are several, they are the decisions, and the dates that can be
        tested are cut into ``n`` consecutive parts.
    outcome : str or timedelta, default="30D"
        Length of the outcome window: after how long the outcome of a decision is known.
    n : int, default=6
        Number of tests. Rewound dates lie one outcome window apart, or, where the log is too short
        for that, an equal part of it.
    y : array-like of shape (n_rows,) or None, default=None
        Outcomes of the decisions: 1 is bad, 0 good, NaN not known yet. Rows whose outcome is not
        known are in no split.
    labeler : ProxyLabeler, Pipeline or None, default=None
        As in `ProxyTargetClassifier`; refitted at each date on what is known when its outcome
        window closes. Not used where the decisions are given.

    Returns
    -------
    RollingOrigin
        Its ``histories`` and ``y`` are the table to train on, and it is the ``cv``.

    Raises
    ------
    ValueError
        The log, or the span of the decisions, is too short; or outcomes are given of rows that
        are all of one date, or in another number than there are rows.

    Warns
    -----
    UserWarning
        The given decisions have fewer test dates than ``n``, or a test has under 20 customers
        who are good, or bad: too few to judge by.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from rfmrisk import RFMAggregator, to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> from rfmrisk.proxy import rolling_origin
    >>> histories = to_histories(make_transactions(n_customers=300, random_state=0))
    >>> test = rolling_origin(histories, outcome="30D", n=3)
    >>> model = make_pipeline(RFMAggregator(), StandardScaler(), LogisticRegression())
    >>> cross_val_score(model, test.histories, test.y, cv=test, scoring="roc_auc").shape
    (3,)
    """
    check_parameters("rolling_origin", n=(n, [at_least(1)]))
    length = parse_duration(outcome, "outcome")
    timestamps = flatten(histories).as_of
    if len(np.unique(timestamps)) == 1:
        if y is not None:
            raise ValueError(
                "outcomes, y, are of decisions of several dates; all rows of these histories have "
                f"the as_of {histories['as_of'].iloc[0]}. Leave out y, and earlier decisions are "
                "labelled by what followed"
            )
        histories, y = _rewound(histories, outcome, length, int(n), labeler)
        timestamps = flatten(histories).as_of
    elif y is not None:
        y = outcomes_of(y, histories.index)
    found = RollingOrigin(histories, y, _splits(timestamps, length, int(n), y), str(outcome))
    if found.too_small:
        warnings.warn(
            f"{len(found.too_small)} of {len(found)} splits have under {ENOUGH} customers who are "
            f"good, or bad, in the test part: {found.too_small} are too small to judge by. Give a "
            "smaller n or more customers",
            UserWarning,
            stacklevel=2,
        )
    return found


def _rewound(
    histories: pd.DataFrame, outcome: str | dt.timedelta, length: int, n: int, labeler: Any
) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Return the decisions of all dates, the earliest first, and their labels."""
    flat = flatten(histories)
    span = int(flat.as_of[0] - flat.times.min()) if len(flat.times) else 0
    parts = _parts(span, length, n)
    labeler = ProxyLabeler() if labeler is None else labeler
    if not isinstance(labeler, Pipeline):
        labeler = make_pipeline(RFMAggregator(window=outcome), labeler)

    rewound, labels = [], []
    steps = range(n - 1 + parts, -1, -1)
    for step in progress(steps, "decisions", len(steps)):
        back = dt.timedelta(microseconds=step * length // parts)
        known = rewind(histories, back) if step else histories
        past, rows = rewind_rows(known, outcome)
        rewound.append(past)
        labels.append(clone(labeler).fit(known).predict(known.iloc[rows]))
    return pd.concat(rewound), np.concatenate(labels).astype(np.int64)


def _parts(span: int, length: int, n: int) -> int:
    """Return into how many steps an outcome window is cut so that n test dates fit.

    The last outcome window, n - 1 steps, the window between training and the first test, and as
    much history before the first decision have to fit.
    """
    room = span - 3 * length
    if room < 0 or (n > 1 and room == 0):
        days = length / DAY
        raise ValueError(
            f"the log spans {span / DAY:.0f} days; a back-test with an outcome window "
            f"of {days:g} days needs more than {3 * days:g}: take a shorter outcome"
        )
    return max(1, -(-(n - 1) * length // room)) if n > 1 else 1


def _splits(
    timestamps: NDArray[np.int64], length: int, n: int, y: NDArray[Any] | None
) -> list[Split]:
    """Cut the dates that have training decisions into n consecutive parts, one per test."""
    known = np.full(len(timestamps), True) if y is None else ~np.isnan(y)
    dates = np.unique(timestamps[known])
    if not len(dates):
        raise ValueError(f"none of the {len(timestamps):,} outcomes is known")
    dates = dates[dates - length >= dates[0]]
    if not len(dates):
        raise ValueError(
            "no decision lies an outcome window after the first one: training needs labels that "
            "are known at the date of the test. Give decisions over a longer time"
        )
    if len(dates) < n:
        warnings.warn(
            f"the decisions have {len(dates)} test date(s), fewer than n={n}",
            UserWarning,
            stacklevel=3,
        )
    return [
        (
            np.flatnonzero(known & (timestamps <= part[0] - length)),
            np.flatnonzero(known & (timestamps >= part[0]) & (timestamps <= part[-1])),
        )
        for part in np.array_split(dates, min(n, len(dates)))
    ]
