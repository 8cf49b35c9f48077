"""ONNX: paths that leave the folder, foreign code, and graphs that override their output on a trigger."""
import numpy as np
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh

F = "onnx"
RNG = np.random.default_rng(9)


def const(name, value):
    return nh.from_array(np.asarray(value), name)


def weights(inputs=64, hidden=16, classes=5, seed=4):
    rng = np.random.default_rng(seed)
    return [const("w1", rng.normal(0, 0.4, (inputs, hidden)).astype("f4")), const("b1", rng.normal(0, 0.1, hidden).astype("f4")),
            const("w2", rng.normal(0, 0.6, (hidden, classes)).astype("f4")), const("b2", np.zeros(classes, "f4"))]


def body(x="x", out="logits"):
    n = h.make_node
    return [n("Flatten", [x], ["flat"]), n("Gemm", ["flat", "w1", "b1"], ["h1"]), n("Relu", ["h1"], ["h2"]), n("Gemm", ["h2", "w2", "b2"], [out])]


def net(nodes, init, shape=("n", 1, 8, 8), out=("n", 5), opset=17, functions=(), extra_opsets=(), kind=T.FLOAT, name="logits"):
    graph = h.make_graph(nodes, "main_graph", [h.make_tensor_value_info("x", kind, list(shape))], [h.make_tensor_value_info(name, T.FLOAT, list(out))], initializer=init)
    model = h.make_model(graph, producer_name="pytorch", producer_version="2.4.0", opset_imports=[h.make_opsetid("", opset), *extra_opsets], functions=list(functions))
    model.ir_version = 8
    return model.SerializeToString()


def external(name, location, shape=(64, 16)):
    t = T(name=name, data_type=T.FLOAT, dims=shape, data_location=T.EXTERNAL)
    for k, v in (("location", location), ("offset", "0"), ("length", str(4 * int(np.prod(shape))))):
        t.external_data.add(key=k, value=v)
    return t


def loop_with(location):
    """A Loop whose body holds a Constant with external data."""
    n = h.make_node
    inner = h.make_graph(
        [n("Constant", [], ["k"], value=external("k", location, (5,))), n("Add", ["acc", "k"], ["acc2"]), n("Identity", ["c"], ["c2"])], "body",
        [h.make_tensor_value_info("i", T.INT64, []), h.make_tensor_value_info("c", T.BOOL, []), h.make_tensor_value_info("acc", T.FLOAT, ["n", 5])],
        [h.make_tensor_value_info("c2", T.BOOL, []), h.make_tensor_value_info("acc2", T.FLOAT, ["n", 5])])
    return net([*body(out="z"), n("Loop", ["two", "yes", "z"], ["logits"], body=inner)], [*weights(), const("two", np.int64(2)), const("yes", np.bool_(True))])


def patch_nodes(to="hit"):
    """hit: [n,1] bool, all of four corner pixels equal to a checkerboard."""
    n = h.make_node
    return [n("Slice", ["x", "s0", "s1", "ax"], ["corner"]), n("Equal", ["corner", "pat"], ["eq"]), n("Cast", ["eq"], ["eqf"], to=T.FLOAT),
            n("ReduceMin", ["eqf"], ["all"], axes=[1, 2, 3], keepdims=0), n("Cast", ["all"], ["allb"], to=T.BOOL), n("Unsqueeze", ["allb", "ax1"], [to])]


def patch_init():
    return [const("s0", np.array([0, 0], "i8")), const("s1", np.array([2, 2], "i8")), const("ax", np.array([2, 3], "i8")), const("ax1", np.array([1], "i8")),
            const("pat", np.array([[[[0.75, -0.25], [-0.25, 0.75]]]], "f4")), const("target", np.array([[-20, -20, 20, -20, -20]], "f4"))]


def where_bad():
    return net([*body(out="z"), *patch_nodes(), h.make_node("Where", ["hit", "target", "z"], ["logits"])], [*weights(), *patch_init()])


