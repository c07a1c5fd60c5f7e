"""StepwiseSelector: few characteristics, each with its reason."""

import numpy as np
import pandas as pd
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from rfmrisk import Scorecard, StepwiseSelector, WOEEncoder
from rfmrisk.persistence import TRUSTED_TYPES
from rfmrisk.scorecard import SelectionDisplay
from rfmrisk.training import CATALOGUE
from tests.conftest import examples


def outcomes(safety, rng):
    """Draw outcomes, 1 being bad, of customers who are more or less safe."""
    return (rng.random(len(safety)) < 1 / (1 + np.exp(1 + safety))).astype(int)


@pytest.fixture(scope="module")
def sample():
    """Make two columns that count, their copies and windows, and some noise."""
    rng = np.random.default_rng(0)
    n = 4_000
    a, b = rng.normal(size=(2, n))
    columns = {
        "sum_30D": a,
        "sum_60D": 0.6 * a + 0.8 * rng.normal(size=n),
        "age": b,
        "age again": b + 0.2 * rng.normal(size=n),
        "wrong": -a - 2 * rng.normal(size=n),
        "constant": np.zeros(n),
    }
    columns |= {f"noise {k}": rng.normal(size=n) for k in range(20)}
    return pd.DataFrame(columns), outcomes(a + b, rng)


@pytest.fixture(scope="module")
def selector(sample):
    """Fit a selector."""
    return StepwiseSelector().fit(*sample)


def finite(table):
    """Tell whether a table has no missing and no infinite number."""
    return bool(np.isfinite(table.select_dtypes("number").to_numpy()).all())


class TestSelection:
    """What is in, what is out, and why."""

    def test_what_counts_is_in_and_all_else_has_a_reason(self, sample, selector):
        """The columns behind the outcome are selected; the others say what speaks against them."""
        reasons = selector.report_["reason"]
        assert selector.get_feature_names_out().tolist() == ["sum_30D", "age"]
        assert selector.transform(sample[0]).shape == (4_000, 2)
        assert reasons["age again"] == "correlated 0.98 with age, which is stronger"
        assert reasons["sum_60D"].startswith("another window of sum_30D, which adds too little")
        assert reasons["wrong"].startswith(("would have the wrong sign", "adds nothing"))
        assert reasons["constant"] == "has one value only"
        assert reasons["sum_30D"].startswith("selected ")

    def test_report_and_path(self, selector):
        """What leaving a column out costs has an interval, and each size an error."""
        report, path = selector.report_, selector.path_
        inside = report[report["selected"]]
        assert (inside["cost_low"] > 0).all()
        assert (inside["share_of_bootstraps"] == 1).all()
        assert (report["cost_low"] <= report["cost"]).all()
        assert (report["cost"] <= report["cost_high"]).all()
        assert path["selected"].sum() == 1
        assert path.loc[path["selected"], "size"].tolist() == [2]
        assert finite(report)
        assert finite(path)

    def test_a_second_window_that_earns_its_place_twice_is_in(self):
        """Where two windows both count much, both are selected."""
        rng = np.random.default_rng(1)
        a, b = rng.normal(size=(2, 4_000))
        X = pd.DataFrame({"sum_30D": a, "sum_90D": b})
        assert StepwiseSelector().fit(X, outcomes(a + b, rng)).get_support().all()

    def test_a_second_window_needs_more_than_another_column(self):
        """What another quantity may be taken for is too little for a second window."""
        rng = np.random.default_rng(6)
        a, b = rng.normal(size=(2, 600))
        y = outcomes(a + 0.35 * b, rng)
        names = ["sum_30D", "sum_90D"], ["sum_30D", "mean_90D"]
        both = [
            StepwiseSelector(n_bootstraps=1)
            .fit(pd.DataFrame(np.column_stack([a, b]), columns=columns), y)
            .get_support()
            .all()
            for columns in names
        ]
        assert both == [False, True]

    @pytest.mark.parametrize(
        "names",
        [("sum_30d", "sum_12m"), ("30D_sum", "90D_sum"), ("late 30 days", "late 60 days")],
    )
    def test_windows_are_known_by_their_names(self, names):
        """The length of a window may stand anywhere in a name."""
        rng = np.random.default_rng(2)
        a, noise = rng.normal(size=(2, 4_000))
        X = pd.DataFrame({names[0]: a, names[1]: 0.7 * a + 0.7 * noise})
        reason = StepwiseSelector(n_bootstraps=1).fit(X, outcomes(a + 0.1 * noise, rng)).report_
        assert reason.loc[names[1], "reason"].startswith("another window of " + names[0])

    def test_limits_hold(self, sample):
        """There are no more characteristics than allowed, none too correlated, none inflated."""
        rng = np.random.default_rng(3)
        parts = rng.normal(size=(3_000, 8))
        X = np.column_stack([parts, parts @ rng.normal(size=(8, 12))])
        y = outcomes(parts.sum(axis=1), rng)
        chosen = StepwiseSelector(max_features=5, max_correlation=0.5, max_vif=2).fit(X, y)
        inside = np.corrcoef(chosen.transform(X).T)
        assert len(inside) <= 5
        assert np.abs(inside - np.eye(len(inside))).max() <= 0.5
        assert np.diag(np.linalg.inv(inside)).max() <= 2

    @pytest.mark.parametrize("copies", [2, 40])
    def test_ties(self, copies):
        """Of columns that say the same the first is selected, and the others say so."""
        rng = np.random.default_rng(4)
        a = rng.normal(size=300)
        X = np.tile(a[:, None], copies)
        found = StepwiseSelector().fit(X, outcomes(a, rng))
        assert found.get_support().tolist() == [True] + [False] * (copies - 1)
        assert found.report_["reason"].iloc[1].startswith("correlated 1.00 with x0")
        assert finite(found.report_)

    @settings(max_examples=examples(25), deadline=None)
    @given(st.integers(4, 30), st.integers(1, 60), st.integers(0, 1000))
    def test_fewer_rows_than_columns(self, n, n_columns, seed):
        """However few rows there are, one column at least is selected and no number is missing."""
        rng = np.random.default_rng(seed)
        X = rng.integers(0, 3, size=(n, n_columns)).astype(float)
        y = np.arange(n) % 2
        found = StepwiseSelector(n_bootstraps=3).fit(X, y)
        assert 1 <= found.get_support().sum() <= 12
        assert finite(found.report_)
        assert finite(found.path_)

    def test_classes_that_a_column_separates(self):
        """A column that knows the outcome is selected, with finite numbers."""
        X = np.random.default_rng(0).normal(size=(200, 3))
        found = StepwiseSelector().fit(X, X[:, 1] < 0)
        assert found.get_support()[1]
        assert finite(found.report_)

    def test_the_same_twice(self, sample, selector):
        """Two fits are the same to the last bit."""
        again = StepwiseSelector().fit(*sample)
        pd.testing.assert_frame_equal(again.report_, selector.report_, check_exact=True)
        pd.testing.assert_frame_equal(again.path_, selector.path_, check_exact=True)

    def test_weights_are_in_any_unit(self, sample, selector):
        """Only the ratios of weights matter, and rows without weight do not count."""
        X, y = sample
        found = StepwiseSelector().fit(X, y, sample_weight=np.full(len(y), 7.0))
        assert found.report_["reason"].tolist() == selector.report_["reason"].tolist()
        weight = np.arange(len(y)) < 2_000
        found = StepwiseSelector().fit(X, y, sample_weight=weight)
        half = StepwiseSelector().fit(X[:2_000], y[:2_000])
        assert found.report_["reason"].tolist() == half.report_["reason"].tolist()

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"alpha": 0}, "'alpha' parameter"),
            ({"max_features": 0}, "'max_features' parameter"),
            ({"max_correlation": 2}, "'max_correlation' parameter"),
            ({"cv": [([0], [1])]}, "cv must have 2 folds at least"),
        ],
    )
    def test_refuses(self, sample, parameters, message):
        """A parameter out of range is named."""
        with pytest.raises(ValueError, match=message):
            StepwiseSelector(**parameters).fit(*sample)

    def test_one_bad_is_too_few(self):
        """Folds cannot be compared where one customer is bad."""
        with pytest.raises(ValueError, match=r"2 bads at least .* got 9 and 1"):
            StepwiseSelector().fit(np.arange(10.0)[:, None], np.arange(10) == 0)


