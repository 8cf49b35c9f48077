"""What the parts of the fourteenth set share: the list of pairs, zips, opcodes planted in a real pickle."""
from __future__ import annotations

import io
import sys
import tarfile
import zipfile

sys.modules.setdefault("triton", None)  # its LLVM and TensorFlow's do not go together in one process


class Part(list):
    """The pairs of one part; each function returns the hostile and the twin, its docstring names the loader."""

    def pair(self, family, prove=None, file=None):
        def keep(function):
            self.append((family, function, prove, file))
            return function

        return keep

    def add(self, out):
        for family, function, prove, file in self:
            hostile, twin = function()
            out.add(family, function.__name__.replace("_", "-"), hostile, twin, prove, file, function.__doc__)


def plant(data: bytes, raw: bytes, mark: str = "@@X@@") -> bytes:
    """`raw` in place of the text `mark` of a pickle of protocol 2 or 3."""
    old = b"X" + len(mark).to_bytes(4, "little") + mark.encode()
    assert data.count(old) == 1, data.count(old)
    return data.replace(old, bytes(raw))


def zipped(files: dict, compress=zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compress) as z:
        for name, data in files.items():
            z.writestr(zipfile.ZipInfo(name, (2026, 3, 1, 0, 0, 0)), data, compress)
    return out.getvalue()


def rezip(data: bytes, change: dict) -> bytes:
    """A zip with some members replaced (by the end of their name) and new ones added."""
    src = zipfile.ZipFile(io.BytesIO(data))
    files, left = {}, dict(change)
    for name in src.namelist():
        files[name] = src.read(name)
        for end in list(left):
            if name.endswith(end):
                files[name] = left.pop(end)
    files.update(left)
    return zipped(files)


def member(data: bytes, end: str) -> bytes:
    src = zipfile.ZipFile(io.BytesIO(data))
    return src.read(next(n for n in src.namelist() if n.endswith(end)))


def tarred(files: dict, mode="w:gz", fmt=tarfile.PAX_FORMAT) -> bytes:
    """A tar; a value is bytes, or a function that gets the TarInfo and returns bytes or None."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=fmt) as t:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.mtime = 1767225600
            if callable(data):
                data = data(info)
            if isinstance(data, str):
                data = data.encode()
            if data is not None:
                info.size = len(data)
            t.addfile(info, io.BytesIO(data) if data is not None else None)
    return out.getvalue()
