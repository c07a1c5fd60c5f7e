"""The sample bank looks like a bank, repeats itself on demand, and hides a default."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from rfmrisk.datasets import make_transactions
from tests.conftest import examples

DTYPES = {
    "TransactionId": "str",
    "BatchId": "str",
    "AccountId": "str",
    "SubscriptionId": "str",
    "CustomerId": "str",
    "CurrencyCode": "str",
    "CountryCode": "int64",
    "ProviderId": "str",
    "ProductId": "str",
    "ProductCategory": "str",
    "ChannelId": "str",
    "Amount": "float64",
    "Value": "int64",
    "TransactionStartTime": "str",
    "PricingStrategy": "int64",
    "FraudResult": "int64",
}


@pytest.fixture(scope="module")
def log():
    return make_transactions(4_000, random_state=0)


@pytest.fixture(scope="module")
def days(log):
    """Transactions on each day of the log."""
    dates = pd.to_datetime(log["TransactionStartTime"]).dt.tz_localize(None).dt.normalize()
    return dates.value_counts().sort_index()


def behaviour(log, as_of):
    """Compute a few plain features of each customer from the transactions before `as_of`."""
    log = log.assign(
        time=pd.to_datetime(log["TransactionStartTime"]).dt.tz_localize(None),
        size=log["Amount"].abs(),
        refund=log["Amount"] < 0,
        cash=log["ProductCategory"] == "financial_services",
    )
    log = log[log["time"] < as_of]
    log["age"] = (as_of - log["time"]) / pd.Timedelta("1D")
    log["night"] = log["time"].dt.hour < 6
    log["last_month"] = log["age"] < 30
    log["last_quarter"] = log["age"] < 90
    by_customer = log.groupby("CustomerId")
    return pd.DataFrame(
        {
            "recency": by_customer["age"].min(),
            "tenure": by_customer["age"].max(),
            "frequency": by_customer.size(),
            "monetary": by_customer["size"].sum(),
            "mean": by_customer["size"].mean(),
            "last": by_customer["size"].last(),
            "refund": by_customer["refund"].mean(),
            "cash": by_customer["cash"].mean(),
            "night": by_customer["night"].mean(),
            "last_month": by_customer["last_month"].sum(),
            "last_quarter": by_customer["last_quarter"].sum(),
        }
    )


def held_out_auc(features, outcome):
    forest = RandomForestClassifier(100, min_samples_leaf=10, random_state=0)
    scores = cross_val_predict(forest, features, outcome, cv=3, method="predict_proba")
    return roc_auc_score(outcome, scores[:, 1])


def test_the_same_seed_gives_the_same_log():
    """A seed fixes the log and the defaults to the last bit; another seed gives others."""
    log, defaults = make_transactions(100, random_state=1, return_defaults=True)
    again, defaults_again = make_transactions(100, random_state=1, return_defaults=True)
    pd.testing.assert_frame_equal(log, again)
    pd.testing.assert_series_equal(defaults, defaults_again)
    pd.testing.assert_frame_equal(log, make_transactions(100, random_state=1))
    assert not log.equals(make_transactions(100, random_state=2))


def test_a_generator_is_drawn_from():
    """A generator gives the log of its seed first and another log afterwards."""
    rng = np.random.default_rng(1)
    first, second = (
        make_transactions(100, random_state=rng),
        make_transactions(100, random_state=rng),
    )
    pd.testing.assert_frame_equal(first, make_transactions(100, random_state=1))
    assert not first.equals(second)


def test_without_a_seed_every_log_is_another():
    """No seed, no repetition."""
    assert not make_transactions(50).equals(make_transactions(50))


def test_columns_are_those_of_the_xente_log(log):
    """All columns are there, in order and with the types that reading a CSV would give."""
    assert log.dtypes.astype(str).to_dict() == DTYPES
    assert list(log.columns) == list(DTYPES)
    assert not log.isna().any(axis=None)
    assert log.index.equals(pd.RangeIndex(len(log)))


@pytest.mark.parametrize("column", [name for name in DTYPES if name.endswith("Id")])
def test_ids_are_a_kind_and_a_number(log, column):
    """Every id reads like `CustomerId_4406`."""
    assert log[column].str.fullmatch(rf"{column}_[1-9]\d*").all()


def test_ids_name_what_they_should(log):
    """A transaction has an id of its own, a product one category, a customer one account."""
    assert log["TransactionId"].is_unique
    assert log["CustomerId"].nunique() == 4_000
    assert log.groupby("ProductId")["ProductCategory"].nunique().max() == 1
    assert log.groupby("CustomerId")["AccountId"].nunique().max() == 1
    assert log.groupby("AccountId")["CustomerId"].nunique().max() == 1
    assert log["ProductCategory"].nunique() == 9


def test_times_are_text_in_order_within_the_period(log):
    """The log runs by time from its first day to its last."""
    times = pd.to_datetime(log["TransactionStartTime"], format="%Y-%m-%dT%H:%M:%SZ")
    assert times.is_monotonic_increasing
    assert times.min().normalize() == pd.Timestamp("2018-11-15")
    assert times.max().normalize() == pd.Timestamp("2018-11-15") + pd.Timedelta(days=179)


@pytest.mark.parametrize("start", ["2020-02-01", dt.date(2020, 2, 1), pd.Timestamp("2020-02-01")])
def test_the_period_can_be_chosen(start):
    """The first day may be text or a date, and the log keeps to its number of days."""
    log = make_transactions(500, start=start, days=30, random_state=0)
    dates = log["TransactionStartTime"].str[:10]
    assert (dates.min(), dates.max()) == ("2020-02-01", "2020-03-01")


def test_value_is_the_absolute_amount_with_charges(log):
    """Value is never below the absolute amount, mostly equals it, and adds 3 % at most."""
    size = log["Amount"].abs()
    assert (log["Value"] >= size).all()
    assert 0.7 < (log["Value"] == size).mean() < 0.9
    assert (log["Value"] <= np.ceil(size * 1.03)).all()


def test_a_few_customers_spend_enormously(log):
    """The top 1 % of the customers hold a good part of all spending."""
    spending = log["Amount"].abs().groupby(log["CustomerId"]).sum().sort_values()
    assert 0.2 < spending.iloc[-40:].sum() / spending.sum() < 0.6


def test_many_customers_buy_once_or_a_few_times(log):
    """Frequency is heavy-tailed: many at three transactions or fewer, some at hundreds."""
    frequency = log["CustomerId"].value_counts()
    assert 0.05 < (frequency == 1).mean() < 0.25
    assert 0.2 < (frequency <= 3).mean() < 0.5
    assert frequency.max() > 20 * frequency.median()


def test_refunds_give_a_purchase_back(log):
    """A few percent of the rows are refunds, later than and not above the purchase they undo."""
    refunds, purchases = log[log["Amount"] < 0], log[log["Amount"] > 0]
    assert len(refunds) + len(purchases) == len(log)
    assert 0.01 < len(refunds) / len(log) < 0.06
    both = refunds.merge(purchases, on="BatchId", suffixes=("", "_bought"), validate="1:1")
    assert len(both) == len(refunds)
    assert (both["CustomerId"] == both["CustomerId_bought"]).all()
    assert (both["ProductId"] == both["ProductId_bought"]).all()
    assert (-both["Amount"] <= both["Amount_bought"]).all()
    assert (both["TransactionStartTime"] > both["TransactionStartTime_bought"]).all()


def test_fraud_is_rare(log):
    """A little fraud is flagged."""
    assert 0.0005 < log["FraudResult"].mean() < 0.005


def test_the_day_peaks_in_the_evening(log):
    """The evening is busier than noon, and noon than the night."""
    hour = log["TransactionStartTime"].str[11:13].astype(int)
    evening, noon, night = (hour.between(a, a + 2).mean() for a in (18, 11, 2))
    assert evening > 1.2 * noon > 2.4 * night


def test_the_weekend_dips_and_pay_day_peaks(days):
    """Saturdays and Sundays are quieter than other days, the days around pay day busier."""
    weekend = days.index.day_of_week >= 5
    payday = (days.index.day >= 26) | (days.index.day <= 2)
    assert days[weekend & ~payday].mean() < 0.95 * days[~weekend & ~payday].mean()
    assert days[payday].mean() > 1.3 * days[~payday].mean()


def test_customers_arrive_and_fall_silent(log):
    """Some customers are first seen late and some last seen early."""
    dates = (
        pd.to_datetime(log["TransactionStartTime"]).groupby(log["CustomerId"]).agg(["min", "max"])
    )
    middle = pd.Timestamp("2019-02-13", tz="UTC")
    assert 0.1 < (dates["min"] > middle).mean() < 0.5
    assert 0.1 < (dates["max"] < middle).mean() < 0.5


def test_customers_have_habits(log):
    """A customer keeps to few categories and to one channel; the bank as a whole does not."""
    busy = log[log.groupby("CustomerId")["CustomerId"].transform("size") >= 20]
    for column, least in [("ProductCategory", 0.5), ("ChannelId", 0.8)]:
        counts = busy.groupby(["CustomerId", column]).size()
        share_of_top = counts.groupby("CustomerId").max() / counts.groupby("CustomerId").sum()
        assert share_of_top.mean() > least
        assert log[column].value_counts(normalize=True).max() < share_of_top.mean() - 0.1


def test_defaults_are_one_for_each_customer():
    """Every customer of the log, and no other, has a default of 0 or 1."""
    log, defaults = make_transactions(1_000, random_state=0, return_defaults=True)
    assert defaults.name == "default"
    assert defaults.index.name == "CustomerId"
    assert defaults.index.is_unique
    assert defaults.index.dtype == log["CustomerId"].dtype
    assert set(defaults.index) == set(log["CustomerId"])
    assert defaults.dtype == "int64"
    assert set(defaults) == {0, 1}


@pytest.mark.parametrize("default_rate", [0.02, 0.1, 0.4])
def test_the_default_rate_is_what_was_asked_for(default_rate):
    """The share of defaults meets the rate within sampling error, and the log stays the same."""
    log, defaults = make_transactions(
        5_000, default_rate=default_rate, random_state=0, return_defaults=True
    )
    error = np.sqrt(default_rate * (1 - default_rate) / 5_000)
    assert abs(defaults.mean() - default_rate) < 3 * error
    pd.testing.assert_frame_equal(log, make_transactions(5_000, random_state=0))


def test_the_same_customers_default_at_every_strength():
    """The effect of risk on behaviour changes the log, never the defaults."""
    log, defaults = make_transactions(500, random_state=0, return_defaults=True)
    other, same = make_transactions(500, risk_effect=0, random_state=0, return_defaults=True)
    pd.testing.assert_series_equal(defaults, same)
    assert not log.equals(other)


def test_behaviour_tells_of_default():
    """Recency ranks the defaults somewhat, a model of several features better, neither well."""
    log, defaults = make_transactions(4_000, random_state=0, return_defaults=True)
    features = behaviour(log, pd.Timestamp("2019-05-14")).loc[defaults.index]
    assert 0.58 < roc_auc_score(defaults, features["recency"]) < 0.68
    assert 0.70 < held_out_auc(features, defaults) < 0.80


@pytest.mark.slow
def test_behaviour_tells_nothing_of_default_without_an_effect():
    """At a strength of zero no feature ranks the defaults, alone or together."""
    log, defaults = make_transactions(
        10_000, risk_effect=0, default_rate=0.5, random_state=0, return_defaults=True
    )
    features = behaviour(log, pd.Timestamp("2019-05-14")).loc[defaults.index]
    five_errors = 5 * np.sqrt(1 / 12 * (1 / 5_000 + 1 / 5_000))  # of a Mann-Whitney AUC: 0.029
    for name in features:
        assert abs(roc_auc_score(defaults, features[name]) - 0.5) < five_errors, name
    assert abs(held_out_auc(features, defaults) - 0.5) < five_errors


def test_absence_can_be_predicted_beyond_recency(log):
    """Who buys nothing in the last 30 days is known better from all features than from recency."""
    cutoff = pd.Timestamp("2019-04-14")
    past = behaviour(log, cutoff)
    recency_now = behaviour(log, pd.Timestamp("2019-05-14"))["recency"].loc[past.index]
    absent = recency_now > 30
    assert 0.25 < absent.mean() < 0.6
    assert held_out_auc(past, absent) > roc_auc_score(absent, past["recency"]) + 0.01


@settings(max_examples=examples(40), deadline=None)
@given(
    n_customers=st.integers(1, 30),
    days=st.integers(1, 400),
    risk_effect=st.floats(0, 5),
    seed=st.integers(0, 2**32),
)
def test_any_parameters_allowed_give_a_sound_log(n_customers, days, risk_effect, seed):
    """Every customer is there, in the period, with finite amounts, whatever is asked for."""
    log, defaults = make_transactions(
        n_customers, days=days, risk_effect=risk_effect, random_state=seed, return_defaults=True
    )
    assert set(log["CustomerId"]) == set(defaults.index)
    assert len(defaults) == n_customers
    assert np.isfinite(log["Amount"]).all()
    assert (log["Amount"].abs() >= 1).all()
    assert (log["Value"] >= log["Amount"].abs()).all()
    assert (log["Value"] < 1e12).all()
    times = pd.to_datetime(log["TransactionStartTime"]).dt.tz_localize(None)
    assert times.is_monotonic_increasing
    assert times.between("2018-11-15", pd.Timestamp("2018-11-15") + pd.Timedelta(days=days)).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_customers": 0}, ValueError, r"'n_customers' .* int in the range \[1, inf\). Got 0 "),
        ({"n_customers": 10.0}, TypeError, r"'n_customers' .* int in .* Got 10\.0 "),
        ({"n_customers": True}, TypeError, r"'n_customers' .* int in .* Got True "),
        ({"n_customers": "10"}, TypeError, r"'n_customers' .* int in .* Got '10' "),
        ({"days": 0}, ValueError, r"'days' .* int in the range \[1, 3650\]. Got 0 "),
        ({"days": 4_000}, ValueError, r"'days' .* int in .* 3650\]. Got 4000 "),
        ({"days": 1.5}, TypeError, r"'days' .* int in .* 3650\]. Got 1\.5 "),
        ({"risk_effect": -0.1}, ValueError, r"'risk_effect' .* \[0\.0, 5\.0\]. Got -0\.1 "),
        ({"risk_effect": np.nan}, ValueError, r"'risk_effect' .* \[0\.0, 5\.0\]. Got nan "),
        ({"risk_effect": "1"}, TypeError, r"'risk_effect' .* \[0\.0, 5\.0\]. Got '1' "),
        ({"default_rate": 0}, ValueError, r"'default_rate' .* \(0\.0, 1\.0\). Got 0 "),
        ({"default_rate": 1.0}, ValueError, "'default_rate' parameter .* Got 1.0 "),
        ({"default_rate": None}, TypeError, "'default_rate' parameter .* Got None "),
        (
            {"random_state": -1},
            ValueError,
            r"'random_state' .* int in the range \[0, inf\).* Got -1 ",
        ),
        ({"random_state": 1.5}, TypeError, "'random_state' .*Generator.* or None. Got 1.5 "),
        ({"start": "soon"}, ValueError, "start must be a day such as '2018-11-15'.* got 'soon'"),
        ({"start": "2018-11-15T12:00"}, ValueError, "without a time or a zone; got"),
        ({"start": "2018-11-15T00:00Z"}, ValueError, "without a time or a zone; got"),
        ({"start": "NaT"}, ValueError, "start must be a day"),
        ({"start": 2018}, TypeError, "start must be a day such as '2018-11-15'.* got 2018"),
    ],
)
def test_bad_input_is_named(arguments, error, message):
    """An error says which parameter was wrong, what was got and what is allowed."""
    with pytest.raises(error, match=message):
        make_transactions(**arguments)
