/** Runs functions of the plugin for a test: one JSON object a line in, one out. */

import { createInterface } from "node:readline";

const [, , home, config] = process.argv;
const { channel, default: plugin } = await import(`${home}/extensions/openclaw-octo/index.js`);
let tools;
plugin.register({
  pluginConfig: JSON.parse(config),
  registerChannel() {},
  registerTool: (factory) => (tools = factory),
});

/** Run `startAccount` until it has told its state so many times. */
async function mirrored(account, times) {
  const stop = new AbortController();
  const told = [];
  let now = {};
  await channel.gateway.startAccount({
    account,
    abortSignal: stop.signal,
    getStatus: () => now,
    setStatus: (next) => {
      now = next;
      told.push({ connected: next.connected, lastError: next.lastError });
      if (told.length >= times) stop.abort();
    },
  });
  return told;
}

async function done({ name, args }) {
  if (name === "mirrored") return mirrored(...args);
  if (name === "tools") return tools(...args)?.map((tool) => ({ ...tool, execute: undefined })) ?? null;
  if (name === "tool") {
    const [context, wanted, params] = args;
    return tools(context).find((tool) => tool.name === wanted).execute("call-1", params);
  }
  const path = name.split(".");
  const place = path.slice(0, -1).reduce((found, key) => found[key], channel);
  return place[path.at(-1)](...args);
}

for await (const line of createInterface({ input: process.stdin })) {
  const { times, ...asked } = JSON.parse(line);
  const settled = await Promise.allSettled(Array.from({ length: times }, () => done(asked)));
  const told = settled.map(({ value, reason }) =>
    reason ? { error: { name: reason.name, message: reason.message, retryable: reason.retryable } } : { value },
  );
  console.log(JSON.stringify(told));
}
