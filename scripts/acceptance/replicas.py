"""Three gateways and a worker as whole processes on shared services: PostgreSQL, Redis, NATS and an S3 server.

One limit together, through a cut line and a killed replica; what was acknowledged is there after kill -9 of everything
that acknowledges; one that is cut off from PostgreSQL does what it is told to; a version that errs is taken back from all of
them; a pushed configuration is in force everywhere; the history of all is on the object store. NATS and the object store
are killed, too: what then goes on, and what comes later.
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import multiprocessing
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import boto3

from harness import check, free_port
from rollout import curated, rolls_back, trusts

PER_SECOND, BURST, LEASE = 60.0, 20.0, 6
REPLY = json.dumps({"model_name": "sums", "outputs": [{"name": "sum", "shape": [1], "datatype": "FP32", "data": [1.0]}]}).encode()
ASKED = json.dumps({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [0.5, 0.25]}]}).encode()
OPEN, CUT = 0, 1


async def relay(reader, writer, state):
    """Bytes one way. What passes while the line is cut is lost, and nobody is told."""
    lost = False
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            lost = lost or state.value == CUT
            if not lost:
                writer.write(data)
                await writer.drain()
    writer.close()


def beside(model, bad, lines, to, databases, database):
    """A process of its own: the model that is protected, a version of it that errs, and a line to Redis and one to PostgreSQL for each replica."""

    def answers(status):
        async def answer(reader, writer):
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = re.search(rb"content-length: (\d+)", head, re.I)
                    await reader.readexactly(int(length[1]) if length else 0)
                    # Either says that it is ready.
                    said = b"200 OK" if head.startswith(b"GET ") else status
                    writer.write(b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (said, len(REPLY), REPLY))
                    await writer.drain()

        return answer

    def line(state, connect):
        async def take(reader, writer):
            try:
                there, back = await connect()
            except OSError:
                # The server is away: so is the line.
                writer.close()
                return
            await asyncio.gather(relay(reader, back, state), relay(there, writer, state))

        return take

    async def serve():
        servers = [await asyncio.start_server(answers(b"200 OK"), "127.0.0.1", model)]
        servers += [await asyncio.start_server(answers(b"500 Internal Server Error"), "127.0.0.1", bad)]
        redis = lambda: asyncio.open_connection("127.0.0.1", to)
        postgres = lambda: asyncio.open_unix_connection(database)
        servers += [await asyncio.start_server(line(state, redis), "127.0.0.1", port) for port, state in lines]
        servers += [await asyncio.start_unix_server(line(state, postgres), path) for path, state in databases]
        await asyncio.gather(*(server.serve_forever() for server in servers))

    asyncio.run(serve())


class Services:
    """PostgreSQL, Redis, NATS and moto's S3 server, on loopback and in folders of their own."""

    def __init__(self, work):
        self.started = []
        self.redis, self.nats, self.s3 = free_port(), free_port(), free_port()
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        start = lambda *command: self.started.append(subprocess.Popen(list(map(str, command)), **quiet))
        self.start, self.work = start, work
        start("redis-server", "--port", self.redis, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", work)
        self.nats_up()
        self.store_up()
        self.folder = tempfile.mkdtemp(prefix="pg", dir="/tmp")
        self.bin = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
        if os.getuid() == 0:
            subprocess.run(["chown", "nobody", self.folder], check=True)
        self.postgres("initdb", "-D", f"{self.folder}/data", "-U", "mantlet", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.database_up()
        self.url = f"postgres://mantlet@localhost/postgres?host={self.folder}"
        keys = {"aws_access_key_id": "id", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
        self.store = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{self.s3}", **keys)
        for port in (self.redis, self.nats, self.s3):
            wait(f"a server on port {port}", lambda port=port: reachable(port))
        self.store.create_bucket(Bucket="history")

    def postgres(self, program, *arguments):
        command = ["runuser", "-u", "nobody", "--"] if os.getuid() == 0 else []
        subprocess.run([*command, str(self.bin / program), *arguments], check=True, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def database_up(self):
        options = f"-c listen_addresses= -c unix_socket_directories={self.folder}"
        self.postgres("pg_ctl", "-D", f"{self.folder}/data", "-w", "-l", f"{self.folder}/log", "-o", options, "start")

    def database_crash(self):
        """As a power cut: no shutdown, recovery at the next start."""
        self.postgres("pg_ctl", "-D", f"{self.folder}/data", "-m", "immediate", "-w", "stop")

    def nats_up(self):
        self.start("nats-server", "--addr", "127.0.0.1", "--port", self.nats, "--jetstream", "--store_dir", self.work / "nats")
        self.nats_server = self.started[-1]

    def store_up(self):
        """Without what an earlier one held."""
        self.start(pathlib.Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", self.s3)
        self.store_server = self.started[-1]

    def away(self, server):
        server.kill()
        server.wait()

    def stop(self):
        for process in self.started:
            process.kill()
            process.wait()
        with contextlib.suppress(subprocess.CalledProcessError):
            self.database_crash()
        shutil.rmtree(self.folder, ignore_errors=True)


def reachable(port):
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def wait(what, holds, seconds=40):
    begun = time.monotonic()
    while not (found := holds()):
        if time.monotonic() - begun > seconds:
            check(what, False, f"not within {seconds} s")
        time.sleep(0.02)
    return found


class Replica:
    """`mantlet up` with a folder of its own, and threads that ask it as fast as it answers."""

    def __init__(self, mantlet, folder, environment, role):
        self.mantlet, self.folder, self.environment, self.role = mantlet, folder, environment, role
        self.granted, self.going, self.threads, self.tickets = 0, False, [], []
        self.lock = threading.Lock()

    def start(self):
        log = (self.folder / "log").open("a")
        command = [self.mantlet, "up", str(self.folder), "--role", self.role, "--format", "json"]
        self.process = subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
        printed = json.loads(self.process.stdout.readline() or "{}")
        if not printed:
            check(f"{self.folder.name} starts", False, (self.folder / "log").read_text()[-1500:])
        self.address = (printed["gateway"] or "").removeprefix("http://")
        return printed

    def status(self):
        with urllib.request.urlopen(f"http://{self.address}/status", timeout=10) as reply:
            return json.loads(reply.read())

    def ask(self, connection, key):
        connection.request("POST", "/v2/models/sums/infer", ASKED, {"x-api-key": key, "content-type": "application/json"})
        reply = connection.getresponse()
        return reply.status, reply.read()

    def once(self, key):
        connection = http.client.HTTPConnection(self.address, timeout=20)
        with contextlib.closing(connection):
            return self.ask(connection, key)

    def load(self, key):
        connection = http.client.HTTPConnection(self.address, timeout=20)
        while self.going:
            try:
                status, body = self.ask(connection, key)
            except (OSError, http.client.HTTPException):
                connection.close()
                time.sleep(0.05)
                continue
            if status == 200:
                with self.lock:
                    self.granted += 1
            elif status == 202:
                with self.lock:
                    self.tickets.append(json.loads(body)["ticket"])
            else:
                time.sleep(0.01)

    def go(self, key, threads=2):
        self.going = True
        self.threads = [threading.Thread(target=self.load, args=(key,), daemon=True) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def halt(self):
        self.going = False
        for thread in self.threads:
            thread.join(30)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            return self.process.wait(60)
        return self.process.returncode


def configuration(services, line, model, per_second, ordinary="observe", database=None):
    return f"""[system]
name = "shared"
decides = "nothing, a test"
impact = "low"
[model]
path = "model.txt"
name = "sums"
[gateway]
listen = "127.0.0.1:0"
upstream = "http://127.0.0.1:{model[0]}"
versions = {{ v2 = "http://127.0.0.1:{model[1]}" }}
mode = "{ordinary}"
requests_per_minute = 1000000
burst = 1000000
[[gateway.limits]]
what = "requests"
per = "user"
most = {per_second * 60}
burst = {BURST}
[console]
listen = "127.0.0.1:0"
[shared]
database = "{database or services.url}"
redis = "redis://127.0.0.1:{line}"
nats = "nats://127.0.0.1:{services.nats}"
history = "s3://history/kept"
history_seconds = 1
replicas = 3
wait_ms = 50
quiet_ms = 500
lease_seconds = {LEASE}
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mantlet", required=True, type=pathlib.Path, help="a build with the `remote` feature")
    parser.add_argument("--work", required=True, type=pathlib.Path)
    options = parser.parse_args()
    work = (options.work / "replicas").resolve()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    services = Services(work)
    replicas = []
    model, lines = (free_port(), free_port()), [(free_port(), multiprocessing.Value("i", OPEN)) for _ in range(4)]
    # PostgreSQL is reached through a socket in a folder, whose path must be short.
    folders = [tempfile.mkdtemp(prefix="pl", dir="/tmp") for _ in lines]
    socket_name = ".s.PGSQL.5432"
    databases = [(f"{folder}/{socket_name}", multiprocessing.Value("i", OPEN)) for folder in folders]
    real = f"{services.folder}/{socket_name}"
    aside = multiprocessing.Process(target=beside, args=(*model, lines, services.redis, databases, real), daemon=True)
    aside.start()
    try:
        wait("lines to PostgreSQL", lambda: all(pathlib.Path(path).exists() for path, _ in databases))
        run(str(options.mantlet.resolve()), work, services, replicas, model, lines, databases)
    finally:
        for replica in replicas:
            replica.going = False
            replica.kill()
        aside.kill()
        services.stop()
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def run(mantlet, work, services, replicas, model, lines, databases):
    begun = time.monotonic()
    keys = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
    environment = {**os.environ, **keys, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{services.s3}", "NO_COLOR": "1"}
    environment.pop("MANTLET_LOG", None)

    def command(*arguments, stdin=""):
        return subprocess.run([mantlet, *map(str, arguments)], env=environment, input=stdin, capture_output=True, text=True, timeout=120)

    parts = zip(["a", "b", "c", "worker"], ["gateway"] * 3 + ["worker"], lines, databases, strict=True)
    for name, role, (line, _), (path, _) in parts:
        folder = work / name
        folder.mkdir()
        (folder / "model.txt").write_text("served elsewhere\n")
        database = f"postgres://mantlet@localhost/postgres?host={pathlib.Path(path).parent}"
        (folder / "mantlet.toml").write_text(configuration(services, line, model, PER_SECOND, database=database))
        replicas.append(Replica(mantlet, folder, environment, role))
    first, second, third, worker = replicas
    first.start()
    done = command("up", second.folder, "--role", "gateway")
    check("a replica without the audit log's key does not start, and names it", done.returncode == 4 and "log.key" in done.stderr, done.stderr[-600:])
    curator = work / "curator"
    text = configuration(services, services.redis, model, PER_SECOND)
    password, registry = curated(command, curator, text, first.folder / ".mantlet" / "audit")
    for replica in replicas:
        trusts(replica.folder, curator)
    for other in replicas[1:]:
        shutil.rmtree(other.folder / ".mantlet" / "audit", ignore_errors=True)
        shutil.copytree(first.folder / ".mantlet" / "audit", other.folder / ".mantlet" / "audit")
        other.start()
    gateways = replicas[:3]
    made = command("keys", "add", "load", first.folder, "--user", "load")
    key = next(word for word in made.stdout.split() if word.startswith("mk_"))
    for replica in gateways:
        wait("a key that one replica's folder made is known to all", lambda replica=replica: replica.once(key)[0] != 401)

    # One limit.
    granted = lambda: sum(replica.granted for replica in gateways)
    for replica in gateways:
        replica.go(key)

    def over(seconds):
        at, before = time.monotonic(), granted()
        time.sleep(seconds)
        took = time.monotonic() - at
        return (granted() - before) / took

    def kept(what, least, most, seconds=3.0):
        """Never more than that part of the limit over a span; as much as `least` soon, since a busy machine takes its time."""
        for _ in range(8):
            rate = over(seconds) / PER_SECOND
            check(f"{what}: {rate:.3f} of the limit", rate <= most, rate)
            if rate >= least:
                return
        check(f"{what}: at least {least} of the limit", False, rate)

    time.sleep(1.0)
    kept("three processes keep one limit", 0.95, 1.05, seconds=5.0)

    # Configuration through NATS.
    def push(text):
        (first.folder / "mantlet.toml.new").write_text(text)
        folder = work / "pusher"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(third.folder, folder, ignore=shutil.ignore_patterns("exchanges", "service.lock"))
        (folder / "mantlet.toml").write_text(text)
        return command("config", "push", folder, "--user", "ada", "--password-stdin", stdin=password + "\n")

    generations = lambda: [replica.status()["generation"] for replica in gateways]
    before = generations()
    halved = configuration(services, lines[3][0], model, PER_SECOND / 2)
    done = push(halved)
    pushed = time.monotonic()
    check("a configuration is pushed", done.returncode == 0, done.stderr)
    wait("every replica takes it over", lambda: all(now > old for now, old in zip(generations(), before, strict=True)))
    print(f"     in force on all {time.monotonic() - pushed:.2f} s after the command ended")
    time.sleep(1.0)
    kept("and a limit that is half of the old one is kept", 0.475, 0.525, seconds=5.0)
    before = generations()
    done = push(halved.replace("replicas = 3", "replicsa = 3"))
    time.sleep(2.5)
    statuses = {replica.once(key)[0] for replica in gateways}
    check("one that does not hold is refused, and the old one serves on", generations() == before and statuses <= {200, 429}, (done.returncode, done.stderr, statuses))
    done = push(configuration(services, lines[3][0], model, PER_SECOND))
    wait("the first one is back", lambda: all(now > old for now, old in zip(generations(), before, strict=True)))
    # A replica also looks by itself once a second, and may do so before NATS tells it.
    told = [json.loads(line)["fields"]["by"] for replica in gateways for line in (replica.folder / "log").read_text().splitlines() if "pushed configuration is taken over" in line]
    check(f"NATS brought the news {told.count('news')} times of {len(told)}", len(told) == 6 and told.count("news") >= 1, told)
    time.sleep(1.0)

    # A cut line, a killed replica: never above.
    at, start = time.monotonic(), granted()

    def never_above(what):
        had = granted() - start
        most = (time.monotonic() - at) * PER_SECOND + BURST + 1
        check(f"{what}: {had} granted, never above {most:.0f}", had <= most)

    lines[0][1].value = CUT
    for _ in range(8):
        time.sleep(0.25)
        never_above("one cut off from Redis")
    share = first.granted
    kept("the one spends its share, the others theirs", 0.75, 1.05, seconds=2.0)
    check("the one that is cut off grants from its share", first.granted > share, share)
    never_above("cut off for longer")
    lines[0][1].value = OPEN
    time.sleep(1.5)
    kept("together again", 0.9, 1.15, seconds=2.0)
    never_above("together again")
    second.going = False
    second.kill()
    killed = time.monotonic()
    time.sleep(1.0)
    rate = over(2.5) / PER_SECOND
    never_above("one killed")
    most = 2 / 3 + BURST / (2.5 * PER_SECOND)
    check(f"the killed one's share stays reserved: {rate:.3f} of the limit", rate <= most, rate)
    time.sleep(max(0.0, killed + LEASE + 1.5 - time.monotonic()))
    kept("and comes back when its lease is over", 0.9, 1.15, seconds=2.0)
    never_above("after the lease")

    # One is cut off from PostgreSQL: it goes by what it read last, says so, and no limit is exceeded.
    second.start()
    away = databases[0][1]

    def marks(replica):
        """Exchanges that were marked since something was not there."""
        text = urllib.request.urlopen(f"http://{replica.address}/metrics", timeout=10).read().decode()
        lines = [line for line in text.splitlines() if 'signal="dependency-lost"' in line]
        return sum(int(line.rsplit(" ", 1)[1]) for line in lines)

    cut_off = lambda replica=first: {route["cut_off"] for route in replica.status()["routes"]}
    listed = lambda: [line for line in command("incident", "list", third.folder).stdout.splitlines() if line.strip()]
    for line in listed():
        command("incident", "close", line.split()[0], third.folder, "--note", "what comes next is another matter")
    told = lambda: [line for line in listed() if "depend on is not there" in line]
    time.sleep(1.0)
    marked = marks(first)
    check("nobody lacks anything before", cut_off() == {False} and not told(), told())
    away.value = CUT
    wait("one that is cut off from PostgreSQL says so", lambda: cut_off() == {True})
    said = command("keys", "add", "meanwhile", third.folder).stdout
    meanwhile = next(word for word in said.split() if word.startswith("mk_"))
    wait("a key that is made meanwhile is known to the others", lambda: third.once(meanwhile)[0] != 401 and second.once(meanwhile)[0] != 401)
    check("and not to the one that is cut off", first.once(meanwhile)[0] == 401)
    had = first.granted
    kept("with one cut off from PostgreSQL the limit is the same one", 0.9, 1.15, seconds=3.0)
    never_above("one cut off from PostgreSQL")
    check("which goes on by what it read last, and marks it", first.granted > had and marks(first) > marked)
    check("the others are not cut off", cut_off(second) == cut_off(third) == {False})
    wait("an incident says so", told)
    away.value = OPEN
    healed = time.monotonic()
    wait("it is back when the line is", lambda: cut_off() == {False} and first.once(meanwhile)[0] != 401)
    print(f"     {time.monotonic() - healed:.1f} s after the line was")
    wait("and the audit log says from when to when", lambda: "record-out-of-reach" in command("audit", "show", third.folder, "--last", 200).stdout)
    kept("together again", 0.9, 1.15, seconds=3.0)

    # The same under the other choice: it refuses while it is cut off.
    before = generations()
    strict = configuration(services, lines[3][0], model, PER_SECOND).replace("[[gateway.limits]]", 'replicas_on_failure = "refuse"\n[[gateway.limits]]')
    check("a stricter choice is pushed", push(strict).returncode == 0)
    wait("and in force", lambda: all(now > old for now, old in zip(generations(), before, strict=True)))
    away.value = CUT
    wait("the one that is cut off refuses", lambda: first.once(key)[0] == 503)
    check("and the others do not", {replica.once(key)[0] for replica in (second, third)} <= {200, 429})
    away.value = OPEN
    wait("until it is back", lambda: first.once(key)[0] in (200, 429))
    before = generations()
    check("the first choice is pushed again", push(configuration(services, lines[3][0], model, PER_SECOND)).returncode == 0)
    wait("and in force again", lambda: all(now > old for now, old in zip(generations(), before, strict=True)))
    never_above("after both")
    for replica in gateways:
        replica.halt()

    # A version that errs is tried on half of the callers of each gateway, and judged by the worker.
    rolls_back(command, registry, gateways, curator, wait)

    # Acknowledged and killed: tickets, and entries of the audit log.
    done = command("registry", "divert", third.folder, "--note", "a test", "--user", "ada", "--password-stdin", stdin=password + "\n")
    check("the kill switch is thrown", done.returncode == 0, done.stderr)
    for replica in gateways:
        wait("every replica sends decisions to people", lambda replica=replica: replica.once(key)[0] == 202)
    made, going = [], True

    def make(folder):
        number = 0
        while going:
            number += 1
            done = command("keys", "add", f"{folder.name}-{number}", folder)
            word = next((word for word in done.stdout.split() if word.startswith("mk_")), None)
            if done.returncode == 0 and word:
                made.append(word.split("_")[1])

    makers = [threading.Thread(target=make, args=(replica.folder,)) for replica in (first, third)]
    for thread in makers:
        thread.start()
    for replica in gateways:
        replica.go(key)
    for doomed in (second, first):
        time.sleep(1.0)
        doomed.kill()
        time.sleep(0.3)
        doomed.start()
    services.database_crash()
    time.sleep(0.5)
    services.database_up()
    wait("keys are made again after the database crashed", lambda count=len(made): len(made) > count)
    third.kill()
    going = False
    for thread in makers:
        thread.join()
    for replica in gateways:
        replica.halt()
    third.start()
    tickets = [(ticket, replica) for replica in gateways for ticket in replica.tickets]
    missing = []
    for replica in gateways:
        connection = http.client.HTTPConnection(replica.address, timeout=20)

        def polled(ticket):
            connection.request("GET", f"/mantlet/v1/reviews/{ticket}", headers={"x-api-key": key})
            reply = connection.getresponse()
            return reply.status, reply.read()

        # A ticket of another replica is known within a second.
        last = tickets[-1][0]
        wait("tickets are answered everywhere", lambda: polled(last)[0] == 200)
        missing += [ticket for ticket, _ in tickets if polled(ticket)[0] != 200]
    check(f"{len(tickets)} tickets given out through three kill -9 and a crash of the database are known to every replica", len(tickets) > 30 and not missing, (len(tickets), missing[:5]))
    said = command("audit", "show", third.folder, "--last", 100_000).stdout
    lost = [id for id in made if id not in said]
    check(f"{len(made)} keys acknowledged meanwhile are in the audit log", len(made) >= 5 and not lost, (len(made), lost))
    heads = set()
    for replica in replicas:
        done = command("audit", "show", replica.folder, "--last", 1)
        done = command("audit", "verify", replica.folder)
        heads.add((done.returncode, done.stdout.split("\n")[0]))
    check("and the log is whole, and one, in each folder", len(heads) == 1 and next(iter(heads))[0] == 0, heads)

    # NATS is killed: keys, switches and limits go on, only later; what was noticed is told once it is back.
    services.away(services.nats_server)
    done = command("registry", "divert", third.folder, "--off", "--note", "over", "--user", "ada", "--password-stdin", stdin=password + "\n")
    check("without NATS the kill switch is lifted", done.returncode == 0, done.stderr)
    for replica in gateways:
        wait("and every replica follows by itself", lambda replica=replica: replica.once(key)[0] in (200, 429))
    said = command("keys", "add", "without-news", first.folder).stdout
    unheard = next(word for word in said.split() if word.startswith("mk_"))
    for replica in gateways:
        wait("a key that was made without NATS is known to all", lambda replica=replica: replica.once(unheard)[0] != 401)
    at, start = time.monotonic(), granted()
    for replica in gateways:
        replica.go(key)
    kept("three processes keep one limit without NATS", 0.9, 1.1, seconds=3.0)
    never_above("without NATS")
    for replica in gateways:
        replica.halt()

    def incidents():
        return [line.split()[0] for line in command("incident", "list", first.folder).stdout.splitlines() if line.strip()]

    def odd(replica, number):
        connection = http.client.HTTPConnection(replica.address, timeout=20)
        with contextlib.closing(connection):
            connection.request("POST", "/v2/models/sums/infer", b'{"inputs": [%d' % number, {"x-api-key": unheard, "content-type": "application/json"})
            return connection.getresponse().status

    earlier = set(incidents())
    statuses = {odd(replica, number) for number in range(12) for replica in gateways}
    check("malformed requests are refused as ever", 400 in statuses and statuses <= {400, 429}, statuses)
    time.sleep(2.0)
    check("and nobody has heard of them while NATS is away", set(incidents()) == earlier, incidents())
    services.nats_up()
    wait("once it is back the worker hears of them and opens an incident", lambda: set(incidents()) - earlier)
    done = push(configuration(services, lines[3][0], model, PER_SECOND).replace('mode = "observe"', 'mode = "advise"'))
    before = generations()
    check("news goes through it again", done.returncode == 0, done.stderr)
    wait("and is in force everywhere", lambda: {replica.status()["generation"] for replica in gateways} and all(now >= old for now, old in zip(generations(), before, strict=True)))

    # The object store is away: exchanges are answered and recorded, and sent when there is a store again.
    services.away(services.store_server)
    at_first = granted()
    for replica in gateways:
        replica.go(key)
    time.sleep(2.0)
    for replica in gateways:
        replica.halt()
    check(f"{granted() - at_first} requests are answered without the object store", granted() - at_first > 20)
    for replica in replicas:
        check(f"{replica.folder.name} ends in order without it", replica.end() == 0, (replica.folder / "log").read_text()[-800:])
    waiting = [path for replica in gateways for path in (replica.folder / ".mantlet" / "exchanges").rglob("*.parquet")]
    check(f"{len(waiting)} segments stay here meanwhile", len(waiting) >= 3)
    services.store_up()
    wait("the object store is back, empty", lambda: reachable(services.s3))
    services.store.create_bucket(Bucket="history")
    for replica in replicas:
        replica.start()

    # History.
    answered = sum(replica.granted + len(replica.tickets) for replica in gateways)
    for replica in replicas:
        check(f"{replica.folder.name} ends in order", replica.end() == 0, (replica.folder / "log").read_text()[-800:])
    kept = services.store.list_objects_v2(Bucket="history", Prefix="kept/").get("Contents", [])
    segments = work / "segments"
    segments.mkdir()
    for number, object in enumerate(kept):
        services.store.download_file("history", object["Key"], str(segments / f"{number}.parquet"))
    files = sorted(segments.iterdir())
    whole = [path.read_bytes()[:4] == b"PAR1" and path.read_bytes()[-4:] == b"PAR1" for path in files]
    check(f"{len(files)} segments of Parquet are on the object store", len(files) >= 3 and all(whole), files)
    said = command("watch", "--system", first.folder, "--form", "parquet", "--from", *files, "--format", "json").stdout
    rows = sum(int(re.match(r"\d+", form)[0]) for artifact in json.loads(said)["artifacts"] for form in artifact["formats"])
    check(f"with {rows} exchanges, and every one of the {answered} answered among them", rows >= answered, said[:600])
    here = {path.name for replica in gateways for path in (replica.folder / ".mantlet" / "exchanges").rglob("*.parquet")}
    there = {object["Key"].rsplit("/", 1)[-1] for object in kept}
    check("which are those in the folders of the gateways", here <= there, (here - there))
    print(f"     {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
