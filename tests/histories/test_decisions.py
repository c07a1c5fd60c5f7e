"""Decisions with outcomes: matched to the log, matured, and refused where they cannot be right."""

import numpy as np
import pandas as pd
import pytest

from rfmrisk import to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.histories.decisions import decided_histories, parse_outcomes
from rfmrisk.histories.options import ReadingOptions
from rfmrisk.histories.tables import read_frame
from rfmrisk.training import train
from rfmrisk.training.exchange import read_histories, to_records, write_histories
from rfmrisk.training.report.watch import to_watch
from tests.training.small import SMALL

ROLES = {"customer": "CustomerId", "time": "TransactionStartTime", "amount": "Amount"}


@pytest.fixture(scope="module")
def log():
    return make_transactions(n_customers=60, random_state=0)


@pytest.fixture
def loans(log):
    """Give one decision of each customer, with an amount and an outcome."""
    ids = log["CustomerId"].unique()
    return pd.DataFrame(
        {
            "CustomerId": ids,
            "as_of": pd.Timestamp("2019-03-01"),
            "asked": np.arange(len(ids)) * 10.0,
            "bad": np.arange(len(ids)) % 2,
        }
    )


def test_an_outcome_stays_with_its_decision(log, loans):
    """Order, outcome and attributes are those of the decisions, under any column names."""
    loans = loans.sample(frac=1, random_state=1).astype({"bad": object})
    loans.iloc[3, 3] = None
    decided = decided_histories(
        log,
        loans.rename(columns={"CustomerId": "who", "as_of": "when"}),
        target="bad",
        roles=ROLES,
        decision_customer="who",
        decision_time="when",
    )
    assert decided.histories.index.tolist() == loans["CustomerId"].tolist()
    assert decided.histories["asked"].tolist() == loans["asked"].tolist()
    np.testing.assert_array_equal(decided.outcomes, loans["bad"].astype(float))
    assert list(decided.histories) == ["as_of", "asked", "history"]


def test_young_decisions_are_left_out_and_counted(log, loans):
    """A decision whose performance window is not over at as_of has no outcome yet."""
    loans.loc[:9, "as_of"] = pd.Timestamp("2019-04-01")
    options = {"target": "bad", "roles": ROLES, "performance_window": "30D"}
    decided = decided_histories(log, loans, as_of="2019-04-15", **options)
    assert decided.n_immature == 10
    assert len(decided.outcomes) == len(loans) - 10
    assert decided_histories(log, loans, as_of="2019-05-01", **options).n_immature == 0
    with pytest.raises(ValueError, match="none of the"):
        decided_histories(log, loans, as_of="2019-03-02", **options)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 1, None], [0, 1, np.nan]),
        ([True, False, None], [1, 0, np.nan]),
        (["1", " 0", ""], [1, 0, np.nan]),
        (["1.0", "0.0", None], [1, 0, np.nan]),
    ],
)
def test_outcomes_as_files_have_them(values, expected):
    """Numbers, booleans and text of 0, 1 and empty are outcomes."""
    np.testing.assert_array_equal(parse_outcomes(pd.Series(values), "bad"), expected)


@pytest.mark.parametrize("values", [[0, 2], ["yes", "no"], [0.5, 1], [-1, 1], ["0", "?"]])
def test_other_outcomes_are_refused(values):
    """What is neither 0, 1 nor empty is named."""
    with pytest.raises(ValueError, match=r"'bad' must be 0 .*got also"):
        parse_outcomes(pd.Series(values), "bad")


@pytest.mark.parametrize("column", ["CustomerId", "as_of", "bad"])
def test_a_missing_column_is_named(log, loans, column):
    """The error says which column was looked for, and which there are."""
    with pytest.raises(ValueError, match=rf"no column '{column}'.*asked"):
        decided_histories(log, loans.drop(columns=column), target="bad", roles=ROLES)


def test_one_decision_has_one_outcome(log, loans):
    """Two outcomes of one decision are an error; the same twice, or once unknown, is one."""
    twice = pd.concat([loans.assign(bad=np.nan), loans], ignore_index=True)
    decided = decided_histories(log, twice, target="bad", roles=ROLES)
    np.testing.assert_array_equal(decided.outcomes, loans["bad"])
    twice = pd.concat([loans, loans.assign(bad=1 - loans["bad"])])
    with pytest.raises(ValueError, match="60 decisions have two different outcomes"):
        decided_histories(log, twice, target="bad", roles=ROLES)


