"""After an edit Snakemake plans the jobs that read what changed and those that follow, no others.

Nothing is ever run: all files of the studies in rebuilds.yaml are made by `snakemake --touch`; it
notes for each what a job would have noted (test_tiny.py compares that with a real run).
"""

from pathlib import Path

import pytest
import yaml

from featflow.config import load
from featflow.plan import paths
from featflow.plan.stages import FAMILIES, STAGES
from tests.workflow.edits import CONFIG, keys
from tests.workflow.rebuilds import PARTS
from tests.workflow.trials import Planner, Trial, of, text

pytestmark = pytest.mark.workflow

YAML = "workflow_config.yaml"
REPORT = paths.REPORT.at(study="whole")


@pytest.fixture(scope="module")
def planner(tmp_path_factory):
    planner = Planner(tmp_path_factory.mktemp("rebuilds"))
    yield planner
    planner.close()


def replaced(old: str, new: str):
    """One thing in a file replaced by another."""
    return text(lambda before: before.replace(old, new, 1))


def added(new: str):
    """Something written at the end of a file."""
    return text(lambda before: before + new)


def test_all_is_made(planner):
    for checkout in planner.checkouts:
        for study, graph in planner.graphs.items():
            assert len(graph) > 20 and checkout.plan(*of(study)) == {}


def test_a_job_too_many_or_too_few_is_seen(planner):
    (edit,) = keys("flow", "features * wide", "", threshold=0.7)
    (said,) = planner.wrong([planner.trial(edit)]).values()
    many, few = said.split("; too few: ")
    assert many.startswith("too many: case ") and "figure flow html, figure flow json" in many
    assert few.startswith("correlation found.wide more.wide, features found wide")


@pytest.mark.parametrize("part", PARTS)
def test_an_edit_reruns_what_reads_it_and_what_follows(planner, part):
    wrong = planner.wrong(map(planner.trial, PARTS[part]))
    assert wrong == {}, wrong


def respelt() -> dict[str, str]:
    """Other texts of the same config."""
    written = CONFIG.read_text(encoding="utf-8")
    config = yaml.safe_load(written)
    studies = load(config).studies
    full = {name: study.model_dump(mode="json") for name, study in studies.items()}
    return {
        "comments and white space": "# more\n" + written.replace("\n", "  # why\n\n"),
        "another style": yaml.safe_dump(config, sort_keys=False),
        "every default written out": yaml.safe_dump({**config, "studies": full}, sort_keys=False),
        "extends instead of a copy": written.replace(
            "other: {kind: finetune, parent: base,", "other: {extends: tuned,"
        ),
        "extends another study": written.replace("  whole:", "  ground:", 1)
        + "  whole: {extends: ground}\n",
        "another default study": written.replace("study: whole", "study: small", 1),
        "one more study": written + "  third: {extends: whole, seed: 1}\n",
    }


def test_the_same_config_in_other_words_reruns_nothing(planner):
    trials = [Trial(said, {YAML: text(lambda _, t=t: t)}, ()) for said, t in respelt().items()]
    trials += [trial._replace(said=f"{trial.said}, asked for by a target", arguments=(REPORT,))
               for trial in trials]  # fmt: skip
    assert planner.wrong(trials) == {}


def test_a_study_of_another_name_is_another(planner):
    renamed = replaced("  whole:", "  renamed:")
    everything = Trial("renamed", {YAML: renamed}, ("*",), arguments=of("renamed"))
    beside = added("  third: {extends: whole}\n")
    target = paths.TOKENIZER.at(study="third")
    jobs = ("corpus english", "corpus notes", "tokenizer")
    assert (
        planner.wrong([everything, Trial("one target", {YAML: beside}, jobs, arguments=(target,))])
        == {}
    )


ENVIRONMENT = [
    Trial("cores", {}, (), arguments=("--cores", "1")),
    Trial("threads", {}, (), arguments=("--set-threads", "train=1", "sae=3", "tokens=2")),
    Trial("resources", {}, (), arguments=("--set-resources", "sae:mem_mb=1", "train:runtime=9")),
    Trial("defaults", {}, (), arguments=("--default-resources", "mem_mb=1", "runtime=9")),
    Trial("device", {}, (), environment={"FEATFLOW_DEVICE": "cuda"}),
    Trial("log level", {}, (), environment={"FEATFLOW_LOG_LEVEL": "DEBUG"}),
    Trial("checkpoints", {}, (), environment={"FEATFLOW_CHECKPOINTS": "/tmp/elsewhere"}),
    Trial("no browser", {}, (), environment={"BROWSER_PATH": "/nowhere"}),
    Trial("the profile", {"profiles/local/config.yaml": added("jobs: 3\nretries: 2\n")}, ()),
    Trial("the lock", {"envs/featflow.yaml": replaced("torch==", "torch==9")}, ()),
]


def test_the_environment_reruns_nothing(planner):
    assert planner.wrong(ENVIRONMENT) == {}


def test_the_cluster_reruns_nothing(planner):
    for checkout in planner.checkouts:
        assert checkout.plan("--profile", "slurm", *of("whole")) == {}


