"""
07 Tracking, registry and promotion
===================================

Every candidate of every search as an MLflow run, the best model logged once in a format that runs
no code, a registry in which only a better model becomes champion. All in a SQLite file: nothing to
install or start.
"""

import contextlib
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import mlflow
import pandas as pd

from rfmrisk import read_transactions, to_histories
from rfmrisk.cli import main
from rfmrisk.datasets import make_transactions
from rfmrisk.training import load_model, promote

# %%
# A store of our own
# ------------------
# The store is MLflow's: ``MLFLOW_TRACKING_URI`` names a server or a file. Here it is a file in a
# new folder.
folder = Path(tempfile.mkdtemp(prefix="rfmrisk-gallery-"))
os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{(folder / 'mlflow.db').as_posix()}"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
make_transactions(n_customers=2_000, random_state=1).to_csv(folder / "log.csv", index=False)

# %%
# A first training
# ----------------
# The command, as one types it; here in this process, which has MLflow loaded already. The first
# model of a registry has nobody to beat.


def run(line):
    """Run a command line in the folder."""
    print("$", line)
    with contextlib.chdir(folder):
        assert main(line.split()[1:]) == 0


run("rfmrisk train log.csv --models decision_tree --search random --n-iter 5 --cv 3 -o first")

# %%
# What it left in the folder:
print(*sorted(path.name for path in (folder / "first").iterdir()), sep="\n")

# %%
# A second training
# -----------------
# A second model takes the alias ``champion`` only if it beats the present one by a margin, both on
# held-out customers. Otherwise it is the ``challenger``. In either case the version keeps the
# figures that decided. (The first was easy to beat: in its output the recency alone ranks better.)
run("rfmrisk train log.csv --models scorecard --search random --n-iter 4 --cv 3 -o second")

# %%
client = mlflow.MlflowClient()
aliases = client.get_registered_model("credit_scoring_model").aliases
versions = client.search_model_versions("name = 'credit_scoring_model'")
for version in sorted(versions, key=lambda version: int(version.version)):
    mine = [alias for alias, number in aliases.items() if number == version.version]
    print(f"version {version.version} {mine}: {version.tags['rfmrisk.decision']}")

# %%
# The candidates
# --------------
# A parent run per training, a child per search, and under it a child per candidate, all by MLflow's
# own autologging. They can be asked for as a table. Beside the cross-validated figures of the
# candidates stands the held-out one of the best, with its interval. Some 360 customers give an AUC
# to three or four hundredths: by so much the two kinds of figures may differ without any reason.
runs = mlflow.search_runs(experiment_names=["rfmrisk"])
candidates = runs[runs["metrics.mean_test_score"].notna()]
candidates = candidates.sort_values("metrics.mean_test_score")
parents = dict(zip(runs["run_id"], runs["tags.mlflow.runName"], strict=True))
model = candidates["tags.mlflow.parentRunId"].map(parents)
figure, axis = plt.subplots(figsize=(7.5, 3.2), layout="constrained")
for at, (run_folder, name, color) in enumerate(
    (("first", "decision_tree", "#c8553d"), ("second", "scorecard", "#2a7f9e"))
):
    score = candidates["metrics.mean_test_score"][model == name]
    axis.plot(range(1, len(score) + 1), score, "o-", color=color, label=name)
    held_out = pd.read_csv(folder / run_folder / "metrics.csv", index_col="model").loc[name]
    auc, low, high = held_out[["roc_auc", "roc_auc_low", "roc_auc_high"]]
    bars = [[auc - low], [high - auc]]
    axis.errorbar(6.2 + at / 3, auc, bars, fmt="s", color=color, label=f"{name}, held out")
axis.set(
    xlabel="candidate, worst first", ylabel="ROC-AUC", title="Candidate runs", xticks=range(1, 6)
)
axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))

# %%
# Promotion by hand
# -----------------
# Figures do not know everything: a person may move the alias, and may move it back. Whoever serves
# ``models:/credit_scoring_model@champion`` gets the new one at the next reload.
print(promote("1", name="credit_scoring_model"))
print(promote("2", name="credit_scoring_model"))

# %%
# From the registry to scores
# ---------------------------
# Only the types that the package trusts are built from the file; nothing in it is executed.
champion = load_model("models:/credit_scoring_model@champion")
scores = champion.score(to_histories(read_transactions(folder / "log.csv")))
plt.show()
scores.head()
