"""Power cuts without a cut: what a disk would hold that kept nothing but what it was told to flush.

The program runs under strace, beside commands that change its state. From every call that touched its storage folder the
folder is built again as it can be found after a cut at some call, twice: as a disk leaves it that kept what was flushed and
nothing else (names too, until their folder was flushed), and as one that kept some of the rest in an order of its own, torn
writes among it. The program must find the audit log whole in each, with every entry that had been acknowledged; the
exchanges answered and not on record are counted, with their age.
"""

import argparse
import hashlib
import http.client
import http.server
import json
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

from measure import append

TRACED = "openat,creat,write,writev,pwrite64,pwritev,ftruncate,fallocate,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir"
STRACE = ["strace", "-f", "-ttt", "-y", "-xx", "-s", "4000000", "-e", f"trace={TRACED}", "-e", "signal=none"]
DONE = re.compile(r"^(\d+) +(\d+\.\d+) (\w+)\((.*)\) += (-?\d+)")
BEGUN = re.compile(r"^(\d+) +(\d+\.\d+) (\w+)\((.*?),? <unfinished \.\.\.>$")
ENDED = re.compile(r"^(\d+) +(\d+\.\d+) <\.\.\. (\w+) resumed>.*\) += (-?\d+)")
TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
OPEN = re.compile(r"^\d+<((?:\\x[0-9a-f]{2})*)>")
ID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def plain(escaped):
    return bytes.fromhex(escaped.replace("\\x", ""))


