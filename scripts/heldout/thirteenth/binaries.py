"""Small binary writers of the set: GGUF, safetensors, protobuf fields and stubs of programs."""
from __future__ import annotations

import json
import struct

import numpy

U8, I8, U32, I32, F32, BOOL, STR, ARR, U64 = 0, 1, 4, 5, 6, 7, 8, 9, 10
PACK = {U8: "<B", I8: "<b", U32: "<I", I32: "<i", F32: "<f", BOOL: "<?", U64: "<Q"}


def text(s) -> bytes:
    b = s if isinstance(s, bytes) else s.encode()
    return struct.pack("<Q", len(b)) + b


def kv(name, kind, value) -> bytes:
    """One key of a GGUF header; an array is given as (element kind, values)."""
    out = text(name) + struct.pack("<I", kind)
    if kind == STR:
        return out + text(value)
    if kind == ARR:
        inner, values = value
        out += struct.pack("<IQ", inner, len(values))
        return out + b"".join(text(v) if inner == STR else struct.pack(PACK[inner], v) for v in values)
    return out + struct.pack(PACK[kind], value)


def gguf(keys, tensors=(), gaps=None, align=32) -> bytes:
    """`tensors` are (name, float32 array); `gaps` maps a tensor's name to bytes put in the padding behind it."""
    gaps = gaps or {}
    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)) + b"".join(kv(*k) for k in keys)
    data = b""
    for name, array in tensors:
        out += text(name) + struct.pack("<I", array.ndim)
        out += b"".join(struct.pack("<Q", d) for d in reversed(array.shape)) + struct.pack("<IQ", 0, len(data))
        data += array.astype("<f4").tobytes()
        data += gaps.get(name, b"")
        data += bytes(-len(data) % align)
    return out + bytes(-len(out) % align) + data


def safetensors(tensors: dict, metadata=None) -> bytes:
    names = {"float32": "F32", "float16": "F16", "uint8": "U8", "int8": "I8", "int64": "I64"}
    header, data = ({"__metadata__": metadata} if metadata else {}), b""
    for name, a in tensors.items():
        raw = numpy.ascontiguousarray(a).tobytes()
        header[name] = {"dtype": names[str(a.dtype)], "shape": list(a.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    return struct.pack("<Q", len(head)) + head + data


def weights(*shape, seed=13, scale=0.02):
    return numpy.random.default_rng(seed).normal(0, scale, shape).astype("float32")


def varint(n: int) -> bytes:
    out = b""
    n &= (1 << 64) - 1
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number: int, value) -> bytes:
    """A protobuf field: bytes and text as length-delimited, integers as varint, floats as fixed32."""
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3) + varint(value)


def elf(code=b"\xb8\x3c\0\0\0\x31\xff\x0f\x05", size=4096) -> bytes:
    """A complete static x86-64 program that exits at once, with some text behind it."""
    at = 0x400000
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, at + 120, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    program = struct.pack("<IIQQQQQQ", 1, 5, 0, at, at, 120 + len(code), 120 + len(code), 0x1000)
    body = head + program + code + b"/bin/sh\0-c\0GCC: (Debian 12.2.0)\0.text\0.rodata\0"
    return body + bytes(max(0, size - len(body)))


def library() -> bytes:
    """A complete x86-64 shared library whose initialiser makes the file `marker` with one system call."""
    code = bytes.fromhex("b802000000488d3d11000000be41000000baa40100000f05c3") + bytes(4)
    at = code.index(b"\xc3")
    code = code[:8] + struct.pack("<i", at + 1 - 12) + code[12:at + 1] + b"marker\0"
    names, symbols = b"\0libvocab.so\0", bytes(24)
    base = 64 + 2 * 56
    places, body = {}, b""
    for key, part in (("code", code), ("names", names), ("symbols", symbols), ("hash", struct.pack("<IIII", 1, 1, 0, 0))):
        body += bytes(-(base + len(body)) % 16)
        places[key] = base + len(body)
        body += part
    body += bytes(-(base + len(body)) % 16)
    at = base + len(body)
    table = [(4, places["hash"]), (5, places["names"]), (6, places["symbols"]), (10, len(names)), (11, 24), (12, places["code"]), (14, 1), (0, 0)]
    body += b"".join(struct.pack("<QQ", *row) for row in table)
    size = base + len(body)
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 7, 0, 0, 0, size, size, 0x1000)
    dynamic = struct.pack("<IIQQQQQQ", 2, 6, at, at, at, 16 * len(table), 16 * len(table), 8)
    return head + load + dynamic + body


def macho() -> bytes:
    """A Mach-O header for arm64 with a text segment and a main entry."""
    seg = struct.pack("<II16sQQQQIIII", 0x19, 72, b"__TEXT", 0x100000000, 0x4000, 0, 0x4000, 5, 5, 0, 0)
    entry = struct.pack("<IIQQ", 0x80000028, 24, 0x3F00, 0)
    dylinker = struct.pack("<III", 0xE, 32, 12) + b"/usr/lib/dyld".ljust(20, b"\0")
    commands = seg + dylinker + entry
    head = struct.pack("<IIIIIIII", 0xFEEDFACF, 0x100000C, 0, 2, 3, len(commands), 0x200085, 0)
    return (head + commands).ljust(1024, b"\0") + b"/bin/sh\0_system\0_posix_spawn\0"


def pe() -> bytes:
    """A PE header for x86-64 with one section."""
    dos = b"MZ" + bytes(58) + struct.pack("<I", 128) + b"\x0e\x1f\xba\x0e\0\xb4\x09\xcd\x21\xb8\x01L\xcd\x21This program cannot be run in DOS mode.\r\r\n$"
    dos = dos.ljust(128, b"\0")
    coff = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0x66000000, 0, 0, 240, 0x22)
    optional = struct.pack("<HBBIIIIIQIIHHHHHHIIIIHH", 0x20B, 14, 0, 512, 0, 0, 0x1000, 0x1000, 0x140000000, 0x1000, 512, 6, 0, 0, 0, 6, 0, 0, 0x2000, 512, 0, 3, 0x8160)
    optional = optional.ljust(240, b"\0")
    section = b".text\0\0\0" + struct.pack("<IIIIIIHHI", 16, 0x1000, 512, 512, 0, 0, 0, 0, 0x60000020)
    return (dos + coff + optional + section).ljust(512, b"\0") + b"\x31\xc0\xc3".ljust(512, b"\xcc") + b"cmd.exe\0WinExec\0KERNEL32.dll\0"
