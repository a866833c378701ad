"""A real Chromium, and what its tabs say and ask for."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import pytest

from featflow.figures.chromium import chromium

View = TypeVar("View")


class Tab:
    """A tab of a browser, and all that it said and asked for."""

    def __init__(self, tab):
        self.tab, self.said, self.asked = tab, [], []

    async def command(self, name: str, **parameters):
        reply = await self.tab.send_command(name, parameters)
        assert "error" not in reply, reply
        return reply["result"]

    async def open(self, url: str, scheme: str, width: int) -> None:
        async def speaks(message):
            self.said.append(message["params"])

        async def asks(message):
            self.asked.append(message["params"]["request"]["url"])

        for event in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.tab.subscribe(event, speaks)
        self.tab.subscribe("Network.requestWillBeSent", asks)
        for domain in ("Runtime", "Log", "Network", "Page"):
            await self.command(f"{domain}.enable")
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
        await self.command("Emulation.setDeviceMetricsOverride", **size)
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.command("Emulation.setEmulatedMedia", features=media)
        await self.command("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def run(self, code: str):
        reply = await self.command(
            "Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in reply, reply
        return reply["result"].get("value")

    async def until(self, code: str) -> None:
        for _ in range(200):
            if await self.run(code):
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"never true: {code}")


def in_tabs(visit: Callable[[Any, View], Awaitable[Any]], views: Sequence[View]) -> list[Any]:
    """What `visit(tab, view)` gives for each view, in a new tab of choreographer's."""
    import choreographer

    program = chromium()
    if program is None:
        pytest.skip("no Chromium")

    async def session() -> list[Any]:
        async with choreographer.Browser(
            path=program, headless=True, enable_sandbox=False
        ) as browser:
            return [await visit(await browser.create_tab("about:blank"), view) for view in views]

    return asyncio.run(asyncio.wait_for(session(), 100))
