//! The kinds of integration that Alertmanager delivers by itself, and birl through a notifier of the host.

use super::keys::Shape::{Free, Map, Maps};
use super::keys::{HTTP, Section, Shape, TLS};

/// One kind of integration.
#[derive(Debug)]
pub(super) struct Kind {
    /// `slack_configs`.
    pub(super) key: &'static str,
    /// What it is called in a sentence.
    pub(super) name: &'static str,
    /// Whether Alertmanager tells it of a resolve unless it says otherwise.
    pub(super) send_resolved: bool,
    pub(super) section: Section,
    /// Of each group one key has to be there; `global.…` is one of the file's `global`. Commas stand between groups.
    pub(super) needs: &'static str,
}

const fn kind(
    key: &'static str,
    name: &'static str,
    send_resolved: bool,
    values: &'static str,
    nested: &'static [(&'static str, Shape)],
    needs: &'static str,
) -> Kind {
    Kind { key, name, send_resolved, section: Section { values, nested }, needs }
}

const FIELD: Section = Section::new("short title value");
const SLACK_ACTION: Section = Section {
    values: "name style text type url value",
    nested: &[("confirm", Map(&Section::new("dismiss_text ok_text text title")))],
};

/// Every kind but `webhook_configs`. All of them have `send_resolved` besides.
pub(super) const KINDS: &[Kind] = &[
    kind(
        "discord_configs",
        "Discord",
        true,
        "avatar_url content message title username webhook_url webhook_url_file",
        &[("http_config", Map(&HTTP))],
        "webhook_url webhook_url_file",
    ),
    kind(
        "email_configs",
        "email",
        false,
        "auth_identity auth_password auth_password_file auth_secret auth_secret_file auth_username
        force_implicit_tls from hello html require_tls smarthost text to",
        &[
            ("headers", Free),
            ("threading", Map(&Section::new("enabled thread_by_date"))),
            ("tls_config", Map(&TLS)),
        ],
        "to, smarthost global.smtp_smarthost, from global.smtp_from",
    ),
    kind(
        "incidentio_configs",
        "incident.io",
        true,
        "alert_source_token alert_source_token_file max_alerts timeout url url_file",
        &[("http_config", Map(&HTTP))],
        "url url_file, alert_source_token alert_source_token_file http_config",
    ),
    kind(
        "jira_configs",
        "Jira",
        true,
        "api_type api_url issue_type labels priority project reopen_duration reopen_transition resolve_transition
        wont_fix_resolution",
        &[
            ("custom_fields", Free),
            ("description", Free),
            ("fields", Free),
            ("http_config", Map(&HTTP)),
            ("summary", Free),
        ],
        "project, issue_type, api_url global.jira_api_url",
    ),
    kind(
        "mattermost_configs",
        "Mattermost",
        true,
        "author_icon author_link author_name channel color fallback footer footer_icon icon_emoji icon_url image_url
        pretext text thumb_url title title_link type username webhook_url webhook_url_file",
        &[
            ("attachments", Free),
            ("fields", Maps(&FIELD)),
            ("http_config", Map(&HTTP)),
            ("priority", Map(&Section::new("persistent_notifications priority requested_ack"))),
            ("props", Map(&Section::new("card"))),
        ],
        "webhook_url webhook_url_file global.mattermost_webhook_url global.mattermost_webhook_url_file",
    ),
    kind(
        "msteams_configs",
        "Microsoft Teams",
        true,
        "summary text title webhook_url webhook_url_file",
        &[("http_config", Map(&HTTP))],
        "webhook_url webhook_url_file",
    ),
    kind(
        "msteamsv2_configs",
        "Microsoft Teams",
        true,
        "text title webhook_url webhook_url_file",
        &[("http_config", Map(&HTTP))],
        "webhook_url webhook_url_file",
    ),
    kind(
        "opsgenie_configs",
        "Opsgenie",
        true,
        "actions api_key api_key_file api_url description entity message note priority source tags update_alerts",
        &[
            ("details", Free),
            ("http_config", Map(&HTTP)),
            ("responders", Maps(&Section::new("id name type username"))),
        ],
        "api_key api_key_file global.opsgenie_api_key global.opsgenie_api_key_file",
    ),
    kind(
        "pagerduty_configs",
        "PagerDuty",
        true,
        "class client client_url component description group routing_key routing_key_file service_key
        service_key_file severity source timeout url",
        &[
            ("details", Free),
            ("http_config", Map(&HTTP)),
            ("images", Maps(&Section::new("alt href src"))),
            ("links", Maps(&Section::new("href text"))),
        ],
        "routing_key routing_key_file service_key service_key_file",
    ),
    kind(
        "pushover_configs",
        "Pushover",
        true,
        "device expire html message monospace priority retry sound title token token_file ttl url url_title user_key
        user_key_file",
        &[("http_config", Map(&HTTP))],
        "user_key user_key_file, token token_file",
    ),
    kind(
        "rocketchat_configs",
        "Rocket.Chat",
        false,
        "api_url channel color emoji icon_url image_url link_names short_fields text thumb_url title title_link token
        token_file token_id token_id_file",
        &[("actions", Free), ("fields", Maps(&FIELD)), ("http_config", Map(&HTTP))],
        "token token_file global.rocketchat_token global.rocketchat_token_file,
        token_id token_id_file global.rocketchat_token_id global.rocketchat_token_id_file",
    ),
    kind(
        "slack_configs",
        "Slack",
        false,
        "api_url api_url_file app_token app_token_file app_url callback_id channel color fallback footer icon_emoji
        icon_url image_url link_names message_text mrkdwn_in pretext short_fields text thumb_url timeout title
        title_link update_message username",
        &[
            ("actions", Maps(&SLACK_ACTION)),
            ("fields", Maps(&FIELD)),
            ("http_config", Map(&HTTP)),
        ],
        "api_url api_url_file app_token app_token_file global.slack_api_url global.slack_api_url_file
        global.slack_app_token global.slack_app_token_file",
    ),
    kind(
        "sns_configs",
        "Amazon SNS",
        true,
        "api_url message phone_number subject target_arn topic_arn use_aws_http_client",
        &[
            ("attributes", Free),
            ("http_config", Map(&HTTP)),
            (
                "sigv4",
                Map(&Section::new(
                    "access_key external_id profile region role_arn secret_key service_name use_fips_sts_endpoint",
                )),
            ),
        ],
        "topic_arn target_arn phone_number",
    ),
    kind(
        "telegram_configs",
        "Telegram",
        true,
        "api_url bot_token bot_token_file chat_id chat_id_file disable_notifications message message_thread_id
        parse_mode",
        &[("http_config", Map(&HTTP))],
        "chat_id chat_id_file,
        bot_token bot_token_file global.telegram_bot_token global.telegram_bot_token_file",
    ),
    kind(
        "victorops_configs",
        "VictorOps",
        true,
        "api_key api_key_file api_url entity_display_name message_type monitoring_tool routing_key state_message",
        &[("custom_fields", Free), ("http_config", Map(&HTTP))],
        "routing_key, api_key api_key_file global.victorops_api_key global.victorops_api_key_file",
    ),
    kind(
        "webex_configs",
        "Webex",
        true,
        "api_url message room_id",
        &[("http_config", Map(&HTTP))],
        "room_id, http_config",
    ),
    kind(
        "wechat_configs",
        "WeChat",
        false,
        "agent_id api_secret api_secret_file api_url corp_id message message_type to_party to_tag to_user",
        &[("http_config", Map(&HTTP))],
        "api_secret api_secret_file global.wechat_api_secret global.wechat_api_secret_file,
        corp_id global.wechat_api_corp_id",
    ),
];
