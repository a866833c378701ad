"""A small explorer with known features, and a browser that walks through it."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np

from featflow.report.explorer import write_page
from featflow.report.scripts import PER_SHARD, write_dictionary

from . import big_explorer as big
from .browser import Tab, in_tabs

FEATURES = 150
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "</script><svg onload=alert(3)>",
    "\u202egnp.exe",
    "nul\x00 tab\t line\n\x1b[31m\u2028\u200b\ufeff",
    "A" * 100_000,
    "javascript:alert(4)",
    "",
]
"""The first tokens of the vocabulary."""
EVIL = "<b onmouseover=alert(5)>explained</b> \u202e\x00"


def _one_scope(fates: dict[str, list[int]]) -> None:
    """A feature that is silent or rare on one of its model's edges is so on all: one home."""
    left_out = [big.FATES.index(name) for name in ("rare", "silent")]
    first, *others = fates.values()
    for other in others:
        for i, code in enumerate(first):
            if code in left_out or other[i] in left_out:
                other[i] = code if code in left_out else left_out[0]
                first[i] = other[i]
    for other in others:
        for i, code in enumerate(first):
            if code in left_out:
                other[i] = code


class Site:
    """An explorer in a folder, and what is in it."""

    def __init__(self, folder: Path, features: int = FEATURES, shards: int | None = None):
        """Args: shards: how many of each model are written (None: all)."""
        rng = np.random.default_rng(7)
        self.folder, self.page = folder, folder / "explorer.html"
        self.vocabulary = [*HOSTILE, *big.words(rng, big.VOCABULARY - len(HOSTILE))]
        self.index: dict[str, dict[str, Any]] = {}
        self.features: dict[str, list[dict[str, Any]]] = {}
        for model in big.PARENTS:
            made = self.index[model] = big.index(model, features, self.vocabulary, rng)
            parts = []
            for part in big.shards(model, features, rng):
                parts.append(part)
                if shards is not None and len(parts) == shards:
                    break
            self.features[model] = [feature for part in parts for feature in part]
            self._poison(made, self.features[model][1])
            _one_scope(made["columns"]["fates"])
            if model == "luastories":
                self._chain(made, self.features[model][2])
            write_dictionary(self.dictionary(model), f"{model}/{big.SAE}", made, parts)
        self.content = self._content(features)
        write_page(self.page, self.content, self.vocabulary, big.PROVENANCE)

    def dictionary(self, model: str) -> Path:
        return self.folder / "features" / model / big.SAE

    def url(self, address: str = "#/") -> str:
        return self.page.as_uri() + address

    def column(self, model: str, name: str) -> list[Any]:
        return self.index[model]["columns"][name]

    def fates(self, model: str, edge: str, role: str) -> list[str]:
        codes = self.column(model, "fates")[f"{edge}:{role}"]
        return [big.FATES[code] for code in codes]

    def _content(self, features: int) -> dict[str, Any]:
        """The page's content, with counts that are those of the fates."""
        content = big.page(features)
        for row in content["counts"][big.SAE]:
            parent, child = row["edge"].split("-")
            for model, role in ((parent, "parent"), (child, "child")):
                found = self.fates(model, row["edge"], role)
                ends = ("persisting", "disappearing" if role == "parent" else "emerging")
                row[f"{role}_features"] = sum(found.count(end) for end in ends)
                if role == "parent":
                    row["persisting"], row["disappearing"] = map(found.count, ends)
                else:
                    row["traced"], row["emerging"] = map(found.count, ends)
            down = [self.fates(parent, "-".join(e), "parent") for e in big.EDGES if e[0] == parent]
            row["persisting_anywhere"] = sum(
                "persisting" in each for each in zip(*down, strict=True)
            )
            row["traced_here"] = row["traced"] // 2
            row["share"] = row["persisting"] / row["parent_features"]
            row["ceiling"], row["floor"] = 0.81, 0.13
        models = {name: 3 for name in big.PARENTS if name != "lua"}
        case = {"case": "assignment", "model": "lua", "sae": big.SAE, "feature": 5}
        content["cases"] = [{**case, "models": models, "verdict": "persists"}]
        content["cases"][0]["function"] = "marked as well"
        return content

    def _chain(self, index: dict[str, Any], feature: dict[str, Any]) -> None:
        """Feature 2 of the merge leads through Lua back to the base, and is in no other parent."""
        for edge in ("lua-luastories", "tinystories-luastories"):
            index["columns"]["fates"][f"{edge}:child"][2] = big.FATES.index("persisting")
        for one in feature["partners"]:
            one["r"] = {"lua": 0.9, "tinystories": 0.41}.get(one["model"], 0.5)
        feature["chain"] = {"role": "descendant", "status": "base-derived", "via": "lua"}
        feature["chain"] |= {"parent": "lua", "parent_feature": 11, "root": "babypython"}
        feature["chain"] |= {"root_feature": 13, "r_last": 0.9, "r_first": 0.85, "r_end": 0.5}

    def _poison(self, index: dict[str, Any], feature: dict[str, Any]) -> None:
        """Feature 1 is about the hostile tokens, and is explained by a hostile explainer."""
        ids = list(range(len(HOSTILE)))
        columns = index["columns"]
        columns["token"][1], columns["density"][1] = 0, 0.02
        columns["explanation"][1], columns["score"][1] = EVIL, 0.5
        values = [2.0] * len(ids)
        others = {model: values for model in columns["partners"]}
        where = {"kind": "top", "interval": None, "corpus": "lua", "document": 1, "position": 9}
        feature["contexts"] = [{**where, "ids": ids, "at": 0, "values": values, "others": others}]
        for name in ("promoted", "suppressed"):
            feature[name] = [[i, 1.5] for i in ids]
        feature["tokens"] = [[i, 1.5, 20] for i in ids]
        score = {"explainer": EVIL, "explanation": EVIL, "pearson": 0.5, "spearman": None}
        score |= {"detection": None, "fuzzing": None, "status": "failed", "reason": EVIL}
        feature["scores"] = [score]
        feature["chain"] = {
            **dict.fromkeys(("parent", "parent_feature", "root", "root_feature")),
            **dict.fromkeys(("r_last", "r_first", "r_end")),
            "role": "root",
            "status": "persisting",
            "via": EVIL,
        }


