"""Runs the released program on models other libraries made, with other people's clients and verifiers.

Every check prints one line. A failed check does not stop the others; any failure makes the exit code 1.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numpy as np

HERE = pathlib.Path(__file__).parent
TENSOR = ["adult-logistic", "adult-forest", "german-boosting", "german-xgboost", "torch-mlp"]
GRADIENT = {"adult-logistic", "torch-mlp", "torch-cnn"}
TREES = {"adult-forest", "german-boosting", "german-xgboost"}


class Checks:
    """Counts what holds and what does not."""

    def __init__(self):
        self.failed, self.passed, self.not_run = [], 0, []

    def check(self, name, holds, detail=""):
        if holds:
            self.passed += 1
            print(f"  ok    {name}")
        else:
            self.failed.append(name)
            print(f"  FAIL  {name}: {str(detail)[-1200:]}")
        return holds

    def skip(self, name, why):
        self.not_run.append(name)
        print(f"  NOT RUN  {name}: {why}")


class Mantlet:
    """The program under test."""

    def __init__(self, path):
        self.path = str(pathlib.Path(path).resolve())

    def run(self, *arguments, timeout=600, **options):
        start = time.monotonic()
        done = subprocess.run([self.path, *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=timeout, **options)
        done.seconds = time.monotonic() - start
        return done


def init(checks, mantlet, folder, decides, impact):
    """Writes and checks the configuration; ports become free ones."""
    name = folder.name
    arguments = ["init", folder, "--decides", decides, "--endpoint", "built-in", "--notify", "nobody", "--impact", impact]
    done = mantlet.run(*arguments)
    if not checks.check(f"{name}: init writes a configuration", done.returncode == 0 and (folder / "mantlet.toml").is_file(), done.stdout + done.stderr):
        return False
    checks.check(f"{name}: init proposes three controls", len(re.findall(r"^\s+[123]\. ", done.stdout, re.M)) >= 3, done.stdout)
    again = mantlet.run(*arguments)
    checks.check(f"{name}: a second init changes nothing and exits 3", again.returncode == 3, (again.returncode, again.stderr))
    file = folder / "mantlet.toml"
    text = re.sub(r'listen = "127\.0\.0\.1:\d+"', 'listen = "127.0.0.1:0"', file.read_text())
    file.write_text(text)
    done = mantlet.run("config", "check", folder)
    checks.check(f"{name}: config check", done.returncode == 0, done.stdout + done.stderr)
    return True


def protect(checks, mantlet, folder):
    """Take in, probe, admit; returns the JSON."""
    name = folder.name
    done = mantlet.run("protect", folder, "--format", "json")
    try:
        printed = json.loads(done.stdout)
    except ValueError:
        checks.check(f"{name}: protect prints JSON", False, f"exit {done.returncode}: {done.stdout[:200]} {done.stderr}")
        return done, None
    page = folder / "report.html"
    text = page.read_text() if page.is_file() else ""
    checks.check(f"{name}: report.html is one self-contained file", len(text) > 5000 and not re.search(r"<(script|link|img)[^>]+(src|href)=[\"']?https?:", text), f"{len(text)} characters")
    print(f"        protect: exit {done.returncode}, {printed['verdict']}, {printed['state']}, {done.seconds:.1f} s")
    return done, printed


def probes_of(printed):
    """Probe name to its gap; nothing when it was examined."""
    return {probe["name"]: probe.get("gap") for probe in printed["report"]["probes"]}


def person_admits(checks, mantlet, folder, printed):
    """What the policy leaves to a person, a person decides; then the version is put before users."""
    name = folder.name
    done = mantlet.run("users", "add", "ada", folder, "--role", "admin")
    password = (done.stdout + done.stderr).strip().splitlines()[0].split()[-1] if done.returncode == 0 else ""
    password = next((line.strip() for line in done.stdout.splitlines() if re.fullmatch(r"[a-z0-9-]{16,}", line.strip())), password)

    def act(*arguments):
        return subprocess.run([mantlet.path, "registry", *arguments, str(folder), "--user", "ada", "--note", "acceptance", "--password-stdin"], input=password + "\n", capture_output=True, text=True)

    if not printed["passport"]:
        wrong = subprocess.run([mantlet.path, "registry", "admit", "v1", str(folder), "--user", "ada", "--note", "x", "--password-stdin"], input="wrong\n", capture_output=True, text=True)
        checks.check(f"{name}: a wrong password admits nothing", wrong.returncode != 0, wrong.stdout)
        done = act("admit", "v1")
        checks.check(f"{name}: a person admits what the policy left to a person", done.returncode == 0, done.stdout + done.stderr)
    done = act("promote", "v1")
    checks.check(f"{name}: an admitted version is put before users", done.returncode == 0, done.stdout + done.stderr)


@contextlib.contextmanager
def up(mantlet, folder):
    """Gateway and console while the block runs; gives what `up` prints."""
    log = open(folder.parent / f"{folder.name}.up.log", "w")
    process = subprocess.Popen([mantlet.path, "up", str(folder), "--format", "json"], stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, text=True)
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"up said nothing: {pathlib.Path(log.name).read_text()[-800:]}")
        yield json.loads(line), process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        log.close()


def requests_of(expected):
    """The rows of a folder as named numpy arrays, by input name of the model."""
    if expected["kind"] == "columns":
        out = {}
        for column, values in expected["columns"].items():
            as_text = column in expected["words"]
            out[column] = np.array([[str(v).encode()] for v in values], dtype=np.object_) if as_text else np.array([[v] for v in values], np.float32)
        return out
    return {None: np.array(expected["rows"], np.float32)}


def infer(client, model, inputs, metadata, headers, binary):
    """One request by tritonclient; labels as text, from the label output or the largest score."""
    import tritonclient.http as http

    asked = []
    for port in metadata["inputs"]:
        values = inputs[port["name"]] if port["name"] in inputs else inputs[None]
        tensor = http.InferInput(port["name"], list(values.shape), port["datatype"])
        tensor.set_data_from_numpy(values, binary_data=binary)
        asked.append(tensor)
    outputs = [http.InferRequestedOutput(port["name"], binary_data=binary) for port in metadata["outputs"]]
    result = client.infer(model, asked, outputs=outputs, headers=headers)
    arrays = {port["name"]: result.as_numpy(port["name"]) for port in metadata["outputs"]}
    label = next((array for name, array in arrays.items() if "label" in name.lower()), None)
    if label is not None:
        return [value.decode() if isinstance(value, bytes) else str(value) for value in label.reshape(-1)]
    scores = next(array for array in arrays.values() if array.ndim == 2)
    return [str(value) for value in scores.argmax(1)]


def serve(checks, mantlet, folder, expected):
    """tritonclient, unmodified, through the gateway."""
    name = folder.name
    try:
        running = up(mantlet, folder)
        printed, process = running.__enter__()
    except Exception as error:  # noqa: BLE001
        checks.check(f"{name}: up starts", False, error)
        return
    try:
        serve_running(checks, mantlet, folder, expected, printed, process)
    finally:
        running.__exit__(None, None, None)
    done = mantlet.run("audit", "verify", folder)
    checks.check(f"{name}: audit verify", done.returncode == 0, done.stdout + done.stderr)


def serve_running(checks, mantlet, folder, expected, printed, process):
    """The exchanges themselves."""
    import tritonclient.http as http
    from tritonclient.utils import InferenceServerException

    name = folder.name
    gateway, key = printed["gateway"], printed["api_key"]
    if not checks.check(f"{name}: up prints gateway and key", bool(gateway and key), printed):
        return
    host = gateway.split("://")[1]
    client = http.InferenceServerClient(host)
    headers = {"Authorization": f"Bearer {key}"}
    inputs = requests_of(expected)
    checks.check(f"{name}: the printed key is in force within five seconds", in_force(gateway, headers))
    try:
        checks.check(f"{name}: tritonclient sees the server live and ready", client.is_server_live(headers=headers) and client.is_server_ready(headers=headers))
        checks.check(f"{name}: tritonclient sees the model ready", client.is_model_ready("model", headers=headers))
        metadata = client.get_model_metadata("model", headers=headers)
        for binary in (False, True):
            kind = "binary" if binary else "JSON"
            labels = infer(client, "model", inputs, metadata, headers, binary)
            same = sum(a == b for a, b in zip(labels, expected["labels"], strict=True))
            checks.check(f"{name}: {kind} tensors through the gateway give the library's own labels ({same} of {len(labels)})", same == len(labels), (labels, expected["labels"]))
        try:
            infer(client, "model", inputs, metadata, {}, False)
            checks.check(f"{name}: without a key nothing is answered", False, "it was answered")
        except InferenceServerException as error:
            checks.check(f"{name}: without a key nothing is answered", str(error.status()) in ("401", "403"), f"{error.status()} {error}")
    except Exception as error:  # noqa: BLE001 - a broken exchange is a failed check, not the end of the run
        checks.check(f"{name}: tritonclient through the gateway", False, f"{type(error).__name__}: {error}")
    status, body = post(f"{gateway}/v2/models/model/infer", b'{"inputs": [}', headers)
    checks.check(f"{name}: a malformed request gets 400 and the dialect's error", status == 400 and "error" in body, (status, body))
    status, body = post(f"{gateway}/v2/models/nosuch/infer", b'{"inputs": []}', headers)
    checks.check(f"{name}: an unknown model is refused", status in (400, 403, 404) and "error" in body, (status, body))
    with contextlib.suppress(Exception):
        page = urllib.request.urlopen(printed["console"], timeout=10)
        checks.check(f"{name}: the console answers", page.status == 200)
    process.send_signal(signal.SIGINT)
    checks.check(f"{name}: up ends cleanly on interrupt", process.wait(20) == 0, process.returncode)


def in_force(gateway, headers, seconds=5):
    """Whether a key is accepted soon: `up` prints it as soon as it is on record."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        request = urllib.request.Request(f"{gateway}/v2/models/model", headers=headers)
        with contextlib.suppress(urllib.error.HTTPError):
            return urllib.request.urlopen(request, timeout=10).status == 200
        time.sleep(0.2)
    return False


