"""Archives: paths that climb out, headers that disagree, members in members, frames that are skipped."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from unittest import mock

import lz4.frame
import py7zr
import zstandard

from assembly import call, glob, model, pickle
from pair import CODE, SHELL
from seventh.kit import floats, layer, link, safetensors, second, state, tarred, torch_zip, zipped


def add(out):
    def one(name, hostile, twin, file, why="", prove=None):
        out.add("archives", name, hostile, twin, prove, file, why)

    wicked = pickle(model(call(glob("distutils.spawn", "spawn"), ["touch", "marker"])))
    calm = pickle(model(call(glob("collections", "deque"), ["touch", "marker"])))
    weights = safetensors([layer("fc.weight", 8, 4)])
    card = b"# Tiny\n\nA small classifier.\n"

    # Members in members.
    def seven(data):
        buffer = io.BytesIO()
        then = mock.patch("py7zr.py7zr.ArchiveTimestamp.from_now", lambda: py7zr.helpers.ArchiveTimestamp.from_datetime(1704067200.0))
        with then, py7zr.SevenZipFile(buffer, "w") as z:
            z.writestr(card, "README.md")
            z.writestr(data, "state")
        return buffer.getvalue()

    def deep(data):
        inner = gzip.compress(tarred([("part/state", lzma.compress(data))]), mtime=0)
        return zipped([("README.md", card), ("a/weights.bin", bz2.compress(zipped([("b", inner)])))])

    one(
        "six_deep",
        deep(wicked),
        deep(calm),
        "bundle.zip",
        "zip, bzip2, zip, gzip, tar, xz: the last is a pickle without an extension",
        "innermost",
    )
    one(
        "seven_zip_in_a_tar",
        tarred([("model/README.md", card), ("model/weights.dat", seven(wicked))]),
        tarred([("model/README.md", card), ("model/weights.dat", seven(calm))]),
        "model.tar",
        "the 7z has the ending of data, its member has none",
        "innermost",
    )

    # Frames.
    skipped = struct.pack("<II", 0x184D2A53, len(floats(16))) + floats(16)

    def frames(data):
        return skipped + zstandard.compress(data[:40]) + skipped + zstandard.compress(data[40:])

    one(
        "zstd_after_skippable_frames",
        frames(wicked),
        frames(calm),
        "state.pkl.zst",
        "the stream begins with a skippable frame and the pickle is in two",
        "innermost",
    )
    one(
        "gzip_second_member",
        gzip.compress(pickle({"step": 1}), mtime=0) + gzip.compress(wicked, mtime=0),
        gzip.compress(pickle({"step": 1}), mtime=0) + gzip.compress(calm, mtime=0),
        "log.pkl.gz",
        "two members are one stream: the second pickle is read by the next load",
        "gzip",
    )
    lz = lz4.frame.compress(torch_zip(second(pickle(state(("note", call(glob("profile", "run"), CODE)))))))
    fine = lz4.frame.compress(torch_zip(second(pickle(state(("note", "step 3"))))))
    one("lz4_of_a_torch_file", lz, fine, "model.pt.lz4", "a torch file under LZ4", "innermost")

    # Paths.
    def pax(path):
        info = tarfile.TarInfo("model/notes.txt")
        info.size, info.pax_headers = 2, {"path": path}
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as t:
            t.addfile(info, io.BytesIO(b"x\n"))
        return buffer.getvalue()

    one(
        "pax_header_renames_a_member",
        pax("../marker"),
        pax("model/note-a.txt"),
        "model.tar",
        "the header block says model/notes.txt, the extended header another path",
        "untar",
    )
    one(
        "file_through_a_folder_link",
        tarred([("w", link("w", "..")), ("w/marker", b"x\n"), ("README.md", card)]),
        tarred([("w", link("w", "weights")), ("weights/note", b"x\n"), ("README.md", card)]),
        "model.tar",
        "a link to the folder above, then a file below that link",
        "untar",
    )
    one(
        "hard_link_to_the_host",
        tarred([("model/vocab.txt", link("model/vocab.txt", "/etc/shadow", tarfile.LNKTYPE)), ("README.md", card)]),
        tarred(
            [
                ("model/words.txt", b"the\nof\n"),
                ("model/vocab.txt", link("model/vocab.txt", "model/words.txt", tarfile.LNKTYPE)),
                ("README.md", card),
            ]
        ),
        "model.tar",
        "a hard link to a file of the host; the twin's is to a member",
    )

    def windows(name):
        return zipped([("README.md", card), ("model.safetensors", weights), (name, b"@echo off\r\nrem cache\r\n")])

    one(
        "backslashes_to_start_up",
        windows("..\\..\\AppData\\Roaming\\Microsoft\\Windows\\Start Menu\\Programs\\Startup\\u.cmd"),
        windows("tools/windows/cache.cmd"),
        "model.zip",
        "a path of Windows that climbs to the start-up folder",
    )

    # Headers that disagree.
    def two_names(local: bytes, central: bytes, data: bytes, shown: bytes):
        """One central entry, whose local header has another name and, before it, a member that no entry lists."""

        def head(name, body):
            return (
                struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, 0, 0, 0, 0x5821, zlib.crc32(body), len(body), len(body), len(name), 0)
                + name
                + body
            )

        first, at = head(b"archive/data.pkl", data), 0
        at = len(first)
        body = first + head(local, shown)
        entry = (
            struct.pack(
                "<IHHHHHHIIIHHHHHII",
                0x02014B50,
                20,
                20,
                0,
                0,
                0,
                0x5821,
                zlib.crc32(shown),
                len(shown),
                len(shown),
                len(central),
                0,
                0,
                0,
                0,
                0o644 << 16,
                at,
            )
            + central
        )
        return body + entry + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 1, 1, len(entry), len(body), 0)

    def whole(data, shown):
        return zipped([("archive/data.pkl", data), ("archive/README.md", shown)])

    one(
        "member_that_no_entry_lists",
        two_names(b"archive/README.md", b"archive/README.md", second(pickle({"note": call(glob("pydoc", "pipepager"), "x", SHELL)})), card),
        whole(pickle({"note": "x"}), card),
        "model.pt",
        "streaming readers meet the pickle that the directory leaves out",
    )
    one(
        "local_name_climbs_out",
        two_names(b"../../../.bashrc.d/a.sh", b"archive/README.md", pickle({"note": "x"}), card),
        whole(pickle({"note": "x"}), card),
        "model.zip",
        "the local header and the directory name the member differently",
    )

    # A bomb of overlapping members: one kernel, many entries.
    def overlapping(count):
        kernel = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = kernel.compress(bytes(8 << 20)) + kernel.flush()
        crc, size = zlib.crc32(bytes(8 << 20)), 8 << 20
        local = struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, 0, 8, 0, 0x5821, crc, len(packed), size, 1, 0) + b"w" + packed
        directory = b"".join(
            struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, 0, 8, 0, 0x5821, crc, len(packed), size, 1, 0, 0, 0, 0, 0, 0) + b"w"
            for _ in range(count)
        )
        return local + directory + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count, count, len(directory), len(local), 0)

    one(
        "overlapping_members_bomb",
        overlapping(4000),
        zipped([("w", floats(4096)), ("v", bytes(4096))], zipfile.ZIP_DEFLATED),
        "weights.zip",
        "four thousand entries over one local member: 8 KiB become 31 GiB",
    )
