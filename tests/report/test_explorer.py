"""The explorer in a real Chromium, from disk: by mouse and keys, silent, asking for nothing."""

import asyncio
import json
import math
import time

import pytest

from featflow.report.pages import SITE

from . import big_explorer as big
from .explorer_site import EVIL, FEATURES, HOSTILE, PER_SHARD, Site, looks, reads

pytestmark = pytest.mark.browser

LISTED = "tr[aria-rowindex] th[scope=row]"
ROUTES = ("#/", "#/main/lua", "#/main/lua/1", "#/search?q=a", "#/nowhere")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Site:
    return Site(tmp_path_factory.mktemp("explorer"))


def having(site: Site, model: str, edge: str, role: str, fate: str) -> list[str]:
    return [str(i) for i, found in enumerate(site.fates(model, edge, role)) if found == fate]


def test_from_the_flow_to_a_feature_to_its_partner_to_a_search_and_back(site):
    """Show 5: flow → list → feature → partner → search, by mouse and keys."""
    down = [site.fates("babypython", f"babypython-{c}", "parent") for c in ("lua", "tinystories")]
    fates = list(zip(*down, strict=True))
    gone = [
        i for i, each in enumerate(fates) if "disappearing" in each and "persisting" not in each
    ]
    vanished = [str(i) for i in gone]
    first = int(vanished[0])
    partner = next(p for p in site.features["babypython"][first]["partners"] if p["model"] == "lua")

    async def work(reader):
        trail = []

        async def arrived(heading):
            await reader.ready(heading)
            trail.append(await reader.address())

        await arrived("Where")
        await reader.click("a.band.disappearing text")
        await arrived("babypython")
        assert (await reader.texts(LISTED))[:9] == vanished[:9]
        assert (await reader.texts("output.found"))[0].startswith(f"{len(vanished)} of {FEATURES} ")
        await reader.press("j", "j", "k", "Enter")
        await arrived(f"Feature {first}")
        assert await reader.texts(".steps .quiet:nth-of-type(2)") == [
            f"1 of {len(vanished)} in the list"
        ]
        await reader.click(f"td a[href='#/main/lua/{partner['feature']}']")
        await arrived(f"Feature {partner['feature']}")
        await reader.press("/")
        await reader.write("explained")
        await reader.press("Enter")
        await arrived("Search")
        assert await reader.texts(".hits > li > a") == ["1"] * 4
        await reader.press("Escape", "j", "j", "Enter")
        await arrived("Feature 1")
        for address in trail[-2::-1]:
            await reader.run("history.back()")
            await reader.until(f"location.hash === {address!r}")
            await reader.ready()
        return trail

    (trail,) = reads(site, work)
    assert trail == [
        "#/",
        "#/main/babypython?edge=every&role=parent&fate=disappearing",
        f"#/main/babypython/{first}",
        f"#/main/lua/{partner['feature']}",
        "#/search?q=explained",
        "#/main/lua/1",
    ]


def test_every_band_and_number_of_the_flow_leads_to_as_many_features(site):
    async def work(reader):
        links = await reader.run(
            "[...document.querySelectorAll('.band, #content td a[href*=fate]')].map(a => "
            "[a.getAttribute('href'), a.getAttribute('aria-label') ?? a.textContent])"
        )
        for href, number in sorted({(href, said.split()[0]) for href, said in links}):
            await reader.go(href, href.split("/")[2].split("?")[0])
            found = await reader.run("document.querySelector('output.found').value")
            assert found.split()[0] == number, (href, number, found)
        return len(links)

    (count,) = reads(site, work)
    edges = len(big.EDGES)
    # two halves of a band an edge; what disappears in every child of three parents; what emerges in
    # three children; the table
    assert count == (2 * edges + 3 + 3) + 4 * edges


