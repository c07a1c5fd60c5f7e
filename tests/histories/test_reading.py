"""Logs on disk are read, whatever their ids and late surprises, or refused with one clear error."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest

from rfmrisk import read_transactions, to_histories
from rfmrisk.histories.options import OptionNeededError

ROLES = {"customer": "who", "time": "when", "amount": "paid"}
LINES = "who,when,paid,note\n17,2024-05-01T10:00:00Z,1.5,a\n5,2024-05-02T10:00:00Z,-2,\n"


def _write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_csv(tmp_path):
    """A CSV keeps its column names; times are parsed and whole-number ids are numbers."""
    log = read_transactions(_write(tmp_path, "log.csv", LINES), **ROLES)
    assert log["who"].tolist() == [17, 5]
    assert log["when"].tolist() == list(pd.to_datetime(["2024-05-01T10:00", "2024-05-02T10:00"]))
    assert log["paid"].tolist() == [1.5, -2.0]
    assert log["note"].isna().tolist() == [False, True]


def test_ids_stay_text_where_a_number_would_change_them(tmp_path):
    """Leading zeros are part of an id."""
    log = read_transactions(_write(tmp_path, "log.csv", LINES.replace("\n5,", "\n005,")), **ROLES)
    assert log["who"].tolist() == ["17", "005"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_late_change_of_type(tmp_path, pack):
    """A column whose text begins after a megabyte of numbers is text."""
    lines = "who,when,paid,code\n" + "1,2024-05-01,3,17\n" * 80_000 + "1,2024-05-01,3,17A\n"
    name = "log.csv" if pack is bytes else "log.csv.gz"
    log = read_transactions(_write(tmp_path, name, pack(lines.encode())), **ROLES)
    assert log["code"].iloc[[0, -1]].tolist() == ["17", "17A"]


@pytest.mark.parametrize("frame", [lambda log: log.set_index("who"), lambda log: log.iloc[::-1]])
def test_parquet(tmp_path, frame):
    """A Parquet file gives its columns, those that pandas wrote as the index too."""
    log = pd.DataFrame({"who": ["x", "y"], "when": ["2024-05-01"] * 2, "paid": [1.0, 2.0]})
    frame(log).to_parquet(tmp_path / "log.parquet")
    read = read_transactions(tmp_path / "log.parquet", **ROLES)
    assert to_histories(read, **ROLES).index.tolist() == ["x", "y"]


def test_a_folder_of_parquet_files(tmp_path):
    """A folder is read as one log."""
    for name in "xy":
        log = pd.DataFrame({"who": [name], "when": ["2024-05-01"], "paid": [1.0]})
        log.to_parquet(tmp_path / f"{name}.parquet")
    assert sorted(read_transactions(tmp_path, **ROLES)["who"]) == ["x", "y"]


def test_bad_rows_of_a_file(tmp_path):
    """An unreadable amount in a CSV is a bad row like any other."""
    path = _write(tmp_path, "log.csv", LINES.replace("1.5", "much"))
    with pytest.raises(ValueError, match=r"1 of 2 rows cannot be used.*row 0: 'much'"):
        read_transactions(path, **ROLES)
    with pytest.warns(UserWarning, match="They are left out"):
        log = read_transactions(path, **ROLES, on_bad="drop")
    assert log["who"].tolist() == [5]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("log.csv", "", "cannot be read: it is empty"),
        ("log.csv", "who,when,paid\n", "the log is empty"),
        ("log.csv", LINES.replace("who", "id"), r"not found in the log; the columns are \['id'"),
        ("log.csv", "who,when,paid\n1,2\n", "line 2: 2 fields, not 3"),
        (
            "log.csv",
            "who,when,paid,paid\n1,2024-05-01,2,3\n",
            r"duplicated column names \['paid'\]",
        ),
        ("log.csv", b"\xff\xfe\x00wh", "not in the encoding utf-16"),
        ("log.parquet", "who", "cannot be read"),
        ("log.doc", "who", "of an unknown type: a log is a file of type .csv, .tsv"),
        ("log.xlsx", "who", "cannot be read"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, name, content, message):
    """Empty, broken and foreign files are one clear error."""
    with pytest.raises(ValueError, match=message):
        read_transactions(_write(tmp_path, name, content), **ROLES)


def test_no_such_file(tmp_path):
    """A file that is not there is named."""
    with pytest.raises(FileNotFoundError, match=r"there is no file .*log\.csv"):
        read_transactions(tmp_path / "log.csv", **ROLES)


def test_what_is_read_equals_what_was_written(tmp_path, log):
    """The sample bank gives the same histories from a CSV as from memory."""
    log.to_csv(tmp_path / "log.csv", index=False)
    read = to_histories(read_transactions(tmp_path / "log.csv"))
    assert read.index.tolist() == to_histories(log).index.tolist()
    ours, theirs = (frame["history"].map(len) for frame in (read, to_histories(log)))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2018-11-15T02:18:49+5", "2018-11-14T21:18:49"),
        ("2018-11-15T02:18:49 -5", "2018-11-15T07:18:49"),
        ("2018-11-15 02:18:49.5+5:30", "2018-11-14T20:48:49.500"),
        ("2018-11-15 02:18 +530", "2018-11-14T20:48"),
    ],
)
def test_an_offset_of_one_digit_is_an_offset(text, read):
    """It is read as such among others, and is no time without a zone."""
    log = pd.DataFrame({"c": [1, 1], "t": ["2018-11-13T00:00:00Z", text], "a": [1.0, 2.0]})
    (history,) = to_histories(log, customer="c", time="t", amount="a")["history"]
    assert history[1]["time"] == pd.Timestamp(read)
    log.loc[0, "t"] = "2018-11-13T00:00:00"
    with pytest.raises(ValueError, match="mixes 1 times with a zone and 1 without"):
        to_histories(log, customer="c", time="t", amount="a")


def test_an_error_that_names_options_survives_json():
    """A worker of a cluster passes it on, and it says the same in Python and at the shell."""
    log = pd.DataFrame({"c": [1, 2], "t": ["01/05/2024", "03/05/2024"], "a": [1.0, 2.0]})
    with pytest.raises(OptionNeededError) as caught:
        to_histories(log, customer="c", time="t", amount="a")
    again = OptionNeededError.from_plain(json.loads(json.dumps(caught.value.to_plain())))
    assert str(again) == str(caught.value)
    assert again.for_command_line == caught.value.for_command_line
    assert vars(again) == vars(caught.value)
