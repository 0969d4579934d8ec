// The double's own page: its chat, the calls of the bots, and everything that can be done to it.
import { act, ask, bots, say, start } from "./chat.js";
import { $, cells, fill, make } from "./dom.js";

function calls(world) {
  fill($("calls").querySelector("tbody"), world.calls.toReversed(), call => String(call.number), (row, call) => {
    const bad = call.status >= 400 || call.status === 0;
    cells(row, [["td", call.name, bad ? "bad" : ""], ["td", `${call.bot || "nobody"} → ${call.status ?? "…"}`]]);
  });
}

async function carryOut(name, body, words) {
  if (await act(name, body)) say(`done: ${words}`, false);
}

function form(name, schema) {
  const box = make("details"), filled = make("form"), fields = Object.entries(schema.properties || {});
  box.append(make("summary", name), make("p", schema.description, "soft"));
  for (const [field, kind] of fields) {
    const label = make("label", field), input = make(kind.enum ? "select" : "input");
    label.htmlFor = input.id = `${name}-${field}`;
    if (kind.enum) input.append(...kind.enum.map(value => make("option", value)));
    if (kind.enum) input.value = kind.default ?? kind.enum[0];
    else input.value = kind.default == null ? "" : typeof kind.default === "object" ? JSON.stringify(kind.default) : kind.default;
    filled.append(label, input);
  }
  filled.append(make("button", "Do it"));
  filled.onsubmit = event => {
    event.preventDefault();
    const body = {};
    for (const [field, kind] of fields) {
      const text = $(`${name}-${field}`).value;
      if (text === "" && !(schema.required || []).includes(field)) continue;
      const plain = kind.type === "string" || (kind.enum && typeof kind.enum[0] === "string");
      try { body[field] = plain ? text : JSON.parse(text); } catch { body[field] = text; }
    }
    carryOut(name, body, name);
  };
  box.append(filled);
  return box;
}

for (const [words, name, body] of [
  ["breaks", "drop", {}], ["is kicked", "kick", null], ["freezes", "freeze", { on: true }], ["thaws", "freeze", { on: false }],
  ["server stops", "sockets", { up: false }], ["server starts", "sockets", { up: true }],
]) {
  const button = make("button", words);
  button.type = "button";
  button.onclick = () => carryOut(name, body ?? { uid: bots()[0]?.uid ?? "" }, words);
  $("cuts").append(button);
}

const schemas = await ask("/_double/actions");
for (const [name, schema] of Object.entries(schemas ?? {})) $("actions").append(form(name, schema));
await start(calls);
