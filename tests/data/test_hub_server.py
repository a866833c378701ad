"""The hub's own client, pointed at the server of these tests, finds all that it asks for."""

import pytest
from huggingface_hub import HfApi, HfFileSystem
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.data.hub_server import INVALID, serving

CONTENT = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    root = tmp_path_factory.mktemp("hub")
    for name in ("datasets/owner/open", "datasets/owner/closed", "models/owner/model"):
        (root / name / "data").mkdir(parents=True)
        (root / name / "README.md").write_text("Words.")
        (root / name / "data/part.bin").write_bytes(CONTENT)
    with serving(root, gated={"owner/closed": "hf_right"}) as server:
        yield server


def test_info_tree_and_paths(server):
    api = HfApi(endpoint=server.endpoint, token=False)
    info = api.dataset_info("owner/open")
    assert info.sha and info.siblings and not info.gated
    assert [s.rfilename for s in info.siblings] == ["README.md", "data/part.bin"]
    assert api.dataset_info("owner/open", revision=info.sha).sha == info.sha
    tree = api.list_repo_tree("owner/open", repo_type="dataset")
    assert sorted(entry.path for entry in tree) == ["README.md", "data"]
    every = api.list_repo_tree("owner/open", repo_type="dataset", recursive=True)
    assert sorted(entry.path for entry in every) == ["README.md", "data", "data/part.bin"]
    found = api.get_paths_info("owner/open", ["data/part.bin", "none"], repo_type="dataset")
    assert [(f.path, f.size) for f in found] == [("data/part.bin", len(CONTENT))]
    assert [b.name for b in api.list_repo_refs("owner/open", repo_type="dataset").branches] == [
        "main"
    ]


def test_files_come_whole_and_in_parts(server, tmp_path):
    api = HfApi(endpoint=server.endpoint, token=False)
    path = api.hf_hub_download("owner/model", "data/part.bin", cache_dir=tmp_path)
    with open(path, "rb") as file:
        assert file.read() == CONTENT
    files = HfFileSystem(endpoint=server.endpoint, token=False, skip_instance_cache=True)
    with files.open("datasets/owner/open/data/part.bin", "rb", block_size=100) as file:
        file.seek(1000)
        assert file.read(50) == CONTENT[1000:1050]


def test_a_second_download_asks_but_takes_nothing(server, tmp_path):
    api = HfApi(endpoint=server.endpoint, token=False)
    for _ in range(2):
        server.requests.clear()
        api.hf_hub_download("owner/model", "README.md", cache_dir=tmp_path)
    assert [request.method for request in server.requests] == ["HEAD"]


def test_refusals_are_the_hubs(server, tmp_path):
    def get(name="owner/open", file="README.md", token=False, **options):
        HfApi(endpoint=server.endpoint, token=token).hf_hub_download(
            name, file, repo_type="dataset", cache_dir=tmp_path, **options
        )

    with pytest.raises(RepositoryNotFoundError) as error:
        get("owner/none")
    assert not isinstance(error.value, GatedRepoError)
    with pytest.raises(RevisionNotFoundError):
        get(revision="v9")
    with pytest.raises(RemoteEntryNotFoundError):
        get(file="none")
    with pytest.raises(GatedRepoError):
        get("owner/closed")
    with pytest.raises(GatedRepoError):
        get("owner/closed", token="hf_wrong")
    with pytest.raises(HfHubHTTPError) as error:
        HfApi(endpoint=server.endpoint, token=INVALID).dataset_info("owner/open")
    assert not isinstance(error.value, RepositoryNotFoundError)
    get("owner/closed", token="hf_right")
    HfApi(endpoint=server.endpoint, token="hf_right").auth_check(
        "owner/closed", repo_type="dataset"
    )
