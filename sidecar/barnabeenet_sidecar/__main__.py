"""The command line: serve, say, hear, token, doctor and models."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
import os
from pathlib import Path
import sys

from . import __version__, commands
from .config import Settings, load
from .errors import ConfigError, SidecarError
from .models import cli as models_cli

_SETTINGS = ("host", "port", "plain_port", "http_port", "data_dir", "name", "log_level", "tts", "wake")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and gives its exit code: 0 well, 1 failed, 2 called wrongly, 130 interrupted."""
    options = _parser().parse_args(arguments)
    try:
        options.load = partial(load, {name: getattr(options, name, None) for name in _SETTINGS}, options.config)
        settings = options.load()
        code: int = asyncio.run(options.run(settings, options))
    except SidecarError as err:
        for line in str(err).splitlines():
            sys.stderr.write(f"barnabeenet-sidecar: {line}\n")
        return 2 if isinstance(err, ConfigError) else 1
    except BrokenPipeError:
        # Whoever read our output has gone; without this, Python would stumble over it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="barnabeenet-sidecar",
        description="Ears and voice for BarnabeeNet: speech recognition, speech synthesis and wake words.",
        epilog="Every setting can also stand in the configuration file, or as BARNABEENET_<NAME> in the environment.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(run: Callable[[Settings, argparse.Namespace], Awaitable[int]], summary: str) -> argparse.ArgumentParser:
        subparser = subparsers.add_parser(run.__name__, help=summary, description=summary)
        subparser.set_defaults(run=run)
        subparser.add_argument("--config", type=Path, metavar="FILE", help="configuration file (TOML)")
        subparser.add_argument("--data-dir", metavar="DIR", help="where the token and the sidecar's id are kept")
        return subparser

    serve = command(commands.serve, "Serve until told to stop.")
    _add_listeners(serve)
    serve.add_argument("--name", help="what Home Assistant calls this sidecar (default: this machine's name)")
    serve.add_argument("--log-level", metavar="LEVEL", help="debug, info, warning or error (default: info)")
    _add_engines(serve)

    say = command(commands.say, "Speak a text into a WAV file.")
    say.add_argument("text", metavar="TEXT")
    say.add_argument(
        "-o", "--output", metavar="FILE", default="speech.wav", help='"-" for stdout (default: speech.wav)'
    )
    say.add_argument("--voice", help="the name of a voice (default: the first of the language)")
    say.add_argument("--language", help="such as en-GB; the voice decides when one is given")
    say.add_argument("--tts", help="auto, espeak or flite (default: auto)")

    hear = command(commands.hear, "Print the words in a WAV file.")
    hear.add_argument("file", metavar="FILE", help='16-bit WAV of any sample rate, "-" for stdin')
    hear.add_argument("--vocabulary", type=Path, metavar="FILE", help="what is said in the home (JSON, see README.md)")
    hear.add_argument("--language", help="such as en (default: the recogniser's own)")
    hear.add_argument("--json", action="store_true", help="print confidence and timings too, as JSON")

    token = command(commands.token, "Print the pairing token; make it when there is none.")
    token.add_argument("--http", action="store_true", help="print the token of the protected HTTP endpoints instead")

    models_cli.add_commands(command(commands.models, "Pull, check and change models."))

    doctor = command(commands.doctor, "Say what is here, what is missing and what to do about it.")
    _add_listeners(doctor)
    _add_engines(doctor)
    return parser


def _add_listeners(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", metavar="ADDRESS", help="address to listen on (default: 0.0.0.0, all of them)")
    parser.add_argument("--port", metavar="PORT", help="for Home Assistant, authenticated (default: 10800)")
    parser.add_argument("--plain-port", metavar="PORT", help="for any Wyoming client, unauthenticated (default: off)")
    parser.add_argument("--http-port", metavar="PORT", help="for probes, metrics and measurements (default: 10801)")


def _add_engines(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tts", help="auto, espeak or flite (default: auto)")
    parser.add_argument("--wake", help="microwakeword or openwakeword (default: microwakeword)")


if __name__ == "__main__":
    sys.exit(main())
