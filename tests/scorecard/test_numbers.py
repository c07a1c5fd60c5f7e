"""The numbers of a scorecard, each computed a second time in another way."""

import json
from itertools import combinations, pairwise

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.utils import get_tags

from rfmrisk.scorecard import Scorecard, probability_to_score, score_to_probability
from rfmrisk.scorecard.scorecard import _right_signs
from rfmrisk.woe import WOEEncoder


def customers(n=1_500, seed=0, bad_share=0.3):
    """Make a table with a column of each kind, and which customers are bad."""
    rng = np.random.default_rng(seed)
    risk = rng.normal(size=n)
    X = pd.DataFrame(
        {
            "recency": np.where(rng.random(n) < 0.1, np.nan, np.round(30 + 10 * risk, 1)),
            "channel": np.where(risk > 0.5, "post", rng.choice(["web", "app"], n)),
            "constant": 1.0,
            "amount": rng.normal(size=n) - 0.5 * risk,
        }
    )
    return X, (risk + rng.logistic(size=n) > np.log(1 / bad_share - 1)).astype(int)


@pytest.fixture(scope="module")
def sample():
    """Make customers."""
    return customers()


@pytest.fixture(scope="module")
def card(sample):
    """Fit a scorecard with rounded points."""
    return Scorecard().fit(*sample)


class Fixed(ClassifierMixin, BaseEstimator):
    """A classifier with the coefficients that are written down for so many columns."""

    def __init__(self, coefficients=None):
        self.coefficients = coefficients

    def fit(self, X, y):
        """Look the coefficients up."""
        self.classes_ = np.unique(y)
        self.coef_ = np.array([self.coefficients[X.shape[1]]])
        self.intercept_ = np.array([0.0])
        return self


class TestScale:
    """Probabilities and points."""

    def test_the_default_scale(self, sample):
        """600 points at odds of 50, and 20 more for odds twice as good, wherever it is said."""
        for odds, points in ((50, 600), (100, 620), (25, 580)):
            assert probability_to_score(1 / (1 + odds)) == pytest.approx(points)
            assert score_to_probability(points) == pytest.approx(1 / (1 + odds))
        card = Scorecard(rounded=False).fit(*sample)
        expected = probability_to_score(card.predict_proba(sample[0])[:, 1])
        assert card.predict_score(sample[0]) == pytest.approx(expected)

    def test_counts_in_double_precision(self):
        """Single-precision input has the score of the same number in double precision."""
        points = np.float32(612.3)
        in_double = score_to_probability(float(points), base_score=600.1)
        assert score_to_probability(points, base_score=600.1) == in_double


