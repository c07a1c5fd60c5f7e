"""The files of ``POST /score-file``: what was sent, scored some customers at a time."""

import io
from collections.abc import Iterator, Mapping
from itertools import chain

import numpy as np
import pandas as pd
from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartParser,
    parse_options_header,
)

from rfmrisk.histories.flat import flatten
from rfmrisk.histories.options import OptionNeededError, ReadingOptions
from rfmrisk.histories.plain_table import NO_TIME
from rfmrisk.histories.roles import Roles
from rfmrisk.histories.sources import Limits
from rfmrisk.scoring.csv_text import defused_table, write_table
from rfmrisk.scoring.model import scores_table
from rfmrisk.scoring.reasons import PhraseBook
from rfmrisk.scoring.received import ReceivedFile, received_histories
from rfmrisk.scoring.scorer import Scores
from rfmrisk.scoring.values import InvalidInputError, not_allowed, shown
from rfmrisk.serving.champion import N_REASONS, Champion
from rfmrisk.serving.problems import Problem

CSV_TYPE = "text/csv"
PARQUET_TYPE = "application/vnd.apache.parquet"
FORM_TYPE = "multipart/form-data"

# Customers whose answers are made and sent at once.
BATCH = 1_000

Batches = Iterator[tuple[pd.DataFrame, Scores]]

_READING = ("separator", "decimal", "thousands", "encoding", "time_format", "time_unit")
PARAMETERS = {
    "customer": "The column of the customer's id; by default that of the training.",
    "time": "The column of the time; by default that of the training.",
    "amount": "The column of the amount; by default that of the training.",
    "as_of": "The moment of decision, such as 2018-12-01, with a zone where the times have one (a "
    "+ is written %2B); by default the midnight that ends the last day.",
    "decision_customer": "The column of the customer in the decisions; by default that of the "
    "training.",
    "decision_time": "The column of the time in the decisions; by default that of the training.",
    "spreadsheet": "true puts an apostrophe before texts that a spreadsheet would compute.",
    **dict.fromkeys(_READING, "How files are written, as for rfmrisk score; else recognised."),
}
_PARTS = ("log", "decisions")
_OF_ANY_TYPE = ("application/octet-stream", "text/plain")  # what clients say of unknown files


def score_log(champion: Champion, body: bytes, kind: str, given: Mapping[str, str]) -> Batches:
    """Score the customers of a log, or decisions, some at a time; the first are scored at once.

    ``kind`` is the header Content-Type, and ``given`` has the parameters of the query. Each batch
    is the histories of some customers, and their scores.

    Raises
    ------
    InvalidInputError
        Says what is wrong by file, column and row, without a value.
    Problem
        A file is of another media type, or the parts of a form cannot be told apart.
    """
    for name in given:
        if name not in PARAMETERS:
            allowed = f"is not a known parameter; known are {', '.join(PARAMETERS)}"
            raise not_allowed(shown(name), allowed)
    if given.get("spreadsheet", "false") not in ("true", "false"):
        raise not_allowed("spreadsheet", "must be true or false")
    try:
        options = ReadingOptions(**{name: given.get(name) or None for name in _READING})
    except ValueError as error:
        raise InvalidInputError(str(error)) from error
    files = _files(champion, body, kind)
    try:
        histories = received_histories(
            champion.model,
            files["log"],
            files.get("decisions"),
            roles=Roles.of_training(
                champion.model.metadata.roles,
                customer=given.get("customer"),
                time=given.get("time"),
                amount=given.get("amount"),
            ),
            options=options,
            as_of=given.get("as_of"),
            decision_customer=given.get("decision_customer"),
            decision_time=given.get("decision_time"),
        )
    except OptionNeededError as error:
        known = [name for name in error.options if name in PARAMETERS]
        advice = f". {error.advice} the parameter {' or '.join(known)}" if known else ""
        fields = {error.column: error.problem} if error.column else {}
        raise InvalidInputError(f"{error.problem}{advice}", fields) from error
    batches = _score(champion, histories)
    return chain([next(batches)], batches)


def _files(champion: Champion, body: bytes, kind: str) -> dict[str, ReceivedFile]:
    """Return the log, and the decisions where the body is a form that holds both."""
    settings = champion.reader.settings
    limits = Limits(settings.max_transactions, 2 * settings.max_body)
    media_type, parameters = parse_options_header(kind)
    if media_type.lower() != FORM_TYPE:
        return {"log": ReceivedFile(body, media_type.lower() == PARQUET_TYPE, limits)}
    found: dict[str, ReceivedFile] = {}
    try:
        # In memory: the limit of a body holds for all parts of it.
        whole = len(body) + 1
        parser = MultipartParser(
            io.BytesIO(body),
            parameters.get("boundary", ""),
            spool_limit=whole,
            memory_limit=whole,
            part_limit=len(_PARTS),
        )
        for part in parser:
            if part.name not in _PARTS or part.name in found:
                raise not_allowed(shown(part.name), "must be log or decisions, each once")
            content, own = part.raw, part.content_type.lower()
            if own not in (CSV_TYPE, PARQUET_TYPE, *_OF_ANY_TYPE):
                raise Problem(415, f"the part {part.name} must be {CSV_TYPE} or {PARQUET_TYPE}")
            in_parquet = content.startswith(b"PAR1") if own in _OF_ANY_TYPE else own == PARQUET_TYPE
            found[part.name] = ReceivedFile(content, in_parquet, limits, part.name)
    except MultipartError as error:
        raise Problem(400, "the body is not a whole form of files, as its boundary says") from error
    if "log" not in found:
        raise not_allowed("log", "is required: the part of the form that holds the log")
    return found


def _score(champion: Champion, histories: pd.DataFrame) -> Batches:
    for start in range(0, len(histories), BATCH):
        part = histories.iloc[start : start + BATCH]
        scores = champion.scorer.score(flatten(part), N_REASONS, champion.book)
        champion.monitor.add(scores.score, scores.high_risk)
        yield part, scores


def as_csv(batches: Batches, book: PhraseBook, *, spreadsheet: bool = False) -> Iterator[str]:
    """Write scores as CSV, with the columns of ``rfmrisk score``; for a spreadsheet, defused."""
    for number, (part, scores) in enumerate(batches):
        times = part["as_of"].to_numpy()
        as_of = np.where(times == NO_TIME, "", np.datetime_as_string(times, unit="s"))
        table = scores_table(part, scores, N_REASONS, book).assign(as_of=as_of)
        text = io.StringIO()
        write_table(defused_table(table) if spreadsheet else table, text, header=not number)
        yield text.getvalue()
