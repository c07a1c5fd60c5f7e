"""What a model has beside its pipeline: its scale, what it needs, and how it was made."""

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from numbers import Real
from types import NoneType, UnionType
from typing import Any, Self, get_args, get_origin, get_type_hints

from rfmrisk.persistence import ModelFileError
from rfmrisk.scorecard.grades import Grades

_IN_EVERY_FILE = ("threshold", "base_score", "base_odds", "pdo", "features", "typical")


@dataclass(frozen=True, kw_only=True)
class DataSummary:
    """The histories that a model was trained on.

    Attributes
    ----------
    name : str
        Of the log.
    fingerprint : str
        SHA-256 of customers, timestamps of the decisions, times and amounts.
    customers, transactions : int
        How many there are.
    first, last : str
        Times of the first and the last transaction, ISO-8601.
    first_as_of, last_as_of : str
        The earliest and the latest timestamp of the decision, ISO-8601.
    left_out : list of str
        Which rows and lines of the log were left out, and why.
    remarks : list of str
        What else of the log is to be minded.
    """

    name: str = "histories"
    fingerprint: str = ""
    customers: int = 0
    transactions: int = 0
    first: str = ""
    last: str = ""
    first_as_of: str = ""
    last_as_of: str = ""
    left_out: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class LabelWindow:
    """One of the outcome windows that a proxy label was made from.

    Attributes
    ----------
    window : str
        Its length and its cut-off.
    customers : int
        Known before it.
    high_risk_share, absent_share : float
        Of these, those in the least engaged cluster, and those without a transaction in it.
    rule : str or None
        The one threshold of one column that gives the same label, where there is one.
    """

    window: str
    customers: int
    high_risk_share: float
    absent_share: float
    rule: str | None


@dataclass(frozen=True, kw_only=True)
class ScoreDistribution:
    """The scores of held-out customers, against which later scores are compared.

    Attributes
    ----------
    cuts : list of float
        Between the bins, in points, increasing.
    counts : list of float
        Of the ``len(cuts) + 1`` bins.
    """

    cuts: list[float]
    counts: list[float]

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.cuts) + 1 or not all(
            map(_is_number, [*self.cuts, *self.counts])
        ):
            raise ValueError(
                "scores must have finite cuts and one more of counts; got "
                f"{len(self.cuts)} cuts and {len(self.counts)} counts"
            )
        if sorted(set(self.cuts)) != self.cuts or min(self.counts) < 0:
            raise ValueError("scores must have increasing cuts, and counts from 0")


@dataclass(frozen=True, kw_only=True)
class MasterScale:
    """The grades of the score, as `rfmrisk.Grades` writes them.

    Attributes
    ----------
    edges : list of float
        Ascending scores; a score at an edge is in the safer grade.
    names : list of str
        Of the ``len(edges) + 1`` grades, from the riskiest on.
    """

    edges: list[float]
    names: list[str]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.edges) + 1:
            raise ValueError(
                f"grades must have one name more than edges; got {len(self.names)} names and "
                f"{len(self.edges)} edges"
            )
        try:
            self.fitted()
        except ValueError as error:
            raise ValueError(f"grades cannot be used: {error}") from error

    def fitted(self) -> Grades:
        """Return what puts a score into its grade.

        Returns
        -------
        Grades
        """
        return Grades.from_dict(asdict(self))


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """The MLflow run of a training.

    Attributes
    ----------
    experiment : str
    run_id : str or None
        None where the store could not be used.
    params : dict
        What the run was opened with.
    log : str
        Name of the transaction log.
    """

    experiment: str
    run_id: str | None
    params: dict[str, Any]
    log: str


