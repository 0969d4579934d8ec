// The playground: the double's chat, and beside it what the bot's host and the bot do with each message.
import { $, act, ask, cells, current, fill, post, refresh, start } from "/_double/pages/chat.js";

const KINDS = { said: "message", turn: "turn", status: "session", call: "call", notice: "restart", connection: "bot" };
let behind = null;

function clock(ms) {
  const at = new Date(ms), two = number => String(number).padStart(2, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${Math.floor(at.getMilliseconds() / 100)}`;
}

function switches() {
  for (const button of $("next").children) button.setAttribute("aria-pressed", button.value === behind.next_turn);
  $("next").querySelector("[value=hang]").textContent = `hang (stopped after ${behind.turn_s} s)`;
  $("guard").setAttribute("aria-pressed", behind.guard);
  $("guard").textContent = behind.guard ? "Guard is on" : "Guard is off";
  $("slow").setAttribute("aria-pressed", behind.slow);
  $("slow").textContent = behind.slow ? `Sending is slow (${behind.slow_s} s a message)` : "Sending is fast";
}

function session(here) {
  const seen = behind.sessions.find(each => each.conversation === here.key);
  $("session").hidden = !seen;
  if (!seen) return;
  $("status").textContent = seen.status;
  $("status").className = { new: "soft", done: "good", idle: "good", running: "running" }[seen.status] ?? "bad";
  $("key").textContent = seen.session_key;
  $("verdict").textContent = seen.verdict + (seen.waiting ? ` (messages that wait: ${seen.waiting})` : "");
}

function timeline(here) {
  const seen = behind.sessions.find(each => each.conversation === here.key);
  const entries = behind.timeline.filter(each => !each.session_key || each.session_key === seen?.session_key);
  fill($("timeline"), entries.toReversed(), each => `${each.number} ${each.at_ms}`, (row, each) => {
    row.className = each.kind + (each.bad ? " bad" : "");
    cells(row, [["time", clock(each.at_ms)], ["span", KINDS[each.kind], "kind"], ["span", each.text, "text"]]);
  });
}

async function draw() {
  const seen = await ask("/_playground/state"), here = current();  // looked up after the answer: another may be shown by then
  if (!seen) return;
  behind = seen;
  switches();
  if (here) { session(here); timeline(here); }
}

async function turn(settings) {
  if (await post("/_playground/switch", settings)) await refresh();
}

for (const button of $("next").children) button.onclick = () => turn({ nextTurn: button.value });
$("guard").onclick = () => turn({ guard: !behind.guard });
$("slow").onclick = () => turn({ slow: !behind.slow });
$("cut").onclick = () => act("drop", { uid: behind.bot });
await start(draw);
