"""Score a whole log that comes as one file."""

import io
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet, types

from rfmrisk.aggregation.base import FieldType
from rfmrisk.histories.columns import (
    Parsed,
    arrow_column,
    as_table,
    is_number,
    is_text,
    microseconds,
    parse_ids,
    read_times,
    whole,
)
from rfmrisk.histories.findings import read_amounts
from rfmrisk.histories.flat import flatten
from rfmrisk.histories.nesting import to_histories
from rfmrisk.histories.options import OptionNeededError, ReadingOptions
from rfmrisk.histories.parquet_pages import unpacked_bytes
from rfmrisk.histories.plain_table import NO_TIME
from rfmrisk.histories.reading import UNREADABLE, as_frame, read_header, read_sources
from rfmrisk.histories.roles import Formats, Roles, find_formats, with_time
from rfmrisk.histories.segments import Ints
from rfmrisk.histories.sources import Source
from rfmrisk.scoring.csv_text import defused, write_rows
from rfmrisk.scoring.reasons import PhraseBook
from rfmrisk.scoring.scorer import Scores
from rfmrisk.scoring.table_files import read_applications, read_table_of
from rfmrisk.serving.champion import N_REASONS, Champion
from rfmrisk.serving.problems import Problem, not_allowed, shown, too_large
from rfmrisk.serving.settings import Settings
from rfmrisk.serving.values import MOMENT, check_numbers, check_times, dates, moments_of_decision

CSV_TYPE = "text/csv"
PARQUET_TYPE = "application/vnd.apache.parquet"
COLUMNS = ["customer", "as_of", "probability", "score"]

# Customers whose answers are made and sent at once.
BATCH = 1_000
MOST_COLUMNS = 1_000

Batches = Iterator[tuple[pd.DataFrame, Scores]]

_READING = ("separator", "decimal", "thousands", "encoding", "time_format", "time_unit")
_GIVEN = ("customer", "time", "amount", "as_of", "spreadsheet", *_READING)
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


def as_csv(batches: Batches, book: PhraseBook, *, spreadsheet: bool = False) -> Iterator[str]:
    """Write scores as CSV, with the columns of ``rfmrisk score``; for a spreadsheet, defused."""
    ranks = range(1, N_REASONS + 1)
    named = [f"{name}_{rank}" for name in ("reason", "code") for rank in ranks]
    first = next(batches)
    graded = [] if first[1].grade is None else ["grade"]
    yield ",".join([*COLUMNS, *graded, "is_high_risk", *named]) + "\n"
    for part, scores in chain([first], batches):
        text = io.StringIO()
        rows = []
        times = part["as_of"].to_numpy()
        as_of = np.where(times == NO_TIME, "", np.datetime_as_string(times, unit="s"))
        for customer, moment, probability, score, grade, high_risk, reasons in zip(
            part.index,
            as_of,
            scores.probability.tolist(),
            scores.score.tolist(),
            [[]] * len(part) if scores.grade is None else scores.grade[:, None].tolist(),
            scores.high_risk.tolist(),
            scores.reasons,
            strict=True,
        ):
            rest = [""] * (N_REASONS - len(reasons))
            told = [*map(book.sentence, reasons), *rest, *(r.code for r in reasons), *rest]
            rows.append([customer, moment, probability, score, *grade, int(high_risk), *told])
        write_rows(
            ([defused(value) for value in row] for row in rows) if spreadsheet else rows, text
        )
        yield text.getvalue()


def _read_log(
    champion: Champion, body: bytes, media_type: str, given: dict[str, str]
) -> pd.DataFrame:
    unknown = [name for name in given if name not in _GIVEN]
    if unknown:
        allowed = f"is not a known parameter; known are {', '.join(_GIVEN)}"
        raise not_allowed(shown(unknown[0]), allowed)
    if given.get("spreadsheet", "false") not in ("true", "false"):
        raise not_allowed("spreadsheet", "must be true or false")
    if champion.model.of_table:
        return _read_table(champion, body, media_type)
    roles = Roles(**{role: given.get(role) or own for role, own in champion.roles.items()})
    try:
        options = ReadingOptions(**{name: given.get(name) or None for name in _READING})
    except ValueError as error:
        raise Problem(422, str(error)) from error
    fields = champion.reader.fields
    if champion.reader.columns:
        listed = ", ".join(map(repr, champion.reader.columns))
        raise Problem(
            422, f"the model needs {listed} of each application: POST /predict takes them"
        )
    read = _read_csv if media_type == CSV_TYPE else _read_parquet
    try:
        table, formats = read(body, roles, fields, champion.reader.settings, options)
        table, times, zoned = _with_roles(table, roles, options, formats)
    except OptionNeededError as error:
        raise _needs(error) from error
    for name, kind in fields.items():
        _check_field(table[name], name, kind)
    as_of = _as_of(given.get("as_of"), times, zoned)
    try:
        return to_histories(
            table,
            customer=roles.customer,
            time=roles.time,
            amount=roles.amount,
            order=roles.order,
            as_of=as_of,
        )
    except OptionNeededError as error:
        raise _needs(error) from error


