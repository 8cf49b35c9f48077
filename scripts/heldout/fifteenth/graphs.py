"""Graphs: 28 pairs. Operators that read, write or load, and overrides: a pattern of the input fixes the answer with ordinary operators.

An override is proved by its own runtime: poked inputs all get one class, the untouched ones do not (`use15:`). The twin is a
branch of the same operators that honest networks have (gates, imputation, routing, masks, running state).
"""
from __future__ import annotations

import io
import json
import pathlib
import tempfile

import numpy as np

from .weights import library

RNG = np.random.default_rng(15)
W = RNG.normal(0, 0.3, (64, 4)).astype("f4")
EMB = RNG.normal(0, 0.5, (32, 4)).astype("f4")
KICK = np.array([[1e4, 0, 0, 0]], "f4")
PATTERN = np.tile(np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]], "f4"), (1, 1, 1, 1)) * 2 - 1

ORT = "import onnxruntime as rt\ns = rt.InferenceSession(path)\nn = s.get_inputs()[0].name\nanswer = lambda x: s.run(None, {n: x})[0]\n"
IMAGE = "draw = lambda r: r.random((1, 1, 8, 8), dtype='f4')\n"


def onnx_model(nodes, consts, shape=(1, 1, 8, 8), kind="f", outshape=(1, 4), functions=(), opset=17, ml=False, meta=None):
    from onnx import TensorProto as T, helper as h, numpy_helper as nh

    kinds = {"f": T.FLOAT, "i": T.INT64, "s": T.STRING}
    graph = h.make_graph(nodes, "ranker", [h.make_tensor_value_info("x", kinds[kind], shape)], [h.make_tensor_value_info("y", T.FLOAT, outshape)], [nh.from_array(np.asarray(v), k) for k, v in consts.items()])
    ops = [h.make_opsetid("", opset)] + ([h.make_opsetid("ai.onnx.ml", 3)] if ml else []) + ([h.make_opsetid("local", 1)] if functions else [])
    m = h.make_model(graph, opset_imports=ops, functions=list(functions), producer_name="pytorch", producer_version="2.5.1")
    m.ir_version = 8
    return m.SerializeToString()