class TestFit:
    """Coefficients, whatever the classifier."""

    def test_a_classifier_that_knows_no_weights(self, sample):
        """Without weights, none are handed on."""
        card = Scorecard(classifier=LinearDiscriminantAnalysis()).fit(*sample)
        woe = card.encoder_.transform(sample[0])
        direct = LinearDiscriminantAnalysis().fit(woe, sample[1])
        assert card.predict_proba(sample[0]) == pytest.approx(direct.predict_proba(woe))

    def test_leaves_out_the_worst_sign_first(self):
        """One feature after the other, the greatest coefficient first, but never the last one."""
        X, y = customers()
        X = X[["recency", "amount", "channel"]]
        steps = {3: [-1.0, 0.5, 2.0], 2: [0.1, -1.0], 1: [0.7]}
        card = Scorecard(classifier=Fixed(steps), enforce_signs=True).fit(X, y)
        assert card.used_.tolist() == [1]
        assert card.coef_.tolist() == [0, 0.7, 0]
        assert card.wrong_sign_ == ["amount"]
        stops = {3: [0.5, 0.0, -1.0], 2: [0.0, -1.0], 1: [0.7]}
        card = Scorecard(classifier=Fixed(stops), enforce_signs=True).fit(X, y)
        assert card.used_.tolist() == [2]
        assert card.summary()["right_sign"].all()

    @pytest.mark.parametrize("C", [0.003, 1.0])
    @pytest.mark.parametrize("seed", [0, 1, 2, 3, 6, 9])
    def test_right_signs_are_those_of_the_bounded_optimum(self, seed, C):
        """Of all sets of features whose regression has right signs, the one with least loss."""
        rng = np.random.default_rng(seed)
        common = rng.normal(size=(400, 1))
        X = common + rng.normal(size=(400, 5)) * rng.uniform(0.1, 1, 5)
        y = rng.random(400) < 1 / (1 + np.exp(1 - X @ rng.normal(0.3, 1, 5)))
        weight = rng.integers(1, 6, 400).astype(float)
        weight /= weight.mean()
        encoder = WOEEncoder(max_bins=3)
        card = Scorecard(encoder, LogisticRegression(C=C, tol=1e-8), enforce_signs=True)
        card.fit(X, y, sample_weight=weight)
        woe = encoder.fit(X, y, sample_weight=weight).transform(X)

        def loss(features):
            model = LogisticRegression(C=C, tol=1e-8)
            model.fit(woe[:, features], y, sample_weight=weight)
            if model.coef_.max() > 0:
                return np.inf
            margin = np.where(y, 1, -1) * model.decision_function(woe[:, features])
            return C * weight @ np.logaddexp(0, -margin) + (model.coef_**2).sum() / 2

        sets = [list(s) for k in range(1, 6) for s in combinations(range(5), k)]
        assert card.used_.tolist() == min(sets, key=loss)

    @pytest.mark.parametrize("C", [0.002, 0.02, 1.0])
    @pytest.mark.parametrize("seed", [4, 11, 18, 40, 54])
    def test_right_signs_need_not_be_those_that_elimination_leaves(self, seed, C):
        """No feature that is left out would lower the loss with the right sign."""
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(200, 3)) @ rng.normal(size=(8, 3)).T + rng.normal(size=(200, 8)) * 0.3
        bad = rng.random(200) < 1 / (1 + np.exp(1 - X @ rng.normal(0, 0.5, 8)))
        X *= np.where([np.corrcoef(x, bad)[0, 1] > 0 for x in X.T], -1, 1)
        weight = rng.integers(1, 6, 200).astype(float)
        kept = _right_signs(X, bad, weight, np.arange(8), C)
        model = LogisticRegression(C=C, tol=1e-10)
        model.fit(X[:, kept], bad, sample_weight=weight)
        assert model.coef_.max() < 0
        slope = X.T @ (weight * (model.predict_proba(X[:, kept])[:, 1] - bad))
        assert slope[np.setdiff1d(np.arange(8), kept)].max(initial=-1) <= 1e-3

    def test_right_signs_where_nothing_counts(self):
        """A table of constants has one probability for all."""
        y = np.arange(100) % 4 == 0
        card = Scorecard(enforce_signs=True).fit(np.ones((100, 2)), y)
        assert card.predict_proba(np.ones((1, 2)))[0, 1] == pytest.approx(0.25, abs=1e-3)

    def test_refitted_on_an_array_forgets_the_names(self, sample):
        """Names are those of the last table it was fitted on."""
        card = Scorecard().fit(*sample)
        assert list(card.feature_names_in_) == list(sample[0])
        card.fit(sample[0][["recency", "amount"]].to_numpy(), sample[1])
        assert not hasattr(card, "feature_names_in_")

    def test_a_tie_is_no_reason_to_call_a_customer_bad(self, sample, card):
        """At even odds nobody is more likely bad than good."""
        state = json.loads(card.to_json()) | {"intercept": 0, "coefficients": [0] * 4}
        even = Scorecard.from_json(json.dumps(state))
        assert (even.predict_proba(sample[0]) == 0.5).all()
        assert (even.predict(sample[0]) == 0).all()

    def test_what_does_not_count_may_hold_anything(self, sample):
        """A column under min_iv is not even read."""
        X, y = sample
        card = Scorecard(WOEEncoder(min_iv=0.01)).fit(X, y)
        assert 2 not in card.used_
        other = X.assign(constant="text")
        assert np.array_equal(card.predict_score(other), card.predict_score(X))

    def test_says_what_it_takes(self):
        """scikit-learn learns that columns may be mixed and incomplete, and y binary only."""
        tags = get_tags(Scorecard())
        assert tags.input_tags.allow_nan is True
        assert tags.input_tags.categorical is True
        assert tags.input_tags.string is True
        assert tags.classifier_tags.multi_class is False


