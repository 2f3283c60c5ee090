"""The reader of checkpoints: what it reads, and everything a stranger may put into a pickle."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
import hashlib
import io
import os
from pathlib import Path
import pickle
import random
import struct
import subprocess
from typing import Any

import numpy as np
from numpy.typing import NDArray
import pytest

from barnabeenet_sidecar.engines import resemblyzer_weights
from barnabeenet_sidecar.engines.resemblyzer_weights import BadCheckpoint, read_checkpoint

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
MACHINE = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


class Tensor:
    """Pickled as PyTorch pickles a tensor."""

    def __init__(self, key: str, shape: tuple[int, ...], *, offset: int = 0, stride: tuple[int, ...] | None = None):
        self.key, self.shape, self.offset = key, shape, offset
        self.stride = stride or tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape)))


def dump(value: object, storage_class: bytes = b"torch\nFloatStorage") -> bytes:
    """Protocol 2, by hand where names of PyTorch's are needed."""
    tensors: list[Tensor] = []

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing: object) -> object:
            if isinstance(thing, Tensor):
                tensors.append(thing)
                return f"tensor {len(tensors) - 1}"
            return None

    file = io.BytesIO()
    Pickler(file, 2).dump(value)
    raw = file.getvalue()
    for number, tensor in enumerate(tensors):
        raw = _instead_of_pid(raw, f"tensor {number}", tensor_pickle(tensor, storage_class))
    return raw


def _instead_of_pid(raw: bytes, pid: str, body: bytes) -> bytes:
    begin = raw.index(b"X" + struct.pack("<I", len(pid)) + pid.encode())
    end = raw.index(b"Q", begin) + 1
    return raw[:begin] + body + raw[end:]


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def ints(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"


def tensor_pickle(tensor: Tensor, storage_class: bytes) -> bytes:
    pid = b"(" + text("storage") + b"c" + storage_class + b"\n" + text(tensor.key) + text("cpu") + b"K\1Nt"
    arguments = pid + b"QJ" + struct.pack("<i", tensor.offset) + ints(tensor.shape) + ints(tensor.stride)
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"\x89ccollections\nOrderedDict\n)RtR"


def checkpoint(
    state: object, storages: dict[str, NDArray[np.float32]], *, body: bytes | None = None, keys: object = None
) -> bytes:
    head = b"".join(map(dump, (MAGIC, PROTOCOL, MACHINE)))
    body = dump({"step": 1, "model_state": state}) if body is None else body
    numbers = b"".join(struct.pack("<q", each.size) + each.astype("<f4").tobytes() for each in storages.values())
    return head + body + dump(list(storages) if keys is None else keys) + numbers


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], dict[str, NDArray[np.float32]]]:
    def read(content: bytes) -> dict[str, NDArray[np.float32]]:
        path = tmp_path / "weights.pt"
        path.write_bytes(content)
        return read_checkpoint(path, hashlib.sha256(content).hexdigest())

    return read


Read = Callable[[bytes], dict[str, NDArray[np.float32]]]
NUMBERS = np.arange(12, dtype=np.float32)


