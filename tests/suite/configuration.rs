//! `docs/configuration.md` and the program say the same, and a wrong setting stops the start with a sentence
//! that names it.

use std::process::Command;

use clap::CommandFactory;

/// The table of settings as the program knows them.
fn table() -> String {
    let command = keytile::cli::CommandLine::command();
    let serve = command.find_subcommand("serve").unwrap();
    let mut table = String::new();
    for argument in serve.get_arguments().filter(|argument| argument.get_id() != "help") {
        let flag = argument.get_long().unwrap();
        let value = argument.get_num_args().is_some_and(|n| n.takes_values()) || argument.get_action().takes_values();
        let value = argument.get_value_names().filter(|_| value).map_or(String::new(), |names| format!(" {}", names[0]));
        let variable = argument.get_env().unwrap_or_else(|| panic!("--{flag} has no variable")).to_str().unwrap();
        assert_eq!(variable, format!("KEYTILE_{}", flag.to_uppercase().replace('-', "_")));
        let default = match argument.get_default_values() {
            [default] if value.len() > 1 => format!("`{}`", default.to_str().unwrap()),
            _ => String::new(),
        };
        let meaning = argument
            .get_help()
            .unwrap_or_else(|| panic!("--{flag} has no help"))
            .to_string()
            .replace('\n', " ")
            .replace('|', "\\|");
        table.push_str(&format!("| `--{flag}{value}` | `{variable}` | {default} | {meaning} |\n"));
    }
    table
}

#[test]
fn the_page_and_the_program_name_the_same_settings() {
    let page = include_str!("../../docs/configuration.md");
    let rows: String = page.lines().filter(|line| line.starts_with("| `--")).map(|line| format!("{line}\n")).collect();
    let table = table();
    assert_eq!(rows, table, "docs/configuration.md has to have these rows:\n{table}");
}

#[test]
fn the_audit_trail_compares_every_setting() {
    use clap::Parser;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        config: keytile::config::Config,
    }

    let settings = Arguments::parse_from(["keytile"]).config.settings();
    let command = keytile::cli::CommandLine::command();
    let serve = command.find_subcommand("serve").unwrap();
    let known = serve.get_arguments().filter(|argument| argument.get_id() != "help").map(|argument| {
        let takes_values = argument.get_action().takes_values();
        let default = argument.get_default_values().first().filter(|_| takes_values);
        (argument.get_long().unwrap(), default.map_or("", |default| default.to_str().unwrap()))
    });
    let compared: Vec<_> = settings.iter().map(|setting| (setting.name, setting.default)).collect();
    assert_eq!(compared, known.collect::<Vec<_>>(), "`Config::settings` names every setting with its default");
    for setting in &settings {
        assert_eq!(setting.value, setting.default, "--{}", setting.name);
    }
}

