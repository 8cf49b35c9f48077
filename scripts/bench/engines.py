#!/usr/bin/env python3
"""What each engine costs on one machine: a drift report over 20 columns by the stream, by DataFusion in one process, and by a
scheduler with two executors, each a process of its own. The program has to be a build with the feature `cluster`.

`--rows N` (again for more sizes) rows on each side, in eight Parquet files; `--runs N` runs of each engine, of which the
median CPU seconds count. The reports have to be the same byte for byte.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import time

import numpy as np
import pyarrow.parquet as pq

from drift import ASIDE, payments
from measure import append
from peers import timed

FILES = 8
TICKS = os.sysconf("SC_CLK_TCK")


def spent(pid):
    """User and system seconds of a process that runs, its peak MiB."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return (int(fields[11]) + int(fields[12])) / TICKS, peak / 1024


class Role:
    """A scheduler or an executor."""

    def __init__(self, program, folder, role, memory, scheduler=None):
        scratch = folder / f"scratch-{role}-{time.monotonic_ns()}"
        scratch.mkdir()
        command = [program, "up", "--role", role, "--listen", "127.0.0.1:0", "--format", "json", "--root", folder, "--cores", "1", "--memory", memory, "--storage", folder / "keys", "--token-file", folder / "token", "--scratch", scratch]
        command += ["--scheduler", scheduler] if scheduler else []
        self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.address = json.loads(self.process.stdout.readline())[role]

    def spent(self):
        return spent(self.process.pid)

    def end(self):
        self.process.terminate()
        self.process.wait()


def tables(folder, rows):
    for side, drifted in (("before", False), ("later", True)):
        (folder / side).mkdir()
        for file in range(FILES):
            rng = np.random.default_rng([rows, drifted, file])
            pq.write_table(payments(rows // FILES, rng, drifted), folder / side / f"{file}.parquet", row_group_size=131_072)


def measured(program, work, rows, runs, memory):
    folder = work / f"engines-{rows}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tables(folder, rows)
    (folder / "token").write_text("0123456789abcdef0123456789abcdef\n")
    profile, keys = folder / "profile.json", folder / "keys"
    made = [program, "monitor", "baseline", folder / "before", "--out", profile, "--storage", keys, *ASIDE]
    subprocess.run(list(map(str, made)), check=True, stdout=subprocess.DEVNULL)
    asked = [program, "monitor", "drift", folder / "later", "--baseline", profile, "--storage", keys, "--format", "json"]
    out, reports = [], set()

    def look(more, roles=()):
        seconds, peaks, walls, others = [], [], [], []
        for _ in range(runs):
            before = [role.spent()[0] for role in roles]
            begun = time.monotonic()
            done, cpu, peak = timed(list(map(str, [*asked, *more])))
            walls.append(time.monotonic() - begun)
            if done.returncode != 1:
                raise SystemExit(f"{more}: {done.returncode}: {done.stderr}")
            reports.add(done.stdout)
            seconds.append(cpu)
            peaks.append(peak)
            others.append([role.spent()[0] - own for role, own in zip(roles, before)])
        middle = [statistics.median(own) for own in zip(*others)]
        return statistics.median(seconds), max(peaks), statistics.median(walls), middle

    for name, more in (("`stream`", []), (f"`datafusion --memory {memory}`", ["--engine", "datafusion", "--memory", memory])):
        cpu, peak, wall, _ = look(more)
        out.append([f"{rows:,} rows", name, f"{cpu:.1f}", f"{peak:.0f}", f"{wall:.1f}"])
        print(out[-1], flush=True)
    scheduler = Role(program, folder, "scheduler", memory)
    roles = [scheduler]
    try:
        roles += [Role(program, folder, "executor", memory, scheduler.address) for _ in range(2)]
        cluster = ["--engine", "cluster", "--scheduler", scheduler.address, "--token-file", folder / "token"]
        cpu, peak, wall, own = look(cluster, roles)
        peaks = [role.spent()[1] for role in roles]
        costs = f"client {cpu:.1f}, scheduler {own[0]:.1f}, executors {own[1]:.1f} and {own[2]:.1f}"
        out.append([f"{rows:,} rows", f"`cluster`, 1 scheduler and 2 executors, one core and `--memory {memory}` each", costs, f"{peak:.0f}, " + ", ".join(f"{own:.0f}" for own in peaks), f"{wall:.1f}"])
        print(out[-1], flush=True)
    finally:
        for role in reversed(roles):
            role.end()
    if len(reports) != 1:
        raise SystemExit(f"{rows} rows: the engines do not report the same bytes")
    shutil.rmtree(folder)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mantlet", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--page", type=pathlib.Path, required=True)
    parser.add_argument("--rows", type=int, action="append")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--memory", type=int, default=64)
    options = parser.parse_args()
    options.work = options.work.absolute()
    rows = []
    for size in options.rows or [1_000_000, 5_000_000]:
        rows += measured(options.mantlet.absolute(), options.work, size, options.runs, options.memory)
    append(options.page, "Engines for more than one machine", ["later table", "`--engine`", "CPU s", "MiB at the peak", "wall s"], rows, f"`cargo xtask bench engines`: drift of 20 columns with a stored profile, {FILES} Parquet files a side, release build with the feature `cluster`, median of {options.runs} runs, reports the same byte for byte. MiB in the order of the CPU seconds.")


if __name__ == "__main__":
    main()
