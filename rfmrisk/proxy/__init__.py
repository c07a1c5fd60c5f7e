"""A stand-in for missing default labels, and how far to trust it."""

from rfmrisk.proxy.agreement import ProxyValidation, validate_proxy
from rfmrisk.proxy.backtest import RollingOrigin, rolling_origin
from rfmrisk.proxy.classifier import ProxyTargetClassifier
from rfmrisk.proxy.display import (
    AbsenceDisplay,
    ClusterDisplay,
    LeakageDisplay,
    OutcomeCurveDisplay,
    ProxyValidationDisplay,
    RollingOriginDisplay,
    StabilityDisplay,
)
from rfmrisk.proxy.labeler import ProxyLabeler
from rfmrisk.proxy.leakage import LeakageReport, leakage_report
from rfmrisk.proxy.log_check import LogCheck, check_log
from rfmrisk.proxy.outcome import absence_curve, suggest_outcome
from rfmrisk.proxy.rfm_segments import RFMSegments
from rfmrisk.proxy.stability import LabelStability, label_stability
from rfmrisk.proxy.updating import OutcomeUpdatedClassifier
from rfmrisk.proxy.worth import OutcomeCurve, outcome_curve

__all__ = [
    "AbsenceDisplay",
    "ClusterDisplay",
    "LabelStability",
    "LeakageDisplay",
    "LeakageReport",
    "LogCheck",
    "OutcomeCurve",
    "OutcomeCurveDisplay",
    "OutcomeUpdatedClassifier",
    "ProxyLabeler",
    "ProxyTargetClassifier",
    "ProxyValidation",
    "ProxyValidationDisplay",
    "RFMSegments",
    "RollingOrigin",
    "RollingOriginDisplay",
    "StabilityDisplay",
    "absence_curve",
    "check_log",
    "label_stability",
    "leakage_report",
    "outcome_curve",
    "rolling_origin",
    "suggest_outcome",
    "validate_proxy",
]
