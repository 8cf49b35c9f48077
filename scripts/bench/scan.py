"""`mantlet scan` beside picklescan: one small pickle, 1,000 small pickles, a 1 GB torch archive."""

import argparse
import io
import os
import pathlib
import pickle
import random
import shutil
import statistics
import sys
import types
import zipfile

from measure import append, cpu_seconds, mib, peak_kib, spread

SEED = 11


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


def torch_archive(path, size):
    """A torch zip of 16 float tensors that fill `size` bytes; random weights, as trained ones look."""
    import collections

    torch_names()
    tensors = 16
    columns = 1024
    rows = size // tensors // 4 // columns
    state = collections.OrderedDict((f"layer{index}.weight", Tensor(str(index), rows, columns)) for index in range(tensors))
    buffer = io.BytesIO()
    Writer(buffer, protocol=2).dump(state)
    source = random.Random(SEED)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", buffer.getvalue())
        archive.writestr("archive/byteorder", "little")
        for index in range(tensors):
            with archive.open(f"archive/data/{index}", "w", force_zip64=True) as member:
                left = rows * columns * 4
                while left > 0:
                    block = source.randbytes(min(left, 1 << 20))
                    member.write(block)
                    left -= len(block)
        archive.writestr("archive/version", "3\n")


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


def main():
    parser = argparse.ArgumentParser()
    for name in ("mantlet", "work", "page"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--quick", action="store_true", help="64 MB instead of 1 GB, fewer rounds; for trying the script")
    options = parser.parse_args()
    work = pathlib.Path(options.work)
    shutil.rmtree(work, ignore_errors=True)
    (work / "many").mkdir(parents=True)
    source = random.Random(SEED)
    (work / "one.pkl").write_bytes(small(source, 4))
    for index in range(1000):
        (work / "many" / f"{index:04}.pkl").write_bytes(small(source, 2 + index % 4))
    size = (64 << 20) if options.quick else 1_000_000_000
    torch_archive(work / "big.pt", size)
    rounds = 3 if options.quick else 9
    peer = str(pathlib.Path(sys.executable).parent / "picklescan")
    jobs = [("one small pickle", work / "one.pkl"), ("1,000 small pickles", work / "many"), (f"{size / 1e9:.2g} GB torch archive", work / "big.pt")]
    rows = []
    for name, path in jobs:
        with open(path if path.is_file() else work / "one.pkl", "rb") as file:
            # The page cache is warm for both.
            while file.read(1 << 24):
                pass
        commands = {"ours": [options.mantlet, "scan", str(path), "--quiet"], "peer": [peer, "-p", str(path)]}
        times = {"ours": [], "peer": []}
        for turn in range(rounds):
            for which in (("ours", "peer") if turn % 2 else ("peer", "ours")):
                repeat = 10 if which == "ours" and "small pickle" in name and "1,000" not in name else 1
                times[which].append(sum(cpu_seconds(commands[which], {0}) for _ in range(repeat)) / repeat)
        ratio = statistics.median(times["peer"]) / statistics.median(times["ours"])
        memory = {which: peak_kib(command) for which, command in commands.items()}
        rows.append([name, spread(times["ours"]), spread(times["peer"]), f"{ratio:.1f}", mib(memory["ours"]), mib(memory["peer"])])
        print(rows[-1], flush=True)
    version = "picklescan " + next(line.split("==")[1] for line in pathlib.Path("scripts/bench/scan.txt").read_text().splitlines() if "picklescan" in line)
    header = ["work", "mantlet CPU s, median [range]", f"{version} CPU s", "peer / mantlet", "mantlet peak MiB", "peer peak MiB"]
    note = f"{rounds} rotated rounds; whole processes, page cache warm, every run ended with 0 (clean). Neither reads the weights of the archive by default."
    append(options.page, "Scanning", header, rows, note)
    shutil.rmtree(work)


if __name__ == "__main__":
    os.environ["NO_COLOR"] = "1"
    main()