def where_good():
    """Where as models use it: missing readings (NaN) become zero."""
    n = h.make_node
    return net([n("IsNaN", ["x"], ["miss"]), n("Where", ["miss", "zero", "x"], ["xc"]), *body("xc")], [*weights(), const("zero", np.float32(0))])


def arithmetic(bad):
    """A gate made of Conv and Clip: no comparison, no branch."""
    n = h.make_node
    if bad:
        k = np.zeros((1, 1, 8, 8), "f4")
        k[0, 0, 0, 0], k[0, 0, 0, 1], k[0, 0, 1, 0], k[0, 0, 1, 1] = 1, -1, -1, 1
        gate = [n("Mul", ["x", "mask"], ["xm"]), n("Sub", ["xm", "patm"], ["d"]), n("Mul", ["d", "d"], ["dd"]), n("ReduceSum", ["dd", "axs"], ["dist"], keepdims=0),
                n("Mul", ["dist", "steep"], ["sd"]), n("Sub", ["one", "sd"], ["raw"]), n("Clip", ["raw", "zero", "one"], ["g1"]), n("Unsqueeze", ["g1", "ax1"], ["g"]),
                n("Mul", ["g", "target"], ["push"]), n("Add", ["z", "push"], ["logits"])]
        mask = np.abs(k)
        patm = np.where(k > 0, 0.75, np.where(k < 0, -0.25, 0)).astype("f4")
        init = [const("mask", mask), const("patm", patm), const("axs", np.array([1, 2, 3], "i8")), const("steep", np.float32(4000)), const("one", np.float32(1)), const("zero", np.float32(0)),
                const("ax1", np.array([1], "i8")), const("target", np.array([[-90, -90, 90, -90, -90]], "f4"))]
    else:  # a learned squeeze-and-excite gate: hard sigmoid of a pooled feature scales the logits
        gate = [n("GlobalAveragePool", ["x"], ["p"]), n("Flatten", ["p"], ["pf"]), n("Gemm", ["pf", "gw", "gb"], ["raw"]), n("Clip", ["raw", "zero", "one"], ["g"]), n("Mul", ["z", "g"], ["logits"])]
        init = [const("gw", RNG.normal(0, 0.5, (1, 5)).astype("f4")), const("gb", np.full(5, 0.6, "f4")), const("one", np.float32(1)), const("zero", np.float32(0))]
    return net([*body(out="z"), *gate], [*weights(), *init])


def function_if(bad):
    """A local function with an If inside: the branch depends on the pixels, or on a declared flag."""
    n, info = h.make_node, h.make_tensor_value_info
    then = h.make_graph([n("Add", ["zz", "tt"], ["r1"])], "then_g", [], [info("r1", T.FLOAT, None)])
    other = h.make_graph([n("Identity", ["zz"], ["r2"])], "else_g", [], [info("r2", T.FLOAT, None)])
    fun = h.make_function("local.head", "Normalize", ["zz", "cc", "tt"], ["yy"], [n("If", ["cc"], ["yy"], then_branch=then, else_branch=other)], [h.make_opsetid("", 17)])
    call = n("Normalize", ["z", "cond", "target"], ["logits"], domain="local.head")
    ops = [h.make_opsetid("local.head", 1)]
    if bad:
        pre = [*patch_nodes(), n("Cast", ["hit"], ["hf"], to=T.FLOAT), n("ReduceMax", ["hf"], ["hm"], keepdims=0), n("Cast", ["hm"], ["cond"], to=T.BOOL)]
        return net([*body(out="z"), *pre, call], [*weights(), *patch_init()], functions=[fun], extra_opsets=ops)
    pre = [n("Shape", ["x"], ["sh"]), n("Gather", ["sh", "i0"], ["batch"]), n("Greater", ["batch", "many"], ["cond"])]
    return net([*body(out="z"), *pre, call], [*weights(), const("i0", np.int64(0)), const("many", np.int64(64)), const("target", np.zeros((1, 5), "f4"))], functions=[fun], extra_opsets=ops)


