"""The command line: rfmrisk check, train, upload, promote, score, serve, validate and so on."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import threading
import warnings
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rfmrisk import __version__
from rfmrisk.histories.options import (
    AMOUNT,
    CUSTOMER,
    ROLES,
    ROWS_PER_PART,
    TIME,
    OptionNeededError,
    ReadingOptions,
    add_reading_options,
)
from rfmrisk.scoring.passwords import without_passwords
from rfmrisk.validation.commands import add_validation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from rfmrisk.histories.decisions import DecidedHistories
    from rfmrisk.training.search import TrainingResult
    from rfmrisk.training.training_options import TrainingOptions

BAD_INPUT = 2
FAILED = 1
INTERRUPTED = 130
STOPPED = 143
IN_EXTRAS = ("jinja2", "litestar", "matplotlib", "mlflow", "msgspec", "rich", "uvicorn", "xgboost")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    arguments : sequence of str or None, default=None
        None takes those of the process.

    Returns
    -------
    int
        0 when done; 3 where a monitor is red; 2 for bad input, 1 where something outside failed,
        130 after Ctrl-C, 143 after SIGTERM or SIGHUP. In all of these one message says what was
        wrong and nothing half-done is left.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser().parse_args(arguments)
    options.command = shlex.join(["rfmrisk", *arguments])
    try:
        # The server has its own way of stopping.
        stopping = nullcontext() if options.run is _serve else _stopping_is_interrupting()
        with _plain_warnings(), _trusting(getattr(options, "trust", None)), stopping:
            return options.run(options) or 0
    except KeyboardInterrupt as interrupt:
        signalled = isinstance(interrupt.__cause__ or interrupt, Stopped)
        how = "stopped" if signalled else "interrupted"
        _complain(f"{how}; {str(interrupt) or 'nothing was kept'}")
        return STOPPED if signalled else INTERRUPTED
    except BrokenPipeError:
        return _reader_gone()
    except OptionNeededError as error:
        _complain(error.for_command_line)
        return BAD_INPUT
    except (ValueError, TypeError, FileNotFoundError) as error:
        _complain(str(error))
        return BAD_INPUT
    except ModuleNotFoundError as error:
        # Anything else, such as the driver of a database, is no part of an extra.
        needed = "'rfmrisk[all]'" if error.name in IN_EXTRAS else error.name
        _complain(f"{error.name} is not installed; python -m pip install {needed}")
        return FAILED
    except (OSError, RuntimeError) as error:
        _complain(str(error))
        return FAILED


@contextmanager
def _trusting(names: str | None) -> Iterator[None]:
    """Trust types by name, in this process and in those that it starts."""
    if names is None:
        yield
        return
    from rfmrisk.persistence import TRUSTED_VARIABLE, all_trusted

    before = os.environ.get(TRUSTED_VARIABLE)
    os.environ[TRUSTED_VARIABLE] = names if before is None else f"{before},{names}"
    try:
        all_trusted()  # a wrong name is an error at once
        yield
    finally:
        if before is None:
            del os.environ[TRUSTED_VARIABLE]
        else:
            os.environ[TRUSTED_VARIABLE] = before


class Stopped(KeyboardInterrupt):
    """The process has to stop: after SIGTERM, or as its terminal closed."""


@contextmanager
def _stopping_is_interrupting() -> Iterator[None]:
    """Let SIGTERM and SIGHUP tidy up as Ctrl-C does, where nobody else handles them."""

    def stop(*_: Any) -> None:
        raise Stopped

    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _complain(text: str) -> None:
    print(f"rfmrisk: {without_passwords(text)}", file=sys.stderr)  # noqa: T201


def _reader_gone() -> int:
    """End in silence where nobody reads the output any more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED


