"""Time a log on its way from Parquet to scores: in memory, in parts, and on Spark in this machine.

The scores are checked to be equal first. Each run is a process of its own; CPU seconds are those
of it and of all processes that it starts, memory the most that they held together.

Run ``python -m benchmarks.parts``, with ``--rows 1 2 5 10 20 50`` for more millions of
transactions. Spark is left out where pyspark or Java is not installed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from rfmrisk import (
    ProxyLabeler,
    RFMAggregator,
    Scorecard,
    WOEEncoder,
    customer_features,
    read_transactions,
    to_histories,
)
from rfmrisk.scoring import score_file
from rfmrisk.scoring.metadata import ModelMetadata
from rfmrisk.scoring.model import ScoringModel, typical_values

MILLION = 1_000_000
ENGINES = ["memory", "parts", "spark"]
TABLES = ["rows", "customers", "partitions"]


def main() -> None:
    """Print the tables, or do one run for one of their lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=float, nargs="+", default=[1, 2, 5], help="millions")
    parser.add_argument("--tables", choices=TABLES, nargs="+", default=TABLES)
    parser.add_argument("--memory-up-to", type=float, default=10, help="millions")
    parser.add_argument("--spark-up-to", type=float, default=10, help="millions")
    parser.add_argument("--run", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run(*options.run)
        return
    engines = ENGINES if find_spec("pyspark") and shutil.which("java") else ENGINES[:2]
    if len(engines) < len(ENGINES):
        print("no Spark: pyspark and Java are needed")
    limits = {"memory": options.memory_up_to, "parts": np.inf, "spark": options.spark_up_to}
    with TemporaryDirectory() as place:
        folder = Path(place)
        write_model(folder)
        check_equal(folder, engines)
        if "rows" in options.tables:
            growth_with_rows(folder, engines, options.rows, limits)
        if "customers" in options.tables:
            growth_with_customers(folder)
        if "partitions" in options.tables:
            growth_with_partitions(folder, engines)


def growth_with_rows(
    folder: Path, engines: list[str], rows: list[float], limits: dict[str, float]
) -> None:
    """Time each engine on logs of more and more rows, ten a customer."""
    head("rows, ten a customer")
    for millions in rows:
        log = write_log(folder, int(millions * MILLION), int(millions * MILLION / 10))
        for engine in engines:
            if millions <= limits[engine]:
                line(f"{millions:g} million", engine, *measured(folder, engine, log))
        log.unlink()


def growth_with_customers(folder: Path) -> None:
    """Time one number of rows with few and with many customers."""
    head("customers of 5 million rows")
    for n_customers in (5_000, 50_000, 500_000, 2_500_000):
        log = write_log(folder, 5 * MILLION, n_customers)
        line(f"{n_customers:,}", "parts", *measured(folder, "parts", log))
        log.unlink()


def growth_with_partitions(folder: Path, engines: list[str]) -> None:
    """Time one log in few and in many partitions."""
    head("partitions of 2 million rows")
    log = write_log(folder, 2 * MILLION, MILLION // 5)
    for n_partitions in (4, 16, 64):
        for engine in engines[1:]:
            line(f"{n_partitions}", engine, *measured(folder, engine, log, n_partitions))
    log.unlink()


def check_equal(folder: Path, engines: list[str]) -> None:
    """Assert that all engines give the same scores, to the last bit."""
    log = write_log(folder, 200_000, 20_000)
    scores = []
    for engine in engines:
        measured(folder, engine, log, 7)
        table = pd.read_parquet(folder / "scores.parquet").reset_index()
        scores.append(table[table.columns.drop("index", errors="ignore")].sort_values("customer"))
    for other in scores[1:]:
        pd.testing.assert_frame_equal(
            scores[0].reset_index(drop=True), other.reset_index(drop=True), check_exact=True
        )
    print(f"{len(scores[0]):,} customers scored alike by {', '.join(engines)}")
    log.unlink()


def run(engine: str, log: str, model: str, output: str, n_partitions: str) -> None:
    """Score a log with one engine."""
    scoring = ScoringModel.load(model)
    if engine == "memory":
        scoring.score(to_histories(read_transactions(log))).to_parquet(output)
    elif engine == "parts":
        n_rows = parquet.ParquetFile(log).metadata.num_rows
        rows_per_part = -(-n_rows // int(n_partitions)) if int(n_partitions) else MILLION
        score_file(scoring, log, output, rows_per_part=rows_per_part)
    else:
        from pyspark.sql import SparkSession

        from rfmrisk import spark

        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        session = (
            SparkSession.builder.master("local[2]")
            .config("spark.driver.memory", "4g")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.adaptive.enabled", "false")
            .config("spark.sql.shuffle.partitions", int(n_partitions) or 16)
            .getOrCreate()
        )
        histories = spark.to_histories(session.read.parquet(log))
        spark.predict(histories, scoring).write.parquet(output)
        session.stop()


def measured(
    folder: Path, engine: str, log: Path, n_partitions: int = 0
) -> tuple[float, float, float]:
    """Run an engine in a process; return CPU seconds, wall seconds and the most memory in GB."""
    output = folder / "scores.parquet"
    shutil.rmtree(output, ignore_errors=True)
    output.unlink(missing_ok=True)
    run_one = [engine, str(log), str(folder), str(output), str(n_partitions)]
    began = time.perf_counter()
    process = psutil.Popen(
        [sys.executable, "-m", "benchmarks.parts", "--run", *run_one], stderr=subprocess.DEVNULL
    )
    cpu: dict[int, float] = {}
    most = 0
    while process.poll() is None:
        held = 0
        for each in [process, *process.children(recursive=True)]:
            try:
                times = each.cpu_times()
                held += each.memory_info().rss
            except psutil.Error:
                continue
            cpu[each.pid] = times.user + times.system
        most = max(most, held)
        time.sleep(0.05)
    assert process.returncode == 0, f"{engine} failed"
    return sum(cpu.values()), time.perf_counter() - began, most / 1e9


def write_log(folder: Path, n_rows: int, n_customers: int) -> Path:
    """Write an unsorted log of a year with text ids, a million rows at a time."""
    rng = np.random.default_rng(0)
    kinds = pa.array(["airtime", "data", "financial", "transport", "tv"])
    path = folder / "log.parquet"
    writer = None
    for first in range(0, n_rows, MILLION):
        n = min(MILLION, n_rows - first)
        ids = pa.array(rng.integers(n_customers, size=n)).cast(pa.string())
        seconds = rng.integers(365 * 86_400, size=n).astype("timedelta64[s]")
        table = pa.table(
            {
                "CustomerId": pc.binary_join_element_wise("CustomerId_", ids, ""),
                "TransactionStartTime": pa.array(np.datetime64("2024-01-01", "us") + seconds),
                "Amount": rng.lognormal(3, 1, n).round(2),
                "ProductCategory": kinds.take(pa.array(rng.integers(len(kinds), size=n))),
                "PricingStrategy": rng.integers(4, size=n),
            }
        )
        writer = writer or parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()
    return path


def write_model(folder: Path) -> None:
    """Fit a scorecard on the histories of 20,000 customers, and save it."""
    histories = to_histories(read_transactions(write_log(folder, 200_000, 20_000)))
    features = customer_features().fit(histories)
    y = ProxyLabeler().fit_predict(RFMAggregator().fit_transform(histories))
    card = make_pipeline(features, Scorecard(WOEEncoder(), LogisticRegression()))
    typical = typical_values(features.transform(histories))
    metadata = ModelMetadata(threshold=0.5, features=list(typical), typical=typical)
    ScoringModel(card.fit(histories, y), metadata).save(folder)


def head(title: str) -> None:
    """Print the head of a table."""
    print(f"\n{title:30}{'engine':10}{'CPU s':>8}{'wall s':>8}{'GB':>7}")


def line(what: str, engine: str, cpu: float, wall: float, memory: float) -> None:
    """Print a line of a table."""
    print(f"{what:30}{engine:10}{cpu:8.1f}{wall:8.1f}{memory:7.2f}", flush=True)


if __name__ == "__main__":
    main()
