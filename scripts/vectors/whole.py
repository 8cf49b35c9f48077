"""Writes crates/mantlet-model/tests/model/whole: tiny networks of the usual kinds as PyTorch exports them, with what
PyTorch gives for a few rows: outputs, gradients of the inputs and of one inner value.

Run in a virtual environment with `torch`, `onnxscript`, `onnx`, `onnxruntime` and `numpy`, from the project's folder:
    python scripts/vectors/whole.py
Weights are random by seed. Inputs and the weights of the loss are the hash of `operators.py`, which the test has too.
ONNX Runtime serves only to find the name that the exporter gave to the inner value.
"""

import io
import json
import pathlib
import warnings

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx.reference import ReferenceEvaluator
from torch import nn
from torch.nn import functional as F

from operators import noise

FOLDER = pathlib.Path("crates/mantlet-model/tests/model/whole")


class Block(nn.Module):
    """ResNet's basic block."""

    def __init__(self, old, new, stride):
        super().__init__()
        self.a = nn.Conv2d(old, new, 3, stride, 1, bias=False)
        self.b = nn.Conv2d(new, new, 3, 1, 1, bias=False)
        self.na, self.nb = nn.BatchNorm2d(new), nn.BatchNorm2d(new)
        self.down = nn.Sequential(nn.Conv2d(old, new, 1, stride, bias=False), nn.BatchNorm2d(new)) \
            if stride != 1 or old != new else nn.Identity()

    def forward(self, x):
        return F.relu(self.nb(self.b(F.relu(self.na(self.a(x))))) + self.down(x))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 7, 2, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(),
                                  nn.MaxPool2d(3, 2, 1))
        self.inner = Block(4, 4, 1)
        self.rest = nn.Sequential(Block(4, 6, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5))

    def forward(self, x):
        return self.rest(self.inner(self.stem(x)))


class Squeeze(nn.Module):
    """Squeeze and excitation, with the gate of MobileNetV3 or of EfficientNet."""

    def __init__(self, width, act, gate):
        super().__init__()
        self.a, self.b, self.act, self.gate = nn.Conv2d(width, 2, 1), nn.Conv2d(2, width, 1), act, gate

    def forward(self, x):
        return x * self.gate(self.b(self.act(self.a(F.adaptive_avg_pool2d(x, 1)))))


class Inverted(nn.Module):
    """The inverted residual of MobileNet and EfficientNet."""

    def __init__(self, old, new, kernel, stride, act, squeeze=None):
        super().__init__()
        wide = old * 2
        layers = [nn.Conv2d(old, wide, 1, bias=False), nn.BatchNorm2d(wide), act,
                  nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False), nn.BatchNorm2d(wide),
                  act]
        if squeeze:
            layers.append(Squeeze(wide, *squeeze))
        self.layers = nn.Sequential(*layers, nn.Conv2d(wide, new, 1, bias=False), nn.BatchNorm2d(new))
        self.same = stride == 1 and old == new

    def forward(self, x):
        return x + self.layers(x) if self.same else self.layers(x)


class Mobile(nn.Module):
    def __init__(self, kernel, act, squeeze=None):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4), act)
        self.inner = Inverted(4, 4, 3, 1, act, squeeze)
        self.rest = nn.Sequential(Inverted(4, 6, kernel, 2, act, squeeze), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                                  nn.Dropout(0.2), nn.Linear(6, 8), act, nn.Linear(8, 5))

    def forward(self, x):
        return self.rest(self.inner(self.stem(x)))


def mobilenet_v2():
    return Mobile(3, nn.ReLU6())


def mobilenet_v3():
    return Mobile(5, nn.Hardswish(), (nn.ReLU(), nn.Hardsigmoid()))


def efficientnet():
    return Mobile(5, nn.SiLU(), (nn.SiLU(), nn.Sigmoid()))


class Attention(nn.Module):
    """Self-attention as torchvision and transformers write it today: one call of the fused form."""

    def __init__(self, width, heads):
        super().__init__()
        self.qkv, self.out, self.heads = nn.Linear(width, 3 * width), nn.Linear(width, width), heads

    def forward(self, x, mask=None):
        n, length, width = x.shape
        q, k, v = (part.view(n, length, self.heads, width // self.heads).transpose(1, 2)
                   for part in self.qkv(x).chunk(3, dim=-1))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(y.transpose(1, 2).reshape(n, length, width))


class Layer(nn.Module):
    """An encoder's layer, with the norms before (ViT) or after (BERT)."""

    def __init__(self, width, heads, before):
        super().__init__()
        self.attention, self.before = Attention(width, heads), before
        self.a, self.b = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x, mask=None):
        if self.before:
            x = x + self.attention(self.a(x), mask)
            return x + self.mlp(self.b(x))
        x = self.a(x + self.attention(x, mask))
        return self.b(x + self.mlp(x))


class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, 4)
        self.token, self.place = nn.Parameter(torch.randn(1, 1, 8)), nn.Parameter(torch.randn(1, 10, 8))
        self.inner, self.last = Layer(8, 2, True), Layer(8, 2, True)
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 5)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1) + self.place
        return self.head(self.norm(self.last(self.inner(x)))[:, 0])


