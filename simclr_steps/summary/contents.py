"""The contents of a page, from its headings, so that no section can be missing."""

from __future__ import annotations

import re

from markupsafe import Markup

_HEADING = re.compile(r'<h2 id="([^"]+)">(.*?)</h2>', re.DOTALL)


def contents(page: Markup) -> list[tuple[Markup, Markup]]:
    """Return the anchor and the words of each section's heading, which are HTML as those of the page are."""
    return [(Markup(anchor), Markup(heading)) for anchor, heading in _HEADING.findall(page)]  # noqa: S704 (see above)
