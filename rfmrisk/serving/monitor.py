"""What is counted: requests, latency, scores, and how far scores have moved since training."""

import threading
from bisect import bisect_left
from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np
from sklearn.pipeline import Pipeline

from rfmrisk.scorecard.scorecard import Scorecard
from rfmrisk.scoring.model import ScoringModel
from rfmrisk.woe.binning import psi_of

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
POINTS = tuple(range(350, 801, 25))
RECENT = 10_000


class Histogram:
    """Counts in ranges, as Prometheus wants them."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self._bounds = np.array(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add_all(self, values: np.ndarray) -> None:
        """Count many values."""
        places = np.searchsorted(self._bounds, values, side="left")
        added = np.bincount(places, minlength=len(self.counts)).tolist()
        self.counts = [old + new for old, new in zip(self.counts, added, strict=True)]
        self.total += float(values.sum())

    def lines(self, name: str, labels: str = "") -> list[str]:
        """Write the histogram."""
        lines, reached = [], 0
        comma = f"{labels}," if labels else ""
        for bound, count in zip((*self.bounds, "+Inf"), self.counts, strict=True):
            reached += count
            lines.append(f'{name}_bucket{{{comma}le="{bound}"}} {reached}')
        shown = f"{{{labels}}}" if labels else ""
        return [*lines, f"{name}_sum{shown} {self.total}", f"{name}_count{shown} {reached}"]


@dataclass
class ScoreMonitor:
    """The scores of one model: a histogram, and the recent ones against those of training.

    Attributes
    ----------
    cuts, expected : ndarray or None
        The deciles of the training scores and the weight between them, where the model or
        its metadata has them.
    """

    cuts: np.ndarray | None = None
    expected: np.ndarray | None = None
    scores: Histogram = field(default_factory=lambda: Histogram(POINTS))
    high_risk: int = 0
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    # Small requests are counted on the event loop, and large ones on threads.
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def of(cls, model: ScoringModel) -> "ScoreMonitor":
        """Begin to watch a model."""
        card = model.pipeline[-1] if isinstance(model.pipeline, Pipeline) else None
        if isinstance(card, Scorecard):
            return cls(card.score_cuts_, card.score_counts_)
        trained = model.metadata.scores
        return cls(np.array(trained.cuts), np.array(trained.counts)) if trained else cls()

    def add(self, score: np.ndarray, high_risk: np.ndarray) -> None:
        """Count the scores of a request."""
        with self._lock:
            self.scores.add_all(score)
            self.high_risk += int(high_risk.sum())
            self.recent.extend(score[-RECENT:].tolist())

    def psi(self) -> float | None:
        """Compute the population stability index of the recent scores; None without any."""
        with self._lock:
            recent = np.array(self.recent)
        if self.cuts is None or self.expected is None or not len(recent):
            return None
        codes = np.searchsorted(self.cuts, recent, side="right")
        return psi_of(self.expected, np.bincount(codes, minlength=len(self.expected)))


class RequestMonitor:
    """The requests of one worker."""

    def __init__(self) -> None:
        self.answered: Counter[tuple[str, str, int]] = Counter()
        self.seconds: dict[str, Histogram] = {}

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self.answered[method, route, status] += 1
        if route not in self.seconds:
            self.seconds[route] = Histogram(SECONDS)
        self.seconds[route].add(seconds)


def exposition(
    requests: RequestMonitor, waiting: int, model: tuple[str, str] | None, scores: ScoreMonitor
) -> str:
    """Write all in Prometheus' text format.

    Examples
    --------
    >>> text = exposition(RequestMonitor(), 1, ("credit", "3"), ScoreMonitor())
    >>> print("".join(line for line in text.splitlines(True) if line.startswith("rfmrisk_model")))
    rfmrisk_model_info{name="credit",version="3"} 1
    """
    lines = [
        "# HELP rfmrisk_requests_total Answered requests.",
        "# TYPE rfmrisk_requests_total counter",
    ]
    lines += [
        f'rfmrisk_requests_total{{method="{method}",route="{route}",status="{status}"}} {count}'
        for (method, route, status), count in sorted(requests.answered.items())
    ]
    lines += [
        "# HELP rfmrisk_request_seconds Time from a request's head to the end of its answer.",
        "# TYPE rfmrisk_request_seconds histogram",
    ]
    for route, seconds in sorted(requests.seconds.items()):
        lines += seconds.lines("rfmrisk_request_seconds", f'route="{route}"')
    lines += [
        "# HELP rfmrisk_requests_waiting Requests that have arrived and are not answered.",
        "# TYPE rfmrisk_requests_waiting gauge",
        f"rfmrisk_requests_waiting {waiting}",
    ]
    if model:
        name, version = (_escaped(text) for text in model)
        lines += [
            "# HELP rfmrisk_model_info The model that serves.",
            "# TYPE rfmrisk_model_info gauge",
            f'rfmrisk_model_info{{name="{name}",version="{version}"}} 1',
        ]
    lines += [
        "# HELP rfmrisk_score Scores since the model was loaded.",
        "# TYPE rfmrisk_score histogram",
        *scores.scores.lines("rfmrisk_score"),
        "# HELP rfmrisk_high_risk_total Customers called high-risk since the model was loaded.",
        "# TYPE rfmrisk_high_risk_total counter",
        f"rfmrisk_high_risk_total {scores.high_risk}",
    ]
    psi = scores.psi()
    if psi is not None:
        lines += [
            f"# HELP rfmrisk_score_psi Population stability index of the last {RECENT} scores.",
            "# TYPE rfmrisk_score_psi gauge",
            f"rfmrisk_score_psi {psi:.6g}",
        ]
    return "\n".join(lines) + "\n"


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
