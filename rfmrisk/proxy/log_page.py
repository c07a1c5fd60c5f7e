"""The page of a log: the figures of its check, with pictures."""

import base64
import html
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from rfmrisk.proxy.log_check import LogCheck

_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "pre{background:#f4f4f4;padding:1rem;overflow-x:auto}img{max-width:100%}"
)


def write_log_page(check: "LogCheck", path: str | Path) -> Path:
    """Write the check of a log as a page of HTML that needs no other file.

    Parameters
    ----------
    check : LogCheck
    path : str or Path

    Returns
    -------
    Path
        Of the page.
    """
    pictures = [
        _bars(check.newcomers, "Customers by the month of their first transaction"),
        _bars(
            check.returning.get("share_absent", pd.Series(dtype="float64")),
            "Share of the active who stay away, by window",
        ),
    ]
    images = "".join(
        f'<img alt="{html.escape(title)}" src="data:image/png;base64,{data}">'
        for title, data in pictures
    )
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>A log</title>'
        f"<style>{_STYLE}</style><h1>A log</h1><pre>{html.escape(str(check))}</pre>{images}</html>"
    )
    path = Path(path)
    path.write_text(page, encoding="utf-8")
    return path


def _bars(values: "pd.Series[Any]", title: str) -> tuple[str, str]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.subplots()
    axes.bar([str(label) for label in values.index], values.to_numpy())
    axes.set_title(title)
    axes.tick_params(axis="x", rotation=60)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=100)
    return title, base64.b64encode(data.getvalue()).decode()