class TestTables:
    """Points, reasons and coefficients as tables."""

    def test_points_are_the_scaled_products(self, card):
        """They are -pdo / ln 2 * coefficient * WoE, rounded; the base row holds the intercept."""
        table = card.points_table()
        assert list(table.columns) == ["feature", "bin", "woe", "coefficient", "points"]
        base, rest = table.iloc[0], table.iloc[1:]
        assert (base["feature"], base["bin"], base["woe"]) == ("base", "", 0)
        assert base["coefficient"] == card.intercept_
        assert base["points"] == round(600 - 20 / np.log(2) * (np.log(50) + card.intercept_))
        expected = np.rint(-20 / np.log(2) * rest["coefficient"] * rest["woe"])
        assert rest["points"].tolist() == expected.tolist()
        by_feature = rest.groupby("feature", sort=False)
        for (_, woe), j in zip(by_feature["woe"], card.used_, strict=True):
            assert woe.tolist() == card.encoder_.bins_[j]["woe"][: len(woe)].tolist()
        coefficients = by_feature["coefficient"].unique().explode().tolist()
        assert coefficients == card.coef_[card.used_].tolist()
        assert "constant" not in set(rest["feature"])

    @pytest.mark.parametrize("bad_share", [0.05, 0.9])
    @pytest.mark.parametrize("rounded", [True, False])
    def test_reasons_are_the_distances_to_the_best(self, bad_share, rounded):
        """Rank, points and loss of each reason, by hand, whatever the share of bads."""
        X, y = customers(400, bad_share=bad_share)
        card = Scorecard(rounded=rounded, pdo=20 if rounded else 0.5).fit(X, y)
        table = card.reasons(X.iloc[:60], n=2)
        assert list(table.columns) == ["rank", "feature", "code", "bin", "points", "lost", "reason"]
        kind = np.int64 if rounded else np.float64
        assert table["points"].dtype == table["lost"].dtype == kind
        codes = card.encoder_.bin_numbers(X)
        rows = []
        for k in range(60):
            bins = zip(card.points_, codes.T, card.encoder_.bins_, strict=True)
            ordinary = [
                (points, of[k], [code for code in np.unique(of) if code < column["n_bins"]])
                for points, of, column in bins
            ]
            lost = [
                max(points[attainable].max() - points[own], 0)
                for points, own, attainable in ordinary
            ]
            order = sorted(range(4), key=lambda j: -lost[j])[:2]
            rows += [
                (k, rank, X.columns[j], card.points_[j][codes[k, j]], lost[j])
                for rank, j in enumerate(order, start=1)
                if lost[j] > 0
            ]
        found = table.reset_index()[["index", "rank", "feature", "points", "lost"]]
        assert list(found.itertuples(index=False, name=None)) == rows

    def test_there_are_three_reasons_by_default(self):
        """As many as a letter to a customer has, of features alike in the order of the columns."""
        x = np.arange(200.0)
        X = np.repeat(x[:, None], 20, axis=1)
        card = Scorecard().fit(X, (x % 10 < 2 + 4 * (x > 100)).astype(int))
        reasons = card.reasons(X[-3:])
        assert reasons.index.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
        assert reasons["feature"].tolist() == ["x0", "x1", "x2"] * 3
        for n, text in ((3, card.reasons_text(X[-3:])), (1, card.reasons_text(X[-3:], n=1))):
            assert text.dtype == object
            lines = card.reasons(X[-3:], n=n).groupby(level=0)["reason"].agg("; ".join)
            assert text.tolist() == lines.tolist()

    def test_the_best_is_what_training_customers_had(self):
        """A bin that nobody was in has no points to lose against."""
        X = pd.DataFrame({"channel": ["web"] * 1_001 + ["app"]})
        y = [1, 1] + [0] * 1_000
        encoder = WOEEncoder(special_values={"channel": ["app"]})
        card = Scorecard(encoder, Fixed({1: [-1.0]}), rounded=False).fit(X, y)
        assert card.points_[0][0] < 0 < card.points_[0][1]
        assert len(card.reasons(X[:5])) == 0
        assert list(card.reasons_text(X[:1])) == [""]

    def test_light_weights_have_reasons_too(self, sample):
        """Weights that sum to 1 leave no bin out, and give the card that none give."""
        X, y = sample
        light = Scorecard().fit(X, y, sample_weight=np.full(len(y), 1 / len(y)))
        plain = Scorecard().fit(X, y)
        pd.testing.assert_frame_equal(light.reasons(X), plain.reasons(X), check_exact=False)

    def test_summary_is_walds(self, sample, card):
        """z, p and interval follow from the coefficient and its error."""
        summary = card.summary(0.9)
        assert summary.index.name == "feature"
        assert list(summary.columns) == [
            *("coefficient", "std_error", "z", "p_value", "ci_low", "ci_high"),
            *("information_value", "right_sign"),
        ]
        known = summary
        z = known["coefficient"] / known["std_error"]
        assert known["z"].to_numpy() == pytest.approx(z)
        assert known["p_value"].to_numpy() == pytest.approx(2 * norm.sf(np.abs(z)))
        half = norm.ppf(0.95) * known["std_error"]
        assert known["ci_low"].to_numpy() == pytest.approx(known["coefficient"] - half)
        assert known["ci_high"].to_numpy() == pytest.approx(known["coefficient"] + half)
        iv = summary["information_value"]
        assert np.isnan(iv["intercept"])
        assert np.array_equal(iv[1:], card.encoder_.information_value_[card.used_])
        assert summary["right_sign"].dtype == bool
        assert summary["right_sign"].all()

    def test_what_has_no_coefficient_is_in_no_table(self, sample, card):
        """A constant is not used: it has no points, no error, no reason and no index."""
        assert card.coef_[2] == 0
        assert card.used_.tolist() == [0, 1, 3]
        tables = [card.summary().index, card.stability_report(sample[0]).index]
        tables += [card.points_table()["feature"], card.reasons(sample[0], n=9)["feature"]]
        assert not any("constant" in set(names) for names in tables)
        assert "constant" not in card.to_sql()

    def test_what_others_determine_has_no_error(self, sample):
        """NaN in every column that would say how sure it is."""
        X, y = sample
        twice = pd.DataFrame({"a": X["recency"], "b": X["recency"]})
        row = Scorecard().fit(twice, y).summary().loc["a"]
        assert row[["std_error", "z", "p_value", "ci_low", "ci_high"]].isna().all()

    @pytest.mark.parametrize("confidence", [0, 1, np.nan])
    def test_confidence_is_between_0_and_1(self, card, confidence):
        """Certainty of either kind is refused."""
        with pytest.raises(ValueError, match=r"'confidence' .* \(0\.0, 1\.0\). Got"):
            card.summary(confidence)

    def test_errors_are_those_of_the_inverse_information(self, sample, card):
        """The covariance of the determined coefficients, by a plain inverse."""
        kept = [0, 1, 3]
        woe = card.encoder_.transform(sample[0])[:, kept]
        p = card.predict_proba(sample[0])[:, 1]
        design = np.column_stack([np.ones(len(woe)), woe])
        expected = np.linalg.inv(design.T @ (design * (p * (1 - p))[:, None]))
        assert card.covariance_ == pytest.approx(expected)

    def test_a_weak_feature_has_a_large_error_and_not_none(self):
        """The scale of a column does not decide whether it is determined."""
        X = pd.DataFrame({"c": ["a", "a", "b", "b"]})
        weight = np.array([1_000, 100, 1_000, 100.001])
        card = Scorecard().fit(X, [0, 1, 0, 1], sample_weight=weight)
        woe = card.encoder_.bins_[0]["woe"]
        expected = np.sqrt((weight.mean() / weight).sum()) / abs(woe[0] - woe[1])
        assert card.summary().loc["c", "std_error"] == pytest.approx(expected, rel=1e-3)


