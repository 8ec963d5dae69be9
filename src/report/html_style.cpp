#include "html_parts.hpp"

namespace repsim::report {

std::string_view style_sheet() {
  return R"css(
:root { color-scheme: light dark;
  --page: #f5f6f8; --card: #ffffff; --ink: #1a2330; --muted: #596575; --line: #dde2e8; --soft: #eef1f4;
  --accent: #1d63d1; --accent-soft: rgba(29, 99, 209, .22); --before: #b3bdc9; --target: #b54708; }
@media (prefers-color-scheme: dark) { :root {
  --page: #0f1419; --card: #171d25; --ink: #e4eaf1; --muted: #97a4b3; --line: #2c3642; --soft: #1f2731;
  --accent: #62a4ff; --accent-soft: rgba(98, 164, 255, .28); --before: #4c5968; --target: #f29b52; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 36px 24px 48px; }
h1 { font-size: 34px; line-height: 1.2; margin: 2px 0 6px; letter-spacing: -.01em; }
h2 { font-size: 19px; margin: 0 0 12px; }
h3 { font-size: 15px; margin: 0 0 4px; }
p { margin: 0 0 8px; }
.eyebrow, .muted, figcaption, .unit { color: var(--muted); }
.eyebrow { font-size: 13px; margin: 0; }
.lead { font-size: 16px; max-width: 76ch; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 20px 22px;
  margin-top: 18px; }
section section { margin-top: 14px; padding: 14px 16px; border-radius: 8px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 12px; margin-top: 18px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px; }
.tile b { display: block; font-size: 22px; line-height: 1.3; }
.tile span { font-size: 13px; color: var(--muted); }
.totals { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 18px 36px; }
.total h3 { display: flex; justify-content: space-between; }
.bar { display: grid; grid-template-columns: 52px 1fr 88px; gap: 10px; align-items: center; font-size: 13px;
  margin-top: 4px; }
.bar .value { text-align: right; font-variant-numeric: tabular-nums; }
.track { height: 14px; }
.track div { height: 100%; border-radius: 0 3px 3px 0; background: var(--before); min-width: 1px; }
.track .after { background: var(--accent); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
table.models { min-width: 900px; }
table + table { margin-top: 18px; }
th { text-align: left; font-weight: 600; font-size: 12.5px; color: var(--muted);
  border-bottom: 1px solid var(--line); }
th, td { padding: 7px 14px 7px 0; vertical-align: top; }
tr + tr td { border-top: 1px solid var(--soft); }
.num { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
th:last-child, td:last-child { padding-right: 0; }
td svg { max-width: none; }
.note + .note { margin-top: 5px; }
.scroll + p, .totals + p { margin: 12px 0 0; }
td .big { font-size: 20px; font-weight: 600; line-height: 1.2; }
.note { display: block; color: var(--muted); font-size: 13px; max-width: 34ch; }
code, pre, .layer { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, monospace; font-size: 12.5px; }
.layer, .hash { overflow-wrap: anywhere; }
pre { background: var(--soft); border-radius: 8px; padding: 12px; overflow-x: auto; margin: 8px 0 0; }
details { margin-top: 12px; }
summary { cursor: pointer; color: var(--accent); font-size: 14px; }
ul.layers { columns: 2; margin: 8px 0 0; padding-left: 18px; }
.pill { display: inline-block; font-size: 12.5px; padding: 1px 9px; border-radius: 99px;
  background: var(--accent-soft); }
.pill.quiet { background: var(--soft); color: var(--muted); }
.facts { display: flex; flex-wrap: wrap; gap: 4px 22px; margin: 4px 0 10px; font-size: 14px; }
figure { margin: 16px 0 0; }
figcaption { font-size: 13px; margin-top: 4px; }
svg { display: block; max-width: 100%; height: auto; }
svg text { font: 11px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: var(--muted); }
svg .name { font: 10px ui-monospace, "DejaVu Sans Mono", Menlo, monospace; }
svg .strong { fill: var(--ink); font-weight: 600; }
.axis { stroke: var(--line); fill: none; }
.grid { stroke: var(--soft); }
.target { stroke: var(--target); stroke-dasharray: 4 3; stroke-width: 1.5; }
svg text.target-name { fill: var(--target); }
.interval { fill: var(--accent-soft); }
.dot { fill: var(--accent); }
.tick { stroke: var(--muted); stroke-width: 1.5; }
.measured { fill: var(--before); stroke: var(--muted); }
.predicted { fill: none; stroke: var(--muted); }
.chosen { fill: var(--accent); stroke: var(--card); stroke-width: 1.5; }
.link { stroke: var(--before); }
.picture { image-rendering: pixelated; }
.hover { fill: transparent; }
.hover:hover { stroke: var(--ink); stroke-width: 1; }
.mark { fill: none; stroke: #ffffff; stroke-width: 2; }
.mark-edge { fill: none; stroke: #000000; stroke-width: 4; }
footer { color: var(--muted); font-size: 13px; margin-top: 20px; }
@media (max-width: 560px) { .totals { grid-template-columns: 1fr; } ul.layers { columns: 1; } }
)css";
}

}  // namespace repsim::report
