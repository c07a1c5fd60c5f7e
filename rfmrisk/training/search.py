"""From histories to a tuned and evaluated model: target, split, search, held-out metrics."""

import datetime as dt
import json
import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields, replace
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np
import pandas as pd
import sklearn
import skops.io
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from rfmrisk.aggregation import ApplicationColumns
from rfmrisk.histories.integers import is_integer
from rfmrisk.histories.matching import outcomes_of
from rfmrisk.histories.plain_table import table_histories
from rfmrisk.persistence import refusal, untrusted_types
from rfmrisk.proxy.leakage import telltale_columns
from rfmrisk.proxy.target import OutcomeWindow, ProxyTarget, derive_target, without_history
from rfmrisk.proxy.worth import OutcomeCurve
from rfmrisk.scorecard import gains_table
from rfmrisk.scoring.features import check_names
from rfmrisk.scoring.metadata import LabelWindow, ModelMetadata, TrackedRun
from rfmrisk.scoring.model import ScoringModel, features_of, score_quantiles, typical_values
from rfmrisk.scoring.probability import bounded_score
from rfmrisk.scoring.scorer import check_servable
from rfmrisk.training.candidates import (
    FeatureTables,
    FoldMemory,
    Search,
    candidates_table,
    choose,
    feature_settings,
    feature_tables,
    fit_search,
    make_searcher,
    plain,
    search_space,
    show_progress,
)
from rfmrisk.training.few_outcomes import UPDATED, is_wanted, update_proxy
from rfmrisk.training.figures import (
    FeatureFigures,
    LabelFigures,
    classing_of,
    drift,
    examples,
    feature_figures,
    label_figures,
    lost_of,
    points_of,
)
from rfmrisk.training.folds import folds_of
from rfmrisk.training.grading import find_grades, grades_table, scale_of
from rfmrisk.training.judging import (
    BASELINES,
    baselines,
    by_history,
    calibrated,
    choose_threshold,
    cutoffs_of,
    held_out_metrics,
    with_points,
)
from rfmrisk.training.out_of_time import last_and_earlier, out_of_time
from rfmrisk.training.split import Task, check_histories, check_target, describe, package_versions
from rfmrisk.training.training_options import TrainingOptions
from rfmrisk.training.weights import relative_weights, without_weights
from rfmrisk.woe import read_classing


class Tracking(Protocol):
    """What a training asks of its tracker; see `rfmrisk.training.Tracker`."""

    tracked: TrackedRun | None

    @property
    def git_commit(self) -> str | None:
        """The commit of the code that runs."""

    def run(self, params: dict[str, Any]) -> AbstractContextManager[str | None]:
        """Open a run."""

    def watch(self, name: str) -> AbstractContextManager[None]:
        """Log the search that runs inside."""


