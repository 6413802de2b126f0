//! Every diagnosis in one table: what is stored and sent of it as a word, where the cause lies, what people
//! read, and what they can do.
//!
//! A row is a [`Case`]. It claims no more than the program knows when it picks the row; whether the values that
//! were typed can be at fault is told by [`Again`]. `{Who}` and `{who}` are the service or its API, at the
//! beginning of a sentence and inside it; `{fields}` are the labels of fields joined with “or”, `{each_field}` with
//! “and”; `{when}` and `{later}` are how long to wait. No row names a value of a field.

use self::Remedy::{Again as TryAgain, Fields, Say};
use super::verification::{Blame, FaultCode};

/// The words of one case.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The word for programs, which is also stored.
    pub code: FaultCode,
    /// Where the cause lies.
    pub blame: Blame,
    /// What happened.
    pub summary: &'static str,
    /// What to do next.
    pub remedy: Remedy,
}

/// What to do next.
#[derive(Debug, Clone, Copy)]
pub enum Remedy {
    /// This.
    Say(&'static str),
    /// The first where there are fields to look at, otherwise the second.
    Fields(&'static str, &'static str),
    /// To try again, with one of the sentences of [`Again`].
    Again,
}

/// What a failure of the service, or of the way to it, says of the values that were typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// No value was part of it: none chooses the host, and none was sent.
    NotTheValues,
    /// Nothing was sent, but fields chose the host.
    HostFields,
    /// Values were sent, and what the service made of them is not known.
    Unknown,
}

impl Again {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::NotTheValues, Self::HostFields, Self::Unknown];

    /// What to do.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::NotTheValues => "Your values are not the problem. Try again {when}.",
            Self::HostFields => "Try again {when}. If it keeps failing, check {each_field}.",
            Self::Unknown => "This doesn't show whether your values are right. Try again {when}.",
        }
    }
}

/// What is said, in place of a diagnosis, to people who may use a credential but not see its fields.
pub const fn for_users(blame: Blame) -> (&'static str, &'static str) {
    match blame {
        Blame::Input => ("The credential didn't work.", "Ask the credential's owner to check it, or use another one."),
        Blame::Service | Blame::ThisServer => ("Keytile couldn't complete the request to the service.", "Try again later."),
    }
}

/// How long Keytile waited, as `{within}` in a sentence.
pub mod within {
    /// The time is known.
    pub const KNOWN: &str = "within {time}";
    /// The time was the system's.
    pub const UNKNOWN: &str = "in time";
}

/// How long to wait, as `{when}` and `{later}` in a sentence.
pub mod wait {
    /// The service says how long.
    pub const KNOWN: &str = "in {time}";
    /// `{when}`, where the service doesn't say.
    pub const SOON: &str = "in a moment";
    /// `{later}`, where the service doesn't say.
    pub const LATER: &str = "in a few minutes";
}

const SCOPES_TAKE_TIME: &str = "Check for a missing character, or create a new secret. \
                                A newly added scope can take a few minutes to work.";
const CHECK_SCOPES: &str = "Check the spelling, and that the client has each scope. \
                            A newly added scope can take a few minutes to work.";
const CHECK_DOCUMENTATION: &str = "Check {each_field} against the service's documentation.";
const OUT_OF_DATE: &str = "The connector may be out of date.";
const NOT_A_TOKEN: Remedy = Remedy::Fields(
    "Check {each_field}. Something between this server and the service may also have responded.",
    "Something between this server and the service may have responded.",
);

