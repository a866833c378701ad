"""Estimates: work against independent counts, scaling from runs before, and the schedule."""

import subprocess
import sys

import pytest

from featflow.artifacts import io
from featflow.artifacts.provenance import Provenance
from featflow.commands import estimates, rates
from featflow.commands.estimates import COUNTED, OWN, STAGE, Estimate, Estimates
from featflow.commands.plan import disk_of, rows
from featflow.commands.planned import Job
from featflow.commands.schedule import finish
from featflow.commands.sizes import StudySizes
from featflow.commands.terminal import span
from featflow.config import Workflow
from featflow.plan import paths
from featflow.plan.stages import STAGES
from tests.commands.conftest import CONFIG
from tests.workflow.conftest import copy_checkout

SAE = paths.SAE.at(study="tiny", model="base", sae="main")
HEAD = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def workflow(tiny) -> Workflow:
    return Workflow(study="tiny", studies={"tiny": tiny.study})


def a_job(output: str, stage: str, name: str, **more) -> Job:
    benchmark = f"logs/tiny/{stage}/{name}.tsv"
    return Job(stage, {"x": name}, (), (output,), {}, benchmark, **more)


def benchmark(root, name: str, seconds: float, megabytes: float = 100) -> None:
    path = root / "logs/tiny" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{HEAD}{seconds}\t0:00:01\t{megabytes}\t0\t0\t0\t0\t0\t0\t0\n")


