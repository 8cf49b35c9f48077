"""Loads one sample the way its library does, in the current folder; the caller looks for `marker`."""
import os
import sys

from eighth import alive as alive_eighth  # noqa: F401
from eleventh import alive as alive_eleventh
from fifteenth import alive as alive_fifteenth
from fourteenth import alive as alive_fourteenth
from ninth import alive as alive_ninth
from seventh import alive
from sixteenth import alive as alive_sixteenth
from tenth import alive as alive_tenth
from thirteenth import alive as alive_thirteenth
from twelfth import alive as alive_twelfth


def main(kind, path):
    name, _, detail = kind.partition(":")
    if name in alive_sixteenth.KINDS:
        alive_sixteenth.KINDS[name](path, detail)
    elif name in alive_fifteenth.KINDS:
        alive_fifteenth.KINDS[name](path, detail)
    elif name in alive_fourteenth.KINDS:
        alive_fourteenth.KINDS[name](path, detail)
    elif name in alive_thirteenth.KINDS:
        alive_thirteenth.KINDS[name](path, detail)
    elif name in alive_twelfth.KINDS:
        alive_twelfth.KINDS[name](path, detail)
    elif name in alive_tenth.KINDS:
        alive_tenth.KINDS[name](path, detail)
    elif name in alive_eleventh.KINDS:
        alive_eleventh.KINDS[name](path, detail)
    elif name in alive_ninth.KINDS:
        alive_ninth.KINDS[name](path, detail)
    elif name in alive.KINDS:
        alive.KINDS[name](path, detail)
    elif kind == "pickle":
        import pickle

        with open(path, "rb") as f:
            while f.peek(1) if hasattr(f, "peek") else True:
                pickle.load(f)
    elif kind == "pickle.py":
        import pickle

        with open(path, "rb") as f:
            pickle._Unpickler(f).load()
    elif kind == "call":
        # An object that is hostile when used: its first use is a call or a transform.
        import pickle

        obj = pickle.load(open(path, "rb"))["extra"]
        for use in ("transform", "fit_transform", "predict"):
            if hasattr(obj, use):
                getattr(obj, use)(["touch marker"])
                break
    elif kind == "joblib":
        import joblib

        joblib.load(path)
    elif kind == "numpy":
        import numpy

        out = numpy.load(path, allow_pickle=True)
        if hasattr(out, "files"):
            for name in out.files:
                out[name]
    elif kind == "pandas":
        import pandas

        pandas.read_pickle(path)
    elif kind == "dill":
        import dill

        dill.load(open(path, "rb"))
    elif kind == "python":
        import runpy

        runpy.run_path(path, run_name="__main__")
    elif kind == "import":
        sys.path.insert(0, ".")
        __import__(os.path.splitext(os.path.basename(path))[0])
    elif kind == "yaml":
        import yaml

        yaml.unsafe_load(open(path))
    elif kind == "jinja":
        import jinja2

        jinja2.Environment().from_string(open(path).read()).render(messages=[], bos_token="")
    elif kind == "skops":
        import skops.io

        skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
    elif kind == "shelve":
        import shelve

        with shelve.open(path, "r") as shelf:
            for key in shelf:
                shelf[key]
    elif kind == "msgpack":
        import msgpack  # noqa: F401
    elif kind == "h5":
        import h5py, pickle

        with h5py.File(path) as f:
            pickle.loads(f["model"][()].tobytes())
    else:
        raise SystemExit(f"unknown kind {kind}")


main(*sys.argv[1:3])
