"""What servers say when they refuse a request, and what is made of it."""

import json

import pytest

from openclaw_channel_octo.host.embedded.openai_refusals import Refusal, refusal_of

TOO_LONG = [
    (
        400,
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
    ),
    (400, '{"error": {"message": "no", "type": "invalid_request_error", "code": "context_length_exceeded"}}'),
    (400, "Your input exceeds the context window of this model. Please adjust your input and try again."),
    (
        400,
        "This endpoint's maximum context length is 32768 tokens. However, you requested about 40000 tokens",
    ),
    (400, "The prompt (total length 5000) is too long to fit into the model (context length 4096)."),
    (400, "The decoder prompt (length 5000) is longer than the maximum model length of 4096."),
    (
        400,
        "You passed 5000 input tokens. However, the model's context length is only 4096 tokens.",
    ),
    (400, "The input (5000 tokens) is longer than the model's context length (4096 tokens)."),
    (400, "Requested token count exceeds the model's maximum context length of 4096 tokens."),
    (422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000"),
    (422, "Input validation error: `inputs` must have less than 1024 tokens. Given: 5000"),
    (400, '{"error": {"code": 400, "message": "no", "type": "exceed_context_size_error", "n_ctx": 256}}'),
    (400, "request (4390 tokens) exceeds the available context size (4096 tokens), try increasing it"),
    (500, "the request exceeds the available context size. try increasing the context size"),
    (0, "Context size has been exceeded."),
    (500, "Requested tokens (2285) exceed context window of 2048"),
    (400, "prompt too long; exceeded max context length by 12 tokens"),
    (500, "the input length exceeds the context length"),
    (
        400,
        "The model is loaded with context length of only 7866 tokens, which is not enough.",
    ),
    (
        400,
        "The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 13055).",
    ),
    (400, "Cannot truncate prompt with n_keep (15028) >= n_ctx (7424)"),
    (400, "prompt is too long: 208310 tokens > 200000 maximum"),
    (400, "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"),
    (413, '{"error": {"type": "request_too_large", "message": "Request exceeds the maximum size"}}'),
    (413, "<html>Request Entity Too Large</html>"),
    (400, "Input is too long for requested model."),
    (400, "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575)."),
    (400, "Please reduce the length of the messages or completion."),
    (400, "This model's maximum prompt length is 131072 but the request contains 537812 tokens."),
    (
        400,
        "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
    ),
    (400, "too many tokens: total number of tokens in the prompt cannot exceed 128000"),
    (400, "prompt token count of 130000 exceeds the limit of 128000"),
    (400, "Invalid request: Your request exceeded model token limit: 8192"),
    (400, "Prompt exceeds max length"),
    (400, "Range of input length should be [1, 129024]"),
    (400, "invalid params, context window exceeds limit"),
    (400, "litellm.ContextWindowExceededError: litellm.BadRequestError"),
    (400, "length of prompt_tokens (40000) must be less than max_seq_len (32768)."),
    (
        413,
        "Request too large for model `m` on tokens per minute (TPM): Limit 6000, Requested 9000, please reduce",
    ),
    (429, "Request too large for m on tokens per min (TPM): Limit 30,000, Requested 31,538."),
    (429, "Rate limit reached for m on tokens per minute (TPM): Limit 6000, Used 0, Requested 9000."),
    (0, "Request too large for model `m` on tokens per minute (TPM): Limit 6000, Requested 9000"),
    (400, "输入长度超过模型最大上下文长度限制"),
    (400, json.dumps({"error": {"code": "1261", "message": "Prompt 超长"}})),
    (400, json.dumps({"error": json.dumps({"message": "上下文超出限制"})})),
    (400, "token数量超过上限。对话历史+问题的字数太多，需要精简输入"),
    (400, "错误：上下文过长，请减少输入"),
    (400, "超出最大上下文长度"),
    (500, "请求的 tokens 数超出模型限制"),
    (400, "输入内容太长，请缩短后重试"),
    (0, "请压缩上下文后重试"),
]

OTHER = [
    (
        400,
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    ),
    (400, "max_tokens is too large: 100000. This model supports at most 16384 completion tokens."),
    (400, "no such model"),
    (400, "temperature: Input should be less than or equal to 2"),
    (429, "Rate limit reached: too many tokens per minute"),
    (429, "Rate limit reached for m on tokens per min (TPM): Limit 6000, Used 5500, Requested 900."),
    (413, "Rate limit reached for m on tokens per min (TPM): Limit 100000, Used 99999, Requested 11000."),
    (400, "max_tokens 超过模型最大输出长度"),
    (400, "每分钟 tokens 数超过限制，请稍后重试"),
    (400, "请求频率超过限制"),
    (504, "请求超时"),
    (401, "context_length_exceeded"),
    (401, "Request too large"),
    (500, "internal error"),
    (0, ""),
]

PICTURES = [
    (500, "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj"),
    (404, "No endpoints found that support image input"),
    (400, "this model does not support image input"),
    (400, "m is not a multimodal model"),
    (400, "At most 0 image(s) may be provided in one request."),
    (400, "Invalid content type. image_url is only supported by certain models."),
    (422, "Failed to deserialize: unknown variant `image_url`, expected `text`"),
    (400, "messages[0].content must be a string"),
    (400, "something else"),
]

TOOLS = [
    (400, "registry.ollama.ai/library/llama2:latest does not support tools"),
    (400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
    (404, "No endpoints found that support tool use. To learn more about provider routing, visit: …"),
    (500, "tools param requires --jinja flag"),
    (400, "`tool calling` is not supported with this model"),
    (422, "body.tools: extra fields not permitted"),
]


@pytest.mark.parametrize(("status", "reason"), TOO_LONG)
@pytest.mark.parametrize("more", [False, True])
def test_servers_have_many_words_for_a_request_that_is_too_long(status: int, reason: str, more: bool) -> None:
    assert refusal_of(status, reason, pictures=more, tools=more) is Refusal.TOO_LONG


@pytest.mark.parametrize(("status", "reason"), OTHER)
def test_what_no_other_request_would_mend_is_left_alone(status: int, reason: str) -> None:
    assert refusal_of(status, reason, tools=True) is None


@pytest.mark.parametrize(("status", "reason"), PICTURES)
def test_pictures_are_known_to_be_refused_where_there_were_any(status: int, reason: str) -> None:
    assert refusal_of(status, reason, pictures=True, tools=True) is Refusal.PICTURES
    assert refusal_of(status, reason) is None


@pytest.mark.parametrize(("status", "reason"), TOOLS)
def test_tools_are_known_to_be_refused_where_there_were_any(status: int, reason: str) -> None:
    assert refusal_of(status, reason, tools=True) is Refusal.TOOLS
    assert refusal_of(status, reason) is None
