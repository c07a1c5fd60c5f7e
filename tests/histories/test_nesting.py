"""The door: roles, moments of decision, order, and histories that survive a journey."""

import datetime as dt
import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from rfmrisk import customer_features, rewind, to_histories
from rfmrisk.histories.columns import arrow_column
from rfmrisk.histories.flat import flatten

ROLES = {"customer": "who", "time": "when", "amount": "paid"}


@pytest.fixture
def shop() -> pd.DataFrame:
    """Give five transactions of three customers, with further columns of several types."""
    return pd.DataFrame(
        {
            "who": ["bob", "ann", "bob", "cy", "ann"],
            "when": pd.to_datetime(
                [
                    "2024-05-02T10:00",
                    "2024-05-01T09:00",
                    "2024-05-01T23:59",
                    "2024-05-03T00:00",
                    "2024-05-02T00:00",
                ]
            ),
            "paid": [5.0, -1.0, 2.5, 10.0, 3.0],
            "channel": pd.Categorical(["web", "app", None, "web", "app"], ["app", "web", "desk"]),
            "items": [1, 2, 3, 4, 5],
        }
    )


def amounts(histories):
    """Return the amounts of each history."""
    return [[x["amount"] for x in history] for history in histories["history"]]


def test_histories_are_one_row_per_customer(shop):
    """Customers are sorted by id, their transactions by time; as_of ends the log's last day."""
    histories = to_histories(shop, **ROLES)
    assert histories.index.tolist() == ["ann", "bob", "cy"]
    assert histories.index.name == "customer"
    assert list(histories.columns) == ["as_of", "history"]
    assert (histories["as_of"] == pd.Timestamp("2024-05-04")).all()
    assert histories["as_of"].dtype == "datetime64[us]"
    assert amounts(histories) == [[-1.0, 3.0], [2.5, 5.0], [10.0]]


def test_roles_are_renamed_and_further_columns_kept(shop):
    """Inside a history the roles are time and amount; other columns keep name and type."""
    transaction = to_histories(shop, **ROLES)["history"].dtype.pyarrow_dtype.value_type
    names = [field.name for field in transaction]
    assert names == ["time", "amount", "channel", "items"]
    assert transaction.field("time").type == pa.timestamp("us")
    assert pa.types.is_dictionary(transaction.field("channel").type)
    assert transaction.field("items").type == pa.int64()


def test_the_default_roles_are_those_of_the_xente_log(log):
    """A log with the Xente columns needs no option."""
    histories = to_histories(log)
    assert len(histories) == log["CustomerId"].nunique()


def test_the_callers_frame_is_not_changed(shop):
    """Neither the log nor the frame of decisions changes."""
    decisions = pd.DataFrame({"who": ["ann"], "as_of": ["2024-05-02"]})
    before, asked = shop.copy(deep=True), decisions.copy(deep=True)
    to_histories(shop, **ROLES, as_of=decisions)
    pd.testing.assert_frame_equal(shop, before)
    pd.testing.assert_frame_equal(decisions, asked)


@pytest.mark.parametrize(
    "as_of",
    [
        "2024-05-02",
        "2024-05-02T00:00:00Z",
        "2024-05-02T03:00+03:00",
        dt.date(2024, 5, 2),
        dt.datetime(2024, 5, 2),
        pd.Timestamp("2024-05-02"),
        pd.Timestamp("2024-05-02T03:00", tz="Africa/Kampala"),
        np.datetime64("2024-05-02"),
    ],
)
def test_a_history_ends_strictly_before_as_of(shop, as_of):
    """A transaction at the very moment of decision is not known yet; newcomers are left out."""
    histories = to_histories(shop, **ROLES, as_of=as_of)
    assert (histories["as_of"] == pd.Timestamp("2024-05-02")).all()
    assert histories.index.tolist() == ["ann", "bob"]
    assert amounts(histories) == [[-1.0], [2.5]]


@pytest.mark.parametrize(
    "as_of",
    ["junk", "now", "01/05/2024", "", 7, 2.5, True, pd.NaT, np.datetime64("NaT", "us"), ["2024"]],
)
def test_as_of_must_be_a_moment(shop, as_of):
    """What is no moment is refused, and the error says what was got and what is allowed."""
    with pytest.raises(ValueError, match=r"as_of must be a timestamp such as '2024-05-01'.*got"):
        to_histories(shop, **ROLES, as_of=as_of)


