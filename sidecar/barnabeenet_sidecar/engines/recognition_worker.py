"""The child process that recognises: PocketSphinx holds the interpreter's lock, and may be killed when it hangs.

Run as a module by `WorkerProcess`; reads requests from its standard input until that ends.
"""

from __future__ import annotations

from dataclasses import asdict
import json
import logging
import os
from pathlib import Path
import signal
import sys
from typing import BinaryIO, Final

from ..errors import SidecarError
from ..telemetry.logs import configure_child
from .base import Transcription, Vocabulary
from .utterance import PRONUNCIATIONS, Utterance
from .worker_protocol import HEADER, Kind, pack, unpack_header

_LOGGER = logging.getLogger(__name__)
# Compiling must not slow down those who are speaking.
_COMPILE_NICENESS: Final = 10


class Worker:
    """Answers requests, one after the other."""

    def __init__(self) -> None:
        self._folder = ""
        self._utterance: Utterance | None = None

    def answer(self, kind: Kind, body: bytes) -> bytes:
        """The body of the answer to a request; raises SidecarError for one that cannot be met."""
        if kind is Kind.COMPILE:
            return _compile(body)
        if kind is Kind.BEGIN:
            return self._begin(body.decode())
        if kind is Kind.END and self._utterance is None:
            return b""
        return self._hear(kind, body)

    def _hear(self, kind: Kind, body: bytes) -> bytes:
        utterance = self._utterance
        if utterance is None:
            raise SidecarError(f"{kind.name} came before BEGIN")
        if kind is Kind.PARTIAL:
            return _encoded(utterance.partial())
        if kind is Kind.DECODE:
            return _encoded(utterance.decode())
        if kind is Kind.AUDIO:
            utterance.feed(body)
        else:
            utterance.restart()
        return b""

    def _begin(self, folder: str) -> bytes:
        if folder == self._folder and self._utterance is not None:
            self._utterance.restart()
        else:
            self._utterance, self._folder = Utterance(Path(folder)), folder
        return b""


def _encoded(transcription: Transcription) -> bytes:
    return json.dumps(asdict(transcription)).encode()


def _compile(body: bytes) -> bytes:
    # Only a process that compiles needs these, and none that recognises should carry the dictionary.
    from .letter_to_sound import LetterToSound
    from .pronunciation import Lexicon, read_dictionary
    from .vocabulary_model import compile_vocabulary

    os.nice(_COMPILE_NICENESS)
    request = json.loads(body)
    lexicon = Lexicon(read_dictionary(PRONUNCIATIONS), LetterToSound())
    report = compile_vocabulary(Vocabulary(**request["vocabulary"]), lexicon, Path(request["folder"]))
    return json.dumps(asdict(report)).encode()


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers every request until they end; one that breaks is told of and the next is answered."""
    worker = Worker()
    while len(header := requests.read(HEADER.size)) == HEADER.size:
        kind, length = unpack_header(header)
        body = requests.read(length)
        try:
            frame = pack(Kind.ANSWER, worker.answer(kind, body))
        except SidecarError as error:
            frame = _failure(error.code, str(error))
        except Exception as error:
            _LOGGER.exception("%s broke", kind.name)
            frame = _failure(SidecarError.code, f"the recogniser broke on {kind.name}: {error!r}")
        if kind is not Kind.AUDIO:
            answers.write(frame)
            answers.flush()


def _failure(code: str, text: str) -> bytes:
    return pack(Kind.FAILURE, json.dumps({"code": code, "text": text}).encode())


def main() -> None:
    """Serves the parent; what a library prints goes to standard error instead of among the answers."""
    configure_child()
    # Ctrl-C and a service manager signal all processes; the parent drains with our help, and then closes us.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
