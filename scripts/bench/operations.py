"""What the gateway does beside passing requests on: reloads, canaries, rollback, memory, streams, kills, and a soak.

Each is a function that starts what it needs, measures, appends a dated section to the page, and stops what it started.
A figure that misses its bar is appended like any other.
"""

import asyncio
import base64
import http.server
import json
import os
import pathlib
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
import urllib.request

import gateway
from measure import append

QUIET = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}


class Bench:
    """The tools and folders of one run."""

    def __init__(self, options, work):
        self.options, self.work = options, work
        self.nginx, self.wrk = gateway.fetch_tools(work)
        self.mantlet = str(pathlib.Path(options.mantlet).resolve())
        self.proxy = pathlib.Path(self.mantlet).parent / "examples" / "guarded_proxy"
        self.reply = gateway.model(work / "system", work)
        gateway.chat_bodies(work)
        self.log = open(work / "servers.log", "w")
        self.started = []

    def start(self, command, **more):
        settings = {"stdin": subprocess.DEVNULL, "stdout": self.log, "stderr": self.log, **more}
        self.started.append(subprocess.Popen([str(part) for part in command], **settings))
        return self.started[-1]

    def model(self):
        """nginx as the model; its port."""
        port = gateway.free_port()
        extra = gateway.MODEL.format(port=port, reply=self.reply, chat=gateway.CHAT_REPLY)
        (self.work / "model.conf").write_text(gateway.NGINX.format(work=self.work, name="model", extra=extra))
        self.start([self.nginx, "-p", self.work, "-c", self.work / "model.conf"])
        gateway.wait_for(port)
        return port

    def guarded(self, mode, upstream):
        """The gateway alone in one mode; its process and port."""
        port = gateway.free_port()
        process = self.start([self.proxy, mode, f"127.0.0.1:{port}", f"127.0.0.1:{upstream}"])
        gateway.wait_for(port)
        return process, port

    def whole(self, upstream, edit=lambda text: text):
        """The program over a protected system; its process, port, key and folder."""
        folder = self.work / "system"
        started = gateway.start_mantlet(self.mantlet, folder, upstream, self.log, edit)
        self.started.append(started[0])
        return (*started, folder)

    def again(self, folder):
        """The program once more over a folder it served before; its process and port. Keys made before count on."""
        process, port, _ = gateway.up(self.mantlet, folder, self.log)
        self.started.append(process)
        return process, port

    def stop(self):
        for process in reversed(self.started):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.started:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        self.started = []

    def lua(self, name, text):
        path = self.work / f"{name}.lua"
        path.write_text(text)
        return path

    def load(self, port, script, connections, seconds, check=True):
        """wrk's count of requests and of errors."""
        command = [self.wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s", "-s", script, f"http://127.0.0.1:{port}"]
        done = subprocess.run([str(part) for part in command], **QUIET)
        requests = int(re.search(r"(\d+) requests in", done.stdout).group(1))
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
        torn = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", done.stdout)
        failed = int(bad.group(1)) if bad else 0
        failed += sum(map(int, torn.groups())) if torn else 0
        if check and failed:
            raise SystemExit(f"{failed} of {requests} failed: {done.stdout}")
        return requests, failed


def metrics(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return answer.read().decode()


def counted(text, name, **labels):
    """The sum of a counter over the series that have these labels."""
    total = 0
    for line in text.splitlines():
        if line.startswith(f"mantlet_gateway_{name}") and all(f'{key}="{value}"' in line for key, value in labels.items()):
            total += float(line.rsplit(" ", 1)[1])
    return int(total)


MANY = """
local bodies, at, turn = {}, 0, %d
for line in io.lines("%s") do bodies[#bodies + 1] = line end
request = function()
  at = at + 1
  turn = turn + 1
  return wrk.format("POST", "/v2/models/model/infer", {["Content-Type"] = "application/json", ["Authorization"] = "Bearer key-" .. (turn %% %d)}, bodies[at %% #bodies + 1])
end
"""


def canary(bench):
    """How near a split of callers comes to its share: 10,000 callers, as many requests each."""
    process, port = bench.guarded("canary", bench.model())
    script = bench.lua("canary", MANY % (0, bench.work / "bodies.txt", 10_000))
    total = 0
    while total < 60_000:
        total += bench.load(port, script, 16, 4)[0]
    text = metrics(port)
    tried, everyone = counted(text, "exchanges_total", version="2"), counted(text, "exchanges_total")
    share = 100 * tried / everyone
    row = ["10,000 callers, 10 % to the candidate", everyone, f"**{share:.2f} %**", f"{abs(share - 10):.2f}", "1"]
    append(bench.options.page, "Gateway", ["canary split", "requests", "share of the candidate", "off by, points", "bar"], [row], "Callers are told apart by a keyed digest; the share is of requests as the gateway's metrics count them by version.")


def memory(bench):
    """Resident memory over a million requests of 100,000 callers, then over a million callers seen once each."""
    process, port = bench.guarded("rules", bench.model())
    pids, rows, total = gateway.family(process.pid), [], 0
    goal = 200_000 if bench.options.quick else 1_000_000
    at_rest = gateway.resident_kib(pids) / 1024
    for name, callers in (("100,000 callers", 100_000), ("every caller new", 1_000_000_000)):
        seen, sizes = 0, []
        while seen < goal:
            script = bench.lua("many", MANY % (seen, bench.work / "bodies.txt", callers))
            seen += bench.load(port, script, 16, 5)[0]
            sizes.append(gateway.resident_kib(pids) / 1024)
        half = sizes[len(sizes) // 2 :]
        remembered = counted(metrics(port), "callers")
        rows.append([name, seen, f"{at_rest:.1f}", f"**{max(sizes):.1f}**", f"{half[-1] - half[0]:+.1f}", remembered, "38.1, which is 40 MB"])
        total += seen
    append(bench.options.page, "Gateway", ["memory, all rules on tensors of 784", "requests", "MiB at rest", "MiB at most", "MiB gained in the second half", "callers remembered at the end", "bar, MiB"], rows, "The gateway alone, 16 connections; resident memory of the process, looked at every 5 s. Callers are forgotten as `Callers` says: the least suspicious first.")


class Provider:
    """An OpenID Connect provider on loopback, and tokens of as many callers as are wanted, signed by Ed25519."""

    def __init__(self):
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self.key = Ed25519PrivateKey.generate()
        public = self.key.public_key().public_bytes_raw()
        port = gateway.free_port()
        self.issuer = f"http://127.0.0.1:{port}"
        keys = {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "use": "sig", "x": self.plain(public)}]}
        documents = {"/.well-known/openid-configuration": {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"}, "/keys": keys}

        class Documents(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = json.dumps(documents.get(self.path, {})).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Documents)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def plain(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    def tokens(self, numbers, path):
        """One token a line."""
        head = self.plain(b'{"alg":"EdDSA","kid":"k"}')
        ends = int(time.time()) + 86_400
        with path.open("w") as file:
            for number in numbers:
                claims = self.plain(json.dumps({"iss": self.issuer, "aud": "models", "sub": f"caller-{number}", "exp": ends}).encode())
                signed = f"{head}.{claims}"
                file.write(f"{signed}.{self.plain(self.key.sign(signed.encode()))}\n")


# Each run of wrk takes up where the last one stopped; tokens are read as they are used, so that wrk holds none of them.
TOKENS = """
local bodies, at = {}, 0
for line in io.lines("%s") do bodies[#bodies + 1] = line end
local tokens, skip = io.open("%s"), %d
for _ = 1, skip do tokens:read() end
request = function()
  at = at + 1
  local token = tokens:read()
  if token == nil then
    tokens:seek("set", 0)
    token = tokens:read()
  end
  return wrk.format("POST", "/v2/models/model/infer", {["Content-Type"] = "application/json", ["Authorization"] = "Bearer " .. token}, bodies[at %% #bodies + 1])
end
"""


def memory_parts(pid):
    """MiB resident of a process by what it is: its file and libraries, the heap, stacks and the rest."""
    parts, kind = {}, None
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        head = re.match(r"[0-9a-f]+-[0-9a-f]+ (\S+) \S+ \S+ (\d+) *(.*)", line)
        if head:
            access, inode, name = head.groups()
            own = "mantlet" in name or "guarded_proxy" in name
            if inode != "0":
                kind = ("the program's code" if "x" in access else "its constants") if own else "libraries of the system"
                if own and "w" in access:
                    kind = "what the loader wrote"
            else:
                kind = "stack of the first thread" if name == "[stack]" else "heap and stacks of threads"
        elif line.startswith("Rss:"):
            parts[kind] = parts.get(kind, 0) + int(line.split()[1]) / 1024
    return parts


class Attacker:
    """One caller who asks for nearly the same row again and again, and whether a further query of somebody is told of."""

    def __init__(self, bench, port, key):
        self.port, self.key = port, key
        self.body = json.loads((bench.work / "bodies.txt").read_text().splitlines()[0])

    def ask(self, headers, number):
        tensor = self.body["inputs"][0]
        tensor["data"][number % len(tensor["data"])] += 1e-3
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v2/models/model/infer", data=json.dumps(self.body).encode(), headers={"Content-Type": "application/json", **headers})
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()

    def attack(self):
        for number in range(400):
            self.ask({"Authorization": f"Bearer {self.key}"}, number)

    def is_told_of(self, headers):
        before = counted(metrics_of(self.port, self.key), "signals")
        self.ask(headers, 0)
        return counted(metrics_of(self.port, self.key), "signals") > before


def whole_memory(bench):
    """Resident memory of the whole program over a million requests of 100,000 callers with tokens of their own, then over
    callers that are seen once each: all rules, everything recorded."""
    provider = Provider()
    goal, fresh = (100_000, 100_000) if bench.options.quick else (1_000_000, 1_000_000)
    few, many = bench.work / "few.txt", bench.work / "many.txt"
    provider.tokens(range(100_000), few)
    provider.tokens(range(1_000_000, 1_000_000 + fresh), many)
    text = lambda text: text.replace("record_features = true", "record_features = false") + f'\n[gateway.oidc]\nissuer = "{provider.issuer}"\naudience = "models"\n'
    process, port, key, folder = bench.whole(bench.model(), text)
    pids, rows, tables = gateway.family(process.pid), [], []
    time.sleep(2)
    at_rest, resting = gateway.resident_kib(pids) / 1024, memory_parts(process.pid)
    attacker, kept = Attacker(bench, port, key), []
    for name, tokens, goal in (("100,000 callers", few, goal), ("every caller new", many, fresh)):
        attacker.attack()
        known = attacker.is_told_of({"Authorization": f"Bearer {key}"})
        seen, sizes = 0, []
        while seen < goal:
            script = bench.lua("tokens", TOKENS % (bench.work / "bodies.txt", tokens, seen % 100_000 if tokens == few else seen))
            seen += bench.load(port, script, 16, 10)[0]
            sizes.append(gateway.resident_kib(pids) / 1024)
        half = sizes[len(sizes) // 2 :]
        own = gateway.file_kib(pids) / 1024
        remembered = counted(metrics_of(port, key), "callers")
        rows.append([name, seen, f"{at_rest:.1f}", f"**{max(sizes):.1f}**", f"{own:.1f}", f"{half[-1] - half[0]:+.1f}", remembered, "40"])
        tables.append(memory_parts(process.pid))
        # The same question of somebody who never asked before is an ordinary one.
        nobody = bench.work / "nobody.txt"
        provider.tokens([3_000_000 + len(kept)], nobody)
        still = attacker.is_told_of({"Authorization": f"Bearer {key}"})
        stranger = attacker.is_told_of({"Authorization": f"Bearer {nobody.read_text().strip()}"})
        segments = list((folder / ".mantlet" / "exchanges").rglob("*.parquet"))
        say = lambda told: "told of" if told else "**not told of**"
        kept.append([name, say(known), say(still), "told of" if stranger else "not told of", len(segments), f"{sum(segment.stat().st_size for segment in segments) / 2**20:.1f}", counted(metrics_of(port, key), "overloads")])
    append(bench.options.page, "Gateway", ["what is remembered, the same run", "a further query of an attacker, before", "after", "the same query of a stranger", "segments on disk", "MiB of them", "not taken by some port"], kept, "The attacker asks 400 times for nearly one row before each part, and once after it, when as many others have come: whoever brings many names must not push it out.")
    append(bench.options.page, "Gateway", ["memory, the whole program, all rules on tensors of 784, recorded", "requests", "MiB at rest", "MiB at most", "of it the file's pages at the end", "MiB gained in the second half", "callers remembered at the end", "bar, MiB"], rows, "Callers have tokens of an OpenID Connect provider, each verified (Ed25519); 16 connections; resident memory looked at every 10 s. Decisions and figures are recorded.")
    kinds = list(dict.fromkeys(kind for table in (resting, *tables) for kind in table))
    append(bench.options.page, "Gateway", ["part of the memory of that process", "MiB at rest", *(f"after {row[1]} requests, {row[0]}" for row in rows)], [[kind, *(f"{table.get(kind, 0):.1f}" for table in (resting, *tables))] for kind in kinds], "`/proc/PID/smaps`. Code and constants are pages of the program's file, which the system may drop and share.")


def reloads(bench):
    """Fifty configurations taken over under load, and what failed meanwhile."""
    process, port, key, folder = bench.whole(bench.model())
    text = gateway.LUA % (bench.work / "bodies.txt", "/v2/models/model/infer", key)
    script = bench.lua("reloads", text)
    file = folder / "mantlet.toml"
    before, done, failed, changed = counted(metrics_of(port, key), "generation"), 0, 0, 0
    while changed < 50 or done < 100_000:
        command = [bench.wrk, "-t1", "-c8", "-d20s", "-s", script, f"http://127.0.0.1:{port}"]
        load = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        while load.poll() is None:
            if changed < 50:
                changed += 1
                file.write_text(re.sub(r"timeout_ms = \d+", f"timeout_ms = {30_000 + changed}", file.read_text()))
            time.sleep(1.3)
        printed = load.stdout.read()
        done += int(re.search(r"(\d+) requests in", printed).group(1))
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", printed)
        torn = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", printed)
        failed += (int(bad.group(1)) if bad else 0) + (sum(map(int, torn.groups())) if torn else 0)
    taken = counted(metrics_of(port, key), "generation") - before
    append(bench.options.page, "Gateway", ["reloads under load", "requests", "configurations taken over", "failed", "bar"], [["the whole program, 8 connections, all rules", done, taken, f"**{failed}**", "0 of 100,000 over 50"]], "A reload is the file written anew while wrk runs; the program looks at it every second.")


def metrics_of(port, key):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def streams(bench):
    """What the gateway adds until the first byte of a stream, and to each chunk of it."""
    asyncio.run(_streams(bench))


async def _streams(bench):
    words = "the shop opens at nine and closes at six except on sundays when it is closed all day long".split()

    async def serve(reader, writer):
        try:
            while (await reader.readline()).strip():
                head = {}
                while line := (await reader.readline()).strip():
                    name, _, value = line.partition(b":")
                    head[name.lower()] = value.strip()
                await reader.readexactly(int(head.get(b"content-length", 0)))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
                for number, word in enumerate(words):
                    await asyncio.sleep(0.02)
                    data = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {"content": f"{word} "}, "finish_reason": None if number + 1 < len(words) else "stop"}]}
                    chunk = f"data: {json.dumps(data)}\n\n".encode()
                    if number + 1 == len(words):
                        chunk += b"data: [DONE]\n\n"
                    writer.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                    await writer.drain()
                writer.write(b"0\r\n\r\n")
                if head.get(b"connection", b"").lower() == b"close":
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    upstream = server.sockets[0].getsockname()[1]
    process, port = await asyncio.to_thread(bench.guarded, "chat", upstream)
    body = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "When does the shop open?"}]}).encode()

    async def ask(port):
        """Milliseconds until the first event, and until each chunk."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began = time.perf_counter()
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer key\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        times = []
        while line := await reader.readline():
            if line.startswith(b"data: {"):
                times.append((time.perf_counter() - began) * 1000)
        writer.close()
        return times

    count, side_by_side = (20, 4) if bench.options.quick else (200, 4)
    direct, guarded = [None] * count, [None] * count

    async def pairs(first):
        # The two calls of a pair follow one another; a few pairs run beside each other, which takes a core a few percent.
        for turn in range(first, count, side_by_side):
            for which, at in ((direct, upstream), (guarded, port)) if turn % 2 else ((guarded, port), (direct, upstream)):
                which[turn] = await ask(at)

    await asyncio.gather(*map(pairs, range(side_by_side)))
    whole = all(len(times) == len(words) for times in direct + guarded)
    first = sorted(g[0] - d[0] for d, g in zip(direct, guarded))
    later = sorted(g[-1] - d[-1] for d, g in zip(direct, guarded))
    cell = lambda values: f"**{statistics.median(values):.2f}** [{values[len(values) // 4]:.2f}, {values[3 * len(values) // 4]:.2f}]"
    row = [f"{len(words)} chunks, 20 ms apart", count, cell(first), cell(later), "one chunk or 20 ms", "all" if whole else "NOT ALL"]
    append(bench.options.page, "Gateway", ["benign streams", "pairs", "ms added to the first event, median [quartiles]", "ms added to the last", "bar", "events arrived"], [row], f"Chat over SSE, all rules, enforced; direct and guarded calls in turn, {side_by_side} pairs side by side, each pair's difference. Wall time: read with the load.")
    server.close()


def sharing(bench):
    """What it costs to tell guards of other replicas through Redis what is seen of callers: the same program with and
    without, in the same rounds."""
    upstream, redis = bench.model(), gateway.free_port()
    bench.start(["redis-server", "--port", redis, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", bench.work])
    gateway.wait_for(redis)
    gateway.protected(bench.mantlet, bench.work / "system", upstream)
    sides = {}
    for name, text in {"alone": "", "limits through Redis": "detectors = false\n", "limits and detector state": "detectors = true\n"}.items():
        folder = bench.work / name.replace(" ", "-")
        shutil.copytree(bench.work / "system", folder)
        file = folder / "mantlet.toml"
        whole = file.read_text().replace("record_features = true", "record_features = false")
        if text:
            # The table stands there already, with what is built in.
            head, _, rest = whole.partition("\n[shared]\n")
            rest = rest.replace("detectors = true\n", "", 1)
            whole = f'{head}\n[shared]\nredis = "redis://127.0.0.1:{redis}"\n{text}{rest}'
        file.write_text(whole)
        process, port, key = gateway.up(bench.mantlet, folder, bench.log)
        bench.started.append(process)
        script = bench.lua(folder.name, gateway.LUA % (bench.work / "bodies.txt", "/v2/models/model/infer", key))
        sides[name] = (port, script, gateway.family(process.pid), key)
    each, counts, rounds = {name: [] for name in sides}, dict.fromkeys(sides, 0), 3 if bench.options.quick else bench.options.rounds
    for turn in range(-1, rounds):
        names = list(sides)
        for name in names[turn % 3 :] + names[: turn % 3]:
            port, script, pids, _ = sides[name]
            before = gateway.cpu_ns(pids)
            requests, _ = bench.load(port, script, 8, 2)
            if turn >= 0:
                each[name].append((gateway.cpu_ns(pids) - before) / requests / 1000)
                counts[name] += requests
    rows = []
    for name in sides:
        ratios = sorted(one / base for one, base in zip(each[name], each["alone"]))
        text = metrics_of(sides[name][0], sides[name][3])
        told, left = (counted(text, "sightings", what=what) for what in ("told", "left-out"))
        rows.append([name, counts[name], f"{statistics.median(each[name]):.1f}", f"**{statistics.median(ratios):.2f}** [{ratios[0]:.2f}, {ratios[-1]:.2f}]", f"{told} / {left}"])
    append(bench.options.page, "Gateway", ["sharing with other replicas", "requests", "CPU us per request", "over alone, median [least, most]", "told / left out since the start"], rows, f"The whole program with all rules on tensors of 784, recorded, 8 connections, {rounds} rotated rounds of 2 s after one not counted; Redis on loopback, nobody else listens. CPU is the gateway's process, Redis not included. The queue to Redis is bounded: what has no room is left out and counted.")


def rollback(bench):
    """From `mantlet registry rollback` until the version that was good before answers."""
    process, port, key, folder = bench.whole(bench.model())
    file = folder / "mantlet.toml"
    rounds = 3 if bench.options.quick else 10
    text = file.read_text()
    upstream = re.search(r'upstream = "(http[^"]+)"', text).group(1)
    text += "\n[gateway.versions]\n" + "".join(f'v{number} = "{upstream}"\n' for number in range(1, rounds + 2))
    model = folder / "model.onnx"

    def newer(version):
        """The same model with other bytes, admitted and promoted like the first; gives who did that, with the password."""
        model.write_bytes(gateway.renamed(model.read_bytes()))
        file.write_text(text.replace('version = "v1"', f'version = "{version}"'))
        return version + "-bench", gateway.admit(bench.mantlet, folder, version, version + "-bench")

    body = (bench.work / "bodies.txt").read_text().splitlines()[0].encode()

    def answering():
        request = urllib.request.Request(f"http://127.0.0.1:{port}/status", headers={"Authorization": f"Bearer {key}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())["routes"][0]["chosen_version"]

    def until(version):
        began = time.perf_counter()
        while answering() != version:
            time.sleep(0.005)
            if time.perf_counter() - began > 30:
                raise SystemExit(f"{version} does not answer: {answering()}")

    took, after = [], []
    for turn in range(rounds):
        # What was rolled back is retired, so each turn has a version of its own.
        version = f"v{turn + 2}"
        user, password = newer(version)
        until(version)
        began = time.perf_counter()
        command = [bench.mantlet, "registry", "rollback", folder, "--user", user, "--note", "benchmark", "--password-stdin"]
        done = subprocess.run([str(part) for part in command], input=password + "\n", capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"rollback failed: {done.stdout} {done.stderr}")
        said = time.perf_counter()
        until("v1")
        request = urllib.request.Request(f"http://127.0.0.1:{port}/v2/models/model/infer", data=body, headers={"Authorization": f"Bearer {key}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()
        took.append(time.perf_counter() - began)
        after.append(time.perf_counter() - said)
    cell = lambda values: f"**{statistics.median(values):.2f}** (most {max(values):.2f})"
    append(bench.options.page, "Gateway", ["rollback by command", "times", "s from the command's start until the old version answered", "s from the command's end", "bar, s"], [["another process's registry, digest and signature verified", rounds, cell(took), cell(after), "1"]], "The command signs the person in (Argon2id) and writes the registry; the running gateway sees it, verifies digest and signature of the version, switches, and a request is answered.")


def recorded(folder):
    """Ids of the exchanges in the record."""
    import pyarrow.parquet as parquet

    found = set()
    for file in (folder / ".mantlet" / "exchanges").glob("*/*.parquet"):
        found.update(parquet.read_table(file, columns=["id"]).column("id").to_pylist())
    return found


class Caller:
    """Asks over its own connection, and remembers which exchanges were answered."""

    def __init__(self, port, key, answered):
        self.port, self.key, self.answered = port, key, answered
        self.reader = self.writer = None

    async def open(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)

    def close(self):
        if self.writer:
            self.writer.close()
        self.reader = self.writer = None

    async def ask(self, body, key=None):
        """The status of the answer, whose whole body was read."""
        if self.writer is None:
            await self.open()
        self.writer.write(b"POST /v2/models/model/infer HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\ncontent-length: %d\r\n\r\n" % ((key or self.key).encode(), len(body)) + body)
        status = int((await self.reader.readline()).split()[1])
        length, exchange, closes = 0, None, False
        while line := (await self.reader.readline()).strip():
            name, _, value = line.partition(b":")
            value = value.strip().decode()
            match name.lower():
                case b"content-length":
                    length = int(value)
                case b"x-mantlet-exchange":
                    exchange = value
                case b"connection":
                    closes = value == "close"
        await self.reader.readexactly(length)
        if exchange:
            self.answered.add(exchange)
        if closes:
            self.close()
        return status


def kill(bench):
    """Kills the program with SIGKILL under load, again and again: what was answered or acknowledged must be on record."""
    process, port, key, folder = bench.whole(bench.model())
    bodies = [line.encode() for line in (bench.work / "bodies.txt").read_text().splitlines()]
    answered, acknowledged, rounds = set(), [], 3 if bench.options.quick else 10

    async def load(port, key, until):
        async def one(number):
            caller = Caller(port, key, answered)
            turn = number
            try:
                while not until.is_set():
                    turn += 1
                    await caller.ask(bodies[turn % len(bodies)])
            except (OSError, asyncio.IncompleteReadError, IndexError, ValueError):
                pass
            caller.close()

        await asyncio.gather(*(one(number) for number in range(8)))

    async def round(number, process, port, key):
        until = asyncio.Event()
        task = asyncio.create_task(load(port, key, until))
        label = f"round-{number}"
        done = await asyncio.to_thread(subprocess.run, [bench.mantlet, "keys", "add", label, str(folder)], **QUIET)
        if done.returncode == 0:
            acknowledged.append(label)
        await asyncio.sleep(1.0 + random.Random(number).random())
        process.kill()
        process.wait()
        until.set()
        await task

    for number in range(rounds):
        asyncio.run(round(number, process, port, key))
        process, port = bench.again(folder)
    process.send_signal(signal.SIGTERM)
    process.wait(20)
    lost = len(answered - recorded(folder))
    verified = subprocess.run([bench.mantlet, "audit", "verify", str(folder)], **QUIET)
    listed = subprocess.run([bench.mantlet, "keys", "list", str(folder)], **QUIET).stdout
    shown = subprocess.run([bench.mantlet, "audit", "show", str(folder), "--last", "10000"], **QUIET).stdout
    missing = sum(1 for label in acknowledged if label not in listed) + max(0, len(acknowledged) - shown.count("key"))
    row = [rounds, len(answered), f"**{lost}** ({100 * lost / max(1, len(answered)):.3f} %)", len(acknowledged), f"**{missing}**", "holds" if verified.returncode == 0 else f"BROKEN: {verified.stdout[:200]}", "0 acknowledged"]
    append(bench.options.page, "Gateway", ["kills (SIGKILL) under load", "exchanges answered", "of these not on record", "audit entries acknowledged", "of these missing", "audit log", "bar"], [row], "8 callers without pause; the program is killed at a random moment and started again over its folder. An exchange is written by a thread of its own within milliseconds of its answer, so a kill can cost those; an audit entry is acknowledged only when it is on disk.")


def soak(bench):
    """Minutes of load with faults on both sides: no leak, no exchange without a record."""
    asyncio.run(_soak(bench, bench.options.soak))


async def _soak(bench, minutes):
    chance = random.Random(11)
    faults = dict.fromkeys(("reset", "cut", "slow", "error", "nonsense"), 0)

    async def serve(reader, writer):
        try:
            while (await reader.readline()).strip():
                length = 0
                while line := (await reader.readline()).strip():
                    name, _, value = line.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                await reader.readexactly(length)
                fault = chance.choices([None, *faults], [94, 1, 1, 1, 2, 1])[0]
                if fault:
                    faults[fault] += 1
                reply, status = bench.reply.encode(), b"200 OK"
                if fault == "reset":
                    break
                if fault == "slow":
                    await asyncio.sleep(3)
                if fault == "error":
                    status, reply = b"500 Internal Server Error", b'{"error":"told to"}'
                if fault == "nonsense":
                    reply = b"<html>"
                said = len(reply) + (400 if fault == "cut" else 0)
                writer.write(b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, said) + reply)
                await writer.drain()
                if fault == "cut":
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    upstream = server.sockets[0].getsockname()[1]

    def edit(text):
        # Every rule looks and says what it would do; a caller shut out in the first minute would spare the rest the load.
        text = text.replace('mode = "observe"', 'mode = "advise"').replace("timeout_ms = 30000", "timeout_ms = 2000")
        # An upstream that is left alone would be spared the faults this is about.
        return text + "\n[gateway.calls]\nfailures = 0\n"

    process, port, key, folder = await asyncio.to_thread(bench.whole, upstream, edit)
    pids = gateway.family(process.pid)
    bodies = [line.encode() for line in (bench.work / "bodies.txt").read_text().splitlines()]
    answered, statuses, aborted, broken = set(), {}, 0, 0
    ends = time.monotonic() + minutes * 60

    async def client(number):
        nonlocal aborted, broken
        mine = random.Random(number)
        caller = Caller(port, key, answered)
        while time.monotonic() < ends:
            body = mine.choice(bodies)
            kind = mine.choices(["good", "bad body", "bad key", "abort", "half"], [90, 3, 2, 3, 2])[0]
            try:
                if kind in ("good", "bad body", "bad key"):
                    if kind == "bad body":
                        body = body[: mine.randrange(len(body))] + mine.choice([b"", b"}", b"\xff", b"NaN]"])
                    status = await caller.ask(body, "wrong" if kind == "bad key" else None)
                    statuses[status] = statuses.get(status, 0) + 1
                else:
                    caller.close()
                    await caller.open()
                    head = b"POST /v2/models/model/infer HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\ncontent-length: %d\r\n\r\n" % (key.encode(), len(body))
                    caller.writer.write(head + (body if kind == "abort" else body[: len(body) // 2]))
                    await caller.writer.drain()
                    await asyncio.sleep(mine.random() * 0.02)
                    caller.close()
                    aborted += 1
            except (OSError, asyncio.IncompleteReadError, IndexError, ValueError):
                broken += 1
                caller.close()
            await asyncio.sleep(bench.options.pause)
        caller.close()

    sizes, files, reloaded = [], [], 0

    async def watch():
        nonlocal reloaded
        while time.monotonic() < ends:
            await asyncio.sleep(min(10, max(0.5, ends - time.monotonic())))
            sizes.append(gateway.resident_kib(pids) / 1024)
            files.append(len(os.listdir(f"/proc/{process.pid}/fd")))
            if len(sizes) % 3 == 0:
                file = folder / "mantlet.toml"
                reloaded += 1
                file.write_text(re.sub(r"timeout_ms = \d+", f"timeout_ms = {2_000 + reloaded % 7}", file.read_text()))

    spent = gateway.cpu_ns(pids)
    await asyncio.gather(watch(), *(client(number) for number in range(8)))
    await asyncio.sleep(4)
    spent = (gateway.cpu_ns(pids) - spent) / 1e9
    text = metrics_of(port, key)
    alive = process.poll() is None
    open_files = len(os.listdir(f"/proc/{process.pid}/fd"))
    server.close()
    process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(process.wait, 30)
    lost = len(answered - recorded(folder))
    third = max(1, len(sizes) // 3)
    early, late = statistics.median(sizes[third : 2 * third] or sizes), statistics.median(sizes[-third:])
    row = [f"{minutes:g}", counted(text, "exchanges_total"), len(answered), f"**{lost}**", counted(text, "overloads_total"), f"{sizes[0]:.1f} / {early:.1f} / {late:.1f}", f"{files[0]} / {open_files}", "yes" if alive else "NO"]
    note = f"8 callers, {bench.options.pause * 1000:g} ms between their calls, all rules on (mode advise), everything recorded; {spent:.0f} s of CPU. The upstream failed on purpose: {json.dumps(faults)}; clients went away {aborted} times; {broken} answers broke off; {reloaded} reloads. Statuses: {json.dumps(dict(sorted(statuses.items())))}."
    append(bench.options.page, "Gateway", ["soak, minutes", "exchanges", "answered with an id", "of these not on record", "overloads", "MiB at first / in the second third / in the last", "open files at first / at the end", "alive"], [row], note)


# Guards that LiteLLM brings along and that need nothing else: its content filter before and after the model, over the
# patterns that are about the same as what our rules look for, and the check of prompts for orders by likeness of words.
PATTERNS = ("email", "us_ssn", "us_phone", "credit_card", "iban", "ipv4", "aws_access_key", "aws_secret_key", "github_token", "slack_token", "generic_api_key")
CATEGORIES = ("prompt_injection_jailbreak", "prompt_injection_data_exfiltration", "prompt_injection_malicious_code", "prompt_injection_sql")


def litellm_config(upstream, guards):
    """The proxy's configuration as its documentation shows it: bare, with its content filter, or with its check of prompts too."""
    config = {"model_list": [{"model_name": "m", "litellm_params": {"model": "openai/m", "api_base": f"http://127.0.0.1:{upstream}/v1", "api_key": "x"}}], "general_settings": {"master_key": "sk-bench"}}
    if guards:
        filters = {"guardrail": "litellm_content_filter", "default_on": True, "patterns": [{"pattern_type": "prebuilt", "pattern_name": name, "action": "BLOCK"} for name in PATTERNS]}
        before = {**filters, "mode": "pre_call", "categories": [{"category": name, "enabled": True, "action": "BLOCK", "severity_threshold": "medium"} for name in CATEGORIES]}
        config["guardrails"] = [{"guardrail_name": "before", "litellm_params": before}, {"guardrail_name": "after", "litellm_params": {**filters, "mode": "post_call"}}]
    if guards == "all":
        config["litellm_settings"] = {"callbacks": ["detect_prompt_injection"], "prompt_injection_params": {"heuristics_check": True}}
    return config


