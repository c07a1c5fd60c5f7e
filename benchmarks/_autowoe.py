"""Fit AutoWoE on splits of a set, in an environment of its own: _autowoe.py SET.csv SPLITS.npz.

The set has its target in the column ``target``; the splits hold the rows of each training and test
part. Prints a JSON list with the AUC, the number of characteristics and the largest p-value of
each.
"""

import json
import sys
import warnings

import numpy as np
import pandas as pd
from autowoe import AutoWoE
from sklearn.metrics import roc_auc_score


def main() -> None:
    """Fit with the defaults, one process and no output."""
    warnings.simplefilter("ignore")
    frame, splits = pd.read_csv(sys.argv[1]), np.load(sys.argv[2])
    kinds = {
        name: "real" if pd.api.types.is_numeric_dtype(frame[name]) else "cat"
        for name in frame
        if name != "target"
    }
    found = []
    for k in range(len(splits.files) // 2):
        train, test = frame.iloc[splits[f"train{k}"]], frame.iloc[splits[f"test{k}"]]
        model = AutoWoE(n_jobs=1, verbose=0)
        model.fit(train.reset_index(drop=True), target_name="target", features_type=kinds)
        p = model.predict_proba(test.drop(columns="target").reset_index(drop=True))
        p_values = model.p_vals
        found.append(
            {
                "AUC": roc_auc_score(test["target"], p),
                "characteristics": len(model.features_fit),
                "p": float(max(p_values[1:])) if p_values is not None else None,
            }
        )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