def test_as_of_before_every_transaction(shop):
    """The error names both the moment and the first transaction."""
    with pytest.raises(ValueError, match=r"before as_of=2020-01-01.*first.*2024-05-01T09:00"):
        to_histories(shop, **ROLES, as_of="2020-01-01")


def test_decisions_are_rows_in_the_order_given(shop):
    """Each decision sees what was known then; customers repeat, and strangers have no history."""
    decisions = pd.DataFrame(
        {
            "reason": ["a", "b", "c", "d"],
            "as_of": ["2024-05-03", "2024-05-02", "2024-05-01", "2024-05-04"],
            "customer": ["bob", "bob", "ann", "zoe"],
        }
    )
    histories = to_histories(shop, **ROLES, as_of=decisions)
    assert histories.index.tolist() == ["bob", "bob", "ann", "zoe"]
    assert amounts(histories) == [[2.5, 5.0], [2.5], [], []]
    assert histories["as_of"].tolist() == pd.to_datetime(decisions["as_of"]).tolist()


def test_decisions_may_name_the_customer_as_the_log_does_or_in_the_index(shop):
    """The log's own name, the role's name and an index of that name mean the same."""
    asked = pd.DataFrame({"customer": ["ann", "bob"], "as_of": ["2024-05-03"] * 2})
    expected = to_histories(shop, **ROLES, as_of=asked)
    for frame in (
        asked.rename(columns={"customer": "who"}),
        asked.set_index("customer"),
        asked.astype({"customer": "category"}),
        pa.table({"as_of": asked["as_of"], "who": asked["customer"]}),
    ):
        pd.testing.assert_frame_equal(to_histories(shop, **ROLES, as_of=frame), expected)


@pytest.mark.parametrize(
    ("decisions", "message"),
    [
        (
            {"customer": [1], "as_of": ["2024-05-02"]},
            r"decisions' customers are int64, such as 1, those of .*'bob'",
        ),
        ({"customer": ["ann"]}, r"\['as_of'\] not found in the decisions; the columns are"),
        ({"as_of": ["2024-05-02"]}, r"\['who'\] not found in the decisions"),
        ({"customer": ["ann"], "as_of": [None]}, "of 1 decisions 1 have no readable as_of"),
        ({"customer": [None], "as_of": ["2024-05-02"]}, "and 1 no customer"),
        ({"customer": [], "as_of": []}, "the frame of decisions is empty"),
    ],
)
def test_decisions_that_cannot_be_used(shop, decisions, message):
    """Ids of another type, missing columns or values, and no rows at all are errors."""
    with pytest.raises(ValueError, match=message):
        to_histories(shop, **ROLES, as_of=pd.DataFrame(decisions))


