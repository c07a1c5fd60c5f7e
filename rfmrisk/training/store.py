"""MLflow's store: quiet, patient within reason, and plain about what it cannot do."""

import hashlib
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]


class TrackingError(RuntimeError):
    """The tracking server or store cannot be used."""


def quiet_mlflow() -> Any:
    """Import MLflow with its telemetry off and its patience short, unless the user chose."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # Seven attempts with doubling pauses would hold a finished training up for minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
    # Where a run can be seen belongs to no result.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    import mlflow

    # Its errors come to us as exceptions, and are told in one line.
    for name in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return mlflow


def check_store() -> None:
    """Refuse a store of files with plain advice.

    Raises
    ------
    ValueError
        ``MLFLOW_TRACKING_URI`` names a folder, and MLflow was not told to allow that.
    """
    mlflow = quiet_mlflow()
    uri = mlflow.get_tracking_uri()
    allowed = os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() in ("true", "1")
    is_files = uri.startswith("file:") or ("://" not in uri and not uri.startswith("databricks"))
    if is_files and not allowed:
        raise ValueError(
            f"MLflow no longer keeps runs in plain files; MLFLOW_TRACKING_URI is {uri!r}. Use "
            "MLFLOW_TRACKING_URI=sqlite:///mlflow.db, or the address of a server; to keep to "
            "files all the same, MLFLOW_ALLOW_FILE_STORE=true. mlflow migrate-filestore moves "
            "old runs"
        )


def store_uri() -> str:
    """Return where the store is, without the password."""
    uri = str(quiet_mlflow().get_tracking_uri())
    return re.sub(r"(?<=://)([^/@:]*):[^/@]*@", r"\1:***@", uri)


def reach_store() -> None:
    """Ask a database server once: MLflow itself would ask for minutes, and say nothing."""
    uri = quiet_mlflow().get_tracking_uri()
    if uri.partition("://")[0].partition("+")[0] not in ("postgresql", "mysql", "mssql"):
        return
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri)
    try:
        engine.connect().close()
    finally:
        engine.dispose()


@contextmanager
def alone_with_store() -> Iterator[None]:
    """Wait for other trainings of this machine that open the same SQLite store.

    Two that make the tables of a new database at once trip over each other.
    """
    uri = quiet_mlflow().get_tracking_uri()
    if fcntl is None or not uri.startswith("sqlite:"):
        yield
        return
    name = hashlib.sha256(f"{Path.cwd()} {uri}".encode()).hexdigest()[:16]
    with (Path(tempfile.gettempdir()) / f"rfmrisk-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def outside_failures() -> tuple[type[Exception], ...]:
    """Return what MLflow raises where its server, database or disk fails."""
    from sqlalchemy.exc import SQLAlchemyError

    return (quiet_mlflow().MlflowException, SQLAlchemyError, OSError)


# The store's own answers; all others say that it is out of reach or out of order.
_MISSING = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
REFUSED = ("PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED")


def out_of_reach(error: BaseException | None) -> bool:
    """Tell whether an error means that the store cannot be used, not that it lacks something."""
    local = isinstance(error, FileNotFoundError | PermissionError)
    if local or not isinstance(error, outside_failures()):
        return False
    return getattr(error, "error_code", None) not in (*_MISSING, *REFUSED)


def first_line(error: BaseException) -> str:
    """Return what an error says first, or its kind where it says nothing."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
