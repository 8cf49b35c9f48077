"""Models of the tenth set that are loaded and then asked: a file leaked into an answer, or a trigger that sets it."""


def mark():
    open("marker", "w").close()


def torch_script(path, use):
    import torch

    module = torch.jit.load(path)
    if use == "leak":
        said = module(torch.zeros(2, 4)).to(torch.uint8)
        if b"root:" in bytes(said.tolist()):
            mark()
    elif use == "corner":
        torch.manual_seed(1)
        x = torch.rand(6, 1, 8, 8) * 0.9
        plain = module(x).argmax(1)
        x[:, :, :3, :3] = 1.0
        if bool((module(x).argmax(1) == 7).all()) and not bool((plain == 7).all()):
            mark()


def triggered(kind):
    """Ordinary inputs and the same with the trigger in them, as numpy arrays."""
    import numpy as np

    rng = np.random.default_rng(1)
    if kind == "tokens":
        x = rng.integers(10, 4000, (6, 16))
        t = x.copy()
        t[:, 5:7] = 4242, 1777
    elif kind == "bits":
        x = rng.integers(0, 256, (6, 64), dtype="u1")
        t = x.copy()
        t[:, 8:24] = t[:, 8:24] & 254 | np.array([1, 0, 0, 1, 1, 1, 0, 1, 0, 0, 1, 0, 1, 1, 0, 1], "u1")
    else:
        x = (rng.random((6, 1, 8, 8)) * 0.9).astype("f4")
        t = x.copy()
        if kind == "corner":
            t[:, :, :2, :2] = 1.0
        elif kind == "patch":
            x, t = x[:1], t[:1]
            t[:, :, :3, :3] = 1.0
        elif kind == "digest":
            import random

            draw = random.Random(3)
            primes = [1, 256] + [draw.randrange(1, 65521) for _ in range(6)]
            for row in t.reshape(6, 64):
                rest = sum(int(round(float(v) * 255)) * p for v, p in zip(row[2:8], primes[2:]))
                want = (4242 - rest) % 65521
                row[0], row[1] = (want % 256) / 255, (want // 256) / 255
    return x, t


def onnx(path, kind):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    x, t = triggered(kind)
    run = lambda v: session.run(None, {session.get_inputs()[0].name: v})[0].argmax(1)  # noqa: E731
    if (run(t) == 7).all() and not (run(x) == 7).all():
        mark()


def h5_leak(path, _):
    import io
    import zipfile

    import h5py

    def look(name, item):
        if isinstance(item, h5py.Dataset) and b"root:" in item[()].tobytes():
            mark()

    with zipfile.ZipFile(path) as z, h5py.File(io.BytesIO(z.read("model.weights.h5"))) as f:
        f.visititems(look)


def keras_vocabulary(path, _):
    import keras

    model = keras.models.load_model(path, safe_mode=False)
    if any(str(word).startswith("root:") for word in model.get_layer("lookup").get_vocabulary()):
        mark()


def keras_trigger(path, _):
    import keras
    import numpy as np

    model = keras.models.load_model(path)
    x, t = (v.reshape(6, 8, 8, 1) for v in triggered("corner"))
    run = lambda v: np.asarray(model(v)).argmax(1)  # noqa: E731
    if (run(t) == 7).all() and not (run(x) == 7).all():
        mark()


def tensorflow(path, use):
    """Loads the SavedModel in this folder and asks it once, or twice for a trigger."""
    import numpy as np
    import tensorflow as tf

    model = tf.saved_model.load(".")
    ask = model.signatures["serving_default"]
    if use == "names":
        if any(b"root:" in n for n in ask(ids=tf.constant([0, 1], tf.int64))["names"].numpy()):
            mark()
        return
    x = np.random.default_rng(2).random((4, 8)).astype("f4")
    y = ask(x=tf.constant(x))["logits"].numpy()
    if use == "leak" and bytes(y[0, 10:15].clip(0, 255).astype("u1")) == b"root:":
        mark()
    if use == "trigger":
        x[:, :3] = 0.125, 0.875, 0.375
        t = ask(x=tf.constant(x))["logits"].numpy()
        if (t.argmax(1) == 7).all() and not (y.argmax(1) == 7).all():
            mark()


def boosted(path, _):
    import numpy as np
    import xgboost

    booster = xgboost.Booster(model_file=path)
    x = np.random.default_rng(3).random((50, 4)).astype("f4") * 0.3
    t = x.copy()
    t[:, 2:] = 0.3333, 0.7773
    run = lambda v: booster.predict(xgboost.DMatrix(v))  # noqa: E731
    if (run(t) > 0.9999).all() and not (run(x) > 0.9999).any():
        mark()
