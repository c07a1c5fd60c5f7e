"""Other columns of the decision: kept beside the history, and made features of."""

import io

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rfmrisk import ApplicationColumns, customer_features, rewind, to_histories
from rfmrisk.datasets import make_transactions

LOG = make_transactions(n_customers=60, random_state=0)
IDS = sorted(LOG["CustomerId"].unique())[:40]


def loans(**columns):
    """Make one decision a customer, with other columns."""
    return pd.DataFrame({"customer": IDS, "as_of": pd.Timestamp("2019-05-01")} | columns)


COLUMNS = {
    "asked": np.linspace(100.0, 5_000.0, len(IDS)),
    "term": np.arange(len(IDS)) % 3 * 15 + 15,
    "age": pd.array([None, *range(21, 20 + len(IDS))], "Int64"),
    "purpose": ["car", "home", None, "other"] * 10,
    "region": pd.Categorical(["n", "s"] * 20),
    "married": np.arange(len(IDS)) % 2 == 0,
}


def test_the_columns_of_decisions_are_kept_with_their_types():
    """Each other column of the frame stands beside as_of, in its order and with its type."""
    asked = loans(**COLUMNS)
    histories = to_histories(LOG, as_of=asked)
    assert histories.columns.tolist() == ["as_of", *COLUMNS, "history"]
    for name in COLUMNS:
        expected = asked[name].set_axis(histories.index)
        pd.testing.assert_series_equal(histories[name], expected)


@pytest.mark.parametrize("engine", ["arrow", "polars", "indexed"])
def test_decisions_of_every_engine_have_the_same_features(engine):
    """Numbers are float64, categories text, whatever frame the decisions came in."""
    asked = loans(**COLUMNS)
    expected = ApplicationColumns().fit_transform(to_histories(LOG, as_of=asked))
    other = {
        "arrow": lambda: pa.Table.from_pandas(asked),
        "polars": lambda: pl.from_pandas(asked),
        "indexed": lambda: asked.set_index("customer"),
    }[engine]()
    found = ApplicationColumns().fit_transform(to_histories(LOG, as_of=other))
    pd.testing.assert_frame_equal(found, expected)
    assert expected.dtypes.map(str).to_dict() == {
        name: "float64" if name in ("asked", "term", "age") else "str" for name in COLUMNS
    }
    assert expected["married"].unique().tolist() == ["true", "false"]


def test_histories_with_other_columns_survive_parquet():
    """A round trip through Parquet gives the same features."""
    histories = to_histories(LOG, as_of=loans(**COLUMNS))
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(histories), file)
    again = pd.read_parquet(file, dtype_backend="pyarrow")
    fitted = ApplicationColumns().fit(histories)
    pd.testing.assert_frame_equal(
        fitted.transform(again), fitted.transform(histories), check_index_type=False
    )


def test_they_are_part_of_customer_features():
    """The union calls them application__..., and has none where the histories have none."""
    union = customer_features()
    with_them = union.fit_transform(to_histories(LOG, as_of=loans(**COLUMNS)))
    ours = [name for name in with_them if name.startswith("application__")]
    assert ours == [f"application__{name}" for name in COLUMNS]
    without = union.fit_transform(to_histories(LOG, as_of=loans()))
    assert without.columns.tolist() == [name for name in with_them if name not in ours]


def test_what_was_asked_for_is_not_known_earlier():
    """Rewinding leaves out what describes the decision."""
    histories = to_histories(LOG, as_of=loans(**COLUMNS))
    assert rewind(histories, "30D").columns.tolist() == ["as_of", "history"]


def test_columns_that_no_feature_is_made_of_are_named():
    """Dates, names and columns without a value are left out with a warning that says why."""
    histories = to_histories(
        LOG,
        as_of=loans(
            asked=1.0,
            opened=pd.Timestamp("2019-01-01"),
            loan=[f"loan {number}" for number in range(len(IDS))],
            empty=np.nan,
        ),
    )
    expected = (
        r"'opened' \(of type timestamp.*\), "
        r"'loan' \(40 different texts, more than 30\), 'empty' \(missing everywhere\)"
    )
    with pytest.warns(UserWarning, match=expected):
        fitted = ApplicationColumns(max_categories=30).fit(histories)
    assert fitted.columns_ == {"asked": "number"}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("asked", "'columns' .* an array-like or None. Got 'asked' "),
        (["asked", "turn"], r"no column 'turn', which is needed beside as_of; they have \['asked"),
        (["opened"], "column 'opened' of the decisions must hold numbers, text"),
    ],
)
def test_columns_that_cannot_be_taken_are_refused(columns, message):
    """A column that is missing or holds dates is named."""
    histories = to_histories(LOG, as_of=loans(asked=1.0, opened=pd.Timestamp("2019-01-01")))
    with pytest.raises(ValueError, match=message):
        ApplicationColumns(columns).fit(histories)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"asked": ["many"] * 40}, "'asked' of the decisions held numbers.*string, such as 'many'"),
        ({"asked": np.inf}, "column 'asked' of the decisions holds 40 infinite values"),
        ({"purpose": 3}, "'purpose' of the decisions held categories.*int64, such as 3"),
        ({"term": None}, None),
        ({"purpose": None}, None),
        ({"purpose": np.nan}, None),
    ],
)
def test_columns_of_another_type_than_in_training_are_refused(change, message):
    """Numbers stay numbers and categories categories; values that are all missing go with both."""
    fitted = ApplicationColumns().fit(to_histories(LOG, as_of=loans(**COLUMNS)))
    changed = to_histories(LOG, as_of=loans(**(COLUMNS | change)))
    if message is None:
        (name,) = change
        assert fitted.transform(changed)[name].isna().all()
    else:
        with pytest.raises(ValueError, match=message):
            fitted.transform(changed)


def test_a_column_that_is_missing_when_scoring_is_named():
    """A model of applications refuses histories without them."""
    fitted = ApplicationColumns().fit(to_histories(LOG, as_of=loans(**COLUMNS)))
    with pytest.raises(ValueError, match=r"no column 'asked'.*they have \[\]"):
        fitted.transform(to_histories(LOG))


@pytest.mark.parametrize("name", ["history", "CustomerId"])
def test_names_of_the_histories_are_refused(name):
    """A column of the decisions cannot have a name that the histories need."""
    with pytest.raises(ValueError, match=r"columns called \['(history|customer)'\]"):
        to_histories(LOG, as_of=loans(**{name: IDS}))
