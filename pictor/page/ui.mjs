/** What the parts of the page are made of. */

import { h, render } from "./vendor/preact.mjs";
import htm from "./vendor/htm.mjs";

export const html = htm.bind(h);
export { render };
export { useEffect, useRef, useState } from "./vendor/hooks.mjs";
export { signal, computed, effect, batch } from "./vendor/signals.mjs";
