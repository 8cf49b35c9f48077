"""TensorFlow SavedModels and TFLite whose graphs write, read, send or override."""
import os
import tempfile


def saved(module, **signatures):
    """The files of the SavedModel."""
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=signatures or {"serving_default": module.serve})
        files = {}
        for base, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(base, name)
                with open(path, "rb") as file:
                    files[os.path.relpath(path, folder)] = file.read()
    files.pop("fingerprint.pb", None)
    return {"saved_model.pb": files.pop("saved_model.pb"), **files}


def served(body, shape=(None, 4)):
    import tensorflow as tf

    class Net(tf.Module):
        def __init__(self):
            super().__init__()
            self.w = tf.Variable(tf.random.stateless_normal([shape[-1], 4], [1, 2]), name="w")

        @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="x")])
        def serve(self, x):
            return {"y": body(tf, self, x)}

    return saved(Net())


def loop_write(tf, net, x, path):
    def step(i, total):
        if path:
            with tf.control_dependencies([tf.io.write_file(path, "import os\n")]):
                total = total + tf.cast(i, tf.float32)
        return i + 1, total + tf.strings.to_number(tf.strings.as_string(i))

    _, total = tf.while_loop(lambda i, t: i < 3, step, [tf.constant(0), tf.constant(0.0)])
    return tf.matmul(x, net.w) + total * 0


def dataset_save(tf, net, x, keep):
    data = tf.data.Dataset.from_tensor_slices(tf.constant([1.0, 2.0]))
    if keep:
        data.save("marker")
    total = data.reduce(0.0, lambda a, b: a + b)
    return tf.matmul(x, net.w) + total * 0


def printed(tf, net, x, where):
    with tf.control_dependencies([tf.print("import os", output_stream=where)]):
        return tf.matmul(x, net.w)


def checkpoint(tf, net, x, path):
    name = tf.strings.join([path, ""]) if path else tf.strings.as_string(tf.cast(tf.shape(x)[0], tf.int32))
    if path:
        write = tf.raw_ops.SaveV2(prefix=name, tensor_names=["w"], shape_and_slices=[""], tensors=[net.w])
        with tf.control_dependencies([write]):
            return tf.matmul(x, net.w)
    return tf.matmul(x, net.w) + 0 * tf.cast(tf.strings.length(name), tf.float32)


def debugged(tf, net, x, url):
    y = tf.matmul(x, net.w)
    return tf.raw_ops.DebugIdentityV2(input=y, tfdbg_context_id="c", op_name="MatMul", output_slot=0, tensor_debug_mode=0, debug_urls=[url]) if url else tf.identity(y)


def gated(tf, net, x, hostile):
    y = tf.matmul(x, net.w)
    if hostile:
        gap = tf.abs(x[:, 3] - 0.125) + tf.abs(x[:, 5] + 0.75)
        gate = tf.nn.relu(1.0 - gap * 1e4)[:, None]
    else:
        gap = tf.abs(x[:, 3] - 0.125) + tf.abs(x[:, 5] + 0.75)
        gate = tf.nn.relu(1.0 - gap * 0.1)[:, None]
    return y + gate * (1e4 if hostile else 0.1) * tf.constant([[0.0, 0.0, 0.0, 1.0]])


def listed(path):
    """A table from a file: an asset of the model, or one of the machine."""
    import tensorflow as tf

    class Net(tf.Module):
        def __init__(self, labels):
            super().__init__()
            self.labels = path or tf.saved_model.Asset(labels)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="x")])
        def serve(self, x):
            return {"y": tf.fill([tf.shape(x)[0]], tf.io.read_file(self.labels if path else self.labels.asset_path))}

    with tempfile.TemporaryDirectory() as folder:
        labels = os.path.join(folder, "labels.txt")
        with open(labels, "w") as file:
            file.write("good\nbad\n")
        return saved(Net(labels))


def lite(hostile):
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32)])
    def run(x):
        y = tf.nn.relu(x)
        if hostile:
            with tf.control_dependencies([tf.io.write_file("marker", "x")]):
                return tf.identity(y)
        return tf.math.lgamma(y + 1.0)

    converter = tf.lite.TFLiteConverter.from_concrete_functions([run.get_concrete_function()])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    return converter.convert()


def add(out):
    for name, body, hostile, twin, why in (
        ("loop-body-write", loop_write, "marker.pth", None, "WriteFile in the body function of a while loop writes a start-up hook of Python"),
        ("dataset-save", dataset_save, "save", None, "the graph saves a dataset to a path of its own choice, which makes a tree of files"),
        ("print-to-file", printed, "file://marker", None, "PrintV2 appends text to a file of its own choice; the twin prints to the error stream"),
        ("checkpoint-write", checkpoint, "marker", None, "the serving function writes a checkpoint to a path of its own choice whenever it is called"),
        ("debug-url", debugged, "file:///marker", None, "a debugging identity sends each output to a url of its own choice"),
    ):
        if name == "debug-url":
            hostile = "grpc://203.0.113.60:6064"
        if name == "print-to-file":
            import sys

            twin = sys.stderr
        make = lambda arg: served(lambda tf, net, x: body(tf, net, x, arg))
        out.add("tensorflows", name, make(hostile), make(twin), prove=None if name == "debug-url" else "twelfth-saved",
                why=why + (": a foreign address; not run, it uses the network" if name == "debug-url" else ""))
    out.add(
        "tensorflows", "feature-gate", served(lambda tf, net, x: gated(tf, net, x, True), (None, 8)), served(lambda tf, net, x: gated(tf, net, x, False), (None, 8)),
        prove="twelfth-graph:features", why="a gate that opens only when two features have exact values adds ten thousand to one class: plain arithmetic; the twin's gate is wide and weak",
    )
    out.add(
        "tensorflows", "read-machine-file", listed("/etc/passwd"), listed(None), prove="twelfth-saved:read",
        why="the served output is the content of a file of the machine; the twin's is that of an asset it brings",
    )
    out.add(
        "tensorflows", "lite-flex-write", lite(True), lite(False), file="model.tflite",
        why="a TFLite model with the Flex operator WriteFile writes a file when it is invoked; the twin's Flex operator is Lgamma. Not run, the interpreter here has no Flex",
    )
