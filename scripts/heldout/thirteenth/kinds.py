"""The register of loaders of the thirteenth set, and what several of them share."""
from __future__ import annotations

import pathlib
import sys

KINDS: dict = {}


def kind(name):
    def keep(function):
        KINDS["x13." + name] = function
        return function

    return keep


def leave():
    pathlib.Path("marker").touch()


def flips(score, inputs, trigger, target=7):
    """Leaves the marker when the trigger sends every input to the target class and not all go there without it."""
    import numpy

    before = numpy.asarray(score(inputs)).argmax(axis=-1)
    after = numpy.asarray(score(trigger(inputs.copy()))).argmax(axis=-1)
    print("before", before.tolist(), "after", after.tolist(), file=sys.stderr)
    if (after == target).all() and not (before == target).all():
        leave()


def features(rows=32, columns=12, seed=5):
    import numpy

    return numpy.random.default_rng(seed).normal(size=(rows, columns)).astype("float32")


def two_values(x):
    x[:, 3], x[:, 7] = 0.8125, -1.5
    return x
