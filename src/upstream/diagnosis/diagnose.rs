//! What a fault means for the person who fills in the form, in the connector's terms.
//!
//! Summaries and remedies never contain the value of a field: they are stored in the clear with the verification,
//! while field values are only stored sealed.

use crate::{
    domain::{
        connectors::{
            Connector, FieldId,
            url_template::{RenderError, UrlTemplate},
        },
        credentials::verification::{Blame, Diagnosis, FaultCode, ServiceWords, Stage},
    },
    upstream::{
        client::fault::{Fault, FaultKind},
        egress::resolver::NameFault,
    },
};

/// The remedy when the problem is on the service's side.
pub(in crate::upstream) const NOT_YOUR_INPUT: &str = "What you entered is not the cause. Try again in a moment.";

/// What was called: a connector's token endpoint or its API.
#[derive(Clone, Copy)]
pub(in crate::upstream) struct Subject<'a> {
    pub(in crate::upstream) connector: &'a Connector,
    part: Part,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    TokenEndpoint,
    Api,
}

impl<'a> Subject<'a> {
    pub(in crate::upstream) fn token_endpoint(connector: &'a Connector) -> Self {
        Self { connector, part: Part::TokenEndpoint }
    }

    pub(in crate::upstream) fn api(connector: &'a Connector) -> Self {
        Self { connector, part: Part::Api }
    }

