"""The page as a browser shows it, at the width of a desk and of a phone."""

import re

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.pages import overflow, show

UNDRAWN = """
document.querySelectorAll('img').forEach(image => image.loading = 'eager');
const images = [...document.images];
await Promise.allSettled(images.map(image => image.decode()));
const empty = images.filter(image => !image.naturalWidth || !image.alt || !image.clientWidth);
const svgs = [...document.querySelectorAll('figure svg')];
const flat = svgs.filter(svg => svg.getBoundingClientRect().height < 50);
const unnamed = svgs.filter(svg => !svg.getAttribute('aria-label'));
arguments[0]([images.length, svgs.length, empty.length + flat.length + unnamed.length]);
"""


def background(browser):
    return browser.execute_script("return getComputedStyle(document.documentElement).background")


def check_keys(browser, readout):
    """From the first cell, which Tab reaches, to the second on the diagonal, and to an edge."""
    away = browser.find_element(By.ID, "readout")  # or cells that scroll below the mouse are shown
    ActionChains(browser).move_to_element(away).perform()
    [cell] = browser.find_elements(By.CSS_SELECTOR, "#matrix td[tabindex='0']")
    browser.execute_script("arguments[0].focus()", cell)
    assert readout != browser.find_element(By.ID, "readout").text
    keys = [Keys.ARROW_RIGHT, Keys.ARROW_DOWN]
    ActionChains(browser).send_keys(*keys).perform()
    assert browser.find_element(By.ID, "readout").text == readout
    assert len(browser.find_elements(By.CSS_SELECTOR, "#matrix td[tabindex='0']")) == 1
    ActionChains(browser).send_keys(*[Keys.ARROW_UP] * 3).perform()
    focused = browser.switch_to.active_element
    assert browser.execute_script("return arguments[0].closest('tr').rowIndex", focused) == 1
    heads = browser.find_elements(By.CSS_SELECTOR, "#matrix th")
    assert all(head.get_attribute("aria-label") == head.get_attribute("title") for head in heads)


def check(browser, page, classes):
    for width, theme in ((1280, "light"), (390, "dark")):
        show(browser, page.as_uri(), width, theme)
        script = f"(async () => {{ {UNDRAWN} }}).apply(null, arguments)"
        images, svgs, undrawn = browser.execute_async_script(script)
        assert images > classes
        assert svgs >= 6
        assert undrawn == 0
        assert overflow(browser) <= 0
        before = background(browser)
        button = browser.find_element(By.ID, "theme")
        assert button.text == {"light": "Dark theme", "dark": "Light theme"}[theme]
        button.click()
        assert background(browser) != before
        diagonal = browser.find_elements(By.CSS_SELECTOR, "#matrix td.d")
        assert len(diagonal) == classes
        cell = diagonal[1]
        browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", cell)
        ActionChains(browser).move_to_element(cell).perform()
        readout = browser.find_element(By.ID, "readout").text
        assert re.fullmatch(rf".+, found: {cell.text or 0} \(\d+\.\d % of \d+\)", readout)
        check_keys(browser, readout)
        assert browser.get_log("browser") == []


@pytest.mark.parametrize(
    ("run", "classes"),
    [("fashion_run", 10), pytest.param("run_of_65", 65, marks=pytest.mark.slow)],
)
def test_all_is_drawn_and_nothing_overflows(request, browser, report, run, classes):
    page, result = report(request.getfixturevalue(run), flags=["--num_examples=65"])
    assert result["missing"] == []
    assert result["bytes"] < 8_000_000
    check(browser, page, classes)


def test_a_comparison_is_drawn(browser, report, digits_run):
    page, _ = report(digits_run, digits_run)
    show(browser, page.as_uri(), 390, "light")
    assert len(browser.find_elements(By.CSS_SELECTOR, "figure svg")) == 4
    assert overflow(browser) <= 0
    assert browser.get_log("browser") == []
