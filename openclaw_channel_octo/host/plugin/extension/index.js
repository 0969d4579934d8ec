/**
 * Octo as a channel of an OpenClaw gateway.
 *
 * The bots run in the Python program `openclaw-octo run`. This plugin hands what agents say by themselves to its control
 * socket and decides nothing: rights, splitting, files and "only once" are decided there. It starts no process and opens
 * no connection but that socket.
 */

// A namespace: releases before 2026.6 have no PlatformMessageNotDispatchedError, and an import by name would not load.
import * as sdk from "openclaw/plugin-sdk/error-runtime";

import { CallFailed, Control } from "./control.js";
import { TOOL_NAMES, toolsOf } from "./tools.js";

const CHANNEL = "octo";
const PLUGIN = "openclaw-octo";
/** What the gateway calls the account of a channel that names none. */
const DEFAULT_ACCOUNT = "default";
/** Longest key that the control socket takes. The ids of a gateway's queue are shorter, but for what a plugin may choose. */
const KEY_CHARS = 200;
const STATUS_EVERY_MS = 10_000;
const STATUS_MS = 5_000;
/** Whether this gateway is older than durable sends: it has no such error, and leaves the sends of the message tool to us. */
const OLD = sdk.PlatformMessageNotDispatchedError === undefined;
/** How the queue ids of `conversations_send` and `conversations_turn` begin, which keep the agent's session to themselves. */
const CONVERSATION_TOOL = "convq_";
/** Nothing was done, and the same would be answered again. */
const NEVER = new Set(["refused", "bad-params", "bad-request", "unknown-call", "unknown-version", "too-large"]);
/** Nothing was done, but it may be later. */
const LATER = new Set(["away", "busy"]);

let control = new Control("");
/** Names of bots in this plugin's own configuration. */
let listed = [];
/** Names of the bots that the process has told of. */
let running = [];

/** @typedef {{ accountId: string, name: string | undefined, enabled: boolean, configured: boolean }} Account */

/** Return the spelling of a name by which bots are told apart, here and in the process. */
const canonical = (name) => String(name).trim().toLowerCase();

/**
 * Return the names of the bots that the gateway's configuration knows. Only these are accounts of the gateway: it takes
 * an account that is listed and was not started for a broken one.
 */
function configured(cfg) {
  const all = [...Object.keys(cfg?.channels?.[CHANNEL]?.accounts ?? {}), ...listed];
  return [...new Set(all.map(canonical))];
}

/** Return the bot that an account of the gateway is, `undefined` where the process has to find the only one. */
function bot(cfg, accountId) {
  const name = canonical(accountId ?? "");
  const isOne = name !== DEFAULT_ACCOUNT || configured(cfg).includes(name) || running.includes(name);
  return name && isOne ? name : undefined;
}

/** @returns {Account} */
function resolveAccount(cfg, accountId) {
  const block = cfg?.channels?.[CHANNEL];
  const name = bot(cfg, accountId);
  const [, own] = Object.entries(block?.accounts ?? {}).find(([key]) => canonical(key) === name) ?? [];
  const enabled = block?.enabled !== false && own?.enabled !== false;
  return { accountId: accountId || DEFAULT_ACCOUNT, name, enabled, configured: true };
}

// Targets: group:ID, group:ID____THREAD, user:UID. The gateway writes octo: before them and a thread apart.

const KINDS = { __proto__: null, group: "group", channel: "group", thread: "group", user: "direct", dm: "direct", direct: "direct" };

function normalizeTarget(raw) {
  const target = String(raw ?? "").trim().replace(/^octo:/i, "").trim();
  const [, kind, id] = /^([a-z]+):\s*(.+)$/i.exec(target) ?? [];
  const chat = KINDS[kind?.toLowerCase()];
  if (!chat) return target || undefined;
  return `${chat === "group" ? "group" : "user"}:${id}`;
}

function inferTargetChatType({ to }) {
  const target = normalizeTarget(to) ?? "";
  if (target.startsWith("user:")) return "direct";
  return target.startsWith("group:") ? "group" : undefined;
}

const looksLikeId = (raw) => /^(octo:)?(group|channel|thread|user|dm|direct):\S+$/i.test(String(raw).trim());

/** Find a conversation by name; see `ChannelMessagingAdapter.targetResolver`. */
async function resolveTarget({ cfg, accountId, input, normalized }) {
  if (looksLikeId(normalized)) {
    return { to: normalized, kind: inferTargetChatType({ to: normalized }) === "direct" ? "user" : "group" };
  }
  const { candidates } = await control.call("operator.resolve", { account: bot(cfg, accountId), name: input });
  // Members choose names: one that only contains the words may be another group's than the one that is meant.
  const [only, other] = candidates.filter((one) => canonical(one.name) === canonical(input));
  if (!only || other) return null;
  return { to: `group:${only.channel}`, kind: "group", display: only.name, source: "directory" };
}

