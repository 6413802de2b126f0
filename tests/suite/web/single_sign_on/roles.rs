//! Roles by the groups of the provider, and what happens when they change.

use super::*;

const RULES: &[&str] = &["--sso-role=staff=viewer", "--sso-role=makers=editor,admins=administrator"];

#[tokio::test]
async fn the_role_follows_the_groups_at_each_sign_in() {
    let site = Site::start(people(&["staff", "makers", "unknown"]), RULES).await;
    let first = site.browser_of("ada").await;
    assert_eq!(site.accounts().await[0], "ada@example.test|Ada Lovelace|editor", "the highest role counts");

    // Rights rise: other sessions end, and the one that is signed in now is new.
    let site = site.changed(people(&["admins"]), RULES).await;
    let mut first = first.moved_to(&site.server);
    assert!(site.is_signed_in(&first).await);
    let second = site.browser_of("ada").await;
    assert_eq!(site.accounts().await[0], "ada@example.test|Ada Lovelace|administrator");
    assert!(!site.is_signed_in(&first).await && site.is_signed_in(&second).await);
    assert!(site.events().await.iter().any(|event| event
        == "user.change|done|ada@example.test|ada@example.test|by single sign-on: role administrator instead of editor"));

    // Lost rights are lost immediately, also in live sessions.
    let site = site.changed(people(&["staff"]), RULES).await;
    let mut second = second.moved_to(&site.server);
    assert_eq!(second.get("/settings/people").await.status, 200);
    let third = site.browser_of("ada").await;
    assert_eq!(site.accounts().await[0], "ada@example.test|Ada Lovelace|viewer");
    assert!(site.is_signed_in(&second).await && site.is_signed_in(&third).await);
    assert_eq!(second.get("/settings/people").await.status, 403);

    // No group is left: nobody comes in, and nobody stays in.
    let site = site.changed(people(&["unknown"]), RULES).await;
    let third = third.moved_to(&site.server);
    assert!(site.is_signed_in(&third).await);
    let refused = site.sign_in(&mut site.server.visitor(), "ada").await;
    assert_eq!(refused.status, 403);
    refused.says("None of your groups has access to Keytile");
    assert!(!site.is_signed_in(&third).await);
    first = first.moved_to(&site.server);
    assert!(!site.is_signed_in(&first).await);
    site.server.stop().await;
}

#[tokio::test]
async fn whoever_is_in_no_group_is_refused_and_no_account_is_made() {
    let site = Site::start(people(&["unknown"]), RULES).await;
    let mut browser = site.server.visitor();
    let refused = site.sign_in(&mut browser, "ada").await;
    assert_eq!(refused.status, 403);
    refused.says("None of your groups has access to Keytile");
    refused.says("Request ID:");
    assert!(refused.text.contains("href=\"/sign-in\""), "there is a way back");
    assert_eq!(site.accounts().await.len(), 1);
    let event = "session.sign_in|refused|||single sign-on: in no group that has a role: ada at https://id.example.test";
    assert_eq!(site.events().await, [event]);
    // Without rules and without a role for all, accounts are made by administrators alone.
    let site = site.changed(people(&["staff"]), &[]).await;
    let refused = site.sign_in(&mut site.server.visitor(), "ada").await;
    assert_eq!((refused.status, site.accounts().await.len()), (403, 1));
    site.server.stop().await;
}

#[tokio::test]
async fn the_last_administrator_is_not_demoted() {
    let site = Site::start(people(&[]), RULES).await;
    let mut ana = site.browser_of("ana").await;
    // Her groups make her a viewer, and her name is taken over all the same.
    assert_eq!(site.accounts().await, ["ana@example.com|Ana of the provider|administrator"]);
    assert_eq!(ana.get("/settings/people").await.status, 200);
    let refused =
        "user.change|refused|ana@example.com|ana@example.com|by single sign-on: role viewer: this is the last administrator";
    assert!(site.events().await.iter().any(|event| event == refused), "{:#?}", site.events().await);

    // With another administrator, she is demoted as the provider says.
    let site = site.changed(people(&["admins"]), RULES).await;
    site.browser_of("ada").await;
    site.browser_of("ana").await;
    assert_eq!(site.accounts().await[1], "ana@example.com|Ana of the provider|viewer");
    site.server.stop().await;
}
