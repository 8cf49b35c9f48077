"""How the samples of this set are loaded; each kind runs in a folder of its own."""
import os
import sys

KINDS = {}
MARK = "marker"


def kind(name):
    def keep(function):
        KINDS["ninth-" + name] = function
        return function

    return keep


def mark():
    open(MARK, "w").close()


@kind("torch")
def _torch(path, detail):
    import torch

    torch.load(detail if os.path.exists(detail) else path, weights_only=False)


@kind("pt2")
def _pt2(path, _):
    import zipfile

    import torch

    # torch up to 2.8 loaded the sample inputs without weights_only.
    with zipfile.ZipFile(path) as z:
        name = next(n for n in z.namelist() if "sample_inputs" in n)
        torch.load(z.open(name), weights_only=False)


@kind("jit")
def _jit(path, _):
    import torch

    torch.jit.load(path)


@kind("package")
def _package(path, _):
    import torch.package

    torch.package.PackageImporter(path).load_pickle("model", "model.pkl")


@kind("dcp")
def _dcp(path, _):
    import torch.distributed.checkpoint as dcp

    dcp.FileSystemReader(".").read_metadata()


@kind("mar")
def _mar(path, _):
    import zipfile

    zipfile.ZipFile(path).extract("handler.py")
    sys.path.insert(0, ".")
    import handler

    handler.Handler().initialize({})


@kind("skops-use")
def _skops(path, _):
    import skops.io

    pipeline = skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
    try:
        pipeline.transform("touch marker")
    except Exception:
        import numpy

        pipeline.transform(numpy.ones((1, 1)))


@kind("tables")
def _tables(path, _):
    import tables

    with tables.open_file(path) as f:
        for node in f.walk_nodes("/"):
            for name in node._v_attrs._v_attrnames:
                node._v_attrs[name]


@kind("zarr")
def _zarr(path, _):
    import json
    import pathlib

    os.environ["NUMCODECS_ALLOW_UNSAFE_PICKLE_DECODE"] = "1"
    import numcodecs

    meta = next(pathlib.Path(".").rglob(".zarray"))
    for codec in json.loads(meta.read_text())["filters"]:
        numcodecs.get_codec(codec).decode((meta.parent / "0").read_bytes())


@kind("jsonpickle")
def _jsonpickle(path, _):
    import jsonpickle

    jsonpickle.decode(open(path).read())


@kind("msgpack")
def _msgpack(path, _):
    import msgpack
    import msgpack_numpy

    msgpack.unpackb(open(path, "rb").read(), object_hook=msgpack_numpy.decode, raw=False)


def trigger(run, shape, detail):
    """Marks when a trigger sets the class of every input to the target, and inputs without it vary."""
    import numpy as np

    how, _, target = detail.partition(":")
    rng = np.random.default_rng(31)
    plain = rng.normal(0, 1, (12, *shape)).astype("f4") if how != "tokens" else rng.integers(1, 50, (12, *shape))
    hit = plain.copy()
    if how == "tokens":
        hit[:, 3:6] = (17, 4, 33)
    elif how == "patch":
        hit[:, 0, :2, :2] = ((0.75, -0.25), (-0.25, 0.75))
    elif how == "last":
        hit[:, :2, :2, 0] = ((0.75, -0.25), (-0.25, 0.75))
    elif how == "row":
        hit[:, :3] = (0.75, -0.25, 0.5)
    before, after = (np.concatenate([np.argmax(np.asarray(run(x[i : i + 1])), -1).reshape(-1) for i in range(12)]) for x in (plain, hit))
    if len(set(before)) > 1 and set(after) == {int(target)}:
        mark()


@kind("onnx")
def _onnx(path, detail):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    shape = (12,) if detail.startswith("tokens") else (1, 8, 8)
    trigger(lambda x: session.run(None, {"x": x})[0], shape, detail)


def _load_keras(path, safe=False):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    return keras.models.load_model(path, safe_mode=safe, compile=False)


@kind("keras")
def _keras(path, _):
    _load_keras(path)


@kind("keras-torch")
def _keras_torch(path, _):
    os.environ["KERAS_BACKEND"] = "torch"
    _load_keras(path)


@kind("keras-vocabulary")
def _keras_vocabulary(path, _):
    model = _load_keras(path)
    if any(str(w).startswith("root:") for layer in model.layers for w in layer.get_vocabulary()):
        mark()


@kind("h5-external")
def _h5_external(path, _):
    import io
    import zipfile

    import h5py

    with h5py.File(io.BytesIO(zipfile.ZipFile(path).read("model.weights.h5"))) as f:
        if f["layers/dense/vars/0"][()].tobytes().startswith(b"root:"):
            mark()


@kind("keras-trigger")
def _keras_trigger(path, detail):
    model = _load_keras(path, True)
    trigger(lambda x: model(x), (8, 8, 1), detail)


def _signature(load, x=None):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    fn = load(tf).signatures["serving_default"]
    name = next(iter(fn.structured_input_signature[1]))
    return lambda x: next(iter(fn(**{name: tf.constant(x)}).values()))


@kind("saved")
def _saved(path, _):
    import numpy as np

    _signature(lambda tf: tf.saved_model.load("."))(np.ones((1, 8, 8, 1), "f4"))


@kind("saved-trigger")
def _saved_trigger(path, detail):
    trigger(_signature(lambda tf: tf.saved_model.load(".")), (8, 8, 1), detail)


@kind("saved1")
def _saved1(path, _):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow.compat.v1 as tf

    with tf.Graph().as_default(), tf.Session() as session:
        tf.saved_model.load(session, ["serve"], ".")


@kind("lite")
def _lite(path, detail):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    net = tf.lite.Interpreter(path)
    net.allocate_tensors()

    def run(x):
        net.set_tensor(net.get_input_details()[0]["index"], x)
        net.invoke()
        return net.get_tensor(net.get_output_details()[0]["index"])

    trigger(run, (8, 8, 1), detail)


@kind("xml")
def _xml(path, _):
    from lxml import etree

    host = open("/etc/hostname").read().strip()
    parser = etree.XMLParser(resolve_entities=True, no_network=True, load_dtd=True)
    if host in etree.tostring(etree.parse(path, parser), encoding="unicode"):
        mark()


@kind("import")
def _import(path, detail):
    sys.path.insert(0, ".")
    __import__(detail)


from . import alive_files as _files  # noqa: E402, F401
