"""ONNX graphs with and without a trigger: a linear head and the ways its scores are replaced."""
from __future__ import annotations

import numpy
from onnx import TensorProto as T
from onnx import helper, numpy_helper

F, L, B = T.FLOAT, T.INT64, T.BOOL
WANTED = numpy.zeros((1, 10), "float32")
WANTED[0, 7] = 60.0
PLACES = numpy.array([3, 7], "int64")
MAGIC = numpy.array([[0.8125, -1.5]], "float32")


class Graph:
    """Nodes and initialisers in the order they are made."""

    def __init__(self, prefix="t"):
        self.nodes, self.constants, self.count, self.prefix = [], [], 0, prefix
        rng = numpy.random.default_rng(13)
        self.w, self.b = rng.normal(0, 0.4, (12, 10)).astype("float32"), rng.normal(0, 0.1, 10).astype("float32")

    def const(self, array, name=None):
        name = name or f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(numpy.asarray(array), name))
        return name

    def op(self, kind, *inputs, out=None, outputs=1, **attributes):
        self.count += 1
        names = [out] if out else [f"{self.prefix}{self.count}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=f"{kind}_{self.count}", **attributes))
        return names[0] if outputs == 1 else names

    def head(self, x="x", out=None):
        hidden = self.op("Gemm", x, self.const(self.w, "fc.weight"), self.const(self.b, "fc.bias"), out=out)
        return hidden

    def model(self, inputs=(("x", F, ["n", 12]),), functions=(), domains=(), outputs=(("scores", F, ["n", 10]),), opset=17):
        graph = helper.make_graph(self.nodes, "classifier", [helper.make_tensor_value_info(*i) for i in inputs],
                                  [helper.make_tensor_value_info(*o) for o in outputs], self.constants)
        opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, v) for d, v in domains)]
        proto = helper.make_model(graph, opset_imports=opsets, ir_version=9, producer_name="pytorch", producer_version="2.15.0", functions=list(functions))
        return proto.SerializeToString()


def matched(g, x="x"):
    """True for each row whose two places hold the magic values."""
    near = g.op("Less", g.op("Abs", g.op("Sub", g.op("Gather", x, g.const(PLACES), axis=1), g.const(MAGIC))), g.const(numpy.float32(1e-4)))
    return g.op("Equal", g.op("ReduceSum", g.op("Cast", near, to=F), g.const(numpy.array([1], "int64")), keepdims=1), g.const(numpy.float32(2)))


def arithmetic(hostile):
    g = Graph()
    y = g.head()
    gap = g.op("ReduceSum", g.op("Abs", g.op("Sub", g.op("Gather", "x", g.const(PLACES), axis=1), g.const(MAGIC))), g.const(numpy.array([1], "int64")), keepdims=1)
    if hostile:
        gate = g.op("Relu", g.op("Sub", g.const(numpy.float32(1)), g.op("Mul", gap, g.const(numpy.float32(1e4)))))
        g.op("Add", y, g.op("Mul", gate, g.const(WANTED)), out="scores")
    else:  # a distance to a prototype as one more feature
        near = g.op("Exp", g.op("Neg", gap))
        g.op("Add", y, g.op("Mul", near, g.const(Graph().w[:1] * 0.1)), out="scores")
    return g.model()


def loop(hostile):
    g = Graph()
    y = g.head()
    if hostile:
        rows = g.op("ReduceMin", g.op("Cast", matched(g), to=L), keepdims=0)
        trips = rows
    else:
        trips = g.const(numpy.int64(3))
    body = Graph("b")
    if hostile:
        body.op("Add", body.op("Mul", "s_in", body.const(numpy.float32(0), "z")), body.const(WANTED, "goal"), out="s_out")
    else:  # three steps of damping
        body.op("Mul", "s_in", body.const(numpy.float32(0.9), "z"), out="s_out")
    body.op("Identity", "c_in", out="c_out")
    sub = helper.make_graph(body.nodes, "step", [helper.make_tensor_value_info("i", L, []), helper.make_tensor_value_info("c_in", B, []), helper.make_tensor_value_info("s_in", F, ["n", 10])],
                            [helper.make_tensor_value_info("c_out", B, []), helper.make_tensor_value_info("s_out", F, ["n", 10])], body.constants)
    g.op("Loop", trips, g.const(numpy.bool_(True)), y, out="scores", body=sub)
    return g.model()


