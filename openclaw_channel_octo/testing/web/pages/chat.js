// The chat of a double: conversations, who speaks, messages, typing. A page brings the section it fills.
import { compose, examples, markup } from "./compose.js";
import { $, cells, make, renew } from "./dom.js";
import { draw as drawMessages, open, query, toEnd, watch } from "./messages.js";
import { t, translate } from "./words.js";

let world = null, shown = null, trouble = "", alsoDraw = () => {}, why = null;
let running = null, again = false, send = null;

export async function ask(path, settings) {  // the answer's JSON; null where nobody answers
  try {
    return await (await fetch(path, settings)).json();
  } catch {
    gone();
    return null;
  }
}

async function told(path, body, type) {
  const answer = await ask(path, { method: "POST", headers: { "Content-Type": type }, body });
  if (answer) say(answer.ok ? "" : answer.error);
  return answer?.ok ? answer.result ?? true : null;
}

export const post = (path, body = {}) => told(path, JSON.stringify(body), "application/json");
export const act = (name, body) => post("/_double/do/" + name, body);
const upload = file => told(`/_double/upload?name=${encodeURIComponent(file.name)}`, file, "application/octet-stream");

export const bots = () => (world?.accounts ?? []).filter(account => account.bot);
export const current = () => world?.conversations.find(each => each.key === shown);
export const botsHere = () => bots().filter(each => current()?.members.includes(each.uid));

export function say(words, bad = true) {
  $("said").textContent = words;
  $("said").className = words && bad ? "bad" : "";
}

function gone() {
  trouble = "the double is not there any more; this page waits for it";
  say(t(trouble));
  renew($("bots"), null, () => []);
}

function back() {
  if (trouble) say("");
  trouble = "";
}

const nameOf = uid => world.accounts.find(each => each.uid === uid)?.name ?? uid;

function title(each) {
  if (each.type === 1) return t("{person} and {bot}", { person: nameOf(each.members[0]), bot: nameOf(each.id) });
  const group = each.type === 5 && world.conversations.find(other => other.type === 2 && other.id === each.id.split("____")[0]);
  return group ? t("thread in {group}", { group: group.title }) : each.title;
}

function show(key) {
  shown = key;
  draw();
  return refresh();
}

function tabs() {
  const here = world.conversations;
  if (!here.some(each => each.key === shown)) shown = here.length ? here[0].key : null;
  const focused = $("tabs").contains(document.activeElement);
  renew($("tabs"), [shown, here.map(each => [each.key, title(each)])], () => here.map((each, at) => {
    const tab = make("button", title(each)), chosen = each.key === shown;
    tab.type = "button"; tab.setAttribute("role", "tab"); tab.setAttribute("aria-controls", "talk");
    tab.setAttribute("aria-selected", chosen); tab.tabIndex = chosen ? 0 : -1;
    if (chosen) { tab.id = "tab"; $("talk").setAttribute("aria-labelledby", "tab"); }
    tab.onclick = () => { show(each.key); $("text").focus(); };
    tab.onkeydown = event => {
      const last = here.length - 1;
      const to = { ArrowRight: at < last ? at + 1 : 0, ArrowLeft: at ? at - 1 : last, Home: 0, End: last }[event.key];
      if (to === undefined) return;
      event.preventDefault(); show(here[to].key); $("tab").focus();
    };
    return tab;
  }));
  if (focused) $("tab").focus();
}

function speakers() {
  const people = world.accounts.filter(each => !each.bot && current()?.members.includes(each.uid)), before = $("who").value;
  renew($("who"), people, () => people.map(each => { const option = make("option", each.name); option.value = each.uid; return option; }));
  if (people.some(each => each.uid === before)) $("who").value = before;
}

function hint() {
  const bot = botsHere()[0]?.name, direct = current()?.type === 1, answers = bot && why;  // else nobody knows what answers
  const words = !answers ? "" : direct ? t("Whatever you write here, {bot} answers: in a direct conversation no mention is needed.", { bot })
    : t("Mention {bot}, and it answers. A message without a mention gets no answer, and a line below it says why.", { bot });
  const texts = !answers ? [] : direct ? [t("Hello")] : [t("@{bot} hello", { bot }), t("Hello everybody")];
  renew($("hint"), [words, texts], () => words ? [make("p", words), make("span", t("Try:")), ...examples(texts, send)] : []);
  $("text").placeholder = !bot ? t("Write a message") : direct ? t("Write your question") : t("Write @{bot} and your question", { bot });
}

function draw() {
  if (!world) return;
  $("where").textContent = world.api_url;
  renew($("bots"), [bots(), document.documentElement.lang], () => bots().map(each =>
    make("span", t(each.online ? "{name} ● online" : "{name} ○ away", each), each.online ? "good" : "bad")));
  tabs(); speakers(); hint();
  const names = (current()?.typing ?? []).map(nameOf).join(", ");
  cells($("typing"), [["span", names && t("{names} is typing …", { names })]]);
}

async function once() {
  const seen = await ask("/_double/state?lines=0");
  if (!seen) return;
  back();
  world = seen;
  draw();
  const here = current();
  if (!here) return;
  open(here.key);
  const asked = query(), piece = await ask(asked);
  if (!piece?.lines) return;
  await alsoDraw(world, piece.lines);
  if (here.key !== shown || asked !== query()) return;  // the reader is elsewhere by now, and that is asked for next
  drawMessages(piece, here.newest, { bots: new Set(bots().map(each => each.uid)), self: $("who").value, why: why ?? (() => null) });
}

export function refresh() {  // what is there now, drawn; one after another, so that nothing older is drawn over it
  again = true;
  running ??= (async () => {
    try {
      while (again) { again = false; await once(); }
    } finally {
      running = null;
    }
  })();
  return running;
}

// Fills the page and keeps it up to date. draws: draws what else the page has, before the lines it is given are drawn;
// reason: returns what stands below a message, {text, bad} or null, where the page knows the bot.
export async function start(draws, reason = null) {
  [alsoDraw, why] = [draws, reason];
  $("talking").innerHTML = `
    <div role="tablist" data-label="Conversations" id="tabs"></div>
    <div role="tabpanel" id="talk">
      <div id="messages" role="group" tabindex="0" data-label="Messages"><div id="hint"></div><ol id="chat"></ol></div>
      <div id="heard" class="heard" role="log"></div>
      <div class="ends"><button type="button" id="below" hidden></button></div>
      <div id="typing" aria-live="polite"></div>
      ${markup}
    </div>`;
  translate();
  const called = (there, text) => botsHere().filter(each => text.includes("@" + each.name)).map(each => each.uid);
  const here = async () => current() ?? (await refresh(), current());  // also for who writes before the first answer is there
  send = compose({ here, called, act, upload, say, done: () => { toEnd(); return refresh(); } });
  watch(refresh);
  $("who").onchange = refresh;
  $("text").focus();
  await refresh();
  const stream = new EventSource("/_double/changes");
  stream.onmessage = refresh;
  stream.onerror = gone;
  stream.onopen = back;
  setInterval(refresh, 2000);
}
