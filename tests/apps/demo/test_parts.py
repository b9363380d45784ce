"""The page's parts without a page: what it measures, what its guard lets through, how its server starts and fails."""

import asyncio
import base64
import io
import re
import socket
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import numpy as np
import pytest
import rgbd
from packaging.requirements import Requirement
from PIL import Image

from zdlib.apps.command_line import main
from zdlib.apps.demo import examples
from zdlib.apps.demo.depth_view import MOST_VALUES, depth_view
from zdlib.apps.demo.guard import POLICY, Guard, is_needed
from zdlib.apps.demo.measure import Request, measure
from zdlib.apps.demo.networks import Networks
from zdlib.apps.demo.server import GRADIO, Settings, listening
from zdlib.errors import ZDError
from zdlib.gates.opening import Limit

ROOT = Path(__file__).resolve().parents[3]
PIXELS = Limit("--max-pixels", 10_000, "pixels")


@pytest.fixture(scope="module")
def networks():
    return Networks(say=lambda line: None)


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "my room.png"
    Image.fromarray(rgbd.scene(60, 80, seed=3)[0]).save(path)
    return path


def test_what_is_measured_is_what_predict_writes(networks, picture, tmp_path):
    assert main(["predict", str(picture), "--points", "--fov", "70", "-o", str(tmp_path / "depth")]) == 0
    (tmp_path / "results").mkdir()
    got = measure(networks, PIXELS, tmp_path / "results", Request(picture, "zoe_light", fov=70.0))
    assert {file.name for file in got.files} == {file.name for file in (tmp_path / "depth").iterdir()}
    for file in got.files:
        assert file.read_bytes() == (tmp_path / "depth" / file.name).read_bytes(), file.name
    assert np.array_equal(got.depth, np.load(tmp_path / "depth/my room.npy"))
    assert "80 × 60 pixels, lens given" in got.summary


def test_what_cannot_be_measured_is_one_line_without_the_server_s_folders(networks, picture, tmp_path):
    cases = {
        "broken.png": (b"no picture", "broken.png: not a readable image"),
        "large.png": (encoded(np.zeros((101, 100, 3), np.uint8)), "large.png: 10,100 pixels, the limit is 10,000"),
    }
    for name, (content, message) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ZDError, match=re.escape(message)) as refusal:
            measure(networks, PIXELS, tmp_path, Request(tmp_path / name, "zoe_light"))
        assert str(tmp_path) not in str(refusal.value)
    with pytest.raises(ZDError, match="no such model"):
        measure(networks, PIXELS, tmp_path, Request(picture, "zoe_dark"))
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def encoded(picture):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "png")
    return file.getvalue()


def test_a_full_disk_leaves_no_half_of_the_results(networks, picture, tmp_path, monkeypatch):
    (tmp_path / "results").mkdir()
    written = []

    def fills_up(path, content):
        if written:
            raise OSError(28, "No space left on device")
        written.append(path)

    monkeypatch.setattr(Path, "write_bytes", fills_up)
    with pytest.raises(ZDError, match="the results cannot be written"):
        measure(networks, PIXELS, tmp_path / "results", Request(picture, "zoe_light"))
    assert not list((tmp_path / "results").iterdir())


def test_networks_of_metres_are_offered_and_those_with_two_heads_have_scenes(networks):
    names = [name for _, name in networks.choices()]
    assert names[:3] == ["zoe_light", "meter_nyu", "meter_kitti"]
    assert {"zoe_beit_l", "zoe_nk_beit_l", "depth_anything_v2_metric_indoor_s"} <= set(names)
    assert "depth_anything_v2_s" not in names  # relative depth
    assert [name for name in names if networks.has_scenes(name)] == ["zoe_nk_beit_l"]


def test_the_view_holds_the_numbers_of_the_map_and_its_ends():
    depth = np.linspace(0.5, 80.25, 1200 * 900, dtype=np.float32).reshape(900, 1200)
    view = depth_view(depth, 'a "picture" & <more>')
    data = {key: re.search(rf'data-{key}="([^"]*)"', view)[1] for key in ("step", "rows", "columns", "values")}
    step, shape = int(data["step"]), (int(data["rows"]), int(data["columns"]))
    values = np.frombuffer(base64.b64decode(data["values"]), "<f4").reshape(shape)
    assert step == 2
    assert values.size <= MOST_VALUES
    assert np.array_equal(values, depth[::step, ::step])
    assert "<span>0.50 m</span>" in view
    assert f"<span>{values.max():.2f} m</span>" in view
    assert "a &quot;picture&quot; &amp; &lt;more&gt;" in view


def test_a_flat_map_has_a_view():
    assert "<span>2.00 m</span>" in depth_view(np.full((3, 4), 2, np.float32), "flat")


def test_a_wheel_alone_has_no_examples_and_a_checkout_has_rendered_rooms(tmp_path, monkeypatch):
    monkeypatch.setattr(examples, "repo_root", refuse)
    assert examples.example_pictures(tmp_path / "none") == []
    monkeypatch.undo()
    pictures = examples.example_pictures(tmp_path / "rooms")
    assert len(pictures) == examples.COUNT
    assert all(path.name.startswith("rendered_") for path in pictures)
    assert all(np.asarray(Image.open(path)).std() > 10 for path in pictures)


