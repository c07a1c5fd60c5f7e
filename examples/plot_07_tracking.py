"""
07 Tracking, registry and promotion
===================================

Every candidate of every search as an MLflow run, the best model logged once in a format that runs
no code, a registry in which only a better model becomes champion. All in a SQLite file: nothing to
install or start.
"""

import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import mlflow
import pandas as pd

from rfmrisk import to_histories
from rfmrisk.cli import main
from rfmrisk.datasets import make_transactions
from rfmrisk.training import load_model, promote

# %%
# A store of our own
# ------------------
# The store is MLflow's: ``MLFLOW_TRACKING_URI`` names a server or a file. Here it is a file in a
# folder that is thrown away at the end.
folder = Path(tempfile.mkdtemp(prefix="rfmrisk-gallery-"))
os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{(folder / 'mlflow.db').as_posix()}"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
home = Path.cwd()
os.chdir(folder)  # MLflow keeps the files of a SQLite store beside it
mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])

log = make_transactions(n_customers=800, random_state=1)
log.to_csv("log.csv", index=False)

# %%
# A first training
# ----------------
# The command, as one types it (``rfmrisk train log.csv ...``). The first model of a registry has
# nobody to beat.
assert main(["train", "log.csv", "--models", "decision_tree", "--cv", "3", "-o", "first"]) == 0

# %%
# What it left in the folder:
print(*sorted(path.name for path in Path("first").iterdir()), sep="\n")

# %%
# A challenger
# ------------
# A second model takes the alias ``champion`` only if it beats the present one, on the same held-out
# customers and by a margin. Otherwise it is the ``challenger``, with the figures that decided.
assert main(["train", "log.csv", "--models", "scorecard", "--cv", "3", "-o", "second"]) == 0

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
    mine = (model == name).to_numpy()
    axis.plot(range(mine.sum()), candidates["metrics.mean_test_score"][mine], "o-", color=color)
    axis.annotate(name, (mine.sum() - 1, candidates["metrics.mean_test_score"][mine].iloc[-1]))
axis.set(xlabel="candidate, worst first", ylabel="ROC-AUC, three folds", title="Candidate runs")
axis.margins(x=0.2, y=0.15)

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
scores = champion.score(to_histories(pd.read_csv("log.csv")))
scores.head()

# %%
os.chdir(home)
plt.show()
