"""What a search from histories costs beside the same search on features computed before."""

import statistics
import tempfile
import time

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline

from rfmrisk import WOEEncoder, customer_features, to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.proxy.target import derive_target
from rfmrisk.training import CATALOGUE, TrainingOptions, train
from rfmrisk.training.candidates import (
    FeatureTables,
    feature_settings,
    feature_tables,
    make_searcher,
)
from rfmrisk.training.folds import Folds
from rfmrisk.training.split import Task

LIMIT = 1.2
N_ROUNDS = 3


def main() -> None:
    """Time the searches in turns and print the medians and their ratios."""
    histories = to_histories(make_transactions(n_customers=2_000, random_state=0))
    target = derive_target(histories, outcome="30D", n_cutoffs=1)
    past, y = target.past, target.y
    table = customer_features().fit_transform(past)
    folds = list(StratifiedKFold(5, shuffle=True, random_state=42).split(table, y))
    card = CATALOGUE["scorecard"]
    space = {name: of for name, of in card.grid.items() if not name.startswith("features__")}
    every_row = np.arange(len(y))
    task = Task(past, y, every_row, every_row[:0], Folds(folds, "5 folds"))
    grid = {"logisticregression__C": [0.001, 0.01, 0.1, 1.0, 10.0, 100.0]}

    def on_features() -> float:
        search = GridSearchCV(card.make(42), space, scoring="roc_auc", cv=folds)
        return search.fit(table, y).best_score_

    def as_train_searches() -> float:
        features = customer_features()
        settings = feature_settings(space)
        tables = feature_tables(features, settings, task, {})
        first = FeatureTables(features, settings)
        search = make_searcher(card, first, space, TrainingOptions(), task)
        return search.fit(tables, y).cv_results_["mean_test_score"].max()

    def plain_on_features() -> float:
        model = make_pipeline(WOEEncoder(), LogisticRegression(max_iter=1_000))
        search = GridSearchCV(model, grid, scoring="roc_auc", cv=folds)
        return search.fit(table, y).best_score_

    def plain_from_histories() -> float:
        model = make_pipeline(customer_features(), WOEEncoder(), LogisticRegression(max_iter=1_000))
        search = GridSearchCV(model, grid, scoring="roc_auc", cv=folds)
        return search.fit(past, y).best_score_

    def with_memory() -> float:
        with tempfile.TemporaryDirectory() as folder:
            model = make_pipeline(
                customer_features(),
                WOEEncoder(),
                LogisticRegression(max_iter=1_000),
                memory=folder,
            )
            search = GridSearchCV(model, grid, scoring="roc_auc", cv=folds)
            return search.fit(past, y).best_score_

    def whole_training() -> None:
        train(past, y, models=["scorecard"])

    actions = (
        on_features,
        as_train_searches,
        plain_on_features,
        plain_from_histories,
        with_memory,
        whole_training,
    )
    assert as_train_searches() == on_features(), "the searches find different models"
    assert with_memory() == plain_from_histories() == plain_on_features(), "a stale cache"
    seconds: dict[str, list[float]] = {action.__name__: [] for action in actions}
    for _ in range(N_ROUNDS):
        for action in actions:
            start = time.process_time()
            action()
            seconds[action.__name__].append(time.process_time() - start)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    for name, value in median.items():
        print(f"{name:22} {value:7.2f} CPU s")
    searched = median["as_train_searches"] / median["on_features"]
    print(f"as train searches, straight from histories: {searched:.2f} times (limit {LIMIT})")
    base = median["plain_on_features"]
    straight, cached = median["plain_from_histories"] / base, median["with_memory"] / base
    print(f"GridSearchCV straight from histories: {straight:.2f} times")
    print(f"the same with Pipeline(memory=...): {cached:.2f} times (limit {LIMIT})")
    assert max(searched, cached) <= LIMIT, f"{searched:.2f} or {cached:.2f} is over {LIMIT}"
