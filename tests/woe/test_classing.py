"""Bins by hand: used as they are, kept, and compared with the optimum."""

import json

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from rfmrisk import Scorecard, WOEEncoder, compare_classing
from rfmrisk.persistence import TRUSTED_TYPES
from rfmrisk.woe import read_classing


@pytest.fixture(scope="module")
def sample():
    """Make numbers with a special code, categories, and missing values in both."""
    rng = np.random.default_rng(0)
    n = 3_000
    age = rng.integers(18, 80, n).astype(float)
    grade = rng.choice(list("ABCDE"), n)
    risk = -1.5 - (age - 45) / 30 + 0.4 * np.array(["ABCDE".index(g) for g in grade])
    y = (rng.random(n) < 1 / (1 + np.exp(-risk))).astype(int)
    X = pd.DataFrame({"age": age, "grade": grade, "town": rng.choice(["x", "y", "z", "w"], n)})
    X.loc[::10, "age"] = np.nan
    X.loc[3::50, "age"] = -9
    X.loc[1::20, "grade"] = None
    return X, y


def fit(sample, classing=None, **parameters):
    """Fit an encoder."""
    return WOEEncoder(classing=classing, **parameters).fit(*sample)


def woe_of(encoder, name):
    """Return the WoE of each bin by its name."""
    return encoder.binning_table(name).set_index("bin")["woe"]


class TestBins:
    """Cuts, groups, orders."""

    def test_cuts_are_used_as_they_are(self, sample):
        """Cuts by hand stand; other columns are searched as without them."""
        encoder, plain = fit(sample, {"age": {"cuts": [30, 50]}}), fit(sample)
        assert encoder.bins_[0]["cuts"].tolist() == [30, 50]
        assert encoder.binning_table("grade").equals(plain.binning_table("grade"))

    def test_no_cuts_are_one_bin(self, sample):
        """An empty list of cuts leaves the column whole."""
        assert fit(sample, {"age": {"cuts": []}}).bins_[0]["n_bins"] == 1

    @pytest.mark.parametrize(
        ("rest", "bins"), [("own", None), ("one", [["D", "E"]]), ("neutral", [["D", "E"]])]
    )
    def test_groups_and_the_rest(self, sample, rest, bins):
        """Groups stand; the rest has bins of its own, one bin, or one with a WoE of 0."""
        encoder = fit(sample, {"grade": {"groups": [["A"], ["B", "C"]], "rest": rest}})
        levels = encoder.bins_[1]["levels"]
        assert [levels[c] for c in "ABC"] == [0, 1, 1]
        assert min(levels["D"], levels["E"]) == 2
        if bins:
            assert levels["D"] == levels["E"]
            assert (encoder.bins_[1]["woe"][2] == 0) == (rest == "neutral")

    def test_an_order_keeps_neighbours_together(self, sample):
        """Of ordered categories each bin holds neighbours."""
        order = ["A", "B", "C", "D", "E"]
        encoder = fit(sample, {"grade": {"order": order, "max_bins": 3}})
        bins = [encoder.bins_[1]["levels"][c] for c in order]
        assert bins == sorted(bins)
        assert bins[-1] == 2

    def test_max_bins_and_gaps(self, sample):
        """A column may have fewer bins, whose rates differ by a gap."""
        assert fit(sample, {"age": {"max_bins": 2}}).bins_[0]["n_bins"] == 2
        rates = fit(sample, {"age": {"min_rate_gap": 0.1}}).binning_table("age")["bad_rate"]
        plain = fit(sample).binning_table("age")["bad_rate"]
        ordinary = rates[: len(rates) - 2]
        assert len(rates) < len(plain)
        assert (ordinary.diff().abs().iloc[1:] >= 0.1).all()

    def test_cuts_that_people_can_read(self, sample):
        """Searched cuts are rounded to so many digits, and stay in order."""
        rng = np.random.default_rng(1)
        X = pd.DataFrame({"income": np.exp(rng.normal(8, 1, 3_000))})
        y = (rng.random(3_000) < 1 / (1 + X["income"] / 3_000)).astype(int)
        cuts = WOEEncoder(cut_digits=1).fit(X, y).bins_[0]["cuts"]
        assert (np.diff(cuts) > 0).all()
        assert len(cuts) > 2
        assert np.mean([float(f"{cut:.0e}") == cut for cut in cuts]) > 0.5


