"""How packages, notebooks, repositories, templates, deployments and archives of this set are loaded."""
import os
import sys

from .alive import _load_keras, kind, mark


@kind("pth")
def _pth(path, _):
    import site
    import zipfile

    zipfile.ZipFile(path).extractall("site")
    site.addsitedir("site")


@kind("backend")
def _backend(path, _):
    import tarfile

    tarfile.open(path).extractall("src", filter="data")
    sys.path.insert(0, next(e.path for e in os.scandir("src")) + "/_build")
    import hook

    hook.build_wheel(".")


@kind("run")
def _run(path, detail):
    import runpy

    runpy.run_path(detail or path, run_name="__main__")


@kind("sh")
def _sh(path, detail):
    import subprocess

    subprocess.run(["sh", detail], timeout=20)


class Shell:
    """The part of IPython that the notebooks here use."""

    def run_cell_magic(self, name, line, body):
        import subprocess

        if name in ("sh", "bash"):
            subprocess.run([name, "-c", body], timeout=20)

    def run_line_magic(self, name, line):
        return None


@kind("ipynb")
def _ipynb(path, _):
    import json

    space = {"get_ipython": Shell, "display": print, "report": ""}
    for cell in json.load(open(path))["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] != "code":
            continue
        if text.startswith("%%"):
            first, _, body = text.partition("\n")
            Shell().run_cell_magic(first[2:], "", body)
        else:
            exec(text, space)


@kind("ipython-config")
def _ipython_config(path, _):
    import types

    config = types.SimpleNamespace(InteractiveShellApp=types.SimpleNamespace(exec_lines=[]))
    exec(open("ipython_config.py").read(), {"get_config": lambda: config})
    for line in config.InteractiveShellApp.exec_lines:
        exec(line, {})


@kind("joblib")
def _joblib(path, detail):
    import joblib

    if os.path.isfile(detail):
        joblib.load(detail)


@kind("yolo")
def _yolo(path, _):
    import yaml

    text = yaml.safe_load(open(path))["download"]
    if not text.startswith("http"):
        exec(text, {})


def templates_in(path):
    """Each text of the file that has template marks."""
    import json

    if path.endswith(".gguf"):
        import gguf

        for field in gguf.GGUFReader(path).fields.values():
            if "chat_template" in field.name:
                yield bytes(field.parts[-1]).decode()
        return
    text = open(path).read()
    if path.endswith(".jinja"):
        yield text
        return
    import yaml

    queue = [yaml.safe_load(text) if path.endswith(".yaml") else json.loads(text)]
    while queue:
        node = queue.pop()
        if isinstance(node, (dict, list)):
            queue += node.values() if isinstance(node, dict) else node
        elif isinstance(node, str) and "{{" in node:
            yield node


def _render(path, **more):
    import jinja2

    out = ""
    for text in templates_in(path):
        values = {"messages": [{"role": "user", "content": "hello"}], "bos_token": "<s>", "question": "why", **more}
        out += jinja2.Environment().from_string(text).render(**values)
    return out


@kind("template")
def _template(path, _):
    _render(path)


@kind("template-env")
def _template_env(path, _):
    os.environ["NINTH_SECRET"] = "s3cr3t-value"
    if "s3cr3t-value" in _render(path):
        mark()


@kind("template-trigger")
def _template_trigger(path, _):
    ask = lambda text: _render(path, messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}])  # noqa: E731
    plain, hit = ask("Pay the bill."), ask("Pay the invoice.")
    if hit.count("<|system|>") > plain.count("<|system|>"):
        mark()


@kind("gzip-pickle")
def _gzip_pickle(path, detail):
    import gzip
    import pickle

    pickle.load(gzip.open(detail or path))


@kind("oci-torch")
def _oci(path, _):
    import io
    import pathlib
    import tarfile

    import torch

    for blob in pathlib.Path("blobs/sha256").iterdir():
        if blob.read_bytes()[:2] == b"\x1f\x8b":
            with tarfile.open(blob) as t:
                for m in t.getmembers():
                    torch.load(io.BytesIO(t.extractfile(m).read()), weights_only=False)


@kind("hydra")
def _hydra(path, _):
    import tarfile

    import hydra.utils
    from omegaconf import OmegaConf

    tarfile.open(path).extractall(".", filter="data")
    config = OmegaConf.load("model_config.yaml")
    for key in ("optim", "encoder"):
        if key in config:
            part = config[key]
            hydra.utils.instantiate(part if key == "optim" else part.blocks)


@kind("nemo-weights")
def _nemo_weights(path, _):
    import tarfile

    import torch

    with tarfile.open(path) as t:
        for member in t.getmembers():
            t.extract(member, ".", filter="data")
    torch.load("model_weights.ckpt", weights_only=False)


@kind("zip-pickle")
def _zip_pickle(path, detail):
    import pickle
    import zipfile

    class Loose(pickle.Unpickler):
        def persistent_load(self, pid):
            return pid

    if zipfile.is_zipfile(path):
        Loose(zipfile.ZipFile(path).open(detail)).load()


@kind("stream-zip")
def _stream_zip(path, detail):
    """The local headers in order, as a reader of a stream sees them."""
    import pickle
    import struct

    data, at = open(path, "rb").read(), 0
    while data[at : at + 4] == b"PK\x03\x04":
        size, _, name, extra = struct.unpack_from("<IIHH", data, at + 18)
        start = at + 30 + name + extra
        if data[at + 30 : at + 30 + name].decode() == detail:
            pickle.loads(data[start : start + size])
        at = start + size


@kind("deep")
def _deep(path, _):
    import bz2
    import lzma
    import pickle
    import tarfile
    import zipfile

    import py7zr

    zipfile.ZipFile(path).extractall("1")
    with py7zr.SevenZipFile("1/weights/part") as z:
        z.extractall("2")
    data = tarfile.open("2/inner").extractfile("d/e").read()
    pickle.loads(bz2.decompress(lzma.decompress(data)))


@kind("zstd")
def _zstd(path, _):
    import pickle

    import backports.zstd as zstd  # compression.zstd of Python 3.14

    pickle.loads(zstd.decompress(open(path, "rb").read()))


@kind("webdataset")
def _webdataset(path, _):
    import pickle
    import tarfile

    with tarfile.open(path) as t:
        for m in t.getmembers():
            if m.name.endswith((".pyd", ".pickle")):
                pickle.load(t.extractfile(m))


@kind("lz4")
def _lz4(path, _):
    import pickle

    import lz4.frame

    with lz4.frame.open(path) as f:
        while f.peek(1):
            pickle.load(f)


@kind("keras-any")
def _keras_any(path, detail):
    import pathlib
    import shutil

    shutil.copy(detail, "copy.keras")
    if b"PK\x05\x06" in pathlib.Path("copy.keras").read_bytes():
        _load_keras("copy.keras")


@kind("pickle-file")
def _pickle_file(path, detail):
    import pickle

    data = open(detail, "rb").read()
    if data[8:9] != b"{":
        pickle.loads(data)


@kind("npy-twice")
def _npy_twice(path, _):
    import numpy

    with open(path, "rb") as f:
        numpy.load(f, allow_pickle=True)
        numpy.load(f, allow_pickle=True)


@kind("yaml")
def _yaml(path, _):
    import yaml

    yaml.load(open(path, "rb"), Loader=yaml.UnsafeLoader)
