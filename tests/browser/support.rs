//! The parts of the suite's support that browser tests use too: a whole Keytile, its clock and its sandbox.

#[path = "../suite/support/authenticator.rs"]
pub(crate) mod authenticator;
#[path = "../suite/support/clock.rs"]
#[expect(dead_code, reason = "the suite uses the rest")]
pub(crate) mod clock;
#[path = "../suite/support/direct.rs"]
#[expect(dead_code, reason = "the suite uses the rest")]
pub(crate) mod direct;
#[path = "../suite/support/https.rs"]
pub(crate) mod https;
#[path = "../suite/support/oidc_provider.rs"]
#[expect(dead_code, reason = "the suite uses the rest")]
pub(crate) mod oidc_provider;
#[path = "../suite/support/server.rs"]
#[expect(dead_code, reason = "the suite uses the rest")]
pub(crate) mod server;

use std::net::{Ipv4Addr, SocketAddr};

use keytile::{app::sandbox_pins, sandbox::Sandbox};

use self::server::{Browser, OVERLAY, Setup, credential_in, good_values, replaced};

/// A sandbox of the test's own, which can count and be stopped, and a Keytile that is pinned to it.
pub(crate) async fn sandbox_apart() -> (Sandbox, Setup) {
    let setup = Setup::new();
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let sandbox = Sandbox::start(listen, setup.clock.clone()).await.unwrap();
    let authority = setup.folder.path().join("authority.pem");
    std::fs::write(&authority, sandbox.ca_pem()).unwrap();
    let setup = setup.with(format!("--extra-ca={}", authority.display()));
    let setup = sandbox_pins(&sandbox).iter().fold(setup, |setup, pin| setup.with(format!("--egress-pin={pin}")));
    (sandbox, setup)
}

impl Browser {
    /// Adds a credential of the sandbox with some values replaced, without a real browser; returns its id.
    pub(crate) async fn add_credential_with(&mut self, name: &str, values: &[(&str, &str)]) -> String {
        let draft = self.get(OVERLAY).await.value("draft");
        let saved = self.post(OVERLAY, &replaced(good_values(name, &draft), values)).await;
        assert_eq!(saved.status, 303, "{}", saved.text);
        credential_in(&saved.location.unwrap())
    }

    /// Creates a source or destination with an endpoint that the connector offers; returns its address.
    pub(crate) async fn add_resource(&mut self, kind: &str, name: &str, credential: &str, endpoint: &str) -> String {
        let path = format!("/{kind}/new/talkdesk/configure?credential={credential}");
        let form = self.get(&path).await.value("form");
        let typed = [("form", form.as_str()), ("name", name), ("endpoint", endpoint), ("action", "create")];
        let created = self.post(&path, &typed).await;
        assert_eq!(created.status, 303, "{}", created.text);
        created.location.unwrap().split('?').next().unwrap().to_owned()
    }
}
