"""Score a whole log that comes as one file."""

import csv
import io
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet, types

from rfmrisk.histories.columns import (
    Parsed,
    as_table,
    is_number,
    is_text,
    microseconds,
    parse_amounts,
    parse_ids,
    read_times,
)
from rfmrisk.histories.flat import flatten
from rfmrisk.histories.nesting import to_histories
from rfmrisk.histories.reading import UNREADABLE, integer_ids, read_csv
from rfmrisk.histories.segments import Ints
from rfmrisk.serving.bodies import Kind
from rfmrisk.serving.champion import Champion
from rfmrisk.serving.problems import Problem, not_allowed, shown, too_large
from rfmrisk.serving.reasons import N_REASONS
from rfmrisk.serving.scorer import Scores
from rfmrisk.serving.settings import Settings
from rfmrisk.serving.values import MOMENT, check_numbers, check_times, moments_of_decision

CSV_TYPE = "text/csv"
PARQUET_TYPE = "application/vnd.apache.parquet"
COLUMNS = ["customer", "as_of", "probability", "score", "is_high_risk"]

# Customers whose answers are made and sent at once.
BATCH = 1_000

Batches = Iterator[tuple[pd.DataFrame, Scores]]

_GIVEN = ("customer", "time", "amount", "as_of")
_NEEDS = {
    "customer": "an id",
    "time": f"a time in {MOMENT}",
    "amount": "a finite number",
}
_HOLDS = {
    "customer": "must hold ids: whole numbers of 64 bits, text, categories or UUIDs",
    "time": f"must hold timestamps, dates or {MOMENT}",
    "amount": "must hold numbers",
}


def score_log(champion: Champion, body: bytes, media_type: str, given: dict[str, str]) -> Batches:
    """Score the customers of a CSV or Parquet log, some at a time; the first are scored at once.

    Parameters
    ----------
    champion : Champion
    body : bytes
    media_type : str
        `CSV_TYPE` or `PARQUET_TYPE`.
    given : dict of str to str
        The columns of customer, time and amount, where they are not those of the training, and
        ``as_of``.

    Returns
    -------
    iterator of (DataFrame, Scores)
        The histories of some customers, and their scores.

    Raises
    ------
    Problem
        Says what is wrong by column and row, without a value of the file. The names of its
        columns count as values: they are the first row of a CSV that has no header.
    """
    batches = _score(champion, _read_log(champion, body, media_type, given))
    return chain([next(batches)], batches)


def as_csv(batches: Batches) -> Iterator[str]:
    """Write scores as CSV, with the columns of ``rfmrisk score``."""
    yield ",".join([*COLUMNS, *(f"reason_{place + 1}" for place in range(N_REASONS))]) + "\n"
    for part, scores in batches:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        as_of = np.datetime_as_string(part["as_of"].to_numpy(), unit="s")
        for customer, moment, probability, score, high_risk, reasons in zip(
            part.index,
            as_of,
            scores.probability.tolist(),
            scores.score.tolist(),
            scores.high_risk.tolist(),
            scores.reasons,
            strict=True,
        ):
            told = [reason.reason for reason in reasons]
            told += [""] * (N_REASONS - len(told))
            writer.writerow([customer, moment, probability, score, int(high_risk), *told])
        yield text.getvalue()


def _read_log(
    champion: Champion, body: bytes, media_type: str, given: dict[str, str]
) -> pd.DataFrame:
    unknown = [name for name in given if name not in _GIVEN]
    if unknown:
        allowed = f"is not a known parameter; known are {', '.join(_GIVEN)}"
        raise not_allowed(shown(unknown[0]), allowed)
    roles = {role: given.get(role) or trained for role, trained in champion.roles.items()}
    fields = champion.reader.fields
    needed = [*roles.values(), *fields]
    if len(set(needed)) < len(needed):
        raise Problem(
            422,
            "customer, time, amount and the further columns that the model uses must be different "
            "columns; one was named twice",
        )
    read = _read_csv if media_type == CSV_TYPE else _read_parquet
    table = read(body, roles, fields, champion.reader.settings)
    table, times, zoned = _with_roles(table, roles)
    for name, kind in fields.items():
        _check_field(table[name], name, kind)
    return to_histories(
        table,
        customer=roles["customer"],
        time=roles["time"],
        amount=roles["amount"],
        as_of=_as_of(given.get("as_of"), times, zoned),
    )


def _as_of(text: str | None, times: Ints, zoned: bool) -> np.datetime64 | None:
    if not text:
        return None
    if "T" in text and " " in text:
        raise not_allowed("as_of", "must have no space after the T; a + in a query is written %2B")
    as_of = moments_of_decision([text], lambda _: "as_of", zoned)[0]
    if as_of <= times.min():
        raise not_allowed("as_of", "must be after the first transaction of the log")
    return np.datetime64(int(as_of), "us")


def _score(champion: Champion, histories: pd.DataFrame) -> Batches:
    for start in range(0, len(histories), BATCH):
        part = histories.iloc[start : start + BATCH]
        scores = champion.scorer.score(flatten(part))
        champion.monitor.add(scores.score, scores.high_risk)
        yield part, scores