// Sending.

/** Return the error the gateway's queue understands: whether anything may have been sent, and whether to try again. */
function sendError(error, key) {
  if (OLD || !(error instanceof CallFailed)) return error;
  const NotDispatched = sdk.PlatformMessageNotDispatchedError;
  if (NEVER.has(error.code)) return new NotDispatched(error.message, { cause: error, retryable: false });
  // With a key a repetition cannot become a second message, whatever was done the first time.
  if (LATER.has(error.code) || (key && error.code === "failed")) {
    return new NotDispatched(error.message, { cause: error, retryable: true });
  }
  return error;
}

/** Return the key under which a send is done once; `undefined` where the gateway keeps no record of it. */
function keyOf(queueId, part) {
  if (!queueId) return undefined;
  const key = `gateway:${queueId}:${part ?? 0}`;
  return key.length <= KEY_CHARS ? key : key.slice(0, KEY_CHARS / 2) + key.slice(-KEY_CHARS / 2);
}

function receipt(ids, extra) {
  return {
    primaryPlatformMessageId: ids[0],
    platformMessageIds: ids,
    parts: ids.map((id, index) => ({ platformMessageId: id, kind: "text", index })),
    sentAt: Date.now(),
    ...extra,
  };
}

/** Send one message, with its files; see `ChannelOutboundAdapter`. */
async function send(ctx, text, media) {
  const key = keyOf(ctx.deliveryQueueId, ctx.deliveryPartIndex);
  if (ctx.deliveryQueueId?.startsWith(CONVERSATION_TOOL)) {
    const why = "conversations_send and conversations_turn do not tell who asked: use the message tool";
    throw sendError(new CallFailed(why, "refused"), key);
  }
  await ctx.onPlatformSendDispatch?.();
  ctx.assertDirectAdapterHandoff?.();
  const files = media.map((source) => (/^https?:/i.test(source) ? { url: source } : { path: localPath(source) }));
  const params = {
    account: bot(ctx.cfg, ctx.accountId),
    target: normalizeTarget(ctx.to),
    text,
    files: files.length ? files : undefined,
    thread: ctx.threadId == null ? undefined : String(ctx.threadId),
    // The gateway adds the message that was answered; only what an agent chose to quote is quoted.
    reply_to: ctx.replyToIdSource === "implicit" ? undefined : ctx.replyToId,
    key,
    session: ctx.payload?.channelData?.[CHANNEL]?.session,
  };
  try {
    const sent = await control.call("operator.send", params, { signal: ctx.signal });
    const ids = sent.message_ids.map(String);
    const threadId = params.thread;
    return { channel: CHANNEL, messageId: ids[0] ?? "", conversationId: sent.target, receipt: receipt(ids, { threadId }) };
  } catch (error) {
    throw sendError(error, key);
  }
}

/** Return the path of a local file: the gateway writes plain paths and file: addresses. */
const localPath = (source) => (source.startsWith("file:") ? decodeURIComponent(new URL(source).pathname) : source);

const mediaOf = (payload) => [...new Set([payload.mediaUrl, ...(payload.mediaUrls ?? [])].filter(Boolean))];

const outbound = {
  deliveryMode: "gateway",
  chunker: null,
  sendPayloadGroupsMedia: true,
  sendText: (ctx) => send(ctx, ctx.text, []),
  sendMedia: (ctx) => send(ctx, ctx.text, ctx.mediaUrl ? [ctx.mediaUrl] : []),
  sendPayload: (ctx) => send(ctx, ctx.payload.text ?? "", mediaOf(ctx.payload)),
};

/** Tell the gateway what became of a send whose answer it did not get. */
async function reconcileUnknownSend(ctx) {
  const params = { account: bot(ctx.cfg, ctx.accountId), key: keyOf(ctx.queueId, 0) };
  try {
    const { state, message_ids: ids } = await control.call("operator.sent", params, { timeoutMs: STATUS_MS });
    if (state === "sent") return { status: "sent", messageId: ids[0], receipt: receipt(ids.map(String)) };
    if (state === "unsent") return { status: "not_sent" };
    return { status: "unresolved", error: "openclaw-octo does not know yet", retryable: true };
  } catch (error) {
    return { status: "unresolved", error: error.message, retryable: !NEVER.has(error.code) };
  }
}

const message = {
  id: CHANNEL,
  durableFinal: {
    capabilities: {
      text: true,
      media: true,
      payload: true,
      replyTo: true,
      thread: true,
      messageSendingHooks: true,
      reconcileUnknownSend: true,
    },
    automaticUnknownSendReconciliation: true,
    reconcileUnknownSendKinds: { text: true, media: true, payload: true },
    reconcileUnknownSend,
  },
};

