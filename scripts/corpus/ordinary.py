"""Ordinary files as people save them, each with the verdict a scan must give."""

import array
import collections
import datetime
import decimal
import enum
import fractions
import io
import pathlib
import pickle
import random
import re
import types
import uuid
import warnings

import joblib
import numpy as np
import pandas as pd


def packed(value, protocol):
    return pickle.dumps(value, protocol=protocol)


def by_joblib(value, compress=0):
    buffer = io.BytesIO()
    joblib.dump(value, buffer, compress=compress)
    return buffer.getvalue()


def plain_values():
    """Values of the standard library and numpy."""
    rng = np.random.default_rng(1)
    structured = np.zeros(3, dtype=[("name", "U8"), ("value", "<f4"), ("when", "M8[D]")])
    masked = np.ma.masked_array([1.0, 2.0, 3.0], mask=[0, 1, 0])
    nested = [{"k": (1, "two", 3.0, None, True, b"bytes", {4, 5}, frozenset([6]))} for _ in range(50)]
    shared = ["os", "system", "eval", "builtins"]
    return {
        "nested": nested,
        "words": {f"token{i}": i for i in range(5000)},
        "hostile-words": {"module": shared, "again": [shared] * 10, "code": "import os; os.system('id')"},
        "stdlib": [
            collections.OrderedDict(a=1), collections.Counter("aab"), collections.deque([1, 2], 5),
            collections.defaultdict(list, a=[1]), datetime.datetime(2026, 1, 2, 3, 4), datetime.timedelta(1),
            datetime.timezone.utc, decimal.Decimal("1.5"), fractions.Fraction(1, 3), pathlib.PurePosixPath("a/b"),
            uuid.UUID(int=5), re.compile("a+", re.I), range(5), slice(1, 2), complex(1, 2), Ellipsis,
            NotImplemented, type(None), bytearray(b"abc"), random.Random(3), array.array("d", [1.0]),
            types.SimpleNamespace(a=1), ValueError("x"), int, dict, len, 2**200, -(2**80), float("nan"),
        ],
        "arrays": [rng.normal(size=(5, 4)), rng.integers(0, 9, 7), np.float32(2.5), np.bool_(True), np.array("text"),
                   np.datetime64("2026-01-01"), np.dtype("f8"), np.zeros((0, 3)), np.array(3)],
        "strided": np.asfortranarray(rng.normal(size=(6, 5)))[::2],
        "objects": np.array([{"a": 1}, None, "x", np.arange(3)], dtype=object),
        "structured": structured,
        "masked": masked,
        "generator": rng,
        "random-state": np.random.RandomState(3),
        "matrix": np.matrix([[1, 2], [3, 4]]),
        "recarray": structured.view(np.recarray),
        "poly": np.polynomial.Polynomial([1, 2, 3]),
        "ufuncs": [np.add, np.log1p, np.mean, np.float64, np.ndarray],
        "big-bytes": rng.bytes(300_000),
    }


def frames():
    """pandas values."""
    index = pd.date_range("2026-01-01", periods=4, freq="D")
    mixed = pd.DataFrame({"a": [1, 2, 3, 4], "b": list("wxyz"), "c": pd.Categorical(list("aabb")),
                          "d": index, "e": [1.5, None, 2.5, 3.5], "f": pd.array([1, None, 3, 4], dtype="Int64")})
    return {
        "frame": mixed,
        "series": mixed["a"],
        "multi": mixed.set_index(["a", "b"]),
        "times": pd.Series(range(4), index=index),
        "zoned": pd.Series(range(4), index=index.tz_localize("UTC")),
        "periods": pd.period_range("2026-01", periods=3, freq="M"),
        "intervals": pd.interval_range(0, 3),
        "stamp": [pd.Timestamp("2026-01-01"), pd.Timedelta("1D"), pd.NaT, pd.NA],
        "sparse": pd.arrays.SparseArray([0, 0, 1]),
        "strings": pd.Series(["a", "b"], dtype="string"),
        "offset": pd.offsets.MonthEnd(2),
    }


def science():
    """scipy values."""
    import scipy.interpolate
    import scipy.sparse
    import scipy.spatial
    import scipy.stats

    points = np.random.default_rng(2).normal(size=(30, 2))
    return {
        "csr": scipy.sparse.csr_matrix(np.eye(4)),
        "coo": scipy.sparse.coo_matrix(np.eye(4)),
        "csc-array": scipy.sparse.csc_array(np.eye(4)),
        "lil": scipy.sparse.lil_matrix(np.eye(3)),
        "norm": scipy.stats.norm(0, 1),
        "gamma": scipy.stats.gamma,
        "randint": scipy.stats.randint(1, 5),
        "kde": scipy.stats.gaussian_kde(points.T),
        "tree": scipy.spatial.cKDTree(points),
        "spline": scipy.interpolate.CubicSpline([0, 1, 2], [0, 1, 4]),
        "interp1d": scipy.interpolate.interp1d([0, 1, 2], [0, 1, 4]),
    }


