"""Measures of movement between grades and of distributions."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rfmrisk.metrics import population_stability_index
from rfmrisk.validation import herfindahl_index, migration_matrix, psi_critical_value


@given(st.lists(st.integers(0, 1_000), min_size=1).filter(any))
def test_herfindahl_lies_between_even_and_one(counts):
    """It depends on shares alone, and lies between 1 / k and 1."""
    found = herfindahl_index(counts)
    assert 1 / len(counts) - 1e-12 <= found <= 1 + 1e-12
    assert found == pytest.approx(herfindahl_index(np.array(counts) / sum(counts)))


def test_migration_is_pandas_crosstab():
    """The matrix is that of pandas, with the grades that nobody has."""
    rng = np.random.default_rng(0)
    before, after = rng.choice(list("ABC"), (2, 300))
    expected = pd.crosstab(before, after)
    found = migration_matrix(before, after, grades=list("ABCD"), normalize=False)
    np.testing.assert_array_equal(found.loc[list("ABC"), list("ABC")], expected)
    assert found.loc["D"].sum() == 0
    shares = migration_matrix(before, after)
    np.testing.assert_allclose(shares.sum(axis=1), 1)


def test_chance_exceeds_the_critical_value_as_often_as_it_says():
    """The PSI of two samples of one distribution exceeds it in about 5 %, of two in most."""
    rng = np.random.default_rng(1)
    critical = psi_critical_value(2_000, 500)
    same = [
        population_stability_index(rng.normal(size=2_000), rng.normal(size=500)) for _ in range(600)
    ]
    moved = [
        population_stability_index(rng.normal(size=2_000), rng.normal(0.4, 1, 500))
        for _ in range(50)
    ]
    assert 0.03 < np.mean(np.array(same) > critical) < 0.085
    assert np.mean(np.array(moved) > critical) > 0.95


def test_critical_value_is_a_quantile_of_chi_squared():
    """It falls with either sample, and rises with the bins."""
    expected = stats.chi2.ppf(0.99, 4) * (1 / 300 + 1 / 700)
    assert psi_critical_value(300, 700, 5, alpha=0.01) == pytest.approx(expected, abs=1e-12)
    assert psi_critical_value(300, 700) > psi_critical_value(600, 700)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: herfindahl_index([0, 0]), "not all 0"),
        (lambda: herfindahl_index([0.5, -0.5]), "0 or more"),
        (lambda: migration_matrix(["A"], ["A", "B"]), "same customers"),
        (lambda: migration_matrix(["A", None], ["A", "B"]), r"1 customer\(s\) have no grade"),
        (lambda: migration_matrix(["A"], ["Z"], grades=["A"]), "'Z' is not among A"),
        (lambda: psi_critical_value(0, 5), r"'n_expected' .* int in the range \[1, "),
        (lambda: psi_critical_value(5, 5, 1), r"'n_bins' .* int in the range \[2, "),
        (lambda: psi_critical_value(5, 5, alpha=0), r"'alpha' .* \(0\.0, 1\.0\)"),
    ],
)
def test_what_cannot_be_measured_is_named(call, message):
    """An error says what was wrong."""
    with pytest.raises(ValueError, match=message):
        call()
