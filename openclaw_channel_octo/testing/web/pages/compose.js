// The field to write in: several lines, a file, and who says it.
import { $, make } from "./dom.js";
import { t } from "./words.js";

const MOST_MB = 20;  // what the double takes
let file = null, sent = Promise.resolve();  // sent: when all that was sent is out

export const markup = `
  <form class="say" id="say">
    <textarea id="text" rows="1" autocomplete="off" data-label="Message"></textarea>
    <div id="attached" hidden><span></span><button type="button" data-label="Remove the file">✕</button></div>
    <div class="tools">
      <label><span data-t>Speak as</span> <select id="who"></select></label>
      <button type="button" id="attach" data-t>Attach a file</button><input type="file" id="file" hidden>
      <span class="soft keys" data-t>Enter sends, Shift+Enter begins a line</span>
      <button class="first" data-t>Send</button>
    </div>
  </form>`;

function fit() {  // as many lines as there are, up to what the style allows
  $("text").rows = Math.min(8, $("text").value.split("\n").length);
}

function attach(chosen, say) {
  const large = chosen && chosen.size > MOST_MB * 1024 * 1024;
  if (large) say(t("{name} is too large: at most {limit} MB", { name: chosen.name, limit: MOST_MB }));
  file = large ? null : chosen;
  $("attached").hidden = !file;
  $("attached").firstChild.textContent = file?.name ?? "";
  if (!file) $("file").value = "";
  $("text").focus();
}

function withText(uploaded, text, uids) {  // one message of a file and words, as people's clients build it
  if (!text.trim()) return uploaded;
  const mention = uids.length ? { mention: { uids } } : {};
  if (uploaded.type !== 2) return { ...uploaded, caption: text, ...mention };
  const { url, name, size, width, height } = uploaded;
  const content = [{ type: "text", text }, { type: "image", url, name, size, width: width || 1, height: height || 1 }];
  return { type: 14, content, plain: `${text}[图片]`, ...mention };
}

// here: brings the conversation that is shown; called: bots a text mentions; post, upload: the double; done: after a message is out
export function compose({ here, called, act, upload, say, done }) {
  async function deliver(text, from, file, shown) {
    const there = await shown;
    if (!there) return false;
    const uids = there.type === 1 ? [] : called(there, text), to = { from: from || $("who").value, channel: there.id, type: there.type };
    if (!file) return act("say", { ...to, text, mention: uids });
    const uploaded = await upload(file);
    return uploaded && act("say", { ...to, payload: withText(uploaded, text, uids) });
  }

  async function send(text) {  // after what was sent before; to where it was written
    if (!text.trim() && !file) return true;
    const chosen = file, from = $("who").value, shown = here(), out = () => deliver(text, from, chosen, shown);
    if (chosen) attach(null, say);
    sent = sent.then(out, out);
    if (await sent) {
      done();
      return true;
    }
    if (chosen && !file) attach(chosen, say);
    return false;
  }

  $("say").onsubmit = async event => {
    event.preventDefault();
    const text = $("text").value;
    $("text").value = "";
    fit();
    if (await send(text)) return;
    $("text").value = [text, $("text").value].filter(Boolean).join("\n");  // nothing that was written is lost
    fit();
  };
  $("text").oninput = fit;
  $("text").onkeydown = event => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;  // 229: Safari's composing
    event.preventDefault();
    $("say").requestSubmit();
  };
  $("text").onpaste = event => {
    const [pasted] = event.clipboardData.files;
    if (pasted) { event.preventDefault(); attach(pasted, say); }
  };
  $("attach").onclick = () => $("file").click();
  $("file").onchange = () => attach($("file").files[0] ?? null, say);
  $("attached").lastElementChild.onclick = () => attach(null, say);
  const brings = event => event.dataTransfer.types.includes("Files");
  $("talk").ondragover = event => { if (brings(event)) event.preventDefault(); };
  $("talk").ondrop = event => { if (brings(event)) { event.preventDefault(); attach(event.dataTransfer.files[0] ?? null, say); } };
  return send;
}

export function examples(texts, send) {  // buttons, each of which says its words
  return texts.map(text => {
    const button = make("button", text);
    button.type = "button";
    button.onclick = () => send(text);
    return button;
  });
}
