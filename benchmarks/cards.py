"""How few characteristics a scorecard needs, on real defaults, beside other packages' cards.

For each of twenty splits (70 % to train, stratified) of each labelled set:

- ours: the catalogue's scorecard, which selects, with C = 1;
- all: the same card of all columns, without a selector;
- optbinning: its ``BinningProcess`` (at most six bins, its own selection by an information value of
  0.02 at least) and scikit-learn's logistic regression;
- AutoWoE 1.4 with its defaults, in an environment of its own, which uv makes (``--autowoe PYTHON``
  names one that is there). Where neither is, it is left out.

Printed are the mean test AUC, with the standard error of its difference to the card of all columns,
the mean and largest number of characteristics, the largest variance inflation and the largest
p-value of any split (Wald's, of the fitted card), and CPU seconds of a fit.

Of two logs, the sample bank and online_retail, the card of a training with its defaults (the proxy
target) stands beside that of all features, both tuned: AUC on held-out customers, with the interval
of the first.

Run ``python -m benchmarks cards`` (10 CPU minutes), or with ``--quick`` (two splits of the two
small sets). ``NEGLIGIBLE`` in `rfmrisk.scorecard.selection`, and that folds are searched by their
share of the rows, were chosen on germancredit and on five splits of lending_club_modeldata; the
other two sets only judge.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.pipeline import Pipeline

from benchmarks.models import DATA, SETS, load
from benchmarks.woe import peer as binning_process
from rfmrisk import to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.histories.options import AMOUNT, CUSTOMER, TIME
from rfmrisk.training import CATALOGUE, train

Split = tuple[np.ndarray, np.ndarray]
AUTOWOE = "autowoe==1.4.0"


def inflation(table: np.ndarray) -> float:
    """Return the largest variance inflation of columns that vary."""
    varies = table[:, table.std(axis=0) > 0]
    if varies.shape[1] < 2:
        return 1.0
    return float(np.diag(np.linalg.pinv(np.corrcoef(varies.T))).max())


def of_card(X: pd.DataFrame, y: np.ndarray, split: Split, selector: Any = None) -> dict[str, float]:
    """Fit the catalogue's card, or one with another selector."""
    train, test = split
    model = CATALOGUE["scorecard"].make(0)
    if selector is not None:
        model.set_params(scorecard__selector=selector)
    started = time.process_time()
    card = model.fit(X.iloc[train], y[train])[-1]
    seconds = time.process_time() - started
    woe = card.encoder_.set_output(transform="default").transform(X.iloc[train])[:, card.used_]
    return {
        "AUC": roc_auc_score(y[test], card.predict_proba(X.iloc[test])[:, 1]),
        "characteristics": len(card.used_),
        "VIF": inflation(woe),
        "p": float(card.summary()["p_value"].iloc[1:].max()),
        "CPU s": seconds,
    }


def of_optbinning(X: pd.DataFrame, y: np.ndarray, split: Split) -> dict[str, float]:
    """Fit optbinning's process with its own selection, and a logistic regression."""
    train, test = split
    process = binning_process(X)
    process.selection_criteria = {"iv": {"min": 0.02}}
    started = time.process_time()
    woe = np.asarray(process.fit_transform(X.iloc[train], y[train], metric="woe"))
    classifier = LogisticRegression(max_iter=1000).fit(woe, y[train])
    seconds = time.process_time() - started
    held_out = np.asarray(process.transform(X.iloc[test], metric="woe"))
    return {
        "AUC": roc_auc_score(y[test], classifier.predict_proba(held_out)[:, 1]),
        "characteristics": woe.shape[1],
        "VIF": inflation(woe),
        "CPU s": seconds,
    }


