"""
07 Tracking, registry and promotion
===================================

Every candidate of every search as an MLflow run, the best model logged once in a format that runs
no code, a registry in which only a better model becomes champion. All in a SQLite file: nothing to
install or start.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import mlflow

from rfmrisk import read_transactions, to_histories
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
make_transactions(n_customers=600, random_state=1).to_csv(folder / "log.csv", index=False)

# %%
# A first training
# ----------------
# The command, as one types it. The first model of a registry has nobody to beat.


def run(line):
    """Run a command line in the folder and print what it says, but for the progress bars."""
    print("$", line)
    command = [sys.executable, "-c", "from rfmrisk.cli import run; run()", *line.split()[1:]]
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    print("\n".join(text for text in done.stdout.splitlines() if "━" not in text))


run("rfmrisk train log.csv --models decision_tree --cv 3 -o first")

# %%
# What it left in the folder:
print(*sorted(path.name for path in (folder / "first").iterdir()), sep="\n")

# %%
# A challenger
# ------------
# A second model takes the alias ``champion`` only if it beats the present one, on the same held-out
# customers and by a margin. Otherwise it is the ``challenger``, with the figures that decided.
run("rfmrisk train log.csv --models scorecard --cv 2 -o second")

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
# own autologging. They can be asked for as a table.
runs = mlflow.search_runs(experiment_names=["rfmrisk"])
candidates = runs[runs["metrics.mean_test_score"].notna()]
candidates = candidates.sort_values("metrics.mean_test_score")
parents = dict(zip(runs["run_id"], runs["tags.mlflow.runName"], strict=True))
model = candidates["tags.mlflow.parentRunId"].map(parents)
figure, axis = plt.subplots(figsize=(7.5, 3.2), layout="constrained")
for name, color in (("decision_tree", "#c8553d"), ("scorecard", "#2a7f9e")):
    score = candidates["metrics.mean_test_score"][model == name]
    axis.plot(range(1, len(score) + 1), score, "o-", color=color, label=name)
axis.set(xlabel="candidate, worst first", ylabel="cross-validated ROC-AUC", title="Candidate runs")
axis.legend(frameon=False)

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