# The newest of the registry, and the version that the bar was taken from; what each has on.
LITELLM = (
    ("bench-litellm-venv", "bare", None),
    ("bench-litellm-venv", "its content filter both ways", "filters"),
    ("bench-litellm-venv", "that and its check of prompts", "all"),
    ("bench-litellm-reference-venv", "bare", None),
    ("bench-litellm-reference-venv", "its content filter both ways", "filters"),
)


def litellm(bench):
    """CPU for one chat request against LiteLLM's proxy in the same rounds, bare and with its own guards; every rule of ours on."""
    upstream = bench.model()
    process, port, key, _ = bench.whole(upstream, lambda text: gateway.enforced(text.replace('upstream = "http', 'speaks = "text"\nupstream = "http')))
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
    path, bodies = "/v1/chat/completions", bench.work / "chat.txt"
    sides = {"mantlet": (port, bench.lua("ours", gateway.LUA % (bodies, path, key)), gateway.family(process.pid), 3)}
    their_script = bench.lua("theirs", gateway.LUA % (bodies, path, "sk-bench"))
    versions = {}
    for folder, name, guards in LITELLM:
        program = bench.work.parent / folder / "bin" / "litellm"
        versions[folder] = versions.get(folder) or subprocess.run([program, "--version"], **QUIET).stdout.split()[-1]
        name = f"LiteLLM {versions[folder]}, {name}"
        config = bench.work / f"litellm-{guards}.yaml"
        config.write_text(json.dumps(litellm_config(upstream, guards)))
        theirs = gateway.free_port()
        peer = bench.start([program, "--config", config, "--port", theirs, "--host", "127.0.0.1", "--num_workers", "1", "--telemetry", "False"], env=environment)
        for _ in range(240):
            if subprocess.run(["curl", "-fsS", "-o", "/dev/null", f"http://127.0.0.1:{theirs}/health/liveliness"], **QUIET).returncode == 0:
                break
            time.sleep(0.5)
        else:
            raise SystemExit("LiteLLM did not start")
        if guards:
            refuses(theirs)
        sides[name] = (theirs, their_script, gateway.family(peer.pid), 20 if guards == "all" else 8)
        # Not counted.
        bench.load(theirs, their_script, 8, 6)
    each, counts = {name: [] for name in sides}, dict.fromkeys(sides, 0)
    for turn in range(2 if bench.options.quick else 5):
        for name in list(sides) if turn % 2 else reversed(list(sides)):
            at, script, pids, seconds = sides[name]
            before = gateway.cpu_ns(pids)
            requests, _ = bench.load(at, script, 8, seconds)
            each[name].append((gateway.cpu_ns(pids) - before) / requests / 1000)
            counts[name] += requests
    rows = []
    for name in sides:
        ratios = sorted(theirs / ours for ours, theirs in zip(each["mantlet"], each[name]))
        rows.append([name, f"{statistics.median(each[name]):.1f}", "1" if name == "mantlet" else f"**{statistics.median(ratios):.0f}** [{ratios[0]:.0f}, {ratios[-1]:.0f}]", counts[name]])
    append(bench.options.page, "Gateway", ["8 connections", "CPU us per request", "over mantlet, median [least, most]", "requests"], rows, f"Chat bodies of about 350 bytes, plain replies. mantlet: the whole program, key, limits, every text rule both ways, enforced, recorded. LiteLLM: one worker, a master key, no database, so neither limits nor a record. Its content filter: {len(PATTERNS)} patterns of credentials and personal data before and after the model, {len(CATEGORIES)} categories of orders before it; that it refuses a card number was seen. Its check of prompts: `detect_prompt_injection` with `heuristics_check`. One round of warm-up not counted. Bar: 300, all rules on, from 1.106.2 bare (17.9 ms a request at 8 connections, load 11 to 21).")


