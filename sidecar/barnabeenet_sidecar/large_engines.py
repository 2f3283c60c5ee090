"""What the doctor says of the large engines: whether they are installed, can use the GPU, and have their models."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final

from .config import Settings
from .errors import SidecarError
from .finding import Finding
from .models.store import Store

_SUBJECT: Final = "large engines"
_LIBRARIES: Final = {"onnx_asr": "Parakeet", "kokoro_onnx": "Kokoro", "faster_whisper": "Whisper"}
_SOURCE: Final = "git+https://github.com/barnabeenet/barnabeenet#subdirectory=sidecar"
# The GPU's onnxruntime lies in the same folder as the processor's; of resemblyzer only the weights are read.
LEFT_OUT: Final = ("onnxruntime", "torch", "librosa", "webrtcvad", "typing")
INSTALL_FOR_GPU: Final = (
    f"printf '%s; python_version < \"3\"\\n' {' '.join(LEFT_OUT)} > left-out.txt",
    (
        'uv tool install --force --overrides left-out.txt --with "onnxruntime-gpu[cuda,cudnn]" --with resemblyzer==0.1.4 '
        f'"barnabeenet-sidecar[models] @ {_SOURCE}"'
    ),
)
PULL_FOR_GPU: Final = "barnabeenet-sidecar models pull parakeet-tdt-0.6b-v3 kokoro-82m-v1.0"
PULL_FOR_CPU: Final = "barnabeenet-sidecar models pull parakeet-tdt-0.6b-v3-int8 kokoro-82m-v1.0"


def examine(settings: Settings, *, has_gpu: bool) -> list[Finding]:
    """Blocks for a moment: it imports a library and reads the store."""
    absent = [name for module, name in _LIBRARIES.items() if find_spec(module) is None]
    if has_gpu and absent:
        return [
            Finding(
                _SUBJECT,
                "warning",
                f"not installed: {', '.join(absent)}; with them the GPU hears and speaks",
                "run this:",
                (*INSTALL_FOR_GPU, PULL_FOR_GPU),
            )
        ]
    if absent:
        return [Finding(_SUBJECT, "ok", f"not installed: {', '.join(absent)}; they pay on a GPU or a fast processor")]
    if has_gpu and not _knows_cuda():
        return [
            Finding(
                _SUBJECT,
                "warning",
                "installed, but their onnxruntime is the one for processors",
                "run this:",
                INSTALL_FOR_GPU,
            ),
            *_models(settings, has_gpu=True),
        ]
    return [
        Finding(_SUBJECT, "ok", f"installed: {', '.join(_LIBRARIES.values())}"),
        *_models(settings, has_gpu=has_gpu),
    ]


def _knows_cuda() -> bool:
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def _models(settings: Settings, *, has_gpu: bool) -> Sequence[Finding]:
    """Which models are here; the store is not made by looking at it."""
    advice = PULL_FOR_GPU if has_gpu else PULL_FOR_CPU
    state: Final = "warning" if has_gpu else "ok"
    if not (settings.data_dir / "models").is_dir():
        return [Finding("models", state, "none are here", "run this:", (advice,))]
    try:
        store = Store(settings.data_dir)
        serving = store.serving()
    except SidecarError as error:
        return [Finding("models", "warning", str(error), "mend or remove what it names")]
    if store.problem is not None:
        return [Finding("models", "warning", store.problem, "mend it: its models cannot be pulled until then")]
    if not serving:
        return [Finding("models", state, "none are here", "run this:", (advice,))]
    return [Finding("models", "ok", ", ".join(f"{model} {item.version}" for model, item in sorted(serving.items())))]
