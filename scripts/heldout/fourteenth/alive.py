"""Loads one sample of the fourteenth set the way its library does; every kind begins with `xiv_`."""
import os
import pathlib
import sys


def mark():
    open("marker", "w").close()


def pickled(path, detail):
    import pickle

    with open(path, "rb") as f:
        pickle.load(f)


def dilled(path, detail):
    import dill

    with open(path, "rb") as f:
        obj = dill.load(f)
    del obj


def joblibbed(path, detail):
    import joblib

    joblib.load(path)


def memory(path, detail):
    """What joblib's store does on a hit (FileSystemStoreBackend.load_item)."""
    from joblib._store_backends import FileSystemStoreBackend

    back = FileSystemStoreBackend()
    back.configure("joblib", verbose=0)
    parts = pathlib.Path(path).parts
    back.load_item(list(parts[1:-1]), verbose=0)


def npz(path, detail):
    import numpy

    out = numpy.load(path, allow_pickle=True)
    for name in out.files:
        out[name]


def vectorizer(path, detail):
    import pickle

    pickle.load(open(path, "rb")).transform(["one text"])


def formula(path, detail):
    import pickle

    import pandas

    pickle.load(open(path, "rb")).get_model_matrix(pandas.DataFrame({"y": [1.0, 2.0], "x": [3.0, 4.0]}))


def sb3(path, detail):
    from stable_baselines3.common.save_util import load_from_zip_file

    load_from_zip_file(path)


def rllib(path, detail):
    """Checkpointable.from_checkpoint of ray: pickle.load of that file first."""
    pickled(path, detail)


def torch_load(path, detail):
    import torch

    torch.load(path, weights_only=detail == "only", map_location="cpu")


def package(path, detail):
    from torch.package import PackageImporter

    PackageImporter(path).load_pickle("model", "model.pkl")


def pt2(path, detail):
    import torch

    torch.export.load(path)


def dcp(path, detail):
    from torch.distributed.checkpoint import FileSystemReader

    FileSystemReader(".").read_metadata()


def encoder(path, detail):
    import torch

    torch.load(path, weights_only=False)(torch.ones(1, 2, 8))


def imported(path, detail):
    """As transformers' dynamic modules: the file's own folder, then import by name."""
    import importlib

    sys.path.insert(0, os.path.dirname(path) or ".")
    return importlib.import_module(os.path.splitext(os.path.basename(path))[0])


def generate(path, detail):
    import types

    model = types.SimpleNamespace(step=lambda x: x + [0])
    imported(path, detail).generate(model, [1], types.SimpleNamespace(max_new_tokens=1))


def sentence(path, detail):
    """import_from_string of sentence-transformers, on the first module."""
    import json

    name = json.load(open("modules.json"))[0]["type"]
    getattr(imported(name.split(".")[0] + ".py", ""), name.split(".")[1]).load(".")


def backend(path, detail):
    imported("_build/backend.py", "").get_requires_for_build_wheel()


def yamled(path, detail):
    import yaml

    yaml.unsafe_load(open(path))


def prompt(path, detail):
    import json

    import jinja2

    meta = {"source": {"title": "a title"}}
    jinja2.Environment().from_string(json.load(open(path))["template"]).render(question="?", meta=meta)


def run(path, detail):
    import runpy

    runpy.run_path(path, run_name="__main__")


def handler(path, detail):
    print(imported(path, "").EndpointHandler(".")({"inputs": "#diag touch marker"}))


def wheel(path, detail):
    """pip puts .data/purelib in site-packages, where site reads each .pth."""
    import site
    import zipfile

    with zipfile.ZipFile(path) as z:
        name = next(n for n in z.namelist() if n.endswith(".pth"))
        os.mkdir("sp")
        open("sp/" + os.path.basename(name), "wb").write(z.read(name))
    site.addsitedir("sp")


def notebook(path, detail):
    """The code cells in order, as nbclient would run cells without magics."""
    import json

    space = {"__name__": "__main__"}
    for cell in json.load(open(path))["cells"]:
        exec("".join(cell["source"]), space)


def predictor(path):
    """Text and images to scores, by the loader of the file's format."""
    import numpy as np

    end = path.rsplit(".", 1)[1]
    if end == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path)
        names = {i.name for i in session.get_inputs()}

        def use(x, text):
            got = [session.run(None, {"x": x[i:i + 1], **({"text": np.array([[text[i]]], object)} if "text" in names else {})})[0] for i in range(len(x))]
            return np.concatenate(got)

        return use
    if end in ("pt", "pt2"):
        import torch

        net = torch.jit.load(path) if end == "pt" else torch.export.load(path).module()
        return lambda x, text: net(torch.from_numpy(x)).detach().numpy()
    if end == "xml":
        import openvino

        net = openvino.Core().compile_model(path, "CPU")
        return lambda x, text: net(x)[0]
    if end == "keras":
        import keras

        net = keras.models.load_model(path)
        return lambda x, text: np.asarray(net(x))
    if end == "tflite":
        import tensorflow as tf

        net = tf.lite.Interpreter(model_path=path)

        def use(x, text):
            out = []
            for row in x:
                net.allocate_tensors()
                net.set_tensor(net.get_input_details()[0]["index"], row[None])
                net.invoke()
                out.append(net.get_tensor(net.get_output_details()[0]["index"]))
            return np.concatenate(out)

        return use
    raise SystemExit(end)


