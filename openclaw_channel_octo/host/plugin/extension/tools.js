/**
 * Tools for agents of gateways that keep a plugin of somebody else from reading and editing with the message tool.
 *
 * They are the message tool's actions under names of their own: the bots decide by the session key of the gateway's core.
 */

const text = (description) => ({ type: "string", description });
const count = (description) => ({ type: "integer", minimum: 0, description });
const object = (properties, ...required) => ({ type: "object", properties, required, additionalProperties: false });

const target = text("group:ID, group:ID____THREAD or user:UID; the conversation you are asked in where it is left out");
const group = text("group:ID; the group you are asked in where it is left out");
const limit = count("how many messages");

/** The action behind each tool, what a model reads about it, and its parameters. */
const TOOLS = {
  octo_read: [
    "read",
    "Read the newest messages of an Octo conversation, or those before or after a message number (message_seq).",
    object({ target, limit, before: count("a message number"), after: count("a message number") }),
  ],
  octo_search: [
    "search",
    "Search the messages of an Octo conversation for words.",
    object({ target, query: text("the words"), limit }, "query"),
  ],
  octo_edit: [
    "edit",
    "Put another text in the place of one of your own messages in Octo.",
    object({ target, messageId: text("its message_id"), message: text("the whole new text") }, "messageId", "message"),
  ],
  octo_groups: ["channel-list", "List the Octo groups that you and the person who asks are both in.", object({})],
  octo_threads: ["thread-list", "List the threads of an Octo group.", object({ target: group })],
  octo_members: [
    "member-info",
    "List who is in an Octo group.",
    object({ target: group, name: text("only those whose names contain this") }),
  ],
};

export const TOOL_NAMES = Object.keys(TOOLS);

/**
 * Return the tools of an agent, none without a session: what names none has the operator's rights.
 *
 * @param context the gateway's context of the run; nothing in it comes from a model
 * @param act answers an action of the message tool
 */
export function toolsOf(context, act) {
  const { sessionKey, deliveryContext } = context;
  if (!sessionKey) return null;
  return Object.entries(TOOLS).map(([name, [action, description, parameters]]) => ({
    name,
    label: name,
    description,
    parameters,
    execute: (_, params, signal) =>
      act({
        action,
        params,
        signal,
        sessionKey,
        cfg: context.getRuntimeConfig?.() ?? context.runtimeConfig ?? context.config,
        accountId: context.agentAccountId ?? deliveryContext?.accountId,
        toolContext: { currentMessagingTarget: deliveryContext?.to },
      }),
  }));
}
