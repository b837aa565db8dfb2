"""The page's second tab: the clips of a cache, how each fared, which are alike, the map of a space.

Knows a Browser; Gradio draws.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from emo.app.browse import MOST_LISTED, Browser
from emo.app.drawing import alert
from emo.app.refusals import refusal_of
from emo.clip import Clip


def browse_tab(browser: Browser, clips: Sequence[Clip]) -> None:
    """Lay the tab out, inside the tabs of the page."""
    import gradio as gr

    places = {clip.clip_id: number for number, clip in enumerate(clips)}
    spaces = browser.spaces
    with gr.Tab("The cache") as tab:
        more = f" The first {MOST_LISTED} of {browser.all} are shown." if browser.all > MOST_LISTED else ""
        gr.Markdown(f"{browser.all} clips, {len(spaces)} feature spaces.{more} Click a clip to look at it.")
        with gr.Row():
            with gr.Column(scale=6):
                table = gr.Dataframe(
                    browser.table(),
                    headers=browser.columns,
                    datatype="str",
                    interactive=False,
                    max_height=340,
                    show_search="filter",
                    elem_id="emo-clips",
                )
                colour = gr.Radio(["label", "speaker", "split"], value="label", label="Coloured by")
                plane = gr.Plot(show_label=False, elem_id="emo-map")
            with gr.Column(scale=5):
                space = gr.Dropdown(
                    spaces, value=next(iter(spaces), None), label="Space", elem_id="emo-space"
                )
                chosen = gr.Textbox(label="Clip", elem_id="emo-chosen")
                player = gr.HTML(elem_id="emo-player", elem_classes="emo-player")
                near = gr.Dataframe(
                    headers=["most alike", "label", "cosine"],
                    datatype="str",
                    interactive=False,
                    elem_id="emo-near",
                )

    def look(title: str, clip_id: str) -> tuple[str, list[list[str]]]:
        if not clip_id:
            return "", []
        try:
            rows = [[name, label, f"{like:.3f}"] for name, label, like in browser.neighbours(title, clip_id)]
        except Exception as error:  # the edge of the page: every error becomes words
            return _player(browser, places, clip_id) + alert(refusal_of(error).sentence()), []
        return _player(browser, places, clip_id), rows

    def draw(title: str, by: Any) -> Any:
        try:
            return browser.map(title, by)
        except Exception as error:  # the edge of the page: every error becomes words
            gr.Warning(refusal_of(error).sentence())
            return None

    def click(event: Any) -> str:
        return str(event.row_value[0])

    click.__annotations__["event"] = gr.SelectData  # Gradio asks for the class to know what it is to give
    table.select(click, outputs=chosen, api_visibility="private")
    for changed in (chosen, space):
        changed.change(look, [space, chosen], [player, near], api_name="neighbours")
    for asked in (tab.select, space.change, colour.change):
        asked(draw, [space, colour], plane, api_name="map")


def _player(browser: Browser, places: dict[str, int], clip_id: str) -> str:
    """The clip's media as HTML, where it is at hand."""
    clip = browser.clip(clip_id)
    name = html.escape(clip_id)
    if clip is None or not clip.path.is_file():
        return f'<p class="emo-note">{name}: its media is not at hand.</p>'
    cut = "" if clip.start is None and clip.end is None else f"#t={clip.start or 0},{clip.end or ''}"
    said = f'<p class="emo-note">{html.escape(clip.text)}</p>' if clip.text else ""
    return f'<video controls preload="metadata" src="media/{places[clip_id]}{cut}"></video>{said}'
