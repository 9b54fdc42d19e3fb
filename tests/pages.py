"""Pages in a browser: at the width of a desk and of a phone, light and dark."""


def show(browser, address, width, theme):
    """Opens a page with nothing kept of an earlier visit, and forgets what the browser logged."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    wish = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wish})
    browser.get(address)
    browser.execute_script("try { localStorage.clear() } catch (error) {}")
    browser.get(address)
    browser.get_log("browser")


def overflow(browser):
    """By how many pixels the page is wider than the window."""
    root = "document.documentElement"
    return browser.execute_script(f"return {root}.scrollWidth - {root}.clientWidth")
