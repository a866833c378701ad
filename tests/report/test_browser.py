"""The page in a real Chromium: it draws, sorts and filters, says nothing, and loads nothing."""

import base64
import json

import pytest

from featflow.figures.style import INK

from .browser import Tab, in_tabs

pytestmark = pytest.mark.browser

STATE = """JSON.stringify({
  drawn: [...document.querySelectorAll('.js-plotly-plot')].length,
  colours: [...new Set([...document.querySelectorAll('.js-plotly-plot')].map(
    plot => plot._fullLayout.font.color))],
  ink: getComputedStyle(document.body).color,
  wide: document.documentElement.scrollWidth > innerWidth,
})"""

COLUMN = """(table, at) => JSON.stringify(
  [...document.querySelectorAll(`#${table} tbody tr:not([hidden])`)].map(
    row => row.cells[at].dataset.key ?? row.cells[at].textContent.trim()))"""

CLICK = "document.querySelector('#{} th[data-at=\"{}\"] button').click()"
FILTER = """(words, stage) => {
  const find = document.getElementById('find'), by = document.getElementById('stage');
  [find.value, by.value] = [words, stage];
  find.dispatchEvent(new Event('input')); by.dispatchEvent(new Event('change')); }"""


class Page(Tab):
    """The report in a tab."""

    async def column(self, table: str, at: int) -> list[str]:
        return json.loads(await self.run(f"({COLUMN})('{table}', {at})"))

    async def draw_all(self) -> None:
        for plot in range(await self.run("document.querySelectorAll('.plot').length")):
            await self.run(f"document.querySelectorAll('.plot')[{plot}].scrollIntoView()")
            await self.until(
                f"document.querySelectorAll('.plot')[{plot}].matches('.js-plotly-plot')"
            )


def in_a_browser(report, work, views=(("light", 1360),)):
    """Run `work(page)` on the report in each view, and check that it said and asked for nothing.

    Args: views: the reader's colour scheme, and the width of the window.
    """

    async def visit(tab, view):
        page = Page(tab)
        await page.open(report.as_uri(), *view)
        found = await work(page)
        assert page.said == []
        assert page.asked == [report.as_uri()]
        return found

    return in_tabs(visit, views)


def test_it_draws_in_the_readers_colours_without_a_word(report):
    async def work(tab):
        await tab.draw_all()
        return json.loads(await tab.run(STATE))

    views = [("light", 1360), ("dark", 1360), ("dark", 390)]
    for (scheme, _), state in zip(views, in_a_browser(report, work, views), strict=True):
        assert state["drawn"] == 2 and state["colours"] == [INK[scheme]]
        red, green, blue = (int(INK[scheme][i : i + 2], 16) for i in (1, 3, 5))
        assert state["ink"] == f"rgb({red}, {green}, {blue})"
        assert not state["wide"]


def test_tables_sort_and_filter(report):
    async def work(tab):
        before = await tab.column("edgesmain", 2)
        found = {"before": before}
        for name in ("up", "down"):
            await tab.run(CLICK.format("edgesmain", 2))
            found[name] = await tab.column("edgesmain", 2)
            found[f"{name} said"] = await tab.run(
                "document.querySelector('#edgesmain [aria-sort]').getAttribute('aria-sort')"
            )
        await tab.run(CLICK.format("models", 8))
        await tab.run(CLICK.format("models", 8))
        found["unknown last"] = await tab.column("models", 8)
        await tab.run(f"({FILTER})('both weights', '')")
        found["filtered"] = await tab.column("files", 0)
        found["count"] = await tab.run("document.getElementById('found').value")
        await tab.run(f"({FILTER})('', 'merge')")
        found["merge"] = await tab.column("files", 1)
        found["focus"] = await tab.run(
            "const b = document.querySelector('#models th button'); b.focus();"
            "document.activeElement === b"
        )
        return found

    (found,) = in_a_browser(report, work)
    assert found["before"] == ["60.0", "30.0", "50.0", "40.0"]
    assert found["up"] == ["30.0", "40.0", "50.0", "60.0"] and found["up said"] == "ascending"
    assert found["down"] == found["up"][::-1] and found["down said"] == "descending"
    assert found["unknown last"] == ["792.0", "792.0", "792.0", "–"]
    assert [name.rsplit("/", 1)[1] for name in found["filtered"]] == ["sae_weights.safetensors"]
    assert found["count"].startswith("1 of ")
    assert found["merge"] and set(found["merge"]) == {"merge"}
    assert found["focus"]


def test_on_paper_everything_is_there_in_light(report):
    async def work(tab):
        await tab.run(
            "addEventListener('beforeprint', () => { window.seen = "
            f"{STATE}; window.open_ = document.querySelectorAll('details.printed[open]').length }})"
        )
        content = await tab.command("Page.printToPDF", printBackground=True)
        await tab.until("document.querySelectorAll('details.printed[open]').length === 0")
        seen = json.loads(await tab.run("window.seen"))
        return base64.b64decode(content["data"]), seen, await tab.run("window.open_")

    ((content, seen, opened),) = in_a_browser(report, work, [("dark", 1360)])
    assert content.startswith(b"%PDF") and seen["drawn"] == 2
    assert seen["colours"] == [INK["light"]]
    assert opened >= 3
