"""One step of cleanlab's way with a table of labels: out-of-fold probabilities by boosted trees, the flags that follow from them, and Datalab. Prints what it took and writes arrays beside the table."""

import json
import sys
import time
import warnings

import numpy as np
import pyarrow.parquet as pq

warnings.filterwarnings("ignore")

step, path, folder = sys.argv[1:4]
table = pq.read_table(path)
y = table.column("y").to_numpy(zero_copy_only=False).astype(int)
x = np.column_stack([table.column(c).to_numpy() for c in table.column_names if c.startswith("x")]).astype("f4")
del table
version = None
started = time.process_time()
if step == "probabilities":
    import sklearn
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import cross_val_predict

    version = sklearn.__version__
    p = cross_val_predict(HistGradientBoostingClassifier(max_iter=60), x, y, cv=3, method="predict_proba")
    np.save(f"{folder}/chances.npy", p)
    flagged = np.array([], int)
else:
    import cleanlab

    version = cleanlab.__version__
    p = np.load(f"{folder}/chances.npy")
    started = time.process_time()
    if step == "flags":
        from cleanlab.filter import find_label_issues

        flagged = np.where(find_label_issues(y, p, n_jobs=1))[0]
    else:
        lab = cleanlab.Datalab({"y": y}, label_name="y", verbosity=0)
        lab.find_issues(features=x, pred_probs=p)
        flagged = np.where(lab.get_issues("label").is_label_issue)[0]
took = time.process_time() - started
np.save(f"{folder}/{step}.npy", flagged)
print(json.dumps({"version": version, "seconds": took, "flagged": len(flagged)}))
