/** Who the page is to the service: the token of the address bar, kept for this tab only. */

import { signal } from "./ui.mjs";
import { say } from "./i18n/i18n.mjs";

const KEY = "pictor.token";

/** Whether there is a token that the service takes. */
export const isOpen = signal(false);

let token = "";

/** A refusal of the service, with its own sentence. */
export class Problem extends Error {
  /** @param {number} status @param {any} body */
  constructor(status, body) {
    super(body?.detail ?? `HTTP ${status}`);
    this.status = status;
    this.position = body?.position ?? null;
  }
}

/** Take the token out of the address bar, or of this tab, and get the cookie for pictures. */
export async function openSession() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem(KEY, given);
    history.replaceState(null, "", location.pathname + location.search);
  }
  token = sessionStorage.getItem(KEY) ?? "";
  if (!token) return;
  try {
    await send("POST", "/v1/session", { token });
    isOpen.value = true;
  } catch {
    sessionStorage.removeItem(KEY);
  }
}

/**
 * Ask the service.
 * @param {string} method @param {string} path @param {any} [body] @param {AbortSignal} [signal]
 * @returns {Promise<any>} what it answers; null where that is nothing
 */
export async function send(method, path, body, signal) {
  const headers = { Authorization: `Bearer ${token}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const text = body === undefined ? undefined : JSON.stringify(body);
  const answer = await reached(fetch(path, { method, headers, body: text, signal }));
  if (answer.status === 401) isOpen.value = false;
  if (answer.status === 204) return null;
  const data = await answer.json();
  if (!answer.ok) throw new Problem(answer.status, data);
  return data;
}

/** What was asked for, or a sentence of ours where the service does not answer. */
async function reached(asked) {
  try {
    return await asked;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(say("noService"));
  }
}

/** Send a picture to search with. @param {Blob} file @returns {Promise<any>} its id */
export async function sendPicture(file) {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": file.type };
  const answer = await reached(fetch("/v1/query-images", { method: "POST", headers, body: file }));
  const data = await answer.json();
  if (!answer.ok) throw new Problem(answer.status, data);
  return data;
}

/** The address of an item's picture. @param {any} hit @param {string} what */
export function pictureOf(hit, what) {
  return `/v1/items/${hit.item}/${what}?v=${hit.v}`;
}
