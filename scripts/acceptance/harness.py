"""Runs mantlet for a test of clients, and tells what held."""

import json
import signal
import socket
import subprocess
import sys


def start_gateway(mantlet, work, gateway):
    """`mantlet up` on a folder of its own, with these lines under `[gateway]`."""
    work.mkdir(parents=True)
    (work / "model.txt").write_text("served elsewhere\n")
    head = '[system]\nname = "example"\ndecides = "nothing, a test"\nimpact = "high"\n[model]\npath = "model.txt"\nname = "sums"\n'
    text = '[gateway.text]\nterms = ["project nightjar"]\ntools_denied = ["shell"]\n'
    (work / "mantlet.toml").write_text(f'{head}[gateway]\nlisten = "127.0.0.1:0"\nmode = "enforce"\n{gateway}\n{text}')
    process = subprocess.Popen([mantlet, "up", str(work), "--role", "gateway", "--format", "json"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=(work / "log").open("w"), text=True)
    printed = json.loads(process.stdout.readline() or "{}")
    if not printed.get("gateway"):
        sys.exit(f"up did not start: {(work / 'log').read_text()[-800:]}")
    return process, printed["gateway"], printed["api_key"]


def stop(process):
    process.send_signal(signal.SIGTERM)
    process.wait(20)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def check(name, holds, detail=""):
    print(f"{'ok  ' if holds else 'FAIL'} {name} {detail if not holds else ''}", flush=True)
    if not holds:
        sys.exit(1)


def raises(kind, call):
    try:
        call()
    except kind as error:
        return error
    return None
