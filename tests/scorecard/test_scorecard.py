"""Scorecard: points, probabilities, reasons, and the same score elsewhere."""

import json
import sqlite3

import duckdb
import numpy as np
import pandas as pd
import pytest
import skops.io
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from rfmrisk.scorecard import Scorecard, probability_to_score, score_to_probability
from rfmrisk.woe import WOEEncoder
from tests.conftest import DATA

REAL = {
    "taiwan_default": ("default_payment_next_month", 1),
    "germancredit": ("creditability", "bad"),
    "credit_data_modeldata": ("Status", "bad"),
    "lending_club_modeldata": ("Class", "bad"),
}


@pytest.fixture(scope="module")
def sample():
    """Make customers of every kind of column, and which are bad."""
    rng = np.random.default_rng(0)
    n = 2_000
    risk = rng.normal(size=n)
    X = pd.DataFrame(
        {
            "recency": np.where(rng.random(n) < 0.1, np.nan, np.round(30 + 10 * risk, 1)),
            'the "net" amount': rng.normal(size=n) - 0.5 * risk,
            "channel": np.where(risk > 0.5, "o'neill", rng.choice(["web", "app"], n)),
            "vip": rng.random(n) < np.where(risk < 0, 0.5, 0.2),
            "code": np.where(rng.random(n) < 0.2, -7, rng.integers(0, 5, n)),
        }
    )
    X.loc[::17, "channel"] = None
    y = (rng.random(n) < 1 / (1 + np.exp(1.5 - risk))).astype(int)
    return X, y


@pytest.fixture(scope="module")
def card(sample):
    """Fit a scorecard."""
    return Scorecard(WOEEncoder(special_values={"code": [-7]})).fit(*sample)


class TestScale:
    """Odds, probabilities and points."""

    @given(st.floats(1e-9, 1 - 1e-9), st.floats(0, 1000), st.floats(0.1, 1000), st.floats(1, 100))
    def test_round_trip(self, probability, base_score, base_odds, pdo):
        """A score says the probability that it was made of."""
        scale = (base_score, base_odds, pdo)
        score = probability_to_score(probability, *scale)
        assert score_to_probability(score, *scale) == pytest.approx(probability, rel=1e-6)

    @given(st.floats(0.01, 1e6), st.floats(1, 100))
    def test_doubling_the_odds_adds_pdo(self, odds, pdo):
        """Twice the goods to one bad is pdo points more."""
        once, twice = (probability_to_score(1 / (1 + o), 600, 50, pdo) for o in (odds, 2 * odds))
        assert twice - once == pytest.approx(pdo, abs=1e-6)

    def test_base(self):
        """At the base odds the score is the base score."""
        assert probability_to_score(1 / 51) == pytest.approx(600)

    def test_certainty_has_a_finite_score(self):
        """0 and 1 are read as the nearest probabilities with odds."""
        best, worst = probability_to_score([0.0, 1.0])
        assert np.isfinite([best, worst]).all()
        assert best > 20_000
        assert worst < 0

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((1.5,), "between 0 and 1; got"),
            ((0.5, 600, 0), "base_odds"),
            ((0.5, 600, 1, -1), "pdo"),
        ],
    )
    def test_refuses(self, arguments, message):
        """What has no score says why."""
        with pytest.raises(ValueError, match=message):
            probability_to_score(*arguments)


