"""JupyterLab as a reader meets it: a real browser opens notebook 01, runs all its cells, shows tables and figures.

`make test-browser` runs it; plain pytest does not, for it needs a browser. The server has a copy of the notebooks, an
empty run store and settings of its own, and ends with the test.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import nbformat
import psutil
import pytest
from playwright.sync_api import Error, Locator, Page, expect, sync_playwright

from lib.paths import ROOT

NOTEBOOK = "01_pretraining.ipynb"
START_SECONDS, RUN_SECONDS, STEP_SECONDS = 90, 480, 30
SCROLLS = 30  # to one part of the page
CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LAB_FLAGS = [
    "--no-browser",
    "--allow-root",
    "--ip=127.0.0.1",
    "--ServerApp.port_retries=0",
    "--IdentityProvider.token=",
    # should the test be killed before it can end the server, kernel and server end by themselves
    "--MappingKernelManager.cull_idle_timeout=300",
    "--MappingKernelManager.cull_interval=60",
    "--ServerApp.shutdown_no_activity_timeout=120",
]
NO_NEWS = {"fetchNews": "false", "checkForUpdates": False}  # no request to the web, and no question about it

CODE = ".jp-Notebook .jp-CodeCell"
OUTPUT = ".jp-OutputArea-output"
RED = f'{OUTPUT}[data-mime-type="application/vnd.jupyter.stderr"]'  # errors, and warnings too
PROMPT = f"{CODE} .jp-InputArea-prompt"  # [ ]: not run, [*]: waits or runs, [1]: has run
CONNECTED = re.compile(r"^(?!No Kernel).+ \| Idle$")  # in the status bar: the kernel's name and state
ENDED = f"""() => {{
    const prompts = [...document.querySelectorAll("{PROMPT}")].map(prompt => prompt.textContent);
    return prompts[0] == "[1]:" && !prompts.includes("[*]:");
}}"""


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: its address, the folder it serves, and its log."""

    url: str
    notebooks: Path
    log: Path


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """JupyterLab of this environment on a free port of this machine, with nothing of the user's in it."""
    notebooks = Path(shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    places = {f"JUPYTER_{name}_DIR": tmp_path / "jupyter" / name.lower() for name in ("CONFIG", "DATA", "RUNTIME")}
    places |= {f"JUPYTERLAB_{name}_DIR": tmp_path / "jupyter" / name.lower() for name in ("SETTINGS", "WORKSPACES")}
    places |= {"DENOISING_CACHE": tmp_path / "cache", "DENOISING_FIGURES": tmp_path / "figures"}
    places |= {"STATIC_NOTEBOOKS": "1"}  # a slider's figure is no output of a cell, and would not be counted
    news = places["JUPYTERLAB_SETTINGS_DIR"] / "@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text(json.dumps(NO_NEWS))
    lab = Lab(f"http://127.0.0.1:{port}", notebooks, tmp_path / "jupyterlab.log")
    command = [sys.executable, "-m", "jupyterlab", *LAB_FLAGS, f"--port={port}", f"--ServerApp.root_dir={notebooks}"]
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # clean up then as after Ctrl-C
    with lab.log.open("w") as log:
        process = subprocess.Popen(
            command,
            env=os.environ | {name: str(place) for name, place in places.items()},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for_answer(process, port, lab.log)
            yield lab
        finally:
            stop(process)
            signal.signal(signal.SIGTERM, before)


@pytest.fixture
def page(lab: Lab, tmp_path: Path) -> Iterator[Page]:
    """A page of headless Chromium, the one that the variable CHROMIUM names."""
    chromium = shutil.which(os.environ.get("CHROMIUM", "chromium"))
    assert chromium, "no Chromium found: install it (Debian: apt-get install chromium), or set CHROMIUM to its path"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch_persistent_context(
            tmp_path / "chromium",
            executable_path=chromium,
            args=CHROMIUM_FLAGS,
            viewport={"width": 1280, "height": 900},
        )
        browser.set_default_timeout(1000 * STEP_SECONDS)
        try:
            yield browser.pages[0]
        finally:
            browser.close()


def wait_for_answer(process: subprocess.Popen, port: int, log: Path) -> None:
    """Return when the server answers; fail when it has ended or stays silent."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    state = "is silent" if process.poll() is None else f"ended with {process.returncode}"
    pytest.fail(f"JupyterLab {state} on port {port}; its log ends:\n{tail(log)}", pytrace=False)


def stop(process: subprocess.Popen) -> None:
    """End the server, its kernels and their worker processes: asked first, then by force."""
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for left in psutil.wait_procs(family, timeout=3)[1]:
        left.kill()


def tail(log: Path, lines: int = 25) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


@contextmanager
def explained(page: Page, log: Path, screenshot: Path) -> Iterator[None]:
    """A failure comes with the red output that the page shows, a screenshot, and the end of the server's log."""
    try:
        yield
    except (AssertionError, Error) as error:
        red = "unknown, the page is gone"
        with suppress(Error):
            red = "\n".join(page.locator(RED).all_inner_texts()) or "none"
            page.screenshot(path=screenshot)
        parts = (str(error), f"Red output on the page: {red}", f"Screenshot: {screenshot}", f"{log} ends:\n{tail(log)}")
        raise pytest.fail.Exception("\n\n".join(parts), pytrace=False) from None


def run_all_cells(page: Page, url: str, n_code: int) -> None:
    """Open a notebook, take *Run All Cells* from the menu, wait until nothing runs any more, and save."""
    page.goto(url)
    expect(page.locator(CODE)).to_have_count(n_code, timeout=1000 * START_SECONDS)
    expect(page.get_by_text(CONNECTED)).to_be_visible(timeout=1000 * START_SECONDS)  # else a dialog asks for a kernel
    choose(page, "Run", "Run All Cells")
    page.wait_for_function(ENDED, timeout=1000 * RUN_SECONDS)
    choose(page, "File", "Save Notebook")
    expect(page.locator(".lm-TabBar-tab.jp-mod-dirty")).to_have_count(0)


def choose(page: Page, menu: str, item: str) -> None:
    """Click an item of the menu bar; its shortcut, which follows its name, does not matter."""
    page.get_by_role("menuitem", name=menu, exact=True).click()
    page.locator(".lm-Menu-item", has=page.get_by_text(item, exact=True)).click()


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    """The code cells of a notebook file."""
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


def seen(part: Locator) -> Locator:
    """``part``, scrolled to. The page grows while cells above it are drawn, so it is scrolled to until it stays."""
    for _ in range(SCROLLS):
        part.scroll_into_view_if_needed()
        expect(part).to_be_visible()
        try:
            expect(part).to_be_in_viewport(timeout=1000)
        except AssertionError:
            continue
        return part
    expect(part).to_be_in_viewport()
    return part


def check_tables(page: Page, n_tables: int) -> None:
    """Every table that the cells made is on the page, with rows, and measured numbers are among them."""
    assert n_tables, "no cell made a table"
    tables = page.locator(f"{OUTPUT} table")
    expect(tables).to_have_count(n_tables)
    texts = [seen(table).locator("tbody td").all_inner_texts() for table in tables.all()]
    assert all(texts), f"a table has no rows: {texts}"
    assert any(re.fullmatch(r"\d+\.\d+", text) for text in chain(*texts)), f"no table has a number: {texts}"


def check_figures(page: Page, n_figures: int) -> None:
    """Every figure that the cells made is on the page, and is drawn."""
    assert n_figures, "no cell made a figure"
    figures = page.locator(f"{OUTPUT}.jp-RenderedImage img")
    expect(figures).to_have_count(n_figures)
    for figure in figures.all():
        assert seen(figure).evaluate("image => image.complete && image.naturalWidth") > 100, "a figure is empty"


def test_notebook_runs_in_the_browser(lab: Lab, page: Page, tmp_path: Path):
    """No cell fails, networks are trained, and the page shows every table and figure."""
    path = lab.notebooks / NOTEBOOK
    n_code = len(code_cells(path))
    with explained(page, lab.log, tmp_path / "failed.png"):
        run_all_cells(page, f"{lab.url}/lab/tree/{NOTEBOOK}", n_code)
        outputs = [output for cell in code_cells(path) for output in cell.outputs]
        assert outputs, f"{NOTEBOOK} was saved without outputs"
        failed = [f"{output.ename}: {output.evalue}" for output in outputs if output.output_type == "error"]
        assert not failed, f"a cell of {NOTEBOOK} failed: {failed}"
        expect(page.locator(PROMPT)).to_have_text([f"[{k}]:" for k in range(1, n_code + 1)])
        expect(page.locator(CODE).last.locator(OUTPUT)).to_be_visible()
        assert any((tmp_path / "cache" / "runs").iterdir()), "no run was trained"

        data = [output.get("data", {}) for output in outputs]
        check_tables(page, sum("<table" in shown.get("text/html", "") for shown in data))
        check_figures(page, sum("image/png" in shown for shown in data))
        page.screenshot(path=tmp_path / "jupyterlab.png")