def run() -> None:
    """Run the command line and end the process with its exit code."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who started the process
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    code = main()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = _reader_gone()
    if code in (INTERRUPTED, STOPPED):
        # Python waits at its end for the threads of libraries, and one that an interrupt caught
        # while it started never learns that it should stop. All of ours is closed and tidy by now.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rfmrisk", description="Credit-risk models from transactions without default labels."
    )
    parser.add_argument("--version", action="version", version=f"rfmrisk {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    train = commands.add_parser("train", help="train, track and save a model of a log")
    train.set_defaults(run=_train)
    train.add_argument(
        "log",
        nargs="?",
        help="CSV, Excel or Parquet file, or folder; without one, the embedded sample bank",
    )
    _add_roles(train, CUSTOMER, TIME, AMOUNT, "keep")
    train.add_argument(
        "--as-of", help="timestamp of the decision (default: the end of the last day)"
    )
    train.add_argument(
        "--outcome",
        type=_outcome,
        default="30D,60D,90D",
        help="outcome windows, separated by commas; auto; or none (default 30D,60D,90D)",
    )
    train.add_argument(
        "--n-cutoffs", type=int, default=3, help="the most windows of each length (default 3)"
    )
    _add_decisions(train)
    _add_fields(train)
    _add_search(train)
    train.add_argument("-o", "--output", help="folder to make (default rfmrisk-run-DATE-TIME)")
    train.add_argument("--keep-tables", choices=["csv", "parquet"], nargs="?", const="csv")
    _add_fitting(train)
    train.add_argument("--experiment", default="rfmrisk", help="MLflow experiment")
    _add_registry(train, margin=True)

    upload = commands.add_parser("upload", help="log and register what a training left in a folder")
    upload.set_defaults(run=_upload)
    upload.add_argument("folder")
    _add_registry(upload, margin=True)

    promote = commands.add_parser("promote", help="make a registered version the champion")
    promote.set_defaults(run=_promote)
    promote.add_argument("version")
    _add_registry(promote)

    _add_score(commands)
    _add_check(commands)

    serve = commands.add_parser("serve", help="run the scoring app")
    serve.set_defaults(run=_serve)
    serve.add_argument(
        "--model", help="folder of a training, or an MLflow URI (default: as the environment says)"
    )
    serve.add_argument("--host", default="127.0.0.1", help="address (default 127.0.0.1)")
    serve.add_argument(
        "--port", type=int, default=os.environ.get("PORT", "8000"), help="port (default 8000)"
    )
    serve.add_argument("--workers", type=int, default=1, help="processes (default 1)")
    _add_reasons(serve)

    report = commands.add_parser("report", help="make the report of a training's folder again")
    report.set_defaults(run=_report)
    report.add_argument("folder")
    add_validation(commands, _load_model, _keep_validation)
    for name in ("upload", "score", "serve", "report", "validate", "monitor"):
        commands.choices[name].add_argument(
            "--trust",
            metavar="TYPES",
            help="types of your own that the model may hold, such as mymodule.MyAggregator, "
            "separated by commas (beside those of RFMRISK_TRUSTED); their modules are imported",
        )
    return parser


def _add_search(train: argparse.ArgumentParser) -> None:
    train.add_argument(
        "--models", type=_names, default="scorecard,xgboost", help="names, separated by commas"
    )
    train.add_argument("--search", choices=["grid", "random"], default="grid")
    train.add_argument("--n-iter", type=int, default=20, help="candidates of a random search")
    train.add_argument("--cv", type=int, default=5, help="folds (default 5)")
    train.add_argument("--scoring", default="roc_auc", help="what chooses (default roc_auc)")
    train.add_argument(
        "--choose",
        choices=["simplest", "best"],
        default="simplest",
        help="the simplest within one standard error of the best, or the best itself",
    )
    train.add_argument(
        "--proxy",
        action=argparse.BooleanOptionalAction,
        help="let outcomes update a proxy (default: where some are unknown, or under 200 are bad)",
    )
    train.add_argument("--monetary", choices=["gross", "net"], default="gross")
    train.add_argument(
        "--test-size", type=float, default=0.2, help="share of customers held out (default 0.2)"
    )
    train.add_argument(
        "--seed", dest="random_state", type=int, default=42, help="random state (default 42)"
    )
    train.add_argument("--n-jobs", type=int, default=1, help="processes of the search")


def _add_decisions(train: argparse.ArgumentParser) -> None:
    train.add_argument(
        "--table",
        action="store_true",
        help="the file is no log but a plain table: one application a row, with its --target",
    )
    train.add_argument(
        "--bad", metavar="VALUE", help="the value of a bad outcome, where outcomes are text"
    )
    train.add_argument("--decisions", help="CSV, Excel or Parquet file of decisions with outcomes")
    train.add_argument("--target", help="column of the outcome: 1 bad, 0 good, empty not known yet")
    train.add_argument(
        "--weight", metavar="COLUMN", help="column of the decisions: what each counts, above 0"
    )
    train.add_argument(
        "--decision-customer", help="column of the customer in the decisions (default: the log's)"
    )
    train.add_argument(
        "--decision-time", default="as_of", help="column of their time (default as_of)"
    )
    train.add_argument(
        "--performance-window", help="leave out decisions that are younger, such as 90D"
    )


def _add_fields(train: argparse.ArgumentParser) -> None:
    train.add_argument(
        "--numbers",
        type=_names,
        default=[],
        help="numeric fields of the log beside the amount, separated by commas",
    )
    train.add_argument(
        "--durations",
        type=_names,
        default=[],
        help="days between two dates of the log, such as closed-due, separated by commas: what is "
        "not over at the decision is missing",
    )
    train.add_argument(
        "--categories",
        type=_names,
        default=[],
        help="fields of the log that are categories, separated by commas (default: chosen)",
    )


def _add_check(commands: Any) -> None:
    check = commands.add_parser("check", help="say what is in a log, and how to train on it")
    check.set_defaults(run=_check)
    check.add_argument("log", help="CSV, Excel or Parquet file, or folder")
    for role in ("customer", "time", "amount"):
        check.add_argument(f"--{role}", help=f"column of the {role} (default: by the names)")
    check.add_argument("--order", help="column of the order, where rows are its lines")
    check.add_argument(
        "--as-of", help="timestamp of the decision (default: the end of the last day)"
    )
    check.add_argument("--html", metavar="FILE", help="write the page, with pictures, to a file")
    add_reading_options(check)


def _load_model(uri: str) -> Any:
    from rfmrisk.training.tracking import load_model

    return load_model(uri)


def _keep_validation(
    options: argparse.Namespace, folder: Path, verdicts: dict[str, str], figures: dict[str, float]
) -> None:
    from rfmrisk.training.tracking import Tracker

    asked = ("model", "log", "decisions", "target", "grades", "groups", "segments")
    run_id = Tracker().keep_validation(
        folder,
        f"validate {Path(options.log).name}",
        params={name: getattr(options, name) for name in asked},
        verdicts=verdicts,
        figures=figures,
    )
    if run_id is not None:
        _say(f"MLflow  run {run_id}")


def _add_score(commands: Any) -> None:
    score = commands.add_parser("score", help="score the customers of a log")
    score.set_defaults(run=_score)
    score.add_argument("log", help="CSV, Excel or Parquet file, or folder")
    score.add_argument("--model", required=True, help="folder of a training, or an MLflow URI")
    score.add_argument("-o", "--output", required=True, help="CSV or Parquet file to write")
    _add_roles(score, None, None, None, None)
    score.add_argument(
        "--table", action="store_true", help="the file is a plain table of applications, no log"
    )
    score.add_argument(
        "--decisions", help="CSV, Excel or Parquet file of decisions to score, one line each"
    )
    score.add_argument(
        "--decision-customer",
        help="column of the customer in the decisions (default: as in training)",
    )
    score.add_argument("--decision-time", help="column of their time (default: as in training)")
    score.add_argument(
        "--as-of", help="timestamp of the decision (default: the end of the last day)"
    )
    score.add_argument("--n-reasons", type=int, default=3, help="reasons of each score (default 3)")
    _add_reasons(score)
    score.add_argument(
        "--spreadsheet",
        action="store_true",
        help="put an apostrophe before texts of a CSV that a spreadsheet would compute",
    )
    score.add_argument(
        "--rows-per-part",
        type=int,
        default=ROWS_PER_PART,
        metavar="ROWS",
        help=f"transactions in memory at a time, about (default {ROWS_PER_PART:,})",
    )


def _add_reasons(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--reasons",
        metavar="FILE",
        default=os.environ.get("RFMRISK_REASONS") or None,
        help="JSON file of the sentences of the reasons (default RFMRISK_REASONS, or the "
        "package's own)",
    )


def _add_roles(
    parser: argparse.ArgumentParser,
    customer: str | None,
    time: str | None,
    amount: str | None,
    duplicates: str | None,
) -> None:
    for role, default in (("customer", customer), ("time", time), ("amount", amount)):
        known = f"default {default}" if default else "default: as in training"
        parser.add_argument(f"--{role}", default=default, help=f"column of the {role} ({known})")
    parser.add_argument(
        "--order", help="column of the order, where rows are its lines (default: they are not)"
    )
    parser.add_argument(
        "--duplicates",
        choices=["keep", "drop"],
        default=duplicates,
        help="of rows that are equal in all columns (default "
        f"{duplicates or 'as in training'}; drop: take one)",
    )
    parser.add_argument(
        "--on-bad",
        choices=["raise", "drop"],
        default="raise",
        help="of rows and lines that cannot be used (default raise: say how many, and stop)",
    )
    add_reading_options(parser)


def _add_fitting(train: argparse.ArgumentParser) -> None:
    """Add what bins, probabilities and the threshold depend on."""
    train.add_argument("--class-weight", choices=["balanced"], help="weigh goods and bads alike")
    train.add_argument(
        "--calibrate", choices=["sigmoid", "isotonic"], help="calibrate the probabilities"
    )
    train.add_argument(
        "--classing",
        metavar="FILE",
        help="bins by hand for the scorecard: a JSON or YAML file by feature",
    )
    train.add_argument(
        "--stability",
        type=float,
        default=0,
        metavar="PRICE",
        help="of a quarter in which two bins of the scorecard change their order, in information "
        "value; inf allows none (default 0)",
    )
    train.add_argument(
        "--grades",
        type=_grades,
        metavar="NUMBER|EDGES",
        help="grades of the score: at most so many, such as 6, or the least score of each but the "
        "riskiest, such as 480,520,560",
    )
    train.add_argument(
        "--missed-bad-cost",
        type=float,
        metavar="COST",
        help="choose the threshold by cost: of a missed bad, where a refused good costs 1",
    )


def _add_registry(parser: argparse.ArgumentParser, *, margin: bool = False) -> None:
    parser.add_argument(
        "--model-name", help="registered model (default MODEL_NAME or credit_scoring_model)"
    )
    parser.add_argument(
        "--stage", help="alias to win (default MODEL_STAGE or champion; Production is champion)"
    )
    if margin:
        parser.add_argument(
            "--margin",
            type=float,
            help="by how much its ROC-AUC must exceed the champion's (default: more than chance)",
        )


def _train(options: argparse.Namespace) -> None:
    from rfmrisk.proxy import suggest_outcome
    from rfmrisk.training.folder import SAMPLE_FILE, new_folder
    from rfmrisk.training.run import write_run
    from rfmrisk.training.search import train
    from rfmrisk.training.tracking import Tracker
    from rfmrisk.training.training_options import TrainingOptions

    output = Path(options.output or f"rfmrisk-run-{datetime.now():%Y%m%d-%H%M%S}")
    roles = {role: getattr(options, role) for role in ROLES}
    registry = _registry(options)
    asked = TrainingOptions.from_namespace(options)
    tracker = Tracker(options.experiment)
    with _kept(output), new_folder(output) as folder:
        with _step("reading the log"):
            if options.table:
                decided: DecidedHistories | None = _table(options)
            else:
                transactions = _log(options, roles)
                asked = _with_fields(asked, list(map(str, transactions.columns)), options)
                decided = _decided(transactions, options, roles)
                if options.log is None:
                    transactions.to_csv(folder / SAMPLE_FILE, index=False)
            histories, weight = _weighted(
                decided.histories if decided else _histories(transactions, options, roles), options
            )
        _say(_counted(histories, decided))
        remarks = [] if options.table else _remarks(transactions, histories, roles)
        if asked.outcome == "auto" and decided is None:
            asked = replace(asked, outcome=suggest_outcome(histories))
            _say(f"outcome window {asked.outcome}")
        log = Path(options.log).name if options.log else "sample bank"
        given = {"command": options.command}
        if not options.table:
            given |= {"as_of": options.as_of, "on_bad": options.on_bad, **roles}
        with tracker.run(given, log):
            result = train(
                histories,
                decided.outcomes if decided else None,
                options=asked,
                sample_weight=weight,
                tracker=tracker,
                progress=sys.stdout.isatty(),
            )
            metadata = result.model.metadata
            metadata = replace(
                metadata,
                decision_roles=_decision_roles(options) if decided else {},
                data=replace(metadata.data, name=log, remarks=remarks),
                n_immature=decided.n_immature if decided else 0,
            )
            result.model = replace(result.model, metadata=metadata)
            with _step("writing the report"):
                write_run(result, folder, tables=options.keep_tables)
    with _kept(output):
        _say_result(result)
        _say(f"model   {output}/model.skops")
        _say(f"report  {output}/report.html")
    uri = _publish(tracker, output, registry)
    _say_next(options, shlex.quote(str(options.log or output / SAMPLE_FILE)), str(output), uri)


def _say_result(result: TrainingResult) -> None:
    """Say what came of a training, what the scorecard lost, and whether one column does as well."""
    from rfmrisk.training.judging import RECENCY

    if result.lost is not None:
        for name, finding in result.lost.loc[result.lost["is_strong"], "finding"].items():
            _say(f"mind    {name} {finding}")
    _say(repr(result))
    auc = result.metrics["roc_auc"]
    if auc.iloc[0] <= auc.get(RECENCY, 0):
        _say("        one column, the days since the last transaction, ranks them as well")


def _say_next(options: argparse.Namespace, to_score: str, output: str, uri: str) -> None:
    """Give the commands that score with the model and show its run."""
    from rfmrisk.training.store import store_uri

    again = _again(options)
    local, registered = shlex.quote(output), shlex.quote(uri)
    _say(
        f"next    rfmrisk score {to_score} --model {local} -o scores.csv{again}\n"
        f"        rfmrisk score {to_score} --model {registered} -o scores.csv{again}\n"
        f"        mlflow ui --backend-store-uri {shlex.quote(store_uri())}"
    )


def _decided(
    log: pd.DataFrame, options: argparse.Namespace, roles: dict[str, Any]
) -> DecidedHistories | None:
    """Return the histories as of the decisions, where there are some, with their outcomes."""
    from pandas.api.types import is_numeric_dtype

    from rfmrisk.histories.decisions import decided_histories
    from rfmrisk.histories.tables import read_frame

    if (options.decisions is None) != (options.target is None):
        raise ValueError(
            "--decisions FILE, or --table, and --target COLUMN go together: give both or neither"
        )
    if options.decisions is None:
        return None
    customer = options.decision_customer or roles["customer"]
    decisions = read_frame(
        options.decisions,
        "the decisions",
        [customer, options.decision_time, options.target],
        ids=customer,
        ids_are_text=not is_numeric_dtype(log[roles["customer"]]),
        time=options.decision_time,
        options=ReadingOptions.from_namespace(options),
    )
    return decided_histories(
        log,
        decisions,
        target=options.target,
        roles=roles,
        decision_customer=customer,
        decision_time=options.decision_time,
        performance_window=options.performance_window,
        as_of=options.as_of,
        on_bad=options.on_bad,
        bad=options.bad,
    )


def _table(options: argparse.Namespace) -> DecidedHistories:
    """Return a plain table of applications, with their outcomes."""
    from rfmrisk.histories.decisions import decided_table
    from rfmrisk.histories.tables import read_frame

    if options.log is None or options.target is None or options.decisions is not None:
        raise ValueError(
            "--table needs the file of the applications and --target COLUMN, and no --decisions"
        )
    columns = _columns_of_table(options)
    table = read_frame(
        options.log,
        "the applications",
        [options.target, *columns.values()],
        ids=columns.get("customer"),
        time=columns.get("time"),
        options=ReadingOptions.from_namespace(options),
    )
    return decided_table(table, options.target, bad=options.bad, **columns)


def _columns_of_table(options: argparse.Namespace) -> dict[str, str]:
    """Return the columns of customer and time that were given, which a table need not have."""
    given = {"customer": options.customer, "time": options.time}
    usual = {"customer": CUSTOMER, "time": TIME}
    return {role: column for role, column in given.items() if column != usual[role]}


def _weighted(
    histories: pd.DataFrame, options: argparse.Namespace
) -> tuple[pd.DataFrame, pd.Series | None]:
    """Return the histories without the column of the weights, and this, where there is one."""
    if options.weight is None:
        return histories, None
    if options.target is None or options.weight not in histories:
        raise ValueError(
            "--weight must name a column of the --decisions, or of the --table, beside customer, "
            f"time and outcome; got {options.weight!r}"
        )
    return histories.drop(columns=options.weight), histories[options.weight]


def _decision_roles(options: argparse.Namespace) -> dict[str, str]:
    """Return which columns of the decisions are the customer, the time, the outcome, the weight."""
    weight = {"weight": options.weight} if options.weight else {}
    if options.table:
        return {**_columns_of_table(options), "target": options.target, **weight}
    return {
        "customer": options.decision_customer or options.customer,
        "time": options.decision_time,
        "target": options.target,
        **weight,
    }


def _counted(histories: pd.DataFrame, decided: DecidedHistories | None) -> str:
    """Return how many there are to learn from."""
    if decided is None:
        return f"{len(histories):,} customers, as known at {histories['as_of'].max()}"
    unknown = decided.n_unknown
    if "history" not in histories:
        return f"{len(histories):,} applications, of which {unknown:,} have no outcome yet"
    return (
        f"{len(histories):,} decisions, of which {unknown:,} have no outcome yet; "
        f"{decided.n_immature:,} younger ones are left out"
    )


def _names(text: str) -> list[str]:
    """Return names that are separated by commas."""
    return [name.strip() for name in text.split(",")]


def _grades(text: str) -> int | list[float]:
    """Return how many grades there may be, or their edges."""
    try:
        return int(text) if text.strip().isdecimal() else [float(edge) for edge in _names(text)]
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"must be a number of grades, or scores separated by commas; got {text!r}"
        ) from error


def _with_fields(
    asked: TrainingOptions, columns: list[str], options: argparse.Namespace
) -> TrainingOptions:
    """Ask for features of the fields that were named."""
    from rfmrisk.aggregation import customer_features
    from rfmrisk.histories.flat import duration_of

    of_roles = {options.time: "time", options.amount: "amount"}
    numbers = list(options.numbers)
    for option, names in (("numbers", numbers), ("categories", options.categories)):
        for name in names:
            if name not in columns or name in of_roles:
                raise ValueError(
                    f"--{option} must name columns of the log beside time and amount; got "
                    f"{name!r}, and the columns are {columns}"
                )
    for name in options.durations:
        dates = duration_of(name, columns)
        if not dates:
            raise ValueError(
                f"--durations must name two dates of the log with a - between; got {name!r}, and "
                f"the columns are {columns}"
            )
        numbers.append("-".join(of_roles.get(date, date) for date in dates))
    if not numbers and not options.categories:
        return asked
    features = customer_features(
        monetary=asked.monetary, numbers=numbers, categories=options.categories or None
    )
    return replace(asked, features=features)


def _outcome(text: str) -> str | list[str] | None:
    """Return the outcome windows that were asked for, one as a text."""
    windows = _names(text)
    if windows == ["none"]:
        return None
    return windows[0] if len(windows) == 1 else windows


def _upload(options: argparse.Namespace) -> None:
    from rfmrisk.scoring.model import ScoringModel
    from rfmrisk.training.tracking import Tracker

    registry = _registry(options)
    tracked = ScoringModel.load(options.folder).metadata.tracking
    if tracked is None:
        raise ValueError(f"{options.folder!r} is not the folder of a rfmrisk train")
    _publish(Tracker(tracked.experiment), Path(options.folder), registry)


def _promote(options: argparse.Namespace) -> None:
    from rfmrisk.training.registry import promote
    from rfmrisk.training.store import check_store, first_line, outside_failures

    registry = _registry(options)
    check_store()
    try:
        _say(promote(options.version, name=registry["name"], alias=registry["alias"]))
    except outside_failures() as error:
        raise RuntimeError(f"MLflow cannot promote: {first_line(error)}") from error


def _registry(options: argparse.Namespace) -> dict[str, Any]:
    """Return the name, the alias and the margin that were asked for, checked."""
    from rfmrisk.scoring.naming import alias_of
    from rfmrisk.training.registry import check_names, default_name

    chosen: dict[str, Any] = {
        "name": options.model_name or default_name(),
        "alias": alias_of(options.stage),
    }
    if hasattr(options, "margin"):
        chosen["margin"] = options.margin
    check_names(**chosen)
    return chosen


def _publish(tracker: Any, folder: Path, registry: dict[str, Any]) -> str:
    """Log a folder and register its model; say what came of it and return the model's URI."""
    with _kept(folder), _step("logging to MLflow"):
        registration = tracker.publish(folder, **registry)
    _say(
        f"MLflow  {registration.name} version {registration.version} is {registration.alias}: "
        f"{registration.reason}"
    )
    if registration.alias != registry["alias"]:
        _say(f"        rfmrisk promote {registration.version} makes it {registry['alias']}")
    return registration.uri


