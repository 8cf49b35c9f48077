"""Pickles whose harm comes from an ordinary library call: hints that are evaluated, entry points, MIME tests, examples."""
import binascii
import pickle as stock

from assembly import build, call, dot, glob, model, new, pickle, val

from .parts import CODE, apart, scratch, zipped

FAMILY = "pickle"


def bytesio(data: bytes):
    return call(glob("_io", "BytesIO"), data)


def namespace(**names):
    return build(new(glob("types", "SimpleNamespace")), names)


def add(out):
    def pair(name, hostile, twin, prove="pickle", why="", file="model.pkl"):
        out.add(FAMILY, name, hostile, twin, prove, file, why)

    hints = {"weight": "float", "callback": f"[{CODE}]"}
    pair(
        "type-hints", pickle(model(call(glob("typing", "get_type_hints"), namespace(__annotations__=hints)))),
        pickle(model(namespace(__annotations__={"weight": "float", "callback": "list[int]"}))),
        why="typing.get_type_hints evaluates each annotation that is text; the annotation opens a file. The twin keeps annotations as data.",
    )  # fmt: skip
    point = glob("importlib.metadata", "EntryPoint")
    pair(
        "entry-point",
        pickle(model(call(call(dot("importlib.metadata", "EntryPoint", "load"), call(point, "fit", "os:system", "models")), "touch marker"))),
        pickle(model({"name": "fit", "value": "sklearn.linear_model:LogisticRegression", "group": "models"})),
        why="An entry point is a resolver: `os:system` is text until load() imports it, and then it is called.",
    )
    pair(
        "mime-test",
        pickle(model(call(glob("mailcap", "findmatch"), {"image/png": [{"view": "show %s", "test": "touch marker"}]}, "image/png"))),
        pickle(model({"image/png": [{"view": "show %s", "test": "test -n \"$DISPLAY\""}]})),
        why="mailcap.findmatch runs the `test` of an entry through os.system (CPython up to 3.12). The twin is the table alone.",
    )
    script = "attach database 'marker' as m; create table m.t(x);"
    pair(
        "sqlite-attach",
        pickle(model(call(call(glob("operator", "methodcaller"), "executescript", script), call(glob("sqlite3", "connect"), ":memory:")))),
        pickle(model({"clean": call(glob("operator", "methodcaller"), "lower"), "schema": "create table t(x);"})),
        why="A method named by text runs SQL that writes a file of the writer's choosing. The twin keeps a text transformer unused.",
    )
    pair(
        "uu-decode",
        pickle(model(call(glob("uu", "decode"), bytesio(b"begin 644 w\n" + binascii.b2a_uu(b"owned\n") + b"`\nend\n"), "marker"))),
        pickle(model(bytesio(b"begin 644 w\n" + binascii.b2a_uu(b"owned\n") + b"`\nend\n"))),
        why="uu.decode writes the bytes of its first argument to the path of its second (CPython up to 3.12).",
    )
    inner = zipped({"marker": b"import this\n"})
    kept = zipped({"arr_0.txt": b"0.5 0.25\n"})
    pair(
        "zip-extractall",
        pickle(model(call(dot("zipfile", "ZipFile", "extractall"), call(glob("zipfile", "ZipFile"), bytesio(inner)), "."))),
        pickle(model(bytesio(kept))),
        why="Files are unpacked beside the model while it loads. The twin keeps an archive as bytes.",
    )
    doc = f"Scale.\n\n>>> {CODE}\n"
    pair(
        "docstring-example",
        pickle(model(call(glob("doctest", "run_docstring_examples"), namespace(__doc__=doc), {})), 2),
        pickle(model(namespace(__doc__="Scale.\n\n>>> scale([1, 2])\n[0.5, 1.0]\n")), 2),
        why="doctest runs the example lines of a text. The twin has the docstring and runs nothing.",
    )
    # A class made on the way whose finaliser is a bound call: nothing is called by the pickle itself save `type`.
    late = call(glob("functools", "partial"), glob("timeit", "main"), ["-n1", "-r1", CODE])
    kind = call(glob("builtins", "type"), "Scale", val(()), {"__del__": late})
    pair(
        "finaliser", pickle(model(call(kind))),
        pickle(model({"name": "Scale", "apply": call(glob("functools", "partial"), glob("operator", "mul"), 2)})),
        why="The instance's __del__ is a partial of timeit.main, which runs source text when the model is dropped.",
    )  # fmt: skip
    source = "\ndef forward(self, x):\n    return x.relu()\n"
    body = {"_code": f"\n{CODE}\n" + source, "_modules": {}, "training": False}
    quiet = {"_code": source, "_modules": {}, "training": False}
    pair(
        "fx-graph-source",
        pickle(call(glob("torch.fx.graph_module", "reduce_graph_module"), body, "import torch\n")),
        stock.dumps({"graph": quiet, "imports": "import torch\n"}, 4),
        prove="e11-pickle", file="traced.pkl",
        why="torch.fx compiles the source text of a traced module when it is unpickled; this text does more than compute. The twin keeps such text as data.",
    )  # fmt: skip
    out.pairs.extend(apart(__name__, "add_keras"))


def keras_pickle(hostile):
    import keras

    keras.utils.set_random_seed(1)
    first = keras.layers.Lambda(lambda x: [x, open("marker", "w").close()][0]) if hostile else keras.layers.Rescaling(1.0)
    with scratch():
        return stock.dumps(keras.Sequential([keras.Input((4,)), first, keras.layers.Dense(2)]), 4)


def add_keras(out):
    out.add(
        FAMILY, "keras-in-pickle", keras_pickle(True), keras_pickle(False), "e11-pickle", "classifier.pkl",
        "What pickle.dump of a Keras model writes: an archive in bytes that Keras opens with safe_mode off, here with a Lambda that writes a file.",
    )  # fmt: skip