class Reader(Tab):
    """One who reads the explorer: clicks and presses keys as people do."""

    def __init__(self, tab, site: Site):
        super().__init__(tab)
        self.site, self.dialogs = site, []

    async def open(self, url: str, scheme: str = "light", width: int = 1360) -> None:
        async def opens(message):
            self.dialogs.append(message["params"])
            await self.tab.send_command("Page.handleJavaScriptDialog", {"accept": False})

        self.tab.subscribe("Page.javascriptDialogOpening", opens)
        await super().open(url, scheme, width)
        await self.ready()

    async def ready(self, heading: str = "") -> None:
        """Until a view is there, whose heading begins so."""
        begins = f"document.querySelector('main h1')?.textContent.startsWith({heading!r})"
        await self.until(f"{begins} === true && !document.querySelector('.waiting')")

    async def go(self, address: str, heading: str = "") -> None:
        await self.run(
            f"document.querySelector('main h1')?.remove(); if (location.hash === '{address}') "
            f"dispatchEvent(new Event('hashchange')); else location.hash = '{address}'"
        )
        await self.ready(heading)

    async def click(self, selector: str) -> None:
        """With the mouse, in the middle of an element."""
        at = await self.run(
            f"(() => {{ const found = document.querySelector({selector!r});"
            "found.scrollIntoView({block: 'center', inline: 'center'});"
            "const box = found.getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            place = {"x": at[0], "y": at[1], "button": "left", "clickCount": 1}
            await self.command("Input.dispatchMouseEvent", type=kind, **place)

    async def press(self, *keys: str) -> None:
        for key in keys:
            text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
            event = {"key": key, "code": key, "text": text}
            if key in CODES:
                event["windowsVirtualKeyCode"] = CODES[key]
            await self.command("Input.dispatchKeyEvent", type="keyDown", **event)
            await self.command("Input.dispatchKeyEvent", type="keyUp", key=key, code=key)

    async def write(self, text: str) -> None:
        await self.command("Input.insertText", text=text)

    async def texts(self, selector: str) -> list[str]:
        return json.loads(
            await self.run(
                f"JSON.stringify([...document.querySelectorAll({selector!r})]"
                ".map(found => found.textContent))"
            )
        )

    async def address(self) -> str:
        return await self.run("location.hash")

    def outside(self) -> list[str]:
        """What it asked for that is not in the explorer's folder."""
        inside = self.site.folder.as_uri() + "/"
        return [url for url in self.asked if not url.startswith(inside)]


CODES = {"Enter": 13, "Escape": 27, "Tab": 9, "ArrowDown": 40, "ArrowRight": 39, "ArrowLeft": 37}

Work = Callable[[Reader], Awaitable[Any]]


def reads(site: Site, work: Work, address: str = "#/", views=(("light", 1360),)) -> list[Any]:
    """Run `work(reader)` in each view; nothing may be said, opened, or asked from elsewhere."""

    async def quiet(reader: Reader) -> Any:
        found = await work(reader)
        assert reader.said == [] and reader.dialogs == [] and reader.outside() == []
        return found

    return looks(site, quiet, address, views)


def looks(site: Site, work: Work, address: str = "#/", views=(("light", 1360),)) -> list[Any]:
    """Run `work(reader)` in each view, a tab of its own.

    Args: views: the reader's colour scheme, the width of the window, perhaps an address.
    """

    async def visit(tab: Any, view: Any) -> Any:
        reader = Reader(tab, site)
        await reader.open(site.url(*view[2:] or [address]), *view[:2])
        return await work(reader)

    return in_tabs(visit, views)


__all__ = ["EVIL", "FEATURES", "HOSTILE", "PER_SHARD", "Reader", "Site", "looks", "reads"]
