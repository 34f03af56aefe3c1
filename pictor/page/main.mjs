/** The page: a query above, its hits below, one of them large when it is chosen. */

import { html, render } from "./ui.mjs";
import { openSession, isOpen } from "./session.mjs";
import { say, setLanguage, language } from "./i18n/i18n.mjs";
import { QueryBar } from "./query/bar.mjs";
import { Answer } from "./ask/ask.mjs";
import { Facets } from "./facets/facets.mjs";
import { Grid } from "./grid/grid.mjs";
import { Selection } from "./grid/selection.mjs";
import { Viewer } from "./viewer/viewer.mjs";
import { Keys } from "./keys.mjs";
import { readLocation } from "./state.mjs";

function Page() {
  if (!isOpen.value) {
    return html`<main class="closed"><h1>pictor</h1><p>${say("noToken")}</p></main>`;
  }
  const other = language.value === "zh" ? "en" : "zh";
  return html`
    <a class="skip" href="#hits">${say("skip")}</a>
    <header>
      <h1 class="hidden">pictor</h1>
      <${QueryBar} />
      <button class="plain" lang=${other} onClick=${() => setLanguage(other)}>
        ${other === "zh" ? "中文" : "English"}
      </button>
    </header>
    <main id="hits" tabindex="-1"><${Answer} /><${Facets} /><${Grid} /></main>
    <${Selection} />
    <${Viewer} />
    <${Keys} />
  `;
}

await openSession();
readLocation();
render(html`<${Page} />`, document.body);
