"""The style that all pages share but the map's, whose points are drawn for a light ground."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

# No template; its suffix makes it part of this module's code hash.
STYLE = Markup(Path(__file__).with_suffix(".css.j2").read_text(encoding="utf-8"))  # noqa: S704 (the package's own)
