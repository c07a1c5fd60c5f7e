"""Time a log in memory on its way to features against pandas, Polars, DuckDB and pyarrow.

Results are checked to be equal first. Contenders then run in turn in this process, each on the log
in its own form; each number is the median, in CPU seconds of all threads. Peak memory is that
of a process of its own for each contender, beyond the log (Linux only).

Run ``python -m benchmarks scale``; ``--rows 1000000 10000000`` for other sizes, ``--logs text``
for fewer kinds of logs, ``--repeats 3`` for fewer runs.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import FeatureUnion

from benchmarks import _contenders as hand
from rfmrisk import (
    CategoryAggregator,
    RFMAggregator,
    SpendAggregator,
    TemporalAggregator,
    customer_features,
    to_histories,
)

Contenders = dict[str, Callable[[], Any]]
"""The first is ours."""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--logs", nargs="+", default=list(LOGS), choices=list(LOGS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peak", help=argparse.SUPPRESS)  # what a process of its own measures
    options = parser.parse_args()
    if options.peak:
        print(_peak(options.peak, LOGS["text"](options.rows[0])))
        return
    imports(options.repeats)
    for n in options.rows:
        for kind in options.logs:
            print(f"\n{n:,} transactions of {n // 10:,} customers, {kind} ids")
            rfm(LOGS[kind](n), options.repeats)
        wide(LOGS["text"](n), options.repeats)
    decisions(options.repeats)
    taking(options.repeats)


def make_log(n: int, seed: int = 0) -> pd.DataFrame:
    """Make an unsorted log of a year with 10 transactions a customer, and text ids."""
    rng = np.random.default_rng(seed)
    ids = pd.Series(np.arange(n // 10)).astype("str").radd("CustomerId_")
    kinds = pd.Series(["airtime", "data_bundles", "financial_services", "tv", "utility_bill"])
    seconds = rng.integers(365 * 86_400, size=n).astype("timedelta64[s]")
    return pd.DataFrame(
        {
            "CustomerId": ids.take(rng.integers(n // 10, size=n)).array,
            "TransactionStartTime": np.datetime64("2024-01-01", "us") + seconds,
            "Amount": rng.lognormal(3, 1, n).round(2),
            "ProductCategory": kinds.take(rng.integers(len(kinds), size=n)).array,
        }
    )


def _with_integers(n: int) -> pd.DataFrame:
    log = make_log(n)
    return log.assign(CustomerId=log["CustomerId"].str[len("CustomerId_") :].astype("int64"))


LOGS = {
    "text": make_log,
    "integer": _with_integers,
    "time-sorted text": lambda n: make_log(n).sort_values("TransactionStartTime"),
}


def rfm(log: pd.DataFrame, repeats: int) -> None:
    """Time recency, frequency and monetary value."""
    log = log.drop(columns="ProductCategory")
    contenders: Contenders = {
        "rfmrisk": lambda: RFMAggregator().fit_transform(to_histories(log)),
        **hand.rfm(log),
    }
    _check_equal(contenders)
    report("recency, frequency, monetary", contenders, repeats)


def wide(log: pd.DataFrame, repeats: int) -> None:
    """Time the wide set, from the log and from histories, and compare the peaks of memory."""
    features = wide_set()
    contenders: Contenders = {
        "rfmrisk": lambda: features.fit_transform(to_histories(log)),
        **hand.wide(log),
    }
    _check_equal(contenders)
    medians = report("the wide set", contenders, repeats)
    histories = to_histories(log)
    packed = report(
        "the wide set of histories", {"rfmrisk": lambda: features.fit_transform(histories)}, repeats
    )["rfmrisk"]
    for name, seconds in medians.items():
        print(f"{'':4}{packed / seconds:.2f} times {name} from the log")
    if not Path("/proc/self/clear_refs").exists():
        return
    peaks = {name: _peak_of(name, len(log)) for name in ("rfmrisk", "pandas")}
    print(f"{'':4}peak memory, MB: " + ", ".join(f"{k} {v:,.0f}" for k, v in peaks.items()))


def wide_set() -> FeatureUnion:
    """Return the aggregators of the wide set."""
    stats = ("count", "sum", "mean", "std", "min", "max", "median")
    return FeatureUnion(
        [
            ("spend", SpendAggregator(windows=(None,), stats=stats)),
            ("lately", SpendAggregator(windows=("30D", "90D"), stats=("sum",))),
            ("rhythm", TemporalAggregator(parts=("night", "weekend"))),
            ("category", CategoryAggregator(["ProductCategory"])),
        ],
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")


def decisions(repeats: int) -> None:
    """Time features at as many timestamps as decisions, each seeing only what was known."""
    log = make_log(1_000_000)
    # The customers and times of some other transactions are the decisions.
    asked = make_log(1_000_000, seed=1).iloc[:100_000, :2]
    asked.columns = ["CustomerId", "as_of"]
    print("\n100,000 decisions over 1,000,000 transactions of 100,000 customers, point-in-time")
    works = {
        "RFM": RFMAggregator(),
        "the wide set": wide_set(),
        "customer_features()": customer_features(),
    }
    for name, features in works.items():
        run = {"rfmrisk": lambda f=features: f.fit_transform(to_histories(log, as_of=asked))}
        report(name, run, repeats)


def taking(repeats: int) -> None:
    """Time taking four fifths of the customers, in any order, as a cross-validation does."""
    histories = to_histories(make_log(1_000_000))
    rows = np.random.default_rng(0).permutation(len(histories))[: len(histories) * 4 // 5]
    column = histories[["history"]]
    print(f"\ntaking {len(rows):,} of {len(histories):,} histories")
    works: Contenders = {
        "rfmrisk": lambda: histories.iloc[rows],
        "nested column": lambda: column.iloc[rows],
    }
    report("iloc", works, repeats)


def imports(repeats: int) -> None:
    """Time importing the package against importing what it stands on."""
    statements = {
        "import rfmrisk": "import rfmrisk",
        "to_histories alone": "from rfmrisk import to_histories",
        "every public name": "from rfmrisk import *",
        "what it stands on": "import pandas, pyarrow, sklearn",
    }
    seconds: dict[str, list[float]] = {name: [] for name in statements}
    for _ in range(repeats):
        for name, statement in statements.items():
            code = f"import time; start = time.process_time(); {statement}; {_TELL}"
            seconds[name].append(float(_python("-c", code)))
    print("  import")
    base = np.median(seconds["what it stands on"])
    for name, taken in seconds.items():
        print(f"{'':4}{name:20}{np.median(taken):9.3f} CPU s{np.median(taken) / base:8.2f} of that")


_TELL = "print(time.process_time() - start)"


def report(title: str, contenders: Contenders, repeats: int) -> dict[str, float]:
    """Run the contenders in turn; print and return the medians of their CPU seconds."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, run in contenders.items():
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    medians = {name: float(np.median(taken)) for name, taken in seconds.items()}
    _print(title, medians)
    return medians


