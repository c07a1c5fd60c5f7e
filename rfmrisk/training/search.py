"""From histories to a tuned and evaluated model: target, split, search, held-out metrics."""

import datetime as dt
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import sklearn
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from rfmrisk.aggregation import customer_features
from rfmrisk.proxy.target import (
    N_CUTOFFS,
    OUTCOMES,
    OutcomeWindow,
    ProxyTarget,
    derive_target,
)
from rfmrisk.proxy.updating import outcomes_of
from rfmrisk.scorecard import gains_table
from rfmrisk.scoring.features import check_names
from rfmrisk.scoring.metadata import LabelWindow, ModelMetadata
from rfmrisk.scoring.model import ScoringModel, score_quantiles, typical_values
from rfmrisk.scoring.probability import bounded_score
from rfmrisk.training.candidates import (
    FeatureTables,
    Search,
    candidates_table,
    feature_settings,
    feature_tables,
    fit_search,
    make_searcher,
    plain,
    search_space,
    show_progress,
)
from rfmrisk.training.catalogue import CATALOGUE, CatalogueModel
from rfmrisk.training.judging import (
    RECENCY,
    by_history,
    calibrated,
    choose_threshold,
    cutoffs_of,
    held_out_metrics,
    with_points,
)
from rfmrisk.training.split import (
    Task,
    check_features,
    check_histories,
    check_parameters,
    check_target,
    describe,
    package_versions,
)

if TYPE_CHECKING:
    from rfmrisk.training.tracking import Tracker


@dataclass
class TrainingResult:
    """What a training leaves: the best model, how it was found, and how good it is.

    Attributes
    ----------
    model : ScoringModel
        The best pipeline from histories to a probability, fitted on the training customers,
        with all that scoring needs beside it.
    metrics : DataFrame
        One row per model on the held-out customers, best first, and last the one-column
        baseline: recency alone.
    segments : DataFrame
        The best model on held-out customers by the length of their history: with none, a thin
        one of one or two transactions, or a longer one.
    gains : DataFrame
        The best model's score on the held-out samples by tenth, as `gains_table` lays it out.
    cutoffs : DataFrame
        What each cut-off of that score would accept, as `cutoff_table` lays it out, that of the
        threshold (``is_threshold``) among them; with a cost of missed bads also the profit, in
        units of what a good earns.
    candidates : DataFrame
        Every candidate of every search with its cross-validated score.
    customers : DataFrame
        Index ``customer``; ``as_of``, ``target``, ``part`` (train or test) and the probability
        by each model. Of several outcome windows it has one row per customer: the latest
        ``as_of``, in ``target`` the share of its windows in which it was in the least engaged
        cluster, ``n_windows`` and ``n_high_risk`` behind that share, and mean probabilities.
    samples : DataFrame
        What was learned and judged: one row per customer and outcome ``window``, with the same
        columns, where ``target`` is 0 or 1. The same as ``customers`` for a single window.
    features : DataFrame
        The customer feature table, in the order of ``samples``.
    histories : DataFrame
        Those that were trained on.
    past : DataFrame
        What the features were computed from, in the order of ``samples``: the histories as
        known before the outcome window.
    target : ProxyTarget or None
        How the target was derived; None where it was given.
    fitted : dict of str to Pipeline
        The best estimator of each model, over the feature table; before any calibration, but
        for a scorecard that a sigmoid calibrates, whose points are issued again.
    run_id : str or None
        The MLflow run, where it was tracked.

    See Also
    --------
    rfmrisk.training.save_run : Write all of it, with a report and a model card, into a folder.
    """

    model: ScoringModel
    metrics: pd.DataFrame
    segments: pd.DataFrame
    gains: pd.DataFrame
    cutoffs: pd.DataFrame
    candidates: pd.DataFrame
    customers: pd.DataFrame
    samples: pd.DataFrame
    features: pd.DataFrame
    histories: pd.DataFrame
    past: pd.DataFrame
    target: ProxyTarget | None
    fitted: dict[str, Pipeline] = field(default_factory=dict, repr=False)
    run_id: str | None = None

    def __repr__(self) -> str:
        auc = self.metrics["roc_auc"]
        return (
            f"TrainingResult(best={self.model.metadata.model!r}, "
            f"held-out ROC-AUC {auc.iloc[0]:.3f}, recency alone {auc[RECENCY]:.3f}, "
            f"customers {len(self.customers):,}, high-risk {self.customers['target'].mean():.1%})"
        )


