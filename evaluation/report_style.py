"""The style sheet of the report. No fonts, images or scripts from anywhere else."""

CSS = """
:root { --ink: #1d2433; --muted: #667085; --line: #e4e7ec; --page: #f7f8fa; --card: #ffffff;
  --accent: #2f5bea; --good: #0b7a5b; --bad: #b42334; --note: #fff6e0; --note-line: #f0c86a; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e7eaf0; --muted: #98a2b3; --line: #2b3345; --page: #10141d; --card: #171d2a;
    --accent: #8aa6ff; --good: #4ccfa4; --bad: #ff8b97; --note: #2c2614; --note-line: #7a6226; }
  figure img { background: #fff; border-radius: 8px; padding: 6px; }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 40px 20px 80px; }
h1 { font-size: clamp(1.6rem, 4vw, 2.2rem); line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; }
h2 { font-size: 1.25rem; margin: 0 0 4px; }
p { margin: 0 0 12px; max-width: 72ch; white-space: pre-line; }
.subtitle, .lead, figcaption, .caption { color: var(--muted); }
.caption, figcaption { font-size: 0.875rem; margin-top: 8px; }
.note { background: var(--note); border-left: 4px solid var(--note-line); border-radius: 6px;
  padding: 10px 14px; margin: 14px 0; max-width: none; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 14px;
  padding: 22px; margin-top: 22px; }
nav { margin-top: 14px; display: flex; flex-wrap: wrap; gap: 6px 16px; font-size: 0.9rem; }
a { color: var(--accent); text-decoration: none; }
a:hover, a:focus { text-decoration: underline; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr));
  gap: 12px; margin: 14px 0; }
.figure { border: 1px solid var(--line); border-radius: 10px; padding: 12px 14px; }
.figure b { display: block; font-size: 1.5rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.figure span { color: var(--muted); font-size: 0.85rem; }
.scroll { overflow-x: auto; margin: 12px 0 4px; }
table { border-collapse: collapse; width: 100%; font-size: 0.925rem; font-variant-numeric: tabular-nums; }
th, td { padding: 7px 10px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th { color: var(--muted); font-weight: 600; }
tbody tr:last-child td { border-bottom: 0; }
tr.marked td { background: var(--note); font-weight: 600; }
figure { margin: 16px 0 6px; }
figure img { max-width: 100%; height: auto; display: block; }
.side { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 380px), 1fr));
  gap: 18px; align-items: start; }
.clips { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 300px), 1fr));
  gap: 16px; margin-top: 12px; }
.clip { border: 1px solid var(--line); border-radius: 12px; overflow: hidden;
  display: flex; flex-direction: column; }
.clip video, .clip img { width: 100%; display: block; background: #000;
  aspect-ratio: 4 / 3; object-fit: contain; }
.clip div { padding: 12px 14px; }
.clip h3 { margin: 0 0 6px; font-size: 0.85rem; font-weight: 600; color: var(--muted);
  overflow-wrap: anywhere; }
.clip p { margin: 8px 0 0; font-size: 0.925rem; }
.label { font-weight: 650; }
.right { color: var(--good); } .wrong { color: var(--bad); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 12px; margin: 8px 0 0;
  font-size: 0.875rem; }
dt { color: var(--muted); } dd { margin: 0; overflow-wrap: anywhere; }
pre { overflow-x: auto; background: var(--page); border: 1px solid var(--line); border-radius: 8px;
  padding: 12px 14px; font-size: 0.85rem; line-height: 1.45; }
footer { color: var(--muted); font-size: 0.85rem; margin-top: 26px; }
@media print { body { background: #fff; } section { break-inside: avoid; } .clip video { display: none; } }
""".strip()
