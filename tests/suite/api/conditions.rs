//! `If-Match`: nobody overwrites what they have not seen.

use serde_json::json;

use super::start;

#[tokio::test]
async fn a_lost_update_is_prevented() {
    let (_setup, server, program) = start().await;
    let credential = program.add_credential("Support").await;
    let resource = program.add_source("Agents", credential.id()).await;
    for (path, etag) in [
        (format!("/api/v1/credentials/{}", credential.id()), credential.etag().to_owned()),
        (format!("/api/v1/resources/{}", resource.id()), resource.etag().to_owned()),
    ] {
        let (mine, theirs) = (json!({ "description": "mine" }), json!({ "description": "theirs" }));
        let missing = program.ask(reqwest::Method::PATCH, &path, Some(&mine), &[]).await;
        missing.problem(428, "if_match_missing");
        let first = program.patch(&path, &etag, &theirs).await.is(200);
        program.patch(&path, &etag, &mine).await.problem(412, "outdated");
        program.patch(&path, &format!("W/{}", first.etag()), &mine).await.problem(412, "outdated");
        program.patch(&path, "theirs", &mine).await.problem(400, "if_match_invalid");
        assert_eq!(program.get(&path).await.body["description"], "theirs");
        let both = format!("{etag}, {}", first.etag());
        let second = program.patch(&path, &both, &mine).await.is(200);
        program.patch(&path, "*", &theirs).await.is(200);
        assert_ne!(second.etag(), first.etag());
    }
    server.stop().await;
}

#[tokio::test]
async fn what_was_changed_is_not_deleted_by_who_has_not_seen_it() {
    let (_setup, server, program) = start().await;
    let credential = program.add_credential("Support").await;
    let resource = program.add_source("Agents", credential.id()).await;
    let paths = [
        (format!("/api/v1/resources/{}", resource.id()), resource.etag().to_owned()),
        (format!("/api/v1/credentials/{}", credential.id()), credential.etag().to_owned()),
    ];
    for (path, etag) in paths {
        let delete = async |tag: &str| program.ask(reqwest::Method::DELETE, &path, None, &[("if-match", tag)]).await;
        let changed = program.patch(&path, &etag, &json!({ "description": "theirs" })).await.is(200);
        delete(&etag).await.problem(412, "outdated");
        delete(changed.etag()).await.is(204);
        delete(changed.etag()).await.problem(404, "not_found");
    }
    server.stop().await;
}
