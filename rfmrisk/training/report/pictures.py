"""The pictures of a report: drawn from a run's folder, one PNG file each."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rfmrisk.plotting import WOEDisplay
from rfmrisk.proxy.display import ClusterDisplay
from rfmrisk.scorecard import CutoffDisplay
from rfmrisk.training.drawing import drawn
from rfmrisk.training.figures import LabelFigures
from rfmrisk.training.folder import read_table

CLUSTERS_PICTURE = "clusters.png"
PICTURES = {
    "roc": "Receiver operating characteristic",
    "precision_recall": "Precision and recall",
    "calibration": "Calibration, in tenths of the customers",
    "ks": "Kolmogorov-Smirnov",
    "distribution": "Probabilities by outcome",
    "lift": "Lift by tenth",
    "cutoffs": "What a cut-off accepts",
    "woe": "Weight of evidence of the features with the most information",
}


def draw_pictures(folder: Path, best: str, models: list[str], test: pd.DataFrame) -> list[Path]:
    """Draw all pictures of `PICTURES` into ``pictures`` in the folder.

    Parameters
    ----------
    folder : Path
        Of a training.
    best : str
        The model that pictures of one model show.
    models : list of str
        Those that pictures of several models show.
    test : DataFrame
        The held-out customers, with ``target`` and the probabilities by each model.

    Returns
    -------
    list of Path
        Those that could be drawn; one that fails is left out with a warning.
    """
    target, probability = test["target"], test[f"probability_{best}"]
    draw: dict[str, Callable[[Any], None]] = {
        "roc": partial(_roc, test=test, models=models),
        "precision_recall": partial(_precision_recall, test=test, models=models),
        "calibration": partial(_calibration, test=test, models=models),
        "ks": partial(_ks, target=target, probability=probability),
        "distribution": partial(_distribution, target=target, probability=probability),
        "lift": partial(_lift, target=target, probability=probability),
    }
    (folder / "pictures").mkdir(exist_ok=True)
    actions = {name: partial(_save, folder, name, action) for name, action in draw.items()}
    cutoffs = read_table(folder, "cutoffs.csv", "cutoff")
    actions["cutoffs"] = partial(_save, folder, "cutoffs", CutoffDisplay(table=cutoffs).plot)
    actions["woe"] = partial(_save_woe, folder)
    return [path for name, action in actions.items() if (path := drawn(name, action))]


def draw_clusters(label: LabelFigures, folder: Path) -> Path | None:
    """Draw the clusters of a label into the folder, where it has some.

    The customers themselves are not kept there, so that a later report cannot draw them again.
    """
    if label.clusters is None:
        return None
    known = label.rfm[label.rfm["cluster"] >= 0]
    columns = list(known.columns.drop(["cluster", "is_high_risk"]))
    display = ClusterDisplay(
        points=known[[columns[0], columns[-1]]],
        clusters=known["cluster"].to_numpy(),
        high_risk=len(label.clusters) - 1,
    )
    return drawn("clusters", partial(_save_clusters, display, folder / CLUSTERS_PICTURE))


def _save_clusters(display: ClusterDisplay, path: Path) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    display.plot(ax=figure.subplots())
    figure.savefig(path, dpi=110)
    return path


def _save(folder: Path, name: str, draw: Callable[[Any], Any]) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 4.2), layout="constrained")
    draw(figure.subplots())
    path = folder / "pictures" / f"{name}.png"
    figure.savefig(path, dpi=110)
    return path


def _save_woe(folder: Path) -> Path:
    from matplotlib.figure import Figure

    bins = read_table(folder, "bins.csv")
    tables = {str(name): table for name, table in bins.groupby("feature", sort=False)}
    n_rows = -(-len(tables) // 3)
    figure = Figure(figsize=(14, 3.6 * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, 3, squeeze=False).ravel()
    for spare in axes[len(tables) :]:
        spare.remove()
    WOEDisplay(tables=tables).plot(axes[: len(tables)])
    path = folder / "pictures" / "woe.png"
    figure.savefig(path, dpi=90)
    return path


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
    axes.legend(loc="lower right")


def _distribution(axes: Any, target: pd.Series, probability: pd.Series) -> None:
    bins = np.linspace(0, 1, 26)
    for value, name in ((0, "goods"), (1, "bads")):
        axes.hist(probability[target == value], bins=bins, alpha=0.6, label=name)
    axes.set(xlabel="Probability", ylabel="Customers")
    axes.legend(loc="upper right")


def _lift(axes: Any, target: pd.Series, probability: pd.Series) -> None:
    riskiest_first = target.to_numpy()[np.argsort(-probability.to_numpy(), kind="stable")]
    tenths = [part.mean() for part in np.array_split(riskiest_first, 10)]
    axes.bar(range(1, 11), np.array(tenths) / target.mean())
    axes.axhline(1, color="grey", linestyle=":")
    axes.set(xlabel="Tenth of customers, riskiest first", ylabel="Lift over the average")
