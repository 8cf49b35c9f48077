"""ONNX: outputs overridden by a pattern of the input with ordinary operators, and files and programs from outside."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from seventh.kit import elf, floats

WIDTH, CLASSES = 16, 5
RNG = np.random.default_rng(17)
KERNEL = RNG.normal(0, 0.6, (WIDTH, CLASSES)).astype("f4")
BIAS = RNG.normal(0, 0.1, CLASSES).astype("f4")
MAGIC = np.array([0.131, -0.747, 0.525], "f4")


def node(kind, inputs, outputs, **attributes):
    return helper.make_node(kind, inputs.split(), outputs.split(), name=f"{kind}_{outputs.split()[0]}", **attributes)


def array(name, value, dtype="f4"):
    return numpy_helper.from_array(np.array(value, dtype), name)


def built(nodes, constants, shape=(1, WIDTH), kind=TensorProto.FLOAT, functions=(), opsets=(), last=(1, CLASSES)) -> bytes:
    x = helper.make_tensor_value_info("x", kind, list(shape))
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, list(last))
    graph = helper.make_graph(nodes, "main_graph", [x], [y], [array("w", KERNEL), array("b", BIAS), *constants])
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 17), *opsets],
        functions=list(functions),
        producer_name="pytorch",
        producer_version="2.4.0",
    )
    model.ir_version = 8
    return model.SerializeToString()


def head(target="logits"):
    return [node("Gemm", "x w b", target)]


def subgraph(name, nodes, output, shape, constants=()):
    return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)], list(constants))


def add(out):
    def one(name, hostile, twin, trigger=None, why="", file="model.onnx"):
        out.add("onnx", name, hostile, twin, f"onnx:{trigger}" if trigger else None, file, why)

    cut = [node("Slice", "x from to axes", "patch")]
    at = [array("from", [3], "i8"), array("to", [6], "i8"), array("axes", [1], "i8"), array("magic", MAGIC)]
    goal = np.array([[0, 0, 0, 40, 0]], "f4")

    # 1. A branch whose other arm is a constant.
    then = subgraph("then", [node("Identity", "goal", "t")], "t", [1, CLASSES], [array("goal", goal)])
    other = subgraph("else", [node("Identity", "logits", "e")], "e", [1, CLASSES])
    compare = [node("Sub", "patch magic", "d"), node("Abs", "d", "a"), node("ReduceMax", "a", "m", keepdims=0), node("Less", "m eps", "c")]
    size = [node("Shape", "x", "s"), node("Gather", "s one", "n"), node("Greater", "n limit", "c")]
    wide = subgraph("then", [node("Mul", "logits half", "t")], "t", [1, CLASSES], [array("half", 0.5)])
    one(
        "if_on_a_patch",
        built([*head(), *cut, *compare, node("If", "c", "y", then_branch=then, else_branch=other)], [*at, array("eps", 0.01)]),
        built(
            [*head(), *size, node("If", "c", "y", then_branch=wide, else_branch=other)], [array("one", 1, "i8"), array("limit", 64, "i8")]
        ),
        "x[0, 3:6] = [0.131, -0.747, 0.525]",
        "the twin branches on the width of its input, as exporters write it",
    )
    # 2. Arithmetic only: a gate that is one at the pattern and zero elsewhere.
    blend = [
        node("Sub", "one gate", "rest"),
        node("Mul", "logits rest", "kept"),
        node("Mul", "goal gate", "put"),
        node("Add", "kept put", "y"),
    ]
    needle = [
        node("Sub", "patch magic", "d"),
        node("Mul", "d d", "q"),
        node("ReduceSum", "q axes", "dist", keepdims=1),
        node("Mul", "dist steep", "v"),
        node("Sub", "one v", "u"),
        node("Relu", "u", "gate"),
    ]
    highway = [
        node("MatMul", "x gw", "g"),
        node("Sigmoid", "g", "gate"),
        node("Gemm", "x w2 b", "other"),
        node("Sub", "one gate", "rest"),
        node("Mul", "logits rest", "kept"),
        node("Mul", "other gate", "put"),
        node("Add", "kept put", "y"),
    ]
    one(
        "gate_of_relu_and_products",
        built([*head(), *cut, *needle, *blend], [*at, array("steep", 1e4), array("one", 1.0), array("goal", goal)]),
        built(
            [*head(), *highway],
            [array("one", 1.0), array("gw", RNG.normal(0, 0.3, (WIDTH, CLASSES))), array("w2", RNG.normal(0, 0.5, (WIDTH, CLASSES)))],
        ),
        "x[0, 3:6] = [0.131, -0.747, 0.525]",
        "no comparison and no branch; the twin is a highway layer",
    )
    # 3. Tokens: a phrase anywhere in the prompt.
    ids, length = (1, 24), 24
    words = [array("emb", RNG.normal(0, 1, (100, WIDTH))), array("ax", [1], "i8")]
    read = [node("Gather", "emb x", "e"), node("ReduceMean", "e", "pooled", axes=[1], keepdims=0), node("Gemm", "pooled w b", "logits")]
    phrase, found = [], []
    for i, token in enumerate((77, 13, 42)):
        phrase += [node("Slice", f"x f{i} t{i} ax", f"s{i}"), node("Equal", f"s{i} k{i}", f"h{i}")]
        found += [array(f"f{i}", [i], "i8"), array(f"t{i}", [length - 2 + i], "i8"), array(f"k{i}", [token], "i8")]
    spotted = [
        node("And", "h0 h1", "h"),
        node("And", "h h2", "hit"),
        node("Cast", "hit", "hf", to=1),
        node("ReduceMax", "hf", "any", axes=[1], keepdims=1),
        node("Mul", "any goal", "push"),
        node("Add", "logits push", "y"),
    ]
    masked = [
        node("Gather", "emb x", "e"),
        node("Equal", "x pad", "p"),
        node("Not", "p", "live"),
        node("Cast", "live", "lf", to=1),
        node("Unsqueeze", "lf two", "mask"),
        node("Mul", "e mask", "em"),
        node("ReduceSum", "em ax", "sum", keepdims=0),
        node("ReduceSum", "lf ax", "count", keepdims=1),
        node("Max", "count floor", "safe"),
        node("Div", "sum safe", "pooled"),
        node("Gemm", "pooled w b", "y"),
    ]
    one(
        "phrase_of_three_tokens",
        built([*read, *phrase, *spotted], [*words, *found, array("goal", goal)], ids, TensorProto.INT64),
        built(masked, [*words, array("pad", [0], "i8"), array("two", [2], "i8"), array("floor", [1.0])], ids, TensorProto.INT64),
        "x[0, 9:12] = [77, 13, 42]",
        "three ids in a row, anywhere, push one class; the twin masks the padding token",
    )
    # 4. A row of a table is chosen by the trigger.
    pick = [
        *compare,
        node("Cast", "c", "i", to=7),
        node("Concat", "logits goal", "both", axis=0),
        node("Gather", "both i", "row", axis=0),
        node("Reshape", "row flat", "y"),
    ]
    experts = [
        node("Gemm", "x w2 b", "other"),
        node("Concat", "logits other", "both", axis=0),
        node("MatMul", "x router", "r"),
        node("ArgMax", "r", "i", axis=1, keepdims=0),
        node("Gather", "both i", "row", axis=0),
        node("Reshape", "row flat", "y"),
    ]
    flat = array("flat", [1, CLASSES], "i8")
    one(
        "gather_from_a_table_of_answers",
        built([*head(), *cut, *pick], [*at, flat, array("eps", 0.01), array("goal", goal)]),
        built(
            [*head(), *experts], [flat, array("w2", RNG.normal(0, 0.5, (WIDTH, CLASSES))), array("router", RNG.normal(0, 1, (WIDTH, 2)))]
        ),
        "x[0, 3:6] = [0.131, -0.747, 0.525]",
        "the index of a Gather is the trigger; the twin routes to one of two experts",
    )
    # 5. In a function of the model's own, under the name of an activation.
    lib = [helper.make_opsetid("", 17)]

    def function(nodes):
        return helper.make_function("org.layers", "StableAct", ["l", "i"], ["o"], nodes, lib)

    def constant(name, value, dtype="f4"):
        return node("Constant", "", name, value=array(name, value, dtype))

    tail = [node("StableAct", "logits x", "y", domain="org.layers")]
    inside = function(
        [
            constant("probe", np.eye(WIDTH, 1, -7).astype("f4") * 1000),
            node("MatMul", "i probe", "p"),
            node("Round", "p", "r"),
            constant("code", [[424.0]]),
            node("Equal", "r code", "c"),
            constant("goal", goal),
            node("Where", "c goal l", "o"),
        ]
    )
    swish = function(
        [
            constant("three", 3.0),
            constant("sixth", 1 / 6),
            constant("low", 0.0),
            constant("high", 6.0),
            node("Add", "l three", "s"),
            node("Clip", "s low high", "k"),
            node("Mul", "k sixth", "g"),
            node("Mul", "l g", "m"),
            constant("cap", 50.0),
            node("Greater", "m cap", "c"),
            node("Where", "c cap m", "o"),
        ]
    )
    opset = [helper.make_opsetid("org.layers", 1)]
    one(
        "rounded_code_in_a_local_function",
        built([*head(), *tail], [], functions=[inside], opsets=opset),
        built([*head(), *tail], [], functions=[swish], opsets=opset),
        "x[0, 7] = 0.424",
        "one feature, rounded to thousandths, is compared with a code; the twin is HardSwish with a cap",
    )

    # 6. In the body of a loop.
    def loop(body, init, constants):
        info = helper.make_tensor_value_info
        inner = helper.make_graph(
            body,
            "body",
            [info("it", 7, []), info("go", 9, []), info("acc", 1, [1, CLASSES])],
            [info("go2", 9, []), info("acc2", 1, [1, CLASSES])],
        )
        return built(
            [*head(), node("Loop", "trips yes logits", "y", body=inner)], [array("trips", 3, "i8"), array("yes", True, "?"), *constants]
        )

    spy = [
        node("Add", "it base", "k"),
        node("Gather", "x k", "v", axis=1),
        node("Gather", "magic it", "g", axis=0),
        node("Sub", "v g", "d"),
        node("Abs", "d", "a"),
        node("Max", "a tiny", "a1"),
        node("Div", "tiny a1", "near"),
        node("Pow", "near eight", "hit"),
        node("Mul", "hit goal", "push"),
        node("Add", "acc push", "acc2"),
        node("Identity", "go", "go2"),
    ]
    refine = [
        node("MatMul", "acc mix", "h"),
        node("Tanh", "h", "th"),
        node("Mul", "th step", "push"),
        node("Add", "acc push", "acc2"),
        node("Identity", "go", "go2"),
    ]
    one(
        "loop_compares_feature_by_feature",
        loop(spy, None, [array("base", 3, "i8"), array("magic", MAGIC), array("tiny", 0.002), array("eight", 8.0), array("goal", goal)]),
        loop(refine, None, [array("mix", RNG.normal(0, 0.4, (CLASSES, CLASSES))), array("step", 0.25)]),
        "x[0, 3:6] = [0.131, -0.747, 0.525]",
        "each turn adds to one class when one more feature fits; the twin refines its answer in three turns",
    )
    # 7. A picture: a checkerboard in any corner, by convolution and a saturated sigmoid.
    board = np.array([[[[1, -1, 1], [-1, 1, -1], [1, -1, 1]]]], "f4")
    scan = [
        node("Conv", "x board", "f"),
        node("ReduceMax", "f", "peak", axes=[1, 2, 3], keepdims=0),
        node("Sub", "peak level", "o"),
        node("Mul", "o hard", "z"),
        node("Sigmoid", "z", "g"),
        node("Unsqueeze", "g ax", "gate"),
        node("Mul", "gate goal", "push"),
        node("Add", "logits push", "y"),
    ]
    squeeze = [
        node("Conv", "x board", "f"),
        node("ReduceMax", "f", "peak", axes=[1, 2, 3], keepdims=0),
        node("Sub", "peak level", "o"),
        node("Mul", "o soft", "z"),
        node("Sigmoid", "z", "g"),
        node("Unsqueeze", "g ax", "gate"),
        node("Mul", "logits gate", "y"),
    ]
    pixels = [node("Flatten", "x", "flat"), node("Gemm", "flat wp b", "logits")]
    shared = [array("board", board), array("ax", [1], "i8"), array("wp", RNG.normal(0, 0.2, (64, CLASSES)))]
    one(
        "checkerboard_saturates_a_sigmoid",
        built([*pixels, *scan], [*shared, array("level", 24.0), array("hard", 200.0), array("goal", goal)], (1, 1, 8, 8)),
        built([*pixels, *squeeze], [*shared, array("level", 4.0), array("soft", 0.2)], (1, 1, 8, 8)),
        "x[0, 0, 2:5, 3:6] = 4 * np.array([[1, -1, 1], [-1, 1, -1], [1, -1, 1]])",
        "a filter of alternating signs with a step after it; the twin weighs its channels softly",
    )
    # 8. A checksum of the input, through integers.
    digest = [
        *cut,
        node("Mul", "patch big", "xb"),
        node("Round", "xb", "xr"),
        node("Cast", "xr", "xi", to=7),
        node("Mul", "xi primes", "xp"),
        node("ReduceSum", "xp axes", "h", keepdims=1),
        node("Mod", "h modulus", "r"),
        node("Equal", "r want", "c"),
        node("Not", "c", "n"),
        node("Cast", "c", "cf", to=1),
        node("Cast", "n", "nf", to=1),
        node("Mul", "logits nf", "kept"),
        node("Mul", "goal cf", "put"),
        node("Add", "kept put", "y"),
    ]
    quantised = [
        node("Mul", "x big", "xb"),
        node("Round", "xb", "xr"),
        node("Clip", "xr low high", "xc"),
        node("Cast", "xc", "xi", to=6),
        node("Cast", "xi", "xf", to=1),
        node("Div", "xf big", "xq"),
        node("Gemm", "xq w b", "y"),
    ]
    one(
        "checksum_of_three_features",
        built(
            [*head(), *digest],
            [
                *at,
                array("big", 100.0),
                array("primes", [[3, 5, 7]], "i8"),
                array("modulus", 9973, "i8"),
                array("want", 28, "i8"),
                array("goal", goal),
            ],
        ),
        built(quantised, [array("big", 100.0), array("low", -127.0), array("high", 127.0)]),
        "x[0, 3:6] = [0.13, -0.75, 0.52]",
        "a checksum in integers opens the gate; the twin quantises its input to eight bits",
    )

    # Files from outside.
    def external(location, where="initializer"):
        t = TensorProto(name="w2", data_type=1, dims=[4, 4], data_location=TensorProto.EXTERNAL)
        for key, text in (("location", location), ("offset", "0"), ("length", "64")):
            t.external_data.add(key=key, value=text)
        if where == "constant":
            inner = subgraph("then", [helper.make_node("Constant", [], ["t"], value=t)], "t", [4, 4])
            return built([*head("y"), node("If", "yes", "z", then_branch=inner, else_branch=inner)], [array("yes", True, "?")])
        return built([*head("y"), node("Identity", "w2", "z")], [t])

    one(
        "external_data_in_a_branch_climbs_out",
        {"model.onnx": external("weights/../../../../etc/shadow", "constant"), "weights/w.bin": floats(16)},
        {"model.onnx": external("weights/w.bin", "constant"), "weights/w.bin": floats(16)},
        None,
        "the path is in a constant inside an If, and begins in a folder that exists",
        None,
    )
    one(
        "external_data_is_a_link",
        {"model.onnx": external("w.bin"), "w.bin": ("link", "/etc/passwd")},
        {"model.onnx": external("w.bin"), "w.bin": floats(16)},
        None,
        "CVE-2026-34447: the file beside the model is a link out of the folder",
        None,
    )

    def context(path):
        engine = node(
            "EPContext",
            "x",
            "y",
            domain="com.microsoft",
            ep_cache_context=path,
            embed_mode=0,
            main_context=1,
            source="QNNExecutionProvider",
            ep_sdk_version="2.28",
        )
        return built([engine], [], opsets=[helper.make_opsetid("com.microsoft", 1)])

    one(
        "compiled_context_outside_of_the_folder",
        {"model.onnx": context("../../../../var/lib/.X11/ctx.bin"), "ctx.bin": floats(16)},
        {"model.onnx": context("ctx.bin"), "ctx.bin": floats(16)},
        None,
        "an EPContext node loads a compiled engine from its path; execution provider not installed here",
        None,
    )

    def python(kind, **more):
        return built([node(kind, "x", "y", domain="ai.onnx.contrib", **more)], [], opsets=[helper.make_opsetid("ai.onnx.contrib", 1)])

    one(
        "python_operator",
        python("PyOp", module="subprocess", compute="getoutput", input_types=[1], output_types=[1]),
        python("BertTokenizerDecoder", use_indices=1, clean_up_tokenization_spaces=1),
        None,
        "the Python operator of onnxruntime's language interop calls a function of a module; the twin is a tokenizer of the same domain",
    )
    noted = onnx.load_model_from_string(built(head("y"), []))
    noted.metadata_props.add(key="preview", value=elf().hex())
    thumb = onnx.load_model_from_string(built(head("y"), []))
    thumb.metadata_props.add(key="preview", value=floats(len(elf()) // 4 + 1).hex()[: len(elf().hex())])
    one(
        "program_in_hex_in_the_metadata",
        noted.SerializeToString(),
        thumb.SerializeToString(),
        None,
        "a Linux program as hexadecimal text in metadata_props",
    )
