"""The page in a browser: by a picture that is dropped, pasted or photographed, by pointing and by
keyboard, at a desk and on a phone.
"""

import time

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.pages import overflow, show

# Gives the file of an input to the page, as from a file manager or from the clipboard.
FILES = "const files = new DataTransfer(); files.items.add(arguments[0].files[0]);"
DROP = """
for (const kind of ['dragover', 'drop'])
  document.body.dispatchEvent(new DragEvent(kind, {dataTransfer: files, bubbles: true}));
"""
PASTE = """
document.body.dispatchEvent(new ClipboardEvent('paste', {clipboardData: files, bubbles: true}));
"""
INPUT = (
    "const i = document.createElement('input'); i.type = 'file'; document.body.append(i); return i"
)
# Clicks the pixel of the second row and column of a map of 2x2 pixels.
CLICK = """
const map = document.getElementById('map'), box = map.getBoundingClientRect();
document.getElementById('pixel').replaceChildren();  // so that what comes is seen to come
const [clientX, clientY] = [box.left + 0.75 * box.width, box.top + 0.75 * box.height];
map.dispatchEvent(new MouseEvent('click', {clientX, clientY, bubbles: true}));
"""
TERMS = "#sum > .terms:first-of-type .term"
TABLES = """
const numbers = (text) => Number(text.replace('\\u2212', '-'));
return [...document.querySelectorAll('#sum > .terms:first-of-type .term')].map((term) =>
  [...term.querySelectorAll('table')].map((table) =>
    [...table.querySelectorAll('td')].map((cell) =>
      cell.className ? 0 : numbers(cell.title))));
"""
# Draws a map of more pixels than a call takes numbers, and gives back its range.
LARGE = """
const [done] = [...arguments].slice(-1), row = Array(400).fill(0), values = Array(400).fill(row);
import('/maps.js').then(({drawMap}) =>
  drawMap(document.createElement('canvas'), [[-1, ...row.slice(2), 2], ...values], [0], [0])
).then(done, (error) => done(String(error)));
"""
# Counts what is read aloud of the nearest pictures, from now on.
NEWS = """
window.news = [];
new MutationObserver(() => news.push(document.getElementById('nearest-news').textContent))
  .observe(document.getElementById('nearest-news'), {childList: true});
"""
# Keeps every stream of the camera, and presses the button twice while the browser still asks.
PRESS_TWICE = """
window.streams = [];
const media = navigator.mediaDevices, button = document.getElementById('photograph');
const ask = media.getUserMedia.bind(media);
media.getUserMedia = async (wish) => {
  const stream = await ask(wish);
  streams.push(stream);
  return stream;
};
button.focus();
button.click();
button.click();
"""
LIVE = "streams.flatMap((one) => one.getTracks()).filter((one) => one.readyState === 'live').length"


def wait(browser, script):
    WebDriverWait(browser, 60, 0.05).until(lambda _: browser.execute_script(f"return {script}"))


def text(browser, name):
    return browser.find_element(By.ID, name).text


def number(words):
    return float(words.replace("\u2212", "-"))


def open_page(browser, served, width, theme):
    show(browser, served.url, width, theme)
    wait(browser, "document.documentElement.dataset.ready")


def give(browser, path, event=DROP):
    chooser = browser.execute_script(INPUT)
    chooser.send_keys(str(path))
    browser.execute_script(FILES + event, chooser)
    browser.execute_script("arguments[0].remove()", chooser)
    wait(browser, "document.getElementById('pixel').textContent")


def check_digits(browser):
    """What a grid shows by its colours and where one points, it says in words too."""
    first = browser.find_element(By.CSS_SELECTOR, "#sum .term")
    first.find_element(By.TAG_NAME, "summary").send_keys(Keys.ENTER)
    wait(browser, "document.querySelectorAll('#sum .term:first-child table').length === 4")
    *grids, window, weights = first.find_elements(By.TAG_NAME, "table")
    for grid, shown in zip(grids, (window, weights), strict=True):
        script = "return [...arguments[0].querySelectorAll('td')].map((cell) => cell.%s)"
        titles = browser.execute_script(script % "title", grid)
        assert browser.execute_script(script % "textContent", shown) == titles
        box = shown.find_element(By.XPATH, "..")
        assert box.get_attribute("tabindex") == "0"
        assert "all digits" in box.get_attribute("aria-label")
    outside = grids[0].find_elements(By.CLASS_NAME, "outside")
    assert all("padding" in cell.get_attribute("textContent") for cell in outside)


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
def test_from_a_dropped_picture_to_the_sum_of_a_pixel(browser, served, digit, width, theme):
    open_page(browser, served, width, theme)
    assert browser.execute_async_script(LARGE) == [-1, 2]
    browser.execute_script(NEWS)
    give(browser, digit)
    names = served.model.class_names
    assert text(browser, "verdict").split(",")[0] in names
    assert len(browser.find_elements(By.CSS_SELECTOR, "#guesses tr")) == 5
    wait(
        browser, "document.querySelectorAll('#likes img[alt$=\"a training picture\"]').length === 6"
    )
    assert text(browser, "nearest-text").startswith("The training pictures whose features")
    *before, last = browser.execute_script("return news")
    assert before in ([], ["Looking at the training pictures ..."])
    assert last == "6 nearest training pictures found."
    layers = served.model.network.layers
    second = [layer.number for layer in layers if layer.kind == "convolution"][1]
    browser.find_element(By.CSS_SELECTOR, f"#layers option[value='{second}']").click()
    wait(
        browser,
        f"document.getElementById('pixel-title').textContent.includes('{layers[second].name}')",
    )
    browser.execute_script("document.getElementById('pixel').replaceChildren()")
    browser.find_element(By.CSS_SELECTOR, ".channel[data-channel='4']").click()
    wait(browser, "document.getElementById('pixel').textContent.includes('channel 4:')")
    size = browser.find_element(By.ID, "map").size
    assert size["width"] > 100
    browser.execute_script(CLICK)
    wait(browser, "document.getElementById('pixel').textContent.startsWith('Row 1, column 1')")
    while more := browser.find_elements(By.XPATH, "//button[text()='Show more of them']"):
        before = len(browser.find_elements(By.CSS_SELECTOR, TERMS))
        more[0].send_keys(Keys.ENTER)
        wait(browser, f"document.querySelectorAll('{TERMS}').length > {before}")
        wait(browser, "document.activeElement !== document.body")
        if not browser.find_elements(By.XPATH, "//button[text()='Show more of them']"):
            links = browser.find_elements(By.CSS_SELECTOR, "#sum .link")
            assert browser.switch_to.active_element == links[before]
    products = [
        x * w
        for inputs, weights in browser.execute_script(TABLES)
        for x, w in zip(inputs, weights, strict=True)
    ]
    assert len(products) == 5 * 5 * 10
    check_digits(browser)
    rows = browser.find_elements(By.CSS_SELECTOR, "#beside tr")
    lines = {row.text.rpartition(" ")[0]: number(row.text.rpartition(" ")[2]) for row in rows}
    value = lines["value that the network computed"]
    assert sum(products) + lines["bias"] == pytest.approx(value, abs=1e-4)
    assert lines["sum, in double precision"] == pytest.approx(value, abs=1e-5)
    assert overflow(browser) <= 0
    assert browser.get_log("browser") == []


