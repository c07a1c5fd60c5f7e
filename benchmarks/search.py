"""What a search from histories costs beside the same search on features computed before."""

import statistics
import tempfile
import time

from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline

from rfmrisk import WOEEncoder, customer_features, to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.proxy.target import derive_target
from rfmrisk.training import CATALOGUE, train

LIMIT = 1.2
N_ROUNDS = 3


def main() -> None:
    """Time the searches in turns and print the medians and their ratios."""
    histories = to_histories(make_transactions(n_customers=2_000, random_state=0))
    target = derive_target(histories)
    past, y = target.past, target.y
    table = customer_features().fit_transform(past)
    folds = list(StratifiedKFold(5, shuffle=True, random_state=42).split(table, y))
    card = CATALOGUE["scorecard"]
    grid = {"logisticregression__C": [0.001, 0.01, 0.1, 1.0, 10.0, 100.0]}

    def on_features() -> None:
        GridSearchCV(card.make(42), card.grid, scoring="roc_auc", cv=folds).fit(table, y)

    def compute_then_search() -> None:
        features = customer_features().fit_transform(past)
        GridSearchCV(card.make(42), card.grid, scoring="roc_auc", cv=folds).fit(features, y)

    def plain_on_features() -> None:
        model = make_pipeline(WOEEncoder(), LogisticRegression(max_iter=1_000))
        GridSearchCV(model, grid, scoring="roc_auc", cv=folds).fit(table, y)

    def plain_from_histories() -> None:
        model = make_pipeline(customer_features(), WOEEncoder(), LogisticRegression(max_iter=1_000))
        GridSearchCV(model, grid, scoring="roc_auc", cv=folds).fit(past, y)

    def with_memory() -> None:
        with tempfile.TemporaryDirectory() as folder:
            model = make_pipeline(
                customer_features(),
                WOEEncoder(),
                LogisticRegression(max_iter=1_000),
                memory=folder,
            )
            GridSearchCV(model, grid, scoring="roc_auc", cv=folds).fit(past, y)

    def whole_training() -> None:
        train(past, y, models=["scorecard"])

    actions = (
        on_features,
        compute_then_search,
        plain_on_features,
        plain_from_histories,
        with_memory,
        whole_training,
    )
    seconds: dict[str, list[float]] = {action.__name__: [] for action in actions}
    for _ in range(N_ROUNDS):
        for action in actions:
            start = time.perf_counter()
            action()
            seconds[action.__name__].append(time.perf_counter() - start)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    for name, value in median.items():
        print(f"{name:22} {value:7.2f} s")
    searched = median["compute_then_search"] / median["on_features"]
    print(f"features computed once, then searched: {searched:.2f} times (limit {LIMIT})")
    base = median["plain_on_features"]
    straight, cached = median["plain_from_histories"] / base, median["with_memory"] / base
    print(f"GridSearchCV straight from histories: {straight:.2f} times")
    print(f"the same with Pipeline(memory=...): {cached:.2f} times (limit {LIMIT})")
    assert max(searched, cached) <= LIMIT, f"{searched:.2f} or {cached:.2f} is over {LIMIT}"
