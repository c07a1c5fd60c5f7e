"""What several tests start from: a small sample bank, and the real logs where they are at hand."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, settings

from rfmrisk import read_transactions, to_histories
from rfmrisk.datasets import make_transactions

# A shared machine may take its time over an example.
settings.register_profile("thorough", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# A fifth of the examples, and others in each run.
settings.register_profile("quick", settings.get_profile("thorough"), max_examples=20)
# The same examples for every mutant, and none made smaller once one has failed.
settings.register_profile(
    "mutation",
    settings.get_profile("thorough"),
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
)
settings.load_profile("quick")


def examples(n: int) -> int:
    """Return how many of n examples a test takes: all in a thorough run, a share in a quick one."""
    return max(5, n * settings.default.max_examples // 100)


DATA = Path(__file__).parents[2] / "shared" / "data"

# File, and the columns that hold the customer, the time and the amount.
REAL_LOGS = {
    "completejourney": (
        "completejourney.parquet",
        "household_id",
        "transaction_timestamp",
        "sales_value",
    ),
    "online_retail": ("online_retail.parquet", "customer_id", "order_date", "revenue"),
    "cdnow": ("cdnow.csv", "customer_id", "date", "amount"),
}


@pytest.fixture(scope="session")
def log() -> pd.DataFrame:
    """Give the transactions of 80 customers of the sample bank."""
    return make_transactions(80, random_state=0)


@pytest.fixture(scope="session")
def histories(log: pd.DataFrame) -> pd.DataFrame:
    """Give the histories of these customers."""
    return to_histories(log)


@pytest.fixture(scope="session", params=list(REAL_LOGS))
def real_log(request: pytest.FixtureRequest) -> tuple[pd.DataFrame, dict[str, str]]:
    """Give a real log and its roles; skip where the data is not at hand."""
    name, customer, time, amount = REAL_LOGS[request.param]
    if not (DATA / name).exists():
        pytest.skip(f"the real logs are not at hand: no {name} in shared/data beside the project")
    roles = {"customer": customer, "time": time, "amount": amount}
    return read_transactions(DATA / name, **roles), roles


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Make a folder that all workers of the session share; the first that needs it makes it."""
    place = factory.getbasetemp()
    shared = (place.parent if "PYTEST_XDIST_WORKER" in os.environ else place) / name
    if not shared.exists():
        own = factory.mktemp(name) / name
        make(own)
        try:
            own.rename(shared)
        except OSError:  # another worker was faster, or Windows has a file of it open
            return own
    return shared


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a SQLite store without a run: to make its tables takes MLflow seconds."""
    from rfmrisk.training.store import quiet_mlflow

    def make(folder):
        folder.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            uri = f"sqlite:///{folder}/mlflow.db"
            quiet_mlflow().MlflowClient(uri).search_experiments()

    return made_once(tmp_path_factory, "empty-store", make) / "mlflow.db"


def binary(name):
    """Return a program of PostgreSQL, which Debian keeps off the path."""
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(places[-1]) if places else shutil.which(name)


@pytest.fixture(scope="session")
def postgresql():
    """Run a server of our own on a free port; give the address of its database."""
    if not binary("initdb") or not binary("pg_ctl"):
        pytest.skip("PostgreSQL is not installed")
    # The server refuses to run as the superuser.
    other = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="rfmrisk-pg"))
    folder.chmod(0o777)
    data = str(folder / "data")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(program, *arguments):
        subprocess.run(
            [*other, binary(program), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
        )

    run("initdb", "-D", data, "-U", "postgres", "--auth", "trust")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    run("pg_ctl", "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder)
