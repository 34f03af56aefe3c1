/** What is done with the selected items: tags, after a look at what would change. */

import { html, signal } from "../ui.mjs";
import { send } from "../session.mjs";
import { say } from "../i18n/i18n.mjs";
import { selected, hits } from "../state.mjs";

const label = signal("");
/** What was done last, so that it can be undone: {label, items, adds}. */
const done = signal(null);
const said = signal("");
const MOST = 500;

/** Give the items a tag or take it from them; only those that it changes can be undone. */
async function tag(items, name, adds) {
  const act = { items, [adds ? "add" : "remove"]: [name] };
  try {
    const look = await send("POST", "/v1/tags:apply", act);
    const found = await send("POST", "/v1/tags:apply", { ...act, dry_run: false });
    const count = (adds ? found.added : found.removed)[name];
    const would = (adds ? look.added : look.removed)[name];
    said.value = say(adds ? "tagged" : "untagged", count, name);
    done.value = would > 0 ? { name, items, adds } : null;
  } catch (error) {
    said.value = error.message;
  }
}

async function undo() {
  const last = done.value;
  if (!last) return;
  await tag(last.items, last.name, !last.adds);
  done.value = null;
}

export function Selection() {
  const chosen = [...selected.value];
  if (!chosen.length && !said.value) return null;
  const apply = (event) => {
    event.preventDefault();
    const name = label.value.trim();
    if (name) tag(chosen.slice(0, MOST), name, true);
  };
  return html`
    <section class="selection" aria-label=${say("selection")}>
      <strong>${say("chosen", chosen.length)}</strong>
      ${chosen.length > 0 &&
      html`
        <form onSubmit=${apply}>
          <input
            aria-label=${say("tag")} placeholder=${say("tag")} maxlength="200" value=${label.value}
            onInput=${(event) => (label.value = event.target.value)}
          />
          <button>${say("giveTag")}</button>
        </form>
        <button class="plain" onClick=${() => (selected.value = new Set(hits.value.map((hit) => hit.item)))}>
          ${say("selectAll")}
        </button>
      `}
      <span role="status">${said.value}</span>
      ${done.value && html`<button class="plain" onClick=${undo}>${say("undo")}</button>`}
      <button
        class="plain"
        onClick=${() => {
          selected.value = new Set();
          said.value = "";
          done.value = null;
        }}
      >
        ${say("clear")}
      </button>
    </section>
  `;
}
