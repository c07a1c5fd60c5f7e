"""The training room, on small sample banks."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("mlflow", reason="the extra 'train' is not installed")

from scipy.stats import uniform
from sklearn.base import clone
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    PredefinedSplit,
    RandomizedSearchCV,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.pipeline import Pipeline

from rfmrisk import CategoryAggregator, RFMAggregator, customer_features, rewind, to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.scorecard import Scorecard, score_to_probability
from rfmrisk.scoring import ScoringModel
from rfmrisk.training import CATALOGUE, save_run, train
from rfmrisk.training.folder import read_table
from rfmrisk.training.folds import Folds, make_folds
from rfmrisk.training.judging import choose_threshold
from rfmrisk.training.split import Task
from rfmrisk.woe import WOEEncoder
from tests.training.small import SMALL

ONE = {"outcome": "30D", "n_cutoffs": 1}
SMALL_TREE = {"decision_tree": SMALL["decision_tree"]}


@pytest.fixture(scope="module")
def histories():
    return to_histories(make_transactions(n_customers=400, random_state=0))


@pytest.fixture(scope="module")
def result(histories):
    return train(histories, **ONE, models=SMALL, cv=3)


def test_parts_are_stratified_and_disjoint(result):
    """One customer in five is held out, with the same share of bads, and nobody is in both."""
    parts = result.customers.groupby("part")["target"].agg(["size", "mean"])
    assert parts.loc["test", "size"] == pytest.approx(0.2 * len(result.customers), abs=1)
    assert parts.loc["test", "mean"] == pytest.approx(parts.loc["train", "mean"], abs=0.02)
    assert result.customers.index.is_unique


def test_same_seed_gives_the_same_model_bit_for_bit(histories, result):
    """The result depends on the seed alone, not on the number of processes."""
    again = train(histories, **ONE, models=SMALL, cv=3, n_jobs=2)
    np.testing.assert_array_equal(
        again.model.pipeline.predict_proba(histories),
        result.model.pipeline.predict_proba(histories),
    )
    pd.testing.assert_frame_equal(again.metrics, result.metrics)
    other = train(histories, **ONE, models=SMALL_TREE, cv=3, random_state=1)
    assert not other.customers["part"].equals(result.customers["part"])


def test_the_best_pipeline_is_the_one_fitted_from_histories(histories, result):
    """Features computed once give the pipeline that would be fitted from histories."""
    past = result.target.past
    rows = (result.customers["part"] == "train").to_numpy()
    name = result.model.metadata.model
    features = clone(result.model.pipeline[0])
    whole = Pipeline([("features", features), *clone(result.fitted[name]).steps])
    whole.fit(past[rows], result.customers["target"][rows])
    np.testing.assert_array_equal(
        whole.predict_proba(histories), result.model.pipeline.predict_proba(histories)
    )


def test_recency_alone_stands_beside_the_models(histories, result):
    """The one-column baseline is judged on the same held-out customers."""
    test = (result.customers["part"] == "test").to_numpy()
    recency = result.features["rfm__recency"][test]
    auc = roc_auc_score(result.customers["target"][test], recency)
    assert result.metrics.loc["recency alone", "roc_auc"] == pytest.approx(auc)
    assert result.metrics.index[0] == result.model.metadata.model
    assert result.metrics.index[-1] == "recency alone"


def test_the_future_of_a_customer_never_reaches_the_features(histories, result):
    """The features are those of the histories as known before the outcome window."""
    past = rewind(histories, "30D")
    expected = customer_features().fit_transform(past)
    pd.testing.assert_frame_equal(result.past, past)
    assert result.histories is histories
    assert (result.customers["as_of"] == past["as_of"]).all()
    pd.testing.assert_series_equal(result.features["rfm__recency"], expected["rfm__recency"])


def test_several_windows_are_stacked_by_customer(histories):
    """Samples are learned, a customer's are on one side, and its label is a share of them."""
    stacked = train(histories, outcome=("30D", "60D"), n_cutoffs=2, models=["decision_tree"], cv=2)
    samples, customers = stacked.samples, stacked.customers
    assert len(samples) == len(stacked.past) == len(stacked.features) == len(stacked.target.y)
    assert samples["target"].tolist() == stacked.target.y.tolist()
    parts = samples.groupby("part").groups
    assert not set(parts["train"]) & set(parts["test"])
    assert customers.index.is_unique
    shares = stacked.target.per_customer()
    np.testing.assert_array_equal(customers["target"], shares["high_risk_share"])
    np.testing.assert_array_equal(customers["n_windows"], shares["n_windows"])
    test = samples[samples["part"] == "test"]
    auc = roc_auc_score(test["target"], test["probability_decision_tree"])
    assert stacked.metrics.loc["decision_tree", "roc_auc"] == pytest.approx(auc)
    metadata = stacked.model.metadata
    assert metadata.n_train + metadata.n_test == len(customers)
    assert [w.customers for w in metadata.windows_of_label] == [
        window.n_customers for window in stacked.target.windows
    ]


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_catalogue_model_trains_from_histories_to_a_probability(histories, name):
    """Each catalogue model is one pipeline with both kinds of search spaces."""
    trained = train(histories, **ONE, models=[name], cv=2, search="random", n_iter=1)
    probability = trained.model.pipeline.predict_proba(histories)
    assert probability.shape == (len(histories), 2)
    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-6)
    known = set(CATALOGUE[name].pipeline().get_params())
    for space in (CATALOGUE[name].grid, CATALOGUE[name].distributions):
        assert set(space) <= known
        assert WINDOWS in space
    scores = trained.model.score(histories)
    assert scores["reason_1"].str.len().gt(0).any() == (trained.model.reasons_from is not None)


