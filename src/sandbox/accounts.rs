//! The accounts of the sandbox, the values that work on them, and what to tell people about both.
//!
//! The values are public on purpose. Each account that misbehaves demonstrates one diagnosis of a
//! verification.

/// The only Client ID that every account accepts.
pub(super) const CLIENT_ID: &str = "sandbox-client";
/// Public, like everything here.
pub(super) const CLIENT_SECRET: &str = "sandbox-secret";
/// The next secret, for trying a rotation: every account accepts both.
pub(super) const NEXT_CLIENT_SECRET: &str = "sandbox-secret-2";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// Like TalkDesk.
    Good,
    /// The API accepts access tokens only after the word `Bearer`.
    BearerOnly,
    /// The token endpoint responds after [`SLOW_ANSWER_SECONDS`].
    Slow,
    /// The token endpoint responds with 503.
    Down,
    /// The token endpoint responds with 429.
    RateLimited,
    /// The token endpoint responds with 200 and an HTML page.
    Html,
}

/// Longer than the 15 seconds that Keytile allows for a whole request.
pub(super) const SLOW_ANSWER_SECONDS: u64 = 20;
/// The `Retry-After` of the account `ratelimited`.
pub(super) const RETRY_AFTER_SECONDS: u64 = 30;

/// `None` if there is no account with this name.
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

/// What the credential form of one connector can say about the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hints {
    /// Values that pass the verification, by field id, in the order of the form.
    pub values: &'static [(&'static str, &'static str)],
    /// The field whose value chooses how the sandbox behaves; empty if there is none.
    pub behaviour_field: &'static str,
    /// Values of that field that misbehave on purpose, and what each does, as a sentence for people.
    pub behaviours: &'static [(&'static str, &'static str)],
}

/// `None` for a connector that has nothing to do with the sandbox.
pub fn hints(connector_id: &str) -> Option<&'static Hints> {
    match connector_id {
        "talkdesk" => Some(&TALKDESK),
        "oauth2-client-credentials" => Some(&OAUTH2),
        _ => None,
    }
}

static TALKDESK: Hints = Hints {
    values: &[("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET), ("account_name", "acme")],
    behaviour_field: "account_name",
    behaviours: &[
        ("slow", "Takes 20 seconds to respond, longer than Keytile waits."),
        ("down", "Is out of service and responds with 503."),
        ("ratelimited", "Limits requests and asks to wait 30 seconds."),
        ("html", "Responds with a web page instead of an access token."),
        ("beareronly", "Issues a token, but its API only accepts it with the prefix Bearer."),
    ],
};

static OAUTH2: Hints = Hints {
    values: &[
        ("token_url", "https://acme.talkdeskid.com/oauth/token"),
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("api_base_url", "https://api.talkdeskapp.com"),
    ],
    behaviour_field: "",
    behaviours: &[],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_account_that_is_hinted_at_exists() {
        let (_, named) = TALKDESK.values.iter().find(|(field, _)| *field == TALKDESK.behaviour_field).unwrap();
        assert_eq!(behaviour(named), Some(Behaviour::Good));
        let misbehaving: Vec<_> = TALKDESK.behaviours.iter().map(|(account, _)| behaviour(account)).collect();
        assert!(misbehaving.iter().all(|found| matches!(found, Some(how) if *how != Behaviour::Good)), "{misbehaving:?}");
        assert_eq!(behaviour("nobody"), None);
    }

    #[test]
    fn the_sentences_state_the_figures_that_are_used() {
        let sentence = |account| TALKDESK.behaviours.iter().find(|(named, _)| *named == account).unwrap().1;
        assert!(sentence("slow").contains(&SLOW_ANSWER_SECONDS.to_string()));
        assert!(sentence("ratelimited").contains(&RETRY_AFTER_SECONDS.to_string()));
    }

    #[test]
    fn other_connectors_have_no_hints() {
        assert_eq!(hints("something-else"), None);
    }
}
