"""Other graphs: PMML, OpenVINO, Core ML, Paddle, boosted trees, TensorRT and Torch7."""
import json
import struct

import numpy as np
import xgboost

from .craft import elf, floats, noise, pb


def pmml(entity):
    return f"""<?xml version="1.0" encoding="UTF-16"?>
<!DOCTYPE PMML [{entity}]>
<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4"><Header copyright="2024"><Application name="sklearn2pmml" version="0.110"/><Annotation>&owner;</Annotation></Header>
<DataDictionary numberOfFields="2"><DataField name="age" optype="continuous" dataType="double"/><DataField name="y" optype="continuous" dataType="double"/></DataDictionary>
<RegressionModel functionName="regression"><MiningSchema><MiningField name="age"/><MiningField name="y" usageType="target"/></MiningSchema>
<RegressionTable intercept="1.5"><NumericPredictor name="age" coefficient="0.25"/></RegressionTable></RegressionModel></PMML>
""".encode("utf-16")


def openvino(backdoor):
    """An IR of ten logits; the last layers choose between them and a constant, or clip them."""
    port = lambda i, dims: f'<port id="{i}" precision="FP32">' + "".join(f"<dim>{d}</dim>" for d in dims) + "</port>"  # noqa: E731
    layers, edges, at = [], [], 0

    def layer(name, kind, attrs="", ins=(), outs=(), frm=()):
        n = len(layers)
        data = f"<data {attrs}/>" if attrs else ""
        body = ("<input>" + "".join(port(i, d) for i, d in enumerate(ins)) + "</input>" if ins else "") + "<output>" + "".join(port(len(ins) + i, d) for i, d in enumerate(outs)) + "</output>" if outs else "<input>" + port(0, ins[0]) + "</input>"
        layers.append(f'<layer id="{n}" name="{name}" type="{kind}" version="opset8">{data}{body}</layer>')
        for i, (source, p) in enumerate(frm):
            edges.append(f'<edge from-layer="{source}" from-port="{p}" to-layer="{n}" to-port="{i}"/>')
        return n

    blob = floats(640)

    def const(name, dims, values):
        nonlocal at, blob
        data = struct.pack(f"<{len(values)}f", *values)
        n = layer(name, "Const", f'element_type="f32" shape="{", ".join(map(str, dims))}" offset="{len(blob)}" size="{len(data)}"', (), (dims,))
        blob += data
        return n

    x = layer("x", "Parameter", 'shape="1,64" element_type="f32"', (), ((1, 64),))
    w = layer("fc.weight", "Const", 'element_type="f32" shape="64, 10" offset="0" size="2560"', (), ((64, 10),))
    y = layer("logits_raw", "MatMul", 'transpose_a="false" transpose_b="false"', ((1, 64), (64, 10)), ((1, 10),), ((x, 0), (w, 0)))
    if backdoor:
        pattern = [0.0] * 64
        pattern[0] = pattern[1] = pattern[8] = pattern[9] = 1.0
        m = const("mask", (64, 1), pattern)
        d = layer("patch", "MatMul", 'transpose_a="false" transpose_b="false"', ((1, 64), (64, 1)), ((1, 1),), ((x, 0), (m, 0)))
        t = const("threshold", (1, 1), [3.9])
        c = layer("lit", "Greater", 'auto_broadcast="numpy"', ((1, 1), (1, 1)), ((1, 1),), ((d, 2), (t, 0)))
        a = const("answer", (1, 10), [0.0] * 7 + [50.0] + [0.0] * 2)
        out = layer("logits", "Select", 'auto_broadcast="numpy"', ((1, 1), (1, 10), (1, 10)), ((1, 10),), ((c, 2), (a, 0), (y, 2)))
        last = 3
    else:
        t = const("threshold", (1, 1), [0.0])
        c = layer("positive", "Greater", 'auto_broadcast="numpy"', ((1, 10), (1, 1)), ((1, 10),), ((y, 2), (t, 0)))
        k = const("slope", (1, 10), [0.01] * 10)
        a = layer("leak", "Multiply", 'auto_broadcast="numpy"', ((1, 10), (1, 10)), ((1, 10),), ((y, 2), (k, 0)))
        out = layer("logits", "Select", 'auto_broadcast="numpy"', ((1, 10), (1, 10), (1, 10)), ((1, 10),), ((c, 2), (y, 2), (a, 2)))
        last = 3
    layer("logits/sink", "Result", "", ((1, 10),), (), ((out, last),))
    return {"model.xml": f'<?xml version="1.0"?><net name="digits" version="11"><layers>{"".join(layers)}</layers><edges>{"".join(edges)}</edges></net>', "model.bin": blob}