def refuses(port):
    """Whether the guards are there at all: a card number must not pass."""
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "my card is 4111 1111 1111 1111"}]})
    done = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Authorization: Bearer sk-bench", "-H", "Content-Type: application/json", "-d", body, f"http://127.0.0.1:{port}/v1/chat/completions"], **QUIET)
    if not done.stdout.startswith("4"):
        raise SystemExit(f"LiteLLM's guards let a card number through: {done.stdout}")


def detectors(bench):
    """What each part of looking at a message costs, in one thread."""
    done = subprocess.run([str(bench.proxy.parent / "detector_costs")], **QUIET)
    if done.returncode != 0:
        raise SystemExit(f"detector_costs failed: {done.stderr}")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    append(bench.options.page, "Gateway", ["part", "us"], rows, "Median of 31 rounds of 200, wall time of one thread: read with the load. Rules of text run as one automaton over each piece, so they are not told apart.")


def power(bench):
    """What a cut of the power would leave, at calls of the system chosen by chance: see power.py."""
    for more in ([], ["--begun"]):
        here = pathlib.Path(__file__).with_name("power.py")
        done = subprocess.run([sys.executable, "-B", str(here), "--mantlet", bench.mantlet, "--work", str(bench.work), "--page", bench.options.page, *more])
        if done.returncode:
            raise SystemExit("something acknowledged was lost: see the page")


ALL = {"power": power, "detectors": detectors, "canary": canary, "memory": memory, "whole-memory": whole_memory, "reloads": reloads, "streams": streams, "sharing": sharing, "rollback": rollback, "kill": kill, "litellm": litellm, "soak": soak}


def run(options, work, names):
    for name in names:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        bench = Bench(options, work)
        try:
            ALL[name](bench)
        finally:
            bench.stop()
            bench.log.close()
