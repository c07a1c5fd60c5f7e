"""Score a log that is larger than memory: partition by partition, and never half."""

import json
import platform
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from rfmrisk import __version__
from rfmrisk._showing import progress
from rfmrisk.aggregation.union import needed_fields
from rfmrisk.histories.nesting import Decisions, check_within
from rfmrisk.histories.options import (
    ROWS_PER_PART,
    Duplicates,
    OnBad,
    OptionNeededError,
    ReadingOptions,
)
from rfmrisk.histories.partitions import PartitionedLog, is_table
from rfmrisk.histories.roles import Roles
from rfmrisk.histories.segments import Ints
from rfmrisk.histories.sources import log_files
from rfmrisk.histories.whole_files import whole_file
from rfmrisk.scoring.csv_text import defused_table, write_table
from rfmrisk.scoring.features import categories_of
from rfmrisk.scoring.model import ScoringModel
from rfmrisk.scoring.new_decisions import decisions_to_score
from rfmrisk.scoring.raters import pipelines_of
from rfmrisk.scoring.reasons import PhraseBook
from rfmrisk.scoring.work_folder import open_work, remove_work

_CUSTOMERS_AT_ONCE = 50_000
_POSITION = "position"


def score_file(
    model: ScoringModel,
    path: str | Path,
    output: str | Path,
    *,
    customer: str | None = None,
    time: str | None = None,
    amount: str | None = None,
    order: str | None = None,
    duplicates: Duplicates | None = None,
    as_of: Any = None,
    decisions: str | Path | pd.DataFrame | None = None,
    decision_customer: str | None = None,
    decision_time: str | None = None,
    on_bad: OnBad = "raise",
    separator: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    encoding: str | None = None,
    time_format: str | None = None,
    time_unit: str | None = None,
    n_reasons: int = 3,
    reasons: str | Path | Mapping[str, Any] | PhraseBook | None = None,
    rows_per_part: int = ROWS_PER_PART,
    spreadsheet: bool = False,
) -> tuple[int, int]:
    """Score the customers of a log on disk into a file, however large the log.

    The file holds what ``model.score(to_histories(read_transactions(path)))`` gives, to the last
    bit and in the same order: sorted by customer, or as the decisions are. It appears under its
    name when it is whole.
    Until then the work lies in a folder beside it, ``.NAME.parts``; interrupted, and started
    again with the same log, model and options, it goes on where it was.

    Parameters
    ----------
    model : ScoringModel
        As `rfmrisk.training.load_model` gives it.
    path : str or Path
        A Parquet file or a folder of them. A CSV file is taken too, but read at once.
    output : str or Path
        A ``.csv`` or ``.parquet`` file; one that is there is replaced.
    customer, time, amount, order, duplicates : str or None, default=None
        The columns of the log, and whether rows that repeat others are dropped, as in
        `to_histories`; None is as in the training of the model.
    as_of : datetime-like or None, default=None
        The timestamp of the decision; None is the midnight that ends the last day of the whole log.
    decisions : str, Path, DataFrame or None, default=None
        Decisions to score instead, one line each: a CSV, Excel or Parquet file, or a frame, with
        the columns that the model needs of an application.
    decision_customer, decision_time : str or None, default=None
        Their columns of the customer and the time; None takes those of the training. Where there
        is no column of the time, ``as_of`` is the time of all.
    on_bad : {"raise", "drop"}, default="raise"
        Invalid rows of the whole log are an error, or are left out with a warning that counts them.
    separator, decimal, thousands, encoding, time_format, time_unit : str or None, default=None
        How the log is written, as in `read_transactions`. What the model has as categories is
        read as text from a file of text.
    n_reasons : int, default=3
        How many reasons to give; see `ScoringModel.score`.
    reasons : str, Path, mapping, PhraseBook or None, default=None
        The sentences of the reasons; see `PhraseBook`.
    rows_per_part : int, default=1_000_000
        About how many transactions are in memory at a time. A customer is never divided.

    spreadsheet : bool, default=False
        Put an apostrophe before texts of a CSV that a spreadsheet would compute: those that begin
        with ``=``, ``+``, ``-`` or ``@``, or with a tab or the end of a line.

    Returns
    -------
    n_customers : int
        How many customers, or decisions, were scored.
    n_high_risk : int
        How many of them are high-risk.

    Raises
    ------
    FileNotFoundError, ValueError
        As `histories_in_parts`; or the output is of another type, or its folder is not there, or
        something else has the name of the folder of parts; or columns of the decisions are
        missing, unknown, or of another type than in training.
    RuntimeError
        The log changed while it was scored, or another process writes the output. Nothing is
        written.

    Warns
    -----
    UserWarning
        As `to_histories`; or decisions are before the first transaction of the log, or after the
        day of its last one.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> from rfmrisk import to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> from rfmrisk.scoring.files import score_file
    >>> from rfmrisk.training import train
    >>> log = make_transactions(n_customers=300, random_state=0)
    >>> model = train(to_histories(log), models=["decision_tree"], cv=3).model
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log.to_parquet(f"{folder}/log.parquet")
    ...     n_customers, _ = score_file(model, f"{folder}/log.parquet", f"{folder}/scores.parquet")
    ...     scores = pd.read_parquet(f"{folder}/scores.parquet")
    >>> scores.equals(model.score(to_histories(log)))
    True
    """
    output = check_output(output)
    roles = Roles.of_training(
        model.metadata.roles,
        customer=customer,
        time=time,
        amount=amount,
        order=order,
        duplicates=duplicates,
    )
    reading = ReadingOptions(separator, decimal, thousands, encoding, time_format, time_unit)
    steps = [each[0] for each in pipelines_of(model.pipeline)]
    fields = {name: dtype for step in steps for name, dtype in needed_fields(step).items()}
    texts = categories_of(fields)
    if model.of_table:
        raise ValueError(
            "the model was trained on a plain table of applications, and scores one: "
            "rfmrisk score TABLE --table, or rfmrisk.scoring.table_files.score_table"
        )
    if decisions is None and model.scorer.recipe.columns:
        raise OptionNeededError(
            f"the model needs {list(model.scorer.recipe.columns)} of each decision, which a log "
            "does not have",
            "Give them by",
            decisions="FILE",
        )
    state = _state(path)
    timestamp = as_of if decisions is None else None
    log = PartitionedLog(
        path, roles, timestamp, on_bad, rows_per_part, options=reading, texts=texts
    )
    options: dict[str, Any] = {**roles.plain, **reading.given, "as_of": log.as_of, "on_bad": on_bad}
    if decisions is not None:
        asked = decisions_to_score(
            model,
            decisions,
            roles.customer,
            id_type=log.schema.field(roles.customer).type,
            customer=decision_customer,
            time=decision_time,
            as_of=as_of,
            options=reading,
        )
        log.decide(asked)
        options["as_of"] = joblib.hash(asked)
    book = PhraseBook.read(reasons)
    options |= {"n_reasons": n_reasons, "reasons": book.content, "rows_per_part": rows_per_part}
    with open_work(output, _manifest(model, state, options)) as work:
        try:
            split = log.split(work, progress)
            if isinstance(split.timestamp, Decisions):
                check_within(split.timestamp.as_of, *split.span)
        except ValueError:
            remove_work(work)
            raise

        scored = [work / f"scores-{number:05}.arrow" for number in range(log.n_parts)]
        for number in progress(range(log.n_parts), "scoring", log.n_parts):
            if not is_table(scored[number]):
                batches = _score(model, split.part(number), n_reasons, book)
                if isinstance(split.timestamp, Decisions):
                    batches = _numbered(batches, split.positions(number))
                _write_scores(batches, scored[number])
        if _state(path) != state:
            remove_work(work)
            raise RuntimeError(
                f"{str(path)!r} changed while it was scored, so nothing is written; score it again"
            )
        tables = _in_order(scored, "customer" if decisions is None else _POSITION)
        with whole_file(output, work) as partial:
            counted = write_scores(tables, partial, output.suffix, spreadsheet=spreadsheet)
        remove_work(work)
    return counted