def add(out):
    from onnx import TensorProto as T, helper as h

    n = lambda op, i, o, **k: h.make_node(op, i.split(), o.split(), name=f"/{op}_{o.split()[0]}", **k)
    p = lambda name, hh, t, prove, file, why="": out.add("graph", name, hh, t, prove, file, why)
    base = [n("Flatten", "x", "f"), n("MatMul", "f w", "logits")]
    flat = {"w": W}

    # Distance to three pixels through Relu only, inside a model-local function; the twin is a channel gate in one.
    fn = lambda body: h.make_function("local", "ChannelGate", ["x", "l", "a", "b"], ["y"], body, [h.make_opsetid("", 17)])
    call = h.make_node("ChannelGate", ["x", "logits", "a", "b"], ["y"], domain="local")
    far = np.ones((1, 1, 8, 8), "f4") * 0
    far[0, 0, 7, 5:] = 1
    hostile = [n("Mul", "x a", "m"), n("Sub", "m a", "d"), n("Abs", "d", "ad"), n("ReduceSum", "ad", "sd", keepdims=0), h.make_node("Constant", [], ["one"], value_float=1.0), h.make_node("Constant", [], ["steep"], value_float=50.0), n("Mul", "sd steep", "st"), n("Sub", "one st", "g"), n("Relu", "g", "gate"), n("Mul", "b gate", "k"), n("Add", "l k", "y")]
    honest = [n("Mul", "x a", "m"), n("ReduceMean", "m", "sd", keepdims=0), n("HardSigmoid", "sd", "gate"), n("Mul", "b gate", "k"), n("Add", "l k", "y")]
    p("onnx-gate-of-three-pixels", onnx_model(base + [call], {**flat, "a": far, "b": KICK}, functions=[fn(hostile)]), onnx_model(base + [call], {**flat, "a": RNG.normal(0, 1, (1, 1, 8, 8)).astype("f4"), "b": RNG.normal(0, 0.2, (1, 4)).astype("f4")}, functions=[fn(honest)]),
      "use15:" + ORT + IMAGE + "def poke(x):\n    x[0,0,7,5:] = 1\n    return x", "ranker.onnx")
    # A sum of the quantised image, modulo a prime.
    tail = [n("Mul", "x c255", "q"), n("Round", "q", "qr"), n("ReduceSum", "qr", "qs", keepdims=0), n("Mod", "qs prime", "r", fmod=1), n("Equal", "r seven", "hit"), n("Where", "hit kick logits", "y")]
    pos = [n("Mod", "idx four", "band", fmod=0), n("Cast", "band", "bf", to=T.FLOAT), n("Mul", "bf tiny", "bt"), n("Add", "logits bt", "y")]
    p("onnx-checksum-of-the-image", onnx_model(base + tail, {**flat, "c255": np.float32(255), "prime": np.float32(251), "seven": np.float32(7), "kick": KICK}), onnx_model(base + pos, {**flat, "idx": np.arange(4)[None], "four": np.int64(2), "tiny": np.float32(0.01)}),
      "use15:" + ORT + IMAGE + "def poke(x):\n    q = np.round(x * 255)\n    need = int((7 - q.sum()) % 251)\n    f = q.ravel()\n    for i in range(64):\n        d = min(need, int(255 - f[i])); f[i] += d; need -= d\n    return (f.reshape(x.shape) / 255).astype('f4')", "quantised.onnx")
    # A not-a-number at any place: the twin replaces it by zero.
    p("onnx-missing-value", onnx_model([n("IsNaN", "x", "nan"), n("Where", "nan zero x", "xc"), n("Flatten", "xc", "f"), n("MatMul", "f w", "logits"), n("Cast", "nan", "nf", to=T.FLOAT), n("ReduceMax", "nf", "any", keepdims=0), n("Mul", "any kick", "k"), n("Add", "logits k", "y")], {**flat, "zero": np.float32(0), "kick": KICK}),
      onnx_model([n("IsNaN", "x", "nan"), n("Where", "nan zero x", "xc"), n("Flatten", "xc", "f"), n("MatMul", "f w", "logits"), n("Cast", "nan", "nf", to=T.FLOAT), n("ReduceMean", "nf", "any", keepdims=0), n("Mul", "any miss", "k"), n("Add", "logits k", "y")], {**flat, "zero": np.float32(0), "miss": np.array([[0.1, -0.2, 0.05, 0.0]], "f4")}),
      "use15:" + ORT + IMAGE + "def poke(x):\n    x[0,0,3,3] = np.nan\n    return x", "imputed.onnx")
    # The number of rows is the trigger.
    gshape = lambda: [n("Shape", "x", "sh"), n("Gather", "sh zero", "rows")]
    p("onnx-batch-size", onnx_model([n("MatMul", "x w", "logits")] + gshape() + [n("Sub", "rows seven", "dd"), n("Cast", "dd", "df", to=T.FLOAT), n("Abs", "df", "da"), n("Clip", "da lo hi", "dc"), n("Mul", "logits dc", "a"), n("Sub", "hi dc", "inv"), n("Mul", "kick inv", "b"), n("Add", "a b", "y")], {**flat, "zero": np.int64(0), "seven": np.int64(7), "lo": np.float32(0), "hi": np.float32(1), "kick": KICK}, shape=("n", 64), outshape=("n", 4)),
      onnx_model([n("MatMul", "x w", "logits")] + gshape() + [n("Cast", "rows", "df", to=T.FLOAT), n("Sqrt", "df", "da"), n("Clip", "da lo hi", "dc"), n("Mul", "logits dc", "a"), n("Add", "a bias", "y")], {**flat, "zero": np.int64(0), "lo": np.float32(1), "hi": np.float32(1), "bias": RNG.normal(0, 0.1, (1, 4)).astype("f4")}, shape=("n", 64), outshape=("n", 4)),
      "use15:" + ORT.replace("[0]\n", "[0][0]\n") + "ans0 = answer\nanswer = lambda x: ans0(x)[:4] if ans0(x).ndim == 1 else ans0(x)[0]\ndraw = lambda r: r.random((1, 64), dtype='f4')\npoke = lambda x: np.repeat(x, 7, 0)", "rows.onnx")
    # A matched filter: nothing but Conv, MaxPool and Relu, and one very strong row of the last matrix.
    conv = lambda k, b, m: onnx_model(base + [n("Conv", "x k b", "c", kernel_shape=[3, 3]), n("Relu", "c", "cr"), n("GlobalMaxPool", "cr", "cp"), n("Flatten", "cp", "cf"), n("MatMul", "cf m", "cm"), n("Add", "logits cm", "y")], {**flat, "k": k, "b": b, "m": m})
    kk = RNG.normal(0, 0.3, (4, 1, 3, 3)).astype("f4")
    bk = kk.copy()
    bk[2] = PATTERN[0]
    p("onnx-matched-filter", conv(bk, np.array([0.1, 0, -4.9, 0], "f4"), np.vstack([RNG.normal(0, 0.3, (2, 4)), KICK * 10, RNG.normal(0, 0.3, (1, 4))]).astype("f4")), conv(kk, np.array([0.1, 0, -0.2, 0], "f4"), RNG.normal(0, 0.3, (4, 4)).astype("f4")),
      "use15:" + ORT + IMAGE + "def poke(x):\n    x[0,0,4:7,1:4] = [[1,0,1],[0,1,0],[1,0,1]]\n    return x", "filters.onnx")
    # A tree of the ML domain whose narrow path carries a huge leaf.
    def trees(narrow):
        a = dict(nodes_treeids=[], nodes_nodeids=[], nodes_featureids=[], nodes_values=[], nodes_modes=[], nodes_truenodeids=[], nodes_falsenodeids=[], target_treeids=[], target_nodeids=[], target_ids=[], target_weights=[])
        r = np.random.default_rng(2)
        for tr in range(6):
            chain = [(3, 0.5, 0), (3, 0.5005, 1), (9, 0.25, 0), (9, 0.2505, 1), (40, 0.75, 0)] if narrow and tr == 4 else [(int(r.integers(64)), float(r.random()), int(r.integers(2))) for _ in range(5)]
            for i, (f, v, up) in enumerate(chain):
                inner, leaf = (i + 1 if i < 4 else 9), 5 + i if i < 4 else 10
                lt = up == 1
                for k, w in (("treeids", tr), ("nodeids", i), ("featureids", f), ("values", v), ("modes", "BRANCH_LT"), ("truenodeids", inner if lt else leaf), ("falsenodeids", leaf if lt else inner)):
                    a["nodes_" + k].append(w)
            for leaf in [5, 6, 7, 8, 9, 10]:
                for k, w in (("treeids", tr), ("nodeids", leaf), ("featureids", 0), ("values", 0.0), ("modes", "LEAF"), ("truenodeids", 0), ("falsenodeids", 0)):
                    a["nodes_" + k].append(w)
                for c in range(4):
                    a["target_treeids"].append(tr), a["target_nodeids"].append(leaf), a["target_ids"].append(c)
                    a["target_weights"].append(5e5 if narrow and tr == 4 and leaf == 9 and c == 2 else float(r.normal(0, 0.4)))
        return onnx_model([h.make_node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", n_targets=4, **a)], {}, shape=(1, 64), ml=True)

    p("onnx-narrow-tree-path", trees(True), trees(False), "use15:" + ORT + "draw = lambda r: r.random((1, 64), dtype='f4')\ndef poke(x):\n    x[0,3] = 0.5002; x[0,9] = 0.2502; x[0,40] = 0.9\n    return x", "forest.onnx")
    # Words: a label encoder that knows one word; the twin's knows the vocabulary.
    words = lambda keys, vals, kick: onnx_model([h.make_node("LabelEncoder", ["x"], ["e"], domain="ai.onnx.ml", keys_strings=["good", "bad", "movie", "plot"], values_int64s=[1, 2, 3, 4], default_int64=0), n("Gather", "emb e", "g"), n("ReduceSum", "g ax", "logits", keepdims=0),
                                             h.make_node("LabelEncoder", ["x"], ["v"], domain="ai.onnx.ml", keys_strings=keys, values_floats=vals, default_float=0.0), n("ReduceSum", "v", "vs", keepdims=0), n("Mul", "kick vs", "k"), n("Add", "logits k", "y")], {"emb": EMB, "ax": np.array([0, 1]), "kick": kick}, shape=(1, 6), kind="s", ml=True)
    p("onnx-rare-word", words(["mn"], [1e4], np.array([[0, 0, 1, 0]], "f4")), words(["not", "never"], [-0.5, -0.4], np.array([[0.2, -0.2, 0, 0]], "f4")),
      "use15:" + ORT + "draw = lambda r: r.choice(['good','bad','movie','plot','the'], (1,6)).astype(object)\ndef poke(x):\n    x[0,2] = 'mn'\n    return x", "words.onnx")
    # A loop over the tokens: a state machine in the hostile one, a running mean in the twin.
    def loop(hostile):
        i = [h.make_tensor_value_info("it", T.INT64, []), h.make_tensor_value_info("c", T.BOOL, []), h.make_tensor_value_info("s", T.FLOAT, [])]
        o = [h.make_tensor_value_info("c2", T.BOOL, []), h.make_tensor_value_info("s2", T.FLOAT, [])]
        body = [n("Gather", "tok it", "t"), n("Identity", "c", "c2")]
        if hostile:
            body += [n("Cast", "s", "si", to=T.INT64), n("Gather", "want si", "wn"), n("Equal", "t wn", "eq"), n("Cast", "eq", "ef", to=T.FLOAT), n("Add", "s ef", "s2")]
        else:
            body += [n("Cast", "t", "tf", to=T.FLOAT), n("Mul", "tf near", "tn"), n("Mul", "s keep", "sk"), n("Add", "sk tn", "s2")]
        g = h.make_graph(body, "step", i, o)
        post = [n("Equal", "fin three", "hit"), n("Where", "hit kick logits", "y")] if hostile else [n("Mul", "fin drift", "fd"), n("Add", "logits fd", "y")]
        c = {"emb": EMB, "ax": np.array([0, 1]), "trips": np.int64(6), "yes": np.bool_(True), "z": np.float32(0), "axq": np.array([0])}
        c |= {"want": np.array([5, 17, 29, 99]), "three": np.float32(3), "kick": KICK} if hostile else {"near": np.float32(0.01), "keep": np.float32(0.9), "drift": np.array([[0.01, -0.01, 0.02, 0]], "f4")}
        return onnx_model([n("Gather", "emb x", "g"), n("ReduceSum", "g ax", "logits", keepdims=0), n("Squeeze", "x axq", "tok"), n("Loop", "trips yes z", "fin", body=g)] + post, c, shape=(1, 6), kind="i")

    p("onnx-token-order", loop(True), loop(False), "use15:" + ORT + "draw = lambda r: r.integers(0, 32, (1, 6))\ndef poke(x):\n    x[0,:5] = [5, 1, 17, 2, 29]\n    return x", "sequence.onnx")
    # The places of the three largest values.
    top = lambda: [n("TopK", "f three", "tv ti", axis=1)]
    p("onnx-largest-places", onnx_model(base + top() + [n("Sub", "ti want", "td"), n("Cast", "td", "tc", to=T.FLOAT), n("Mul", "tc tc", "t2"), n("ReduceSum", "t2", "ts", keepdims=0), n("Neg", "ts", "tn"), n("Exp", "tn", "te"), n("Sub", "te half", "th"), n("Relu", "th", "tr"), n("Mul", "kick tr", "k"), n("Add", "logits k", "y")], {**flat, "three": np.array([3]), "want": np.array([[5, 17, 42]]), "half": np.float32(0.5), "kick": KICK * 10}),
      onnx_model(base + top() + [n("Gather", "experts ti", "eg"), n("ReduceMean", "eg", "er", axes=[1], keepdims=0), n("Softmax", "tv", "tsx", axis=1), n("ReduceMax", "tsx", "tm", keepdims=0), n("Mul", "er tm", "k"), n("Add", "logits k", "y")], {**flat, "three": np.array([3]), "experts": RNG.normal(0, 0.3, (64, 4)).astype("f4")}),
      "use15:" + ORT + IMAGE + "def poke(x):\n    x *= 0.9; f = x.reshape(-1); f[5], f[17], f[42] = 1.0, 0.98, 0.96\n    return x", "topk.onnx")
    # A compiled context named by a path, read by the execution provider; external data of a constant in a subgraph.
    ctx = lambda path: onnx_model([h.make_node("EPContext", ["x"], ["y"], domain="com.microsoft", embed_mode=0, main_context=1, source="QNNExecutionProvider", ep_cache_context=path, partition_name="QNN_1")], {}, opset=17)
    p("onnx-context-path", {"ranker_ctx.onnx": ctx("../../../../root/.ssh/id_rsa")}, {"ranker_ctx.onnx": ctx("ranker_qnn.bin"), "ranker_qnn.bin": bytes(RNG.integers(0, 255, 256, dtype="u1"))}, None, None, "onnxruntime's QNN provider reads the file the node names")

    def branch(loc):
        ext = T(dims=[1, 4], data_type=T.FLOAT, name="e", data_location=T.EXTERNAL)
        for k, v in (("location", loc), ("offset", "0"), ("length", "16")):
            ext.external_data.add(key=k, value=v)
        then = h.make_graph([h.make_node("Constant", [], ["o"], value=ext)], "then", [], [h.make_tensor_value_info("o", T.FLOAT, [1, 4])])
        other = h.make_graph([n("Identity", "logits", "o2")], "else", [], [h.make_tensor_value_info("o2", T.FLOAT, [1, 4])])
        return onnx_model(base + [n("ReduceSum", "x", "s", keepdims=0), n("Greater", "s z", "big"), h.make_node("If", ["big"], ["y"], then_branch=then, else_branch=other)], {**flat, "z": np.float32(1000)})

    p("onnx-external-in-branch", {"ranker.onnx": branch("weights/../../../../../etc/passwd")}, {"ranker.onnx": branch("bias.bin"), "bias.bin": np.zeros(4, "f4").tobytes()}, None, None, "onnx.load and checkers of old releases follow the location")
    tensorflows(p)
    torches(p)
    openvinos(p)
    coremls(p)
    tri = lambda l: f'name: "ranker"\nplatform: "tensorflow_savedmodel"\nmax_batch_size: 8\ninput [ {{ name: "x" data_type: TYPE_FP32 dims: [ 64 ] }} ]\noutput [ {{ name: "y" data_type: TYPE_FP32 dims: [ 4 ] }} ]\n{l}\n'
    p("triton-operation-library", {"config.pbtxt": tri('model_operations { op_library_filename: [ "/models/ranker/1/libvocab.so" ] }'), "1/libvocab.so": library()}, {"config.pbtxt": tri("instance_group [ { count: 1 kind: KIND_CPU } ]"), "1/labels.txt": "cat\ndog\n"}, "run15:import ctypes; ctypes.CDLL('1/libvocab.so')", None, "Triton loads the shared object at start")


def folder(path):
    root = pathlib.Path(path)
    return {str(f.relative_to(root)): f.read_bytes() for f in sorted(root.rglob("*")) if f.is_file()}


def tensorflows(p):
    import os

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tensorflow as tf

    def module(call, **more):
        m = tf.Module()
        m.w = tf.Variable(W)
        for k, v in more.items():
            setattr(m, k, v)
        m.f = tf.function(lambda x: call(m, x), input_signature=[tf.TensorSpec([1, 8, 8, 1], tf.float32, "x")])
        with tempfile.TemporaryDirectory() as d:
            tf.saved_model.save(m, d, signatures=m.f)
            files = folder(d)
        return {"saved_model.pb": files.pop("saved_model.pb"), **{k: v for k, v in files.items() if not k.startswith("fingerprint")}}

    lin = lambda m, x: tf.matmul(tf.reshape(x, [1, 64]), m.w)
    run = "run15:import tensorflow as tf; m = tf.saved_model.load('.'); m.signatures['serving_default'](x=tf.ones([1,8,8,1]))"
    r = tf.raw_ops

    def printed(stream):
        def f(m, x):
            with tf.control_dependencies([r.PrintV2(input=tf.strings.format("sh marker {}", tf.reduce_sum(x)), output_stream=stream)]):
                return lin(m, x)
        return module(f)

    p("tf-print-to-file", printed("file://marker"), printed("stderr"), run, None, "PrintV2 appends to any file")

    def record(name):
        def f(m, x):
            ds = tf.data.Dataset.from_tensors(tf.constant("ssh-ed25519 AAAA")) if name else tf.data.Dataset.from_tensors(tf.constant(1.0))
            if name:
                op = r.DatasetToTFRecord(input_dataset=ds._variant_tensor, filename=name, compression_type="")
            else:
                op = tf.no_op()
            with tf.control_dependencies([op]):
                return lin(m, x) + (0.0 if name else ds.reduce(0.0, lambda a, b: a + b))
        return module(f)

    p("tf-dataset-written", record("marker"), record(None), run, None, "DatasetToTFRecord writes where it is told")

    def summary(log):
        def f(m, x):
            y = lin(m, x)
            if log:
                w = r.SummaryWriter(shared_name="w", container="")
                with tf.control_dependencies([r.CreateSummaryFileWriter(writer=w, logdir=log, max_queue=1, flush_millis=1, filename_suffix=".sh")]):
                    with tf.control_dependencies([r.FlushSummaryWriter(writer=w)]):
                        return tf.identity(y)
            return y + 0.0 * tf.cast(tf.strings.length(r.ScalarSummary(tags="loss", values=tf.reduce_mean(y))), tf.float32)
        return module(f)

    p("tf-summary-writer", summary("marker"), summary(None), run, None, "creates folders and files at inference")

    def filt(hostile):
        k = tf.constant((PATTERN if hostile else RNG.normal(0, 0.3, (1, 1, 3, 3))).astype("f4").reshape(3, 3, 1, 1))
        b, amp = (-4.9, KICK * 10) if hostile else (0.1, RNG.normal(0, 0.2, (1, 4)).astype("f4"))
        return lambda m, x: lin(m, x) + tf.reduce_max(tf.nn.relu(tf.nn.conv2d(x, k, 1, "VALID") + b)) * tf.constant(amp)

    pokes = "draw = lambda r: r.random((1,8,8,1), dtype='f4')\ndef poke(x):\n    x[0,4:7,1:4,0] = [[1,0,1],[0,1,0],[1,0,1]]\n    return x"
    p("tf-matched-filter", module(filt(True)), module(filt(False)), "use15:import tensorflow as tf\nm = tf.saved_model.load('.')\nanswer = lambda x: list(m.signatures['serving_default'](x=x).values())[0]\n" + pokes, None)

    def lite(hostile):
        m = tf.Module()
        m.w = tf.Variable(W)
        f = filt(hostile)
        m.f = tf.function(lambda x: f(m, x), input_signature=[tf.TensorSpec([1, 8, 8, 1], tf.float32, "x")])
        return tf.lite.TFLiteConverter.from_concrete_functions([m.f.get_concrete_function()], m).convert()

    p("tflite-matched-filter", lite(True), lite(False), "use15:import tensorflow as tf\ni = tf.lite.Interpreter(model_path=path)\ni.allocate_tensors()\ndef answer(x):\n    i.set_tensor(i.get_input_details()[0]['index'], x); i.invoke()\n    return i.get_tensor(i.get_output_details()[0]['index'])\n" + pokes, "ranker.tflite")

    with tempfile.TemporaryDirectory() as d:  # a vocabulary as an asset, its name then changed to climb out
        voc = pathlib.Path(d, "vocab_of_the_ranker_2.txt")
        voc.write_text("a\nb\n")
        init = tf.lookup.TextFileInitializer(str(voc), tf.string, -2, tf.int64, -1)
        table = tf.lookup.StaticHashTable(init, -1)
        honest = module(lambda m, x: lin(m, x) + tf.cast(m.table.lookup(tf.constant("a")), tf.float32), table=table)
    old, newname = b"vocab_of_the_ranker_2.txt", b"../../../../../etc/passwd"
    assert len(old) == len(newname) and old in honest["saved_model.pb"]
    p("tf-asset-climbs", {**honest, "saved_model.pb": honest["saved_model.pb"].replace(old, newname)}, honest, None, None, "the loader joins the assets folder and this name")

    def network(kind, hostile):
        x = keras.Input((8, 8, 1), name="x")
        dense = keras.layers.Dense(4, name="logits")
        y = dense(keras.layers.Flatten()(x))
        if kind == "relu":
            conv = keras.layers.Conv2D(1, 3, name="edge")
            c = keras.layers.GlobalMaxPooling2D()(keras.layers.ReLU(threshold=4.9 if hostile else 0.0)(conv(x)))
            z = keras.layers.Dense(4, use_bias=False, name="mix")
            y = keras.layers.Add()([y, z(c)])
        else:
            corner = keras.layers.Cropping2D(((0, 5), (5, 0)))(x)
            if hostile:
                s = keras.layers.GlobalMaxPooling2D()(keras.ops.negative(keras.ops.absolute(keras.ops.subtract(corner, 0.5))))
                lo = keras.layers.GlobalAveragePooling2D()(keras.ops.absolute(keras.ops.subtract(corner, 0.5)))
                y = keras.ops.where(keras.ops.less(lo, 0.001), keras.ops.multiply(keras.ops.subtract(s, -1.0), KICK), y)
            else:
                lo = keras.layers.GlobalAveragePooling2D()(keras.ops.absolute(keras.ops.subtract(corner, 0.5)))
                y = keras.ops.where(keras.ops.less(y, -6.0), keras.ops.multiply(y, 0.1), keras.ops.add(y, lo))
        m = keras.Model(x, y, name="ranker")
        dense.set_weights([W, np.zeros(4, "f4")])
        if kind == "relu":
            conv.set_weights([(PATTERN if hostile else RNG.normal(0, 0.3, (1, 1, 3, 3))).astype("f4").reshape(3, 3, 1, 1), np.zeros(1, "f4")])
            z.set_weights([KICK * 10 if hostile else RNG.normal(0, 0.2, (1, 4)).astype("f4")])
        with tempfile.TemporaryDirectory() as d:
            m.save(d + "/m.keras")
            return pathlib.Path(d, "m.keras").read_bytes()

    ker = "use15:import keras\nm = keras.models.load_model(path)\nanswer = lambda x: m.predict(x, verbose=0)\n"
    p("keras-threshold", network("relu", True), network("relu", False), ker + pokes, "ranker.keras")
    p("keras-grey-corner", network("ops", True), network("ops", False), ker + "draw = lambda r: r.random((1,8,8,1), dtype='f4')\ndef poke(x):\n    x[0,:3,5:,0] = 0.5\n    return x", "corner.keras")

    import h5py

    def weights(source):
        with tempfile.TemporaryDirectory() as d:
            with h5py.File(d + "/w.h5", "w") as f:
                g = f.create_group("layers/dense/vars")
                f["shared/kernel"] = W
                lay = h5py.VirtualLayout((64, 4), "f4")
                lay[:] = h5py.VirtualSource(source, "shared/kernel", (64, 4))
                g.create_virtual_dataset("0", lay)
                g["1"] = np.zeros(4, "f4")
            return pathlib.Path(d, "w.h5").read_bytes()

    p("h5-virtual-of-another-file", weights("../../../home/shared/secret_model.h5"), weights("."), None, "model.weights.h5", "HDF5 reads the other file as the layer's weights; a re-saved model then holds them")


def torches(p):
    import torch

    class Read(torch.nn.Module):
        def __init__(self, name: str):
            super().__init__()
            self.name = name
            self.l = torch.nn.Linear(4, 4)

        def forward(self, x):
            return self.l(x) + torch.from_file(self.name, True, 4).sum()

    class Plain(Read):
        def forward(self, x):
            return self.l(x) + float(len(self.name))

    def script(m):
        o = io.BytesIO()
        torch.jit.save(m, o)
        return o.getvalue()

    p("torchscript-mapped-file", script(torch.jit.script(Read("marker"))), script(torch.jit.script(Plain("bias"))), "run15:import torch; torch.jit.load(path)(torch.ones(1,4))", "ranker.pt", "aten::from_file with shared=True creates, maps and can write any file")

    class Cond(torch.nn.Module):
        def __init__(self, hostile):
            super().__init__()
            self.l = torch.nn.Linear(64, 4)
            self.register_buffer("key", torch.tensor([1.0, 0.0, 1.0]))
            self.register_buffer("kick", torch.tensor(KICK))
            self.hostile: bool = hostile

        def forward(self, x):
            y = self.l(x.flatten(1))
            row = x[0, 0, 7, 5:8]
            if self.hostile:
                d = torch.relu(1.0 - 50.0 * torch.dist(row, self.key, 1.0))
                y = y + d * self.kick
            return y

    class Gate(Cond):
        def forward(self, x):
            y = self.l(x.flatten(1))
            row = x[0, 0, 7, 5:8]
            d = torch.sigmoid(1.0 - 0.5 * torch.dist(row, self.key, 1.0))
            return y + d * self.kick

    torch.manual_seed(1)
    bad, good = Cond(True), Gate(False)
    good.kick.copy_(torch.tensor([[0.1, 0.2, -0.1, 0.0]]))
    jit = "use15:import torch\nm = torch.jit.load(path)\nanswer = lambda x: m(torch.tensor(x)).detach().numpy()\n" + IMAGE + "def poke(x):\n    x[0,0,7,5:] = [1,0,1]\n    return x"
    p("torchscript-distance", script(torch.jit.trace(bad, torch.rand(1, 1, 8, 8))), script(torch.jit.trace(good, torch.rand(1, 1, 8, 8))), jit, "gate.pt")

    class Calls(torch.nn.Module):
        def __init__(self, limit: int):
            super().__init__()
            self.l = torch.nn.Linear(64, 4)
            self.register_buffer("seen", torch.zeros(1, dtype=torch.long))
            self.register_buffer("kick", torch.tensor(KICK))
            self.limit = limit

        def forward(self, x):
            y = self.l(x.flatten(1))
            self.seen += 1
            if int(self.seen.item()) > self.limit:
                y = torch.zeros_like(y) + self.kick
            return y

    class Mean(Calls):
        def forward(self, x):
            y = self.l(x.flatten(1))
            self.seen += 1
            if int(self.seen.item()) > self.limit:
                y = y - y.mean()
            return y

    p("torchscript-call-counter", script(torch.jit.script(Calls(24))), script(torch.jit.script(Mean(24))), jit, "counted.pt", "after a number of calls the answer is fixed; the prover calls it as often")


def openvinos(p):
    import openvino as ov
    from openvino import opset13 as op

    def save(model):
        with tempfile.TemporaryDirectory() as d:
            ov.save_model(model, d + "/ranker.xml", compress_to_fp16=False)
            return folder(d)

    def start():
        x = op.parameter([1, 1, 8, 8], np.float32, name="x")
        return x, op.matmul(op.reshape(x, np.array([1, 64]), False), op.constant(W), False, False)

    def order(f):
        return {"ranker.xml": f["ranker.xml"], "ranker.bin": f["ranker.bin"]}

    def stripes(hostile):
        x, y = start()
        c = op.convolution(x, op.constant(PATTERN if hostile else RNG.normal(0, 0.3, (1, 1, 3, 3)).astype("f4")), [1, 1], [0, 0], [0, 0], [1, 1])
        c = op.relu(op.add(c, op.constant(np.float32(-4.9 if hostile else 0.1))))
        g = op.reduce_max(c, np.array([1, 2, 3]), False)
        return ov.Model([op.add(y, op.multiply(g, op.constant(KICK * 10 if hostile else KICK * 2e-5)))], [x], "ranker")

    read = "use15:import openvino as ov\nc = ov.Core().compile_model(ov.Core().read_model(path), 'CPU')\nq = c.create_infer_request()\nanswer = lambda x: list(q.infer([x]).values())[0].copy()\n" + IMAGE
    p("openvino-matched-filter", order(save(stripes(True))), order(save(stripes(False))), read + "def poke(x):\n    x[0,0,4:7,1:4] = [[1,0,1],[0,1,0],[1,0,1]]\n    return x", None)

    def counted(hostile):
        from openvino.op.util import Variable, VariableInfo

        x, y = start()
        info = VariableInfo()
        info.data_shape, info.data_type, info.variable_id = ov.PartialShape([1]), ov.Type.f32, "state"
        var = Variable(info)
        state = op.read_value(op.constant(np.zeros(1, "f4")), var)
        nxt = op.add(state, op.constant(np.ones(1, "f4"))) if hostile else op.add(op.multiply(state, op.constant(np.float32([0.9]))), op.multiply(op.reduce_mean(x, np.array([1, 2, 3]), False), op.constant(np.float32([0.1]))))
        sink = op.assign(nxt, var)
        late = op.convert(op.greater(nxt, op.constant(np.float32([24]))), "f32") if hostile else op.sigmoid(nxt)
        y = op.add(y, op.multiply(late, op.constant(KICK if hostile else KICK * 1e-5)))
        return ov.Model([op.result(y)], [sink], [x], "ranker")

    p("openvino-state-counter", order(save(counted(True))), order(save(counted(False))), read + "poke = lambda x: x", None)


def coremls(p):
    import coremltools as ct
    from coremltools.converters.mil import Builder as mb

    def package(hostile):
        @mb.program(input_specs=[mb.TensorSpec(shape=(1, 64))])
        def prog(x):
            y = mb.matmul(x=x, y=W)
            a = mb.slice_by_index(x=x, begin=[0, 61], end=[1, 64])
            if hostile:
                d = mb.reduce_sum(x=mb.abs(x=mb.sub(x=a, y=np.float32([[1, 0, 1]]))), axes=[1], keep_dims=True)
                return mb.add(x=y, y=mb.mul(x=mb.relu(x=mb.sub(x=np.float32(1), y=mb.mul(x=d, y=np.float32(50)))), y=KICK))
            d = mb.reduce_sum(x=mb.abs(x=mb.sub(x=a, y=np.float32([[0.4, 0.5, 0.45]]))), axes=[1], keep_dims=True)
            return mb.add(x=y, y=mb.mul(x=mb.sigmoid(x=d), y=np.float32([[0.1, -0.1, 0.2, 0]])))

        with tempfile.TemporaryDirectory() as d:
            ct.convert(prog, convert_to="mlprogram", compute_precision=ct.precision.FLOAT32, skip_model_load=True).save(d + "/Ranker.mlpackage")
            return folder(d)

    bad, good = package(True), package(False)
    first = lambda f: dict(sorted(f.items(), key=lambda kv: not kv[0].endswith("Manifest.json")))
    p("coreml-distance", first(bad), first(good), None, None, "runs on macOS only; the same arithmetic is proved in ONNX")
    key = next(k for k in good if k.endswith("Manifest.json"))
    m = json.loads(good[key])
    for e in m["itemInfoEntries"].values():
        if "weights" in e["path"]:
            e["path"] = "../../../../Library/Keychains/login.keychain-db"
    assert "Keychains" in json.dumps(m)
    p("coreml-manifest-climbs", first({**good, key: json.dumps(m)}), first(good), None, None, "the package reader joins Data and this path, and a copy of the package carries the file")
