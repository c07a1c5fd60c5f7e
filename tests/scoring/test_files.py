"""A log scored in parts is the log scored at once; what was interrupted goes on, or starts anew."""

import csv
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from rfmrisk import (
    ProxyLabeler,
    RFMAggregator,
    Scorecard,
    WOEEncoder,
    customer_features,
    read_transactions,
    to_histories,
)
from rfmrisk.datasets import make_transactions
from rfmrisk.scoring.files import score_file
from rfmrisk.scoring.metadata import MasterScale, ModelMetadata
from rfmrisk.scoring.model import ScoringModel, typical_values
from rfmrisk.scoring.work_folder import work_folder


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    """Give the path of a log of 300 customers, its histories, and fitted models of both kinds."""
    path = tmp_path_factory.mktemp("bank") / "log.parquet"
    make_transactions(n_customers=300, random_state=0).to_parquet(path)
    histories = to_histories(read_transactions(path))
    features = customer_features().fit(histories)
    y = ProxyLabeler().fit_predict(RFMAggregator().fit_transform(histories))
    typical = typical_values(features.transform(histories))
    metadata = ModelMetadata(threshold=0.5, features=list(typical), typical=typical)
    card = make_pipeline(features, Scorecard(WOEEncoder(), LogisticRegression()))
    plain = make_pipeline(features, WOEEncoder(), LogisticRegression())
    grades = MasterScale(edges=[480.0, 520.0], names=["C", "B", "A"])
    models = [
        ScoringModel(card.fit(histories, y), replace(metadata, grades=grades)),
        ScoringModel(plain.fit(histories, y), metadata),
    ]
    return path, histories, models


@pytest.mark.parametrize("rows_per_part", [1_500, 10**6])
@pytest.mark.parametrize("kind", [0, 1])
def test_the_file_is_what_is_scored_in_memory(bank, tmp_path, rows_per_part, kind):
    """Scores, reasons and order are equal to the last bit, in Parquet and in CSV."""
    path, histories, models = bank
    expected = models[kind].score(histories)
    counted = score_file(
        models[kind], path, tmp_path / "scores.parquet", rows_per_part=rows_per_part
    )
    assert counted == (len(expected), expected["is_high_risk"].sum())
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "scores.parquet"), expected, check_exact=True
    )
    score_file(models[kind], path, tmp_path / "scores.csv", rows_per_part=rows_per_part)
    assert (tmp_path / "scores.csv").read_text(encoding="utf-8") == expected.to_csv()
    assert {entry.name for entry in tmp_path.iterdir()} == {"scores.parquet", "scores.csv"}


@pytest.mark.parametrize("name", ["log.parquet", "log.csv"])
def test_duplicates_are_dropped_as_in_the_training(bank, tmp_path, name):
    """A model of a log without its duplicates scores a file without them, in parts too."""
    path, histories, (card, _) = bank
    log = pd.read_parquet(path)
    twice = pd.concat([log, log[::7], log[::70]]).sample(frac=1, random_state=0)
    write = twice.to_parquet if name.endswith(".parquet") else twice.to_csv
    write(tmp_path / name, index=False)
    dropped = to_histories(twice, duplicates="drop")
    metadata = replace(card.metadata, roles=dropped.attrs["roles"])
    ScoringModel(card.pipeline, metadata).save(tmp_path)
    model = ScoringModel.load(tmp_path)
    expected = card.score(histories)
    pd.testing.assert_frame_equal(model.score(dropped), expected)
    for rows_per_part in (1_500, 10**6):
        score_file(model, tmp_path / name, tmp_path / "scores.parquet", rows_per_part=rows_per_part)
        scores = pd.read_parquet(tmp_path / "scores.parquet")
        pd.testing.assert_frame_equal(scores, expected, check_exact=True)
    score_file(model, tmp_path / name, tmp_path / "kept.parquet", duplicates="keep")
    kept = pd.read_parquet(tmp_path / "kept.parquet")
    pd.testing.assert_frame_equal(kept, card.score(to_histories(twice)), check_exact=True)
    assert not kept["probability"].equals(expected["probability"])


def test_a_probability_does_not_depend_on_the_batch(bank):
    """A customer alone has the probability that the customer has among others."""
    _, histories, models = bank
    for model in models:
        together = model.score(histories)["probability"]
        alone = [model.score(histories.iloc[[row]])["probability"].iloc[0] for row in range(10)]
        assert together.iloc[:10].tolist() == alone


def test_no_reasons_are_asked_for(bank, tmp_path):
    """Without reasons the file has none, and the rest is the same."""
    path, histories, (_, model) = bank
    score_file(model, path, tmp_path / "scores.parquet", n_reasons=0)
    expected = model.score(histories)[["as_of", "probability", "score", "is_high_risk"]]
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "scores.parquet"), expected)


class StopHereError(Exception):
    """Stands for a process that ends somewhere."""