def test_bands_are_as_thick_as_their_features_are_many(site):
    async def work(reader):
        return await reader.run(
            "[...document.querySelectorAll('.band')].map(a => [a.getAttribute('class'), "
            "a.getAttribute('aria-label'), a.querySelector('path').getAttribute('d')])"
        )

    (bands,) = reads(site, work)
    scales = []
    for kind, said, outline in bands:
        points = [tuple(map(float, pair.split(","))) for pair in outline[1:-1].split("L")]
        top, bottom = points[: len(points) // 2], points[len(points) // 2 :][::-1]
        thick = [below - above for (_, above), (_, below) in zip(top, bottom, strict=True)]
        numbers = [int(word) for word in said.split() if word.isdigit()]
        is_child_side = "traced" in said
        drawn = thick[-1] if is_child_side or "emerg" in kind else thick[0]
        scales.append(drawn / numbers[-1 if is_child_side else 0])
    assert len(bands) == 2 * len(big.EDGES) + 3 + 3
    assert scales == pytest.approx([scales[0]] * len(bands), rel=0.02)


def test_a_chain_is_drawn_with_links_from_its_root(site):
    async def work(reader):
        links = await reader.run(
            "[...document.querySelectorAll('.path a')].map(a => a.getAttribute('href'))"
        )
        return links, await reader.texts(".path .arrow"), await reader.texts(".lineage .note")

    ((links, arrows, notes),) = reads(site, work, "#/main/luastories/2")
    assert links == ["#/main/babypython/13", "#/main/lua/11"]
    assert [arrow.split()[1] for arrow in arrows[:2]] == ["0.85", "0.90"]
    assert notes[0] == "Leads back to a base (lua); r of both ends 0.50."


def test_rows_are_sorted_as_the_data_are_and_those_without_come_last(site):
    async def work(reader):
        found = {}
        for key in ("density", "token", "score", "r"):
            for _ in range(2):
                await reader.click(f"th[data-key='{key}'] button")
                sort = await reader.run(
                    f"document.querySelector('th[data-key={key}]').getAttribute('aria-sort')"
                )
                top = (await reader.texts(LISTED))[:15]
                await reader.run(
                    "document.querySelector('.rows').scrollTop = 1e9; "
                    "new Promise(then => requestAnimationFrame(() => requestAnimationFrame(then)))"
                )
                found[key, sort] = (top, (await reader.texts(LISTED))[-1])
        return found

    (found,) = reads(site, work, "#/main/lua")
    columns = {name: site.column("lua", name) for name in ("density", "score")}
    columns["r"] = site.column("lua", "r")["babypython"]
    for key, values in columns.items():
        known = [i for i, value in enumerate(values) if value is not None]
        unknown = [i for i, value in enumerate(values) if value is None]
        for sort, sign in (("ascending", 1), ("descending", -1)):
            order = sorted(known, key=lambda i: sign * values[i]) + unknown
            top, last = found[key, sort]
            assert top == [str(i) for i in order[:15]] and last == str(order[-1]), (key, sort)
    texts = site.column("lua", "token")
    words = [site.vocabulary[texts[int(i)]].strip() for i in found["token", "descending"][0]]
    assert words == sorted(words, reverse=True)


def test_filters_leave_what_they_name(site):
    async def typed(reader, selector, text):
        await reader.click(selector)
        await reader.write(text)
        await asyncio.sleep(0.3)
        return (await reader.texts("output.found"))[0], (await reader.texts(LISTED))[:9]

    async def work(reader):
        dense = await typed(reader, "input[aria-label='Density from']", "1e-3")
        scored = await typed(reader, "form.filter .short", "0.5")
        address = await reader.address()
        await reader.click("form.filter button")
        await reader.until("!location.hash.includes('dmin')")
        await reader.ready()
        token = await typed(reader, "form.filter input[type=search]", "fires ON")
        number = await reader.run(
            "location.hash = '#/main/lua?q=17'; new Promise(then => setTimeout(then, 200))"
        )
        return dense, scored, address, token, number, await reader.texts(LISTED)

    ((dense, scored, address, told, _, numbered),) = reads(site, work, "#/main/lua")
    density, score = site.column("lua", "density"), site.column("lua", "score")
    kept = [i for i in range(FEATURES) if density[i] >= 1e-3]
    assert dense == (f"{len(kept)} of {FEATURES} features", [str(i) for i in kept[:9]])
    kept = [i for i in kept if score[i] is not None and score[i] >= 0.5]
    words = f"{len(kept)} of {FEATURES} features"
    assert scored == (words, [str(i) for i in kept[:9]])
    assert "dmin=1e-3" in address and "score=0.5" in address
    explained = [e for e in site.column("lua", "explanation") if e and "fires on" in e]
    assert told[0] == f"{len(explained)} of {FEATURES} features"
    assert "17" in numbered


def test_a_hostile_corpus_and_explainer_are_text(site):
    """Show 5: what stands in tokens and explanations does nothing, and can be seen."""

    async def work(reader):
        seen = {}
        for address in ("#/main/lua/1", "#/main/lua?q=%3Cscript", "#/search?q=alert"):
            await reader.go(address)
            seen[address] = await reader.run("document.getElementById('content').textContent")
            alien = "document.querySelectorAll('#content :is(img, script, iframe, b[onmouseover])')"
            assert await reader.run(f"{alien}.length") == 0
            hidden = "[\\u0000-\\u0009\\u000b-\\u001f\\u200b\\u2028\\u202e\\ufeff]"
            assert not await reader.run(
                f"/{hidden}/.test(document.getElementById('content').textContent + document.title)"
            )
        await reader.go("#/main/lua/1")
        seen["boxes"] = await reader.run(
            "[...document.querySelectorAll('.passage .tok, .token, .told')].every(found => "
            "getComputedStyle(found).unicodeBidi === 'isolate')"
        )
        return seen

    (seen,) = reads(site, work)
    page = seen["#/main/lua/1"]
    for text in (*HOSTILE[:3], "U+202Egnp.exe", "nul␀", "→ line", "↵", "␛[31m", "U+200BU+FEFF"):
        assert text in page, text
    assert "100,000 characters" in page and page.count("A" * 100) >= 1 and "A" * 500 not in page
    assert EVIL.split(" ")[0] in page and "U+202E␀" in page
    assert HOSTILE[0] in seen["#/main/lua?q=%3Cscript"]
    assert HOSTILE[1] not in seen["#/search?q=alert"]  # it is no feature's top token
    assert HOSTILE[0] in seen["#/search?q=alert"] and seen["boxes"]


def test_contexts_are_shaded_and_read_by_keys_beside_the_partners(site):
    feature = site.features["lua"][7]
    context = feature["contexts"][0]

    async def work(reader):
        found = {"rows": await reader.run("document.querySelectorAll('.contexts .line').length")}
        found["columns"] = await reader.texts(".heads .column > :first-child")
        shade = "getComputedStyle(document.querySelector('.tok.{}')).backgroundColor"
        found["shades"] = [await reader.run(shade.format(kind)) for kind in ("on", "tok:not(.on)")]
        await reader.run("document.querySelector('.tok.at').focus()")
        found["tip"] = await reader.texts("#tip b")
        await reader.press("ArrowRight")
        found["next"] = await reader.run("document.activeElement.dataset.value")
        await reader.click("fieldset label:nth-of-type(2) input")
        found["with"] = [
            await reader.address(),
            await reader.texts(".heads .column > :first-child"),
        ]
        await reader.press("v")
        found["numbers"] = await reader.run(
            "[...document.querySelectorAll('.passage')[1].querySelectorAll('sub')].filter(one => "
            "getComputedStyle(one).display !== 'none').map(one => one.textContent)"
        )
        await reader.press("v")
        return found

    (found,) = reads(site, work, "#/main/lua/7")
    partners = {one["model"]: one["feature"] for one in feature["partners"]}
    assert found["rows"] == 1 + len(feature["contexts"])
    names = ["lua", *(f"{m} {partners[m]}" for m in ("babypython", "luastories"))]
    assert found["columns"] == names
    assert found["shades"][0] != found["shades"][1] == "rgba(0, 0, 0, 0)"
    (tip,) = found["tip"]
    assert float(tip) == pytest.approx(context["values"][20], rel=5e-3)
    assert float(found["next"]) == context["values"][21]
    address, columns = found["with"]
    assert address == "#/main/lua/7?with=babypython,tinystories,luastories" and len(columns) == 4
    beside = [value for value in context["others"]["babypython"] if value]
    assert [float(n) for n in found["numbers"]] == pytest.approx(beside, rel=5e-3)


def test_addresses_open_directly_and_unknown_ones_say_so(site):
    async def work(reader):
        return await reader.texts("main h1"), await reader.run("document.title")

    opened = {
        "#/main/tinystories/149": "Feature 149",
        "#/main/tinystories/150": "No such feature",
        "#/main/nosuch": "No such page",
        "#/main/__proto__": "No such page",
        "#/main/lua/1/2": "No such page",
        "#/%zz": "No such page",
        "#/main/lua?sort=nosuch&dir=up&edge=x&fate=y": "lua",
    }
    views = [("light", 1360, address) for address in opened]
    for view, (found, title) in zip(views, reads(site, work, views=views), strict=True):
        address, heading = view[2], opened[view[2]]
        assert len(found) == 1 and found[0].startswith(heading), address
        assert title.endswith("random · featflow")


def test_a_missing_file_is_named_and_tried_again(tmp_path):
    site = Site(tmp_path)
    shard = site.dictionary("lua") / "1.js"
    content = shard.read_text()
    shard.unlink()
    index = site.dictionary("luastories") / "index.js"
    index.write_text(index.read_text()[:-9])

    async def work(reader):
        await reader.ready("A file is missing")
        named = [await reader.run("document.getElementById('content').textContent")]
        shard.write_text(content)
        await reader.click("main button")
        await reader.ready(f"Feature {PER_SHARD}")
        await reader.go("#/main/luastories", "A file is missing")
        named.append(await reader.run("document.getElementById('content').textContent"))
        assert reader.outside() == []
        return named

    ((absent, cut),) = looks(site, work, f"#/main/lua/{PER_SHARD}")
    assert "features/lua/main/1.js could not be read" in absent
    assert "features/luastories/main/index.js is cut short" in cut


def test_a_request_or_a_word_would_be_noticed(site, tmp_path):
    """The page's own policy forbids every request; without it, the test sees one."""
    elsewhere = "http://127.0.0.1:9/x.png"

    async def work(reader):
        await reader.run(f"new Image().src = '{elsewhere}'")
        await reader.until("true")
        await asyncio.sleep(0.3)
        return reader.said, reader.outside()

    ((said, _),) = looks(site, work)
    assert "Content Security Policy" in json.dumps(said)
    start, end = "<meta http-equiv", "form-action 'none'\">\n"
    page = site.page.read_text()
    policy = page[page.index(start) : page.index(end) + len(end)]
    lax = Site.__new__(Site)
    lax.folder, lax.page = tmp_path, tmp_path / "explorer.html"
    lax.page.write_text(page.replace(policy, ""))
    ((_, asked),) = looks(lax, work)
    assert asked == [elsewhere]


CONTRASTS = """(() => {
  const parse = colour => {
    const n = colour.match(/-?[\\d.e-]+/g).map(Number);
    const rgb = colour.startsWith('color(') ? n.slice(0, 3).map(v => 255 * v) : n.slice(0, 3);
    return [...rgb, n[3] ?? 1];
  };
  const over = ([r, g, b, a], under) =>
    [[r, 0], [g, 1], [b, 2]].map(([v, i]) => a * v + (1 - a) * under[i]);
  const ground = element => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      layers.push(parse(getComputedStyle(e).backgroundColor));
      if (layers.at(-1)[3] === 1) break;
    }
    return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255]);
  };
  const light = rgb => rgb.map(v => v / 255)
    .map(v => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  let worst = [99, ''];
  const weigh = (ink, under, what) => {
    const found = ratio(light(over(ink, under)), light(under));
    if (found < worst[0]) worst = [found, what];
  };
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    if (!own || !element.checkVisibility() || element.closest('svg, .skip')) continue;
    const style = getComputedStyle(element);
    weigh(parse(style.color), ground(element), element.outerHTML.slice(0, 90));
  }
  const root = document.createElement('i');
  document.body.append(root);
  for (const kind of ['persisting', 'disappearing', 'emerging', 'hot', 'panel']) {
    root.style.background = `var(--${kind})`;
    weigh(parse(getComputedStyle(root).color), ground(root), kind);
  }
  root.remove();
  return worst;
})()"""

UNNAMED = """[...document.querySelectorAll('th:not([scope]), [id=""], html:not([lang])'),
  ...[...document.querySelectorAll('input, select')].filter(one =>
    !one.labels.length && !one.getAttribute('aria-label')),
  ...[...document.querySelectorAll('a, button')].filter(one =>
    !one.textContent.trim() && !one.getAttribute('aria-label')),
  ...[...document.querySelectorAll('[tabindex="0"]:is(div)')].filter(one =>
    !one.getAttribute('aria-label')),
  ...[...document.querySelectorAll('#content svg')].filter(one =>
    !one.closest('[aria-label]')),
  ...[...document.querySelectorAll('[id]')].filter(one =>
    document.querySelectorAll(`[id="${one.id}"]`).length > 1),
].map(one => one.outerHTML.slice(0, 90))"""


def test_it_is_legible_labelled_and_no_wider_than_the_window(site):
    async def work(reader):
        for address in ROUTES:
            await reader.go(address)
            worst, what = await reader.run(CONTRASTS)
            assert worst >= 4.5, (address, worst, what)
            assert await reader.run(UNNAMED) == [], address
            wide = "document.documentElement.scrollWidth > innerWidth"
            assert not await reader.run(wide), address
            assert await reader.run("document.querySelectorAll('main h1').length") == 1
        return await reader.run("getComputedStyle(document.body).backgroundColor")

    grounds = reads(site, work, views=[("light", 1360), ("dark", 1360), ("dark", 390)])
    assert grounds == ["rgb(255, 255, 255)", "rgb(22, 24, 28)", "rgb(22, 24, 28)"]


def test_colours_are_chosen_and_remembered_and_keys_are_listed(site):
    ground = "getComputedStyle(document.body).backgroundColor"

    async def work(reader):
        found = []
        for _ in range(3):
            await reader.press("t")
            found.append(await reader.run(ground))
        await reader.press("t", "t")
        await reader.command("Page.reload")
        await asyncio.sleep(0.3)
        await reader.ready()
        found.append(await reader.run(ground))
        await reader.press("?")
        await reader.until("document.getElementById('keys').open")
        await reader.press("Escape")
        await reader.until("!document.getElementById('keys').open")
        here = await reader.address()
        await reader.press("Escape")
        await reader.until("location.hash === '#/main/lua'")
        await reader.press("Escape")
        await reader.until("location.hash === '#/'")
        return found, here

    ((found, here),) = reads(site, work, "#/main/lua/7", views=[("light", 1360)])
    white, black = "rgb(255, 255, 255)", "rgb(22, 24, 28)"
    assert found == [white, black, white, black] and here == "#/main/lua/7"


def test_the_keyboard_alone_reaches_a_band_and_shows_where_it_is(site):
    async def work(reader):
        for _ in range(40):
            await reader.press("Tab")
            if await reader.run("document.activeElement.matches('.band')"):
                break
        shown = await reader.run(
            "getComputedStyle(document.activeElement.querySelector('path')).strokeWidth"
        )
        label = await reader.run("document.activeElement.getAttribute('aria-label')")
        await reader.press("Enter")
        await reader.until("location.hash !== '#/'")
        return shown, label, await reader.address()

    ((shown, label, address),) = reads(site, work)
    assert shown == "2.5px" and label.split()[0].isdigit() and "fate=" in address


def test_paper_has_more_rows_than_the_window(site):
    async def work(reader):
        await reader.run(
            "addEventListener('beforeprint', () => { window.rows_ = "
            f"document.querySelectorAll('{LISTED}').length }})"
        )
        await reader.command("Page.printToPDF")
        return await reader.run("window.rows_"), len(await reader.texts(LISTED))

    ((printed, seen),) = reads(site, work, "#/main/lua")
    assert printed == FEATURES > seen


def test_it_opens_at_once_with_four_times_16384_features(tmp_path):
    """Show 5: the first view, a table, its scrolling, a feature, a search."""
    size = 16_384
    site = Site(tmp_path, size, shards=1)

    async def work(reader):
        times = {}
        flow = await reader.run(
            "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? "
            "performance.now()"
        )
        times["flow"] = flow / 1000
        assert not [url for url in reader.asked if url.endswith(".js")]
        for name, address, heading in (
            ("table", "#/main/lua", "lua"),
            ("feature", "#/main/lua/12", "Feature 12"),
            ("search", "#/search?q=abc", "Search"),
        ):
            start = time.perf_counter()
            await reader.go(address, heading)
            times[name] = time.perf_counter() - start
        read = {url.split("features/")[-1] for url in reader.asked if "/features/" in url}
        await reader.go("#/main/lua", "lua")
        rows = await reader.run("document.querySelectorAll('.rows tbody tr').length")
        times["frame"] = await reader.run(
            "(async () => { const box = document.querySelector('.rows'); let worst = 0;"
            "for (let i = 0; i < 30; i++) { const start = performance.now(); "
            "box.scrollTop += 9000; await new Promise(requestAnimationFrame); "
            "worst = Math.max(worst, performance.now() - start); } return worst / 1000 })()"
        )
        start = time.perf_counter()
        await reader.click("th[data-key='density'] button")
        await reader.until("document.querySelector('th[data-key=density][aria-sort]') !== null")
        times["sort"] = time.perf_counter() - start
        last = await reader.run(
            "(async () => { const box = document.querySelector('.rows'); box.scrollTop = 1e9;"
            "await new Promise(then => setTimeout(then, 100));"
            f"return [...document.querySelectorAll('{LISTED}')].at(-1).textContent }})()"
        )
        return times, rows, read, last

    ((times, rows, read, last),) = reads(site, work)
    print(", ".join(f"{name} {seconds:.2f} s" for name, seconds in times.items()))
    assert all(seconds < 5 for seconds in times.values()) and times["frame"] < 0.5
    assert rows < 80
    assert read == {"lua/main/0.js", *(f"{model}/main/index.js" for model in big.PARENTS)}
    density = site.column("lua", "density")
    assert math.isclose(density[int(last)], min(density))


def test_the_report_links_to_it_where_there_is_one(planted, page, tmp_path):
    from featflow.report import report

    assert planted.cfg.explorer
    assert ("a", {"href": "explorer.html"}) in page.elements
    without = planted.cfg.model_copy(update={"explorer": False})
    report.run(without, inputs=planted.files, output=tmp_path / "index.html")
    assert "explorer.html" not in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_its_colours_are_the_figures(site):
    from featflow.figures import style

    sheet = (SITE / "explorer.css").read_text(encoding="utf-8")
    for name, colours in (("ink", style.INK), ("ground", style.GROUND), ("grid", style.GRID)):
        assert f"--{name}: light-dark({colours['light']}, {colours['dark']})" in sheet
    assert style.FONT in sheet


def test_scripts_never_parse_html():
    sources = "".join(path.read_text(encoding="utf-8") for path in SITE.glob("*.js"))
    for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "fetch("):
        assert word not in sources
    assert "http" not in sources.replace("http://www.w3.org/2000/svg", "")
