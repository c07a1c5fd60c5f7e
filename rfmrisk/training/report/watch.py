"""What a reader of a report should watch, from the figures of a training."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rfmrisk.scoring.metadata import ModelMetadata
from rfmrisk.training.folder import CLASSING_FILE, read_file, read_table
from rfmrisk.training.judging import RANK

FEW_BADS = 100
LOST_FILE = "lost.csv"


def to_watch(metadata: ModelMetadata, metrics: pd.DataFrame, drift: pd.DataFrame) -> list[str]:
    """Return the weaknesses that the figures of a training show, the gravest first.

    Parameters
    ----------
    metadata : ModelMetadata
        Of the model.
    metrics : DataFrame
        One row per model on the held-out customers.
    drift : DataFrame
        Population stability of score and features.

    Returns
    -------
    list of str
        One sentence or two each; the last ones hold for every model of this kind.
    """
    best, asked = metrics.loc[metadata.model], metadata.asked
    is_proxy = asked["target"] == "proxy"
    leak = (
        f"{metadata.leakage}. Figures of a model that sees the answer are worth nothing: leave out "
        "what was not known at the decision."
    )
    said = [leak] if metadata.leaks else []
    if is_proxy and not asked["outcome"]:
        said.append(
            "The label was computed from the transactions that the features see. These figures "
            "say nothing about customers to come."
        )
    said += [f"Left out of the log: {left_out}." for left_out in metadata.data.left_out]
    said += [f"In the log, {remark}." for remark in metadata.data.remarks]
    if best.get("gain_low", np.inf) <= 0:
        said.append(
            f"The gain over recency alone is {best['gain']:+.3f} in ROC-AUC, and its 95 % interval "
            f"({best['gain_low']:+.3f} to {best['gain_high']:+.3f}) includes none: one column may "
            "do as well."
        )
    if metadata.separating:
        said.append(
            f"Each bin of {', '.join(metadata.separating)} holds goods alone or bads alone: this "
            "is a leak until shown otherwise."
        )
    if metadata.n_unknown:
        said.append(
            f"{metadata.n_unknown:,} decisions have no outcome yet and are left out. If these are "
            "not like the others, neither are the figures."
        )
    if metadata.n_immature:
        said.append(
            f"{metadata.n_immature:,} decisions are younger than the performance window and are "
            "left out."
        )
    if metadata.weighted:
        said.append(
            "Rows have weights: figures and probabilities are those of the customers that the "
            "weights stand for, not of those in the file."
        )
    bads = int(best[["tp", "fn"]].to_numpy().sum())
    if bads < FEW_BADS:
        said.append(
            f"Only {bads} held-out customers are {metadata.word_of_bad}; with under {FEW_BADS} "
            "every figure has a wide interval."
        )
    ruled = [window for window in metadata.windows_of_label if window.rule]
    if ruled and asked["outcome"] and len(ruled) == len(metadata.windows_of_label):
        said.append(
            "The clusters decide nothing: one threshold of one column gives the label "
            f"({ruled[0].rule})."
        )
    if metadata.label_stable is False:
        said.append(f"The label is {metadata.label_stability}.")
    gap = abs(best["mean_probability"] - best["bad_share"])
    if gap > 0.05:
        said.append(
            f"The mean probability, {best['mean_probability']:.1%}, is not the share of "
            f"{metadata.word_of_bad} customers, {best['bad_share']:.1%}: calibrate before the "
            "probability is used as one."
        )
    if asked["class_weight"] and not asked["calibrate"]:
        said.append("Classes were weighed: rank by the probability, do not read it as a share.")
    said += _of_drift(metadata, drift)
    said += [f"Left out of the comparison: {failure}." for failure in metadata.failed]
    said += [f"Left out of the label: {reason}." for reason in metadata.left_out_of_label]
    if is_proxy:
        said.append(
            "High-risk means disengaged. Compare the label with real defaults "
            "(rfmrisk.proxy.validate_proxy) as soon as there are some, and replace it by them "
            "when there are enough."
        )
    return said + _of_time(metadata)


def _of_drift(metadata: ModelMetadata, drift: pd.DataFrame) -> list[str]:
    """Name what was not stable within the training."""
    shifted = ", ".join(drift.index[drift["reading"] != "stable"])
    if not shifted:
        return []
    if metadata.drift_in_time:
        return [
            f"Not stable between earlier and the last decisions: {shifted}. What moved within the "
            "training is likely to move on."
        ]
    return [
        f"Not stable between training and held-out customers: {shifted}. The two were divided at "
        "random, so this is the noise level of the index at this sample size."
    ]


def _of_time(metadata: ModelMetadata) -> list[str]:
    """Say what the figures show of other times, and what to do every month."""
    compare = (
        "Every month, compare the score of new applicants with the drift table here (over 0.1 "
        "look, over 0.25 act)"
    )
    data = metadata.data
    if not data.transactions:
        said = "Nothing here is out of time: a table does not say when its rows were decided."
        return [said, f"{compare}."]
    same = data.first_as_of == data.last_as_of
    said = "Training and held-out customers were known at the same time. " if same else ""
    return [f"{said}{compare}, and back-test in time (rfmrisk.proxy.rolling_origin)."]


def added_by_training(metadata: ModelMetadata, metrics: pd.DataFrame) -> str | None:
    """Say what training added to the plain rank of RFM, where there is such a rank.

    Parameters
    ----------
    metadata : ModelMetadata
    metrics : DataFrame
        One row per model and baseline on the held-out customers.
    """
    if RANK not in metrics.index:
        return None
    best = metrics.loc[metadata.model]
    low, high = best["gain_over_rank_low"], best["gain_over_rank_high"]
    said = (
        f"The plain rank of recency, frequency and monetary value, with no training at all, has "
        f"{metrics['roc_auc'][RANK]:.3f}; training changed this by "
        f"{best['gain_over_rank']:+.3f} ({low:+.3f} to {high:+.3f})"
    )
    if low > 0:
        return f"{said}."
    if high < 0:
        return f"{said}: the plain rank is the better model."
    return f"{said}, which may be nothing."


def how_to_reproduce(metadata: ModelMetadata) -> dict[str, str]:
    """Return all that a training was asked for and made with, a line each."""
    data, tracked = metadata.data, metadata.tracking
    asked = (tracked.params if tracked else {}) | metadata.asked
    texts = {
        "log": tracked.log if tracked else data.name,
        "fingerprint of the data (SHA-256)": data.fingerprint,
        "trained at": metadata.trained_at,
        **{name.replace("_", " "): in_words(value) for name, value in asked.items()},
        "parameters that were chosen": metadata.parameters,
        "versions": ", ".join(f"{name} {number}" for name, number in metadata.versions.items()),
        "git commit": metadata.git_commit,
        "MLflow run": tracked.run_id if tracked else None,
    }
    return {name: str(value) for name, value in texts.items() if value is not None}


def in_words(value: Any) -> str | None:
    """Return a parameter as a reader wants it: a list with commas, nothing for None."""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return None if value is None else str(value)


def figures(metrics: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """Lay out figures of each model with their intervals, under the titles of their names."""
    columns = {title: with_interval(metrics, name) for name, title in names.items()}
    return pd.DataFrame(columns, index=metrics.index)


def with_interval(metrics: pd.DataFrame, name: str, sign: str = "") -> list[str]:
    """Return a figure of each model as text, with its 95 % interval where there is one."""
    texts = []
    for _, row in metrics.iterrows():
        low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
        if pd.isna(row[name]):
            texts.append("-")
        elif pd.isna(low):
            texts.append(f"{row[name]:{sign}.3f}")
        else:
            texts.append(f"{row[name]:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})")
    return texts


def lost(folder: Path) -> list[str]:
    """Say which features have one bin in the scorecard, a line for each reason."""
    if not (folder / LOST_FILE).exists():
        return []
    table = read_table(folder, LOST_FILE, needed=("feature", "finding", "is_strong"))
    lines = []
    table = table.sort_values("is_strong", ascending=False, kind="stable")
    for finding, group in table.groupby("finding", sort=False):
        names = ", ".join(group["feature"])
        lines.append(
            f"{names} {finding}" if len(group) == 1 else f"{len(group)}: {names}; each {finding}"
        )
    return lines


def by_hand(folder: Path, metadata: ModelMetadata) -> list[str]:
    """Say which bins were made by hand, and who decided what and why; a line for each feature."""
    names = metadata.asked.get("classing")
    if not names:
        return []
    classing = json.loads(read_file(folder, CLASSING_FILE))
    lines = []
    for name in names:
        entry = classing.get(name, {})
        who = ", ".join(str(entry[key]) for key in ("by", "date") if key in entry)
        note = f": {entry['note']}" if "note" in entry else ""
        lines.append(f"{name}{note}{f' ({who})' if who else ''}")
    return lines
