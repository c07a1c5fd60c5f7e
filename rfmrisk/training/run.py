"""A training in a folder: its model, its tables, the report and the model card."""

from pathlib import Path
from typing import TYPE_CHECKING

from rfmrisk.training.folder import TableFormat, new_folder, write_result, write_tables
from rfmrisk.training.report.card import write_card
from rfmrisk.training.report.page import write_report
from rfmrisk.training.report.pictures import draw_clusters

if TYPE_CHECKING:
    from rfmrisk.training.search import TrainingResult


def save_run(
    result: "TrainingResult", folder: str | Path, *, tables: TableFormat | None = None
) -> Path:
    """Write a training into a new folder, with its report and its model card.

    Parameters
    ----------
    result : TrainingResult
        Of `train`.
    folder : str or Path
        Where; it comes into being whole or not at all.
    tables : {"csv", "parquet"} or None, default=None
        Whether to keep the table of each step as well, so that each can be checked.

    Returns
    -------
    Path
        The folder, which `ScoringModel.load`, `Tracker.publish`, ``rfmrisk upload`` and
        ``rfmrisk serve --model`` take.

    Raises
    ------
    ValueError
        The folder exists already, or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from rfmrisk import to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> from rfmrisk.training import load_model, save_run, train
    >>> histories = to_histories(make_transactions(n_customers=300, random_state=0))
    >>> result = train(histories, models=["decision_tree"], cv=2)
    >>> with tempfile.TemporaryDirectory() as place:
    ...     model = load_model(save_run(result, f"{place}/run"))
    >>> model.metadata.model
    'decision_tree'
    """
    with new_folder(folder) as partial:
        write_run(result, partial, tables=tables)
    return Path(folder)


def write_run(result: "TrainingResult", folder: Path, *, tables: TableFormat | None = None) -> None:
    """Write a training into an open folder; see `save_run`."""
    write_result(result, folder)
    if result.label is not None:
        draw_clusters(result.label, folder)
    write_report(folder)
    write_card(folder)
    if tables:
        write_tables(result, folder, tables)
