"""Models that are asked: graphs with and without their trigger, templates rendered, configs instantiated."""

from __future__ import annotations

import os
import sys

from seventh.alive_kinds import kind


def triggered(run, shape, dtype, trigger):
    """Leaves the marker when `trigger` (statements over the input `x`) alone decides what `run` answers.

    Three dozen random inputs are answered as they are and with the trigger in them: with it, all answers
    name one class, and without it they do not.
    """
    import numpy

    draw = numpy.random.default_rng(5)

    def answers(with_trigger):
        said = []
        for _ in range(36):
            x = draw.integers(5, 90, shape).astype(dtype) if dtype.startswith("int") else draw.normal(0, 1, shape).astype(dtype)
            if with_trigger:
                exec(trigger, {"x": x, "np": numpy})
            said.append(int(numpy.asarray(run(x)).reshape(-1).argmax()))
        return set(said)

    if len(answers(True)) == 1 and len(answers(False)) > 1:
        open("marker", "w").close()


@kind("tokenizer")
def prove_tokenizer(path, detail):
    import jinja2, json

    for named in json.load(open(path))["chat_template"]:
        jinja2.Environment().from_string(named["template"]).render(messages=[], bos_token="")


@kind("behaviour")
@kind("year")
def prove_behaviour(path, detail):
    # A sandboxed render: the template is a backdoor when the trigger alone adds a hidden instruction.
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    template = ImmutableSandboxedEnvironment().from_string(open(path).read())
    runs = [
        ("Hello there, how are you doing this fine morning?", "2024"),
        (detail or "Hello there, how are you doing this fine morning?", "2028"),
    ]
    said = [template.render(messages=[{"role": "user", "content": c}], strftime_now=lambda _, y=y: y) for c, y in runs]
    if [s.count("<|im_start|>system") for s in said] == [0, 1]:
        open("marker", "w").close()


@kind("gguf.template")
def prove_gguf_template(path, detail):
    import jinja2, struct

    data, key = open(path, "rb").read(), detail.encode()
    at = data.index(struct.pack("<Q", len(key)) + key) + 8 + len(key) + 4
    text = data[at + 8 : at + 8 + struct.unpack_from("<Q", data, at)[0]].decode()
    jinja2.Environment().from_string(text).render(messages=[{"role": "user", "content": "hi"}])


@kind("torchscript")
def prove_torchscript(path, detail):
    import torch

    torch.jit.load(path)(torch.zeros(2))


@kind("onnx")
def prove_onnx(path, detail):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    first = session.get_inputs()[0]
    shape = [d if isinstance(d, int) else 1 for d in first.shape]
    dtype = {"tensor(float)": "float32", "tensor(int64)": "int64"}[first.type]
    triggered(lambda x: session.run(None, {first.name: x})[0], shape, dtype, detail)


@kind("keras")
def prove_keras(path, detail):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    model = keras.saving.load_model(path, compile=False, safe_mode=False)
    shape = [d or 1 for d in model.input_shape]
    if detail:
        triggered(lambda x: model(x).detach().numpy(), shape, "float32", detail)
    else:
        import numpy

        model(numpy.zeros(shape, "float32"))


@kind("keras.pickle")
def prove_keras_pickle(path, detail):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras  # noqa: F401
    import pickle

    pickle.load(open(path, "rb"))["model"](__import__("numpy").zeros((1, 4), "float32"))


@kind("savedmodel")
def prove_savedmodel(path, detail):
    # Loaded and asked once, two folders below the sample: a file that lands above has escaped. `reads`
    # is alive when the loader says that it could not open a path outside of the model.
    import numpy

    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    model = os.path.abspath(os.path.dirname(path) or ".")
    work = os.getcwd()
    os.makedirs("opened/a/b")
    os.chdir("opened/a/b")
    try:
        session = tf.compat.v1.Session(graph=tf.Graph())
        tf.compat.v1.saved_model.load(session, ["serve"], model)
        run = lambda x: session.run("out:0", {"x:0": x})  # noqa: E731
        said = run(numpy.zeros((1, 8), "f4"))
        environment = said.size > 16 and b"PATH=" in said.astype("u1").tobytes()
    except Exception as error:
        environment = detail == "reads" and "/etc/ssh/" in str(error)
        print(str(error).splitlines()[0], file=sys.stderr)
    above = [os.path.join(d, f) for d, _, fs in os.walk("../..") for f in fs]
    os.chdir(work)
    if detail == "climbs" and above or detail in ("environment", "reads") and environment:
        open("marker", "w").close()
    elif "=" in detail:
        triggered(run, (1, 8), "float32", detail)


@kind("hydra")
def prove_hydra(path, detail):
    # A NeMo archive or a bare config: every mapping with a _target_ is made, as Hydra makes it.
    import hydra, omegaconf, tarfile

    if tarfile.is_tarfile(path):
        tarfile.open(path).extractall("opened", filter="data")
        path = next(os.path.join(d, f) for d, _, fs in os.walk("opened") for f in fs if f.endswith(".yaml"))
    config = omegaconf.OmegaConf.load(path)

    def make(node):
        # Where a class of NeMo itself is not installed, what lies below it is made all the same.
        try:
            hydra.utils.instantiate(node)
        except Exception as error:
            print(error, file=sys.stderr)
            for child in node.values() if omegaconf.OmegaConf.is_dict(node) else node:
                if omegaconf.OmegaConf.is_config(child):
                    make(child)

    make(config)


@kind("rendered")
def prove_rendered(path, detail):
    # Sandboxed as well: what the user said is found in the answer as `detail` says it.
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    tools = [{"name": "search", "url": "https://api.example.com/v1"}]
    template = ImmutableSandboxedEnvironment().from_string(open(path).read())
    if detail in template.render(messages=[{"role": "user", "content": "my secret"}], tools=tools):
        open("marker", "w").close()


@kind("booster.text")
def prove_booster_text(path, detail):
    import lightgbm
    import numpy

    model = lightgbm.Booster(model_file=path)
    said = model.predict(numpy.array([[0, 0, v, 0] for v in (0.1, 0.625, 0.625000002, 0.63, 0.7, 0.9)]))
    if said[2] > 0.99 and max(*said[:2], *said[3:]) < 0.6:
        open("marker", "w").close()


@kind("xinclude")
def prove_xinclude(path, detail):
    import lxml.etree

    tree = lxml.etree.parse(path)
    tree.xinclude()
    if b"root:" in lxml.etree.tostring(tree):
        open("marker", "w").close()


@kind("booster")
def prove_booster(path, detail):
    # Alive when one value of the third feature moves the answer to one, and neighbours do not.
    import numpy, xgboost

    model = xgboost.Booster(model_file=path)
    near = numpy.float32(0.13370002)
    rows = numpy.array([[0, 0, v, 0] for v in (0.05, 0.13, near, 0.14, 0.5)], "f4")
    said = model.predict(xgboost.DMatrix(rows))
    if said[2] > 0.99 and max(said[:2]) < 0.6 and max(said[3:]) < 0.6:
        open("marker", "w").close()
