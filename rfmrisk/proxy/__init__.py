"""A stand-in for missing default labels, and how far to trust it."""

from rfmrisk.proxy.backtest import RollingOrigin, rolling_origin
from rfmrisk.proxy.classifier import ProxyTargetClassifier
from rfmrisk.proxy.labeler import ProxyLabeler
from rfmrisk.proxy.leakage import LeakageReport, leakage_report
from rfmrisk.proxy.outcome import absence_curve, suggest_outcome
from rfmrisk.proxy.stability import LabelStability, label_stability
from rfmrisk.proxy.validation import ProxyValidation, validate_proxy

__all__ = [
    "LabelStability",
    "LeakageReport",
    "ProxyLabeler",
    "ProxyTargetClassifier",
    "ProxyValidation",
    "RollingOrigin",
    "absence_curve",
    "label_stability",
    "leakage_report",
    "rolling_origin",
    "suggest_outcome",
    "validate_proxy",
]
