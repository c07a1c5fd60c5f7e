"""Time the way from a log to features against hand-written pandas, and against Polars.

Results are checked to be equal first. Contenders then run in turn in this process; each number is
the median, in CPU seconds of all threads and in seconds of wall time.

Run ``python -m benchmarks.door``, with ``--large`` for 10,000,000 transactions too. The table of
the real log needs the folder ``shared/data`` beside that of the project, and is left out without
it.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rfmrisk import RFMAggregator, customer_features, read_transactions, to_histories

try:
    import polars as pl
except ModuleNotFoundError:
    pl = None

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "completejourney.parquet"
ROLES = {"customer": "household_id", "time": "transaction_timestamp", "amount": "sales_value"}
DAY = pd.Timedelta("1D")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="also 10,000,000 transactions")
    large = parser.parse_args().large
    if DATA.exists():
        real_log()
    else:
        print(f"no table of the real log: there is no {DATA}")
    rfm_in_memory(1_000_000, 100_000)
    decisions(1_000_000, 100_000)
    if large:
        rfm_in_memory(10_000_000, 1_000_000, repeats=3)


def real_log() -> None:
    """Time completejourney from its Parquet file to customer features."""

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


def rfm_in_memory(n_transactions: int, n_customers: int, repeats: int = 7) -> None:
    """Time recency, frequency and monetary of an unsorted log with text ids."""
    log = make_log(n_transactions, n_customers)
    as_of = log["TransactionStartTime"].max().normalize() + DAY

    def ours() -> pd.DataFrame:
        return RFMAggregator().fit_transform(to_histories(log))

    def by_pandas() -> pd.DataFrame:
        groups = log.assign(size=log["Amount"].abs()).groupby("CustomerId")
        table = groups.agg(
            recency=("TransactionStartTime", "max"),
            frequency=("Amount", "size"),
            monetary=("size", "sum"),
        )
        return table.assign(recency=(as_of - table["recency"]) / DAY)

    contenders: dict[str, Callable[[], Any]] = {"rfmrisk": ours, "pandas": by_pandas}
    pd.testing.assert_frame_equal(ours(), by_pandas(), check_names=False, check_index_type=False)
    if pl is not None:
        frame = pl.from_pandas(log)

        def by_polars() -> Any:
            return frame.group_by("CustomerId").agg(
                recency=(as_of - pl.col("TransactionStartTime").max()).dt.total_seconds() / 86_400,
                frequency=pl.len(),
                monetary=pl.col("Amount").abs().sum(),
            )

        table = by_polars().sort("CustomerId").to_pandas().set_index("CustomerId")
        pd.testing.assert_frame_equal(
            ours(), table, check_names=False, check_index_type=False, check_dtype=False
        )
        contenders["Polars"] = by_polars
    title = f"RFM in memory, {n_transactions:,} transactions of {n_customers:,} customers, text ids"
    report(title, contenders, repeats)


def decisions(n_transactions: int, n_customers: int, n_decisions: int = 100_000) -> None:
    """Time features at as many moments as there are decisions, each seeing only what was known."""
    log = make_log(n_transactions, n_customers)
    # The customers and times of some other transactions are the decisions.
    asked = make_log(n_decisions, n_customers, seed=1).drop(columns="Amount")
    asked.columns = ["CustomerId", "as_of"]

    def ours() -> pd.DataFrame:
        return customer_features().fit_transform(to_histories(log, as_of=asked))

    title = f"{n_decisions:,} decisions over {n_transactions:,} transactions, all features"
    report(title, {"rfmrisk": ours}, repeats=5)


def make_log(n_transactions: int, n_customers: int, seed: int = 0) -> pd.DataFrame:
    """Make an unsorted log of a year, with text ids."""
    rng = np.random.default_rng(seed)
    ids = pd.Series(np.arange(n_customers)).astype("str").radd("CustomerId_")
    seconds = rng.integers(365 * 86_400, size=n_transactions).astype("timedelta64[s]")
    return pd.DataFrame(
        {
            "CustomerId": ids.take(rng.integers(n_customers, size=n_transactions)).array,
            "TransactionStartTime": np.datetime64("2024-01-01", "us") + seconds,
            "Amount": rng.lognormal(3, 1, n_transactions).round(2),
        }
    )


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
