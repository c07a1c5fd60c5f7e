"""leakage_report raises the alarm on the naive recipe and is silent on ours."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rfmrisk import (
    CategoryAggregator,
    ProxyLabeler,
    ProxyTargetClassifier,
    RFMAggregator,
    WOEEncoder,
    customer_features,
    rewind,
    to_histories,
)
from rfmrisk.datasets import make_transactions
from rfmrisk.proxy import leakage_report, rolling_origin


@pytest.fixture(scope="module")
def histories():
    """Pack the histories of 500 customers."""
    return to_histories(make_transactions(n_customers=500, random_state=0))


def small():
    return make_pipeline(RFMAggregator(), StandardScaler(), LogisticRegression())


def full():
    return make_pipeline(customer_features(), WOEEncoder(), LogisticRegression(max_iter=1000))


@pytest.mark.parametrize("outcome", ["30D", "60D"])
def test_it_is_silent_on_ours(histories, outcome):
    """Features from before the cut-off, labels from after it: no alarm, no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = leakage_report(
            ProxyTargetClassifier(full(), outcome=outcome), histories, n_resamples=50
        )
    assert report.alarms == []
    assert report.n_overlapping == 0
    assert report.verdict.startswith("no leak found")
    assert 0.6 < report.table.loc["model", "auc"] < 0.98


@pytest.mark.parametrize("scaling", ["risk", "rank", "log"])
def test_it_raises_the_alarm_on_the_naive_recipe(histories, scaling):
    """RFM, label and features over one log: the label is a function of the features."""
    y = make_pipeline(RFMAggregator(), ProxyLabeler(scaling=scaling)).fit(histories)
    with pytest.warns(UserWarning, match="leakage: alone, .* give the label"):
        report = leakage_report(full(), histories, y.predict(histories), n_resamples=50)
    assert report.verdict.startswith("LEAK")
    assert report.features.iloc[0] >= 0.98


def test_it_names_the_column_that_gives_the_label(histories):
    """A label that is a recency threshold names the recency."""
    recency = RFMAggregator().fit_transform(histories)["recency"]
    y = (recency > 36).astype(int)
    with pytest.warns(UserWarning, match=r"recency \(1\.000\)"):
        report = leakage_report(small(), histories, y, n_resamples=20)
    assert report.table.loc["recency alone", "auc"] == 1


def test_the_gain_is_the_difference_of_the_aucs(histories):
    """With a paired interval around it."""
    table = leakage_report(ProxyTargetClassifier(small()), histories, n_resamples=50).table
    for baseline in ("recency alone", "frequency alone"):
        row = table.loc[baseline]
        assert row["gain"] == pytest.approx(table.loc["model", "auc"] - row["auc"])
        assert row["gain_low"] <= row["gain"] <= row["gain_high"]


def test_overlapping_windows_are_counted(histories):
    """Features that may see the outcome window raise the alarm."""
    past = rewind(histories, "30D")
    y = np.random.default_rng(0).integers(0, 2, len(past))
    opens = past["as_of"].iloc[0]
    assert leakage_report(small(), past, y, outcome_from=opens, n_resamples=5).n_overlapping == 0
    earlier = past["as_of"] - pd.Timedelta("1D")
    with pytest.warns(UserWarning, match=f"features of {len(past)} rows look into the outcome"):
        report = leakage_report(small(), past, y, outcome_from=earlier, n_resamples=5)
    assert report.n_overlapping == len(past)
    assert leakage_report(small(), past, y, n_resamples=5).n_overlapping is None


def test_customers_on_both_sides_are_counted(histories):
    """Rows of one customer in training and test raise the alarm; a split by customer does not."""
    twice = pd.concat([histories, rewind(histories, "60D")])
    y = np.random.default_rng(0).integers(0, 2, len(twice))
    with pytest.warns(UserWarning, match="customers are on both sides of a split"):
        report = leakage_report(small(), twice, y, n_resamples=5)
    assert report.n_customers_on_both_sides > 50
    assert leakage_report(small(), twice, y, cv=GroupKFold(3), n_resamples=5).alarms == []


def test_a_split_by_time_may_know_a_customers_past(histories):
    """In a back-test the same customers come again, later."""
    test = rolling_origin(histories, n=2)
    report = leakage_report(small(), test.histories, test.y, cv=test, n_resamples=5)
    assert report.n_customers_on_both_sides == 0


def test_a_column_of_levels_is_cross_fitted(histories):
    """Levels that occur once do not look like the label."""
    model = make_pipeline(
        CategoryAggregator(columns=["TransactionId"]), WOEEncoder(), LogisticRegression()
    )
    y = np.random.default_rng(0).integers(0, 2, len(histories))
    report = leakage_report(model, histories, y, n_resamples=5)
    assert report.features.drop("average rank of R, F, M").max() < 0.65


def test_labels_are_matched_by_customer(histories):
    """A shuffled Series gives the same report."""
    y = pd.Series(np.random.default_rng(0).integers(0, 2, len(histories)), histories.index)
    one = leakage_report(small(), histories, y, n_resamples=5)
    other = leakage_report(small(), histories, y.sample(frac=1, random_state=0), n_resamples=5)
    pd.testing.assert_frame_equal(one.table, other.table)


def test_labels_of_other_customers_are_refused_by_number(histories):
    """Ids on one side only are counted on both sides."""
    y = pd.Series(1, histories.index).rename(index={histories.index[0]: "nobody"})
    message = r"1 id\(s\) of y are not in histories, 1 of histories not in y"
    with pytest.raises(ValueError, match=message):
        leakage_report(small(), histories, y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "y is needed: only a ProxyTargetClassifier"),
        ([0, 1], "one label per row of histories, 500; got shape"),
        ([0] * 500, "y must hold both 0 and 1"),
        ([1, 2] * 250, "y must hold both 0 and 1"),
    ],
)
def test_bad_labels_are_refused(histories, y, message):
    """Each gets one clear error."""
    with pytest.raises(ValueError, match=message):
        leakage_report(small(), histories, y)
