"""Any log, in any form that people keep logs in, gives the same scores to the last bit."""

import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from rfmrisk import Scorecard, WOEEncoder, customer_features, to_histories
from rfmrisk.scoring.files import score_file
from rfmrisk.scoring.metadata import ModelMetadata
from rfmrisk.scoring.model import ScoringModel, typical_values
from tests.conftest import examples

ROLES = {"customer": "id", "time": "at", "amount": "paid"}
END = pd.Timestamp("2024-03-01")
LEVELS = ["01", "1", "NA", "null", "nan", "true", "1e5", "café", 'a"b', "x;y", "x,y", "6-7", None]
IDS = {"text": ["a", "01", "1", "b c", "NaN-1"], "numbers": [7, 12, 450, 2**53 + 1, 2**53 + 2]}


@pytest.fixture(scope="module")
def model():
    """Give a scorecard of every kind of field."""
    rng = np.random.default_rng(0)
    n = 600
    log = pd.DataFrame(
        {
            "id": rng.integers(0, 80, n),
            "at": END - pd.to_timedelta(rng.integers(1, 5_000, n), "h"),
            "paid": rng.normal(10, 4, n).round(2),
            "shop": rng.choice(LEVELS[:-1], n),
            "code": rng.choice(["007", "042"], n),
            "flag": rng.random(n) < 0.5,
            "balance": rng.integers(-50, 900, n),
        }
    )
    histories = to_histories(log, **ROLES, as_of=END)
    features = customer_features(categories=["shop", "code", "flag"], numbers=["balance"])
    table = features.fit_transform(histories)
    y = np.arange(len(table)) % 3 == 0
    typical = typical_values(table)
    metadata = ModelMetadata(threshold=0.5, features=list(typical), typical=typical, roles=ROLES)
    card = make_pipeline(features, Scorecard(WOEEncoder(min_iv=0), LogisticRegression()))
    return ScoringModel(card.fit(histories, y), metadata)


def logs():
    """Draw logs whose columns lack values now and then, with ids of either kind."""
    return st.sampled_from(sorted(IDS)).flatmap(
        lambda kind: st.lists(
            st.tuples(
                st.sampled_from(IDS[kind]),
                st.integers(1, 10**12),
                st.floats(-1e6, 1e6, allow_subnormal=False),
                st.sampled_from(LEVELS),
                st.sampled_from(["007", "042", None]),
                st.sampled_from([True, False, None]),
                st.none() | st.integers(-(10**9), 10**9),
            ),
            min_size=1,
            max_size=12,
        )
    )


def arrow(rows):
    """Return a drawn log as an Arrow table."""
    ids, ago, paid, shop, code, flag, balance = zip(*rows, strict=True)
    kinds = [pa.string(), pa.string(), pa.bool_(), pa.int64()]
    others = [
        pa.array(values, kind)
        for values, kind in zip((shop, code, flag, balance), kinds, strict=True)
    ]
    at = END.to_datetime64().astype("datetime64[us]") - np.array(ago, dtype="timedelta64[us]")
    columns = [pa.array(ids), pa.array(at), pa.array(paid), *others]
    return pa.table(columns, names=["id", "at", "paid", "shop", "code", "flag", "balance"])


def as_csv(table, separator, encoding):
    """Write a table as text, a missing value as nothing."""
    text = io.StringIO()
    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    frame.to_csv(text, index=False, sep=separator)
    return text.getvalue().encode(encoding)


def plain(scores):
    """Return scores by the customer's id as text, which is all that a file of text keeps."""
    return scores.set_axis(scores.index.astype(str)).sort_index()


@settings(
    deadline=None,
    max_examples=examples(25),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rows=logs())
def test_any_log_in_any_form(model, tmp_path_factory, rows):
    """Files of text and Parquet, pandas, Polars and DuckDB give the scores that Arrow gives."""
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    polars = pytest.importorskip("polars", reason="polars is not installed")
    table = arrow(rows)
    expected = plain(model.score(to_histories(table, **ROLES, as_of=END)))
    for log in (
        table.to_pandas(),
        table.to_pandas(types_mapper=pd.ArrowDtype),
        polars.from_arrow(table),
        duckdb.from_arrow(table).arrow(),
    ):
        found = plain(model.score(to_histories(log, **ROLES, as_of=END)))
        pd.testing.assert_frame_equal(found, expected, check_exact=True, check_index_type=False)
    folder = tmp_path_factory.mktemp("forms")
    pa.parquet.write_table(table, folder / "log.parquet")
    (folder / "log.csv").write_bytes(as_csv(table, ",", "utf-8"))
    (folder / "other.csv").write_bytes(as_csv(table, ";", "utf-16"))
    for name in ("log.parquet", "log.csv", "other.csv"):
        scored = folder / f"{name}.scores.parquet"
        score_file(model, folder / name, scored, as_of=END)
        found = plain(pd.read_parquet(scored))
        pd.testing.assert_frame_equal(found, expected, check_exact=True, check_index_type=False)
