"""The commands ``rfmrisk validate`` and ``rfmrisk monitor``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from rfmrisk.histories.nesting import rewind
from rfmrisk.histories.partitions import ROWS_PER_PART, histories_in_parts
from rfmrisk.histories.roles import AMOUNT, CUSTOMER, TIME
from rfmrisk.validation.periods import PERIODS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from rfmrisk.scoring import ScoringModel

RED = 3


def add_validation(commands: Any, load_model: Callable[[str], ScoringModel]) -> None:
    """Add both commands to a parser.

    Parameters
    ----------
    commands : subparsers of argparse
    load_model : callable
        From a folder or an MLflow URI to the model.
    """
    validate = commands.add_parser("validate", help="hold a model against outcomes")
    validate.set_defaults(run=_validate, load_model=load_model)
    _add_common(validate, "validation")
    validate.add_argument("--decisions", required=True, help="CSV or Parquet file of decisions")
    validate.add_argument("--target", required=True, help="column of the outcomes: 1 is bad")
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
    monitor.add_argument("--target", help="column of the outcomes: 1 is bad")
    monitor.add_argument("--by", choices=list(PERIODS), default="month", help="(default month)")


def _add_common(parser: argparse.ArgumentParser, output: str) -> None:
    parser.add_argument("log", help="CSV or Parquet file, or folder of Parquet files")
    parser.add_argument("--model", required=True, help="folder of a training, or an MLflow URI")
    parser.add_argument("-o", "--output", default=output, help=f"folder (default {output})")
    for role in ("customer", "time", "amount"):
        parser.add_argument(f"--{role}", help=f"column of the {role} (default: as in training)")
    parser.add_argument("--on-bad", choices=["raise", "drop"], default="raise")
    parser.add_argument(
        "--decision-customer", help="column of the customer in the decisions (default: as the log)"
    )
    parser.add_argument(
        "--decision-time", default="as_of", help="column of the time of decision (default as_of)"
    )
    parser.add_argument("--initial-auc", type=float, help="AUC when the model was developed")


def _validate(options: argparse.Namespace) -> None:
    from rfmrisk.validation.validate import validate_model
    from rfmrisk.validation.writing import write_validation

    model = options.load_model(options.model)
    roles = _roles(model, options)
    decisions = _decisions(options, roles)
    parts = histories_in_parts(options.log, as_of=decisions, on_bad=options.on_bad, **roles)
    report = validate_model(
        model,
        pd.concat(parts),
        options.target,
        grades=options.grades,
        groups=options.groups,
        segments=[name.strip() for name in options.segments.split(",") if name.strip()],
        initial_auc=options.initial_auc,
        proxy=_is_proxy(model),
    )
    _say(repr(report))
    _say(f"report  {write_validation(report, options.output)}")


def _monitor(options: argparse.Namespace) -> int:
    from rfmrisk.validation.monitoring import monitor_model
    from rfmrisk.validation.writing import write_monitor

    if options.target and not options.decisions:
        raise ValueError("--target is a column of the decisions: give --decisions")
    model = options.load_model(options.model)
    roles = _roles(model, options)
    if options.decisions:
        decisions = _decisions(options, roles)
        parts = histories_in_parts(options.log, as_of=decisions, on_bad=options.on_bad, **roles)
    else:
        parts = _snapshots(options, roles)
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


def _snapshots(options: argparse.Namespace, roles: dict[str, Any]) -> Iterator[pd.DataFrame]:
    """Give, part by part, the customers known at the beginning of each period."""
    parts = histories_in_parts(
        options.log, on_bad=options.on_bad, rows_per_part=ROWS_PER_PART // 2, **roles
    )
    for part in parts:
        end = part["as_of"].max()
        first = part["history"].list.flatten().struct.field("time").min()
        starts = pd.period_range(first, end, freq=PERIODS[options.by]).start_time[1:]
        for start in starts:
            if start == end:
                yield part
            elif first < start < end:
                yield rewind(part, end - start)


def _decisions(options: argparse.Namespace, roles: dict[str, Any]) -> pd.DataFrame:
    path = options.decisions
    read = pd.read_parquet if str(path).endswith((".parquet", ".pq")) else pd.read_csv
    found = read(path)
    customer = options.decision_customer or roles["customer"]
    if customer not in found.columns and "customer" in found.columns:
        customer = "customer"
    asked = {"--decision-customer": customer, "--decision-time": options.decision_time}
    if options.target:
        asked["--target"] = options.target
    for option, name in asked.items():
        if name not in found.columns:
            raise ValueError(
                f"the decisions have no column {name!r} for {option}; they have "
                f"{', '.join(map(str, found.columns))}"
            )
    return found.rename(columns={customer: roles["customer"], options.decision_time: "as_of"})


def _roles(model: ScoringModel, options: argparse.Namespace) -> dict[str, Any]:
    trained_on = model.metadata.roles
    return {
        role: getattr(options, role) or trained_on.get(role, default)
        for role, default in (("customer", CUSTOMER), ("time", TIME), ("amount", AMOUNT))
    }


def _is_proxy(model: ScoringModel) -> bool:
    return model.metadata.asked.get("target") == "proxy"


def _say(text: str) -> None:
    print(text)  # noqa: T201
