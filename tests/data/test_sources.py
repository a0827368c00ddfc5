"""Downloads from a server on this machine that breaks off, sends wrong bytes, answers 404, or serves a bad archive."""

import hashlib
import io
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import yaml
from conftest import full_disk, make_molecule

from lib.chemistry.reference_energies import LEVELS
from lib.data.datasets import FAMILIES
from lib.data.readers import PUBLISHED_PARTS, READERS
from lib.data.readers.archives import unpack
from lib.data.sources import SOURCES, SourceFile, beside_table1, fetch, find_source, load_sources, verify
from lib.data.store import ConformationStore
from lib.errors import DataError
from lib.paths import DATA

CONTENT = np.random.default_rng(0).bytes(1_000_000)


def archive(name: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = 5
        tar.addfile(member, io.BytesIO(b"inner"))
    return buffer.getvalue()


@pytest.fixture
def server():
    """Serves `CONTENT` with ranges; ``server.stop_after`` bytes end the next answer early."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            holder.ranges.append(self.headers.get("Range"))
            files = {
                "/good": CONTENT,
                "/wrong": b"x" + CONTENT[1:],
                "/a.tar.gz": archive("in/a.txt"),
                "/bad.tar.gz": archive("../escaped.txt"),
                **holder.more,
            }
            if self.path not in files:
                self.send_error(404)
                return
            body = files[self.path]
            start = int(self.headers["Range"].split("=")[1].rstrip("-")) if "Range" in self.headers else 0
            if start > len(body):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            stop, holder.stop_after = holder.stop_after, None
            self.wfile.write(body[start:] if stop is None else body[start:][:stop])

        def log_message(self, *_):
            pass

    holder = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    holder.ranges, holder.stop_after, holder.more = [], None, {}
    thread = threading.Thread(target=holder.serve_forever, daemon=True)
    thread.start()
    yield holder
    holder.shutdown()
    holder.server_close()


def source(server, path, md5=None):
    return [SourceFile(f"http://127.0.0.1:{server.server_port}/{path}", path, md5, None)]


MD5 = hashlib.md5(CONTENT).hexdigest()


def test_fetch_and_verify(server, tmp_path):
    files = source(server, "good", MD5)
    assert verify(files, tmp_path) == {"good": "missing"}
    (path,) = fetch(files, tmp_path, progress=False)
    assert path.read_bytes() == CONTENT
    assert verify(files, tmp_path) == {"good": "as published"}
    fetch(files, tmp_path, progress=False)
    assert len(server.ranges) == 1  # what is there and right is not fetched again


def test_broken_download_goes_on(server, tmp_path):
    server.stop_after = 700_000
    with pytest.raises(DataError, match=r"broke off.*call again"):
        fetch(source(server, "good", MD5), tmp_path, progress=False)
    assert not (tmp_path / "good").exists()
    (path,) = fetch(source(server, "good", MD5), tmp_path, progress=False)
    assert path.read_bytes() == CONTENT
    first, second = server.ranges
    assert first is None
    assert int(second.removeprefix("bytes=").rstrip("-")) > 500_000


def test_part_of_another_file_is_dropped(server, tmp_path):
    (tmp_path / ".good.part").write_bytes(bytes(2_000_000))
    assert fetch(source(server, "good", MD5), tmp_path, progress=False)[0].read_bytes() == CONTENT


def test_wrong_bytes(server, tmp_path):
    with pytest.raises(DataError, match="another checksum"):
        fetch(source(server, "wrong", MD5), tmp_path, progress=False)
    assert not (tmp_path / "wrong").exists()


def test_not_found(server, tmp_path):
    with pytest.raises(DataError, match=r"404.*page"):
        fetch(source(server, "none"), tmp_path, progress=False)


def test_unknown_checksum_is_trusted_once(server, tmp_path):
    files = source(server, "good")
    (tmp_path / "by-hand").mkdir()
    (tmp_path / "by-hand" / "good").write_bytes(b"something")
    assert verify(files, tmp_path / "by-hand") == {"good": "of no known checksum"}
    (path,) = fetch(files, tmp_path, progress=False)
    assert verify(files, tmp_path) == {"good": "as first fetched"}
    path.write_bytes(b"something else")
    assert verify(files, tmp_path) == {"good": "changed"}


def test_archive_is_unpacked_inside_only(server, tmp_path):
    fetch(source(server, "a.tar.gz"), tmp_path / "data", progress=False)
    assert (tmp_path / "data" / "in" / "a.txt").read_bytes() == b"inner"
    with pytest.raises(DataError, match="cannot be unpacked"):
        fetch(source(server, "bad.tar.gz"), tmp_path / "data", progress=False)
    assert not list(tmp_path.rglob("escaped.txt"))


def test_interrupted_unpacking_is_done_again(server, tmp_path):
    (path,) = fetch(source(server, "a.tar.gz"), tmp_path, progress=False)
    (tmp_path / "in" / "a.txt").unlink()
    fetch(source(server, "a.tar.gz"), tmp_path, progress=False)
    assert not (tmp_path / "in").is_file()  # unpacked once
    (tmp_path / f".{path.name}.unpacked").unlink()  # as if it had been killed in the middle
    fetch(source(server, "a.tar.gz"), tmp_path, progress=False)
    assert (tmp_path / "in" / "a.txt").read_bytes() == b"inner"
    assert len(server.ranges) == 1  # fetched once


def published(name: str) -> dict[str, bytes]:
    """The mini data set ``name``, of MD22 one system, as its published files are named and packed."""
    folder, first = DATA / "mini" / name, load_sources()[name].files[0].name
    if name == "ani1":
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
            tar.add(folder, "ANI-1_release")
        return {first: buffer.getvalue()}
    return {first: (folder / first if name == "md22" else next(folder.iterdir())).read_bytes()}


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_what_is_fetched_can_be_read(server, tmp_path, name):
    contents = published(name)
    server.more = {f"/{file}": content for file, content in contents.items()}
    fetch([file for n in contents for file in source(server, n)], tmp_path, progress=False)
    found = {m.name: m.energy for m in READERS[name](tmp_path)}
    expected = {m.name: m.energy for m in READERS[name](DATA / "mini" / name)}
    assert found
    assert all(np.array_equal(energy, expected[molecule]) for molecule, energy in found.items())
    if name in PUBLISHED_PARTS:
        assert PUBLISHED_PARTS[name](tmp_path)["train"][1] is not None


def test_cut_archive(tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(archive("in/a.txt")[:-20])
    with pytest.raises(DataError, match=r"a\.tar\.gz: it cannot be unpacked"):
        unpack(tmp_path / "a.tar.gz", tmp_path)


def test_sources_are_complete():
    sources = load_sources()
    assert set(sources) == set(FAMILIES)
    assert all(source.level in LEVELS for source in sources.values())
    assert sum(s.table1["conformations"] for s in sources.values()) == 24687809 + 5496771 + 645000 + 1132808 + 223422
    assert len(sources["md22"].files) == 7
    with pytest.raises(ValueError, match="choose from"):
        find_source("qm9")


def test_unknown_key_in_the_sources(tmp_path):
    entry = yaml.safe_load(SOURCES.read_text())["spice"]
    (tmp_path / "s.yml").write_text(yaml.safe_dump({"spice": entry | {"licens": "?"}}))
    with pytest.raises(DataError, match="licens"):
        load_sources(tmp_path / "s.yml")


def test_table1_is_held_against_the_store(tmp_path):
    store = ConformationStore.write([make_molecule("w", [8, 1, 1], 5, 0)], tmp_path / "s")
    lines = beside_table1(store, find_source("ani1x"))
    assert "molecules: 1 (Table 1 prints 63865)" in lines
    assert "atoms: [3, 3] (Table 1 prints [2, 63])" in lines
    assert lines[-1].startswith("note: the file groups")


def test_a_full_disk_breaks_a_download_off_and_it_goes_on(server, tmp_path):
    with full_disk(700_000), pytest.raises(OSError, match=r"good: it cannot be written \(File too large\)"):
        fetch(source(server, "good", MD5), tmp_path, progress=False)
    assert not (tmp_path / "good").exists()
    (path,) = fetch(source(server, "good", MD5), tmp_path, progress=False)
    assert path.read_bytes() == CONTENT
    assert server.ranges[-1] == "bytes=700000-"
