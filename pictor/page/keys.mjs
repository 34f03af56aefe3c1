/** The keyboard: one list of keys, which both does what they say and shows them. */

import { html, signal, useEffect, useRef } from "./ui.mjs";
import { say } from "./i18n/i18n.mjs";
import { hits, shown, selected, toggle, like } from "./state.mjs";
import { go } from "./viewer/viewer.mjs";

const isOpen = signal(false);

const here = () => hits.value[shown.value];
/** Key → [what it does, in words; where it does it; what it does]. */
const KEYS = {
  "/": ["focusQuery", () => shown.value < 0, () => document.getElementById("query")?.focus()],
  ArrowRight: ["after", here, () => go(1)],
  ArrowLeft: ["before", here, () => go(-1)],
  m: ["moreLike", here, () => like(here(), false)],
  l: ["lessLike", here, () => like(here(), true)],
  x: ["select", here, () => toggle(here().item)],
  c: ["clear", () => selected.value.size, () => (selected.value = new Set())],
  "?": ["keys", () => true, () => (isOpen.value = true)],
};

addEventListener("keydown", (event) => {
  const isTyping = event.target.matches?.("input:not([type=checkbox], [type=radio]), select, textarea");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const key = KEYS[event.key];
  if (!key || !key[1]()) return;
  event.preventDefault();
  key[2]();
});

export function Keys() {
  const dialog = useRef(null);
  useEffect(() => {
    if (isOpen.value && !dialog.current.open) dialog.current.showModal();
  }, [isOpen.value]);
  return html`
    <dialog ref=${dialog} class="keys" aria-label=${say("keys")} onClose=${() => (isOpen.value = false)}>
      <h2>${say("keys")}</h2>
      <dl>
        ${Object.entries(KEYS).map(
          ([key, [name]]) => html`<dt><kbd>${key.replace("Arrow", "")}</kbd></dt><dd>${say(name)}</dd>`,
        )}
        <dt><kbd>Esc</kbd></dt><dd>${say("close")}</dd>
      </dl>
      <button onClick=${() => dialog.current.close()}>${say("close")}</button>
    </dialog>
  `;
}
