"""What `barnabeenet-sidecar doctor` finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; "missing" keeps the sidecar from serving, "warning" costs something.

    `commands` are what to run about it, to be copied as they are.
    """

    subject: str
    state: Literal["ok", "warning", "missing"]
    detail: str
    advice: str = ""
    commands: Sequence[str] = ()