def train(
    histories: pd.DataFrame,
    y: Any = None,
    *,
    outcome: str | dt.timedelta | Sequence[str | dt.timedelta] | None = OUTCOMES,
    n_cutoffs: int = N_CUTOFFS,
    models: Sequence[str] | Mapping[str, CatalogueModel] = ("scorecard", "xgboost"),
    search: Literal["grid", "random"] = "grid",
    n_iter: int = 20,
    cv: int = 5,
    scoring: str = "roc_auc",
    features: Any = None,
    labeler: Any = None,
    monetary: Literal["gross", "net"] = "gross",
    class_weight: Literal["balanced"] | None = None,
    calibrate: Literal["sigmoid", "isotonic"] | None = None,
    missed_bad_cost: float | None = None,
    test_size: float = 0.2,
    random_state: int = 42,
    n_jobs: int | None = None,
    tracker: "Tracker | None" = None,
    progress: bool = False,
) -> TrainingResult:
    """Tune models on some customers and judge them on others.

    Each search is over the whole pipeline from histories, the parameters of the features among
    the others. The features are computed once under each of their settings, not once for each
    candidate: those of a customer depend on that customer's history alone, so the result is the
    pipeline that a search from histories finds.

    Parameters
    ----------
    histories : DataFrame of shape (n_customers, 2)
        As made by `to_histories`. With ``y``, as known at the decisions that ``y`` judges.
    y : array-like of shape (n_customers,) or None, default=None
        1 is bad, 0 good, NaN not known yet: such rows are left out and counted. None derives the
        proxy target from the outcome window. It is taken by position;
        a Series must have the index of the histories or a plain range, whatever its types.
    outcome : str, timedelta, "auto", None or sequence of durations, default=("30D", "60D", "90D")
        Length of the outcome window, or several, whose samples are stacked; see
        `ProxyTargetClassifier`. None labels by the RFM of the very histories that the features
        see, which measures how well a model learns the definition of its label, and is there for
        comparison only.
    n_cutoffs : int, default=3
        The most cut-offs of each length; see `ProxyTargetClassifier`.
    models : sequence of str or dict of str to CatalogueModel, default=("scorecard", "xgboost")
        Names in `rfmrisk.training.CATALOGUE`, or models with search spaces of your own.
    search : {"grid", "random"}, default="grid"
        GridSearchCV or RandomizedSearchCV.
    n_iter : int, default=20
        Candidates per model of a random search.
    cv : int, default=5
        Number of stratified folds; a customer who appears more than once stays in one.
    scoring : str, default="roc_auc"
        The score that chooses among candidates and models, as named by scikit-learn: one of
        those for two classes, such as ``"average_precision"`` or ``"neg_log_loss"``.
    features : transformer or None, default=None
        From histories to the feature table; None is `customer_features()`. Parameters in a
        search space that it does not have are left out.
    labeler : estimator or None, default=None
        See `ProxyTargetClassifier`.
    monetary : {"gross", "net"}, default="gross"
        Of the RFM that a labeler gets; that of the features is theirs.
    class_weight : {"balanced"} or None, default=None
        Whether goods and bads weigh the same in all. Probabilities are then those of a bank
        with as many bads as goods, unless they are calibrated.
    calibrate : {"sigmoid", "isotonic"} or None, default=None
        Put a calibration behind each model, fitted on out-of-fold answers
        (`sklearn.calibration.CalibratedClassifierCV`). With "sigmoid" the points of a scorecard are
        issued again, so that they add up to its score; with "isotonic" no points can.
    missed_bad_cost : float or None, default=None
        What a missed bad costs, where a refused good costs 1. The threshold is that of the
        least cost on out-of-fold probabilities of the training customers
        (`sklearn.model_selection.TunedThresholdClassifierCV`); None takes the one where KS is
        reached.
    test_size : float, default=0.2
        Share of customers held out.
    random_state : int, default=42
        Seeds the split, the folds, the random search and the models.
    n_jobs : int or None, default=None
        Processes of the search; the result does not depend on it.
    tracker : Tracker or None, default=None
        Where to track: one MLflow run for the training, in it one for each search and, by
        ``mlflow.sklearn.autolog``, one for each candidate.
    progress : bool, default=False
        Show the progress of each search (scikit-learn's ProgressBar).

    Returns
    -------
    TrainingResult

    Raises
    ------
    ValueError
        A parameter is unknown, there are too few customers, all amounts are zero, the target
        has fewer cases of one class than folds, or every candidate of every model failed.

    Warns
    -----
    UserWarning
        Some candidates failed and are left out, or no threshold could be searched.

    Examples
    --------
    >>> from rfmrisk import to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> from rfmrisk.training import train
    >>> histories = to_histories(make_transactions(n_customers=300, random_state=0))
    >>> train(histories, models=["decision_tree"], cv=3)
    TrainingResult(best='decision_tree', held-out ROC-AUC ..., recency alone ..., ...)
    """
    check_parameters(
        models=models,
        search=search,
        n_iter=n_iter,
        cv=cv,
        scoring=scoring,
        class_weight=class_weight,
        calibrate=calibrate,
        missed_bad_cost=missed_bad_cost,
        test_size=test_size,
        random_state=random_state,
        n_jobs=n_jobs,
    )
    features = customer_features() if features is None else features
    check_features(features)
    check_histories(histories)
    check_names(histories)
    target, n_unknown = None, 0
    past = histories
    if y is None:
        target = derive_target(
            histories, outcome=outcome, n_cutoffs=n_cutoffs, labeler=labeler, monetary=monetary
        )
        past, y = target.past, target.y
    else:
        outcomes = outcomes_of(y, histories.index)
        known = ~np.isnan(outcomes)
        n_unknown = int((~known).sum())
        histories = past = histories[known] if n_unknown else histories
        y = outcomes[known]
    samples = target.samples if target is not None and len(target.windows) > 1 else None
    y = check_target(y, past.index if samples is None else past.index[samples], cv)
    chosen = dict(models) if isinstance(models, Mapping) else {m: CATALOGUE[m] for m in models}
    asked = {
        "target": "given" if target is None else "proxy",
        "outcome": plain(outcome) if target else None,
        "n_cutoffs": n_cutoffs if target else None,
        "labeler": _whole_text(target.labeler) if target else None,
        "features": _whole_text(features),
        "models": list(chosen),
        "search": search,
        "n_iter": n_iter if search == "random" else None,
        "cv": cv,
        "scoring": scoring,
        "class_weight": class_weight,
        "calibrate": calibrate,
        "missed_bad_cost": missed_bad_cost,
        "test_size": test_size,
        "random_state": random_state,
    }
    task = Task.divided(past, y, samples, cv=cv, test_size=test_size, random_state=random_state)

    with tracker.run(asked) if tracker else nullcontext() as run_id:
        searches, failures = _search(
            chosen, features, task, asked, n_jobs=n_jobs, tracker=tracker, progress=progress
        )
    final = {
        found.name: calibrated(found.estimator, task.of(found.table), task, calibrate, n_jobs)
        for found in searches
    }
    best = searches[0]
    threshold = choose_threshold(
        final[best.name],
        task.of(best.table),
        task,
        missed_bad_cost=missed_bad_cost,
        n_jobs=n_jobs,
    )
    final = {
        found.name: with_points(final[found.name], task.of(found.table), task.y_train)
        for found in searches
    }
    probabilities = {
        found.name: final[found.name].predict_proba(found.table)[:, 1] for found in searches
    }
    metrics = held_out_metrics(probabilities, task, threshold=threshold, random_state=random_state)
    candidates = candidates_table(searches)
    extractor = clone(features).set_params(**best.setting).fit(task.histories_of_train)
    answering = final[best.name]
    steps = answering.steps if isinstance(answering, Pipeline) else [("calibrated", answering)]
    pipeline = Pipeline([("features", extractor), *steps])
    metadata = ModelMetadata(
        model=best.name,
        title=chosen[best.name].title,
        parameters=candidates["parameters"].iloc[0],
        asked=asked,
        failed=failures,
        windows=plain(extractor.get_params().get("spend__windows")),
        threshold=threshold,
        high_risk_share=float(np.mean(y)),
        n_train=task.customers[task.train_rows].nunique(),
        n_test=task.customers[task.test_rows].nunique(),
        n_unknown=n_unknown,
        n_samples=len(y),
        windows_of_label=[] if target is None else [_described(w) for w in target.windows],
        left_out_of_label=[] if target is None else target.left_out,
        data=describe(past),
        features=list(map(str, best.table.columns)),
        typical=typical_values(task.of(best.table)),
        versions=package_versions(pipeline),
        trained_at=f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M:%S} UTC",
        git_commit=tracker.git_commit if tracker else None,
        tracking=tracker.tracked if tracker else None,
    )
    # Later scores are compared with those of customers that the model has not seen either.
    held_out_scores = bounded_score(probabilities[best.name][task.test_rows], **metadata.scale)
    metadata = replace(metadata, scores=score_quantiles(held_out_scores))
    told = _samples(task, target, probabilities)
    return TrainingResult(
        model=ScoringModel(pipeline, metadata),
        metrics=metrics.loc[[best.name, *(name for name in metrics.index if name != best.name)]],
        segments=by_history(probabilities[best.name], task),
        gains=gains_table(task.y[task.test_rows], held_out_scores),
        cutoffs=cutoffs_of(
            task.y[task.test_rows],
            held_out_scores,
            float(bounded_score(np.array(threshold), **metadata.scale)),
            missed_bad_cost,
        ),
        candidates=candidates,
        customers=told if samples is None else _per_customer(told),
        samples=told,
        features=best.table,
        histories=histories,
        past=past if samples is None else past.iloc[samples],
        target=target,
        fitted={
            found.name: final[found.name]
            if isinstance(final[found.name], Pipeline)
            else found.estimator
            for found in searches
        },
        run_id=run_id,
    )