def modules(*folders: str) -> list[str]:
    """The files of featflow's code below some of its folders, or in all."""
    root = CONFIG.parents[2]
    found = [path for name in folders or [""] for path in (root / "featflow" / name).rglob("*.py")]
    return [path.relative_to(root).as_posix() for path in found]


def test_words_about_the_code_rerun_nothing(planner):
    said = text(lambda code: code.replace('"""', '"""Other words. ', 1) + "\n# a comment\n")
    rules = [f"rules/{path.name}" for path in (CONFIG.parents[2] / "rules").glob("*.smk")]
    trials = [
        Trial("comments and docstrings", dict.fromkeys(modules(), said), ()),
        Trial("comments in the rules", dict.fromkeys(["Snakefile", *rules], added("# why\n")), ()),
        Trial("times", dict.fromkeys([*modules(), *rules], Path.touch), ()),
    ]
    assert planner.wrong(trials) == {}


NEW = added("\nNEW = 1\n")
CONFIG_CODE = [*modules("config"), *(f"featflow/plan/{n}.py" for n in ("paths", "slices"))]
COMMANDS = ["featflow/cli.py", *modules("commands")]
TRAINED = [
    *modules("data", "models", "features"),
    *(f"featflow/saes/{name}.py" for name in ("activations", "training", "sae", "metrics")),
]
CSS, MODELS = "featflow/report/page/report.css", "rules/models.smk"
ANALYSED = (
    "flow *",
    "controls *",
    "edges *",
    "case *",
    "categories *",
    "dashboards *",
    "explorer",
)
CODE = [
    Trial("the config and paths", dict.fromkeys(CONFIG_CODE, NEW), ()),
    Trial("the commands", dict.fromkeys(COMMANDS, NEW), ()),
    # the analysis imports how features are read, compared and binned
    Trial("stages with a revision", dict.fromkeys(TRAINED, NEW), (*ANALYSED, "report")),
    Trial("the flow", {"featflow/analysis/flow.py": NEW}, ("flow *",)),
    Trial("what the flow imports", {"featflow/analysis/fates.py": NEW},
          ("flow *", "report")),
    Trial("a figure", {"featflow/figures/sweep.py": NEW}, ("figure sweep *", "report")),
    Trial("the figures' style", {"featflow/figures/style.py": NEW}, ("figure *", "report")),
    Trial("the report", {"featflow/report/summary.py": NEW}, ("report",)),
    Trial("the report's page", {CSS: added("a { color: red }\n")}, ("report",)),
    Trial("what writes files", {"featflow/files.py": NEW},
          (*ANALYSED, "figure *", "report")),
    Trial("a rule's command", {MODELS: replaced("featflow evaluate", "featflow  evaluate")},
          ("evaluate *",)),
    Trial("a rule's resources", {MODELS: replaced("runtime=720", "runtime=9")}, ()),
    Trial("a rule's threads", {MODELS: replaced("threads: share_of_cores(2)", "threads: 3")}, ()),
]  # fmt: skip


def test_code_reruns_the_stages_that_follow_it(planner):
    assert planner.wrong(CODE) == {}


def test_a_raised_revision_reruns_its_stage_and_what_follows(planner):
    def raised(stage: str) -> Trial:
        module, revision = STAGES[stage].module, STAGES[stage].revision
        said = f'"{module}",\n        revision={revision},'
        new = replaced(said, said.replace(str(revision), str(revision + 1)))
        family = next(f for f in FAMILIES if STAGES[stage] in f.STAGES).__name__.split(".")[-1]
        reruns = (stage,) if stage == "tokenizer" else (f"{stage} *",)
        return Trial(stage, {f"featflow/plan/stages/{family}.py": new}, reruns)

    trials = [raised(stage) for stage, found in STAGES.items() if found.revision is not None]
    assert len(trials) > 12 and planner.wrong(trials) == {}


EVALUATED = paths.EVALUATE.at(study="whole", model="base")
SHARD = paths.ACTIVATIONS.at(study="whole", model="base", hook="blocks.0.mlp.hook_post", shard=0)
FILES = [
    Trial("a file of a corpus, touched", {"notes/a.jsonl": Path.touch}, ("corpus notes",)),
    Trial("one more file of a corpus", {"notes/b.jsonl": added("new")}, ("corpus notes",)),
    Trial("an artifact, touched", {EVALUATED: Path.touch}, ()),
    Trial("an artifact, edited", {EVALUATED: added("x")}, ("figure lineage *", "figure sweep *")),
    Trial("a result, deleted", {EVALUATED: Path.unlink}, ("evaluate base",)),
    Trial("what only others need, deleted", {SHARD: Path.unlink}, ()),
]


def test_files_that_are_touched_edited_or_deleted(planner):
    assert planner.wrong(FILES) == {}


def test_what_was_deleted_is_made_where_it_is_needed(planner):
    (edit,) = keys("saes.reseed", "sae base reseed", "", seed=4)
    trial = planner.trial(edit)
    files = {**trial.files, SHARD: Path.unlink}
    both = trial._replace(files=files, reruns=("activations base * 0",))
    assert planner.wrong([both]) == {}
