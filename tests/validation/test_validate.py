"""A model against outcomes, in one report."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from rfmrisk import Scorecard, customer_features, to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.training import train
from rfmrisk.validation import ValidationDisplay, validate_model, write_validation
from tests.training.small import SMALL


def _sample(n, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "income": rng.normal(shift, 1, n),
            "age": rng.normal(size=n),
            "region": rng.choice(["north", "south"], n),
        },
        index=pd.Index([f"C{k:04}" for k in range(n)], name="customer"),
    )
    return X, pd.Series(rng.random(n) < 1 / (1 + np.exp(2 + X["income"])), X.index).astype(int)


@pytest.fixture(scope="module")
def card():
    """Give a scorecard of 2,000 customers."""
    return Scorecard().fit(*_sample(2_000, 0))


def test_a_good_model_passes_every_question(card):
    """On customers like those of the training nothing is found, and the power is said."""
    X, y = _sample(2_000, 1)
    report = validate_model(card, X, y, groups="region", reference=_sample(2_000, 0)[0])
    assert report.verdicts["ranking"].startswith("ranks bads above goods")
    assert report.verdicts["calibration"].startswith("not refuted")
    assert "would have noticed" in report.verdicts["calibration"]
    assert report.verdicts["stability"].startswith("stable")
    assert report.verdicts["fairness"].startswith("no group is accepted under four fifths")
    assert report.n_bad == y.sum()
    assert report.migration.shape[0] == len(card.score_cuts_) + 1
    assert str(report).count("\n") == 4


def test_each_weakness_is_found(card):
    """A shift, an understated risk, a fall and an unfair threshold are each named."""
    X, _ = _sample(2_000, 2, shift=1.0)
    worse = pd.Series(np.random.default_rng(3).random(2_000) < 0.35, X.index).astype(int)
    region = np.where(card.predict_score(X) > np.median(card.predict_score(X)), "east", "west")
    X = X.assign(income=X["income"] - 2.5)
    report = validate_model(card, X, worse, groups=region, initial_auc=0.75)
    assert "shifted: score, income" in report.verdicts["stability"]
    assert report.verdicts["calibration"].startswith(("understates", "too extreme"))
    assert "has fallen from 0.750" in report.verdicts["ranking"]
    assert report.verdicts["fairness"].startswith("accepted under four fifths as often: west")


def test_few_defaults_say_how_little_the_test_could_see(card):
    """With a handful of bads the verdict says that the test could hardly have failed."""
    X, y = _sample(60, 4)
    report = validate_model(card, X, y)
    assert "could hardly have failed" in report.verdicts["calibration"]


def test_shares_and_points_explain_the_mean_score(card):
    """What the bins moved adds up to the distance of the mean scores."""
    reference, _ = _sample(2_000, 0)
    X, y = _sample(1_000, 5, shift=0.4)
    report = validate_model(card, X, y, reference=reference)
    distance = card.predict_score(X).mean() - card.predict_score(reference).mean()
    assert report.shifts["moved"].sum() == pytest.approx(distance, abs=1e-9)


def test_outcomes_come_by_column_by_customer_or_by_position(card):
    """The three ways give the same, and rows without an outcome are counted."""
    X, y = _sample(400, 6)
    known = y.astype(float).where(np.arange(400) % 4 > 0)
    by_column = validate_model(card, X.assign(bad=known), "bad")
    by_customer = validate_model(card, X, known.dropna().sample(frac=1, random_state=0))
    by_position = validate_model(card, X, known.to_numpy())
    for other in (by_customer, by_position):
        pd.testing.assert_frame_equal(by_column.ranking, other.ranking)
        pd.testing.assert_frame_equal(by_column.by_tenth, other.by_tenth)
    assert by_column.n_unknown == 100


def test_another_model_is_compared(card):
    """A score of chance is worse than the card, whether given as a model or as numbers."""
    X, y = _sample(1_000, 7)
    rival = LogisticRegression().fit(X[["age"]], y)
    given = validate_model(card, X, y, other=rival.predict_proba(X[["age"]])[:, 1])
    assert "better than the other model" in given.verdicts["ranking"]
    assert given.against.auc == pytest.approx(given.ranking.loc["auc", "value"])


def test_a_classifier_needs_a_reference_and_then_has_characteristics():
    """Any classifier is validated, against the shares of a reference."""
    X, y = _sample(1_000, 8)
    numbers = X[["income", "age"]]
    model = LogisticRegression().fit(numbers, y)
    with pytest.raises(ValueError, match="give reference="):
        validate_model(model, numbers, y)
    report = validate_model(model, numbers, y, reference=numbers)
    assert list(report.stability.index) == ["score", "income", "age"]
    assert report.stability["psi"].max() == 0


def test_histories_have_segments_by_length():
    """Of histories, those without one and thin ones are looked at alone."""
    log, defaults = make_transactions(400, return_defaults=True, random_state=0)
    histories = to_histories(log)
    y = defaults.loc[histories.index]
    pipeline = make_pipeline(customer_features(), Scorecard()).fit(histories, y)
    report = validate_model(pipeline, histories, y, fitted=True)
    assert report.segments["n"].sum() == len(histories)
    assert report.tests.loc["Hosmer-Lemeshow", "p_value"] > 0


def test_a_model_of_a_proxy_is_not_held_against_the_bad_rate(card):
    """Its calibration is not judged, and its label is."""
    X, y = _sample(500, 9)
    report = validate_model(card, X, y, proxy=True)
    assert report.verdicts["calibration"].startswith("not judged")
    assert report.verdicts["label"].startswith("ranks real defaults")


def test_the_page_and_the_tables_are_written(card, tmp_path):
    """The folder holds one page without references outside, and every table."""
    X, y = _sample(500, 10)
    report = validate_model(card, X, y, groups="region", segments=["region"])
    page = write_validation(report, tmp_path / "out").read_text(encoding="utf-8")
    for verdict in report.verdicts.values():
        assert verdict.split(":")[0] in page
    assert "http" not in page
    written = pd.read_csv(tmp_path / "out" / "by_tenth.csv", index_col="tenth")
    np.testing.assert_allclose(written["observed"], report.by_tenth["observed"])
    assert ValidationDisplay(report=report).plot().axes_[0].get_xlabel() == "expected bad rate"


@pytest.mark.parametrize(
    ("outcomes", "message"),
    [
        ("nothing", "no column 'nothing'"),
        ([0, 1], "must have one value a row, 300; got 2"),
        ([np.nan] * 300, "no outcome is known"),
        ([0] * 300, "one class only"),
        ([2.0] + [0, 1] * 149 + [0], r"got also \[2.0\]"),
        (["yes"] + ["no"] * 299, r"got also .*yes"),
    ],
)
def test_outcomes_that_cannot_be_used_are_named(card, outcomes, message):
    """An error says what was wrong with them."""
    X, _ = _sample(300, 11)
    with pytest.raises(ValueError, match=message):
        validate_model(card, X, outcomes)


def test_what_is_no_model_is_refused():
    """A model without probabilities is a type error."""
    with pytest.raises(TypeError, match="predict_proba; got str"):
        validate_model("model", *_sample(10, 0))


def test_a_plain_range_is_a_position_and_no_customer(card):
    """Outcomes whose index merely counts go by position, even where customers are numbers."""
    X, y = _sample(2_000, 1)
    X.index = pd.Index(np.arange(2_000) + 5, name="customer")
    by_position = validate_model(card, X, y.reset_index(drop=True))
    by_customer = validate_model(card, X, pd.Series(y.to_numpy(), X.index)[::-1])
    pd.testing.assert_frame_equal(by_position.ranking, by_customer.ranking)
    pd.testing.assert_frame_equal(by_position.ranking, validate_model(card, X, y.array).ranking)
    shuffled = X.set_axis(np.random.default_rng(0).permutation(2_000))
    given = validate_model(card, shuffled, pd.Series(y.to_numpy(), shuffled.index).sort_index())
    pd.testing.assert_frame_equal(given.ranking, by_position.ranking)


def test_the_grades_of_the_model_are_those_where_none_are_given():
    """A model with grades is held against outcomes by them, or by others that are given."""
    log, y = make_transactions(400, random_state=2, return_defaults=True)
    histories = to_histories(log)
    y = y.loc[histories.index]
    options = {"cv": 2, "outcome": "30D", "n_cutoffs": 1}
    card = {"scorecard": SMALL["scorecard"]}
    model = train(histories, grades=[450, 550], models=card, **options).model
    own = validate_model(model, histories, y).by_grade
    scored = model.score(histories)["grade"]
    assert own["n"].sum() == len(histories)
    assert own["n"].to_dict() == scored.value_counts().loc[own.index].to_dict()
    given = validate_model(model, histories, y, grades=np.where(scored == scored.iloc[0], "a", "b"))
    assert given.by_grade.index.tolist() == ["a", "b"]