def test_a_given_target_is_taken_as_it_is():
    """With y, the histories are those at the decisions and nothing is derived."""
    log, defaults = make_transactions(n_customers=600, random_state=0, return_defaults=True)
    histories = to_histories(log)
    y = defaults.loc[histories.index]
    trained = train(histories, y, **ONE, models=SMALL_TREE, cv=2, proxy=False)
    assert trained.target is None
    assert trained.customers["target"].tolist() == y.tolist()


def test_a_customer_with_several_decisions_is_on_one_side():
    """All decisions about a customer are in the same part."""
    log, defaults = make_transactions(n_customers=300, random_state=0, return_defaults=True)
    histories = to_histories(log)
    both = pd.concat([histories, rewind(histories, "30D")])
    y = defaults.loc[both.index].to_numpy()
    trained = train(both, y, **ONE, models=SMALL_TREE, cv=2, proxy=False)
    sides = trained.customers.groupby("part").groups
    assert not set(sides["train"]) & set(sides["test"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"models": ["forest"]}, "models must be names of .*got \\['forest'\\]"),
        ({"models": "scorecard"}, "got 'scorecard'"),
        ({"models": {"tree": "decision_tree"}}, "or a dict of CatalogueModel"),
        ({"models": None}, "got None"),
        ({"search": "bayes"}, "search must be one of .'grid', 'random'.; got 'bayes'"),
        ({"scoring": "roc_acu"}, "scoring must be one of .*'roc_auc'.; got 'roc_acu'"),
        ({"scoring": "r2"}, "scoring must be one of .*got 'r2'"),
        ({"class_weight": "even"}, "class_weight must be one of .*got 'even'"),
        ({"cv": 1}, "cv must be an integer of at least 2, or a splitter .*; got 1"),
        ({"n_iter": 0}, "n_iter must be an integer of at least 1; got 0"),
        ({"random_state": None}, "random_state must be an integer of at least 0; got None"),
        ({"n_jobs": 0}, "n_jobs must be a number of processes, -1 for all; got 0"),
        ({"test_size": 1.5}, "between 0 and 1; got 1.5"),
        ({"test_size": "a"}, "between 0 and 1; got 'a'"),
        ({"missed_bad_cost": "a"}, "missed_bad_cost must be above 0.*got 'a'"),
        ({"features": "rfm"}, "features must be a transformer .*got 'rfm'"),
        ({"outcome": "900D"}, "no customer was known 900D earlier"),
        ({"y": [0, 1]}, "one value for each"),
        ({"y": [2] * 400}, "0 .good., 1 .bad. or NaN"),
        ({"y": [0] * 400}, "each class needs"),
    ],
)
def test_bad_parameters_say_what_is_allowed(histories, options, message):
    """A wrong parameter is named, with what was got and what is allowed."""
    with pytest.raises(ValueError, match=message):
        train(histories, **options)


