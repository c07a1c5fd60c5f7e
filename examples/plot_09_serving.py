"""
09 Scoring over HTTP
====================

A model behind a server of its own process: one customer, a bad request, a whole file, the counts
for a monitor, and the end.
"""

import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from rfmrisk import to_histories
from rfmrisk.datasets import make_transactions
from rfmrisk.training import train

log = make_transactions(n_customers=800, random_state=0)
histories = to_histories(log)
model = train(histories, models=["scorecard"], search="random", n_iter=3, cv=2).model
folder = Path(tempfile.mkdtemp(prefix="rfmrisk-gallery-"))
model.save(folder)

# %%
# Start
# -----
# ``rfmrisk serve --model FOLDER --port 8000``, here on a free port.
with socket.socket() as found:
    found.bind(("127.0.0.1", 0))
    port = found.getsockname()[1]
command = [sys.executable, "-c", "from rfmrisk.cli import run; run()", "serve"]
server = subprocess.Popen(
    [*command, "--model", str(folder), "--port", str(port)],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
)
url = f"http://127.0.0.1:{port}"


def ask(path, body=None, kind="application/json", accept="*/*"):
    """Send a request and return the answer's text, that of an error too."""
    data = body.encode() if isinstance(body, str) else body
    headers = {"content-type": kind, "accept": accept}
    request = urllib.request.Request(url + path, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()


def show(answer):
    """Print JSON so that it can be read."""
    print(json.dumps(json.loads(answer), indent=2))


for _ in range(300):
    try:
        answer = ask("/ready")
        break
    except OSError:
        time.sleep(0.1)
print(answer)

# %%
# One customer
# ------------
# The body is a history: the same shape that the model was trained on, so the same code makes the
# features.
history = [
    {"time": "2019-03-02T08:15:00Z", "amount": 4200.0},
    {"time": "2019-04-11T18:40:00Z", "amount": 1500.0},
    {"time": "2019-04-12T09:05:00Z", "amount": -1500.0},
]
extras = dict.fromkeys(json.loads(ask("/model"))["transaction_fields"], "unknown")
customer = {
    "customer_id": "Ada",
    "as_of": "2019-05-14T00:00:00Z",
    "transactions": [{**transaction, **extras} for transaction in history],
}
show(ask("/predict", json.dumps({"customers": [customer]})))

# %%
# The answer to a bad request says what is wrong with it, where, and what is allowed.
customer["transactions"][1]["amount"] = "much"
show(ask("/predict", json.dumps({"customers": [customer]})))

# %%
# A whole log
# -----------
# A CSV or Parquet file in, scores out. They are those of the model in this process.
body = log.to_csv(index=False)
answer = json.loads(ask("/score-file", body, "text/csv", "application/json"))
served = pd.DataFrame(answer["customers"]).set_index("customer_id")
local = model.score(histories)
assert (served["score"] == local["score"].loc[served.index]).all()
print(f"{len(served):,} customers scored over HTTP, all as in Python")
figure, axis = plt.subplots(figsize=(7, 3.2), layout="constrained")
bins = np.arange(local["score"].min() - 5, local["score"].max() + 15, 10)
groups = [served.loc[served["is_high_risk"] == risky, "score"] for risky in (True, False)]
labels = [f"{name} ({len(of)})" for name, of in zip(("high-risk", "other"), groups, strict=True)]
axis.hist(groups, bins=bins, stacked=True, color=["#c8553d", "#2a7f9e"], label=labels)
axis.set(xlabel="score, higher is safer", ylabel="customers", title="Served scores")
axis.legend(frameon=False)

# %%
# Counts
# ------
# ``/metrics`` is read by Prometheus: requests, times, and the distribution of the scores that were
# given, which is where drift shows first.
print(*[line for line in ask("/metrics").splitlines() if not line.startswith("#")][:12], sep="\n")

# %%
# The end
# -------
# When it has to stop, the server answers what is in flight and goes.
server.send_signal(signal.SIGTERM)
server.wait(timeout=30)
print("ended" if server.poll() is not None else "still there")
plt.show()
