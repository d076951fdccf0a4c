"""Write the captions of Snakemake's report into workflow/report/.

Run `python -m simclr_steps.summary.write_captions` in the repository's root after changing a caption.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from simclr_steps.files import write_text
from simclr_steps.summary.captions import PAGE, PICTURES, PLOTS

REPORT = Path("workflow/report")


def main() -> None:
    """Write a file for each plot, and one for the page."""
    for name, text in captions().items():
        write_text(REPORT / name, text)


def captions() -> dict[str, str]:
    """Return the files' contents by name, in reStructuredText that Snakemake reads as Jinja."""
    texts = {name: caption.long for name, caption in (PLOTS | PICTURES).items()} | {"summary": PAGE}
    return {f"{name}.rst": restructured(text) for name, text in texts.items()}


def restructured(text: str) -> str:
    """Return a caption as a paragraph that shows every character as it is, with the data set's name filled in."""
    marked = re.sub(r"[\\*_`|]", r"\\\g<0>", text).replace("{dataset}", "{{snakemake.wildcards.dataset}}")
    return textwrap.fill(marked, 128, break_on_hyphens=False) + "\n"


if __name__ == "__main__":
    main()