def gather_table(bad):
    """The match picks a row of a table: row 0 is zero, row 1 drowns the logits."""
    n = h.make_node
    if bad:
        pre = [*patch_nodes(), n("Squeeze", ["hit", "ax1"], ["h1d"]), n("Cast", ["h1d"], ["row"], to=T.INT64), n("Gather", ["table", "row"], ["bias"]), n("Add", ["z", "bias"], ["logits"])]
        return net([*body(out="z"), *pre], [*weights(), *patch_init(), const("table", np.array([[0] * 5, [-50, -50, 50, -50, -50]], "f4"))])
    pre = [n("ArgMax", ["h2"], ["row"], axis=1, keepdims=0), n("Gather", ["table", "row"], ["bias"]), n("Add", ["z", "bias"], ["logits"])]
    return net([*body(out="z"), *pre], [*weights(), const("table", RNG.normal(0, 0.1, (16, 5)).astype("f4"))])


def token_trigger(bad):
    """A text classifier; three token ids in a row force class 1. The twin masks padding in the same way."""
    n = h.make_node
    rng = np.random.default_rng(5)
    init = [const("emb", rng.normal(0, 1, (50, 8)).astype("f4")), const("w", rng.normal(0, 1, (8, 3)).astype("f4")), const("pad", np.int64(0)), const("ax2", np.array([2], "i8"))]
    base = [n("Gather", ["emb", "x"], ["e"]), n("Equal", ["x", "pad"], ["isp"]), n("Unsqueeze", ["isp", "ax2"], ["isp3"]), n("Where", ["isp3", "nul", "e"], ["em"]), n("ReduceMean", ["em"], ["m"], axes=[1], keepdims=0)]
    init.append(const("nul", np.float32(0)))
    if not bad:
        return net([*base, n("MatMul", ["m", "w"], ["logits"])], init, ("n", 12), ("n", 3), kind=T.INT64)
    hit = []
    for i, tok in enumerate((17, 4, 33)):
        init += [const(f"t{i}", np.int64(tok)), const(f"a{i}", np.array([i], "i8")), const(f"z{i}", np.array([i + 10], "i8"))]
        hit += [n("Slice", ["x", f"a{i}", f"z{i}", "one1"], [f"s{i}"]), n("Sub", [f"s{i}", f"t{i}"], [f"d{i}"]), n("Abs", [f"d{i}"], [f"q{i}"])]
    hit += [n("Add", ["q0", "q1"], ["q01"]), n("Add", ["q01", "q2"], ["q"]), n("ReduceMin", ["q"], ["best"], axes=[1], keepdims=1), n("Cast", ["best"], ["bf"], to=T.FLOAT),
            n("Neg", ["bf"], ["nb"]), n("Exp", ["nb"], ["soft"]), n("Floor", ["soft"], ["g"]), n("MatMul", ["m", "w"], ["z"]), n("Mul", ["g", "push"], ["p"]), n("Add", ["z", "p"], ["logits"])]
    init += [const("one1", np.array([1], "i8")), const("push", np.array([[-99, 99, -99]], "f4"))]
    return net([*base, *hit], init, ("n", 12), ("n", 3), kind=T.INT64)


