"""Checkpoints that somebody made to do harm, and the plain damage that disks do; for tests and benchmarks alike."""

import hashlib
import io
import pickle
import random
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

Entries = list[tuple[str, bytes, int]]


def honest() -> Entries:
    memory = io.BytesIO()
    torch.save({"weights": torch.arange(50.0)}, memory)
    with zipfile.ZipFile(memory) as archive:
        return [(entry.filename, archive.read(entry), zipfile.ZIP_STORED) for entry in archive.infolist()]


def seal(path: Path, archive: bytes) -> Path:
    """Write an archive with a right seal, as somebody could who knows the format."""
    content = archive[:-2]
    digest = hashlib.sha256(content).hexdigest().encode()
    path.write_bytes(content + struct.pack("<H", 71) + b"sha256:" + digest)
    return path


def archive_of(entries: Entries) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of duplicated names
        for name, content, method in entries:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return memory.getvalue()


def added(name: str, content: bytes = b"x", method: int = zipfile.ZIP_STORED) -> Callable[[], bytes]:
    return lambda: archive_of([*honest(), (name, content, method)])


def declaring(size: int) -> bytes:
    """An archive whose directory promises more bytes of one entry than the file has."""
    archive = bytearray(archive_of(honest()))
    entry = archive.index(b"PK\x01\x02")
    archive[entry + 20 : entry + 28] = struct.pack("<II", size, size)
    return bytes(archive)


def with_pickle(content: bytes) -> bytes:
    return archive_of([(n, content if n.endswith("data.pkl") else c, m) for n, c, m in honest()])


def flipped(original: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """Yield copies with one random bit flipped each."""
    rng = random.Random(seed)
    for _ in range(count):
        data = bytearray(original)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        yield bytes(data)


# What a pickle might call; each gets a command that would leave a file behind.
CALLABLES = [
    "os system", "posix system", "os popen", "subprocess Popen", "subprocess call", "subprocess check_output",
    "builtins eval", "builtins exec", "builtins __import__", "builtins getattr", "importlib import_module",
    "marshal loads", "pickle loads", "_pickle loads", "runpy run_path", "shutil rmtree", "ctypes CDLL", "torch load",
    "torch.hub load", "torch.utils.cpp_extension load", "torch.serialization load", "code interact", "pty spawn",
]  # fmt: skip


def _command(canary: Path) -> str:
    return f"touch {canary}"


def _by_name(name: str, canary: Path) -> bytes:
    """GLOBAL and REDUCE, as protocol 0 writes them."""
    module, function = name.split()
    return f"c{module}\n{function}\n(".encode() + pickle.dumps(_command(canary), 0)[:-1] + b"tR."


def _by_stack(name: str, canary: Path) -> bytes:
    """STACK_GLOBAL, with both names taken from the memo."""
    module, function = name.split()
    texts = b"".join(b"\x8c" + bytes([len(text)]) + text.encode() + b"\x94" for text in (module, function))
    command = _command(canary).encode()
    return b"\x80\x04" + texts + b"00h\x00h\x01\x93(X" + struct.pack("<I", len(command)) + command + b"tR."


def _others(canary: Path) -> dict[str, bytes]:
    command = pickle.dumps(_command(canary), 0)[:-1]
    short = _command(canary).encode()
    nested = pickle.dumps(_by_name("os system", canary), 2)[2:-1]
    return {
        "INST": b"(" + command + b"ios\nsystem\n.",
        "OBJ": b"(cos\nsystem\n" + command + b"o.",
        "NEWOBJ": b"\x80\x02cos\nsystem\n(" + command + b"t\x81.",
        "BUILD": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R}(U\x0c__setstate__cos\nsystem\nub.",
        "pickle in a pickle": b"\x80\x02c_pickle\nloads\n(" + nested + b"tR.",
        "persistent id that is no storage": b"\x80\x02(U\x06modulecos\nsystem\nU\x010U\x03cpuK\x01tQ.",
        "persistent id of text": b"P" + short + b"\n.",
        "extension code": b"\x80\x02\x82\x01.",
        "cut short": b"\x80\x02}q\x00(",
        "no pickle": b"MZ" + bytes(64),
        "depth": b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".",
    }


def _archives() -> dict[str, bytes]:
    (original,) = [content for name, content, _ in honest() if name.endswith("data.pkl")]
    # The shape (50,) and the stride follow the offset 0; the shape becomes 2^40.
    huge = original.replace(b"K\x00K2\x85", b"K\x00\x8a\x06" + (1 << 40).to_bytes(6, "little") + b"\x85")
    found = {name: make() for name, (make, _) in HOSTILE.items()}
    return {**found, "tensor of 2^40 elements": with_pickle(huge)}


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "deflated bomb": (added("archive/data/7", bytes(1 << 24), zipfile.ZIP_DEFLATED), "'archive/data/7' is compressed"),
    "duplicated entry": (added("archive/data.pkl"), "'archive/data.pkl' stands twice"),
    "path upwards": (added("archive/../../etc/passwd"), "'archive/../../etc/passwd' is an odd name"),
    "absolute path": (added("/etc/passwd"), "'/etc/passwd' is an odd name"),
    "line break in a name": (added("archive/a\nb"), "'archive/a\\nb' is an odd name"),
    "too much declared": (lambda: declaring(1 << 31), "2147"),
    "sizes that differ": (
        lambda: archive_of(honest()).replace(struct.pack("<II", 200, 200), struct.pack("<II", 200, 1 << 30)),
        "declares 1073741824 bytes but stores 200",
    ),
}


def hostile_checkpoints(canary: Path) -> dict[str, bytes]:
    """Return archives, not sealed yet, that must be refused and must never touch the canary."""
    pickles = {f"GLOBAL {name}": _by_name(name, canary) for name in CALLABLES}
    pickles |= {f"STACK_GLOBAL {name}": _by_stack(name, canary) for name in CALLABLES}
    pickles |= _others(canary)
    return {name: with_pickle(content) for name, content in pickles.items()} | _archives()
