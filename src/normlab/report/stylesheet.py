"""The page's style: system fonts, light and dark, narrow screens, print."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --ink: #202124; --soft: #5f6368; --line: #dadce0; --paper: #fff; --shade: #f6f7f9;
  --link: #0b57d0; --ring: transparent; --better: #0b6b3a; --better-shade: #e3f4ea; --worse: #a8320a;
  --worse-shade: #fdebe4; --equivalent: #1f5fa8; --equivalent-shade: #e6effa; --undecided: #6b5900;
  --undecided-shade: #faf3d6; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaed; --soft: #a9aeb4; --line: #43474c; --paper: #17181a; --shade: #222427; --link: #8ab4f8;
    --ring: #e8eaed; --better: #8fdcae; --better-shade: #14351f; --worse: #ffb59c; --worse-shade: #44200f;
    --equivalent: #a8cbf7;
    --equivalent-shade: #17304d; --undecided: #ecd98a; --undecided-shade: #3a3310; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body { margin: 0 auto; max-width: 70rem; padding: 2.5rem 1.5rem 5rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: break-word; }
header p { margin: 0.2rem 0; color: var(--soft); max-width: none; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 0.4rem; letter-spacing: -0.01em; }
h2 { font-size: 1.4rem; line-height: 1.3; margin: 0 0 1rem; padding-top: 1.6rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.8rem 0 0.6rem; }
section { margin-top: 3rem; }
p, ul, ol, dl { max-width: 46rem; }
p { margin: 0.7rem 0; }
a { color: var(--link); text-underline-offset: 0.15em; }
nav { margin-top: 1.4rem; }
nav ol { display: flex; flex-wrap: wrap; gap: 0.3rem 1.3rem; margin: 0; padding: 0; max-width: none; list-style: none;
  font-size: 0.92rem; }
.answer { font-size: 1.45rem; line-height: 1.4; font-weight: 500; max-width: 52rem; margin: 0 0 0.9rem; }
.soft, figcaption, caption { color: var(--soft); font-size: 0.9rem; }
.badge { display: inline-block; padding: 0.05em 0.6em 0.1em; border-radius: 1em; font-size: 0.86rem; font-weight: 600;
  white-space: nowrap; line-height: 1.6; color: var(--undecided); background: var(--undecided-shade); }
.badge.better, .badge.supported { color: var(--better); background: var(--better-shade); }
.badge.worse, .badge.refuted { color: var(--worse); background: var(--worse-shade); }
.badge.equivalent, .badge.conditional { color: var(--equivalent); background: var(--equivalent-shade); }
.badge.not-applicable { color: var(--soft); background: var(--shade); }
.card { border: 1px solid var(--line); border-radius: 0.6rem; padding: 0.4rem 1.4rem 1rem; margin: 1.4rem 0; }
.card h3 { margin: 0.9rem 0 0.2rem; font-size: 1.15rem; }
.note { border-left: 4px solid #e69f00; background: var(--shade); padding: 0.3rem 1rem; margin: 1.2rem 0;
  max-width: 52rem; }
.note p { margin: 0.45rem 0; }
.dot { display: inline-block; width: 0.7em; height: 0.7em; border-radius: 50%; margin-right: 0.45em;
  box-shadow: 0 0 0 1.5px var(--ring); }
#explanation table { margin: 1rem 0; }
.scroll { overflow-x: auto; margin: 1.2rem 0; }
table { border-collapse: collapse; min-width: 24rem; font-size: 0.92rem; line-height: 1.4; }
caption { text-align: left; padding-bottom: 0.5rem; }
th, td { padding: 0.42rem 1.1rem 0.42rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
th:last-child, td:last-child { padding-right: 0; }
th { font-weight: 500; }
thead th { color: var(--soft); border-bottom: 1.5px solid var(--soft); vertical-align: bottom; font-size: 0.86rem;
  line-height: 1.3; }
thead th.num { white-space: normal; }
.num { text-align: right; white-space: nowrap; }
th:first-child, td:first-child { white-space: nowrap; }
td.formula, th.formula { white-space: nowrap; }
.matrix td { min-width: 9.5rem; }
.matrix small, td small { display: block; color: var(--soft); font-size: 0.84rem; margin-top: 0.15rem; }
.remarked th, .remarked td { border-bottom: 0; padding-bottom: 0.1rem; }
.remark td:first-child { white-space: normal; color: var(--soft); font-size: 0.86rem; }
.arm { white-space: nowrap; }
dl { display: grid; grid-template-columns: minmax(8rem, 11rem) 1fr; gap: 0.45rem 1.4rem; max-width: 60rem;
  margin: 1rem 0; }
dt { color: var(--soft); }
dd { margin: 0; min-width: 0; }
dd p { margin: 0 0 0.3rem; }
figure { margin: 1.6rem 0 2.2rem; }
figure h3 { margin: 0 0 0.4rem; }
.legend { display: flex; flex-wrap: wrap; gap: 0.2rem 1.2rem; list-style: none; margin: 0 0 0.6rem; padding: 0;
  font-size: 0.92rem; }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); gap: 0.9rem; }
.panels.three { grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr)); }
.panel { background: #fff; border: 1px solid var(--line); border-radius: 0.5rem; padding: 0.4rem; min-width: 0; }
.panel svg { display: block; max-width: 100%; height: auto; margin: 0 auto; }
figcaption { margin-top: 0.6rem; max-width: 52rem; }
details { margin: 1rem 0; }
summary { cursor: pointer; color: var(--link); }
.formula { font-family: "Cambria Math", "Latin Modern Math", "STIX Two Math", Georgia, serif; font-size: 1.08rem; }
p.formula { padding: 0.4rem 1rem; background: var(--shade); border-radius: 0.4rem; overflow-x: auto; }
.failed { color: var(--worse); font-weight: 600; }
code { font: 0.9em ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace; }
footer { margin-top: 4rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft);
  font-size: 0.88rem; }
@media (max-width: 40rem) {
  body { padding: 1.4rem 1rem 3rem; }
  h1 { font-size: 1.5rem; }
  .answer { font-size: 1.2rem; }
  dl { grid-template-columns: 1fr; gap: 0.1rem; }
  dd { margin-bottom: 0.7rem; }
  #explanation table { display: block; overflow-x: auto; min-width: 0; }
}
@media print {
  :root { color-scheme: light; --ink: #000; --soft: #444; --line: #bbb; --paper: #fff; --shade: #f4f4f4; --link: #000; }
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  nav { display: none; }
  figure, tr, .note { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .panels { grid-template-columns: 1fr 1fr; }
  .scroll { overflow: visible; }
}
"""
