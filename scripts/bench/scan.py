"""`mantlet scan` beside modelscan, picklescan, fickling and modelaudit: every row of the figures, in one run."""

import argparse
import io
import json
import os
import pathlib
import pickle
import random
import shutil
import statistics
import struct
import subprocess
import sys
import types
import zipfile
import zlib

from measure import append, mib, peak_kib, spread

SEED = 11
PEERS = {
    "modelscan": lambda tools, path: [tools / "modelscan", "-p", path],
    "picklescan": lambda tools, path: [tools / "picklescan", "-p", path],
    "fickling": lambda tools, path: [tools / "fickling", "-s", "--json-output", "/dev/null", path],
    "modelaudit": lambda tools, path: [tools / "modelaudit", "scan", path, "--no-cache", "-f", "json"],
}


def once(command):
    """CPU seconds of one run, children included, and its exit code."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime, process.returncode


class Storage:
    """Stands for torch's storage: written as a persistent id, as torch writes it."""

    def __init__(self, key, count):
        self.key, self.count = key, count


class Tensor:
    """Stands for torch's tensor."""

    def __init__(self, key, rows, columns):
        self.storage, self.shape = Storage(key, rows * columns), (rows, columns)

    def __reduce__(self):
        import collections

        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
        return rebuild, (self.storage, 0, self.shape, (self.shape[1], 1), False, collections.OrderedDict())


