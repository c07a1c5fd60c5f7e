"""Durations between the dates of a transaction, as numbers to be summed."""

import numpy as np
import pandas as pd
import pytest

from rfmrisk import SpendAggregator, customer_features, to_histories

ROLES = {"customer": "who", "time": "when", "amount": "lent"}
LOANS = pd.DataFrame(
    {
        "who": ["ann", "ann", "ann", "bob"],
        "when": pd.to_datetime(["2024-01-01", "2024-02-01", "2024-03-01", "2024-02-15"]),
        "lent": [100.0, 200.0, 300.0, 50.0],
        "due": pd.to_datetime(["2024-01-31", "2024-03-01", "2024-03-31", None]),
        "closed": ["2024-01-30T12:00:00", "2024-03-06", "2024-04-10", "2024-02-20"],
    }
)


def lateness(column="closed-due", as_of="2024-04-01", stats=("max", "mean", "count"), log=LOANS):
    """Compute statistics of a duration over whole histories."""
    histories = to_histories(log, **ROLES, as_of=as_of)
    spend = SpendAggregator(columns=[column], windows=[None], stats=stats)
    return spend.fit(histories), spend.fit_transform(histories)


def test_a_duration_is_in_days():
    """The time from due to closed, of loans that have both; text is read as dates."""
    fitted, features = lateness()
    assert features.columns.tolist() == ["closed-due_max", "closed-due_mean", "closed-due_count"]
    assert features.loc["ann"].tolist() == [5.0, 2.25, 2]
    assert features.loc["bob"].isna().tolist() == [True, True, False]
    assert fitted.needed_fields() == {"closed": "date", "due": "date"}


def test_a_date_that_is_not_over_is_not_known():
    """A loan that is closed at as_of or later has no lateness yet."""
    assert lateness(as_of="2024-04-10")[1].loc["ann", "closed-due_count"] == 2
    assert lateness(as_of="2024-04-10T00:00:01")[1].loc["ann", "closed-due_count"] == 3


def test_a_duration_from_the_transaction_itself():
    """Time is the transaction's own."""
    fitted, features = lateness("closed-time", as_of="2024-05-01", stats=["min"])
    assert features["closed-time_min"].tolist() == [29.5, 5.0]
    assert fitted.needed_fields() == {"closed": "date"}


def test_a_field_of_that_very_name_comes_first():
    """A numeric field may have a hyphen in its name."""
    log = LOANS.assign(**{"closed-due": [1.0, 2.0, 3.0, 4.0]})
    fitted, features = lateness(stats=["max"], log=log)
    assert features["closed-due_max"].tolist() == [3.0, 4.0]
    assert fitted.needed_fields() == {"closed-due": "number"}


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("closed-paid", "the transactions have no field 'closed-paid'"),
        ("closed-amount", "must hold timestamps, dates or ISO-8601 text"),
        ("closed-shop", "'shop' must hold dates to make a duration; 2 of 3 values cannot be read"),
    ],
)
def test_what_is_no_date_is_refused(column, message):
    """Each error names the field."""
    with pytest.raises(ValueError, match=message):
        lateness(column, log=LOANS.assign(shop=["a", "b", None, "c"]))


def test_it_is_a_number_of_customer_features():
    """The union takes durations among its numbers."""
    histories = to_histories(LOANS, **ROLES, as_of="2024-04-01")
    features = customer_features(numbers=["closed-due"]).fit_transform(histories)
    assert np.isclose(features.loc["ann", "spend__closed-due_max"], 5.0)
