"""docs/sidecar.md tells of exactly what there is, and its commands do what they are said to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
import os
from pathlib import Path
import re
import shlex
import subprocess
import tomllib

import aiohttp
import pytest

from script.home.process import Process, child_environment, free_port
from script.home.sidecar import PROGRAM, ROOT

DOCUMENT = (ROOT / "docs" / "sidecar.md").read_text(encoding="utf-8")
# All of the document takes 20 s here; only a hang takes as long as this.
COMMAND_S = 180
TRAP = """trap 'echo "this failed: $BASH_COMMAND"' ERR; """
NAME = "barnabeenet-sidecar"


@dataclass(frozen=True)
class Block:
    """A fenced block; `needs` is what keeps a test from running it, if anything."""

    language: str
    needs: str
    text: str

    @property
    def lines(self) -> Sequence[str]:
        return self.text.replace("\\\n", " ").strip().splitlines()


BLOCKS = [Block(*found) for found in re.findall(r"^```(\S*) ?(\S*)\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)]
RUN = [block for block in BLOCKS if (block.language, block.needs) == ("sh", "")]
# As a person does who reads from top to bottom; the command that serves has a test of its own.
SESSION = "".join(block.text for block in RUN if " serve" not in block.text).replace("\\\n", " ")
ONLY_CHECKED = [block for block in BLOCKS if block.language == "sh" and block.needs]


@dataclass(frozen=True)
class Serving:
    """A sidecar that is ready, and the environment in which its commands are given."""

    folder: Path
    http_port: int
    env: dict[str, str]

    async def run(self, script: str) -> str:
        """What a shell prints; fails when it does not end well."""
        child = await asyncio.create_subprocess_exec(
            *(
                "bash",
                "-euo",
                "pipefail",
                "-c",
                TRAP + script.replace("localhost:10801", f"127.0.0.1:{self.http_port}"),
            ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self.folder,
            env=child_environment(self.env),
        )
        try:
            async with asyncio.timeout(COMMAND_S):
                output = (await child.communicate())[0].decode()
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        assert child.returncode == 0, f"{script}\nended with {child.returncode} and said:\n{output}"
        return output

    async def get(self, path: str) -> str:
        url = f"http://127.0.0.1:{self.http_port}{path}"
        async with aiohttp.ClientSession() as http, http.get(url) as response:
            return await response.text()


def environment(folder: Path) -> dict[str, str]:
    """A machine of its own, as far as a sidecar can tell."""
    return {
        "PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}",
        "BARNABEENET_HOST": "127.0.0.1",
        "BARNABEENET_PORT": str(free_port()),
        "BARNABEENET_HTTP_PORT": str(free_port()),
        "BARNABEENET_DATA_DIR": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }


async def start(command: Sequence[str], folder: Path, env: dict[str, str]) -> Process:
    process = Process(command, log=folder / "out", env=env)
    await process.start()
    await process.until_answered(f"http://127.0.0.1:{env['BARNABEENET_HTTP_PORT']}/ready", within_s=COMMAND_S)
    return process


@pytest.fixture
async def serving(tmp_path: Path, socket_enabled: None) -> AsyncIterator[Serving]:
    env = environment(tmp_path)
    process = await start([str(PROGRAM), "serve"], tmp_path, env)
    yield Serving(tmp_path, int(env["BARNABEENET_HTTP_PORT"]), env)
    assert await process.stop() == 0


def section(title: str) -> str:
    """The text under a heading, up to the next one of its rank."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def first_cells(text: str) -> list[list[str]]:
    """The rows of all tables in a text, heads and rules left out."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return [row for row in rows if row[0].startswith("`")]


def documented_metrics() -> dict[str, tuple[str, set[str]]]:
    """Type and labels by name."""
    rows = first_cells(section("Metrics"))
    return {row[0].strip("`"): (row[1], set(re.findall(r"`(\w+)`", row[2]))) for row in rows}


async def helps(serving: Serving) -> dict[str, str]:
    """What `--help` says, by command."""

    async def children(command: str) -> dict[str, str]:
        listed = (await serving.run(f"{command} --help")).partition("\ncommands:\n")[2]
        names = [f"{command} {name}" for name in re.findall(r"^    (\w+)", listed, re.MULTILINE)]
        texts = await asyncio.gather(*(serving.run(f"{name} --help") for name in names))
        return dict(zip(names, texts, strict=True))

    found = await children(NAME)
    del found[f"{NAME} models"]
    return found | await children(f"{NAME} models")


async def test_every_metric_is_documented_with_its_type_and_labels_and_no_other(serving: Serving) -> None:
    # So that there are samples, as many as can be had without Home Assistant.
    wanted = ("say ", "TOKEN=", "/speaker/verify")
    await serving.run("\n".join(line for line in SESSION.splitlines() if any(word in line for word in wanted)))
    exposed = await serving.get("/metrics")
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", exposed, re.MULTILINE))
    assert types.keys() == set(re.findall(r"^# HELP (\S+) \S", exposed, re.MULTILINE))
    ours = {name: kind for name, kind in types.items() if name.startswith("barnabeenet_")}
    documented = documented_metrics()
    assert {name: kind for name, (kind, _) in documented.items()} == ours
    assert "`process_*` and `python_info`" in section("Metrics")
    assert {name for name in types.keys() - ours.keys() if not name.startswith("process_")} == {"python_info"}
    labelled = 0
    for name, labels in re.findall(r"^(barnabeenet_\w+)\{(.*)\} ", exposed, re.MULTILINE):
        family = name if name in ours else re.sub("_(bucket|sum|count)$", "", name)
        assert set(re.findall(r'(\w+)="', labels)) - {"le"} == documented[family][1], name
        labelled += 1
    assert labelled > 20


async def test_every_endpoint_is_documented_and_no_other(serving: Serving) -> None:
    refusal = await serving.get("/not-an-endpoint")
    there_are = set(re.findall(r"(?:GET|POST) /[\w/]+", refusal))
    rows = {row[0].strip("`"): row[1] for row in first_cells(section("Endpoints")) if "/" in row[0]}
    assert rows.keys() == there_are
    for endpoint, token in rows.items():
        method, path = endpoint.split()
        url = f"http://127.0.0.1:{serving.http_port}{path}"
        async with aiohttp.ClientSession() as http, http.request(method, url) as response:
            assert (response.status == 401) is (token == "yes"), endpoint


@pytest.mark.timeout(240)
async def test_every_command_is_documented_and_no_other_and_the_options_that_the_text_names_exist(
    serving: Serving,
) -> None:
    there_are = await helps(serving)
    assert {row[0].strip("`") for row in first_cells(section("Commands"))} == there_are.keys()
    options = set(re.findall(r"(?<![\w-])--[\w-]+", "\n".join(there_are.values())))
    named = set(re.findall(r"`(--[\w-]+)", DOCUMENT))
    assert {"--http", "--config", "--data-dir"} <= named <= options | {"--help"}
    models = await serving.run(f"{NAME} models list")
    for line in (line for block in ONLY_CHECKED for line in block.lines if line.startswith(NAME)):
        check_command(line, there_are, models)


def check_command(line: str, helps_of: dict[str, str], models: str) -> None:
    """There is such a command with such options, and the models and versions that it names can be had."""
    words = shlex.split(line)
    length = 3 if words[1] == "models" else 2
    text = helps_of[" ".join(words[:length])]
    for word in words[length:]:
        known = text if word.startswith("-") else models
        assert re.search(rf"(?<!\S){re.escape(word)}(?!\S)", known), line


def others() -> list[list[str]]:
    """What is no command of the sidecar's, among those that are not run."""
    return [shlex.split(line) for block in ONLY_CHECKED for line in block.lines if not line.startswith(NAME)]


