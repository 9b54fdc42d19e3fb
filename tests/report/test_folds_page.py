"""The page of several trainings, as a browser shows it, and its intervals."""

import numpy as np
import pytest
from selenium.webdriver.common.by import By

from hw2.report import folds
from hw2.report.accuracy import Share
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


def test_intervals_are_wilsons_and_within_0_and_1(monkeypatch):
    drawn = []
    monkeypatch.setattr(folds, "svg", lambda figure, alt: drawn.append(figure) or "")
    tops = {"one": 1.0, "two": 0.0, "three": 0.9}
    trainings = [{"name": name, "top1": top, "num_examples": 20} for name, top in tops.items()]
    assert "Wilson's" in folds._tops(trainings).caption
    [axes] = drawn[0].axes
    _, _, [bars] = axes.containers[0]
    ends = [line[:, 0] for line in bars.get_segments()]
    expected = [Share(right, 20).interval for right in (20, 0, 18)]
    np.testing.assert_allclose(ends, expected, atol=1e-12)
    assert np.min(ends) >= 0
    assert np.max(ends) <= 1
    assert (np.diff(ends) > 0.1).all()
