"""The report and the model card, from a folder alone."""

import base64
import html
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("mlflow", reason="the extra 'train' is not installed")

from rfmrisk import to_histories
from rfmrisk.cli import main
from rfmrisk.datasets import make_transactions
from rfmrisk.scoring import ModelMetadata
from rfmrisk.scoring.metadata import DataSummary
from rfmrisk.training import save_run, train
from rfmrisk.training.judging import FIGURES
from rfmrisk.training.report.card import write_card
from rfmrisk.training.report.page import write_report
from rfmrisk.training.report.pictures import PICTURES
from rfmrisk.training.report.watch import to_watch
from tests.training.small import SMALL


@pytest.fixture(scope="module", params=["proxy", "given"])
def folder(request, tmp_path_factory):
    """Give the folder of a training, with a derived and with a given target."""
    log, defaults = make_transactions(n_customers=400, random_state=0, return_defaults=True)
    histories = to_histories(log)
    y = None if request.param == "proxy" else defaults.loc[histories.index].to_numpy()
    result = train(histories, y, models=SMALL, cv=2, proxy=False)
    return save_run(result, tmp_path_factory.mktemp(request.param) / "run")


@pytest.fixture(scope="module")
def page(folder):
    return write_report(folder).read_text(encoding="utf-8")


def test_the_report_opens_offline(page):
    """No address is in it; every picture is inside and is a PNG."""
    assert not re.search(r"""(src|href)=["'](?!data:|\#)""", page)
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    of_the_label = page.count('alt="Customers by recency')
    assert len(pictures) == len(PICTURES) + of_the_label
    assert all(base64.b64decode(p).startswith(b"\x89PNG") for p in pictures)


def test_every_link_of_the_report_has_its_section(page):
    """The contents lead somewhere."""
    links = set(re.findall(r'href="#(\w+)"', page))
    assert links <= set(re.findall(r'id="(\w+)"', page))
    assert {"data", "label", "models", "features", "reasons", "drift", "watch"} <= links


def test_only_a_proxy_calls_customers_high_risk(folder, page):
    """Where outcomes were given, a customer is bad, in the report and in the card."""
    card = (folder / "model_card.md").read_text(encoding="utf-8")
    is_proxy = folder.parent.name.startswith("proxy")
    assert ("high-risk" in page, "high-risk" in card) == (is_proxy, is_proxy)


def test_the_report_tells_the_figures_of_its_tables(folder, page):
    """Intervals, errors, reasons and drift are those of the folder."""
    metrics = pd.read_csv(folder / "metrics.csv", index_col="model")
    best = metrics.iloc[0]
    low, high = best["roc_auc_low"], best["roc_auc_high"]
    assert f"{best['roc_auc']:.3f} ({low:.3f} to {high:.3f})" in page
    assert f"{best['fp']:,.0f} (Type I error)" in page
    assert f"{best['fn']:,.0f} (Type II error)" in page
    examples = pd.read_csv(folder / "examples.csv")
    assert examples["probability"].is_monotonic_decreasing
    for customer in examples["customer"]:
        assert str(customer) in page
    assert "probability of the model" in page


def test_every_figure_has_its_interval(folder, page):
    """The figures of all models are told with the interval that holds them."""
    metrics = pd.read_csv(folder / "metrics.csv", index_col="model").drop(
        index=["rfm_rank", "recency alone"]
    )
    card = write_card(folder).read_text(encoding="utf-8")
    for name in (*FIGURES, "roc_auc"):
        for _, row in metrics.iterrows():
            low, high = row[f"{name}_low"], row[f"{name}_high"]
            assert low <= row[name] <= high
            told = f"{row[name]:.3f} ({low:.3f} to {high:.3f})"
            assert told in page
            assert told in card


def test_report_and_card_tell_how_to_reproduce(folder, page):
    """All that was asked for, the data, the chosen parameters and the versions are in both."""
    metadata = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    card = html.unescape(write_card(folder).read_text(encoding="utf-8"))
    needed = [metadata["data"]["fingerprint"], metadata["parameters"], metadata["trained_at"]]
    needed += [str(value) for value in metadata["asked"].values() if value and str(value)[0] != "["]
    needed += [f"{name} {number}" for name, number in metadata["versions"].items()]
    assert {"python", "rfmrisk", "scikit-learn", "numpy", "scipy", "skops"} <= set(
        metadata["versions"]
    )
    for text in needed:
        assert text in card
        assert text in html.unescape(page)


