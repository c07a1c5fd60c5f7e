"""A scorecard against XGBoost on real defaults: ranking, calibration, stability, explanation.

Both are those of the catalogue, with parameters found by its grid in three folds of the first
training part. Then, for each of several splits (70 % to train), each is fitted on the training part
and once more on a bootstrap sample of it. On the held-out customers:

- AUC, Brier score, and calibration error: the mean distance between predicted and observed bad
  rates, over ten groups of equal size;
- stability: decisions that differ between the two fits, where each refuses the riskiest fifth, and
  the mean distance between the two probabilities;
- explanation: customers whose first reason is another in the second fit, and the size of the
  model: rows of the card, leaves of the trees. The first reason is the feature that takes a
  customer furthest below the average (of XGBoost by TreeSHAP), and for the scorecard also the one
  furthest below its best.

Run ``python -m benchmarks models`` (6 CPU minutes), or with ``--quick`` (1 minute, two splits of
the small sets). The data are public sets, read from ``shared/data`` beside the project;
``docs/comparison.md`` names their sources. Absent sets are left out.
"""

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit

from rfmrisk.training import CATALOGUE

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SETS = {
    "germancredit": ("creditability", "bad"),
    "credit_data_modeldata": ("Status", "bad"),
    "lending_club_modeldata": ("Class", "bad"),
    "taiwan_default": ("default_payment_next_month", 1),
}
MODELS = ("scorecard", "xgboost")
REFUSED = 0.2


def load(name: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Read a set and its target, 1 being bad."""
    frame = pd.read_csv(DATA / f"{name}.csv")
    target, bad = SETS[name]
    y = (frame.pop(target) == bad).to_numpy().astype(int)
    return frame.drop(columns="ID", errors="ignore"), y


def calibration_error(y: np.ndarray, p: np.ndarray) -> float:
    """Return the mean distance of predicted and observed, over ten groups of equal size."""
    groups = np.array_split(np.argsort(p, kind="stable"), 10)
    return float(np.mean([abs(p[rows].mean() - y[rows].mean()) for rows in groups]))


def refused(p: np.ndarray) -> np.ndarray:
    """Return who is in the riskiest fifth."""
    return p >= np.quantile(p, 1 - REFUSED)


def below_best(model: Any, X: pd.DataFrame) -> np.ndarray:
    """Return the feature of a scorecard that is furthest below its best points."""
    reasons = model[-1].reasons(X.reset_index(drop=True), 1)
    return reasons["feature"].reindex(range(len(X)), fill_value="none").to_numpy()


def below_average(model: Any, X: pd.DataFrame) -> np.ndarray:
    """Return the feature that takes each customer furthest below the average log-odds."""
    if "scorecard" in model.named_steps:
        card = model[-1]
        features = np.array(card.encoder_.column_names())[card.used_]
        costs = card.encoder_.transform(X)[:, card.used_] * card.coef_[card.used_]
        return features[(costs - costs.mean(axis=0)).argmax(axis=1)]
    from xgboost import DMatrix

    table, classifier = model[:-1].transform(X), model[-1]
    shares = classifier.get_booster().predict(DMatrix(table), pred_contribs=True)[:, :-1]
    # The columns of a one-hot encoded level are one feature.
    names = np.array([of_column(name, X) for name in model[:-1].get_feature_names_out()])
    features = np.unique(names)
    by_feature = np.stack([shares[:, names == name].sum(axis=1) for name in features], axis=1)
    return features[by_feature.argmax(axis=1)]


def of_column(name: str, X: pd.DataFrame) -> str:
    """Return the column of X that an encoded one was made from."""
    bare = name.split("__", 1)[1]
    return max((column for column in X if bare.startswith(column)), key=len)


def size(model: Any) -> str:
    """Return how much there is to read."""
    if "scorecard" in model.named_steps:
        points = model[-1].points_table()
        return f"{points['feature'].nunique() - 1} features, {len(points)} rows"
    trees = model[-1].get_booster().trees_to_dataframe()
    return f"{trees['Tree'].nunique()} trees, {(trees['Feature'] == 'Leaf').sum():,} leaves"


def compare(X: pd.DataFrame, y: np.ndarray, n_splits: int) -> pd.DataFrame:
    """Fit both models on every split and return the means of what was measured."""
    splits = list(StratifiedShuffleSplit(n_splits, test_size=0.3, random_state=0).split(X, y))
    rng = np.random.default_rng(0)
    rows = {}
    for name in MODELS:
        first = splits[0][0]
        kind = CATALOGUE[name]
        grid = {key: kind.grid[key] for key in kind.grid if not key.startswith("features__")}
        search = GridSearchCV(kind.make(0), grid, scoring="roc_auc", cv=3)
        search.fit(X.iloc[first], y[first])
        best, found, seconds = search.best_estimator_, [], []
        for train, test in splits:
            sample = rng.choice(train, len(train))
            started = time.process_time()
            model = clone(best).fit(X.iloc[train], y[train])
            seconds.append(time.process_time() - started)
            other = clone(best).fit(X.iloc[sample], y[sample])
            p, q = (fitted.predict_proba(X.iloc[test])[:, 1] for fitted in (model, other))
            differ = {
                "below average": [below_average(fitted, X.iloc[test]) for fitted in (model, other)]
            }
            if name == "scorecard":
                differ["below best"] = [
                    below_best(fitted, X.iloc[test]) for fitted in (model, other)
                ]
            found.append(
                {
                    "AUC": roc_auc_score(y[test], p),
                    "Brier": brier_score_loss(y[test], p),
                    "calibration error": calibration_error(y[test], p),
                    "decisions flip, %": 100 * np.mean(refused(p) != refused(q)),
                    "probability moves": np.mean(np.abs(p - q)),
                    **{
                        f"first reason {reason} differs, %": 100 * np.mean(one != two)
                        for reason, (one, two) in differ.items()
                    },
                }
            )
        table = pd.DataFrame(found)
        spread = {"AUC, std of splits": table["AUC"].std(ddof=1)}
        rows[name] = {
            **table.mean(),
            **spread,
            "CPU s": np.median(seconds),
            "size": size(model),
        }
    return pd.DataFrame(rows)


def main() -> None:
    """Print a table for each set."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="two splits of the two small sets")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in list(SETS)[: 2 if options.quick else None]:
        if not (DATA / f"{name}.csv").exists():
            print(f"{name}: left out, there is no {name}.csv")
            continue
        X, y = load(name)
        print(f"\n{name}: {X.shape[0]:,} customers, {X.shape[1]} columns, {y.mean():.1%} bad")
        table = compare(X, y, 2 if options.quick else options.splits)
        print(table.to_string(float_format="{:.4f}".format))


if __name__ == "__main__":
    main()
