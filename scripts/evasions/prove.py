"""Opens a file as its victim would, in a scratch folder, and says whether the payload ran."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from assemble import MARKER, PORT

LOADERS = {
    "pickle": "import pickle;pickle.load(open(F,'rb'))",
    "pickle-python": "import pickle;pickle._load(open(F,'rb'))",
    "torch": "import torch;torch.load(F,weights_only=False)",
    "joblib": "import joblib;joblib.load(F)",
    "numpy": "import numpy;numpy.load(F,allow_pickle=True)",
    "npz": "import numpy;[v for v in numpy.load(F,allow_pickle=True).values()]",
    "stacked": "import pickle;f=open(F,'rb');[pickle.load(f) for _ in range(9)]",
}


class Listener:
    """Counts connections on loopback."""

    def __init__(self):
        self.hits = 0
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", PORT))
        self.socket.listen(8)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            client, _ = self.socket.accept()
            self.hits += 1
            client.close()


def alive(file: Path, loader: str, beside: dict, listener: Listener, proof: str, python=sys.executable):
    """Whether the payload ran, and the last line of what was printed."""
    with tempfile.TemporaryDirectory() as scratch:
        for name, content in beside.items():
            path = Path(scratch, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        before = listener.hits
        environment = {**os.environ, "HOME": scratch, "PYTHONPATH": scratch, "CUDA_VISIBLE_DEVICES": ""}
        code = f"F={str(file.resolve())!r}\n{LOADERS[loader]}"
        try:
            done = subprocess.run([python, "-W", "ignore", "-c", code], cwd=scratch, env=environment, timeout=60,
                                  stdin=subprocess.DEVNULL, capture_output=True)
            said = (done.stderr.decode(errors="replace").strip().splitlines() or [""])[-1]
        except subprocess.TimeoutExpired:
            said = "timeout"
        for _ in range(5):
            if listener.hits > before if proof == "connect" else any(Path(scratch).glob(MARKER + "*")):
                return True, said
            time.sleep(0.05)
        return False, said