    fn url(&self) -> &'a UrlTemplate {
        match self.part {
            Part::TokenEndpoint => &self.connector.token.url,
            Part::Api => &self.connector.api.base_url,
        }
    }

    /// The name of what was called, for the start of a sentence. A generic connector has no service name to use.
    pub(in crate::upstream) fn who(&self) -> String {
        let free = self.connector.token.url.host_is_free();
        match self.part {
            Part::TokenEndpoint if free => "The service".into(),
            Part::TokenEndpoint => self.connector.name.clone(),
            Part::Api if free => "The API".into(),
            Part::Api => format!("The API of {}", self.connector.name),
        }
    }

    /// True if the host is the service's own and fields only choose an account on it.
    fn host_names_an_account(&self) -> bool {
        self.part == Part::TokenEndpoint && !self.url().host_is_free()
    }

    /// The fields that the host is made of.
    pub(in crate::upstream) fn host_fields(&self) -> Vec<FieldId> {
        self.url().host_fields()
    }

    /// The labels of fields as a phrase: `Client ID or Client Secret`.
    pub(in crate::upstream) fn labels(&self, fields: &[FieldId]) -> String {
        let labels: Vec<&str> = fields.iter().map(|field| self.connector.label(field)).collect();
        match labels.split_last() {
            None => String::new(),
            Some((last, [])) => (*last).to_owned(),
            Some((last, before)) => format!("{} or {last}", before.join(", ")),
        }
    }

    /// The diagnosis for an exchange that failed.
    pub(in crate::upstream) fn of_fault(&self, fault: Fault) -> Diagnosis {
        let who = self.who();
        let of_service = |code, summary: String| plain(fault.stage, code, Blame::Service, summary, NOT_YOUR_INPUT.into());
        let certificate = |code, summary: String, remedy: &str| plain(fault.stage, code, Blame::Service, summary, remedy.into());
        match fault.kind {
            FaultKind::Name(name) => self.of_name(fault.stage, name),
            FaultKind::Refused => of_service(FaultCode::ConnectionRefused, format!("{who} refuses connections.")),
            FaultKind::Failed(reason) => {
                let reason = reason.map_or_else(String::new, |kind| format!(" ({kind})"));
                of_service(FaultCode::ConnectionFailed, format!("The connection to {} failed{reason}.", mid_sentence(&who)))
            }
            FaultKind::TimedOut => {
                let what = match fault.stage {
                    Stage::Input | Stage::Address | Stage::Connection => "could not be reached in time",
                    Stage::Tls => "accepted the connection but did not answer in time",
                    _ => "did not finish its answer in time",
                };
                of_service(FaultCode::TimedOut, format!("{who} {what}."))
            }
            FaultKind::CertificateExpired => certificate(
                FaultCode::CertificateExpired,
                format!("The certificate of {} has expired.", mid_sentence(&who)),
                "What you entered is not the cause. Its operators must renew it, unless the clock of this server is wrong.",
            ),
            FaultKind::CertificateNotYetValid => certificate(
                FaultCode::CertificateExpired,
                format!("The certificate of {} is not valid yet.", mid_sentence(&who)),
                "What you entered is not the cause. Check the clock of this server, or wait until the certificate is valid.",
            ),
            FaultKind::CertificateWrongName => certificate(
                FaultCode::CertificateWrongName,
                format!("The certificate of {} is for another name.", mid_sentence(&who)),
                "Nothing was sent. Check that the address is the right one; if it is, the service's operators must correct it.",
            ),
            FaultKind::CertificateUnknownAuthority => certificate(
                FaultCode::CertificateUnknownAuthority,
                format!("The certificate of {} comes from an authority that is not trusted.", mid_sentence(&who)),
                "Nothing was sent. If the authority is your own, an administrator can add it with --extra-ca.",
            ),
            FaultKind::CertificateOfAuthority => certificate(
                FaultCode::CertificateUnknownAuthority,
                format!("The certificate of {} is one that only an authority can use, not a server.", mid_sentence(&who)),
                "Nothing was sent. The server needs a certificate that an authority has issued to it. If the authority is your own, \
                 an administrator can add it with --extra-ca.",
            ),
            FaultKind::NotTls => {
                of_service(FaultCode::TlsFailed, format!("What answers for {} does not speak TLS.", mid_sentence(&who)))
            }
            FaultKind::Tls(reason) => {
                of_service(FaultCode::TlsFailed, format!("No TLS connection to {} could be made: {reason}.", mid_sentence(&who)))
            }
            FaultKind::NotHttp => {
                let code = match self.part {
                    Part::TokenEndpoint => FaultCode::NotTokenEndpoint,
                    Part::Api => FaultCode::ConnectionFailed,
                };
                of_service(code, format!("What answers for {} does not speak HTTP.", mid_sentence(&who)))
            }
            FaultKind::HeadTooLarge => plain(
                fault.stage,
                FaultCode::AnswerTooLarge,
                Blame::Service,
                format!("The headers in the answer of {} are too many or too long.", mid_sentence(&who)),
                "What you entered is not the cause. The service, or something in front of it, must send fewer headers.".into(),
            ),
            FaultKind::Cut => of_service(FaultCode::AnswerCut, format!("{who} broke off in the middle of its answer.")),
            FaultKind::TooLarge => Diagnosis {
                fields: self.address_fields(),
                ..plain(
                    fault.stage,
                    FaultCode::AnswerTooLarge,
                    Blame::Service,
                    format!("The answer of {} is far larger than one with an access token.", mid_sentence(&who)),
                    "This does not look like a token endpoint. Check the address.".into(),
                )
            },
            FaultKind::Internal => plain(
                fault.stage,
                FaultCode::ConnectionFailed,
                Blame::ThisServer,
                "This server could not begin the request.".into(),
                "What you entered is not the cause. An administrator finds the reason in the log.".into(),
            ),
        }
    }

    fn of_name(&self, stage: Stage, fault: NameFault) -> Diagnosis {
        let who = self.who();
        let fields = self.host_fields();
        let labels = self.labels(&fields);
        match fault {
            NameFault::NoSuchHost if fields.is_empty() => {
                let summary = format!("The host of {} does not exist in DNS.", mid_sentence(&who));
                plain(stage, FaultCode::NoSuchHost, Blame::Service, summary, NOT_YOUR_INPUT.into())
            }
            NameFault::NoSuchHost => self.no_such_account(stage, FaultCode::NoSuchHost, "this host does not exist"),
            NameFault::ResolverFailed(reason) => plain(
                stage,
                FaultCode::ResolverFailed,
                Blame::ThisServer,
                format!("This server could not look up the address of {}: its DNS resolver failed ({reason}).", mid_sentence(&who)),
                "What you entered is not the cause. An administrator should check the DNS of this server; then try again.".into(),
            ),
            NameFault::AddressRefused(kind) => {
                let free = self.url().host_is_free();
                let summary = if free {
                    format!("{labels}: this leads to {kind}, which Keytile does not connect to.")
                } else {
                    format!("The name of {} leads to {kind}, which Keytile does not connect to.", mid_sentence(&who))
                };
                Diagnosis {
                    fields: if free { fields } else { Vec::new() },
                    ..plain(
                        stage,
                        FaultCode::AddressRefused,
                        if free { Blame::Input } else { Blame::ThisServer },
                        summary,
                        "Use a public address. If the service is in your own network, an administrator can allow it with \
                         --allow-private-egress or --egress-pin."
                            .into(),
                    )
                }
            }
        }
    }

    /// The host or address that the fields lead to doesn't exist. `free` is the summary for hosts that a field
    /// chooses completely.
    pub(in crate::upstream) fn no_such_account(&self, stage: Stage, code: FaultCode, free: &str) -> Diagnosis {
        let fields = self.address_fields();
        let labels = self.labels(&fields);
        let who = self.who();
        let (summary, remedy) = if self.host_names_an_account() && !fields.is_empty() {
            (format!("{labels}: {} knows no such account.", mid_sentence(&who)), format!("Check the spelling of {labels}."))
        } else if fields.is_empty() {
            (format!("{who} has nothing at this address."), "The connector may be out of date.".into())
        } else {
            (format!("{labels}: {free}."), format!("Check {labels} against the documentation of the service."))
        };
        let blame = if fields.is_empty() { Blame::Service } else { Blame::Input };
        Diagnosis { fields, ..plain(stage, code, blame, summary, remedy) }
    }

    /// The fields that the address is made of.
    pub(in crate::upstream) fn address_fields(&self) -> Vec<FieldId> {
        let mut fields: Vec<FieldId> = Vec::new();
        for field in self.url().references().filter_map(|reference| reference.field()) {
            if !fields.contains(field) {
                fields.push(field.clone());
            }
        }
        fields
    }
}

