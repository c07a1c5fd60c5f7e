"""The page in a real browser: by keyboard, with a dropped file, in the dark."""

import csv
import shutil
import time
from pathlib import Path

import pytest

from rfmrisk import to_histories
from rfmrisk.datasets import make_transactions

from .conftest import running

pytestmark = pytest.mark.slow

# Drops a file on the page, as a hand would.
DROP = """
const held = new DataTransfer();
held.items.add(new File([arguments[0]], arguments[1]));
for (const type of ["dragover", "drop"]) {
  const event = new DragEvent(type, { dataTransfer: held, bubbles: true, cancelable: true });
  document.getElementById("drop").dispatchEvent(event);
}
"""
BRIGHTNESS = """
const [r, g, b] = getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]
  .match(/[\\d.]+/g).map(Number);
return (r + g + b) / 765;
"""


@pytest.fixture(scope="module")
def browser():
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no chromium with its driver is installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for option in ("headless", "no-sandbox", "disable-gpu", "disable-background-networking"):
        options.add_argument(f"--{option}")
    options.add_argument("--window-size=1200,1400")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=driver)
    opened = webdriver.Chrome(options=options, service=service)
    opened.implicitly_wait(10)
    yield opened
    opened.quit()


@pytest.fixture(scope="module")
def address(folder):
    with running(folder) as (address, _):
        yield address


@pytest.fixture
def page(browser, address):
    """Open the page anew, and see at the end that nothing went wrong in it."""
    browser.get_log("browser")
    browser.get(address)
    until(lambda: "Model scorecard" in text(browser, "#model"))
    yield browser
    assert not errors_of(browser)


def errors_of(browser):
    """Take what the browser has noted as errors since the last call."""
    entries = browser.get_log("browser")
    return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]


def until(condition, seconds=20):
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def find(page, selector):
    return page.find_elements("css selector", selector)


def text(page, selector):
    return find(page, selector)[0].text


def focused(page):
    return page.switch_to.active_element.get_attribute("id")


def press(page, selector):
    """Press a button by keyboard."""
    find(page, selector)[0].send_keys("\ue007")


def score_sample(page):
    press(page, "#sample")
    until(lambda: find(page, "#log")[0].get_property("value"))
    press(page, "#score")
    until(lambda: find(page, "#rows tr"))


def test_the_sample_is_scored_by_keyboard(page, tmp_path):
    """Customers are ranked, told with bars, and can be filtered."""
    press(page, "#score")
    until(lambda: "Paste a log" in text(page, "#problem"))
    score_sample(page)
    rows = find(page, "#rows tr")
    assert len(rows) == 40
    shares = [float(cell.text.split()[0]) for cell in find(page, "#rows td:nth-of-type(2)")]
    assert shares == sorted(shares, reverse=True)
    bars = find(page, ".reasons .bar")
    assert bars
    assert all(bar.size["width"] > 0 for bar in bars[:10])
    assert "below the best bin" in text(page, "#note")
    assert focused(page) == "results-title"
    page.save_screenshot(str(tmp_path / "light.png"))

    name = text(page, "#rows tr:nth-child(4) th")
    find(page, "#filter")[0].send_keys(name)
    left = [row.text for row in find(page, "#rows tr th")]
    assert name in left
    assert len(left) < 40
    assert f"{len(left)} match" in text(page, "#summary")
    find(page, "#filter")[0].clear()
    find(page, "#filter")[0].send_keys(" ")
    find(page, "#only-high")[0].send_keys(" ")
    high = [cell.text for cell in find(page, "#rows td:nth-of-type(3)")]
    assert high == ["High"] * len(high)
    assert 0 < len(high) < 40


def test_a_dropped_file_is_scored_and_downloaded(page, card, tmp_path):
    """What is downloaded are the model's own numbers, for those that the filter leaves."""
    log = make_transactions(12, random_state=3)
    page.execute_script(DROP, log.to_csv(index=False), "shop.csv")
    assert text(page, "#file-name") == "shop.csv"
    press(page, "#score")
    until(lambda: len(find(page, "#rows tr")) == log["CustomerId"].nunique())
    page.save_screenshot(str(tmp_path / "dropped.png"))

    where = {"behavior": "allow", "downloadPath": str(tmp_path)}
    page.execute_cdp_cmd("Browser.setDownloadBehavior", where)
    find(page, "#filter")[0].send_keys("_1")
    press(page, "#download")
    until((tmp_path / "scores.csv").exists)
    with (tmp_path / "scores.csv").open(newline="") as file:
        got = {row["customer"]: row for row in csv.DictReader(file)}
    expected = card.score(to_histories(log))
    expected = expected[expected.index.str.contains("_1")]
    assert set(got) == set(expected.index)
    for customer, row in expected.iterrows():
        assert float(got[customer]["probability"]) == row["probability"]
        assert got[customer]["reasons"].split("; ")[0] == row["reason_1"]


def test_a_dropped_file_that_is_no_log_is_explained(page):
    """The problem is told where a screen reader says it."""
    page.execute_script(DROP, "a,b\n1,2\n", "other.csv")
    press(page, "#score")
    until(lambda: "not found" in text(page, "#problem"))
    assert find(page, "#problem")[0].get_attribute("role") == "alert"
    # The browser itself notes that a request was refused.
    assert "422" in errors_of(page)[0]


