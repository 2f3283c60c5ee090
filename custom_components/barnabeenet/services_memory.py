"""The actions remember, recall and forget: in the name of who calls them, or of whom an administrator names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from homeassistant.const import ATTR_CONFIG_ENTRY_ID
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.helpers import config_validation as cv
from homeassistant.util import dt as dt_util
import probatio

from .const import DOMAIN
from .dialog.memories import VISIBILITIES, Kept, Memories
from .services_common import brain_of, failed, invalid
from .state.errors import StateError
from .who import speaker_named, speaker_of_user

ATTR_BEFORE: Final = "before"
ATTR_EVERYTHING: Final = "everything"
ATTR_KIND: Final = "kind"
ATTR_LIMIT: Final = "limit"
ATTR_MEMORY_ID: Final = "memory_id"
ATTR_QUERY: Final = "query"
ATTR_SPEAKER: Final = "speaker"
ATTR_TEXT: Final = "text"
ATTR_VISIBILITY: Final = "visibility"

TEXT_MAX_CHARS: Final = 10_000
QUERY_MAX_CHARS: Final = 1_000
LIMIT_MAX: Final = 50
# Pages that are looked through for those of a kind.
_PAGES_MAX: Final = 20
_PAGE: Final = 100

_ID: Final = probatio.All(probatio.Coerce(int), probatio.Range(min=1))
_WHO: Final[dict[Any, Any]] = {
    probatio.Optional(ATTR_CONFIG_ENTRY_ID): cv.string,
    probatio.Optional(ATTR_SPEAKER): probatio.All(cv.string, probatio.Length(min=1, max=255)),
}
_KIND: Final = probatio.All(cv.string, probatio.Length(min=1, max=32))
_REMEMBER: Final = probatio.Schema(
    {
        **_WHO,
        probatio.Required(ATTR_TEXT): probatio.All(cv.string, str.strip, probatio.Length(min=1, max=TEXT_MAX_CHARS)),
        probatio.Optional(ATTR_VISIBILITY, default="owner"): probatio.In(VISIBILITIES),
    }
)
_RECALL: Final = probatio.Schema(
    {
        **_WHO,
        probatio.Optional(ATTR_QUERY): probatio.All(cv.string, probatio.Length(min=1, max=QUERY_MAX_CHARS)),
        probatio.Optional(ATTR_KIND): _KIND,
        probatio.Optional(ATTR_LIMIT, default=10): probatio.All(
            probatio.Coerce(int), probatio.Range(min=1, max=LIMIT_MAX)
        ),
        probatio.Optional(ATTR_BEFORE): _ID,
    }
)
_FORGET: Final = probatio.Schema(
    {
        **_WHO,
        probatio.Optional(ATTR_MEMORY_ID): _ID,
        probatio.Optional(ATTR_EVERYTHING, default=False): cv.boolean,
    }
)


@callback
def async_register(hass: HomeAssistant) -> None:
    """Registers the actions."""
    register, optional = hass.services.async_register, SupportsResponse.OPTIONAL
    register(DOMAIN, "remember", _remember, _REMEMBER, supports_response=optional)
    register(DOMAIN, "recall", _recall, _RECALL, supports_response=SupportsResponse.ONLY)
    register(DOMAIN, "forget", _forget, _FORGET, supports_response=optional)


async def _remember(call: ServiceCall) -> ServiceResponse:
    memories, speaker = brain_of(call).memories, await _speaker(call)
    try:
        kept = await memories.remember(
            call.data[ATTR_TEXT],
            speaker=speaker,
            visibility=call.data[ATTR_VISIBILITY],
            language=call.hass.config.language,
        )
    except (StateError, ValueError) as error:
        raise failed(error) from error
    return {"memory": _told(kept)} if call.return_response else None


async def _recall(call: ServiceCall) -> ServiceResponse:
    memories, speaker = brain_of(call).memories, await _speaker(call)
    query, kind, limit = call.data.get(ATTR_QUERY), call.data.get(ATTR_KIND), call.data[ATTR_LIMIT]
    if query is not None and ATTR_BEFORE in call.data:
        raise invalid("query_or_before")
    try:
        if query is None:
            newest = await _newest(memories, speaker, kind, limit, call.data.get(ATTR_BEFORE))
            return {"memories": [_told(each) for each in newest]}
        found = await memories.recall(query, speaker=speaker, limit=limit, kinds=None if kind is None else [kind])
    except (StateError, ValueError) as error:
        raise failed(error) from error
    return {"memories": [{**_told(each.memory), "similarity": round(each.similarity, 3)} for each in found]}


async def _forget(call: ServiceCall) -> ServiceResponse:
    memory_id, everything = call.data.get(ATTR_MEMORY_ID), call.data[ATTR_EVERYTHING]
    if (memory_id is not None) == everything:
        raise invalid("memory_or_everything")
    memories, speaker = brain_of(call).memories, await _speaker(call)
    try:
        if memory_id is None:
            forgotten = await memories.forget_all_of(speaker)
        else:
            forgotten = int(await memories.forget(memory_id, speaker=speaker))
    except (StateError, ValueError) as error:
        raise failed(error) from error
    if memory_id is not None and not forgotten:
        raise invalid("no_memory", memory=str(memory_id))
    return {"forgotten": forgotten} if call.return_response else None


async def _newest(memories: Memories, speaker: str, kind: str | None, limit: int, before: int | None) -> Sequence[Kept]:
    """The newest that the speaker may see, of one kind or of all."""
    if kind is None:
        return await memories.page(speaker=speaker, limit=limit, before=before)
    found: list[Kept] = []
    for _ in range(_PAGES_MAX):
        page = await memories.page(speaker=speaker, limit=_PAGE, before=before)
        found += [each for each in page if each.kind == kind]
        if len(page) < _PAGE or len(found) >= limit:
            break
        before = page[-1].id
    return found[:limit]


async def _speaker(call: ServiceCall) -> str:
    """In whose name this is; raises ServiceValidationError."""
    hass, named, user_id = call.hass, call.data.get(ATTR_SPEAKER), call.context.user_id
    user = None if user_id is None else await hass.auth.async_get_user(user_id)
    if user_id is not None and user is None:
        raise invalid("unknown_user")
    if named is None:
        if user is None:
            raise invalid("speaker_missing")
        return speaker_of_user(hass, user.id)
    if user is not None and not user.is_admin:
        raise invalid("speaker_for_admins")
    speaker = speaker_named(hass, named)
    if speaker is None:
        raise invalid("unknown_speaker", person=named)
    return speaker


def _told(memory: Kept) -> dict[str, Any]:
    return {
        "id": memory.id,
        "text": memory.text,
        "speaker": memory.owner,
        "visibility": memory.visibility,
        "kind": memory.kind,
        "at": dt_util.utc_from_timestamp(memory.at).isoformat(),
    }