@dataclass
class TrainingResult:
    """What a training leaves: the best model, how it was found, and every figure of its report.

    Attributes
    ----------
    model : ScoringModel
        The chosen pipeline from histories to a probability, fitted on the training customers,
        with all that scoring needs beside it.
    metrics : DataFrame
        One row per model on the held-out customers, the chosen one first, and last the baselines,
        where there are histories: the plain rank of RFM and recency alone.
    out_of_time : DataFrame or None
        Where decisions are of several times: how the chosen model does on customers held out, in
        time, and both; see `rfmrisk.training.out_of_time`.
    segments : DataFrame or None
        The chosen model on held-out customers by the length of their history: with none, a thin
        one of one or two transactions, or a longer one. None for a plain table.
    gains : DataFrame
        The best model's score on the held-out samples by tenth, as `gains_table` lays it out.
    cutoffs : DataFrame
        What each cut-off of that score would accept, as `cutoff_table` lays it out, that of the
        threshold (``is_threshold``) among them; with a cost of missed bads also the profit, in
        units of what a good earns.
    grades : DataFrame or None
        The grades of the held-out samples, as `Grades.table` lays them out: expected and observed
        rates, with a test of each; None where none were asked for.
    candidates : DataFrame
        Every candidate of every search with its cross-validated score, and whether it was chosen
        among those of its model.
    customers : DataFrame
        Index ``customer``; ``as_of``, ``target``, ``part`` (train or test) and the probability
        by each model. Of several outcome windows it has one row per customer: the latest
        ``as_of``, in ``target`` the share of its windows in which it was in the least engaged
        cluster, ``n_windows`` and ``n_high_risk`` behind that share, and mean probabilities.
    samples : DataFrame
        What was learned and judged: one row per customer and outcome ``window``, with the same
        columns, where ``target`` is 0 or 1, and ``is_last`` where the decision is among the last;
        ``weight`` where rows have weights, in units of the mean.
    features : DataFrame
        The customer feature table, in the order of ``samples``.
    histories : DataFrame
        Those that were trained on.
    task : Task
        What was learned from whom: the histories behind `past`, once each.
    target : ProxyTarget or None
        How the target was derived; None where it was given.
    label : LabelFigures or None
        What the proxy label is, whether it holds, and whether it leaks.
    by_feature : FeatureFigures
        What each feature says alone.
    drift : DataFrame
        Population stability of score and features: of the held-out customers, the last decisions
        against those before, where there is an ``out_of_time``; otherwise held-out customers
        against those of the training.
    examples : DataFrame
        Scores and reasons of three held-out customers.
    classing : dict or None
        The bins of the scorecard, as ``WOEEncoder(classing=...)`` takes them, with who decided
        what where it was by hand; None without a scorecard.
    points : DataFrame or None
        Of the scorecard, where one was trained.
    lost : DataFrame or None
        The features that have one bin in the scorecard, and so no points: the ``finding`` why, and
        ``is_strong`` where smaller bins would keep one; None without a scorecard.
    curve : OutcomeCurve or None
        What the proxy is worth in outcomes, where outcomes update one.
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
    out_of_time: pd.DataFrame | None
    segments: pd.DataFrame | None
    gains: pd.DataFrame
    cutoffs: pd.DataFrame
    grades: pd.DataFrame | None
    candidates: pd.DataFrame
    customers: pd.DataFrame
    samples: pd.DataFrame
    features: pd.DataFrame
    histories: pd.DataFrame
    task: Task = field(repr=False)
    target: ProxyTarget | None
    label: LabelFigures | None
    by_feature: FeatureFigures
    drift: pd.DataFrame
    examples: pd.DataFrame
    points: pd.DataFrame | None
    classing: dict[str, dict[str, Any]] | None
    lost: pd.DataFrame | None
    curve: OutcomeCurve | None
    fitted: dict[str, Pipeline] = field(default_factory=dict, repr=False)
    run_id: str | None = None

    @property
    def past(self) -> pd.DataFrame:
        """What the features were computed from: the histories as known before the outcome window.

        In the order of ``samples``; made anew each time, as it may be large.
        """
        return self.task.sampled(self.task.histories)

    @property
    def held_out(self) -> pd.DataFrame:
        """The rows of `past` that were held out."""
        return self.task.histories_of(self.task.test_rows)

    def __repr__(self) -> str:
        auc = self.metrics["roc_auc"]
        beside = "".join(
            f", {name.replace('_', ' ')} {auc[name]:.3f}" for name in BASELINES if name in auc
        )
        metadata = self.model.metadata
        return (
            f"TrainingResult(best={metadata.model!r}, held-out ROC-AUC {auc.iloc[0]:.3f}{beside}, "
            f"customers {metadata.data.customers:,}, "
            f"{metadata.word_of_bad} {self.customers['target'].mean():.1%})"
        )


def train(
    histories: pd.DataFrame,
    y: Any = None,
    *,
    options: TrainingOptions | None = None,
    sample_weight: Any = None,
    tracker: Tracking | None = None,
    progress: bool = False,
    **changes: Any,
) -> TrainingResult:
    """Tune models on some customers and judge them on others.

    Each search is over the whole pipeline from histories, the parameters of the features among
    the others. The features are computed once under each of their settings, not once for each
    candidate: those of a customer depend on that customer's history alone, so the result is the
    pipeline that a search from histories finds.

    Parameters
    ----------
    histories : DataFrame of shape (n_customers, 2 or more)
        As made by `to_histories`. With ``y``, as known at the decisions that ``y`` judges.
    y : array-like of shape (n_customers,) or None, default=None
        1 is bad, 0 good, NaN not known yet: such rows are left out and counted. None derives the
        proxy target from the outcome window. It is taken by position;
        a Series must have the index of the histories or a plain range, whatever its types.
    options : TrainingOptions or None, default=None
        What is asked for; None is the defaults.
    sample_weight : array-like of shape (n_customers,) or None, default=None
        What each row counts, above 0, in any unit: in the search and its scores, the fits, the
        threshold and the figures on held-out customers. The split is stratified without; the
        table of grades and the drift count customers. Only with ``y``, and no proxy is updated.
    tracker : Tracker or None, default=None
        Where to track: one MLflow run for the training, in it one for each search and, by
        ``mlflow.sklearn.autolog``, one for each candidate.
    progress : bool, default=False
        Show the progress of each search (scikit-learn's ProgressBar).
    **changes
        Fields of `TrainingOptions`, such as ``models=["scorecard"]`` or ``cv=3``.

    Returns
    -------
    TrainingResult

    Raises
    ------
    TypeError
        An option is unknown.
    ValueError
        An option is not allowed, a model could not be scored or its types not be kept, there are
        too few customers, all amounts are zero, the target has fewer cases of one class than
        folds, every candidate of every model failed, or there are weights for a proxy target.

    Warns
    -----
    UserWarning
        A column of the decisions is the target, or alone ranks it at an AUC of 0.98; it is named.
        Some candidates failed and are left out, or no threshold could be searched.

    Examples
    --------
    >>> from rfmrisk import to_histories
    >>> from rfmrisk.datasets import make_transactions
    >>> from rfmrisk.training import train
    >>> histories = to_histories(make_transactions(n_customers=300, random_state=0))
    >>> train(histories, models=["decision_tree"], cv=3)
    TrainingResult(best='decision_tree', held-out ROC-AUC ..., rfm rank ..., recency alone ..., ...)
    """
    options = replace(options or TrainingOptions(), **changes)
    if sample_weight is not None and y is None:
        raise ValueError(
            "sample_weight needs outcomes, y: a proxy target has samples of its own, of several "
            "windows, which have no weights"
        )
    histories, options = _of_table(histories, y, options)
    _check_models(options, kept=tracker is not None)
    question = _Question.of(histories, y, sample_weight, options)
    task, target = question.task, question.target
    leakage = _leakage(task.histories, task.y) if target is None else {}
    asked = _asked(options, target)
    with tracker.run(asked) if tracker else nullcontext() as run_id:
        searches, failures = _search(options, task, tracker=tracker, progress=progress)
    best = searches[0]
    extractor = clone(options.transformer).set_params(**best.setting)
    updating = None
    if question.updates:
        unfitted = Pipeline([("features", extractor), *best.estimator.steps])
        updating = update_proxy(histories, task, unfitted, options)
    final = {
        found.name: calibrated(
            found.estimator, task.of(found.table), task, options.calibrate, options.n_jobs
        )
        for found in searches
    }
    judged, rows = (
        (updating.unfitted, task.histories) if updating else (final[best.name], best.table)
    )
    threshold = choose_threshold(
        judged,
        task.of(rows),
        task,
        missed_bad_cost=options.missed_bad_cost,
        n_jobs=options.n_jobs,
    )
    final = {
        found.name: without_weights(with_points(final[found.name], task.of(found.table), task))
        for found in searches
    }
    probabilities = {
        found.name: final[found.name].predict_proba(found.table)[:, 1] for found in searches
    }
    if updating:
        probabilities |= updating.probabilities(task.histories)
    chosen = UPDATED if updating else best.name
    to_beat = baselines(task, options.monetary)
    metrics = held_out_metrics(
        probabilities, to_beat, task, threshold=threshold, random_state=options.random_state
    )
    last, earlier = last_and_earlier(task, target, options.test_size)
    in_time = out_of_time(
        updating.unfitted if updating else best.estimator,
        rows,
        probabilities[chosen],
        task,
        plain=to_beat,
        last=last,
        earlier=earlier,
        random_state=options.random_state,
    )
    extractor.fit(task.histories_of_train)
    pipeline = updating.model if updating else _behind(extractor, final[best.name])
    label = None if target is None else label_figures(target, question.histories, pipeline)
    by_feature = feature_figures(best.table, task)
    looked_at = features_of(pipeline, task.of(task.histories)) if updating else task.of(best.table)
    metadata = ModelMetadata(
        model=chosen,
        title=options.catalogue[best.name].title
        + (", updating a proxy by outcomes" if updating else ""),
        parameters=json.dumps(best.parameters, default=plain),
        asked=asked,
        failed=failures,
        windows=plain(extractor.get_params().get("spend__windows")),
        threshold=threshold,
        high_risk_share=float(np.mean(task.y)),
        n_train=task.customers[task.train_rows].nunique(),
        n_test=task.customers[task.test_rows].nunique(),
        n_unknown=question.n_unknown,
        n_samples=len(task.y),
        weighted=task.weight is not None,
        windows_of_label=[] if target is None else [_described(w) for w in target.windows],
        left_out_of_label=[] if target is None else target.left_out,
        drift_in_time=in_time is not None,
        outcome_curve=updating.curve.verdict if updating and updating.curve else None,
        separating=by_feature.separating,
        data=describe(task.histories, histories.attrs.get("left_out", ())),
        features=list(map(str, looked_at.columns)),
        typical=typical_values(looked_at),
        versions=package_versions(pipeline),
        trained_at=f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M:%S} UTC",
        git_commit=tracker.git_commit if tracker else None,
        tracking=tracker.tracked if tracker else None,
        roles=dict(histories.attrs.get("roles", {})),
        **(label.metadata if label else leakage),
    )
    model = ScoringModel(pipeline, metadata)
    # Later scores are compared with those of customers that the model has not seen either.
    held_out_scores = bounded_score(probabilities[chosen][task.test_rows], **metadata.scale)
    metadata = replace(
        metadata, scores=score_quantiles(held_out_scores), reasons_note=model.reasons_note
    )
    if options.grades is not None:
        scale = metadata.scale if updating else scale_of(final[best.name], metadata.scale)
        grades = find_grades(options.grades, judged, task.of(rows), task, scale)
        metadata = replace(metadata, grades=grades)
    model = replace(model, metadata=metadata)
    fitted = {
        found.name: final[found.name]
        if isinstance(final[found.name], Pipeline)
        else without_weights(found.estimator)
        for found in searches
    }
    samples = _samples(task, target, last, probabilities)
    y_held_out = task.y[task.test_rows]
    weight = task.weights(task.test_rows).get("sample_weight")
    return TrainingResult(
        model=model,
        metrics=metrics.loc[[chosen, *(name for name in metrics.index if name != chosen)]],
        out_of_time=in_time,
        segments=by_history(probabilities[chosen], task),
        gains=gains_table(y_held_out, held_out_scores, sample_weight=weight),
        cutoffs=cutoffs_of(
            y_held_out,
            held_out_scores,
            float(bounded_score(np.array(threshold), **metadata.scale)),
            options.missed_bad_cost,
            weight,
        ),
        grades=grades_table(model, task),
        candidates=candidates_table(searches),
        customers=samples if task.samples is None else _per_customer(samples),
        samples=samples,
        features=best.table,
        histories=question.histories,
        task=task,
        target=target,
        label=label,
        by_feature=by_feature,
        drift=drift(
            best.table[by_feature.top],
            probabilities[chosen],
            task,
            last=None if in_time is None else last,
        ),
        examples=examples(model, task, samples),
        points=points_of(fitted),
        classing=classing_of(fitted),
        lost=lost_of(fitted),
        curve=updating.curve if updating else None,
        fitted=fitted,
        run_id=run_id,
    )


def _behind(extractor: Any, answering: Any) -> Pipeline:
    """Put what answers behind the fitted features."""
    steps = answering.steps if isinstance(answering, Pipeline) else [("calibrated", answering)]
    return Pipeline([("features", extractor), *steps])


@dataclass(frozen=True)
class _Question:
    """What a training is to learn, and from whom.

    Attributes
    ----------
    histories : DataFrame
        Those of which something is known.
    task : Task
    target : ProxyTarget or None
    n_unknown : int
        Decisions without an outcome.
    updates : bool
        Whether the outcomes update a proxy.
    """

    histories: pd.DataFrame
    task: Task
    target: ProxyTarget | None
    n_unknown: int
    updates: bool

    @classmethod
    def of(
        cls, histories: pd.DataFrame, y: Any, sample_weight: Any, options: TrainingOptions
    ) -> "_Question":
        check_histories(histories)
        check_names(histories)
        target, n_unknown, updates, rows, weight = None, 0, False, None, None
        past, cv = histories, options.cv
        if y is None:
            target = derive_target(
                histories,
                outcome=options.outcome,
                n_cutoffs=options.n_cutoffs,
                labeler=options.labeler,
                monetary=options.monetary,
            )
            past, y = target.past, target.y
            rows = target.samples if len(target.windows) > 1 else None
            if not is_integer(cv):
                cv = folds_of(cv, past if rows is None else past.iloc[rows], y)
        else:
            outcomes = outcomes_of(y, histories.index)
            known = ~np.isnan(outcomes)
            n_unknown = int((~known).sum())
            weighted = sample_weight is not None
            updates = is_wanted(options, outcomes, weighted=weighted)
            updates = updates and not without_history(histories).all()
            if not is_integer(cv):
                cv = folds_of(cv, histories, outcomes).within(np.flatnonzero(known))
            if weighted:
                weight = relative_weights(sample_weight, known, histories.index)
            histories = past = histories[known] if n_unknown else histories
            y = outcomes[known]
        n_folds = cv if is_integer(cv) else cv.get_n_splits()
        y = check_target(y, past.index if rows is None else past.index[rows], n_folds)
        task = Task.divided(
            past,
            y,
            rows,
            weight,
            cv=cv,
            test_size=options.test_size,
            random_state=options.random_state,
        )
        if options.calibrate and not task.folds.judge_each_once:
            raise ValueError(
                f"calibrate={options.calibrate!r} needs each training row to be judged in one "
                f"fold; the splits of cv ({task.folds.kind}) are not so. Use calibrate=None, or a "
                "number of folds"
            )
        if options.stability and updates:
            raise ValueError(
                "stability is of a model whose outcomes are known, or of a proxy, and not of both; "
                "use proxy=False"
            )
        task = task.over_time() if options.stability else task
        return cls(histories, task, target, n_unknown, updates)


def _asked(options: TrainingOptions, target: ProxyTarget | None) -> dict[str, Any]:
    """Return what a training was asked for as a reader wants it, without what plays no part."""
    asked = {
        "target": "given" if target is None else "proxy",
        "outcome": plain(options.outcome) if target else None,
        "n_cutoffs": options.n_cutoffs if target else None,
        "labeler": _whole_text(target.labeler) if target else None,
        "features": _whole_text(options.transformer),
        "proxy": None if target else options.proxy,
        "models": list(options.models),
        "classing": list(read_classing(options.classing)) or None,
        "grades": plain(options.grades),
        "stability": f"{options.stability:g}" if options.stability else None,
        "cv": options.cv if is_integer(options.cv) else repr(options.cv).splitlines()[0],
        "n_iter": options.n_iter if options.search == "random" else None,
    }
    others = {each.name: getattr(options, each.name) for each in fields(options)}
    others.pop("n_jobs")
    return {name: asked.get(name, value) for name, value in ({"target": None} | others).items()}


def _of_table(
    table: pd.DataFrame, y: Any, options: TrainingOptions
) -> tuple[pd.DataFrame, TrainingOptions]:
    """Return histories as they are; a plain table as histories, with features of its columns."""
    if "history" in table:
        return table, options
    if y is None:
        raise ValueError(
            "a frame without histories is a plain table, which needs outcomes, y: a proxy label is "
            f"made of a log. Its columns are {list(map(str, table.columns))}"
        )
    features = ApplicationColumns() if options.features is None else options.features
    # A proxy is made of a log.
    return table_histories(table), replace(options, features=features, proxy=False)


def _check_models(options: TrainingOptions, *, kept: bool) -> None:
    """Refuse a model that could not be scored, or is to be kept and holds types nobody trusts."""
    for name, model in options.catalogue.items():
        pipeline = model.pipeline(options.transformer, options.random_state)
        try:
            check_servable(pipeline)
        except ValueError as error:
            raise ValueError(f"the model {name!r} could not be scored: {error}") from None
        unknown = untrusted_types(skops.io.dumps(pipeline)) if kept else []
        if unknown:
            raise ValueError(f"the model {name!r} could not be kept: it {refusal(unknown)}")


def _leakage(histories: pd.DataFrame, y: np.ndarray) -> dict[str, Any]:
    """Name, and warn of, the columns of the decisions that give their outcomes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the features say what they leave out
        columns = ApplicationColumns().fit_transform(histories)
    leaks = telltale_columns(columns, y == 1)
    if not leaks:
        return {"leaks": False}
    found = f"alone, {', '.join(leaks)} give the target"
    warnings.warn(
        f"leakage: {found}. Leave out what was not known at the decision",
        UserWarning,
        stacklevel=3,
    )
    return {"leaks": True, "leakage": f"LEAK: {found}"}


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
    task: Task,
    target: ProxyTarget | None,
    last: np.ndarray,
    probabilities: dict[str, np.ndarray],
) -> pd.DataFrame:
    """Return one row per sample: when, over which window, its label, its part, the answers."""
    part = np.full(len(task.y), "train", dtype=object)
    part[task.test_rows] = "test"
    as_of = task.sampled(task.histories[["as_of"]])["as_of"]
    told = {"as_of": as_of.to_numpy(), "target": task.y, "part": part, "is_last": last}
    if task.weight is not None:
        told["weight"] = task.weight
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
    options: TrainingOptions, task: Task, *, tracker: Tracking | None, progress: bool
) -> tuple[list[Search], list[str]]:
    """Search each model; return the searches, the chosen one first, and what failed in whole."""
    searches: list[Search] = []
    failures: list[str] = []
    known: dict[str, pd.DataFrame] = {}
    features = options.transformer
    with TemporaryDirectory(prefix="rfmrisk-") as folder:
        memory = FoldMemory(folder, verbose=0)
        for name, model in options.catalogue.items():
            space = search_space(model, options.search, features)
            settings = feature_settings(space)
            tables = feature_tables(features, settings, task, known)
            first = FeatureTables(features, settings)
            searcher = make_searcher(model, first, space, options, task, memory=memory)
            if progress:
                show_progress(searcher)
            with tracker.watch(name) if tracker else nullcontext():
                failed = fit_search(
                    searcher, name, task.of(tables), task.y_train, task.weights_of_train
                )
            if failed:
                failures.append(failed)
            else:
                searches.append(Search(name, features, tables, searcher))
    _tell(failures, left=len(searches))
    return choose(searches, options.choose), failures


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
