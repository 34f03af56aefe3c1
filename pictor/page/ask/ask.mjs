/** A question about the pictures: the answer, whose numbers are buttons, and what it rests on. */

import { html, signal, effect } from "../ui.mjs";
import { send, pictureOf } from "../session.mjs";
import { say } from "../i18n/i18n.mjs";
import { text, minimum } from "../state.mjs";

/** The answer that is shown; it goes when something else is asked. */
export const answer = signal(null);
const fault = signal("");
const isAsking = signal(false);
/** The number that the pointer or the keyboard is at. */
const lit = signal(0);
let asked = 0;

effect(() => {
  if (text.value.trim() !== answer.peek()?.question) answer.value = null;
});

async function ask() {
  const mine = ++asked;
  isAsking.value = true;
  fault.value = "";
  try {
    const least = minimum.value === "likely" ? "likely" : "possible";
    const found = await send("POST", "/v1/ask", { question: text.value, minimum: least });
    if (mine === asked) answer.value = found;
  } catch (error) {
    if (mine === asked) [answer.value, fault.value] = [null, error.message];
  } finally {
    if (mine === asked) isAsking.value = false;
  }
}

export function AskButton() {
  return html`
    <button
      type="button" title=${say("askHelp")} disabled=${!text.value.trim()}
      aria-busy=${isAsking.value ? "true" : "false"} onClick=${ask}
    >
      ${say("ask")}
    </button>
  `;
}

export function Answer() {
  const found = answer.value;
  if (!found && !fault.value) return null;
  const close = () => {
    answer.value = null;
    fault.value = "";
  };
  return html`
    <section class="answer" role="status" aria-label=${say("answer")}>
      <button class="plain" aria-label=${say("close")} onClick=${close}>×</button>
      ${fault.value && html`<p class="fault">${fault.value}</p>`}
      ${found && html`<p class="asked" dir="auto">${found.question}</p>`}
      ${found &&
      html`<p dir="auto">${found.text.split(/(\[\d+\])/).map((part) => html`<${Part} text=${part} />`)}</p>`}
      <div class="evidence">
        ${(found?.evidence ?? []).map(
          (one) => html`
            <figure key=${one.number} id=${`evidence-${one.number}`} class=${lit.value === one.number ? "lit" : ""}>
              <img alt=${one.name} src=${pictureOf(one, "thumb/256")} />
              <figcaption>[${one.number}] ${one.taken_at?.slice(0, 10) ?? ""}</figcaption>
            </figure>
          `,
        )}
      </div>
    </section>
  `;
}

/** A citation lights its picture; anything else is text. */
function Part({ text: part }) {
  const number = Number(/^\[(\d+)\]$/.exec(part)?.[1] ?? 0);
  if (!number) return part;
  const light = () => (lit.value = number);
  const dim = () => (lit.value = 0);
  return html`
    <a
      href=${`#evidence-${number}`} onMouseEnter=${light} onFocus=${light} onMouseLeave=${dim} onBlur=${dim}
      onClick=${(event) => event.preventDefault()}
    >${part}</a>
  `;
}
