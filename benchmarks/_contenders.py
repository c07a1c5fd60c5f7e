"""The features of benchmarks.scale as one would write them by hand, in four libraries.

Each function takes the log as a pandas frame and gives, by library, a function without arguments
that computes the table from the log in that library's own form. Libraries that are not installed
are left out.
"""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

try:
    import polars as pl
except ModuleNotFoundError:
    pl = None
try:
    import duckdb
except ModuleNotFoundError:
    duckdb = None

Contenders = dict[str, Callable[[], Any]]
DAY = pd.Timedelta("1D")


def as_pandas(table: Any) -> pd.DataFrame:
    """Return the table of any contender, sorted by customer."""
    if isinstance(table, pd.DataFrame):
        return table
    table = table.to_pandas()
    return table.set_index("CustomerId").sort_index()


def rfm(log: pd.DataFrame) -> Contenders:
    """Recency, frequency, gross monetary value."""
    as_of = log["TransactionStartTime"].max().normalize() + DAY

    def by_pandas() -> pd.DataFrame:
        groups = log.assign(size=log["Amount"].abs()).groupby("CustomerId")
        table = groups.agg(
            recency=("TransactionStartTime", "max"),
            frequency=("Amount", "size"),
            monetary=("size", "sum"),
        )
        return table.assign(recency=(as_of - table["recency"]) / DAY)

    arrow = _arrow(log)

    def by_pyarrow() -> pa.Table:
        sizes = arrow.append_column("size", pc.abs(arrow["Amount"]))
        table = sizes.group_by("CustomerId").aggregate(
            [("TransactionStartTime", "max"), ("size", "count"), ("size", "sum")]
        )
        gaps = pc.microseconds_between(
            table["TransactionStartTime_max"], pa.scalar(as_of, pa.timestamp("us"))
        )
        recency = pc.divide(gaps.cast(pa.float64()), DAY / pd.Timedelta("1us"))
        columns = [table["CustomerId"], recency, table["size_count"], table["size_sum"]]
        return pa.table(columns, ["CustomerId", "recency", "frequency", "monetary"])

    contenders: Contenders = {"pandas": by_pandas, "pyarrow": by_pyarrow}
    if pl is not None:
        frame = pl.from_arrow(arrow)
        contenders["Polars"] = lambda: frame.group_by("CustomerId").agg(
            recency=_days(as_of - pl.col("TransactionStartTime").max()),
            frequency=pl.len(),
            monetary=pl.col("Amount").abs().sum(),
        )
    if duckdb is not None:
        contenders["DuckDB"] = _query(
            arrow,
            f"""
            SELECT CustomerId, {_sql_days(f"TIMESTAMP '{as_of}' - max(TransactionStartTime)")}
            AS recency, count(*) AS frequency, sum(abs(Amount)) AS monetary
            FROM log GROUP BY CustomerId
            """,  # noqa: S608 - nothing of it comes from outside
        )
    return contenders


