//! Finds an object by its id, or by its name if the name is unique.

use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    connection::Session,
    exit::{Exit, Failure, text},
    text::plain,
};
use crate::domain::naming::name_key;

/// A kind of object that has a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Thing {
    Credential,
    Resource,
}

#[derive(Deserialize)]
struct Named {
    id: Uuid,
    name: String,
}

/// The id of the object with this id or name.
pub(super) async fn id(session: &Session, thing: Thing, called: &str) -> Result<Uuid, Failure> {
    if let Ok(id) = Uuid::try_parse(called) {
        return Ok(id);
    }
    let (word, path) = match thing {
        Thing::Credential => ("credential", "credentials"),
        Thing::Resource => ("source or destination", "resources"),
    };
    // A search shortens the list of credentials; resources have no search.
    let search: &[(&str, &str)] = if thing == Thing::Credential { &[("search", called)] } else { &[] };
    let listed = session.ask(&format!("Looking for “{called}”"), session.client().all(path, search)).await;
    let listed = listed.map_err(|failure| match failure.exit() {
        Exit::NotAllowed => {
            let sentence =
                format!("this API key can't list every {word}, so `keytile` can't find it by name; use its id, or another key");
            failure.saying_also(&sentence)
        }
        _ => failure,
    })?;
    let wanted = name_key(called.trim());
    let has_name =
        |item: &&Value| serde_json::from_value::<Named>((*item).clone()).is_ok_and(|named| name_key(&named.name) == wanted);
    let found: Vec<&Value> = listed.iter().filter(has_name).collect();
    match found.as_slice() {
        [] => Err(Failure::new(Exit::NotFound, format!("there is no {word} “{}” for this API key", plain(called)))),
        [one] => serde_json::from_value::<Named>((*one).clone())
            .map(|named| named.id)
            .map_err(|_| Failure::new(Exit::Other, "this version of keytile does not understand the list")),
        several => {
            let lines = several.iter().map(|item| {
                let kind = if thing == Thing::Resource { text(item, "kind") } else { owner(item) };
                format!("  {}  {}{kind}", text(item, "id"), text(item, "connector") + " ")
            });
            let lines: Vec<String> = lines.map(|line| line.trim_end().to_owned()).collect();
            let sentence =
                format!("“{}” is the name of several items; use the id of one of them:\n{}", plain(called), lines.join("\n"));
            Err(Failure::new(Exit::Conflict, sentence))
        }
    }
}

/// The owner of a credential, if it is another user.
fn owner(credential: &Value) -> String {
    let email = text(&credential["owner"], "email");
    if email.is_empty() { email } else { format!("owned by {email}") }
}
