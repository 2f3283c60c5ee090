"""What the sidecar depends on, and whether that lets it serve."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..engines.catalogue import Engines
from ..telemetry.host_metrics import HostStatus, is_shunned


@dataclass(frozen=True)
class Dependency:
    """One thing at one moment; while a `required` one is not well, the sidecar is not ready."""

    name: str
    well: bool
    text: str
    required: bool = False


class Readiness:
    """Collects what can be asked; the two switches are for whoever starts and stops the listeners to set."""

    def __init__(self, engines: Engines) -> None:
        self.is_listening = False
        self.is_draining = False
        self._engines = engines
        self._observed: list[Callable[[], Dependency]] = []

    def observe(self, dependency: Callable[[], Dependency]) -> None:
        """Asks this, too, at every probe; it must answer at once."""
        self._observed.append(dependency)

    def report(self) -> tuple[bool, dict[str, object]]:
        """Whether it can serve, and why or why not."""
        dependencies = [self._listeners(), *(ask() for ask in self._observed)]
        reasons = [f"{each.name}: {each.text}" for each in dependencies if each.required and not each.well]
        warnings = [f"{each.name}: {each.text}" for each in dependencies if not each.required and not each.well]
        for slot in self._engines.slots:
            if slot.problem is not None and slot in (self._engines.stt, self._engines.tts):
                reasons.append(f"{slot.kind}: {slot.problem}")
            elif slot.problem is not None and slot.is_needed:
                warnings.append(f"{slot.kind}: {slot.problem}")
            warnings += [f"{slot.kind}: {engine} is left out: {why}" for engine, why in slot.left_out.items()]
        status = "draining" if self.is_draining else "not ready" if reasons else "ready"
        return not reasons, {
            "status": status,
            "reasons": reasons,
            "warnings": warnings,
            "engines": {slot.kind: slot.problem or f"{slot.name} is ready" for slot in self._engines.slots},
            "dependencies": {each.name: each.text for each in dependencies},
        }

    def _listeners(self) -> Dependency:
        if self.is_draining:
            return Dependency("listeners", False, "the sidecar is shutting down and takes no new work", required=True)
        text = "they are open" if self.is_listening else "they are not open yet"
        return Dependency("listeners", self.is_listening, text, required=True)


def engine_process(status: HostStatus | None) -> Dependency:
    """The process of the large engines; without it the embedded ones go on. None without large models."""
    if status is None:
        return Dependency("engine process", True, "none: no large models are here")
    restarts = f"{status.restarts} restarts"
    if not status.ready:
        return Dependency("engine process", False, f"it does not serve, after {restarts}")
    serves = ", ".join(status.loaded) or "nothing yet"
    return Dependency(
        "engine process", True, f"it serves {serves} on {'the processor' if status.on_cpu else 'the GPU'}; {restarts}"
    )


def gpu(status: HostStatus | None) -> Dependency:
    """The GPU as it was last seen; not well while the watchdog keeps the engines off it."""
    reading = status.reading if status else None
    seen = "" if reading is None else f"{reading.memory_used_mb} of {reading.memory_total_mb} MB in use"
    if reading is not None and reading.temperature_c is not None:
        seen += f", {reading.temperature_c} C"
    if status is not None and status.on_cpu and is_shunned(status):
        return Dependency("GPU", False, f"it is not well, and its engines run on the processor{seen and ': '}{seen}")
    return Dependency("GPU", True, seen or "none is used")


def model_store(serving: Mapping[str, str], problem: str | None) -> Dependency:
    """The models that serve, by version, and what is wrong with the store."""
    listed = ", ".join(f"{model} {version}" for model, version in sorted(serving.items()))
    return Dependency("model store", problem is None, problem or listed or "no models were pulled")


def configuration(problem: str | None) -> Dependency:
    """Whether the configuration file as it is now is in force; `problem` is what is wrong with it."""
    text = f"{problem}; the settings before it stay in force" if problem else "it is in force"
    return Dependency("configuration", problem is None, text)
