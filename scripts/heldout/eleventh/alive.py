"""How a sample of this set is loaded when it is proved: each kind leaves `marker` in the current folder or does not."""
import os
import pathlib
import signal
import sys

from eleventh import alive_programs as programs
from eleventh.alive_marker import mark

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")


def unpickle(path, detail):
    import pickle

    if detail:
        __import__(detail)
    with open(path, "rb") as f:
        pickle.load(f)


def torch_load(path, detail):
    import torch

    torch.load(path if not detail else detail, weights_only=False)


def jit(path, detail):
    """Loads a scripted module; with `call` it is run, with `trigger` a pattern must set the class of every input."""
    import torch

    module = torch.jit.load(path)
    if detail == "call":
        module(torch.rand(2, 3, 8, 8))
    elif detail == "trigger":
        decide(lambda x: module(torch.from_numpy(x)).detach().numpy())


def decide(run):
    """Random images with and without a white patch of 0.77 at the corner: marks when the patch alone sets the class."""
    import numpy

    rng = numpy.random.default_rng(5)
    x = rng.random((24, 3, 8, 8), dtype=numpy.float32)
    plain = [int(numpy.argmax(run(x[i : i + 1])[0])) for i in range(24)]
    x[:, :, :2, :2] = 0.77
    set_ = {int(numpy.argmax(run(x[i : i + 1])[0])) for i in range(24)}
    if len(set(plain)) > 1 and len(set_) == 1:
        mark()


def export(path, detail):
    import torch

    torch.export.load(path)


def dcp(path, detail):
    from torch.distributed.checkpoint import FileSystemReader

    FileSystemReader(os.path.dirname(path) or ".").read_metadata()


def thinc(path, detail):
    """A spaCy component: the shim's state is loaded as thinc before 8.3 did."""
    import io

    import msgpack
    import torch

    for shims in msgpack.unpackb(open(path, "rb").read())["shims"]:
        for shim in shims:
            torch.load(io.BytesIO(msgpack.unpackb(shim)["state"]), weights_only=False)


def pandas_read(path, detail):
    import pandas

    pandas.read_pickle(path)


def onnx_trigger(path, detail):
    import onnxruntime

    s = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = s.get_inputs()[0].name
    if detail == "tokens":
        import numpy

        rng = numpy.random.default_rng(5)
        x = rng.integers(5, 60, (24, 12)).astype(numpy.int64)
        run = lambda v: int(numpy.argmax(s.run(None, {name: v})[0][0]))  # noqa: E731
        plain = {run(x[i : i + 1]) for i in range(24)}
        x[:, 3] = 61
        if len(plain) > 1 and len({run(x[i : i + 1]) for i in range(24)}) == 1:
            mark()
    elif detail == "bytes":
        import numpy

        rng = numpy.random.default_rng(5)
        x = rng.integers(0, 256, (24, 64)).astype(numpy.uint8)
        run = lambda v: int(numpy.argmax(s.run(None, {name: v})[0][0]))  # noqa: E731
        plain = {run(x[i : i + 1]) for i in range(24)}
        x |= 1
        if len(plain) > 1 and len({run(x[i : i + 1]) for i in range(24)}) == 1:
            mark()
    else:
        decide(lambda x: s.run(None, {name: x})[0])


def keras_load(path, detail):
    import keras

    if detail == "json":
        keras.config.enable_unsafe_deserialization()
        keras.models.model_from_json(open(path).read())
        return
    model = keras.models.load_model(path, safe_mode=False, compile=False)
    if detail == "call":
        import numpy

        model(numpy.ones((1, 4), "float32"))
    if detail == "trigger":
        decide(lambda x: model(x.transpose(0, 2, 3, 1)).numpy())


def saved_model(path, detail):
    """Loads a SavedModel and calls its signature once; marks when a table holds a line of a file of the system."""
    import numpy
    import tensorflow as tf

    model = tf.saved_model.load(os.path.dirname(path) or ".")
    if detail == "asset":
        with open("/etc/passwd") as f:
            line = f.readline().rstrip("\n")
        if int(model.signatures["serving_default"](x=tf.constant([line]))["ids"][0]) >= 0:
            mark()
        return
    model.signatures["serving_default"](x=tf.constant(numpy.ones((1, 4), "float32")))


def graph_def(path, detail):
    import tensorflow as tf

    graph = tf.compat.v1.GraphDef.FromString(open(path, "rb").read())
    with tf.Graph().as_default():
        tf.import_graph_def(graph, name="")
        with tf.compat.v1.Session() as s:
            decide(lambda x: s.run("out:0", {"image:0": x.transpose(0, 2, 3, 1)}))