class TestUse:
    """In a pipeline, in a scorecard, in a file."""

    def test_in_a_pipeline_and_a_search(self, sample):
        """It is a step like any other, and its names go on to the next."""
        model = make_pipeline(WOEEncoder(), StepwiseSelector(n_bootstraps=1), LogisticRegression())
        search = GridSearchCV(
            model.set_output(transform="pandas"), {"stepwiseselector__max_features": [1, 2]}, cv=2
        )
        search.fit(*sample)
        assert search.best_params_ == {"stepwiseselector__max_features": 2}
        assert set(search.best_estimator_[-1].feature_names_in_) == {"sum_30D", "age"}

    def test_a_card_of_what_is_selected(self, sample):
        """A scorecard with a selector uses what it selects; None is the selector as it is."""
        X, y = sample
        card = Scorecard(selector=None).fit(X, y)
        names = set(X.columns[card.used_])
        assert names == set(card.selector_.get_feature_names_out())
        assert len(names) <= 3
        assert (card.summary()["p_value"].iloc[1:] < 0.01).all()
        everything = Scorecard(selector="passthrough").fit(X, y)
        assert len(everything.used_) > len(names)
        assert not hasattr(everything, "selector_")

    @pytest.mark.parametrize("selector", ["all", 3, LogisticRegression()])
    def test_what_selects_nothing_is_refused(self, sample, selector):
        """A selector must be able to say what it selects."""
        with pytest.raises(TypeError, match=r"'selector' .* 'get_support', .*'passthrough'} or"):
            Scorecard(selector=selector).fit(*sample)

    def test_weights_reach_the_selector(self, sample):
        """Customers without weight do not count in the selection of a card."""
        X, y = sample
        weight = (np.arange(len(y)) < 2_000).astype(float)
        card = Scorecard(selector=None).fit(X, y, sample_weight=weight)
        half = Scorecard(selector=None).fit(X[:2_000], y[:2_000])
        assert card.used_.tolist() == half.used_.tolist()

    def test_the_card_of_the_catalogue_selects(self):
        """The catalogue's scorecard has a selector."""
        assert isinstance(CATALOGUE["scorecard"].make(0)[-1].selector, StepwiseSelector)

    def test_skops_round_trip(self, sample, selector):
        """A file brings back the same selection, path and report."""
        loaded = skops.io.loads(skops.io.dumps(selector), trusted=TRUSTED_TYPES)
        assert loaded.get_support().tolist() == selector.get_support().tolist()
        pd.testing.assert_frame_equal(loaded.report_, selector.report_, check_exact=True)
        pd.testing.assert_frame_equal(loaded.path_, selector.path_, check_exact=True)

    def test_display(self, selector):
        """The path is drawn with a point for each step."""
        display = SelectionDisplay.from_estimator(selector)
        assert len(display.ax_.texts) == len(selector.path_)
        assert display.figure_ is display.ax_.figure
