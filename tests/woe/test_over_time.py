"""Bins that keep their order in every period."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from rfmrisk import persistence
from rfmrisk.scorecard import Scorecard
from rfmrisk.woe import WOEEncoder
from rfmrisk.woe.over_time import count_reversals
from tests.conftest import examples


def decisions(n=4_000, seed=0):
    """Make two years of decisions: a steady column, one that turns for a quarter, and noise."""
    rng = np.random.default_rng(seed)
    quarter = pd.Series(pd.period_range("2023Q1", "2024Q4", freq="Q")[np.arange(n) * 8 // n])
    X = pd.DataFrame(
        {
            "steady": rng.normal(size=n),
            "turning": rng.normal(size=n),
            "noise": rng.normal(size=n).round(1),
            "channel": rng.choice(["web", "app", "shop", "phone"], n),
        }
    )
    X.loc[::25, "turning"] = np.nan
    turn = np.where(quarter == "2023Q4", -0.8, 0.5)
    logit = -1.5 + X["steady"] + turn * X["turning"].fillna(0) + 0.4 * (X["channel"] == "web")
    return X, (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(int), quarter


def naive_rates(encoder, X, y, quarter, feature):
    """Group the rows by their bin and their quarter."""
    j = list(X).index(feature)
    bins = encoder.bin_numbers(X)[:, j]
    frame = pd.DataFrame({"bin": bins, "quarter": quarter.astype(str), "bad": y})
    return frame.pivot_table("bad", "bin", "quarter")


class TestTable:
    """What the table of a column says of each period."""

    def test_equals_a_groupby(self):
        """The rate of each bin and period is the mean of the target over its rows."""
        X, y, quarter = decisions()
        encoder = WOEEncoder().fit(X, y, period=quarter)
        assert encoder.periods_ == sorted(set(quarter.astype(str)))
        for feature in X:
            table = encoder.binning_table(feature)
            expected = naive_rates(encoder, X, y, quarter, feature)
            for period in expected:
                shown = table[f"bad_rate {period}"].to_numpy()[expected.index]
                assert shown == pytest.approx(expected[period].to_numpy())

    def test_counts_reversals_of_neighbours(self):
        """A period in which two bins are the other way round counts once, an empty bin never."""
        goods = np.array([[9.0, 8, 7], [8, 9, 0], [9, 8, 9]])
        bads = np.array([[1.0, 2, 3], [2, 1, 0], [1, 2, 1]])
        assert count_reversals(goods, bads).tolist() == [1, 1]

    def test_another_sample_has_its_own_periods(self):
        """Of another sample its own rows and periods are counted, in the bins of the first."""
        X, y, quarter = decisions()
        encoder = WOEEncoder().fit(X, y)
        assert "reversals" not in encoder.binning_table("turning")
        fitted = WOEEncoder().fit(X, y, period=quarter).binning_table("turning")
        again = encoder.binning_table("turning", X, y, period=quarter)
        pd.testing.assert_frame_equal(again, fitted)

    def test_rows_without_weight_count_in_no_period(self):
        """Levels that only rows of weight 0 have do not disturb the counts."""
        X, y, quarter = decisions()
        weight = np.where(X["channel"] == "phone", 0.0, 1.0)
        encoder = WOEEncoder().fit(X, y, weight, quarter)
        kept = weight > 0
        without = WOEEncoder().fit(X[kept], y[kept], period=quarter[kept])
        for feature in X:
            pd.testing.assert_frame_equal(
                encoder.binning_table(feature), without.binning_table(feature)
            )


class TestStability:
    """Bins are found that keep their order, at a price."""

    def test_counts_only_where_it_is_free(self):
        """Periods alone change no bin."""
        X, y, quarter = decisions()
        plain, counted = WOEEncoder().fit(X, y), WOEEncoder().fit(X, y, period=quarter)
        assert np.array_equal(plain.transform(X), counted.transform(X))

    @pytest.mark.parametrize("monotonic", ["auto", "auto_shape", None])
    def test_infinity_allows_no_reversal(self, monotonic):
        """In no period is any bin the other way round, and a steady column keeps its bins."""
        X, y, quarter = decisions()
        strict = WOEEncoder(stability=np.inf, monotonic=monotonic).fit(X, y, period=quarter)
        assert [strict.binning_table(name)["reversals"].iloc[-1] for name in X] == [0, 0, 0, 0]
        assert strict.bins_[0]["n_bins"] > 2
        assert strict.findings_[1] == (
            "no split is worth its reversals over time at stability=inf"
            if strict.bins_[1]["n_bins"] == 1
            else ""
        )

    def test_a_higher_price_buys_fewer_reversals(self):
        """Reversals and information value fall with the price."""
        X, y, quarter = decisions()
        fitted = [
            WOEEncoder(stability=price).fit(X, y, period=quarter)
            for price in (0.0, 0.0005, 0.005, np.inf)
        ]
        n_reversals = [e.binning_table("turning")["reversals"].iloc[-1] for e in fitted]
        values = [e.information_value_[1] for e in fitted]
        assert n_reversals == sorted(n_reversals, reverse=True)
        assert values == sorted(values, reverse=True)
        assert n_reversals[0] > n_reversals[2]

    @settings(max_examples=examples(15), deadline=None)
    @given(st.integers(0, 1_000), st.sampled_from([0.001, 0.02, np.inf]))
    def test_neither_names_nor_order_matter(self, seed, price):
        """Rows in another order and periods of other names have the same bins."""
        X, y, quarter = decisions(600, seed)
        first = WOEEncoder(stability=price).fit(X, y, period=quarter)
        order = np.random.default_rng(seed).permutation(len(X))
        names = -quarter.factorize()[0]
        other = WOEEncoder(stability=price).fit(
            X.iloc[order], y[order], period=np.asarray(names)[order]
        )
        assert first.transform(X) == pytest.approx(other.transform(X))


class TestFrontier:
    """What the order costs."""

    @pytest.mark.parametrize("feature", ["steady", "turning", "noise", "channel"])
    def test_is_the_hull_of_reversals_and_information(self, feature):
        """Fewer reversals cost information, each more than the last, down to none."""
        X, y, quarter = decisions()
        frontier = WOEEncoder().fit(X, y, period=quarter).frontier(feature)
        assert frontier["stability"].iloc[0] == 0
        assert frontier["stability"].is_monotonic_increasing
        assert (frontier["reversals"].diff().dropna() < 0).all()
        assert (frontier["information_value"].diff().dropna() < 0).all()
        assert frontier["reversals"].iloc[-1] == 0

    @pytest.mark.parametrize("feature", ["turning", "channel"])
    def test_its_bins_are_what_a_classing_takes(self, feature):
        """Bins of the frontier, by hand, have the information value and the reversals it says."""
        X, y, quarter = decisions()
        frontier = WOEEncoder().fit(X, y, period=quarter).frontier(feature)
        part = "cuts" if feature == "turning" else "groups"
        for row in frontier.to_dict("records"):
            by_hand = WOEEncoder(classing={feature: {part: row[part]}}).fit(X, y, period=quarter)
            table = by_hand.binning_table(feature)
            assert table["iv"].iloc[-1] == pytest.approx(row["information_value"])
            assert table["reversals"].iloc[-1] == row["reversals"]

    @pytest.mark.parametrize("price", [0.0, 0.001, np.inf])
    def test_fit_finds_no_less_at_its_price(self, price):
        """What a fit finds at some price is on the frontier, or within a hair of it."""
        X, y, quarter = decisions()
        encoder = WOEEncoder(stability=price).fit(X, y, period=quarter)
        for feature in X:
            frontier = encoder.frontier(feature)
            table = encoder.binning_table(feature)
            at_price = frontier[frontier["stability"] <= price].iloc[-1]
            paid = 0.0 if price in (0.0, np.inf) else price
            ours = table["iv"].iloc[-1] - paid * table["reversals"].iloc[-1]
            best = at_price["information_value"] - paid * at_price["reversals"]
            assert ours == pytest.approx(best, abs=1e-3)

    def test_says_what_it_needs(self):
        """Without periods, or of bins by hand, there is nothing to compare."""
        X, y, quarter = decisions()
        with pytest.raises(ValueError, match=r"fit had none: fit\(X, y, period=\.\.\.\)"):
            WOEEncoder().fit(X, y).frontier("steady")
        by_hand = WOEEncoder(classing={"steady": {"cuts": [0]}}).fit(X, y, period=quarter)
        with pytest.raises(ValueError, match="bins of 'steady' were decided by hand"):
            by_hand.frontier("steady")


class TestElsewhere:
    """Periods go through scorecards, pipelines, searches and files."""

    def test_a_scorecard_hands_them_on(self):
        """The bins of a card keep their order as those of its encoder."""
        X, y, quarter = decisions()
        card = Scorecard(WOEEncoder(stability=np.inf)).fit(X, y, period=quarter)
        alone = WOEEncoder(stability=np.inf).fit(X, y, period=quarter)
        pd.testing.assert_frame_equal(
            card.encoder_.binning_table("turning"), alone.binning_table("turning")
        )
        with pytest.raises(ValueError, match=r"fit needs period=\.\.\."):
            Scorecard(WOEEncoder(stability=0.01)).fit(X, y)

    def test_a_search_splits_them(self):
        """A search over the price gives each fold the periods of its rows."""
        X, y, quarter = decisions(1_500)
        pipeline = Pipeline([("woe", WOEEncoder()), ("classifier", LogisticRegression())])
        grid = {"woe__stability": [0.0, 0.005, np.inf]}
        search = GridSearchCV(pipeline, grid, cv=3, scoring="roc_auc", error_score="raise")
        search.fit(X, y, woe__period=quarter)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()

    def test_metadata_is_routed(self):
        """Where scikit-learn routes metadata, the encoder may ask for periods."""
        X, y, quarter = decisions(1_500)
        with config_context(enable_metadata_routing=True):
            encoder = WOEEncoder(stability=np.inf).set_fit_request(period=True)
            pipeline = Pipeline([("woe", encoder), ("classifier", LogisticRegression())])
            pipeline.fit(X, y, period=quarter)
        assert len(pipeline[0].periods_) == 8

    def test_are_a_level_of_the_index(self):
        """Where the index of the rows has a level of that name, it gives the periods."""
        X, y, quarter = decisions()
        X.index = pd.MultiIndex.from_arrays([X.index, quarter], names=["customer", "period"])
        by_index = WOEEncoder(stability=np.inf).fit(X, y)
        given = WOEEncoder(stability=np.inf).fit(X, y, period=quarter)
        for feature in X:
            pd.testing.assert_frame_equal(
                by_index.binning_table(feature), given.binning_table(feature)
            )

    def test_is_saved(self, tmp_path):
        """A saved encoder shows the same table and frontier."""
        X, y, quarter = decisions()
        encoder = WOEEncoder(stability=0.002).fit(X, y, period=quarter)
        persistence.dump(encoder, tmp_path / "encoder.skops")
        loaded = persistence.load(tmp_path / "encoder.skops")
        for feature in X:
            pd.testing.assert_frame_equal(
                loaded.binning_table(feature), encoder.binning_table(feature)
            )
            pd.testing.assert_frame_equal(loaded.frontier(feature), encoder.frontier(feature))

    def test_a_card_in_json_knows_its_bins(self):
        """JSON keeps bins and points, and not what was counted in each period."""
        X, y, quarter = decisions()
        card = Scorecard(WOEEncoder(stability=np.inf)).fit(X, y, period=quarter)
        read = Scorecard.from_json(card.to_json())
        assert np.array_equal(read.score(X, y), card.score(X, y))
        assert "reversals" not in read.encoder_.binning_table("steady")


class TestRefused:
    """What is no period, and what is no price."""

    @pytest.mark.parametrize(
        ("period", "message"),
        [
            (["a"] * 599, "period must have one label a row: 600 rows, and 599 labels"),
            ([None, *["a"] * 599], r"period is missing in 1 row\(s\)"),
            (range(600), "period has 600 different labels, and at most 120"),
        ],
    )
    def test_labels(self, period, message):
        """Missing labels are refused, and so are too few and too many."""
        X, y, _ = decisions(600)
        with pytest.raises(ValueError, match=message):
            WOEEncoder().fit(X, y, period=list(period))

    @pytest.mark.parametrize("price", [-0.1, np.nan, "all", True, None])
    def test_prices(self, price):
        """A price is a number from 0."""
        X, y, quarter = decisions(600)
        with pytest.raises(ValueError, match="stability must be a price in information value from"):
            WOEEncoder(stability=price).fit(X, y, period=quarter)

    def test_a_price_without_periods(self):
        """A price of nothing that is counted is a mistake."""
        X, y, _ = decisions(600)
        with pytest.raises(ValueError, match=r"fit needs period=\.\.\., one label a row"):
            WOEEncoder(stability=0.01).fit(X, y)
