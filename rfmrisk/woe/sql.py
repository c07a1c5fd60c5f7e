"""Write a scorecard as one SELECT that gives the same points in a database.

The innermost SELECT reads each column as a number or as text, whatever type the database keeps
it in, the next one writes each category in one way, and the outer one looks the points up. What
is no number where one is needed stops the statement.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rfmrisk.woe.bins import missing_bin
from rfmrisk.woe.categories import (
    FALSE,
    NUMBER,
    TRUE,
    are_truth_values,
    bins_of_codes,
    code,
)

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
    is_nan, is_infinite : str
        Tests of a double.
    refuse : str
        An expression that stops the statement when a row is infinite.
    collation : str
        The collation under which all texts differ, whatever that of the column.
    system_columns : tuple of str
        Columns that every table has without having been given them.
    double : str
        The number ``{n}`` as a double.
    """

    number: str
    is_nan: str
    is_infinite: str
    refuse: str
    collation: str
    system_columns: tuple[str, ...]
    double: str = "{n}"


DIALECTS = {
    "duckdb": Dialect(
        number="CAST({x} AS DOUBLE)",
        is_nan="isnan({v})",
        is_infinite="isinf({v})",
        refuse="CAST('infinite: ' || {v} AS INTEGER)",
        collation='"binary"',
        system_columns=("rowid",),
    ),
    "postgresql": Dialect(
        number="CAST({x} AS double precision)",
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
        is_nan="FALSE",
        is_infinite="{v} IN (9e999, -9e999)",
        refuse="json_extract('infinite: ' || {v}, '$')",
        collation="BINARY",
        system_columns=("rowid", "oid", "_rowid_"),
    ),
}
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
    grades: tuple[Sequence[float], Sequence[str]] | None = None,
    n_reasons: int = 0,
    reference: Sequence[float] = (),
    codes: Sequence[str] = (),
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
    grades : pair of sequences or None, default=None
        Ascending scores at which grades begin, and the names of the grades, one more.
    n_reasons : int, default=0
        How many codes of reasons to select.
    reference : sequence of float
        The points of each column that reasons are measured against.
    codes : sequence of str
        The code of each column.

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
    reasons = [f"reason_{k + 1}" for k in range(n_reasons)]
    for result in ["score", *(["grade"] if grades else []), *reasons]:
        if result in key:
            raise ValueError(f"key must not hold {result!r}, which is the name of the result")
    _check_names([*names, *key], [*(name for name, *_ in columns), *key], dialect)
    read = [f"c.{quoted(name)} AS k{place}" for place, name in enumerate(key)]
    seen = [f"r.k{place}" for place in range(len(key))]
    terms = [_literal(base, says)]
    for place, (name, bins, points) in enumerate(columns):
        worth = [_literal(each, says) for each in points]
        if unseen_is_null:
            worth[missing_bin(bins) + 1] = "NULL"
        column = f"c.{quoted(name)}"
        if bins["kind"] == "numeric":
            read.append(f"{says.number.format(x=column)} AS x{place}")
            seen.append(f"r.x{place}")
            cases = _number_cases(f"v.x{place}", bins, worth, says)
        else:
            read.append(f"{_text_of(column, bins, dialect)} AS x{place}")
            seen.append(f"{_code_of(f'r.x{place}', bins, dialect)} AS x{place}")
            if _ambiguous(bins):
                seen.append(f"r.x{place} AS e{place}")
            cases = _category_cases(place, bins, worth, says)
        terms.append("CASE\n" + "".join(f"      {case}\n" for case in cases) + "    END")
    keys = "".join(f"  v.k{place} AS {quoted(name)},\n" for place, name in enumerate(key))
    source = (
        f"FROM (\n  SELECT\n    {_list(seen)}\n"
        f"  FROM (\n    SELECT\n    {_list(read)}\n    FROM {_table(table)} AS c\n  ) AS r\n) AS v"
    )
    scored = f"SELECT\n{keys}  {_sum(terms)} AS score\n{source}"
    if n_reasons and columns:
        scored = _with_reasons(terms, source, key, n_reasons, reference, codes, says)
    if grades is None:
        return scored
    edges, grade_names = grades
    bands = "".join(
        f"    WHEN s.score < {_literal(float(edge), says)} THEN {_text(name)}\n"
        for edge, name in zip(edges, grade_names, strict=False)
    )
    grade = (
        f"CASE\n    WHEN s.score IS NULL THEN NULL\n{bands}    ELSE {_text(grade_names[-1])}\n  END"
    )
    return f"SELECT\n  s.*,\n  {grade} AS grade\nFROM (\n{scored}\n) AS s"


