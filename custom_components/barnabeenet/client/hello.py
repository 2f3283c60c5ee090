"""The mutual hello: both sides prove the token before anything else is said."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from wyoming.error import Error

from . import messages
from .errors import ContractMismatch, Impostor, NotASidecar, SidecarTimeout, refusal
from .messages import CONTRACT_VERSION, Challenge, Hello, Message, MessageError, Proof, Welcome
from .proof import new_nonce, proof, proves
from .wire import WireError, read_event, write_event

AnswerT = TypeVar("AnswerT", bound=Message)

# The codes of a refusal that belongs to the hello; any other error event comes from something that does not know it.
_HELLO_CODES = frozenset({"unauthorized", "contract-mismatch", "back-off", "busy", "draining", "timeout"})


async def shake_hands(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    token: str,
    *,
    home: str,
    software: str,
    certificate: str = "",
) -> Welcome:
    """Proves the token to the sidecar and has it prove it to us, both over the certificate of the connection.

    Raises Unauthorized, Impostor, ContractMismatch, BackingOff, Busy, NotASidecar, SidecarTimeout, or OSError when the
    other side is gone.
    """
    nonce = new_nonce()
    await write_event(writer, Hello(CONTRACT_VERSION, nonce, home, software).event())
    challenge = await _answer(reader, Challenge)
    if challenge.contract != CONTRACT_VERSION:
        behind = "sidecar" if challenge.contract < CONTRACT_VERSION else "integration"
        raise ContractMismatch(
            f"The sidecar speaks contract version {challenge.contract}, the integration {CONTRACT_VERSION}: "
            f"update the {behind}",
            code="contract-mismatch",
        )
    await write_event(
        writer, Proof(proof(token, "integration", nonce, challenge.nonce, certificate=certificate)).event()
    )
    welcome = await _answer(reader, Welcome)
    if not proves(welcome.proof, token, "sidecar", nonce, challenge.nonce, certificate=certificate):
        raise Impostor("The other side does not know the pairing token: it is not the paired sidecar")
    return welcome


async def _answer(reader: asyncio.StreamReader, expected: type[AnswerT]) -> AnswerT:
    """The expected message; raises what its absence means."""
    try:
        event = await read_event(reader)
    except WireError as error:
        if error.code == "timeout":
            raise SidecarTimeout(f"The sidecar stopped in the middle of the hello: {error}") from error
        raise NotASidecar(f"What answers there is not a BarnabeeNet sidecar: {error}") from error
    if event is None:
        raise ConnectionResetError("it hung up")
    try:
        if Error.is_type(event.type):
            told = Error.from_event(messages.check(event))
            if told.code in _HELLO_CODES:
                raise refusal(told.text, told.code)
            raise NotASidecar(f"What answers there refuses the hello: {told.text[:100]}")
        return expected.from_event(event)
    except MessageError as error:
        raise NotASidecar(f"What answers there is not a BarnabeeNet sidecar: {error}") from error