class TestScore:
    """Points add up to the score, and the score says the probability."""

    def test_points_add_up_by_hand(self, sample, card):
        """A score is the base points plus the points of one row of the table for each feature."""
        X, _ = sample
        points = card.points_table()
        table = points.set_index(["feature", "bin"])["points"]
        assert points["points"].dtype == np.int64
        row = X[X["recency"].isna() & (X["code"] == -7)].iloc[[0]]
        score = table["base", ""] + table["recency", "missing"] + table["code", "-7"]
        for name in ('the "net" amount', "channel", "vip"):
            bins = card.encoder_.bin_numbers(row)[0, list(X).index(name)]
            score += points[points["feature"] == name]["points"].iloc[bins]
        assert card.predict_score(row)[0] == score

    def test_exact_points_are_the_probability(self, sample):
        """Without rounding, the score is the scaled log-odds."""
        X, y = sample
        card = Scorecard(rounded=False, base_score=500, base_odds=20, pdo=40).fit(X, y)
        expected = probability_to_score(card.predict_proba(X)[:, 1], 500, 20, 40)
        assert card.predict_score(X) == pytest.approx(expected)

    def test_rounding_is_at_most_half_a_point_for_each_part(self, sample, card):
        """Rounded and exact scores differ by less than (features + 1) / 2."""
        X, y = sample
        exact = clone(card).set_params(rounded=False).fit(X, y).predict_score(X)
        assert np.abs(card.predict_score(X) - exact).max() <= (X.shape[1] + 1) / 2

    def test_probabilities_are_the_classifiers(self, sample, card):
        """The scorecard is the logistic regression on the WoE."""
        X, _ = sample
        expected = card.classifier_.predict_proba(card.encoder_.transform(X))
        assert card.predict_proba(X) == pytest.approx(expected)
        assert np.array_equal(card.predict(X), expected[:, 1] > 0.5)

    def test_one_row_scores_as_in_a_batch(self, sample, card):
        """A customer's score does not depend on the company, to the last bit."""
        X, _ = sample
        batch = card.predict_proba(X)
        for k in (0, 7, 1999):
            assert np.array_equal(card.predict_proba(X.iloc[[k]])[0], batch[k])

    def test_weight_equals_repetition(self, sample):
        """A weight of w gives what w customers give."""
        X, y = sample
        weight = np.random.default_rng(0).integers(0, 3, len(y))
        repeated = np.repeat(np.arange(len(y)), weight)
        # Of weights in any unit, the classifier is given those of mean 1.
        model = LogisticRegression(C=weight[weight > 0].mean(), max_iter=1000)
        weighted = Scorecard(classifier=model).fit(X, y, sample_weight=weight)
        twice = Scorecard().fit(X.iloc[repeated], y[repeated])
        assert weighted.predict_proba(X) == pytest.approx(twice.predict_proba(X), abs=1e-6)
        coefficients = twice.summary()["coefficient"]
        assert weighted.summary()["coefficient"].to_numpy() == pytest.approx(
            coefficients.to_numpy(), rel=1e-4, abs=1e-6
        )

    @pytest.mark.parametrize("unit", [1e-6, 1 / 400, 1e6])
    def test_the_unit_of_weights_changes_nothing(self, sample, unit):
        """Weights of any unit give the same WoE, points and errors."""
        X, y = sample
        weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
        one, other = (Scorecard().fit(X, y, sample_weight=weight * k) for k in (1, unit))
        pd.testing.assert_frame_equal(one.points_table(), other.points_table(), rtol=1e-6)
        pd.testing.assert_frame_equal(one.summary(), other.summary(), rtol=1e-5)

    def test_searches_parameters_of_all_parts(self, sample):
        """A grid reaches the encoder and the classifier."""
        X, y = sample
        grid = {
            "encoder__max_bins": [2, 5],
            "classifier__C": [0.1, 1],
            "enforce_signs": [True, False],
        }
        card = Scorecard(WOEEncoder(), LogisticRegression())
        search = GridSearchCV(card, grid, scoring="roc_auc", cv=3, error_score="raise").fit(X, y)
        assert search.best_score_ > 0.65