def drop(page, selector, **data):
    """Drop something in the middle of an element, by the browser's own hand."""
    box = page.execute_script(
        "return document.querySelector(arguments[0]).getBoundingClientRect()", selector
    )
    given = {"items": [], "dragOperationsMask": 1} | data
    at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2, "data": given}
    for kind in ("dragEnter", "dragOver", "drop"):
        page.execute_cdp_cmd("Input.dispatchDragEvent", {"type": kind, **at})


def test_a_file_may_miss_the_box(page, tmp_path):
    """The browser stays on the page, and takes the file; of two files it takes none."""
    files = [str(tmp_path / name) for name in ("shop.csv", "other.csv")]
    for file in files:
        Path(file).write_text("a,b\n1,2\n")
    here = page.current_url
    drop(page, "h1", files=files)
    assert text(page, "#problem") == "Drop one file at a time."
    assert text(page, "#file-name") == ""
    drop(page, "h1", files=files[:1])
    assert text(page, "#file-name") == "shop.csv"
    assert not find(page, "#problem")[0].is_displayed()
    assert page.current_url == here


def test_dropped_text_reaches_the_log(page):
    """In the field it is dropped as ever; beside the field it becomes the log; outside, nothing."""
    item = {"mimeType": "text/plain", "data": "CustomerId,Amount"}
    for selector in ("#log", "#drop > label"):
        drop(page, selector, items=[item])
        until(lambda: find(page, "#log")[0].get_property("value") == item["data"])
        find(page, "#log")[0].clear()
    drop(page, "h1", items=[item])
    assert find(page, "#log")[0].get_property("value") == ""
    assert "over" not in find(page, "#drop")[0].get_attribute("class")


def test_old_results_do_not_stand_under_a_new_problem(page):
    """Once a log is refused, the results of the one before are gone, and the way to them too."""
    assert not find(page, "#skip")[0].get_property("offsetParent")
    score_sample(page)
    assert find(page, "#skip")[0].get_property("offsetParent")
    page.execute_script(DROP, "a,b\n1,2\n", "other.csv")
    press(page, "#score")
    until(lambda: "not found" in text(page, "#problem"))
    assert not find(page, "#results")[0].is_displayed()
    assert not page.execute_script("return document.querySelectorAll('#rows tr').length")
    assert not find(page, "#skip")[0].get_property("offsetParent")
    assert "422" in errors_of(page)[0]


def test_a_sample_that_cannot_be_had_is_explained(page):
    """The app's own words are shown, and what stood on the page stays."""
    score_sample(page)
    page.execute_script("""window.fetch = async () => new Response(
        JSON.stringify({ detail: "the sample does not fit this model" }), { status: 409 })""")
    press(page, "#sample")
    until(lambda: text(page, "#problem") == "the sample does not fit this model")
    assert find(page, "#log")[0].get_property("value")
    assert len(find(page, "#rows tr")) == 40
    page.execute_script("window.fetch = async () => new Response('<p>', { status: 502 })")
    press(page, "#sample")
    until(lambda: text(page, "#problem") == "The app answered 502.")


def test_an_app_that_is_gone_is_told(page):
    """No press of a button ends in silence."""
    page.execute_script("window.fetch = async () => { throw new TypeError(); }")
    for button in ("#sample", "#score"):
        page.execute_script("complain(''); document.getElementById('log').value = 'a'")
        press(page, button)
        until(lambda: text(page, "#problem") == "The app cannot be reached.")
    page.execute_script("showModel()")
    until(lambda: text(page, "#model") == "The app cannot be reached.")


def test_a_key_is_asked_for_where_it_is_entered(browser, folder):
    """The closed field opens and is ready for the key, and a wrong key is told from none."""
    key = "k" * 20
    with running(folder, RFMRISK_API_KEYS=key) as (address, _):
        browser.get(address)
        press(browser, "#sample")
        until(lambda: find(browser, "#log")[0].get_property("value"))
        assert not find(browser, "#key")[0].is_displayed()
        press(browser, "#score")
        until(lambda: "needs an API key" in text(browser, "#problem"))
        assert focused(browser) == "key"
        assert find(browser, "#key")[0].is_displayed()
        browser.switch_to.active_element.send_keys("wrong")
        press(browser, "#score")
        until(lambda: "does not know this API key" in text(browser, "#problem"))
        assert find(browser, "#key")[0].get_attribute("aria-invalid") == "true"
        find(browser, "#key")[0].clear()
        find(browser, "#key")[0].send_keys(key)
        assert find(browser, "#key")[0].get_attribute("aria-invalid") is None
        press(browser, "#score")
        until(lambda: len(find(browser, "#rows tr")) == 40)
        assert not find(browser, "#problem")[0].is_displayed()
    assert all("401" in error for error in errors_of(browser))


def test_the_page_is_dark_where_the_reader_wants_it(page, tmp_path):
    """Dark mode turns paper and ink round, in the results as well."""
    bright = [page.execute_script(BRIGHTNESS, "body", "backgroundColor")]
    media = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    try:
        score_sample(page)
        bright += [page.execute_script(BRIGHTNESS, "body", "backgroundColor")]
        for selector in ("#rows th", "#rows td", ".reasons li", "#summary", "#log"):
            assert page.execute_script(BRIGHTNESS, selector, "color") > 0.6
        page.save_screenshot(str(tmp_path / "dark.png"))
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert bright[0] > 0.8
    assert bright[1] < 0.2


def test_the_interface_is_shown_without_a_network(browser, address):
    """Swagger UI draws the operations from what the app itself serves."""
    browser.get(f"{address}/docs")
    until(lambda: find(browser, ".opblock-post"))