def wide(log: pd.DataFrame) -> Contenders:
    """Amounts, days, gaps, shares of the calendar, categories, and what was spent lately.

    pyarrow has no exact median of groups and is left out.
    """
    as_of = log["TransactionStartTime"].max().normalize() + DAY

    def by_pandas() -> pd.DataFrame:
        time, amount = log["TransactionStartTime"], log["Amount"]
        # The ids are hashed once.
        customer, ids = pd.factorize(log["CustomerId"], sort=True)
        hour = time.dt.hour
        parts = pd.DataFrame(
            {
                "amount_sum_30D": amount.where(time >= as_of - 30 * DAY, 0.0),
                "amount_sum_90D": amount.where(time >= as_of - 90 * DAY, 0.0),
                "night_share": ((hour >= 22) | (hour < 6)).astype("float64"),
                "weekend_share": (time.dt.day_of_week >= 5).astype("float64"),
            }
        )
        groups = parts.groupby(customer)
        stats = ["count", "sum", "mean", "std", "min", "max", "median"]
        table = amount.groupby(customer).agg(stats).add_prefix("amount_")
        table[["amount_sum_30D", "amount_sum_90D"]] = groups[
            ["amount_sum_30D", "amount_sum_90D"]
        ].sum()
        table[["night_share", "weekend_share"]] = groups[["night_share", "weekend_share"]].mean()
        table["active_days"] = time.dt.normalize().groupby(customer).nunique()
        times = time.groupby(customer)
        gaps = table["amount_count"] - 1
        table["gap_mean"] = (times.max() - times.min()) / DAY / gaps.where(gaps > 0)
        levels = log.groupby([customer, "ProductCategory"]).size().groupby(level=0)
        table["ProductCategory_levels"] = levels.size()
        table["ProductCategory_top_share"] = levels.max() / levels.sum()
        return table.set_axis(pd.Index(ids, name="CustomerId"))

    arrow = _arrow(log)
    contenders: Contenders = {"pandas": by_pandas}
    if pl is not None:
        frame = pl.from_arrow(arrow)
        contenders["Polars"] = lambda: _wide_by_polars(frame, as_of)
    if duckdb is not None:
        time = "TransactionStartTime"
        contenders["DuckDB"] = _query(
            arrow,
            f"""
            WITH levels AS (
              SELECT CustomerId, count(*) AS n FROM log GROUP BY CustomerId, ProductCategory
            ), tops AS (
              SELECT CustomerId, count(*) AS ProductCategory_levels,
              max(n) / sum(n) AS ProductCategory_top_share FROM levels GROUP BY CustomerId
            )
            SELECT CustomerId, count(*) AS amount_count, sum(Amount) AS amount_sum,
            avg(Amount) AS amount_mean, stddev_samp(Amount) AS amount_std,
            min(Amount) AS amount_min, max(Amount) AS amount_max, median(Amount) AS amount_median,
            coalesce(sum(Amount) FILTER ({time} >= TIMESTAMP '{as_of - 30 * DAY}'), 0)
            AS amount_sum_30D,
            coalesce(sum(Amount) FILTER ({time} >= TIMESTAMP '{as_of - 90 * DAY}'), 0)
            AS amount_sum_90D,
            avg((hour({time}) >= 22 OR hour({time}) < 6)::DOUBLE) AS night_share,
            avg((isodow({time}) >= 6)::DOUBLE) AS weekend_share,
            count(DISTINCT {time}::DATE) AS active_days,
            {_sql_days(f"max({time}) - min({time})")} / nullif(count(*) - 1, 0) AS gap_mean,
            any_value(ProductCategory_levels) AS ProductCategory_levels,
            any_value(ProductCategory_top_share) AS ProductCategory_top_share
            FROM log JOIN tops USING (CustomerId) GROUP BY CustomerId
            """,  # noqa: S608 - nothing of it comes from outside
        )
    return contenders


def _wide_by_polars(frame: Any, as_of: pd.Timestamp) -> Any:
    time, amount = pl.col("TransactionStartTime"), pl.col("Amount")
    hour = time.dt.hour()
    levels = frame.group_by("CustomerId", "ProductCategory").len()
    tops = levels.group_by("CustomerId").agg(
        ProductCategory_levels=pl.len(),
        ProductCategory_top_share=pl.col("len").max() / pl.col("len").sum(),
    )
    table = frame.group_by("CustomerId").agg(
        amount_count=pl.len(),
        amount_sum=amount.sum(),
        amount_mean=amount.mean(),
        amount_std=amount.std(),
        amount_min=amount.min(),
        amount_max=amount.max(),
        amount_median=amount.median(),
        amount_sum_30D=amount.filter(time >= as_of - 30 * DAY).sum(),
        amount_sum_90D=amount.filter(time >= as_of - 90 * DAY).sum(),
        night_share=((hour >= 22) | (hour < 6)).mean(),
        weekend_share=(time.dt.weekday() >= 6).mean(),
        active_days=time.dt.date().n_unique(),
        gap_mean=_days(time.max() - time.min()) / pl.when(pl.len() > 1).then(pl.len() - 1),
    )
    return table.join(tops, on="CustomerId")


def _arrow(log: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(log, preserve_index=False)


def _days(gap: Any) -> Any:
    return gap.dt.total_microseconds() / (DAY / pd.Timedelta("1us"))


def _sql_days(gap: str) -> str:
    return f"epoch_us({gap}) / 86400e6"


def _query(log: pa.Table, query: str) -> Callable[[], Any]:
    connection = duckdb.connect()
    connection.register("log", log)
    return lambda: connection.sql(query).to_arrow_table()
