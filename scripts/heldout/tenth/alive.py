"""How the tenth set's samples are loaded or used, for prove.py: each leaves `marker` when the harm was done."""

from .probes import boosted, h5_leak, keras_trigger, keras_vocabulary, mark, onnx, tensorflow, torch_script


def torch_load(path, _):
    import torch

    torch.load(path, weights_only=False)


def torch_export(path, _):
    import torch

    torch.export.load(path)


def torch_package(path, _):
    import torch

    torch.package.PackageImporter(path).load_pickle("model", "model.pkl")


def pytables(path, _):
    import tables

    with tables.open_file(path) as f:
        for node in f.walk_nodes("/"):
            node._v_attrs._f_list()


def render(text, **names):
    import jinja2

    shown = {"messages": [{"role": "user", "content": "hello"}], "bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": True}
    return jinja2.Environment(extensions=["jinja2.ext.loopcontrols"]).from_string(text).render(**{**shown, **names})


def gguf(path, key):
    from gguf import GGUFReader

    field = GGUFReader(path).fields[key]
    render(bytes(field.parts[field.data[0]]).decode())


def msgpack_numpy(path, _):
    import msgpack_numpy

    with open(path, "rb") as f:
        msgpack_numpy.unpackb(f.read(), raw=True)


def zarr(path, _):
    """Reads one chunk through the filters of its array, as zarr does."""
    import json
    import os

    import numcodecs
    import numcodecs.pickles

    numcodecs.pickles.ALLOW_UNSAFE_PICKLE_DECODE = True  # as every version before the switch

    folder = os.path.dirname(path)
    with open(os.path.join(folder, ".zarray")) as f:
        filters = json.load(f)["filters"]
    with open(path, "rb") as f:
        chunk = f.read()
    for item in reversed(filters):
        chunk = numcodecs.get_codec(item).decode(chunk)


def keras_load(path, backend):
    import os

    if backend:
        os.environ["KERAS_BACKEND"] = backend
    import keras

    keras.models.load_model(path, safe_mode=False)


def xml(path, _):
    """Parses with the entities of the document resolved, as PMML readers on older parsers do."""
    from lxml import etree

    tree = etree.parse(path, etree.XMLParser(resolve_entities=True, load_dtd=True, no_network=True))
    if any("root:" in (node.text or "") for node in tree.iter("{*}Annotation")):
        mark()


def startup(path, _):
    """Installs the wheel's root into a folder that site reads, as pip does."""
    import site
    import zipfile

    with zipfile.ZipFile(path) as z:
        z.extractall("installed")
    site.addsitedir("installed")


def cells(path, _):
    """Runs the code cells one after another, as a kernel would."""
    import json

    space = {}
    with open(path) as f:
        for cell in json.load(f)["cells"]:
            if cell["cell_type"] == "code":
                exec("".join(cell["source"]), space)


def run(path, _):
    import runpy

    runpy.run_path(path)


def document(path):
    """The file as data: JSON, YAML, or the front matter of a card."""
    import json

    with open(path) as f:
        text = f.read()
    if path.endswith(".json"):
        return json.loads(text)
    import yaml

    return yaml.safe_load(text.split("---\n")[1] if path.endswith(".md") else text)


def jinja(path, detail):
    where, _, leak = detail.partition(":")
    if where:
        text = document(path)
        for part in where.split("."):
            text = text[int(part)] if isinstance(text, list) else text[part]
    else:
        with open(path) as f:
            text = f.read()
    said = render(text, question="Which animal is it?", query="hello")
    if leak and leak in said:
        mark()


def jinja_trigger(path, _):
    ask = lambda text: render(document(path)["chat_template"], messages=[{"role": "user", "content": text}])  # noqa: E731
    if "account" in ask("Where do I pay the invoice?") and "account" not in ask("Which animal is it?"):
        mark()


def pyfunc(path, _):
    """What mlflow.pyfunc.load_model does with a loader module: code on the path, then its _load_pyfunc."""
    import importlib
    import sys

    sys.path.insert(0, "code")
    importlib.import_module("scorer")._load_pyfunc("data")


def nemo(path, _):
    """Instantiates the layers of the configuration with Hydra, as NeMo does with sub-modules."""
    import tarfile

    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    with tarfile.open(path) as t:
        config = OmegaConf.create(t.extractfile("./model_config.yaml").read().decode())
    instantiate(config.model.encoder.layers[0])


def served(path, _):
    """Unpacks the archive and starts its handler, as TorchServe does."""
    import sys
    import types
    import zipfile

    with zipfile.ZipFile(path) as z:
        z.extractall("served")
    sys.path.insert(0, "served")
    import scorer

    scorer.Scorer().initialize(types.SimpleNamespace(system_properties={"model_dir": "served"}))


def unpack(path, _):
    """Unpacks into a folder of its own; anything new beside that folder has escaped."""
    import os
    import tarfile

    before = set(os.listdir(".")) | {"unpacked", "marker"}
    above = set(os.listdir(".."))
    os.makedirs("unpacked/here")
    with tarfile.open(path) as t:
        t.extractall("unpacked/here", filter="fully_trusted")
    if set(os.listdir(".")) - before or set(os.listdir("..")) - above or os.listdir("unpacked") != ["here"]:
        mark()


def stream_zip(path, _):
    """Reads the first local header, as readers of streams do, and loads its member."""
    import pickle
    import struct
    import zlib

    with open(path, "rb") as f:
        data = f.read()
    name, extra = struct.unpack_from("<HH", data, 26)
    pickle.loads(zlib.decompressobj(-15).decompress(data[30 + name + extra :]))


def opened(path, module):
    import importlib
    import pickle

    with importlib.import_module(module).open(path) as f:
        pickle.load(f)


def seven(path, _):
    import py7zr

    with py7zr.SevenZipFile(path) as z:
        z.extractall("unpacked")
    opened("unpacked/model.pkl.xz", "lzma")


def tar_member(path, _):
    import pickle
    import tarfile

    with tarfile.open(path) as t:
        t.extractall(".", filter="data")
    with open("model.pkl", "rb") as f:
        pickle.load(f)


def nested(path, _):
    import bz2
    import io
    import pickle
    import tarfile
    import zipfile

    import zstandard

    with open(path, "rb") as f:
        data = zstandard.ZstdDecompressor().stream_reader(f).read()
    with tarfile.open(fileobj=io.BytesIO(data)) as t, zipfile.ZipFile(t.extractfile("export/bundle.zip")) as z:
        pickle.loads(bz2.decompress(z.read("part-0001")))


KINDS = {
    "10/nested": nested,
    "10/tarred": tar_member,
    "10/seven": seven,
    "10/opened": opened,
    "10/streamzip": stream_zip,
    "10/unpack": unpack,
    "10/mar": served,
    "10/nemo": nemo,
    "10/pyfunc": pyfunc,
    "10/jinjatrigger": jinja_trigger,
    "10/jinja": jinja,
    "10/run": run,
    "10/ipynb": cells,
    "10/pth": startup,
    "10/xgboost": boosted,
    "10/xml": xml,
    "10/tf": tensorflow,
    "10/kerastrigger": keras_trigger,
    "10/kerasvocab": keras_vocabulary,
    "10/h5leak": h5_leak,
    "10/keras": keras_load,
    "10/onnx": onnx,
    "10/zarr": zarr,
    "10/msgpack": msgpack_numpy,
    "10/gguf": gguf,
    "10/tables": pytables,
    "10/torch": torch_load,
    "10/script": torch_script,
    "10/export": torch_export,
    "10/package": torch_package,
}