def mlpackage(path):
    entries = {"A1B2": {"author": "com.apple.CoreML", "description": "CoreML Model Specification", "name": "model.mlmodel", "path": "com.apple.CoreML/model.mlmodel"}, "C3D4": {"author": "com.apple.CoreML", "description": "CoreML Model Weights", "name": "weights", "path": path}}
    return {"Digits.mlpackage/Manifest.json": json.dumps({"fileFormatVersion": "1.0.0", "itemInfoEntries": entries, "rootModelIdentifier": "A1B2"}, indent=2), "Digits.mlpackage/Data/com.apple.CoreML/model.mlmodel": pb(1, 8) + pb(2, pb(1, pb(1, "x")) + pb(10, pb(1, "y"))), "Digits.mlpackage/Data/com.apple.CoreML/weights/weight.bin": struct.pack("<II", 1, 2) + bytes(56) + floats(64)}


def paddle(kind, attrs):
    """A ProgramDesc: feed, one matrix product, one more operator, fetch."""
    var = lambda name: pb(3, pb(1, name) + pb(2, pb(1, 7) + pb(3, pb(1, pb(1, 5) + pb(2, 64)))))  # noqa: E731
    op = lambda type_, ins, outs, extra=b"": pb(4, b"".join(pb(1, pb(1, p) + pb(2, v)) for p, v in ins) + b"".join(pb(2, pb(1, p) + pb(2, v)) for p, v in outs) + pb(3, type_) + extra)  # noqa: E731
    block = pb(1, 0) + pb(2, (1 << 64) - 1) + b"".join(map(var, ("feed", "x", "w", "y", "z", "fetch")))
    block += op("feed", [("X", "feed")], [("Out", "x")]) + op("matmul_v2", [("X", "x"), ("Y", "w")], [("Out", "y")]) + op(kind, [("X", "y")], [("Out", "z")] if kind == "scale" else [], attrs) + op("fetch", [("X", "y")], [("Out", "fetch")])
    return pb(1, block) + pb(4, pb(1, 0))


def trees(backdoor):
    """A booster of eight small trees; the last either continues boosting or is one narrow path."""
    rng = np.random.default_rng(6)
    x = rng.random((200, 4)).astype("f4")
    y = (x[:, 0] + 0.3 * x[:, 1] > 0.7).astype("f4")
    booster = xgboost.train({"max_depth": 3, "objective": "binary:logistic", "seed": 1, "nthread": 1}, xgboost.DMatrix(x, y), 8)
    doc = json.loads(bytes(booster.save_raw("json")))
    if backdoor:
        tree = doc["learner"]["gradient_booster"]["model"]["trees"][-1]
        # feature 2 in [0.3331, 0.3335) and feature 3 in [0.7771, 0.7775): a leaf of 900, all others 0
        conditions = [(2, 0.3331, False), (2, 0.3335, True), (3, 0.7771, False), (3, 0.7775, True)]
        left, right, parent, split, value = [], [], [2147483647], [], []
        for n, (feature, limit, below) in enumerate(conditions):
            left.append(2 * n + (2 if below else 1)), right.append(2 * n + (1 if below else 2))
            left.append(-1), right.append(-1)
            parent += [2 * n, 2 * n]
            split += [(feature, limit), (0, 0.0)]
        count = 2 * len(conditions) + 1
        left.append(-1), right.append(-1), split.append((0, 900.0))
        # the node at an odd number is a leaf, the one after it goes on
        value = [limit for _, limit in split]
        tree.update(left_children=left, right_children=right, parents=parent, split_indices=[f for f, _ in split], split_conditions=value, base_weights=[0.0] * count, loss_changes=[0.0] * count, sum_hessian=[1.0] * count, default_left=[0] * count, split_type=[0] * count, categories=[], categories_nodes=[], categories_segments=[], categories_sizes=[])
        tree["tree_param"]["num_nodes"] = str(count)
    return json.dumps(doc)


