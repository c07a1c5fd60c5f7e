"""Aggregators at their edges: windows, parameters, and fields they cannot use."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from rfmrisk import (
    CategoryAggregator,
    RFMAggregator,
    SpendAggregator,
    TemporalAggregator,
    customer_features,
    to_histories,
)
from rfmrisk.histories.flat import flatten

ROLES = {"customer": "c", "time": "t", "amount": "a"}


def make(times, as_of="2024-05-11", **columns):
    """Make the histories of one customer; amounts are 1, 2, 4, 8, ... unless given."""
    amounts = 2.0 ** np.arange(len(times))
    log = pd.DataFrame({"c": 1, "t": times, "a": amounts} | columns)
    return to_histories(log, **ROLES, as_of=as_of)


def test_a_window_opens_at_its_first_moment_and_ends_before_as_of():
    """A transaction just 10 days old is in a 10-day window; one a microsecond older is not."""
    histories = make(["2024-04-30T23:59:59.999999", "2024-05-01", "2024-05-10T23:59:59.999999"])
    features = RFMAggregator(window="10D").fit_transform(histories).iloc[0]
    assert features["frequency"] == 2
    assert features["monetary"] == 6.0
    spend = SpendAggregator(windows=("10D",), stats=("sum",)).fit_transform(histories)
    assert spend["amount_sum_10D"].tolist() == [6.0]


def test_recency_looks_beyond_the_window():
    """Recency is from the last transaction of all; frequency and monetary are 0 in the window."""
    features = RFMAggregator(window="1D").fit_transform(make(["2024-05-01"])).iloc[0]
    assert features.tolist() == [10.0, 0.0, 0.0]


def test_gross_and_net():
    """Gross sums absolute amounts, net signed ones."""
    histories = make(["2024-05-01", "2024-05-02"], a=[5.0, -2.0])
    assert RFMAggregator().fit_transform(histories)["monetary"].item() == 7.0
    assert RFMAggregator(monetary="net").fit_transform(histories)["monetary"].item() == 3.0


def test_windows_may_be_timedeltas():
    """A timedelta means the same as its text."""
    histories = make(["2024-05-01", "2024-05-10"])
    text = RFMAggregator(window="36h").fit_transform(histories)
    pd.testing.assert_frame_equal(
        RFMAggregator(window=dt.timedelta(hours=36)).fit_transform(histories), text
    )


def test_all_amounts_zero():
    """A log of zeros has features; only the trend, a share of nothing, is missing."""
    histories = make(["2024-05-01", "2024-05-02"], a=[0.0, 0.0])
    features = SpendAggregator(windows=(None,)).fit_transform(histories).iloc[0]
    assert features[features.isna()].index.tolist() == ["amount_trend"]


def test_missing_values_are_left_out_of_every_statistic():
    """A further column with gaps counts, averages and lasts over what is there."""
    histories = make(["2024-05-01", "2024-05-02", "2024-05-03"], balance=[1.0, 3.0, np.nan])
    stats = ("count", "mean", "last", "min", "max")
    spend = SpendAggregator(columns=("balance",), windows=(None,), stats=stats)
    assert spend.fit_transform(histories).iloc[0].tolist() == [2.0, 2.0, 3.0, 1.0, 3.0]


def test_trend_runs_from_long_ago_to_lately():
    """The trend is -1 where all was spent in the earlier half, and 1 where all in the later."""
    spend = SpendAggregator(windows=("10D",), stats=("trend",))
    early, late = make(["2024-05-01"]), make(["2024-05-10"])
    assert spend.fit_transform(early).iloc[0].item() == -1.0
    assert spend.fit_transform(late).iloc[0].item() == 1.0


def test_equally_frequent_levels():
    """Of equals the first in sorted order is the top level, whatever came first."""
    histories = make(["2024-05-01", "2024-05-02", "2024-05-03"], kind=["b", "a", None])
    features = CategoryAggregator(["kind"]).fit_transform(histories).iloc[0]
    assert features.tolist() == ["a", 2, 0.5]


@pytest.mark.parametrize(
    ("levels", "top"),
    [
        (pd.Categorical(["y", "y", "x"], categories=["unused", "y", "x"]), "y"),
        ([17, 17, 5], "17"),
        ([True, True, False], "true"),
    ],
)
def test_levels_of_several_types(levels, top):
    """Categories, integers and booleans are levels; the top one is text."""
    histories = make(["2024-05-01", "2024-05-02", "2024-05-03"], kind=levels)
    features = CategoryAggregator(["kind"]).fit_transform(histories)
    assert features["kind_top"].tolist() == [top]
    assert features["kind_top"].dtype == "str"


def test_categories_are_chosen_by_their_levels():
    """By default ids, constants, dates and numbers are left out."""
    n = 60
    log = pd.DataFrame(
        {
            "c": np.arange(n) % 7,
            "t": pd.date_range("2024-01-01", periods=n),
            "a": 1.0,
            "kind": np.where(np.arange(n) % 2, "x", "y"),
            "ticket": [f"T{k}" for k in range(n)],
            "constant": "same",
            "day": [f"2024-01-{1 + k % 9:02d}" for k in range(n)],
            "code": np.arange(n) % 3,
        }
    )
    category = CategoryAggregator().fit(to_histories(log, **ROLES))
    assert category.columns_ == ["kind"]


@pytest.mark.parametrize("dtype", ["str", "category"])
@pytest.mark.parametrize(("n_levels", "taken"), [(1, []), (2, ["kind"]), (50, ["kind"]), (51, [])])
def test_a_field_of_2_to_50_levels_is_taken(n_levels, taken, dtype):
    """Text and categories alike, however often each level occurs."""
    kinds = pd.Series([f"k{number % n_levels}" for number in range(120)], dtype=dtype)
    histories = make(pd.date_range("2024-01-01", periods=120), kind=kinds)
    assert CategoryAggregator().fit(histories).columns_ == taken


def test_categories_that_are_dates_are_left_out():
    """Days are no levels, as categories neither."""
    days = pd.Series(["2024-01-01", "2024-01-02"] * 5, dtype="category")
    histories = make(pd.date_range("2024-01-01", periods=10), day=days)
    assert CategoryAggregator().fit(histories).columns_ == []


def test_a_new_level_is_taken_as_it_is():
    """Levels that fit has not seen are no error."""
    category = CategoryAggregator(["kind"]).fit(make(["2024-05-01"], kind=["x"]))
    assert category.transform(make(["2024-05-01"], kind=["new"]))["kind_top"].tolist() == ["new"]


def test_night_may_lie_within_a_day():
    """A night from 1 to 5 does not wrap around midnight."""
    histories = make(["2024-05-01T00:59", "2024-05-01T01:00", "2024-05-01T05:00"])
    night = TemporalAggregator(parts=("night",), night=(1, 5)).fit_transform(histories)
    np.testing.assert_allclose(night["night_share"], [1 / 3])
    night = TemporalAggregator(parts=("night",), night=(0, 1)).fit_transform(histories)
    np.testing.assert_allclose(night["night_share"], [1 / 3])
    night = TemporalAggregator(parts=("night",), night=(23, 0)).fit_transform(histories)
    np.testing.assert_allclose(night["night_share"], [0])


@pytest.mark.parametrize(
    ("aggregator", "message"),
    [
        (RFMAggregator(window="30"), "window must be a positive duration such as '30D'; got '30'"),
        (RFMAggregator(window=30), "window must be a positive duration such as '30D'; got 30"),
        (RFMAggregator(monetary="sum"), "'monetary' .* a str among {.*'gross'.*}. Got 'sum' "),
        (SpendAggregator(columns="amount"), "'columns' .* an array-like. Got 'amount' "),
        (SpendAggregator(windows="30D"), "'windows' .* an array-like. Got '30D' "),
        (SpendAggregator(windows=("x",)), "each of windows must be a positive duration"),
        (SpendAggregator(stats=("mode",)), r"stats \['mode'\] are unknown; allowed are"),
        (SpendAggregator(stats=None), "'stats' .* an array-like. Got None "),
        (SpendAggregator(columns=("balance",)), "no field 'balance'; they have"),
        (SpendAggregator(columns=("kind",)), "'kind' must be numeric to be summed"),
        (SpendAggregator(columns=("endless",)), "the field 'endless' holds infinite values"),
        (CategoryAggregator("kind"), "'columns' .* an array-like or None. Got 'kind' "),
        (CategoryAggregator(["amount"]), "must hold text, categories, booleans or integers"),
        (CategoryAggregator(["colour"]), "no field 'colour'; they have"),
        (TemporalAggregator(parts="hour"), "'parts' .* an array-like. Got 'hour' "),
        (TemporalAggregator(parts=("minute",)), "parts must be a list of any of"),
        (TemporalAggregator(night=(22, 24)), "night must be two hours from 0 to 23; got"),
        (TemporalAggregator(night=(-1, 5)), "night must be two hours from 0 to 23; got"),
        (TemporalAggregator(night=(22,)), "night must be two hours from 0 to 23; got"),
    ],
)
def test_parameters_are_checked_by_fit(aggregator, message):
    """A parameter that cannot be is refused with what was got and what is allowed."""
    with pytest.raises(ValueError, match=message):
        aggregator.fit(make(["2024-05-01"], kind=["x"], endless=[np.inf]))


def test_the_recipe_passes_its_options_on(histories):
    """customer_features hands numbers, windows and categories to its parts."""
    features = customer_features(
        monetary="net", numbers=["Value"], windows=("30D",), categories=["ChannelId"]
    ).fit_transform(histories)
    spend = [name for name in features if name.startswith("spend__")]
    assert "spend__Value_sum_30D" in spend
    assert all(name.endswith("_30D") for name in spend)
    assert [name for name in features if name.startswith("category__")] == [
        "category__ChannelId_top",
        "category__ChannelId_levels",
        "category__ChannelId_top_share",
    ]
    net = RFMAggregator(monetary="net").fit_transform(histories)["monetary"]
    np.testing.assert_array_equal(features["rfm__monetary"], net)


def test_no_categories_at_all(histories):
    """An empty list of categories gives no columns, and the rest as before."""
    features = customer_features(categories=[]).fit_transform(histories)
    assert not [name for name in features if name.startswith("category__")]
    assert len(features) == len(histories)


def test_a_log_without_further_columns_has_features():
    """Customer, time and amount are enough for the whole recipe."""
    features = customer_features().fit_transform(make(["2024-05-01", "2024-05-02"]))
    assert features.shape[0] == 1
    assert features["temporal__active_days"].tolist() == [2]


@pytest.mark.parametrize(
    "aggregator",
    [
        RFMAggregator(window="30D"),
        SpendAggregator(columns=("amount", "Value")),
        CategoryAggregator(),
        TemporalAggregator(),
    ],
)
def test_features_that_are_wanted_alone(histories, aggregator):
    """What is computed for a few names is what is computed for them among all."""
    aggregator.fit(histories)
    flat = flatten(histories)
    every = aggregator.compute(flat)
    assert list(every) == aggregator.get_feature_names_out().tolist()
    for names in (list(every)[:1], list(every)[1::3], []):
        few = aggregator.compute(flat, names)
        assert [name for name in few if name in names] == names
        for name in names:
            np.testing.assert_array_equal(few[name], every[name])