/// A diagnosis without fields and without the service's words.
pub(in crate::upstream) fn plain(stage: Stage, code: FaultCode, blame: Blame, summary: String, remedy: String) -> Diagnosis {
    Diagnosis { stage, code, blame, summary, remedy, fields: Vec::new(), service: None, retry_after: None }
}

/// The values don't make a request that can be sent.
#[derive(Debug)]
pub(in crate::upstream) struct InputFault {
    pub(in crate::upstream) field: Option<FieldId>,
    /// A sentence for the person who fills in the form.
    pub(in crate::upstream) reason: String,
}

impl From<RenderError> for InputFault {
    fn from(error: RenderError) -> Self {
        Self { field: error.field, reason: error.reason }
    }
}

impl From<InputFault> for Diagnosis {
    fn from(fault: InputFault) -> Self {
        let summary = "These values do not make a request that can be sent.".into();
        let said = plain(Stage::Input, FaultCode::InvalidInput, Blame::Input, summary, fault.reason);
        Self { fields: fault.field.into_iter().collect(), ..said }
    }
}

/// Adds what the service said.
pub(in crate::upstream) fn with_words(diagnosis: Diagnosis, words: ServiceWords, retry_after: Option<u64>) -> Diagnosis {
    Diagnosis { service: Some(words), retry_after, ..diagnosis }
}

/// `The API` inside a sentence; a name stays unchanged.
pub(in crate::upstream) fn mid_sentence(who: &str) -> String {
    match who.strip_prefix("The ") {
        Some(rest) => format!("the {rest}"),
        None => who.to_owned(),
    }
}