def stopping_after(n_calls, model):
    """Return a model that scores a few times and then stops, and the list of its calls."""
    calls = []

    class Stopping(ScoringModel):
        def score(self, histories, n_reasons=3, reasons=None):
            if len(calls) == n_calls:
                raise StopHereError
            calls.append(len(histories))
            return super().score(histories, n_reasons, reasons)

    return Stopping(model.pipeline, model.metadata), calls


def test_what_was_done_is_not_done_again(bank, tmp_path):
    """After a stop the parts that were scored stay, and the same call scores the others alone."""
    path, histories, (model, _) = bank
    output = tmp_path / "scores.parquet"
    stopping, first = stopping_after(3, model)
    with pytest.raises(StopHereError):
        score_file(stopping, path, output, rows_per_part=1_000)
    assert not output.exists()
    split = {piece: piece.stat().st_mtime_ns for piece in work_folder(output).glob("split-*.arrow")}
    assert split

    counting, second = stopping_after(10**6, model)
    seen = []
    original = type(counting).score

    def looking(self, *arguments):
        seen.append({piece: piece.stat().st_mtime_ns for piece in split})
        return original(self, *arguments)

    type(counting).score = looking
    score_file(counting, path, output, rows_per_part=1_000)
    assert seen[0] == split
    assert len(first) == 3
    assert sum(first) + sum(second) == len(histories)
    pd.testing.assert_frame_equal(pd.read_parquet(output), model.score(histories))
    assert not work_folder(output).exists()


def test_the_work_may_lie_in_the_folder_of_the_log(bank, tmp_path):
    """Scores that are written into the log's own folder are no part of the log while they grow."""
    path, histories, (model, _) = bank
    (tmp_path / "log.parquet").write_bytes(path.read_bytes())
    stopping, _ = stopping_after(3, model)
    with pytest.raises(StopHereError):
        score_file(stopping, tmp_path, tmp_path / "scores.csv", rows_per_part=1_000)
    counting, calls = stopping_after(10**6, model)
    score_file(counting, tmp_path, tmp_path / "scores.csv", rows_per_part=1_000)
    assert 0 < sum(calls) < len(histories)


@pytest.mark.parametrize("changed", ["log", "model", "option"])
def test_other_work_is_never_mixed_in(bank, tmp_path, changed):
    """Where log, model or options are others, the work starts anew."""
    path, _, (model, other) = bank
    own = tmp_path / "log.parquet"
    own.write_bytes(path.read_bytes())
    output = tmp_path / "scores.parquet"
    stopping, _ = stopping_after(3, model)
    with pytest.raises(StopHereError):
        score_file(stopping, own, output, rows_per_part=1_000)
    before = json.loads((work_folder(output) / "manifest.json").read_text(encoding="utf-8"))
    assert before["options"]["rows_per_part"] == 1_000

    options = {"rows_per_part": 1_000}
    if changed == "log":
        make_transactions(n_customers=300, random_state=1).to_parquet(own)
    elif changed == "model":
        model = other
    else:
        options["as_of"] = "2019-01-15"
    score_file(model, own, output, **options)
    histories = to_histories(read_transactions(own), as_of=options.get("as_of"))
    pd.testing.assert_frame_equal(pd.read_parquet(output), model.score(histories))


def test_bad_input_leaves_nothing_and_the_old_scores(bank, tmp_path):
    """A log that cannot be used is one error; what was under the name stays."""
    path, _, (model, _) = bank
    log = pd.read_parquet(path)
    log.loc[5, "Amount"] = np.nan
    log.to_parquet(tmp_path / "log.parquet")
    output = tmp_path / "scores.csv"
    output.write_text("old")
    with pytest.raises(ValueError, match=r"1 of [\d,]+ rows cannot be used.*row 5: None"):
        score_file(model, tmp_path / "log.parquet", output, rows_per_part=1_000)
    assert output.read_text() == "old"
    assert {entry.name for entry in tmp_path.iterdir()} == {"log.parquet", "scores.csv"}


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_process_goes_on(bank, tmp_path, ending):
    """Killed or interrupted midway, and started again, the command ends with the whole result."""
    pytest.importorskip("mlflow", reason="the extra 'train' is not installed")
    path, histories, (model, _) = bank
    (tmp_path / "model").mkdir()
    model.save(tmp_path / "model")
    output = tmp_path / "scores.parquet"
    run = [sys.executable, "-c", "from rfmrisk.cli import run; run()"]
    command = [*run, "score", path, "--model", "model", "-o", output.name, "--rows-per-part", "200"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE)
    while process.poll() is None and not list(work_folder(output).glob("scores-*.arrow")):
        time.sleep(0.01)
    process.send_signal(ending)
    said = process.communicate()[1].decode()
    assert process.returncode == (130 if ending == signal.SIGINT else -ending)
    if ending == signal.SIGINT:
        assert "the same command goes on where it was" in said
    assert not output.exists()
    done = {piece: piece.stat().st_mtime_ns for piece in work_folder(output).glob("s*.arrow")}
    assert done

    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    pd.testing.assert_frame_equal(pd.read_parquet(output), model.score(histories))
    assert not work_folder(output).exists()


