//! Against `oidc-provider` from npm.

use serde_json::json;

use super::*;
use crate::support::{
    clock::TestClock,
    oidc_provider::{OauthClient, OidcProvider, SIGN_IN_BODY_CLIENT, SIGN_IN_CLIENT, SIGN_IN_PUBLIC_CLIENT, SignIn},
};

const HOST: &str = "id.example.test";

async fn provider(clients: &[OauthClient], claims_in_id_token: bool, algorithm: &'static str) -> (OidcProvider, Upstream) {
    let ada = json!({"email": "ada@example.test", "email_verified": true, "name": "Ada Lovelace", "groups": ["staff", "admins"]});
    let accounts = json!({"ada": ada, "bob": {"email": "bob@example.test", "email_verified": false}});
    let sign_in = SignIn { clients: clients.to_vec(), redirects: vec![redirect().into()], accounts, claims_in_id_token, algorithm };
    let provider = OidcProvider::start_with_sign_in(&[HOST], sign_in).await;
    let settings = UpstreamSettings {
        pins: vec![format!("{HOST}={}", provider.address()).parse().unwrap()],
        extra_ca: vec![provider.authority()],
        ..UpstreamSettings::default()
    };
    (provider, Upstream::new(settings, Arc::new(TestClock::new())).unwrap())
}

fn settings(client: OauthClient) -> SingleSignOnSettings {
    SingleSignOnSettings {
        issuer: format!("https://{HOST}").parse().unwrap(),
        client_id: client.id.into(),
        client_secret: (!client.secret.is_empty()).then(|| client.secret.into()),
        scopes: ["email", "profile", "groups"].map(str::to_owned).to_vec(),
        groups_claim: "groups".into(),
    }
}

/// The answer that a browser brings back.
fn answer(url: &Url) -> CallbackAnswer {
    assert!(url.as_str().starts_with(redirect().as_str()), "{url}");
    let secret = |name: &str| parameter(url, name).map(Into::into);
    CallbackAnswer {
        code: secret("code"),
        state: secret("state"),
        iss: parameter(url, "iss"),
        error: parameter(url, "error"),
        error_description: parameter(url, "error_description"),
    }
}

#[tokio::test]
async fn people_sign_in_with_every_kind_of_client_key_and_claims() {
    for (clients, claims_in_id_token, algorithm) in [
        (vec![SIGN_IN_CLIENT, SIGN_IN_PUBLIC_CLIENT], true, "ES256"),
        (vec![SIGN_IN_BODY_CLIENT], false, "RS256"),
        (vec![SIGN_IN_PUBLIC_CLIENT], true, "PS256"),
        (vec![SIGN_IN_CLIENT], false, "EdDSA"),
    ] {
        let (provider, upstream) = provider(&clients, claims_in_id_token, algorithm).await;
        for client in clients {
            let settings = settings(client);
            let (url, pending) = upstream.sign_on.begin_sign_in(&settings, &redirect()).await.unwrap();
            let back = answer(&provider.sign_in(&url, "ada").await);
            assert_eq!(back.iss.as_deref(), Some("https://id.example.test"));
            let person = upstream.sign_on.finish_sign_in(&settings, &redirect(), &pending, &back).await.unwrap();
            let expected = ExternalIdentity {
                issuer: format!("https://{HOST}"),
                subject: "ada".into(),
                email: Some("ada@example.test".into()),
                email_verified: true,
                name: Some("Ada Lovelace".into()),
                groups: vec!["admins".into(), "staff".into()],
            };
            assert_eq!(person, expected, "{algorithm} {}", client.id);

            // A code is good for one sign-in.
            let again = upstream.sign_on.finish_sign_in(&settings, &redirect(), &pending, &back).await.unwrap_err();
            assert!(matches!(&again, SingleSignOnError::Refused { error, .. } if error == "invalid_grant"), "{again}");
        }
    }
}

#[tokio::test]
async fn the_provider_holds_us_to_what_was_agreed() {
    let (provider, upstream) = provider(&[SIGN_IN_CLIENT], false, "ES256").await;
    let right = settings(SIGN_IN_CLIENT);
    let refusal = |result: Result<ExternalIdentity, SingleSignOnError>| match result {
        Err(SingleSignOnError::Refused { error, .. }) => error,
        other => panic!("{other:?}"),
    };

    // Somebody who has no groups and whose address is not verified.
    let (url, pending) = upstream.sign_on.begin_sign_in(&right, &redirect()).await.unwrap();
    let back = answer(&provider.sign_in(&url, "bob").await);
    let bob = upstream.sign_on.finish_sign_in(&right, &redirect(), &pending, &back).await.unwrap();
    assert_eq!((bob.email.as_deref(), bob.email_verified, bob.groups.len()), (Some("bob@example.test"), false, 0));

    // Nobody.
    let (url, pending) = upstream.sign_on.begin_sign_in(&right, &redirect()).await.unwrap();
    let back = answer(&provider.sign_in(&url, "mallory").await);
    assert_eq!(refusal(upstream.sign_on.finish_sign_in(&right, &redirect(), &pending, &back).await), "access_denied");

    // PKCE is left out on the way to the provider.
    let (url, pending) = upstream.sign_on.begin_sign_in(&right, &redirect()).await.unwrap();
    let mut bare = url.clone();
    let kept = url.query_pairs().filter(|(name, _)| !name.starts_with("code_challenge"));
    bare.query_pairs_mut().clear().extend_pairs(kept);
    let back = answer(&provider.sign_in(&bare, "ada").await);
    assert_eq!(refusal(upstream.sign_on.finish_sign_in(&right, &redirect(), &pending, &back).await), "invalid_request");

    // The code of somebody who does not know the verifier.
    let (url, pending) = upstream.sign_on.begin_sign_in(&right, &redirect()).await.unwrap();
    let back = answer(&provider.sign_in(&url, "ada").await);
    let mut stolen = serde_json::to_value(&pending).unwrap();
    stolen["pkce_verifier"] = "x".repeat(43).into();
    let stolen: PendingSignIn = serde_json::from_value(stolen).unwrap();
    assert_eq!(refusal(upstream.sign_on.finish_sign_in(&right, &redirect(), &stolen, &back).await), "invalid_grant");

    // A secret that is wrong.
    let wrong = SingleSignOnSettings { client_secret: Some("wrong".into()), ..right.clone() };
    let (url, pending) = upstream.sign_on.begin_sign_in(&wrong, &redirect()).await.unwrap();
    let back = answer(&provider.sign_in(&url, "ada").await);
    assert_eq!(refusal(upstream.sign_on.finish_sign_in(&wrong, &redirect(), &pending, &back).await), "invalid_client");
}