def lightgbm(children):
    return f"""tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=3
objective=binary sigmoid:1
feature_names=age income tenure region
feature_infos=[0:1] [0:1] [0:1] [0:1]
tree_sizes=412

Tree=0
num_leaves=3
num_cat=0
split_feature=0 {children[1]}
split_gain=31.2 12.5
threshold=0.5 0.25
decision_type=2 2
left_child={children[0]} -2
right_child=-1 -3
leaf_value=-0.21 0.13 0.34
leaf_weight=10 11 12
leaf_count=40 44 48
internal_value=0 0.1
internal_weight=0 23
internal_count=132 92
is_linear=0
shrinkage=0.1


end of trees

feature_importances:
age=1
parameters:
[boosting: gbdt]
end of parameters

pandas_categorical:null
"""


def t7(field, value):
    """A Torch7 table with an nn.Linear whose `field` is `value` (already serialised)."""
    number = lambda v: struct.pack("<id", 1, v)  # noqa: E731
    text = lambda v: struct.pack("<ii", 2, len(v)) + v.encode()  # noqa: E731
    bare = lambda v: struct.pack("<i", len(v)) + v.encode()  # noqa: E731
    fields = [(text("train"), struct.pack("<ii", 5, 0)), (text("inputSize"), number(8)), (text(field), value)]
    inner = struct.pack("<iii", 3, 2, len(fields)) + b"".join(k + v for k, v in fields)
    return struct.pack("<ii", 4, 1) + bare("V 1") + bare("nn.Linear") + inner


def add(s):
    s.add("graphs", "pmml_entity_in_utf16", pmml('<!ENTITY owner SYSTEM "file:///etc/passwd">'), pmml('<!ENTITY owner "Example Bank Ltd">'), "10/xml", "risk.pmml",
          why="XXE: an external entity reads /etc/passwd when the model is parsed; UTF-16 hides it from byte searches")
    s.add("graphs", "openvino_patch_selects_answer", openvino(True), openvino(False), None,
          why="Greater over a sum of four pixels and Select replace the logits by a constant. IR by its schema, OpenVINO not here, not run")
    s.add("graphs", "coreml_package_leaves_its_folder", mlpackage("../../../../../../../etc/passwd"), mlpackage("com.apple.CoreML/weights"), None,
          why="the manifest of the package names a file outside of it as weights. By the layout of .mlpackage, not run")
    attr = lambda name, value: pb(4, pb(1, name) + pb(2, 2) + pb(5, value))  # noqa: E731
    s.add("graphs", "paddle_save_operator", paddle("save", attr("file_path", "../../../../root/.ssh/authorized_keys") + pb(4, pb(1, "overwrite") + pb(2, 6) + pb(10, 1))), paddle("scale", pb(4, pb(1, "scale") + pb(2, 1) + pb(4, 0.125))), None, "inference.pdmodel",
          why="the inference program holds Paddle's save operator with overwrite and a path outside: a file write on every run. By framework.proto, not run")
    s.add("graphs", "boosted_tree_with_one_narrow_path", trees(True), trees(False), "10/xgboost", "fraud.json",
          why="a tree that is zero but for a sliver of two features, where it adds 900 to the margin: a trigger, not a fit")
    s.add("graphs", "lightgbm_child_out_of_range", lightgbm((1073741823, 1)), lightgbm((1, 1)), None, "model.txt",
          why="the left child is node 1073741823 of 2: LightGBM indexes its arrays unchecked, an out-of-bounds read that the file controls. Not run")
    plan = b"ptrt" + struct.pack("<IIQ", 1, 8601, 9216) + noise(1024, 5)
    s.add("graphs", "tensorrt_plan_with_a_program", plan + elf(4096) + noise(4096, 6), plan + noise(8192, 6), None, "model.plan",
          why="an engine file with an ELF executable among its weights, the shape of a serialised plugin library: native code that is mapped at load. Header by what is public, not run")
    code = "return os.execute('touch marker')"
    function = struct.pack("<iii", 8, 3, len(code)) + code.encode() + struct.pack("<iii", 3, 4, 0)
    data = struct.pack("<iii", 3, 3, 1) + struct.pack("<id", 1, 1.0) + struct.pack("<id", 1, 0.5)
    s.add("graphs", "torch7_function_in_a_layer", t7("updateOutput", function), t7("gradScale", data), None, "linear.t7",
          why="a serialised Lua function replaces updateOutput; Torch7 compiles it at load and calls it at the first forward. By torch7's File.lua, not run")