def test_a_target_in_another_order_is_refused(histories):
    """A Series of the same customers is not taken by position where its order is another."""
    y = pd.Series(np.arange(len(histories)) % 2, histories.index)
    with pytest.raises(ValueError, match=r"another order: pass y.loc\[histories.index\]"):
        train(histories, y.sort_values(), models=["decision_tree"], cv=2)


def test_hopeless_logs_are_refused():
    """One customer, or amounts that are all zero, give a clear error."""
    log = make_transactions(n_customers=50, random_state=0)
    with pytest.raises(ValueError, match=r"1 customer\(s\)"):
        train(to_histories(log[log["CustomerId"] == log["CustomerId"].iloc[0]]))
    with pytest.raises(ValueError, match="amounts are zero"):
        train(to_histories(log.assign(Amount=0)))


WINDOWS = "features__spend__windows"


def small_tree(**grid):
    """Return the decision tree of the catalogue with a small grid."""
    return {"tree": replace(CATALOGUE["decision_tree"], grid=grid, distributions=grid)}


def test_parameters_of_the_features_are_searched(histories):
    """The pipeline computes the features of the best candidate, among those of the windows."""
    models = small_tree(**{WINDOWS: [("14D", None), ("7D",)], "classifier__max_depth": [2, 3]})
    trained = train(histories, **ONE, models=models, cv=2)
    assert len(trained.candidates) == 4
    assert trained.candidates["parameters"].str.contains('"14D"').sum() == 2
    best = json.loads(trained.model.metadata.parameters)[WINDOWS]
    assert list(trained.model.pipeline[0].get_params()["spend__windows"]) == best
    assert trained.model.metadata.windows == best
    assert list(trained.features.columns) == trained.model.metadata.features


@pytest.mark.parametrize("search", ["grid", "random"])
def test_the_search_is_the_one_from_histories(histories, search):
    """Features computed once give each candidate the score that a search from histories gives."""
    grid = {
        WINDOWS: [("7D", "30D", "90D", None), ("14D", None)],
        "features__category": ["drop", CategoryAggregator()],
        "classifier__max_depth": [2, 3],
    }
    models = small_tree(**grid)
    trained = train(histories, **ONE, models=models, cv=3, search=search, n_iter=5)
    past = trained.past
    train_rows = (trained.customers["part"] == "train").to_numpy()
    y = trained.customers["target"].to_numpy()[train_rows]
    folds = make_folds(past[train_rows], y, 3, 42)
    pipeline = models["tree"].pipeline(random_state=42)
    options = {"scoring": "roc_auc", "cv": folds}
    straight = (
        GridSearchCV(pipeline, grid, **options)
        if search == "grid"
        else RandomizedSearchCV(pipeline, grid, n_iter=5, random_state=42, **options)
    ).fit(past[train_rows], y)
    found = trained.candidates.sort_values("mean_score")["mean_score"].to_numpy()
    np.testing.assert_array_equal(found, np.sort(straight.cv_results_["mean_test_score"]))
    np.testing.assert_array_equal(
        straight.best_estimator_.predict_proba(histories),
        trained.model.pipeline.predict_proba(histories),
    )


def test_features_of_ones_own_leave_out_what_they_lack(histories):
    """A search space's parameters of other features are not set on RFM alone."""
    trained = train(histories, **ONE, models=["decision_tree"], cv=2, features=RFMAggregator())
    assert list(trained.features.columns) == ["recency", "frequency", "monetary"]
    assert not trained.candidates["parameters"].str.contains("windows").any()


def test_parameters_of_the_features_are_lists(histories):
    """A distribution over parameters of the features is refused, since each needs its table."""
    models = small_tree(features__rfm__window=uniform())
    with pytest.raises(ValueError, match="'features__rfm__window' has <scipy"):
        train(histories, **ONE, models=models, cv=2)