def _score(options: argparse.Namespace) -> None:
    from rfmrisk.scoring.files import score_file
    from rfmrisk.scoring.work_folder import work_folder
    from rfmrisk.training.tracking import load_model

    model = load_model(options.model)
    if options.table:
        _score_table(model, options)
        return
    try:
        n_customers, n_high_risk = score_file(
            model,
            options.log,
            options.output,
            as_of=options.as_of,
            decisions=options.decisions,
            decision_customer=options.decision_customer,
            decision_time=options.decision_time,
            on_bad=options.on_bad,
            n_reasons=options.n_reasons,
            reasons=options.reasons,
            rows_per_part=options.rows_per_part,
            spreadsheet=options.spreadsheet,
            **{role: getattr(options, role) for role in ROLES},
            **ReadingOptions.from_namespace(options).given,
        )
    except KeyboardInterrupt as interrupt:
        if not work_folder(Path(options.output)).exists():
            raise
        raise KeyboardInterrupt("the same command goes on where it was") from interrupt
    scored = f"customers scored as of {_as_of(Path(options.output))}"
    if options.decisions:
        scored = "decisions scored"
    _say(f"{n_customers:,} {scored}, {n_high_risk / n_customers:.1%} high-risk: {options.output}")
    if options.n_reasons and model.reasons_from is None:
        _say(model.reasons_note)


