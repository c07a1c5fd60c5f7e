"""The same histories, the same features and the same prediction on Apache Spark.

Spark only packs: it brings the transactions of a customer together. All that is computed is
computed by the code of the local `to_histories` and of the fitted model, on Arrow batches where
the data lies. To the driver come the counts of invalid rows and the span of times, one line a
partition.
"""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial, reduce
from hashlib import sha256
from operator import add
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

try:
    from pyspark import TaskContext
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql import functions as F  # noqa: N812 (its usual name)
    from pyspark.sql import types as T  # noqa: N812
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "rfmrisk.spark needs pyspark: python -m pip install 'rfmrisk[spark]'", name=error.name
    ) from error

from rfmrisk.histories import nesting as local
from rfmrisk.histories.amounts import PLAIN
from rfmrisk.histories.columns import (
    arrow_column,
    as_table,
    check_columns,
    microseconds,
    parse_ids,
    parse_times,
    whole,
)
from rfmrisk.histories.datetimes import ISO
from rfmrisk.histories.ending import end_of_log
from rfmrisk.histories.findings import Findings, check_on_bad, check_schema, inspect
from rfmrisk.histories.options import (
    AMOUNT,
    CUSTOMER,
    RECOGNISED,
    TIME,
    Duplicates,
    OnBad,
    OptionNeededError,
    ReadingOptions,
)
from rfmrisk.histories.roles import Formats, Roles, find_formats_of
from rfmrisk.histories.timestamps import check_known, parse_timestamp
from rfmrisk.persistence import all_trusted, dump, load
from rfmrisk.scoring.model import METADATA_FILE, MODEL_FILE, ScoringModel
from rfmrisk.scoring.probability import bad_probability
from rfmrisk.scoring.reasons import PhraseBook

Batches = Iterator[pa.RecordBatch]


def to_histories(
    df: DataFrame,
    *,
    customer: str = CUSTOMER,
    time: str = TIME,
    amount: str = AMOUNT,
    order: str | None = None,
    duplicates: Duplicates = "keep",
    as_of: Any = None,
    on_bad: OnBad = "raise",
    decimal: str | None = None,
    thousands: str | None = None,
    time_format: str | None = None,
    time_unit: str | None = None,
) -> DataFrame:
    """Nest a transaction log into one row per customer, as `rfmrisk.to_histories` does.

    Parameters
    ----------
    df : pyspark.sql.DataFrame of shape (n_transactions, n_columns)
        It is read twice, once now to judge its rows: ``cache()`` one that is dear to compute.
        Timestamps mean the same whatever the session's time zone; timestamps without a zone and
        text without one are taken as UTC.
    customer, time, amount, order, duplicates : str
        As in `rfmrisk.to_histories`.
    as_of : datetime-like, pyspark.sql.DataFrame or None, default=None
        As in `rfmrisk.to_histories`; a Spark frame has the columns ``as_of`` and ``customer``
        (or the log's own name for it), and gives one row per decision; its other columns are kept.
    on_bad : {"raise", "drop"}, default="raise"
        As in `rfmrisk.to_histories`.
    decimal, thousands, time_format, time_unit : str or None, default=None
        As in `rfmrisk.to_histories`. Where text or numbers are not plainly ISO-8601 times and
        numbers, their distinct values come to the driver to be judged.

    Returns
    -------
    pyspark.sql.DataFrame of shape (n_customers, 3 + n_other_columns)
        ``customer``, bigint or string; ``as_of``, timestamp_ntz in UTC; the other columns of
        the decisions; ``history``, ``array<struct<time, amount, ...>>`` sorted by time. The rows
        have no order; each is what `rfmrisk.to_histories` gives, transactions at the same time
        included.

    Raises
    ------
    ValueError
        As `rfmrisk.to_histories`, with the same messages. Columns that are missing or of a wrong
        type are refused before a job runs. The rows that an error shows are numbered as
        ``collect`` would give them.

    Examples
    --------
    >>> from pyspark.sql import SparkSession
    >>> from rfmrisk import spark
    >>> session = SparkSession.builder.master("local[1]").getOrCreate()
    >>> log = session.createDataFrame(
    ...     [("ann", "2024-05-01", 10.0), ("bob", "2024-05-02", 5.0), ("ann", "2024-05-03", -2.5)],
    ...     ["who", "when", "paid"],
    ... )
    >>> histories = spark.to_histories(log, customer="who", time="when", amount="paid")
    >>> sorted((row.customer, len(row.history)) for row in histories.collect())
    [('ann', 2), ('bob', 1)]
    """
    check_on_bad(on_bad)
    roles = Roles(customer, time, amount, order, duplicates)
    options = ReadingOptions(
        decimal=decimal, thousands=thousands, time_format=time_format, time_unit=time_unit
    )
    written = _arrow_schema(df)
    roles.check(written.names)
    schema = check_schema(written, roles)
    by_decision = isinstance(as_of, DataFrame)
    timestamp = None if as_of is None or by_decision else parse_timestamp(as_of, "as_of")
    asked = _Decisions(as_of, customer, df, schema) if by_decision else None
    formats = _formats(df, written, roles, options)

    findings = _findings(df, roles, options, formats)
    if findings is None:
        raise ValueError("the log is empty: at least one transaction is needed")
    findings.check(on_bad)
    if timestamp is not None:
        check_known(findings.first, timestamp)

    by_place = df.toDF(*_numbered(df.columns))
    key = df.columns.index(customer)
    other_columns = [name for name in df.columns if name != customer]
    rows = F.struct(*[by_place[df.columns.index(name)] for name in other_columns])
    packed = (
        by_place.where(by_place[key].isNotNull())
        .groupBy(by_place[key].alias("customer"))
        .agg(F.collect_list(rows).alias("rows"))
    )
    dtype = _history_type(schema, roles)
    nest = partial(
        _nest, names=other_columns, roles=roles, options=options, formats=formats, dtype=dtype
    )
    other: list[T.StructField] = []
    if asked:
        packed, other = asked.packed.join(packed, "customer", "left"), asked.other
        nest = partial(nest, other=[field.name for field in other])
    elif timestamp is None:
        nest = partial(nest, timestamp=end_of_log(findings.days, time))
    else:
        nest = partial(nest, timestamp=timestamp)
    return packed.mapInArrow(nest, _history_schema(df, schema, roles, other))