def test_the_card_has_every_section_filled(folder):
    """Nothing in the model card is left to be filled in."""
    card = write_card(folder).read_text(encoding="utf-8")
    assert "information needed" not in card.lower()
    in_words = re.sub(r"`[^`]*`", "", card)
    assert "None" not in in_words
    assert "nan" not in in_words.split()
    sections = re.findall(r"^# (.+)$", card, flags=re.MULTILINE)
    for name in ("Purpose", "The label and its limits", "Data", "Metrics", "Threshold"):
        assert name in sections
    for name in ("Fairness", "Basel II", "What to watch", "How to reproduce"):
        assert name in sections


def test_weaknesses_are_told():
    """No gain, few bads, weighed classes, drift and failed models are each a finding."""
    figures = {"gain": 0.0, "gain_low": -0.1, "gain_high": 0.1, "tp": 3, "fn": 2}
    best = figures | {"mean_probability": 0.5, "bad_share": 0.1}
    metrics = pd.DataFrame.from_dict({"scorecard": best}, orient="index")
    drift = pd.DataFrame({"psi": [0.3], "reading": ["shifted"]}, index=["rfm__recency"])
    metadata = ModelMetadata(
        threshold=0.5,
        features=[],
        typical={},
        model="scorecard",
        asked={
            "target": "proxy",
            "outcome": None,
            "class_weight": "balanced",
            "calibrate": None,
        },
        label_stability="unstable: more than 1%",
        label_stable=False,
        failed=["xgboost: every candidate failed"],
        data=DataSummary(
            transactions=100, left_out=["3 of 9 rows cannot be used"], remarks=["2 rows repeat"]
        ),
    )
    told = " ".join(to_watch(metadata, metrics, drift))
    for part in ("nothing about customers to come", "one column may do as well", "Only 5"):
        assert part in told
    for part in ("Left out of the log: 3 of 9 rows", "In the log, 2 rows repeat."):
        assert part in told
    for part in ("unstable", "calibrate before", "weighed", "rfm__recency", "xgboost"):
        assert part in told


def test_features_that_lost_their_bins_are_told(store, capsys):
    """Report, card and command line name a strong small group, and count those that say nothing."""
    rng = np.random.default_rng(0)
    n = 3_000
    table = pd.DataFrame({"debt": rng.normal(size=n), "one": 1.0, "two": 2.0})
    fraud = np.arange(n) % 50 == 0
    table["alarm"] = np.where(fraud, "raised", "none")
    risk = np.where(fraud, 0.9, 1 / (1 + np.exp(2 - table["debt"])))
    table["bad"] = (rng.random(n) < risk).astype(int)
    table.to_csv("table.csv", index=False)
    command = ["train", "table.csv", "--table", "--target", "bad", "--models", "scorecard"]
    assert main([*command, "--cv", "2", "-o", "run"]) == 0
    strong = "alarm has groups under min_bin_size=0.05 that differ in risk"
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("mind")]
    assert len(said) == 1
    assert strong in said[0]
    for name in ("report.html", "model_card.md"):
        text = Path("run", name).read_text(encoding="utf-8")
        assert strong in text
        assert "2: one, two; each has one value" in text


def test_bins_by_hand_are_kept_and_told(tmp_path):
    """The folder keeps all bins; report and card say who changed which, and why."""
    log = make_transactions(n_customers=400, random_state=0)
    classing = {"rfm__recency": {"cuts": [10, 40], "note": "as in the old card", "by": "RT"}}
    options = {"models": {"scorecard": SMALL["scorecard"]}, "cv": 2}
    options |= {"outcome": "30D", "n_cutoffs": 1}
    result = train(to_histories(log), **options, classing=classing)
    assert result.lost.index.intersection(list(classing)).empty
    run = save_run(result, tmp_path / "run")
    kept = json.loads((run / "classing.json").read_text(encoding="utf-8"))
    assert kept["rfm__recency"]["cuts"] == [10, 40]
    assert kept == result.classing
    again = train(to_histories(log), **options, classing=run / "classing.json")
    assert again.points.equals(result.points)
    for name in ("report.html", "model_card.md"):
        text = (run / name).read_text(encoding="utf-8")
        assert "rfm__recency: as in the old card (RT)" in text
