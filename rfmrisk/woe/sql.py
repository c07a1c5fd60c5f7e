"""Write a scorecard as one SELECT that gives the same points in a database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rfmrisk.woe.bins import missing_bin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rfmrisk.woe.bins import ColumnBins

# How each dialect says that a number is missing: NULL, and NaN where it has one.
MISSING = {
    "duckdb": "{column} IS NULL OR isnan(CAST({column} AS DOUBLE))",
    "postgresql": "{column} IS NULL OR CAST({column} AS double precision) = 'NaN'",
    "sqlite": "{column} IS NULL",
}


def score_sql(
    columns: Sequence[tuple[str, ColumnBins, Sequence[float]]],
    base: float,
    *,
    dialect: str,
    table: str,
    key: Sequence[str],
    unseen_is_null: bool,
) -> str:
    """Write the SELECT.

    Parameters
    ----------
    columns : sequence of (str, ColumnBins, points)
        Name, bins, and the points of each bin, missing and unseen included.
    base : float
        The base points.
    dialect : {"duckdb", "postgresql", "sqlite"}
        The database.
    table : str
        Name of the table.
    key : sequence of str
        Columns to select beside the score.
    unseen_is_null : bool
        Whether an unseen level has no score at all.

    Returns
    -------
    str
        Column names are quoted, and text is escaped.

    Raises
    ------
    ValueError
        If the dialect is not known.
    """
    if dialect not in MISSING:
        raise ValueError(f"dialect must be one of {', '.join(MISSING)}; got {dialect!r}.")
    terms = [_literal(base)]
    for name, column, points in columns:
        cases = (_numeric_cases if column["kind"] == "numeric" else _level_cases)(
            quoted(name), column, points, dialect, unseen_is_null
        )
        terms.append("CASE\n" + "".join(f"      {case}\n" for case in cases) + "    END")
    keys = "".join(f"  {quoted(name)},\n" for name in key)
    score = "\n    + ".join(terms)
    return f"SELECT\n{keys}  {score} AS score\nFROM {quoted(table)}"


def quoted(name: str) -> str:
    """Quote an identifier."""
    return '"' + name.replace('"', '""') + '"'


def _text(level: str) -> str:
    return "'" + level.replace("'", "''") + "'"


def _literal(points: float) -> str:
    return str(points) if isinstance(points, int) else _float(points)


def _float(number: float) -> str:
    """Write a number so that every database reads a double: DuckDB takes 0.1 for a decimal."""
    text = repr(float(number))
    return text if "e" in text else text + "e0"


def _numeric_cases(
    column: str, bins: ColumnBins, points: Sequence[float], dialect: str, _: bool
) -> list[str]:
    missing = MISSING[dialect].format(column=column)
    cases = [f"WHEN {missing} THEN {_literal(points[missing_bin(bins)])}"]
    for k, group in enumerate(bins["special"], start=bins["n_bins"]):
        codes = ", ".join(map(_float, group))
        cases.append(f"WHEN {column} IN ({codes}) THEN {_literal(points[k])}")
    for cut, worth in zip(bins["cuts"].tolist(), points, strict=False):
        cases.append(f"WHEN {column} < {_float(cut)} THEN {_literal(worth)}")
    return [*cases, f"ELSE {_literal(points[bins['n_bins'] - 1])}"]


def _level_cases(
    column: str, bins: ColumnBins, points: Sequence[float], _: str, unseen_is_null: bool
) -> list[str]:
    missing = missing_bin(bins)
    cases = [f"WHEN {column} IS NULL THEN {_literal(points[missing])}"]
    text = f"CAST({column} AS TEXT)"
    spellings = {level: [level] for level in bins["levels"]}
    if bins["levels"] and set(bins["levels"]) <= {"True", "False"}:
        # A boolean is text of the database's own spelling, or 0 and 1 in SQLite.
        text = f"LOWER({text})"
        spellings = {"True": ["true", "1", "t"], "False": ["false", "0", "f"]}
    for k in range(missing):
        levels = sorted(level for level, b in bins["levels"].items() if b == k)
        if levels:
            known = ", ".join(_text(word) for level in levels for word in spellings[level])
            cases.append(f"WHEN {text} IN ({known}) THEN {_literal(points[k])}")
    unseen = "NULL" if unseen_is_null else _literal(points[missing + 1])
    return [*cases, f"ELSE {unseen}"]