@pytest.mark.parametrize("name", ["scorecard", "decision_tree"])
def test_calibrated_probabilities_are_closer_to_the_shares(histories, name, tmp_path):
    """With weighed classes, calibration brings the mean probability back to the bad share."""
    options = {
        "models": [name],
        "cv": 2,
        "search": "random",
        "n_iter": 1,
        "outcome": "14D",
        "n_cutoffs": 1,
    }
    plain = train(histories, **options, class_weight="balanced")
    calibrated = train(histories, **options, class_weight="balanced", calibrate="sigmoid")
    train_rows = (plain.customers["part"] == "train").to_numpy()
    share = plain.customers["target"][train_rows].mean()
    means = [r.customers[f"probability_{name}"][train_rows].mean() for r in (plain, calibrated)]
    if name == "scorecard":
        assert abs(means[1] - share) < abs(means[0] - share)
    assert abs(means[1] - share) < 0.05
    scores = calibrated.model.score(histories)
    assert scores["reason_1"].str.len().gt(0).any() == (name == "scorecard")
    if name == "scorecard":
        card = calibrated.model.pipeline[-1]
        table = calibrated.model.pipeline[:-1].transform(histories)
        points = card.feature_points(table).sum(axis=1) + card.base_points_
        assert scores["score"].tolist() == points.tolist()
        told = score_to_probability(points, **card.scale_)
        assert told == pytest.approx(scores["probability"], abs=0.05)
    calibrated.model.save(tmp_path)
    again = ScoringModel.load(tmp_path)
    pd.testing.assert_frame_equal(again.score(histories), scores)


def test_the_dearer_a_missed_bad_the_lower_the_threshold(histories):
    """The threshold has the least cost on out-of-fold probabilities."""
    thresholds = [
        train(histories, **ONE, models=SMALL, cv=2, missed_bad_cost=cost).model.metadata.threshold
        for cost in (0.2, 5.0)
    ]
    assert thresholds[1] < thresholds[0]


def test_the_threshold_of_the_least_cost():
    """No other threshold has a lower mean cost over the folds."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"x": rng.normal(size=600)})
    y = (X["x"] + rng.normal(size=600) > 0.8).to_numpy().astype(int)
    folds = list(StratifiedKFold(3).split(X, y))
    task = Task(X, y, np.arange(len(y)), np.arange(0), Folds(folds, "three"))
    model = LogisticRegression()
    chosen = choose_threshold(model, X, task, missed_bad_cost=3.0, n_jobs=None)

    def cost(threshold):
        total = []
        for fit, judge in folds:
            p = clone(model).fit(X.iloc[fit], y[fit]).predict_proba(X.iloc[judge])[:, 1]
            missed, refused = (p < threshold) & (y[judge] == 1), (p >= threshold) & (y[judge] == 0)
            total.append(np.mean(3 * missed + refused))
        return np.mean(total)

    # Folds are compared on a grid of thresholds, each fold's cost interpolated between them.
    assert cost(chosen) <= min(cost(t) for t in np.linspace(0, 1, 201)) + 0.01


def test_a_model_of_one_probability_has_the_share_of_bads_for_a_threshold():
    """Where no threshold can be searched the training goes on, with a warning."""
    X = pd.DataFrame({"x": np.zeros(60)})
    y = (np.arange(60) % 4 == 0).astype(int)
    folds = Folds(list(StratifiedKFold(3).split(X, y)), "three")
    task = Task(X, y, np.arange(60), np.arange(0), folds)
    with pytest.warns(UserWarning, match="it is the share of bads, 0.250"):
        chosen = choose_threshold(LogisticRegression(), X, task, missed_bad_cost=None, n_jobs=None)
    assert chosen == 0.25


def test_all_that_was_asked_for_is_in_the_metadata(histories):
    """What a training needs to be repeated is in the model's metadata."""
    options = {
        "models": ["decision_tree"],
        "search": "random",
        "n_iter": 2,
        "cv": 2,
        "scoring": "neg_log_loss",
        "class_weight": "balanced",
        "calibrate": "sigmoid",
        "missed_bad_cost": 4.0,
        "test_size": 0.3,
        "random_state": 7,
        "outcome": "14D",
        "n_cutoffs": 1,
    }
    first = train(histories, **options)
    asked = first.model.metadata.asked
    assert {name: asked[name] for name in options} == options
    assert "n_clusters=3" in asked["labeler"]
    assert "window='14D'" in asked["labeler"]
    assert "max_levels=50" in asked["features"]
    again = train(histories, **{name: asked[name] for name in options})
    metadata = replace(first.model.metadata, trained_at=again.model.metadata.trained_at)
    assert again.model.metadata == metadata
    np.testing.assert_array_equal(
        again.model.pipeline.predict_proba(histories), first.model.pipeline.predict_proba(histories)
    )


