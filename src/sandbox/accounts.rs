//! The accounts of the sandbox, the values that work on them, and what to tell people about both.
//!
//! The values are public on purpose. Accounts that misbehave each show one diagnosis of a verification.

/// The one Client ID that every account knows.
pub(super) const CLIENT_ID: &str = "sandbox-client";
/// Its Client Secret. Public, like everything in here.
pub(super) const CLIENT_SECRET: &str = "sandbox-secret";

/// How an account behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// As TalkDesk does.
    Good,
    /// Its API takes access tokens only after the word `Bearer`.
    BearerOnly,
    /// Its token endpoint answers only after [`SLOW_ANSWER_SECONDS`].
    Slow,
    /// Its token endpoint answers 503.
    Down,
    /// Its token endpoint answers 429.
    RateLimited,
    /// Its token endpoint answers 200 with a page for people.
    Html,
}

/// How long `slow` takes: more than the 15 seconds that Keytile waits for a whole request.
pub(super) const SLOW_ANSWER_SECONDS: u64 = 20;
/// What `ratelimited` sends as Retry-After.
pub(super) const RETRY_AFTER_SECONDS: u64 = 30;

/// How the account with this name behaves; `None` where there is no such account.
pub(super) fn behaviour(account: &str) -> Option<Behaviour> {
    Some(match account {
        "acme" | "acme-support" | "acme-sales" => Behaviour::Good,
        "beareronly" => Behaviour::BearerOnly,
        "slow" => Behaviour::Slow,
        "down" => Behaviour::Down,
        "ratelimited" => Behaviour::RateLimited,
        "html" => Behaviour::Html,
        _ => return None,
    })
}

/// What the overlay of one connector can say about the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hints {
    /// The fields to fill in, in the order of the form, and values that pass the verification.
    pub fields: &'static [FieldHint],
    /// Accounts that show what Keytile says of a service in trouble; empty where there is no field for one.
    pub misbehaving: &'static [MisbehavingAccount],
}

/// The values that work in one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldHint {
    /// The id of the field.
    pub field: &'static str,
    /// Values that work, the one to try first at the front.
    pub values: &'static [&'static str],
}

/// An account that misbehaves on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MisbehavingAccount {
    /// The id of the field that takes the name.
    pub field: &'static str,
    /// The account's name.
    pub account: &'static str,
    /// What it does, as one sentence for people.
    pub sentence: &'static str,
}

impl MisbehavingAccount {
    const fn new(account: &'static str, sentence: &'static str) -> Self {
        Self { field: "account_name", account, sentence }
    }
}

/// What works on the sandbox with the connector of this id; `None` for a connector that has nothing to
/// do with it.
pub fn hints(connector_id: &str) -> Option<&'static Hints> {
    match connector_id {
        "talkdesk" => Some(&TALKDESK),
        "oauth2-client-credentials" => Some(&OAUTH2),
        _ => None,
    }
}

static TALKDESK: Hints = Hints {
    fields: &[
        FieldHint { field: "client_id", values: &[CLIENT_ID] },
        FieldHint { field: "client_secret", values: &[CLIENT_SECRET] },
        FieldHint { field: "account_name", values: &["acme", "acme-support", "acme-sales"] },
    ],
    misbehaving: &[
        MisbehavingAccount::new("slow", "Takes 20 seconds to answer, longer than Keytile waits."),
        MisbehavingAccount::new("down", "Is out of service and answers 503."),
        MisbehavingAccount::new("ratelimited", "Has had too many requests and asks to wait 30 seconds."),
        MisbehavingAccount::new("html", "Answers with a web page instead of an access token."),
        MisbehavingAccount::new("beareronly", "Issues a token, but its API takes it only with the prefix Bearer."),
    ],
};

static OAUTH2: Hints = Hints {
    fields: &[
        FieldHint { field: "token_url", values: &["https://acme.talkdeskid.com/oauth/token"] },
        FieldHint { field: "client_id", values: &[CLIENT_ID] },
        FieldHint { field: "client_secret", values: &[CLIENT_SECRET] },
        FieldHint { field: "api_base_url", values: &["https://api.talkdeskapp.com"] },
    ],
    misbehaving: &[],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_account_that_is_hinted_at_exists() {
        let named = TALKDESK.fields.iter().find(|hint| hint.field == "account_name").unwrap();
        assert!(named.values.iter().all(|account| behaviour(account) == Some(Behaviour::Good)));
        let misbehaving: Vec<_> = TALKDESK.misbehaving.iter().map(|hint| behaviour(hint.account)).collect();
        assert!(misbehaving.iter().all(|found| matches!(found, Some(how) if *how != Behaviour::Good)), "{misbehaving:?}");
        assert_eq!(behaviour("nobody"), None);
    }

    #[test]
    fn the_sentences_state_the_figures_that_are_used() {
        let sentence = |account| TALKDESK.misbehaving.iter().find(|hint| hint.account == account).unwrap().sentence;
        assert!(sentence("slow").contains(&SLOW_ANSWER_SECONDS.to_string()));
        assert!(sentence("ratelimited").contains(&RETRY_AFTER_SECONDS.to_string()));
    }

    #[test]
    fn other_connectors_have_no_hints() {
        assert_eq!(hints("something-else"), None);
    }
}
