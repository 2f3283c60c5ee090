"""The form of every HTTP answer: one to a connection, JSON with a line's end, errors as {code, text} like Wyoming's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
import json
from typing import Final, TypeAlias

from aiohttp import web

from ..errors import BadRequest, Busy, Draining, EngineUnavailable, SidecarError, Unsupported
from ..telemetry.metrics import Metrics

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

_STATUSES: Final[Mapping[type[SidecarError], int]] = {
    BadRequest: 400,
    Unsupported: 400,
    EngineUnavailable: 503,
    Busy: 503,
    Draining: 503,
}
_CODES: Final[Mapping[int, str]] = {404: "not-found", 405: "bad-request", 413: "too-large"}


class HttpRefused(SidecarError):
    """A request that is refused with a status of its own; `code` is what the client is told."""

    def __init__(self, status: int, code: str, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status, self.told_code, self.headers = status, code, dict(headers or {})


def json_answer(data: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Data as indented JSON: people read it too."""
    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    return web.json_response(text=text, status=status, headers=headers)


def answering(metrics: Metrics, endpoints: Sequence[str]) -> Callable[..., Awaitable[web.StreamResponse]]:
    """The middleware that turns errors into answers, counts them, and ends the connection after them."""

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await _answer(request, handler, endpoints)
        resource = request.match_info.route.resource
        metrics.http_request(resource.canonical if resource else "other", response.status)
        response.force_close()
        return response

    return answer


async def _answer(request: web.Request, handler: Handler, endpoints: Sequence[str]) -> web.StreamResponse:
    try:
        return await handler(request)
    except HttpRefused as err:
        return _problem(err.status, err.told_code, str(err), err.headers)
    except SidecarError as err:
        status = next((status for kind, status in _STATUSES.items() if isinstance(err, kind)), 500)
        return _problem(status, err.code, str(err))
    except web.HTTPNotFound:
        return _problem(404, _CODES[404], f"there is no such endpoint; there are: {', '.join(endpoints)}")
    except web.HTTPException as err:
        allowed = {"Allow": err.headers["Allow"]} if "Allow" in err.headers else {}
        advice = f": use {err.headers['Allow']}" if allowed else ""
        return _problem(err.status, _CODES.get(err.status, "bad-request"), f"{err.reason.lower()}{advice}", allowed)


def _problem(status: int, code: str, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return json_answer({"code": code, "text": text}, status, headers)
