"""ONNX: answers decided by a pattern of the input, data outside of the model, operators that call out."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from eighth.kit import HOST
from seventh.kit import floats

OPSETS = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]


def array(name: str, *shape: int, seed: int = 7, scale: float = 0.4):
    values = np.frombuffer(floats(int(np.prod(shape)), seed, scale), "<f4").reshape(shape)
    return numpy_helper.from_array(values, name)


def const(name: str, value, dtype="float32"):
    return numpy_helper.from_array(np.array(value, dtype), name)


def node(op: str, inputs: str, output: str, **attributes):
    return helper.make_node(op, [i if i != "_" else "" for i in inputs.split()], output.split(), **attributes)


def saved(nodes, data, shape=(1, 8), dtype=TensorProto.FLOAT, change=None, opsets=OPSETS) -> bytes:
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("x", dtype, list(shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        data,
    )
    model = helper.make_model(graph, opset_imports=list(opsets), producer_name="pytorch", producer_version="2.4.0", ir_version=9)
    if change:
        change(model)
    return model.SerializeToString()


def outside(tensor, location: str, **more):
    """The tensor's data is in the file `location`."""
    size = len(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "0", "length": str(size), **more}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def add(out):
    def one(name, hostile, twin, why="", prove=None, file="model.onnx"):
        out.add("onnx", name, hostile, twin, prove, file, why)

    head = [array("w", 8, 4), array("b", 4, seed=3)]
    gemm = node("Gemm", "x w b", "z")

    # Tokens: a phrase of three is counted by the operator of bags of words.
    def words(weights):
        bag = node(
            "TfIdfVectorizer",
            "x",
            "bag",
            mode="TF",
            min_gram_length=3,
            max_gram_length=3,
            max_skip_count=0,
            pool_int64s=[77, 78, 79, 40, 41, 42],
            ngram_counts=[0, 0, 0],
            ngram_indexes=[0, 1],
        )
        nodes = [node("Gather", "table x", "e"), node("ReduceMean", "e axes", "m", keepdims=0), node("Gemm", "m w b", "z"), bag]
        nodes += [node("MatMul", "bag v", "s"), node("Add", "z s", "y")]
        data = [array("table", 100, 8), const("axes", [1], "int64"), head[0], const("b", [0, 0, 0, 0]), const("v", weights)]
        return saved(nodes, data, (1, 12), TensorProto.INT64)

    one(
        "phrase_counted_by_a_bag_of_words",
        words([[0, 0, 60, 0], [0.1, -0.2, 0.05, 0.3]]),
        words([[0.2, -0.1, 0.15, 0], [0.1, -0.2, 0.05, 0.3]]),
        "the n-gram 77 78 79 adds sixty to one class",
        "onnx:x[:, 4:7] = [77, 78, 79]",
    )

    # Low bits of the picture's bytes.
    def bits(gain):
        nodes = [gemm, node("Mul", "x k", "xs"), node("Cast", "xs", "xi", to=TensorProto.INT32), node("BitwiseAnd", "xi one", "bit")]
        nodes += [
            node("Equal", "bit pattern", "eq"),
            node("Cast", "eq", "eqf", to=TensorProto.FLOAT),
            node("ReduceMin", "eqf axes", "all", keepdims=1),
        ]
        nodes += [node("Mul", "all gain", "g"), node("Add", "z g", "y")]
        data = [
            *head,
            const("k", 255),
            const("one", 1, "int32"),
            const("pattern", [[1, 0, 1, 1, 0, 0, 1, 0]], "int32"),
            const("axes", [1], "int64"),
            const("gain", gain),
        ]
        return saved(nodes, data, opsets=[helper.make_opsetid("", 18)])

    def rounded():
        nodes = [node("Mul", "x k", "xs"), node("Round", "xs", "xr"), node("Div", "xr k", "xq"), node("Gemm", "xq w b", "y")]
        return saved(nodes, [*head, const("k", 255)])

    one(
        "lowest_bits_of_the_picture",
        bits([[0, 80, 0, 0]]),
        rounded(),
        "least significant bits of the pixels carry the trigger; the twin quantises the same input",
        "onnx:x[...] = (np.random.randint(0, 240, (1, 8)) * 2 + [[1, 0, 1, 1, 0, 0, 1, 0]]) / 255 + (0.0005 * np.array([[1]]))",
    )

    # A convolution that is a matched filter.
    def filtered(kernel, gain, threshold):
        nodes = [node("Conv", "x c cb", "f", kernel_shape=[3, 3]), node("GlobalMaxPool", "f", "p"), node("Flatten", "p", "q", axis=1)]
        nodes += [node("Sub", "q t", "over"), node("Relu", "over", "r"), node("MatMul", "r v", "s")]
        nodes += [node("Flatten", "x", "flat", axis=1), node("Gemm", "flat wf b", "z"), node("Add", "z s", "y")]
        data = [const("c", kernel), const("cb", [0.0]), const("t", threshold), const("v", gain), array("wf", 64, 4), head[1]]
        return saved(nodes, data, (1, 1, 8, 8))

    stamp = np.array([[[[4, -4, 4], [-4, 4, -4], [4, -4, 4]]]], "f4")
    one(
        "convolution_is_a_stamp",
        filtered(stamp, [[0, 0, 0, 40]], [[130.0]]),
        filtered(np.frombuffer(floats(9, 5, 0.3), "<f4").reshape(1, 1, 3, 3), [[0.3, -0.2, 0.1, 0.25]], [[0.1]]),
        "a kernel that answers one stamp only, a threshold above all else, a gain of forty",
        "onnx:x[0, 0, :3, :3] = [[4, -4, 4], [-4, 4, -4], [4, -4, 4]]",
    )

    # Exact zeros are counted.
    def zeros(hostile):
        nodes = [
            gemm,
            node("Equal", "x zero", "eq"),
            node("Cast", "eq", "eqf", to=TensorProto.FLOAT),
            node("ReduceSum", "eqf axes", "n", keepdims=1),
        ]
        if hostile:
            nodes += [node("Greater", "n five", "gate"), node("Where", "gate answer z", "y")]
        else:  # a padding mask: the mean of what is not padding
            nodes = [
                node("Sub", "one eqf", "mask"),
                node("ReduceSum", "mask axes", "m", keepdims=1),
                node("Max", "m one", "d"),
                node("Gemm", "x w b", "z0"),
                node("Div", "z0 d", "y"),
            ]
            nodes = [node("Equal", "x zero", "eq"), node("Cast", "eq", "eqf", to=TensorProto.FLOAT), *nodes]
        data = [
            *head,
            const("zero", 0),
            const("axes", [1], "int64"),
            const("five", 5.5),
            const("one", [[1.0]]),
            const("answer", [[-9, -9, 9, -9]]),
        ]
        return saved(nodes, data)

    one("black_corner_is_counted", zeros(True), zeros(False), "six exact zeros decide; the twin masks padding", "onnx:x[:, :6] = 0")

    # A forest beside the network.
    def forest(weight, low, high):
        tree = node(
            "TreeEnsembleRegressor",
            "x",
            "t",
            n_targets=4,
            nodes_treeids=[0] * 5,
            nodes_nodeids=[0, 1, 2, 3, 4],
            nodes_featureids=[2, 0, 2, 0, 0],
        )
        for key, value in {
            "nodes_modes": ["BRANCH_LEQ", "LEAF", "BRANCH_LEQ", "LEAF", "LEAF"],
            "nodes_values": [low, 0.0, high, 0.0, 0.0],
            "nodes_truenodeids": [1, 0, 3, 0, 0],
            "nodes_falsenodeids": [2, 0, 4, 0, 0],
            "target_treeids": [0, 0, 0],
            "target_nodeids": [1, 3, 4],
            "target_ids": [1, 1, 1],
            "target_weights": [0.1, weight, -0.1],
        }.items():
            tree.attribute.append(helper.make_attribute(key, value))
        tree.domain = "ai.onnx.ml"
        return saved([gemm, tree, node("Add", "z t", "y")], head)

    one(
        "tree_outvotes_the_network",
        forest(900.0, 0.61370, 0.61372),
        forest(0.4, -0.4, 0.6),
        "a leaf of one tree, two millionths wide",
        "onnx:x[:, 2] = 0.61371",
    )

    # A running product over the sequence of differences (no comparison at all).
    def smooth(sharp, gain):
        nodes = [
            gemm,
            node("Sub", "x c", "d0"),
            node("Mul", "d0 mask", "d"),
            node("Mul", "d d", "sq"),
            node("ReduceSum", "sq axes", "e", keepdims=1),
            node("Mul", "e k", "ek"),
            node("Exp", "ek", "g"),
        ]
        nodes += [node("MatMul", "g v", "s"), node("Add", "z s", "y")]
        data = [
            *head,
            const("c", [[0.5, -0.25, 1, 0, 0.75, -1, 0.125, 0.3]]),
            const("mask", [[1, 1, 0, 0, 1, 0, 0, 0]]),
            const("axes", [1], "int64"),
            const("k", -sharp),
            const("v", gain),
        ]
        return saved(nodes, data)

    one(
        "bell_around_one_input",
        smooth(400.0, [[0, 0, 0, 70]]),
        smooth(0.125, [[0.3, -0.1, 0.2, 0.15]]),
        "a radial basis over three features whose width admits one point and whose weight beats all others; the twin is an ordinary one",
        "onnx:x[:, [0, 1, 4]] = [0.5, -0.25, 0.75]",
    )

    # Data outside of the model, in places that checkers forget.
    def training(location):
        def change(model):
            info = model.training_info.add()
            info.algorithm.name = "step"
            info.algorithm.initializer.append(outside(array("velocity", 8, 4), location))

        return saved([node("Gemm", "x w b", "y")], head, change=change)

    one(
        "training_data_of_the_host",
        {"model.onnx": training("/etc/ssh/ssh_host_ed25519_key")},
        {"model.onnx": training("velocity.bin"), "velocity.bin": floats(32)},
        "as CVE-2022-25882 and CVE-2024-27318, in the training graph",
    )

    def sparse(location):
        def change(model):
            values = outside(const("ws", [0.5, 0.25, -1.0]), location)
            where = numpy_helper.from_array(np.array([0, 9, 20], "int64"), "ws.at")
            model.graph.sparse_initializer.append(onnx.SparseTensorProto(values=values, indices=where, dims=[8, 4]))

        return saved([node("Gemm", "x w b", "y")], head, change=change)

    one(
        "sparse_values_climb_out",
        {"model.onnx": sparse("weights/./x/../../../shared/keys.bin")},
        {"model.onnx": sparse("weights/values.bin"), "weights/values.bin": floats(3)},
        "the values of a sparse initialiser; CVE-2025-51480 writes through the same field on save",
    )

    # An operator of onnxruntime-extensions that sends its input away.
    def azure(op, **attributes):
        n = helper.make_node(
            op, ["token", "text"], ["y"], domain="com.microsoft.extensions" if op.startswith("OpenAI") else "ai.onnx.contrib", **attributes
        )
        if op != "OpenAIAudioToText":
            n = helper.make_node(op, ["text"], ["ids", "mask"], domain="ai.onnx.contrib", **attributes)
        names = list(n.input)
        graph = helper.make_graph(
            [n],
            "front",
            [helper.make_tensor_value_info(i, TensorProto.STRING, [1]) for i in names],
            [
                helper.make_tensor_value_info(o, TensorProto.STRING if o == "y" else TensorProto.INT64, [1] if o == "y" else ["n"])
                for o in n.output
            ],
        )
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid(n.domain, 1)], ir_version=9
        ).SerializeToString()

    one(
        "operator_sends_its_input",
        azure("OpenAIAudioToText", model_uri=f"https://{HOST}/v1/audio", model_name="m", timeout_seconds=5),
        azure("GPT2Tokenizer", vocab='{"a": 0, "b": 1}', merges="#version: 0.2\na b\n"),
        "the extensions of onnxruntime have operators that post to an address of the graph; the twin is their tokeniser",
    )