class TestReasons:
    """Why a score is low."""

    def test_are_the_greatest_losses(self, sample, card):
        """Each reason is the distance to the best attainable, greatest first."""
        X, _ = sample
        table = card.points_table()
        best = table[table["bin"] != "unseen"].groupby("feature")["points"].max()
        reasons = card.reasons(X, n=2)
        assert (reasons["lost"] > 0).all()
        assert (reasons["rank"] <= 2).all()
        assert (reasons["points"] + reasons["lost"] <= best[reasons["feature"]].to_numpy()).all()
        first, second = (reasons[reasons["rank"] == rank]["lost"] for rank in (1, 2))
        assert (first[second.index] >= second).all()

    def test_all_losses_explain_the_score(self, sample, card):
        """The best score minus all that was lost is the score."""
        X, _ = sample
        codes = card.encoder_.bin_numbers(X)
        ordinary = np.all([codes[:, j] < card.encoder_.bins_[j]["n_bins"] for j in card.used_], 0)
        lost = card.reasons(X, n=X.shape[1]).groupby(level=0)["lost"].sum().reindex(X.index)
        best = card.predict_score(X) + lost.fillna(0)
        assert ordinary.any()
        assert len(set(best[ordinary])) == 1
        assert (best[~ordinary] >= best[ordinary].min()).all()

    def test_are_text_too(self, sample, card):
        """One line for each customer, in the words of the scorecard."""
        X, _ = sample
        text = card.reasons_text(X.iloc[:50])
        assert len(text) == 50
        table = card.reasons(X.iloc[:50])
        assert text[table.index[0]].split("; ")[0] == table["reason"].iloc[0]
        assert any("recency missing: " in line for line in card.reasons_text(X))
        assert any("channel is o'neill: " in line for line in text)

    def test_keep_a_repeated_index(self, sample, card):
        """Two rows of one customer have a text each."""
        X, _ = sample
        twice = X.iloc[[0, 1]].set_axis(["a", "a"])
        assert list(card.reasons_text(twice)) == list(card.reasons_text(X.iloc[[0, 1]]))
        assert set(card.reasons(twice).index) == {"a"}


class TestSummary:
    """Coefficients and what to think of them."""

    def test_errors_are_those_of_the_information_matrix(self):
        """One binary feature: the known variance of a log odds ratio, 1/a + 1/b + 1/c + 1/d."""
        cells = {("a", 0): 300, ("a", 1): 50, ("b", 0): 200, ("b", 1): 150}
        X = pd.DataFrame({"c": [level for (level, _), n in cells.items() for _ in range(n)]})
        y = [bad for (_, bad), n in cells.items() for _ in range(n)]
        card = Scorecard(classifier=LogisticRegression(C=np.inf, tol=1e-9)).fit(X, y)
        woe = card.encoder_.bins_[0]["woe"]
        row = card.summary().loc["c"]
        expected = np.sqrt(sum(1 / n for n in cells.values())) / abs(woe[0] - woe[1])
        assert row["coefficient"] == pytest.approx(-1, abs=1e-3)
        assert row["std_error"] == pytest.approx(expected, rel=1e-3)
        assert row["ci_low"] < -1 < row["ci_high"] < 0
        assert row["p_value"] < 1e-10

    def test_intervals_widen_with_confidence(self, card):
        """99 % is wider than 90 %, and 100 % is refused."""
        wide, narrow = card.summary(0.99), card.summary(0.9)
        assert (wide["ci_low"] < narrow["ci_low"]).all()
        with pytest.raises(ValueError, match=r"'confidence' .* \(0\.0, 1\.0\)"):
            card.summary(1)

    def test_what_the_data_do_not_determine_has_no_error(self, sample):
        """Twice the same column: NaN, not a made-up number; a constant one is not used."""
        X, y = sample
        frame = pd.DataFrame({"a": X["recency"], "b": X["recency"], "c": 1, "d": X["code"]})
        errors = Scorecard().fit(frame, y).summary()["std_error"]
        assert errors[["a", "b"]].isna().all()
        assert errors[["intercept", "d"]].notna().all()
        assert "c" not in errors

    def test_wrong_signs_are_reported_and_can_be_ruled_out(self):
        """A noisy copy of a strong feature gets the wrong sign, or is left out."""
        rng = np.random.default_rng(3)
        n = 3_000
        risk, noise = rng.normal(size=n), rng.normal(size=n)
        X = pd.DataFrame({"strong": risk + noise, "copy": noise + 0.2 * risk})
        y = (rng.random(n) < 1 / (1 + np.exp(1 - 2 * risk))).astype(int)
        free = Scorecard().fit(X, y)
        assert free.wrong_sign_ == ["copy"]
        assert not free.summary().loc["copy", "right_sign"]
        bounded = Scorecard(enforce_signs=True).fit(X, y)
        assert bounded.wrong_sign_ == []
        assert list(bounded.summary().index) == ["intercept", "strong"]
        assert set(bounded.points_table()["feature"]) == {"base", "strong"}


