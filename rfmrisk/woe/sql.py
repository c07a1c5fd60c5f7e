"""Write a scorecard as one SELECT that gives the same points in a database.

An inner SELECT reads each column as a number or as text, whatever type the database keeps it in,
and the outer one looks the points up. What is no number where one is needed stops the statement.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rfmrisk.woe.bins import missing_bin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rfmrisk.woe.bins import ColumnBins


@dataclass(frozen=True)
class Dialect:
    """How a database says what differs, with ``{x}`` for a column and ``{v}`` for its value.

    Attributes
    ----------
    number : str
        The column as a double; an error where it holds other text.
    text : str
        The column as text.
    number_of_text : str
        The number that a column holds as a category, NULL where it holds none.
    is_nan, is_infinite : str
        Tests of a double.
    refuse : str
        An expression that stops the statement when a row is infinite.
    collation : str
        The collation that tells all texts apart, whatever that of the column.
    system_columns : tuple of str
        Columns that every table has without having been given them.
    double : str
        The number ``{n}`` as a double.
    """

    number: str
    text: str
    number_of_text: str
    is_nan: str
    is_infinite: str
    refuse: str
    collation: str
    system_columns: tuple[str, ...]
    double: str = "{n}"


DIALECTS = {
    "duckdb": Dialect(
        number="CAST({x} AS DOUBLE)",
        text="CAST({x} AS VARCHAR)",
        number_of_text="TRY_CAST({x} AS DOUBLE)",
        is_nan="isnan({v})",
        is_infinite="isinf({v})",
        refuse="CAST('infinite: ' || {v} AS INTEGER)",
        collation='"binary"',
        system_columns=("rowid",),
    ),
    "postgresql": Dialect(
        number="CAST({x} AS double precision)",
        text="CAST({x} AS text)",
        number_of_text=(
            r"CASE WHEN CAST({x} AS text) ~ '^-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?$' "
            "THEN CAST(CAST({x} AS text) AS double precision) END"
        ),
        is_nan="{v} = 'NaN'",
        is_infinite="{v} IN ('Infinity', '-Infinity')",
        refuse="CAST('infinite: ' || {v} AS integer)",
        collation='"C"',
        system_columns=("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"),
        double="CAST({n} AS double precision)",
    ),
    # SQLite takes text that is no number for 0; JSON does not.
    "sqlite": Dialect(
        number=(
            "CAST(CASE WHEN typeof({x}) IN ('integer', 'real') THEN {x} "
            "ELSE json_extract('{{\"v\":' || {x} || '}}', '$.v') END AS REAL)"
        ),
        text="CAST({x} AS TEXT)",
        number_of_text=(
            "CASE WHEN typeof({x}) IN ('integer', 'real') OR "
            "{x} IN (CAST(CAST({x} AS REAL) AS TEXT), CAST(CAST({x} AS INTEGER) AS TEXT)) "
            "THEN CAST({x} AS REAL) END"
        ),
        is_nan="FALSE",
        is_infinite="{v} IN (9e999, -9e999)",
        refuse="json_extract('infinite: ' || {v}, '$')",
        collation="BINARY",
        system_columns=("rowid", "oid", "_rowid_"),
    ),
}
_EXACT = 2**53  # beyond it neighbouring whole numbers are one double
_DEEP = 400  # databases refuse expressions that are nested a thousand deep


def score_sql(
    columns: Sequence[tuple[str, ColumnBins, Sequence[float]]],
    base: float,
    *,
    dialect: str,
    table: str,
    key: Sequence[str],
    names: Sequence[str],
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
        Name of the table, with that of its schema before a dot where it has one.
    key : sequence of str
        Columns to select beside the score.
    names : sequence of str
        All columns that the scorecard was fitted on.
    unseen_is_null : bool
        Whether an unseen level has no score at all.

    Returns
    -------
    str
        Column names are quoted and qualified, and text is escaped.

    Raises
    ------
    ValueError
        If the dialect or the table is none, or the database would take the name of a column for
        that of another.
    """
    if dialect not in DIALECTS:
        raise ValueError(f"dialect must be one of {', '.join(DIALECTS)}; got {dialect!r}")
    says = DIALECTS[dialect]
    if "score" in key:
        raise ValueError("key must not hold 'score', which is the name of the result")
    _check_names([*names, *key], [*(name for name, *_ in columns), *key], dialect)
    read = [f"c.{quoted(name)} AS k{place}" for place, name in enumerate(key)]
    terms = [_literal(base, says)]
    for place, (name, bins, points) in enumerate(columns):
        worth = [_literal(each, says) for each in points]
        if unseen_is_null:
            worth[missing_bin(bins) + 1] = "NULL"
        cases_of = _number_cases if bins["kind"] == "numeric" else _category_cases
        values, cases = cases_of(f"c.{quoted(name)}", place, bins, worth, says)
        read += values
        terms.append("CASE\n" + "".join(f"      {case}\n" for case in cases) + "    END")
    keys = "".join(f"  v.k{place} AS {quoted(name)},\n" for place, name in enumerate(key))
    inner = ",\n    ".join(read) or "1 AS k0"
    return (
        f"SELECT\n{keys}  {_sum(terms)} AS score\nFROM (\n  SELECT\n    {inner}\n"
        f"  FROM {_table(table)} AS c\n) AS v"
    )


def quoted(name: str) -> str:
    """Quote an identifier."""
    return '"' + name.replace('"', '""') + '"'