def transform(df: DataFrame, aggregator: Any) -> DataFrame:
    """Compute customer features, as ``aggregator.transform(histories)`` does.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
        As made by `to_histories`, other columns (a label, a split) allowed.
    aggregator : transformer
        Fitted, and of types that `rfmrisk.persistence.dump` saves: an aggregator of this
        package, or `rfmrisk.customer_features`.

    Returns
    -------
    pyspark.sql.DataFrame
        The columns of ``df`` without ``history``, and the features; missing ones are null.

    Raises
    ------
    ValueError
        A column is missing.
    ModelFileError
        The aggregator holds types that a model file may not have.

    Examples
    --------
    >>> from pyspark.sql import SparkSession
    >>> from rfmrisk import RFMAggregator, datasets, spark
    >>> from rfmrisk import to_histories as locally
    >>> session = SparkSession.builder.master("local[1]").getOrCreate()
    >>> log = datasets.make_transactions(n_customers=20, random_state=0)
    >>> histories = spark.to_histories(session.createDataFrame(log))
    >>> rfm = spark.transform(histories, RFMAggregator().fit(locally(log)))
    >>> rfm.columns
    ['customer', 'as_of', 'recency', 'frequency', 'monetary']
    """
    return _map(df, aggregator, _features)


def predict(
    df: DataFrame,
    model: Any,
    n_reasons: int = 3,
    reasons: str | Path | Mapping[str, Any] | PhraseBook | None = None,
) -> DataFrame:
    """Score customers, as ``model.score(histories)`` does.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
        As made by `to_histories`, other columns allowed.
    model : ScoringModel, or fitted classifier of histories
        The model of `rfmrisk.training.load_model`, or a pipeline or `ProxyTargetClassifier`. It
        travels once to each machine, as the bytes that `rfmrisk.persistence.dump` writes, and
        is loaded once by each Python process.
    n_reasons : int, default=3
        Of a ScoringModel, how many reasons to give.
    reasons : str, Path, mapping, PhraseBook or None, default=None
        The sentences of the reasons, as in `ScoringModel.score`; a file is read here.

    Returns
    -------
    pyspark.sql.DataFrame
        The columns of ``df`` without ``history``, and those of `ScoringModel.score`; of a
        classifier, its ``probability`` of being bad alone.

    Raises
    ------
    ValueError
        A column is missing.
    ModelFileError
        The model holds types that a model file may not have.

    Examples
    --------
    >>> from pyspark.sql import SparkSession
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from rfmrisk import RFMAggregator, datasets, spark
    >>> from rfmrisk import to_histories as locally
    >>> session = SparkSession.builder.master("local[1]").getOrCreate()
    >>> log, bad = datasets.make_transactions(20, random_state=0, return_defaults=True)
    >>> past = locally(log)
    >>> model = make_pipeline(RFMAggregator(), LogisticRegression(max_iter=10_000))
    >>> model = model.fit(past, bad.loc[past.index])
    >>> spark.predict(spark.to_histories(session.createDataFrame(log)), model).columns
    ['customer', 'as_of', 'probability']
    """
    if not isinstance(model, ScoringModel):
        return _map(df, model, _probability)
    return _map(df, model, partial(_scores, n_reasons=n_reasons, book=PhraseBook.read(reasons)))


