"""Logs as people have them: however a file is written, it gives the same histories, or an error."""

import gzip
import warnings
import zipfile

import numpy as np
import pandas as pd
import pytest

from rfmrisk import customer_features, histories_in_parts, read_transactions, to_histories

K = {"customer": "id", "time": "t", "amount": "a"}


@pytest.fixture(scope="module")
def clean():
    """Return a small log in which nothing could be read in two ways."""
    random = np.random.default_rng(0)
    n = 300
    seconds = np.sort(random.integers(0, 86_400 * 500, n))
    return pd.DataFrame(
        {
            "id": [f"c{k}" for k in random.integers(0, 40, n)],
            "t": np.datetime64("2018-01-01", "us") + seconds.astype("timedelta64[s]"),
            "a": np.round(random.normal(900, 900, n), 2),
            "region": random.choice(["Paris", "Réunion", "Corse", "NA", "001"], n),
            "n": random.integers(1, 9, n),
        }
    )


def german(number):
    return f"{number:,.2f}".translate(str.maketrans(",.", ".,"))


SHAPES = {
    "semicolons and decimal commas": (lambda d: d.to_csv(index=False, sep=";", decimal=","), {}),
    "grouped thousands": (lambda d: d.assign(a=d.a.map(german)).to_csv(index=False, sep=";"), {}),
    "currency": (lambda d: d.assign(a=d.a.map("$ {:,.2f}".format)).to_csv(index=False), {}),
    "cp1252": (lambda d: d.to_csv(index=False).encode("cp1252"), {}),
    "UTF-8 with a mark": (lambda d: d.to_csv(index=False).encode("utf-8-sig"), {}),
    "UTF-16": (lambda d: d.to_csv(index=False).encode("utf-16"), {}),
    "tabs": (lambda d: d.to_csv(index=False, sep="\t"), {}),
    "pipes": (lambda d: d.to_csv(index=False, sep="|"), {}),
    "all quoted": (lambda d: d.to_csv(index=False, quoting=1), {}),
    "carriage returns": (lambda d: d.to_csv(index=False, lineterminator="\r\n"), {}),
    "title rows": (lambda d: "Export of 2019;\n\n" + d.to_csv(index=False), {}),
    "spaces": (lambda d: d.to_csv(index=False).replace(",", " , "), {}),
    "day first": (lambda d: d.to_csv(index=False, date_format="%d/%m/%Y %H:%M:%S"), {}),
    "month first": (lambda d: d.to_csv(index=False, date_format="%m/%d/%Y %I:%M:%S %p"), {}),
    "with names of months": (lambda d: d.to_csv(index=False, date_format="%d-%b-%y %H:%M:%S"), {}),
    "a format": (
        lambda d: d.to_csv(index=False, date_format="%S %M %H %d %m %Y"),
        {"time_format": "%S %M %H %d %m %Y"},
    ),
    "seconds": (lambda d: d.assign(t=d.t.astype("int64") // 10**6).to_csv(index=False), {}),
    "milliseconds": (lambda d: d.assign(t=d.t.astype("int64") // 10**3).to_csv(index=False), {}),
    "days of a spreadsheet": (
        lambda d: d.assign(t=(d.t - pd.Timestamp("1899-12-30")) / pd.Timedelta("1D")).to_csv(
            index=False
        ),
        {},
    ),
    "UTC after a space": (
        lambda d: d.assign(t=d.t.dt.strftime("%Y-%m-%d %H:%M:%S UTC")).to_csv(index=False),
        {},
    ),
    "date and clock": (
        lambda d: (
            d.assign(day=d.t.dt.strftime("%d.%m.%Y"), clock=d.t.dt.strftime("%H:%M:%S"))
            .drop(columns="t")
            .to_csv(index=False)
        ),
        {"time": "day,clock"},
    ),
    "a product": (
        lambda d: d.assign(price=d.a, one=1).drop(columns="a").to_csv(index=False),
        {"amount": "one*price"},
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_wild_shape_gives_the_histories_of_the_clean_log(clean, tmp_path, shape):
    """At most one option is needed, and times, amounts and texts are the same to the last bit."""
    make, options = SHAPES[shape]
    text = make(clean)
    path = tmp_path / "log.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    roles = K | options
    read = read_transactions(path, **roles)
    roles.pop("time_format", None)
    ours, theirs = to_histories(read, **roles), to_histories(clean, **K)
    parts = pd.concat(histories_in_parts(path, **K | options)).loc[ours.index]
    for mine in (ours, parts):
        for field in ("time", "amount", "region", "n"):
            mine_, clean_ = (
                [[row[field] for row in history] for history in frame["history"]]
                for frame in (mine, theirs)
            )
            assert mine_ == clean_


@pytest.mark.parametrize("name", ["log.csv.gz", "log.zip", "log.tsv", "log.txt", "log.xlsx", "log"])
def test_types_of_files(clean, tmp_path, name):
    """Packed files, spreadsheets and folders are read as the file itself."""
    path = tmp_path / name
    text = clean.to_csv(index=False)
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    elif name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr("inner/log.csv", text)
    elif name.endswith(".xlsx"):
        pytest.importorskip("openpyxl", reason="openpyxl is not installed")
        clean.to_excel(path, index=False)
    elif name == "log":
        path.mkdir()
        for number in (0, 1):
            clean.iloc[number::2].to_csv(path / f"{number}.csv", index=False)
    else:
        path.write_text(text, encoding="utf-8")
    read = read_transactions(path, **K).sort_values(["t", "id", "a"], ignore_index=True)
    expected = clean.sort_values(["t", "id", "a"], ignore_index=True)
    if name.endswith(".xlsx"):
        expected["t"] = expected["t"].astype(read["t"].dtype)
    pd.testing.assert_frame_equal(read, expected)


@pytest.mark.parametrize(
    ("times", "amounts", "option"),
    [
        (["01/02/2018", "03/04/2018"], ["1.5", "2.5"], "time_format='%d/%m/%Y'"),
        (["2018-01-02", "2018-01-03"], ["1.234", "2.500"], "decimal='.'"),
        (["711", "712"], ["1.5", "2.5"], "time_unit='days'"),
    ],
)
def test_two_readings_ask_for_the_option(tmp_path, times, amounts, option):
    """Where the whole column can be read in two ways, the error names the option that decides."""
    path = tmp_path / "log.csv"
    pd.DataFrame({"id": ["x", "y"], "t": times, "a": amounts}).to_csv(path, index=False)
    with pytest.raises(ValueError, match=option):
        read_transactions(path, **K)


def test_the_option_decides(tmp_path):
    """The options that an error names work."""
    path = tmp_path / "log.csv"
    path.write_text("id;t;a\nx;01/02/2018;1.234\n", encoding="utf-8")
    read = read_transactions(path, **K, time_format="%d/%m/%Y", decimal=",")
    assert read["t"].iloc[0] == pd.Timestamp("2018-02-01")
    assert read["a"].iloc[0] == 1234


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ('c1,2018-05-05,1.0,"5 inch pipe', "line 52: a quote is not closed"),
        ("c1,2018-05-05,1.0", "line 52: 3 fields, not 4"),
        ("c1,2018-05-05,1.0,x,y", "line 52: 5 fields, not 4"),
    ],
)
@pytest.mark.parametrize("at_the_end", [False, True])
def test_broken_lines_are_named_and_counted(tmp_path, line, wrong, at_the_end):
    """No row is lost in silence: the error names the line, and dropping costs that line alone."""
    path = tmp_path / "log.csv"
    rows = [f"c{k % 9},2018-{1 + k % 12:02}-{1 + k % 28:02},1.5,item {k}" for k in range(100)]
    rows.insert(100 if at_the_end else 50, line)
    path.write_text("id,t,a,d\n" + "\n".join(rows), encoding="utf-8")
    wrong = wrong.replace("52", "102") if at_the_end else wrong
    with pytest.raises(ValueError, match=wrong):
        read_transactions(path, **K)
    with pytest.warns(UserWarning, match="1 line cannot be divided"):
        assert len(read_transactions(path, **K, on_bad="drop")) == 100


def test_quotes_that_are_no_mistake(tmp_path):
    """Quoted separators, line ends and quotes, and inches within a field, are text."""
    path = tmp_path / "log.csv"
    texts = ["a,b", "two\nlines", 'say ""yes""', '5"']
    quoted = [f'"{text}"' for text in texts[:3]] + [texts[3]]
    rows = [f"c,2018-01-0{k + 1},1.5,{text}" for k, text in enumerate(quoted)]
    path.write_text("id,t,a,d\n" + "\n".join(rows) + "\n", encoding="utf-8")
    read = read_transactions(path, **K)
    assert read["d"].tolist() == ["a,b", "two\nlines", 'say "yes"', '5"']


def test_partition_folders_keep_their_zeros(tmp_path):
    """A folder called month=01 gives the text 01, and year=2018 a number."""
    for month in ("01", "02"):
        folder = tmp_path / "year=2018" / f"month={month}"
        folder.mkdir(parents=True)
        rows = pd.DataFrame({"id": ["x"], "t": [f"2018-{month}-05"], "a": [1.5]})
        rows.to_parquet(folder / "log.parquet")
    for read in (
        read_transactions(tmp_path, **K),
        pd.DataFrame(next(histories_in_parts(tmp_path, **K))["history"].iloc[0]),
    ):
        assert read["month"].tolist() == ["01", "02"]
        assert read["year"].tolist() == [2018, 2018]


@pytest.mark.parametrize("last", ["2091-05-01", "9999-12-31"])
def test_a_log_does_not_end_in_the_future(clean, last):
    """One date that nobody can mean is refused with it, and with the option that says the end."""
    log = clean.copy()
    log.loc[3, "t"] = pd.Timestamp(last)
    with pytest.raises(ValueError, match=rf"{last}.*1 transaction lies in the future.*as_of='2019"):
        to_histories(log, **K)
    assert to_histories(log, **K, as_of="2019-06-01")["as_of"].eq("2019-06-01").all()


def test_a_last_day_that_stands_alone(clean):
    """A stray day long after all others is refused, in one piece and in parts."""
    log = clean.copy()
    log.loc[3, "t"] = log["t"].max() + pd.Timedelta("400D")
    with pytest.raises(ValueError, match=r"1 transaction lies 40\d days after the one before"):
        to_histories(log, **K)


@pytest.mark.parametrize("blank", ["", "  ", "nan", "NULL", None])
def test_blank_ids_are_no_customers(blank):
    """An id that spells a missing value is one."""
    log = pd.DataFrame({"id": [blank, "A1"], "t": "2020-01-01", "a": 1.5})
    with pytest.raises(ValueError, match="1 of 2 rows cannot be used: 1 without an id"):
        to_histories(log, **K)


def test_what_was_understood_is_said(tmp_path):
    """One line says how a file was read."""
    path = tmp_path / "log.csv"
    path.write_bytes("id;t;a\né;15/11/2018;1,5\n".encode("cp1252"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        said = read_transactions(path, **K).attrs["understood"]
    assert said == "1 rows, ';' between fields, decimal comma, cp1252, times day first"


def test_ids_in_two_forms_are_said(clean):
    """Decisions that write the log's ids in another way are warned of, with both forms."""
    log = clean.assign(id=clean["id"].str[1:])
    asked = pd.DataFrame({"customer": ["0" + log["id"].iloc[0]], "as_of": ["2019-06-01"]})
    with pytest.warns(UserWarning, match=r"1 of 1 decisions .* the decisions have '0\d+', the log"):
        to_histories(log, **K, as_of=asked)


def test_decisions_that_match_nobody_are_said(clean):
    """A frame of decisions of which no customer is in the log is warned of."""
    asked = pd.DataFrame({"customer": [f"D-{k}" for k in range(30)], "as_of": "2019-06-01"})
    with pytest.warns(UserWarning, match="all 30 decisions are of customers whom the log does not"):
        to_histories(clean, **K, as_of=asked)


def test_a_guest_and_spaces_in_ids_are_said(clean):
    """One id with many rows of all, and ids that differ by a space, are warned of."""
    many = pd.concat([clean.assign(id=[f"k{row}" for row in range(len(clean))]), clean.head(60)])
    guest = many.assign(id=[*many["id"][:-60], *["guest"] * 60])
    with pytest.warns(UserWarning, match=r"customer 'guest' in 'id' has 17% of all rows"):
        to_histories(guest, **K)
    log = clean.copy()
    log.loc[5, "id"] = log.loc[6, "id"] + " "
    with pytest.warns(UserWarning, match="1 ids in 'id' differ from others by spaces alone"):
        to_histories(log, **K)


@pytest.mark.parametrize("form", ["csv", "parquet", "polars", "duckdb"])
def test_any_form_gives_the_features_of_the_model(clean, tmp_path, form):
    """A log written and read back gives the same features to the last bit."""
    clean = clean.assign(code=[f"{k % 7:03}" for k in range(len(clean))], flag=clean["n"] > 4)
    features = customer_features(categories=["region", "code", "flag", "n"])
    expected = features.fit(to_histories(clean, **K)).transform(to_histories(clean, **K))
    if form == "csv":
        clean.to_csv(tmp_path / "log.csv", index=False)
        log = read_transactions(tmp_path / "log.csv", **K)
    elif form == "parquet":
        clean.to_parquet(tmp_path / "log.parquet")
        log = read_transactions(tmp_path / "log.parquet", **K)
    else:
        library = pytest.importorskip(form, reason=f"{form} is not installed")
        log = (
            library.from_pandas(clean)
            if form == "polars"
            else library.sql("select * from clean").arrow()
        )
    pd.testing.assert_frame_equal(features.transform(to_histories(log, **K)), expected)
