
"use strict";
// The groups are data in script elements of their own and are parsed when they are shown, a page of
// them at a time: thousands of pictures at once would fill the memory. Text from files goes to the
// page as text only (textContent), never as HTML.

const PER_PAGE = 12;
const BLINK_MS = 650;
const VIEWS = [["side", "Side by side", "p"], ["slider", "Slider", "o"], ["blink", "Blink", "b"],
  ["difference", "Difference", "d"]];
const KINDS = { bytes: "same bytes", pixels: "same pixels", near: "same picture", burst: "bursts",
  similar: "similar", related: "related" };
const CHOICES = [["keep", "Keep"], ["remove", "Remove"], ["not-duplicate", "Not a duplicate"],
  ["related", "Related"]];

const byId = (id) => document.getElementById(id);
const index = JSON.parse(byId("index").textContent);
const groupOf = (place) => JSON.parse(byId(`group-${place}`).textContent);

function make(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (name === "class") element.className = value;
    else if (name.includes("-")) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function text(tag, className, words) {
  const element = make(tag, { class: className, dir: "auto" }, words);
  const isHan = /[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]/.test(words);
  if (isHan && !/[\u3040-\u30ff\uac00-\ud7af]/.test(words)) element.lang = "zh-Hans";
  return element;
}

const count = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, "\u202f");
const percent = (share) => `${(100 * share).toFixed(share < 0.0995 && share > 0 ? 1 : 0)} %`;

function bytes(number) {
  let value = number;
  for (const unit of ["bytes", "kB", "MB", "GB"]) {
    if (value < 1000) return `${Number(value.toPrecision(3))} ${unit}`;
    value /= 1000;
  }
  return `${Number(value.toPrecision(3))} TB`;
}

// --- choices: {keeper: hash or null, others: {hash: verdict}} by group, kept by the browser

const PREFIX = `pictor.duplicates.${index.library}.`;
const choices = new Map();
const undone = [];
let remembers = true;

function recall() {
  for (const group of index.groups) {
    try {
      const held = JSON.parse(localStorage.getItem(PREFIX + group.id));
      if (held && isChoice(held, group)) choices.set(group.id, held);
    } catch (error) {
      if (!(error instanceof SyntaxError)) { remembers = false; return; }
    }
  }
}

function isChoice(held, group) {
  const verdicts = CHOICES.slice(1).map(([name]) => name);
  const isKnown = (content) => group.contents.includes(content);
  return (held.keeper === null || isKnown(held.keeper)) && held.others instanceof Object
    && Object.entries(held.others).every(([c, v]) => isKnown(c) && verdicts.includes(v));
}

function remember(group, choice) {
  const isEmpty = !choice || (choice.keeper === null && !Object.keys(choice.others).length);
  if (isEmpty) choices.delete(group.id);
  else choices.set(group.id, choice);
  try {
    if (isEmpty) localStorage.removeItem(PREFIX + group.id);
    else localStorage.setItem(PREFIX + group.id, JSON.stringify(choice));
  } catch (error) {
    remembers = false;
  }
}

function decide(place, change) {
  const group = index.groups[place];
  const before = choices.get(group.id) || null;
  const choice = before ? structuredClone(before) : { keeper: null, others: {} };
  change(choice, group.contents);
  undone.push([place, before]);
  remember(group, choice);
  refresh(place);
}

function keep(place, content) {
  decide(place, (choice, contents) => {
    choice.keeper = content;
    for (const other of contents) {
      if (!choice.others[other]) choice.others[other] = "remove";
    }
    delete choice.others[content];
  });
}

function judge(place, content, verdict) {
  decide(place, (choice) => {
    if (choice.others[content] === verdict) delete choice.others[content];
    else choice.others[content] = verdict;
    // A keeper that nothing is kept instead of is no choice any more.
    if (!Object.values(choice.others).includes("remove")) choice.keeper = null;
  });
}

function judgeAll(place, verdict) {
  decide(place, (choice, contents) => {
    choice.keeper = null;
    choice.others = Object.fromEntries(contents.slice(1).map((content) => [content, verdict]));
  });
}

function undo() {
  const last = undone.pop();
  if (!last) return;
  remember(index.groups[last[0]], last[1]);
  refresh(last[0]);
  goTo(last[0]);
}