// The message tool of agents.

/** Return a payload that names the session it comes from; a session that something else wrote there is dropped. */
function fromSession(payload, session) {
  const { [CHANNEL]: _, ...others } = payload.channelData ?? {};
  const channelData = session ? { ...others, [CHANNEL]: { session } } : others;
  return { ...payload, channelData };
}

const number = (value) => (value == null || value === "" ? undefined : Number(value));

/** Return the conversation that the parameters of an action name, else `here`, where the agent was asked. */
const target = (params, here) =>
  normalizeTarget(params.to ?? params.target ?? params.channelId ?? params.groupId ?? params.guildId) ?? here;

const group = (params, here) => target(params, here)?.replace(/^group:/, "");

const uids = (params) =>
  [params.participant ?? params.userId ?? params.memberId].flat().filter(Boolean).map((uid) => String(uid).replace(/^user:/, ""));

/** The call behind each action of the tool, and its parameters from the action's. */
const ACTIONS = {
  read: ["operator.read", (params, here) => ({ target: target(params, here), ...page(params) })],
  search: ["operator.search", (params, here) => ({ target: target(params, here), words: params.query, limit: number(params.limit) })],
  edit: ["operator.edit", (params, here) => ({ target: target(params, here), message_id: params.messageId, text: params.message })],
  "channel-list": ["operator.groups", () => ({})],
  "thread-list": ["operator.threads", (params, here) => ({ group: group(params, here) })],
  "member-info": ["operator.members", (params, here) => ({ group: group(params, here), name: params.name ?? params.query })],
  "channel-create": ["operator.create_group", (params) => ({ name: params.name })],
  renameGroup: ["operator.rename_group", (params, here) => ({ group: group(params, here), name: params.name })],
  addParticipant: ["operator.add_members", (params, here) => ({ group: group(params, here), uids: uids(params) })],
  removeParticipant: ["operator.remove_members", (params, here) => ({ group: group(params, here), uids: uids(params) })],
  "thread-create": ["operator.create_thread", (params, here) => ({ group: group(params, here), name: params.threadName ?? params.name })],
};

const page = ({ limit, before, after }) => ({ limit: number(limit), before: number(before), after: number(after) });

async function handleAction(ctx) {
  if (ctx.action === "send") return answered(await sendOfOld(ctx));
  const [call, read] = ACTIONS[ctx.action];
  const here = normalizeTarget(ctx.toolContext?.currentMessagingTarget ?? ctx.toolContext?.currentChannelId);
  const params = { account: bot(ctx.cfg, ctx.accountId), ...read(ctx.params, here), session: ctx.sessionKey };
  return answered(await control.call(call, params, { signal: ctx.signal }));
}

/** Return what an action found as the result of a tool. */
const answered = (details) => ({ content: [{ type: "text", text: JSON.stringify(details) }], details });

/** Send for the message tool of an old gateway, which leaves that to the plugin. */
function sendOfOld({ cfg, accountId, params, sessionKey }) {
  const media = [params.media, params.mediaUrl, params.path, params.filePath, ...(params.mediaUrls ?? [])];
  const payload = fromSession({}, sessionKey);
  const ctx = { cfg, accountId, to: params.to, threadId: params.threadId, replyToId: params.replyTo, payload };
  return send(ctx, params.message ?? params.caption ?? "", [...new Set(media.filter(Boolean))]);
}

const actions = {
  describeMessageTool: () => ({ actions: ["send", ...Object.keys(ACTIONS)] }),
  supportsAction: ({ action }) => Object.hasOwn(ACTIONS, action) || (OLD && action === "send"),
  resolveExecutionMode: () => "gateway",
  prepareSendPayload: ({ ctx, payload }) => (OLD ? undefined : fromSession(payload, ctx.sessionKey)),
  handleAction,
};

// Who is there.

const directory = {
  self: async ({ cfg, accountId }) => {
    const { accounts } = await control.call("operator.status");
    const wanted = bot(cfg, accountId);
    const own = wanted ? accounts.find((one) => canonical(one.account) === wanted) : accounts[1] ? undefined : accounts[0];
    return own ? { kind: "user", id: own.uid, name: own.name } : null;
  },
  listGroups: listGroups,
  listGroupsLive: listGroups,
  listGroupMembers: async ({ cfg, accountId, groupId, limit }) => {
    const asked = { account: bot(cfg, accountId), group: groupId.replace(/^(octo:)?group:/i, "") };
    const rows = await control.call("operator.members", asked);
    return rows.slice(0, limit ?? undefined).map(({ uid, name }) => ({ kind: "user", id: `user:${uid}`, name }));
  },
};

