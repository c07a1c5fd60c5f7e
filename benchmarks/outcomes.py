"""What outcomes, applications and the lateness of earlier loans are worth to a lender's model.

Run ``python -m benchmarks outcomes``. The log is of earlier, closed loans, the decisions are one
later loan of each borrower, and the outcome is that loan's; ``docs/comparison.md`` names the source
of the files, which are read from ``shared/data`` beside the project's folder. The ROC-AUC is of
borrowers that a model has not seen, a fifth, in the mean of several divisions; in brackets is its
standard deviation over the divisions.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.pipeline import Pipeline

from rfmrisk import customer_features, read_transactions, to_histories
from rfmrisk.training import CATALOGUE

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
LOG, DECISIONS = DATA / "superlender_loans.parquet", DATA / "superlender_outcomes.csv"
ROLES = {"customer": "customerid", "time": "approveddate", "amount": "loanamount"}
ASKED = ["loanamount", "termdays"]
LATENESS = ["closeddate-firstduedate", "firstrepaiddate-firstduedate"]
STEPS = {
    "history alone": ([], []),
    "with amount and term": (ASKED, []),
    "with lateness of earlier loans": (ASKED, LATENESS),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", default=["scorecard", "xgboost"], choices=CATALOGUE)
    parser.add_argument("--divisions", type=int, default=5)
    options = parser.parse_args()
    if not (LOG.exists() and DECISIONS.exists()):
        print(f"left out, there is no {LOG.name} and {DECISIONS.name}")
        return
    log = read_transactions(LOG, **ROLES)
    loans = pd.read_csv(DECISIONS)
    y = loans["is_default"].to_numpy()
    division = StratifiedShuffleSplit(options.divisions, test_size=0.2, random_state=0)
    rows = []
    for name, (asked, durations) in STEPS.items():
        decisions = loans[["customerid", "approveddate", *asked]]
        decisions = decisions.rename(columns={"approveddate": "as_of"})
        histories = to_histories(log, as_of=decisions, **ROLES)
        features = customer_features(numbers=durations)
        table = features.fit_transform(histories)
        for model in options.models:
            began = time.process_time()
            pipeline = Pipeline(CATALOGUE[model].make(0).steps)
            found = []
            for train, test in division.split(table, y):
                fitted = clone(pipeline).fit(table.iloc[train], y[train])
                found.append(roc_auc_score(y[test], fitted.predict_proba(table.iloc[test])[:, 1]))
            rows.append(
                {
                    "features": name,
                    "n": table.shape[1],
                    "model": model,
                    "ROC-AUC": f"{np.mean(found):.3f} ({np.std(found):.3f})",
                    "CPU s": round((time.process_time() - began) / options.divisions, 1),
                }
            )
    print(f"{len(y):,} decisions, {y.mean():.1%} bad, {options.divisions} divisions\n")
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
