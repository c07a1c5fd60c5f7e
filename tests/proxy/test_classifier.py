"""ProxyTargetClassifier is the explicit route in one estimator, and honest in time."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from rfmrisk import (
    ProxyLabeler,
    ProxyTargetClassifier,
    RFMAggregator,
    WOEEncoder,
    customer_features,
    rewind,
    to_histories,
)
from rfmrisk.datasets import make_transactions
from rfmrisk.histories.flat import flatten
from tests.conftest import examples


@pytest.fixture(scope="module")
def log():
    """Make a log of 400 customers."""
    return make_transactions(n_customers=400, random_state=0)


@pytest.fixture(scope="module")
def histories(log):
    """Pack its histories."""
    return to_histories(log)


def scorecard():
    return make_pipeline(customer_features(), WOEEncoder(), LogisticRegression())


def small():
    return make_pipeline(RFMAggregator(), StandardScaler(), LogisticRegression())


def test_it_equals_the_explicit_route(histories):
    """Rewind, label by the outcome window and fit by hand: the same bits."""
    past = rewind(histories, "30D")
    labels = make_pipeline(RFMAggregator(window="30D"), ProxyLabeler()).fit(histories)
    y = labels.predict(histories.loc[past.index])
    explicit = scorecard().fit(past, y)
    ours = ProxyTargetClassifier(scorecard(), outcome="30D", n_cutoffs=1).fit(histories)
    np.testing.assert_array_equal(ours.predict_proba(histories), explicit.predict_proba(histories))
    np.testing.assert_array_equal(ours.predict(histories), explicit.predict(histories))


@settings(max_examples=examples(15), deadline=None)
@given(data=st.data())
def test_the_future_reaches_no_feature(log, histories, data):
    """Whatever happens after the cut-off, what was known before it is bit-for-bit the same."""
    cut = histories["as_of"].iloc[0] - pd.Timedelta("30D")
    after = pd.to_datetime(log["TransactionStartTime"], utc=True).dt.tz_localize(None) >= cut
    seed = data.draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    changed = log.copy()
    changed.loc[after, "Amount"] = rng.normal(0, 10 ** rng.uniform(0, 9), int(after.sum()))
    drop = changed.index[after][rng.random(int(after.sum())) < rng.random()]
    changed = changed.drop(index=drop)
    perturbed = to_histories(changed, as_of=histories["as_of"].iloc[0])
    features = customer_features()
    expected = features.fit_transform(rewind(histories, "30D"))
    got = features.fit_transform(rewind(perturbed, "30D"))
    pd.testing.assert_frame_equal(got, expected, check_exact=True)


def test_a_grid_search_needs_no_target(histories):
    """GridSearchCV with y=None scores each fold by labels of its own."""
    search = GridSearchCV(
        ProxyTargetClassifier(small()), {"classifier__logisticregression__C": [0.01, 1.0]}, cv=3
    ).fit(histories)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert 0.5 < search.best_score_ <= 1
    assert search.predict_proba(histories).shape == (len(histories), 2)


def test_score_is_the_auc_of_its_own_labels(histories):
    """Score without y derives the target; with y it compares with y."""
    model = ProxyTargetClassifier(small(), outcome="30D", n_cutoffs=1).fit(histories)
    past = rewind(histories, "30D")
    y = model.labeler_.predict(histories.loc[past.index])
    assert model.score(histories) == model.score(past, y)


def test_a_labeler_and_a_pipeline_of_labels_can_be_given(histories):
    """A labeler gets RFM over the outcome window; a pipeline looks after its own windows."""
    by_labeler = ProxyTargetClassifier(
        small(), ProxyLabeler(strategy="share", share=0.3), outcome="60D"
    ).fit(histories)
    by_pipeline = ProxyTargetClassifier(
        small(),
        make_pipeline(RFMAggregator(window="60D"), ProxyLabeler(strategy="share", share=0.3)),
        outcome="60D",
    ).fit(histories)
    np.testing.assert_array_equal(
        by_labeler.predict_proba(histories), by_pipeline.predict_proba(histories)
    )
    assert by_labeler.labeler_[-1].flagged_share_ == pytest.approx(0.3, abs=0.01)


def test_the_window_can_be_chosen_by_the_log(histories):
    """outcome="auto" takes what suggest_outcome says."""
    model = ProxyTargetClassifier(small(), outcome="auto").fit(histories)
    assert model.outcome_ in {"7D", "14D", "30D", "60D", "90D"}


def test_a_classifier_without_probabilities_works(histories):
    """Methods follow those of the classifier."""
    model = ProxyTargetClassifier(make_pipeline(RFMAggregator(), StandardScaler(), LinearSVC()))
    model.fit(histories)
    assert not hasattr(model, "predict_proba")
    assert model.decision_function(histories).shape == (len(histories),)
    assert 0 <= model.score(histories) <= 1


def test_a_target_of_ones_own_is_said_to_be_unused(histories):
    """Y is never silently ignored."""
    with pytest.warns(UserWarning, match="y is not used"):
        ProxyTargetClassifier(small()).fit(histories, np.zeros(len(histories)))


def monthly(*months):
    """Make twenty customers who buy on a day of their own in each of the months."""
    return to_histories(
        pd.DataFrame(
            [
                {"CustomerId": c, "TransactionStartTime": f"2024-{m:02}-{c:02}", "Amount": c * m}
                for c in range(1, 21)
                for m in months
            ]
        ),
        as_of="2024-06-01",
    )


def test_a_window_in_which_nobody_bought_is_refused():
    """A label from it would be a function of what was known before."""
    with pytest.raises(ValueError, match="none of the 20 customers known 30D earlier bought"):
        ProxyTargetClassifier(small(), outcome="30D", n_cutoffs=1).fit(monthly(1, 2, 3))


def test_a_window_in_which_everybody_bought_is_said():
    """Nobody stayed away: it trains, with a warning."""
    with pytest.warns(UserWarning, match="all 20 customers .* bought in the outcome window"):
        ProxyTargetClassifier(small(), outcome="40D", n_cutoffs=1).fit(monthly(3, 4, 5))


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        ("900D", "no customer was known 900D earlier"),
        ("soon", "must be a positive duration"),
        ("-30D", "must be a positive duration"),
        (30, "must be a positive duration"),
    ],
)
def test_bad_windows_are_refused(histories, outcome, message):
    """Too long, unreadable, negative or a bare number."""
    with pytest.raises(ValueError, match=message):
        ProxyTargetClassifier(small(), outcome=outcome, n_cutoffs=1).fit(histories)


def test_one_class_is_refused(histories):
    """A label that is the same for all customers cannot train a classifier."""

    class OneClass(ProxyLabeler):
        def predict(self, X):
            return np.zeros(len(X), dtype=int)

    with pytest.raises(ValueError, match="have the label 0"):
        ProxyTargetClassifier(small(), OneClass()).fit(histories)


def test_newcomers_are_predicted_too(histories):
    """A customer without any history has a probability, not an error."""
    empty = histories.iloc[:2].copy()
    kind = pa.array(empty["history"].array).type
    empty["history"] = pd.arrays.ArrowExtensionArray(pa.array([[], []], type=kind))
    assert not len(flatten(empty).times)
    model = ProxyTargetClassifier(scorecard()).fit(histories)
    assert np.isfinite(model.predict_proba(empty)).all()