def _with_reasons(  # noqa: PLR0917 (what was written so far, and what reasons are made of)
    terms: list[str],
    source: str,
    key: Sequence[str],
    n_reasons: int,
    reference: Sequence[float],
    codes: Sequence[str],
    says: Dialect,
) -> str:
    """Write the SELECT of the score and of the codes of the features that cost most points.

    A feature's rank is the number of features that cost more, or as much and stand before it.
    """
    n = len(codes)
    keys = [f"v.k{place} AS k{place}" for place in range(len(key))]
    points = [*keys, *(f"{term} AS p{place}" for place, term in enumerate(terms[1:]))]
    lost = [
        f"{_literal(best, says)} - w.p{place} AS l{place}" for place, best in enumerate(reference)
    ]
    total = _sum([terms[0], *(f"w.p{place}" for place in range(n))])
    costs = [*(f"w.k{place}" for place in range(len(key))), f"{total} AS score", *lost]
    ranks = []
    for place in range(n):
        before = [f"CASE WHEN x.l{other} >= x.l{place} THEN 1 ELSE 0 END" for other in range(place)]
        after = [
            f"CASE WHEN x.l{other} > x.l{place} THEN 1 ELSE 0 END" for other in range(place + 1, n)
        ]
        ranks.append(f"{' + '.join(before + after) or '0'} AS r{place}")
    names = [f"z.k{place} AS {quoted(name)}" for place, name in enumerate(key)]
    found = [
        "CASE "
        + " ".join(
            f"WHEN z.r{place} = {rank} AND z.l{place} > 0 THEN {_text(code)}"
            for place, code in enumerate(codes)
        )
        + f" END AS reason_{rank + 1}"
        for rank in range(n_reasons)
    ]
    return (
        f"SELECT\n    {_list([*names, 'z.score AS score', *found])}\nFROM (\n  SELECT\n    "
        f"{_list(['x.*', *ranks])}\n  FROM (\n    SELECT\n    {_list(costs)}\n    FROM (\n"
        f"    SELECT\n    {_list(points)}\n    {source}\n    ) AS w\n  ) AS x\n) AS z"
    )


def _list(expressions: list[str]) -> str:
    return ",\n    ".join(expressions or ["1 AS one"])


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


def _texts(levels: Sequence[str]) -> str:
    return ", ".join(map(_text, sorted(levels)))


def _literal(points: float, says: Dialect) -> str:
    return str(points) if isinstance(points, int) else says.double.format(n=_float(points))


def _float(number: float) -> str:
    """Write a number so that every database reads a double: DuckDB takes 0.1 for a decimal."""
    text = repr(float(number))
    return text if "e" in text else text + "e0"


def _number_cases(value: str, bins: ColumnBins, worth: list[str], says: Dialect) -> list[str]:
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
    return [*cases, f"ELSE {worth[bins['n_bins'] - 1]}"]