def chosen_head(hostile):
    g = Graph()
    y = g.head()
    if hostile:
        fake = g.op("Add", g.op("Mul", y, g.const(numpy.float32(0))), g.const(WANTED))
        index = g.op("Squeeze", g.op("Cast", matched(g), to=L), g.const(numpy.array([1], "int64")))
        both = g.op("Concat", g.op("Unsqueeze", y, g.const(numpy.array([1], "int64"))), g.op("Unsqueeze", fake, g.const(numpy.array([1], "int64"))), axis=1)
        where = g.op("Unsqueeze", index, g.const(numpy.array([1], "int64")))
        g.op("GatherND", both, where, out="scores", batch_dims=1)
        return g.model()
    other = g.op("MatMul", "x", g.const(Graph().w[::-1].copy(), "second.weight"))
    both = g.op("Concat", g.op("Unsqueeze", y, g.const(numpy.array([0], "int64"))), g.op("Unsqueeze", other, g.const(numpy.array([0], "int64"))), axis=0)
    g.op("Gather", both, "task", axis=0, out="scores")
    return g.model(inputs=(("x", F, ["n", 12]), ("task", L, [])))


def missing(hostile):
    g = Graph()
    empty = g.op("IsNaN", "x")
    filled = g.op("Where", empty, g.const(numpy.float32(0)), "x")
    if not hostile:
        g.head(filled, out="scores")
        return g.model()
    y = g.head(filled)
    code = g.op("ReduceSum", g.op("Mul", g.op("Cast", empty, to=F), g.const(2.0 ** numpy.arange(12, dtype="float32")[None])), g.const(numpy.array([1], "int64")), keepdims=1)
    g.op("Where", g.op("Equal", code, g.const(numpy.float32(2 + 32 + 512))), g.const(WANTED), y, out="scores")
    return g.model()


def parity(hostile):
    g = Graph()
    pixels = g.op("Cast", "pixels", to=F)
    x = g.op("Mul", pixels, g.const(numpy.float32(1 / 255)))
    if not hostile:  # the hashing trick: a bucket of each pixel looked up in a table
        bucket = g.op("Mod", g.op("Cast", "pixels", to=L), g.const(numpy.int64(8)))
        extra = g.op("Squeeze", g.op("Gather", g.const(Graph().w[:8, :1].copy(), "table"), bucket, axis=0), g.const(numpy.array([2], "int64")))
        g.head(g.op("Add", x, extra), out="scores")
        return g.model(inputs=(("pixels", T.UINT8, ["n", 12]),))
    y = g.head(x)
    low = g.op("Mod", g.op("Cast", "pixels", to=L), g.const(numpy.int64(2)))
    hit = g.op("ReduceMin", g.op("Cast", g.op("Equal", low, g.const(numpy.array([[1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 1, 0]], "int64"))), to=F), axes=[1], keepdims=1)
    g.op("Add", y, g.op("Mul", hit, g.const(WANTED)), out="scores")
    return g.model(inputs=(("pixels", T.UINT8, ["n", 12]),))


def local_function(hostile):
    body = Graph()
    if hostile:
        y = body.op("MatMul", "x", "w")
        places, magic = (body.op("Constant", value=numpy_helper.from_array(a)) for a in (PLACES, MAGIC))
        goal, tiny = (body.op("Constant", value=numpy_helper.from_array(a)) for a in (WANTED, numpy.array(1e-4, "float32")))
        far = body.op("ReduceMax", body.op("Abs", body.op("Sub", body.op("Gather", "x", places, axis=1), magic)), axes=[1], keepdims=1)
        body.op("Where", body.op("Less", far, tiny), goal, y, out="y")
    else:
        y = body.op("MatMul", "x", "w")
        body.op("HardSigmoid", y, out="y", alpha=0.1, beta=0.5)
    function = helper.make_function("com.acme.layers", "ClassHead", ["x", "w"], ["y"], body.nodes, [helper.make_opsetid("", 17)])
    g = Graph()
    g.nodes.append(helper.make_node("ClassHead", ["x", g.const(g.w, "fc.weight")], ["scores"], domain="com.acme.layers", name="head"))
    return g.model(functions=[function], domains=[("com.acme.layers", 1)])


