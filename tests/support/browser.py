"""A browser without a window, for the tests that look at pages as a person does."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from tests.support.unavailable import ServerUnavailable

__all__ = ["open_browser"]


@contextmanager
def open_browser(*, width: int = 1280, height: int = 900) -> Iterator[Chrome]:
    """Run Chromium with an empty profile. Raises ServerUnavailable where there is none.

    Nothing is downloaded: neither the browser nor the driver, which have to fit each other.
    """
    driver = shutil.which("chromedriver")
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if driver is None or browser is None:
        raise ServerUnavailable("no Chromium with its driver is here: apt-get install chromium-driver")
    with tempfile.TemporaryDirectory() as profile:
        options = ChromeOptions()
        options.binary_location = browser
        for argument in (
            "--headless=new",
            "--no-sandbox",  # it refuses to run as root with one
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--disable-background-networking",
            "--no-proxy-server",
            "--hide-scrollbars",
            f"--user-data-dir={profile}",
            f"--window-size={width},{height}",
        ):
            options.add_argument(argument)
        try:
            chrome = Chrome(options=options, service=Service(driver))
        except WebDriverException as error:
            raise ServerUnavailable(f"Chromium does not start here: {error.msg}") from error
        try:
            yield chrome
        finally:
            chrome.quit()
