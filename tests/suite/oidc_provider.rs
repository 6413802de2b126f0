//! The provider that other tests rely on does what they rely on.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;

use crate::support::{
    https,
    oidc_provider::{BODY_CLIENT, HEADER_CLIENT, OauthClient, OidcProvider},
};

const HOST: &str = "acme.talkdeskid.com";

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

async fn ask(client: &Client, authorization: Option<String>, body: String) -> (StatusCode, Value) {
    let request = client.post(format!("https://{HOST}/oauth/token")).header("content-type", "application/x-www-form-urlencoded");
    let request = authorization.into_iter().fold(request, |request, value| request.header("authorization", value));
    let response: Response = request.body(body).send().await.unwrap();
    let status = response.status();
    (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
}

fn in_header(id: &str, secret: &str) -> Option<String> {
    Some(format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))))
}

fn in_body(client: OauthClient) -> String {
    format!("grant_type=client_credentials&client_id={}&client_secret={}", encoded(client.id), encoded(client.secret))
}

#[tokio::test]
async fn it_issues_tokens_to_both_kinds_of_clients_and_refuses_the_rest() {
    let provider = OidcProvider::start(&[HOST], Duration::from_secs(77)).await;
    let client = https::client(provider.authority(), provider.address(), &[HOST]);
    let grant = || "grant_type=client_credentials".to_owned();

    let header = in_header(&encoded(HEADER_CLIENT.id), &encoded(HEADER_CLIENT.secret));
    let (status, answer) = ask(&client, header.clone(), grant()).await;
    assert_eq!((status, &answer["expires_in"], &answer["token_type"]), (StatusCode::OK, &77.into(), &"Bearer".into()), "{answer}");
    assert!(!answer["access_token"].as_str().unwrap().is_empty());

    let (status, answer) = ask(&client, None, in_body(BODY_CLIENT)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");

    let (status, answer) = ask(&client, header.clone(), format!("{}&scope=users%3Aread", grant())).await;
    assert_eq!((status, &answer["scope"]), (StatusCode::OK, &"users:read".into()), "{answer}");

    let (status, answer) = ask(&client, in_header(&encoded(HEADER_CLIENT.id), "wrong"), grant()).await;
    assert_eq!((status, &answer["error"]), (StatusCode::UNAUTHORIZED, &"invalid_client".into()), "{answer}");

    // It undoes the form encoding of RFC 6749 section 2.3.1, so that values as they are do not pass.
    let (status, answer) = ask(&client, in_header(HEADER_CLIENT.id, HEADER_CLIENT.secret), grant()).await;
    assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &"invalid_request".into()), "{answer}");
}
