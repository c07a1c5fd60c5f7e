"""The folder that a training leaves: written beside its final place and moved there when whole."""

import errno
import io
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from rfmrisk.metrics import stability_report
from rfmrisk.scoring.metadata import ModelMetadata
from rfmrisk.scoring.model import METADATA_FILE
from rfmrisk.training.exchange import to_records, write_histories
from rfmrisk.training.label import write_label
from rfmrisk.woe import WOEEncoder

if TYPE_CHECKING:
    from rfmrisk.training.search import TrainingResult

EXAMPLE_FILE = "input_example.json"
HELD_OUT_FILE = "held_out.parquet"
SAMPLES_FILE = "samples.csv"
SAMPLE_FILE = "transactions.csv"
N_TOP = 6

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
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ValueError(f"the folder {str(path)!r} cannot be written: {error.strerror}") from error
    try:
        yield partial
        partial.replace(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_result(result: "TrainingResult", folder: Path) -> None:
    """Write the model and the tables that a report, a model card and a later upload are made of.

    Parameters
    ----------
    result : TrainingResult
        Its model's metadata gets to know whether the label is stable and whether it leaks, and
        what its reasons are.
    folder : Path
    """
    metadata = replace(
        result.model.metadata,
        **write_label(result, folder),
        reasons_note=result.model.reasons_note,
    )
    result.model = replace(result.model, metadata=metadata)
    result.model.save(folder)
    result.metrics.to_csv(folder / "metrics.csv")
    result.segments.to_csv(folder / "segments.csv")
    result.gains.to_csv(folder / "gains.csv")
    result.cutoffs.to_csv(folder / "cutoffs.csv")
    result.candidates.to_csv(folder / "candidates.csv", index=False)
    result.customers.to_csv(folder / "customers.csv")
    result.samples.to_csv(folder / SAMPLES_FILE)

    is_train = (result.samples["part"] == "train").to_numpy()
    held_out = result.past[~is_train]
    write_histories(held_out, folder / HELD_OUT_FILE)
    example = json.dumps(to_records(held_out.iloc[:2]), indent=1, ensure_ascii=False)
    (folder / EXAMPLE_FILE).write_text(example + "\n", encoding="utf-8")
    _examples(result, held_out, ~is_train).to_csv(folder / "examples.csv")

    encoder = WOEEncoder().fit(result.features[is_train], result.samples["target"][is_train])
    values = pd.Series(
        encoder.information_value_,
        index=result.features.columns.rename("feature"),
        name="information_value",
    ).sort_values(ascending=False, kind="stable")
    values.to_csv(folder / "information_value.csv")
    top = list(values.index[:N_TOP])
    bins = {name: encoder.binning_table(name) for name in top}
    pd.concat(bins, names=["feature"]).to_csv(folder / "bins.csv")
    _drift(result, is_train, top).to_csv(folder / "drift.csv")

    if "scorecard" in result.fitted:
        points = result.fitted["scorecard"][-1].points_table()
        points.to_csv(folder / "points.csv", index=False)


def write_tables(result: "TrainingResult", folder: Path, kind: TableFormat) -> None:
    """Write the table of each step, with the customer's id, so that each can be checked.

    Parameters
    ----------
    result : TrainingResult
    folder : Path
        Gets a folder ``tables``.
    kind : {"csv", "parquet"}
    """
    tables: dict[str, pd.DataFrame] = {}
    if result.target is not None:
        rfm = result.target.labeler[:-1].transform(result.histories)
        labelled = result.target.labeler[-1].transform(rfm)
        tables["rfm"] = rfm
        tables["rfm_clusters"] = labelled.drop(columns="is_high_risk")
        tables["rfm_labels"] = labelled.drop(columns="cluster")
        if "window" in result.samples:
            tables["labels"] = result.samples[["window", "as_of", "target", "part"]]
    whole = result.features.assign(target=result.samples["target"].to_numpy())
    tables["features_target"] = whole
    part = result.samples["part"].to_numpy()
    tables["train"], tables["test"] = whole[part == "train"], whole[part == "test"]
    (folder / "tables").mkdir()
    for name, table in tables.items():
        if kind == "csv":
            table.to_csv(folder / "tables" / f"{name}.csv")
        else:
            table.to_parquet(folder / "tables" / f"{name}.parquet")


def read_file(folder: Path, name: str) -> str:
    """Return the text of a file in a training's folder.

    Raises
    ------
    ValueError
        It cannot be read.
    """
    try:
        return (folder / name).read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(
            f"{str(folder)!r} is not the folder of a training: {name} cannot be read "
            f"({error.strerror})"
        ) from error


def read_metadata(folder: Path) -> ModelMetadata:
    """Return the metadata of the model in a training's folder.

    Raises
    ------
    ValueError
        They cannot be read.
    """
    return ModelMetadata.from_json(read_file(folder, METADATA_FILE))


def read_table(
    folder: Path, name: str, index: str | None = None, needed: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Return a CSV file in a training's folder, with customers' ids as text.

    Raises
    ------
    ValueError
        It cannot be read, or lacks the column ``index`` or a needed one.
    """
    text = read_file(folder, name)
    try:
        table = pd.read_csv(io.StringIO(text), dtype={"customer": str})
        table[list(needed)]
        return table if index is None else table.set_index(index)
    except (ValueError, KeyError) as error:
        raise ValueError(
            f"{str(folder)!r} is not whole: {name} is not the table that a training wrote"
        ) from error


def _examples(
    result: "TrainingResult", held_out: pd.DataFrame, is_test: np.ndarray
) -> pd.DataFrame:
    """Score three held-out customers: the riskiest, the one nearest the threshold, the safest."""
    metadata = result.model.metadata
    p = result.samples[f"probability_{metadata.model}"].to_numpy()[is_test]
    nearest = np.argmin(np.abs(p - metadata.threshold))
    places = [int(place) for place in (np.argmax(p), nearest, np.argmin(p))]
    scores = result.model.score(held_out.iloc[places])
    scores.insert(0, "example", ["riskiest", "nearest the threshold", "safest"])
    scores["target"] = result.samples["target"].to_numpy()[is_test][places]
    return scores


def _drift(result: "TrainingResult", is_train: np.ndarray, top: list[Any]) -> pd.DataFrame:
    """Compare score and top features of the held-out customers with the training customers."""
    probability = result.samples[f"probability_{result.model.metadata.model}"].to_numpy()
    columns = result.features[top].assign(**{"probability of the model": probability})
    columns = columns[["probability of the model", *top]]
    return stability_report(columns[is_train], columns[~is_train])
