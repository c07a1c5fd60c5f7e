"""The report: one self-contained HTML page, made from the files of a run's folder alone."""

import base64
import json
from pathlib import Path
from typing import Any

import pandas as pd

from rfmrisk.training.findings import to_watch
from rfmrisk.training.folder import read_file, read_table
from rfmrisk.training.judging import RECENCY
from rfmrisk.training.label import CLUSTERS_PICTURE
from rfmrisk.training.pictures import PICTURES, draw_pictures

REPORT_FILE = "report.html"

_METRICS = {
    "roc_auc": "ROC-AUC",
    "gini": "Gini",
    "ks": "KS",
    "pr_auc": "PR-AUC",
    "brier": "Brier",
    "log_loss": "Log loss",
    "accuracy": "Accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
}


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
        loader=PackageLoader("rfmrisk.training"), autoescape=True, trim_blocks=True
    )
    page = environment.get_template("report.html.jinja").render(**_content(folder))
    partial = folder / f".{REPORT_FILE}"
    partial.write_text(page, encoding="utf-8")
    return partial.replace(folder / REPORT_FILE)


def _content(folder: Path) -> dict[str, Any]:
    facts = json.loads(read_file(folder, "model.json"))
    customers = read_table(folder, "customers.csv").set_index("customer")
    metrics = read_table(folder, "metrics.csv").set_index("model")
    drift = read_table(folder, "drift.csv").set_index("feature")
    test = customers[customers["part"] == "test"]
    best = facts["model"]
    counts = metrics.loc[best]
    models = [name for name in metrics.index if name != RECENCY]
    pictures = draw_pictures(folder, best, models, test)
    return {
        "facts": facts,
        "as_of": (customers["as_of"].min(), customers["as_of"].max()),
        "n_customers": len(customers),
        "aucs": _html(_aucs(metrics)),
        "metrics": _html(metrics.loc[models, list(_METRICS)].rename(columns=_METRICS)),
        "best": counts,
        "recency": metrics.loc[RECENCY],
        "confusion": {name: int(counts[name]) for name in ("tn", "fp", "fn", "tp")},
        "information_value": _html(
            read_table(folder, "information_value.csv").head(15).set_index("feature")
        ),
        "clusters": _optional(folder, "clusters.csv", "cluster", flip=True),
        "label_stability": _optional(folder, "label_stability.csv", "perturbation"),
        "clusters_picture": _encoded(folder / CLUSTERS_PICTURE),
        "leakage": _optional(folder, "leakage.csv", "columns"),
        "points": _optional(folder, "points.csv", "feature"),
        "examples": _examples(folder),
        "drift": _html(drift),
        "watch": to_watch(facts, metrics, drift),
        "candidates": _html(
            read_table(folder, "candidates.csv").head(10).set_index("model"), left=("parameters",)
        ),
        "pictures": [(path.stem, PICTURES[path.stem], _encoded(path)) for path in pictures],
    }


def _examples(folder: Path) -> list[dict[Any, Any]]:
    table = read_table(folder, "examples.csv").astype(object)
    return table.where(table.notna(), "").to_dict("records")


def _aucs(metrics: pd.DataFrame) -> pd.DataFrame:
    """Lay out each model's AUC and its gain over recency alone, with intervals."""

    def spread(row: pd.Series, value: str, sign: str) -> str:
        if pd.isna(row[value]):
            return "-"
        low, high = row[f"{value}_low"], row[f"{value}_high"]
        return f"{row[value]:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"

    return pd.DataFrame(
        {
            "ROC-AUC (95 % interval)": [
                spread(row, "roc_auc", "") for _, row in metrics.iterrows()
            ],
            "Gain over recency alone": [spread(row, "gain", "+") for _, row in metrics.iterrows()],
        },
        index=metrics.index,
    )


def _optional(folder: Path, name: str, index: str, *, flip: bool = False) -> str | None:
    """Return a table that not every training has."""
    if not (folder / name).exists():
        return None
    table = read_table(folder, name).set_index(index)
    return _html(table.T.rename(columns=lambda label: f"{index} {label}") if flip else table)


def _encoded(path: Path) -> str | None:
    """Return a picture as text for a page, where there is one."""
    return base64.b64encode(path.read_bytes()).decode("ascii") if path.exists() else None


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def _html(table: pd.DataFrame, left: tuple[str, ...] = ()) -> str:
    formatters: dict[Any, Any] = {name: lambda text: f"{text}" for name in left}
    with pd.option_context("display.max_colwidth", None):
        return table.rename_axis(None).to_html(
            na_rep="-",
            float_format=_number,
            formatters=formatters,
            border=0,
        )
