"""review.html: clips beside what was made of them, for a person who accepts or rejects.

One file: no script, font or picture from anywhere else; clips play from where they lie, by relative path. The
verdicts stay in the browser, over reloads too, until they are downloaded as review.json, which the next build
honours.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from html import escape
from pathlib import Path
from urllib.parse import quote

from emo.clip import Clip
from emo.errors import MediaError
from emo.evaluation.report_style import CSS
from emo.extractors.action_units import UnitTable
from emo.merr.built import Built
from emo.merr.clues import unit_table
from emo.merr.coarse import Draft, unit_name
from emo.merr.folder import PICTURES, BuildFolder
from emo.merr.verdicts import Verdict, text_digest
from emo.merr.written import Written

MOST_SHOWN = 300  # clips on one page
CURVES = 5  # units drawn for a clip
WIDTH, HEIGHT, LEFT = 320, 96, 4
COLOURS = ("#2f5bea", "#c2410c", "#0b7a5b", "#9333ea", "#b42334")
POLICY = (
    "default-src 'none'; img-src 'self' data: file:; media-src 'self' file:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; base-uri 'none'"
)
STYLE = """
main { max-width: 1180px; }
.bar { position: sticky; top: 0; z-index: 2; display: flex; flex-wrap: wrap; gap: 8px 16px;
  align-items: center; background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 10px 14px; }
.bar span { color: var(--muted); font-size: 0.9rem; flex: 1; min-width: 14em; }
button { font: inherit; font-size: 0.9rem; padding: 6px 14px; border-radius: 8px; cursor: pointer;
  border: 1px solid var(--line); background: var(--page); color: var(--ink); }
button:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
button[aria-pressed=true].yes { background: var(--good); border-color: var(--good); color: var(--card); }
button[aria-pressed=true].no { background: var(--bad); border-color: var(--bad); color: var(--card); }
.main { background: var(--accent); border-color: var(--accent); color: var(--card); }
.item { display: grid; grid-template-columns: minmax(0, 320px) minmax(0, 1fr); gap: 18px; padding: 18px; }
.item video, .item img { width: 100%; border-radius: 8px; background: #000; display: block; }
.item svg { width: 100%; height: auto; margin-top: 8px; display: block; }
.item h2 { font-size: 1rem; overflow-wrap: anywhere; }
.item p { margin: 6px 0; font-size: 0.95rem; }
.item dl { margin: 8px 0 10px; }
.keys { display: flex; flex-wrap: wrap; gap: 2px 12px; font-size: 0.78rem; color: var(--muted); }
.keys i { display: inline-block; width: 10px; height: 3px; margin-right: 5px; vertical-align: middle; }
.verdict { display: flex; flex-wrap: wrap; gap: 8px; margin-top: 12px; }
.verdict input { font: inherit; font-size: 0.9rem; flex: 1; min-width: 10em; padding: 6px 10px;
  border: 1px solid var(--line); border-radius: 8px; background: var(--page); color: var(--ink); }
.tag { display: inline-block; border: 1px solid var(--line); border-radius: 99px; padding: 0 10px;
  font-size: 0.8rem; color: var(--muted); }
@media (max-width: 720px) { .item { grid-template-columns: 1fr; } }
""".strip()
SCRIPT = """
const items = [...document.querySelectorAll("[data-clip]")];
const built = document.getElementById("verdicts").textContent;
const place = "emo review " + location.pathname;
const told = document.getElementById("told");
let verdicts = JSON.parse(built);
try {  // what was said before a reload, unless a build has read other verdicts since
  const kept = JSON.parse(localStorage.getItem(place));
  if (kept && kept.built === built) verdicts = kept.verdicts;
} catch {}
function keep() {
  try { localStorage.setItem(place, JSON.stringify({built: built, verdicts: verdicts})); } catch {}
}
function draw() {
  let yes = 0, no = 0;
  for (const item of items) {
    const found = verdicts[item.dataset.clip];
    for (const button of item.querySelectorAll("button"))
      button.setAttribute("aria-pressed", String(!!found && found.verdict === button.value));
    if (found && found.verdict === "accept") yes++;
    if (found && found.verdict === "reject") no++;
  }
  told.textContent = `${yes} accepted, ${no} rejected, ${items.length - yes - no} open`;
}
for (const item of items) {
  const note = item.querySelector("input");
  const found = verdicts[item.dataset.clip];
  if (found) note.value = found.note || "";
  for (const button of item.querySelectorAll("button")) button.onclick = () => {
    const before = verdicts[item.dataset.clip];
    if (before && before.verdict === button.value) delete verdicts[item.dataset.clip];
    else verdicts[item.dataset.clip] = {verdict: button.value, text: item.dataset.text, note: note.value};
    keep();
    draw();
  };
  note.oninput = () => {
    if (verdicts[item.dataset.clip]) verdicts[item.dataset.clip].note = note.value;
    keep();
  };
}
document.getElementById("save").onclick = () => {
  const text = JSON.stringify({schema_version: 1, verdicts: verdicts}, null, 1);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type: "application/json"}));
  link.download = "review.json";
  link.click();
};
draw();
""".strip()


def review_page(built: Built, verdicts: Mapping[str, Verdict]) -> str:
    """The page of a build: the coarse set with its reasons, MOST_SHOWN at most, the unread first."""
    written = {each.draft.clip_id: each for each in built.fine.written}
    drafts = sorted(built.drafts, key=lambda draft: draft.clip_id in verdicts)[:MOST_SHOWN]
    clips = {clip.clip_id: clip for clip in built.clips}
    items = [_item(built, clips[draft.clip_id], draft, written.get(draft.clip_id)) for draft in drafts]
    said = {
        clip_id: {"verdict": each.verdict, "text": each.text, "note": each.note}
        for clip_id, each in verdicts.items()
    }
    count = len(built.drafts)
    more = f" The first {MOST_SHOWN} of {count} are shown." if count > MOST_SHOWN else ""
    return (
        "\n".join(
            [
                '<!doctype html><html lang="en"><head><meta charset="utf-8">',
                '<meta name="viewport" content="width=device-width, initial-scale=1">',
                f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
                f"<title>Review</title><style>{CSS}\n{STYLE}</style></head><body><main>",
                "<h1>Review</h1>",
                '<p class="subtitle">Accept what the clip bears out, reject what it does not. Download the '
                f"verdicts as review.json into this folder and build again.{escape(more)}</p>",
                '<div class="bar"><span id="told" role="status"></span>',
                '<button id="save" class="main">Download review.json</button></div>',
                *items,
                f'<script type="application/json" id="verdicts">{_json(said)}</script>',
                f"<script>{SCRIPT}</script></main></body></html>",
            ]
        )
        + "\n"
    )


def _item(built: Built, clip: Clip, draft: Draft, written: Written | None) -> str:
    reason = written.reason if written else ""
    digest = text_digest(draft.caption, reason)
    rows = {
        "said": draft.subtitle,
        "voice": draft.tone,
        "picture": draft.picture,
        "face at the peak": ", ".join(draft.unit_phrases.values()),
        "peak": f"frame {draft.face.peak_frame} of {draft.face.frames}, {draft.face.peak_time:.2f} s",
        "manifest's label": clip.label or "",
        "speaks against it": ", ".join(written.finding.false_clues) if written else "",
    }
    shown = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in rows.items() if text)
    fine = f"<p>{escape(reason)}</p>" if reason else '<p class="caption">Not in the fine set.</p>'
    return (
        f'<section class="item" data-clip="{escape(clip.clip_id)}" data-text="{digest}"><div>'
        f"{_media(built, clip)}{_curves(clip, draft)}</div><div>"
        f'<h2>{escape(clip.clip_id)} <span class="tag">{escape(draft.label)}</span></h2>'
        f'<dl>{shown}</dl><p class="caption">{escape(draft.caption)}</p>{fine}'
        f'<div class="verdict"><button class="yes" value="accept">Accept</button>'
        f'<button class="no" value="reject">Reject</button>'
        f'<input aria-label="Note" placeholder="Note"></div></div></section>'
    )


def _media(built: Built, clip: Clip) -> str:
    """The clip, with the picture of its peak until it plays."""
    picture = BuildFolder(built.out).keyed(PICTURES, built.clues[clip.clip_id].key, ".jpg")
    part = "" if clip.start is None and clip.end is None else f"#t={clip.start or 0}"
    if part and clip.end is not None:
        part += f",{clip.end}"
    video, poster = _relative(clip.path, built.out), _relative(picture, built.out)
    return f'<video controls preload="none" poster="{poster}" src="{video}{part}"></video>'


def _relative(path: Path, folder: Path) -> str:
    return escape(quote(Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()))


def _curves(clip: Clip, draft: Draft) -> str:
    """The strongest units of the peak over time, as SVG, the peak as a line; nothing where there are none."""
    try:
        table = unit_table(clip)
    except MediaError:
        return ""
    units = [unit for unit in draft.face.units if unit in table.levels][:CURVES]
    if not units:
        return ""
    peak = _x(table, draft.face.peak_time)
    lines = "".join(
        f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{_points(table, unit)}"/>'
        for unit, colour in zip(units, COLOURS, strict=False)
    )
    names = "".join(
        f'<span><i style="background:{colour}"></i>{unit_name(unit)}</span>'
        for unit, colour in zip(units, COLOURS, strict=False)
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Action units over time">'
        f'<line x1="{LEFT}" x2="{WIDTH}" y1="{HEIGHT - 4}" y2="{HEIGHT - 4}" stroke="#98a2b3"/>'
        f'<line x1="{peak}" x2="{peak}" y1="0" y2="{HEIGHT - 4}" stroke="#98a2b3" stroke-dasharray="3 2"/>'
        f'{lines}</svg><div class="keys">{names}<span>dashed: the peak; full height: 5</span></div>'
    )


def _points(table: UnitTable, unit: int) -> str:
    span = HEIGHT - 8
    return " ".join(
        f"{_x(table, float(time))},{HEIGHT - 4 - span * min(float(level), 5.0) / 5:.1f}"
        for time, level in zip(table.times, table.levels[unit], strict=True)
    )


def _x(table: UnitTable, time: float) -> str:
    first, last = float(table.times[0]), float(table.times[-1])
    share = (time - first) / (last - first) if last > first else 0.5
    return f"{LEFT + (WIDTH - LEFT) * share:.1f}"


def _json(value: object) -> str:
    """JSON that cannot end the script element that holds it."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")
