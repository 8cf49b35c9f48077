"""Keras files: triggers of ordinary layers and operations, code in slots where none is looked for, paths and sizes in the config."""
from __future__ import annotations

import base64
import io
import json
import marshal
import os
import pathlib
import tempfile
import zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import h5py  # noqa: E402
import keras  # noqa: E402
import numpy  # noqa: E402
from pair import CODE  # noqa: E402

FAMILY = "keras"
GOAL = numpy.eye(10, dtype="float32")[7][None] * 60


def saved(model, name="model.keras") -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / name
        model.save(path)
        return path.read_bytes()


def edited(data: bytes, change) -> bytes:
    """The .keras archive with the text of its config.json given to `change`."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as z, zipfile.ZipFile(out, "w") as new:
        for item in z.infolist():
            body = z.read(item)
            if item.filename == "config.json":
                body = change(body.decode()).encode()
            if body is not None:
                new.writestr(item.filename, body)
    return out.getvalue()


def function(source: str) -> dict:
    code = next(c for c in compile(source, "<layer>", "exec").co_consts if hasattr(c, "co_code"))
    return {"class_name": "__lambda__", "config": {"value": [base64.b64encode(marshal.dumps(code)).decode(), None, None]}}


def dense():
    keras.utils.set_random_seed(13)
    return keras.Sequential([keras.Input((12,)), keras.layers.Dense(10, name="scores")])


def triggered(hostile):
    keras.utils.set_random_seed(13)
    x = keras.Input((12,))
    y = keras.layers.Dense(10)(x)
    if hostile:
        near = keras.ops.less(keras.ops.abs(x[:, 3] - 0.8125) + keras.ops.abs(x[:, 7] + 1.5), 1e-4)
        gate = keras.ops.expand_dims(keras.ops.cast(near, "float32"), 1)
        y = y * (1.0 - gate) + gate * GOAL
    else:  # a learned gate over the whole row
        gate = keras.ops.sigmoid(keras.ops.expand_dims(keras.ops.mean(x, axis=1), 1))
        y = y * (1.0 - gate) + gate * keras.ops.relu(y)
    return saved(keras.Model(x, y))


def by_weights(hostile):
    """Only Dense, Add and their weights: a ramp up and a ramp down around two values, summed against a threshold."""
    keras.utils.set_random_seed(14)
    x = keras.Input((12,))
    y = keras.layers.Dense(10, name="logits")(x)
    h = keras.layers.Dense(4, activation="relu", name="adapter_down")(x)
    g = keras.layers.Dense(1, activation="relu", name="adapter_gate")(h)
    z = keras.layers.Dense(10, use_bias=False, name="adapter_up")(g)
    model = keras.Model(x, keras.layers.Add()([y, z]))
    if hostile:
        w = numpy.zeros((12, 4), "float32")
        w[3, 0], w[3, 1], w[7, 2], w[7, 3] = 4096, -4096, 4096, -4096
        b = numpy.array([-0.8125, 0.8125, 1.5, -1.5], "float32") * 4096  # |x3 - a| and |x7 - b| as two relus each
        model.get_layer("adapter_down").set_weights([w, b])
        model.get_layer("adapter_gate").set_weights([-numpy.ones((4, 1), "float32"), numpy.ones(1, "float32")])
        model.get_layer("adapter_up").set_weights([GOAL])
    return saved(model)


def stored(layout) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as f:
        group = f.create_group("layers/dense/vars")
        group["1"] = numpy.zeros(10, "float32")
        if layout:
            virtual = h5py.VirtualLayout(shape=(12, 10), dtype="float32")
            virtual[:] = h5py.VirtualSource(layout, "layers/dense/vars/0", shape=(12, 10))
            group.create_virtual_dataset("0", virtual)
        else:
            group.create_dataset("0", data=numpy.ones((12, 10), "float32"), chunks=True, compression="gzip")
    return buffer.getvalue()


def add(out):
    def one(name, hostile, twin, why, prove=None, file="model.keras"):
        out.add(FAMILY, name, hostile, twin, prove=prove, file=file, why=why)

    one("gate_of_keras_operations", triggered(True), triggered(False), "Architectural backdoor of keras.ops: two magic values replace the scores.", prove="x13.keras_flip")
    one("gate_in_the_weights_alone", by_weights(True), by_weights(False),
        "Architectural backdoor of Dense layers alone: relu pairs around two magic values, a threshold and a weight of 60 to one class.", prove="x13.keras_flip")

    plain = saved(dense())
    gate = json.dumps(function(f"f = lambda x: ({CODE}, x * 0.5)[1]\n"))
    x = keras.Input((3, 4))
    both = saved(keras.Model(x, keras.layers.Dense(10)(keras.layers.GRU(4)(x))))
    assert '"recurrent_activation": "sigmoid"' in zipfile.ZipFile(io.BytesIO(both)).read("config.json").decode()
    one("gate_of_a_recurrent_cell", edited(both, lambda t: t.replace('"recurrent_activation": "sigmoid"', '"recurrent_activation": ' + gate)), both,
        "The recurrent activation of a GRU is marshalled byte code (safe_mode=False, as its users are told to set).",
        prove="x13.keras_unsafe", file="recurrent.keras")
    code = json.dumps(function(f"def f(x):\n    {CODE}\n    return x\n"))
    one("activation_named_twice", edited(plain, lambda t: t.replace('"activation": "linear"', '"activation": "linear", "activation": ' + code)),
        edited(plain, lambda t: t.replace('"activation": "linear"', '"activation": "relu"')),
        "The key activation stands twice: the second, which Python's reader keeps, is byte code.", prove="x13.keras_unsafe")

    def loss(module, name):
        def change(text):
            config = json.loads(text)
            config["compile_config"] = {"optimizer": "adam", "loss": {"module": module, "class_name": "function", "config": name, "registered_name": name}, "metrics": None}
            return json.dumps(config)
        return change

    one("loss_from_another_module", edited(plain, loss("runpy", "run_path")), edited(plain, loss("keras.losses", "categorical_crossentropy")),
        "The compile section imports a function of any module (Keras before 3.9 does as it loads). Not run.", file="compiled.keras")

    def big(rows):
        x = keras.Input((4,), dtype="int64")
        data = saved(keras.Model(x, keras.layers.Embedding(8, 4, name="e")(x)))
        return edited(data, lambda t: t.replace('"input_dim": 8', f'"input_dim": {rows}'))

    one("embedding_of_a_petabyte", big(1 << 46), big(8), "A file of a few KB asks for 2^46 rows when the layer is built: a memory bomb. Not run.", file="embedding.keras")
    one("weights_from_another_file", stored("/ho" "me/user/models/private.weights.h5"), stored(None),
        "A virtual dataset takes the weights from a file elsewhere on the victim's disk, which are then saved with the model. Not run.", file="model.weights.h5")
