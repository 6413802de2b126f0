//! ID tokens that are right, and every way in which one can be wrong.

use serde_json::{Value, json};

use super::{
    liar::{CLIENT, ISSUER, Signer, at_hash, key},
    *,
};

#[tokio::test]
async fn a_right_token_says_who_it_is() {
    let liar = Liar::start().await;
    liar.change(|says| says.claims["at_hash"] = at_hash().into());
    let person = liar.sign_in().await.unwrap();
    let expected = ExternalIdentity {
        issuer: ISSUER.into(),
        subject: "subject-1".into(),
        email: Some("ada@example.test".into()),
        email_verified: true,
        name: Some("Ada".into()),
        groups: vec!["admins".into(), "staff".into()],
    };
    assert_eq!(person, expected);
    assert_eq!(person.to_string(), format!("subject-1 at {ISSUER}"));
    // All that is wanted was in the ID token.
    assert_eq!(liar.asked("/userinfo"), 0);
}

#[tokio::test]
async fn a_claim_that_is_wrong_is_refused_and_named() {
    let liar = Liar::start().await;
    let now = liar.clock.now().as_millis() / 1000;
    let right = liar.says.lock().unwrap().claims.clone();
    for (claim, value, fault) in [
        ("iss", json!("https://evil.example.test"), TokenFault::Issuer),
        ("iss", json!(format!("{ISSUER}/")), TokenFault::Issuer),
        ("aud", json!("another client"), TokenFault::Audience),
        ("aud", json!([]), TokenFault::Audience),
        // Several audiences need an `azp` that says for whom it was made.
        ("aud", json!([CLIENT, "another client"]), TokenFault::Audience),
        ("azp", json!("another client"), TokenFault::Audience),
        ("exp", json!(now - 61), TokenFault::Expired),
        ("exp", json!(0), TokenFault::Expired),
        ("exp", Value::Null, TokenFault::Malformed),
        ("nonce", json!("another nonce"), TokenFault::Nonce),
        ("nonce", json!(""), TokenFault::Nonce),
        ("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), TokenFault::AccessToken),
        ("sub", json!(""), TokenFault::Malformed),
        ("sub", Value::Null, TokenFault::Malformed),
        ("sub", json!("a\nsigned in as root"), TokenFault::Malformed),
        ("sub", json!("x".repeat(256)), TokenFault::Malformed),
    ] {
        liar.change(|says| {
            says.claims = right.clone();
            says.claims[claim] = value.clone();
        });
        assert_eq!(liar.refused().await, SingleSignOnError::InvalidToken(fault), "{claim} {value}");
    }
    for (claim, value) in [("azp", json!(CLIENT)), ("exp", json!(now - 58)), ("email_verified", json!("true"))] {
        liar.change(|says| {
            says.claims = right.clone();
            says.claims[claim] = value.clone();
        });
        assert!(liar.sign_in().await.unwrap().email_verified, "{claim} {value}");
    }
    liar.change(|says| {
        says.claims["aud"] = json!([CLIENT, "another client"]);
        says.claims["azp"] = json!(CLIENT);
    });
    assert!(liar.sign_in().await.is_ok());
    // A nonce that is missing altogether: none of its own takes the place of the one that was sent.
    liar.change(|says| says.claims["nonce"] = Value::Null);
    assert_eq!(liar.refused().await, SingleSignOnError::InvalidToken(TokenFault::Nonce));
}

#[tokio::test]
async fn a_token_expires_by_the_clock_that_was_handed_in() {
    let liar = Liar::start().await;
    let (_, pending, answer) = liar.begin().await.unwrap();
    liar.clock.advance(Duration::from_secs(359));
    assert!(liar.finish(&pending, &answer).await.is_ok());
    liar.clock.advance(Duration::from_secs(1));
    let refused = liar.finish(&pending, &answer).await;
    assert_eq!(refused, Err(SingleSignOnError::InvalidToken(TokenFault::Expired)));
}

#[tokio::test]
async fn a_signature_that_proves_nothing_is_refused() {
    let liar = Liar::start().await;
    let (stranger, _) = key("first");
    let own = liar.says.lock().unwrap().signer.clone();
    for (header, signer, fault) in [
        (json!({"alg": "none"}), Signer::Nobody, TokenFault::Unsigned),
        (json!({"alg": "none", "kid": "first"}), own.clone(), TokenFault::Unsigned),
        (json!({"alg": "HS256"}), Signer::SharedSecret, TokenFault::Algorithm),
        (json!({"alg": "HS256", "kid": "first"}), Signer::SharedSecret, TokenFault::Algorithm),
        (json!({"alg": "EdDSA", "kid": "first"}), Signer::Key(stranger), TokenFault::Signature),
        (json!({"alg": "EdDSA", "kid": "first"}), Signer::Nobody, TokenFault::Signature),
        (json!({"alg": "ES256", "kid": "first"}), own.clone(), TokenFault::UnknownKey),
        (json!({"alg": "ES512", "kid": "first"}), own.clone(), TokenFault::Algorithm),
        (json!({"alg": "None", "kid": "first"}), Signer::Nobody, TokenFault::Malformed),
        (json!({"alg": "EdDSA", "kid": "first", "crit": ["exp"]}), own.clone(), TokenFault::Unsupported),
        (json!({"alg": "EdDSA", "kid": "first", "typ": "at+jwt"}), own.clone(), TokenFault::Unsupported),
        (json!({"alg": "A128GCM"}), own.clone(), TokenFault::Unsupported),
        (json!({}), own.clone(), TokenFault::Malformed),
    ] {
        liar.change(|says| {
            says.header = header.clone();
            says.signer = signer;
        });
        assert_eq!(liar.refused().await, SingleSignOnError::InvalidToken(fault), "{header}");
    }
    // It is the header alone that was wrong.
    liar.change(|says| {
        says.header = json!({"alg": "EdDSA"});
        says.signer = own;
    });
    assert!(liar.sign_in().await.is_ok());
}

#[tokio::test]
async fn a_key_that_is_not_known_makes_the_keys_be_fetched_once() {
    let liar = Liar::start().await;
    let (_, pending, answer) = liar.begin().await.unwrap();
    assert_eq!(liar.asked("/jwks"), 1);
    // The provider changes its key while the person signs in.
    let (second, public) = key("second");
    liar.change(|says| {
        says.keys = vec![public];
        says.header["kid"] = "second".into();
        says.signer = Signer::Key(second);
    });
    assert!(liar.finish(&pending, &answer).await.is_ok());
    assert_eq!(liar.asked("/jwks"), 2);
    assert!(liar.sign_in().await.is_ok());
    assert_eq!(liar.asked("/jwks"), 2);
    // A key that it does not publish is asked for once more, and no longer.
    liar.change(|says| says.header["kid"] = "third".into());
    assert_eq!(liar.refused().await, SingleSignOnError::InvalidToken(TokenFault::UnknownKey));
    assert_eq!(liar.asked("/jwks"), 3);
}

#[tokio::test]
async fn keys_without_names_are_tried_anew_when_they_changed() {
    let liar = Liar::start().await;
    let (_, pending, answer) = liar.begin().await.unwrap();
    let (second, mut public) = key("second");
    public.as_object_mut().unwrap().remove("kid");
    liar.change(|says| {
        says.keys = vec![public];
        says.header = json!({"alg": "EdDSA"});
        says.signer = Signer::Key(second);
    });
    assert!(liar.finish(&pending, &answer).await.is_ok());
    assert_eq!(liar.asked("/jwks"), 2);
}
