"""Score a whole log that comes as one file."""

import csv
import io
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from rfmrisk._columns import Parsed, check_columns, is_number, parse_amounts, parse_ids, parse_times
from rfmrisk._files import read_table
from rfmrisk._nested import flatten
from rfmrisk.histories import AMOUNT, CUSTOMER, TIME, to_histories
from rfmrisk.serving.bodies import Kind
from rfmrisk.serving.champion import Champion
from rfmrisk.serving.problems import Problem, not_allowed, too_large
from rfmrisk.serving.reasons import N_REASONS
from rfmrisk.serving.scorer import Scores

CSV_TYPE = "text/csv"
PARQUET_TYPE = "application/vnd.apache.parquet"
COLUMNS = ["customer", "as_of", "probability", "score", "is_high_risk"]

# Customers whose answers are made and sent at once.
BATCH = 1_000

_NEEDS = {
    "customer": "an id",
    "time": "a readable time (ISO-8601, such as 2018-11-15T02:18:49Z)",
    "amount": "a finite number",
}


def read_log(
    champion: Champion, body: bytes, media_type: str, given: dict[str, str]
) -> pd.DataFrame:
    """Return the histories of a CSV or Parquet log.

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
    DataFrame of shape (n_customers, 2)

    Raises
    ------
    Problem
        Says what is wrong by column and row, without a value.
    """
    trained = champion.model.facts.get("roles") or {}
    usual = {"customer": CUSTOMER, "time": TIME, "amount": AMOUNT}
    roles = {role: given.get(role) or trained.get(role) or usual[role] for role in usual}
    table = _read(body, media_type, roles)
    limits = champion.reader.settings
    if table.num_rows > limits.max_transactions:
        raise too_large(f"transactions may be at most {limits.max_transactions:,} in a file")
    _check_rows(table, roles)
    _check_fields(table, champion.reader.fields)
    try:
        table = table.select([*roles.values(), *champion.reader.fields])
        return to_histories(
            table,
            customer=roles["customer"],
            time=roles["time"],
            amount=roles["amount"],
            as_of=given.get("as_of") or None,
        )
    except ValueError as error:
        raise Problem(422, f"the log cannot be scored: {error}") from error


def score_batches(
    champion: Champion, histories: pd.DataFrame
) -> Iterator[tuple[pd.DataFrame, Scores]]:
    """Score histories, some customers at a time."""
    for start in range(0, len(histories), BATCH):
        part = histories.iloc[start : start + BATCH]
        scores = champion.scorer.score(flatten(part))
        champion.monitor.add(scores.score, scores.high_risk)
        yield part, scores


def as_csv(batches: Iterator[tuple[pd.DataFrame, Scores]]) -> Iterator[str]:
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


def _read(body: bytes, media_type: str, roles: dict[str, str]) -> pa.Table:
    ending = "csv" if media_type == CSV_TYPE else "parquet"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"log.{ending}"
        path.write_bytes(body)
        try:
            table = read_table(path, **roles)
            check_columns(table.column_names, list(roles.values()))
        except (ValueError, OverflowError) as error:
            detail = str(error).removeprefix(f"{str(path)!r} ")
            if isinstance(error.__cause__, pa.ArrowException | OSError | UnicodeDecodeError):
                # What Arrow says may quote the file.
                detail = f"the file is no whole {ending} file in UTF-8"
            raise Problem(422, detail) from error
    if not table.num_rows:
        raise Problem(422, "the file holds no transaction; at least one is needed")
    return table


def _check_rows(table: pa.Table, roles: dict[str, str]) -> None:
    parse = {"customer": parse_ids, "time": parse_times, "amount": parse_amounts}
    for role, column in roles.items():
        try:
            parsed: Parsed = parse[role](table[column], column)
        except ValueError as error:
            raise not_allowed(column, f"cannot be the {role}: {error}") from error
        bad = np.flatnonzero(parsed.bad)
        if len(bad):
            raise not_allowed(
                f"{column}, row {bad[0] + 1}",
                f"must have {_NEEDS[role]}; {len(bad):,} of {table.num_rows:,} rows have none",
            )


def _check_fields(table: pa.Table, fields: Mapping[str, Kind]) -> None:
    missing = sorted(set(fields) - set(table.column_names))
    if missing:
        raise Problem(422, f"the model needs the column(s) {', '.join(missing)} as well")
    for name, kind in fields.items():
        held = table.schema.field(name).type
        if pa.types.is_dictionary(held):
            held = held.value_type
        numeric = is_number(held) or pa.types.is_null(held)
        if kind == "level" and (pa.types.is_floating(held) or pa.types.is_decimal(held)):
            raise not_allowed(name, "must hold text, true or false, or whole numbers")
        if kind == "number" and not numeric:
            raise not_allowed(name, "must hold numbers")
        if pa.types.is_floating(held) and pc.any(pc.is_inf(table[name])).as_py():
            raise not_allowed(name, "must hold finite numbers")
