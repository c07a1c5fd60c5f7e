"""The door, the features and the scores on a real Spark equal the local ones, errors included."""

import datetime as dt
import decimal
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import rfmrisk
from rfmrisk import ProxyLabeler, RFMAggregator, Scorecard, WOEEncoder, customer_features

pytest.importorskip("pyspark", reason="the extra 'spark' is not installed")
if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
    pytest.skip("Spark needs Java, which is not installed", allow_module_level=True)

from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812 (its usual name)

from rfmrisk import spark
from rfmrisk.scoring.metadata import ModelMetadata
from rfmrisk.scoring.model import ScoringModel, typical_values
from rfmrisk.scoring.probability import bad_probability
from rfmrisk.training import train

ROLES = {"customer": "who", "time": "when", "amount": "paid"}
NOON = dt.datetime(2024, 5, 1, 12)


@pytest.fixture(scope="module")
def session():
    """Give a Spark in this machine, far from UTC."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    made = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.memory", "2g")
        .config("spark.sql.session.timeZone", "America/New_York")
        .config("spark.sql.shuffle.partitions", "3")
        .config("spark.ui.enabled", "false")
        .getOrCreate()
    )
    made.sparkContext.setLogLevel("ERROR")
    yield made
    made.stop()


def as_local(df):
    """Return a Spark frame of customers as pandas, sorted as the local door sorts."""
    table = df.toArrow().to_pandas(
        types_mapper=lambda kind: pd.ArrowDtype(kind) if pa.types.is_list(kind) else None
    )
    return table.set_index("customer").sort_index()


def listed(histories):
    """Return histories as plain values, which have no types to differ in."""
    return [list(history) for history in histories["history"]]


@pytest.fixture(scope="module")
def on_spark(session, tmp_path_factory):
    """Give a function that brings a local frame to Spark through a Parquet file."""

    def bring(log, n_partitions=5):
        path = tmp_path_factory.mktemp("log") / "log.parquet"
        log.to_parquet(path, index=False)
        return session.read.parquet(str(path)).repartition(n_partitions)

    return bring


def check_equal(log, roles, df):
    """Assert that features, scores and probabilities are equal to the last bit."""
    histories = rfmrisk.to_histories(log, **roles)
    features = customer_features().fit(histories)
    y = ProxyLabeler().fit_predict(RFMAggregator().fit_transform(histories))
    card = make_pipeline(features, Scorecard(WOEEncoder(), LogisticRegression())).fit(histories, y)
    plain = make_pipeline(features, WOEEncoder(), LogisticRegression()).fit(histories, y)
    typical = typical_values(features.transform(histories))
    model = ScoringModel(
        card, ModelMetadata(threshold=0.5, features=list(typical), typical=typical)
    )

    made = spark.to_histories(df, **roles).cache()
    exactly = {"check_exact": True, "check_index_type": False}
    table = as_local(spark.transform(made, features)).drop(columns="as_of")
    pd.testing.assert_frame_equal(table, features.transform(histories), **exactly)
    scores = as_local(spark.predict(made, model))
    pd.testing.assert_frame_equal(scores, model.score(histories), **exactly)
    probability = as_local(spark.predict(made, plain))["probability"]
    assert (probability == bad_probability(plain, histories)).all()
    made.unpersist()


def test_a_real_log_gives_what_it_gives_locally(on_spark, real_log):
    """Features, scores and probabilities of a real log are the local ones."""
    log, roles = real_log
    check_equal(log, roles, on_spark(log, 7))


@pytest.mark.parametrize("n_partitions", [1, 40])
def test_the_number_of_partitions_changes_nothing(on_spark, log, n_partitions):
    """One partition, or one for every other customer: the answer is the same."""
    roles = {"customer": "CustomerId", "time": "TransactionStartTime", "amount": "Amount"}
    check_equal(log, roles, on_spark(log, n_partitions))


def test_histories_equal_the_local_ones(on_spark, log):
    """Every transaction is in its place, those at the same time too, with all its fields."""
    log = pd.concat([log, log.assign(Amount=-log["Amount"])])
    made = as_local(spark.to_histories(on_spark(log, 4)))
    expected = rfmrisk.to_histories(log)
    assert made.index.tolist() == expected.index.tolist()
    assert (made["as_of"] == expected["as_of"]).all()
    assert listed(made) == listed(expected)
    again = rfmrisk.customer_features().fit(expected)
    pd.testing.assert_frame_equal(
        again.transform(made), again.transform(expected), check_index_type=False
    )


def test_duplicates_are_dropped_as_they_are_locally(on_spark, log):
    """Of rows that are equal in all columns one is taken, wherever in the cluster they lie."""
    twice = pd.concat([log, log[::3], log[::30]])
    made = as_local(spark.to_histories(on_spark(twice, 4), duplicates="drop"))
    expected = rfmrisk.to_histories(log)
    assert made.index.tolist() == expected.index.tolist()
    assert listed(made) == listed(expected)


@pytest.mark.parametrize("as_of", ["2018-12-20T12:00:00Z", dt.date(2018, 12, 20)])
def test_a_moment_of_decision(on_spark, log, as_of):
    """Histories end strictly before the moment, and newcomers are left out."""
    made = as_local(spark.to_histories(on_spark(log), as_of=as_of))
    expected = rfmrisk.to_histories(log, as_of=as_of)
    assert made.index.tolist() == expected.index.tolist()
    assert listed(made) == listed(expected)


def test_decisions(on_spark, log):
    """A frame of decisions gives one row each, strangers and repeated customers included."""
    ids = log["CustomerId"].unique()
    asked = pd.DataFrame({"CustomerId": [*ids, *ids[:5], "a stranger"]})
    moments = pd.date_range("2018-11-01", "2019-03-01", len(asked)).astype(str)
    asked = asked.assign(as_of=moments)
    made = spark.to_histories(on_spark(log), as_of=on_spark(asked, 3))
    table = as_local(made).reset_index().sort_values(["customer", "as_of"])
    expected = rfmrisk.to_histories(log, as_of=asked).reset_index()
    expected = expected.sort_values(["customer", "as_of"])
    assert table["customer"].tolist() == expected["customer"].tolist()
    assert table["as_of"].tolist() == expected["as_of"].tolist()
    assert listed(table) == listed(expected)
    features = rfmrisk.customer_features().fit(rfmrisk.to_histories(log))
    assert spark.transform(made, features).count() == len(asked)


def test_other_columns_of_decisions(on_spark, log):
    """What is known of an application is kept, and makes the features that it makes locally."""
    ids = [*log["CustomerId"].unique(), "a stranger"]
    asked = pd.DataFrame({"customer": ids, "as_of": pd.Timestamp("2019-02-01")})
    asked["asked.for"] = np.linspace(0.1, 9.9, len(asked))
    asked["purpose"] = np.where(np.arange(len(asked)) % 3, "car", None)
    made = spark.to_histories(on_spark(log), as_of=on_spark(asked))
    assert made.columns == ["customer", "as_of", "asked.for", "purpose", "history"]
    local = rfmrisk.to_histories(log, as_of=asked).sort_index()
    features = rfmrisk.customer_features().fit(local)
    table = as_local(spark.transform(made, features))
    expected = features.transform(local)
    columns = ["application__asked.for", "application__purpose", "rfm__monetary"]
    for name in columns:
        assert table[name].fillna("-").tolist() == expected[name].fillna("-").tolist()


def test_decisions_are_scored_with_their_attributes(session, on_spark, log):
    """A model of histories and attributes gives the same scores, grades and reasons as locally."""
    ids = log["CustomerId"].unique()
    asked = pd.DataFrame({"customer": ids, "as_of": pd.Timestamp("2019-02-01")})
    asked["requested"] = np.random.default_rng(0).permutation(len(asked)) * 10.0
    asked["purpose"] = np.where(np.arange(len(asked)) % 3, "car", None)
    local = rfmrisk.to_histories(log, as_of=asked).sort_index()
    y = (local["requested"].to_numpy() > 5 * len(local)) ^ (np.arange(len(local)) % 7 == 0)
    result = train(local, y.astype(int), models=["scorecard"], cv=2, proxy=False, grades=[500])
    assert "application__requested" in result.model.scorer.used
    made = spark.to_histories(on_spark(log), as_of=on_spark(asked))
    table = as_local(spark.predict(made, result.model).drop("history"))
    expected = result.model.score(local).drop(columns="as_of")
    pd.testing.assert_frame_equal(
        table[expected.columns], expected, check_dtype=False, check_exact=True
    )


def test_more_partitions_than_customers(session):
    """Empty partitions give nothing, and a further column of the histories goes along."""
    df = session.createDataFrame([("ann", NOON, 1.0), ("bob", NOON, 2.0)], list(ROLES.values()))
    made = spark.to_histories(df.repartition(20), **ROLES).repartition(20)
    assert made.count() == 2
    labelled = made.withColumn("y", F.lit(1))
    rfm = RFMAggregator().fit(rfmrisk.to_histories(df.toArrow(), **ROLES))
    table = spark.transform(labelled, rfm)
    assert table.columns == ["customer", "as_of", "y", "recency", "frequency", "monetary"]
    assert [row.frequency for row in table.collect()] == [1, 1]
    nobody = made.where("customer = 'cy'")
    assert spark.transform(nobody, rfm).count() == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:customer 0 in 'who' has 98%:UserWarning")
def test_a_customer_with_a_million_transactions(on_spark):
    """One customer with most of the log is one history, and the others are as they were."""
    rng = np.random.default_rng(0)
    n = 1_000_000
    who = np.concatenate((np.zeros(n, dtype=int), rng.integers(1, 1_000, 20_000)))
    when = np.datetime64("2024-01-01", "us") + rng.integers(10**13, size=len(who))
    log = pd.DataFrame({"who": who, "when": when, "paid": rng.normal(size=len(who)).round(2)})
    expected = rfmrisk.to_histories(log, **ROLES)
    features = customer_features().fit(expected)
    table = as_local(spark.transform(spark.to_histories(on_spark(log, 8), **ROLES), features))
    pd.testing.assert_frame_equal(
        table.drop(columns="as_of"), features.transform(expected), check_exact=True
    )


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("timestamp", ["2024-05-01 23:30:00", "2024-05-02 01:15:00.25"]),
        ("timestamp_ntz", ["2024-05-01 23:30:00", "2024-05-02 01:15:00.25"]),
        ("date", ["2024-05-01", "2024-05-02"]),
        ("string", ["2024-05-01T23:30:00-04:00", "2024-05-02T01:15:00.25Z"]),
        ("string", ["2024-05-01", "2024-05-02T01:15"]),
    ],
)
def test_times_of_every_kind(session, kind, values):
    """Moments are moments in any session zone; what has no zone is UTC; as in Parquet."""
    rows = [("ann", value) for value in values]
    df = session.createDataFrame(rows, ["who", "when"])
    df = df.withColumn("when", F.col("when").cast(kind)).withColumn("paid", F.lit(1.5))
    made = as_local(spark.to_histories(df, **ROLES))
    expected = rfmrisk.to_histories(df.toArrow(), **ROLES)
    assert listed(made) == listed(expected)
    assert (made["as_of"] == expected["as_of"]).all()
    if kind == "timestamp":
        assert listed(made)[0][0]["time"] == pd.Timestamp("2024-05-02T03:30:00")


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        ([17, 5, 17], "bigint"),
        ([17, 5, 17], "tinyint"),
        ([17, 5, 17], "decimal(20,0)"),
        ([17.0, 5.0, 17.0], "double"),
        (["017", "17", "017"], "string"),
    ],
)
def test_ids_and_amounts_of_every_kind(session, ids, kind):
    """Ids become whole numbers or text, decimals amounts, as at the local door."""
    rows = [(who, NOON, decimal.Decimal("10.25")) for who in ids]
    df = session.createDataFrame(rows, list(ROLES.values()))
    df = df.withColumn("who", F.col("who").cast(kind))
    made = as_local(spark.to_histories(df, **ROLES))
    expected = rfmrisk.to_histories(df.toArrow(), **ROLES)
    assert made.index.tolist() == expected.index.tolist()
    assert listed(made) == listed(expected)


GOOD = {
    "who": ["ann", "bob", "cy", "dee"],
    "when": ["2024-05-01"] * 4,
    "paid": [1.0, 2.0, 3.0, 4.0],
}


def told(call):
    """Return what a call raises or warns, in words."""
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    return type(caught.value), str(caught.value)


@pytest.mark.parametrize(
    ("change", "options"),
    [
        ({"paid": None}, {}),
        ({"who": None, "when": None}, {}),
        ({"time": [1, 2, 3, 4]}, {}),
        ({"who": [dt.date(2024, 1, 1)] * 4}, {}),
        ({"paid": [True] * 4}, {}),
        ({}, {"on_bad": "keep"}),
        ({}, {"as_of": "tomorrow"}),
        ({}, {"time": "who", "customer": "who"}),
    ],
)
def test_what_the_schema_tells_is_raised_before_a_task(session, change, options):
    """Missing columns, wrong types and options end in the local words, and no task has run."""
    columns = {name: values for name, values in (GOOD | change).items() if values is not None}
    df = session.createDataFrame(pa.table(columns))
    expected = told(lambda: rfmrisk.to_histories(pa.table(columns), **(ROLES | options)))
    session.sparkContext.setJobGroup("schema", "only")
    assert told(lambda: spark.to_histories(df, **(ROLES | options))) == expected
    session.sparkContext.setLocalProperty("spark.jobGroup.id", None)
    tracker = session.sparkContext.statusTracker()
    jobs = [tracker.getJobInfo(number) for number in tracker.getJobIdsForGroup("schema")]
    assert sum(len(job.stageIds) for job in jobs) == 0


@pytest.mark.parametrize(
    ("change", "options"),
    [
        ({"who": [None, "bob", "cy", "dee"]}, {}),
        (
            {"when": ["2024-05-01", "soon", None, "2024-05-01"], "paid": [1.0, 2.0, None, np.inf]},
            {},
        ),
        ({"when": ["2024-05-01", "2024-05-02T10:00Z", "2024-05-01", "2024-05-01"]}, {}),
        ({"when": ["2024-05-01", "2024-05-01", "2024-05-01", "2024-05-02T10:00Z"]}, {}),
        ({"who": [1.0, 2.0, 3.0, 4.5]}, {}),
        ({"who": [None] * 4, "paid": [None] * 4}, {"on_bad": "drop"}),
        ({}, {"as_of": "2020-01-01"}),
        (
            {
                "who": pa.array([], pa.string()),
                "when": pa.array([], pa.string()),
                "paid": pa.array([], pa.float64()),
            },
            {},
        ),
    ],
)
def test_what_only_the_rows_tell_is_counted_in_all_partitions(session, change, options):
    """Bad rows and mixed zones are counted over the whole log, in the local words."""
    df = session.createDataFrame(pa.table(GOOD | change)).repartition(2)
    expected = told(lambda: rfmrisk.to_histories(df.toArrow(), **(ROLES | options)))
    assert told(lambda: spark.to_histories(df, **(ROLES | options))) == expected


def test_bad_rows_are_left_out_with_a_warning_that_counts_them(session):
    """on_bad="drop" warns once, in the local words, and gives what the local door gives."""
    columns = GOOD | {"who": [None, "bob", "cy", "dee"], "paid": [1.0, 2.0, np.nan, 4.0]}
    df = session.createDataFrame(pa.table(columns)).repartition(2)
    with pytest.warns(UserWarning, match="They are left out") as locally:
        expected = rfmrisk.to_histories(df.toArrow(), **ROLES, on_bad="drop")
    with pytest.warns(UserWarning, match="2 of 4 rows cannot be used") as warned:
        made = spark.to_histories(df, **ROLES, on_bad="drop")
    (message,) = [w.message for w in warned if w.category is UserWarning]
    assert str(message) == str(locally[0].message)
    assert listed(as_local(made)) == listed(expected)


@pytest.mark.parametrize(
    "decisions",
    [
        {"customer": [1], "as_of": ["2024-05-02"]},
        {"customer": ["ann"]},
        {"as_of": ["2024-05-02"]},
        {"customer": ["ann"], "as_of": pa.array([None], pa.string())},
        {"customer": pa.array([None], pa.string()), "as_of": ["2024-05-02"]},
        {"customer": ["ann", "bob"], "as_of": ["2024-05-02", "2024-05-02T10:00Z"]},
        {"customer": pa.array([], pa.string()), "as_of": pa.array([], pa.string())},
        {"customer": ["ann"], "as_of": [7]},
    ],
)
def test_decisions_that_cannot_be_used(session, decisions):
    """Frames of decisions are refused in the local words."""
    log = session.createDataFrame(pa.table(GOOD))
    asked = session.createDataFrame(pa.table(decisions))
    expected = told(
        lambda: rfmrisk.to_histories(pa.table(GOOD), **ROLES, as_of=pa.table(decisions))
    )
    assert told(lambda: spark.to_histories(log, **ROLES, as_of=asked)) == expected


def test_names_with_dots_and_in_two_cases(session):
    """A column's name may be one that Spark's own expressions would not find."""
    table = pa.table({"a.b": ["ann"], "when`s": ["2024-05-01"], "Paid": [1.0], "paid": [2.0]})
    roles = {"customer": "a.b", "time": "when`s", "amount": "Paid"}
    session.conf.set("spark.sql.caseSensitive", "true")
    made = as_local(spark.to_histories(session.createDataFrame(table), **roles))
    session.conf.unset("spark.sql.caseSensitive")
    assert listed(made) == listed(rfmrisk.to_histories(table, **roles))


def test_a_model_is_loaded_once(session, histories):
    """A process that has a model does not load it again."""
    rfm = RFMAggregator().fit(histories)
    one, other = (spark._Shipped.of(rfm, session) for _ in range(2))
    assert one.load() is one.load()
    assert other.load().get_params() == rfm.get_params()


def test_without_pyspark_the_error_says_what_to_install():
    """Importing the module without its extra names the extra."""
    code = "import sys; sys.modules['pyspark'] = None; import rfmrisk.spark"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "python -m pip install 'rfmrisk[spark]'" in done.stderr


def test_the_code_of_the_page_on_scale_runs(session, tmp_path):
    """What the documentation shows of Spark can be typed as it stands."""
    pytest.importorskip("xgboost", reason="xgboost is not installed")
    page = Path(__file__).parents[1] / "docs" / "scale.md"
    # Spark looks for files where its JVM was started.
    text = page.read_text(encoding="utf-8").replace("log.parquet", f"{tmp_path}/log.parquet")
    blocks = re.findall(r"^```\{code-block\} python\n(.*?)^```", text, re.M | re.S)
    names: dict = {}
    exec(compile("\n".join(blocks), "scale.md", "exec"), names)  # noqa: S102 (the page is ours)
    risk = names["risk"].toArrow()
    assert risk.num_rows == names["histories"].count()
    assert np.isfinite([row["probability"]["values"] for row in risk.to_pylist()]).all()
