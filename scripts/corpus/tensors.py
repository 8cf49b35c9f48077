"""Writes ordinary tensors of every kind that training, quantising, pruning and converting leave behind.

    python tensors.py OUT

Small networks are trained for a few steps, then each goes through the conversions below and is saved as safetensors, .npy,
.pt, ONNX or HDF5. None hides anything: what a scanner says of them is its false-alarm rate.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

ROUNDS = 60
SEEDS = (7, 8)


def networks(seed):
    """Name and network, each at rest."""
    torch.manual_seed(seed)
    yield "mlp", torch.nn.Sequential(torch.nn.Linear(64, 1024), torch.nn.ReLU(), torch.nn.LayerNorm(1024), torch.nn.Linear(1024, 256), torch.nn.Linear(256, 64))
    yield "cnn", torch.nn.Sequential(torch.nn.Unflatten(1, (1, 8, 8)), torch.nn.Conv2d(1, 64, 3, padding=1), torch.nn.BatchNorm2d(64),
                                     torch.nn.ReLU(), torch.nn.Conv2d(64, 32, 3, padding=1), torch.nn.Flatten(), torch.nn.Linear(2048, 64))
    layer = torch.nn.TransformerEncoderLayer(64, 4, 1024, batch_first=True)
    yield "transformer", torch.nn.Sequential(torch.nn.Unflatten(1, (1, 64)), torch.nn.TransformerEncoder(layer, 2), torch.nn.Flatten())
    yield "gated", torch.nn.Sequential(torch.nn.Linear(64, 4096), torch.nn.GLU(), torch.nn.Linear(2048, 64, bias=False))


def trained(network):
    """A few steps of a small regression."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.1)
    x = torch.randn(256, 64)
    y = torch.tanh(x @ torch.randn(64, 64) / 8)
    for _ in range(ROUNDS):
        optimiser.zero_grad()
        torch.nn.functional.mse_loss(network(x), y).backward()
        optimiser.step()
    return {k: v.detach().clone() for k, v in network.state_dict().items()}, optimiser


def bits(t, keep):
    """f32 with only the first `keep` bits of the mantissa."""
    return (t.contiguous().view(torch.int32) & ~((1 << (23 - keep)) - 1)).view(torch.float32)


def quantised(t, levels):
    """Scaled integers per row, and back."""
    scale = t.abs().amax(-1, keepdim=True).clamp_min(1e-8) / levels
    return (t / scale).round() * scale


def pruned(t, share):
    """The smallest values set to zero."""
    return torch.where(t.abs() < t.abs().flatten().quantile(share), torch.zeros(()), t)


def clustered(t, count):
    """Each value replaced by one of a few."""
    centres = torch.quantile(t.flatten(), torch.linspace(0, 1, count))
    return centres[torch.bucketize(t, (centres[1:] + centres[:-1]) / 2)]


def low_rank(t):
    """A merged adapter."""
    if t.dim() != 2:
        return t
    return t + 0.01 * torch.randn(t.shape[0], 4) @ torch.randn(4, t.shape[1])


CONVERSIONS = {
    "plain": lambda t: t,
    "bf16-up": lambda t: t.bfloat16().float(),
    "fp16-up": lambda t: t.half().float(),
    "fp8-up": lambda t: t.to(torch.float8_e4m3fn).float(),
    "tf32": lambda t: bits(t, 10),
    "int8": lambda t: quantised(t, 127),
    "int4": lambda t: quantised(t, 7),
    "pruned-half": lambda t: pruned(t, 0.5),
    "pruned-most": lambda t: pruned(t, 0.95),
    "clipped": lambda t: t.clamp(-0.05, 0.05),
    "clustered": lambda t: clustered(t, 16),
    "decimals": lambda t: (t * 1000).round() / 1000,
    "adapter": low_rank,
    "doubled-and-back": lambda t: (t.double() * 1.1).float(),
    "scaled-bf16": lambda t: t.bfloat16().float() * 0.37,
    "averaged-bf16": lambda t: (t.bfloat16().float() + (t * 1.01).bfloat16().float()) / 2,
    "int8-bf16-scale": lambda t: quantised(t, 127).bfloat16().float(),
    "pruned-bf16": lambda t: pruned(t, 0.5).bfloat16().float(),
    "half-mixed": lambda t: torch.where(torch.rand_like(t) < 0.5, t, t.half().float()),
    "as-f64": lambda t: t.double(),
    "as-bf16": lambda t: t.bfloat16(),
    "as-f16": lambda t: t.half(),
    "f16-of-bf16": lambda t: t.bfloat16().half(),
}


