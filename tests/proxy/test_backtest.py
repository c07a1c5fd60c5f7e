"""rolling_origin trains on what was known at the date of the test, and nothing else."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, check_cv
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rfmrisk import ProxyLabeler, RFMAggregator, rewind, to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.proxy import rolling_origin


@pytest.fixture(scope="module")
def log():
    """Make a log of 300 customers over 180 days."""
    return make_transactions(n_customers=300, random_state=0)


@pytest.fixture(scope="module")
def histories(log):
    """Pack its histories."""
    return to_histories(log)


@pytest.mark.parametrize(
    ("outcome", "n"), [("30D", 6), ("30D", 3), ("14D", 6), ("45D", 2), ("50D", 9)]
)
def test_no_training_label_knows_the_future(histories, outcome, n):
    """Every outcome window in training has closed at the first date of the test."""
    test = rolling_origin(histories, outcome, n)
    as_of = test.histories["as_of"]
    assert len(test) == test.get_n_splits() == n
    for train, held_out in test:
        assert len(train)
        assert len(held_out)
        assert as_of.iloc[train].max() + pd.Timedelta(outcome) <= as_of.iloc[held_out].min()
    assert as_of.max() == histories["as_of"].iloc[0] - pd.Timedelta(outcome)


def test_dates_lie_one_window_apart_where_the_log_is_long_enough(histories):
    """Otherwise an equal part of it."""
    dates = rolling_origin(histories, "14D", 6).histories["as_of"].unique()
    assert (dates[1:] - dates[:-1] == pd.Timedelta("14D")).all()
    dates = rolling_origin(histories, "30D", 6).histories["as_of"].unique()
    assert (dates[1:] - dates[:-1] == pd.Timedelta("15D")).all()


def test_the_labels_are_those_of_the_explicit_route(histories):
    """Those of the last date: rewind, then label by the outcome window."""
    test = rolling_origin(histories, "30D", 2)
    past = rewind(histories, "30D")
    labels = make_pipeline(RFMAggregator(window="30D"), ProxyLabeler()).fit(histories)
    last = test.histories["as_of"] == past["as_of"].iloc[0]
    np.testing.assert_array_equal(test.y[last], labels.predict(histories.loc[past.index]))
    pd.testing.assert_frame_equal(
        RFMAggregator().fit_transform(test.histories[last]), RFMAggregator().fit_transform(past)
    )


def test_it_is_a_splitter_for_a_grid_search(histories):
    """GridSearchCV takes it as cv on its own table."""
    test = rolling_origin(histories, "30D", 3)
    assert check_cv(test) is test
    model = make_pipeline(RFMAggregator(), StandardScaler(), LogisticRegression())
    search = GridSearchCV(
        model, {"logisticregression__C": [0.1, 1.0]}, cv=test, scoring="roc_auc"
    ).fit(test.histories, test.y)
    assert search.best_score_ > 0.6


def decisions_of(log, n_customers):
    """Return decisions of some customers at five dates."""
    customers = log["CustomerId"].unique()[:n_customers]
    dates = pd.date_range("2019-01-01", periods=5, freq="30D")
    decisions = pd.MultiIndex.from_product([customers, dates], names=["customer", "as_of"])
    return to_histories(log, as_of=decisions.to_frame(index=False))


def test_given_decisions_are_split_as_they_are(log):
    """Rows of several dates are the decisions; their labels are the caller's."""
    table = decisions_of(log, 50)
    dates = table["as_of"].unique()
    test = rolling_origin(table, "30D", 4)
    assert test.y is None
    assert test.histories is table
    assert [len(train) for train, _ in test] == [50, 100, 150, 200]
    assert test.table["test_from"].tolist() == list(dates[1:])
    assert [len(held_out) for _, held_out in rolling_origin(table, "30D", 2)] == [100, 100]
    with pytest.warns(UserWarning, match=r"4 test date\(s\), fewer than n=6"):
        assert len(rolling_origin(table, "30D", 6)) == 4


def test_outcomes_of_decisions_are_judged(log):
    """Outcomes stay with their rows; one that is not known is neither trained on nor judged."""
    table = decisions_of(log, 100)
    y = (np.arange(500) % 7 < 3).astype(float)
    y[::11] = np.nan
    test = rolling_origin(table, "30D", 4, y=pd.Series(y, index=table.index))
    np.testing.assert_array_equal(test.y, y)
    for train, held_out in test:
        assert not np.isnan(y[train]).any()
        assert not np.isnan(y[held_out]).any()
    assert test.table["n_bad"].tolist() == [int(y[rows].sum()) for _, rows in test]
    assert test.table["bad_rate"].between(0.3, 0.6).all()


def test_tests_too_small_to_judge_by_are_warned_of(log):
    """Fewer than twenty customers of a class say nothing; the splits are named."""
    table = decisions_of(log, 100)
    y = np.where(table["as_of"] == table["as_of"].max(), 0.1, 0.5) > np.arange(500) % 20 / 20
    with pytest.warns(UserWarning, match=r"1 of 4 splits have under 20 customers .*: \[3\]"):
        assert rolling_origin(table, "30D", 4, y=y).too_small == [3]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(3), "one value for each of the 500 rows"),
        (np.full(500, 2), "0 .*1 .*"),
        (np.full(500, np.nan), "none of the 500 outcomes is known"),
        (pd.Series(np.zeros(500), index=np.arange(500) + 7), "index"),
    ],
)
def test_outcomes_that_cannot_be_used(log, y, message):
    """Another length, other values, none known and another order are refused."""
    with pytest.raises(ValueError, match=message):
        rolling_origin(decisions_of(log, 100), "30D", 4, y=y)


def test_outcomes_of_one_date_are_refused(histories):
    """They cannot be divided by time."""
    with pytest.raises(ValueError, match=r"decisions of several dates.*Leave out y"):
        rolling_origin(histories, y=np.zeros(len(histories)))


def test_it_prints_its_dates(histories):
    """The table of the splits, with rows and bad rates."""
    printed = repr(rolling_origin(histories, "30D", 2))
    assert printed.startswith("2 splits by time")
    assert "bad_rate" in printed


def test_another_table_is_refused(histories):
    """The splits are positions in one table."""
    test = rolling_origin(histories, "30D", 2)
    with pytest.raises(ValueError, match="the splits are of"):
        next(test.split(histories))


@pytest.mark.parametrize(
    ("outcome", "n", "message"),
    [
        ("90D", 6, "the log spans 180 days; .* needs more than 270"),
        ("30D", 0, r"'n' .* int in the range \[1, inf\)"),
        ("30D", 2.5, r"'n' .* int in the range \[1, inf\)"),
        ("month", 6, "must be a positive duration"),
    ],
)
def test_bad_input_is_refused(histories, outcome, n, message):
    """Each gets one clear error."""
    with pytest.raises(ValueError, match=message):
        rolling_origin(histories, outcome, n)


def test_decisions_that_are_too_close_are_refused(log):
    """No label would be known at any date of a test."""
    frame = pd.DataFrame(
        {"customer": log["CustomerId"].iloc[[0, 0]], "as_of": ["2019-03-01", "2019-03-05"]}
    )
    frame["as_of"] = pd.to_datetime(frame["as_of"])
    with pytest.raises(ValueError, match="no decision lies an outcome window after the first"):
        rolling_origin(to_histories(log, as_of=frame), "30D")