def test_histories_are_point_in_time_correct(log):
    """A decision sees just what a log cut at that moment would give."""
    moments = pd.to_datetime(log["TransactionStartTime"]).dt.tz_localize(None)
    cut = moments.sort_values().iloc[len(log) // 2]
    decisions = pd.DataFrame({"CustomerId": log["CustomerId"].unique(), "as_of": cut})
    seen = to_histories(log, as_of=decisions)
    alone = to_histories(log[moments < cut], as_of=cut)
    pd.testing.assert_frame_equal(seen[seen["history"].map(len) > 0].sort_index(), alone)


def test_rewind_gives_what_was_known_then(log, histories):
    """Rewinding equals a log cut earlier, and those who were not known are left out."""
    past = rewind(histories, "30D")
    moment = histories["as_of"].iloc[0] - pd.Timedelta("30D")
    pd.testing.assert_frame_equal(past, to_histories(log, as_of=moment))


def test_rewind_leaves_its_argument_alone(histories):
    """The past is a new frame."""
    before = histories.copy()
    rewind(histories, dt.timedelta(days=30))
    pd.testing.assert_frame_equal(histories, before)


@pytest.mark.parametrize("period", ["0D", "-1D", "x", "30", "1M", 30, None, pd.NaT])
def test_a_period_is_a_positive_duration(histories, period):
    """A bare number, a month or a negative duration is refused."""
    with pytest.raises(ValueError, match="period must be a positive duration such as '30D'; got"):
        rewind(histories, period)


def test_rewind_beyond_the_first_transaction(histories):
    """The error says how far the histories go back."""
    with pytest.raises(ValueError, match=r"known 9999D earlier: the histories have nothing before"):
        rewind(histories, "9999D")


def test_ties_are_broken_by_amount_then_by_further_columns():
    """At one time the smaller amount comes first, then the further columns; missing comes last."""
    log = pd.DataFrame(
        {
            "who": 1,
            "when": "2024-05-01",
            "paid": [2.0, 1.0, 1.0, 1.0, 1.0],
            "tags": [["nested"], [], None, [], []],
            "kind": pd.Categorical(["b", "b", None, "a", "b"], ["unused", "b", "a"]),
            "items": [0, 7, 0, 0, 5],
        }
    )
    history = to_histories(log, **ROLES)["history"].iloc[0]
    assert [(x["amount"], x["kind"], x["items"]) for x in history] == [
        (1.0, "a", 0),
        (1.0, "b", 5),
        (1.0, "b", 7),
        (1.0, None, 0),
        (2.0, "b", 0),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda shop: shop.drop(columns="paid"),
            r"\['paid'\] not found in the log; the columns are",
        ),
        (lambda shop: shop.iloc[:0], "the log is empty"),
        (lambda shop: shop.set_axis(["who", "when", "paid", "x", "x"], axis=1), r"names \['x'\]"),
        (
            lambda shop: shop.rename(columns={"items": "time"}),
            r"\['time'\] have the name of a role",
        ),
        (lambda shop: shop.assign(amount=1), r"\['amount'\] have the name of a role"),
        (lambda shop: pd.DataFrame(), r"not found in the log; the columns are \[\]"),
    ],
)
def test_logs_that_cannot_be_used(shop, change, message):
    """Missing, doubled and ambiguous columns and empty logs are errors."""
    with pytest.raises(ValueError, match=message):
        to_histories(change(shop), **ROLES)


@pytest.mark.parametrize(
    "log", [None, "log.csv", [1, 2], {"who": [1]}, np.zeros((2, 3)), pd.Series()]
)
def test_a_log_must_be_a_frame(log):
    """The error names what was got and which frames are taken."""
    with pytest.raises(TypeError, match=r"pandas, Polars, pyarrow, DuckDB\); got"):
        to_histories(log, **ROLES)


def test_one_column_has_one_role(shop):
    """The same column cannot be the customer and the amount."""
    with pytest.raises(ValueError, match="one column cannot have two roles"):
        to_histories(shop, customer="who", time="when", amount="who")


def test_bad_rows_are_counted_and_shown(shop):
    """One error tells of all kinds of bad rows, with the first few of each."""
    shop = shop.astype({"who": object}).assign(paid=[np.nan, np.inf, 1.0, 1.0, 1.0])
    shop.loc[1, "who"] = None
    shop.loc[3, "when"] = pd.NaT
    with pytest.raises(ValueError, match="3 of 5 rows cannot be used") as caught:
        to_histories(shop, **ROLES)
    for part in (
        "1 without an id",
        "1 without a readable time",
        "2 without a finite number",
        "inf",
    ):
        assert part in str(caught.value)


def test_bad_rows_can_be_dropped_with_a_warning(shop):
    """What is left is as if the bad rows had never been there."""
    bad = shop.assign(paid=[np.nan, -1.0, 2.5, 10.0, 3.0])
    with pytest.warns(UserWarning, match="1 of 5 rows cannot be used.*They are left out"):
        histories = to_histories(bad, **ROLES, on_bad="drop")
    pd.testing.assert_frame_equal(histories, to_histories(shop.iloc[1:], **ROLES))


def test_dropping_every_row_is_an_error(shop):
    """An empty rest is no log."""
    with pytest.raises(ValueError, match=r"5 of 5 rows cannot be used.*No row is left"):
        to_histories(shop.assign(paid=np.nan), **ROLES, on_bad="drop")


def test_on_bad_is_raise_or_drop(shop):
    """Another value is refused."""
    with pytest.raises(ValueError, match="on_bad must be 'raise' or 'drop'; got 'keep'"):
        to_histories(shop, **ROLES, on_bad="keep")