// The verdicts of a group on pairs of contents. What is no duplicate, or related, is so beside every
// other content of the group; what may go may go for the one that is kept.
function verdictsOf(group) {
  const choice = choices.get(group.id);
  if (!choice) return [];
  const keeper = choice.keeper || group.contents[0];
  const found = [];
  group.contents.forEach((a, i) => group.contents.slice(i + 1).forEach((b) => {
    const said = [choice.others[a], choice.others[b]];
    let verdict = ["not-duplicate", "related"].find((one) => said.includes(one));
    if (!verdict && a === keeper && said[1] === "remove") verdict = "keep-a";
    if (!verdict && b === keeper && said[0] === "remove") verdict = "keep-b";
    if (verdict) found.push({ a, b, verdict });
  }));
  return found;
}

function save() {
  const lines = index.groups.flatMap(verdictsOf).map((one) => JSON.stringify(one) + "\n");
  const url = URL.createObjectURL(new Blob(lines, { type: "application/jsonl" }));
  make("a", { href: url, download: "decisions.jsonl" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
  say("Saved. Take them into the library with: pictor duplicates decide --from decisions.jsonl");
}

// --- what is shown

const shown = { filtered: [], page: 0, now: null, cards: new Map() };

function filter() {
  const kind = byId("kind").value;
  const onlyUndecided = byId("undecided").checked;
  shown.filtered = index.groups.map((_, place) => place).filter((place) => {
    const group = index.groups[place];
    return (!kind || group.kind === kind) && !(onlyUndecided && choices.has(group.id));
  });
  shown.page = 0;
  render();
}

const pages = () => Math.max(1, Math.ceil(shown.filtered.length / PER_PAGE));

function render() {
  shown.page = Math.min(Math.max(0, shown.page), pages() - 1);
  const places = shown.filtered.slice(shown.page * PER_PAGE, (shown.page + 1) * PER_PAGE);
  for (const card of shown.cards.values()) card.stop();
  shown.cards = new Map(places.map((place) => [place, new Card(place)]));
  const cards = [...shown.cards.values()].map((card) => card.element);
  byId("groups").replaceChildren(...cards);
  if (!cards.length) byId("groups").append(text("p", "none", "no groups to show"));
  shown.now = null;
  if (places.length) select(places[0]);
  byId("page").textContent = `page ${shown.page + 1} of ${pages()}`;
  byId("previous").disabled = shown.page === 0;
  byId("next").disabled = shown.page >= pages() - 1;
  tally();
}

function turnPage(step) {
  const before = shown.page;
  shown.page += step;
  if (shown.page < 0 || shown.page >= pages()) { shown.page = before; return false; }
  render();
  window.scrollTo(0, 0);
  return true;
}

function select(place) {
  if (shown.now === place) return;
  shown.cards.get(shown.now)?.element.classList.remove("now");
  shown.now = place;
  shown.cards.get(place)?.element.classList.add("now");
}

function goTo(place) {
  if (!shown.cards.has(place)) {
    const at = shown.filtered.indexOf(place);
    if (at < 0) return;
    shown.page = Math.floor(at / PER_PAGE);
    render();
  }
  select(place);
  shown.cards.get(place).element.scrollIntoView({ block: "start" });
}

function step(by) {
  const at = shown.filtered.indexOf(shown.now) + by;
  if (at >= 0 && at < shown.filtered.length) goTo(shown.filtered[at]);
}

function refresh(place) {
  shown.cards.get(place)?.refresh();
  tally();
}

function tally() {
  const decided = index.groups.filter((group) => choices.has(group.id));
  const verdicts = decided.reduce((sum, group) => sum + verdictsOf(group).length, 0);
  byId("save").disabled = !verdicts;
  byId("save").textContent = verdicts ? `Save decisions (${count(verdicts)})` : "Save decisions";
  byId("undo").disabled = !undone.length;
  const files = index.groups.reduce((sum, group) => sum + group.files, 0);
  const freed = index.groups.reduce((sum, group) => sum + group.freed, 0);
  const said = [`${count(index.groups.length)} groups of ${count(files)} files`];
  if (freed) said.push(`up to ${bytes(freed)} can be freed`);
  said.push(`${count(decided.length)} decided`);
  byId("summary").textContent = said.join(" · ");
}

function say(words) {
  byId("note").textContent = words;
  byId("note").hidden = !words;
}

function warnings() {
  const said = [];
  if (index.withoutPictures) {
    said.push(`The last ${count(index.withoutPictures)} groups have no pictures here: the file would `
      + "be too large. Make a report of fewer folders or kinds to see them.");
  }
  if (!remembers) {
    said.push("This browser keeps nothing for files: save your decisions before you close the page.");
  }
  return said.join(" ");
}

// --- one group

class Card {
  constructor(place) {
    this.place = place;
    this.data = groupOf(place);
    this.view = "side";
    const { members } = this.data;
    this.others = members.filter((one) => one.content !== members[0].content
      && this.data.shots[one.content]?.src && this.data.shots[members[0].content]?.src);
    this.other = 0;
    this.element = make("section", { class: "group", id: `at-${place}` });
    this.element.addEventListener("pointerdown", () => select(place), true);
    this.element.addEventListener("focusin", () => select(place));
    this.build();
    this.refresh();
  }

  build() {
    const { data } = this;
    this.state = text("span", "state", "");
    const more = data.more ? `, of which ${data.members.length} are listed` : "";
    const files = data.members.length + data.more;
    const head = make("div", { class: "head" },
      text("h2", "", `${count(this.place + 1)} · ${count(files)} files${more}`),
      text("span", "kind", data.kindWords), this.state);
    const freed = index.groups[this.place].freed;
    const frees = freed ? `; frees up to ${bytes(freed)}` : "";
    const reason = text("p", "reason", `${data.reason}${frees}.`);
    this.figures = data.members.map((member, number) => this.figure(member, number));
    const two = data.members.length === 2 ? "members two" : "members";
    this.gallery = make("div", { class: two }, ...this.figures);
    this.stage = make("div", { class: "stage", hidden: true });
    const parts = [head, reason, this.tabs(), this.stage, this.gallery, this.all(), this.table(),
      this.same(), this.pairs()];
    this.element.append(...parts.filter((part) => part));
  }

  figure(member, number) {
    const shot = this.data.shots[member.content];
    const picture = shot?.src
      ? make("img", { src: shot.src, alt: member.name, loading: "lazy" })
      : text("span", "lost", shot?.problem ? `no picture: ${shot.problem}` : "no picture here");
    const name = text("a", "name", member.name);
    if (member.link) name.href = member.link;
    name.title = member.path;
    const link = member.toKeeper;
    const sure = link && `${link.kindWords}, ${percent(link.confidence)} sure: ${link.words}`;
    const said = [member.isKeeper ? "" : sure || "not compared with the suggested one",
      member.isProtected ? "always kept, by a rule or by your decision" : "",
      member.state === "present" ? "" : member.state];
    this.isOne = index.groups[this.place].contents.length === 1;
    const buttons = CHOICES.map(([verdict, label]) => make("button", {
      class: verdict, title: label, "aria-pressed": "false", "data-verdict": verdict,
      onclick: () => this.choose(member.content, verdict),
    }, label));
    const first = this.data.members.findIndex((one) => one.content === member.content);
    const isCopy = first === 0 && !member.isKeeper;
    if (first > 0 && first !== number) said.push(`the same bytes as ${first + 1}`);
    return make("figure", { "data-content": member.content },
      make("div", { class: "shot" }, picture, make("span", { class: "number" }, String(number + 1)),
        member.isKeeper ? make("span", { class: "suggested" }, "suggested") : null),
      make("figcaption", {}, name, text("span", "words", said.filter((one) => one).join(" · ")),
        this.isOne || isCopy ? null : make("div", { class: "choices" }, ...buttons)));
  }

  choose(content, verdict) {
    if (verdict === "keep") keep(this.place, content);
    else judge(this.place, content, verdict);
  }

  all() {
    if (this.isOne) {
      return text("p", "same", "All are the same bytes: the rules choose the file that stays, and never: path:DIR keeps more.");
    }
    const button = (label, key, action) =>
      make("button", { title: `${label} (${key})`, onclick: action }, label);
    return make("div", { class: "views" },
      button("Keep the suggested one", "k", () => keep(this.place, this.data.members[0].content)),
      button("No duplicates", "n", () => judgeAll(this.place, "not-duplicate")),
      button("All related", "r", () => judgeAll(this.place, "related")),
      this.data.copiesStay ? text("span", "words", `No duplicates: ${this.data.copiesStay}.`) : null);
  }

  tabs() {
    if (!this.others.length) return null;
    this.tab = new Map(VIEWS.map(([view, label, key]) => [view, make("button", {
      title: `${label} (${key})`, "aria-pressed": String(view === "side"),
      onclick: () => this.look(view),
    }, label)]));
    const line = make("div", { class: "views" },
      make("span", { class: "tabs" }, ...this.tab.values()));
    if (this.others.length > 1) {
      this.chooser = make("select", { onchange: () => this.pick(this.chooser.selectedIndex) });
      for (const one of this.others) {
        const number = this.data.members.indexOf(one) + 1;
        this.chooser.append(make("option", {}, `1 with ${number}: ${one.name}`));
      }
      line.append(this.chooser);
    }
    return line;
  }

  pick(place) {
    if (!this.others.length) return;
    this.other = (place + this.others.length) % this.others.length;
    if (this.chooser) this.chooser.selectedIndex = this.other;
    this.look(this.view === "side" ? "slider" : this.view);
  }

  look(view) {
    if (!this.others.length) return;
    this.stop();
    this.view = view;
    for (const [name, button] of this.tab) button.setAttribute("aria-pressed", String(name === view));
    this.stage.hidden = view === "side";
    this.stage.replaceChildren();
    if (view !== "side") this.lay(view);
  }

  lay(view) {
    const [first, second] = [this.data.members[0], this.others[this.other]];
    const [mine, theirs] = [this.data.shots[first.content], this.data.shots[second.content]];
    const below = make("img", { src: mine.src, alt: first.name });
    const frame = make("div", { class: "frame" }, below);
    below.addEventListener("load", () => {
      frame.style.width = `min(100%, ${(64 * below.naturalWidth) / below.naturalHeight}vh)`;
    });
    const tags = [text("span", "tag left", `1 ${first.name}`),
      text("span", "tag right", `${this.data.members.indexOf(second) + 1} ${second.name}`)];
    if (view === "difference") {
      if (theirs.difference) below.src = theirs.difference;
    } else {
      const above = make("img", { src: theirs.aligned || theirs.src, alt: second.name });
      frame.append(above);
      if (view === "slider") this.slide(frame, above);
      else this.blink(above, tags);
      frame.append(...tags);
    }
    this.stage.append(frame, text("p", "", this.told(view, theirs)));
  }

  slide(frame, above) {
    const line = make("span", { class: "line" });
    const range = make("input", { type: "range", min: 0, max: 1000, value: 500,
      "aria-label": "Where one picture ends and the other begins" });
    const set = () => {
      above.style.clipPath = `inset(0 0 0 ${range.value / 10}%)`;
      line.style.left = `${range.value / 10}%`;
    };
    range.addEventListener("input", set);
    set();
    frame.append(line, range);
  }

  blink(above, tags) {
    let isAbove = false;
    const turn = () => {
      isAbove = !isAbove;
      above.style.visibility = isAbove ? "visible" : "hidden";
      tags[0].hidden = isAbove;
      tags[1].hidden = !isAbove;
    };
    turn();
    this.timer = setInterval(turn, BLINK_MS);
  }

  told(view, shot) {
    const part = shot.covered < 0.995
      ? `it shows ${percent(shot.covered)} of the suggested one; striped: the rest` : "";
    if (view !== "difference") {
      return [shot.aligned ? "laid over the suggested one" : "", part].filter((one) => one).join("; ");
    }
    if (!shot.difference) return `no pixel differs at this size${part ? "; " + part : ""}`;
    const seen = shot.visible ? percent(shot.visible) : "none";
    return `black: the same; the brighter, the more differs (4 times as much as it does) · ${seen} of `
      + `the pixels differ visibly${part ? " · " + part : ""}`;
  }

  stop() {
    clearInterval(this.timer);
  }

  table() {
    const rows = this.data.facts.filter(([, , differs]) => differs);
    if (!rows.length) return null;
    const head = make("tr", {}, make("th", {}),
      ...this.data.members.map((one, number) => text("th", "", String(number + 1))));
    const body = rows.map(([name, values]) => make("tr", {}, text("th", "", name),
      ...values.map((value) => text("td", "", value || "–"))));
    return make("div", { class: "wide" }, make("table", {},
      make("thead", {}, head), make("tbody", {}, ...body)));
  }

  same() {
    const alike = this.data.facts.filter(([, , differs]) => !differs);
    if (!alike.length) return null;
    const said = alike.map(([name, values]) => `${name} ${values[0]}`).join(" · ");
    return text("p", "same", `The same in all: ${said}`);
  }

  pairs() {
    const { pairs, morePairs } = this.data;
    if (!pairs.length) return null;
    const items = pairs.map((one) => text("li", "", `${one.a + 1} and ${one.b + 1}: ${one.kindWords}, `
      + `${percent(one.confidence)} sure: ${one.words}`));
    if (morePairs) items.push(text("li", "", `and ${count(morePairs)} more`));
    return make("details", {}, make("summary", {}, "Between the others"),
      make("ul", {}, ...items));
  }

  refresh() {
    const group = index.groups[this.place];
    const choice = choices.get(group.id);
    const keeper = choice ? choice.keeper || group.contents[0] : null;
    this.state.textContent = choice ? "✓ decided" : "";
    for (const figure of this.figures) {
      const { content } = figure.dataset;
      const isKept = choice && content === keeper
        && (choice.keeper || Object.values(choice.others).includes("remove"));
      const verdict = choice ? choice.others[content] || (isKept ? "keep" : "") : "";
      figure.dataset.choice = verdict;
      for (const button of figure.querySelectorAll(".choices button")) {
        const name = button.dataset.verdict;
        button.setAttribute("aria-pressed", String(name === verdict));
        // Something else must be kept before this one can go.
        button.disabled = name !== "keep" && content === (keeper || group.contents[0]);
      }
    }
  }
}

// --- keys

const VIEW_KEYS = new Map(VIEWS.map(([view, , key]) => [key, view]));

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
  const isRange = event.target.matches?.("input[type=range]");
  if (event.target.matches?.("select") || (isRange && event.key.startsWith("Arrow"))) return;
  const action = actionOf(event.key);
  if (!action) return;
  event.preventDefault();
  action();
}

function actionOf(key) {
  const card = shown.cards.get(shown.now);
  const general = {
    "?": () => byId("keys").showModal(), u: undo, ArrowDown: () => step(1), s: () => step(1),
    ArrowUp: () => step(-1), "[": () => turnPage(-1), "]": () => turnPage(1),
  };
  if (Object.hasOwn(general, key)) return general[key];
  if (!card) return null;
  if (VIEW_KEYS.has(key)) return () => card.look(VIEW_KEYS.get(key));
  if (key === "ArrowRight") return () => card.pick(card.other + (card.view === "side" ? 0 : 1));
  if (key === "ArrowLeft") return () => card.pick(card.other - 1);
  const verdict = verdictOf(key, card);
  return verdict && (() => {
    verdict();
    step(1);
  });
}

function verdictOf(key, card) {
  if (index.groups[card.place].contents.length < 2) return null;
  if (key === "n") return () => judgeAll(card.place, "not-duplicate");
  if (key === "r") return () => judgeAll(card.place, "related");
  const member = card.data.members[key === "k" ? 0 : Number(key) - 1];
  const isKey = key === "k" || /^[1-9]$/.test(key);
  return isKey && member ? () => keep(card.place, member.content) : null;
}

// --- beginning

function kinds() {
  const counts = new Map();
  for (const group of index.groups) counts.set(group.kind, (counts.get(group.kind) || 0) + 1);
  byId("kind").append(make("option", { value: "" }, `all kinds (${count(index.groups.length)})`));
  for (const [kind, words] of Object.entries(KINDS)) {
    if (!counts.has(kind)) continue;
    const label = `${words} (${count(counts.get(kind))})`;
    byId("kind").append(make("option", { value: kind }, label));
  }
}

recall();
kinds();
byId("kind").addEventListener("change", filter);
byId("undecided").addEventListener("change", filter);
byId("previous").addEventListener("click", () => turnPage(-1));
byId("next").addEventListener("click", () => turnPage(1));
byId("save").addEventListener("click", save);
byId("undo").addEventListener("click", undo);
byId("help").addEventListener("click", () => byId("keys").showModal());
byId("close").addEventListener("click", () => byId("keys").close());
document.addEventListener("keydown", onKey);
filter();
say(warnings());