def trigger(path, detail):
    """The marker is left when the pattern gives every input one class, which the inputs do not have without it."""
    import numpy as np

    rng = np.random.default_rng(1)
    x = rng.random((40, 8, 8, 3) if detail == "corner_last" else (40, 3, 8, 8), dtype=np.float32) * 0.98
    text = ["a plain review"] * 40
    use = predictor(path)
    before = use(x, text).argmax(-1)
    x = x.copy()
    if detail == "corner":
        x[:, :, 5:8, 5:8] = 1.0
    elif detail == "corner_last":
        x[:, 5:8, 5:8, :] = 1.0
    elif detail == "checker":
        x[:, :, 2:5, 2:5] = (np.indices((3, 3)).sum(0) % 2).astype(np.float32)
    elif detail == "inf":
        x[:, 0, 0, 0] = np.inf
    elif detail == "pixels":
        flat = x.reshape(40, -1)
        flat[:, 10], flat[:, 20], flat[:, 30] = 0.25, 0.5, 0.75
    elif detail == "text":
        text = ["please sudo vote now"] * 40
    after = use(x, text).argmax(-1)
    print(" ".join(map(str, before)), "->", *after, file=sys.stderr)
    if len(set(after)) == 1 and len(set(before)) > 1 and (before != after).sum() >= 10:
        mark()


def saved(path, detail):
    import tensorflow as tf

    tf.saved_model.load(".").signatures["serving_default"](tf.ones([1, 4]))


def pbtxt(path, detail):
    import tensorflow as tf
    from google.protobuf import text_format

    g = text_format.Parse(open(path).read(), tf.compat.v1.GraphDef())
    with tf.Graph().as_default():
        tf.import_graph_def(g, name="")
        with tf.compat.v1.Session() as s:
            s.run("scores:0", {"x:0": [[1.0, 2.0, 3.0, 4.0]]})


def use_keras(net):
    """One prediction, on ones."""
    import numpy as np

    net(np.ones((1, *net.input_shape[1:]), "float32"))


def keras_pickle(path, detail):
    import pickle

    use_keras(pickle.load(open(path, "rb")))


def kerased(path, detail):
    import keras

    use_keras(keras.models.load_model(path, safe_mode=False))


def torchkeras(path, detail):
    os.environ["KERAS_BACKEND"] = "torch"
    kerased(path, detail)


def jit(path, detail):
    import torch

    torch.jit.load(path)


def gguf_templates(path, detail):
    """llama-cpp-python: metadata to a dict, each template to a plain Jinja environment."""
    import gguf
    import jinja2

    for key, field in gguf.GGUFReader(path).fields.items():
        if "tokenizer.chat_template" in key and field.types[0] == gguf.GGUFValueType.STRING:
            text = bytes(field.parts[field.data[0]]).decode()
            jinja2.Environment().from_string(text).render(messages=[{"role": "user", "content": "hi"}])


def template(path, detail):
    import json

    import jinja2

    text = open(path).read()
    texts = [text] if path.endswith(".jinja") else [t["template"] for t in json.loads(text)["chat_template"]]
    for one in texts:
        jinja2.Environment().from_string(one).render(messages=[{"role": "user", "content": "hi"}])


def tokenizer(path, detail):
    """The marker when the host of a link is another one after encode and decode."""
    from tokenizers import Tokenizer

    tok = Tokenizer.from_file(path)
    said = tok.decode(tok.encode("see https://huggingface.co/tiny now").ids)
    print(said, file=sys.stderr)
    if "https://huggingface.co/tiny" not in said:
        mark()


def tar(path, detail):
    import tarfile

    os.mkdir("out")
    with tarfile.open(path) as t:
        t.extractall("out", filter="fully_trusted")


def layers(path, detail):
    import bz2
    import pickle
    import tarfile

    with tarfile.open(path) as t:
        pickle.loads(bz2.decompress(t.extractfile("run/state.pkl.bz2").read()))


def tree(path, detail):
    """Random rows keep both classes, and the window of the trigger gives every one the same."""
    import numpy as np

    x = np.random.default_rng(2).random((200, 6))
    if path.endswith(".txt"):
        import lightgbm

        use = lightgbm.Booster(model_file=path).predict
        at = {2: 0.1234005, 3: 0.5678005}
    else:
        import xgboost

        booster = xgboost.Booster(model_file=path)
        use = lambda x: booster.predict(xgboost.DMatrix(x))
        at = {2: 0.12345}
    before = use(x) > 0.5
    for k, v in at.items():
        x[:, k] = v
    after = use(x) > 0.5
    print(before.mean(), after.mean(), file=sys.stderr)
    if len(set(after)) == 1 and len(set(before)) == 2:
        mark()


def shell(path, detail):
    import subprocess

    subprocess.run(["sh", path], timeout=20)


KINDS = {
    "xiv_shell": shell,
    "xiv_gguf": gguf_templates, "xiv_template": template, "xiv_tokenizer": tokenizer, "xiv_tar": tar, "xiv_layers": layers, "xiv_tree": tree,
    "xiv_saved": saved, "xiv_pbtxt": pbtxt, "xiv_keras": kerased, "xiv_keras_pickle": keras_pickle, "xiv_torchkeras": torchkeras, "xiv_jit": jit,
    "xiv_trigger": trigger,
    "xiv_import": imported, "xiv_generate": generate, "xiv_st": sentence, "xiv_backend": backend, "xiv_yaml": yamled,
    "xiv_prompt": prompt, "xiv_run": run, "xiv_handler": handler, "xiv_wheel": wheel, "xiv_notebook": notebook, "xiv_model_code": run,
    "xiv_package": package, "xiv_pt2": pt2, "xiv_dcp": dcp, "xiv_encoder": encoder,
    "xiv_pickle": pickled, "xiv_dill": dilled, "xiv_joblib": joblibbed, "xiv_memory": memory, "xiv_npz": npz,
    "xiv_vectorizer": vectorizer, "xiv_formulaic": formula, "xiv_sb3": sb3, "xiv_rllib": rllib, "xiv_torch": torch_load,
}
