"""CPU per request of the gateway over nginx's, in the same round, one worker each, with a bare proxy as calibration.

Upstream, nginx, the bare proxy and mantlet are started by this process in the same way and session. The order of
targets rotates from round to round. The figure is CPU time of the proxy's whole process (all threads, recording and
audit included) divided by nginx's in the same round; wall time counts only on a quiet machine.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time

from measure import append

FEATURES, BODIES = 784, 400
QUIET = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
NGINX = """
daemon off; worker_processes 1; error_log {work}/{name}.log; pid {work}/{name}.pid;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {work}/{name}-body; proxy_temp_path {work}/{name}-proxy;
  fastcgi_temp_path {work}/{name}-f; uwsgi_temp_path {work}/{name}-u; scgi_temp_path {work}/{name}-s;
  client_body_buffer_size 64k; keepalive_requests 100000000; keepalive_timeout 600s;
  {extra}
}}
"""
PROXY = """
  upstream model {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection ""; }} }}
  upstream events {{ server 127.0.0.1:{events}; keepalive 128; keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{streamed}; location / {{ proxy_pass http://events; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }} }}
"""
# The model: nginx answering with a fixed reply of the right shape, after reading the body.
MODEL = """
  server {{ listen 127.0.0.1:{port}; default_type application/json; location / {{ return 200 '{reply}'; }} location /v1/ {{ return 200 '{chat}'; }} }}
"""


def fetch_tools(work):
    """nginx and wrk from Debian, unpacked into the work folder: nothing is installed, no service is started."""
    found = {name: shutil.which(name) for name in ("nginx", "wrk")}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        packages = work / "packages"
        packages.mkdir(exist_ok=True)
        if shutil.which("apt-get") is None:
            sys.exit(f"missing: {', '.join(missing)}, and there is no apt-get to fetch them")
        wanted = [*missing, *(["libluajit-5.1-2", "libluajit-5.1-common"] if "wrk" in missing else [])]
        done = subprocess.run(["apt-get", "-qq", "download", *wanted], cwd=packages, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            sys.exit(f"cannot fetch {', '.join(wanted)} from Debian (run `apt-get update` once)")
        for package in sorted(packages.glob("*.deb")):
            subprocess.run(["dpkg", "-x", package, work / "root"], check=True)
        for name in missing:
            found[name] = next(str(path) for folder in ("usr/sbin", "usr/bin") if (path := work / "root" / folder / name).is_file())
    libraries = work / "root" / "usr" / "lib" / "x86_64-linux-gnu"
    os.environ["LD_LIBRARY_PATH"] = f"{libraries}:{os.environ.get('LD_LIBRARY_PATH', '')}"
    return found["nginx"], found["wrk"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port):
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"nothing answers on port {port}")


def cpu_ns(pids):
    """Run time of all threads of these processes."""
    total = 0
    for pid in pids:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except OSError:
                continue
    return total


def family(pid):
    """A process and its children: nginx's master and worker."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(child for inner in children for child in family(int(inner)))]


def resident_kib(pids):
    return sum(int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1)) for pid in pids)


def file_kib(pids):
    """Of what is resident, the pages of the program's own file and its libraries, which any process may share."""
    return sum(int(re.search(r"RssFile:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1)) for pid in pids)


def model(folder, work):
    """A classifier over 784 numbers, its table, and request bodies drawn as the table was."""
    import numpy as np
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(3)
    centres = random.random((10, FEATURES)).astype(np.float32)
    labels = random.integers(0, 10, 1500)
    draw = lambda labels: np.clip(centres[labels] + random.normal(0, 0.15, (len(labels), FEATURES)), 0, 1).astype(np.float32).round(4)
    rows = draw(labels)
    fitted = LogisticRegression(max_iter=60).fit(rows, labels)
    folder.mkdir()
    (folder / "model.onnx").write_bytes(to_onnx(fitted, rows[:1], target_opset=17, options={"zipmap": False}).SerializeToString())
    header = ",".join([*(f"f{index}" for index in range(FEATURES)), "label"])
    table = "\n".join(",".join([*(f"{value:.4f}" for value in row), str(label)]) for row, label in zip(rows, labels, strict=True))
    (folder / "train.csv").write_text(f"{header}\n{table}\n")
    fresh = draw(random.integers(0, 10, BODIES))
    bodies = [json.dumps({"inputs": [{"name": "X", "shape": [1, FEATURES], "datatype": "FP32", "data": [round(float(v), 4) for v in row]}]}, separators=(",", ":")) for row in fresh]
    (work / "bodies.txt").write_text("\n".join(bodies) + "\n")
    scores = [0.91, *[0.01] * 9]
    return json.dumps({"model_name": "model", "model_version": "v1", "outputs": [{"name": "label", "shape": [1], "datatype": "INT64", "data": [0]}, {"name": "probabilities", "shape": [1, 10], "datatype": "FP32", "data": scores}]}, separators=(",", ":"))


LUA = """
local bodies, at = {}, 0
for line in io.lines("%s") do bodies[#bodies + 1] = line end
request = function()
  at = at %% #bodies + 1
  return wrk.format("POST", "%s", {["Content-Type"] = "application/json", ["Authorization"] = "Bearer %s"}, bodies[at])
end
"""
CHAT_REPLY = json.dumps({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0, "message": {"role": "assistant", "content": "The shop opens at nine and closes at six, except on Sundays."}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 40, "completion_tokens": 14, "total_tokens": 54}}, separators=(",", ":"))
# The gateway alone, without a store: nothing looked at and no keys; keys and limits; all rules on tensors; on chat; on
# chat whose answers are streamed.
ALONE = ("pass", "identity", "rules", "chat", "chat, streamed")
# Events of a streamed answer.
EVENTS = 20


def enforced(text):
    """The configuration with a guard that enforces, in whatever mode it was written."""
    text, count = re.subn(r'(?m)^mode = "\w+"', 'mode = "enforce"', text, count=1)
    if not count:
        sys.exit("the configuration names no mode to replace")
    return text


# A caller whose requests are ordinary: the load comes under one key, which would have spent the budget of new inputs that
# the profile proposes within the first second, and every exchange after that would be marked, told of and counted into
# an incident. Each rule looks at each request all the same.
ORDINARY = '\n[gateway.rules.query-budget-spent]\nflag = 1000000.0\nthrottle = 1000000.0\n'
# The whole program: keys, limits and the record; all rules on tensors with and without the numbers in the record, and with
# every exchange marked; on chat, whole and streamed.
WHOLE = {
    "mantlet, recorded": lambda text: text.replace('upstream = "http', 'inspect = false\nupstream = "http'),
    "mantlet, rules": lambda text: text.replace("record_features = true", "record_features = false") + ORDINARY,
    "mantlet, rules, all marked": lambda text: text.replace("record_features = true", "record_features = false"),
    "mantlet, rules and features": lambda text: text + ORDINARY,
    "mantlet, chat": lambda text: enforced(text.replace('upstream = "http', 'speaks = "text"\nupstream = "http')),
    "mantlet, chat, streamed": lambda text: enforced(text.replace('upstream = "http', 'speaks = "text"\nupstream = "http')),
}


def chat_bodies(work):
    """About 350 bytes of chat each, none of them with anything a rule looks for."""
    topics = ["opening hours", "a broken lamp", "two blue chairs", "a late parcel", "the garden table", "a voucher", "the summer sale", "a missing screw"]
    bodies = [json.dumps({"model": "m", "messages": [{"role": "system", "content": "You answer questions about a furniture shop, briefly and kindly."}, {"role": "user", "content": f"Hello, I have a question about {topic}, number {number} on my list: what should I do next, and whom can I ask in the shop?"}], "temperature": 0.2}, separators=(",", ":")) for number, topic in enumerate(topics * 50)]
    (work / "chat.txt").write_text("\n".join(bodies) + "\n")
    (work / "streamed.txt").write_text("\n".join(body.replace('"temperature"', '"stream":true,"temperature"') for body in bodies) + "\n")


def step(mantlet, folder, what, version, user, password):
    """One signed step of the registry."""
    command = [mantlet, "registry", what, version, folder, "--user", user, "--note", "benchmark", "--password-stdin"]
    done = subprocess.run([str(part) for part in command], input=password + "\n", capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"registry {what} failed: {done.stdout} {done.stderr}")


def admit(mantlet, folder, version, user):
    """Protects what the folder says, admits and promotes it as a person made for that; gives the password."""
    done = subprocess.run([mantlet, "protect", folder, "--format", "json"], **QUIET)
    if not done.stdout.startswith("{"):
        sys.exit(f"protect failed: exit {done.returncode}: {done.stderr[-400:]}")
    # A candidate the policy leaves to a person is admitted by one.
    printed = subprocess.run([mantlet, "users", "add", user, folder, "--role", "admin"], **QUIET).stdout.split("\n")
    password = next((line.strip() for line in printed if re.fullmatch(r"[a-z0-9-]{16,}", line.strip())), "")
    for what in ["promote"] if json.loads(done.stdout)["passport"] else ["admit", "promote"]:
        step(mantlet, folder, what, version, user, password)
    return password


def renamed(model):
    """The same ONNX model with other bytes: a longer name of its producer (field 2 of the message, a string)."""
    extra = b"mantlet benchmark"
    return model + b"\x12" + bytes([len(extra)]) + extra


def protected(mantlet, folder, upstream):
    """A system made of the model in the folder, admitted and promoted."""
    done = subprocess.run([mantlet, "init", folder, "--decides", "nothing, a benchmark", "--endpoint", f"http://127.0.0.1:{upstream}", "--notify", "nobody", "--impact", "low"], **QUIET)
    if done.returncode != 0:
        sys.exit(f"init failed: {done.stderr}")
    file = folder / "mantlet.toml"
    text = re.sub(r'listen = "127\.0\.0\.1:\d+"', 'listen = "127.0.0.1:0"', file.read_text())
    text = re.sub(r"requests_per_minute = \d+", "requests_per_minute = 4000000000", text)
    file.write_text(re.sub(r"burst = \d+", "burst = 1000000000", text))
    admit(mantlet, folder, "v1", "bench")


def up(mantlet, folder, log):
    """Starts the program over a protected folder; its process, port and key."""
    environment = {**os.environ, "TOKIO_WORKER_THREADS": "1"}
    process = subprocess.Popen([mantlet, "up", folder, "--role", "gateway", "--format", "json"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
    printed = json.loads(process.stdout.readline() or "{}")
    if not printed.get("gateway"):
        sys.exit(f"up did not start: {pathlib.Path(log.name).read_text()[-600:]}")
    address, key = printed["gateway"], printed["api_key"]
    wait_for(int(address.rsplit(":", 1)[1]))
    return process, int(address.rsplit(":", 1)[1]), key


def start_mantlet(mantlet, folder, upstream, log, edit=lambda text: text):
    protected(mantlet, folder, upstream)
    file = folder / "mantlet.toml"
    file.write_text(edit(file.read_text()))
    return up(mantlet, folder, log)


def round_of(wrk, port, script, connections, seconds, pids):
    """Requests, CPU per request in microseconds, median latency in milliseconds."""
    before = cpu_ns(pids)
    done = subprocess.run([wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script, f"http://127.0.0.1:{port}"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    spent = cpu_ns(pids) - before
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout or done.returncode != 0:
        sys.exit(f"errors on port {port}: {done.stdout} {done.stderr}")
    requests = int(re.search(r"(\d+) requests in", done.stdout).group(1))
    value, unit = re.search(r"50%\s+([\d.]+)(us|ms|s)", done.stdout).groups()
    return requests, spent / requests / 1000, float(value) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


def main():
    parser = argparse.ArgumentParser()
    for name in ("mantlet", "work", "page"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--alone", action="store_true", help="only the gateway without a store, and its peers")
    parser.add_argument("--rounds", type=int, default=9, help="fewer than 9 are too few to claim a figure")
    parser.add_argument("--connections", default="1,8,64")
    parser.add_argument("--only", default="", help="other measurements instead, by name: detectors, canary, memory, whole-memory, reloads, streams, sharing, rollback, kill, power, litellm")
    parser.add_argument("--litellm", action="store_true", help="LiteLLM's proxy in the same rounds")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="load with faults on both sides, and what leaked or was lost")
    parser.add_argument("--pause", type=float, default=0.01, help="seconds each caller of the soak waits between its calls")
    options = parser.parse_args()
    work = pathlib.Path(options.work).resolve()
    others = [name for name in options.only.split(",") if name]
    others += ["litellm"] * (options.litellm and "litellm" not in others) + ["soak"] * (options.soak is not None)
    if others:
        import operations

        return operations.run(options, work, others)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    nginx, wrk = fetch_tools(work)
    mantlet = str(pathlib.Path(options.mantlet).resolve())
    bare = pathlib.Path(mantlet).parent / "examples" / "bare_proxy"
    folder = work / "system"
    reply = model(folder, work)
    ports = {name: free_port() for name in ("model", "events", "nginx", "nginx, streamed", "bare", "bare, streamed", *ALONE)}
    log = open(work / "servers.log", "w")
    processes = []

    def start(command):
        processes.append(subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        return processes[-1]

    try:
        for name, extra in (("model", MODEL.format(port=ports["model"], reply=reply, chat=CHAT_REPLY)), ("nginx", PROXY.format(port=ports["nginx"], upstream=ports["model"], streamed=ports["nginx, streamed"], events=ports["events"]))):
            (work / f"{name}.conf").write_text(NGINX.format(work=work, name=name, extra=extra))
        start([nginx, "-p", work, "-c", work / "model.conf"])
        start([bare.parent / "event_source", f"127.0.0.1:{ports['events']}", EVENTS])
        proxies = {"nginx": start([nginx, "-p", work, "-c", work / "nginx.conf"])}
        proxies["bare"] = start([bare, f"127.0.0.1:{ports['bare']}", f"127.0.0.1:{ports['model']}"])
        proxies["bare, streamed"] = start([bare, f"127.0.0.1:{ports['bare, streamed']}", f"127.0.0.1:{ports['events']}"])
        for mode in ALONE:
            upstream = ports["events" if "streamed" in mode else "model"]
            proxies[mode] = start([bare.parent / "guarded_proxy", mode.split(",")[0], f"127.0.0.1:{ports[mode]}", f"127.0.0.1:{upstream}"])
        for port in ports.values():
            wait_for(port)
        keys = {}
        if not options.alone:
            protected(mantlet, folder, ports["model"])
            for number, (name, edit) in enumerate(WHOLE.items()):
                copy = work / f"system-{number}"
                shutil.copytree(folder, copy)
                text = edit((copy / "mantlet.toml").read_text())
                if "streamed" in name:
                    text = text.replace(f"127.0.0.1:{ports['model']}", f"127.0.0.1:{ports['events']}")
                (copy / "mantlet.toml").write_text(text)
                proxies[name], ports[name], keys[name] = up(mantlet, copy, log)
                processes.append(proxies[name])
        chat_bodies(work)
        scripts = {}
        for name in [*proxies, "nginx, chat", "nginx, streamed"]:
            chat = "chat" in name or "streamed" in name
            path, bodies = ("/v1/chat/completions", "streamed.txt" if "streamed" in name else "chat.txt") if chat else ("/v2/models/model/infer", "bodies.txt")
            scripts[name] = work / f"{name.replace(', ', '-')}.lua"
            text = LUA % (work / bodies, path, keys.get(name, "key"))
            # Without a key where none is needed: a wrong one would be refused.
            scripts[name].write_text(text.replace(', ["Authorization"] = "Bearer key"', "") if name == "pass" else text)
        # nginx on the chat's bodies is what the chat cell is compared with.
        ports["nginx, chat"], proxies["nginx, chat"] = ports["nginx"], proxies["nginx"]
        proxies["nginx, streamed"] = proxies["nginx"]
        pids = {name: family(process.pid) for name, process in proxies.items()}
        ours = [name for name in proxies if name in ALONE or name in WHOLE]
        at_rest = {name: resident_kib(pids[name]) / 1024 for name in ours}
        rounds, seconds = (3, 1) if options.quick else (options.rounds, 2)
        rows, void, total = [], [], dict.fromkeys(proxies, 0)
        for connections in (8, 64) if options.quick else map(int, options.connections.split(",")):
            cpu = {name: [] for name in proxies}
            latency = {name: [] for name in proxies}
            for turn in range(rounds):
                order = list(proxies)
                order = order[turn % len(order) :] + order[: turn % len(order)]
                for name in order:
                    requests, each, middle = round_of(wrk, ports[name], scripts[name], connections, seconds, pids[name])
                    cpu[name].append(each)
                    latency[name].append(middle)
                    total[name] += requests
            for name in ("bare", "bare, streamed", *ours):
                base = "nginx, streamed" if "streamed" in name else "nginx, chat" if "chat" in name else "nginx"
                ratios = sorted(a / b for a, b in zip(cpu[name], cpu[base], strict=True))
                quarters = statistics.quantiles(ratios, n=4)
                shown = f"gateway alone, {name}" if name in ALONE else name
                rows.append([connections, shown, f"{statistics.median(cpu[name]):.1f}", f"{statistics.median(cpu[base]):.1f}", f"**{statistics.median(ratios):.2f}** [{quarters[0]:.2f}, {quarters[2]:.2f}]", f"{statistics.median(latency[name]) / statistics.median(latency[base]):.2f}"])
                if name.startswith("bare") and connections > 1 and not 0.8 <= statistics.median(ratios) <= 1.3:
                    void.append(f"{name} at {connections} connections")
                print(rows[-1], flush=True)
        memory = ", ".join(f"{name} {at_rest[name]:.1f} to {resident_kib(pids[name]) / 1024:.1f} ({file_kib(pids[name]) / 1024:.1f} of it the file's pages) over {total[name]} requests" for name in ours)
        contended = f"contended (load {os.getloadavg()[0]:.0f}): only CPU ratios count" if os.getloadavg()[0] > 4 else "quiet enough for the latency column"
        outside = f"outside 0.8 to 1.3 of nginx: {', '.join(void)}" if void else "the bare proxy is within 0.8 to 1.3 of nginx"
        # The relay sends each event by itself, nginx what has arrived: it says nothing about the cells that do not stream.
        calibration = f"VOID: {outside}" if any("streamed" not in name for name in void) else outside
        whole = "" if options.alone else f" mantlet is the whole program: recorded has keys, limits and the record and looks at nothing; rules reads and judges both ways and records decisions and figures, of a caller within its budget; all marked is the same with the budget spent, so that every exchange is marked, told of and counted into an incident (as before 2026-11-30 09:40); rules and features records the 784 numbers of each request too; chat enforces every text rule both ways and records; chat, streamed does so over answers of {EVENTS} server-sent events, each written by itself, beside nginx with `proxy_buffering off`."
        note = (f"{rounds} rotated rounds of {seconds} s, one worker each, {BODIES} bodies of {FEATURES} numbers or of chat as JSON, no errors. The gateway alone records nothing: pass looks at nothing and needs no key, identity adds keys and limits, rules and chat read and judge request and reply with every rule.{whole} "
                f"Calibration: {calibration}. Machine: {contended}; 1 connection is reported and not judged. Memory at rest and after the run, MiB: {memory}.")
        append(options.page, "Gateway", ["connections", "proxy", "CPU us per request", "nginx CPU us per request", "CPU over nginx, median [quartiles]", "p50 over nginx"], rows, note)
    finally:
        for process in reversed(processes):
            process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        log.close()


if __name__ == "__main__":
    main()
