"""Small writers the tenth set shares: protobuf fields, safetensors, GGUF, archives and tiny executables."""
from __future__ import annotations

import io
import json
import random
import struct
import tarfile
import zipfile

FIXED = (2024, 5, 6, 7, 8, 10)


def floats(count, seed=1) -> bytes:
    """Float32 weights of an ordinary layer."""
    rng = random.Random(seed)
    return struct.pack(f"<{count}f", *(rng.gauss(0.0, 0.02) for _ in range(count)))


def noise(count, seed=1) -> bytes:
    return random.Random(seed).randbytes(count)


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def pb(number: int, value) -> bytes:
    """One protobuf field: an int as a varint, a float as 32 bits, text and bytes by length."""
    if isinstance(value, bool) or isinstance(value, int):
        return varint(number << 3) + varint(int(value))
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def safetensors(tensors, metadata=None, gap=b"") -> bytes:
    """`tensors`: name -> (dtype, shape, bytes); `gap` lies between the first tensor and the second."""
    header, at, body = ({"__metadata__": metadata} if metadata else {}), 0, b""
    for n, (name, (dtype, shape, data)) in enumerate(tensors.items()):
        if n == 1 and gap:
            body += gap
            at += len(gap)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + len(data)]}
        body += data
        at += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body


def gstring(value) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(data)) + data


def gguf(keys, tensors=(), data=b"") -> bytes:
    """GGUF v3. `keys`: (name, kind, value) with kind "s", "u", "f", "as" or "raw" (type number and bytes);
    `tensors`: (name, dims, ggml type, offset)."""
    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    for name, kind, value in keys:
        out += gstring(name)
        if kind == "s":
            out += struct.pack("<I", 8) + gstring(value)
        elif kind == "u":
            out += struct.pack("<II", 4, value)
        elif kind == "f":
            out += struct.pack("<If", 6, value)
        elif kind == "as":
            out += struct.pack("<IIQ", 9, 8, len(value)) + b"".join(gstring(v) for v in value)
        else:
            out += struct.pack("<I", value[0]) + value[1]
    for name, dims, kind, offset in tensors:
        out += gstring(name) + struct.pack("<I", len(dims)) + struct.pack(f"<{len(dims)}Q", *dims) + struct.pack("<IQ", kind, offset)
    return out + b"\0" * (-len(out) % 32) + data


LLAMA = [
    ("general.architecture", "s", "llama"),
    ("general.name", "s", "tiny"),
    ("llama.context_length", "u", 512),
    ("llama.embedding_length", "u", 64),
    ("llama.block_count", "u", 1),
    ("llama.attention.head_count", "u", 4),
    ("llama.attention.layer_norm_rms_epsilon", "f", 1e-5),
    ("tokenizer.ggml.model", "s", "llama"),
    ("tokenizer.ggml.tokens", "as", ["<unk>", "<s>", "</s>", "a", "b"]),
]


def zipped(files, method=zipfile.ZIP_DEFLATED, comment=b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as z:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, FIXED)
            info.compress_type = method
            info.external_attr = 0o644 << 16
            z.writestr(info, data)
        z.comment = comment
    return buffer.getvalue()


def tarred(entries, mode="w", fmt=tarfile.GNU_FORMAT) -> bytes:
    """`entries`: name -> bytes, ("sym", target), ("hard", target) or ("dir",)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=fmt) as t:
        for name, data in entries.items() if isinstance(entries, dict) else entries:
            info = tarfile.TarInfo(name)
            info.mtime, info.mode = 1714979290, 0o644
            if isinstance(data, tuple):
                info.type = {"sym": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "dir": tarfile.DIRTYPE}[data[0]]
                info.linkname = data[1] if len(data) > 1 else ""
                if data[0] == "dir":
                    info.mode = 0o755
                t.addfile(info)
            else:
                data = data.encode() if isinstance(data, str) else data
                info.size = len(data)
                t.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def elf(size=4096) -> bytes:
    """A static x86-64 Linux program that exits with status 0, padded with noise the way packed code is."""
    code = b"\x31\xff\x6a\x3c\x58\x0f\x05"
    base, entry = 0x400000, 0x400078
    head = b"\x7fELF\x02\x01\x01" + b"\0" * 9 + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, entry, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000)
    body = head + load + code + b"\0/bin/sh\0-c\0GCC: (Debian 12.2.0-14) 12.2.0\0"
    return body + noise(size - len(body), 77)


def pe(size=4096) -> bytes:
    """A console PE32+ image with one code section whose entry returns 0."""
    stub = bytes.fromhex("0e1fba0e00b409cd21b8014ccd21") + b"This program cannot be run in DOS mode.\r\r\n$\0\0\0\0\0\0\0"
    dos = b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0\xb8" + b"\0" * 7 + b"@" + b"\0" * 35 + struct.pack("<I", 128) + stub
    dos += b"\0" * (128 - len(dos))
    coff = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0x65000000, 0, 0, 240, 0x22)
    optional = struct.pack("<HBBIIIIIQIIHHHHHHIIIIHH", 0x20B, 14, 0, 512, 0, 0, 0x1000, 0x1000, 0x140000000, 0x1000, 512, 6, 0, 0, 0, 6, 0, 0, 0x2000, 512, 0, 3, 0x8160)
    optional += struct.pack("<QQQQII", 0x100000, 0x1000, 0x100000, 0x1000, 0, 16) + b"\0" * 128
    section = b".text\0\0\0" + struct.pack("<IIIIIIHHI", 16, 0x1000, 512, 512, 0, 0, 0, 0, 0x60000020)
    image = dos + coff + optional + section
    image += b"\0" * (512 - len(image)) + b"\x31\xc0\xc3" + b"\0" * 509
    return image + noise(max(0, size - len(image)), 78)


def macho(size=4096) -> bytes:
    """A 64-bit Mach-O executable header with a __TEXT segment, its entry point and padding."""
    text = struct.pack("<II16sQQQQIIII", 0x19, 72, b"__TEXT", 0x100000000, 0x4000, 0, size, 5, 5, 0, 0)
    linker = struct.pack("<III", 0xE, 32, 12) + b"/usr/lib/dyld\0".ljust(20, b"\0")
    main = struct.pack("<IIQQ", 0x80000028, 24, 0x400, 0)
    body = struct.pack("<IIIIIIII", 0xFEEDFACF, 0x01000007, 3, 2, 3, 72 + 32 + 24, 0x85, 0) + text + linker + main
    return body.ljust(0x400, b"\0") + b"\x31\xc0\xc3" + noise(size - 0x403, 79)


def torch_zip(data_pkl: bytes, records=None, root="archive", pkl="data.pkl") -> bytes:
    """A checkpoint as torch.save writes it, its pickle given: stored records, aligned by an FB field."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as z:
        files = {pkl: data_pkl, "byteorder": b"little", **{f"data/{k}": v for k, v in (records or {}).items()}, "version": b"3\n", ".data/serialization_id": b"0000000000000000000100000000000000000002"}
        for name, data in files.items():
            info = zipfile.ZipInfo(f"{root}/{name}", FIXED)
            start = buffer.tell() + 30 + len(info.filename) + 4
            fill = -start % 64
            info.extra = b"FB" + struct.pack("<H", fill) + b"Z" * fill
            z.writestr(info, data)
    return buffer.getvalue()
