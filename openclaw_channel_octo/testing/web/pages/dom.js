// Elements: found, made, and renewed where what they show has changed.
export const $ = id => document.getElementById(id);

export function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text != null) element.textContent = text;
  if (className) element.className = className;
  return element;
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

const shown = new WeakMap();

export function renew(element, value, build) {  // the element's children built anew where the value is another
  const text = JSON.stringify(value);
  if (shown.get(element) === text) return;
  shown.set(element, text);
  element.replaceChildren(...build());
}
