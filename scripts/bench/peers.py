"""Drift reports of peers on the same two tables in the same run: each in an environment of its own, measured as a whole process."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

# What a fresh environment needs for each to start; without the pins they do not.
PEERS = {
    "evidently": ["evidently", "pandas<3", "pyarrow"],
    "nannyml": ["nannyml", "statsmodels", "pyarrow"],
    "alibi-detect": ["alibi-detect", "pyarrow<20"],
}
# Columns that moved by themselves. The pair latent_a and latent_b moved together, ip_risk in one segment only.
PLANTED = {"amount", "velocity", "dev_score", "device", "os", "age_days"}
TOGETHER = {"latent_a", "latent_b", "ip_risk"}


def environment(work, name):
    """The interpreter of a peer's environment, made when it is not there."""
    folder = work / f"peer-{name}"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        done = subprocess.run([str(python), "-m", "pip", "-q", "install", *PEERS[name]], capture_output=True, text=True)
        if done.returncode:
            return None, (done.stderr.strip().splitlines() or ["it does not install"])[-1]
        (folder / "ready").touch()
    return python, None


def timed(command, most=None, longest=None):
    """Standard output, user and system seconds, peak MiB of a whole process. One that takes more than `most` MiB or
    `longest` CPU seconds is ended."""
    time = shutil.which("time")
    if time is None:
        raise SystemExit("peers are measured with GNU time (Debian: time)")
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1", "PATH": "/usr/bin:/bin", "HOME": tempfile.gettempdir()}
    done = subprocess.Popen([time, "-f", "TOOK %U %S %M", *map(str, command)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=one)
    over = threading.Event()
    watch = threading.Thread(target=bounded, args=(done, most, longest, over))
    watch.start()
    done.stdout, done.stderr = done.communicate()
    watch.join()
    took = re.search(r"TOOK (\S+) (\S+) (\d+)", done.stderr)
    if took is None:
        raise SystemExit(f"{command}: {done.stderr[-2000:]}")
    done.over = over.is_set()
    return done, float(took[1]) + float(took[2]), int(took[3]) / 1024


def bounded(done, most, longest, over):
    """Looks at what a measured process holds and has taken until it ends, and ends it when that is too much."""
    started = pathlib.Path(f"/proc/{done.pid}/task/{done.pid}/children")
    tick = os.sysconf("SC_CLK_TCK")
    while (most or longest) and done.poll() is None:
        try:
            for child in started.read_text().split():
                held = re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{child}/status").read_text())
                spent = pathlib.Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()
                too_long = longest and sum(map(int, spent[11:13])) > longest * tick
                if too_long or (most and held and int(held[1]) > most * 1024):
                    over.set()
                    os.kill(int(child), signal.SIGKILL)
        except OSError:
            pass
        try:
            done.wait(0.05)
        except subprocess.TimeoutExpired:
            continue


def judged(columns):
    columns = set(columns)
    hit, wrong = columns & PLANTED, columns - PLANTED - TOGETHER
    text = f"{len(hit)} of {len(PLANTED)} columns that moved"
    if PLANTED - hit:
        text += f" (not {', '.join(sorted(PLANTED - hit))})"
    return text + (f"; wrongly {', '.join(sorted(wrong))}" if wrong else "; none wrongly")


def peers(work, before, now, label, names, most):
    rows = []
    script = pathlib.Path(__file__).with_name("peer_drift.py")
    for name in names:
        python, why = environment(work, name)
        if python is None:
            rows.append([f"{name}, {label}", "not run", why.replace("|", "/")[:200]])
            continue
        done, seconds, peak = timed([python, "-B", script, name, before, now], most)
        if done.over:
            rows.append([f"{name}, {label}", f"ended at {peak:.0f} MiB after {seconds:.1f} CPU s", f"more than the {most} MiB it was given"])
            continue
        if done.returncode:
            why = (done.stderr.strip().splitlines() or ["no reason"])[-2 if "TOOK" in done.stderr else -1]
            rows.append([f"{name}, {label}", "failed", why.replace("|", "/")[:200]])
            continue
        said = json.loads(done.stdout.strip().splitlines()[-1])
        rows.append([f"{name} {said['version']}, {label}", f"{seconds:.1f} CPU s, {peak:.0f} MiB", judged(said["flagged"])])
        print(rows[-1], flush=True)
    return rows