class TestPolicies:
    """Missing values and special codes."""

    @pytest.mark.parametrize("where", ["encoder", "classing"])
    def test_policies_for_missing_values(self, sample, where):
        """Worst is the worst bin, neutral is 0, nearest has one WoE with another bin."""
        found = {}
        for policy in ("own", "worst", "neutral", "nearest"):
            by_hand = {"age": {"missing": policy}} if where == "classing" else None
            options = {"missing": policy} if where == "encoder" else {}
            found[policy] = woe_of(fit(sample, by_hand, **options), "age")
        ordinary = found["own"].index[:-2]
        assert found["worst"]["missing"] == found["own"][ordinary].min()
        assert found["neutral"]["missing"] == 0
        assert found["nearest"]["missing"] in set(found["nearest"][ordinary])
        assert len({round(table["missing"], 9) for table in found.values()}) == 4

    def test_missing_values_that_training_never_saw(self, sample):
        """They are neutral, or as bad as the worst."""
        X, y = sample
        known = X.dropna(), y[X.notna().all(axis=1).to_numpy()]
        new = X[X["age"].isna()].head(1)
        assert fit(known).transform(new)[0, 0] == 0
        assert fit(known, missing="nearest").transform(new)[0, 0] == 0
        worst = fit(known, missing="worst")
        assert worst.transform(new)[0, 0] == woe_of(worst, "age").iloc[:-2].min() < 0

    def test_special_codes_by_policy(self, sample):
        """A code has its own WoE, the worst, none, or that of a bin by name."""
        by_name = {"age": {"cuts": [30, 50], "special": {"-9": "[30, 50)"}}}
        table = woe_of(fit(sample, by_name), "age")
        assert table["-9"] == table["[30, 50)"] != 0
        for policy, check in (("neutral", 0.0), ("worst", table.iloc[:3].min())):
            by_hand = {"age": {"cuts": [30, 50], "special": [{"codes": [-9], "as": policy}]}}
            assert woe_of(fit(sample, by_hand), "age")["-9"] == pytest.approx(check, abs=0.1)
        with pytest.raises(ValueError, match=r"classing of 'age': 'old' is no bin; .*\[30, 50\)"):
            fit(sample, {"age": {"cuts": [30, 50], "missing": "old"}})

    def test_scores_in_sql_follow(self, sample):
        """A card with policies scores in SQL as in Python."""
        duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")
        X, y = sample
        classing = {
            "age": {"missing": "worst", "special": {-9: "neutral"}},
            "grade": {"groups": [["A", "B"]], "rest": "neutral", "missing": "nearest"},
        }
        card = Scorecard(WOEEncoder(classing=classing)).fit(X, y)
        connection = duckdb.connect()
        connection.register("customers", X)
        rows = connection.sql(card.to_sql("duckdb")).fetchall()
        assert [row[0] for row in rows] == card.predict_score(X).tolist()


