"""Compare WOEEncoder with optbinning: time, memory, information value and test AUC.

Both run in this process with at most 6 bins, at least 5 % of the rows in each, monotone. The
peer's fit is timed with the direction it guesses (one solve a column); its information value is
that of the better of both directions, solved apart. Information values are computed by one
function from the bins of each. The test AUC is that of a logistic regression on the WoE, with the
defaults of each: ours pools levels under 0.1 %.

Run ``python -m benchmarks woe`` (10 minutes), or with ``--quick`` (1 minute). The tables of real
data need public sets in the folder ``shared/data`` beside that of the project, and are left out
without them; ``docs/comparison.md`` names their sources.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedShuffleSplit

from rfmrisk.woe import WOEEncoder
from rfmrisk.woe.binning import weight_of_evidence

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = Path(__file__).resolve().parents[1] / "../shared/data"
REAL = {
    "taiwan_default": ("default_payment_next_month", 1),
    "germancredit": ("creditability", "bad"),
    "credit_data_modeldata": ("Status", "bad"),
    "lending_club_modeldata": ("Class", "bad"),
}


def synthetic(n_rows: int, n_columns: int, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Make columns of four kinds in turn: normal, heavy-tailed, with ties, with 5 % missing."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=n_rows)
    columns = {}
    for j in range(n_columns):
        strength = 0.9 * (j % 7) / 6 * (-1) ** j  # from pure noise to strong, rising and falling
        x = strength * signal + np.sqrt(1 - strength**2) * rng.normal(size=n_rows)
        if j % 4 == 1:
            x = np.sinh(2 * x)
        elif j % 4 == 2:
            x = np.round(3 * x)
        elif j % 4 == 3:
            x[rng.random(n_rows) < 0.05] = np.nan
        columns[f"x{j}"] = x
    y = rng.random(n_rows) < 1 / (1 + np.exp(2 - signal))
    return pd.DataFrame(columns), y.astype(int)


def peer(X: pd.DataFrame) -> Any:
    """Build the peer's process over all columns, under the same constraints."""
    from optbinning import BinningProcess

    numeric = X.select_dtypes("number").columns
    return BinningProcess(
        list(X.columns),
        categorical_variables=[c for c in X if c not in numeric],
        max_n_bins=6,
        min_bin_size=0.05,
        binning_fit_params={c: {"monotonic_trend": "auto_asc_desc"} for c in numeric},
    )


def peer_value(x: pd.Series, y: np.ndarray) -> float:
    """Return the peer's information value of a column, the better of both directions."""
    from optbinning import OptimalBinning

    numeric = pd.api.types.is_numeric_dtype(x)
    found = []
    for trend in ("ascending", "descending") if numeric else ("auto",):
        binning = OptimalBinning(
            dtype="numerical" if numeric else "categorical",
            max_n_bins=6,
            min_bin_size=0.05,
            monotonic_trend=trend,
        )
        codes = binning.fit(x.to_numpy(), y).transform(x.to_numpy(), metric="indices")
        all_ = np.bincount(codes.astype(int))
        bads = np.bincount(codes.astype(int), weights=y)
        found.append(weight_of_evidence(all_ - bads, bads, 0.5)[1].sum())
    return max(found)


