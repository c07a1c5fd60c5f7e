"""The report: one self-contained HTML page, made from the files of a run's folder."""

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rfmrisk.training.folder import read_file, read_table

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
    values = read_table(folder, "information_value.csv")
    test = customers[customers["part"] == "test"]
    models = [name for name in metrics.index if name != "recency alone"]
    best = facts["model"]
    p_best = test[f"probability_{best}"]
    counts = metrics.loc[best]
    optional = {
        name: read_table(folder, f"{name}.csv") if (folder / f"{name}.csv").exists() else None
        for name in ("clusters", "points")
    }
    return {
        "facts": facts,
        "as_of": (customers["as_of"].min(), customers["as_of"].max()),
        "n_customers": len(customers),
        "metrics": _html(metrics[list(_METRICS)].rename(columns=_METRICS)),
        "best_auc": counts["roc_auc"],
        "recency_auc": metrics.loc["recency alone", "roc_auc"],
        "confusion": {name: int(counts[name]) for name in ("tn", "fp", "fn", "tp")},
        "information_value": _html(values.head(15).set_index("feature")),
        "clusters": None
        if optional["clusters"] is None
        else _html(optional["clusters"].set_index("cluster")),
        "points": None if optional["points"] is None else _html(optional["points"], index=False),
        "candidates": _html(read_table(folder, "candidates.csv").head(10), index=False),
        "pictures": {
            "Receiver operating characteristic": _picture(lambda axes: _roc(axes, test, models)),
            "Precision and recall": _picture(lambda axes: _precision_recall(axes, test, models)),
            "Calibration": _picture(lambda axes: _calibration(axes, test, models)),
            "Kolmogorov-Smirnov": _picture(lambda axes: _ks(axes, test["target"], p_best)),
            "Probabilities by outcome": _picture(
                lambda axes: _distribution(axes, test["target"], p_best)
            ),
            "Lift": _picture(lambda axes: _lift(axes, test["target"], p_best)),
        },
    }


def _html(table: pd.DataFrame, *, index: bool = True) -> str:
    shown = table.rename_axis(None) if index else table
    return shown.to_html(
        index=index, na_rep="-", float_format=lambda value: f"{value:,.4g}", border=0
    )


def _picture(draw: Callable[[Any], None]) -> str:
    """Return a figure as the data of a PNG image."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 4.2), layout="constrained")
    draw(figure.subplots())
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _roc(axes: Any, test: pd.DataFrame, models: list[str]) -> None:
    from sklearn.metrics import RocCurveDisplay

    for name in models:
        RocCurveDisplay.from_predictions(
            test["target"], test[f"probability_{name}"], name=name, ax=axes
        )
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", linewidth=1)


def _precision_recall(axes: Any, test: pd.DataFrame, models: list[str]) -> None:
    from sklearn.metrics import PrecisionRecallDisplay

    for name in models:
        PrecisionRecallDisplay.from_predictions(
            test["target"], test[f"probability_{name}"], name=name, ax=axes
        )


def _calibration(axes: Any, test: pd.DataFrame, models: list[str]) -> None:
    from sklearn.calibration import CalibrationDisplay

    for name in models:
        CalibrationDisplay.from_predictions(
            test["target"],
            test[f"probability_{name}"],
            n_bins=10,
            strategy="quantile",
            name=name,
            ax=axes,
        )


def _ks(axes: Any, target: pd.Series, probability: pd.Series) -> None:
    grid = np.sort(probability.to_numpy())
    shares = {}
    for value, name in ((0, "goods"), (1, "bads")):
        own = np.sort(probability[target == value].to_numpy())
        shares[name] = np.searchsorted(own, grid, side="right") / len(own)
        axes.step(grid, shares[name], where="post", label=name)
    distance = shares["goods"] - shares["bads"]
    place = int(np.argmax(distance))
    axes.vlines(
        grid[place], shares["bads"][place], shares["goods"][place], color="black", linestyle="--"
    )
    axes.set(
        xlabel="Probability",
        ylabel="Cumulative share",
        title=f"KS = {distance[place]:.3f} at {grid[place]:.3f}",
    )
    axes.legend()


def _distribution(axes: Any, target: pd.Series, probability: pd.Series) -> None:
    bins = np.linspace(0, 1, 26)
    for value, name in ((0, "goods"), (1, "bads")):
        axes.hist(probability[target == value], bins=bins, alpha=0.6, label=name)
    axes.set(xlabel="Probability", ylabel="Customers")
    axes.legend()


def _lift(axes: Any, target: pd.Series, probability: pd.Series) -> None:
    riskiest_first = target.to_numpy()[np.argsort(-probability.to_numpy(), kind="stable")]
    tenths = [part.mean() for part in np.array_split(riskiest_first, 10)]
    axes.bar(range(1, 11), np.array(tenths) / target.mean())
    axes.axhline(1, color="grey", linestyle=":")
    axes.set(xlabel="Tenth of customers, riskiest first", ylabel="Lift over the average")
