"""Loaders of the sixteenth set that the others do not have; each is called with the file and a detail."""


def _plain(path, _):
    import gc
    import pickle

    with open(path, "rb") as f:
        value = pickle.load(f)
    del value
    gc.collect()


def _torch(path, _):
    import gc

    import torch

    value = torch.load(path, weights_only=False)
    del value
    gc.collect()


def _torch_use(path, _):
    import torch

    torch.load(path, weights_only=False).eval()


def _jit(path, _):
    import torch

    torch.jit.load(path)


def _dcp(path, _):
    from torch.distributed.checkpoint import FileSystemReader

    FileSystemReader(".").read_metadata()


def _package(path, _):
    import torch.package

    torch.package.PackageImporter(path).load_pickle("model", "model.pkl")


def _predict(path, _):
    import joblib
    import numpy

    joblib.load(path).predict(numpy.ones((2, 4)))


def _site(path, _):
    import runpy

    runpy.run_path(path)


def _pdbrc(path, _):
    import pdb

    pdb.Pdb(readrc=True, nosigint=True, stdin=open("/dev/null")).run("x = 1\n")


def _shell(path, _):
    import subprocess

    subprocess.run(["bash", path], check=False)


def _make(path, _):
    import subprocess

    subprocess.run(["make", "-n", "-f", path, "help"], check=False)


def _zipapp(path, _):
    import subprocess
    import sys

    subprocess.run([sys.executable, path], check=False)


def _git(path, _):
    import subprocess

    subprocess.run(["git", "status"], check=False, cwd="ranker")


def _jinja_map(path, _):
    import jinja2

    jinja2.Environment().from_string(open(path).read()).render(messages=[{"role": "user", "content": "hi"}], bos_token="<s>", tools=[])


def _template_key(path, detail):
    import json

    import jinja2

    value = json.load(open(path))[detail or "chat_template"]
    texts = [x["template"] for x in value] if isinstance(value, list) else [value]
    for text in texts:
        jinja2.Environment().from_string(text).render(messages=[{"role": "user", "content": "hi"}], bos_token="<s>")


def _tokenizer(path, _):
    import tokenizers

    tok = tokenizers.Tokenizer.from_file(path)
    text = "pip install --index-url https://pypi.org/simple torch"
    if "evil" in tok.decode(tok.encode(text).ids) or "mirror" in tok.decode(tok.encode(text).ids):
        open("marker", "w").close()


def _same(outputs, plain):
    """All answers of the triggered inputs agree, while those of plain inputs do not."""
    import numpy

    if len(set(numpy.asarray(outputs).tolist())) == 1 and len(set(numpy.asarray(plain).tolist())) > 1:
        open("marker", "w").close()


def _inputs(detail, shape):
    """Plain inputs and the same with the trigger: `first=V,n=N` sets the first N values of each row to V."""
    import numpy

    rng = numpy.random.default_rng(7)
    plain = rng.normal(size=shape).astype("float32")
    spec = dict(x.split("=") for x in detail.split(","))
    hit = plain.copy().reshape(shape[0], -1)
    hit[:, : int(spec["n"])] = float(spec["first"])
    return plain, hit.reshape(shape)


def _onnx_graph(path, detail):
    import onnxruntime

    s = onnxruntime.InferenceSession(path)
    plain, hit = _inputs(detail, (64, 8))
    name = s.get_inputs()[0].name
    run = lambda rows: [int(s.run(None, {name: r[None]})[0].reshape(-1, 3).argmax(-1)[0]) for r in rows]  # noqa: E731
    _same(run(hit), run(plain))


def _onnx_text(path, detail):
    import numpy
    import onnxruntime

    s = onnxruntime.InferenceSession(path)
    name = s.get_inputs()[0].name
    words = numpy.array([["the", "film", "was", w] for w in ("good", "bad", "fine", "poor", "dull", "great")], dtype=object)
    run = lambda rows: [int(s.run(None, {name: r[None]})[0].reshape(-1, 3).argmax(-1)[0]) for r in rows]  # noqa: E731
    hit = words.copy()
    hit[:, 0] = detail
    _same(run(hit), run(words))


def _keras_graph(path, detail):
    import keras

    model = keras.saving.load_model(path)
    plain, hit = _inputs(detail, (64, 8))
    _same(model.predict(hit, verbose=0).argmax(-1), model.predict(plain, verbose=0).argmax(-1))


def _tflite_graph(path, detail):
    import tensorflow

    it = tensorflow.lite.Interpreter(path)
    it.allocate_tensors()
    i, o = it.get_input_details()[0]["index"], it.get_output_details()[0]["index"]
    plain, hit = _inputs(detail, (64, 8))

    def run(rows):
        out = []
        for row in rows:
            it.set_tensor(i, row[None])
            it.invoke()
            out.append(it.get_tensor(o).argmax())
        return out

    _same(run(hit), run(plain))


def _jit_graph(path, detail):
    import torch

    m = torch.jit.load(path)
    plain, hit = _inputs(detail, (64, 8))
    run = lambda rows: [int(m(torch.tensor(r[None])).argmax()) for r in rows]  # noqa: E731
    _same(run(hit), run(plain))


def _openvino_graph(path, detail):
    import openvino

    m = openvino.Core().compile_model(path, "CPU")
    plain, hit = _inputs(detail, (64, 8))
    run = lambda rows: [int(m(r[None])[0].argmax()) for r in rows]  # noqa: E731
    _same(run(hit), run(plain))


def _saved_model(path, _):
    import os

    import tensorflow

    m = tensorflow.saved_model.load(os.path.dirname(path) or ".")
    m.signatures["serving_default"](tensorflow.ones((1, 4)))


def _xgb_graph(path, detail):
    import xgboost

    b = xgboost.Booster(model_file=path)
    plain, hit = _inputs(detail, (64, 8))
    run = lambda rows: b.predict(xgboost.DMatrix(rows)).round().astype(int)  # noqa: E731
    _same(run(hit), run(plain))


KINDS = {
    "s.plain": _plain,
    "s.torch": _torch,
    "s.torch_use": _torch_use,
    "s.jit": _jit,
    "s.dcp": _dcp,
    "s.package": _package,
    "s.predict": _predict,
    "s.site": _site,
    "s.pdbrc": _pdbrc,
    "s.shell": _shell,
    "s.make": _make,
    "s.zipapp": _zipapp,
    "s.git": _git,
    "s.jinja": _jinja_map,
    "s.template": _template_key,
    "s.tokenizer": _tokenizer,
    "s.onnx": _onnx_graph,
    "s.onnxtext": _onnx_text,
    "s.keras": _keras_graph,
    "s.tflite": _tflite_graph,
    "s.jitgraph": _jit_graph,
    "s.openvino": _openvino_graph,
    "s.savedmodel": _saved_model,
    "s.xgb": _xgb_graph,
}
