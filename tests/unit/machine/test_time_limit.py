from __future__ import annotations

import re
import signal
import time

import pytest

from simclr_steps.machine.time_limit import time_limit


def test_what_computes_without_end_is_ended() -> None:
    with pytest.raises(TimeoutError, match="too long"), time_limit(0.2, TimeoutError("too long")):
        re.search("^(a+)+$", 40 * "a" + "b")


def test_waiting_does_not_count_and_nothing_is_left_behind() -> None:
    before = signal.getsignal(signal.SIGVTALRM)
    with time_limit(0.2, TimeoutError("too long")):
        time.sleep(0.5)
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)
    assert signal.getsignal(signal.SIGVTALRM) == before
