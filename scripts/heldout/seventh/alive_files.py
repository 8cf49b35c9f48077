"""Loaders of files: pickles in torch files, archives, layers and stores."""

from __future__ import annotations

import os
import sys

from seventh.alive_kinds import kind


class Torch:
    """Stands for whatever torch would have given, where torch is not installed."""

    def __init__(self, *args):
        pass

    def __setstate__(self, state):
        pass


def stand_in(file):
    """An unpickler that reads torch's persistent ids; only names of torch itself are stood in for."""
    import pickle

    class Reader(pickle.Unpickler):
        def find_class(self, module, name):
            if module.split(".")[0] in ("torch", "__torch__"):
                return Torch
            return super().find_class(module, name)

        def persistent_load(self, pid):
            return Torch()

    return Reader(file)


@kind("torch")
def prove_torch(path, detail):
    # As torch.load without weights_only; torch itself where it is installed.
    try:
        import torch
    except ImportError:
        import io, zipfile

        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as z:
                for name in z.namelist():
                    if name.endswith("/data.pkl"):
                        stand_in(io.BytesIO(z.read(name))).load()
        else:
            with open(path, "rb") as f:
                for _ in range(5):
                    stand_in(f).load()
    else:
        torch.load(path, weights_only=False, map_location="cpu")


@kind("torch.pickle")
def prove_torch_pickle(path, detail):
    import torch  # noqa: F401
    import pickle

    pickle.load(open(path, "rb"))


@kind("torch.behind")
def prove_torch_behind(path, detail):
    import io, zipfile

    with zipfile.ZipFile(path) as z:
        stand_in(io.BytesIO(z.read("archive/data.pkl"))).load()


@kind("torch.tar")
def prove_torch_tar(path, detail):
    import tarfile

    with tarfile.open(path) as t:
        stand_in(t.extractfile("pickle")).load()
        f = t.extractfile("storages")
        stand_in(f).load()
        stand_in(f).load()


@kind("untar")
def prove_untar(path, detail):
    # An extraction with no filter, one folder below the sample: what lands beside it has escaped.
    import tarfile

    os.makedirs("opened/here")
    tarfile.open(path).extractall("opened/here", filter="fully_trusted")
    for name in os.listdir("opened"):
        if name != "here":
            open("marker", "w").close()


@kind("nemo.checkpoint")
def prove_nemo_checkpoint(path, detail):
    import io, tarfile, zipfile

    with tarfile.open(path) as t:
        z = zipfile.ZipFile(io.BytesIO(t.extractfile("./model_weights.ckpt").read()))
        stand_in(io.BytesIO(z.read("archive/data.pkl"))).load()


@kind("oci")
def prove_oci(path, detail):
    # The layers of an image layout, as a reader that trusts the first bytes would read them.
    import pickle

    for name in sorted(os.listdir("blobs/sha256")):
        with open(os.path.join("blobs/sha256", name), "rb") as f:
            if f.peek(1)[:1] == b"\x80":
                pickle.load(f)


@kind("innermost")
def prove_innermost(path, detail):
    # Archives are opened one in the other until a pickle is reached.
    import bz2, gzip, io, lzma, tarfile, tempfile, zipfile

    def reach(data):
        if data[:1] == b"\x80":
            try:
                stand_in(io.BytesIO(data)).load()
            except Exception as error:
                print(error, file=sys.stderr)
        elif data[:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(data)) as z:
                for name in z.namelist():
                    reach(z.read(name))
        elif data[:4] == b"\x28\xb5\x2f\xfd" or data[:3] == b"\x2a\x4d\x18" or data[1:4] == b"\x2a\x4d\x18":
            import zstandard

            reach(zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read())
        elif data[:4] == b"\x04\x22\x4d\x18":
            import lz4.frame

            reach(lz4.frame.decompress(data))
        elif data[:6] == b"7z\xbc\xaf\x27\x1c":
            import py7zr

            with tempfile.TemporaryDirectory() as folder, py7zr.SevenZipFile(io.BytesIO(data)) as z:
                z.extractall(folder)
                for base, _, names in os.walk(folder):
                    for name in names:
                        reach(open(os.path.join(base, name), "rb").read())
        elif data[:2] in (b"\x1f\x8b", b"BZ") or data[:6] == b"\xfd7zXZ\0":
            reach({b"\x1f\x8b": gzip, b"BZ": bz2}.get(data[:2], lzma).decompress(data))
        elif data[257:262] == b"ustar":
            with tarfile.open(fileobj=io.BytesIO(data)) as t:
                for member in t:
                    if member.isfile():
                        reach(t.extractfile(member).read())

    reach(open(path, "rb").read())


@kind("attributes")
def prove_attributes(path, detail):
    # As PyTables reads attributes: text that ends in a full stop is tried as a pickle.
    import h5py, pickle

    with h5py.File(path) as f:
        for node in [f, *f.values()]:
            for value in node.attrs.values():
                if isinstance(value, bytes) and value.endswith(b"."):
                    pickle.loads(value)


@kind("msgpack_numpy")
def prove_msgpack_numpy(path, detail):
    import msgpack_numpy

    msgpack_numpy.unpackb(open(path, "rb").read())


@kind("zarr")
def prove_zarr(path, detail):
    # As numcodecs reads a chunk: the filter of the array beside it decides.
    import json, pickle

    array = json.load(open(os.path.join(os.path.dirname(path), ".zarray")))
    if any(f["id"] == "pickle" for f in array["filters"]):
        pickle.load(open(path, "rb"))


@kind("gzip")
def prove_gzip(path, detail):
    import gzip, pickle

    with gzip.open(path) as f:
        while f.peek(1):
            pickle.load(f)