def _text_of(column: str, bins: ColumnBins, dialect: str) -> str:
    """Return a column as the text of its category, whatever its type; NULL where missing."""
    if dialect == "sqlite":
        # Its text of a double has 15 digits; those whose text in Python is no whole number go
        # by their value.
        texts = "".join(
            f" WHEN {column} = {_float(float(level))} THEN {_text(level)}"
            for level in bins["levels"]
            if _is_double(level) and ("e" in level or not float(level).is_integer())
        )
        return (
            f"CASE WHEN typeof({column}) <> 'real' THEN CAST({column} AS TEXT){texts}"
            f" WHEN {column} = CAST({column} AS INTEGER)"
            f" THEN CAST(CAST({column} AS INTEGER) AS TEXT)"
            f" ELSE CAST({column} AS TEXT) END"
        )
    if dialect == "duckdb":
        text, dtype = f"CAST({column} AS VARCHAR)", f"typeof({column})"
        double = f"CAST(CAST(TRY_CAST({text} AS FLOAT) AS DOUBLE) AS VARCHAR)"
        return (
            f"CASE WHEN {dtype} IN ('FLOAT', 'DOUBLE') AND {text} = 'nan' THEN NULL"
            f" WHEN {dtype} = 'FLOAT' THEN {double} ELSE {text} END"
        )
    text, dtype = f"CAST({column} AS text)", f"CAST(pg_typeof({column}) AS text)"
    double = f"CAST(CAST(CAST({text} AS real) AS double precision) AS text)"
    return (
        f"CASE WHEN {dtype} IN ('real', 'double precision', 'numeric') AND {text} = 'NaN' THEN NULL"
        f" WHEN {dtype} = 'real' THEN {double} ELSE {text} END"
    )


def _is_double(level: str) -> bool:
    try:
        number = float(level)
    except ValueError:
        return False
    return math.isfinite(number) and repr(number) == level


def _code_of(text: str, bins: ColumnBins, dialect: str) -> str:
    """Return the code of a category, as `rfmrisk.woe.categories.code` does in Python."""
    trimmed = f"RTRIM({text}, ' ')"
    number = {
        "duckdb": f"regexp_full_match({trimmed}, '{NUMBER}')",
        "postgresql": f"{trimmed} ~ '^({NUMBER})$'",
        # One dot, digits alone around it, and no zero that leads.
        "sqlite": (
            f"{trimmed} GLOB '*[0-9].[0-9]*' AND LTRIM({trimmed}, '-') NOT GLOB '*[^0-9.]*'"
            f" AND LTRIM({trimmed}, '-') NOT GLOB '*.*.*'"
            f" AND LTRIM({trimmed}, '-') NOT GLOB '0[0-9]*' AND {trimmed} NOT GLOB '--*'"
        ),
    }[dialect]
    plain = f"RTRIM(RTRIM({trimmed}, '0'), '.')"
    found = (
        f"CASE WHEN {number} THEN CASE WHEN {plain} = '-0' THEN '0' ELSE {plain} END"
        f" ELSE {trimmed} END"
    )
    if are_truth_values(bins["levels"]):
        found = (
            f"CASE WHEN LOWER({found}) IN ({_texts(TRUE)}) THEN '1'"
            f" WHEN LOWER({found}) IN ({_texts(FALSE)}) THEN '0' ELSE {found} END"
        )
    return found


def _ambiguous(bins: ColumnBins) -> dict[str, int]:
    """Return the categories whose code is that of a category in another bin, too."""
    levels = bins["levels"]
    codes, truth = bins_of_codes(levels), are_truth_values(levels)
    return {level: k for level, k in levels.items() if code(level, truth=truth) not in codes}


def _category_cases(place: int, bins: ColumnBins, worth: list[str], says: Dialect) -> list[str]:
    cases = [f"WHEN v.x{place} IS NULL THEN {worth[missing_bin(bins)]}"]
    by_text, by_code = _ambiguous(bins), bins_of_codes(bins["levels"])
    for known, text in ((by_text, f"v.e{place}"), (by_code, f"v.x{place}")):
        for k in range(missing_bin(bins)):
            of_bin = [level for level, b in known.items() if b == k]
            if of_bin:
                among = f"{text} COLLATE {says.collation} IN ({_texts(of_bin)})"
                cases.append(f"WHEN {among} THEN {worth[k]}")
    return [*cases, f"ELSE {worth[missing_bin(bins) + 1]}"]