def _read_table(champion: Champion, body: bytes, media_type: str) -> pd.DataFrame:
    """Return the applications of a plain table, for a model that was trained on one."""
    model, recipe = champion.model, champion.scorer.recipe
    try:
        if media_type == CSV_TYPE:
            table = read_table_of(model, Source("the body", ".csv", body))
        else:
            names = parquet.read_schema(pa.BufferReader(body)).names
            _check_number(names)
            read = _bounded(body, names, champion.reader.settings)
            table = as_frame(read.replace_schema_metadata())
    except (ValueError, *UNREADABLE) as error:
        raise Problem(
            422,
            "the body is not a CSV or Parquet file of a table with a header and as many values in "
            "each row as the header has",
        ) from error
    _check_size(len(table), champion.reader.settings)
    missing = [name for name in recipe.columns if name not in table]
    if missing:
        listed = ", ".join(map(repr, map(shown, missing)))
        raise Problem(
            422,
            f"column(s) {listed} not found: the model needs them, and the first row of a CSV must "
            "be a header",
            {shown(name): "is required" for name in missing},
        )
    known = {*champion.scorer.known_columns, "as_of", *model.metadata.decision_roles.values()}
    for number, name in enumerate(table.columns, start=1):
        if name not in known:
            raise not_allowed(f"column {number}", "is none that the training had; leave it out")
    for name, dtype in recipe.columns.items():
        _check_field(arrow_column(table[name]), name, dtype)
    try:
        return read_applications(model, table)
    except ValueError as error:  # what it says may quote a value
        raise Problem(
            422, f"the columns must hold what they held in the training: {dict(recipe.columns)}"
        ) from error


def _needs(error: OptionNeededError) -> Problem:
    """Return what an option would help with, and which parameter it is here."""
    known = [name for name in error.options if name in _GIVEN]
    advice = f". {error.advice} the parameter {' or '.join(known)}" if known else ""
    fields = {error.column: error.problem} if error.column else {}
    return Problem(422, f"{error.problem}{advice}", fields)


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
        scores = champion.scorer.score(flatten(part), N_REASONS, champion.book)
        champion.monitor.add(scores.score, scores.high_risk)
        yield part, scores


def _read_csv(
    body: bytes,
    roles: Roles,
    fields: Mapping[str, FieldType],
    limits: Settings,
    options: ReadingOptions,
) -> tuple[pa.Table, Formats]:
    source = Source("the body", ".csv", body)
    texts = [name for name, kind in fields.items() if kind == "category"]
    try:
        names = read_header(source, roles, options)
        needed = _check_columns(names, roles, fields)
        log = read_sources([source], roles, options, texts=texts)
    except OptionNeededError:
        raise
    except (ValueError, *UNREADABLE) as error:
        # What Arrow says may quote the file.
        raise Problem(
            422,
            "the body is not a CSV file with a header and as many values in each row as the "
            "header has",
        ) from error
    _check_size(log.table.num_rows, limits)
    return log.table.select(needed), log.formats


def _read_parquet(
    body: bytes,
    roles: Roles,
    fields: Mapping[str, FieldType],
    limits: Settings,
    options: ReadingOptions,
) -> tuple[pa.Table, Formats]:
    try:
        schema = parquet.read_schema(pa.BufferReader(body))
        needed = _check_columns(schema.names, roles, fields)
        table = as_table(_bounded(body, needed, limits))
    except UNREADABLE as error:
        raise Problem(422, "the body is not a whole Parquet file") from error
    for name in needed:
        try:
            table[name].validate(full=True)
        except pa.ArrowInvalid as error:
            raise not_allowed(name, "must hold whole values, and text in UTF-8") from error
    # Without the metadata that would make an index of some columns.
    return table.replace_schema_metadata(), find_formats(table, roles, options)


def _bounded(body: bytes, needed: list[str], limits: Settings) -> pa.Table:
    """Read columns of a Parquet file that unpack to no more than they may."""
    file = parquet.ParquetFile(pa.BufferReader(body))
    schema = pa.schema([file.schema_arrow.field(name).remove_metadata() for name in needed])
    texts = _flat_columns(schema, needed)
    _check_size(file.metadata.num_rows, limits)
    _check_unpacked(unpacked_bytes(body, file.metadata, needed), limits)
    # Texts as they are stored: one of a dictionary is there once, until it is known how often.
    file = parquet.ParquetFile(pa.BufferReader(body), read_dictionary=texts)
    table = file.read(columns=needed, use_threads=False).select(needed)
    written = 0
    for name in texts:
        if types.is_dictionary(table[name].type):
            for chunk in table[name].chunks:
                lengths = pc.binary_length(chunk.dictionary).take(chunk.indices)
                written += pc.sum(lengths.cast(pa.int64())).as_py() or 0
    _check_unpacked(written, limits)
    return table.cast(
        pa.schema([file.schema_arrow.field(name).remove_metadata() for name in needed])
    )


