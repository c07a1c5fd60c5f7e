"""Write a validation, or a model over time, into a folder: one page, and its tables as CSV."""

from __future__ import annotations

import base64
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rfmrisk.histories.whole_files import write_whole
from rfmrisk.validation.panels import MonitorDisplay, ValidationDisplay, picture

if TYPE_CHECKING:
    from rfmrisk.validation.monitoring import MonitorReport
    from rfmrisk.validation.validate import ValidationReport

_SECTIONS = {
    "ranking": ["ranking", "segments"],
    "calibration": ["tests", "by_grade", "by_tenth", "line", "recalibration"],
    "stability": ["stability", "shifts", "migration"],
    "fairness": ["fairness"],
    "label": [],
}


def write_validation(report: ValidationReport, folder: str | Path) -> Path:
    """Write a validation: ``validation.html``, and each table as CSV.

    Parameters
    ----------
    report : ValidationReport
    folder : str or Path
        Made where it is not there; files of an earlier validation are replaced.

    Returns
    -------
    Path
        Of the page.
    """
    tables = {
        field.name: getattr(report, field.name)
        for field in dataclasses.fields(report)
        if isinstance(getattr(report, field.name), pd.DataFrame)
    }
    drawn = picture(ValidationDisplay(report=report))
    sections: list[dict[str, Any]] = [
        {
            "title": question.capitalize(),
            "text": text,
            "style": "verdict",
            "picture": _encoded(drawn) if question == "calibration" else None,
            "tables": [
                _table(name, tables[name])
                for name in _SECTIONS[question]
                if name in tables and len(tables[name])
            ],
        }
        for question, text in report.verdicts.items()
    ]
    lead = (
        f"{report.n_rows:,} decisions on {report.n_customers:,} customers, {report.n_bad:,} bad; "
        f"{report.n_unknown:,} without a known outcome are left out"
    )
    page = _page("Model validation", lead, sections)
    return _write(Path(folder), "validation.html", page, tables)


def write_monitor(report: MonitorReport, folder: str | Path) -> Path:
    """Write a model over time: ``monitor.html``, and each table as CSV.

    Parameters
    ----------
    report : MonitorReport
    folder : str or Path
        Made where it is not there; files of an earlier run are replaced.

    Returns
    -------
    Path
        Of the page.
    """
    tables = {
        "periods": report.periods,
        "characteristics": report.characteristics,
        "shifts": report.shifts,
    }
    latest = report.periods.index[-1]
    own = report.characteristics["period"] == latest
    moved = report.characteristics[own].sort_values("psi", ascending=False)
    reason = str(report.periods["reason"].iloc[-1])
    sections: list[dict[str, Any]] = [
        {
            "title": f"{report.light.capitalize()} in {latest}",
            "text": reason,
            "style": report.light,
            "picture": _encoded(picture(MonitorDisplay(report=report))),
            "tables": [],
        },
        {"title": "The rule", "text": report.rule, "style": "verdict", "tables": []},
        {"title": "Periods", "tables": [_table("periods", report.periods)]},
        {
            "title": f"Features in {latest}",
            "tables": [_table("features", moved.set_index("feature").drop(columns="period"))],
        },
    ]
    lead = f"{len(report.periods)} periods, {int(report.periods['n'].sum()):,} rows"
    return _write(Path(folder), "monitor.html", _page("A model over time", lead, sections), tables)


def _page(title: str, lead: str, sections: list[dict[str, Any]]) -> str:
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("rfmrisk.validation"), autoescape=True, trim_blocks=True
    )
    template = environment.get_template("page.html.jinja")
    return template.render(title=title, lead=lead, sections=sections)


def _write(folder: Path, name: str, page: str, tables: dict[str, pd.DataFrame]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for each, table in tables.items():
        table.to_csv(folder / f"{each}.csv", index=table.index.name is not None)
    write_whole(folder / name, page)
    return folder / name


def _encoded(drawn: bytes) -> str:
    return base64.b64encode(drawn).decode("ascii")


def _table(name: str, table: pd.DataFrame) -> dict[str, Any]:
    named = table.reset_index() if table.index.name is not None else table
    return {
        "name": name.replace("_", " "),
        "columns": [str(column).replace("_", " ") for column in named.columns],
        "rows": [[_cell(value) for value in row] for row in named.itertuples(index=False)],
    }


def _cell(value: Any) -> str:
    if isinstance(value, float | np.floating):
        number = float(value)
        if np.isnan(number):
            return ""
        return f"{number:,.4g}" if abs(number) < 1_000 else f"{number:,.0f}"
    return str(value)