def _score_table(model: Any, options: argparse.Namespace) -> None:
    from rfmrisk.scoring.table_files import score_table

    n_applications, n_high_risk = score_table(
        model,
        options.log,
        options.output,
        n_reasons=options.n_reasons,
        reasons=options.reasons,
        spreadsheet=options.spreadsheet,
        options=ReadingOptions.from_namespace(options),
    )
    share = n_high_risk / n_applications
    _say(f"{n_applications:,} applications scored, {share:.1%} high-risk: {options.output}")
    if options.n_reasons and model.reasons_from is None:
        _say(model.reasons_note)


def _as_of(scores: Path) -> str:
    """Return the timestamp of the decision of a file of scores."""
    if scores.suffix == ".csv":
        import pandas as pd

        return str(pd.read_csv(scores, nrows=1)["as_of"].iloc[0])
    from pyarrow import parquet

    return str(next(parquet.ParquetFile(scores).iter_batches(1, columns=["as_of"]))["as_of"][0])


def _check(options: argparse.Namespace) -> None:
    from rfmrisk.proxy.log_check import check_log

    roles = {role: getattr(options, role) for role in ("customer", "time", "amount", "order")}
    reading = ReadingOptions.from_namespace(options).given
    check = check_log(options.log, **roles, as_of=options.as_of, **reading)
    _say(str(check))
    if options.html:
        from rfmrisk.proxy.log_page import write_log_page

        _say(f"page         {write_log_page(check, options.html)}")


