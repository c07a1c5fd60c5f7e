"""A plain table of applications is trained, kept, scored and served without a log."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rfmrisk import to_histories
from rfmrisk.cli import main
from rfmrisk.datasets import make_transactions
from rfmrisk.histories.decisions import decided_table, parse_outcomes
from rfmrisk.scoring.table_files import read_applications, score_table
from rfmrisk.training import load_model, save_run, train

from .small import SMALL

DATA = Path(__file__).parents[2].parent / "shared" / "data"
TREE = {"decision_tree": SMALL["decision_tree"]}


def applications(n=400):
    """Make a table with numbers, missing ones, words, codes and flags, and outcomes in words."""
    rng = np.random.default_rng(0)
    age = pd.array(rng.integers(20, 70, n), dtype="Int64")
    age[::9] = None
    table = pd.DataFrame(
        {
            "number": [f"A{k:04}" for k in range(n)],
            "asked": np.round(rng.normal(1_000, 300, n), 2),
            "age": age,
            "purpose": rng.choice(["01", "02", "NA"], n),
            "married": rng.random(n) < 0.5,
        }
    )
    odds = (table["asked"] - 1_000) / 150 + 2 * table["married"] - 2
    table["paid"] = np.where(rng.random(n) < 1 / (1 + np.exp(-odds)), "no", "yes")
    return table


@pytest.fixture(scope="module")
def table():
    return applications()


@pytest.fixture(scope="module")
def model(table):
    X = table.set_index("number").drop(columns="paid")
    return train(X, (table["paid"] == "no").astype(int).to_numpy(), models=TREE, cv=2).model


def test_a_table_trains_as_a_log_does(table, model, tmp_path):
    """The features are its columns; report, card and the file of the model are as ever."""
    assert model.of_table
    assert model.metadata.features == ["asked", "age", "purpose", "married"]
    assert model.metadata.data.transactions == 0
    X = table.set_index("number").drop(columns="paid")
    y = (table["paid"] == "no").astype(int).to_numpy()
    result = train(X, y, models=TREE, cv=2)
    folder = save_run(result, tmp_path / "run")
    assert "400 applicants of a table without a log" in (folder / "model_card.md").read_text()
    report = (folder / "report.html").read_text()
    assert "recency alone</div>" not in report
    assert "1970" not in report
    histories = read_applications(model, X)
    again = load_model(folder).score(histories)
    pd.testing.assert_frame_equal(again, model.score(histories), check_exact=True)
    assert again.index.tolist() == table["number"].tolist()
    assert not again["reason_1"].str.contains("history").any()


def test_a_table_needs_outcomes(table):
    """No proxy label can be made of a table."""
    with pytest.raises(ValueError, match=r"plain table, which needs outcomes.*'asked'"):
        train(table.drop(columns="paid"))


@pytest.mark.parametrize(
    ("values", "bad", "expected"),
    [
        (["good", "bad", None], "bad", [0, 1, np.nan]),
        (["yes", "no", ""], "no", [0, 1, np.nan]),
        ([2, 1], "2", [1, 0]),
    ],
)
def test_outcomes_in_words(values, bad, expected):
    """One of two words is bad, and empty is not known yet."""
    np.testing.assert_array_equal(parse_outcomes(pd.Series(values), "y", bad), expected)


@pytest.mark.parametrize(
    ("values", "bad", "message"),
    [
        (["good", "bad"], None, "If one of two is bad, say which by bad='good' or bad='bad'"),
        (["good", "bad"], "late", r"two texts, of which 'late' is bad.*\['good', 'bad'\]"),
        (["good", "bad", "open"], "bad", r"two texts, of which 'bad' is bad.*'open'"),
        (["good", "good"], "good", "two texts"),
    ],
)
def test_words_that_are_no_outcomes(values, bad, message):
    """What the words are, and what is allowed, is said."""
    with pytest.raises(ValueError, match=message):
        parse_outcomes(pd.Series(values), "y", bad)


@pytest.mark.parametrize(
    "lacking", [{"target": "paid_back"}, {"customer": "who"}, {"time": "when"}]
)
def test_columns_of_a_table_that_are_not_there(table, lacking):
    """The column that is missing is named, with those that there are."""
    (name,) = lacking.values()
    with pytest.raises(ValueError, match=rf"no column '{name}'.*'asked'"):
        decided_table(table, bad="no", **{"target": "paid"} | lacking)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X.drop(columns="asked"), r"lack the column\(s\) \['asked'\]"),
        (lambda X: X.assign(colour="red"), r"had not, \['colour'\]"),
        (lambda X: X.assign(asked="much"), "'asked' of the decisions held numbers"),
        (lambda X: X.assign(history=1), r"had not, \['history'\]"),
        (lambda X: X.iloc[:0], "the table is empty"),
    ],
)
def test_tables_that_cannot_be_scored(table, model, tmp_path, change, message):
    """What is missing, unknown or of another type is named, and no file is written."""
    X = table.set_index("number").drop(columns="paid")
    with pytest.raises(ValueError, match=message):
        score_table(model, change(X), tmp_path / "scores.csv")
    assert not list(tmp_path.iterdir())


def test_a_model_of_a_log_scores_no_table(tmp_path):
    """A model of histories refuses a table, and the other way round."""
    histories = to_histories(make_transactions(n_customers=200, random_state=0))
    y = np.arange(len(histories)) % 3 == 0
    model = train(histories, y, models=TREE, cv=2, proxy=False).model
    with pytest.raises(ValueError, match="trained on a log, and needs one"):
        score_table(model, applications(), tmp_path / "scores.csv")


def test_the_command_line_trains_and_scores_tables(table, store, capsys):
    """Train, and what it says to type next, take a file of any dialect; ids are kept."""
    pytest.importorskip("mlflow", reason="the extra 'train' is not installed")
    table.to_csv("table.csv", index=False, sep=";", decimal=",")
    quick = ["--models", "decision_tree", "--cv", "2", "-o", "run", "--customer", "number"]
    train_table = ["train", "table.csv", "--table", "--target", "paid", *quick]
    assert main(train_table) == 2
    assert "say which by --bad yes or --bad no" in capsys.readouterr().err
    assert main([*train_table, "--bad", "no"]) == 0
    following = next(
        line for line in capsys.readouterr().out.splitlines() if line.startswith("next")
    )
    assert main(following.split()[2:]) == 0
    assert "400 applications scored" in capsys.readouterr().out
    scores = pd.read_csv("scores.csv")
    assert scores.columns[:2].tolist() == ["customer", "probability"]
    assert scores["customer"].tolist() == table["number"].tolist()
    model = load_model("run")
    expected = model.score(read_applications(model, table))
    assert scores["score"].tolist() == expected["score"].tolist()
    assert main(["score", "table.csv", "--model", "run", "-o", "other.csv"]) == 2
    assert "rfmrisk score TABLE --table" in capsys.readouterr().err
    assert main(["train", "--table", "--target", "paid"]) == 2


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the public data sets are not there")
@pytest.mark.parametrize(
    ("name", "target", "bad", "least"),
    [
        ("germancredit.csv", "creditability", "bad", 0.70),
        ("credit_data_modeldata.csv", "Status", "bad", 0.78),
        ("lending_club_modeldata.csv", "Class", "bad", 0.65),
        ("taiwan_default.csv", "default_payment_next_month", "1", 0.72),
    ],
)
def test_public_tables_train_and_score(name, target, bad, least):
    """Each ranks held-out applicants as published cards do, and scores what it was given."""
    decided = decided_table(pd.read_csv(DATA / name), target, bad=bad)
    result = train(decided.histories, decided.outcomes, models=["scorecard"], cv=2)
    assert result.metrics["roc_auc"].iloc[0] > least
    scores = result.model.score(read_applications(result.model, decided.histories))
    assert scores["score"].nunique() > 10
