//! Authenticate with JavaScript: the tiles are a radio group, searched as one types, and all of it can be
//! done with the keyboard.

use fantoccini::key::Key;

use crate::{
    harness::Wanted,
    person::{OVERLAY, Person, TILES},
    support::server::Setup,
};

const CHOSEN: &str =
    "document.querySelector('.tile-radio:checked')?.closest('.tile').querySelector('.tile-name').textContent ?? ''";

#[tokio::test]
async fn arrow_keys_move_the_choice_and_next_wants_one() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut seeding = server.browser();
    for name in ["First", "Second", "Third"] {
        setup.clock.advance(std::time::Duration::from_millis(1));
        seeding.add_credential(name).await;
    }
    let person = Person::at(&server).await;
    let browser = &person.browser;
    person.goto(TILES).await;
    browser.wait_for("html.scripted").await;
    browser.value("window.marked = true").await;

    browser.click("#next").await;
    person.wait_for_focus("#choice-error[role='alert']").await;
    person.reads("#choice-error", "Choose a credential").await;
    assert_eq!(person.location().await, TILES);

    // Tab goes over search to the Add tile and then into the group, which is one stop.
    browser.click("#q").await;
    tab_to(&person, "#add-credential").await;
    browser.press_key(Key::Tab).await;
    person.wait_for_focus(".tile-radio").await;
    browser.press_key(Key::Space).await;
    browser.wait_until(&format!("({CHOSEN}) === 'Third'")).await;
    assert_eq!(person.count("#choice-error").await, 0, "the complaint stays after a choice");
    for (key, name) in
        [(Key::Down, "Second"), (Key::Right, "First"), (Key::Down, "Third"), (Key::Up, "First"), (Key::Left, "Second")]
    {
        browser.press_key(key).await;
        assert_eq!(browser.value(CHOSEN).await, name);
        assert_eq!(browser.value("document.activeElement === document.querySelector('.tile-radio:checked')").await, true);
    }
    browser.press_key(Key::Tab).await;
    assert_eq!(browser.value("document.activeElement.matches('.tile-radio')").await, false, "the group is more than one stop");

    // Enter on a tile goes on with it.
    browser.press(&[Key::Shift.into(), Key::Tab.into()]).await;
    assert_eq!(browser.value("window.marked").await, true);
    browser.press_key(Key::Enter).await;
    browser.wait_for("#configure").await;
    person.reads("#credential-in-use", "Second").await;

    // The way back knows the choice.
    browser.click("a.button[href*='/authenticate?credential=']").await;
    browser.wait_until(&format!("({CHOSEN}) === 'Second'")).await;
}

#[tokio::test]
async fn search_filters_as_one_types_and_keeps_the_choice() {
    let server = Setup::sandbox().start().await;
    let mut seeding = server.browser();
    for name in ["Support EU", "Sales US", "Sales EU"] {
        seeding.add_credential(name).await;
    }
    let person = Person::at(&server).await;
    let browser = &person.browser;
    person.goto(TILES).await;
    browser.wait_for("html.scripted").await;
    browser.value("window.marked = true").await;
    browser.fill("#q", "sales").await;
    browser.wait_until("document.querySelectorAll('.tile-radio').length === 2").await;
    person.reads("#tile-count", "2 credentials").await;
    browser.wait_until("document.getElementById('announcer').textContent === '2 credentials'").await;
    assert_eq!(browser.focused().await, "q", "typing goes on");
    assert_eq!(person.location().await, format!("{TILES}?q=sales"));
    assert_eq!(person.count("#add-credential").await, 1);

    browser.fill("#q", "zzz").await;
    person.reads("#none-found", "No credential has “zzz” in its name or description").await;
    browser.fill("#q", "eu").await;
    browser.wait_until("document.querySelectorAll('.tile-radio').length === 2").await;
    browser.click(".tile-choice").await;
    let chosen = browser.value(CHOSEN).await;
    browser.fill("#q", "e").await;
    browser.wait_until("document.querySelectorAll('.tile-radio').length === 3").await;
    assert_eq!(browser.value(CHOSEN).await, chosen);
    assert_eq!(browser.value("window.marked").await, true);
}

#[tokio::test]
async fn more_tiles_are_loaded_in_place() {
    let setup = Setup::sandbox();
    let server = setup.start().await;
    let mut seeding = server.browser();
    for number in 0..53 {
        setup.clock.advance(std::time::Duration::from_millis(1));
        seeding.add_credential(&format!("Desk number {number:02}")).await;
    }
    let person = Person::at(&server).await;
    let browser = &person.browser;
    person.goto(TILES).await;
    browser.wait_for("html.scripted").await;
    assert_eq!(person.count(".tile-radio").await, 50);
    browser.click(".tile-choice").await;
    browser.click("[data-load-more]").await;
    browser.wait_until("document.querySelectorAll('.tile-radio').length === 53").await;
    browser.wait_until("document.getElementById('announcer').textContent === '3 more credentials'").await;
    browser.wait_until("document.activeElement.closest('.tile')?.textContent.includes('Desk number 02')").await;
    assert_eq!((person.count("#load-more").await, browser.value(CHOSEN).await), (0, "Desk number 52".into()));
}