def _described(window: OutcomeWindow) -> LabelWindow:
    """Return what a reader wants to know of an outcome window."""
    return LabelWindow(
        window=window.name,
        customers=window.n_customers,
        high_risk_share=window.high_risk_share,
        absent_share=window.absent_share,
        rule=window.rule.text if window.rule else None,
    )


def _samples(
    task: Task, target: ProxyTarget | None, probabilities: dict[str, np.ndarray]
) -> pd.DataFrame:
    """Return one row per sample: when, over which window, its label, its part, the answers."""
    part = np.full(len(task.y), "train", dtype=object)
    part[task.test_rows] = "test"
    as_of = task.sampled(task.histories[["as_of"]])["as_of"]
    told = {"as_of": as_of.to_numpy(), "target": task.y, "part": part}
    if target is not None and len(target.windows) > 1:
        names = [window.name for window in target.windows]
        told["window"] = np.repeat(names, [window.n_customers for window in target.windows])
    answers = {f"probability_{name}": p for name, p in probabilities.items()}
    return pd.DataFrame(told | answers, index=task.customers)


def _per_customer(samples: pd.DataFrame) -> pd.DataFrame:
    """Return one row per customer: the share of its windows in which it is high-risk, and means."""
    groups = samples.groupby(level=0, sort=True)
    told = groups.agg({"as_of": "max", "target": "mean", "part": "first"})
    told["n_windows"], told["n_high_risk"] = groups["target"].size(), groups["target"].sum()
    answers = [name for name in samples if str(name).startswith("probability_")]
    return told.join(groups[answers].mean())


