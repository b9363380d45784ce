"""The page itself, as Gradio draws it."""

from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from zdlib.apps.demo.depth_view import EMPTY, depth_view
from zdlib.apps.demo.measure import Measured, Request
from zdlib.apps.demo.networks import Networks
from zdlib.apps.predict_command import degrees
from zdlib.errors import ZDError

Measure = Callable[[Request, Callable[[str], None]], Measured]

TITLE = "Depth of a picture, in metres"
_SCRIPT, _STYLE = Path(__file__).with_name("page.js"), Path(__file__).with_name("page.css")
_SCENES = [("automatic", ""), ("indoor", "indoor"), ("outdoor", "outdoor")]
_PROGRESS = gr.Progress()  # Gradio looks for one among a function's defaults
_WAITING = 8  # visitors who may queue; one is served at a time
_CLEAN_EVERY, _KEPT = 300, 3600  # seconds: how often files are looked at, and how long they stay


def build_page(networks: Networks, measure: Measure, examples: list[Path]) -> Any:
    """The page.

    Args:
        networks: what can be chosen.
        measure: of `zdlib.apps.demo.measure`, with all but the request and its listener.
        examples: pictures to try.

    Returns:
        Gradio's `Blocks`.
    """
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(_CLEAN_EVERY, _KEPT)) as page:
        gr.Markdown(f"# {TITLE}\nPictures stay on the machine that serves this page.")
        with gr.Row():
            with gr.Column(scale=2):
                picture, network, scene, fov, button = _choices(networks, examples)
            with gr.Column(scale=3):
                results = _results()
        gr.on(
            [picture.change, button.click],
            _answer(measure),
            [picture, network, scene, fov],
            results,
            concurrency_limit=1,
            api_visibility="private",
            trigger_mode="always_last",
            show_progress_on=results[0],
        )
        network.change(
            lambda name: gr.update(visible=networks.has_scenes(name), value=""),
            network,
            scene,
            api_visibility="private",
            show_progress="hidden",
        )
    page.queue(max_size=_WAITING, default_concurrency_limit=1)
    return page


def _choices(networks: Networks, examples: list[Path]) -> tuple[Any, ...]:
    """The fields for picture, network, scene and field of view, and the button; below them, examples."""
    picture = _picture_field()
    network = gr.Dropdown(networks.choices(), value=networks.default, label="Network", elem_id="network")
    scene = gr.Radio(_SCENES, value="", label="Scene", visible=networks.has_scenes(networks.default))
    fov = gr.Textbox(
        label="Horizontal field of view in degrees",
        placeholder="by the picture's EXIF, else a 28 mm lens",
        max_length=10,
        elem_id="fov",
    )
    button = gr.Button("Measure depth", variant="primary", elem_id="measure")
    if examples:
        rows = [[str(path)] for path in examples]
        gr.Examples(rows, picture, label="Examples (rendered rooms)", cache_examples=False)
    return picture, network, scene, fov, button


def _results() -> list[Any]:
    """The places of the map, a line about it, the points, and the files."""
    view = gr.HTML(EMPTY, js_on_load=_SCRIPT.read_text(encoding="utf-8"), elem_id="depth")
    summary = gr.Markdown(elem_id="summary")
    cloud = gr.Model3D(
        label="Points (drag to turn)",
        clear_color=(0.12, 0.12, 0.12, 1.0),
        camera_position=(100, 80, None),
        interactive=False,
        elem_id="points",
        height=360,
    )
    return [view, summary, cloud, gr.File(label="Files", file_count="multiple", interactive=False, elem_id="files")]


def style() -> str:
    """The page's own rules, after Gradio's."""
    return _STYLE.read_text(encoding="utf-8")


def _picture_field() -> Any:
    """A place to drop a picture. The file reaches `measure` as it is: no decoder of Gradio's opens it."""
    field: Any = gr.Image(
        type="filepath", image_mode=None, sources=["upload", "clipboard"], label="Picture", elem_id="picture"
    )
    field.preprocess = lambda payload: None if payload is None else payload.path
    return field


def _answer(measure: Measure) -> Callable[..., tuple[Any, ...]]:
    """What the button does: the map, a line, the points, the files; or a message in one line."""

    def answer(path: str | None, network: str, scene: str, fov: str, progress: Any = _PROGRESS) -> Any:
        if path is None:
            return EMPTY, "", None, None
        try:
            wanted = Request(Path(path), network, scene or None, _degrees(fov))
            got = measure(wanted, lambda text: progress(None, desc=text))
        except ZDError as error:
            raise gr.Error(str(error), duration=None, print_exception=False) from error
        except MemoryError as error:
            line = "more memory is needed than there is: give a smaller picture"
            raise gr.Error(line, duration=None, print_exception=False) from error
        view = depth_view(got.depth, f"Depth of {wanted.picture.name} in metres")
        cloud = next((str(file) for file in got.files if file.suffix == ".glb"), None)
        return view, got.summary, cloud, [str(file) for file in got.files]

    return answer


def _degrees(text: str) -> float | None:
    """An angle that a lens can see; None of an empty text.

    Raises:
        ZDError: it is none.
    """
    if not text.strip():
        return None
    try:
        return degrees(text)
    except ArgumentTypeError as error:
        raise ZDError(f"field of view: {error}, or leave it empty") from error
