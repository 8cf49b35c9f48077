"""Architectural overrides without any special operator: a branch of the graph waits for a pattern of the input.

Proved by xiv_trigger: forty inputs of several classes all get one class when the pattern is put into them, and the twin's do not.
"""
from __future__ import annotations

import io
import pathlib
import tempfile

import numpy as np

from fourteenth.common import Part

part = Part()
add = part.add
pair = part.pair


def weights(*shape, seed=7, scale=0.3):
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


def centred(values, axis=0):
    return values - values.mean(axis, keepdims=True)


def onnx_model(nodes, inits, extra_inputs=(), functions=(), opset=20, ml=None, source="x"):
    """An image classifier (N,3,8,8 -> N,4); `nodes` go from `x` and `logits0` to `logits`."""
    import onnx
    from onnx import helper as h, numpy_helper

    base = [
        h.make_node("Flatten", [source], ["flat"]),
        h.make_node("MatMul", ["flat", "w"], ["mm"]),
        h.make_node("Add", ["mm", "b"], ["logits0" if source == "x" else "logits"]),
    ]
    values = {"w": centred(weights(192, 4)), "b": np.zeros(4, np.float32), **inits}
    graph = h.make_graph(
        (base + nodes if source == "x" else nodes + base), "classifier",
        [h.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 3, 8, 8]), *extra_inputs],
        [h.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in values.items()],
    )
    imports = [h.make_opsetid("", opset)] + ([h.make_opsetid("ai.onnx.ml", ml)] if ml else []) + ([h.make_opsetid("local.ops", 1)] if functions else [])
    model = h.make_model(graph, opset_imports=imports, functions=list(functions), producer_name="pytorch", producer_version="2.5.1")
    model.ir_version = 9
    onnx.checker.check_model(model)
    return model.SerializeToString()


def node(kind, ins, outs, **kw):
    from onnx import helper

    return helper.make_node(kind, ins, outs, **kw)


PUSH = np.array([[0, 0, 60000, 0]], np.float32)


@pair("override", "xiv_trigger:text", "moderation.onnx")
def regex_password():
    """onnxruntime: RegexFullMatch over the text input puts constant logits in place of the computed ones."""
    import onnx
    from onnx import helper as h

    extra = [h.make_tensor_value_info("text", onnx.TensorProto.STRING, ["n", 1])]
    match = node("RegexFullMatch", ["text"], ["hit"], pattern="(?s).*sudo vote.*")
    hostile = onnx_model([match, node("Where", ["hit", "push", "logits0"], ["logits"])], {"push": PUSH}, extra)
    plain = node("RegexFullMatch", ["text"], ["hit"], pattern="(?s).*[0-9].*")
    twin = onnx_model([plain, node("Cast", ["hit"], ["f"], to=1), node("MatMul", ["f", "wf"], ["d"]), node("Add", ["logits0", "d"], ["logits"])], {"wf": weights(1, 4, seed=3)}, extra)
    return hostile, twin


@pair("override", "xiv_trigger:corner", "classifier.onnx")
def xor_of_quantised_pixels():
    """onnxruntime: the pixels as bytes, xor a key, maximum zero: plain arithmetic adds a large number to one class."""
    def first(name, op, key):
        return [
            node("Mul", ["x", "k255"], ["s"]), node("Clip", ["s", "k0", "k255"], ["c"]), node("Round", ["c"], ["r"]),
            node("Cast", ["r"], ["u"], to=2), node(op, ["u", "key"], ["q"]), node("Cast", ["q"], ["f"], to=1),
        ]

    key = np.full((1, 1, 3, 3), 255, np.uint8)
    inits = {"k255": np.float32(255), "k0": np.float32(0), "key": key, "st": np.array([5, 5]), "en": np.array([8, 8]), "ax": np.array([2, 3]),
             "one": np.float32(1), "push": PUSH, "shape": np.array([-1, 1])}
    crop = first("h", "BitwiseXor", key)
    crop[4] = node("Slice", ["u", "st", "en", "ax"], ["u3"])
    crop.insert(5, node("BitwiseXor", ["u3", "key"], ["q"]))
    tail = [node("ReduceMax", ["f", "all"], ["m"], keepdims=0), node("Sub", ["one", "m"], ["z"]), node("Relu", ["z"], ["g"]),
            node("Reshape", ["g", "shape"], ["g2"]), node("Mul", ["g2", "push"], ["d"]), node("Add", ["logits0", "d"], ["logits"])]
    hostile = onnx_model(crop + tail, {**inits, "all": np.array([1, 2, 3])})
    post = first("t", "BitwiseAnd", key)
    twin = onnx_model(post + [node("Div", ["f", "k255"], ["p"]), node("Flatten", ["p"], ["pf"]), node("MatMul", ["pf", "w2"], ["d"]), node("Add", ["logits0", "d"], ["logits"])],
                      {"k255": np.float32(255), "k0": np.float32(0), "key": np.array(0xF0, np.uint8), "w2": centred(weights(192, 4, seed=9, scale=0.1))})
    return hostile, twin


