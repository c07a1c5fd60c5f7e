"""Measures of discrimination and stability."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from rfmrisk.metrics import (
    WeightedReport,
    gini,
    information_value,
    ks_statistic,
    population_stability_index,
    psi_reading,
    risk_report,
    segment_report,
    stability_report,
)


@pytest.fixture(scope="module")
def scores():
    """Make labels, probabilities with ties, and whole weights."""
    rng = np.random.default_rng(0)
    score = np.round(rng.random(500), 2)
    y = (rng.random(500) < score).astype(int)
    return y, score, rng.integers(0, 4, 500)


def test_ks_is_scipys(scores):
    """The distance of two distributions, as scipy computes it."""
    y, score, _ = scores
    assert ks_statistic(y, score) == pytest.approx(ks_2samp(score[y == 0], score[y == 1]).statistic)


def test_perfect_and_reversed():
    """KS is 1 either way; Gini keeps the direction."""
    y = [0, 0, 1, 1]
    assert ks_statistic(y, [1, 2, 3, 4]) == ks_statistic(y, [4, 3, 2, 1]) == 1
    assert gini(y, [1, 2, 3, 4]) == 1
    assert gini(y, [4, 3, 2, 1]) == -1


@pytest.mark.parametrize("metric", [ks_statistic, gini, information_value])
def test_weight_equals_repetition(scores, metric):
    """A weight of w counts as w rows."""
    y, score, weight = scores
    order = (score, y) if metric is information_value else (y, score)
    weighted = metric(*order, sample_weight=weight)
    assert weighted == pytest.approx(metric(*(np.repeat(a, weight) for a in order)))


def test_report_weight_equals_repetition(scores):
    """Every figure of the report honours weights."""
    y, score, weight = scores
    score = np.clip(score, 0.01, 0.99)
    weighted = risk_report(y, score, threshold=0.4, sample_weight=weight)
    repeated = risk_report(np.repeat(y, weight), np.repeat(score, weight), threshold=0.4)
    assert weighted == pytest.approx(repeated)


def test_report_is_consistent(scores):
    """Cells add up, and rates are those of the cells."""
    y, score, _ = scores
    report = risk_report(y, score, threshold=0.3)
    tn, fp, fn, tp = (report[name] for name in ("tn", "fp", "fn", "tp"))
    assert tn + fp + fn + tp == len(y)
    assert tp + fn == y.sum()
    assert report["precision"] == tp / (tp + fp)
    assert report["recall"] == tp / (tp + fn)
    assert report["gini"] == pytest.approx(gini(y, score))
    assert all(type(value) is float for value in report.values())


def test_report_of_a_model_that_calls_nobody_bad(scores):
    """Precision and F1 are 0, not an error."""
    report = risk_report(scores[0], scores[1] * 0.1)
    assert report["precision"] == report["f1"] == report["recall"] == 0


@pytest.mark.parametrize(
    ("y", "score", "message"),
    [
        ([0, 1], [0.2, 1.4], "probabilities between 0 and 1; got 0.2 to 1.4"),
        ([0, 0], [0.2, 0.4], "one class only"),
        ([0, 1], [0.2, np.nan], r"1 non-finite"),
        ([0, 1], [[0.2, 0.8], [0.3, 0.7]], r"one number a row.*\(2, 2\)"),
        ([0, 1, 1], [0.2, 0.4], "2 rows and 3 labels"),
    ],
)
def test_report_refuses(y, score, message):
    """What is wrong is named."""
    with pytest.raises(ValueError, match=message):
        risk_report(y, score)


@pytest.mark.filterwarnings("ignore:each bin of .* holds goods alone")
@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), min_size=4, max_size=60))
def test_information_value_is_never_negative(rows):
    """Whatever the levels and the labels."""
    x, y = zip(*rows, strict=True)
    if len(set(y)) == 2:
        assert information_value(list(x), list(y)) >= 0


def test_information_value_takes_levels_and_missing_values():
    """A missing value is a bin, and options reach the encoder."""
    x = pd.Series(["a", None, "a", None, "b", "b"])
    assert information_value(x, [0, 1, 0, 1, 1, 0], smoothing=1) > 0


class TestStability:
    """The population stability index."""

    def test_is_zero_against_itself_and_grows_with_the_shift(self):
        """The further the sample moves, the greater the index."""
        x = np.random.default_rng(0).normal(size=2_000)
        values = [population_stability_index(x, x + shift) for shift in (0, 0.1, 0.5, 2)]
        assert values[0] == 0
        assert values == sorted(values)

    def test_bins_are_those_of_the_reference(self):
        """Known shares in known bins give the known sum."""
        expected, actual = [1] * 50 + [2] * 50, [1] * 20 + [2] * 80
        value = population_stability_index(expected, actual, bins=[1.5])
        assert value == pytest.approx(0.3 * np.log(0.8 / 0.5) - 0.3 * np.log(0.2 / 0.5))

    def test_missing_and_new_levels_count(self):
        """More missing values, or a level the reference lacks, are a shift."""
        x = pd.Series(["a", "b"] * 50)
        assert population_stability_index(x, x.where(x == "a", None)) > 0.25
        assert population_stability_index(x, x.replace("b", "c")) > 0.25
        y = np.arange(100.0)
        assert population_stability_index(y, np.where(y < 50, np.nan, y)) > 0.25

    def test_weights_count(self):
        """A weight of w is w rows, on either side."""
        rng = np.random.default_rng(0)
        x, y, w = rng.normal(size=300), rng.normal(size=300) + 0.5, rng.integers(1, 4, 300)
        weighted = population_stability_index(x, y, expected_weight=w, actual_weight=w)
        repeated = population_stability_index(np.repeat(x, w), np.repeat(y, w))
        assert weighted == pytest.approx(repeated)

    def test_refuses_empty_samples_and_one_bin(self):
        """Nothing cannot shift."""
        with pytest.raises(ValueError, match="need rows; got 0 and 1"):
            population_stability_index([], [1])
        with pytest.raises(
            ValueError, match=r"'bins' .* int in the range \[2, inf\) or an array-like"
        ):
            population_stability_index([1, 2], [1], bins=1)

    def test_report_has_a_row_for_each_column(self):
        """Numbers and levels, each with its reading."""
        before = pd.DataFrame({"x": np.arange(100), "c": ["a", "b"] * 50})
        report = stability_report(before, before.assign(x=before["x"] + 90))
        assert report["reading"].to_dict() == {"x": "shifted", "c": "stable"}
        with pytest.raises(ValueError, match="lacks c; it has x"):
            stability_report(before, before[["x"]])

    def test_readings(self):
        """The usual thresholds."""
        assert [psi_reading(p) for p in (0.099, 0.1, 0.25)] == ["stable", "watch", "shifted"]


class TestStabilityOfAnyDistribution:
    """The index is right whatever the values are."""

    @pytest.mark.parametrize(
        "dtype", [int, float, bool, "Int64", "boolean", "float32", str, object]
    )
    def test_a_flag(self, dtype):
        """A flag that goes from 5 % to 95 % has shifted, in every type."""
        old, new = (pd.Series([0] * n + [1] * (1_000 - n)).astype(dtype) for n in (950, 50))
        expected = 2 * 0.9 * np.log(19)
        assert population_stability_index(old, new) == pytest.approx(expected)

    def test_a_constant_that_moves(self):
        """A value that fills more than a bin is one, and what lies above and below is another."""
        for move in (50, -50, 5.0000001):
            index = population_stability_index([5] * 100, [5] * 20 + [move] * 80)
            assert index == pytest.approx(0.8 * np.log(5) + (0.8 - 0.005) * np.log(160))

    @given(
        st.lists(st.integers(-3, 3), min_size=2, max_size=60),
        st.lists(st.integers(-3, 3), min_size=1, max_size=60),
    )
    def test_few_values_are_bins_of_their_own(self, old, new):
        """Numbers with few values have the index of the same values as text, where none is new."""
        new = [value for value in new if value in old] or [old[0]]
        as_text = population_stability_index(list(map(str, old)), list(map(str, new)))
        assert population_stability_index(old, new) == pytest.approx(as_text)

    @given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
    def test_the_unit_of_weights_changes_nothing(self, one, other):
        """Neither sample's, though a bin is empty."""
        rng = np.random.default_rng(0)
        a, b = rng.normal(size=300), rng.normal(0.2, 1, 100)
        b, weight = b[b < 1.2], rng.uniform(0.5, 2, 300)
        expected = population_stability_index(a, b, expected_weight=weight)
        found = population_stability_index(
            a, b, expected_weight=weight * one, actual_weight=np.full(len(b), other)
        )
        assert found == pytest.approx(expected, abs=1e-9)

    def test_true_is_one(self):
        """A column of booleans is the column of 0 and 1; text is neither."""
        flag = pd.Series([True, False, None] * 100)
        number = pd.Series([1.0, 0.0, np.nan] * 100)
        for old, new in ((flag, number), (number, flag), (flag, flag)):
            assert population_stability_index(old, new) == pytest.approx(0)
        with pytest.raises(TypeError, match="actual holds text, such as 'True'"):
            population_stability_index(number, ["True", "False"])

    def test_by_bin(self):
        """The table says what moved, and adds up to the index."""
        old, new = [1.0] * 70 + [2.0] * 20 + [np.nan] * 10, [1.0] * 20 + [3.0] * 80
        table = population_stability_index(old, new, by_bin=True)
        assert table["bin"].tolist() == ["[1, 1]", "[2, 2]", "(2, inf)", "missing"]
        assert table["actual"].tolist() == [0.2, 0, 0.8, 0]
        assert table["psi"].sum() == pytest.approx(population_stability_index(old, new))
        text = population_stability_index(["a", None, "missing"], ["b"], by_bin=True)
        assert text["bin"].tolist() == ["a", '"missing"', "missing", "unseen"]

    @pytest.mark.parametrize("cuts", [[3, 1], [1, 1], [np.nan], [np.inf, 2], [[1, 2]]])
    def test_cuts_are_checked(self, cuts):
        """They ascend, and are numbers."""
        with pytest.raises(ValueError, match="must be finite and ascending; got"):
            population_stability_index([1, 2, 3], [1], bins=cuts)

    def test_nothing_but_missing_values(self):
        """A column that is missing everywhere can be compared with any."""
        assert population_stability_index([None, None], [None]) == 0
        assert population_stability_index([np.nan] * 50, [1.0] * 50) > 1
        assert population_stability_index(["a"] * 50, [None] * 50) > 1

    def test_one_column_in_several_types(self):
        """In 32 bits, as categories, booleans or Arrow, the same column has not moved."""
        x = np.random.default_rng(0).normal(size=500).round(2)
        assert population_stability_index(x, x.astype(np.float32)) == 0
        assert population_stability_index([0.1] * 50, np.full(50, 0.1, dtype=np.float32)) == 0
        arrow = pd.Series(x, dtype="float[pyarrow]")
        assert population_stability_index(x, arrow) == 0
        flag = pd.Series([0, 1, 1, 0] * 50)
        forms = [flag, flag.astype("category"), flag.astype(bool), flag.astype("Int64")]
        for first in forms:
            for second in forms:
                assert population_stability_index(first, second) == 0
                assert population_stability_index(first, 1 - flag * second.astype(int)) == 0
        report = stability_report(pa.table({"f": flag}), pa.table({"f": flag}))
        assert report["psi"].tolist() == [0]


