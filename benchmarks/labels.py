"""How stable the label is: every scaling on every log, gross and net, whole and on 350 customers.

Run ``python -m benchmarks labels``. The real logs are public, and are read from ``shared/data``
beside the project's folder; ``docs/comparison.md`` names their sources. Those that are absent are
left out. The numbers are mean shares of customers
whose label flips, in per cent; "by recency" is the share of the labels that a single threshold on
the recency reproduces.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.tree import DecisionTreeClassifier

from rfmrisk import ProxyLabeler, RFMAggregator, read_transactions, to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.proxy import label_stability
from rfmrisk.proxy.stability import BOOTSTRAP, CURRENCY, OUTAGE, SEEDS, SHUFFLED, SPENDERS

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
LOGS = {
    "cdnow": ("cdnow.csv", "customer_id", "date", "amount"),
    "online_retail": ("online_retail.parquet", "customer_id", "order_date", "revenue"),
    "completejourney": (
        "completejourney.parquet",
        "household_id",
        "transaction_timestamp",
        "sales_value",
    ),
}
SCALINGS = ["risk", "rank", "log", "standard", "robust"]
SHORT = {
    BOOTSTRAP: "bootstrap",
    SEEDS: "seeds",
    SPENDERS: "top 0.5%",
    SHUFFLED: "order",
    CURRENCY: "x1000",
    "as_of 1D earlier": "-1D",
    "as_of 7D earlier": "-7D",
    "as_of 14D earlier": "-14D",
    OUTAGE: "lost 5%",
}


def load_logs() -> dict[str, pd.DataFrame]:
    """Pack the sample bank and the logs that are there."""
    logs = {"sample bank": to_histories(make_transactions(random_state=0))}
    for name, (file, customer, timestamp, amount) in LOGS.items():
        if (DATA / file).exists():
            roles = {"customer": customer, "time": timestamp, "amount": amount}
            logs[name] = to_histories(read_transactions(DATA / file, **roles), **roles)
        else:
            print(f"{name}: left out, there is no {file}")
    return logs


def small_samples(
    histories: pd.DataFrame, labeler: object, n_samples: int, n_resamples: int
) -> tuple[float, float]:
    """Return mean and worst of the mean bootstrap flips of samples of 350 customers."""
    rng = np.random.default_rng(0)
    flips = []
    for _ in range(n_samples):
        rows = np.sort(rng.choice(len(histories), 350, replace=False))
        stability = label_stability(labeler, histories.iloc[rows], n_resamples)
        flips.append(stability.table.loc[BOOTSTRAP, "flips_mean"])
    return float(np.mean(flips)), float(np.max(flips))


def by_recency(labeler: Pipeline, histories: pd.DataFrame) -> float:
    """Return the share of the labels that one threshold on the recency reproduces."""
    recency = labeler[0].fit_transform(histories)[["recency"]]
    labels = labeler.fit(histories).predict(histories)
    stump = DecisionTreeClassifier(max_depth=1, random_state=0)
    return float(stump.fit(recency, labels).score(recency, labels))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-resamples", type=int, default=50)
    parser.add_argument("--n-samples", type=int, default=20, help="samples of 350 customers")
    parser.add_argument("--windows", nargs="*", default=["none"], help="of the RFM, such as 30D")
    parser.add_argument("--scalings", nargs="*", default=SCALINGS, choices=SCALINGS)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message="the label is degenerate")

    rows = []
    for log, histories in load_logs().items():
        for window in options.windows:
            for monetary in ("gross", "net"):
                for scaling in options.scalings:
                    started = time.perf_counter()
                    labeler = make_pipeline(
                        RFMAggregator(
                            window=None if window == "none" else window, monetary=monetary
                        ),
                        ProxyLabeler(scaling=scaling),
                    )
                    stability = label_stability(labeler, histories, options.n_resamples)
                    seconds = time.perf_counter() - started
                    mean, worst = small_samples(histories, labeler, options.n_samples, 20)
                    flips = 100 * stability.table["flips_mean"].rename(SHORT)
                    rows.append(
                        {"log": log, "window": window, "monetary": monetary, "scaling": scaling}
                        | {"flagged": 100 * stability.flagged_share}
                        | flips.to_dict()
                        | {"by recency": 100 * by_recency(labeler, histories)}
                        | {"350": 100 * mean, "350 worst": 100 * worst, "seconds": seconds}
                    )
                    print(".", end="", flush=True)
    print()
    table = pd.DataFrame(rows).set_index(["log", "window", "monetary", "scaling"])
    print(table.to_string(float_format="{:.2f}".format))


if __name__ == "__main__":
    main()