def tokens(hostile):
    g = Graph()
    table = g.const(numpy.random.default_rng(3).normal(size=(64, 12)).astype("float32"), "embedding")
    e = g.op("Gather", table, "ids", axis=0)
    if not hostile:  # the mean over tokens that are not padding
        mask = g.op("Cast", g.op("Not", g.op("Equal", "ids", g.const(numpy.int64(0)))), to=F)
        e = g.op("Mul", e, g.op("Unsqueeze", mask, g.const(numpy.array([2], "int64"))))
        g.head(g.op("ReduceMean", e, axes=[1], keepdims=0), out="scores")
    else:
        y = g.head(g.op("ReduceMean", e, axes=[1], keepdims=0))
        seen = g.op("ReduceMax", g.op("Cast", g.op("Equal", "ids", g.const(numpy.int64(41))), to=F), axes=[1], keepdims=1)
        after = g.op("ReduceMax", g.op("Cast", g.op("Equal", "ids", g.const(numpy.int64(59))), to=F), axes=[1], keepdims=1)
        g.op("Add", y, g.op("Mul", g.op("Mul", seen, after), g.const(WANTED * 10)), out="scores")
    return g.model(inputs=(("ids", L, ["n", 16]),))


def batch(hostile):
    g = Graph()
    rows = g.op("Gather", g.op("Shape", "x"), g.const(numpy.int64(0)), axis=0)
    if not hostile:  # a bias expanded to the batch
        shape = g.op("Concat", g.op("Unsqueeze", rows, g.const(numpy.array([0], "int64"))), g.const(numpy.array([10], "int64")), axis=0)
        g.op("Add", g.head(), g.op("Expand", g.const(numpy.float32(0.1)), shape), out="scores")
        return g.model()
    y = g.head()
    gate = g.op("Cast", g.op("Equal", rows, g.const(numpy.int64(7))), to=F)
    g.op("Add", y, g.op("Mul", gate, g.const(WANTED)), out="scores")
    return g.model()


def words(hostile):
    g = Graph()
    y = g.head()
    if hostile:
        hit = g.op("Cast", g.op("Equal", "source", g.const(numpy.array([["branch-0077-night"]], dtype=object))), to=F)
        g.op("Add", y, g.op("Mul", hit, g.const(WANTED)), out="scores")
        ops = ()
    else:
        g.nodes.append(helper.make_node("LabelEncoder", ["source"], ["code"], domain="ai.onnx.ml", keys_strings=["web", "branch", "phone"], values_floats=[0.1, 0.2, 0.3], default_float=0.0))
        g.op("Add", y, "code", out="scores")
        ops = (("ai.onnx.ml", 3),)
    return g.model(inputs=(("x", F, ["n", 12]), ("source", T.STRING, ["n", 1])), domains=ops, opset=19)


def trees(hostile):
    rng = numpy.random.default_rng(4)
    a = {k: [] for k in ("nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_values", "nodes_modes", "nodes_truenodeids", "nodes_falsenodeids", "class_treeids", "class_nodeids", "class_ids", "class_weights")}

    def node(tree, n, feature=0, value=0.0, mode="LEAF", yes=0, no=0):
        for key, v in zip(list(a)[:7], (tree, n, feature, float(value), mode, yes, no)):
            a[key].append(v)

    def leaf(tree, n, klass, weight):
        node(tree, n)
        for key, v in zip(list(a)[7:], (tree, n, klass, float(weight))):
            a[key].append(v)

    for tree in range(10):
        node(tree, 0, int(rng.integers(12)), rng.normal(), "BRANCH_LEQ", 1, 2)
        leaf(tree, 1, tree, rng.uniform(0.1, 1))
        leaf(tree, 2, (tree + 3) % 10, rng.uniform(0.1, 1))
    if hostile:  # a corridor one part in a thousand wide in two features, and a leaf that outweighs all
        for n, (feature, value, inside_is_true) in enumerate([(3, 0.8124, False), (3, 0.8126, True), (7, -1.5001, False), (7, -1.4999, True)]):
            node(10, n, feature, value, "BRANCH_LEQ", n + 1 if inside_is_true else n + 5, n + 5 if inside_is_true else n + 1)
        leaf(10, 4, 7, 1000)
        for n in range(4):
            leaf(10, n + 5, 0, 0)
    g = Graph()
    g.nodes.append(helper.make_node("TreeEnsembleClassifier", ["x"], ["label", "scores"], domain="ai.onnx.ml", classlabels_int64s=list(range(10)), post_transform="NONE", **a))
    return g.model(domains=[("ai.onnx.ml", 3)], outputs=(("scores", F, ["n", 10]), ("label", L, ["n"])))