def _print(title: str, medians: dict[str, float]) -> None:
    ours = next(iter(medians.values()))
    print(f"  {title}")
    for name, seconds in medians.items():
        print(f"{'':4}{name:20}{seconds:9.3f} CPU s{ours / seconds:8.2f} rfmrisk / this")


def _check_equal(contenders: Contenders) -> None:
    ours, *others = (hand.as_pandas(run()) for run in contenders.values())
    for table in others:
        pd.testing.assert_frame_equal(
            ours[list(table)], table, check_dtype=False, check_names=False, rtol=1e-9
        )


def _peak_of(name: str, n: int) -> float:
    """Return the MB that the wide set takes beyond the log, of a process of its own."""
    return float(_python("-m", "benchmarks.scale", "--rows", str(n), "--peak", name))


def _peak(name: str, log: pd.DataFrame) -> float:
    features = wide_set()
    works: Contenders = {
        "rfmrisk": lambda: features.fit_transform(to_histories(log)),
        "pandas": hand.wide(log)["pandas"],
    }
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    before = _kilobytes("VmRSS")
    works[name]()
    return (_kilobytes("VmHWM") - before) / 1e3


def _kilobytes(what: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{what}:")[1].split()[0])


def _python(*arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout


if __name__ == "__main__":
    main()
