"""One root for all that goes wrong, and what the sidecar's codes become."""

from __future__ import annotations

import pytest

from custom_components.barnabeenet.client import errors
from custom_components.barnabeenet.client.errors import REQUEST_CODES, RequestFailed, SidecarError, refusal

CONTRACT_CODES = [
    "bad-frame",
    "too-large",
    "timeout",
    "unauthorized",
    "contract-mismatch",
    "back-off",
    "busy",
    "bad-request",
    "unsupported",
    "engine-failed",
    "draining",
]


def test_every_code_of_the_contract_stands_in_its_text(root) -> None:
    section = (root / "contract" / "README.md").read_text().split("## Errors")[1]
    assert all(f"`{code}`" in section for code in CONTRACT_CODES)


@pytest.mark.parametrize("code", CONTRACT_CODES)
def test_a_code_becomes_an_error_that_keeps_text_and_code(code: str) -> None:
    error = refusal("do this", code)
    assert isinstance(error, SidecarError)
    assert (str(error), error.code) == ("do this", code)
    assert isinstance(error, RequestFailed) == (code in REQUEST_CODES)


@pytest.mark.parametrize("code", [None, "", "a code of tomorrow"])
def test_an_unknown_code_fails_the_request(code: str | None) -> None:
    assert type(refusal("do this", code)) is RequestFailed


def test_an_error_is_raised_again_without_its_past() -> None:
    try:
        raise errors.Busy("full", code="busy")
    except errors.Busy as error:
        again = error.again()
    assert type(again) is errors.Busy
    assert (str(again), again.code, again.__traceback__) == ("full", "busy", None)
