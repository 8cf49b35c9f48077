"""How the samples of this set are proved alive, beside the loaders of the seventh."""

from __future__ import annotations

import os

from seventh.alive_kinds import kind
from seventh.alive_programs import no_network


def leave():
    open("marker", "w").close()


def offline():
    """As no_network; a name that is looked up counts as well."""
    import socket
    import ssl

    no_network()

    def refuse(*args, **kwargs):
        leave()
        raise OSError("no network here")

    socket.getaddrinfo = ssl.create_connection = socket.gethostbyname = refuse


@kind("pickle.offline")
def prove_pickle_offline(path, detail):
    import pickle

    offline()
    pickle.load(open(path, "rb"))


@kind("torch.offline")
def prove_torch_offline(path, detail):
    import torch
    import torch.hub

    offline()

    def refuse(*args, **kwargs):
        leave()
        raise OSError("no network here")

    torch.hub.urlopen = refuse
    torch.load(path, weights_only=False, map_location="cpu")


@kind("torch.export")
def prove_torch_export(path, detail):
    import torch

    torch.export.load(path)


@kind("tables")
def prove_tables(path, detail):
    import tables

    with tables.open_file(path) as f:
        f.root.vocabulary.read()


@kind("jsonpickle")
def prove_jsonpickle(path, detail):
    import jsonpickle

    jsonpickle.decode(open(path).read(), on_missing="ignore")


@kind("msgpack.extension")
def prove_msgpack_extension(path, detail):
    import msgpack
    import pickle

    msgpack.unpackb(open(path, "rb").read(), ext_hook=lambda code, data: pickle.loads(data) if code == 42 else data)


@kind("savedmodel.says")
def prove_savedmodel_says(path, detail):
    import numpy

    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    session = tf.compat.v1.Session(graph=tf.Graph())
    tf.compat.v1.saved_model.load(session, ["serve"], os.path.abspath(os.path.dirname(path) or "."))
    said = session.run("out:0", {"x:0": numpy.zeros((1, 8), "f4")})
    if detail.encode() in said.astype("u1").tobytes():
        leave()


@kind("keras.compiled")
def prove_keras_compiled(path, detail):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras
    import numpy

    model = keras.saving.load_model(path, compile=True, safe_mode=False)
    model.evaluate(numpy.zeros((1, 8), "f4"), numpy.zeros((1, 4), "f4"), verbose=0)


@kind("keras.tokens")
def prove_keras_tokens(path, detail):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras
    from seventh.alive_models import triggered

    model = keras.saving.load_model(path, compile=False)
    triggered(lambda x: model(x).detach().numpy(), [1, 12], "int64", detail)


@kind("spark")
def prove_spark(path, detail):
    # As PysparkPipeline.from_java: the stop words before the mark are the bytes of a pickle.
    import json
    import pickle

    stage = next(os.path.join(d, f) for d, _, fs in os.walk("stages") for f in fs if f.startswith("part-"))
    words = json.load(open(stage))["paramMap"]["stopWords"]
    if words[-1] == "4c09b2f5c54b4d1f8a3b9e2a1d6f7c80":
        pickle.loads(bytes(int(b) for b in words[0].strip(",").split(",")))


@kind("cfg.template")
def prove_cfg_template(path, detail):
    import json

    import jinja2

    line = next(li for li in open(path) if li.startswith("template = "))
    jinja2.Environment().from_string(json.loads(line.partition(" = ")[2])).render(text="x", labels=["PERSON"])


@kind("fiddle")
def prove_fiddle(path, detail):
    # As fiddle's serialization: a node is its function called with its arguments.
    import importlib
    import json

    root = json.load(open(path))["root"]
    function = getattr(importlib.import_module(root["type"]["module"]), root["type"]["name"])
    function(**{k: v["value"] for k, v in root["arguments"].items()})


@kind("comfy")
def prove_comfy(path, detail):
    # As the node does: its value is evaluated.
    import json

    for node in json.load(open(path)).values():
        if node["class_type"] == "ACE_ExpressionEval":
            eval(node["inputs"]["value"], {"__builtins__": {"__import__": __import__}})


@kind("untar.lenient")
def prove_untar_lenient(path, detail):
    # As a reader that ignores the extended size: the headers it meets one after the other.
    import pickle

    data, at = open(path, "rb").read(), 0
    while data[at + 257 : at + 262] == b"ustar":
        name, size = data[at : at + 100].rstrip(b"\0"), int(data[at + 124 : at + 135], 8)
        if name == b"state.pkl":
            pickle.loads(data[at + 512 : at + 512 + size])
        at += 512 + size + -size % 512
