"""Ordinary files as the machine-learning libraries write them, each with the verdict a scan must give."""

import io
import pickle
import tempfile
import warnings
from pathlib import Path

import numpy as np

from ordinary import by_joblib, packed


def saved(write, suffix=""):
    """The bytes that `write(path)` leaves in a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("file" + suffix)
        write(str(path))
        return path.read_bytes()


def buffered(write):
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def torch_files():
    import torch
    from torch import nn

    torch.manual_seed(1)
    dense = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 3))
    image = nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.Flatten(), nn.LazyLinear(2))
    image(torch.zeros(1, 3, 8, 8))
    layers = {
        "dense": dense, "image": image, "lstm": nn.LSTM(4, 5, 2), "gru": nn.GRU(3, 3), "embedding": nn.Embedding(10, 4),
        "attention": nn.MultiheadAttention(8, 2), "encoder": nn.TransformerEncoderLayer(8, 2, 16),
        "norm": nn.LayerNorm(4), "bag": nn.EmbeddingBag(5, 2), "transposed": nn.ConvTranspose1d(2, 2, 3),
        "list": nn.ModuleList([nn.Linear(1, 1), nn.PReLU()]), "dict": nn.ModuleDict({"a": nn.Linear(1, 1), "b": nn.GELU()}),
        "parameters": nn.ParameterList([nn.Parameter(torch.zeros(2))]), "bilinear": nn.Bilinear(2, 2, 2),
    }
    for label, layer in layers.items():
        yield f"torch-{label}-state.pt", buffered(lambda f: torch.save(layer.state_dict(), f)), "clean"
        yield f"torch-{label}-module.pt", buffered(lambda f: torch.save(layer, f)), "clean"
        yield f"torch-{label}-legacy.pth", buffered(
            lambda f: torch.save(layer.state_dict(), f, _use_new_zipfile_serialization=False)), "clean"
        yield f"torch-{label}.pkl", packed(layer.state_dict(), 4), "clean"
    optimizers = {"sgd": torch.optim.SGD, "adam": torch.optim.AdamW, "rms": torch.optim.RMSprop}
    for label, kind in optimizers.items():
        optimizer = kind(dense.parameters(), lr=0.1)
        dense(torch.zeros(4, 4)).sum().backward()
        optimizer.step()
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 3)
        point = {"epoch": 3, "model": dense.state_dict(), "optimizer": optimizer.state_dict(), "loss": 0.25,
                 "schedule": schedule.state_dict(), "rng": torch.get_rng_state()}
        yield f"torch-checkpoint-{label}.ckpt", buffered(lambda f: torch.save(point, f)), "clean"
        yield f"torch-optimizer-{label}.pt", buffered(lambda f: torch.save(optimizer, f)), "clean"
    values = {
        "bf16": torch.zeros(3, dtype=torch.bfloat16), "bool": torch.tensor([True]), "complex": torch.zeros(2, dtype=torch.cfloat),
        "sparse": torch.eye(3).to_sparse(), "csr": torch.eye(3).to_sparse_csr(), "view": torch.arange(10.0)[2:6:2],
        "shared": [torch.arange(6.0)] * 2, "empty": torch.zeros(0, 4), "scalar": torch.tensor(3),
        "float8": torch.zeros(4).to(torch.float8_e4m3fn), "quantized": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
        "size": [torch.Size([1, 2]), torch.float32, torch.device("cpu"), torch.strided],
        "uint16": torch.zeros(2, dtype=torch.uint16), "parameter": nn.Parameter(torch.ones(2)), "generator": torch.Generator(),
    }
    for label, value in values.items():
        try:
            yield f"torch-{label}.pt", buffered(lambda f: torch.save(value, f)), "clean"
            yield f"torch-{label}.pkl", packed(value, 2), "clean"
            yield f"torch-{label}.joblib", by_joblib(value), "clean"
        except (TypeError, RuntimeError, pickle.PicklingError):
            continue
    for label in ("dense", "image", "lstm", "norm"):
        script = torch.jit.script(layers[label])
        yield f"torch-{label}-script.pt", buffered(lambda f: torch.jit.save(script, f)), "clean"
    traced = torch.jit.trace(dense.eval(), torch.zeros(1, 4))
    yield "torch-traced.pt", buffered(lambda f: torch.jit.save(traced, f)), "clean"
    try:
        program = torch.export.export(dense.eval(), (torch.zeros(1, 4),))
        yield "torch-exported.pt2", buffered(lambda f: torch.export.save(program, f)), "any"
    except Exception as error:  # noqa: BLE001 - an export that this build cannot make is left out
        print("no torch.export:", error)


def skops_files():
    import pandas as pd
    import skops.io
    from sklearn import (compose, datasets, decomposition, ensemble, feature_extraction, impute, linear_model, naive_bayes,
                         neighbors, pipeline, preprocessing, svm, tree)

    x, y = datasets.load_iris(return_X_y=True)
    models = [
        linear_model.LogisticRegression(), svm.SVC(), tree.DecisionTreeClassifier(), ensemble.RandomForestClassifier(3),
        ensemble.GradientBoostingClassifier(n_estimators=2), naive_bayes.GaussianNB(), neighbors.KNeighborsClassifier(),
        ensemble.HistGradientBoostingClassifier(max_iter=2), decomposition.PCA(2), preprocessing.StandardScaler(),
        pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.SGDClassifier()),
        compose.ColumnTransformer([("s", preprocessing.MinMaxScaler(), [0, 1])]), impute.SimpleImputer(),
        preprocessing.FunctionTransformer(np.log1p),
    ]
    for model in models:
        model.fit(x, y)
        yield f"skops-{type(model).__name__.lower()}.skops", skops.io.dumps(model), "clean"
    text = feature_extraction.text.TfidfVectorizer().fit(["one two", "two three"])
    yield "skops-tfidf.skops", skops.io.dumps(text), "clean"
    yield "skops-values.skops", skops.io.dumps({"a": [1, 2.5, None, True, "x", b"y"], "b": np.arange(4), "c": (1, {2})}), "clean"
    frame_model = linear_model.Ridge().fit(pd.DataFrame(x, columns=list("abcd")), y)
    yield "skops-frame.skops", skops.io.dumps(frame_model), "clean"


def code_picklers():
    """dill and cloudpickle with values that carry no code."""
    import cloudpickle
    import dill
    import pandas as pd
    from sklearn import datasets, ensemble, linear_model, pipeline, preprocessing

    x, y = datasets.load_iris(return_X_y=True)
    values = {
        "dict": {"a": [1, 2, (3, "x")], "b": {1, 2}}, "array": np.arange(12.0).reshape(3, 4),
        "frame": pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), "forest": ensemble.RandomForestClassifier(3).fit(x, y),
        "pipe": pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression()).fit(x, y),
        "builtins": [len, np.log1p, dict, slice(1, 2)], "ranges": range(4),
    }
    for label, value in values.items():
        yield f"dill-{label}.dill", dill.dumps(value), "clean"
        yield f"dill-{label}-recurse.pkl", dill.dumps(value, recurse=True, protocol=2), "clean"
        yield f"cloudpickle-{label}.pkl", cloudpickle.dumps(value), "clean"


def booster_files():
    import catboost
    import lightgbm
    import xgboost
    from sklearn import datasets

    x, y = datasets.load_iris(return_X_y=True)
    models = {
        "xgb-regressor": xgboost.XGBRegressor(n_estimators=2).fit(x, y), "xgb-rf": xgboost.XGBRFClassifier(n_estimators=2).fit(x, y),
        "xgb-linear": xgboost.XGBClassifier(n_estimators=2, booster="gblinear").fit(x, y),
        "lgbm-regressor": lightgbm.LGBMRegressor(n_estimators=2, verbose=-1).fit(x, y),
        "lgbm-booster": lightgbm.LGBMRegressor(n_estimators=2, verbose=-1).fit(x, y).booster_,
        "cat-classifier": catboost.CatBoostClassifier(iterations=2, verbose=0, allow_writing_files=False).fit(x, y),
        "cat-regressor": catboost.CatBoostRegressor(iterations=2, verbose=0, allow_writing_files=False).fit(x, y),
    }
    for label, model in models.items():
        for protocol in (2, 5):
            yield f"{label}-p{protocol}.pkl", packed(model, protocol), "clean"
        yield f"{label}.joblib", by_joblib(model), "clean"
        yield f"{label}-zlib.joblib", by_joblib(model, ("zlib", 3)), "clean"
    yield "xgb-rows.pkl", packed({"dmatrix-free": xgboost.XGBClassifier(n_estimators=2)}, 4), "clean"


def text_files():
    import gensim
    import nltk
    from gensim import corpora, models

    texts = [["human", "computer", "interface"], ["graph", "trees", "human"], ["graph", "minors", "trees"]] * 4
    dictionary = corpora.Dictionary(texts)
    bags = [dictionary.doc2bow(text) for text in texts]
    made = {
        "word2vec": models.Word2Vec(texts, vector_size=8, min_count=1), "fasttext": models.FastText(texts, vector_size=4, min_count=1, bucket=50),
        "doc2vec": models.Doc2Vec([models.doc2vec.TaggedDocument(t, [i]) for i, t in enumerate(texts)], vector_size=4, min_count=1),
        "dictionary": dictionary, "tfidf": models.TfidfModel(bags), "lda": models.LdaModel(bags, 2, dictionary, random_state=1),
        "lsi": models.LsiModel(bags, 2, dictionary), "phrases": models.Phrases(texts, min_count=1, threshold=1),
    }
    made["keyedvectors"] = made["word2vec"].wv
    for label, model in made.items():
        yield f"gensim-{label}.model", saved(model.save), "clean"
        yield f"gensim-{label}.pkl", packed(model, 4), "clean"
    yield "gensim-vectors.txt", saved(made["keyedvectors"].save_word2vec_format), "any"
    tagged = [[("a", "DT"), ("dog", "NN")], [("the", "DT"), ("cat", "NN")]]
    trained = {
        "bayes": nltk.NaiveBayesClassifier.train([({"a": 1}, "x"), ({"a": 2}, "y")]), "freq": nltk.FreqDist("abcab"),
        "conditional": nltk.ConditionalFreqDist([("a", 1), ("b", 2)]), "unigram": nltk.UnigramTagger(tagged),
        "bigram": nltk.BigramTagger(tagged, backoff=nltk.DefaultTagger("NN")), "tree": nltk.Tree("S", ["a", nltk.Tree("NP", ["b"])]),
        "stemmer": nltk.PorterStemmer(), "tokenizer": nltk.RegexpTokenizer(r"\w+"), "punkt": nltk.tokenize.punkt.PunktSentenceTokenizer(),
        "laplace": nltk.LaplaceProbDist(nltk.FreqDist("aab"), 5),
    }
    for label, model in trained.items():
        for protocol in (2, 4):
            yield f"nltk-{label}-p{protocol}.pkl", packed(model, protocol), "clean"


def more_files(installed):
    import networkx
    import pandas as pd
    import statsmodels.api as sm
    from sklearn import datasets

    x, y = datasets.load_iris(return_X_y=True)
    graphs = {"digraph": networkx.DiGraph([(1, 2), (2, 3)]), "multi": networkx.MultiGraph([(1, 2), (1, 2)]), "karate": networkx.karate_club_graph()}
    for label, graph in graphs.items():
        yield f"networkx-{label}.pkl", packed(graph, 4), "clean"
    fits = {
        "logit": sm.Logit((y > 0).astype(int), sm.add_constant(x[:, :1] + np.random.default_rng(1).normal(size=(150, 1)))),
        "glm": sm.GLM(y, x), "rlm": sm.RLM(y, x), "arima": sm.tsa.ARIMA(y[:60] + x[:60, 0], order=(1, 0, 0)),
    }
    for label, model in fits.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = model.fit(disp=0) if label == "logit" else model.fit()
        yield f"statsmodels-{label}.pkl", packed(fit, 4), "clean"
        yield f"statsmodels-{label}-save.pickle", saved(fit.save), "clean"
    if installed("skl2onnx"):
        from skl2onnx import to_onnx
        from sklearn import ensemble, linear_model
        for model in (linear_model.LogisticRegression(max_iter=300), ensemble.RandomForestClassifier(3), linear_model.Ridge()):
            made = to_onnx(model.fit(x, y), x[:1].astype("f4"))
            yield f"onnx-{type(model).__name__.lower()}.onnx", made.SerializeToString(), "clean"
    if installed("safetensors"):
        from safetensors.numpy import save
        for label, value in {"half": np.zeros((2, 2), "f2"), "many": None, "ints": np.arange(5)}.items():
            tensors = {f"layer.{i}": np.full((i + 1, 2), i, "f4") for i in range(40)} if value is None else {"a": value}
            yield f"weights-{label}.safetensors", save(tensors), "clean"
    if installed("transformers"):
        from transformers import BertConfig, GPT2Config
        yield "transformers-config.pkl", packed([BertConfig(hidden_size=8), GPT2Config(n_embd=8)], 4), "clean"
    if installed("imblearn"):
        from imblearn.over_sampling import SMOTE
        from imblearn.pipeline import make_pipeline
        from sklearn.tree import DecisionTreeClassifier
        yield "imblearn-pipeline.pkl", packed(make_pipeline(SMOTE(), DecisionTreeClassifier()).fit(x, y), 4), "clean"
    if installed("hmmlearn"):
        from hmmlearn.hmm import GaussianHMM
        yield "hmmlearn.pkl", packed(GaussianHMM(2, n_iter=2).fit(x), 4), "clean"
    if installed("xarray"):
        import xarray
        yield "xarray.pkl", packed(xarray.DataArray(np.arange(4), dims="t", coords={"t": range(4)}), 4), "clean"
    if installed("category_encoders"):
        import category_encoders
        encoder = category_encoders.TargetEncoder().fit(pd.DataFrame({"a": list("xyz") * 50}), y)
        yield "category-encoders.pkl", packed(encoder, 4), "clean"
    if installed("mlxtend"):
        from mlxtend.classifier import EnsembleVoteClassifier
        from sklearn.naive_bayes import GaussianNB
        yield "mlxtend.pkl", packed(EnsembleVoteClassifier([GaussianNB()]).fit(x, y), 4), "clean"
    if installed("sympy"):
        import sympy
        a = sympy.Symbol("a")
        yield "sympy.pkl", packed([a**2 + 1, sympy.Matrix([[a, 1]])], 4), "any"
    if installed("timm"):
        import timm
        import torch
        net = timm.create_model("resnet10t", pretrained=False)
        yield "timm-state.pth", buffered(lambda f: torch.save(net.state_dict(), f)), "clean"
    if installed("tokenizers"):
        from tokenizers import Tokenizer, models
        yield "tokenizer.pkl", packed(Tokenizer(models.BPE()), 4), "clean"
    if installed("sentence_transformers"):
        yield from ()


def libraries(installed):
    groups = [("torch", torch_files), ("skops", skops_files), ("dill", code_picklers), ("catboost", booster_files),
              ("gensim", text_files), ("statsmodels", lambda: more_files(installed))]
    for needs, group in groups:
        if installed(needs):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield from group()
