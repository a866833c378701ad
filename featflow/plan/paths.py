"""Every path of the workflow, as a template: shared by the rules, the package and notebooks.

`paths.MODEL.at(study="demo", model="lua")` is a file; `paths.MODEL` itself is a Snakemake pattern.
A folder is known by the file that is written last into it.
"""

from collections.abc import Iterable
from itertools import product
from pathlib import PurePosixPath


class Template(str):
    """A path with `{wildcards}`."""

    def at(self, **names: object) -> str:
        """The path for these names.

        Raises:
            KeyError: for a wildcard without a name.
        """
        return self.format(**names)

    def each(self, **names: str | Iterable[str]) -> list[str]:
        """The paths for all combinations of these names, the last one varying fastest.

        Raises:
            KeyError: for a wildcard without a name.
        """
        lists = [[value] if isinstance(value, str) else list(value) for value in names.values()]
        return [self.at(**dict(zip(names, values, strict=True))) for values in product(*lists)]


def folder(handle: str) -> str:
    """The folder that a handle (config.json, cfg.json) stands for."""
    return str(PurePosixPath(handle).parent)


def folders(handles: Iterable[str]) -> list[str]:
    """The folders of some handles, for a command line."""
    return [folder(handle) for handle in handles]


SPLITS = ("train", "validation", "selection")
"""train; validation: evaluation and the probe; selection: chooses a merge's t."""

STUDY = Template("results/{study}")
CORPUS = Template("results/{study}/corpus/{corpus}/{split}.parquet")
TOKENIZER = Template("results/{study}/tokenizer/tokenizer.json")
TOKENS = Template("results/{study}/tokens/{corpus}/{split}.safetensors")
MODEL = Template("results/{study}/models/{model}/config.json")
WEIGHTS = Template("results/{study}/models/{model}/model.safetensors")
TRAINING = Template("results/{study}/models/{model}/training.parquet")
MERGE = Template("results/{study}/models/{model}/merge.json")
SWEEP = Template("results/{study}/sweep/{model}.parquet")
EVALUATE = Template("results/{study}/evaluate/{model}.json")
ACTIVATIONS = Template("results/{study}/activations/{model}/{hook}/{shard}.safetensors")
SAE = Template("results/{study}/sae/{model}/{sae}/cfg.json")
SAE_WEIGHTS = Template("results/{study}/sae/{model}/{sae}/sae_weights.safetensors")
SAE_TRAINING = Template("results/{study}/sae/{model}/{sae}/training.parquet")
SAE_METRICS = Template("results/{study}/sae/{model}/{sae}/metrics.json")
FEATURES = Template("results/{study}/features/{model}/{sae}/{corpus}.safetensors")
SUMMARY = Template("results/{study}/features/{model}/{sae}/summary.parquet")
MATRIX = Template("results/{study}/correlation/{a}-{b}/matrix.safetensors")
MATCHES = Template("results/{study}/correlation/{a}-{b}/matches.parquet")
SHARES = Template("results/{study}/shares/{sae}/{parent}-{child}/best.parquet")
BOOTSTRAP = Template("results/{study}/shares/{sae}/{parent}-{child}/bootstrap.parquet")
FROZEN = Template("results/{study}/transfer/{sae}/{parent}-{child}/frozen.parquet")
SCALING = Template("results/{study}/transfer/{sae}/{parent}-{child}/scaling.parquet")
FLOW_FEATURES = Template("results/{study}/flow/{sae}/features.parquet")
FLOW_COUNTS = Template("results/{study}/flow/{sae}/counts.csv")
FLOW_SHARES = Template("results/{study}/flow/{sae}/edges.parquet")
FLOW_CONTROLS = Template("results/{study}/flow/{sae}/controls.parquet")
FLOW_DOMAINS = Template("results/{study}/flow/{sae}/domains.parquet")
FLOW_EDGES = Template("results/{study}/flow/{sae}/edges.csv")
FLOW_STRATA = Template("results/{study}/flow/{sae}/strata.csv")
FLOW_CHAINS = Template("results/{study}/flow/{sae}/chains.parquet")
CASE = Template("results/{study}/cases/{case}.json")
INTERPRET = Template("results/{study}/interpret/{model}/{sae}/scores.parquet")
CATEGORIES = Template("results/{study}/interpret/{sae}/categories.parquet")
FIGURE = Template("results/{study}/figures/{figure}.{format}")
REPORT = Template("results/{study}/report/index.html")
DASHBOARDS = Template("results/{study}/report/features/{model}/{sae}/index.js")
EXPLORER = Template("results/{study}/report/explorer.html")

FORMATS = ("html", "svg", "png", "pdf", "json")
"""What a figure is drawn as; the JSON is plotly's own, which the report shows."""