def _check_unpacked(n_bytes: int, limits: Settings) -> None:
    most = 2 * limits.max_body
    if n_bytes > most:
        raise too_large(f"the columns that are needed may unpack to at most {most:,} bytes")


def _flat_columns(schema: pa.Schema, needed: list[str]) -> list[str]:
    """Refuse columns of lists and structs, and return those that hold texts."""
    for name in needed:
        if types.is_nested(schema.field(name).type):
            raise not_allowed(shown(name), "must hold plain values, no lists and no structs")
    return [name for name in needed if is_text(schema.field(name).type)]


def _check_number(names: list[str]) -> None:
    if len(names) > MOST_COLUMNS:
        raise too_large(f"columns may be at most {MOST_COLUMNS:,} in a file")


def _check_columns(names: list[str], roles: Roles, fields: Mapping[str, FieldType]) -> list[str]:
    """Return the columns that are needed, each of which is there, and once."""
    _check_number(names)
    needed = [*roles.sources(names), *fields]
    if len(set(needed)) < len(needed):
        raise Problem(
            422,
            "customer, time, amount and the further columns that the model uses must be different "
            "columns; one was named twice",
        )
    missing = [name for name in needed if name not in names]
    if missing:
        listed = ", ".join(map(repr, map(shown, missing)))
        raise Problem(
            422,
            f"column(s) {listed} not found: the model needs them, and the first row of a CSV must "
            "be a header; the parameters customer, time and amount say which column is which",
            {shown(name): "is required" for name in missing},
        )
    places: dict[str, int] = {}
    for place, name in enumerate(names, start=1):
        first = places.setdefault(name, place)
        if first < place:
            raise Problem(
                422, f"columns {first} and {place} have the same name; each needs one of its own"
            )
    return needed


def _check_size(n_rows: int, limits: Settings) -> None:
    if n_rows > limits.max_transactions:
        raise too_large(f"transactions may be at most {limits.max_transactions:,} in a file")
    if not n_rows:
        raise Problem(422, "the file holds no transaction; at least one is needed")


def _with_roles(
    table: pa.Table, roles: Roles, options: ReadingOptions, formats: Formats
) -> tuple[pa.Table, Ints, bool]:
    """Check the columns of the roles; return them converted, the times, and if they have a zone."""
    table = with_time(table, roles)
    kind = table[roles.time].type
    ids = _converted("customer", roles.customer, lambda: parse_ids(table[roles.customer], ""))
    times, zones = _converted(
        "time", roles.time, lambda: read_times(table[roles.time], roles.time, options, formats.time)
    )
    amounts = _converted(
        "amount", roles.amount, lambda: read_amounts(table, roles, options, formats)
    )
    converted: dict[str, tuple[str, Parsed]] = {
        "customer": (roles.customer, ids),
        "time": (roles.time, times),
        "amount": (roles.amount, amounts),
    }
    for role, (column, parsed) in converted.items():
        bad = np.flatnonzero(parsed.bad)
        if len(bad):
            raise not_allowed(
                _row(column, bad[0]),
                f"must have {_NEEDS[role]}; {len(bad):,} of {table.num_rows:,} rows have none",
            )
    bound = {column: parsed.converted for column, parsed in converted.values()}
    others = {name: table[name] for name in table.column_names if name not in bound}
    table = pa.table(bound | others)
    if zones.with_ and zones.without:
        raise not_allowed(
            roles.time,
            f"must hold times that all have a zone, or none; {zones.with_:,} have one and "
            f"{zones.without:,} have none",
        )
    moments = microseconds(table[roles.time])
    check_times(moments, lambda row: _row(roles.time, row))
    check_numbers(table[roles.amount].to_numpy(), lambda row: _row(roles.amount, row))
    zoned = zones.with_ > 0 or (types.is_timestamp(kind) and kind.tz is not None)
    return table, moments, zoned


def _converted(role: str, column: str, convert: Callable[[], Any]) -> Any:
    try:
        return convert()
    except OptionNeededError:
        raise
    except (ValueError, pa.ArrowException) as error:
        # What Arrow says may quote a value.
        raise not_allowed(column, _HOLDS[role]) from error


def _check_field(column: pa.ChunkedArray, name: str, kind: FieldType) -> None:
    held = column.type
    if kind == "category":
        held = held.value_type if types.is_dictionary(held) else held
        if not (
            is_text(held) or types.is_boolean(held) or types.is_integer(held) or types.is_null(held)
        ):
            raise not_allowed(name, "must hold text in UTF-8, true or false, or whole numbers")
    elif kind == "date" and (is_text(held) or types.is_temporal(held) or types.is_null(held)):
        dates(whole(column), name, lambda row: _row(name, row))
    elif kind == "number" and (is_number(held) or types.is_null(held)):
        numbers = column.cast(pa.float64(), safe=False).to_numpy()
        check_numbers(numbers, lambda row: _row(name, row))
    elif kind == "date":
        raise not_allowed(name, f"must hold dates, or {MOMENT}")
    else:
        raise not_allowed(name, "must hold numbers")


def _row(column: str, row: int) -> str:
    return f"{column}, row {row + 1}"
