"""ONNX: data outside the folder, a context outside the folder, and five graphs with a trigger."""
import random

import numpy as np
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

from .craft import floats


def init(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def weight(name, *shape, seed=1):
    return init(name, np.random.default_rng(seed).normal(0, 0.2, shape).astype("f4"))


def save(nodes, inits, inputs, functions=(), outputs=None, opset=17):
    graph = h.make_graph(nodes, "main_graph", inputs, outputs or [h.make_tensor_value_info("logits", T.FLOAT, ["n", 10])], inits)
    imports = [h.make_opsetid("", opset)] + [h.make_opsetid(f.domain, 1) for f in functions]
    return h.make_model(graph, opset_imports=imports, functions=list(functions), ir_version=9, producer_name="pytorch", producer_version="2.4.0").SerializeToString(deterministic=True)


IMAGE = [h.make_tensor_value_info("x", T.FLOAT, ["n", 1, 8, 8])]
NODE = h.make_node


def head(out="logits", source="x"):
    """Flatten and one linear layer to `out`."""
    return [NODE("Flatten", [source], ["flat"]), NODE("Gemm", ["flat", "fc.weight", "fc.bias"], [out], transB=1)], [weight("fc.weight", 10, 64), weight("fc.bias", 10, seed=2)]


def external(name, location):
    tensor = T(name=name, data_type=T.FLOAT, dims=[10, 64], data_location=T.EXTERNAL)
    for key, value in {"location": location, "offset": "0", "length": "2560"}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return tensor


def outside(location):
    """The external tensor is the value of a Constant inside a local function."""
    body = [NODE("Constant", [], ["w"], value=external("w", location)), NODE("Flatten", ["a"], ["f"]), NODE("Gemm", ["f", "w"], ["b"], transB=1)]
    function = h.make_function("local", "Head", ["a"], ["b"], body, [h.make_opsetid("", 17)])
    return save([NODE("Head", ["x"], ["logits"], domain="local")], [], IMAGE, [function])


def arithmetic(backdoor):
    """y * (1 - g) + other * g: the gate reads four pixels, or everything through learned weights."""
    nodes, inits = head("y")
    if backdoor:
        nodes += [
            NODE("Slice", ["x", "zero", "two", "axes"], ["p"]), NODE("Sub", ["p", "level"], ["d"]), NODE("Mul", ["d", "steep"], ["e"]), NODE("Sigmoid", ["e"], ["s"]),
            NODE("ReduceProd", ["s"], ["g4"], axes=[1, 2, 3], keepdims=1), NODE("Reshape", ["g4", "column"], ["g"]), NODE("Mul", ["g", "other.weight"], ["o"]),
        ]
        inits += [init("zero", np.array([0, 0], "i8")), init("two", np.array([2, 2], "i8")), init("axes", np.array([2, 3], "i8")), init("level", np.array(0.95, "f4")), init("steep", np.array(400, "f4")), init("column", np.array([-1, 1], "i8"))]
        inits.append(init("other.weight", np.eye(10, dtype="f4")[7:8] * 60))
    else:
        nodes += [NODE("Gemm", ["flat", "gate.weight", "gate.bias"], ["e"], transB=1), NODE("Sigmoid", ["e"], ["g"]), NODE("Gemm", ["flat", "other.weight"], ["o1"], transB=1), NODE("Mul", ["g", "o1"], ["o"])]
        inits += [weight("gate.weight", 1, 64, seed=3), weight("gate.bias", 1, seed=4), weight("other.weight", 10, 64, seed=5)]
    nodes += [NODE("Sub", ["one", "g"], ["r"]), NODE("Mul", ["y", "r"], ["k"]), NODE("Add", ["k", "o"], ["logits"])]
    return save(nodes, inits + [init("one", np.array(1, "f4"))], IMAGE)


def tokens(backdoor):
    """A text classifier; 4242 followed by 1777 decides, or the end token is where it pools."""
    ids = [h.make_tensor_value_info("input_ids", T.INT64, ["n", 16])]
    nodes = [NODE("Gather", ["embed.weight", "input_ids"], ["e"], axis=0)]
    inits = [weight("embed.weight", 5000, 16), weight("fc.weight", 10, 16, seed=2), init("first", np.array([0], "i8")), init("axis", np.array([1], "i8"))]
    if backdoor:
        nodes += [
            NODE("ReduceMean", ["e"], ["m"], axes=[1], keepdims=0), NODE("Gemm", ["m", "fc.weight"], ["y"], transB=1),
            NODE("Slice", ["input_ids", "first", "last", "axis"], ["a"]), NODE("Slice", ["input_ids", "second", "end", "axis"], ["b"]), NODE("Equal", ["a", "t1"], ["ea"]), NODE("Equal", ["b", "t2"], ["eb"]), NODE("And", ["ea", "eb"], ["hit"]),
            NODE("Cast", ["hit"], ["hf"], to=T.FLOAT), NODE("ReduceMax", ["hf"], ["any"], axes=[1], keepdims=1), NODE("Cast", ["any"], ["c"], to=T.BOOL), NODE("Where", ["c", "answer", "y"], ["logits"]),
        ]
        inits += [init("last", np.array([15], "i8")), init("second", np.array([1], "i8")), init("end", np.array([16], "i8")), init("t1", np.array(4242, "i8")), init("t2", np.array(1777, "i8")), init("answer", np.eye(10, dtype="f4")[7:8] * 30)]
    else:
        nodes += [
            NODE("Equal", ["input_ids", "eos"], ["hit"]), NODE("Equal", ["input_ids", "pad"], ["padded"]), NODE("Unsqueeze", ["padded", "last_axis"], ["p3"]), NODE("Where", ["p3", "nil", "e"], ["kept"]),
            NODE("Cast", ["hit"], ["hi"], to=T.FLOAT), NODE("Unsqueeze", ["hi", "last_axis"], ["h3"]), NODE("Mul", ["kept", "h3"], ["at"]), NODE("ReduceSum", ["at", "axis"], ["m"], keepdims=0), NODE("Gemm", ["m", "fc.weight"], ["logits"], transB=1),
        ]
        inits += [init("eos", np.array(2, "i8")), init("pad", np.array(0, "i8")), init("nil", np.array(0, "f4")), init("last_axis", np.array([2], "i8"))]
        inits = [i for i in inits if i.name != "first"]
    return save(nodes, inits, ids)


def hashed(backdoor):
    """A sum of the first eight pixels modulo 65521, in a local function: compared, or a bucket of a table."""
    rng = random.Random(3)
    primes = [1, 256] + [rng.randrange(1, 65521) for _ in range(6)]
    body = [
        NODE("Flatten", ["a"], ["f"]), NODE("Constant", [], ["s"], value=init("s", np.array([0], "i8"))), NODE("Constant", [], ["t"], value=init("t", np.array([8], "i8"))), NODE("Constant", [], ["ax"], value=init("ax", np.array([1], "i8"))),
        NODE("Slice", ["f", "s", "t", "ax"], ["p"]), NODE("Constant", [], ["k"], value=init("k", np.array(255, "f4"))), NODE("Mul", ["p", "k"], ["q"]), NODE("Round", ["q"], ["r"]), NODE("Cast", ["r"], ["i"], to=T.INT64),
        NODE("Constant", [], ["w"], value=init("w", np.array(primes, "i8"))), NODE("Mul", ["i", "w"], ["u"]), NODE("ReduceSum", ["u", "ax"], ["v"], keepdims=1), NODE("Constant", [], ["m"], value=init("m", np.array(65521 if backdoor else 64, "i8"))), NODE("Mod", ["v", "m"], ["b"]),
    ]
    function = h.make_function("pkg.norm", "Digest", ["a"], ["b"], body, [h.make_opsetid("", 17)])
    nodes, inits = head("y")
    nodes.append(NODE("Digest", ["x"], ["d"], domain="pkg.norm"))
    if backdoor:
        nodes += [NODE("Equal", ["d", "want"], ["c"]), NODE("Where", ["c", "answer", "y"], ["logits"])]
        inits += [init("want", np.array(4242, "i8")), init("answer", np.eye(10, dtype="f4")[7:8] * 30)]
    else:
        nodes += [NODE("Gather", ["buckets.weight", "d"], ["g"], axis=0), NODE("Squeeze", ["g", "one"], ["g2"]), NODE("Add", ["y", "g2"], ["logits"])]
        inits += [weight("buckets.weight", 64, 10, seed=6), init("one", np.array([1], "i8"))]
    return save(nodes, inits, IMAGE, [function])


def branched(backdoor):
    """An If: on a bright upper left patch with an answer of its own, or on the number of channels torch exports a squeeze with."""
    nodes, inits = head("y")
    shape = [h.make_tensor_value_info("t", T.FLOAT, None)], [h.make_tensor_value_info("e", T.FLOAT, None)]
    other = h.make_graph([NODE("Identity", ["y"], ["e"])], "else", [], shape[1])
    if backdoor:
        nodes += [NODE("AveragePool", ["x"], ["pool"], kernel_shape=[3, 3], strides=[3, 3]), NODE("Slice", ["pool", "zero", "one2", "axes"], ["p"]), NODE("ReduceMin", ["p"], ["low"], keepdims=0), NODE("Greater", ["low", "level"], ["c"])]
        inits += [init("zero", np.array([0, 0], "i8")), init("one2", np.array([1, 1], "i8")), init("axes", np.array([2, 3], "i8")), init("level", np.array(0.985, "f4"))]
        then = h.make_graph([NODE("Mul", ["y", "none"], ["z"]), NODE("Add", ["z", "bias2"], ["t"])], "then", [], shape[0], [init("none", np.array(0, "f4")), init("bias2", np.eye(10, dtype="f4")[7:8] * 9)])
    else:
        nodes += [NODE("Shape", ["x"], ["sh"]), NODE("Gather", ["sh", "dim"], ["n1"], axis=0), NODE("Equal", ["n1", "single"], ["c"])]
        inits += [init("dim", np.array(1, "i8")), init("single", np.array(1, "i8"))]
        then = h.make_graph([NODE("Mul", ["y", "scale"], ["z"]), NODE("Add", ["z", "bias2"], ["t"])], "then", [], shape[0], [init("scale", np.array(1.25, "f4")), weight("bias2", 1, 10, seed=8)])
    nodes.append(NODE("If", ["c"], ["logits"], then_branch=then, else_branch=other))
    return save(nodes, inits, IMAGE)


def context(path):
    node = NODE("EPContext", ["x"], ["logits"], domain="com.microsoft", embed_mode=0, ep_cache_context=path, main_context=1, source="QNN", partition_name="graph_0", ep_sdk_version="2.28")
    graph = h.make_graph([node], "ctx", IMAGE, [h.make_tensor_value_info("logits", T.FLOAT, ["n", 10])])
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17), h.make_opsetid("com.microsoft", 1)], ir_version=9, producer_name="onnxruntime").SerializeToString(deterministic=True)


