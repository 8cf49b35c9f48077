"""mantlet against a real S3 server process: listings over several pages, odd names, ranges, changes."""

import argparse
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time

import boto3

GOOD = "kind,amount,label\n" + "".join(f"{row % 7},{row * 31 % 1009},{'yes' if row * 31 % 1009 > 500 else 'no'}\n" for row in range(1_000))
# The same row a hundred times, and words where numbers stood.
BAD = GOOD + "1,31,no\n" * 100 + "3,many,yes\n" * 20

EVIL = b"cos\nsystem\n(S'true'\ntR."


def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def weights(size):
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(index % 251 for index in range(size))


def fill(client):
    client.create_bucket(Bucket="models")
    put = lambda key, body: client.put_object(Bucket="models", Key=key, Body=body)
    put("a dir/\u00e4 big.safetensors", weights(9_000_000))
    put("a dir/call.pkl", EVIL)
    put("a dir/100%25.pkl", b"\x80\x04N.")
    for week in range(2):
        rows = "".join(f"{week * 500 + row},{row % 7},{'api' if row % 3 else 'web'}\n" for row in range(500))
        put(f"tables/week-{week}.csv", ("amount,hour,channel\n" + rows).encode())
    put("tables/README.md", b"no table")
    put("training/good.csv", GOOD.encode())
    put("training/bad.csv", BAD.encode())
    for index in range(1_200):
        put(f"many/{index}.pkl", b"\x80\x04]\x94.")


SYSTEM = """[system]
name = "payments"
decides = "whether a payment is held"
impact = "medium"

[model]
path = "model.onnx"
name = "payments"
version = "v1"

[data]
train = "train.csv"
label = "label"
"""


def training(mantlet, environment, check, folder):
    """Training data where they lie: checked, delivered as batches, and their gate run, as a user would."""

    def data(*arguments, password=None):
        own = ["--user", "ann", "--password-stdin"] if password else []
        return subprocess.run(
            [mantlet, "data", *arguments, *own], env=environment, input=password, capture_output=True, text=True
        )

    def named(done):
        return sorted({finding["name"] for finding in json.loads(done.stdout)["findings"]})

    local = os.path.join(folder, "week.csv")
    with open(local, "w") as file:
        file.write(BAD)
    here = data("check", local, "--label", "label", "--format", "json")
    there = data("check", "s3://models/training/bad.csv", "--label", "label", "--format", "json")
    check("a table in a bucket says what a copy says", named(here) == named(there) and here.returncode == there.returncode == 1, (here, there))
    check("it is named by its address", "s3://models/training/bad.csv" in there.stdout, there)
    schema = os.path.join(folder, "schema.toml")
    made = data("schema", "s3://models/training/good.csv", "--out", schema)
    broken = data("check", "s3://models/training/bad.csv", "--label", "label", "--schema", schema, "--format", "json")
    check("a schema from a bucket holds against a bucket", made.returncode == 0 and "schema-broken-value" in named(broken), (made, broken))
    with open(os.path.join(folder, "mantlet.toml"), "w") as file:
        file.write(SYSTEM)
    added = subprocess.run([mantlet, "users", "add", "ann", folder, "--role", "admin"], env=environment, capture_output=True, text=True)
    password = added.stdout.split()[-1] + "\n"
    for batch, held in [("good", "passed"), ("bad", "held")]:
        came = data("deliver", batch, f"s3://models/training/{batch}.csv", "--feed", "bank", "--folder", folder, password=password)
        check(f"batch {batch} is delivered out of a bucket and waits", came.returncode == 0 and "quarantined" in came.stdout, came)
        gate = data("gate", batch, "--folder", folder)
        listed = data("batches", "--folder", folder).stdout
        check(f"its gate says {held}", any(line.startswith(batch) and held in line for line in listed.splitlines()), (gate, listed))
    gone = data("deliver", "none", "s3://models/training/none.csv", "--feed", "bank", "--folder", folder, password=password)
    check("what is not there is no batch", gone.returncode != 0 and "none" not in data("batches", "--folder", folder).stdout, gone)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mantlet", required=True)
    mantlet = parser.parse_args().mantlet
    address = f"http://127.0.0.1:{port()}"
    moto = os.path.join(os.path.dirname(sys.executable), "moto_server")
    server = subprocess.Popen(
        [moto, "-H", "127.0.0.1", "-p", address.rsplit(":", 1)[1]],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    keys = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
    environment = {**os.environ, **keys, "AWS_ENDPOINT_URL": address}
    client = boto3.client(
        "s3", endpoint_url=address, aws_access_key_id="id", aws_secret_access_key="secret", region_name="us-east-1"
    )
    try:
        for _ in range(100):
            try:
                client.list_buckets()
                break
            except Exception:
                time.sleep(0.2)
        fill(client)

        def scan(*arguments):
            done = subprocess.run(
                [mantlet, "scan", *arguments, "--format", "json"], env=environment, capture_output=True, text=True
            )
            return done.returncode, json.loads(done.stdout), done.stderr

        def check(what, fine, seen):
            print(("ok    " if fine else "WRONG ") + what)
            if not fine:
                print(seen)
                sys.exit(1)

        code, report, said = scan("s3://models/many/")
        check("1,200 objects over two pages are clean", code == 0 and len(report["artifacts"]) == 1_200, said)
        for uri in ["s3://models/a dir", "s3://models/a dir/"]:
            code, report, said = scan(uri)
            names = [artifact["path"] for artifact in report["artifacts"]]
            check(f"{uri} is found out, odd names and all", code == 1 and len(names) == 3, (code, names, said))
        code, report, said = scan("s3://models/a dir/\u00e4 big.safetensors", "--full")
        size = report["artifacts"][0]["size"] if report["artifacts"] else 0
        check("a large object is read to its end", code == 0 and size > 9_000_000, (code, report, said))
        code, report, said = scan("s3://models/none")
        check("what is not there is not clean", code == 2, said)
        code, report, said = scan("s3://other/")
        check("a bucket that is not there is not clean", code == 2, said)
        with tempfile.TemporaryDirectory() as folder:
            profile = os.path.join(folder, "profile.json")

            def monitor(*arguments):
                return subprocess.run([mantlet, "monitor", *arguments], env=environment, capture_output=True, text=True)

            made = monitor("baseline", "s3://models/tables/", "--out", profile)
            check("a prefix is a table of two files", made.returncode == 0 and "1000 rows, 3 columns" in made.stdout, made)
            same = monitor("drift", "s3://models/tables/week-0.csv", "s3://models/tables/week-1.csv", "--baseline", profile)
            check("the same rows file by file have not drifted", same.returncode == 0, same)
            moved = monitor("drift", "s3://models/tables/week-1.csv", "--baseline", profile, "--format", "json")
            place = json.loads(moved.stdout)["findings"][0]["place"]["artifact"] if moved.returncode == 1 else None
            check("drift is told under the address", place == "s3://models/tables/week-1.csv", moved)
            none = monitor("drift", "s3://models/many/", "--baseline", profile)
            check("a prefix without a table is said so", none.returncode == 4 and "holds no table" in none.stderr, none)
        with tempfile.TemporaryDirectory() as folder:
            training(mantlet, environment, check, folder)
        del environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
        code, report, said = scan("s3://models/a dir/call.pkl")
        check("without keys nothing is taken for clean", code != 0, said)
    finally:
        server.terminate()


main()
