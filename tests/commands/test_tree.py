"""The lineage as text, each line as a person reads it."""

from featflow.commands.tree import corpora, network, pairs, tree
from featflow.config import Study

DEMO = """\
  babypython        base on babylm, python                               SAEs main, reseed, reseed2
  ├─ lua            fine-tune on lua                                     SAE main
  │  └─ luastories  merge of lua and tinystories (slerp, t equilibrium)  SAE main
  └─ tinystories    fine-tune on tinystories                             SAE main
     └─ luastories  ↑ shown above; this is its parent too
  random            control: random weights, like babypython             SAE main
  unrelated         control: babypython retrained from another seed      no SAE
  unrelatedlua      control: lua unrelated                               SAE main"""


def test_the_demo(demo):
    assert "\n".join(tree(demo)) == DEMO


def test_two_roots_a_merge_of_merges_and_a_model_without_an_sae():
    small = {"hidden": 32, "heads": 4, "kv_heads": 2}
    base = {"kind": "base", "corpora": ["en"], "architecture": small}
    merge = {"kind": "merge", "parents": ["one", "two"], "method": {"kind": "linear"}}
    again = {"parents": ["both", "two"], "method": {"kind": "slerp", "t": 0.3}}
    study = Study.model_validate(
        {
            "corpora": {"en": {"kind": "generated", "language": "english"}},
            "tokenizer": {"kind": "bpe", "corpora": ["en"]},
            "models": {
                "one": base,
                "two": {**base, "seed": 1},
                "both": merge,
                "again": merge | again,
            },
            "saes": {"main": {"kind": "relu", "models": ["one", "both"]}},
        }
    )  # fmt: skip
    assert tree(study) == [
        "  one          base on en                             SAE main",
        "  └─ both      merge of one and two (linear)          SAE main",
        "     └─ again  merge of both and two (slerp, t 0.3)   no SAE",
        "  two          base on en                             no SAE",
        "  ├─ both      ↑ shown above; this is its parent too",
        "  └─ again     ↑ shown above; this is its parent too",
    ]


def test_corpora_and_the_tokenizer(demo, shipped):
    assert corpora(demo)[0].split(maxsplit=2) == [
        "babylm",
        "generated",
        "english  at most 2,600 documents; 12% held out, 2% for t",
    ]
    assert corpora(demo)[-1].startswith("  tokenizer  bpe of 2,048 entries, trained on babylm,")
    paper = corpora(shipped.studies["paper"])
    assert "nilq/babylm-100M (train)" in paper[0] and "at most 167,800,000 tokens" in paper[0]
    assert "/usr/share/nvim/**/*.lua and 2 more" in corpora(shipped.studies["desk"])[2]


def test_pairs(demo):
    lines = pairs(demo)
    assert [line.split()[0] for line in lines] == [
        *["edge"] * 4,
        "span",
        "control",
        "control",
        "random",
        "unrelated",
        "random",
        "random",
    ]
    assert lines[0] == "  edge       babypython.main – lua.main"
    assert pairs(demo.model_copy(update={"saes": {}})) == ["  none: no SAE on both ends of an edge"]


def test_what_comes_from_the_hub(demo, shipped, tmp_path):
    assert network("demo", demo) == []
    lines = network("paper", shipped.studies["paper"])
    assert lines[0].startswith("  from the hub: nilq/babylm-100M, nilq/small-python-stack,")
    assert lines[1].endswith("snakemake --profile local fetch --config study=paper")
    here = demo.tokenizer.model_construct(kind="pretrained", name=str(tmp_path))
    assert network("demo", demo.model_copy(update={"tokenizer": here})) == []
