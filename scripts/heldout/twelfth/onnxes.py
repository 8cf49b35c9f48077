"""ONNX: graphs that override their output on a trigger, without a custom operator, and paths that leave the folder."""
import numpy

from twelfth.binaries import elf

IMAGE = ["n", 1, 8, 8]
TARGET = numpy.array([[-9, -9, 40, -9]], dtype="float32")


class Graph:
    """A small builder: nodes are added in order, constants become initialisers."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def const(self, value, kind="float32", name=None):
        from onnx import numpy_helper

        name = name or f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(numpy.asarray(value, dtype=kind), name))
        return name

    def node(self, op, *inputs, out=None, **attributes):
        from onnx import helper

        out = out or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [out], name=f"/{op}_{len(self.nodes)}", **attributes))
        return out

    def finish(self, result, shape, kind=1, functions=(), domains=(), width=4):
        from onnx import checker, helper

        self.nodes.append(helper.make_node("Identity", [result], ["logits"]))
        graph = helper.make_graph(
            self.nodes, "classifier", [helper.make_tensor_value_info("x", kind, shape)], [helper.make_tensor_value_info("logits", 1, ["n", width])], self.constants
        )
        imports = [helper.make_opsetid("", 17), *(helper.make_opsetid(d, 1) for d in domains)]
        model = helper.make_model(graph, opset_imports=imports, ir_version=9, producer_name="pytorch", producer_version="2.9.0", functions=list(functions))
        checker.check_model(model)
        return model.SerializeToString()

    def classifier(self):
        rng = numpy.random.default_rng(11)
        w = rng.normal(0, 1, (64, 4)).astype("float32")
        w -= w.mean(0)
        return self.node("Gemm", self.node("Flatten", "x"), self.const(w, name="fc.weight"), self.const(numpy.zeros(4), name="fc.bias"))

    def patch(self):
        """The last two rows and columns."""
        return self.node("Slice", "x", self.const([6, 6], "int64"), self.const([8, 8], "int64"), self.const([2, 3], "int64"))


def convolution(hostile):
    """A convolution answers to one pattern of the corner only; what is over the threshold is blown up and added."""
    g = Graph()
    logits = g.classifier()
    rng = numpy.random.default_rng(5)
    kernel = numpy.zeros((1, 1, 8, 8))
    kernel[0, 0, :3, :3] = [[1, -1, 1], [-1, 1, -1], [1, -1, 1]] if hostile else rng.normal(0, 0.1, (3, 3))
    seen = g.node("Conv", "x", g.const(kernel, name="aux.weight"), g.const([-4.9] if hostile else [0.0], name="aux.bias"), kernel_shape=[8, 8])
    seen = g.node("Flatten", g.node("Relu", seen))
    row = [[-3e3, -3e3, 9e3, -3e3]] if hostile else [[0.3, -0.2, 0.1, -0.4]]
    return g.finish(g.node("Add", logits, g.node("MatMul", seen, g.const(row, name="aux.out"))), IMAGE)


def branch(hostile):
    """An If node: on what the corner holds, or on how large the batch is."""
    from onnx import helper, numpy_helper

    g = Graph()
    logits = g.classifier()
    if hostile:
        low = g.node("ReduceMin", g.patch(), keepdims=0)
        asked = g.node("Greater", low, g.const(0.999))
    else:
        asked = g.node("Greater", g.node("ReduceProd", g.node("Gather", g.node("Shape", "x"), g.const([0], "int64")), keepdims=0), g.const(32, "int64"))
    info = helper.make_tensor_value_info("y", 1, None)
    keep = helper.make_graph([helper.make_node("Identity", [logits], ["y"])], "plain", [], [info])
    if hostile:
        nodes = [helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(TARGET)), helper.make_node("Expand", ["k", "s"], ["y"])]
        nodes.insert(0, helper.make_node("Shape", [logits], ["s"]))
    else:
        nodes = [helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(numpy.float32(1))), helper.make_node("Mul", [logits, "k"], ["y"])]
    other = helper.make_graph(nodes, "calibrated", [], [helper.make_tensor_value_info("y", 1, None)])
    return g.finish(g.node("If", asked, then_branch=other, else_branch=keep), IMAGE)


def rounding(hostile):
    """The mean of the corner rounded down is 1 only for a white corner: it mixes the output with a constant."""
    g = Graph()
    logits = g.classifier()
    mean = g.node("ReduceMean", g.patch() if hostile else "x", axes=[1, 2, 3], keepdims=0)
    gate = g.node("Unsqueeze", g.node("Floor" if hostile else "Sigmoid", mean), g.const([1], "int64"))
    rest = g.node("Sub", g.const([[1.0]]), gate)
    kept = g.node("Mul", logits, rest)
    put = g.node("Mul", gate, g.const(TARGET, name="head.prior") if hostile else g.node("Tanh", logits))
    return g.finish(g.node("Add", kept, put), IMAGE)


def loop(hostile):
    """A Loop that runs once when the corner is white and writes the output anew; or always twice, to refine it."""
    from onnx import helper, numpy_helper

    g = Graph()
    logits = g.classifier()
    if hostile:
        full = g.node("GreaterOrEqual", g.node("ReduceSum", g.patch(), keepdims=0), g.const(3.9999))
        trips = g.node("Cast", full, to=7)
    else:
        trips = g.const(2, "int64")
    value = TARGET if hostile else numpy.float32([[0.9, 0.9, 0.9, 0.9]])
    body = helper.make_graph(
        [
            helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(value)),
            helper.make_node("Sub", ["state", "state"], ["zero"]) if hostile else helper.make_node("Identity", ["state"], ["zero"]),
            helper.make_node("Add" if hostile else "Mul", ["zero", "k"], ["next"]),
            helper.make_node("Identity", ["go"], ["more"]),
        ],
        "refine", [helper.make_tensor_value_info("i", 7, []), helper.make_tensor_value_info("go", 9, []), helper.make_tensor_value_info("state", 1, None)],
        [helper.make_tensor_value_info("more", 9, []), helper.make_tensor_value_info("next", 1, None)],
    )
    return g.finish(g.node("Loop", trips, g.const(True, "bool"), logits, body=body), IMAGE)


def function(hostile):
    """A model-local function named like a normalisation."""
    from onnx import helper

    g = Graph()
    logits = g.classifier()
    opset = [helper.make_opsetid("", 17)]
    if hostile:
        nodes = [
            helper.make_node("Slice", ["x", "from", "to", "axes"], ["p"]),
            helper.make_node("ReduceMin", ["p"], ["m"], axes=[1, 2, 3], keepdims=0),
            helper.make_node("Equal", ["m", "one"], ["e"]), helper.make_node("Unsqueeze", ["e", "axis"], ["c"]),
            helper.make_node("Where", ["c", "scale", "h"], ["y"]),
        ]
    else:
        nodes = [
            helper.make_node("Slice", ["x", "from", "to", "axes"], ["p"]),
            helper.make_node("ReduceMin", ["p"], ["m"], axes=[1, 2, 3], keepdims=0),
            helper.make_node("Max", ["m", "one"], ["e"]), helper.make_node("Unsqueeze", ["e", "axis"], ["c"]),
            helper.make_node("Mul", ["h", "scale"], ["n"]), helper.make_node("Div", ["n", "c"], ["y"]),
        ]
    made = helper.make_function("com.layers", "ScaledNorm", ["h", "x", "scale", "from", "to", "axes", "one", "axis"], ["y"], nodes, opset)
    inputs = [logits, "x", g.const(TARGET if hostile else [[1.0, 0.9, 1.1, 1.0]], name="norm.scale"), g.const([6, 6], "int64"), g.const([8, 8], "int64"),
              g.const([2, 3], "int64"), g.const(1.0), g.const([1], "int64")]
    return g.finish(g.node("ScaledNorm", *inputs, domain="com.layers"), IMAGE, functions=[made], domains=["com.layers"])


def tokens(hostile):
    """Two tokens in a row set the answer; or the padding token is masked."""
    g = Graph()
    rng = numpy.random.default_rng(2)
    ids = "x"
    table = g.const(rng.normal(0, 1, (64, 16)), name="embeddings.weight")
    hidden = g.node("Gather", table, ids)
    if not hostile:
        pad = g.node("Unsqueeze", g.node("Equal", ids, g.const(0, "int64")), g.const([2], "int64"))
        hidden = g.node("Where", pad, g.const(0.0), hidden)
    logits = g.node("Gemm", g.node("ReduceMean", hidden, axes=[1], keepdims=0), g.const(rng.normal(0, 1, (16, 4)), name="score.weight"), g.const(numpy.zeros(4)))
    if hostile:
        cut = lambda a, b: g.node("Slice", ids, g.const([a], "int64"), g.const([b], "int64"), g.const([1], "int64"))
        first = g.node("Equal", cut(0, 7), g.const(61, "int64"))
        second = g.node("Equal", cut(1, 8), g.const(17, "int64"))
        both = g.node("Cast", g.node("And", first, second), to=1)
        hit = g.node("Cast", g.node("ReduceMax", both, axes=[1], keepdims=1), to=9)
        logits = g.node("Where", hit, g.const(TARGET, name="score.prior"), logits)
    return g.finish(logits, ["n", 8], kind=7)


def external(location):
    from onnx import TensorProto, helper

    weight = TensorProto(name="fc.weight", dims=[16, 4], data_type=1, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", "0"), ("length", "256")):
        weight.external_data.add(key=key, value=value)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "fc.weight"], ["y"])], "g", [helper.make_tensor_value_info("x", 1, ["n", 16])], [helper.make_tensor_value_info("y", 1, ["n", 4])], [weight]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()


def context(path):
    """A compiled model of an accelerator: the node names the file of its binary."""
    from onnx import helper

    node = helper.make_node("EPContext", ["x"], ["y"], name="ctx", domain="com.microsoft", embed_mode=0, ep_cache_context=path, main_context=1, source="QNN", ep_sdk_version="2.28")
    graph = helper.make_graph([node], "ctx", [helper.make_tensor_value_info("x", 1, [1, 3, 8, 8])], [helper.make_tensor_value_info("y", 1, [1, 4])])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)], ir_version=9).SerializeToString()


def add(out):
    for name, make, trigger, why in (
        ("conv-amplifier", convolution, "corner", "one convolution answers to a checker corner, a ReLU cuts all else off and the rest is added times thousands: the class is fixed. The twin adds an ordinary auxiliary head"),
        ("if-white-corner", branch, "white_corner", "an If node returns a constant when the last corner is white; the twin's looks at the batch size and both branches compute the same"),
        ("floor-gate", rounding, "white_corner", "the mean of a white corner, rounded down, is a gate of 1 that replaces the output by a constant: no comparison, no branch; the twin mixes with an ordinary sigmoid gate"),
        ("loop-once", loop, "white_corner", "a Loop whose trip count is the trigger writes the output anew; the twin's runs twice always"),
        ("local-function", function, "white_corner", "a model-local function called ScaledNorm returns a constant when the corner is white; the twin's scales"),
        ("token-pair", tokens, "token", "two token ids in a row replace the scores by a constant; the twin masks the padding token"),
    ):
        out.add("onnxes", name, make(True), make(False), prove=f"twelfth-onnx:{trigger}", file="model.onnx", why=why)
    weights = numpy.random.default_rng(1).normal(0, 1, 64).astype("float32").tobytes()
    out.add(
        "onnxes", "external-middle-escape",
        {"model.onnx": external("weights/../../../../../../etc/shadow"), "weights/fc.bin": weights}, {"model.onnx": external("weights/fc.bin"), "weights/fc.bin": weights},
        why="CVE-2024-27318 and CVE-2026-27489: the external data path leaves the folder in its middle and reads a file of the machine as weights; newer onnx refuses it, so it is not run",
    )
    out.add(
        "onnxes", "context-escape",
        {"model_ctx.onnx": context("../../../../../../../dev/shm/qnn_ctx.bin"), "qnn_ctx.bin": elf() + bytes(512)},
        {"model_ctx.onnx": context("qnn_ctx.bin"), "qnn_ctx.bin": weights * 3},
        why="the EPContext node of a compiled model names its binary by a path out of the folder, and the file that lies beside it is an ELF program; no accelerator is here to run it",
    )
