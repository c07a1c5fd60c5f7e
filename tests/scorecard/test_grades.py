"""Grades: bands of a score with expected and observed bad rates."""

import json

import numpy as np
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from rfmrisk import Grades
from rfmrisk.persistence import TRUSTED_TYPES
from rfmrisk.scorecard import probability_to_score, score_to_probability
from rfmrisk.validation import jeffreys_test
from tests.conftest import examples


@pytest.fixture(scope="module")
def scored():
    """Make scores that say the truth, and outcomes."""
    rng = np.random.default_rng(0)
    probability = expit(rng.normal(-2.5, 1, size=8_000))
    y = (rng.random(8_000) < probability).astype(int)
    return probability_to_score(probability).round(), y


class TestBands:
    """Where bands begin."""

    @settings(max_examples=examples(30), deadline=None)
    @given(st.integers(0, 1000), st.integers(2, 12), st.sampled_from([0.02, 0.05, 0.2]))
    def test_exact_bands_are_monotone_and_large_enough(self, seed, n_grades, min_size):
        """Each band has its least size, and rates fall as scores rise, on any sample."""
        rng = np.random.default_rng(seed)
        score = rng.integers(400, 440, size=600).astype(float)
        y = (rng.random(600) < expit((415 - score) / 8)).astype(int)
        grades = Grades(n_grades=n_grades, min_size=min_size).fit(score, y)
        table = grades.table(score, y)
        assert len(table) <= n_grades
        assert (np.diff(table["observed_rate"]) > 0).all()
        if len(table) > 1:
            assert (table["share"] >= min_size - 1e-9).all()
            assert (table["bads"] >= 5).all()

    def test_steps_of_the_odds(self, scored):
        """The odds at each edge are twice those at the one below."""
        score, _ = scored
        grades = Grades("odds", n_grades=6).fit(score)
        p = score_to_probability(grades.edges_)
        odds = (1 - p) / p
        assert len(odds) == 5
        assert odds[1:] / odds[:-1] == pytest.approx(2)

    def test_steps_on_another_scale(self, scored):
        """A card's own scale is respected."""
        grades = Grades("odds", scale={"pdo": 40.0, "base_score": 500.0}, odds_step=4).fit(
            np.arange(300, 700)
        )
        assert np.unique(np.diff(grades.edges_)).tolist() == [80]
        assert 500 in grades.edges_

    def test_given_edges(self):
        """A score at an edge is in the safer grade; names run from the safest."""
        grades = Grades("edges", edges=[500, 550], names=["good", "fair", "poor"]).fit()
        assert grades.predict([499.9, 500, 549, 550]).tolist() == ["poor", "fair", "fair", "good"]
        assert grades.table([400, 600]).index.tolist() == ["good", "fair", "poor"]

    @pytest.mark.parametrize(
        ("parameters", "arguments", "message"),
        [
            ({"method": "edges"}, (), "edges must be given"),
            ({"edges": [1]}, ([1, 2], [0, 1]), "edges must be given"),
            ({"method": "edges", "edges": [2, 1]}, (), "ascending order"),
            ({"method": "edges", "edges": [1], "names": ["A"]}, (), "2 grades need as many names"),
            ({"method": "edges", "edges": [1], "names": ["A", "A"]}, (), "different texts"),
            ({}, ([1.0, 2.0],), "needs y"),
            ({}, (), "score must be given"),
            ({}, ([1.0, np.nan], [0, 1]), "none may be missing"),
            ({"n_grades": 1}, ([1.0, 2.0], [0, 1]), "'n_grades' parameter"),
            ({"method": "best"}, (), "'method' parameter"),
        ],
    )
    def test_refuses(self, parameters, arguments, message):
        """What makes no grades says why."""
        with pytest.raises(ValueError, match=message):
            Grades(**parameters).fit(*arguments)


class TestTable:
    """Expected against observed."""

    def test_true_probabilities_are_as_expected(self, scored):
        """Where scores say the truth, hardly a grade is remarkable; where they do not, most are."""
        score, y = scored
        grades = Grades().fit(score, y)
        assert (grades.table(score, y)["verdict"] == "as expected").mean() > 0.7
        worse = grades.table(score + 20, y, score_to_probability(score + 40))
        assert (worse["verdict"] == "too many bads").mean() > 0.7

    def test_the_p_value_is_that_of_jeffreys(self, scored):
        """Each grade is tested as the validation tests it."""
        score, y = scored
        table = Grades("odds").fit(score).table(score, y)
        expected = jeffreys_test(table["bads"], table["known"], table["expected_rate"]).p_value
        assert table["p_value"].to_numpy() == pytest.approx(expected)

    def test_outcomes_that_are_not_known(self, scored):
        """A grade without outcomes says so; customers are counted all the same."""
        score, y = scored
        unknown = np.where(score > 550, np.nan, y)
        table = Grades("edges", edges=[500, 550.5]).fit().table(score, unknown)
        assert table.loc["A", "verdict"] == "no outcome"
        assert table.loc["A", "known"] == 0
        assert table["n"].sum() == len(score)
        assert np.isfinite(table[["expected_rate", "p_value"]].to_numpy()).all()

    def test_a_grade_without_customers(self):
        """It has the expected rate of its scores, and no missing number."""
        table = Grades("edges", edges=[100, 200, 300]).fit().table([50, 350])
        assert table["n"].tolist() == [1, 0, 0, 1]
        assert table["expected_rate"].between(0, 1).all()


def test_comes_back_from_files(scored):
    """JSON and skops bring back the same grades."""
    score, y = scored
    grades = Grades().fit(score, y)
    again = Grades.from_dict(json.loads(json.dumps(grades.to_dict())))
    loaded = skops.io.loads(skops.io.dumps(grades), trusted=TRUSTED_TYPES)
    for other in (again, loaded):
        assert other.predict(score).tolist() == grades.predict(score).tolist()
