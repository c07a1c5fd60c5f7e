"""The proxy target stacks outcome windows, and says what it left out and what decides it."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from rfmrisk import ProxyLabeler, ProxyTargetClassifier, RFMAggregator, rewind, to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.proxy.rule import label_rule
from rfmrisk.proxy.target import derive_target, label_again


@pytest.fixture(scope="module")
def histories():
    """Pack the histories of 400 customers over 180 days."""
    return to_histories(make_transactions(n_customers=400, random_state=0))


def small():
    return make_pipeline(RFMAggregator(), StandardScaler(), LogisticRegression())


def test_each_window_is_the_explicit_route(histories):
    """Each window's samples are those that its length and cut-off give alone."""
    target = derive_target(histories, outcome=("30D", "60D"), n_cutoffs=2)
    begin = 0
    for window in target.windows:
        own = slice(begin, begin + window.n_customers)
        begin = own.stop
        days = int(window.outcome[:-1])
        known = histories if window.back == 1 else rewind(histories, f"{days}D")
        past = rewind(histories, f"{days * window.back}D")
        labeler = make_pipeline(RFMAggregator(window=window.outcome), ProxyLabeler()).fit(known)
        pd.testing.assert_frame_equal(target.past.iloc[target.samples[own]], past)
        np.testing.assert_array_equal(target.y[own], labeler.predict(known.loc[past.index]))
        assert window.high_risk_share == target.y[own].mean()
    assert begin == len(target.y)
    assert [(w.outcome, w.back) for w in target.windows] == [
        ("30D", 1),
        ("30D", 2),
        ("60D", 1),
        ("60D", 2),
    ]


def test_a_cut_off_is_computed_once(histories):
    """The view of 60 days ago serves two windows of 30 days and one of 60."""
    target = derive_target(histories, outcome=("30D", "60D"), n_cutoffs=2)
    moments = (histories["as_of"].iloc[0] - target.past["as_of"]).dt.days
    assert moments.value_counts().index.tolist() == [30, 60, 120]
    assert len(np.unique(target.samples)) == len(target.past)
    pd.testing.assert_index_equal(histories.index[target.rows], target.past.index)


def test_the_first_step_sees_each_cut_off_once(histories):
    """A pipeline's features are computed of the views, and give what all samples give."""
    seen = []

    class Counting(RFMAggregator):
        def transform(self, histories):
            seen.append(len(histories))
            return super().transform(histories)

    target = derive_target(histories, outcome=("30D", "60D"), n_cutoffs=2)
    model = make_pipeline(Counting(), StandardScaler(), LogisticRegression())
    ours = ProxyTargetClassifier(model, outcome=("30D", "60D"), n_cutoffs=2).fit(histories)
    assert seen == [len(target.past)]
    explicit = small().fit(target.past.iloc[target.samples], target.y)
    np.testing.assert_allclose(
        ours.predict_proba(histories), explicit.predict_proba(histories), rtol=1e-9
    )


def test_a_customer_stays_in_one_fold_of_an_inner_search(histories):
    """A number of folds inside stands for folds of customers, and is a number again after it."""

    class Watching(DecisionTreeClassifier):
        def fit(self, X, y, sample_weight=None, check_input=True):
            fitted_on.append(frozenset(X.index))
            return super().fit(X, y, sample_weight, check_input)

    fitted_on: list = []
    pipeline = make_pipeline(
        RFMAggregator(),
        GridSearchCV(Watching(), {"max_depth": [2]}, cv=3),
    )
    model = ProxyTargetClassifier(pipeline, outcome="30D", n_cutoffs=3).fit(histories)
    target = derive_target(histories, outcome="30D", n_cutoffs=3)
    everybody = set(target.customers)
    *inner, last = fitted_on
    assert last == everybody
    held_out = [everybody - fold for fold in inner]
    assert sum(map(len, held_out)) == len(everybody)
    assert set().union(*held_out) == everybody
    assert model.classifier_[-1].cv == 3


