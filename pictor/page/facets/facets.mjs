/** What the hits can be narrowed down by, with how many each choice leaves. */

import { html, signal, effect } from "../ui.mjs";
import { send } from "../session.mjs";
import { say } from "../i18n/i18n.mjs";
import { text, minimum, phase, question, ask } from "../state.mjs";

const NAMES = ["year", "camera", "tag", "type", "rating", "shape", "format", "lens"];
const MOST = 12;

const isOpen = signal(false);
const found = signal({});
let asked = 0;

effect(() => {
  if (phase.value !== "done" || !isOpen.value) return;
  queueMicrotask(count); // which reads what is asked, and is not to run at each key
});

function count() {
  const mine = ++asked;
  send("POST", "/v1/facets", { query: question(), of: NAMES, minimum: minimum.value })
    .then((answer) => mine === asked && (found.value = answer.facets))
    .catch(() => {});
}

/** Add a filter to the query, or take it out again. @param {any} value */
function choose(value) {
  const words = text.value;
  text.value = value.is_on ? words.replace(value.filter, "").trim() : `${words} ${value.filter}`.trim();
  ask();
}

export function Facets() {
  const useful = NAMES.filter((name) => (found.value[name]?.length ?? 0) > 1 || found.value[name]?.some((one) => one.is_on));
  return html`
    <details class="facets" open=${isOpen.value} onToggle=${(event) => (isOpen.value = event.target.open)}>
      <summary>${say("narrow")}</summary>
      <div class="choices">
        ${useful.map((name) => html`<${Choices} key=${name} name=${name} values=${found.value[name]} />`)}
      </div>
    </details>
  `;
}

function Choices({ name, values }) {
  const words = name === "type" || name === "shape";
  return html`
    <fieldset>
      <legend>${say(name)}</legend>
      ${values.slice(0, MOST).map(
        (one) => html`
          <button key=${one.value} aria-pressed=${one.is_on ? "true" : "false"} onClick=${() => choose(one)}>
            ${words ? say(one.value) : one.value} <small>${one.count}</small>
          </button>
        `,
      )}
    </fieldset>
  `;
}
