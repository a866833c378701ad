import re
import shutil
from pathlib import Path

import pytest
import yaml

from featflow.cli import main
from featflow.config.errors import FeatflowError
from featflow.plan import paths

from ..analysis.planted_case import CORPORA, NEIGHBOURS, Planted

SPARSITY = {"l0": 20, "l1": None}
RESEED = {"kind": "relu", "sparsity": SPARSITY, "control_of": "main", "models": ["base"]}
STUDY = {
    "corpora": {
        "code": {"kind": "generated", "language": "python", "documents": 10},
        "prose": {"kind": "generated", "language": "english", "documents": 10},
    },
    "tokenizer": {"kind": "bpe", "corpora": ["code"]},
    "models": {
        "split": {"kind": "finetune", "parent": "base", "corpora": ["code"]},
        "kept": {"kind": "finetune", "parent": "base", "corpora": ["code"]},
        "base": {"kind": "base", "corpora": ["code", "prose"]},
        "lost": {"kind": "finetune", "parent": "base", "corpora": ["prose"]},
        "merged": {"kind": "merge", "parents": ["lost", "kept"], "method": {"kind": "slerp"}},
    },
    "saes": {
        "main": {"kind": "relu", "sparsity": SPARSITY},
        "reseed": {**RESEED, "seed": 1},
        "reseed2": {**RESEED, "seed": 2},
    },
    "flow": {"threshold": 0.8, "min_firings": 5, "min_documents": 3},
}


@pytest.fixture(scope="module")
def built(tmp_path_factory, tokenizer_file) -> Planted:
    """The planted lineage as the results of a study, its config beside it."""
    root = tmp_path_factory.mktemp("find")
    planted = Planted(tmp_path_factory.mktemp("planted"), tokenizer_file)
    content = {"study": "planted", "studies": {"planted": STUDY}}
    (root / "workflow_config.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    at = {"study": "planted", "sae": "main"}
    files = {
        paths.TOKENIZER.at(**at): tokenizer_file,
        paths.FLOW_FEATURES.at(**at): planted.folder / "features.parquet",
        paths.SHARES.at(**at, parent="base", child="base"): planted.folder / "best.parquet",
    }
    for child in NEIGHBOURS:
        name = paths.SHARES.at(**at, parent="base", child=child)
        files[name] = planted.folder / f"base-{child}.parquet"
    for corpus in CORPORA:
        for reseed in planted.reseeds:
            dump = paths.FEATURES.at(study="planted", model="base", sae=reseed, corpus=corpus)
            files[dump] = planted.folder / f"{reseed}.{corpus}"
        tokens = paths.TOKENS.at(**at, corpus=corpus, split="validation")
        files[tokens] = planted.folder / f"{corpus}.tokens"
        for model in planted.models:
            dump = paths.FEATURES.at(**at, model=model, corpus=corpus)
            files[dump] = planted.folder / f"{model}.{corpus}"
    for name, file in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, root / name)
    planted.folder = root
    return planted


@pytest.fixture
def find(built, monkeypatch, capsys):
    monkeypatch.chdir(built.folder)

    def run(*flags: str) -> str:
        main(["find", *flags])
        return capsys.readouterr().out

    return run


@pytest.fixture
def refused(built, monkeypatch, capsys):
    monkeypatch.chdir(built.folder)

    def run(*flags: str) -> str:
        with pytest.raises(SystemExit) as error:
            main(["find", *flags])
        assert error.value.code == 1
        return capsys.readouterr().err

    return run


def rows(printed: str) -> dict[str, list[str]]:
    """Lines of the tables by their first cell."""
    cells = [re.split(r"\s{2,}", line.strip()) for line in printed.splitlines()]
    return {line[0]: line for line in cells if len(line) > 5}