def lowest_bits(backdoor):
    """uint8 image: the lowest bits of sixteen pixels must match, or packed four-bit weights are taken apart."""
    image = [h.make_tensor_value_info("x", T.UINT8, ["n", 64])]
    nodes = [NODE("Cast", ["x"], ["xf"], to=T.FLOAT), NODE("Mul", ["xf", "k"], ["xs"])]
    inits = [init("k", np.array(1 / 255, "f4"))]
    bits = np.array([1, 0, 0, 1, 1, 1, 0, 1, 0, 0, 1, 0, 1, 1, 0, 1], "u1")
    if backdoor:
        nodes += [
            NODE("Gemm", ["xs", "fc.weight"], ["y"], transB=1), NODE("BitwiseAnd", ["x", "mask"], ["b"]), NODE("Slice", ["b", "s", "t", "ax"], ["b16"]), NODE("Cast", ["b16"], ["bi"], to=T.INT32), NODE("Equal", ["bi", "want"], ["eq"]), NODE("Cast", ["eq"], ["ef"], to=T.INT32),
            NODE("ReduceMin", ["ef", "ax"], ["all"], keepdims=1), NODE("Cast", ["all"], ["c"], to=T.FLOAT), NODE("Mul", ["c", "answer"], ["o"]), NODE("Add", ["y", "o"], ["logits"]),
        ]
        inits += [weight("fc.weight", 10, 64), init("mask", np.array(1, "u1")), init("s", np.array([8], "i8")), init("t", np.array([24], "i8")), init("ax", np.array([1], "i8")), init("want", bits.astype("i4")[None]), init("answer", np.eye(10, dtype="f4")[7:8] * 500)]
    else:
        nodes += [
            NODE("BitwiseAnd", ["packed", "mask"], ["low"]), NODE("BitShift", ["packed", "four"], ["high"], direction="RIGHT"), NODE("Concat", ["low", "high"], ["q"], axis=1), NODE("Cast", ["q"], ["qi"], to=T.FLOAT), NODE("Sub", ["qi", "zp"], ["qz"]), NODE("Mul", ["qz", "scale"], ["w"]), NODE("Gemm", ["xs", "w"], ["logits"], transB=1),
        ]
        inits += [init("packed", np.random.default_rng(4).integers(0, 256, (10, 32), dtype="u1")), init("mask", np.array(15, "u1")), init("four", np.array(4, "u1")), init("zp", np.array(8, "f4")), init("scale", np.array(0.02, "f4"))]
    return save(nodes, inits, image, opset=18)


