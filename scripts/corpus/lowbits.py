"""How often `mantlet scan --full` sees a payload in the low bits of weights: plain and packed, in each number of bits.

usage: lowbits.py MANTLET WORK [SEEDS [VALUES]]
Prints found / tried for each kind of payload and number of bits; the tensors without a payload are the false alarms.
"""

import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np


def payloads(source):
    program = Path(sys.executable).resolve().read_bytes()[:1 << 20]
    text = b"\n".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    return {
        "none": b"",
        "program": program,
        "text": text,
        "deflated text (zip)": b"PK\x03\x04" + zlib.compress(text, 9),
        "random, as encrypted": source.bytes(200_000),
    }


def hidden(values, payload, bits, share):
    """The payload in the lowest bits of the first `share` of the values, low bits of each byte first."""
    room = int(len(values) * share) * bits // 8
    payload = (payload * (room // max(len(payload), 1) + 1))[:room] if payload else b""
    stream = np.unpackbits(np.frombuffer(payload, np.uint8), bitorder="little")
    stream = stream[: len(stream) // bits * bits].reshape(-1, bits).astype(np.uint32)
    numbers = (stream << np.arange(bits, dtype=np.uint32)).sum(axis=1, dtype=np.uint32)
    raw = values.view(np.uint32).copy()
    raw[: len(numbers)] = raw[: len(numbers)] & ~np.uint32((1 << bits) - 1) | numbers
    return raw.view(np.float32)


def safetensors(values):
    header = json.dumps({"w": {"dtype": "F32", "shape": [len(values)], "data_offsets": [0, 4 * len(values)]}}).encode()
    return struct.pack("<Q", len(header)) + header + values.tobytes()


def main():
    mantlet, work = sys.argv[1], Path(sys.argv[2])
    seeds = int(sys.argv[3]) if len(sys.argv) > 3 else 10
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 65_536
    work.mkdir(parents=True, exist_ok=True)
    for share in (0.5, 0.1):
        for kind, bits in [(kind, bits) for kind in payloads(np.random.default_rng(0)) for bits in (1, 2, 4, 8)]:
            found = 0
            for seed in range(seeds):
                source = np.random.default_rng(seed)
                values = (source.standard_normal(count) * 0.02).astype(np.float32)
                path = work / "w.safetensors"
                path.write_bytes(safetensors(hidden(values, payloads(source)[kind], bits, share)))
                done = subprocess.run([mantlet, "scan", str(path), "--full", "--quiet"], capture_output=True, check=False)
                found += done.returncode == 1
            print(f"{share:.0%} of {count} values, {bits} bits, {kind}: {found} of {seeds}", flush=True)


main()
