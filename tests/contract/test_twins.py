"""HACS ships the component alone, so the two sides cannot share a module: they must not drift apart."""

from __future__ import annotations

import ast
from pathlib import Path
import sys

import pytest


@pytest.mark.parametrize("name", ["wire.py", "messages.py"])
def test_both_sides_hold_the_same_bytes(twins: dict[str, Path], name: str) -> None:
    assert (twins["integration"] / name).read_bytes() == (twins["sidecar"] / name).read_bytes()


@pytest.mark.parametrize("name", ["wire.py", "messages.py"])
def test_a_twin_needs_only_the_standard_library_and_wyoming(twins: dict[str, Path], name: str) -> None:
    tree = ast.parse((twins["sidecar"] / name).read_text(encoding="utf-8"))
    imported = {
        alias.name if isinstance(node, ast.Import) else node.module or "."
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert {module for module in imported if module.split(".")[0] not in sys.stdlib_module_names} == {"wyoming.event"}
