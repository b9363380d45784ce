"""The page in a browser: drop a picture, read metres, turn points, download, without a word to another host."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import rgbd
from PIL import Image

from zdlib.paper.page.printing import BROWSERS

pytest.importorskip("gradio", reason="Gradio is not installed: see the extra demo in pyproject.toml")
playwright = pytest.importorskip("playwright.sync_api")
BROWSER = next((path for name in BROWSERS if (path := shutil.which(name))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine: apt install chromium"),
]

HEIGHT, WIDTH = 96, 128
ROW, COLUMN = 71, 37
SECONDS = 180  # of patience, on a busy machine


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """Pictures, and what `zdlib predict` says of one."""
    folder = tmp_path_factory.mktemp("page")
    Image.fromarray(rgbd.scene(HEIGHT, WIDTH, seed=5)[0]).save(folder / "room.png")
    Image.new("RGB", (200, 200)).save(folder / "too_large.png")
    (folder / "broken.png").write_bytes(b"no picture at all")
    # In a process of its own, as the page is: with other threads than this one may have by now, sums round otherwise.
    command = [sys.executable, "-m", "zdlib", "predict", "room.png", "--points", "-o", "depth"]
    subprocess.run(command, check=True, cwd=folder, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    return folder


@pytest.fixture(scope="module")
def trap():
    """A listener to which the proxy's variables lead a program that asks for another host."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


def started(folder, proxies, *options):
    """The command, with a new folder for its temporary files."""
    folder.mkdir()
    environment = os.environ | proxies | {"TMPDIR": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "zdlib", "demo", "--port", "0", *options]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True)


def ended(process, number, folder):
    """It ends in order, says so, and leaves no file."""
    process.send_signal(number)
    _, said = process.communicate(timeout=SECONDS)
    assert (process.returncode, said) == (0, "zdlib: the page is closed\n")
    assert list(folder.iterdir()) == []


@pytest.fixture(scope="module")
def server(tmp_path_factory, trap):
    """The page's address; at the end the server is stopped as by Ctrl-C."""
    proxy = f"http://127.0.0.1:{trap.getsockname()[1]}"
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"), proxy)
    folder = tmp_path_factory.mktemp("server") / "tmp"
    with started(folder, proxies, "--max-pixels", str(HEIGHT * WIDTH)) as process:
        line = process.stdout.readline()
        if "http://127.0.0.1:" not in line:
            pytest.fail(f"the page was not served: {line}{process.stderr.read()}")
        yield line.split()[1]
        ended(process, signal.SIGINT, folder)


@pytest.fixture(scope="module")
def browser():
    options = ["--disable-background-networking", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with playwright.sync_playwright() as driver:
        sandbox = os.geteuid() != 0  # for root, as in containers, Chromium has none
        running = driver.chromium.launch(executable_path=BROWSER, args=options, chromium_sandbox=sandbox)
        yield running
        running.close()


@pytest.fixture
def visit(browser, server):
    """Opens the page at a width; the page's `hosts` gather who was asked for anything."""
    contexts = []

    def visit(width, height, touch=False):
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, has_touch=touch))
        page = contexts[-1].new_page()
        page.set_default_timeout(SECONDS * 1000)
        page.hosts = set()
        page.on("request", lambda request: page.hosts.add(urlsplit(request.url).hostname))
        page.goto(server)
        page.locator("#picture input[type=file]").wait_for(state="attached")
        return page

    yield visit
    for context in contexts:
        context.close()


def drop(page, path):
    page.set_input_files("#picture input[type=file]", path)