@pytest.mark.parametrize("rows", [[0], [0, 2]])
def test_a_log_of_one_row_or_one_customer(shop, rows):
    """The smallest logs have histories too."""
    histories = to_histories(shop.iloc[rows], **ROLES)
    assert histories.index.tolist() == ["bob"]
    assert histories["history"].map(len).tolist() == [len(rows)]


def test_odd_indexes_and_column_names_do_not_matter(shop):
    """The index of the log is ignored; names that are not text become text."""
    expected = to_histories(shop.rename(columns={"items": "7"}), **ROLES)
    odd = shop.rename(columns={"items": 7})
    odd.index = pd.MultiIndex.from_arrays([[1, 1, 2, 2, 2], [5, 5, 5, 5, 5]], names=["who", "x"])
    pd.testing.assert_frame_equal(to_histories(odd, **ROLES), expected)


def _polars(shop):
    return pytest.importorskip("polars").from_pandas(shop)


def _duckdb(shop):
    duckdb = pytest.importorskip("duckdb")
    return duckdb.connect().from_arrow(pa.Table.from_pandas(shop, preserve_index=False))


@pytest.mark.parametrize(
    "convert",
    [
        pytest.param(_polars, id="polars"),
        pytest.param(_duckdb, id="duckdb"),
        pytest.param(pa.Table.from_pandas, id="pyarrow"),
        pytest.param(lambda shop: pa.Table.from_pandas(shop).to_reader(), id="reader"),
        pytest.param(lambda shop: shop.convert_dtypes(dtype_backend="pyarrow"), id="arrow-dtypes"),
        pytest.param(
            lambda shop: pa.concat_tables(
                [pa.Table.from_pandas(shop.iloc[rows]) for rows in ([4, 3], [2], [0, 1])]
            ),
            id="chunks",
        ),
    ],
)
def test_every_engine_gives_the_same(shop, convert):
    """pandas, Polars, pyarrow and DuckDB frames give the same features to the last bit."""
    expected = customer_features().fit_transform(to_histories(shop, **ROLES))
    features = customer_features().fit_transform(to_histories(convert(shop), **ROLES))
    pd.testing.assert_frame_equal(features, expected, check_exact=True)


def test_nested_polars_columns_are_kept(shop):
    """Lists and structs of text, which Polars sends as views, come through."""
    pl = pytest.importorskip("polars")
    frame = pl.from_pandas(shop).with_columns(
        pair=pl.concat_list("who", "who"), all=pl.struct("who"), raw=pl.lit(b"x")
    )
    history = to_histories(frame, **ROLES).loc["cy", "history"]
    assert history[0]["pair"] == ["cy", "cy"]
    assert history[0]["all"] == {"who": "cy"}
    assert history[0]["raw"] == b"x"


def test_duckdb_uuids_and_wide_numbers():
    """UUID and HUGEINT ids and DECIMAL amounts come through."""
    duckdb = pytest.importorskip("duckdb")
    text = "01234567-89ab-cdef-0123-456789abcdef"
    columns = "timestamp '2024-05-01' AS 'when', 1.5::decimal(9, 2) AS paid"
    by_uuid = duckdb.sql(f"SELECT '{text}'::uuid AS who, {columns}")
    assert to_histories(by_uuid, **ROLES).index.tolist() == [text]
    by_number = duckdb.sql(f"SELECT 12::hugeint AS who, {columns}")
    assert to_histories(by_number, **ROLES).index.tolist() == [12]


def _through_parquet(histories):
    file = io.BytesIO()
    histories.to_parquet(file)
    return pd.read_parquet(file, dtype_backend="pyarrow")


def _through_records(histories):
    text = histories.reset_index().to_json(orient="records", date_format="iso", date_unit="us")
    return pd.DataFrame(json.loads(text)).set_index("customer")


def _through_split(histories):
    text = histories.to_json(orient="split", date_format="iso", date_unit="us")
    return pd.read_json(io.StringIO(text), orient="split").rename_axis("customer")


def _sliced(histories):
    lists = arrow_column(histories["history"]).combine_chunks()
    twice = pa.concat_arrays([lists, lists]).slice(len(lists))
    return histories.assign(history=pd.arrays.ArrowExtensionArray(twice))


