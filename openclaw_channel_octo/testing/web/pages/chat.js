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

let world = null, shown = null, scrolled = null, alsoDraw = () => {};
const drawn = {};

export function fresh(what, value) {  // whether something has to be drawn again
  const text = JSON.stringify(value), changed = drawn[what] !== text;
  drawn[what] = text;
  return changed;
}

// Rows stay while what they show does: screen readers hear what is new and nothing twice, readers keep place and selection.
export function fill(list, items, nameOf, draw) {
  const before = new Map([...list.children].map(row => [row.dataset.name, row]));
  const rows = items.map(item => {
    const name = nameOf(item), row = before.get(name) ?? make(list.tagName === "TBODY" ? "tr" : "li");
    before.delete(name);
    row.dataset.name = name;
    draw(row, item);
    return row;
  });
  for (const row of before.values()) row.remove();
  rows.forEach((row, at) => { if (list.children[at] !== row) list.insertBefore(row, list.children[at] ?? null); });
}

export function cells(row, parts) {  // the row's elements, each [tag, text, class]; only what differs is touched
  parts.forEach(([tag, text, className], at) => {
    const cell = row.children[at] ?? row.appendChild(make(tag));
    if (cell.textContent !== text) cell.textContent = text;
    cell.className = className ?? "";
  });
}

export async function ask(path, settings) {  // the answer's JSON; null where nobody answers
  try {
    return await (await fetch(path, settings)).json();
  } catch {
    gone();
    return null;
  }
}

export async function post(path, body = {}) {
  const told = await ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  if (told) say(told.ok ? "" : told.error);
  return told?.ok;
}

export const act = (name, body) => post("/_double/do/" + name, body);
export const bots = () => world.accounts.filter(account => account.bot);
export const current = () => world.conversations.find(each => each.key === shown);

export function say(words, bad = true) {
  $("said").textContent = words;
  $("said").className = words && bad ? "bad" : "";
}

function gone() {
  say("the double is not there any more; this page waits for it");
  $("bots").replaceChildren();
}

function show(key) {
  shown = key; draw();
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

const toEnd = () => { $("chat").scrollTop = $("chat").scrollHeight; };

function lines() {
  const here = current();
  if (!here) return;
  const isBot = new Set(bots().map(each => each.uid));
  const names = here.typing.map(uid => bots().find(each => each.uid === uid).name);
  cells($("typing"), [["span", names.length ? names.join(", ") + " is typing …" : ""]]);
  if (!fresh("lines", [shown, $("who").value, here.lines])) return;
  const follows = scrolled !== shown || $("chat").scrollHeight - $("chat").scrollTop - $("chat").clientHeight < 60;
  fill($("chat"), here.lines, line => `${shown} ${line.message_id}`, (row, line) => {
    row.className = !line.from ? "system" : isBot.has(line.from) ? "bot" : line.from === $("who").value ? "own" : "";
    cells(row, [["b", line.name], ["span", line.text], ["small", line.read_by.length ? "✓ read" : ""]]);
  });
  if (follows) toEnd();
  scrolled = shown;
}

function draw() {
  if (!world) return;
  $("where").textContent = world.api_url;
  $("bots").replaceChildren(...bots().map(each => make("span", `${each.name} ${each.online ? "● online" : "○ away"} `, each.online ? "good" : "bad")));
  tabs(); speakers(); lines();
  alsoDraw(world);
}

export async function refresh() {
  const seen = await ask("/_double/state");
  if (!seen) return;
  world = seen;
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
    if (!await act("say", { from: $("who").value, channel: here.id, type: here.type, text, mention })) return;
    $("text").value = "";
    toEnd();  // who writes wants to see it, wherever they were reading
  };
  $("who").onchange = draw;
  await refresh();
  const stream = new EventSource("/_double/changes");
  stream.onmessage = refresh;
  stream.onerror = gone;
  stream.onopen = () => say("");
  setInterval(refresh, 2000);
  $("text").focus();
}
