/** The query: a line to type in, what was understood of it, and how sure hits must be. */

import { html, signal, effect, useRef } from "../ui.mjs";
import { send, pictureOf } from "../session.mjs";
import { say } from "../i18n/i18n.mjs";
import { AskButton } from "../ask/ask.mjs";
import { PictureButton } from "./picture.mjs";
import {
  text, examples, minimum, order, counts, phase, problem, ask, askSoon, unlike,
} from "../state.mjs";

/** How the service understands the text; null before it said so. */
const understood = signal(null);
let parsed = 0;

effect(() => {
  const q = text.value;
  const mine = ++parsed;
  if (!q.trim()) {
    understood.value = null;
    return;
  }
  send("POST", "/v1/query/parse", { q })
    .then((found) => {
      if (mine === parsed) understood.value = found;
    })
    .catch(() => {});
});

export function QueryBar() {
  return html`
    <div class="query">
      <form role="search" onSubmit=${(event) => (event.preventDefault(), ask())}>
        <${Line} />
        <${AskButton} />
        <${PictureButton} />
      </form>
      <${Fault} />
      <div class="row">
        <${Chips} />
        <${Dial} />
        <${Order} />
      </div>
    </div>
  `;
}

/** The line. While an input method composes nothing is sent, and its Enter only commits. */
function Line() {
  const composes = useRef(false);
  const change = (event) => {
    text.value = event.target.value;
    if (!composes.current) askSoon();
  };
  return html`
    <input
      id="query" type="search" autofocus autocomplete="off" spellcheck="false" maxlength="2000"
      aria-label=${say("search")} placeholder=${say("placeholder")}
      aria-invalid=${problem.value ? "true" : "false"} aria-describedby="problem"
      value=${text.value}
      onInput=${change}
      onCompositionStart=${() => (composes.current = true)}
      onCompositionEnd=${(event) => {
        composes.current = false;
        change(event);
      }}
      onKeyDown=${(event) => {
        if (event.key === "Enter" && (event.isComposing || event.keyCode === 229)) {
          event.preventDefault();
        }
      }}
    />
  `;
}

/** What is wrong with the text, and where. */
function Fault() {
  const fault = problem.value;
  if (!fault) return html`<p id="problem" role="status"></p>`;
  const place = fault.position ?? null;
  const rest = place === null ? "" : text.value.slice(place, place + 12);
  return html`
    <p id="problem" role="status" class="fault">
      ${fault.text}${rest && html` <mark>${rest}</mark>`}
    </p>
  `;
}

function Chips() {
  const parts = understood.value?.parts ?? [];
  const filter = understood.value?.filter;
  return html`
    <ul class="chips" aria-label=${say("understood")}>
      ${parts.map(
        (part) => html`<li class=${part.negative ? "not" : ""}>${part.text}</li>`,
      )}
      ${filter && html`<li class="filter">${filter}</li>`}
      ${examples.value.map(
        (one) => html`
          <li key=${one.image ?? one.item} class=${one.negative ? "picture not" : "picture"}>
            <img alt="" src=${one.url ?? pictureOf(one, "thumb/256")} />
            ${say(one.negative ? "less" : "more")}
            <button class="plain" aria-label=${say("leaveOut")} onClick=${() => unlike(one)}>
              ×
            </button>
          </li>
        `,
      )}
    </ul>
  `;
}

const LEVELS = ["likely", "possible", "any"];

/** How sure hits must be, with how many more a wider choice may show. */
function Dial() {
  const found = counts.value;
  const here = LEVELS.indexOf(minimum.value);
  const further = (place) => {
    if (!found || place <= here) return 0;
    return (here === 0 ? found.possible : 0) + (place === 2 ? found.weak : 0);
  };
  return html`
    <fieldset class="dial">
      <legend class="hidden">${say("levels")}</legend>
      ${LEVELS.map(
        (level, place) => html`
          <label key=${level} title=${say(`${level}Help`)}>
            <input
              type="radio" name="minimum" checked=${minimum.value === level}
              onChange=${() => {
                minimum.value = level;
                ask();
              }}
            />
            <span>${say(level)}${further(place) > 0 && html` <small>+${further(place)}</small>`}</span>
          </label>
        `,
      )}
    </fieldset>
  `;
}

function Order() {
  return html`
    <label class="order">
      <span class="hidden">${say("order")}</span>
      <select
        value=${order.value}
        onChange=${(event) => {
          order.value = event.target.value;
          ask();
        }}
      >
        ${["best", "newest", "oldest"].map(
          (name) => html`<option value=${name} selected=${order.value === name}>${say(name)}</option>`,
        )}
      </select>
    </label>
    <span class="hidden" role="status">${phase.value === "asking" ? say("asking") : ""}</span>
  `;
}