def _check_names(names: Sequence[str], used: Sequence[str], dialect: str) -> None:
    """Refuse names that the database would take for those of other columns."""
    for name in used:
        if name.lower() in DIALECTS[dialect].system_columns:
            raise ValueError(
                f"every table of {dialect} has a column {name!r} of its own, so that a missing one "
                "would not be noticed; rename the column before fitting"
            )

    def seen(name: str) -> str | bytes:
        return name.encode()[:63] if dialect == "postgresql" else name.casefold()

    unique = list(dict.fromkeys(names))
    times = Counter(map(seen, unique))
    same = [name for name in unique if times[seen(name)] > 1]
    if same:
        why = "before byte 64" if dialect == "postgresql" else "but by upper and lower case"
        raise ValueError(
            f"{dialect} takes the columns {', '.join(map(repr, same))} for one, since they do not "
            f"differ {why}; rename them before fitting"
        )


def _table(name: str) -> str:
    """Quote the name of a table and its schema; a part in double quotes may hold dots."""
    part = r'"(?:[^"]|"")+"|[^".][^.]*'
    if not re.fullmatch(rf"(?:{part})(?:[.](?:{part}))*", name):
        raise ValueError(
            "table must be a name, or names with dots between, of which one with a dot in it "
            f"stands in double quotes; got {name!r}"
        )
    parts = re.findall(part, name)
    return ".".join(part if part.startswith('"') else quoted(part) for part in parts)


def _sum(terms: list[str]) -> str:
    """Add terms one after another, as Python does, or in halves where they are too many."""
    if len(terms) <= _DEEP:
        return "\n    + ".join(terms)
    half = len(terms) // 2
    return f"({_sum(terms[:half])})\n    + ({_sum(terms[half:])})"


def _text(level: str) -> str:
    return "'" + level.replace("'", "''") + "'"


def _literal(points: float, says: Dialect) -> str:
    return str(points) if isinstance(points, int) else says.double.format(n=_float(points))


def _float(number: float) -> str:
    """Write a number so that every database reads a double: DuckDB takes 0.1 for a decimal."""
    text = repr(float(number))
    return text if "e" in text else text + "e0"


def _number_cases(
    column: str, place: int, bins: ColumnBins, worth: list[str], says: Dialect
) -> tuple[list[str], list[str]]:
    value = f"v.x{place}"
    missing = f"{value} IS NULL OR {says.is_nan.format(v=value)}"
    cases = [
        f"WHEN {missing} THEN {worth[missing_bin(bins)]}",
        f"WHEN {says.is_infinite.format(v=value)} THEN {says.refuse.format(v=value)}",
    ]
    for k, group in enumerate(bins["special"], start=bins["n_bins"]):
        codes = ", ".join(map(_float, group))
        cases.append(f"WHEN {value} IN ({codes}) THEN {worth[k]}")
    for cut, below in zip(bins["cuts"].tolist(), worth, strict=False):
        cases.append(f"WHEN {value} < {_float(cut)} THEN {below}")
    cases.append(f"ELSE {worth[bins['n_bins'] - 1]}")
    return [f"{says.number.format(x=column)} AS x{place}"], cases


def _category_cases(
    column: str, place: int, bins: ColumnBins, worth: list[str], says: Dialect
) -> tuple[list[str], list[str]]:
    """Match the text of a category, and its number where it is one: 1, 1.0 and '1.0' are 1."""
    read = [f"{says.text.format(x=column)} AS x{place}"]
    text, number = f"v.x{place}", f"v.n{place}"
    by_bin: list[list[str]] = [[] for _ in range(missing_bin(bins))]
    for level, k in bins["levels"].items():
        by_bin[k].append(level)
    of_numbers = _numbers_of(bins)
    missing = f"{text} IS NULL"
    exact = f"{text} COLLATE {says.collation}"
    spellings = {level: [level] for level in bins["levels"]}
    if bins["levels"] and set(bins["levels"]) <= {"True", "False"}:
        # A boolean is text of the database's own spelling, or the number 1 or 0.
        exact = f"LOWER({text})"
        spellings = {"True": ["true", "t"], "False": ["false", "f"]}
        of_numbers = {"True": 1.0, "False": 0.0}
    if of_numbers:
        read.append(f"{says.number_of_text.format(x=column)} AS n{place}")
        missing += f" OR LOWER({text}) = 'nan'"
    cases = [f"WHEN {missing} THEN {worth[missing_bin(bins)]}"]
    for k, levels in enumerate(by_bin):
        words = [_text(word) for level in sorted(levels) for word in spellings[level]]
        if words:
            cases.append(f"WHEN {exact} IN ({', '.join(words)}) THEN {worth[k]}")
    for k, levels in enumerate(by_bin):
        codes = sorted({of_numbers[level] for level in levels if level in of_numbers})
        if codes:
            among = ", ".join(map(_float, codes))
            cases.append(f"WHEN {number} IN ({among}) THEN {worth[k]}")
    return read, [*cases, f"ELSE {worth[missing_bin(bins) + 1]}"]


def _numbers_of(bins: ColumnBins) -> dict[str, float]:
    """Return the categories that are numbers, each of another value and exact as a double."""
    found: dict[str, float] = {}
    for level in bins["levels"]:
        try:
            number = float(level)
        except ValueError:
            continue
        digits = level.lstrip("-").isdecimal()
        if abs(number) < (_EXACT if digits else float("inf")) and "_" not in level:
            found[level] = number
    values = list(found.values())
    return {level: number for level, number in found.items() if values.count(number) == 1}
