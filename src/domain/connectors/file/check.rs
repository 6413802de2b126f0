//! The second step of reading a connector file: checks references between its parts. Each error names the key
//! at fault.

use indexmap::IndexMap;
use toml::de::{DeTable, DeValue};

use super::text::{ApiText, ConnectorFile, ConnectorFileError, EndpointText, FieldText, FileText, ProbeText, TokenText, line_at};
use crate::domain::{
    connectors::{
        Api, BasicEncoding, CLIENT_ID, CLIENT_SECRET, Choice, ClientAuth, Connector, EndpointOffer, Field, FieldId, FieldOption,
        Probe, RequestFormat, TokenEndpoint,
        format::FieldFormat,
        template::{Reference, Template},
        url_template::UrlTemplate,
    },
    resources::{ApiPath, Method},
};

/// Checks one file. Keeps its name and text for errors.
pub(in crate::domain) struct Check<'a> {
    pub(in crate::domain) file: &'a str,
    pub(in crate::domain) text: &'a str,
}

type Checked<T> = Result<T, ConnectorFileError>;

impl Check<'_> {
    fn refuse<T>(&self, key: &str, reason: impl Into<String>) -> Checked<T> {
        Err(ConnectorFileError { file: self.file.into(), line: self.line_of(key), key: key.into(), reason: reason.into() })
    }

    fn at<T>(&self, key: &str, result: Result<T, String>) -> Checked<T> {
        result.or_else(|reason| self.refuse(key, reason))
    }

    /// The line of a key such as `field[2].format`, or of the nearest enclosing table if the key is missing.
    fn line_of(&self, key: &str) -> usize {
        let Ok(document) = DeTable::parse(self.text) else { return 1 };
        let mut table = document.get_ref();
        let mut offset = 0;
        for step in key.split('.') {
            let (name, index) = match step.split_once('[') {
                Some((name, index)) => (name, index.trim_end_matches(']').parse::<usize>().ok()),
                None => (step, None),
            };
            let Some((written, value)) = table.iter().find(|(written, _)| written.get_ref().as_ref() == name) else { break };
            let value = match (value.get_ref(), index) {
                (DeValue::Array(items), Some(index)) => match items.get(index) {
                    Some(item) => item,
                    None => break,
                },
                _ => value,
            };
            offset = if index.is_some() { value.span().start } else { written.span().start };
            match value.get_ref() {
                DeValue::Table(inner) => table = inner,
                _ => break,
            }
        }
        line_at(self.text, offset)
    }

    /// Builds a connector from a file with valid keys and types.
    pub(super) fn connector(&self, file: FileText) -> Checked<ConnectorFile> {
        if file.used_for.is_empty() {
            return self.refuse("used_for", "name at least one of `source` and `destination`");
        }
        let fields = self.fields(file.fields)?;
        for required in [CLIENT_ID, CLIENT_SECRET] {
            if !fields.iter().any(|field| field.id.as_str() == required) {
                return self.refuse("field", format!("the grant client_credentials needs a field `{required}`"));
            }
        }
        if fields.iter().any(|field| field.id.as_str() == CLIENT_SECRET && !field.secret) {
            return self.refuse("field", "the field `client_secret` must be marked `secret = true`");
        }
        for (index, field) in fields.iter().enumerate() {
            let accepted = field.accept_hosts.iter().map(|domain| ("accept_hosts", domain));
            for (key, template) in [("prefix", &field.prefix), ("suffix", &field.suffix)].into_iter().chain(accepted) {
                self.shown(&format!("field[{index}].{key}"), template, &fields)?;
            }
        }
        let token = self.token(file.token, &fields)?;
        let api = self.api(file.api, &fields)?;
        let probe = self.probe(file.probe, &fields)?;
        let endpoints = self.endpoints(file.endpoints)?;
        let account = self.at("account", Template::parse(&file.account))?;
        self.shown("account", &account, &fields)?;
        let initials = || file.name.chars().filter(|c| c.is_uppercase()).take(2).collect::<String>();
        let badge = file.badge.clone().unwrap_or_else(initials);
        if badge.is_empty() || badge.chars().count() > 2 {
            return self.refuse("badge", "give one or two letters");
        }
        for (key, text) in [("name", &file.name), ("section", &file.section), ("guide", &file.guide)] {
            if text.trim().is_empty() {
                return self.refuse(key, "must not be empty");
            }
        }
        if file.guide.contains(['/', '\\']) {
            return self.refuse("guide", "give the name of a file beside this one");
        }
        let connector = Connector {
            id: file.id,
            name: file.name,
            badge,
            summary: file.summary,
            used_for: file.used_for,
            section: file.section,
            guide: String::new(),
            account,
            fields,
            token,
            api,
            probe,
            endpoints,
        };
        Ok(ConnectorFile { connector, guide_file: file.guide })
    }

    fn fields(&self, texts: Vec<FieldText>) -> Checked<Vec<Field>> {
        let mut fields: Vec<Field> = Vec::with_capacity(texts.len());
        for (index, text) in texts.into_iter().enumerate() {
            let key = |name: &str| format!("field[{index}].{name}");
            if fields.iter().any(|earlier| earlier.id == text.id) {
                return self.refuse(&key("id"), format!("the id `{}` is used twice", text.id));
            }
            if ["name", "description", "draft", "access_token"].contains(&text.id.as_str()) {
                return self.refuse(&key("id"), format!("the id `{}` is Keytile's own", text.id));
            }
            let format = text.format.unwrap_or(if text.options.is_empty() { FieldFormat::Text } else { FieldFormat::Enum });
            if (format == FieldFormat::Enum) == text.options.is_empty() {
                return self.refuse(&key("options"), "a field has options exactly when its format is enum");
            }
            if text.secret && (text.default.is_some() || format == FieldFormat::Enum) {
                return self.refuse(&key("secret"), "a secret field has no default and no options");
            }
            let mut options = Vec::with_capacity(text.options.len());
            for (id, mut attributes) in text.options {
                let Some(label) = attributes.shift_remove("label") else {
                    return self.refuse(&key("options"), format!("option `{id}` has no label"));
                };
                options.push(FieldOption { id, label, attributes: attributes.into_iter().collect() });
            }
            if let Some(default) = &text.default {
                let fits = match format {
                    FieldFormat::Enum => options.iter().any(|option| option.id == *default),
                    _ => format.normalise(default).as_ref() == Ok(default),
                };
                if !fits {
                    return self.refuse(&key("default"), format!("`{default}` is not a value of this field"));
                }
            }
            if !text.accept_hosts.is_empty() && format != FieldFormat::DnsLabel {
                return self.refuse(&key("accept_hosts"), "only a field of format dns-label can accept host names");
            }
            let mut accept_hosts = Vec::with_capacity(text.accept_hosts.len());
            for host in &text.accept_hosts {
                let domain = self.at(&key("accept_hosts"), Template::parse(host))?;
                if domain.references().next().is_none() && FieldFormat::Host.normalise(host).as_ref() != Ok(host) {
                    return self.refuse(&key("accept_hosts"), format!("`{host}` is not a domain"));
                }
                accept_hosts.push(domain);
            }
            fields.push(Field {
                id: text.id,
                label: text.label,
                help: text.help,
                example: text.example,
                format,
                secret: text.secret,
                advanced: text.advanced,
                optional: text.optional,
                default: text.default,
                prefix: self.at(&key("prefix"), Template::parse(&text.prefix))?,
                suffix: self.at(&key("suffix"), Template::parse(&text.suffix))?,
                accept_hosts,
                options,
                max_length: text.max_length.unwrap_or(if text.secret { 4_096 } else { 512 }),
            });
        }
        Ok(fields)
    }

    /// Every field and attribute that a template refers to must exist.
    fn named<'t>(&self, key: &str, references: impl Iterator<Item = &'t Reference>, fields: &[Field]) -> Checked<()> {
        for reference in references {
            let Some(id) = reference.field() else { continue };
            let Some(field) = fields.iter().find(|field| field.id == *id) else {
                return self.refuse(key, format!("`{id}` is not a field of this connector"));
            };
            if let Reference::Attribute(_, attribute) = reference
                && !field.options.iter().any(|option| option.attribute(attribute).is_some())
            {
                return self.refuse(key, format!("no option of `{id}` has the attribute `{attribute}`"));
            }
        }
        Ok(())
    }

    /// A template whose text is shown must not refer to secrets.
    fn shown(&self, key: &str, template: &Template, fields: &[Field]) -> Checked<()> {
        self.named(key, template.references(), fields)?;
        for reference in template.references() {
            let secret = reference.field().is_none_or(|id| fields.iter().any(|field| field.id == *id && field.secret));
            if secret {
                return self.refuse(key, "a secret must not be shown");
            }
        }
        Ok(())
    }

    fn url(&self, key: &str, source: &str, fields: &[Field]) -> Checked<UrlTemplate> {
        let template = self.at(key, Template::parse(source))?;
        self.named(key, template.references(), fields)?;
        self.at(key, UrlTemplate::parse(source, fields))
    }

    fn templates(
        &self,
        key: &str,
        texts: IndexMap<String, String>,
        fields: &[Field],
        token: bool,
    ) -> Checked<Vec<(String, Template)>> {
        let mut templates = Vec::with_capacity(texts.len());
        for (name, source) in texts {
            let key = format!("{key}.{name}");
            let template = self.at(&key, Template::parse(&source))?;
            self.named(&key, template.references(), fields)?;
            if !token && template.references().any(|reference| *reference == Reference::AccessToken) {
                return self.refuse(&key, "there is no access token yet when one is asked for");
            }
            templates.push((name, template));
        }
        Ok(templates)
    }

    fn headers(
        &self,
        key: &str,
        texts: IndexMap<String, String>,
        fields: &[Field],
        token: bool,
    ) -> Checked<Vec<(String, Template)>> {
        for name in texts.keys() {
            let own = [
                "authorization",
                "host",
                "content-length",
                "content-type",
                "transfer-encoding",
                "connection",
                "upgrade",
                "te",
                "trailer",
                "expect",
                "cookie",
                "accept-encoding",
            ];
            let written = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            if !written || own.contains(&name.to_ascii_lowercase().as_str()) {
                return self.refuse(&format!("{key}.{name}"), "this header cannot be set here");
            }
        }
        self.templates(key, texts, fields, token)
    }

    fn enum_field<'f>(&self, key: &str, name: &str, fields: &'f [Field]) -> Checked<&'f Field> {
        match fields.iter().find(|field| field.id.as_str() == name && field.format == FieldFormat::Enum) {
            Some(field) => Ok(field),
            None => self.refuse(key, format!("`{name}` is not an enum field of this connector")),
        }
    }

    /// A word from a list, or `{field}` for an enum field whose options are such words. Defaults to the first
    /// word.
    fn choice<T: Copy>(&self, key: &str, text: Option<&str>, words: &[(&str, T)], fields: &[Field]) -> Checked<Choice<T>> {
        let word = |text: &str| words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        let known = || words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(" or ");
        let Some(text) = text else { return Ok(Choice::Fixed(words[0].1)) };
        let Some(name) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            return match word(text) {
                Some(value) => Ok(Choice::Fixed(value)),
                None => self.refuse(key, format!("`{text}` is not {}", known())),
            };
        };
        let field = self.enum_field(key, name, fields)?;
        let mut options = Vec::with_capacity(field.options.len());
        for option in &field.options {
            match word(&option.id) {
                Some(value) => options.push((option.id.clone(), value)),
                None => return self.refuse(key, format!("option `{}` of `{name}` is not {}", option.id, known())),
            }
        }
        Ok(Choice::ByField(field.id.clone(), options))
    }

    fn token(&self, token: TokenText, fields: &[Field]) -> Checked<TokenEndpoint> {
        if token.grant != "client_credentials" {
            return self.refuse("token.grant", format!("`{}` is not `client_credentials`, the only grant there is", token.grant));
        }
        let auth = [("basic", ClientAuth::Basic), ("body", ClientAuth::Body)];
        let encoding = [("form", BasicEncoding::Form), ("raw", BasicEncoding::Raw)];
        let format = [("form", RequestFormat::Form), ("json", RequestFormat::Json), ("query", RequestFormat::Query)];
        let client_auth = self.choice("token.client_auth", token.client_auth.as_deref(), &auth, fields)?;
        let basic_encoding = self.choice("token.basic_encoding", token.basic_encoding.as_deref(), &encoding, fields)?;
        let Choice::Fixed(request_format) = self.choice("token.request_format", token.request_format.as_deref(), &format, &[])?
        else {
            return self.refuse("token.request_format", "cannot be left to a field");
        };
        let params = self.templates("token.params", token.params, fields, false)?;
        if request_format == RequestFormat::Query {
            let secret = |reference: &Reference| reference.field().is_some_and(|id| fields.iter().any(|f| f.id == *id && f.secret));
            if !matches!(client_auth, Choice::Fixed(ClientAuth::Basic)) || params.iter().any(|(_, t)| t.references().any(secret)) {
                return self.refuse("token.request_format", "`query` would put a secret in a URL, which logs and proxies keep");
            }
        }
        for (name, _) in &params {
            if ["grant_type", CLIENT_ID, CLIENT_SECRET].contains(&name.as_str()) {
                return self.refuse(&format!("token.params.{name}"), "this parameter is set by the grant and by client_auth");
            }
        }
        Ok(TokenEndpoint {
            url: self.url("token.url", &token.url, fields)?,
            client_auth,
            basic_encoding,
            request_format,
            lifetime: self.at("token.lifetime", seconds(&token.lifetime))?,
            params,
            headers: self.headers("token.headers", token.headers, fields, false)?,
        })
    }

    fn api(&self, api: ApiText, fields: &[Field]) -> Checked<Api> {
        let key = "api.authorization";
        let authorization = self.at(key, Template::parse(&api.authorization))?;
        self.named(key, authorization.references(), fields)?;
        if !authorization.references().any(|reference| *reference == Reference::AccessToken) {
            return self.refuse(key, "must contain {access_token}");
        }
        let absent = |id: &FieldId| fields.iter().any(|f| f.id == *id && f.optional && f.default.is_none());
        if let Some(id) = authorization.references().filter_map(Reference::field).find(|id| absent(id)) {
            return self.refuse(key, format!("`{id}` may be empty, and then there would be no authorization"));
        }
        if api.token_refused.iter().any(|status| ![401, 403].contains(status)) {
            return self.refuse("api.token_refused", "may hold 401 and 403 only: no other status says that a token was refused");
        }
        Ok(Api {
            base_url: self.url("api.base_url", &api.base_url, fields)?,
            authorization,
            headers: self.headers("api.headers", api.headers, fields, true)?,
            token_refused: api.token_refused,
        })
    }

    fn probe(&self, probe: Option<ProbeText>, fields: &[Field]) -> Checked<Option<Probe>> {
        let Some(probe) = probe else { return Ok(None) };
        let compare = match probe.compare {
            None => None,
            Some(name) => Some(self.enum_field("probe.compare", &name, fields)?.id.clone()),
        };
        Ok(Some(Probe { path: self.at("probe.path", ApiPath::parse(&probe.path))?, compare }))
    }

    fn endpoints(&self, texts: Vec<EndpointText>) -> Checked<Vec<EndpointOffer>> {
        let mut endpoints: Vec<EndpointOffer> = Vec::with_capacity(texts.len());
        for (index, text) in texts.into_iter().enumerate() {
            let key = |name: &str| format!("endpoint[{index}].{name}");
            if endpoints.iter().any(|earlier| earlier.name == text.name) {
                return self.refuse(&key("name"), format!("the name “{}” is used twice", text.name));
            }
            let Some(method) = Method::parse(&text.method) else {
                return self.refuse(&key("method"), format!("`{}` is not a method that Keytile sends", text.method));
            };
            endpoints.push(EndpointOffer {
                used_for: text.used_for,
                name: text.name,
                method,
                path: self.at(&key("path"), ApiPath::parse(&text.path))?,
                query: text.query.into_iter().collect(),
                sample_body: text.sample_body,
            });
        }
        Ok(endpoints)
    }
}

/// A duration such as `30s`, `10m`, `12h` or `30d`, in seconds.
fn seconds(text: &str) -> Result<u64, String> {
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        Some('d') => 86_400,
        _ => 0,
    };
    let number = text.get(..text.len().saturating_sub(1)).and_then(|digits| digits.parse::<u64>().ok());
    match number.and_then(|number| number.checked_mul(unit)) {
        Some(seconds) if (1..=365 * 86_400).contains(&seconds) => Ok(seconds),
        _ => Err(format!("`{text}` is not a time such as `30s`, `10m`, `12h` or `30d`")),
    }
}