def test_tensors_are_views_of_their_storages(read: Read) -> None:
    state = OrderedDict(first=Tensor("a", (2, 3)), second=Tensor("a", (4,), offset=8), third=Tensor("b", ()))
    tensors = read(checkpoint(state, {"a": NUMBERS, "b": np.float32([7])}))
    np.testing.assert_array_equal(tensors["first"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(tensors["second"], [8, 9, 10, 11])
    assert tensors["third"] == 7


def test_numbers_come_bit_for_bit(read: Read) -> None:
    odd = np.array([np.nan, -0.0, np.inf, 1e-45, 3.4e38], np.float32)
    assert read(checkpoint({"odd": Tensor("a", (5,))}, {"a": odd}))["odd"].tobytes() == odd.tobytes()


def test_what_is_no_tensor_is_left_out(read: Read) -> None:
    assert list(read(checkpoint({"a": Tensor("a", (12,)), "note": "hi", "step": 3}, {"a": NUMBERS}))) == ["a"]


def test_another_file_than_the_one_expected_is_not_even_opened_by_the_unpickler(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(evil(os.system, "touch " + str(tmp_path / "pwned")))
    with pytest.raises(BadCheckpoint, match="SHA-256"):
        read_checkpoint(path, "0" * 64)
    assert not (tmp_path / "pwned").exists()


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    with path.open("wb") as file:
        file.truncate(resemblyzer_weights.FILE_MAX_BYTES + 1)
    with pytest.raises(BadCheckpoint, match="more than"):
        read_checkpoint(path, "0" * 64)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_checkpoint(tmp_path / "none", "0" * 64)


def evil(call: Callable[..., Any], *arguments: object) -> bytes:
    class Evil:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
            return call, arguments

    return pickle.dumps(Evil(), protocol=2)


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        (os.system, ("touch {}",)),
        (subprocess.getoutput, ("touch {}",)),
        (eval, ("open({!r}, 'w')",)),
        (exec, ("open({!r}, 'w')",)),
        (open, ("{}", "w")),
        (getattr, ("", "join")),
        (__import__, ("os",)),
        (pickle.loads, (b"",)),
        (bytearray, (1 << 40,)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.parametrize("place", ["magic", "checkpoint", "keys"])
def test_a_pickle_that_would_call_anything_is_refused(
    read: Read, tmp_path: Path, call: Callable[..., Any], arguments: tuple[object, ...], place: str
) -> None:
    mark = tmp_path / "pwned"
    raw = evil(call, *(each.format(str(mark)) if isinstance(each, str) else each for each in arguments))
    contents = {
        "magic": raw,
        "checkpoint": checkpoint({}, {}, body=raw),
        "keys": b"".join(map(dump, (MAGIC, PROTOCOL, MACHINE, {"model_state": {}}))) + raw,
    }
    with pytest.raises(BadCheckpoint, match="which no checkpoint needs"):
        read(contents[place])
    assert not mark.exists()


@pytest.mark.parametrize(
    "name",
    [
        *("torch\nLongStorage", "torch\nload", "torch._utils\n_rebuild_tensor", "collections\nCounter"),
        *("collections\nOrderedDict.fromkeys", "builtins\neval", "posix\nsystem", "__main__\nx"),
    ],
)
def test_only_three_names_are_known(read: Read, name: str) -> None:
    with pytest.raises(BadCheckpoint, match="which no checkpoint needs"):
        read(checkpoint({}, {}, body=b"\x80\x02c" + name.encode() + b"\n."))


@pytest.mark.parametrize(
    ("pickled", "opcode"),
    [
        (b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"x.", "BYTEARRAY8|damaged|not made"),
        (b"\x80\x04\x8d" + struct.pack("<Q", 1 << 40) + b"x.", "BINUNICODE8|not made"),
        (b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b".", "FRAME"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "SHORT_BINUNICODE"),
        (b"(cos\nsystem\nios\nsystem\n.", "INST"),
        (b"\x80\x02ccollections\nOrderedDict\n)\x81.", "NEWOBJ"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x02\x8b\xff\xff\xff\x7f.", "LONG4|not made"),
        (b"\x80\x02N" + b"0" + b".", "POP"),
        (b"I99999999999999999999999999\n.", "INT"),
        (b"Punknown\n.", "PERSID"),
    ],
)
def test_an_opcode_that_pytorch_does_not_write_is_refused(read: Read, pickled: bytes, opcode: str) -> None:
    with pytest.raises(BadCheckpoint, match=opcode):
        read(checkpoint({}, {}, body=pickled))


def test_a_memo_entry_far_away_does_not_fill_the_memory(read: Read) -> None:
    with pytest.raises(BadCheckpoint, match="more than 16384 objects"):
        read(checkpoint({}, {}, body=b"\x80\x02]r\xff\xff\xff\xff."))


def test_a_dictionary_cannot_be_copied_again_and_again(read: Read) -> None:
    with pytest.raises(BadCheckpoint, match="TypeError"):
        read(checkpoint({}, {}, body=b"\x80\x02ccollections\nOrderedDict\n]\x85R."))


def test_nothing_is_called_through_a_name_that_is_a_plain_word(read: Read) -> None:
    with pytest.raises(BadCheckpoint, match="TypeError"):
        read(checkpoint({}, {}, body=b"\x80\x02ctorch\nFloatStorage\n)R."))


@pytest.mark.parametrize("kind", [b"torch\nDoubleStorage", b"torch\nHalfStorage"])
def test_a_storage_of_other_numbers_is_refused(read: Read, kind: bytes) -> None:
    body = dump({"model_state": {"a": Tensor("a", (12,))}}, kind)
    with pytest.raises(BadCheckpoint, match="Storage"):
        read(checkpoint({}, {"a": NUMBERS}, body=body))


@pytest.mark.parametrize("pid", [b"N", b")", text("storage"), b"(" + text("module") + b"NNNNNt", b"K\1\x85"])
def test_a_persistent_id_of_another_kind_is_refused(read: Read, pid: bytes) -> None:
    with pytest.raises(BadCheckpoint, match="not of 32-bit floats"):
        read(checkpoint({}, {}, body=b"\x80\x02" + pid + b"Q."))


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        (Tensor("a", (13,)), "reaches beyond"),
        (Tensor("a", (4,), offset=9), "reaches beyond"),
        (Tensor("a", (4,), offset=-1), "reaches beyond"),
        (Tensor("a", (-1,)), "reaches beyond"),
        (Tensor("a", (2**31 - 1, 2**31 - 1, 2**31 - 1), stride=(1, 1, 1)), "in one piece"),
        (Tensor("a", (2**31 - 1, 2**31 - 1), stride=(2**31 - 1, 1)), "reaches beyond"),
        (Tensor("a", (3, 4), stride=(1, 3)), "in one piece"),
        (Tensor("a", (12,), stride=(0,)), "in one piece"),
        (Tensor("b", (1,)), "LookupError|KeyError"),
    ],
)
def test_a_tensor_that_does_not_fit_its_storage_is_refused(read: Read, tensor: Tensor, said: str) -> None:
    with pytest.raises(BadCheckpoint, match=said):
        read(checkpoint({"weight": tensor}, {"a": NUMBERS}))


@pytest.mark.parametrize("count", [-1, 13, 2**62, -(2**63)])
def test_a_storage_that_the_file_does_not_hold_is_refused(read: Read, count: int) -> None:
    content = checkpoint({}, {}, keys=["a"]) + struct.pack("<q", count) + NUMBERS.tobytes()
    with pytest.raises(BadCheckpoint, match="ends early"):
        read(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04" + b"\0" * 100,
        dump(1) + dump(PROTOCOL) + dump(MACHINE),
        dump(MAGIC) + dump(1002) + dump(MACHINE),
        dump(MAGIC) + dump(PROTOCOL) + dump({**MACHINE, "little_endian": False}),
        dump(MAGIC) + dump(PROTOCOL) + dump([]),
        checkpoint({}, {}, body=dump(None)),
        checkpoint({}, {}, body=dump({"model_state": None})),
        checkpoint({}, {}, keys=7),
        checkpoint({}, {}, body=dump(["x" * 70_000])),
        checkpoint({"a": Tensor("a", (12,))}, {"a": NUMBERS})[:-1],
    ],
)
def test_what_is_no_such_checkpoint_is_refused(read: Read, content: bytes) -> None:
    with pytest.raises(BadCheckpoint):
        read(content)


# Of texts in the form of protocol 0, which damage may look like.
@pytest.mark.filterwarnings("ignore:invalid (octal )?escape sequence:DeprecationWarning")
def test_any_damage_is_refused_or_harmless(read: Read) -> None:
    whole = checkpoint({"a": Tensor("a", (2, 6)), "n": 1}, {"a": NUMBERS})
    chance = random.Random(19)
    refused = 0
    for _ in range(1_500):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(damaged))
            match chance.randrange(3):
                case 0:
                    damaged[at] = chance.randrange(256)
                case 1:
                    del damaged[at : at + chance.randrange(1, 9)]
                case _:
                    damaged[at:at] = chance.randbytes(chance.randrange(1, 9))
        try:
            read(bytes(damaged))
        except BadCheckpoint:
            refused += 1
    assert refused > 750
