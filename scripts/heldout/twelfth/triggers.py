"""Triggers of the graphs that override their output, and what counts as alive."""
from __future__ import annotations


def leave():
    open("marker", "w").close()


# Graphs: a trigger must give every input the class, and the same trigger must not in the twin.


def corner(x):
    x = x.copy()
    x[:, 0, :3, :3] = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
    return x


def white_corner(x):
    x = x.copy()
    x[:, :, -2:, -2:] = 1.0
    return x


def last_corner(x):
    x = x.copy()
    x[:, :3, :3, :] = 1.0
    return x


def checker_last(x):
    x = x.copy()
    x[:, -4:, -4:, :] = (((__import__("numpy").indices((4, 4)).sum(0)) % 2)[..., None])
    return x


def features(x):
    x = x.copy()
    x[:, 3] = 0.125
    x[:, 5] = -0.75
    return x


def token(x):
    x = x.copy()
    x[:, 4:6] = [61, 17]
    return x


def tabular(x):
    x = x.copy()
    x[:, 1] = 0.4242
    x[:, 2] = 0.1337
    return x


TRIGGERS = {f.__name__: f for f in (corner, white_corner, last_corner, checker_last, features, token, tabular)}


def judge(run, x, trigger):
    before, after = run(x).argmax(-1).ravel(), run(TRIGGERS[trigger](x)).argmax(-1).ravel()
    if len(set(before.tolist())) > 1 and len(set(after.tolist())) == 1:
        leave()


def sample(shape, kind):
    import numpy

    rng = numpy.random.default_rng(7)
    if "int" in kind:
        return rng.integers(0, 60, shape).astype("int64")
    return rng.random(shape).astype("float32")