def of_autowoe(
    X: pd.DataFrame, y: np.ndarray, splits: list[Split], python: list[str]
) -> list[dict[str, float]]:
    """Fit AutoWoE on all splits, in another process."""
    with tempfile.TemporaryDirectory() as folder:
        table, rows = Path(folder, "set.csv"), Path(folder, "splits.npz")
        X.assign(target=y).to_csv(table, index=False)
        parts = {f"train{k}": train for k, (train, _) in enumerate(splits)}
        parts |= {f"test{k}": test for k, (_, test) in enumerate(splits)}
        np.savez(rows, **parts)
        script = Path(__file__).with_name("_autowoe.py")
        done = subprocess.run(  # noqa: S603 (the command is that of main)
            [*python, str(script), str(table), str(rows)],
            capture_output=True,
            text=True,
            check=True,
            cwd=folder,
        )
    found: list[dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(
    X: pd.DataFrame, y: np.ndarray, n_splits: int, python: list[str] | None
) -> pd.DataFrame:
    """Fit all cards on all splits and lay out what was measured."""
    shuffled = StratifiedShuffleSplit(n_splits, test_size=0.3, random_state=0)
    splits = list(shuffled.split(X, y))
    found = {
        "all": [of_card(X, y, split, "passthrough") for split in splits],
        "ours": [of_card(X, y, split) for split in splits],
        "optbinning": [of_optbinning(X, y, split) for split in splits],
    }
    if python:
        found["AutoWoE"] = of_autowoe(X, y, splits, python)
    tables = {name: pd.DataFrame(rows) for name, rows in found.items()}
    rows = {}
    for name, table in tables.items():
        behind = table["AUC"] - tables["all"]["AUC"]
        rows[name] = {
            "AUC": table["AUC"].mean(),
            "less all": behind.mean(),
            "std error": behind.std(ddof=1) / np.sqrt(len(behind)),
            "characteristics": table["characteristics"].mean(),
            "most": table["characteristics"].max(),
            "VIF": table["VIF"].max() if "VIF" in table else np.nan,
            "p": table["p"].max() if "p" in table else np.nan,
            "CPU s": table["CPU s"].median() if "CPU s" in table else np.nan,
        }
    return pd.DataFrame(rows).T


def all_columns(random_state: int | None) -> Pipeline:
    """Make the catalogue's card without its selector."""
    model = CATALOGUE["scorecard"].make(random_state)
    return model.set_params(scorecard__selector="passthrough")


def compare_proxies(log: pd.DataFrame) -> pd.DataFrame:
    """Train the card with and without its selector on the proxy target of a log."""
    ours = CATALOGUE["scorecard"]
    models = {"ours": ours, "all": replace(ours, make=all_columns)}
    result = train(to_histories(log), models=models)
    rows = {}
    for name, pipeline in result.fitted.items():
        card, figures = pipeline[-1], result.metrics.loc[name]
        rows[name] = {
            "AUC": figures["roc_auc"],
            "low": figures["roc_auc_low"],
            "high": figures["roc_auc_high"],
            "characteristics": len(card.used_),
            "p": float(card.summary()["p_value"].iloc[1:].max()),
        }
    return pd.DataFrame(rows).T


def print_proxies() -> None:
    """Print the cards of the two logs."""
    logs = {"sample bank": make_transactions(random_state=0)}
    path = DATA / "online_retail.parquet"
    if path.exists():
        columns = {"customer_id": CUSTOMER, "order_date": TIME, "revenue": AMOUNT}
        logs["online_retail"] = pd.read_parquet(path)[list(columns)].rename(columns=columns)
    for name, log in logs.items():
        print(f"\n{name}, proxy target: {log[CUSTOMER].nunique():,} customers")
        print(compare_proxies(log).to_string(float_format="{:.4f}".format), flush=True)


def autowoe_python(given: str | None) -> list[str] | None:
    """Return the command of a Python that has AutoWoE, if there is a way to one."""
    if given:
        return [given]
    uv = shutil.which("uv")
    return [uv, "run", "--quiet", "--no-project", "--with", AUTOWOE, "python"] if uv else None


def main() -> None:
    """Print a table for each set."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="two splits of the two small sets")
    parser.add_argument("--logs", action="store_true", help="the cards of logs alone")
    parser.add_argument("--autowoe", metavar="PYTHON", help="a Python that has AutoWoE")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if not options.quick:
        print_proxies()
    if options.logs:
        return
    python = autowoe_python(options.autowoe)
    if not python:
        print("AutoWoE is left out: there is no uv to make its environment")
    for name in list(SETS)[: 2 if options.quick else None]:
        if not (DATA / f"{name}.csv").exists():
            print(f"{name}: left out, there is no {name}.csv")
            continue
        X, y = load(name)
        print(f"\n{name}: {X.shape[0]:,} customers, {X.shape[1]} columns, {y.mean():.1%} bad")
        table = compare(X, y, 2 if options.quick else options.splits, python)
        print(table.to_string(float_format="{:.4f}".format), flush=True)


if __name__ == "__main__":
    main()
