/** The page's own words, in the browser's language or the one that was chosen. */

import { signal, effect } from "../ui.mjs";
import en from "./en.mjs";
import zh from "./zh.mjs";

const WORDS = { en, zh };
const KEY = "pictor.language";

const wished = localStorage.getItem(KEY) ?? navigator.language.slice(0, 2);
export const language = signal(wished === "zh" ? "zh" : "en");

effect(() => {
  document.documentElement.lang = language.value === "zh" ? "zh-Hans" : "en";
});

/** Change the language, for good. @param {"en"|"zh"} code */
export function setLanguage(code) {
  localStorage.setItem(KEY, code);
  language.value = code;
}

/** A text by its name; what it needs is put in for {0}, {1}. @param {string} name @param {any[]} given */
export function say(name, ...given) {
  const text = WORDS[language.value][name] ?? name;
  return text.replace(/\{(\d)\}/g, (_, place) => given[place]);
}