@dataclass(frozen=True, kw_only=True)
class ModelMetadata:
    """What scoring needs beside a fitted pipeline, and how the model was made.

    Kept as ``model.json`` beside ``model.skops``. All values are plain: numbers, texts, lists and
    dicts with text as keys.

    Attributes
    ----------
    threshold : float
        Customers are high-risk from this probability on, within 0 and 1.
    base_score, base_odds, pdo : float
        The scale: ``base_score`` points stand for odds of ``base_odds`` goods to one bad, and
        ``pdo`` points double the odds.
    features : list of str
        All that the model was trained on, in order.
    typical : dict of str to float, int, str or None
        A usual value of each feature: the median or the most frequent one.
    scores : ScoreDistribution or None
        Of the held-out customers.
    grades : MasterScale or None
        Into which the score is put, where the model has grades.
    roles : dict of str to str
        Columns of ``customer``, ``time`` and ``amount`` in the log of the training, and ``order``
        and ``duplicates`` where they were given.
    decision_roles : dict of str to str
        Columns of ``customer``, ``time``, ``target`` and ``weight`` in the decisions of the
        training, where it had a table of them.
    model, title : str
        Name of the model in its catalogue, and for people.
    parameters : str
        Those that the search chose, as JSON.
    asked : dict
        What the training was asked for.
    failed : list of str
        Models of which every candidate failed, each with the reason.
    windows : list of str or None, or None
        Over which spending is looked at; None within is the whole history.
    high_risk_share : float or None
        Of all samples of the training.
    n_train, n_test : int
        Customers on either side.
    n_unknown, n_immature : int
        Decisions that were left out: without an outcome, and with a performance window that was
        not over.
    n_samples : int
        Rows that the model learned from and was judged on: customers, times outcome windows.
    weighted : bool
        Whether some rows counted more than others.
    windows_of_label : list of LabelWindow
        Of a proxy label.
    left_out_of_label : list of str
        Outcome windows that the log does not reach, each with the reason.
    drift_in_time : bool
        Whether the drift of the training compares the last decisions with those before, and not
        the held-out customers with the others.
    outcome_curve : str or None
        What the proxy is worth in outcomes, as text, where outcomes update one.
    separating : list of str
        Features that separated goods from bads without an error in the training, by single bins.
    data : DataSummary
    versions : dict of str to str
        Of Python, of the package, and of all packages that the model needs.
    trained_at : str
        Date and time, UTC.
    git_commit : str or None
        Of the folder in which the training ran.
    tracking : TrackedRun or None
    label_stability, leakage : str or None
        The verdicts on a proxy label, as text.
    label_stable, leaks : bool or None
        The same as flags.
    label_by_clusters : bool or None
        Whether a proxy label is the least engaged cluster of a `ProxyLabeler`.
    reasons_note : str
        What the points of the reasons are.
    model_sha256 : str
        Of the ``model.skops`` beside these; made when they are saved, and no part of a comparison.

    Examples
    --------
    >>> from rfmrisk.scoring import ModelMetadata
    >>> metadata = ModelMetadata(threshold=0.2, features=["age"], typical={"age": 41.0})
    >>> ModelMetadata.from_json(metadata.to_json()) == metadata
    True
    >>> ModelMetadata(threshold=2, features=["age"], typical={"age": 41.0})
    Traceback (most recent call last):
    ...
    ValueError: threshold must be a number from 0 to 1; got 2
    """

    threshold: float
    features: list[str]
    typical: dict[str, float | int | str | None] = field(repr=False)
    base_score: float = 600
    base_odds: float = 50
    pdo: float = 20
    scores: ScoreDistribution | None = field(default=None, repr=False)
    grades: MasterScale | None = None
    roles: dict[str, str] = field(default_factory=dict)
    decision_roles: dict[str, str] = field(default_factory=dict)
    model: str = "model"
    title: str = ""
    parameters: str = "{}"
    asked: dict[str, Any] = field(default_factory=dict, repr=False)
    failed: list[str] = field(default_factory=list)
    windows: list[str | None] | None = None
    high_risk_share: float | None = None
    n_train: int = 0
    n_test: int = 0
    n_unknown: int = 0
    n_immature: int = 0
    n_samples: int = 0
    weighted: bool = False
    windows_of_label: list[LabelWindow] = field(default_factory=list, repr=False)
    left_out_of_label: list[str] = field(default_factory=list)
    drift_in_time: bool = False
    outcome_curve: str | None = None
    separating: list[str] = field(default_factory=list)
    data: DataSummary = field(default_factory=DataSummary)
    versions: dict[str, str] = field(default_factory=dict)
    trained_at: str = ""
    git_commit: str | None = None
    tracking: TrackedRun | None = None
    label_stability: str | None = None
    label_stable: bool | None = None
    leakage: str | None = None
    leaks: bool | None = None
    label_by_clusters: bool | None = None
    reasons_note: str = ""
    model_sha256: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        if not _is_number(self.threshold) or not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold must be a number from 0 to 1; got {self.threshold!r}")
        if not _is_number(self.base_score):
            raise ValueError(f"base_score must be a number; got {self.base_score!r}")
        for name in ("base_odds", "pdo"):
            value = getattr(self, name)
            if not _is_number(value) or value <= 0:
                raise ValueError(f"{name} must be a number above 0; got {value!r}")
        if not isinstance(self.features, list) or not isinstance(self.typical, dict):
            raise ValueError(
                "features must be a list of names and typical a dict of their values; got "
                f"{type(self.features).__name__} and {type(self.typical).__name__}"
            )
        missing = [name for name in self.features if name not in self.typical]
        if missing:
            raise ValueError(f"typical must have a value of each feature; it lacks {missing}")
        for name in ("roles", "decision_roles", "asked", "versions"):
            if not isinstance(getattr(self, name), dict):
                raise ValueError(f"{name} must be a dict; got {getattr(self, name)!r}")

    @property
    def word_of_bad(self) -> str:
        """What the customers are called whom the target marks: no proxy knows who is bad."""
        return "high-risk" if self.asked.get("target") == "proxy" else "bad"

    @property
    def columns_of_outcomes(self) -> list[str]:
        """Columns of the decisions of the training that no new decision has: outcome and weight."""
        roles = self.decision_roles
        return [roles[role] for role in ("target", "weight") if role in roles]

    @property
    def scale(self) -> dict[str, float]:
        """``base_score``, ``base_odds`` and ``pdo``."""
        return {"base_score": self.base_score, "base_odds": self.base_odds, "pdo": self.pdo}

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain values.

        Returns
        -------
        dict
        """
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make metadata of what `to_dict` returned.

        Parameters
        ----------
        values : mapping

        Returns
        -------
        ModelMetadata

        Raises
        ------
        ModelFileError
            A field is unknown, missing, or has a value that is not allowed.
        """
        made = _fields_of(cls, values, "", _IN_EVERY_FILE)
        try:
            return cls(**made)
        except (ValueError, TypeError) as error:
            raise ModelFileError(f"the model's metadata cannot be used: {error}") from error

    def to_json(self) -> str:
        """Return all fields as the text of ``model.json``.

        Returns
        -------
        str
        """
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Make metadata of the text of ``model.json``.

        Parameters
        ----------
        text : str

        Returns
        -------
        ModelMetadata

        Raises
        ------
        ModelFileError
            It is no JSON, or as `from_dict`.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ModelFileError(f"the model's metadata is no JSON: {error}") from error
        return cls.from_dict(values)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _fields_of(
    cls: type, values: Any, where: str, needed: tuple[str, ...] | None = None
) -> dict[str, Any]:
    """Return the fields of a dataclass, each of its type, from what JSON holds."""
    if not isinstance(values, Mapping):
        raise ModelFileError(f"the model's metadata{where} must be fields by name; got {values!r}")
    known = {each.name: each for each in fields(cls)}
    unknown = [name for name in values if name not in known]
    if needed is None:
        needed = tuple(
            name
            for name, each in known.items()
            if each.default is MISSING and each.default_factory is MISSING
        )
    missing = [name for name in needed if name not in values]
    for problem, names in (("has unknown fields", unknown), ("lacks", missing)):
        if names:
            raise ModelFileError(
                f"the model's metadata{where} {problem} {names}; its fields are {list(known)}"
            )
    hints = get_type_hints(cls)
    return {name: _of_type(value, hints[name], name + where) for name, value in values.items()}


