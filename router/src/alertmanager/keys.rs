//! What Alertmanager's configuration may hold and birl does not act on, from 0.25 to 0.34, as its documentation and its
//! readers have it. Everything else is read by birl's own types.

/// What may stand in a map.
#[derive(Debug)]
pub(super) struct Section {
    /// Keys of one value, or of a list of values, with spaces between.
    pub(super) values: &'static str,
    pub(super) nested: &'static [(&'static str, Shape)],
}

/// What may stand under a key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// Whatever is there: names that users choose.
    Free,
    Map(&'static Section),
    /// A list of maps.
    Maps(&'static Section),
}

use Shape::{Free, Map, Maps};

impl Section {
    pub(super) const fn new(values: &'static str) -> Self {
        Self { values, nested: &[] }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.values.split_whitespace().chain(self.nested.iter().map(|(name, _)| *name))
    }
}

/// At the top of the file.
pub(super) const TOP: Section = Section {
    values: "templates",
    nested: &[("tracing", Map(&TRACING)), ("event_recorder", Map(&RECORDER))],
};

/// In `global`, where `resolve_timeout` is birl's, too.
pub(super) const GLOBAL: Section = Section {
    values: "jira_api_url mattermost_webhook_url mattermost_webhook_url_file opsgenie_api_key opsgenie_api_key_file
        opsgenie_api_url pagerduty_url rocketchat_api_url rocketchat_token rocketchat_token_file rocketchat_token_id
        rocketchat_token_id_file slack_api_url slack_api_url_file slack_app_token slack_app_token_file slack_app_url
        smtp_auth_identity smtp_auth_password smtp_auth_password_file smtp_auth_secret smtp_auth_secret_file
        smtp_auth_username smtp_force_implicit_tls smtp_from smtp_hello smtp_require_tls smtp_smarthost
        telegram_api_url telegram_bot_token telegram_bot_token_file victorops_api_key victorops_api_key_file
        victorops_api_url webex_api_url wechat_api_corp_id wechat_api_secret wechat_api_secret_file wechat_api_url",
    nested: &[("http_config", Map(&HTTP)), ("smtp_tls_config", Map(&TLS))],
};

/// In a route: for templates alone.
pub(super) const ROUTE: Section = Section { values: "", nested: &[("labels", Free)] };
/// In a receiver: for queries of the API alone.
pub(super) const RECEIVER: Section = Section { values: "", nested: &[("labels", Free)] };
/// In a webhook, where `url`, `send_resolved` and `timeout` are birl's, too.
pub(super) const WEBHOOK: Section = Section {
    values: "max_alerts url_file",
    nested: &[("http_config", Map(&HTTP)), ("payload", Free)],
};

pub(super) const HTTP: Section = Section {
    values: "bearer_token bearer_token_file enable_http2 follow_redirects no_proxy proxy_from_environment proxy_url",
    nested: &[
        ("authorization", Map(&Section::new("credentials credentials_file credentials_ref type"))),
        (
            "basic_auth",
            Map(&Section::new(
                "password password_file password_ref username username_file username_ref",
            )),
        ),
        ("http_headers", Free),
        ("oauth2", Map(&OAUTH2)),
        ("proxy_connect_header", Free),
        ("tls_config", Map(&TLS)),
    ],
};

const OAUTH2: Section = Section {
    values: "audience client_certificate_key client_certificate_key_file client_certificate_key_id
        client_certificate_key_ref client_id client_secret client_secret_file client_secret_ref grant_type iss
        no_proxy proxy_from_environment proxy_url scopes signature_algorithm token_url",
    nested: &[
        ("claims", Free),
        ("endpoint_params", Free),
        ("proxy_connect_header", Free),
        ("tls_config", Map(&TLS)),
    ],
};

pub(super) const TLS: Section = Section::new(
    "ca ca_file ca_ref cert cert_file cert_ref insecure_skip_verify key key_file key_ref max_version min_version
    server_name",
);

const TRACING: Section = Section {
    values: "client_type compression endpoint insecure sampling_fraction timeout",
    nested: &[("headers", Free), ("http_headers", Free), ("tls_config", Map(&TLS))],
};

const RECORDER: Section = Section {
    values: "",
    nested: &[
        ("file_outputs", Maps(&Section::new("path"))),
        (
            "kafka_outputs",
            Maps(&Section {
                values: "acks brokers buffer_size client_id compression format topic",
                nested: &[("tls_config", Map(&TLS))],
            }),
        ),
        ("stdout_outputs", Maps(&Section::new(""))),
        (
            "webhook_outputs",
            Maps(&Section {
                values: "batch batch_flush_interval batch_max_bytes batch_max_events max_retries retry_backoff timeout
                    url workers",
                nested: &[("http_config", Map(&HTTP))],
            }),
        ),
    ],
};
