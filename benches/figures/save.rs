//! What Keytile adds to the time of a Save.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use keytile::{
    app::{App, Overrides},
    crypto::random,
    domain::{
        connectors::FieldId,
        credentials::{
            form::RawForm,
            verification::{StageObserver, StageReport},
        },
        time::{Clock, SystemClock},
    },
    service::credentials::create::SaveOutcome,
};

use super::{
    Outcome,
    filled::{administrator, config},
    spread,
};

/// Adds up the durations of the stages, which are the service's own time.
#[derive(Default)]
struct Stages(AtomicU64);

impl StageObserver for Stages {
    fn stage_ended(&self, report: &StageReport) {
        self.0.fetch_add(report.micros, Ordering::Relaxed);
    }
}

/// Measures it with the sandbox.
pub(super) async fn figures() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let app = App::build(&config(folder.path(), &["--sandbox"]), Arc::new(SystemClock), Overrides::default()).await?;
    let service = app.service();
    let connector = service.catalogue().get("talkdesk").ok_or("no connector")?.clone();
    let (_, ana) = administrator(service).await?;
    let mut added = Vec::new();
    for number in 0..100 {
        let mut raw = RawForm { name: format!("Desk {number}"), ..RawForm::default() };
        for (field, value) in [("client_id", "sandbox-client"), ("client_secret", "sandbox-secret"), ("account_name", "acme")] {
            raw.fields.insert(FieldId::new(field).ok_or("a field id")?, value.into());
        }
        let stages = Arc::new(Stages::default());
        let began = Instant::now();
        let draft = random::new_id(SystemClock.now());
        let saved = service.save_credential(ana.clone(), connector.clone(), draft, raw, stages.clone()).await?;
        let took = began.elapsed().as_secs_f64() * 1e3;
        if !matches!(saved, SaveOutcome::Saved(_)) {
            return Err("the sandbox did not accept its own values".into());
        }
        added.push(took - stages.0.load(Ordering::Relaxed) as f64 / 1e3);
    }
    spread("time Keytile adds to Save, without the service's time", &mut added, 1, " ms", "10 ms");
    Ok(())
}
