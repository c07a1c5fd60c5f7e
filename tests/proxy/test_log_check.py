"""A check says what is in a log, and gives a command that trains on it."""

import pandas as pd
import pytest

from rfmrisk.cli import main
from rfmrisk.datasets import make_transactions
from rfmrisk.proxy import check_log


@pytest.fixture(scope="module")
def log():
    return make_transactions(n_customers=200, random_state=0)


def test_what_is_there(log, tmp_path):
    """Rows, customers, columns with their roles, the rhythm and a suggestion."""
    log.to_csv(tmp_path / "log.csv", index=False)
    check = check_log(tmp_path / "log.csv")
    assert (check.n_rows, check.n_customers) == (len(log), 200)
    assert check.columns.loc["ProductCategory", "role"] == "category"
    assert check.columns.loc["TransactionId", "role"].startswith("ignored")
    assert check.columns.loc["Amount", "role"] == "amount"
    assert check.outcome in check.returning.index
    assert check.newcomers.sum() == 200
    assert check.n_duplicates == 0
    assert check.remarks == []


def test_what_is_to_mind(log, tmp_path):
    """Repeated rows, line items, a stray date and rows left out are said, with the options."""
    names = {"CustomerId": "client", "TransactionStartTime": "day", "Amount": "paid"}
    other = log.rename(columns=names)[[*names.values(), "ProductCategory"]]
    other["day"] = pd.to_datetime(other["day"], utc=True).dt.strftime("%d/%m/%Y")
    other["paid"] = other["paid"].map("{:.2f}".format).str.replace(".", ",")
    other = pd.concat([other, other])
    other.iloc[3, 1] = "01/05/2091"
    other.iloc[4, 2] = "much"
    other.to_csv(tmp_path / "log.csv", index=False, sep=";")
    check = check_log(tmp_path / "log.csv")
    assert (check.roles.customer, check.roles.time, check.roles.amount) == ("client", "day", "paid")
    assert check.n_duplicates > 0
    assert check.share_same_time > 0.5
    said = " ".join(check.remarks)
    for words in ("--as-of 2019", "They are left out", "repeat another one", "by --order"):
        assert words in said
    assert "--on-bad drop" in check.command
    assert "--as-of 2019" in check.command


def test_columns_that_cannot_be_guessed(tmp_path):
    """An error lists the columns, and names the option."""
    (tmp_path / "log.csv").write_text("a,b,c\n1,2,3\n4,5,6\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"customer cannot be guessed .*'a', 'b', 'c'.*--customer"):
        check_log(tmp_path / "log.csv")


def test_the_command(log, tmp_path, capsys):
    """``rfmrisk check`` prints the page, and writes it with pictures."""
    pytest.importorskip("matplotlib", reason="the extra 'train' is not installed")
    log.to_parquet(tmp_path / "log.parquet")
    page = tmp_path / "page.html"
    assert main(["check", str(tmp_path / "log.parquet"), "--html", str(page)]) == 0
    said = capsys.readouterr().out
    assert "200 customers" in said
    assert f"rfmrisk train {tmp_path / 'log.parquet'} --customer CustomerId" in said
    text = page.read_text(encoding="utf-8")
    assert text.count("<img") == 2
    assert "200 customers" in text


def test_advice_is_in_the_words_of_the_command_line(tmp_path, capsys):
    """An error names the option as it is typed."""
    (tmp_path / "log.csv").write_text("id,t,a\nx,01/02/2018,1.5\ny,02/03/2018,2.5\n", "utf-8")
    columns = ["--customer", "id", "--time", "t", "--amount", "a"]
    assert main(["check", str(tmp_path / "log.csv"), *columns]) == 2
    assert "--time-format %d/%m/%Y or --time-format %m/%d/%Y" in capsys.readouterr().err
