// Words in the reader's language. English ones are the keys of the tables; {names} in them stand for values.
const chinese = {
  "Conversations": "会话",
  "Messages": "消息",
  "Message": "消息内容",
  "Send": "发送",
  "Attach a file": "添加文件",
  "Remove the file": "移除文件",
  "Speak as": "发言身份",
  "Enter sends, Shift+Enter begins a line": "Enter 发送，Shift+Enter 换行",
  "Write @{bot} and your question": "输入 @{bot} 和您的问题",
  "Write your question": "输入您的问题",
  "Write a message": "输入消息",
  "Mention {bot}, and it answers. A message without a mention gets no answer, and a line below it says why.":
    "提及 {bot}，它就会回答。没有提及它的消息不会得到回答，下方会说明原因。",
  "Whatever you write here, {bot} answers: in a direct conversation no mention is needed.":
    "您在这里写的任何内容，{bot} 都会回答：单聊无需提及。",
  "Try:": "试一试：",
  "@{bot} hello": "@{bot} 你好",
  "Hello everybody": "大家好",
  "Hello": "你好",
  "{person} and {bot}": "{person} 与 {bot}",
  "thread in {group}": "{group} 的子区",
  "{names} is typing …": "{names} 正在输入……",
  "{name} ● online": "{name} ● 在线",
  "{name} ○ away": "{name} ○ 离线",
  "✓ read": "✓ 已读",
  "system": "系统",
  "edited": "已编辑",
  "To the newest": "回到最新消息",
  "1 new message below": "下方有 1 条新消息",
  "{count} new messages below": "下方有 {count} 条新消息",
  "{name} is too large: at most {limit} MB": "{name} 太大：最大 {limit} MB",
  "the double is not there any more; this page waits for it": "服务已停止，本页面正在等待它恢复",
};
let isChinese = false;

export const learn = table => Object.assign(chinese, table);
export const language = () => isChinese ? "zh-Hans" : "en";

function inChinese(text) {
  if (!/[a-z]{2}/i.test(text.replace(/\{\w+\}/g, ""))) return text;  // only values and signs
  if (!(text in chinese)) console.warn("no Chinese words for: " + text);
  return chinese[text] ?? text;
}

export function t(text, values = {}) {
  return (isChinese ? inChinese(text) : text).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

export function translate() {  // what the page's own file says
  document.documentElement.lang = language();
  for (const each of document.querySelectorAll("[data-t]")) each.textContent = t(each.dataset.t ||= each.textContent);
  for (const each of document.querySelectorAll("[data-label]")) each.setAttribute("aria-label", t(each.dataset.label));
}

function remembered() {
  try { return localStorage.getItem("language"); } catch { return null; }  // a browser that keeps nothing
}

export function offerLanguages(button, changed) {
  const show = () => {
    [button.textContent, button.lang] = isChinese ? ["English", "en"] : ["中文", "zh-Hans"];
    translate();
  };
  button.onclick = () => {
    isChinese = !isChinese;
    try { localStorage.setItem("language", language()); } catch { /* it counts until the page is closed */ }
    show();
    changed();
  };
  isChinese = (remembered() ?? navigator.language).startsWith("zh");
  show();
}