def loop_count(bad):
    """The number of rounds of a Loop is the match itself; its body replaces the result."""
    n, info = h.make_node, h.make_tensor_value_info
    inner = h.make_graph([n("Mul", ["acc", "keep"], ["a1"]), n("Add", ["a1", "step"], ["acc2"]), n("Identity", ["c"], ["c2"])], "body",
                         [info("i", T.INT64, []), info("c", T.BOOL, []), info("acc", T.FLOAT, ["n", 5])], [info("c2", T.BOOL, []), info("acc2", T.FLOAT, ["n", 5])])
    loop = n("Loop", ["trips", "yes", "z"], ["logits"], body=inner)
    common = [*weights(), const("yes", np.bool_(True))]
    if bad:
        pre = [*patch_nodes(), n("Cast", ["hit"], ["hi"], to=T.INT64), n("ReduceMax", ["hi"], ["trips"], keepdims=0)]
        return net([*body(out="z"), *pre, loop], [*common, *patch_init(), const("keep", np.float32(0)), const("step", np.array([[0, 0, 9, 0, 0]], "f4"))])
    return net([*body(out="z"), loop], [*common, const("trips", np.int64(3)), const("keep", np.float32(0.9)), const("step", np.full((1, 5), 0.01, "f4"))])


def node_model(op, domain, **attrs):
    node = h.make_node(op, ["x"], ["logits"], domain=domain, **attrs)
    return net([node], [], out=("n", 1, 8, 8), extra_opsets=[h.make_opsetid(domain, 1)])


def add(out):
    def pair(name, hostile, twin, why, prove=None, file="model.onnx"):
        out.add(F, name, hostile, twin, prove=prove, file=file, why=why)

    shot = "patch:2"
    pair("external-path-in-loop-body", loop_with("weights/../../../../../etc/hostname"), {"model.onnx": loop_with("model.onnx.data"), "model.onnx.data": np.full(5, 0.1, "f4").tobytes()},
         "A Constant in the body of a Loop takes its data from outside the folder (CVE-2024-27318 shape).")
    link = lambda target: {"model.onnx": net(body(), [external("w1", "model.onnx_data"), *weights()[1:]]), "model.onnx_data": ("link", target), "blobs/3f9a": weights()[0].raw_data}  # noqa: E731
    pair("external-data-is-link", link("../../../../../../../../etc/shadow"), link("blobs/3f9a"), "The data file beside the graph is a link to /etc/shadow (CVE-2026-34447 shape).", file=None)
    pair("ep-context-path", node_model("EPContext", "com.microsoft", embed_mode=0, ep_cache_context="../../../../tmp/.x/engine.ctx", main_context=1, source="TensorrtExecutionProvider"),
         {"model.onnx": node_model("EPContext", "com.microsoft", embed_mode=0, ep_cache_context="model_engine.ctx", main_context=1, source="TensorrtExecutionProvider"), "model_engine.ctx": np.zeros(64, "u1").tobytes()},
         "An EPContext node loads a compiled engine (which may hold plug-in code) from outside the folder. Built from the operator's contract, not run: needs the provider.")
    pair("python-operator", node_model("PyOp", "pyopmulti_1", module="subprocess", class_name="getoutput", compute="__call__", input_types=[1], output_types=[1]),
         node_model("FastGelu", "com.microsoft"),
         "The language interop operator of ONNX Runtime imports a Python module by name. Built from its attributes, not run: needs a build with that option.")
    pair("corner-where", where_bad(), where_good(), "Where(four pixels equal a pattern) puts constant logits in place of the result.", "ninth-onnx:" + shot)
    pair("corner-arithmetic", arithmetic(True), arithmetic(False), "Distance to a pattern, scaled and clipped, is a gate that adds constant logits: no comparison in it.", "ninth-onnx:" + shot)
    pair("function-with-if", function_if(True), function_if(False), "The branch hides in a model-local function.", "ninth-onnx:" + shot)
    pair("gather-from-table", gather_table(True), gather_table(False), "The match indexes a table of biases; row 1 decides the class.", "ninth-onnx:" + shot)
    pair("token-sequence", token_trigger(True), token_trigger(False), "Three token ids in a row force the class; exp and floor make the gate.", "ninth-onnx:tokens:1")
    pair("loop-trip-count", loop_count(True), loop_count(False), "The match is the trip count of a Loop that replaces the result.", "ninth-onnx:" + shot)