def refuse():
    raise ZDError("not a checkout")


# ------------------------------------------------------------------------------------------------------------- guard
def answer(guard, path="/", headers=(("host", "127.0.0.1:7860"),)):
    """Status and headers of the guard's answer to a request without a body."""
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    raw = [(key.encode(), value.encode()) for key, value in headers]
    asyncio.run(guard({"type": "http", "path": path, "headers": raw}, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"])


async def answers(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})


def test_the_guard_bounds_a_body_by_its_length():
    guard = Guard(answers, 100, None)
    for length, status in (("100", 200), ("101", 413), ("-1", 413), ("9" * 400, 413), ("", 413)):
        assert answer(guard, headers=[("content-length", length)])[0] == status, length
    assert answer(guard, headers=[("transfer-encoding", "chunked")])[0] == 411


def test_the_guard_answers_to_its_machine_s_names_alone():
    guard = Guard(answers, 100, frozenset({"127.0.0.1", "localhost", "[::1]"}))
    cases = {
        "127.0.0.1:7860": 200,
        "LOCALHOST": 200,
        "[::1]:7860": 200,
        "evil.example": 403,
        "127.0.0.1.evil.example": 403,
        "": 403,
    }
    assert {host: answer(guard, headers=[("host", host)])[0] for host in cases} == cases
    assert answer(guard, headers=[])[0] == 403
    assert answer(Guard(answers, 100, None), headers=[("host", "my.machine")])[0] == 200


def test_the_guard_lets_through_what_the_page_needs_and_says_what_a_browser_may_load():
    needed = ("/", "/config", "/assets/index.js", "/gradio_api/upload", "/gradio_api/file=/tmp/x/room.glb")
    others = (
        "/gradio_api/process_recording",
        "/gradio_api/proxy=https://example.org/",
        "/gradio_api/file=https://example.org/a.png",
        "/gradio_api/vibe-code",
        "/gradio_api/call/predict",
        "/gradio_api/dev/reload",
        "/monitoring",
        "/login",
    )
    assert all(map(is_needed, needed))
    assert not any(map(is_needed, others))
    for path, status in ((needed[0], 200), (others[0], 404)):
        got, headers = answer(Guard(answers, 100, None), path)
        assert (got, headers[b"content-security-policy"]) == (status, POLICY.encode())
    assert not re.search(r"https?:|\*", POLICY)  # nothing but this page's own host


# ------------------------------------------------------------------------------------------------------------ server
def refused(capsys, *options):
    assert main(["demo", *options]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_a_taken_port_and_a_foreign_address_are_one_line(capsys):
    with listening("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        line = f"zdlib: --port {port}: is in use: choose another, or 0 for a free one"
        assert refused(capsys, "--port", str(port)) == line
    assert "no address of this machine" in refused(capsys, "--host", "192.0.2.1", "--port", "0")
    assert "no address of this machine" in refused(capsys, "--host", "a" * 300, "--port", "0")
    assert "--model: says what --weights holds" in refused(capsys, "--model", "zoe_beit_l")


def test_it_listens_on_this_machine_alone_unless_told():
    assert Settings().host == "127.0.0.1"
    with listening(Settings().host, 0) as local:
        assert local.getsockname()[0] == "127.0.0.1"
        assert local.family == socket.AF_INET


@pytest.mark.parametrize("port", ["70000", "-1", "x", "²"])
def test_a_port_is_a_number(port, capsys):
    with pytest.raises(SystemExit):
        main(["demo", "--port", port])
    assert "give a number between 0 and 65535" in capsys.readouterr().err


def test_a_missing_extra_is_one_line_that_names_it():
    script = "import sys; sys.modules['gradio'] = None; from zdlib.apps.command_line import main; "
    command = [sys.executable, "-c", f"{script}sys.exit(main(['demo', '--port', '0']))"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "zdlib: zdlib demo needs the extra demo, and Gradio (gradio is missing): pip install 'zdlib[demo]' && pip "
        f"install --no-deps gradio=={GRADIO}\n"
    )


def test_gradio_s_version_is_that_of_pyproject_and_the_extra_has_what_it_needs():
    content = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert content["tool"]["zdlib"]["without-dependencies"] == f"gradio=={GRADIO}"
    assert f"gradio=={GRADIO}" in (ROOT / "README.md").read_text()
    assert f"gradio=={GRADIO}" in (ROOT / "environment.yml").read_text()
    try:
        needed = [Requirement(line) for line in requires("gradio") or []]
    except PackageNotFoundError:
        pytest.skip("Gradio is not installed")
    assert version("gradio") == GRADIO
    there = [need for need in needed if need.marker is None or need.marker.evaluate({"extra": ""})]
    unmet = {need.name for need in there if not need.specifier.contains(version(need.name))}
    assert unmet <= {"pillow"}, "the extra demo in pyproject.toml pins another version than Gradio needs"
