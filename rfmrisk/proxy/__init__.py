"""A stand-in for missing default labels: who has become the least engaged."""

from rfmrisk.proxy.classifier import ProxyTargetClassifier
from rfmrisk.proxy.labeler import ProxyLabeler
from rfmrisk.proxy.outcome import suggest_outcome

__all__ = ["ProxyLabeler", "ProxyTargetClassifier", "suggest_outcome"]
