"""Tests and intervals of how well scores rank."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from rfmrisk.validation import auc_fall_test, delong_test, ranking_intervals


def _placements(y, score):
    """Compare each bad with each good, as DeLong and others write it down."""
    bad, good = score[y == 1][:, None], score[y == 0][None, :]
    return (bad > good) + (bad == good) / 2


def _naive(y, first, second):
    a, b = _placements(y, first), _placements(y, second)
    s10 = np.cov(a.mean(axis=1), b.mean(axis=1))
    s01 = np.cov(a.mean(axis=0), b.mean(axis=0))
    s = s10 / a.shape[0] + s01 / a.shape[1]
    return a.mean() - b.mean(), np.sqrt(max(s[0, 0] + s[1, 1] - 2 * s[0, 1], 0)), np.sqrt(s[0, 0])


@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(3, 30))
def test_delong_is_that_of_all_pairs(seed, levels, n):
    """Midranks give, with ties, what the comparison of each pair gives."""
    rng = np.random.default_rng(seed)
    y = np.r_[0, 0, 1, 1, rng.integers(0, 2, n)]
    first, second = rng.integers(0, levels, (2, len(y))).astype(float)
    difference, error, alone = _naive(y, first, second)
    found = delong_test(y, first, second)
    assert found.difference == pytest.approx(difference, abs=1e-9)
    assert found.standard_error == pytest.approx(error, abs=1e-7)
    assert found.auc == pytest.approx(roc_auc_score(y, first), abs=1e-12)
    if error > 1e-6:
        p_value = 2 * stats.norm.cdf(-abs(difference / error))
        assert found.p_value == pytest.approx(p_value, abs=1e-6)
    assert auc_fall_test(y, first, 0.9).standard_error == pytest.approx(alone, abs=1e-9)


def test_delong_changes_its_sign_with_the_order_of_the_scores():
    """Exchanged scores give the opposite difference and the same p-value."""
    rng = np.random.default_rng(0)
    y, a, b = rng.integers(0, 2, 200), rng.random(200), rng.random(200)
    one, two = delong_test(y, a, b), delong_test(y, b, a)
    assert one.statistic == pytest.approx(-two.statistic)
    assert one.p_value == pytest.approx(two.p_value)


def test_equal_scores_do_not_differ():
    """A score against itself, or a monotone map of it, has z 0 and p-value 1."""
    y, a = [0, 0, 1, 1, 0], np.array([1.0, 2, 3, 4, 5])
    found = delong_test(y, a, np.exp(a))
    assert (found.statistic, found.p_value) == (0, 1)


def test_a_perfect_and_a_reversed_score_differ_for_certain():
    """Without variance the p-value is 0."""
    found = delong_test([0, 0, 1, 1], [1, 2, 3, 4], [4, 3, 2, 1])
    assert (found.statistic, found.p_value) == (np.inf, 0)


@pytest.mark.slow
def test_size_and_power_of_delong():
    """Equally good scores are told apart in about 5 % of samples, unequal ones in most."""
    rng = np.random.default_rng(1)
    y = np.repeat([0, 1], [300, 100])
    same, worse = [], []
    for _ in range(600):
        shared = rng.normal(size=400)
        a, b, c = (y * shift + shared + rng.normal(size=400) for shift in (1.0, 1.0, 0.3))
        same.append(delong_test(y, a, b).p_value < 0.05)
        worse.append(delong_test(y, a, c).p_value < 0.05)
    assert 0.03 < np.mean(same) < 0.075
    assert np.mean(worse) > 0.9


def test_size_and_power_of_the_fall():
    """An AUC that has not fallen is refused in about 5 % of samples, one that has in most."""
    rng = np.random.default_rng(2)
    y = np.repeat([0, 1], [600, 200])
    auc = stats.norm.cdf(1 / np.sqrt(2))
    p_values = [auc_fall_test(y, y + rng.normal(size=len(y)), auc).p_value for _ in range(800)]
    fallen = [auc_fall_test(y, 0.5 * y + rng.normal(size=800), auc).p_value for _ in range(100)]
    assert 0.03 < np.mean(np.array(p_values) < 0.05) < 0.075
    assert np.mean(np.array(fallen) < 0.05) > 0.9


def test_intervals_by_customer_hold_the_truth_and_those_by_row_do_not():
    """Where each customer has six equal rows, only the clustered interval covers the AUC."""
    rng = np.random.default_rng(3)
    auc = stats.norm.cdf(1 / np.sqrt(2))
    customers = np.repeat(np.arange(120), 6)
    covered = {"rows": 0, "customers": 0}
    for _ in range(200):
        y = np.repeat(rng.integers(0, 2, 120), 6)
        score = y + np.repeat(rng.normal(size=120), 6)
        for name, ids in (("rows", None), ("customers", customers)):
            found = ranking_intervals(y, score, customers=ids, n_resamples=2).loc["auc"]
            covered[name] += found["low"] <= auc <= found["high"]
    assert covered["customers"] >= 180
    assert covered["rows"] <= 140


def test_the_figures_are_those_of_scipy_and_scikit_learn():
    """AUC, Gini and KS are the known ones, and the interval of KS holds it."""
    rng = np.random.default_rng(4)
    y = rng.integers(0, 2, 500)
    score = np.round(y + rng.normal(size=500), 1)
    found = ranking_intervals(y, score)
    auc = roc_auc_score(y, score)
    assert found.loc["auc", "value"] == pytest.approx(auc)
    assert found.loc["gini", "value"] == pytest.approx(2 * auc - 1)
    ks = stats.ks_2samp(score[y == 1], score[y == 0]).statistic
    assert found.loc["ks", "value"] == pytest.approx(ks)
    assert (found["low"] < found["value"]).all()
    assert (found["value"] < found["high"]).all()
    assert found.equals(ranking_intervals(y, score))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: delong_test([1, 1], [0.1, 0.2], [0.1, 0.2]), "one class only"),
        (lambda: delong_test([0, 0, 1], [1, 2, 3], [1, 2, 3]), "at least 2 goods and 2 bads"),
        (lambda: delong_test([0, 0, 1, 1], [1, 2, 3, 4], [1, 2]), "other must have one number"),
        (lambda: delong_test([0, 1], [np.nan, 1], [1, 2]), "non-finite"),
        (lambda: auc_fall_test([0, 1], [1, 2], 1.5), r"'initial_auc' .* \[0\.0, 1\.0\]"),
        (
            lambda: ranking_intervals([0, 0, 1, 1], [1, 2, 3, 4], customers=["a"]),
            "customers must have one id a row",
        ),
    ],
)
def test_what_cannot_be_tested_is_named(call, message):
    """An error says what was wrong."""
    with pytest.raises(ValueError, match=message):
        call()