def test_it_says_what_the_stage_says(find, built):
    printed = find("--study", "planted", "--tokens", "=")
    found = rows(printed)
    marked = int(built.marks.sum())
    assert printed.startswith(f"'=': {marked:,} of {len(built.marks):,} tokens of the probe")
    first = built.activations["base"][:, 0] > 0
    precision, recall = (first & built.marks).sum() / first.sum(), first[built.marks].mean()
    mass = built.activations["base"][built.marks, 0].sum(dtype=float)
    mass /= built.activations["base"][:, 0].sum(dtype=float)
    assert found["0"][1:5] == [
        f"{2 * precision * recall / (precision + recall):.3f}",
        f"{precision:.3f}",
        f"{recall:.3f}",
        f"{mass:.3f}",
    ]
    assert found["0"][-1] == "0.80" and "2" in found and found["1"][-1] == "0.40"
    assert (
        "better, but not followed:" in printed and "no reseed finds it at r > 0.8 (0.30" in printed
    )
    assert "of 2: living, and found by a reseed at r > 0.8" in printed
    assert "reseed r: the mean over 2 reseeds; to be found by one of them is enough" in printed
    assert list(found)[-7:] == ["base", "kept", "lost", "split", "merged", "reseed", "reseed2"]
    assert found["reseed2"][1:3] == ["0", "0.70"] and found["reseed"][1:3] == ["1", "0.90"]
    assert any(cell.startswith("persists 1.00") for cell in found["reseed2"])  # in split
    assert "The function: the tokens are marked as well in kept" in printed
    assert found["lost"][5] == "vanishes" and found["merged"][1:3] == ["0", "kept"]
    assert found["base"][-1].startswith("1 (F1 ")  # better, and no reseed's
    assert "base/0: persists in kept and merged; vanishes in lost (nearest miss" in printed


def test_a_text_and_a_feature(find):
    assert find("--text", "cat sat").startswith("'cat sat': ")
    printed = find("--feature", "kept/1", "--top", "2")
    assert "of 1: asked for by its number" in printed and rows(printed)["kept"][5] == "origin"
    assert rows(printed)["base"][5] == "present"


def test_top_limits_the_list(find):
    assert "2" not in rows(find("--tokens", "=", "--top", "1"))


def test_another_model_has_no_reseeds(find):
    printed = find("--tokens", "=", "--model", "lost")
    assert "living; the model has no reseed" in printed
    assert "Features of lost, SAE main" in printed


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "give one of --tokens, --text, --feature"),
        (("--tokens", "=", "--text", "a"), "give one of --tokens, --text, --feature"),
        (("--feature", "base"), "--feature: 'base' is not a model and a number, such as lua/12"),
        (("--feature", "base/1", "--model", "kept"), "leave --model out"),
        (("--feature", "bse/1"), "--feature: .* no features of SAE 'main' in 'bse'; did you mean"),
        (("--tokens", "=", "--model", "kep"), "--model: .* did you mean 'kept'"),
        (
            ("--tokens", "=", "--sae", "reseed"),
            "--sae: .* no features of 'reseed'; there are: main",
        ),
        (("--tokens", "=", "--top", "0"), "--top: 0 features"),
        (("--tokens", "caat"), "find: 'caat' is no token of the vocabulary; .* 'cat'"),
        (("--feature", "base/5"), "find.feature: base/5 of SAE main never fires"),
        (("--study", "plantd", "--tokens", "="), "no study named 'plantd'; did you mean 'planted'"),
    ],
)
def test_what_cannot_be_asked(refused, flags, message):
    assert re.search(f"^featflow: .*{message}", refused(*flags))


def test_what_is_missing_is_named_with_its_targets(refused, built):
    hidden = [
        Path(paths.FEATURES.at(study="planted", model="kept", sae="main", corpus="prose")),
        Path(paths.SHARES.at(study="planted", sae="main", parent="base", child="base")),
    ]
    for path in hidden:
        (built.folder / path).rename(built.folder / f"{path}.away")
    try:
        message = refused("--tokens", "=")
    finally:
        for path in hidden:
            (built.folder / f"{path}.away").rename(built.folder / path)
    assert "study planted is not built that far" in message
    summary = paths.SUMMARY.at(study="planted", model="kept", sae="main")
    assert message.strip().endswith(f"snakemake --profile local {summary} {hidden[1]}")


def test_a_study_without_saes():
    from featflow.commands.find import _slice
    from featflow.config.cases import Case
    from featflow.config.study import Study

    study = Study.model_validate({**STUDY, "saes": {}})
    with pytest.raises(FeatflowError, match="study planted has no SAE"):
        _slice("planted", study, Case(tokens=["="]))


def test_models_keep_their_order_in_the_json_of_a_slice():
    """The rule lists dumps in the slice's order, and the stage reads the slice as JSON."""
    from featflow.commands.find import _slice
    from featflow.config.cases import Case
    from featflow.config.study import Study
    from featflow.plan.stages.analysis import CaseSlice

    cfg = _slice("planted", Study.model_validate(STUDY), Case(tokens=["="]))
    assert list(CaseSlice.model_validate_json(cfg.dumps()).models) == list(cfg.models)
    assert cfg.model == "base" and cfg.reseeds == ["reseed", "reseed2"]