def test_lengths_that_do_not_fit_are_named(histories):
    """A length without as much of the log before it is left out, with the reason."""
    late = rewind(histories, "80D")
    target = derive_target(late, outcome=("30D", "60D"))
    assert target.outcome == ["30D"]
    assert target.left_out == ["60D: the log, of 100 days, is shorter than two"]
    model = ProxyTargetClassifier(small(), outcome=("30D", "60D")).fit(late)
    assert model.outcome_ == ["30D"]
    assert model.left_out_ == target.left_out


def test_a_degenerate_window_is_left_out(histories):
    """A window that flags nearly all is named and left out; the others are kept without a word."""
    last = histories["as_of"].iloc[0]
    log = make_transactions(n_customers=400, random_state=0)
    moments = pd.to_datetime(log["TransactionStartTime"]).dt.tz_localize(None)
    quiet = (moments >= last - pd.Timedelta("30D")) & ~log["CustomerId"].str.endswith("7")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        target = derive_target(to_histories(log[~quiet], as_of=last), outcome="30D")
    assert [window.back for window in target.windows] == [2, 3]
    assert target.left_out[0].startswith("30D from 30 days before as_of: 9")
    assert target.left_out[0].endswith("flagged high-risk (the label is degenerate)")


def test_other_histories_are_labelled_as_they_were(histories):
    """The labelers of a fit label the same customers the same, and some of them as among all."""
    target = derive_target(histories)
    again = label_again(histories, target.windows)
    np.testing.assert_array_equal(again.y, target.y)
    few = label_again(histories.iloc[:50], target.windows)
    whole = target.per_customer()
    pd.testing.assert_frame_equal(few.per_customer(), whole.loc[few.per_customer().index])


def test_the_label_of_a_customer_is_a_share(histories):
    """It is the share of the windows in which the customer was in the least engaged cluster."""
    target = derive_target(histories)
    shares = target.per_customer()
    customer = shares.index[7]
    own = target.y[target.customers == customer]
    assert shares.loc[customer].tolist() == [len(own), own.sum(), own.mean()]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outcome": ()}, "or several; got none"),
        ({"outcome": ("30D", "720h")}, "must differ"),
        ({"outcome": ("30D", None)}, "must be a positive duration"),
        ({"outcome": ("30D", "auto")}, "must be a positive duration"),
        ({"n_cutoffs": 0}, r"'n_cutoffs' .* int in the range \[1, inf\). Got 0 "),
        ({"n_cutoffs": True}, "'n_cutoffs' .* int in .* Got True "),
    ],
)
def test_wrong_parameters_are_named(histories, options, message):
    """What was got and what is allowed."""
    with pytest.raises(ValueError, match=message):
        derive_target(histories, **options)


def test_a_label_of_absence_says_so():
    """Where the label is who stayed away, K-Means decides nothing."""
    rfm = pd.DataFrame({"recency": [1.0, 2.0, 40.0, 50.0], "frequency": [5, 1, 0, 0]})
    rule = label_rule(rfm, np.array([0, 0, 1, 1]))
    assert rule.is_absence
    assert rule.text.startswith("high-risk is who had no transaction in the window, for 100.0%")


def test_one_threshold_is_named():
    """A label that one column gives says which, from where on, and of how many."""
    rng = np.random.default_rng(0)
    rfm = pd.DataFrame(
        {"recency": rng.uniform(0, 9, 1_000), "frequency": rng.integers(1, 9, 1_000)}
    )
    y = (rfm["recency"] >= 6).to_numpy(dtype=int)
    y[:5] = 1 - y[:5]
    rule = label_rule(rfm, y)
    assert (rule.column, rule.above, rule.is_absence) == ("recency", True, False)
    assert rule.threshold == pytest.approx(6, abs=0.05)
    assert rule.share >= 0.99
    low = label_rule(rfm, (rfm["recency"] < 3).to_numpy(dtype=int))
    assert low.text.startswith("high-risk is whose recency is below 3.0")


def test_a_label_of_several_columns_has_no_rule():
    """Where no threshold gives 99 % of the labels, there is nothing to say."""
    rng = np.random.default_rng(0)
    rfm = pd.DataFrame({"recency": rng.random(500), "monetary": rng.random(500)})
    assert label_rule(rfm, (rfm.sum(axis=1) > 1).to_numpy(dtype=int)) is None
