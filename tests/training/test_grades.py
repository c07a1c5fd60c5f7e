"""Grades of a training: found out of fold, kept in the model, and in every answer."""

import json

import duckdb
import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from rfmrisk import Grades
from rfmrisk.cli import main
from rfmrisk.scoring import ScoringModel
from rfmrisk.scoring.metadata import MasterScale
from rfmrisk.scoring.probability import bounded_score
from rfmrisk.training import TrainingOptions, save_run, train
from rfmrisk.training.grading import find_grades
from rfmrisk.training.split import Task
from tests.training.small import SMALL

CARD = {"scorecard": SMALL["scorecard"]}
SCALE = {"base_score": 600.0, "base_odds": 50.0, "pdo": 20.0}


@pytest.fixture(scope="module")
def table():
    """Make a table of applications with outcomes."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(1_200, 3)).round(3), columns=["debt", "income", "noise"])
    table["purpose"] = rng.choice(["car", "home"], len(table))
    odds = table["debt"] - table["income"] - 1.5
    table["bad"] = (rng.random(len(table)) < 1 / (1 + np.exp(-odds))).astype(int)
    return table.rename_axis("customer")


@pytest.fixture(scope="module")
def result(table):
    return train(table.drop(columns="bad"), table["bad"], models=CARD, cv=3, grades=4)


def test_grades_are_judged_on_customers_held_out(table, result):
    """Expected and observed rates are those of the held-out, by the scores that are served."""
    held_out = result.customers.index[result.customers["part"] == "test"]
    scored = result.model.score(result.past.loc[held_out])
    found = result.grades
    assert 2 <= len(found) <= 4
    assert found["n"].sum() == len(held_out)
    counted = scored["grade"].value_counts()
    assert found["n"].to_dict() == {name: counted.get(name, 0) for name in found.index}
    rates = table["bad"].loc[held_out].groupby(scored["grade"].to_numpy()).mean()
    pd.testing.assert_series_equal(
        found["observed_rate"].dropna(), rates.loc[found.index], check_names=False
    )
    assert found["expected_rate"].is_monotonic_increasing


@pytest.fixture(scope="module")
def noisy():
    """Make a task of one column that says something."""
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"x": rng.random(1_500)})
    y = (rng.random(1_500) < rows["x"] / 2).astype(int).to_numpy()
    histories = rows.assign(as_of=pd.Timestamp("2024-01-01"))
    task = Task.divided(histories, y, cv=3, test_size=0.2, random_state=0)
    return task, task.of(rows)


def test_grades_are_found_out_of_fold(noisy):
    """Scores of the customers that a model has learned by heart would be too good."""
    task, rows = noisy
    nearest = KNeighborsClassifier(15)
    found = find_grades(Grades(), nearest, rows, task, SCALE)
    y = task.y_train
    out_of_fold = cross_val_predict(nearest, rows, y, cv=task.folds, method="predict_proba")
    by_heart = nearest.fit(rows, y).predict_proba(rows)
    edges = [
        np.ceil(Grades().fit(np.rint(bounded_score(p[:, 1], **SCALE)), y).edges_).tolist()
        for p in (out_of_fold, by_heart)
    ]
    assert found.edges == edges[0]
    assert found.edges != edges[1]


def test_a_score_that_says_nothing_has_one_grade(noisy):
    """A warning says so."""
    task, rows = noisy
    with pytest.warns(UserWarning, match="no two grades"):
        scale = find_grades(Grades(), DummyClassifier(), rows, task, SCALE)
    assert scale == MasterScale(edges=[], names=["A"])


@pytest.mark.parametrize(
    ("grades", "names"),
    [
        ([500, 540.5], ["C", "B", "A"]),
        (Grades("edges", edges=[520], names=["yes", "no"]), ["no", "yes"]),
        (Grades("odds", n_grades=3), ["C", "B", "A"]),
    ],
)
def test_grades_of_ones_own(table, grades, names):
    """Edges, names and steps of the odds are taken as they are given."""
    X, y = table.drop(columns="bad"), table["bad"]
    model = train(X, y, models=CARD, cv=2, grades=grades).model
    assert model.metadata.grades.names == names
    edges = grades.edges if isinstance(grades, Grades) else grades
    if edges is not None:
        assert model.metadata.grades.edges == edges
    else:
        assert np.diff(model.metadata.grades.edges).tolist() == [20]


def test_grades_are_kept_and_told(table, result, tmp_path):
    """The files of the model, its SQL, the report and the card have the same grades."""
    folder = save_run(result, tmp_path / "run")
    model = ScoringModel.load(folder)
    assert model.metadata.grades == result.model.metadata.grades
    assert model.metadata.asked["grades"] == "Grades(n_grades=4)"
    scored = model.score(result.past)
    columns = ["as_of", "probability", "score", "grade", "is_high_risk"]
    assert list(scored.columns[:5]) == columns

    query = model.pipeline[-1].to_sql(key="customer", grades=model.grades)
    customers = table.reset_index()
    assert len(customers) == len(scored)
    told = duckdb.sql(query).df().set_index("customer")["grade"]
    assert told.loc[scored.index].tolist() == scored["grade"].tolist()

    page = (folder / "report.html").read_text(encoding="utf-8")
    card = (folder / "model_card.md").read_text(encoding="utf-8")
    assert 'id="grades"' in page
    assert "Grades, on customers held out" in card
    for verdict in result.grades["verdict"]:
        assert verdict in card


def test_a_model_without_grades_is_as_ever(table, tmp_path):
    """No column, no section, and nothing in the metadata."""
    result = train(table.drop(columns="bad"), table["bad"], models=CARD, cv=2)
    assert result.grades is None
    assert result.model.grades is None
    assert "grade" not in result.model.score(result.past)
    folder = save_run(result, tmp_path / "run")
    assert 'id="grades"' not in (folder / "report.html").read_text(encoding="utf-8")
    assert json.loads((folder / "model.json").read_text())["grades"] is None


@pytest.mark.parametrize("grades", [1, 27, 500, True, [], [2, 1], "six", [[1, 2]], [np.nan]])
def test_grades_that_cannot_be_are_refused_at_once(grades):
    """An error says what is allowed, before anything is trained."""
    with pytest.raises(ValueError, match="grades must be how many there may be, from 2 to 26"):
        TrainingOptions(grades=grades)


@pytest.mark.parametrize(
    "grades",
    [Grades("odds", odds_step=1), Grades("edges"), Grades("edges", edges=[1], names=["A"])],
)
def test_parameters_of_grades_are_checked_at_once(grades):
    """So are those of an estimator."""
    with pytest.raises(ValueError, match=r"odds_step|edges must be given|need as many names"):
        TrainingOptions(grades=grades)


def test_the_command_line_takes_edges(table, store, capsys):
    """A model that is trained with edges scores a file with grades."""
    table.to_csv("applications.csv")
    command = ["train", "applications.csv", "--table", "--customer", "customer", "--target", "bad"]
    options = ["--models", "decision_tree", "--cv", "2", "--grades", "480,520", "-o", "run"]
    assert main([*command, *options]) == 0
    score = ["score", "applications.csv", "--table", "--model", "run", "-o", "scores.csv"]
    assert main(score) == 0
    scores = pd.read_csv("scores.csv")
    bands = np.searchsorted([480, 520], scores["score"], side="right")
    assert scores["grade"].tolist() == np.array(["C", "B", "A"])[bands].tolist()
    with pytest.raises(SystemExit):
        main([*command, "--grades", "high,low"])
    assert "must be a number of grades, or scores separated by commas" in capsys.readouterr().err