def _of_type(value: Any, hint: Any, name: str) -> Any:
    """Return a value of JSON as the type of its field, or refuse it by the field's name."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is UnionType:
        kinds = [kind for kind in inner if kind is not NoneType]
        if value is None and len(kinds) < len(inner):
            return None
        if len(kinds) == 1:
            return _of_type(value, kinds[0], name)
        fits = any(_is_of(value, kind) for kind in kinds)
    elif origin is list and isinstance(value, list):
        return [_of_type(each, inner[0], name) for each in value]
    elif origin is dict and isinstance(value, dict):
        return {key: _of_type(each, inner[1], name) for key, each in value.items()}
    elif hasattr(hint, "__dataclass_fields__"):
        try:
            return hint(**_fields_of(hint, value, f" of {name}"))
        except ValueError as error:
            raise ModelFileError(f"the model's metadata cannot be used: {error}") from error
    else:
        fits = origin is None and _is_of(value, hint)
    if not fits:
        kind = getattr(origin or hint, "__name__", hint)
        raise ModelFileError(
            f"{name} of the model's metadata must be {_WORDS.get(kind, kind)}; got {value!r:.100}"
        )
    return value


_WORDS = {"float": "a number", "int": "a whole number", "str": "text", "bool": "true or false"}


def _is_of(value: Any, kind: Any) -> bool:
    if kind is Any:
        return True
    if kind is float:
        return _is_number(value)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
