"""Points that mean something: calibration to new outcomes, ranges, base points."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from rfmrisk import Scorecard
from rfmrisk.scorecard import probability_to_score, score_to_probability


def draw(n, intercept, slope, seed):
    """Make customers of whom more or fewer are bad."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n, 3)).round(2), columns=["a", "b", "c"])
    y = (rng.random(n) < expit(intercept - slope * (X["a"] + 0.5 * X["b"]))).astype(int)
    return X, y


@pytest.fixture(scope="module")
def sample():
    """Make a training sample with 25 % bads."""
    return draw(6_000, -1.3, 1.0, 0)


@pytest.fixture(scope="module")
def new():
    """Make a later sample with fewer bads, less told apart."""
    return draw(6_000, -3.0, 0.6, 1)


@pytest.fixture(scope="module")
def card(sample):
    """Fit a scorecard."""
    return Scorecard().fit(*sample)


def mean_bad(card, X):
    """Return the mean probability of being bad."""
    return card.predict_proba(X)[:, 1].mean()


class TestCalibrate:
    """A new card from new outcomes."""

    def test_fits_the_new_outcomes(self, card, new):
        """Probabilities are those of a logistic regression of the outcomes on the log-odds."""
        X, y = new
        fresh = card.calibrate(X, y)
        model = LogisticRegression(C=np.inf, tol=1e-10).fit(card.decision_function(X)[:, None], y)
        expected = model.predict_proba(card.decision_function(X)[:, None])[:, 1]
        assert fresh.predict_proba(X)[:, 1] == pytest.approx(expected, abs=1e-5)
        assert mean_bad(fresh, X) == pytest.approx(y.mean(), abs=1e-6)
        assert fresh.prior_ == pytest.approx(y.mean())
        assert (
            np.argsort(fresh.decision_function(X)).tolist()
            == np.argsort(card.decision_function(X)).tolist()
        )

    def test_points_are_issued_again_and_add_up(self, card, new):
        """Scores are sums of the new points, and say the new probabilities."""
        X, y = new
        fresh = card.calibrate(X, y)
        points = fresh.feature_points(X).sum(axis=1) + fresh.base_points_
        assert points.tolist() == fresh.predict_score(X).tolist()
        told = probability_to_score(fresh.predict_proba(X)[:, 1])
        assert np.abs(told - points).max() <= 2
        assert fresh.predict_score(X).tolist() != card.predict_score(X).tolist()

    def test_the_card_itself_stays(self, sample, new):
        """Calibration changes no card that is there."""
        card = Scorecard().fit(*sample)
        before = card.to_json()
        card.calibrate(*new)
        assert card.to_json() == before

    def test_json_and_sql_have_the_new_points(self, card, new):
        """A calibrated card is written as any other."""
        duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")
        X, y = new
        fresh = card.calibrate(X, y)
        again = Scorecard.from_json(fresh.to_json())
        assert again.predict_score(X).tolist() == fresh.predict_score(X).tolist()
        assert again.prior_ == fresh.prior_
        connection = duckdb.connect()
        connection.register("customers", X)
        scores = [row[0] for row in connection.sql(fresh.to_sql("duckdb")).fetchall()]
        assert scores == fresh.predict_score(X).tolist()

    def test_a_known_bad_rate_moves_the_odds(self, card, sample):
        """A prior alone multiplies all odds by the ratio of the odds of both rates."""
        X, y = sample
        rarer = card.calibrate(prior=0.03)
        moved = rarer.decision_function(X) - card.decision_function(X)
        assert moved == pytest.approx(logit(0.03) - logit(y.mean()), abs=1e-3)
        assert rarer.prior_ == 0.03

    def test_a_classifier_of_balanced_classes_stands_for_a_half(self, sample):
        """A known bad rate undoes weights of the classes."""
        X, y = sample
        balanced = Scorecard(classifier=LogisticRegression(class_weight="balanced")).fit(X, y)
        assert balanced.prior_ == pytest.approx(0.5, abs=0.02)
        assert mean_bad(balanced.calibrate(prior=y.mean()), X) == pytest.approx(y.mean(), abs=0.01)

    def test_a_prior_of_a_sample(self, card, new):
        """With X alone its mean probability is the prior; with y the sample's rate is replaced."""
        X, y = new
        assert mean_bad(card.calibrate(X, prior=0.1), X) == pytest.approx(0.1, abs=1e-9)
        both = card.calibrate(X, y, prior=0.02)
        moved = both.decision_function(X) - card.calibrate(X, y).decision_function(X)
        assert moved == pytest.approx(logit(0.02) - logit(y.mean()))

    def test_weights(self, card, new):
        """A weight of w is w customers."""
        X, y = new
        weight = np.arange(len(y)) % 3
        rows = np.repeat(np.arange(len(y)), weight)
        weighted = card.calibrate(X, y, sample_weight=weight)
        repeated = card.calibrate(X.iloc[rows], y.iloc[rows])
        assert weighted.intercept_ == pytest.approx(repeated.intercept_, abs=1e-6)
        assert weighted.coef_ == pytest.approx(repeated.coef_, abs=1e-6)

    def test_stability_is_that_of_the_training(self, card, sample):
        """Later scores are compared with those of the training, or of the new customers."""
        X, y = sample
        assert card.calibrate(prior=0.05).stability_report(X).loc["score", "psi"] == 0
        assert card.calibrate(X, y, prior=0.05).stability_report(X).loc["score", "psi"] == 0

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({}, "needs X and y, or a prior"),
            ({"prior": 1.0}, r"'prior' .* \(0\.0, 1\.0\) or None. Got 1\.0 "),
            ({"prior": True}, "'prior' .* Got True "),
            ({"y": [0, 1]}, "needs X and y"),
        ],
    )
    def test_refuses(self, card, arguments, message):
        """What says too little is an error."""
        with pytest.raises(ValueError, match=message):
            card.calibrate(**arguments)

    def test_outcomes_that_have_no_fit(self, card, new):
        """Outcomes that contradict the card, or fit it without an error, are refused."""
        X, y = new
        with pytest.raises(ValueError, match="no safer"):
            card.calibrate(X, 1 - y)
        with pytest.raises(ValueError, match="without an error"):
            card.calibrate(X, card.decision_function(X) > 0)
        with pytest.raises(ValueError, match="the same score"):
            card.calibrate(X.iloc[[0] * 10], [0, 1] * 5)


