"""A small writer of R's serialisation (XDR, version 2): symbols, vectors, calls, closures and promises."""
from __future__ import annotations

import gzip
import struct

NIL, GLOBAL, UNBOUND = b"\0\0\0\xfe", b"\0\0\0\xfd", b"\0\0\0\xfc"


def word(n: int) -> bytes:
    return struct.pack(">I", n)


def chars(text: str) -> bytes:
    return word(0x00040009) + word(len(text)) + text.encode()


def symbol(name: str) -> bytes:
    return word(1) + chars(name)


def strings(*texts: str) -> bytes:
    return word(16) + word(len(texts)) + b"".join(chars(t) for t in texts)


def reals(*values: float) -> bytes:
    return word(14) + word(len(values)) + struct.pack(f">{len(values)}d", *values)


def pairs(items) -> bytes:
    """A pairlist of (tag or None, value)."""
    out = b""
    for tag, value in items:
        out += word(0x402) + symbol(tag) + value if tag else word(2) + value
    return out + NIL


def language(function: str, *args: bytes) -> bytes:
    return word(6) + symbol(function) + pairs([(None, a) for a in args])


def closure(body: bytes) -> bytes:
    return word(0x403) + GLOBAL + NIL + body


def promise(expression: bytes) -> bytes:
    return word(0x405) + GLOBAL + UNBOUND + expression


def named(vectors: dict) -> bytes:
    """A generic vector with names."""
    out = word(0x200 | 19) + word(len(vectors)) + b"".join(vectors.values())
    return out + pairs([("names", strings(*vectors))])


HEAD = b"X\n" + word(2) + word(0x00040303) + word(0x00020300)


def rds(item: bytes) -> bytes:
    return gzip.compress(HEAD + item, mtime=0)


def workspace(variables: dict) -> bytes:
    return gzip.compress(b"RDX2\n" + HEAD + pairs(list(variables.items())), mtime=0)
