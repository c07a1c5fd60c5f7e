"""Tests of expected against observed defaults."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special, stats
from sklearn.metrics import brier_score_loss

from rfmrisk.validation import (
    binomial_test,
    brier_decomposition,
    hosmer_lemeshow_test,
    jeffreys_test,
    spiegelhalter_test,
)

DRAWS = 4_000


@pytest.fixture
def outcomes() -> tuple[np.ndarray, np.ndarray]:
    """Give 1,000 probabilities and outcomes of them."""
    rng = np.random.default_rng(0)
    p = rng.beta(1, 9, 1_000)
    return (rng.random(1_000) < p).astype(int), p


def test_binomial_is_scipys():
    """The p-value is that of scipy's exact test, greater."""
    for n_bad, n, rate in [(0, 10, 0.1), (3, 50, 0.02), (14, 400, 0.05), (7, 7, 0.9)]:
        expected = stats.binomtest(n_bad, n, rate, alternative="greater").pvalue
        assert binomial_test(n_bad, n, rate).p_value == pytest.approx(expected, abs=1e-9)


def test_jeffreys_is_the_integral_of_the_posterior():
    """The p-value is the posterior's weight up to the expected rate, by quadrature."""
    for n_bad, n, rate in [(3, 50, 0.02), (14, 400, 0.05), (6, 7, 0.9)]:
        a, b = n_bad + 0.5, n - n_bad + 0.5

        def density(t, a=a, b=b):
            return np.exp((a - 1) * np.log(t) + (b - 1) * np.log1p(-t) - special.betaln(a, b))

        area = integrate.quad(density, 0, rate, epsabs=1e-12, limit=200)[0]
        assert jeffreys_test(n_bad, n, rate).p_value == pytest.approx(area, abs=1e-8)


def test_a_table_of_grades_is_tested_at_once():
    """Arrays give what each grade gives alone."""
    found = jeffreys_test([1, 4, 9], [100, 100, 100], [0.01, 0.03, 0.1])
    alone = [
        jeffreys_test(*grade).p_value for grade in [(1, 100, 0.01), (4, 100, 0.03), (9, 100, 0.1)]
    ]
    np.testing.assert_array_equal(found.p_value, alone)
    np.testing.assert_allclose(found.statistic, [0.01, 0.04, 0.09])


@pytest.mark.parametrize("test", [jeffreys_test, binomial_test])
def test_size_and_power_of_the_tests_by_grade(test):
    """Of right rates about 5 % are refused at the most, of rates twice as high most."""
    rng = np.random.default_rng(1)
    right = test(rng.binomial(500, 0.05, DRAWS), 500, 0.05).p_value
    wrong = test(rng.binomial(500, 0.10, DRAWS), 500, 0.05).p_value
    assert 0.025 < np.mean(right < 0.05) < 0.065
    assert np.mean(wrong < 0.05) > 0.95


def test_hosmer_lemeshow_is_that_of_pandas_quantiles(outcomes):
    """The statistic is that of groups cut by pandas."""
    y, p = outcomes
    found = hosmer_lemeshow_test(y, p)
    table = pd.DataFrame({"y": y, "p": p}).groupby(pd.qcut(p, 10)).agg(["sum", "count"])
    n, o, e = table["y", "count"], table["y", "sum"], table["p", "sum"]
    expected = ((o - e) ** 2 / e + (o - e) ** 2 / (n - e)).sum()
    assert found.statistic == pytest.approx(expected, abs=1e-9)
    assert found.p_value == pytest.approx(stats.chi2.sf(expected, 10), abs=1e-9)
    assert hosmer_lemeshow_test(y, p, fitted=True).degrees_of_freedom == 8


def test_spiegelhalter_is_the_brier_score_standardised(outcomes):
    """The statistic is the Brier score less its mean over its standard deviation."""
    y, p = outcomes
    found = spiegelhalter_test(y, p)
    brier = brier_score_loss(y, p)
    sd = np.sqrt(np.sum((1 - 2 * p) ** 2 * p * (1 - p))) / len(p)
    assert found.brier == pytest.approx(brier, abs=1e-12)
    assert found.statistic == pytest.approx((brier - np.mean(p * (1 - p))) / sd, abs=1e-9)
    assert found.p_value == pytest.approx(2 * stats.norm.cdf(-abs(found.statistic)), abs=1e-12)


@pytest.mark.parametrize("test", [hosmer_lemeshow_test, spiegelhalter_test])
def test_size_and_power_of_the_tests_of_probabilities(test):
    """Of right probabilities about 5 % are refused, of halved ones nearly all."""
    rng = np.random.default_rng(2)
    p = rng.beta(2, 8, 1_500)
    drawn = rng.random((800, len(p))) < p
    assert 0.03 < np.mean([test(y, p).p_value < 0.05 for y in drawn]) < 0.075
    assert np.mean([test(y, p / 2).p_value < 0.05 for y in drawn[:100]]) > 0.95


def test_certain_probabilities_are_right_or_refute_the_model():
    """A group at 0 without bads adds nothing, and one with a bad has p-value 0."""
    p = [0.0] * 10 + [0.3] * 10
    y = [0] * 10 + [1] * 3 + [0] * 7
    assert hosmer_lemeshow_test(y, p).statistic == pytest.approx(0)
    assert hosmer_lemeshow_test([1, *y[1:]], p).p_value == 0


@given(
    st.lists(
        st.tuples(st.booleans(), st.floats(0, 1).map(lambda x: round(x, 3))),
        min_size=1,
        max_size=80,
    ),
    st.integers(2, 12),
)
def test_brier_components_add_up(rows, n_groups):
    """The parts add up to the score, and nothing is left within groups of one probability."""
    y, p = map(np.array, zip(*rows, strict=True))
    d = brier_decomposition(y, p, n_groups)
    assert d.reliability - d.resolution + d.uncertainty + d.within == pytest.approx(d.brier)
    assert d.brier == pytest.approx(np.mean((y - p) ** 2))
    if len(set(p)) <= n_groups:
        assert d.within == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: jeffreys_test(3, 2, 0.1), "more defaults than customers"),
        (lambda: jeffreys_test(1, 0, 0.1), "n_customers must be whole numbers of at least 1"),
        (lambda: binomial_test(1.5, 2, 0.1), "n_defaults must be whole numbers"),
        (lambda: binomial_test(1, 2, 1.1), "expected_rate must lie between 0 and 1"),
        (
            lambda: hosmer_lemeshow_test([0, 1], [0.1, 0.2], 1),
            r"'n_groups' .* int in the range \[2, ",
        ),
        (lambda: hosmer_lemeshow_test([0, 1], [0.1, 0.2], fitted=True), "at least 3 groups"),
        (lambda: hosmer_lemeshow_test([0, 2], [0.1, 0.2]), "1 other value"),
        (lambda: spiegelhalter_test([0, np.nan], [0.1, 0.2]), "none missing"),
        (lambda: spiegelhalter_test([0, 1], [0.1, 1.2]), "must lie between 0 and 1"),
        (lambda: spiegelhalter_test([0, 1], [0.5, 0.5]), "other than 0, 0.5 and 1"),
        (lambda: brier_decomposition([0, 1], [0.1]), "one number a row"),
        (lambda: brier_decomposition(["a", "b"], [0.1, 0.2]), "must be 0"),
    ],
)
def test_what_cannot_be_tested_is_named(call, message):
    """An error says what was wrong."""
    with pytest.raises(ValueError, match=message):
        call()
