"""One peer's drift report of two tables, as it comes out of the box: prints the columns it flags. Run by the interpreter of that peer's environment."""

import json
import sys
import warnings

warnings.filterwarnings("ignore")

ASIDE = ["y", "y_pred", "score"]


def tables(before, now, keep_time):
    import pandas as pd

    aside = ASIDE if keep_time else [*ASIDE, "ts"]
    return [pd.read_parquet(path).drop(columns=aside) for path in (before, now)]


def evidently(before, now):
    import evidently
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    old, new = tables(before, now, False)
    numbers = [c for c in old if old[c].dtype.kind in "if"]
    kinds = DataDefinition(numerical_columns=numbers, categorical_columns=[c for c in old if c not in numbers])
    report = Report([DataDriftPreset()]).run(Dataset.from_pandas(new, kinds), Dataset.from_pandas(old, kinds))
    flagged = []
    for metric in report.dict()["metrics"]:
        config = metric.get("config") or {}
        if "ValueDrift" not in str(metric.get("metric_name") or metric.get("metric_id")):
            continue
        method, limit, value = str(config.get("method")).lower(), config.get("threshold"), float(metric["value"])
        chance = any(word in method for word in ("p_value", "p-value", "ks", "chi", "z-test", "anderson"))
        limit = limit if limit is not None else (0.05 if chance else 0.1)
        if value < limit if chance else value >= limit:
            flagged.append(config.get("column"))
    return evidently.__version__, flagged


def nannyml(before, now):
    import nannyml

    old, new = tables(before, now, True)
    columns = [c for c in old if c != "ts"]
    for table in (old, new):
        for c in columns:
            if table[c].dtype.kind not in "if":
                table[c] = table[c].astype("category")
    calculator = nannyml.UnivariateDriftCalculator(column_names=columns, timestamp_column_name="ts", chunk_number=10).fit(old)
    told = calculator.calculate(new).filter(period="analysis").to_df()
    flagged = [c for c in columns if any(told[(c, method, "alert")].mean() >= 0.5 for method in told[c].columns.get_level_values(0).unique())]
    return nannyml.__version__, flagged


def alibi(before, now):
    import alibi_detect
    import numpy as np
    from alibi_detect.cd import TabularDrift

    old, new = tables(before, now, False)
    columns = list(old)
    words = {c: {word: at for at, word in enumerate(sorted(set(old[c]) | set(new[c])))} for c in columns if old[c].dtype.kind not in "if"}
    # It has no way with missing values; coded as a number of their own they can be seen.
    coded = lambda table: np.column_stack([table[c].map(words[c]).to_numpy("f4") if c in words else table[c].fillna(-1).to_numpy("f4") for c in columns])
    detector = TabularDrift(coded(old), p_val=0.05, correction="bonferroni", categories_per_feature={columns.index(c): len(words[c]) for c in words})
    chances = detector.predict(coded(new), drift_type="feature")["data"]["p_val"]
    return alibi_detect.__version__, [c for c, chance in zip(columns, chances) if chance < 0.05 / len(columns)]


version, flagged = {"evidently": evidently, "nannyml": nannyml, "alibi-detect": alibi}[sys.argv[1]](sys.argv[2], sys.argv[3])
print(json.dumps({"version": version, "flagged": sorted(map(str, flagged))}))
