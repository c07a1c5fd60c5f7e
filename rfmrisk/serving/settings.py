"""What the environment says: which model, who may ask, and how much at once."""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any, Self

from rfmrisk.persistence import TRUSTED_VARIABLE
from rfmrisk.scoring.naming import CHAMPION, alias_of

_HASHED = re.compile(r"sha256:([0-9a-f]{64})", re.IGNORECASE)


@dataclass(frozen=True)
class Settings:
    """The configuration of the app.

    Attributes
    ----------
    model : str or None
        A folder that ``rfmrisk train`` wrote, or an MLflow URI.
    key_hashes : tuple of bytes
        SHA-256 of each API key; none lets everybody in.
    rate_limit : int
        Requests a minute for each key, or for each address where there is no key or a wrong one;
        0 is no limit. Each worker counts for itself.
    guess_limit : int
        Wrong keys a minute from an address. Beyond them it is heard with keys alone that it has
        used before; 0 is no limit.
    reasons : str or None
        A JSON file with the sentences of the reasons; None takes those of the package.
    max_customers, max_transactions, max_body : int
        The largest request: customers, transactions in all, bytes.
    max_waiting : int
        Requests that have arrived and are not answered; beyond them the answer is 503.
    max_large : int
        Of these, the large ones, which are worked on beside the small.
    body_seconds : float
        How long a client may take to send a body.
    head_seconds, answer_seconds : float
        How long it may take to send the head of a request, and how long to read a part of an
        answer. Under ``rfmrisk serve``.
    reload_seconds : float
        How often to look for a new champion; 0 never looks.
    drain_seconds : float
        How long a worker that is told to stop still takes requests, saying that it goes.
    """

    model: str | None = None
    key_hashes: tuple[bytes, ...] = ()
    rate_limit: int = 0
    guess_limit: int = 30
    reasons: str | None = None
    max_customers: int = 10_000
    max_transactions: int = 1_000_000
    max_body: int = 128_000_000
    max_waiting: int = 256
    max_large: int = 4
    body_seconds: float = 60.0
    head_seconds: float = 10.0
    answer_seconds: float = 30.0
    reload_seconds: float = 0.0
    drain_seconds: float = 1.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read MODEL_PATH, MLFLOW_TRACKING_URI, MODEL_NAME, MODEL_STAGE and RFMRISK_*.

        Parameters
        ----------
        environment : mapping or None, default=None
            None takes that of the process.

        Returns
        -------
        Settings

        Raises
        ------
        ValueError
            A number is no number or negative, a key is short, or a variable that begins with
            ``RFMRISK_`` is no setting.

        Examples
        --------
        >>> Settings.from_environment({"MLFLOW_TRACKING_URI": "http://mlflow:5000"}).model
        'models:/credit_scoring_model@champion'
        >>> stage = {"MLFLOW_TRACKING_URI": "http://mlflow:5000", "MODEL_STAGE": "Production"}
        >>> Settings.from_environment(stage).model
        'models:/credit_scoring_model@champion'
        >>> Settings.from_environment({"RFMRISK_MAX_CUSTOMERS": "many"})
        Traceback (most recent call last):
        ...
        ValueError: RFMRISK_MAX_CUSTOMERS must be a number from 0; got 'many'
        """
        values = os.environ if environment is None else environment
        model = values.get("MODEL_PATH") or None
        if model is None and values.get("MLFLOW_TRACKING_URI"):
            name = values.get("MODEL_NAME") or "credit_scoring_model"
            model = f"models:/{name}@{alias_of(values.get('MODEL_STAGE') or CHAMPION)}"
        variables = {*_NUMBERS, "RFMRISK_API_KEYS", "RFMRISK_REASONS", TRUSTED_VARIABLE}
        for name in values:
            if name.startswith("RFMRISK_") and name not in variables:
                near = get_close_matches(name, variables, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise ValueError(f"{name} is no setting of rfmrisk{hint}")
        numbers: dict[str, Any] = {
            each.name: _number(variable, values[variable], type(each.default))
            for variable, each in _NUMBERS.items()
            if variable in values
        }
        given = values.get("RFMRISK_API_KEYS", "").strip()
        keys = [key for key in map(str.strip, given.split(",")) if key]
        if given and not keys:
            raise ValueError(
                f"RFMRISK_API_KEYS holds no key, and would let everybody in; got {given!r}"
            )
        hashes = tuple(map(_key_hash, keys))
        reasons = values.get("RFMRISK_REASONS") or None
        return cls(model=model, key_hashes=hashes, reasons=reasons, **numbers)


_NUMBERS = {
    f"RFMRISK_{each.name.upper()}": each
    for each in fields(Settings)
    if isinstance(each.default, int | float)
}


def _number(variable: str, text: str, kind: type) -> int | float:
    try:
        number = kind(text)
    except ValueError:
        number = -1
    if not 0 <= number < float("inf"):
        raise ValueError(f"{variable} must be a number from 0; got {text!r}")
    return number


def _key_hash(key: str) -> bytes:
    hashed = _HASHED.fullmatch(key)
    if hashed:
        return bytes.fromhex(hashed[1])
    if len(key) < 16 or key.lower().startswith("sha256:"):
        raise ValueError(
            "each of RFMRISK_API_KEYS must have 16 or more characters, or be sha256: and the 64 "
            f"hexadecimal digits of its hash; one has {len(key)} characters"
        )
    return hashlib.sha256(key.encode()).digest()
