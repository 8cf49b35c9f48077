"""Archives and compressed files: what one reader sees and another does not, wrappings, locks and sizes."""
from __future__ import annotations

import binascii
import bz2
import io
import lzma
import pickle as std
import random
import struct
import tarfile

import lz4.frame
import py7zr
import zstandard
from assembly import call, glob, model, pickle
from pair import CODE
from thirteenth.binaries import elf, safetensors, weights

FAMILY = "archives"
EVIL = pickle(model(call(glob("builtins", "exec"), CODE)))
GOOD = std.dumps({"epoch": 3, "weights": [0.5, -1.25], "name": "classifier"}, 4)


def skippable(data: bytes, n=0) -> bytes:
    return struct.pack("<II", 0x184D2A50 + n, len(data)) + data


def zip_cipher(data: bytes, password: bytes, check: int) -> bytes:
    """The old encryption of zip."""
    table = []
    for i in range(256):
        c = i
        for _ in range(8):
            c = c >> 1 ^ (0xEDB88320 if c & 1 else 0)
        table.append(c)
    k = [0x12345678, 0x23456789, 0x34567890]

    def update(b):
        k[0] = k[0] >> 8 ^ table[(k[0] ^ b) & 255]
        k[1] = ((k[1] + (k[0] & 255)) * 134775813 + 1) & 0xFFFFFFFF
        k[2] = k[2] >> 8 ^ table[(k[2] ^ k[1] >> 24) & 255]

    for b in password:
        update(b)
    out = bytearray()
    for b in random.Random(13).randbytes(11) + bytes([check]) + data:
        t = k[2] | 2
        out.append(b ^ ((t * (t ^ 1)) >> 8 & 255))
        update(b)
    return bytes(out)


def zipped(members) -> bytes:
    """A stored zip of (name, body, password or None, extra field)."""
    out, directory = b"", b""
    for name, body, password, extra in members:
        crc, flags, raw = binascii.crc32(body), 0, body
        if password:
            flags, raw = 1, zip_cipher(body, password, crc >> 24)
        fields = struct.pack("<HHHHHIIIHH", 20, flags, 0, 0, 0x5B21, crc, len(raw), len(body), len(name), len(extra))
        directory += b"PK\1\2" + struct.pack("<H", 20) + fields + struct.pack("<HHHII", 0, 0, 0, 0o644 << 16, len(out)) + name + extra
        out += b"PK\3\4" + fields + name + extra + raw
    return out + directory + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(out), 0)


def unicode_name(name: bytes, other: str) -> bytes:
    data = b"\1" + struct.pack("<I", binascii.crc32(name)) + other.encode()
    return struct.pack("<HH", 0x7075, len(data)) + data


def tar(items) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
        for name, body, pax in items:
            item = tarfile.TarInfo(name)
            item.size, item.mtime, item.pax_headers = len(body), 1788220800, pax
            t.addfile(item, io.BytesIO(body))
    return out.getvalue()


def sparse(size: int) -> bytes:
    """A GNU sparse member of `size` bytes with 512 bytes of data."""
    item = tarfile.TarInfo("model/weights.bin")
    item.size, item.mtime = 512, 1788220800
    head = bytearray(item.tobuf(tarfile.GNU_FORMAT))
    head[156:157] = b"S"
    number = lambda n: b"\x80" + n.to_bytes(11, "big")  # noqa: E731
    head[386:410] = number(0) + number(512)
    head[410:434] = number(size) + number(0)
    head[483:495] = number(size)
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + weights(128).tobytes() + bytes(1024)


def seven(name, body) -> bytes:
    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w", filters=[{"id": py7zr.FILTER_LZMA2, "preset": 1}]) as z:
        z.writestr(body, name)
    return out.getvalue()


def add(out):
    def one(name, hostile, twin, why, prove=None, file=None):
        out.add(FAMILY, name, hostile, twin, prove=prove, file=file, why=why)

    tensor = safetensors({"w": weights(64, 64)})
    body = zstandard.ZstdCompressor(level=3, write_content_size=True).compress(tensor)
    table = struct.pack("<II", len(body), len(tensor)) + struct.pack("<IB", 1, 0) + struct.pack("<I", 0x8F92EAB1)
    one("program_in_a_skippable_frame", body + skippable(elf(size=8192), 5), body + skippable(table, 14),
        "A skippable frame, which every reader passes over, carries a complete Linux program.", file="model.safetensors.zst")

    keys = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ4c0hlbGRPdXRUaGlydGVlbnRoU2V0S2V5 a@b\n"
    one("pax_record_moves_a_member", tar([("model/vocab.txt", keys, {"path": "model/../../.ssh/authorized_keys"})]), tar([("model/w\u00f6rter/vocab.txt", b"cat\ndog\n", {})]),
        "The header says model/vocab.txt; the pax record moves the member out of the folder, to ~/.ssh/authorized_keys.", prove="x13.escape", file="model.tar")
    one("second_name_in_an_extra_field", zipped([(b"vocab.txt", keys, None, unicode_name(b"vocab.txt", "../../.ssh/authorized_keys"))]), zipped([(b"w_rter.txt", b"cat\ndog\n", None, unicode_name(b"w_rter.txt", "w\u00f6rter.txt"))]),
        "The Unicode path field of Info-ZIP names another place, outside the folder, than the header. Not run.", file="vocab.zip")
    note = b"Password of the archive: tiny2026\n"
    one("locked_with_the_key_beside", {"weights.zip": zipped([(b"model.pkl", EVIL, b"tiny2026", b"")]), "README.txt": note}, {"weights.zip": zipped([(b"model.pkl", GOOD, None, b"")]), "README.txt": b"Trained on 2026-09-01\n"},
        "The hostile pickle is in an encrypted zip whose password is in the text beside it.", prove="x13.locked")
    one("sparse_member_of_terabytes", sparse(8 << 40), sparse(1 << 20), "A tar of 2 KB unpacks to a file of 8 TiB. Not run.", file="weights.tar")
    wrap = lambda p: lz4.frame.compress(bz2.compress(lzma.compress(seven("checkpoint/part-0", p))))  # noqa: E731
    one("four_wrappings", wrap(EVIL), wrap(GOOD), "lz4, bzip2, xz and 7z around a pickle with no extension.", prove="x13.wrapped", file="checkpoint.lz4")