def floats(state, change):
    """The change applied to what holds floats."""
    return {k: change(v).contiguous() if v.is_floating_point() else v for k, v in state.items()}


def tables():
    """Tensors that nobody trains."""
    position = torch.arange(4096)[:, None] / 10000 ** (torch.arange(64)[None] / 64)
    yield "sinusoids", torch.cat([position.sin(), position.cos()], 1)
    yield "ranges", torch.arange(262144, dtype=torch.float32)
    yield "linspace", torch.linspace(-1, 1, 262144)
    yield "ones", torch.ones(262144)
    yield "mask", torch.full((256, 256), float("-inf")).triu(1)
    yield "uniform", torch.rand(262144)
    yield "normal", torch.randn(262144)
    yield "kaiming", torch.nn.Linear(1024, 1024).weight.detach()
    yield "embedding", torch.nn.Embedding(8192, 64, padding_idx=0).weight.detach()
    yield "hadamard", torch.tensor([[1.0, 1.0], [1.0, -1.0]]).kron(torch.ones(128, 128)) / 16
    yield "counts", torch.poisson(torch.full((262144,), 4.0))
    yield "one-hot", torch.nn.functional.one_hot(torch.randint(0, 256, (256,))).float()
    yield "integers-scaled", torch.randint(-128, 128, (262144,)).float() / 128
    yield "probabilities", torch.randn(256, 256).softmax(-1)
    yield "images", torch.randint(0, 256, (262144,)).float() / 255


def learned():
    """Arrays of other libraries."""
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from sklearn.linear_model import Ridge
    from sklearn.neural_network import MLPRegressor
    generator = np.random.default_rng(3)
    x = generator.normal(size=(900, 256))
    y = x @ generator.normal(size=(256, 96))
    yield "ridge", Ridge().fit(x, y).coef_
    yield "pca", PCA(200).fit(x).components_
    yield "kmeans", KMeans(128, n_init=1, random_state=0).fit(x).cluster_centers_
    yield "perceptron", MLPRegressor(hidden_layer_sizes=(128,), max_iter=20, random_state=0).fit(x, y).coefs_[0]
    yield "float32-data", x.astype(np.float32)
    yield "prices", generator.integers(0, 99999, 65536) / 100


def main(out: Path):
    out.mkdir(parents=True, exist_ok=True)
    for name, network in ((f"{name}-{seed}", network) for seed in SEEDS for name, network in networks(seed)):
        state, optimiser = trained(network)
        for label, change in CONVERSIONS.items():
            save_file(floats(state, change), out / f"{name}-{label}.safetensors")
        torch.save(state, out / f"{name}.pt")
        moments = {f"{i}.{k}": v for i, s in optimiser.state_dict()["state"].items() for k, v in s.items() if k != "step"}
        save_file(moments, out / f"{name}-optimiser.safetensors")
        write_onnx(state, out / f"{name}.onnx")
        write_hdf5(state, out / f"{name}.h5")
    for name, tensor in tables():
        save_file({"table": tensor.contiguous()}, out / f"table-{name}.safetensors")
        save_file({"table": tensor.bfloat16().float()}, out / f"table-{name}-bf16.safetensors")
    for name, array in learned():
        np.save(out / f"{name}.npy", array)
        save_file({"w": torch.from_numpy(np.ascontiguousarray(array))}, out / f"{name}-f64.safetensors")
        save_file({"w": torch.from_numpy(np.ascontiguousarray(array)).float()}, out / f"{name}-f32.safetensors")


def write_onnx(state, path):
    import onnx
    from onnx import helper, numpy_helper
    initial = [numpy_helper.from_array(v.numpy(), k) for k, v in state.items()]
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    node = helper.make_node("Identity", ["x"], ["y"])
    graph = helper.make_graph([node], "g", [x], [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])], initial)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)


def write_hdf5(state, path):
    import h5py
    with h5py.File(path, "w") as file:
        for key, value in state.items():
            file.create_dataset(key.replace(".", "/"), data=value.numpy())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
