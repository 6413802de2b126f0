//! `keytile completions`.

use std::process::Command;

use super::finish;

fn completions(shell: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keytile"));
    command.args(["completions", shell]).env_clear();
    command
}

#[tokio::test]
async fn every_shell_gets_a_script() {
    for (shell, part) in [("bash", "complete -F _keytile"), ("zsh", "#compdef keytile"), ("fish", "complete -c keytile")] {
        let script = finish(completions(shell), "").await.is(0).stdout;
        for word in [part, "credentials", "secret-stdin"] {
            assert!(script.contains(word), "{shell}: no {word:?}");
        }
    }
    assert_eq!(finish(completions("tcsh"), "").await.code, Some(2));
}

#[tokio::test]
async fn bash_completes_commands_and_flags() {
    if !std::path::Path::new("/bin/bash").exists() {
        return;
    }
    for (typed, offered) in [
        ("keytile cred", "credentials"),
        ("keytile credentials ", "test"),
        ("keytile credentials add --secret-", "--secret-file"),
        ("keytile resources add --kind ", "destination"),
        ("keytile completions z", "zsh"),
    ] {
        let script = format!(
            "source <({program} completions bash); words='{typed}'; COMP_WORDS=($words); [[ $words == *' ' ]] && COMP_WORDS+=(''); \
             COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); COMP_LINE=$words; COMP_POINT=${{#words}}; \
             _keytile keytile \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            program = env!("CARGO_BIN_EXE_keytile"),
        );
        let mut bash = Command::new("/bin/bash");
        bash.args(["--norc", "--noprofile", "-c", &script]).env_clear().env("PATH", "/usr/bin:/bin");
        let completed = finish(bash, "").await.is(0);
        assert!(completed.stdout.lines().any(|word| word == offered), "{typed}: {}{}", completed.stdout, completed.stderr);
    }
}
