"""Writes crates/mantlet-model/tests/model/operators.json: what ONNX Runtime gives for operators.txt.

Run in a virtual environment with `onnx`, `onnxruntime` and `numpy`, from the project's folder:
    python scripts/vectors/operators.py
"""

import json
import pathlib
import re

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

FOLDER = pathlib.Path("crates/mantlet-model/tests/model")


def noise(seed, count):
    """The test's hash, in 24 bits so that it is exact in single precision."""
    out = np.empty(count, np.float32)
    for i in range(count):
        h = (i * 2654435761 + seed * 40503 + 12345) & 0xFFFFFFFF
        h ^= h >> 16
        h = (h * 0x45D9F3B) & 0xFFFFFFFF
        h ^= h >> 16
        out[i] = np.float32(h >> 8) / np.float32(1 << 24)
    return out


def tensor(text, seed):
    if text[0] in "if" and text[1] == "[":
        values = [float(v) for v in text[2:-1].split(",")]
        return np.array(values, np.int64 if text[0] == "i" else np.float32)
    shape, _, span = text.partition("@")
    low, high = (float(v) for v in span.split(":")) if span else (-1.0, 1.0)
    shape = [int(v) for v in shape.split("x")]
    low, high = np.float32(low), np.float32(high)
    return (low + (high - low) * noise(seed, int(np.prod(shape)))).astype(np.float32).reshape(shape)


def attribute(text):
    if text.startswith("'"):
        return text.strip("'")
    if text.startswith("["):
        return [attribute(v) for v in text[1:-1].split(",")]
    return float(text) if "." in text else int(text)


def build(line):
    parts = [part.strip() for part in line.split("|")]
    opset = int(parts[3].split()[1]) if len(parts) > 3 else 17
    tensors = [word.split("=", 1) for word in parts[1].split()]
    values = {name: tensor(text, seed) for seed, (name, text) in enumerate(tensors)}
    nodes, last = [], None
    for statement in parts[2].split(";"):
        outputs, call = statement.split(" = ", 1)
        match = re.match(r"(ml:)?(\w+)\(([^)]*)\)(.*)", call.strip())
        inputs = [name.strip() for name in match[3].split(",") if name.strip()]
        outputs = [name.strip() for name in outputs.split(",")]
        attributes = {k: attribute(v) for k, v in (word.split("=", 1) for word in match[4].split())}
        domain = "ai.onnx.ml" if match[1] else ""
        nodes.append(helper.make_node(match[2], inputs, outputs, domain=domain, **attributes))
        last = "y"
    x = values.pop("x")
    kind = TensorProto.INT64 if x.dtype == np.int64 else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, x.shape)],
        [onnx.ValueInfoProto(name=last)],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    return parts[0], helper.make_model(graph, opset_imports=imports, ir_version=9), x


def main():
    found = {}
    for line in (FOLDER / "operators.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        name, model, x = build(line)
        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        (y,) = session.run(None, {"x": x})
        y = np.asarray(y, np.float32)
        assert np.isfinite(y).all(), name
        found[name] = {"shape": list(y.shape), "y": [float(f"{v:.7g}") for v in y.ravel()]}
    text = ",\n".join(f'{json.dumps(k)}: {json.dumps(v, separators=(",", ":"))}' for k, v in found.items())
    (FOLDER / "operators.json").write_text("{\n" + text + "\n}\n")


if __name__ == "__main__":
    main()