def _serve(options: argparse.Namespace) -> None:
    from rfmrisk.serving.server import serve

    serve(
        options.model,
        host=options.host,
        port=options.port,
        workers=options.workers,
        reasons=options.reasons,
    )


def _report(options: argparse.Namespace) -> None:
    from rfmrisk.training.report.card import write_card
    from rfmrisk.training.report.page import write_report

    _say(f"report  {write_report(options.folder)}")
    _say(f"card    {write_card(options.folder)}")


def _log(options: argparse.Namespace, roles: dict[str, Any]) -> pd.DataFrame:
    from rfmrisk.histories.reading import read_transactions

    if options.log is None:
        from rfmrisk.datasets import make_transactions

        return make_transactions(random_state=options.random_state)
    reading = ReadingOptions.from_namespace(options).given
    bound = {role: roles[role] for role in ("customer", "time", "amount")}
    texts = options.categories
    log = read_transactions(options.log, on_bad=options.on_bad, **bound, **reading, text=texts)
    _say(f"read    {log.attrs['understood']}")
    return log


def _histories(
    log: pd.DataFrame, options: argparse.Namespace, roles: dict[str, Any]
) -> pd.DataFrame:
    from rfmrisk.histories.nesting import to_histories

    return to_histories(log, as_of=options.as_of, on_bad=options.on_bad, **roles)


