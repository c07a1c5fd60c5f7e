"""The page in a real browser: by keyboard, with a dropped file, in the dark."""

import csv
import shutil
import time
from contextlib import contextmanager
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
# The contrast of a field's border with the paper inside it, and around it (WCAG 2.2).
CONTRAST = """
const light = (colour) => {
  const [r, g, b] = colour.match(/[\\d.]+/g).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
};
const field = document.querySelector(arguments[0]);
const edge = light(getComputedStyle(field).borderTopColor);
return [field, field.closest("section")].map((paper) => {
  const ground = light(getComputedStyle(paper).backgroundColor);
  return Math.max(edge, ground) / Math.min(edge, ground);
});
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


@contextmanager
def preferring(page, scheme):
    """Let the reader want light or dark."""
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    try:
        yield
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


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
    shares = page.execute_script("""return [...document.querySelectorAll(".bar")].map((bar) =>
        [parseFloat(getComputedStyle(bar, "::before").width) / bar.clientWidth,
         parseFloat(bar.nextSibling.textContent)])""")
    most = max(points for _, points in shares)
    assert most > 0
    for share, points in shares:
        assert share == pytest.approx(points / most, abs=0.02)
    assert "below the best bin" in text(page, "#note")
    assert focused(page) == "results-title"
    page.save_screenshot(str(tmp_path / "light.png"))

    name = text(page, "#rows tr:nth-child(4) th")
    find(page, "#filter")[0].send_keys(name)
    left = [row.text for row in find(page, "#rows tr th")]
    assert name in left
    assert len(left) < 40
    assert f"{len(left)} match" in text(page, "#summary")
    assert "customers, " in text(page, "#summary")
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
        assert got[customer].get("reason_1", "") == row["reason_1"]
        assert got[customer].get("code_1", "") == row["code_1"]


def test_ids_are_text(page, tmp_path):
    """Whole numbers beyond 2^53 are not rounded, on the page or in what is downloaded."""
    ids = [2**53, 2**53 + 1, -(2**62) - 1]
    log = make_transactions(60, random_state=0)
    wanted = log["CustomerId"].unique()[: len(ids)]
    log = log[log["CustomerId"].isin(wanted)]
    log["CustomerId"] = log["CustomerId"].map(dict(zip(wanted, ids, strict=True)))
    page.execute_script(DROP, log.to_csv(index=False), "log.csv")
    press(page, "#score")
    until(lambda: "3 customers" in text(page, "#summary"))
    shown = {head.text for head in find(page, "#rows th")}
    assert shown == set(map(str, ids))
    where = {"behavior": "allow", "downloadPath": str(tmp_path)}
    page.execute_cdp_cmd("Page.setDownloadBehavior", where)
    press(page, "#download")
    until((tmp_path / "scores.csv").exists)
    with (tmp_path / "scores.csv").open(encoding="utf-8", newline="") as file:
        assert {row["customer"] for row in csv.DictReader(file)} == set(map(str, ids))


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
    score_sample(page)
    find(page, "#log")[0].clear()
    press(page, "#score")
    until(lambda: "Paste a log" in text(page, "#problem"))
    assert not find(page, "#results")[0].is_displayed()


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
        assert not find(browser, "#key")[0].is_displayed()
        press(browser, "#sample")
        until(lambda: "needs an API key" in text(browser, "#problem"))
        assert focused(browser) == "key"
        assert find(browser, "#key")[0].is_displayed()
        browser.switch_to.active_element.send_keys("wrong")
        press(browser, "#sample")
        until(lambda: "does not know this API key" in text(browser, "#problem"))
        assert find(browser, "#key")[0].get_attribute("aria-invalid") == "true"
        find(browser, "#key")[0].clear()
        find(browser, "#key")[0].send_keys(key)
        assert find(browser, "#key")[0].get_attribute("aria-invalid") is None
        press(browser, "#sample")
        until(lambda: find(browser, "#log")[0].get_property("value"))
        press(browser, "#score")
        until(lambda: len(find(browser, "#rows tr")) == 40)
        assert not find(browser, "#problem")[0].is_displayed()
    assert all("401" in error for error in errors_of(browser))


def test_a_filter_that_matches_none_says_so(page):
    """The table tells it, and there is nothing to download; the grammar is right for one."""
    page.execute_script(DROP, make_transactions(1, random_state=3).to_csv(index=False), "one.csv")
    press(page, "#score")
    until(lambda: find(page, "#rows tr"))
    assert text(page, "#summary").startswith("1 customer, ")
    assert "match" not in text(page, "#summary")
    find(page, "#filter")[0].send_keys("nobody")
    assert text(page, "#rows") == "No customer matches the filter."
    assert not find(page, "#download")[0].is_enabled()
    find(page, "#filter")[0].send_keys("\ue003" * len("nobody"))
    assert find(page, "#download")[0].is_enabled()
    assert len(find(page, "#rows th")) == 1


def test_more_customers_are_shown_on_demand(page):
    """The reader goes on where the new ones begin."""
    page.execute_script(DROP, make_transactions(250, random_state=3).to_csv(index=False), "a.csv")
    press(page, "#score")
    until(lambda: len(find(page, "#rows tr")) == 200)
    assert "The riskiest 200 are shown." in text(page, "#summary")
    press(page, "#more")
    assert page.switch_to.active_element == find(page, "#rows tr:nth-child(201) th")[0]
    assert "riskiest" not in text(page, "#summary")
    assert not find(page, "#more")[0].is_displayed()


def test_a_large_log_is_shown(page):
    """The number of customers is bounded by the app alone."""
    page.execute_script("""show({ reasons_from: "points", reasons_note: "", customers:
        Array.from({ length: 100000 }, (_, place) => ({ customer_id: place, score: 500,
          probability: place / 100000, is_high_risk: false, reasons:
            Array(3).fill({ feature: "a", reason: "no a", code: "A", points: 2 }) })) })
    """)
    assert text(page, "#rows th") == "99999"
    assert len(find(page, "#rows tr")) == 200


def test_reasons_are_sentences_with_their_codes(page):
    """The page shows what the app says, and works nothing out of a sentence."""
    score_sample(page)
    shown = text(page, ".reasons li")
    answer = page.execute_script("return customers[0].reasons[0]")
    assert answer["reason"] in shown
    assert answer["code"] in shown
    assert "__" not in shown
    points = round(answer["points"])
    assert text(page, ".reasons .points") == ("1 point" if points == 1 else f"{points} points")


def test_a_model_without_reasons_has_no_column_for_them(browser, trained, tmp_path):
    """It is said once why there are none."""
    trained["decision_tree"].save(tmp_path)
    with running(tmp_path) as (address, _):
        browser.get(address)
        score_sample(browser)
        assert "no reasons are given" in text(browser, "#note")
        heads = [head.text for head in find(browser, "thead th") if head.is_displayed()]
        assert heads == ["Customer", "Score", "Probability", "Risk"]
        assert len(find(browser, "#rows tr:first-child > *")) == 4


@pytest.mark.parametrize("width", [320, 360, 768, 900, 1280])
def test_a_narrow_screen_shows_all_of_a_customer(page, width, tmp_path):
    """Nothing is cut off or beside the screen, and it is still a table to a screen reader."""
    score_sample(page)
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        ends = page.execute_script("""return [
            document.documentElement.scrollWidth,
            ...[...document.querySelectorAll("#rows tr:first-child *")]
              .map((part) => part.getBoundingClientRect().right)]""")
        height = find(page, "#rows tr")[0].size["height"]
        tree = page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        page.save_screenshot(str(tmp_path / f"{width}.png"))
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert max(ends) <= width
    assert height < 400  # half a screen, for three sentences and their bars
    roles = [node["role"]["value"] for node in tree if not node["ignored"]]
    assert roles.count("row") == 41
    assert roles.count("rowheader") == 40
    assert roles.count("columnheader") == 5


def test_every_control_has_a_name(page):
    """Fields and buttons are told by a screen reader."""
    score_sample(page)
    tree = page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    controls = {"button", "textbox", "searchbox", "checkbox", "link"}
    named = [node["name"]["value"] for node in tree if node["role"]["value"] in controls]
    assert len(named) >= 8
    assert all(named)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_edges_of_fields_can_be_seen(page, scheme):
    """Their contrast is 3:1 or more."""
    with preferring(page, scheme):
        for selector in ("#log", "#key", "#filter"):
            assert min(page.execute_script(CONTRAST, selector)) >= 3


def test_the_page_is_dark_where_the_reader_wants_it(page, tmp_path):
    """Dark mode turns paper and ink round, in the results as well."""
    bright = [page.execute_script(BRIGHTNESS, "body", "backgroundColor")]
    with preferring(page, "dark"):
        score_sample(page)
        bright += [page.execute_script(BRIGHTNESS, "body", "backgroundColor")]
        for selector in ("#rows th", "#rows td", ".reasons li", "#summary", "#log"):
            assert page.execute_script(BRIGHTNESS, selector, "color") > 0.6
        page.save_screenshot(str(tmp_path / "dark.png"))
    assert bright[0] > 0.8
    assert bright[1] < 0.2


def test_the_interface_is_shown_without_a_network(browser, address):
    """Swagger UI draws the operations from what the app itself serves, dark where wanted."""
    browser.get(f"{address}/docs")
    until(lambda: find(browser, ".opblock-post"))
    assert browser.execute_script(BRIGHTNESS, ".swagger-ui", "color") < 0.4
    with preferring(browser, "dark"):
        until(lambda: browser.execute_script(BRIGHTNESS, ".swagger-ui", "color") > 0.6)
        assert browser.execute_script(BRIGHTNESS, "html", "backgroundColor") < 0.2