def _read_csv(
    body: bytes, roles: Mapping[str, str], fields: Mapping[str, Kind], limits: Settings
) -> pa.Table:
    texts = [*roles.values()]
    try:
        table = read_csv(body, texts)
        _check_columns(table.column_names, roles, fields)
        # A level is no date, though all of a column may look like one.
        dated = [
            name
            for name, kind in fields.items()
            if kind == "level" and types.is_temporal(table.schema.field(name).type)
        ]
        if dated:
            table = read_csv(body, texts + dated)
    except UNREADABLE as error:
        # What Arrow says may quote the file.
        raise Problem(
            422,
            "the body is not a CSV file in UTF-8 with a header and as many values in each row as "
            "the header has",
        ) from error
    _check_size(table.num_rows, limits)
    return integer_ids(table, roles["customer"]).select([*texts, *fields])


def _read_parquet(
    body: bytes, roles: Mapping[str, str], fields: Mapping[str, Kind], limits: Settings
) -> pa.Table:
    try:
        file = parquet.ParquetFile(pa.BufferReader(body))
        _check_columns(file.schema_arrow.names, roles, fields)
        _check_size(file.metadata.num_rows, limits)
        needed = [*roles.values(), *fields]
        table = as_table(file.read(columns=needed).select(needed))
    except UNREADABLE as error:
        raise Problem(422, "the body is not a whole Parquet file") from error
    for name in needed:
        try:
            table[name].validate(full=True)
        except pa.ArrowInvalid as error:
            raise not_allowed(name, "must hold whole values, and text in UTF-8") from error
    # Without the metadata that would make an index of some columns.
    return table.replace_schema_metadata()


def _check_columns(names: list[str], roles: Mapping[str, str], fields: Mapping[str, Kind]) -> None:
    missing = [name for name in (*roles.values(), *fields) if name not in names]
    if missing:
        listed = ", ".join(map(repr, map(shown, missing)))
        raise Problem(
            422,
            f"column(s) {listed} not found: the model needs them, and the first row of a CSV must "
            "be a header; the parameters customer, time and amount say which column is which",
            {shown(name): "is required" for name in missing},
        )
    for place, name in enumerate(names):
        if name in names[:place]:
            first = names.index(name) + 1
            raise Problem(
                422,
                f"columns {first} and {place + 1} have the same name; each needs one of its own",
            )


def _check_size(n_rows: int, limits: Settings) -> None:
    if n_rows > limits.max_transactions:
        raise too_large(f"transactions may be at most {limits.max_transactions:,} in a file")
    if not n_rows:
        raise Problem(422, "the file holds no transaction; at least one is needed")


def _with_roles(table: pa.Table, roles: Mapping[str, str]) -> tuple[pa.Table, Ints, bool]:
    """Check the columns of the roles; return them converted, the times, and if they have a zone."""
    converted: list[Parsed] = [_converted(parse_ids, table, roles, "customer")]
    times, zones = _converted(read_times, table, roles, "time")
    converted += [times, _converted(parse_amounts, table, roles, "amount")]
    kind = table[roles["time"]].type
    for (role, column), parsed in zip(roles.items(), converted, strict=True):
        bad = np.flatnonzero(parsed.bad)
        if len(bad):
            raise not_allowed(
                _row(column, bad[0]),
                f"must have {_NEEDS[role]}; {len(bad):,} of {table.num_rows:,} rows have none",
            )
        table = table.set_column(table.column_names.index(column), column, parsed.converted)
    if zones.with_ and zones.without:
        raise not_allowed(
            roles["time"],
            f"must hold times that all have a zone, or none; {zones.with_:,} have one and "
            f"{zones.without:,} have none",
        )
    moments = microseconds(table[roles["time"]])
    check_times(moments, lambda row: _row(roles["time"], row))
    check_numbers(table[roles["amount"]].to_numpy(), lambda row: _row(roles["amount"], row))
    zoned = zones.with_ > 0 or (types.is_timestamp(kind) and kind.tz is not None)
    return table, moments, zoned


def _converted(convert: Any, table: pa.Table, roles: Mapping[str, str], role: str) -> Any:
    try:
        return convert(table[roles[role]], roles[role])
    except (ValueError, pa.ArrowException) as error:
        # What Arrow says may quote a value.
        raise not_allowed(roles[role], _HOLDS[role]) from error


def _check_field(column: pa.ChunkedArray, name: str, kind: Kind) -> None:
    held = column.type
    if kind == "level":
        held = held.value_type if types.is_dictionary(held) else held
        if not (
            is_text(held) or types.is_boolean(held) or types.is_integer(held) or types.is_null(held)
        ):
            raise not_allowed(name, "must hold text in UTF-8, true or false, or whole numbers")
    elif is_number(held) or types.is_null(held):
        numbers = column.cast(pa.float64(), safe=False).to_numpy()
        check_numbers(numbers, lambda row: _row(name, row))
    else:
        raise not_allowed(name, "must hold numbers")


def _row(column: str, row: int) -> str:
    return f"{column}, row {row + 1}"
