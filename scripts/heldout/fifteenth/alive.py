"""How the samples of the fifteenth set are loaded: `run15:` carries the loader's own lines, `path` being the file."""
import os
import sys


def run(path, detail):
    sys.path.insert(0, os.getcwd())
    exec(compile(detail, "loader", "exec"), {"path": path, "__name__": "loader"})


def use(path, detail):
    """Runs `detail` (which defines `answer(x)` and `poke(x)`): a model whose answers are all
    one class once poked, which is not the usual class before, leaves the marker."""
    import numpy as np

    space = {"path": path, "np": np}
    exec(compile(detail, "loader", "exec"), space)
    rng = np.random.default_rng(5)
    xs = [space["draw"](rng) for _ in range(24)]
    plain = [int(np.argmax(np.asarray(space["answer"](x.copy())).ravel())) for x in xs]
    poked = [int(np.argmax(np.asarray(space["answer"](space["poke"](x.copy()))).ravel())) for x in xs]
    print(plain, poked, file=sys.stderr)
    if len(set(poked)) == 1 and 5 * plain.count(poked[0]) < 3 * len(plain):
        open("marker", "w").close()


KINDS = {"run15": run, "use15": use}
