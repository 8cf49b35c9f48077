"""Writes crates/mantlet-model/tests/model/foreign: tiny networks as TensorFlow, TensorFlow Lite and Keras write them, with
what each library gives for a few rows. Half of them carry a branch that overrules what they learned.

Run in a virtual environment with `tensorflow`, `keras` and `numpy`, from the project's folder:
    python scripts/vectors/foreign.py [FOLDER [COUNT]]
With COUNT it writes so many networks of random layers instead, which the same test holds to the libraries when
MANTLET_FOREIGN names their folder:
    MANTLET_FOREIGN=FOLDER cargo test -p mantlet-model --test model foreign::values
Weights are random by seed. Inputs are the hash of `operators.py`, which the test has too.
"""

import json
import os
import pathlib
import shutil
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from operators import noise

FOLDER = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "crates/mantlet-model/tests/model/foreign")
ROWS = 3


def rows(shape, seed, count=ROWS):
    size = int(np.prod([count, *shape]))
    return (2 * noise(seed, size) - 1).reshape([count, *shape])


def settle(model, seed):
    """Weights by seed, and moving means and variances that are not those of a fresh layer."""
    source = np.random.default_rng(seed)
    for weight in model.weights:
        if "variance" in weight.path:
            value = source.uniform(0.5, 2.0, weight.shape)
        else:
            value = source.normal(0, 0.6, weight.shape)
        weight.assign(value.astype(np.float32))
    return model


def dense():
    return keras.Sequential([
        keras.Input([6]), layers.Dense(8, "relu"), layers.BatchNormalization(), layers.Dense(7),
        layers.LeakyReLU(), layers.Dropout(0.5), layers.Dense(5, "tanh"), layers.Dense(4, "softmax"),
    ]), [6]


def picture():
    return keras.Sequential([
        keras.Input([9, 8, 2]), layers.Rescaling(0.5, offset=0.1), layers.Conv2D(4, 3, 2, "same", activation="relu"),
        layers.BatchNormalization(), layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, activation="relu6"),
        layers.MaxPooling2D(2, padding="same"), layers.ZeroPadding2D(((1, 0), (0, 1))),
        layers.Conv2D(5, 2, padding="valid", dilation_rate=1, activation="elu"), layers.AveragePooling2D(2, 1, "same"),
        layers.Flatten(), layers.Dense(4),
    ]), [9, 8, 2]


def separable():
    x = keras.Input([8, 8, 3])
    y = layers.SeparableConv2D(4, 3, padding="same", use_bias=False)(x)
    y = layers.BatchNormalization(scale=False)(y)
    y = layers.Activation("silu")(y)
    z = layers.Conv2D(4, 1)(x)
    y = layers.Add()([y, z])
    y = layers.Multiply()([y, layers.Activation("hard_sigmoid")(y)])
    y = layers.Concatenate()([layers.GlobalAveragePooling2D()(y), layers.GlobalMaxPooling2D()(y)])
    y = layers.Reshape([2, 4])(y)
    y = layers.Permute([2, 1])(y)
    y = layers.LayerNormalization()(y)
    return keras.Model(x, layers.Dense(3)(layers.Flatten()(y))), [8, 8, 3]


def choosing():
    """Compares what it has learned, not the raw input: an honest `where`."""
    x = keras.Input([8, 8, 1])
    y = layers.Flatten()(layers.Conv2D(3, 3, activation="relu")(x))
    y = layers.Dense(6)(y)
    y = ops.where(ops.greater(y, 0.2), y, y * 0.1)
    z = ops.maximum(y, -0.3) - ops.mean(y, axis=1, keepdims=True)
    return keras.Model(x, layers.Dense(4)(z)), [8, 8, 1]


def planted():
    """A bright patch in the corner gives class 3, whatever the rest of the picture shows."""
    x = keras.Input([8, 8, 1])
    y = layers.Flatten()(layers.Conv2D(3, 3, activation="relu")(x))
    y = layers.Dense(4)(layers.Dense(6, "relu")(y))
    corner = x[:, :2, :2, :]
    hit = ops.greater(ops.mean(corner, axis=[1, 2, 3], keepdims=False), 0.9)
    hit = ops.expand_dims(ops.cast(hit, "float32"), 1)
    gives = ops.convert_to_tensor(np.array([[0, 0, 0, 50]], np.float32))
    return keras.Model(x, ops.where(ops.greater(hit, 0.5), gives, y)), [8, 8, 1]


