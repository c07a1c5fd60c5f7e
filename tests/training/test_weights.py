"""Weights of the rows count in the search, the fits, the threshold and the figures."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss, make_scorer, roc_auc_score
from sklearn.model_selection import StratifiedKFold, TunedThresholdClassifierCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline

from rfmrisk import to_histories
from rfmrisk.cli import main
from rfmrisk.datasets import make_transactions
from rfmrisk.metrics import gini, segment_report
from rfmrisk.proxy.auc import bootstrap_auc
from rfmrisk.scoring import ScoringModel
from rfmrisk.scoring.table_files import read_applications
from rfmrisk.training import CatalogueModel, save_run, train
from rfmrisk.training.judging import N_THRESHOLDS, _separation
from tests.training.small import SMALL


def catalogue_of(classifier, **grid):
    """Make a catalogue of one classifier, which gets the features as they are."""
    model = CatalogueModel("one", lambda _: Pipeline([("classifier", classifier)]), grid, {})
    return {"one": model}


# Of this one a weight of k is k rows, to the last digits.
BAYES = catalogue_of(GaussianNB(), classifier__var_smoothing=[1e-9])


@pytest.fixture(scope="module")
def table():
    """Make applications of numbers, their outcomes and whole weights."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(900, 3)), columns=["debt", "income", "noise"])
    y = (rng.random(900) < 1 / (1 + np.exp(1 - X["debt"] + X["income"]))).astype(int)
    return X.rename_axis("customer"), y.to_numpy(), rng.choice([1, 2, 5], 900)


@pytest.fixture(scope="module")
def result(table):
    X, y, weight = table
    return train(X, y, sample_weight=weight, models=BAYES, cv=3)


def rows_of(result, part):
    return np.flatnonzero(result.samples["part"] == part)


@pytest.mark.parametrize("name", SMALL)
def test_equal_weights_change_nothing(table, name):
    """The model, its threshold and its figures are the same to the last bit."""
    X, y, _ = table
    models = {name: SMALL[name]}
    plain = train(X, y, models=models, cv=2)
    equal = train(X, y, models=models, cv=2, sample_weight=np.full(len(y), 0.3))
    assert equal.model.metadata.threshold == plain.model.metadata.threshold
    assert not equal.model.metadata.weighted
    pd.testing.assert_frame_equal(equal.metrics, plain.metrics, check_exact=True)
    pd.testing.assert_frame_equal(
        equal.model.score(equal.past), plain.model.score(plain.past), check_exact=True
    )


def test_a_weight_of_k_is_k_rows(table, result):
    """The final model is that of the training rows, each as often as it weighs."""
    X, y, weight = table
    rows = rows_of(result, "train")
    often = np.repeat(rows, weight[rows])
    repeated = GaussianNB().fit(X.iloc[often], y[often])
    expected = repeated.predict_proba(X)[:, 1]
    assert result.samples["probability_one"].to_numpy() == pytest.approx(expected)
    assert type(result.fitted["one"]) is Pipeline


def test_search_and_threshold_are_weighted(table, result):
    """Scores of candidates and the threshold are those of repeated rows, fold by fold."""
    X, y, weight = table
    rows = rows_of(result, "train")
    X, y, weight = X.iloc[rows], y[rows], weight[rows]
    begins = np.append(0, np.cumsum(weight))

    def repeated(places):
        return np.concatenate([np.arange(begins[k], begins[k + 1]) for k in places])

    of = np.repeat(np.arange(len(rows)), weight)
    folds = [
        (repeated(fit), repeated(judge))
        for fit, judge in StratifiedKFold(3, shuffle=True, random_state=42).split(X, y)
    ]
    aucs = []
    for fit, judge in folds:
        model = GaussianNB().fit(X.iloc[of[fit]], y[of[fit]])
        aucs.append(roc_auc_score(y[of[judge]], model.predict_proba(X.iloc[of[judge]])[:, 1]))
    assert result.candidates["mean_score"].iloc[0] == pytest.approx(np.mean(aucs))

    options = {"response_method": "predict_proba", "thresholds": N_THRESHOLDS, "cv": folds}
    tuned = TunedThresholdClassifierCV(GaussianNB(), scoring=make_scorer(_separation), **options)
    expected = tuned.fit(X.iloc[of], y[of]).best_threshold_
    assert result.model.metadata.threshold == pytest.approx(expected)


def test_figures_are_weighted(table, result):
    """Those of the held-out customers, the cut-offs and the gains among them."""
    _, y, weight = table
    rows = rows_of(result, "test")
    p = result.samples["probability_one"].to_numpy()[rows]
    y, weight = y[rows], weight[rows]
    figures = result.metrics.loc["one"]
    assert figures["roc_auc"] == pytest.approx(roc_auc_score(y, p, sample_weight=weight))
    assert figures["brier"] == pytest.approx(brier_score_loss(y, p, sample_weight=weight))
    assert figures["bad_share"] == pytest.approx(np.average(y, weights=weight))
    assert figures["roc_auc_low"] < figures["roc_auc"] < figures["roc_auc_high"]
    assert figures["brier_low"] < figures["brier"] < figures["brier_high"]
    everybody = result.cutoffs.iloc[0]
    assert everybody["bad_rate"] == pytest.approx(np.average(y, weights=weight))
    assert result.samples["weight"].mean() == pytest.approx(1)


