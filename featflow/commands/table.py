"""`featflow table`: the flow of a study's features, in the terminal."""

from pathlib import Path

from featflow.commands.terminal import CONFIG, ConfigPath, StudyName, chosen
from featflow.core import paths
from featflow.core.artifacts import load_table


def table(study: StudyName = None, /, config: ConfigPath = CONFIG) -> None:
    """Print the flow tables of a study, one an SAE: what persists, disappears and emerges.

    Args:
        study: the study's name.
        config: the file that describes the studies.
    """
    from featflow.analysis.edge_words import table as text

    workflow, name = chosen(study, config)
    for sae in workflow.studies[name].flow_saes:
        print(f"\n{name}, SAE {sae}\n")
        print(text(load_table(Path(paths.FLOW_EDGES.at(study=name, sae=sae)))))
