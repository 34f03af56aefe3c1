/** A picture as a query: chosen, dropped anywhere on the page, or pasted. */

import { html, signal, useRef } from "../ui.mjs";
import { sendPicture } from "../session.mjs";
import { say } from "../i18n/i18n.mjs";
import { examples, problem, ask } from "../state.mjs";

const isSending = signal(false);

/** Search for what is like a picture. @param {Blob | null | undefined} file */
async function search(file) {
  if (!file) return;
  if (!file.type.startsWith("image/")) {
    problem.value = { text: say("notPicture", file.name) };
    return;
  }
  isSending.value = true;
  try {
    const { id } = await sendPicture(file);
    const one = { image: id, url: URL.createObjectURL(file), negative: false };
    examples.value = [...examples.value, one];
    ask();
  } catch (error) {
    problem.value = { text: `${say("noPicture")}: ${error.message}` };
  } finally {
    isSending.value = false;
  }
}

addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  search(event.dataTransfer?.files[0]);
});
addEventListener("paste", (event) => {
  const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
  if (file) event.preventDefault();
  search(file);
});

export function PictureButton() {
  const chooser = useRef(null);
  return html`
    <input
      ref=${chooser} type="file" accept="image/*" class="hidden" tabindex="-1" aria-hidden="true"
      onChange=${(event) => {
        search(event.target.files[0]);
        event.target.value = "";
      }}
    />
    <button
      type="button" title=${say("pictureHelp")} aria-busy=${isSending.value ? "true" : "false"}
      onClick=${() => chooser.current.click()}
    >
      ${say("picture")}
    </button>
  `;
}
