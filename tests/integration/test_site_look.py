"""What looks at the site sees what reads badly on a phone. The site itself is looked at by `nox -s docs`."""

from pathlib import Path

import pytest

from docs.site.look import SIZES, look_at
from tests.support.browser import open_browser
from tests.support.unavailable import ServerUnavailable

pytestmark = [pytest.mark.integration, pytest.mark.once]

_HEAD = '<!doctype html><meta name="viewport" content="width=device-width,initial-scale=1"><article>'


def test_what_a_phone_shows_badly_is_told(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    planted = {
        "<p>nothing</p>": [],
        '<div style="width: 500px">wide</div>': ["is "],
        '<div style="overflow: auto"><div style="width: 500px">wide, in a box</div></div>': [],
        '<p style="font-size: 9px">small</p>': ["has words too small to read: 'small'"],
        '<img src="http://127.0.0.1:9/a.png">': ["loads http://127.0.0.1:9/a.png", "makes the browser say"],
    }
    try:
        with open_browser() as browser:
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", SIZES["phone"])
            for body, told in planted.items():
                page.write_text(_HEAD + body, encoding="utf-8")
                problems = list(look_at(browser, page.as_uri(), 390))
                assert len(problems) == len(told), (body, problems)
                assert all(map(str.startswith, problems, told)), (body, problems)
    except ServerUnavailable as error:
        pytest.skip(str(error))
