"""Bytes of the containers and encodings that several families share."""

from __future__ import annotations

import gzip
import io
import json
import pickletools
import struct
import tarfile
import zipfile
import zlib

import numpy as np

from assembly import Raw, call, glob, tup, val

# Addresses of documentation (RFC 5737) and names of documentation (RFC 2606): nothing is contacted.
HOST = "198.51.100.23"
SITE = "updates.example.net"


def floats(count: int, seed: int = 7, scale: float = 0.05) -> bytes:
    """`count` float32 weights of a trained layer's look."""
    return np.random.default_rng(seed).normal(0.0, scale, count).astype("<f4").tobytes()


def zipped(members, method=zipfile.ZIP_STORED) -> bytes:
    """A zip of (name, data) pairs, with a fixed date."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        for name, data in members.items() if isinstance(members, dict) else members:
            info = zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0))
            info.compress_type = method
            info.external_attr = 0o644 << 16
            z.writestr(info, data)
    return out.getvalue()


def tarred(members, mode: str = "w", fmt=tarfile.PAX_FORMAT) -> bytes:
    """A tar of (name, data) pairs; data may be a TarInfo to be added as it is."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=fmt) as t:
        for name, data in members.items() if isinstance(members, dict) else members:
            if isinstance(data, tarfile.TarInfo):
                t.addfile(data)
                continue
            data = data.encode() if isinstance(data, str) else data
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(data), 1704067200, 0o644
            t.addfile(info, io.BytesIO(data))
    return gzip.compress(out.getvalue(), mtime=0) if mode.endswith("gz") else out.getvalue()


def link(name: str, target: str, kind=tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mtime = kind, target, 1704067200
    return info


# --- protocol buffers -----------------------------------------------------------------------------


def varint(n: int) -> bytes:
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + bytes([n]))


def pb(*fields) -> bytes:
    """A message of (number, value) fields: int as varint, float as fixed32, text, bytes or a message as bytes."""
    out = b""
    for number, value in fields:
        if isinstance(value, bool) or isinstance(value, int):
            out += varint(number << 3) + varint(int(value))
        elif isinstance(value, float):
            out += varint(number << 3 | 5) + struct.pack("<f", value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


# --- weights --------------------------------------------------------------------------------------


def safetensors(tensors, metadata=None, gap: bytes = b"", tail: bytes = b"", header: bytes | None = None) -> bytes:
    """`tensors`: (name, dtype, shape, data); `gap` is unclaimed data before the last tensor."""
    head, body = {}, b""
    if metadata:
        head["__metadata__"] = metadata
    for i, (name, dtype, shape, data) in enumerate(tensors):
        if gap and i == len(tensors) - 1:
            body += gap
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = header or json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body + tail


def layer(name: str, rows: int, columns: int, seed: int = 7):
    return (name, "F32", [rows, columns], floats(rows * columns, seed))


def gguf_text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(data)) + data


def gguf_value(value) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", 8) + gguf_text(value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(gguf_text(v) for v in value)


def gguf(metadata=None, tensors=None, tail: bytes = b"", counts=None) -> bytes:
    """A GGUF v3 file of F32 `tensors` ((name, dims, data)); `counts` overrides (tensors, pairs) in the header."""
    meta = {"general.architecture": "llama", "general.name": "tiny", "llama.block_count": 1, "llama.context_length": 512}
    meta |= {"llama.embedding_length": 16, "llama.attention.head_count": 2, "tokenizer.ggml.model": "llama"} | (metadata or {})
    tensors = tensors if tensors is not None else [("token_embd.weight", [16, 8], floats(128)), ("output_norm.weight", [16], floats(16, 3))]
    n_tensors, n_pairs = counts or (len(tensors), len(meta))
    out = b"GGUF" + struct.pack("<IQQ", 3, n_tensors, n_pairs)
    for key, value in meta.items():
        out += gguf_text(key) + gguf_value(value)
    body = b""
    for name, dims, data in tensors:
        body += b"\0" * (-len(body) % 32)
        out += (
            gguf_text(name) + struct.pack("<I", len(dims)) + b"".join(struct.pack("<Q", d) for d in dims) + struct.pack("<IQ", 0, len(body))
        )
        body += data
    return out + b"\0" * (-len(out) % 32) + body + tail


# --- torch ----------------------------------------------------------------------------------------


def tensor(key: str, *shape: int, count: int | None = None, location="cpu") -> Raw:
    """A torch tensor as `_rebuild_tensor_v2` over a persistent storage."""
    total = int(np.prod(shape))
    strides, step = [], total
    for side in shape:
        step //= side
        strides.append(step)
    stored = val(("storage", glob("torch", "FloatStorage"), key, location, total if count is None else count))
    hooks = call(glob("collections", "OrderedDict"))
    return call(glob("torch._utils", "_rebuild_tensor_v2"), Raw(stored + b"Q"), 0, tup(*shape), tup(*strides), False, hooks)