def torch_names():
    """Modules that only lend their names: nothing of torch is needed to write its format."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2():
        pass

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch", "__qualname__": "FloatStorage"})
    torch._utils = utils
    sys.modules["torch"], sys.modules["torch._utils"] = torch, utils
    return torch


class Writer(pickle.Pickler):
    def persistent_id(self, value):
        if isinstance(value, Storage):
            return ("storage", sys.modules["torch"].FloatStorage, value.key, "cpu", value.count)
        return None


TENSORS, COLUMNS = 96, 1024


def blocks(source, size):
    while size > 0:
        block = source.randbytes(min(size, 1 << 20))
        yield block
        size -= len(block)


def torch_archive(path, size):
    """A torch zip of 96 float tensors that fill `size` bytes; random weights, as trained ones look."""
    import collections

    torch_names()
    rows = size // TENSORS // 4 // COLUMNS
    state = collections.OrderedDict((f"layer{index}.weight", Tensor(str(index), rows, COLUMNS)) for index in range(TENSORS))
    buffer = io.BytesIO()
    Writer(buffer, protocol=2).dump(state)
    source = random.Random(SEED)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", buffer.getvalue())
        archive.writestr("archive/byteorder", "little")
        for index in range(TENSORS):
            with archive.open(f"archive/data/{index}", "w", force_zip64=True) as member:
                for block in blocks(source, rows * COLUMNS * 4):
                    member.write(block)
        archive.writestr("archive/version", "3\n")


def tensors_file(path, size):
    rows = size // TENSORS // 4 // COLUMNS
    one = rows * COLUMNS * 4
    header = {f"layer{index}.weight": {"dtype": "F32", "shape": [rows, COLUMNS], "data_offsets": [index * one, (index + 1) * one]}
              for index in range(TENSORS)}
    raw = json.dumps(header).encode()
    source = random.Random(SEED)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(raw)) + raw)
        for block in blocks(source, one * TENSORS):
            file.write(block)


def small(source, protocol):
    """A few kilobytes of what small pickles hold: names, numbers, nested lists."""
    value = {
        "name": "".join(source.choices("abcdefghij", k=12)),
        "weights": [source.random() for _ in range(300)],
        "vocabulary": {"".join(source.choices("klmnopqrst", k=8)): index for index in range(80)},
        "shape": (source.randrange(100), source.randrange(100)),
        "flags": [True, False, None],
    }
    return pickle.dumps(value, protocol=protocol)


def numpy_pickle():
    """A float array of 2 KB as numpy pickles it, written by hand."""
    data = random.Random(SEED).randbytes(2000)
    names = b"cnumpy._core.multiarray\n_reconstruct\n", b"cnumpy\nndarray\n", b"cnumpy\ndtype\n"
    dtype = names[2] + b"X\x02\x00\x00\x00f8\x89\x88\x87R(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    return b"\x80\x04" + names[0] + names[1] + b"K\x00\x85C\x01b\x87R(K\x01K\xfa\x85" + dtype + b"\x89B" + \
        struct.pack("<I", len(data)) + data + b"tb."


def dense(path, tokens):
    """One dictionary of tokens: three opcodes for each."""
    with open(path, "wb") as file:
        pickle.dump({f"token{index:07d}": index for index in range(tokens)}, file, protocol=4)


def sparse(path, head, size):
    with open(path, "wb") as file:
        file.write(head)
        file.truncate(size)


def bombs(folder):
    """Files that grow: each must end in a verdict that is not clean."""
    folder.mkdir()
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(1 << 20)
    with open(folder / "ten-gigabytes.pkl.gz", "wb") as file:
        for _ in range(10 << 10):
            file.write(packer.compress(zeros))
        file.write(packer.flush())
    raw = b"N."
    for depth in range(40):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{depth}.zip", raw)
        raw = buffer.getvalue()
    (folder / "forty-deep.zip").write_bytes(raw)
    laughs = b"\x80\x04]\x94" + b"".join(b"0(" + b"h" + bytes([index]) * 1 + (b"h" + bytes([index])) * 9 + b"l\x94" for index in range(20)) + b"."
    (folder / "laughs.pkl").write_bytes(laughs)
    (folder / "marks.pkl").write_bytes(b"\x80\x04" + b"(" * 5_000_000 + b".")
    (folder / "stack.pkl").write_bytes(b"\x80\x04" + b"]" * 8_000_000 + b".")
    (folder / "memo.pkl").write_bytes(b"\x80\x04N" + b"".join(b"r" + struct.pack("<I", index * 997) for index in range(1_500_000)) + b".")
    (folder / "globals.pkl").write_bytes(b"\x80\x04" + b"".join(f"cm{index}\nn{index}\n0".encode() for index in range(300_000)) + b"N.")
    (folder / "calls.pkl").write_bytes(b"\x80\x04ccollections\nOrderedDict\n\x94" + b"h\x00)R0" * 1_500_000 + b".")


def main():
    parser = argparse.ArgumentParser()
    for name in ("mantlet", "work", "page"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--quick", action="store_true", help="64 MB instead of 1.6 GB, fewer rounds; for trying the script")
    parser.add_argument("--corpus", help="a folder of scripts/corpus/forge.py; measures false alarms and misses on it")
    options = parser.parse_args()
    work = pathlib.Path(options.work)
    shutil.rmtree(work, ignore_errors=True)
    (work / "many").mkdir(parents=True)
    source = random.Random(SEED)
    (work / "one.pkl").write_bytes(numpy_pickle())
    for index in range(1000):
        (work / "many" / f"{index:04}.pkl").write_bytes(small(source, 2 + index % 4))
    size = (64 << 20) if options.quick else 1_610_612_736
    dense(work / "dense.pkl", 100_000 if options.quick else 2_500_000)
    torch_archive(work / "big.pt", size)
    tensors_file(work / "big.safetensors", size)
    tools = pathlib.Path(sys.executable).parent
    slow = not options.quick
    jobs = [
        ("one 2 KB numpy pickle", "one.pkl", [], ("modelscan", "picklescan", "fickling", "modelaudit"), 9),
        ("1,000 small pickles", "many", [], ("modelscan", "picklescan"), 5),
        ("dictionary pickle, 7.5 M opcodes", "dense.pkl", [], ("modelscan", "picklescan", "fickling") if slow else ("picklescan",), 3),
        (f"{size / 1e9:.2g} GB torch zip, structure", "big.pt", [], ("modelscan", "picklescan", "modelaudit"), 5),
        (f"{size / 1e9:.2g} GB torch zip, every byte", "big.pt", ["--full"], (), 3),
        (f"{size / 1e9:.2g} GB safetensors, structure", "big.safetensors", [], (), 5),
        (f"{size / 1e9:.2g} GB safetensors, every byte", "big.safetensors", ["--full"], ("modelaudit",), 3),
    ]
    rows = []
    for name, path, flags, peers, rounds in jobs:
        path = work / path
        if path.is_file():
            with open(path, "rb") as file:
                # The page cache is warm for all.
                while file.read(1 << 24):
                    pass
        commands = {"mantlet": [options.mantlet, "scan", str(path), "--quiet", *flags]}
        commands |= {peer: [str(part) for part in PEERS[peer](tools, path)] for peer in peers}
        times, codes = {which: [] for which in commands}, {}
        for turn in range(2 if options.quick else rounds):
            for which, command in list(commands.items())[:: 1 if turn % 2 else -1]:
                # Peers take seconds where we take milliseconds: three rounds for them, one on the large pickle.
                if which != "mantlet" and turn >= (1 if "opcodes" in name else 3):
                    continue
                repeat = 20 if which == "mantlet" and "2 KB" in name else 1
                runs = [once(command) for _ in range(repeat)]
                times[which].append(sum(seconds for seconds, _ in runs) / repeat)
                codes[which] = runs[0][1]
        best = min((statistics.median(taken) for which, taken in times.items() if which != "mantlet"), default=None)
        for which, command in commands.items():
            median = statistics.median(times[which])
            ratio = f"{best / median:.1f}" if which == "mantlet" and best else ""
            rows.append([name, which, spread(times[which]), ratio, mib(peak_kib(command)), codes[which]])
            print(rows[-1], flush=True)
    large = work / "large"
    large.mkdir()
    zeros, forty = b"", 40 << 30
    heads = {"zeros.bin": zeros, "literal.pkl": b"\x80\x04\x8e" + struct.pack("<Q", forty - 100), "weights.gguf": b"GGUF\x03\0\0\0" + b"\xff" * 16,
             "header.safetensors": struct.pack("<Q", forty - 8) + b'{"a"', "archive.zip": b"PK\x03\x04" + bytes(26), "data.onnx": b"\x08\x08\x3a" + b"\xff" * 4 + b"\x0f",
             "volume.tar": b"a" * 100 + bytes(157) + b"ustar"}
    for file, head in heads.items():
        sparse(large / file, head, forty)
    bombs(work / "bombs")
    for path in [*sorted(large.iterdir()), *sorted((work / "bombs").iterdir())]:
        command = [options.mantlet, "scan", str(path), "--quiet"]
        taken, code = once(command)
        label = f"40 GB sparse: {path.name}" if path.parent == large else f"bomb: {path.name}"
        rows.append([label, "mantlet", f"{taken:.4g}", "", mib(peak_kib(command)), code])
        print(rows[-1], flush=True)
    texts = [subprocess.run([options.mantlet, "scan", str(work / "many"), str(work / "bombs"), "--format", "json", "--threads", threads],
                            capture_output=True, check=False).stdout for threads in ("1", "2")]
    note = f"Whole processes, page cache warm, CPU seconds of user and system; the ratio is the best peer's median to ours. The same JSON with 1 and 2 threads: {texts[0] == texts[1]}. Exit codes: 0 clean, 1 found, 2 not fully examined."
    versions = ", ".join(line for line in pathlib.Path("scripts/bench/scan.txt").read_text().splitlines() if line)
    header = ["work", "scanner", "CPU s, median [range]", "best peer / ours", "peak MiB", "exit"]
    append(options.page, "Scanning", header, rows, f"{note} Peers: {versions}.")
    if options.corpus:
        append(options.page, "Scanning", ["scanner", "hostile", "found", "not fully examined", "missed", "ordinary", "alarmed", "not fully examined"],
               corpus(options, tools, pathlib.Path(options.corpus)),
               "Files of `scripts/corpus/forge.py`, one process a file, by exit code. Peers see every eighth file, modelaudit every eightieth.")
    shutil.rmtree(work)


def corpus(options, tools, root):
    """Exit codes on the hostile and ordinary files of a corpus."""
    expected = json.loads((root / "expected.json").read_text())
    names = sorted(name for name, entry in expected.items() if entry["expect"] in ("found", "clean"))
    scanners = {"mantlet": (1, lambda _, path: [options.mantlet, "scan", path, "--quiet"])}
    scanners |= {peer: (80 if peer == "modelaudit" else 8, command) for peer, command in PEERS.items()}
    rows = []
    for which, (step, command) in scanners.items():
        counts = {True: [0, 0, 0, 0], False: [0, 0, 0, 0]}
        for name in names[::step]:
            done = subprocess.run([str(part) for part in command(tools, root / name)], capture_output=True, check=False)
            hostile = expected[name]["expect"] == "found"
            counts[hostile][0] += 1
            counts[hostile][{0: 3, 1: 1}.get(done.returncode, 2)] += 1
        hostile, ordinary = counts[True], counts[False]
        rows.append([which, hostile[0], hostile[1], hostile[2], hostile[3], ordinary[0], ordinary[1], ordinary[2]])
        print(rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    os.environ["NO_COLOR"] = "1"
    main()
