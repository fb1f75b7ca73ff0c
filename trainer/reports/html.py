"""Pieces of a report's page: one HTML file with its pictures inside, no script, nothing fetched, light and dark."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from PIL import Image

from ..metrics.bootstrap import percent

__all__ = ["bar", "card", "definitions", "escape", "figure", "inline", "page", "percent", "section", "slug", "table"]


def page(title: str, body: str) -> str:
    """The whole document."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def section(heading: str, body: str, intro: str = "") -> str:
    """A part of the page under its heading; `intro` is HTML."""
    if not body:
        return ""
    words = f'<p class="intro">{intro}</p>' if intro else ""
    return f'<section id="{slug(heading)}"><h2>{escape(heading)}</h2>{words}{body}</section>\n'


def card(value: str, label: str, meaning: str, interval: str = "") -> str:
    """A key figure: what was found, what it is, and what that means in half a sentence."""
    small = f'<p class="interval">{escape(interval)}</p>' if interval else ""
    return (
        f'<div class="card"><p class="value">{escape(value)}</p><h3>{escape(label)}</h3>'
        f"<p>{escape(meaning)}</p>{small}</div>"
    )


def bar(share: float | None, kind: str) -> str:
    """A share as a bar with its number; `kind` is clip or judge. A dash where there is none."""
    if share is None:
        return '<span class="none" title="no opinion">–</span>'
    return (
        f'<span class="bar {kind}"><span style="width:{100 * share:.0f}%"></span></span>'
        f'<span class="number">{percent(share)}</span>'
    )


def table(heads: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]], label: str) -> str:
    """Rows of HTML cells, the first one of each its heading. heads: text and class of each column."""
    top = "".join(f'<th scope="col" class="{kind}">{head}</th>' for head, kind in heads)
    lines = [
        f'<tr><th scope="row">{first}</th>'
        + "".join(f'<td class="{kind}">{cell}</td>' for cell, (_, kind) in zip(rest, heads[1:], strict=True))
        + "</tr>"
        for first, *rest in rows
    ]
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}"><table>'
        f"<thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def definitions(pairs: Mapping[str, str], kind: str = "facts") -> str:
    """Names and what they are."""
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in pairs.items())
    return f'<dl class="{kind}">{rows}</dl>' if pairs else ""


def figure(image: str, caption: str, kind: str = "") -> str:
    """A picture (an <img> or <svg>) over its caption, which is HTML."""
    return f'<figure class="{kind}">{image}<figcaption>{caption}</figcaption></figure>'


def inline(picture: Image.Image, alt: str, quality: int = 86) -> str:
    """An <img> that holds the picture itself, as JPEG with full colour."""
    packed = io.BytesIO()
    picture.convert("RGB").save(packed, "JPEG", quality=quality, subsampling=0, optimize=True)
    data = base64.b64encode(packed.getvalue()).decode()
    size = f'width="{picture.width}" height="{picture.height}"'
    return f'<img src="data:image/jpeg;base64,{data}" alt="{escape(alt)}" {size}>'


def slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


