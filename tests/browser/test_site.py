"""The site as a reader meets it: built by Sphinx, opened in a real browser, every page, link and picture looked at.

`make test-browser` runs it. Requests to other servers are refused and counted.
"""

import functools
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urldefrag, urlparse

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from test_jupyterlab import CHROMIUM_FLAGS

from lib.paths import ROOT
from lib.report.pages.notebooks import notebook_pages
from lib.report.pages.values import table

FEWEST_PAGES = 20
LINKS = "() => [...document.querySelectorAll('a[href]')].map(a => a.href)"
BROKEN_PICTURES = """() => [...document.images].filter(i => !(i.complete && i.naturalWidth > 0)).map(i => i.src)"""
ANCHORS = "() => [...document.querySelectorAll('[id], a[name]')].map(e => e.id || e.name)"


class Quiet(SimpleHTTPRequestHandler):
    """Files of a folder, without a line for each request."""

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The built site; warnings are errors, as in ``make book``."""
    work = tmp_path_factory.mktemp("site")
    for command in (
        ["lib.report.pages", "site", work / "source"],
        ["sphinx", "-b", "html", "-q", "--fail-on-warning", "-c", ROOT / "docs", work / "source", work / "html"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *map(str, command)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
    return work / "html"


@pytest.fixture(scope="module")
def address(folder) -> Iterator[str]:
    """The site on a free port of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium, the one that the variable CHROMIUM names."""
    chromium = shutil.which(os.environ.get("CHROMIUM", "chromium"))
    assert chromium, "no Chromium found: install it (Debian: apt-get install chromium), or set CHROMIUM to its path"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield started
        started.close()


@pytest.fixture
def page(browser, address) -> Iterator[Page]:
    """A page that reaches this machine alone, with lists of what it asked of others and of errors of its scripts."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.foreign, page.errors = [], []

    def gate(route):
        if route.request.url.startswith((address, "data:", "blob:")):
            route.continue_()
        else:
            page.foreign.append(route.request.url)
            route.abort()

    page.route("**/*", gate)
    page.on("pageerror", lambda error: page.errors.append(f"{page.url}: {error}"))
    yield page
    page.close()


def is_notebook(url: str) -> bool:
    """Whether it is an executed notebook, whose interactive outputs may want a library from the web."""
    return "/figures/laptop/" in url


def test_no_link_is_broken_and_no_picture_missing(page, address, folder):
    to_see, seen, anchors, wanted, foreign = [address + "index.html"], set(), {}, set(), []
    while to_see:
        url = to_see.pop()
        if url in seen:
            continue
        seen.add(url)
        response = page.goto(url)
        assert response.ok, f"{url}: {response.status}"
        page.evaluate("() => document.querySelectorAll('img').forEach(i => { i.loading = 'eager' })")
        page.wait_for_function("() => [...document.images].every(i => i.complete)")
        assert page.evaluate(BROKEN_PICTURES) == [], url
        anchors[url] = set(page.evaluate(ANCHORS))
        foreign += [] if is_notebook(url) else page.foreign
        page.foreign.clear()
        for link in page.evaluate(LINKS):
            target, anchor = urldefrag(link)
            if not target.startswith(address):
                continue
            path = folder / urlparse(target).path.lstrip("/")
            assert path.is_file(), f"{url} links to {target}"
            if path.suffix == ".html":
                wanted |= {(url, target, anchor)} if anchor else set()
                to_see.append(target)
    broken = {f"{url} links to {target}#{anchor}" for url, target, anchor in wanted if anchor not in anchors[target]}
    assert not broken, sorted(broken)[:10]
    assert len(seen) >= FEWEST_PAGES
    assert {f"{address}figures/laptop/{notebook.name}.html" for notebook in notebook_pages()} <= seen
    assert not foreign, f"pages of ours load from elsewhere: {sorted(set(foreign))[:5]}"
    assert not page.errors


def test_search_answers(page, address):
    page.goto(address + "search.html?q=SchNet")
    results = page.locator("#search-results li")
    expect(results.first).to_be_visible(timeout=30_000)
    assert results.count() > 3
    page.goto(address + "search.html?q=zyxwvutsrq")
    expect(page.locator("#search-results")).to_contain_text("did not match any documents", timeout=30_000)


def test_the_ledger_filters_and_sorts(page, address):
    claims = len(table("claims"))
    page.goto(address + "docs/ledger.html")
    rows = page.locator("table.ledger tbody tr")
    visible = page.locator("table.ledger tbody tr:visible")
    expect(rows).to_have_count(claims)
    count = page.locator(".ledger-controls output")
    expect(count).to_have_text(f"{claims} of {claims} claims")

    page.locator(".ledger-controls input").fill("SPICE")
    expect(count).not_to_have_text(f"{claims} of {claims} claims")
    assert 0 < visible.count() < claims
    assert all("spice" in text.lower() for text in visible.all_inner_texts())
    page.locator(".ledger-controls input").fill("")

    choice = page.locator(".ledger-controls select").first
    word = choice.locator("option").nth(1).inner_text()
    choice.select_option(word)
    column = page.locator("table.ledger th").all_inner_texts().index(choice.get_attribute("name"))
    assert 0 < visible.count() < claims
    assert all(row.locator("td").nth(column).inner_text().startswith(word) for row in visible.all())
    choice.select_option("")

    heading = page.locator("table.ledger th").nth(2)
    for order, sign in (("ascending", 1), ("descending", -1)):
        heading.get_by_role("button").click()
        expect(heading).to_have_attribute("aria-sort", order)
        numbers = [float(t.split()[0]) for t in rows.locator("td:nth-child(3)").all_inner_texts() if t[:1] not in "–"]
        assert numbers == sorted(numbers, key=lambda x: sign * x)


def test_a_claim_leads_to_its_notebook_and_numbers(page, address):
    page.goto(address + "docs/ledger.html")
    links = page.locator("table.ledger tbody tr").first.locator("td").last.locator("a")
    with page.expect_download() as download:
        links.nth(1).click()
    assert download.value.suggested_filename.endswith(".csv")
    links.first.click()
    expect(page.locator("article h1")).to_be_visible()
    assert "/figures/laptop/" in page.url


def test_formulas_are_drawn(page, address):
    page.goto(address + "docs/method.html")
    formulas = page.locator("math")
    assert formulas.count() >= 3
    assert all(formula.bounding_box()["height"] > 5 for formula in formulas.all())


@pytest.mark.parametrize("width", [390, 1280], ids=["phone", "desk"])
def test_pages_fit_their_window(page, address, width):
    page.set_viewport_size({"width": width, "height": 900})
    for name in ("index", "docs/ledger", "docs/results", "figures/laptop/01_pretraining"):
        page.goto(f"{address}{name}.html")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width + 1, name