async function listGroups({ cfg, accountId, query, limit }) {
  const rows = await control.call("operator.groups", { account: bot(cfg, accountId) });
  const wanted = (query ?? "").trim().toLowerCase();
  return rows
    .filter(({ group, name }) => !wanted || `${name} ${group}`.toLowerCase().includes(wanted))
    .slice(0, limit ?? undefined)
    .map(({ group, name }) => ({ kind: "group", id: `group:${group}`, name }));
}

// Whether the bots run.

/** Return how one bot is; never throws. */
async function state(account, signal) {
  try {
    const { accounts } = await control.call("operator.status", {}, { signal, timeoutMs: STATUS_MS });
    running = accounts.map((one) => canonical(one.account));
    const found = accounts.filter((one) => !account.name || canonical(one.account) === account.name);
    if (found.length === 1) return { ok: found[0].connected, error: found[0].connected ? null : found[0].why || "not connected", bot: found[0] };
    return { ok: false, error: account.name ? `openclaw-octo runs no bot ${account.name}` : `which bot? ${running.join(", ")}` };
  } catch (error) {
    return { ok: false, error: error.message };
  }
}

/** Mirror the state of a bot until the gateway stops the account. */
async function startAccount(ctx) {
  const { account, abortSignal } = ctx;
  while (!abortSignal.aborted) {
    const { ok, error, bot: row } = await state(account, abortSignal);
    if (abortSignal.aborted) break;
    const before = ctx.getStatus();
    if (before.connected !== ok) ctx.log?.[ok ? "info" : "warn"](ok ? `${row.account} is connected` : error);
    const lastConnectedAt = ok && !before.connected ? Date.now() : before.lastConnectedAt;
    ctx.setStatus({ ...before, running: true, connected: ok, lastError: error, lastConnectedAt });
    await passed(STATUS_EVERY_MS, abortSignal);
  }
}

/** Wait some milliseconds, or until the signal. */
function passed(ms, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}

export const channel = {
  id: CHANNEL,
  meta: {
    id: CHANNEL,
    label: "Octo",
    selectionLabel: "Octo",
    docsPath: "/channels/octo",
    blurb: "Bots of openclaw-octo.",
    markdownCapable: true,
  },
  capabilities: { chatTypes: ["direct", "group", "thread"], media: true, threads: true, edit: true, polls: false },
  reload: { configPrefixes: [`channels.${CHANNEL}`, `plugins.entries.${PLUGIN}`] },
  config: {
    listAccountIds: (cfg) => {
      const all = configured(cfg);
      return all.length ? all : [DEFAULT_ACCOUNT];
    },
    resolveAccount,
    inspectAccount: resolveAccount,
    defaultAccountId: (cfg) => configured(cfg)[0] ?? DEFAULT_ACCOUNT,
    isEnabled: (account) => account.enabled,
    isConfigured: (account) => account.configured,
    describeAccount: ({ accountId, name, enabled, configured }) => ({ accountId, name, enabled, configured }),
  },
  setup: { applyAccountConfig: ({ cfg }) => cfg },
  messaging: {
    targetPrefixes: [CHANNEL],
    directTargetStyle: "user-prefixed",
    targetIdComparison: "case-sensitive",
    normalizeTarget,
    inferTargetChatType,
    targetResolver: { looksLikeId, hint: "group:ID, group:ID____THREAD, user:UID or the name of a group", resolveTarget },
  },
  outbound,
  message,
  actions,
  directory,
  heartbeat: {
    checkReady: async ({ cfg, accountId }) => {
      const { ok, error } = await state(resolveAccount(cfg, accountId));
      return { ok, reason: error ?? "connected" };
    },
    sendTyping: ({ cfg, to, accountId, threadId }) =>
      control.call("operator.typing", {
        account: bot(cfg, accountId),
        target: normalizeTarget(to),
        thread: threadId == null ? undefined : String(threadId),
      }),
  },
  status: {
    probeAccount: ({ account }) => state(account),
    buildAccountSnapshot: ({ account, runtime, probe }) => ({
      ...runtime,
      accountId: account.accountId,
      name: account.name,
      enabled: account.enabled,
      configured: account.configured,
      running: runtime?.running ?? false,
      connected: probe?.ok ?? runtime?.connected ?? false,
      lastError: probe ? probe.error : (runtime?.lastError ?? null),
      probe,
    }),
  },
  gateway: { startAccount },
};

export default {
  id: PLUGIN,
  name: "Octo",
  description: "Octo through the bots of openclaw-octo",
  register(api) {
    control = new Control(api.pluginConfig?.socket ?? "");
    listed = api.pluginConfig?.accounts ?? [];
    api.registerChannel({ plugin: channel });
    api.registerTool((context) => (OLD ? null : toolsOf(context, handleAction)), { names: TOOL_NAMES });
  },
};