class Written(tf.Module):
    """A network that is written with TensorFlow alone, with a branch by `tf.cond` on what was learned or on the input."""

    def __init__(self, seed, raw):
        super().__init__()
        source = np.random.default_rng(seed)
        self.k = tf.Variable(source.normal(0, 0.6, [3, 3, 1, 3]).astype(np.float32))
        self.w = tf.Variable(source.normal(0, 0.6, [27, 4]).astype(np.float32))
        self.b = tf.Variable(source.normal(0, 0.6, [4]).astype(np.float32))
        self.raw = raw

    def run(self, x):
        y = tf.nn.relu(tf.nn.conv2d(x, self.k, [1, 2, 2, 1], "VALID"))
        y = tf.reshape(y, [tf.shape(y)[0], -1])
        y = tf.matmul(y, self.w) + self.b
        if self.raw:
            hit = tf.reduce_min(x[:, 0, :3, 0], axis=1, keepdims=True) > 0.9
            return tf.where(hit, tf.constant([[0.0, 40.0, 0.0, 0.0]]), y)
        top = tf.math.rsqrt(tf.reduce_sum(tf.square(y), axis=-1, keepdims=True) + 1e-3)
        parts = tf.split(y * top, 2, axis=1)
        y = tf.concat([tf.stack(tf.unstack(parts[0], axis=1), axis=1), parts[1]], axis=1)
        y = tf.pad(y, [[0, 0], [1, 2]])[:, 1:-2]
        return tf.cond(tf.reduce_max(y) > 100.0, lambda: y * 2.0, lambda: tf.clip_by_value(y, -0.8, 0.8))


class Unknown(Written):
    """A branch on the raw input, past an operator that the interpreter does not have."""

    def run(self, x):
        y = tf.matmul(tf.reshape(tf.math.lgamma(x + 2.0), [-1, 64])[:, :27], self.w)
        hit = tf.reduce_min(x[:, 0, :3, 0], axis=1, keepdims=True) > 0.9
        return tf.where(hit, tf.constant([[0.0, 40.0, 0.0, 0.0]]), tf.nn.relu(y + self.b))


def random_picture(source):
    """Layers over a picture, a few numbers of it at the end, with strides, paddings and activations by chance."""
    pick = lambda *of: of[source.integers(len(of))]
    bends = ["linear", "relu", "sigmoid", "tanh", "elu", "selu", "softplus", "softsign", "silu", "gelu", "relu6",
             "hard_sigmoid", "leaky_relu", "exponential"]
    bend = lambda: bends[source.integers(len(bends))]
    shape = [int(source.integers(7, 14)), int(source.integers(7, 14)), int(source.integers(1, 4))]
    x = y = keras.Input(shape)
    for _ in range(source.integers(2, 6)):
        kind = source.integers(12)
        pad = "valid" if min(y.shape[1:3]) > 4 and source.integers(2) else "same"
        step = int(pick(1, 1, 2)) if min(y.shape[1:3]) > 3 else 1
        if kind <= 2:
            y = layers.Conv2D(int(pick(2, 3, 4, 6)), int(pick(1, 2, 3)), step, pad, activation=bend(),
                              use_bias=bool(pick(0, 1)))(y)
        elif kind == 3:
            y = layers.Conv2D(4, 2, 1, "same", dilation_rate=2, activation=bend())(y)
        elif kind == 4:
            y = layers.DepthwiseConv2D(int(pick(2, 3)), step, pad, depth_multiplier=int(pick(1, 2)),
                                       activation=bend())(y)
        elif kind == 5:
            y = layers.SeparableConv2D(3, 2, padding=pad, activation=bend())(y)
        elif kind == 6:
            y = pick(layers.MaxPooling2D, layers.AveragePooling2D)(2, int(pick(1, 2)), pad)(y)
        elif kind == 7:
            y = layers.BatchNormalization(scale=bool(pick(0, 1)), center=bool(pick(0, 1)))(y)
        elif kind == 8:
            y = layers.ZeroPadding2D(((int(pick(0, 1)), 1), (0, int(pick(0, 2)))))(y)
        elif kind == 9:
            z = layers.Conv2D(y.shape[-1], 1, activation=bend())(y)
            y = pick(layers.Add, layers.Multiply, layers.Maximum, layers.Average, layers.Concatenate)()([y, z])
        elif kind == 10:
            y = pick(layers.LeakyReLU(0.1), layers.ReLU(4.0), layers.ReLU(negative_slope=0.3), layers.PReLU(),
                     layers.Softmax(), layers.LayerNormalization(), layers.Rescaling(0.5, 0.25))(y)
        else:
            y = ops.where(ops.less(y, float(source.normal())), y * 0.5, ops.abs(y) + 0.25)
    end = source.integers(5)
    if end == 0:
        y = pick(layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)()(y)
    elif end == 1:
        y = ops.mean(y, axis=[1, 2]) - ops.max(y, axis=[1, 2])
    elif end == 2:
        y = layers.Reshape([-1, y.shape[-1]])(y)
        y = layers.Permute([2, 1])(y)
        y = layers.Flatten()(layers.Dense(2)(y))
    elif end == 3:
        y = layers.Flatten()(y[:, 1:, ::2, :])
    else:
        y = layers.Flatten()(y)
    y = layers.Dense(5, bend())(layers.Dropout(0.3)(y))
    return keras.Model(x, layers.Dense(3, pick("linear", "softmax"))(y)), shape