def post(address, body, headers):
    """Status and JSON of a raw POST."""
    request = urllib.request.Request(address, data=body, headers={**headers, "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return reply.status, json.loads(reply.read() or b"{}")
    except urllib.error.HTTPError as error:
        text = error.read()
        try:
            return error.code, json.loads(text)
        except ValueError:
            return error.code, {"not json": text[:200].decode(errors="replace")}


def passport(checks, mantlet, folder):
    """The reference implementation verifies the signature, and neither accepts a changed file."""
    name = folder.name
    signature = folder / ".mantlet" / "versions" / "v1" / "model.sig"
    public = next((folder / ".mantlet").rglob("signing.pub"), None)
    if not checks.check(f"{name}: passport and public key are on disk", signature.is_file() and public is not None, (signature, public)):
        return
    model = next(path for path in (signature.parent / "model").iterdir())
    reference = lambda path: subprocess.run(
        [sys.executable, "-m", "model_signing", "verify", "key", str(path), "--signature", str(signature), "--public_key", str(public)],
        capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )
    done = reference(model)
    checks.check(f"{name}: model-signing verifies the passport", done.returncode == 0, done.stdout + done.stderr)
    own = mantlet.run("verify", model, "--signature", signature, "--key", public)
    checks.check(f"{name}: mantlet verifies the passport", own.returncode == 0, own.stdout + own.stderr)
    copy = folder.parent / f"{name}-changed"
    shutil.rmtree(copy, ignore_errors=True)
    if model.is_dir():
        shutil.copytree(model, copy)
        changed = next(path for path in sorted(copy.rglob("*")) if path.is_file() and path.name != signature.name)
    else:
        copy.mkdir()
        changed = copy / model.name
        shutil.copy(model, changed)
    data = bytearray(changed.read_bytes())
    data[len(data) // 2] ^= 1
    changed.write_bytes(data)
    target = copy if model.is_dir() else changed
    checks.check(f"{name}: model-signing rejects one changed bit", reference(target).returncode != 0)
    own = mantlet.run("verify", target, "--signature", signature, "--key", public)
    checks.check(f"{name}: mantlet rejects one changed bit", own.returncode == 1, (own.returncode, own.stdout, own.stderr))


def model_folder(checks, mantlet, folder, expected):
    """The whole way for one model file."""
    name = folder.name
    print(f"\n{name}")
    if not init(checks, mantlet, folder, f"the answer of {name}, for a test", "low"):
        return
    done, printed = protect(checks, mantlet, folder)
    if printed is None:
        return
    probes = probes_of(printed)
    if name == "adult-pipeline":
        text = json.dumps(printed["admission"])
        checks.check(f"{name}: probes that cannot run on words are not examined, and the column is named", done.returncode != 0 and "workclass" in text, text)
    else:
        checks.check(f"{name}: the battery is in the report", len(probes) >= 5, sorted(probes))
    white, black = probes.get("evasion-pgd", "absent"), probes.get("evasion-hop-skip-jump", "absent")
    if name in GRADIENT:
        checks.check(f"{name}: attacked with gradients through the file", white is None, white)
    if name in TREES:
        named = white not in (None, "absent") and "Tree" in json.dumps(white)
        checks.check(f"{name}: says by operator name that there are no gradients", named, white)
    if name != "adult-pipeline":
        checks.check(f"{name}: attacked by decisions alone", black is None, black)
        checks.check(f"{name}: extraction and membership examined", probes.get("extraction-query-copy", "absent") is None and probes.get("membership-threshold", "absent") is None, probes)
    expect = {"clean": 0, "found": 1}.get(printed["verdict"], 2)
    checks.check(f"{name}: exit code {done.returncode} is the verdict's", done.returncode == expect, printed["verdict"])
    checks.check(f"{name}: what is not clean is not admitted by itself", (printed["passport"] is None) == (expect != 0), printed["verdict"])
    checks.check(f"{name}: not refused", printed["admission"]["decision"] != "refuse", printed["admission"]["reasons"][:2])
    early = mantlet.run("up", folder, timeout=60)
    checks.check(f"{name}: up does not serve what nobody promoted", early.returncode != 0 and "promote" in early.stderr, early.stderr)
    person_admits(checks, mantlet, folder, printed)
    passport(checks, mantlet, folder)
    serve(checks, mantlet, folder, expected)


def pickle_folder(checks, mantlet, folder):
    """A joblib file: scanned, not probed, and told how to get there."""
    print(f"\n{folder.name}")
    done = mantlet.run("scan", folder / "model.joblib")
    checks.check(f"{folder.name}: the scan of an honest joblib file finds nothing", done.returncode == 0, f"exit {done.returncode}: {done.stdout}")
    if not init(checks, mantlet, folder, "whether an application is looked at twice", "low"):
        return
    done, printed = protect(checks, mantlet, folder)
    text = json.dumps(printed)
    checks.check(f"{folder.name}: protect exits 2, not fully examined", done.returncode == 2, (done.returncode, done.stderr))
    checks.check(f"{folder.name}: it says how to get probed (ONNX or the endpoint)", "ONNX" in text and "endpoint" in text, text[:600])
    checks.check(f"{folder.name}: nothing is signed", printed is not None and not printed["passport"])


def hostile_folder(checks, mantlet, folder):
    """A pickle with a command in it: found, refused, not served."""
    print(f"\n{folder.name}")
    done = mantlet.run("scan", folder / "model.pkl", "--format", "json")
    checks.check(f"{folder.name}: the scan exits 1 and names the call", done.returncode == 1 and "system" in done.stdout, (done.returncode, done.stdout[:400]))
    done = mantlet.run("scan", folder, "--format", "sarif")
    sarif = json.loads(done.stdout or "{}")
    checks.check(f"{folder.name}: SARIF 2.1.0 with a result", sarif.get("version") == "2.1.0" and sarif["runs"][0]["results"], done.stdout[:300])
    if not init(checks, mantlet, folder, "nothing yet", "low"):
        return
    done, printed = protect(checks, mantlet, folder)
    checks.check(f"{folder.name}: protect refuses and exits 1", done.returncode == 1, (done.returncode, done.stderr))
    checks.check(f"{folder.name}: nothing is signed", printed is not None and not printed["passport"])
    done = mantlet.run("up", folder, timeout=60)
    checks.check(f"{folder.name}: up does not serve it", done.returncode != 0, done.returncode)


def bad_input(checks, mantlet, work):
    """Wrong use and broken files: a clear message, the right exit code."""
    print("\nbad input")
    folder = work / "bad"
    folder.mkdir(exist_ok=True)
    (folder / "cut.onnx").write_bytes((work / "adult-forest" / "model.onnx").read_bytes()[:5000])
    (folder / "empty.pkl").write_bytes(b"")
    (folder / "mantlet.toml").write_text('[system]\nname = "x"\ndecides = "x"\nimpact = "low"\nimpackt = 1\n[model]\npath = "cut.onnx"\n')
    done = mantlet.run("scan", folder / "cut.onnx")
    checks.check("a truncated ONNX file is not clean", done.returncode in (1, 2), (done.returncode, done.stdout))
    done = mantlet.run("scan", folder / "nothing-here.pkl")
    checks.check("a path that is not there exits 2 and is named", done.returncode == 2 and "nothing-here" in done.stdout + done.stderr, (done.returncode, done.stdout, done.stderr))
    done = mantlet.run("config", "check", folder)
    checks.check("an unknown key exits 3, with line and the nearest key", done.returncode == 3 and "impact" in done.stderr + done.stdout and "5" in done.stderr + done.stdout, (done.returncode, done.stderr, done.stdout))
    done = mantlet.run("scna")
    checks.check("an unknown command exits 3", done.returncode == 3, done.returncode)
    with open("/dev/full", "w") as full:
        done = subprocess.run([mantlet.path, "scan", str(work / "adult-forest" / "model.onnx")], stdout=full, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
        checks.check("a full disk is said and exits 4", done.returncode == 4 and "panicked" not in done.stderr, (done.returncode, done.stderr))


def demo(checks, mantlet, work):
    """The worked example as the README starts it, on all its seeds, without a network or Python of its own."""
    print("\ndemo")
    folder = work / "demo"
    done = mantlet.run("demo", "--dir", folder, "--no-serve", timeout=600)
    print("\n".join("        " + line for line in done.stdout.splitlines()))
    checks.check("demo: it holds on every seed and exits 0", done.returncode == 0, done.stderr[-800:])
    checks.check("demo: it takes less than five minutes", done.seconds < 300, done.seconds)
    attacks = [line for line in done.stdout.splitlines() if "without a guard it succeeds" in line]
    checks.check("demo: ten attacks, all held", len(attacks) == 10 and all(line.endswith("held") and "NOT" not in line for line in attacks), attacks)
    refused = re.findall(r"benign: (\d+) queries .*?, (\d+) refused", done.stdout)
    checks.check("demo: of at least 1,000 benign queries none is refused", bool(refused) and all(int(queries) >= 1000 and refusals == "0" for queries, refusals in refused), refused)
    done = mantlet.run("audit", "verify", folder)
    checks.check("demo: its audit log is whole", done.returncode == 0, done.stdout + done.stderr)
    page = (folder / "report.html").read_text() if (folder / "report.html").is_file() else ""
    checks.check("demo: report.html is one self-contained file", "<svg" in page and not re.search(r"<(script|link|img)[^>]+(src|href)=[\"']?https?:", page), len(page))


def main():
    parser = argparse.ArgumentParser()
    for name in ("mantlet", "data", "work"):
        parser.add_argument(f"--{name}", required=True, type=pathlib.Path)
    parser.add_argument("--only", help="one folder's name")
    options = parser.parse_args()
    mantlet, checks = Mantlet(options.mantlet), Checks()
    work = options.work.resolve()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    print("training", flush=True)
    trained = subprocess.run([sys.executable, "-W", "ignore", str(HERE / "train.py"), str(options.data.resolve()), str(work)], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    print(trained.stdout)
    if trained.returncode != 0:
        print(trained.stderr[-4000:])
        return 1
    for name in [*TENSOR, "adult-pipeline", "torch-cnn"]:
        if options.only not in (None, name):
            continue
        expected = work / "expected" / f"{name}.json"
        if not expected.is_file():
            checks.skip(name, "torch is not installed here")
            continue
        model_folder(checks, mantlet, work / name, json.loads(expected.read_text()))
    if options.only in (None, "german-joblib"):
        pickle_folder(checks, mantlet, work / "german-joblib")
    if options.only in (None, "hostile-pickle"):
        hostile_folder(checks, mantlet, work / "hostile-pickle")
    if options.only in (None, "bad"):
        bad_input(checks, mantlet, work)
    if options.only in (None, "demo"):
        demo(checks, mantlet, work)
    print(f"\n{checks.passed} checks hold, {len(checks.failed)} fail, {len(checks.not_run)} NOT RUN")
    for name in checks.failed:
        print(f"  FAIL  {name}")
    for name in checks.not_run:
        print(f"  NOT RUN  {name}")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    os.environ["NO_COLOR"] = "1"
    sys.exit(main())
