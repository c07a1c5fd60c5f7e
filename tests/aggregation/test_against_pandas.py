"""Every aggregate equals the obvious computation, one customer at a time."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfmrisk import (
    CategoryAggregator,
    RFMAggregator,
    SpendAggregator,
    TemporalAggregator,
    to_histories,
)
from tests.aggregation import naive
from tests.conftest import examples

START = pd.Timestamp("1969-12-20")
AS_OF = pd.Timestamp("1970-02-01")
STATS = ("sum", "count", "mean", "std", "min", "median", "max", "last", "credit_share", "trend")
LEVELS = ["kind", "place", "grade"]
PARTS = ("hour", "night", "weekday", "weekend", "month_part", "month")

# Few distinct times make ties and transactions on the edges of windows; the log begins before
# 1970 and some of it comes after the moment of decision.
_rows = st.tuples(
    st.sampled_from("abcd"),
    st.integers(0, 50 * 4).map(lambda quarter: START + quarter * pd.Timedelta("6h"))
    | st.datetimes(START.to_pydatetime(), AS_OF.to_pydatetime()).map(pd.Timestamp),
    st.integers(-1000, 1000).map(lambda cents: cents / 100),
    st.none() | st.integers(-50, 50).map(float),
    st.none() | st.sampled_from(["x", "y", "z"]),
    st.none() | st.sampled_from(["w", "y"]),
    st.integers(-1, 1),
)


@st.composite
def logs(draw):
    rows = draw(st.lists(_rows, min_size=1, max_size=30))
    log = pd.DataFrame(rows, columns=["customer", "time", "amount", "balance", *LEVELS])
    return log.astype({"time": "datetime64[us]", "balance": float, "kind": "str", "place": "str"})


def _decide(log):
    """Return the histories at AS_OF of four customers, and each one's rows as a plain frame."""
    decisions = pd.DataFrame({"customer": list("abcd"), "as_of": AS_OF})
    histories = to_histories(
        log, customer="customer", time="time", amount="amount", as_of=decisions
    )
    known = log[log["time"] < AS_OF].sort_values(["time", "amount", "balance", *LEVELS])
    return histories, {name: known[known["customer"] == name] for name in "abcd"}


def _assert_equal(features, expected):
    expected = pd.DataFrame(expected).T.rename_axis("customer")
    assert set(features.columns) == set(expected.columns)
    expected = expected[list(features.columns)].astype(features.dtypes)
    pd.testing.assert_frame_equal(
        features, expected, check_exact=False, rtol=1e-9, atol=1e-9, check_index_type=False
    )


@given(logs(), st.sampled_from([None, "7D", "36h", "1000D"]))
def test_recency_frequency_monetary(log, window):
    """RFM equals pandas, for empty histories too."""
    histories, known = _decide(log)
    features = RFMAggregator(window=window).fit_transform(histories)
    _assert_equal(features, {name: naive.rfm(rows, AS_OF, window) for name, rows in known.items()})


@given(logs())
def test_spending(log):
    """All statistics of the amount and of a column with gaps equal pandas, in every window."""
    histories, known = _decide(log)
    columns, windows = ("amount", "balance"), ("7D", "36h", None)
    features = SpendAggregator(columns=columns, windows=windows, stats=STATS).fit_transform(
        histories
    )
    expected = {
        name: {
            f"{column}_{stat}" + ("" if window is None else f"_{window}"): value
            for column in columns
            for window in windows
            for stat, value in naive.spend(rows, AS_OF, column, window).items()
        }
        for name, rows in known.items()
    }
    _assert_equal(features, expected)


@given(logs())
def test_categories(log):
    """The top level, the number of levels and the share equal pandas, in fields of two types."""
    histories, known = _decide(log)
    features = CategoryAggregator(LEVELS).fit_transform(histories)
    expected = {
        name: {
            f"{field}_{key}": value
            for field in LEVELS
            for key, value in naive.category(rows.astype({field: "str"}), field).items()
        }
        for name, rows in known.items()
    }
    _assert_equal(features, expected)


@given(logs())
def test_rhythm_and_calendar(log):
    """Tenure, gaps and every calendar share equal pandas, before 1970 as after it."""
    histories, known = _decide(log)
    features = TemporalAggregator(parts=PARTS).fit_transform(histories)
    _assert_equal(features, {name: naive.temporal(rows, AS_OF) for name, rows in known.items()})


@given(logs(), st.randoms(use_true_random=False))
@settings(max_examples=examples(50))
def test_row_order_of_the_log_changes_no_bit(log, random):
    """Any permutation of the log gives the same histories to the last bit."""
    order = list(range(len(log)))
    random.shuffle(order)
    roles = {"customer": "customer", "time": "time", "amount": "amount"}
    one, other = to_histories(log, **roles), to_histories(log.iloc[order], **roles)
    pd.testing.assert_frame_equal(one, other, check_exact=True)


@pytest.mark.slow
def test_rfm_on_the_real_logs(real_log):
    """RFM equals a plain groupby on three real logs, to the cent and the microsecond."""
    log, roles = real_log
    features = RFMAggregator().fit_transform(to_histories(log, **roles))
    as_of = log[roles["time"]].max().normalize() + pd.Timedelta("1D")
    groups = log.groupby(roles["customer"])
    last = groups[roles["time"]].max()
    assert features.index.tolist() == last.index.tolist()
    exact = (as_of - last).dt.total_seconds() * 1e6
    np.testing.assert_array_equal(np.rint(features["recency"] * 86_400e6), exact)
    np.testing.assert_array_equal(features["frequency"], groups.size())
    monetary = log[roles["amount"]].abs().groupby(log[roles["customer"]]).sum()
    np.testing.assert_allclose(features["monetary"], monetary, rtol=0, atol=0.005)
    np.testing.assert_array_equal(features["monetary"].round(2), monetary.round(2))
