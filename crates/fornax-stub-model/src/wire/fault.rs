//! What went wrong, in the words of the three families of providers.

use super::Api;
use crate::reply::{ErrorKind, ErrorReply};

/// Frames of an answer of OpenAI Responses before anything is said.
const RESPONSES_OPENING: usize = 2;

/// An error with everything settled, ready to be written in some API's shape.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) status: u16,
    /// The provider's name for its kind.
    pub(crate) name: String,
    pub(crate) code: Option<String>,
    pub(crate) message: String,
    pub(crate) retry_after_s: Option<u64>,
    /// Told in the stream, after so many frames, where the answer is streamed.
    pub(crate) after: Option<usize>,
}

/// The HTTP status, name, code and message a provider gives to a kind of error.
struct Words(u16, &'static str, Option<&'static str>, &'static str);

impl Fault {
    pub(super) fn new(api: Api, error: &ErrorReply) -> Self {
        let kind = error
            .kind
            .unwrap_or_else(|| of_status(error.status.unwrap_or(500)));
        let Words(status, name, code, message) = match api {
            Api::Chat | Api::Responses => openai(kind),
            Api::Messages => anthropic(kind),
            Api::Gemini => google(kind),
        };
        let message = match (api, kind) {
            // The same error has other words in the newer API.
            (Api::Responses, ErrorKind::ContextOverflow) => {
                "Your input exceeds the context window of this model. \
                 Please adjust your input and try again."
            }
            _ => message,
        };
        let in_stream =
            api == Api::Responses && kind == ErrorKind::ContextOverflow && error.status.is_none();
        let status = error.status.unwrap_or(status);
        let name = if api == Api::Gemini {
            google_name(status)
        } else {
            name
        };
        Self {
            status,
            // Who gives it another name says its code too: they belong together.
            code: match &error.name {
                Some(_) => error.code.clone(),
                None => error.code.clone().or_else(|| code.map(str::to_owned)),
            },
            name: error.name.clone().unwrap_or_else(|| name.to_owned()),
            message: error.message.clone().unwrap_or_else(|| message.to_owned()),
            retry_after_s: error.retry_after_s,
            after: error.after.or(in_stream.then_some(RESPONSES_OPENING)),
        }
    }
}

fn of_status(status: u16) -> ErrorKind {
    match status {
        401 => ErrorKind::Auth,
        403 => ErrorKind::Permission,
        404 => ErrorKind::NotFound,
        429 => ErrorKind::RateLimit,
        400..=499 => ErrorKind::InvalidRequest,
        503 | 529 => ErrorKind::Overloaded,
        _ => ErrorKind::Server,
    }
}

/// <https://platform.openai.com/docs/guides/error-codes>
fn openai(kind: ErrorKind) -> Words {
    const REQUEST: &str = "invalid_request_error";
    match kind {
        ErrorKind::InvalidRequest => Words(400, REQUEST, None, "The request is not valid."),
        ErrorKind::Auth => Words(
            401,
            REQUEST,
            Some("invalid_api_key"),
            "Incorrect API key provided.",
        ),
        ErrorKind::Permission => Words(
            403,
            "request_forbidden",
            None,
            "You are not allowed to do this.",
        ),
        ErrorKind::NotFound => Words(
            404,
            REQUEST,
            Some("model_not_found"),
            "The model does not exist or you do not have access to it.",
        ),
        ErrorKind::ContextOverflow => Words(
            400,
            REQUEST,
            Some("context_length_exceeded"),
            "This model's maximum context length is 100000 tokens. However, your messages \
             resulted in 120000 tokens. Please reduce the length of the messages.",
        ),
        ErrorKind::RateLimit => Words(
            429,
            "tokens",
            Some("rate_limit_exceeded"),
            "Rate limit reached.",
        ),
        ErrorKind::Quota => Words(
            429,
            "insufficient_quota",
            Some("insufficient_quota"),
            "You exceeded your current quota, please check your plan and billing details.",
        ),
        ErrorKind::Server => Words(
            500,
            "server_error",
            Some("server_error"),
            "The server had an error while processing your request.",
        ),
        ErrorKind::Overloaded => Words(
            503,
            "server_error",
            Some("server_is_overloaded"),
            "Our servers are currently overloaded. Please try again later.",
        ),
    }
}

/// <https://docs.claude.com/en/api/errors>
fn anthropic(kind: ErrorKind) -> Words {
    const REQUEST: &str = "invalid_request_error";
    let (status, name, message) = match kind {
        ErrorKind::InvalidRequest => (400, REQUEST, "The request is not valid."),
        ErrorKind::Auth => (401, "authentication_error", "invalid x-api-key"),
        ErrorKind::Permission => (
            403,
            "permission_error",
            "Your API key does not have permission to use the specified resource.",
        ),
        ErrorKind::NotFound => (404, "not_found_error", "There is no such model."),
        ErrorKind::ContextOverflow => (
            400,
            REQUEST,
            "prompt is too long: 220000 tokens > 200000 maximum",
        ),
        ErrorKind::RateLimit => (
            429,
            "rate_limit_error",
            "This request would exceed your account's rate limit. Please try again later.",
        ),
        ErrorKind::Quota => (
            400,
            REQUEST,
            "Your credit balance is too low to access the Anthropic API. \
             Please go to Plans & Billing to upgrade or purchase credits.",
        ),
        ErrorKind::Server => (500, "api_error", "Internal server error"),
        ErrorKind::Overloaded => (529, "overloaded_error", "Overloaded"),
    };
    Words(status, name, None, message)
}

/// <https://ai.google.dev/gemini-api/docs/troubleshooting>; the name follows from the status.
fn google(kind: ErrorKind) -> Words {
    let (status, code, message) = match kind {
        ErrorKind::InvalidRequest => (400, None, "Request contains an invalid argument."),
        ErrorKind::Auth => (
            400,
            Some("API_KEY_INVALID"),
            "API key not valid. Please pass a valid API key.",
        ),
        ErrorKind::Permission => (403, None, "The caller does not have permission"),
        ErrorKind::NotFound => (404, None, "The model is not found for API version v1beta."),
        ErrorKind::ContextOverflow => (
            400,
            None,
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        ),
        ErrorKind::RateLimit => (429, None, "Resource has been exhausted (e.g. check quota)."),
        ErrorKind::Quota => (
            429,
            None,
            "You exceeded your current quota, please check your plan and billing details.",
        ),
        ErrorKind::Server => (500, None, "An internal error has occurred."),
        ErrorKind::Overloaded => (
            503,
            None,
            "The model is overloaded. Please try again later.",
        ),
    };
    Words(status, "", code, message)
}

/// The canonical name of an HTTP status, after google.rpc.Code.
fn google_name(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        400..=499 => "INVALID_ARGUMENT",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    }
}
