from __future__ import annotations

from markupsafe import Markup, escape

from simclr_steps.summary.contents import contents


def test_each_section_is_listed_in_its_order_and_its_heading_stays_text() -> None:
    headings = {"results-1": "digits, <b>", "data": "Data & more"}
    page = Markup("").join(Markup('<h2 id="{}">{}</h2><h3 id="x">y</h3>').format(*one) for one in headings.items())
    assert contents(page) == [(name, escape(heading)) for name, heading in headings.items()]
    assert all(escape(heading) == heading for _, heading in contents(page)), "it is not escaped a second time"