macro_rules! cases {
    ($($(#[$doc:meta])* $case:ident: $code:ident, $blame:ident, $summary:literal, $remedy:expr;)*) => {
        /// One thing that can go wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Case {
            $($(#[$doc])* $case,)*
        }

        impl Case {
            /// Every case.
            pub const ALL: &[Self] = &[$(Self::$case,)*];

            /// Its row.
            pub const fn row(self) -> Row {
                match self {
                    $(Self::$case => Row { code: FaultCode::$code, blame: Blame::$blame, summary: $summary, remedy: $remedy },)*
                }
            }
        }
    };
}

cases! {
    /// The values make no request; the reason is a form error.
    InvalidInput: InvalidInput, Input, "These values don't make a valid request.", Say("{reason}");

    // Finding the host.

    /// A host that no field has a part in is not in DNS.
    NoSuchHost: NoSuchHost, Service, "The host name of {who} can't be found in DNS.", TryAgain;
    /// A host below the service's own domain, for an account, is not in DNS.
    NoSuchAccount: NoSuchHost, Input, "{Who} has no account with this name.", Say("Check the spelling of {each_field}.");
    /// The same, where an option decides on the domain: the account may be one of another option.
    NoSuchAccountForChoice: NoSuchHost, Input,
        "{Who} has no account with this name for the chosen {choices}.", Say("Check {each_field}.");
    /// A host that fields choose is not in DNS.
    NoSuchChosenHost: NoSuchHost, Input, "{fields}: this host can't be found in DNS.", Say(CHECK_DOCUMENTATION);
    /// DNS did not work.
    ResolverFailed: ResolverFailed, ThisServer,
        "This server couldn't look up the address of {who}, because its DNS resolver failed ({reason}).",
        Say("Try again {when}. If it keeps failing, ask an administrator to check this server's DNS.");
    /// The service's host has an address that is not connected to.
    AddressRefused: AddressRefused, ThisServer,
        "The host name of {who} points to {kind}, which Keytile doesn't connect to.",
        Say("If the service is on your own network, an administrator can allow it with --allow-private-egress or --egress-pin.");
    /// A field chose such a host.
    ChosenAddressRefused: AddressRefused, Input,
        "{fields}: this points to {kind}, which Keytile doesn't connect to.",
        Say("Use a public address. If the service is on your own network, \
             an administrator can allow it with --allow-private-egress or --egress-pin.");

    // Connecting.

    /// The port is closed.
    ConnectionRefused: ConnectionRefused, Service, "{Who} refuses connections.", TryAgain;
    /// The connection was not made or broke.
    ConnectionFailed: ConnectionFailed, Service, "The connection to {who} failed.", TryAgain;
    /// The same, with the system's reason.
    ConnectionFailedBecause: ConnectionFailed, Service, "The connection to {who} failed ({reason}).", TryAgain;
    /// No connection in time.
    ConnectTimedOut: TimedOut, Service, "{Who} couldn't be reached {within}.", TryAgain;
    /// Keytile itself kept the request waiting, behind others to the same host.
    QueueTimedOut: TimedOut, Service,
        "Other requests from Keytile to the same host took so long that this one wasn't sent.", Say("Try again {when}.");
    /// Keytile could not make the request.
    NotStarted: ConnectionFailed, ThisServer, "Keytile couldn't start the request.", Say("Ask an administrator to check Keytile's log.");

    // TLS.

    /// A connection, but no TLS in time.
    TlsTimedOut: TimedOut, Service,
        "{Who} accepted the connection, but didn't complete the TLS handshake {within}.", TryAgain;
    /// As it says.
    CertificateExpired: CertificateExpired, Service,
        "The certificate for {who} has expired.",
        Say("Nothing was sent. The service must renew its certificate, unless this server's clock is wrong.");
    /// As it says.
    CertificateNotYetValid: CertificateExpired, Service,
        "The certificate for {who} isn't valid yet.",
        Say("Nothing was sent. Check this server's clock, or wait until the certificate is valid.");
    /// As it says.
    CertificateWrongName: CertificateWrongName, Service,
        "The certificate for {who} names a different host.",
        Say("Nothing was sent. Check the address. If it's right, the service must correct its certificate.");
    /// As it says.
    CertificateUnknownAuthority: CertificateUnknownAuthority, Service,
        "The certificate for {who} comes from an authority that isn't trusted.",
        Say("Nothing was sent. If the authority is your own, an administrator can add it with --extra-ca.");
    /// The server shows the certificate of an authority as its own.
    CertificateOfAuthority: CertificateUnknownAuthority, Service,
        "The certificate for {who} is one that only an authority can use, not a server.",
        Say("Nothing was sent. The server needs a certificate that an authority has issued to it. \
             If the authority is your own, an administrator can add it with --extra-ca.");
    /// Something else than TLS came back.
    NotTls: TlsFailed, Service, "{Who} didn't respond with TLS.", TryAgain;
    /// TLS failed in another way.
    TlsFailed: TlsFailed, Service, "The TLS connection to {who} failed: {reason}.", TryAgain;

    // The response, before it is read.

    /// The request was sent, and nothing came.
    ResponseTimedOut: TimedOut, Service, "{Who} didn't respond {within}.", TryAgain;
    /// The response began and did not end.
    ResponseUnfinished: TimedOut, Service, "{Who} started to respond, but didn't finish {within}.", TryAgain;
    /// Something else than HTTP came from a token endpoint.
    NotHttpToken: NotTokenEndpoint, Service, "{Who} didn't respond with HTTP.", TryAgain;
    /// Something else than HTTP came from an API.
    NotHttpApi: ConnectionFailed, Service, "{Who} didn't respond with HTTP.", TryAgain;
    /// The head is over the limits of the client.
    HeadTooLarge: AnswerTooLarge, Service,
        "{Who} responded with too many or too long headers.",
        Say("The service, or something in front of it, must send fewer or shorter headers.");
    /// The connection broke before the end.
    ResponseCut: AnswerCut, Service, "The connection to {who} broke in the middle of the response.", TryAgain;
    /// The body is over the limit.
    ResponseTooLarge: AnswerTooLarge, Service,
        "{Who} sent a response that's too large for an access token.",
        Fields(
            "This doesn't look like a token endpoint. Check {each_field}.",
            "This doesn't look like a token endpoint. The connector may be out of date.",
        );

    // What a token endpoint says.

    /// `invalid_client`, or 401.
    InvalidClient: InvalidClient, Input, "{Who} rejected this {fields}.", Say(SCOPES_TAKE_TIME);
    /// `invalid_scope`, where a field has the scopes.
    InvalidScope: InvalidScope, Input, "{Who} rejected the {fields}.", Say(CHECK_SCOPES);
    /// `invalid_scope`, where no field has them.
    InvalidClientScope: InvalidScope, Input, "{Who} rejected the client's scopes.", Say(CHECK_SCOPES);
    /// `unauthorized_client` or `access_denied`.
    UnauthorizedClient: UnauthorizedClient, Input,
        "{Who} doesn't let this client fetch access tokens.",
        Say("Check in the service that the client is active and may use the “client credentials” grant.");
    /// `unsupported_grant_type`.
    GrantNotSupported: UnauthorizedClient, Input,
        "{Who} doesn't accept the “client credentials” grant.",
        Say("Check in the service that the client may use the “client credentials” grant.");
    /// 403 without a reason: some servers answer a wrong secret so.
    TokenForbidden: UnauthorizedClient, Input,
        "{Who} refused to issue an access token ({status}).",
        Say("Check {each_field}, and that the client is active and may use the “client credentials” grant.");
    /// Another 4xx.
    RequestRejected: RequestRejected, Input,
        "{Who} rejected the request for an access token ({status}).", Say("Check the service's response for what to correct.");
    /// 429.
    RateLimited: RateLimited, Service, "{Who} is limiting requests.", Say("Try again {later}.");
    /// 5xx.
    ServiceError: ServiceError, Service, "{Who} had an internal error ({status}).", TryAgain;
    /// 408.
    RequestTooSlow: ServiceError, Service, "{Who} stopped waiting for the request ({status}).", TryAgain;
    /// `server_error`.
    ServerError: ServiceError, Service, "{Who} had an internal error.", TryAgain;
    /// `temporarily_unavailable`.
    TemporarilyUnavailable: ServiceError, Service, "{Who} is temporarily unavailable.", TryAgain;
    /// 404 or 410 from the host of an account: where hosts of any name exist, this is how an unknown one answers.
    AccountNotFound: NotFound, Input, "{Who} probably has no account with this name ({status}).", Say("Check {each_field}.");
    /// 404 or 410 at an address that fields choose.
    ChosenAddressNotFound: NotFound, Input,
        "{fields}: the service found nothing at this address ({status}).", Say(CHECK_DOCUMENTATION);
    /// 404 or 410 at an address of the connector's.
    AddressNotFound: NotFound, Service, "{Who} found nothing at this address ({status}).", Say(OUT_OF_DATE);
    /// 3xx.
    Redirected: Redirected, Input,
        "{Who} responded with a redirect ({status}). Keytile doesn't send credentials to another address.",
        Fields("Check {each_field}. A redirect often means that an address isn't quite right.", OUT_OF_DATE);
    /// 2xx with a token that cannot stand in a header.
    UnusableToken: NotTokenEndpoint, Input, "{Who} responded with an access token that can't be used ({status}).", NOT_A_TOKEN;
    /// 2xx with an object that has no token.
    NoToken: NotTokenEndpoint, Input, "{Who} responded with JSON that has no access token ({status}).", NOT_A_TOKEN;
    /// 2xx with HTML.
    WebPage: NotTokenEndpoint, Input, "{Who} responded with a web page instead of an access token ({status}).", NOT_A_TOKEN;
    /// 2xx with an empty body.
    EmptyResponse: NotTokenEndpoint, Input, "{Who} responded with nothing instead of an access token ({status}).", NOT_A_TOKEN;
    /// 2xx with another body.
    NotJson: NotTokenEndpoint, Input, "{Who} responded with something that isn't JSON ({status}).", NOT_A_TOKEN;

    // What an API says to the probe.

    /// 401, and 2xx with another option.
    WrongPrefix: WrongAuthorizationPrefix, Input,
        "{Who} rejects “{present}” tokens but accepts “{works}”.", Say("Edit the credential and choose “{works}” as its {fields}.");
    /// 401, and 403 with another option.
    PrefixMayBeWrong: WrongAuthorizationPrefix, Input,
        "{Who} rejects “{present}” tokens (401), but only refuses the request with “{works}” (403).",
        Say("Edit the credential and try “{works}” as its {fields}. The client may also lack a scope.");
    /// 401.
    TokenRejected: ApiRejected, Input,
        "{Who} rejected the access token ({status}).",
        Say("The service issued the token, so it accepts the client. Check the API's settings and response.");
    /// 403.
    ProbeForbidden: ApiRejected, Input,
        "{Who} refused the test request ({status}).",
        Say("The client may lack a scope. A newly added scope can take a few minutes to work.");
    /// 404 or 410.
    ProbeNotFound: NotFound, Input,
        "{Who} found nothing at the address of the test request ({status}).", Say("Check the API's address.");
    /// 3xx.
    ProbeRedirected: Redirected, Input,
        "{Who} responded with a redirect ({status}). Keytile doesn't send access tokens to another address.",
        Say("Check the API's address.");
    /// 429.
    ProbeLimited: RateLimited, Service,
        "{Who} is limiting requests.", Say("The access token was issued. Try the API again {later}.");
    /// Any other status.
    ProbeRejected: ApiRejected, Input,
        "{Who} rejected the test request ({status}).", Say("The access token was issued. Check the API's response.");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::sentences::style;

    /// The parts of sentences: see the head of this file.
    const PARTS: [&str; 14] = [
        "Who",
        "who",
        "fields",
        "each_field",
        "choices",
        "status",
        "reason",
        "kind",
        "within",
        "time",
        "present",
        "works",
        "when",
        "later",
    ];

    /// Every word of [`FaultCode`], named one by one so that a new one is missed here by the compiler.
    fn codes() -> Vec<FaultCode> {
        use FaultCode::*;
        let all = [
            InvalidInput,
            NoSuchHost,
            ResolverFailed,
            AddressRefused,
            ConnectionRefused,
            ConnectionFailed,
            TimedOut,
            CertificateExpired,
            CertificateWrongName,
            CertificateUnknownAuthority,
            TlsFailed,
            Redirected,
            NotFound,
            InvalidClient,
            InvalidScope,
            UnauthorizedClient,
            RequestRejected,
            RateLimited,
            ServiceError,
            NotTokenEndpoint,
            AnswerTooLarge,
            AnswerCut,
            WrongAuthorizationPrefix,
            ApiRejected,
        ];
        for code in all {
            match code {
                InvalidInput
                | NoSuchHost
                | ResolverFailed
                | AddressRefused
                | ConnectionRefused
                | ConnectionFailed
                | TimedOut
                | CertificateExpired
                | CertificateWrongName
                | CertificateUnknownAuthority
                | TlsFailed
                | Redirected
                | NotFound
                | InvalidClient
                | InvalidScope
                | UnauthorizedClient
                | RequestRejected
                | RateLimited
                | ServiceError
                | NotTokenEndpoint
                | AnswerTooLarge
                | AnswerCut
                | WrongAuthorizationPrefix
                | ApiRejected => {}
            }
        }
        all.into()
    }

    fn remedies(remedy: Remedy) -> Vec<&'static str> {
        match remedy {
            Remedy::Say(one) => vec![one],
            Remedy::Fields(some, none) => vec![some, none],
            Remedy::Again => Again::ALL.map(Again::sentence).into(),
        }
    }

    #[test]
    fn every_code_has_a_row() {
        for code in codes() {
            assert!(Case::ALL.iter().any(|case| case.row().code == code), "{code:?}");
        }
    }

    #[test]
    fn every_sentence_has_the_same_style() {
        for case in Case::ALL {
            let row = case.row();
            // The reason of an invalid input is a sentence of its own table.
            let remedies = remedies(row.remedy).into_iter().filter(|remedy| *remedy != "{reason}");
            for text in std::iter::once(row.summary).chain(remedies) {
                assert_eq!(style::faults(text, &PARTS), Vec::<String>::new(), "{case:?}: {text}");
            }
        }
        for blame in [Blame::Input, Blame::Service, Blame::ThisServer] {
            let (summary, remedy) = for_users(blame);
            for text in [summary, remedy] {
                assert_eq!(style::faults(text, &[]), Vec::<String>::new(), "{text}");
            }
        }
    }

    #[test]
    fn values_are_cleared_only_where_none_had_a_part() {
        for case in Case::ALL {
            let row = case.row();
            let clears = |text: &str| text.contains("not the problem") || text.contains("values are right.");
            assert!(!clears(row.summary), "{case:?}");
            match row.remedy {
                // Which of its sentences is said is decided from the address and the stage.
                Remedy::Again => assert_ne!(row.blame, Blame::Input, "{case:?}"),
                remedy => assert!(!remedies(remedy).into_iter().any(clears), "{case:?}"),
            }
        }
    }

    #[test]
    fn no_sentence_names_a_service() {
        for case in Case::ALL {
            let row = case.row();
            let nameless = row.summary.contains("{Who}") || row.summary.contains("{who}") || row.summary.contains("{fields}");
            let own = matches!(case, Case::InvalidInput | Case::QueueTimedOut | Case::NotStarted);
            assert!(nameless || own, "{case:?} doesn't say who it is about");
        }
    }
}
