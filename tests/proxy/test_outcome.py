"""The outcome window follows the rhythm of the log."""

import pandas as pd
import pytest

from rfmrisk import suggest_outcome, to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.proxy.outcome import absence_curve, other_outcome


def every(days, n=200, customers=170):
    """Make customers who buy once in so many days."""
    start = pd.Timestamp("2022-01-01")
    return to_histories(
        pd.DataFrame(
            [
                {
                    "CustomerId": c,
                    "TransactionStartTime": start + pd.Timedelta(days=d),
                    "Amount": 1.0,
                }
                for c in range(customers)
                for d in range(c % days, n, days)
            ]
        )
    )


@pytest.mark.parametrize(("days", "window"), [(3, "7D"), (20, "14D"), (50, "30D"), (85, "60D")])
def test_the_window_fits_the_rhythm(days, window):
    """The window is the first in which more than half come back."""
    assert suggest_outcome(every(days, n=400)) == window


def test_the_curve_counts_customers():
    """Share of the customers active in the window before who are absent in the window."""
    log = pd.DataFrame(
        {
            "CustomerId": ["a", "a", "b", "c", "old"],
            "TransactionStartTime": [
                "2024-03-05",
                "2024-03-12",
                "2024-03-06",
                "2024-03-13",
                "2023-11-01",
            ],
            "Amount": 1.0,
        }
    )
    curve = absence_curve(to_histories(log, as_of="2024-03-15"), windows=["7D"])
    assert curve.loc["7D"].tolist() == [2, 0.5]  # a returned, b did not; c and old were not active


def test_windows_that_do_not_fit_are_left_out():
    """Twice the window must fit into the log."""
    curve = absence_curve(to_histories(make_transactions(n_customers=100, random_state=0)))
    assert curve.index[-1] == "60D"  # the log is a few hours short of 180 days


def test_no_short_enough_window_gives_the_least_absence():
    """Where most are always absent it takes the window in which fewest are."""
    histories = every(50, n=70, customers=50)
    curve = absence_curve(histories)
    assert suggest_outcome(histories) == curve["share_absent"].idxmin()


def test_a_log_that_is_too_short_is_refused():
    """Two windows of seven days are the least."""
    log = pd.DataFrame({"CustomerId": [1], "TransactionStartTime": ["2024-01-01"], "Amount": [1.0]})
    with pytest.raises(ValueError, match="too short to suggest a window"):
        suggest_outcome(to_histories(log))


def test_decisions_do_not_change_the_rhythm():
    """What lies just before each as_of is not the rhythm: here everybody has just bought."""
    log = pd.DataFrame(
        [
            {"CustomerId": c, "TransactionStartTime": start, "Amount": 1.0}
            for c in range(120)
            for start in pd.date_range("2023-01-01", periods=8, freq="40D") + pd.Timedelta(days=c)
        ]
    )
    last = log.groupby("CustomerId")["TransactionStartTime"].max() + pd.Timedelta("2h")
    decisions = last.rename("as_of").reset_index()
    assert suggest_outcome(to_histories(log, as_of=decisions)) == "30D"
    assert absence_curve(to_histories(log, as_of=decisions))["share_absent"].idxmin() == "7D"


def test_where_nobody_returns_it_warns():
    """Absence says nothing of customers who all came once; the longest window is the least bad."""
    log = pd.DataFrame(
        {
            "CustomerId": range(200),
            "TransactionStartTime": pd.date_range("2023-01-01", periods=200, freq="1D"),
            "Amount": 1.0,
        }
    )
    with pytest.warns(UserWarning, match="nobody returns: 0 of 200 customers"):
        assert suggest_outcome(to_histories(log)) == "90D"


def test_what_is_set_is_not_advised():
    """The window that is suggested is never advised to who has it; another one is named."""
    histories = every(20, n=400)
    assert suggest_outcome(histories) == "14D"
    assert other_outcome(histories, ["30D", "14D"]) == ""
    assert other_outcome(histories, ["30D"]) == ": suggest_outcome finds 14D"