#[tokio::test]
async fn a_credential_is_added_with_the_keyboard_alone() {
    let server = Setup::sandbox().start().await;
    let person = Person::at(&server).await;
    let browser = &person.browser;
    person.goto("/").await;
    browser.wait_for("html.scripted").await;
    // The first stop leads over the header.
    browser.press_key(Key::Tab).await;
    person.wait_for_focus(".skip-link").await;
    tab_to(&person, "a[href='/sources/new']").await;
    browser.press_key(Key::Enter).await;
    browser.wait_for("html.scripted .connector-grid").await;
    tab_to(&person, "a[href='/sources/new/talkdesk/authenticate']").await;
    browser.press_key(Key::Enter).await;
    browser.wait_for("html.scripted #add-credential").await;
    tab_to(&person, "#add-credential").await;
    browser.press_key(Key::Enter).await;
    person.wait_for_focus("#overlay:modal #f-name").await;
    for (field, text) in [
        ("#f-name", "Typed"),
        ("#f-client_id", "sandbox-client"),
        ("#f-client_secret", "sandbox-secret"),
        ("#f-account_name", "acme"),
    ] {
        tab_to(&person, field).await;
        browser.client().active_element().await.unwrap().send_keys(text).await.unwrap();
    }
    tab_to(&person, "#save").await;
    browser.press_key(Key::Space).await;
    person.wait_for_chosen_tile("Typed").await;
    person.wait_for_focus(".tile-radio:checked").await;
}

#[tokio::test]
async fn the_keyboard_stays_in_the_overlay() {
    let server = Setup::sandbox().start().await;
    let person = Person::at(&server).await;
    let browser = &person.browser;
    browser.resize(1280, 600).await;
    person.open_overlay_in_place().await;
    assert_eq!(person.location().await, OVERLAY);
    let mut seen = Vec::new();
    // More often than there are stops in the overlay.
    for _ in 0..25 {
        browser.press_key(Key::Tab).await;
        let below = "document.activeElement !== document.body && !document.activeElement.closest('#overlay')";
        assert_eq!(browser.value(below).await, false, "the focus left the overlay after {seen:?}");
        seen.push(browser.focused().await);
        assert_in_sight(&person).await;
    }
    for stop in ["f-description", "f-client_id", "f-client_secret", "f-account_name", "summary", "cancel", "save", "f-name"] {
        assert!(seen.iter().any(|at| at == stop), "{stop} is no stop of {seen:?}");
    }
}

#[tokio::test]
async fn the_focus_is_in_sight_on_a_small_screen_too() {
    let server = Setup::sandbox().start().await;
    let person = Person::with(Wanted::default().size(360, 740), &server).await;
    let browser = &person.browser;
    person.open_overlay_in_place().await;
    person.fill_credential("Small", "not-the-secret", "acme").await;
    browser.click("details.advanced summary").await;
    browser.click("#save").await;
    // The stages now stand above the buttons, in two lines.
    browser.wait_for("#rejection").await;
    person.wait_for_focus("#f-client_id").await;
    assert_in_sight(&person).await;
    for key in [Key::Tab.into(), Key::Shift.into()] {
        for _ in 0..20 {
            match key {
                key if key == char::from(Key::Tab) => browser.press_key(Key::Tab).await,
                shift => browser.press(&[shift, Key::Tab.into()]).await,
            }
            assert_in_sight(&person).await;
        }
    }
}

/// The element with the focus is not below the actions that stick to the lower edge (WCAG 2.2, 2.4.11).
async fn assert_in_sight(person: &Person) {
    const HIDDEN: &str = "(e => {
        const actions = document.querySelector('.overlay-actions');
        if (e === document.body || actions.contains(e) || !e.closest('.overlay-main')) return '';
        const hidden = e.getBoundingClientRect().bottom - actions.getBoundingClientRect().top;
        return hidden > 1 ? `${e.outerHTML.slice(0, 80)} by ${hidden} px` : '';
    })(document.activeElement)";
    assert_eq!(person.browser.value(HIDDEN).await, "", "the actions hide what has the focus");
}

/// Presses Tab until an element has the focus.
async fn tab_to(person: &Person, css: &str) {
    for _ in 0..30 {
        if person.browser.value(&format!("document.activeElement?.matches({css:?}) ?? false")).await == true {
            return;
        }
        person.browser.press_key(Key::Tab).await;
    }
    panic!("Tab does not come to {css}");
}