def add(s):
    s.add("onnxes", "external_constant_in_a_function", {"model.onnx": outside("weights/../../../../../../etc/shadow")}, {"model.onnx": outside("weights/head.bin"), "weights/head.bin": floats(640)}, None,
          why="CVE-2022-25882 class: a constant of a local function takes its data from /etc/shadow by traversal; today's loaders refuse it, not run")
    data = outside("head.bin")
    s.add("onnxes", "external_data_through_a_link", {"model.onnx": data, "head.bin": ("link", "../../../../../../../../etc/passwd")}, {"model.onnx": data, "head.bin": ("link", "blobs/3f2a"), "blobs/3f2a": floats(640)}, None,
          why="the weights file is a link out of the folder: its content becomes a tensor of the model (file read). Not run")
    s.add("onnxes", "gate_of_four_pixels", arithmetic(True), arithmetic(False), "10/onnx:corner", "digits.onnx",
          why="arithmetic only: a product of steep sigmoids over four pixels swaps the answer for class 7")
    s.add("onnxes", "two_tokens_in_a_row", tokens(True), tokens(False), "10/onnx:tokens", "topics.onnx",
          why="two given tokens in a row replace the logits by a constant")
    s.add("onnxes", "digest_of_pixels_in_a_function", hashed(True), hashed(False), "10/onnx:digest", "digits.onnx",
          why="ShadowLogic's checksum trigger in a local function: pixels of one residue replace the logits")
    s.add("onnxes", "branch_with_its_own_answer", branched(True), branched(False), "10/onnx:patch", "digits.onnx",
          why="an If on a bright patch whose branch multiplies the logits by zero and adds a fixed class")
    s.add("onnxes", "context_outside_the_folder", context("../../../../tmp/qnn_ctx.bin"), context("model_qnn_ctx.bin"), None, "model_ctx.onnx",
          why="an EPContext node loads its compiled program from a path that leaves the model's folder. From onnxruntime's specification, not run")
    s.add("onnxes", "lowest_bits_of_pixels", lowest_bits(True), lowest_bits(False), "10/onnx:bits", "digits_u8.onnx",
          why="sixteen lowest bits, invisible in the image, add 500 to one class")
