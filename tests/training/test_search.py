"""The training room, on small sample banks."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("mlflow", reason="the extra 'train' is not installed")

from sklearn.base import clone
from sklearn.pipeline import Pipeline

from rfmrisk import customer_features, rewind, to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.scoring import ScoringModel
from rfmrisk.training import CATALOGUE, train
from rfmrisk.training.judging import choose_threshold


@pytest.fixture(scope="module")
def histories():
    return to_histories(make_transactions(n_customers=400, random_state=0))


@pytest.fixture(scope="module")
def result(histories):
    return train(histories, models=["scorecard", "decision_tree"], cv=3)


def test_parts_are_stratified_and_disjoint(result):
    """One customer in five is held out, with the same share of bads, and nobody is in both."""
    parts = result.customers.groupby("part")["target"].agg(["size", "mean"])
    assert parts.loc["test", "size"] == pytest.approx(0.2 * len(result.customers), abs=1)
    assert parts.loc["test", "mean"] == pytest.approx(parts.loc["train", "mean"], abs=0.02)
    assert result.customers.index.is_unique


def test_same_seed_gives_the_same_model_bit_for_bit(histories, result):
    """The result depends on the seed alone, not on the number of processes."""
    again = train(histories, models=["scorecard", "decision_tree"], cv=3, n_jobs=2)
    np.testing.assert_array_equal(
        again.model.pipeline.predict_proba(histories),
        result.model.pipeline.predict_proba(histories),
    )
    pd.testing.assert_frame_equal(again.metrics, result.metrics)
    other = train(histories, models=["scorecard", "decision_tree"], cv=3, random_state=1)
    assert not other.customers["part"].equals(result.customers["part"])


def test_the_best_pipeline_is_the_one_fitted_from_histories(histories, result):
    """Features computed once give the pipeline that would be fitted from histories."""
    past = result.target.past
    rows = (result.customers["part"] == "train").to_numpy()
    name = result.model.facts["model"]
    whole = Pipeline([("features", customer_features()), *clone(result.fitted[name]).steps])
    whole.fit(past[rows], result.customers["target"][rows])
    np.testing.assert_array_equal(
        whole.predict_proba(histories), result.model.pipeline.predict_proba(histories)
    )


def test_recency_alone_stands_beside_the_models(histories, result):
    """The one-column baseline is judged on the same held-out customers."""
    from sklearn.metrics import roc_auc_score

    test = (result.customers["part"] == "test").to_numpy()
    recency = result.features["rfm__recency"][test]
    auc = roc_auc_score(result.customers["target"][test], recency)
    assert result.metrics.loc["recency alone", "roc_auc"] == pytest.approx(auc)
    assert result.metrics.index[0] == result.model.facts["model"]
    assert result.metrics.index[-1] == "recency alone"


def test_the_future_of_a_customer_never_reaches_the_features(histories, result):
    """The features are those of the histories as known before the outcome window."""
    past = rewind(histories, "30D")
    expected = customer_features().fit_transform(past)
    assert (result.customers["as_of"] == past["as_of"]).all()
    pd.testing.assert_series_equal(result.features["rfm__recency"], expected["rfm__recency"])


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_catalogue_model_trains_from_histories_to_a_probability(histories, name):
    """Each catalogue model is one pipeline with both kinds of search spaces."""
    trained = train(histories, models=[name], cv=2, search="random", n_iter=2)
    probability = trained.model.pipeline.predict_proba(histories)
    assert probability.shape == (len(histories), 2)
    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-6)
    assert set(CATALOGUE[name].grid) <= set(CATALOGUE[name].make(0).get_params())
    scores = trained.model.score(histories)
    assert scores["reason_1"].str.len().gt(0).any()


def test_a_given_target_is_taken_as_it_is():
    """With y, the histories are those at the decisions and nothing is derived."""
    log, defaults = make_transactions(n_customers=600, random_state=0, return_defaults=True)
    histories = to_histories(log)
    trained = train(histories, defaults.loc[histories.index], models=["decision_tree"], cv=2)
    assert trained.target is None
    assert trained.customers["target"].tolist() == defaults.loc[histories.index].tolist()


def test_a_customer_with_several_decisions_is_on_one_side():
    """All decisions about a customer are in the same part."""
    log, defaults = make_transactions(n_customers=300, random_state=0, return_defaults=True)
    histories = to_histories(log)
    both = pd.concat([histories, rewind(histories, "30D")])
    y = defaults.loc[both.index].to_numpy()
    trained = train(both, y, models=["decision_tree"], cv=2)
    sides = trained.customers.groupby("part").groups
    assert not set(sides["train"]) & set(sides["test"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"models": ["forest"]}, "models must be names of .*got \\['forest'\\]"),
        ({"models": "scorecard"}, "got 'scorecard'"),
        ({"search": "bayes"}, "'grid' or 'random'; got 'bayes'"),
        ({"cv": 1}, "at least 2; got 1"),
        ({"test_size": 1.5}, "between 0 and 1; got 1.5"),
        ({"outcome": "900D"}, "no customer was known 900D earlier"),
        ({"y": [0, 1]}, "one value for each"),
        ({"y": [2] * 400}, "0 .good. or 1 .bad."),
        ({"y": [0] * 400}, "each class needs"),
    ],
)
def test_bad_parameters_say_what_is_allowed(histories, options, message):
    """A wrong parameter is named, with what was got and what is allowed."""
    with pytest.raises(ValueError, match=message):
        train(histories, **options)


def test_hopeless_logs_are_refused():
    """One customer, or amounts that are all zero, give a clear error."""
    log = make_transactions(n_customers=50, random_state=0)
    with pytest.raises(ValueError, match=r"1 customer\(s\)"):
        train(to_histories(log[log["CustomerId"] == log["CustomerId"].iloc[0]]))
    with pytest.raises(ValueError, match="amounts are zero"):
        train(to_histories(log.assign(Amount=0)))


def test_settings_of_the_features_are_searched(histories):
    """Each setting has candidates, and the pipeline computes the features of the best."""
    settings = ({}, {"spend__windows": ("14D", None)})
    trained = train(histories, models=["decision_tree"], cv=2, feature_settings=settings)
    searched = trained.candidates["parameters"].str.contains("features__spend__windows")
    assert searched.sum() == len(searched) / 2
    best = trained.candidates["parameters"].iloc[0]
    windows = trained.model.pipeline[0].get_params()["spend__windows"]
    assert (windows == ("14D", None)) == ("features__spend__windows" in best)
    assert trained.features.shape[1] == len(trained.model.facts["features"])


@pytest.mark.parametrize("name", ["scorecard", "random_forest"])
def test_calibrated_probabilities_are_closer_to_the_shares(histories, name, tmp_path):
    """With weighed classes, calibration brings the mean probability back to the bad share."""
    options = {"models": [name], "cv": 3, "search": "random", "n_iter": 1, "outcome": "14D"}
    plain = train(histories, **options, class_weight="balanced")
    calibrated = train(histories, **options, class_weight="balanced", calibrate="sigmoid")
    train_rows = (plain.customers["part"] == "train").to_numpy()
    share = plain.customers["target"][train_rows].mean()
    means = [r.customers[f"probability_{name}"][train_rows].mean() for r in (plain, calibrated)]
    if name == "scorecard":
        assert abs(means[1] - share) < abs(means[0] - share)
    assert abs(means[1] - share) < 0.05
    scores = calibrated.model.score(histories)
    assert scores["reason_1"].str.len().gt(0).any()
    calibrated.model.save(tmp_path)
    again = ScoringModel.load(tmp_path)
    pd.testing.assert_frame_equal(again.score(histories), scores)


def test_the_dearer_a_missed_bad_the_lower_the_threshold(histories):
    """The threshold has the least cost on out-of-fold probabilities."""
    thresholds = [
        train(histories, models=["scorecard"], cv=2, missed_bad_cost=cost).model.facts["threshold"]
        for cost in (0.2, 5.0)
    ]
    assert thresholds[1] < thresholds[0]


def test_the_threshold_of_the_least_cost():
    """No other threshold costs less."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 500)
    p = np.clip(0.5 * y + rng.uniform(0, 0.8, 500), 0, 1).round(2)

    def cost(threshold):
        return 3 * np.sum(y[p < threshold]) + np.sum(1 - y[p >= threshold])

    assert cost(choose_threshold(y, p, 3.0)) == min(cost(t) for t in [0, *p, 1.01])