def test_intervals_hold_the_figures(result):
    """Each AUC lies in its interval; so does its gain over recency alone."""
    metrics = result.metrics
    assert metrics["roc_auc"].between(metrics["roc_auc_low"], metrics["roc_auc_high"]).all()
    models = metrics.drop(index=["rfm_rank", "recency alone"])
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


def test_a_scorecard_that_cannot_be_pickled_trains_without_a_memory(histories):
    """A selector with a function of one's own has no hash to keep its bins by, and needs none."""
    card = Scorecard(WOEEncoder(), selector=SelectKBest(lambda X, y: X.var(axis=0), k=5))
    model = replace(
        CATALOGUE["scorecard"],
        make=lambda random_state: Pipeline([("scorecard", clone(card))]),
        grid={"scorecard__encoder__max_bins": [3]},
    )
    result = train(histories, models={"by_spread": model}, search="grid", cv=2)
    assert len(result.fitted["by_spread"][-1].used_) == 5


def test_ids_with_line_ends_are_kept_apart(tmp_path):
    """A customer whose id holds a carriage return is one line in every table of the folder."""
    log = make_transactions(n_customers=200, random_state=0)
    log["CustomerId"] = log["CustomerId"].str.replace("_", "\r")
    trained = train(to_histories(log), **ONE, models=SMALL_TREE, cv=2)
    folder = save_run(trained, tmp_path / "run")
    for name, table in (("customers", trained.customers), ("samples", trained.samples)):
        assert read_table(folder, f"{name}.csv", "customer").index.equals(table.index)


def test_splits_of_ones_own_fold_the_training_customers():
    """A splitter divides all rows; each fold keeps those of it that are not held out."""
    log, defaults = make_transactions(
        n_customers=300, random_state=0, risk_effect=3, return_defaults=True
    )
    histories = to_histories(log)
    y = np.asarray(defaults.loc[histories.index], float)
    y[::50] = np.nan
    splitter = KFold(3)
    trained = train(histories, y, models=SMALL_TREE, cv=splitter, proxy=False)
    known = np.flatnonzero(~np.isnan(y))
    is_train = (trained.samples["part"] == "train").to_numpy()
    X, y_train = trained.features[is_train], y[known][is_train]
    places = [
        (np.flatnonzero(np.isin(known[is_train], fit)), np.flatnonzero(np.isin(known[is_train], j)))
        for fit, j in splitter.split(histories)
    ]
    tree = trained.fitted["decision_tree"]
    scores = cross_val_score(clone(tree), X, y_train, cv=places, scoring="roc_auc")
    chosen = trained.candidates.query("chosen")["mean_score"]
    assert chosen.to_numpy() == pytest.approx([scores.mean()])
    assert (
        trained.model.metadata.asked["cv"] == "KFold(n_splits=3, random_state=None, shuffle=False)"
    )


@pytest.mark.parametrize(
    ("cv", "options", "message"),
    [
        (3.5, {}, "cv must be an integer of at least 2, or a splitter"),
        (True, {}, "cv must be an integer of at least 2, or a splitter"),
        (
            ShuffleSplit(3, random_state=0),
            {"calibrate": "sigmoid"},
            "calibrate='sigmoid' needs each training",
        ),
        (PredefinedSplit(np.r_[np.zeros(5), np.ones(295)]), {}, "split 0 has .* to judge"),
    ],
)
def test_folds_that_cannot_be_used(cv, options, message):
    """What is no splitter, folds of one class, and folds that leave rows out, for a calibration."""
    histories = to_histories(make_transactions(n_customers=300, random_state=0))
    y = np.arange(300) // 150
    with pytest.raises(ValueError, match=message):
        train(histories, y, models=SMALL_TREE, cv=cv, proxy=False, **options)
