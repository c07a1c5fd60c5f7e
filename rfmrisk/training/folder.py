"""The folder that a training leaves: written beside its final place and moved there when whole."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pandas as pd

from rfmrisk.training.search import TrainingResult
from rfmrisk.woe import WOEEncoder

TableFormat = Literal["csv", "parquet"]


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """Give a folder to fill that becomes ``path`` when all has gone well, and vanishes if not.

    Raises
    ------
    ValueError
        ``path`` exists already, or cannot be written.
    """
    path = Path(path).absolute()
    if path.exists():
        raise ValueError(f"{str(path)!r} exists already; choose another folder")
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise ValueError(f"the folder {str(path)!r} cannot be written: {error.strerror}") from error
    try:
        yield partial
        partial.replace(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_result(result: TrainingResult, folder: Path) -> None:
    """Write the model and the tables that a report is made of."""
    result.model.save(folder)
    result.metrics.to_csv(folder / "metrics.csv")
    result.candidates.to_csv(folder / "candidates.csv", index=False)
    result.customers.to_csv(folder / "customers.csv")
    train_rows = (result.customers["part"] == "train").to_numpy()
    encoder = WOEEncoder().fit(result.features[train_rows], result.customers["target"][train_rows])
    values = pd.Series(
        encoder.information_value_,
        index=result.features.columns.rename("feature"),
        name="information_value",
    )
    values.sort_values(ascending=False).to_csv(folder / "information_value.csv")
    if result.target is not None:
        profile = result.target.labeler[-1].cluster_profile()
        profile.to_csv(folder / "clusters.csv")
    if "scorecard" in result.fitted:
        points = result.fitted["scorecard"][-1].points_table()
        points.to_csv(folder / "points.csv", index=False)


def write_tables(
    result: TrainingResult, histories: pd.DataFrame, folder: Path, kind: TableFormat
) -> None:
    """Write the table of each step, with the customer's id, so that each can be checked.

    Parameters
    ----------
    result : TrainingResult
    histories : DataFrame of shape (n_customers, 2)
        Those that were trained on.
    folder : Path
        Gets a folder ``tables``.
    kind : {"csv", "parquet"}
    """
    tables: dict[str, pd.DataFrame] = {}
    if result.target is not None:
        rfm = result.target.labeler[:-1].transform(histories)
        labelled = result.target.labeler[-1].transform(rfm)
        tables["rfm"] = rfm
        tables["rfm_clusters"] = labelled.drop(columns="is_high_risk")
        tables["rfm_labels"] = labelled.drop(columns="cluster")
    whole = result.features.assign(target=result.customers["target"].to_numpy())
    tables["features_target"] = whole
    part = result.customers["part"].to_numpy()
    tables["train"], tables["test"] = whole[part == "train"], whole[part == "test"]
    (folder / "tables").mkdir()
    for name, table in tables.items():
        if kind == "csv":
            table.to_csv(folder / "tables" / f"{name}.csv")
        else:
            table.to_parquet(folder / "tables" / f"{name}.parquet")
