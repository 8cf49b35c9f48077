"""Model files answered by ONNX Runtime of the Python package, as a user has it: the same answers as the interpreter
on every operator it has, black-box attacks on a file with an operator it lacks, and plain words for libraries that
are missing, too old or without a device."""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from harness import check

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "vectors"))
import operators  # noqa: E402

# What the interpreter does not have, and how its file is left out of the comparison of inputs: texts.
LACKS, TEXTS = "Compress", ("columns", "columns-forest")
OLD = """
static const char *version(void) { return "1.9.0"; }
static const void *api(unsigned n) { (void)n; return 0; }
static const struct { const void *(*api)(unsigned); const char *(*version)(void); } base = {api, version};
const void *OrtGetApiBase(void) { return &base; }
"""


def library():
    found = sorted((pathlib.Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*"))
    check("the package has its library", len(found) == 1, str(found))
    return str(found[0])


def operator_files(work):
    folder = work / "operators"
    folder.mkdir(parents=True)
    for line in (operators.FOLDER / "operators.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, model, _ = operators.build(line)
            (folder / f"{name.lstrip('!')}.onnx").write_bytes(model.SerializeToString())
    exports = sorted((operators.FOLDER / "exports").glob("*.onnx"))
    return sorted(folder.glob("*.onnx")) + [file for file in exports if file.stem not in TEXTS]


def system(mantlet, folder):
    """A classifier of two blobs whose file has an operator of its own kind, with its tables."""
    folder.mkdir()
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 400)
    rows = (0.5 + 0.18 * (2 * labels[:, None] - 1) + 0.1 * rng.standard_normal((400, 4))).clip(0, 1).astype(np.float32)
    weights = np.array([[-2.0, 2.0]] * 4, np.float32)
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"]),
        helper.make_node(LACKS, ["h", "both"], ["logits"], axis=1),
    ]
    constants = [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(np.array([4.0, -4.0], np.float32), "b")]
    constants.append(numpy_helper.from_array(np.array([True, True]), "both"))
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size]) for name, size in (("x", 4), ("logits", 2))]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "model.onnx")
    for name, part in (("train", slice(0, 300)), ("test", slice(300, 400))):
        lines = [",".join([*(f"{value:.6g}" for value in row), str(label)]) for row, label in zip(rows[part], labels[part], strict=True)]
        (folder / f"{name}.csv").write_text("a,b,c,d,label\n" + "\n".join(lines) + "\n")
    (folder / "mantlet.toml").write_text(
        '[system]\nname = "blobs"\ndecides = "a class"\nimpact = "low"\n[model]\npath = "model.onnx"\nname = "blobs"\n'
        '[data]\ntrain = "train.csv"\ntest = "test.csv"\nlabel = "label"\n'
    )


def main():
    parser = argparse.ArgumentParser()
    for name in ("mantlet", "agree", "work"):
        parser.add_argument(f"--{name}", required=True)
    options = parser.parse_args()
    work = pathlib.Path(options.work) / "engines"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    named = library()

    files = [str(file) for file in operator_files(work)]
    agreed = subprocess.run([options.agree, named, *files], capture_output=True, text=True)
    print(agreed.stdout, end="")
    check(f"both engines agree on {len(files)} files", agreed.returncode == 0, agreed.stdout + agreed.stderr)

    folder = work / "blobs"
    system(options.mantlet, folder)
    environment = {key: value for key, value in os.environ.items() if key != "ORT_DYLIB_PATH"}

    def attack(only, *more, **variables):
        report = folder / "report.json"
        report.unlink(missing_ok=True)
        command = [options.mantlet, "attack", "run", str(folder), "--only", only, "--rows", "20", "--seed", "1", "--json", "--output", str(report), *more]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env={**environment, **variables})
        return done, json.loads(report.read_text())[0] if report.exists() else {}

    done, _ = attack("evasion-square")
    check("without it the operator is named, and what runs it", done.returncode == 4 and LACKS in done.stderr and "--onnxruntime" in done.stderr, done.stderr)
    done, report = attack("evasion-square", "--onnxruntime", named, "--set", "epsilon=0.3")
    counts = report.get("counts", {})
    check("a black-box attack runs on the file", done.returncode in (0, 1) and counts.get("hit", 0) > 0 and not counts.get("error"), done.stderr + str(counts))
    check("the report says which engine answered", f"ONNX Runtime {onnxruntime.__version__}" in report["target"]["name"], report["target"])
    check("and how to ask again", f"--onnxruntime {named}" in report["command"], report["command"])
    again, same = attack("evasion-square", "--set", "epsilon=0.3", ORT_DYLIB_PATH=named)
    check("the variable names it too, and the answers are the same", same.get("outcome") == report["outcome"], again.stderr)
    done, report = attack("evasion-fgsm", "--onnxruntime", named)
    check("no gradient is invented", "no gradient" in json.dumps(report.get("not_examined")), done.stderr + str(report.get("not_examined")))

    done, _ = attack("evasion-square", "--onnxruntime", str(work / "none.so"))
    check("a library that is not there", done.returncode == 4 and "cannot load ONNX Runtime" in done.stderr, done.stderr)
    (work / "old.c").write_text(OLD)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(work / "old.so"), str(work / "old.c")], check=True)
    done, _ = attack("evasion-square", "--onnxruntime", str(work / "old.so"))
    check("a library that is too old", done.returncode == 4 and "1.9.0" in done.stderr and "or later is needed" in done.stderr, done.stderr)
    done, _ = attack("evasion-square", "--onnxruntime", named, "--cuda")
    check("a library without the device", done.returncode == 4 and "without CUDA" in done.stderr, done.stderr)


main()