def estimators():
    """Fitted scikit-learn estimators."""
    import sklearn.base
    import sklearn.utils
    from sklearn import (calibration, cluster, compose, covariance, cross_decomposition, datasets, decomposition,
                         discriminant_analysis, dummy, ensemble, feature_extraction, feature_selection,
                         gaussian_process, impute, isotonic, kernel_approximation, kernel_ridge, linear_model,
                         manifold, metrics, mixture, model_selection, multiclass, naive_bayes, neighbors,
                         neural_network, pipeline, preprocessing, semi_supervised, svm, tree)

    x, y = datasets.load_iris(return_X_y=True)
    small = [
        linear_model.LogisticRegression(), linear_model.Ridge(), linear_model.SGDClassifier(max_iter=50),
        linear_model.LassoCV(cv=2), linear_model.BayesianRidge(), linear_model.HuberRegressor(),
        linear_model.Perceptron(), linear_model.PoissonRegressor(), svm.SVC(probability=False), svm.LinearSVC(),
        svm.OneClassSVM(), tree.DecisionTreeClassifier(), tree.ExtraTreeRegressor(),
        ensemble.RandomForestClassifier(5), ensemble.GradientBoostingClassifier(n_estimators=3),
        ensemble.HistGradientBoostingClassifier(max_iter=3), ensemble.HistGradientBoostingRegressor(max_iter=3),
        ensemble.IsolationForest(n_estimators=3), ensemble.AdaBoostClassifier(n_estimators=3),
        ensemble.BaggingClassifier(n_estimators=2), ensemble.GradientBoostingRegressor(n_estimators=2, loss="huber"),
        ensemble.VotingClassifier([("a", linear_model.LogisticRegression()), ("b", naive_bayes.GaussianNB())]),
        ensemble.StackingClassifier([("a", naive_bayes.GaussianNB())], cv=2),
        neighbors.KNeighborsClassifier(algorithm="kd_tree"), neighbors.KNeighborsRegressor(algorithm="ball_tree"),
        neighbors.LocalOutlierFactor(novelty=True), neighbors.KernelDensity(), naive_bayes.GaussianNB(),
        naive_bayes.MultinomialNB(), neural_network.MLPClassifier((4,), max_iter=5), gaussian_process.GaussianProcessClassifier(),
        gaussian_process.GaussianProcessRegressor(gaussian_process.kernels.RBF() + gaussian_process.kernels.WhiteKernel()),
        discriminant_analysis.LinearDiscriminantAnalysis(), discriminant_analysis.QuadraticDiscriminantAnalysis(),
        cluster.KMeans(2, n_init=1), cluster.DBSCAN(), cluster.AgglomerativeClustering(), cluster.Birch(),
        decomposition.PCA(2), decomposition.NMF(2, max_iter=20), decomposition.FastICA(2), decomposition.TruncatedSVD(2),
        mixture.GaussianMixture(2), covariance.EllipticEnvelope(), manifold.Isomap(), kernel_ridge.KernelRidge(),
        kernel_approximation.Nystroem(n_components=5), isotonic.IsotonicRegression(), dummy.DummyClassifier(),
        cross_decomposition.PLSRegression(2), calibration.CalibratedClassifierCV(naive_bayes.GaussianNB(), cv=2),
        multiclass.OneVsRestClassifier(naive_bayes.GaussianNB()), semi_supervised.LabelPropagation(),
        preprocessing.StandardScaler(), preprocessing.OneHotEncoder(), preprocessing.PolynomialFeatures(),
        preprocessing.QuantileTransformer(n_quantiles=5), preprocessing.FunctionTransformer(np.log1p),
        preprocessing.KBinsDiscretizer(3), preprocessing.PowerTransformer(), impute.SimpleImputer(), impute.KNNImputer(),
        feature_selection.SelectKBest(feature_selection.f_classif, k=2),
        pipeline.make_pipeline(preprocessing.StandardScaler(), svm.SVC()),
        compose.ColumnTransformer([("s", preprocessing.StandardScaler(), [0, 1])], remainder="passthrough"),
        model_selection.GridSearchCV(linear_model.LogisticRegression(), {"C": [0.1, 1]}, cv=2, scoring="accuracy"),
    ]
    fitted = {}
    for estimator in small:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target = x[:, 0] if isinstance(estimator, isotonic.IsotonicRegression) else x
            estimator.fit(target, y)
        fitted[type(estimator).__name__.lower()] = estimator
    import scipy.stats
    search = model_selection.RandomizedSearchCV(linear_model.Ridge(), {"alpha": scipy.stats.uniform(0, 1)}, n_iter=2, cv=2)
    fitted["randomsearch"] = search.fit(x, y)
    text = feature_extraction.text.TfidfVectorizer().fit(["one two", "two three"])
    fitted["tfidf"] = text
    fitted["hashing"] = feature_extraction.text.HashingVectorizer()
    fitted["iris"] = datasets.load_iris()
    fitted["scorer"] = metrics.make_scorer(metrics.f1_score, average="macro")
    fitted["frame-trained"] = linear_model.Ridge().fit(pd.DataFrame(x, columns=list("abcd")), y)
    return fitted