class TestStability:
    """The score and the features of a new sample."""

    def test_the_training_sample_is_stable(self, sample, card):
        """Nothing has shifted against itself."""
        report = card.stability_report(sample[0])
        assert list(report.index) == ["score", *sample[0].columns]
        assert report["psi"].to_numpy() == pytest.approx(0, abs=1e-12)
        assert set(report["reading"]) == {"stable"}

    def test_a_shift_is_named(self, sample, card):
        """Only the feature that moved is called shifted, and the score moves with it."""
        X, _ = sample
        report = card.stability_report(X.assign(recency=X["recency"] + 20))
        assert report.loc["recency", "reading"] == "shifted"
        assert (report.drop(index=["score", "recency"])["psi"] < 1e-12).all()
        assert report.loc["score", "psi"] > 0.1


def run_sql(card, X, dialect):
    """Run the exported statement, one score for each row of X."""
    rows = X.assign(row_number=np.arange(len(X)))
    statement = card.to_sql(dialect, key="row_number")
    if dialect == "sqlite":
        database = sqlite3.connect(":memory:")
        rows.to_sql("customers", database, index=False)
        found = database.execute(statement).fetchall()
        database.close()
    else:
        database = duckdb.connect()
        database.register("customers", rows)
        found = database.execute(statement).fetchall()
    return np.array([score for _, score in sorted(found)])


class TestExports:
    """The same score in a database and from a file."""

    @pytest.mark.parametrize("dialect", ["duckdb", "sqlite"])
    def test_sql_gives_the_same_points(self, sample, card, dialect):
        """To the last point, missing, special and unseen values and odd names included."""
        X = sample[0].copy()
        X.loc[::3, "channel"] = "never seen"
        X["vip"] = X["vip"].astype(object).where(X.index % 11 > 0, None)
        assert np.array_equal(run_sql(card, X, dialect), card.predict_score(X))

    @pytest.mark.parametrize("name", list(REAL))
    @pytest.mark.parametrize("dialect", ["duckdb", "sqlite"])
    @pytest.mark.skipif(not DATA.exists(), reason="needs shared/data beside the project")
    def test_sql_gives_the_same_points_on_real_data(self, name, dialect):
        """On every row, half of which the scorecard has not seen."""
        X = pd.read_csv(DATA / f"{name}.csv")
        target, bad = REAL[name]
        y = (X.pop(target) == bad).to_numpy()
        card = Scorecard().fit(X[::2], y[::2])
        assert np.array_equal(run_sql(card, X, dialect), card.predict_score(X))

    def test_sql_has_no_score_for_what_is_an_error(self, sample):
        """Under unseen="error" an unseen level has no score."""
        X, y = sample
        card = Scorecard(WOEEncoder(unseen="error")).fit(X, y)
        scores = run_sql(card, X.iloc[:2].assign(channel=["fax", "web"]), "duckdb")
        assert scores[0] is None
        assert scores[1] == card.predict_score(X.iloc[[1]].assign(channel="web"))[0]

    def test_sql_of_an_unknown_dialect(self, card):
        """The error lists the known ones."""
        with pytest.raises(ValueError, match=r"duckdb, postgresql, sqlite; got 'oracle'"):
            card.to_sql("oracle")

    @pytest.mark.parametrize("rounded", [True, False])
    def test_json_round_trip(self, sample, rounded):
        """A scorecard from JSON is the same to the last bit, in all it says."""
        X, y = sample
        card = Scorecard(WOEEncoder(special_values={"code": [-7]}), rounded=rounded).fit(X, y)
        again = Scorecard.from_json(card.to_json())
        assert np.array_equal(again.predict_proba(X), card.predict_proba(X))
        assert np.array_equal(again.predict_score(X), card.predict_score(X))
        pd.testing.assert_frame_equal(again.points_table(), card.points_table())
        pd.testing.assert_frame_equal(again.summary(), card.summary())
        pd.testing.assert_frame_equal(again.reasons(X[:20]), card.reasons(X[:20]))
        pd.testing.assert_frame_equal(again.stability_report(X), card.stability_report(X))
        assert again.to_sql() == card.to_sql()
        assert again.to_json() == card.to_json()

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{", "not JSON"),
            ("[]", "not a scorecard"),
            ('{"format": "other"}', "format must be 'rfmrisk scorecard 1'"),
            ('{"format": "rfmrisk scorecard 1"}', "incomplete: KeyError"),
        ],
    )
    def test_json_that_is_none(self, text, message):
        """What is wrong with the text is said."""
        with pytest.raises(ValueError, match=message):
            Scorecard.from_json(text)

    def test_json_is_strict(self, card):
        """No NaN and no Infinity, which other readers refuse."""
        json.loads(card.to_json(), parse_constant=pytest.fail)

    def test_skops_round_trip_is_exact(self, sample, card):
        """A saved scorecard needs our two types and scores the same to the last bit."""
        X, _ = sample
        trusted = ["rfmrisk.scorecard.scorecard.Scorecard", "rfmrisk.woe.encoder.WOEEncoder"]
        loaded = skops.io.loads(skops.io.dumps(card), trusted=trusted)
        assert np.array_equal(loaded.predict_proba(X), card.predict_proba(X))
        pd.testing.assert_frame_equal(loaded.points_table(), card.points_table())