@pytest.mark.parametrize("change", ["written", "replaced", "added"])
def test_a_log_that_changes_meanwhile_is_not_scored_half(bank, tmp_path, change):
    """Part of the scores would be of one log, and part of another."""
    path, _, (model, _) = bank
    folder = tmp_path / "log"
    folder.mkdir()
    own = folder / "a.parquet"
    own.write_bytes(path.read_bytes())
    changing, calls = stopping_after(10**6, model)
    original = type(changing).score

    def score(self, *arguments):
        if len(calls) == 2:
            other = make_transactions(n_customers=300, random_state=1)
            if change == "written":
                other.to_parquet(own)
            else:
                other.to_parquet(folder / "b.parquet")
            if change == "replaced":
                (folder / "b.parquet").replace(own)
        return original(self, *arguments)

    type(changing).score = score
    output = tmp_path / "scores.csv"
    output.write_text("old")
    with pytest.raises(RuntimeError, match="changed while it was scored"):
        score_file(changing, folder, output, rows_per_part=1_000)
    assert output.read_text() == "old"
    assert not work_folder(output).exists()


@pytest.mark.skipif(sys.platform == "win32", reason="folders are not locked there")
def test_two_runs_do_not_write_one_output(bank, tmp_path):
    """The second is refused while the first works, and what the first writes is whole."""
    path, histories, (model, _) = bank
    output = tmp_path / "scores.parquet"
    first, calls = stopping_after(10**6, model)
    original = type(first).score

    def score(self, *arguments):
        if len(calls) == 2:
            with pytest.raises(RuntimeError, match="another rfmrisk score writes"):
                score_file(model, path, output)
        return original(self, *arguments)

    type(first).score = score
    score_file(first, path, output, rows_per_part=1_000)
    pd.testing.assert_frame_equal(pd.read_parquet(output), model.score(histories))


@pytest.mark.parametrize("left", [0, 100])
@pytest.mark.parametrize("name", ["scores-*.arrow", "split-*.arrow"])
def test_a_piece_that_a_lost_machine_left_is_made_anew(bank, tmp_path, left, name):
    """A piece without its end is no part without customers."""
    path, histories, (model, _) = bank
    output = tmp_path / "scores.parquet"
    stopping, _ = stopping_after(3, model)
    with pytest.raises(StopHereError):
        score_file(stopping, path, output, rows_per_part=1_000)
    piece = next(iter(sorted(work_folder(output).glob(name))))
    piece.write_bytes(piece.read_bytes()[:left])
    counted = score_file(model, path, output, rows_per_part=1_000)
    assert counted[0] == len(histories)
    pd.testing.assert_frame_equal(pd.read_parquet(output), model.score(histories))


@pytest.mark.parametrize("content", [{"a.txt": "x"}, {"manifest.json": "{}"}, {"split-1.csv": ""}])
def test_a_folder_of_somebody_else_is_left_alone(bank, tmp_path, content):
    """What has the name of the folder of parts is not removed for that."""
    path, _, (model, _) = bank
    output = tmp_path / "scores.csv"
    work_folder(output).mkdir()
    for name, text in content.items():
        (work_folder(output) / name).write_text(text)
    with pytest.raises(ValueError, match="is not the work of rfmrisk score"):
        score_file(model, path, output)
    for name, text in content.items():
        assert (work_folder(output) / name).read_text() == text


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_in_the_place_of_the_folder_is_not_followed(bank, tmp_path):
    """Another's folder is not emptied through a link."""
    path, _, (model, _) = bank
    (tmp_path / "theirs").mkdir()
    (tmp_path / ".scores.csv.parts").symlink_to(tmp_path / "theirs")
    with pytest.raises(ValueError, match="is not the work of rfmrisk score"):
        score_file(model, path, tmp_path / "scores.csv")


def test_ids_stay_one_line_each_in_a_file(bank, tmp_path):
    """A carriage return, a comma or a quote in an id is quoted, so that every reader sees one."""
    path, _, (model, _) = bank
    ids = ["Ada\rGrace,x,1,999,0", "a\nb", 'q"uote', "=1+1", "+5", "-5", "@x", "plain"]
    log = pd.read_parquet(path)
    wanted = log["CustomerId"].unique()[: len(ids)]
    log = log[log["CustomerId"].isin(wanted)]
    log["CustomerId"] = log["CustomerId"].map(dict(zip(wanted, ids, strict=True)))
    log.to_parquet(tmp_path / "log.parquet")
    score_file(model, tmp_path / "log.parquet", tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows[1:]] == sorted(ids)
    assert {len(row) for row in rows} == {len(rows[0])}
    again = pd.read_csv(tmp_path / "scores.csv")
    assert again["customer"].tolist() == sorted(ids)

    score_file(model, tmp_path / "log.parquet", tmp_path / "safe.csv", spreadsheet=True)
    safe = pd.read_csv(tmp_path / "safe.csv")
    changed = [f"'{name}" if name[0] in "=+-@" else name for name in sorted(ids)]
    assert safe["customer"].tolist() == changed
    pd.testing.assert_frame_equal(safe.iloc[:, 1:], again.iloc[:, 1:])