class File:
    """What was written to a file, and what of it was flushed."""

    def __init__(self):
        self.data, self.kept, self.since = bytearray(), b"", []

    def write(self, at, part):
        at = len(self.data) if at is None else at
        if at > len(self.data):
            self.data.extend(bytes(at - len(self.data)))
        self.data[at : at + len(part)] = part
        self.since.append(("write", at, part))

    def truncate(self, length):
        del self.data[length:]
        self.data.extend(bytes(length - len(self.data)))
        self.since.append(("truncate", length, b""))

    def found(self, chance):
        """The bytes after a cut; without chance, what was flushed."""
        if chance is None or not self.since:
            return self.kept
        held = bytearray(self.kept)
        for kind, at, part in self.since:
            if chance.random() < 0.5:
                continue
            if kind == "truncate":
                del held[at:]
                held.extend(bytes(at - len(held)))
                continue
            if chance.random() < 0.3:
                # Torn between two sectors.
                part = part[: chance.randrange(len(part) + 1) // 512 * 512]
            held.extend(bytes(max(0, at - len(held))))
            held[at : at + len(part)] = part
        return bytes(held)


class Disk:
    """Files and folders below one place, as calls of the system leave them."""

    def __init__(self, root):
        self.root = root
        self.names, self.kept, self.since, self.begun = {}, {}, {}, {}

    def begins(self, place):
        """With what is there already, all of it flushed."""
        for path in [place, *sorted(place.rglob("*"))]:
            file = None
            if path.is_file():
                file = File()
                file.data = bytearray(path.read_bytes())
                file.kept = bytes(file.data)
            self.names[str(path).encode()] = self.kept[str(path).encode()] = file

    def change(self, folder, change):
        self.since.setdefault(folder, []).append(change)
        self.apply(self.names, change)

    @staticmethod
    def apply(names, change):
        kind, path, more = change
        if kind == "add":
            names[path] = more
        elif kind == "remove":
            names.pop(path, None)
        elif path in names:
            names[more] = names.pop(path)

    def call(self, name, arguments, result):
        """One call that succeeded; says whether it touched the place."""
        texts = [plain(text) for text, _ in TEXT.findall(arguments)]
        path = OPEN.match(arguments)
        path = plain(path.group(1)) if path else None
        within = lambda path: path is not None and path.startswith(self.root)
        parent = lambda path: path.rsplit(b"/", 1)[0]
        if name in ("openat", "creat"):
            path = texts[0] if texts else b""
            if not within(path) or not ("O_CREAT" in arguments or "O_TRUNC" in arguments or name == "creat"):
                return False
            if path not in self.names:
                self.change(parent(path), ("add", path, File()))
            elif "O_TRUNC" in arguments and self.names[path].data:
                self.names[path].truncate(0)
        elif name in ("mkdir", "mkdirat"):
            if not within(texts[0]):
                return False
            self.change(parent(texts[0]), ("add", texts[0], None))
        elif name in ("rename", "renameat", "renameat2"):
            if not within(texts[0]):
                return False
            self.change(parent(texts[0]), ("rename", texts[0], texts[1]))
        elif name in ("unlink", "unlinkat", "rmdir"):
            if not within(texts[0]):
                return False
            self.change(parent(texts[0]), ("remove", texts[0], None))
        else:
            file = self.names.get(path) if within(path) else None
            if file is None:
                return False
            if name == "write":
                file.write(None, texts[0][:result])
            elif name == "writev":
                file.write(None, b"".join(texts)[:result])
            elif name in ("pwrite64", "pwritev"):
                file.write(int(arguments.rsplit(", ", 1)[1]), b"".join(texts)[:result])
            elif name == "ftruncate":
                file.truncate(int(arguments.rsplit(", ", 1)[1]))
            elif name == "fallocate":
                at, length = (int(number) for number in arguments.rsplit(", ", 2)[1:])
                file.truncate(max(at + length, len(file.data)))
        return True

    def flush_begins(self, thread, arguments):
        """What stood there when a flush began is what it keeps."""
        path = OPEN.match(arguments)
        path = plain(path.group(1)) if path else b""
        if not path.startswith(self.root) and path != self.root.rsplit(b"/", 1)[0]:
            return
        file = self.names.get(path)
        if file is not None:
            self.begun[thread] = (file, bytes(file.data), len(file.since))
        else:
            self.begun[thread] = (path, None, len(self.since.get(path, [])))

    def flush_ends(self, thread):
        if thread not in self.begun:
            return False
        what, data, count = self.begun.pop(thread)
        if data is not None:
            what.kept = data
            del what.since[:count]
        else:
            changes = self.since.get(what, [])
            for change in changes[:count]:
                self.apply(self.kept, change)
            del changes[:count]
        return True

    def found(self, chance):
        """Path and bytes of every file that is found after a cut; folders have none."""
        names = dict(self.kept)
        if chance is not None:
            for changes in self.since.values():
                for change in changes[: chance.randrange(len(changes) + 1)]:
                    self.apply(names, change)

        def reached(path):
            while path != self.root:
                path = path.rsplit(b"/", 1)[0]
                if path not in names:
                    return False
            return True

        return {path: None if file is None else file.found(chance) for path, file in names.items() if reached(path)}


def events(logs):
    """The calls of all processes in the order of time: when, thread, what (`call`, `flush`, `flushed`), name, arguments, result."""
    found = []
    for log in logs:
        waiting = {}
        for line in log.open(errors="replace"):
            line = line.rstrip("\n")
            if match := ENDED.match(line):
                thread, at, name, result = match.groups()
                begun = waiting.pop(thread, None)
                if name in ("fsync", "fdatasync"):
                    if int(result) == 0:
                        found.append((float(at), thread, "flushed", name, "", 0))
                elif begun is not None and int(result) >= 0:
                    found.append((begun[0], thread, "call", name, begun[1], int(result)))
            elif match := BEGUN.match(line):
                thread, at, name, arguments = match.groups()
                if name in ("fsync", "fdatasync"):
                    found.append((float(at), thread, "flush", name, arguments, 0))
                else:
                    waiting[thread] = (float(at), arguments)
            elif match := DONE.match(line):
                thread, at, name, arguments, result = match.groups()
                if int(result) < 0:
                    continue
                if name in ("fsync", "fdatasync"):
                    found.append((float(at), thread, "flush", name, arguments, 0))
                    found.append((float(at), thread, "flushed", name, "", 0))
                else:
                    found.append((float(at), thread, "call", name, arguments, int(result)))
    return sorted(found, key=lambda event: event[0])


def rows(found):
    """Ids of the exchanges that are on record: in segments, and in whole frames of write-aheads."""
    seen = set()
    for path, data in found.items():
        if data is None:
            continue
        if path.endswith(b".parquet"):
            seen.update(ID.findall(data))
        elif path.rsplit(b"/", 1)[-1].startswith(b"wal-"):
            while len(data) >= 12:
                length = int.from_bytes(data[:4], "little")
                payload = data[12 : 12 + length]
                if len(payload) == length and hashlib.sha256(payload).digest()[:8] == data[4:12]:
                    seen.update(ID.findall(payload[:64]))
                data = data[12 + length :]
    return seen


class Model(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0, "message": {"role": "assistant", "content": "fine"}, "finish_reason": "stop"}]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def load(address, key, rate, answered, stop):
    """Requests at a rate; when each was answered, and its id."""
    host, port = address.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "good morning"}]})
    while not stop.is_set():
        connection.request("POST", "/v1/chat/completions", body, {"x-api-key": key, "content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        if answer.status == 200:
            answered.append((time.time(), answer.headers["x-mantlet-exchange"].encode()))
        stop.wait(1 / rate)


def run(options, work):
    """The program and its commands under strace: the logs, what was answered, and what was acknowledged when."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    folder = work / "system"
    folder.mkdir()
    (folder / "model.txt").write_text("served elsewhere\n")
    (folder / "mantlet.toml").write_text(
        '[system]\nname = "example"\ndecides = "nothing, a test"\nimpact = "low"\n[model]\npath = "model.txt"\n'
        f'[gateway]\nlisten = "127.0.0.1:0"\nupstream = "http://127.0.0.1:{server.server_port}"\nspeaks = "text"\n'
        'requests_per_minute = 1000000\nburst = 100000\n[console]\nlisten = "127.0.0.1:0"\n'
    )
    quiet = {"stdin": subprocess.DEVNULL, "text": True}
    disk, key = Disk(str(folder / ".mantlet").encode()), None
    if options.begun:
        made = subprocess.run([options.mantlet, "keys", "add", "first", folder], check=True, capture_output=True, **quiet).stdout
        key = next(word for word in made.split() if word.startswith("mk_"))
        disk.begins(folder / ".mantlet")
    up = subprocess.Popen([*STRACE, "-o", work / "up.log", options.mantlet, "up", folder, "--format", "json"], stdout=subprocess.PIPE, stderr=(work / "up.err").open("w"), **quiet)
    said = json.loads(up.stdout.readline() or "{}")
    if not said.get("gateway"):
        sys.exit(f"up did not start: {(work / 'up.err').read_text()[-800:]}")
    answered, acknowledged, stop = [], [], threading.Event()
    loads = [threading.Thread(target=load, args=(said["gateway"], key or said["api_key"], options.rate / 4, answered, stop)) for _ in range(4)]
    [thread.start() for thread in loads]
    began, number = time.time(), 0
    while time.time() - began < options.seconds:
        command = [options.mantlet, "keys", "add", f"key-{number}", folder]
        done = subprocess.run([*STRACE, "-o", work / f"keys-{number}.log", *command], capture_output=True, **quiet)
        if done.returncode:
            sys.exit(f"keys add failed: {done.stderr}")
        at = time.time()
        seen = subprocess.run([options.mantlet, "audit", "verify", folder], capture_output=True, **quiet).stdout
        acknowledged.append((at, int(re.search(r"whole: (\d+) entries", seen).group(1))))
        number += 1
        time.sleep(options.seconds / 40)
    stop.set()
    [thread.join() for thread in loads]
    # strace hands the signal on to nobody: the program is asked by its own id.
    children = pathlib.Path(f"/proc/{up.pid}/task/{up.pid}/children").read_text().split()
    for child in children:
        subprocess.run(["kill", "-TERM", child], check=True)
    up.wait(60)
    server.shutdown()
    return folder, disk, sorted(work.glob("*.log")), answered, acknowledged


def look(options, place, folder, found, root, wanted):
    """Opens what was found after a cut with the program; says what is wrong."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for name in ("mantlet.toml", "model.txt"):
        shutil.copy(folder / name, place / name)
    for path, data in sorted(found.items()):
        target = place / ".mantlet" / path[len(root) :].decode().lstrip("/")
        if data is None:
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            target.chmod(0o600)
    if wanted == 0:
        return None
    quiet = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    verified = subprocess.run([options.mantlet, "audit", "verify", place], **quiet)
    size = re.search(r"whole: (\d+) entries", verified.stdout)
    if not size:
        return f"the audit log is not whole: {verified.stdout}{verified.stderr}"
    if int(size.group(1)) < wanted:
        return f"{size.group(1)} entries, {wanted} were acknowledged"
    listed = subprocess.run([options.mantlet, "keys", "list", place], **quiet)
    return None if listed.returncode == 0 else f"the state does not open: {listed.stderr}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mantlet", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--page")
    parser.add_argument("--seconds", type=int, default=90)
    parser.add_argument("--rate", type=int, default=60, help="requests a second")
    parser.add_argument("--cuts", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--begun", action="store_true", help="over a folder that is there already, and not one that is made meanwhile")
    options = parser.parse_args()
    options.mantlet = str(pathlib.Path(options.mantlet).resolve())
    work = pathlib.Path(options.work).resolve() / "power"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    folder, disk, logs, answered, acknowledged = run(options, work)
    happened = events(logs)
    root = str(folder / ".mantlet").encode()
    chance = random.Random(options.seed)
    first = answered[0][0]
    usual = [number for number, event in enumerate(happened) if event[0] >= first]
    # Most anywhere under load, and some at the calls that matter: a name that changes, a flush that just ended.
    cuts = set(chance.sample(usual, min(len(usual), options.cuts // 2)))
    near = [number for number in usual if happened[number][3].startswith(("rename", "unlink", "mkdir")) or happened[number][2] == "flushed"]
    cuts |= set(chance.sample(near, min(len(near), options.cuts // 2)))
    wrong, lost, oldest, checked = [], {"flushed only": [], "some of the rest": []}, {"flushed only": 0.0, "some of the rest": 0.0}, 0
    for number, (at, thread, what, name, arguments, result) in enumerate(happened):
        if what == "call":
            disk.call(name, arguments, result)
        elif what == "flush":
            disk.flush_begins(thread, arguments)
        else:
            disk.flush_ends(thread)
        if number not in cuts:
            continue
        checked += 1
        wanted = max((size for when, size in acknowledged if when <= at), default=0)
        for kind, dice in (("flushed only", None), ("some of the rest", random.Random(options.seed + number))):
            found = disk.found(dice)
            if fault := look(options, work / "found", folder, found, root, wanted):
                wrong.append(f"cut at call {number} ({name}), {kind}: {fault}")
                print(wrong[-1], flush=True)
            kept = rows(found)
            gone = [when for when, id in answered if when <= at and id not in kept]
            lost[kind].append(len(gone))
            oldest[kind] = max(oldest[kind], at - min(gone)) if gone else oldest[kind]
    table = [[kind, checked, f"**{sum(kind in fault for fault in wrong)}**", max(acknowledged)[1], f"{sum(lost[kind]) / max(1, len(lost[kind])):.1f}", max(lost[kind], default=0), f"**{oldest[kind]:.2f}**", "0 / 1 s"] for kind in lost]
    head = [f"power cut, simulated, over a {'folder that was there' if options.begun else 'new folder'}: what the disk kept", "cuts", "with an audit entry lost or a log that is not whole", "entries acknowledged by the end", "exchanges lost, mean", "at most", "oldest of them, s", "bar"]
    note = f"`strace` of the whole program and of {len(acknowledged)} commands over {options.seconds} s, {len(answered)} exchanges answered at about {options.rate} a second; seed {options.seed}. After each cut `mantlet audit verify` and `mantlet keys list` read what was found. The flush interval of the record is 1 s."
    for line in table:
        print(dict(zip(head, line)), flush=True)
    if options.page:
        append(options.page, "Gateway", head, table, note)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
