"""Seconds as people say them. Imports no torch."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Return seconds as `1h02m`, `3m07s` or `12s`."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 60}m{whole % 60:02d}s" if whole >= 60 else f"{whole}s"
