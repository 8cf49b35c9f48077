"""Writes crates/mantlet-model/tests/model/weights: tiny networks as files of tensors alone (safetensors) with what says
how their layers stand, and what PyTorch gives for a few rows: outputs and gradients of the inputs.

Run in a virtual environment with `torch`, `transformers`, `safetensors` and `numpy`, from the project's folder:
    python scripts/vectors/weights.py
Weights are random by seed. Inputs and the weights of the loss are the hash of `operators.py`, which the test has too.
"""

import json
import pathlib
import shutil
import tempfile

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F
from transformers import (BertConfig, BertForSequenceClassification, DistilBertConfig,
                          DistilBertForSequenceClassification, RobertaConfig, RobertaForSequenceClassification,
                          ViTConfig, ViTForImageClassification)

from operators import noise

FOLDER = pathlib.Path("crates/mantlet-model/tests/model/weights")
CLASSES = {0: "calm", 1: "glad", 2: "sad"}


class Cnn(nn.Module):
    """Convolutions of every form the description has, a way around two of them, norms and pools."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 5, stride=2, padding=2)
        self.a, self.na = nn.Conv2d(4, 4, 3, padding="same", bias=False), nn.BatchNorm2d(4)
        self.b, self.nb = nn.Conv2d(4, 4, (3, 1), padding=(1, 0), groups=2), nn.BatchNorm2d(4, eps=1e-3)
        self.c, self.e, self.d = nn.Conv2d(4, 6, 3, padding=2, dilation=2), nn.Conv2d(6, 4, 1), nn.Conv2d(8, 5, 1)
        self.last = nn.Linear(5 * 4, 6)
        self.norm, self.head = nn.LayerNorm(6), nn.Linear(6, 3)

    def forward(self, x):
        x = stem = F.hardswish(self.stem(x))
        x = F.relu(self.na(self.a(x)))
        x = F.leaky_relu(self.nb(self.b(x)) + stem, 0.2)
        y = F.max_pool2d(x, 3, 2, 1)
        x = self.e(F.avg_pool2d(F.elu(self.c(x)), 3, 2, 1))
        x = F.max_pool2d(F.silu(self.d(torch.cat([x, y], 1))), 2)
        return self.head(F.gelu(self.norm(self.last(x.flatten(1))), approximate="tanh"))


CNN = """\
# A way around two convolutions, and one that joins two branches.
input = [3, 16, 16]
classes = ["calm", "glad", "sad"]
layers = [
  { kind = "conv2d", weights = "stem", stride = 2, padding = 2 },
  { kind = "hard_swish", name = "stem" },
  { kind = "conv2d", weights = "a", padding = "same", bias = false },
  { kind = "batch_norm", weights = "na" },
  "relu",
  { kind = "conv2d", weights = "b", padding = [1, 0], groups = 2 },
  { kind = "batch_norm", weights = "nb", epsilon = 1e-3 },
  { kind = "add", with = "stem" },
  { kind = "leaky_relu", alpha = 0.2, name = "both" },
  { kind = "max_pool", size = 3, stride = 2, padding = 1, name = "largest" },
  { kind = "conv2d", weights = "c", padding = 2, dilation = 2, from = "both" },
  "elu",
  { kind = "average_pool", size = 3, stride = 2, padding = 1 },
  { kind = "conv2d", weights = "e" },
  { kind = "concat", with = ["largest"] },
  { kind = "conv2d", weights = "d" },
  "silu",
  { kind = "max_pool", size = 2 },
  "flatten",
  { kind = "linear", weights = "last" },
  { kind = "layer_norm", weights = "norm" },
  "gelu_tanh",
  { kind = "linear", weights = "head" },
]
"""

LINE = {
    "input": [2, 10],
    "layers": [
        {"kind": "conv1d", "weights": "0", "padding": 1},
        "mish",
        {"kind": "average_pool", "size": 2, "padding": 1, "count_padding": False},
        {"kind": "reshape", "shape": [6, 3]},
        {"kind": "linear", "weights": "3"},
        "softsign",
        "global_max_pool",
        "flatten",
        {"kind": "linear", "weights": "6", "bias": False},
        "softmax",
    ],
}


class Line(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv1d(2, 3, 3, padding=1), nn.Mish(),
                         nn.AvgPool1d(2, padding=1, count_include_pad=False), nn.Linear(3, 4), nn.Softsign(),
                         nn.Identity(), nn.Linear(6, 3, bias=False))

    def forward(self, x):
        x = self[2](self[1](self[0](x))).reshape(-1, 6, 3)
        x = self[4](self[3](x)).amax(2)
        return torch.softmax(self[6](x), 1)


def mlp():
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 4),
                         nn.Linear(4, 3))


SMALL = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 16,
         "vocab_size": 20, "max_position_embeddings": 12, "num_labels": 3, "id2label": CLASSES}


def bert():
    return BertForSequenceClassification(BertConfig(**SMALL))


def roberta():
    return RobertaForSequenceClassification(RobertaConfig(**{**SMALL, "max_position_embeddings": 14, "pad_token_id": 1,
                                                             "type_vocab_size": 1, "layer_norm_eps": 1e-5}))


def distilbert():
    return DistilBertForSequenceClassification(DistilBertConfig(
        vocab_size=20, max_position_embeddings=12, dim=8, n_heads=2, n_layers=2, hidden_dim=16, num_labels=3,
        id2label=CLASSES))


def vit():
    return ViTForImageClassification(ViTConfig(
        hidden_size=8, num_attention_heads=2, num_hidden_layers=2, intermediate_size=16, image_size=12, patch_size=4,
        num_channels=3, hidden_act="gelu_new", num_labels=3, id2label=CLASSES))


def spread(seed, *shape):
    return (2 * noise(seed, int(np.prod(shape))) - np.float32(1)).reshape(shape)


def ids(seed, pad):
    """Two rows of words, the second with three places of padding; no word has the padding's number."""
    words = np.floor(noise(seed, 16) * 17).astype(np.int64).reshape(2, 8) + 3
    words[1, 5:] = pad
    return words