def seconds(run: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Return the median CPU and wall seconds."""
    cpu, wall = [], []
    for _ in range(repeats):
        started = time.process_time(), time.perf_counter()
        run()
        cpu.append(time.process_time() - started[0])
        wall.append(time.perf_counter() - started[1])
    return float(np.median(cpu)), float(np.median(wall))


def peak_memory(run: Callable[[], object]) -> float:
    """Return the peak of what is allocated while it runs, in megabytes (10^6 bytes)."""
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def compare_speed(n_rows: int, n_columns: int, repeats: int, peer_repeats: int) -> None:
    """Print the times, the memory and the information values on a synthetic set."""
    X, y = synthetic(n_rows, n_columns)
    ours, theirs = WOEEncoder().set_output(transform="pandas"), peer(X)
    times = {
        "fit": (
            seconds(lambda: ours.fit(X, y), repeats),
            seconds(lambda: theirs.fit(X, y), peer_repeats),
        ),
        "transform": (
            seconds(lambda: ours.transform(X), repeats),
            seconds(lambda: theirs.transform(X, metric="woe"), peer_repeats),
        ),
    }
    print(f"\n{n_rows:,} x {n_columns} numeric")
    for step, ((cpu, wall), (peer_cpu, peer_wall)) in times.items():
        print(
            f"  {step:10} CPU {cpu:8.3f} s, peer {peer_cpu:8.3f} s: {peer_cpu / cpu:6.1f} times"
            f"   (wall {wall:.3f} s, peer {peer_wall:.3f} s)"
        )
    print(f"  peak memory of the fit above the input: {peak_memory(lambda: ours.fit(X, y)):.1f} MB")
    compare_values(X, y, ours.information_value_)


def print_periods(n_rows: int = 40_000, n_periods: int = 8, n_columns: int = 12) -> None:
    """Print what bins that hold in every period cost, and that counting periods changes none."""
    X, y = synthetic(n_rows, n_columns)
    period = np.arange(n_rows) * n_periods // n_rows
    print(f"\n{n_rows:,} x {n_columns}, {n_periods} periods, 64 places: CPU s a column")
    plain = WOEEncoder().fit(X, y)
    for price in (0.0, 0.002, np.inf):
        encoder = WOEEncoder(stability=price)
        cpu, _ = seconds(lambda encoder=encoder: encoder.fit(X, y, period=period), 3)
        n_reversals = sum(encoder.binning_table(c)["reversals"].iloc[-1] for c in X)
        print(
            f"  stability {price:5g}: {cpu / n_columns:.4f}, {n_reversals} reversals, sum of IV "
            f"{encoder.information_value_.sum():.4f}"
        )
        assert price or np.array_equal(encoder.transform(X), plain.transform(X))
    cpu, _ = seconds(lambda: [encoder.frontier(c) for c in X], 1)
    print(f"  frontier       : {cpu / n_columns:.4f}")


def compare_values(X: pd.DataFrame, y: np.ndarray, ours: np.ndarray) -> None:
    """Print the sums of information values, and the columns on which the peer has more."""
    theirs = np.array([peer_value(X[name], y) for name in X])
    print(f"  sum of IV {ours.sum():.6f}, peer's better direction {theirs.sum():.6f}")
    for name, mine, other in zip(X.columns, ours, theirs, strict=True):
        if mine < other - 1e-9:
            print(f"    peer is higher on {name}: {mine:.6f} against {other:.6f}")


def compare_real(name: str, n_splits: int) -> None:
    """Print the information values and the test AUC on a set of real labels."""
    frame = pd.read_csv(DATA / f"{name}.csv")
    target, bad = REAL[name]
    y = (frame.pop(target) == bad).to_numpy().astype(int)
    X = frame.drop(columns="ID", errors="ignore")
    print(f"\n{name}: {X.shape[0]:,} x {X.shape[1]}")
    compare_values(X, y, WOEEncoder().fit(X, y).information_value_)
    auc = []
    for train, test in StratifiedShuffleSplit(n_splits, test_size=0.3, random_state=0).split(X, y):
        row = []
        for encoder in (WOEEncoder(), peer(X)):
            woe = encoder.fit(X.iloc[train], y[train]).transform(X.iloc[train])
            model = LogisticRegression(max_iter=1000).fit(np.asarray(woe), y[train])
            score = model.decision_function(np.asarray(encoder.transform(X.iloc[test])))
            row.append(roc_auc_score(y[test], score))
        auc.append(row)
    mine, other = np.mean(auc, axis=0)
    error = np.std(np.diff(auc, axis=1)) / np.sqrt(n_splits)
    print(
        f"  test AUC over {n_splits} splits {mine:.4f}, peer {other:.4f}: "
        f"{mine - other:+.4f} (standard error {error:.4f})"
    )


def main(arguments: list[str] | None = None) -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the smaller synthetic sets only")
    parser.add_argument("--real", action="store_true", help="the real data only")
    parser.add_argument("--splits", type=int, default=20, help="splits for the test AUC")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")  # the peer warns at every fit
    if not options.real:
        compare_speed(5_000, 12, repeats=31, peer_repeats=5)
        for n_rows in (1_000, 10_000):
            compare_speed(n_rows, 50, repeats=9, peer_repeats=1)
        compare_speed(100_000, 50, repeats=5, peer_repeats=1 if options.quick else 3)
        print_periods()
    if not (options.quick or options.real):
        compare_speed(1_000_000, 20, repeats=3, peer_repeats=1)
    for name in REAL:
        if not options.quick and (DATA / f"{name}.csv").exists():
            compare_real(name, options.splits)


if __name__ == "__main__":
    main()