@pytest.mark.parametrize(
    "travel",
    [
        pytest.param(
            _through_parquet,
            marks=pytest.mark.skipif(
                int(pa.__version__.split(".")[0]) < 20,
                reason="pandas cannot read a nested column back with Arrow before version 20",
            ),
        ),
        _through_records,
        _through_split,
        _sliced,
        lambda histories: pd.concat([histories.iloc[:30], histories.iloc[30:]]),
        lambda histories: histories.sample(frac=1, random_state=0),
        lambda histories: histories.iloc[::-2],
        lambda histories: histories[histories.index > "CustomerId_3"],
        lambda histories: histories.iloc[[5, 5, 2]],
        lambda histories: histories.assign(history=histories["history"].map(list).astype(object)),
        lambda histories: histories.assign(as_of=histories["as_of"].dt.tz_localize("UTC")),
        lambda histories: histories[["history", "as_of"]].assign(branch="north"),
    ],
)
def test_histories_survive_a_journey(histories, travel):
    """Files, JSON, slices, masks and repeats give the same features to the last bit."""
    features = customer_features().fit(histories)
    arrived = travel(histories)
    expected = features.transform(histories).loc[arrived.index]
    pd.testing.assert_frame_equal(
        features.transform(arrived), expected, check_exact=True, check_index_type=False
    )


@pytest.mark.parametrize("nothing", [[], None])
def test_a_missing_list_is_an_empty_history(histories, nothing):
    """One request with no transactions, which has lost all types, has features."""
    features = customer_features().fit(histories)
    request = pd.DataFrame({"as_of": ["2024-05-01T00:00:00Z"], "history": [nothing]})
    row = features.transform(request).iloc[0]
    assert row["rfm__frequency"] == 0
    assert np.isnan(row["rfm__recency"])


def _request(*transactions, as_of="2024-05-09T00:00:00Z"):
    return pd.DataFrame({"as_of": [as_of], "history": [list(transactions)]})


_GOOD = {"time": "2024-05-02T00:00:00Z", "amount": 1.0}


@pytest.mark.parametrize(
    ("histories", "message"),
    [
        (_request(_GOOD, _GOOD | {"time": "2024-05-01T00:00:00Z"}), "must be sorted by time: 1 tr"),
        (_request(_GOOD, as_of="2024-05-02"), "strictly before as_of; 1 rows have one at or after"),
        (_request(_GOOD | {"time": "junk"}), "1 of 1 transactions have no readable time"),
        (_request(_GOOD | {"time": None}), "1 of 1 transactions have no readable time"),
        (_request(_GOOD | {"time": 5}), "'time' must hold timestamps, dates or ISO-8601 text"),
        (_request(_GOOD, _GOOD | {"time": "2024-05-03"}), "mixes 1 times with a zone and 1"),
        (_request(_GOOD | {"amount": None}), "1 of 1 transactions have no finite amount"),
        (_request(_GOOD | {"amount": float("inf")}), "1 of 1 transactions have no finite amount"),
        (_request(_GOOD | {"amount": "1"}), "'amount' must be numeric to be summed"),
        (_request({"time": "2024-05-02"}), r"\['amount'\] not found in the transactions"),
        (_request(5), "a transaction must be a struct of time, amount, ...; got int64"),
        (_request(_GOOD, "x"), "'history' cannot be understood"),
        (_request(_GOOD, as_of=None), "1 of 1 histories have no as_of"),
        (_request(_GOOD, as_of=5), "'as_of' must hold timestamps"),
        (
            pd.DataFrame({"as_of": ["2024-05-01"], "history": ["x"]}),
            "lists of transactions; got str",
        ),
        (pd.DataFrame({"as_of": ["2024-05-01"]}), r"one 'history', .* columns are \['as_of'\]"),
        (_request().iloc[:0], "histories have 0 rows"),
    ],
)
def test_histories_that_cannot_be_used(histories, message):
    """Histories made by hand are checked, and the error says what is wrong."""
    with pytest.raises(ValueError, match=message):
        flatten(histories)


def test_histories_must_be_a_frame(histories):
    """An array is refused."""
    with pytest.raises(TypeError, match=r"histories must be a pandas DataFrame .* got ndarray"):
        flatten(histories.to_numpy())
