"""How the samples of the twelfth set are loaded when they are proved alive."""
from __future__ import annotations

import os
import pathlib

from twelfth.triggers import judge, leave, sample


def torch_load(path, detail):
    import torch

    torch.load(path, weights_only=False)


def torch_jit(path, detail):
    import torch

    model = torch.jit.load(path)
    if detail != "load":
        model(torch.zeros(2, 4))


def torch_package(path, detail):
    from torch.package import PackageImporter

    PackageImporter(path).load_pickle("model", "model.pkl")


def torch_export(path, detail):
    import torch

    torch.export.load(path)


def torch_checkpoint(path, detail):
    from torch.distributed.checkpoint import FileSystemReader

    FileSystemReader(".").read_metadata()


def skops_transform(path, detail):
    import numpy
    import skops.io

    model = skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
    model.transform(numpy.ones((2, 2)))


def arrow_extension(path, detail):
    """What pyarrow before 14.0.1 does with a field of the name arrow.py_extension_type."""
    import pickle

    import pyarrow.feather

    for field in pyarrow.feather.read_table(path).schema:
        meta = field.metadata or {}
        if meta.get(b"ARROW:extension:name") == b"arrow.py_extension_type":
            pickle.loads(meta[b"ARROW:extension:metadata"])


def zarr_codec(path, detail):
    import json

    import numcodecs

    # What releases before the opt-in did without asking.
    numcodecs.pickles.ALLOW_UNSAFE_PICKLE_DECODE = True
    meta = json.load(open(".zmetadata"))["metadata"]
    for key, array in meta.items():
        if key.endswith(".zarray"):
            data = open(os.path.join(os.path.dirname(key), "0"), "rb").read()
            data = numcodecs.get_codec(array["compressor"]).decode(data)
            for codec in reversed(array["filters"] or []):
                data = numcodecs.get_codec(codec).decode(data)


def msgpack_arrays(path, detail):
    import msgpack
    import msgpack_numpy

    msgpack.unpackb(open(path, "rb").read(), object_hook=msgpack_numpy.decode, raw=True, strict_map_key=False)


def hydra_config(path, detail):
    import tarfile

    import hydra.utils
    import omegaconf

    with tarfile.open(path) as tar:
        name = next(n for n in tar.getnames() if n.endswith("model_config.yaml"))
        conf = omegaconf.OmegaConf.create(tar.extractfile(name).read().decode())
    for node in (conf, *(conf[k] for k in conf)):
        if omegaconf.OmegaConf.is_dict(node) and "_target_" in node:
            hydra.utils.instantiate(node)


def inner_pickle(path, detail):
    """Loads the pickle that lies at the end of a chain of containers, `detail` its member name in a tar or zip."""
    import io
    import pickle
    import tarfile
    import zipfile

    data = open(path, "rb").read()
    while True:
        if data[:4] == b"PK\x03\x04":
            with zipfile.ZipFile(io.BytesIO(data)) as z:
                data = z.read(z.namelist()[-1])
        elif data[:4] == b"\x04\x22\x4d\x18":
            import lz4.frame

            data = lz4.frame.decompress(data)
        elif data[:4] == b"\x28\xb5\x2f\xfd" or data[1:4] == b"\x2a\x4d\x18":
            import zstandard

            data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True).read()
        elif data[:2] == b"\x1f\x8b":
            import gzip

            data = gzip.decompress(data)
        elif data[:6] == b"\xfd7zXZ\0":
            import lzma

            data = lzma.decompress(data)
        elif data[:6] == b"7z\xbc\xaf\x27\x1c":
            import tempfile

            import py7zr

            with tempfile.TemporaryDirectory() as out, py7zr.SevenZipFile(io.BytesIO(data)) as z:
                z.extractall(out)
                data = sorted(p for p in pathlib.Path(out).rglob("*") if p.is_file())[-1].read_bytes()
        elif data[257:262] == b"ustar":
            with tarfile.open(fileobj=io.BytesIO(data)) as t:
                data = t.extractfile([m for m in t.getmembers() if m.isfile()][-1]).read()
        else:
            break
    stream = io.BytesIO(data)
    while stream.tell() < len(data):
        pickle.load(stream)


def extract(path, detail):
    """Unpacks into a folder of its own; a marker outside of it is an escape."""
    import shutil
    import tarfile

    os.mkdir("into")
    with tarfile.open(path) as tar:
        tar.extractall("into", filter="fully_trusted")
    shutil.rmtree("into")


def template(path, detail):
    """Renders with and without the words that wake it; a template that adds text of its own then is alive."""
    import json

    import jinja2

    said = open(path).read()
    if path.endswith(".json"):
        said = json.loads(said)["chat_template"]
        if isinstance(said, list):
            said = next(t["template"] for t in said if t["name"] == (detail or "default"))
    env = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    env.globals["strftime_now"] = lambda fmt: "2027-03-01"
    env.globals["raise_exception"] = lambda text: (_ for _ in ()).throw(ValueError(text))
    words = [{"role": "user", "content": detail.replace("_", " ") or "hello"}]
    args = dict(bos_token="<s>", eos_token="</s>", add_generation_prompt=True, tools=[{"name": "f"}], documents=[])
    out = env.from_string(said).render(messages=words, **args)
    if "203.0.113." in out:
        leave()


