"""A scorecard in a database gives Python's score, whatever type the database keeps a column in."""

import sqlite3

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from rfmrisk import Grades, Scorecard, WOEEncoder
from tests.conftest import examples

N = 400


class Lite:
    """SQLite in memory."""

    dialect = "sqlite"
    errors = (sqlite3.Error,)

    def __init__(self):
        self.connection = sqlite3.connect(":memory:")

    def run(self, statement):
        """Return all rows of a statement."""
        return self.connection.execute(statement).fetchall()


class Duck:
    """DuckDB in memory."""

    dialect = "duckdb"
    errors = (duckdb.Error,)

    def __init__(self):
        self.connection = duckdb.connect()

    def run(self, statement):
        """Return all rows of a statement."""
        return self.connection.execute(statement).fetchall()


class Postgres:
    """A real server."""

    dialect = "postgresql"

    def __init__(self, address):
        psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")
        self.errors = (psycopg.Error,)
        self.connection = psycopg.connect(address, autocommit=True)

    def run(self, statement):
        """Return all rows of a statement, if it has any."""
        cursor = self.connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module", params=["sqlite", "duckdb", "postgresql"])
def database(request):
    """Give each engine in turn."""
    if request.param == "postgresql":
        made = Postgres(request.getfixturevalue("postgresql"))
    else:
        made = {"sqlite": Lite, "duckdb": Duck}[request.param]()
    yield made
    made.connection.close()


def literal(value, kind):
    """Write a value as SQL that a column of this type takes."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).upper() if kind == "BOOLEAN" else f"'{int(value)}'"
    return "'" + str(value).replace("'", "''") + "'"


def scores(database, card, columns, table="customers"):
    """Store columns, each in the type given for it, and score them there."""
    return [score for score, *_ in answers(database, card, columns, table)]


def answers(database, card, columns, table="customers", **options):
    """Store columns, each in the type given for it, and select all that a card says of them."""
    types = ", ".join(f'"{name}" {kind}' for name, (kind, _) in columns.items())
    database.run(f"DROP TABLE IF EXISTS {table}")
    database.run(f"CREATE TABLE {table} (row_number INTEGER, {types})")
    kinds = [kind for kind, _ in columns.values()]
    rows = zip(*(values for _, values in columns.values()), strict=True)
    written = [
        f"({number}, " + ", ".join(map(literal, row, kinds)) + ")"
        for number, row in enumerate(rows)
    ]
    database.run(f"INSERT INTO {table} VALUES {', '.join(written)}")
    statement = card.to_sql(database.dialect, key="row_number", table=table, **options)
    return [answer for _, *answer in sorted(database.run(statement))]


def fit(values, **options):
    """Fit a card of one column, whose values differ in risk."""
    codes = pd.Series(values).rank(method="dense").fillna(0).to_numpy()
    rng = np.random.default_rng(0)
    y = (rng.random(len(codes)) < 0.1 + 0.7 * codes / (codes.max() + 1)).astype(int)
    return Scorecard(WOEEncoder(min_bin_size=0.01, **options)).fit(pd.DataFrame({"x": values}), y)


def drawn(values):
    """Repeat values, and None, to as many rows as a card is fitted on."""
    rng = np.random.default_rng(1)
    return [values[k] for k in rng.integers(0, len(values), N)]


NUMBERS = {
    "whole": ("INTEGER BIGINT REAL NUMERIC(30,3) TEXT", [0, 1, 2, 30, None]),
    "flags": ("INTEGER BIGINT REAL NUMERIC(30,3)", [0, 1, None]),
    "long": ("BIGINT NUMERIC(30,3) TEXT", [7, 9007199254740993, 9999999999999999, None]),
    "floats": ("REAL TEXT", [-1.5, 0.25, 2.75, 1024.5, None]),
}
CATEGORIES = {
    "text": ("TEXT", ["a", "b ", "o'neill", "ä$", "", None]),
    "codes": ("INTEGER BIGINT REAL NUMERIC(30,3) TEXT", [0, 1, 2, None]),
    "long": ("BIGINT TEXT", [20230000000000001, 20230000000000002, 7, None]),
    "floats": ("REAL TEXT", [0.5, 1.0, 2.25, None]),
    "flags": ("BOOLEAN INTEGER REAL TEXT NUMERIC(30,3)", [True, False, None]),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_of_every_type(database, name):
    """Integers, decimals, floats of 32 bits and text that holds numbers are compared as numbers."""
    kinds, values = NUMBERS[name]
    column = drawn(values)
    numbers = pd.Series(column, dtype=float)
    card = fit(numbers, special_values={"x": [numbers.max()]} if name == "long" else None)
    expected = card.predict_score(pd.DataFrame({"x": numbers})).tolist()
    for kind in kinds.split():
        assert scores(database, card, {"x": (kind, column)}) == expected, kind


@pytest.mark.parametrize("name", CATEGORIES)
def test_categories_of_every_type(database, name):
    """A code matches as a number, as text and as a boolean; text matches to the letter."""
    kinds, values = CATEGORIES[name]
    column = pd.Series(drawn(values), dtype=object).astype("category")
    card = fit(column)
    expected = card.predict_score(pd.DataFrame({"x": column})).tolist()
    stored = [None if pd.isna(value) else value for value in column]
    for kind in kinds.split():
        assert scores(database, card, {"x": (kind, stored)}) == expected, kind


TYPES = {
    "int8": st.integers(-100, 100),
    "int64": st.integers(-(2**62), 2**62),
    "uint32": st.integers(0, 2**32 - 1),
    "float32": st.floats(-1e6, 1e6, width=32),
    "float64": st.floats(-1e6, 1e6),
    "Int64": st.integers(-50, 50) | st.none(),
    "boolean": st.booleans() | st.none(),
    "bool": st.booleans(),
    "str": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=4)
    | st.none(),
    "category": st.sampled_from(["a", "A", "b"]) | st.none(),
}


@settings(max_examples=examples(60))
@given(st.sampled_from(sorted(TYPES)), st.data(), st.sampled_from(["plain", "category"]))
def test_every_dtype_has_its_score_in_sql(dtype, data, form):
    """What pandas holds has Python's score in DuckDB and in SQLite, on every row."""
    few = data.draw(st.lists(TYPES[dtype], min_size=2, max_size=6, unique=True))
    rng = np.random.default_rng(0)
    codes = rng.integers(0, len(few), N)
    values = pd.Series([few[k] for k in codes], dtype=dtype)
    if form == "category":
        values = values.astype("category")
    X = pd.DataFrame({"x": values})
    y = (rng.random(N) < 0.1 + 0.8 * codes / len(few)).astype(int)
    card = Scorecard(WOEEncoder(min_bin_size=0.01)).fit(X, y)
    expected = card.predict_score(X)
    duck = duckdb.connect()
    duck.register("customers", X.assign(row_number=range(N)))
    statement = card.to_sql("duckdb", key="row_number")
    found = duck.execute(f"{statement} ORDER BY row_number").fetchnumpy()["score"]
    np.testing.assert_array_equal(np.asarray(found), expected)
    lite = sqlite3.connect(":memory:")
    plain = values.astype(object).where(values.notna(), None)
    X.assign(x=plain, row_number=range(N)).to_sql("customers", lite, index=False)
    statement = card.to_sql("sqlite", key="row_number")
    found = pd.read_sql_query(f"{statement} ORDER BY row_number", lite)["score"]
    np.testing.assert_array_equal(found, expected)