def test_a_picture_gives_the_metres_and_files_of_predict_and_asks_no_other_host(visit, scratch, trap):
    page = visit(1280, 900)
    drop(page, scratch / "room.png")
    page.locator(".zd-depth").wait_for()
    depth = np.load(scratch / "depth/room.npy")
    box = page.locator(".zd-map").bounding_box()
    x, y = (COLUMN + 0.5) / WIDTH * box["width"], (ROW + 0.5) / HEIGHT * box["height"]
    page.mouse.move(box["x"] + x, box["y"] + y)
    value = page.locator(".zd-value")
    assert value.inner_text() == f"{depth[ROW, COLUMN]:.3f} m at column {COLUMN}, row {ROW}"
    page.locator(".zd-depth").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    assert value.inner_text() == f"{depth[ROW - 10, COLUMN + 1]:.3f} m at column {COLUMN + 1}, row {ROW - 10}"
    ends = page.locator(".zd-ticks span").all_inner_texts()
    assert (ends[0], ends[-1]) == (f"{depth.min():.2f} m", f"{depth.max():.2f} m")
    assert "zoe_light" in page.locator("#summary").inner_text()
    page.locator("#points canvas").wait_for()
    for name in ("room.npy", "room.png", "room_preview.png", "room.ply", "room.glb"):
        with page.expect_download() as waiting:
            page.locator(f"#files a[download='{name}']").click()
        assert Path(waiting.value.path()).read_bytes() == (scratch / "depth" / name).read_bytes(), name
    assert page.hosts - {None} == {"127.0.0.1"}  # None: data that an address itself holds
    blocked = "fetch('http://192.0.2.1/').then(() => 'reached', error => String(error))"
    assert "Failed to fetch" in page.evaluate(blocked)
    with pytest.raises(BlockingIOError):
        trap.accept()  # the server asked for nobody, either


def test_what_cannot_be_measured_is_said_in_one_line_and_the_page_goes_on(visit, scratch):
    page = visit(1280, 900)
    said = {
        "broken.png": "broken.png: not a readable image",
        "too_large.png": "too_large.png: 40,000 pixels, the limit is",
    }
    for name, message in said.items():
        drop(page, scratch / name)
        page.get_by_text(message).wait_for()
        page.reload()
    page.locator("#fov input, #fov textarea").fill("190")
    drop(page, scratch / "room.png")
    page.get_by_text("field of view: 190: give degrees between 1 and 170").wait_for()
    assert not page.get_by_text(str(scratch)).count()


def test_uploads_that_are_too_long_or_break_off_are_refused_and_the_page_goes_on(visit, server):
    address = urlsplit(server)
    for headers, body, status in (
        ("Content-Length: 90000000", b"", b"413"),
        ("Transfer-Encoding: chunked", b"5\r\nabcde\r\n0\r\n\r\n", b"411"),
        ("Content-Length: 1000\r\nContent-Type: multipart/form-data; boundary=x", b"--x\r\nhalf a pic", b""),
    ):
        with socket.create_connection((address.hostname, address.port), timeout=SECONDS) as connection:
            start = f"POST /gradio_api/upload HTTP/1.1\r\nHost: {address.netloc}\r\n{headers}\r\n\r\n"
            connection.sendall(start.encode() + body)
            assert not status or status in connection.recv(100)
    assert visit(1280, 900).title()  # and that nothing was reported is seen when the server ends


def test_a_network_of_two_scenes_lets_one_choose(visit):
    page = visit(1280, 900)
    assert not page.get_by_text("outdoor", exact=True).is_visible()
    page.locator("#network input").click()
    page.get_by_role("option", name="zoe_nk_beit_l").click()
    page.get_by_text("outdoor", exact=True).wait_for()


def test_on_a_phone_nothing_sticks_out(visit, scratch):
    page = visit(390, 844, touch=True)
    drop(page, scratch / "room.png")
    page.locator(".zd-map").tap(position={"x": 20, "y": 30})
    assert " m at column " in page.locator(".zd-value").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_visitor_s_address_is_not_fetched(visit):
    """Gradio would fetch an address in the place of an upload; here the answer is an error."""
    script = """async () => {
        const wanted = window.gradio_config.dependencies.find((one) => one.inputs.length === 4);
        const picture = { path: "http://192.0.2.1/a.png", meta: { _type: "gradio.FileData" } };
        const body = { data: [picture, "zoe_light", "", ""], fn_index: wanted.id, session_hash: "visitor" };
        const headers = { "Content-Type": "application/json" };
        await fetch("/gradio_api/queue/join?", { method: "POST", headers, body: JSON.stringify(body) });
        const answer = await fetch("/gradio_api/queue/data?session_hash=visitor");
        return await answer.text();
    }"""
    events = visit(1280, 900).evaluate(script)
    assert "addresses are not fetched: upload the picture" in events
    assert '"success":false' in events.replace(" ", "")


def test_sigterm_ends_it_in_order_too(tmp_path):
    with started(tmp_path / "tmp", {}) as process:
        assert "http://127.0.0.1:" in process.stdout.readline()
        ended(process, signal.SIGTERM, tmp_path / "tmp")