def _remarks(log: pd.DataFrame, histories: pd.DataFrame, roles: dict[str, Any]) -> list[str]:
    """Say which rows the histories leave out, and what is to be minded of a log; return that."""
    from rfmrisk.histories.roles import Roles
    from rfmrisk.proxy.log_check import remarks_of

    for dropped in histories.attrs["left_out"][len(log.attrs.get("left_out", ())) :]:
        _say(f"dropped {dropped}")
    remarks = remarks_of(log, histories, Roles(**roles))
    for remark in remarks:
        _say(f"mind    {remark}")
    return remarks


def _again(options: argparse.Namespace) -> str:
    """Return the options that another command needs for the same log and decisions."""
    flags = ReadingOptions.from_namespace(options).flags
    if options.decisions:
        flags += ["--decisions", options.decisions]
    if options.table:
        flags += ["--table"]
    if options.on_bad == "drop":
        flags += ["--on-bad", "drop"]
    return "".join(f" {shlex.quote(flag)}" for flag in flags)


def _say(text: str) -> None:
    print(text)  # noqa: T201


@contextmanager
def _kept(folder: Path) -> Iterator[None]:
    """Say after an interrupt that the folder is whole, where it is."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if not folder.exists():
            raise
        quoted = shlex.quote(str(folder))
        message = f"{folder} is whole, and rfmrisk upload {quoted} logs it"
        raise KeyboardInterrupt(message) from interrupt


@contextmanager
def _step(name: str) -> Iterator[None]:
    """Show that a step is under way, where a terminal is watching."""
    from rich.console import Console

    with Console(stderr=True).status(name):
        yield


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Show warnings as one line each, and each once."""
    shown: set[str] = set()

    def show(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
        if str(message) in shown:
            return
        shown.add(str(message))
        _complain(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
