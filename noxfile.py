"""The project's sessions: `nox -l` lists them, `nox -s tests` installs all it needs and tests."""

import re
from collections.abc import Sequence
from pathlib import Path
from shutil import which

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "tests", "minimal"]

PYTHONS = ["3.11", "3.12", "3.13"]

# Two workers; one that has no test left takes those that wait for the other.
TWO = ["-n", "2", "--dist", "worksteal"]

# Two workers with as many threads each wait for one another more than they compute.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

# All examples of a property, where a quick run takes a fifth.
THOROUGH = ["--hypothesis-profile", "thorough"]


def run_tests(session: nox.Session, under: Sequence[str] = (), options: Sequence[str] = ()) -> None:
    """Test what is installed, on two processors; without MLflow's calls home."""
    # What is compiled is kept: many tests start an interpreter, which would compile it anew.
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONDONTWRITEBYTECODE": None}
    session.run(*under, "pytest", *TWO, *options, *session.posargs, env=quiet | ONE_THREAD)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests, slow ones left out, on the Python that runs nox."""
    session.install(".[train,serve,test]")
    run_tests(session, options=["-m", "not slow"])


@nox.session
def slow(session: nox.Session) -> None:
    """Run what takes long: servers that die, many requests, trainings, properties in full."""
    session.install(".[train,serve,test]")
    run_tests(session, options=["-m", "slow or hypothesis", *THOROUGH])


@nox.session(python=PYTHONS)
def matrix(session: nox.Session) -> None:
    """Run every test on each supported Python."""
    session.install(".[train,serve,test]")
    run_tests(session, options=THOROUGH)


@nox.session(python="3.11")
def oldest(session: nox.Session) -> None:
    """Run every test on the oldest Python with the oldest version of each dependency."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    extras = project["optional-dependencies"]
    bounds = [*project["dependencies"], *extras["train"], *extras["serve"], *extras["test"]]
    # The lower bound is the version; a constraint may not name extras.
    exact = [re.sub(r"\[.*?\]", "", bound).replace(">=", "==") for bound in bounds]
    constraints = Path(session.create_tmp(), "oldest.txt")
    constraints.write_text("\n".join(exact), encoding="utf-8")
    session.install(".[train,serve,test]", "--constraint", str(constraints))
    # Old packages may warn of what is newer below them.
    run_tests(session, options=["-W", "ignore::DeprecationWarning", *THOROUGH])


@nox.session
def minimal(session: nox.Session) -> None:
    """Test the core without any of the extras installed."""
    session.install(".[test]")
    # The examples of these draw, track or serve.
    extras = ["plotting.py", "proxy/display.py", "serving", "training"]
    ignored = [f"--ignore=rfmrisk/{path}" for path in extras]
    session.run("pytest", *TWO, "-m", "not slow", *ignored, *session.posargs, env=ONE_THREAD)


@nox.session
def spark(session: nox.Session) -> None:
    """Test on a real Spark in this machine, which needs Java."""
    session.install(".[spark,test]", "xgboost-cpu>=3.0; sys_platform == 'linux'")
    session.run("pytest", "tests/test_spark.py", "rfmrisk/spark.py", *session.posargs)


@nox.session
def postgresql(session: nox.Session) -> None:
    """Test SQL and the store of runs on a real PostgreSQL server, which Debian's package brings."""
    if not [*Path("/usr/lib/postgresql").glob("*/bin/initdb"), *filter(None, [which("initdb")])]:
        session.error("PostgreSQL is not installed: apt-get install postgresql")
    session.install(".[train,test]")
    files = ["tests/scorecard", "tests/training/test_postgresql.py"]
    session.run("pytest", "-k", "postgresql", *files, *session.posargs, env=ONE_THREAD)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, formatting, and who imports whom."""
    session.install("ruff>=0.14", "import-linter>=2.16")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-cache", "--no-logo")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the package."""
    session.install(".[train,serve]", "mypy>=1.18", "pandas-stubs", "scipy-stubs")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, with warnings as errors."""
    session.install(".[train,serve,docs]")
    session.run("sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "docs/_build")


@nox.session
def package(session: nox.Session) -> None:
    """Build the wheel and the source archive, check them, and run the installed wheel."""
    session.install("build>=1.2", "twine>=6.1")
    session.run("python", "-m", "build", "--outdir", "dist", *session.posargs)
    wheel, archive = (max(Path("dist").glob(ending)) for ending in ("*.whl", "*.tar.gz"))
    session.run("twine", "check", "--strict", str(wheel), str(archive))
    session.install(f"{wheel}[train,serve]")
    with session.chdir(session.create_tmp()):
        session.run("rfmrisk", "--version")
        session.run("python", "-c", "import rfmrisk.serving, rfmrisk.training")


@nox.session
def coverage(session: nox.Session) -> None:
    """Measure which branches the tests take, and fail under the share in pyproject.toml."""
    session.install(".[train,serve,test]", "coverage>=7.10")
    session.run("coverage", "erase")
    run_tests(session, under=["coverage", "run", "-m"], options=THOROUGH)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session
def mutation(session: nox.Session) -> None:
    """Change the code that computes numbers, a place at a time, and list what no test notices."""
    session.install(".[test]", "mutmut>=3.8")
    session.run("mutmut", "run", "--max-children", "2", *session.posargs)
    session.run("mutmut", "results")


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Run the benchmarks; name one to run it alone: nox -s benchmarks -- door."""
    session.install(".[train,serve,benchmarks,test]")
    session.run("python", "-m", "benchmarks", *session.posargs)