def _state(path: str | Path) -> list[list[Any]]:
    """Return what changes when the files of a log change."""
    stats = [(str(file.resolve()), file.stat()) for file in log_files(Path(path))]
    return [[name, s.st_size, s.st_mtime_ns, s.st_ino, s.st_ctime_ns] for name, s in stats]


def check_output(output: str | Path) -> Path:
    """Return the path of an output, which must be of a known type and in a folder that exists."""
    output = Path(output)
    if output.suffix not in (".csv", ".parquet"):
        raise ValueError(f"the output must be a .csv or .parquet file; got {str(output)!r}")
    if not output.absolute().parent.is_dir():
        raise ValueError(f"the output's folder {str(output.parent)!r} does not exist")
    return output


def _manifest(model: ScoringModel, state: list[list[Any]], options: dict[str, Any]) -> str:
    """Return as text all that the parts depend on: log, model, options and versions."""
    packages = ("numpy", "pandas", "pyarrow", "scikit-learn")
    versions = {name: version(name) for name in packages} | {"rfmrisk": __version__}
    content = {
        "log": state,
        "model": joblib.hash((model.pipeline, model.metadata)),
        "options": options,
        "versions": versions | {"python": platform.python_version()},
    }
    return json.dumps(content, indent=2)


def _score(
    model: ScoringModel, histories: pd.DataFrame | None, n_reasons: int, book: PhraseBook
) -> list[pa.RecordBatch]:
    if histories is None:
        return []
    blocks = range(0, len(histories), _CUSTOMERS_AT_ONCE)
    scores = pd.concat(
        model.score(histories.iloc[first : first + _CUSTOMERS_AT_ONCE], n_reasons, book)
        for first in blocks
    )
    return pa.Table.from_pandas(scores).combine_chunks().to_batches()


