"""Write a fitted encoder as plain data, ready for JSON, and read it back."""

from __future__ import annotations

from typing import Any

import numpy as np

from rfmrisk.woe.bins import ColumnBins
from rfmrisk.woe.encoder import WOEEncoder

# Parameters that only matter in fit, and may hold what JSON cannot.
_FIT_ONLY = ("monotonic", "classing", "special_values", "stability")


def encoder_to_plain(encoder: WOEEncoder) -> dict[str, Any]:
    """Return the parameters and the bins of a fitted encoder as numbers, text, lists and dicts.

    Parameters
    ----------
    encoder : WOEEncoder
        Fitted.

    Returns
    -------
    dict
        parameters, named (whether columns had names), mean_weight, separating, classing, findings
        and columns.
    """
    return {
        "parameters": {
            name: value for name, value in encoder.get_params().items() if name not in _FIT_ONLY
        },
        "named": hasattr(encoder, "feature_names_in_"),
        "mean_weight": encoder.mean_weight_,
        "separating": encoder.separating_,
        "classing": encoder.classing_,
        "findings": encoder.findings_,
        "columns": [
            {
                "name": name,
                **{
                    key: value.tolist() if isinstance(value, np.ndarray) else value
                    for key, value in column.items()
                },
            }
            for name, column in zip(encoder.column_names(), encoder.bins_, strict=True)
        ],
    }


def encoder_from_plain(state: dict[str, Any]) -> WOEEncoder:
    """Make the fitted encoder that `encoder_to_plain` wrote.

    Parameters
    ----------
    state : dict
        What `encoder_to_plain` returned.

    Returns
    -------
    WOEEncoder
        Fitted; it encodes as the first did.

    Raises
    ------
    KeyError, TypeError, ValueError
        If something is missing or is not what it should be.
    """
    encoder = WOEEncoder(**state["parameters"])
    columns = state["columns"]
    encoder.n_features_in_ = len(columns)
    if state["named"]:
        encoder.feature_names_in_ = np.array([c["name"] for c in columns], dtype=object)
    encoder.bins_ = [
        ColumnBins(
            kind=column["kind"],
            cuts=np.array(column["cuts"], dtype=np.float64),
            levels=column["levels"],
            n_bins=column["n_bins"],
            special=column["special"],
            goods=np.array(column["goods"], dtype=np.float64),
            bads=np.array(column["bads"], dtype=np.float64),
            woe=np.array(column["woe"], dtype=np.float64),
            iv=np.array(column["iv"], dtype=np.float64),
        )
        for column in columns
    ]
    encoder.mean_weight_ = float(state["mean_weight"])
    encoder.separating_ = list(state["separating"])
    encoder.classing_ = dict(state["classing"])
    encoder.findings_ = list(state["findings"])
    encoder.periods_, encoder.over_time_ = [], []
    encoder.information_value_ = np.array([column["iv"].sum() for column in encoder.bins_])
    encoder.selected_ = encoder.information_value_ >= encoder.min_iv
    return encoder
