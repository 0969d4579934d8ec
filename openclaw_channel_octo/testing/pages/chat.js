// The chat of a double: conversations, who speaks, messages with read marks, typing. A page brings the section it fills.
export const $ = id => document.getElementById(id);
export const make = (tag, text, className) => {
  const element = document.createElement(tag);
  if (text != null) element.textContent = text;
  if (className) element.className = className;
  return element;
};

$("talking").innerHTML = `
  <div role="tablist" aria-label="Conversations" id="tabs"></div>
  <div role="tabpanel" id="talk">
    <ol id="chat" aria-live="polite" tabindex="0" aria-label="Messages"></ol>
    <div id="typing" aria-live="polite"></div>
    <form class="say" id="say">
      <select id="who" aria-label="Who speaks"></select>
      <input id="text" autocomplete="off" aria-label="Message" placeholder="@Helper and Enter">
      <button class="first">Send</button>
    </form>
  </div>`;

let world = null, shown = null, count = -1, alsoDraw = () => {};
const drawn = {};

export function fresh(what, value) {  // whether something has to be drawn again
  const text = JSON.stringify(value), changed = drawn[what] !== text;
  drawn[what] = text;
  return changed;
}

export async function post(path, body = {}) {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const told = await answer.json();
  say(told.ok ? "" : told.error);
  return told.ok;
}

export const act = (name, body) => post("/_double/do/" + name, body);
export const bots = () => world.accounts.filter(account => account.bot);
const current = () => world.conversations.find(each => each.key === shown);

function say(trouble) {
  $("said").textContent = trouble;
  $("said").className = trouble ? "bad" : "";
}

function show(key) {
  shown = key; count = -1; draw();
}

function tabs() {
  const here = world.conversations;
  if (!here.some(each => each.key === shown)) shown = here.length ? here[0].key : null;
  if (!fresh("tabs", [shown, here.map(each => [each.key, each.title])])) return;
  const focused = $("tabs").contains(document.activeElement);
  $("tabs").replaceChildren(...here.map((each, at) => {
    const tab = make("button", each.title), chosen = each.key === shown;
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
  const here = current(), people = here ? world.accounts.filter(each => !each.bot && here.members.includes(each.uid)) : [];
  if (!fresh("who", people)) return;
  const before = $("who").value;
  $("who").replaceChildren(...people.map(each => { const option = make("option", each.name); option.value = each.uid; return option; }));
  if (people.some(each => each.uid === before)) $("who").value = before;
}

function lines() {
  const here = current();
  if (!here) return;
  const isBot = new Set(bots().map(each => each.uid));
  const names = here.typing.map(uid => bots().find(each => each.uid === uid).name);
  $("typing").textContent = names.length ? names.join(", ") + " is typing …" : "";
  if (!fresh("lines", [shown, $("who").value, here.lines])) return;
  const near = $("chat").scrollHeight - $("chat").scrollTop - $("chat").clientHeight < 60;
  $("chat").replaceChildren(...here.lines.map(line => {
    const row = make("li", null, !line.from ? "system" : isBot.has(line.from) ? "bot" : line.from === $("who").value ? "own" : "");
    row.append(make("b", line.name), document.createTextNode(line.text));
    if (line.from && !isBot.has(line.from)) row.append(make("small", line.read_by.length ? "✓ read" : ""));
    return row;
  }));
  if (near || here.lines.length !== count) $("chat").scrollTop = $("chat").scrollHeight;
  count = here.lines.length;
}

function draw() {
  if (!world) return;
  $("where").textContent = world.api_url;
  $("bots").replaceChildren(...bots().map(each => make("span", `${each.name} ${each.online ? "● online" : "○ away"} `, each.online ? "good" : "bad")));
  tabs(); speakers(); lines();
  alsoDraw(world, current());
}

export async function refresh() {
  world = await (await fetch("/_double/state")).json();
  draw();
}

export async function start(draws) {  // fills the page and keeps it up to date; draws what else the page has
  alsoDraw = draws;
  $("say").onsubmit = async event => {
    event.preventDefault();
    const here = current(), text = $("text").value;
    if (!here || !text.trim()) return;
    const called = bots().filter(each => here.members.includes(each.uid) && text.includes("@" + each.name)).map(each => each.uid);
    const mention = here.type === 1 ? [] : called;
    if (await act("say", { from: $("who").value, channel: here.id, type: here.type, text, mention })) $("text").value = "";
  };
  $("who").onchange = draw;
  await refresh();
  const stream = new EventSource("/_double/changes");
  stream.onmessage = refresh;
  stream.onerror = () => say("the double is not there any more");
  stream.onopen = () => say("");
  setInterval(refresh, 2000);
  $("text").focus();
}