def _search(
    chosen: Mapping[str, CatalogueModel],
    features: Any,
    task: Task,
    asked: dict[str, Any],
    *,
    n_jobs: int | None,
    tracker: "Tracker | None",
    progress: bool,
) -> tuple[list[Search], list[str]]:
    """Search each model; return the searches, best first, and what failed in whole."""
    options = {"scoring": asked["scoring"], "cv": task.folds, "n_jobs": n_jobs}
    searches: list[Search] = []
    failures: list[str] = []
    known: dict[str, pd.DataFrame] = {}
    for name, model in chosen.items():
        space = search_space(model, asked["search"], features)
        settings = feature_settings(space)
        tables = feature_tables(features, settings, task, known)
        searcher = make_searcher(
            model,
            FeatureTables(features, settings),
            space,
            asked["search"],
            task.y_train,
            class_weight=asked["class_weight"],
            n_iter=asked["n_iter"],
            random_state=asked["random_state"],
            options=options,
        )
        if progress:
            show_progress(searcher)
        with tracker.watch(name) if tracker else nullcontext():
            failed = fit_search(searcher, name, task.of(tables), task.y_train)
        if failed:
            failures.append(failed)
        else:
            searches.append(Search(name, features, tables, searcher))
    _tell(failures, left=len(searches))
    return sorted(searches, key=lambda found: -found.searcher.best_score_), failures


def _whole_text(estimator: Any) -> str:
    """Return an estimator with all of its parameters, those of their default included."""
    steps = (
        [step for _, step in estimator.steps] if isinstance(estimator, Pipeline) else [estimator]
    )
    with sklearn.config_context(print_changed_only=False):
        return ", then ".join(" ".join(repr(step).split()) for step in steps)


def _tell(failures: list[str], left: int) -> None:
    """Warn of the models whose candidates all failed; raise where no model is left."""
    if not left:
        raise ValueError(f"all candidates of all models failed. {'; '.join(failures)}")
    for failure in failures:
        warnings.warn(failure, stacklevel=3)
