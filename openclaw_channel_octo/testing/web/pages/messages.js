// The messages of the conversation that is shown: a window of its length on all of it, which moves as the reader scrolls.
import { $, fill, make, renew } from "./dom.js";
import { language, t } from "./words.js";

const NEAR = 60;  // pixels from an end that count as being there
const STEP = 60;  // messages by which the window moves
const HEARD = 5;  // messages a screen reader is told of that stay in the page

let key = null, last = null, seen = 0, heard = null, moving = false;  // last: the window's last message_seq, null for the newest
let placed = null;  // scrollTop of a reader who was put at the end
let piece = { lines: [], older: false, newer: false }, scrolled = () => {};

const box = () => $("messages");
const atEnd = () => !piece.newer && box().scrollHeight - box().scrollTop - box().clientHeight < NEAR;
const atPlace = () => atEnd() || box().scrollTop === placed;  // what is around may have grown since
const numberAt = at => piece.lines.at(at).message_seq;

export const query = () => `/_double/lines?of=${encodeURIComponent(key)}` + (last === null ? "" : `&until=${last}`);

export function open(conversation) {  // shows the newest messages of another conversation
  if (conversation === key) return;
  key = conversation;
  last = heard = null;
  seen = 0;
  moving = true;  // until it is drawn, the reader scrolls in the other one
}

export function toEnd() {
  last = null;
  seen = Infinity;  // the reader follows what comes
  moving = true;  // the event of an earlier scroll, which may come later, does not hold the reader back
}

function size(bytes) {
  return bytes < 1024 * 1024 ? `${Math.ceil(bytes / 1024)} KB` : `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}

function file(each) {
  if (!each.href) return make("span", each.name, "file");
  const link = make("a", null, each.picture ? "picture" : "file");
  link.href = each.href;
  if (each.picture) {
    const picture = make("img");
    picture.alt = each.name;
    picture.src = each.href;
    if (each.width && each.height) [picture.width, picture.height] = [each.width, each.height];
    link.target = "_blank";
    link.append(picture);
  } else {
    link.download = each.name;
    link.append(make("span", `↓ ${each.name}`), make("small", size(each.size)));
  }
  return link;
}

function body(line) {
  const text = make("div", line.html ? null : line.body, line.html ? "text" : "text plain");
  if (line.html) text.innerHTML = line.html;  // made by the server's Markdown library, which lets no HTML through
  return [...line.body ? [text] : [], ...line.files.map(file)];
}

function time(seconds) {
  const at = new Date(seconds * 1000), element = make("time"), write = (how) => at.toLocaleString(language(), how);
  const day = at.toDateString() === new Date().toDateString() ? {} : { month: "short", day: "numeric" };
  const whole = write({ dateStyle: "full", timeStyle: "medium" }), short = make("span", write({ ...day, hour: "2-digit", minute: "2-digit" }));
  element.dateTime = at.toISOString();
  element.title = whole;
  short.setAttribute("aria-hidden", true);
  element.append(short, make("span", whole, "heard"));
  return element;
}

function row(element, line, { bots, self, why }) {
  const bot = bots.has(line.from), note = why(line);
  element.className = !line.from ? "system" : bot ? "bot" : line.from === self ? "own" : "";
  if (!element.children.length) {
    const bubble = make("div", null, "bubble");
    bubble.append(...["header", "div", "footer"].map(tag => make(tag)));
    element.append(bubble, make("p", null, "why"));
  }
  const [bubble, reason] = element.children, [head, said, foot] = bubble.children;
  const day = new Date().toDateString(), marks = [line.edited ? t("edited") : "", line.read_by.length && !bot ? t("✓ read") : ""];
  renew(head, [line.name, line.at, day, language()], () => [make("b", line.from ? line.name : t("system")), time(line.at)]);
  renew(said, [line.html, line.body, line.files], () => body(line));
  renew(foot, marks, () => marks.filter(Boolean).map(mark => make("small", mark)));
  reason.className = note?.bad ? "why bad" : "why";
  renew(reason, note, () => note ? [make("span", note.text)] : []);
}

function tell(self) {  // screen readers hear what others say from now on, each message once
  const newest = piece.lines.at(-1)?.message_seq ?? 0;
  const fresh = heard !== null && last === null ? piece.lines.filter(line => line.message_seq > heard && line.from !== self) : [];
  for (const line of fresh) $("heard").append(make("p", `${line.name}: ${line.body} ${line.files.map(each => each.name).join(" ")}`));
  while ($("heard").children.length > HEARD) $("heard").firstChild.remove();
  heard = Math.max(heard ?? 0, newest);
}

function below(newest) {
  const count = newest - seen;
  $("below").hidden = atEnd();
  $("below").textContent = count <= 0 ? t("To the newest")
    : count === 1 ? t("1 new message below") : t("{count} new messages below", { count });
}

export function draw(told, newest, look) {
  const changed = $("chat").dataset.key !== key, follows = last === null && (changed || seen === Infinity || atPlace());
  const anchor = [...$("chat").children].find(each => each.offsetTop + each.offsetHeight > box().scrollTop);
  const offset = anchor ? anchor.offsetTop - box().scrollTop : 0;
  $("chat").dataset.key = key;
  piece = told;
  newest = Math.max(newest, piece.lines.at(-1)?.message_seq ?? 0);  // the piece was told after it
  fill($("chat"), piece.lines, line => `${key} ${line.message_id}`, (element, line) => row(element, line, look));
  $("hint").hidden = piece.older;
  if (follows) {
    box().scrollTop = box().scrollHeight;
    placed = box().scrollTop;
  } else if (anchor?.isConnected) box().scrollTop = anchor.offsetTop - offset;
  if (atEnd() || changed) seen = newest;
  if (seen === Infinity) seen = newest;
  tell(look.self);
  below(newest);
  moving = false;
  scrolled();  // also what was scrolled meanwhile
}

export function watch(refresh) {  // the window moves with the reader
  const move = to => { last = to; moving = true; refresh(); };
  scrolled = () => {
    if (moving || !piece.lines.length) return;
    const { scrollTop, scrollHeight, clientHeight } = box();
    if (atEnd()) { if (last !== null) move(null); }
    else if (last === null && scrollTop === placed) return;
    else if (scrollTop < clientHeight && piece.older) move(numberAt(-1 - Math.min(STEP, piece.lines.length - 1)));
    else if (piece.newer && scrollHeight - scrollTop - clientHeight < clientHeight) move(numberAt(-1) + STEP);
    else if (last === null) move(numberAt(-1));
    $("below").hidden = atEnd();
  };
  box().onscroll = scrolled;
  $("below").onclick = () => { toEnd(); refresh(); $("text").focus(); };
}
