"""Files that are two things, programs where data should be, and traps beside the weights."""
import io
import struct
import zlib

from assembly import call, glob, pickle

from .onnxes import body, save
from .parts import CODE, FETCH, elf, floats, llama, pb, pe, png, safetensors, zipped

FAMILY = "everywhere"
WEIGHTS = safetensors({"w": ("F32", [4, 4], floats(16))})


def low_bytes(hidden):
    """Normal weights whose lowest byte of each number is a byte of `hidden`, or chance."""
    import numpy

    r = numpy.random.default_rng(17)
    w = r.normal(0, 0.02, 20000).astype("<f4")
    raw = w.view("u1").reshape(-1, 4).copy()
    if hidden:
        raw[: len(hidden), 0] = numpy.frombuffer(hidden[: len(raw)], "u1")
    out = io.BytesIO()
    numpy.save(out, raw.reshape(-1).view("<f4").reshape(100, 200))
    return out.getvalue()


def add(out):
    def pair(name, hostile, twin, prove=None, file=None, why=""):
        out.add(FAMILY, name, hostile, twin, prove, file, why)

    main = f"print('model ready')\n{CODE}\n".encode()
    pair("gguf-runs", llama() + zipped({"__main__.py": main}), llama() + bytes(64), "e11-zipapp", "tiny.gguf", "A GGUF for llama.cpp and a program for `python tiny.gguf`: a zip with __main__.py is behind the tensors. The twin is padded.")
    words = "".join(f"token{i}\n" for i in range(80))
    pair("vocabulary-is-pickle", pickle(call(glob("timeit", "timeit"), CODE, "pass"), 2), words, "pickle", "vocab.txt", "The vocabulary is a pickle, as old tokenizers load it whatever its name (CVE-2023-7018's kind).")
    title = struct.pack(">I", 12) + b"tEXtTitle\0sample" + struct.pack(">I", zlib.crc32(b"tEXtTitle\0sample"))
    pair("picture-with-program", {"preview.png": png(tail=elf()), "model.safetensors": WEIGHTS}, {"preview.png": png(extra=title), "model.safetensors": WEIGHTS}, why="A Linux program is behind the end of the picture. The twin has a title in a chunk.")
    script = b"#!/bin/sh\n" + b"".join(b"printf '%%s' \"step %d\" >> .log; " % i + FETCH.encode() + b"\n" for i in range(160))
    pair("program-in-low-bytes", low_bytes(elf() + script), low_bytes(None), None, "dense.npy", "The lowest byte of each weight spells an ELF program and a script. The twin's low bytes are as drawn.")
    pieces = b"".join(pb((1, pb((1, t), (3, kind)))) if kind != 1 else pb((1, pb((1, t)))) for t, kind in (("<unk>", 2), ("<s>", 3), ("</s>", 3), ("\u2581a", 1), ("b", 1)))
    pair("tokenizer-is-program", {"tokenizer.model": pe(), "config.json": '{"model_type": "llama"}', "model.safetensors": WEIGHTS}, {"tokenizer.model": pieces, "config.json": '{"model_type": "llama"}', "model.safetensors": WEIGHTS}, why="The SentencePiece model is a Windows program.")
    nodes, inits = body()
    net = save([*nodes], inits, ("logits", 1, ["n", 5]))
    pair("program-in-unknown-field", net + pb((2047, pe())), net + pb((14, pb((1, "training"), (2, "epochs=3; lr=0.001")))), None, "model.onnx", "Protobuf readers skip a field they do not know; here it holds a Windows program. The twin has a metadata property.")
    entry = "[Desktop Entry]\nType=Application\nName=Open model\nIcon=application-x-model\nExec={}\nTerminal=false\n"
    pair("desktop-entry", {"Open model.desktop": entry.format(f'sh -c "{FETCH}"'), "model.safetensors": WEIGHTS}, {"Open model.desktop": entry.format("lm-studio %f"), "model.safetensors": WEIGHTS}, why="A double click on what looks like the model runs a fetched script.")
    git = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n{}[remote \"origin\"]\n\turl = https://huggingface.co/acme/tiny\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n"
    repo = lambda line: zipped({"tiny/.git/HEAD": b"ref: refs/heads/main\n", "tiny/.git/config": git.format(line).encode(), "tiny/model.safetensors": WEIGHTS})  # noqa: E731
    pair("git-monitor", repo(f'\tfsmonitor = "sh -c \'{FETCH}\'"\n'), repo("\tfsmonitor = true\n"), None, "tiny.zip", "git runs core.fsmonitor at the first `git status` in the unpacked repository: a fetched script.")
