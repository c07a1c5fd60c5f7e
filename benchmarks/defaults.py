"""How well models that never saw a default rank real ones, and what a few outcomes add.

Run ``python -m benchmarks defaults``. Two public logs with real outcomes are read from
``shared/data`` beside the project's folder, and are left out where they are absent:

- superlender: the earlier loans of the borrowers of a Nigerian lender, and whether the loan of July
  2017 defaulted (Data Science Nigeria, on Zindi). Histories as of that decision, and at the end of
  the log, whoever the borrower was then.
- taiwan: the monthly payments of card holders, April to September 2005, and who defaulted in
  October (UCI, I-C. Yeh). A payment is taken to fall on the 15th of its month.

Customers are divided in two halves by a hash of their id. Whatever was chosen (which windows are
stacked, which are left out, the prior of the updated model) leaned on the first half, but both
were seen, so the second is no judgement on fresh data. The first table has the AUC of each with
its 95 % bootstrap interval, among customers with a history, and over all of them. The second has
the mean AUC of the draws of `rfmrisk.proxy.outcome_curve`.
"""

import argparse
import hashlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from rfmrisk import ProxyLabeler, ProxyTargetClassifier, RFMAggregator, to_histories
from rfmrisk.proxy import outcome_curve
from rfmrisk.proxy.auc import bootstrap_auc, interval
from rfmrisk.training import CATALOGUE, train

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SIZES = (25, 50, 100, 200, 400, 800, 2_000)
N_RESAMPLES = 500

Log = tuple[pd.DataFrame, np.ndarray]


def superlender(*, at_end: bool) -> Log:
    """Return the histories of the borrowers, at the decisions or at the log's end, and outcomes."""
    loans = pd.read_parquet(DATA / "superlender_loans.parquet")
    decided = pd.read_csv(DATA / "superlender_outcomes.csv")
    roles = {"customer": "customerid", "time": "approveddate", "amount": "loanamount"}
    decided = decided.drop_duplicates("customerid").rename(columns={"approveddate": "as_of"})
    if not at_end:
        histories = to_histories(loans, as_of=decided[["customerid", "as_of"]], **roles)
        return histories, decided["is_default"].to_numpy()
    bad = decided.set_index("customerid")["is_default"]
    histories = to_histories(loans, **roles)
    histories = histories[histories.index.isin(bad.index)]
    return histories, bad.loc[histories.index].to_numpy()


def taiwan(n_customers: int) -> Log:
    """Return the histories of card holders on the first of October 2005, and who defaulted."""
    cards = pd.read_csv(DATA / "taiwan_default.csv").sample(n_customers, random_state=0)
    paid = cards.set_index("ID")[[f"PAY_AMT{back}" for back in range(1, 7)]]
    paid.columns = pd.to_datetime([f"2005-{10 - back:02}-15" for back in range(1, 7)])
    log = paid.melt(var_name="time", value_name="amount", ignore_index=False).reset_index()
    decisions = pd.DataFrame({"ID": cards["ID"], "as_of": "2005-10-01"})
    histories = to_histories(
        log[log["amount"] > 0], customer="ID", time="time", amount="amount", as_of=decisions
    )
    return histories, cards["default_payment_next_month"].to_numpy()


def second_half(customers: pd.Index) -> np.ndarray:
    """Return which customers judge, by a hash of their id."""
    return np.array([hashlib.md5(str(name).encode()).digest()[0] % 2 == 1 for name in customers])  # noqa: S324 (no secret)


def plain_rank(histories: pd.DataFrame) -> np.ndarray:
    """Return the average rank of recency, frequency and monetary value, 1 without a history."""
    rfm = RFMAggregator().fit_transform(histories)
    return ProxyLabeler().fit(rfm).decision_function(rfm)


def supervised(histories: pd.DataFrame, bad: np.ndarray) -> np.ndarray:
    """Return the out-of-fold risk of a scorecard that is trained on the outcomes."""
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    model = CATALOGUE["scorecard"].pipeline()
    return cross_val_predict(model, histories, bad, cv=folds, method="predict_proba")[:, 1]


def trained(histories: pd.DataFrame, **options: Any) -> np.ndarray:
    """Return the risk by the model that `train` chooses without an outcome."""
    result = train(histories, **options)
    print(f"  {result!r}", flush=True)
    return result.model.score(histories, n_reasons=0)["probability"].to_numpy()


def aucs(risks: dict[str, np.ndarray], histories: pd.DataFrame, bad: np.ndarray) -> pd.DataFrame:
    """Return the AUC of each risk with its interval, by who is looked at."""
    known = histories["history"].map(len).to_numpy() > 0
    judges = second_half(histories.index)
    parts = {
        "with a history": known,
        "first half": known & ~judges,
        "second half": known & judges,
        "all": np.ones(len(known), dtype=bool),
    }
    table: dict[str, list[str]] = {}
    for part, rows in parts.items():
        found = bootstrap_auc(
            np.stack([risk[rows] for risk in risks.values()]),
            bad[rows] == 1,
            histories.index[rows],
            N_RESAMPLES,
            0,
        )
        ends = [interval(found[1:, place]) for place in range(len(risks))]
        table[f"{part} ({rows.sum():,})"] = [
            f"{auc:.3f} [{low:.3f}, {high:.3f}]"
            for auc, (low, high) in zip(found[0], ends, strict=True)
        ]
    return pd.DataFrame(table, index=list(risks))


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-draws", type=int, default=20, help="of the outcomes (default 20)")
    parser.add_argument("--n-taiwan", type=int, default=6_000, help="card holders (default 6000)")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message="the label is degenerate")
    logs: dict[str, tuple[str, Callable[[], Log]]] = {
        "superlender, at the decisions": (
            "superlender_outcomes.csv",
            lambda: superlender(at_end=False),
        ),
        "superlender, at the log's end": (
            "superlender_outcomes.csv",
            lambda: superlender(at_end=True),
        ),
        "taiwan": ("taiwan_default.csv", lambda: taiwan(options.n_taiwan)),
    }
    for name, (file, load) in logs.items():
        if not (DATA / file).exists():
            print(f"{name}: left out, there is no {file}")
            continue
        histories, bad = load()
        print(f"\n{name}: {len(histories):,} customers, {bad.mean():.1%} bad")
        risks = {
            "plain rank of RFM": plain_rank(histories),
            "scorecard, one window of 30D": trained(
                histories, outcome="30D", n_cutoffs=1, models=["scorecard"]
            ),
            "train, by default": trained(histories),
            "supervised scorecard": supervised(histories, bad),
        }
        print(aucs(risks, histories, bad).to_string())
        card = CATALOGUE["scorecard"]
        curve = outcome_curve(
            ProxyTargetClassifier(card.pipeline()),
            card.pipeline(),
            histories,
            bad,
            sizes=SIZES,
            n_draws=options.n_draws,
        )
        better = curve.table[["proxy", "supervised"]].max(axis=1)
        table = curve.table[["proxy", "supervised", "updated"]].T
        table.loc["updated less the better"] = curve.table["updated"] - better
        print(f"{curve.verdict}\n{table.to_string(float_format='{:.3f}'.format)}", flush=True)


if __name__ == "__main__":
    main()
