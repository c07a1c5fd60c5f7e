"""Tables of what a score decides."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from rfmrisk import Scorecard, cutoff_table, gains_table, swap_set
from rfmrisk.metrics import ks_statistic
from rfmrisk.scorecard import (
    CutoffDisplay,
    GainsDisplay,
    SwapSetDisplay,
    cutoff_sentence,
    swap_sides,
)

PEOPLE = st.lists(st.tuples(st.booleans(), st.integers(300, 320)), min_size=2, max_size=60).filter(
    lambda people: len({bad for bad, _ in people}) == 2
)


def parts(people):
    """Return outcomes and scores of people."""
    bad, score = zip(*people, strict=True)
    return np.array(bad, dtype=int), np.array(score)


class TestGains:
    """Bands of the score."""

    @given(PEOPLE, st.integers(1, 12))
    def test_bands_hold_everybody_once(self, people, n_bands):
        """Counts add up, no score is in two bands, and shares end at 1."""
        y, score = parts(people)
        table = gains_table(y, score, n_bands)
        assert table[["n", "bads"]].sum().tolist() == [len(y), y.sum()]
        assert (table["score_min"].to_numpy()[1:] > table["score_max"].to_numpy()[:-1]).all()
        assert table[["cum_share", "cum_goods", "cum_bads"]].iloc[-1].tolist() == pytest.approx(
            [1] * 3
        )
        assert len(table) <= n_bands

    @given(PEOPLE)
    def test_a_band_for_each_score_has_the_ks(self, people):
        """With a band for each score, the largest distance is the KS statistic."""
        y, score = parts(people)
        found = gains_table(y, score, 10_000)["ks"].abs().max()
        assert found == pytest.approx(max(ks_statistic(y, -score), ks_statistic(y, score)))

    def test_weights_count_as_customers(self):
        """A weight of w is w customers, and none is nobody."""
        y, score = np.array([1, 0, 1, 0, 0]), np.array([1, 2, 3, 4, 9])
        weight = np.array([2, 1, 3, 2, 0])
        twice = np.repeat(np.arange(5), weight)
        weighted = gains_table(y, score, 3, sample_weight=weight)
        pd.testing.assert_frame_equal(weighted, gains_table(y[twice], score[twice], 3))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (([0, 1], [1, np.nan], 2), "score holds missing"),
            (([0, 1], [1, 2], 0), r"'n_bands' .* int in the range \[1, inf\). Got 0 "),
            (([0, 1], [1, 2], True), r"'n_bands' .* int in .* Got True "),
            (([0, 0], [1, 2], 2), "one class only"),
            (([0, 1], [1, 2, 3], 2), "3 rows and 2 labels"),
        ],
    )
    def test_refuses(self, arguments, message):
        """What cannot be laid out says why."""
        with pytest.raises(ValueError, match=message):
            gains_table(*arguments)


class TestCutoffs:
    """What a cut-off accepts and earns."""

    @given(PEOPLE, st.integers(295, 325))
    def test_is_what_counting_gives(self, people, cutoff):
        """Every figure is that of the customers at the cut-off or above."""
        y, score = parts(people)
        row = cutoff_table(
            y, score, profit_good=3, loss_bad=10, cutoffs=cutoff, n_bootstraps=5
        ).iloc[0]
        accepted = score >= cutoff
        goods, bads = int((accepted & (y == 0)).sum()), int((accepted & (y == 1)).sum())
        assert row["approved"] == pytest.approx(accepted.mean())
        assert row["accepted_goods"] == goods
        assert row["rejected_goods"] == (y == 0).sum() - goods
        assert row["rejected_bads"] == (y == 1).sum() - bads
        assert row["profit"] == pytest.approx(3 * goods - 10 * bads)
        if accepted.any():
            assert row["bad_rate"] == pytest.approx(y[accepted].mean())
        else:
            assert np.isnan(row["bad_rate"])

    def test_the_band_holds_the_profit_of_another_sample(self):
        """In some 95 % of samples the band is around the profit that is to be expected."""
        rng = np.random.default_rng(0)
        inside = []
        for k in range(100):
            score = rng.integers(0, 10, size=400)
            y = rng.random(400) < 0.5 - score / 25
            row = cutoff_table(y, score, profit_good=1, loss_bad=2, cutoffs=5, random_state=k).iloc[
                0
            ]
            share_bad = (0.5 - np.arange(5, 10) / 25).mean()
            expected = 400 * 0.5 * (1 - share_bad - 2 * share_bad)
            inside.append(row["profit_low"] <= expected <= row["profit_high"])
        assert 0.88 <= np.mean(inside) <= 1

    def test_amounts_may_be_each_customers_own(self):
        """Profits and losses may differ from customer to customer."""
        table = cutoff_table(
            [0, 1, 0], [1, 2, 3], profit_good=[5, 0, 7], loss_bad=[0, 9, 0], cutoffs=[1, 2, 3]
        )
        assert table["profit"].tolist() == [3, -2, 7]

    def test_twenty_cutoffs_by_default(self):
        """Without cut-offs, each parts off one more twentieth of the customers."""
        table = cutoff_table(np.arange(1000) % 2, np.arange(1000))
        assert table["approved"].tolist() == pytest.approx(np.arange(20, 0, -1) / 20)

    def test_the_sentence(self):
        """A cut-off in words, that of nobody included."""
        y, score = [1, 0, 0, 0], [500, 540, 550, 560]
        assert cutoff_sentence(y, score, 540) == "at 540 you accept 75 % with 0.0 % bad"
        assert cutoff_sentence(y, score, 600) == "at 600 you accept nobody"

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"profit_good": 1}, "given together"),
            ({"profit_good": 1, "loss_bad": -1}, "loss_bad must be one amount"),
            ({"profit_good": [1, 2], "loss_bad": 1}, "profit_good must be one amount"),
            ({"cutoffs": [np.nan]}, "cutoffs must be finite scores"),
            ({"cutoffs": []}, "cutoffs must be finite scores"),
            ({"profit_good": 1, "loss_bad": 1, "confidence": 1}, r"'confidence' .* \(0\.0, 1\.0\)"),
            (
                {"profit_good": 1, "loss_bad": 1, "n_bootstraps": 0},
                r"'n_bootstraps' .* int in .* Got 0 ",
            ),
        ],
    )
    def test_refuses(self, options, message):
        """What cannot be computed says why."""
        with pytest.raises(ValueError, match=message):
            cutoff_table([0, 1, 0], [1, 2, 3], **options)


class TestSwaps:
    """Who changes sides."""

    def test_sides_and_bad_rates(self):
        """Everybody is on one side; unknown outcomes are counted apart."""
        y = [0, 1, np.nan, 1, 0]
        table = swap_set(y, [600, 600, 400, 400, 600], [600, 400, 600, 400, 600], 500)
        assert table["n"].to_dict() == {
            "accepted by both": 2,
            "swapped in": 1,
            "swapped out": 1,
            "rejected by both": 1,
        }
        assert table["known"].tolist() == [2, 0, 1, 1]
        assert table["bads"].tolist() == [0, 0, 1, 1]
        assert table["bad_rate"].isna().tolist() == [False, True, False, False]
        assert table["share"].sum() == pytest.approx(1)

    def test_two_cutoffs(self):
        """Each score may have a cut-off of its own."""
        assert swap_sides([5, 5], [50, 70], [4, 60]).tolist() == ["swapped out", "accepted by both"]

    def test_reasons_of_scorecards(self):
        """Of two cards, the features that moved the score are named with their points."""
        rng = np.random.default_rng(0)
        X = pd.DataFrame(rng.normal(size=(3_000, 2)), columns=["income", "age"])
        y = (rng.random(3_000) < 1 / (1 + np.exp(2 + X["income"] + X["age"]))).astype(int)
        old, new = Scorecard().fit(X[["income"]], y), Scorecard().fit(X, y)
        with pytest.raises(ValueError, match="X must be given"):
            swap_set(y, old, new, 540)
        one = Scorecard().fit(X.assign(age=0.0), y)
        table = swap_set(y, one, new, 540, X=X)
        assert table.loc["swapped in", "reasons"].startswith("age +")
        assert table.loc["swapped out", "reasons"].startswith("age -")
        assert table.loc["swapped in", "bad_rate"] < table.loc["swapped out", "bad_rate"]
        points = new.feature_points(X).sum(axis=1) + new.base_points_
        assert points.tolist() == new.predict_score(X).tolist()
        assert roc_auc_score(y, -points) > 0.7

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (([0], [1], [1, 2], 1), "must score the same customers; got 1 and 2"),
            (([0, 1], [1], [1], 1), r"y must have shape \(1,\)"),
            (([2], [1], [1], 1), "y must be 0"),
            (([0], [1], [1], [1, 2, 3]), "cutoff must be a score"),
            (([0], [np.nan], [1], 1), "champion holds missing"),
        ],
    )
    def test_refuses(self, arguments, message):
        """What cannot be compared says why."""
        with pytest.raises(ValueError, match=message):
            swap_set(*arguments)


def test_displays():
    """Each table is drawn."""
    rng = np.random.default_rng(0)
    score = rng.normal(size=500).round(1)
    y = rng.random(500) < 0.3
    assert len(GainsDisplay.from_scores(y, score).ax_.patches) == 10
    drawn = CutoffDisplay.from_scores(y, score, profit_good=1, loss_bad=2)
    assert len(drawn.ax_.lines) == 2
    assert len(drawn.figure_.axes) == 2
    assert len(SwapSetDisplay.from_scores(y, score, -score, 0).ax_.patches) == 4