# Name: how it is made, its element type, its description, and the inputs.
CASES = {
    "mlp": (mlp, torch.float32, 'activation = "tanh"\n', {"input": (1, spread(1, 2, 6))}),
    "mlp-half": (mlp, torch.float16, 'activation = "tanh"\n', {"input": (1, spread(1, 2, 6))}),
    "cnn": (Cnn, torch.float32, CNN, {"input": (2, spread(2, 2, 3, 16, 16))}),
    "cnn-brain": (Cnn, torch.bfloat16, CNN, {"input": (2, spread(2, 2, 3, 16, 16))}),
    "line": (Line, torch.float32, json.dumps(LINE, indent=1) + "\n", {"input": (3, spread(3, 2, 2, 10))}),
    "bert": (bert, torch.float32, 8, {"inputs_embeds": (4, spread(4, 2, 8, 8)), "input_ids": ids(5, 0)}),
    "bert-half": (bert, torch.float16, 8, {"inputs_embeds": (4, spread(4, 2, 8, 8)), "input_ids": ids(5, 0)}),
    "roberta": (roberta, torch.float32, 8, {"inputs_embeds": (6, spread(6, 2, 8, 8)), "input_ids": ids(7, 1)}),
    "distilbert": (distilbert, torch.float32, 8, {"inputs_embeds": (8, spread(8, 2, 8, 8)), "input_ids": ids(9, 0)}),
    "vit": (vit, torch.float32, None, {"pixel_values": (10, spread(10, 2, 3, 12, 12))}),
    "vit-brain": (vit, torch.bfloat16, None, {"pixel_values": (10, spread(10, 2, 3, 12, 12))}),
}


def settle(model, dtype):
    """Weights that let gradients through, norms that are no identity, everything rounded as the file rounds it."""
    for name, part in model.named_parameters():
        with torch.no_grad():
            part.copy_(torch.randn_like(part) * (0.6 if part.dim() > 1 else 0.3) + (1.0 if "norm" in name.lower() and
                       name.endswith("weight") else 0.0))
    for part in model.modules():
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(part.weight, 0.7, 1.3)
    with torch.no_grad():
        for part in [*model.parameters(), *model.buffers()]:
            if part.dtype == torch.float32:
                part.copy_(part.to(dtype).float())
    return model.eval()


def short(array):
    return [float(f"{v:.7g}") for v in np.asarray(array, np.float32).ravel().tolist()]


def answer(model, name, value, pad):
    given = torch.from_numpy(value.copy())
    if value.dtype == np.float32:
        given.requires_grad_(True)
    if name == "input":
        y = model(given)
    elif name == "input_ids":
        y = model(input_ids=given, attention_mask=(given != pad).long()).logits
    else:
        y = model(**{name: given}).logits
    weights = torch.from_numpy(2 * noise(77, y.numel()) - np.float32(1)).reshape(y.shape)
    slope = None
    if given.requires_grad:
        (y * weights).sum().backward()
        slope = given.grad.numpy()
    return y.detach().numpy(), slope


def main():
    FOLDER.mkdir(exist_ok=True)
    found = {}
    for name, (make, dtype, described, inputs) in CASES.items():
        torch.manual_seed(sum(name.split("-")[0].encode()))
        model = settle(make(), dtype)
        if not isinstance(described, str):
            folder = pathlib.Path(tempfile.mkdtemp())
            whole = make()
            whole.load_state_dict(model.state_dict())
            whole.to(dtype).save_pretrained(folder)
            config = json.loads((folder / "config.json").read_text())
            config.pop("transformers_version")
            (FOLDER / f"{name}.json").write_text(json.dumps(config, indent=1) + "\n")
            pad, form = config.get("pad_token_id", 0), "json"
        else:
            pad, form = 0, "json" if described.startswith("{") else "toml"
            (FOLDER / f"{name}.{form}").write_text(described)
        tensors = {k: (v.to(dtype) if v.dtype == torch.float32 else v).contiguous().clone()
                   for k, v in model.state_dict().items()}
        # As people have them: what `save_pretrained` wrote. Of one also by the names that the class has today.
        if isinstance(described, str) or name == "vit-brain":
            save_file(tensors, FOLDER / f"{name}.safetensors")
        else:
            shutil.copy(folder / "model.safetensors", FOLDER / f"{name}.safetensors")
        cases = {}
        for key, value in inputs.items():
            seed, value = value if isinstance(value, tuple) else (None, value)
            y, slope = answer(model, key, value, pad)
            cases[key] = {"shape": list(value.shape), **({"seed": seed} if seed else {"whole": value.ravel().tolist()}),
                          "y": {"shape": list(y.shape), "data": short(y)},
                          **({"slope": short(slope)} if slope is not None else {})}
        found[name] = {"form": form, "length": described if isinstance(described, int) else None, "inputs": cases}
        print(name, sum(v.numel() for v in tensors.values()), "values;", ", ".join(sorted(tensors)[:3]))
    text = ",\n".join(f'{json.dumps(k)}: {json.dumps(v, separators=(",", ":"))}' for k, v in found.items())
    (FOLDER / "expected.json").write_text("{\n" + text + "\n}\n")


if __name__ == "__main__":
    main()
