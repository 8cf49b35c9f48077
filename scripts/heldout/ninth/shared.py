"""Writers of the containers that several families of this set need."""
from __future__ import annotations

import io
import json
import random
import struct
import tarfile
import zipfile
import zlib

STAMP = (2025, 6, 2, 9, 30, 0)


def floats(n: int, seed: int = 9) -> bytes:
    rng = random.Random(seed)
    return struct.pack(f"<{n}f", *(rng.gauss(0, 0.05) for _ in range(n)))


def noise(n: int, seed: int = 9) -> bytes:
    return random.Random(seed).randbytes(n)


def zipped(members, method=zipfile.ZIP_STORED) -> bytes:
    """A zip of (name, bytes) in order, doubles kept."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for name, data in members.items() if isinstance(members, dict) else members:
            info = zipfile.ZipInfo(name, STAMP)
            info.compress_type = method
            info.external_attr = 0o644 << 16
            z.writestr(info, data)
    return out.getvalue()


def tarred(members, mode="w", fmt=tarfile.GNU_FORMAT) -> bytes:
    """A tar of (name, bytes | ("link", target) | ("hard", target)); (name, data, pax) gives PAX records."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=fmt) as t:
        for name, data, *pax in members.items() if isinstance(members, dict) else members:
            info = tarfile.TarInfo(name)
            info.mtime = 1748856600
            if isinstance(data, tuple):
                info.type = tarfile.SYMTYPE if data[0] == "link" else tarfile.LNKTYPE
                info.linkname = data[1]
                t.addfile(info)
                continue
            info.size = len(data)
            info.mode = 0o755 if data[:4] == b"\x7fELF" or data[:2] == b"#!" else 0o644
            if pax:
                info.pax_headers = pax[0]
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def elf(payload: bytes = b"touch marker", size: int = 0) -> bytes:
    """A small whole x86-64 ELF program: execve("/bin/sh", ["sh", "-c", payload], NULL)."""
    base, head = 0x400000, 64 + 56
    shell, dash, name = b"/bin/sh\0", b"-c\0", b"sh\0"
    code_len = 80
    strings = base + head + code_len
    at_shell, at_name = strings, strings + len(shell)
    at_dash = at_name + len(name)
    at_payload = at_dash + len(dash)
    code = b"\x31\xd2\x52"  # xor edx, edx; push rdx
    for address in (at_payload, at_dash, at_name):
        code += b"\x48\xb8" + struct.pack("<Q", address) + b"\x50"
    code += b"\x48\x89\xe6\x48\xbf" + struct.pack("<Q", at_shell) + b"\x6a\x3b\x58\x0f\x05"
    code = code.ljust(code_len, b"\x90")
    body = code + shell + name + dash + payload + b"\0"
    total = head + len(body)
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, base + head, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, total, total, 0x1000)
    out = header + segment + body
    return out + noise(max(0, size - len(out)), 77)


def safetensors(tensors, metadata=None) -> bytes:
    """`tensors`: name -> (dtype, shape, bytes)."""
    head, data = {}, b""
    if metadata:
        head["__metadata__"] = metadata
    for name, (dtype, shape, raw) in tensors.items():
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def plain_tensors(metadata=None) -> bytes:
    return safetensors({"dense.weight": ("F32", [16, 8], floats(128)), "dense.bias": ("F32", [16], floats(16, 3))}, metadata or {"format": "pt"})


def gstr(text) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw


def gguf(kv, tensors=None, align=32, pad=b"\0", tail=None, version=3) -> bytes:
    """GGUF v3. `kv`: key -> str | int | float | list[str] | Raw bytes of type and value; `tensors`: name -> (dims, type, offset)."""
    if tensors is None:
        tensors = {"token_embd.weight": ([8, 16], 0, 0), "output.weight": ([8, 16], 0, 512)}
        tail = floats(256) if tail is None else tail
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(kv))
    for key, value in kv.items():
        out += gstr(key)
        if isinstance(value, str):
            out += struct.pack("<I", 8) + gstr(value)
        elif isinstance(value, int):
            out += struct.pack("<II", 4, value)
        elif isinstance(value, float):
            out += struct.pack("<If", 6, value)
        elif isinstance(value, list):
            out += struct.pack("<IIQ", 9, 8, len(value)) + b"".join(gstr(v) for v in value)
        else:
            out += value
    for name, (dims, kind, offset) in tensors.items():
        out += gstr(name) + struct.pack("<I", len(dims)) + b"".join(struct.pack("<Q", d) for d in dims) + struct.pack("<IQ", kind, offset)
    gap = -len(out) % align
    out += (pad * gap)[:gap] if len(pad) == 1 else pad.ljust(gap, b"\0")[:gap]
    return out + (tail or b"")


LLAMA = {
    "general.architecture": "llama",
    "general.name": "tiny",
    "llama.context_length": 512,
    "llama.embedding_length": 8,
    "llama.block_count": 1,
    "llama.attention.head_count": 2,
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.tokens": ["<s>", "</s>", "a", "b"],
}


def varint(n: int) -> bytes:
    out = b""
    n &= (1 << 64) - 1
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def pb(*fields) -> bytes:
    """A protobuf message of (number, int | bytes | str | float)."""
    out = b""
    for number, value in fields:
        if isinstance(value, float):
            out += varint(number << 3 | 5) + struct.pack("<f", value)
        elif isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            raw = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(raw)) + raw
    return out


def png(extra: bytes = b"") -> bytes:
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + noise(24, y) for y in range(8))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"") + extra


def torch_zip(data_pkl: bytes, name="archive", extra=()) -> bytes:
    """The zip that torch.save writes, one float storage in it."""
    return zipped([(f"{name}/data.pkl", data_pkl), (f"{name}/byteorder", b"little"), (f"{name}/data/0", floats(16)), (f"{name}/version", b"3\n"), *extra])