def test_ids_of_a_file_keep_their_zeros(tmp_path):
    """Where the ids of the log are text, those of the decisions are."""
    path = tmp_path / "loans.csv"
    path.write_text("who,bad\n007,1\n")
    of = {"of": "the decisions", "ids": "who"}
    assert read_frame(path, needed=["who"], **of)["who"].tolist() == ["007"]
    path.write_text("who;bad\n17;1\n")
    assert read_frame(path, needed=["who"], **of)["who"].tolist() == [17]
    assert read_frame(path, needed=["who"], ids_are_text=True, **of)["who"].tolist() == ["17"]
    with pytest.raises(FileNotFoundError, match="no file of decisions"):
        read_frame(tmp_path / "none.csv", needed=["who"], **of)
    with pytest.raises(ValueError, match=r"\['when'\] not found in the decisions; .*'bad'"):
        read_frame(path, needed=["who", "when"], **of)


@pytest.mark.parametrize(
    ("content", "options", "times"),
    [
        ("who;when;asked\na;03.04.2019;1.000,5\nb;23.04.2019;7,25\n", {}, ["04-03", "04-23"]),
        ("who,when\na,03/04/2019\nb,05/06/2019\n", {"time_format": "%m/%d/%Y"}, ["03-04", "05-06"]),
    ],
)
def test_files_of_decisions_are_read_as_logs_are(tmp_path, content, options, times):
    """Separator, decimal comma and dates are recognised; where two are possible, options decide."""
    path = tmp_path / "loans.csv"
    path.write_text(content, encoding="cp1252")
    of = {"of": "the decisions", "needed": ["who", "when"], "time": "when"}
    if options:
        with pytest.raises(ValueError, match="time_format"):
            read_frame(path, **of)
    table = read_frame(path, **of, options=ReadingOptions(**options))
    assert table["when"].dt.strftime("%m-%d").tolist() == times
    if "asked" in table:
        assert table["asked"].tolist() == [1000.5, 7.25]


def test_decisions_outside_of_the_log_are_counted(log, loans):
    """Those before its first transaction or after its last day are warned of; all are refused."""
    options = {"target": "bad", "roles": ROLES}
    for time, message in (
        ("2001-01-01", "20 of 60 .* before"),
        ("2031-01-01", "20 of 60 .* after"),
    ):
        asked = loans.copy()
        asked.loc[:19, "as_of"] = pd.Timestamp(time)
        with pytest.warns(UserWarning, match=message):
            decided_histories(log, asked, **options)
    with pytest.raises(ValueError, match="no transaction lies before as_of=2001"):
        decided_histories(log, loans.assign(as_of="2001-01-01"), **options)


@pytest.mark.parametrize("leak", ["the target", "a ranking", "a word", "a flag"])
def test_a_column_that_knows_the_outcome_is_named(leak):
    """An attribute that is the outcome, or ranks it, raises the alarm in Python and in the card."""
    log = make_transactions(n_customers=200, random_state=0)
    rng = np.random.default_rng(0)
    ids = log["CustomerId"].unique()
    bad = np.arange(len(ids)) % 3 == 0
    column = {
        "the target": bad.astype(int),
        "a ranking": rng.normal(0, 0.1, len(ids)) - bad.astype(float),
        "a word": np.where(bad, "late", "paid"),
        "a flag": bad,
    }[leak]
    loans = pd.DataFrame({"customer": ids, "as_of": "2019-03-01", "asked": rng.random(len(ids))})
    histories = to_histories(log, as_of=loans.assign(told=column))
    tree = {"decision_tree": SMALL["decision_tree"]}
    with pytest.warns(UserWarning, match="leakage: alone, told") as warned:
        result = train(histories, bad, models=tree, cv=2, proxy=False)
    named = [str(w.message) for w in warned if str(w.message).startswith("leakage")]
    assert len(named) == 1
    assert "told (" in named[0]
    assert "asked" not in named[0]
    metadata = result.model.metadata
    assert metadata.leaks
    assert "told (" in metadata.leakage
    watched = to_watch(metadata, result.metrics, pd.DataFrame({"reading": []}))
    assert any("told (" in sentence for sentence in watched)


def test_attributes_are_kept_in_the_folder(log, loans, tmp_path):
    """Histories on disk and as JSON have the other columns of the decisions."""
    loans["channel"] = "shop"
    histories = decided_histories(log, loans, target="bad", roles=ROLES).histories
    write_histories(histories, tmp_path / "held_out.parquet")
    back = read_histories(tmp_path / "held_out.parquet")
    assert list(back) == list(histories)
    assert back["asked"].tolist() == histories["asked"].tolist()
    record = to_records(histories)[1]
    assert (record["asked"], record["channel"]) == (10.0, "shop")
