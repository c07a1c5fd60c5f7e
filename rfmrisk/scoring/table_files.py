"""Score a plain table of applications, by a model that was trained on one."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from rfmrisk.histories.options import RECOGNISED, ReadingOptions
from rfmrisk.histories.plain_table import table_histories
from rfmrisk.histories.sources import Source
from rfmrisk.histories.tables import read_frame
from rfmrisk.histories.whole_files import whole_file
from rfmrisk.scoring.features import categories_of
from rfmrisk.scoring.files import check_output, write_scores
from rfmrisk.scoring.new_decisions import check_applications
from rfmrisk.scoring.reasons import PhraseBook

if TYPE_CHECKING:
    from rfmrisk.scoring.model import ScoringModel


def read_applications(
    model: "ScoringModel",
    table: str | Path | Source | pd.DataFrame,
    options: ReadingOptions = RECOGNISED,
) -> pd.DataFrame:
    """Return a plain table as histories without a transaction, checked against the training.

    Parameters
    ----------
    model : ScoringModel
        Of a plain table.
    table : str, Path, Source or DataFrame
        The columns of the outcome and of the weight that the model was trained on may be there;
        they are left out.
        The columns of the customer and of the time are those of the training, where it had them.
    options : ReadingOptions
        How a file of text is written, where it can be read in two ways.

    Raises
    ------
    FileNotFoundError, ValueError
        It cannot be read; or columns are missing, unknown, or of another type than in training.
    """
    own = model.metadata.decision_roles
    if not isinstance(table, pd.DataFrame):
        table = read_table_of(model, table, options)
    table = table.drop(columns=model.metadata.columns_of_outcomes, errors="ignore")
    if own.get("customer") in table:
        table = table.set_index(own["customer"])
    if own.get("time") in table:
        table = table.rename(columns={own["time"]: "as_of"})
    check_applications(model, table.drop(columns="as_of", errors="ignore"))
    return table_histories(table)


def read_table_of(
    model: "ScoringModel", file: str | Path | Source, options: ReadingOptions = RECOGNISED
) -> pd.DataFrame:
    """Read a table whose columns are to have the types that they had in a model's training."""
    own, columns = model.metadata.decision_roles, model.scorer.recipe.columns
    texts = categories_of(columns)
    ids, time = own.get("customer"), own.get("time")
    return read_frame(
        file, "the applications", [], ids=ids, time=time, texts=texts, options=options
    )


def score_table(
    model: "ScoringModel",
    table: str | Path | pd.DataFrame,
    output: str | Path,
    *,
    n_reasons: int = 3,
    reasons: str | Path | dict[str, Any] | PhraseBook | None = None,
    spreadsheet: bool = False,
    options: ReadingOptions = RECOGNISED,
) -> tuple[int, int]:
    """Score a plain table of applications into a file, one line each.

    Parameters
    ----------
    model : ScoringModel
        Trained on a plain table.
    table : str, Path or DataFrame
        A CSV, Excel or Parquet file, or a frame.
    output : str or Path
        A ``.csv`` or ``.parquet`` file; it is there whole or not at all.
    n_reasons, reasons, spreadsheet
        As in `rfmrisk.scoring.files.score_file`.
    options : ReadingOptions
        How a file of text is written, where it can be read in two ways.

    Returns
    -------
    n_applications, n_high_risk : int

    Raises
    ------
    FileNotFoundError, ValueError
        The model is of a log, the output cannot be written, the table cannot be read, or columns
        are missing, unknown, or of another type than in training.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import pandas as pd
    >>> from rfmrisk.scoring.table_files import score_table
    >>> from rfmrisk.training import train
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"age": rng.integers(20, 70, 300), "asked": rng.normal(size=300)})
    >>> y = (rng.random(300) < 10 / table["age"]).astype(int)
    >>> model = train(table, y, models=["decision_tree"], cv=2).model
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     n_applications, _ = score_table(model, table, f"{folder}/scores.csv")
    >>> n_applications
    300
    """
    output = check_output(output)
    if not model.of_table:
        raise ValueError(
            "the model was trained on a log, and needs one: score it without --table, or by "
            "rfmrisk.scoring.files.score_file"
        )
    histories = read_applications(model, table, options)
    scores = model.score(histories, n_reasons, reasons)
    if not model.metadata.decision_roles.get("time"):
        scores = scores.drop(columns="as_of")
    tables = iter([pa.Table.from_pandas(scores)])
    with whole_file(output) as partial:
        return write_scores(tables, partial, output.suffix, spreadsheet=spreadsheet)
