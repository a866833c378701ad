"""What a target that no rule makes may have been meant to be.

Snakemake says only `No rule to produce X`. A name in a place where a rule's pattern takes any is
checked by the rules (`Slices.check`); this is for what is misspelt before any pattern matches.
"""

import difflib
import logging
import re
from collections.abc import Iterable, Iterator, Mapping

from featflow.config.errors import did_you_mean
from featflow.config.models import Base, Finetune, Merge
from featflow.plan import paths
from featflow.plan.paths import Template
from featflow.plan.programs import featflow
from featflow.plan.slicer import Slices
from featflow.plan.stages import STAGES

LISTED = "lists the targets"
"""How the last hint ends; where it stands already, a message has been seen."""


class MissingRule(logging.Filter):
    """Puts the closest target behind Snakemake's message, as a filter of its logger."""

    def __init__(self, studies: Mapping[str, Slices]):
        """Args: studies: the slices of each study of the config."""
        super().__init__()
        self.studies = studies

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, with a hint added to the one that says that a rule is missing."""
        message = str(record.msg)
        if getattr(record, "exception", None) == "MissingRuleException" and LISTED not in message:
            target = re.search(r"No rule to produce (\S+)", message)
            name = target[1] if target else ""
            close = difflib.get_close_matches(name, STAGES, n=1) if "/" not in name else []
            if close:  # a word behind --forcerun or --until
                words = f"did you mean {close[0]!r}? {listed()}"
            else:
                words = hint(name, self.studies) if name else listed()
            record.msg = f"{message}\n{words}"
        return True


def hint(target: str, studies: Mapping[str, Slices]) -> str:
    """The closest name or target that there is, and how to list them all."""
    parts = target.split("/")
    if parts[0] == "results" and len(parts) > 2 and parts[1] not in studies:
        return f"there is no study {parts[1]!r}; {did_you_mean(parts[1], studies)} {listed()}"
    known = [path for slices in studies.values() for path in targets(slices)]
    close = difflib.get_close_matches(target, known, n=1)
    return f"did you mean {close[0]}? {listed()}" if close else listed()


def listed() -> str:
    """How to see every target."""
    return f"`{featflow('menu')}` {LISTED}"


def targets(slices: Slices) -> Iterator[str]:
    """Every file of a study that some rule makes."""
    study, lineage = slices.study, slices.lineage
    hooks = {(m, study.saes[s].hook) for m, s in lineage.dictionaries()}
    shards = -(-study.activations.tokens // study.activations.shard_tokens)

    def of(templates: Iterable[Template], names: Iterable[Mapping[str, object]]) -> Iterator[str]:
        for name in names:
            yield from (template.at(study=slices.name, **name) for template in templates)

    def models(*kinds: type) -> list[dict[str, str]]:
        return [{"model": n} for n, m in study.models.items() if isinstance(m, kinds)]

    corpora = [{"corpus": c, "split": split} for c in study.corpora for split in paths.SPLITS]
    dictionaries = [{"model": m, "sae": s} for m, s in lineage.dictionaries()]
    saes = (paths.SAE, paths.SAE_WEIGHTS, paths.SAE_TRAINING, paths.SAE_METRICS, paths.SUMMARY)
    flow = (paths.FLOW_FEATURES, paths.FLOW_COUNTS, paths.FLOW_CHAINS)
    beside = (
        *(paths.FLOW_CONTROLS, paths.FLOW_DOMAINS),
        *(paths.FLOW_EDGES, paths.FLOW_SHARES, paths.FLOW_STRATA),
    )
    shares, transfers = (
        [{"sae": s, **pair.model_dump()} for s in study.flow_saes for pair in of_sae(s)]
        for of_sae in (slices.compared, slices.transferred)
    )
    sae, interpreted = slices.interpreted()
    explored = [{"sae": s, "model": m} for s, models in slices.explored().items() for m in models]
    probe = [{**d, "corpus": c} for d in dictionaries for c in study.probe_corpora]
    dumps = [{"model": m, "hook": h, "shard": i} for m, h in sorted(hooks) for i in range(shards)]
    figures = [{"figure": f, "format": x} for f in study.drawn for x in paths.FORMATS]
    yield from of((paths.TOKENIZER, paths.REPORT), [{}])
    yield from of((paths.CORPUS, paths.TOKENS), corpora)
    yield from of((paths.MODEL, paths.WEIGHTS, paths.EVALUATE), models(object))
    yield from of((paths.TRAINING,), models(Base, Finetune))
    yield from of((paths.MERGE,), models(Merge))
    yield from of((paths.SWEEP,), [{"model": m} for m in study.swept])
    yield from of((paths.ACTIVATIONS,), dumps)
    yield from of(saes, dictionaries)
    yield from of((paths.FEATURES,), probe)
    yield from of((paths.MATRIX, paths.MATCHES), [{"a": p.a, "b": p.b} for p in lineage.pairs()])
    yield from of(flow, [{"sae": s} for s in study.flow_saes])
    yield from of(beside, [{"sae": s} for s in study.flow_saes if lineage.flow_edges(s)])
    yield from of((paths.SHARES, paths.BOOTSTRAP), shares)
    yield from of((paths.FROZEN, paths.SCALING), transfers)
    yield from of((paths.CASE,), [{"case": case} for case in study.cases])
    yield from of((paths.INTERPRET,), [{"sae": sae, "model": m} for m in interpreted])
    yield from of((paths.CATEGORIES,), [{"sae": sae}] if interpreted else [])
    yield from of((paths.DASHBOARDS,), explored)
    yield from of((paths.EXPLORER,), [{}] if explored else [])
    yield from of((paths.FIGURE,), figures)
