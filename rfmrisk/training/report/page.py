"""The report: one self-contained HTML page, made from the files of a run's folder alone."""

import base64
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from rfmrisk.histories.whole_files import write_whole
from rfmrisk.scorecard.cutoffs import sentence_of
from rfmrisk.scoring.metadata import ModelMetadata
from rfmrisk.training.folder import SAMPLES_FILE, read_metadata, read_table
from rfmrisk.training.judging import BASELINES, N_RESAMPLES, N_RESAMPLES_OF_FIGURES
from rfmrisk.training.report.pictures import CLUSTERS_PICTURE, PICTURES, draw_pictures
from rfmrisk.training.report.watch import (
    added_by_training,
    by_hand,
    figures,
    how_to_reproduce,
    lost,
    to_watch,
    with_interval,
)

REPORT_FILE = "report.html"

_RANKING = {
    "gini": "Gini",
    "ks": "KS",
    "pr_auc": "PR-AUC",
    "brier": "Brier score",
    "log_loss": "Log loss",
}
GAINS = {
    "gain_over_rank": "Gain over the plain rank of RFM",
    "gain": "Gain over recency alone",
}
_DECIDING = {
    "accuracy": "Accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
}
_SUSPICIOUS = 0.5  # information value above which one looks for a leak (Siddiqi 2006)


def write_report(folder: str | Path) -> Path:
    """Make the report of a run's folder.

    Parameters
    ----------
    folder : str or Path
        What `rfmrisk train` left.

    Returns
    -------
    Path
        Of ``report.html`` in that folder.

    Raises
    ------
    ValueError
        The folder lacks a file that the report is made of.
    """
    from jinja2 import Environment, PackageLoader

    folder = Path(folder)
    environment = Environment(
        loader=PackageLoader("rfmrisk.training.report"), autoescape=True, trim_blocks=True
    )
    page = environment.get_template("report.html.jinja").render(**_content(folder))
    write_whole(folder / REPORT_FILE, page)
    return folder / REPORT_FILE


def _content(folder: Path) -> dict[str, Any]:
    metadata = read_metadata(folder)
    customers = read_table(folder, "customers.csv", "customer")
    metrics = read_table(folder, "metrics.csv", "model")
    drift = read_table(folder, "drift.csv", "feature")
    values = read_table(folder, "information_value.csv", "feature")
    samples = read_table(folder, SAMPLES_FILE, "customer")
    test = samples[samples["part"] == "test"]
    best = metadata.model
    counts = metrics.loc[best]
    models = [name for name in metrics.index if name not in BASELINES]
    cutoffs = read_table(folder, "cutoffs.csv", "cutoff")
    (at_threshold,) = cutoffs.index[cutoffs.pop("is_threshold")]
    pictures = draw_pictures(folder, best, models, test)
    return {
        "metadata": metadata,
        "bad": metadata.word_of_bad,
        "as_of": (customers["as_of"].min(), customers["as_of"].max()),
        "aucs": _table(_aucs(metrics)),
        "ranking": _table(figures(metrics.loc[models], _RANKING)),
        "deciding": _table(figures(metrics.loc[models], _DECIDING)),
        "segments": _optional(folder, "segments.csv", "segment"),
        "gains": _table(read_table(folder, "gains.csv", "band")),
        "cutoffs": _table(cutoffs),
        "grades": _optional(folder, "grades.csv", "grade"),
        "cutoff_sentence": sentence_of(at_threshold, cutoffs.loc[at_threshold]),
        "last_as_of": samples.loc[samples["is_last"], "as_of"].min(),
        "n_resamples": N_RESAMPLES,
        "n_resamples_of_figures": N_RESAMPLES_OF_FIGURES,
        "best": counts,
        "baselines": {n: metrics.loc[n, "roc_auc"] for n in BASELINES if n in metrics.index},
        "added": added_by_training(metadata, metrics),
        "outcome_curve": _optional(folder, "outcome_curve.csv", "n_outcomes"),
        "out_of_time": _optional(folder, "out_of_time.csv", "judged on"),
        "confusion": counts[["tn", "fp", "fn", "tp"]].astype(int).to_dict(),
        "information_value": _table(values.head(15)),
        "suspicious": int((values["information_value"] > _SUSPICIOUS).sum()),
        "label_windows": _label_windows(metadata),
        "rules": [w for w in metadata.windows_of_label if w.rule],
        "clusters": _optional(folder, "clusters.csv", "cluster", flip=True),
        "label_stability": _optional(folder, "label_stability.csv", "perturbation"),
        "clusters_picture": _encoded(folder / CLUSTERS_PICTURE),
        "leakage": _optional(folder, "leakage.csv", "columns"),
        "points": _optional(folder, "points.csv", "feature"),
        "lost": lost(folder),
        "by_hand": by_hand(folder, metadata),
        "examples": _examples(folder),
        "drift": _table(drift),
        "watch": to_watch(metadata, metrics, drift),
        "reproduce": how_to_reproduce(metadata),
        "candidates": _table(_candidates(read_table(folder, "candidates.csv", "model").head(10))),
        "pictures": [(path.stem, PICTURES[path.stem], _encoded(path)) for path in pictures],
    }


def _label_windows(metadata: ModelMetadata) -> dict[str, list] | None:
    """Lay out the outcome windows of a label, where there are several."""
    if len(metadata.windows_of_label) < 2:
        return None
    table = (
        pd.DataFrame([asdict(window) for window in metadata.windows_of_label])
        .drop(columns="rule")
        .set_index("window")
    )
    return _table(table)


def _examples(folder: Path) -> list[dict[Any, Any]]:
    table = read_table(folder, "examples.csv").astype(object)
    return table.where(table.notna(), "").to_dict("records")


def _aucs(metrics: pd.DataFrame) -> pd.DataFrame:
    """Lay out each model's AUC and its gains over the baselines, with intervals."""
    return pd.DataFrame(
        {
            "ROC-AUC (95 % interval)": with_interval(metrics, "roc_auc"),
            **{
                title: with_interval(metrics, name, "+")
                for name, title in GAINS.items()
                if name in metrics
            },
        },
        index=metrics.index,
    )


def _optional(folder: Path, name: str, index: str, *, flip: bool = False) -> dict[str, list] | None:
    """Return a table that not every training has."""
    if not (folder / name).exists():
        return None
    table = read_table(folder, name, index)
    if flip:
        table = table.T.rename(columns=lambda label: f"{index} {label}").rename_axis("")
        table.index = table.index.str.replace("_", " ")
    return _table(table)


def _encoded(path: Path) -> str | None:
    """Return a picture as text for a page, where there is one."""
    return base64.b64encode(path.read_bytes()).decode("ascii") if path.exists() else None


def _table(table: pd.DataFrame) -> dict[str, list]:
    """Lay out a table for the page: its columns, whether each holds text, and its cells."""
    named = table.reset_index(names=str(table.index.name or ""))
    return {
        "columns": [
            (str(name).replace("_", " "), not pd.api.types.is_numeric_dtype(column))
            for name, column in named.items()
        ],
        "rows": [
            list(map(_cell, row)) for row in zip(*(named[name] for name in named), strict=True)
        ],
    }


def _cell(value: Any) -> str:
    if pd.isna(value):
        return "-"
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def _candidates(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out the parameters of candidates as text."""
    texts = []
    for text in table["parameters"]:
        chosen = json.loads(text)
        texts.append(
            "; ".join(f"{name.split('__', 1)[-1]} = {_plain(v)}" for name, v in chosen.items())
        )
    return table.assign(parameters=texts)


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join("all" if each is None else str(each) for each in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