class _Decisions:
    """A Spark frame of (customer, as_of, ...), checked, and packed by customer."""

    def __init__(self, df: DataFrame, customer: str, log: DataFrame, schema: pa.Schema) -> None:
        names = df.columns
        own = "customer" if customer not in names and "customer" in names else customer
        check_columns(names, [own, "as_of"], of="the decisions")
        empty = _arrow_schema(df).empty_table()
        parse_times(empty["as_of"], "as_of")
        dtype = parse_ids(empty[own], own).converted.type
        if dtype != schema.field(customer).type:
            local.check_decision_ids(_first_id(df, own), _first_id(log, customer))

        self.other = [field for field in df.schema.fields if field.name not in (own, "as_of")]
        local.check_other_columns([field.name for field in self.other])

        by_place = df.toDF(*_numbered(names))
        pairs = by_place.select(
            by_place[names.index(own)].alias("customer"),
            by_place[names.index("as_of")].alias("as_of"),
            *[by_place[names.index(field.name)] for field in self.other],
        )
        roles = Roles("customer", "as_of", "amount")
        found = _findings(pairs.withColumn("amount", F.lit(0.0)), roles)
        bad = {name: rows.count for name, rows in found.bad.items()} if found else {}
        local.check_decisions(
            found.n_rows if found else 0, bad.get("as_of", 0), bad.get("customer", 0)
        )
        if found:
            found.zones.check("as_of")
        decisions = F.struct(*[name for name in pairs.columns if name != "customer"])
        self.packed = pairs.groupBy("customer").agg(F.collect_list(decisions).alias("decisions"))


def _first_id(df: DataFrame, name: str) -> pa.ChunkedArray:
    """Return the id of the first row, for an error that shows it."""
    first = as_table(df.toDF(*_numbered(df.columns)).limit(1).toArrow())
    return parse_ids(first[df.columns.index(name)], name).converted


def _arrow_schema(df: DataFrame) -> pa.Schema:
    """Return the columns as they will come in Arrow batches; no row is read."""
    return df.limit(0).toArrow().schema


def _numbered(names: list[str]) -> list[str]:
    """Return names to work with: a log's own may hold dots, or differ by case alone."""
    return [f"column_{place}" for place in range(len(names))]


def _formats(df: DataFrame, schema: pa.Schema, roles: Roles, options: ReadingOptions) -> Formats:
    """Find out how times and amounts are written: of plain ISO-8601 and numbers by a few rows."""
    head = df.select(*[_named(df, name) for name in roles.sources(schema.names)]).limit(1000)
    few = as_table(head.toArrow())
    try:
        formats = find_formats_of(lambda _: [few], schema, roles, options)
    except OptionNeededError:
        formats = None
    if formats and formats.time in (None, ISO) and formats.amount in (None, PLAIN):
        return formats

    def distinct(names: list[str]) -> Iterator[pa.Table]:
        yield as_table(df.select(*[_named(df, name) for name in names]).distinct().toArrow())

    return find_formats_of(distinct, schema, roles, options)


def _named(df: DataFrame, name: str) -> Any:
    return df[f"`{name.replace('`', '``')}`"]


def _findings(
    df: DataFrame,
    roles: Roles,
    options: ReadingOptions = RECOGNISED,
    formats: Formats = Formats(),  # noqa: B008 (it is frozen)
) -> Findings | None:
    """Run a job that counts what is wrong with the rows; None where there are none."""
    names = roles.sources(df.columns)
    by_place = df.toDF(*_numbered(df.columns))
    judge = partial(_inspect, names=names, roles=roles, options=options, formats=formats)
    judged = by_place.select(*[by_place[df.columns.index(name)] for name in names]).mapInArrow(
        judge, "number int, found string, error string, asks string"
    )
    parts = sorted(judged.collect())
    for part in parts:
        if part.error is not None:
            if part.asks is None:
                raise ValueError(part.error)
            raise OptionNeededError.from_plain(json.loads(part.asks))
    found = [Findings.from_plain(json.loads(part.found)) for part in parts]
    return reduce(add, found) if found else None


