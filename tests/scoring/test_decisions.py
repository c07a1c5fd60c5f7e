"""Decisions in a file are scored as in Python, one line each, and checked before any is."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from rfmrisk import Scorecard, WOEEncoder, customer_features, to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.scoring.files import score_file
from rfmrisk.scoring.metadata import ModelMetadata
from rfmrisk.scoring.model import ScoringModel, typical_values
from rfmrisk.scoring.work_folder import work_folder

ROLES = {"customer": "borrower", "time": "asked_on", "target": "bad"}


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    """Give the path of a log, decisions with attributes, and a model of both."""
    path = tmp_path_factory.mktemp("bank") / "log.parquet"
    log = make_transactions(n_customers=300, random_state=0)
    log.to_parquet(path)
    rng = np.random.default_rng(0)
    ids = log["CustomerId"].unique()
    asked = pd.DataFrame(
        {
            "borrower": rng.permutation([*ids[:250], *(f"new {k}" for k in range(9))]),
            "asked_on": pd.Timestamp("2019-03-01"),
            "amount_asked": np.round(rng.normal(1_000, 300, 259), 2),
            "purpose": rng.choice(["01", "02", "NA"], 259),
            "married": rng.random(259) < 0.5,
        }
    )
    asked.loc[::11, "amount_asked"] = np.nan
    histories = histories_of(log, asked)
    y = (rng.random(259) < 1 / (1 + np.exp(2 - asked["amount_asked"].fillna(900) / 500))).to_numpy()
    features = customer_features().fit(histories)
    typical = typical_values(features.transform(histories))
    metadata = ModelMetadata(
        threshold=0.3, features=list(typical), typical=typical, decision_roles=ROLES
    )
    pipeline = make_pipeline(features, Scorecard(WOEEncoder(), LogisticRegression()))
    return path, log, asked, ScoringModel(pipeline.fit(histories, y), metadata)


def histories_of(log, asked):
    return to_histories(
        log, as_of=asked.rename(columns={"borrower": "customer", "asked_on": "as_of"})
    )


@pytest.mark.parametrize("rows_per_part", [1_500, 10**6])
@pytest.mark.parametrize("kind", ["csv", "semicolons", "parquet", "frame"])
def test_each_decision_has_its_line(bank, tmp_path, rows_per_part, kind):
    """Scores are those of Python, in the order of the decisions, at once and in parts."""
    path, log, asked, model = bank
    expected = model.score(histories_of(log, asked))
    file = tmp_path / f"asked.{'parquet' if kind == 'parquet' else 'csv'}"
    with_outcome = asked.assign(bad=1)
    if kind == "parquet":
        with_outcome.to_parquet(file)
    elif kind == "csv":
        with_outcome.to_csv(file, index=False)
    elif kind == "semicolons":
        with_outcome.to_csv(file, index=False, sep=";", decimal=",", encoding="cp1252")
    counted = score_file(
        model,
        path,
        tmp_path / "scores.csv",
        decisions=asked if kind == "frame" else file,
        rows_per_part=rows_per_part,
    )
    assert counted == (len(asked), expected["is_high_risk"].sum())
    assert (tmp_path / "scores.csv").read_text(encoding="utf-8") == expected.to_csv()


def test_one_time_for_all(bank, tmp_path):
    """Decisions without a column of their time are as of the one given; with one it is refused."""
    path, log, asked, model = bank
    score_file(
        model,
        path,
        tmp_path / "scores.csv",
        decisions=asked.drop(columns="asked_on"),
        as_of="2019-03-01",
    )
    assert (tmp_path / "scores.csv").read_text() == model.score(histories_of(log, asked)).to_csv()
    for decisions, as_of, message in (
        (asked, "2019-03-01", "have times of their own, in 'asked_on'"),
        (asked.drop(columns="asked_on"), None, "no column 'asked_on' for the time"),
    ):
        with pytest.raises(ValueError, match=message):
            score_file(model, path, tmp_path / "other.csv", decisions=decisions, as_of=as_of)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda asked: asked.drop(columns="purpose"), r"lack the column\(s\) \['purpose'\]"),
        (lambda asked: asked.assign(colour="red"), r"had not, \['colour'\].*trained with"),
        (lambda asked: asked.assign(amount_asked="much"), "'amount_asked'.*held numbers.*'much'"),
        (lambda asked: asked.assign(purpose=3), "'purpose'.*held categories.*int64, such as 3"),
        (lambda asked: asked.drop(columns="borrower"), "no column 'borrower' for the customer"),
        (lambda asked: asked.assign(borrower=7), "int64, such as 7, those of the log .*Customer"),
        (lambda asked: asked.assign(asked_on="2001-01-01"), "no transaction lies before as_of="),
        (lambda asked: asked.assign(asked_on="soon"), "259 have no readable as_of"),
        (lambda asked: asked.iloc[:0], "the frame of decisions is empty"),
        (lambda asked: None, r"the model needs \['amount_asked', .*Give them by decisions='FILE'"),
    ],
)
def test_decisions_that_cannot_be_scored(bank, tmp_path, change, message):
    """What is missing, unknown or of another type is named, and nothing is left behind."""
    path, _, asked, model = bank
    output = tmp_path / "scores.csv"
    with pytest.raises(ValueError, match=message):
        score_file(model, path, output, decisions=change(asked))
    assert not output.exists()
    output.touch()
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda asked: asked.assign(borrower=asked["borrower"].str.lower()), "decisions have 'cus"),
        (lambda asked: asked.assign(borrower="x"), "all 259 decisions are of customers whom"),
        (lambda asked: asked.assign(asked_on="2030-01-01"), "259 of 259 decisions are after the"),
        (lambda asked: dated(asked, "2000-01-01"), "10 of 259 decisions are before the first"),
    ],
)
@pytest.mark.parametrize("rows_per_part", [1_500, 10**6])
def test_decisions_that_may_be_mistaken_are_counted(bank, tmp_path, change, message, rows_per_part):
    """Ids in another form, and times outside of the log, are warned of once, also in parts."""
    path, _, asked, model = bank
    with pytest.warns(UserWarning, match=message) as warned:
        score_file(
            model,
            path,
            tmp_path / "scores.csv",
            decisions=change(asked),
            rows_per_part=rows_per_part,
        )
    assert len(warned) == 1


def dated(asked, time):
    times = asked["asked_on"].copy()
    times.iloc[:10] = pd.Timestamp(time)
    return asked.assign(asked_on=times)


def test_other_decisions_begin_anew(bank, tmp_path):
    """What is left of an interrupted run of other decisions is not taken up."""
    path, log, asked, model = bank
    output = tmp_path / "scores.csv"
    work = work_folder(output)
    work.mkdir()
    manifest = dict.fromkeys(["log", "model", "options", "versions"])
    (work / "manifest.json").write_text(json.dumps(manifest))
    (work / "scores-00000.arrow").write_bytes(b"another's")
    score_file(model, path, output, decisions=asked)
    assert output.read_text() == model.score(histories_of(log, asked)).to_csv()
    assert not work.exists()
