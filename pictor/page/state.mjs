/** What is asked and what was found, in one place. */

import { batch, effect, signal } from "./ui.mjs";
import { send } from "./session.mjs";

const PAGE = 60;
const PAUSE_MS = 120;
const TYPING_MS = 1500;

/** The text of the query as it stands in the bar. */
export const text = signal("");
/** What the hits are to be more or less like: {item, v, negative} or {image, url, negative}. */
export const examples = signal([]);
/** The lowest level that is shown: "likely", "possible" or "any". */
export const minimum = signal("possible");
/** "best", "newest" or "oldest". */
export const order = signal("best");

export const hits = signal([]);
export const counts = signal(null);
export const next = signal(null);
/** "idle", "asking", "done" or "failed". */
export const phase = signal("idle");
/** The service's sentence, and where in the text; null while there is none. */
export const problem = signal(null);
/** The place among the hits of the one that is shown large; -1 for none. */
export const shown = signal(-1);
/** Ids of the items that are selected. */
export const selected = signal(new Set());

let asked = 0;
let running = new AbortController();
let timer = 0;
let written = 0;

/** What is searched for, as the service takes it. */
export function question() {
  const like = (negative) =>
    examples.value
      .filter((one) => one.negative === negative)
      .map(({ item, image }) => (image ? { image } : { item }));
  return { text: text.value, more: like(false), less: like(true) };
}

function body(cursor) {
  return {
    query: question(),
    minimum: minimum.value,
    order: order.value,
    limit: PAGE,
    cursor,
  };
}

/** Ask now. The answer to an older question is never shown. */
export async function ask() {
  clearTimeout(timer);
  const mine = ++asked;
  running.abort();
  running = new AbortController();
  const isEmpty = !text.value.trim() && examples.value.length === 0;
  const wanted = body(null);
  if (isEmpty) wanted.query.text = "type:image"; // all, the newest first
  batch(() => {
    phase.value = "asking";
    problem.value = null;
  });
  try {
    const found = await send("POST", "/v1/search", wanted, running.signal);
    if (mine !== asked) return;
    batch(() => {
      hits.value = found.hits;
      counts.value = isEmpty ? null : found.counts;
      next.value = found.next;
      phase.value = "done";
      shown.value = -1;
    });
    writeLocation();
  } catch (error) {
    if (mine !== asked || error.name === "AbortError") return;
    batch(() => {
      phase.value = "failed";
      problem.value = { text: error.message, position: error.position };
    });
  }
}

/** Ask when the person pauses. */
export function askSoon() {
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE_MS);
}

/** The next page of hits, below those that are there. */
export async function more() {
  const cursor = next.value;
  if (!cursor || phase.value !== "done") return;
  const mine = asked;
  next.value = null;
  const wanted = body(cursor);
  if (!text.value.trim() && examples.value.length === 0) wanted.query.text = "type:image";
  try {
    const found = await send("POST", "/v1/search", wanted, running.signal);
    if (mine !== asked) return;
    batch(() => {
      hits.value = [...hits.value, ...found.hits];
      next.value = found.next;
    });
  } catch (error) {
    if (mine === asked && error.name !== "AbortError") problem.value = { text: error.message };
  }
}

/** Search for what is like an item, or not. @param {any} hit @param {boolean} negative */
export function like(hit, negative) {
  const others = examples.value.filter((one) => one.item !== hit.item);
  examples.value = [...others, { item: hit.item, v: hit.v, negative }];
  ask();
}

/** Leave an example out again. @param {any} example */
export function unlike(example) {
  if (example.url) URL.revokeObjectURL(example.url);
  examples.value = examples.value.filter((one) => one !== example);
  ask();
}

/** Select an item, or leave it out again. @param {number} item */
export function toggle(item) {
  const chosen = new Set(selected.value);
  if (!chosen.delete(item)) chosen.add(item);
  selected.value = chosen;
}

/** Take the search out of the address bar. */
export function readLocation() {
  const given = new URLSearchParams(location.search);
  text.value = given.get("q") ?? "";
  minimum.value = given.get("min") ?? "possible";
  order.value = given.get("sort") ?? "best";
  ask();
}

function writeLocation() {
  const given = new URLSearchParams();
  if (text.value.trim()) given.set("q", text.value);
  if (minimum.value !== "possible") given.set("min", minimum.value);
  if (order.value !== "best") given.set("sort", order.value);
  const line = given.size ? `?${given}` : location.pathname;
  if (line === location.search || (!given.size && !location.search)) return;
  const isTyping = Date.now() - written < TYPING_MS; // one step back is one search, not one letter
  written = Date.now();
  history[isTyping ? "replaceState" : "pushState"](null, "", line);
}

effect(() => {
  document.title = text.value.trim() ? `${text.value.trim()} – pictor` : "pictor";
});
addEventListener("popstate", readLocation);