def _inspect(
    batches: Batches, names: list[str], roles: Roles, options: ReadingOptions, formats: Formats
) -> Batches:
    """Say what is wrong with the rows of a partition, in one row."""
    found, problem, asks = [], None, None
    try:
        for batch in batches:
            table = as_table(pa.Table.from_batches([batch]).rename_columns(names))
            found.append(inspect(table, roles, options, formats, days=True)[1])
    except ValueError as error:
        problem = str(error)
        asks = json.dumps(error.to_plain()) if isinstance(error, OptionNeededError) else None
    context = TaskContext.get()
    number = context.partitionId() if context else 0
    if found or problem:
        plain = json.dumps(dataclasses.asdict(reduce(add, found))) if found else ""
        yield pa.record_batch(
            {
                "number": pa.array([number], pa.int32()),
                "found": [plain],
                "error": pa.array([problem], pa.string()),
                "asks": pa.array([asks], pa.string()),
            }
        )


def _nest(
    batches: Batches,
    *,
    names: list[str],
    roles: Roles,
    options: ReadingOptions,
    formats: Formats,
    dtype: pa.DataType,
    timestamp: int | None = None,
    other: Sequence[str] = (),
) -> Batches:
    """Turn the rows of each customer into a history, with the code of the local `to_histories`."""
    customer = roles.customer
    for batch in batches:
        rows, ids = batch.column("rows"), batch.column("customer")
        columns = {customer: ids.take(pc.list_parent_indices(rows))}
        columns |= dict(zip(names, rows.flatten().flatten(), strict=True))
        usable, _ = inspect(as_table(pa.table(columns)), roles, options, formats)
        if timestamp is not None:
            known = usable.filter(pa.array(microseconds(usable[roles.time]) < timestamp))
            if known.num_rows:
                yield _history_batch(local.histories_at(known, roles, timestamp), dtype)
            continue
        decisions = batch.column("decisions")
        columns = {customer: ids.take(pc.list_parent_indices(decisions))}
        columns |= dict(zip(["as_of", *other], decisions.flatten().flatten(), strict=True))
        asked = local.read_decisions(pa.table(columns), customer, usable[customer])
        yield _history_batch(local.histories_of_decisions(usable, roles, asked), dtype)


def _history_batch(histories: pd.DataFrame, dtype: pa.DataType) -> pa.RecordBatch:
    return pa.record_batch(
        {
            "customer": pa.array(histories.index),
            "as_of": pa.array(histories["as_of"], pa.timestamp("us")),
            **{
                name: whole(arrow_column(column))
                for name, column in histories.items()
                if name not in ("as_of", "history")
            },
            "history": whole(arrow_column(histories["history"])).cast(dtype),
        }
    )


def _history_type(schema: pa.Schema, roles: Roles) -> pa.DataType:
    """Return the Arrow type of a history."""
    fields = [("time", pa.timestamp("us")), ("amount", pa.float64())]
    if roles.order is not None:
        fields.append(("order", schema.field(roles.order).type))
    others = roles.other_columns(schema.names)
    return pa.list_(pa.struct(fields + [(name, schema.field(name).type) for name in others]))


def _history_schema(
    df: DataFrame, schema: pa.Schema, roles: Roles, other: list[T.StructField]
) -> T.StructType:
    """Return the Spark schema of histories."""
    fields = [T.StructField("time", T.TimestampNTZType()), T.StructField("amount", T.DoubleType())]
    by_name = {field.name: field for field in df.schema.fields}
    if roles.order is not None:
        fields.append(T.StructField("order", by_name[roles.order].dataType))
    fields += [by_name[name] for name in roles.other_columns(schema.names)]
    whole_number = pa.types.is_integer(schema.field(roles.customer).type)
    return T.StructType(
        [
            T.StructField("customer", T.LongType() if whole_number else T.StringType()),
            T.StructField("as_of", T.TimestampNTZType()),
            *other,
            T.StructField("history", T.ArrayType(T.StructType(fields))),
        ]
    )


def _features(aggregator: Any, histories: pd.DataFrame) -> pd.DataFrame:
    return aggregator.transform(histories)


def _scores(
    model: ScoringModel, histories: pd.DataFrame, n_reasons: int, book: PhraseBook
) -> pd.DataFrame:
    return model.score(histories, n_reasons, book).drop(columns="as_of")


def _probability(model: Any, histories: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"probability": bad_probability(model, histories)})