class TestKept:
    """Written, read, compared."""

    def test_what_was_fitted_gives_the_same_again(self, sample):
        """An encoder with the classing of another has the same WoE, remarks included."""
        given = {
            "age": {"special": {-9: "worst"}, "note": "codes", "by": "RT", "date": "2026-11-28"},
            "grade": {"groups": [["A"]], "rest": "neutral", "missing": "worst"},
        }
        first = fit(sample, given)
        written = json.loads(json.dumps(first.classing()))
        again = fit(sample, written)
        assert np.array_equal(again.transform(sample[0]), first.transform(sample[0]))
        assert again.classing() == first.classing()
        assert written["age"]["by"] == "RT"

    @pytest.mark.parametrize("suffix", ["json", "yaml"])
    def test_files(self, sample, tmp_path, suffix):
        """A JSON or YAML file is a classing, with dates as text."""
        content = {"age": {"cuts": [30, 50], "date": "2026-11-28"}}
        path = tmp_path / f"classing.{suffix}"
        if suffix == "json":
            path.write_text(json.dumps(content), encoding="utf-8")
        else:
            pytest.importorskip("yaml", reason="PyYAML is not installed")
            path.write_text("age:\n  cuts: [30, 50]\n  date: 2026-11-28\n", encoding="utf-8")
        assert read_classing(path) == content
        assert fit(sample, path).bins_[0]["cuts"].tolist() == [30, 50]
        path.write_text("{", encoding="utf-8")
        with pytest.raises(ValueError, match=r"is no (JSON|YAML)"):
            read_classing(path)

    def test_json_and_skops_keep_it(self, sample):
        """A card from JSON, and an encoder from a file, know who decided what."""
        X, y = sample
        classing = {"age": {"cuts": [30], "by": "RT"}}
        card = Scorecard(WOEEncoder(classing=classing)).fit(X, y)
        again = Scorecard.from_json(card.to_json())
        assert again.encoder_.classing() == card.encoder_.classing()
        loaded = skops.io.loads(skops.io.dumps(card.encoder_), trusted=TRUSTED_TYPES)
        assert loaded.classing() == card.encoder_.classing()
        assert np.array_equal(loaded.transform(X), card.encoder_.transform(X))

    def test_is_a_parameter_like_any_other(self, sample):
        """It is cloned, and applied in each fold."""
        card = Scorecard(WOEEncoder(classing={"age": {"cuts": [40]}}))
        assert clone(card).get_params()["encoder__classing"] == {"age": {"cuts": [40]}}
        assert cross_val_score(card, *sample, scoring="roc_auc", cv=3).min() > 0.6

    def test_compare(self, sample):
        """A coarser classing has a price, on training and test."""
        X, y = sample
        before, after = {"age": {"cuts": [30, 50]}}, {"age": {"cuts": [50], "by": "RT"}}
        found = compare_classing(before, after, X[:2000], y[:2000], X[2000:], y[2000:])
        row = found.summary.loc["age"]
        assert row["iv_after"] < row["iv_before"] < row["iv_optimum"]
        assert row["price"] == pytest.approx(row["iv_optimum"] - row["iv_after"])
        assert row["by"] == "RT"
        bins = found.bins.sort_index()
        test = bins.loc[("age", "after", "test")]
        assert test["count"].sum() == 1000
        training = bins.loc[("age", "after", "training")]
        assert training["woe"].tolist() == test["woe"].tolist()
        assert training["points"].tolist() == pytest.approx(
            (training["woe"] * 20 / np.log(2)).tolist()
        )
        with pytest.raises(ValueError, match="given together"):
            compare_classing(before, after, X, y, X)

    def test_a_table_of_another_sample(self, sample):
        """Counts are those of the sample, the WoE is that of the training."""
        X, y = sample
        encoder = WOEEncoder().fit(X[:2000], y[:2000])
        table = encoder.binning_table("age", X[2000:], y[2000:])
        assert table["count"].iloc[-1] == 1000
        assert table["bads"].iloc[-1] == y[2000:].sum()
        assert table["woe"].equals(encoder.binning_table("age")["woe"])
        assert encoder.binning_table("age", X[:2000], y[:2000]).equals(encoder.binning_table("age"))
        with pytest.raises(ValueError, match="needs X and y"):
            encoder.binning_table("age", X)


class TestSummary:
    """No column vanishes in silence."""

    def test_small_groups_that_differ_are_named(self):
        """A strong small category and a few strong numbers are said to be under the least size."""
        rng = np.random.default_rng(0)
        n = 5_000
        small = rng.random(n) < 0.03
        y = (rng.random(n) < np.where(small, 0.7, 0.1)).astype(int)
        X = pd.DataFrame(
            {
                "flag": np.where(small, "yes", "no"),
                "arrears": np.where(small, 3.0, 0.0),
                "noise": rng.normal(size=n),
                "constant": 1,
                "empty": np.nan,
                "good": y + rng.normal(size=n),
            }
        )
        summary = WOEEncoder().fit(X, y).summary()
        for name in ("flag", "arrears"):
            assert (
                "has groups under min_bin_size=0.05 that differ in risk"
                in summary.loc[name, "finding"]
            )
        assert summary.loc["constant", "finding"] == "has one value"
        assert summary.loc["empty", "finding"] == "all values are missing or special"
        assert summary.loc["good", "finding"] == ""
        assert summary.loc["empty", "missing_share"] == 1


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"cut": [1]}, "classing of 'age' may have cuts, groups"),
        ([1], "classing of 'age' must be a mapping"),
        ({"cuts": [2, 1]}, "cuts must be finite and ascending"),
        ({"cuts": [1], "groups": [["a"]]}, "has cuts, of numbers, and groups"),
        ({"groups": "abc"}, "groups must be a list of lists"),
        ({"groups": [["a"], ["a"]]}, "each category once; got 'a' twice"),
        ({"rest": "two"}, "rest must be one of own, one, neutral; got 'two'"),
        ({"missing": 3}, "missing must be one of own, worst, neutral, nearest, or a bin"),
        ({"special": "abc"}, "special must be a list of codes"),
        ({"special": [{"code": 1}]}, "an entry of special has codes and as"),
        ({"order": "abc"}, "order must be a list of categories"),
        ({"max_bins": 0}, "max_bins must be an integer of at least 1"),
        ({"min_rate_gap": 1}, "min_rate_gap must be a rate"),
    ],
)
def test_refuses(entry, message):
    """An entry that is not as it should be is named with what is allowed."""
    with pytest.raises(ValueError, match=message):
        read_classing({"age": entry})