class Bert(nn.Module):
    """Words and a mask in; the inner value is the embedding, which is what attacks on words move."""

    def __init__(self):
        super().__init__()
        self.words, self.places, self.kinds = nn.Embedding(20, 8), nn.Embedding(12, 8), nn.Embedding(2, 8)
        self.inner = nn.LayerNorm(8, eps=1e-12)
        self.layers = nn.ModuleList([Layer(8, 2, False), Layer(8, 2, False)])
        self.pool, self.head = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, ids, mask):
        places = torch.arange(ids.shape[1], device=ids.device).unsqueeze(0)
        x = self.inner(self.words(ids) + self.places(places) + self.kinds(torch.zeros_like(ids)))
        # transformers' extended mask: nothing where it counts, the least number elsewhere.
        far = (1.0 - mask[:, None, None, :].float()) * torch.finfo(torch.float32).min
        for layer in self.layers:
            x = layer(x, far)
        return self.head(torch.tanh(self.pool(x[:, 0])))


class Recurrent(nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.inner = cell(4, 5, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(10, 3)

    def forward(self, x):
        return self.head(self.inner(x)[0][:, -1])


class Modern(nn.Module):
    """What encoders have been made of since: RMS norms, turned places (rotary), gated layers, no biases."""

    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(8, 24, bias=False), nn.Linear(8, 8, bias=False)
        self.a, self.b, self.c = nn.RMSNorm(8), nn.RMSNorm(8), nn.RMSNorm(8)
        self.gate, self.up, self.down = (nn.Linear(a, b, bias=False) for a, b in ((8, 12), (8, 12), (12, 8)))
        self.inner, self.head = nn.Identity(), nn.Linear(8, 3)
        turns = torch.outer(torch.arange(6.0), 1.0 / 10000 ** (torch.arange(0, 4, 2) / 4))
        self.register_buffer("cos", torch.cat([turns, turns], 1).cos())
        self.register_buffer("sin", torch.cat([turns, turns], 1).sin())

    def turn(self, x):
        left, right = x.chunk(2, dim=-1)
        return x * self.cos + torch.cat([-right, left], dim=-1) * self.sin

    def forward(self, x):
        n, length, width = x.shape
        q, k, v = (part.view(n, length, 2, 4).transpose(1, 2) for part in self.qkv(self.a(x)).chunk(3, dim=-1))
        y = F.scaled_dot_product_attention(self.turn(q), self.turn(k), v, is_causal=True)
        x = self.inner(x + self.out(y.transpose(1, 2).reshape(n, length, width)))
        z = self.b(x)
        x = x + self.down(F.silu(self.gate(z)) * self.up(z))
        return self.head(self.c(x).mean(dim=1))


class Quantised(nn.Module):
    """Weights and values on grids of bytes, as training that knows of quantisation leaves them; some values lie
    outside their grid, so that its ends are crossed."""

    def __init__(self):
        super().__init__()
        self.conv, self.deep = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 1, 1, groups=4)
        self.inner, self.head = nn.ReLU(), nn.Linear(4, 5)

    def grid(self, x, scale, zero=0):
        return torch.fake_quantize_per_tensor_affine(x, scale, zero, -128, 127)

    def forward(self, x):
        x = self.grid(x, 0.0061, 3)
        x = F.conv2d(x, self.grid(self.conv.weight, 0.002), self.conv.bias, 2, 1)
        x = self.inner(self.grid(x, 0.006, -11))
        x = self.grid(F.conv2d(x, self.grid(self.deep.weight, 0.003), self.deep.bias, 1, 1, groups=4), 0.003)
        return F.linear(self.grid(F.relu(x).mean((2, 3)), 0.002), self.grid(self.head.weight, 0.005), self.head.bias)


def images(seed, rows=2):
    x = 2 * noise(seed, rows * 3 * 12 * 12) - np.float32(1)
    return {"x": x.reshape(rows, 3, 12, 12)}


def series(seed, rows=2, length=6, width=4):
    return {"x": (2 * noise(seed, rows * length * width) - np.float32(1)).reshape(rows, length, width)}


def words(seed):
    ids = np.floor(noise(seed, 14) * 20).astype(np.int64).reshape(2, 7)
    mask = np.ones((2, 7), np.int64)
    mask[1, 5:] = 0
    return {"ids": ids, "mask": mask}


MODELS = {
    "resnet": (ResNet, images(1)),
    "mobilenet-v2": (mobilenet_v2, images(2)),
    "mobilenet-v3": (mobilenet_v3, images(3)),
    "efficientnet": (efficientnet, images(4)),
    "vit": (ViT, images(5)),
    "bert": (Bert, words(6)),
    "lstm": (lambda: Recurrent(nn.LSTM), series(7)),
    "gru": (lambda: Recurrent(nn.GRU), series(8)),
    "modern": (Modern, series(9, width=8)),
    "quantised": (Quantised, images(10)),
}


def settle(model):
    """Norms that have seen something, so that folding them is no identity, and weights that let gradients through."""
    for part in model.modules():
        if isinstance(part, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(part.weight)
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(part.weight, 0.7, 1.3)
            nn.init.uniform_(part.bias, -0.2, 0.2)
    return model.eval()


def export(model, feeds, modern):
    """The file, by the exporter of TorchScript or by the one of today."""
    given = tuple(torch.from_numpy(v) for v in feeds.values())
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if modern:
            axes = tuple({0: torch.export.Dim("n", min=1, max=64)} for _ in given)
            program = torch.onnx.export(model, given, input_names=list(feeds), output_names=["y"], dynamo=True,
                                        opset_version=modern, dynamic_shapes=axes, verbose=False)
            found = program.model_proto
        else:
            torch.onnx.export(model, given, file, input_names=list(feeds), output_names=["y"], dynamo=False,
                              opset_version=17, dynamic_axes={name: {0: "n"} for name in feeds})
            found = onnx.load_from_string(file.getvalue())
    # Where the exporter stood says nothing of the network.
    found.graph.ClearField("value_info")
    found.graph.ClearField("metadata_props")
    del found.metadata_props[:]
    for node in found.graph.node:
        node.ClearField("doc_string")
        node.ClearField("name")
        del node.metadata_props[:]
    for value in [*found.graph.input, *found.graph.output, *found.graph.initializer]:
        value.ClearField("doc_string")
        if hasattr(value, "metadata_props"):
            del value.metadata_props[:]
    return found


def name_of(found, feeds, wanted):
    """The value of the graph that is this one, by its numbers."""
    model = onnx.ModelProto()
    model.CopyFrom(found)
    names = [name for node in model.graph.node for name in node.output if name and name != "y"]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        values = session.run(["y", *names], feeds)
    except Exception:  # noqa: BLE001, masks that are widened are not everywhere: the reference then
        values = ReferenceEvaluator(model).run(["y", *names], feeds)
    for name, value in zip(["y", *names], values):
        if name != "y" and value is not None and value.shape == wanted.shape \
                and np.allclose(value, wanted, rtol=1e-4, atol=1e-5):
            return name
    return None


def short(array):
    return [float(f"{v:.7g}") for v in np.asarray(array, np.float32).ravel().tolist()]


def expected(model, feeds):
    """What PyTorch gives: the output, and the gradients of the sum of its values, each with its weight."""
    given = [torch.from_numpy(v) for v in feeds.values()]
    for value in given:
        value.requires_grad_(value.dtype == torch.float32)
    kept = []

    def hook(_, __, output):
        value = output[0] if isinstance(output, tuple) else output
        value.retain_grad()
        kept.append(value)

    handle = model.inner.register_forward_hook(hook)
    y = model(*given)
    handle.remove()
    weights = torch.from_numpy(2 * noise(77, y.numel()) - np.float32(1)).reshape(y.shape)
    (y * weights).sum().backward()
    inner = kept[0]
    slopes = {name: v.grad.numpy() for name, v in zip(feeds, given) if v.requires_grad}
    return y.detach().numpy(), slopes, inner.detach().numpy(), inner.grad.numpy()


def main():
    FOLDER.mkdir(exist_ok=True)
    found = {}
    for name, (make, feeds) in MODELS.items():
        torch.manual_seed(sum(name.encode()))
        model = settle(make())
        y, slopes, inner, inner_slope = expected(model, feeds)
        torch.set_grad_enabled(False)
        files, seen = {}, []
        # 17 by the old exporter; the newest the new one writes, and 18 where it takes other operators.
        for suffix, modern in (("", 0), ("-24", 24), ("-18", 18)):
            try:
                proto = export(model, {k: v.copy() for k, v in feeds.items()}, modern)
                onnx.checker.check_model(proto)
                key = name_of(proto, feeds, inner)
                kinds = sorted({node.op_type for node in proto.graph.node})
                if modern and kinds in seen:
                    continue
                seen += [kinds] if modern else []
            except Exception as error:  # noqa: BLE001, an exporter that cannot write one form leaves it out
                print(f"{name}{suffix}: not written: {type(error).__name__}: {str(error)[:300]}")
                continue
            data = proto.SerializeToString()
            print(f"{name}{suffix}: {len(data)} bytes, inner `{key}`, "
                  f"{' '.join(kinds)}")
            (FOLDER / f"{name}{suffix}.onnx").write_bytes(data)
            files[f"{name}{suffix}"] = key
        torch.set_grad_enabled(True)
        found[name] = {
            "files": files,
            "inputs": {k: {"shape": list(v.shape), **({"whole": v.ravel().tolist()} if v.dtype == np.int64 else
                                                      {"seed": list(MODELS).index(name) + 1})}
                       for k, v in feeds.items()},
            "y": {"shape": list(y.shape), "data": short(y)},
            "slopes": {k: short(v) for k, v in slopes.items()},
            "inner": {"shape": list(inner.shape), "data": short(inner), "slope": short(inner_slope)},
        }
    text = ",\n".join(f'{json.dumps(k)}: {json.dumps(v, separators=(",", ":"))}' for k, v in found.items())
    (FOLDER / "expected.json").write_text("{\n" + text + "\n}\n")


if __name__ == "__main__":
    main()
