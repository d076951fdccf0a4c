"""How durations and rates are written, in log lines and in results."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Return a duration as people write it: 42 s, 3 min 20 s, 2 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def per_second(rate: float) -> str:
    """Return a number per second as people write it: 1,234, 5.6 and 0.078, never 0."""
    return f"{rate:,.0f}" if rate >= 9.95 else f"{rate:.2g}"
