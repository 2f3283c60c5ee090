"""What is wrong with a manifest, in the words of somebody who wrote it by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_LINES_MAX: Final = 20
_BEGIN: Final = "each model begins with a line [[model]]"
_SHORT: Final = 'letters, digits, ".", "_" and "-", 64 at most, in quotes'
_SOURCE: Final = (
    '{ type = "web", url = "..." }, { type = "huggingface", repo = "...", revision = "..." } or '
    '{ type = "package", package = "..." }'
)
# What each field must be; the end of a sentence that begins with its name.
_MEANINGS: Final[Mapping[str, str]] = {
    "name": f"lower-case {_SHORT}",
    "description": "a text of 200 characters at most",
    "capability": "stt, tts, embedding, voice_print or wake",
    "version": f'{_SHORT}, such as "1"',
    "licence": 'a text of 64 characters at most, such as "MIT"',
    "vram_mb": "a whole number of megabytes, 0 for the processor",
    "priority": "1, 2 or 3 without quotes; 1 is loaded first",
    "preload": "true or false",
    "source": _SOURCE,
    "type": '"web", "huggingface" or "package"',
    "url": 'the address of a folder, from http:// or https:// to a last "/"',
    "repo": '"OWNER/NAME", without an address before it',
    "revision": "a whole commit, 40 digits of 0-9 and a-f; a branch or tag would change",
    "package": "the name of a Python package",
    "files": 'a list of { path = "..." }, 256 at most',
    "path": "the path of a file below the source, in quotes",
    "size": "a whole number of bytes, 64 GB at most, without quotes",
    "sha256": "64 digits of 0-9 and a-f in quotes",
}


def in_words(where: str, data: Mapping[str, Any], err: ValidationError) -> str:
    """One line for each thing that is wrong, with the file's name first."""
    problems = err.errors()
    outside = [str(problem["loc"][0]) for problem in problems if problem["loc"][0] != "model"]
    if outside:
        return f"{where}: {_BEGIN}; outside of one there is {', '.join(outside)}"
    # The rest is likely to be wrong in the same way.
    shown = problems[:_LINES_MAX]
    lines = [_line(data, problem) for problem in shown if not _follows(problem, shown)]
    if len(problems) > len(shown):
        lines.append(f"and {len(problems) - len(shown)} more")
    return "\n".join(f"{where}: {line}" for line in lines)


def _follows(problem: ErrorDetails, problems: Sequence[ErrorDetails]) -> bool:
    """Whether it only follows from one further in, as a list that is empty because its entry is wrong."""
    place = problem["loc"]
    return any(other["loc"][: len(place)] == place != other["loc"] for other in problems)


def _line(data: Mapping[str, Any], problem: ErrorDetails) -> str:
    if len(problem["loc"]) == 1:
        return "there may be 256 models at most" if problem["type"] == "too_long" else _BEGIN
    _, index, *inner = problem["loc"]
    entry = data["model"][index]
    name = entry.get("name") if isinstance(entry, dict) else None
    model = f"model {name}" if isinstance(name, str) else f"model number {int(index) + 1}"
    if not inner:
        message = problem["msg"].removeprefix("Value error, ")
        return f"{model}: {message if problem['type'] == 'value_error' else _BEGIN}"
    place = ": ".join(_places(entry, inner))
    return f"{model}: {f'{place}: ' if place else ''}{_wrong(str(inner[-1]), problem)}"


def _places(entry: Mapping[str, Any], inner: Sequence[int | str]) -> Iterator[str]:
    match inner:
        case ("files", int(index), *_):
            file = entry["files"][index]
            path = file.get("path") if isinstance(file, dict) else None
            yield f"file {path}" if isinstance(path, str) else f"file number {index + 1}"
        case ("source", _, *_):
            yield "source"


def _wrong(field: str, problem: ErrorDetails) -> str:
    match problem["type"]:
        case "extra_forbidden":
            meant = get_close_matches(field, _MEANINGS, n=1)
            return f"there is no field {field}" + (f": did you mean {meant[0]}?" if meant else "")
        case "missing":
            return f"{field} is missing: it must be {_MEANINGS[field]}"
        case "value_error":
            return f"{field}: {problem['msg'].removeprefix('Value error, ')}"
    # The entry of a list has no name, only a number.
    return f"{field} must be {_MEANINGS[field]}" if field in _MEANINGS else 'it must be { path = "..." }'
