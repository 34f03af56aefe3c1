/** The hits, in rows of one height that fill the width. */

import { html, useEffect, useRef, useState } from "../ui.mjs";
import { pictureOf } from "../session.mjs";
import { say } from "../i18n/i18n.mjs";
import { answer } from "../ask/ask.mjs";
import {
  hits, counts, next, phase, minimum, shown, selected, ask, more, toggle, text,
} from "../state.mjs";

const ROW_PX = 220;
const GAP_PX = 6;

/**
 * Rows of hits whose pictures are as high as each other and together as wide as the page.
 * @param {any[]} found @param {number} width @returns {{height: number, cells: any[]}[]}
 */
export function rowsOf(found, width) {
  const rows = [];
  let cells = [];
  let ratios = 0;
  found.forEach((hit, place) => {
    const ratio = Math.min(4, Math.max(0.4, hit.width / Math.max(1, hit.height)));
    cells.push({ hit, place, ratio });
    ratios += ratio;
    const height = (width - GAP_PX * (cells.length - 1)) / ratios;
    if (height <= ROW_PX) {
      rows.push({ height, cells });
      cells = [];
      ratios = 0;
    }
  });
  if (cells.length) rows.push({ height: ROW_PX, cells });
  return rows;
}

export function Grid() {
  const box = useRef(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => setWidth(entry.contentRect.width));
    watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  const rows = width ? rowsOf(hits.value, width) : [];
  return html`
    <div ref=${box} class=${phase.value === "failed" ? "grid old" : "grid"} role="list" aria-label=${say("hits")}>
      ${rows.map(
        (row) => html`
          <div key=${row.cells[0].hit.item} class="line" style=${{ height: `${row.height}px` }}>
            ${row.cells.map((cell) => html`<${Tile} key=${cell.hit.item} ...${cell} height=${row.height} />`)}
          </div>
        `,
      )}
    </div>
    <${Nothing} />
    <${End} />
  `;
}

function Tile({ hit, place, ratio, height }) {
  const isChosen = selected.value.has(hit.item);
  const name = [hit.name, hit.level && say(hit.level), hit.taken_at?.slice(0, 10)];
  const size = height * ratio * devicePixelRatio > 512 ? 1024 : 512;
  return html`
    <div class=${isChosen ? "tile chosen" : "tile"} role="listitem" style=${{ width: `${height * ratio}px` }}>
      <button
        class="open" data-place=${place} aria-label=${name.filter(Boolean).join(", ")}
        onClick=${() => (shown.value = place)}
      >
        <img alt="" loading="lazy" decoding="async" src=${pictureOf(hit, `thumb/${size}`)} />
      </button>
      <label class="pick">
        <input
          type="checkbox" checked=${isChosen} aria-label=${`${say("select")} ${hit.name}`}
          onChange=${() => toggle(hit.item)}
        />
      </label>
      ${hit.level && html`<span class=${`level ${hit.level}`}>${say(hit.level)}</span>`}
      ${hit.folded > 0 && html`<span class="folded">+${hit.folded}</span>`}
    </div>
  `;
}

/** An honest no, and the ways on. */
function Nothing() {
  if (phase.value !== "done" || hits.value.length || answer.value) return null;
  const weak = counts.value?.weak ?? 0;
  const possible = counts.value?.possible ?? 0;
  const wider = minimum.value === "likely" && possible ? "possible" : "any";
  const many = wider === "possible" ? possible : weak + possible;
  return html`
    <section class="nothing">
      <h2>${say("nothing")}</h2>
      ${text.value.trim() && html`<p>${say("nothingFits")}</p>`}
      ${many > 0 &&
      html`
        <button
          onClick=${() => {
            minimum.value = wider;
            ask();
          }}
        >
          ${say("showWeak", many)}
        </button>
      `}
    </section>
  `;
}

/** What is below the last row asks for the next page when it comes near. */
function End() {
  const mark = useRef(null);
  const cursor = next.value;
  useEffect(() => {
    if (!cursor) return undefined;
    const watch = new IntersectionObserver(([entry]) => entry.isIntersecting && more(), {
      rootMargin: "1200px",
    });
    watch.observe(mark.current);
    return () => watch.disconnect();
  }, [cursor]);
  return html`<div ref=${mark} class="end"></div>`;
}
