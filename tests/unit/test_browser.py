"""The browser of the tests notices what a page must not do."""

from __future__ import annotations

from pathlib import Path

from tests.unit.browser import needs_chromium, visit


@needs_chromium
def test_the_browser_notices_a_request_and_an_error(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text('<img src="https://example.org/x.png"><script>throw new Error("boo")</script>')
    seen = visit(page, tmp_path / "browser")
    assert seen.requests == ["https://example.org/x.png"]
    assert "boo" in "".join(seen.console)
