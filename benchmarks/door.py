"""Time the way from a real log's file to all features against hand-written pandas.

Results are checked to be equal first. Contenders then run in turn in this process; each number is
the median, in CPU seconds of all threads and in seconds of wall time.

Run ``python -m benchmarks door``. It needs the folder ``shared/data`` beside that of the project.
Logs in memory, of any size, are timed by ``python -m benchmarks scale``.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rfmrisk import customer_features, read_transactions, to_histories

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "completejourney.parquet"
ROLES = {"customer": "household_id", "time": "transaction_timestamp", "amount": "sales_value"}
DAY = pd.Timedelta("1D")


def main() -> None:
    """Time completejourney from its Parquet file to customer features."""
    if not DATA.exists():
        print(f"nothing to time: there is no {DATA}")
        return

    def ours() -> pd.DataFrame:
        return customer_features().fit_transform(
            to_histories(read_transactions(DATA, **ROLES), **ROLES)
        )

    features = ours()
    expected = features_by_hand()
    pd.testing.assert_frame_equal(
        features[list(expected)], expected, check_dtype=False, check_names=False, rtol=1e-9
    )
    assert set(features) == set(expected)
    n = len(read_transactions(DATA, **ROLES))
    report(
        f"completejourney, Parquet to {features.shape[1]} features ({n:,} transactions)",
        {"rfmrisk": ours, "pandas by hand": features_by_hand},
        repeats=7,
    )


def features_by_hand() -> pd.DataFrame:
    """Compute what customer_features() gives for completejourney, in plain pandas."""
    log = pd.read_parquet(DATA, columns=list(ROLES.values()))
    log.columns = ["customer", "time", "amount"]
    log = log.sort_values(["customer", "time", "amount"], ignore_index=True)
    log["size"] = log["amount"].abs()
    log["credit"] = log["amount"] < 0
    as_of = log["time"].max().normalize() + DAY
    customers = log.groupby("customer")
    first, last, count = customers["time"].min(), customers["time"].max(), customers.size()
    features = {
        "rfm__recency": (as_of - last) / DAY,
        "rfm__frequency": count,
        "rfm__monetary": customers["size"].sum(),
    }

    for window in ("7D", "30D", "90D", None):
        suffix = "" if window is None else f"_{window}"
        if window is None:
            inside = log
            middle = log["customer"].map(first + (as_of - first) / 2)
        else:
            inside = log[log["time"] >= as_of - pd.Timedelta(window)]
            middle = as_of - pd.Timedelta(window) / 2
        sizes = inside["size"].where(inside["time"] >= middle, -inside["size"])
        groups = inside.groupby("customer")
        table = groups["amount"].agg(["sum", "count", "mean", "std", "min", "max", "last"])
        table["credit_share"] = groups["credit"].mean()
        table["trend"] = sizes.groupby(inside["customer"]).sum() / groups["size"].sum()
        table = table.reindex(first.index)
        table[["sum", "count"]] = table[["sum", "count"]].fillna(0)
        features |= {f"spend__amount_{stat}{suffix}": table[stat] for stat in table}

    day, hour = log["time"].dt.normalize(), log["time"].dt.hour
    gaps = log["time"].diff().where(log["customer"] == log["customer"].shift()) / DAY
    gaps = gaps.groupby(log["customer"]).agg(["mean", "std"])
    parts = pd.DataFrame(
        {f"hour_{h}_{h + 6}_share": hour // 6 == h // 6 for h in (0, 6, 12, 18)}
        | {
            "night_share": (hour >= 22) | (hour < 6),
            "weekend_share": log["time"].dt.day_of_week >= 5,
            "month_start_share": log["time"].dt.day <= 10,
            "month_middle_share": log["time"].dt.day.between(11, 20),
            "month_end_share": log["time"].dt.day > 20,
        }
    )
    shares = parts.groupby(log["customer"]).mean()
    features |= {
        "temporal__tenure": (as_of - first) / DAY,
        "temporal__active_days": day.groupby(log["customer"]).nunique(),
        "temporal__gap_mean": gaps["mean"],
        "temporal__gap_std": gaps["std"],
    }
    features |= {f"temporal__{share}": shares[share] for share in shares}
    return pd.DataFrame(features)


def report(title: str, contenders: dict[str, Callable[[], Any]], repeats: int) -> None:
    """Run the contenders in turn and print the medians, and the ratio of the first to each."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, run in contenders.items():
            cpu, wall = time.process_time(), time.perf_counter()
            run()
            times[name].append((time.process_time() - cpu, time.perf_counter() - wall))
    medians = {name: np.median(taken, axis=0) for name, taken in times.items()}
    ours = next(iter(medians.values()))
    print(f"\n{title}; medians of {repeats}")
    print(f"{'':16}{'CPU s':>8}{'wall s':>8}{'rfmrisk CPU / its':>20}")
    for name, (cpu, wall) in medians.items():
        print(f"{name:16}{cpu:8.3f}{wall:8.3f}{ours[0] / cpu:20.2f}")


if __name__ == "__main__":
    main()
