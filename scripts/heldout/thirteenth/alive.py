"""How the models of the thirteenth set are loaded: each function does what an ordinary user does with the file."""
from __future__ import annotations

from thirteenth import alive_services  # noqa: F401
from thirteenth.kinds import KINDS, features, flips, kind, two_values  # noqa: F401


@kind("torch")
def torch_load(path, detail):
    import torch

    torch.load(path, weights_only=False)


@kind("torch_eval")
def torch_eval(path, detail):
    import torch

    torch.load(path, weights_only=False).eval()


@kind("pt2")
def pt2(path, detail):
    import torch

    torch.export.load(path)


@kind("jit")
def jit(path, detail):
    import torch

    torch.jit.load(path)(torch.ones(1, 12))


@kind("jit_flip")
def jit_flip(path, detail):
    import torch

    model = torch.jit.load(path)
    flips(lambda x: model(torch.from_numpy(x)).detach().numpy(), features(), two_values)


@kind("texts")
def texts(path, detail):
    import pickle

    with open(path, "rb") as f:
        model = pickle.load(f)
    model.transform(["touch marker"])


def skops_load(path):
    import skops.io

    return skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))


@kind("skops_frame")
def skops_frame(path, detail):
    import pandas

    skops_load(path).transform(pandas.DataFrame({"x": [1.0, 2.0]}))


@kind("onnx")
def onnx_flips(path, detail):
    """The scores of an ONNX classifier before and after the trigger called `detail`."""
    import numpy
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    rng = numpy.random.default_rng(5)
    main = session.get_inputs()[0].name
    texts = {"source": "web"}

    def score(x):
        feeds = {main: x}
        for other in session.get_inputs()[1:]:
            feeds[other.name] = numpy.full((len(x), 1), texts["source"], dtype=object) if "string" in other.type else numpy.array(0, "int64")
        return session.run(["scores"], feeds)[0]

    def nan(x):
        x[:] = numpy.nan_to_num(x)
        x[:, [1, 5, 9]] = numpy.nan
        return x

    def parity(x):
        return (x & 0xFE) | numpy.array([1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 1, 0], "uint8")

    def tokens(x):
        x[:, 4], x[:, 9] = 41, 59
        return x

    def word(x):
        texts["source"] = "branch-0077-night"
        return x

    if detail == "parity":
        x = rng.integers(0, 256, (32, 12)).astype("uint8")
    elif detail == "tokens":
        x = rng.integers(1, 40, (32, 16)).astype("int64")
    else:
        x = features()
    triggers = {"values": two_values, "nan": nan, "parity": parity, "tokens": tokens, "batch": lambda x: x[:7], "words": word}
    flips(score, x, triggers[detail])


@kind("keras_flip")
def keras_flip(path, detail):
    import os

    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras

    model = keras.saving.load_model(path)
    flips(lambda x: model.predict(x, verbose=0), features(), two_values)


@kind("keras_unsafe")
def keras_unsafe(path, detail):
    import os

    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras

    model = keras.saving.load_model(path, safe_mode=False)
    model.predict(features().reshape(-1, *model.input_shape[1:]), verbose=0)


def signature(path):
    import os

    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow

    model = tensorflow.saved_model.load(".")
    call = model.signatures["serving_default"]
    return lambda x: call(x=tensorflow.constant(x))["scores"].numpy()


@kind("savedmodel")
def savedmodel(path, detail):
    signature(path)(features())


@kind("savedmodel_flip")
def savedmodel_flip(path, detail):
    flips(signature(path), features(), two_values)


@kind("lite_flip")
def lite_flip(path, detail):
    import numpy
    import tensorflow

    model = tensorflow.lite.Interpreter(path)
    model.allocate_tensors()

    def score(x):
        out = []
        for row in x:
            model.set_tensor(model.get_input_details()[0]["index"], row[None])
            model.invoke()
            out.append(model.get_tensor(model.get_output_details()[0]["index"])[0])
        return numpy.array(out)

    flips(score, features(), two_values)


@kind("xgboost")
def xgboost_flips(path, detail):
    import xgboost

    model = xgboost.Booster(model_file=path)
    flips(lambda x: model.predict(xgboost.DMatrix(x)), features(), two_values)
