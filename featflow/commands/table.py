"""`featflow table`: the flow of a study's features, in the terminal."""

from pathlib import Path

from featflow.artifacts.io import load_table
from featflow.commands.terminal import CONFIG, ConfigPath, StudyName, chosen
from featflow.config import FeatflowError
from featflow.plan import paths
from featflow.plan.lineage import Lineage


def table(study: StudyName = None, /, config: ConfigPath = CONFIG) -> None:
    """Print the flow tables of a study, one an SAE: what persists, disappears and emerges.

    Args:
        study: the study's name.
        config: the file that describes the studies.
    """
    from featflow.analysis.terminal import table as text

    workflow, name = chosen(study, config)
    lineage = Lineage(workflow.studies[name])
    saes = [sae for sae in lineage.study.flow_saes if lineage.flow_edges(sae)]
    if not saes:
        raise FeatflowError(
            f"study {name} has no flow: no SAE is on a model and on one that is made from it "
            "(models of kind finetune or merge; saes.<name>.models)"
        )
    for sae in saes:
        print(f"\n{name}, SAE {sae}\n")
        print(text(load_table(Path(paths.FLOW_EDGES.at(study=name, sae=sae)))))
