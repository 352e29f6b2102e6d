/** The style of the bell. Variables that begin with `--tidings-` are set by the page; the others are its own. */
export const style = `
:host {
  --ink: var(--tidings-ink, light-dark(#1b2427, #ebeff0));
  --muted: var(--tidings-muted, light-dark(#56646a, #a9b4b8));
  --surface: var(--tidings-surface, light-dark(#fff, #182023));
  --hover: var(--tidings-hover, light-dark(#f1f4f4, #212b2e));
  --line: var(--tidings-line, light-dark(#dfe5e6, #333e42));
  --accent: var(--tidings-accent, light-dark(#11686f, #62d3d1));
  --on-accent: var(--tidings-on-accent, light-dark(#fff, #06201f));
  --radius: var(--tidings-radius, 12px);
  --control: 2rem;
  display: inline-block;
  font: var(--tidings-font, inherit);
  text-align: start;
}
:host([hidden]), [hidden] { display: none !important }
* { box-sizing: border-box; margin: 0 }
button { align-items: center; background: none; border: 1px solid var(--line); border-radius: 8px; color: inherit; cursor: pointer;
  display: inline-flex; font: inherit; font-size: .8125rem; font-weight: 550; justify-content: center; min-height: var(--control); padding: .25rem .625rem }
button:hover, .item:hover, .item:focus-within { background: var(--hover) }
button.plain { border-color: transparent }
button.icon { padding: 0; width: var(--control) }
button[aria-disabled=true] { color: var(--muted); cursor: default }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px }
svg { display: block; fill: none; height: 1.125rem; stroke: currentColor; stroke-linecap: round; stroke-linejoin: round; stroke-width: 1.5; width: 1.125rem }
.hidden { clip-path: inset(50%); height: 1px; overflow: hidden; position: absolute; white-space: nowrap; width: 1px }

.bell { border-color: transparent; height: 2.5rem; padding: 0; position: relative; width: 2.5rem }
.bell svg { height: 1.375rem; width: 1.375rem }
.bell[aria-expanded=true] { background: var(--hover) }
.badge { background: var(--accent); border: 1px solid var(--accent); border-radius: 999px; color: var(--on-accent); font-size: .6875rem;
  font-variant-numeric: tabular-nums; font-weight: 650; inset-block-start: 1px; inset-inline-start: 55%; line-height: 1rem; min-width: 1.125rem;
  padding: 0 .25rem; position: absolute; text-align: center; white-space: nowrap }
.quiet { background: var(--surface); border-color: var(--muted); color: var(--ink) }

dialog { background: var(--surface); border: 1px solid var(--line); border-radius: var(--radius); box-shadow: 0 16px 40px -12px #0006; color: var(--ink);
  flex-direction: column; font-size: .9375rem; height: min(var(--tidings-height, 40rem), var(--height)); inset: var(--top) auto var(--bottom) auto;
  inset-inline-end: clamp(8px, var(--end), calc(100% - var(--width) - 8px)); line-height: 1.5; max-height: none; max-width: none; overflow: hidden;
  padding: 0; position: fixed; width: var(--width); --width: min(var(--tidings-width, 25rem), 100vw - 16px) }
dialog:popover-open, dialog[open] { display: flex }
dialog:dir(rtl) { inset-inline-end: clamp(8px, var(--start), calc(100% - var(--width) - 8px)) }
.header { align-items: center; border-bottom: 1px solid var(--line); display: flex; gap: .25rem; padding: .625rem .75rem }
h2 { flex: 1; font-size: 1.0625rem; font-weight: 650; padding-inline-start: .5rem }
h2:focus-visible { outline: none }
.row { align-items: center; border-bottom: 1px solid var(--line); display: flex; justify-content: space-between; padding: 0 .75rem }
[role=tablist] { display: flex; overflow-x: auto }
[role=tab] { border-color: transparent; border-radius: 0; border-width: 0 0 2px; color: var(--muted); min-height: 2.5rem; white-space: nowrap }
[role=tab]:focus-visible { outline-offset: -2px }
[role=tab][aria-selected=true] { border-color: var(--accent); color: var(--ink) }
.row { align-items: center; border-bottom: 1px solid var(--line); display: flex; justify-content: space-between; padding: 0 .75rem }
[role=tablist] { display: flex; overflow-x: auto }
[role=tab] { border-color: transparent; border-radius: 0; border-width: 0 0 2px; color: var(--muted); min-height: 2.5rem; white-space: nowrap }
[role=tab]:focus-visible { outline-offset: -2px }
[role=tab][aria-selected=true] { border-color: var(--accent); color: var(--ink) }
.held { background: var(--accent); border-color: var(--accent); border-radius: 999px; color: var(--on-accent); white-space: nowrap }
.held:hover { background: var(--accent) }
.note { align-items: center; background: var(--hover); border-bottom: 1px solid var(--line); display: flex; font-size: .8125rem; gap: .75rem;
  justify-content: space-between; padding: .5rem 1.25rem }
.body { display: flex; flex: 1; flex-direction: column; overflow-y: auto; overscroll-behavior: contain }
ul { list-style: none; padding: 0 }
.item { border-bottom: 1px solid var(--line); padding: .75rem .75rem .375rem 1.25rem; padding-inline: 2.25rem .75rem; position: relative }
.link { color: inherit; cursor: pointer; display: block; min-height: 1.5rem; text-decoration: none }
.link::after { content: ""; inset: 0; position: absolute }
.link:focus-visible { outline: none }
.link:focus-visible::after { outline: 2px solid var(--accent); outline-offset: -3px }
.unread .message { font-weight: 600 }
.unread .link::before { border: 4px solid var(--accent); border-radius: 50%; content: ""; inset-inline-start: 1rem; position: absolute; top: 1.1875rem }
.message { display: block; overflow-wrap: anywhere; text-align: start; unicode-bidi: plaintext; white-space: pre-wrap }
.message:lang(ko) { word-break: keep-all }
.clamped { -webkit-box-orient: vertical; display: -webkit-box; -webkit-line-clamp: 3; overflow: hidden }
.foot { align-items: center; color: var(--muted); display: flex; flex-wrap: wrap; font-size: .8125rem; justify-content: end; min-height: var(--control) }
.meta { flex: auto }
.foot span:last-child { display: flex }
.foot time, .foot button { position: relative; z-index: 1 }
.foot button { color: var(--ink) }
.foot .icon { opacity: 0 }
.item:hover .icon, .item:focus-within .icon { opacity: 1 }
@media (hover: none) { .foot .icon { opacity: 1 } }
.blank { align-content: center; color: var(--muted); display: grid; flex: 1; gap: .25rem; justify-items: center; padding: 2rem; text-align: center }
.blank svg { height: 2rem; margin-bottom: .5rem; width: 2rem }
.blank button { color: var(--ink); margin-top: .75rem }
h3 { color: var(--ink); font-size: inherit; font-weight: 600 }
.blank[role=status] { align-content: start; gap: 1.5rem; justify-items: stretch }
.skeleton { background: linear-gradient(var(--line) 0 0) 0 0/100% .75rem no-repeat, linear-gradient(var(--line) 0 0) 0 1.25rem/35% .625rem no-repeat; height: 2rem }
.end { color: var(--muted); display: grid; font-size: .8125rem; min-height: 4rem; place-items: center }
.push { border-top: 1px solid var(--line); color: var(--muted); font-size: .8125rem; padding: .25rem .75rem }
.push p { padding: .25rem .5rem .5rem }
[role=switch] { border-color: transparent; color: var(--ink); gap: .75rem; justify-content: space-between; text-align: start; width: 100% }
[role=switch] i { border: 1px solid var(--muted); border-radius: 999px; flex: none; padding: 2px; width: 2.125rem }
[role=switch] i::after { border: .4375rem solid var(--muted); border-radius: 50%; content: ""; display: block; width: 0 }
[aria-checked=true] i { background: var(--accent); border-color: var(--accent) }
[aria-checked=true] i::after { border-color: var(--on-accent); margin-inline-start: auto }
@media (width < 40rem) {
  dialog, dialog:dir(rtl) { border-radius: var(--radius) var(--radius) 0 0; border-width: 1px 0 0; height: 85dvh; inset: auto 0 0; padding-bottom: env(safe-area-inset-bottom); width: 100% }
  :host { --control: 2.5rem }
}
dialog::backdrop { background: #0006 }
dialog:popover-open::backdrop { background: none }
@media (prefers-reduced-motion: no-preference) {
  dialog { animation: appear 160ms ease-out }
  .skeleton { animation: breathe 1.2s ease-in-out infinite alternate }
}
@keyframes appear { from { opacity: 0; translate: 0 8px } }
@keyframes breathe { to { opacity: .4 } }
@media (forced-colors: active) {
  .badge, .held { background: Highlight; border-color: Highlight; color: HighlightText; forced-color-adjust: none }
  .unread .link::before { border-color: Highlight }
  button { border-color: ButtonBorder }
  [role=tab], [role=tab][aria-selected=true] { border-color: Canvas }
  [role=tab][aria-selected=true] { border-color: Highlight }
  [aria-checked=true] i { background: Highlight; border-color: Highlight; forced-color-adjust: none }
  [aria-checked=true] i::after { border-color: HighlightText }
  .quiet { background: Canvas; border-color: CanvasText; color: CanvasText }
}
`
