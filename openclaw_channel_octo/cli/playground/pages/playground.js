// The playground: the double's chat, and beside it what the bot's host and the bot do with each message.
import { act, ask, current, post, refresh, say, start } from "/_double/pages/chat.js";
import { $, fill, make, renew } from "/_double/pages/dom.js";
import { language, learn, offerLanguages, t } from "/_double/pages/words.js";
import { chinese } from "./chinese.js";

const KINDS = { said: "message", turn: "turn", status: "session", call: "call", notice: "restart", connection: "bot" };
const UNANSWERED = {  // what the gate says of a message that is not for the bot
  "no mention": "Not answered: it does not mention {bot}. Write @{bot} to ask.",
  "names others only": "Not answered: it mentions only others, so it is for them.",
  "bot in dm": "Not answered: another bot wrote it.",
  "not named by bot": "Not answered: another bot wrote it, and it does not mention {bot}.",
  "blocked": "Not answered: its sender is blocked.",
};
const words = Object.fromEntries([...$("next").children].map(button => [button.value, button.textContent]));
let behind = null, fates = new Map();

function clock(ms) {
  const at = new Date(ms), two = number => String(number).padStart(2, "0"), element = make("time");
  element.textContent = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${Math.floor(at.getMilliseconds() / 100)}`;
  element.dateTime = at.toISOString();
  element.title = at.toLocaleString(language(), { dateStyle: "full", timeStyle: "medium" });
  return element;
}

function pressed(button, isPressed, text) {
  button.setAttribute("aria-pressed", isPressed);
  button.textContent = text;
}

function switches() {
  for (const button of $("next").children) pressed(button, button.value === behind.next_turn, t(words[button.value], { seconds: behind.turn_s }));
  $("cut").disabled = false;
  pressed($("guard"), behind.guard, t(behind.guard ? "Guard is on" : "Guard is off"));
  pressed($("slow"), behind.slow, behind.slow ? t("Sending is slow ({seconds} s a message)", { seconds: behind.slow_s }) : t("Sending is fast"));
}

function session(seen) {
  $("session").hidden = !seen;
  if (!seen) return;
  $("status").textContent = seen.status;
  $("status").className = { new: "soft", done: "good", idle: "good", running: "running" }[seen.status] ?? "bad";
  $("key").textContent = seen.session_key;
  $("verdict").textContent = t(seen.verdict) + (seen.waiting ? t(" (messages that wait: {count})", { count: seen.waiting }) : "");
}

async function showPrompt(run) {
  const found = await ask("/_playground/prompts/" + run);
  if (!found?.ok) return found && say(found.error);
  $("parts").replaceChildren(...found.parts.flatMap(part => [
    make("h3", t(part.title)),
    make("pre", part.text + (part.text.length < part.characters ? t("\n… {count} characters in all", { count: part.characters }) : "")),
  ]));
  $("prompt").showModal();
}

function happened(row, each) {
  const given = each.run_id && behind.prompts.includes(each.run_id);
  row.className = each.kind + (each.bad ? " bad" : "");
  renew(row, [each, given, language()], () => {
    const text = make("span", t(each.says, each.told), "text");
    if (given) {
      const button = text.appendChild(make("button", t("prompt")));
      button.type = "button";
      button.onclick = () => showPrompt(each.run_id);
    }
    return [clock(each.at_ms), make("span", t(KINDS[each.kind]), "kind"), text];
  });
}

const isFinal = fate => !["turn", "command"].includes(fate.decision) || ["answered", "notified", "dead"].includes(fate.state);

function reason(line) {
  const fate = fates.get(line.message_id);
  if (!fate || fate.decision === "echo") return null;
  if (["turn", "command"].includes(fate.decision)) return fate.state === "dead" ? { text: t("Not answered: {why}", { why: fate.detail }), bad: true } : null;
  return { text: t(UNANSWERED[fate.reason] ?? "Not answered: {why}", { bot: behind.bot_name, why: fate.reason }) };
}

async function draw(world, shown) {
  const lines = shown.map(line => line.message_id);
  const unknown = lines.filter(name => !fates.has(name) || !isFinal(fates.get(name)));
  const seen = await ask("/_playground/state?of=" + unknown.join()), here = current();  // another may be shown by now
  if (!seen) return;
  behind = seen;
  fates = new Map(lines.flatMap(name => { const fate = seen.fates[name] ?? fates.get(name); return fate ? [[name, fate]] : []; }));
  const own = here && behind.sessions.find(each => each.conversation === here.key);
  switches();
  session(own);
  const entries = behind.timeline.filter(each => !each.session_key || each.session_key === own?.session_key);
  fill($("timeline"), entries.toReversed(), each => `${each.number} ${each.at_ms}`, happened);
}

async function turn(settings) {
  if (await post("/_playground/switch", settings)) await refresh();
}

for (const button of $("next").children) button.onclick = () => turn({ nextTurn: button.value });
$("guard").onclick = () => turn({ guard: !behind.guard });
$("slow").onclick = () => turn({ slow: !behind.slow });
$("cut").onclick = () => act("drop", { uid: behind.bot });
learn(chinese);
offerLanguages($("language"), refresh);
await start(draw, reason);
