"""What is counted: requests, latency, scores, and how far scores have moved since training."""

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from sklearn.pipeline import Pipeline

from rfmrisk.scorecard.scorecard import Scorecard
from rfmrisk.scoring.model import ScoringModel
from rfmrisk.woe.binning import psi_of

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
POINTS = tuple(range(350, 801, 25))
RECENT = 10_000


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
    counts: np.ndarray = field(default_factory=lambda: np.zeros(len(POINTS) + 1, dtype=np.int64))
    total: float = 0.0
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
        ranges = np.searchsorted(POINTS, score, side="left")
        with self._lock:
            self.counts += np.bincount(ranges, minlength=len(self.counts))
            self.total += float(score.sum())
            self.high_risk += int(high_risk.sum())
            self.recent.extend(score[-RECENT:].tolist())

    def collect(self) -> Iterator[Metric]:
        """Give what Prometheus reads."""
        with self._lock:
            reached, total, high_risk = self.counts.cumsum().tolist(), self.total, self.high_risk
        bounds = [*map(str, map(float, POINTS)), "+Inf"]
        yield HistogramMetricFamily(
            "rfmrisk_score",
            "Scores since the model was loaded.",
            buckets=list(zip(bounds, reached, strict=True)),
            sum_value=total,
        )
        yield CounterMetricFamily(
            "rfmrisk_high_risk",
            "Customers called high-risk since the model was loaded.",
            value=high_risk,
        )
        psi = self.psi()
        if psi is not None:
            told = f"Population stability index of the last {RECENT} scores."
            yield GaugeMetricFamily("rfmrisk_score_psi", told, value=psi)

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
        self.registry = CollectorRegistry()
        self._answered = Counter(
            "rfmrisk_requests",
            "Answered requests.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "rfmrisk_request_seconds",
            "Time from a request's head to the end of its answer.",
            ["route"],
            buckets=SECONDS,
            registry=self.registry,
        )

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._answered.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