class TestRange:
    """Scaling by the least and the greatest score."""

    @pytest.mark.parametrize("spread_base", [False, True])
    @pytest.mark.parametrize("rounded", [False, True])
    def test_scores_are_inside_and_reach_the_ends(self, sample, rounded, spread_base):
        """The worst of all bins has about the least score, the best about the greatest."""
        card = Scorecard(score_range=(300, 850), rounded=rounded, spread_base=spread_base).fit(
            *sample
        )
        points = card.points_table().groupby("feature")["points"]
        least, most = points.min().sum(), points.max().sum()
        slack = len(card.used_) + 1 if rounded else 1e-6
        assert 300 - 1e-6 <= least <= 300 + slack
        assert 850 - slack <= most <= 850 + 1e-6

    def test_the_scale_says_probabilities(self, sample):
        """Scores of a range turn back into probabilities by the scale of the card."""
        X, y = sample
        card = Scorecard(score_range=(300, 850), rounded=False).fit(X, y)
        told = score_to_probability(card.predict_score(X), **card.scale_)
        assert told == pytest.approx(card.predict_proba(X)[:, 1])

    def test_json_keeps_the_range(self, sample):
        """A card of a range comes back from JSON."""
        card = Scorecard(score_range=(0, 1000)).fit(*sample)
        again = Scorecard.from_json(card.to_json())
        assert again.points_table().equals(card.points_table())
        assert json.loads(card.to_json())["scale"]["score_range"] == [0, 1000]

    @pytest.mark.parametrize("score_range", [(850, 300), (1,), "all", (0, np.inf), (5, 5)])
    def test_refuses(self, sample, score_range):
        """A range has two ends in order."""
        with pytest.raises(ValueError, match="score_range must be the least and the greatest"):
            Scorecard(score_range=score_range).fit(*sample)

    def test_a_range_without_room_for_whole_points(self, sample):
        """There must be whole points in a range."""
        with pytest.raises(ValueError, match="has no room for whole points"):
            Scorecard(score_range=(0.2, 0.8)).fit(*sample)


def test_base_points_can_be_spread(sample):
    """Spread over the features, base points leave scores where they were, but for rounding."""
    X, y = sample
    spread, plain = Scorecard(spread_base=True).fit(X, y), Scorecard().fit(X, y)
    assert spread.base_points_ == 0
    difference = np.abs(spread.predict_score(X) - plain.predict_score(X))
    assert difference.max() <= len(plain.used_)
    assert spread.points_table()["points"].iloc[1:].min() > 0
    reasons = [card.reasons(X.iloc[:50], 1)["feature"].tolist() for card in (spread, plain)]
    assert reasons[0] == reasons[1]
