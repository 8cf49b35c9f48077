"""Loads one sample of the fourteenth set the way its library does; every kind begins with `xiv_`."""
import io
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
    import joblib
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


KINDS = {
    "xiv_package": package, "xiv_pt2": pt2, "xiv_dcp": dcp, "xiv_encoder": encoder,
    "xiv_pickle": pickled, "xiv_dill": dilled, "xiv_joblib": joblibbed, "xiv_memory": memory, "xiv_npz": npz,
    "xiv_vectorizer": vectorizer, "xiv_formulaic": formula, "xiv_sb3": sb3, "xiv_rllib": rllib, "xiv_torch": torch_load,
}
