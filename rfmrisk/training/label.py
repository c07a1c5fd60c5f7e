"""The label's page of a report: what the label is, whether it holds, and whether it leaks."""

import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rfmrisk.proxy import ClusterDisplay, label_stability, leakage_report
from rfmrisk.proxy.labeler import ProxyLabeler
from rfmrisk.training.drawing import drawn

if TYPE_CHECKING:
    import pandas as pd

    from rfmrisk.training.search import TrainingResult

CLUSTERS_PICTURE = "clusters.png"
N_RESAMPLES = 20


def write_label(result: "TrainingResult", folder: Path) -> dict[str, Any]:
    """Measure the proxy label of a training; write its tables and its picture.

    Parameters
    ----------
    result : TrainingResult
    folder : Path
        Gets ``clusters.csv`` and ``clusters.png``, ``label_stability.csv`` and ``leakage.csv``;
        nothing where the target was given.

    Returns
    -------
    dict
        The verdicts in words, ``label_stability`` and ``leakage``, and whether it is
        ``label_stable`` and whether it ``leaks``.
    """
    if result.target is None:
        return {}
    aggregator, labeler = result.target.labeler[:-1], result.target.labeler[-1]
    with warnings.catch_warnings():
        # The training has said that the label is degenerate, and the report says in red what
        # the warning of a leak says.
        warnings.filterwarnings("ignore", "the label is degenerate|leakage", UserWarning)
        stability = label_stability(
            result.target.labeler, result.histories, n_resamples=N_RESAMPLES
        )
        # A leak is found in one window as well as in all.
        past = result.past.iloc[: result.target.windows[0].n_customers]
        leakage = leakage_report(
            result.model.pipeline,
            past,
            result.samples["target"].to_numpy()[: len(past)],
            outcome_from=past["as_of"] if result.target.outcome else None,
        )
    stability.table.to_csv(folder / "label_stability.csv")
    leakage.table.rename_axis("columns").to_csv(folder / "leakage.csv")
    if isinstance(labeler, ProxyLabeler):
        labeler.cluster_profile().to_csv(folder / "clusters.csv")
        rfm = aggregator.transform(result.histories)
        drawn("clusters", partial(_draw_clusters, labeler, rfm, folder / CLUSTERS_PICTURE))
    return {
        "label_stability": stability.verdict,
        "label_stable": stability.is_stable,
        "leakage": leakage.verdict,
        "leaks": bool(leakage.alarms),
    }


def _draw_clusters(labeler: ProxyLabeler, rfm: "pd.DataFrame", path: Path) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    ClusterDisplay.from_estimator(labeler, rfm, ax=figure.subplots())
    figure.savefig(path, dpi=110)
    return path