class TestStability:
    """The population stability of scores and features."""

    @pytest.mark.parametrize("rounded", [True, False])
    def test_deciles_of_the_training_scores(self, sample, rounded):
        """Nine cuts, and the customers from each to the next."""
        X, y = sample
        card = Scorecard(rounded=rounded).fit(X, y)
        score, cuts = card.predict_score(X), card.score_cuts_
        below = [(score < cut).sum() for cut in cuts]
        assert card.score_counts_.tolist() == np.diff([0, *below, len(y)]).tolist()
        deciles = np.sort(score)[[len(y) * k // 10 for k in range(1, 10)]]
        assert cuts.tolist() == np.unique(deciles).tolist()

    def test_index_by_hand(self, sample, card):
        """Score and features over the bins of the training sample, unseen levels included."""
        X, _ = sample
        new = X[X["recency"] > 35].assign(channel="fax")
        report = card.stability_report(new)
        assert report.index.name == "feature"
        assert list(report.columns) == ["psi", "reading"]

        def index(before, after):
            used = (before > 0) | (after > 0)
            p = np.where(before > 0, before, 0.5)[used] / before.sum()
            q = np.where(after > 0, after, 0.5)[used] / after.sum()
            return ((q - p) * np.log(q / p)).sum()

        edges = np.array([-np.inf, *card.score_cuts_, np.inf])
        scores = [
            np.array([((s >= a) & (s < b)).sum() for a, b in pairwise(edges)])
            for s in (card.predict_score(X), card.predict_score(new))
        ]
        assert report.loc["score", "psi"] == pytest.approx(index(*scores))
        for j in card.used_:
            name = X.columns[j]
            n_bins = len(card.points_[j])
            counts = [
                np.bincount(card.encoder_.bin_numbers(table)[:, j], minlength=n_bins)
                for table in (X, new)
            ]
            assert report.loc[name, "psi"] == pytest.approx(index(*counts))

    def test_weight_equals_repetition(self, sample):
        """In the training sample and in the new one; without its weights, it has shifted."""
        X, y = sample
        weight = np.random.default_rng(1).integers(1, 5, len(y)) ** (1 + y)
        repeated = np.repeat(np.arange(len(y)), weight)
        C = weight.mean()  # of weights in any unit, the classifier is given those of mean 1
        weighted = Scorecard(classifier=LogisticRegression(C=C, tol=1e-10))
        weighted.fit(X, y, sample_weight=weight)
        model = Scorecard(classifier=LogisticRegression(tol=1e-10))
        cuts, counts = weighted.score_cuts_, weighted.score_counts_
        report = weighted.stability_report(X[::2], sample_weight=weight[::2])
        unweighted = weighted.stability_report(X[::2])
        twice = model.fit(X.iloc[repeated], y[repeated])
        assert np.array_equal(twice.score_cuts_, cuts)
        assert twice.score_counts_ / len(repeated) == pytest.approx(counts / len(y))
        again = twice.stability_report(X.iloc[repeated[repeated % 2 == 0]])
        assert report["psi"].to_numpy() == pytest.approx(again["psi"].to_numpy())
        assert unweighted.loc["score", "psi"] > 5 * report.loc["score", "psi"]


class TestExports:
    """What goes out and comes back."""

    def test_what_is_undetermined_comes_back(self, sample, card):
        """An error that is not known and a sign that is wrong survive the JSON."""
        again = Scorecard.from_json(card.to_json())
        assert np.array_equal(again.covariance_, card.covariance_, equal_nan=True)
        pd.testing.assert_frame_equal(again.summary(), card.summary())
        wrong = Scorecard(classifier=Fixed({4: [-1.0, 0.2, -0.1, -1.0]})).fit(*sample)
        assert wrong.wrong_sign_ == ["channel"]
        assert Scorecard.from_json(wrong.to_json()).wrong_sign_ == ["channel"]
        assert wrong.summary()["right_sign"].tolist() == [True, True, False, True, True]

    def test_numbers_of_numpy_are_numbers(self, sample):
        """A scale computed with NumPy can be written down."""
        card = Scorecard(base_score=np.int64(700), pdo=np.float32(40)).fit(*sample)
        again = Scorecard.from_json(card.to_json())
        assert np.array_equal(again.predict_score(sample[0]), card.predict_score(sample[0]))

    def test_sql_reads_the_table_customers(self, card):
        """Until another is named."""
        assert 'FROM "customers" AS c' in card.to_sql()
        assert 'FROM "clients" AS c' in card.to_sql(table="clients")
