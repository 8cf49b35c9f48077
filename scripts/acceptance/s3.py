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
    for index in range(1_200):
        put(f"many/{index}.pkl", b"\x80\x04]\x94.")


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
        del environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
        code, report, said = scan("s3://models/a dir/call.pkl")
        check("without keys nothing is taken for clean", code != 0, said)
    finally:
        server.terminate()


main()
