//! Records in the audit trail when Keytile is started with different settings.
//!
//! Each event contains one setting's new and old value, and the next start compares with it. Of a secret setting,
//! only a keyed fingerprint is recorded. A setting that was never recorded counts as having had its default.

use std::collections::HashMap;

use crate::{
    domain::{
        audit::event::{AuditAction, AuditOutcome},
        setting::Setting,
    },
    service::{Service, ServiceError, access::caller::Caller},
    store::{AuditOrder, AuditSelection},
};

/// The longest value that is shown whole, in bytes.
const VALUE_MAX: usize = 100;
/// How much of a longer value is shown, in characters.
const BEGINNING: usize = 60;
/// The number of events read at a time.
const BATCH: i64 = 200;

impl Service {
    /// Records each setting that differs from the last start.
    pub async fn record_settings(&self, settings: &[Setting]) -> Result<(), ServiceError> {
        let caller = Caller::server("keytile serve");
        let recorded = self.recorded_settings(settings).await?;
        for setting in settings {
            let now = self.shown(setting, &setting.value);
            let before = recorded.get(setting.name).cloned().unwrap_or_else(|| self.shown(setting, setting.default));
            if now != before {
                let detail = format!("--{} is {now}, was {before}", setting.name);
                let audit = self.audit(&caller, AuditAction::ChangeSettings, None, AuditOutcome::Done, detail);
                self.0.store.record(&audit).await?;
            }
        }
        Ok(())
    }

    /// The last recorded value of each setting.
    async fn recorded_settings(&self, settings: &[Setting]) -> Result<HashMap<String, String>, ServiceError> {
        let mut recorded = HashMap::new();
        let action = Some(AuditAction::ChangeSettings);
        let mut selection = AuditSelection { actor: None, target: None, action, places: 1..i64::MAX };
        while settings.iter().any(|setting| !recorded.contains_key(setting.name)) {
            let rows = self.0.store.audit_rows(&selection, AuditOrder::NewestFirst, BATCH).await?;
            let Some(oldest) = rows.last() else { break };
            selection.places.end = oldest.record.seq;
            for row in &rows {
                if let Some((name, value)) = read_detail(&row.record.detail) {
                    recorded.entry(name.to_owned()).or_insert_with(|| value.to_owned());
                }
            }
        }
        Ok(recorded)
    }

    /// A value in the form to record: short, without spaces, and as a fingerprint if it is secret.
    fn shown(&self, setting: &Setting, value: &str) -> String {
        if value.is_empty() {
            return "not set".to_owned();
        }
        let fingerprint = || {
            let mark = self.0.fingerprint.of(&[b"setting", setting.name.as_bytes(), value.as_bytes()]);
            mark.iter().take(6).map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        if setting.secret {
            return format!("set ({})", fingerprint());
        }
        let plain = value.len() <= VALUE_MAX && !value.chars().any(|c| c.is_whitespace() || c.is_control());
        if plain {
            return value.to_owned();
        }
        let beginning: String = value.chars().take(BEGINNING).map(|c| if c.is_whitespace() { '_' } else { c }).collect();
        format!("{beginning}… ({})", fingerprint())
    }
}

/// Name and value from the detail of an event.
fn read_detail(detail: &str) -> Option<(&str, &str)> {
    let (name, rest) = detail.strip_prefix("--")?.split_once(" is ")?;
    Some((name, rest.rsplit_once(", was ")?.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_read_back() {
        assert_eq!(read_detail("--listen is 0.0.0.0:80, was 127.0.0.1:8440"), Some(("listen", "0.0.0.0:80")));
        assert_eq!(read_detail("--public-url is https://a.example/, was not set"), Some(("public-url", "https://a.example/")));
        assert_eq!(read_detail("--sandbox is not set, was true"), Some(("sandbox", "not set")));
        assert_eq!(read_detail("something else"), None);
    }
}
