"""What is counted: requests, latency, scores, and how far scores have moved since training."""

from collections import deque

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from sklearn.pipeline import Pipeline

from rfmrisk.scorecard.scorecard import Scorecard
from rfmrisk.scoring.model import ScoringModel
from rfmrisk.woe.binning import psi_of

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
POINTS = tuple(range(350, 801, 25))
RECENT = 10_000


class ScoreMonitor:
    """The scores of one model: a histogram, and the recent ones against those of training.

    Parameters
    ----------
    cuts, expected : ndarray or None, default=None
        The deciles of the training scores and the weight between them, where the model or
        its metadata has them.
    """

    def __init__(self, cuts: np.ndarray | None = None, expected: np.ndarray | None = None) -> None:
        self.cuts, self.expected = cuts, expected
        self.recent: deque[float] = deque(maxlen=RECENT)
        self.registry = CollectorRegistry()
        told = "Scores since the model was loaded."
        self._scores = Histogram("rfmrisk_score", told, buckets=POINTS, registry=self.registry)
        told = "Customers called high-risk since the model was loaded."
        self._high_risk = Counter("rfmrisk_high_risk", told, registry=self.registry)
        if cuts is not None:
            told = f"Population stability index of the last {RECENT} scores; NaN without any."
            Gauge("rfmrisk_score_psi", told, registry=self.registry).set_function(self.psi)

    @classmethod
    def of(cls, model: ScoringModel, name: str, version: str) -> "ScoreMonitor":
        """Begin to watch a model."""
        monitor, card = cls(), model.pipeline[-1] if isinstance(model.pipeline, Pipeline) else None
        if isinstance(card, Scorecard):
            monitor = cls(card.score_cuts_, card.score_counts_)
        elif trained := model.metadata.scores:
            monitor = cls(np.array(trained.cuts), np.array(trained.counts))
        labels = ["name", "version"]
        served = Gauge(
            "rfmrisk_model_info", "The model that serves.", labels, registry=monitor.registry
        )
        served.labels(name, version).set(1)
        return monitor

    def add(self, score: np.ndarray, high_risk: np.ndarray) -> None:
        """Count the scores of a request."""
        scores = score.tolist()
        for each in scores:
            self._scores.observe(each)
        self._high_risk.inc(int(high_risk.sum()))
        self.recent.extend(scores)

    def psi(self) -> float:
        """Compute the population stability index of the recent scores; NaN without any."""
        recent = np.array(list(self.recent))
        if self.cuts is None or self.expected is None or not len(recent):
            return np.nan
        codes = np.searchsorted(self.cuts, recent, side="right")
        return psi_of(self.expected, np.bincount(codes, minlength=len(self.expected)))


class RequestMonitor:
    """The requests of one worker."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ["method", "route", "status"]
        self._answered = Counter(
            "rfmrisk_requests", "Answered requests.", labels, registry=self.registry
        )
        self._seconds = Histogram(
            "rfmrisk_request_seconds",
            "Time from a request's head to the end of its answer.",
            ["route"],
            buckets=SECONDS,
            registry=self.registry,
        )

        told = "Requests that have arrived and are not answered."
        self.waiting = Gauge("rfmrisk_requests_waiting", told, registry=self.registry)

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._answered.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