def _numbered(batches: list[pa.RecordBatch], positions: Ints) -> list[pa.RecordBatch]:
    """Put the positions of the decisions before their scores."""
    if not batches:
        return []
    table = pa.Table.from_batches(batches)
    return table.add_column(0, _POSITION, pa.array(positions)).combine_chunks().to_batches()


def _write_scores(batches: list[pa.RecordBatch], path: Path) -> None:
    """Write the scores of one part; one without customers has no columns either."""
    schema = batches[0].schema if batches else pa.schema([])
    with whole_file(path) as partial, pa.ipc.new_file(str(partial), schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _in_order(paths: list[Path], key: str) -> Iterator[pa.Table]:
    """Merge parts that are each sorted by a column into tables that follow one another."""
    read = (pa.ipc.open_file(pa.memory_map(str(path))).read_all() for path in paths)
    parts = [part for part in read if part.num_columns]
    keys = [part[key].chunk(0) for part in parts]
    n_tables = -(-sum(map(len, keys)) // (4 * _CUSTOMERS_AT_ONCE))
    # Every hundredth customer of each part shows well enough where the tables are to begin.
    some = pa.concat_arrays([key.take(pa.array(np.arange(0, len(key), 100))) for key in keys])
    some = some.sort()
    begins = [some[len(some) * number // n_tables].as_py() for number in range(1, n_tables)]
    places = [
        [0, *(bisect_left(_Values(key), begin) for begin in begins), len(key)] for key in keys
    ]
    for number in range(n_tables):
        slices = [
            part.slice(place[number], place[number + 1] - place[number])
            for part, place in zip(parts, places, strict=True)
        ]
        table = pa.concat_tables(slices)
        table = table.take(pc.sort_indices(table[key]))
        yield table.drop_columns(_POSITION) if key == _POSITION else table


class _Values:
    """An Arrow array as Python's sequence of values, for a binary search."""

    def __init__(self, array: pa.Array) -> None:
        self._array = array

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, place: int) -> Any:
        return self._array[place].as_py()


def write_scores(
    tables: Iterator[pa.Table], path: Path, suffix: str, *, spreadsheet: bool
) -> tuple[int, int]:
    """Write the tables one after another; return how many customers, and high-risk ones."""
    n_customers = n_high_risk = 0
    with ExitStack() as stack:
        if suffix == ".csv":
            file = stack.enter_context(path.open("w", encoding="utf-8", newline=""))
        for table in tables:
            if suffix == ".csv":
                scores = table.to_pandas()
                scores = defused_table(scores) if spreadsheet else scores
                write_table(scores, file, header=not n_customers)
            else:
                if not n_customers:
                    writer = stack.enter_context(parquet.ParquetWriter(path, table.schema))
                writer.write_table(table)
            n_customers += len(table)
            n_high_risk += pc.sum(table["is_high_risk"]).as_py()
    return n_customers, n_high_risk