def state(*extra) -> Raw:
    """An ordered state dict of two tensors, and (name, value) pairs after them."""
    pairs = [("fc.weight", tensor("0", 4, 8)), ("fc.bias", tensor("1", 4)), *extra]
    return Raw(call(glob("collections", "OrderedDict")) + b"(" + b"".join(val(k) + val(v) for k, v in pairs) + b"u")


def second(data: bytes) -> bytes:
    """The same pickle in the opcodes of protocol 2, as torch itself writes it."""
    out: list[bytes] = []
    ops = list(pickletools.genops(data))
    ends = [op[2] for op in ops[1:]] + [len(data)]
    for (op, arg, at), end in zip(ops, ends):
        if op.name == "SHORT_BINUNICODE":
            raw = arg.encode()
            out.append(b"X" + struct.pack("<I", len(raw)) + raw)
        elif op.name == "STACK_GLOBAL":
            name, module = out.pop()[5:], out.pop()[5:]
            out.append(b"c" + module + b"\n" + name + b"\n")
        elif op.name == "PROTO":
            out.append(b"\x80\x02")
        else:
            out.append(data[at:end])
    return b"".join(out)


def torch_zip(data_pkl: bytes, root: str = "archive", extra=(), method=zipfile.ZIP_STORED) -> bytes:
    members = [
        (f"{root}/data.pkl", data_pkl),
        (f"{root}/byteorder", b"little"),
        (f"{root}/data/0", floats(32)),
        (f"{root}/data/1", floats(4, 3)),
    ]
    return zipped([*members, *extra, (f"{root}/version", b"3\n")], method)


# --- executables ----------------------------------------------------------------------------------


def elf() -> bytes:
    """A whole x86-64 Linux program that exits with status 0."""
    code = b"\xb8\x3c\x00\x00\x00\x31\xff\x0f\x05"
    base, start = 0x400000, 120
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, base + start, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    size = start + len(code)
    return head + struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 4096) + code


def macho() -> bytes:
    """A 64-bit Mach-O program: header, one segment with one section, an entry point."""
    section = (
        b"__text".ljust(16, b"\0")
        + b"__TEXT".ljust(16, b"\0")
        + struct.pack("<QQIIIIIIII", 0x100000F00, 9, 0xF00, 0, 0, 0, 0x80000400, 0, 0, 0)
    )
    segment = struct.pack("<II16sQQQQIIII", 0x19, 72 + len(section), b"__TEXT", 0x100000000, 0x1000, 0, 0x1000, 7, 5, 1, 0) + section
    entry = struct.pack("<IIQQ", 0x80000028, 24, 0xF00, 0)
    body = struct.pack("<IIIIIIII", 0xFEEDFACF, 0x01000007, 3, 2, 2, len(segment) + len(entry), 0x85, 0) + segment + entry
    return body.ljust(0xF00, b"\0") + b"\x31\xc0\xc3".ljust(256, b"\x90")


def pe() -> bytes:
    """A 32-bit PE program of one section that returns."""
    dos = (
        b"MZ"
        + bytes(58)
        + struct.pack("<I", 128)
        + b"\x0e\x1f\xba\x0e\0\xb4\x09\xcd\x21\xb8\x01\x4c\xcd\x21This program cannot be run in DOS mode.\r\r\n$".ljust(64, b"\0")
    )
    coff = struct.pack("<HHIIIHH", 0x14C, 1, 0x5F000000, 0, 0, 224, 0x102)
    optional = struct.pack(
        "<HBBIIIIIIIIIHHHHHHIIIIHHIIIIII",
        0x10B,
        14,
        0,
        512,
        0,
        0,
        4096,
        4096,
        8192,
        0x400000,
        4096,
        512,
        6,
        0,
        0,
        0,
        6,
        0,
        0,
        8192,
        512,
        0,
        3,
        0x8540,
        1 << 20,
        4096,
        1 << 20,
        4096,
        0,
        16,
    ) + bytes(128)
    section = b".text\0\0\0" + struct.pack("<IIIIIIHHI", 16, 4096, 512, 512, 0, 0, 0, 0, 0x60000020)
    return (dos + b"PE\0\0" + coff + optional + section).ljust(512, b"\0") + b"\x31\xc0\xc3".ljust(512, b"\0")


def png(width: int = 32, height: int = 32) -> bytes:
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes((x * y * 3 + c * 40) & 255 for x in range(width) for c in range(3)) for y in range(height))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )
