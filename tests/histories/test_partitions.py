"""A log taken part by part is the log taken at once, and bad input is told in the same words."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from rfmrisk import customer_features, histories_in_parts, read_transactions, to_histories
from rfmrisk.datasets import make_transactions

ROLES = {"customer": "who", "time": "when", "amount": "paid"}
GOOD = {
    "who": ["ann", "bob", "cy", "dee"],
    "when": ["2024-05-01"] * 4,
    "paid": [1.0, 2.0, 3.0, 4.0],
}


def put(folder, columns, rows_per_group=2):
    """Write a log of small row groups, and return it as the local door sees it."""
    path = folder / "log.parquet"
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    parquet.write_table(table, path, row_group_size=rows_per_group)
    return path, table


def joined(path, rows_per_part, **options):
    """Return all parts as one frame, sorted by customer."""
    parts = list(histories_in_parts(path, rows_per_part=rows_per_part, **options))
    assert all(part.index.is_monotonic_increasing for part in parts)
    whole = pd.concat(parts)
    assert whole.index.is_unique
    return whole.sort_index()


@pytest.mark.parametrize("rows_per_part", [100, 1_700, 10**6])
@pytest.mark.parametrize("rows_per_group", [7, 1_000, 10**6])
def test_the_parts_are_the_whole(tmp_path, log, rows_per_part, rows_per_group):
    """Whatever the size of parts and row groups, each customer has the same history."""
    path, table = put(tmp_path, pa.Table.from_pandas(log, preserve_index=False), rows_per_group)
    expected = to_histories(table)
    pd.testing.assert_frame_equal(joined(path, rows_per_part), expected)


def test_a_real_log(tmp_path, real_log):
    """A real log gives the same histories and features in parts."""
    log, roles = real_log
    path, table = put(tmp_path, pa.Table.from_pandas(log, preserve_index=False), 50_000)
    expected = to_histories(table, **roles)
    made = joined(path, 100_000, **roles)
    pd.testing.assert_index_equal(made.index, expected.index)
    features = customer_features().fit(expected)
    pd.testing.assert_frame_equal(
        features.transform(made), features.transform(expected), check_exact=True
    )


@given(
    st.lists(
        st.tuples(
            st.integers(-3, 3),
            st.integers(0, 4),
            st.floats(-9, 9, width=16),
            st.sampled_from("xyz"),
        ),
        min_size=1,
        max_size=30,
    ),
    st.integers(1, 8),
    st.sampled_from([int, str, float]),
)
def test_any_log(tmp_path_factory, rows, rows_per_part, kind):
    """Any customers, of any kind of id, any ties and any order give the same in parts."""
    who, day, paid, note = zip(*rows, strict=True)
    table = pa.table(
        {
            "note": pa.array(note).dictionary_encode(),
            "who": [kind(number) for number in who],
            "when": pa.array(np.datetime64("2024-05-01", "us") + np.array(day) * 1_000_000),
            "paid": paid,
        }
    )
    path, _ = put(tmp_path_factory.mktemp("log"), table, 3)
    expected = to_histories(table, **ROLES)
    pd.testing.assert_frame_equal(joined(path, rows_per_part, **ROLES), expected)


@pytest.mark.parametrize("as_of", ["2024-05-02T00:00:00.000001", "2024-05-03T03:00+03:00"])
def test_a_moment_of_decision(tmp_path, as_of):
    """Histories end strictly before the moment, and parts of newcomers alone are left out."""
    path, table = put(tmp_path, GOOD | {"when": [f"2024-05-0{day}" for day in (1, 2, 3, 4)]})
    expected = to_histories(table, **ROLES, as_of=as_of)
    pd.testing.assert_frame_equal(joined(path, 1, **ROLES, as_of=as_of), expected)


def test_a_folder_of_files(tmp_path):
    """A folder is one log: columns are found by name, and those of its paths are columns too."""
    for place, table in {
        "year=2023": pa.table(GOOD | {"note": list("abcd")}),
        "year=2024": pa.table(
            {"paid": pa.array([5], pa.int32()), "who": ["ann"], "when": ["2024-06-01"]}
        ),
    }.items():
        (tmp_path / place).mkdir()
        parquet.write_table(table, tmp_path / place / "part.parquet")
    expected = to_histories(parquet.read_table(tmp_path), **ROLES)
    made = joined(tmp_path, 2, **ROLES)
    assert [list(h) for h in made["history"]] == [list(h) for h in expected["history"]]
    assert made["history"].iloc[0][1] == {
        "time": pd.Timestamp("2024-06-01"),
        "amount": 5.0,
        "note": None,
        "year": 2024,
    }


def test_a_csv(tmp_path, log):
    """A CSV is read at once and comes in parts all the same."""
    log.to_csv(tmp_path / "log.csv", index=False)
    made = joined(tmp_path / "log.csv", 500)
    expected = to_histories(log)
    assert [list(h) for h in made["history"]] == [list(h) for h in expected["history"]]


def test_nothing_is_left_in_the_folder(tmp_path):
    """The split log is removed, also when not all parts are taken."""
    path, _ = put(tmp_path, GOOD)
    (tmp_path / "work").mkdir()
    parts = histories_in_parts(path, **ROLES, rows_per_part=1, folder=tmp_path / "work")
    next(parts)
    assert list((tmp_path / "work").iterdir())
    parts.close()
    assert not list((tmp_path / "work").iterdir())


@pytest.mark.parametrize(
    ("change", "options"),
    [
        ({"paid": None}, {}),
        ({"time": [1, 2, 3, 4]}, {}),
        ({"when": [1, 2, 3, 4]}, {}),
        ({"who": [True] * 4}, {}),
        ({"paid": [True] * 4}, {}),
        ({}, {"on_bad": "keep"}),
        ({}, {"as_of": "tomorrow"}),
    ],
)
def test_what_the_schema_tells_is_raised_at_once(tmp_path, change, options):
    """Missing columns and wrong types end in the local words before a part is asked for."""
    columns = {name: values for name, values in (GOOD | change).items() if values is not None}
    path, table = put(tmp_path, columns)
    with pytest.raises(ValueError) as expected:
        to_histories(table, **(ROLES | options))
    with pytest.raises(ValueError) as told:
        histories_in_parts(path, **(ROLES | options))
    assert str(told.value) == str(expected.value)


@pytest.mark.parametrize(
    ("change", "options"),
    [
        ({"who": [None, "bob", "cy", "dee"]}, {}),
        ({"who": [None] * 4}, {"on_bad": "drop"}),
        (
            {"when": ["2024-05-01", "soon", None, "2024-05-01"], "paid": [1.0, 2.0, None, np.inf]},
            {},
        ),
        ({"when": ["2024-05-01", "2024-05-01", "2024-05-01", "2024-05-02T10:00Z"]}, {}),
        ({"when": ["now", "2024-05-01", "2024-05-01", "2024-05-02T10:00Z"]}, {}),
        ({"who": [None, "bob", None, None], "paid": [None, 1.0, None, None]}, {}),
        ({}, {"as_of": "2020-01-01"}),
    ],
)
def test_what_only_the_rows_tell_is_counted_in_all_parts(tmp_path, change, options):
    """Bad rows and mixed zones are counted over the whole log, in the local words."""
    path, table = put(tmp_path, GOOD | change)
    with pytest.raises(ValueError) as expected:
        to_histories(table, **(ROLES | options))
    with pytest.raises(ValueError) as told:
        list(histories_in_parts(path, **(ROLES | options), rows_per_part=1))
    assert str(told.value) == str(expected.value)


def test_bad_rows_are_left_out_with_one_warning(tmp_path):
    """on_bad="drop" warns once for the whole log; the last day is that of the rows that stay."""
    columns = GOOD | {
        "paid": [1.0, np.nan, 3.0, 4.0],
        "who": ["ann", "bob", None, "dee"],
        "when": ["2024-05-01", "2024-05-02", "2024-05-03", "2024-05-01"],
    }
    path, table = put(tmp_path, columns)
    with pytest.warns(UserWarning, match="2 of 4 rows cannot be used") as locally:
        expected = to_histories(table, **ROLES, on_bad="drop")
    with pytest.warns(UserWarning, match="They are left out") as told:
        made = joined(path, 1, **ROLES, on_bad="drop")
    assert [str(w.message) for w in told] == [str(w.message) for w in locally]
    pd.testing.assert_frame_equal(made, expected)


def test_an_empty_log_and_a_broken_one(tmp_path):
    """A file without rows, or not of Parquet, is one clear error."""
    path, _ = put(tmp_path, pa.table(GOOD).slice(0, 0))
    with pytest.raises(ValueError, match="the log is empty"):
        list(histories_in_parts(path, **ROLES))
    path.write_bytes(b"PAR1 no")
    with pytest.raises(ValueError, match="cannot be read"):
        histories_in_parts(path, **ROLES)
    with pytest.raises(ValueError, match="rows_per_part must be an integer of at least 1; got 0"):
        histories_in_parts(path, rows_per_part=0)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        histories_in_parts(tmp_path / "none.parquet")


@pytest.mark.parametrize("rows_per_part", [200, 10**6])
def test_decisions_in_parts_are_those_of_the_whole(tmp_path, rows_per_part):
    """Each decision is in one part with its history and other columns, strangers included."""
    log = make_transactions(n_customers=60, random_state=0)
    log.to_parquet(tmp_path / "log.parquet")
    ids = [*log["CustomerId"].unique()[:50], "nobody", "nobody else", "somebody"]
    asked = pd.DataFrame({"customer": ids * 2, "as_of": pd.Timestamp("2019-03-01")})
    asked.loc[len(ids) :, "as_of"] = pd.Timestamp("2019-05-01")
    asked["number"] = np.arange(len(asked))
    parts = list(
        histories_in_parts(tmp_path / "log.parquet", as_of=asked, rows_per_part=rows_per_part)
    )
    assert (len(parts) > 1) == (rows_per_part == 200)
    assert all(part["number"].is_monotonic_increasing for part in parts)
    found = pd.concat(parts).sort_values("number")
    expected = to_histories(log, as_of=asked)
    pd.testing.assert_frame_equal(
        customer_features().fit(expected).transform(found),
        customer_features().fit_transform(expected),
    )


@pytest.mark.parametrize("as_of", [None, "2019-03-01"])
def test_a_time_at_the_end_of_the_calendar_has_one_rule(tmp_path, as_of):
    """In memory and in parts the year 9999 is no end of a log, and lies after a decision."""
    log = make_transactions(50, random_state=0)
    times = pd.to_datetime(log["TransactionStartTime"]).dt.tz_localize(None)
    times = times.astype("datetime64[us]")
    times.iloc[3] = pd.Timestamp("9999-12-31T23:59:59.999999")
    log["TransactionStartTime"] = times
    log.to_parquet(tmp_path / "log.parquet")

    def parts():
        return pd.concat(
            histories_in_parts(tmp_path / "log.parquet", rows_per_part=500, as_of=as_of)
        ).sort_index()

    def at_once():
        return to_histories(read_transactions(tmp_path / "log.parquet"), as_of=as_of)

    if as_of is None:
        for door in (parts, at_once):
            with pytest.raises(ValueError, match="last day of the log, 9999-12-31"):
                door()
    else:
        pd.testing.assert_frame_equal(parts(), at_once())
