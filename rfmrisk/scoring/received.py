"""Histories of files that somebody sent: a log, with decisions beside it or not, or a plain table.

They are read within limits, and held to more than files of one's own: an error names the file, the
column and the row, and repeats nothing of it. The names of its columns count as values, as they are
the first row of a CSV that has no header; those of the model are known.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
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
from rfmrisk.histories.nesting import to_histories
from rfmrisk.histories.options import RECOGNISED, OptionNeededError, ReadingOptions
from rfmrisk.histories.parquet_pages import read_bounded
from rfmrisk.histories.reading import UNREADABLE, as_frame, read_header, read_sources
from rfmrisk.histories.roles import Formats, Roles, find_formats, with_time
from rfmrisk.histories.segments import Ints
from rfmrisk.histories.sources import BeyondLimitError, Limits, Source
from rfmrisk.histories.tables import read_frame
from rfmrisk.scoring.features import categories_of
from rfmrisk.scoring.model import ScoringModel
from rfmrisk.scoring.new_decisions import columns_of_decisions, decisions_to_score
from rfmrisk.scoring.table_files import read_applications
from rfmrisk.scoring.values import (
    MOMENT,
    InvalidInputError,
    check_numbers,
    check_times,
    dates,
    moments_of_decision,
    not_allowed,
    shown,
)

MOST_COLUMNS = 1_000

_WHICH = "; the parameters customer, time and amount say which column is which"
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


@dataclass(frozen=True)
class ReceivedFile:
    """A file as it came.

    Attributes
    ----------
    content : bytes
    is_parquet : bool
        Whether it is in Parquet, or else a CSV.
    limits : Limits
    part : str, default=""
        What it is called among several: "log" or "decisions".
    """

    content: bytes
    is_parquet: bool
    limits: Limits
    part: str = ""

    @property
    def name(self) -> str:
        """What errors call it."""
        return f"the {self.part or 'body'}"

    @property
    def source(self) -> Source:
        """The file as readers of text take it."""
        return Source(self.name, ".csv", self.content)

    def at(self, column: str, row: int | None = None) -> str:
        """Return the name of a column, or of a row in it."""
        part = f"{self.part}: " if self.part else ""
        return f"{part}{column}" if row is None else f"{part}{column}, row {row + 1}"

    def error(self, problem: str) -> InvalidInputError:
        """Return the error of the whole file."""
        return InvalidInputError(f"{self.name} {problem}")

    def header(self, is_header: Callable[[list[str]], bool], options: ReadingOptions) -> list[str]:
        """Return the names of the columns, of which there are no more than there may be."""
        if self.is_parquet:
            names = parquet.read_schema(pa.BufferReader(self.content)).names
        else:
            names = read_header(self.source, is_header, options)
        if len(names) > MOST_COLUMNS:
            raise BeyondLimitError(f"columns may be at most {MOST_COLUMNS:,} in a file")
        return names

    def read_parquet(self, columns: list[str]) -> pa.Table:
        """Return columns that hold plain and whole values."""
        schema = parquet.read_schema(pa.BufferReader(self.content))
        for name in columns:
            if types.is_nested(schema.field(name).type):
                raise not_allowed(
                    self.at(shown(name)), "must hold plain values, no lists and no structs"
                )
        table = as_table(read_bounded(self.content, columns, self.limits))
        for name in columns:
            try:
                table[name].validate(full=True)
            except pa.ArrowInvalid as error:
                raise not_allowed(
                    self.at(shown(name)), "must hold whole values, and text in UTF-8"
                ) from error
        # Without the metadata that would make an index of some columns.
        return table.replace_schema_metadata()

    def failing(self, error: BaseException) -> InvalidInputError:
        """Return what an error of reading means, without what it says: that may quote the file."""
        if isinstance(error, BeyondLimitError):
            return InvalidInputError(str(error), too_large=True)
        if self.is_parquet:
            return self.error("is not a whole Parquet file")
        return self.error(
            "is not a CSV file with a header and as many values in each row as the header has"
        )


def received_histories(
    model: ScoringModel,
    log: ReceivedFile,
    decisions: ReceivedFile | None = None,
    *,
    roles: Roles,
    options: ReadingOptions = RECOGNISED,
    as_of: str | None = None,
    decision_customer: str | None = None,
    decision_time: str | None = None,
) -> pd.DataFrame:
    """Return the histories of a log, or the applications of a table, that are to be scored.

    Parameters
    ----------
    model : ScoringModel
    log : ReceivedFile
        The log; of a model that was trained on a plain table, such a table.
    decisions : ReceivedFile or None, default=None
        Decisions to score, one line each, with what the model needs of an application.
    roles : Roles
        The columns of the log.
    options : ReadingOptions
        How the files are written.
    as_of : str or None, default=None
        The timestamp of the decision, or of all decisions that have no column of it.
    decision_customer, decision_time : str or None, default=None
        The columns of the decisions; None takes those of the training.

    Returns
    -------
    DataFrame
        As `rfmrisk.histories.to_histories` makes it of the same files.

    Raises
    ------
    InvalidInputError
        Names the file, the column and the row, without a value.
    OptionNeededError
        A file can be read in two ways.
    """
    if model.of_table:
        if decisions is not None:
            raise InvalidInputError(
                "the model was trained on a plain table, and needs no decisions beside it"
            )
        return _read_applications(model, log, options)
    columns = model.scorer.recipe.columns
    if columns and decisions is None:
        listed = ", ".join(map(repr, columns))
        raise InvalidInputError(
            f"the model needs {listed} of each application: POST /predict takes them, and "
            "POST /score-file a second file, of decisions"
        )
    table, times, zoned = _read_log(model, log, roles, options)
    bound: dict[str, Any] = roles.plain
    if decisions is None:
        timestamp = _timestamp(as_of, times, zoned)
        return to_histories(table, **bound, as_of=timestamp)
    asked = _read_decisions(
        model,
        decisions,
        log_customer=roles.customer,
        id_type=table.schema.field(roles.customer).type,
        columns=columns_of_decisions(model, roles.customer, decision_customer, decision_time),
        as_of=_timestamp_of_all(as_of, zoned),
        options=options,
    )
    if asked["as_of"].max() <= np.datetime64(int(times.min()), "us"):
        raise not_allowed(
            decisions.at("as_of"), "must be after the first transaction of the log, of some of them"
        )
    return to_histories(table, **bound, as_of=asked)


def _read_log(
    model: ScoringModel, log: ReceivedFile, roles: Roles, options: ReadingOptions
) -> tuple[pa.Table, Ints, bool]:
    """Return the columns that are needed, checked and converted; the times; if they have zones."""
    fields = dict(model.scorer.recipe.fields)
    if roles.order is not None:  # in a history it is called so, and in the log as it is
        fields[roles.order] = fields.pop("order", "category")
    try:
        needed = _needed(log, log.header(roles.found_in, options), roles, fields)
        if log.is_parquet:
            table = log.read_parquet(needed)
            formats = find_formats(table, roles, options)
        else:
            texts = categories_of(fields)
            read = read_sources([log.source], roles, options, texts=texts, limits=log.limits)
            table, formats = read.table.select(needed), read.formats
    except (OptionNeededError, InvalidInputError):
        raise
    except (ValueError, *UNREADABLE) as error:
        raise log.failing(error) from error
    if not len(table):
        raise log.error("holds no transaction; at least one is needed")
    table, times, zoned = _with_roles(log, table, roles, options, formats)
    for name, dtype in fields.items():
        _check_field(log, table[name], name, dtype)
    return table, times, zoned


def _needed(
    log: ReceivedFile, names: list[str], roles: Roles, fields: Collection[str]
) -> list[str]:
    """Return the columns that are needed, each of which is there, and once."""
    needed = [*roles.sources(names), *fields]
    if len(set(needed)) < len(needed):
        raise InvalidInputError(
            "customer, time, amount and the other columns that the model uses must be different "
            "columns; one was named twice"
        )
    _check_missing(log, names, needed, _WHICH)
    _check_twice(log, names)
    if roles.duplicates == "keep":
        return needed
    try:
        roles.other_columns(names)
    except ValueError as error:
        raise InvalidInputError(str(error)) from error
    return names  # rows that repeat another one do so in all columns


def _check_missing(
    file: ReceivedFile, names: Collection[str], needed: Collection[str], advice: str = ""
) -> None:
    missing = [name for name in needed if name not in names]
    if missing:
        listed = ", ".join(map(repr, map(shown, missing)))
        raise InvalidInputError(
            f"column(s) {listed} not found{f' in {file.name}' if file.part else ''}: the model "
            f"needs them, and the first row of a CSV must be a header{advice}",
            {file.at(shown(name)): "is required" for name in missing},
        )


def _check_twice(file: ReceivedFile, names: list[str]) -> None:
    first: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        if name and first.setdefault(name, number) < number:
            raise InvalidInputError(
                f"columns {first[name]} and {number}{f' of {file.name}' if file.part else ''} have "
                "the same name; each needs one of its own"
            )


def _with_roles(
    log: ReceivedFile, table: pa.Table, roles: Roles, options: ReadingOptions, formats: Formats
) -> tuple[pa.Table, Ints, bool]:
    """Check the columns of the roles; return them converted, the times, and if they have a zone."""
    table = with_time(table, roles)
    dtype = table[roles.time].type
    converted: dict[str, pa.ChunkedArray] = {}
    ids = _converted(log, roles, "customer", lambda: parse_ids(table[roles.customer], ""))
    times, zones = _converted(
        log,
        roles,
        "time",
        lambda: read_times(table[roles.time], roles.time, options, formats.time),
    )
    amounts = _converted(log, roles, "amount", lambda: read_amounts(table, roles, options, formats))
    for role, parsed in (("customer", ids), ("time", times), ("amount", amounts)):
        column = roles.given[role]
        _check_filled(log, column, parsed, role)
        converted[column] = parsed.converted
    others = {name: table[name] for name in table.column_names if name not in converted}
    table = pa.table(converted | others)
    if zones.with_ and zones.without:
        raise not_allowed(
            log.at(roles.time),
            f"must hold times that all have a zone, or none; {zones.with_:,} have one and "
            f"{zones.without:,} have none",
        )
    timestamps = microseconds(table[roles.time])
    check_times(timestamps, lambda row: log.at(roles.time, row))
    check_numbers(table[roles.amount].to_numpy(), lambda row: log.at(roles.amount, row))
    zoned = zones.with_ > 0 or (types.is_timestamp(dtype) and dtype.tz is not None)
    return table, timestamps, zoned


def _converted(file: ReceivedFile, roles: Roles, role: str, convert: Callable[[], Any]) -> Any:
    try:
        return convert()
    except OptionNeededError:
        raise
    except (ValueError, pa.ArrowException) as error:
        # What Arrow says may quote a value.
        raise not_allowed(file.at(roles.given[role]), _HOLDS[role]) from error


def _check_filled(file: ReceivedFile, column: str, parsed: Parsed, role: str) -> None:
    bad = np.flatnonzero(parsed.bad)
    if len(bad):
        raise not_allowed(
            file.at(column, int(bad[0])),
            f"must have {_NEEDS[role]}; {len(bad):,} of {len(parsed.bad):,} rows have none",
        )


def _check_field(file: ReceivedFile, column: pa.ChunkedArray, name: str, dtype: FieldType) -> None:
    held = column.type
    if dtype == "category":
        held = held.value_type if types.is_dictionary(held) else held
        if not (
            is_text(held) or types.is_boolean(held) or types.is_integer(held) or types.is_null(held)
        ):
            raise not_allowed(
                file.at(name), "must hold text in UTF-8, true or false, or whole numbers"
            )
    elif dtype == "date" and (is_text(held) or types.is_temporal(held) or types.is_null(held)):
        dates(whole(column), name, lambda row: file.at(name, row))
    elif dtype == "number" and (is_number(held) or types.is_null(held)):
        numbers = column.cast(pa.float64(), safe=False).to_numpy()
        check_numbers(numbers, lambda row: file.at(name, row))
    else:
        allowed = f"must hold dates, or {MOMENT}" if dtype == "date" else "must hold numbers"
        raise not_allowed(file.at(name), allowed)


def _timestamp(text: str | None, times: Ints, zoned: bool) -> np.datetime64 | None:
    as_of = _timestamp_of_all(text, zoned)
    if as_of is not None and as_of <= np.datetime64(int(times.min()), "us"):
        raise not_allowed("as_of", "must be after the first transaction of the log")
    return as_of


def _timestamp_of_all(text: str | None, zoned: bool) -> np.datetime64 | None:
    if not text:
        return None
    if "T" in text and " " in text:
        raise not_allowed("as_of", "must have no space after the T; a + in a query is written %2B")
    return np.datetime64(int(moments_of_decision([text], lambda _: "as_of", zoned)[0]), "us")


def _read_decisions(
    model: ScoringModel,
    file: ReceivedFile,
    *,
    log_customer: str,
    id_type: pa.DataType,
    columns: tuple[str, str],
    as_of: np.datetime64 | None,
    options: ReadingOptions,
) -> pd.DataFrame:
    """Return decisions as `to_histories` takes them, checked against those of the training."""
    customer, time = columns
    frame = _read_table(
        model, file, [customer], options, ids=customer, ids_are_text=is_text(id_type), time=time
    )
    if as_of is not None and time in frame:
        raise not_allowed("as_of", "must be left out, as the decisions have times of their own")
    _check_missing(file, [*map(str, frame)], [customer] if as_of is not None else [customer, time])
    _check_applications(model, file, frame, {customer, time})
    try:
        ids = parse_ids(arrow_column(frame[customer]), "")
    except ValueError as error:
        raise not_allowed(file.at(customer), _HOLDS["customer"]) from error
    _check_filled(file, customer, ids, "customer")
    if ids.converted.type != id_type:
        what = "text" if is_text(id_type) else "whole numbers"
        raise not_allowed(file.at(customer), f"must hold ids as those of the log are: {what}")
    if as_of is None:
        try:
            times, zones = read_times(arrow_column(frame[time]), time, options)
        except OptionNeededError:
            raise
        except ValueError as error:
            raise not_allowed(file.at(time), _HOLDS["time"]) from error
        _check_filled(file, time, times, "time")
        if zones.with_ and zones.without:
            raise not_allowed(file.at(time), "must hold times that all have a zone, or none")
        check_times(microseconds(times.converted), lambda row: file.at(time, row))
        frame = frame.assign(**{time: times.converted.to_pandas().to_numpy()})
    try:
        return decisions_to_score(
            model, frame, log_customer, id_type=id_type, customer=customer, time=time, as_of=as_of
        )
    except ValueError as error:  # what it says may quote a value
        raise file.error(_as_trained(model)) from error


def _read_applications(
    model: ScoringModel, file: ReceivedFile, options: ReadingOptions
) -> pd.DataFrame:
    """Return the applications of a plain table, for a model that was trained on one."""
    own = model.metadata.decision_roles
    ids, time = own.get("customer"), own.get("time")
    frame = _read_table(model, file, [], options, ids=ids, time=time)
    _check_applications(model, file, frame, {"as_of", *own.values()})
    try:
        return read_applications(model, frame)
    except ValueError as error:  # what it says may quote a value
        raise file.error(_as_trained(model)) from error


def _read_table(
    model: ScoringModel,
    file: ReceivedFile,
    needed: list[str],
    options: ReadingOptions,
    **reading: Any,
) -> pd.DataFrame:
    """Return a table that is no log, with the types that it had in training."""
    try:
        names = file.header(lambda names: bool(needed) and {*needed} <= {*names}, options)
        _check_twice(file, names)
        if file.is_parquet:
            frame = as_frame(file.read_parquet(names))
        else:
            _check_missing(file, names, needed)
            texts = categories_of(model.scorer.recipe.columns)
            frame = read_frame(
                file.source,
                file.name,
                needed,
                texts=texts,
                options=options,
                limits=file.limits,
                **reading,
            )
    except (OptionNeededError, InvalidInputError):
        raise
    except (ValueError, *UNREADABLE) as error:
        raise file.failing(error) from error
    if not len(frame):
        raise file.error("holds no application; at least one is needed")
    return frame


def _check_applications(
    model: ScoringModel, file: ReceivedFile, frame: pd.DataFrame, others: set[str]
) -> None:
    """Refuse columns that are missing, unknown, or of another type than in training."""
    columns = model.scorer.recipe.columns
    _check_missing(file, [*map(str, frame)], columns)
    known = {*model.scorer.known_columns, *model.metadata.decision_roles.values(), *others}
    for number, name in enumerate(frame.columns, start=1):
        if name not in known:
            raise not_allowed(
                file.at(f"column {number}"), "is none that the training had; leave it out"
            )
    for name, dtype in columns.items():
        _check_field(file, arrow_column(frame[name]), name, dtype)


def _as_trained(model: ScoringModel) -> str:
    return f"must hold what it held in the training: {dict(model.scorer.recipe.columns)}"