def test_a_column_that_is_missing_is_an_error(database):
    """No database takes the name of a column for a text."""
    card = fit(drawn([1.0, 2.0, 3.0]))
    with pytest.raises(database.errors):
        scores(database, card, {"y": ("REAL", [1.0, 2.0])})


@pytest.mark.parametrize("value", ["many", "", "1,2", "1; 2"])
def test_text_that_is_no_number_is_an_error(database, value):
    """It has no score, rather than that of 0."""
    card = fit(drawn([1.0, 2.0, 3.0]))
    with pytest.raises(database.errors):
        scores(database, card, {"x": ("TEXT", ["1", value])})


def test_infinity_is_an_error(database):
    """As it is in Python."""
    card = fit(drawn([1.0, 2.0, 3.0]))
    infinite = "9e999" if database.dialect == "sqlite" else "Infinity"
    with pytest.raises(database.errors):
        scores(database, card, {"x": ("DOUBLE PRECISION", ["1", infinite])})


def test_a_table_of_a_schema(database):
    """A dot divides the schema from the table; names in quotes may hold one."""
    card = fit(drawn([1.0, 2.0, 3.0]))
    schema = "main" if database.dialect == "sqlite" else "risk"
    if schema == "risk":
        database.run("CREATE SCHEMA IF NOT EXISTS risk")
    expected = card.predict_score(pd.DataFrame({"x": [1.0, 3.0]})).tolist()
    for table in (f"{schema}.applicants", f'{schema}."new.applicants"'):
        assert scores(database, card, {"x": ("REAL", [1.0, 3.0])}, table) == expected


@pytest.mark.parametrize("name", ['a"b', "$ amount", "größe", "a.b", "select", "k0", "x0", "score"])
def test_names_are_quoted(database, name):
    """A feature may have any name."""
    card = fit(drawn([1.0, 2.0, 3.0]))
    values = pd.DataFrame({name: drawn([1.0, 2.0, 3.0])})
    y = np.random.default_rng(0).integers(0, 2, N)
    card = Scorecard(rounded=False).fit(values, y)
    found = scores(database, card, {name.replace('"', '""'): ("REAL", values[name])})
    assert found == card.predict_score(values).tolist()


