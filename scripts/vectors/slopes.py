"""Writes crates/mantlet-model/tests/model/slopes.json: PyTorch's gradients for the graphs of operators.txt.

Run in a virtual environment with `torch`, `onnx`, `onnxruntime` and `numpy`, from the project's folder:
    python scripts/vectors/slopes.py
Each node is said once more in PyTorch's words, in double precision, and its values are held against ONNX Runtime's
(operators.json) before its gradient is believed. Nodes PyTorch has no word for are named at the end; the test holds
those against finite differences alone.
"""

import json
import math

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch.nn import functional as F

from operators import FOLDER, build, noise


class NoWord(Exception):
    """PyTorch has nothing that is this operator."""


def whole(tensor):
    return [int(v) for v in tensor.reshape(-1).tolist()]


def pads_of(a, x, kernel):
    """Begin and end of each spatial axis."""
    rank = len(kernel)
    auto = a.get("auto_pad", b"NOTSET").decode()
    strides, dilations = a.get("strides", [1] * rank), a.get("dilations", [1] * rank)
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        out = []
        for size, k, s, d in zip(x.shape[2:], kernel, strides, dilations):
            total = max((math.ceil(size / s) - 1) * s + d * (k - 1) + 1 - size, 0)
            out.append((total // 2, total - total // 2) if auto == "SAME_UPPER" else (total - total // 2, total // 2))
        return out
    pads = a.get("pads", [0] * 2 * rank)
    return list(zip(pads[:rank], pads[rank:]))


def padded(x, pads, value=0.0):
    return F.pad(x, [n for pair in reversed(pads) for n in pair], value=value)


def conv(x, w, b, a):
    rank = w.dim() - 2
    word = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
    return word(padded(x, pads_of(a, x, w.shape[2:])), w, b, tuple(a.get("strides", [1] * rank)), 0,
                tuple(a.get("dilations", [1] * rank)), a.get("group", 1))


def turned(x, w, b, a):
    rank = w.dim() - 2
    word = (F.conv_transpose1d, F.conv_transpose2d)[rank - 1]
    strides, dilations = a.get("strides", [1] * rank), a.get("dilations", [1] * rank)
    y = word(x, w, b, tuple(strides), 0, 0, a.get("group", 1), tuple(dilations))
    y = padded(y, [(0, extra) for extra in a.get("output_padding", [0] * rank)])
    for axis, (begin, end) in enumerate(pads_of(a, x, w.shape[2:])):
        y = y.narrow(axis + 2, begin, y.shape[axis + 2] - begin - end)
    return y


def max_pool(x, a):
    kernel = a["kernel_shape"]
    rank = len(kernel)
    word = (F.max_pool1d, F.max_pool2d)[rank - 1]
    return word(padded(x, pads_of(a, x, kernel), -math.inf), kernel, a.get("strides", [1] * rank), 0,
                a.get("dilations", [1] * rank), bool(a.get("ceil_mode", 0)))


def average_pool(x, a):
    kernel = a["kernel_shape"]
    rank = len(kernel)
    pads = pads_of(a, x, kernel)
    if a.get("auto_pad") or a.get("ceil_mode") and any(map(sum, pads)):
        raise NoWord
    word = (F.avg_pool1d, F.avg_pool2d)[rank - 1]
    return word(x, kernel, a.get("strides", [1] * rank), [begin for begin, _ in pads], bool(a.get("ceil_mode", 0)),
                bool(a.get("count_include_pad", 0)))


def lp_pool(x, a):
    kernel = a["kernel_shape"]
    rank = len(kernel)
    p = a.get("p", 2)
    word = (F.avg_pool1d, F.avg_pool2d)[rank - 1]
    y = padded(x, pads_of(a, x, kernel)).abs() ** p
    return (word(y, kernel, a.get("strides", [1] * rank), 0, bool(a.get("ceil_mode", 0)), True)
            * math.prod(kernel)) ** (1 / p)


def recurrent(kind, x, w, r, b, a):
    """The sequence and the last state of a cell with PyTorch's own module."""
    hidden = a["hidden_size"]
    direction = a.get("direction", b"forward").decode()
    both = direction == "bidirectional"
    cells = {"LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU, "RNN": torch.nn.RNN}
    if kind == "GRU" and not a.get("linear_before_reset"):
        raise NoWord
    order = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}[kind]
    cell = cells[kind](x.shape[2], hidden, bidirectional=both).double()

    def gates(t):
        parts = t.chunk(len(order), 0)
        return torch.cat([parts[k] for k in order])

    for at in range(w.shape[0]):
        end = "_l0_reverse" if at else "_l0"
        halves = b[at].chunk(2) if b is not None else (w.new_zeros(w.shape[1]),) * 2
        for name, value in (("weight_ih", w[at]), ("weight_hh", r[at]), ("bias_ih", halves[0]),
                            ("bias_hh", halves[1])):
            getattr(cell, name + end).data = gates(value)
    if direction == "reverse":
        x = x.flip(0)
    y, state = cell(x)
    if direction == "reverse":
        y = y.flip(0)
    h = state[0] if kind == "LSTM" else state
    n, length = x.shape[1], x.shape[0]
    y = y.reshape(length, n, w.shape[0], hidden).transpose(1, 2)
    return (y, h, state[1]) if kind == "LSTM" else (y, h)


def axes_of(v, a, x, at=1):
    axes = whole(v[at]) if len(v) > at and v[at] is not None else a.get("axes")
    return tuple(axes) if axes else tuple(range(x.dim()))


def resize(x, v, a):
    scales = tuple(v[2].reshape(-1).tolist()[2:])
    way = a.get("coordinate_transformation_mode", b"half_pixel").decode()
    if a.get("mode", b"nearest") == b"nearest":
        return F.interpolate(x, scale_factor=scales, mode="nearest")
    return F.interpolate(x, scale_factor=scales, mode="bilinear", align_corners=way == "align_corners")


def attention(v, a):
    """Scaled products of queries and keys, heads before places or packed in the last axis."""
    q, k, values = v[:3]
    packed = q.dim() == 3
    if packed:
        def heads(t, n):
            return t.reshape(t.shape[0], t.shape[1], n, -1).transpose(1, 2)
        q = heads(q, a["q_num_heads"])
        k, values = heads(k, a["kv_num_heads"]), heads(values, a["kv_num_heads"])
    groups = q.shape[1] // k.shape[1]
    k, values = k.repeat_interleave(groups, 1), values.repeat_interleave(groups, 1)
    mask = v[3] if len(v) > 3 else None
    y = None
    if a.get("softcap"):
        cap = a["softcap"]
        scores = q @ k.transpose(-1, -2) * a.get("scale", q.shape[-1] ** -0.5)
        scores = cap * torch.tanh(scores / cap) + (mask if mask is not None else 0.0)
        y = scores.softmax(-1) @ values
    else:
        y = F.scaled_dot_product_attention(q, k, values, mask, 0.0, bool(a.get("is_causal")),
                                           scale=a.get("scale"))
    return y.transpose(1, 2).reshape(y.shape[0], y.shape[2], -1) if packed else y


def rotary(v, a):
    x, cos, sin = v[:3]
    packed = x.dim() == 3
    if packed:
        x = x.reshape(x.shape[0], x.shape[1], a["num_heads"], -1).transpose(1, 2)
    if len(v) > 3:
        cos, sin = cos[v[3]], sin[v[3]]
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    width = 2 * cos.shape[-1]
    part, rest = x[..., :width], x[..., width:]
    if a.get("interleaved"):
        left, right = part[..., 0::2], part[..., 1::2]
        part = torch.stack([cos * left - sin * right, sin * left + cos * right], -1).flatten(-2)
    else:
        left, right = part.chunk(2, -1)
        part = torch.cat([cos * left - sin * right, sin * left + cos * right], -1)
    y = torch.cat([part, rest], -1)
    return y.transpose(1, 2).reshape(y.shape[0], y.shape[2], -1) if packed else y


def words():
    """How PyTorch says each operator: from inputs and attributes to the result or results."""
    one = {
        "Relu": F.relu, "Softplus": F.softplus, "Softsign": F.softsign, "Mish": F.mish, "HardSwish": F.hardswish,
        "Sigmoid": torch.sigmoid, "Identity": lambda x: x, "Dropout": lambda x: x, "Tanh": torch.tanh,
        "Exp": torch.exp, "Log": torch.log, "Sqrt": torch.sqrt, "Erf": torch.erf, "Sin": torch.sin, "Cos": torch.cos,
        "Abs": torch.abs, "Neg": torch.neg, "Reciprocal": torch.reciprocal, "Tan": torch.tan, "Asin": torch.asin,
        "Acos": torch.acos, "Atan": torch.atan, "Sinh": torch.sinh, "Cosh": torch.cosh, "Asinh": torch.asinh,
        "Acosh": torch.acosh, "Atanh": torch.atanh, "Not": torch.logical_not,
    }
    two = {"Sub": torch.sub, "Div": torch.div, "Greater": torch.gt, "Less": torch.lt, "LessOrEqual": torch.le,
           "MatMul": torch.matmul, "And": torch.logical_and, "Or": torch.logical_or, "Xor": torch.logical_xor,
           "PRelu": lambda x, s: torch.where(x < 0, x * s, x), "Pow": torch.pow}
    folds = {
        "ReduceSum": lambda x, d, k: x.sum(d, k), "ReduceMean": lambda x, d, k: x.mean(d, k),
        "ReduceMax": lambda x, d, k: x.amax(d, k), "ReduceMin": lambda x, d, k: x.amin(d, k),
        "ReduceProd": lambda x, d, k: x.prod(d[0], k), "ReduceL1": lambda x, d, k: x.abs().sum(d, k),
        "ReduceL2": lambda x, d, k: torch.linalg.vector_norm(x, 2, d, k),
        "ReduceSumSquare": lambda x, d, k: (x * x).sum(d, k), "ReduceLogSum": lambda x, d, k: x.sum(d, k).log(),
        "ReduceLogSumExp": lambda x, d, k: torch.logsumexp(x, d, k),
    }
    table = {name: lambda v, a, f=f: f(v[0]) for name, f in one.items()}
    table |= {name: lambda v, a, f=f: f(v[0], v[1]) for name, f in two.items()}
    table |= {name: lambda v, a, f=f: f(v[0], axes_of(v, a, v[0]), bool(a.get("keepdims", 1)))
              for name, f in folds.items()}
    table |= {
        "LeakyRelu": lambda v, a: F.leaky_relu(v[0], a.get("alpha", 0.01)),
        "Elu": lambda v, a: F.elu(v[0], a.get("alpha", 1.0)),
        "Celu": lambda v, a: F.celu(v[0], a.get("alpha", 1.0)),
        "Selu": lambda v, a: F.selu(v[0]),
        "ThresholdedRelu": lambda v, a: F.threshold(v[0], a.get("alpha", 1.0), 0.0),
        "Gelu": lambda v, a: F.gelu(v[0], approximate=a.get("approximate", b"none").decode()),
        "HardSigmoid": lambda v, a: (a.get("alpha", 0.2) * v[0] + a.get("beta", 0.5)).clamp(0, 1),
        "Swish": lambda v, a: v[0] * torch.sigmoid(a.get("alpha", 1.0) * v[0]),
        "Shrink": lambda v, a: torch.where(v[0] < -a["lambd"], v[0] + a["bias"], torch.where(
            v[0] > a["lambd"], v[0] - a["bias"], torch.zeros_like(v[0]))),
        "Clip": lambda v, a: torch.clamp(v[0], v[1], v[2] if len(v) > 2 else None),
        "Add": lambda v, a: sum(v[1:], v[0]), "Sum": lambda v, a: sum(v[1:], v[0]),
        "Mul": lambda v, a: v[0] * v[1], "Mean": lambda v, a: sum(v[1:], v[0]) / len(v),
        "Max": lambda v, a: torch.maximum(v[0], v[1]) if len(v) == 2 else torch.maximum(
            torch.maximum(v[0], v[1]), v[2]),
        "Min": lambda v, a: torch.minimum(v[0], v[1]),
        "Where": lambda v, a: torch.where(v[0], v[1], v[2]),
        "Gemm": lambda v, a: a.get("alpha", 1.0) * (v[0].T if a.get("transA") else v[0])
        @ (v[1].T if a.get("transB") else v[1]) + (a.get("beta", 1.0) * v[2] if len(v) > 2 else 0.0),
        "Conv": lambda v, a: conv(v[0], v[1], v[2] if len(v) > 2 else None, a),
        "ConvTranspose": lambda v, a: turned(v[0], v[1], v[2] if len(v) > 2 else None, a),
        "MaxPool": lambda v, a: max_pool(v[0], a), "AveragePool": lambda v, a: average_pool(v[0], a),
        "LpPool": lambda v, a: lp_pool(v[0], a),
        "GlobalLpPool": lambda v, a: torch.linalg.vector_norm(
            v[0], a.get("p", 2), tuple(range(2, v[0].dim())), True),
        "GlobalAveragePool": lambda v, a: v[0].mean(tuple(range(2, v[0].dim())), True),
        "GlobalMaxPool": lambda v, a: v[0].amax(tuple(range(2, v[0].dim())), True),
        "BatchNormalization": lambda v, a: F.batch_norm(v[0], v[3], v[4], v[1], v[2], eps=a.get("epsilon", 1e-5)),
        "LayerNormalization": lambda v, a: F.layer_norm(
            v[0], v[0].shape[a.get("axis", -1):], v[1], v[2] if len(v) > 2 else None, a.get("epsilon", 1e-5)),
        "RMSNormalization": lambda v, a: F.rms_norm(v[0], v[0].shape[a.get("axis", -1):], v[1],
                                                    a.get("epsilon", 1e-5)),
        "InstanceNormalization": lambda v, a: F.instance_norm(v[0], None, None, v[1], v[2], True, 0.1,
                                                              a.get("epsilon", 1e-5)),
        "GroupNormalization": lambda v, a: F.group_norm(v[0], a["num_groups"], v[1], v[2], a.get("epsilon", 1e-5)),
        "LpNormalization": lambda v, a: F.normalize(v[0], a.get("p", 2), a.get("axis", -1)),
        "LRN": lambda v, a: F.local_response_norm(v[0], a["size"], a["alpha"], a["beta"], a["bias"]),
        "Softmax": lambda v, a: softmax(v[0], a, F.softmax), "LogSoftmax": lambda v, a: softmax(v[0], a, F.log_softmax),
        "Flatten": lambda v, a: flat(v[0], a.get("axis", 1)),
        "Reshape": lambda v, a: v[0].reshape([n or v[0].shape[k] for k, n in enumerate(whole(v[1]))]),
        "Transpose": lambda v, a: v[0].permute(a.get("perm") or list(range(v[0].dim()))[::-1]),
        "Squeeze": lambda v, a: v[0].squeeze(whole(v[1]) if len(v) > 1 else a["axes"]) if len(v) > 1 or a
        else v[0].squeeze(),
        "Unsqueeze": lambda v, a: stretch(v[0], whole(v[1]) if len(v) > 1 else a["axes"]),
        "Concat": lambda v, a: torch.cat(v, a["axis"]),
        "Split": lambda v, a: v[0].split(whole(v[1]) if len(v) > 1 else v[0].shape[a.get("axis", 0)] // 2,
                                         a.get("axis", 0)),
        "Gather": lambda v, a: gather(v[0], v[1], a.get("axis", 0)),
        "GatherElements": lambda v, a: v[0].gather(a.get("axis", 0), v[1]),
        "GatherND": lambda v, a: v[0][tuple(v[1].T)],
        "Expand": lambda v, a: v[0].expand(torch.broadcast_shapes(v[0].shape, tuple(whole(v[1])))),
        "Tile": lambda v, a: v[0].tile(whole(v[1])),
        "Shape": lambda v, a: torch.tensor(v[0].shape), "Cast": lambda v, a: v[0].double(),
        "ConstantOfShape": lambda v, a: torch.zeros(whole(v[0])).double(),
        "Constant": lambda v, a: torch.tensor(a["value_floats"]).double(),
        "TopK": lambda v, a: v[0].topk(whole(v[1])[0], a.get("axis", -1), bool(a.get("largest", 1))),
        "CumSum": lambda v, a: cum_sum(v[0], int(v[1]), a), "Trilu": lambda v, a: (
            torch.triu if a.get("upper", 1) else torch.tril)(v[0], int(v[1]) if len(v) > 1 else 0),
        "Einsum": lambda v, a: torch.einsum(a["equation"].decode(), *v),
        "DepthToSpace": lambda v, a: F.pixel_shuffle(v[0], a["blocksize"]) if a.get("mode") == b"CRD" else missing(),
        "ScatterElements": lambda v, a: v[0].scatter(a.get("axis", 0), v[1], v[2]),
        "ScatterND": lambda v, a: v[0].index_put(tuple(v[1].T), v[2]),
        "Slice": lambda v, a: cut(v), "Pad": lambda v, a: pad(v, a), "Resize": lambda v, a: resize(v[0], v, a),
        "Attention": attention, "RotaryEmbedding": rotary,
    }
    for kind in ("LSTM", "GRU", "RNN"):
        table[kind] = lambda v, a, kind=kind: recurrent(kind, *v[:3], v[3] if len(v) > 3 else None, a)
    return table


def missing():
    raise NoWord


def softmax(x, a, word):
    return word(x, a.get("axis", -1))


def flat(x, axis):
    return x.reshape(math.prod(x.shape[:axis]), -1)


def stretch(x, axes):
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def gather(x, index, axis):
    return x.index_select(axis, (index.reshape(-1) + x.shape[axis]) % x.shape[axis]).reshape(
        x.shape[:axis] + index.shape + x.shape[axis + 1:])


def cum_sum(x, axis, a):
    if a.get("reverse"):
        x = x.flip(axis)
    y = x.cumsum(axis)
    if a.get("exclusive"):
        y = y - x
    return y.flip(axis) if a.get("reverse") else y


def cut(v):
    x = v[0]
    starts, ends = whole(v[1]), whole(v[2])
    axes = whole(v[3]) if len(v) > 3 else range(len(starts))
    steps = whole(v[4]) if len(v) > 4 else [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps):
        size = x.shape[axis]
        x = x.index_select(axis, torch.tensor(list(range(size))[slice(
            start, None if step < 0 and end < -size else end, step)]))
    return x


def pad(v, a):
    x, pads = v[0], whole(v[1])
    rank = x.dim()
    mode = a.get("mode", b"constant").decode()
    pairs = [n for axis in reversed(range(rank)) for n in (pads[axis], pads[axis + rank])]
    if mode == "constant":
        return F.pad(x, pairs, value=float(v[2]) if len(v) > 2 else 0.0)
    return F.pad(x[None, None], pairs, mode={"reflect": "reflect", "edge": "replicate"}[mode])[0, 0]


def play(model, x):
    table = words()
    opset = model.opset_import[0].version
    values = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in model.graph.initializer}
    values = {k: v.double() if v.is_floating_point() else v for k, v in values.items()}
    values["x"] = x
    for node in model.graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if node.domain or node.op_type not in table or opset < 13 and node.op_type == "Softmax":
            raise NoWord
        found = table[node.op_type]([values[name] for name in node.input], attributes)
        found = found if isinstance(found, tuple) else (found,)
        values.update(zip(node.output, found))
    return values["y"]


def main():
    known = json.loads((FOLDER / "operators.json").read_text())
    found, without = {}, []
    for line in (FOLDER / "operators.txt").read_text().splitlines():
        if not line or line.startswith(("#", "!")):
            continue
        name, model, x = build(line)
        x = torch.from_numpy(x).double().requires_grad_()
        try:
            y = play(model, x)
        except NoWord:
            without.append(name)
            continue
        assert list(y.shape) == known[name]["shape"], (name, y.shape)
        values = y.detach().numpy().ravel()
        assert np.allclose(values, known[name]["y"], rtol=1e-5, atol=1e-6), (name, values, known[name]["y"])
        weights = torch.from_numpy(2 * noise(77, y.numel()) - np.float32(1)).double().reshape(y.shape)
        (y * weights).sum().backward()
        found[name] = [float(f"{v:.7g}") for v in x.grad.numpy().ravel()]
    text = ",\n".join(f'{json.dumps(k)}: {json.dumps(v, separators=(",", ":"))}' for k, v in found.items())
    (FOLDER / "slopes.json").write_text("{\n" + text + "\n}\n")
    print(f"{len(found)} with PyTorch's gradient; without a word there: {', '.join(without)}")


if __name__ == "__main__":
    main()
