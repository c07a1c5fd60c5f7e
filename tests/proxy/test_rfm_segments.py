"""RFMSegments reads RFM as marketing does: quintile scores and named segments."""

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.utils.estimator_checks import check_estimator

from rfmrisk import RFMAggregator, to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.proxy import RFMSegments


@pytest.fixture(scope="module")
def rfm():
    """RFM of the sample bank."""
    return RFMAggregator().fit_transform(
        to_histories(make_transactions(n_customers=500, random_state=0))
    )


def test_scores_are_quintiles(rfm):
    """Five equal groups where values differ; 5 is recent and high."""
    scores = RFMSegments().fit_transform(rfm)
    assert scores["recency_score"].value_counts().tolist() == [100] * 5
    assert rfm["recency"].groupby(scores["recency_score"]).median().is_monotonic_decreasing
    assert rfm["monetary"].groupby(scores["monetary_score"]).median().is_monotonic_increasing
    assert scores.index.equals(rfm.index)


def test_cut_points_are_frozen(rfm):
    """The next sample is scored by the cut points of the first."""
    segments = RFMSegments().fit(rfm.iloc[:250])
    together = segments.transform(rfm)
    apart = pd.concat([segments.transform(rfm.iloc[:400]), segments.transform(rfm.iloc[400:])])
    pd.testing.assert_frame_equal(together, apart)
    richer = segments.transform(rfm.assign(monetary=rfm["monetary"] * 1e6))
    assert (richer["monetary_score"] == 5).all()


def test_equal_customers_have_equal_scores():
    """Half of the customers with one purchase share a score."""
    rfm = pd.DataFrame({"recency": range(10), "frequency": [1] * 6 + [2, 3, 4, 5], "monetary": 1.0})
    scores = RFMSegments().fit_transform(rfm)
    assert scores["frequency_score"].tolist() == [1] * 6 + [4, 4, 5, 5]
    assert set(scores["monetary_score"]) == {1}


@pytest.mark.parametrize(
    ("scores", "name"),
    [
        ((5, 5, 5), "champions"),
        ((5, 1, 1), "new customers"),
        ((4, 1, 1), "promising"),
        ((3, 3, 3), "need attention"),
        ((1, 5, 5), "can't lose"),
        ((2, 3, 4), "at risk"),
        ((1, 1, 2), "hibernating"),
        ((3, 1, 1), "about to sleep"),
        ((4, 5, 4), "loyal customers"),
        ((5, 2, 3), "potential loyalists"),
    ],
)
def test_the_usual_names(scores, name):
    """Each pair of scores has the name that users of RFM tools expect."""
    steps = np.arange(5.0)
    segments = RFMSegments().fit(
        pd.DataFrame({"recency": steps, "frequency": steps, "monetary": steps})
    )
    r, f, m = scores
    customer = pd.DataFrame({"recency": [5.0 - r], "frequency": [f - 1.0], "monetary": [m - 1.0]})
    assert segments.transform(customer).to_numpy().tolist() == [list(scores)]
    assert segments.segment(customer).tolist() == [name]


def test_no_history_has_a_name_of_its_own(rfm):
    """Scores 0, and no part in the cut points."""
    newcomer = pd.DataFrame({"recency": [np.nan], "frequency": [0], "monetary": [0.0]})
    both = pd.concat([rfm, newcomer])
    segments, without = RFMSegments().fit(both), RFMSegments().fit(rfm)
    for name, cuts in segments.cut_points_.items():
        np.testing.assert_array_equal(cuts, without.cut_points_[name])
    assert segments.transform(newcomer).to_numpy().tolist() == [[0, 0, 0]]
    assert segments.segment(newcomer).tolist() == ["no history"]
    assert segments.segment_profile(both).index[-1] == "no history"
    assert segments.segment_profile(both)["size"].sum() == len(both)


def test_a_skops_round_trip_gives_the_same(rfm):
    """Only the estimator itself has to be trusted."""
    segments = RFMSegments().fit(rfm)
    loaded = skops.io.loads(
        skops.io.dumps(segments), trusted=["rfmrisk.proxy.rfm_segments.RFMSegments"]
    )
    np.testing.assert_array_equal(loaded.segment(rfm), segments.segment(rfm))


@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_finds_nothing_to_complain_about():
    """All of check_estimator passes."""
    check_estimator(RFMSegments())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X.assign(recency=np.nan), "none of the 500 customers has a history"),
        (lambda X: X.assign(frequency=np.nan), r"missing values \(NaN\) by column: {'frequency'"),
        (lambda X: X.assign(age=1), "have no direction"),
    ],
)
def test_bad_tables_are_refused(rfm, change, message):
    """Each gets one clear error."""
    with pytest.raises(ValueError, match=message):
        RFMSegments().fit(change(rfm))