def test_a_forward_pass_is_counted_as_torch_counts_it(tiny):
    """FLOPs of the very model, by torch's own counter (which sees matrix products alone)."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import MistralConfig, MistralForCausalLM

    a = tiny.study.models["base"].architecture
    model = MistralForCausalLM(
        MistralConfig(
            vocab_size=512,
            hidden_size=a.hidden,
            intermediate_size=a.intermediate,
            num_hidden_layers=a.layers,
            num_attention_heads=a.heads,
            num_key_value_heads=a.kv_heads,
            head_dim=a.hidden // a.heads,
            attn_implementation="eager",
        )
    )
    ids = torch.zeros(2, a.context, dtype=torch.long)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(input_ids=ids, use_cache=False)
    counted = counter.get_total_flops() / ids.numel()
    assert StudySizes(tiny).forward("base") == pytest.approx(counted, rel=0.01)


def test_work_grows_with_what_it_should(tiny):
    sizes = StudySizes(tiny)
    sae = STAGES["sae"].slice(tiny, "base", "main")
    assert rates.work("sae", sae, sizes) == 10 * 32 * 128 * 100_000
    twice = sae.model_copy(update={"settings": sae.settings.model_copy(update={"tokens": 200_000})})
    assert rates.work("sae", twice, sizes) == 2 * rates.work("sae", sae, sizes)
    shard = STAGES["activations"].slice(tiny, "base", "blocks.0.mlp.hook_post", 0)
    read = 50_000 * 64 / 24  # blocks of 64 tokens hold a window of 24
    forward = read * sizes.forward("base", head=False)
    assert rates.work("activations", shard, sizes) == pytest.approx(forward)
    evaluated = rates.work("evaluate", STAGES["evaluate"].slice(tiny, "base"), sizes)
    assert evaluated <= 3 * 4_000 * sizes.forward("base")
    assert rates.work("flow", STAGES["flow"].slice(tiny, "main"), sizes) == 1


def test_tokens_that_are_there_are_counted(tiny, tmp_path):
    import numpy as np

    before = StudySizes(tiny).tokens("lua", "train")
    path = tmp_path / paths.TOKENS.at(study="tiny", corpus="lua", split="train")
    tensors = {"input_ids": np.zeros(1234, np.int32)}
    io.save_tensors(
        path, tensors, Provenance("tokens", STAGES["tokens"].slice(tiny, "lua", "train"))
    )
    assert StudySizes(tiny).tokens("lua", "train") == 1234 != before


def test_without_runs_the_work_alone_counts(workflow, tiny):
    found = Estimates(workflow).of(a_job(SAE, "sae", "base/main", threads=2))
    cfg = STAGES["sae"].slice(tiny, "base", "main")
    amount = rates.work("sae", cfg, StudySizes(tiny))
    assert found.source == COUNTED
    assert found.seconds == STAGES["sae"].cost.start + amount / (2 * STAGES["sae"].cost.rate)


def test_runs_of_the_stage_are_scaled_by_the_work(workflow, tiny, tmp_path):
    benchmark(tmp_path, "sae/base/reseed.tsv", STAGES["sae"].cost.start + 30, 700)
    found = Estimates(workflow).of(a_job(SAE, "sae", "base/main"))
    assert found.source == STAGE and found.seconds == pytest.approx(STAGES["sae"].cost.start + 30)
    assert found.memory == 700 * 2**20
    model = paths.MODEL.at(study="tiny", model="lua")
    assert Estimates(workflow).of(a_job(model, "finetune", "lua")).source == COUNTED


def test_a_job_s_own_run_counts_scaled_where_its_settings_have_changed(workflow, tiny, tmp_path):
    benchmark(tmp_path, "sae/base/main.tsv", STAGES["sae"].cost.start + 30)
    job = a_job(SAE, "sae", "base/main")
    assert Estimates(workflow).of(job)[::2] == (STAGES["sae"].cost.start + 30, OWN)
    cfg = STAGES["sae"].slice(tiny, "base", "main")
    fewer = cfg.model_copy(update={"settings": cfg.settings.model_copy(update={"tokens": 25_000})})
    io.save_json(tmp_path / SAE, {}, Provenance("sae", fewer))
    assert Estimates(workflow).of(job).seconds == pytest.approx(STAGES["sae"].cost.start + 120)
    on_gpu = Estimates(workflow, gpu="a100").of(job)
    assert on_gpu.source == COUNTED and on_gpu.seconds < 10


@pytest.mark.parametrize("content", ["", "s\tmax_rss\n", "s\tmax_rss\nNA\tNA\n", "what\n1\n"])
def test_a_benchmark_file_that_says_nothing(tmp_path, content):
    (tmp_path / "a.tsv").write_text(content)
    assert estimates.read(tmp_path / "a.tsv") is None and estimates.read(tmp_path / "b.tsv") is None


def test_repeated_runs_in_a_benchmark_file_are_averaged(tmp_path):
    (tmp_path / "a.tsv").write_text("s\tmax_rss\n2\t100\n4\t300\n")
    assert estimates.read(tmp_path / "a.tsv") == (3.0, 300 * 2**20)


def made(name: str, *inputs: str, **more) -> Job:
    return Job("sae", {"x": name}, inputs, (name,), {}, **more)


def test_the_schedule():
    """a (2 s) before b and c (3 s each), d (4 s) alone; two cores, one GPU."""
    jobs = [made("a"), made("b", "a", gpus=1), made("c", "a", gpus=1), made("d")]
    times = {"a": 2.0, "b": 3.0, "c": 3.0, "d": 4.0}
    of = {(name,): Estimate(seconds, 0.0, COUNTED) for name, seconds in times.items()}
    assert finish(jobs, of, None, None) == 5  # a, then b beside c; d beside both
    assert finish(jobs, of, 2, None) == 7  # a d | b d | b c | c
    assert finish(jobs, of, 1, None) == 12
    assert finish(jobs, of, None, 1) == 8  # a, b, c
    wide = [job._replace(threads=8) for job in jobs]
    assert finish(wide, of, 2, None) == 12  # no job waits for more cores than there are


def test_rows_add_up_and_share_the_disk():
    from featflow.commands import disk

    jobs = [made("a"), made("b", gpus=1), Job("train", {}, (), ("t",), {})]
    of = {
        ("a",): Estimate(10.0, 1e9, OWN),
        ("b",): Estimate(20.0, 2e9, STAGE),
        ("t",): Estimate(None, 3e9, COUNTED),
    }
    train, sae = rows(jobs, {("b",)}, of)
    assert (sae.jobs, sae.pending, sae.seconds, sae.on_gpus, sae.memory) == (2, 1, 30, 20, 2e9)
    assert sae.sources == (OWN, STAGE) and (train.unknown, train.seconds) == (1, 0)
    sizes = disk_of([train, sae], disk.Estimate({"models": 5, "sae": 7, "corpus": 9}, []))
    assert sizes == {"train": 5, "sae": 7}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(3.2, "3 s"), (99, "99 s"), (150, "2 min"), (7200, "2.0 h"), (86400 * 3, "3.0 days")],
)
def test_times_in_words(seconds, words):
    assert span(seconds) == words


@pytest.mark.workflow
def test_the_plan_of_the_demo_and_of_the_paper(tmp_path_factory):
    folder = copy_checkout(tmp_path_factory.mktemp("clone"), CONFIG)
    command = [sys.executable, "-m", "featflow", "plan"]

    def run(*arguments: str) -> str:
        done = subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    demo = run("demo", "--cores", "2")
    assert " jobs  to run " in demo and "its work alone" in demo
    assert "its last run" not in demo and "?" not in demo
    listed = run("demo", "--jobs")
    assert sum(line.startswith("  sae ") for line in listed.splitlines()) == 8
    assert "the text of roneneldan/TinyStories" in run("paper", "--gpu", "a100")
    wrong = subprocess.run([*command, "--gpu", "a10"], cwd=folder, capture_output=True, text=True)
    assert wrong.returncode == 1 and "did you mean 'a100'" in wrong.stderr
    assert not (folder / "results").exists()