STYLE = """
:root { color-scheme: light dark; --paper: #faf9f6; --card: #ffffff; --ink: #1b1c20; --muted: #5f6068;
  --line: #e2dfd7; --clip: #3b4cc0; --judge: #b9501f; --track: #eceae4; --flag: #fdf1d8; --flag-ink: #6d4300;
  --flag-line: #e2a93b;
  --sans: -apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
@media (prefers-color-scheme: dark) { :root { --paper: #131418; --card: #1c1e24; --ink: #ecebe7; --muted: #a7a8b0;
  --line: #31333c; --clip: #93a1ff; --judge: #f29069; --track: #2b2d35; --flag: #2e2510; --flag-ink: #ffd489;
  --flag-line: #a97a1e; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 0 clamp(16px, 4vw, 40px) 64px; max-width: 1260px; background: var(--paper);
  color: var(--ink); font: 17px/1.55 var(--sans); font-variant-numeric: tabular-nums; }
p, h1, h2, h3, figure, dl, dd { margin: 0; }
img, svg { display: block; max-width: 100%; height: auto; }
a { color: inherit; text-underline-offset: 3px; }
header.top { padding: clamp(36px, 7vw, 84px) 0 20px; }
.eyebrow { font-size: .82rem; letter-spacing: .09em; text-transform: uppercase; color: var(--muted); }
h1 { font-size: clamp(2.1rem, 5.4vw, 3.6rem); line-height: 1.08; letter-spacing: -.025em; font-weight: 700;
  margin: 10px 0 18px; text-wrap: balance; }
.lede { font-size: clamp(1.1rem, 2.1vw, 1.36rem); line-height: 1.45; max-width: 58ch; text-wrap: pretty; }
dl.head { display: flex; flex-wrap: wrap; gap: 10px 34px; margin-top: 26px; font-size: .95rem; }
dl.head dt { color: var(--muted); font-size: .82rem; }
dl.head dd { font-weight: 600; }
.hero { display: grid; grid-template-columns: repeat(8, 1fr); gap: 10px; margin-top: 34px; }
.hero img { width: 100%; border-radius: 10px; }
.hero figcaption { margin-top: 7px; text-align: center; font-size: .88rem; line-height: 1.25; }
.hero .before figcaption { color: var(--muted); }
nav { display: flex; flex-wrap: wrap; gap: 6px 22px; padding: 14px 0; margin-top: 32px; font-size: .92rem;
  border-block: 1px solid var(--line); }
nav a { text-decoration: none; color: var(--muted); }
nav a:hover { color: var(--ink); text-decoration: underline; }
section { margin-top: 68px; scroll-margin-top: 16px; }
h2 { font-size: 1.72rem; letter-spacing: -.015em; line-height: 1.2; font-weight: 680; }
.intro { margin-top: 10px; max-width: 70ch; color: var(--muted); text-wrap: pretty; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 300px), 1fr)); gap: 16px;
  margin-top: 26px; }
.cards:has(> :nth-child(4):last-child) { grid-template-columns: repeat(auto-fill, minmax(min(100%, 250px), 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 20px 22px; }
.card .value { font-size: 2.7rem; line-height: 1.05; font-weight: 700; letter-spacing: -.03em; }
.card h3 { font-size: 1.02rem; margin: 8px 0 4px; font-weight: 650; }
.card p:not(.value) { color: var(--muted); font-size: .93rem; line-height: 1.45; }
.card .interval { margin-top: 8px; font-size: .84rem; }
.flags { margin-top: 26px; padding: 18px 22px; border-radius: 14px; background: var(--flag); color: var(--flag-ink);
  border: 1px solid var(--flag-line); }
.flags h3 { font-size: 1.05rem; }
.flags ul, .notes { margin: 8px 0 0; padding-left: 1.2em; }
.flags li + li, .notes li + li { margin-top: 6px; }
.word, .columns { display: grid; grid-template-columns: 208px minmax(0, 1fr); gap: 22px; align-items: center; }
.columns { margin-top: 26px; color: var(--muted); font-size: .84rem; }
.word { padding: 12px 0; border-top: 1px solid var(--line); }
.word h3 { font-size: 1.18rem; line-height: 1.25; font-weight: 660; }
.word .sentence { color: var(--muted); font-size: .86rem; line-height: 1.35; margin-bottom: 8px; }
.strips { display: grid; gap: 12px; align-items: end; }
.strips img { width: 100%; border-radius: 10px; }
.meter { display: grid; grid-template-columns: 3.4em 1fr 3.4em; gap: 8px; align-items: center; font-size: .84rem;
  line-height: 1.5; }
.bar { display: inline-block; width: 100%; min-width: 44px; height: 7px; border-radius: 4px; background: var(--track);
  overflow: hidden; vertical-align: middle; }
.bar span { display: block; height: 100%; border-radius: 4px; }
.bar.clip span { background: var(--clip); }
.bar.judge span { background: var(--judge); }
.number { text-align: right; white-space: nowrap; }
.badge { display: inline-block; padding: 1px 9px; border-radius: 99px; font-size: .8rem; font-weight: 600;
  background: var(--flag); color: var(--flag-ink); border: 1px solid var(--flag-line); text-decoration: none; }
.word .badge { margin-top: 8px; }
.scroll { overflow-x: auto; margin-top: 24px; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; }
th, td { padding: 8px 12px 8px 0; text-align: left; border-bottom: 1px solid var(--line); vertical-align: middle; }
thead th { font-weight: 600; color: var(--muted); font-size: .84rem; line-height: 1.3; vertical-align: bottom; }
tbody th { font-weight: 600; min-width: 9em; }
td.share { min-width: 128px; }
td.share .bar { width: calc(100% - 4.4em); margin-right: 8px; }
.figure { text-align: right; padding-right: 26px; }
.legend { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 6px; }
.legend.clip { background: var(--clip); }
.legend.judge { background: var(--judge); }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr)); gap: 34px 30px;
  margin-top: 28px; }
.plots h3 { font-size: 1rem; font-weight: 650; display: flex; justify-content: space-between; gap: 12px; }
.plots h3 span { font-weight: 400; color: var(--muted); }
.plots p { color: var(--muted); font-size: .87rem; line-height: 1.4; min-height: 2.8em; }
.plots svg, .wide svg { width: 100%; margin-top: 6px; }
.wide { max-width: 760px; margin-top: 24px; }
.sheet { overflow-x: auto; margin-top: 26px; }
.sheet .rows { min-width: 660px; display: grid; gap: 4px; }
.sheet .rows > div { display: grid; grid-template-columns: 120px minmax(0, 1fr); gap: 16px; align-items: center;
  font-size: .88rem; color: var(--muted); line-height: 1.3; }
.sheet img { width: 100%; border-radius: 10px; }
figcaption { color: var(--muted); font-size: .88rem; margin-top: 8px; }
.hero figcaption { color: var(--ink); }
dl.facts { margin-top: 22px; columns: 2; column-gap: 48px; font-size: .95rem; }
dl.facts > div { display: grid; grid-template-columns: minmax(0, 11em) minmax(0, 1fr); gap: 14px; padding: 7px 0;
  border-bottom: 1px solid var(--line); break-inside: avoid; }
dl.facts dt { color: var(--muted); overflow-wrap: anywhere; }
dl.facts dd { overflow-wrap: anywhere; white-space: pre-line; }
dl.settings { columns: 3; column-gap: 36px; font-size: .84rem; margin-top: 16px; }
dl.settings > div { display: flex; justify-content: space-between; gap: 12px; padding: 3px 0; break-inside: avoid;
  border-bottom: 1px solid var(--line); }
dl.settings dt { color: var(--muted); overflow-wrap: anywhere; }
dl.settings dd { text-align: right; overflow-wrap: anywhere; }
dl.terms { margin-top: 22px; columns: 2; column-gap: 48px; }
dl.terms > div { break-inside: avoid; padding-bottom: 14px; }
dl.terms dt { font-weight: 650; }
dl.terms dd { color: var(--muted); font-size: .95rem; text-wrap: pretty; }
h3.sub { margin-top: 36px; font-size: 1.08rem; font-weight: 650; }
footer { margin-top: 72px; padding-top: 18px; border-top: 1px solid var(--line); color: var(--muted);
  font-size: .86rem; }
@media screen and (max-width: 820px) {
  body { font-size: 16px; }
  section { margin-top: 52px; }
  .hero { grid-template-columns: repeat(4, 1fr); gap: 12px 8px; }
  .columns { display: none; }
  .columns + .word { margin-top: 18px; }
  .cards { gap: 10px; }
  .card { display: grid; grid-template-columns: 5.2rem minmax(0, 1fr); column-gap: 14px; padding: 16px; }
  .card .value { font-size: 1.6rem; grid-row: 1 / span 3; }
  .card h3 { margin-top: 2px; }
  .word { grid-template-columns: minmax(0, 1fr); gap: 10px; padding: 18px 0; }
  .word .strips { grid-template-columns: minmax(0, 1fr) !important; gap: 6px; }
  .word .strips img + img { width: var(--share); }
  .plots p { min-height: 0; }
  .sheet .rows > div { grid-template-columns: 76px minmax(0, 1fr); gap: 10px; }
  dl.facts, dl.settings, dl.terms { columns: 1; }
}
@media print {
  :root { --paper: #ffffff; --card: #ffffff; --ink: #1b1c20; --muted: #55565e; --line: #d9d6ce; --clip: #3b4cc0;
    --judge: #b9501f; --track: #eceae4; --flag: #fdf1d8; --flag-ink: #6d4300; --flag-line: #e2a93b; }
  @page { size: A4; margin: 15mm 14mm; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  html { font-size: 12px; }
  body { max-width: none; padding: 0; font-size: 1rem; }
  header.top { padding-top: 0; }
  nav { display: none; }
  section { margin-top: 26pt; }
  h2, h3.sub, .intro, .columns { break-after: avoid; }
  .word, .card, .flags, .plots figure, tr, .hero figure, .sheet .rows > div, section:has(.wide) {
    break-inside: avoid; }
  .word, .columns { grid-template-columns: 136px minmax(0, 1fr); gap: 14px; }
  .word { padding: 6px 0; }
  .strips { gap: 8px; }
  .badge { padding: 0 6px; white-space: nowrap; }
  .cards.cards, .plots { grid-template-columns: repeat(3, 1fr); gap: 10pt 12pt; }
  .card { padding: 10pt; }
  footer { margin-top: 18pt; }
  .scroll, .sheet { overflow: visible; }
  .sheet .rows { min-width: 0; }
  dl.facts { columns: 2; }
  dl.settings { columns: 3; }
}
"""
