"""An example of each part of the config, for the reference; a test reads them all."""

EXAMPLES = {
    "corpus files": """
python:
  kind: files
  paths: ["{stdlib}/**/*.py", "${HOME}/code/**/*.py"]
  exclude: ["test/**", "**/tests/**"]
  validation: 0.1
""",
    "corpus generated": """
stories: {kind: generated, language: stories, documents: 4000}
""",
    "corpus hub": """
tinystories:
  kind: hub
  dataset: roneneldan/TinyStories
  tokens: 50_000_000
""",
    "tokenizer bpe": """
tokenizer: {kind: bpe, corpora: [english, python], vocabulary: 4096}
""",
    "tokenizer pretrained": """
tokenizer: {kind: pretrained, name: mistralai/Mistral-7B-v0.1}
""",
    "model base": """
base:
  kind: base
  corpora: [english, python]
  architecture: {hidden: 128, intermediate: 256, heads: 4, kv_heads: 2, context: 128}
  training: {epochs: 2, batch: 32, learning_rate: 2e-3}
""",
    "model pretrained": """
start:
  kind: pretrained
  name: roneneldan/TinyStories-1M
  corpora: [stories]
""",
    "model finetune": """
lua:
  kind: finetune
  parent: base
  corpora: [lua]
  training: {epochs: 1, learning_rate: 5e-4, warmup_steps: 20}
""",
    "model merge": """
luastories:
  kind: merge
  parents: [lua, stories]
  method: {kind: slerp, t: equilibrium}
""",
    "method slerp": """
method: {kind: slerp, t: 0.5}
""",
    "method linear": """
method: {kind: linear, weights: [0.7, 0.3]}
""",
    "method task": """
method: {kind: task, base: base, weights: [1, 1], scale: 0.5}
""",
    "method ties": """
method: {kind: ties, density: 0.2}
""",
    "method dare": """
method: {kind: dare, density: 0.5, signs: true}
""",
    "SAE relu": """
main:
  kind: relu
  hook: blocks.0.mlp.hook_post
  expansion: 16
  sparsity: {l0: 30}
  tokens: 15_000_000
reseed: {extends: main, seed: 1, control_of: main}
""",
    "SAE topk": """
main: {kind: topk, hook: blocks.0.mlp.hook_post, k: 32, tokens: 15_000_000, learning_rate: 1e-3}
reseed: {extends: main, seed: 1, control_of: main}
""",
    "model random": """
random: {kind: random, like: base}
""",
    "provider lookup": """
provider: {kind: lookup}
""",
    "provider openai": """
provider:
  kind: openai
  base_url: http://localhost:8000/v1
  explainer: qwen3-32b
  max_usd: 5
  prices: {qwen3-32b: {input: 0.1, output: 0.3}}
""",
    "figure controls": """
controls: {kind: controls}
""",
    "figure case": """
assignment: {kind: case, case: assignment}
""",
    "figure scores": """
scores: {kind: scores}
""",
    "figure lineage": """
lineage: {kind: lineage}
""",
    "figure flow": """
wide: {kind: flow, sae: main, height: 900}
""",
    "figure sweep": """
sweep: {kind: sweep, model: luastories}
""",
    "figure training": """
training: {kind: training, sae: main}
""",
    "figure density": """
density: {kind: density, sae: main}
""",
}
"""By the title of the section, as it stands in the config."""