def _map(
    df: DataFrame, model: Any, compute: Callable[[Any, pd.DataFrame], pd.DataFrame]
) -> DataFrame:
    """Put what a model computes of histories in the place of these."""
    check_columns(df.columns, ["customer", "as_of", "history"], of="the histories")
    # The columns of a customer without transactions are those of all.
    schema = _arrow_schema(df)
    other = [field for field in schema if field.name not in ("customer", "as_of", "history")]
    stranger = pa.table(
        {
            "as_of": pa.array([0], pa.timestamp("us")),
            **{field.name: pa.nulls(1, field.type) for field in other},
            "history": pa.array([[]], schema.field("history").type),
        }
    )
    made = compute(model, _local_histories(stranger, pd.RangeIndex(1)))
    dtypes = {str(name): _arrow_type(column) for name, column in made.items()}
    kept = [field for field in df.schema.fields if field.name != "history"]
    added = [T.StructField(name, _SPARK_TYPES[dtype]) for name, dtype in dtypes.items()]
    shipped = _Shipped.of(model, df.sparkSession)
    work = partial(_compute, names=df.columns, compute=compute, shipped=shipped, dtypes=dtypes)
    return df.toDF(*_numbered(df.columns)).mapInArrow(work, T.StructType(kept + added))


def _compute(
    batches: Batches,
    names: list[str],
    compute: Callable[[Any, pd.DataFrame], pd.DataFrame],
    shipped: "_Shipped",
    dtypes: dict[str, pa.DataType],
) -> Batches:
    for batch in batches:
        if not batch.num_rows:
            continue
        batch = batch.rename_columns(names)  # noqa: PLW2901 (their own names again)
        histories = _local_histories(batch, pd.Index(batch.column("customer").to_pandas()))
        made = compute(shipped.load(), histories)
        # A table, as pandas may hold a column of text in several chunks.
        added = pa.Table.from_pandas(made, pa.schema(dtypes), preserve_index=False)
        kept = pa.Table.from_batches([batch.drop_columns(["history"])])
        columns = [*kept.columns, *added.columns]
        table = pa.table(columns, names=[*kept.column_names, *added.column_names])
        yield from table.combine_chunks().to_batches()


def _local_histories(batch: pa.RecordBatch | pa.Table, customers: pd.Index) -> pd.DataFrame:
    lists = pd.arrays.ArrowExtensionArray(batch.column("history"))
    other = {
        name: pd.arrays.ArrowExtensionArray(batch.column(name))
        for name in batch.schema.names
        if name not in ("customer", "as_of", "history")
    }
    as_of = batch.column("as_of").to_pandas().array
    columns = {"as_of": as_of, **other, "history": lists}
    return pd.DataFrame(columns, index=customers.rename("customer"))


_SPARK_TYPES = {
    pa.int64(): T.LongType(),
    pa.float64(): T.DoubleType(),
    pa.float32(): T.FloatType(),
    pa.string(): T.StringType(),
}


def _arrow_type(column: pd.Series) -> pa.DataType:
    dtype = pa.from_numpy_dtype(column.dtype) if isinstance(column.dtype, np.dtype) else None
    return dtype if dtype in _SPARK_TYPES else pa.string()


@dataclasses.dataclass(frozen=True)
class _Shipped:
    """A model as the bytes of its files, which each Python process loads once.

    The types of one's own that are trusted travel with it: other machines have no variable.
    """

    files: Any
    digest: str
    trusted: list[str]

    @classmethod
    def of(cls, model: Any, session: SparkSession) -> "_Shipped":
        with TemporaryDirectory() as folder:
            if isinstance(model, ScoringModel):
                model.save(folder)
            else:
                dump(model, Path(folder) / MODEL_FILE)
            files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
        digest = sha256(b"".join(files.values())).hexdigest()
        try:
            return cls(session.sparkContext.broadcast(files), digest, all_trusted())
        except AttributeError:
            # Spark Connect has no broadcasts; the bytes travel with the work.
            return cls(files, digest, all_trusted())

    def load(self) -> Any:
        if self.digest not in _LOADED:
            files = self.files if isinstance(self.files, dict) else self.files.value
            with TemporaryDirectory() as folder:
                for name, data in files.items():
                    (Path(folder) / name).write_bytes(data)
                if METADATA_FILE in files:
                    _LOADED[self.digest] = ScoringModel.load(folder, trusted=self.trusted)
                else:
                    _LOADED[self.digest] = load(Path(folder) / MODEL_FILE, trusted=self.trusted)
        return _LOADED[self.digest]


_LOADED: dict[str, Any] = {}
