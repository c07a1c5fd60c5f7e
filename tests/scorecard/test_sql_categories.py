"""A category is found in a database however it is written there, as it is in Python."""

import sqlite3

import duckdb
import numpy as np
import pandas as pd
import pytest

from rfmrisk.scorecard import Scorecard
from rfmrisk.woe import WOEEncoder


class Database:
    """One of the three, behind the same two calls."""

    def __init__(self, dialect, connection):
        self.dialect = dialect
        self.connection = connection

    def run(self, statement, rows=None):
        """Run one statement, or one for each row, and return what it selects."""
        mark = "%s" if self.dialect == "postgresql" else "?"
        cursor = self.connection.cursor()
        if rows is not None:
            cursor.executemany(statement.replace("?", mark), rows)
            return None
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else None

    def scores(self, card, columns, rows, **options):
        """Return the score of rows in a table whose columns have these types."""
        self.run("DROP TABLE IF EXISTS customers")
        types = ", ".join(f'"{name}" {dtype}' for name, dtype in columns.items())
        self.run(f"CREATE TABLE customers (id INTEGER, {types})")
        marks = ", ".join("?" * (len(columns) + 1))
        insert = f"INSERT INTO customers VALUES ({marks})"
        self.run(insert, [(i, *row) for i, row in enumerate(rows)])
        found = self.run(card.to_sql(self.dialect, key="id", **options))
        return [score for _, score in sorted(found)]


@pytest.fixture(scope="module")
def server(postgresql):
    """Connect to a server of our own."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")
    options = {"autocommit": True, "prepare_threshold": None}
    with psycopg.connect(postgresql, **options) as connection:
        yield connection


@pytest.fixture(params=["duckdb", "sqlite", "postgresql"])
def database(request):
    """Open each database in turn."""
    if request.param == "postgresql":
        yield Database("postgresql", request.getfixturevalue("server"))
        return
    connect = duckdb.connect if request.param == "duckdb" else sqlite3.connect
    connection = connect(":memory:")
    yield Database(request.param, connection)
    connection.close()


def fitted(values, **options):
    """Fit a card on one column called x, whose values differ in risk by their order."""
    values = pd.Series(values, name="x").repeat(40).reset_index(drop=True)
    codes = pd.factorize(values)[0]
    y = np.arange(len(values)) % 40 < 2 + 24 * codes / max(codes.max(), 1)
    card = Scorecard(WOEEncoder(min_bin_size=0.01, **options)).fit(values.to_frame(), y)
    return with_distinct_points(card)


def with_distinct_points(card):
    """Give each bin points of its own, so that none can stand for another."""
    card.points_ = [np.arange(len(points)) + 1 for points in card.points_]
    return card


def in_python(card, values):
    """Score values as Python does, each by itself."""
    return [int(card.predict_score(pd.DataFrame({"x": [value]}))[0]) for value in values]


class TestCategories:
    """A category is found in each type that a database may keep it in."""

    @pytest.mark.parametrize("codes", [[0, 1, 2], [0.0, 1.0, 2.0], ["0", "1", "2"]])
    @pytest.mark.parametrize(
        ("dtype", "written"),
        [
            ("INTEGER", int),
            ("DOUBLE PRECISION", float),
            ("REAL", float),
            ("DECIMAL(9, 2)", int),
            ("VARCHAR(9)", "{}".format),
            ("VARCHAR(9)", "{}.0".format),
            ("CHAR(9)", "{}  ".format),
        ],
    )
    def test_numeric_codes(self, database, codes, dtype, written):
        """1 is 1.0, '1', '1.0' and 1.00."""
        card = fitted(pd.Series(codes, dtype="category"))
        found = database.scores(card, {"x": dtype}, [(written(v),) for v in (0, 1, 2, 7)])
        assert len(set(found)) == 4
        assert found == in_python(card, ["0", "1", "2", "7"])
        assert found == in_python(card, [written(v) for v in (0, 1, 2)] + ["7"])

    @pytest.mark.parametrize("codes", [[True, False], ["true", "false"], ["0", "1"], ["t", "f"]])
    @pytest.mark.parametrize(
        ("dtype", "true", "false"),
        [
            ("BOOLEAN", True, False),
            ("INTEGER", 1, 0),
            ("DOUBLE PRECISION", 1.0, 0.0),
            ("VARCHAR(9)", "True", "False"),
            ("VARCHAR(9)", "true", "false"),
            ("VARCHAR(9)", "t", "f"),
            ("VARCHAR(9)", "1.0", "0.0"),
            ("CHAR(9)", "TRUE", "FALSE"),
        ],
    )
    def test_truth_values(self, database, codes, dtype, true, false):
        """True is true, t, 1 and 1.0."""
        card = fitted(pd.Series(codes, dtype=object))
        found = database.scores(card, {"x": dtype}, [(true,), (false,), (None,)])
        assert len(set(found)) == 3
        assert found == in_python(card, [true, false, None])

    def test_texts_that_look_alike_stay_apart(self, database):
        """Case, leading zeros, accents, quotes and the empty text count."""
        known = ["a", "A", "01", "1", "", "é", "o'x", "$", "null", "m", "t"]
        card = fitted(known)
        values = [*known, "True", "001", "E", "1 ", "a  ", "M"]
        found = database.scores(card, {"x": "VARCHAR(20)"}, [(v,) for v in values])
        assert found == in_python(card, values)
        assert found[values.index("a")] != found[values.index("A")]

    def test_codes_that_only_their_text_tells_apart(self, database):
        """Where 1 and 1.0 are two categories, each is itself."""
        card = fitted(["1", "1.0", "2"])
        values = ["1", "1.0", "2", "2.00", "1.00"]
        found = database.scores(card, {"x": "VARCHAR(20)"}, [(v,) for v in values])
        assert found == in_python(card, values)
        assert len(set(found[:3])) == 3

    def test_case_counts_whatever_the_collation(self, database):
        """A column that ignores case when it compares is not compared so."""
        card = fitted(["a", "A", "b"])
        dtype = "VARCHAR(9)" if database.dialect == "postgresql" else "VARCHAR COLLATE NOCASE"
        found = database.scores(card, {"x": dtype}, [("a",), ("A",), ("B",)])
        assert found == in_python(card, ["a", "A", "B"])

    def test_nan_in_a_column_of_codes_is_missing(self, database):
        """As it is in Python."""
        card = fitted(pd.Series([0.0, 1.0, np.nan]).astype("category"))
        found = database.scores(card, {"x": "DOUBLE PRECISION"}, [(1.0,), (np.nan,), (None,)])
        one, missing = in_python(card, ["1", None])
        assert found == [one, missing, missing]

    @pytest.mark.parametrize("dtype", ["DOUBLE PRECISION", "REAL"])
    def test_fractions_as_codes(self, database, dtype):
        """0.1 + 0.2 is not 0.3, and float32 is what it is as double."""
        as_kept = {"REAL": np.float32, "DOUBLE PRECISION": np.float64}[dtype]
        if database.dialect == "sqlite":
            as_kept = np.float64
        values = [float(as_kept(v)) for v in (0.1, 0.3, 0.1 + 0.2, 2.5, -1.25)]
        card = fitted(pd.Series(values).astype("category"))
        found = database.scores(card, {"x": dtype}, [(v,) for v in values])
        assert found == in_python(card, [repr(v) for v in values])
