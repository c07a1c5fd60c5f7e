"""The folder that a training leaves: written beside its final place and moved there when whole."""

import errno
import io
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd

from rfmrisk.scoring.csv_text import write_csv
from rfmrisk.scoring.metadata import ModelMetadata
from rfmrisk.scoring.model import METADATA_FILE
from rfmrisk.training.exchange import to_records, write_histories

if TYPE_CHECKING:
    from rfmrisk.training.search import TrainingResult

CLASSING_FILE = "classing.json"
EXAMPLE_FILE = "input_example.json"
HELD_OUT_FILE = "held_out.parquet"
SAMPLES_FILE = "samples.csv"
SAMPLE_FILE = "transactions.csv"

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
    folder : Path
    """
    result.model.save(folder)
    tables = {
        "metrics": result.metrics,
        "out_of_time": result.out_of_time,
        "segments": result.segments,
        "gains": result.gains,
        "cutoffs": result.cutoffs,
        "grades": result.grades,
        "candidates": result.candidates.set_index("model"),
        "customers": result.customers,
        "samples": result.samples,
        "examples": result.examples,
        "information_value": result.by_feature.information_value,
        "bins": result.by_feature.bins,
        "drift": result.drift,
        "points": result.points if result.points is None else result.points.set_index("feature"),
    }
    if result.lost is not None and len(result.lost):
        tables["lost"] = result.lost
    if result.curve is not None:
        tables["outcome_curve"] = result.curve.table
    if result.label is not None:
        tables["label_stability"] = result.label.stability.table
        tables["leakage"] = result.label.leakage.table.rename_axis("columns")
        tables["clusters"] = result.label.clusters
    for name, table in tables.items():
        if table is not None:
            write_csv(table, folder / f"{name}.csv")
    if result.classing is not None:
        text = json.dumps(result.classing, indent=1, ensure_ascii=False)
        (folder / CLASSING_FILE).write_text(text + "\n", encoding="utf-8")
    held_out = result.held_out
    write_histories(held_out, folder / HELD_OUT_FILE)
    example = json.dumps(to_records(held_out.iloc[:2]), indent=1, ensure_ascii=False)
    (folder / EXAMPLE_FILE).write_text(example + "\n", encoding="utf-8")


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
    if result.label is not None:
        labelled = result.label.rfm
        tables["rfm"] = labelled.drop(columns=["cluster", "is_high_risk"], errors="ignore")
        tables["rfm_clusters"] = labelled.drop(columns="is_high_risk", errors="ignore")
        tables["rfm_labels"] = labelled.drop(columns="cluster", errors="ignore")
        if "window" in result.samples:
            tables["labels"] = result.samples[["window", "as_of", "target", "part"]]
    whole = result.features.assign(target=result.samples["target"].to_numpy())
    tables["features_target"] = whole
    part = result.samples["part"].to_numpy()
    tables["train"], tables["test"] = whole[part == "train"], whole[part == "test"]
    (folder / "tables").mkdir()
    for name, table in tables.items():
        if kind == "csv":
            write_csv(table, folder / "tables" / f"{name}.csv")
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
        with (folder / name).open(encoding="utf-8", newline="") as file:
            return file.read()
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
        # "NA" is a category like any other; what is missing is written as nothing.
        table = pd.read_csv(
            io.StringIO(text), dtype={"customer": str}, keep_default_na=False, na_values=[""]
        )
        table[list(needed)]
        return table if index is None else table.set_index(index)
    except (ValueError, KeyError) as error:
        raise ValueError(
            f"{str(folder)!r} is not whole: {name} is not the table that a training wrote"
        ) from error