def boosters(installed):
    from sklearn import datasets

    x, y = datasets.load_iris(return_X_y=True)
    models = {}
    if installed("xgboost"):
        import xgboost
        models["xgbclassifier"] = xgboost.XGBClassifier(n_estimators=3).fit(x, y)
        models["xgbooster"] = models["xgbclassifier"].get_booster()
    if installed("lightgbm"):
        import lightgbm
        models["lgbmclassifier"] = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(x, y)
    if installed("statsmodels"):
        import statsmodels.api
        import statsmodels.formula.api
        models["statsmodels-ols"] = statsmodels.api.OLS(y, x).fit()
        frame = pd.DataFrame({"y": y + 0.0, "x": x[:, 0], "g": list("ab") * (len(y) // 2)})
        models["statsmodels-formula"] = statsmodels.formula.api.ols("y ~ x + C(g) + np.log1p(x)", frame).fit()
    if installed("networkx"):
        import networkx
        models["graph"] = networkx.path_graph(5)
    return models


def ordinary(installed):
    """(name, bytes, expected verdict) of each file."""
    for name, value in plain_values().items():
        for protocol in range(6):
            yield f"{name}-p{protocol}.pkl", packed(value, protocol), "clean"
        if name not in ("generator", "random-state"):
            yield f"{name}.joblib", by_joblib(value), "clean"
    for name, value in {**frames(), **science()}.items():
        for protocol in (2, 4, 5):
            yield f"{name}-p{protocol}.pkl", packed(value, protocol), "clean"
        yield f"{name}.joblib", by_joblib(value), "clean"
    for name, value in {**estimators(), **boosters(installed)}.items():
        yield f"{name}-p{len(name) % 6}.pkl", packed(value, len(name) % 6), "clean"
        yield f"{name}-p5.pkl", packed(value, 5), "clean"
        yield f"{name}.joblib", by_joblib(value), "clean"
        yield f"{name}-zlib.joblib", by_joblib(value, ("zlib", 3)), "clean"
    example = {"weights": np.random.default_rng(3).normal(size=(300, 300)), "name": "model"}
    yield "weights-gzip.joblib", by_joblib(example, ("gzip", 3)), "clean"
    yield "weights-bz2.joblib", by_joblib(example, ("bz2", 3)), "clean"
    yield "weights-xz.joblib", by_joblib(example, ("xz", 3)), "clean"
    buffer = io.BytesIO()
    np.savez(buffer, a=np.arange(5), b=np.array([{}, []], dtype=object))
    yield "arrays.npz", buffer.getvalue(), "clean"
    buffer = io.BytesIO()
    np.savez_compressed(buffer, a=np.random.default_rng(4).normal(size=(200, 200)))
    yield "compressed.npz", buffer.getvalue(), "clean"
    for name, value in {"f4": np.zeros((3, 4), "f4"), "u": np.array(["a", "bc"]), "o": np.array([1, "a"], dtype=object),
                        "rec": np.zeros(3, [("a", "<f4"), ("b", "O")]), "empty": np.zeros((0,))}.items():
        buffer = io.BytesIO()
        np.save(buffer, value, allow_pickle=True)
        yield f"{name}.npy", buffer.getvalue(), "clean"
    if installed("safetensors"):
        from safetensors.numpy import save
        yield "weights.safetensors", save({"a": np.zeros((2, 3), "f4"), "b": np.ones(5, "i8")}, {"k": "v"}), "clean"
    yield "two.pkl", packed({"a": 1}, 4) + packed([2], 2), "clean"
    yield "readme.md", b"# A model\n\nUse `os.system` never.\n", "clean"
    yield "config.json", b'{"hidden_size": 8, "activation": "gelu"}', "clean"
    yield "tiny.txt", b"N.\n", "clean"
