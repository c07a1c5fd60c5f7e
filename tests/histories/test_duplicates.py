"""Rows that repeat another one in all columns are kept, or one of them is, wherever they lie."""

import datetime as dt

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rfmrisk import to_histories
from rfmrisk.histories import histories_in_parts

ROLES = {"customer": "who", "time": "when", "amount": "paid"}
NOON = dt.datetime(2024, 5, 1, 12)
END = "2024-06-01"

LOGS = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "cy"]),
        st.integers(0, 2),
        st.sampled_from([5.0, 7.5]),
        st.sampled_from([None, "north", "south"]),
        st.sampled_from([None, (), ("tea",), ("tea", "milk")]),
    ),
    min_size=1,
    max_size=25,
)


def table_of(rows):
    """Return drawn rows as a log with a text and a list beside the roles."""
    who, day, paid, shop, goods = zip(*rows, strict=True)
    return pa.table(
        {
            "who": who,
            "when": [NOON + dt.timedelta(days=days) for days in day],
            "paid": paid,
            "shop": pa.array(shop, pa.string()),
            "goods": pa.array(goods, pa.list_(pa.string())),
        }
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=LOGS, rows_per_part=st.integers(1, 8))
def test_one_of_equal_rows_is_taken(tmp_path_factory, rows, rows_per_part):
    """At once, in parts and as of decisions, a log gives what it gives without its duplicates."""
    table, distinct = table_of(rows), table_of(list(dict.fromkeys(rows)))
    options = {**ROLES, "as_of": END, "duplicates": "drop"}
    expected = to_histories(distinct, **options)
    assert expected["history"].map(len).sum() == len(distinct)
    pd.testing.assert_frame_equal(to_histories(table, **options), expected)
    path = tmp_path_factory.mktemp("log") / "log.parquet"
    pa.parquet.write_table(table, path, row_group_size=3)
    parts = pd.concat(histories_in_parts(path, rows_per_part=rows_per_part, **options))
    pd.testing.assert_frame_equal(parts.sort_index(), expected)
    asked = pd.DataFrame({"customer": expected.index, "as_of": pd.Timestamp("2024-05-03")})
    decided = to_histories(table, **options | {"as_of": asked})
    pd.testing.assert_frame_equal(decided, to_histories(distinct, **options | {"as_of": asked}))
    kept = to_histories(table, **ROLES, as_of=END)
    assert kept["history"].map(len).sum() == len(rows)


def test_what_is_dropped_is_counted():
    """The histories say how many rows were left out; a number of the row keeps all."""
    table = table_of([("ann", 0, 5.0, None, None)] * 3 + [("ann", 0, 5.0, "north", None)])
    made = to_histories(table, **ROLES, duplicates="drop")
    assert made["history"].map(len).tolist() == [2]
    assert made.attrs["left_out"] == ["2 rows repeat another one in all columns"]
    assert made.attrs["roles"] == ROLES | {"duplicates": "drop"}
    numbered = table.append_column("line", pa.array(range(4)))
    assert to_histories(numbered, **ROLES, duplicates="drop")["history"].map(len).tolist() == [4]


def test_unusable_rows_are_no_duplicates():
    """What is left out for another reason is counted there alone."""
    rows = [("ann", 0, 5.0, None, None), ("ann", 1, float("nan"), None, None)] * 2
    with pytest.warns(UserWarning, match="2 of 4 rows cannot be used"):
        made = to_histories(table_of(rows), **ROLES, duplicates="drop", on_bad="drop")
    assert made["history"].map(len).tolist() == [1]
    assert made.attrs["left_out"][-1] == "1 rows repeat another one in all columns"


def test_another_word_is_refused():
    """The two choices are named."""
    with pytest.raises(ValueError, match="duplicates must be 'keep' or 'drop'; got 'first'"):
        to_histories(table_of([("ann", 0, 5.0, None, None)]), **ROLES, duplicates="first")