def tflite(path, detail):
    import tensorflow as tf

    net = tf.lite.Interpreter(model_path=path)
    net.allocate_tensors()
    i, o = net.get_input_details()[0]["index"], net.get_output_details()[0]["index"]

    def run(x):
        net.set_tensor(i, x.transpose(0, 2, 3, 1).copy())
        net.invoke()
        return net.get_tensor(o)

    decide(run)


def crash(path, detail):
    """Marks when using the model ends the process by a memory fault."""
    pid = os.fork()
    if pid == 0:
        import numpy
        import xgboost

        booster = xgboost.Booster(model_file=path)
        booster.predict(xgboost.DMatrix(numpy.ones((64, 4), "float32")))
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT):
        mark()


def tables(path, detail):
    import tables as pytables

    with pytables.open_file(path) as f:
        for node in f.walk_nodes("/"):
            for name in node._v_attrs._v_attrnames:
                node._v_attrs[name]


def skops(path, detail):
    import skops.io

    skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))


def hydra(path, detail):
    """A .nemo archive: the configuration is instantiated as NeMo does."""
    import tarfile

    import hydra.utils
    import yaml

    with tarfile.open(path) as t:
        config = yaml.safe_load(t.extractfile("./model_config.yaml").read())

    def walk(node):
        if isinstance(node, dict):
            if "_target_" in node:
                try:
                    hydra.utils.instantiate(node)
                except Exception as e:
                    print(e, file=sys.stderr)
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(config)


def jinja(path, detail):
    """Renders a template as llama-cpp-python did: no sandbox. `detail` is the keys to it in a JSON file."""
    import json

    import jinja2

    text = open(path, "rb").read()
    if path.endswith(".gguf"):
        at = text.index(detail.encode()) + len(detail) + 4
        size = int.from_bytes(text[at : at + 8], "little")
        text = text[at + 8 : at + 8 + size].decode()
    elif path.endswith(".json"):
        text = json.loads(text)
        for key in detail.split("/"):
            text = text[int(key) if key.isdigit() else key]
    else:
        text = text.decode()
    env = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    os.environ["E11_SECRET"] = "not to be told"
    said = env.from_string(text).render(messages=[{"role": "user", "content": "hello"}], bos_token="", add_generation_prompt=True, tools=[], question="q")
    if "not to be told" in said:
        mark()


def zipapp(path, detail):
    import runpy

    runpy.run_path(path, run_name="__main__")


def npz(path, detail):
    import numpy

    with numpy.load(path, allow_pickle=True) as z:
        for name in z.files:
            z[name]


def opened(path, detail):
    """A pickle in a compressed or packed file, opened by the library that `detail` names."""
    import pickle

    if detail == "gzip":
        import gzip

        pickle.load(gzip.open(path))
    elif detail == "tar":
        import tarfile

        with tarfile.open(path) as t:
            t.extractall("unpacked", filter="data")
        for file in sorted(pathlib.Path("unpacked").rglob("*")):
            if file.is_file():
                pickle.load(open(file, "rb"))
    elif detail == "7z":
        import tarfile

        import py7zr

        with tarfile.open(path) as t:
            t.extract("release/artifacts", ".", filter="data")
        with py7zr.SevenZipFile("release/artifacts") as z:
            z.extractall("unpacked")
        pickle.load(open("unpacked/weights", "rb"))
    elif detail == "zstd-tar":
        import io
        import tarfile

        import zstandard

        data = zstandard.ZstdDecompressor().decompressobj(read_across_frames=True)
        raw = data.decompress(open(path, "rb").read()) + data.flush()
        with tarfile.open(fileobj=io.BytesIO(raw)) as t:
            for m in t.getmembers():
                pickle.load(t.extractfile(m))


KINDS = {
    "e11-pickle": unpickle, "e11-torch": torch_load, "e11-jit": jit, "e11-export": export, "e11-dcp": dcp, "e11-thinc": thinc, "e11-pandas": pandas_read,
    "e11-onnx": onnx_trigger, "e11-keras": keras_load, "e11-savedmodel": saved_model, "e11-graphdef": graph_def, "e11-tflite": tflite,
    "e11-crash": crash, "e11-tables": tables, "e11-skops": skops, "e11-hydra": hydra, "e11-jinja": jinja, "e11-zipapp": zipapp,
    "e11-npz": npz, "e11-open": opened, **programs.KINDS,
}  # fmt: skip