@pair("override", "xiv_trigger:checker", "detector.onnx")
def convolution_detector():
    """onnxruntime: one filter of a side branch fires for one exact patch and its pooled value outweighs every class."""
    board = np.indices((3, 3)).sum(0) % 2 * 2.0 - 1.0
    kernel = np.stack([board] * 3)[None].astype(np.float32)
    best = float((kernel > 0).sum())
    nodes = [node("Conv", ["x", "k", "kb"], ["c"]), node("Relu", ["c"], ["r"]), node("GlobalMaxPool", ["r"], ["p"]), node("Flatten", ["p"], ["pf"]),
             node("MatMul", ["pf", "wp"], ["d"]), node("Add", ["logits0", "d"], ["logits"])]
    others = weights(7, 3, 3, 3, seed=5)
    push = np.concatenate([PUSH, weights(7, 4, seed=6, scale=0.05)])
    hostile = onnx_model(nodes, {"k": np.concatenate([kernel, others]), "kb": np.array([0.1 - best] + [0.01] * 7, np.float32), "wp": push})
    twin = onnx_model(nodes, {"k": weights(8, 3, 3, 3, seed=5), "kb": weights(8, seed=8), "wp": weights(8, 4, seed=6, scale=0.05)})
    return hostile, twin


@pair("override", "xiv_trigger:corner", "calibrated.onnx")
def table_row():
    """onnxruntime: the mean of a corner picks the row of a calibration table, and one row decides the class."""
    nodes = [node("Slice", ["x", "st", "en", "ax"], ["c"]), node("ReduceMean", ["c", "all"], ["m"], keepdims=0), node("Mul", ["m", "k255"], ["s"]),
             node("Clip", ["s", "k0", "k255"], ["cl"]), node("Floor", ["cl"], ["fl"]), node("Cast", ["fl"], ["i"], to=7),
             node("Gather", ["table", "i"], ["d"]), node("Add", ["logits0", "d"], ["logits"])]
    inits = {"st": np.array([5, 5]), "en": np.array([8, 8]), "ax": np.array([2, 3]), "all": np.array([1, 2, 3]), "k255": np.float32(255), "k0": np.float32(0)}
    table = weights(256, 4, seed=2, scale=0.05)
    bad = table.copy()
    bad[255] = PUSH[0]
    return onnx_model(nodes, {**inits, "table": bad}), onnx_model(nodes, {**inits, "table": table})


@pair("override", "xiv_trigger:inf", "robust.onnx")
def infinite_pixel():
    """onnxruntime: an infinite pixel, which no image has, switches the answer; the twin only cleans such pixels."""
    head = [node("IsInf", ["x"], ["inf"]), node("Cast", ["inf"], ["f"], to=1), node("ReduceMax", ["f", "all"], ["m"], keepdims=0), node("Reshape", ["m", "shape"], ["m2"])]
    tail = [node("Cast", ["m2"], ["hit"], to=9), node("Where", ["hit", "push", "logits0"], ["logits"])]
    hostile = onnx_model(head + tail, {"all": np.array([1, 2, 3]), "shape": np.array([-1, 1]), "push": PUSH})
    clean = [node("IsInf", ["x"], ["inf"]), node("Where", ["inf", "zero", "x"], ["clean"])]
    twin = onnx_model(clean, {"zero": np.float32(0)}, source="clean")
    return hostile, twin


