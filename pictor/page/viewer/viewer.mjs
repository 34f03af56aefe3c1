/** One hit, large: what is known of it, what it is like, and why it is a hit. */

import { html, signal, effect, useEffect, useRef, useState } from "../ui.mjs";
import { pictureOf, send } from "../session.mjs";
import { say } from "../i18n/i18n.mjs";
import { hits, shown, like, more } from "../state.mjs";

/** All that is known of the shown item; null until it is there. */
const facts = signal(null);
const similar = signal([]);
let asked = 0;

effect(() => {
  const hit = hits.value[shown.value];
  const mine = ++asked;
  facts.value = null;
  similar.value = [];
  if (!hit) return;
  send("GET", `/v1/items/${hit.item}`)
    .then((found) => mine === asked && (facts.value = found))
    .catch(() => {});
  send("GET", `/v1/items/${hit.item}/similar?limit=8`)
    .then((found) => mine === asked && (similar.value = found.hits))
    .catch(() => {});
});

/** Go to the hit before or after. @param {number} by */
export function go(by) {
  const place = shown.value + by;
  if (place < 0 || place >= hits.value.length) return;
  shown.value = place;
  if (place > hits.value.length - 10) more();
}

export function Viewer() {
  const hit = hits.value[shown.value];
  const dialog = useRef(null);
  useEffect(() => {
    const box = dialog.current;
    if (hit && !box.open) box.showModal();
    if (!hit && box.open) box.close();
  }, [hit]);
  const close = () => {
    const place = shown.value;
    shown.value = -1;
    document.querySelector(`[data-place="${place}"]`)?.focus();
  };
  return html`
    <dialog ref=${dialog} class="viewer" onClose=${close} aria-label=${hit?.name ?? ""}>
      ${hit && html`<${Shown} key=${hit.item} hit=${hit} close=${() => dialog.current.close()} />`}
    </dialog>
  `;
}

function Shown({ hit, close }) {
  const [isGone, setGone] = useState(false);
  const isVideo = facts.value?.kind === "video";
  return html`
    <div class="stage">
      ${isVideo
        ? html`<video controls src=${`${pictureOf(hit, "original")}#t=${hit.time_s ?? 0}`}></video>`
        : isGone
          ? html`<p class="gone" role="status">${say("gone")}</p>`
          : html`<img alt=${hit.name} src=${pictureOf(hit, "preview")} onError=${() => setGone(true)} />`}
      <button class="turn before" aria-label=${say("before")} onClick=${() => go(-1)}>‹</button>
      <button class="turn after" aria-label=${say("after")} onClick=${() => go(1)}>›</button>
    </div>
    <aside>
      <div class="tools">
        <button onClick=${() => like(hit, false)}>${say("moreLike")}</button>
        <button onClick=${() => like(hit, true)}>${say("lessLike")}</button>
        <a download href=${pictureOf(hit, "original")}>${say("original")}</a>
        <button class="plain" aria-label=${say("close")} onClick=${close}>×</button>
      </div>
      <h2 dir="auto">${hit.name}</h2>
      <${Facts} hit=${hit} />
      ${similar.value.length > 0 && html`<h3>${say("similar")}</h3>`}
      <div class="strip">
        ${similar.value.map(
          (one) => html`
            <button key=${one.item} aria-label=${one.name} onClick=${() => like(one, false)}>
              <img alt="" loading="lazy" src=${pictureOf(one, "thumb/256")} />
            </button>
          `,
        )}
      </div>
    </aside>
  `;
}

function Facts({ hit }) {
  const known = facts.value;
  if (!known) return null;
  const rows = [
    ["level", hit.level && `${say(hit.level)} ${hit.probability?.toFixed(2) ?? ""}`],
    ["taken", known.taken_at?.replace("T", " ")],
    ["camera", [known.camera, known.lens].filter(Boolean).join(" · ")],
    ["size", `${known.width} × ${known.height}, ${megabytes(known.size_bytes)}`],
    ["place", known.latitude !== null && `${known.latitude.toFixed(4)}, ${known.longitude.toFixed(4)}`],
    ["rating", known.rating && "★".repeat(known.rating)],
    ["title", known.title],
    ["description", known.description],
    ["captions", known.captions.map((one) => one.text).join(" / ")],
    ["tags", known.tags.map((one) => one.label).join(", ")],
    ["path", known.files.map((one) => one.shown).join("\n")],
  ];
  return html`
    <dl>
      ${rows
        .filter(([, value]) => value)
        .map(([name, value]) => html`<dt>${say(name)}</dt><dd dir="auto">${value}</dd>`)}
    </dl>
  `;
}

function megabytes(bytes) {
  return bytes < 1e5 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