def test_benches_that_are_named_exist() -> None:
    benches = [words[1] for words in others() if words[0] == "script/bench"]
    assert {"sidecar", "queue", "wake"} <= set(benches)
    for bench in benches:
        assert [*(ROOT / "script").glob(f"*/bench_{bench}.py")], bench
    assert {words[0] for words in others()} == {"script/bench", "uv", "printf"}


def test_the_doctor_tells_the_same_commands() -> None:
    script = (
        "from barnabeenet_sidecar.large_engines import *; print(*INSTALL_FOR_GPU, PULL_FOR_GPU, *LEFT_OUT, sep='\\n')"
    )
    ran = subprocess.run([PROGRAM.parent / "python", "-c", script], capture_output=True, text=True, check=True)
    told = ran.stdout.splitlines()
    assert len(told) == 3 + 5
    assert set(told[:3]) <= {line for block in ONLY_CHECKED for line in block.lines}
    assert told[3:] == shlex.split(told[0])[2:-2]


def test_the_extras_that_are_installed_exist() -> None:
    project = tomllib.loads((ROOT / "sidecar" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for words in others():
        if words[0] == "uv":
            wanted = re.match(r"([\w-]+)\[([\w,]+)\] @ git\+https://\S+#subdirectory=sidecar$", words[-1])
            assert wanted is not None, words
            assert wanted[1] == project["name"]
            assert set(wanted[2].split(",")) <= project["optional-dependencies"].keys(), words


def test_every_block_is_of_a_kind_that_is_looked_after() -> None:
    assert {(block.language, block.needs) for block in BLOCKS} <= {
        ("sh", ""),
        ("sh", "internet"),
        ("sh", "source"),
        ("yaml", ""),
    }
    assert len(RUN) >= 8


@pytest.mark.timeout(240)
async def test_every_command_of_the_document_runs(serving: Serving) -> None:
    everything = await serving.run(SESSION)
    assert '"status": "ready"' in everything
    assert '"similarity": ' in everything
    assert '"real_time_factor": ' in everything
    assert "It can serve." in everything


async def test_the_command_that_serves_becomes_ready_and_ends_well(tmp_path: Path, socket_enabled: None) -> None:
    (block,) = [block for block in RUN if " serve" in block.text]
    process = await start(["bash", "-c", f"exec {block.text}"], tmp_path, environment(tmp_path))
    assert await process.stop() == 0


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)", DOCUMENT):
        assert (ROOT / "docs" / target).resolve().is_file(), target