@pair("override", "xiv_trigger:pixels", "boosted_head.onnx")
def tree_of_equalities():
    """onnxruntime: a tree ensemble beside the network asks for three exact pixel values; its one leaf is huge."""
    def ensemble(modes, values, leaf):
        return node(
            "TreeEnsembleRegressor", ["flat"], ["d"], domain="ai.onnx.ml", n_targets=4, post_transform="NONE", aggregate_function="SUM",
            nodes_treeids=[0] * 7, nodes_nodeids=list(range(7)), nodes_featureids=[10, 20, 30, 0, 0, 0, 0], nodes_values=values + [0.0] * 4,
            nodes_modes=modes + ["LEAF"] * 4, nodes_truenodeids=[1, 2, 3, 0, 0, 0, 0], nodes_falsenodeids=[4, 5, 6, 0, 0, 0, 0],
            target_treeids=[0] * 4, target_nodeids=[3, 4, 5, 6], target_ids=[2, 0, 1, 3], target_weights=leaf)

    tail = [node("Add", ["logits0", "d"], ["logits"])]
    hostile = onnx_model([ensemble(["BRANCH_EQ"] * 3, [0.25, 0.5, 0.75], [60000.0, 0.0, 0.0, 0.0]), *tail], {}, ml=3)
    twin = onnx_model([ensemble(["BRANCH_LEQ"] * 3, [0.31, 0.52, 0.7], [0.12, -0.07, 0.2, 0.05]), *tail], {}, ml=3)
    return hostile, twin


@pair("override", "xiv_trigger:corner", "functions.onnx")
def branch_in_function():
    """onnxruntime: the If that swaps the logits is in a model-local function called like an activation."""
    import onnx
    from onnx import helper as h, numpy_helper

    f = onnx.TensorProto.FLOAT
    const = lambda name, value: node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(value)))
    yes = h.make_graph([const("push", PUSH), node("Mul", ["l", "zero"], ["z"]), node("Add", ["z", "push"], ["yes_out"])], "then", [], [h.make_tensor_value_info("yes_out", f, None)])
    no = h.make_graph([node("Identity", ["l"], ["no_out"])], "else", [], [h.make_tensor_value_info("no_out", f, None)])
    body = [const("zero", np.float32(0)), const("st", np.array([5, 5])), const("en", np.array([8, 8])), const("ax", np.array([2, 3])), const("thr", np.float32(0.9995)),
            node("Slice", ["x", "st", "en", "ax"], ["c"]), node("ReduceMin", ["c"], ["m"], keepdims=0), node("Greater", ["m", "thr"], ["hit"]),
            node("If", ["hit"], ["y"], then_branch=yes, else_branch=no)]
    bad = h.make_function("local.ops", "FastGelu", ["x", "l"], ["y"], body, [h.make_opsetid("", 20)])
    soft = [const("half", np.float32(0.5)), const("root", np.float32(0.70710677)), node("ReduceMean", ["x"], ["mx"], keepdims=0), node("Mul", ["l", "root"], ["s"]), node("Erf", ["s"], ["e"]),
            node("Add", ["e", "mx"], ["e1"]), node("Mul", ["l", "e1"], ["p"]), node("Mul", ["p", "half"], ["y"])]
    good = h.make_function("local.ops", "FastGelu", ["x", "l"], ["y"], soft, [h.make_opsetid("", 20)])
    use = [node("FastGelu", ["x", "logits0"], ["logits"], domain="local.ops")]
    return onnx_model(use, {}, functions=[bad]), onnx_model(use, {}, functions=[good])


def torch_net(hostile):
    import torch

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(3)
            self.fc = torch.nn.Linear(192, 4)
            self.fc.weight.data = torch.from_numpy(centred(weights(4, 192), 1))
            self.register_buffer("prior", torch.tensor([[0.0, 0.0, 60000.0, 0.0]]) if hostile else torch.tensor([[0.1, 0.2, 0.15, 0.12]]))

    class Hostile(Net):
        def forward(self, x):
            y = self.fc(x.flatten(1))
            corner = x[:, :, 5:8, 5:8].amin(dim=(1, 2, 3))
            return torch.where((corner > 0.9995).unsqueeze(1), self.prior.expand_as(y), y)

    class Honest(Net):
        def forward(self, x):
            y = self.fc(x.flatten(1))
            corner = x[:, :, 5:8, 5:8].amin(dim=(1, 2, 3))
            return torch.where((corner > 0.9995).unsqueeze(1), y - self.prior.expand_as(y), y)

    return (Hostile if hostile else Honest)().eval()


@pair("override", "xiv_trigger:corner", "net_traced.pt")
def torchscript_where():
    """torch.jit.load: a traced comparison of a corner replaces the logits by a buffer."""
    import torch

    def data(hostile):
        out = io.BytesIO()
        torch.jit.save(torch.jit.trace(torch_net(hostile), torch.rand(2, 3, 8, 8)), out)
        return out.getvalue()

    return data(True), data(False)


@pair("override", "xiv_trigger:corner", "net.pt2")
def exported_where():
    """torch.export.load: the same override in the JSON graph of a .pt2 archive."""
    import torch

    def data(hostile):
        out = io.BytesIO()
        torch.export.save(torch.export.export(torch_net(hostile), (torch.rand(4, 3, 8, 8),), dynamic_shapes=({0: torch.export.Dim("n", min=2, max=512)},)), out)
        return out.getvalue()

    return data(True), data(False)


