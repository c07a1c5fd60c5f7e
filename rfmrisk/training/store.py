"""MLflow's store: quiet, patient within reason, and plain about what it cannot do."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rfmrisk.scoring.passwords import without_passwords

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

    # Its errors come to us as exceptions, and are shown in one line.
    for name in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return mlflow


def check_store() -> None:
    """Refuse a store of files with plain advice.

    Raises
    ------
    ValueError
        ``MLFLOW_TRACKING_URI`` names a folder, and MLflow was not set to allow that.
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
    return without_passwords(str(quiet_mlflow().get_tracking_uri()))


def reach_store() -> None:
    """Ask a database once: MLflow itself would ask for minutes, and say nothing."""
    uri = quiet_mlflow().get_tracking_uri()
    dialect = uri.partition("://")[0].partition("+")[0]
    if dialect not in ("postgresql", "mysql", "mssql", "sqlite"):
        return
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri)
    try:
        with engine.connect() as connection:
            if dialect == "sqlite":  # which only looks at its file when it is asked something
                connection.exec_driver_sql("PRAGMA schema_version")
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
    # The folder of the database itself: a file of a name that others can guess could be a link.
    lock = os.open(Path(uri.partition(":///")[2] or ".").absolute().parent, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def outside_failures() -> tuple[type[Exception], ...]:
    """Return what MLflow raises where its server, database or disk fails."""
    from sqlalchemy.exc import SQLAlchemyError

    return (quiet_mlflow().MlflowException, SQLAlchemyError, OSError)


# The store's own answers; all others say that it is out of reach or out of order.
_MISSING = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
REFUSED = ("PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED")


def out_of_reach(error: BaseException | None) -> bool:
    """Return whether an error means that the store cannot be used, not that it lacks something."""
    local = isinstance(error, FileNotFoundError | PermissionError)
    if local or not isinstance(error, outside_failures()):
        return False
    return getattr(error, "error_code", None) not in (*_MISSING, *REFUSED)


def first_line(error: BaseException) -> str:
    """Return what an error says first, without passwords, or its kind where it says nothing."""
    text = next(iter(str(error).splitlines()), "") or type(error).__name__
    return without_passwords(text)
