"""What all benchmarks share: CPU time and memory of a whole process, load, and the page that is appended to."""

import datetime
import os
import pathlib
import shutil
import statistics
import subprocess


def cpu_seconds(command, expect, environment=None):
    """User and system seconds of one run, children included."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in expect:
        raise SystemExit(f"{command[0]} ended with {process.returncode}, expected {sorted(expect)}: {' '.join(map(str, command))}")
    return usage.ru_utime + usage.ru_stime


def peak_kib(command, environment=None):
    """Peak resident memory, by GNU time: a process of its own, so that this interpreter's memory is not inherited."""
    time = shutil.which("time")
    if time is None:
        return None
    done = subprocess.run([time, "-f", "%M", *map(str, command)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)
    return int(done.stderr.strip().splitlines()[-1])


def spread(values):
    """Median and range, for people."""
    return f"{statistics.median(values):.4g} [{min(values):.4g}, {max(values):.4g}]"


def mib(kib):
    return "not measured" if kib is None else f"{kib / 1024:.1f}"


def append(page, title, header, rows, note):
    """Adds rows to a page under today's date; makes the page when there is none."""
    page = pathlib.Path(page)
    if not page.is_file():
        page.write_text(f"# {title}\n")
    load = os.getloadavg()[0]
    cores = os.cpu_count()
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M")
    table = [header, ["---"] * len(header), *rows]
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in table]
    text = f"\n## {now} UTC, {cores} cores, load {load:.1f}\n\n" + "\n".join(lines) + f"\n\n{note}\n"
    with page.open("a") as file:
        file.write(text)
    print(text)
