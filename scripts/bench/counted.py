"""Instructions and calls of the system per request of the whole program: figures that other work on the machine does not move.

Instructions in user space are counted by callgrind between the end of the start and the end of the load, calls of the
system by `strace -c` over all threads, both under the load of the gateway's benchmark. Valgrind's processor has no
SHA extensions, so digests cost more there than outside; before and after are counted alike.

    python scripts/bench/counted.py --mantlet before/mantlet --mantlet after/mantlet --work target/counted
"""

import argparse
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import gateway

CELLS = ("mantlet, chat", "mantlet, rules")


def load(wrk, port, script, connections, seconds):
    done = subprocess.run([wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script, f"http://127.0.0.1:{port}"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout or done.returncode != 0:
        sys.exit(f"errors on port {port}: {done.stdout} {done.stderr}")
    return int(re.search(r"(\d+) requests in", done.stdout).group(1))


def instructions(options, wrk, mantlet, folder, script_of, work, log):
    """Instructions per request, and the file callgrind wrote of them."""
    out = work / f"{folder.name}.callgrind"
    wrapped = work / f"{folder.name}.sh"
    # The program begins itself anew unless this is said, and valgrind would lose it.
    wrapped.write_text(f'#!/bin/sh\nMIMALLOC_PURGE_DELAY=0 exec valgrind --tool=callgrind --callgrind-out-file={out} {mantlet} "$@"\n')
    wrapped.chmod(0o755)
    process, port, key = gateway.up(str(wrapped), folder, log)
    try:
        script = script_of(key)
        load(wrk, port, script, options.connections, 5)
        time.sleep(1)
        control = lambda *what: subprocess.run(["callgrind_control", *what, str(process.pid)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
        control("-z")
        requests = load(wrk, port, script, options.connections, options.seconds)
        time.sleep(1)
        control("-d")
        dumped = max(work.glob(f"{out.name}*"), key=lambda path: path.stat().st_mtime)
        totals = re.search(r"^(?:summary|totals): (\d+)", dumped.read_text(errors="replace"), re.M)
        return int(totals.group(1)) / requests, dumped
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def calls(options, wrk, mantlet, folder, script_of, work, log):
    """Calls of the system per request, by name."""
    process, port, key = gateway.up(mantlet, folder, log)
    try:
        script = script_of(key)
        load(wrk, port, script, options.connections, 1)
        told = work / f"{folder.name}.strace"
        tracer = subprocess.Popen(["strace", "-c", "-f", "-q", "-o", told, "-p", str(process.pid)], stdin=subprocess.DEVNULL, stderr=log)
        time.sleep(1)
        requests = load(wrk, port, script, options.connections, options.seconds)
        tracer.send_signal(signal.SIGINT)
        tracer.wait(20)
        counted = re.findall(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", told.read_text(), re.M)
        return {name: int(count) / requests for count, name in counted if name != "total"}
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mantlet", action="append", required=True, help="a program; several are counted one after the other")
    parser.add_argument("--work", required=True)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--cells", default=";".join(CELLS))
    options = parser.parse_args()
    work = pathlib.Path(options.work).resolve()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    nginx, wrk = gateway.fetch_tools(work)
    upstream = gateway.free_port()
    log = open(work / "servers.log", "w")
    reply = gateway.model(work / "system", work)
    gateway.chat_bodies(work)
    (work / "model.conf").write_text(gateway.NGINX.format(work=work, name="model", extra=gateway.MODEL.format(port=upstream, reply=reply, chat=gateway.CHAT_REPLY)))
    server = subprocess.Popen([nginx, "-p", work, "-c", work / "model.conf"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        gateway.wait_for(upstream)
        gateway.protected(options.mantlet[0], work / "system", upstream)
        for cell in options.cells.split(";"):
            for number, mantlet in enumerate(options.mantlet):
                chat = "chat" in cell

                def script_of(key, chat=chat, number=number):
                    path, bodies = ("/v1/chat/completions", "chat.txt") if chat else ("/v2/models/model/infer", "bodies.txt")
                    script = work / f"load-{number}.lua"
                    script.write_text(gateway.LUA % (work / bodies, path, key))
                    return script

                figures = []
                for what, count in (("ir", instructions), ("calls", calls)):
                    folder = work / f"{what}-{number}-{re.sub(r'[^a-z]+', '-', cell)}"
                    shutil.copytree(work / "system", folder)
                    text = gateway.WHOLE[cell]((folder / "mantlet.toml").read_text())
                    (folder / "mantlet.toml").write_text(text)
                    figures.append(count(options, wrk, str(pathlib.Path(mantlet).resolve()), folder, script_of, work, log))
                (each, dumped), by_name = figures
                most = ", ".join(f"{name} {count:.2f}" for name, count in sorted(by_name.items(), key=lambda item: -item[1])[:8])
                print(f"{cell} | {mantlet} | {each:.0f} instructions | {sum(by_name.values()):.2f} calls ({most}) | {dumped.name}", flush=True)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(10)
        log.close()


if __name__ == "__main__":
    main()