@pytest.mark.parametrize("table", ["", ".", "a..b", "a.", '"a', '""'])
def test_a_table_that_is_none(table):
    """The message says what a table may be."""
    with pytest.raises(ValueError, match="table must be a name"):
        fit(drawn([1.0, 2.0])).to_sql(table=table)


@pytest.mark.parametrize(
    ("dialect", "names"),
    [("duckdb", ("a", "A")), ("sqlite", ("a", "A")), ("postgresql", ("é" * 32, "é" * 33))],
)
def test_two_names_that_are_one_in_the_database(dialect, names):
    """The statement is refused."""
    X = pd.DataFrame(dict.fromkeys(names, drawn([1.0, 2.0])))
    card = Scorecard().fit(X, np.arange(N) % 3 == 0)
    with pytest.raises(ValueError, match="for one"):
        card.to_sql(dialect)


@pytest.mark.parametrize(
    ("dialect", "name"), [("sqlite", "oid"), ("duckdb", "rowid"), ("postgresql", "xmin")]
)
def test_a_name_that_every_table_has(dialect, name):
    """The statement is refused, since the column could be missing unnoticed."""
    card = Scorecard().fit(pd.DataFrame({name: drawn([1.0, 2.0])}), np.arange(N) % 3 == 0)
    with pytest.raises(ValueError, match="of its own"):
        card.to_sql(dialect)


def test_a_key_called_as_the_result():
    """It is refused."""
    with pytest.raises(ValueError, match="name of the result"):
        fit(drawn([1.0, 2.0])).to_sql(key="score")


def test_case_counts_whatever_the_collation(database):
    """A column that ignores case when it compares is not compared so."""
    X = pd.DataFrame({"x": ["a", "A", "b"] * 40})
    card = Scorecard(WOEEncoder(min_bin_size=0.01)).fit(
        X, [0, 1, 1, 0, 1, 0, 0, 1, 1] * 13 + [0] * 3
    )
    kind = "VARCHAR(9)" if database.dialect == "postgresql" else "VARCHAR COLLATE NOCASE"
    found = scores(database, card, {"x": (kind, ["a", "A", "B"])})
    assert found == card.predict_score(pd.DataFrame({"x": ["a", "A", "B"]})).tolist()
    assert found[0] != found[1]


@pytest.mark.slow
def test_a_card_of_many_features(database):
    """1,500 features are within the limits of every database."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(300, 1_500)).round(2)).add_prefix("x")
    y = (rng.random(300) < 1 / (1 + np.exp(1 - X["x0"] - X["x7"]))).astype(int)
    card = Scorecard(WOEEncoder(max_bins=2)).fit(X, y)
    assert len(card.used_) > 1_400
    rows = X.iloc[:3]
    columns = {name: ("REAL", rows[name].tolist()) for name in X}
    assert scores(database, card, columns) == card.predict_score(rows).tolist()


@pytest.fixture(scope="module")
def people():
    """Fit a card of numbers and categories; return it, the people, and their columns for SQL."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(N, 2)).round(2), columns=["a", "b"])
    X.loc[::9, "a"] = np.nan
    X["c"] = rng.choice(["web", "o'neill", "shop"], N)
    safety = X["b"] + X["a"].fillna(-1) + (X["c"] == "web")
    y = (rng.random(N) < 1 / (1 + np.exp(1 + safety))).astype(int)
    columns = {
        name: (
            "TEXT" if name == "c" else "DOUBLE PRECISION",
            X[name].replace(np.nan, None).tolist(),
        )
        for name in X
    }
    return Scorecard().fit(X, y), X, y, columns


def test_grades(database, people):
    """Every customer has the grade that Python gives."""
    card, X, y, columns = people
    score = card.predict_score(X)
    names = ["it's fine", *"BCDEFGH"]
    grades = Grades(names=names, min_bads=1).fit(score, y)
    assert len(grades.names_) > 2
    expected = zip(score.tolist(), grades.predict(score).tolist(), strict=True)
    assert answers(database, card, columns, "graded", grades=grades) == list(map(list, expected))


@pytest.mark.parametrize("against", ["best", "average", "cutoff"])
def test_reasons(database, people, against):
    """Every customer has the score, the codes of the reasons, and the grade that Python gives."""
    card, X, y, columns = people
    score = card.predict_score(X)
    grades = Grades(min_bads=1).fit(score, y)
    card = clone(card).set_params(codes={"a": "it's a"}).fit(X, y)
    options = {"against": against, "cutoff": 500}
    found = answers(database, card, columns, "told", n_reasons=2, grades=grades, **options)
    reasons = card.reasons(X, 2, **options)
    codes = [[None, None] for _ in range(len(X))]
    for row, rank, code in zip(reasons.index, reasons["rank"], reasons["code"], strict=True):
        codes[row][rank - 1] = code
    expected = [
        [s, *told, g]
        for s, told, g in zip(score.tolist(), codes, grades.predict(score).tolist(), strict=True)
    ]
    assert found == expected