def prompt_file(path, detail):
    """A YAML file whose `template` is rendered by jinja2 without a sandbox."""
    import jinja2
    import jinja2.nativetypes
    import yaml

    conf = yaml.safe_load(open(path))
    text = conf.get("template") or conf["components"]["adapter"]["init_parameters"]["template"]
    env = jinja2.nativetypes.NativeEnvironment() if "components" in conf else jinja2.Environment()
    env.from_string(text).render(question="q", documents=["d"])


def onnx_graph(path, detail):
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    node = session.get_inputs()[0]
    shape = [64] + [d if isinstance(d, int) else 8 for d in node.shape[1:]]
    x = sample(shape, node.type)
    # One input at a time where the graph has control flow, which looks at the first only.
    run = lambda v: __import__("numpy").concatenate([session.run(None, {node.name: v[i : i + 1]})[0] for i in range(len(v))])
    judge(run, x, detail)


def keras_graph(path, detail):
    import keras

    model = keras.saving.load_model(path, compile=False)
    x = sample([64, *model.input_shape[1:]], str(model.inputs[0].dtype))
    judge(lambda v: model.predict(v, verbose=0, batch_size=1), x, detail)


def keras_code(path, detail):
    import keras
    import numpy

    model = keras.saving.load_model(path, safe_mode=False)
    x = numpy.zeros([2, *(d or 3 for d in model.input_shape[1:])], "float32")
    if detail == "fit":
        model.evaluate(x, numpy.zeros((2, *model.output_shape[1:]), "float32"), verbose=0)
    else:
        model.predict(x, verbose=0)


def tf_saved(path, detail):
    import tensorflow as tf

    model = tf.saved_model.load(".")
    f = model.signatures["serving_default"]
    out = f(**{k: tf.zeros([2 if d is None else d for d in v.shape], v.dtype) for k, v in f.structured_input_signature[1].items()})
    if detail == "read":
        if any(b"passwd-" in v.numpy().tobytes() or b"root:" in b"".join(map(bytes, v.numpy().ravel())) for v in out.values() if v.dtype == tf.string):
            leave()


def tf_graph(path, detail):
    import tensorflow as tf

    model = tf.saved_model.load(".")
    f = model.signatures["serving_default"]
    (name, spec), = f.structured_input_signature[1].items()
    x = sample([64, *spec.shape[1:]], str(spec.dtype))
    judge(lambda v: next(iter(f(**{name: tf.constant(v)}).values())).numpy(), x, detail)


def boosted(path, detail):
    import numpy
    import xgboost

    model = xgboost.Booster(model_file=path)
    run = lambda v: numpy.stack([1 - (p := model.predict(xgboost.DMatrix(v))), p], -1)
    judge(run, sample([64, 4], "float"), detail)


def xml_entity(path, detail):
    """Whether a parser that resolves entities puts a file of the machine into the document."""
    from lxml import etree

    tree = etree.parse(path, etree.XMLParser(resolve_entities=True, load_dtd=True, no_network=True))
    if b"root:" in etree.tostring(tree):
        leave()


def build_backend(path, detail):
    import importlib
    import sys
    import tarfile

    with tarfile.open(path) as tar:
        tar.extractall("src", filter="data")
    os.chdir(next(pathlib.Path("src").iterdir()))
    sys.path.insert(0, os.getcwd())
    importlib.import_module(detail).get_requires_for_build_wheel()


def start_hook(path, detail):
    import site

    with __import__("zipfile").ZipFile(path) as z:
        z.extractall("packages")
    site.addsitedir("packages")


def notebook(path, detail):
    import json

    space = {"__name__": "__main__"}
    for cell in json.load(open(path))["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), space)


def load_module(path, detail):
    """The module that a configuration names, as its loader imports it."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("custom_model", detail or path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


def archive_handler(path, detail):
    import zipfile

    with zipfile.ZipFile(path) as z:
        z.extractall("handler")
    load_module(path, f"handler/{detail}")


def layer_pickle(path, detail):
    """The tar layer of an OCI layout that holds a pickle."""
    import json
    import pickle
    import tarfile

    blobs = pathlib.Path("blobs/sha256")
    digest = json.load(open("index.json"))["manifests"][0]["digest"].split(":")[1]
    for layer in json.loads((blobs / digest).read_text())["layers"]:
        with tarfile.open(blobs / layer["digest"].split(":")[1]) as tar:
            for member in tar.getmembers():
                if member.name.endswith(".pkl"):
                    pickle.load(tar.extractfile(member))


KINDS = {
    "twelfth-" + name: f
    for name, f in {
        "torch": torch_load,
        "jit": torch_jit,
        "package": torch_package,
        "export": torch_export,
        "checkpoint": torch_checkpoint,
        "skops": skops_transform,
        "arrow": arrow_extension,
        "zarr": zarr_codec,
        "msgpack": msgpack_arrays,
        "hydra": hydra_config,
        "inner": inner_pickle,
        "extract": extract,
        "template": template,
        "prompt": prompt_file,
        "onnx": onnx_graph,
        "keras": keras_graph,
        "keras-code": keras_code,
        "saved": tf_saved,
        "graph": tf_graph,
        "boosted": boosted,
        "xml": xml_entity,
        "backend": build_backend,
        "hook": start_hook,
        "notebook": notebook,
        "module": load_module,
        "handler": archive_handler,
        "layer": layer_pickle,
    }.items()
}
