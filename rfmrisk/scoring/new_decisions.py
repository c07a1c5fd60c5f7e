"""Decisions that a model is to score: read, and compared with those of its training."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from rfmrisk.aggregation import ApplicationColumns
from rfmrisk.histories.columns import is_text
from rfmrisk.histories.decisions import bind_decisions
from rfmrisk.histories.flat import FlatHistories
from rfmrisk.histories.options import RECOGNISED, ReadingOptions
from rfmrisk.histories.tables import read_frame
from rfmrisk.scoring.features import aggregators_of, categories_of
from rfmrisk.scoring.raters import pipelines_of

if TYPE_CHECKING:
    from rfmrisk.scoring.model import ScoringModel


def decisions_to_score(
    model: "ScoringModel",
    decisions: str | Path | pd.DataFrame,
    log_customer: str,
    *,
    id_type: pa.DataType,
    customer: str | None = None,
    time: str | None = None,
    as_of: Any = None,
    options: ReadingOptions = RECOGNISED,
) -> pd.DataFrame:
    """Return decisions as `to_histories` takes them, with what the model needs of each.

    Parameters
    ----------
    model : ScoringModel
    decisions : str, Path or DataFrame
        One row per decision. The columns of the outcome and of the weight that the model was
        trained on may be among the columns; they are left out.
    log_customer : str
        The column of the customer in the log.
    id_type : pyarrow.DataType
        Of the customers' ids in the log.
    customer, time : str or None, default=None
        The columns of the customer and of the time; None takes those of the training, or else
        the log's own name and ``as_of``.
    as_of : datetime-like or None, default=None
        The time of all decisions, where they have no column of it.
    options : ReadingOptions
        How the log is written.

    Raises
    ------
    FileNotFoundError, ValueError
        They cannot be read; or columns are missing, unknown, or of another type than in training.
    """
    recipe = model.scorer.recipe
    customer, time = columns_of_decisions(model, log_customer, customer, time)
    if isinstance(decisions, pd.DataFrame):
        table = decisions
        if customer not in table and "customer" in table:  # as to_histories takes it
            customer = "customer"
    else:
        table = read_frame(
            decisions,
            "the decisions",
            [customer],
            ids=customer,
            ids_are_text=is_text(id_type),
            time=time,
            texts=categories_of(recipe.columns),
            options=options,
        )
    if as_of is not None:
        if time in table:
            raise ValueError(
                f"the decisions have times of their own, in {time!r}: leave out as_of, or the "
                "column"
            )
        table = table.assign(**{time: as_of})
    table = table.drop(columns=model.metadata.columns_of_outcomes, errors="ignore")
    table = bind_decisions(table, log_customer, customer=customer, time=time)
    check_applications(model, table.drop(columns=[log_customer, "as_of"]))
    return table


def columns_of_decisions(
    model: "ScoringModel", log_customer: str, customer: str | None, time: str | None
) -> tuple[str, str]:
    """Return the columns of the customer and of the time: those given, or those of the training."""
    trained_on = model.metadata.decision_roles
    return (
        customer or trained_on.get("customer") or log_customer,
        time or trained_on.get("time") or "as_of",
    )


def check_applications(model: "ScoringModel", applications: pd.DataFrame) -> None:
    """Raise where columns are missing, unknown, or of another type than in training."""
    recipe, known = model.scorer.recipe, model.scorer.known_columns
    missing = [name for name in recipe.columns if name not in applications]
    unknown = [name for name in map(str, applications) if name not in known]
    for problem, names in (
        ("lack the column(s)", missing),
        ("have column(s) that those of the training had not,", unknown),
    ):
        if names:
            raise ValueError(
                f"the applications {problem} {names}; the model needs {list(recipe.columns)}, and "
                f"was trained with {known}"
            )
    n, nothing = len(applications), np.zeros(len(applications), dtype=np.int64)
    columns = {str(name): column.array for name, column in applications.items()}
    no_histories = FlatHistories(
        nothing, nothing, nothing, nothing[:0], pa.nulls(0), range(n), decisions=columns
    )
    for pipeline in pipelines_of(model.pipeline):
        for _, part in aggregators_of(pipeline[0]):
            if n and isinstance(part, ApplicationColumns):
                part.compute(no_histories, recipe.columns.keys())