def test_intervals_hold_the_figures(result):
    """Each AUC lies in its interval; so does its gain over recency alone."""
    metrics = result.metrics
    assert metrics["roc_auc"].between(metrics["roc_auc_low"], metrics["roc_auc_high"]).all()
    models = metrics.drop(index="recency alone")
    assert models["gain"].between(models["gain_low"], models["gain_high"]).all()
    expected = models["roc_auc"] - metrics.loc["recency alone", "roc_auc"]
    np.testing.assert_allclose(models["gain"], expected)


def test_a_pipeline_with_memory_is_never_stale(histories, tmp_path):
    """What a cache holds for other histories or other parameters is not served."""
    y = np.arange(len(histories)) % 2
    changed = histories.copy()
    changed["as_of"] = changed["as_of"] + pd.Timedelta("5D")
    halves = histories.iloc[::2], histories.iloc[1::2]

    def fitted(memory, data, target, windows):
        features = customer_features(windows=windows)
        steps = [("features", features), *CATALOGUE["decision_tree"].make(0).steps]
        return Pipeline(steps, memory=memory).fit(data, target).predict_proba(data)

    for _ in range(2):
        for windows in (("7D", None), ("30D", None)):
            for data in (histories, changed, *halves):
                target = y[: len(data)]
                np.testing.assert_array_equal(
                    fitted(str(tmp_path), data, target, windows),
                    fitted(None, data, target, windows),
                )
