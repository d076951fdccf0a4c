"""What all tests share."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer --may-skip, by which CI learns of tests that something on its machine has hidden."""
    parser.addoption("--may-skip", metavar="REGEX", help="fail if a test is skipped for a reason that does not match")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail where tests were skipped for other reasons than --may-skip allows."""
    allowed = session.config.getoption("--may-skip")
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if allowed is None or reporter is None:  # one of several processes reports for all
        return
    reasons = {str(report.longrepr[2]) for report in reporter.stats.get("skipped", [])}
    hidden = [reason for reason in reasons if not re.search(allowed, reason)]
    if hidden:
        reporter.write_line(f"\nskipped, although --may-skip does not allow it: {hidden}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest tests first, so that several processes end together; skip those marked `gpu` without a GPU."""
    items.sort(key=_seconds, reverse=True)
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device, and there is none"))


def _seconds(item: pytest.Item) -> float:
    """Return how long a test takes on two cores by its mark `slow`, 0 where that does not say."""
    mark = item.get_closest_marker("slow")
    return float(mark.args[0]) if mark and mark.args else 0.0


@pytest.fixture(scope="session")
def originals() -> Path:
    """Return the folder of real CIFAR-10 and MNIST files."""
    folder = os.environ.get("SIMCLR_TEST_DATA")
    if not folder:
        pytest.skip("SIMCLR_TEST_DATA names no folder with the files of CIFAR-10 and MNIST")
    return Path(folder)