/// Starts the program with a wrong setting; it has to fail and to name the setting.
fn refused(arguments: &[&str], variables: &[(&str, &str)], named: &str, reason: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_keytile"));
    command.arg("serve").args(arguments).current_dir(&folder).env_clear().envs(variables.iter().copied());
    let output = command.output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{arguments:?} was accepted");
    assert!(message.contains(named) && message.contains(reason), "{arguments:?}: {message}");
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn a_wrong_setting_stops_the_start_and_is_named() {
    refused(&["--listen", "nowhere"], &[], "--listen", "invalid socket address");
    refused(&["--listen", "0.0.0.0:0"], &[], "--listen", "--public-url is required");
    refused(&["--listen", "[::]:0"], &[], "--listen", "--public-url is required");
    refused(&["--listen", "192.0.2.1:80"], &[], "--listen", "--public-url is required");
    refused(&["--tls-cert", "a.pem"], &[], "--tls-key", "");
    refused(&["--tls-key", "a.pem"], &[], "--tls-cert", "");
    refused(&[], &[("KEYTILE_TLS_CERT", "a.pem")], "--tls-key", "");
    refused(&["--tls-cert", "/does/not/exist.pem", "--tls-key", "a.pem"], &[], "--tls-cert", "/does/not/exist.pem: cannot be read");
    refused(&["--tls-cert", "a", "--tls-key", "b", "--public-url", "http://a.example"], &[], "--public-url", "not HTTPS");
    refused(&["--trusted-proxy", "proxy.example"], &[], "--trusted-proxy", "expected a range");
    refused(&[], &[("KEYTILE_TRUSTED_PROXY", "10.0.0.0/8,0.0.0.0/0")], "--trusted-proxy", "every address");
    refused(&["--public-url", "keytile.example.com"], &[], "--public-url", "relative URL");
    refused(&["--public-url", "https://a.example/keytile"], &[], "--public-url", "root");
    refused(&["--public-url", "http://:pw@a.example/"], &[], "--public-url", "root");
    refused(&["--listen", "127.0.0.1:0", "--data-dir", "/proc/sys"], &[], "--data-dir", "");
    refused(&["--listen", "127.0.0.1:0", "--data-dir", "/proc/nowhere"], &[], "--data-dir", "cannot be created");
    refused(&["--database-url", "mysql://u:hunter2@h/d"], &[], "--database-url", "postgres://");
    refused(&["--listen", "127.0.0.1:0"], &[("KEYTILE_DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/d")], "--database-url", "");
    refused(&["--listen", "127.0.0.1:0", "--connectors", "/does/not/exist"], &[], "--connectors", "/does/not/exist");
    refused(&["--egress-pin", "a.example"], &[], "--egress-pin", "");
    refused(&["--allow-private-egress", "10.0.0.0/99"], &[], "--allow-private-egress", "");
    refused(&["--listen", "127.0.0.1:0", "--extra-ca", "/does/not/exist.pem"], &[], "--extra-ca", "/does/not/exist.pem");
    refused(&["--listen", "127.0.0.1:0", "--extra-ca", "/proc/version"], &[], "--extra-ca", "");
    refused(&["--sso-role", "staff"], &[], "--sso-role", "GROUP=ROLE");
    refused(&["--sso-default-role", "root"], &[], "--sso-default-role", "administrator, editor");
    refused(&["--sso-issuer", "nowhere"], &[], "--sso-issuer", "relative URL");
    refused(&["--metrics-listen", "9440"], &[], "--metrics-listen", "invalid socket address");
    refused(&["--listen", "127.0.0.1:0", "--metrics-listen", "192.0.2.1:9440"], &[], "--metrics-listen", "cannot listen on");
    for endpoint in ["nowhere", "ftp://a.example", "http://:hunter2@a.example", "http://a.example?key=hunter2"] {
        refused(&["--listen", "127.0.0.1:0", "--otlp-endpoint", endpoint], &[], "--otlp-endpoint", "");
    }
    for share in ["2", "-0.1", "NaN", "all"] {
        refused(&[&format!("--otlp-sampling={share}")], &[], "--otlp-sampling", "from 0 to 1");
    }
    refused(&["--log-format", "xml"], &[], "--log-format", "pretty");
    refused(&["--log-level", "loud"], &[], "--log-level", "");
    refused(&["--sandbox"], &[("KEYTILE_LISTEN", "x")], "--listen", "");
    refused(&[], &[("KEYTILE_SANDBOX", "perhaps")], "--sandbox", "");
    refused(&["--listen", "127.0.0.1:0"], &[("KEYTILE_KEYRING_VALUE", "hunter2")], "KEYTILE_KEYRING_VALUE", "");
    refused(&["--listen", "127.0.0.1:0", "--database-url", "sqlite:/does/not/exist/k.db"], &[], "--database-url", "");
}

#[test]
fn single_sign_on_is_set_up_whole_or_not_at_all() {
    let whole = ["--listen", "127.0.0.1:0", "--sso-issuer", "https://id.example", "--sso-client-id", "keytile"];
    let with = |more: &[&'static str]| -> Vec<&str> { whole.iter().copied().chain(more.iter().copied()).collect() };
    refused(&whole[..4], &[], "--sso-client-id", "missing, but --sso-");
    refused(&["--sso-client-id", "keytile"], &[], "--sso-issuer", "missing, but --sso-");
    refused(&["--sso-only"], &[], "--sso-only", "--sso-issuer and --sso-client-id");
    refused(&[], &[("KEYTILE_SSO_ONLY", "true")], "--sso-only", "--sso-issuer and --sso-client-id");
    refused(&["--sso-role", "staff=viewer"], &[], "--sso-role", "which are missing");
    refused(&["--sso-default-role", "viewer"], &[], "--sso-default-role", "which are missing");
    refused(&["--sso-client-secret-file", "secret"], &[], "--sso-client-secret-file", "which are missing");
    refused(&["--sso-issuer", "https://id.example", "--sso-client-id", " "], &[], "--sso-client-id", "empty");
    refused(&with(&["--sso-client-secret-file", "/does/not/exist"]), &[], "--sso-client-secret-file", "/does/not/exist");
    refused(&with(&["--sso-client-secret-file", "/dev/null"]), &[], "--sso-client-secret-file", "is empty");
    let both = with(&["--sso-client-secret-file", "/proc/version"]);
    refused(
        &both,
        &[("KEYTILE_SSO_CLIENT_SECRET", "hunter2")],
        "--sso-client-secret-file",
        "KEYTILE_SSO_CLIENT_SECRET is also set",
    );
    for issuer in ["http://id.example", "https://id.example?a=b", "https://:hunter2@id.example"] {
        let arguments = ["--listen", "127.0.0.1:0", "--sso-client-id", "keytile", "--sso-issuer", issuer];
        refused(&arguments, &[], "--sso-issuer", "the issuer must");
    }
}
