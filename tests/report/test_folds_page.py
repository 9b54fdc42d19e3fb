"""The page of several trainings, as a browser shows it."""

import pytest
from selenium.webdriver.common.by import By

from hw2.report import folds
from tests.pages import overflow, show
from tests.report.test_browser import UNDRAWN, background


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
def test_all_is_drawn_and_nothing_overflows(browser, two_folds, width, theme):
    folds.build(two_folds)
    show(browser, (two_folds.folder / folds.PAGE).as_uri(), width, theme)
    script = f"(async () => {{ {UNDRAWN} }}).apply(null, arguments)"
    images, svgs, undrawn = browser.execute_async_script(script)
    assert images == min(len(two_folds.suspects), folds.MOST) > 0
    assert (svgs, undrawn) == (2, 0)
    assert overflow(browser) <= 0
    before = background(browser)
    browser.find_element(By.ID, "theme").click()
    assert background(browser) != before
    assert browser.get_log("browser") == []