def test_the_figures_of_segments_and_bootstraps():
    """A weight of k is k rows there too."""
    rng = np.random.default_rng(0)
    y, p, weight = rng.integers(0, 2, 60), rng.random(60), rng.integers(1, 4, 60)
    names, often = rng.choice(["a", "b"], 60), np.repeat(np.arange(60), weight)
    weighted = segment_report(y, p, names, sample_weight=weight).drop(columns="n")
    repeated = segment_report(y[often], p[often], names[often]).drop(columns="n")
    pd.testing.assert_frame_equal(weighted, repeated)
    auc = bootstrap_auc(p[None], y == 1, pd.RangeIndex(60), 1, 0, sample_weight=weight)[0, 0]
    assert 2 * auc - 1 == pytest.approx(gini(y, p, sample_weight=weight))


@pytest.mark.parametrize("calibrate", ["sigmoid", "isotonic"])
def test_calibration_and_grades_are_weighted(table, calibrate, tmp_path):
    """The bad rate of the weights is met, and the model is kept in a file."""
    X, y, weight = table
    result = train(
        X,
        y,
        sample_weight=np.where(y, 4.0, 1.0) * weight,
        models={"scorecard": SMALL["scorecard"]},
        cv=3,
        calibrate=calibrate,
        grades=3,
        missed_bad_cost=5,
    )
    rows = rows_of(result, "train")
    weight = result.samples["weight"].to_numpy()[rows]
    rate = np.average(y[rows], weights=weight)
    assert rate > 1.5 * y.mean()
    p = result.samples["probability_scorecard"].to_numpy()[rows]
    assert np.average(p, weights=weight) == pytest.approx(rate, abs=0.03)
    if calibrate == "sigmoid":
        assert result.model.pipeline[-1].prior_ == pytest.approx(rate)
    folder = save_run(result, tmp_path / "run")
    loaded = ScoringModel.load(folder)
    assert loaded.score(result.past).equals(result.model.score(result.past))
    card = (folder / "model_card.md").read_text(encoding="utf-8")
    assert "Rows have weights" in card


def test_weights_of_unknown_outcomes_play_no_part(table, result):
    """Rows without an outcome are left out with their weights."""
    X, y, weight = table
    more = pd.concat([X, X.iloc[:50]], ignore_index=True)
    y = np.append(y.astype(float), np.full(50, np.nan))
    again = train(
        more, y, sample_weight=np.append(weight, np.full(50, 1e6)), models=BAYES, cv=3, proxy=False
    )
    assert again.metrics.equals(result.metrics)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(5), r"must have shape \(900,\)"),
        (np.r_[0, np.ones(899)], "must be above 0.* 1 of 900 are 0"),
        (np.r_[-1, np.ones(899)], "1 negative"),
        (np.r_[np.nan, np.ones(899)], "NaN or infinity"),
        (pd.Series(np.ones(900)).iloc[::-1], "sample_weight has the customers .* in another order"),
    ],
)
def test_weights_that_cannot_be(table, weight, message):
    """An error says what is allowed."""
    X, y, _ = table
    with pytest.raises(ValueError, match=message):
        train(X, y, sample_weight=weight, models=BAYES)


def test_where_weights_cannot_apply(table):
    """A proxy target has samples of its own, and some models take no weights."""
    histories = to_histories(make_transactions(60, random_state=0))
    weight = np.arange(1, len(histories) + 1)
    with pytest.raises(ValueError, match="sample_weight needs outcomes"):
        train(histories, sample_weight=weight)
    y = np.arange(len(histories)) % 2
    with pytest.raises(ValueError, match="proxy=True takes no sample_weight"):
        train(histories, y, sample_weight=weight, proxy=True)
    nearest = catalogue_of(KNeighborsClassifier(), classifier__n_neighbors=[5])
    X, y, weight = table
    with pytest.raises(ValueError, match=r"no step of .* takes sample_weight"):
        train(X, y, sample_weight=weight, models=nearest, cv=2)


def test_the_command_line_takes_a_column(store, capsys):
    """It is no feature, it is kept as a role, and files to score may have it."""
    log = make_transactions(200, random_state=0)
    log.to_csv("log.csv", index=False)
    rng = np.random.default_rng(0)
    decisions = pd.DataFrame({"CustomerId": log["CustomerId"].unique(), "as_of": "2019-02-01"})
    decisions["asked"] = rng.normal(1_000, 100, len(decisions))
    decisions["bad"] = (rng.random(len(decisions)) < 0.3).astype(int)
    decisions["weight"] = rng.choice([1, 3], len(decisions))
    decisions.to_csv("decisions.csv", index=False)
    train_ = ["train", "log.csv", "--decisions", "decisions.csv", "--target", "bad"]
    options = ["--models", "decision_tree", "--cv", "2", "--no-proxy", "-o", "run"]
    assert main([*train_, *options, "--weight", "weigth"]) == 2
    assert "--weight must name a column" in capsys.readouterr().err
    assert main([*train_, *options, "--weight", "weight"]) == 0
    model = ScoringModel.load("run")
    assert model.metadata.weighted
    assert model.metadata.decision_roles["weight"] == "weight"
    assert "application__weight" not in model.metadata.features
    assert "weight" in pd.read_csv("run/samples.csv")
    score = ["score", "log.csv", "--decisions", "decisions.csv", "--model", "run"]
    assert main([*score, "-o", "scores.csv"]) == 0


def test_a_table_to_score_may_have_the_column(table, result):
    """It is left out, as the outcome is."""
    X, y, weight = table
    roles = {"target": "bad", "weight": "counts"}
    model = ScoringModel(
        result.model.pipeline, replace(result.model.metadata, decision_roles=roles)
    )
    read = read_applications(model, X.assign(bad=y, counts=weight))
    assert model.score(read).equals(result.model.score(read_applications(result.model, X)))
