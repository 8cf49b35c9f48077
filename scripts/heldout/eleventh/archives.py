"""Archives: where a member really goes, and which bytes a reader really takes."""
import io
import lzma
import pickle as stock
import struct
import tarfile
import zipfile

from assembly import call, glob, pickle, val

from .parts import CODE, floats, gz, member, safetensors, scratch, tarred, zipped

FAMILY = "archives"
WEIGHTS = safetensors({"w": ("F32", [4, 4], floats(16))})
EVIL = pickle(val({"scale": 0.5, "post": call(glob("timeit", "timeit"), CODE, "pass")}))
CALM = pickle(val({"scale": 0.5, "post": "timeit"}))


def seven(data):
    import py7zr

    with scratch():
        with py7zr.SevenZipFile("m.7z", "w") as z:
            z.writestr(b"# tiny\n", "README.md")
            z.writestr(data, "weights")
        return open("m.7z", "rb").read()


def npy(value, objects=False):
    import numpy

    out = io.BytesIO()
    array = numpy.empty(1, dtype=object) if objects else numpy.asarray(value, "f4")
    if objects:
        array[0] = value
    numpy.save(out, array, allow_pickle=True)
    return out.getvalue()


class Late:
    def __reduce__(self):
        import timeit

        return timeit.timeit, (CODE, "pass")


def zstd(data, skipped):
    """A frame that readers skip, and then the data in a second one."""
    import zstandard

    return struct.pack("<II", 0x184D2A53, len(skipped)) + skipped + zstandard.ZstdCompressor().compress(data[:700]) + zstandard.ZstdCompressor().compress(data[700:])


def add(out):
    def pair(name, hostile, twin, prove=None, file=None, why=""):
        out.add(FAMILY, name, hostile, twin, prove, file, why)

    long = "models/" + "layer_with_a_long_name_" * 6 + "/weights.safetensors"
    pair("pax-path", tarred([member("weights.safetensors", WEIGHTS, pax={"path": "../../../../root/.ssh/authorized_keys"})]), tarred([member("weights.safetensors", WEIGHTS, pax={"path": long})]), file="model.tar", why="The name in the header is harmless; the extended header that goes before it leaves the folder, and that one counts.")
    link = lambda target, name: tarred([member("model/a.safetensors", WEIGHTS), member(name, kind=tarfile.LNKTYPE, link=target), member(name, WEIGHTS)])  # noqa: E731
    pair("hard-link-through", link("/etc/ld.so.preload", "model/b.safetensors"), tarred([member("model/a.safetensors", WEIGHTS), member("model/b.safetensors", kind=tarfile.LNKTYPE, link="model/a.safetensors")]), file="model.tar", why="A hard link to a system file, then content for the same name: unpacking overwrites the file.")
    pair("zip-link-through", zipped({"model/data": ("link", "/etc"), "model/data/cron.d/sync": b"* * * * * root true\n", "model/w.safetensors": WEIGHTS}), zipped({"model/v1/w.safetensors": WEIGHTS, "model/latest": ("link", "v1")}), file="model.zip", why="A zip entry is a link to /etc, the next is a file through it.")
    at = EVIL.index(b"timeit") + 3
    pair("gzip-two-members", gz(EVIL[:at]) + gz(EVIL[at:]), gz(CALM[:at]) + gz(CALM[at:]), "e11-open:gzip", "state.pkl.gz", "The pickle is cut in the middle of the module's name; gzip joins the members.")
    box = lambda data: lzma.compress(tarred([member("release/README", b"tiny\n"), member("release/artifacts", seven(data))]))  # noqa: E731
    pair("seven-in-tar-xz", box(EVIL), box(CALM), "e11-open:7z", "release.tar.xz", "A 7z without an extension in a tar in xz; in it a pickle without one.")
    tar = lambda data: tarred([member("state.pkl", data)])  # noqa: E731
    pair("zstd-skipped-frame", zstd(tar(EVIL), b"\0" * 64), zstd(tar(CALM), b"\0" * 64), "e11-open:zstd-tar", "state.tar.zst", "A frame to be skipped goes first and the tar is cut over two frames after it.")
    inner = zipped({"arr_0.npy": npy(Late(), True)})
    text = b'{"framework": "numpy", "created": "2024-01-01"}'.ljust(len(inner), b" ")
    outer = lambda note: zipped({"arr_0.npy": npy([0.5, 0.25])}, zipfile.ZIP_DEFLATED, note)  # noqa: E731
    pair("zip-in-comment", outer(inner), outer(text), "e11-npz", "weights.npz", "The comment of a harmless zip is a zip; CPython takes the last directory of the file, so numpy reads the second.")
    two = lambda a, b: tarred([member("ckpt/state.pkl", a), member("ckpt/notes.pkl", stock.dumps(["ok"], 2)), member("ckpt/state.pkl", b)])  # noqa: E731
    pair("tar-same-name", two(CALM, EVIL), two(CALM, pickle(val({"scale": 0.25, "post": "timeit"}))), "e11-open:tar", "ckpt.tar", "Two members of one name: unpacking keeps the last, a reader that stops at the first sees the harmless one.")
