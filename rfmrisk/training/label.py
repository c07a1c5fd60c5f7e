"""The label's page of a report: what the label is, whether it holds, and whether it leaks."""

import io
import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from rfmrisk.proxy import ClusterDisplay, label_stability, leakage_report
from rfmrisk.proxy.labeler import ProxyLabeler

if TYPE_CHECKING:
    import pandas as pd

    from rfmrisk.training.search import TrainingResult

VERDICTS_FILE = "label.json"
CLUSTERS_PICTURE = "clusters.png"
N_RESAMPLES = 20


def write_label(result: "TrainingResult", histories: "pd.DataFrame", folder: Path) -> None:
    """Measure the proxy label of a training, and write the tables and the picture of it.

    Parameters
    ----------
    result : TrainingResult
    histories : DataFrame of shape (n_customers, 2)
        Those that were trained on, as known today.
    folder : Path
        Gets ``clusters.csv`` and ``clusters.png``, ``stability.csv``, ``leakage.csv``, and the
        verdicts in ``label.json``; nothing where the target was given.
    """
    if result.target is None:
        return
    aggregator, labeler = result.target.labeler[:-1], result.target.labeler[-1]
    stability = label_stability(result.target.labeler, histories, n_resamples=N_RESAMPLES)
    with warnings.catch_warnings():
        # The verdict says in the report what the warning says.
        warnings.filterwarnings("ignore", "leakage", UserWarning)
        leakage = leakage_report(
            result.model.pipeline,
            result.histories,
            result.customers["target"].to_numpy(),
            outcome_from=result.histories["as_of"] if result.target.outcome else None,
        )
    stability.table.to_csv(folder / "stability.csv")
    leakage.table.to_csv(folder / "leakage.csv")
    verdicts = {"stability": stability.verdict, "leakage": leakage.verdict}
    text = json.dumps(verdicts, indent=2, ensure_ascii=False)
    (folder / VERDICTS_FILE).write_text(text + "\n", encoding="utf-8")
    if isinstance(labeler, ProxyLabeler):
        labeler.cluster_profile().to_csv(folder / "clusters.csv")
        (folder / CLUSTERS_PICTURE).write_bytes(_picture(labeler, aggregator.transform(histories)))


def _picture(labeler: ProxyLabeler, rfm: "pd.DataFrame") -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    ClusterDisplay.from_estimator(labeler, rfm, ax=figure.subplots())
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