def test_by_the_keyboard_alone(browser, served, digit):
    open_page(browser, served, 1280, "light")
    give(browser, digit)

    def press(*keys):
        ActionChains(browser).send_keys(*keys).perform()

    def reach(name):
        for _ in range(30):
            press(Keys.TAB)
            if browser.execute_script(f"return document.activeElement.closest('#{name}') !== null"):
                return
        raise AssertionError(name)

    reach("layers")
    press(Keys.ARROW_DOWN)
    wait(browser, "document.getElementById('pixel-title').textContent.includes('ReLU')")
    reach("channels")
    press(Keys.HOME)
    wait(browser, "document.getElementById('pixel').textContent.includes('channel 0')")
    press(Keys.ARROW_RIGHT)
    wait(browser, "document.getElementById('pixel').textContent.includes('channel 1')")
    reach("map")
    place = text(browser, "pixel").split(" of ")[0]
    key = Keys.ARROW_UP if place.startswith("Row 11") else Keys.ARROW_DOWN
    press(key)
    wait(browser, f"!document.getElementById('pixel').textContent.startsWith('{place} of')")
    assert browser.get_log("browser") == []


def test_what_is_not_a_picture_is_told(browser, served, tmp_path):
    open_page(browser, served, 390, "light")
    path = tmp_path / "letter.txt"
    path.write_text("Dear Sir")
    browser.find_element(By.ID, "file").send_keys(str(path))
    wait(browser, "!document.getElementById('trouble').hidden")
    assert "not an image" in text(browser, "trouble")
    assert not browser.find_element(By.ID, "walk").is_displayed()
    time.sleep(0.1)
    browser.get_log("browser")  # which notes the status 422
    assert "letter.txt" in text(browser, "trouble")


def test_a_picture_is_pasted(browser, served, digit):
    open_page(browser, served, 1280, "dark")
    give(browser, digit, PASTE)
    assert text(browser, "verdict").split(",")[0] in served.model.class_names
    browser.execute_script(f"const files = new DataTransfer(); {PASTE}")
    wait(browser, "!document.getElementById('trouble').hidden")
    assert "no picture to paste" in text(browser, "trouble")


def test_a_photograph_of_a_model_in_colour_that_rejects_it(browser, served_in_colour):
    open_page(browser, served_in_colour, 390, "light")
    browser.execute_script(PRESS_TWICE)
    wait(browser, "document.getElementById('video').videoWidth > 0")
    browser.find_element(By.ID, "shoot").click()
    wait(browser, "document.getElementById('pixel').textContent")
    assert not browser.find_element(By.ID, "camera").is_displayed()
    assert browser.execute_script("return document.getElementById('video').srcObject") is None
    assert browser.execute_script(f"return [streams.length, {LIVE}]") == [1, 0]
    assert browser.switch_to.active_element.get_attribute("id") == "photograph"
    assert text(browser, "verdict").startswith("None of these: the likeliest class, ")
    choices = browser.find_elements(By.CSS_SELECTOR, "#layers option")
    choices[0].click()
    wait(browser, "document.querySelectorAll('.channel').length === 3")
    names = [tile.text for tile in browser.find_elements(By.CLASS_NAME, "channel")]
    assert names == ["red", "green", "blue"]
    choices[-1].click()
    wait(browser, "document.getElementById('pixel-title').textContent.includes('dense layer')")
    wait(browser, "document.querySelectorAll('#sum tr').length > 2")
    names = [tile.text for tile in browser.find_elements(By.CLASS_NAME, "channel")]
    assert names == served_in_colour.model.class_names
    assert not browser.find_element(By.ID, "map").is_displayed()
    browser.find_element(By.CSS_SELECTOR, "#sum .link").click()
    layers = served_in_colour.model.network.layers
    wait(browser, f"document.getElementById('layers').value === '{len(layers) - 2}'")
    assert overflow(browser) <= 0
    assert browser.get_log("browser") == []
