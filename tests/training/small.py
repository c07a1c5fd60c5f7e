"""Models of the catalogue with searches that end soon."""

from dataclasses import replace

from rfmrisk.training import CATALOGUE

SMALL = {
    "scorecard": replace(CATALOGUE["scorecard"], grid={"scorecard__classifier__C": [0.1, 1.0]}),
    "decision_tree": replace(CATALOGUE["decision_tree"], grid={"classifier__max_depth": [3, 5]}),
}