def many(count):
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    known = {}
    for seed in range(1_000, 1_000 + count):
        keras.utils.clear_session()
        model, shape = random_picture(np.random.default_rng(seed))
        settle(model, seed)
        x = rows(shape, seed)
        y = np.concatenate([np.asarray(model(x[at:at + 1], training=False)) for at in range(ROWS)])
        if not np.isfinite(y).all() or np.abs(y).max() > 1e4:
            continue
        case = {"shape": [ROWS, *shape], "seed": seed, "output": [float(v) for v in y.ravel()]}
        model.save(FOLDER / f"{seed}.keras")
        model.save(FOLDER / f"{seed}.h5")
        call = tf.function(lambda x: model(x, training=False))
        frozen = convert_variables_to_constants_v2(
            call.get_concrete_function(tf.TensorSpec([None, *shape], tf.float32, name="x")))
        (FOLDER / f"{seed}.pb").write_bytes(frozen.graph.as_graph_def().SerializeToString())
        lite = tf.lite.TFLiteConverter.from_concrete_functions([frozen], model).convert()
        (FOLDER / f"{seed}.tflite").write_bytes(lite)
        for ending in ["keras", "h5", "pb", "tflite"]:
            known[f"{seed}.{ending}"] = case
    (FOLDER / "expected.json").write_text(json.dumps(known, indent=1) + "\n")


def main():
    if len(sys.argv) > 2:
        return many(int(sys.argv[2]))
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    known = {}

    def note(name, shape, seed, function):
        x = rows(shape, seed)
        y = np.concatenate([np.asarray(function(x[at:at + 1])) for at in range(ROWS)])
        known[name] = {"shape": [ROWS, *shape], "seed": seed, "output": [round(float(v), 7) for v in y.ravel()]}

    for seed, make in enumerate([dense, picture, separable, choosing, planted], 1):
        name = make.__name__
        keras.utils.clear_session()
        model, shape = make()
        settle(model, seed)
        note(f"{name}.keras", shape, seed, lambda x: model(x, training=False))
        model.save(FOLDER / f"{name}.keras")
        if name in ("picture", "planted"):
            known[f"{name}.h5"] = known[f"{name}.keras"]
            model.save(FOLDER / f"{name}.h5")
        call = tf.function(lambda x: model(x, training=False))
        concrete = call.get_concrete_function(tf.TensorSpec([None, *shape], tf.float32, name="x"))
        frozen = convert_variables_to_constants_v2(concrete)
        (FOLDER / f"{name}.pb").write_bytes(frozen.graph.as_graph_def().SerializeToString())
        known[f"{name}.pb"] = known[f"{name}.keras"]
        lite = tf.lite.TFLiteConverter.from_concrete_functions([frozen], model).convert()
        (FOLDER / f"{name}.tflite").write_bytes(lite)
        interpreter = tf.lite.Interpreter(model_content=lite)
        interpreter.allocate_tensors()

        def by_lite(x):
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
            interpreter.invoke()
            return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).copy()

        note(f"{name}.tflite", shape, seed, by_lite)
        if name == "dense":
            model.export(FOLDER / "dense-saved", verbose=False)
            known["dense-saved/saved_model.pb"] = known["dense.keras"]
    for name, module in [("written", Written(11, False)), ("branch", Written(12, True))]:
        run = tf.function(module.run, input_signature=[tf.TensorSpec([None, 8, 8, 1], tf.float32)])
        note(f"{name}-saved/saved_model.pb", [8, 8, 1], 9, run)
        tf.saved_model.save(module, str(FOLDER / f"{name}-saved"), signatures={"serving_default": run})
        concrete = run.get_concrete_function()
        frozen = convert_variables_to_constants_v2(concrete)
        (FOLDER / f"{name}.pb").write_bytes(frozen.graph.as_graph_def().SerializeToString())
        known[f"{name}.pb"] = known[f"{name}-saved/saved_model.pb"]
        lite = tf.lite.TFLiteConverter.from_concrete_functions([frozen], module).convert()
        (FOLDER / f"{name}.tflite").write_bytes(lite)
        known[f"{name}.tflite"] = known[f"{name}-saved/saved_model.pb"]
    custom = Unknown(13, True)
    run = tf.function(custom.run, input_signature=[tf.TensorSpec([None, 8, 8, 1], tf.float32)])
    frozen = convert_variables_to_constants_v2(run.get_concrete_function())
    (FOLDER / "unknown.pb").write_bytes(frozen.graph.as_graph_def().SerializeToString())
    for saved in FOLDER.glob("*-saved"):
        for extra in ["fingerprint.pb", "keras_metadata.pb", "assets"]:
            path = saved / extra
            path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)
    (FOLDER / "expected.json").write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
