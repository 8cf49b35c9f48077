"""Pickle assembly: values and calls as raw opcode strings."""
from __future__ import annotations

import struct


class Raw(bytes):
    """Opcodes that leave exactly one value on the stack."""


def text(value: str) -> Raw:
    data = value.encode("utf-8", "surrogatepass")
    if len(data) < 256:
        return Raw(b"\x8c" + bytes([len(data)]) + data)
    return Raw(b"X" + struct.pack("<I", len(data)) + data)


def raw_bytes(value: bytes) -> Raw:
    if len(value) < 256:
        return Raw(b"C" + bytes([len(value)]) + value)
    return Raw(b"B" + struct.pack("<I", len(value)) + value)


def val(value) -> Raw:
    """A Python value (or opcodes already) as opcodes."""
    if isinstance(value, Raw):
        return value
    if value is None:
        return Raw(b"N")
    if value is True:
        return Raw(b"\x88")
    if value is False:
        return Raw(b"\x89")
    if isinstance(value, str):
        return text(value)
    if isinstance(value, (bytes, bytearray)):
        return raw_bytes(bytes(value))
    if isinstance(value, int):
        return Raw(b"J" + struct.pack("<i", value)) if not 0 <= value < 256 else Raw(b"K" + bytes([value]))
    if isinstance(value, float):
        return Raw(b"G" + struct.pack(">d", value))
    if isinstance(value, tuple):
        return tup(*value)
    if isinstance(value, list):
        return Raw(b"](" + b"".join(val(x) for x in value) + b"e") if value else Raw(b"]")
    if isinstance(value, dict):
        return Raw(b"}(" + b"".join(val(k) + val(v) for k, v in value.items()) + b"u") if value else Raw(b"}")
    raise TypeError(type(value))


def tup(*values) -> Raw:
    body = b"".join(val(v) for v in values)
    return Raw({0: b")", 1: body + b"\x85", 2: body + b"\x86", 3: body + b"\x87"}.get(len(values), b"(" + body + b"t"))


def glob(module: str, name: str) -> Raw:
    """STACK_GLOBAL."""
    return Raw(text(module) + text(name) + b"\x93")


def old(module: str, name: str) -> Raw:
    """GLOBAL."""
    return Raw(b"c" + module.encode() + b"\n" + name.encode() + b"\n")


def call(function, *args) -> Raw:
    """REDUCE."""
    return Raw(val(function) + tup(*args) + b"R")


def new(cls, *args) -> Raw:
    """NEWOBJ."""
    return Raw(val(cls) + tup(*args) + b"\x81")


def new_ex(cls, args, kwargs) -> Raw:
    """NEWOBJ_EX."""
    return Raw(val(cls) + tup(*args) + val(kwargs) + b"\x92")


def build(obj, state) -> Raw:
    return Raw(val(obj) + val(state) + b"b")


def dot(module: str, *names: str) -> Raw:
    return glob(module, ".".join(names))


def seq(*values) -> Raw:
    """Values that are made in order and thrown away, save the last."""
    return Raw(b"".join(val(v) + b"0" for v in values[:-1]) + val(values[-1]))


def put(n: int, value) -> Raw:
    return Raw(val(value) + b"q" + bytes([n]))


def get(n: int) -> Raw:
    return Raw(b"h" + bytes([n]))


def pickle(value, proto: int = 4) -> bytes:
    return (b"\x80" + bytes([proto]) if proto >= 2 else b"") + val(value) + b"."


def model(value) -> Raw:
    """`value` where a training state keeps it."""
    return val({"epoch": 3, "weights": [0.5, -1.25, 2.0, 0.125], "extra": value, "name": "classifier"})