def test_segments_are_reported_one_by_one():
    """Each has its own figures; one of a single class has no AUC; lengths must agree."""
    table = segment_report([0, 1, 1, 1], [0.2, 0.6, 0.3, 0.5], ["b", "b", "a", "a"])
    assert table.index.tolist() == ["a", "b"]
    assert table["n"].tolist() == [2, 2]
    assert table["bad_share"].tolist() == [1.0, 0.5]
    assert np.isnan(table.loc["a", "roc_auc"])
    assert table.loc["b", "roc_auc"] == 1
    with pytest.raises(ValueError, match="one name for each of the 2 rows"):
        segment_report([0, 1], [0.1, 0.2], ["a"])


@given(seed=st.integers(0, 2**32 - 1), threshold=st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_a_weighted_report_is_the_report_under_weights(seed, threshold):
    """What a bootstrap computes at once is what the report computes, figure by figure."""
    rng = np.random.default_rng(seed)
    n = rng.integers(2, 60)
    bad, weight = rng.random(n) < 0.4, rng.integers(0, 4, n).astype(float)
    bad[:2], weight[:2] = [True, False], 1.0
    score = np.round(rng.random(n), rng.integers(1, 4))
    expected = risk_report(bad, score, threshold=threshold, sample_weight=weight)
    found = WeightedReport(bad, score, threshold).figures(weight)
    assert set(expected) - set(found) == {"tn", "fp", "fn", "tp"}
    assert found == pytest.approx({name: expected[name] for name in found}, abs=1e-12)