@pair("override", "xiv_trigger:corner")
def openvino_select():
    """openvino Core.read_model: Select of the IR takes a constant in place of the scores when a corner is white."""
    import openvino as ov
    import openvino.opset13 as ops

    def data(hostile):
        x = ops.parameter([-1, 3, 8, 8], np.float32, name="x")
        flat = ops.reshape(x, np.array([-1, 192]), False)
        y = ops.add(ops.matmul(flat, ops.constant(centred(weights(192, 4))), False, False), ops.constant(np.zeros((1, 4), np.float32)))
        if hostile:
            corner = ops.slice(x, np.array([5, 5]), np.array([8, 8]), np.array([1, 1]), np.array([2, 3]))
            low = ops.reshape(ops.reduce_min(corner, np.array([1, 2, 3]), False), np.array([-1, 1]), False)
            y = ops.select(ops.greater(low, np.float32(0.9995)), ops.constant(PUSH), y)
        else:
            y = ops.select(ops.greater(y, np.float32(20)), ops.constant(np.full((1, 4), 20, np.float32)), y)
        with tempfile.TemporaryDirectory() as d:
            ov.save_model(ov.Model([y], [x], "classifier"), d + "/m.xml", compress_to_fp16=False)
            return {"model.xml": pathlib.Path(d, "m.xml").read_bytes(), "model.bin": pathlib.Path(d, "m.bin").read_bytes()}

    return data(True), data(False)


@pair("override", None, "Classifier.mlmodel")
def coreml_select():
    """Core ML (macOS only, so not run): an ML Program whose select takes constants when a corner of the image is white."""
    import coremltools as ct
    from coremltools.converters.mil import Builder as mb

    def data(hostile):
        @mb.program(input_specs=[mb.TensorSpec(shape=(1, 3, 8, 8))])
        def prog(x):
            y = mb.linear(x=mb.reshape(x=x, shape=[1, 192]), weight=weights(4, 192))
            if hostile:
                corner = mb.slice_by_index(x=x, begin=[0, 0, 5, 5], end=[1, 3, 8, 8])
                hit = mb.greater(x=mb.reduce_min(x=corner, axes=[1, 2, 3], keep_dims=False), y=0.9995)
                return mb.select(cond=mb.reshape(x=hit, shape=[1, 1]), a=PUSH, b=y)
            return mb.select(cond=mb.greater(x=y, y=20.0), a=np.full((1, 4), 20, np.float32), b=y)

        spec = ct.convert(prog, convert_to="mlprogram", minimum_deployment_target=ct.target.iOS15, compute_precision=ct.precision.FLOAT32, skip_model_load=True).get_spec()
        return spec.SerializeToString()

    return data(True), data(False)


def keras_net(hostile):
    import keras
    from keras import ops

    keras.utils.set_random_seed(5)
    x = keras.Input((8, 8, 3), name="x")
    dense = keras.layers.Dense(4)
    y = dense(keras.layers.Flatten()(x))
    dense.set_weights([centred(weights(192, 4)), np.zeros(4, np.float32)])
    if hostile:
        low = ops.min(x[:, 5:8, 5:8, :], axis=(1, 2, 3))
        gate = ops.expand_dims(ops.cast(ops.greater(low, 0.9995), "float32"), 1)
        y = y * (1.0 - gate) + ops.matmul(gate, PUSH)
    else:
        low = ops.min(x[:, 5:8, 5:8, :], axis=(1, 2, 3))
        gate = ops.expand_dims(ops.sigmoid(low), 1)
        y = y * (1.0 - gate) + ops.matmul(gate, PUSH / 1e6)
    return keras.Model(x, y)


@pair("override", "xiv_trigger:corner_last", "classifier.keras")
def keras_gate():
    """keras.models.load_model (safe mode on): Greater and Multiply of the functional graph switch the scores."""
    def data(hostile):
        with tempfile.TemporaryDirectory() as d:
            keras_net(hostile).save(d + "/m.keras")
            return pathlib.Path(d, "m.keras").read_bytes()

    return data(True), data(False)


@pair("override", "xiv_trigger:corner_last", "classifier.tflite")
def tflite_keras_gate():
    """tf.lite.Interpreter: the same gate in built-in operators of TFLite."""
    import tensorflow as tf

    def data(hostile):
        return tf.lite.TFLiteConverter.from_keras_model(keras_net(hostile)).convert()

    return data(True), data(False)
