//! `keytile init`: creates the keyring and the tables, once, before the first start with PostgreSQL.

use crate::{
    app::make_data_dir,
    config::StorageConfig,
    crypto::keyring::{Keyring, KeyringError},
    store::Store,
};

pub(super) async fn run(config: &StorageConfig) -> Result<(), String> {
    make_data_dir(&config.data_dir).map_err(|error| error.to_string())?;
    let store = Store::open(config.database().expose()).await.map_err(|error| error.to_string())?;
    let path = config.keyring_path();
    let result = match Keyring::load(&path) {
        Ok(_) => Err(format!("--keyring: {} already exists and was not changed.", path.display())),
        Err(KeyringError::Missing { .. }) => match store.holds_sealed_rows().await {
            Ok(true) => Err(format!(
                "--keyring: {} is missing, but the database already contains sealed values. Restore the keyring that sealed them; a new one can't open them.",
                path.display()
            )),
            Ok(false) => Keyring::create(&path).map(|_| ()).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        },
        Err(error) => Err(error.to_string()),
    };
    store.close().await;
    result?;
    println!(
        "Created a keyring: {}. Back it up separately from the database. Without it, sealed values can't be opened.",
        path.display()
    );
    Ok(())
}