class TestBadInput:
    """One clear error each."""

    def test_encoder_of_another_kind(self, sample):
        """Only bins make a scorecard."""
        with pytest.raises(TypeError, match=r"'encoder' .*WOEEncoder' or None. Got StandardScaler"):
            Scorecard(StandardScaler()).fit(*sample)

    def test_classifier_without_coefficients(self, sample):
        """A forest has no points."""
        forest = RandomForestClassifier(n_estimators=2)
        with pytest.raises(TypeError, match=r"must be linear.*got RandomForestClassifier"):
            Scorecard(classifier=forest).fit(*sample)

    @pytest.mark.parametrize("scale", [{"pdo": 0}, {"base_odds": -1}, {"pdo": np.nan}])
    def test_scale(self, sample, scale):
        """Odds and pdo are positive."""
        with pytest.raises(ValueError, match=r"'(pdo|base_odds)' .* \(0\.0, inf\). Got"):
            Scorecard(**scale).fit(*sample)

    @pytest.mark.parametrize("score", [np.nan, np.inf])
    def test_base_score(self, sample, score):
        """The base score is a number."""
        with pytest.raises(ValueError, match=r"'base_score' .* \(-inf, inf\). Got"):
            Scorecard(base_score=score).fit(*sample)

    def test_labels_of_text(self, sample):
        """Sorted, "good" would be the bad."""
        X, y = sample
        with pytest.raises(ValueError, match=r"y must be 0 \(good\) and 1 \(bad\)"):
            Scorecard().fit(X, np.where(y, "bad", "good"))

    @pytest.mark.parametrize(
        "method", ["predict_score", "reasons", "points_table", "summary", "to_sql", "to_json"]
    )
    def test_not_fitted(self, sample, method):
        """Nothing works before fit."""
        arguments = [sample[0]] if method in ("predict_score", "reasons") else []
        with pytest.raises(NotFittedError):
            getattr(Scorecard(), method)(*arguments)


def test_a_memory_changes_nothing_and_saves_the_bins(tmp_path, monkeypatch):
    """Cards of one sample that differ in their classifier alone find their bins once."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=600), "b": rng.choice(list("xyz"), 600)})
    y = (rng.random(600) < 1 / (1 + np.exp(1.5 - X["a"]))).astype(int)
    fits = []
    fit = WOEEncoder.fit_bin_numbers
    monkeypatch.setattr(
        WOEEncoder, "fit_bin_numbers", lambda self, *rows: fits.append(1) or fit(self, *rows)
    )
    for C in (0.1, 10.0):
        alone = Scorecard(classifier=LogisticRegression(C=C), selector=None).fit(X, y)
        fits.clear()
        kept = clone(alone).set_params(memory=str(tmp_path)).fit(X, y)
        assert len(fits) == (C == 0.1)
        assert kept.to_json() == alone.to_json()
        assert kept.selector_.report_.equals(alone.selector_.report_)
