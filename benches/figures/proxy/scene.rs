//! Everything that runs: the service, nginx in front of it, and Keytile with credentials, resources and a key.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use keytile::{
    app::{App, Overrides},
    domain::{
        connectors::FieldId,
        credentials::{CredentialId, form::RawForm, verification::Unobserved},
        resources::{ResourceId, ResourceKind, egress_policy::RawPolicy},
        time::SystemClock,
    },
    service::{
        Service as Keytile,
        access::caller::Caller,
        api_keys::{KeyCreation, RawApiKey},
        credentials::create::SaveOutcome,
        resources::{RawResource, ResourceCreation, egress_policy::PolicyChange},
    },
};
use tempfile::TempDir;

use super::{
    super::{
        Outcome,
        filled::{administrator, config},
        running::{Running, program},
    },
    nginx::{Peer, Service},
    services::{Authority, TokenService, start_upload},
};

/// The hosts of the service, none of which exists.
const TOKENS: &str = "id.bench.example";
const CLEAR: &str = "api.bench.example";
const TLS: &str = "tls.bench.example";
const UPLOAD: &str = "upload.bench.example";

pub(super) struct Scene {
    pub(super) tokens: TokenService,
    pub(super) service: Service,
    pub(super) upload: SocketAddr,
    pub(super) peer: Peer,
    pub(super) keytile: Side,
    /// Another build, if the variable names one: to measure a change.
    pub(super) other: Option<Side>,
    pub(super) folder: TempDir,
}

/// A running Keytile, and the resources to request.
pub(super) struct Side {
    pub(super) running: Running,
    pub(super) filled: Filled,
}

/// The content of its database.
pub(super) struct Filled {
    pub(super) folder: PathBuf,
    pub(super) arguments: Vec<String>,
    /// The value of the header with the key.
    pub(super) key: String,
    /// The credential of the resource without TLS.
    pub(super) credential: CredentialId,
    pub(super) clear: ResourceId,
    pub(super) tls: ResourceId,
    pub(super) upload: ResourceId,
}

impl Side {
    /// Another process with the same database, whose memory hasn't grown yet.
    pub(super) fn fresh(&self) -> Outcome<Running> {
        Running::start_program(&program(), &self.filled.folder, "", &self.filled.arguments)
    }

    pub(super) fn address(&self) -> Outcome<SocketAddr> {
        Ok(self.running.address.parse()?)
    }

    pub(super) fn path(&self, resource: ResourceId, path: &str) -> String {
        format!("/proxy/{resource}{path}")
    }
}

impl Scene {
    pub(super) async fn set() -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let at = folder.path();
        let authority = Authority::new()?;
        let authority_file = at.join("authority.pem");
        fs::write(&authority_file, &authority.pem)?;
        let service_folder = at.join("service");
        let files = service_folder.join("files");
        fs::create_dir_all(&files)?;
        let (certificate, key) = authority.pair(TLS)?;
        fs::write(service_folder.join("service.pem"), certificate)?;
        fs::write(service_folder.join("service.key"), key)?;
        fs::write(files.join("large"), vec![b'l'; 10 << 20])?;
        let tokens = TokenService::start(&authority, TOKENS).await?;
        let upload = start_upload().await?;
        let service = Service::start(&service_folder)?;
        let peer = Peer::start(&at.join("peer"), &service, upload, &authority_file, TLS)?;
        let arguments = vec![
            format!("--extra-ca={}", authority_file.display()),
            format!("--egress-pin={TOKENS}={}", tokens.address),
            format!("--egress-pin={CLEAR}=http://{}", service.clear),
            format!("--egress-pin={TLS}={}", service.tls),
            format!("--egress-pin={UPLOAD}=http://{upload}"),
        ];
        let start = async |program: &Path, name: &str| -> Outcome<Side> {
            let filled = fill(&at.join(name), &arguments).await?;
            let running = Running::start_program(program, &filled.folder, "", &filled.arguments)?;
            Ok(Side { running, filled })
        };
        let keytile = start(&program(), "keytile").await?;
        let other = match std::env::var_os("KEYTILE_BENCH_OTHER") {
            Some(program) => Some(start(Path::new(&program), "other").await?),
            None => None,
        };
        Ok(Self { tokens, service, upload, peer, keytile, other, folder })
    }
}

/// Creates a database with a credential for each host of the API, a resource for each credential, and a key.
pub(super) async fn fill(folder: &Path, arguments: &[String]) -> Outcome<Filled> {
    fs::create_dir_all(folder)?;
    let borrowed: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let app = App::build(&config(folder, &borrowed), Arc::new(SystemClock), Overrides::default()).await?;
    let service = app.service();
    let (_, ana) = administrator(service).await?;
    let (credential, clear) = add_resource(service, &ana, CLEAR, ResourceKind::Source).await?;
    let (_, tls) = add_resource(service, &ana, TLS, ResourceKind::Source).await?;
    let (_, upload) = add_resource(service, &ana, UPLOAD, ResourceKind::Destination).await?;
    let raw = RawApiKey {
        owner: "ana@example.com".into(),
        name: "Bench".into(),
        scopes: vec!["proxy".into(), "tokens:issue".into(), "resources:read".into(), "credentials:manage".into()],
        expires: "never".into(),
        ..RawApiKey::default()
    };
    let KeyCreation::Created { key, .. } = service.create_api_key(&ana, service.new_form(), &raw).await? else {
        return Err("no key was created".into());
    };
    let key = format!("Bearer {}", key.expose());
    service.close().await;
    Ok(Filled { folder: folder.to_owned(), arguments: arguments.to_vec(), key, credential, clear, tls, upload })
}

async fn add_resource(service: &Keytile, ana: &Caller, host: &str, kind: ResourceKind) -> Outcome<(CredentialId, ResourceId)> {
    let connector = service.catalogue().get("oauth2-client-credentials").ok_or("no connector")?.clone();
    let credential = add_credential(service, ana, host).await?;
    let method = if kind == ResourceKind::Source { "GET" } else { "POST" };
    let raw = RawResource { name: host.into(), method: method.into(), path: "/".into(), ..RawResource::default() };
    let ResourceCreation::Created(id) =
        service.create_resource(ana, kind, &connector, credential, service.new_form(), &raw, None).await?
    else {
        return Err("the resource was not created".into());
    };
    // Everything that can be checked is, and bodies may be as large as they are measured.
    let policy = RawPolicy {
        methods: vec![method.into()],
        prefixes: "/small\n/large\n/huge\n/upload".into(),
        body_mib: "1048576".into(),
        ..RawPolicy::default()
    };
    match service.change_policy(ana, kind, id, 1, &policy).await? {
        PolicyChange::Changed => Ok((credential, id)),
        other => Err(format!("the policy was not changed: {other:?}").into()),
    }
}

async fn add_credential(service: &Keytile, ana: &Caller, host: &str) -> Outcome<CredentialId> {
    let connector = service.catalogue().get("oauth2-client-credentials").ok_or("no connector")?.clone();
    let mut raw = RawForm { name: host.into(), ..RawForm::default() };
    for (field, value) in [
        ("token_url", format!("https://{TOKENS}/token")),
        ("client_id", "bench".into()),
        ("client_secret", "bench".into()),
        ("api_base_url", format!("https://{host}")),
    ] {
        raw.fields.insert(FieldId::new(field).ok_or("a field id")?, value.into());
    }
    match service.save_credential(ana.clone(), connector, service.new_form(), raw, Arc::new(Unobserved)).await? {
        SaveOutcome::Saved(id) => Ok(id),
        _ => Err("the credential was not saved".into()),
    }
}
