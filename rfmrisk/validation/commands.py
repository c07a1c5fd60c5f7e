"""The commands ``rfmrisk validate`` and ``rfmrisk monitor``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rfmrisk.histories.options import ROLES, ROWS_PER_PART, ReadingOptions, add_reading_options
from rfmrisk.validation.periods import PERIODS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pandas as pd

    from rfmrisk.histories.partitions import PartitionedLog
    from rfmrisk.scoring import ScoringModel

RED = 3

_CALLED = {"customer": "--decision-customer", "time": "--decision-time", "target": "--target"}


def add_validation(
    commands: Any,
    load_model: Callable[[str], ScoringModel],
    track: Callable[[argparse.Namespace, Path, dict[str, str], dict[str, float]], None],
) -> None:
    """Add both commands to a parser.

    Parameters
    ----------
    commands : subparsers of argparse
    load_model : callable
        From a folder or an MLflow URI to the model.
    track : callable
        Keeps a validation: what was asked for, its folder, its verdicts and its figures.
    """
    validate = commands.add_parser("validate", help="hold a model against outcomes")
    validate.set_defaults(run=_validate, load_model=load_model, track=track)
    _add_common(validate, "validation")
    validate.add_argument("--decisions", required=True, help="CSV or Parquet file of decisions")
    validate.add_argument("--target", help="column of the outcomes (default: as in training)")
    validate.add_argument("--grades", help="column of the grades")
    validate.add_argument("--groups", help="column of the groups to be treated alike")
    validate.add_argument("--segments", default="", help="columns, separated by commas")

    monitor = commands.add_parser("monitor", help="watch a model; exit status 3 where it is red")
    monitor.set_defaults(run=_monitor, load_model=load_model)
    _add_common(monitor, "monitor")
    monitor.add_argument(
        "--decisions",
        help="CSV or Parquet file of decisions (default: all customers known at the beginning of "
        "each period)",
    )
    monitor.add_argument("--target", help="column of the outcomes (default: none are looked at)")
    monitor.add_argument("--by", choices=list(PERIODS), default="month", help="(default month)")


def _add_common(parser: argparse.ArgumentParser, output: str) -> None:
    parser.add_argument("log", help="CSV or Parquet file, or folder of Parquet files")
    parser.add_argument("--model", required=True, help="folder of a training, or an MLflow URI")
    parser.add_argument("-o", "--output", default=output, help=f"folder (default {output})")
    for role in ("customer", "time", "amount", "order"):
        parser.add_argument(f"--{role}", help=f"column of the {role} (default: as in training)")
    parser.add_argument(
        "--duplicates",
        choices=["keep", "drop"],
        help="of rows that are equal in all columns (default: as in training; drop: take one)",
    )
    parser.add_argument("--on-bad", choices=["raise", "drop"], default="raise")
    for role in ("customer", "time"):
        parser.add_argument(
            f"--decision-{role}",
            help=f"column of the {role} in the decisions (default: as in training)",
        )
    parser.add_argument(
        "--bad", metavar="VALUE", help="the value of a bad outcome, where outcomes are text"
    )
    parser.add_argument("--initial-auc", type=float, help="AUC when the model was developed")
    add_reading_options(parser)


def _validate(options: argparse.Namespace) -> None:
    import pandas as pd

    from rfmrisk.validation.validate import validate_model
    from rfmrisk.validation.writing import write_validation

    model = options.load_model(options.model)
    target = options.target or model.metadata.decision_roles.get("target")
    if target is None:
        raise ValueError("the model was trained without outcomes: name their column by --target")
    log = _log(model, options)
    log.decide(_decisions(model, options, log, target))
    report = validate_model(
        model,
        pd.concat(log.parts()),
        target,
        grades=options.grades,
        groups=options.groups,
        segments=[name.strip() for name in options.segments.split(",") if name.strip()],
        initial_auc=options.initial_auc,
        proxy=_is_proxy(model),
    )
    _say(repr(report))
    page = write_validation(report, options.output)
    _say(f"report  {page}")
    auc, gini, ks = report.ranking["value"].loc[["auc", "gini", "ks"]]
    figures = {"auc": auc, "gini": gini, "ks": ks, "brier": report.brier.brier}
    options.track(options, page.parent, report.verdicts, figures)


def _monitor(options: argparse.Namespace) -> int:
    from rfmrisk.validation.monitoring import monitor_model
    from rfmrisk.validation.writing import write_monitor

    if options.target and not options.decisions:
        raise ValueError("--target is a column of the decisions: give --decisions")
    model = options.load_model(options.model)
    log = _log(model, options)
    if options.decisions:
        log.decide(_decisions(model, options, log, options.target))
        parts = log.parts()
    else:
        parts = _snapshots(log, options.by)
    report = monitor_model(
        model,
        parts,
        options.by,
        outcomes=options.target,
        initial_auc=options.initial_auc,
        proxy=_is_proxy(model),
    )
    _say(repr(report))
    _say(f"report  {write_monitor(report, options.output)}")
    return RED if report.light == "red" else 0


def _log(model: ScoringModel, options: argparse.Namespace) -> PartitionedLog:
    """Open the log, with the roles and the types that it has for the model."""
    from rfmrisk.histories.partitions import PartitionedLog
    from rfmrisk.histories.roles import Roles
    from rfmrisk.scoring.features import categories_of

    if model.of_table:
        raise ValueError(
            f"the model {options.model!r} is of a plain table and knows no log: hold it against "
            "outcomes by rfmrisk.validation.validate_model(model, table, y)"
        )
    roles = Roles.of_training(
        model.metadata.roles, **{role: getattr(options, role) for role in ROLES}
    )
    return PartitionedLog(
        options.log,
        roles,
        None,
        options.on_bad,
        # Every period of a part is in memory at once where there are no decisions.
        ROWS_PER_PART if options.decisions else ROWS_PER_PART // 2,
        options=ReadingOptions.from_namespace(options),
        texts=categories_of(model.scorer.recipe.fields),
    )


def _snapshots(log: PartitionedLog, by: str) -> Iterator[pd.DataFrame]:
    """Give, part by part, the customers known at the beginning of each period."""
    import pandas as pd

    from rfmrisk.histories.nesting import rewind

    for part in log.parts():
        end = part["as_of"].max()
        first = part["history"].list.flatten().struct.field("time").min()
        starts = pd.period_range(first, end, freq=PERIODS[by]).start_time[1:]
        for start in starts:
            if start == end:
                yield part
            elif first < start < end:
                yield rewind(part, end - start)


def _decisions(
    model: ScoringModel, options: argparse.Namespace, log: PartitionedLog, target: str | None
) -> pd.DataFrame:
    """Read the decisions, with the columns and the types that they had in training."""
    from rfmrisk.histories.columns import is_text
    from rfmrisk.histories.decisions import bind_decisions
    from rfmrisk.histories.tables import read_frame
    from rfmrisk.scoring.features import categories_of

    own = log.roles.customer
    trained_on = model.metadata.decision_roles
    customer = options.decision_customer or trained_on.get("customer") or own
    time = options.decision_time or trained_on.get("time") or "as_of"
    decisions = read_frame(
        options.decisions,
        "the decisions",
        [],
        ids=customer,
        ids_are_text=is_text(log.schema.field(own).type),
        time=time,
        texts=categories_of(model.scorer.recipe.columns),
        options=ReadingOptions.from_namespace(options),
    )
    return bind_decisions(
        decisions,
        own,
        customer=customer,
        time=time,
        target=target,
        bad=options.bad,
        called=_CALLED,
    )


def _is_proxy(model: ScoringModel) -> bool:
    return model.metadata.asked.get("target") == "proxy"


def _say(text: str) -> None:
    print(text)  # noqa: T201
